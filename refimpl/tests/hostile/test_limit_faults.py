"""What is beyond a limit (SPEC.md chapter 19)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Edit, moved, put
from etui.testing.samples import VOCABULARY

clause = pytest.mark.clause
CONFIG = "config.json"
WEIGHTS = "weights.json"
KERNEL = ("variables", "dense/kernel")
ENTRY = ("parts", VOCABULARY)


def chain(levels: int) -> dict[str, Any]:
    """Modules, each the only one of the next, whose names are long."""
    module: dict[str, Any] = {"kind": "layer", "name": "a" * 250, "op": "keras:A"}
    for _ in range(levels):
        module = {"kind": "layer", "modules": [module], "name": "a" * 250, "op": "keras:A"}
    return module


def cut_everywhere(entry: dict[str, Any]) -> None:
    """Two chunks that cut 22 dimensions, which have 2^23 corners."""
    entry["shape"] = [2] * 22
    for at, chunk in enumerate(entry["chunks"]):
        chunk |= {"offset": [at] * 22, "shape": [1] * 22}


FAULTS: dict[str, tuple[pytest.MarkDecorator, str, str, Edit]] = {
    # 19 Limits
    "a rank of 33": (clause("L-2@76176e"), "limit-rank", WEIGHTS, put([1] * 33, *KERNEL, "shape")),
    "a tensor of 2^49 bytes": (
        clause("L-2@76176e", "X-2@ca2f55"),
        "limit-tensor",
        WEIGHTS,
        put([2**24, 2**23], *KERNEL, "shape"),
    ),
    "a shape whose product overflows": (
        clause("L-2@76176e", "X-2@ca2f55"),
        "limit-tensor",
        WEIGHTS,
        put([2**52, 2**52, 2**52], *KERNEL, "shape"),
    ),
    "a shape whose product overflows before its zero": (
        clause("L-2@76176e", "X-2@ca2f55"),
        "limit-tensor",
        WEIGHTS,
        put([2**40, 2**40, 0], *KERNEL, "shape"),
    ),
    "more strings than any memory": (
        clause("L-2@76176e", "X-2@ca2f55"),
        "limit-tensor",
        WEIGHTS,
        put([2**46], "variables", "own/words", "shape"),
    ),
    "a path of 4097 bytes": (
        clause("L-2@76176e"),
        "limit-path",
        WEIGHTS,
        moved(KERNEL, ("variables", "/".join(["a" * 240] * 18))),
    ),
    "a segment of 256 bytes": (clause("L-2@76176e"), "limit-path", WEIGHTS, moved(KERNEL, ("variables", "ä" * 128))),
    "a module's path that is too long": (
        clause("L-2@76176e"),
        "limit-path",
        CONFIG,
        lambda t: t["model"]["modules"].append(chain(20)),
    ),
    "a part's name of 256 bytes": (
        clause("L-2@76176e"),
        "limit-path",
        MANIFEST,
        moved(ENTRY, ("parts", "assets/" + "a" * 249)),
    ),
    "chunks that cut too much": (
        clause("L-2@76176e"),
        "limit-chunks",
        WEIGHTS,
        lambda t: cut_everywhere(t["variables"]["own/chunked"]),
    ),
}


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("code", "part", "edit"), [pytest.param(*row, id=name, marks=mark) for name, (mark, *row) in FAULTS.items()]
)
def test_a_fault_is_refused_with_its_code(code: str, part: str, edit: Edit, refused: Callable[..., None]) -> None:
    """An artifact with one fault is refused with the code of the clause that it breaks."""
    refused(part, edit, code)
