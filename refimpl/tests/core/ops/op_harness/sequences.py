"""Cases of recurrent ops, attention and random ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from etui.containers.config import Module

from .case import OP, Array, Case, Draw, In, case, module_of, single

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def recurrent_attrs(draw: Draw, op: str, units: int) -> dict[str, Any]:
    """What defines the step of a recurrent op."""
    attrs: dict[str, Any] = {
        "units": units,
        "use_bias": draw.flag(),
        "activation": draw.pick("tanh", "relu", "sigmoid"),
    }
    if op != "simple_rnn":
        attrs["recurrent_activation"] = draw.pick("sigmoid", "hard_sigmoid")
    if op == "gru":
        attrs["reset_after"] = draw.flag()
    if op == "lstm" and not draw.keras:
        attrs["bias_form"] = draw.pick("single", "double")
    return attrs


def recurrent_params(draw: Draw, op: str, width: int, attrs: dict[str, Any]) -> dict[str, Array]:
    """The variables of a recurrent op."""
    units, gates = attrs["units"], GATES[op]
    params = {"kernel": draw.kernel(width, gates * units), "recurrent_kernel": draw.kernel(units, gates * units)}
    if attrs["use_bias"]:
        params["bias"] = draw.kernel(*([2] if attrs.get("reset_after") else []), gates * units)
        if attrs.get("bias_form") == "double":
            params["recurrent_bias"] = draw.kernel(gates * units)
    return params


def steps(draw: Draw, count: int, units: int, width: int) -> tuple[dict[str, Array], list[Any], dict[str, Any]]:
    """The sequence, first states and mask of a call: inputs, arguments and keywords."""
    batch, time = draw.number(1, 3), draw.number(1, 5)
    inputs = {"x": draw.floats(batch, time, width)}
    args: list[Any] = [In("x")]
    kwargs: dict[str, Any] = {}
    if draw.flag():
        names = [f"state_{index}" for index in range(count)]
        inputs |= {name: draw.floats(batch, units) for name in names}
        if draw.flag():
            args += [In(name) for name in names]
        else:
            kwargs["initial_state"] = [In(name) for name in names]
    if draw.flag():
        inputs["mask"] = draw.bools(batch, time)
        kwargs["mask"] = In("mask")
        if draw.judge == "keras" and len(inputs) > 2:
            # With TensorFlow, Keras forgets the first states where a sequence starts masked: see CV-104.
            inputs["mask"][:, [0, -1]] = True
    return inputs, args, kwargs


@case("simple_rnn", "lstm", "gru")
def recurrent(draw: Draw, op: str) -> Case:
    units, width = draw.number(1, 3), draw.number(1, 3)
    attrs = recurrent_attrs(draw, op, units)
    params = recurrent_params(draw, op, width, attrs)
    for name in ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask"):
        attrs[name] = draw.flag()
    count = 2 if op == "lstm" else 1
    if attrs["return_sequences"] and not attrs["return_state"] and draw.flag():
        return single(draw, op, {"x": draw.floats(2, draw.number(2, 4), width)}, attrs, params, masked=True)
    inputs, args, kwargs = steps(draw, count, units, width)
    outputs = 1 + count * attrs["return_state"]
    return single(draw, op, inputs, attrs, params, kwargs=kwargs, args=args, outputs=outputs)


@case("bidirectional")
def bidirectional(draw: Draw, op: str) -> Case:
    inner, units, width = draw.pick(*GATES), draw.number(1, 3), draw.number(1, 3)
    merge = draw.pick("concat", "sum", "mul", "mean", "none")
    whole, states = draw.flag(), draw.flag()
    children: list[Module] = []
    variables: dict[str, Array] = {}
    for name in ("forward", "backward"):
        attrs = recurrent_attrs(draw, inner, units)
        params = recurrent_params(draw, inner, width, attrs)
        attrs |= {"return_sequences": whole, "return_state": states, "zero_output_for_mask": whole}
        attrs["go_backwards"] = name == "backward"
        children.append(module_of(inner, attrs, name, params, f"{OP}/{name}"))
        variables |= {f"{OP}/{name}/{role}": array for role, array in params.items()}
    count = 2 if inner == "lstm" else 1
    inputs, args, kwargs = steps(draw, 2 * count, units, width)
    outputs = (2 if merge == "none" else 1) + 2 * count * states
    made = single(draw, op, inputs, {"merge": merge}, kwargs=kwargs, args=args, outputs=outputs)
    made.module.modules, made.variables = children, variables
    return made


@case("time_distributed")
def time_distributed(draw: Draw, op: str) -> Case:
    inner = draw.pick("dense", "layer_norm", "lstm", "conv")
    batch, time, width = draw.number(1, 3), draw.number(1, 3), draw.number(1, 3)
    middle = [] if inner in {"dense", "layer_norm"} and draw.flag() else [draw.number(2, 3)]
    x = draw.floats(batch, time, *middle, width)
    params: dict[str, Array]
    attrs: dict[str, Any]
    if inner == "dense":
        attrs, params = {"units": 2}, {"kernel": draw.kernel(width, 2), "bias": draw.kernel(2)}
    elif inner == "layer_norm":
        attrs, params = {}, {"gamma": draw.floats(width), "beta": draw.floats(width)}
    elif inner == "conv":
        attrs = {"kernel_size": [2], "filters": 2, "use_bias": False}
        params = {"kernel": draw.kernel(2, width, 2)}
    else:
        attrs = recurrent_attrs(draw, "lstm", 2) | {"return_sequences": draw.flag()}
        params = recurrent_params(draw, "lstm", width, attrs)
    inputs, kwargs = {"x": x}, {}
    if draw.flag():
        inputs["mask"] = draw.bools(batch, time, *(middle if inner == "lstm" else []))
        kwargs["mask"] = In("mask")
    made = single(draw, op, inputs, kwargs=kwargs)
    made.module.modules = [module_of(inner, attrs, "layer", params, f"{OP}/layer")]
    made.variables = {f"{OP}/layer/{role}": array for role, array in params.items()}
    return made


# --- attention --------------------------------------------------------------------------------------------------------


def keyed(kept: Array, batch: int, queries: int, keys: int) -> Array:
    """Whether each query has a key: [batch, queries]. Keras computes the others in one of three ways."""
    return np.asarray(np.any(np.broadcast_to(kept, (batch, queries, keys)), axis=-1))


def attention_masks(draw: Draw, inputs: dict[str, Array], kwargs: dict[str, Any], prefix: str) -> Array:
    """Add the masks of some inputs, and others, to a call; gives which pairs are kept: [batch, queries, keys]."""
    (batch, queries), keys = inputs["query"].shape[:2], inputs["value"].shape[1]
    kept: Any = np.ones((batch, queries, keys), np.bool_)
    for name in ("query", "value", "key"):
        if name in inputs and draw.flag():
            mask = draw.mask(batch, inputs[name].shape[1])
            inputs[f"{name}_mask"], kwargs[f"{name}_mask"] = mask, In(f"{name}_mask")
            kept &= mask[:, :, np.newaxis] if name == "query" else mask[:, np.newaxis, :]
    if prefix and draw.flag():
        mask = draw.bools(batch, queries, keys)
        # Keras broadcasts an axis of the heads only where no other mask meets it.
        inputs["attention_mask"] = mask[:, np.newaxis] if not draw.keras and draw.flag() else mask
        kwargs["attention_mask"] = In("attention_mask")
        kept &= mask
    if draw.flag():
        kwargs["use_causal_mask"] = True
        kept &= np.tri(queries, keys, dtype=np.bool_)
    return np.asarray(kept)


def attended(draw: Draw, *, same: bool) -> dict[str, Array]:
    """Query, value and perhaps a key: [batch, time, features], the features of all the same if need be."""
    batch, queries, keys = draw.number(1, 2), draw.number(1, 4), draw.number(1, 4)
    widths = [draw.number(1, 4)] * 3 if same else draw.ints(3, 1, 4)
    inputs = {"query": draw.floats(batch, queries, widths[0]), "value": draw.floats(batch, keys, widths[1])}
    if draw.flag():
        inputs["key"] = draw.floats(batch, keys, widths[2])
    return inputs


def projections(
    draw: Draw, sizes: dict[str, tuple[int, int, int]], out: tuple[int, ...], bias: bool
) -> dict[str, Array]:
    """Kernels and biases of projections: role -> (features, heads, dimensions), and those of the output."""
    params = {}
    for name, shape in sizes.items():
        params[f"{name}_kernel"] = draw.kernel(*shape)
        if bias:
            params[f"{name}_bias"] = draw.kernel(*shape[1:])
    params["output_kernel"] = draw.kernel(*out)
    if bias:
        params["output_bias"] = draw.kernel(*out[2:])
    return params


def scored(draw: Draw, made: Case, kept: Array, *, heads: bool) -> Case:
    """The case, perhaps with the weights as a second output; Keras is compared where a query has a key."""
    batch, queries, keys = kept.shape
    known = keyed(kept, batch, queries, keys)
    made.compared = [known[..., np.newaxis]]
    if draw.flag():
        made.kwargs["return_attention_scores"] = True
        made.outputs = 2
        made.compared.append(known[:, np.newaxis, :, np.newaxis] if heads else known[..., np.newaxis])
    return made


@case("mha")
def mha(draw: Draw, op: str) -> Case:
    least = 2 if draw.judge == "keras" else 1  # Keras with TensorFlow may take a bias [n, 1] for one of the time
    heads, key_dim, value_dim = draw.number(1, 3), draw.number(least, 3), draw.pick(None, 2)
    attrs: dict[str, Any] = {"num_heads": heads, "key_dim": key_dim, "value_dim": value_dim, "use_bias": draw.flag()}
    many = draw.number(0, 3) == 0
    if many:
        batch, a, b = draw.ints(3, 1, 3)
        inputs = {"query": draw.floats(batch, a, b, 3), "value": draw.floats(batch, a, b, 2)}
        attrs["attention_axes"] = draw.pick(None, [1], [2], [1, 2])
    else:
        inputs = attended(draw, same=False)
    out = draw.pick(None, [3], [2, 2])
    attrs["output_dim"] = out
    widths = {name: array.shape[-1] for name, array in inputs.items()}
    value = value_dim or key_dim
    sizes = {
        "query": (widths["query"], heads, key_dim),
        "key": (widths.get("key", widths["value"]), heads, key_dim),
        "value": (widths["value"], heads, value),
    }
    params = projections(draw, sizes, (heads, value, *(out or [widths["query"]])), attrs["use_bias"])
    args = [In(name) for name in inputs]
    if many:
        return single(draw, op, inputs, attrs, params, args=args)
    kwargs: dict[str, Any] = {}
    kept = attention_masks(draw, inputs, kwargs, "every")
    made = scored(draw, single(draw, op, inputs, attrs, params, kwargs=kwargs, args=args), kept, heads=True)
    if len(out or []) == 2:
        made.compared[0] = made.compared[0][..., np.newaxis]  # type: ignore[index]
    return made


@case("gqa")
def gqa(draw: Draw, op: str) -> Case:
    shared, heads, dim = draw.number(1, 2), draw.number(1, 2), draw.number(2 if draw.judge == "keras" else 1, 3)
    attrs = {"num_query_heads": shared * heads, "num_key_value_heads": heads, "head_dim": dim}
    attrs |= {"use_bias": draw.flag(), "use_gate": draw.flag()}
    inputs = attended(draw, same=draw.keras)
    widths = {name: array.shape[-1] for name, array in inputs.items()}
    sizes = {
        "query": (widths["query"], shared * heads, dim),
        "key": (widths.get("key", widths["value"]), heads, dim),
        "value": (widths["value"], heads, dim),
    }
    sizes |= {"gate": sizes["query"]} if attrs["use_gate"] else {}
    params = projections(draw, sizes, (shared * heads, dim, widths["query"]), bool(attrs["use_bias"]))
    args = [In(name) for name in inputs]
    kwargs: dict[str, Any] = {}
    kept = attention_masks(draw, inputs, kwargs, "every")
    return scored(draw, single(draw, op, inputs, attrs, params, kwargs=kwargs, args=args), kept, heads=True)


@case("dot_attention", "additive_attention")
def dot_attention(draw: Draw, op: str) -> Case:
    inputs = attended(draw, same=True)
    width = inputs["query"].shape[-1]
    attrs: dict[str, Any] = {"use_scale": draw.flag()}
    params = {}
    if op == "dot_attention":
        attrs["score_mode"] = draw.pick("dot", "concat")
        if attrs["use_scale"]:
            params["scale"] = np.asarray(draw.floats(1)[0])
        if attrs["score_mode"] == "concat":
            params["concat_score_weight"] = np.asarray(draw.floats(1)[0])
    elif attrs["use_scale"]:
        params["scale"] = draw.floats(width)
    args = [In(name) for name in inputs]
    named: dict[str, Any] = {}
    kept = attention_masks(draw, inputs, named, "")
    query, value = named.pop("query_mask", None), named.pop("value_mask", None)
    if named.pop("key_mask", None) is not None:
        del inputs["key_mask"]
    keys = inputs["value"].shape[1]
    kept = np.ones(kept.shape, bool) if value is None else np.broadcast_to(inputs["value_mask"][:, None], kept.shape)
    kept = kept & np.tri(kept.shape[1], keys, dtype=bool) if named.get("use_causal_mask") else kept
    if query is not None or value is not None:
        named["mask"] = [query, value]
    return scored(draw, single(draw, op, inputs, attrs, params, kwargs=named, args=args), kept, heads=False)


# --- random ops -------------------------------------------------------------------------------------------------------


@case("dropout", "alpha_dropout", "gaussian_dropout", "gaussian_noise", "spatial_dropout")
def random_op(draw: Draw, op: str) -> Case:
    """Nothing is drawn: either the call does not train, or the rate is 0."""
    training = draw.flag()
    x = draw.floats(*draw.ints(3 if op == "spatial_dropout" else draw.number(2, 3), 1, 4))
    attrs: dict[str, Any] = {"stddev" if op == "gaussian_noise" else "rate": 0.0 if training else 0.4}
    if op in {"dropout", "alpha_dropout"}:
        attrs["noise_shape"] = draw.pick(None, [None, 1, None][: x.ndim])
    return single(draw, op, {"x": x}, attrs, training=training, masked=x.ndim == 3 and draw.flag())


@case("activity_regularization")
def activity_regularization(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 3), 1, 4))
    return single(draw, op, {"x": x}, {"l1": draw.pick(0.0, 0.1), "l2": 0.2}, masked=x.ndim == 3 and draw.flag())


def child(name: str, op: str, **attrs: Any) -> Module:
    """A module without variables."""
    return module_of(op, attrs, name, (), name)
