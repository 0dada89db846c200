# SPDX-License-Identifier: Apache-2.0
"""Hits of a cache: weir beside nginx, haproxy and varnish, each with one thread on core 0; and how
often weir's way to choose who goes hits, beside plain LRU."""
import pathlib
import statistics
import subprocess

# name: connections, path, goals (CPU of a request to that of the other)
CASES = {
    "cache-1KB": (64, "/b/1024", {"nginx": 0.55, "haproxy": 0.75, "varnish": 0.45}),
    "cache-10KB": (64, "/b/10240", {}),
    "cache-1MB": (16, "/b/1048576", {}),
    "cache-disk-256KB": (16, "/b/262144", {}),
}
NAMES = {"cache-disk-256KB": ["weir", "nginx"]}  # haproxy has none; varnish maps files into memory
TRACE = "cache-trace"
PACKAGE = ("varnishd", "varnish")

CONFIGS = {
    "weir": """workers 1
cache bench {{
    memory 256MiB
}}
upstream origin {{
    server 127.0.0.1:{origin}
}}
site * {{
    listen 127.0.0.1:{port}
    cache bench ttl=1h
    proxy origin
}}
""",
    "weir-disk": """workers 1
cache bench {{
    dir    {dir}/weir-cache
    memory 64KiB
}}
upstream origin {{
    server 127.0.0.1:{origin}
}}
site * {{
    listen 127.0.0.1:{port}
    cache bench ttl=1h
    proxy origin
}}
""",
    "nginx": """worker_processes 1;
daemon off;
pid {dir}/nginx-cache.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    proxy_cache_path {dir}/nginx-cache levels=1:2 keys_zone=bench:16m use_temp_path=off;
    open_file_cache max=1000 inactive=600s;
    open_file_cache_valid 600s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_cache bench;
            proxy_cache_valid 200 1h;
            proxy_cache_lock on;
        }}
    }}
}}
""",
    "haproxy": """global
    nbthread 1
    maxconn 9000
    ulimit-n 19990
defaults
    mode http
    timeout client 600s
    timeout server 600s
    timeout connect 3s
    option http-keep-alive
cache bench
    total-max-size 256
    max-object-size 4194304
    max-age 3600
frontend bench
    bind 127.0.0.1:{port}
    http-request cache-use bench
    default_backend origin
backend origin
    http-response set-header Cache-Control max-age=3600
    http-response cache-store bench
    server origin 127.0.0.1:{origin}
""",
    "varnish": """vcl 4.1;
backend default {{
    .host = "127.0.0.1";
    .port = "{origin}";
}}
""",
}


def varnish_command(path, port, directory):
    return ["/usr/sbin/varnishd", "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", str(path), "-s",
            "malloc,256m", "-n", f"{directory}/varnish", "-p", "default_ttl=3600", "-p", "thread_pools=1"]


def measure(proxy, load, case, seconds):
    connections, path, _ = CASES[case]
    arguments = ["--connections", connections, "--path", path]
    load(proxy.port, *arguments, "--seconds", min(0.5, seconds))
    before = proxy.cpu()
    result = load(proxy.port, *arguments, "--seconds", seconds)
    after = proxy.cpu()
    requests = max(result["requests"], 1)
    cpu, user, kernel = ((b - a) / requests for a, b in zip(before, after))
    ticks = user + kernel
    return {"cpu": cpu, "user": cpu * user / ticks if ticks else 0.0, "rate": result["rate"],
            "failed": result["failed"]}


def measure_all(start, load, origin, directory, cases, rounds, seconds, say, weir=True):
    """Case, then proxy, then rounds. `start`(name, config) starts a proxy."""
    results = {}
    names = (["weir"] if weir else []) + ["nginx", "haproxy", "varnish"]
    for is_disk in (False, True):
        wanted = [case for case in cases if ("disk" in case) == is_disk]
        mine = [name for name in names if not is_disk or name in NAMES[wanted[0]]] if wanted else []
        proxies = []
        try:
            for name in mine:
                config = CONFIGS["weir-disk" if is_disk and name == "weir" else name]
                proxies.append(start(name, config))
            for case in wanted:
                results[case] = {name: [] for name in mine}
            for number in range(rounds):
                for case in wanted:
                    for proxy in proxies:
                        results[case][proxy.name].append(measure(proxy, load, case, seconds))
                    say(f"round {number + 1}/{rounds} {case}: " + ", ".join(
                        f"{name} {results[case][name][-1]['cpu']:.1f} us" for name in mine))
        finally:
            for proxy in proxies:
                proxy.stop()
    return results


def show(results):
    print("hits of a cache: CPU of a request in us (user), failed")
    for case, rows in results.items():
        goals = CASES[case][2]
        line = f"{case:18}"
        middle = {name: statistics.median(row["cpu"] for row in found) for name, found in rows.items()}
        for name, found in rows.items():
            user = statistics.median(row["user"] for row in found)
            failed = sum(row["failed"] for row in found)
            line += f"  {name} {middle[name]:.2f} ({user:.2f})" + (f" FAILED {failed}" if failed else "")
        for name in rows:
            if name == "weir" or "weir" not in rows:
                continue
            ratio = middle["weir"] / middle[name]
            goal = goals.get(name)
            line += f"  /{name} {ratio:.2f}"
            if goal:
                line += f" (goal {goal}, {'ok' if ratio <= goal else 'MISSED'})"
        print(line)


def measure_trace(tool):
    done = subprocess.run([pathlib.Path(tool)], capture_output=True, text=True, check=True)
    rows = []
    for line in done.stdout.splitlines():
        name, share, weir, lru, ns = line.split()
        rows.append({"trace": name, "share": int(share), "weir": float(weir), "lru": float(lru), "ns": float(ns)})
    print("share of requests that hit, by trace and part of all bytes that fits (goal: not below LRU)")
    for row in rows:
        print(f"  {row['trace']:16} {row['share']:3} %   weir {row['weir']:.3f}   LRU {row['lru']:.3f}   "
              f"{row['ns']:5.0f} ns   {'ok' if row['weir'] >= row['lru'] else 'MISSED'}")
    return rows
