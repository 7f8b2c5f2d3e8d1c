"""Inputs to run a model with: from files or objects, held against what the model or program takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etui import dtypes
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, MIB, Limits
from etui.programs.facts import Spec
from etui.storage.numpy_files import is_numpy, read_arrays
from etui.storage.sources import mapped_file

Array = npt.NDArray[Any]
Given = Mapping[str, Any] | Sequence[Any]

_MOST_JSON = 16 * MIB
_DEPTH = 64
_MOST_NAMED = 8
_TEXTS = frozenset({"string", "bytes"})


def read_inputs(paths: Sequence[str], limits: Limits = DEFAULT_LIMITS) -> Given:
    """The inputs that files hold: by their names, or in their order.

    Args:
        paths: of an `.npz` file with every input; of an `.npy` file, the next input in order; of a `.json` file with a
            map from name to nested lists, or a list of these in the order of the inputs. With ``NAME=`` in front, an
            `.npy` or `.json` file is the input of that name alone.
        limits: refuse what is beyond these.

    Raises:
        UsageError: ``run-input-file``; ``run-input``, an input comes twice, or some have names and some have none.
        RejectError: a file is refused.
        StorageError: it cannot be read.
    """
    named: dict[str, Any] = {}
    ordered: list[Any] = []
    for text in paths:
        name, path = _split(text)
        found = _read(path, limits, alone=bool(name))
        if name:
            if isinstance(found, dict):
                raise error("run-input-file", where=path, found=f"several arrays for the input {shown(name)}")
            found = {name: found}
        if isinstance(found, dict):
            twice = sorted(found.keys() & named.keys())
            if twice:
                raise error("run-input", where=path, found=f"{shown(twice[0])} again")
            named |= found
        elif isinstance(found, _Ordered):
            ordered += found.items
        else:
            ordered.append(found)
    if named and ordered:
        raise error("run-input", found="some inputs with names and some without")
    return named or ordered


def fitted(given: Given, specs: Sequence[Spec]) -> tuple[dict[str, Array], list[str]]:
    """The arrays by the names of the inputs, each of the dtype and a shape that the input has.

    An array is cast where that keeps the kind of its values: to another width, where integers stay what they are; and
    from integers to floats. Texts are given as arrays of objects.

    Returns:
        The arrays, and a sentence for each that was cast.

    Raises:
        UsageError: ``run-input``, an input is missing, or unknown; ``run-input-shape``; ``run-input-dtype``.
    """
    names = [spec.name for spec in specs]
    if not isinstance(given, Mapping):
        needed = sum(not spec.optional for spec in specs)
        if not needed <= len(given) <= len(specs):
            counts = f"{len(given)} inputs, not the {len(specs)} {shown(names)}"
            raise error("run-input", found=counts, hint=f"It takes {_taken(specs)}.")
        given = dict(zip(names, given, strict=False))
    ordered = [
        f"arr_{number}" for number in range(len(specs))
    ]  # as numpy.savez calls arrays that it is given no names for
    if set(given) == set(ordered) != set(names):
        given = {name: given[alias] for name, alias in zip(names, ordered, strict=True)}
    unknown = sorted(set(map(str, given)) - set(names))
    missing = [spec.name for spec in specs if given.get(spec.name) is None and not spec.optional]
    if unknown or missing:
        found = [f"not known: {shown(unknown)}"] * bool(unknown) + [f"missing: {shown(missing)}"] * bool(missing)
        raise error("run-input", found="; ".join(found), hint=f"It takes {_taken(specs)}.")
    arrays, casts = {}, []
    for spec in specs:
        if given.get(spec.name) is None:
            continue
        array, cast = _fitted(given[spec.name], spec)
        arrays[spec.name] = array
        if cast:
            casts.append(f"{spec.name}: {cast}")
    return arrays, casts


def _taken(specs: Sequence[Spec]) -> str:
    """The inputs with their dtypes and shapes, for people."""
    texts = []
    for spec in specs[:_MOST_NAMED]:
        sizes = "" if spec.shape is None else f"[{_sizes(spec.shape)}]"
        texts.append(f"{shown(spec.name)} {spec.dtype or 'of any dtype'}{sizes}" + " or nothing" * spec.optional)
    more = len(specs) - _MOST_NAMED
    return ("; ".join(texts) or "no input") + (f"; and {more:,} more" if more > 0 else "")


def _sizes(shape: Sequence[int | None]) -> str:
    return ", ".join("?" if size is None else str(size) for size in shape)


def _split(text: str) -> tuple[str, str]:
    """The name before `=`, if there is one, and the path; a file that has the whole as its name is that file."""
    name, equals, path = text.partition("=")
    return (name, path) if equals and not Path(text).exists() else ("", text)


class _Ordered:
    """Several inputs in their order."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items


def _read(path: str, limits: Limits, *, alone: bool) -> Any:
    source = mapped_file(path)
    try:
        if is_numpy(source.read(0, min(8, source.size))):
            return read_arrays(path, limits)
        if source.size > _MOST_JSON:
            raise error("run-input-file", where=path, found=f"{source.size} bytes that are no file of NumPy")
        tree = _decoded(source.read(0, source.size), path)
    finally:
        source.close()
    if isinstance(tree, dict):
        return {name: _values(value, f"{path}, {shown(name)}") for name, value in tree.items()}
    if alone:
        return _values(tree, path)
    if isinstance(tree, list):
        return _Ordered([_values(value, f"{path}, item {number}") for number, value in enumerate(tree)])
    raise error("run-input-file", where=path, found="JSON that is neither a map nor a list")


def _decoded(data: bytes, where: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise ValueError("a key that occurs twice")
        return found

    def constant(text: str) -> Any:
        raise ValueError(f"{text}, which is no JSON")

    try:
        return json.loads(data, object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as cause:
        found = f"neither a file of NumPy nor JSON: {shown(str(cause), 200)}"
        raise error("run-input-file", where=where, found=found) from cause


def _values(value: Any, where: str) -> Array:
    """An array of nested lists of numbers, booleans or texts."""
    shape: list[int] = []
    level = value
    while isinstance(level, list) and len(shape) <= _DEPTH:
        shape.append(len(level))
        level = level[0] if level else None
    leaves = list(_flat(value, shape, where))
    kinds = {type(leaf) for leaf in leaves}
    if kinds <= {str}:
        array = np.array(leaves, dtype=object) if leaves else np.zeros(0, np.float64)
    elif kinds == {bool}:
        array = np.array(leaves, dtype=np.bool_)
    elif kinds <= {int, float}:
        try:
            array = np.array(leaves, dtype=np.int64 if kinds == {int} else np.float64)
        except OverflowError as cause:
            raise error("run-input-file", where=where, found="an integer of more than 64 bits") from cause
    else:
        names = sorted("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise error("run-input-file", where=where, found=f"lists of {' and '.join(names)}")
    return array.reshape(shape)


def _flat(value: Any, shape: Sequence[int], where: str) -> list[Any]:
    """The leaves of nested lists that all have the shape."""
    level = [value]
    for size in shape:
        if any(not isinstance(item, list) or len(item) != size for item in level):
            raise error("run-input-file", where=where, found="lists of different lengths")
        level = [leaf for item in level for leaf in item]
    if any(isinstance(item, list) for item in level):
        raise error("run-input-file", where=where, found="lists of different depths, or nested too deep")
    return level


def _fitted(value: Any, spec: Spec) -> tuple[Array, str]:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as cause:
        raise error("run-input", where=spec.name, found=f"no array: {shown(str(cause))}") from cause
    if array.dtype.hasobject and not all(isinstance(item, str | bytes) for item in array.flat):
        raise error("run-input-dtype", where=spec.name, found="an array of Python objects")
    shape = spec.shape
    if shape is not None and (
        len(shape) != array.ndim
        or any(wanted not in (None, size) for wanted, size in zip(shape, array.shape, strict=True))
    ):
        found = f"{list(array.shape)}, and the input has [{_sizes(shape)}]"
        raise error("run-input-shape", where=spec.name, found=found)
    return _of_dtype(array, spec)


def _of_dtype(array: Array, spec: Spec) -> tuple[Array, str]:
    """The array in the dtype of the input, and how it was cast, if it was."""
    if array.dtype.kind in "OSU" or spec.dtype in _TEXTS:
        if array.dtype.kind not in "OSU" or spec.dtype not in (None, *_TEXTS):
            raise _misfit(array, spec)
        return _texts(array, spec.dtype), ""
    if spec.dtype is None:
        if array.dtype.kind not in "biufc" and array.dtype.name not in dtypes.DTYPES:
            raise _misfit(array, spec)
        return array.astype(array.dtype.newbyteorder("="), copy=False), ""
    wanted = dtypes.by_name(spec.dtype, spec.name).numpy
    if array.dtype.kind == "V" and array.dtype.itemsize == wanted.itemsize and wanted.kind not in "biufc":
        return np.ascontiguousarray(array).view(wanted), ""  # NumPy's files have no name for such a dtype
    if array.dtype.newbyteorder("=") == wanted:
        return array.astype(wanted, copy=False), ""
    if not _castable(array.dtype, wanted):
        raise _misfit(array, spec)
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(wanted)
        if wanted.kind in "iu" and not np.array_equal(cast, array):
            raise _misfit(array, spec, " that do not fit")
    return cast, f"{array.dtype.name} to {spec.dtype}"


def _castable(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether the kind of the values stays, or integers become floats."""
    ranks = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    one, two = ranks.get(given.kind), ranks.get(wanted.kind)
    if given.name in dtypes.DTYPES and one is None:
        one = 1 if "int" in given.name else 2
    if two is None:
        two = 1 if "int" in wanted.name else 2
    if wanted.kind == "b":
        return given.kind == "b"
    return one is not None and one <= two


def _texts(array: Array, dtype: str | None) -> Array:
    """Texts as an array of objects: of `bytes` where the input takes these, else of `str`."""
    found = np.empty(array.shape, dtype=object)
    for at, item in zip(np.ndindex(array.shape), array.flat, strict=True):
        try:
            if dtype == "bytes":
                found[at] = item.encode() if isinstance(item, str) else bytes(item)
            else:
                found[at] = bytes(item).decode() if isinstance(item, bytes) else str(item)
        except UnicodeError as cause:
            raise error("run-input-dtype", found="a text that is not Unicode") from cause
    return found


def _misfit(array: Array, spec: Spec, why: str = "") -> EtuiError:
    return error("run-input-dtype", where=spec.name, found=f"{array.dtype.name}{why}, and the input is {spec.dtype}")
