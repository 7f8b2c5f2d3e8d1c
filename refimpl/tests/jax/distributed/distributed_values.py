"""What the programs of these tests save, and how it is spread: the same in every process and in the test itself."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np


def host_values() -> dict[str, np.ndarray[Any, Any]]:
    """Each array by its name, on the host."""
    rng = np.random.default_rng(7)
    return {
        "kernel": rng.normal(size=(8, 12)).astype(np.float32),
        "half": rng.normal(size=(16,)).astype(ml_dtypes.bfloat16),
        "whole": rng.normal(size=(3, 5)).astype(np.float32),
        "waves": (rng.normal(size=(4, 2)) + 1j * rng.normal(size=(4, 2))).astype(np.complex64),
        "nibbles": rng.integers(-8, 8, size=(8,)).astype(ml_dtypes.int4),
        "mask": rng.integers(0, 2, size=(4, 4)).astype(bool),
        "empty": np.zeros((0, 4), np.float32),
        "scalar": np.array(rng.normal(), np.float32),
        "on_host": rng.integers(0, 99, size=(3,)).astype(np.int32),
        "on_one_device": rng.normal(size=(2, 2)).astype(np.float32),
        "on_second_half": rng.normal(size=(4, 2)).astype(np.float32),
    }


SPECS: dict[str, tuple[str | None, ...]] = {
    "kernel": ("rows", "columns"),
    "half": (("rows", "columns"),),  # type: ignore[dict-item]  # both axes of the mesh cut one of the array
    "whole": (),
    "waves": ("rows",),
    "nibbles": ("rows",),
    "mask": (None, "columns"),
    "empty": ("rows",),
    "scalar": (),
}
"""How arrays are spread over a mesh of 2 by 2; the others are on the host or on some of the devices."""
