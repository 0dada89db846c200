# SPDX-License-Identifier: Apache-2.0
"""What browsers are told: other origins, headers that protect, cookies."""
import pytest

from origin import reply
from pki import Authority
from tls import ask as ask_tls
from weir import Weir, run


def site(*lines, answer="proxy @app"):
    inner = "\n    ".join(lines)
    return f"site * {{\n    listen @listen\n    {inner}\n    {answer}\n}}\n"


LINE = ("cors https://app.example https://*.wild.example http://dev.example:8080 null methods=GET,PUT "
        "headers=Content-Type,X-Token expose=X-Total credentials=on max_age=5m")


@pytest.mark.parametrize("origin_text,allowed", [
    ("https://app.example", True), ("https://a.wild.example", True), ("https://a.b.wild.example", True),
    ("http://dev.example:8080", True), ("null", True), ("https://APP.example", False),
    ("http://app.example", False), ("https://app.example:443", False), ("https://app.example/", False),
    ("https://app.example.evil", False), ("https://evilapp.example", False), ("https://wild.example", False),
    ("https://.wild.example", False), ("https://evilwild.example", False),
    ("https://a.wild.example.evil", False), ("https://a.wild.example:444", False),
    ("https://evil/.wild.example", False), ("https://evil#.wild.example", False),
    ("https://evil?.wild.example", False), ("https://evil@a.wild.example", False),
    ("https://a..wild.example", False), ("https://A.wild.example", False),
    ("https://evil:1.wild.example", False), ("http://a.wild.example", False),
    ("http://dev.example", False), ("http://dev.example:80801", False), ("*", False), ("NULL", False),
    ("https://app.example, https://evil", False), ("https://*.wild.example", False)])
def test_origins(origin, origin_text, allowed):
    origin.default = reply(200, b"ok", [("Access-Control-Allow-Origin", "*"), ("Vary", "Accept"),
                                        ("Access-Control-Allow-Credentials", "true")])
    with Weir(site(LINE), app=origin) as weir:
        fields = [("Origin", origin_text)]
        preflight = [("Access-Control-Request-Method", "PUT"),
                     ("Access-Control-Request-Headers", "x-token, content-type")]
        response = weir.ask("/", fields=fields)
        assert response.status == 200
        assert response.all("access-control-allow-origin") == ([origin_text] if allowed else [])
        assert response.all("access-control-allow-credentials") == (["true"] if allowed else [])
        assert response.all("access-control-expose-headers") == (["X-Total"] if allowed else [])
        assert "Origin" in ", ".join(response.all("vary")) and "Accept" in response.all("vary")[0]
        response = weir.ask("/", "OPTIONS", fields=fields + preflight)
        assert response.status == (204 if allowed else 403)
        assert response.all("access-control-allow-origin") == ([origin_text] if allowed else [])
        assert response.all("access-control-max-age") == (["300"] if allowed else [])
        assert response.all("vary") == ["Origin"]
        assert len(origin.requests) == 1


@pytest.mark.parametrize("method,headers,status", [
    ("PUT", None, 204), ("GET", "content-type", 204), ("DELETE", None, 403), ("put", None, 403),
    ("PUT", "x-other", 403), ("PUT", "x-token,x-other", 403), ("PUT", "", 204), ("", None, 403),
    ("PUT", "X-TOKEN , , Content-Type", 204)])
def test_preflights(origin, method, headers, status):
    with Weir(site(LINE), app=origin) as weir:
        fields = [("Origin", "https://app.example"), ("Access-Control-Request-Method", method)]
        if headers is not None:
            fields.append(("Access-Control-Request-Headers", headers))
        response = weir.ask("/", "OPTIONS", fields=fields)
        assert response.status == status and not origin.requests
        if status == 204:
            assert response.get("access-control-allow-methods") == "GET, PUT"
            assert response.get("access-control-allow-headers") == "Content-Type, X-Token"


def test_no_browser(origin):
    with Weir(site(LINE), app=origin) as weir:
        response = weir.ask("/")
        assert response.get("vary") == "Origin" and not response.all("access-control-allow-origin")
        assert weir.ask("/", "OPTIONS").status == 200  # the server's
        assert weir.ask("/", "OPTIONS", fields=[("Origin", "https://app.example")]).status == 200


def test_everyone(origin):
    with Weir(site("cors *"), app=origin) as weir:
        response = weir.ask("/", fields=[("Origin", "https://x")])
        assert response.get("access-control-allow-origin") == "*" and not response.all("vary")


def test_errors_can_be_read(tmp_path):
    """Scripts see why they were refused; preflights are not asked for passwords."""
    path = tmp_path / "users"
    run("passwd", str(path), "a", input="x\n")
    with Weir(site("cors https://app.example", f"basic_auth file:{path}", answer="respond 200")) as weir:
        fields = [("Origin", "https://app.example")]
        response = weir.ask("/", fields=fields)
        assert (response.status, response.get("access-control-allow-origin")) == (401, "https://app.example")
        response = weir.ask("/", "OPTIONS", fields=fields + [("Access-Control-Request-Method", "GET")])
        assert response.status == 204


@pytest.mark.parametrize("line,said", [
    ("cors * credentials=on", "any page act"), ("cors app.example", "no origin"),
    ("cors https://app.example/", "no origin"), ("cors https://APP.example", "no origin"),
    ("cors https://*", "no origin"), ("cors https://a*.example", "no origin"), ("cors https://", "no origin"),
    ("cookie_flags", "nothing to be changed"), ("cookie_flags samesite=none", "without secure"),
    ("cookie_flags samesite=loose", "samesite"), ("secure_headers frame=maybe", "frame"),
    ("secure_headers csp=\"a\\nb\"", "control byte"), ("secure_headers nosniff=maybe", "nosniff")])
def test_refused_at_start(line, said):
    done = run("check", "@config", config=site(line, answer="respond 200").replace(
        "@listen", "127.0.0.1:8080"))
    assert done.returncode == 78 and said in done.stderr


NAMES = ("x-content-type-options", "x-frame-options", "referrer-policy", "permissions-policy",
         "content-security-policy", "strict-transport-security")


def protection(response):
    return [response.get(name) for name in NAMES]


def test_secure_headers(origin):
    usual = ["nosniff", "SAMEORIGIN", "strict-origin-when-cross-origin",
             "camera=(), geolocation=(), microphone=()", None, None]
    with Weir(site("secure_headers"), app=origin) as weir:
        assert protection(weir.ask("/")) == usual
        origin.default = reply(200, b"", [("X-Frame-Options", "DENY"), ("Server", "x"), ("X-Powered-By", "y")])
        response = weir.ask("/")
        assert protection(response)[1] == "DENY" and response.get("x-powered-by") == "y"
    with Weir(site("secure_headers frame=deny csp=\"default-src 'self'\" replace=on hide_server"),
              app=origin) as weir:
        origin.default = reply(200, b"", [
            ("X-Frame-Options", "ALLOWALL"), ("X-Frame-Options", "x"), ("Server", "x"), ("X-Powered-By", "y"),
            ("x-aspnet-version", "4"), ("X-AspNetMvc-Version", "5"), ("X-Generator", "z"), ("X-Runtime", "1")])
        response = weir.ask("/")
        assert response.all("x-frame-options") == ["DENY"]
        assert response.get("content-security-policy") == "default-src 'self'"
        for name in ("server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator",
                     "x-runtime"):
            assert not response.all(name)
    with Weir(site("secure_headers nosniff=off frame=off referrer=off permissions=off", answer="respond 404"),
              app=origin) as weir:
        assert protection(weir.ask("/")) == [None] * 6
    with Weir(site("secure_headers", answer="respond 404")) as weir:  # answers of weir's own too
        assert protection(weir.ask("/")) == usual


def test_hsts_over_tls_alone(tmp_path):
    Authority("ca").write(tmp_path, "a.example", file="a")
    tls = f"tls {tmp_path}/a.pem key={tmp_path}/a.key"
    for extra, wanted in (("", "max-age=31536000"), (" hsts=off", None),
                          (" hsts=\"max-age=60; includeSubDomains\"", "max-age=60; includeSubDomains")):
        config = f"site a.example {{\n listen @listen\n {tls}\n secure_headers{extra}\n respond 200\n}}\n"
        with Weir(config) as weir:
            answer, _, _ = ask_tls(weir, "a.example")
            assert answer.get("strict-transport-security") == wanted


@pytest.mark.parametrize("line,cookie,wanted", [
    ("secure httponly samesite=lax", "a=b", "a=b; Secure; HttpOnly; SameSite=Lax"),
    ("secure httponly samesite=lax", "a=b; Path=/; HttpOnly", "a=b; Path=/; HttpOnly; Secure; SameSite=Lax"),
    ("secure httponly samesite=lax", "a=b;secure;HTTPONLY;SameSite=None",
     "a=b; secure; HTTPONLY; SameSite=Lax"),
    ("samesite=strict", "a=b; SAMESITE = none; Domain=x", "a=b; Domain=x; SameSite=Strict"),
    ("secure samesite=none", "a=b", "a=b; Secure; SameSite=None"),
    ("secure", "a=secure; Path=/httponly", "a=secure; Path=/httponly; Secure"),
    ("httponly", "a=b; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
     "a=b; Expires=Wed, 09 Jun 2027 10:18:14 GMT; HttpOnly"),
    ("httponly", "a=; Max-Age=0;", "a=; Max-Age=0; HttpOnly"), ("secure", "a", "a; Secure"),
    ("secure", "a=b; notsecure=1; secure=x", "a=b; notsecure=1; secure=x"),
    ("httponly except=XSRF-TOKEN,other", "XSRF-TOKEN=1", "XSRF-TOKEN=1"),
    ("httponly except=XSRF-TOKEN", "XSRF-TOKEN2=1", "XSRF-TOKEN2=1; HttpOnly")])
def test_cookie_flags(origin, line, cookie, wanted):
    origin.default = reply(200, b"", [("Set-Cookie", cookie), ("X-Set-Cookie", "x=y"), ("Set-Cookie", "z=1; Secure; "
                                      "HttpOnly; SameSite=Lax")])
    with Weir(site("cookie_flags " + line), app=origin) as weir:
        response = weir.ask("/")
        assert response.all("set-cookie")[0] == wanted and len(response.all("set-cookie")) == 2
        assert response.all("x-set-cookie") == ["x=y"]
