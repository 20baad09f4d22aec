"""Falco's JSON as falcosidekick takes it: what its struct decodes and its handler asks for."""

import re
import sys

import lines

PRIORITIES = "emergency alert critical error warning notice informational info debug".split()
# time.Time decodes RFC 3339 with any number of decimals (Go, time/format_rfc3339.go).
TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
)
# What its outputs cut the message out of.
OUTPUT = re.compile(r"[0-9:]+\.[0-9]+: (%s) .*" % "|".join(PRIORITIES), re.IGNORECASE | re.DOTALL)
STRINGS = ["uuid", "output", "priority", "rule", "source", "hostname"]
K8S = ["k8s.ns.name", "k8s.pod.name"]


def mistakes(event):
    for key in STRINGS:
        if not isinstance(event.get(key), str):
            yield f"{key} is no string"
    if event["priority"].lower() not in PRIORITIES:
        yield "the priority is unknown"
    if not event["rule"]:
        yield "there is no rule"
    if not TIME.fullmatch(event.get("time", "")) or event["time"].startswith("0001-"):
        yield "the time is none of RFC 3339"
    fields = event.get("output_fields")
    if not isinstance(fields, dict) or not fields:
        yield "output_fields are none"
    elif any(not isinstance(fields.get(key), (str, type(None))) for key in K8S):
        yield "a name of Kubernetes is no string: the handler panics"
    tags = event.get("tags")
    if tags is not None and (not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags)):
        yield "tags are no list of strings"
    if not OUTPUT.fullmatch(event["output"]):
        yield "the output does not begin with a time and a priority"


if __name__ == "__main__":
    lines.check(sys.argv[1], mistakes)
