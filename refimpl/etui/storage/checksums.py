"""CRC-32, by ISA-L's kernel where the extra `fast` is installed and by zlib's otherwise: one value, at another speed.

`refimpl/benchmarks/kernels.py` measures both beside others. SHA-256 is hashlib's, which no package there beats.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from etui.storage.base import Buffer


def _kernel() -> Callable[[Buffer, int], int]:
    """The function (data, checksum so far) -> checksum."""
    for name in ("isal.isal_zlib", "zlib"):
        try:
            found: Callable[[Buffer, int], int] = import_module(name).crc32
        except ImportError:
            continue
        return found
    raise AssertionError("zlib belongs to Python")


crc32 = _kernel()
