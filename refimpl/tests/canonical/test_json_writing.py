"""Canonical JSON: what is not written, and what reading and writing may cost."""

from __future__ import annotations

import gc
import json as standard
import math
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from typing import Any

import pytest

from etui.canonical import json
from etui.canonical.numbers import MAX_INTEGER
from etui.errors import EtuiError, RejectError
from etui.limits import DEFAULT_LIMITS, Limits


class Text(str):
    """A string of a class of its own."""

    __slots__ = ()


@pytest.mark.library
@pytest.mark.parametrize(
    ("tree", "code"),
    [
        ({"a": 1.0}, "json-number"),
        ({"a": -0.0}, "json-number"),
        ({"a": [math.nan]}, "json-number"),
        ({"a": math.inf}, "json-number"),
        ({"a": MAX_INTEGER + 1}, "json-number"),
        ({"a": -MAX_INTEGER - 1}, "json-number"),
        ({"a": 10**5000}, "json-number"),
        ({"a": "\ud800"}, "json-surrogate"),
        ({"\udfff": 1}, "json-surrogate"),
        ({1: 1}, "value-type"),
        ({True: 1}, "value-type"),
        ({None: 1, "a": 2}, "value-type"),
        ({("a",): 1}, "value-type"),
        ({"a": (1, 2)}, "value-type"),
        ({"a": b"1"}, "value-type"),
        ({"a": {1}}, "value-type"),
        ({"a": object}, "value-type"),
        ([], "value-type"),
        (None, "value-type"),
    ],
)
def test_what_json_cannot_hold_is_not_written(tree: Any, code: str) -> None:
    """Numbers that need a tag, lone surrogates, other keys than strings and other types are refused when writing."""
    with pytest.raises(EtuiError) as refusal:
        json.encode(tree)
    assert refusal.value.code == code


@pytest.mark.library
def test_a_tree_that_holds_itself_is_not_written() -> None:
    """A cycle is refused as nesting without end."""
    tree: dict[str, Any] = {}
    tree["a"] = [tree]
    with pytest.raises(EtuiError, match="json-depth"):
        json.encode(tree)


@pytest.mark.library
def test_subclasses_are_written_as_what_they_are() -> None:
    """A string, number, list or dict of a subclass is written as its plain twin, with odd floats beside it or not."""
    plain = {"s": "a", "i": 1, "f": 0.5, "l": [True]}
    odd = {"s": Text("a"), "i": Number.ONE, "f": Half(0.5), "l": Many([True])}
    assert json.encode(odd) == json.encode(plain)
    assert json.encode({**odd, "x": 1e-7}) == json.encode({**plain, "x": 1e-7})


class Number(IntEnum):
    ONE = 1


class Half(float):
    def __repr__(self) -> str:
        return "half"


class Many(list[Any]):
    pass


# Limits and cost


@pytest.mark.clause("L-2@76176e", "L-3@a15eb3", "L-1@edac1f")
def test_documents_and_strings_beyond_a_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Size of document and string are checked in bytes of UTF-8, when reading and when writing."""

    def check(code: str, lowered: Limits, document: dict[str, Any]) -> None:
        data = json.encode(document)
        with pytest.raises(EtuiError, match=code):
            json.decode(data, where="x", limits=lowered)
        with monkeypatch.context() as patch:
            patch.setattr(json, "DEFAULT_LIMITS", lowered)
            with pytest.raises(EtuiError, match=code):
                json.encode(document)

    check("limit-document", replace(DEFAULT_LIMITS, document_bytes=8), {"a": "é1"})
    for document in ({"a": "é" * 5}, {"é" * 5: 1}, {"a": [1, {"b": "x" * 11}]}):
        check("value-limit", replace(DEFAULT_LIMITS, string_bytes=9), document)
    enough = replace(DEFAULT_LIMITS, string_bytes=9, document_bytes=30)
    assert json.decode(json.encode({"a": "é1234567"}), where="x", limits=enough) == {"a": "é1234567"}


@pytest.mark.clause("X-2@ca2f55", "E-2@310409")
@pytest.mark.parametrize(
    "data",
    [
        b'{"a":[' + b"1," * 10**5 + b"1.0]}",
        b'{"a":"' + b"\\" * 10**6 + b'","a":1}',
        b'{"a":' + b'"[",' * 10**6,
        b'{"' + b"k" * 10**6 + b'":[' + b"[]," * 10**4 + b"1.0]}",
        b'{"a":"' + b"x" * 10**6 + b'","A":1}',
        b"{" + b",".join(b'"%07d":1' % number for number in range(10**5)) + b',"0":1e-7}',
        b'{"a":' + b"9" * 10**7 + b"}",
    ],
    ids=["number", "escapes", "brackets", "long key", "order", "many keys", "digits"],
)
def test_faults_at_the_end_of_large_documents_are_found_in_bounded_time_and_memory(data: bytes) -> None:
    """The slow search for a fault is linear in the document."""
    start = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(RejectError):
            json.decode(data, where="x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(data) + 10**6
    assert time.perf_counter() - start < 20


@pytest.mark.library
def test_reading_a_large_index_is_about_as_fast_as_parsing_it() -> None:
    """A document of 10,000 tensors is proved canonical in at most 8 times the time of the plain parser."""
    chunk = {"digest": "sha256:" + "0" * 64, "part": "weights.safetensors", "tensor": "encoder/layer/kernel"}
    entry = {
        "chunks": [chunk],
        "dtype": "float32",
        "order": 0,
        "role": "kernel",
        "shape": [768, 768],
        "trainable": True,
    }
    data = json.encode({"variables": {f"encoder/layer_{number}/kernel": entry for number in range(10_000)}})
    assert fastest(lambda: json.decode(data, where="x")) < 8 * fastest(lambda: standard.loads(data))


def fastest(run: Callable[[], Any]) -> float:
    """Seconds of the fastest of five runs, without the garbage collector."""
    times = []
    gc.disable()
    try:
        for _ in range(5):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    finally:
        gc.enable()
    return min(times)
