"""Torch modules that users wrote, as core graphs (SPEC.md, annex M.2).

The module is traced by `torch.fx`: built-in layers stay whole, what lies between them is followed call by call. No
tensor is computed but for one run of the example, which tells the shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from etui.bridges.torch.binding import Binding
from etui.bridges.torch.trace.builder import Builder, Joined, Leaf
from etui.bridges.torch.trace.functions import FUNCTIONS, METHODS
from etui.bridges.torch.trace.modules import MODULES, translator
from etui.canonical.values import OutputRef
from etui.errors import error, shown
from etui.model import Model


@dataclass(frozen=True, slots=True)
class Traced:
    """A torch module as a core model.

    Attributes:
        model: config and weights.
        bindings: of each variable that is one whole tensor of the torch module.
        packed: name of a torch tensor that is several variables -> path of each -> its rows.
        joined: path of a variable that is several torch tensors -> these.
    """

    model: Model
    bindings: list[Binding]
    packed: Mapping[str, Mapping[str, Leaf]]
    joined: Mapping[str, Joined]


@dataclass(slots=True)
class Context:
    """What translators of nodes work with.

    Attributes:
        builder: the graph in the making.
        values: name of an fx node -> its value: an `OutputRef`, a nested list of such, or a plain value.
        node: the node at hand.
        modules: name -> torch module.
    """

    builder: Builder
    modules: Mapping[str, nn.Module]
    values: dict[str, Any] = field(default_factory=dict)
    node: Any = None

    @property
    def name(self) -> str:
        """What the node is called: the path of a module, or the node's own name."""
        return str(self.node.target) if self.node.op == "call_module" else str(self.node.name)

    def value(self, argument: Any) -> Any:
        """An argument of a node, with values in place of nodes."""
        return fx.node.map_arg(argument, lambda node: self.values[node.name])

    def shape(self, argument: Any) -> tuple[int, ...]:
        """The shape of a node's tensor in the run of the example."""
        meta = argument.meta["tensor_meta"]
        return tuple(meta.shape)

    def dtype(self, argument: Any) -> str:
        """The name of the dtype of a node's tensor."""
        return str(argument.meta["tensor_meta"].dtype).removeprefix("torch.")

    def rank(self, argument: Any) -> int:
        """The number of axes of a node's tensor."""
        return len(self.shape(argument))

    def refuse(self, found: str) -> Exception:
        """The error of something that the vocabulary does not have."""
        return error("torch-trace", where=self.name, found=found)


class _Tracer(fx.Tracer):
    """Follows modules that users wrote, and stops at those that have a translator."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return translator(m) is not None or bool(super().is_leaf_module(m, module_qualified_name))

    def iter(self, obj: Any) -> Any:
        """Iterate over what `chunk` gives, whose number is known; the tracer itself only unpacks into names."""
        node = obj.node
        name = node.target if isinstance(node.target, str) else _function_name(node.target)
        count = node.kwargs.get("chunks", node.args[1] if len(node.args) > 1 else None)
        if name == "chunk" and isinstance(count, int):
            return (obj[at] for at in range(count))
        return super().iter(obj)


def from_module(module: nn.Module, *example: Any, name: str = "model") -> Traced:
    """The core model of a torch module.

    Args:
        module: of built-in layers, and of functions and operators of torch between them; it is not changed.
        example: inputs for one run in evaluation mode, which tells the shapes; the size of the first axis, the batch,
            stays free.
        name: of the model.

    Returns:
        The model, and which tensor of the module is which variable.

    Raises:
        TransferError: ``torch-trace``, a layer, a function, an option, or a flow of control that depends on values,
            which the vocabulary or the tracer does not have; the message names it and where it is.
    """
    if not example:
        raise error("torch-trace", found="no example input", hint="Pass one input for each argument of `forward`.")
    alone = translator(module) is not None
    graph = _traced(nn.Sequential(module) if alone else module, example)
    context = Context(Builder(), dict(graph.named_modules()))
    inputs: list[OutputRef] = []
    outputs: Any = None
    for node in graph.graph.nodes:
        context.node = node
        if node.op == "placeholder":
            found = _placeholder(context, example, len(inputs))
            inputs += [found] if found is not None else []
            context.values[node.name] = found
        elif node.op == "output":
            outputs = _outputs(context, context.value(node.args[0]))
        elif _is_unread_item(node):
            continue
        else:
            context.values[node.name] = _translated(context)
    model = Model(config=context.builder.config(name, inputs, outputs), weights=context.builder.finished())
    builder = context.builder
    own = len("0.") if alone else 0  # a layer by itself was traced as the only one of a stack
    bound = [replace(one, name=one.name[own:], names=(one.name[own:],)) for one in builder.bindings]
    packed = {key[own:]: leaves for key, leaves in builder.packed.items()}
    return Traced(model, bound, packed, builder.joined)


def _is_unread_item(node: Any) -> bool:
    """Whether a node takes an item of a tuple that nothing uses, as `_` in an assignment to several names."""
    return node.op == "call_function" and _function_name(node.target) == "getitem" and not node.users


def _check_in_place(context: Context) -> None:
    """Refuse a call that changes its input where the input is used again: what follows would see the change.

    Raises:
        TransferError: ``torch-trace``.
    """
    node = context.node
    if node.op == "call_module":
        changes = getattr(context.modules[node.target], "inplace", False)
    else:
        name = node.target if node.op == "call_method" else _function_name(node.target)
        changes = node.kwargs.get("inplace", False) or (name.endswith("_") and not name.endswith("__"))
    if not changes or not node.args or not isinstance(node.args[0], fx.Node):
        return
    order = {other.name: at for at, other in enumerate(node.graph.nodes)}
    if any(order[user.name] > order[node.name] for user in node.args[0].users):
        raise context.refuse("a change in place of a tensor that is used again")


def _traced(module: nn.Module, example: tuple[Any, ...]) -> fx.GraphModule:
    training = module.training
    module.eval()
    try:
        graph = _Tracer().trace(module)
        traced = fx.GraphModule(module, graph)
        with torch.no_grad():
            ShapeProp(traced).propagate(*example)
    except Exception as fault:
        reason = str(fault).strip().partition("\n")[0]
        raise error("torch-trace", found=f"{type(module).__name__} cannot be traced: {reason}") from fault
    finally:
        module.train(training)
    return traced


def _placeholder(context: Context, example: tuple[Any, ...], index: int) -> OutputRef | None:
    if index >= len(example):
        return context.node.args[0] if context.node.args else None
    shape = [None, *example[index].shape[1:]]
    dtype = str(example[index].dtype).removeprefix("torch.")
    return context.builder.call(context.name, "input", attrs={"shape": shape, "dtype": dtype})


def _outputs(context: Context, value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_outputs(context, one) for one in value]
    if isinstance(value, dict):
        return {key: _outputs(context, one) for key, one in value.items()}
    if not isinstance(value, OutputRef):
        raise context.refuse(f"the output {shown(value)}, which is no tensor of the graph")
    return value


def _translated(context: Context) -> Any:
    node = context.node
    if node.op == "get_attr":
        return _parameter(context)
    _check_in_place(context)
    arguments = list(map(context.value, node.args))
    if node.op == "call_module":
        module = context.modules[node.target]
        known, what = translator(module), type(module).__name__
        arguments.insert(0, module)
    else:
        what = node.target if node.op == "call_method" else _function_name(node.target)
        known = (FUNCTIONS if node.op == "call_function" else METHODS).get(what)
    if known is None:
        kinds = ", ".join(sorted(kind.__name__ for kind in MODULES))
        hint = f"Layers that are known: {kinds}." if node.op == "call_module" else ""
        raise error("torch-trace", where=context.name, found=what, hint=hint)
    options = context.value(node.kwargs)
    try:
        signature(known).bind(context, *arguments, **options)
    except TypeError as fault:
        raise error("torch-trace", where=context.name, found=f"{what} with other arguments: {fault}") from fault
    return known(context, *arguments, **options)


def _function_name(function: Any) -> str:
    return str(getattr(function, "__name__", function))


def _parameter(context: Context) -> Any:
    """A parameter or buffer that `forward` uses by itself."""
    found: Any = context.node.graph.owning_module
    for part in context.node.target.split("."):
        found = getattr(found, part)
    if not isinstance(found, torch.Tensor):
        return found
    return context.builder.call(context.node.target, "parameter", params={"value": Leaf(context.node.target, found)})
