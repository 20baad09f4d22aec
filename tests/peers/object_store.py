"""As much of S3 as a Kafka broker needs to keep its topics in, so that they outlive it. In memory."""

import hashlib
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import serve

OBJECTS = {}
LOCK = threading.Lock()


class Object:
    def __init__(self, body):
        self.body = body
        self.tag = f'"{hashlib.sha256(body).hexdigest()}"'
        self.time = datetime.now(UTC)

    def listed(self, key):
        return (
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.body)}</Size><ETag>{escape(self.tag)}</ETag>"
            f"<LastModified>{self.time:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
        )


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def key(self):
        """What follows the bucket's name."""
        return unquote(urlsplit(self.path).path)[1:].partition("/")[2]

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self):
        new = Object(self.rfile.read(int(self.headers["Content-Length"])))
        with LOCK:
            old = OBJECTS.get(self.key())
            wanted = self.headers["If-Match"]
            if old and self.headers["If-None-Match"] == "*" or wanted and (not old or old.tag != wanted):
                return self.answer(412)
            OBJECTS[self.key()] = new
        self.answer(200, headers=[("ETag", new.tag)])

    def do_GET(self):
        if not self.key():
            return self.list()
        found = OBJECTS.get(self.key())
        if not found:
            return self.answer(404)
        headers = [("ETag", found.tag), ("Last-Modified", format_datetime(found.time, usegmt=True))]
        if self.headers["If-None-Match"] == found.tag:
            return self.answer(304, headers=headers)
        self.answer(200, found.body, headers)

    do_HEAD = do_GET

    def do_DELETE(self):
        with LOCK:
            OBJECTS.pop(self.key(), None)
        self.answer(204)

    def list(self):
        asked = parse_qs(urlsplit(self.path).query)
        [prefix], [delimiter] = asked.get("prefix", [""]), asked.get("delimiter", [None])
        folders, listed = set(), []
        with LOCK:
            for key, found in sorted(OBJECTS.items()):
                if key.startswith(prefix):
                    folder, is_within, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
                    if is_within:
                        folders.add(f"{prefix}{folder}{delimiter}")
                    else:
                        listed.append(found.listed(key))
        listed += [f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)]
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(listed)}</ListBucketResult>"
        self.answer(200, body.encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    serve.serve(Store)
