"""Hypothesis strategies for names, tensors, values and trees of documents.

What they draw is valid, and as odd as SPEC.md allows: names beyond the BMP, numbers at every bound, NaN payloads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from etui import dtypes as etui_dtypes
from etui.canonical import values as v
from etui.canonical.numbers import MAX_INTEGER, is_json_float
from etui.canonical.tags import key_bytes

Array = npt.NDArray[Any]
Strategy = st.SearchStrategy

TEXTS: Strategy[str] = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
"""Any text that documents can hold."""

_ODD_KEYS = st.sampled_from(["", "$", "$$", "$int", "$$tuple", "\ufb33", "\U0001f600", "\u20ac", "\r", '"\\', "\x7f"])
# Exponents of two at the bounds of formats; the last power has 1,024 digits, which is the limit.
_BOUNDS = [7, 8, 15, 16, 31, 32, 53, 63, 64, 3401]


def segments() -> Strategy[str]:
    """Segments of paths (D-2, D-3)."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="/\\#@\x7f" + "".join(map(chr, range(32))))
    return st.text(characters, min_size=1, max_size=12).filter(lambda text: text not in (".", ".."))


def paths() -> Strategy[str]:
    """Paths of variables or modules."""
    return st.lists(segments(), min_size=1, max_size=4).map("/".join)


def dtypes() -> Strategy[str]:
    """Names of all dtypes."""
    return st.sampled_from(list(etui_dtypes.DTYPES))


def small_dtypes() -> Strategy[str]:
    """Names of the dtypes that a `$tensor` can have (V-7)."""
    return st.sampled_from([dtype.name for dtype in etui_dtypes.DTYPES.values() if dtype.bits >= 8])


def shapes() -> Strategy[tuple[int, ...]]:
    """Shapes of at most 3 dimensions of at most 4, scalars and empty tensors included."""
    return st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def tensors(draw: st.DrawFn, names: Strategy[str] | None = None) -> Array:
    """Arrays of any bits that their dtype allows: NaN payloads, negative zeros, subnormals.

    Args:
        draw: given by Hypothesis.
        names: strategy for the dtype's name; of all of them if not given.
    """
    dtype = etui_dtypes.DTYPES[draw(dtypes() if names is None else names)]
    shape = draw(shapes())
    count = int(np.prod(shape, dtype=np.int64))
    items = draw(st.lists(_elements(dtype), min_size=count, max_size=count))
    if dtype.bits >= 8:
        data = b"".join(item.to_bytes(dtype.bits // 8, "little") for item in items)
        return np.frombuffer(data, dtype.numpy).reshape(shape)
    array = np.empty(count, dtype.numpy)
    array[:] = items
    return array.reshape(shape)


def _elements(dtype: etui_dtypes.Dtype) -> Strategy[Any]:
    """Elements: text, bytes, small integers, or for any other dtype the integer of the element's bits."""
    special: dict[str, Strategy[Any]] = {
        "string": TEXTS,
        "bytes": st.binary(max_size=8),
        "int4": st.integers(-8, 7),
        "uint4": st.integers(0, 15),
        "bool": st.integers(0, 1),
    }
    if dtype.name in special:
        return special[dtype.name]
    bits = dtype.bits
    sign, top = 1 << (bits - 1), (1 << bits) - 1
    # Zero, the smallest subnormal, infinity or a NaN of many formats, and the same with the sign bit.
    corners = [0, 1, sign, sign | 1, sign - 1, top, top - 1, 0x7F800001 & top, 0x7FF0 << max(bits - 16, 0) & top]
    return st.sampled_from(corners) | st.integers(0, top)


def integers() -> Strategy[int]:
    """Integers around every bound of a format, up to the limit of digits."""
    around = st.builds(lambda bound, sign, step: (sign << bound) + step, st.sampled_from(_BOUNDS), *_SIGN_AND_STEP)
    return st.integers() | around


_SIGN_AND_STEP = (st.sampled_from([1, -1]), st.integers(-2, 2))


def json_numbers() -> Strategy[int | float]:
    """Numbers that a JSON document holds as they are (J-6)."""
    near_bounds = st.sampled_from([1e-7, 9.5e-7, 1e-6, 1e-5, 1e-4, 5e-324, 2**51 + 0.5, -0.1, 1e-308])
    return st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats().filter(is_json_float) | near_bounds


def keys() -> Strategy[str]:
    """Keys of maps, those included that begin with ``$`` or sort differently in UTF-16."""
    return TEXTS | _ODD_KEYS


def json_documents() -> Strategy[dict[str, Any]]:
    """Trees of JSON documents of any content."""
    leaves = st.none() | st.booleans() | json_numbers() | TEXTS
    return st.dictionaries(keys(), _trees(leaves), max_size=4)


def msgpack_documents() -> Strategy[dict[str, Any]]:
    """Trees of MessagePack documents of any content."""
    within = st.integers(-(2**63), 2**64 - 1) | integers().filter(lambda value: -(2**63) <= value < 2**64)
    texts = TEXTS | st.sampled_from([31, 32, 255, 256, 65535, 65536]).map(lambda length: "x" * length)
    leaves = st.none() | st.booleans() | within | st.floats() | texts | st.binary(max_size=300)
    return st.dictionaries(keys(), _trees(leaves | st.builds(v.StoredTensor, TEXTS | paths())), max_size=4)


def _trees(leaves: Strategy[Any]) -> Strategy[Any]:
    # `inner` stands once in each holder, because Hypothesis spells out a strategy with all that it holds.
    names = st.lists(keys(), min_size=20, max_size=20, unique=True)
    return st.recursive(leaves, lambda inner: st.builds(_tree, st.lists(inner, max_size=20), names), max_leaves=20)


def _tree(items: list[Any], names: list[str]) -> Any:
    """A list, or a map if the first name says so."""
    return items if names[0] < "A" else dict(zip(names, items, strict=False))


def small_tensors() -> Strategy[Array]:
    """Arrays that can stand inside of a document."""
    return tensors(small_dtypes())


def class_names() -> Strategy[str]:
    """Namespaced names of classes."""
    return st.sampled_from(["keras:initializers.Zeros", "keras:L2", "custom:mine>Größe", "torch_2:nn.ReLU", "a:b:c"])


def references() -> Strategy[v.Reference]:
    """References of every kind, to things that need not exist."""
    return st.one_of(
        st.builds(v.VariableRef, paths()),
        st.builds(v.ModuleRef, paths()),
        st.builds(v.OutputRef, TEXTS, st.integers(0, MAX_INTEGER)),
        st.builds(v.AssetRef, st.sampled_from(["assets/vocabulary.txt", "assets/a/b%20c"])),
        st.builds(v.StoredTensor, paths()),
    )


def values(max_leaves: int = 12) -> Strategy[Any]:
    """Values of every type.

    Args:
        max_leaves: largest number of values that hold no others, about.
    """
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        integers(),
        st.floats(),
        st.integers(-1000, 1000).map(float),
        TEXTS,
        st.binary(max_size=12),
        st.complex_numbers(),
        st.just(...),
        st.builds(v.DtypeName, dtypes()),
        small_tensors(),
        references(),
    )
    return st.recursive(leaves, _holders, max_leaves=max_leaves)


def _holders(inner: Strategy[Any]) -> Strategy[Any]:
    names = st.lists(keys(), min_size=4, max_size=4, unique=True)
    number = st.none() | st.integers(0, MAX_INTEGER)
    return st.builds(_held, st.sampled_from(_HOLDERS), st.lists(inner, max_size=4), names, class_names(), number)


_HOLDERS = ("list", "tuple", "map", "pairs", "slice", "object")


def _held(holder: str, items: list[Any], names: list[str], class_name: str, number: int | None) -> Any:
    """A value that holds `items`."""
    named = dict(zip(names, items, strict=False))
    held: dict[str, Callable[[], Any]] = {
        "list": lambda: items,
        "tuple": lambda: tuple(items),
        "map": lambda: named,
        "pairs": lambda: _any_map(items[::2], items[1::2]),
        "slice": lambda: slice(*(items + [None] * 3)[:3]),
        "object": lambda: v.ObjectValue(class_name, items, number, {"keras": named} if number else {}),
    }
    return held[holder]()


def _any_map(names: list[Any], items: list[Any]) -> Any:
    """A map of any keys: a dict if one can hold them."""
    pairs = tuple({key_bytes(name): (name, item) for name, item in zip(names, items, strict=False)}.values())
    try:
        value = dict(pairs)
    except TypeError:
        return v.MapValue(pairs)
    return value if len(value) == len(pairs) else v.MapValue(pairs)
