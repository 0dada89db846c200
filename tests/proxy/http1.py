# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 messages, read as strictly as RFC 9112 allows: the judge of what weir writes to clients
and to servers. It shares nothing with weir's own parser."""
import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)\Z")
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])\Z")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff]"
                   rb"(?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*\Z")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})\Z")


class Malformed(Exception):
    """A message broke the grammar."""


class Short(Exception):
    """The connection ended inside a message."""


class Message:
    def __init__(self):
        self.version = None
        self.fields = []
        self.trailers = []
        self.body = b""
        self.framing = "none"
        self.complete = False

    def get(self, name, default=None):
        """The only value of a field; a repeated one is a mistake of the test's expectation."""
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{name} stands {len(values)} times: {values}")
        return values[0] if values else default

    def all(self, name):
        wanted = name.lower()
        return [value for key, value in self.fields if key.lower() == wanted]

    def tokens(self, name):
        return [token.strip().lower() for value in self.all(name) for token in value.split(",")
                if token.strip()]


class Request(Message):
    method = target = None
    connection = None  # of the origin, when one recorded it

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    def __repr__(self):
        return f"<{self.method} {self.target} {self.fields} {len(self.body)} bytes>"


class Response(Message):
    status = reason = None

    def __init__(self):
        super().__init__()
        self.interim = []

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:200]!r}>"


def parse_fields(lines, where="field"):
    fields = []
    for line in lines:
        match = FIELD.match(line)
        if not match:
            raise Malformed(f"{where} line {line!r}")
        fields.append((match.group(1).decode("ascii"), match.group(2).decode("latin-1")))
    return fields


def split_head(head):
    """Lines of a head without the empty last one; CRLF only."""
    if not head.endswith(b"\r\n\r\n"):
        raise Malformed("head without end")
    lines = head[:-4].split(b"\r\n")
    for line in lines:
        if b"\n" in line or b"\r" in line:
            raise Malformed(f"bare CR or LF in {line!r}")
    return lines


def single_length(message):
    values = message.all("content-length")
    if not values:
        return None
    if len(values) > 1 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", values[0]):
        raise Malformed(f"content-length {values}")
    return int(values[0])


def decide_coding(message):
    codings = message.all("transfer-encoding")
    if not codings:
        return False
    if codings != ["chunked"]:
        raise Malformed(f"transfer-encoding {codings}")
    if message.all("content-length"):
        raise Malformed("content-length with transfer-encoding")
    if message.version == 0:
        raise Malformed("transfer-encoding in HTTP/1.0")
    return True


class Reader:
    """Reads from a socket with a deadline for each wait; keeps what was not asked for yet."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.ended = False
        self.on_bytes = None

    def fill(self):
        """False at the end of the stream."""
        if self.ended:
            return False
        data = self.sock.recv(65536)
        if not data:
            self.ended = True
            return False
        if self.on_bytes:
            self.on_bytes(data)
        self.buffer += data
        return True

    def until(self, mark, limit=1 << 20):
        """Bytes up to and with the mark; None when the stream ends before the first of them."""
        start = 0
        while True:
            found = self.buffer.find(mark, start)
            if found >= 0:
                data = bytes(self.buffer[: found + len(mark)])
                del self.buffer[: found + len(mark)]
                return data
            if len(self.buffer) > limit:
                raise Malformed("too much before the end of a line or head")
            start = max(0, len(self.buffer) - len(mark) + 1)
            if not self.fill():
                if not self.buffer:
                    return None
                raise Short(f"ended inside {bytes(self.buffer[:200])!r}")

    def exactly(self, size):
        parts = []
        missing = size
        while missing:
            if not self.buffer and not self.fill():
                raise Short(f"ended with {missing} of {size} bytes missing")
            part = bytes(self.buffer[:missing])
            del self.buffer[: len(part)]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def rest(self):
        while self.fill():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data


def read_chunked(reader, message, on_chunk=None):
    parts = []
    while True:
        line = reader.until(b"\r\n")
        if line is None:
            raise Short("ended before a chunk")
        match = CHUNK_LINE.match(line[:-2])
        if not match:
            raise Malformed(f"chunk line {line!r}")  # weir never writes extensions
        size = int(match.group(1), 16)
        if size == 0:
            break
        data = reader.exactly(size)
        parts.append(data)
        message.body = b"".join(parts) if on_chunk else message.body
        if on_chunk:
            on_chunk(data)
        if reader.exactly(2) != b"\r\n":
            raise Malformed("chunk without CRLF after its data")
    trailers = []
    while True:
        line = reader.until(b"\r\n")
        if line is None:
            raise Short("ended inside the trailers")
        if line == b"\r\n":
            break
        trailers.append(line[:-2])
    message.trailers = parse_fields(trailers, "trailer")
    message.body = b"".join(parts)


def read_request_head(reader):
    """None at the end of the connection."""
    head = reader.until(b"\r\n\r\n")
    if head is None:
        return None
    lines = split_head(head)
    match = REQUEST_LINE.match(lines[0])
    if not match:
        raise Malformed(f"request line {lines[0]!r}")
    request = Request()
    request.method = match.group(1).decode()
    request.target = match.group(2).decode()
    request.version = int(match.group(3))
    request.fields = parse_fields(lines[1:])
    if request.version == 1 and len(request.all("host")) != 1:
        raise Malformed(f"host {request.all('host')}")
    if decide_coding(request):
        request.framing = "chunked"
    else:
        length = single_length(request)
        request.framing = "none" if length is None else "length"
    return request


def read_request_body(reader, request):
    if request.framing == "chunked":
        read_chunked(reader, request)
    elif request.framing == "length":
        request.body = reader.exactly(single_length(request))
    request.complete = True


def read_response_head(reader):
    head = reader.until(b"\r\n\r\n")
    if head is None:
        raise Short("closed without a response")
    lines = split_head(head)
    match = STATUS_LINE.match(lines[0])
    if not match:
        raise Malformed(f"status line {lines[0]!r}")
    response = Response()
    response.version = int(match.group(1))
    response.status = int(match.group(2))
    response.reason = match.group(3).decode("latin-1")
    response.fields = parse_fields(lines[1:])
    return response


def response_framing(response, method):
    chunked = decide_coding(response)
    length = single_length(response)
    if response.status < 200 or response.status == 204:
        if chunked or length is not None:
            raise Malformed(f"framing in a {response.status}")
        return "none"
    if method == "HEAD" or response.status == 304:
        return "none"
    if chunked:
        return "chunked"
    return "close" if length is None else "length"


def read_response(reader, method="GET", on_chunk=None):
    """The final response with its body; interim ones before it are kept in .interim."""
    interim = []
    while True:
        response = read_response_head(reader)
        response.framing = response_framing(response, method)
        if response.status >= 200 or response.status == 101:
            break
        interim.append(response)
    response.interim = interim
    if response.framing == "chunked":
        read_chunked(reader, response, on_chunk)
    elif response.framing == "length":
        response.body = reader.exactly(single_length(response))
    elif response.framing == "close":
        response.body = reader.rest()
    response.complete = True
    return response
