"""The names, dtypes and shapes of a model's inputs and outputs, as its config has them.

Every program that is made of a model has them, so that what one runner takes and gives, all others do.
"""

from __future__ import annotations

from typing import Any

from etui import dtypes
from etui.canonical.values import DtypeName, MapValue, OutputRef
from etui.containers.config import Config, Graph, Module
from etui.core.flows import leaves
from etui.programs.facts import Signature, Spec

_ALONE = "input"


def signature_of(config: Config) -> Signature:
    """The inputs and outputs of a model.

    Inputs have the names of the map in which the graph takes them, else those of the calls that make them. Outputs
    have the keys of the map in which the graph gives them, joined by `/`, or else the name of the call that gives
    them, with `_1` and so on behind further ones of a name. A model without a graph takes ``input``.
    """
    root = config.model
    graph = root.graph
    if graph is None:
        return Signature([Spec(_ALONE)], [Spec("output")])
    calls = {call.id: call.module for call in graph.calls}
    modules = {module.name: module for module in root.modules}
    inputs = []
    for name, reference in _named_inputs(graph):
        module = modules.get(calls.get(reference.call, ""))
        inputs.append(_input(name, config, module))
    return Signature(inputs, [Spec(name) for name in _output_names(graph)])


def _named_inputs(graph: Graph) -> list[tuple[str, OutputRef]]:
    found = list(leaves(graph.inputs))
    if isinstance(graph.inputs, dict) and len(graph.inputs) == len(found):
        return list(zip(sorted(graph.inputs), found, strict=True))
    return [(reference.call, reference) for reference in found]


def _output_names(graph: Graph) -> list[str]:
    found: dict[str, None] = {}
    last: dict[str, int] = {}
    for name in _wanted_names(graph.outputs, ""):
        number, free = last.get(name, 0), name
        while free in found:
            number += 1
            free = f"{name}_{number}"
        last[name] = number
        found[free] = None
    return list(found)


def _wanted_names(value: Any, prefix: str) -> list[str]:
    if isinstance(value, dict):
        return [name for key in sorted(value) for name in _wanted_names(value[key], f"{prefix}{key}/")]
    if isinstance(value, MapValue):
        return [name for key, item in value.pairs for name in _wanted_names(item, f"{prefix}{key}/")]
    if isinstance(value, list | tuple):
        return [name for item in value for name in _wanted_names(item, prefix)]
    own = value.call if isinstance(value, OutputRef) else "output"
    return [prefix.rstrip("/") or own]


def _input(name: str, config: Config, module: Module | None) -> Spec:
    if module is not None and module.kind == "shared":
        module = config.find(module.target or "")
    attrs = {} if module is None else module.attrs
    dtype, shape = attrs.get("dtype"), attrs.get("shape", attrs.get("batch_shape"))
    if isinstance(dtype, DtypeName):
        dtype = dtype.name
    sizes = None
    if isinstance(shape, list | tuple) and all(size is None or type(size) is int for size in shape):
        sizes = tuple(shape)
    known = dtype if isinstance(dtype, str) and dtype in dtypes.DTYPES else None
    return Spec(name, known, sizes, optional=attrs.get("optional") is True)
