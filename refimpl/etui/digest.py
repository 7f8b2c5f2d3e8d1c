"""Digest strings: ``algorithm:lowercase hex`` (SPEC.md, chapter Digests)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Protocol

from etui.errors import error, shown

DEFAULT_ALGORITHM = "sha256"
_PATTERN = re.compile(r"([a-z0-9]+):([0-9a-f]+)")


class Hasher(Protocol):
    """What a digest algorithm offers: the interface of hashlib's objects."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """The digest of all bytes taken, in lowercase hex."""


# The constructors, which take first bytes as hashlib's do, and the numbers of hex digits.
_ALGORITHMS: dict[str, tuple[Callable[..., Hasher], int]] = {"sha256": (hashlib.sha256, 64)}


def new(algorithm: str = DEFAULT_ALGORITHM) -> Hasher:
    """A fresh hasher of a known algorithm.

    Raises:
        UnsupportedError: ``digest-algorithm``, the algorithm is not known.
    """
    return _made(algorithm)


def of(data: bytes | bytearray | memoryview, algorithm: str = DEFAULT_ALGORITHM) -> str:
    """The digest string of `data`."""
    return f"{algorithm}:{_made(algorithm, data).hexdigest()}"


def _made(algorithm: str, *data: bytes | bytearray | memoryview) -> Hasher:
    if algorithm not in _ALGORITHMS:
        raise error("digest-algorithm", found=shown(algorithm), hint=f"Known: {', '.join(_ALGORITHMS)}.")
    try:
        return _ALGORITHMS[algorithm][0](*data)
    except ValueError as cause:
        # What hashlib raises where OpenSSL gets no memory; nothing else can be wrong with a known algorithm.
        raise MemoryError("no memory for a hasher") from cause


def parse(text: object, where: str) -> tuple[str, str]:
    """Split a digest string into algorithm and lowercase hex.

    Raises:
        InvalidError: ``digest-form``, not of the form ``algorithm:hex`` or of the wrong length.
        UnsupportedError: ``digest-algorithm``.
    """
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise error("digest-form", where=where, found=shown(text))
    algorithm, value = match.groups()
    if algorithm not in _ALGORITHMS:
        raise error("digest-algorithm", where=where, found=shown(algorithm))
    if len(value) != _ALGORITHMS[algorithm][1]:
        raise error("digest-form", where=where, found=shown(text))
    return algorithm, value
