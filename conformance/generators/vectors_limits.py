"""Vectors of limits that are small in bytes (SPEC.md chapter 19); larger ones are made when a suite runs."""

from __future__ import annotations

from typing import Any

from vectors_contents import config, f32, joined, layer, optimizer, state, stored, tensor, texts, weights
from vectors_kit import Area
from vectors_layout import Box, cut
from vectors_parts import CONFIG, OPTIMIZER, STATE, WEIGHTS, Edit, put, rename

_KERNEL = ("variables", "k")


def area() -> Area:
    """The vectors."""
    found = Area("limits", "weights")
    held = {
        "k": f32([1], 1),
        "n": tensor("int4", [2], b"\1\2"),
        "s": texts([1], "a"),
        "c": tensor("complex64", [1], bytes(8)),
    }
    base = found.valid("tensors within every limit", "L-1 L-2", weights(held))
    found.faults(base, WEIGHTS, _tensor_faults())
    pair = {
        "z": tensor("float32", [0, 2**46], b""),
        "y": tensor("int8", [2**48, 0], b""),
        "w": tensor("int4", [0, 2**49], b""),
    }
    found.valid("tensors of 2^48 bytes but for a zero", "L-2", weights(pair))
    rank = found.valid(
        "two chunks of the rank 32",
        "L-2 W-6",
        weights({"k": f32([2] + [1] * 31, 1, 2)}),
        layout=cut({"k": _halves(32)}),
        keeps=False,
    )
    found.fault(rank, WEIGHTS, ("chunks that cut 22 dimensions", "L-2", "limit-chunks", _cut_everywhere))
    _names(found)
    return found


def _halves(rank: int) -> list[Box]:
    return [Box((at, *[0] * (rank - 1)), (1,) * rank) for at in (0, 1)]


def _cut_everywhere(tree: dict[str, Any]) -> None:
    """Two chunks that cut 22 dimensions, so that they count 2^23."""
    entry = tree["variables"]["k"]
    entry["shape"] = [2] * 22 + [1] * 10
    for at, chunk in enumerate(entry["chunks"]):
        chunk |= {"offset": [at] * 22 + [0] * 10, "shape": [1] * 32}


def _tensor_faults() -> list[tuple[str, str, str, Edit]]:
    rank, size = "limit-rank", "limit-tensor"
    return [
        ("a rank of 33", "L-2", rank, put([1] * 33, *_KERNEL, "shape")),
        ("a rank of 1,000", "L-2", rank, put([1] * 1000, *_KERNEL, "shape")),
        (
            "a component of the rank 33",
            "L-2",
            f"{rank}|encoding-components",
            put([1] * 33, "variables", "n", "components", "nibbles", "shape"),
        ),
        ("a tensor of one element beyond 2^48 bytes", "L-2 X-2", size, put([2**46 + 1], *_KERNEL, "shape")),
        ("a tensor of 2^49 bytes", "L-2 X-2", size, put([2**24, 2**23], *_KERNEL, "shape")),
        ("a shape whose product is beyond 64 bits", "L-2 X-2", size, put([2**52, 2**52, 2**52], *_KERNEL, "shape")),
        ("a shape whose product is 2^64", "L-2 X-2", size, put([2**32, 2**32], *_KERNEL, "shape")),
        ("a shape whose product overflows before its zero", "L-2 X-2", size, put([2**40, 2**40, 0], *_KERNEL, "shape")),
        ("a shape of zero beyond 2^48 bytes", "L-2 X-2", size, put([0, 2**47], *_KERNEL, "shape")),
        ("more strings than any memory", "L-2 X-2", size, put([2**49], "variables", "s", "shape")),
        ("more complex numbers than any memory", "L-2 X-2", size, put([2**47], "variables", "c", "shape")),
        ("more numbers of four bits than any memory", "L-2 X-2", size, put([2**50], "variables", "n", "shape")),
    ]


def _names(found: Area) -> None:
    """Names of modules, calls and tensors."""
    segment, code = "a" * 255, "limit-path"
    deep = layer("x")
    for _ in range(15):
        deep = layer(segment, modules=[deep])
    content = config(layer("m", modules=[deep, layer("b")]))
    base = found.valid("modules down to the limit of paths", "L-1 L-2 C-2", content, subject=["config"])
    last = ("model", *("modules", 0) * 16)
    rows: list[tuple[str, str, str, Edit]] = [
        ("a module's name of 256 bytes", "L-2", code, put("a" * 256, "model", "modules", 1, "name")),
        (
            "a module's path of more than 4,096 bytes",
            "L-2",
            code,
            put("a" * 255 + "é", *last[:-2], "modules", 0, "name"),
        ),
        (
            "a parameter's path of more than 4,096 bytes",
            "L-2",
            code,
            put({"kernel": "/".join([segment] * 17)}, "model", "modules", 1, "params"),
        ),
    ]
    rows[1] = ("a module's path of more than 4,096 bytes", "L-2", code, put([layer(segment)], *last, "modules"))
    found.faults(base, CONFIG, rows)
    slot = "optimizer/shared_slots/s"
    sgd = {
        "algorithm": "example:SGD",
        "learning_rate": 0.5,
        "micro_step": 1,
        "shared_slots": {"s": stored(slot)},
        "step": 1,
    }
    kept = state({"user/t": f32([], 2)}, user={"t": stored("user/t")})
    whole = joined(weights({"k": f32([], 0)}), optimizer({slot: f32([], 1)}, {"optimizer": sgd}), kept)
    both = found.valid("tensors of an optimizer and of state", "L-2", whole, subject=["weights", "optimizer", "state"])
    long = "/".join(["s" * 250] * 17)
    found.fault(
        both,
        OPTIMIZER,
        (
            "an optimizer under a path of 4,266 bytes",
            "L-2",
            f"{code}|tensor-name",
            rename(long, "optimizers", "optimizer"),
        ),
    )
    found.fault(
        both, OPTIMIZER, ("a tensor of the rank 33", "L-2", "limit-rank", put([1] * 33, "tensors", slot, "shape"))
    )
    found.fault(
        both, STATE, ("a tensor of 2^50 bytes", "L-2 X-2", "limit-tensor", put([2**48], "tensors", "user/t", "shape"))
    )
    found.fault(
        both,
        STATE,
        (
            "a metric under a segment of 256 bytes",
            "L-2",
            code,
            put({"g" * 256: {"a": 1}}, "metrics"),
        ),
    )
