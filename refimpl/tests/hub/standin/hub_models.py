"""Models for the tests of the Hub."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import etui


def model(*sizes: int, seed: int = 0) -> etui.Model:
    """A model of vectors of so many float32 each."""
    made = etui.Model(weights=etui.Weights())
    assert made.weights is not None
    for number, size in enumerate(sizes):
        values = np.arange(size, dtype=np.float32) + number + seed
        made.weights.add(f"dense_{number}/kernel", etui.Tensor.of(values), role="kernel")
    return made


def files_of(place: Path) -> dict[str, bytes]:
    """The files of a directory form."""
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
