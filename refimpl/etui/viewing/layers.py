"""The order of a layered drawing: which layer each node is in, and which place within it (Sugiyama's method).

Etui draws by itself what other software draws with a layout library, because those that come as wheels place points of
one size, and here a node may be a whole model in a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Edge = tuple[int, int]
_SWEEPS = 8
_MOST_BENDS = 20_000


@dataclass(slots=True)
class Layers:
    """Vertices in layers, in which each link leads from one layer to the next.

    The vertices are the nodes and, behind them, the bends of edges that pass layers. All edges of one node that pass a
    layer share a bend, so that they are drawn as one line that branches where they end.

    Attributes:
        nodes: number of nodes; a vertex with a greater number is a bend.
        rank: layer of each vertex.
        order: vertices of each layer, from one side to the other.
        above, below: what each vertex is linked to in the layers before and behind its own.
        routes: for each edge its vertices, source and target included; of an edge that is not routed, those two alone.
        chains: the bends that follow each other, of each node that has some.
    """

    nodes: int
    rank: list[int]
    order: list[list[int]] = field(default_factory=list)
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    routes: list[list[int]] = field(default_factory=list)
    chains: list[list[int]] = field(default_factory=list)

    def is_bend(self, vertex: int) -> bool:
        """Whether a vertex is no node."""
        return vertex >= self.nodes


def layers(count: int, edges: Sequence[Edge]) -> Layers:
    """Put the nodes of a graph into layers, and order each so that few lines cross.

    Args:
        count: number of nodes.
        edges: pairs of source and target; the source has the lower number.
    """
    found = Layers(count, _ranks(count, edges))
    _add_bends(found, edges)
    found.order = [[] for _ in range(max(found.rank, default=-1) + 1)]
    for vertex, rank in enumerate(found.rank):
        found.order[rank].append(vertex)
    _order(found)
    return found


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """The layer of each node: behind all that lead to it; one to which nothing leads is right before the first user."""
    rank = [0] * count
    below: list[list[int]] = [[] for _ in range(count)]
    led = [False] * count
    for source, target in edges:
        below[source].append(target)
        led[target] = True
    for node in range(count):
        for target in below[node]:
            rank[target] = max(rank[target], rank[node] + 1)
    for node in range(count):
        if not led[node] and below[node]:
            rank[node] = min(rank[target] for target in below[node]) - 1
    return rank


def _add_bends(found: Layers, edges: Sequence[Edge]) -> None:
    spans = sorted(((found.rank[target] - found.rank[source], source) for source, target in edges), reverse=True)
    longest: dict[int, int] = {}
    for span, source in spans:
        longest.setdefault(source, span)
    # A graph in which most lines are long would be all bends: the longest are then drawn behind the others.
    bends, allowed = 0, 0
    for span in sorted(longest.values()):
        bends += span - 1
        if bends > _MOST_BENDS:
            break
        allowed = span
    chains: dict[Edge, int] = {}
    links: set[Edge] = set()
    for source, target in edges:
        route = [source]
        first, last = found.rank[source], found.rank[target]
        if last - first <= max(allowed, 1):
            for rank in range(first + 1, last):
                if (source, rank) not in chains:
                    chains[source, rank] = len(found.rank)
                    found.rank.append(rank)
                route.append(chains[source, rank])
            links |= set(pairwise([*route, target]))
        found.routes.append([*route, target])
    by_source: dict[int, list[int]] = {}
    for (source, _), bend in sorted(chains.items()):
        by_source.setdefault(source, []).append(bend)
    found.chains = list(by_source.values())
    found.above = [[] for _ in found.rank]
    found.below = [[] for _ in found.rank]
    for upper, lower in sorted(links):
        found.below[upper].append(lower)
        found.above[lower].append(upper)


def _order(found: Layers) -> None:
    """Order the layers by the mean place of what each vertex is linked to, and keep the best of several passes."""
    best, least = [list(layer) for layer in found.order], _crossings(found)
    for sweep in range(_SWEEPS):
        if not least:
            break
        down = sweep % 2 == 0
        ranks = range(1, len(found.order)) if down else range(len(found.order) - 2, -1, -1)
        for rank in ranks:
            _sort(found, rank, rank - 1 if down else rank + 1, found.above if down else found.below)
        now = _crossings(found)
        if now < least:
            best, least = [list(layer) for layer in found.order], now
    found.order = best


def _sort(found: Layers, rank: int, fixed: int, links: list[list[int]]) -> None:
    place = {vertex: index for index, vertex in enumerate(found.order[fixed])}
    own = {vertex: index for index, vertex in enumerate(found.order[rank])}

    def key(vertex: int) -> tuple[float, bool, int]:
        near = [place[other] for other in links[vertex]]
        middle = sum(near) / len(near) if near else float(own[vertex])
        # Of two at one place, a node goes first: lines that pass it are all on one side.
        return middle, found.is_bend(vertex), own[vertex]

    found.order[rank].sort(key=key)


def _crossings(found: Layers) -> int:
    """How many pairs of links between neighbouring layers cross."""
    total = 0
    for upper, lower in pairwise(found.order):
        place = {vertex: index for index, vertex in enumerate(lower)}
        tree = [0] * (len(lower) + 1)  # of Fenwick: how many links end up to a place
        seen = 0
        for vertex in upper:
            ends = [place[other] for other in found.below[vertex]]
            for end in ends:
                index, before = end + 1, 0
                while index:
                    before += tree[index]
                    index -= index & -index
                total += seen - before
            for end in ends:
                index = end + 1
                while index < len(tree):
                    tree[index] += 1
                    index += index & -index
            seen += len(ends)
    return total
