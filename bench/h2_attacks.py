# SPDX-License-Identifier: Apache-2.0
"""What HTTP/2 clients that mean harm (h2_attacker.py) cost the others. For script/bench."""
import mmap
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

ATTACKER = pathlib.Path(__file__).resolve().parent / "h2_attacker.py"
ATTACKS = ("rapid reset", "made you reset", "CONTINUATION", "empty DATA", "SETTINGS", "PING", "HPACK bomb",
           "cookie bomb", "slow streams")
CASES = {"h2-" + name.lower().replace(" ", "-"): name for name in ATTACKS}
SECONDS = 2
DIRECT_SECONDS = 1          # of those who ask the origin itself
RATE = 1000                 # of the others
SERVER_GOAL = 500           # requests that reach the server, of one connection
MEMORY_GOAL = 10 << 20
ALONE = 6                   # connections whose turns are measured; the first one warms up
ALONE_SECONDS = 1.5         # and longer none of them is held
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


def others(load, port, seconds=SECONDS):
    return load(port, "--connections", 32, "--path", "/b/100", "--rate", RATE, "--seconds",
                seconds)["p99"]


# An attacker shares its core with the load and the origin, and stands behind both: what would be seen
# otherwise is who gets that core. What is left of it is most of it.
BEHIND = ("chrt", "--idle", "0")


def attack(name, port, seconds, connections=1000000, place=BEHIND):
    return subprocess.Popen(["taskset", "-c", "1", *place, sys.executable, str(ATTACKER), name,
                             str(port), str(seconds), str(connections)],
                            stdout=subprocess.PIPE, text=True)


def under_attack(load, proxy, origin, name):
    before, memory, most = asked(origin), proxy.memory(), [0]
    is_over = threading.Event()

    def watch():
        while not is_over.wait(0.25):
            most[0] = max(most[0], proxy.memory() - memory)
    watcher = threading.Thread(target=watch)
    attacker = attack(name, proxy.port, SECONDS + DIRECT_SECONDS + 1)
    watcher.start()
    try:
        time.sleep(0.5)
        p99 = others(load, proxy.port)
        direct = others(load, origin, DIRECT_SECONDS)
        connections = int(attacker.communicate(timeout=30)[0])
    finally:
        is_over.set()
        watcher.join()
        attacker.kill()
        attacker.wait()
    return {"attack": p99, "direct": direct, "memory": most[0], "connections": connections,
            "requests": (asked(origin) - before) / connections}


def measure(load, proxy, origin, names, pairs):
    """Attack, then pairs: a round of calm before each."""
    others(load, proxy.port)        # what the first ones need is there
    rows = {name: [] for name in names}
    for _ in range(pairs):
        for name, found in rows.items():
            calm = {"direct_calm": others(load, origin, DIRECT_SECONDS),
                    "calm": others(load, proxy.port)}
            found.append({**calm, **under_attack(load, proxy, origin, name)})
    return rows


class Turns:
    """What bench/turns.c writes of the threads of a process."""
    THREADS, FIRST, SIZE = 64, 8, 27 * 8

    def __init__(self, path, root):
        self.path = path
        self.env = {"LD_PRELOAD": f"{root}/build/bench/turns.so", "TURNS": path}

    def take(self):
        """Longest turn and all turns of the thread that has worked most, in µs of CPU, since the
        last time."""
        with open(self.path, "r+b") as file, mmap.mmap(file.fileno(), 0) as found:
            rows = [struct.unpack_from("<3Q", found, self.FIRST + i * self.SIZE)
                    for i in range(self.THREADS)]
            found[self.FIRST:] = bytes(len(found) - self.FIRST)
        _, total, longest = max(rows, key=lambda row: row[1])
        return longest / 1000, total / 1000


def measure_turns(turns, proxy, names):
    """One connection after the other, and nobody else: how long the worker works on it before it
    would look at others, and how long in all."""
    rows = {}
    for name in names:
        found = []
        for _ in range(ALONE):
            turns.take()
            attack(name, proxy.port, ALONE_SECONDS, 1, ()).communicate(timeout=30)
            time.sleep(0.1)
            longest, total = turns.take()
            found.append({"longest": longest, "total": total})
        rows[name] = found[1:]
    return rows


def show(rows, turns):
    ok = {True: "ok", False: "MISSED"}
    pairs = len(next(iter(rows.values())))
    print(f"attacks over HTTP/2, medians of {pairs} pairs (goals: p99 <= 1.5 of calm + 1 ms, "
          f"{MEMORY_GOAL >> 20} MiB, {SERVER_GOAL} requests to the server of each connection); CPU of a "
          f"connection alone, and its longest turn\n"
          f"{'':16}{'p99 calm us':>12}{'attack us':>11}{'(a - 1 ms)/c':>14}{'origin itself us':>18}"
          f"{'MiB':>7}{'connections':>13}{'requests':>10}{'':9}{'CPU us':>8}{'turn us':>9}")
    for name, found in rows.items():
        middle = {key: statistics.median(row[key] for row in found) for key in found[0]}
        middle["memory"] = max(row["memory"] for row in found)  # later ones find what the first left
        excess = statistics.median((row["attack"] - 1000) / row["calm"] for row in found)
        is_well = excess <= 1.5 and middle["memory"] <= MEMORY_GOAL and middle["requests"] <= SERVER_GOAL
        alone = {key: statistics.median(row[key] for row in turns[name]) for key in ("total", "longest")}
        direct = f"{middle['direct_calm']:.0f} -> {middle['direct']:.0f}"
        print(f"{name:16}{middle['calm']:12.0f}{middle['attack']:11.0f}{excess:14.2f}{direct:>18}"
              f"{middle['memory'] / (1 << 20):7.1f}{middle['connections']:13.0f}"
              f"{middle['requests']:10.0f}   {ok[is_well]:6}{alone['total']:8.0f}{alone['longest']:9.0f}")
