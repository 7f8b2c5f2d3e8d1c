"""A layered drawing with its lines: corners of nodes, and the way of each edge between and through the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from etui.viewing.layers import Edge, layers
from etui.viewing.placement import GUTTER, Column, Plan, Size, columns_of

Point = tuple[float, float]

_TURN = 16.0
_APPROACH = 22.0


@dataclass(frozen=True, slots=True)
class Line:
    """The line of an edge, or a piece of it.

    Attributes:
        points: its corners. From one to the next it is straight if both have one place across the flow, and a smooth
            curve if not; but a line that turns is straight throughout.
        turns: whether it leads from the end of a column to the beginning of the next.
        behind: whether it passes behind nodes, because too many lines are as long as it.
    """

    points: list[Point]
    turns: bool = False
    behind: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """A drawing of a graph.

    Attributes:
        corners: upper left corner of each node.
        lines: of each edge, in pieces: one, or several where it passes from column to column.
        width, height: of the whole.
    """

    corners: list[Point]
    lines: list[list[Line]]
    width: float
    height: float


def place(
    sizes: Sequence[Size], edges: Sequence[Edge], gaps: Sequence[float], *, tall: float = math.inf, aspect: float = 0.0
) -> Placement:
    """Lay out a graph from top to bottom.

    Args:
        sizes: width and height of each node.
        edges: pairs of source and target; the source has the lower number.
        gaps: room that each node needs below it.
        tall: height up to which it is left in one column.
        aspect: width by height that columns are to bring it to; 0 for a single column.
    """
    plan = Plan(layers(len(sizes), edges), sizes, gaps)
    return _Drawing(plan, columns_of(plan, tall, aspect)).placement()


class _Drawing:
    def __init__(self, plan: Plan, columns: list[Column]) -> None:
        self.plan = plan
        self.columns = columns
        self.rank = plan.layers.rank
        self.start = _TURN + _APPROACH if len(columns) > 1 else 0.0
        self.tops = [0.0] * len(plan.heights)
        self.column = [0] * len(plan.heights)
        self.shifts: list[float] = []
        left = 0.0
        for number, column in enumerate(columns):
            self.shifts.append(left - column.low)
            left += column.width + GUTTER
            down = self.start
            for rank in range(column.first, column.last + 1):
                self.tops[rank], self.column[rank] = down, number
                down += plan.heights[rank] + plan.rooms[rank]
        self.width = left - GUTTER
        self.middles = [
            middle + self.shifts[self.column[rank]] for middle, rank in zip(plan.across, self.rank, strict=True)
        ]
        self.corners = [
            (self.middles[node] - width / 2, self.tops[self.rank[node]] + (self._height(node) - height) / 2)
            for node, (width, height) in enumerate(plan.sizes)
        ]

    def placement(self) -> Placement:
        height = max(column.height for column in self.columns) + self.start
        return Placement(self.corners, [self._lines(route) for route in self.plan.layers.routes], self.width, height)

    def _height(self, vertex: int) -> float:
        return self.plan.heights[self.rank[vertex]]

    def _top(self, vertex: int) -> Point:
        """Where a line meets a vertex."""
        node = vertex < len(self.corners)
        return self.middles[vertex], self.corners[vertex][1] if node else self.tops[self.rank[vertex]]

    def _bottom(self, vertex: int) -> Point:
        """Where a line leaves a vertex."""
        x, y = self._top(vertex)
        return x, y + (self.plan.sizes[vertex][1] if vertex < len(self.corners) else self._height(vertex))

    def _lines(self, route: list[int]) -> list[Line]:
        if self.rank[route[-1]] - self.rank[route[0]] != len(route) - 1:
            return [Line([self._bottom(route[0]), self._top(route[-1])], behind=True)]
        pieces: list[Line] = []
        points: list[Point] = []
        for one, two in pairwise(route):
            rank, following = self.rank[one], self.rank[two]
            points += [self._bottom(one), (self.middles[one], self.tops[rank] + self._height(one))]
            if self.column[rank] != self.column[following]:
                turn = self._turn(points[-1], rank, self.middles[two])
                pieces.append(Line(_distinct([*points, *turn, (self.middles[two], self.tops[following])]), turns=True))
                points = []
            points.append((self.middles[two], self.tops[following]))
        points = _distinct([*points, self._top(route[-1])])
        return [*pieces, Line(points)] if len(points) > 1 else pieces

    def _turn(self, end: Point, rank: int, middle: float) -> list[Point]:
        """From the end of a column below it, between the columns up, and to above the middle of what comes next."""
        number = self.column[rank]
        aside = self.shifts[number] + self.columns[number].high + GUTTER / 2
        low, high = end[1] + self.plan.rooms[rank] - _TURN / 2, self.start - _APPROACH
        return [(end[0], low), (aside, low), (aside, high), (middle, high)]


def _distinct(points: list[Point]) -> list[Point]:
    """The points without those that repeat the one before."""
    return [
        point
        for index, point in enumerate(points)
        if not index or max(abs(point[0] - points[index - 1][0]), abs(point[1] - points[index - 1][1])) > 0.01
    ]
