"""Products with a kernel and look-ups in a table (SPEC.md J.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.layers.functions import Activation, activation, activation_name
from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs

TRANSPOSED = Layout(axes=(1, 0))


class Dense(nn.Linear):
    """A linear layer with an activation."""

    def __init__(self, features: tuple[int, int], *, bias: bool, activation: Activation, name: str | None) -> None:
        super().__init__(*features, bias=bias, device="meta")
        self.activation = activation
        self._shown = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`activation(x · weightᵀ + bias)` over the last axis."""
        return self.activation(super().forward(floating(x, self.weight)))

    def extra_repr(self) -> str:
        """The sizes, and the activation."""
        return ", ".join(filter(None, (super().extra_repr(), shown_attrs(activation=self._shown))))


@layer("dense")
def dense(spec: Spec) -> nn.Module:
    """`nn.Linear`, or its subclass with an activation; the kernel is transposed."""
    inputs, units = spec.shape("kernel")
    function = activation(spec["activation"], spec.path)
    shown = activation_name(spec["activation"])
    module = Dense((inputs, units), bias=spec.has("bias"), activation=function, name=shown)
    spec.bind(module, "weight", "kernel", TRANSPOSED)
    spec.bind(module, "bias", "bias")
    return module


class EinsumDense(nn.Module):
    """A product of the input with a kernel by an equation, as `torch.einsum` takes it."""

    def __init__(self, equation: str, *, activation: Activation, name: str | None) -> None:
        super().__init__()
        self.equation = equation
        self.activation = activation
        self._shown = name
        self.weight: nn.Parameter
        self.bias: nn.Parameter | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`activation(einsum(equation, x, weight) + bias)`."""
        y = torch.einsum(self.equation, floating(x, self.weight), self.weight)
        return self.activation(y if self.bias is None else y + self.bias)

    def extra_repr(self) -> str:
        """The equation, the kernel's shape and the activation."""
        sizes = tuple(self.weight.shape)
        return shown_attrs(
            equation=repr(self.equation), weight=sizes, bias=self.bias is not None, activation=self._shown
        )


@layer("einsum_dense")
def einsum_dense(spec: Spec) -> nn.Module:
    """A class of its own: the kernel stays as it is."""
    function = activation(spec["activation"], spec.path)
    module = EinsumDense(spec["equation"], activation=function, name=activation_name(spec["activation"]))
    spec.bind(module, "weight", "kernel")
    spec.bind(module, "bias", "bias")
    return module


class Embedding(nn.Embedding):
    """A table of rows; with `mask_zero` the index 0 is masked."""

    def __init__(self, rows: int, width: int, *, mask_zero: bool) -> None:
        super().__init__(rows, width, device="meta")
        self.mask_zero = mask_zero

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """The rows at the indices, which may be floats with whole values."""
        return super().forward(indices if indices.dtype in {torch.int32, torch.int64} else indices.long())

    def make_mask(self, indices: torch.Tensor, *_: Any) -> torch.Tensor | None:
        """Where the index is not 0, if `mask_zero`."""
        return indices != 0 if self.mask_zero else None

    def extra_repr(self) -> str:
        """The sizes, and whether 0 is masked."""
        return f"{super().extra_repr()}, mask_zero=True" if self.mask_zero else super().extra_repr()


@layer("embedding")
def embedding(spec: Spec) -> nn.Module:
    """`nn.Embedding`'s subclass that takes indices of any dtype."""
    rows, width = spec.shape("embeddings")
    module = Embedding(rows, width, mask_zero=spec["mask_zero"])
    spec.bind(module, "weight", "embeddings")
    return module
