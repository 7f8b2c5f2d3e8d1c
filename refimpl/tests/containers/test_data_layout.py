"""Where a writer puts tensors: names in data parts, shards, and the padded header (SPEC.md chapter 12.4)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import deserialize

import etui
from etui import digest
from etui.artifact import save_model
from etui.canonical import json, msgpack
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.dtypes import BY_SAFETENSORS
from etui.limits import Limits
from etui.model import Model
from etui.storage.part_names import role_of
from etui.testing import containers
from etui.testing.equality import same
from etui.testing.hostile import Parts, parts_of, refused_with


def of_sizes(*sizes: int) -> Weights:
    """Variables of so many bytes each, in this order."""
    weights = Weights()
    for index, size in enumerate(sizes):
        weights.add(f"v{index}", Tensor.of(np.full(size, index, np.uint8)), role="kernel")
    return weights


def stored(data: bytes) -> dict[str, dict[str, Any]]:
    """What the official library finds in a data part."""
    return dict(deserialize(data))  # type: ignore[no-untyped-call]


def data_parts(parts: Parts) -> dict[str, list[str]]:
    """The names of the tensors in each data part, in the order of its bytes."""
    return {name: list(stored(data)) for name, data in parts.items() if role_of(name) == "data"}


@pytest.mark.clause("W-11@07412f", "W-23@e753ac")
def test_tensors_are_named_after_what_they_hold_and_lie_in_one_part_per_document() -> None:
    """A variable, a component, a component's component and a chunk have the names of the clause, in one data part."""
    weights = Weights()
    weights.add("a/plain", Tensor.of(np.zeros(2)), role="kernel")
    weights.add("a/text", Tensor.of(["x"]), role="table")
    boxes = [((0, 0), np.zeros((1, 3), np.int8)), ((1, 0), np.zeros((1, 3), np.int8))]
    weights.add("a/cut", Tensor.chunked("int8", (2, 3), boxes), role="kernel")
    four, scale = Tensor.of(np.zeros((2, 2), ml_dtypes.int4)), Tensor.of(np.ones((1, 1), np.float32))
    weights.add("a/quantized", Tensor.quantized(four, scale, dtype="float32"), role="kernel")
    slots = {"a/plain": {"momentum": Tensor.of(np.zeros(2)), "a/b": Tensor.of(np.zeros(2))}}
    adam = Optimizer("keras:Adam", groups=[Group(["a/plain"])], slots=slots)
    parts = parts_of(Model(weights=weights, optimizer=OptimizerState({"optimizer": adam})))
    assert {name: sorted(found) for name, found in data_parts(parts).items()} == {
        "weights.safetensors": [
            "a/cut@0,0",
            "a/cut@1,0",
            "a/plain",
            "a/quantized#scale",
            "a/quantized#values#nibbles",
            "a/text#data",
            "a/text#offsets",
        ],
        "optimizer.safetensors": ["optimizer/slots/a/plain/a%2Fb", "optimizer/slots/a/plain/momentum"],
    }


@pytest.mark.clause("S-8@822e27", "W-23@e753ac")
def test_a_document_without_tensors_has_no_data_part() -> None:
    """Weights without variables make no data part, and open again."""
    parts = parts_of(Model(weights=Weights()))
    assert sorted(parts) == ["manifest.json", "weights.json"]
    assert etui.open(parts).weights == Weights()


@pytest.mark.clause("W-24@f3cde1")
@pytest.mark.parametrize(
    ("sizes", "limit", "shards"),
    [
        ((4, 4, 4), 12, [["v0", "v1", "v2"]]),
        ((4, 4, 4), 8, [["v0", "v1"], ["v2"]]),
        ((4, 4, 4), 11, [["v0", "v1"], ["v2"]]),
        # One that is too large has a shard of its own, and what follows begins another.
        ((4, 100, 4), 8, [["v0"], ["v1"], ["v2"]]),
        # A later one that would fit into an earlier shard does not go back.
        ((4, 8, 4), 8, [["v0"], ["v1"], ["v2"]]),
        ((0, 4, 0, 4, 0), 4, [["v0", "v1", "v2"], ["v3", "v4"]]),
        ((9, 0), 8, [["v0"], ["v1"]]),
    ],
)
def test_shards_are_filled_in_order(sizes: tuple[int, ...], limit: int, shards: list[list[str]]) -> None:
    """Shards take variables in their order up to the limit, cut none, and are numbered from 1."""
    parts = parts_of(Model(weights=of_sizes(*sizes)), shard_size=limit)
    total = len(shards)
    names = [f"weights-{number:05d}-of-{total:05d}.safetensors" for number in range(1, total + 1)]
    found = data_parts(parts)
    assert list(found) == (names if total > 1 else ["weights.safetensors"])
    assert [sorted(keys) for keys in found.values()] == shards


@pytest.mark.clause("W-24@f3cde1", "H-8@5fca10")
@given(containers.weights(min_size=1), st.integers(1, 64))
def test_sharding_changes_no_tensor(weights: Weights, limit: int) -> None:
    """A model in shards is the same model, has the same bytes in shards again, and the plain ones without."""
    plain = parts_of(Model(weights=weights))
    with etui.open(parts_of(Model(weights=weights), limit)) as sharded:
        assert same(sharded.weights, weights)
        assert parts_of(sharded, limit) == parts_of(Model(weights=weights), limit)
        assert parts_of(sharded) == plain


@pytest.mark.clause("W-24@f3cde1")
def test_slots_are_sharded_in_the_order_of_their_names() -> None:
    """The tensors of an optimizer go into shards by the UTF-8 bytes of their names."""
    names = ["\U0001f600", "z", "\uff5e", "a"]
    slots = {name: Tensor.of(np.zeros(1, np.float32)) for name in names}
    one = Optimizer("keras:SGD", groups=[Group(["v0"])], slots={"v0": slots})
    model = Model(weights=of_sizes(1), optimizer=OptimizerState({"optimizer": one}))
    found = data_parts(parts_of(model, shard_size=4))
    assert [key.rpartition("/")[2] for name, keys in found.items() if "optimizer" in name for key in keys] == sorted(
        names, key=str.encode
    )


@pytest.mark.library
def test_a_shard_size_below_one_is_refused() -> None:
    """No shard can hold less than one byte."""
    for size in (0, -1):
        assert refused_with(lambda size=size: parts_of(Model(weights=of_sizes(1)), size)) == "writer-misuse"  # type: ignore[misc]


@pytest.mark.clause("W-25@cc0d90")
def test_a_shard_begins_where_the_header_would_pass_its_limit() -> None:
    """The bound is the length of the name's canonical JSON, 128, and 20 per dimension for each tensor."""
    weights = Weights()
    for name in ("a", '"', "ä"):
        weights.add(name, Tensor.of(np.zeros((1, 1), np.uint8)), role="kernel")
    # In canonical JSON the names take 3, 4 and 4 bytes.
    costs = [3 + 128 + 40, 4 + 128 + 40, 4 + 128 + 40]
    for limit, shards in ((sum(costs), 1), (sum(costs) - 1, 2), (sum(costs[:2]), 2), (sum(costs[:2]) - 1, 3)):
        parts: Parts = {}
        save_model(Model(weights=weights), parts, limits=Limits(safetensors_header_bytes=limit))
        assert len(data_parts(parts)) == shards, limit


@pytest.mark.clause("W-12@017a0e", "S-1@7a8738", "S-2@bbb8f5", "S-5@ace57a")
@given(containers.weights(min_size=1))
def test_a_data_part_is_read_by_the_safetensors_library(weights: Weights) -> None:
    """The official library reads every tensor's dtype, shape and bytes, and the layout is aligned and without gaps."""
    parts = parts_of(Model(weights=weights))
    data = parts["weights.safetensors"]
    found = stored(data)
    expected = {}
    for path, variable in weights.variables.items():
        for name, plain in variable.tensor.physical(path):
            for piece in plain.pieces:
                at = "" if piece.offset is None else "@" + ",".join(map(str, piece.offset))
                expected[name + at] = (plain.dtype, list(piece.shape), piece.source.array().tobytes())
    assert {
        name: (BY_SAFETENSORS[entry["dtype"]].name, entry["shape"], bytes(entry["data"]))
        for name, entry in found.items()
    } == expected
    length = int.from_bytes(data[:8], "little")
    header = json.decode(data[8 : 8 + length].rstrip(b" "), where="header")
    spans = sorted(entry["data_offsets"] for entry in header.values())
    assert (8 + length) % 64 == 0
    assert spans[0][0] == 0
    assert spans[-1][1] == len(data) - 8 - length
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@pytest.mark.clause("W-12@017a0e")
def test_every_chunk_has_the_digest_of_its_bytes() -> None:
    """The digests that documents give of their tensors are those of the bytes in the data parts, and differ."""
    model = Model(weights=of_sizes(3, 5))
    one = Optimizer("keras:SGD", groups=[Group(["v0"])], slots={"v0": {"m": Tensor.of(np.ones(3))}})
    model.optimizer = OptimizerState({"optimizer": one})
    parts = parts_of(model)
    weights = json.decode(parts["weights.json"], where="weights")["variables"]
    tensors = msgpack.decode(parts["optimizer.msgpack"], where="optimizer")["tensors"]
    chunks = [chunk for entry in [*weights.values(), *tensors.values()] for chunk in entry["chunks"]]
    held = {
        (part, key): bytes(entry["data"]) for part in data_parts(parts) for key, entry in stored(parts[part]).items()
    }
    assert {(chunk["part"], chunk["tensor"]): chunk["digest"] for chunk in chunks} == {
        place: digest.of(data) for place, data in held.items()
    }
    assert len({chunk["digest"] for chunk in chunks}) == 3
