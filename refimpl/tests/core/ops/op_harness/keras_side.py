"""What Keras makes of a case: the layer or operation that a core op stands for, built from the core attributes alone.

This is a table of its own, so that the bridge to Keras is not its own judge. Keras runs eagerly; masks travel as Keras
carries them, on the tensors.
"""

# mypy: disable-error-code="misc, no-untyped-call"
# (Keras is seen as Any.)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from etui.containers.config import Module
from etui.core.vocabulary import attrs_of

from .case import OP, Case, as_dtype, mapped
from .keras_functions import FUNCTIONS
from .keras_layers import made


def compute(case: Case) -> list[Any]:
    """The outputs of the case, flattened."""
    tensors = {name: tensor(array) for name, array in case.arrays().items()}
    for module in case.extra:
        tensors[module.name] = tensor(as_dtype(case.variables[module.params["value"]], case.dtype))
    if case.before is not None:
        before = made(case.before, case.dtype)
        tensors |= {name: before(tensors[name]) for name in case.through()}
    args, kwargs = mapped(case.args, tensors), mapped(case.kwargs, tensors)
    result = call(case, args, kwargs)
    outputs = list(keras.tree.flatten(result))
    if case.after is not None:
        outputs[0] = made(case.after, case.dtype)(outputs[0])
    return [ops.convert_to_numpy(output) for output in outputs]


def tensor(array: Any) -> Any:
    """A tensor of an array; strings stay with NumPy."""
    return array if array.dtype.kind in "UO" else ops.convert_to_tensor(array)


def call(case: Case, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call what the op stands for."""
    op, attrs = case.module.op.removeprefix("core:"), attrs_of(case.module)
    if op in FUNCTIONS:
        return FUNCTIONS[op](attrs, *args, **kwargs)
    variables = {path: as_dtype(array, case.dtype) for path, array in case.variables.items()}
    if op == "graph":
        return nested(case, variables, *args)
    if op == "sequential":
        flow = args[0]
        for child in case.module.modules:
            flow = loaded(child, case.dtype, variables, [flow])(flow)
        return flow
    training = {"training": True} if case.training and op in TRAINED else {}
    if op in LISTS and not isinstance(args[0], list):
        args = [args]
    if op in {"mha", "gqa"} and "query_mask" in kwargs:
        # MultiHeadAttention overwrites the argument by the mask that the query carries.
        keras.src.backend.set_keras_mask(args[0], kwargs["query_mask"])
    layer = loaded(case.module, case.dtype, variables, args)
    if op in STATES and len(args) > 1:
        args, kwargs = args[:1], {"initial_state": args[1:], **kwargs}
    return layer(*args, **kwargs, **training)


TRAINED = {
    "batch_norm", "dropout", "alpha_dropout", "gaussian_dropout", "gaussian_noise", "spatial_dropout",
}  # fmt: skip
STATES = {"simple_rnn", "lstm", "gru", "bidirectional"}
LISTS = {"dot_attention", "additive_attention", "add", "mul", "mean", "max", "min", "sub", "dot", "concat"}


def nested(case: Case, variables: Mapping[str, Any], pair: list[Any]) -> Any:
    """The model inside of the model that `graph` cases have, as a Functional model."""
    calls = case.module.graph.calls if case.module.graph else []
    a, b = (keras.Input(tuple(x.shape[1:]), dtype=case.dtype) for x in pair)
    dense = layers.Dense(a.shape[-1], use_bias=False, dtype=case.dtype)
    first = dense(a)
    second = dense(first if calls[3].args[0].call == "first" else b)
    model = keras.Model([a, b], [layers.Add(dtype=case.dtype)([second, b]), first])
    dense.kernel.assign(variables[f"{OP}/dense/kernel"])
    return model(pair)


def loaded(module: Module, dtype: str, variables: Mapping[str, Any], args: list[Any]) -> Any:
    """The layer of a module, built for its arguments and with its variables."""
    layer = made(module, dtype)
    op = module.op.removeprefix("core:")
    first = args[0] if op in STATES else args
    shapes = keras.tree.map_structure(lambda x: tuple(x.shape), first)
    if op in STATES:
        layer.build(shapes)
    else:
        layer.build(*keras.tree.map_structure_up_to([0] * len(args), lambda x: x, shapes))
    assign(layer, module, variables)
    return layer


def assign(layer: Any, module: Module, variables: Mapping[str, Any]) -> None:
    """Give a built layer the variables of its module."""
    if module.op == "core:bidirectional":
        for child, inner in zip(module.modules, (layer.forward_layer, layer.backward_layer), strict=True):
            assign(inner, child, variables)
        return
    if module.op == "core:time_distributed":
        assign(layer.layer, module.modules[0], variables)
        return
    own = {role: variables[path] for role, path in module.params.items()}
    for variable in layer.variables:
        role = variable.path.rpartition("/")[2]
        parent = variable.path.split("/")[-2] if "/" in variable.path else ""
        if module.op in {"core:mha", "core:gqa"}:
            role = f"{parent.replace('attention_output', 'output')}_{role}"
        if role in own:
            variable.assign(own.pop(role))
    if own:
        raise AssertionError(f"no variables of {layer} for {sorted(own)}; it has {[v.path for v in layer.variables]}")
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()
