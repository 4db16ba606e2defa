#!/usr/bin/env python3
"""Generates identity/identity.json: events, the strategies of their identities, and the expected identities.

Canonical form and strategies are implemented here in plain Python, independent of the engine. The hash is
that of the package xxhash (pip install xxhash). Every runtime must give exactly these identities.
"""

import json
import pathlib
import struct
from decimal import Decimal

import xxhash

HERE = pathlib.Path(__file__).parent



def members(pairs):
    return ("object", dict(pairs))  # the last member of a name counts


def read(text):
    number = lambda text: ("number", Decimal(text))
    return json.loads(text, object_pairs_hook=members, parse_int=number, parse_float=number)


def string(text):
    return b"\x04" + text.encode().replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01") + b"\x00"


def number(value):
    sign, digits, exponent = value.as_tuple()
    digits = list(digits)
    while digits and digits[0] == 0:
        del digits[0]
    while digits and digits[-1] == 0:
        del digits[-1]
        exponent += 1
    if not digits:
        return b"\x03" + bytes(13)
    text = "".join(map(str, digits))
    if len(digits) <= 19:
        return b"\x03" + bytes([sign]) + struct.pack("<iQ", exponent, int(text))
    return b"\x05" + bytes([sign]) + struct.pack("<i", exponent + len(digits)) + text.encode() + b"\x00"


def fields(values, skip_null):
    named = sorted((string(name), value) for name, value in values.items() if not (skip_null and value is None))
    return b"".join(name + form(value) for name, value in named)


def form(value):
    if value is None:
        return b"\x08"
    if isinstance(value, bool):
        return b"\x02" if value else b"\x01"
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return b"\x06" + b"".join(map(form, value)) + b"\x00"
    kind, inner = value
    return number(inner) if kind == "number" else b"\x07" + fields(inner, False) + b"\x00"


def identity(strategies, event):
    values = read(event)[1]
    for strategy in strategies:
        if strategy == "@content":
            looked_at = b"\x11" + fields(values, True)
        else:
            names = [strategy] if isinstance(strategy, str) else strategy
            if any(values.get(name) is None for name in names):
                continue
            looked_at = b"\x10" + b"".join(string(name) + form(values[name]) for name in names)
        return f"{xxhash.xxh3_128(looked_at).intdigest() or 1:032x}"
    return None


CHAIN = ["event_id", ["tenant", "order"], "@content"]
CASES = [
    (["id"], [
        '{"id": "a"}', '{ "id" : "a" , "other": 1 }', '{"id": "\\u0061"}', '{"id": "b", "id": "a"}', '{"i\\u0064":"a"}',
        '{"id": ""}', '{"id": null}', '{"other": 1}', '{}', '{"id": 1}', '{"id": "1"}', '{"id": 1.0}', '{"id": 10e-1}',
        '{"id": true}', '{"id": false}', '{"id": 0}', '{"id": -0.0}', '{"id": 9007199254740993}',
        '{"id": 9007199254740992}', '{"id": 12345678901234567890}', '{"id": 1234567890123456789.0}',
        '{"id": 123456789012345678901234567890}', '{"id": 1.2345678901234567890123456789e29}', '{"id": 1e400}',
        '{"id": -1e-400}', '{"id": [1, [2, null]]}', '{"id":[1.0,[2,null] ]}', '{"id": [1, [2], null]}',
        '{"id": {"b": 1, "a": {"y": null, "x": []}}}', '{"id": {"a": {"x": [], "y": null}, "b": 1}}',
        '{"id": {"a": {"x": []}, "b": 1}}', '{"id": []}', '{"id": {}}', '{"id": [[]]}', '{"id": "\\u0000\\u0001"}',
        '{"id": "é😀"}', '{"id": "\\u00e9\\ud83d\\ude00"}', '{"id": "0123456789abcdef0123456789abcdef"}',
        '{"id": [true, false, "", "x"]}', '{"id": 1000000000000000000000}', '{"id": 1e21}', '{"id": 0.1}',
    ]),
    ([["a", "b"]], [
        '{"a": "x", "b": "y"}', '{"b": "y", "a": "x"}', '{"a": "xy", "b": ""}', '{"a": "", "b": "xy"}', '{"a": "x"}',
        '{"a": ["x"], "b": "y"}', '{"a": ["x", "y"], "b": null}', '{"a": {"b": "y"}, "b": {"a": "x"}}',
    ]),
    (["@content"], [
        '{"a": 1, "b": [2, 3]}', '{"b":[2.0,3e0],"a":1}', ' {"b":[2,3] ,"a":1.0, "c": null}', '{"a": 1, "b": [3, 2]}',
        '{"a": 1, "b": 2, "c": 3}', '{"a": "1", "b": [2, 3]}', '{}', '{"a": null}', '{"a": {}}', '{"a": {"b": null}}',
        '{"a": 0, "a": 1, "b": [2, 3]}', '{"a": {"d": 1, "c": {"f": "x", "e": [{"h": 1, "g": 2}]}}}',
        '{"a": {"c": {"e": [{"g": 2, "h": 1}], "f": "x"}, "d": 1}}', '{"ab": "c"}', '{"a": "bc"}',
        '{"a_name_of_more_than_thirty_two_bytes": 1, "z": 0, "another_name_of_more_than_thirty_two": 2}',
    ]),
    (CHAIN, [
        '{"event_id": "e1", "tenant": "t", "order": 1}', '{"event_id": null, "tenant": "t", "order": 1}',
        '{"tenant": "t", "order": 1, "x": 2}', '{"tenant": "t"}', '{"order": 1, "tenant": null}', '{"order": 1}',
        '{"event_id": "", "order": 1}',
    ]),
]

vectors = [
    {"strategies": strategies, "events": [{"event": event, "identity": identity(strategies, event)} for event in events]}
    for strategies, events in CASES
]
path = HERE / "identity" / "identity.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(vectors, indent=1) + "\n")
