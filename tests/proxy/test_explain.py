# SPDX-License-Identifier: Apache-2.0
"""weir explain says what really happens: for requests and configurations by chance, and in words."""
import json
import random
import urllib.parse

import pytest

from client import Client
from weir import Weir, free_port, run

CONFIG = """
upstream api {
    server 127.0.0.1:3000
}
site example.com www.example.com {
    listen 127.0.0.1:8081
    secure_headers
    route /api/* {
        match method GET
        rate_limit 10r/s
        proxy api
    }
    route /api/products/* {
        match header X-Beta yes
        proxy api
    }
    respond 200 hello
}
site *.example.org {
    listen 127.0.0.1:8081
    route /only {
        respond 204
    }
}
"""


def explain(*arguments, config=CONFIG):
    return run("explain", "--config", "@config", *arguments, config=config)


def test_words():
    result = explain("http://example.com:8081/api/./products/7")
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        ["listener", "127.0.0.1:8081"], ["site", "example.com"], ["path", "/api/products/7"],
        ["route", "/api/*"], ["also", "matched:"], ["a", "condition"],
        ["step", "secure_headers"], ["step", "rate_limit"], ["answer", "proxy"]]
    assert lines[3][2].endswith("weir.conf:8") or ":8" in lines[3][2]
    assert "longest prefix" in result.stdout and "exact host" in result.stdout


@pytest.mark.parametrize("arguments,code,words", [
    (["http://a.example.org/only"], 0, "exact path"),
    (["http://a.example.org/no"], 1, "404 no_route"),
    (["http://nobody.test/"], 1, "404 no_site"),
    (["POST", "http://example.com/api/x"], 0, "the site's own answer"),
    (["-H", "X-Beta: yes", "http://example.com/api/products/1"], 0, "/api/products/*"),
    (["-H", "Host: a.example.org", "http://example.com/only"], 0, "*.example.org"),
    (["http://example.com/a/%2e%2e/%2e%2e/b"], 1, "400"),
    (["http://example.com/a%00"], 1, "400"),
    (["-H", "broken", "http://example.com/"], 1, "400"),
    (["/path/alone"], 1, "that is no whole URL"),
    (["https://example.com/"], 1, "no address of the configuration"),
    (["http://example.com:9999/"], 1, "no address of the configuration"),
    ([], 2, "takes a method and a URL"),
    (["-H"], 2, "-H needs a field"),
    (["--client", "me", "http://example.com/"], 2, "is no address"),
])
def test_answers(arguments, code, words):
    result = explain(*arguments)
    assert result.returncode == code, (result.stdout, result.stderr)
    assert words in result.stdout + result.stderr


def test_configuration_with_mistakes():
    result = explain("http://a/", config="site {")
    assert result.returncode == 78 and "error[" in result.stderr


PARTS = ["a", "b", "c", "A", "%61", "a%20b", ".", "..", "", "x.y", "~", ";v=1"]
HOSTS = ["one.test", "two.test", "a.wild.test", "b.a.wild.test", "nobody.test", "ONE.test", "one.test."]


def some_config(rng, sites, other):
    """Sites of two addresses, of which some have both."""
    lines = ["admin {", "    listen unix:@dir/admin.sock", "}"]
    for i, name in enumerate(sites):
        where = rng.choice(["@listen", "@listen", f"127.0.0.1:{other}", f"@listen 127.0.0.1:{other}"])
        lines += [f"site {name} {{", f"    listen {'@listen' if i == 0 else where}"]
        routes = set()
        for _ in range(rng.randrange(1, 9)):
            kind = rng.random()
            path = "/".join(rng.choice(["a", "b", "c", "x.y"]) for _ in range(rng.randrange(0, 3)))
            conditions = []
            if rng.random() < 0.4:
                conditions.append(rng.choice([
                    "method GET", "method POST", "header X-A 1", "header X-B", "query q 1",
                    "query r", "cookie c 1", "client 127.0.0.0/8", "client 10.0.0.0/8"]))
            pattern = (f"/{path}" if kind < 0.3 else "/*" if not path and kind < 0.8 else
                       f"/{path}/*" if kind < 0.8 else rng.choice(["~^/a", "~b$", "~c"]))
            if (pattern, *conditions) in routes:
                continue
            routes.add((pattern, *conditions))
            lines += [f"    route {pattern} {{"]
            lines += [f"        match {condition}" for condition in conditions]
            lines += [f'        respond 200 "{len(lines)}"', "    }"]
        if rng.random() < 0.4 and ("/*",) not in routes:
            lines.append(f'    respond 200 "{len(lines)}"')
        lines.append("}")
    return "\n".join(lines) + "\n"


def some_request(rng):
    path = "/" + "/".join(rng.choice(PARTS) for _ in range(rng.randrange(0, 4)))
    query = rng.choice(["", "?q=1", "?r", "?q=2&r=1", "?"])
    fields = [field for field in [("X-A", "1"), ("X-B", "2"), ("Cookie", "c=1"), ("X-A", "2")]
              if rng.random() < 0.2]
    return rng.choice(["GET", "GET", "POST", "HEAD"]), rng.choice(HOSTS), path + query, fields


@pytest.mark.parametrize("seed", range(20))
def test_it_agrees_with_what_happens(seed):
    """50 requests each, asked and explained."""
    rng = random.Random(seed)
    sites = rng.sample(["one.test", "two.test", "*.wild.test", "*"], rng.randrange(1, 5))
    taken, other = 0, free_port()
    with Weir(some_config(rng, sites, other)) as weir:
        has_other = str(other) in weir.config
        with weir.connect() as first, \
                Client(("127.0.0.1", other if has_other else weir.port)) as second:
            for _ in range(50):
                method, host, target, fields = some_request(rng)
                client, port = rng.choice([(first, weir.port), (second, other)][:1 + has_other])
                real = client.ask(target, method, fields=fields, host=f"{host}:{port}")
                query = [("method", method), ("url", f"http://{host}:{port}{target}"),
                         *[("field", f"{name}: {value}") for name, value in fields]]
                said = weir.api("GET", "/v1/explain?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)).json
                what = (method, host, port, target, fields, said, weir.config)
                assert said["listener"] == f"127.0.0.1:{port}", what
                if "route" not in said:
                    assert real.status == said["status"], what
                    continue
                taken += 1
                assert real.status == 200, what
                # The answer's text is the number of its line, but for the one that Weir() adds.
                line = int(said["steps"][-1]["at"].rsplit(":", 1)[1])
                if method != "HEAD":
                    assert int(real.body) == line - 2, what
    assert taken > 0 or sites == ["two.test"]
    assert taken < 50 or "*" in sites


def test_what_runs_is_asked():
    with Weir("admin {\n listen unix:@dir/admin.sock\n}\nsite * {\n listen @listen\n respond 200\n}") as weir:
        result = weir.command("explain", "--running", "--json", "-H", "X-A: b", f"http://a:{weir.port}/x")
        assert result.returncode == 0, result.stderr
        said = json.loads(result.stdout)
        assert said["site"]["why"] == "any host" and said["steps"][0]["name"] == "respond"
        for query in ("", "?url=http://a/&client=x", "?what=1",
                      "?url=http://a/" + "&field=a%3Ab" * 33):
            assert weir.api("GET", "/v1/explain" + query).status == 400, query


CACHED = """
cache pages {
}
cache keyed {
    key {path}/{header.x-tenant}
}
site example.com {
    listen 127.0.0.1:8081
    route /query/* {
        cache pages ignore=query methods=GET,QUERY
        proxy 127.0.0.1:3000
    }
    route /keyed/* {
        cache keyed bypass={cookie.session}
        proxy 127.0.0.1:3000
    }
    cache pages
    proxy 127.0.0.1:3000
}
"""


@pytest.mark.parametrize("arguments,says", [
    (["/a?b=c"], "looked up in pages as http://example.com:8081/a?b=c; stored if the answer may be"),
    (["/query/?b=c"], "looked up in pages as http://example.com:8081/query/; stored if the answer may be"),
    (["HEAD", "/a"], "looked up in pages as http://example.com:8081/a; not stored: the method's answers are not"),
    (["POST", "/a"], "goes by pages: the method's answers are not stored (method)"),
    (["-H", "If-Match: x", "/a"], "goes by pages: a condition that only the server can judge (condition)"),
    (["-H", "Content-Length: 5", "/a"], "goes by pages: the request has a body where none belongs (request_body)"),
    (["-H", "Cache-Control: no-store", "/a"], "looked up in pages as http://example.com:8081/a; not stored: "
     "Cache-Control of the request: no-store (client_no_store)"),
    (["-H", "Cache-Control: no-cache", "/a"], "looked up in pages as http://example.com:8081/a; "
     "the server is asked whether it has changed; stored if the answer may be"),
    (["-H", "Cache-Control: only-if-cached", "/a"], "looked up in pages as http://example.com:8081/a; "
     "stored if the answer may be; nothing is fetched: 504 when nothing is there"),
    (["-H", "Authorization: x", "/a"], "looked up in pages as http://example.com:8081/a; not stored: "
     "the request was authorized and the answer does not allow it (authorization)"),
    (["-H", "X-Tenant: t7", "/keyed/a"], "looked up in keyed as /keyed/a/t7; stored if the answer may be"),
    (["-H", "Cookie: session=1", "/keyed/a"], "goes by keyed: the configuration says so: bypass= (bypass)"),
])
def test_what_a_cache_would_do(arguments, says):
    arguments = [*arguments[:-1], "http://example.com:8081" + arguments[-1]]
    result = explain(*arguments, config=CACHED)
    assert result.returncode == 0, result.stderr
    assert says in [line.strip() for line in result.stdout.splitlines()], result.stdout
    told = json.loads(explain("--json", *arguments, config=CACHED).stdout)
    assert [step["says"] for step in told["steps"] if step["name"] == "cache"] == [says]
