# SPDX-License-Identifier: Apache-2.0
"""The admin API over TLS: who is let in by a certificate or a token, other certificates in the place
of those that are shown, and pushes that would shut out whoever sends them."""
import json
import pathlib
import re
import ssl
import types

import pytest

import tls
from client import Client
from patience import until
from pki import Authority
from weir import SITE, Weir, free_port, run

CA, CLIENTS, OTHERS = Authority("admin ca"), Authority("client ca"), Authority("other ca")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("pki")
    chain, key = CA.write(path, "127.0.0.1", "localhost", file="server")
    return types.SimpleNamespace(
        path=path, chain=chain, key=key, ca=CA.write_self(path, "ca"),
        clients=CLIENTS.write_self(path, "clients"), others=OTHERS.write_self(path, "others"),
        alice=CLIENTS.write(path, "alice"), mallory=OTHERS.write(path, "mallory"))


def admin(files, ports, more=""):
    shown = f"tls={files.chain} key={files.key}"
    return f"""
config api
admin {{
    listen unix:@dir/admin.sock
    listen 127.0.0.1:{ports[0]} {shown} token=env:TOKEN read_token=env:LOOK
    listen 127.0.0.1:{ports[1]} {shown} client_ca={files.clients}
    listen 127.0.0.1:{ports[2]} {shown} client_ca={files.clients} token=env:TOKEN
{more}}}
"""


@pytest.fixture(scope="module")
def weir(files):
    ports = [free_port() for _ in range(3)]
    with Weir(admin(files, ports) + SITE.replace("proxy @app", "respond 200 served"),
              env={"TOKEN": "right", "LOOK": "look"}) as weir:
        weir.ports = ports
        yield weir


def ask(files, port, path="/v1/status", method="GET", token=None, certificate=None, body=None,
        fields=(), kind="text/weir"):
    fields = [*fields, *([("Authorization", f"Bearer {token}")] if token else []),
              *([("Content-Type", kind)] if body is not None else [])]
    made = tls.context(files.ca, certificate=certificate)
    with tls.TlsClient(types.SimpleNamespace(port=port), "localhost", made, timeout=60) as client:
        client.request(path, method, fields=fields, body=body and body.encode(), host="localhost")
        answer = client.response(method)
    answer.json = json.loads(answer.body) if answer.body[:1] == b"{" else None
    return answer


def kind_of(answer):
    return answer.status, answer.json and answer.json.get("type", "").rsplit("/", 1)[-1]


def test_tokens(files, weir):
    port = weir.ports[0]
    assert ask(files, port).status == 200
    assert kind_of(ask(files, port, "/v1/log/reopen", "POST")) == (401, "token")
    assert kind_of(ask(files, port, "/v1/log/reopen", "POST", "look")) == (403, "denied")
    assert ask(files, port, "/v1/log/reopen", "POST", "right").status == 204
    with Client(("127.0.0.1", port), timeout=60) as client:
        assert client.ask("/v1/status", host="localhost").status == 400  # in clear


def test_certificates_of_clients(files, weir):
    _, alone, both = weir.ports
    for port in (alone, both):
        for certificate in (None, files.mallory):
            with pytest.raises((ssl.SSLError, OSError, EOFError, AssertionError)):
                ask(files, port, certificate=certificate)
    assert ask(files, alone, certificate=files.alice).status == 200
    assert ask(files, alone, "/v1/log/reopen", "POST", certificate=files.alice).status == 204
    assert weir.wait_line("CN=alice (127.0.0.1): reopen")
    assert ask(files, both, certificate=files.alice).status == 200
    reopen = ("/v1/log/reopen", "POST")
    assert ask(files, both, *reopen, certificate=files.alice).status == 401
    assert ask(files, both, *reopen, "right", files.alice).status == 204
    assert weir.wait_line("token of CN=alice (127.0.0.1)")
    assert ask(files, both, "/v1/shutdown", "POST", "right", files.alice).status == 403


def command(files, weir, *arguments, port=0, host="127.0.0.1", **env):
    # ASan's run of openssl's file readers is slow enough: one command each.
    return weir.command(*arguments, f"--admin=https://{host}:{weir.ports[port]}",
                        env={"WEIR_ADMIN_CA": files.ca, "WEIR_ADMIN_TOKEN": "right", **env})


def test_commands(files, weir):
    assert json.loads(command(files, weir, "status", "--json").stdout)["pid"] == weir.process.pid
    assert "version " in command(files, weir, "status", host="localhost").stdout
    shown = {"WEIR_ADMIN_CERT": files.alice[0], "WEIR_ADMIN_KEY": files.alice[1]}
    assert command(files, weir, "status", port=2, **shown).returncode == 0
    refused = command(files, weir, "status", port=2)
    assert refused.returncode == 1 and "WEIR_ADMIN_CERT" in refused.stderr
    refused = command(files, weir, "status", WEIR_ADMIN_CA=files.others)
    assert refused.returncode == 1 and "hint: $WEIR_ADMIN_CA" in refused.stderr
    for env, says in (({"WEIR_ADMIN_CA": "/no"}, "cannot read /no"),
                      ({"WEIR_ADMIN_CA": files.key}, "WEIR_ADMIN_CA is of no use"),
                      ({"WEIR_ADMIN_CERT": files.ca}, "holds no private key"),
                      ({"WEIR_ADMIN_CERT": files.alice[0], "WEIR_ADMIN_KEY": files.key},
                       "WEIR_ADMIN_KEY")):
        refused = command(files, weir, "status", **env)
        assert refused.returncode == 2 and says in refused.stderr, refused.stderr


@pytest.mark.parametrize("place,code,says", [
    ("10.0.0.1:9180", 2, "write https://10.0.0.1:9180"), ("https://unix:/a", 2, "is no address"),
    ("https://", 2, "is no address"), ("https://name", 2, "is no address"),
    ("https://name:0", 2, "is no address"), ("https://localhost:1", 69, "nobody listens"),
    ("https://127.0.0.1:1", 69, "nobody listens")])
def test_odd_places(place, code, says):
    result = run("status", f"--admin={place}", env={"WEIR_ADMIN_TOKEN": "right"})
    assert (result.returncode, says in result.stderr) == (code, True), result.stderr


def issuer_seen(files, port):
    made = tls.context(files.ca)
    with tls.TlsClient(types.SimpleNamespace(port=port), "localhost", made) as client:
        return client.sock.getpeercert()["serialNumber"]


def test_certificates_are_renewed(files, weir):
    """At once when somebody asks for it; else as soon as the files are seen to be others."""
    port, names = weir.ports[0], [c["site"] for c in weir.api("GET", "/v1/certs").json["certs"]]
    assert names == [f"admin 127.0.0.1:{port}" for port in weir.ports]
    assert f'name="admin 127.0.0.1:{port}"' in weir.api("GET", "/metrics").body.decode()
    before = issuer_seen(files, port)
    CA.write(files.path, "127.0.0.1", "localhost", file="server")
    renewed = weir.command("cert", "renew", names[0])
    assert renewed.returncode == 0 and renewed.stdout == f"renewed {names[0]}\n", renewed.stderr
    assert issuer_seen(files, port) != before
    seen = issuer_seen(files, weir.ports[1])
    if seen == before:  # the others' turn comes within a second
        until(lambda: issuer_seen(files, weir.ports[1]) != before, lambda: "the old one")
    good = pathlib.Path(files.chain).read_bytes()
    pathlib.Path(files.chain).write_text("no certificate")
    try:
        refused = weir.command("cert", "renew", names[0])
        assert refused.returncode == 1 and files.chain in refused.stderr, refused.stderr
        assert ask(files, port).status == 200
        assert weir.command("cert", "renew", "nobody").returncode == 1
    finally:
        pathlib.Path(files.chain).write_bytes(good)
    # What is changed at run time makes certificates anew: those that are shown stay the same.
    assert weir.api("POST", "/v1/reload").status == 200
    assert ask(files, port).status == 200


def push(files, port, text, query="", token="right", certificate=None):
    return ask(files, port, "/v1/config" + query, "PUT", token, certificate, text,
               [("If-Match", "*")])


def test_pushes_that_shut_out_their_sender(files, weir):
    port, alone, _ = weir.ports
    before = weir.api("GET", "/v1/status").json["config"]["version"]
    text = weir.api("GET", "/v1/config").body.decode()
    line = re.search(rf"^    listen 127.0.0.1:{port} .*\n", text, re.M)[0]
    assert "token=env:TOKEN" in line
    for other in ("", line.replace("token=env:TOKEN ", ""), line.replace("env:TOKEN", "env:LOOK"),
                  f"    listen 127.0.0.1:{port} token=env:TOKEN\n",
                  line.replace("\n", " allow=10.0.0.0/8\n"),
                  line.replace("\n", f" client_ca={files.clients}\n")):
        assert kind_of(push(files, port, text.replace(line, other))) == (409, "admin-address"), other
    changed = text.replace(f"client_ca={files.clients}", f"client_ca={files.others}")
    refused = push(files, alone, changed, token=None, certificate=files.alice)
    assert kind_of(refused) == (409, "admin-address")
    for broken in (line.replace(files.chain, files.alice[0]), line.replace(files.key, "/no"),
                   line.replace("\n", f" client_ca={files.key}\n")):
        assert kind_of(push(files, port, text.replace(line, broken))) == (422, "invalid-config")
    assert weir.api("GET", "/v1/status").json["config"]["version"] == before
    # Who says that it may be, gets it back.
    gone = push(files, port, text.replace(line, ""), "?rollback_after=200ms")
    assert gone.status == 200, gone.body

    def is_back():
        try:
            return ask(files, port).json["config"]["version"] == before + 2
        except OSError:
            return False
    until(is_back, lambda: weir.output)
    assert push(files, port, text.replace("200 served", "201 other")).status == 200
    assert weir.ask().status == 201


def test_tls_comes_and_goes(files):
    port = free_port()
    clear = f"admin {{\n    listen unix:@dir/admin.sock\n    listen 127.0.0.1:{port} token=env:TOKEN\n}}\n"
    site = SITE.replace("proxy @app", "respond 200")
    with Weir(clear + site, env={"TOKEN": "right"}) as weir:
        secure = weir.config.replace(f":{port} ", f":{port} tls={files.chain} key={files.key} ")
        with Client(("127.0.0.1", port), timeout=60) as client:
            assert client.ask("/v1/status", host="localhost").status == 200
            weir.write(secure)
            assert weir.command("reload").returncode == 0
            assert client.ask("/v1/status", host="localhost").status == 421
        assert ask(files, port).status == 200
        weir.write(secure.replace(f"tls={files.chain} key={files.key}", "tls=local"))
        assert weir.command("reload").returncode == 0
        with pytest.raises(ssl.SSLError):
            ask(files, port)
        [shown] = weir.api("GET", "/v1/certs").json["certs"]
        assert shown["source"] == "local" and shown["days_left"] > 80
        # Its own name is no host of anybody: it stands for the address alone.
        assert shown["names"] == ["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"] or \
            shown["names"][:2] == ["localhost", "127.0.0.1"]
        assert weir.command("cert", "renew", shown["site"]).returncode == 0
        again = weir.api("GET", "/v1/certs").json["certs"][0]
        assert again["fingerprint"] != shown["fingerprint"] and again["source"] == "local"
        server = "upstream a {\n    server 127.0.0.1:9\n}\n"
        weir.write(weir.config + server)
        assert weir.command("reload").returncode == 0
        assert weir.api("GET", "/v1/status", address=("127.0.0.1", port)).status == 200


@pytest.mark.parametrize("options,code", [
    ("0.0.0.0:9180", "E0320"), ("0.0.0.0:9180 token=env:T", "E0322"),
    ("0.0.0.0:9180 read_token=env:T", "E0322"), ("0.0.0.0:9180 tls=local", "E0320"),
    ("0.0.0.0:9180 tls=local token=env:T", None), ("[::]:9180 tls=local client_ca=@ca", None),
    ("127.0.0.1:9180 token=env:T", None), ("unix:/tmp/a.sock tls=local", "E0316"),
    ("127.0.0.1:9180 key=@ca", "E0316"), ("127.0.0.1:9180 client_ca=@ca", "E0316"),
    ("127.0.0.1:9180 tls=local client_crl=@ca", "E0316"),
    ("127.0.0.1:9180 tls=/no/such.pem", "E0403"),
])
def test_what_is_refused(files, options, code):
    config = (f"admin {{\n    listen {options}\n}}\n".replace("@ca", files.ca)
              + "site * {\n    listen 127.0.0.1:8081\n    respond 200\n}\n")
    result = run("check", "@config", config=config, env={"T": "token"})
    found = re.findall(r"error\[(E\d+)\]", result.stderr)
    assert found == ([code] if code else []), result.stderr
