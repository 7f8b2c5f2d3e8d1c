"""Nested arrays in a file, and where two of them differ. Numpy only: every process of the corpus uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def save(path: Path, data: Any) -> None:
    """Store nested lists and dicts of arrays in one npz without pickle; text is stored as bytes."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}

    def shape_of(value: Any) -> Any:
        if isinstance(value, dict):
            return {"dict": {key: shape_of(item) for key, item in value.items()}}
        if isinstance(value, (list, tuple)):
            return {"list": [shape_of(item) for item in value]}
        if value is None or isinstance(value, (bool, str)):
            return {"plain": value}
        array = np.asarray(value)
        if array.dtype.hasobject:
            return {"text": array.shape, "items": [as_text(item) for item in array.ravel()]}
        name = f"a{len(arrays)}"
        if array.dtype.isbuiltin != 1 and array.dtype.kind == "V":  # bfloat16 and its like are no types of numpy's own
            arrays[name] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            return {"array": name, "dtype": array.dtype.name, "shape": array.shape}
        arrays[name] = array
        return {"array": name}

    structure = json.dumps(shape_of(data))
    np.savez(path, allow_pickle=False, structure=np.asarray(structure), **arrays)


def load(path: str | Path) -> Any:
    """Undo `save`."""
    with np.load(path, allow_pickle=False) as stored:

        def value_of(shape: dict[str, Any]) -> Any:
            if "dict" in shape:
                return {key: value_of(item) for key, item in shape["dict"].items()}
            if "list" in shape:
                return [value_of(item) for item in shape["list"]]
            if "plain" in shape:
                return shape["plain"]
            if "text" in shape:
                return np.array(shape["items"], object).reshape(shape["text"])
            array = stored[shape["array"]]
            if "dtype" not in shape:
                return array
            import ml_dtypes

            return array.view(np.dtype(getattr(ml_dtypes, shape["dtype"]))).reshape(shape["shape"])

        return value_of(json.loads(str(stored["structure"])))


def as_text(value: Any) -> str:
    """The text of an element of an array of strings."""
    return value.decode() if isinstance(value, bytes) else str(value)


def difference(one: Any, two: Any, bound: float = 0.0, where: str = "") -> str:
    """Where two nested values first differ, or an empty string.

    Args:
        one: nested dicts, lists and arrays.
        two: nested dicts, lists and arrays.
        bound: 0 demands equal dtype, shape and bits; else numbers may differ by that much of the largest of them.
        where: the place, for the answer.
    """
    if isinstance(one, dict) and isinstance(two, dict):
        if one.keys() != two.keys():
            return f"{where}: keys {sorted(map(str, one.keys() ^ two.keys()))} are in one only"
        pairs = [(f"{where}/{key}", one[key], two[key]) for key in one]
    elif isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        if len(one) != len(two):
            return f"{where}: {len(one)} items against {len(two)}"
        pairs = [(f"{where}/{i}", a, b) for i, (a, b) in enumerate(zip(one, two, strict=True))]
    elif isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return _arrays(one, two, bound, where)
    else:
        return "" if type(one) is type(two) and one == two else f"{where}: {one!r} against {two!r}"
    return next((found for place, a, b in pairs if (found := difference(a, b, bound, place))), "")


def _arrays(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any], bound: float, where: str) -> str:
    if one.dtype != two.dtype or one.shape != two.shape:
        return f"{where}: {one.dtype}{one.shape} against {two.dtype}{two.shape}"
    if one.dtype.hasobject:
        return "" if one.tolist() == two.tolist() else f"{where}: the texts differ"
    if one.tobytes() == two.tobytes():
        return ""
    far = furthest(one, two)
    return "" if far <= bound else f"{where}: they differ by {far:.1e} of the largest"


def furthest(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> float:
    """The largest difference of two arrays of one shape, as a part of the largest number in them."""
    a, b = one.astype("float64"), two.astype("float64")
    if not (np.isfinite(a) == np.isfinite(b)).all():
        return float("inf")
    finite = np.isfinite(a)
    scale = max(float(np.abs(a[finite]).max(initial=0.0)), 1e-3)
    return float(np.abs(a[finite] - b[finite]).max(initial=0.0)) / scale
