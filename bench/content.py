# SPDX-License-Identifier: Apache-2.0
"""Encoded bodies: CPU per response of 100 KB of JSON, beside nginx at the same level; what a step
that is configured costs responses it leaves alone; looking up redirects. For script/bench."""
import json
import pathlib
import random
import statistics
import subprocess
import time

GOAL = 1.0  # of nginx, gzip at the same level
SIZE = 100 * 1024
CONNECTIONS = 16
LEVEL = 5

ORIGIN = """worker_processes 1;
daemon off;
pid {dir}/origin.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    sendfile on;
    default_type application/json;
    client_body_temp_path {dir}/ob; proxy_temp_path {dir}/op;
    fastcgi_temp_path {dir}/of; uwsgi_temp_path {dir}/ou; scgi_temp_path {dir}/os;
    server {{ listen 127.0.0.1:{port}; root {dir}/www; }}
}}
"""
WEIR = """workers 1
upstream origin {{
    server 127.0.0.1:{origin}
    keepalive 1024
}}
site * {{
    listen 127.0.0.1:{port}
    {line}
    proxy origin
}}
"""
# name: which proxy, what stands in its configuration, what clients accept
CASES = {
    "nginx gzip": ("nginx", None, "gzip"),
    "weir gzip": ("weir", f"compress gzip gzip_level={LEVEL} busy=100%", "gzip"),
    "weir br": ("weir", "compress br busy=100%", "br"),
    "weir zstd": ("weir", "compress zstd busy=100%", "zstd"),
    "weir, none": ("weir", "", "gzip"),
    "weir, not applying": ("weir", "compress gzip types=text/x-other", "gzip"),
    "weir, map of 100,000": ("weir", "redirect_map {dir}/moved.txt", "gzip"),
}


def make_json():
    chance = random.Random(1)
    rows = []
    while len(json.dumps(rows)) < SIZE:
        rows += [{"id": chance.randrange(10**6), "name": f"user {chance.randrange(1000)}",
                  "email": f"{chance.getrandbits(40):x}@example.com", "active": chance.random() < 0.5,
                  "score": round(chance.random() * 100, 2), "tags": chance.sample(
                      ["alpha", "beta", "gamma", "delta", "river", "weir"], 3)} for _ in range(20)]
    return json.dumps(rows)[:SIZE].encode()


def nginx_config(plain):
    return plain.replace("access_log off;", f"""access_log off;
    gzip on; gzip_comp_level {LEVEL}; gzip_types application/json; gzip_proxied any;
    gzip_min_length 1024;""", 1)


def ask(port, accept):
    done = subprocess.run(["curl", "-s", "-H", f"Accept-Encoding: {accept}", "-o", "-",
                           f"http://127.0.0.1:{port}/x.json"], capture_output=True, check=True)
    return len(done.stdout)


def load(port, accept, seconds):
    """Responses in that time; all good."""
    done = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
                           "-H", f"Accept-Encoding: {accept}", f"http://127.0.0.1:{port}/x.json"],
                          capture_output=True, text=True, check=True)
    assert "Non-2xx" not in done.stdout, done.stdout
    return next(int(line.split()[0]) for line in done.stdout.splitlines() if "requests in" in line)


def measure(make_proxy, plain_nginx, free_port, wait_port, directory, rounds, seconds):
    """make_proxy(name, origin, directory, config); -> {case: {"cpu", "bytes"}}"""
    www = pathlib.Path(directory, "www")
    www.mkdir(exist_ok=True)
    www.chmod(0o755)
    pathlib.Path(directory).chmod(0o755)
    (www / "x.json").write_bytes(make_json())
    pathlib.Path(directory, "moved.txt").write_text(
        "".join(f"/old/{number:06d} /new/{number}\n" for number in range(100000)))
    port = free_port()
    config = pathlib.Path(directory, "content-origin.conf")
    config.write_text(ORIGIN.format(dir=directory, port=port))
    origin = subprocess.Popen(["taskset", "-c", "1", "/usr/sbin/nginx", "-c", str(config), "-p",
                               str(directory)], stderr=subprocess.DEVNULL)
    figures = {case: [] for case in CASES}
    sizes = {}
    try:
        wait_port(port, origin)
        for _ in range(rounds):
            for case, (name, line, accept) in CASES.items():
                text = nginx_config(plain_nginx) if line is None else WEIR.replace("{line}", line)
                proxy = make_proxy(name, port, directory, text)
                try:
                    sizes[case] = ask(proxy.port, accept)
                    load(proxy.port, accept, 1)
                    before = proxy.cpu()[0]
                    count = load(proxy.port, accept, max(1, int(seconds)))
                    figures[case].append((proxy.cpu()[0] - before) / max(count, 1))
                finally:
                    proxy.stop()
                time.sleep(0.1)
    finally:
        origin.terminate()
        origin.wait()
    return {case: {"cpu": statistics.median(values), "bytes": sizes[case]}
            for case, values in figures.items()}


def report(figures):
    nginx = figures["nginx gzip"]["cpu"]
    plain = figures["weir, none"]["cpu"]
    print(f"\n## Encoded bodies: 100 KB of JSON, gzip at level {LEVEL}, CPU per response\n")
    print("| case | bytes | µs | to nginx's gzip | over plain |\n|---|---:|---:|---:|---:|")
    for case, figure in figures.items():
        print(f"| {case} | {figure['bytes']} | {figure['cpu']:.1f} | {figure['cpu'] / nginx:.2f} | "
              f"{figure['cpu'] - plain:+.1f} µs |")
    ratio = figures["weir gzip"]["cpu"] / nginx
    print(f"\ngoal: weir's gzip at most {GOAL} of nginx's: {ratio:.2f} "
          f"{'reached' if ratio <= GOAL else 'MISSED'}")
