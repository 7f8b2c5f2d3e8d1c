"""Places in a layered drawing: where each vertex is across the flow, and in which column where the drawing gets long.

Everything is laid out from top to bottom; a drawing from left to right is the same with its axes swapped.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from etui.viewing.layers import Layers

Size = tuple[float, float]

GUTTER = 52.0
"""Between two columns."""
SIDE_GAP = 26.0
"""Between two nodes of a layer."""
_BEND_GAP = 14.0
_BEND_WIDTH = 6.0
_PASSES = 6
_STRAIGHT = (4.0, 1.0, 16.0)
_FIRM = 1000.0
_SHORT = 10
_BRANCHED = 0.4
_TRIES = 24


@dataclass
class Plan:
    """A graph in layers, with the sizes of what is in them.

    Attributes:
        layers: of the graph.
        sizes: width and height of each node.
        gaps: room that each node needs below it.
    """

    layers: Layers
    sizes: Sequence[Size]
    gaps: Sequence[float]

    @cached_property
    def widths(self) -> list[float]:
        """The width of each vertex."""
        bends = len(self.layers.rank) - len(self.sizes)
        return [width for width, _ in self.sizes] + [_BEND_WIDTH] * bends

    @cached_property
    def heights(self) -> list[float]:
        """The height of each layer."""
        return [max((self.sizes[node][1] for node in self._nodes(layer)), default=0.0) for layer in self.layers.order]

    @cached_property
    def rooms(self) -> list[float]:
        """The room below each layer."""
        return [max((self.gaps[node] for node in self._nodes(layer)), default=0.0) for layer in self.layers.order]

    @cached_property
    def across(self) -> list[float]:
        """The middle of each vertex across the flow."""
        return _across(self.layers, self.widths)

    def _nodes(self, layer: Iterable[int]) -> Iterable[int]:
        return (vertex for vertex in layer if not self.layers.is_bend(vertex))


def _across(found: Layers, widths: Sequence[float]) -> list[float]:
    across = [0.0] * len(widths)
    for layer in found.order:
        _spread(found, layer, widths, across, [(0.0, 1.0)] * len(layer))
    for turn in range(_PASSES):
        # Near to each other at first; then what hangs together keeps its distances, so that lines become straight.
        rigid = turn >= _PASSES // 2
        for layer in found.order[1:]:
            _spread(found, layer, widths, across, _wanted(found, layer, across, down=True, rigid=rigid))
        for layer in reversed(found.order[:-1]):
            _spread(found, layer, widths, across, _wanted(found, layer, across, down=False, rigid=rigid))
    _straighten(found, widths, across)
    return across


def _wanted(
    found: Layers, layer: list[int], across: list[float], *, down: bool, rigid: bool
) -> list[tuple[float, float]]:
    """Where each vertex of a layer is best for what it is linked to on one side, and how much that matters.

    Args:
        found: the layers.
        layer: whose vertices are placed.
        across: where every vertex is.
        down: whether the side is that above.
        rigid: move what hangs on one vertex alone together, so that its middle is there and its distances stay.
    """
    links, back = (found.above, found.below) if down else (found.below, found.above)
    middles: dict[int, float] = {}
    wanted = []
    for vertex in layer:
        others = links[vertex]
        near = [(across[other], worth) for other, worth in zip(others, _worths(found, vertex, others), strict=True)]
        if rigid and len(others) == 1:
            (other,) = others
            if other not in middles:
                own = [one for one in back[other] if len(links[one]) == 1]
                worths = _worths(found, other, own)
                middles[other] = _median([(across[one], worth) for one, worth in zip(own, worths, strict=True)])
            near = [(across[other] + across[vertex] - middles[other], 1.0)]
        weight = 1.0 if found.is_bend(vertex) else _FIRM  # lines make way for nodes
        wanted.append((_median(near), weight) if near else (across[vertex], 0.1))
    return wanted


def _worths(found: Layers, vertex: int, others: list[int]) -> list[float]:
    """What straight links are worth: of two, the way from node to node goes before a branch; of many, all are alike."""
    if len(others) > 2:
        return [1.0] * len(others)
    return [_STRAIGHT[found.is_bend(vertex) + found.is_bend(other)] for other in others]


def _straighten(found: Layers, widths: Sequence[float], across: list[float]) -> None:
    """Draw each line that passes layers straight, where there is room: those on the outside first."""
    place = {vertex: (rank, index) for rank, layer in enumerate(found.order) for index, vertex in enumerate(layer)}

    def fits(vertex: int, wanted: float) -> bool:
        rank, index = place[vertex]
        layer = found.order[rank]
        room = widths[vertex] / 2 + _BEND_GAP - 0.01
        low = across[layer[index - 1]] + widths[layer[index - 1]] / 2 + room if index else -math.inf
        high = math.inf
        if index + 1 < len(layer):
            high = across[layer[index + 1]] - widths[layer[index + 1]] / 2 - room
        return low <= wanted <= high

    for chain in sorted(found.chains, key=lambda chain: -max(across[bend] for bend in chain)):
        positions = [across[bend] for bend in chain]
        for wanted in (max(positions), min(positions), sorted(positions)[len(positions) // 2]):
            if all(fits(bend, wanted) for bend in chain):
                for bend in chain:
                    across[bend] = wanted
                break


def _median(near: list[tuple[float, float]]) -> float:
    near.sort()
    half, passed = sum(weight for _, weight in near) / 2, 0.0
    for index, (position, weight) in enumerate(near):
        passed += weight
        if math.isclose(passed, half):
            return (position + near[index + 1][0]) / 2
        if passed > half:
            return position
    return near[-1][0]


def _spread(
    found: Layers, layer: list[int], widths: Sequence[float], across: list[float], wanted: list[tuple[float, float]]
) -> None:
    """Put the vertices of a layer where they are wanted, in their order and apart, with the least sum of squares.

    With the distances taken off, that is the regression on a rising sequence, which pooling neighbours solves exactly.
    """
    offsets = [0.0]
    for one, two in pairwise(layer):
        gap = _BEND_GAP if found.is_bend(one) or found.is_bend(two) else SIDE_GAP
        offsets.append(offsets[-1] + (widths[one] + widths[two]) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # mean, weight, vertices
    for (position, weight), offset in zip(wanted, offsets, strict=True):
        mean, total, count = position - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, more, vertices = pools.pop()
            mean = (mean * total + other * more) / (total + more)
            total, count = total + more, count + vertices
        pools.append((mean, total, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    for vertex, mean, offset in zip(layer, means, offsets, strict=True):
        across[vertex] = mean + offset


@dataclass(frozen=True, slots=True)
class Column:
    """Layers from `first` to `last`, how far they reach across, and how long they are with the room of the last."""

    first: int
    last: int
    low: float
    high: float
    height: float

    @property
    def width(self) -> float:
        """Across the flow."""
        return self.high - self.low


def columns_of(plan: Plan, tall: float, aspect: float) -> list[Column]:
    """The columns of a drawing: one, or as many as bring it near to the proportions of a page.

    A column ends where one node is alone in its layer, and best where a single line goes on from it; never where a
    line would go on that passes many layers.

    Args:
        plan: of the drawing.
        tall: height up to which one column is good.
        aspect: width by height that is best; 0 for a single column.
    """
    one = [_column(plan, 0, len(plan.heights) - 1)]
    if not aspect or one[0].height <= tall:
        return one
    cuts = _cuts(plan)
    single = [cut for cut in cuts if len(plan.layers.below[plan.layers.order[cut][0]]) == 1]
    tried = [(_badness(one, aspect), one)]
    # Of columns of one width, so many would bring the whole to its proportions.
    best = math.sqrt(aspect * one[0].height / (one[0].width + GUTTER))
    numbers = {max(2, round(best * (0.4 + 1.2 * step / _TRIES))) for step in range(_TRIES + 1)}
    for places, price in ((single, 0.0), (cuts, _BRANCHED)):
        for number in sorted(number for number in numbers if number <= len(places) + 1):
            columns = _cut(plan, places, number)
            tried.append((_badness(columns, aspect) + price, columns))
    return min(tried, key=lambda item: item[0])[1]


def _cuts(plan: Plan) -> list[int]:
    """The layers that may end a column."""
    found = []
    for rank, layer in enumerate(plan.layers.order[:-1]):
        if len(layer) == 1 and not plan.layers.is_bend(layer[0]):
            vertex, length = layer[0], 0
            while bends := [below for below in plan.layers.below[vertex] if plan.layers.is_bend(below)]:
                vertex, length = bends[0], length + 1
            if length <= _SHORT:
                found.append(rank)
    return found


def _badness(columns: list[Column], aspect: float) -> float:
    """How far the drawing is from the proportions of a page, and how uneven its columns are."""
    width = sum(column.width + GUTTER for column in columns)
    height = max(column.height for column in columns)
    filled = sum(column.height for column in columns) / (height * len(columns))
    return abs(math.log(width / height / aspect)) + 2 * (1 - filled)


def _cut(plan: Plan, cuts: list[int], number: int) -> list[Column]:
    """Columns of about one height."""
    ends = [*accumulate(height + room for height, room in zip(plan.heights, plan.rooms, strict=True))]
    reached = [ends[cut] for cut in cuts]
    columns, first, least = [], 0, 0
    for number_of_column in range(1, number):
        wanted = ends[-1] * number_of_column / number
        place = bisect_left(reached, wanted, least)
        if place and (place == len(cuts) or wanted - reached[place - 1] < reached[place] - wanted):
            place -= 1
        if place < least:
            continue
        columns.append(_column(plan, first, cuts[place]))
        first, least = cuts[place] + 1, place + 1
        if least == len(cuts):
            break
    return [*columns, _column(plan, first, len(plan.heights) - 1)]


def _column(plan: Plan, first: int, last: int) -> Column:
    inside = [vertex for layer in plan.layers.order[first : last + 1] for vertex in layer]
    low = min(plan.across[vertex] - plan.widths[vertex] / 2 for vertex in inside)
    high = max(plan.across[vertex] + plan.widths[vertex] / 2 for vertex in inside)
    end = last if last == len(plan.heights) - 1 else last + 1
    return Column(first, last, low, high, sum(plan.heights[first : last + 1]) + sum(plan.rooms[first:end]))
