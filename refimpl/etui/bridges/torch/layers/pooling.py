"""Pooling and resizing over one to three spatial axes (SPEC.md J.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs
from etui.bridges.torch.layers.spatial import Padding, channels_back, channels_first

_MAX = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_AVERAGE: tuple[Any, ...] = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)
_ADAPTIVE: dict[str, tuple[Any, ...]] = {
    "max": (functional.adaptive_max_pool1d, functional.adaptive_max_pool2d, functional.adaptive_max_pool3d),
    "avg": (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d),
}


class Pool(nn.Module):
    """What pooling by windows shares."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.kernel_size = tuple(spec["pool_size"])
        rank = len(self.kernel_size)
        self.stride = tuple(spec["strides"] or self.kernel_size)
        self.dilation = tuple(spec.attrs.get("dilation") or (1,) * rank)
        if not rank == len(self.stride) == len(self.dilation) or not 1 <= rank <= len(_MAX):
            spec.refuse("pool_size", "Give a size for each of one to three axes.")
        extents = [(size - 1) * step + 1 for size, step in zip(self.kernel_size, self.dilation, strict=True)]
        self.padding = Padding(spec["padding"], extents, self.stride)
        self.data_format = spec["data_format"]

    def extra_repr(self) -> str:
        """The geometry."""
        return shown_attrs(
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=None if set(self.dilation) == {1} else self.dilation,
            data_format=None if self.data_format == "channels_first" else self.data_format,
        )


class MaxPool(Pool):
    """The largest value of each window; padding never counts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool with the padding less than any value."""
        x = channels_first(x, self.data_format)
        lowest = float("-inf") if x.is_floating_point() else torch.iinfo(x.dtype).min
        x = self.padding.pad(x, lowest)
        y = _MAX[len(self.kernel_size) - 1](x, self.kernel_size, self.stride, 0, self.dilation)
        return channels_back(y, self.data_format)


class AvgPool(Pool):
    """The mean of each window: of what is no padding, or of all."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.count_padding = spec["count_padding"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool the padded input; divide by the share of each window that counts."""
        x = channels_first(floating(x), self.data_format)
        pool = _AVERAGE[len(self.kernel_size) - 1]
        padded = self.padding.pad(x)
        y = pool(padded, self.kernel_size, self.stride)
        if padded is not x and not self.count_padding:
            ones = self.padding.pad(torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device))
            y = y / pool(ones, self.kernel_size, self.stride)
        return channels_back(y, self.data_format)


@layer("max_pool")
def max_pool(spec: Spec) -> nn.Module:
    """A class that pads as the model does."""
    return MaxPool(spec)


@layer("avg_pool")
def avg_pool(spec: Spec) -> nn.Module:
    """A class that pads and counts as the model does."""
    return AvgPool(spec)


class GlobalPool(nn.Module):
    """The largest or the mean value over all spatial axes."""

    def __init__(self, kind: str, data_format: str, *, keepdims: bool) -> None:
        super().__init__()
        self.kind, self.data_format, self.keepdims = kind, data_format, keepdims

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Reduce.

        Args:
            x: the tensor.
            mask: of the steps of one spatial axis that count in a mean.
        """
        first = 2 if self.data_format == "channels_first" else 1
        axes = tuple(range(first, first + x.dim() - 2))
        if self.kind == "max":
            return torch.amax(x, dim=axes, keepdim=self.keepdims)
        x = floating(x)
        if mask is None or len(axes) != 1:
            return x.mean(dim=axes, keepdim=self.keepdims)
        kept = mask.bool().unsqueeze(1 if self.data_format == "channels_first" else 2)
        total = torch.where(kept, x, torch.zeros((), dtype=x.dtype, device=x.device))
        count = kept.to(x.dtype).sum(dim=axes, keepdim=self.keepdims)
        return total.sum(dim=axes, keepdim=self.keepdims) / count

    def extra_repr(self) -> str:
        """The kind."""
        return shown_attrs(
            kind=self.kind,
            keepdims=self.keepdims or None,
            data_format=None if self.data_format == "channels_first" else self.data_format,
        )


@layer("global_max_pool", "global_avg_pool")
def global_pool(spec: Spec) -> nn.Module:
    """A class that reduces where the model has its spatial axes."""
    return GlobalPool(spec.op.name.split("_")[1], spec["data_format"], keepdims=spec["keepdims"])


class AdaptivePool(nn.Module):
    """Windows that cover each axis, as many as the output has elements: torch's own adaptive pooling."""

    def __init__(self, kind: str, output_size: Sequence[int], data_format: str) -> None:
        super().__init__()
        self.kind, self.output_size, self.data_format = kind, tuple(output_size), data_format

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool."""
        x = channels_first(floating(x) if self.kind == "avg" else x, self.data_format)
        y: torch.Tensor = _ADAPTIVE[self.kind][len(self.output_size) - 1](x, self.output_size)
        return channels_back(y, self.data_format)

    def extra_repr(self) -> str:
        """The kind and the output's size."""
        return shown_attrs(kind=self.kind, output_size=self.output_size)


@layer("adaptive_max_pool", "adaptive_avg_pool")
def adaptive_pool(spec: Spec) -> nn.Module:
    """A class around torch's functions."""
    if not 1 <= len(spec["output_size"]) <= len(_MAX):
        spec.refuse("output_size", "Give a size for each of one to three axes.")
    return AdaptivePool(spec.op.name.split("_")[1], spec["output_size"], spec["data_format"])


class Resize(nn.Module):
    """Each spatial axis resampled in turn, by pixel centres; the shares in one output add up to 1."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.size, self.scale = spec["size"], spec["scale"]
        self.interpolation, self.antialias = spec["interpolation"], spec["antialias"]
        self.data_format = spec["data_format"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Resample to `size` elements, or to `scale` times as many."""
        first = 2 if self.data_format == "channels_first" else 1
        for place, axis in enumerate(range(first, first + x.dim() - 2)):
            n = x.shape[axis]
            count = self.size[place] if self.size is not None else n * self.scale[place]
            if count == n:
                continue
            if self.interpolation == "nearest":
                rows = torch.tensor([(2 * o + 1) * n // (2 * count) for o in range(count)], device=x.device)
                x = x.index_select(axis, rows)
                continue
            x = floating(x)
            shares = torch.from_numpy(_shares(n, count, self.interpolation, self.antialias))
            weights = shares.to(device=x.device, dtype=x.dtype)
            x = torch.tensordot(x, weights, dims=([axis], [0])).movedim(-1, axis)
        return x

    def extra_repr(self) -> str:
        """The sizes and the interpolation."""
        return shown_attrs(
            size=self.size,
            scale=self.scale,
            interpolation=self.interpolation,
            antialias=self.antialias or None,
            data_format=None if self.data_format == "channels_first" else self.data_format,
        )


def _triangle(distance: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.clip(1 - distance, 0, None)


def _keys(distance: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """R. Keys' cubic convolution (1981) with a = -1/2."""
    near = 1 + distance**2 * (1.5 * distance - 2.5)
    far = 2 + distance * (-4 + distance * (2.5 - 0.5 * distance))
    return np.select([distance < 1, distance < 2], [near, far], 0.0)


def _lanczos(distance: np.ndarray[Any, Any], radius: int) -> np.ndarray[Any, Any]:
    return np.where(distance < radius, np.sinc(distance) * np.sinc(distance / radius), 0.0)


_KERNELS: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "bilinear": _triangle,
    "bicubic": _keys,
    "lanczos3": lambda distance: _lanczos(distance, 3),
    "lanczos5": lambda distance: _lanczos(distance, 5),
}


def _shares(n: int, count: int, interpolation: str, antialias: bool) -> np.ndarray[Any, Any]:
    """The share of each of `n` inputs in each of `count` outputs, shape `[n, count]`."""
    centres = (np.arange(count) + 0.5) * (n / count) - 0.5
    stretch = max(n / count, 1.0) if antialias else 1.0
    shares = _KERNELS[interpolation](np.abs(np.arange(n)[:, None] - centres[None, :]) / stretch)
    return np.asarray(shares / shares.sum(axis=0))


@layer("resize")
def resize(spec: Spec) -> nn.Module:
    """A class of its own: torch's interpolations have other kernels and edges."""
    if (spec["size"] is None) == (spec["scale"] is None):
        spec.refuse("size", "Give one of size and scale.")
    return Resize(spec)
