"""Layouts: where the bytes of a data part's data section are, as pieces of objects (SPEC.md annex Q.3)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from etui import digest
from etui.canonical import json
from etui.containers.fields import Context, Json, open_document
from etui.errors import error, shown
from etui.garbage import no_garbage
from etui.limits import DEFAULT_LIMITS, Limits

DOCUMENT = "layout.json"
"""What messages call a layout."""
# SPEC.md CS-18: as many pieces, each of an object of its own, fit into these bytes.
MOST_PIECES = 1_000_000
MOST_BYTES = 128 * 1024 * 1024

_MOST = 2**53 - 1
Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The pieces of a data section, one behind the other.

    Attributes:
        objects: digests, in the order of their first use.
        pieces: (number of the object, offset in it, size), in bytes.
        ends: where each piece ends in the data section.
        newer: whether it is of a newer minor version.
    """

    objects: Sequence[str]
    pieces: Sequence[Triple]
    ends: Sequence[int] = field(default=())
    newer: bool = False

    @classmethod
    @no_garbage()
    def of(cls, ranges: Iterable[tuple[str, int, int]]) -> Layout:
        """The layout of ranges (object, offset, size); those that go on in the same object become one piece."""
        numbers: dict[str, int] = {}
        pieces: list[Triple] = []
        last = (-1, 0)
        for name, offset, size in ranges:
            if not size:
                continue
            number = numbers.setdefault(name, len(numbers))
            if last == (number, offset):
                _, begin, before = pieces[-1]
                pieces[-1] = (number, begin, before + size)
            else:
                pieces.append((number, offset, size))
            last = (number, offset + size)
        return cls(list(numbers), pieces, _ends(pieces))

    @property
    def size(self) -> int:
        """Bytes of the data section."""
        return self.ends[-1] if self.ends else 0

    def find(self, offset: int, length: int) -> Iterator[Triple]:
        """The pieces that hold a range of the data section, which is inside of it, cut to the range."""
        at = bisect_right(self.ends, offset)
        while length > 0:
            number, begin, size = self.pieces[at]
            inside = offset - (self.ends[at] - size)
            taken = min(size - inside, length)
            yield number, begin + inside, taken
            offset, length, at = offset + taken, length - taken, at + 1

    def reach(self) -> list[int]:
        """How many bytes each object needs to have at least."""
        most = [0] * len(self.objects)
        for number, offset, size in self.pieces:
            most[number] = max(most[number], offset + size)
        return most


@no_garbage()
def encode(layout: Layout) -> bytes:
    """The bytes of a layout."""
    return json.encode(
        {
            "format": "etui-layout",
            "version": "1.0",
            "objects": list(layout.objects),
            "pieces": [list(piece) for piece in layout.pieces],
        }
    )


@no_garbage()
def decode(data: bytes, where: str = DOCUMENT, limits: Limits = DEFAULT_LIMITS) -> Layout:
    """The layout of a document's bytes, whose digest was checked.

    Args:
        data: the bytes.
        where: the data part, for messages.
        limits: the reader's limits.

    Raises:
        RejectError: ``limit-pieces``, ``layout-form``, ``version-unsupported``, or the code of another clause.
    """
    # In the canonical form, a bracket opens each list and each piece; a field that begins with x- may have more.
    most = data.count(b"[") - 2
    if most > MOST_PIECES or len(data) > MOST_BYTES:
        raise error("limit-pieces", where=where, found=f"up to {most} in {len(data)} bytes")
    tree = json.decode(data, where=where, limits=limits)
    context, _ = open_document(tree, DOCUMENT, limits, {"objects", "pieces"})
    context = Context(where, context.code, context.newer, limits)
    objects = context.strings(tree["objects"], "objects")
    for name in objects:
        digest.parse(name, context.place("objects"))
    pieces = [_piece(context, node) for node in context.typed(tree, "pieces", list, "")]
    seen = 0
    last = (-1, 0)
    for number, offset, size in pieces:
        if number > seen or number >= len(objects):
            raise context.fail("objects", f"a piece of object {number} behind those of {seen}")
        seen += number == seen
        if last == (number, offset):
            raise context.fail("pieces", f"a piece of its own at {offset} of object {number}, where the last one ends")
        last = (number, offset + size)
    if seen != len(objects) or len(set(objects)) != seen:
        raise context.fail("objects", f"{len(objects)} objects, of which the pieces use {seen}")
    return Layout(objects, pieces, _ends(pieces), context.newer)


def _ends(pieces: Iterable[Triple]) -> list[int]:
    return list(accumulate(size for _, _, size in pieces))


def _piece(context: Context, node: Json) -> Triple:
    if (
        type(node) is not list
        or len(node) != 3
        or not all(type(value) is int for value in node)
        or not (node[0] >= 0 and node[1] >= 0 and node[2] > 0 and node[1] + node[2] <= _MOST)
    ):
        raise context.fail("pieces", f"{shown(node)} in place of a piece")
    number, offset, size = node
    return number, offset, size
