"""The calls of a graph as the config has them, made ready for the runner."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from etui.bridges.torch.arrays import tensor_of, torch_dtype
from etui.bridges.torch.graph import Entry, Graph, Made, Slot
from etui.bridges.torch.steps import Step
from etui.canonical.values import OutputRef
from etui.containers.config import Call, Module
from etui.core import vocabulary
from etui.errors import error, shown

_EVERYWHERE = frozenset({"training", "mask"})


def fill_graph(graph: Graph, module: Module, names: dict[str, str], steps: dict[str, Step]) -> None:
    """Give a graph its calls.

    Args:
        graph: with its children.
        module: of the config, of kind ``graph``.
        names: name of a module in the config -> name of the child.
        steps: name of a module in the config -> how it is called.

    Raises:
        TransferError: ``torch-value``, an argument of a call that its op does not take.
    """
    if module.graph is None:
        return
    children = {child.name: child for child in module.modules}
    for call in module.graph.calls:
        if call.module not in names:
            graph.calls.append(Made(call.id, "", None, [], {}))
            continue
        _check_arguments(children[call.module], call, steps[call.module])
        args = [_template(value, graph) for value in call.args]
        kwargs = {name: _template(value, graph) for name, value in call.kwargs.items()}
        graph.calls.append(Made(call.id, names[call.module], steps[call.module], args, kwargs))
    inputs = {call.id: children[call.module] for call in module.graph.calls if call.module not in names}
    for reference in _leaves(module.graph.inputs):
        if reference.call not in inputs:
            raise error("torch-op", where=module.name, found=f"the call {shown(reference.call)} as an input")
        graph.entries.append(_entry(inputs[reference.call], reference.call))
    graph.keys = set(module.graph.inputs) if isinstance(module.graph.inputs, dict) else set()
    graph.outputs = _template(module.graph.outputs, graph)


def fill_sequence(graph: Graph, module: Module, names: dict[str, str], steps: dict[str, Step]) -> None:
    """Give a graph one call after the other, of all of its children: what a sequence without recorded calls means."""
    given = [child for child in module.modules if child.name not in names]
    graph.entries.append(_entry(given[0], "input") if given else Entry("x", "input", None, floats=False))
    last = "input"
    for name, attribute in names.items():
        graph.calls.append(Made(f"call:{name}", attribute, steps[name], [Slot(last, 0)], {}))
        last = f"call:{name}"
    graph.outputs = Slot(last, 0)


def _entry(module: Module, call: str) -> Entry:
    dtype = vocabulary.attrs_of(module).get("dtype", "float32")
    if dtype == "string":
        hint = "torch has no tensors of strings: cut the model after the layers that take them."
        raise error("torch-op", where=module.name, found="an input of strings", hint=hint)
    floats = torch_dtype(dtype).is_floating_point
    integer = torch_dtype(dtype) if not floats and not torch_dtype(dtype).is_complex else None
    return Entry(module.name, call, integer, floats)


def _check_arguments(module: Module, call: Call, step: Step) -> None:
    """Refuse arguments of a call that no op of that name takes, rather than pass over them."""
    op = vocabulary.ops()[step.op]
    known = _EVERYWHERE | op.call.keys()
    for name, value in call.kwargs.items():
        if name not in known and value is not None:
            raise error("torch-value", where=module.name, found=f"the argument {shown(name)} of a call")


def _leaves(value: Any) -> list[OutputRef]:
    if isinstance(value, OutputRef):
        return [value]
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in _leaves(value[key])]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return []


def _template(value: Any, graph: nn.Module) -> Any:
    """A value with a slot for each tensor; arrays become buffers of the graph, which its state_dict does not have."""
    if isinstance(value, OutputRef):
        return Slot(value.call, value.index)
    if isinstance(value, list):
        return [_template(item, graph) for item in value]
    if isinstance(value, tuple):
        return tuple(_template(item, graph) for item in value)
    if isinstance(value, dict):
        return {key: _template(item, graph) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        number = sum(name.startswith("constant_") for name, _ in graph.named_buffers(recurse=False))
        graph.register_buffer(f"constant_{number}", tensor_of(value), persistent=False)
        return Slot("", f"constant_{number}")
    return value
