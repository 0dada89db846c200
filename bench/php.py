# SPDX-License-Identifier: Apache-2.0
"""PHP's "hello" beside nginx: one PHP-FPM on core 1 with the load, the proxies in turn on core 0. nginx
is measured twice, as it is mostly set up and with pooled connections, as weir has them. For
script/bench."""
import os
import pathlib
import subprocess
import time

GOAL = 0.90  # of nginx's CPU per request, the better of the two
CONNECTIONS = 8
CHILDREN = 12
FPM = "/usr/sbin/php-fpm8.2"

WEIR = """workers 1
limits {{
    requests_per_connection off
}}
site * {{
    listen 127.0.0.1:{port}
    php unix:{dir}/fpm.sock root={dir}/www
}}
"""
NGINX = """worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    upstream php {{
        server unix:{dir}/fpm.sock;
        KEEP
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {dir}/www;
        location ~ \\.php$ {{
            try_files $uri =404;
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
            fastcgi_pass php;
            CONN
        }}
    }}
}}
"""
KEEP = {"KEEP": "keepalive 64;\n        keepalive_requests 100000000;",
        "CONN": "fastcgi_keep_conn on;\n            open_file_cache max=100;"}


def nginx(words):
    text = NGINX
    for word in ("KEEP", "CONN"):
        text = text.replace(word, words.get(word, ""))
    return text


def start(directory):
    place = pathlib.Path(directory, "www")
    place.mkdir(exist_ok=True)
    (place / "hello.php").write_text("<?php header('Content-Length: 5'); echo 'hello';\n")
    user = "user = nobody\ngroup = nogroup\n" if os.geteuid() == 0 else ""
    pathlib.Path(directory, "fpm.conf").write_text(
        f"[global]\nerror_log = {directory}/fpm.log\ndaemonize = no\n[www]\n{user}"
        f"listen = {directory}/fpm.sock\nlisten.mode = 0666\npm = static\n"
        f"pm.max_children = {CHILDREN}\n")
    process = subprocess.Popen(["taskset", "-c", "1", FPM, "-n", "-F", "-y", f"{directory}/fpm.conf"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        if pathlib.Path(directory, "fpm.sock").exists():
            break
        time.sleep(0.02)
    return process


def measure(Proxy, load, directory, rounds, seconds):
    """-> name: rounds. One proxy at a time: what one keeps open would keep PHP from the others."""
    kinds = {"weir": ("weir", WEIR), "nginx": ("nginx", nginx({})),
             "nginx-pooled": ("nginx", nginx(KEEP))}
    results = {name: [] for name in kinds}
    fpm = start(directory)
    try:
        for _ in range(rounds):
            for name, (kind, config) in kinds.items():
                proxy = Proxy(kind, 0, directory, config)
                try:
                    arguments = ["--connections", CONNECTIONS, "--path", "/hello.php"]
                    load(proxy.port, *arguments, "--seconds", 0.5)
                    before = proxy.cpu()
                    result = load(proxy.port, *arguments, "--seconds", seconds)
                    after = proxy.cpu()
                finally:
                    proxy.stop()
                results[name].append({"cpu": (after[0] - before[0]) / max(result["requests"], 1),
                                      "rate": result["rate"], "failed": result["failed"]})
    finally:
        fpm.terminate()
        fpm.wait()
    return results


def show(results, median):
    print(f"PHP's hello, {CONNECTIONS} connections: CPU of the proxy per request (us)")
    best = min(median(results[name], "cpu") for name in results if name != "weir")
    for name, rows in results.items():
        cpu = median(rows, "cpu")
        note = ""
        if name == "weir":
            note = f"   {cpu / best:.2f} of nginx (goal {GOAL}) {'ok' if cpu / best <= GOAL else 'MISSED'}"
        print(f"  {name:13} {cpu:7.1f}  {median(rows, 'rate'):8.0f}/s  failed "
              f"{sum(row['failed'] for row in rows)}{note}")
