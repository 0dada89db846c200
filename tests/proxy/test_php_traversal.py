# SPDX-License-Identifier: Apache-2.0
"""Paths that try to get out of the root of php, to run what is no script, or to read what is one:
none does."""
import itertools
import os
import pathlib
import socket
import tempfile
import threading
import time

import pytest

from fpm import Fpm
from weir import Weir

OUTSIDE = b"what is outside of the root"
HIDDEN = b"what nobody may see"
SOURCE = b"the source of a script"
RUN = b"it was run: "
MARKS = (OUTSIDE, HIDDEN, SOURCE, RUN)

CONFIG = """
site * {
    listen @listen
    php @php root=@root
}
site follow.test {
    listen @listen
    php @php root=@root fallback=off
}
site turn.test {
    listen @listen
    php @php root=@root recheck=0s
}
site odd.test {
    listen @listen
    path_escaped_slash keep
    path_merge_slashes off
    php @php root=@root
}
"""


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory(prefix="weir-php-") as directory:
        base = pathlib.Path(directory)
        os.chmod(base, 0o755)
        root = base / "site" / "root"
        (root / "uploads").mkdir(parents=True)
        (root / "app").mkdir()
        (root / ".git").mkdir()
        (root / "x.php").mkdir()
        script = "<?php /* " + SOURCE.decode() + " */ echo '%s';"
        evil = "GIF89a <?php echo '" + RUN.decode() + "', 6 * 7;"
        (root / "index.php").write_text(script % "front")
        (root / "app" / "index.php").write_text(script % "app")
        (root / "x.php" / "inner.php").write_text(script % "inner")
        for name in ("config.php.bak", "config.php~", "config.php.save", "app/db.inc",
                     "config.php.swp", "config.phps", "index.PHP", "a.phtml", "a.phar",
                     "config.Php5"):
            (root / name).write_text(script % "no script")
        for name in (".env", ".htaccess", ".git/config", ".user.ini", ".well-known.txt",
                     "app/.secret", "uploads/.htpasswd"):
            (root / name).write_text(HIDDEN.decode())
        for name in ("evil.jpg", "evil.txt", "evil.php.jpg", "evil", "evil.PHP5"):
            (root / "uploads" / name).write_text(evil)
        for name in ("secret.txt", "secret.php", "secret"):
            for where in (base, base / "site"):
                (where / name).write_text("<?php echo '" + OUTSIDE.decode() + "';")
        (root / "out").symlink_to(base)
        (root / "out.php").symlink_to(base / "secret.php")
        (root / "out.txt").symlink_to("../../secret.txt")
        (root / "absolute.txt").symlink_to(base / "secret.txt")
        (root / "uploads" / "passwd").symlink_to("/etc/passwd")
        (root / "pipe.php").unlink(missing_ok=True)
        os.mkfifo(root / "pipe.php")
        os.mkfifo(root / "pipe.txt")
        yield root


@pytest.fixture(scope="module")
def site(place):
    with Fpm(children=2, **{"cgi.fix_pathinfo": "1"}) as fpm, \
            Weir(CONFIG, php=fpm.unix, root=place) as weir:
        yield weir


def variants():
    ups = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "%252e%252e%252f", "..%c0%af",
           "%c0%ae%c0%ae/", "..;/", "..%00/", "....//", ".%2e/", "%2e./", "..%252f", "..%ef%bc%8f",
           "%uff0e%uff0e/", "..//", "/../", "./../", "..%2F..%2F", "..%0a/", "..%20/", ".%00./"]
    starts = ["/", "/app/", "/index.php/", "/x.php/", "/uploads/evil.jpg/", "//", "/./"]
    targets = ["secret.txt", "secret.php", "etc/passwd"]
    for start, up, target in itertools.product(starts, ups, targets):
        yield start + up * (8 if target == "etc/passwd" else 2) + target
    for hidden in (".env", ".htaccess", ".git/config", ".user.ini", "app/.secret",
                   "uploads/.htpasswd", ".git/", ".git"):
        for form in ("/%s", "//%s", "/./%s", "/app/../%s", "/%s%%00.css", "/%s/", "/index.php/../%s"):
            yield form % hidden
            yield (form % hidden).replace("/.", "/%2e").replace("/%%", "/%")
    for source in ("config.php.bak", "config.php~", "config.php.save", "app/db.inc",
                   "config.php.swp", "config.phps", "index.PHP", "a.phtml", "a.phar",
                   "config.Php5"):
        for form in ("/%s", "/./%s", "/%s?x=.css", "/%s#", "/app/..//%s", "/%s%%20", "/%s."):
            yield form % source
    for evil in ("evil.jpg", "evil.txt", "evil.php.jpg", "evil", "evil.PHP5"):
        for form in ("/uploads/%s/x.php", "/uploads/%s/.php", "/uploads/%s%%00.php",
                     "/uploads/%s%%0a.php", "/uploads/%s%%20.php", "/uploads/%s;.php",
                     "/uploads/%s?x.php", "/uploads/%s%%2fx.php", "/uploads/%s/x.php/y.php",
                     "/uploads/%s%%5cx.php", "/uploads/%s/%%2ephp", "/uploads/%s//x.php",
                     "/uploads/%s/index.php", "/uploads/%s/../%s/x.php", "/uploads/%s%%3f.php",
                     "/index.php/../uploads/%s/x.php"):
            yield form.replace("%s", evil).replace("%%", "%")
    for link in ("/out/secret.txt", "/out/secret.php", "/out.php", "/out.php/info", "/out.txt",
                 "/absolute.txt", "/uploads/passwd", "/out/", "/out", "/out/site/secret.php",
                 "/out/../secret.php", "/out%2fsecret.php", "/pipe.php", "/pipe.txt",
                 "/pipe.php/x"):
        yield link


def raw(weir, target, host="test"):
    with socket.create_connection(("127.0.0.1", weir.port), timeout=60) as connection:
        connection.sendall(b"GET " + target.encode("latin-1") + b" HTTP/1.1\r\nHost: " +
                           host.encode() + b"\r\nConnection: close\r\n\r\n")
        answer = b""
        while True:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                return answer
            if not data:
                return answer
            answer += data


def escapes(answer, target):
    """Marks of what must not be seen. Pictures may be: as they are, which holds no sum."""
    body = answer.partition(b"\r\n\r\n")[2]
    found = [mark for mark in (OUTSIDE, HIDDEN, SOURCE, b"root:x:0") if mark in body]
    if RUN + b"42" in body:
        found.append(RUN)
    return found


def test_no_variant_escapes(site):
    tried = list(dict.fromkeys(variants()))
    assert len(tried) >= 250, len(tried)
    bad = []
    for target in tried:
        for host in ("test", "odd.test"):
            answer = raw(site, target, host)
            assert answer.startswith(b"HTTP/1.1 "), (target, answer[:80])
            if escapes(answer, target):
                bad.append((host, target, answer[:300]))
    assert not bad, bad[:5]
    print(f"{len(tried)} paths, twice each, 0 escapes")


@pytest.mark.parametrize("target, body", [
    ("/", b"front"), ("/index.php", b"front"), ("/app/", b"app"), ("/app/index.php/info", b"app"),
    ("/app/../index.php", b"front"), ("/x.php/inner.php", b"inner"),
    ("/x.php/inner.php/more.php", b"inner"), ("/%61pp/index.php", b"app"),
    ("/app/index.ph%70", b"app"), ("/pretty/page", b"front"),
    ("/uploads/evil.jpg", b"GIF89a <?php echo '" + RUN + b"', 6 * 7;"),
])
def test_their_neighbours_pass(site, target, body):
    answer = raw(site, target)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert answer.partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("target", [
    "/uploads/evil.jpg/x.php", "/uploads/evil.jpg/x.php/y", "/nothing.php", "/x.php", "/out.php",
    "/pipe.php", "/.git/config", "/config.php.bak", "/x.php/nothing.php",
])
def test_what_is_no_script_is_not_there(site, target):
    for host in ("test", "follow.test"):
        assert raw(site, target, host).startswith(b"HTTP/1.1 404 "), target


def test_a_link_that_is_turned_all_the_time(site, place):
    """Now it leads to a script, now out of the root: what is outside is never seen."""
    inside, outside = "app/index.php", "../../secret.php"
    link, stop = place / "turning.php", threading.Event()

    def turn():
        for number in itertools.count():
            if stop.is_set():
                return
            new = place / f"new-{number % 2}"
            new.unlink(missing_ok=True)
            new.symlink_to(inside if number % 2 else outside)
            new.rename(link)
            time.sleep(0.0005)
    thread = threading.Thread(target=turn)
    thread.start()
    try:
        seen = set()
        end = time.monotonic() + 1.5
        while time.monotonic() < end or b"200" not in seen and time.monotonic() < end + 60:
            answer = raw(site, "/turning.php", "turn.test")
            seen.add(answer.split(b" ", 2)[1])
            assert OUTSIDE not in answer
        assert b"200" in seen and seen <= {b"200", b"404"}
    finally:
        stop.set()
        thread.join()
        link.unlink()
