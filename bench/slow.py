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
# The same over TLS, where memory alone is looked at: of that is the library's most.
TLS_KINDS = [("readers", 500, "/b/33554432", 65536), ("bodies", 1000, "/", 65536),
             ("heads", 2000, "/", 24576)]
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


def others(load, port, seconds=4):
    return load(port, "--connections", 32, "--path", "/b/100", "--rate", RATE, "--seconds",
                seconds)["p99"]


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


def attack(tool, *arguments):
    """They share their core with the load of the others, and must not take it from that: what would
    be seen otherwise is who gets the core. So they stand behind everybody else."""
    return subprocess.Popen(["taskset", "-c", "1", "chrt", "--idle", "0", str(tool), *arguments],
                            stdout=subprocess.PIPE, text=True)


def all_at_once(tool, load, proxy, origin):
    """p99 of the others calm and attacked, and of those who ask the origin itself meanwhile: what the
    machine does to everybody; bytes for each slow client of a kind."""
    row = {"direct_calm": others(load, origin), "calm": others(load, proxy.port)}
    attackers = []
    try:
        for kind, count, arguments, _, settle in KINDS:
            before = proxy.memory()
            attacker = attack(tool, *arguments, "--connections", str(count), "--seconds", "30",
                              str(proxy.port))
            attackers.append(attacker)
            attacker.stdout.readline()
            time.sleep(settle)
            row[kind] = (proxy.memory() - before) / count
        row["attack"] = others(load, proxy.port)
        row["direct"] = others(load, origin, 2)
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.wait()
    time.sleep(2)       # what is left of it goes
    return row


def over_tls(tool, proxy):
    """Bytes for each slow client of a kind."""
    row, attackers = {}, []
    try:
        for kind, count, path, _ in TLS_KINDS:
            # The first few touch pages of the program that are nobody's.
            attackers.append(attack(tool, "--mode", "slow-" + kind, "--connections", "16",
                                    "--path", path, "--seconds", "60", str(proxy.port)))
            attackers[-1].stdout.readline()
            time.sleep(1)
            before = proxy.memory()
            attackers.append(attack(tool, "--mode", "slow-" + kind, "--connections", str(count),
                                    "--path", path, "--seconds", "60", str(proxy.port)))
            held = json.loads(attackers[-1].stdout.readline())["held"]
            time.sleep(4 if kind == "readers" else 1)
            row[kind] = (proxy.memory() - before) / max(held, 1)
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.wait()
    return row


def show_tls(table):
    ok = {True: "ok", False: "MISSED"}
    print("slow over TLS: bytes of each of " +
          ", ".join(f"{count} slow {kind}" for kind, count, *_ in TLS_KINDS))
    for name, row in table.items():
        print(f"  {name:10}" + "  ".join(
            f"{kind} {row[kind]:7.0f}" + (f" (goal {goal} {ok[row[kind] <= goal]})"
                                          if name == "weir" else "")
            for kind, _, _, goal in TLS_KINDS))


def measure_all(tool, load, proxies, origin, pairs=PAIRS):
    """Pairs of calm and attack, the proxies in turn."""
    rows = {proxy.name: [] for proxy in proxies}
    for _ in range(pairs):
        for proxy in proxies:
            rows[proxy.name].append(all_at_once(tool, load, proxy, origin))
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
        direct = [statistics.median(row[key] for row in rows) for key in ("direct_calm", "direct")]
        print(f"    the origin itself: {direct[0]:.0f}us -> {direct[1]:.0f}us meanwhile")
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
