# SPDX-License-Identifier: Apache-2.0
"""TLS with clients: CPU per request and per handshake, memory of idle connections. For script/bench."""
import json
import pathlib
import statistics
import subprocess
import time

# name: mode of the load, connections, path, goal to nginx, to haproxy, to the better of both, to the floor
CASES = {
    "tls-keepalive": ("keepalive", 64, "/b/100", 0.85, 0.85, None, 1.15),
    "tls-10KB": ("keepalive", 64, "/b/10240", None, None, None, 1.15),
    "tls-handshake": ("full", 16, "/b/100", None, None, 1.0, 1.15),
    "tls-resumed": ("resumed", 16, "/b/100", None, None, 1.0, 1.15),
}
IDLE_CASE = "tls-idle"
IDLE = {"idle": 2000, "crowd": 1000}  # mode of the load: connections
IDLE_GOAL = 16384
CONFIGS = {
    "weir": """workers 1
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
    "nginx": ("listen 127.0.0.1:{port} backlog=4096;",
              "listen 127.0.0.1:{port} ssl backlog=4096;\n"
              "        ssl_certificate {dir}/bench.pem; ssl_certificate_key {dir}/bench.pem;\n"
              "        ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve X25519:P-256;\n"
              "        ssl_session_cache off; ssl_session_tickets on; ssl_buffer_size 16k;"),
    "haproxy": ("bind 127.0.0.1:{port}",
                "bind 127.0.0.1:{port} ssl crt {dir}/bench.pem curves X25519:P-256 ssl-min-ver TLSv1.2"),
}


def config_of(name, plain):
    """What a proxy is told: its configuration for clear text, with TLS in the place of it."""
    if name not in plain or name == "weir":
        return CONFIGS.get(name)
    before, after = CONFIGS[name]
    assert before in plain[name]
    return plain[name].replace(before, after)


def prepare(directory):
    """A key on P-256 and its certificate, in one file."""
    file = pathlib.Path(directory, "bench.pem")
    key = pathlib.Path(directory, "bench.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "30", "-subj", "/CN=bench.example", "-addext",
                    "subjectAltName=DNS:bench.example", "-keyout", str(key), "-out", str(file)],
                   check=True, capture_output=True)
    file.write_text(file.read_text() + key.read_text())
    file.chmod(0o644)


def load(tool, port, mode, connections, path, seconds):
    done = subprocess.run(["taskset", "-c", "1", str(tool), "--mode", mode, "--connections",
                           str(connections), "--path", path, "--seconds", str(seconds), str(port)],
                          capture_output=True, text=True, timeout=700)
    if not done.stdout:
        raise SystemExit("load_tls: " + done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(tool, proxy, case, seconds):
    mode, connections, path = CASES[case][:3]
    load(tool, proxy.port, mode, connections, path, min(0.3, seconds))
    before = proxy.cpu()
    result = load(tool, proxy.port, mode, connections, path, seconds)
    after = proxy.cpu()
    count = max(result["requests"], 1)
    total, user, kernel = ((b - a) / count for a, b in zip(before, after))
    ticks = user + kernel
    wrong = {"full": result["resumed"], "resumed": result["handshakes"] - result["resumed"] - connections,
             "keepalive": 0}[mode]
    return {"cpu": total, "user": total * user / ticks if ticks else 0.0, "rate": result["rate"],
            "failed": result["failed"] + max(wrong, 0)}


def idle(tool, proxy, mode):
    """Bytes per connection that has had one answer and is silent."""
    load(tool, proxy.port, "keepalive", 50, "/b/100", 0.5)
    time.sleep(0.5)
    before = proxy.memory()
    holder = subprocess.Popen([str(tool), "--mode", mode, "--connections", str(IDLE[mode]), "--path", "/b/100",
                               "--seconds", "40", str(proxy.port)], stdout=subprocess.PIPE, text=True)
    try:
        held = json.loads(holder.stdout.readline())["held"]
        time.sleep(1)
        return (proxy.memory() - before) / max(held, 1)
    finally:
        holder.kill()
        holder.wait()


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def against(value, other, goal):
    ratio = value / other
    return f"{ratio:5.2f}" + (f" ({goal:.2f}{' ok' if ratio <= goal else ' MISSED'})" if goal else "")


def show(results):
    names = list(next(iter(results.values())))
    print(f"{'case':14}" + "".join(f"{n + ' us (user)':>20}{'req/s':>8}" for n in names)
          + "".join(f"{'to ' + n:>16}" for n in ("nginx", "haproxy", "the better", "floor")))
    for case, by_name in results.items():
        goals = CASES[case][3:]
        line = f"{case:14}"
        for name in names:
            rows = by_name[name]
            line += f"{median(rows, 'cpu'):12.1f} ({median(rows, 'user'):4.1f}){median(rows, 'rate'):8.0f}"
        if "weir" in by_name:
            cpu = {name: median(rows, "cpu") for name, rows in by_name.items()}
            others = (cpu["nginx"], cpu["haproxy"], min(cpu["nginx"], cpu["haproxy"]), cpu["floor"])
            line += "".join(f"{against(cpu['weir'], other, goal):>16}" for other, goal in zip(others, goals))
        failed = sum(row["failed"] for rows in by_name.values() for row in rows)
        print(line + (f"  {failed} FAILED" if failed else ""))


def show_idle(values):
    print(f"\nmemory per idle TLS connection (bytes, goal of weir {IDLE_GOAL}): come one after the other"
          f" ({IDLE['idle']}), and at once ({IDLE['crowd']})")
    for name, by_mode in values.items():
        print(f"  {name:8}" + "".join(f" {by_mode[mode]:8.0f}" for mode in IDLE))
