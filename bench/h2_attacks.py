# SPDX-License-Identifier: Apache-2.0
"""What HTTP/2 clients that mean harm (h2_attacker.py) cost the others. For script/bench."""
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

ATTACKER = pathlib.Path(__file__).resolve().parent / "h2_attacker.py"
ATTACKS = ("rapid reset", "made you reset", "CONTINUATION", "empty DATA", "SETTINGS", "PING", "HPACK bomb",
           "cookie bomb", "slow streams")
PAIRS = 3
SECONDS = 2
RATE = 1000                 # of the others
SERVER_GOAL = 500           # requests that reach the server, of one connection
MEMORY_GOAL = 10 << 20
CONFIG = """workers 1
limits {{
    requests_per_connection off
}}
site * {{
    listen 127.0.0.1:{port}
    proxy 127.0.0.1:{origin}
}}
"""


def asked(origin):
    """How many requests the origin has seen that were not those of the others."""
    with socket.create_connection(("127.0.0.1", origin)) as sock:
        sock.sendall(b"GET /asked HTTP/1.1\r\nHost: origin\r\n\r\n")
        sock.settimeout(5)
        text = b""
        while not text.endswith(b"\n"):
            text += sock.recv(4096)
    return int(text.rsplit(b"\r\n\r\n", 1)[1])


def others(load, port):
    return load(port, "--connections", 32, "--path", "/b/100", "--rate", RATE, "--seconds", SECONDS)["p99"]


def under_attack(load, proxy, origin, name):
    before, memory, most = asked(origin), proxy.memory(), [0]
    is_over = threading.Event()

    def watch():
        while not is_over.wait(0.25):
            most[0] = max(most[0], proxy.memory() - memory)
    watcher = threading.Thread(target=watch)
    attacker = subprocess.Popen(["taskset", "-c", "1", "nice", "-n", "5", sys.executable, str(ATTACKER),
                                 name, str(proxy.port), str(SECONDS + 1)], stdout=subprocess.PIPE, text=True)
    watcher.start()
    try:
        time.sleep(0.5)
        p99 = others(load, proxy.port)
        connections = int(attacker.communicate(timeout=30)[0])
    finally:
        is_over.set()
        watcher.join()
        attacker.kill()
        attacker.wait()
    return {"attack": p99, "memory": most[0], "connections": connections,
            "requests": (asked(origin) - before) / connections}


def measure(load, proxy, origin):
    """Attack, then pairs: a round of calm before each."""
    others(load, proxy.port)        # what the first ones need is there
    rows = {name: [] for name in ATTACKS}
    for _ in range(PAIRS):
        for name, found in rows.items():
            calm = others(load, proxy.port)
            found.append({"calm": calm, **under_attack(load, proxy, origin, name)})
    return rows


def show(rows):
    ok = {True: "ok", False: "MISSED"}
    print(f"attacks over HTTP/2, medians of {PAIRS} pairs (goals: p99 <= 1.5 of calm + 1 ms, "
          f"{MEMORY_GOAL >> 20} MiB, {SERVER_GOAL} requests to the server of each connection)\n"
          f"{'':16}{'p99 calm us':>12}{'attack us':>12}{'MiB':>8}{'connections':>13}{'requests':>10}")
    for name, found in rows.items():
        middle = {key: statistics.median(row[key] for row in found) for key in found[0]}
        middle["memory"] = max(row["memory"] for row in found)  # later ones find what the first left
        excess = statistics.median((row["attack"] - 1000) / row["calm"] for row in found)
        is_well = excess <= 1.5 and middle["memory"] <= MEMORY_GOAL and middle["requests"] <= SERVER_GOAL
        print(f"{name:16}{middle['calm']:12.0f}{middle['attack']:12.0f}{middle['memory'] / (1 << 20):8.1f}"
              f"{middle['connections']:13.0f}{middle['requests']:10.0f}   {ok[is_well]}")
