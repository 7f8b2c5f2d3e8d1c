"""Hostile legacy HDF5 models: their documents, their lists of names, and arrays that lead elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from catalogue.case import Case, Make, case
from catalogue.hdf5 import DENSE, MODEL, made, one_heap_object
from etui.testing.h5_files import node, ramp, sequential, source, whole

CHAPTER = "Keras legacy HDF5"
_BIAS = "model_weights/dense/dense/bias:0"


def raw(data: Callable[[], bytes]) -> Make:
    """A file of these bytes."""

    def make(folder: Path) -> Path:
        path = folder / "m.h5"
        path.write_bytes(data())
        return path

    return make


def changed(change: Callable[[Any], object]) -> Make:
    """A sound model, changed after it was written."""

    def make(folder: Path) -> Path:
        path = whole(folder / "m.h5", MODEL, {"dense": DENSE})
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return make


def of_config(config: str) -> Make:
    """The model with another text in place of its config."""
    return changed(lambda file: file.attrs.__setitem__("model_config", config))


def importing(folder: Path) -> Path:
    evil = node("Dense", "dense", units=2) | {"module": "os", "class_name": "system", "registered_name": None}
    return whole(folder / "m.h5", sequential(source(), evil), {"dense": {}})


def nested(folder: Path) -> Path:
    nest = node("Dense", "dense", units=2)
    for _ in range(60):
        nest = sequential(nest, name="dense")
    return whole(folder / "m.h5", nest, {"dense": DENSE})


def linked(file: Any) -> None:
    del file[_BIAS]
    file[_BIAS] = h5py.ExternalLink("/etc/passwd", "/x")


def unstored(file: Any) -> None:
    del file[_BIAS]
    file["model_weights/dense"].create_dataset("dense/bias:0", (1 << 37,), "f4")


def many_texts(file: Any) -> None:
    for at in range(9):
        file.create_group(str(at)).attrs["x"] = "x" * (4 << 20)


_ROWS: list[tuple[str, Make, str, str]] = [
    ("one text for all elements of a list", raw(one_heap_object), "hdf5-attribute", "K-38"),
    ("texts of 36 MiB", raw(lambda: made(many_texts)), "hdf5-attribute", "K-38"),
    ("a deep config", of_config("[" * 100_000), "keras-json", "X-2"),
    ("a key twice", of_config('{"a":1,"a":2}'), "keras-json", "E-2"),
    ("a lone surrogate", of_config('{"a":"\\ud800"}'), "keras-json", "E-2"),
    ("a million digits", of_config('{"a":' + "9" * 1_000_000 + "}"), "keras-json", "X-2"),
    ("a config that is no object", of_config("[]"), "keras-json", "E-2"),
    ("60 models in each other", nested, "keras-json", "E-2"),
    ("a class of another module", importing, "", "X-1"),
    ("an external link", changed(linked), "hdf5-link", "K-31"),
    ("an array that is declared only", changed(unstored), "hdf5-unstored", "K-34"),
]

CASES: list[Case] = [
    *(case(CHAPTER, "", make, code, clause, name=name) for name, make, code, clause in _ROWS),
    case(
        CHAPTER,
        "",
        lambda folder: whole(folder / "m.h5", MODEL, {"dense": DENSE | {"dense/more:0": ramp(9)}}),
        "keras-h5-layers",
        "KH-8",
        name="an array more than the layer has",
    ),
    case(CHAPTER, "", changed(lambda _: None), "", "E-2", name="good: a legacy model"),
]
