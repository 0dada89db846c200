# SPDX-License-Identifier: Apache-2.0
"""How exact rate_limit is over four workers, and what a million keys cost. For script/bench."""
import statistics

RATE = 1000         # requests a second that may pass …
OFFERED = 3         # … of so many times as many
BURST = 50
SECONDS = 60
GOAL_RATE = 0.01    # of the rate
KEYS = 1000000
GOAL_BYTES = 44     # for each key: places of eight hold six, and their number is a power of two
CALM = 2000         # requests a second whose latency is looked at
GOAL_P99 = 1.1      # unchanged: of the same requests with one key, medians of pairs
PAIRS = 5
CONFIG = """workers {workers}
upstream origin {{{{
    server 127.0.0.1:{{origin}}
    keepalive 1024
}}}}
site * {{{{
    listen 127.0.0.1:{{port}}
    rate_limit {rate}r/s burst={burst} by={{{{uri}}}} keys={keys}
    {answer}
}}}}
"""
EXACT = CONFIG.format(workers=4, rate=RATE, burst=BURST, keys=KEYS,
                      answer="proxy origin")
MANY = CONFIG.format(workers=1, rate=1000000, burst=1000000, keys=KEYS,
                     answer="respond 200 ok")


def exact(load, proxy):
    """What passes of three times the rate, all of one key, over connections that all workers have."""
    done = load(proxy.port, "--connections", 64, "--path", "/b/100", "--keys", 1, "--rate",
                RATE * OFFERED, "--seconds", SECONDS)
    due = RATE * done["seconds"] + BURST + 1
    return {"passed": done["2xx"], "refused": done["4xx"], "due": due, "failed": done["failed"]}


def many(load, proxy):
    """Memory before, with a million keys and with a million others; p99 with one key and among many
    in turn."""
    def fill(path):
        load(proxy.port, "--connections", 64, "--path", path, "--keys", KEYS, "--requests", KEYS,
             "--seconds", 300)
        return proxy.memory()

    def p99(keys):
        return load(proxy.port, "--connections", 64, "--path", "/b/100", "--keys", keys, "--rate",
                    CALM, "--seconds", 4)["p99"]
    load(proxy.port, "--connections", 64, "--path", "/b/100", "--keys", 1, "--requests", 20000)
    row = {"before": proxy.memory()}
    row["filled"] = fill("/b/100")
    row["twice"] = fill("/c/100")
    row["one"], row["many"] = [], []
    for _ in range(PAIRS):
        row["one"].append(p99(1))
        row["many"].append(p99(KEYS))
    return row


def show(first, second):
    ok = {True: "ok", False: "MISSED"}
    off = abs(first["passed"] - first["due"]) / first["due"]
    print(f"rate: {RATE} r/s over 4 workers, {OFFERED} times as many offered for {SECONDS} s: "
          f"{first['passed']} passed, {first['due']:.0f} were due, {first['refused']} were refused, "
          f"{first['failed']} failed")
    print(f"  off by {100 * off:.3f} %  (goal {100 * GOAL_RATE:.0f} % {ok[off <= GOAL_RATE]})")
    each = (second["filled"] - second["before"]) / KEYS
    more = (second["twice"] - second["filled"]) / KEYS
    print(f"  {KEYS} keys: {each:.1f} bytes each  (goal {GOAL_BYTES} {ok[each <= GOAL_BYTES]}); "
          f"as many again: {more:.1f} more each  (goal 1 {ok[more <= 1]})")
    ratio = statistics.median(many / one for one, many in zip(second["one"], second["many"]))
    print(f"  p99 at {CALM} r/s: {statistics.median(second['one']):.0f} us with one key, "
          f"{statistics.median(second['many']):.0f} us with {KEYS}: ratio {ratio:.2f}  "
          f"(goal {GOAL_P99} {ok[ratio <= GOAL_P99]})")
