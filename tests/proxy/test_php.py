# SPDX-License-Identifier: Apache-2.0
"""PHP under Debian's PHP-FPM: what scripts are told, what they answer, and what goes wrong."""
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
import zlib

import pytest

from fcgi_origin import STDERR, STDOUT, FastcgiOrigin, end, record
from fpm import APPS, Fpm, Nginx
from patience import unless_late, until
from weir import Weir, free_port, run

MIB = 1 << 20

CONFIG = """
workers 2
trusted_proxies 127.0.0.9
site * {
    listen @listen
    route /private/* {
        internal
        files @root
    }
    route /again/* {
        internal
        php @unix root=@root accel=on
    }
    route /accel/* {
        strip_prefix /accel
        php @unix root=@root accel=on sendfile_root=@root/private
    }
    route /* {
        php @php root=@root
    }
}
site mounted.test {
    listen @listen
    route /app/* {
        strip_prefix /app
        php @unix root=@root
    }
    route /other%20place/* {
        strip_prefix /other%20place
        fastcgi @unix {
            param SCRIPT_FILENAME @root/server.php
        }
    }
    respond 404
}
site unix.test {
    listen @listen
    php @unix root=@root
}
site bare.test {
    listen @listen
    fastcgi @unix {
        param SCRIPT_FILENAME @root/server.php
        param APP_ENV "{method} {host}"
        param REMOTE_ADDR 192.0.2.1
    }
}
site small.test {
    listen @listen
    php @unix root=@root buffer_body=100KiB fallback=off
}
site query.test {
    listen @listen
    php @unix root=@root fallback="/server.php?page={path}"
}
site odd.test {
    listen @listen
    field_names allow
    php @unix root=@root
}
"""


@pytest.fixture(scope="module")
def fpm():
    with Fpm(children=4) as server:
        yield server


@pytest.fixture(scope="module")
def root():
    """Where everybody may read: PHP-FPM has another user."""
    with tempfile.TemporaryDirectory(prefix="weir-php-") as directory:
        place = pathlib.Path(directory) / "root"
        shutil.copytree(APPS, place)
        (place / "private").mkdir()
        (place / "private" / "book.txt").write_text("a private book\n")
        (place / "style.css").write_text("body { color: red }\n")
        (place / "docs").mkdir()
        (place / "docs" / "index.php").write_text("<?php echo 'docs ', $_SERVER['REQUEST_URI'];")
        (place / "plain").mkdir()
        (place / "plain" / "index.html").write_text("<p>plain</p>")
        (place / "marks").mkdir()
        (place / "marks").chmod(0o777)
        (place / "with space.php").write_text("<?php echo 'space ', $_SERVER['SCRIPT_NAME'];")
        os.chmod(directory, 0o755)
        yield place


@pytest.fixture(scope="module")
def site(fpm, root):
    with Weir(CONFIG, php=fpm.address, unix=fpm.unix, root=root) as weir:
        yield weir


def test_both_sockets_and_both_kinds_of_connections(site):
    with site.connect() as client:
        for host in ("tcp.test", "unix.test") * 10:
            response = client.ask("/act.php?do=hello", host=host)
            assert (response.status, response.body) == (200, b"hello")
            assert response.get("content-length") == "5"


@pytest.mark.parametrize("target, status, body", [
    ("/", 200, b"front /\n"),
    ("/?a=b", 200, b"front /?a=b\n"),
    ("/pretty/url?x=1", 200, b"front /pretty/url?x=1\n"),
    ("/index.php/info/more", 200, b"front /index.php/info/more\n"),
    ("/style.css", 200, b"body { color: red }\n"),
    ("/style.css/more", 200, b"front /style.css/more\n"),
    ("/docs/", 200, b"docs /docs/"),
    ("/docs?x=1", 301, None),
    ("/plain/", 200, b"<p>plain</p>"),
    ("/private/book.txt", 404, None),
    ("/nothing.php", 404, None),
    ("/nothing.php/info", 404, None),
    ("/style.css/x.php", 404, None),
    ("/docs/nothing.php", 404, None),
    ("/with%20space.php", 200, b"space /with space.php"),
    ("/act.php?do=status&status=404", 404, b"status"),
    ("/act.php?do=status&status=503", 503, b"status"),
    ("/act.php?do=status&status=204", 204, b""),
    ("/act.php?do=location", 302, b""),
    ("/act.php?do=length&length=5&body=hello", 200, b"hello"),
    ("/act.php?do=length&length=3&body=hello", 200, b"hel"),
    ("/act.php?do=length&length=9&body=hello", 502, None),
    ("/act.php?do=exit", 200, b"before"),
    ("/act.php?do=fatal", 500, b""),
    ("/act.php?do=finish", 200, b"finished"),
    ("/act.php?do=kill", 502, None),
])
def test_answers(site, target, status, body):
    response = site.ask(target)
    assert response.status == status
    if body is not None:
        assert response.body == body
    if status == 301:
        assert response.get("location") == "/docs/?x=1"


def test_fields_of_answers_come_as_they_are(site):
    response = site.ask("/act.php?do=headers")
    assert response.get("x-one") == "1"
    assert response.all("set-cookie") == ["a=1", "b=2"]


def told(weir, target, host="unix.test", **rest):
    response = weir.ask(target, host=host, **rest)
    assert response.status == 200, response.body
    return json.loads(response.body)


needs_nginx = pytest.mark.skipif(not os.path.exists("/usr/sbin/nginx"), reason="nginx is not there")


@needs_nginx
def test_parameters_are_those_of_nginx(site, fpm, root):
    """The same requests; what differs is listed, and why."""
    ours = {"HTTP_X_REQUEST_ID",  # ours to say
            "PATH_TRANSLATED"}  # RFC 3875 §4.1.6
    theirs = {"CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_USER",  # empty where there is none
              "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE",  # said twice (RFC 3875 §4.1.18)
              "HTTP_CONNECTION", "HTTP_TE",  # of one hop
              "PATH_INFO"}  # empty where there is none
    differ = {"SERVER_SOFTWARE", "SERVER_PORT", "SERVER_NAME", "REMOTE_PORT", "HTTP_HOST",
              "REQUEST_TIME", "REQUEST_TIME_FLOAT", "DOCUMENT_URI",
              "REMOTE_USER"}  # ours is somebody who was verified
    from client import Client
    requests = [
        ("/server.php", {}),
        ("/server.php?a=1&b=%20x", {"fields": [("Cookie", "k=v; l=w"), ("User-Agent", "u/1")]}),
        ("/server.php/path/in%20fo", {"fields": [("Accept", "*/*"), ("X-Own-Field", "a"),
                                                 ("Accept-Language", "de, en;q=0.5")]}),
        ("/server.php", {"method": "POST", "body": b"a=1&b=2", "fields": [
            ("Content-Type", "application/x-www-form-urlencoded")]}),
        ("/server.php", {"fields": [("Authorization", "Basic dTpw"), ("Connection", "close")]}),
        ("/server.php", {"method": "DELETE"}),
    ]
    with Nginx(root, fpm.unix) as nginx:
        for target, rest in requests:
            ours_said = told(site, target, **rest)
            with Client(("127.0.0.1", nginx.port)) as client:
                theirs_said = json.loads(client.ask(target, host="unix.test", **rest).body)
            a, b = ours_said["server"], theirs_said["server"]
            for name in sorted((a.keys() | b.keys()) - differ):
                if name in ours and name not in b:
                    continue
                if name in theirs and (name not in a and (b[name] == "" or name[:5] == "HTTP_")):
                    continue
                assert a.get(name) == b.get(name), (target, name, a.get(name), b.get(name))
            for name in ("get", "post", "cookie", "method", "input"):
                assert ours_said[name] == theirs_said[name], (target, name)


def test_what_clients_cannot_say(site):
    server = told(site, "/server.php", fields=[
        ("Proxy", "http://evil.test"), ("proxy", "x"), ("X-Forwarded-For", "1.2.3.4"),
        ("X-Real-IP", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=1.2.3.4"),
        ("Proxy-Authorization", "Basic x"), ("X-Forwarded-Host", "evil.test"),
        ("Keep-Alive", "x"), ("X-Twice", "a"), ("X-Twice", "b"), ("Cookie", "a=1"),
        ("Cookie", "b=2")])["server"]
    for name in ("HTTP_PROXY", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_PROTO",
                 "HTTP_FORWARDED", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_FORWARDED_HOST", "HTTPS",
                 "HTTP_KEEP_ALIVE"):
        assert name not in server, name
    assert server["REMOTE_ADDR"] == "127.0.0.1"
    assert server["HTTP_X_TWICE"] == "a, b"
    assert server["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize("fields, status", [
    ([("X-Own", "a"), ("X_Own", "b")], 400),
    ([("X_Own", "b"), ("X-Own", "a")], 400),
    ([("X_Own", "b")], 200),
    ([("X_Forwarded_For", "1.2.3.4")], 200),
    ([("X.Forwarded.For", "1.2.3.4")], 200),  # PHP makes a dot an underscore
    ([("X.Own", "a"), ("X-Own", "b")], 400),
    ([("X~Own", "a"), ("X_Own", "b")], 400),
])
def test_names_that_become_the_same(site, fields, status):
    response = site.ask("/server.php", host="odd.test", fields=fields)
    assert response.status == status
    if status == 200:
        assert "HTTP_X_FORWARDED_FOR" not in json.loads(response.body)["server"]


def test_params_of_the_block(site):
    server = told(site, "/any/path%20here", host="bare.test")["server"]
    assert server["APP_ENV"] == "GET bare.test"
    assert server["REMOTE_ADDR"] == "192.0.2.1"
    assert server["PATH_INFO"] == "/any/path here"


@pytest.mark.parametrize("target,script,info", [
    ("/app/server.php", "/app/server.php", ""), ("/app/server.php/x%20y", "/app/server.php", "/x y"),
    ("/other%20place/deep/er", "/other place", "/deep/er"), ("/other%20place", "/other place", "/")])
def test_a_program_knows_where_it_is_mounted(site, target, script, info):
    """What strip_prefix took off is part of the script's name: applications make their links of it."""
    server = told(site, target + "?a=b", host="mounted.test")["server"]
    assert server["SCRIPT_NAME"] == script and server.get("PATH_INFO", "") == info
    assert server["DOCUMENT_URI"] == script + info
    assert server["REQUEST_URI"] == target + "?a=b"


def test_fallback_with_a_query(site):
    said = told(site, "/some/page?x=1", host="query.test")
    assert said["get"] == {"page": "/some/page", "x": "1"}
    assert said["server"]["REQUEST_URI"] == "/some/page?x=1"
    assert site.ask("/some/page", host="small.test").status == 404


def test_methods_of_files_and_scripts(site):
    assert site.ask("/style.css", "POST", body=b"x").status == 405
    assert site.ask("/style.css", "HEAD").get("content-length") == "20"
    head = site.ask("/act.php?do=hello", "HEAD")
    assert (head.status, head.body) == (200, b"")
    with site.connect() as client:  # and the connection to PHP is good for the next one
        for method in ("HEAD", "GET", "HEAD", "GET"):
            assert client.ask("/act.php?do=hello", method).status == 200


@pytest.mark.parametrize("mebibytes, is_chunked", [(0, False), (0, True), (50, False), (50, True)])
def test_uploads(site, mebibytes, is_chunked):
    data = random.Random(7).randbytes(MIB) * mebibytes if mebibytes else b"small"
    before = site.memory()
    with site.connect(timeout=90) as client:
        field = [("Transfer-Encoding", "chunked")] if is_chunked else \
            [("Content-Length", str(len(data)))]
        client.request("/act.php?do=upload", "PUT", fields=field)
        for at in range(0, len(data), 65521):
            piece = data[at:at + 65521]
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
        if is_chunked:
            client.send(b"0\r\n\r\n")
        response = client.response()
    assert json.loads(response.body) == {"size": len(data),
                                         "sha": hashlib.sha256(data).hexdigest()}
    assert site.memory() - before < 24 * MIB


def test_upload_of_a_form(site):
    data = random.Random(8).randbytes(3 * MIB)
    body = (b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.bin\"\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n--b--\r\n")
    response = site.ask("/act.php?do=upload", "POST", body=body,
                        fields=[("Content-Type", "multipart/form-data; boundary=b")])
    assert json.loads(response.body) == {"name": "x.bin", "size": len(data), "error": 0,
                                         "sha": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("size, status", [(100 * 1024, 200), (100 * 1024 + 1, 413)])
def test_the_limit_of_bodies_without_a_length(site, size, status):
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in
                    (b"x" * min(5000, size - at) for at in range(0, size, 5000))) + b"0\r\n\r\n"
    with site.connect() as client:
        client.request("/act.php?do=upload", "POST", host="small.test",
                       fields=[("Transfer-Encoding", "chunked")])
        client.send(body)
        response = client.response()
    assert response.status == status
    if status == 200:
        assert json.loads(response.body)["size"] == size


def test_large_answers(site):
    expected = zlib.crc32(b"0123456789abcdef" * 4096 * 16 * 20)
    before = site.memory()
    response = site.ask("/act.php?do=large&mib=20")
    assert len(response.body) == 20 * MIB
    assert zlib.crc32(response.body) == expected
    assert site.memory() - before < 24 * MIB


def test_pieces_arrive_as_they_are_flushed(site):
    def attempt():
        came = []
        with site.connect() as client:
            client.request("/act.php?do=stream")
            client.head()
            for number in range(4):
                size = int(client.reader.until(b"\r\n"), 16)
                assert client.reader.exactly(size + 2)[:-2] == b"piece %d\n" % number
                came.append(time.monotonic())
        assert came[3] - came[0] > 0.3  # not all at the end
    unless_late(0.3, attempt)


def test_what_scripts_say_is_in_the_error_log(site):
    text = f"said{random.randrange(10**9)}"
    response = site.ask(f"/act.php?do=log&text={text}")
    line = json.loads(site.wait_line(text))
    assert line["event"] == "cgi_stderr"
    assert response.get("x-request-id") in line["msg"]
    assert line["request_id"] == response.get("x-request-id") and line["site"]
    assert re.search(r"weir\.conf:\d+$", line["at"])
    assert "/act.php" in line["msg"]


def test_a_script_that_says_much_does_not_fill_the_log(site):
    before = len(site.lines)
    assert site.ask("/act.php?do=logs").body == b"logged"
    time.sleep(0.2)
    said = [json.loads(line) for line in site.lines[before:] if "cgi_stderr" in line]
    # Of 200 some in each second, of which two may have a part in one of the wall clock.
    seconds = collections.Counter(line["ts"][:19] for line in said)
    assert max(seconds.values()) <= 2 * 6


def test_a_script_that_fails_in_the_middle(site):
    with site.connect() as client:
        client.request("/act.php?do=fatal_late")
        try:
            response = client.response()
            assert response.body == b"some"
        except (AssertionError, EOFError, ConnectionError):
            pass
    assert site.ask("/act.php?do=hello").body == b"hello"


def test_a_client_that_hangs_up_ends_the_script(site, root):
    mark = root / "marks" / "ran.txt"
    with site.connect() as client:
        client.request(f"/act.php?do=abort&file={mark}")
        client.head()
    until(lambda: mark.exists() and mark.read_text(), "the end of the script")
    assert mark.read_text() == "aborted"
    assert site.ask("/act.php?do=hello").body == b"hello"


@pytest.mark.parametrize("to, status, body", [
    ("/private/book.txt", 200, b"a private book\n"),
    ("/private/nothing", 404, None),
    ("/private/../act.php", 200, b"what?"),
    ("/style.css", 200, b"body { color: red }\n"),
    ("/again/x", 200, b"front /again/x\n"),
    ("relative", 502, None),
    ("http://evil.test/", 502, None),
])
def test_redirects_inside(site, to, status, body):
    response = site.ask(f"/accel/act.php?do=accel&to={to}", "POST", body=b"x=1")
    assert response.status == status
    assert b"not for clients" not in response.body
    assert response.get("x-accel-redirect") is None
    if body is not None:
        assert response.body == body
        assert response.get("content-type").startswith("text/x-said")
        assert response.get("content-disposition") == 'attachment; filename="said.txt"'
        assert response.all("set-cookie") == ["seen=1"]


def test_a_circle_of_redirects_inside_ends():
    def answer(connection, parameters, body, number):
        return record(STDOUT, b"X-Accel-Redirect: /again\r\n\r\nx") + end()
    config = "site * {\nlisten @listen\nfastcgi @app accel=on\n}\n"
    with FastcgiOrigin(answer) as server, Weir(config, app=server) as weir:
        assert weir.ask("/").status == 508
        assert len(server.requests) == 11
        assert server.connections == 1  # each answer was read to its end


def test_what_a_redirect_inside_asks():
    """A GET without a body, at the path it names; the log has what the client asked for."""
    def answer(connection, parameters, body, number):
        if parameters["PATH_INFO"] == "/first":
            return record(STDOUT, b"X-Accel-Redirect: /sec%20ond?a=b\r\n\r\n") + end()
        said = {name: parameters.get(name) for name in
                ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_LENGTH", "REQUEST_URI")}
        return record(STDOUT, b"\n".join([b"A: b", b"", json.dumps(said).encode()])) + end()
    config = """
    log access {
        to file:@dir/access.log
    }
    site * {
        listen @listen
        fastcgi @app accel=on
    }
    """
    with FastcgiOrigin(answer) as server, Weir(config, app=server) as weir:
        response = weir.ask("/first", "POST", body=b"hello")
        assert json.loads(response.body) == {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/sec ond", "QUERY_STRING": "a=b",
            "CONTENT_LENGTH": None, "REQUEST_URI": "/sec%20ond?a=b"}
        line = json.loads(weir.log()[0])
        assert line["method"] == "POST" and line["uri"] == "/first" and line["status"] == 200


def test_redirects_inside_only_where_they_are_switched_on(site):
    response = site.ask("/act.php?do=accel&to=/private/book.txt")
    assert (response.status, response.body) == (200, b"not for clients")
    assert site.ask("/private/book.txt").status == 404
    assert site.ask("/private/").status == 404


@pytest.mark.parametrize("file, status", [
    ("@root/private/book.txt", 200),
    ("@root/private/nothing", 404),
    ("@root/style.css", 502),
    ("@root/private/../style.css", 502),
    ("@root/private", 502),
    ("@root/private/", 502),
    ("@root/privateer/x", 502),
    ("/etc/passwd", 502),
    ("private/book.txt", 502),
    ("@root/private/./book.txt", 502),
    ("@root/private//book.txt", 502),
])
def test_sendfile(site, root, file, status):
    target = f"/accel/act.php?do=sendfile&file={file.replace('@root', str(root))}"
    response = site.ask(target, fields=[("Range", "bytes=2-8")])
    assert response.status == (206 if status == 200 else status)
    if status == 200:
        assert response.body == b"private"
        assert response.get("content-type").startswith("text/x-said")


def test_a_server_over_http_may_send_elsewhere_too(origin, root):
    from origin import reply
    origin.on("/go", reply(body=b"", fields=[("X-Accel-Redirect", "/private/book.txt")]))
    config = """
    site * {
        listen @listen
        route /private/* {
            internal
            files @root
        }
        route /* {
            proxy @app accel=on
        }
    }
    """
    with Weir(config, app=origin, root=root) as weir:
        assert weir.ask("/go").body == b"a private book\n"
        assert weir.ask("/private/book.txt").status == 404


def test_a_busy_server_and_idle_connections_of_others(root):
    """Two processes, both kept busy; a third request waits for one of them on a new connection, and
    gets it when one is done, though its connection could have been kept."""
    with Fpm(children=2) as fpm, \
            Weir("upstream php {\nserver @php\nkeepalive 100 idle=15s\n}\n"
                 "site * {\nlisten @listen\nphp php root=@root\n}\n", php=fpm.unix,
                 root=root) as weir:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            started = time.monotonic()
            slow = [pool.submit(weir.ask, "/act.php?do=sleep&ms=300") for _ in range(2)]
            time.sleep(0.1)
            third = pool.submit(weir.ask, "/act.php?do=hello")
            assert third.result(60).body == b"hello"
            # Else it would have waited until an idle one had ended.
            assert time.monotonic() - started < 14.9
            assert [one.result(60).body for one in slow] == [b"slept"] * 2
            # More at a time than there are processes, over and over: nobody starves.
            many = [pool.submit(weir.ask, "/act.php?do=sleep&ms=10") for _ in range(160)]
            assert all(one.result(90).body == b"slept" for one in many)
        if not os.path.exists("/usr/sbin/nginx"):
            return
        # What is idle here keeps others from their processes for some seconds at most.
        with Nginx(root, fpm.unix) as nginx:
            from client import Client
            with Client(("127.0.0.1", nginx.port), timeout=60) as client:
                assert client.ask("/act.php?do=hello").body == b"hello"


def test_restarts_under_load(root):
    """With retries no request fails, whatever PHP-FPM does meanwhile."""
    with Fpm(children=3) as fpm, \
            Weir("upstream php {\nserver @php\nqueue 1024 timeout=90s\n}\n"
                 "site * {\nlisten @listen\nphp php root=@root tries=5\n}\n", php=fpm.unix,
                 root=root) as weir:
        stop = threading.Event()
        done, bad = [], []

        def load():
            with weir.connect(timeout=90) as client:
                while not stop.is_set():
                    response = client.ask("/act.php?do=hello")
                    (done if response.body == b"hello" else bad).append(response)
        threads = [threading.Thread(target=load) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(0.4)
            fpm.restart()
        time.sleep(0.4)
        stop.set()
        for thread in threads:
            thread.join()
        assert not bad, (len(done), [(one.status, one.body) for one in bad[:3]])
        assert len(done) > 10


def tell(body, kind=b"text/plain"):
    return record(STDOUT, b"Content-Type: " + kind + b"\r\n\r\n" + body) + end()


ONE = """
upstream app {
    server @first name=first
    server @second name=second
    balance round_robin
}
site * {
    listen @listen
    fastcgi app
}
"""


@pytest.mark.parametrize("status", [1, 2])
def test_one_that_is_overloaded_is_passed_over(status):
    with FastcgiOrigin(lambda *_: end(status)) as first, \
            FastcgiOrigin(lambda *_: tell(b"second")) as second, \
            Weir(ONE, first=first, second=second) as weir:
        for method in ("GET", "POST") * 4:
            response = weir.ask("/", method, body=b"x" if method == "POST" else None)
            assert (response.status, response.body) == (200, b"second")
        assert first.requests
    with FastcgiOrigin(lambda *_: end(status)) as first, \
            FastcgiOrigin(lambda *_: end(status)) as second, \
            Weir(ONE, first=first, second=second) as weir:
        response = weir.ask("/")
        assert response.status == 503
        assert response.get("retry-after") is not None


@pytest.mark.parametrize("said, status", [
    (b"HTTP/1.1 200 OK\r\n\r\n", 502),
    (record(STDOUT, b"Status: 200\r\n\r\nx", version=2) + end(), 502),
    (record(STDOUT, b"Status: 200\r\n\r\nx", request=2) + end(), 502),
    (record(11, b"x" * 8) + end(), 502),
    (record(STDOUT, b"no head\n\n") + end(), 502),
    (record(STDOUT, b"A: b\r\n") + end(), 502),
    (end(), 502),
    (end(3), 502),
    (end(9), 502),
    (record(STDERR, b"PHP message: only words") + end(), 502),
    (record(STDOUT, b"Status: 99\r\n\r\n") + end(), 502),
    (record(STDOUT, b"A: " + b"x" * 20000 + b"\r\n\r\n") + end(), 502),
    (record(STDOUT, b"A: b\r\n" * 101 + b"\r\n") + end(), 502),
    (None, 502),
    (record(STDOUT, b"Content-", padding=7) + record(STDOUT, b"Type: a/b\n") +
     record(STDOUT, b"\nhello", padding=255) + record(STDOUT) + end(), 200),
    (record(STDOUT, b"Content-Type: a/b\n\nhello") + end(0, 7), 200),
    (record(STDOUT, b"Content-Length: 5\n\nhello and more") + end(), 200),
    (record(STDOUT, b"Content-Length: 5\n\nhel") + record(STDOUT, b"lo") + end(), 200),
])
def test_odd_servers(said, status):
    with FastcgiOrigin(lambda *_: said) as server, \
            Weir("site * {\nlisten @listen\nfastcgi @app retry_on=off\n}\n", app=server) as weir:
        response = weir.ask("/")
        assert response.status == status
        if status == 200:
            assert response.body == b"hello"
        if said is not None and said.endswith(end(0, 7)):
            weir.wait_line("exited with 7")


def test_connections_are_used_again_only_when_they_are_clean():
    answers = {1: tell(b"1"), 2: tell(b"2"), 3: record(STDOUT, b"Content-Length: 1\n\n3!") + end(),
               4: tell(b"4"), 5: tell(b"5") + b"x", 6: tell(b"6"), 7: tell(b"7")}
    with FastcgiOrigin(lambda c, p, b, number: answers[number]) as server, \
            Weir("site * {\nlisten @listen\nfastcgi @app\n}\n", app=server) as weir:
        with weir.connect() as client:
            for number in range(1, 8):
                assert client.ask("/").body == b"%d" % number
        assert server.connections == 3
    with FastcgiOrigin(lambda *_: tell(b"x")) as server, \
            Weir("upstream app {\nserver @app\nkeepalive off\n}\nsite * {\nlisten @listen\n"
                 "fastcgi app\n}\n", app=server) as weir:
        with weir.connect() as client:
            for _ in range(3):
                assert client.ask("/").body == b"x"
        assert server.connections == 3


def test_the_same_server_over_http_and_fastcgi_shares_no_connection(origin):
    from origin import reply
    origin.on("/", reply(body=b"http"))
    config = ("site * {\nlisten @listen\nroute /f {\nfastcgi @app tries=1 "
              "first_byte_timeout=200ms\n}\nroute /* {\nproxy @app\n}\n}\n")
    with Weir(config, app=origin) as weir, weir.connect() as client:
        for _ in range(3):
            assert client.ask("/").body == b"http"
            assert client.ask("/f").status in (502, 504)


def test_bodies_that_are_large_or_slow_reach_a_program_whole():
    with FastcgiOrigin(lambda c, p, body, n: tell(b"%d %s" % (
            len(body), p["CONTENT_LENGTH"].encode()))) as server, \
            Weir("site * {\nlisten @listen\nfastcgi @app retry_body=1MiB\n}\n", app=server) as weir:
        for size in (1, 65535, 65536, 65537, 200000, MIB, MIB + 1):
            response = weir.ask("/", "POST", body=b"x" * size)
            assert response.body == b"%d %d" % (size, size)


def test_health_checks_in_fastcgi():
    config = """
    upstream app {
        server @first
        server @second
        health_check fastcgi interval=50ms fast_interval=50ms fall=1
    }
    site * {
        listen @listen
        fastcgi app
    }
    """
    with FastcgiOrigin(lambda *_: tell(b"well")) as first, Weir(
            config, first=first, second=f"127.0.0.1:{free_port()}") as weir:
        time.sleep(0.6)
        for _ in range(6):
            assert weir.ask("/").body == b"well"


def test_health_checks_of_php_fpm(fpm, root):
    config = """
    upstream php {
        server @php
        health_check fastcgi interval=50ms fall=1 timeout=60s
    }
    site * {
        listen @listen
        php php root=@root
    }
    """
    with Weir(config, php=fpm.unix, root=root) as weir:
        time.sleep(0.7)
        assert weir.ask("/act.php?do=hello").body == b"hello"
        assert "check_failed" not in weir.output


@pytest.mark.skipif(not shutil.which("uwsgi-core") and not shutil.which("uwsgi"),
                    reason="uwsgi is not there")
@pytest.mark.parametrize("kind", ["uwsgi", "scgi", "fastcgi"])
def test_uwsgi_and_scgi_under_uwsgi(kind, tmp_path):
    port = free_port()
    log = open(tmp_path / "log", "wb")
    process = subprocess.Popen(
        [shutil.which("uwsgi-core") or "uwsgi", "--plugin", "python3", "--master", "--need-app",
         f"--{kind}-socket", f"127.0.0.1:{port}", "--wsgi-file",
         str(APPS.parent / "wsgi_app.py"), "--processes", "2", "--buffer-size", "32768"],
        stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        import socket
        for _ in range(2000):
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        with Weir("site * {\nlisten @listen\n@kind 127.0.0.1:@port\n}\n", kind=kind,
                  port=port) as weir, weir.connect(timeout=90) as client:
            for _ in range(3):
                response = client.ask("/", host="shop.example")
                assert response.status == 200
                assert response.body.endswith(b" shop.example")
            data = random.Random(3).randbytes(3 * MIB)
            response = client.ask("/upload", "POST", body=data)
            assert json.loads(response.body) == {"size": len(data),
                                                 "sha256": hashlib.sha256(data).hexdigest()}
            response = client.ask(f"/download?size={4 * MIB}")
            assert len(response.body) == 4 * MIB
    finally:
        process.kill()
        process.wait()
        log.close()


@pytest.mark.parametrize("line, error", [
    ("php 127.0.0.1:9000", "php needs root=DIR"),
    ("php 127.0.0.1:9000 root=/nothing/there", "is no directory, or may not be read"),
    ("php 127.0.0.1:9000 root=/tmp fallback=/index.html", "is not the path of a script"),
    ("php 127.0.0.1:9000 root=/tmp fallback=index.php", "is not the path of a script"),
    ("php 127.0.0.1:9000 root=/tmp fallback=/../index.php", "is not the path of a script"),
    ("php 127.0.0.1:9000 root=/tmp fallback=/i.php?x={nothing}", "nothing"),
    ("php 127.0.0.1:9000 root=/tmp index=a/b.php", "is not the name of a file"),
    ("php 127.0.0.1:9000 root=/tmp retry_on=sometimes", "no reason to try again"),
    ("php 127.0.0.1:9000 root=/tmp buffer_body=-1", "buffer_body"),
    ("fastcgi 127.0.0.1:9000 {\nparam 1A x\n}", "is no name"),
    ("fastcgi 127.0.0.1:9000 {\nparam A-B x\n}", "is no name"),
    ("fastcgi 127.0.0.1:9000 {\nparam A\n}", "value"),
    ("fastcgi 127.0.0.1:9000 {\nparam A {nothing}\n}", "nothing"),
    ("fastcgi 127.0.0.1:9000 {\nheader set A b\n}", "header"),
    ("scgi nothing:x", "nothing:x"),
    ("internal\nrespond 200", "internal"),
])
def test_errors_of_the_configuration(line, error):
    result = run("run", "--alone", "--config", "@config",
                 config="site * {\nlisten 127.0.0.1:%d\n%s\n}\n" % (free_port(), line))
    assert result.returncode == 78, result.stderr
    assert error in result.stderr
