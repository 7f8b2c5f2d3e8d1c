"""Where things are in a state of optax: counters, slots by parameter, hyperparameters (SPEC.md annex N.3).

A state is a tree of named tuples. What a field means follows from the class of its tuple; a field whose leaves lie at
the key paths of parameters is a slot of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from etui.bridges.jax.trees import KeyPath, Tree, path_of

STEP, MICRO_STEP, CLOCK, PENDING, RATE_STEP = "step", "micro_step", "clock", "pending", "rate-step"
"""Completed updates; gradients seen; what a schedule counts; gradients since the last update; updates, by a wrapper."""

SLOT, COUNT, SHARED, HYPERPARAMETER = "slot", "count", "shared", "hyperparameter"

_ADAM = {"count": STEP, "mu": "momentum", "nu": "velocity"}
FIELDS: dict[str, dict[str, str]] = {
    # of optax
    "TraceState": {"trace": "momentum"},
    "ScaleByAdamState": _ADAM,
    "ScaleByAmsgradState": _ADAM | {"nu_max": "velocity_hat"},
    "ScaleByRmsState": {"nu": "velocity"},
    "ScaleByRmsWithCountState": {"count": STEP, "nu": "velocity"},
    "ScaleByRStdDevState": {"mu": "average_gradient", "nu": "velocity"},
    "ScaleByRStdDevWithCountState": {"count": STEP, "mu": "average_gradient", "nu": "velocity"},
    "ScaleByRssState": {"sum_of_squares": "accumulator"},
    "ScaleByAdaDeltaState": {"e_g": "accumulated_grad", "e_x": "accumulated_delta_var"},
    "ScaleByLionState": {"count": STEP, "mu": "momentum"},
    "ScaleByBeliefState": {"count": STEP},
    "FactoredState": {"count": STEP},
    "ScaleByScheduleState": {"count": CLOCK},
    "WrappedScheduleState": {"count": CLOCK},
    "InjectHyperparamsState": {"count": RATE_STEP},
    "InjectStatefulHyperparamsState": {"count": RATE_STEP},
    "MultiStepsState": {"mini_step": PENDING, "gradient_step": STEP, "acc_grads": "gradient_accumulator"},
    "ScaleByNovogradState": {"count": STEP},
    "EmaState": {"count": STEP},
    # of etui.bridges.jax.transforms and wrappers, whose slots have their own names
    "AdamState": {"count": STEP},
    "AmsgradState": {"count": STEP},
    "SgdState": {"count": STEP},
    "AdagradState": {"count": STEP},
    "AdamaxState": {"count": STEP},
    "NadamState": {"count": STEP},
    "FtrlState": {"count": STEP},
    "AdafactorState": {"count": STEP},
    "MatrixState": {"count": STEP},
    "ScheduleFreeAdamState": {"count": STEP},
    "DecayState": {"count": STEP},
    "AccumulationState": {"micro_step": MICRO_STEP},
    "AverageState": {"micro_step": MICRO_STEP},
    "ClockState": {"step": STEP, "micro_step": MICRO_STEP},
}
"""Class of the named tuple -> field -> counter, or the slot's name in the core vocabulary if that is another."""

RULES: dict[str, str] = {
    "ScaleByAmsgradState": "adam",
    "ScaleByRStdDevState": "rmsprop",
    "ScaleByRssState": "adagrad",
    "ScaleByAdaDeltaState": "adadelta",
    "ScaleByLionState": "lion",
    "ScaleByRmsState": "rmsprop",
    "AdamState": "adam",
    "AmsgradState": "adam",
    "SgdState": "sgd",
    "AdagradState": "adagrad",
    "AdamaxState": "adamax",
    "NadamState": "nadam",
    "FtrlState": "ftrl",
    "AdafactorState": "adafactor",
    "MatrixState": "muon",
    "ScheduleFreeAdamState": "schedule_free_adamw",
}
"""Classes that one rule of the core vocabulary alone has.

Others have several: Adam's is that of NAdam, Adamax, AdamW, Lamb and Yogi, too, and a trace is a part of many.
"""

_COUNTERS = frozenset({STEP, MICRO_STEP, CLOCK, PENDING, RATE_STEP})
_WRAPPED = frozenset({"hyperparams"})


@dataclass(frozen=True, slots=True)
class Place:
    """One leaf of a state.

    Attributes:
        keys: its key path in the state.
        kind: ``slot``, ``count``, ``shared`` or ``hyperparameter``.
        name: of the slot, the counter or the hyperparameter; of what is shared, its path in the state.
        variable: path of the slot's parameter, else empty.
        owner: class of the named tuple that it is in.
        label: the label in a partitioned optimizer, or empty.
        value: the leaf.
    """

    keys: KeyPath
    kind: str
    name: str
    variable: str
    owner: str
    label: str
    value: Any


def places(state: Any, variables: Mapping[KeyPath, str]) -> Iterator[Place]:
    """Each leaf of a state, in the order of JAX.

    Args:
        state: of an optax transformation.
        variables: key path of each parameter -> its path.
    """
    yield from _Walk(variables).node(state, (), "", "", "")


def is_placeholder(place: Place) -> bool:
    """Whether a leaf stands for the row or column average of a variable that is not factored."""
    factored = {"AdafactorState": ("r", "c"), "FactoredState": ("v_row", "v_col")}
    size = {"AdafactorState": (), "FactoredState": (1,)}
    return place.name in factored.get(place.owner, ()) and np.shape(place.value) == size[place.owner]


def classes(state: Any) -> list[str]:
    """The names of the classes of named tuples in a state, outer ones first."""
    found: list[str] = []
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        found.append(type(state).__name__)
    for child in _children(state):
        found += classes(child[1])
    return found


def _children(node: Any) -> list[tuple[Any, Any]]:
    """Keys and children of the containers that states are made of."""
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return [(jax.tree_util.GetAttrKey(field), getattr(node, field)) for field in node._fields]
    if isinstance(node, (tuple, list)):
        return [(jax.tree_util.SequenceKey(index), child) for index, child in enumerate(node)]
    if isinstance(node, Mapping):
        return [(jax.tree_util.DictKey(key), node[key]) for key in sorted(node, key=str)]
    return []


@dataclass(frozen=True, slots=True)
class _Walk:
    variables: Mapping[KeyPath, str]

    def node(self, node: Any, keys: KeyPath, owner: str, field: str, label: str) -> Iterator[Place]:
        name = FIELDS.get(owner, {}).get(field, field)
        if name in _COUNTERS:
            for inner, value in jax.tree_util.tree_flatten_with_path(node)[0]:
                yield Place((*keys, *inner), COUNT, name, "", owner, label, value)
            return
        if owner.startswith("Inject") and field in _WRAPPED:
            for key, child in _children(node):
                yield Place((*keys, key), HYPERPARAMETER, str(key.key), "", owner, label, child)
            return
        if field and self.is_slot(node):
            for inner, value in jax.tree_util.tree_flatten_with_path(node)[0]:
                yield Place((*keys, *inner), SLOT, name, self.variables[inner], owner, label, value)
            return
        if isinstance(node, tuple) and hasattr(node, "_fields"):
            for key, child in _children(node):
                yield from self.node(child, (*keys, key), type(node).__name__, key.name, label)
            return
        children = _children(node)
        for key, child in children:
            inside = "/".join(filter(None, (label, str(key.key)))) if owner == "PartitionState" else label
            yield from self.node(child, (*keys, key), owner if owner == "PartitionState" else "", "", inside)
        if not children:
            for inner, value in jax.tree_util.tree_flatten_with_path(node)[0]:
                yield Place((*keys, *inner), SHARED, path_of((*keys, *inner)), "", owner, label, value)

    def is_slot(self, node: Any) -> bool:
        """Whether all leaves of a node lie at key paths of parameters, and there are any."""
        leaves = jax.tree_util.tree_flatten_with_path(node)[0]
        return bool(leaves) and all(inner in self.variables for inner, _ in leaves)


def replaced(state: Any, value: Callable[[KeyPath, Any], Any]) -> Tree:
    """The state with each leaf as a function of its key path and value gives it."""
    leaves, shape = jax.tree_util.tree_flatten_with_path(state)
    return shape.unflatten([value(keys, leaf) for keys, leaf in leaves])
