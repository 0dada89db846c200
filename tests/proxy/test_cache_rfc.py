# SPDX-License-Identifier: Apache-2.0
"""The rows of cache_rows.py, all at once against one weir: most of their time is waiting for
something to become stale."""
import concurrent.futures
import re
import threading
import time

import pytest

from cache_rows import A, ROWS, text_of
from client import Client
from origin import Origin
from patience import until
from weir import Weir

CONFIG = """
workers 2
cache pages {
    memory 64MiB
}
site errors {
    listen @listen
    cache pages errors=on stale_if_error=0s
    proxy @app
}
site * {
    listen @listen
    cache pages stale_if_error=0s
    proxy @app
}
"""
AT_ONCE = 64


class Server:
    """Answers each request of a row as its step says; knows what it was asked."""

    def __init__(self):
        self.steps = {}  # number of a row: (its step now, the requests of that)
        self.lock = threading.Lock()

    def __call__(self, request, connection):
        number = int(re.match(r"/row(\d+)", request.target).group(1))
        step, seen, path = self.steps[number]
        with self.lock:
            seen.append(request)
        status, body = step.status, step.body
        conditional = request.get("if-none-match") or request.get("if-modified-since")
        if status == 304 and not conditional:
            status = 200
        lines = [f"HTTP/1.1 {code} Interim\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n"
                 for code, fields in step.interim]
        lines.append(f"HTTP/1.1 {status} Because\r\n")
        names = {name.lower() for name, _ in step.r}
        for name, value in step.r:
            lines.append(f"{name}: {text_of(value).replace('{path}', path)}\r\n")
        if "date" not in names:
            lines.append(f"Date: {text_of(('date', 0))}\r\n")
        chunked = "transfer-encoding" in names
        bare = status in (204, 304)
        if not bare and not chunked and "content-length" not in names:
            lines.append(f"Content-Length: {len(body)}\r\n")
        text = "".join(lines).encode("latin-1") + b"\r\n"
        if request.method != "HEAD" and not bare:
            text += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
        if step.cut is not None:
            head, _, rest = text.partition(b"\r\n\r\n")
            connection.send(text[:len(head) + 4 + 3] if step.cut else b"")
            connection.close()
            return
        connection.send(text)
        if "close" in "".join(value for name, value in step.r if name == "Connection"):
            connection.close()


def differs(step, response):
    for name, wanted in {"status": None, **step.see}.items():
        if name == "status":
            got = response.status
            if wanted is None:
                if step.source == "origin" and "status" not in step.see and step.cut is None:
                    wanted = step.status
                else:
                    continue
        elif name == "body":
            got = response.body
        else:
            values = response.all(name)
            got = ", ".join(values) if values else None
        if wanted is A:
            continue
        good = wanted(got) if callable(wanted) else got == wanted
        if not good:
            return f"{name} is {got!r}"
    return None


def ask(weir, step, path):
    with Client(("127.0.0.1", weir.port)) as client:
        client.request(path + step.path, step.method, fields=step.q, body=step.body_sent, host=step.host)
        try:
            return client.response(step.method)
        except Exception:  # noqa: BLE001: it was cut
            if step.cut is None:
                raise
            return None


def run(weir, server, number):
    """None, or what was wrong. What a second is too short for shows nothing and is made again."""
    pauses = sum(step.then for step in ROWS[number][2])
    for attempt in range(6):
        began = time.monotonic()
        wrong = run_once(weir, server, number, f"/row{number}/{attempt}")
        if wrong is None or time.monotonic() - began < pauses + 0.3:
            break
    return wrong


def run_once(weir, server, number, path):
    _, _, steps = ROWS[number]
    for i, step in enumerate(steps):
        seen = []
        server.steps[number] = (step, seen, path)
        response = ask(weir, step, path)
        if step.source == "background":
            until(lambda: seen, f"{path}: the server is asked behind the answer")
        if step.then:
            time.sleep(step.then)
        asked = len(seen)
        where = f"step {i + 1}"
        if step.source == "cache" and asked:
            return f"{where}: the server was asked"
        if step.source in ("origin", "validated", "background") and not asked:
            return f"{where}: the server was not asked"
        if step.source == "validated" and not (seen[0].get("if-none-match")
                                               or seen[0].get("if-modified-since")):
            return f"{where}: the server was asked without a condition"
        wrong = differs(step, response) if response is not None else None
        if wrong:
            return f"{where}: {wrong}"
    return None


@pytest.fixture(scope="module")
def results():
    server = Server()
    with Origin(script=server) as origin, Weir(CONFIG, app=origin) as weir:
        # Those that wait come first, so that the others run meanwhile.
        order = sorted(range(len(ROWS)), key=lambda n: -sum(step.then for step in ROWS[n][2]))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip(order, pool.map(lambda n: run(weir, server, n), order)))
        origin.complaints.clear()  # rows have fields that a strict server would not send
        yield found


# What is not demanded and decided otherwise, and why.
DECIDED = {
}


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[name for name, _, _ in ROWS])
def test_row(results, number):
    name, need, _ = ROWS[number]
    wrong = results[number]
    if name in DECIDED:
        assert wrong, f"{name} is not decided otherwise any more: {DECIDED[name]}"
        return
    if need == "check":  # to know what it does; both are allowed
        return
    assert wrong is None, wrong


def test_rows_are_many():
    names = [name for name, _, _ in ROWS]
    assert len(set(names)) == len(names)
    needs = [need for _, need, _ in ROWS]
    assert needs.count("must") >= 120 and needs.count("good") >= 105
