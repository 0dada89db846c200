# SPDX-License-Identifier: Apache-2.0
"""Tokens: what passes, and every way that is known of getting in without a good one."""
import json
import os
import time

import pytest

import tokens
from origin import Origin, reply
from pki import Authority
from tls import TlsOrigin
from tokens import KEYS, SECRET, b64, claims, jwk, jwks, sign, text_token, token
from patience import unless_late
from weir import Weir, run


def site(line, *more):
    return ("site * {\n    listen @listen\n    " + line + "\n" + "\n".join(more) +
            "\n    respond 200 \"{user}|{jwt.email}|{jwt.realm.roles}\"\n}\n")


def bearer(text):
    return [("Authorization", "Bearer " + text)]


def get(weir, text, **rest):
    return weir.ask("/", fields=bearer(text), **rest)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("keys")
    (made / "secret").write_bytes(SECRET)
    (made / "jwks").write_text(jwks(*[jwk(key, name) for name, key in KEYS.items()]))
    for name, key in KEYS.items():
        (made / f"{name}.pem").write_bytes(tokens.public_pem(key))
    return made


@pytest.fixture(scope="module")
def weir(folder):
    """With one key of P-256, all rules on."""
    line = (f"jwt key={folder}/ES256.pem issuer=https://id.example audience=app,other leeway=5s "
            "copy=X-User:sub,X-Mail:email cookie=session")
    with Weir(site(line, "header set X-Seen {header.X-User}")) as running:
        yield running


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                                       "ES384", "ES512", "EdDSA"])
def test_algorithms(folder, algorithm):
    name = "RSA" if algorithm[:2] in ("RS", "PS") else algorithm
    for source in [f"jwks={folder}/jwks", f"key={folder}/{name}.pem"]:
        with Weir(site(f"jwt {source}")) as weir:
            assert get(weir, token(algorithm)).status == 200
            assert get(weir, token(algorithm)).body == b"alice||"  # out of the cache
            good = token(algorithm)
            half = len(good) - 20
            broken = good[:half] + ("A" if good[half] != "A" else "B") + good[half + 1:]
            assert get(weir, broken).status == 401


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_secrets(folder, algorithm):
    with Weir(site(f"jwt secret=file:{folder}/secret")) as weir:
        assert get(weir, token(algorithm)).status == 200
        assert get(weir, token(algorithm, key=b"x" * 64)).status == 401


def test_claims(weir):
    good = token(payload=claims(email="a@example.com", realm={"roles": ["x", "y"]}))
    assert get(weir, good).body == b"alice|a@example.com|x,y"
    assert weir.ask("/", fields=[("Cookie", f"a=b; session={good}")]).status == 200
    assert weir.ask("/", fields=[("Cookie", "session=x")]).status == 401


def test_challenge(weir):
    response = weir.ask("/")
    assert (response.status, response.get("www-authenticate")) == (401, 'Bearer realm="restricted"')
    response = get(weir, "x.y.z")
    assert response.get("www-authenticate") == \
        'Bearer realm="restricted", error="invalid_token"'
    assert weir.ask("/", fields=[("Authorization", "Basic " + token())]).status == 401
    assert weir.ask("/", fields=bearer(token()) + bearer(token())).status == 401


@pytest.mark.parametrize("change,status", [
    ({}, 200), ({"exp": None}, 401), ({"exp": lambda now: int(now) - 60}, 401), ({"exp": "soon"}, 401),
    ({"exp": -1}, 401), ({"exp": 10 ** 20}, 401), ({"exp": None, "nbf": 1}, 401),
    ({"exp": lambda now: now + 60.5}, 200), ({"nbf": lambda now: int(now) + 60}, 401), ({"nbf": 1}, 200),
    ({"nbf": True}, 401), ({"iat": lambda now: int(now) + 3600}, 401), ({"iat": [1]}, 401),
    ({"iss": "https://other.example"}, 401), ({"iss": None}, 401),
    ({"iss": ["https://id.example"]}, 401), ({"iss": "https://id.example/"}, 401),
    ({"aud": "elsewhere"}, 401), ({"aud": None}, 401), ({"aud": ["x", "other"]}, 200),
    ({"aud": []}, 401), ({"aud": {"app": "app"}}, 401), ({"aud": "APP"}, 401),
    ({"aud": ["x", ["app"]]}, 401), ({"aud": "appother"}, 401)])
def test_rules(weir, change, status):
    change = {name: value(time.time()) if callable(value) else value for name, value in change.items()}
    assert get(weir, token(payload=claims(**change))).status == status


def unsigned(alg):
    return f"{b64(json.dumps({'alg': alg}).encode())}.{b64(json.dumps(claims()).encode())}."


HEAD = '{"alg":"ES256"}'
BODY = json.dumps(claims())
PEM = tokens.public_pem(KEYS["ES256"])


def raw(signed, algorithm="ES256"):
    return f"{signed}.{b64(sign(algorithm, signed.encode()))}"


def attacks():
    yield from ((f"none {alg}", unsigned(alg)) for alg in ("none", "None", "NONE", "nOnE", "", " none"))
    yield "no alg", text_token("{}", BODY, "ES256")
    yield "alg null", text_token('{"alg":null}', BODY, "ES256")
    yield "alg a list", text_token('{"alg":["ES256"]}', BODY, "ES256")
    yield "alg lower case", text_token('{"alg":"es256"}', BODY, "ES256")
    yield "public key as secret", text_token('{"alg":"HS256"}', BODY, "HS256", PEM)
    yield "public key as secret, stripped", text_token('{"alg":"HS256"}', BODY, "HS256", PEM.strip())
    yield "empty secret", text_token('{"alg":"HS256"}', BODY, "HS256", b"\0")
    yield "other curve", token("ES384")
    yield "other type", token("RS256")
    yield "says another algorithm", text_token('{"alg":"RS256"}', BODY, "ES256")
    yield "another key", token(key=tokens.make_keys()["ES256"])
    own = tokens.make_keys()["ES256"]
    yield "brings its key", token(header={"jwk": jwk(own)}, key=own)
    yield "points to its key", token(header={"jku": "http://127.0.0.1:1/jwks"}, key=own)
    yield "points to a certificate", token(header={"x5u": "http://127.0.0.1:1/x"}, key=own)
    for kid in ("../../../../dev/null", "' OR 1=1 --", "/dev/null", "|id", "\0", "x" * 600, 7, None, []):
        yield f"kid {kid!r:.20}", token(header={"kid": kid} if kid is not None else
                                        {"kid": ""}, key=own)
    yield "kid no text", text_token('{"alg":"ES256","kid":7}', BODY, "ES256")
    yield "kid null", text_token('{"alg":"ES256","kid":null}', BODY, "ES256")
    yield "kid too long", token(header={"kid": "x" * 600})
    yield "crit", token(header={"crit": ["exp"]})
    yield "crit empty", token(header={"crit": []})
    yield "b64", token(header={"b64": False, "crit": ["b64"]})
    yield "zip", token(header={"zip": "DEF"})
    yield "alg twice", text_token('{"alg":"none","alg":"ES256"}', BODY, "ES256")
    yield "alg twice, escaped", text_token('{"alg":"ES256","\\u0061lg":"none"}', BODY, "ES256")
    yield "claim twice", text_token(HEAD, BODY[:-1] + ',"sub":"root"}', "ES256")
    yield "exp twice", text_token(HEAD, BODY[:-1] + ',"exp":99999999999}', "ES256")
    yield "deep claims", text_token(HEAD, BODY[:-1] + ',"x":' + "[" * 20 + "]" * 20 + "}", "ES256")
    yield "very deep", text_token(HEAD, "[" * 4000 + "]" * 4000, "ES256")
    yield "deep header", text_token('{"alg":"ES256","x":' + "[" * 20 + "]" * 20 + "}", BODY, "ES256")
    yield "behind the claims", text_token(HEAD, BODY + "x", "ES256")
    yield "two objects", text_token(HEAD, BODY + BODY, "ES256")
    yield "behind the header", text_token(HEAD + "{}", BODY, "ES256")
    yield "claims a list", text_token(HEAD, "[" + BODY + "]", "ES256")
    yield "claims a text", text_token(HEAD, '"x"', "ES256")
    yield "claims empty", text_token(HEAD, "", "ES256")
    yield "claims no UTF-8", raw(f"{b64(HEAD.encode())}.{b64(BODY[:-1].encode() + bytes([44, 34, 255, 34, 58, 49, 125]))}")
    yield "trailing comma", text_token(HEAD, BODY[:-1] + ",}", "ES256")
    yield "comment", text_token(HEAD, "/**/" + BODY, "ES256")
    yield "NaN", text_token(HEAD, BODY[:-1] + ',"x":NaN}', "ES256")
    yield "NUL in a name", text_token(HEAD, BODY[:-1] + ',"x\\u0000":1}', "ES256")
    good = token()
    yield "four parts", good + ".x"
    yield "five parts", good + "..x"
    yield "two parts", good.rsplit(".", 1)[0]
    yield "no signature", good.rsplit(".", 1)[0] + "."
    yield "padded", good + "=="
    yield "blank inside", good.replace(".", ". ", 1)
    yield "bytes behind", good + "AAAA"
    yield "one more", good + "A"
    yield "standard alphabet", good.rsplit(".", 1)[0] + "." + good.rsplit(".", 1)[1][:-2] + "+/"
    yield "signature of zeros", good.rsplit(".", 1)[0] + "." + b64(bytes(64))
    yield "signature of ones", good.rsplit(".", 1)[0] + "." + b64(b"\xff" * 64)
    yield "signature in DER", good.rsplit(".", 1)[0] + "." + b64(
        KEYS["ES256"].sign(good.rsplit(".", 1)[0].encode(),
                           tokens.ec.ECDSA(tokens.hashes.SHA256())))
    yield "another body", b64(HEAD.encode()) + "." + b64(json.dumps(claims(sub="root")).encode()) + \
        "." + good.rsplit(".", 1)[1]
    yield "too long", token(payload=claims(x="x" * 20000))
    yield "dots", "."
    yield "only dots", ".."
    yield "nothing", "x"


@pytest.mark.parametrize("name,text", [pytest.param(name, text, id=name) for name, text in attacks()])
def test_attacks(weir, name, text):
    response = get(weir, text)
    assert response.status == 401, name
    assert get(weir, token()).status == 200  # the accepted neighbour


def test_last_bits_of_base64(weir):
    good = token()
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = digits.index(good[-1])  # 64 bytes: two characters at the end hold four bits too many
    assert last % 16 == 0
    assert get(weir, good[:-1] + digits[last + 1]).status == 401


def test_who_it_is(folder, origin):
    config = ("site * {\n listen @listen\n jwt key=" + f"{folder}/ES256.pem" +
              " copy=X-User:sub,X-Mail:email pass=off\n proxy @app\n}\n")
    with Weir(config, app=origin) as weir:
        fields = bearer(token()) + [("X-User", "root"), ("x-user", "root"), ("X-Mail", "r@x")]
        assert weir.ask("/", fields=fields).status == 200
        request = origin.requests[-1]
        assert request.all("x-user") == ["alice"] and not request.all("x-mail")
        assert not request.all("authorization")
        evil = token(payload=claims(sub="a\r\nX-Evil: b"))
        assert weir.ask("/", fields=bearer(evil) + [("X-User", "root")]).status == 200
        request = origin.requests[-1]
        assert not request.all("x-evil") and not request.all("x-user")


def test_guarded_on_all_sites(folder, origin):
    """What a step sets on one site no client sets on another."""
    config = (f"site a.example {{\n listen @listen\n jwt key={folder}/ES256.pem copy=X-User:sub\n"
              " proxy @app\n}\nsite * {\n listen @listen\n field_names allow\n proxy @app\n}\n")
    with Weir(config, app=origin) as weir:
        for name in ("X-User", "x-user", "X_User", "x_USER"):
            assert weir.ask("/", fields=[(name, "root"), ("X-Users", "kept")]).status == 200
            request = origin.requests[-1]
            assert not [f for f in request.fields if f[0].lower().replace("_", "-") == "x-user"]
            assert request.all("x-users") == ["kept"]


def test_expires_in_the_cache(folder):
    with Weir(site(f"jwt key={folder}/ES256.pem leeway=0s")) as weir:
        def attempt():
            short = token(payload=claims(exp=int(time.time()) + 3))
            assert get(weir, short).status == 200
            time.sleep(3.2)
            assert get(weir, short).status == 401
        unless_late(1.9, attempt)


@pytest.mark.parametrize("line,said", [
    ("jwt", "one of jwks="), ("jwt jwks=x key=@good", "one of jwks="), ("jwt jwks=/no/such", "No such file"),
    ("jwt key=@empty", "empty"), ("jwt jwks=@text", "neither a JWKS nor PEM"),
    ("jwt jwks=@json", "list of \"keys\""), ("jwt jwks=@nokeys", "no key"), ("jwt jwks=@twice", "twice"),
    ("jwt key=@private", "private key"), ("jwt key=@weak", "2,048"), ("jwt jwks=@deep", "deeper"),
    ("jwt secret=file:@short", "at least 32"), ("jwt secret=file:@empty", "empty"),
    ("jwt secret=file:/no/such", "o such file"), ("jwt secret=env:NO_SUCH_VARIABLE", "not set"),
    ("jwt jwks=@good algorithms=none", "no way to sign"), ("jwt jwks=@good algorithms=HS256", "need secret"),
    ("jwt secret=file:@long algorithms=RS256", "only HS256"), ("jwt jwks=@good copy=X-User", "FIELD:CLAIM"),
    ("jwt jwks=@good copy=Host:sub", "no field to be set"), ("jwt jwks=@oct", "no key"),
    ("jwt jwks=@enc", "no key"), ("jwt jwks=@offcurve", "no key"), ("jwt jwks=@dir", "directory"),
    ("jwt jwks=ftp://id/jwks", "https:// and"), ("jwt jwks=https://", "no URL"), ("jwt jwks=http:///x", "no URL"),
    ("jwt jwks=https://id/jwks#a", "no URL")])
def test_refused_at_start(tmp_path, line, said):
    key = KEYS["ES256"]
    weak = tokens.rsa.generate_private_key(public_exponent=65537, key_size=1024)
    bad = jwk(key)
    bad["y"] = bad["x"]
    private = key.private_bytes(tokens.serialization.Encoding.PEM,
                                tokens.serialization.PrivateFormat.PKCS8,
                                tokens.serialization.NoEncryption())
    files = {
        "empty": b"", "text": b"hello\n", "json": b"{}", "nokeys": b'{"keys":[]}',
        "twice": b'{"keys":[],"keys":[]}', "private": private, "weak": tokens.public_pem(weak),
        "deep": b'{"keys":' + b"[" * 100 + b"]" * 100 + b"}", "short": b"x" * 31, "long": b"x" * 32,
        "good": jwks(jwk(key)).encode(), "enc": jwks(jwk(key, use="enc")).encode(),
        "offcurve": jwks(bad).encode(),
        "oct": jwks({"kty": "oct", "k": b64(SECRET), "alg": "HS256"}).encode(),
    }
    (tmp_path / "dir").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    config = site(line.replace("@", f"{tmp_path}/"))
    path = tmp_path / "weir.conf"
    path.write_text(config.replace("@listen", "127.0.0.1:8080"))
    done = run("check", str(path))
    assert done.returncode == 78, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    for secret in ("xxxxxxxx", "PRIVATE KEY-----\nM"):
        assert secret not in done.stdout + done.stderr


def test_keys_that_change(tmp_path):
    """A new file counts; a broken, empty or missing one never opens the door."""
    old, new = tokens.make_keys()["ES256"], tokens.make_keys()["ES256"]
    path = tmp_path / "jwks"

    def put(data):
        (tmp_path / "beside").write_bytes(data)
        os.replace(tmp_path / "beside", path)

    put(jwks(jwk(old, "1")).encode())
    with Weir(site(f"jwt jwks={path}")) as weir:
        first, second = token(header={"kid": "1"}, key=old), token(header={"kid": "2"}, key=new)
        assert (get(weir, first).status, get(weir, second).status) == (200, 401)
        for number, bad in enumerate([b"", b"{", b'{"keys":[]}', None]):
            path.unlink() if bad is None else put(bad)
            weir.wait_line("file_refused")
            time.sleep(1.3)
            assert (get(weir, first).status, get(weir, second).status) == (200, 401)
            assert get(weir, unsigned("none")).status == 401
        put(jwks(jwk(new, "2")).encode())
        weir.wait_line("file_replaced")
        assert (get(weir, first).status, get(weir, second).status) == (401, 200)


def test_keys_from_a_url():
    old, new = tokens.make_keys()["ES256"], tokens.make_keys()["ES256"]
    with Origin() as keys:
        keys.default = reply(200, jwks(jwk(old, "1")).encode())
        with Weir(site("jwt jwks=http://@keys/jwks"), keys=keys) as weir:
            first, second = token(header={"kid": "1"}, key=old), token(header={"kid": "2"}, key=new)
            assert get(weir, first).status == 200  # waits for what is being fetched
            fetched = len(keys.requests)
            assert get(weir, second).status == 401
            for _ in range(20):  # unknown keys do not make weir ask for each
                get(weir, second)
            assert len(keys.requests) <= fetched + 1
            assert get(weir, first).status == 200


def test_keys_from_a_url_over_tls(tmp_path):
    """The server has to show a certificate that the system trusts, for that name."""
    key = tokens.make_keys()["ES256"]
    answer = reply(200, jwks(jwk(key, "1")).encode())
    trusted, other = Authority("Trusted"), Authority("Other")
    env = {"SSL_CERT_FILE": trusted.write_self(tmp_path), "SSL_CERT_DIR": str(tmp_path / "none")}
    good = trusted.write(tmp_path, "localhost", "127.0.0.1", file="good")
    with TlsOrigin(good, script=answer) as keys:
        with Weir(site("jwt jwks=https://@keys/jwks"), keys=keys, env=env) as weir:
            assert get(weir, token(header={"kid": "1"}, key=key)).status == 200
            assert get(weir, unsigned("none")).status == 401
            assert keys.heads[0].path == "/jwks"
        with Weir(site(f"jwt jwks=https://localhost:{keys.port}/jwks"), env=env) as weir:
            assert get(weir, token(header={"kid": "1"}, key=key)).status == 200
            assert keys.names[-1] == "localhost"
    for number, made in enumerate([
            other.write(tmp_path, "127.0.0.1", file="stranger"),
            trusted.write(tmp_path, "192.0.2.1", file="misnamed"),
            trusted.write(tmp_path, "127.0.0.1", file="expired", began=-9, days=-1)]):
        with TlsOrigin(made, script=answer) as keys:
            with Weir(site("jwt jwks=https://@keys/jwks"), keys=keys, env=env) as weir:
                assert get(weir, token(header={"kid": "1"}, key=key)).status == 503, number
                assert get(weir, unsigned("none")).status == 503
                weir.wait_line("fetch_failed")
                assert not keys.heads


@pytest.mark.parametrize("answer", [reply(500, b"x"), reply(200, b"nonsense"), reply(200, b""),
                                    reply(302, b"", [("Location", "/x")]),
                                    reply(200, b"x" * 2000000)])
def test_no_keys_from_a_url(answer):
    with Origin() as keys:
        keys.default = answer
        with Weir(site("jwt jwks=http://@keys/jwks"), keys=keys) as weir:
            response = get(weir, token())
            assert response.status == 503
            assert get(weir, unsigned("none")).status == 503
            weir.wait_line("fetch_failed")
