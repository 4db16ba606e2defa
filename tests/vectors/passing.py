"""Stages that pass or drop events, and the text of the events that pass."""

import csv
import io
import json
import re

JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


def passes(stages):
    """Returns True if `stages` pass events unchanged."""
    return all(stage["type"] in ("filter", "dedup") for stage in stages)


def meets(condition, event):
    if "all" in condition:
        return all(meets(one, event) for one in condition["all"])
    if "any" in condition:
        return any(meets(one, event) for one in condition["any"])
    if "not" in condition:
        return not meets(condition["not"], event)
    found, op, value = event.get(condition["field"]), condition["op"], condition.get("value")
    if op == "missing":
        return found is None
    if found is None:
        return False
    kind = lambda one: "number" if isinstance(one, (int, float)) and not isinstance(one, bool) else type(one)
    bytewise = lambda one: one.encode() if isinstance(one, str) else one
    if op == "in":
        return any(kind(one) == kind(found) and one == found for one in value)
    if kind(value) != kind(found):
        return op == "!="
    found, value = bytewise(found), bytewise(value)
    return {"==": found == value, "!=": found != value, "<": found < value, "<=": found <= value,
            ">": found > value, ">=": found >= value}[op]


def filtered(stage, stream):
    return [one for one in stream if all(meets(condition, one[2]) for condition in stage["where"])]


def key_by(stage, keys, stream):
    """Returns the names of the new key fields, and the stream with the new key."""
    names = [stage["fields"]] if isinstance(stage["fields"], str) else stage["fields"]
    of = lambda key, event: {**event, **dict(zip(keys, key))}
    return names, [(ts, tuple(of(key, event)[name] for name in names), event, met) for ts, key, event, met in stream]


def spellings(events):
    """Returns the events as lines of JSON in several spellings."""
    lines = []
    for at, event in enumerate(events):
        line = json.dumps(event, ensure_ascii=at % 2 == 0, separators=[(",", ":"), (" ,\t", " : "), None][at % 3])
        lines.append(["", " ", "\t "][at % 3] + line + ["", "  "][at % 2])
    return lines


def records(text):
    """Returns the records of CSV as JSON objects: numbers stay numbers, empty fields become null, others texts."""
    def cell(value):
        if value == "":
            return "null"
        return value if JSON_NUMBER.fullmatch(value) else json.dumps(value, ensure_ascii=False)

    names, *rows = csv.reader(io.StringIO(text))
    names = [json.dumps(name, ensure_ascii=False) for name in names]
    return ["{" + ",".join(f"{name}:{cell(value)}" for name, value in zip(names, row)) + "}" for row in rows]
