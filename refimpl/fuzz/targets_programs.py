"""Targets for what runs a model: files of inputs, and the document that ties a program to its model."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from etui.canonical import json
from etui.errors import UsageError, error
from etui.limits import DEFAULT_LIMITS
from etui.model import Blob, Model
from etui.programs.binding import MEDIA_TYPE, index_name, read_binding
from etui.programs.facts import Spec
from etui.programs.inputs import fitted, read_inputs
from fuzz.kit import Target, require


@contextmanager
def _file(data: bytes) -> Iterator[str]:
    """A file in the folder for temporary files, whose refusal as one of inputs is one of its content."""
    with tempfile.TemporaryDirectory(prefix="etui-fuzz-") as folder:
        path = Path(folder) / "in"
        path.write_bytes(data)
        try:
            yield str(path)
        except UsageError as fault:
            if not fault.code.startswith("run-input"):
                raise
            raise error("program-form", where=fault.where, found=fault.found) from fault


def numpy_array(data: bytes) -> None:
    """An `.npy` file: what is taken is what NumPy reads, without its pickles."""
    with _file(b"\x93NUMPY" + data[6:]) as path:
        found = np.asarray(next(iter(read_inputs([path]))))
    theirs = np.load(io.BytesIO(b"\x93NUMPY" + data[6:]), allow_pickle=False)
    require(found.dtype == theirs.dtype and found.shape == theirs.shape, "numpy reads another array")
    require(found.tobytes() == theirs.tobytes(), "numpy reads other elements")


def input_file(data: bytes) -> None:
    """A file of inputs of any kind, and whether they fit."""
    with _file(data) as path:
        found = read_inputs([path])
        specs = [Spec(name, "float32") for name in found] if isinstance(found, dict) else [Spec("x")] * len(found)
        fitted(found, specs)


def program_document(data: bytes) -> None:
    """A `program.json`: what is taken encodes to the same bytes."""
    model = Model(programs={index_name("p"): Blob.of(data, MEDIA_TYPE)})
    require(read_binding(model, "p", DEFAULT_LIMITS).encode() == data, "the document encodes to other bytes")


def _arrays() -> Iterator[bytes]:
    for array in _examples():
        file = io.BytesIO()
        np.save(file, array, allow_pickle=True)
        yield file.getvalue()


def _examples() -> Iterator[Any]:
    for dtype in ("f4", ">f8", "i1", "u8", "?", "c8", "f2"):
        yield np.zeros((2, 3), dtype)
    yield from (np.array(["a", "bc"]), np.array([b"x"]), np.zeros((0, 3)), np.asfortranarray(np.eye(3)), np.array(1))
    yield from (np.array([{}], dtype=object), np.zeros(1, "M8[s]"), np.zeros(1, [("a", "f4")]), np.zeros((1,) * 30))


def _files() -> Iterator[bytes]:
    yield from _arrays()
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, x=np.arange(6.0).reshape(2, 3), y=np.array(["a"]))
        yield file.getvalue()
    yield from (b'{"x": [[1, 2], [3, 4]]}', b'[[1.5], ["a"]]', b'{"x": [[1], [2, 3]]}', b"[]", b'{"x": {}}')


def _documents() -> Iterator[bytes]:
    spec = {"name": "x", "dtype": "float32", "shape": [None, 2]}
    sound = {
        "format": "etui-program",
        "version": "1.0",
        "config": None,
        "weights": None,
        "variables": [{"path": "a/b", "dtype": "float32", "shape": [2, 2]}],
        "inputs": [spec],
        "outputs": [spec],
    }
    yield json.encode(sound)
    for name in sound:
        yield json.encode({key: value for key, value in sound.items() if key != name})
        yield json.encode(sound | {name: []})
    yield json.encode(sound | {"inputs": [{**spec, "shape": None}, {**spec, "name": "y", "dtype": None}]})


TARGETS = (
    Target("numpy", numpy_array, _arrays),
    Target("inputs", input_file, _files),
    Target("program", program_document, _documents, "json", own=True),
)
