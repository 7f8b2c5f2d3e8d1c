"""Where the data of the specification lies: `schemas/`, beside the package or in its repository."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]
_PLACES = (_PACKAGE.parent / "etui" / "schemas", _PACKAGE.parents[1] / "schemas")
"""Beside the package as it is installed, and above it in a checkout."""


def folder() -> Path:
    """The folder of the schemas.

    Raises:
        FileNotFoundError: it is at neither place.
    """
    for place in _PLACES:
        if (place / "core" / "vocabulary.json").is_file():
            return place
    raise FileNotFoundError(f"no schemas at {' or '.join(map(str, _PLACES))}")


@cache
def vocabulary() -> dict[str, Any]:
    """The core vocabulary (annexes J and K); to be read only."""
    found: dict[str, Any] = json.loads((folder() / "core" / "vocabulary.json").read_bytes())
    return found
