# SPDX-License-Identifier: Apache-2.0
"""block: patterns in path, query and fields; what stands beside them passes."""
import json
import pathlib
import re

import pytest

from weir import ROOT, Weir, run

LOG = "log access to=file:@dir/access.log flush=10ms\n"
RULE = re.compile(r'^BLOCK_RULE\((\w+), (\w+), "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)", '
                  r'"((?:[^"\\]|\\.)*)"\)$', re.M)
RULES = RULE.findall((pathlib.Path(ROOT) / "src" / "steps" / "block.def").read_text())


def site(*lines):
    return LOG + "site * {\n listen @listen\n " + "\n ".join(lines) + "\n respond 200 in\n}\n"


def last(weir, count):
    return json.loads(weir.log(count)[count - 1])


def test_there_are_rules():
    text = (pathlib.Path(ROOT) / "src" / "steps" / "block.def").read_text()
    assert len(RULES) == text.count("\nBLOCK_RULE(") > 50


def ask(weir, part, text):
    if part == "PATH":
        return weir.ask(text).status
    if part == "QUERY":
        return weir.ask("/?" + text).status
    return weir.ask("/", fields=[("User-Agent", text)] if text is not None else []).status


@pytest.fixture(scope="module", params=["SCANNERS", "BOTS"])
def preset(request):
    with Weir(site(f"block preset={request.param.lower()}")) as weir:
        yield request.param, weir


def test_each_rule_has_what_it_is_for_and_a_neighbour(preset):
    name, weir = preset
    count = 0
    for group, part, pattern, hit, neighbour in RULES:
        if group != name:
            continue
        assert ask(weir, part, hit) == 403, (pattern, hit)
        entry = last(weir, count + 1)
        assert entry["rule"] == f"block/{name.lower()}: {part.lower()} {pattern}"
        assert (entry["step"], entry["reason"], entry["limit"]) == ("block", "blocked", "block")
        assert ask(weir, part, neighbour) == 200, (pattern, neighbour)
        count += 2
    assert count > 20


ORDINARY = [
    "/", "/.well-known/acme-challenge/x", "/.well-known/security.txt", "/index.php", "/wp-login.php",
    "/wp-admin/", "/xmlrpc.php", "/api/v1/users/1", "/favicon.ico", "/robots.txt", "/git/info/refs",
    "/repo.git/info/refs?service=git-upload-pack", "/search?q=select+a+union", "/a%20b/c%2Bd",
    "/x?q=50%25+off", "/x?q=%E2%82%AC", "/environment", "/etc/hosts-file", "/x?next=/../a",
    "/docs/sql/union.html", "/x?a=%", "/x?a=%zz", "/x?%", "/?", "/admin", "/phpmyadmin/",
    "/x?html=%26lt%3Bscript", "/x?q=passwd", "/x?q=jndi", "/process/self", "/downloads/dump.sql.gz",
]
AGENTS = [
    None, "", "curl/8.5.0", "Wget/1.21", "python-requests/2.31", "Go-http-client/2.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "facebookexternalhit/1.1", "Slackbot-LinkExpanding 1.0", "kube-probe/1.29",
    "ELB-HealthChecker/2.0", "Prometheus/2.53", "okhttp/4.12.0", "Dalvik/2.1.0",
]


def test_ordinary_requests_pass_all_presets():
    with Weir(site("block preset=scanners,bots")) as weir:
        for target in ORDINARY:
            assert weir.ask(target).status == 200, target
        for agent in AGENTS:
            assert ask(weir, "USER_AGENT", agent) == 200, agent


@pytest.mark.parametrize("line,blocked,passed", [
    ("path=/secret/", ["/secret/", "/a/SECRET/b", "/a/%73ecret/", "/a/./secret/", "//secret//x",
                       "/secret%2e/../secret/"], ["/secret", "/secrets/", "/a/secret"]),
    ("path=^/admin", ["/admin", "/Admin/x", "/administrator", "/%61dmin"], ["/x/admin", "/"]),
    ("path=.bak$", ["/a.bak", "/a.BAK", "/a.ba%6b"], ["/a.bak/", "/a.bak2", "/?x=.bak"]),
    ("path=^/only$", ["/only", "/ONLY"], ["/only/", "/x/only"]),
    ('path="/a b/"', ["/a%20b/", "/A%20B/"], ["/a+b/", "/ab/"]),
    ("path=~^/v[0-9]+/old", ["/v1/old", "/v22/older"], ["/v/old", "/V1/old", "/v1/Old"]),
    ('path="~(?i)^/x.y$"', ["/xzy", "/X%0AY".replace("%0A", "-")], ["/xy", "/xzzy"]),
    ("query=debug=1", ["/?debug=1", "/?a=b&DEBUG=1", "/?de%62ug%3d1", "/?debug=12"],
     ["/?debug=0", "/debug=1", "/"]),
    ('query="a b"', ["/?a+b", "/?a%20b", "/?A%20B"], ["/?ab", "/?a%2Bb", "/?a%2520b"]),
    ("query=^$", ["/", "/?"], ["/?a"]),
    ("query=~(^|&)n=[0-9]+(&|$)", ["/?n=1", "/?a=b&n=12&c"], ["/?n=a", "/?m=1"]),
    ("path=/a/,/b/ query=c", ["/a/", "/b/", "/?c"], ["/d/"]),
])
def test_patterns(line, blocked, passed):
    with Weir(site("block " + line)) as weir:
        for target in blocked:
            assert weir.ask(target).status == 403, target
        for target in passed:
            assert weir.ask(target).status == 200, target


def test_fields():
    with Weir(site("block tools user_agent=bad/,~^x+$ header=X-A:evil,X-B:^$,X-C:~^[0-9]+$")) as weir:
        good = [("X-B", "here")]
        for fields, status in (
                ([], 403), ([("X-B", "")], 403), (good, 200), (good + [("User-Agent", "BAD/1")], 403),
                (good + [("User-Agent", "xxx")], 403), (good + [("User-Agent", "xxy")], 200),
                (good + [("X-A", "more Evil here")], 403), (good + [("x-a", "EVIL")], 403),
                (good + [("X-A", "fine"), ("X-A", "evil")], 403), (good + [("X-AA", "evil")], 200),
                (good + [("X-C", "12")], 403), (good + [("X-C", "12a")], 200),
                (good + [("X-A", "ev"), ("X-A", "il")], 200)):
            assert weir.ask("/", fields=fields).status == status, fields


def test_status_close_dry_run_and_order():
    config = site("block a path=/a status=404", "block b path=/b status=close",
                  "block c path=/c dry_run", "block d path=/d")
    with Weir(config) as weir:
        assert weir.ask("/a").status == 404
        assert last(weir, 1)["rule"] == "a: path /a"
        with weir.connect() as client:
            client.request("/b")
            assert client.is_closed()
        assert last(weir, 2)["rule"] == "b: path /b"
        assert weir.ask("/c").status == 200
        entry = last(weir, 3)
        assert (entry["rule"], entry["limited"], entry["status"]) == ("c: path /c", "would_refuse", 200)
        assert weir.ask("/c/d").status == 403
        assert last(weir, 4)["rule"] == "d: path /d"
        assert weir.ask("/").status == 200
        assert last(weir, 5)["rule"] == ""


def test_a_regex_that_gives_up_refuses():
    with Weir(site('block slow query="~^(a+)+$"')) as weir:
        assert weir.ask("/?" + "a" * 20).status == 403
        assert weir.ask("/?" + "a" * 40 + "b").status == 400
        entry = last(weir, 2)
        assert (entry["status"], entry["rule"]) == (400, "slow: query ~^(a+)+$")
        assert weir.ask("/?b").status == 200


def test_inner_lines_add_up():
    config = LOG + """
defaults {
    block everywhere path=/x
}
site * {
    listen @listen
    block here path=/y
    route /r/* {
        block there path=/z
        respond 200 route
    }
    respond 200 site
}
"""
    with Weir(config) as weir:
        for target, status in (("/x", 403), ("/y", 403), ("/z", 200), ("/r/x", 403), ("/r/y", 403),
                               ("/r/z", 403), ("/r/", 200), ("/", 200)):
            assert weir.ask(target).status == status, target


def test_many_patterns():
    words = [f"word{n:04}" for n in range(3000)]
    lines = "block many {\n path " + " ".join(words) + "\n }"
    with Weir(site(lines)) as weir:
        assert weir.ask("/a/word0000/").status == 403
        assert weir.ask("/a/WORD2999").status == 403
        assert weir.ask("/a/word3000").status == 200
        assert weir.ask("/" + "word" * 3000).status == 200


@pytest.mark.parametrize("line,said", [
    ("block", "needs a pattern"),
    ("block path=$", "stands in every text"),
    ("block path=^", "stands in every text"),
    ('block path=""', ""),
    ("block path=~(", "no regular expression"),
    ("block preset=hackers", 'no preset "hackers"'),
    ("block header=evil", "NAME:PATTERN"),
    ("block header=X-A:", "NAME:PATTERN"),
    ('block header="X A:b"', "NAME:PATTERN"),
    ("block path=/a status=200", "status"),
    ("block path=/a stauts=404", "stauts"),
])
def test_check_says_what_is_wrong(line, said):
    result = run("check", "@config", config=site(line).replace("@listen", "127.0.0.1:8080")
                 .replace("file:@dir/access.log", "stderr"))
    assert result.returncode == 78 and said in result.stdout + result.stderr
