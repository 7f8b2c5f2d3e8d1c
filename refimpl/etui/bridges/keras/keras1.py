"""Layers of Keras 1 under the names that Keras 2 gave them (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from etui.bridges.keras.patches import Json
from etui.errors import error, shown

Config = dict[str, Json]

_ALWAYS = {"input_dtype": "dtype", "init": "kernel_initializer", "bias": "use_bias", "dim_ordering": "data_format"}
_WEIGHTS = {
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
}
_RECURRENT = {
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}
_CONV = {"nb_filter": "filters", "border_mode": "padding", "subsample": "strides", "atrous_rate": "dilation_rate"}
_POOL = {"border_mode": "padding"}
_NAMES: dict[str, dict[str, str]] = {
    "Dense": {"output_dim": "units"},
    "Dropout": {"p": "rate"},
    **{f"SpatialDropout{rank}D": {"p": "rate"} for rank in (1, 2, 3)},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "PReLU": {"init": "alpha_initializer"},
    "RepeatVector": {},
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), _RECURRENT),
    "ConvLSTM2D": _RECURRENT | _CONV,
    **dict.fromkeys(("Conv1D", "LocallyConnected1D"), _CONV | {"subsample_length": "strides"}),
    **dict.fromkeys(("Conv2D", "Conv2DTranspose", "LocallyConnected2D", "Conv3D"), _CONV),
    "SeparableConv2D": _CONV
    | {f"{kind}_{old}": f"{kind}_{new}" for kind in ("depthwise", "pointwise") for old, new in _WEIGHTS.items()},
    **{f"{kind}Pooling1D": _POOL | {"pool_length": "pool_size", "stride": "strides"} for kind in ("Max", "Average")},
    **{f"{kind}Pooling{rank}D": _POOL for kind in ("Max", "Average") for rank in (2, 3)},
    "UpSampling1D": {"length": "size"},
}
_CLASSES = {
    **{f"Convolution{rank}D": f"Conv{rank}D" for rank in (1, 2, 3)},
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
}
_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot"}
_INITIALIZERS = {"zero": "zeros", "one": "ones"}
_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": "channels_last"}
_IMPLEMENTATIONS = {"cpu": 0, "mem": 1, "gpu": 2}
# Fields of Keras 1 that say nothing more: shapes that the batch shape or the weights tell.
_SAID = ("input_dim", "output_shape", "input_length", "batchnorm_mode")


def rename_layer(node: Mapping[str, Json], where: str) -> dict[str, Json]:
    """A layer's node of Keras 1 with the class and field names of Keras 2.

    Args:
        node: `class_name` and `config`, and what else the node has.
        where: the document, for messages.

    Raises:
        UnsupportedError: ``keras-legacy``, a layer that Keras 2 can only say otherwise.
    """
    name, config = node["class_name"], node["config"]
    if name in ("Graph", "Layer") or (name == "Merge" and not isinstance(config, dict)):
        raise error("keras-legacy", where=where, found=f"the class {shown(name)} of Keras 1")
    if not isinstance(config, dict) or name in ("Sequential", "Model"):
        return dict(node)
    if name == "Merge":
        return {**node, **_merge(config, where)}
    name = _CLASSES.get(name, name)
    if name not in _NAMES:
        return {**node, "class_name": name, "config": _common(config)}
    special = _SPECIAL.get(name)
    fixed = dict(config) if special is None else special(dict(config), where)
    return {**node, "class_name": name, "config": _renamed(fixed, _ALWAYS | _WEIGHTS | _NAMES[name], name)}


def _common(config: Mapping[str, Json]) -> Config:
    """What every layer of Keras 1 may have; the names of classes that are not known stay."""
    found = dict(config)
    if isinstance(found.get("dim_ordering"), str):
        found["data_format"] = _FORMATS.get(found.pop("dim_ordering"), "channels_last")
    if "input_dtype" in found:
        found["dtype"] = found.pop("input_dtype")
    return found


def _renamed(config: Config, names: Mapping[str, str], layer: str) -> Config:
    keeps = ("input_dim", "output_dim", "input_length") if layer == "Embedding" else ()
    found: Config = {}
    for key, item in config.items():
        new = key if key in keeps else names.get(key, key)
        if key in _SAID and key not in keeps:
            continue
        found[new] = _value(new, item)
    return found


def _value(name: str, item: Json) -> Json:
    if name.endswith("_initializer") and isinstance(item, str):
        return _INITIALIZERS.get(item, item)
    if name == "data_format" and isinstance(item, str):
        return _FORMATS.get(item, item)
    if name.endswith(("_regularizer", "_constraint")) and isinstance(item, dict) and "class_name" not in item:
        return _penalty(dict(item))
    if name == "strides" and type(item) is int:
        return [item]
    return item


def _penalty(item: Config) -> Json:
    """Keras 1 writes the class of a regularizer or constraint as its `name`, beside its fields."""
    kind = item.pop("name", None)
    if kind in ("WeightRegularizer", "L1L2Regularizer") or kind is None:
        return {"class_name": "L1L2", "config": item}
    if "m" in item:
        item["max_value"] = item.pop("m")
    return {"class_name": kind, "config": item}


def _merge(config: Mapping[str, Json], where: str) -> Config:
    mode = config.get("mode")
    if not isinstance(mode, str) or mode not in (*_MERGES, "cos") or config.get("layers"):
        raise error("keras-legacy", where=where, found=f"a Merge of the mode {shown(mode)}")
    found: Config = {"name": config.get("name"), "trainable": config.get("trainable", True)}
    if mode == "concat":
        found["axis"] = config.get("concat_axis", -1)
    elif mode in ("dot", "cos"):
        found |= {"axes": config.get("dot_axes", -1), "normalize": mode == "cos"}
    return {"class_name": _MERGES.get(mode, "Dot"), "config": found}


def _kernel(*names: str) -> Callable[[Config, str], Config]:
    """Kernel sizes, which Keras 1 writes one by one."""

    def fix(config: Config, _: str) -> Config:
        if names[0] in config:
            config["kernel_size"] = [config.pop(name, None) for name in names]
        if type(config.get("atrous_rate")) is int:
            config["atrous_rate"] = [config["atrous_rate"]] * len(names)
        return config

    return fix


def _pool(config: Config, _: str) -> Config:
    for name in ("pool_length", "stride"):
        if type(config.get(name)) is int:
            config[name] = [config[name]]
    return config


def _gates(config: Config, _: str) -> Config:
    """LSTM and the like: the bias of the forget gate, and how it is computed."""
    if "forget_bias_init" in config:
        config["unit_forget_bias"] = config.pop("forget_bias_init") in ("one", "ones")
    if "consume_less" in config:
        config["implementation"] = _IMPLEMENTATIONS.get(config.pop("consume_less"), 1)
    return config


def _embedding(config: Config, where: str) -> Config:
    if config.pop("dropout", 0.0):
        raise error("keras-legacy", where=where, found="an Embedding with dropout")
    return config


def _batch_norm(config: Config, where: str) -> Config:
    if config.pop("mode", 0) != 0:
        raise error("keras-legacy", where=where, found="a BatchNormalization of a mode other than 0")
    return config


_SPECIAL: dict[str, Any] = {
    "Conv1D": _kernel("filter_length"),
    "LocallyConnected1D": _kernel("filter_length"),
    **dict.fromkeys(
        ("Conv2D", "Conv2DTranspose", "SeparableConv2D", "LocallyConnected2D"), _kernel("nb_row", "nb_col")
    ),
    "Conv3D": _kernel("kernel_dim1", "kernel_dim2", "kernel_dim3"),
    "ConvLSTM2D": lambda config, where: _gates(_kernel("nb_row", "nb_col")(config, where), where),
    **dict.fromkeys(("MaxPooling1D", "AveragePooling1D"), _pool),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), _gates),
    "Embedding": _embedding,
    "BatchNormalization": _batch_norm,
}
