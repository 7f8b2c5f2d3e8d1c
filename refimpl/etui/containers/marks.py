"""Marks: texts in the places of digests that are not known yet, so that a document can be encoded before they are.

A mark is as long as a digest, and nothing in a document depends on its digits. So bytes that were encoded with marks
become those of the document when the digests take their places.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from etui import digest

_NUMBER_DIGITS = 16
# The secret keeps a file from holding a text that is taken for a mark.
_BEGIN = f"{digest.DEFAULT_ALGORITHM}:{secrets.token_hex(24)}"
_MARK = re.compile(b"%s([0-9a-f]{%d})" % (_BEGIN.encode(), _NUMBER_DIGITS))


def mark(number: int) -> str:
    """The mark of a number from 0 to 2^64 - 1."""
    return f"{_BEGIN}{number:0{_NUMBER_DIGITS}x}"


def replaced(content: bytes, digest_of: Callable[[int], str]) -> bytes:
    """The content with digests in place of its marks.

    Args:
        content: of a document.
        digest_of: the digest for the number of a mark.
    """
    pieces = _MARK.split(content)
    pieces[1::2] = [digest_of(int(number, 16)).encode() for number in pieces[1::2]]
    return b"".join(pieces)
