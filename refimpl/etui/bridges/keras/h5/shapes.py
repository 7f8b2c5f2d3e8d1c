"""The shapes that the attributes of a built-in layer give its variables, as far as they do (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from etui.bridges.keras.layer_variables import LayerVariable

Attrs = Mapping[str, Any]
# Sizes of the last dimensions, where `None` may be any size; and whether there are other dimensions in front of them.
Ends = tuple[int | None, ...]

_GATES = {"LSTMCell": 4, "GRUCell": 3, "SimpleRNNCell": 1}


def _number(attrs: Attrs, key: str, times: int = 1) -> int | None:
    value = attrs.get(key)
    return value * times if type(value) is int else None


def _window(attrs: Attrs, rank: int) -> Ends:
    size = attrs.get("kernel_size")
    sizes = list(size) if isinstance(size, list | tuple) else [size] * rank
    return tuple(one if type(one) is int else None for one in sizes) if len(sizes) == rank else (None,) * rank


def _dense(attrs: Attrs) -> dict[str, Ends]:
    units = _number(attrs, "units")
    return {"kernel": (None, units), "bias": (units,)}


def _embedding(attrs: Attrs) -> dict[str, Ends]:
    return {"embeddings": (_number(attrs, "input_dim"), _number(attrs, "output_dim"))}


def _cell(kind: str) -> Callable[[Attrs], dict[str, Ends]]:
    def shapes(attrs: Attrs) -> dict[str, Ends]:
        units, wide = _number(attrs, "units"), _number(attrs, "units", _GATES[kind])
        bias: Ends = (2, wide) if kind == "GRUCell" and attrs.get("reset_after") is True else (wide,)
        return {"kernel": (None, wide), "recurrent_kernel": (units, wide), "bias": bias}

    return shapes


def _conv(rank: int, *, transposed: bool = False) -> Callable[[Attrs], dict[str, Ends]]:
    def shapes(attrs: Attrs) -> dict[str, Ends]:
        filters = _number(attrs, "filters")
        channels: Ends = (filters, None) if transposed else (None, filters)
        return {"kernel": (*_window(attrs, rank), *channels), "bias": (filters,)}

    return shapes


def _vectors(attrs: Attrs) -> dict[str, Ends]:
    """Those of a normalization over one axis."""
    axis = attrs.get("axis", -1)
    one = type(axis) is int or (isinstance(axis, list | tuple) and len(axis) == 1)
    return dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (None,)) if one else {}


_SHAPES: dict[str, Callable[[Attrs], dict[str, Ends]]] = {
    "Dense": _dense,
    "Embedding": _embedding,
    **{kind: _cell(kind) for kind in _GATES},
    **{f"Conv{rank}D": _conv(rank) for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": _conv(rank, transposed=True) for rank in (1, 2, 3)},
    "BatchNormalization": _vectors,
}
_PLAIN = ("float", "mixed", "bfloat")


def fault_of(variable: LayerVariable, shape: tuple[int, ...]) -> str:
    """What is wrong with the shape of a variable, or nothing; packed kernels of quantized layers may have any."""
    framework, _, kind = variable.op.partition(":")
    policy = variable.attrs.get("dtype", "float32")
    name = getattr(policy, "config", policy)
    name = name.get("name", "") if isinstance(name, dict) else name
    if framework != "keras" or kind not in _SHAPES or not str(name).startswith(_PLAIN):
        return ""
    expected = _SHAPES[kind](variable.attrs).get(variable.role)
    if expected is None:
        return ""
    fits = len(shape) == len(expected) and all(two in (None, one) for one, two in zip(shape, expected, strict=True))
    wanted = ", ".join("any" if size is None else str(size) for size in expected)
    return "" if fits else f"{variable.role} of the shape {list(shape)} in place of [{wanted}]"
