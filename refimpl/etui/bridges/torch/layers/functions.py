"""The activations of the core vocabulary as functions of torch tensors (SPEC.md J.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch.nn import functional

from etui.canonical.values import ObjectValue
from etui.core.parameters import ACTIVATIONS, activation_in

Tensor: TypeAlias = torch.Tensor
Activation = Callable[[Tensor], Tensor]


def linear(x: Tensor) -> Tensor:
    """The tensor itself."""
    return x


def relu(x: Tensor, *, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """`x` above the threshold, then cut at 0 and the maximum; below it `negative_slope · (x - threshold)`."""
    if negative_slope == 0 and threshold == 0:
        return functional.relu(x) if max_value is None else torch.clamp(x, 0.0, max_value)
    above = torch.where(x > threshold, x, torch.zeros_like(x))
    if max_value is not None:
        above = torch.clamp(above, 0.0, max_value)
    return above - negative_slope * torch.clamp(threshold - x, min=0.0) if negative_slope else above


def leaky_relu(x: Tensor, *, negative_slope: float = 0.2) -> Tensor:
    """`x` where it is positive, else `negative_slope · x`."""
    return functional.leaky_relu(x, negative_slope)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`x` where it is positive, else `alpha · (exp(x) - 1)`."""
    return functional.elu(x, alpha)


def gelu(x: Tensor, *, approximate: bool = False) -> Tensor:
    """`x` times the normal distribution's share below it, or its approximation by a tanh."""
    return functional.gelu(x, approximate="tanh" if approximate else "none")


def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """`exp(x)` over its sum along an axis."""
    return functional.softmax(x, axis)


def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`."""
    return functional.log_softmax(x, axis)


def hard_sigmoid(x: Tensor, *, slope: float = 1 / 6) -> Tensor:
    """`slope · x + 1/2`, cut at 0 and 1; Keras 2 has the slope 0.2."""
    return torch.clamp(slope * x + 0.5, 0.0, 1.0)


def hard_silu(x: Tensor) -> Tensor:
    """`x · hard_sigmoid(x)`."""
    return x * hard_sigmoid(x)


def exponential(x: Tensor) -> Tensor:
    """`exp(x)`."""
    return torch.exp(x)


def soft_shrink(x: Tensor, *, threshold: float = 0.5) -> Tensor:
    """`x` moved by the threshold towards 0."""
    return functional.softshrink(x, threshold)


def hard_shrink(x: Tensor, *, threshold: float = 0.5) -> Tensor:
    """`x` where it is beyond the threshold on either side, else 0."""
    return functional.hardshrink(x, threshold)


def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """`max(x, 0) + min(alpha · (exp(x / alpha) - 1), 0)`."""
    return functional.celu(x, alpha)


def glu(x: Tensor, *, axis: int = -1) -> Tensor:
    """The first half along an axis times the sigmoid of the second."""
    return functional.glu(x, axis)


def threshold(x: Tensor, *, threshold: float, default_value: float) -> Tensor:
    """`x` where it is above the threshold, else the default value."""
    return functional.threshold(x, threshold, default_value)


def squareplus(x: Tensor, *, b: float = 4.0) -> Tensor:
    """`(x + sqrt(x² + b)) / 2`."""
    return (x + torch.sqrt(torch.square(x) + b)) / 2


def softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`."""
    return torch.logaddexp(x, torch.zeros((), dtype=x.dtype, device=x.device))


def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, `(x + 1)² / 4` up to 1, then `x`."""
    return torch.where(x <= -1, torch.zeros_like(x), torch.where(x < 1, torch.square(x + 1) / 4, x))


def sparse_sigmoid(x: Tensor) -> Tensor:
    """`(x + 1) / 2`, cut at 0 and 1."""
    return torch.clamp((x + 1) / 2, 0.0, 1.0)


def sparsemax(x: Tensor, *, axis: int = -1) -> Tensor:
    """The point of the probability simplex that is nearest to `x`, along an axis."""
    x = x.movedim(axis, -1)
    ordered = torch.sort(x, dim=-1, descending=True).values
    total = torch.cumsum(ordered, dim=-1) - 1
    rank = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
    count = (rank * ordered > total).sum(dim=-1, keepdim=True)
    level = torch.gather(total, -1, count - 1) / count.to(x.dtype)
    return torch.clamp(x - level, min=0.0).movedim(-1, axis)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "linear": linear,
    "relu": relu,
    "relu6": functional.relu6,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": functional.selu,
    "celu": celu,
    "gelu": gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "glu": glu,
    "sigmoid": torch.sigmoid,
    "log_sigmoid": functional.logsigmoid,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "tanh": torch.tanh,
    "hard_tanh": functional.hardtanh,
    "tanh_shrink": functional.tanhshrink,
    "soft_shrink": soft_shrink,
    "hard_shrink": hard_shrink,
    "threshold": threshold,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softplus": softplus,
    "softsign": functional.softsign,
    "squareplus": squareplus,
    "exponential": exponential,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "sparsemax": sparsemax,
}


def activation(value: Any, where: str = "") -> Activation:
    """The function that the value of an attribute of the type `activation` stands for.

    Args:
        value: the name of an activation, or a `$object` of a class ``core:activations.<name>``.
        where: the place, for messages.

    Raises:
        TransferError: ``torch-value``, it is no activation of the vocabulary.
    """
    return activation_in(_FUNCTIONS, value, "torch-value", where)


def activation_name(value: Any) -> str | None:
    """An activation as `extra_repr` shows it; `None` for the linear one."""
    if isinstance(value, ObjectValue):
        inner = ", ".join(f"{key}={one}" for key, one in (value.config or {}).items())
        return f"{value.class_name.removeprefix(ACTIVATIONS)}({inner})"
    return None if value == "linear" else str(value)
