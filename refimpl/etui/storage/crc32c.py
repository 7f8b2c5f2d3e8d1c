"""The checksum of TensorFlow's record, table and bundle files: CRC-32C, masked.

A masked checksum may itself be checksummed again; the mask is that of TensorFlow's and LevelDB's `crc32c.h`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from etui.errors import error

_MASK_DELTA = 0xA282EAD8
_STEP = 64 * 1024 * 1024


def _extend() -> Callable[[int, Any], int]:
    try:
        import google_crc32c
    except ImportError:
        raise error("extra-tensorflow") from None
    extend: Callable[[int, Any], int] = google_crc32c.extend
    return extend


def crc32c(data: bytes | memoryview, before: int = 0) -> int:
    """CRC-32C of read-only bytes, behind bytes whose CRC-32C is `before`.

    Raises:
        MissingExtraError: ``extra-tensorflow``, google-crc32c is not installed.
    """
    extend = _extend()
    crc = before
    # As an array, since the library takes no memoryview; in steps, since it takes lengths as a C int on some systems.
    for start in range(0, len(data), _STEP):
        crc = extend(crc, np.frombuffer(data[start : start + _STEP], np.uint8))
    return crc


def masked(crc: int) -> int:
    """The stored form of a CRC-32C."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFF_FFFF
