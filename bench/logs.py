# SPDX-License-Identifier: Apache-2.0
"""What a log that is in trouble does to requests: the 99th percentile beside a full disk, and beside
one that has stopped, against one that works, in turn. And what everything that is told of a request
costs in CPU time, on beside off. For script/bench."""
import os
import statistics

RATE = 3000         # requests a second, open loop
SECONDS = 4
PAIRS = 5
GOAL_P99 = 2.0
GOAL_CPU = 1.0      # microseconds of a request: access log JSON beside none
FULL_CPU = 60000    # requests of a round that is measured so
CONFIG = """workers 1
{log}
upstream origin {{{{
    server 127.0.0.1:{{origin}}
    keepalive 1024
}}}}
site * {{{{
    listen 127.0.0.1:{{port}}
    header set X-Bench 1 on=request
    proxy origin
}}}}
"""
LOG = "log access {{{{\n    to {to}\n}}}}"
LOGS = {
    "none": "",
    "file": LOG.format(to="file:{dir}/access.log"),
    "full": LOG.format(to="file:/dev/full"),
    "stalled": LOG.format(to="file:{dir}/pipe"),
}


def measure(make, load, directory):
    """-> {what: [p99, …]}, {"failed": n}, {what: [CPU µs, …]}"""
    pipe = os.path.join(directory, "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # never read
    p99 = {name: [] for name in LOGS}
    cpu = {"none": [], "file": []}
    failed = 0
    proxies = {}
    try:
        for name, log in LOGS.items():
            proxies[name] = make(CONFIG.format(log=log))
            load(proxies[name].port, "--connections", 64, "--path", "/b/100", "--requests", 40000,
                 "--seconds", 60)
        for _ in range(PAIRS):
            for name, proxy in proxies.items():
                done = load(proxy.port, "--connections", 64, "--path", "/b/100", "--rate", RATE,
                            "--seconds", SECONDS)
                p99[name].append(done["p99"])
                failed += done["failed"]
            for name in cpu:
                before = proxies[name].cpu()[0]
                done = load(proxies[name].port, "--connections", 64, "--path", "/b/100", "--requests",
                            FULL_CPU, "--seconds", 60)
                cpu[name].append((proxies[name].cpu()[0] - before) / max(done["requests"], 1))
    finally:
        for proxy in proxies.values():
            proxy.stop()
        os.close(reader)
    return p99, failed, cpu


def show(p99, failed, cpu):
    ok = {True: "ok", False: "MISSED"}
    print(f"logs: {RATE} requests a second; p99 of a log that works "
          f"{statistics.median(p99['file']):.0f} us, of none {statistics.median(p99['none']):.0f} us; "
          f"{failed} failed  (goal 0 {ok[failed == 0]})")
    for name in ("full", "stalled"):
        ratio = statistics.median(bad / good for bad, good in zip(p99[name], p99["file"]))
        print(f"  {name} disk: p99 {statistics.median(p99[name]):.0f} us: ratio {ratio:.2f}  "
              f"(goal {GOAL_P99} {ok[ratio <= GOAL_P99]})")
    more = statistics.median(on - off for on, off in zip(cpu["file"], cpu["none"]))
    print(f"  CPU of a request: {statistics.median(cpu['none']):.2f} us without a log, "
          f"{statistics.median(cpu['file']):.2f} us with one: {more:.2f} more  "
          f"(goal {GOAL_CPU} {ok[more <= GOAL_CPU]})")
