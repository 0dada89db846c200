# SPDX-License-Identifier: Apache-2.0
"""Attempts to have the cache give somebody what was made for another: the server says in its answers
all that it was asked with, so whatever reaches it without being part of the key would be seen.

Poisoning: somebody asks with a mark in one place; then everybody's plain request must not show it.
Deception: somebody with a session is made to ask; then a stranger's same request must not show what
was said to the first. Beside each stands a neighbour that must be served from the cache, so that no
attempt fails only because nothing is stored at all."""
import concurrent.futures
import itertools
import re

import pytest

from client import Client
from origin import Origin, reply
from weir import Weir

CONFIG = """
workers 2
cache pages {
    memory 64MiB
}
site other.test {
    listen @listen
    cache pages ttl=5m
    proxy @app
}
site * {
    listen @listen
    cache pages ttl=5m
    proxy @app
}
"""
EVIL, SECRET = "evil7", "secret9"
PLAIN = "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"


def server(request, connection):
    """Says what it sees; the path says how."""
    fields = [("Cache-Control", "max-age=600")]
    body = f"{request.method} {request.target}\n".encode("latin-1")
    for name, value in request.fields:
        body += f"{name}: {value}\n".encode("latin-1")
    body += request.body
    status = 200
    if "deceive" in request.target:
        fields = {"private": [("Cache-Control", "private")], "store": [("Cache-Control", "no-store")],
                  "cookie": [("Cache-Control", "max-age=600"), ("Set-Cookie", "id=" + (request.get("cookie") or "new"))],
                  "vary": [("Cache-Control", "max-age=600"), ("Vary", "Cookie")],
                  "auth": [("Cache-Control", "max-age=600")]}[
                      re.search(r"deceive-([a-z]+)", request.target).group(1)]
    elif "encoding" in request.target:
        accepted = request.get("accept-encoding") or ""
        coding = next((c for c in ("br", "zstd", "gzip") if c in accepted.lower()), None)
        fields.append(("Vary", "Accept-Encoding"))
        if coding:
            fields.append(("Content-Encoding", coding))
            body = b"packed " + coding.encode() + b" " + EVIL.encode()
        else:
            body = b"plain"
    elif "vary" in request.target:
        fields.append(("Vary", "A, B"))
    elif "fails" in request.target:
        bad = request.get("x-bad") or request.get("x-http-method-override")
        if bad or sum(len(v) for _, v in request.fields) > 4000 or "evil" in body.decode("latin-1"):
            status, body = int(re.search(r"fails-(\d+)", request.target).group(1)), EVIL.encode()
    connection.send(reply(status, body, fields).head(request.method) + (b"" if request.method == "HEAD" else body))


ATTEMPTS = []  # name, what the attacker sends, what everybody sends, what must not be in the answer


def poison(name, attack, plain=PLAIN, mark=EVIL):
    ATTEMPTS.append((name, attack, plain, mark))


# --- Fields that say something about the request and are no part of the key ---
UNKEYED = """X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Scheme X-Forwarded-Port X-Forwarded-Prefix
    X-Forwarded-Path X-Forwarded-Uri X-Forwarded-Server X-Forwarded-For X-Forwarded-By X-Forwarded-Ssl
    X-Forwarded Forwarded Forwarded-For X-Real-IP X-Client-IP True-Client-IP X-Original-URL X-Rewrite-URL
    X-Original-URI X-Original-Host X-Original-Method X-Host X-HTTP-Host-Override X-HTTP-Method
    X-HTTP-Method-Override X-Method-Override Front-End-Https X-Url-Scheme X-Scheme""".split()
for field in UNKEYED:
    for kind, value in (("name", EVIL), ("host", EVIL + ".test:81"), ("path", "/" + EVIL),
                        ("list", f"a, {EVIL}, b"), ("quoted", f'host="{EVIL}"')):
        poison(f"field-{field}-{kind}", "GET {path} HTTP/1.1\r\nHost: test\r\n" + f"{field}: {value}\r\n\r\n")
    poison(f"field-{field.lower()}-lower",
           "GET {path} HTTP/1.1\r\nHost: test\r\n" + f"{field.lower()}: {EVIL}\r\n\r\n")

# --- Conditions and parts ---
for value in ("0-0", "0-0,2-2", "-1", "5-", "0-", "9999999-", "0-18446744073709551615", "-0", "1-0", "0-0,0-0",
              "9223372036854775807-", "00-1", "0-1,", ",", "0x0-1", "+0-1", "0-1;q=1", "0 - 1"):
    for unit in ("bytes", "Bytes", EVIL):
        poison(f"range-{unit}={value}",
               "GET {path} HTTP/1.1\r\nHost: test\r\n" + f"Range: {unit}={value}\r\nX-A: {EVIL}\r\n\r\n".replace(
                   f"X-A: {EVIL}\r\n", ""), mark=EVIL)
for field in ("If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"):
    for value in (f'"{EVIL}"', f'W/"{EVIL}"', EVIL, "*"):
        poison(f"condition-{field}-{value}",
               "GET {path} HTTP/1.1\r\nHost: test\r\n" + f"{field}: {value}\r\n\r\n")

# --- Bodies where none belong ---
for method in ("GET", "HEAD"):
    for kind, text in (("length", "Content-Length: 5\r\n\r\n" + EVIL),
                       ("chunked", "Transfer-Encoding: chunked\r\n\r\n5\r\n" + EVIL + "\r\n0\r\n\r\n"),
                       ("form", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=" + EVIL),
                       ("typed", f"Content-Type: text/{EVIL}\r\nContent-Length: 1\r\n\r\nx"),
                       ("none", f"Content-Length: 0\r\nContent-Type: {EVIL}/x\r\n\r\n")):
        if kind == "none":
            continue  # no body: its fields are those of any request
        poison(f"body-{method}-{kind}", method + " {path} HTTP/1.1\r\nHost: test\r\n" + text)

# --- Hosts ---
for host in ("other.test", "TEST.evil7", "test.evil7", "evil7", "test:81", "evil7:80", "test.evil7.", "evil7@test",
             "test, evil7", "test/evil7", "test#evil7", "test?evil7", "[::1]", "127.0.0.1", "test..", "test:0081",
             "te%73t.evil7", "xn--evil7", "test:evil7", "test\tevil7"):
    poison(f"host-{host}", "GET {path} HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
           mark=EVIL if EVIL in host else ("Host: " + host).lower())
    poison(f"host-absolute-{host}", "GET http://" + host + "{path} HTTP/1.1\r\nHost: test\r\n\r\n",
           mark=EVIL if EVIL in host else ("Host: " + host).lower())
    poison(f"host-beside-absolute-{host}", "GET http://test{path} HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
           mark=EVIL if EVIL in host else ("Host: " + host).lower())
    poison(f"host-second-{host}", "GET {path} HTTP/1.1\r\nHost: test\r\nHost: " + host + "\r\n\r\n",
           mark=EVIL if EVIL in host else ("Host: " + host).lower())

# --- Targets that are nearly the same ---
for suffix in ("?evil7", "?a=1&evil7", ";evil7", "%3fevil7", "%00evil7", "%0aevil7", "%0d%0aX:evil7", "%2fevil7",
               "/..;/evil7", "//evil7", "/%2e%2e/evil7", "\\evil7", "%5cevil7", "#evil7", "?utm_source=evil7",
               "?a=1;b=evil7", "?a=1&a=evil7", "?A=evil7", "?%61=evil7", "?a[]=evil7", "?callback=evil7",
               "??evil7", "?&evil7", "?a=%00evil7", "?a=1%26evil7", "/./evil7", "/evil7/../../x", "%c0%afevil7",
               "%u0061evil7", "+evil7", "|evil7", "~evil7", ".evil7", "/.evil7", "%20evil7", "%09evil7",
               "?x=1#evil7", "&evil7", "@evil7", ":evil7", "*evil7", "!evil7", "'evil7", "(evil7)"):
    poison(f"target-{suffix}", "GET {path}" + suffix + " HTTP/1.1\r\nHost: test\r\n\r\n")
for before in ("/./", "/a/..", "//", "/evil7/..", "/%2e", "/evil7/%2e%2e", "\\", "/evil7/..;", "/;evil7"):
    poison(f"target-before-{before}", "GET " + before + "{path} HTTP/1.1\r\nHost: test\r\n\r\n")

# --- Methods ---
for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "get", "GETevil7", "PURGE", "BAN"):
    poison(f"method-{method}", method + " {path}?x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nevil7",
           plain="GET {path}?x HTTP/1.1\r\nHost: test\r\n\r\n")
poison("method-HEAD", "HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n", mark="HEAD")

# --- Variants that pretend to be others ---
for a, b in itertools.product(("1", "", "1, 2", "1\x7c2", "1;B=evil7", '1"', "1 B: evil7", "1,"), ("evil7", "2, evil7", "evil7, ")):
    poison(f"vary-{a}-{b}", "GET {vary} HTTP/1.1\r\nHost: test\r\n" + f"A: {a}\r\nB: {b}\r\n\r\n",
           plain="GET {vary} HTTP/1.1\r\nHost: test\r\nA: 1\r\nB: 2\r\n\r\n")
for value in ("gzip", "br", "zstd", "gzip, br", "GZIP", "gzip;q=1", "gzip;q=0.001", "*", "br;q=1.0, *;q=0", "x-gzip",
              "gzip\tbr", "gzip,,br", ",gzip", "identity;q=0, gzip", "gzip;Q=0.5", "gzip ; q=0.5", "brevil7", "gzipper"):
    poison(f"encoding-{value}", "GET {encoding} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: " + value + "\r\n\r\n",
           plain="GET {encoding} HTTP/1.1\r\nHost: test\r\n\r\n")
    poison(f"encoding-none-{value}", "GET {encoding} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: " + value + "\r\n\r\n",
           plain="GET {encoding} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: identity, gzip;q=0, br;q=0\r\n\r\n")

# --- Errors that one provokes for all ---
for status in (400, 403, 405, 411, 413, 414, 429, 431, 500, 501, 502, 503):
    for kind, text in (("field", "X-Bad: 1\r\n"), ("method", "X-HTTP-Method-Override: POST\r\nX-Bad: 1\r\n"),
                       ("large", "X-Large: " + "x" * 4100 + "\r\n"), ("meta", "X-Bad: \x01\r\n"),
                       ("many", "".join(f"X-{i}: {'y' * 100}\r\n" for i in range(50)))):
        poison(f"fails-{status}-{kind}", "GET {fails-" + str(status) + "} HTTP/1.1\r\nHost: test\r\n" + text + "\r\n",
               plain="GET {fails-" + str(status) + "} HTTP/1.1\r\nHost: test\r\n\r\n")

# --- Deception: what was said to one who is logged in ---
for way in ("private", "store", "cookie", "vary", "auth"):
    for suffix in ("/x.css", ";x.css", "%3bx.css", "%0ax.css", "%00x.css", "?x.css", "%3fx.css", "%23x.css", "/..%2fx.js",
                   "/%2e%2e%2fstatic.js", "//x.png", "/.css", "%20x.css", "\\x.css", "%5cx.css", "/x.css/", "~x.css",
                   "$x.css", ",x.css", "/robots.txt", "/favicon.ico", "/static/../x.css", "%09x.css", "/x.avif"):
        session = f"Authorization: Bearer {SECRET}\r\n" if way == "auth" else f"Cookie: session={SECRET}\r\n"
        target = "{deceive-" + way + "}" + suffix
        poison(f"deceive-{way}-{suffix}", f"GET {target} HTTP/1.1\r\nHost: test\r\n{session}\r\n",
               plain=f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n", mark=SECRET)


def path_of(text, number):
    return re.sub(r"\{([a-z]+[-a-z0-9]*)\}", lambda m: f"/n{number}" + ("" if m.group(1) == "path" else "-" + m.group(1)),
                  text)


def ask(weir, text, method=None):
    """The whole answer as one text; "" when there is none."""
    with Client(("127.0.0.1", weir.port)) as client:
        client.send(text)
        try:
            response = client.response(method or text.split(" ", 1)[0])
        except Exception:  # noqa: BLE001: closed, as it does with what is no request
            return "", None
    head = "".join(f"{name}: {value}\n" for name, value in response.fields)
    return f"{response.status}\n{head}{response.body.decode('latin-1')}", response


def attempt(weir, number):
    _, attack, plain, mark = ATTEMPTS[number]
    plain = path_of(plain, number)
    ask(weir, path_of(attack, number))
    for _ in range(2):
        text, response = ask(weir, plain)
        if mark.lower() in text.lower():
            return "poisoned: " + text[:300]
        if response is None or (response.status not in (200, 400, 404) and "fails" in plain):
            return "not served: " + text[:300]
        if "n" + str(number) in plain and "GET /n" in plain and "deceive" not in plain and response.status == 200 \
                and f"/n{number}" not in text and "encoding" not in plain:
            return "another's: " + text[:300]
    return None


@pytest.fixture(scope="module")
def weir():
    with Origin(script=server) as origin, Weir(CONFIG, app=origin) as running:
        running.origin = origin
        yield running
        origin.complaints.clear()  # attackers' requests are not all such as a strict server likes


def test_attempts(weir):
    assert len(ATTEMPTS) >= 500
    assert len({name for name, *_ in ATTEMPTS}) == len(ATTEMPTS)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = dict(zip((name for name, *_ in ATTEMPTS),
                         pool.map(lambda n: attempt(weir, n), range(len(ATTEMPTS)))))
    wrong = {name: text for name, text in found.items() if text}
    assert not wrong, f"{len(wrong)} of {len(found)}: {dict(list(wrong.items())[:12])}"
    print(f"{len(found)} attempts, 0 wrong hits")


NEIGHBOURS = ["{path}?a=1", "{path}/x.css", "{path}?a=1;b=2", "{path}?utm_source=a", "{path};a", "{path}%20a", "{path}/",
              "{path}~a", "{path}?", "{path}/.a"]


@pytest.mark.parametrize("target", NEIGHBOURS)
@pytest.mark.parametrize("fields", ["", "Accept: */*\r\n", "Accept-Encoding: gzip\r\n", "User-Agent: a\r\n",
                                    "Cookie: a=b\r\n", "X-Forwarded-Host: a\r\n"])
def test_neighbours(weir, target, fields):
    """The same, meant well: the second is a hit."""
    number = 9000 + NEIGHBOURS.index(target) * 100 + len(fields)
    text = path_of(f"GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n", number)
    _, first = ask(weir, text)
    before = len(weir.origin.requests)
    _, second = ask(weir, text)
    assert first.status == second.status == 200
    assert len(weir.origin.requests) == before, second.fields
    assert "; hit" in second.get("cache-status")
