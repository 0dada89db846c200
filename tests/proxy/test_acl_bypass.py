# SPDX-License-Identifier: Apache-2.0
"""What a rule for paths saw is what the server saw: 2,000 spellings against four servers."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import unquote_to_bytes

import pytest

import http1
from client import Client
from weir import Weir, free_port

HERE = pathlib.Path(__file__).resolve().parent
COUNT = 2000
TARGETS = ["/admin", "/admin/", "/admin/users", "/private/file.txt", "/api/v1/internal/keys"]
PIECES = ["/", "//", "./", "../", "x/../", "x/y/../../", "%2e/", "%2E/", "%2e%2e/", ".%2e/", "%2e./",
          "x/%2e%2e/", "x/.%2E/", ";/", ";x/", ";x=1/", ".;/", "..;/", "..;x/", "x/..;/", "%3b/",
          "%3B/", "%2f", "%2F", "%2f%2f", "%5c", "%5C", "\\", "..\\", "..%5c", "%00", "%20", "%09",
          "%0a", "%0d%0a", "\t", "%c0%ae/", "%c0%ae%c0%ae/", "%c0%af", "%e0%80%af", "%ef%bc%8f",
          "%u002f", "+", "%2b", "%252e/", "%252e%252e/", "%252f", "%25", "%", "%2", "%zz", ".../",
          "..../", "~/", "*/", "x/", "%7e/", "%7f", "%ff", "\xc3\xa4/", "%C3%A4/", "a:b@c/", "@/",
          "&/", "=/", "$/", "(/", "'/", "\"/", "%22/", "^/", "|/", "{/", "}/", "[/", "`/", "</"]
ENDINGS = ["", "/", ".", "..", "/.", "/..", "/./", "/../", "//", ";", ";a", "/;", "/;a=b", "%3b",
           "?", "?a", "?/../", "/?x=/../", "#", "#/..", "%23", "%3f", "%3F/..", ".json", ".php",
           "/index.php", "/index.php/x", "%20", "%09", "%00", "%0a", "%2e", "%2e%2e", "/%2e%2e/x",
           "~", "*", "%", "%ff", "\xff", "%252f", "%2f", "%5c", "\\", " ", "::$DATA", "%3a%3a$DATA"]
PREFIXES = ["", "/x/..", "/./.", "/", "//", "///", "/.", "/%2e", "/%2e%2e", "/x/%2e%2e", "/x//..",
            "/x/./..", "/;", "/;x", "/.;", "/..;", "/x/..;", "/\\", "/%5c", "\\", "/%2f", "/%00",
            "/~", "/%20", "/%09", "/..", "/../..", "http://test", "HTTP://TEST:80", "http://test/x/..",
            "https://test", "http://other.example", "//other.example", "test"]
CONFIG = """
site * {
    listen @listen
    header set X-Rule-Path "{path}" on=request
    route /admin/* {
        deny all
        proxy @app
    }
    route /private/* {
        deny all
        proxy @app
    }
    route ~^/api/v[0-9]+/internal {
        deny all
        proxy @app
    }
    proxy @app
}
"""
PROTECTED = re.compile(rb"(/admin|/private)(/|\Z)|/api/v[0-9]+/internal")


def respell(target, chance):
    """One random way to write it."""
    kind = chance.randrange(7)
    at = chance.randrange(1, len(target))
    if kind == 0:
        return target[:at] + "%%%02x" % ord(target[at]) + target[at + 1:]
    if kind == 1:
        return target[:at] + "%%%02X" % ord(target[at]) + target[at + 1:]
    if kind == 2:
        return target[:at] + "%%25%02x" % ord(target[at]) + target[at + 1:]
    if kind == 3:
        letter = target[at].upper() if target[at].isascii() else target[at]
        whole = target.upper() if target.isascii() else target
        return chance.choice([whole, target[:at] + letter + target[at + 1:]])
    slashes = [i + 1 for i, c in enumerate(target) if c == "/"]
    if kind == 4:
        at = chance.choice(slashes)
        return target[:at] + chance.choice(PIECES) + target[at:]
    if kind == 5:
        return target + chance.choice(ENDINGS)
    return chance.choice(PREFIXES) + target


def spellings():
    chance = random.Random(7)
    made = dict.fromkeys(TARGETS)
    for target in TARGETS:                       # each alone …
        made.update(dict.fromkeys(target + ending for ending in ENDINGS))
        made.update(dict.fromkeys(prefix + target for prefix in PREFIXES))
        made.update(dict.fromkeys("/" + piece + target[1:] for piece in PIECES))
    while len(made) < COUNT:                     # … and several together
        text = chance.choice(TARGETS)
        for _ in range(chance.randrange(1, 4)):
            text = respell(text, chance)
        made[text] = None
    made = list(made)[:COUNT]
    chance.shuffle(made)
    return made


SPELLINGS = spellings()
NGINX = """
daemon off; worker_processes 1; pid @dir/nginx.pid; error_log @dir/error.log crit;
events {}
http {
    access_log off;
    client_body_temp_path @dir/a; proxy_temp_path @dir/b; fastcgi_temp_path @dir/c;
    uwsgi_temp_path @dir/d; scgi_temp_path @dir/e;
    server {
        listen 127.0.0.1:@port;
        location / { return 200 "$request_uri\\n$http_x_rule_path\\n$uri"; }
    }
}
"""


class App:
    def __init__(self, name, directory):
        self.name = name
        self.port = free_port()
        env = dict(os.environ, PYTHONPATH=str(HERE / "apps"), PYTHONDONTWRITEBYTECODE="1")
        if name == "node":
            command = ["node", str(HERE / "apps" / "seen.js")]
        elif name == "gunicorn":
            command = [sys.executable, "-m", "gunicorn", "-w", "1", "--threads", "2",
                       "-b", f"127.0.0.1:{self.port}", "seen_wsgi:application"]
        elif name == "php":
            command = ["php", "-S", f"127.0.0.1:{self.port}", str(HERE / "apps" / "seen.php")]
        else:
            file = directory / "nginx.conf"
            file.write_text(NGINX.replace("@dir", str(directory)).replace("@port", str(self.port)))
            command = ["nginx", "-p", str(directory), "-e", str(directory / "error.log"), "-c",
                       str(file)]
        self.log = open(directory / "app.log", "wb")
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                                        stderr=self.log, start_new_session=True,
                                        stdout=subprocess.PIPE if name == "node" else self.log)
        if name == "node":
            self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"
        until = time.monotonic() + 60
        while True:
            assert self.process.poll() is None and time.monotonic() < until, name
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.log.close()

    def read(self, body):
        """The path as it came, as the rules saw it, as the server takes it; all bytes."""
        if self.name == "nginx":
            came, rule, served = body.split(b"\n", 2)
            return came.split(b"?")[0], rule, served
        return [part.encode("latin-1") for part in json.loads(body)]


def ask(weir, client, spelling):
    """One request; the connection is a new one after each that was closed. -> client, answer"""
    if client is None:
        client = Client(("127.0.0.1", weir.port))
    client.send(b"GET " + spelling.encode("latin-1") + b" HTTP/1.1\r\nHost: test\r\n\r\n")
    answer = client.response()
    if (answer.get("connection") or "").lower() == "close":
        client.close()
        client = None
    return client, answer


@pytest.mark.parametrize("name", ["node", "gunicorn", "php", "nginx"])
def test_what_the_rule_saw_is_what_the_server_saw(name, tmp_path):
    app = App(name, tmp_path)
    seen, denied, refused, mismatches = 0, 0, 0, []
    try:
        with Weir(CONFIG, app=app) as weir:
            client = None
            for spelling in SPELLINGS:
                client, answer = ask(weir, client, spelling)
                if answer.status == 403:
                    denied += 1
                    continue
                if answer.status in (400, 404, 414, 421):
                    refused += answer.get("proxy-status") is not None
                    if answer.get("proxy-status") is None:      # the server's own refusal
                        seen += 1
                    continue
                assert answer.status == 200, (spelling, answer.status)
                seen += 1
                came, rule, served = app.read(answer.body)
                if came != rule or unquote_to_bytes(rule) != served or PROTECTED.match(served):
                    mismatches.append((spelling, came, rule, served))
            if client is not None:
                client.close()
    finally:
        app.stop()
    print(f"{name}: {seen} seen by the server, {denied} denied, {refused} refused as malformed")
    assert not mismatches, (len(mismatches), mismatches[:10])
    assert min(seen, denied, refused) > COUNT // 10


def test_there_are_enough_of_them():
    assert len(set(SPELLINGS)) == COUNT
