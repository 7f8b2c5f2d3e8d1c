"""The classes of values that Python has no type of its own for (SPEC.md chapter 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from etui.errors import error
from etui.limits import DEFAULT_LIMITS

Value = Any
"""None, bool, int, float, str, bytes, list, tuple, dict, complex, slice, Ellipsis, numpy array, or a class below.

The types count exactly: a numpy scalar or a named tuple is no value.
"""


@dataclass(frozen=True, slots=True)
class DtypeName:
    """A dtype as a value, by its name in SPEC.md chapter 2.1."""

    name: str


@dataclass(frozen=True, slots=True)
class ObjectValue:
    """An object of a class, as data.

    Attributes:
        class_name: namespaced name of the class, for example ``keras:initializers.Zeros``.
        config: a value.
        shared: objects of one document with the same number are one object.
        residue: framework -> facts that only that framework needs.
    """

    class_name: str
    config: Value
    shared: int | None = None
    residue: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VariableRef:
    """A reference to a variable of the artifact, by its path."""

    path: str


@dataclass(frozen=True, slots=True)
class ModuleRef:
    """A reference to a module of the config, by its path."""

    path: str


@dataclass(frozen=True, slots=True)
class OutputRef:
    """A reference to output number `index`, counted in the flattened result, of a call of the same graph."""

    call: str
    index: int


@dataclass(frozen=True, slots=True)
class AssetRef:
    """A reference to an asset, by the name of its part."""

    part: str


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A reference to a tensor of the document's own `tensors` index, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class MapValue:
    """A map that no dict can hold, because Python takes two of its keys as equal or cannot hash one.

    Attributes:
        pairs: key and value of each entry.
    """

    pairs: tuple[tuple[Value, Value], ...]


Reference = VariableRef | ModuleRef | OutputRef | AssetRef | StoredTensor
"""The values that name something else."""


def references(value: Value) -> Iterator[Reference]:
    """Each reference inside of a value, in the order of its content.

    Raises:
        MalformedError: ``json-depth``, a value nested deeper than any document.
    """
    return _references(value, DEFAULT_LIMITS.depth)


def _references(value: Value, levels: int) -> Iterator[Reference]:
    if isinstance(value, Reference):
        yield value
        return
    inner = inner_values(value)
    if inner and not levels:
        raise error("json-depth", found="a value nested deeper than any document")
    for item in inner:
        yield from _references(item, levels - 1)


def inner_values(value: Value) -> list[Value]:
    """The values that a value holds; of a map the keys, too."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, dict):
        return [item for pair in value.items() for item in pair]
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    if isinstance(value, MapValue):
        return [item for pair in value.pairs for item in pair]
    if isinstance(value, ObjectValue):
        return [value.config, value.residue]
    return []
