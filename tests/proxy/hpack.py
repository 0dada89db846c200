# SPDX-License-Identifier: Apache-2.0
"""HPACK (RFC 7541), both ways: the decoder is whole, the encoder can also be told to write what it
should not."""

STATIC = [(name, value) for name, value in (line.split("|") for line in """\
:authority|
:method|GET
:method|POST
:path|/
:path|/index.html
:scheme|http
:scheme|https
:status|200
:status|204
:status|206
:status|304
:status|400
:status|404
:status|500
accept-charset|
accept-encoding|gzip, deflate
accept-language|
accept-ranges|
accept|
access-control-allow-origin|
age|
allow|
authorization|
cache-control|
content-disposition|
content-encoding|
content-language|
content-length|
content-location|
content-range|
content-type|
cookie|
date|
etag|
expect|
expires|
from|
host|
if-match|
if-modified-since|
if-none-match|
if-range|
if-unmodified-since|
last-modified|
link|
location|
max-forwards|
proxy-authenticate|
proxy-authorization|
range|
referer|
refresh|
retry-after|
server|
set-cookie|
strict-transport-security|
transfer-encoding|
user-agent|
vary|
via|
www-authenticate|""".split("\n"))]
assert len(STATIC) == 61

# The code is canonical: the lengths say all (RFC 7541, appendix B); the last one is EOS.
LENGTHS = [int(n) for n in """
13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
30""".split()]
assert len(LENGTHS) == 257 and sum(2.0 ** -n for n in LENGTHS) == 1.0


def _codes():
    codes, code, last = {}, 0, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(LENGTHS)):
        code <<= length - last
        codes[symbol] = (code, length)
        code, last = code + 1, length
    return codes


CODES = _codes()
SYMBOLS = {value: symbol for symbol, value in CODES.items()}


def huffman(data):
    bits, count = 0, 0
    for byte in data:
        code, length = CODES[byte]
        bits, count = bits << length | code, count + length
    pad = -count % 8
    return (bits << pad | (1 << pad) - 1).to_bytes((count + pad) // 8, "big")


def unhuffman(data):
    out, code, length = bytearray(), 0, 0
    for byte in data:
        for shift in range(7, -1, -1):
            code, length = code << 1 | byte >> shift & 1, length + 1
            symbol = SYMBOLS.get((code, length))
            if symbol is not None:
                assert symbol != 256, "EOS in a string"
                out.append(symbol)
                code, length = 0, 0
    assert length < 8 and code == (1 << length) - 1, "bad padding"
    return bytes(out)


def integer(value, prefix, first=0):
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def string(data, coded=False):
    data = data.encode("latin-1") if isinstance(data, str) else data
    body = huffman(data) if coded else data
    return integer(len(body), 7, 0x80 if coded else 0) + body


def literal(name, value, coded=False, first=0x00):
    """Without indexing; first=0x40: added to the table, 0x10: never indexed."""
    return bytes([first]) + string(name, coded) + string(value, coded)


def encode(fields, **options):
    return b"".join(literal(name, value, **options) for name, value in fields)


class Decoder:
    def __init__(self, size=4096):
        self.table, self.limit, self.max = [], size, size

    def _entry(self, index):
        assert index > 0
        return STATIC[index - 1] if index <= 61 else self.table[index - 62]

    def _evict(self):
        while sum(len(n) + len(v) + 32 for n, v in self.table) > self.limit:
            self.table.pop()

    def decode(self, data):
        at, out = 0, []

        def number(prefix):
            nonlocal at
            limit = (1 << prefix) - 1
            value, at = data[at] & limit, at + 1
            shift = 0
            while value >= limit and (shift == 0 or data[at - 1] & 128):
                value += (data[at] & 127) << shift
                shift, at = shift + 7, at + 1
            return value

        def text():
            nonlocal at
            coded = data[at] & 128
            size = number(7)
            raw, at = data[at:at + size], at + size
            return (unhuffman(raw) if coded else bytes(raw)).decode("latin-1")

        while at < len(data):
            byte = data[at]
            if byte & 0x80:
                out.append(self._entry(number(7)))
            elif byte & 0xe0 == 0x20:
                self.limit = number(5)
                assert self.limit <= self.max
                self._evict()
            else:
                index = number(6 if byte & 0x40 else 4)
                name = self._entry(index)[0] if index else text()
                out.append((name, text()))
                if byte & 0x40:
                    self.table.insert(0, out[-1])
                    self._evict()
        return out
