# SPDX-License-Identifier: Apache-2.0
"""A browser through weir: pages, uploads, downloads, an event stream and a WebSocket, over HTTP/1 and
over HTTP/2, where the WebSocket is a stream beside the others (RFC 8441)."""
import json
import pathlib
import shutil
import subprocess

import pytest

import pki
from weir import Weir, free_port

NODE = pathlib.Path(__file__).resolve().parent / "node"
CHROMIUM = shutil.which("chromium")
CONFIG = """
log access {
    to file:@dir/access.log
    flush 10ms
}
site h1.example {
    listen @listen
    proxy @app
}
site h2.example {
    listen @over_tls
    tls @pki/h2.pem key=@pki/h2.key
    proxy @app
}
"""
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None or not (NODE / "node_modules/playwright-core").exists(),
                       reason="there is no chromium, or no playwright-core")]


@pytest.mark.parametrize("scheme, protocol", [("http", "http/1.1"), ("https", "h2")])
def test_chromium(tmp_path, scheme, protocol):
    ca = pki.Authority("test authority")
    ca.write(tmp_path, "h2.example", file="h2")
    app = subprocess.Popen(["node", str(NODE / "server.js")], stdout=subprocess.PIPE)
    try:
        over_tls = free_port()
        with Weir(CONFIG, app=f"127.0.0.1:{int(app.stdout.readline())}", pki=tmp_path,
                  over_tls=f"127.0.0.1:{over_tls}") as weir:
            url = (f"https://h2.example:{over_tls}/" if scheme == "https" else
                   f"http://h1.example:{weir.port}/")
            got = subprocess.run(["node", str(NODE / "browser.js"), CHROMIUM, url],
                                 capture_output=True, text=True, timeout=100)
            assert got.returncode == 0, got.stderr
            assert json.loads(got.stdout) == {
                "right": 30, "upload": 300000, "download": 3000000, "events": 5,
                "socket": "closed 1000 after 3", "protocols": [protocol]}
            sockets = [json.loads(line) for line in weir.log(30) if '"/ws"' in line]
            assert [line["protocol"] for line in sockets] == ["h2" if scheme == "https"
                                                              else "http/1.1"]
    finally:
        app.kill()
        app.wait()
        app.stdout.close()
