"""Activations as modules (SPEC.md J.7)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from etui.bridges.torch.layers import functions
from etui.bridges.torch.layers.normalization import all_axes
from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs
from etui.bridges.torch.layers.shaping import Shaping

_STOCK: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "selu": nn.SELU,
    "mish": nn.Mish,
    "softsign": nn.Softsign,
    "linear": nn.Identity,
}


class Activation(nn.Module):
    """A function of each element, or along an axis."""

    def __init__(self, function: functions.Activation, name: str | None) -> None:
        super().__init__()
        self.function = function
        self._shown = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it."""
        return self.function(floating(x))

    def extra_repr(self) -> str:
        """Its name and parameters."""
        return self._shown or "linear"


@layer("activation")
def activation(spec: Spec) -> nn.Module:
    """Torch's own module where there is one that computes the same, else a class around the function."""
    value = spec["function"]
    if isinstance(value, str) and value in _STOCK:
        return _STOCK[value]()
    return Activation(functions.activation(value, spec.path), functions.activation_name(value))


class ReLU(Shaping):
    """A rectifier with a slope, a maximum and a threshold."""

    max_value: float | None
    negative_slope: float
    threshold: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it."""
        return functions.relu(
            floating(x), negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )


@layer("relu")
def relu(spec: Spec) -> nn.Module:
    """`nn.ReLU` with the defaults, else a class of its own."""
    if (spec["max_value"], spec["negative_slope"], spec["threshold"]) == (None, 0.0, 0.0):
        return nn.ReLU()
    return ReLU(spec, "max_value", "negative_slope", "threshold")


@layer("leaky_relu")
def leaky_relu(spec: Spec) -> nn.Module:
    """`nn.LeakyReLU`."""
    return nn.LeakyReLU(spec["negative_slope"])


@layer("elu")
def elu(spec: Spec) -> nn.Module:
    """`nn.ELU`."""
    return nn.ELU(spec["alpha"])


class PReLU(nn.Module):
    """A rectifier whose slopes are trained, with one slope for each place of the input but those that share one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight: nn.Parameter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`max(x, 0) + weight · min(x, 0)`."""
        x = floating(x, self.weight)
        return torch.clamp(x, min=0.0) + self.weight * torch.clamp(x, max=0.0)

    def extra_repr(self) -> str:
        """The shape of the slopes."""
        return shown_attrs(weight=tuple(self.weight.shape))


@layer("prelu")
def prelu(spec: Spec) -> nn.Module:
    """A class of its own: torch's has its slopes on the second axis."""
    module = PReLU()
    spec.bind(module, "weight", "alpha")
    return module


class Softmax(nn.Module):
    """The softmax along several axes together, over what a mask leaves."""

    def __init__(self, axes: list[int] | None) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor, mask: Any = None) -> torch.Tensor:
        """`exp(x)` over its sum; 0 where the mask is false.

        Args:
            x: the scores.
            mask: broadcasts to them.
        """
        x = floating(x)
        axes = all_axes(self.axes, x.dim())
        kept = None if mask is None else torch.as_tensor(mask, device=x.device).bool().broadcast_to(x.shape)
        scores = x if kept is None else x.masked_fill(~kept, torch.finfo(x.dtype).min)
        powers = torch.exp(scores - torch.amax(scores, dim=axes, keepdim=True))
        y = powers / powers.sum(dim=axes, keepdim=True)
        return y if kept is None else y.masked_fill(~kept, 0.0)

    def extra_repr(self) -> str:
        """The axes."""
        return shown_attrs(axes=self.axes)


@layer("softmax")
def softmax(spec: Spec) -> nn.Module:
    """A class of its own, for several axes and masks."""
    return Softmax(spec["axes"])
