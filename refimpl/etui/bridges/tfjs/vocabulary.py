"""What the layers of TensorFlow.js 4.22 can do of what tf_keras' can: classes, and the settings that they heed.

Sources: the registry of `@tensorflow/tfjs` 4.22.0, and the constructors of its layers, which ignore what they do not
know. A setting that is ignored changes the predictions, so it is named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = Any
Config = Mapping[str, Json]
Check = Callable[[Json], bool]
Rules = Mapping[str, Check]


def _absent(value: Json) -> bool:
    return value is None


def _is(*allowed: Json) -> Check:
    return lambda value: value is None or value in allowed


def _ones(value: Json) -> bool:
    """1 in every dimension."""
    return value is None or all(one == 1 for one in (value if isinstance(value, list) else [value]))


def _off(value: Json) -> bool:
    return not value


# Settings that no layer heeds, with what they may be; the values have been through JSON.
_EVERYWHERE: dict[str, Check] = {"activity_regularizer": _absent}
_CONV: dict[str, Check] = {"groups": _is(1)}
_CONV1D: dict[str, Check] = {"groups": _is(1), "padding": _is("valid", "same")}
_TRANSPOSED: dict[str, Check] = {"output_padding": _absent, "dilation_rate": _ones}
_RECURRENT: dict[str, Check] = {"time_major": _off, "zero_output_for_mask": _off}
_POOL: dict[str, Check] = {"keepdims": _off}
_GLOBAL1D: dict[str, Check] = {"keepdims": _off, "data_format": _is("channels_last")}
_LAYERS: Mapping[str, Rules] = {
    "Activation": {},
    "Add": {},
    "AlphaDropout": {},
    "Average": {},
    "AveragePooling1D": {"data_format": _is("channels_last")},
    "AveragePooling2D": {},
    "AveragePooling3D": {},
    "BatchNormalization": {
        "renorm": _off,
        "fused": lambda _: True,
        "virtual_batch_size": _absent,
        "synchronized": _off,
    },
    "Bidirectional": {},
    "Concatenate": {},
    "Conv1D": _CONV1D,
    "Conv2D": _CONV,
    "Conv2DTranspose": _TRANSPOSED,
    "Conv3D": _CONV,
    "Conv3DTranspose": _TRANSPOSED,
    "ConvLSTM2D": _RECURRENT,
    "Cropping2D": {},
    "Dense": {},
    "DepthwiseConv2D": {"dilation_rate": _ones},
    "Dot": {},
    "Dropout": {},
    "ELU": {"alpha": _is(1)},
    "Embedding": {"sparse": _off},
    "Flatten": {},
    "Functional": {},
    "GRU": {**_RECURRENT, "reset_after": _is(False)},
    "GRUCell": {"reset_after": _is(False)},
    "GaussianDropout": {},
    "GaussianNoise": {},
    "GlobalAveragePooling1D": _GLOBAL1D,
    "GlobalAveragePooling2D": _POOL,
    "GlobalMaxPooling1D": _GLOBAL1D,
    "GlobalMaxPooling2D": _POOL,
    "InputLayer": {"sparse": _off, "ragged": _off},
    "LSTM": _RECURRENT,
    "LSTMCell": {},
    "LayerNormalization": {},
    "LeakyReLU": {},
    "Masking": {},
    "MaxPooling1D": {"data_format": _is("channels_last")},
    "MaxPooling2D": {},
    "MaxPooling3D": {},
    "Maximum": {},
    "Minimum": {},
    "Model": {},
    "Multiply": {},
    "PReLU": {},
    "Permute": {},
    "RNN": _RECURRENT,
    "ReLU": {"negative_slope": _is(0), "threshold": _is(0)},
    "RepeatVector": {},
    "Rescaling": {},
    "Reshape": {},
    "SeparableConv2D": {"groups": _is(1)},
    "Sequential": {},
    "SimpleRNN": _RECURRENT,
    "SimpleRNNCell": {},
    "Softmax": {},
    "SpatialDropout1D": {},
    "StackedRNNCells": {"reverse_state_order": _off},
    "ThresholdedReLU": {},
    "TimeDistributed": {},
    "UpSampling2D": {"interpolation": _is("nearest")},  # its bilinear one aligns the corners
    "ZeroPadding2D": {},
}
LAYERS = frozenset(_LAYERS)
"""The layers whose meaning is that of tf_keras."""

OTHERS = frozenset({"CategoryEncoding", "CenterCrop", "ConvLSTM2DCell", "RandomWidth", "Resizing"})
"""Layers that TensorFlow.js has by the name, and that compute something else, or that tf_keras does not have."""

ACTIVATIONS = frozenset(
    (
        "elu",
        "selu",
        "relu",
        "relu6",
        "linear",
        "sigmoid",
        "hard_sigmoid",
        "softplus",
        "softsign",
        "tanh",
        "softmax",
        "log_softmax",
        "gelu",
        "mish",
        "swish",
    )
)
"""The activations that both have, by their names in Keras."""

SAME_ACTIVATION = {"silu": "swish"}
"""Activations that have another name."""

INITIALIZERS = frozenset(
    (
        "Zeros",
        "Ones",
        "Constant",
        "RandomUniform",
        "RandomNormal",
        "TruncatedNormal",
        "Identity",
        "VarianceScaling",
        "GlorotUniform",
        "GlorotNormal",
        "HeNormal",
        "HeUniform",
        "Orthogonal",
    )
)
SAME_INITIALIZER = {"LecunNormal": "LeCunNormal", "LecunUniform": "LeCunUniform"}
CONSTRAINTS = frozenset({"MaxNorm", "UnitNorm", "NonNeg", "MinMaxNorm"})
REGULARIZERS = {"L1L2": "L1L2", "L1": "L1L2", "L2": "L1L2"}
"""What stands for a regularizer: the three are one class in TensorFlow.js."""

LOSSES = frozenset(
    (
        "mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "squared_hinge",
        "hinge",
        "categorical_hinge",
        "logcosh",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "binary_crossentropy",
        "kullback_leibler_divergence",
        "poisson",
    )
)
SAME_LOSS = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kl_divergence": "kullback_leibler_divergence",
    "kld": "kullback_leibler_divergence",
    "log_cosh": "logcosh",
}
METRICS = frozenset(
    {
        "accuracy",
        "acc",
        "binary_accuracy",
        "categorical_accuracy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "mse",
        "mae",
        "mape",
    }
)
SAME_METRIC = {
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
}

DTYPES = {
    "float16": "float32",
    "bfloat16": "float32",
    "float64": "float32",
    "int64": "int32",
    "complex128": "complex64",
}
"""What a dtype is narrowed or widened to; the others that TensorFlow.js has stay."""
WEIGHT_DTYPES = frozenset({"float32", "int32", "bool", "complex64", "bytes", "string"})


def fault(kind: str, config: Config, shape: Json = None) -> str:
    """Why a layer of tf_keras would compute something else in TensorFlow.js, or not load; empty if it does neither.

    Args:
        kind: the layer's class.
        config: its config, plain JSON.
        shape: of its input, if the source knows it.
    """
    if kind not in _LAYERS:
        return f"TensorFlow.js has no layer {kind}"
    for key, check in {**_EVERYWHERE, **_LAYERS[kind]}.items():
        if key in config and not check(config[key]):
            return f"{kind} of TensorFlow.js does not heed {key}"
    if kind in {"GRU", "GRUCell"} and "reset_after" not in config:
        return f"{kind} of TensorFlow.js does not heed reset_after"
    return _other_axis(kind, config, shape)


def faults(node: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """The layers of a model's node for which `fault` has a reason, by their paths, with it.

    What a layer holds stands under the layer's own path.
    """
    config = node.get("config") if isinstance(node, dict) else None
    if not isinstance(config, dict):
        return
    kind = node.get("class_name")
    reason = fault(kind, config) if isinstance(kind, str) and kind in LAYERS else ""
    if reason:
        yield path, reason
    layers = config.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        name = layer["config"].get("name") if isinstance(layer, dict) and isinstance(layer.get("config"), dict) else ""
        yield from faults(layer, f"{path}/{name}" if path else str(name))
    for held in (config.get("layer"), config.get("cell")):
        yield from faults(held, path)


def _other_axis(kind: str, config: Config, shape: Json) -> str:
    """What TensorFlow.js does along the last axis, whichever one it is told."""
    if kind == "SeparableConv2D" and config.get("data_format") == "channels_first" and config.get("use_bias", True):
        return "SeparableConv2D of TensorFlow.js adds the bias along the last axis, and not to the channels"
    axis = config.get("axis", -1)
    known = isinstance(axis, int) and isinstance(shape, list) and bool(shape)
    if kind == "BatchNormalization" and known and axis % len(shape) != len(shape) - 1:
        return "BatchNormalization of TensorFlow.js normalizes along the last axis alone"
    return ""
