# SPDX-License-Identifier: Apache-2.0
"""Nothing leads out of the directory of files: paths in every spelling, and links that are turned
while they are asked for."""
import contextlib
import itertools
import os
import pathlib
import socket
import tempfile
import threading

import pytest

import http1
from weir import Weir

SECRET = b"nobody-may-see-this"
CONFIG = """
site * {
    listen @listen
    route /list/* {
        strip_prefix /list
        files @tree listing=on recheck=0s
    }
    route /link/* {
        strip_prefix /link
        files @tree recheck=0s
    }
    route /none/* {
        strip_prefix /none
        files @tree symlinks=refuse recheck=0s
    }
    route /re/* {
        rewrite ~^/re/(.*)$ /$1
        files @tree
    }
    files @tree fallback=/index.html
}
site raw {
    listen @listen
    path_escaped_slash keep
    path_merge_slashes off
    files @tree listing=on
}
"""
UPS = ["..", "%2e%2e", ".%2e", "%2e.", "%2E%2E", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae",
       "..%00", "..;", "..;x=y", "...", "....", "%uff0e%uff0e", "..%20", "..%09", "..%0d", "%ef%bc%8e%ef%bc%8e",
       "\x2e\x2e", "..%5c", "..\\", "..%5C..", "%2e%2e%2f", "..%2f", "..%2F..%2F", "..%252f", "..%c0%af",
       "..%ef%bc%8f", "..%e2%81%84", ".%00.", "%00..", "..%01"]
SEPARATORS = ["/", "//", "%2f", "%2F", "%5c", "\\", "/./", "%252f", "%c0%af", "/;/", "%2f/"]
TARGETS = ["outside.txt", "outside.txt%00.html", "outside.txt/", "outside.txt%20", "outside.txt;x.html"]
STARTS = ["/", "/dir/", "//", "/./", "/dir/./", "/list/", "/link/", "/none/", "/re/", "/nope/",
          "/dir%2f", "/.well-known/"]


def variants():
    seen = set()
    for start, up, separator in itertools.product(STARTS, UPS, SEPARATORS):
        for depth in (1, 2):
            seen.add(start + (up + separator) * depth + TARGETS[(len(up) + depth) % len(TARGETS)])
    for up, target in itertools.product(UPS, TARGETS):
        seen.add("/dir/" + "/".join([up] * 9) + "/" + target)
        seen.add("/" + up + "/" + up + "/etc/passwd")
    for path in ("/proc/self/" + "root" + "/etc/passwd", "//etc/passwd", "///etc/passwd", "/%2fetc/passwd",
                 "/%2f%2fetc/passwd", "/file:///etc/passwd", "/dir/%2fetc%2fpasswd", "/~root/.bashrc",
                 "/out", "/out/", "/outdir/outside.txt", "/dir/out", "/absolute", "/etclink/passwd",
                 "/list/out", "/list/outdir/", "/link/outdir/outside.txt", "/chain1", "/chain1/",
                 "/proclink/" + "root" + "/etc/passwd", "/re/%252e%252e/outside.txt", "/updir/outside.txt",
                 "/re/..%252foutside.txt", "/dir/../../outside.txt"):
        seen.add(path)
    return sorted(seen)


def make(root):
    tree = root / "tree"
    (tree / "dir").mkdir(parents=True)
    (tree / ".well-known").mkdir()
    (tree / "index.html").write_bytes(b"index")
    (tree / "dir/page.html").write_bytes(b"page")
    (root / "outside.txt").write_bytes(SECRET)
    (root / "outside").mkdir()
    (root / "outside/outside.txt").write_bytes(SECRET)
    (root / "outside/index.html").write_bytes(SECRET)
    os.symlink("../outside.txt", tree / "out")
    os.symlink("../../outside.txt", tree / "dir/out")
    os.symlink("../outside", tree / "outdir")
    os.symlink(str(root / "outside.txt"), tree / "absolute")
    os.symlink("/etc", tree / "etclink")
    os.symlink("/proc/self", tree / "proclink")
    os.symlink("chain2", tree / "chain1")
    os.symlink("dir/../out", tree / "chain2")
    os.symlink("..", tree / "updir")
    root.chmod(0o755)
    return tree


@pytest.fixture(scope="module")
def tree():
    with tempfile.TemporaryDirectory(prefix="weir-escape-") as directory:
        yield make(pathlib.Path(directory))


@pytest.fixture(scope="module")
def weir(tree):
    with Weir(CONFIG, tree=tree) as started:
        yield started


def ask_all(weir, paths, host):
    """-> how many were answered with 200; fails where something came from outside."""
    found = 0
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(weir.connect())
        for path in paths:
            try:
                client.request(path, host=host)
                response = client.response()
            except (http1.Short, ConnectionError, socket.timeout):
                client = stack.enter_context(weir.connect())
                continue
            assert SECRET not in response.body and b"root:" not in response.body, path
            assert b"outside.txt" not in response.body, path
            found += response.status == 200
            assert response.status in (200, 301, 400, 403, 404, 414), (path, response)
            if response.status == 301:
                assert response.get("location").startswith("/")
                assert not response.get("location").startswith("//")
            if response.get("connection") == "close":
                client = stack.enter_context(weir.connect())
    return found


def test_no_spelling_leads_out(weir):
    paths = variants()
    assert len(paths) > 5000
    ask_all(weir, paths, "test")


def test_no_spelling_leads_out_where_slashes_are_kept(weir):
    ask_all(weir, variants()[::3], "raw")


def test_neighbours_are_reached(weir):
    for path in ("/dir/page.html", "/dir/../dir/page.html", "/%64ir/page.html", "/link/dir/page.html",
                 "/none/dir/page.html", "/re/dir/page.html", "/list/dir/page.html", "/dir//page.html"):
        assert weir.ask(path).body == b"page", path
    assert weir.ask("/updir/tree/index.html").body == b"index"  # the fallback: that link leads out


@pytest.mark.parametrize("kind", ["file", "directory", "parent"])
def test_links_that_are_turned_meanwhile(tree, weir, kind):
    """A thread swaps what is there for a link to the outside, as fast as it can."""
    spot = tree / f"swap-{kind}"
    stop = threading.Event()
    if kind == "file":
        path, inside, outside = f"/link/swap-{kind}", "dir/page.html", "../outside.txt"
    elif kind == "directory":
        path, inside, outside = f"/link/swap-{kind}/page.html", "dir", "../outside"
        (tree.parent / "outside/page.html").write_bytes(SECRET)
    else:
        path, inside, outside = f"/link/dir/up-{kind}/dir/page.html", "..", "../.."
        (tree.parent / "dir").mkdir(exist_ok=True)
        (tree.parent / "dir/page.html").write_bytes(SECRET)
        spot = tree / f"dir/up-{kind}"
    inner, outer, spare = (spot.with_name(spot.name + end) for end in (".in", ".out", ".new"))

    def swap():
        while not stop.is_set():
            for target in (inside, outside):
                with contextlib.suppress(FileExistsError):
                    os.symlink(target, spare)
                os.rename(spare, spot)

    os.symlink(inside, spot)
    thread = threading.Thread(target=swap)
    thread.start()
    seen = {}
    try:
        with weir.connect() as client:
            for _ in range(1500):
                response = client.ask(path)
                assert SECRET not in response.body
                assert response.body == b"page" or response.status != 200
                seen[response.status] = seen.get(response.status, 0) + 1
                etagged = client.ask(path, "HEAD")
                assert etagged.get("content-length") != str(len(SECRET))
    finally:
        stop.set()
        thread.join()
    assert not inner.exists() and not outer.exists()
    assert set(seen) <= {200, 404}, seen


def test_directories_that_are_moved_out_meanwhile(tree, weir):
    """A directory is moved out of the tree and back while files below it are asked for by "..": the
    kernel then says that it cannot tell, and nobody gets anything from outside."""
    inside, outside = tree / "moving", tree.parent / "moved"
    (inside / "deep").mkdir(parents=True)
    os.symlink("../../index.html", inside / "deep/link")
    (tree.parent / "index.html").write_bytes(SECRET)
    stop = threading.Event()

    def move():
        while not stop.is_set():
            os.rename(inside / "deep", outside)
            os.rename(outside, inside / "deep")

    thread = threading.Thread(target=move)
    thread.start()
    try:
        with weir.connect() as client:
            for _ in range(1500):
                response = client.ask("/link/moving/deep/link")
                assert SECRET not in response.body
                assert response.status in (200, 404, 500)
    finally:
        stop.set()
        thread.join()
