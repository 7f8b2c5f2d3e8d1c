"""How large each node of a graph is drawn, and where: a nested graph is laid out first, and its frame then placed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from etui.viewing.graph import Level, Node
from etui.viewing.lettering import clipped, compact, width_of
from etui.viewing.placement import Size
from etui.viewing.routing import Line, Point, place

Direction = Literal["down", "right"]
DIRECTIONS: tuple[Direction, ...] = ("down", "right")

OP_SIZE, NAME_SIZE, SHAPE_SIZE = 13.0, 11.5, 10.5
LEFT, RIGHT = 16.0, 13.0
CARD, PILL, NOTE_LINE = 46.0, 28.0, 16.0
BAR, PADDING = 36.0, 18.0
_BETWEEN = 16.0
_LEAST = 118.0
_NAME_LENGTH = 40
_SHAPE_LENGTH = 44
_GAP, _GAP_WITH_SHAPE = 26.0, 36.0
_ASPECT = 1.5
_LONG = {"down": 900.0, "right": 1350.0}
_PACKED_GAP = 16.0


@dataclass(slots=True)
class Box:
    """A node with its size, and what is in it with its places.

    Attributes:
        node: what is drawn.
        width, height: of the card, the pill or the frame.
        op, name, summary, parameters, note, shapes: its texts as they are drawn.
        inner: what is in a frame.
        aside: whether the shapes are written on the left of the line, because others leave to the right.
    """

    node: Node
    width: float
    height: float
    op: str
    name: str
    summary: str
    parameters: str
    note: str
    shapes: str
    inner: Inner | None = None
    aside: bool = False

    @property
    def is_pill(self) -> bool:
        """Whether it is an end of the graph, which is drawn smaller."""
        return self.node.family in {"io", "output"}


@dataclass(slots=True)
class Inner:
    """What is in a frame: boxes with their upper left corners, and the lines between them.

    The corners are relative to that of the frame, and so are the lines.
    """

    boxes: list[Box]
    corners: list[Point] = field(default_factory=list)
    lines: list[list[Line]] = field(default_factory=list)


def box_of(node: Node, direction: Direction = "down", *, fold: bool = True) -> Box:
    """Lay out a node and everything in it.

    Args:
        node: of a graph.
        direction: in which it goes.
        fold: break long graphs into columns, or rows.
    """
    name, op = clipped(node.name, _NAME_LENGTH), clipped(node.op, _NAME_LENGTH)
    parameters = compact(node.parameters) if node.parameters else ""
    if parameters and node.frozen:
        parameters = f"{parameters} frozen"
    notes = [node.note] if node.note else []
    if node.same and node.same != node.path:
        notes.append(f"is {clipped(node.same, _NAME_LENGTH)}")
    elif node.same:
        notes.append("same weights")
    shapes = clipped(node.shapes, _SHAPE_LENGTH) if node.shapes else ""
    box = Box(node, 0, 0, op, name, clipped(node.summary, _NAME_LENGTH), parameters, ", ".join(notes), shapes)
    if node.level is None:
        _measure(box)
    else:
        _frame(box, node.level, direction, fold=fold)
    return box


def _measure(box: Box) -> None:
    if box.is_pill:
        beside = box.summary if box.node.family == "output" else box.name
        box.width = width_of(box.op, NAME_SIZE, bold=True) + width_of(beside, NAME_SIZE) + 2 * LEFT + 8 * bool(beside)
        box.height = PILL
        return
    box.width = max(_LEAST, *_lines(box))
    box.height = CARD + (NOTE_LINE if box.note else 0.0)


def _lines(box: Box) -> list[float]:
    """The widths of a card's lines with what is beside them."""
    first = width_of(box.op, OP_SIZE, bold=True) + (_BETWEEN + width_of(box.summary, NAME_SIZE) if box.summary else 0)
    second = width_of(box.name, NAME_SIZE) + (_BETWEEN + width_of(box.parameters, NAME_SIZE) if box.parameters else 0)
    return [width + LEFT + RIGHT for width in (first, second, width_of(box.note, NAME_SIZE))]


def _frame(box: Box, level: Level, direction: Direction, *, fold: bool) -> None:
    boxes = [box_of(node, direction, fold=fold) for node in level.nodes]
    inner = Inner(boxes)
    width, height = _arrange(inner, level.edges, direction, fold=fold)
    texts = [width_of(box.op, OP_SIZE, bold=True), width_of(box.name, NAME_SIZE)]
    texts += [width_of(text, NAME_SIZE) for text in (box.parameters, box.note) if text]
    title = sum(texts) + _BETWEEN * (len(texts) - 1) + LEFT + RIGHT
    box.width = max(width + 2 * PADDING, title)
    box.height = BAR + height + PADDING
    aside = (box.width - width) / 2
    inner.corners = [(x + aside, y + BAR) for x, y in inner.corners]
    inner.lines = [[_moved(line, aside, BAR, direction) for line in lines] for lines in inner.lines]
    box.inner = inner


def _moved(line: Line, right: float, down: float, direction: Direction) -> Line:
    first, second = (right, down) if direction == "down" else (down, right)
    points = [(across + first, along + second) for across, along in line.points]
    return Line(points, line.turns, line.behind)


def _arrange(inner: Inner, edges: Sequence[tuple[int, int]], direction: Direction, *, fold: bool) -> Size:
    """Place what is linked in layers, and what is not in rows below."""
    ends_of_edges = {end for edge in edges for end in edge}
    linked = sorted(ends_of_edges)
    loose = [number for number in range(len(inner.boxes)) if number not in ends_of_edges]
    inner.corners = [(0.0, 0.0)] * len(inner.boxes)
    width = height = 0.0
    if linked:
        numbers = {number: index for index, number in enumerate(linked)}
        sizes = [_swapped((inner.boxes[number].width, inner.boxes[number].height), direction) for number in linked]
        gaps = [_gap(inner.boxes[number], direction) for number in linked]
        aspect = (_ASPECT if direction == "down" else 1 / _ASPECT) if fold else 0.0
        ends = [(numbers[source], numbers[target]) for source, target in edges]
        placed = place(sizes, ends, gaps, tall=_LONG[direction], aspect=aspect)
        for number, corner in zip(linked, placed.corners, strict=True):
            inner.corners[number] = _swapped(corner, direction)
        inner.lines = placed.lines
        if direction == "down":
            _set_aside(inner, edges)
        width, height = _swapped((placed.width, placed.height), direction)
    if loose:
        start = height + (_PACKED_GAP if linked else 0.0)
        area = sum((inner.boxes[number].width + 16) * (inner.boxes[number].height + 16) for number in loose)
        two = sum(inner.boxes[number].width + _PACKED_GAP for number in loose[:2])
        room = max(width, math.sqrt(area * _ASPECT), two)
        wide, high = _pack(inner, loose, start, room)
        width, height = max(width, wide), high
    return width, height


def _set_aside(inner: Inner, edges: Sequence[tuple[int, int]]) -> None:
    """Write the shape on the left of a line where others leave or arrive on its right."""
    arriving: dict[int, float] = {}  # how far on the right the outermost line comes from
    for (_, target), lines in zip(edges, inner.lines, strict=True):
        right = lines[-1].points[-2][0] - lines[-1].points[-1][0]
        arriving[target] = max(right, arriving.get(target, right))
    for (source, target), lines in zip(edges, inner.lines, strict=True):
        points = lines[0].points
        leaves_right = not lines[0].turns and any(x > points[0][0] + 1 for x, _ in points[1:3])
        crossed = len(lines) == 1 and points[0][0] <= points[-1][0] + 1 and arriving[target] > 1
        if (leaves_right and len(inner.lines) > 1) or (crossed and len(points) < 4):
            inner.boxes[source].aside = True


def _pack(inner: Inner, numbers: list[int], down: float, room: float) -> Size:
    """Rows of boxes; gives the width of the widest, and where the last one ends."""
    right = row = widest = 0.0
    for number in numbers:
        box = inner.boxes[number]
        if right and right + box.width > room:
            right, down, row = 0.0, down + row + _PACKED_GAP, 0.0
        inner.corners[number] = (right, down)
        right += box.width + _PACKED_GAP
        row, widest = max(row, box.height), max(widest, right - _PACKED_GAP)
    return widest, down + row


def _gap(box: Box, direction: Direction) -> float:
    """The room that the shape of what leaves a box needs behind it."""
    if not box.shapes:
        return _GAP
    return _GAP_WITH_SHAPE if direction == "down" else width_of(box.shapes, SHAPE_SIZE) + 24.0


def _swapped(pair: tuple[float, float], direction: Direction) -> tuple[float, float]:
    return pair if direction == "down" else (pair[1], pair[0])
