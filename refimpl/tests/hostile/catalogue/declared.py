"""Artifacts that declare up to 2^62 bytes, which are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalogue.case import Case, Make, case
from etui.canonical import msgpack
from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Edit, parts_of, put, tampered
from etui.testing.samples import everything
from etui.testing.storage import write

CHAPTER = "declared sizes"
CONFIG, WEIGHTS, STATE, DATA = "config.json", "weights.json", "state.msgpack", "weights.safetensors"


def variables(change: Callable[[dict[str, Any]], object]) -> Edit:
    """The edit of the variables of the weights."""
    return lambda tree: change(tree["variables"])


def two_halves(entry: dict[str, Any]) -> None:
    """A tensor of 2^47 bytes in two chunks."""
    entry |= {"dtype": "int8", "shape": [2**47]}
    for at, chunk in enumerate(entry["chunks"]):
        chunk |= {"offset": [at * 2**46], "shape": [2**46]}


def many_cuts(entry: dict[str, Any]) -> None:
    """Two chunks that cut 18 dimensions, of which there are 2^19 corners."""
    entry |= {"shape": [2] * 18}
    for at, chunk in enumerate(entry["chunks"]):
        chunk |= {"offset": [at] * 18, "shape": [1] * 18}


def widened(variable: dict[str, Any], shape: list[int]) -> None:
    """A tensor and all of its components in another shape."""
    variable["shape"] = shape
    for component in variable["components"].values():
        component["shape"] = shape


BOMBS: dict[str, tuple[str, str, Edit]] = {
    "a whole tensor": ("chunk-mismatch", WEIGHTS, variables(lambda v: v["dense/kernel"].update(shape=[2**40]))),
    "a tensor in chunks": ("chunk-mismatch", WEIGHTS, variables(lambda v: two_halves(v["own/chunked"]))),
    "a tensor cut everywhere": ("chunk-cover", WEIGHTS, variables(lambda v: many_cuts(v["own/chunked"]))),
    "strings": (
        "chunk-mismatch",
        WEIGHTS,
        variables(
            lambda v: (
                v["own/words"].update(shape=[2**44]),
                v["own/words"]["components"]["offsets"].update(shape=[2**44 + 1]),
            )
        ),
    ),
    "4-bit numbers": (
        "chunk-mismatch",
        WEIGHTS,
        variables(
            lambda v: (
                v["own/nibbles"].update(shape=[2**45]),
                v["own/nibbles"]["components"]["nibbles"].update(shape=[2**44]),
            )
        ),
    ),
    "quantized numbers": (
        "chunk-mismatch",
        WEIGHTS,
        variables(lambda v: widened(v["own/quantized"], [2**23, 2**22])),
    ),
    "a header": ("safetensors-header", DATA, lambda data: (2**62).to_bytes(8, "little") + bytes(data[8:])),
    "a part": ("part-size", MANIFEST, put(2**52, "parts", CONFIG, "size")),
    "a small tensor": (
        "limit-tensor",
        CONFIG,
        put({"$tensor": {"data": "", "dtype": "int8", "shape": [2**52]}}, "model", "modules", 2, "attrs", "t"),
    ),
    "a list of MessagePack": ("msgpack-syntax", STATE, lambda tree: msgpack.encode(tree) + b"\xdd\xff\xff\xff\xff"),
    "the digits of an integer": (
        "value-limit",
        CONFIG,
        put({"$int": "1" * 10**6}, "model", "modules", 2, "attrs", "n"),
    ),
}


def artifact(part: str, edit: Edit) -> Make:
    """An artifact with an edited part, and sizes and digests that are right."""

    def make(folder: Path) -> Path:
        path = folder / "m.etui"
        write(path, tampered(parts_of(everything()), part, edit))
        return path

    return make


CASES: list[Case] = [
    case(CHAPTER, "", artifact(part, edit), code, "X-2", "L-2", "E-2", name=name, etui=True)
    for name, (code, part, edit) in BOMBS.items()
]
