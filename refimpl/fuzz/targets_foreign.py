"""Targets for the formats of other software. What a bridge makes of an input must be a model that can be saved."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch
from zlib import crc32

from etui.artifact import save_model
from etui.bridges.formats import Translator
from etui.bridges.keras import model_json, v3
from etui.bridges.keras.h5 import model as h5_model
from etui.bridges.keras.h5 import weights as h5_weights
from etui.bridges.keras.weights import file as weights_file
from etui.bridges.tensorflow import checkpoint
from etui.bridges.tensorflow.object_graph import read_object_graph
from etui.bridges.tensorflow.saved_model import bridge as saved_model
from etui.bridges.tfjs import graph as tfjs_graph
from etui.bridges.tfjs import layers as tfjs_layers
from etui.bridges.tfjs import weights as tfjs_weights
from etui.errors import EtuiError, IntegrityError, error
from etui.limits import DEFAULT_LIMITS
from etui.model import Model
from etui.report import Report
from etui.storage import sstable, tf_bundle
from etui.storage.hdf5 import open_hdf5
from etui.storage.snappy import decompress
from etui.storage.sources import BytesSource
from etui.storage.zip_foreign import open_zip, write_zip
from etui.translation import to_core, to_keras
from etui.verification import verify
from fuzz import seeds
from fuzz.kit import PropertyError, Target, is_harmless, parted, require, written

# Of so many models, one is translated to the core vocabulary as well, and one is written again by its bridge, both of
# which take longer than all else.
_LOTS: Final = 4


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder in memory, where there is such a place."""
    shared = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="etui-fuzz-", dir=shared if shared.is_dir() else None))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def foreign_zip(data: bytes) -> None:
    """A ZIP archive of other software: the standard library sees the same members in what is taken."""
    with open_zip(data) as archive:
        sources = {name: archive.source(name) for name in archive.names()}
        members = {name: source.read(0, source.size) for name, source in sources.items()}
    with zipfile.ZipFile(BytesIO(data)) as other:
        names = [name for name in other.namelist() if not name.endswith("/")]
        require(names == list(members), "zipfile finds other members", f"{names} {list(members)}"[:200])
        for name, content in members.items():
            require(other.read(name) == content, "zipfile finds other bytes", name)


def keras_archive(data: bytes) -> None:
    """The members of a `.keras` file, put into a sound archive."""
    files = {name: content for name, content in parted(data).items() if is_harmless(name)}
    with _folder() as folder:
        path = folder / "model.keras"
        write_zip(path, ((name, len(content), [content]) for name, content in files.items()))
        _bridged(v3, path)


def keras_json(data: bytes) -> None:
    """The JSON of a Keras model's config."""
    _file(model_json, "model.json", data)


def keras_yaml(data: bytes) -> None:
    """The YAML of a Keras model's config."""
    _file(model_json, "model.yaml", data)


def hdf5(data: bytes) -> None:
    """An HDF5 file: its structure, then every element, which Etui decodes itself."""
    file = open_hdf5(BytesSource(data), "file", lists=True)
    for dataset in file.datasets.values():
        array = dataset.read()
        require(array.shape == dataset.shape, "a dataset of another shape than it says")


def keras_h5(data: bytes) -> None:
    """An HDF5 file as each of the three kinds that Keras writes."""
    refused: list[EtuiError] = []
    kinds = (("a.h5", h5_model), ("b.h5", h5_weights), ("c.weights.h5", weights_file))
    for name, bridge in kinds:
        try:
            _file(bridge, name, data)
        except EtuiError as refusal:
            refused.append(refusal)
    if len(refused) == len(kinds):
        raise refused[0]


def table(data: bytes) -> None:
    """The index of a tensor bundle as a table of sorted keys, and its blocks as what snappy may have written."""
    with suppress(EtuiError):
        decompress(data, "block", 1 << 20)
    with _any_checksum():
        entries = list(sstable.read_table(BytesSource(data), "index"))
    keys = [key for key, _ in entries]
    require(keys == sorted(set(keys)), "keys out of order")
    again = b"".join(sstable.write_table(entries))
    require(list(sstable.read_table(BytesSource(again), "again")) == entries, "written again, it has other entries")


def bundle(data: bytes) -> None:
    """A TensorFlow checkpoint, with its checksums, and as if they were right."""
    files = parted(data)
    index = next((name for name in files if name.endswith(".index") and is_harmless(name)), None)
    if index is None:
        raise error("bundle-index", found="no index")
    with _folder() as folder:
        written(files, folder)
        prefix = folder / index.removesuffix(".index")

        def read() -> None:
            with tf_bundle.open_bundle(prefix) as opened:
                for tensor in opened.tensors.values():
                    for part in [one for _, one in tensor.slices] or [tensor]:
                        part.read()
            _bridged(checkpoint, folder / index, "again")

        _despite_checksums(read)


def objects(data: bytes) -> None:
    """The graph of objects in a checkpoint: what is read and written again reads as the same."""
    found = read_object_graph(data)
    found.routes()
    require(read_object_graph(found.serialized()) == found, "written again, it is another graph")


def saved_model_folder(data: bytes) -> None:
    """A SavedModel, with its checksums, and as if they were right."""
    with _folder() as folder:
        written(parted(data), folder)
        _despite_checksums(lambda: _bridged(saved_model, folder, "again"))


def tfjs(data: bytes) -> None:
    """A model of TensorFlow.js of either kind, with its groups of weights, or weights alone."""
    with _folder() as folder:
        written(parted(data), folder)
        if tfjs_weights.recognises(folder):
            _bridged(tfjs_weights, folder, "again")
            return
        path = folder / "model.json"
        _bridged(tfjs_graph if tfjs_graph.recognises(path) else tfjs_layers, path, "again")


def _file(bridge: Any, name: str, data: bytes) -> None:
    with _folder() as folder:
        path = folder / name
        path.write_bytes(data)
        _bridged(bridge, path)


def _bridged(bridge: Translator | Any, path: Path, again: str = "") -> None:
    """Read by a bridge: what is not refused can be saved, is valid then, and can be read again where it can be written.

    Args:
        bridge: the module.
        path: what it reads.
        again: the name that it writes to, if not that of the path.
    """
    bridge.recognises(path)
    with bridge.read(path, Report(), limits=DEFAULT_LIMITS) as model:
        parts = _saved(model)
        lot = crc32(bytes(parts["manifest.json"])) % _LOTS
        if lot == 0:
            _translated(model)
        elif lot == 1:
            _written_again(bridge, model, again or path.name)
    _verified(parts)


def _written_again(bridge: Translator | Any, model: Model, name: str) -> None:
    with _folder() as folder:
        try:
            bridge.write(model, folder / name, Report(), strict=False, limits=DEFAULT_LIMITS)
        except EtuiError:
            return
        place = folder / name
        try:
            bridge.read(place, Report(), limits=DEFAULT_LIMITS).close()
        except EtuiError as refusal:
            raise PropertyError(
                f"written by its bridge, and then refused with {refusal.code}", str(refusal)
            ) from refusal


def _translated(model: Model) -> None:
    """In the core vocabulary, and back from it, a model can be saved, where the translation is not refused."""
    for translate in (to_core, to_keras):
        try:
            model = translate(model)
        except EtuiError:
            return
        _saved(model)


def _saved(model: Model) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    save_model(model, parts)
    return parts


def _verified(parts: Mapping[str, bytes]) -> None:
    try:
        verify(parts)
    except EtuiError as refusal:
        raise PropertyError(f"saved, and then refused with {refusal.code}", str(refusal)) from refusal


class _AnyChecksum(int):
    """A checksum that is equal to any other."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, int)

    __hash__ = int.__hash__


@contextmanager
def _any_checksum() -> Iterator[None]:
    with (
        patch.object(sstable, "masked", lambda _: _AnyChecksum()),
        patch.object(tf_bundle, "masked", lambda _: _AnyChecksum()),
    ):
        yield


def _despite_checksums(read: Callable[[], None]) -> None:
    """Read; and if a checksum is all that stands in the way, which mutations break, once more without."""
    try:
        read()
    except IntegrityError as refusal:
        if refusal.code != "bundle-crc":
            raise
        with _any_checksum():
            read()


TARGETS = (
    Target("zip-foreign", foreign_zip, lambda: seeds.single("keras"), "zip"),
    Target("keras", keras_archive, lambda: seeds.members("keras"), "files"),
    Target("keras-json", keras_json, lambda: chain(seeds.single("keras-json"), seeds.configs()), "json"),
    Target("yaml", keras_yaml, lambda: seeds.single("keras-json")),
    Target("hdf5", hdf5, lambda: seeds.single("keras-h5", "keras-h5-weights", "keras-weights"), native=True),
    Target("keras-h5", keras_h5, lambda: seeds.single("keras-h5", "keras-h5-weights", "keras-weights")),
    Target("table", table, lambda: seeds.inside(".index", "tf-checkpoint", "tf-savedmodel")),
    Target("bundle", bundle, lambda: seeds.sets("tf-checkpoint"), "files"),
    Target("objects", objects, seeds.object_graphs),
    Target("saved-model", saved_model_folder, lambda: seeds.sets("tf-savedmodel"), "files"),
    Target(
        "tfjs",
        tfjs,
        lambda: chain(seeds.sets("tfjs-layers", "tfjs-graph", "tfjs-weights"), seeds.tfjs_models()),
        "files",
    ),
)
