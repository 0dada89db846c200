# SPDX-License-Identifier: Apache-2.0
"""Requests that must be refused, generated from tables: (rule, position, value), and their accepted
neighbours. @P stands for a path of the request's own. Rules are numbered by what they are about:

 1 length with coding, 2 the same with a request hidden in the body, 3 codings, 4 codings in
 HTTP/1.0, 8 repeated lengths, 9 syntax of lengths, 10 syntax of chunk sizes, 11 chunk extensions,
 12 line ends, 13 ends of chunks, 14 folding and blanks in names, 15 bytes, 16 request lines,
 17 trailers, 18 expectations, 19 upgrades with bodies, 20 options of Connection, 21 look-alike
 names, 69 paths, 71 hosts"""
from typing import NamedTuple

from refusals import status_of


class Case(NamedTuple):
    rule: int
    position: str
    value: bytes
    statuses: frozenset
    in_body: bool  # the head was fine: a server may have seen it, never the end of the request
    closes: bool   # what follows on the connection cannot be trusted
    payload: bytes


class Neighbour(NamedTuple):
    rule: int
    payload: bytes
    method: str
    body: bytes


METHODS = [b"GET", b"POST", b"PUT"]
HEAD = b"%s @P HTTP/1.1\r\nHost: test\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n"
CONTROLS = [bytes([n]) for n in range(32) if n not in (9,)] + [b"\x7f"]
TCHARS = set(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
NAME_BYTES = set(b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

_cases = {}
_neighbours = []


def refuse(rule, position, value, names, payload, in_body=False, closes=True):
    names = [names] if isinstance(names, str) else names
    key = (rule, position, value)
    assert key not in _cases, key
    _cases[key] = Case(rule, position, value, frozenset(status_of(*names)), in_body, closes,
                       payload)


def accept(rule, payload, method="GET", body=b""):
    _neighbours.append(Neighbour(rule, payload, method, body))


def length_and_coding():
    for method in METHODS:
        for size in (b"0", b"3", b"5", b"10", b"999"):
            for name in (b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING"):
                length, coding = b"Content-Length: " + size + b"\r\n", name + b": chunked\r\n"
                for order, fields in ((b"length first", length + coding),
                                      (b"coding first", coding + length),
                                      (b"apart", coding + b"X-A: b\r\n" + length)):
                    position = (method + b" " + order).decode()
                    refuse(1, position, size + name, "LENGTH_AND_CODING",
                           HEAD % method + fields + b"\r\n0\r\n\r\n")
                    refuse(2, position, size + name, "LENGTH_AND_CODING",
                           HEAD % method + fields + b"\r\n0\r\n\r\n" + HIDDEN)
        accept(1, HEAD % method + b"Content-Length: 3\r\n\r\nabc", method.decode(), b"abc")
        accept(2, HEAD % method + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
               method.decode(), b"abc")


def codings():
    unknown = [b"identity", b"gzip", b"deflate", b"br", b"compress", b"xchunked", b"chunkedx",
               b"x-chunked", b"chunke", b"hunked", b"cow", b"zstd", b"trailers", b"chunked-",
               b"chunk", b"cchunked", b"chunkeD2", b"'chunked"]
    listed = [b"gzip, chunked", b"chunked, gzip", b"chunked, identity", b"identity, chunked",
              b"chunked,identity", b"xchunked, chunked", b"chunked, cow", b"cow,chunked"]
    malformed = [b"", b",", b"chunked,", b",chunked", b", chunked", b"chunked, ", b"chunked, chunked",
                 b"chunked,chunked", b'"chunked"', b"chunked;q=1", b"chunked;", b"chunked ;a=b",
                 b"chunked chunked", b"chun ked", b"chunked\x0b", b"\x0bchunked", b"\x0cchunked",
                 b"chunked\x0c", b"chunked\x00", b"\x00chunked", b"chunked=1", b"chunked\x7f",
                 b"chunked:", b"chunked/1", b"(chunked)", b"[chunked]", b"chunked\\",
                 b"\xef\xbb\xbfchunked", b"chunked\xa0", b"\xa0chunked", b"chunked\x1f",
                 b"chunked, ,", b"@chunked", b"chunked\t;a"]
    for method in METHODS:
        for where, before, after in (("first", b"", b"X-A: b\r\n"), ("last", b"X-A: b\r\n", b"")):
            position = f"{method.decode()} {where}"
            for names, values in (("CODING_UNKNOWN", unknown), ("CODING", listed),
                                  (("CODING", "FIELD_VALUE"), malformed)):
                for value in values:
                    refuse(3, position, value, names, HEAD % method + before
                           + b"Transfer-Encoding: " + value + b"\r\n" + after
                           + b"\r\n0\r\n\r\n" + HIDDEN)
            for value in (b"chunked", b"identity", b"gzip", b"", b"Chunked"):
                refuse(3, position + " repeated", value, "CODING", HEAD % method + before + b"Transfer-Encoding: chunked\r\n"
                       + after + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n" + HIDDEN)
        for value in (b"chunked", b"Chunked", b"CHUNKED", b" chunked", b"\tchunked \t"):
            accept(3, HEAD % method + b"Transfer-Encoding:" + value
                   + b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n", method.decode(), b"hi")
        for value in (b"chunked", b"Chunked", b"identity", b"gzip, chunked", b"chunked, gzip", b""):
            for keep in (b"", b"Connection: keep-alive\r\n", b"Connection: close\r\n"):
                refuse(4, method.decode() + keep.decode().strip(), value,
                       "CODING", method + b" @P HTTP/1.0\r\nHost: test\r\n" + keep + b"Transfer-Encoding: "
                       + value + b"\r\n\r\n0\r\n\r\n" + HIDDEN)
        accept(4, method + b" @P HTTP/1.0\r\nHost: test\r\nContent-Length: 1\r\n\r\nz",
               method.decode(), b"z")


def lengths():
    sizes = (b"0", b"1", b"3", b"5", b"10")
    for method in METHODS:
        position = method.decode()
        head = HEAD % method
        for one in sizes:
            for other in sizes:
                refuse(8, position + " fields", one + b"/" + other, "LENGTH",
                       head + b"Content-Length: " + one + b"\r\nContent-Length: " + other
                       + b"\r\n\r\nabcdefghij" + HIDDEN)
                for comma in (b",", b", ", b" , "):
                    refuse(8, position + " list", one + comma + other, "LENGTH",
                           head + b"Content-Length: " + one + comma + other
                           + b"\r\n\r\nabcdefghij" + HIDDEN)
            refuse(8, position + " case", one, "LENGTH", head + b"content-length: " + one
                   + b"\r\nX-A: b\r\nCONTENT-LENGTH: " + one + b"\r\n\r\nabcdefghij" + HIDDEN)
        accept(8, head + b"Content-Length: 5\r\nX-Content-Length: 5\r\n\r\nhello", position, b"hello")
        wrong = [b"+5", b"-0", b"-1", b"-5", b"+0", b"0x5", b"0X5", b"05", b"00", b"000000005", b"1_0",
                 b"5 5", b"5;", b"5.0", b"5.", b".5", b"5e0", b"5a", b"a5", b"", b"5\x00", b'"5"',
                 b"5\x0b", b"0b1", b"0o5", b"1,000", b"--5", b"5+", b"5-", b"five", b"NaN", b"inf",
                 b"0x", b"5L", b"5u", b"\xef\xbc\x95", b"\xd9\xa5", b"5%", b"%35", b"(5)", b"5,", b",5",
                 b"$5", b"#5", b"5\\", b"9223372036854775808", b"18446744073709551615",
                 b"18446744073709551616", b"18446744073709551621", b"99999999999999999999",
                 b"340282366920938463463374607431768211461", b"4294967296000000000000",
                 b"1" + b"0" * 100, b"0" * 100 + b"5", b"5\x0c", b"\x005", b"5\x7f", b"5\xa0"]
        for value in wrong:
            refuse(9, position, value, ("LENGTH", "FIELD_VALUE"),
                   head + b"Content-Length: " + value + b"\r\n\r\nhello" + HIDDEN)
        for value in (b"5", b" 5", b"5 ", b"\t5\t"):
            accept(9, head + b"Content-Length:" + value + b"\r\n\r\nhello", position, b"hello")
        accept(9, head + b"Content-Length: 0\r\n\r\n", position, b"")


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks():
    sizes = [b"+3", b"-3", b"0x3", b"0X3", b" 3", b"3 ", b"3\t", b"\t3", b"3_0", b"", b"g", b"3g", b"3.",
             b"3,", b"3:", b"3-", b"#3", b"\x003", b"3\x00", b"3\x7f", b"\xef\xbc\x93", b"3 3", b"$3",
             b"00000000000000003", b"10000000000000003", b"fffffffffffffffff", b"(3)", b"3h", b"h3",
             b"'3'", b'"3"', b"3=1", b"--3", b"3\x0b", b"3\x0c", b"%33", b"3/", b"0x", b"x3", b"3\xa0"]
    for method in METHODS[1:]:
        head = CHUNKED % method
        name = method.decode()
        for size in sizes:
            refuse(10, name + " first", size, "CHUNK",
                   head + size + b"\r\nabc\r\n0\r\n\r\n" + HIDDEN, True)
            refuse(10, name + " second", size, "CHUNK",
                   head + b"2\r\nhi\r\n" + size + b"\r\nabc\r\n0\r\n\r\n" + HIDDEN, True)
            zero = size.replace(b"3", b"0")
            refuse(10, name + " last", zero, "CHUNK",
                   head + b"2\r\nhi\r\n" + zero + b"\r\n\r\n" + HIDDEN, True)
        for size in (b"3", b"03", b"0000000000000003"):
            accept(10, head + size + b"\r\nabc\r\n0\r\n\r\n", name, b"abc")
        accept(10, head + b"A\r\n0123456789\r\n0\r\n\r\n", name, b"0123456789")
        accept(10, head + b"a\r\n0123456789\r\n00000\r\n\r\n", name, b"0123456789")
        for bad in CONTROLS:
            for where, text in (("start", b";%sa=b"), ("middle", b";a%s=b"), ("end", b";a=b%s")):
                if bad == b"\r" and where == "end":
                    continue  # that is CR CR LF, of rule 12
                extension = text.replace(b"%s", bad)
                refuse(11, f"{name} {where}", bad, ("CHUNK", "BARE_LF"),
                       head + b"3" + extension + b"\r\nabc\r\n0\r\n\r\n" + HIDDEN, True)
                refuse(11, f"{name} {where} of the last", bad, ("CHUNK", "BARE_LF"),
                       head + b"3\r\nabc\r\n0" + extension + b"\r\n\r\n" + HIDDEN, True)
        refuse(11, f"{name} too long", b"300", "CHUNK",
               head + b"3;" + b"x" * 300 + b"\r\nabc\r\n0\r\n\r\n" + HIDDEN, True)
        for extension in (b";a", b";a=b", b';a="b c"', b";\ta", b";" + b"x" * 200):
            accept(11, head + b"3" + extension + b"\r\nabc\r\n0" + extension + b"\r\n\r\n", name, b"abc")
        for end in (b"XX", b"\n", b"\r", b"  ", b"", b"\rX", b"X\n", b"X\r\n", b"\n\r", b"\r\r\n", b"\0\0",
                    b"def\r\n", b"\t\r\n", b"0\r\n", b"\r\0"):
            refuse(13, name + " first", end, ("CHUNK", "BARE_LF"),
                   head + b"3\r\nabc" + end + b"0\r\n\r\n" + HIDDEN, True)
            refuse(13, name + " second", end, ("CHUNK", "BARE_LF"),
                   head + b"2\r\nhi\r\n3\r\nabc" + end + b"0\r\n\r\n" + HIDDEN, True)
            refuse(13, name + " before another", end, ("CHUNK", "BARE_LF"),
                   head + b"3\r\nabc" + end + b"3\r\ndef\r\n0\r\n\r\n" + HIDDEN, True)
        for size, data in ((b"2", b"abc"), (b"1", b"abc"), (b"0", b"abc"), (b"4", b"abc"), (b"5", b"abcd")):
            refuse(13, name + " wrong size", size, ("CHUNK", "TRAILER", "BARE_LF"),
                   head + size + b"\r\n" + data + b"\r\n0\r\n\r\n" + HIDDEN, True)
        accept(13, head + b"3\r\n\r\n\r\r\n0\r\n\r\n", name, b"\r\n\r")


def line_ends():
    messages = {
        "plain": [b"GET @P HTTP/1.1", b"Host: test", b"X-A: one", b"X-B: two", b"Accept: */*", b""],
        "length": [b"POST @P HTTP/1.1", b"Host: test", b"X-A: one", b"Content-Length: 0", b""],
        "coding": [b"PUT @P HTTP/1.1", b"X-A: one", b"Transfer-Encoding: chunked", b"Host: test", b""],
    }
    ends = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r", b"\n\n", b"\r ", b"\r\0"]
    for name, lines in messages.items():
        for number in range(len(lines)):
            for end in ends:
                if end in (b"\n\n", b"\r\n\r") and number + 1 == len(lines):
                    continue  # the head has ended before, or is followed by an empty line
                text = b"".join(line + (end if i == number else b"\r\n")
                                for i, line in enumerate(lines))
                refuse(12, f"{name} line {number}", end,
                       ("BARE_LF", "REQUEST_LINE", "FIELD_NAME", "FIELD_VALUE", "FIELD_FOLDED",
                        "TARGET"), text + b"XX\r\n\r\n" + HIDDEN)
        accept(12, b"\r\n".join(lines) + b"\r\n" + (b"0\r\n\r\n" if name == "coding" else b""),
               lines[0].split()[0].decode())
    for end in ends[:4]:
        refuse(12, "before the request line", end, ("BARE_LF", "REQUEST_LINE", "METHOD"),
               end + HEAD % b"GET" + b"\r\n" + HIDDEN)
    parts = [b"3", b"abc", b"2", b"de", b"0", b"X-Trailer: a", b""]
    for number in range(len(parts)):
        for end in ends[:4] + ends[6:]:
            text = b"".join(part + (end if i == number else b"\r\n") for i, part in enumerate(parts))
            refuse(12, f"chunk line {number}", end, ("CHUNK", "BARE_LF", "TRAILER"),
                   CHUNKED % b"POST" + text + b"XX\r\n\r\n" + HIDDEN, True)
    accept(12, CHUNKED % b"POST" + b"\r\n".join(parts) + b"\r\n", "POST", b"abcde")
    accept(12, b"\r\n" + HEAD % b"GET" + b"\r\n")


def blanks():
    fields = [b"X-A: one", b"Content-Length: 5", b"Host: test", b"X-Last: z"]
    for number in range(len(fields)):
        for fold in (b" ", b"\t", b"  ", b" \t", b" folded", b"\tfolded", b" X-C: d", b"\tHost: evil"):
            lines = fields[:number + 1] + [fold] + fields[number + 1:]
            refuse(14, f"after field {number}", fold, ("FIELD_FOLDED", "FIELD_NAME", "HOST", "LENGTH"),
                   b"POST @P HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\nhello" + HIDDEN)
        for blank in (b" ", b"\t", b"  ", b" \t", b"\t\t"):
            lines = list(fields)
            lines[number] = lines[number].replace(b":", blank + b":", 1)
            refuse(14, f"before colon {number}", blank, "FIELD_NAME",
                   b"POST @P HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\nhello" + HIDDEN)
        for odd in (b":", b": x", b"no colon", b"nocolon", b"a b: c", b":Host: x", b"::", b"X-A", b"=: a"):
            lines = fields[:number] + [odd] + fields[number:]
            refuse(14, f"instead {number}", odd, ("FIELD_NAME", "FIELD_NAME_POLICY", "FIELD_FOLDED"),
                   b"POST @P HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\nhello" + HIDDEN)
    for fold in (b" ", b"\t", b" X-C: d", b"\tX-C: d"):
        refuse(14, "first", fold, ("FIELD_FOLDED", "FIELD_NAME"), b"POST @P HTTP/1.1\r\n" + fold
               + b"\r\n" + b"\r\n".join(fields) + b"\r\n\r\nhello" + HIDDEN)
    accept(14, b"POST @P HTTP/1.1\r\n" + b"\r\n".join(fields) + b"\r\n\r\nhello", "POST", b"hello")
    accept(14, HEAD % b"GET" + b"X-Empty:\r\nX-Blank: \t \r\nX-Tight:v\r\n\r\n")


def every_byte():
    for n in range(256):
        byte = bytes([n])
        for position, name in (("name start", byte + b"Name"), ("name middle", b"Na" + byte + b"me"),
                               ("name end", b"Name" + byte)):
            text = HEAD % b"GET" + name + b": v\r\n\r\n"
            if n in NAME_BYTES:
                accept(15, text)
            elif byte == b":" and position != "name start":
                accept(15, text)  # the value starts there
            elif n in TCHARS:
                refuse(15, position, byte, "FIELD_NAME_POLICY", text + HIDDEN)
            else:
                refuse(15, position, byte, ("FIELD_NAME", "FIELD_FOLDED", "BARE_LF"), text + HIDDEN)
        for position, value in (("value middle", b"a" + byte + b"b"), ("value end", b"a" + byte),
                                ("value start", byte + b"a")):
            text = HEAD % b"GET" + b"X-V: " + value + b"\r\n\r\n"
            if n == 9 or 0x20 <= n <= 0x7e or n >= 0x80:
                accept(15, text)
            else:
                refuse(15, position, byte, ("FIELD_VALUE", "BARE_LF"), text + HIDDEN)
        for position, target in (("path", b"@P" + byte + b"x"), ("query", b"@P?a=" + byte + b"x")):
            text = b"GET " + target + b" HTTP/1.1\r\nHost: test\r\n\r\n"
            if n < 0x21 or n > 0x7e:
                refuse(15, position, byte, ("TARGET", "REQUEST_LINE", "BARE_LF"),
                       text + HIDDEN)
            elif byte.isalnum() or byte in b"-._~!$&'()*+,;=:@":
                accept(15, text)
        method = b"GE" + byte + b"T"
        text = method + b" @P HTTP/1.1\r\nHost: test\r\n\r\n"
        if n in TCHARS:
            accept(15, text, method.decode())
        else:
            refuse(15, "method", byte, ("METHOD", "REQUEST_LINE", "BARE_LF", "TARGET"), text + HIDDEN)
        text = b"GET @P HTTP/1.1" + byte + b"\r\nHost: test\r\n\r\n"
        refuse(15, "after the version", byte, ("REQUEST_LINE", "BARE_LF", "TARGET"), text + HIDDEN) if byte != b"\n" else None
        refuse(15, "host", byte, ("HOST", "FIELD_VALUE", "BARE_LF"),
               b"GET @P HTTP/1.1\r\nHost: te" + byte + b"st\r\n\r\n" + HIDDEN) \
            if not byte.isalnum() and byte not in b"-._~!$&'()*+,;=%:[]" else None


def request_lines():
    lines = [b"%s  @P HTTP/1.1", b"%s @P  HTTP/1.1", b"%s\t@P HTTP/1.1", b"%s @P\tHTTP/1.1",
             b" %s @P HTTP/1.1", b"\t%s @P HTTP/1.1", b"%s @P HTTP/1.1 ", b"%s @P HTTP/1.1\t",
             b"%s @P", b"%s @P ", b"%s", b"%s ", b"%s  HTTP/1.1", b"%s HTTP/1.1", b"@P HTTP/1.1",
             b"%s @P http/1.1", b"%s @P Http/1.1", b"%s @P HTTP/1.1x", b"%s @P HTTP/11",
             b"%s @P HTTP/1,1", b"%s @P HTTP/1.1.1", b"%s @P HTTP/01.1", b"%s @P HTTP/1.01",
             b"%s @P HTTP /1.1", b"%s @P HTTP/ 1.1", b"%s @P HTTP/1. 1", b"%s @P HTTPS/1.1",
             b"%s @P HTTP/", b"%s @P HTTP/1", b"%s @P HTTP/1.", b"%s @P HTTP/.1", b"%s @P HTTP",
             b"%s @P XTTP/1.1", b"%s @P HTTP/a.b", b"%s @P HTTP/1.1 HTTP/1.1", b"%s @P @P HTTP/1.1",
             b"%s @P HTTP/-1.1", b"%s @P HTTP/+1.1", b"%s @P HTTP\\1.1", b"%s @P ICY/1.1",
             b"%s @P RTSP/1.0", b"%s a@P HTTP/1.1", b"%s ?a HTTP/1.1", b"%s * HTTP/1.1",
             b"%s test HTTP/1.1", b"%s test:80 HTTP/1.1", b"%s http:// HTTP/1.1",
             b"%s ftp://test@P HTTP/1.1", b"%s http:/test@P HTTP/1.1", b"%s http:test@P HTTP/1.1",
             b"%s ://test@P HTTP/1.1", b"%s http://user@test@P HTTP/1.1",
             b"%s http://u:p@test@P HTTP/1.1", b"%s http://te st@P HTTP/1.1",
             b"%s http://other@P HTTP/1.1", b"%s http://test:x@P HTTP/1.1",
             b"%s http://test:99999@P HTTP/1.1", b"%s http://[::1@P HTTP/1.1",
             b"%s javascript:alert(1) HTTP/1.1", b"%s file://@P HTTP/1.1", b"%s #a HTTP/1.1",
             b"%s @P#a HTTP/1.1"]
    names = ("REQUEST_LINE", "METHOD", "TARGET", "HOST", "FIELD_FOLDED", "BARE_LF", "PATH")
    for method in METHODS + [b"OPTIONS", b"DELETE"]:
        for line in lines:
            if line == b"%s * HTTP/1.1" and method == b"OPTIONS":
                continue
            refuse(16, method.decode(), line, names,
                   line.replace(b"%s", method) + b"\r\nHost: test\r\n\r\n" + HIDDEN)
        for minor in range(2, 10):
            refuse(16, method.decode() + " version", b"%d" % minor, "VERSION",
                   method + b" @P HTTP/1.%d\r\nHost: test\r\n\r\n" % minor + HIDDEN)
        for version in (b"0.9", b"2.0", b"3.0", b"0.0", b"9.9", b"2", b"2.1", b"1.10", b"10.1"):
            refuse(16, method.decode() + " other version", version, "REQUEST_LINE",
                   method + b" @P HTTP/" + version + b"\r\nHost: test\r\n\r\n" + HIDDEN)
        accept(16, method + b" @P HTTP/1.1\r\nHost: test\r\n\r\n", method.decode())
        accept(16, method + b" @P HTTP/1.0\r\nHost: test\r\n\r\n", method.decode())
        accept(16, method + b" http://test@P HTTP/1.1\r\nHost: test\r\n\r\n", method.decode())


def trailers():
    wrong = [b"no colon", b": x", b"X A: b", b"X-A : b", b" X-A: b", b"\tX-A: b", b"X-A: b\x00",
             b"X-A: \x01", b"X\x00A: b", b"X(A): b", b"X-A: b\x7f", b"=", b"X-A\t: b", b"X-\xe9: b",
             b"X-A: a\rb", b"X-A: a\nb", b"\x0bX-A: b", b"X,A: b", b"X/A: b", b'"X": b', b"X-A", b":"]
    for method in METHODS[1:]:
        head = CHUNKED % method + b"3\r\nabc\r\n0\r\n"
        for value in wrong:
            refuse(17, method.decode() + " only", value, ("TRAILER", "BARE_LF"),
                   head + value + b"\r\n\r\n" + HIDDEN, True)
            refuse(17, method.decode() + " second", value, ("TRAILER", "BARE_LF"),
                   head + b"X-Good: a\r\n" + value + b"\r\n\r\n" + HIDDEN, True)
        for value in (b"X-A: b", b"Content-Length: 9", b"Transfer-Encoding: gzip", b"Host: evil",
                      b"Authorization: Basic eDp5", b"Grpc-Status: 0"):
            accept(17, head + value + b"\r\n\r\n", method.decode(), b"abc")


def expectations():
    for method in METHODS:
        for value in (b"100-continu", b"100-continuee", b"200-ok", b"100", b"continue", b"x", b"100-continue=1",
                      b"101-continue", b"100_continue", b"100 continue", b"0", b"100-continue;a"):
            refuse(18, method.decode(), value, "EXPECT", HEAD % method + b"Expect: " + value
                   + b"\r\nContent-Length: 3\r\n\r\nabc" + HIDDEN)
        for value in (b"100-continue", b"100-Continue"):
            accept(18, HEAD % method + b"Expect: " + value + b"\r\nContent-Length: 3\r\n\r\nabc",
                   method.decode(), b"abc")


def upgrades():
    for method in METHODS:
        for protocol in (b"websocket", b"WebSocket"):
            for framing in (b"Content-Length: 3\r\n\r\nabc",
                            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"):
                refuse(19, method.decode() + " " + protocol.decode(), framing, "UPGRADE_BODY",
                       HEAD % method + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n"
                       + framing + HIDDEN)
        accept(19, HEAD % method + b"Upgrade: websocket\r\nContent-Length: 3\r\n\r\nabc",
               method.decode(), b"abc")


def connection_options():
    protected = [b"Host", b"Content-Length", b"Transfer-Encoding", b"Authorization", b"Cookie",
                 b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"Forwarded",
                 b"X-Request-ID"]
    for name in protected:
        for spelling in (name, name.lower(), name.upper()):
            for position, lines in (
                    ("alone", b"Connection: %s\r\n"),
                    ("first", b"Connection: %s, close\r\n"),
                    ("last", b"Connection: keep-alive, %s\r\n"),
                    ("middle", b"Connection: keep-alive,%s,x-y\r\n"),
                    ("second field", b"Connection: close\r\nConnection: %s\r\n")):
                refuse(20, position, spelling, "CONNECTION_LISTS",
                       HEAD % b"GET" + lines.replace(b"%s", spelling) + b"\r\n" + HIDDEN)
    for value in (b"keep-alive", b"X-Custom", b"x-custom, keep-alive", b"TE", b"Keep-Alive"):
        accept(20, HEAD % b"GET" + b"X-Custom: a\r\nConnection: " + value + b"\r\n\r\n")


def look_alikes():
    for method in METHODS:
        for name in (b"Transfer_Encoding", b"Content_Length", b"Remote_User", b"X.Forwarded.For", b"X_A",
                     b"Transfer.Encoding", b"Host_", b"_Host", b"X~A", b"X*A", b"Content+Length",
                     b"X|A", b"$Host", b"X^A", b"X`A", b"X!A", b"X#A", b"X%A", b"X&A", b"X'A"):
            refuse(21, method.decode(), name, "FIELD_NAME_POLICY",
                   HEAD % method + name + b": chunked\r\n\r\n" + HIDDEN)
        accept(21, HEAD % method + b"X-Transfer-Encoding: chunked\r\nRemote-User: a\r\n\r\n",
               method.decode())


def paths():
    for tail in (b"/%2f", b"/%2F", b"/a%2fb", b"/%5c", b"/%5C", b"/%00", b"/a%00", b"/%", b"/%2", b"/%zz",
                 b"/%2g", b"/%g2", b"/\\", b"/a\\b", b"/..%2f", b"/%2e%2e%2f", b"/../../..",
                 b"/%2e%2e/%2E%2e/..", b"/../..", b"/..%5c", b"/a/../../../b", b"/%%", b"/%u002f"):
        for method in METHODS:
            refuse(69, method.decode(), tail, ("PATH", "TARGET"),
                   method + b" @P" + tail + b" HTTP/1.1\r\nHost: test\r\n\r\n", closes=False)
    for start in (b"/..", b"/../a", b"/%2e%2e", b"/%2E./x", b"/a/../..", b"/./../x"):
        refuse(69, "above the root", start, "PATH",
               b"GET " + start + b" HTTP/1.1\r\nHost: test\r\n\r\n", closes=False)


def hosts():
    for value in (b"", b" ", b"a b", b"a,b", b"test, test", b"user@test", b"test/x", b"test?x", b"test#x",
                  b"http://test", b"test:", b"test:a", b"test:99999", b"test:-1", b"test:80:80", b"[::1",
                  b"::1", b"[::1]x", b"[fe80::1%25eth0]", b"te\\st", b"te\"st", b"<test>", b"te^st",
                  b"te|st", b"te`st", b"{test}", b"[test]", b"test:0x50", b"te%00st", b"te%st"):
        if value in (b"test:",):
            continue  # an empty port is allowed by RFC 3986
        refuse(71, "field", value, ("HOST", "HOST_MISSING"),
               b"GET @P HTTP/1.1\r\nHost: " + value + b"\r\n\r\n" + HIDDEN)
    for method in METHODS:
        refuse(71, method.decode(), b"missing", "HOST_MISSING", method + b" @P HTTP/1.1\r\n\r\n" + HIDDEN)
        for other in (b"test", b"other", b"TEST"):
            refuse(71, method.decode() + " repeated", other, "HOST_REPEATED",
                   HEAD % method + b"host: " + other + b"\r\n\r\n" + HIDDEN)
    for value in (b"test", b"TEST", b"test.", b"test:80", b"127.0.0.1", b"[::1]", b"[::1]:8080",
                  b"a-b.example.com", b"xn--bcher-kva.example"):
        accept(71, b"GET @P HTTP/1.1\r\nHost: " + value + b"\r\n\r\n")


for generate in (length_and_coding, codings, lengths, chunks, line_ends, blanks, every_byte,
                 request_lines, trailers, expectations, upgrades, connection_options, look_alikes,
                 paths, hosts):
    generate()
CASES = list(_cases.values())
NEIGHBOURS = _neighbours
RULES = sorted({case.rule for case in CASES})
