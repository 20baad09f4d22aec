"""A server over HTTP/1.1 on a port of its own, which it prints; what it takes goes to a file."""

import gzip
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refused(Exception):
    """The request is not what it should be."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    # Requests of one connection before it is closed, without a word, if any.
    close_after = None
    taken = 0
    answers = "application/json"

    def do_POST(self):
        self.taken += 1
        try:
            status, kind, answer = 200, self.answers, self.take(self.body())
        except Exception as error:  # whatever a decoder refuses
            status, kind, answer = 400, "text/plain", repr(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if self.taken == self.close_after:
            self.close_connection = True

    def body(self):
        """As it was before it was compressed."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.headers["Content-Encoding"]:
            case None:
                return body
            case "gzip":
                return gzip.decompress(body)
            case other:
                raise Refused(f"the encoding {other}")

    def take(self, body):
        """The answer's body; `Refused`, or whatever else is raised, is one of 400."""
        raise NotImplementedError

    def log_message(self, *_):
        pass


class Out:
    """A file of lines that are there when a request is answered."""

    def __init__(self, path):
        self.file = open(path, "ab", buffering=0)
        self.lock = threading.Lock()

    def write(self, lines):
        with self.lock:
            self.file.write(b"".join(line + b"\n" for line in lines))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(handler, certificate=None, key=None, authority=None):
    """With `authority`, the client is to have a certificate of it."""
    server = Server(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if authority:
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
        # The handshake is the connection's thread's, at its first read.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"port {server.server_port}", flush=True)
    server.serve_forever()
