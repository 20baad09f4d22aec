"""TLS and credentials before a search server on loopback that has neither: `_bulk` is passed on if it is what a
data stream takes."""

import argparse
import http.client
import json

import serve


class Front(serve.Handler):
    port = None
    authorization = None

    def do_POST(self):
        body = self.body()
        status, answer = self.judged(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def judged(self, body):
        if self.headers["Authorization"] != self.authorization:
            return 401, mistake("security_exception", "unable to authenticate with provided credentials")
        try:
            if self.path != "/_bulk":
                raise ValueError(f"the path is {self.path}")
            check(body)
        except (ValueError, KeyError) as error:
            return 400, mistake("illegal_argument_exception", repr(error))
        behind = http.client.HTTPConnection("127.0.0.1", self.port)
        behind.request("POST", self.path, body, {"Content-Type": self.headers["Content-Type"]})
        response = behind.getresponse()
        return response.status, response.read()


def mistake(kind, reason):
    return json.dumps({"error": {"type": kind, "reason": reason}}).encode()


def check(body):
    """As Elasticsearch does: only write ops with an op_type of create are allowed in data streams."""
    *lines, end = body.split(b"\n")
    if end or len(lines) % 2:
        raise ValueError("the bulk request must be terminated by a newline")
    for head, document in zip(lines[::2], lines[1::2], strict=True):
        operation = json.loads(head)
        if list(operation) != ["create"]:
            raise ValueError(f"only create is allowed in data streams, not {operation}")
        if not isinstance(json.loads(document)["@timestamp"], str):
            raise ValueError("data stream timestamp field [@timestamp] is missing")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("port", type=int, help="of the search server")
    for name in ["authorization", "certificate", "key"]:
        arguments.add_argument(f"--{name}", required=True)
    given = arguments.parse_args()
    Front.port, Front.authorization = given.port, given.authorization
    serve.serve(Front, given.certificate, given.key)


if __name__ == "__main__":
    main()
