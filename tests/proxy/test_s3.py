# SPDX-License-Identifier: Apache-2.0
"""A private bucket as a site, and an API that is signed: the storage checks every signature."""
import pathlib
import tempfile

import pytest

import storage as s3
from client import chunked
from storage import KEY_ID, REGION, SECRET, Storage
from weir import Weir, run

BIG = bytes(range(256)) * 8000
OBJECTS = {
    "/bucket/index.html": b"home", "/bucket/a.txt": b"0123456789", "/bucket/dir/index.html": b"dir",
    "/bucket/404.html": b"not here", "/bucket/big.bin": BIG, "/bucket/with space+plus&(x).txt": b"odd",
    "/bucket/caf\u00e9.txt": b"utf8", "/bucket/per%41cent.txt": b"percent", "/other/secret.txt": b"secret",
    "/bucket/~t*'!.txt": b"marks",
}
CONFIG = f"""
upstream named {{
    server @app
}}
site * {{
    listen @listen
    route /api/* {{
        strip_prefix /api
        s3 region={REGION} key={KEY_ID} secret=env:TEST_SECRET as=api
        proxy @app
    }}
    route /spa/* {{
        strip_prefix /spa
        s3 region={REGION} key=env:TEST_KEY secret=file:@dir/secret bucket=bucket fallback=/index.html
        proxy named
    }}
    route /plain/* {{
        strip_prefix /plain
        s3 region={REGION} key={KEY_ID} secret=file:@dir/secret token=env:TEST_TOKEN bucket=bucket index=off host=my.example
        proxy http://@app
    }}
    route /wrong/* {{
        strip_prefix /wrong
        s3 region={REGION} key={KEY_ID} secret=env:TEST_TOKEN bucket=bucket
        proxy @app
    }}
    s3 region={REGION} key={KEY_ID} secret=file:@dir/secret bucket=bucket not_found=/404.html
    proxy @app
}}
log access {{
    to file:@dir/access.log
}}
"""


@pytest.fixture(scope="module")
def storage():
    with Storage(OBJECTS) as server:
        yield server


@pytest.fixture(scope="module")
def weir(storage):
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "secret").write_text(SECRET + "\n")
        env = {"TEST_SECRET": SECRET, "TEST_KEY": KEY_ID, "TEST_TOKEN": "token/of+a=session"}
        with Weir(CONFIG.replace("@dir/secret", directory + "/secret"), env=env, app=storage) as started:
            yield started


@pytest.fixture(autouse=True)
def calm(storage):
    storage.seen.clear()
    storage.refused.clear()
    storage.missing = 403
    yield


# path, status, body
PATHS = [
    ("/", 200, b"home"), ("/a.txt", 200, b"0123456789"), ("/dir/", 200, b"dir"),
    ("/a.txt?x=1&list-type=2", 200, b"0123456789"), ("/?list-type=2", 200, b"home"),
    ("/?acl", 200, b"home"), ("/nope", 404, b"not here"), ("/nope/", 404, b"not here"),
    ("/with%20space%2Bplus%26%28x%29.txt", 200, b"odd"), ("/with%20space+plus&(x).txt", 200, b"odd"),
    ("/caf%C3%A9.txt", 200, b"utf8"), ("/caf%c3%a9.txt", 200, b"utf8"),
    ("/per%2541cent.txt", 200, b"percent"), ("/%7Et*'!.txt", 200, b"marks"),
    ("/../other/secret.txt", 400, None), ("/%2e%2e/other/secret.txt", 400, None),
    ("/..%2fother/secret.txt", 400, None), ("/x/../a.txt", 200, b"0123456789"),
    ("/spa/users/7", 200, b"home"), ("/spa/", 200, b"home"), ("/spa/a.txt", 200, b"0123456789"),
    ("/plain/a.txt", 200, b"0123456789"), ("/plain/", 404, b"404 Not Found\n"),
    ("/plain/nope", 404, b"404 Not Found\n"),
    ("/big.bin", 200, BIG),
]


@pytest.mark.parametrize("path,status,body", PATHS, ids=[row[0] for row in PATHS])
def test_paths(weir, storage, path, status, body):
    response = weir.ask(path)
    assert response.status == status, response
    assert body is None or response.body == body
    assert not storage.refused
    assert not [name for name, _ in response.fields if name.lower().startswith("x-amz-")]
    head = weir.ask(path, "HEAD")
    assert (head.status, head.body) == (status, b"")
    if status == 200:
        assert head.get("content-length") == str(len(body))


@pytest.mark.parametrize("missing", [403, 404])
def test_what_is_not_there(weir, storage, missing):
    storage.missing = missing
    response = weir.ask("/nope", fields=[("If-None-Match", "*"), ("Range", "bytes=0-1")])
    assert (response.status, response.body) == (404, b"not here")
    response = weir.ask("/plain/nope")
    assert (response.status, response.body) == (404, b"404 Not Found\n")
    assert KEY_ID not in str(response.fields)


def test_ranges_and_validators_pass_through(weir, storage):
    first = weir.ask("/a.txt")
    assert first.get("cache-control") == "max-age=60" and first.get("accept-ranges") == "bytes"
    part = weir.ask("/a.txt", fields=[("Range", "bytes=2-4")])
    assert (part.status, part.body, part.get("content-range")) == (206, b"234", "bytes 2-4/10")
    again = weir.ask("/a.txt", fields=[("If-None-Match", first.get("etag"))])
    assert (again.status, again.body, again.get("etag")) == (304, b"", first.get("etag"))
    assert weir.ask("/a.txt", fields=[("Range", "bytes=50-60")]).status == 416
    assert not storage.refused


def test_what_clients_say_of_themselves_is_taken_off(weir, storage):
    weir.ask("/a.txt", fields=[
        ("Authorization", "Basic eDp5"), ("X-Amz-Date", "20200101T000000Z"), ("x-amz-acl", "public-read"),
        ("X-AMZ-Security-Token", "theirs"), ("x-amz-content-sha256", "0"), ("Cookie", "session=1")])
    _, _, fields, _ = storage.seen[-1]
    names = {name.lower() for name in fields}
    assert not storage.refused
    assert {name for name in names if name.startswith("x-amz-")} == {"x-amz-date", "x-amz-content-sha256"}
    assert "cookie" not in names and fields["Authorization"].startswith("AWS4-HMAC-SHA256 ")
    assert fields["Host"] == storage.address


def test_host_and_token(weir, storage):
    assert weir.ask("/plain/a.txt").status == 200
    _, path, fields, _ = storage.seen[-1]
    lower = {name.lower(): value for name, value in fields.items()}
    assert lower["host"] == "my.example" and lower["x-amz-security-token"] == "token/of+a=session"
    assert "x-amz-security-token" in lower["authorization"] and path == "/bucket/a.txt"


def test_methods_of_a_site(weir, storage):
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        response = weir.ask("/a.txt", method, body=b"x")
        assert (response.status, response.get("allow")) == (405, "GET, HEAD, OPTIONS")
    assert weir.ask("/a.txt", "OPTIONS").status == 204
    assert not storage.seen


def test_a_wrong_secret_is_not_found_and_says_nothing(weir, storage):
    response = weir.ask("/wrong/a.txt")
    assert (response.status, response.body) == (404, b"404 Not Found\n")
    assert storage.refused == ["signature"]


def test_another_region_is_no_redirect(weir, storage):
    storage.elsewhere.add("/bucket/moved.txt")
    response = weir.ask("/moved.txt")
    assert response.status == 502 and not response.all("location")


def test_connections_are_kept(weir, storage):
    """What is not passed on is read, so that the next request finds its connection again."""
    for _ in range(3):
        assert weir.ask("/nope").status == 404
        assert weir.ask("/plain/nope").status == 404
    assert not storage.refused


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 300000])
def test_api_signs_bodies(weir, storage, size):
    body = (b"body " * (size // 5 + 1))[:size]
    response = weir.ask("/api/bucket/put me.bin".replace(" ", "%20"), "PUT", body=body,
                        fields=[("Content-Type", "application/x-test;  a=b")])
    assert response.status == 200 and not storage.refused
    assert storage.objects["/bucket/put me.bin"] == body
    hashed = {name.lower(): value for name, value in storage.seen[-1][2].items()}["x-amz-content-sha256"]
    assert (hashed == "UNSIGNED-PAYLOAD") == (size > 65536)
    assert weir.ask("/api/bucket/put%20me.bin").body == body
    assert weir.ask("/api/bucket/put%20me.bin", "DELETE").status == 204


def test_api_of_a_chunked_body(weir, storage):
    with weir.connect() as client:
        client.send(b"PUT /api/bucket/chunked HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunked(b"one", b"two"))
        assert client.response().status == 200
    assert storage.objects.pop("/bucket/chunked") == b"onetwo" and not storage.refused


@pytest.mark.parametrize("query", ["list-type=2&prefix=a%2Fb&delimiter=%2f", "b=2&a=1&a=0", "lifecycle",
                                   "x=%20y&x=+y", "a=b=c", "u=%C3%A9&v=~*'()!"])
def test_api_signs_queries(weir, storage, query):
    weir.ask("/api/bucket/?" + query)
    assert not storage.refused, query
    assert storage.seen[-1][1].startswith("/bucket/?")


def test_api_passes_errors_on(weir, storage):
    response = weir.ask("/api/bucket/nope")
    assert response.status == 403 and b"AccessDenied" in response.body


def test_nothing_of_the_secret_is_said(weir, storage):
    for path in ("/a.txt", "/nope", "/wrong/a.txt", "/api/bucket/a.txt"):
        weir.ask(path)
    told = weir.output + weir.command("status", "--json").stdout
    log = weir.path / "access.log"
    told += log.read_text() if log.exists() else ""
    for word in (SECRET, "Signature=", "token/of+a=session"):
        assert word not in told
    shown = weir.api("GET", "/v1/config")
    assert SECRET.encode() not in shown.body


BAD = [
    ("s3 region=x", "needs key= and secret="), ("s3 key=a", "needs key="), ("s3 key=a secret=file:nope", "secret"),
    ("s3 key=env:NOT_THERE secret=file:weir.conf", "not set"), ("s3 key=a secret=b bucket=a/b", "bucket"),
    ("s3 key=a secret=b index=a/b", "not the name of an object"),
    ("s3 key=a secret=b fallback=/a not_found=/b", "exclude each other"),
    ("s3 key=a secret=b as=website", "as"),
]


@pytest.mark.parametrize("line,why", BAD, ids=[row[0] for row in BAD])
def test_what_check_says(line, why):
    result = run("check", "@config", config=f"site * {{\n    listen :8080\n    {line}\n    proxy 127.0.0.1:9000\n}}\n")
    assert result.returncode != 0 and why in result.stderr, result.stderr


def test_the_storage_of_these_tests_signs_as_documented():
    text = "\n".join(["AWS4-HMAC-SHA256", "20130524T000000Z", "20130524/us-east-1/s3/aws4_request",
                      "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"])
    assert s3.sign("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", text) == \
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
