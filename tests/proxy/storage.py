# SPDX-License-Identifier: Apache-2.0
"""Object storage that speaks as much of S3 as a site needs, and checks the signature of every
request by itself: it shares nothing with weir's own signing."""
import datetime
import hashlib
import hmac
import http.server
import re
import threading
import urllib.parse

KEY_ID, SECRET, REGION = "AKIATESTTESTTEST", "a-secret/with+odd=characters", "eu-test-1"


def sign(secret, date, region, text, service="s3"):
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def canonical_query(query):
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    quote = lambda text: urllib.parse.quote(urllib.parse.unquote(text), safe="-_.~")
    return "&".join(f"{name}={value}" for name, value in sorted(
        (quote(name), quote(value)) for name, value in pairs))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body leave together
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", fields=()):
        self.send_response(status)
        for name, value in [("x-amz-request-id", "R1"), ("x-amz-id-2", "secret-host"), *fields]:
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId>"
                            f"</Error>".encode(), [("Content-Type", "application/xml")])

    def why_not(self, body):
        """None when the signature is right."""
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
                             r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})",
                             self.headers.get("Authorization", ""))
        if not match:
            return "no authorization"
        key_id, date, region, names, signature = match.groups()
        names = names.split(";")
        if key_id != KEY_ID or region != REGION or names != sorted(names):
            return "scope"
        must = {"host"} | {name.lower() for name in self.headers if name.lower().startswith("x-amz-")}
        if not must <= set(names) or any(len(self.headers.get_all(name, [])) != 1 for name in names):
            return "fields"
        now = datetime.datetime.now(datetime.timezone.utc)
        time = self.headers["x-amz-date"]
        said = datetime.datetime.strptime(time, "%Y%m%dT%H%M%S%z")
        if time[:8] != date or abs((now - said).total_seconds()) > 900:
            return "time"
        hashed = self.headers["x-amz-content-sha256"]
        if hashed != "UNSIGNED-PAYLOAD" and hashed != hashlib.sha256(body).hexdigest():
            return "payload"
        path, _, query = self.path.partition("?")
        path = urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/-_.~")
        canonical = "\n".join([
            self.command, path, canonical_query(query),
            *(f"{name}:{' '.join(self.headers[name].split())}" for name in names), "",
            ";".join(names), hashed])
        text = "\n".join(["AWS4-HMAC-SHA256", time, f"{date}/{region}/s3/aws4_request",
                          hashlib.sha256(canonical.encode()).hexdigest()])
        return None if hmac.compare_digest(sign(SECRET, date, region, text), signature) else "signature"

    def handle_one(self):
        storage = self.server.storage
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        storage.seen.append((self.command, self.path, dict(self.headers.items()), body))
        why = self.why_not(body)
        if why is not None:
            storage.refused.append(why)
            return self.refuse(403, "SignatureDoesNotMatch")
        path, _, query = self.path.partition("?")
        key = urllib.parse.unquote(path)
        if self.command == "PUT":
            storage.objects[key] = body
            return self.answer(200, b"", [("ETag", f'"{hashlib.md5(body).hexdigest()}"')])
        if self.command == "DELETE":
            storage.objects.pop(key, None)
            return self.answer(204)
        if self.command == "POST" or query.startswith("list-type"):
            return self.answer(200, b"<List>" + b" ".join(k.encode() for k in storage.objects) + b"</List>")
        if key in storage.elsewhere:
            return self.answer(301, b"<Error/>", [("Location", "https://elsewhere.example/")])
        if key not in storage.objects:
            return self.refuse(storage.missing, "AccessDenied")
        data = storage.objects[key]
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        fields = [("ETag", etag), ("Last-Modified", "Sun, 13 Sep 2020 12:26:40 GMT"),
                  ("Content-Type", "text/html" if key.endswith("html") else "binary/octet-stream"),
                  ("Accept-Ranges", "bytes"), ("Cache-Control", "max-age=60")]
        if self.headers.get("If-None-Match") == etag:
            return self.answer(304, b"", fields)
        ranged = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if ranged:
            first, last = map(int, ranged.groups())
            if first >= len(data):
                return self.refuse(416, "InvalidRange")
            fields.append(("Content-Range", f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"))
            return self.answer(206, data[first:last + 1], fields)
        return self.answer(200, data, fields)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = handle_one


class Storage:
    """With `address`; `objects` by path, `seen` requests, `refused` reasons."""

    def __init__(self, objects=()):
        self.objects = dict(objects)
        self.elsewhere = set()
        self.missing = 403
        self.seen, self.refused = [], []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.storage = self
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
