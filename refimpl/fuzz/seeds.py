"""Seeds out of the golden vectors: what every reader takes, and what it refuses, is near to what it may trip over."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS
from etui.report import Report
from etui_conformance import vectors
from etui_conformance.oracle import packed
from etui_conformance.oracle.errors import Refusal
from fuzz.kit import joined, parted

_FORMATS: Final = "formats"
_SMALL: Final = 30_000


def artifacts() -> Iterator[bytes]:
    """Every packed artifact, valid or not."""
    return (vector.data() for vector in vectors.load() if vector.kind == "packed")


@cache
def _parts() -> tuple[dict[str, bytes], ...]:
    """The parts of each artifact that can be taken apart."""
    found = []
    for vector in vectors.load():
        try:
            if vector.kind == "directory":
                found.append(vector.parts())
            elif vector.kind == "packed":
                found.append(packed.unpack(vector.data()))
        except Refusal:
            continue
    return tuple(found)


def parts() -> Iterator[bytes]:
    """The parts of each artifact, joined."""
    return (joined(each) for each in _parts() if len(each) < 64)


def documents(suffix: str) -> Iterator[bytes]:
    """Every part whose name ends so, and every document that is a vector by itself."""
    for each in _parts():
        yield from (data for name, data in each.items() if name.endswith(suffix))
    for vector in vectors.load():
        if vector.kind == "document" and any(name.endswith(suffix) for name in vector.files):
            yield vector.data()


@cache
def _conversions() -> tuple[dict[str, Any], ...]:
    path = _root() / _FORMATS / "manifest.json"
    return tuple(json.loads(path.read_text(encoding="utf-8"))["vectors"])


def _root() -> Path:
    return next(iter(vectors.load())).folder


def foreign(*formats: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The source of each conversion of these formats: what is converted, and its files by their names beside that."""
    met = set()
    for vector in _conversions():
        source = vector["source"]
        if vector["format"] not in formats or source in met or source.endswith(".etui"):
            continue  # known, or a conversion the other way
        met.add(source)
        folder, _, name = source.rpartition("/")
        listed = vector.get("files", ())
        inside = any(file.startswith(f"{source}/") for file in listed)
        prefix = f"{source}/" if inside else f"{folder}/"
        files = {file: _root() / _FORMATS / file for file in listed if file.startswith(prefix)}
        yield name, {file.removeprefix(prefix): path.read_bytes() for file, path in files.items()}


def single(*formats: str) -> Iterator[bytes]:
    """The sources that are one file."""
    for name, files in foreign(*formats):
        if name in files:
            yield files[name]


def sets(*formats: str) -> Iterator[bytes]:
    """The sources that are several files, joined."""
    return (joined(files) for _, files in foreign(*formats))


def tfjs_models() -> Iterator[bytes]:
    """What TensorFlow.js would load of the smaller archives of Keras, joined: few of its own models are vectors."""
    from etui.bridges.keras import v3 as keras_archive
    from etui.bridges.tfjs import layers as tfjs_layers

    for data in single("keras"):
        if len(data) > _SMALL:
            continue
        with tempfile.TemporaryDirectory() as folder, suppress(EtuiError):
            source, target = Path(folder, "model.keras"), Path(folder, "tfjs")
            source.write_bytes(data)
            with keras_archive.read(source, Report(), limits=DEFAULT_LIMITS) as model:
                tfjs_layers.write(model, target, Report(), strict=False, limits=DEFAULT_LIMITS)
            yield joined({path.name: path.read_bytes() for path in sorted(target.iterdir())})


def members(*formats: str) -> Iterator[bytes]:
    """The members of the sources that are archives, joined."""
    for data in single(*formats):
        try:
            with zipfile.ZipFile(BytesIO(data)) as archive:
                yield joined({name: archive.read(name) for name in archive.namelist()})
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError, OSError):
            continue


def configs() -> Iterator[bytes]:
    """The config of each archive of Keras."""
    for data in members("keras"):
        yield parted(data).get("config.json", b"{}")


def inside(suffix: str, *formats: str) -> Iterator[bytes]:
    """The files of the sources whose names end so."""
    for _, files in foreign(*formats):
        yield from (data for name, data in files.items() if name.endswith(suffix))


def object_graphs() -> Iterator[bytes]:
    """The graphs of objects in the checkpoints."""
    from etui.bridges.tensorflow.object_graph import KEY
    from etui.storage.tf_bundle import open_bundle

    for vector in _conversions():
        for file in vector.get("files", ()):
            if file.endswith(".index"):
                with suppress(EtuiError), open_bundle((_root() / _FORMATS / file).with_suffix("")) as bundle:
                    if KEY in bundle.tensors:
                        yield bundle.tensors[KEY].read().item()
