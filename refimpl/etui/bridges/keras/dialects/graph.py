"""The calls of a graph in the terms of the other Keras (SPEC.md, annex E)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.config_write import chain
from etui.bridges.keras.dialects.layers import IMPLICIT_MASKS, MERGES, PARAMETERS, RECURRENT, class_of_layer
from etui.bridges.keras.dialects.ops import (
    NoEqualError,
    Translated,
    is_float,
    is_function,
    to_function,
    to_operation,
)
from etui.bridges.keras.dialects.same import is_same
from etui.bridges.keras.dialects.values import HARD_SIGMOID, Values
from etui.bridges.keras.modules import is_input, is_sequential, join
from etui.bridges.keras.names import FreeNames, is_operation
from etui.canonical.values import ObjectValue, OutputRef, references
from etui.containers.config import Call, Graph, Module

# Keras 3's hard sigmoid is clip(x / 6 + 0.5, 0, 1).
_HARD_SIGMOID_NEW = (1 / 6, 0.5)
# Layers whose activation is the last thing that they do.
_ACTIVATED = frozenset(
    {"Activation", "Dense", "EinsumDense"}
    | {f"Conv{rank}D" for rank in (1, 2, 3)}
    | {f"Conv{rank}DTranspose" for rank in (1, 2, 3)}
    | {f"{kind}Conv{rank}D" for kind in ("Depthwise", "Separable") for rank in (1, 2)}
)
# Layers whose result is not of the dtype that they compute with, and those that hand on what they get.
_ODD = frozenset({"CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "Lambda"}) | {
    "IntegerLookup",
    "StringLookup",
    "TextVectorization",
}
_HANDED_ON = frozenset(
    {
        "Activation",
        "ActivityRegularization",
        "Add",
        "Average",
        "Concatenate",
        "Cropping1D",
        "Cropping2D",
        "Cropping3D",
        "Dropout",
        "Flatten",
        "Identity",
        "Masking",
        "Maximum",
        "Minimum",
        "Multiply",
        "Permute",
        "RepeatVector",
        "Reshape",
        "Subtract",
        "UpSampling1D",
        "UpSampling2D",
        "UpSampling3D",
        "ZeroPadding1D",
        "ZeroPadding2D",
        "ZeroPadding3D",
    }
)
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def has_hard_sigmoid(module: Module) -> bool:
    """Whether a layer's last step is the hard sigmoid, by its name."""
    value = module.attrs.get("activation")
    named = isinstance(value, ObjectValue) and value.class_name == f"keras:activations.{HARD_SIGMOID}"
    return class_of_layer(module.op) in _ACTIVATED and (is_same(value, HARD_SIGMOID) or named)


def split_hard_sigmoid(module: Module) -> list[str]:
    """Put two layers behind each child whose activation is Keras 3's hard sigmoid: Keras 2 has another one.

    Args:
        module: a model that lists its layers; it is changed.

    Returns:
        The names of the children that were split.
    """
    free = FreeNames(child.name for child in module.modules)
    found: dict[str, tuple[str, str]] = {}
    children = []
    for child in module.modules:
        children.append(child)
        if has_hard_sigmoid(child):
            child.attrs["activation"] = "linear"
            common = {"trainable": True, "dtype": child.attrs.get("dtype", "float32")}
            scale, offset = _HARD_SIGMOID_NEW
            scaled, clipped = free.take(f"{child.name}_scaled"), free.take(f"{child.name}_clipped")
            children.append(Module(scaled, "layer", "keras:Rescaling", {**common, "scale": scale, "offset": offset}))
            clip = {"max_value": 1.0, "negative_slope": 0.0, "threshold": 0.0}
            children.append(Module(clipped, "layer", "keras:ReLU", common | clip))
            found[child.name] = (scaled, clipped)
    module.modules = children
    if found and is_sequential(module):
        module.graph = None if module.graph is None else chain(module)
    elif found and module.graph is not None:
        _split_calls(module.graph, found)
    return list(found)


def _split_calls(graph: Graph, found: dict[str, tuple[str, str]]) -> None:
    moved: dict[str, str] = {}
    calls = []
    ids = {call.id for call in graph.calls}
    for call in graph.calls:
        calls.append(Call(call.id, call.module, _moved(call.args, moved), _moved(call.kwargs, moved), call.extra))
        if call.module in found:
            before = call.id
            for name in found[call.module]:
                own = _free_id(name, ids)
                calls.append(Call(own, name, [OutputRef(before, 0)]))
                before = own
            moved[call.id] = before
    graph.calls = calls
    graph.outputs = _moved(graph.outputs, moved)


def _free_id(name: str, ids: set[str]) -> str:
    call, number = name, 0
    while call in ids:
        number += 1
        call = f"{name}:{number}"
    ids.add(call)
    return call


def _moved(value: Any, moved: dict[str, str]) -> Any:
    if isinstance(value, OutputRef):
        return OutputRef(moved.get(value.call, value.call), value.index)
    if isinstance(value, dict):
        return {key: _moved(item, moved) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, moved) for item in value)
    return value


@dataclass(slots=True)
class GraphTranslation:
    """Translates the calls of one Functional model.

    Attributes:
        module: the model, whose children are translated already but for the operations; it is changed.
        values: translates values.
        path: of the module.
        specs: dtypes of results that the source tells, by call.
        outputs: dtype of the first output of each nested model, by the name of its module.
    """

    module: Module
    values: Values
    path: str
    specs: dict[str, str | None]
    outputs: dict[str, str | None]
    _known: dict[str, str | None] = field(default_factory=dict)
    _made: dict[str, Module] = field(default_factory=dict)

    def run(self) -> str | None:
        """Translate every call; the dtype of the first output."""
        graph = self.module.graph
        if graph is None:
            return None
        children = {child.name: child for child in self.module.modules}
        self._made = dict(children)
        free = FreeNames(children)
        calls, extra = [], []
        for call in graph.calls:
            child = children[call.module]
            if is_function(child.op) or is_operation(child.op):
                made, name = self._operation(call, child), call.module
                if made is None:
                    calls.append(self._plain(call, child))
                    continue
                first = self._made[name]
                if first is not child and not (first.op == made.op and is_same(first.attrs, made.attrs)):
                    name = free.take(name)
                    extra.append(Module(name, "layer", made.op, made.attrs))
                elif first is child:
                    self._made[name] = Module(name, "layer", made.op, made.attrs)
                    if child.attrs.get("name") is not None:
                        self._made[name].attrs["name"] = child.attrs["name"]
                calls.append(Call(call.id, name, made.args, made.kwargs, call.extra))
                self._known[call.id] = made.dtype
            else:
                calls.append(self._plain(call, child))
        self.module.modules = [self._made[child.name] for child in self.module.modules] + extra
        graph.calls = calls
        ends = [item for item in references(graph.outputs) if isinstance(item, OutputRef)]
        return self._known.get(ends[0].call) if ends else None

    def _operation(self, call: Call, child: Module) -> Translated | None:
        translate = to_operation if self.values.target == "keras" else to_function
        try:
            return translate(child.op, child.attrs, call.args, call.kwargs, self._known | self._told(call))
        except NoEqualError as fault:
            self.values.lost("module", join(self.path, child.name), str(fault))
            return None

    def _told(self, call: Call) -> dict[str, str | None]:
        """Dtypes of a call's inputs that the source tells."""
        found = {item.call for item in references([call.args, call.kwargs]) if isinstance(item, OutputRef)}
        return {name: self.specs[name] for name in found if self.specs.get(name) is not None}

    def _plain(self, call: Call, child: Module) -> Call:
        """The call of a layer."""
        name = class_of_layer(child.op)
        args, kwargs = list(call.args), dict(call.kwargs)
        for key in ("training", "mask"):
            if key in kwargs and kwargs[key] is None:
                del kwargs[key]
        if self.values.target == "keras":
            self._to_keras(name, child, args, kwargs)
        else:
            self._to_tf_keras(name, call, child, args, kwargs)
        self._known[call.id] = self._dtype(name, child, args)
        return Call(call.id, call.module, args, kwargs, call.extra)

    def _to_keras(self, name: str | None, child: Module, args: list[Any], kwargs: dict[str, Any]) -> None:
        if name in MERGES and args and not isinstance(args[0], list):
            args[0] = [args[0]]
        if name in RECURRENT and args and isinstance(args[0], list):
            if child.attrs.get("num_constants") or "constants" in kwargs:
                detail = "it is called with constants, which Keras 3 does not have"
                self.values.lost("module", join(self.path, child.name), detail)
            elif len(args[0]) > 1:
                args[0], kwargs["initial_state"] = args[0][0], args[0][1:]

    def _to_tf_keras(
        self, name: str | None, call: Call, child: Module, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        names = PARAMETERS.get(name or "", ())
        if len(args) > 1 + len(names):
            detail = f"the call {call.id} has {len(args)} positional arguments, of which Keras 2 keeps one"
            self.values.lost("module", join(self.path, child.name), detail)
        kwargs |= {key: item for key, item in zip(names, args[1:], strict=False) if item is not None}
        del args[1:]
        if name == "MultiHeadAttention":
            for key in IMPLICIT_MASKS & kwargs.keys():
                del kwargs[key]
        if name in RECURRENT and isinstance(kwargs.get("initial_state"), OutputRef):
            kwargs["initial_state"] = [kwargs["initial_state"]]
        if not args:
            first = next(iter(kwargs), None)
            if first is not None and not is_input(child.op):
                args.append(kwargs.pop(first))

    def _dtype(self, name: str | None, child: Module, args: list[Any]) -> str | None:
        if child.name in self.outputs:
            return self.outputs[child.name]
        own = _computed(child)
        if is_input(child.op):
            return own
        if name in _ODD:
            return None
        if name in _HANDED_ON:
            found = {self._known.get(item.call) for item in references(args) if isinstance(item, OutputRef)}
            first = found.pop() if len(found) == 1 else None
            return own if is_float(first) else first
        return own


def _computed(module: Module) -> str | None:
    """The dtype that a layer computes with."""
    policy = module.attrs.get("dtype", "float32")
    if isinstance(policy, ObjectValue):
        policy = policy.config.get("name") if isinstance(policy.config, dict) else None
    return _MIXED.get(policy, policy) if isinstance(policy, str) else None
