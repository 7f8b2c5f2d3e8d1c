"""Dense layers, embeddings, convolutions and normalizations (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.core.objects import lift_activation, lower_activation
from etui.bridges.keras.core.rules import (
    REQUIRED,
    Attr,
    Attrs,
    Idle,
    NotCoreError,
    NotKerasError,
    Rule,
    Shape,
    Signature,
    axes,
    data_format,
    flag,
    integer,
    number,
    per_axis,
    sizes,
    text,
)
from etui.canonical.values import ObjectValue
from etui.errors import shown

_KERNEL_BIAS = {"kernel": "kernel", "bias": "bias"}


def activation(key: str = "activation", default: Any = None, name: str | None = None) -> Attr:
    """An activation."""
    return Attr(key, name or key, default, lift_activation, lower_activation)


# --- dense layers and embeddings --------------------------------------------------------------------------------------


def _output_shape(value: Any, _: Mapping[str, Any]) -> list[int | None]:
    found = [value] if type(value) is int else value
    if not isinstance(found, list | tuple) or not all(item is None or type(item) is int for item in found):
        raise NotCoreError(f"output_shape is {shown(value)}")
    return list(found)


def _scale(attrs: Attrs, given: Mapping[str, Any], _: Shape | None) -> None:
    """A factor for each channel, which begins with one number."""
    value = given.get("init_values")
    if not isinstance(value, int | float):
        raise NotCoreError(f"init_values is {shown(value)}")
    attrs["initializers"] = {"kernel": ObjectValue("core:initializers.constant", {"value": float(value)})}


def _is_scale(attrs: Mapping[str, Any]) -> bool:
    begins = attrs["initializers"].get("kernel")
    return (
        isinstance(begins, ObjectValue)
        and begins.class_name == "core:initializers.constant"
        and len(attrs["output_shape"]) == 1
        and attrs["activation"] == "linear"
        and attrs["bias_axes"] is None
        and not attrs["regularizers"]
        and not attrs["constraints"]
    )


def _scale_back(attrs: Attrs, core: Mapping[str, Any], _: int | None) -> None:
    attrs["init_values"] = (core["initializers"]["kernel"].config or {}).get("value", 0.0)


LINEAR = [
    Rule(
        "Dense",
        "dense",
        (integer("units"), activation(), flag("use_bias", True)),
        {"quantization_config": Idle(None, (None,))},
        _KERNEL_BIAS,
    ),
    Rule(
        "EinsumDense",
        "einsum_dense",
        (
            text("equation"),
            Attr("output_shape", "output_shape", REQUIRED, _output_shape, lambda value, _: list(value)),
            activation(),
            Attr("bias_axes", "bias_axes", None, lambda value, _: value or None, lambda value, _: value),
        ),
        {"quantization_config": Idle(None, (None,))},
        _KERNEL_BIAS,
    ),
    Rule(
        "src.applications.convnext.LayerScale",
        "einsum_dense",
        (Attr("projection_dim", "output_shape", REQUIRED, _output_shape, lambda value, _: value[0]),),
        {"init_values": Idle()},
        homes={"kernel": ("", "0")},  # its variable has no name
        signature=Signature(("x",)),
        fixed={"equation": "...c,c->...c"},
        fits=_is_scale,
        more=_scale,
        back=_scale_back,
    ),
    Rule(
        "Embedding",
        "embedding",
        (integer("input_dim"), integer("output_dim"), flag("mask_zero")),
        {"quantization_config": Idle(None, (None,)), "input_length": Idle(), "sparse": Idle()},
        {"embeddings": "embeddings"},
        activity=True,
    ),
]

# --- convolutions -----------------------------------------------------------------------------------------------------

_WORDS = ("valid", "same")


def _padding(value: Any, _: Mapping[str, Any]) -> str:
    if not isinstance(value, str) or value.lower() not in (*_WORDS, "causal"):
        raise NotCoreError(f"padding is {shown(value)}")
    return value.lower()


def padding() -> Attr:
    """The padding as a word; pairs are layers of their own in Keras."""

    def lower(value: Any, _: Mapping[str, Any]) -> str:
        if not isinstance(value, str):
            raise NotKerasError("padding by pairs")
        return value

    return Attr("padding", "padding", "valid", _padding, lower)


def _rank(count: int, key: str = "kernel_size") -> Any:
    return lambda attrs: len(attrs[key]) == count


def _window(rank: int) -> tuple[Attr, ...]:
    return (
        sizes("kernel_size", rank),
        sizes("strides", rank, 1),
        padding(),
        data_format(),
        sizes("dilation_rate", rank, 1, "dilation"),
        activation(),
        flag("use_bias", True),
    )


def _output_padding(rank: int) -> Attr:
    def lift(value: Any, _: Mapping[str, Any]) -> list[int] | None:
        return None if value is None else per_axis(value, rank, "output_padding")

    return Attr("output_padding", "output_padding", None, lift, lambda value, _: value)


def _convolutions(rank: int) -> list[Rule]:
    filters, window = integer("filters"), _window(rank)
    found = [
        Rule(
            f"Conv{rank}D",
            "conv",
            (filters, *window, integer("groups", 1)),
            roles=_KERNEL_BIAS,
            fits=_rank(rank),
            activity=True,
        ),
        Rule(
            f"Conv{rank}DTranspose",
            "conv_transpose",
            (filters, *window, _output_padding(rank)),
            roles=_KERNEL_BIAS,
            fits=_rank(rank),
            activity=True,
        ),
    ]
    multiplier = integer("depth_multiplier", 1)
    if rank < 3:
        found += [
            Rule(
                f"DepthwiseConv{rank}D",
                "depthwise_conv",
                (multiplier, *window),
                roles={"kernel": "depthwise", "bias": "bias"},
                fits=_rank(rank),
                activity=True,
            ),
            Rule(
                f"SeparableConv{rank}D",
                "separable_conv",
                (multiplier, filters, *window),
                roles={"depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise", "bias": "bias"},
                fits=_rank(rank),
                activity=True,
            ),
        ]
    return found


CONVOLUTION = [rule for rank in (1, 2, 3) for rule in _convolutions(rank)]

# --- normalizations ---------------------------------------------------------------------------------------------------

_CENTERED = (number("epsilon", 1e-3), flag("center", True), flag("scale", True))
_GAMMA_BETA = {"gamma": "gamma", "beta": "beta"}


def _given(key: str) -> Attr:
    """The mean or variance of a Normalization as the config says them; Keras writes a lone number as a list."""

    def lift(value: Any, _: Mapping[str, Any]) -> Any:
        return None if value is None else floats(value, key)

    return Attr(key, key, None, lift, lambda value, _: value)


def floats(value: Any, key: str) -> Any:
    """A float, or floats in nested lists.

    Raises:
        NotCoreError: it is neither.
    """
    if isinstance(value, list | tuple):
        return [floats(item, key) for item in value]
    if type(value) not in (int, float):
        raise NotCoreError(f"{key} is {shown(value)}")
    return float(value)


def _normalization_axes(value: Any, _: Mapping[str, Any]) -> list[int]:
    found = [] if value is None else [value] if type(value) is int else value
    if not isinstance(found, list | tuple) or not all(type(item) is int for item in found):
        raise NotCoreError(f"axis is {shown(value)}")
    return list(found)


def _flat(attrs: Attrs, _: Mapping[str, Any], __: Shape | None) -> None:
    """A mean that Keras holds in the form of the input, with axes of size 1 in front, as a list or number."""
    for key in ("mean", "variance"):
        found = attrs.get(key)
        while isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
            found = found[0]
        attrs[key] = found


NORMALIZATION = [
    Rule(
        "BatchNormalization",
        "batch_norm",
        (integer("axis", -1), number("momentum", 0.99), *_CENTERED),
        {
            "synchronized": Idle(False, (False,)),
            "renorm": Idle(False, (False, None)),
            "renorm_clipping": Idle(None),
            "renorm_momentum": Idle(0.99),
        },
        _GAMMA_BETA | {"moving_mean": "moving_mean", "moving_variance": "moving_variance"},
        lacks=(
            "moving_mean_regularizer",
            "moving_mean_constraint",
            "moving_variance_regularizer",
            "moving_variance_constraint",
        ),
    ),
    Rule(
        "LayerNormalization",
        "layer_norm",
        (axes("axis"), *_CENTERED),
        {"rms_scaling": Idle(False, (False,))},
        _GAMMA_BETA,
    ),
    Rule(
        "RMSNormalization",
        "rms_norm",
        (axes("axis"), number("epsilon", 1e-6)),
        roles={"scale": "scale"},
        lacks=("scale_initializer", "scale_regularizer", "scale_constraint"),
        fits=lambda attrs: bool(attrs["scale"]),
    ),
    Rule(
        "GroupNormalization",
        "group_norm",
        (integer("groups", 32), integer("axis", -1), *_CENTERED),
        roles=_GAMMA_BETA,
    ),
    Rule("UnitNormalization", "unit_norm", (axes("axis"),), fits=lambda attrs: attrs["epsilon"] == 1e-12),
    Rule(
        "Normalization",
        "normalization",
        (
            Attr("axis", "axes", -1, _normalization_axes, lambda value, _: _axis(value)),
            _given("mean"),
            _given("variance"),
            flag("invert"),
        ),
        more=_flat,
    ),
]


def _axis(value: Any) -> Any:
    if value is None:
        raise NotKerasError("axes that are all")
    return list(value)
