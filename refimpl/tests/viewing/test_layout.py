"""The layout of graphs: nothing overlaps, lines go on and pass no node, and long graphs are folded."""

from __future__ import annotations

import time
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etui.viewing.layers import Edge, layers
from etui.viewing.placement import Size
from etui.viewing.routing import Line, Placement, place

pytestmark = pytest.mark.library

SLACK = 0.05


@st.composite
def graphs(draw: st.DrawFn, most: int = 14) -> tuple[list[Size], list[Edge]]:
    """Sizes of nodes, and edges from lower to higher numbers so that each node has one."""
    count = draw(st.integers(2, most))
    size = st.tuples(st.floats(4, 300), st.floats(4, 300))
    sizes = draw(st.lists(size, min_size=count, max_size=count))
    pairs = st.sampled_from(list(combinations(range(count), 2)))
    edges = draw(st.lists(pairs, max_size=2 * count, unique=True))
    ends = {end for edge in edges for end in edge}
    edges += [(node - 1, node) if node else (0, 1) for node in range(count) if node not in ends]
    return sizes, list(dict.fromkeys(edges))


def overlap(one: tuple[float, float, float, float], two: tuple[float, float, float, float]) -> bool:
    """Whether two boxes, given by their sides left, top, right and bottom, have more than their edges in common."""
    return one[0] < two[2] - SLACK and two[0] < one[2] - SLACK and one[1] < two[3] - SLACK and two[1] < one[3] - SLACK


def boxes(placed: Placement, sizes: list[Size]) -> list[tuple[float, float, float, float]]:
    return [(x, y, x + width, y + height) for (x, y), (width, height) in zip(placed.corners, sizes, strict=True)]


def straight(line: Line) -> list[tuple[float, float, float, float]]:
    """The boxes of the straight pieces of a line; a curve lies between two layers."""
    return [
        (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]) + 2 * SLACK, max(a[1], b[1]))
        for a, b in pairwise(line.points)
        if abs(a[0] - b[0]) < SLACK
    ]


@given(graphs(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_nothing_overlaps(graph: tuple[list[Size], list[Edge]], fold: bool) -> None:
    """No two nodes overlap, all lie in the picture, and no line passes a node on its straight way."""
    sizes, edges = graph
    gaps = [30.0] * len(sizes)
    placed = place(sizes, edges, gaps, tall=300.0, aspect=1.5 if fold else 0.0)
    found = boxes(placed, sizes)
    for one, two in combinations(found, 2):
        assert not overlap(one, two)
    for left, top, right, bottom in found:
        assert left >= -SLACK
        assert right <= placed.width + SLACK
        assert top >= -SLACK
        assert bottom <= placed.height + SLACK
    for lines in placed.lines:
        for line in lines:
            for piece in straight(line):
                assert not any(overlap(piece, box) for box in found)


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_lines_lead_from_node_to_node(graph: tuple[list[Size], list[Edge]]) -> None:
    """Each edge has a line that begins below its source, ends on its target, and never goes back in one column."""
    sizes, edges = graph
    placed = place(sizes, edges, [30.0] * len(sizes))
    assert len(placed.lines) == len(edges)
    found = boxes(placed, sizes)
    for (source, target), (line,) in zip(edges, placed.lines, strict=True):
        begin, end = line.points[0], line.points[-1]
        assert begin == pytest.approx(((found[source][0] + found[source][2]) / 2, found[source][3]))
        assert end == pytest.approx(((found[target][0] + found[target][2]) / 2, found[target][1]))
        assert all(one[1] <= two[1] + SLACK for one, two in pairwise(line.points))
        assert found[source][3] < found[target][1]


@given(graphs())
@settings(max_examples=50, deadline=None)
def test_a_layout_is_always_the_same(graph: tuple[list[Size], list[Edge]]) -> None:
    """The same graph gives the same picture."""
    sizes, edges = graph
    assert place(sizes, edges, [30.0] * len(sizes)) == place(sizes, edges, [30.0] * len(sizes))


def test_a_chain_is_a_straight_line() -> None:
    """Nodes of one chain lie below each other, whatever their widths."""
    sizes = [(100.0 + 17 * (index % 3), 40.0) for index in range(9)]
    placed = place(sizes, [(index, index + 1) for index in range(8)], [20.0] * 9)
    middles = {round(x + width / 2, 6) for (x, _), (width, _) in zip(placed.corners, sizes, strict=True)}
    assert len(middles) == 1
    assert placed.height == 9 * 40 + 8 * 20


def test_a_line_that_passes_keeps_the_chain_straight() -> None:
    """A residual line goes round the nodes that it passes, straight, and these stay below each other."""
    sizes = [(100.0, 40.0), (160.0, 40.0), (120.0, 40.0), (90.0, 40.0), (80.0, 40.0)]
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]
    placed = place(sizes, edges, [20.0] * 5)
    middles = [x + width / 2 for (x, _), (width, _) in zip(placed.corners, sizes, strict=True)]
    assert max(middles) - min(middles) < 1
    (line,) = placed.lines[4]
    inner = {round(x, 3) for x, _ in line.points[1:-1]} - {round(middles[0], 3), round(middles[4], 3)}
    assert len(inner) == 1


def test_crossings_are_avoided() -> None:
    """Two chains whose ends are named crosswise do not cross."""
    found = layers(6, [(0, 3), (1, 2), (2, 4), (3, 5)])
    assert found.order in (
        [[0, 1], [3, 2], [5, 4]],
        [[1, 0], [2, 3], [4, 5]],
    )


def test_long_graphs_are_folded() -> None:
    """A chain of 60 is broken into columns with the proportions of a page, and a line turns from each to the next."""
    sizes, edges = [(150.0, 40.0)] * 60, [(index, index + 1) for index in range(59)]
    plain = place(sizes, edges, [30.0] * 60)
    folded = place(sizes, edges, [30.0] * 60, tall=900.0, aspect=1.5)
    assert plain.height / plain.width > 20
    assert 0.8 < folded.width / folded.height < 2.4
    columns = len({x for x, _ in folded.corners})
    turns = [line for lines in folded.lines for line in lines if line.turns]
    assert len(turns) == columns - 1 > 3
    assert place(sizes[:5], edges[:4], [30.0] * 5, tall=900.0, aspect=1.5).width == 150.0


def test_a_line_that_passes_much_is_not_cut() -> None:
    """A graph with a line from its first node to its last stays in one column."""
    sizes = [(150.0, 40.0)] * 40
    edges = [*((index, index + 1) for index in range(39)), (0, 39)]
    placed = place(sizes, edges, [30.0] * 40, tall=900.0, aspect=1.5)
    assert not any(line.turns for lines in placed.lines for line in lines)


def test_a_graph_of_long_lines_takes_no_time() -> None:
    """Where each node leads to the last one, the longest lines pass behind the nodes, and the layout ends soon."""
    count = 1500
    edges = [(index, index + 1) for index in range(count - 1)] + [(index, count - 1) for index in range(count - 2)]
    begin = time.process_time()
    found = layers(count, edges)
    placed = place([(50.0, 20.0)] * count, edges, [20.0] * count)
    assert len(found.rank) <= count + 20_000
    assert any(line.behind for lines in placed.lines for line in lines)
    assert all(len(lines) == 1 for lines in placed.lines)
    assert time.process_time() - begin < 60  # no target: without a bound it would take hours and all memory
