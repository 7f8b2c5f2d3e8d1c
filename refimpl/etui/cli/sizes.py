"""Sizes and numbers as people write and read them."""

from __future__ import annotations

import argparse
import re

from etui.viewing.lettering import size_text

__all__ = ["counted", "parse_size", "size_text"]

_PREFIXES = "kMGTP"
_UNITS = {"": 1, "b": 1}
_UNITS |= {f"{letter}b": 1000**power for power, letter in enumerate(_PREFIXES.lower(), 1)}
_UNITS |= {f"{letter}ib": 1024**power for power, letter in enumerate(_PREFIXES.lower(), 1)}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([a-z]{0,3})")


def parse_size(text: str) -> int:
    """The bytes of a text such as ``2GB`` (10^9), ``512MiB`` (2^20) or ``1000``.

    Raises:
        argparse.ArgumentTypeError: it is no size, or less than one byte.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    size = int(float(match[1]) * _UNITS[match[2]]) if match and match[2] in _UNITS else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size in bytes, such as 2GB or 512MiB")
    return size


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 part``, ``1,024 parts``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
