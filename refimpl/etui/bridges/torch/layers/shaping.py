"""Shapes, axes and parts of tensors, and what puts several tensors together (SPEC.md J.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from etui.bridges.torch.arrays import torch_dtype
from etui.bridges.torch.layers.normalization import all_axes
from etui.bridges.torch.layers.registry import Spec, layer, shown_attrs

Tensors = Sequence[torch.Tensor]


class Shaping(nn.Module):
    """An op without variables, which shows its attributes."""

    def __init__(self, spec: Spec, *names: str) -> None:
        super().__init__()
        self._shown = {name: spec[name] for name in names}
        for name in names:
            setattr(self, name, spec[name])

    def extra_repr(self) -> str:
        """The attributes."""
        return shown_attrs(**self._shown)


@layer("identity")
def identity(_: Spec) -> nn.Module:
    """`nn.Identity`."""
    return nn.Identity()


class FlattenFirst(nn.Flatten):
    """`nn.Flatten` for channels on axis 1, which come last in what it gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Move the channels of axis 1 to the end, then flatten."""
        return super().forward(x.movedim(1, -1) if x.dim() > 1 else x.unsqueeze(-1))


class Flatten(nn.Flatten):
    """`nn.Flatten` that takes a vector, too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Flatten all axes but the batch, in row-major order."""
        return super().forward(x if x.dim() > 1 else x.unsqueeze(-1))


@layer("flatten")
def flatten(spec: Spec) -> nn.Module:
    """`nn.Flatten`, or one that moves the channels to the end where they are first."""
    return FlattenFirst() if spec["data_format"] == "channels_first" else Flatten()


class Reshape(Shaping):
    """The elements of each member of the batch, in another shape."""

    shape: list[int]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reshape."""
        return x.reshape(x.shape[0], *self.shape)


class Permute(Shaping):
    """Axes in another order."""

    axes: list[int]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Axis `i` of the output is axis `axes[i]` of the input."""
        return x.permute(self.axes)


class Repeat(Shaping):
    """A vector repeated as the steps of a sequence."""

    count: int

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, features]` as `[batch, count, features]`."""
        return x.unsqueeze(1).repeat(1, self.count, *(1,) * (x.dim() - 1))


class Pad(Shaping):
    """Elements before and after each axis but the batch."""

    padding: list[list[int]]
    mode: str
    value: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad with a value, or mirrored without or with the edge."""
        if self.mode == "constant":
            amounts = [amount for pair in reversed(self.padding) for amount in pair]
            return functional.pad(x, amounts, value=self.value)
        for axis, (before, after) in enumerate(self.padding, start=1):
            if before or after:
                rows = mirrored(x.shape[axis], before, after, edge=self.mode == "symmetric")
                x = x.index_select(axis, torch.tensor(rows, device=x.device))
        return x


def mirrored(size: int, before: int, after: int, *, edge: bool) -> list[int]:
    """The index of each element of an axis that is mirrored at its ends, again and again; the edge twice if `edge`."""
    period = 2 * size if edge else max(2 * size - 2, 1)
    places = [place % period for place in range(-before, size + after)]
    last = period - 1 if edge else period
    return [place if place < size else last - place for place in places]


class Crop(Shaping):
    """Without the first and last elements of each axis but the batch."""

    cropping: list[list[int]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Crop."""
        for axis, (before, after) in enumerate(self.cropping, start=1):
            x = x.narrow(axis, before, x.shape[axis] - before - after)
        return x


class Slice(Shaping):
    """A part that an index names, as NumPy's basic indexing."""

    index: list[Any]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take the part; torch has no negative steps, so such axes are turned around first."""
        entries: list[Any] = []
        lengths = iter(_lengths(self.index, x.shape))
        turned: list[int] = []
        axis = 0
        for entry, size in zip(self.index, lengths, strict=True):
            if isinstance(entry, list):
                start, stop, step = slice(*entry).indices(x.shape[axis])
                if step < 0:
                    turned.append(axis)
                    count = max(-(-(stop - start) // step), 0)
                    start, stop, step = x.shape[axis] - 1 - start, x.shape[axis] - 1 - start - count * step, -step
                    stop = start if count == 0 else stop
                entries.append(slice(start, stop, step))
            else:
                entries.append({"newaxis": None, "...": Ellipsis}.get(entry, entry))
            axis += size
        return (x.flip(turned) if turned else x)[tuple(entries)]


def _lengths(index: Sequence[Any], shape: Sequence[int]) -> list[int]:
    """How many axes of the tensor each entry of an index stands for."""
    taken = sum(entry not in {"newaxis", "..."} if isinstance(entry, str) else True for entry in index)
    words = {"newaxis": 0, "...": len(shape) - taken}
    return [words.get(entry, 1) if isinstance(entry, str) else 1 for entry in index]


class Concat(Shaping):
    """Tensors one after the other along an axis."""

    axis: int

    def forward(self, xs: Tensors) -> torch.Tensor:
        """Put together."""
        return torch.cat(tuple(xs), dim=self.axis)


class Stack(Shaping):
    """Tensors along a new axis."""

    axis: int

    def forward(self, xs: Tensors) -> torch.Tensor:
        """Put together."""
        return torch.stack(tuple(xs), dim=self.axis)


class Split(Shaping):
    """A tensor cut along an axis, into a number of equal parts or parts of the sizes."""

    sections: Any
    axis: int

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Cut."""
        size = x.shape[self.axis] // self.sections if isinstance(self.sections, int) else self.sections
        return list(torch.split(x, size, dim=self.axis))


class ExpandDims(Shaping):
    """New axes of size 1, at their places in the output."""

    axes: list[int]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Insert them."""
        for axis in all_axes(self.axes, x.dim() + len(self.axes)):
            x = x.unsqueeze(axis)
        return x


class Squeeze(Shaping):
    """Without axes of size 1."""

    axes: list[int] | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take them out."""
        return x.squeeze() if self.axes is None else x.squeeze(tuple(self.axes))


class Cast(nn.Module):
    """Values of another dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cast."""
        return x.to(self.dtype)

    def extra_repr(self) -> str:
        """The dtype."""
        return str(self.dtype)


@layer("cast")
def cast(spec: Spec) -> nn.Module:
    """A class of its own."""
    if spec["dtype"] == "string":
        spec.refuse("dtype", "torch has no tensors of strings.")
    return Cast(torch_dtype(spec["dtype"]))


class BroadcastTo(Shaping):
    """Axes of size 1, and axes that are missing in front, repeated to a shape."""

    shape: list[int]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Repeat, as a view."""
        return x.broadcast_to(self.shape)


class Take(Shaping):
    """The elements at indices along an axis."""

    axis: int | None

    def forward(self, x: torch.Tensor, indices: torch.Tensor | int) -> torch.Tensor:
        """Take; the indices' axes are where the axis was. Negative ones count from the end."""
        axis = 0 if self.axis is None else self.axis % x.dim()
        x = x.reshape(-1) if self.axis is None else x
        places = torch.as_tensor(indices, device=x.device).long()
        places = torch.where(places < 0, places + x.shape[axis], places)
        taken = x.index_select(axis, places.reshape(-1))
        return taken.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


_CLASSES: dict[str, tuple[type[Shaping], tuple[str, ...]]] = {
    "reshape": (Reshape, ("shape",)),
    "permute": (Permute, ("axes",)),
    "repeat": (Repeat, ("count",)),
    "pad": (Pad, ("padding", "mode", "value")),
    "crop": (Crop, ("cropping",)),
    "slice": (Slice, ("index",)),
    "concat": (Concat, ("axis",)),
    "stack": (Stack, ("axis",)),
    "split": (Split, ("sections", "axis")),
    "expand_dims": (ExpandDims, ("axes",)),
    "squeeze": (Squeeze, ("axes",)),
    "broadcast_to": (BroadcastTo, ("shape",)),
    "take": (Take, ("axis",)),
}


@layer(*_CLASSES)
def shaping(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    kind, names = _CLASSES[spec.op.name]
    return kind(spec, *names)
