"""Cases of objects, and the data that losses and metrics are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from semantics_cases import Array, Numbers
from semantics_store import Json, tensor

from etui.canonical.values import ObjectValue, to_json

Config = Mapping[str, Any]
_n = Numbers("objects")
_classes = np.array([2, 0, 1, 3, 3, 1])
_unit = np.array(
    [[0.6, 0.8, 0.0], [0.0, 1.0, 0.0], [0.28, 0.96, 0.0], [1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [-0.6, 0.8, 0.0]]
)
DATA: dict[str, Array] = {
    "numbers": _n(6, 4),
    "others": _n(6, 4),
    "shares": _n(6, 4, low=1 / 64, high=63 / 64),
    "more_shares": _n(6, 4, low=1 / 64, high=63 / 64),
    "labels": _n.flags(6, 4).astype(float),
    "signs": np.where(_n.flags(6, 4), 1.0, -1.0),
    "logits": _n(6, 4, low=-3.0, high=3.0),
    "one_hot": np.eye(4)[_classes],
    "classes": _classes,
    "class_column": _classes[:, np.newaxis],
    "other_classes": np.array([2, 1, 1, 3, 0, 1]),
    "column": _n(6, 1, low=1 / 64, high=63 / 64),
    "yes_no": np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
    "groups": np.array([0, 0, 1, 1, 2, 3]),
    "pairs": np.array([0, 0, 1, 1, 2, 2]),
    "unit": _unit,
    "words": np.array([[1, 2, 2], [3, 1, 0], [0, 0, 0]]),
    "steps": _n(3, 6, 4),
    "frames": _n(3, 2, 4),
    "frame_targets": _n(3, 2, 4),
    "frame_classes": np.array([[0, 2], [1, 1], [3, 0]]),
    "frame_places": np.array([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]]),
    "frame_shares": _n(3, 2, 4, low=1 / 64, high=63 / 64),
    "edges": np.array([[0.0, 1.0, 0.5, 1.0], [1.0, 0.0, 0.25, 0.0]]),
    "edge_labels": np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]),
    "beyond": _n(6, 4, low=-0.25, high=1.25),
    "ids": np.argsort(-_n(6, 4), axis=-1).astype(float),
    "zeros": np.zeros((6, 4)),
}
DATA["hits"] = DATA["labels"] / 2 + _n(6, 4, low=-0.25, high=0.75)
DATA["zeros"][0, 0] = 1.0
WEIGHTS: dict[int, Array] = {size: _n.positive(size) for size in (2, 3, 6)}
_later = Numbers("objects/later")
DATA |= {
    "broken_words": np.array([[1, 0, 2], [0, 3, 1], [2, 3, 0]]),
    "square": _later(3, 3, 4),
    "square_targets": _later(3, 3, 4),
    "step_labels": _later.flags(3, 4).astype(float),
    "step_shares": _later(3, 4, 1, low=1 / 64, high=63 / 64),
    "frame_probabilities": _later(3, 2, 4, low=1 / 64, high=63 / 64),
    "frame_labels": _later.flags(3, 2, 4).astype(float),
    "large": np.array([[1.5, 2.0, 0.5], [3.0, 1.25, -0.5]]),
    "large_labels": np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]),
}


def computed(
    value: ObjectValue,
    name: str,
    title: str,
    clauses: str,
    inputs: Mapping[str, Any],
    *,
    outputs: Mapping[str, Any],
    tolerance: Mapping[str, float] | None = None,
) -> Json:
    """A case of an object."""
    return {
        "name": name,
        "title": title,
        "clauses": clauses.split(),
        "op": "compute",
        **({"tolerance": dict(tolerance)} if tolerance else {}),
        "request": {
            "object": to_json(value),
            "inputs": {key: tensor(array) for key, array in inputs.items() if array is not None},
        },
        "expected": {"outputs": {key: tensor(array) for key, array in outputs.items()}},
    }


def core(kind: str, name: str, config: Config) -> ObjectValue:
    """An object of the vocabulary."""
    return ObjectValue(f"core:{kind}.{name}", dict(config))
