"""The built-in layers of Keras 3.15: names of their variables in stored order, and the layers that they hold.

One row per class. A class that is not here, or whose file does not fit its row, has its variables named by number
(SPEC.md, annex B.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Attrs = Mapping[str, Any]


def _always(_: Attrs) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Var:
    """One variable of a layer.

    Attributes:
        name: its last path segment and its role.
        when: whether a layer of these attributes has it.
        trainable: whether its layer makes it trainable.
        optional: whether it may be missing for reasons that the attributes do not tell.
        slotless: whether its gradient takes its place, so that optimizers keep nothing for it.
    """

    name: str
    when: Callable[[Attrs], bool] = _always
    trainable: bool = True
    optional: bool = False
    slotless: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one class.

    Attributes:
        variables: in stored order, of a layer that is not quantized.
        modes: quantization mode -> variables in stored order.
        held: config key -> attribute, of layers that are in the layer's config.
        made: attribute -> class and attributes of a layer that the layer makes by itself, if its attributes say so.
        order: attributes in the order in which the layer lists the variables of the layers that it holds.
        alias: variable -> candidates for the path, below the layer, of the variable whose storage it shares.
        keyed: the file names the variables, and does not number them.
        adapted: the variable to which a low-rank adapter is added, if the class can have one.
    """

    variables: tuple[Var, ...] = ()
    modes: Mapping[str, tuple[Var, ...]] | None = None
    held: Mapping[str, str] | None = None
    made: Mapping[str, Callable[[Attrs], tuple[str, Attrs]]] | None = None
    order: tuple[str, ...] = ()
    alias: Mapping[str, tuple[str, ...]] | None = None
    keyed: bool = False
    adapted: str | None = None


# A Bidirectional layer makes its second layer from the first: class and attributes are those of the first.
SAME_AS_FORWARD = "forward_layer"


def _is(key: str, default: bool = True) -> Callable[[Attrs], bool]:
    return lambda attrs: bool(attrs.get(key, default))


def _state(*names: str, optional: bool = False) -> tuple[Var, ...]:
    return tuple(Var(name, trainable=False, optional=optional) for name in names)


_BIAS = Var("bias", _is("use_bias"))
_KERNEL = Var("kernel")


def _matrix(bias: Var) -> Row:
    """Rows of Dense and EinsumDense, which can be quantized."""
    fp8 = [f"{tensor}_{kind}" for tensor in ("inputs", "kernel", "outputs_grad") for kind in ("scale", "amax_history")]
    packed = _state("quantized_kernel", "kernel_scale", "kernel_zero")
    index = _state("g_idx", optional=True)
    grouped = (*_state("kernel_scale"), *_state("kernel_zero", optional=True), *index)
    return Row(
        (_KERNEL, bias),
        {
            "int8": (*_state("kernel"), bias, *_state("kernel_scale")),
            "int4": (*_state("kernel"), bias, *grouped),
            "float8": (_KERNEL, bias, *(Var(name, slotless=True) for name in fp8)),
            "gptq": (bias, *packed, *index),
            "awq": (bias, *packed, *_state("awq_scales"), *index),
        },
        adapted="kernel",
    )


def _embedding(*more: Var) -> Row:
    """Rows of Embedding and ReversibleEmbedding."""
    ends = ("", "_scale", "_zero")[: 3 * bool(more)]
    reverse = tuple(Var(f"reverse_embeddings{end}", _untied, trainable=False, optional=end == "_zero") for end in ends)
    int8 = _state("embeddings", "embeddings_scale")
    int4 = (*int8, *_state("embeddings_zero", "g_idx", optional=True))
    modes = {"int8": (*int8, *reverse[:2]), "int4": (*int4, *reverse)}
    return Row((Var("embeddings"), *more), modes, adapted="embeddings")


def _untied(attrs: Attrs) -> bool:
    return not attrs.get("tie_weights", True)


def _cell(kind: str) -> Row:
    return Row(made={"cell": lambda attrs: (f"keras:{kind}", attrs)}, order=("cell",))


def _projection(attrs: Attrs) -> tuple[str, Attrs]:
    bias = "any" if attrs.get("use_bias", True) else None
    return "keras:EinsumDense", {"bias_axes": bias, "dtype": attrs.get("dtype")}


def _plain(kind: str) -> Callable[[Attrs], tuple[str, Attrs]]:
    return lambda _: (f"keras:{kind}", {})


_ATTENTION_LAYERS: dict[str, Callable[[Attrs], tuple[str, Attrs]]] = {
    "query_dense": _projection,
    "key_dense": _projection,
    "gate_dense": _projection,
    "value_dense": _projection,
    "softmax": _plain("Softmax"),
    "dropout_layer": _plain("Dropout"),
    "output_dense": _projection,
}
_ATTENTION = Row(made=_ATTENTION_LAYERS, order=tuple(_ATTENTION_LAYERS))
_CONV = Row((_KERNEL, _BIAS), adapted="kernel")
_PLAIN_CONV = Row((_KERNEL, _BIAS))
_SEPARABLE = Row((Var("depthwise_kernel"), Var("pointwise_kernel"), _BIAS))
_RECURRENT = Row((_KERNEL, Var("recurrent_kernel"), _BIAS))
_SCALE = Var("scale", _is("use_scale", default=False))
_CENTERED = (Var("gamma", _is("scale")), Var("beta", _is("center")))
_RENORM = tuple(
    Var(name, _is("renorm", default=False), trainable=False)
    for name in ("moving_stddev", "renorm_mean", "renorm_stddev")
)
_BATCH_NORM = Row((*_CENTERED, *_state("moving_mean", "moving_variance"), *_RENORM))
_LAYER_NORM = (
    Var("gamma", lambda attrs: bool(attrs.get("scale", True) or attrs.get("rms_scaling"))),
    Var("beta", lambda attrs: bool(attrs.get("center", True) and not attrs.get("rms_scaling"))),
)
_GIVEN_MEAN = tuple(
    Var(name, lambda attrs: attrs.get("mean") is None, trainable=False) for name in ("mean", "variance", "count")
)

LAYERS: dict[str, Row] = {
    "Dense": _matrix(_BIAS),
    "EinsumDense": _matrix(Var("bias", lambda attrs: attrs.get("bias_axes") is not None)),
    "Embedding": _embedding(),
    "ReversibleEmbedding": _embedding(Var("reverse_embeddings", _untied)),
    **{f"Conv{rank}D": _CONV for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": _PLAIN_CONV for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": _PLAIN_CONV for rank in (1, 2)},
    **{f"SeparableConv{rank}D": _SEPARABLE for rank in (1, 2)},
    "BatchNormalization": _BATCH_NORM,
    "SyncBatchNormalization": _BATCH_NORM,
    "layers.experimental.SyncBatchNormalization": _BATCH_NORM,
    "LayerNormalization": Row(_LAYER_NORM),
    "GroupNormalization": Row(_CENTERED),
    "RMSNormalization": Row((Var("scale"),)),
    "SpectralNormalization": Row(
        (_KERNEL, *_state("vector_u")),
        held={"layer": "layer"},
        order=("layer",),
        alias={"kernel": ("layer/kernel", "layer/embeddings")},
    ),
    "PReLU": Row((Var("alpha"),)),
    "Attention": Row((_SCALE, Var("concat_score_weight", lambda attrs: attrs.get("score_mode") == "concat"))),
    "AdditiveAttention": Row((Var("scale", _is("use_scale")),)),
    "MultiHeadAttention": _ATTENTION,
    "GroupQueryAttention": _ATTENTION,
    "Normalization": Row(_GIVEN_MEAN),
    "STFTSpectrogram": Row(
        (
            Var("real_kernel", lambda attrs: attrs.get("mode") != "imag"),
            Var("imag_kernel", lambda attrs: attrs.get("mode") != "real"),
        )
    ),
    **dict.fromkeys(("LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTMCell"), _RECURRENT),
    # Layers of Keras 2 alone.
    **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), _PLAIN_CONV),
    **dict.fromkeys(("CuDNNLSTM", "CuDNNGRU"), Row((_KERNEL, Var("recurrent_kernel"), Var("bias")))),
    "layers.experimental.RandomFourierFeatures": Row((Var("kernel_scale"), *_state("unscaled_kernel", "bias"))),
    **{kind: _cell(f"{kind}Cell") for kind in ("LSTM", "GRU", "SimpleRNN")},
    **{f"ConvLSTM{rank}D": _cell("ConvLSTMCell") for rank in (1, 2, 3)},
    "RNN": Row(held={"cell": "cell"}, order=("cell",)),
    "StackedRNNCells": Row(held={"cells": "cells"}, order=("cells",)),
    "Bidirectional": Row(
        held={"layer": "forward_layer", "backward_layer": "backward_layer"},
        made={"backward_layer": lambda attrs: (SAME_AS_FORWARD, attrs)},
        order=("forward_layer", "backward_layer"),
    ),
    "TimeDistributed": Row(held={"layer": "layer"}, order=("layer",)),
    "Pipeline": Row(held={"layers": "layers"}, order=("layers",)),
    "StringLookup": Row(_state("idf_weights", optional=True), keyed=True),
    "IntegerLookup": Row(_state("idf_weights", optional=True), keyed=True),
    "TextVectorization": Row(
        _state("idf_weights", optional=True),
        made={"lookup_layer": lambda attrs: ("keras:StringLookup", attrs)},
        alias={"idf_weights": ("lookup_layer/idf_weights",)},
        keyed=True,
    ),
}

_VARIABLES = [variable for row in LAYERS.values() for variable in row.variables]
UNTRAINED = frozenset(one.name for one in _VARIABLES if not one.trainable) - {
    one.name for one in _VARIABLES if one.trainable
}
"""Roles that no built-in layer trains: what a file without a config tells of a variable's flag."""
