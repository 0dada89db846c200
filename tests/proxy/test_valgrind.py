# SPDX-License-Identifier: Apache-2.0
"""The program that is shipped tells valgrind of its stacks, and runs clean under it."""
import re

import pytest

import weir as program
from origin import echo, reply
from weir import Weir

pytestmark = pytest.mark.release


def test_requests_are_clean_under_valgrind(origin, tmp_path, monkeypatch):
    origin.on("/echo", echo).on("/slow", reply(delay=60)).on("/cut", reply(200, b"x" * 9, cut=45))
    report = tmp_path / "report"
    wrapper = tmp_path / "weir"
    wrapper.write_text("#!/bin/sh\nexec valgrind --leak-check=full --show-leak-kinds=definite "
                       f"--errors-for-leak-kinds=definite --log-file={report} {program.BINARY} "
                       '"$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(program, "BINARY", str(wrapper))
    with Weir(app=origin) as weir:
        with weir.connect() as client:
            for size in (0, 10, 70000):
                assert client.ask("/echo", "POST", body=b"b" * size).body == b"b" * size
            client.send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
            while not client.is_closed(): # bytes of a response that breaks off, then the end
                client.reader.buffer.clear()
        with weir.connect() as client:
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            origin.wait(lambda: origin.heads[-1].path == "/slow")
        assert weir.ask("/echo").status == 200
        assert weir.ask("/\x01").status == 400
    text = report.read_text()
    assert re.search(r"ERROR SUMMARY: 0 errors", text), text
    assert "switching stacks" not in text, text
