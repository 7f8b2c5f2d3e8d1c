"""The parts of a model that a test relies on."""

from __future__ import annotations

from typing import TypeVar

Part = TypeVar("Part")


def present(part: Part | None) -> Part:
    """A part of a model that a file without it would not give.

    Raises:
        AssertionError: it is not there.
    """
    if part is None:
        raise AssertionError("the model lacks a part")
    return part
