# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over TLS beside nginx, haproxy and the floor: fibers, libnghttp2 and OpenSSL with nothing above
them (bench/h2_floor.c). h2load asks, in one process on core 1. For script/bench."""
import re
import subprocess
import time

# name: connections, streams on each, goal to the floor, nginx, haproxy (CPU per request)
CASES = {
    "h2-8x32": (8, 32, 1.15, 0.50, 1.00),
    "h2-64x1": (64, 1, 1.15, 0.95, 0.95),
}
PEERS = ("h2_floor", "nginx", "haproxy")

CONFIGS = {
    "weir": """workers 1
limits {{
    requests_per_connection off
}}
upstream origin {{
    server 127.0.0.1:{origin}
    keepalive 1024
}}
site bench.example {{
    listen 127.0.0.1:{port}
    tls {dir}/bench.pem
    header set X-Bench 1 on=request
    proxy origin
}}
""",
    "nginx": """worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    http2_max_concurrent_streams 128;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 1024;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=4096;
        ssl_certificate {dir}/bench.pem;
        ssl_certificate_key {dir}/bench.pem;
        ssl_protocols TLSv1.3;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Bench 1;
        }}
    }}
}}
""",
    "haproxy": """global
    nbthread 1
    maxconn 9000
    ulimit-n 19990
    tune.h2.max-concurrent-streams 128
defaults
    mode http
    timeout client 600s
    timeout server 600s
    timeout connect 3s
    option http-keep-alive
    http-reuse always
    option forwardfor
frontend bench
    bind 127.0.0.1:{port} ssl crt {dir}/bench.pem alpn h2 ssl-min-ver TLSv1.3
    http-request set-header X-Bench 1
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin} pool-max-conn -1
""",
}


PROBE = 2000  # requests that say how many fit into the time


def ask(proxy, case, count):
    """Sends so many requests; how long that took. Not by h2load's own clock (-D): before that it opens
    its connections, and sometimes it asks over those it has for ever and never opens the others."""
    connections, streams = CASES[case][:2]
    began = time.monotonic()
    out = subprocess.run(
        ["taskset", "-c", "1", "h2load", "-c", str(connections), "-m", str(streams), "-t", "1",
         "-n", str(count), "--connect-to", f"127.0.0.1:{proxy.port}",
         f"https://bench.example:{proxy.port}/b/100"],
        check=True, capture_output=True, text=True, timeout=300).stdout
    found = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed", out)
    done, good, failed = (int(text) for text in found.groups())
    if failed or good < count or done < count or "Application protocol: h2" not in out:
        raise SystemExit(f"{proxy.name}: {out}")
    return time.monotonic() - began


def measure(proxy, case, seconds):
    """CPU per request of one proxy in one round."""
    count = max(PROBE, round(PROBE / ask(proxy, case, PROBE) * seconds))
    before = proxy.cpu()
    took = ask(proxy, case, count)
    after = proxy.cpu()
    total, user, kernel = (b - a for a, b in zip(before, after))
    return {"cpu": total / count, "user": user / count, "kernel": kernel / count,
            "rate": count / took}


def show(results, median, ratio):
    """results: {case: {proxy: [row]}}"""
    for case, rows in results.items():
        names = [name for name in ("weir", *PEERS) if rows.get(name)]
        print(f"{case} over TLS, CPU per request (user):  " + "  ".join(
            f"{name} {median(rows[name], 'cpu'):.1f} us ({median(rows[name], 'user'):.1f})"
            for name in names))
        for peer, goal in zip(PEERS, CASES[case][2:]):
            if rows.get("weir") and rows.get(peer):
                to = ratio(median(rows['weir'], 'cpu'), median(rows[peer], 'cpu'), goal)
                print(f"    to {peer:8} {to}")
