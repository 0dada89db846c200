# SPDX-License-Identifier: Apache-2.0
"""files DIR: what is sent, and what is said of it. One weir for all cases of a kind."""
import contextlib
import email.utils
import gzip
import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import http1
import pki
from weir import Weir, run

BIG = hashlib.sha256(b"seed").digest() * 40000  # 1.28 MB
MIDDLE = BIG[:70000]
OLD = 1_600_000_000

CONFIG = """
site * {
    listen @listen
    route /list/* {
        strip_prefix /list
        files @tree listing=on index=off
    }
    route /spa/* {
        strip_prefix /spa
        files @tree/build fallback=/index.html
    }
    route /follow/* {
        strip_prefix /follow
        files @tree symlinks=follow recheck=0s
    }
    route /refuse/* {
        strip_prefix /refuse
        files @tree symlinks=refuse recheck=0s
    }
    route /now/* {
        strip_prefix /now
        files @tree recheck=0s
    }
    route /shown/* {
        strip_prefix /shown
        files @tree hide=off precompressed=off index=start.txt,index.html types=md:text/plain,.odd:application/x-odd
    }
    route /secret/* {
        strip_prefix /secret
        files @tree hide=*.bak,draft?
    }
    route /rewritten/* {
        rewrite ~^/rewritten/(.*)$ /$1
        files @tree
    }
    route /current/* {
        strip_prefix /current
        files @tree/../current recheck=0s
    }
    files @tree
}
"""


def make_tree(root):
    tree = root / "tree"
    for path in ("dir/sub", "empty", ".well-known", ".git", "build/assets", "with.index"):
        (tree / path).mkdir(parents=True)
    files = {
        "index.html": b"<h1>home</h1>", "a.txt": b"0123456789", "empty.txt": b"", "big.bin": BIG,
        "middle.bin": MIDDLE, "dir/index.html": b"in dir", "dir/page.html": b"page",
        ".env": b"secret", ".git/config": b"secret", ".well-known/acme": b"known",
        "README.md": b"# md", "x.odd": b"odd", "noextension": b"?", "start.txt": b"start",
        "a.bak": b"old", "draft1": b"one", "draft22": b"two", "with space & <b>.txt": b"odd name",
        "per%2e.txt": b"percent", "build/index.html": b"<div id=root></div>",
        "build/assets/app.4f3e.js": b"console.log(1)", "UPPER.HTML": b"upper",
        "caf\u00e9.txt": b"utf8", "page.js": b"let a = 1;" * 100, "stale.css": b"new",
        "only.js": b"x" * 2000, "with.index/index.html": b"dotted",
    }
    for name, data in files.items():
        path = tree / name
        path.write_bytes(data)
        os.utime(path, (OLD, OLD))
    for ending, data in ((".gz", gzip.compress(b"let a = 1;" * 100)), (".br", b"brotli"),
                         (".zst", b"zstd")):
        (tree / ("page.js" + ending)).write_bytes(data)
        (tree / ("stale.css" + ending)).write_bytes(data)
        os.utime(tree / ("page.js" + ending), (OLD, OLD))
        os.utime(tree / ("stale.css" + ending), (OLD - 10, OLD - 10))
    (tree / "only.js.gz").write_bytes(gzip.compress(b"x" * 2000))
    (root / "outside.txt").write_bytes(b"outside")
    os.symlink("a.txt", tree / "inner")
    os.symlink("../a.txt", tree / "dir/up")
    os.symlink("../outside.txt", tree / "out")
    os.symlink(str(tree / "a.txt"), tree / "absolute")
    os.symlink("loop", tree / "loop")
    os.symlink("dir", tree / "linked")
    os.mkfifo(tree / "pipe")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.bind(str(tree / "socket"))
    os.symlink("tree", root / "current")
    os.chmod(root, 0o755)
    return tree


@pytest.fixture(scope="module")
def tree():
    with tempfile.TemporaryDirectory(prefix="weir-files-") as directory:
        yield make_tree(pathlib.Path(directory))


@pytest.fixture(scope="module")
def weir(tree):
    with Weir(CONFIG, tree=tree) as started:
        yield started


# path, status, body (None: not looked at), fields that the answer has
PATHS = [
    ("/", 200, b"<h1>home</h1>", {"content-type": "text/html; charset=utf-8"}),
    ("/a.txt", 200, b"0123456789", {"content-type": "text/plain; charset=utf-8"}),
    ("/a.txt?x=1&y", 200, b"0123456789", {}),
    ("/empty.txt", 200, b"", {"content-length": "0"}),
    ("/big.bin", 200, BIG, {"content-type": "application/octet-stream"}),
    ("/middle.bin", 200, MIDDLE, {}),
    ("/dir/", 200, b"in dir", {}),
    ("/dir", 301, b"", {"location": "/dir/"}),
    ("/dir?a=b&c", 301, b"", {"location": "/dir/?a=b&c"}),
    ("/with.index", 301, b"", {"location": "/with.index/"}),
    ("/empty/", 404, None, {}),
    ("/dir/page.html", 200, b"page", {}),
    ("/a.txt/", 404, None, {}), ("/a.txt/b", 404, None, {}), ("/nope", 404, None, {}),
    ("/nope/nope/nope", 404, None, {}),
    ("/.env", 404, None, {}), ("/.git/config", 404, None, {}), ("/%2egit/config", 404, None, {}),
    ("/dir/../.env", 404, None, {}), ("/.well-known/acme", 200, b"known", {}),
    ("/dir/.well-known/x", 404, None, {}),
    ("/README.md", 200, b"# md", {"content-type": "text/markdown; charset=utf-8"}),
    ("/x.odd", 200, b"odd", {"content-type": "application/octet-stream"}),
    ("/noextension", 200, b"?", {"content-type": "application/octet-stream"}),
    ("/UPPER.HTML", 200, b"upper", {"content-type": "text/html; charset=utf-8"}),
    ("/with%20space%20%26%20%3Cb%3E.txt", 200, b"odd name", {}),
    ("/per%252e.txt", 200, b"percent", {}), ("/per%2e.txt", 404, None, {}),
    ("/caf%C3%A9.txt", 200, b"utf8", {}), ("/caf%c3%a9.txt", 200, b"utf8", {}),
    ("//a.txt", 200, b"0123456789", {}), ("/dir//page.html", 200, b"page", {}),
    ("/dir/./page.html", 200, b"page", {}), ("/dir/%2e%2e/a.txt", 200, b"0123456789", {}),
    ("/inner", 200, b"0123456789", {}), ("/dir/up", 200, b"0123456789", {}),
    ("/linked/page.html", 200, b"page", {}), ("/linked", 301, b"", {"location": "/linked/"}),
    ("/out", 404, None, {}), ("/absolute", 404, None, {}), ("/loop", 404, None, {}),
    ("/pipe", 403, None, {}), ("/socket", 403, None, {}),
    ("/" + "n" * 255, 404, None, {}), ("/" + "n" * 256, 404, None, {}),
    ("/" + "d/" * 3000, 404, None, {}),
    ("/follow/out", 200, b"outside", {}), ("/follow/absolute", 200, b"0123456789", {}),
    ("/follow/loop", 404, None, {}), ("/follow/inner", 200, b"0123456789", {}),
    ("/refuse/inner", 404, None, {}), ("/refuse/linked/page.html", 404, None, {}),
    ("/refuse/a.txt", 200, b"0123456789", {}), ("/refuse/out", 404, None, {}),
    ("/shown/.env", 200, b"secret", {}), ("/shown/", 200, b"start", {}),
    ("/shown/dir/", 200, b"in dir", {}),
    ("/shown/README.md", 200, b"# md", {"content-type": "text/plain"}),
    ("/shown/x.odd", 200, b"odd", {"content-type": "application/x-odd"}),
    ("/secret/a.bak", 404, None, {}), ("/secret/draft1", 404, None, {}),
    ("/secret/draft22", 200, b"two", {}), ("/secret/.env", 200, b"secret", {}),
    ("/rewritten/a.txt", 200, b"0123456789", {}), ("/rewritten/.env", 404, None, {}),
    ("/rewritten/..%252f..%252foutside.txt", 404, None, {}),
    ("/spa/", 200, b"<div id=root></div>", {}), ("/spa/index.html", 200, None, {}),
    ("/spa/users/7?tab=a", 200, b"<div id=root></div>", {"content-type": "text/html; charset=utf-8"}),
    ("/spa/assets/app.4f3e.js", 200, b"console.log(1)",
     {"content-type": "text/javascript; charset=utf-8"}),
    ("/spa/.env", 404, None, {}), ("/spa/assets", 301, b"", {"location": "/spa/assets/"}),
    ("/spa/assets/", 200, b"<div id=root></div>", {}),
    ("/current/a.txt", 200, b"0123456789", {}),
]


@pytest.mark.parametrize("path,status,body,fields", PATHS, ids=[row[0][:40] for row in PATHS])
def test_paths(weir, path, status, body, fields):
    with weir.connect() as client:
        for _ in range(2):  # from the disk, then from memory
            response = client.ask(path)
            assert response.status == status, response
            if body is not None:
                assert response.body == body
            for name, value in fields.items():
                assert response.get(name) == value
        head = client.ask(path, "HEAD")
        assert (head.status, head.body) == (status, b"")
        for name in ("content-length", "content-type", "etag", "last-modified", "location"):
            assert head.get(name) == response.get(name), name


def test_what_is_said_of_a_file(weir):
    response = weir.ask("/a.txt")
    assert re.fullmatch(r'"[0-9a-f]{16}"', response.get("etag"))
    assert response.get("last-modified") == email.utils.formatdate(OLD, usegmt=True)
    assert response.get("accept-ranges") == "bytes"
    assert response.get("content-length") == "10"
    assert not response.all("vary") and not response.all("content-encoding")


def test_methods(weir):
    for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "QUERY"):
        response = weir.ask("/a.txt", method)
        assert (response.status, response.get("allow")) == (405, "GET, HEAD, OPTIONS")
    response = weir.ask("/a.txt", "OPTIONS")
    assert (response.status, response.get("allow"), response.body) == (204, "GET, HEAD, OPTIONS", b"")
    assert weir.ask("/a.txt", "POST", body=b"x" * 1000).status == 405


ETAG = object()
DATE = object()
CONDITIONS = [
    ([("If-None-Match", ETAG)], 304), ([("If-None-Match", '"x"')], 200),
    ([("If-None-Match", "*")], 304), ([("If-None-Match", '"x", W/"y"')], 200),
    ([("If-Modified-Since", DATE)], 304),
    ([("If-Modified-Since", email.utils.formatdate(OLD - 1, usegmt=True))], 200),
    ([("If-Modified-Since", email.utils.formatdate(OLD + 1, usegmt=True))], 304),
    ([("If-Modified-Since", "never")], 200),
    ([("If-None-Match", '"x"'), ("If-Modified-Since", DATE)], 200),
    ([("If-Match", ETAG)], 200), ([("If-Match", '"x"')], 412), ([("If-Match", "*")], 200),
    ([("If-Unmodified-Since", DATE)], 200),
    ([("If-Unmodified-Since", email.utils.formatdate(OLD - 1, usegmt=True))], 412),
    ([("Range", "bytes=0-3"), ("If-None-Match", ETAG)], 304),
    ([("Range", "bytes=0-3"), ("If-Range", ETAG)], 206),
    ([("Range", "bytes=0-3"), ("If-Range", '"x"')], 200),
    ([("Range", "bytes=0-3"), ("If-Range", DATE)], 206),
    ([("Range", "bytes=0-3"), ("If-Range", "W/\"x\"")], 200),
    ([("Range", "bytes=0-3"), ("If-Range", email.utils.formatdate(OLD - 1, usegmt=True))], 200),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(weir, method):
    with weir.connect() as client:
        first = client.ask("/a.txt")
        said = {ETAG: first.get("etag"), DATE: first.get("last-modified")}
        for fields, status in CONDITIONS:
            fields = [(name, said.get(value, value)) for name, value in fields]
            wanted = 200 if method == "HEAD" and status == 206 else status
            response = client.ask("/a.txt", method, fields=fields)
            assert response.status == wanted, (fields, response)
            if wanted in (200, 206, 304):
                assert response.get("etag") == said[ETAG]
            if wanted == 304:
                assert response.body == b"" and not response.all("content-type")


RANGES = [
    ("bytes=0-3", [(0, 3)]), ("bytes=5-", [(5, None)]), ("bytes=-4", [(-4, None)]),
    ("bytes=0-0", [(0, 0)]), ("bytes=9-999999999", [(9, None)]), ("bytes=0-3,6-7", [(0, 3), (6, 7)]),
    ("bytes=7-8, 1-2", [(7, 8), (1, 2)]), ("bytes=-1,0-1", [(-1, None), (0, 1)]),
    ("bytes=0-", "whole"), ("bytes=99999999-", 416), ("bytes=-0", 416), ("items=0-3", "whole"),
    ("bytes=3-1", "whole"), ("bytes=a-b", "whole"), ("bytes=", "whole"),
    ("bytes=" + ",".join(f"{i}-{i}" for i in range(0, 200, 2)), "whole"),
]


def cut(data, first, last):
    first = len(data) + first if first < 0 else first
    return data[first:] if last is None else data[first:last + 1]


@pytest.mark.parametrize("path,data", [("/a.txt", b"0123456789"), ("/middle.bin", MIDDLE),
                                       ("/big.bin", BIG)])
def test_ranges(weir, path, data):
    with weir.connect() as client:
        for value, parts in RANGES:
            response = client.ask(path, fields=[("Range", value)])
            if parts == 416:
                assert response.status == 416
                assert response.get("content-range") == f"bytes */{len(data)}"
                continue
            if parts == "whole" or (len(parts) == 1 and cut(data, *parts[0]) == data):
                assert response.body == data and response.status in (200, 206), value
                continue
            assert response.status == 206, (value, response)
            if len(parts) == 1:
                body = cut(data, *parts[0])
                start = data.index(body) if len(body) > 32 else None
                assert response.body == body
                match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.get("content-range"))
                assert data[int(match[1]):int(match[2]) + 1] == body and int(match[3]) == len(data)
                assert start is None or start >= 0
                continue
            boundary = re.fullmatch(r"multipart/byteranges; boundary=(\w+)",
                                    response.get("content-type"))[1].encode()
            pieces = response.body.split(b"\r\n--" + boundary)
            if not response.body.startswith(b"\r\n"):
                pieces = (b"\r\n" + response.body).split(b"\r\n--" + boundary)
            assert pieces[-1].strip() == b"--"
            assert [piece.split(b"\r\n\r\n", 1)[1] for piece in pieces[1:-1]] == [
                cut(data, *part) for part in parts], value


ACCEPTED = [
    ("gzip", "gzip"), ("gzip, br", "br"), ("gzip, deflate, br, zstd", "zstd"), ("br;q=0.5, gzip", "gzip"),
    ("zstd;q=0, br;q=0, gzip", "gzip"), ("*", "zstd"), ("*;q=0", None), ("identity", None),
    ("gzip;q=0", None), ("deflate", None), ("", None), ("GZIP", "gzip"), ("x-gzip", "gzip"),
    ("gzip;q=0.5, identity;q=0.9", None), ("gzip;q=1.0, identity; q=0.5", "gzip"),
    ("gzip;q=nonsense", None), ("gzip;q=2", None),
]


def test_precompressed(weir):
    bodies = {"gzip": gzip.compress(b"let a = 1;" * 100), "br": b"brotli", "zstd": b"zstd",
              None: b"let a = 1;" * 100}
    etags = set()
    with weir.connect() as client:
        for accepted, coding in ACCEPTED:
            response = client.ask("/page.js", fields=[("Accept-Encoding", accepted)])
            assert response.get("content-encoding") == coding, accepted
            assert response.get("vary") == "Accept-Encoding"
            assert response.get("content-type") == "text/javascript; charset=utf-8"
            if coding != "gzip":
                assert response.body == bodies[coding]
            else:
                assert gzip.decompress(response.body) == bodies[None]
            etags.add((coding, response.get("etag")))
            again = client.ask("/page.js", fields=[("Accept-Encoding", accepted),
                                                   ("If-None-Match", response.get("etag"))])
            assert again.status == 304 and again.get("vary") == "Accept-Encoding"
        assert len(etags) == len({etag for _, etag in etags}) == 4
        part = client.ask("/page.js", fields=[("Accept-Encoding", "br"), ("Range", "bytes=1-2")])
        assert (part.status, part.body, part.get("content-encoding")) == (206, b"ro", "br")
        stale = client.ask("/stale.css", fields=[("Accept-Encoding", "gzip, br, zstd")])
        assert stale.body == b"new" and not stale.all("vary") and not stale.all("content-encoding")
        off = client.ask("/shown/page.js", fields=[("Accept-Encoding", "gzip")])
        assert not off.all("content-encoding") and not off.all("vary")


def test_listing(weir):
    page = weir.ask("/list/")
    assert page.status == 200 and page.get("content-type") == "text/html; charset=utf-8"
    text = page.body.decode()
    assert 'href="./dir/"' in text and "a.txt" in text and "<title>/list/</title>" in text
    assert 'href="./with%20space%20%26%20%3Cb%3E.txt"' in text
    assert "with space &amp; &lt;b&gt;.txt" in text and "<b>" not in text
    for hidden in (".env", ".git", "pipe", "socket", ">out<", "absolute", "loop"):
        assert hidden not in text
    answer = weir.ask("/list/", fields=[("Accept", "application/json, text/html;q=0.5")])
    assert answer.get("content-type") == "application/json" and answer.get("vary") == "Accept"
    listing = json.loads(answer.body)
    names = [entry["name"] for entry in listing["entries"]]
    kinds = [entry["type"] for entry in listing["entries"]]
    assert kinds == sorted(kinds) and listing["complete"] is True and listing["path"] == "/list/"
    directories = [name for name, kind in zip(names, kinds) if kind == "directory"]
    files = [name for name, kind in zip(names, kinds) if kind == "file"]
    assert directories == sorted(directories) and files == sorted(files, key=str.encode)
    assert {"name": "a.txt", "type": "file", "size": 10,
            "changed": "2020-09-13T12:26:40.000000Z"} in listing["entries"]
    assert weir.ask("/list/", "HEAD").body == b""
    assert weir.ask("/list/dir").get("location") == "/list/dir/"
    inner = weir.ask("/list/dir/").body.decode()
    assert 'href="../"' in inner and "page.html" in inner
    assert json.loads(weir.ask("/list/empty/", fields=[("Accept", "application/json")]).body
                      )["entries"] == []
    assert weir.ask("/list/nope/").status == 404
    assert weir.ask("/list/a.txt/").status == 404


def test_a_listing_is_bounded(tree, weir):
    many = tree / "many"
    many.mkdir()
    for number in range(10050):
        (many / f"{number:05}").touch()
    answer = weir.ask("/list/many/", fields=[("Accept", "application/json")])
    listing = json.loads(answer.body)
    assert len(listing["entries"]) == 10000 and listing["complete"] is False
    assert b"only 10000 are shown" in weir.ask("/list/many/").body


def test_changes_are_seen(tree, weir):
    path = tree / "changing.txt"
    assert weir.ask("/now/changing.txt").status == 404
    for number in range(20):
        path.write_bytes(b"%d" % number * (number % 3 + 1))
        assert weir.ask("/now/changing.txt").body == path.read_bytes()
    etag = weir.ask("/now/changing.txt").get("etag")
    os.utime(path, (OLD, OLD))
    assert weir.ask("/now/changing.txt").get("etag") != etag
    path.unlink()
    assert weir.ask("/now/changing.txt").status == 404
    path.mkdir()
    assert weir.ask("/now/changing.txt").status == 301


def test_what_was_seen_is_believed_for_a_second(tree, weir):
    path = tree / "believed.txt"
    path.write_bytes(b"one")
    os.utime(path, (OLD, OLD))
    assert weir.ask("/believed.txt").body == b"one"
    (tree / "next.txt").write_bytes(b"two!")
    os.rename(tree / "next.txt", path)
    until = time.monotonic() + 60
    while weir.ask("/believed.txt").body != b"two!":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_release_is_switched_by_its_link(tree, weir):
    releases = tree.parent
    (releases / "next").mkdir()
    (releases / "next/a.txt").write_bytes(b"the next release")
    assert weir.ask("/current/a.txt").body == b"0123456789"
    os.symlink("next", releases / "link")
    os.rename(releases / "link", releases / "current")
    assert weir.ask("/current/a.txt").body == b"the next release"
    os.symlink("tree", releases / "link")
    os.rename(releases / "link", releases / "current")


def test_a_file_that_shrinks_breaks_the_response_off(tree, weir):
    """The client reads only once the file is short: what was promised cannot come any more."""
    victim = tree / "shrinking.bin"
    victim.write_bytes(BIG * 16)
    with weir.connect(receive_buffer=4096) as client:
        client.request("/now/shrinking.bin")
        response = client.head()
        assert response.status == 200 and int(response.get("content-length")) == len(BIG) * 16
        os.truncate(victim, len(BIG))
        with pytest.raises((http1.Short, ConnectionResetError)):
            client.reader.exactly(len(BIG) * 16)


def test_a_file_that_grows_is_sent_as_promised(tree, weir):
    victim = tree / "growing.bin"
    victim.write_bytes(BIG * 8)
    with weir.connect(receive_buffer=4096) as client:
        client.request("/now/growing.bin")
        time.sleep(0.05)
        with open(victim, "ab") as file:
            file.write(b"more" * 100000)
        response = client.response()
        assert response.body == BIG * 8
        assert client.ask("/a.txt").body == b"0123456789"


def evict(path):
    """Out of the kernel's memory, as far as it lets itself be told."""
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def test_what_is_not_in_memory_is_fetched_apart(tree, weir):
    for size in (100, 70000, 3_000_000):
        path = tree / "cold.bin"
        data = os.urandom(size)
        path.write_bytes(data)
        os.utime(path, (OLD, OLD))
        for number in range(3):
            evict(path)
            with weir.connect() as client:
                assert client.ask("/now/cold.bin").body == data
                evict(path)
                part = client.ask("/now/cold.bin", fields=[("Range", f"bytes={size // 2}-")])
                assert part.body == data[size // 2:]


@pytest.mark.parametrize("options", [["--http2-prior-knowledge"], ["--http1.0"], ["--http1.1"]])
def test_versions_of_http(weir, tmp_path, options):
    for path, data in (("/a.txt", b"0123456789"), ("/big.bin", BIG), ("/middle.bin", MIDDLE),
                       ("/empty.txt", b"")):
        subprocess.run(["curl", "-sf", *options, "-o", tmp_path / "out",
                        f"http://{weir.address}{path}"], check=True, timeout=90)
        assert (tmp_path / "out").read_bytes() == data
        subprocess.run(["curl", "-sf", *options, "-r", "0-", "-I", "-o", tmp_path / "out",
                        f"http://{weir.address}{path}"], check=True, timeout=90)
    subprocess.run(["curl", "-sf", *options, "-r", "70000-80000", "-o", tmp_path / "out",
                    f"http://{weir.address}/big.bin"], check=True, timeout=90)
    assert (tmp_path / "out").read_bytes() == BIG[70000:80001]


@pytest.mark.parametrize("option", ["--http1.1", "--http2"])
def test_over_tls(tree, tmp_path, option):
    authority = pki.Authority("files")
    authority.write(tmp_path, "a.example", file="server")
    config = "site a.example {\n    listen @listen\n    tls @pki/server.pem key=@pki/server.key\n    files @tree\n}\n"
    with Weir(config, tree=tree, pki=tmp_path) as weir:
        for path, data in (("/a.txt", b"0123456789"), ("/big.bin", BIG), ("/middle.bin", MIDDLE)):
            subprocess.run(["curl", "-skf", option, "-o", tmp_path / "out", "--resolve",
                            f"a.example:{weir.port}:127.0.0.1",
                            f"https://a.example:{weir.port}{path}"], check=True, timeout=90)
            assert (tmp_path / "out").read_bytes() == data


def test_unreadable():
    """Root may read everything: then it is served as somebody else."""
    user = "user nobody\ngroup nogroup\n" if os.geteuid() == 0 else ""
    with tempfile.TemporaryDirectory(prefix="weir-test-") as directory:
        os.chmod(directory, 0o755)
        path = pathlib.Path(directory) / "unreadable.txt"
        path.write_bytes(b"x")
        path.chmod(0)
        with Weir(user + f"site * {{\n listen @listen\n files {directory}\n}}") as weir:
            assert weir.ask("/unreadable.txt").status == 403
            path.chmod(0o644)
            time.sleep(1.1)  # what was seen is believed that long
            assert weir.ask("/unreadable.txt").body == b"x"


def test_many_at_once_and_a_table_that_is_full(tree, weir):
    many = tree / "table"
    many.mkdir()
    for number in range(600):
        (many / f"{number}.bin").write_bytes(b"%d " % number * 20000)
    failures = []

    def ask(start):
        with weir.connect() as client:
            for number in range(start, start + 600, 4):
                body = client.ask(f"/table/{number % 600}.bin").body
                if body != b"%d " % (number % 600) * 20000:
                    failures.append(number)
                if client.ask(f"/table/none-{number}").status != 404:
                    failures.append(-number)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    descriptors = os.listdir(f"/proc/{weir.working()}/fd")
    assert len(descriptors) < 600 + 100
    assert weir.ask("/a.txt").body == b"0123456789"


BAD = [
    ("files", "directory"), ("files @dir/nope", "is no directory"), ("files @dir/weir.conf", "is no directory"),
    ("files @dir precompressed=gzip", "not one of zst, br, gz"),
    ("files @dir precompressed=gz,gz,br,zst", "not one of zst, br, gz"),
    ("files @dir types=md", "not ENDING:TYPE"), ("files @dir types=md:text", "not ENDING:TYPE"),
    ("files @dir index=a/b", "not the name of a file"), ("files @dir index=..", "not the name"),
    ("files @dir fallback=/x/", "not the path of a file"),
    ("files @dir fallback=/../x", "not the path of a file"), ("files @dir symlinks=maybe", "symlinks"),
    ("files @dir recheck=2h", "recheck"),
]


@pytest.mark.parametrize("line,why", BAD, ids=[row[0] for row in BAD])
def test_what_check_says(tmp_path, line, why):
    (tmp_path / "weir.conf").write_text("x")
    result = run("check", "@config", config="site * {\n    listen :8080\n    "
                 + line.replace("@dir", str(tmp_path)) + "\n}\n")
    assert result.returncode != 0 and why in result.stderr, result.stderr


def test_the_directory_is_relative_to_the_file():
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "www").mkdir()
        (pathlib.Path(directory) / "www/a.txt").write_bytes(b"here")
        (pathlib.Path(directory) / "weir.conf").write_text("site * {\n    files www\n}\n")
        assert run("check", f"{directory}/weir.conf").returncode == 0
