# SPDX-License-Identifier: Apache-2.0
"""Static files beside nginx: the same files in the same run; nginx with sendfile, tcp_nopush and its
cache of open files, as weir has one. What is measured is CPU time of the server per request."""
import os
import pathlib

# name: connections, path, goal to nginx
CASES = {
    "files-1KB-64": (64, "/1k.html", 0.85),
    "files-1MB-16": (16, "/1m.bin", 0.85),
}
CONFIGS = {
    "weir": """workers 1
site * {{
    listen 127.0.0.1:{port}
    files {dir}/files
}}
""",
    "nginx": """worker_processes 1;
daemon off;
pid {dir}/nginx-files.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    open_file_cache max=1000 inactive=20s;
    open_file_cache_valid 1s;
    open_file_cache_errors on;
    types {{ text/html html; application/octet-stream bin; }}
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {dir}/files;
    }}
}}
""",
}


def prepare(directory):
    root = pathlib.Path(directory, "files")
    root.mkdir(exist_ok=True)
    for name, size in (("1k.html", 1024), ("1m.bin", 1024 * 1024)):
        (root / name).write_bytes(os.urandom(size // 2).hex().encode())
        (root / name).chmod(0o644)
    root.chmod(0o755)


def measure(load, proxy, case, seconds):
    connections, path, _ = CASES[case]
    arguments = ["--connections", connections, "--path", path]
    load(proxy.port, *arguments, "--seconds", min(0.3, seconds))
    before = proxy.cpu()
    result = load(proxy.port, *arguments, "--seconds", seconds)
    after = proxy.cpu()
    requests = max(result["requests"], 1)
    cpu, user, kernel = ((b - a) / requests for a, b in zip(before, after))
    ticks = user + kernel
    return {"cpu": cpu, "user": cpu * user / ticks if ticks else 0.0, "rate": result["rate"],
            "failed": result["failed"]}


def measure_all(make, load, directory, cases, rounds, seconds, say):
    """`make`: name, configuration -> a started server. -> case, then server, then rounds."""
    prepare(directory)
    servers = []
    results = {case: {name: [] for name in CONFIGS} for case in cases}
    try:
        for name in CONFIGS:
            servers.append(make(name, CONFIGS[name]))
        for number in range(rounds):
            for case in cases:
                for server in servers:
                    results[case][server.name].append(measure(load, server, case, seconds))
                say(f"round {number + 1}/{rounds} {case}: " + ", ".join(
                    f"{name} {results[case][name][-1]['cpu']:.1f} us" for name in CONFIGS))
    finally:
        for server in servers:
            server.stop()
    return results


def show(results, median, ratio):
    print(f"{'files':13}" + "".join(f"{n + ' us (user)':>20}{n + ' req/s':>15}" for n in CONFIGS)
          + f"{'to nginx (goal)':>22}")
    for case, by_name in results.items():
        line = f"{case:13}"
        for name, rows in by_name.items():
            line += f"{median(rows, 'cpu'):12.1f} ({median(rows, 'user'):4.1f}){median(rows, 'rate'):15.0f}"
        print(line + f"{ratio(median(by_name['weir'], 'cpu'), median(by_name['nginx'], 'cpu'), CASES[case][2]):>22}")
        failed = {name: sum(row["failed"] for row in rows) for name, rows in by_name.items()}
        if any(failed.values()):
            print(f"  failed requests: {failed}")
