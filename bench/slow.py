# SPDX-License-Identifier: Apache-2.0
"""What slow clients cost the others, and what each of them costs in memory. For script/bench."""
import json
import pathlib
import statistics
import subprocess
import time

# name: connections, arguments of the load, key of the deadline that ends them, its seconds, goal of
# bytes each. The responses are larger than what the kernel takes off us at once.
ATTACKS = {
    "slow-heads": (10000, ["--slow-heads"], "timeouts.request_header", 10, 4096),
    "slow-readers": (1000, ["--slow-readers", "--path", "/b/33554432"], "timeouts.client_write", 10, 40960),
}
# All at once: name, connections, arguments of the load, goal of bytes each, seconds until it has
# settled. They come one kind after the other, so that what each kind costs can be told; heads last,
# because their deadline is the shortest, and readers first, because the kernel takes gigabytes for
# them before they are slow.
KINDS = [("readers", 500, ["--slow-readers", "--path", "/b/33554432"], 40960, 4),
         ("bodies", 1000, ["--slow-bodies"], 40960, 1),
         ("heads", 6000, ["--slow-heads"], 4096, 1)]
PAIRS = 5
SETTLE = 4          # seconds, for the connects and what they ask for
RATE = 1000         # of the others
CONFIG = """workers 1
log access {{
    to file:{dir}/slow.log
}}
timeouts {{
    client_write 10s
}}
site * {{
    listen 127.0.0.1:{port}
    proxy 127.0.0.1:{origin}
}}
"""


def others(load, port):
    return load(port, "--connections", 32, "--path", "/b/100", "--rate", RATE, "--seconds", 4)["p99"]


def one_attack(tool, load, proxy, name):
    """p99 of the others, bytes for each slow client, how many the deadline ended."""
    count, arguments, _, deadline, _ = ATTACKS[name]
    before = proxy.memory()
    attacker = subprocess.Popen(
        ["taskset", "-c", "1", str(tool), *arguments, "--connections", str(count), "--seconds",
         str(deadline + 15), str(proxy.port)], stdout=subprocess.PIPE, text=True)
    try:
        attacker.stdout.readline()
        time.sleep(SETTLE)
        p99 = others(load, proxy.port)
        memory = (proxy.memory() - before) / count
        rest = attacker.communicate(timeout=deadline + 60)[0]
        return p99, memory, json.loads(rest.strip().splitlines()[-1])["cut"]
    finally:
        attacker.kill()
        attacker.wait()


def measure(tool, load, proxy, name, log):
    """Five pairs of calm and attack in turn."""
    key = ATTACKS[name][2]
    rows = []
    for _ in range(PAIRS):
        calm = others(load, proxy.port)
        p99, memory, cut = one_attack(tool, load, proxy, name)
        time.sleep(1.5)      # the log is written once a second
        named = sum(key in line for line in pathlib.Path(log).read_text().splitlines())
        open(log, "w").close()
        rows.append({"calm": calm, "attack": p99, "memory": memory, "cut": cut, "named": named})
    return rows


def all_at_once(tool, load, proxy):
    """p99 of the others calm and attacked, bytes for each slow client of a kind, connections held."""
    row = {"calm": others(load, proxy.port)}
    attackers = []
    try:
        for kind, count, arguments, _, settle in KINDS:
            before = proxy.memory()
            attacker = subprocess.Popen(
                ["taskset", "-c", "1", str(tool), *arguments, "--connections", str(count),
                 "--seconds", "30", str(proxy.port)], stdout=subprocess.PIPE, text=True)
            attackers.append(attacker)
            attacker.stdout.readline()
            time.sleep(settle)
            row[kind] = (proxy.memory() - before) / count
        row["attack"] = others(load, proxy.port)
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.wait()
    time.sleep(2)       # what is left of it goes
    return row


def measure_all(tool, load, proxies, pairs=PAIRS):
    """Pairs of calm and attack, the proxies in turn."""
    rows = {proxy.name: [] for proxy in proxies}
    for _ in range(pairs):
        for proxy in proxies:
            rows[proxy.name].append(all_at_once(tool, load, proxy))
    return rows


def show_all(table):
    ok = {True: "ok", False: "MISSED"}
    counts = ", ".join(f"{count} slow {kind}" for kind, count, *_ in KINDS)
    print(f"slow: {counts} at once; of pairs of calm and attack the median, of bytes the most")
    print("  name         p99 calm    attack  (p99 - 1 ms) / calm     bytes of each: " +
          "  ".join(f"{kind:>7}" for kind, *_ in KINDS))
    for name, rows in table.items():
        calm = statistics.median(row["calm"] for row in rows)
        attack = statistics.median(row["attack"] for row in rows)
        ratio = statistics.median((row["attack"] - 1000) / row["calm"] for row in rows)
        memory = [max(row[kind] for row in rows) for kind, *_ in KINDS]
        print(f"  {name:10} {calm:8.0f}us {attack:8.0f}us {ratio:12.2f}" + " " * 28 +
              "  ".join(f"{value:7.0f}" for value in memory))
        if name != "weir":
            continue
        print(f"  goals of weir{'':22}  1.20 {ok[ratio <= 1.2]:6}" + " " * 20 +
              "  ".join(f"{goal:>5} {ok[value <= goal]}"
                        for value, (_, _, _, goal, _) in zip(memory, KINDS)))


def show(name, rows):
    count, _, key, _, goal = ATTACKS[name]
    ratio = statistics.median((row["attack"] - 1000) / row["calm"] for row in rows)
    memory = max(row["memory"] for row in rows)      # the later ones find what the first left
    cut, named = min(row["cut"] for row in rows), min(row["named"] for row in rows)
    ok = {True: "ok", False: "MISSED"}
    print(f"{name}: {count} of them, medians of {len(rows)} pairs")
    for title in ("calm", "attack"):
        print(f"  p99 of the others, {title:7}" +
              "".join(f"{row[title]:9.0f}" for row in rows) + "  us")
    print(f"  (p99 - 1 ms) / calm      {ratio:9.2f}  (goal 1.50 {ok[ratio <= 1.5]})")
    print(f"  bytes of each            {memory:9.0f}  (goal {goal} {ok[memory <= goal]})")
    print(f"  ended by their deadline  {cut:9d}  ({ok[cut == count]}), as {key} in the log: {named}"
          f" ({ok[named >= count]})")
