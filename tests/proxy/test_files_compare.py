# SPDX-License-Identifier: Apache-2.0
"""files beside `python3 -m http.server` on the same directory: a thousand odd paths and ranges, byte
for byte. Where they differ a line of EXPLAINED says why."""
import functools
import http.server
import itertools
import os
import pathlib
import random
import re
import tempfile
import threading
import urllib.parse

import http1
from client import Client
from weir import Weir

CONFIG = """
site * {
    listen @listen
    files @tree index=index.html,index.htm precompressed=off
}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    wbufsize = 65536

    def log_message(self, *_):
        pass


def make(tree):
    names = ["index.html", "a.txt", "b.css", "c.js", "d.png", "e.json", "f.svg", "g.xml", "h.pdf",
             "noending", "UPPER.TXT", "two.dots.html", "with space.txt", "plus+plus.txt", "per%41cent.txt",
             "semi;colon.txt", "equal=sign.txt", "amp&and.txt", "quote'single.txt", 'quote"double.txt',
             "caf\u00e9.txt", "\u4f60\u597d.txt", "(round).txt", "[square].txt", "{curly}.txt", "~tilde.txt",
             "comma,comma.txt", "at@sign.txt", "colon:colon.txt", "hash#hash.txt", "question?mark.txt",
             "dollar$.txt", "caret^.txt", "back`tick.txt", "pipe|pipe.txt", "less<more>.txt", "..dots.txt",
             "trailing.", "empty.txt", ".hidden", ".well-known", "emoji\U0001f600.txt", "a" * 200 + ".txt"]
    for directory in ("", "dir", "dir/sub", "dir with space", "htm", "none", ".dot"):
        (tree / directory).mkdir(exist_ok=True)
        for number, name in enumerate(names):
            if (directory in ("none", "htm") and name.startswith("index")) or name == ".well-known":
                continue
            data = b"" if name == "empty.txt" else f"{directory}/{name} ".encode() * (number * 7 + 1)
            (tree / directory / name).write_bytes(data)
    (tree / "htm/index.htm").write_bytes(b"htm")
    os.symlink("a.txt", tree / "link")
    os.symlink("/etc/hostname", tree / "out")
    os.symlink("nowhere", tree / "broken")
    return names


def spellings(path):
    """The same path as different clients write it."""
    quoted = urllib.parse.quote(path)
    yield quoted
    yield "/" + quoted
    yield quoted + "?x=1&y=%2e%2e"
    yield quoted + "/"
    yield quoted.replace("/", "//")
    yield quoted.replace("/", "/./")
    yield "/dir/.." + quoted
    yield "/.." + quoted
    yield "/nope/.." + quoted
    yield re.sub("[a-z]", lambda match: f"%{ord(match[0]):02x}", quoted, count=1)
    yield urllib.parse.quote(path, safe="/" + "".join(map(chr, range(33, 127))).replace("#", "")
                             .replace("?", "").replace("%", ""))
    yield quoted.replace("/", "/%2e/")
    yield quoted + "%00"
    yield quoted.replace("/", "%2f")
    yield quoted + "%20"


RANGES = [None, None, None, "bytes=0-9", "bytes=5-", "bytes=-3", "bytes=0-0,2-2", "bytes=999999-",
          "bytes=zz"]


def requests(names):
    chance = random.Random(20)
    paths = ["/", *(f"/{directory}{name}" for directory, name in itertools.product(
        ("", "dir/", "dir/sub/", "dir with space/", "none/", ".dot/"), names))]
    paths += ["/dir", "/dir/", "/htm", "/htm/", "/none", "/none/", "/link", "/out", "/broken", "/nope"]
    all_of_them = [(spelt, method, value) for path in paths for spelt in spellings(path)
                   for method, value in [("GET", chance.choice(RANGES)),
                                         *([("HEAD", None)] if chance.random() < 0.1 else [])]]
    return chance.sample(all_of_them, 1000)


# name: (does it fit?, why they differ)
EXPLAINED = {
    "hidden": (lambda path, *_: re.search(r"/(?:\.|%2e)(?!\.?/|\.?$|well-known|%2e/|\./)", decoded(path)),
               "names that start with a dot are not there for clients"),
    "refused": (lambda path, value, ours, theirs: ours.status == 400,
                "%00, %2F, %5C and paths that climb above the root are refused, not mended"),
    "listing": (lambda path, value, ours, theirs: theirs.status == 200 and ours.status == 404
                and b"Directory listing for" in theirs.body,
                "directories are listed only where that is switched on"),
    "listing, HEAD": (lambda path, value, ours, theirs: theirs.status == 200 and ours.status == 404
                      and decoded(path).split("?")[0].endswith("/none/"),
                      "the same without a body"),
    "outside": (lambda path, *_: "/out" in path, "links do not lead out of the directory"),
    "range": (lambda path, value, ours, theirs: value is not None and ours.status in (206, 416)
              and theirs.status == 200, "http.server knows no ranges"),
}


def decoded(path):
    return urllib.parse.unquote(path.split("?", 1)[0], "latin-1")


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # it falls over %00


def ask(address, path, method, fields):
    with Client(address) as client:
        try:
            return client.ask(path, method, fields=fields)
        except (http1.Short, ConnectionError):
            broken = http1.Response()
            broken.status = 500
            return broken


def same(ours, theirs):
    return ours.status == theirs.status and (ours.status >= 400 or (
        ours.body == theirs.body and ours.get("location") == theirs.get("location")
        and ours.get("content-length") == theirs.get("content-length")
        and ours.get("last-modified") == theirs.get("last-modified")))


def test_a_thousand_requests(capsys):
    with tempfile.TemporaryDirectory(prefix="weir-compare-") as directory:
        tree = pathlib.Path(directory)
        names = make(tree)
        server = Server(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        counts = {"the same": 0}
        try:
            with Weir(CONFIG, tree=tree) as weir:
                for path, method, value in requests(names):
                    fields = [("Range", value)] if value else []
                    ours = weir.ask(path, method, fields=fields)
                    theirs = ask(server.server_address, path, method, fields)
                    if same(ours, theirs):
                        counts["the same"] += 1
                        continue
                    reason = next((name for name, (fits, _) in EXPLAINED.items()
                                   if fits(path, value, ours, theirs)), None)
                    assert reason, (path, method, value, ours, theirs)
                    counts[reason] = counts.get(reason, 0) + 1
                    if reason == "range" and ours.status == 206 and "," not in value:
                        first, last, size = map(int, re.fullmatch(
                            r"bytes (\d+)-(\d+)/(\d+)", ours.get("content-range")).groups())
                        assert ours.body == theirs.body[first:last + 1] and size == len(theirs.body)
        finally:
            server.shutdown()
            server.server_close()
        with capsys.disabled():
            print("\n" + "\n".join(f"  {count:5} {name}: {EXPLAINED.get(name, ('', ''))[1]}"
                                   for name, count in counts.items()))
        assert sum(counts.values()) == 1000 and counts["the same"] > 300
