"""Many like entries of a text as columns: split and checked at once, where a loop over them would take most time."""

from __future__ import annotations

import re
from itertools import islice
from operator import lt

import numpy as np
import numpy.typing as npt

INTEGER = "(?:0|[1-9][0-9]{0,15})"
"""The pattern of an integer from 0 to 2^53 - 1 in its only form, and of some above."""

INTEGERS = f"(?:{INTEGER}(?:,{INTEGER})*+)?"

_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_POWERS = 10 ** np.arange(1, 19, dtype=np.int64)


def split(entry: re.Pattern[str], text: str) -> tuple[str, list[list[str]], str] | None:
    """What is before all entries, their groups, a column each, and what is behind; `None` if more is between.

    Args:
        entry: matches an entry and, as its last group, an optional comma after it.
        text: entries with a comma between each two.
    """
    pieces = entry.split(text)
    gaps, *columns, commas = (pieces[first :: entry.groups + 1] for first in range(entry.groups + 1))
    between = len(commas) - 1
    if between < 0 or commas[-1] or "".join(commas) != "," * between or any(gaps[1:-1]):
        return None
    return gaps[0], columns, gaps[-1]


def integers(texts: list[str]) -> npt.NDArray[np.int64] | None:
    """The numbers that texts of 1 to 18 decimal digits stand for; `None` if one begins with a needless zero.

    A text may also be several such texts with a comma between each two, the same number in all.
    """
    joined = ",".join(texts)
    numbers = np.fromstring(joined, np.int64, sep=",")
    # Without such zeros the text is as long as the numbers need, all together.
    length = 2 * len(numbers) - 1 + int(np.searchsorted(_POWERS, numbers, side="right").sum())
    return numbers if len(joined) == length else None


def ascend(names: list[str], joined: str) -> bool:
    """Whether each name is greater than that before it, as Python and as RFC 8785 compare them.

    Args:
        names: each once.
        joined: a text of all their characters.
    """
    return all(map(lt, names, islice(names, 1, None))) and in_bmp(joined)


def in_bmp(text: str) -> bool:
    """Whether the order of UTF-16 code units, which RFC 8785 sorts by, is that of code points in parts of a text."""
    return text.isascii() or not _BEYOND_BMP.search(text)
