"""Convolutions over one to three spatial axes (SPEC.md J.3).

Tensors keep the model's own axis order: where it has the channels last, they are moved and moved back, as views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from etui.bridges.torch.binding import Layout
from etui.bridges.torch.layers.functions import Activation, activation, activation_name
from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs
from etui.bridges.torch.layers.spatial import Padding, channels_back, channels_first, each

_TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)


class _Convolution(nn.Module):
    """What the convolutions of one to three axes share; stands before torch's own class among the bases."""

    def set_up(self, padding: Padding, data_format: str, function: Activation, name: str | None) -> None:
        """Say what torch's class does not know: the padding, where the channels are, and the activation."""
        self.pad_input = padding if padding.symmetric is None else None
        self.data_format = data_format
        self.activation = function
        self._shown = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation of the convolution of the padded input."""
        x = channels_first(floating(x, self.weight), self.data_format)
        if self.pad_input is not None:
            x = self.pad_input.pad(x)
        return self.activation(channels_back(super().forward(x), self.data_format))

    def extra_repr(self) -> str:
        """As torch's own class, and what it does not know."""
        own = shown_attrs(
            pad_input=self.pad_input,
            data_format=None if self.data_format == "channels_first" else self.data_format,
            activation=self._shown,
        )
        return f"{super().extra_repr()}, {own}" if own else super().extra_repr()


class Conv1d(_Convolution, nn.Conv1d):
    """`nn.Conv1d` with the model's padding, axis order and activation."""


class Conv2d(_Convolution, nn.Conv2d):
    """`nn.Conv2d` with the model's padding, axis order and activation."""


class Conv3d(_Convolution, nn.Conv3d):
    """`nn.Conv3d` with the model's padding, axis order and activation."""


_CLASSES: tuple[Any, ...] = (Conv1d, Conv2d, Conv3d)


def _rank(spec: Spec, role: str = "kernel") -> int:
    rank = len(spec.shape(role)) - 2
    if not 1 <= rank <= len(_CLASSES):
        spec.refuse("kernel_size", "torch has convolutions over one to three axes.")
    return rank


def _padding(spec: Spec, taps: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Padding:
    extents = [(size - 1) * step + 1 for size, step in zip(taps, dilation, strict=True)]
    return Padding(spec["padding"], extents, strides)


def _make(spec: Spec, role: str, channels: tuple[int, int], groups: int, *, bias: bool, last: bool = True) -> Any:
    """A convolution of a spec's geometry; one that is not the last of its op has no activation."""
    rank = _rank(spec, role)
    taps = spec.shape(role)[:rank]
    strides, dilation = each(spec, "strides", rank), each(spec, "dilation", rank)
    padding = _padding(spec, taps, strides, dilation)
    module = _CLASSES[rank - 1](
        *channels,
        taps,
        stride=strides,
        padding=padding.symmetric or 0,
        dilation=dilation,
        groups=groups,
        bias=bias,
        device="meta",
    )
    value = spec["activation"] if last else "linear"
    module.set_up(padding, spec["data_format"], activation(value, spec.path), activation_name(value))
    return module


@layer("conv")
def conv(spec: Spec) -> nn.Module:
    """`nn.Conv1d` to `nn.Conv3d`: the kernel is `[filters, in / groups, *kernel_size]`."""
    rank = _rank(spec)
    inputs, filters = spec.shape("kernel")[rank:]
    module: nn.Module = _make(spec, "kernel", (inputs * spec["groups"], filters), spec["groups"], bias=spec.has("bias"))
    spec.bind(module, "weight", "kernel", Layout(axes=(rank + 1, rank, *range(rank))))
    spec.bind(module, "bias", "bias")
    return module


def _depthwise_layout(shape: tuple[int, ...]) -> Layout:
    rank = len(shape) - 2
    axes = (rank, rank + 1, *range(rank))
    return Layout(axes=axes, shape=(shape[rank] * shape[rank + 1], 1, *shape[:rank]))


@layer("depthwise_conv")
def depthwise_conv(spec: Spec) -> nn.Module:
    """A convolution with a group for each channel: the kernel is `[in · depth_multiplier, 1, *kernel_size]`."""
    shape = spec.shape("kernel")
    inputs, multiplier = shape[_rank(spec) :]
    module: nn.Module = _make(spec, "kernel", (inputs, inputs * multiplier), inputs, bias=spec.has("bias"))
    spec.bind(module, "weight", "kernel", _depthwise_layout(shape))
    spec.bind(module, "bias", "bias")
    return module


class SeparableConv(nn.Module):
    """A depthwise convolution, then one of size 1."""

    def __init__(self, depthwise: nn.Module, pointwise: nn.Module) -> None:
        super().__init__()
        self.depthwise = depthwise
        self.pointwise = pointwise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The one after the other."""
        result: torch.Tensor = self.pointwise(self.depthwise(x))
        return result


@layer("separable_conv")
def separable_conv(spec: Spec) -> nn.Module:
    """Two convolutions, `depthwise` and `pointwise`."""
    shape = spec.shape("depthwise_kernel")
    rank = _rank(spec, "depthwise_kernel")
    inputs, multiplier = shape[rank:]
    depthwise = _make(spec, "depthwise_kernel", (inputs, inputs * multiplier), inputs, bias=False, last=False)
    filters = spec.shape("pointwise_kernel")[-1]
    pointwise = _CLASSES[rank - 1](inputs * multiplier, filters, 1, bias=spec.has("bias"), device="meta")
    function, name = activation(spec["activation"], spec.path), activation_name(spec["activation"])
    pointwise.set_up(Padding("valid", (1,) * rank, (1,) * rank), spec["data_format"], function, name)
    spec.bind(depthwise, "weight", "depthwise_kernel", _depthwise_layout(shape))
    spec.bind(pointwise, "weight", "pointwise_kernel", Layout(axes=(rank + 1, rank, *range(rank))))
    spec.bind(pointwise, "bias", "bias")
    return SeparableConv(depthwise, pointwise)


class ConvTranspose(nn.Module):
    """A transposed convolution, cut from the full result as the model has it (CV-20)."""

    def __init__(
        self,
        *,
        strides: tuple[int, ...],
        dilation: tuple[int, ...],
        padding: Any,
        output_padding: tuple[int, ...] | None,
        data_format: str,
        activation: Activation,
        name: str | None,
    ) -> None:
        super().__init__()
        self.strides, self.dilation = strides, dilation
        self.padding, self.output_padding = padding, output_padding
        self.data_format = data_format
        self.activation = activation
        self._shown = name
        self.weight: nn.Parameter
        self.bias: nn.Parameter | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The activation of the part of the full result that the padding leaves."""
        x = channels_first(floating(x, self.weight), self.data_format)
        cuts = [self._cut(axis, size) for axis, size in enumerate(x.shape[2:])]
        convolve = _TRANSPOSED[len(cuts) - 1]
        ends = zip(cuts, self.strides, strict=True)
        if all(before >= 0 and 0 <= before - after < stride for (before, after), stride in ends):
            # torch cuts the same amount on both sides, and can leave more of the end.
            padding, extra = [before for before, _ in cuts], [before - after for before, after in cuts]
            y = convolve(x, self.weight, self.bias, self.strides, padding, extra, 1, self.dilation)
        else:
            y = convolve(x, self.weight, None, self.strides, 0, 0, 1, self.dilation)
            y = functional.pad(y, [-amount for pair in reversed(cuts) for amount in pair])
            if self.bias is not None:
                y = y + self.bias.reshape(-1, *(1,) * len(cuts))
        return self.activation(channels_back(y, self.data_format))

    def _cut(self, axis: int, size: int) -> tuple[int, int]:
        """What is cut from the beginning and the end of the full result; less than nothing means zeros."""
        stride = self.strides[axis]
        extent = (self.weight.shape[2 + axis] - 1) * self.dilation[axis] + 1
        full = (size - 1) * stride + extent
        more = None if self.output_padding is None else self.output_padding[axis]
        if self.padding == "valid":
            return 0, -(max(stride - extent, 0) if more is None else more)
        if self.padding == "same":
            length = full - extent + (stride if more is None else extent % 2 + more)
            before = max((full - length) // 2, 0)
            return before, full - length - before
        before, after = self.padding[axis]
        return before, after - (more or 0)

    def extra_repr(self) -> str:
        """The kernel's shape and the geometry."""
        return shown_attrs(
            weight=tuple(self.weight.shape),
            stride=self.strides,
            padding=repr(self.padding),
            output_padding=self.output_padding,
            dilation=None if set(self.dilation) == {1} else self.dilation,
            bias=self.bias is not None,
            data_format=None if self.data_format == "channels_first" else self.data_format,
            activation=self._shown,
        )


@layer("conv_transpose")
def conv_transpose(spec: Spec) -> nn.Module:
    """A class of its own: the kernel is `[in, filters, *kernel_size]`, as that of `nn.ConvTranspose2d`."""
    rank = _rank(spec)
    padding = spec["padding"]
    if padding == "causal":
        spec.refuse("padding")
    module = ConvTranspose(
        strides=each(spec, "strides", rank),
        dilation=each(spec, "dilation", rank),
        padding=padding,
        output_padding=each(spec, "output_padding", rank) if spec["output_padding"] is not None else None,
        data_format=spec["data_format"],
        activation=activation(spec["activation"], spec.path),
        name=activation_name(spec["activation"]),
    )
    spec.bind(module, "weight", "kernel", Layout(axes=(rank + 1, rank, *range(rank))))
    spec.bind(module, "bias", "bias")
    return module
