"""Layers of torch that stand by themselves and within others, in the terms of the vocabulary (SPEC.md, annex M.2)."""

from __future__ import annotations

from typing import Any

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.trace.builder import Leaf

Context = Any


def dense(context: Context, module: Any, x: Any, name: str, prefix: str) -> Any:
    """A `Linear`.

    Args:
        context: of the node at hand.
        module: the layer.
        x: its input.
        name: of the call.
        prefix: of the layer's parameters in the `state_dict`.
    """
    params = {"kernel": Leaf(f"{prefix}.weight", module.weight, Layout(axes=(1, 0)))}
    if module.bias is not None:
        params["bias"] = Leaf(f"{prefix}.bias", module.bias)
    attrs = {"units": module.out_features, "use_bias": module.bias is not None}
    return context.builder.call(name, "dense", x, attrs=attrs, params=params)


def scaled(module: Any, prefix: str) -> tuple[dict[str, Any], dict[str, Leaf]]:
    """Attributes and variables of a normalization that may scale and shift."""
    scale, center = module.weight is not None, module.bias is not None
    params = {"gamma": Leaf(f"{prefix}.weight", module.weight)} if scale else {}
    params |= {"beta": Leaf(f"{prefix}.bias", module.bias)} if center else {}
    return {"scale": scale, "center": center}, params


def layer_norm(context: Context, module: Any, x: Any, name: str, prefix: str) -> Any:
    """A `LayerNorm`; the arguments are those of `dense`."""
    attrs, params = scaled(module, prefix)
    attrs |= {"axes": list(range(-len(module.normalized_shape), 0)), "epsilon": float(module.eps)}
    return context.builder.call(name, "layer_norm", x, attrs=attrs, params=params)
