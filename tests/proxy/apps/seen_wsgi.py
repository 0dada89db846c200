# SPDX-License-Identifier: Apache-2.0
"""Says which path it saw, under gunicorn: as it came, as the proxy's rules saw it, as it is served."""
import json


def application(environ, start_response):
    raw = environ["RAW_URI"].split("?")[0]
    seen = [raw, environ.get("HTTP_X_RULE_PATH"), environ["PATH_INFO"]]
    body = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
