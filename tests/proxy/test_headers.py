# SPDX-License-Identifier: Apache-2.0
"""What weir adds to, takes from and leaves in the fields of requests and responses."""
import re

import pytest

from origin import Origin, reply
from weir import SITE, Weir

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


@pytest.fixture(scope="module")
def pair():
    with Origin() as origin, Weir(SITE, app=origin) as weir:
        yield origin, weir


def seen(pair, fields=(), **rest):
    origin, weir = pair
    before = len(origin.requests)
    response = weir.ask(fields=fields, **rest)
    assert response.status == 200
    return origin.requests[before], response


def test_forwarded_fields_are_ours(pair):
    request, _ = seen(pair, [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"),
                             ("X-Forwarded-Host", "evil"), ("Forwarded", "for=6.6.6.6"),
                             ("X-Real-IP", "6.6.6.6")], host="site.example")
    assert request.all("x-forwarded-for") == ["127.0.0.1"]
    assert request.all("x-forwarded-proto") == ["http"]
    assert request.all("x-forwarded-host") == ["site.example"]
    assert "6.6.6.6" not in str(request.fields)


@pytest.mark.parametrize("name", ["x-forwarded-for", "X-FORWARDED-FOR", "X-Forwarded-For"])
def test_forged_in_any_spelling_or_number(pair, name):
    request, _ = seen(pair, [(name, "6.6.6.6"), (name, "7.7.7.7, 8.8.8.8")])
    assert request.all("x-forwarded-for") == ["127.0.0.1"]


def test_trusted_proxies(origin):
    config = "trusted_proxies 127.0.0.0/8 10.0.0.0/8\n" + SITE
    with Weir(config, app=origin) as weir:
        for sent, client in (("203.0.113.7", "203.0.113.7"),
                             ("203.0.113.7, 10.1.2.3", "203.0.113.7"),
                             ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
                             ("6.6.6.6, junk, 10.1.2.3", "10.1.2.3"),
                             ("10.1.1.1", "10.1.1.1")):
            response = weir.ask("/", fields=[("X-Forwarded-For", sent),
                                             ("X-Forwarded-Proto", "https")])
            assert response.status == 200
            request = origin.requests[-1]
            assert request.get("x-forwarded-for") == sent + ", 127.0.0.1"
            assert request.get("x-forwarded-proto") == "https"
            assert request.get("x-real-ip", client) == client


def test_client_ip_behind_trusted_proxies():
    config = "trusted_proxies 127.0.0.0/8\nsite * {\n listen @listen\n respond 200 {client_ip}\n}\n"
    with Weir(config) as weir:
        for sent, client in (("203.0.113.7", "203.0.113.7"), ("2001:db8::1", "2001:db8::1"),
                             ("1.1.1.1, 203.0.113.7", "203.0.113.7"), ("junk", "127.0.0.1"),
                             ("203.0.113.7, ", None), ("203.0.113.7:1234", "203.0.113.7"), (":80", "127.0.0.1"),
                             ("1.1.1.1, :80", "127.0.0.1"), ("[]:80", "127.0.0.1")):
            answer = weir.ask(fields=[("X-Forwarded-For", sent)]).body.strip().decode()
            assert answer == client or client is None and answer in ("203.0.113.7", "127.0.0.1")


def test_via(pair):
    request, response = seen(pair, [("Via", "1.0 fred")])
    assert [v.strip() for v in ", ".join(request.all("via")).split(",")][0] == "1.0 fred"
    assert re.search(r"\b1\.1 weir", request.all("via")[-1])
    assert re.search(r"\b1\.1 weir", response.all("via")[-1])


def test_loop():
    # It is its own idle client: that connection is only cut when the time to drain is over.
    config = "timeouts {\n drain 200ms\n}\nsite * {\n listen @listen\n proxy @listen\n}\n"
    with Weir(config) as weir:
        response = weir.ask()
        assert response.status == 508


def test_two_in_a_row_are_no_loop(origin):
    with Weir(SITE, app=origin) as inner:
        with Weir(SITE, app=inner) as outer:
            response = outer.ask()
            assert response.status == 200
    assert len(re.findall("weir", ", ".join(origin.requests[0].all("via")))) == 2


def test_request_id(pair):
    request, response = seen(pair)
    assert UUID7.match(request.get("x-request-id"))
    assert response.get("x-request-id") == request.get("x-request-id")
    other, _ = seen(pair)
    assert other.get("x-request-id") != request.get("x-request-id")


def test_request_id_of_a_stranger_is_replaced(pair):
    request, _ = seen(pair, [("X-Request-ID", "mine")])
    assert UUID7.match(request.get("x-request-id"))


def test_request_id_of_a_trusted_proxy_is_kept(origin):
    with Weir("trusted_proxies 127.0.0.1\n" + SITE, app=origin) as weir:
        response = weir.ask(fields=[("X-Request-ID", "theirs-1")])
        assert response.get("x-request-id") == "theirs-1"
    assert origin.requests[0].get("x-request-id") == "theirs-1"


HOP = [("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("TE", "trailers"),
       ("Trailer", "X-T"), ("Proxy-Authorization", "Basic eA=="), ("Upgrade", "foo")]


@pytest.mark.parametrize("name,value", HOP)
def test_hop_by_hop_of_requests(pair, name, value):
    request, _ = seen(pair, [(name, value)])
    assert not request.all(name)


def test_connection_listed_fields(pair):
    request, _ = seen(pair, [("X-Private", "a"), ("X-Other", "b"),
                             ("Connection", "x-private, keep-alive")])
    assert not request.all("x-private") and request.get("x-other") == "b"
    assert "x-private" not in request.tokens("connection")


def test_hop_by_hop_of_responses(pair):
    origin, weir = pair
    origin.on("/hop", reply(200, b"ok", [
        ("Connection", "X-Private, keep-alive"), ("X-Private", "a"), ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"), ("Trailer", "X-T"), ("Upgrade", "h2c"),
        ("Proxy-Authenticate", "Basic"), ("X-Other", "b")]))
    response = weir.ask("/hop")
    assert response.get("x-other") == "b"
    for name in ("x-private", "proxy-connection", "upgrade"):
        assert not response.all(name), name


def test_end_to_end_fields_are_untouched(pair):
    fields = [("Accept", "*/*"), ("Accept-Encoding", "gzip;q=0.5,  br"), ("Cookie", "a=b; c=d"),
              ("Cookie", "e=f"), ("User-Agent", "test/1 (\xe9)"), ("Authorization", "Bearer x.y"),
              ("X-Repeated", "1"), ("X-Repeated", "2"), ("If-None-Match", 'W/"a"'), ("X-Empty", ""),
              ("Range", "bytes=0-1"), ("Origin", "null"), ("Content-Type", "a/b;c=d")]
    request, _ = seen(pair, fields)
    names = {name for name, _ in fields}
    assert [(n, v) for n, v in request.fields if n in names] == fields


def test_response_fields_are_untouched(pair):
    origin, weir = pair
    fields = [("Set-Cookie", "a=b; Path=/"), ("Set-Cookie", "c=d"), ("Server", "old/1"),
              ("X-Powered-By", "x"), ("ETag", 'W/"x"'), ("Vary", "a"), ("Vary", "b"),
              ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("WWW-Authenticate", "Basic realm=x"),
              ("Content-Type", "text/html"), ("Cache-Control", "no-store")]
    origin.on("/fields", reply(200, b"ok", fields))
    response = weir.ask("/fields")
    names = {name for name, _ in fields}
    assert [(n, v) for n, v in response.fields if n in names] == fields


def test_no_server_field_of_our_own(pair):
    _, response = seen(pair)
    assert not response.all("server")


def test_date_is_added_once(pair):
    _, response = seen(pair)
    assert re.match(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\Z", response.get("date"))


def test_host_is_kept(pair):
    request, _ = seen(pair, host="shop.example:8080")
    assert request.get("host") == "shop.example:8080"


@pytest.mark.parametrize("wire", [
    b"TRACE / HTTP/1.1\r\nHost: test\r\n\r\n", b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n",
    b"CONNECT / HTTP/1.1\r\nHost: test\r\n\r\n"])
def test_trace_and_connect(pair, wire):
    origin, weir = pair
    before = len(origin.heads)
    with weir.connect() as client:
        client.send(wire)
        response = client.response()
        assert response.status in (405, 400 if wire.startswith(b"CONNECT /") else 405)
    assert len(origin.heads) == before


def test_lower_case_methods_are_other_methods(pair):
    origin, weir = pair
    response = weir.ask("/lower", "get")
    assert response.status == 200
    assert origin.requests[-1].method == "get"


def test_proxy_status_only_on_our_own_answers(pair):
    origin, weir = pair
    origin.on("/teapot", reply(418, b"short and stout"))
    assert not weir.ask("/teapot").all("proxy-status")
    origin.on("/dead", lambda request, connection: connection.close())
    response = weir.ask("/dead", "POST", body=b"")
    assert re.match(r"weir; error=[a-z_]+\Z", response.get("proxy-status"))
    assert response.get("x-request-id")


def test_what_clients_are_told_of_the_inside(origin):
    """Nothing, unless a line asks for it."""
    config = """upstream app {
    server @app
}
site * {
    listen @listen
    route /plain {
        proxy app
    }
    route /timed {
        server_timing
        proxy app
    }
    route /full {
        proxy_status full
        proxy app tries=1
    }
    route /silent {
        proxy_status off
        proxy app tries=1
    }
}
"""
    with Weir(config, app=origin) as weir:
        assert not weir.ask("/plain").all("server-timing")
        timing = weir.ask("/timed").get("server-timing")
        assert re.match(r"(?:connect;dur=\d+\.\d{3}, )?upstream;dur=\d+\.\d{3}, "
                        r"total;dur=\d+\.\d{3}\Z", timing), timing
        server = re.escape(origin.address)
        assert re.match(rf'weir; next-hop="{server}"; received-status=200\Z',
                        weir.ask("/full").get("proxy-status"))
        origin.on("/full", reply(200, fields=[("Proxy-Status", "behind; hit")]))
        assert weir.ask("/full").get("proxy-status").startswith("behind; hit, weir; next-hop=")
        for path in ("/full", "/silent"):
            origin.on(path, lambda request, connection: connection.close())
        assert re.match(rf'weir; error=connection_terminated; next-hop="{server}"; '
                        r'details="the server closed without an answer"\Z',
                        weir.ask("/full", "POST", body=b"").get("proxy-status"))
        response = weir.ask("/silent", "POST", body=b"")
        assert response.status == 502 and not response.all("proxy-status")


FORWARDED = "trusted_proxies 127.0.0.0/8 10.0.0.0/8 header=forwarded\n"


@pytest.mark.parametrize("value,client", [
    ("for=192.0.2.7", "192.0.2.7"),
    ('for="[2001:db8::7]:99"', "2001:db8::7"),
    ("for=203.0.113.1, for=192.0.2.7, for=10.0.0.1", "192.0.2.7"),
    ("for=203.0.113.1, for=10.0.0.1;by=10.0.0.2, for=10.0.0.3", "203.0.113.1"),
    ('for=", for=192.0.2.7', "192.0.2.7"),          # what a stranger wrote decides nothing
    ("for=203.0.113.1, for=_hidden, for=10.0.0.1", "10.0.0.1"),
    ("for=203.0.113.1, for=unknown", "127.0.0.1"),
    ("for=203.0.113.1, for=192.0.2.7; proto=http", "127.0.0.1"),
    ("for=203.0.113.1, by=10.0.0.1", "127.0.0.1"),
    ("", "127.0.0.1"),
])
def test_clients_in_forwarded(value, client):
    config = FORWARDED + "site * {\n listen @listen\n respond 200 {client_ip}\n}\n"
    with Weir(config) as weir:
        fields = [("X-Forwarded-For", "198.51.100.99")] + ([("Forwarded", value)] if value else [])
        assert weir.ask("/", fields=fields).body.decode() == client


def test_forwarded_in_many_lines():
    config = FORWARDED + "site * {\n listen @listen\n respond 200 {client_ip}\n}\n"
    with Weir(config) as weir:
        fields = [("Forwarded", "for=203.0.113.1"), ("X-A", "b"), ("forwarded", "for=192.0.2.7"),
                  ("FORWARDED", "for=10.0.0.1")]
        assert weir.ask("/", fields=fields).body == b"192.0.2.7"


@pytest.mark.parametrize("trusted", ["", FORWARDED, "trusted_proxies 127.0.0.0/8\n",
                                     "trusted_proxies 127.0.0.0/8 header=proxy_protocol\n"])
@pytest.mark.parametrize("wanted", ["x_forwarded", "forwarded", "both", "none"])
def test_what_servers_are_told(origin, trusted, wanted):
    config = trusted + SITE.replace("proxy @app", f"proxy @app client_headers={wanted}")
    came = [("Forwarded", 'for=192.0.2.7;proto=https;host="a.example"'),
            ("X-Forwarded-For", "192.0.2.8"), ("X-Forwarded-Proto", "gopher"),
            ("X-Forwarded-Host", "b.example"), ("X-Real-IP", "192.0.2.9")]
    with Weir(config, app=origin) as weir:
        assert weir.ask("/", fields=came, host="c.example").status == 200
    head = origin.heads[-1]
    own = "for=127.0.0.1;host=c.example;proto=http"
    expected = {
        "": ("127.0.0.1", "http", "c.example", "127.0.0.1", own),
        FORWARDED: ("192.0.2.7, 127.0.0.1", "https", "a.example", "192.0.2.7",
                    came[0][1] + ", " + own),
        "trusted_proxies 127.0.0.0/8\n": ("192.0.2.8, 127.0.0.1", "gopher", "b.example",
                                          "192.0.2.8", "for=192.0.2.8, " + own),
    }
    x_for, proto, host, real, forwarded = expected.get(trusted, expected[""])
    if wanted not in ("x_forwarded", "both"):
        x_for = proto = host = real = None
    if wanted not in ("forwarded", "both"):
        forwarded = None
    for name, value in (("x-forwarded-for", x_for), ("x-forwarded-proto", proto),
                        ("x-forwarded-host", host), ("x-real-ip", real),
                        ("forwarded", forwarded)):
        assert head.get(name) == value, name


def test_a_broken_forwarded_is_not_sent_on(origin):
    config = FORWARDED + SITE.replace("proxy @app", "proxy @app client_headers=forwarded")
    with Weir(config, app=origin) as weir:
        for broken in ('for="', 'for=192.0.2.7, for="', "xx", "for=1.2.3.4; by=_x"):
            weir.ask("/", fields=[("Forwarded", broken)], host="c.example")
            assert origin.heads[-1].get("forwarded").endswith(
                "for=127.0.0.1;host=c.example;proto=http")
            assert broken not in origin.heads[-1].get("forwarded")
