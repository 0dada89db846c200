# SPDX-License-Identifier: Apache-2.0
"""Fibers have run out where something is to be said on a connection of HTTP/2, a client's or a
server's: that connection ends, and nothing else does."""
import threading

from h2 import Client
from h2_origin import H2Origin
from origin import reply
from weir import Weir

MAX = 16
SLOW = """fibers_max %d
timeouts h2_keepalive=600s
site * {
    listen @listen
    route /slow {
        proxy @slow first_byte_timeout=120s
    }
    proxy @app idle_timeout=60s first_byte_timeout=60s
}
""" % MAX
OVER_H2 = SLOW.replace("site *", "upstream app {\n http 2\n server @app\n}\nsite *").replace(
    "proxy @app", "proxy app")


class House:
    """Requests that wait hold every fiber that is left."""

    def __init__(self, weir, slow):
        self.go = threading.Event()
        slow.on("/slow", lambda *both: (self.go.wait(90), reply(200, b"late")(*both)))
        self.weir = weir
        self.clients = [weir.connect() for _ in range(2 * MAX)]
        for client in self.clients:
            client.request("/slow")
        assert weir.wait_line("fibers_max")

    def leave(self):
        self.go.set()
        assert {client.response().status for client in self.clients} == {200, 503}
        for client in self.clients:
            client.close()
        assert self.weir.ask("/slow").status == 200


def test_an_answer_is_cut_off(origin):
    """The last stream of a client's connection is to be reset."""
    cut = threading.Event()

    def script(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")
        cut.wait(90)
        connection.close()
    origin.on("/cut", script)
    with Weir(SLOW, app=origin, slow=origin) as weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = client.request(path="/cut")
        assert client.until(lambda: client.stream(number).body == b"begun")
        house = House(weir, origin)
        cut.set()
        client.until(lambda: client.stream(number).reset is not None)  # or the connection's end
        house.leave()


def test_a_call_is_given_up(origin):
    """The last stream of a server's connection is to be reset."""
    asked, gone = threading.Event(), threading.Event()

    def script(peer):
        peer.start()
        peer.next_request()
        asked.set()
        peer.until(lambda: False)  # to the connection's end
        gone.set()
    with H2Origin(script) as app, Weir(OVER_H2, app=app, slow=origin) as weir:
        client = weir.connect()
        client.request("/gone")
        assert asked.wait(60)
        house = House(weir, origin)
        client.close()
        assert gone.wait(60)
        house.leave()
