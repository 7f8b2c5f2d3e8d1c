"""Documents whose bytes are not canonical, and values of another form (SPEC.md chapters 3 to 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etui.canonical import json, msgpack
from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Edit, put, replace_bytes

clause = pytest.mark.clause
CONFIG = "config.json"
TRAINING = "training.json"
STATE = "state.msgpack"
DENSE = ("model", "modules", 2)


def attribute(value: Any) -> Edit:
    """The edit that gives a layer one more attribute."""
    return put(value, *DENSE, "attrs", "more")


FAULTS: dict[str, tuple[pytest.MarkDecorator, str, str, Edit]] = {
    # 3 Canonical JSON
    "a byte order mark": (
        clause("D-6@2ef66e", "J-1@e6c684"),
        "json-encoding",
        CONFIG,
        lambda t: b"\xef\xbb\xbf" + json.encode(t),
    ),
    "JSON that ends early": (clause("J-2@ab8b71"), "json-syntax", CONFIG, lambda tree: json.encode(tree)[:-1]),
    "NaN": (clause("J-4@3d514b"), "json-syntax", CONFIG, replace_bytes(CONFIG, b'"units":4', b'"units":NaN')),
    "a key twice": (
        clause("J-3@4f25bc"),
        "json-duplicate-key",
        TRAINING,
        replace_bytes(TRAINING, b'{"format"', b'{"format":1,"format"'),
    ),
    "a lone surrogate": (
        clause("J-5@7844b3"),
        "json-surrogate",
        TRAINING,
        replace_bytes(TRAINING, b'"mae"', b'"\\ud800"'),
    ),
    "a float for an integer": (
        clause("J-6@c73cf7"),
        "json-number",
        CONFIG,
        replace_bytes(CONFIG, b'"units":4', b'"units":4.0'),
    ),
    "white space": (
        clause("D-6@2ef66e", "J-7@920d0a"),
        "json-not-canonical",
        TRAINING,
        replace_bytes(TRAINING, b'"format":', b'"format": '),
    ),
    "deep JSON": (clause("J-8@055c86"), "json-depth", CONFIG, lambda _: b'{"a":' + b"[" * 129 + b"]" * 129 + b"}"),
    # 4 Canonical MessagePack
    "MessagePack that ends early": (
        clause("B-1@ddbf33"),
        "msgpack-syntax",
        STATE,
        lambda tree: msgpack.encode(tree)[:-1],
    ),
    "a long integer": (
        clause("D-6@2ef66e", "B-2@61a878"),
        "msgpack-not-canonical",
        STATE,
        replace_bytes(STATE, b"epoch\x03", b"epoch\xcc\x03"),
    ),
    "text that is not UTF-8": (
        clause("B-5@d7165c"),
        "msgpack-encoding",
        STATE,
        replace_bytes(STATE, b"epoch", b"epo\xffh"),
    ),
    "a key that is a number": (clause("B-6@08d283"), "msgpack-key", STATE, replace_bytes(STATE, b"\xa5epoch", b"\x07")),
    "a key twice in MessagePack": (
        clause("B-7@b2e0ed"),
        "msgpack-duplicate-key",
        STATE,
        replace_bytes(STATE, b"\xa5epoch", b"\xa5batch"),
    ),
    "another extension": (
        clause("B-9@8eafc1"),
        "msgpack-extension",
        STATE,
        replace_bytes(STATE, b"\x01rng/dropout/seed/state", b"\x02rng/dropout/seed/state"),
    ),
    "deep MessagePack": (
        clause("B-11@bf4fe0"),
        "msgpack-depth",
        STATE,
        lambda _: b"\x81\xa1a" + b"\x91" * 200 + b"\xc0",
    ),
    # 5 Values
    "an unknown tag": (clause("V-1@a55e7e"), "value-tag", CONFIG, attribute({"$set": []})),
    "a tag that is not needed": (clause("V-3@bc68be"), "value-not-canonical", CONFIG, attribute({"$int": "5"})),
    "a long integer's digits": (
        clause("V-8@07939e", "L-2@76176e"),
        "value-limit",
        CONFIG,
        attribute({"$int": "9" * 1025}),
    ),
    "a module that is not there": (
        clause("V-10@c191c2"),
        "reference-missing",
        CONFIG,
        attribute({"$module": "nowhere"}),
    ),
    "an asset that is not there": (
        clause("V-10@c191c2"),
        "reference-missing",
        CONFIG,
        attribute({"$asset": "assets/x"}),
    ),
    "a variable that is not there": (clause("V-10@c191c2"), "reference-missing", CONFIG, attribute({"$variable": "x"})),
    "a stored tensor in a config": (
        clause("V-10@c191c2"),
        "reference-missing",
        CONFIG,
        attribute({"$stored": "user/history"}),
    ),
    "a variable in metadata": (
        clause("V-10@c191c2"),
        "reference-missing",
        MANIFEST,
        put({"$variable": "x"}, "metadata", "v"),
    ),
    "a variable in state": (clause("V-10@c191c2"), "reference-missing", STATE, put({"$variable": "x"}, "user", "of")),
    "a variable in training": (
        clause("V-10@c191c2"),
        "reference-missing",
        TRAINING,
        put({"$variable": "x"}, "metrics"),
    ),
}


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("code", "part", "edit"), [pytest.param(*row, id=name, marks=mark) for name, (mark, *row) in FAULTS.items()]
)
def test_a_fault_is_refused_with_its_code(code: str, part: str, edit: Edit, refused: Callable[..., None]) -> None:
    """An artifact with one fault is refused with the code of the clause that it breaks."""
    refused(part, edit, code)
