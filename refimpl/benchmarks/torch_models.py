"""Models of the kinds that people write in torch, small, with random weights and an example input each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Made = tuple[nn.Module, list[torch.Tensor]]


class Residual(nn.Module):
    """A block of a ResNet."""

    def __init__(self, width: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        same = stride == 1 and width == out
        self.down = None if same else nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Any) -> Any:
        """Two convolutions and a way around them."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.down is None else self.down(x)))


class ResNet(nn.Module):
    """A stem, two blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.layers = nn.Sequential(Residual(8, 8), Residual(8, 16, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        """Class scores of images [batch, 3, height, width]."""
        return self.fc(torch.flatten(self.pool(self.layers(self.stem(x))), 1))


class Recurrent(nn.Module):
    """Words to classes by a recurrent layer of any kind."""

    def __init__(self, kind: Any, *, layers: int = 1, both: bool = False, batch_first: bool = True) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.rnn = kind(6, 7, layers, batch_first=batch_first, bidirectional=both)
        self.out = nn.Linear(14 if both else 7, 3)
        self.batch_first = batch_first

    def forward(self, x: Any) -> Any:
        """Class scores of sequences [batch, time], and the last states."""
        x = self.words(x)
        y, state = self.rnn(x if self.batch_first else x.transpose(0, 1))
        y = y if self.batch_first else y.transpose(0, 1)
        return self.out(y[:, -1]), state


class Transformer(nn.Module):
    """A transformer's encoder, perhaps over learned positions."""

    def __init__(self, *, norm_first: bool = False, positions: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=norm_first, activation="gelu")
        self.positions = nn.Parameter(torch.randn(1, 6, 16)) if positions else None
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Any) -> Any:
        """Class scores of sequences [batch, 6, 16]."""
        return self.head(self.encoder(x if self.positions is None else x + self.positions).mean(dim=1))


class Vision(nn.Module):
    """A vision transformer that writes its attention out."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.project = nn.Linear(16, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        """Class scores of images [batch, 3, 16, 16]."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        batch, length, width = x.shape
        parts = self.qkv(self.norm(x)).chunk(3, dim=-1)
        query, key, value = (part.view(batch, length, 4, 4).transpose(1, 2) for part in parts)
        y = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.project(y.transpose(1, 2).reshape(batch, length, width))
        return self.head(x[:, 0])


class UNet(nn.Module):
    """Down and up again, with a way across."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.GroupNorm(2, 8)
        self.slope = nn.PReLU(8)
        self.each = nn.Conv2d(8, 16, 3, padding=1, groups=8)
        self.mix = nn.Conv2d(16, 8, 1)
        self.up = nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1)
        self.out = nn.Conv2d(11, 2, 3, padding="same")

    def forward(self, x: Any) -> Any:
        """A map [batch, 2, height, width] of an image."""
        y = self.mix(self.each(self.slope(self.norm(self.down(x)))))
        y = functional.gelu(self.up(y))
        return self.out(torch.cat([x, y], 1)).sigmoid()


class Crossed(nn.Module):
    """Attention of one sequence to another of other widths, time first."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=5, vdim=6)

    def forward(self, query: Any, key: Any, value: Any) -> Any:
        """A sequence [time, batch, 8]."""
        found, _ = self.attention(query, key, value)
        return found * 2 + 1


class Dense(nn.Module):
    """Layers that each see all before them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList([nn.Conv1d(4 + 3 * at, 3, 3, padding=1) for at in range(3)])
        self.pool = nn.AvgPool1d(2)
        self.norm = nn.BatchNorm1d(13)

    def forward(self, x: Any) -> Any:
        """A sequence [batch, 13, time / 2]."""
        for step in self.steps:
            x = torch.cat([x, functional.relu(step(x))], dim=1)
        return self.pool(self.norm(x))


def separable() -> nn.Module:
    """Inverted bottlenecks as in MobileNet."""

    def bottleneck(width: int, out: int, stride: int) -> list[nn.Module]:
        wide = 4 * width
        return [
            nn.Conv2d(width, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, out, 1, bias=False),
            nn.BatchNorm2d(out),
        ]

    layers = [nn.Conv2d(3, 8, 3, 2, 1), *bottleneck(8, 12, 1), *bottleneck(12, 16, 2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 4))


def perceptron() -> nn.Module:
    """A stack of layers."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(12, 8),
        nn.LeakyReLU(),
        nn.Dropout(),
        nn.BatchNorm1d(8),
        nn.Linear(8, 2),
        nn.LogSoftmax(1),
    )


def _words() -> list[torch.Tensor]:
    return [torch.randint(0, 20, (3, 5), dtype=torch.int32)]


MODELS: dict[str, Callable[[], Made]] = {
    "perceptron": lambda: (perceptron(), [torch.randn(4, 3, 4)]),
    "MobileNet": lambda: (separable(), [torch.randn(2, 3, 16, 16)]),
    "ResNet": lambda: (ResNet(), [torch.randn(2, 3, 32, 32)]),
    "DenseNet, 1-D": lambda: (Dense(), [torch.randn(2, 4, 10)]),
    "U-Net": lambda: (UNet(), [torch.randn(2, 3, 8, 8)]),
    "LSTM, 2 layers, bidirectional": lambda: (Recurrent(nn.LSTM, layers=2, both=True), _words()),
    "GRU, bidirectional, time first": lambda: (Recurrent(nn.GRU, both=True, batch_first=False), _words()),
    "RNN": lambda: (Recurrent(nn.RNN), _words()),
    "transformer encoder": lambda: (Transformer(), [torch.randn(2, 6, 16)]),
    "transformer encoder, norm first": lambda: (Transformer(norm_first=True), [torch.randn(2, 6, 16)]),
    "transformer encoder, positions": lambda: (Transformer(positions=True), [torch.randn(2, 6, 16)]),
    "vision transformer": lambda: (Vision(), [torch.randn(2, 3, 16, 16)]),
    "cross attention": lambda: (Crossed(), [torch.randn(4, 2, 8), torch.randn(3, 2, 5), torch.randn(3, 2, 6)]),
}


def made(name: str) -> Made:
    """A model in evaluation mode, whose batch statistics are about those of what it normalizes, and its example.

    With statistics of a new model, or any others, the signal could fade until the biases alone decide.
    """
    torch.manual_seed(0)
    model, example = MODELS[name]()
    norms = [part for part in model.eval().modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    hooks = [part.register_forward_pre_hook(_measure) for part in norms]
    with torch.no_grad():
        model(*example)
    for hook in hooks:
        hook.remove()
    return model, example


def _measure(part: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    """Give a normalization statistics near those of its input."""
    square = inputs[0].square().mean()
    part.running_mean.normal_().mul_(0.3 * square.sqrt())
    part.running_var.uniform_(0.5, 2).mul_(square)
