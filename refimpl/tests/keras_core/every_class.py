"""Models that together hold every class of Keras that has a core op: each once at least, with attributes of its own.

Used by the judge; importing this module imports Keras.
"""

# The classes are called by what the tables name, which no type checker follows.
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras
import numpy as np
from keras import layers, ops

Sample = tuple[Any, Any]


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _branches(shape: tuple[int, ...], *branches: Callable[[Any], Any], positive: bool = False) -> Sample:
    """A model of one input whose outputs are the branches'."""
    inputs = keras.Input(shape)
    outputs = [out for branch in branches for out in keras.tree.flatten(branch(inputs))]
    x = numbers(3, *shape)
    return keras.Model(inputs, outputs), np.abs(x) + 0.1 if positive else x


def _drawn(model: Any) -> Any:
    """Variables that are not at their beginnings, so that a lost one shows."""
    rng = np.random.default_rng(5)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            variable.assign(rng.uniform(0.1, 0.9, variable.shape))
    return model


def images() -> Sample:
    return _branches(
        (8, 8, 4),
        layers.Conv2D(4, 3, padding="same", groups=2, activation="gelu"),
        layers.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.SeparableConv2D(3, 2, activation=layers.LeakyReLU(negative_slope=0.1)),
        layers.MaxPooling2D(3, 2, "same"),
        layers.AveragePooling2D(2),
        layers.GlobalMaxPooling2D(),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.AdaptiveMaxPooling2D(3),
        layers.AdaptiveAveragePooling2D((3, 2)),
        layers.UpSampling2D((2, 3)),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Resizing(5, 4, interpolation="bicubic"),
        layers.ZeroPadding2D(((1, 0), (2, 1))),
        layers.Cropping2D(((1, 0), (2, 1))),
        layers.SpatialDropout2D(0.3),
        layers.BatchNormalization(epsilon=0.01),
        import_module("keras.src.applications.convnext").LayerScale(1e-3, 4),
        import_module("keras.src.applications.convnext").LayerScale(0.5, 4, trainable=False),
        lambda x: import_module("keras.src.applications.inception_resnet_v2").CustomScaleLayer(0.17)([x, x]),
        layers.LayerNormalization(axis=(1, 2)),
        layers.GroupNormalization(2, axis=-1),
        layers.RMSNormalization(),
        layers.UnitNormalization(),
        layers.Normalization(axis=-1, mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0]),
        layers.PReLU(shared_axes=[1, 2]),
        layers.Softmax(axis=[1, 2]),
        layers.Flatten(),
        layers.Permute((3, 1, 2)),
        layers.Reshape((16, -1)),
        layers.Rescaling([1.0, 2.0, 3.0, 4.0], 0.5),
        layers.ActivityRegularization(0.1, 0.2),
        layers.GaussianNoise(0.1),
        layers.GaussianDropout(0.1),
        layers.AlphaDropout(0.1),
        layers.Dropout(0.2, noise_shape=(None, 1, 1, 4)),
        layers.Identity(),
    )


def lines_and_blocks() -> Sample:
    line, block = keras.Input((12, 4)), keras.Input((6, 6, 6, 2))
    on_line = [
        layers.Conv1D(3, 3, padding="causal", dilation_rate=2),
        layers.Conv1DTranspose(3, 2, strides=2),
        layers.DepthwiseConv1D(3),
        layers.SeparableConv1D(3, 3),
        layers.MaxPooling1D(2),
        layers.AveragePooling1D(3, 2, "same"),
        layers.GlobalMaxPooling1D(),
        layers.GlobalAveragePooling1D(),
        layers.AdaptiveMaxPooling1D(5),
        layers.AdaptiveAveragePooling1D(5),
        layers.UpSampling1D(2),
        layers.ZeroPadding1D((1, 2)),
        layers.Cropping1D((1, 2)),
        layers.SpatialDropout1D(0.2),
        layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"),
        layers.Masking(0.0),
    ]
    on_block = [
        layers.Conv3D(2, 2, strides=2),
        layers.Conv3DTranspose(2, 2),
        layers.MaxPooling3D(2),
        layers.AveragePooling3D((1, 2, 2)),
        layers.GlobalMaxPooling3D(),
        layers.GlobalAveragePooling3D(),
        layers.AdaptiveMaxPooling3D(2),
        layers.AdaptiveAveragePooling3D(2),
        layers.UpSampling3D((1, 2, 1)),
        layers.ZeroPadding3D(1),
        layers.Cropping3D(1),
        layers.SpatialDropout3D(0.2),
    ]
    outputs = [layer(line) for layer in on_line] + [layer(block) for layer in on_block]
    return keras.Model([line, block], outputs), [numbers(3, 12, 4), numbers(3, 6, 6, 6, 2)]


def sequences() -> Sample:
    def attended(x: Any) -> list[Any]:
        return [
            layers.MultiHeadAttention(2, 3, output_shape=5)(x, x),
            layers.GroupQueryAttention(3, 4, 2)(x, x, use_causal_mask=True),
            layers.Attention(use_scale=True, score_mode="concat")([x, x]),
            layers.AdditiveAttention()([x, x, x]),
        ]

    return _branches(
        (5, 4),
        layers.SimpleRNN(3),
        layers.LSTM(3, return_sequences=True, go_backwards=True, recurrent_activation="hard_sigmoid"),
        layers.GRU(3, reset_after=False, return_state=True),
        layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="ave"),
        layers.TimeDistributed(layers.Dense(3, activation="silu")),
        attended,
    )


def merging() -> Sample:
    one, two = keras.Input((4, 3)), keras.Input((4, 3))
    kinds = [layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum, layers.Subtract]
    outputs = [kind()([one, two]) for kind in kinds]
    outputs += [layers.Concatenate(axis=1)([one, two, one]), layers.Dot(axes=(2, 2), normalize=True)([one, two])]
    return keras.Model([one, two], outputs), [numbers(3, 4, 3), numbers(3, 4, 3, seed=1)]


def features() -> Sample:
    return _branches(
        (4,),
        layers.Dense(3, activation="relu6", use_bias=False),
        layers.Activation("mish"),
        layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2),
        layers.LeakyReLU(0.1),
        layers.ELU(0.5),
        layers.RepeatVector(3),
        layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.5]),
        lambda x: layers.Embedding(5, 3)(ops.cast(ops.absolute(x), "int32")),
        lambda x: layers.CategoryEncoding(5, output_mode="count")(ops.cast(ops.absolute(x), "int32")),
    )


def elements() -> Sample:
    unary = [
        "absolute",
        "negative",
        "sign",
        "exp",
        "expm1",
        "log",
        "log1p",
        "log2",
        "log10",
        "sqrt",
        "rsqrt",
        "square",
        "reciprocal",
        "sin",
        "cos",
        "tan",
        "arctan",
    ]
    unary += ["sinh", "cosh", "arcsinh", "floor", "ceil", "erf", "isnan", "isinf", "isfinite", "round", "tanh", "abs"]
    small = ["arcsin", "arccos", "arctanh"]
    binary = [
        "add",
        "subtract",
        "multiply",
        "true_divide",
        "divide",
        "floor_divide",
        "mod",
        "power",
        "maximum",
        "minimum",
        "equal",
        "not_equal",
        "less",
    ]
    binary += ["less_equal", "greater", "greater_equal", "arctan2", "matmul"]
    logical = ["logical_and", "logical_or", "logical_xor"]

    def one(x: Any) -> list[Any]:
        found = [getattr(ops, name)(x) for name in unary] + [getattr(ops, name)(x / 10.0) for name in small]
        found += [getattr(ops, name)(x, 1.3 - x) for name in binary]
        yes, no = x > 0.5, x < 1.0
        found += [getattr(ops, name)(yes, no) for name in logical]
        found += [ops.logical_not(yes), ops.arccosh(x + 1.0), ops.where(yes, x, 2.0), ops.clip(x, 0.2, 0.8)]
        return found

    return _branches((4, 4), one, positive=True)


def activations() -> Sample:
    names = ["celu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "relu"]
    names += ["log_softmax", "relu6", "selu"]
    names += [
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "squareplus",
        "tanh_shrink",
    ]
    names += ["elu", "leaky_relu", "softmax"]
    given = [lambda x, name=name: getattr(ops, name)(x) for name in names]
    return _branches((6,), *given, lambda x: ops.gelu(x, approximate=False), lambda x: ops.threshold(x, 0.1, -1.0))


def shapes() -> Sample:
    return _branches(
        (4, 6),
        lambda x: ops.cast(x, "int32"),
        lambda x: ops.reshape(x, (-1, 24)),
        lambda x: ops.transpose(x, (0, 2, 1)),
        lambda x: ops.moveaxis(x, 1, 2),
        lambda x: ops.swapaxes(x, 1, 2),
        lambda x: ops.expand_dims(x, 1),
        lambda x: ops.squeeze(x[:, :1], axis=1),
        lambda x: ops.broadcast_to(ops.expand_dims(x, 0), (2, 3, 4, 6)),
        lambda x: ops.concatenate([x, x], axis=-1),
        lambda x: ops.stack([x, x], axis=1),
        lambda x: ops.split(x, [1, 3], axis=1),
        lambda x: ops.split(x, 2, axis=-1),
        lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=0.5),
        lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), mode="reflect"),
        lambda x: x[:, 1:, None, ..., ::2],
        lambda x: ops.take(x, np.array([0, 2]), axis=1),
        lambda x: ops.einsum("abc,adc->abd", x, x),
        *(
            lambda x, name=name: getattr(ops, name)(x, axis=1, keepdims=True)
            for name in ["sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "argmax", "argmin"]
        ),
        lambda x: [ops.any(x > 0.0, axis=(1, 2)), ops.all(x > 0.0, axis=-1)],
        lambda x: [ops.layer_normalization(x), ops.rms_normalization(x, None), ops.normalize(x, axis=-1)],
        lambda x: [ops.max_pool(x[..., None], 2, 2), ops.average_pool(x[..., None], 2, 1)],
        lambda x: [ops.one_hot(ops.argmax(x[:, :, None], axis=1), 6)],
        lambda x: ops.image.resize(ops.expand_dims(x, -1), (5, 5)),
    )


CASES: dict[str, Callable[[], Sample]] = {
    made.__name__: made
    for made in (
        images,
        lines_and_blocks,
        sequences,
        merging,
        features,
        elements,
        activations,
        shapes,
    )
}


def build(name: str) -> Sample:
    """A model and its batch."""
    model, x = CASES[name]()
    return _drawn(model), x
