"""Common Event Format: a strict reader of the format, and the keys that its dictionary has."""

import ipaddress
import re
import sys
import uuid

import lines


def is_number(value):
    return value.isdecimal()


def is_port(value):
    return is_number(value) and 0 < int(value) < 65536


def of_length(limit):
    return lambda value: 0 < len(value) <= limit


def is_uuid(value):
    return str(uuid.UUID(value)) == value


def is_ip(version):
    return lambda value: ipaddress.ip_address(value).version == version


KEYS = {
    "rt": is_number, "externalId": is_uuid, "deviceExternalId": is_uuid, "dvchost": of_length(100),
    "cat": of_length(1023), "msg": of_length(1023), "act": {"connect", "accept", "listen"}.__contains__,
    "proto": "TCP".__eq__, "deviceDirection": "01".__contains__,
    "outcome": {"success", "failure"}.__contains__, "reason": of_length(1023),
    "src": is_ip(4), "dst": is_ip(4), "c6a2": is_ip(6), "c6a3": is_ip(6), "spt": is_port, "dpt": is_port,
    "spid": is_number, "dpid": is_number, "suid": is_number, "duid": is_number,
    "sproc": of_length(1023), "dproc": of_length(1023), "suser": of_length(1023), "duser": of_length(1023),
    "filePath": of_length(1023), "cn1": is_number, "cn2": is_number,
    **{f"cs{number}": of_length(4000) for number in range(1, 7)},
}
LABELLED = ["c6a2", "c6a3", "cn1", "cn2"] + [f"cs{number}" for number in range(1, 7)]
# A part ends at a bar, and a value before the next key; a backslash stands before what it escapes.
HEADER = re.compile(r"CEF:0\|" + r"((?:[^|\\]|\\[|\\])*)\|" * 6)
VALUE = re.compile(r"(?:[^=\\]|\\[=\\nr])*")
KEY = re.compile(r"([A-Za-z0-9]+)=")


def extension(text):
    found, at = {}, 0
    while at < len(text):
        key = KEY.match(text, at)
        if not key:
            raise ValueError(f"no key at {text[at:at + 40]!r}")
        value = VALUE.match(text, key.end())
        end = value.end()
        if end < len(text):
            # What stopped it is the sign behind the next key, which a blank precedes.
            end = text.rindex(" ", key.end(), end)
        if key[1] in found:
            raise ValueError(f"{key[1]} comes twice")
        found[key[1]] = re.sub(
            r"\\(.)", lambda one: {"n": "\n", "r": "\r"}.get(one[1], one[1]), text[key.end():end]
        )
        at = end + 1
    return found


def mistakes(line):
    if re.search(r"[\x00-\x1f\x7f-\x9f]", line):
        yield "a control"
    header = HEADER.match(line)
    if not header:
        yield "the header has not its seven parts"
        return
    vendor, product, version, signature, name, severity = header.groups()
    if max(map(len, (vendor, product))) > 63 or len(version) > 31 or len(name) > 2 * 512:
        yield "a part of the header is too long"
    if not (vendor and product and version and name and is_uuid(signature)):
        yield "a part of the header is empty"
    if not (severity.isdecimal() and 0 <= int(severity) <= 10):
        yield f"the severity is {severity}"
    found = extension(line[header.end():])
    for key, value in found.items():
        base = key.removesuffix("Label")
        if base != key:
            if base not in LABELLED or base not in found:
                yield f"{key} labels nothing"
        elif key not in KEYS or not KEYS[key](value):
            yield f"{key}={value[:80]!r} is not as the dictionary has it"
        elif key in LABELLED and f"{key}Label" not in found:
            yield f"{key} has no label"
    for key in ("rt", "externalId", "cn1", "cs6"):
        if key not in found:
            yield f"{key} is missing"
    # One that is cut ends so.
    if "cs6" in found and not found["cs6"].endswith("…"):
        lines.parsed(found["cs6"])


lines.check(sys.argv[1], mistakes, parse=str)
