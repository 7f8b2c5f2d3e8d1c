"""`weights.json` read by columns, where every variable is a plain tensor in one chunk (SPEC.md chapter 12).

Nearly every document is of that kind, and one with many variables should cost little per variable. So one regular
expression takes all entries apart, and the columns are checked as wholes. Nothing is refused here: `read` accepts what
it proved to be a document that `etui.containers.weights` accepts with the same outcome, and leaves all else to it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cache
from typing import NamedTuple

import numpy as np

from etui import columns, dtypes, paths
from etui._version import SPEC_VERSION
from etui.canonical import json
from etui.canonical.numbers import MAX_INTEGER
from etui.containers.cover import Shape
from etui.containers.data_parts import Chunk, DataParts
from etui.containers.pieces import Piece, Stored
from etui.containers.plain_spans import Spans
from etui.containers.tensors import Tensor
from etui.containers.variable import Variable
from etui.errors import EtuiError
from etui.garbage import no_garbage
from etui.limits import Limits
from etui.storage.plain_header import PlainEntries

LEAST_BYTES = 2**15
"""A document below this size is decoded entry by entry, which takes no time there."""

_DOCUMENT = "weights.json"
_BEGIN = '{"aliases":'
_MIDDLE = ',"format":"etui-weights","variables":{'
_END = f'}},"version":"{SPEC_VERSION}"}}'
_DEPTH = 5  # levels of such a document: itself, variables, variable, chunks, chunk


@cache
def _entry(part: str) -> re.Pattern[str]:
    """An entry: path, digest, part unless it is a given one, dtype, order, and the rest, of which few differ.

    Without a backslash in the text, each quote begins or ends a string. No repetition can give back what it took, so
    that the search is linear.
    """
    return re.compile(
        rf'"([^"]*+)":\{{"chunks":\[\{{"digest":"sha256:([^"]*+)","part":"{part}","tensor":"\1"\}}\],"dtype":"([^"]*+)",'
        r'"order":([0-9]{1,15}+),("role":"[^"]*+","shape":\[[0-9,]*+\],"trainable":[a-z]++)\}(,?+)'
    )


_USUAL_PART = "weights.safetensors"
_REST = re.compile(rf'"role":"([^"\\\x00-\x1f]++)","shape":\[({columns.INTEGERS})\],"trainable":(true|false)')
_HEX = b"0123456789abcdef"
_DIGEST_DIGITS = 64


class _Kind(NamedTuple):
    """What many variables have in common."""

    dtype: str
    shape: Shape
    role: str
    trainable: bool


class PlainVariables:
    """The variables of a document as columns; a `Variable` is made when it is asked for, and then kept.

    Args:
        parts: the data parts that the chunks name.
        entries: of the document, in its order.
        places: the variables in the model's order, as places in the columns.
        kinds: by dtype and rest.
    """

    __slots__ = ("_entries", "_kinds", "_made", "_places", "parts")

    def __init__(
        self, parts: DataParts, entries: _Entries, places: list[int], kinds: dict[tuple[str, str], _Kind]
    ) -> None:
        self.parts = parts
        self._entries = entries
        self._places = places
        self._kinds = kinds
        self._made: dict[str, Variable] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, path: object) -> bool:
        return self._find(path) is not None

    def __getitem__(self, path: str) -> Variable:
        variable = self._made.get(path)
        if variable is None:
            at = self._find(path)
            if at is None:
                raise KeyError(path)
            variable = self._made.setdefault(path, self._make(at))
        return variable

    def paths(self) -> list[str]:
        """The paths in the model's order."""
        return list(map(self._entries.paths.__getitem__, self._places))

    @no_garbage()
    def variables(self) -> dict[str, Variable]:
        """All variables by path, in the model's order."""
        made, make = self._made, self._make
        return {
            path: made.get(path) or made.setdefault(path, make(at))
            for path, at in zip(self.paths(), self._places, strict=True)
        }

    def spans(self) -> Spans | None:
        """Where the bytes of all variables are; `None` unless one data part has just these, by columns."""
        paths, digests, parts, dtypes_, _, rests = self._entries
        header = self.parts.header(parts[0]) if len(set(parts)) == 1 else None
        found = header.entries if header is not None else None
        if header is None or not isinstance(found, PlainEntries) or found.names != paths:
            return None
        kinds = {dtype_and_rest: self._kinds[dtype_and_rest][:2] for dtype_and_rest in self._kinds}
        pairs = set(zip(dtypes_, rests, found.rests, strict=True))
        same = all(kinds[dtype, rest] == found.kinds[other][:2] for dtype, rest, other in pairs)
        # The bytes of bools have a rule of their own.
        if not same or any(dtype == "bool" for dtype, _, _ in pairs):
            return None
        source = self.parts.source(parts[0])
        return Spans(source, paths, (found.begins + header.size).tolist(), (found.ends + header.size).tolist(), digests)

    def _find(self, path: object) -> int | None:
        if not isinstance(path, str):
            return None
        known = self._entries.paths
        at = bisect_left(known, path)
        return at if at < len(known) and known[at] == path else None

    def _make(self, at: int) -> Variable:
        entries = self._entries
        dtype, shape, role, trainable = self._kinds[entries.dtypes[at], entries.rests[at]]
        chunk = Chunk(entries.parts[at], entries.paths[at], f"sha256:{entries.digests[at]}")
        piece = Piece(None, shape, Stored(self.parts, chunk, dtype, shape))
        return Variable(Tensor(dtype, shape, pieces=(piece,)), role, trainable)


class _Entries(NamedTuple):
    """The parts of all entries, in the document's order."""

    paths: list[str]
    digests: list[str]
    parts: list[str]
    dtypes: list[str]
    orders: list[str]
    rests: list[str]


def read(data: bytes, parts: DataParts, limits: Limits) -> tuple[PlainVariables, dict[str, str]] | None:
    """The variables and aliases of the bytes of `weights.json`; `None` where this way of reading does not do."""
    if not LEAST_BYTES <= len(data) <= limits.document_bytes or limits.depth < _DEPTH or b"\\" in data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    # A document with this part has no others, unless tensors of its own are elsewhere.
    split = columns.split(_entry(re.escape(_USUAL_PART) if parts.has(_USUAL_PART) else '([^"]*+)'), text)
    if split is None:
        return None
    begin, found, end = split
    if not (begin.startswith(_BEGIN) and begin.endswith(_MIDDLE) and end == _END):
        return None
    if parts.has(_USUAL_PART):
        found.insert(2, [_USUAL_PART] * len(found[0]))
    entries = _Entries(*found)
    kinds = _kinds(entries, limits)
    places = _places(entries.orders)
    if kinds is None or places is None or not (_sound_paths(entries.paths, limits) and _sound_digests(entries.digests)):
        return None
    variables = PlainVariables(parts, entries, places, kinds)
    try:
        aliases = _aliases(begin[len(_BEGIN) : -len(_MIDDLE)], variables, entries.paths, limits)
    except EtuiError:
        return None
    if aliases is None or len(variables) + len(aliases) > limits.variables:
        return None
    # Last, since it is the only step that leaves a trace.
    if not parts.claim_all(entries.parts, entries.paths):
        return None
    return variables, aliases


def _kinds(entries: _Entries, limits: Limits) -> dict[tuple[str, str], _Kind] | None:
    few = set(entries.dtypes)
    rests = set(entries.rests)
    pairs = {(*few, rest) for rest in rests} if len(few) == 1 else set(zip(entries.dtypes, entries.rests, strict=True))
    # Strings are compared with their limit here and not one by one: paths have their own, and digests 71 characters.
    longest = max(limits.path_bytes, limits.part_name_bytes, 71, *(len(rest.encode()) for rest in rests))
    if longest > limits.string_bytes:
        return None
    kinds = {}
    for dtype, rest in pairs:
        kind = _kind(dtype, rest, limits)
        if kind is None:
            return None
        kinds[dtype, rest] = kind
    return kinds


def _kind(dtype: str, rest: str, limits: Limits) -> _Kind | None:
    found = dtypes.DTYPES.get(dtype)
    match = _REST.fullmatch(rest)
    if found is None or found.safetensors is None or match is None or match[2].count(",") >= limits.rank:
        return None
    role, extents, trainable = match.groups()
    shape = tuple(map(int, extents.split(","))) if extents else ()
    if max(shape, default=0) > MAX_INTEGER:
        return None
    try:
        dtypes.check_size(dtype, shape, "", limits)
    except EtuiError:
        return None
    return _Kind(dtype, shape, role, trainable == "true")


def _places(orders: list[str]) -> list[int] | None:
    """The places in the document by `order`, if these are 0 to n - 1 in their canonical form."""
    count = len(orders)
    numbers = columns.integers(orders)
    if numbers is None or numbers.max() >= count:
        return None
    places = np.full(count, -1, np.int64)
    places[numbers] = np.arange(count)
    return None if places.min() < 0 else places.tolist()


def _sound_paths(known: list[str], limits: Limits) -> bool:
    """Whether paths have their form, ascend as RFC 8785 sorts them, and so differ, also in normalization form C."""
    joined = "".join(known)
    return columns.ascend(known, joined) and paths.all_sound(known, limits) and (joined.isascii() or _differ(known))


def _differ(known: list[str]) -> bool:
    try:
        paths.check_no_collisions(known, _DOCUMENT)
    except EtuiError:
        return False
    return True


def _sound_digests(digests: list[str]) -> bool:
    joined = "".join(digests).encode()
    return set(map(len, digests)) == {_DIGEST_DIGITS} and not joined.translate(None, _HEX)


def _aliases(text: str, variables: PlainVariables, known: list[str], limits: Limits) -> dict[str, str] | None:
    aliases: dict[str, str] = json.decode(text.encode(), where=_DOCUMENT, limits=limits)
    if not aliases:
        return aliases
    for path, target in aliases.items():
        if path in variables or target not in variables:
            return None
    names = [*known, *aliases]
    return aliases if paths.all_sound(list(aliases), limits) and _differ(names) else None
