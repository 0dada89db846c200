# SPDX-License-Identifier: Apache-2.0
"""The ordinary application under gunicorn."""
import hashlib
import json
import time
from urllib.parse import parse_qs

PIECE = bytes(range(256)) * 256


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/upload":
        digest, size = hashlib.sha256(), 0
        while True:
            data = environ["wsgi.input"].read(65536)
            if not data:
                break
            digest.update(data)
            size += len(data)
        body = json.dumps({"size": size, "sha256": digest.hexdigest()}).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if path == "/download":
        size = int(parse_qs(environ["QUERY_STRING"])["size"][0])
        start_response("200 OK", [("Content-Length", str(size))])
        return (PIECE[:min(len(PIECE), size - at)] for at in range(0, size, len(PIECE)))
    if path == "/events":
        def events():
            for number in range(5):
                yield b"data: %d\n\n" % number
                time.sleep(0.02)
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return events()
    body = f"<h1>gunicorn</h1>{environ.get('HTTP_X_FORWARDED_FOR')} {environ['HTTP_HOST']}".encode()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
