"""Documents against the fields of the Elastic Common Schema: ecs.json has those that are written, and
is compared with the whole of what Elastic publishes where `cargo xtask setup` could fetch that."""

import datetime
import ipaddress
import json
import os
import re
import sys

import lines

HERE = os.path.dirname(os.path.abspath(__file__))
# Of its own, as the schema allows for: no field of the schema has that name.
OWN = "falco"
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z")
FLAT = re.compile(r"[^.\s]+")


def is_date(value):
    if not isinstance(value, str) or not DATE.fullmatch(value):
        return False
    datetime.datetime.strptime(value[:19], "%Y-%m-%dT%H:%M:%S")
    return True


def is_ip(value):
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def is_long(value):
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def is_text(value):
    return isinstance(value, str)


TYPES = {
    "date": is_date,
    "ip": is_ip,
    "long": is_long,
    "keyword": is_text,
    "wildcard": is_text,
    "match_only_text": is_text,
}


def leaves(document, path=""):
    for key, value in document.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from leaves(value, name)
        else:
            yield name, value


def own_mistakes(fields):
    """A store with one mapping takes any of them: names without dots, and texts only."""
    for name, value in fields.items():
        values = value if isinstance(value, list) else [value]
        if not FLAT.fullmatch(name) or not all(isinstance(one, str) for one in values):
            yield f"{name} of the fields of the output is not flat"


def mistakes(document):
    own = document.pop(OWN)
    yield from own_mistakes(own["output_fields"])
    found = dict(leaves(document))
    for name in ("@timestamp", "ecs.version", "event.kind", "event.category", "event.type", "event.id"):
        if name not in found:
            yield f"{name} is missing"
    for name, value in found.items():
        field = FIELDS.get(name)
        if field is None:
            yield f"{name} is no field of the schema"
            continue
        if isinstance(value, list) != field["array"]:
            yield f"{name} is a list, or is not, against the schema"
            continue
        for one in value if field["array"] else [value]:
            if not TYPES[field["type"]](one):
                yield f"{name} is no {field['type']}: {one!r}"
            if "allowed" in field and one not in field["allowed"]:
                yield f"{name} does not allow {one!r}"
    expected = {kind for category in found["event.category"] for kind in CATEGORIES[category]}
    for kind in found["event.type"]:
        if kind not in expected:
            yield f"event.type {kind} does not go with {found['event.category']}"


def published(path):
    """What `ecs_flat.js` of the package says: an object of objects, one field each."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    fields, categories = {}, {}
    for head in re.finditer(r"^    '?([\w.@]+)'?: \{\n(.*?)^    \},?\n", text, re.MULTILINE | re.DOTALL):
        name, body = head.groups()
        kind = re.findall(r"^        type: '(\w+)'", body, re.MULTILINE)[-1]
        field = {"type": kind, "array": bool(re.search(r"normalize: \[\s*'array'", body))}
        allowed = re.search(r"^        allowed_values: \[\n(.*?)^        \]", body, re.MULTILINE | re.DOTALL)
        if allowed:
            values = re.findall(r"^                name: '(\w+)'", allowed[1], re.MULTILINE)
            field["allowed"] = values
            if name == "event.category":
                for value in re.split(r"^            \},?\n", allowed[1], flags=re.MULTILINE):
                    of = re.search(r"name: '(\w+)'", value)
                    kinds = re.search(r"expected_event_types: \[(.*?)\]", value, re.DOTALL)
                    if of and kinds:
                        categories[of[1]] = re.findall(r"'(\w+)'", kinds[1])
        fields[name] = field
    return fields, categories


if len(sys.argv) == 4 and sys.argv[1] == "--write":
    # ecs.json anew: of the package's file, and of documents that have every field.
    names = set()
    with open(sys.argv[3], encoding="utf-8") as documents:
        for line in documents:
            document = json.loads(line)
            document.pop(OWN)
            names.update(name for name, _ in leaves(document))
    fields, categories = published(sys.argv[2])
    categories = {name: categories[name] for name in ("host", "intrusion_detection", "network")}
    note = "from the npm package @elastic/ecs 9.4.0, by tests/peers/ecs.py --write"
    row = lambda name, value: f"  {json.dumps(name)}: {json.dumps(value)}"
    rows = ",\n".join(row(name, fields[name]) for name in sorted(names))
    more = ",\n".join(row(name, kinds) for name, kinds in categories.items())
    with open(os.path.join(HERE, "ecs.json"), "w", encoding="utf-8") as out:
        out.write(f'{{"source": "{note}",\n "fields": {{\n{rows}}},\n "categories": {{\n{more}}}}}\n')
    sys.exit()

with open(os.path.join(HERE, "ecs.json"), encoding="utf-8") as file:
    SCHEMA = json.load(file)
FIELDS, CATEGORIES = SCHEMA["fields"], SCHEMA["categories"]
if len(sys.argv) == 3:
    fields, categories = published(sys.argv[2])
    for name, field in FIELDS.items():
        if fields.get(name) != field:
            sys.exit(f"ecs.json has {name} otherwise than published: {field}, {fields.get(name)}")
    for name, kinds in CATEGORIES.items():
        if categories.get(name) != kinds:
            sys.exit(f"ecs.json has the category {name} otherwise than published")
    if any(name == OWN or name.startswith(OWN + ".") for name in fields):
        sys.exit(f"the schema has a field {OWN} of its own")
lines.check(sys.argv[1], mistakes)
