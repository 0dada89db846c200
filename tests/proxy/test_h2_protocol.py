# SPDX-License-Identifier: Apache-2.0
"""Every MUST of RFC 9113 §§3–8 and of HPACK that a server can violate, frame by frame. A case sends
frames and says what has to come of it:

    answer(status)      the stream is answered
    stream(code…)       the stream is reset with one of these errors; the connection lives
    connection(code…)   GOAWAY with one of these errors (or nothing but a close), and the end
    later               the next request ends the connection with this error
    ignored             nothing comes of it: the connection lives"""
import struct
import time

import pytest

import hpack
from h2 import (ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM,
                ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, PADDED,
                PING, PREFACE, PRIORITY, PRIORITY_FLAG, PRIORITY_UPDATE, PROTOCOL_ERROR, PUSH,
                REFUSED_STREAM, RST, SETTINGS, STREAM_CLOSED, WINDOW, Client, data, frame, headers,
                request_fields, rst, settings, window)
from origin import Origin, echo, reply
from weir import SITE, Weir


@pytest.fixture(scope="module")
def pair():
    with Origin(script=echo) as origin, Weir(SITE, app=origin) as weir:
        origin.on("/big", reply(200, b"b" * 300000))

        def slow(request, connection):
            time.sleep(1)
            echo(request, connection)
        origin.on("/slow", slow)
        yield origin, weir


def answer(status=200):
    return "answer", status


def stream(*codes):
    return "stream", codes or (PROTOCOL_ERROR,)


def connection(*codes):
    return "connection", codes or (PROTOCOL_ERROR,)


ignored = ("ignored", None)
BLOCK = hpack.encode(request_fields())


def fields(*extra, **rest):
    return request_fields(extra=extra, **rest)


def split(block, *sizes):
    """HEADERS and CONTINUATIONs of a block."""
    out, at = [], 0
    parts = []
    for size in sizes:
        parts.append(block[at:at + size])
        at += size
    parts.append(block[at:])
    for i, part in enumerate(parts):
        last = END_HEADERS if i == len(parts) - 1 else 0
        kind = HEADERS if i == 0 else CONTINUATION
        out.append(frame(kind, last | (END_STREAM if i == 0 else 0), 1, part))
    return b"".join(out)


def pseudo(*pairs):
    return hpack.encode(pairs)


M, S, P, A = (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "app.test")
OPEN = headers(1, method="POST", end=False)

CASES = {
    # §3.4: the preface
    "3.4 a wrong preface": ("raw", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings(), connection()),
    "3.4 no settings first": ("raw", PREFACE + frame(PING, 0, 0, bytes(8)), connection()),
    "3.4 an ack of settings first": ("raw", PREFACE + frame(SETTINGS, ACK), connection()),
    "3.4 a request first": ("raw", PREFACE + headers(1), connection()),
    # §4.1: frames
    "4.1 unknown frame type": (frame(0xfa, 0, 0, b"xyz") + headers(1), answer()),
    "4.1 unknown frame type on a stream": (OPEN + frame(0xfa, 255, 1, b"xyz") + data(1, b"a", True),
                                           answer()),
    "4.1 undefined flags": (frame(PING, 0xfe, 0, bytes(8)) + headers(1), answer()),
    "4.1 undefined flags of headers": (frame(HEADERS, 0xd7, 1, BLOCK), answer()),
    "4.1 undefined flags of data": (OPEN + frame(DATA, 0xf7, 1, b"a"), answer()),
    "4.1 undefined flags of settings": (frame(SETTINGS, 0xfe, 0, b"") + headers(1), answer()),
    "4.1 undefined flags of a window update": (frame(WINDOW, 0xff, 0, bytes(3) + b"\x05") +
                                               headers(1), answer()),
    "4.1 reserved bit of the stream": (frame(HEADERS, 5, 1 | 1 << 31, BLOCK), answer()),
    # §4.2: sizes
    "4.2 data of the largest size": (OPEN + data(1, bytes(16384), True), answer()),
    "4.2 data too large": (OPEN + data(1, bytes(16385), True), connection(FRAME_SIZE_ERROR)),
    "4.2 headers too large": (headers(1, hpack.encode(fields(("x-a", "a" * 16384)))),
                              connection(FRAME_SIZE_ERROR)),
    "4.2 settings too large": (frame(SETTINGS, 0, 0, bytes(16386)), connection(FRAME_SIZE_ERROR)),
    "4.2 ping too short": (frame(PING, 0, 0, bytes(7)), connection(FRAME_SIZE_ERROR)),
    "4.2 ping too long": (frame(PING, 0, 0, bytes(9)), connection(FRAME_SIZE_ERROR)),
    "4.2 window update too short": (frame(WINDOW, 0, 0, bytes(3)), connection(FRAME_SIZE_ERROR)),
    "4.2 reset too long": (OPEN + frame(RST, 0, 1, bytes(5)), connection(FRAME_SIZE_ERROR)),
    "4.2 goaway too short": (frame(GOAWAY, 0, 0, bytes(7)), connection(FRAME_SIZE_ERROR)),
    "4.2 window update too long": (frame(WINDOW, 0, 0, bytes(3) + b"\x01\x01"),
                                   connection(FRAME_SIZE_ERROR)),
    "4.2 reset too short": (OPEN + frame(RST, 0, 1, bytes(3)), connection(FRAME_SIZE_ERROR)),
    "4.2 a continuation too large": (frame(HEADERS, 1, 1, BLOCK[:9]) +
                                     frame(CONTINUATION, END_HEADERS, 1, bytes(16385)),
                                     connection(FRAME_SIZE_ERROR)),
    "4.2 an unknown frame too large": (frame(0xfa, 0, 0, bytes(16385)),
                                       connection(FRAME_SIZE_ERROR)),
    "4.2 headers too short for a priority": (frame(HEADERS, 0x25, 1, bytes(4)),
                                             connection(FRAME_SIZE_ERROR)),
    "4.2 headers too short for padding": (frame(HEADERS, 0x0d, 1), connection(FRAME_SIZE_ERROR,
                                                                             PROTOCOL_ERROR)),
    # §4.3: header compression
    "4.3 an index of nothing": (headers(1, BLOCK + b"\xff\x80\x01"), connection(COMPRESSION_ERROR)),
    "4.3 index zero": (headers(1, BLOCK + b"\x80"), connection(COMPRESSION_ERROR)),
    "4.3 a block that breaks off": (headers(1, BLOCK + b"\x00\x05ab"),
                                    connection(COMPRESSION_ERROR)),
    "4.3 an endless integer": (headers(1, BLOCK + b"\x7f" + b"\xff" * 12 + b"\x01"),
                               connection(COMPRESSION_ERROR)),
    "4.3 a table size above the setting": (headers(1, hpack.integer(4097, 5, 0x20) + BLOCK),
                                           connection(COMPRESSION_ERROR)),
    "4.3 a table size in the middle": (headers(1, BLOCK + hpack.integer(100, 5, 0x20)),
                                       connection(COMPRESSION_ERROR)),
    "4.3 a table size at the start": (headers(1, hpack.integer(4096, 5, 0x20) + BLOCK), answer()),
    "4.3 huffman padded with zeros": (headers(1, BLOCK + b"\x00\x01a\x81\x00"),
                                      connection(COMPRESSION_ERROR)),
    "4.3 huffman padded too long": (headers(1, BLOCK + b"\x00\x01a\x82\x1f\xff"),
                                    connection(COMPRESSION_ERROR)),
    "4.3 huffman with its end mark": (headers(1, BLOCK + b"\x00\x01a\x84\xff\xff\xff\xff"),
                                      connection(COMPRESSION_ERROR)),
    "4.3 all huffman": (headers(1, hpack.encode(fields(("x-a", "b")), coded=True)), answer()),
    "4.3 indexed on the way": (headers(1, hpack.encode(fields(("x-a", "b")), first=0x40)) +
                               headers(3, b"\xc2\xc1\xc0\xbf\xbe"), answer()),
    "4.3 never indexed": (headers(1, hpack.encode(fields(("x-a", "b")), first=0x10)), answer()),
    # The blocks of requests that come to nothing are a part of the state all the same.
    "4.3 the block of a request that is wrong": (
        headers(1, hpack.encode(fields(("X-A", "b")), first=0x40)) +
        headers(3, b"\xc2\xc1\xc0\xbf"), ignored),
    "4.3 trailers of a stream that was reset": (
        OPEN + rst(1) + headers(1, hpack.encode([("x-a", "b")], first=0x40)) +
        headers(3, BLOCK + b"\xbe"), ignored),
    "4.3 an index behind the last one": (
        headers(1, hpack.encode(fields(), first=0x40)) + headers(3, BLOCK + b"\xc2"),
        ("later", COMPRESSION_ERROR)),
    "4.3 an index that a new size has taken away": (
        headers(1, hpack.encode(fields(), first=0x40)) +
        headers(3, hpack.integer(0, 5, 0x20) + BLOCK + b"\xbe"), ("later", COMPRESSION_ERROR)),
    "4.3 a field larger than the table empties it": (
        headers(1, hpack.encode(fields(("x-a", "a" * 4100)), first=0x40)) +
        headers(3, BLOCK + b"\xbe"), ("later", COMPRESSION_ERROR)),
    "4.3 two table sizes at the start": (headers(1, hpack.integer(0, 5, 0x20) +
                                                 hpack.integer(4096, 5, 0x20) + BLOCK), answer()),
    "4.3 a frame within a block": (frame(HEADERS, 1, 1, BLOCK[:9]) + data(1, b""), connection()),
    "4.3 a ping within a block": (frame(HEADERS, 1, 1, BLOCK[:9]) + frame(PING, 0, 0, bytes(8)),
                                  connection()),
    "4.3 another stream's within a block": (frame(HEADERS, 1, 1, BLOCK[:9]) +
                                            frame(CONTINUATION, END_HEADERS, 3, BLOCK[9:]),
                                            connection()),
    # §5.1: states of streams
    "5.1 idle: data": (data(1, b"x", True), connection()),
    "5.1 idle: reset": (rst(1), connection()),
    "5.1 idle: window update": (window(1, 5), connection()),
    "5.1 idle: continuation": (frame(CONTINUATION, END_HEADERS, 1, BLOCK), connection()),
    "5.1 idle: priority": (frame(PRIORITY, 0, 7, bytes(4) + b"\x10") + headers(1), answer()),
    "5.1 half closed: data": (headers(1, path="/slow") + data(1, b"x", True),
                              ("either", (STREAM_CLOSED, PROTOCOL_ERROR))),
    "5.1 half closed: headers": (headers(1, path="/slow") + headers(1),
                                 ("either", (STREAM_CLOSED, PROTOCOL_ERROR))),
    "5.1 half closed: window update": (headers(1) + window(1, 5), answer()),
    "5.1 half closed: priority": (headers(1) + frame(PRIORITY, 0, 1, bytes(4) + b"\x10"),
                                  answer()),
    "5.1 closed by reset: data": (OPEN + rst(1) + data(1, b"x", True) + headers(3), ignored),
    "5.1 closed: reset": (OPEN + rst(1) + rst(1) + headers(3), ignored),
    "5.1 closed: window update": (OPEN + rst(1) + window(1, 5) + headers(3), ignored),
    "5.1 half closed: reset": (headers(1, path="/slow") + rst(1) + headers(3), ignored),
    "5.1 half closed: continuation": (headers(1, path="/slow") +
                                      frame(CONTINUATION, END_HEADERS, 1, b""), connection()),
    # §5.5: extensions
    "5.5 an unknown frame within a block": (frame(HEADERS, 1, 1, BLOCK[:9]) +
                                            frame(0xfa, 0, 1, b"x") +
                                            frame(CONTINUATION, END_HEADERS, 1, BLOCK[9:]),
                                            connection()),
    "5.5 an unknown frame of none within a block": (frame(HEADERS, 1, 1, BLOCK[:9]) +
                                                    frame(0xfa, 0, 0, b"x") +
                                                    frame(CONTINUATION, END_HEADERS, 1, BLOCK[9:]),
                                                    connection()),
    # §5.1.1: numbers of streams
    "5.1.1 an even number": (headers(2), connection()),
    "5.1.1 stream zero": (headers(0), connection()),
    "5.1.1 a number that goes back": (headers(5) + headers(3), ("either", (PROTOCOL_ERROR,
                                                                          STREAM_CLOSED))),
    "5.1.1 numbers may be left out": (headers(1) + headers(9), answer()),
    # §5.3 (RFC 9218)
    "5.3 depends on itself": (frame(HEADERS, 0x25, 1, struct.pack(">IB", 1, 15) + BLOCK),
                              ("any", None)),
    "5.3 priority in headers": (frame(HEADERS, 0x25, 1, struct.pack(">IB", 0, 15) + BLOCK),
                                answer()),
    "5.3 priority too short": (frame(PRIORITY, 0, 1, bytes(4)) + headers(3),
                               ("either", (FRAME_SIZE_ERROR,))),
    "5.3 priority too long": (frame(PRIORITY, 0, 1, bytes(6)) + headers(3),
                              ("either", (FRAME_SIZE_ERROR,))),
    "5.3 priority on stream zero": (frame(PRIORITY, 0, 0, bytes(5)), connection()),
    "9218 an update of a priority": (headers(1) + frame(PRIORITY_UPDATE, 0, 0,
                                                        struct.pack(">I", 1) + b"u=1"), answer()),
    "9218 an update on a stream": (headers(1, path="/slow") +
                                   frame(PRIORITY_UPDATE, 0, 1, struct.pack(">I", 1) + b"u=1"),
                                   connection()),
    "9218 an update of stream zero": (frame(PRIORITY_UPDATE, 0, 0, bytes(4) + b"u=1"),
                                      connection()),
    "9218 an update before its stream": (frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1")
                                         + headers(1), answer()),
    "9218 an update of a stream that never comes": (
        frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 3) + b"u=1") + headers(1), answer()),
    "9218 an update of ours": (frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 2) + b"u=1"),
                               connection()),
    "9218 an update that is too short": (frame(PRIORITY_UPDATE, 0, 0, bytes(3)),
                                         connection(FRAME_SIZE_ERROR)),
    "9218 an update that is long": (headers(1) + frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1)
                                                       + b"u=1," * 1000 + b"i"), answer()),
    "9218 nonsense": (headers(1) + frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"((("),
                      ("any", None)),
    # §6.1: DATA
    "6.1 data on stream zero": (frame(DATA, 0, 0, b"x"), connection()),
    "6.1 padding": (OPEN + frame(DATA, 9, 1, b"\x04abc" + bytes(4)), answer()),
    "6.1 padding as long as the frame": (OPEN + frame(DATA, 9, 1, b"\x04" + bytes(3)),
                                         connection()),
    "6.1 padding of nothing": (OPEN + frame(DATA, 9, 1, b""), connection(PROTOCOL_ERROR,
                                                                         FRAME_SIZE_ERROR)),
    "6.1 only padding": (OPEN + frame(DATA, 9, 1, b"\x03" + bytes(3)), answer()),
    "6.1 padding that is not zero": (OPEN + frame(DATA, 9, 1, b"\x04abc" + b"\1\2\3\4"),
                                     ("any", None)),
    "6.1 more padding than there is frame": (OPEN + frame(DATA, 9, 1, b"\xffabc"), connection()),
    # §6.2: HEADERS
    "6.2 padding": (frame(HEADERS, 0x0d, 1, b"\x02" + BLOCK + bytes(2)), answer()),
    "6.2 too much padding": (frame(HEADERS, 0x0d, 1, b"\xff" + BLOCK), connection()),
    "6.2 in many pieces": (split(BLOCK, 1, 1, 5, 2), answer()),
    # §6.4: RST_STREAM
    "6.4 reset of stream zero": (frame(RST, 0, 0, bytes(4)), connection()),
    "7 a code that nobody knows": (OPEN + rst(1, 0xdeadbeef) + headers(3), ignored),
    # §6.5: SETTINGS
    "6.5 an ack with payload": (frame(SETTINGS, ACK, 0, bytes(6)), connection(FRAME_SIZE_ERROR)),
    "6.5 on a stream": (frame(SETTINGS, 0, 1), connection()),
    "6.5 not a multiple of six": (frame(SETTINGS, 0, 0, bytes(5)), connection(FRAME_SIZE_ERROR)),
    "6.5.2 push neither 0 nor 1": (settings((2, 2)), connection()),
    "6.5.2 window too large": (settings((4, 1 << 31)), connection(FLOW_CONTROL_ERROR)),
    "6.5.2 window of the largest size": (settings((4, (1 << 31) - 1)) + headers(1), answer()),
    "6.5.2 frame size too small": (settings((5, 16383)), connection()),
    "6.5.2 frame size too large": (settings((5, 1 << 24)), connection()),
    "6.5.2 an unknown setting": (settings((0xff, 5)) + headers(1), answer()),
    "6.5.2 a table of no size": (settings((1, 0)) + headers(1), answer()),
    "6.5.2 a table of great size": (settings((1, 0xffffffff)) + headers(1), answer()),
    "6.5.2 push of one": (settings((2, 1)) + headers(1), answer()),
    "6.5.2 no streams of ours": (settings((3, 0)) + headers(1), answer()),
    "6.5.2 a list of no size": (settings((6, 0)) + headers(1), answer()),
    "6.5.3 the last of two values": (settings((4, 0), (4, 65535)) + headers(1), answer()),
    "9218 no priorities neither 0 nor 1": (settings((9, 2)), connection()),
    "6.5.2 connect protocol neither 0 nor 1": (settings((8, 2)), connection()),
    # §6.6: PUSH_PROMISE
    "6.6 a push of a client": (headers(1, path="/slow") +
                               frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + BLOCK),
                               connection()),
    "6.6 a push on stream zero": (frame(PUSH, END_HEADERS, 0, struct.pack(">I", 2) + BLOCK),
                                  connection()),
    "6.6 a push on no stream": (frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2) + BLOCK),
                                connection()),
    # §6.7: PING
    "6.7 a ping on a stream": (frame(PING, 0, 1, bytes(8)), connection()),
    "6.7 an answer to no ping": (frame(PING, ACK, 0, bytes(8)) + headers(1), answer()),
    # §6.8: GOAWAY
    "6.8 goaway on a stream": (frame(GOAWAY, 0, 1, bytes(8)), connection()),
    # §6.9: WINDOW_UPDATE
    "6.9 an update by nothing": (window(0, 0), connection()),
    "6.9 an update of a stream by nothing": (OPEN + window(1, 0), ("either", (PROTOCOL_ERROR,))),
    "6.9 the reserved bit of an update": (window(0, 1 << 31 | 5) + headers(1), answer()),
    "6.9 an update by the reserved bit alone": (window(0, 1 << 31), connection()),
    "6.9.1 a window too large": (window(0, (1 << 31) - 1), connection(FLOW_CONTROL_ERROR)),
    "6.9.1 a stream's window too large": (headers(1, path="/slow") + window(1, (1 << 31) - 1),
                                          stream(FLOW_CONTROL_ERROR)),
    "6.9.2 a setting that overflows a window": (
        OPEN + window(1, (1 << 31) - 1 - 65535) + settings((4, 65536)),
        connection(FLOW_CONTROL_ERROR)),
    # §6.10: CONTINUATION
    "6.10 on stream zero": (frame(HEADERS, 1, 1, BLOCK[:9]) +
                            frame(CONTINUATION, END_HEADERS, 0, BLOCK[9:]), connection()),
    "6.10 after the end of headers": (headers(1, path="/slow") +
                                      frame(CONTINUATION, END_HEADERS, 1, BLOCK), connection()),
    "6.10 after data": (OPEN + data(1, b"x") + frame(CONTINUATION, END_HEADERS, 1, BLOCK),
                        connection()),
    "6.10 as many as may be": (split(BLOCK, 2, 2, 2, 2, 2, 2, 2, 2), answer()),
    "6.10 too many": (split(BLOCK, *[1] * 12), connection(ENHANCE_YOUR_CALM)),
    # §8.1: messages
    "8.1 trailers": (OPEN + data(1, b"x") + headers(1, hpack.encode([("x-sum", "1")])), answer()),
    "8.1 trailers that do not end the stream": (
        OPEN + data(1, b"x") + headers(1, hpack.encode([("x-sum", "1")]), end=False), stream()),
    "8.1 a second head": (OPEN + headers(1, method="POST", end=False), stream()),
    "8.1 data behind trailers": (
        headers(1, method="POST", path="/slow", end=False) + data(1, b"x") +
        headers(1, hpack.encode([("x-sum", "1")])) + data(1, b"x", True),
        ("either", (STREAM_CLOSED, PROTOCOL_ERROR))),
    "8.1 headers behind trailers": (
        headers(1, method="POST", path="/slow", end=False) + data(1, b"x") +
        2 * headers(1, hpack.encode([("x-sum", "1")])),
        ("either", (STREAM_CLOSED, PROTOCOL_ERROR))),
    "8.1 pseudo-fields in trailers": (OPEN + data(1, b"x") + headers(1, pseudo(P)), stream()),
    "8.1 content-length in trailers": (
        OPEN + data(1, b"x") + headers(1, hpack.encode([("content-length", "1")])), stream()),
    "8.1.1 content-length too small": (
        headers(1, fields(("content-length", "1"), method="POST"), end=False) +
        data(1, b"xx", True), stream()),
    "8.1.1 content-length too large": (
        headers(1, fields(("content-length", "3"), method="POST"), end=False) +
        data(1, b"xx", True), stream()),
    "8.1.1 a content-length without a body": (
        headers(1, fields(("content-length", "1"), method="POST")), stream()),
    "8.1.1 a content-length in words": (
        headers(1, fields(("content-length", "x"), method="POST")), ("refused", None)),
    # §8.2: fields
    "8.2.1 upper case": (headers(1, fields(("X-A", "b"))), stream()),
    "8.2.1 an empty name": (headers(1, fields(("", "b"))), stream()),
    "8.2.1 a colon in a name": (headers(1, fields(("x:a", "b"))), stream()),
    "8.2.1 a blank in a name": (headers(1, fields(("x a", "b"))), stream()),
    "8.2.1 NUL in a value": (headers(1, fields(("x-a", "b\0c"))), stream()),
    "8.2.1 CR in a value": (headers(1, fields(("x-a", "b\rc"))), stream()),
    "8.2.1 LF in a value": (headers(1, fields(("x-a", "b\nc"))), stream()),
    "8.2.1 a blank before a value": (headers(1, fields(("x-a", " b"))), stream()),
    "8.2.1 a tab behind a value": (headers(1, fields(("x-a", "b\t"))), stream()),
    "8.2.2 connection": (headers(1, fields(("connection", "keep-alive"))), stream()),
    "8.2.2 keep-alive": (headers(1, fields(("keep-alive", "timeout=5"))), stream()),
    "8.2.2 proxy-connection": (headers(1, fields(("proxy-connection", "close"))), stream()),
    "8.2.2 transfer-encoding": (headers(1, fields(("transfer-encoding", "chunked"))), stream()),
    "8.2.2 upgrade": (headers(1, fields(("upgrade", "h2c"))), stream()),
    "8.2.2 te of something": (headers(1, fields(("te", "gzip"))), stream()),
    "8.2.2 te of trailers and more": (headers(1, fields(("te", "trailers, gzip"))), stream()),
    "8.2.2 te of trailers": (headers(1, fields(("te", "trailers"))), answer()),
    "8.2.3 cookie in crumbs": (headers(1, fields(("cookie", "a=b"), ("cookie", "c=d"))), answer()),
    # §8.3: pseudo-fields
    "8.3 an unknown one": (headers(1, pseudo(M, S, P, A, (":x", "y"))), stream()),
    "8.3 one of responses": (headers(1, pseudo(M, S, P, A, (":status", "200"))), stream()),
    "8.3 behind a field": (headers(1, pseudo(M, S, P, ("x-a", "b"), A)), stream()),
    "8.3.1 no method": (headers(1, pseudo(S, P, A)), stream()),
    "8.3.1 no scheme": (headers(1, pseudo(M, P, A)), stream()),
    "8.3.1 no path": (headers(1, pseudo(M, S, A)), stream()),
    "8.3.1 an empty path": (headers(1, pseudo(M, S, (":path", ""), A)), stream()),
    "8.3.1 a path without slash": (headers(1, path="x"), stream()),
    "8.3.1 a path with a fragment": (headers(1, path="/#a"), stream()),
    "8.3.1 a path with a blank": (headers(1, path="/a b"), stream()),
    "8.3.1 an asterisk of GET": (headers(1, path="*"), stream()),
    "8.3.1 an asterisk of OPTIONS": (headers(1, path="*", method="OPTIONS"), answer()),
    "8.3.1 method twice": (headers(1, pseudo(M, M, S, P, A)), stream()),
    "8.3.1 scheme twice": (headers(1, pseudo(M, S, S, P, A)), stream()),
    "8.3.1 path twice": (headers(1, pseudo(M, S, P, P, A)), stream()),
    "8.3.1 authority twice": (headers(1, pseudo(M, S, P, A, A)), stream()),
    "8.3.1 an empty method": (headers(1, method=""), stream()),
    "8.3.1 a method with a blank": (headers(1, method="GET /"), stream()),
    "8.3.1 the other scheme": (headers(1, scheme="https"), answer(421)),
    "8.3.1 a scheme that is none": (headers(1, scheme="http://evil"), ("refused", None)),
    "8.3.1 user in authority": (headers(1, authority="a@app.test"), ("refused", None)),
    "8.3.1 a list in authority": (headers(1, authority="app.test,b"), ("refused", None)),
    "8.3.1 no authority, no host": (headers(1, pseudo(M, S, P)), ("refused", None)),
    "8.3.1 an empty authority": (headers(1, authority=""), ("refused", None)),
    "8.3.1 no authority, an empty host": (headers(1, pseudo(M, S, P, ("host", ""))),
                                          ("refused", None)),
    "8.3.1 an empty scheme": (headers(1, scheme=""), ("refused", None)),
    "8.3.1 a path with a host": (headers(1, path="http://app.test/"), stream()),
    "8.3.1 an asterisk and more": (headers(1, path="*/", method="OPTIONS"), stream()),
    "8.3.1 host alone": (headers(1, pseudo(M, S, P, ("host", "app.test"))), answer()),
    "8.3.1 host as authority": (headers(1, fields(("host", "app.test"))), answer()),
    "8.3.1 host as authority, port written": (headers(1, fields(("host", "APP.test:80"))),
                                              answer()),
    "8.3.1 host unlike authority": (headers(1, fields(("host", "other.test"))), answer(400)),
    "8.3.1 host twice": (headers(1, pseudo(M, S, P, ("host", "app.test"), ("host", "app.test"))),
                         ("refused", None)),
    # §8.5
    "8.5 connect": (headers(1, pseudo((":method", "CONNECT"), A), end=False), answer(405)),
    "8.5 connect with a path": (headers(1, pseudo((":method", "CONNECT"), A, P), end=False),
                                stream()),
    "8.5 connect with a scheme": (headers(1, pseudo((":method", "CONNECT"), A, S), end=False),
                                  stream()),
    "8.5 connect without authority": (headers(1, pseudo((":method", "CONNECT")), end=False),
                                      ("refused", None)),
    "8441 protocol without a path": (
        headers(1, pseudo((":method", "CONNECT"), S, A, (":protocol", "websocket")), end=False),
        stream()),
    "8441 protocol without a scheme": (
        headers(1, pseudo((":method", "CONNECT"), P, A, (":protocol", "websocket")), end=False),
        stream()),
    "8441 protocol twice": (
        headers(1, pseudo((":method", "CONNECT"), S, P, A, (":protocol", "websocket"),
                          (":protocol", "websocket")), end=False), stream()),
    "8441 a protocol that nobody knows": (
        headers(1, pseudo((":method", "CONNECT"), S, P, A, (":protocol", "x")), end=False),
        answer(501)),
    "8441 a protocol of nothing": (
        headers(1, pseudo((":method", "CONNECT"), S, P, A, (":protocol", "")), end=False), stream()),
    "8441 protocol without connect": (headers(1, pseudo(M, S, P, A, (":protocol", "websocket"))),
                                      stream()),
    "8441 protocol with the stream's end": (
        headers(1, pseudo((":method", "CONNECT"), S, P, A, (":protocol", "websocket"))), stream()),
    "trace": (headers(1, method="TRACE"), answer(405)),
    "an odd name": (headers(1, fields(("x_a", "b"))), answer(400)),
    "an expectation": (headers(1, fields(("expect", "magic"))), answer(417)),
}


def judge(client, expected):
    kind, what = expected
    one = client.stream(1)
    if kind == "answer":
        client.response(1)
        assert one.status == what and one.is_ended, client.frames
        assert client.lives()
    elif kind in ("stream", "refused"):
        client.response(1)
        if kind == "refused" and one.reset is None:
            assert 400 <= one.status < 500, client.frames
        else:
            assert one.reset in (what or (PROTOCOL_ERROR,)), client.frames
            assert not one.heads
        assert client.lives()
    elif kind == "connection":
        client.until(lambda: client.is_closed)
        assert client.is_closed
        if client.goaway is not None:
            assert client.goaway.code in what, client.frames
    elif kind == "either":
        client.until(lambda: client.is_closed or one.reset is not None or
                     client.goaway is not None)
        code = one.reset if one.reset is not None else client.goaway and client.goaway.code
        assert code in what, client.frames
    elif kind == "later":  # the second request, after an answer or before
        client.until(lambda: client.is_closed)
        assert client.is_closed and not client.stream(3).heads
        assert client.goaway is None or client.goaway.code == what, client.frames
    elif kind == "ignored":
        assert client.response(3).status == 200, client.frames
        assert client.lives()
    else:
        client.until(lambda: client.is_closed or one.reset is not None or one.is_ended)
        assert client.is_closed or one.reset is not None or one.is_ended


@pytest.mark.parametrize("name", CASES)
def test_rule(pair, name):
    origin, weir = pair
    case = CASES[name]
    raw = case[0] == "raw"
    frames, expected = case[1:] if raw else case
    for way in ("whole", "bytes"):
        if way == "bytes" and len(frames) > 600:
            continue
        with Client(weir.port, preface=not raw) as client:
            if not raw:  # its settings first, or they would be in the way
                client.until(lambda: client.peer)
            if way == "whole":
                client.send(frames)
            else:
                for at in range(len(frames)):
                    client.send(frames[at:at + 1])
            judge(client, expected)
    if not raw:
        with Client(weir.port) as client:
            assert client.ask().status == 200


def test_what_a_server_says_first(pair):
    _, weir = pair
    with Client(weir.port) as client:
        first = client.read()
        assert first.kind == SETTINGS and not first.flags & ACK
        assert client.peer[3] == 100 and client.peer[4] == 65536
        assert client.peer[8] == 1 and client.peer[9] == 1
        assert client.until(lambda: any(f.kind == SETTINGS and f.flags & ACK
                                        for f in client.frames))


def test_what_is_sent_keeps_the_peers_frame_size_and_windows(pair):
    _, weir = pair
    with Client(weir.port, options=[(4, 1000)], window=0) as client:
        number = client.request(path="/big")
        one = client.stream(number)
        client.until(lambda: len(one.body) >= 1000)
        assert not client.until(lambda: len(one.body) > 1000, 0.3)
        client.send(window(number, 400000))
        client.until(lambda: len(one.body) >= 65535)
        assert not client.until(lambda: len(one.body) > 65535, 0.3)
        client.send(window(0, 400000))
        client.response(number)
        assert len(one.body) == 300000 and one.is_ended
        assert max(len(f.payload) for f in client.frames) <= 16384


def test_a_smaller_window_may_become_negative(pair):
    _, weir = pair
    with Client(weir.port, window=0) as client:
        number = client.request(path="/big")
        one = client.stream(number)
        client.until(lambda: len(one.body) >= 65535)
        client.send(settings((4, 100)), window(0, 400000), window(number, 65435 + 0))
        assert not client.until(lambda: len(one.body) > 65535, 0.3)
        client.send(window(number, 50))
        client.until(lambda: len(one.body) >= 65585)
        assert not client.until(lambda: len(one.body) > 65585, 0.3)


def test_the_101st_stream_is_refused(pair):
    origin, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        held = [client.request(end=False, method="POST") for _ in range(100)]
        over = client.request()
        assert client.response(over).reset == REFUSED_STREAM
        for number in held:
            client.send(data(number, b"x", end=True))
        assert all(client.response(number).status == 200 for number in held)
        assert client.ask().status == 200


def windows(client, seen):
    """What the frames since then have added: to a stream's window, and to the connection's."""
    steps = [(got.stream, int.from_bytes(got.payload, "big"))
             for got in client.frames[seen:] if got.kind == WINDOW]
    return sum(step for stream, step in steps if stream), sum(step for stream, step in steps if not stream)


def test_the_window_opens_as_the_body_is_read(pair):
    origin, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        body = bytes(range(256)) * 1000
        number = client.request(end=False, method="POST")
        sent, room, whole = 0, 65536, 65535
        seen = 0
        while sent < len(body):
            part = min(len(body) - sent, 16384, room, whole)
            if part:
                client.send(data(number, body[sent:sent + part]))
                sent, room, whole = sent + part, room - part, whole - part
                continue
            client.read()
            more, more_of_all = windows(client, seen)
            room, whole = room + more, whole + more_of_all
            seen = len(client.frames)
        client.send(data(number, b"", end=True))
        assert client.response(number).body == body


def test_goaway_of_the_client_lets_streams_end(pair):
    _, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = client.request(path="/big")
        client.send(frame(GOAWAY, 0, 0, bytes(8)))
        assert len(client.response(number).body) == 300000


def test_rst_ends_the_request_at_the_server(pair):
    origin, weir = pair
    before = len(origin.connections)
    with Client(weir.port) as client:
        number = client.request(end=False, method="POST", path="/held")
        client.send(data(number, b"x" * 10))
        origin.wait(lambda: any(b"/held" in c.received for c in origin.connections))
        client.send(rst(number, CANCEL))
        held = next(c for c in origin.connections if b"/held" in c.received)
        origin.wait(lambda: held.ended is not None)
        assert client.lives()
    assert before >= 0


def test_a_reset_is_not_answered_with_a_reset(pair):
    """Nobody would stop (§5.4.2)."""
    _, weir = pair
    with Client(weir.port) as client:
        for _ in range(20):
            number = client.request(end=False, method="POST")
            client.send(rst(number), rst(number))
        assert client.ask().status == 200 and client.lives()
        assert not [f for f in client.frames if f.kind == RST]


def test_what_comes_for_a_stream_that_weir_has_reset_counts(pair):
    """The bytes belong to the connection's window, which opens again (§5.1, §6.9)."""
    _, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        wrong = client.request(extra=(("content-length", "1"),), method="POST", end=False)
        client.send(data(wrong, b"xx"))
        assert client.response(wrong).reset == PROTOCOL_ERROR
        room, seen, sent = 65535, 0, 0
        while sent < 3 << 20:
            while room >= 16384:
                client.send(data(wrong, bytes(16384)))
                room, sent = room - 16384, sent + 16384
            assert client.until(lambda: len(client.frames) > seen)
            for got in client.frames[seen:]:
                if got.kind == WINDOW and got.stream == 0:
                    room += int.from_bytes(got.payload, "big")
            seen = len(client.frames)
        assert client.lives()


def test_padding_counts_and_is_given_back(pair):
    """More padding than both windows hold goes through, however little there is in it (§6.1)."""
    _, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = client.request(end=False, method="POST")
        room, whole, seen = 65536, 65535, 0
        for _ in range(6000):  # 1.5 MB of it
            while min(room, whole) < 257:
                assert client.until(lambda: len(client.frames) > seen)
                more, more_of_all = windows(client, seen)
                room, whole = room + more, whole + more_of_all
                seen = len(client.frames)
            client.send(frame(DATA, PADDED, number, b"\xffa" + bytes(255)))
            room, whole = room - 257, whole - 257
        client.send(data(number, b"", end=True))
        assert client.response(number).body == b"a" * 6000


def test_a_smaller_table_is_kept_to(pair):
    """The first block after the setting says the new size, and no index goes beyond it."""
    _, weir = pair
    with Client(weir.port) as client:
        assert client.ask().status == 200
        for size in (0, 60, 4096):
            client.send(settings((1, size)))
            acks = len([f for f in client.frames if f.kind == SETTINGS and f.flags & ACK])
            client.until(lambda: len([f for f in client.frames if f.kind == SETTINGS and
                                      f.flags & ACK]) > acks)
            client.decoder.max = size
            if size < 4096:
                client.decoder.limit = None  # whoever does not say it cannot be read
            for _ in range(3):
                assert client.ask().status == 200
            assert client.decoder.limit <= size


def test_goaway_with_a_code_that_nobody_knows(pair):
    _, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = client.request(path="/big")
        client.send(frame(GOAWAY, 0, 0, bytes(4) + b"\xde\xad\xbe\xef" + b"why" * 20))
        assert len(client.response(number).body) == 300000
