# SPDX-License-Identifier: Apache-2.0
"""A real application of Debian, DokuWiki, with a configuration of six lines: pretty URLs, login, a
page that is edited, an upload of 50 MB; as a browser's requests are, and in a browser with --long."""
import hashlib
import html
import http.cookiejar
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import pytest

from fpm import Fpm
from weir import Weir

INSTALLED = pathlib.Path("/usr/share/dokuwiki")
pytestmark = pytest.mark.skipif(not (INSTALLED / "doku.php").exists(),
                                reason="dokuwiki is not there")

CONFIG = """
site * {
    listen @listen
    rewrite ~^/_media/(.*)$ /lib/exe/fetch.php?media=$1
    rewrite ~^/_detail/(.*)$ /lib/exe/detail.php?media=$1
    php @php root=@root index=doku.php fallback="/doku.php?id={path}" hide=".*,inc,bin,vendor,conf"
}
"""


@pytest.fixture(scope="module")
def wiki():
    with tempfile.TemporaryDirectory(prefix="weir-wiki-") as directory:
        base = pathlib.Path(directory)
        root, conf, data = base / "wiki", base / "conf", base / "data"
        shutil.copytree(INSTALLED, root, symlinks=False,
                        ignore=shutil.ignore_patterns(".htaccess", "install.php"))
        shutil.copytree("/etc/dokuwiki", conf)
        for name in ("attic", "cache", "index", "locks", "log", "media", "media_attic",
                     "media_meta", "meta", "pages", "tmp"):
            (data / name).mkdir(parents=True)
        (root / "inc" / "preload.php").write_text(
            f"<?php foreach (['DOKU_CONF', 'DOKU_MAIN_CONF'] as $name)\n"
            f"if (!defined($name)) define($name, '{conf}/');\n")
        (conf / "local.php").write_text(
            f"<?php\n$conf['title'] = 'Wiki under test';\n$conf['savedir'] = '{data}';\n"
            "$conf['useacl'] = 1;\n$conf['superuser'] = '@admin';\n$conf['userewrite'] = 1;\n"
            "$conf['useslash'] = 1;\n$conf['license'] = '';\n$conf['updatecheck'] = 0;\n")
        hashed = subprocess.run(["openssl", "passwd", "-1", "opensesame"], check=True,
                                capture_output=True, text=True).stdout.strip()
        (conf / "users.auth.php").write_text(
            f"# <?php exit()?>\nada:{hashed}:Ada:ada@example.com:admin,user\n")
        (conf / "acl.auth.php").write_text("# <?php exit()?>\n*\t@ALL\t1\n*\t@user\t16\n")
        for path in [base, *base.rglob("*")]:
            os.chmod(path, 0o777 if path.is_dir() else 0o666, follow_symlinks=False) \
                if not path.is_symlink() else None
        with Fpm(children=3, error_reporting="0") as fpm, \
                Weir(CONFIG, php=fpm.unix, root=root) as weir:
            yield weir


class Browser:
    def __init__(self, weir):
        self.base = f"http://{weir.address}"
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path, data=None, headers=None):
        request = urllib.request.Request(self.base + path, data=data, headers=headers or {})
        try:
            with self.opener.open(request, timeout=60) as response:
                return response.status, response.read(), response
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error

    def form(self, page, action):
        """The hidden fields of the form that has such an input."""
        for form in re.findall(r"<form\b.*?</form>", page, re.S):
            if re.search(action, form):
                fields = {}
                for tag in re.findall(r"<input\b[^>]*>", form):
                    name = re.search(r'name="([^"]*)"', tag)
                    value = re.search(r'value="([^"]*)"', tag)
                    if name and 'type="hidden"' in tag:
                        fields[name.group(1)] = html.unescape(value.group(1) if value else "")
                return fields
        raise AssertionError(f"no form with {action} in:\n{page[:2000]}")

    def post(self, path, fields):
        return self.get(path, urllib.parse.urlencode(fields).encode())


def test_configuration_is_short():
    lines = [line for line in CONFIG.splitlines() if line.strip()]
    assert len(lines) <= 8


def test_pages_styles_and_scripts(wiki):
    browser = Browser(wiki)
    status, body, _ = browser.get("/")
    assert status == 200 and b"Wiki under test" in body
    page = body.decode()
    links = re.findall(r'(?:href|src)="(/[^"#]*)"', page)
    assert len(links) > 10
    for link in dict.fromkeys(html.unescape(link) for link in links):
        status, body, response = browser.get(link)
        assert status == 200, (link, status)
        if "css.php" in link:
            assert response.headers["Content-Type"].startswith("text/css") and len(body) > 5000
        if "js.php" in link:
            assert "javascript" in response.headers["Content-Type"] and len(body) > 5000
    status, body, response = browser.get("/lib/tpl/dokuwiki/images/favicon.ico")
    assert status == 200 and response.headers["ETag"]


def test_pretty_urls(wiki):
    browser = Browser(wiki)
    for path in ("/some/page", "/some/page?do=login", "/doku.php/other"):
        status, body, _ = browser.get(path)
        assert status in (200, 404) and b"Wiki under test" in body, (path, status)


@pytest.mark.parametrize("path", ["/inc/init.php", "/vendor/autoload.php", "/conf/local.php",
                                  "/bin/dwpage.php", "/nothing.php", "/.htaccess", "/install.php"])
def test_what_is_nobodys_business(wiki, path):
    status, body, _ = Browser(wiki).get(path)
    assert status == 404 and b"Wiki under test" not in body


@pytest.fixture
def ada(wiki):
    browser = Browser(wiki)
    _, body, _ = browser.get("/start?do=login")
    fields = browser.form(body.decode(), 'name="u"')
    status, body, _ = browser.post("/start", {**fields, "do": "login", "u": "ada",
                                              "p": "opensesame"})
    assert status in (200, 404) and b"do=logout" in body, body[:3000]
    return browser


def test_login_with_a_wrong_password(wiki):
    browser = Browser(wiki)
    _, body, _ = browser.get("/start?do=login")
    fields = browser.form(body.decode(), 'name="u"')
    _, body, _ = browser.post("/start", {**fields, "do": "login", "u": "ada", "p": "wrong"})
    assert b"do=logout" not in body


def test_a_page_is_edited(ada, wiki):
    _, body, _ = ada.get("/notes/first?do=edit")
    fields = ada.form(body.decode(), "wikitext|do\\[save\\]")
    text = "====== First ======\n\nwritten under test & <b>not bold</b>\n"
    status, body, _ = ada.post("/notes/first", {**fields, "wikitext": text, "summary": "new",
                                               "do[save]": "1"})
    assert status == 200
    status, body, _ = Browser(wiki).get("/notes/first")
    assert status == 200 and b"written under test &amp; &lt;b&gt;not bold&lt;/b&gt;" in body


@pytest.mark.parametrize("mebibytes", [1, 50])
def test_uploads(ada, wiki, mebibytes):
    data = b"PK\x03\x04" + random.Random(mebibytes).randbytes((mebibytes << 20) - 4)
    name = f"large{mebibytes}.zip"
    _, body, _ = ada.get("/lib/exe/mediamanager.php?ns=")
    token = ada.form(body.decode(), "sectok")["sectok"]
    parts = [("sectok", None, token.encode()), ("ns", None, b""), ("mediaid", None, name.encode()),
             ("qqfile", name, data)]
    body = b"".join(
        b"--limit\r\nContent-Disposition: form-data; name=\"" + field.encode() + b"\"" +
        (b"; filename=\"" + file.encode() + b"\"\r\nContent-Type: application/zip" if file else b"")
        + b"\r\n\r\n" + value + b"\r\n" for field, file, value in parts) + b"--limit--\r\n"
    status, answer, _ = ada.get("/lib/exe/ajax.php?call=mediaupload", body,
                                {"Content-Type": "multipart/form-data; boundary=limit"})
    assert status == 200 and json.loads(answer).get("success"), answer[:500]
    status, got, response = Browser(wiki).get(f"/_media/{name}")
    assert status == 200
    assert response.headers["Content-Type"] == "application/zip"
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


NODE = pathlib.Path(__file__).resolve().parent / "node"
CHROMIUM = shutil.which("chromium")


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None or not (NODE / "node_modules/playwright-core").exists(),
                    reason="there is no chromium, or no playwright-core")
def test_in_a_browser(wiki, tmp_path):
    """Somebody logs in, writes a page, and puts a file of 50 MB beside it."""
    file = tmp_path / "browser.zip"
    file.write_bytes(b"PK\x03\x04" + random.Random(5).randbytes((50 << 20) - 4))
    got = subprocess.run(["node", str(NODE / "wiki.js"), CHROMIUM, f"http://{wiki.address}",
                          str(file)], capture_output=True, text=True, timeout=110)
    assert got.returncode == 0, got.stderr
    assert json.loads(got.stdout) == {"login": True, "page": True, "style": True, "upload": True}
    status, body, _ = Browser(wiki).get("/_media/browser.zip")
    assert status == 200 and body == file.read_bytes()
