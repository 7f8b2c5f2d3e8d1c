"""Functions of the elements, reductions, and several tensors as one (SPEC.md J.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce as fold
from typing import Any, TypeAlias

import torch
from torch import nn

from etui.bridges.torch.layers.normalization import all_axes
from etui.bridges.torch.layers.registry import Spec, floating, layer
from etui.bridges.torch.layers.shaping import Shaping, Tensors

Kept: TypeAlias = torch.Tensor | None

_SMALLEST_NORM = 1e-7

# Functions whose result is of the dtype of their input, and those that compute in floats.
_EXACT: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "abs": torch.abs,
    "neg": torch.neg,
    "sign": torch.sign,
    "square": torch.square,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "isnan": torch.isnan,
    "isinf": torch.isinf,
    "isfinite": torch.isfinite,
    "logical_not": torch.logical_not,
}
_FLOAT: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    name: getattr(torch, name)
    for name in (
        *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "tan"),
        *("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf"),
    )
}
_BINARY: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.true_divide,
    "floor_div": torch.floor_divide,
    "mod": torch.remainder,
    "pow": torch.pow,
    "max": torch.maximum,
    "min": torch.minimum,
    "equal": torch.eq,
    "not_equal": torch.ne,
    "less": torch.lt,
    "less_equal": torch.le,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "atan2": torch.atan2,
}


class Unary(Shaping):
    """A function of each element."""

    function: str

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it."""
        return _FLOAT[self.function](floating(x)) if self.function in _FLOAT else _EXACT[self.function](x)


class Binary(Shaping):
    """A function of each pair of elements."""

    function: str

    def forward(self, x: Any, y: Any) -> torch.Tensor:
        """Apply it; a number stands for its tensor."""
        x, y = as_tensors(x, y)
        return _BINARY[self.function](x, y)


def as_tensors(x: Any, y: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Two tensors of two, one of which may be a number: it takes the dtype of the other one where that can hold it."""
    if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor):
        return x, y
    if isinstance(x, torch.Tensor):
        return x, _number(y, x)
    if isinstance(y, torch.Tensor):
        return _number(x, y), y
    return torch.as_tensor(x), torch.as_tensor(y)


def _number(value: Any, like: torch.Tensor) -> torch.Tensor:
    whole = isinstance(value, bool) or (isinstance(value, int) and like.dtype != torch.bool)
    dtype = like.dtype if like.is_floating_point() or whole else torch.as_tensor(value).dtype
    return torch.as_tensor(value, dtype=dtype, device=like.device)


class Clip(Shaping):
    """Values within bounds."""

    low: float | None
    high: float | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`min(max(x, low), high)`, of the dtype of `x`; null is no bound."""
        y = x if self.low is None else torch.clamp(x, min=self.low)
        return (y if self.high is None else torch.clamp(y, max=self.high)).to(x.dtype)


class Where(Shaping):
    """One of two tensors for each element."""

    def forward(self, condition: torch.Tensor, x: Any, y: Any) -> torch.Tensor:
        """`x` where the condition is true, else `y`."""
        return torch.where(condition.bool(), *as_tensors(x, y))


class Reduce(Shaping):
    """A function of the elements along axes."""

    function: str
    axes: list[int] | None
    keepdims: bool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reduce; `var` and `std` divide by the number of elements."""
        axes = all_axes(self.axes, x.dim())
        return _REDUCTIONS[self.function](x, axes, self.keepdims) if axes else x


def _product(x: torch.Tensor, axes: Sequence[int], keepdims: bool) -> torch.Tensor:
    for axis in reversed(axes):
        x = x.prod(dim=axis, keepdim=keepdims)
    return x


_REDUCTIONS: dict[str, Callable[[torch.Tensor, Sequence[int], bool], torch.Tensor]] = {
    "sum": lambda x, axes, keepdims: x.sum(dim=axes, keepdim=keepdims),
    "mean": lambda x, axes, keepdims: floating(x).mean(dim=axes, keepdim=keepdims),
    "max": lambda x, axes, keepdims: torch.amax(x, dim=tuple(axes), keepdim=keepdims),
    "min": lambda x, axes, keepdims: torch.amin(x, dim=tuple(axes), keepdim=keepdims),
    "prod": _product,
    "var": lambda x, axes, keepdims: floating(x).var(dim=axes, correction=0, keepdim=keepdims),
    "std": lambda x, axes, keepdims: floating(x).std(dim=axes, correction=0, keepdim=keepdims),
    "any": lambda x, axes, keepdims: torch.amax(x.bool(), dim=tuple(axes), keepdim=keepdims),
    "all": lambda x, axes, keepdims: torch.amin(x.bool(), dim=tuple(axes), keepdim=keepdims),
    "logsumexp": lambda x, axes, keepdims: torch.logsumexp(floating(x), dim=tuple(axes), keepdim=keepdims),
}


class ArgReduce(Shaping):
    """The index of the first largest or smallest element."""

    function: str
    axis: int | None
    keepdims: bool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Find it along the axis, or in the flat tensor."""
        x = x.to(torch.uint8) if x.dtype == torch.bool else x
        find = torch.argmax if self.function == "argmax" else torch.argmin
        if self.axis is None:
            return find(x).reshape((1,) * x.dim()) if self.keepdims else find(x)
        return find(x, dim=self.axis, keepdim=self.keepdims)


class Merge(Shaping):
    """Several tensors as one: axes of size 1 behind the batch make all ranks equal, then they are broadcast.

    With masks, `mul`, `max` and `min` leave out what an input's mask excludes.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.function = spec.op.name

    def forward(self, xs: Any, y: torch.Tensor | None = None, mask: Sequence[Kept] | None = None) -> torch.Tensor:
        """Fold the function over the tensors."""
        tensors = [xs, y] if self.function == "sub" else list(xs)
        rank = max(x.dim() for x in tensors)
        level = [x.reshape(*x.shape[:1], *(1,) * (rank - x.dim()), *x.shape[1:]) for x in tensors]
        masks = list(mask or ())
        if self.function == "sub":
            return level[0] - level[1]
        if self.function in {"add", "mean"}:
            total = fold(torch.add, level)
            return total if self.function == "add" else floating(total) / len(level)
        if any(one is not None for one in masks):
            wide = [None if one is None else one.bool().unsqueeze(-1) for one in masks]
            if self.function == "mul":
                return _masked_product(level, wide)
            return _masked_extreme(self.function, level, wide)
        return fold(_FOLDS[self.function], level)

    def extra_repr(self) -> str:
        """The function."""
        return self.function


_FOLDS = {"mul": torch.mul, "max": torch.maximum, "min": torch.minimum}


def _masked_product(xs: Tensors, masks: Sequence[Kept]) -> torch.Tensor:
    """What is excluded counts as 1; where all are excluded, the product is 0."""
    pairs = zip(xs, masks, strict=True)
    product = fold(torch.mul, [x if m is None else torch.where(m, x, torch.ones_like(x)) for x, m in pairs])
    if any(m is None for m in masks):
        return product
    kept = fold(torch.logical_or, [m for m in masks if m is not None])
    return torch.where(kept, product, torch.zeros_like(product))


def _masked_extreme(function: str, xs: Tensors, masks: Sequence[Kept]) -> torch.Tensor:
    """What is excluded gives place to the other side, tensor by tensor."""
    output, output_mask = xs[0], masks[0]
    for x, mask in zip(xs[1:], masks[1:], strict=True):
        other = x if mask is None else torch.where(mask, x, output)
        if output_mask is not None:
            output = torch.where(output_mask, output, other)
        output_mask = None if mask is None or output_mask is None else output_mask | mask
        output = _FOLDS[function](output, other)
    return output


@layer("add", "mul", "mean", "max", "min", "sub")
def merge(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    return Merge(spec)


class Dot(Shaping):
    """Products over an axis of each of two tensors, for each member of the batch."""

    axes: Any
    normalize: bool

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The other axes of `x`, then those of `y`; one axis at least stays."""
        first, second = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        x, y = (floating(t) for t in (x, y))
        first, second = first % x.dim(), second % y.dim()
        if self.normalize:
            x, y = _unit(x, first), _unit(y, second)
        rows, columns = x.movedim(first, -1), y.movedim(second, 1)
        flat = rows.reshape(len(x), -1, rows.shape[-1]) @ columns.reshape(len(y), columns.shape[1], -1)
        return flat.reshape(len(x), *((*rows.shape[1:-1], *columns.shape[2:]) or (1,)))


def _unit(x: torch.Tensor, axis: int) -> torch.Tensor:
    return x * torch.clamp(torch.rsqrt(torch.square(x).sum(dim=axis, keepdim=True)), max=1 / _SMALLEST_NORM)


@layer("dot")
def dot(spec: Spec) -> nn.Module:
    """A class of its own."""
    axes = spec["axes"] if isinstance(spec["axes"], list) else [spec["axes"]]
    if 0 in axes:
        spec.refuse("axes", "Name another axis than that of the batch.")
    return Dot(spec, "axes", "normalize")


def promoted(xs: Tensors) -> list[torch.Tensor]:
    """Tensors in the one dtype that holds the values of all."""
    dtype = fold(torch.promote_types, [x.dtype for x in xs])
    return [x.to(dtype) for x in xs]


class MatMul(Shaping):
    """The product of matrices."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Over the last axis of `x` and the last but one of `y`."""
        return torch.matmul(*promoted([x, y]))


class Einsum(Shaping):
    """The sum that an equation names."""

    equation: str

    def forward(self, xs: Tensors) -> torch.Tensor:
        """Compute it."""
        return torch.einsum(self.equation, *promoted(xs))


_CLASSES: dict[str, tuple[type[Shaping], tuple[str, ...]]] = {
    "unary": (Unary, ("function",)),
    "binary": (Binary, ("function",)),
    "clip": (Clip, ("low", "high")),
    "where": (Where, ()),
    "reduce": (Reduce, ("function", "axes", "keepdims")),
    "arg_reduce": (ArgReduce, ("function", "axis", "keepdims")),
    "matmul": (MatMul, ()),
    "einsum": (Einsum, ("equation",)),
}


@layer(*_CLASSES)
def arithmetic(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    kind, names = _CLASSES[spec.op.name]
    return kind(spec, *names)
