# SPDX-License-Identifier: Apache-2.0
"""What RFC 9111, 5861, 8246, 9110, 9211 and 9213 ask of a shared cache, a row for each demand.

A row has a name, the section, whether it is demanded ("must") or what a good cache does ("good"),
and steps: requests that are made one after the other, each with what the origin would answer and
where the answer has to come from:

    S(…)  the origin is asked                      H(…)  it is not: the cache answers
    V(…)  the origin is asked with a condition, and says 304    A(…)  either

`q`: fields of the request; `r`: fields of the answer; `status`, `body`, `method`, `then` (seconds to
wait after it), `see`: what the client has to see ({"field": value or None}, "status", "body")."""
import email.utils
import time

FRESH = ("Cache-Control", "max-age=3600")
STALE = ("Cache-Control", "max-age=3600"), ("Age", "7200")


def date(seconds):
    """Marks a date that lies so far from the answer's own."""
    return ("date", seconds)


def text_of(value):
    if isinstance(value, tuple):
        return email.utils.formatdate(time.time() + value[1], usegmt=True)
    return value


class Step:
    def __init__(self, source, r=(), q=(), status=200, body=b"content", method="GET", path="",
                 then=0.0, see=None, interim=(), cut=None, body_sent=None, end=None, host="test"):
        self.source, self.r, self.q, self.status, self.body = source, r, q, status, body
        self.method, self.path, self.then, self.see = method, path, then, see or {}
        self.interim, self.cut, self.body_sent, self.end, self.host = (
            interim, cut, body_sent, end, host)


def S(*r, **rest):
    return Step("origin", r, **rest)


def H(*r, **rest):
    return Step("cache", r, **rest)


def V(*r, **rest):
    return Step("validated", r, **{"status": 304, **rest})


def A(*r, **rest):
    return Step(None, r, **rest)


def CC(value):
    return ("Cache-Control", value)


ROWS = []


def row(section, name, *steps, need="must", host="test"):
    for step in steps:
        if step.host == "test":
            step.host = host
    ROWS.append((f"{section}-{name}", need, steps))


def stored(section, name, *fields, need="good", **rest):
    """The answer with these fields is served again."""
    row(section, name, S(*fields, **rest), H(*fields, **rest), need=need)


def passed(section, name, *fields, need="must", **rest):
    """It is not."""
    row(section, name, S(*fields, **rest), S(*fields, **rest), need=need)


ETAG = ("ETag", '"abc"')
MODIFIED = ("Last-Modified", date(-100000))

# --- RFC 9111 §4.2.1: how long ---
passed("9111-4.2.1", "nothing-said")
stored("9111-5.2.2.1", "max-age", FRESH)
passed("9111-5.2.2.1", "max-age-0", CC("max-age=0"))
stored("9111-5.2.2.1", "max-age-case", CC("MaX-aGe=3600"))
stored("9111-5.2.2.1", "max-age-extension-before", CC("foobar, max-age=3600"))
stored("9111-5.2.2.1", "max-age-extension-after", CC("max-age=3600, foobar=1"))
stored("9111-5.2.2.1", "max-age-extension-quoted-comma", CC('foobar="a, no-store", max-age=3600'))
stored("9111-5.2.2.1", "max-age-blanks", CC("  max-age=3600  ,  "))
stored("9111-5.2.2.1", "max-age-two-lines", CC("foobar"), CC("max-age=3600"))
stored("9111-5.2.2.1", "max-age-2147483647", CC("max-age=2147483647"))
stored("9111-5.2.2.1", "max-age-2147483648", CC("max-age=2147483648"))
stored("9111-5.2.2.1", "max-age-4294967296", CC("max-age=4294967296"))
stored("9111-5.2.2.1", "max-age-huge", CC("max-age=99999999999999999999999"))
stored("9111-5.2.2.1", "max-age-leading-zeros", CC("max-age=0003600"))
stored("9111-5.2", "max-age-quoted", CC('max-age="3600"'))
passed("9111-5.2.2.1", "max-age-in-another-directive", CC("extension='max-age=3600'"))
passed("9111-5.2.2.1", "max-age-in-a-quoted-text", CC('extension="max-age=3600"'))
passed("9111-5.2.2.1", "max-age-in-an-escaped-quote", CC('extension="a\\", max-age=3600, b\\""'))
passed("9111-4.2.1", "max-age-negative", CC("max-age=-3600"))
passed("9111-4.2.1", "max-age-no-number", CC("max-age=abc"))
passed("9111-4.2.1", "max-age-empty", CC("max-age="))
passed("9111-4.2.1", "max-age-no-value", CC("max-age"))
passed("9111-4.2.1", "max-age-two-with-a-stale-one", CC("max-age=0, max-age=0"))
passed("9111-4.2.3", "max-age-and-age-stale", *STALE)
stored("9111-4.2.3", "max-age-and-age-fresh", FRESH, ("Age", "1800"))
passed("9111-4.2.3", "max-age-and-age-equal", FRESH, ("Age", "3600"))
passed("9111-4.2.3", "max-age-and-date-stale", FRESH, ("Date", date(-7200)))
stored("9111-4.2.3", "max-age-and-date-ahead", FRESH, ("Date", date(600)))
stored("9111-5.2.2.10", "s-maxage", CC("s-maxage=3600"))
stored("9111-5.2.2.10", "s-maxage-over-max-age-0", CC("max-age=0, s-maxage=3600"))
passed("9111-5.2.2.10", "s-maxage-0-over-max-age", CC("max-age=3600, s-maxage=0"))
stored("9111-5.2.2.10", "s-maxage-over-expires", CC("s-maxage=3600"), ("Expires", date(-3600)))
passed("9111-5.2.2.10", "s-maxage-0-over-expires", CC("s-maxage=0"), ("Expires", date(3600)))
stored("9111-5.3", "expires", ("Expires", date(3600)))
passed("9111-5.3", "expires-past", ("Expires", date(-3600)))
passed("9111-5.3", "expires-now", ("Expires", date(0)), ("Date", date(0)))
passed("9111-5.3", "expires-0", ("Expires", "0"))
passed("9111-5.3", "expires-minus-1", ("Expires", "-1"))
passed("9111-5.3", "expires-no-date", ("Expires", "tomorrow"))
passed("9111-5.3", "expires-empty", ("Expires", ""))
passed("9111-5.3", "expires-0-with-modified", ("Expires", "0"), MODIFIED)
passed("9111-5.3", "expires-other-zone", ("Expires", "Thu, 18 Aug 2050 02:01:18 AEST"))
passed("9111-5.3", "expires-no-zone", ("Expires", "Thu, 18 Aug 2050 02:01:18"))
passed("9111-5.3", "expires-dashes", ("Expires", "Thu, 18-Aug-2050 02:01:18 GMT"))
passed("9111-5.3", "expires-hour-24", ("Expires", "Thu, 18 Aug 2050 24:01:18 GMT"))
passed("9111-5.3", "expires-one-digit-hour", ("Expires", "Thu, 18 Aug 2050 2:01:18 GMT"))
stored("9110-5.6.7", "expires-far", ("Expires", "Sun, 21 Nov 2286 04:46:39 GMT"))
stored("9110-5.6.7", "expires-asctime", ("Expires", "Thu Aug 18 02:01:18 2050"))
stored("9110-5.6.7", "expires-850", ("Expires", "Thursday, 18-Aug-50 02:01:18 GMT"))
passed("9111-4.2.3", "expires-and-age-stale", ("Expires", date(3600)), ("Age", "7200"))
stored("9111-5.2.2.1", "max-age-over-expires", FRESH, ("Expires", date(-3600)))
passed("9111-5.2.2.1", "max-age-0-over-expires", CC("max-age=0"), ("Expires", date(3600)))
stored("9111-5.2.2.1", "max-age-over-expires-0", FRESH, ("Expires", "0"))
row("9111-4.2", "becomes-stale", S(CC("max-age=1"), then=2.1), S(CC("max-age=1")))
row("9111-4.2", "stays-fresh", S(CC("max-age=100"), then=1.1), H())

# --- §5.1: Age ---
row("9111-5.1", "age-is-added", S(FRESH, then=1.1), H(see={"age": lambda v: 1 <= int(v) <= 300}))
row("9111-5.1", "age-counts-on", S(FRESH, ("Age", "100"), then=1.1),
    H(see={"age": lambda v: 101 <= int(v) <= 130}))
row("9111-4.2.3", "age-from-date", S(FRESH, ("Date", date(-30))),
    H(see={"age": lambda v: 29 <= int(v) <= 60}))
passed("9111-5.1", "age-parameter-huge", FRESH, ("Age", "99999999999999999999"))
passed("9111-5.1", "age-two-lines-first-stale", FRESH, ("Age", "7200"), ("Age", "0"))
passed("9111-5.1", "age-list-first-stale", FRESH, ("Age", "7200, 0"))
stored("9111-5.1", "age-list-first-fresh", FRESH, ("Age", "0, 7200"))
stored("9111-5.1", "age-negative", FRESH, ("Age", "-7200"))
stored("9111-5.1", "age-no-number", FRESH, ("Age", "abc"))
stored("9111-5.1", "age-float", FRESH, ("Age", "7200.0"))
passed("9111-5.1", "age-2147483648", CC("max-age=2147483000"), ("Age", "2147483648"))

# --- §4.2.2: guesses ---
for status in (200, 203, 204):
    stored("9111-4.2.2", f"guess-{status}", MODIFIED, status=status,
           **({"body": b""} if status == 204 else {}))
for status in (300, 301, 308, 404, 405, 410, 414, 501):
    stored("9111-4.2.2", f"guess-{status}", MODIFIED, ("Location", "/x"), status=status, host="errors")
for status in (201, 202, 302, 303, 307, 400, 403, 429, 500, 502, 503, 504, 599):
    passed("9111-4.2.2", f"no-guess-{status}", MODIFIED, status=status, host="errors")
stored("9111-4.2.2", "guess-599-public", MODIFIED, CC("public"), status=599, host="errors")
passed("9111-4.2.2", "guess-over-expired", MODIFIED, ("Expires", date(-10)))
passed("9111-4.2.2", "no-guess-just-modified", ("Last-Modified", date(0)), ("Date", date(0)))
passed("9111-4.2.2", "no-guess-modified-ahead", ("Last-Modified", date(100000)))

# --- §3: statuses that say for how long ---
for status in (200, 203, 299, 300, 301, 302, 303, 307, 308, 404, 410):
    stored("9111-3", f"fresh-{status}", FRESH, ("Location", "/x"), status=status)
    passed("9111-4.2", f"stale-{status}", *STALE, ("Location", "/x"), status=status)
stored("9111-3", "fresh-204", FRESH, status=204, body=b"")
for status in (400, 403, 405, 414, 429, 500, 501, 502, 503, 504, 599):
    stored("9111-3", f"fresh-{status}", FRESH, status=status, host="errors")
    passed("9111-3", f"errors-not-by-default-{status}", FRESH, status=status)
passed("9111-3.3", "part-is-not-the-whole", FRESH, ("Content-Range", "bytes 0-6/100"), status=206)
passed("9111-5.2.2.3", "must-understand-unknown-status", CC("max-age=3600, must-understand"), status=299,
       need="check")

# --- §5.2.2: what the answer says ---
passed("9111-5.2.2.5", "no-store", CC("no-store"))
passed("9111-5.2.2.5", "no-store-max-age", CC("no-store, max-age=3600"))
passed("9111-5.2.2.5", "no-store-case", CC("No-StOrE, max-age=3600"))
passed("9111-5.2.2.5", "no-store-second-line", FRESH, CC("no-store"))
passed("9111-5.2.2.5", "no-store-expires", CC("no-store"), ("Expires", date(3600)))
passed("9111-5.2.2.5", "no-store-modified", CC("no-store"), MODIFIED)
passed("9111-5.2.2.5", "no-store-with-a-value", CC("no-store=1, max-age=3600"), need="check")
passed("9111-5.2.2.4", "no-cache", CC("no-cache, max-age=3600"))
passed("9111-5.2.2.4", "no-cache-case", CC("No-CaChE, max-age=3600"))
passed("9111-5.2.2.4", "no-cache-expires", CC("no-cache"), ("Expires", date(3600)))
row("9111-5.2.2.4", "no-cache-validates", S(CC("no-cache"), ETAG), V(ETAG, CC("no-cache"), see={"status": 200}),
    need="good")
row("9111-5.2.2.4", "no-cache-field", S(CC('no-cache="a", max-age=3600'), ("A", "1")),
    H(see={"a": None}), need="check")
passed("9111-5.2.2.7", "private", CC("private, max-age=3600"))
passed("9111-5.2.2.7", "private-case", CC("PRIVATE, max-age=3600"))
row("9111-5.2.2.7", "private-field", S(CC('private="a", max-age=3600'), ("A", "1")), A(see={"a": A}),
    need="check")
stored("9111-5.2.2.9", "public-guess", CC("public"), MODIFIED)
stored("9111-5.2.2.3", "must-understand-wins", CC("no-store, max-age=3600, must-understand"))
row("9111-5.2.2.2", "must-revalidate-stale", S(CC("max-age=1, must-revalidate"), ETAG, then=2.1),
    V(ETAG, CC("max-age=1, must-revalidate"), see={"status": 200, "body": b"content"}))
row("9111-5.2.2.2", "must-revalidate-no-stale-on-error",
    S(CC("max-age=1, must-revalidate, stale-if-error=60"), then=2.1),
    S(status=503, see={"status": 503}))
row("9111-5.2.2.2", "must-revalidate-no-stale-on-close",
    S(CC("max-age=1, must-revalidate"), then=2.1), S(cut=0, see={"status": lambda s: s in (502, 504)}))
row("9111-5.2.2.8", "proxy-revalidate-no-stale-on-close",
    S(CC("max-age=1, proxy-revalidate"), then=2.1), S(cut=0, see={"status": lambda s: s in (502, 504)}))
row("9111-5.2.2.10", "s-maxage-no-stale-on-close",
    S(CC("s-maxage=1"), then=2.1), S(cut=0, see={"status": lambda s: s in (502, 504)}))
row("8246-2", "immutable-fresh", S(CC("max-age=3600, immutable"), ETAG),
    H(q=[("Cache-Control", "max-age=3600")]), need="good")
stored("9111-5.4", "pragma-of-an-answer", FRESH, ("Pragma", "no-cache"))

# --- §5.2.1, §5.4: what the request says ---
row("9111-5.2.1.4", "request-no-cache", S(FRESH), S(FRESH, q=[CC("no-cache")]), need="good")
row("9111-5.2.1.4", "request-no-cache-validates", S(FRESH, ETAG), V(FRESH, ETAG, q=[CC("no-cache")]),
    need="check")
row("9111-5.2.1.1", "request-max-age-0", S(FRESH), S(FRESH, q=[CC("max-age=0")]), need="good")
row("9111-5.2.1.1", "request-max-age-older", S(FRESH, ("Age", "1800")), S(FRESH, q=[CC("max-age=600")]),
    need="good")
row("9111-5.2.1.1", "request-max-age-younger", S(FRESH, ("Age", "1800")), H(q=[CC("max-age=2000")]),
    need="good")
row("9111-5.2.1.3", "request-min-fresh-not", S(FRESH, ("Age", "1800")), S(FRESH, q=[CC("min-fresh=2000")]),
    need="good")
row("9111-5.2.1.3", "request-min-fresh", S(FRESH, ("Age", "1800")), H(q=[CC("min-fresh=1000")]),
    need="good")
row("9111-5.2.1.2", "request-max-stale", S(CC("max-age=1"), then=2.1), H(q=[CC("max-stale=1000")]),
    need="good")
row("9111-5.2.1.2", "request-max-stale-any", S(CC("max-age=1"), then=2.1), H(q=[CC("max-stale")]),
    need="good")
row("9111-5.2.1.2", "request-max-stale-too-old", S(CC("max-age=1"), then=3.1), S(q=[CC("max-stale=1")]))
row("9111-5.2.1.2", "request-max-stale-must-revalidate",
    S(CC("max-age=1, must-revalidate"), then=2.1), S(q=[CC("max-stale=1000")]))
row("9111-5.2.1.5", "request-no-store", S(FRESH, q=[CC("no-store")]), S(FRESH))
row("9111-5.2.1.7", "only-if-cached-miss", H(q=[CC("only-if-cached")], see={"status": 504}), need="good")
row("9111-5.2.1.7", "only-if-cached-hit", S(FRESH), H(q=[CC("only-if-cached")], see={"status": 200}),
    need="good")
row("9111-5.4", "request-pragma", S(FRESH), A(FRESH, q=[("Pragma", "no-cache")]), need="check")
row("9111-5.4", "request-pragma-under-control", S(FRESH),
    H(q=[("Pragma", "no-cache"), CC("max-age=7200")]), need="good")

# --- §4.1: Vary ---
LANGUAGE = ("Vary", "Accept-Language")


def says(language):
    return [("Accept-Language", language)]


row("9111-4.1", "vary-same", S(FRESH, LANGUAGE, q=says("en")), H(q=says("en")), need="good")
row("9111-4.1", "vary-other", S(FRESH, LANGUAGE, q=says("en")), S(FRESH, LANGUAGE, q=says("de")))
row("9111-4.1", "vary-absent-then-there", S(FRESH, LANGUAGE), S(FRESH, LANGUAGE, q=says("de")))
row("9111-4.1", "vary-there-then-absent", S(FRESH, LANGUAGE, q=says("de")), S(FRESH, LANGUAGE))
row("9111-4.1", "vary-absent-twice", S(FRESH, LANGUAGE), H(), need="good")
row("9111-4.1", "vary-two-variants", S(FRESH, LANGUAGE, q=says("en"), body=b"english"),
    S(FRESH, LANGUAGE, q=says("de"), body=b"deutsch"), H(q=says("en"), see={"body": b"english"}),
    H(q=says("de"), see={"body": b"deutsch"}), need="good")
row("9111-4.1", "vary-two-fields-one-other", S(FRESH, ("Vary", "A, B"), q=[("A", "1"), ("B", "2")]),
    S(FRESH, ("Vary", "A, B"), q=[("A", "1"), ("B", "3")]))
row("9111-4.1", "vary-two-fields-same", S(FRESH, ("Vary", "A, B"), q=[("A", "1"), ("B", "2")]),
    H(q=[("B", "2"), ("A", "1")]), need="good")
row("9111-4.1", "vary-two-fields-swapped", S(FRESH, ("Vary", "A, B"), q=[("A", "1"), ("B", "2")]),
    S(FRESH, ("Vary", "A, B"), q=[("A", "2"), ("B", "1")]))
row("9111-4.1", "vary-two-lines", S(FRESH, ("Vary", "A"), ("Vary", "B"), q=[("A", "1"), ("B", "2")]),
    S(FRESH, q=[("A", "1"), ("B", "3")]))
row("9111-4.1", "vary-case", S(FRESH, ("Vary", "aCCEPT-lANGUAGE"), q=says("en")),
    S(FRESH, q=says("de")))
row("9111-4.1", "vary-other-field-does-not-matter", S(FRESH, LANGUAGE, q=says("en")),
    H(q=says("en") + [("X-Other", "1")]), need="good")
row("9111-4.1", "vary-values-joined", S(FRESH, LANGUAGE, q=says("en, de")),
    H(q=says("en") + says("de")), need="good")
row("9111-4.1", "vary-blanks-do-not-matter", S(FRESH, LANGUAGE, q=says("en,  de")),
    H(q=says("en,de")), need="good")
row("9111-4.1", "vary-boundary-of-fields", S(FRESH, ("Vary", "A, B"), q=[("A", "1"), ("B", "23")]),
    S(FRESH, ("Vary", "A, B"), q=[("A", "12"), ("B", "3")]))
passed("9111-4.1", "vary-star", FRESH, ("Vary", "*"))
passed("9111-4.1", "vary-star-and-field", FRESH, ("Vary", "*, Accept"))
passed("9111-4.1", "vary-field-and-star", FRESH, ("Vary", "Accept, *"))
passed("9111-4.1", "vary-star-second-line", FRESH, ("Vary", "Accept"), ("Vary", "*"))
passed("9111-4.1", "vary-empty-elements-and-star", FRESH, ("Vary", ", *"))
stored("9111-4.1", "vary-empty", FRESH, ("Vary", ""))
row("9111-4.1", "vary-newer-counts", S(FRESH, LANGUAGE, q=says("en")), S(FRESH, q=says("de"), body=b"any"),
    H(q=says("fr"), see={"body": b"any"}), need="good")
row("9111-4.1", "vary-encoding-normalised", S(FRESH, ("Vary", "Accept-Encoding"), q=[("Accept-Encoding", "gzip")]),
    H(q=[("Accept-Encoding", "deflate, gzip;q=1.0")]), need="good")
row("9111-4.1", "vary-encoding-other", S(FRESH, ("Vary", "Accept-Encoding"), q=[("Accept-Encoding", "gzip")]),
    S(FRESH, ("Vary", "Accept-Encoding"), q=[("Accept-Encoding", "br")]))
row("9111-4.1", "vary-encoding-none", S(FRESH, ("Vary", "Accept-Encoding"), q=[("Accept-Encoding", "gzip")]),
    S(FRESH, ("Vary", "Accept-Encoding"), q=[("Accept-Encoding", "gzip;q=0")]))

# --- §2, §4: keys and methods ---
row("9111-2", "other-query", S(FRESH, path="?a"), S(FRESH, path="?b"))
row("9111-2", "query-and-none", S(FRESH, path="?a"), S(FRESH))
row("9111-2", "query-case", S(FRESH, path="?a"), S(FRESH, path="?A"))
row("9111-2", "query-order", S(FRESH, path="?a=1&b=2"), S(FRESH, path="?b=2&a=1"))
row("9111-2", "path-case", S(FRESH, path="/a"), S(FRESH, path="/A"))
row("9111-2", "path-slash", S(FRESH, path="/a"), S(FRESH, path="/a/"))
row("9111-2", "path-same-escaped", S(FRESH, path="/%61"), H(path="/a"), need="good")
row("9111-2", "other-host", S(FRESH), S(FRESH, host="other.test"))
row("9111-2", "host-case", S(FRESH, host="other.test"), H(host="OTHER.test"), need="good")
row("9110-9.3.2", "head-of-get", S(FRESH), H(method="HEAD", see={"content-length": "7", "body": b""}),
    need="good")
row("9110-9.3.2", "head-does-not-fill-get", S(FRESH, method="HEAD"), S(FRESH, see={"body": b"content"}))
row("9111-4", "post-is-not-served", S(FRESH), S(FRESH, method="POST", body_sent=b"x"))
row("9111-4", "post-does-not-fill", S(FRESH, method="POST", body_sent=b"x"), S(FRESH))
row("9111-4", "put-is-not-served", S(FRESH), S(FRESH, method="PUT", body_sent=b"x"))
row("9111-4", "delete-is-not-served", S(FRESH), S(FRESH, method="DELETE"))
row("9111-4", "options-is-not-served", S(FRESH), S(FRESH, method="OPTIONS"))
row("9111-4", "unknown-is-not-served", S(FRESH), S(FRESH, method="FROB"))
row("9110-9.3.1", "get-with-body-goes-by", S(FRESH), S(FRESH, body_sent=b"x"))
row("9110-9.3.1", "get-with-body-does-not-fill", S(FRESH, body_sent=b"x"), S(FRESH))

# --- §4.4: invalidation ---
for method in ("POST", "PUT", "DELETE", "PATCH", "FROB"):
    row("9111-4.4", f"invalidated-by-{method}", S(FRESH), S(method=method, body_sent=b"x"), S(FRESH),
        need="must" if method != "FROB" else "good")
for status in (200, 201, 204, 302, 303):
    row("9111-4.4", f"invalidated-by-POST-{status}", S(FRESH),
        S(method="POST", body_sent=b"x", status=status, body=b""), S(FRESH))
for status in (400, 403, 404, 500, 503):
    row("9111-4.4", f"not-invalidated-by-POST-{status}", S(FRESH),
        S(method="POST", body_sent=b"x", status=status), H(), need="good")
for method in ("HEAD", "OPTIONS"):
    row("9111-4.4", f"not-invalidated-by-{method}", S(FRESH), A(FRESH, method=method), H(), need="good")
for field in ("Location", "Content-Location"):
    row("9111-4.4", f"invalidates-{field}", S(FRESH, path="/b"),
        S((field, "b"), method="POST", body_sent=b"x", path="/a"), S(FRESH, path="/b"), need="good")
    row("9111-4.4", f"invalidates-{field}-absolute", S(FRESH, path="/b"),
        S((field, "http://test{path}/b"), method="POST", body_sent=b"x", path="/a"), S(FRESH, path="/b"),
        need="good")
    row("9111-4.4", f"not-of-another-origin-{field}", S(FRESH, path="/b"),
        S((field, "http://other.test{path}/b"), method="POST", body_sent=b"x", path="/a"), H(path="/b"))
    row("9111-4.4", f"not-of-another-host-by-{field}", S(FRESH, host="other.test"),
        S((field, "http://other.test{path}"), method="POST", body_sent=b"x"), H(host="other.test"))

# --- §3.5: Authorization; cookies ---
SECRET = [("Authorization", "Basic YTpi")]
row("9111-3.5", "authorized", S(FRESH, q=SECRET), S(FRESH, q=SECRET))
row("9111-3.5", "authorized-not-for-others", S(FRESH, q=SECRET), S(FRESH))
for name in ("public", "must-revalidate", "s-maxage=3600"):
    row("9111-3.5", f"authorized-{name}", S(CC(f"max-age=3600, {name}"), q=SECRET), H(q=SECRET), need="good")
row("9111-3.5", "authorized-may-be-served-what-is-public", S(FRESH), H(q=SECRET), need="check")
row("9111-7.3", "set-cookie-is-not-stored", S(FRESH, ("Set-Cookie", "a=b")), S(FRESH), need="good")
row("9111-7.3", "cookie-of-a-request-does-not-matter", S(FRESH), H(q=[("Cookie", "a=b")]), need="good")
row("9111-7.3", "vary-cookie-is-not-stored", S(FRESH, ("Vary", "Cookie"), q=[("Cookie", "a=b")]),
    S(FRESH, q=[("Cookie", "a=c")]))

# --- §3.1: which fields ---
for name, value in (("Test-Field", "x"), ("Content-Type", "text/x"), ("Content-Language", "de"),
                    ("Content-Encoding", "x-y"), ("Content-Location", "/z"), ("Content-MD5", "x"),
                    ("Content-Security-Policy", "default-src 'self'"), ("ETag", '"x"'),
                    ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"), ("X-Frame-Options", "DENY"),
                    ("Strict-Transport-Security", "max-age=1"), ("Link", "<a>; rel=b"),
                    ("Access-Control-Allow-Origin", "*"), ("Clear-Site-Data", '"cookies"')):
    row("9111-3.1", f"keeps-{name}", S(FRESH, (name, value)), H(see={name.lower(): value}),
        need="must" if not name.startswith("C") else "good")
row("9111-3.1", "keeps-two-lines", S(FRESH, ("Test", "a"), ("Test", "b")), H(see={"test": "a, b"}))
row("9111-3.1", "keeps-long-field", S(FRESH, ("Test", "x" * 5000)), H(see={"test": "x" * 5000}))
row("9111-3.1", "keeps-latin-1", S(FRESH, ("Test", "gr\xfc\xdfe")), H(see={"test": "gr\xfc\xdfe"}))
for name, value in (("Connection", "close, X-Hop"), ("Keep-Alive", "timeout=3"), ("Proxy-Connection", "close"),
                    ("Proxy-Authenticate", "Basic"), ("Proxy-Authentication-Info", "x"),
                    ("Proxy-Authorization", "x"), ("TE", "trailers"), ("Upgrade", "x")):
    row("9111-3.1", f"not-{name}", S(FRESH, (name, value), ("X-Hop", "1")),
        H(see={name.lower(): lambda v: v is None or v.lower() in ("close", "keep-alive"),
               **({"x-hop": None} if name == "Connection" else {})}))
row("9111-3.1", "no-Content-Length-twice", S(FRESH), H(see={"content-length": "7"}))
row("9112-7.1", "chunked-is-stored", S(FRESH, ("Transfer-Encoding", "chunked")), H(see={"body": b"content"}),
    need="good")

# --- §3.4, §6 of 9110: incomplete answers ---
row("9111-3.3", "cut-is-not-stored", S(FRESH, cut=90, see={"status": A, "body": A}),
    S(FRESH, see={"body": b"content"}))
row("9111-3.3", "cut-chunked-is-not-stored", S(FRESH, ("Transfer-Encoding", "chunked"), cut=105,
                                              see={"status": A, "body": A}),
    S(FRESH, see={"body": b"content"}))

# --- interim answers ---
for status in (102, 103):
    row("9110-15.2", f"interim-{status}", S(FRESH, interim=[(status, [("Link", "<a>")])], see={"status": 200}),
        H(see={"status": 200, "body": b"content"}), need="good")
row("9110-15.2", "interim-fields-do-not-count", S(CC("no-store"), interim=[(103, [FRESH])]), S())

# --- §4.3: validation ---
row("9111-4.3.1", "stale-asks-by-etag", S(CC("max-age=1"), ETAG, then=2.1),
    V(CC("max-age=1"), ETAG, see={"status": 200, "body": b"content"}), need="good")
row("9111-4.3.1", "stale-asks-by-date", S(CC("max-age=1"), MODIFIED, then=2.1),
    V(CC("max-age=1"), see={"status": 200, "body": b"content"}), need="good")
row("9111-4.3.1", "stale-asks-by-weak-etag", S(CC("max-age=1"), ("ETag", 'W/"abc"'), then=2.1),
    V(CC("max-age=1"), see={"status": 200, "body": b"content"}), need="good")
row("9111-4.3.3", "304-makes-fresh", S(CC("max-age=1"), ETAG, then=2.1),
    V(FRESH, ETAG, see={"status": 200}), H(see={"status": 200, "body": b"content"}), need="good")
row("9111-4.3.4", "304-brings-fields", S(CC("max-age=1"), ETAG, ("A", "1"), ("B", "2"), then=2.1),
    V(FRESH, ETAG, ("A", "3"), see={"a": "3", "b": "2"}), H(see={"a": "3", "b": "2"}))
row("9111-3.2", "304-does-not-change-Content-Length", S(CC("max-age=1"), ETAG, then=2.1),
    V(FRESH, ETAG, ("Content-Length", "1"), see={"content-length": "7", "body": b"content"}),
    H(see={"content-length": "7"}))
row("9111-3.2", "304-does-not-change-Content-Encoding", S(CC("max-age=1"), ETAG, ("Content-Encoding", "x"), then=2.1),
    V(FRESH, ETAG, ("Content-Encoding", "y"), see={"content-encoding": "x"}), need="check")
row("9111-4.3.3", "304-with-no-store", S(CC("max-age=1"), ETAG, then=2.1),
    V(CC("no-store"), ETAG, see={"status": 200}), S(FRESH), need="check")
row("9111-4.3.3", "200-replaces", S(CC("max-age=1"), ETAG, body=b"old", then=2.1),
    S(FRESH, body=b"new", see={"body": b"new"}), H(see={"body": b"new"}), need="good")
row("9111-4.3.3", "500-in-place-of-304-is-passed-on", S(CC("max-age=1, must-revalidate"), ETAG, then=2.1),
    S(status=500, see={"status": 500}))

# --- §4.3.2, 9110 §13: conditions of clients ---
row("9111-4.3.2", "if-none-match", S(FRESH, ETAG), H(q=[("If-None-Match", '"abc"')], see={"status": 304}),
    need="good")
row("9111-4.3.2", "if-none-match-other", S(FRESH, ETAG), H(q=[("If-None-Match", '"x"')], see={"status": 200}),
    need="good")
row("9110-13.1.2", "if-none-match-list", S(FRESH, ETAG), H(q=[("If-None-Match", '"x", "abc"')], see={"status": 304}),
    need="good")
row("9110-13.1.2", "if-none-match-weak", S(FRESH, ETAG), H(q=[("If-None-Match", 'W/"abc"')], see={"status": 304}),
    need="good")
row("9110-13.1.2", "if-none-match-weak-stored", S(FRESH, ("ETag", 'W/"abc"')),
    H(q=[("If-None-Match", '"abc"')], see={"status": 304}), need="good")
row("9110-13.1.2", "if-none-match-star", S(FRESH, ETAG), H(q=[("If-None-Match", "*")], see={"status": 304}),
    need="good")
row("9110-13.1.2", "if-none-match-comma-in-tag", S(FRESH, ("ETag", '"a,b"')),
    H(q=[("If-None-Match", '"x", "a,b"')], see={"status": 304}), need="good")
row("9110-13.1.2", "if-none-match-unquoted", S(FRESH, ETAG), H(q=[("If-None-Match", "abc")], see={"status": 200}),
    need="good")
row("9110-13.1.2", "if-none-match-head", S(FRESH, ETAG),
    H(q=[("If-None-Match", '"abc"')], method="HEAD", see={"status": 304}), need="good")
row("9110-15.4.5", "304-has-the-fields", S(FRESH, ETAG, ("Content-Location", "/z"), ("Vary", "A")),
    H(q=[("If-None-Match", '"abc"')],
      see={"status": 304, "etag": '"abc"', "cache-control": "max-age=3600", "vary": "A",
           "content-location": "/z", "date": lambda v: v is not None, "body": b""}))
row("9110-13.1.3", "if-modified-since-same", S(FRESH, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")),
    H(q=[("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT")], see={"status": 304}), need="good")
row("9110-13.1.3", "if-modified-since-later", S(FRESH, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")),
    H(q=[("If-Modified-Since", "Tue, 02 Jan 2024 00:00:00 GMT")], see={"status": 304}), need="good")
row("9110-13.1.3", "if-modified-since-earlier", S(FRESH, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")),
    H(q=[("If-Modified-Since", "Sun, 31 Dec 2023 00:00:00 GMT")], see={"status": 200}), need="good")
row("9110-13.1.3", "if-modified-since-no-date", S(FRESH, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")),
    H(q=[("If-Modified-Since", "yesterday")], see={"status": 200}))
row("9110-13.2.2", "if-none-match-over-date", S(FRESH, ETAG, ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")),
    H(q=[("If-None-Match", '"x"'), ("If-Modified-Since", "Tue, 02 Jan 2024 00:00:00 GMT")], see={"status": 200}))
row("9110-13.1.1", "if-match-goes-to-the-server", S(FRESH, ETAG), A(status=412, q=[("If-Match", '"x"')]),
    need="check")
row("9111-4.3.1", "a-condition-fetches-the-whole", A(FRESH, ETAG, q=[("If-None-Match", '"x"')], see={"status": 200}),
    A(FRESH, ETAG, see={"status": 200, "body": b"content"}), need="check")

# --- 9110 §14, 9111 §3.4: ranges ---
TEN = b"0123456789"
for asked, range_, part in (("0-4", "bytes 0-4/10", b"01234"), ("5-", "bytes 5-9/10", b"56789"),
                            ("-3", "bytes 7-9/10", b"789"), ("3-3", "bytes 3-3/10", b"3"),
                            ("8-100", "bytes 8-9/10", b"89"), ("-100", "bytes 0-9/10", TEN)):
    row("9110-14.2", f"range-{asked}", S(FRESH, body=TEN),
        H(q=[("Range", f"bytes={asked}")], see={"status": 206, "content-range": range_, "body": part}),
        need="good")
row("9110-15.5.17", "range-beyond", S(FRESH, body=TEN),
    H(q=[("Range", "bytes=10-")], see={"status": 416, "content-range": "bytes */10"}), need="good")
for bad in ("bytes=", "bytes=a-b", "bytes=5-2", "items=0-1", "bytes 0-1", "bytes=--1",
            "bytes=0-1,2-3,4-5,6-7,8-9,0-1,2-3,4-5,6-7,8-9,0-1,2-3,4-5,6-7,8-9,0-1,2-3"):
    row("9110-14.2", f"range-ignored-{bad[:12]}", S(FRESH, body=TEN),
        H(q=[("Range", bad)], see={"status": 200, "body": TEN}), need="good")
row("9110-14.2", "range-of-head", S(FRESH, body=TEN),
    H(q=[("Range", "bytes=0-1")], method="HEAD", see={"status": 200, "content-length": "10"}), need="good")
row("9110-13.1.5", "if-range-same", S(FRESH, ETAG, body=TEN),
    H(q=[("Range", "bytes=0-1"), ("If-Range", '"abc"')], see={"status": 206, "body": b"01"}), need="good")
row("9110-13.1.5", "if-range-other", S(FRESH, ETAG, body=TEN),
    H(q=[("Range", "bytes=0-1"), ("If-Range", '"x"')], see={"status": 200, "body": TEN}))
row("9110-13.1.5", "if-range-weak", S(FRESH, ("ETag", 'W/"abc"'), body=TEN),
    H(q=[("Range", "bytes=0-1"), ("If-Range", 'W/"abc"')], see={"status": 200, "body": TEN}))
row("9111-3.3", "part-then-whole", A(FRESH, ("Content-Range", "bytes 0-1/10"), body=b"01", status=206,
                                    q=[("Range", "bytes=0-1")]),
    S(FRESH, body=TEN, see={"status": 200, "body": TEN}))
row("9111-3.3", "parts-are-not-mixed", A(FRESH, ETAG, ("Content-Range", "bytes 0-4/10"), body=b"01234",
                                        status=206, q=[("Range", "bytes=0-4")]),
    S(FRESH, ("ETag", '"x"'), ("Content-Range", "bytes 5-9/10"), body=b"fghij", status=206,
      q=[("Range", "bytes=5-9")], see={"status": 206, "body": b"fghij"}),
    S(FRESH, body=TEN, see={"status": 200, "body": TEN}))

# --- RFC 5861 and §4.2.4: stale ---
row("5861-3", "stale-while-revalidate", S(CC("max-age=1, stale-while-revalidate=600"), body=b"old", then=2.1),
    Step("background", (FRESH,), body=b"new", see={"body": b"old"}, then=1.5),
    H(see={"body": b"new"}), need="good")
row("5861-3", "stale-while-revalidate-over", S(CC("max-age=1, stale-while-revalidate=1"), then=3.1), S(FRESH))
for status in (500, 502, 503, 504):
    row("5861-4", f"stale-if-error-{status}", S(CC("max-age=1, stale-if-error=600"), then=2.1),
        S(status=status, body=b"bad", see={"status": 200, "body": b"content"}), need="good")
row("5861-4", "stale-if-error-close", S(CC("max-age=1, stale-if-error=600"), then=2.1),
    S(cut=0, see={"status": 200, "body": b"content"}), need="good")
row("5861-4", "stale-if-error-over", S(CC("max-age=1, stale-if-error=1"), then=3.1),
    S(status=503, see={"status": 503}))
row("9111-4.2.4", "stale-if-error-not-404", S(CC("max-age=1, stale-if-error=600"), then=2.1),
    S(status=404, see={"status": 404}), need="good")
row("9111-4.2.4", "stale-no-cache-never", S(CC("no-cache, stale-if-error=600")), S(status=503, see={"status": 503}))

# --- RFC 9213: CDN-Cache-Control ---
def CDN(value):
    return ("CDN-Cache-Control", value)


stored("9213-2.2", "cdn-max-age", CDN("max-age=3600"))
stored("9213-2.2", "cdn-over-no-store", CDN("max-age=3600"), CC("no-store"))
stored("9213-2.2", "cdn-over-max-age-0", CDN("max-age=3600"), CC("max-age=0"))
stored("9213-2.2", "cdn-over-private", CDN("max-age=3600"), CC("private"))
stored("9213-2.2", "cdn-over-expires", CDN("max-age=3600"), ("Expires", date(-3600)))
passed("9213-2.2", "cdn-max-age-0", CDN("max-age=0"), FRESH)
passed("9213-2.2", "cdn-no-store", CDN("no-store"), FRESH)
passed("9213-2.2", "cdn-no-cache", CDN("no-cache"), FRESH)
passed("9213-2.2", "cdn-private", CDN("private"), FRESH)
passed("9213-2.2", "cdn-expires-does-not-count", CDN("max-age=0"), ("Expires", date(3600)))
passed("9213-2.2", "cdn-age", CDN("max-age=3600"), ("Age", "7200"))
stored("9213-2.1", "cdn-parameter", CDN("max-age=3600;a=b"))
stored("9213-2.1", "cdn-extension", CDN("foobar, max-age=3600"))
stored("9213-2.1", "cdn-empty-is-not-there", CDN(""), FRESH)
stored("9213-2.1", "cdn-broken-is-not-there", CDN("max-age=3600,,"), FRESH)
passed("9213-2.1", "cdn-broken-does-not-count", CDN('max-age="'), need="must")
passed("9213-2.1", "cdn-blank-before-equals", CDN("max-age =3600"), CC("no-store"))
passed("9213-2.1", "cdn-upper-case", CDN("MaX-aGe=3600"), CC("no-store"))
passed("9213-2.1", "cdn-last-counts", CDN("max-age=3600, max-age=0"))
stored("9213-2.1", "cdn-last-counts-fresh", CDN("max-age=0, max-age=3600"))
row("9213-2", "cdn-is-passed-on", S(CDN("max-age=3600")), H(see={"cdn-cache-control": A}), need="check")

# --- RFC 9211 ---
row("9211-2", "status-miss", S(FRESH, see={"cache-status": lambda v: "fwd=uri-miss" in v and "stored" in v}))
row("9211-2.1", "status-hit", S(FRESH), H(see={"cache-status": lambda v: "; hit" in v}))
row("9211-2.4", "status-ttl", S(FRESH), H(see={"cache-status": lambda v: "ttl=3" in v}))
row("9211-2.2", "status-stale", S(CC("max-age=1"), then=2.1),
    S(FRESH, see={"cache-status": lambda v: "fwd=stale" in v}))
row("9211-2.2", "status-vary-miss", S(FRESH, LANGUAGE, q=says("en")),
    S(FRESH, LANGUAGE, q=says("de"), see={"cache-status": lambda v: "fwd=vary-miss" in v or "fwd=miss" in v}))
row("9211-2.2", "status-method", S(FRESH, method="POST", body_sent=b"x",
                                   see={"cache-status": lambda v: "fwd=method" in v or "fwd=bypass" in v}))
row("9211-2.2", "status-request", S(FRESH), S(FRESH, q=[CC("no-cache")], see={
    "cache-status": lambda v: "fwd=request" in v}))
row("9211-2.5", "status-not-stored", S(CC("no-store"), see={
    "cache-status": lambda v: "fwd=" in v and not v.rstrip().endswith("stored")}))
row("9211-2", "status-comes-behind-the-servers", S(FRESH, ("Cache-Status", "origin; hit"),
                                                  see={"cache-status": lambda v: v.startswith("origin")}))
