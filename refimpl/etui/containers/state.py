"""The state container: `state.msgpack`, what else a run needs in order to go on (SPEC.md chapter 16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from etui import paths
from etui.containers.data_parts import DataParts
from etui.containers.fields import Json, open_document
from etui.containers.stored import StoredTensors, TensorNames
from etui.containers.tensor_index import Placed
from etui.containers.tensors import Tensor
from etui.limits import DEFAULT_LIMITS, Limits
from etui.names import check_namespaced

DOCUMENT = "state.msgpack"
_OPTIONAL = frozenset({"counters", "rng", "metrics", "data", "user", "residue"})


@dataclass(slots=True)
class Rng:
    """State of one random-number generator; it means the same stream only for the same algorithm."""

    algorithm: str
    state: Tensor
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """Counters, generators, metric state, and what the caller adds.

    Attributes:
        counters: non-negative integers by name: ``epoch``, ``batch``, …
        rng: path of the generator -> its state.
        metrics: path of the metric -> name of the state -> value or `Tensor`.
        data: position of the data iterators, a map of values.
        user: the caller's own map of values; tensors of any size as `Tensor`.
        residue: framework -> facts that only that framework needs.
    """

    counters: dict[str, int] = field(default_factory=dict)
    rng: dict[str, Rng] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    residue: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def decode(tree: dict[str, Json], parts: DataParts, limits: Limits = DEFAULT_LIMITS) -> State:
    """Decode the tree of `state.msgpack`.

    Args:
        tree: as `etui.canonical.msgpack.decode` gives it.
        parts: the data parts that the chunks name.
        limits: the reader's limits.

    Raises:
        RejectError: with the code of the clause that the document breaks.
    """
    context, extra = open_document(tree, DOCUMENT, limits, {"tensors"}, _OPTIONAL)
    stored = StoredTensors(context, tree["tensors"], parts)
    state = State(extra=extra)
    counters = stored.map(tree, "counters")
    state.counters = {name: context.natural(counters, name, "counters") for name in counters}
    for path, node in context.filled(tree, "rng", dict, "").items():
        place = f"rng/{path}"
        paths.check_path(path, context.place("rng"), limits)
        kept = context.fields(node, place, {"algorithm", "state"})
        algorithm = check_namespaced(node["algorithm"], context.place(place), "generator")
        state.rng[path] = Rng(algorithm, stored.tensor(node["state"], f"{place}/state"), kept)
    for path, node in context.filled(tree, "metrics", dict, "").items():
        paths.check_path(path, context.place("metrics"), limits)
        state.metrics[path] = context.mapping(stored.value(node, f"metrics/{path}"), f"metrics/{path}")
    state.data = stored.map(tree, "data")
    state.user = stored.map(tree, "user")
    state.residue = context.residue(stored.map(tree, "residue"), "residue")
    stored.check_all_referenced()
    return state


def encode(state: State, placed: Placed, version: str) -> dict[str, Json]:
    """The tree of `state.msgpack`, for tensors that were written as `placed` says."""
    names = TensorNames()
    content = _encode(state, names)
    return {
        "format": "etui-state",
        "version": version,
        "tensors": names.entries(placed),
        **{name: value for name, value in content.items() if value},
        **state.extra,
    }


def tensors(state: State) -> Iterator[tuple[str, Tensor]]:
    """The tensors that the document refers to, by name, in writing order."""
    names = TensorNames(alone=True)
    _encode(state, names)
    yield from names.ordered()


def _encode(state: State, names: TensorNames) -> dict[str, Json]:
    return {
        "counters": names.value(state.counters, "counters"),
        "rng": {
            path: {"algorithm": rng.algorithm, "state": names.add(rng.state, f"rng/{path}/state"), **rng.extra}
            for path, rng in state.rng.items()
        },
        "metrics": {path: names.value(metric, f"metrics/{path}") for path, metric in state.metrics.items()},
        "data": names.value(state.data, "data"),
        "user": names.value(state.user, "user"),
        "residue": names.value(state.residue, "residue"),
    }
