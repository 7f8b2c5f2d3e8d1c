"""The shape that an op gives, for the ops whose rule is simple: those of Keras and of the core vocabulary.

A rule says `None` where it cannot tell; no size is guessed. A dimension that is not fixed, as the batch, is `None`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etui.limits import DEFAULT_LIMITS

Shape = tuple[int | None, ...]
Known = Shape | None
Attrs = Mapping[str, Any]
Rule = Callable[[Sequence[Known], Attrs, str], Known]
_MOST_SIZE = 2**63


def output_shape(op: str, attrs: Attrs, inputs: Sequence[Known]) -> Known:
    """The shape of an op's first output.

    Args:
        op: with its namespace, for example ``keras:Conv2D``.
        attrs: of the module.
        inputs: shapes of the tensors that it is called on.
    """
    namespace, _, name = op.partition(":")
    if namespace not in {"keras", "core"}:
        return None
    short = plain_name(name)
    rule = next((rule for pattern, rule in _RULES if pattern.match(short)), None)
    return None if rule is None else _sound(rule([*inputs, None], attrs, short))


def plain_name(name: str) -> str:
    """An op's name in lower case, without its namespace, its package and underscores: ``globalavgpool``."""
    return re.split(r"[:>.]", name)[-1].lower().replace("_", "")


def shape_of(value: Any) -> Known:
    """A value that is a shape: a list of sizes and nulls."""
    if not isinstance(value, list | tuple):
        return None
    return _sound(tuple(value)) if all(size is None or type(size) is int for size in value) else None


def _sound(shape: Known) -> Known:
    """A shape that a tensor can have: others would only grow from op to op, and with them time and memory."""
    if shape is None or len(shape) > DEFAULT_LIMITS.rank:
        return None
    return shape if all(size is None or 0 <= size < _MOST_SIZE for size in shape) else None


def _integers(value: Any, count: int) -> list[int] | None:
    """A number for each of `count` axes; one stands for all."""
    found = list(value) if isinstance(value, list | tuple) else [value] * count
    return found if len(found) == count and all(type(item) is int for item in found) else None


def _split(x: Shape, attrs: Attrs) -> tuple[int | None, Shape, int | None]:
    """Batch, spatial sizes, and channels."""
    if attrs.get("data_format") == "channels_first":
        return x[0], x[2:], x[1]
    return x[0], x[1:-1], x[-1]


def _joined(batch: int | None, spatial: Sequence[int | None], channels: int | None, attrs: Attrs) -> Shape:
    if attrs.get("data_format") == "channels_first":
        return (batch, channels, *spatial)
    return (batch, *spatial, channels)


def _times(size: int | None, factor: int) -> int | None:
    return None if size is None else size * factor


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def _input(_: Sequence[Known], attrs: Attrs, __: str) -> Known:
    found = (attrs.get(name) for name in ("batch_shape", "batch_input_shape", "shape"))
    return next((shape for shape in map(shape_of, found) if shape is not None), None)


def _same(inputs: Sequence[Known], _: Attrs, __: str) -> Known:
    return inputs[0]


def _last(name: str) -> Rule:
    def rule(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
        x, units = inputs[0], attrs.get(name)
        return (*x[:-1], units) if x and type(units) is int else None

    return rule


def _embedding(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x, width = inputs[0], attrs.get("output_dim")
    return (*x, width) if x is not None and type(width) is int else None


def _windows(inputs: Sequence[Known], attrs: Attrs, name: str) -> Known:
    """Convolutions and poolings; a padding by pairs is not looked into."""
    x = inputs[0]
    if x is None or len(x) < 3:
        return None
    batch, spatial, channels = _split(x, attrs)
    pooling = "pool" in name
    window = _integers(attrs.get("pool_size" if pooling else "kernel_size"), len(spatial))
    strides = attrs.get("strides")
    steps = _integers((window if pooling else 1) if strides is None else strides, len(spatial))
    dilation = _integers(attrs.get("dilation_rate", attrs.get("dilation", 1)), len(spatial))
    padding = attrs.get("padding", "valid")
    if window is None or steps is None or min(steps) < 1 or dilation is None:
        return None
    if padding not in ("valid", "same", "causal"):  # a list of pairs is not hashable
        return None
    sizes = [
        None if size is None else max(0, -(-(size - ((k - 1) * d if padding == "valid" else 0)) // s))
        for size, k, d, s in zip(spatial, window, dilation, steps, strict=True)
    ]
    if pooling:
        return _joined(batch, sizes, channels, attrs)
    if name.startswith("depthwise"):
        multiplier = attrs.get("depth_multiplier", 1)
        return _joined(batch, sizes, _times(channels, multiplier), attrs) if type(multiplier) is int else None
    filters = attrs.get("filters")
    return _joined(batch, sizes, filters, attrs) if type(filters) is int else None


def _transposed(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x = inputs[0]
    if x is None or len(x) < 3 or attrs.get("output_padding") is not None:
        return None
    batch, spatial, _channels = _split(x, attrs)
    window, steps = (_integers(attrs.get(key, 1), len(spatial)) for key in ("kernel_size", "strides"))
    dilation = _integers(attrs.get("dilation_rate", attrs.get("dilation", 1)), len(spatial))
    padding, filters = attrs.get("padding", "valid"), attrs.get("filters")
    if window is None or steps is None or dilation != [1] * len(spatial) or padding not in ("valid", "same"):
        return None
    sizes = [
        None if size is None else size * s + (max(k - s, 0) if padding == "valid" else 0)
        for size, k, s in zip(spatial, window, steps, strict=True)
    ]
    return _joined(batch, sizes, filters, attrs) if type(filters) is int else None


def _global_pool(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x = inputs[0]
    if x is None or len(x) < 3:
        return None
    batch, spatial, channels = _split(x, attrs)
    return _joined(batch, [1] * len(spatial), channels, attrs) if attrs.get("keepdims") is True else (batch, channels)


def _recurrent(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x, units = inputs[0], attrs.get("units")
    if x is None or len(x) != 3 or type(units) is not int:
        return None
    return (x[0], x[1], units) if attrs.get("return_sequences") is True else (x[0], units)


def _flatten(inputs: Sequence[Known], _: Attrs, __: str) -> Known:
    x = inputs[0]
    return (x[0], _product(x[1:])) if x else None


def _reshape(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x, target = inputs[0], attrs.get("target_shape", attrs.get("shape"))
    if not x or not isinstance(target, list | tuple) or not all(type(size) is int for size in target):
        return None
    rest = math.prod(size for size in target if size != -1)
    whole = _product(x[1:])
    open_size = whole // rest if whole is not None and rest and not whole % rest else None
    return (x[0], *(open_size if size == -1 else size for size in target))


def _permute(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x = inputs[0]
    dims, axes = attrs.get("dims"), attrs.get("axes")
    order = _integers([0, *dims] if isinstance(dims, list | tuple) else axes, len(x) if x else 0)
    if not x or order is None or sorted(order) != list(range(len(x))):
        return None
    return tuple(x[axis] for axis in order)


def _repeat(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x, count = inputs[0], attrs.get("n", attrs.get("count"))
    return (x[0], count, x[1]) if x and len(x) == 2 and type(count) is int else None


def _sides(key: str, sign: int) -> Rule:
    """Spatial sizes that grow or shrink at both ends."""

    def rule(inputs: Sequence[Known], attrs: Attrs, name: str) -> Known:
        x, amount = inputs[0], attrs.get(key)
        if x is None or len(x) < 3:
            return None
        batch, spatial, channels = _split(x, attrs)
        if type(amount) is int:
            amount = [amount] * len(spatial)
        if not isinstance(amount, list | tuple) or len(amount) != len(spatial):
            if name.endswith("1d") and isinstance(amount, list | tuple) and len(amount) == 2:
                amount = [amount]
            else:
                return None
        pairs = [_integers(item, 2) for item in amount]
        sizes = []
        for size, pair in zip(spatial, pairs, strict=False):
            if pair is None:
                return None
            sizes.append(None if size is None else max(0, size + sign * sum(pair)))
        return _joined(batch, sizes, channels, attrs)

    return rule


def _upsampling(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    x = inputs[0]
    if x is None or len(x) < 3:
        return None
    batch, spatial, channels = _split(x, attrs)
    factors = _integers(attrs.get("size"), len(spatial))
    if factors is None:
        return None
    return _joined(batch, [_times(size, k) for size, k in zip(spatial, factors, strict=True)], channels, attrs)


def _concatenation(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    shapes, axis = inputs[:-1], attrs.get("axis", -1)
    first = shapes[0] if shapes else None
    if first is None or type(axis) is not int or not -len(first) <= axis < len(first):
        return None
    place = axis % len(first)
    total: int | None = 0
    for shape in shapes:
        if shape is None or len(shape) != len(first):
            return None
        total = None if total is None or shape[place] is None else total + (shape[place] or 0)
    return (*first[:place], total, *first[place + 1 :])


def _broadcast(inputs: Sequence[Known], _: Attrs, __: str) -> Known:
    shapes = [shape for shape in inputs[:-1] if shape is not None]
    if not shapes or len(shapes) < len(inputs) - 1:
        return None
    rank = max(map(len, shapes))
    columns = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    return tuple(None if None in column else max(size for size in column if size is not None) for column in columns)


def _attention(inputs: Sequence[Known], attrs: Attrs, _: str) -> Known:
    query, width = inputs[0], attrs.get("output_dim")
    given = attrs.get("output_shape")
    if query is None or given is not None:
        return None
    return (*query[:-1], width) if type(width) is int else query


_KEEPING = (
    r"(batch|layer|group|rms|unit|spectral)?norm(alization)?$|(spatial|gaussian|alpha)?dropout(\dd)?$|gaussiannoise$"
    r"|activ|(leaky|p)?relu$|elu$|softmax$|identity$|masking$|rescal|cast$|unary$|clip$"
)
_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        ("input(layer)?$", _input),
        ("embedding$", _embedding),
        ("dense$", _last("units")),
        (r"(conv\dd|conv)transpose$|convtranspose$", _transposed),
        (r"(conv|depthwiseconv|separableconv)(\dd)?$", _windows),
        ("global.*pool", _global_pool),
        (r"(max|avg|average)pool(ing)?(\dd)?$", _windows),
        ("(lstm|gru|simplernn)$", _recurrent),
        ("flatten$", _flatten),
        ("reshape$", _reshape),
        ("permute$", _permute),
        ("repeat(vector)?$", _repeat),
        (r"zeropadding\dd$", _sides("padding", 1)),
        (r"cropping\dd$", _sides("cropping", -1)),
        (r"upsampling\dd$", _upsampling),
        ("concat(enate)?$", _concatenation),
        ("(add|subtract|sub|multiply|mul|average|mean|maximum|max|minimum|min|binary)$", _broadcast),
        ("(multiheadattention|mha|groupedqueryattention|groupqueryattention|gqa)$", _attention),
        (_KEEPING, _same),
    )
)
