"""The layers of Keras that core ops stand for, from the core attributes alone."""

# mypy: disable-error-code="misc, no-untyped-call"
# (Keras is seen as Any.)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from etui.canonical.values import ObjectValue
from etui.containers.config import Module
from etui.core.vocabulary import attrs_of, object_attrs

Table = Callable[[dict[str, Any], str], Any]
LAYERS: dict[str, Table] = {}
"""Op -> a function of its attributes and a dtype that gives a layer, or a function of the module that gives it."""


def made(module: Module, dtype: str) -> Any:
    """The layer of a module, without its variables."""
    layer = LAYERS[module.op.removeprefix("core:")](attrs_of(module), dtype)
    return layer(module) if callable(layer) and not isinstance(layer, keras.Layer) else layer


def activation(value: Any) -> Any:
    """Keras' function of an activation."""
    if not isinstance(value, ObjectValue):
        return getattr(keras.activations, value)
    name, config = value.class_name.removeprefix("core:activations."), object_attrs(value)
    if name == "hard_sigmoid":  # that of tf_keras
        return lambda x: ops.clip(config["slope"] * x + 0.5, 0, 1)
    return lambda x: getattr(keras.activations, name)(x, **config)


def layer(op: str) -> Callable[[Table], Table]:
    """Register the function that makes the layer of an op from its attributes and a dtype."""

    def keep(function: Table) -> Table:
        LAYERS[op] = function
        return function

    return keep


def by_rank(kind: str, rank: int) -> Any:
    """A class for so many spatial axes."""
    return getattr(layers, f"{kind}{rank}D")


def convolution(attrs: dict[str, Any], **names: str) -> dict[str, Any]:
    """The arguments that convolutions share."""
    rank = len(attrs["kernel_size"])
    config = {
        "kernel_size": tuple(attrs["kernel_size"]),
        "strides": tuple(attrs["strides"] or [1] * rank),
        "dilation_rate": tuple(attrs["dilation"] or [1] * rank),
        "padding": attrs["padding"],
        "data_format": attrs["data_format"],
        "use_bias": attrs["use_bias"],
        "activation": activation(attrs["activation"]),
    }
    return config | {name: attrs[own] for name, own in names.items()}


LAYERS["dense"] = lambda a, d: layers.Dense(
    a["units"], use_bias=a["use_bias"], activation=activation(a["activation"]), dtype=d
)
LAYERS["einsum_dense"] = lambda a, d: layers.EinsumDense(
    a["equation"], tuple(a["output_shape"]), activation(a["activation"]), a["bias_axes"], dtype=d
)
LAYERS["embedding"] = lambda a, d: layers.Embedding(a["input_dim"], a["output_dim"], mask_zero=a["mask_zero"], dtype=d)
LAYERS["conv"] = lambda a, d: by_rank("Conv", len(a["kernel_size"]))(
    **convolution(a, filters="filters", groups="groups"), dtype=d
)
LAYERS["depthwise_conv"] = lambda a, d: by_rank("DepthwiseConv", len(a["kernel_size"]))(
    **convolution(a, depth_multiplier="depth_multiplier"), dtype=d
)
LAYERS["separable_conv"] = lambda a, d: by_rank("SeparableConv", len(a["kernel_size"]))(
    **convolution(a, filters="filters", depth_multiplier="depth_multiplier"), dtype=d
)


@layer("conv_transpose")
def conv_transpose(attrs: dict[str, Any], dtype: str) -> Any:
    extra = attrs["output_padding"]
    config = convolution(attrs, filters="filters") | {"output_padding": None if extra is None else tuple(extra)}
    return getattr(layers, f"Conv{len(attrs['kernel_size'])}DTranspose")(**config, dtype=dtype)


LAYERS["batch_norm"] = lambda a, d: layers.BatchNormalization(
    a["axis"], a["momentum"], a["epsilon"], a["center"], a["scale"], dtype=d
)
LAYERS["layer_norm"] = lambda a, d: layers.LayerNormalization(
    axis=a["axes"], epsilon=a["epsilon"], center=a["center"], scale=a["scale"], dtype=d
)
LAYERS["rms_norm"] = lambda a, d: layers.RMSNormalization(axis=a["axes"], epsilon=a["epsilon"], dtype=d)
LAYERS["group_norm"] = lambda a, d: layers.GroupNormalization(
    a["groups"], a["axis"], a["epsilon"], a["center"], a["scale"], dtype=d
)
LAYERS["unit_norm"] = lambda a, d: layers.UnitNormalization(axis=a["axes"], dtype=d)
LAYERS["normalization"] = lambda a, d: layers.Normalization(
    axis=a["axes"], mean=a["mean"], variance=a["variance"], invert=a["invert"], dtype=d
)


def recurrent(attrs: dict[str, Any], **config: Any) -> dict[str, Any]:
    """The arguments that recurrent layers share."""
    names = ("units", "use_bias", "return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    config |= {name: attrs[name] for name in names}
    for name in ("activation", "recurrent_activation"):
        if name in attrs:
            config[name] = activation(attrs[name])
    return config


LAYERS["simple_rnn"] = lambda a, d: layers.SimpleRNN(**recurrent(a), dtype=d)
LAYERS["lstm"] = lambda a, d: layers.LSTM(**recurrent(a), dtype=d)
LAYERS["gru"] = lambda a, d: layers.GRU(**recurrent(a), reset_after=a["reset_after"], dtype=d)


@layer("bidirectional")
def bidirectional(attrs: dict[str, Any], dtype: str) -> Any:
    def of(module: Module) -> Any:
        forward, backward = (made(child, dtype) for child in module.modules)
        merge = {"mean": "ave", "none": None}.get(attrs["merge"], attrs["merge"])
        return layers.Bidirectional(forward, merge, backward_layer=backward, dtype=dtype)

    return of


@layer("time_distributed")
def time_distributed(_: dict[str, Any], dtype: str) -> Any:
    return lambda module: layers.TimeDistributed(made(module.modules[0], dtype), dtype=dtype)


@layer("mha")
def mha(attrs: dict[str, Any], dtype: str) -> Any:
    names = ("num_heads", "key_dim", "value_dim", "use_bias")
    out = attrs["output_dim"]
    axes = attrs["attention_axes"]
    return layers.MultiHeadAttention(
        **{name: attrs[name] for name in names},
        output_shape=None if out is None else tuple(out),
        attention_axes=None if axes is None else tuple(axes),
        dtype=dtype,
    )


LAYERS["gqa"] = lambda a, d: layers.GroupQueryAttention(
    a["head_dim"],
    a["num_query_heads"],
    a["num_key_value_heads"],
    use_bias=a["use_bias"],
    use_gate=a["use_gate"],
    dtype=d,
)
LAYERS["dot_attention"] = lambda a, d: layers.Attention(a["use_scale"], a["score_mode"], dtype=d)
LAYERS["additive_attention"] = lambda a, d: layers.AdditiveAttention(a["use_scale"], dtype=d)
LAYERS["activation"] = lambda a, d: layers.Activation(activation(a["function"]), dtype=d)
LAYERS["relu"] = lambda a, d: layers.ReLU(a["max_value"], a["negative_slope"], a["threshold"], dtype=d)
LAYERS["leaky_relu"] = lambda a, d: layers.LeakyReLU(a["negative_slope"], dtype=d)
LAYERS["elu"] = lambda a, d: layers.ELU(a["alpha"], dtype=d)
LAYERS["prelu"] = lambda a, d: layers.PReLU(shared_axes=a["shared_axes"], dtype=d)
LAYERS["softmax"] = lambda a, d: layers.Softmax(axis=tuple(a["axes"]), dtype=d)


def pooling(kind: str) -> Table:
    """The table entry of a pooling."""
    return lambda a, d: by_rank(kind, len(a["pool_size"]))(
        tuple(a["pool_size"]),
        None if a["strides"] is None else tuple(a["strides"]),
        a["padding"],
        a["data_format"],
        dtype=d,
    )


LAYERS["max_pool"], LAYERS["avg_pool"] = pooling("MaxPooling"), pooling("AveragePooling")
LAYERS["dropout"] = lambda a, d: layers.Dropout(a["rate"], a["noise_shape"], dtype=d)
LAYERS["alpha_dropout"] = lambda a, d: layers.AlphaDropout(a["rate"], a["noise_shape"], dtype=d)
LAYERS["gaussian_dropout"] = lambda a, d: layers.GaussianDropout(a["rate"], dtype=d)
LAYERS["gaussian_noise"] = lambda a, d: layers.GaussianNoise(a["stddev"], dtype=d)
LAYERS["spatial_dropout"] = lambda a, d: layers.SpatialDropout1D(a["rate"], dtype=d)
LAYERS["activity_regularization"] = lambda a, d: layers.ActivityRegularization(a["l1"], a["l2"], dtype=d)
LAYERS["masking"] = lambda a, d: layers.Masking(a["mask_value"], dtype=d)
LAYERS["rescale"] = lambda a, d: layers.Rescaling(a["scale"], a["offset"], dtype=d)
LAYERS["identity"] = lambda _, d: layers.Identity(dtype=d)
LAYERS["flatten"] = lambda a, d: layers.Flatten(a["data_format"], dtype=d)
LAYERS["reshape"] = lambda a, d: layers.Reshape(tuple(a["shape"]), dtype=d)
LAYERS["permute"] = lambda a, d: layers.Permute(tuple(a["axes"][1:]), dtype=d)
LAYERS["repeat"] = lambda a, d: layers.RepeatVector(a["count"], dtype=d)
LAYERS["crop"] = lambda a, d: by_rank("Cropping", len(a["cropping"]) - 1)(
    a["cropping"][0] if len(a["cropping"]) == 2 else a["cropping"][:-1], dtype=d
)
LAYERS["add"] = lambda _, d: layers.Add(dtype=d)
LAYERS["mul"] = lambda _, d: layers.Multiply(dtype=d)
LAYERS["mean"] = lambda _, d: layers.Average(dtype=d)
LAYERS["max"] = lambda _, d: layers.Maximum(dtype=d)
LAYERS["min"] = lambda _, d: layers.Minimum(dtype=d)
LAYERS["sub"] = lambda _, d: layers.Subtract(dtype=d)
LAYERS["concat"] = lambda a, d: layers.Concatenate(a["axis"], dtype=d)
LAYERS["dot"] = lambda a, d: layers.Dot(tuple(a["axes"]), a["normalize"], dtype=d)
LAYERS["global_avg_pool"] = lambda a, d: layers.GlobalAveragePooling1D(a["data_format"], a["keepdims"], dtype=d)
