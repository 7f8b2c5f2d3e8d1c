"""What a model is trained with by output, in the form in which each Keras means the same (SPEC.md, annex E).

Keras 2 gives each output all of a flat list of metrics, and lets a map leave outputs out. Keras 3 gives each output one
item of a list that is as long as the outputs are many, and wants a loss and a weight for each output of a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etui.bridges.keras.content import Dialect
from etui.bridges.keras.modules import is_listed, is_sequential, keras_name, resolved
from etui.bridges.keras.names import numbered
from etui.canonical.values import OutputRef
from etui.containers.config import Config
from etui.containers.training import Training


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a model.

    Attributes:
        names: of each, as Keras 2 tells them apart.
        keyed: whether they are a map, whose keys the names are.
        numbered: whether some are of one layer; Keras 2 numbers them, and Keras 3 gives them one name.
    """

    names: tuple[str, ...]
    keyed: bool = False
    numbered: bool = False


def outputs_of(config: Config) -> Outputs | None:
    """The outputs of a model; `None` where only its code says what they are, or they are nested deeper."""
    root = config.model
    if root.graph is None:
        listed = [resolved(config, child) for child in root.modules if is_listed(child)]
        return Outputs((keras_name(listed[-1]),)) if is_sequential(root) and listed else None
    ends = root.graph.outputs
    if isinstance(ends, dict):
        flat = all(isinstance(end, OutputRef) for end in ends.values())
        return Outputs(tuple(sorted(ends)), keyed=True) if flat else None
    ends = ends if isinstance(ends, list) else [ends]
    if not all(isinstance(end, OutputRef) for end in ends):
        return None
    modules = {child.name: resolved(config, child) for child in root.modules}
    called = {call.id: keras_name(modules[call.module]) for call in root.graph.calls}
    used: dict[str, int] = {}
    names = tuple(numbered(called[end.call], used) for end in ends)
    return Outputs(names, numbered=len(used) < len(names))


def by_output(training: Training, before: Outputs | None, after: Outputs | None, target: Dialect) -> dict[str, Any]:
    """The losses, their weights and the metrics of a model for the other Keras.

    Args:
        training: of the model.
        before: its outputs.
        after: its outputs in the target's terms, which have other names where Keras 3 refuses one.
        target: the dialect to write.

    Returns:
        The fields of a training config by name.
    """
    found = {name: getattr(training, name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}
    if before is None or after is None:
        return found
    if len(before.names) > 1 and target == "keras":
        found["loss"], found["loss_weights"] = _losses(found["loss"], found["loss_weights"], before)
    for key in ("metrics", "weighted_metrics") if len(before.names) > 1 else ():
        found[key] = (_metrics if target == "keras" else _listed)(found[key], before)
    names = dict(zip(before.names, after.names, strict=True))
    return {key: _renamed(value, names) for key, value in found.items()}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    return {names.get(key, key): item for key, item in value.items()} if isinstance(value, dict) else value


def _losses(loss: Any, weights: Any, outputs: Outputs) -> tuple[Any, Any]:
    """A loss for each output, and a weight where there are weights; one that is not there is 1."""
    names = outputs.names
    if loss is not None and not isinstance(loss, dict | list) and isinstance(weights, dict | list):
        loss = dict.fromkeys(names, loss)
    if isinstance(loss, list) and isinstance(weights, dict):
        return loss, [weights.get(name, 1.0) for name in names]
    if not isinstance(loss, dict) or not loss.keys() <= set(names):
        return loss, weights
    loss = loss if outputs.keyed else loss | {name: None for name in names if name not in loss}
    if isinstance(weights, list):
        weights = dict(zip(names, weights, strict=False))
    if isinstance(weights, dict):
        weights = {name: weights.get(name, 1.0) for name in loss}
    return (_in_order(loss, names), _in_order(weights, names)) if outputs.numbered else (loss, weights)


def _in_order(value: Any, names: Sequence[str]) -> Any:
    """The items of a map by output, by their places; what is no map stays."""
    return [value.get(name) for name in names] if isinstance(value, dict) else value


def _metrics(metrics: Any, outputs: Outputs) -> Any:
    """Metrics as Keras 3 takes them: a list of some for each output."""
    if isinstance(metrics, dict):
        some = {name: _some(items) for name, items in metrics.items()}
        return _in_order(some, outputs.names) if outputs.numbered else some
    if not metrics:
        return metrics
    items = metrics if isinstance(metrics, list) else [metrics]
    if any(isinstance(item, list | dict) for item in items):
        return [_some(item) for item in items]
    return _packed([_some(items)] * len(outputs.names), outputs)


def _some(items: Any) -> Any:
    """The metrics of one output, without what stands for none."""
    return [item for item in items if item is not None] if isinstance(items, list) else items


def _listed(metrics: Any, outputs: Outputs) -> Any:
    """Metrics as Keras 2 takes them: those of each output are a list, for a flat list is of all outputs."""
    flat = isinstance(metrics, list) and not any(isinstance(item, list | dict) for item in metrics)
    if not flat or len(metrics) != len(outputs.names):
        return metrics
    return _packed([[] if item is None else [item] for item in metrics], outputs)


def _packed(items: list[Any], outputs: Outputs) -> Any:
    return dict(zip(outputs.names, items, strict=True)) if outputs.keyed else items
