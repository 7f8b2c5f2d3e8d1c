"""Ops that merge tensors (SPEC.md, annex J.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax.numpy as jnp
from jax import lax

from etui.bridges.jax.ops.registry import Array, Mask, op

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_EPSILON = 1e-7


def merged_mask(mask: Mask) -> Mask:
    """Kept where any tensor is kept; none if a tensor has none."""
    masks = mask if isinstance(mask, list) else [mask]
    if not masks or any(one is None for one in masks):
        return None
    return reduce(jnp.logical_or, masks)


def _aligned(xs: Sequence[Any]) -> list[Array]:
    """Tensors of different ranks with axes of size 1 behind the batch, so that they broadcast."""
    arrays = [jnp.asarray(x) for x in xs]
    rank = max(x.ndim for x in arrays)
    return [x.reshape(x.shape[0], *[1] * (rank - x.ndim), *x.shape[1:]) if 0 < x.ndim < rank else x for x in arrays]


def _merge(name: str, function: Callable[[Sequence[Array]], Array], doc: str) -> None:
    def merge(xs: Sequence[Any], *, mask: Mask, **_: Any) -> tuple[Array, Mask]:
        return function(_aligned(xs)), merged_mask(mask)

    merge.__doc__ = doc
    op(name, masked=True)(merge)


_merge("add", lambda xs: reduce(jnp.add, xs), "The sum of the tensors.")
_merge("mean", lambda xs: reduce(jnp.add, xs) / len(xs), "The mean of the tensors.")


def _merge_kept(name: str, function: Callable[[Any, Any], Array], doc: str) -> None:
    def merge(xs: Sequence[Any], *, mask: Mask, **_: Any) -> tuple[Array, Mask]:
        level = _aligned(xs)
        masks = mask if isinstance(mask, list) else [mask] * len(level)
        if all(one is None for one in masks):
            return reduce(function, level), None
        result, found = level[0], jnp.zeros((1,) * level[0].ndim, bool)
        for x, one in zip(level, masks, strict=True):
            kept = jnp.ones_like(found) if one is None else one.astype(bool)[..., None]
            result = jnp.where(kept, jnp.where(found, function(result, x), x), result)
            found = found | kept
        return jnp.where(found, result, jnp.zeros_like(result) if name == "mul" else level[0]), merged_mask(masks)

    merge.__doc__ = doc
    op(name, masked=True)(merge)


_merge_kept("mul", jnp.multiply, "The product of what the masks leave; 0 where all exclude an element.")
_merge_kept("max", jnp.maximum, "The largest of what the masks leave; the first where all exclude an element.")
_merge_kept("min", jnp.minimum, "The smallest of what the masks leave; the first where all exclude an element.")


@op("sub", masked=True)
def sub(x: Any, y: Any, *, mask: Mask, **_: Any) -> tuple[Array, Mask]:
    """The difference of two tensors."""
    first, second = _aligned([x, y])
    return first - second, merged_mask(mask)


@op("dot")
def dot(x: Array, y: Array, *, axes: Sequence[int] | int, normalize: bool, **_: Any) -> Array:
    """The sum of products along an axis of each, sample by sample: the other axes of x, then those of y."""
    first, second = [axes, axes] if isinstance(axes, int) else list(axes)
    first, second = first % x.ndim, second % y.ndim
    if normalize:
        x, y = (_unit(value, axis) for value, axis in ((x, first), (y, second)))
    left, right = _LETTERS[: x.ndim], _LETTERS[x.ndim : x.ndim + y.ndim]
    right = left[0] + right[1:]
    right = right[:second] + left[first] + right[second + 1 :]
    kept = left.replace(left[first], "") + right[1:].replace(left[first], "")
    product = jnp.einsum(f"{left},{right}->{kept}", x, y)
    return product[:, None] if product.ndim == 1 else product


def _unit(x: Array, axis: int) -> Array:
    squares = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    return x * jnp.minimum(lax.rsqrt(squares), 1.0 / _EPSILON)


@op("matmul")
def matmul(x: Any, y: Any, **_: Any) -> Array:
    """The product of matrices."""
    return jnp.matmul(jnp.asarray(x), jnp.asarray(y))


@op("einsum")
def einsum(xs: Sequence[Any], *, equation: str, **_: Any) -> Array:
    """The sum of products that the equation says."""
    return jnp.einsum(equation, *(jnp.asarray(x) for x in xs))
