# SPDX-License-Identifier: Apache-2.0
"""The ordinary application under uvicorn."""
import asyncio
import hashlib
import json
from urllib.parse import parse_qs

PIECE = bytes(range(256)) * 256


async def respond(send, fields, body=b"", more=False):
    await send({"type": "http.response.start", "status": 200,
                "headers": [(a.encode(), b.encode()) for a, b in fields]})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/upload":
        digest, size, more = hashlib.sha256(), 0, True
        while more:
            event = await receive()
            digest.update(event.get("body", b""))
            size += len(event.get("body", b""))
            more = event.get("more_body", False)
        await respond(send, [], json.dumps({"size": size, "sha256": digest.hexdigest()}).encode())
    elif scope["path"] == "/download":
        size = int(parse_qs(scope["query_string"].decode())["size"][0])
        await respond(send, [("Content-Length", str(size))], more=True)
        for at in range(0, size, len(PIECE)):
            await send({"type": "http.response.body", "body": PIECE[:min(len(PIECE), size - at)],
                        "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    elif scope["path"] == "/events":
        await respond(send, [("Content-Type", "text/event-stream")], more=True)
        for number in range(5):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number,
                        "more_body": True})
            await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        fields = dict(scope["headers"])
        body = b"<h1>uvicorn</h1>" + fields[b"x-forwarded-for"] + b" " + fields[b"host"]
        await respond(send, [("Content-Type", "text/html")], body)
