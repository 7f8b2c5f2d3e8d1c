"""What ops with spatial axes share: where the channels are, and what is padded (SPEC.md J.3, CV-16)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from etui.bridges.torch.layers.registry import Spec

Pairs = list[tuple[int, int]]


def channels_first(x: torch.Tensor, data_format: str) -> torch.Tensor:
    """The tensor with its channels on axis 1, where torch's own functions have them; a view."""
    return x.movedim(-1, 1) if data_format == "channels_last" else x


def channels_back(x: torch.Tensor, data_format: str) -> torch.Tensor:
    """The channels of axis 1 where the model has them; a view."""
    return x.movedim(1, -1) if data_format == "channels_last" else x


def each(spec: Spec, name: str, rank: int, default: Sequence[int] | None = None) -> tuple[int, ...]:
    """An attribute's size for each of `rank` spatial axes: those given, else the default, else 1.

    Raises:
        TransferError: ``torch-value``, another number of sizes.
    """
    sizes = spec[name]
    if sizes is None:
        sizes = default if default is not None else (1,) * rank
    if len(sizes) != rank:
        spec.refuse(name, f"Give {rank} sizes.")
    return tuple(sizes)


class Padding:
    """What is added before and after each spatial axis.

    Args:
        padding: as the attribute has it.
        extents: of the window on each axis, dilation counted.
        strides: on each axis.
    """

    def __init__(self, padding: Any, extents: Sequence[int], strides: Sequence[int]) -> None:
        self.extents, self.strides = tuple(extents), tuple(strides)
        self.same = padding == "same"
        self.fixed: Pairs | None = None
        if padding == "causal":
            self.fixed = [(extent - 1, 0) for extent in extents]
        elif padding == "valid":
            self.fixed = [(0, 0)] * len(self.extents)
        elif not self.same:
            self.fixed = [(int(before), int(after)) for before, after in padding]
        elif all(stride == 1 for stride in strides):
            self.fixed = [((extent - 1) // 2, extent - 1 - (extent - 1) // 2) for extent in extents]

    @property
    def symmetric(self) -> tuple[int, ...] | None:
        """The padding on either side of each axis, if it is the same whatever the input's size, as torch has it."""
        if self.fixed is None or any(before != after for before, after in self.fixed):
            return None
        return tuple(before for before, _ in self.fixed)

    def pairs(self, sizes: Sequence[int]) -> Pairs:
        """Before and after each axis, for an input of these spatial sizes."""
        if self.fixed is not None:
            return self.fixed
        pairs = []
        for size, extent, stride in zip(sizes, self.extents, self.strides, strict=True):
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            pairs.append((total // 2, total - total // 2))
        return pairs

    def pad(self, x: torch.Tensor, value: float = 0.0) -> torch.Tensor:
        """A tensor with its channels first, padded."""
        pairs = self.pairs(x.shape[2:])
        if not any(before or after for before, after in pairs):
            return x
        return functional.pad(x, [amount for pair in reversed(pairs) for amount in pair], value=value)

    def __repr__(self) -> str:
        return "'same'" if self.same else repr(self.fixed)
