"""Recurrent layers, wrappers and attention (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.core.rules import (
    Attr,
    Attrs,
    Idle,
    NotCoreError,
    Rule,
    Shape,
    Signature,
    flag,
    integer,
    number,
    seed,
    text,
)
from etui.bridges.keras.core.table_linear import activation
from etui.errors import shown

# --- recurrent layers -------------------------------------------------------------------------------------------------

_SEQUENCE = Signature(("x", "initial_state", "mask", "training"))
_ROLES = {"kernel": "kernel", "recurrent_kernel": "recurrent", "bias": "bias"}
_FLAGS = tuple(
    flag(key) for key in ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask")
)
_DROPS = (number("dropout", 0.0), number("recurrent_dropout", 0.0), seed())
_TANH, _SIGMOID = activation(default="tanh"), activation("recurrent_activation", "sigmoid")
_IDLE = {"unroll": Idle(False), "use_cudnn": Idle()}


def _recurrent(kind: str, op: str, *own: Attr, idle: Mapping[str, Idle] | None = None, fits: Any = None) -> Rule:
    return Rule(
        kind,
        op,
        (*_FLAGS, integer("units"), _TANH, *own, flag("use_bias", True), *_DROPS),
        {**_IDLE, **(idle or {})},
        _ROLES,
        homes={role: ("cell", role) for role in _ROLES},
        children={"cell": f"{kind}Cell"},
        signature=_SEQUENCE,
        fits=fits or (lambda _: True),
        activity=True,
    )


RECURRENT = [
    _recurrent("SimpleRNN", "simple_rnn"),
    _recurrent(
        "LSTM",
        "lstm",
        _SIGMOID,
        idle={"unit_forget_bias": Idle(True)},
        fits=lambda attrs: attrs["bias_form"] == "single",
    ),
    _recurrent("GRU", "gru", _SIGMOID, flag("reset_after", True)),
]
_MERGES = {"concat": "concat", "sum": "sum", "mul": "mul", "ave": "mean", None: "none"}


def _merge(value: Any, _: Mapping[str, Any]) -> str:
    if value not in _MERGES:
        raise NotCoreError(f"merge_mode is {shown(value)}")
    return _MERGES[value]


def _merge_mode(value: Any, _: Mapping[str, Any]) -> str | None:
    return next(key for key, name in _MERGES.items() if name == value)


# The layers that these hold are core modules of their own, which `lift` and `lower` see to.
WRAPPERS = [
    Rule(
        "Bidirectional",
        "bidirectional",
        (Attr("merge_mode", "merge", "concat", _merge, _merge_mode),),
        {"layer": Idle(), "backward_layer": Idle()},
        signature=_SEQUENCE,
    ),
    Rule(
        "TimeDistributed",
        "time_distributed",
        idle={"layer": Idle()},
        signature=Signature(("x", "training", "mask")),
    ),
]

# --- attention --------------------------------------------------------------------------------------------------------

_KERNELS = ("query", "key", "value")


def _heads(*more: str, output: str = "output") -> dict[str, tuple[str, str]]:
    names = {**{name: f"{name}_dense" for name in (*_KERNELS, *more)}, "output": f"{output}_dense"}
    return {f"{name}_{role}": (child, role) for name, child in names.items() for role in ("kernel", "bias")}


def _projections(homes: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {role: role.rpartition("_")[2] for role in homes}


def _output(value: Any, _: Mapping[str, Any]) -> list[int] | None:
    if value is None:
        return None
    found = [value] if type(value) is int else value
    if not isinstance(found, list | tuple) or not all(type(item) is int for item in found):
        raise NotCoreError(f"output_shape is {shown(value)}")
    return list(found)


def _axes(value: Any, _: Mapping[str, Any]) -> list[int] | None:
    """The axes of attention; the one behind the batch, which is what Keras finds for tensors of three axes, is null."""
    found = [value] if type(value) is int else value
    if found is None:
        return None
    if not isinstance(found, list | tuple) or not all(type(item) is int for item in found):
        raise NotCoreError(f"attention_axes is {shown(value)}")
    return list(found)


def _known_axes(attrs: Attrs, _: Mapping[str, Any], shape: Shape | None) -> None:
    """Keras writes the axes that it found; all but the first and the last are what null means."""
    if attrs.get("attention_axes") is not None and shape is not None:
        every = list(range(1, len(shape) - 1))
        if [axis % len(shape) for axis in attrs["attention_axes"]] == every:
            attrs["attention_axes"] = None


def _value_dim(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    if attrs.get("value_dim") == attrs.get("key_dim"):
        attrs["value_dim"] = None
    _known_axes(attrs, given, shape)


def _whole_value_dim(value: Any, attrs: Mapping[str, Any]) -> int:
    return int(attrs["key_dim"] if value is None else value)


_MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")
_ATTEND = Signature(("query", "value", "key", *_MASKS, "return_attention_scores", "training", "use_causal_mask"), 3, 2)
_MHA_HOMES, _GQA_HOMES = _heads(), _heads("gate")
_SCORES = Signature(
    ("query", "value", "key", "mask", "training", "return_attention_scores", "use_causal_mask"), 3, 3, spread=True
)
ATTENTION = [
    Rule(
        "MultiHeadAttention",
        "mha",
        (
            integer("num_heads"),
            integer("key_dim"),
            Attr("value_dim", "value_dim", None, lambda value, _: value, _whole_value_dim),
            number("dropout", 0.0),
            flag("use_bias", True),
            Attr("output_shape", "output_dim", None, _output, lambda value, _: value),
            Attr("attention_axes", "attention_axes", None, _axes, lambda value, _: value),
            seed(),
        ),
        {
            "use_gate": Idle(False, (False,)),
            "sliding_window": Idle(None, (None,)),
            "flash_attention": Idle(),
            **dict.fromkeys(("query_shape", "key_shape", "value_shape"), Idle()),
        },
        _projections(_MHA_HOMES),
        homes=_MHA_HOMES,
        children={"query_dense": "EinsumDense", "key_dense": "EinsumDense", "value_dense": "EinsumDense"}
        | {"output_dense": "EinsumDense"},
        signature=_ATTEND,
        more=_value_dim,
        activity=True,
    ),
    Rule(
        "GroupQueryAttention",
        "gqa",
        (
            integer("head_dim"),
            integer("num_query_heads"),
            integer("num_key_value_heads"),
            flag("use_bias", True),
            flag("use_gate"),
            number("dropout", 0.0),
            seed(),
        ),
        {"sliding_window": Idle(None, (None,)), "flash_attention": Idle()},
        _projections(_GQA_HOMES),
        homes=_GQA_HOMES,
        children={"query_dense": "EinsumDense", "key_dense": "EinsumDense", "value_dense": "EinsumDense"}
        | {"output_dense": "EinsumDense", "gate_dense": "EinsumDense"},
        signature=_ATTEND,
        activity=True,
    ),
    Rule(
        "Attention",
        "dot_attention",
        (
            flag("use_scale"),
            text("score_mode", "dot", choices=("dot", "concat")),
            number("dropout", 0.0),
            seed(),
        ),
        signature=_SCORES,
    ),
    Rule(
        "AdditiveAttention",
        "additive_attention",
        (flag("use_scale", True), number("dropout", 0.0), seed()),
        signature=_SCORES,
    ),
]
