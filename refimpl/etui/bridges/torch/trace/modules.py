"""The built-in layers of torch in the terms of the vocabulary (SPEC.md, annex M.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.trace import attention, recurrent
from etui.bridges.torch.trace.basic import dense, layer_norm, scaled
from etui.bridges.torch.trace.builder import Leaf
from etui.canonical.values import ObjectValue

Context = Any
FIRST = "channels_first"


def leaf(context: Context, module: nn.Module, name: str, layout: Layout | None = None, shape: Any = None) -> Leaf:
    """A parameter or buffer of the layer at hand."""
    return Leaf(f"{context.node.target}.{name}", getattr(module, name), layout or Layout(), shape)


def activation(context: Context, x: Any, name: str, **attrs: Any) -> Any:
    """A call of an activation, an object of its class if it has attributes."""
    function = ObjectValue(f"core:activations.{name}", attrs) if attrs else name
    return context.builder.call(context.name, "activation", x, attrs={"function": function})


def _each(value: Any, rank: int) -> list[int]:
    return [int(value)] * rank if isinstance(value, int) else [int(one) for one in value]


def _linear(context: Context, module: Any, x: Any) -> Any:
    return dense(context, module, x, context.name, context.node.target)


def _embedding(context: Context, module: Any, x: Any) -> Any:
    if module.max_norm is not None or module.scale_grad_by_freq or module.sparse:
        raise context.refuse("an Embedding with max_norm, scale_grad_by_freq or sparse")
    attrs = {"input_dim": module.num_embeddings, "output_dim": module.embedding_dim}
    return context.builder.call(
        context.name, "embedding", x, attrs=attrs, params={"embeddings": leaf(context, module, "weight")}
    )


def _conv(rank: int) -> Callable[..., Any]:
    def translate(context: Context, module: Any, x: Any) -> Any:
        if module.padding_mode != "zeros":
            raise context.refuse(f"padding_mode={module.padding_mode!r}")
        depthwise = module.groups == module.in_channels and module.groups > 1
        attrs = {
            "kernel_size": _each(module.kernel_size, rank),
            "strides": _strides(module.stride, rank),
            "padding": _padding(module.padding, rank),
            "dilation": _strides(module.dilation, rank),
            "data_format": FIRST,
            "use_bias": module.bias is not None,
        }
        spatial = tuple(range(2, 2 + rank))
        if depthwise:
            multiplier = module.out_channels // module.in_channels
            attrs["depth_multiplier"] = multiplier
            # torch [c·m, 1, *k] is [c, m, *k], and core has [*k, c, m].
            shape = (*module.kernel_size, module.in_channels, multiplier)
            layout = Layout(axes=(rank, rank + 1, *range(rank)), shape=tuple(module.weight.shape))
            params = {"kernel": leaf(context, module, "weight", layout, shape)}
        else:
            attrs |= {"filters": module.out_channels, "groups": module.groups}
            axes = (rank + 1, rank, *(axis - 2 for axis in spatial))
            params = {"kernel": leaf(context, module, "weight", Layout(axes=axes))}
        if module.bias is not None:
            params["bias"] = leaf(context, module, "bias")
        op = "depthwise_conv" if depthwise else "conv"
        return context.builder.call(context.name, op, x, attrs=attrs, params=params)

    return translate


def _strides(value: Any, rank: int) -> list[int] | None:
    found = _each(value, rank)
    return None if found == [1] * rank else found


def _padding(value: Any, rank: int) -> Any:
    if isinstance(value, str):
        return value
    found = _each(value, rank)
    return [[one, one] for one in found] if any(found) else "valid"


def _conv_transpose(rank: int) -> Callable[..., Any]:
    def translate(context: Context, module: Any, x: Any) -> Any:
        if module.groups != 1:
            raise context.refuse(f"a transposed convolution with groups={module.groups}")
        more = _each(module.output_padding, rank)
        pads = _each(module.padding, rank)
        attrs = {
            "kernel_size": _each(module.kernel_size, rank),
            "filters": module.out_channels,
            "strides": _strides(module.stride, rank),
            # Pairs in any case: `valid` would make the output at least as long as the stride asks for.
            "padding": [[one, one] for one in pads],
            "output_padding": more if any(more) else None,
            "dilation": _strides(module.dilation, rank),
            "data_format": FIRST,
            "use_bias": module.bias is not None,
        }
        axes = (rank + 1, rank, *range(rank))
        params = {"kernel": leaf(context, module, "weight", Layout(axes=axes))}
        if module.bias is not None:
            params["bias"] = leaf(context, module, "bias")
        return context.builder.call(context.name, "conv_transpose", x, attrs=attrs, params=params)

    return translate


def _batch_norm(context: Context, module: Any, x: Any) -> Any:
    if not module.track_running_stats or module.momentum is None:
        raise context.refuse("a batch normalization without running statistics, or with their plain mean")
    attrs = {
        "axis": 1,
        "momentum": 1.0 - module.momentum,
        "epsilon": float(module.eps),
        "center": module.affine,
        "scale": module.affine,
        "moving_variance": "unbiased",
    }
    params = {"moving_mean": "running_mean", "moving_variance": "running_var"}
    params = ({"gamma": "weight", "beta": "bias"} if module.affine else {}) | params
    return context.builder.call(
        context.name, "batch_norm", x, attrs=attrs, params={k: leaf(context, module, v) for k, v in params.items()}
    )


def _layer_norm(context: Context, module: Any, x: Any) -> Any:
    return layer_norm(context, module, x, context.name, context.node.target)


def _rms_norm(context: Context, module: Any, x: Any) -> Any:
    if module.eps is None:
        raise context.refuse("an RMSNorm without eps, whose epsilon depends on the dtype")
    scale = module.weight is not None
    attrs = {"axes": list(range(-len(module.normalized_shape), 0)), "epsilon": float(module.eps), "scale": scale}
    params = {"scale": leaf(context, module, "weight")} if scale else {}
    return context.builder.call(context.name, "rms_norm", x, attrs=attrs, params=params)


def _group_norm(context: Context, module: Any, x: Any) -> Any:
    attrs, params = scaled(module, context.node.target)
    attrs |= {"groups": module.num_groups, "axis": 1, "epsilon": float(module.eps)}
    return context.builder.call(context.name, "group_norm", x, attrs=attrs, params=params)


def _instance_norm(context: Context, module: Any, x: Any) -> Any:
    if module.track_running_stats:
        raise context.refuse("an instance normalization with running statistics")
    attrs, params = scaled(module, context.node.target)
    attrs |= {"groups": module.num_features, "axis": 1, "epsilon": float(module.eps)}
    return context.builder.call(context.name, "group_norm", x, attrs=attrs, params=params)


def pool(context: Context, x: Any, *, rank: int, kind: str, module: Any) -> Any:
    """A pooling of a window."""
    size = _each(module.kernel_size, rank)
    strides = _each(module.stride if module.stride is not None else module.kernel_size, rank)
    pads = _each(module.padding, rank)
    if module.ceil_mode:
        raise context.refuse("ceil_mode=True")
    attrs: dict[str, Any] = {
        "pool_size": size,
        "strides": None if strides == size else strides,
        "padding": [[one, one] for one in pads] if any(pads) else "valid",
        "data_format": FIRST,
    }
    if kind == "max_pool":
        if getattr(module, "return_indices", False):
            raise context.refuse("return_indices=True")
        attrs["dilation"] = _strides(module.dilation, rank)
    else:
        if getattr(module, "divisor_override", None) is not None:
            raise context.refuse("divisor_override")
        attrs["count_padding"] = bool(module.count_include_pad and any(pads))
    return context.builder.call(context.name, kind, x, attrs=attrs)


def _pool(kind: str, rank: int) -> Callable[..., Any]:
    return lambda context, module, x: pool(context, x, rank=rank, kind=kind, module=module)


def adaptive(context: Context, x: Any, output_size: Any, *, rank: int, kind: str) -> Any:
    """A pooling to a given size; `kind` is ``max`` or ``avg``."""
    shape = context.shape(context.node.args[0])[2:]
    given = [output_size] * rank if isinstance(output_size, int) or output_size is None else list(output_size)
    size = [have if one is None else int(one) for one, have in zip(given, shape, strict=True)]
    if size == [1] * rank:
        return context.builder.call(
            context.name, f"global_{kind}_pool", x, attrs={"data_format": FIRST, "keepdims": True}
        )
    attrs = {"output_size": size, "data_format": FIRST}
    return context.builder.call(context.name, f"adaptive_{kind}_pool", x, attrs=attrs)


def _adaptive(kind: str, rank: int) -> Callable[..., Any]:
    return lambda context, module, x: adaptive(context, x, module.output_size, rank=rank, kind=kind)


def _flatten(context: Context, module: Any, x: Any) -> Any:
    return flatten(context, x, module.start_dim, module.end_dim)


def flatten(context: Context, x: Any, start: int = 0, end: int = -1) -> Any:
    """Several axes as one; the batch stays by itself."""
    shape = context.shape(context.node.args[0])
    rank = len(shape)
    start, end = start % rank, end % rank
    if start == 0 and end > 0:
        raise context.refuse("a flattening of the batch")
    if start == 1 and end == rank - 1:
        return context.builder.call(context.name, "reshape", x, attrs={"shape": [-1]})
    sizes = [*shape[1:start], -1, *shape[end + 1 :]]
    return context.builder.call(context.name, "reshape", x, attrs={"shape": [int(one) for one in sizes]})


def _unflatten(context: Context, module: Any, x: Any) -> Any:
    shape = list(context.shape(context.node.args[0]))
    axis = module.dim % len(shape)
    if axis == 0:
        raise context.refuse("an unflattening of the batch")
    shape[axis : axis + 1] = list(module.unflattened_size)
    return context.builder.call(context.name, "reshape", x, attrs={"shape": [int(one) for one in shape[1:]]})


def _upsample(context: Context, module: Any, x: Any) -> Any:
    rank = context.rank(context.node.args[0]) - 2
    if module.mode not in ("nearest", "bilinear") or module.align_corners or (module.mode == "bilinear" and rank != 2):
        raise context.refuse(f"an Upsample with mode={module.mode!r} and align_corners={module.align_corners}")
    attrs: dict[str, Any] = {"interpolation": module.mode, "data_format": FIRST}
    if module.size is not None:
        attrs["size"] = _each(module.size, rank)
    else:
        factors = [module.scale_factor] * rank if isinstance(module.scale_factor, int | float) else module.scale_factor
        if any(one != int(one) for one in factors):
            raise context.refuse(f"scale_factor={module.scale_factor}")
        attrs["scale"] = [int(one) for one in factors]
    return context.builder.call(context.name, "resize", x, attrs=attrs)


def _zero_pad(rank: int) -> Callable[..., Any]:
    def translate(context: Context, module: Any, x: Any) -> Any:
        given = list(module.padding)
        pairs = [[0, 0]] + [given[2 * axis : 2 * axis + 2] for axis in reversed(range(rank))]
        value = float(getattr(module, "value", 0.0))
        return context.builder.call(context.name, "pad", x, attrs={"padding": pairs, "value": value})

    return translate


def _dropout(context: Context, module: Any, x: Any) -> Any:
    return context.builder.call(context.name, "dropout", x, attrs={"rate": float(module.p)})


def _spatial_dropout(context: Context, module: Any, x: Any) -> Any:
    attrs = {"rate": float(module.p), "data_format": FIRST}
    return context.builder.call(context.name, "spatial_dropout", x, attrs=attrs)


def _alpha_dropout(context: Context, module: Any, x: Any) -> Any:
    return context.builder.call(context.name, "alpha_dropout", x, attrs={"rate": float(module.p)})


def _prelu(context: Context, module: Any, x: Any) -> Any:
    shape = context.shape(context.node.args[0])
    count = module.num_parameters
    rank = len(shape) - 1
    # One slope for each channel, which is the axis after the batch, or one for all.
    wide = (count, *(1 for _ in range(rank - 1)))
    layout = Layout(shape=(count,))
    shared = list(range(1 if count == 1 else 2, rank + 1))
    params = {"alpha": leaf(context, module, "weight", layout, wide)}
    return context.builder.call(context.name, "prelu", x, attrs={"shared_axes": shared or None}, params=params)


def _softmax(context: Context, module: Any, x: Any) -> Any:
    if module.dim is None:
        raise context.refuse("a Softmax without dim")
    return context.builder.call(context.name, "softmax", x, attrs={"axes": [module.dim]})


def _identity(context: Context, _: Any, x: Any) -> Any:
    return context.builder.call(context.name, "identity", x)


def _plain(name: str) -> Callable[..., Any]:
    return lambda context, _, x: activation(context, x, name)


def _elu(context: Context, module: Any, x: Any) -> Any:
    return context.builder.call(context.name, "elu", x, attrs={"alpha": float(module.alpha)})


def _leaky(context: Context, module: Any, x: Any) -> Any:
    return context.builder.call(context.name, "leaky_relu", x, attrs={"negative_slope": float(module.negative_slope)})


def _gelu(context: Context, module: Any, x: Any) -> Any:
    return activation(context, x, "gelu", **({"approximate": True} if module.approximate == "tanh" else {}))


def _hardtanh(context: Context, module: Any, x: Any) -> Any:
    attrs = {"low": float(module.min_val), "high": float(module.max_val)}
    return context.builder.call(context.name, "clip", x, attrs=attrs)


def _softplus(context: Context, module: Any, x: Any) -> Any:
    if module.beta != 1:
        raise context.refuse(f"a Softplus with beta={module.beta}")
    return activation(context, x, "softplus")


MODULES: dict[type[nn.Module], Callable[..., Any]] = {
    nn.Linear: _linear,
    nn.Embedding: _embedding,
    **{getattr(nn, f"Conv{rank}d"): _conv(rank) for rank in (1, 2, 3)},
    **{getattr(nn, f"ConvTranspose{rank}d"): _conv_transpose(rank) for rank in (1, 2, 3)},
    **{getattr(nn, f"BatchNorm{rank}d"): _batch_norm for rank in (1, 2, 3)},
    **{getattr(nn, f"InstanceNorm{rank}d"): _instance_norm for rank in (1, 2, 3)},
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _rms_norm,
    nn.GroupNorm: _group_norm,
    **{getattr(nn, f"MaxPool{rank}d"): _pool("max_pool", rank) for rank in (1, 2, 3)},
    **{getattr(nn, f"AvgPool{rank}d"): _pool("avg_pool", rank) for rank in (1, 2, 3)},
    **{getattr(nn, f"AdaptiveMaxPool{rank}d"): _adaptive("max", rank) for rank in (1, 2, 3)},
    **{getattr(nn, f"AdaptiveAvgPool{rank}d"): _adaptive("avg", rank) for rank in (1, 2, 3)},
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.Upsample: _upsample,
    **{getattr(nn, f"ZeroPad{rank}d"): _zero_pad(rank) for rank in (1, 2, 3)},
    **{getattr(nn, f"ConstantPad{rank}d"): _zero_pad(rank) for rank in (1, 2, 3)},
    nn.Dropout: _dropout,
    **{getattr(nn, f"Dropout{rank}d"): _spatial_dropout for rank in (1, 2, 3)},
    nn.AlphaDropout: _alpha_dropout,
    nn.PReLU: _prelu,
    nn.Softmax: _softmax,
    nn.LogSoftmax: lambda context, module, x: activation(context, x, "log_softmax", axis=module.dim),
    nn.Identity: _identity,
    nn.ReLU: _plain("relu"),
    nn.ReLU6: _plain("relu6"),
    nn.SELU: _plain("selu"),
    nn.SiLU: _plain("silu"),
    nn.Mish: _plain("mish"),
    nn.Sigmoid: _plain("sigmoid"),
    nn.LogSigmoid: _plain("log_sigmoid"),
    nn.Tanh: _plain("tanh"),
    nn.Tanhshrink: _plain("tanh_shrink"),
    nn.Softsign: _plain("softsign"),
    nn.Hardsigmoid: _plain("hard_sigmoid"),
    nn.Hardswish: _plain("hard_silu"),
    nn.ELU: _elu,
    nn.CELU: lambda context, module, x: activation(context, x, "celu", alpha=float(module.alpha)),
    nn.LeakyReLU: _leaky,
    nn.GELU: _gelu,
    nn.Hardtanh: _hardtanh,
    nn.Softplus: _softplus,
    nn.RNN: recurrent.simple,
    nn.LSTM: recurrent.lstm,
    nn.GRU: recurrent.gru,
    nn.MultiheadAttention: attention.multihead,
    nn.TransformerEncoderLayer: attention.encoder_layer,
    nn.TransformerEncoder: attention.encoder,
}


def translator(module: nn.Module) -> Callable[..., Any] | None:
    """The translator of a layer; a class of the user's own, derived from a built-in one, has none."""
    return MODULES.get(type(module))
