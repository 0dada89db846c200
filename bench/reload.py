#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reloads under load: weir beside nginx and haproxy.

    bench/reload.py [weir|nginx|haproxy]… [--reloads N] [--seconds S] [--rate R] [--sockets W]

An open loop of HTTP/1.1 with an id on every request and a ledger of what clients and servers saw,
HTTP/2 over TLS by h2load, and WebSockets that are spoken to all the time. Half of the reloads change
routes, servers and the certificate. First a calm run of a quarter of the time, for its p99. Prints a
line of JSON for each proxy; with --goals the exit code says whether weir's are met."""
import argparse
import asyncio
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "proxy"))
import pki  # noqa: E402

LEDGER = ROOT / "build" / "bench" / "ledger"
PORT, SECURE, ONE, TWO, SOCKETS = 9411, 9412, 9421, 9422, 9423
SIZE = 8 * 1024 * 1024
UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def servers(turn):
    return [[ONE, TWO], [ONE], [ONE, TWO], [TWO]][turn % 4]


def weir_config(turn, directory):
    lines = "".join(f"    server 127.0.0.1:{port}\n" for port in servers(turn))
    return (f"workers 2\nupstream app {{\n{lines}}}\nupstream sockets {{\n    server 127.0.0.1:{SOCKETS}\n}}\n"
            f"site * {{\n    listen 127.0.0.1:{PORT} plain\n    listen 127.0.0.1:{SECURE} tls\n"
            f"    tls {directory}/a.pem key={directory}/a.key\n"
            f"    route /ws {{\n        proxy sockets\n    }}\n"
            f"    route /turn{turn} {{\n        respond 200 {turn}\n    }}\n    proxy app\n}}\n")


def nginx_config(turn, directory):
    lines = "".join(f"server 127.0.0.1:{port};" for port in servers(turn))
    where = ("proxy_http_version 1.1; proxy_set_header Connection $up; proxy_set_header Upgrade $http_upgrade;"
             "proxy_next_upstream error timeout;")
    site = (f"location = /ws {{ proxy_pass http://127.0.0.1:{SOCKETS}; proxy_read_timeout 600s; {where} }}"
            f"location /turn{turn} {{ return 200 {turn}; }}"
            f"location / {{ proxy_pass http://app; {where} }}")
    return (f"worker_processes 2; pid {directory}/nginx.pid; error_log stderr crit; worker_rlimit_nofile 20000;"
            f"events {{ worker_connections 8000; }} http {{ access_log off; keepalive_requests 1000000;"
            f"map $http_upgrade $up {{ default upgrade; '' ''; }}"
            f"upstream app {{ {lines} keepalive 100; }}"
            f"server {{ listen 127.0.0.1:{PORT} reuseport; {site} }}"
            f"server {{ listen 127.0.0.1:{SECURE} ssl http2 reuseport; ssl_certificate {directory}/a.pem;"
            f"ssl_certificate_key {directory}/a.key; {site} }} }}")


def haproxy_config(turn, directory):
    lines = "".join(f"    server s{port} 127.0.0.1:{port}\n" for port in servers(turn))
    return (f"global\n    nbthread 2\n    maxconn 8000\n    stats socket {directory}/stats level admin expose-fd listeners\n"
            f"defaults\n    mode http\n    timeout connect 3s\n    timeout client 60s\n    timeout server 60s\n"
            f"    timeout tunnel 600s\n    option redispatch\n    retries 2\n"
            f"frontend f\n    bind 127.0.0.1:{PORT}\n    bind 127.0.0.1:{SECURE} ssl crt {directory}/both.pem alpn h2,http/1.1\n"
            f"    http-request return status 200 if {{ path /turn{turn} }}\n"
            f"    use_backend sockets if {{ path /ws }}\n    default_backend app\n"
            f"backend sockets\n    server ws 127.0.0.1:{SOCKETS}\nbackend app\n{lines}")


class Proxy:
    def __init__(self, name, directory):
        self.name, self.directory = name, directory
        self.file = pathlib.Path(directory) / f"{name}.conf"
        self.write(0)
        binary = os.environ.get("WEIR_BINARY", str(ROOT / "build" / "weir"))
        alone = ["--alone"] if name == "weir" and "--alone" in subprocess.run(
            [binary, "help", "run"], capture_output=True, text=True).stdout else []
        command = {"weir": [binary, "run", *alone, str(self.file)],
                   "nginx": ["nginx", "-c", str(self.file), "-e", "stderr", "-g", "daemon off;"],
                   "haproxy": ["haproxy", "-W", "-db", "-f", str(self.file)]}[name]
        self.log = open(f"{directory}/{name}.log", "w+b")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        until = time.monotonic() + 15
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", PORT), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{name} does not start: {open(self.log.name).read()[-2000:]}")

    def write(self, turn):
        text = {"weir": weir_config, "nginx": nginx_config, "haproxy": haproxy_config}[self.name](
            turn, self.directory)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.file)

    def reload(self):
        self.process.send_signal(signal.SIGUSR2 if self.name == "haproxy" else signal.SIGHUP)

    def memory(self):
        """Bytes of its own of all its processes, and how many there are."""
        pids, total = [self.process.pid], 0
        for pid in pids:
            try:
                pids += [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]
                text = open(f"/proc/{pid}/status").read()
                total += int(re.search(r"RssAnon:\s+(\d+)", text).group(1)) * 1024
            except (OSError, AttributeError):
                pass
        return total, len(pids)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Sockets(threading.Thread):
    """Clients and the server of the WebSockets, whose bytes come back as they are."""

    def __init__(self, count):
        super().__init__(daemon=True)
        self.count, self.alive, self.lost, self.is_over = count, 0, 0, False
        self.is_open = threading.Event()
        self.start()

    def run(self):
        asyncio.run(self.main())

    async def serve(self, reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
            while data := await reader.read(4096):
                writer.write(data)
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def speak(self, number):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            writer.write(UPGRADE)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in head:
                raise OSError(head)
            self.alive += 1
            while not self.is_over:
                text = b"%08d" % number
                writer.write(text)
                if await asyncio.wait_for(reader.readexactly(8), 10) != text:
                    raise OSError("differs")
                await asyncio.sleep(2)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            self.lost += 1

    async def main(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", SOCKETS, backlog=1024)
        while not self.is_open.is_set():
            await asyncio.sleep(0.05)
        tasks = []
        for number in range(self.count):
            tasks.append(asyncio.create_task(self.speak(number)))
            if number % 50 == 49:
                await asyncio.sleep(0.1)
        await asyncio.gather(*tasks)
        server.close()


def put_certificate(authority, directory):
    fresh = tempfile.mkdtemp(dir=directory)
    authority.write(fresh, "a.example", file="a")
    both = pathlib.Path(fresh, "a.pem").read_bytes() + pathlib.Path(fresh, "a.key").read_bytes()
    pathlib.Path(fresh, "both.pem").write_bytes(both)
    for name in "a.key", "a.pem", "both.pem":
        os.replace(f"{fresh}/{name}", f"{directory}/{name}")
    os.rmdir(fresh)


def load(directory, rate, seconds, files):
    file = f"{directory}/client"
    pathlib.Path(file).unlink(missing_ok=True)
    return subprocess.Popen([str(LEDGER), "load", str(PORT), file, str(rate), str(seconds), *files],
                            stdout=subprocess.PIPE, text=True)


def clear(files):
    for file in files:
        with open(file, "r+b") as ledger:
            ledger.write(bytes(SIZE))


def measure(name, options):
    directory = tempfile.mkdtemp(prefix="weir-reload-")
    os.chmod(directory, 0o755)
    authority = pki.Authority("reload")
    put_certificate(authority, directory)
    files = [f"{directory}/one", f"{directory}/two"]
    origins = [subprocess.Popen([str(LEDGER), "origin", str(port), file])
               for port, file in zip((ONE, TWO), files)]
    time.sleep(0.3)
    sockets = Sockets(options.sockets)
    time.sleep(0.2)
    proxy = Proxy(name, directory)
    marks = []
    try:
        calm = load(directory, options.rate, max(options.seconds / 4, 2), files)
        before = json.loads(calm.communicate()[0])
        clear(files)
        sockets.is_open.set()
        until = time.monotonic() + 30
        while sockets.alive + sockets.lost < options.sockets and time.monotonic() < until:
            time.sleep(0.1)
        multiplexed = subprocess.Popen(
            ["h2load", "-c", "8", "-m", "4", "-D", str(int(options.seconds)), "--rps", str(options.rate // 32),
             f"https://127.0.0.1:{SECURE}/h2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        under = load(directory, options.rate, options.seconds, files)
        began = time.monotonic()
        for number in range(options.reloads):
            wait = began + number * options.seconds / options.reloads - time.monotonic()
            time.sleep(max(wait, 0))
            if number % 2:
                put_certificate(authority, directory)
                proxy.write(number)
            proxy.reload()
            if number in (options.reloads // 2, options.reloads - 1):
                marks.append(proxy.memory())
        after = json.loads(under.communicate()[0])
        text = multiplexed.communicate()[0]
        time.sleep(1)
        marks.append(proxy.memory())
        h2 = re.search(r"requests: (\d+) total.*?(\d+) succeeded, (\d+) failed, (\d+) errored", text)
        sockets.is_over = True
        sockets.join(15)
        applied = open(proxy.log.name, "rb").read().count(b'"reload_applied"')
    finally:
        proxy.stop()
        for origin in origins:
            origin.kill()
    failed = after["requests"] - after["good"]
    statuses = {key: value for key, value in after["status"].items() if key not in ("0", "200")}
    result = {"proxy": name, "reloads": options.reloads, "requests": after["requests"],
              "failed": failed, "statuses": statuses,
              **{key: after[key] for key in after if re.match(r"(get|post)_", key) and after[key]},
              "p99_calm_ms": before["p99_ms"], "p99_ms": after["p99_ms"], "max_ms": after["max_ms"],
              "h2_requests": int(h2.group(1)) if h2 else 0,
              "h2_failed": int(h2.group(3)) + int(h2.group(4)) if h2 else -1,
              "sockets": sockets.alive, "sockets_lost": sockets.lost,
              "memory_half_mib": round(marks[0][0] / 2**20, 2),
              "memory_end_mib": round(marks[1][0] / 2**20, 2),
              "processes_end": marks[1][1]}
    if name == "weir":
        result["applied"] = applied
    shutil.rmtree(directory, ignore_errors=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("proxies", nargs="*", default=["weir"])
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=3000)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--goals", action="store_true")
    options = parser.parse_args()
    is_good = True
    for name in options.proxies or ["weir"]:
        result = measure(name, options)
        print(json.dumps(result), flush=True)
        if name == "weir":
            is_good = (result["failed"] == 0 and result["h2_failed"] == 0 and result["sockets_lost"] == 0
                       and result["applied"] == options.reloads
                       and result["p99_ms"] <= 1.5 * result["p99_calm_ms"]
                       and abs(result["memory_end_mib"] - result["memory_half_mib"]) <= 2)
    return 0 if is_good or not options.goals else 1


if __name__ == "__main__":
    sys.exit(main())
