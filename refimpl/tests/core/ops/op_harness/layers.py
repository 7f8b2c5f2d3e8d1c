"""Cases of linear ops, convolutions, normalization, pooling and activations."""

from __future__ import annotations

from typing import Any

import numpy as np

from etui.canonical.values import ObjectValue
from etui.core.vocabulary import objects

from .case import Array, Case, Draw, In, case, single

CHANNELS = ("channels_last", "channels_first")


def image(draw: Draw, rank: int, channels: int, data_format: str = "channels_last", low: int = 4) -> Array:
    """A batch of tensors with so many spatial axes, which are short where there are many."""
    sizes = draw.ints(rank, low, low + (4, 3, 1)[rank - 1])
    shape = [*sizes, channels] if data_format == "channels_last" else [channels, *sizes]
    return draw.floats(draw.number(1, 2), *shape)


def spatial_rank(draw: Draw, most: int = 3) -> int:
    """The number of spatial axes, three of them seldom, and never in 16 bits, where some frameworks lack ops."""
    most = min(most, 2) if draw.dtype in {"float16", "bfloat16"} else most
    return int(draw.pick(*[rank for rank in (1, 1, 2, 2, 2, 3) if rank <= most]))


def pooled_rank(draw: Draw) -> int:
    """The number of spatial axes of a pooling; TensorFlow has none over three in float64 on a CPU."""
    return spatial_rank(draw, 2 if draw.judge == "keras" and draw.dtype == "float64" else 3)


@case("dense")
def dense(draw: Draw, op: str) -> Case:
    width, units = draw.ints(2, 1, 5)
    bias = draw.flag()
    x = draw.floats(*draw.ints(draw.number(1, 3), 1, 4), width)
    params = {"kernel": draw.kernel(width, units)} | ({"bias": draw.kernel(units)} if bias else {})
    attrs = {"units": units, "use_bias": bias, "activation": draw.activation()}
    return single(draw, op, {"x": x}, attrs, params, masked=x.ndim == 3 and draw.flag())


@case("einsum_dense")
def einsum_dense(draw: Draw, op: str) -> Case:
    a, b, c, d = draw.ints(4, 2, 4)
    equation, x, kernel, out, axes, bias = draw.pick(
        ("abc,cd->abd", (2, a, b), (b, c), (a, c), "d", (c,)),
        ("abc,cde->abde", (2, a, b), (b, c, d), (a, c, d), "de", (c, d)),
        ("abc,bde->acde", (2, a, b), (a, c, d), (b, c, d), "ce", (b, 1, d)),
        ("...x,xy->...y", (2, a, b), (b, c), (c,), "y", (c,)),
    )
    params = {"kernel": draw.kernel(*kernel)}
    attrs = {"equation": equation, "output_shape": list(out), "activation": draw.activation()}
    if draw.flag():
        params["bias"], attrs["bias_axes"] = draw.kernel(*bias), axes
    return single(draw, op, {"x": draw.floats(*x)}, attrs, params)


@case("embedding")
def embedding(draw: Draw, op: str) -> Case:
    rows, width = draw.number(2, 6), draw.number(1, 4)
    indices = draw.indices(*draw.ints(2, 1, 4), below=rows)
    mask_zero = draw.flag()
    if mask_zero:
        indices[:, 0] = 1
    attrs = {"input_dim": rows, "output_dim": width, "mask_zero": mask_zero}
    made = single(draw, op, {"x": indices}, attrs, {"embeddings": draw.floats(rows, width)})
    if mask_zero:
        made.after = single(draw, "global_avg_pool", {"x": indices}).module
        made.after.name = "after"
    return made


def windows(draw: Draw, rank: int, *, causal: bool = False, most: int = 2) -> dict[str, Any]:
    """Kernel size, strides, dilation and padding, pairs of at most `most`, of a convolution."""
    attrs: dict[str, Any] = {"kernel_size": draw.ints(rank, 1, 3)}
    if draw.flag():
        attrs["strides"] = draw.ints(rank, 1, 3)
    elif draw.flag():
        attrs["dilation"] = draw.ints(rank, 1, 2)
    options: list[Any] = ["valid", "same"]
    if causal:
        options.append("causal")
    if not draw.keras:
        options.append([draw.ints(2, 0, most) for _ in range(rank)])
    attrs["padding"] = draw.pick(*options)
    return attrs


def room(attrs: dict[str, Any]) -> int:
    """The least size that a window of these attributes has room in."""
    sizes: list[int] = attrs["kernel_size"]
    dilation: list[int] = attrs.get("dilation") or [1] * len(sizes)
    return max((size - 1) * step + 1 for size, step in zip(sizes, dilation, strict=True))


def square(attrs: dict[str, Any]) -> None:
    """Give all axes the same strides, as Keras' depthwise layers have them."""
    if attrs.get("strides"):
        attrs["strides"] = attrs["strides"][:1] * len(attrs["strides"])


@case("conv")
def conv(draw: Draw, op: str) -> Case:
    rank, groups = spatial_rank(draw), draw.number(1, 2)
    inner, filters = draw.number(1, 2), groups * draw.number(1, 2)
    data_format = draw.data_format()
    attrs = windows(draw, rank, causal=rank == 1 and data_format == "channels_last")
    bias = draw.flag()
    params = {"kernel": draw.kernel(*attrs["kernel_size"], inner, filters)}
    params |= {"bias": draw.kernel(filters)} if bias else {}
    attrs |= {"filters": filters, "groups": groups, "use_bias": bias, "activation": draw.activation()}
    x = image(draw, rank, inner * groups, data_format, max(4, room(attrs)))
    return single(draw, op, {"x": x}, attrs | {"data_format": data_format}, params)


@case("conv_transpose")
def conv_transpose(draw: Draw, op: str) -> Case:
    rank, inner, filters = spatial_rank(draw), draw.number(1, 3), draw.number(1, 3)
    data_format = draw.data_format()
    attrs = windows(draw, rank, most=1)
    if draw.judge == "keras":
        attrs.pop("dilation", None)  # TensorFlow lacks it on a CPU, and checks sizes before it pads an output
    if attrs.get("strides") and min(attrs["strides"]) > 1 and draw.judge != "keras" and draw.flag():
        attrs["output_padding"] = [draw.number(0, stride - 1) for stride in attrs["strides"]]
    bias = draw.flag()
    params = {"kernel": draw.kernel(*attrs["kernel_size"], filters, inner)}
    params |= {"bias": draw.kernel(filters)} if bias else {}
    attrs |= {"filters": filters, "use_bias": bias, "activation": draw.activation(), "data_format": data_format}
    return single(draw, op, {"x": image(draw, rank, inner, data_format)}, attrs, params)


@case("depthwise_conv", "separable_conv")
def depthwise_conv(draw: Draw, op: str) -> Case:
    rank, inner, multiplier = spatial_rank(draw, 2), draw.number(1, 3), draw.number(1, 2)
    data_format = draw.data_format()
    attrs = windows(draw, rank, causal=rank == 1 and data_format == "channels_last" and not draw.keras)
    square(attrs)
    bias = draw.flag()
    filters = inner * multiplier if op == "depthwise_conv" else draw.number(1, 3)
    kernel = draw.kernel(*attrs["kernel_size"], inner, multiplier)
    if op == "depthwise_conv":
        params = {"kernel": kernel}
    else:
        attrs["filters"] = filters
        pointwise = draw.kernel(*[1] * rank, inner * multiplier, filters)
        params = {"depthwise_kernel": kernel, "pointwise_kernel": pointwise}
    params |= {"bias": draw.kernel(filters)} if bias else {}
    attrs |= {"depth_multiplier": multiplier, "use_bias": bias, "activation": draw.activation()}
    x = image(draw, rank, inner, data_format, max(4, room(attrs)))
    return single(draw, op, {"x": x}, attrs | {"data_format": data_format}, params)


@case("batch_norm")
def batch_norm(draw: Draw, op: str) -> Case:
    x = draw.floats(draw.number(2, 4), *draw.ints(draw.number(1, 3), 2, 4))
    axis = draw.pick(-1, 1)
    channels = x.shape[axis]
    center, scale = draw.flag(), draw.flag()
    params = {"gamma": draw.floats(channels, low=0.5)} if scale else {}
    params |= {"beta": draw.floats(channels)} if center else {}
    params |= {"moving_mean": draw.floats(channels), "moving_variance": draw.floats(channels, low=0.3)}
    attrs: dict[str, Any] = {"axis": axis, "epsilon": draw.pick(1e-3, 1e-5), "center": center, "scale": scale}
    if not draw.keras:
        attrs["moving_variance"] = draw.pick("biased", "unbiased")
    masked = x.ndim == 3 and axis == -1 and draw.flag()
    return single(draw, op, {"x": x}, attrs, params, training=draw.flag(), masked=masked)


def normalized_axes(draw: Draw, rank: int) -> list[int]:
    """Some of the last axes of a tensor, counted from either end."""
    count = draw.number(1, rank - 1)
    axes = list(range(rank - count, rank))
    return [axis - rank for axis in axes] if draw.flag() else axes


@case("layer_norm", "rms_norm")
def layer_norm(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 4), 2, 4))
    axes = normalized_axes(draw, x.ndim)
    shape = [x.shape[axis] for axis in axes]
    attrs: dict[str, Any] = {"axes": axes, "epsilon": draw.pick(1e-3, 1e-6)}
    masked = x.ndim == 3 and draw.flag()
    if op == "rms_norm":
        attrs["scale"] = draw.keras or draw.flag()
        return single(
            draw, op, {"x": x}, attrs, {"scale": draw.floats(*shape)} if attrs["scale"] else {}, masked=masked
        )
    attrs |= {"center": draw.flag(), "scale": draw.flag()}
    params = {"gamma": draw.floats(*shape)} if attrs["scale"] else {}
    params |= {"beta": draw.floats(*shape)} if attrs["center"] else {}
    return single(draw, op, {"x": x}, attrs, params, masked=masked)


@case("group_norm")
def group_norm(draw: Draw, op: str) -> Case:
    groups = draw.number(1, 3)
    channels, rank, axis = groups * draw.number(1, 2), draw.number(1, 2), draw.pick(-1, 1)
    sizes = draw.ints(rank, 2, 4)
    x = draw.floats(2, *([*sizes, channels] if axis == -1 else [channels, *sizes]))
    attrs: dict[str, Any] = {"groups": groups, "axis": axis, "epsilon": draw.pick(1e-3, 1e-5)}
    attrs |= {"center": draw.flag(), "scale": draw.flag()}
    params = {"gamma": draw.floats(channels)} if attrs["scale"] else {}
    params |= {"beta": draw.floats(channels)} if attrs["center"] else {}
    return single(draw, op, {"x": x}, attrs, params, masked=rank == 1 and draw.flag())


@case("unit_norm")
def unit_norm(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 4), 2, 4))
    return single(draw, op, {"x": x}, {"axes": normalized_axes(draw, x.ndim)}, masked=x.ndim == 3 and draw.flag())


@case("normalization")
def normalization(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 3), 2, 4))
    axes = draw.pick([-1], [1], [x.ndim - 1])
    mean, variance = draw.floats(x.shape[axes[0]]), draw.floats(x.shape[axes[0]], low=0.3)
    attrs: dict[str, Any] = {"axes": axes, "invert": draw.flag()}
    if draw.flag():
        attrs |= {"mean": mean.tolist(), "variance": variance.tolist()}
        return single(draw, op, {"x": x}, attrs)
    params = {"mean": mean, "variance": variance, "count": np.asarray(7, np.int32)}
    return single(draw, op, {"x": x}, attrs, params)


@case("max_pool", "avg_pool")
def pool(draw: Draw, op: str) -> Case:
    rank, data_format = pooled_rank(draw), draw.data_format()
    size = draw.ints(rank, 1, 3)
    attrs: dict[str, Any] = {"pool_size": size, "data_format": data_format}
    attrs["strides"] = draw.pick(None, draw.ints(rank, 1, 3))
    options: list[Any] = ["valid", "same"]
    if not draw.keras:
        options.append([[draw.number(0, pool // 2), draw.number(0, pool // 2)] for pool in size])
    attrs["padding"] = draw.pick(*options)
    if not draw.keras and op == "max_pool":
        attrs["dilation"] = draw.pick(None, draw.ints(rank, 1, 2))
    if not draw.keras and op == "avg_pool":
        attrs["count_padding"] = draw.flag()
    return single(draw, op, {"x": image(draw, rank, draw.number(1, 3), data_format, 5)}, attrs)


@case("global_max_pool", "global_avg_pool")
def global_pool(draw: Draw, op: str) -> Case:
    rank, data_format = spatial_rank(draw), draw.pick(*CHANNELS)
    attrs = {"data_format": data_format, "keepdims": draw.flag()}
    x = image(draw, rank, draw.number(1, 3), data_format)
    if op == "global_avg_pool" and rank == 1 and data_format == "channels_last" and draw.flag():
        inputs = {"x": x, "mask": draw.mask(*x.shape[:2])}
        return single(draw, op, inputs, attrs, kwargs={"mask": In("mask")})
    return single(draw, op, {"x": x}, attrs)


@case("adaptive_max_pool", "adaptive_avg_pool")
def adaptive_pool(draw: Draw, op: str) -> Case:
    rank, data_format = pooled_rank(draw), draw.data_format()
    attrs = {"output_size": draw.ints(rank, 1, 4), "data_format": data_format}
    return single(draw, op, {"x": image(draw, rank, draw.number(1, 3), data_format)}, attrs)


@case("resize")
def resize(draw: Draw, op: str) -> Case:
    data_format = draw.pick(*CHANNELS)
    attrs: dict[str, Any] = {"data_format": data_format}
    rank = 2
    if draw.flag():
        attrs |= {"scale": draw.ints(rank, 1, 3), "interpolation": draw.pick("nearest", "bilinear")}
    else:
        attrs |= {"size": draw.ints(rank, 2, 9), "antialias": draw.flag()}
        attrs["interpolation"] = draw.pick("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    return single(draw, op, {"x": image(draw, rank, draw.number(1, 2), data_format)}, attrs)


# --- activations ------------------------------------------------------------------------------------------------------


def activation_value(draw: Draw) -> Any:
    """An activation of the vocabulary, half of them with parameters other than their defaults."""
    narrow = draw.dtype not in {"float64", "float32"}
    left_out = (UNSTEADY if narrow else ()) + (WRONG_IN_KERAS if draw.keras else ())
    names = [name for name in objects("activations") if name not in left_out]
    name = draw.pick(*names)
    config: dict[str, Any] = {}
    for key in objects("activations")[name]:
        if key == "axis":
            config[key] = draw.pick(-1, 1)
        elif key == "approximate":
            config[key] = draw.flag()
        elif key == "max_value":
            config[key] = draw.pick(None, 0.75, 6.0)
        elif key == "slope":
            config[key] = draw.pick(1 / 6, 0.2)
        elif (name, key) == ("relu", "threshold"):
            config[key] = draw.pick(0.0, 0.25)
        else:
            config[key] = draw.pick(0.5, 1.25)
    required = {key for key, attr in objects("activations")[name].items() if attr.required}
    if not config or (not required and draw.flag()):
        return name
    known = objects("activations")[name]
    config = {key: value for key, value in config.items() if known[key].required or value != known[key].default}
    return ObjectValue(f"core:activations.{name}", config=config) if config else name


WRONG_IN_KERAS = ("sparsemax",)
"""Keras 3.15 subtracts the sum of all partial sums, so that its results do not add up to 1."""

UNSTEADY = ("sparsemax", "hard_shrink", "soft_shrink", "threshold")
"""Activations that jump, or choose a set of elements, by a comparison that the rounding to few bits can turn."""


@case("activation")
def activation(draw: Draw, op: str) -> Case:
    x = draw.floats(draw.number(1, 2), 2 * draw.number(1, 2), 2 * draw.number(1, 3), low=-5, high=5)
    return single(draw, op, {"x": x}, {"function": activation_value(draw)})


@case("relu", "leaky_relu", "elu")
def rectifier(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 3), 1, 4), low=-4, high=4)
    attrs: dict[str, Any] = {}
    if op == "relu":
        attrs |= {"max_value": draw.pick(None, 1.5, 6.0), "threshold": draw.pick(0.0, 0.5)}
    if op == "elu":
        attrs["alpha"] = draw.pick(1.0, 0.5)
    else:
        attrs["negative_slope"] = draw.pick(0.0, 0.3, 0.1) if op == "relu" else draw.pick(0.3, 0.01)
    return single(draw, op, {"x": x}, attrs, masked=x.ndim == 3 and draw.flag())


@case("prelu")
def prelu(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 4), 2, 4))
    shared = sorted(axis for axis in range(1, x.ndim) if draw.flag())
    alpha = draw.floats(*[1 if axis in shared else x.shape[axis] for axis in range(1, x.ndim)], low=0.0, high=0.5)
    return single(draw, op, {"x": x}, {"shared_axes": shared or None}, {"alpha": alpha}, masked=x.ndim == 3)


@case("softmax")
def softmax(draw: Draw, op: str) -> Case:
    x = draw.floats(*draw.ints(draw.number(2, 4), 2, 4), low=-4, high=4)
    axes = draw.pick([-1], [1], sorted({1, x.ndim - 1}))
    if draw.flag():
        shape = [draw.pick(1, size) for size in x.shape]
        inputs = {"x": x, "mask": draw.bools(*shape)}
        return single(draw, op, inputs, {"axes": axes}, kwargs={"mask": In("mask")})
    return single(draw, op, {"x": x}, {"axes": axes})
