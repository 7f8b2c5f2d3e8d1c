"""The state of the metrics of a compiled model of tf_keras before its first batch, which its weights files hold.

tf_keras refuses a weights file without it once the model has made its metrics, as a model has that was trained or that
comes from a legacy file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from etui.bridges.keras.layout import VARS
from etui.bridges.keras.names import numbered, snake_case
from etui.bridges.keras.patches import Json
from etui.bridges.keras.values import is_object
from etui.containers.tensors import Tensor

_GROUP = "metrics"
_MEAN, _WRAPPER = "Mean", "MeanMetricWrapper"
# Classes whose state is a total and a count.
_MEANS = frozenset(
    {
        _MEAN,
        _WRAPPER,
        "Accuracy",
        "BinaryAccuracy",
        "BinaryCrossentropy",
        "CategoricalAccuracy",
        "CategoricalCrossentropy",
        "CategoricalHinge",
        "CosineSimilarity",
        "Hinge",
        "KLDivergence",
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanRelativeError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "RootMeanSquaredError",
        "SparseCategoricalAccuracy",
        "SparseCategoricalCrossentropy",
        "SparseTopKCategoricalAccuracy",
        "SquaredHinge",
        "TopKCategoricalAccuracy",
    }
)
_MOST = 1_000_000  # thresholds of a metric; a config may ask for any number
_ELEMENTS = 16_000_000  # of all metrics; a metric of a few bytes may ask for 16 MB
_COUNTS = {"AUC": 4, "Precision": 2, "Recall": 2}  # arrays with a count for each threshold


def unused_metrics(tree: dict[str, Json]) -> dict[str, Tensor] | None:
    """The state of the metrics that tf_keras makes for a model, as it is before the first batch.

    Args:
        tree: the node of a model, with its `compile_config`.

    Returns:
        Dataset name -> zeros; nothing if the model is not compiled, and `None` if the state of one of its metrics does
        not follow from the config.
    """
    compiled = tree.get("compile_config")
    if not isinstance(compiled, dict) or not compiled.get("loss"):
        return {}
    outputs = _outputs(tree)
    if outputs is None:
        return None
    found: dict[str, Tensor] = {}
    used: dict[str, int] = {}
    elements = 0
    for kind, config in _metrics(compiled, outputs):
        shapes = _shapes(kind, config)
        elements += sum(size for shape in shapes or () for size in shape)
        if shapes is None or elements > _ELEMENTS:
            return None
        group = f"{_GROUP}/{numbered(snake_case(kind), used)}/{VARS}"
        for number, shape in enumerate(shapes):
            found[f"{group}/{number}"] = Tensor.of(np.zeros(shape, "float32"))
    return found


def _outputs(tree: dict[str, Json]) -> list[str] | None:
    """The names of the outputs, or `None` for a model whose config does not tell them."""
    if tree.get("class_name") == "Sequential":
        return [""]
    config = tree.get("config")
    listed = config.get("output_layers") if isinstance(config, dict) else None
    if isinstance(listed, dict):
        listed = list(listed.values())
    if not isinstance(listed, list) or not listed:
        return None
    if isinstance(listed[0], str):
        return [listed[0]]
    return [str(one[0]) for one in listed if isinstance(one, list) and one]


def _metrics(compiled: dict[str, Json], outputs: list[str]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Class and arguments of each metric, in the order of tf_keras: losses, then those of each output."""
    yield _MEAN, {}
    if len(outputs) > 1:
        for loss in _of_each(compiled.get("loss"), outputs, shared=_is_one):
            if loss is not None:
                yield _MEAN, {}
    fields = [_of_each(compiled.get(name), outputs, shared=_is_flat) for name in ("metrics", "weighted_metrics")]
    for of_output in zip(*fields, strict=True):
        for metrics in of_output:
            for metric in metrics if isinstance(metrics, list) else [metrics]:
                if metric is not None:
                    yield _class_of(metric)


def _of_each(given: Json, outputs: list[str], shared: Any) -> list[Json]:
    """What of a loss or of metrics is for each output."""
    if shared(given):
        return [given] * len(outputs)
    if isinstance(given, dict):
        return [given.get(name) for name in outputs] if len(outputs) > 1 else list(given.values())[:1]
    return [*given, *[None] * len(outputs)][: len(outputs)]


def _is_one(given: Json) -> bool:
    return not isinstance(given, list | dict) or is_object(given)


def _is_flat(given: Json) -> bool:
    return _is_one(given) or (isinstance(given, list) and all(map(_is_one, given)))


def _class_of(metric: Json) -> tuple[str, dict[str, Json]]:
    """The class of a metric; what is given by the name of a function, or as one, is the mean of it."""
    if isinstance(metric, str):
        return (metric, {}) if metric in _MEANS or metric in _COUNTS else (_WRAPPER, {})
    if not is_object(metric):
        return "", {}
    kind, config = metric.get("class_name"), metric.get("config")
    if kind == "function" or not isinstance(config, dict):
        return _WRAPPER, {}
    return str(kind), config


def _shapes(kind: str, config: dict[str, Json]) -> list[tuple[int, ...]] | None:
    if kind in _MEANS:
        return [(), ()]
    if kind not in _COUNTS or config.get("multi_label"):
        return None
    thresholds = config.get("thresholds")
    size: Any = len(thresholds) if isinstance(thresholds, list) else 1
    if kind == "AUC":
        given = config.get("num_thresholds", 200)
        # The curve's own ends stand beside thresholds that are given.
        size = size + 2 if isinstance(thresholds, list) else given
    return [(size,)] * _COUNTS[kind] if isinstance(size, int) and 0 < size <= _MOST else None
