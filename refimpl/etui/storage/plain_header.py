"""The header of a data part read by columns: as `etui.storage.safetensors` reads it, for many tensors.

Nothing is refused here: `read` accepts what it proved to be a header that the reading entry by entry accepts with the
same outcome, and leaves all else to that.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from etui import columns, dtypes
from etui.errors import EtuiError
from etui.limits import Limits

LEAST_CHARACTERS = 2**15
"""A header below this size is read entry by entry, which takes no time there."""

METADATA = "__metadata__"
"""A key of the safetensors format that is no tensor, and that no data part has (S-4)."""

_MAX_INTEGER = 2**53 - 1

# Without a backslash in it, each quote begins or ends a string. The groups are name, begin and end, and the rest, of
# which few differ. No repetition can give back what it took, so the search is linear.
_ENTRY = re.compile(
    r'"([^"]*+)":\{"data_offsets":\[([0-9]{1,16}+,[0-9]{1,16}+)\],("dtype":"[^"]*+","shape":\[[0-9,]*+\])\}(,?+)'
)
_REST = re.compile(rf'"dtype":"([^"]*+)","shape":\[({columns.INTEGERS})\]')
_CONTROL = bytes(range(0x20))


class Entry(NamedTuple):
    """A tensor of a data part: Etui dtype, shape, and the span of its bytes, counted from the data section."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Kind(NamedTuple):
    """What many tensors have in common: dtype, shape, bytes, and bytes of an element."""

    dtype: str
    shape: tuple[int, ...]
    size: int
    width: int


class PlainEntries(Mapping[str, Entry]):
    """Name -> entry, in the header's order; an entry is made when it is asked for.

    Attributes:
        names: of the tensors, ascending.
        begins, ends: the span of each, counted from the data section.
        rests: what else the header says of each, as text.
        kinds: what these texts stand for.
    """

    __slots__ = ("begins", "ends", "kinds", "names", "rests")

    def __init__(
        self,
        names: list[str],
        begins: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        rests: list[str],
        kinds: Mapping[str, Kind],
    ) -> None:
        self.names = names
        self.begins = begins
        self.ends = ends
        self.rests = rests
        self.kinds = kinds

    def __getitem__(self, name: str) -> Entry:
        at = bisect_left(self.names, name)
        if at == len(self.names) or self.names[at] != name:
            raise KeyError(name)
        kind = self.kinds[self.rests[at]]
        return Entry(kind.dtype, kind.shape, int(self.begins[at]), int(self.ends[at]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def read(text: str, available: int, limits: Limits) -> PlainEntries | None:
    """The entries of a header's text without padding; `None` where this way of reading does not do.

    Args:
        text: the JSON.
        available: bytes of the data section.
        limits: the reader's limits.
    """
    if len(text) < LEAST_CHARACTERS or "\\" in text or f'"{METADATA}"' in text:
        return None
    split = columns.split(_ENTRY, text)
    if split is None or (split[0], split[2]) != ("{", "}"):
        return None
    names, offsets, rests = split[1]
    joined = "".join(names)
    raw = joined.encode()
    if not columns.ascend(names, joined) or len(raw.translate(None, _CONTROL)) != len(raw):
        return None
    kinds = {rest: _kind(rest, limits) for rest in set(rests)}
    known = {rest: kind for rest, kind in kinds.items() if kind is not None}
    numbers = columns.integers(offsets)
    if len(known) < len(kinds) or numbers is None:
        return None
    begins, ends = numbers[::2], numbers[1::2]
    places = {rest: place for place, rest in enumerate(known)}
    of_kind = np.fromiter(map(places.__getitem__, rests), np.int64, len(rests))
    sizes, widths = np.array([(kind.size, kind.width) for kind in known.values()], np.int64).T[:, of_kind]
    # Falling widths, and within one width the names as they are: of ascending names, UTF-8 ascends too (S-5).
    order = np.argsort(-widths, kind="stable")
    spans = np.concatenate(([0], ends[order]))
    if not (np.array_equal(ends - begins, sizes) and np.array_equal(spans[:-1], begins[order])):
        return None
    return PlainEntries(names, begins, ends, rests, known) if spans[-1] == available else None


def _kind(rest: str, limits: Limits) -> Kind | None:
    match = _REST.fullmatch(rest)
    dtype = dtypes.BY_SAFETENSORS.get(match[1]) if match else None
    if match is None or dtype is None or match[2].count(",") >= limits.rank:
        return None
    shape = tuple(map(int, match[2].split(","))) if match[2] else ()
    try:
        size = dtypes.check_size(dtype.name, shape, "", limits)
    except EtuiError:
        return None
    if max(shape, default=0) > _MAX_INTEGER or size > _MAX_INTEGER:
        return None
    return Kind(dtype.name, shape, size, dtype.bits // 8)
