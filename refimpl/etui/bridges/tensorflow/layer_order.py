"""The order in which tf_keras lists the layers of a Functional model, by which it numbers their objects.

It is the order of depth: the largest number of calls between a layer and an output, then the order in which a search
from the outputs meets the layers (`_map_graph_network` of tf_keras 2). Keras 3 orders otherwise, so that the order of
a config is not enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from etui.bridges.keras.layout import places
from etui.canonical.values import OutputRef
from etui.containers.config import Graph
from etui.containers.optimizer import Group
from etui.containers.weights import Weights
from etui.model import Model


def layer_order(graph: Graph, listed: list[str]) -> list[str]:
    """The names of a graph's layers in the order in which tf_keras lists them; what no output needs comes last.

    Args:
        graph: the calls.
        listed: the names of the layers.
    """
    calls = {call.id: call for call in graph.calls}
    parents = {call.id: [found.call for found in outputs_in([call.args, call.kwargs])] for call in graph.calls}
    met: dict[str, int] = {}
    finished: dict[str, None] = {}
    for output in outputs_in(graph.outputs):
        stack: list[tuple[str, Iterator[str]]] = []
        if output.call not in finished:
            met.setdefault(calls[output.call].module, len(met))
            stack.append((output.call, iter(parents[output.call])))
        open_calls = {output.call}
        while stack:
            at, rest = stack[-1]
            parent = next(rest, None)
            if parent is None:
                stack.pop()
                finished.setdefault(at)
            elif parent not in finished and parent not in open_calls:
                met.setdefault(calls[parent].module, len(met))
                open_calls.add(parent)
                stack.append((parent, iter(parents[parent])))
    call_depths: dict[str, int] = {}
    depths: dict[str, int] = {}
    for at in reversed(finished):
        depth = max(call_depths.setdefault(at, 0), depths.get(calls[at].module, 0))
        depths[calls[at].module] = call_depths[at] = depth
        for parent in parents[at]:
            call_depths[parent] = max(depth + 1, call_depths.get(parent, 0))
    for found in outputs_in(graph.inputs):
        name = calls[found.call].module
        if name not in depths:
            depths[name], met[name] = 0, -1
    ordered = sorted(depths, key=lambda name: (-depths[name], met[name]))
    return [*ordered, *(name for name in listed if name not in depths)]


def outputs_in(value: Any) -> Iterator[OutputRef]:
    """The outputs that a value refers to in TensorFlow's order: lists by place, maps by their sorted keys."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, OutputRef):
            yield item
        elif isinstance(item, dict):
            stack.extend(item[key] for key in sorted(item, key=str, reverse=True))
        elif isinstance(item, list | tuple):
            stack.extend(reversed(item))
        elif isinstance(item, slice):
            stack.extend((item.step, item.stop, item.start))


def reordered(model: Model) -> Model:
    """A model whose variables, and those of its optimizer, are in the order of its config's layers.

    Args:
        model: with a config whose layers may be in another order than the variables.
    """
    if model.config is None or model.weights is None:
        return model
    weights = model.weights
    before = {path: at for at, path in enumerate(weights.variables)}
    listed = [
        path
        for place in places(model.config)
        for path in sorted({weights.resolve(path) for path in place.module.params.values()}, key=before.__getitem__)
    ]
    rank = {path: at for at, path in enumerate(dict.fromkeys(listed))}
    paths = sorted(weights.variables, key=lambda path: rank.get(path, len(rank)))
    moved = replace(model, weights=Weights({path: weights.variables[path] for path in paths}, dict(weights.aliases)))
    if model.optimizer is not None:
        optimizers = dict(model.optimizer.optimizers)
        for name, optimizer in optimizers.items():
            groups = [
                Group(sorted(group.variables, key=lambda path: rank.get(path, len(rank))), group.hyperparameters)
                for group in optimizer.groups
            ]
            optimizers[name] = replace(optimizer, groups=groups)
        moved.optimizer = replace(model.optimizer, optimizers=optimizers)
    return moved
