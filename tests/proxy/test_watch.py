# SPDX-License-Identifier: Apache-2.0
"""run --watch: the configuration is read anew whenever one of its files has changed."""
import time

import pytest

from weir import Weir

SITE = "site * {\n    listen @listen\n    respond 200 first\n}\ninclude @dir/more/*.conf\n"


def until(weir, path, body, timeout=60):
    end = time.monotonic() + timeout
    while (found := weir.ask(path).body.strip()) != body:
        assert time.monotonic() < end, f"{found!r}, not {body!r}:\n{weir.output}"
        time.sleep(0.05)


@pytest.mark.parametrize("supervised", [False, True])
def test_changes_apply_and_mistakes_do_not(supervised):
    options = [] if supervised else ["--alone"]
    with Weir(SITE, supervised=supervised, arguments=["run", *options, "--watch", "weir.conf"]) as weir:
        until(weir, "/", b"first")
        text = weir.file.read_text()
        weir.write(text.replace("first", "second"))
        until(weir, "/", b"second")
        weir.write(text.replace("respond 200 first", "respnd 200 third"))
        weir.wait_line("respnd")
        time.sleep(1.2)  # it is not read again as long as it stays as it is
        assert weir.output.count('unknown key') == 1
        assert weir.ask("/").body.strip() == b"second"
        weir.write(text.replace("first", "fourth"))
        until(weir, "/", b"fourth")


def test_files_of_a_pattern_come_and_go():
    with Weir(SITE, arguments=["run", "--alone", "--watch", "weir.conf"]) as weir:
        more = weir.path / "more"
        more.mkdir()
        (more / "a.conf").write_text(
            f"site added {{\n    listen {weir.address}\n    respond 200 added\n}}\n")
        end = time.monotonic() + 60
        while weir.ask("/", host="added").body.strip() != b"added":
            assert time.monotonic() < end
            time.sleep(0.05)
        (more / "a.conf").unlink()
        while weir.ask("/", host="added").body.strip() != b"first":
            assert time.monotonic() < end
            time.sleep(0.05)


def test_without_it_nothing_is_read():
    with Weir(SITE) as weir:
        weir.write(weir.file.read_text().replace("first", "second"))
        time.sleep(1.5)
        assert weir.ask("/").body.strip() == b"first"
