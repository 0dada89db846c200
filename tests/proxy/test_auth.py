# SPDX-License-Identifier: Apache-2.0
"""Passwords, keys and certificates: who gets in, who does not, and what servers are told."""
import base64
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

import h2
import hpack
from client import Client, chunked
from pki import Authority
from tls import ONLY_1_2, TlsClient, context
from tokens import fingerprint
from patience import until
from weir import BINARY, Weir, free_port, run

BCRYPT = "carol:$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"  # U*U
SHA512 = ("dave:$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnI"
          "FNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")  # Hello world!


def site(*lines, answer="respond 200 \"{user}\""):
    inner = "\n    ".join(lines)
    return f"site * {{\n    listen @listen\n    {inner}\n    {answer}\n}}\n"


def basic(user, password):
    text = user + ":" + password
    return [("Authorization", "Basic " + base64.b64encode(text.encode()).decode())]


def raw(data):
    return [("Authorization", "Basic " + base64.b64encode(data).decode())]


def set_password(path, user, password, *options):
    return run("passwd", *options, str(path), user, input=password + "\n")


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    path = tmp_path_factory.mktemp("users") / "htpasswd"
    assert set_password(path, "alice", "secret").returncode == 0
    assert set_password(path, "bob", "päss:wörd", "--method=bcrypt").returncode == 0
    with open(path, "a") as file:
        file.write("# more\n\n" + BCRYPT + "\n" + SHA512 + "\r\n")
    return path


@pytest.fixture(scope="module")
def weir(users):
    with Weir(site(f"basic_auth file:{users} realm=\"The \\\"staff\\\"\"")) as running:
        yield running


@pytest.mark.parametrize("user,password", [("alice", "secret"), ("bob", "päss:wörd"), ("carol", "U*U"),
                                           ("dave", "Hello world!")])
def test_who_gets_in(weir, user, password):
    for _ in range(3):  # hashed, then believed
        response = weir.ask("/", fields=basic(user, password))
        assert (response.status, response.body) == (200, user.encode())
    assert weir.ask("/", fields=basic(user, password + "x")).status == 401
    assert weir.ask("/", fields=basic(user.upper(), password)).status == 401


@pytest.mark.parametrize("fields", [
    [], basic("alice", ""), basic("", "secret"), basic("alice", "Secret"), basic("alice", "secret\0x"),
    basic("nobody", "secret"), basic("alice ", "secret"), basic("alice", " secret"), raw(b"alice"),
    raw(b"alice:secret\0"), raw(b"\0alice:secret"), raw(b"al\nice:secret"), raw(b"alice:" + b"x" * 513),
    raw(b"x" * 600 + b":secret"), raw(b"alice:" + b"x" * 100000)[:0] or [("Authorization", "Basic")],
    [("Authorization", "Basic ")], [("Authorization", "Basic !!!")],
    [("Authorization", "Basic YWxpY2U6c2VjcmV0=")], [("Authorization", "Basic YWxpY2U6c2VjcmV0 x")],
    [("Authorization", "Bearer YWxpY2U6c2VjcmV0")], [("Authorization", "YWxpY2U6c2VjcmV0")],
    [("Proxy-Authorization", "Basic YWxpY2U6c2VjcmV0")], [("X-Authorization", "Basic YWxpY2U6c2VjcmV0")],
    basic("alice", "secret") + basic("alice", "secret"), basic("alice", "secret") + basic("x", "y"),
    basic("# more", ""), [("Authorization", "Basic " + "A" * 4000)]])
def test_who_does_not(weir, fields):
    response = weir.ask("/", fields=fields)
    assert response.status == 401
    assert response.get("www-authenticate") == 'Basic realm="The \\"staff\\"", charset="UTF-8"'
    assert weir.ask("/", fields=basic("alice", "secret")).status == 200


def test_challenge_behind_an_error_page(users):
    with Weir(site("error_page 401 \"who are you?\"", f"basic_auth file:{users}")) as weir:
        response = weir.ask("/")
        assert (response.status, response.body) == (401, b"who are you?")
        assert response.get("www-authenticate").startswith("Basic realm=")


def test_what_servers_and_logs_see(users, origin):
    config = "log access {\n to file:@dir/access.log\n}\n" + site(
        f"basic_auth file:{users} user_header=X-User", answer="proxy @app")
    with Weir(config, app=origin) as weir:
        assert weir.ask("/", fields=basic("alice", "secret") + [("X-User", "root")]).status == 200
        assert weir.ask("/", fields=basic("alice", "wrong") + [("X-User", "root")]).status == 401
        assert len(origin.requests) == 1
        assert origin.requests[0].all("x-user") == ["alice"]
        assert not origin.requests[0].all("authorization")
        good, bad = weir.log(2)
        assert '"user":"alice"' in good and '"user":""' in bad
        assert '"step":"basic_auth"' in bad and '"reason":"credentials"' in bad
        assert '"detail":"the password is wrong"' in bad
        assert "secret" not in good + bad and "wrong\"" not in bad.replace("is wrong\"", "")


def test_inner_one_takes_the_place(users, tmp_path):
    other = tmp_path / "other"
    set_password(other, "eve", "x")
    config = site(f"basic_auth file:{users}", f"route /free/* {{\n basic_auth off\n respond 200 free\n }}",
                  f"route /other/* {{\n basic_auth file:{other}\n respond 200 \"{{user}}\"\n }}")
    with Weir(config) as weir:
        assert weir.ask("/").status == 401
        assert weir.ask("/free/x").status == 200
        assert weir.ask("/other/x", fields=basic("alice", "secret")).status == 401
        assert weir.ask("/other/x", fields=basic("eve", "x")).body == b"eve"


@pytest.mark.parametrize("text,said", [
    ("", "has no users"), ("# nobody\n", "has no users"), ("alice\n", "line 1 is not USER:HASH"),
    (":x\n", "line 1"), ("a:secret\n", "no hash of"), ("a:\n", "no hash of"),
    ("a:$apr1$x$yyyyyyyyyyyyyyyyyyyyyy\n", "no hash of"), ("a:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", "no hash of"),
    ("a:$1$abc$BXBqpb9BZcZhXLgbee.0s/\n", "no hash of"), ("a:rqXexS6ZhobKA\n", "no hash of"),
    ("a:$2b$99$xxx\n", "cut or broken"), (BCRYPT[:-1] + "\n", "cut or broken"),
    (BCRYPT + "x\n", "cut or broken"), (SHA512[:-1] + "\n", "cut or broken"),
    (BCRYPT.replace("$05$", "$31$") + "\n", "cut or broken"), ("a:$y$j9T$abc$\n", "cut or broken"),
    (SHA512.replace("$6$", "$6$rounds=999999999$") + "\n", "cut or broken"), ("a:$2b$\n", "cut or broken"),
    (BCRYPT + "\n" + BCRYPT + "\n", "two lines"), (BCRYPT + "\nx\n", "line 2"),
    ("a\tb:" + BCRYPT.split(":")[1] + "\n", "line 1"), (None, "No such file"), ("/", "directory")])
def test_broken_files_at_start(tmp_path, text, said):
    path = tmp_path / "htpasswd"
    if text == "/":
        path.mkdir()
    elif text is not None:
        path.write_text(text)
    config = site(f"basic_auth file:{path}").replace("@listen", "127.0.0.1:8080")
    for command in ("check", "run"):
        done = run(command, "@config", config=config)
        assert done.returncode == 78 and said in done.stderr + done.stdout, done.stderr
        assert "secret" not in done.stderr


def test_unreadable_file():
    """Root reads everything: then somebody else looks."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="weir-test-") as directory:
        os.chmod(directory, 0o755)
        path = pathlib.Path(directory) / "htpasswd"
        path.write_text(BCRYPT)
        path.chmod(0)
        file = pathlib.Path(directory) / "weir.conf"
        file.write_text(site(f"basic_auth file:{path}").replace("@listen", "127.0.0.1:8080"))
        program = shutil.copy(BINARY, directory)  # where that one may reach it
        result = subprocess.run([*other, program, "check", str(file)], capture_output=True, text=True,
                                timeout=90, cwd="/")
        assert result.returncode == 78 and "Permission denied" in result.stderr, result.stderr


def test_file_that_changes(tmp_path):
    path = tmp_path / "htpasswd"
    set_password(path, "alice", "one")
    with Weir(site(f"basic_auth file:{path}")) as weir:
        def status(password):
            return weir.ask("/", fields=basic("alice", password)).status

        assert (status("one"), status("two")) == (200, 401)
        for bad in ("", "nonsense\n", "alice:plain\n", None, "/"):
            if path.is_dir():
                path.rmdir()
            if bad is None:
                path.unlink()
            elif bad == "/":
                path.mkdir()
            else:
                path.write_text(bad)
            time.sleep(1.3)
            assert (status("one"), status("plain"), status("")) == (200, 401, 401), bad
            assert weir.ask("/").status == 401
        weir.wait_line("file_refused")
        path.rmdir()
        set_password(path, "alice", "two")
        weir.wait_line("file_replaced")
        assert (status("one"), status("two")) == (401, 200)


def test_unknown_users_cost_the_same(tmp_path):
    path = tmp_path / "htpasswd"
    set_password(path, "alice", "secret")
    with Weir(site(f"basic_auth file:{path} cache=off")) as weir:
        def cost(user):
            start = time.monotonic()
            assert weir.ask("/", fields=basic(user, "wrong")).status == 401
            return time.monotonic() - start

        times = {"alice": [], "nobody": []}

        def are_alike():
            for user, measured in times.items():
                measured += [cost(user) for _ in range(9)]
            known, unknown = (min(times[user]) for user in ("alice", "nobody"))
            return unknown > known * 0.3 and known > unknown * 0.3  # a hash or none: 100 times
        until(are_alike, lambda: times)


def test_passwd(tmp_path):
    path = tmp_path / "htpasswd"
    assert set_password(path, "a", "x").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o640 and path.read_text().startswith("a:$y$")
    first = path.read_text()
    path.chmod(0o600)
    assert set_password(path, "b", "x", "--method=sha512").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith(first + "b:$6$")
    assert set_password(path, "a", "y").returncode == 0
    assert path.read_text().count("a:") == 1 and not path.read_text().startswith(first)
    assert run("passwd", "--delete", str(path), "a").returncode == 0
    assert "a:" not in path.read_text()
    assert run("passwd", "--delete", str(path), "a").returncode == 1
    before = path.read_text()
    for arguments, text in ((["c"], ""), (["c"], "x" * 600), (["--method=bcrypt", "c"], "x" * 73)):
        done = run("passwd", *arguments[:-1], str(path), arguments[-1], input=text + "\n")
        assert done.returncode == 1 and path.read_text() == before
    for arguments in (["a:b"], [""], ["#a"], ["--method=md5", "a"], []):
        done = run("passwd", *[a for a in arguments if a.startswith("--")], str(path),
                   *[a for a in arguments if not a.startswith("--")], input="x\n")
        assert done.returncode == 2 and path.read_text() == before
    assert set_password(tmp_path / "no" / "file", "a", "x").returncode == 1
    path.write_text("broken\n")
    assert set_password(path, "a", "x").returncode == 1 and path.read_text() == "broken\n"
    assert not list(tmp_path.glob("htpasswd.*"))


def test_passwd_on_a_terminal(tmp_path):
    pid, fd = os.forkpty()
    path = tmp_path / "htpasswd"
    if pid == 0:
        os.execv(BINARY, [BINARY, "passwd", str(path), "alice"])
    shown = b""
    for question in (b"password: ", b"once more: "):
        while question not in shown:
            shown += os.read(fd, 1000)
        os.write(fd, b"hidden words\n")
    try:
        while True:
            more = os.read(fd, 1000)
            if not more:
                break
            shown += more
    except OSError:
        pass
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"hidden" not in shown and path.read_text().startswith("alice:$y$")


def make_keys(path, *names):
    keys = {}
    for name in names:
        done = run("passwd", "--api-key", str(path), name)
        assert done.returncode == 0
        keys[name] = done.stdout.strip()
        assert len(keys[name]) == 43 and keys[name] not in path.read_text()
        assert f"{name}:{fingerprint(keys[name])}" in path.read_text()
    return keys


def test_api_keys(tmp_path, origin):
    path = tmp_path / "keys"
    keys = make_keys(path, "ci", "app")
    config = "log access {\n to file:@dir/access.log\n}\n" + site(
        f"api_key file:{path} query=key user_header=X-App", answer="proxy @app")
    with Weir(config, app=origin) as weir:
        for name, key in keys.items():
            assert weir.ask("/", fields=[("X-API-Key", key), ("X-App", "root")]).status == 200
            request = origin.requests[-1]
            assert request.all("x-app") == [name] and not request.all("x-api-key")
        for target, sent in (("/p?key=@", "/p"), ("/p?a=1&key=@&b=2", "/p?a=1&b=2"), ("/p?key=@&a", "/p?a")):
            assert weir.ask(target.replace("@", keys["ci"])).status == 200
            assert origin.requests[-1].target == sent
        count = len(origin.requests)
        key = keys["ci"]
        for fields in ([], [("X-API-Key", "")], [("X-API-Key", key[:-1])], [("X-API-Key", key + "A")],
                       [("X-API-Key", key.lower())], [("X-API-Key", fingerprint(key))],
                       [("X-API-Key", key), ("X-API-Key", keys["app"])], [("X-API-Key", "x" * 2000)],
                       [("Authorization", "Bearer " + key)], [("X-API-Key", "ci")]):
            response = weir.ask("/", fields=fields)
            assert response.status == 401 and response.get("www-authenticate")
        for target in ("/?key=", "/?key", f"/?key={key}&key={key}", f"/?Key={key}", f"/?k%65y={key}",
                       f"/?key={key}x"):
            assert weir.ask(target).status == 401
        assert len(origin.requests) == count
        for line in weir.log(20)[:20]:
            if "k%65y" not in line and "Key=" not in line:
                assert key not in line


def test_api_key_as_bearer(tmp_path):
    path = tmp_path / "keys"
    key = make_keys(path, "ci")["ci"]
    with Weir(site(f"api_key file:{path} header=Authorization")) as weir:
        assert weir.ask("/", fields=[("Authorization", "Bearer " + key)]).body == b"ci"
        assert weir.ask("/", fields=[("Authorization", "Basic " + key)]).status == 401
        assert weir.ask("/", fields=[("Authorization", key)]).status == 401


@pytest.mark.parametrize("text,said", [
    ("", "no keys"), ("x\n", "line 1 is not NAME"), ("a:abc\n", "64 hexadecimal"), ("a:" + "g" * 64, "64 hexa"),
    (f":{'a' * 64}\n", "line 1"), (f"a:{'a' * 64}\nb:{'A' * 64}\n", "two lines"), (None, "No such file")])
def test_broken_key_files(tmp_path, text, said):
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
    config = site(f"api_key file:{path}").replace("@listen", "127.0.0.1:8080")
    done = run("check", "@config", config=config)
    assert done.returncode == 78 and said in done.stderr


def test_client_certificates(tmp_path, origin):
    ca = Authority("clients")
    own = Authority("server")
    names = {}
    for name in ("alice", "mallory"):
        names[name] = ca.write(tmp_path, name, file=name)
    own.write(tmp_path, "a.example", file="server")
    own.write_self(tmp_path, "ca")
    ca.write_self(tmp_path, "clients")
    der = context()  # what the certificate's subject is says weir itself
    config = (f"site a.example {{\n listen @listen\n tls {tmp_path}/server.pem key={tmp_path}/server.key "
              f"client_ca={tmp_path}/clients.pem client_mode=request\n"
              " route /who {\n respond 200 \"{tls.client_name}|{tls.client_fingerprint}\"\n }\n"
              " route /any {\n client_cert\n respond 200 \"{user}\"\n }\n"
              " route /alice {\n client_cert name=CN=alice,CN=zoe user_header=X-Subject\n proxy @app\n }\n"
              " route /none {\n client_cert fingerprint=" + "0" * 64 + "\n respond 200 x\n }\n}\n")
    with Weir(config, app=origin) as weir:
        def ask(path, who=None, fields=()):
            made = context() if who is None else context(
                certificate=(f"{tmp_path}/{who}.pem", f"{tmp_path}/{who}.key"))
            with TlsClient(weir, "a.example", made) as client:
                return client.ask(path, host="a.example", fields=fields)

        assert ask("/any").status == 403 and ask("/alice").status == 403
        subject, print_ = ask("/who", "alice").body.decode().strip().split("|")
        assert "alice" in subject and len(print_) == 64
        assert ask("/any", "mallory").status == 200
        assert ask("/any", "alice").body.decode().strip() == subject
        assert ask("/alice", "mallory").status == 403
        assert ask("/alice", "alice", [("X-Subject", "CN=root")]).status == 200
        assert origin.requests[-1].all("x-subject") == [subject]
        assert ask("/none", "alice").status == 403
    assert der is not None
    done = run("check", "@config", config=config.replace("0" * 64, "12").replace(
        "@listen", "127.0.0.1:8443").replace("@app", "127.0.0.1:1"))
    assert done.returncode == 78 and "64 hexadecimal" in done.stderr


def test_facts_of_tls_decide(tmp_path):
    ca, own = Authority("clients"), Authority("server")
    ca.write(tmp_path, "alice", file="alice")
    own.write(tmp_path, "a.example", file="server")
    ca.write_self(tmp_path, "clients")
    rules = {"old": "deny all tls=version:1.2 status=404", "tls": "allow all tls=version",
             "sni": "allow all tls=sni:a.example", "other": "allow all tls=sni:b.example",
             "alice": "allow all tls=client_name:CN=alice",
             "known": "deny all tls=client_verified:none", "both": "allow all tls=version:1.3,client_name",
             "cipher": "deny all tls=cipher:TLS_AES_128_GCM_SHA256,cipher:TLS_AES_256_GCM_SHA384",
             "resumed": "deny all tls=resumed:yes", "print": "allow all tls=client_fingerprint"}
    routes = "".join(f" route /{name} {{\n {rule}\n respond 200 in\n }}\n" for name, rule in rules.items())
    config = (f"site a.example {{\n listen @listen\n tls {tmp_path}/server.pem key={tmp_path}/server.key "
              f"client_ca={tmp_path}/clients.pem client_mode=request\n{routes}}}\n"
              f"site * {{\n listen @plain plain\n{routes}}}\n")
    plain = f"127.0.0.1:{free_port()}"
    with Weir(config, plain=plain) as weir:
        def ask(who=None, versions=None):
            made = context(versions=versions, certificate=None if who is None else
                           (f"{tmp_path}/{who}.pem", f"{tmp_path}/{who}.key"))
            with TlsClient(weir, "a.example", made) as client:
                return {name for name in rules if client.ask("/" + name, host="a.example").status == 200}

        assert ask() == {"old", "tls", "sni", "cipher", "resumed"}
        assert ask(versions=ONLY_1_2) == {"tls", "sni", "cipher", "resumed"}
        assert ask("alice") == set(rules) - {"other"}
        with Client(("127.0.0.1", int(plain.split(":")[1]))) as client:  # in clear there are none
            assert {name for name in rules if client.ask("/" + name).status == 200} == \
                {"old", "known", "cipher", "resumed"}


@pytest.mark.parametrize("fact", ["1.2", "versions", "version:", ":1.2", "cipher,x"])
def test_facts_that_are_none(fact):
    done = run("check", "@config", config=site(f"deny all tls={fact}").replace("@listen", ":8080"))
    assert done.returncode == 78 and "no fact of TLS" in done.stderr


def test_trailers_say_nothing_of_who_it_is(origin, tmp_path):
    """Some servers add them to the head."""
    path = tmp_path / "keys"
    path.write_text(f"one:{fingerprint('abc')}\n")
    for names, left in ("reject", ["x-sum"]), ("allow", ["x-sum", "x_sum"]):
        config = (f"site * {{\n listen @listen\n field_names {names}\n route /keyed {{\n"
                  f" api_key file:{path} user_header=X-User\n proxy @app\n }}\n proxy @app\n}}\n")
        sent = [("X-User", "root"), ("x_user", "root"), ("X.User", "root"), ("X-Forwarded-For", "1.2.3.4"),
                ("X-Sum", "1"), ("x_sum", "2")]
        with Weir(config, app=origin) as weir:
            for target in "/", "/keyed":
                with weir.connect() as client:
                    client.send(f"POST {target} HTTP/1.1\r\nHost: test\r\nX-API-Key: abc\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n".encode() +
                                chunked(b"abc", trailers=[(a.encode(), b.encode()) for a, b in sent]))
                    assert client.response().status == 200
                assert sorted(name.lower() for name, _ in origin.requests[-1].trailers) == left, names
            with h2.Client(weir.port) as client:
                client.send(h2.headers(1, method="POST", end=False) + h2.data(1, b"abc") +
                            h2.headers(1, hpack.encode([(a.lower(), b) for a, b in sent
                                                        if names == "allow" or a in ("X-User", "X-Sum")])))
                assert client.response(1).status == 200
            assert sorted(name.lower() for name, _ in origin.requests[-1].trailers) == left, names


def test_no_spelling_of_who_it_is_passes(origin, tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"one:{fingerprint('abc')}\n")
    config = (f"site * {{\n listen @listen\n field_names allow\n route /keyed {{\n"
              f" api_key file:{path} user_header=X-User-Name\n proxy @app\n }}\n proxy @app\n}}\n")
    names = ["X-User-Name", "x-user-name", "X_User_Name", "x_user-name", "X.User.Name", "X-User~NAME"]
    with Weir(config, app=origin) as weir:
        for chosen in [[name] for name in names] + [names, ["X-User-Name"] * 2]:
            weir.ask("/", fields=[(name, "root") for name in chosen] + [("X-User-Names", "kept")])
            seen = origin.requests[-1].fields
            assert not [name for name, value in seen if value == "root"], chosen
            assert ("X-User-Names", "kept") in seen


def test_no_log_shows_a_key(tmp_path):
    """Not where the request is refused before the key was looked at, nor in other fields."""
    path = tmp_path / "keys"
    path.write_text(f"one:{fingerprint('abcdefgh')}\n")
    top = ("log access {\n to stdout\n flush 10ms\n headers X-App-Key X-Other\n}\n"
           "log access {\n to stdout\n flush 10ms\n format 'T {uri} {referer} {header.X-App-Key}'\n}\n")
    config = top + site("route /denied {\n deny all\n respond 200\n}",
                        f"route /keyed {{\n api_key file:{path} header=X-App-Key query=app_key\n respond 200\n}}",
                        "route /open {\n respond 200\n}", answer="")
    with Weir(config) as weir:
        for target in "/denied", "/keyed", "/open", "/nowhere", "/%2f", "/\\":
            for query in "?app_key=abcdefgh", "?a=1&%61pp_key=abcdefgh&b=2", "":
                weir.ask(target + query, fields=[("X-App-Key", "abcdefgh"), ("X-Other", "seen"),
                                                 ("Referer", "http://h/?app_key=abcdefgh")])
        weir.ask("/last")
        weir.wait_line("T /last")
        weir.wait_line('"uri":"/last"')
        text = "\n".join(weir.lines)
        assert "abcdefgh" not in text
        assert "T /denied?app_key=*** http://h/?app_key=*** ***" in text and '"header.x-other":"seen"' in text


def test_no_error_shows_a_secret():
    """What errors quote of the configuration ends up in logs and terminals."""
    config = ("admin {\n listen 127.0.0.1:9180 {\n token  hunter2-token # why\n }\n}\n"
              "site * {\n listen :8080\n jwt secret=hunter2-short realm=shown wrong=1\n respond 200\n}\n")
    for command in "check", "run":
        done = run(command, "@config", config=config)
        assert done.returncode == 78 and "hunter2" not in done.stdout + done.stderr
        assert "realm=shown" in done.stderr and "token  *************" in done.stderr, done.stderr
        assert "# why" in done.stderr
    done = run("check", "@config", config="site * {\n listen :8080\n jwt jwks=https://a:b@id/jwks\n respond 200\n}\n")
    assert done.returncode == 78 and "stand in logs" in done.stderr
