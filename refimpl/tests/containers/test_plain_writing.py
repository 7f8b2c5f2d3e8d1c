"""Weights written at once have the bytes that they have by way of their tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from etui.canonical import json
from etui.containers import data_parts, plain_writing, weights
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights


def sample() -> Weights:
    """Plain variables of several dtypes, ranks, roles and orders, and an alias."""
    made = Weights()
    made.add("z/kernel", Tensor.of(np.ones((2, 3), np.float32)), role="kernel")
    made.add("a/b/c", Tensor.of(np.float64(2)), role="kernel", trainable=False)
    made.add("m", Tensor.of(np.zeros((0, 7), np.int8)), role="bias")
    made.aliases["tied"] = "m"
    return made


def odd_weights() -> Iterator[tuple[str, Weights]]:
    """Weights that a writer may be given, some of which break a clause."""
    vector = Tensor.of(np.zeros(2, np.float32))
    yield "plain", sample()
    for role in ("größe", 'a"b', "a\\b", "\x00\x1f\x7f", "\U0001f600", "", "r" * 2000):
        found = sample()
        found["m"].role = role
        yield f"the role {role[:9]!r}", found
    for path in ("é/ü", 'a"b', "a b", "\uffff", "\U00010000", "e\u0301"):
        found = sample()
        found.add(path, vector, role="kernel")
        yield f"the path {path!r}", found
    for path in ("a//b", "", "..", "a\\b", "\x1f", "\ud800"):
        found = sample()
        found.variables[path] = Variable(vector, "kernel")
        yield f"the faulty path {path!a}", found
    faults: list[tuple[Any, Any, Any]] = [(1, "kernel", (2,)), (True, 5, (2,)), (True, "kernel", (np.int64(2),))]
    for trainable, fault, shape in faults:
        found = sample()
        odd = Tensor("float32", shape, pieces=vector.pieces)
        for path in ("y1", "y2"):
            found.variables[path] = Variable(vector, "kernel")
            found.variables[f"{path}/odd"] = Variable(odd, fault, trainable)
        yield f"{trainable!r}, {fault!r}, {shape!r}", found
    for name, tensor in (
        ("a complex tensor", Tensor.of(np.ones(2, np.complex64))),
        ("chunks", Tensor.chunked("int8", (2,), [((0,), np.zeros(1, np.int8)), ((1,), np.zeros(1, np.int8))])),
        ("a kept field", Tensor("float32", (2,), pieces=vector.pieces, extra={"x-a": 1})),
    ):
        found = sample()
        found.add("odd", tensor, role="kernel")
        yield name, found
    surrogate = sample()
    surrogate["m"].role = "\ud800"
    yield "a role that is no text", surrogate
    endless = sample()
    endless.variables["y"] = Variable(Tensor("float32", (2**53,), pieces=vector.pieces), "kernel")
    yield "an extent beyond 2^53", endless
    yield "kept fields", replace(sample(), extra={"x-a": 1})
    yield "aliases out of order", replace(sample(), aliases={"b": "m", "a": "m", "\U00010000": "m", "\uffff": "m"})
    aliases: dict[str, Any] = {"b": "m", "a": 1}
    yield "a faulty alias", replace(sample(), aliases=aliases)


WRITTEN = dict(odd_weights())


@pytest.mark.clause("W-1@81776a", "W-2@bf5002", "J-7@920d0a")
@pytest.mark.parametrize("case", WRITTEN)
def test_weights_are_written_at_once_as_by_way_of_their_tree(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written at once has the bytes of the canonical tree, and what is plain and well formed is so written."""
    found = WRITTEN[case]
    placed = {
        name: tuple(
            data_parts.Chunk(
                "weights.safetensors", name, f"sha256:{at:064x}", piece.offset, piece.offset and piece.shape
            )
            for piece in plain.pieces
        )
        for at, (path, tensor) in enumerate(weights.tensors(found))
        for name, plain in tensor.physical(path)
    }
    monkeypatch.setattr(plain_writing, "LEAST_VARIABLES", 0)
    data = weights.encode_bytes(found, placed, "1.0")
    if data is not None:
        assert data == json.encode(weights.encode(found, placed, "1.0"))
    at_once = {"plain", "the role 'größe'", "the role ''", "the path 'a b'", "aliases out of order", "the path 'é/ü'"}
    assert data is not None or case not in at_once
    assert weights.encode_bytes(found, dict.fromkeys(placed, ()), "1.0") is None
