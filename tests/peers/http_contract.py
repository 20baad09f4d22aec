"""A receiver of alerts over HTTP, as strict as can be.

It is no falcosidekick: that is written in Go, and cannot be built from what the registries have. It
asks what falcosidekick asks of a request (`handlers.go`: POST, one JSON object that its struct decodes,
see falco.py), and beyond it the content type, and bodies of many alerts.

By the path it takes `/` one alert of Falco's, `/array` and `/lines` many, `/text` one of any encoding.
What it took is written to a file: a line for each alert, its path before it.
"""

import argparse
import json

import falco
import lines
import serve

TYPES = {
    "/": "application/json",
    "/array": "application/json",
    "/lines": "application/x-ndjson",
    "/text": "text/plain; charset=utf-8",
}


def elements(text):
    """Those of an array, as they are written."""
    decoder = json.JSONDecoder()
    if not (text.startswith("[") and text.endswith("]")):
        raise serve.Refused("this is no array")
    at = 1
    while True:
        _, end = decoder.raw_decode(text, at)
        yield text[at:end]
        at = end + 1
        if text[end] == "]":
            if at != len(text):
                raise serve.Refused("there is more after the array")
            return
        if text[end] != ",":
            raise serve.Refused(f"{text[end]} is between two alerts")


def alerts(path, text):
    match path:
        case "/" | "/text":
            return [text]
        case "/array":
            return list(elements(text))
        case "/lines":
            if not text.endswith("\n"):
                raise serve.Refused("the last line has no end")
            return text[:-1].split("\n")
        case _:
            raise serve.Refused(f"the path {path}")


class Contract(serve.Handler):
    headers_wanted = []
    out = None

    def take(self, body):
        wanted = [("Content-Type", TYPES.get(self.path)), *self.headers_wanted]
        for name, value in wanted:
            if self.headers[name] != value:
                raise serve.Refused(f"{name} is {self.headers[name]} instead of {value}")
        if not self.headers["User-Agent"].startswith("kubelet-detector/"):
            raise serve.Refused("the user agent")
        found = alerts(self.path, body.decode())
        for alert in found:
            if self.path != "/text":
                wrong = list(falco.mistakes(lines.parsed(alert)))
                if wrong:
                    raise serve.Refused("; ".join(wrong))
            if "\n" in alert:
                raise serve.Refused("an alert of two lines")
        self.out.write(f"{self.path} {alert}".encode() for alert in found)
        return b""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out")
    arguments.add_argument("--header", action="append", default=[], help="that each request is to have, NAME:VALUE")
    arguments.add_argument("--close-after", type=int, help="requests of one connection")
    for name in ["certificate", "key", "authority"]:
        arguments.add_argument(f"--{name}")
    given = arguments.parse_args()
    Contract.headers_wanted = [tuple(header.split(":", 1)) for header in given.header]
    Contract.close_after = given.close_after
    Contract.out = serve.Out(given.out)
    serve.serve(Contract, given.certificate, given.key, given.authority)


if __name__ == "__main__":
    main()
