"""A reader and a writer under lower limits than those of SPEC.md: each is met exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest

import etui
from etui.canonical import json, msgpack
from etui.error_codes import ERROR_CODES
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.storage.part_names import MANIFEST
from etui.testing.hostile import parts_of, refusal, refused_with
from etui.testing.samples import everything


def model() -> Model:
    """Everything that an artifact can hold, with the longest text and the deepest list in the state."""
    made = everything()
    assert made.state is not None
    made.state.user["deep"] = nested(20, "x" * 1000)
    return made


def nested(levels: int, value: Any) -> Any:
    """A value in a list in a list."""
    for _ in range(levels):
        value = [value]
    return value


BASE = parts_of(model())
TREES: dict[str, Any] = {
    name: (json if name.endswith(".json") else msgpack).decode(data, where=name)
    for name, data in BASE.items()
    if "/" not in name and not name.endswith(".safetensors")
}


def depth(node: Any) -> int:
    """Levels of lists and maps."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def texts(node: Any) -> Iterator[str]:
    """Every string of a tree."""
    if isinstance(node, str):
        yield node
    for item in [*node, *node.values()] if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from texts(item)


def modules(node: dict[str, Any]) -> int:
    """Modules of a tree of them."""
    return 1 + sum(map(modules, node.get("modules", ())))


def paths() -> list[str]:
    """Every path of the artifact's indexes and references to them."""
    weights, tensors = (
        TREES["weights.json"],
        {**TREES["optimizer.msgpack"]["tensors"], **TREES["state.msgpack"]["tensors"]},
    )
    return [*weights["variables"], *weights["aliases"], *tensors]


# What each limit has to be at least for the artifact to be accepted.
NEEDS: dict[str, tuple[str, int]] = {
    "document_bytes": ("limit-document", max(len(BASE[name]) for name in TREES)),
    "depth": ("msgpack-depth", max(map(depth, TREES.values()))),
    "string_bytes": ("value-limit", max(len(text) for tree in TREES.values() for text in texts(tree))),
    "integer_digits": ("value-limit", len(str(2**70))),
    "safetensors_header_bytes": (
        "safetensors-header",
        max(int.from_bytes(data[:8], "little") for name, data in BASE.items() if name.endswith(".safetensors")),
    ),
    "parts": ("limit-parts", len(BASE) - 1),
    "variables": ("limit-variables", len(TREES["weights.json"]["variables"]) + len(TREES["weights.json"]["aliases"])),
    "modules": ("limit-modules", modules(TREES["config.json"]["model"])),
    # Two chunks, which cut one dimension.
    "chunk_corners": ("limit-chunks", 2 * 2),
    "rank": ("limit-rank", 3),
    "tensor_bytes": ("limit-tensor", 3 * 3 * 8),
    "path_bytes": ("limit-path", max(len(path.encode()) for path in paths())),
    "segment_bytes": ("limit-path", max(len(part.encode()) for path in paths() for part in path.split("/"))),
    "part_name_bytes": ("limit-path", max(map(len, BASE.keys() - {MANIFEST}))),
    "inline_tensor_bytes": ("value-limit", 3 * 2),
}


@pytest.mark.library
def test_every_limit_of_artifacts_is_tested() -> None:
    """The table has each limit that is not for files of other formats."""
    assert set(NEEDS) == {part.name for part in fields(Limits) if not part.name.startswith("foreign")}


@pytest.mark.clause("L-2@76176e", "L-3@a15eb3")
@pytest.mark.parametrize("name", NEEDS)
def test_a_reader_under_a_lower_limit_refuses_what_is_beyond_it(name: str) -> None:
    """What needs exactly a limit is accepted under it, and refused with the limit's code under one less."""
    code, need = NEEDS[name]
    assert need < getattr(DEFAULT_LIMITS, name)
    etui.verify(BASE, limits=Limits(**{name: need}))
    failure = refusal(lambda: etui.verify(BASE, limits=Limits(**{name: need - 1})))
    assert failure is not None
    assert failure.code == code
    assert failure.error_class == ERROR_CODES[code].error_class


@pytest.mark.clause("L-1@edac1f")
@pytest.mark.parametrize("name", sorted(NEEDS.keys() - {"safetensors_header_bytes"}))
def test_a_writer_keeps_a_lower_limit(name: str) -> None:
    """What needs exactly a limit is written under it, and refused with the limit's code under one less."""
    code, need = NEEDS[name]
    target: dict[str, bytes] = {}
    etui.save(model(), target, limits=Limits(**{name: need}))
    assert target == BASE
    assert refused_with(lambda: etui.save(model(), {}, limits=Limits(**{name: need - 1}))) == code


@pytest.mark.clause("L-1@edac1f")
@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("json-depth", lambda: nested(130, 0)),
        ("value-limit", lambda: 10**1024),
        ("value-limit", lambda: "x" * (64 * 2**20 + 1)),
    ],
)
def test_a_writer_keeps_the_limits_of_the_specification(code: str, make: Callable[[], Any]) -> None:
    """Values beyond the limits of SPEC.md are refused by a writer whom nobody gave lower ones."""
    made = everything()
    made.metadata["value"] = make()
    assert refused_with(lambda: etui.save(made, {})) == code
