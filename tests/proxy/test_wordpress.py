# SPDX-License-Identifier: Apache-2.0
"""Debian's WordPress under PHP-FPM with its MariaDB, in Chromium: installed, logged into, a post
written and read under its pretty URL, a file of 50 MB uploaded and fetched."""
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

import pytest

from fpm import Fpm
from mariadb import MariaDb
from weir import Weir

INSTALLED = pathlib.Path("/usr/share/wordpress")
NODE = pathlib.Path(__file__).resolve().parent / "node"
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(MariaDb.BINARY is None or not (INSTALLED / "wp-load.php").exists(),
                       reason="wordpress or mariadb-server is not there"),
    pytest.mark.skipif(CHROMIUM is None or not (NODE / "node_modules/playwright-core").exists(),
                       reason="there is no chromium, or no playwright-core")]

CONFIG = """
site * {
    listen @listen
    php @php root=@root symlinks=follow
}
"""
# As Debian lays it out: what is written to stands apart from the program.
APART = """
site * {
    listen @listen
    route /wp-content/* {
        strip_prefix /wp-content
        php @php root=@content symlinks=follow fallback=off
    }
    php @php root=@root symlinks=follow
}
"""
SETTINGS = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:@socket');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    define("{$name}_KEY", "key of $name");
    define("{$name}_SALT", "salt of $name");
}
define('WP_CONTENT_DIR', '@content');
define('WP_HTTP_BLOCK_EXTERNAL', true); /* no other machine takes part */
$table_prefix = 'wp_';
if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
"""


@pytest.mark.parametrize("config", [CONFIG, APART])
def test_configuration_is_short(config):
    assert len([line for line in config.splitlines() if line.strip()]) <= 8


def blog_in(directory, socket, is_apart):
    """The installed files, as they are but for the settings, with a place that PHP may write to;
    -> the program's directory and the contents'."""
    root = directory / "blog"
    shutil.copytree(INSTALLED, root, symlinks=True, ignore=shutil.ignore_patterns(".htaccess"))
    # Links that lead out of the tree do so from here as well.
    for path in root.rglob("*"):
        if path.is_symlink() and not os.readlink(path).startswith("/"):
            target = (INSTALLED / path.relative_to(root)).resolve()
            path.unlink()
            path.symlink_to(target)
    content = root / "wp-content"
    if is_apart:
        content = directory / "content"
        for kind in ("themes", "plugins"):
            (content / kind).mkdir(parents=True)
            for path in (root / "wp-content" / kind).iterdir():
                (content / kind / path.name).symlink_to(path)
    (content / "uploads").mkdir()
    (root / "wp-config.php").write_text(
        SETTINGS.replace("@socket", str(socket)).replace("@content", str(content)))
    for path in [directory, *directory.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            os.chmod(path, 0o777)
    return root, content


def fetch(weir, path):
    connection = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read(), response


@pytest.mark.timeout(400)
@pytest.mark.parametrize("config", [CONFIG, APART], ids=["together", "apart"])
def test_in_a_browser(tmp_path, config):
    file = tmp_path / "large.zip"
    file.write_bytes(b"PK\x03\x04" + random.Random(5).randbytes((50 << 20) - 4))
    # Not below tmp_path: PHP runs as somebody else, who may not pass there.
    with tempfile.TemporaryDirectory(prefix="weir-blog-") as directory, \
            MariaDb("wordpress") as database, Fpm(children=6, memory_limit="256M") as fpm:
        root, content = blog_in(pathlib.Path(directory), database.socket, config is APART)
        with Weir(config, php=fpm.unix, root=root, content=content) as weir:
            got = subprocess.run(["node", str(NODE / "wordpress.js"), CHROMIUM,
                                  f"http://{weir.address}", str(file)],
                                 capture_output=True, text=True, timeout=300)
            assert got.returncode == 0, got.stdout + got.stderr
            said = json.loads(got.stdout)
            assert re.fullmatch(r"/\d{4}/\d\d/\d\d/written-in-a-browser/", said.pop("post"))
            upload = said.pop("upload")
            assert said == {"installed": True, "wrong_password": True, "login": True, "styles": True,
                            "pretty": True, "nowhere": 404, "failed": []}
            status, body, response = fetch(weir, upload)
            assert status == 200 and response.headers["Content-Type"] == "application/zip"
            assert hashlib.sha256(body).digest() == hashlib.sha256(file.read_bytes()).digest()
            # A script beside the uploads is run, not shown.
            status, body, _ = fetch(weir, "/wp-content/plugins/index.php")
            assert status == 200 and body == b""
            for path in ("/wp-config.php/x.css", "/wp-content/uploads/x.php", "/.htaccess"):
                assert b"DB_PASSWORD" not in fetch(weir, path)[1]
