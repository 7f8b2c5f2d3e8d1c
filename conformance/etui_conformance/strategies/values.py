"""The values of SPEC.md chapter 5, as their JSON view: every tag, and the edges of every type."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import isfinite, prod
from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.oracle import numbers
from etui_conformance.strategies import names
from etui_conformance.strategies.scope import DTYPES
from etui_conformance.strategies.tensors import elements

EXACT = 2**53 - 1

_INTEGERS = (0, 1, -1, 23, 24, 127, 128, 255, 256, 65535, 65536, -32, -33, -128, -129, -32768, -32769)
_LARGE = (2**31, -(2**31) - 1, 2**32 - 1, 2**32, EXACT, -EXACT)
_HUGE = (2**53, -(2**53), 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40, 10**1023, -(10**1023))
_FLOATS = (
    0.5,
    1.0,
    0.0,
    -0.0,
    0.1,
    float("nan"),
    float("inf"),
    float("-inf"),
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    1e21,
    1e-7,
    123456789012345680000.0,
    1 / 3,
    9007199254740993.0,
    1e23,
    4.35,
    0.000001,
    -1.5e300,
)
_STRINGS = (
    "",
    "a",
    "relu",
    "$",
    "$$",
    "é",
    "e\u0301",
    "\x00\x1f\x7f",
    '"\\/\b\f\n\r\t',
    "\u2028\u2029",
    "\ufb33",
    "\uffff",
    "\U0001f600",
    "s" * 31,
    "s" * 32,
    "s" * 255,
    "s" * 256,
    "ß" * 128,
)
_KEYS = (
    "a",
    "b",
    "units",
    "",
    "$float",
    "$",
    "$$x",
    "\u20ac",
    "\ufb33",
    "\U0001f600",
    "\r",
    "1",
    "é",
    "a/b",
    "#@",
    "%",
)
_BYTES = (b"", b"\0", b"\xff", b"ab", b"\0" * 255, b"\xff" * 256, bytes(range(256)))
_SMALL_SHAPES: tuple[list[int], ...] = ([], [1], [2, 2], [0], [3], [2, 0, 1])
_WIDE = tuple(dtype for dtype in DTYPES if dtype not in ("int4", "uint4", "string", "bytes"))

TEXTS = st.sampled_from(_STRINGS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
KEYS = st.sampled_from(_KEYS) | TEXTS
_INTS = st.sampled_from(_INTEGERS) | st.sampled_from(_LARGE) | st.sampled_from(_HUGE) | st.integers()
_REALS = st.sampled_from(_FLOATS) | st.floats()
_BINARY = st.sampled_from(_BYTES) | st.binary(max_size=5)


@dataclass(frozen=True, slots=True)
class Names:
    """What values may refer to.

    Attributes:
        variables, modules, assets: their names; without any, no such reference is drawn.
        outputs: ids of the calls whose outputs may be used.
        stored: whether `$stored` may stand here; it is drawn as `STORED`, for the document to name.
    """

    variables: Sequence[str] = ()
    modules: Sequence[str] = ()
    assets: Sequence[str] = ()
    outputs: Sequence[str] = ()
    stored: bool = False


NOTHING = Names()
STORED: dict[str, Any] = {"$stored": ""}
"""Where a tensor is to be stored, as yet without a name."""


def integer(number: int) -> Any:
    """The JSON view of an integer (V-3)."""
    return number if -EXACT <= number <= EXACT else {"$int": str(number)}


def real(number: float) -> Any:
    """The JSON view of a float (V-3)."""
    return number if isfinite(number) and not number.is_integer() else {"$float": numbers.float_text(number)}


def key(text: str) -> str:
    """A key of a map as it is written (V-2)."""
    return f"${text}" if text.startswith("$") else text


INTEGERS = _INTS.map(integer)
REALS = _REALS.map(real)
KEYS_WRITTEN = KEYS.map(key)


@st.composite
def _small_tensors(draw: st.DrawFn) -> Any:
    dtype, shape = draw(st.sampled_from(_WIDE)), draw(st.sampled_from(_SMALL_SHAPES))
    data = base64.b64encode(draw(elements(dtype, prod(shape)))).decode()
    return {"$tensor": {"data": data, "dtype": dtype, "shape": shape}}


def _complex(pair: tuple[float, float]) -> Any:
    return {"$complex": [numbers.float_text(number) for number in pair]}


_SCALARS: tuple[st.SearchStrategy[Any], ...] = (
    st.sampled_from([None, True, False]),
    st.sampled_from(_INTEGERS),
    INTEGERS,
    REALS,
    TEXTS,
    _BINARY.map(lambda data: {"$bytes": base64.b64encode(data).decode()}),
    st.tuples(_REALS, _REALS).map(_complex),
    st.just({"$ellipsis": True}),
    st.sampled_from(DTYPES).map(lambda name: {"$dtype": name}),
    _small_tensors(),
)
_SCALAR_KINDS = st.integers(0, len(_SCALARS) - 1)
_NOTABLE: tuple[Any, ...] = (
    None,
    True,
    False,
    *map(integer, (*_INTEGERS, *_LARGE, *_HUGE)),
    *map(real, _FLOATS),
    *map(real, (2.0, 100.0, -7.0, 65504.0)),
    *_STRINGS,
    *({"$bytes": base64.b64encode(data).decode()} for data in _BYTES),
    {"$complex": ["1", "0.5"]},
    {"$complex": ["-0", "nan"]},
    {"$slice": [0, None, 2]},
    {"$ellipsis": True},
    {"$dtype": "bfloat16"},
    {"$dtype": "string"},
    {"$tensor": {"data": "AACAPw==", "dtype": "float32", "shape": [1]}},
    {"$tensor": {"data": "VVWFfw==", "dtype": "float32", "shape": []}},
    {"$tuple": []},
    {"$tuple": [1, {"$float": "1"}]},
    [],
    {},
    {"$map": [[0, {"$float": "0"}]]},
    {"$$float": "1"},
)
"""Values that a careless codec changes, each at one draw."""
_CONTAINERS = ("list", "map", "tuple", "pairs", "object", "slice", "long list", "long map")
_KINDS = st.sampled_from(
    ("notable",) * 8 + ("scalar",) * 3 + _CONTAINERS[:5] * 2 + _CONTAINERS[5:] + ("reference",) * 4
)
_FLAT = st.sampled_from(("notable", "notable", "scalar"))
_NOTABLE_VALUES = st.sampled_from(_NOTABLE).map(deepcopy)
_LENGTHS = st.integers(0, 3)


@st.composite
def values(draw: st.DrawFn, refer_to: Names = NOTHING, depth: int = 2) -> Any:
    """Values of every type, nested at most `depth` levels deep.

    Args:
        draw: given by Hypothesis.
        refer_to: what references may name.
        depth: levels of containers.
    """
    return _value(draw, refer_to, depth)


@st.composite
def maps(draw: st.DrawFn, refer_to: Names = NOTHING, min_size: int = 0, depth: int = 1) -> dict[str, Any]:
    """Maps with string keys of such values, as attributes, hyperparameters and residue are.

    Args:
        draw: given by Hypothesis.
        refer_to: what references may name.
        min_size: fewest entries.
        depth: levels of containers in a value.
    """
    return _map(draw, refer_to, depth, min_size)


@st.composite
def residues(draw: st.DrawFn, refer_to: Names = NOTHING) -> dict[str, Any]:
    """What stands under `residue` (C-16): not empty."""
    found = draw(st.lists(st.sampled_from(names.FRAMEWORKS), min_size=1, max_size=2, unique=True))
    return {framework: _map(draw, refer_to, 1, 0) for framework in found}


@st.composite
def objects(draw: st.DrawFn, refer_to: Names = NOTHING, depth: int = 1) -> dict[str, Any]:
    """`$object` values, with what they may have besides class and config."""
    return _object(draw, refer_to, depth)


def _value(draw: st.DrawFn, refer_to: Names, depth: int) -> Any:
    kind = draw(_KINDS) if depth else draw(_FLAT)
    if kind == "notable":
        return draw(_NOTABLE_VALUES)
    if kind == "scalar":
        return draw(_SCALARS[draw(_SCALAR_KINDS)])
    if kind == "reference":
        return _reference(draw, refer_to)
    if kind in _WHOLE:
        return draw(_WHOLE[kind])
    return _BUILDERS[kind](draw, refer_to, depth - 1)


def _list(draw: st.DrawFn, refer_to: Names, depth: int) -> list[Any]:
    return [_value(draw, refer_to, depth) for _ in range(draw(_LENGTHS))]


def _map(draw: st.DrawFn, refer_to: Names, depth: int, min_size: int = 0) -> dict[str, Any]:
    keys = draw(st.lists(KEYS_WRITTEN, min_size=min_size, max_size=4, unique=True))
    return {name: _value(draw, refer_to, depth) for name in keys}


def _pairs(draw: st.DrawFn, refer_to: Names, depth: int) -> Any:
    """A map with other keys than strings, sorted by their canonical JSON (V-4)."""
    plain = replace(refer_to, variables=(), modules=(), assets=(), outputs=(), stored=False)
    keys = [draw(INTEGERS), *(_value(draw, plain, min(depth, 1)) for _ in range(draw(_LENGTHS)))]
    by_bytes = {canonical.encode(one): one for one in keys}
    return {"$map": [[by_bytes[text], _value(draw, refer_to, depth)] for text in sorted(by_bytes)]}


def _object(draw: st.DrawFn, refer_to: Names, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"class": draw(names.ops()), "config": _value(draw, refer_to, depth)}
    if draw(st.booleans()):
        found["shared"] = draw(st.integers(0, 3))
    if draw(st.integers(0, 3)) == 3:
        found["residue"] = draw(residues(refer_to))
    return {"$object": found}


def _reference(draw: st.DrawFn, refer_to: Names) -> Any:
    known = {
        "$variable": refer_to.variables,
        "$module": refer_to.modules,
        "$asset": refer_to.assets,
        "$output": refer_to.outputs,
        "$stored": [""] * refer_to.stored,
    }
    tags = [tag for tag, found in known.items() if found]
    if not tags:
        return draw(_SCALARS[draw(_SCALAR_KINDS)])
    tag = draw(st.sampled_from(tags))
    name = draw(st.sampled_from(known[tag]))
    return {tag: [name, draw(st.integers(0, 2))] if tag == "$output" else name}


_Builder = Callable[[st.DrawFn, Names, int], Any]
_BUILDERS: dict[str, _Builder] = {
    "list": _list,
    "map": _map,
    "tuple": lambda draw, refer_to, depth: {"$tuple": _list(draw, refer_to, depth)},
    "pairs": _pairs,
    "object": _object,
}
_BOUNDS = st.none() | INTEGERS
_WHOLE: dict[str, st.SearchStrategy[Any]] = {
    # No tensor is stored in a slice, since none would have a place to be named after (O-16).
    "slice": st.tuples(_BOUNDS, _BOUNDS, _BOUNDS).map(lambda bounds: {"$slice": list(bounds)}),
    # Lengths at which MessagePack changes its format.
    "long list": st.sampled_from([15, 16, 300]).map(lambda length: [True] * length),
    "long map": st.sampled_from([15, 16]).map(lambda length: {f"k{index:03}": index for index in range(length)}),
}
