# SPDX-License-Identifier: Apache-2.0
"""Which site and which route answer a request."""
import pytest

from weir import Weir

SITES = """
site example.com www.example.com {
    listen @listen
    respond 200 exact
}
site *.example.com {
    listen @listen
    respond 200 wildcard
}
site *.deep.example.com {
    listen @listen
    respond 200 deep
}
site [::1] 127.0.0.1 {
    listen @listen
    respond 200 address
}
"""


@pytest.fixture(scope="module")
def sites():
    with Weir(SITES) as weir:
        yield weir


@pytest.fixture(scope="module")
def sites_and_any():
    with Weir(SITES + "site * {\n listen @listen\n respond 200 any\n}\n") as weir:
        yield weir


@pytest.mark.parametrize("host,answer", [
    ("example.com", "exact"), ("EXAMPLE.com", "exact"), ("example.com:8080", "exact"),
    ("example.com.", "exact"), ("www.example.com", "exact"), ("a.example.com", "wildcard"),
    ("a.b.example.com", "wildcard"), ("deep.example.com", "wildcard"),
    ("x.deep.example.com", "deep"), ("x.y.deep.example.com", "deep"), ("127.0.0.1", "address"),
    ("[::1]:99", "address"), ("other.com", None), ("com", None), ("notexample.com", None),
    ("example.com.evil.com", None)])
def test_site(sites, sites_and_any, host, answer):
    response = sites.ask(host=host)
    if answer is None:
        assert response.status == 404
        assert "destination_not_found" in response.get("proxy-status", "") \
            or response.get("proxy-status", "").startswith("weir")
    else:
        assert (response.status, response.body.strip()) == (200, answer.encode())
    assert sites_and_any.ask(host=host).body.strip() == (answer or "any").encode()


def test_absolute_form_decides_the_site(sites):
    with sites.connect() as client:
        client.send(b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert client.response().body.strip() == b"exact"


def test_no_host_in_1_0(sites, sites_and_any):
    assert sites.ask(host=None, version="1.0").status == 404
    assert sites_and_any.ask(host=None, version="1.0").body.strip() == b"any"


ROUTES = """
site * {
    listen @listen
    route /exact {
        respond 200 exact
    }
    route /prefix/* {
        respond 200 prefix
    }
    route /prefix/longer/* {
        respond 200 longer
    }
    route /prefix/longer/exact {
        respond 200 longest
    }
    route ~^/re/[0-9]+$ {
        respond 200 regex
    }
    route /re/* {
        respond 200 re-prefix
    }
    route / {
        respond 200 root
    }
    route ~\\.php$ {
        respond 200 php
    }
    route /many/* {
        match method POST PUT
        respond 200 method
    }
    route /many/* {
        match header X-A one
        match header X-B
        respond 200 two-headers
    }
    route /many/* {
        match header X-A one
        respond 200 header
    }
    route /many/* {
        match query q ~^[0-9]+$
        respond 200 query
    }
    route /many/* {
        match cookie c yes
        respond 200 cookie
    }
    route /many/* {
        match client 10.0.0.0/8
        respond 200 client
    }
    route /here {
        match client 127.0.0.0/8
        respond 200 here
    }
}
"""


@pytest.fixture(scope="module")
def routes():
    with Weir(ROUTES) as weir:
        yield weir


@pytest.mark.parametrize("target,answer", [
    ("/exact", "exact"), ("/exact?a=b", "exact"), ("/exact/", None), ("/exactx", None),
    ("/Exact", None), ("/prefix", "prefix"), ("/prefix/", "prefix"), ("/prefix/a/b", "prefix"),
    ("/prefixx", None), ("/prefix/longer", "longer"), ("/prefix/longer/", "longer"),
    ("/prefix/longer/x", "longer"), ("/prefix/longer/exact", "longest"),
    ("/prefix/longerx", "prefix"), ("/re/12", "re-prefix"), ("/re/x", "re-prefix"), ("/", "root"),
    ("/?x", "root"), ("/index.php", "php"), ("/a/b.php", "php"), ("/index.php5", None),
    ("/nothing", None),
    # the canonical path decides
    ("/a/../exact", "exact"), ("/./exact", "exact"), ("//exact", "exact"), ("/%65xact", "exact"),
    ("/prefix/%2e%2e/exact", "exact"), ("/prefix/x/..", "prefix"), ("/prefix//longer", "longer"),
    ("/exact%3Fa", None), ("/here", "here")])
def test_route(routes, target, answer):
    response = routes.ask(target)
    if answer is None:
        assert response.status == 404
    else:
        assert (response.status, response.body.strip()) == (200, answer.encode())


@pytest.mark.parametrize("method,target,fields,answer", [
    ("POST", "/many/x", [], "method"), ("PUT", "/many/x", [], "method"),
    ("GET", "/many/x", [], None), ("DELETE", "/many/x", [], None),
    ("GET", "/many/x", [("X-A", "one")], "header"),
    ("GET", "/many/x", [("x-a", "one")], "header"), ("GET", "/many/x", [("X-A", "ONE")], None),
    ("GET", "/many/x", [("X-A", "one"), ("X-B", "")], "two-headers"),
    ("GET", "/many/x", [("X-A", "one"), ("X-B", "z")], "two-headers"),
    ("GET", "/many/x", [("X-B", "z")], None),
    ("POST", "/many/x", [("X-A", "one"), ("X-B", "z")], "method"),
    ("GET", "/many/x?q=12", [], "query"), ("GET", "/many/x?q=a", [], None),
    ("GET", "/many/x?a=b&q=7", [], "query"), ("GET", "/many/x?qq=7", [], None),
    ("GET", "/many/x", [("Cookie", "a=b; c=yes")], "cookie"),
    ("GET", "/many/x", [("Cookie", "c=no")], None), ("GET", "/many/x", [("Cookie", "cc=yes")], None)])
def test_match(routes, method, target, fields, answer):
    response = routes.ask(target, method, fields=fields)
    if answer is None:
        assert response.status == 404
    else:
        assert response.body.strip() == answer.encode()


def test_answer_of_the_site_is_the_last_route():
    config = """
    site * {
        listen @listen
        route /a/* {
            respond 200 route
        }
        respond 200 site
    }
    """
    with Weir(config) as weir:
        assert weir.ask("/a/x").body.strip() == b"route"
        assert weir.ask("/b").body.strip() == b"site"


def test_route_without_an_answer_uses_the_sites():
    config = """
    site * {
        listen @listen
        route /a/* {
            header set X-Route a
        }
        respond 200 site
    }
    """
    with Weir(config) as weir:
        response = weir.ask("/a/x")
        assert (response.body.strip(), response.get("x-route")) == (b"site", "a")
        assert not weir.ask("/b").all("x-route")


@pytest.mark.parametrize("rule,sent,status", [
    ("", "/a%2Fb", 400), ("path_escaped_slash reject", "/a%2fb", 400),
    ("path_escaped_slash keep", "/a%2fb", "/a%2Fb"), ("", "/a//b", "/a/b"),
    ("path_merge_slashes off", "/a//b", "/a//b"), ("path_merge_slashes on", "/a///b", "/a/b"),
    ("path_escaped_slash keep", "/x/..%2f..%2fetc", "/x/..%2F..%2Fetc")])
def test_path_rules(origin, rule, sent, status):
    config = f"""
    site * {{
        listen @listen
        {rule}
        proxy @app
    }}
    """
    with Weir(config, app=origin) as weir:
        response = weir.ask(sent)
        if isinstance(status, int):
            assert response.status == status and not origin.heads
        else:
            assert response.status == 200
            assert origin.requests[0].target == status


@pytest.mark.parametrize("sent,seen", [
    ("/", "/"), ("/a", "/a"), ("/a/", "/a/"), ("/a/./b", "/a/b"), ("/a/../b", "/b"),
    ("/%41", "/A"), ("/%7euser", "/~user"), ("/a%20b", "/a%20b"), ("/%e4", "/%E4"),
    ("/a;b=c", "/a;b=c"), ("/a/..", "/"), ("/a/.", "/a/"), ("/%25", "/%25"), ("/a%3Fb", "/a%3Fb"),
    ("/a?x=%2f..", "/a?x=%2f.."), ("/...", "/..."), ("/..a", "/..a"), ("/a//b", "/a/b")])
def test_path_is_sent_as_it_was_routed(origin, sent, seen):
    config = "site * {\n listen @listen\n proxy @app\n}\n"
    with Weir(config, app=origin) as weir:
        assert weir.ask(sent).status == 200
    assert origin.requests[0].target == seen


@pytest.mark.parametrize("rule,status", [("", 400), ("field_names reject", 400),
                                         ("field_names drop", 200), ("field_names allow", 200)])
def test_field_names(origin, rule, status):
    config = f"""
    site * {{
        listen @listen
        {rule}
        proxy @app
    }}
    """
    with Weir(config, app=origin) as weir:
        assert weir.ask(fields=[("X_Under", "a"), ("X.Dot", "b"), ("X-Good", "c")]).status == status
    if status == 200:
        request = origin.requests[0]
        assert request.get("x-good") == "c"
        assert request.all("x_under") == (["a"] if "allow" in rule else [])


def test_transfer_encoding_look_alike_never_frames(origin):
    config = """
    site * {
        listen @listen
        field_names allow
        proxy @app
    }
    """
    with Weir(config, app=origin) as weir:
        assert weir.ask("/", "POST", fields=[("Transfer_Encoding", "chunked")],
                        body=b"abc").status == 200
    assert (origin.requests[0].framing, origin.requests[0].body) == ("length", b"abc")


def test_regex_that_explodes_refuses(origin):
    config = """
    site * {
        listen @listen
        route ~^/(a+)+$ {
            respond 200 matched
        }
        respond 200 other
    }
    """
    with Weir(config) as weir:
        assert weir.ask("/aaaa").body.strip() == b"matched"
        assert weir.ask("/" + "a" * 60 + "!").status in (200, 400)  # quickly, and never "matched"
        assert weir.ask("/" + "a" * 60 + "!").body.strip() != b"matched"


def test_two_listeners():
    from weir import free_port
    other = free_port()
    config = f"""
    site a {{
        listen @listen
        respond 200 a
    }}
    site b {{
        listen 127.0.0.1:{other}
        respond 200 b
    }}
    """
    with Weir(config) as weir:
        assert weir.ask(host="a").body.strip() == b"a"
        assert weir.ask(host="b").status == 404
        from client import Client
        with Client(("127.0.0.1", other)) as client:
            assert client.ask(host="b").body.strip() == b"b"
