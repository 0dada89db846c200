# SPDX-License-Identifier: Apache-2.0
"""What React's people do with a web server, in Chromium: Vite's own server with modules that are
replaced while one edits them, and the build of the same application sent by `files`."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from weir import Weir, free_port

NODE = pathlib.Path(__file__).resolve().parent / "node"
REACT = NODE / "react"
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None or not (NODE / "node_modules/playwright-core").exists(),
                       reason="there is no chromium, or no playwright-core"),
    pytest.mark.skipif(not (REACT / "node_modules/vite/bin/vite.js").exists(),
                       reason="vite is not there")]

DEVELOPED = """
log access to=file:@dir/access.log flush=10ms
site * {
    listen @listen
    proxy @vite
}
"""
BUILT = """
site * {
    listen @listen
    compress zstd br gzip
    route /assets/* {
        header set Cache-Control "public, max-age=31536000, immutable"
        files @dist
    }
    files @dist fallback=/index.html
}
"""


@pytest.fixture
def project(tmp_path):
    """A copy to edit; what is installed stays where it is."""
    copy = tmp_path / "project"
    shutil.copytree(REACT, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (copy / "node_modules").symlink_to(REACT / "node_modules")
    return copy


def vite(project, *arguments, **more):
    return subprocess.Popen(["node", str(REACT / "node_modules/vite/bin/vite.js"), *arguments],
                            cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "NO_COLOR": "1", "CI": "1"}, **more)


def browse(*arguments):
    got = subprocess.run(["node", str(NODE / "react.js"), CHROMIUM, *map(str, arguments)],
                         capture_output=True, text=True, timeout=200)
    assert got.returncode == 0, got.stdout + got.stderr
    return json.loads(got.stdout)


def test_modules_are_replaced_as_they_are_edited(project):
    port = free_port()
    server = vite(project, "--host", "127.0.0.1", "--port", str(port), "--strictPort")
    try:
        for line in server.stdout:
            if f":{port}" in line:
                break
        else:
            raise AssertionError("vite has ended")
        with Weir(DEVELOPED, vite=f"127.0.0.1:{port}") as weir:
            said = browse("develop", f"http://{weir.address}", project)
            assert said == {"first": "first words", "edited": "other words", "count": "3",
                            "color": "rgb(4, 5, 6)", "loads": 1, "deep": "user ada",
                            "reloaded": True, "errors": []}
            tunnels = [json.loads(line) for line in weir.log(20) if '"status":101' in line]
            assert tunnels
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


def test_a_build_behind_files(project):
    built = vite(project, "build", "--outDir", str(project / "dist"))
    output, _ = built.communicate(timeout=200)
    assert built.returncode == 0, output
    with Weir(BUILT, dist=project / "dist") as weir:
        said = browse("built", f"http://{weir.address}")
        assert said.pop("encodings") == ["zstd"]
        assert said == {"first": "first words", "clicked": "user ada", "deep": "user grace",
                        "late": "came later", "nowhere": "nowhere", "status": 200,
                        "back": "first words", "color": "rgb(1, 2, 3)", "missing": 404,
                        "immutable": True, "again": 304, "errors": []}
