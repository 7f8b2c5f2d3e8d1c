"""Ops that draw numbers in training (SPEC.md J.11), from torch's own generator."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from etui.bridges.torch.layers.registry import Spec, layer, shown_attrs
from etui.bridges.torch.steps import Losses

# Klambauer et al., "Self-Normalizing Neural Networks" (2017): the least value of selu.
_LOWEST = -1.0507009873554805 * 1.6732632423543772


class Random(nn.Module):
    """What the random modules share: they are the identity unless they train."""

    def __init__(self, amount: float, name: str = "p") -> None:
        super().__init__()
        self.amount = amount
        self._name = name

    def forward(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        """Draw, if training.

        Args:
            x: the tensor.
            training: overrides the module's mode.
        """
        trains = self.training if training is None else training
        return self.draw(x) if trains and self.amount > 0 else x

    @abstractmethod
    def draw(self, x: torch.Tensor) -> torch.Tensor:
        """What becomes of the tensor in training."""

    def extra_repr(self) -> str:
        """The rate or the deviation."""
        return f"{self._name}={self.amount}"


class Dropout(nn.Dropout):
    """`nn.Dropout`, in whatever mode a call asks for, and with values that share their fate."""

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None) -> None:
        super().__init__(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def forward(self, x: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        """`x · k / (1 - p)` in training, each k 0 with the probability p and else 1."""
        trains = self.training if training is None else training
        if self.noise_shape is None:
            return functional.dropout(x, self.p, trains)
        return x * functional.dropout(x.new_ones(noise_sizes(x, self.noise_shape)), self.p, trains)

    def extra_repr(self) -> str:
        """The rate."""
        return shown_attrs(p=self.p, noise_shape=self.noise_shape)


def noise_sizes(x: torch.Tensor, noise_shape: Sequence[int | None] | None) -> list[int]:
    """The shape of what is drawn: that of x, but where noise_shape has a number."""
    if noise_shape is None:
        return list(x.shape)
    return [size if wanted is None else wanted for size, wanted in zip(x.shape, noise_shape, strict=True)]


class SpatialDropout(Random):
    """Dropout of whole channels."""

    def __init__(self, rate: float, data_format: str) -> None:
        super().__init__(rate)
        self.data_format = data_format

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        """One draw for all positions of a channel of an example."""
        channels = 1 if self.data_format == "channels_first" else x.dim() - 1
        shape = [size if axis in {0, channels} else 1 for axis, size in enumerate(x.shape)]
        return x * functional.dropout(x.new_ones(shape), self.amount)


class AlphaDropout(Random):
    """Dropout to the least value of selu, which keeps mean and variance."""

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None) -> None:
        super().__init__(rate)
        self.noise_shape = noise_shape

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        """`a · (x · k + p · (1 - k)) + b`."""
        kept = torch.rand(noise_sizes(x, self.noise_shape), dtype=x.dtype, device=x.device) >= self.amount
        scale = ((1 - self.amount) * (1 + self.amount * _LOWEST**2)) ** -0.5
        return scale * torch.where(kept, x, torch.full_like(x, _LOWEST)) - scale * _LOWEST * self.amount


class GaussianNoise(Random):
    """Noise of mean 0 that is added."""

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        """`x + n`."""
        return x + torch.randn_like(x) * self.amount


class GaussianDropout(Random):
    """Noise of mean 1 that is multiplied."""

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        """`x · n`."""
        return x * (1 + torch.randn_like(x) * math.sqrt(self.amount / (1 - self.amount)))


@layer("dropout")
def dropout(spec: Spec) -> nn.Module:
    """`nn.Dropout`'s subclass."""
    return Dropout(spec["rate"], spec["noise_shape"])


@layer("spatial_dropout")
def spatial_dropout(spec: Spec) -> nn.Module:
    """A class of its own, for any rank and data format."""
    return SpatialDropout(spec["rate"], spec["data_format"])


@layer("alpha_dropout")
def alpha_dropout(spec: Spec) -> nn.Module:
    """A class of its own, which knows shared draws."""
    return AlphaDropout(spec["rate"], spec["noise_shape"])


@layer("gaussian_noise")
def gaussian_noise(spec: Spec) -> nn.Module:
    """A class of its own."""
    return GaussianNoise(spec["stddev"], "stddev")


@layer("gaussian_dropout")
def gaussian_dropout(spec: Spec) -> nn.Module:
    """A class of its own."""
    return GaussianDropout(spec["rate"])


class ActivityRegularization(nn.Module):
    """The identity, whose output `regularization_loss` counts."""

    def __init__(self, l1: float, l2: float) -> None:
        super().__init__()
        self.l1, self.l2 = l1, l2
        self.activity_losses = Losses()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor itself."""
        penalty = self.l1 * x.abs().sum() + self.l2 * torch.square(x).sum()
        self.activity_losses.append(penalty / x.shape[0])
        return x

    def extra_repr(self) -> str:
        """The factors."""
        return shown_attrs(l1=self.l1, l2=self.l2)


@layer("activity_regularization")
def activity_regularization(spec: Spec) -> nn.Module:
    """A class of its own."""
    return ActivityRegularization(spec["l1"], spec["l2"])
