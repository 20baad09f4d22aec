"""Reads a file of one alert a line, and tells what is wrong with them."""

import json
import sys

SHOWN = 5


def strict(pairs):
    """No key comes twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key comes twice: {[key for key, _ in pairs]}")
    return found


def constant(name):
    raise ValueError(f"{name} is no JSON")


def parsed(text):
    return json.loads(text, object_pairs_hook=strict, parse_constant=constant)


def check(path, mistakes, parse=parsed):
    """`mistakes` gives those of one alert; the number of alerts that have none is printed."""
    valid, wrong = 0, []
    with open(path, encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found = list(mistakes(parse(line.removesuffix("\n"))))
            except Exception as error:  # whatever a decoder refuses
                found = [repr(error)]
            if found:
                wrong.append(f"line {number}: {'; '.join(found[:SHOWN])}\n{line[:2000]}")
            else:
                valid += 1
    for one in wrong[:SHOWN]:
        print(one, file=sys.stderr)
    print(valid)
    sys.exit(1 if wrong else 0)
