# SPDX-License-Identifier: Apache-2.0
"""What weir gives up once it listens."""
import os
import pathlib

import pytest

from weir import Weir

NET_BIND_SERVICE = 1 << 10
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


def status_of(weir):
    lines = pathlib.Path(f"/proc/{weir.process.pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def site(top):
    return top + "\nsite * {\n    listen @listen\n    respond 200 ok\n}\n"


@pytest.mark.release
@as_root
def test_another_user_with_one_capability():
    with Weir(site("user nobody\ngroup nogroup")) as weir:
        status = status_of(weir)
        assert weir.ask("/").status == 200
        assert set(status["Uid"].split()) == {"65534"} and set(status["Gid"].split()) == {"65534"}
        assert status["Groups"].strip() == ""
        for kind in ("CapEff", "CapPrm"):
            assert int(status[kind], 16) == NET_BIND_SERVICE
        for kind in ("CapInh", "CapAmb"):
            assert int(status[kind], 16) == 0
        assert status["NoNewPrivs"] == "1"
        for task in pathlib.Path(f"/proc/{weir.process.pid}/task").iterdir():
            assert "CapEff:\t0000000000000400" in (task / "status").read_text()


@pytest.mark.release
@as_root
@pytest.mark.parametrize("line,owner", [("", 0), ("core_dumps off", 0), ("core_dumps on", 65534)])
def test_nobody_looks_into_its_memory(line, owner):
    """The files of a process that may not be dumped are root's."""
    with Weir(site("user nobody\ngroup nogroup\n" + line)) as weir:
        # setuid() alone made it so before: only core_dumps opens it again.
        assert os.stat(f"/proc/{weir.process.pid}/environ").st_uid == owner


@as_root
def test_a_user_that_does_not_exist_is_said():
    config = "user nobody-at-all\nsite * {\n listen @listen\n respond 200\n}\n"
    with Weir(config, wait=False) as weir:
        assert "nobody-at-all" in weir.wait_line("user_failed")
        assert weir.wait() == 77
