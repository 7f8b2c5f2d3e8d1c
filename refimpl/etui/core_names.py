"""The names that the core vocabulary defines, from `schemas/core/vocabulary.json` (SPEC.md, C-9)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from etui.schemas import schema_directory

NAMESPACE = "core:"
KINDS = ("activations", "initializers", "regularizers", "constraints", "losses", "metrics", "schedules")
"""The kinds of classes of a `$object` in the namespace, in the order of the annexes."""


@cache
def document() -> dict[str, Any]:
    """The whole of the vocabulary's file, decoded; shared, so not to be changed."""
    path = schema_directory() / "core" / "vocabulary.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def kinds() -> tuple[str, ...]:
    """The kinds of classes that the vocabulary lists."""
    return tuple(kind for kind in KINDS if kind in document())


def defines(text: str, use: str) -> bool:
    """Whether the vocabulary defines a name of its namespace (C-9).

    Args:
        text: for example ``"core:dense"`` or ``"core:losses.huber"``.
        use: ``"op"``, ``"algorithm"`` (of an optimizer) or ``"class"`` (of a `$object`); there are no names of others.
    """
    return text in _defined(use)


@cache
def _defined(use: str) -> frozenset[str]:
    names: Iterable[str] = ()
    if use == "class":
        names = [f"{kind}.{name}" for kind in kinds() for name in document()[kind]]
    elif use in {"op", "algorithm"}:
        names = document()["ops" if use == "op" else "optimizers"]
    return frozenset(NAMESPACE + name for name in names)
