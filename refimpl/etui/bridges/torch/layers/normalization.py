"""Normalization by statistics (SPEC.md J.4).

Halves are normalized in float32, as the frameworks do; the result has the dtype of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs

_SMALLEST_DEVIATION = 1e-7
_MASKED_COUNT = 1e-7


def widened(x: torch.Tensor) -> torch.Tensor:
    """The tensor in at least float32."""
    return x.float() if x.dtype in {torch.float16, torch.bfloat16} else x


def in_dtype(x: torch.Tensor, *values: torch.Tensor | None) -> list[torch.Tensor | None]:
    """Values in the dtype of a tensor."""
    return [value if value is None else value.to(x.dtype) for value in values]


def along(values: torch.Tensor, axes: Sequence[int], rank: int) -> torch.Tensor:
    """Values with one axis for each of `axes`, in rising order, as a tensor of `rank` axes that broadcasts."""
    shape = [1] * rank
    for axis, size in zip(sorted(axis % rank for axis in axes), values.shape, strict=True):
        shape[axis] = size
    return values.reshape(shape)


def all_axes(axes: Sequence[int] | None, rank: int) -> list[int]:
    """Axes counted from the first one, in rising order; null means every axis."""
    return list(range(rank)) if axes is None else sorted(axis % rank for axis in axes)


class BatchNorm(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001  the base that torch's users test for
    """Batch normalization over any axis, with the variance that the model keeps: biased or unbiased.

    `momentum` is the share of the old statistics that stays: one minus what torch calls so.
    """

    def __init__(
        self, channels: int, *, axis: int, momentum: float, epsilon: float, unbiased: bool, frozen: bool
    ) -> None:
        super().__init__(channels, eps=epsilon, momentum=momentum, device="meta")
        self.register_buffer("num_batches_tracked", None)
        self.axis = axis
        self.unbiased = unbiased
        self.frozen = frozen

    def forward(self, x: torch.Tensor, training: bool | None = None, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Normalize by the statistics of the batch in training, and keep them; else by those that are kept.

        Args:
            x: with the channels on `axis`.
            training: overrides the module's mode.
            mask: of every axis but the last: what it excludes does not count in the statistics of the batch.
        """
        x = floating(x, self.running_mean)
        dtype, x = x.dtype, widened(x)
        axis = self.axis % x.dim()
        if not (self.training if training is None else training) or self.frozen:
            mean, variance, weight, bias = in_dtype(x, self.running_mean, self.running_var, self.weight, self.bias)
            y = functional.batch_norm(x.movedim(axis, 1), mean, variance, weight, bias, False, 0.0, self.eps)
            return y.movedim(1, axis).to(dtype)
        mean, variance, count = self._moments(x, axis, mask)
        self._keep(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        y = (x - along(mean, [axis], x.dim())) * along(scale, [axis], x.dim())
        return (y if self.bias is None else y + along(self.bias, [axis], x.dim())).to(dtype)

    def _moments(self, x: torch.Tensor, axis: int, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Mean and biased variance of each channel, and the number of elements that they are of."""
        others = [other for other in range(x.dim()) if other != axis]
        if mask is None:
            variance, mean = torch.var_mean(x, dim=others, correction=0)
            return mean, variance, x.numel() // x.shape[axis]
        kept = mask.bool().unsqueeze(-1).expand(x.shape)
        number = kept.sum(dim=others).to(x.dtype)
        count = number + _MASKED_COUNT
        zero = torch.zeros((), dtype=x.dtype, device=x.device)
        mean = torch.where(kept, x, zero).sum(dim=others) / count
        off = torch.where(kept, x - along(mean, [axis], x.dim()), zero)
        return mean, torch.square(off).sum(dim=others) / count, number

    def _keep(self, mean: torch.Tensor, variance: torch.Tensor, count: Any) -> None:
        if self.unbiased:
            # A single element has no unbiased variance: its own, 0, stays.
            variance = (
                variance * count / (torch.clamp(count - 1, min=1) if torch.is_tensor(count) else max(count - 1, 1))
            )
        with torch.no_grad():
            for kept, new in ((self.running_mean, mean), (self.running_var, variance)):
                kept.copy_(kept * self.momentum + new.to(kept.dtype) * (1.0 - self.momentum))

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Any rank will do."""

    def _load_from_state_dict(self, *args: Any) -> None:
        """As a plain module: a state_dict without a version is not one of an older torch."""
        nn.Module._load_from_state_dict(self, *args)  # noqa: SLF001

    def extra_repr(self) -> str:
        """The channels and the attributes."""
        return f"{self.num_features}, " + shown_attrs(
            eps=self.eps,
            axis=self.axis,
            momentum=self.momentum,
            unbiased=self.unbiased or None,
            frozen=self.frozen or None,
            scale=self.weight is not None,
            center=self.bias is not None,
        )


@layer("batch_norm")
def batch_norm(spec: Spec) -> nn.Module:
    """A subclass of torch's; the moving statistics are the buffers `running_mean` and `running_var`."""
    module = BatchNorm(
        spec.shape("moving_mean")[0],
        axis=spec["axis"],
        momentum=spec["momentum"],
        epsilon=spec["epsilon"],
        unbiased=spec["moving_variance"] == "unbiased",
        frozen=not spec["trainable"],
    )
    spec.bind(module, "weight", "gamma")
    spec.bind(module, "bias", "beta")
    spec.bind(module, "running_mean", "moving_mean")
    spec.bind(module, "running_var", "moving_variance")
    return module


class Normalization(nn.Module):
    """What layer, group and root-mean-square normalization share: the axes, and scale and offset."""

    def __init__(self, axes: Sequence[int] | None, epsilon: float) -> None:
        super().__init__()
        self.axes = None if axes is None else tuple(axes)
        self.eps = epsilon
        self.weight: nn.Parameter | None
        self.bias: nn.Parameter | None

    def scaled(self, y: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        """`y · weight + bias`, along the axes."""
        if self.weight is not None:
            y = y * along(self.weight, axes, y.dim())
        return y if self.bias is None else y + along(self.bias, axes, y.dim())

    def extra_repr(self) -> str:
        """The axes, and what there is of scale and offset."""
        shape = tuple(next((t.shape for t in (self.weight, self.bias) if t is not None), ()))
        return f"{shape}, axes={self.axes}, eps={self.eps}"


class LayerNorm(Normalization):
    """Layer normalization over several axes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(x - mean) / sqrt(variance + eps) · weight + bias`."""
        x = floating(x, self.weight)
        dtype, x = x.dtype, widened(x)
        axes = all_axes(self.axes, x.dim())
        if axes == list(range(x.dim() - len(axes), x.dim())):
            weight, bias = in_dtype(x, self.weight, self.bias)
            return functional.layer_norm(x, x.shape[axes[0] :], weight, bias, self.eps).to(dtype)
        variance, mean = torch.var_mean(x, dim=axes, correction=0, keepdim=True)
        return self.scaled((x - mean) * torch.rsqrt(variance + self.eps), axes).to(dtype)


class RMSNorm(Normalization):
    """Normalization by the root of the mean square."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x / sqrt(mean(x²) + eps) · weight`."""
        x = floating(x, self.weight)
        dtype, x = x.dtype, widened(x)
        axes = all_axes(self.axes, x.dim())
        mean = torch.square(x).mean(dim=axes, keepdim=True)
        return self.scaled(x * torch.rsqrt(mean + self.eps), axes).to(dtype)


class GroupNorm(Normalization):
    """Group normalization over any axis."""

    def __init__(self, groups: int, axis: int, epsilon: float) -> None:
        super().__init__([axis], epsilon)
        self.num_groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Each group of channels by itself, then `· weight + bias`."""
        x = floating(x, self.weight)
        dtype, x = x.dtype, widened(x)
        (axis,) = all_axes(self.axes, x.dim())
        groups = x.shape[axis] if self.num_groups == -1 else self.num_groups
        weight, bias = in_dtype(x, self.weight, self.bias)
        y = functional.group_norm(x.movedim(axis, 1), groups, weight, bias, self.eps)
        return y.movedim(1, axis).to(dtype)

    def extra_repr(self) -> str:
        """The groups, too."""
        return f"{self.num_groups}, {super().extra_repr()}"


@layer("layer_norm")
def layer_norm(spec: Spec) -> nn.Module:
    """`nn.LayerNorm` where torch's own does, over the last axis in one dtype; else a class that takes any axes."""
    module: nn.Module = LayerNorm(spec["axes"], spec["epsilon"])
    if spec["axes"] == [-1] and spec.has("gamma") and spec.has("beta") and not spec.home.mixed:
        module = nn.LayerNorm(spec.shape("gamma"), eps=spec["epsilon"], device="meta")
    spec.bind(module, "weight", "gamma")
    spec.bind(module, "bias", "beta")
    return module


@layer("rms_norm")
def rms_norm(spec: Spec) -> nn.Module:
    """A class that takes any axes."""
    module = RMSNorm(spec["axes"], spec["epsilon"])
    spec.bind(module, "weight", "scale")
    module.register_parameter("bias", None)
    return module


@layer("group_norm")
def group_norm(spec: Spec) -> nn.Module:
    """A class that takes the channels on any axis."""
    module = GroupNorm(spec["groups"], spec["axis"], spec["epsilon"])
    spec.bind(module, "weight", "gamma")
    spec.bind(module, "bias", "beta")
    return module


class UnitNorm(nn.Module):
    """Division by the Euclidean norm."""

    def __init__(self, axes: Sequence[int] | None, epsilon: float) -> None:
        super().__init__()
        self.axes = None if axes is None else tuple(axes)
        self.eps = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x / max(sqrt(Σ x²), eps)`."""
        x = floating(x)
        square = torch.square(x).sum(dim=all_axes(self.axes, x.dim()), keepdim=True)
        return x * torch.clamp(torch.rsqrt(square), max=1.0 / self.eps)

    def extra_repr(self) -> str:
        """The axes."""
        return f"axes={self.axes}, eps={self.eps}"


@layer("unit_norm")
def unit_norm(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    return UnitNorm(spec["axes"], spec["epsilon"])


class Standardize(nn.Module):
    """Normalization by a given mean and variance: buffers, or numbers of the config."""

    def __init__(self, axes: Sequence[int] | None, *, invert: bool, mean: Any, variance: Any) -> None:
        super().__init__()
        self.axes = None if axes is None else tuple(axes)
        self.invert = invert
        self.numbers = {"mean": mean, "variance": variance}
        for name in ("mean", "variance", "count"):
            self.register_buffer(name, None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(x - mean) / max(sqrt(variance), 1e-7)`, or back from it."""
        x = floating(x)
        mean, variance = self._values("mean", x), self._values("variance", x)
        deviation = torch.clamp(torch.sqrt(variance), min=_SMALLEST_DEVIATION)
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def _values(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """The last axis of the values lies along the last one of the kept axes, and so on."""
        buffer = getattr(self, name)
        numbers = self.numbers[name]
        values = torch.tensor(numbers, dtype=x.dtype, device=x.device) if buffer is None else buffer.to(x.dtype)
        kept = all_axes(self.axes, x.dim())
        return along(values, kept[len(kept) - values.dim() :], x.dim())

    def extra_repr(self) -> str:
        """The axes, and the direction."""
        return shown_attrs(axes=self.axes, invert=self.invert or None)


@layer("normalization")
def normalization(spec: Spec) -> nn.Module:
    """A class whose mean and variance are buffers; those of attributes are not in the state_dict."""
    module = Standardize(spec["axes"], invert=spec["invert"], mean=spec["mean"], variance=spec["variance"])
    for name in ("mean", "variance", "count"):
        spec.bind(module, name, name)
    return module
