# SPDX-License-Identifier: Apache-2.0
"""What servers of tests that need no Origin have in common: who connects gets a thread."""
import socket
import threading


class Listening:
    """Calls self.serve(socket, number) for each connection, on a thread of its own; number counts
    from 0. On 127.0.0.1, or on all of 127.0.0.0/8, and nowhere else."""

    def __init__(self, everywhere=False):
        self.listener = socket.socket()
        if everywhere:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        self.listener.bind(("0.0.0.0" if everywhere else "127.0.0.1", 0))
        self.listener.listen(512)
        self.port, self.count = self.listener.getsockname()[1], 0
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def stop(self):
        """Lets go what waits."""

    def serve(self, connection, number):
        raise NotImplementedError

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, self.count), daemon=True).start()
            self.count += 1

    def _serve(self, connection, number):
        with connection:
            self.serve(connection, number)
