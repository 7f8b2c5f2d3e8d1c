"""Attention and transformer layers of torch in the terms of the vocabulary (SPEC.md, annex M.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.trace.basic import dense, layer_norm
from etui.bridges.torch.trace.builder import Joined, Leaf

Context = Any
Params = dict[str, Leaf | Joined]
_PARTS = ("query", "key", "value")


def multihead(
    context: Context,
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    *masks: Any,
    **options: Any,
) -> Any:
    """Attention of several heads: the outputs, and the weights where the model uses them."""
    if masks or any(options.get(name) is not None for name in ("key_padding_mask", "attn_mask")):
        raise context.refuse("a mask")
    if options.get("is_causal"):
        raise context.refuse("is_causal=True")
    name = context.name
    flipped = not module.batch_first
    if flipped:
        made: dict[Any, Any] = {}
        for one in (query, key, value):
            if one not in made:
                made[one] = context.builder.call(f"{name}.batch_first", "permute", one, attrs={"axes": [1, 0, 2]})
        query, key, value = (made[one] for one in (query, key, value))
    x = attend(context, module, name, context.node.target, (query, key, value))
    if flipped:
        x = context.builder.call(f"{name}.time_first", "permute", x, attrs={"axes": [1, 0, 2]})
    return (x, Weights(name))


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of an attention, which no other call takes: a model that uses them is refused there."""

    of: str


def attend(context: Context, module: Any, name: str, prefix: str, inputs: tuple[Any, Any, Any]) -> Any:
    """A call of `mha` with the projections of a `MultiheadAttention`.

    Args:
        context: of the node at hand.
        module: the `MultiheadAttention`.
        name: of the call.
        prefix: of the module's parameters in the `state_dict`.
        inputs: query, key and value, batch first.
    """
    if module.bias_k is not None or module.add_zero_attn:
        raise context.refuse("add_bias_kv or add_zero_attn")
    heads, size, width = module.num_heads, module.head_dim, module.embed_dim
    params: Params = {}
    for at, part in enumerate(_PARTS):
        rows = slice(at * width, (at + 1) * width)
        # torch [heads·size, in] is [heads, size, in], and the vocabulary has [in, heads, size].
        if module.in_proj_weight is not None:
            held, kernel = module.in_proj_weight, f"{prefix}.in_proj_weight"
            params[f"{part}_kernel"] = _kernel(kernel, held, (heads, size), rows)
        else:
            held, kernel = getattr(module, f"{part[0]}_proj_weight"), f"{prefix}.{part[0]}_proj_weight"
            params[f"{part}_kernel"] = _kernel(kernel, held, (heads, size))
        if module.in_proj_bias is not None:
            layout = Layout(shape=(width,))
            params[f"{part}_bias"] = Leaf(f"{prefix}.in_proj_bias", module.in_proj_bias, layout, (heads, size), rows)
    out = module.out_proj
    layout = Layout(axes=(2, 0, 1), shape=(width, width))
    params["output_kernel"] = Leaf(f"{prefix}.out_proj.weight", out.weight, layout, (heads, size, width))
    if out.bias is not None:
        params["output_bias"] = Leaf(f"{prefix}.out_proj.bias", out.bias)
    query, key, value = inputs
    attrs = {
        "num_heads": heads,
        "key_dim": size,
        "use_bias": module.in_proj_bias is not None,
        "dropout": float(module.dropout),
        "output_dim": None if _width(context) == width else [width],
    }
    # The vocabulary takes query, value, key.
    return context.builder.call(name, "mha", query, value, key, attrs=attrs, params=params)


def _kernel(name: str, held: torch.Tensor, heads: tuple[int, int], rows: slice | None = None) -> Leaf:
    width = held.shape[1]
    layout = Layout(axes=(1, 2, 0), shape=(heads[0] * heads[1], width))
    return Leaf(name, held, layout, (width, *heads), rows)


def _width(context: Context) -> int:
    return int(context.shape(context.node.args[0])[-1])


def encoder_layer(context: Context, module: Any, x: Any, src_mask: Any = None, **options: Any) -> Any:
    """One layer of a transformer's encoder, as the calls that it is made of."""
    if src_mask is not None or any(options.values()):
        raise context.refuse("a mask")
    return _encoder_layer(context, module, x, context.name, context.node.target)


def encoder(context: Context, module: Any, x: Any, mask: Any = None, **options: Any) -> Any:
    """A transformer's encoder: its layers one after the other, and its norm."""
    if mask is not None or any(options.values()):
        raise context.refuse("a mask")
    for at, layer in enumerate(module.layers):
        place = f"layers.{at}"
        x = _encoder_layer(context, layer, x, f"{context.name}.{place}", f"{context.node.target}.{place}")
    if module.norm is not None:
        x = _norm(context, module.norm, x, f"{context.name}.norm", f"{context.node.target}.norm")
    return x


def _encoder_layer(context: Context, layer: Any, x: Any, name: str, prefix: str) -> Any:
    builder = context.builder
    batch_first = layer.self_attn.batch_first
    if not batch_first:
        x = builder.call(f"{name}.batch_first", "permute", x, attrs={"axes": [1, 0, 2]})

    def attention(x: Any) -> Any:
        x = attend(context, layer.self_attn, f"{name}.self_attn", f"{prefix}.self_attn", (x, x, x))
        return builder.call(f"{name}.dropout1", "dropout", x, attrs={"rate": float(layer.dropout1.p)})

    def feed_forward(x: Any) -> Any:
        x = dense(context, layer.linear1, x, f"{name}.linear1", f"{prefix}.linear1")
        x = builder.call(
            f"{name}.activation", "activation", x, attrs={"function": _function(context, layer.activation)}
        )
        x = builder.call(f"{name}.dropout", "dropout", x, attrs={"rate": float(layer.dropout.p)})
        x = dense(context, layer.linear2, x, f"{name}.linear2", f"{prefix}.linear2")
        return builder.call(f"{name}.dropout2", "dropout", x, attrs={"rate": float(layer.dropout2.p)})

    for at, (norm, block) in enumerate(((layer.norm1, attention), (layer.norm2, feed_forward)), 1):
        place, key = f"{name}.norm{at}", f"{prefix}.norm{at}"
        if layer.norm_first:
            x = builder.call(f"{name}.add{at}", "add", [x, block(_norm(context, norm, x, place, key))])
        else:
            x = _norm(context, norm, builder.call(f"{name}.add{at}", "add", [x, block(x)]), place, key)
    if not batch_first:
        x = builder.call(f"{name}.time_first", "permute", x, attrs={"axes": [1, 0, 2]})
    return x


def _norm(context: Context, module: Any, x: Any, name: str, prefix: str) -> Any:
    if type(module) is not torch.nn.LayerNorm:
        raise context.refuse(f"a norm of the class {type(module).__name__}")
    return layer_norm(context, module, x, name, prefix)


def _function(context: Context, function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__).lower()
    if name not in ("relu", "gelu"):
        raise context.refuse(f"the activation {name}")
    return name
