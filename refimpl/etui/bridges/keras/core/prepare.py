"""Core configs in core ops that Keras has layers for, where one op of the vocabulary takes several (annex L.3).

Padding by pairs becomes a `pad` in front, or a `crop` behind a transposed convolution; an activation that Keras cannot
write as an attribute becomes a module of its own behind; the two biases of an LSTM become their sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from etui.bridges.keras.core.objects import is_inline
from etui.bridges.keras.names import FreeNames
from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.core import vocabulary
from etui.report import Report
from etui.transfer import REPARAMETRISED, Transfer

_NOTHING = [0, 0]
_PADDED = frozenset({"core:conv", "core:depthwise_conv", "core:separable_conv", "core:max_pool", "core:avg_pool"})
# Ops whose activation is the last thing that they do, so that it may be a module of its own.
_ACTIVATED = frozenset(
    {
        "core:dense",
        "core:einsum_dense",
        "core:conv",
        "core:conv_transpose",
        "core:depthwise_conv",
        "core:separable_conv",
    }
)


@dataclass(slots=True)
class Steps:
    """What one module becomes: modules in front of it, itself, and modules behind it."""

    before: list[Module] = field(default_factory=list)
    module: Module = field(default_factory=lambda: Module(""))
    behind: list[Module] = field(default_factory=list)


def prepare(config: Config, weights: Weights | None, report: Report) -> tuple[Config, Weights | None]:
    """A config, and the weights where those of it are others.

    Args:
        config: with core modules; it stays as it is.
        weights: of the model; they stay as they are.
        report: gets an entry for each variable that is computed anew.

    Returns:
        The same objects where there is nothing to do.
    """
    summed = [(path, module) for path, module in config.walk() if _is_double(module)]
    root = _rewritten(config.model)
    if summed and weights is not None:
        weights = _summed(weights, [module for _, module in summed], report)
    return (config if root is config.model else replace(config, model=root)), weights


def _rewritten(module: Module) -> Module:
    """A module with all of its children; the same object if none is changed."""
    children = [_rewritten(child) for child in module.modules]
    if any(one is not two for one, two in zip(children, module.modules, strict=True)):
        module = replace(module, modules=children)
    if _is_double(module):
        attrs = {key: value for key, value in module.attrs.items() if key != "bias_form"}
        params = {role: path for role, path in module.params.items() if role != "recurrent_bias"}
        return replace(module, attrs=attrs, params=params)
    if module.op not in ("core:graph", "core:sequential"):
        return module
    return _with_steps(module)


def _with_steps(module: Module) -> Module:
    names = FreeNames(child.name for child in module.modules)
    steps = {child.name: _steps(child, names) for child in module.modules}
    if not any(step.before or step.behind for step in steps.values()):
        return module
    children = [
        one
        for child in module.modules
        for one in (*steps[child.name].before, steps[child.name].module, *steps[child.name].behind)
    ]
    graph = None if module.graph is None else _with_calls(module.graph, steps)
    return replace(module, modules=children, graph=graph)


def _with_calls(graph: Graph, steps: dict[str, Steps]) -> Graph:
    ids = FreeNames(call.id for call in graph.calls)
    moved: dict[str, str] = {}
    calls: list[Call] = []
    for call in graph.calls:
        args, kwargs = _moved(call.args, moved), _moved(call.kwargs, moved)
        step = steps[call.module]
        for one in step.before:
            calls.append(Call(ids.take(one.name), one.name, [args[0]]))
            args = [OutputRef(calls[-1].id, 0), *args[1:]]
        calls.append(replace(call, args=args, kwargs=kwargs))
        for one in step.behind:
            calls.append(Call(ids.take(one.name), one.name, [OutputRef(calls[-1].id, 0)]))
            moved[call.id] = calls[-1].id
    return Graph(_moved(graph.inputs, moved), _moved(graph.outputs, moved), calls, dict(graph.extra))


def _moved(value: Any, moved: dict[str, str]) -> Any:
    if isinstance(value, OutputRef):
        return OutputRef(moved.get(value.call, value.call), value.index)
    if isinstance(value, dict):
        return {key: _moved(item, moved) for key, item in value.items()}
    return type(value)(_moved(item, moved) for item in value) if isinstance(value, list | tuple) else value


def _steps(module: Module, names: FreeNames) -> Steps:
    """What a module becomes in a graph."""
    found = Steps(module=module)
    if not vocabulary.is_core(module):
        return found
    attrs = vocabulary.attrs_of(module)
    if module.op in _PADDED and isinstance(attrs["padding"], list):
        _pad_before(found, attrs, names)
    if module.op == "core:conv_transpose" and isinstance(attrs["padding"], list):
        _crop_behind(found, attrs, names)
    if module.op in _ACTIVATED and not is_inline(attrs["activation"]):
        own = {key: value for key, value in found.module.attrs.items() if key != "activation"}
        found.module = replace(found.module, attrs=own)
        name = names.take(f"{module.name}_activation")
        found.behind.insert(0, Module(name, "layer", "core:activation", {"function": attrs["activation"]}))
    return found


def _around(attrs: dict[str, Any], pairs: list[list[int]]) -> list[list[int]]:
    """Pairs of the spatial axes as pairs of all axes but the batch."""
    first = attrs["data_format"] == "channels_first"
    return [_NOTHING[:], *pairs] if first else [*pairs, _NOTHING[:]]


def _pad_before(found: Steps, attrs: dict[str, Any], names: FreeNames) -> None:
    module, pairs = found.module, [list(pair) for pair in attrs["padding"]]
    counted = module.op != "core:avg_pool" or attrs["count_padding"]
    if any(map(any, pairs)) and not counted:
        return
    own = {key: value for key, value in module.attrs.items() if key not in ("padding", "count_padding")}
    found.module = replace(module, attrs=own)
    if any(map(any, pairs)):
        value = {"value": float("-inf")} if module.op == "core:max_pool" else {}
        padding = {"padding": _around(attrs, pairs)} | value
        found.before.append(Module(names.take(f"{module.name}_pad"), "layer", "core:pad", padding))


def _crop_behind(found: Steps, attrs: dict[str, Any], names: FreeNames) -> None:
    """A transposed convolution of the padding `valid` is longer than the whole by what its strides leave over."""
    module = found.module
    rank = len(attrs["kernel_size"])
    strides, dilation = attrs["strides"] or [1] * rank, attrs["dilation"] or [1] * rank
    cuts = []
    for axis, (before, after) in enumerate(attrs["padding"]):
        extent = (attrs["kernel_size"][axis] - 1) * dilation[axis] + 1
        left_over = max(strides[axis] - extent, 0) if attrs["output_padding"] is None else 0
        cuts.append([before, after + left_over])
    found.module = replace(module, attrs={key: value for key, value in module.attrs.items() if key != "padding"})
    if any(map(any, cuts)):
        cropping = {"cropping": _around(attrs, cuts)}
        found.behind.append(Module(names.take(f"{module.name}_crop"), "layer", "core:crop", cropping))


# --- the two biases of an LSTM ----------------------------------------------------------------------------------------


def _is_double(module: Module) -> bool:
    return module.op == "core:lstm" and module.attrs.get("bias_form") == "double"


def _summed(weights: Weights, modules: list[Module], report: Report) -> Weights:
    found = Weights(dict(weights.variables), dict(weights.aliases), dict(weights.extra))
    for module in modules:
        one, two = module.params.get("bias"), module.params.get("recurrent_bias")
        if one is None or two is None or one not in found.variables or two not in found.variables:
            continue
        first, second = weights.variables[one], weights.variables[two]
        load = _sum_of(first, second)
        found.variables[one] = Variable(Tensor.lazy(first.dtype, first.shape, load), first.role, first.trainable)
        del found.variables[two]
        formula = "bias = bias + recurrent_bias"
        report.add("variable", one, "translated", "the sum of both biases", Transfer(REPARAMETRISED, formula))
        report.add("variable", two, "translated", f"added to {one}", Transfer(REPARAMETRISED, formula))
    return found


def _sum_of(one: Variable, two: Variable) -> Any:
    return lambda: (one.numpy() + two.numpy()).astype(one.numpy().dtype)


def lost_slots(config: Config, slots: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Variables with slots of which Keras keeps the sum alone: path and role."""
    for _, module in config.walk():
        if _is_double(module):
            for role in ("bias", "recurrent_bias"):
                if module.params.get(role) in slots:
                    yield module.params[role], role
