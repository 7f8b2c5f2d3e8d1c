"""Writers of documents: the one form of every value, in JSON and in MessagePack."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from etui_conformance.checks import samples
from etui_conformance.checks.samples import Content, config, state
from etui_conformance.checks.writing_cases import Case, needs, once

_MANY = 1 << 16


_STRINGS = ["", '"\\/', "\b\t\n\f\r", "\0\x1f\x7f\x80", "é\u2028\u2029", "\ufb01𝄞", "</script>&'"]
_KEYS = ["", "a", "B", "é", "\ufb01", "\U0001d11e", "\x7f", "\x1f", "$$x", "aa", "a b"]
_NUMBERS = [
    *(0.5, -0.1, 1 / 3, 5e-324, 2.2250738585072014e-308, 1e-7, 1.5e-7, 1e-6, 1.25e-6, 0.000123, 123456.789),
    *(4503599627370495.5, 1.0000000000000002, 0.1 + 0.2, 9.5e-8, -2.5, 1e-300),
]
_TAGGED = [
    "1",
    "0",
    "-0",
    "1e+21",
    "1.5e+300",
    "100000000000000000000",
    "nan",
    "inf",
    "-inf",
    "1.7976931348623157e+308",
]
_INTEGERS = [0, 1, -1, 2**31, -(2**31), 2**53 - 1, -(2**53 - 1)]
_BIG = [2**53, -(2**53), 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
_HUGE = [2**64, -(2**63) - 1, 10**40]


def cases() -> Iterator[Case]:
    """The cases of strings, keys, numbers, lengths and tagged values."""
    of_config, of_state = needs("config"), needs("weights", "state")
    yield Case(
        "json/strings",
        ("J-7",),
        "Writes strings of JSON with the fewest escapes.",
        of_config,
        once(partial(config, attrs={"texts": _STRINGS})),
    )
    yield Case(
        "json/keys",
        ("J-7", "V-2"),
        "Sorts keys of JSON by their UTF-16 code units.",
        of_config,
        once(partial(config, attrs={key: index for index, key in enumerate(_KEYS)})),
    )
    numbers = [
        *_NUMBERS,
        *_INTEGERS,
        *({"$float": text} for text in _TAGGED),
        *({"$int": str(i)} for i in _BIG + _HUGE),
    ]
    yield Case(
        "json/numbers",
        ("J-6", "J-7", "V-3"),
        "Writes numbers of JSON in their shortest form, and tags those that JSON would not keep.",
        of_config,
        once(partial(config, attrs={"numbers": numbers})),
    )
    yield Case(
        "values",
        ("D-5", "V-3"),
        "Writes every kind of value in its only form, in JSON and in MessagePack.",
        needs("config", "weights", "state", "dtype:uint8"),
        once(_values),
    )
    limits = [32, 128, 256, 2**15, 2**16, 2**31, 2**32, 2**53]
    integers = sorted({sign * near for limit in limits for near in (limit - 1, limit, limit + 1) for sign in (1, -1)})
    views = [number if abs(number) < 2**53 else {"$int": str(number)} for number in integers]
    more = [{"$int": str(number)} for number in _BIG + _HUGE]
    yield Case(
        "msgpack/integers",
        ("B-2",),
        "Writes integers of MessagePack in their shortest format, others than negative ones as unsigned.",
        of_state,
        once(partial(state, user={"integers": [0, *views, *more]}, counters={"a": 127, "b": 2**32})),
    )
    floats = [0.5, 0.1, *({"$float": text} for text in _TAGGED)]
    yield Case(
        "msgpack/floats",
        ("B-3",),
        "Writes floats of MessagePack as float 64, whatever would be shorter.",
        of_state,
        once(partial(state, user={"floats": floats})),
    )
    yield Case(
        "msgpack/lengths",
        ("B-4",),
        "Writes lengths of MessagePack in their shortest format.",
        of_state,
        _lengths,
        form="packed",
    )
    yield Case(
        "msgpack/extensions",
        ("B-4", "B-9"),
        "Writes references to stored tensors as extensions of the shortest format.",
        needs("weights", "state", "dtype:uint8"),
        _extensions,
        form="packed",
    )
    yield Case(
        "msgpack/keys",
        ("B-8", "V-2"),
        "Sorts keys of MessagePack by their UTF-8 bytes.",
        of_state,
        once(partial(state, user={key: index for index, key in enumerate(_KEYS)})),
    )


_VALUES: list[Any] = [
    None,
    True,
    False,
    {"$bytes": "AP8="},
    {"$bytes": ""},
    {"$tuple": [1, {"$tuple": []}]},
    {"$complex": ["1", "-0.5"]},
    {"$slice": [0, None, {"$int": "9007199254740992"}]},
    {"$ellipsis": True},
    {"$dtype": "bfloat16"},
    {"$tensor": {"data": "AACAPw==", "dtype": "float32", "shape": [1]}},
    {"$map": [[1, "a"], [{"$tuple": [2, "é"]}, None]]},
    {"$object": {"class": "other:Thing", "config": {"a": [{}, []]}, "shared": 3, "residue": {"other": {"b": 1}}}},
    {},
    [],
]


def _values() -> Content:
    return {**state(user={"values": _VALUES}), **config(attrs={"values": _VALUES}, build={"$tuple": [None, 2]})}


def _lengths() -> Iterator[Content]:
    for length in (15, 16, 31, 32, 255, 256, _MANY - 1, _MANY):
        data = {"$bytes": "AAAA" * (length // 3) + ("", "AA==", "AAA=")[length % 3]}
        yield state(user={"text": "x" * length, "data": data, "list": [0] * length})
    for length in (15, 16, _MANY - 1, _MANY):
        yield state(user={"map": {f"{index:05d}": 0 for index in range(length)}})


def _extensions() -> Iterator[Content]:
    """References whose names, and so payloads, have the lengths at which the format changes."""
    lengths = (6, 7, 8, 9, 15, 16, 17, 255, 256, 257)
    names = ["user/" + "/".join("x" * min(200, left) for left in _cut(length - 5)) for length in lengths]
    for name in names:
        *folders, last = name.removeprefix("user/").split("/")
        inner: Any = {last: {"$stored": name}}
        for folder in reversed(folders):
            inner = {folder: inner}
        yield state({name: samples.FLAG}, user=inner)


def _cut(length: int) -> Iterator[int]:
    """The lengths of the segments of a path of a length."""
    while length > 200:
        yield 200
        length -= 201
    yield length
