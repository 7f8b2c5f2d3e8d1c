"""The kinds of saves that are ended, failed and cut: each writes an old and a new content and tells what it finds.

A series of checkpoints gets a step more, which shares a tensor with the one before, and tells which step is the latest;
every step that is there has to be whole.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np

import etui
from etui import bridges, conversion
from etui.canonical import json
from etui.canonical.values import OutputRef
from etui.checkpoints import Series, data_objects
from etui.containers.config import Call, Graph
from etui.report import Report
from etui.storage import local_objects, open_artifact, transaction
from etui.storage.base import Form
from etui.storage.part_names import MANIFEST
from etui.testing.storage import sizes, with_manifest, write

# Two data parts, as a sharded artifact has them, and folders in folders.
CONTENTS = {
    "old": with_manifest(
        {
            "weights-00001-of-00002.safetensors": b"old" * 700,
            "weights-00002-of-00002.safetensors": b"o" * 90,
            "assets/a/b.txt": b"old",
            "weights.json": b"{}",
        }
    ),
    "new": with_manifest(
        {
            "weights-00001-of-00002.safetensors": b"new" * 900,
            "weights-00002-of-00002.safetensors": b"n" * 99,
            "assets/c.txt": b"new",
            "weights.json": b"{1}",
        }
    ),
}
NOTHING = "nothing"
_LEFTOVER = re.compile(r"\.etui-[0-9a-f]{8}\.(tmp|old)$")


@dataclass(frozen=True)
class Save:
    """A kind of save.

    Attributes:
        name: of the kind.
        target: name of what is written, in a folder of its own.
        write: writes the content of that name.
        read: gives what a reader finds, verified, or `None` if there is nothing.
    """

    name: str
    target: str
    write: Callable[[Path, str], None]
    read: Callable[[Path], Any]

    def state(self, folder: Path) -> str:
        """Which content a reader finds in a folder: ``"old"``, ``"new"``, `NOTHING`, or ``"neither"``."""
        found = self.read(folder / self.target)
        if found is None:
            return NOTHING
        return next((name for name, content in expected(self).items() if found == content), "neither")

    def others(self, folder: Path) -> list[str]:
        """Names in the folder beside those that a whole save leaves."""
        found = {path.name for path in folder.iterdir()}
        if self in SERIES:
            found |= {path.name for path in folder.rglob("*") if _LEFTOVER.search(path.name)}
        return sorted(found - _names(self))


@cache
def expected(save: Save) -> dict[str, Any]:
    """What a reader finds after whole saves."""
    found = {}
    for name in CONTENTS:
        with TemporaryDirectory() as folder:
            save.write(Path(folder, save.target), name)
            found[name] = save.read(Path(folder, save.target))
    assert len({repr(content) for content in found.values()}) == len(CONTENTS)
    return found


@cache
def _names(save: Save) -> set[str]:
    names: set[str] = set()
    for name in CONTENTS:
        with TemporaryDirectory() as folder:
            save.write(Path(folder, save.target), name)
            names |= {path.name for path in Path(folder).iterdir()}
    return names


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _write_parts(form: Form, target: Path, content: str) -> None:
    write(target, CONTENTS[content], form)


def _read_parts(target: Path) -> dict[str, bytes] | None:
    if not os.path.lexists(transaction.standing(target)):
        return None
    with open_artifact(target) as reader:
        names = reader.names()
        manifest = reader.source(MANIFEST)
        # As a reader does, which goes by the manifest: a folder that is being removed lists fewer.
        listed = json.decode(manifest.read(0, manifest.size), where=MANIFEST)["parts"]
        reader.check_members({name: entry["size"] for name, entry in listed.items()})
        found = {name: reader.source(name).read(0, size) for name, size in names.items()}
        reader.verify_container(sizes(found))
    return found


def model(content: str) -> etui.Model:
    """A model of two dense layers, which every format can hold."""
    names = ("dense", "last")
    modules = [etui.Module("input", op="keras:InputLayer", attrs={"batch_shape": (None, 2), "dtype": "float32"})]
    calls = [Call("input", "input")]
    for name in names:
        attrs = {"units": 2, "use_bias": False}
        modules.append(etui.Module(name, op="keras:Dense", attrs=attrs, params={"kernel": f"{name}/kernel"}))
        calls.append(Call(name, name, [OutputRef(calls[-1].id, 0)]))
    graph = Graph([OutputRef("input", 0)], OutputRef("last", 0), calls)
    root = etui.Module("small", "graph", "keras:Functional", modules=modules, graph=graph)
    found = etui.Model(config=etui.Config(root), weights=etui.Weights())
    assert found.weights is not None
    for number, name in enumerate(names):
        kernel = np.full((2, 2), number + 10 * ("old", "new").index(content), np.float32)
        found.weights.add(f"{name}/kernel", etui.Tensor.of(kernel), role="kernel")
    return found


def _write_own(form: Form, target: Path, content: str) -> None:
    etui.save(model(content), target, form=form, shard_size=16)


def _read_own(target: Path) -> str | None:
    if not os.path.lexists(transaction.standing(target)):
        return None
    return etui.verify(target).identity


def _write_foreign(bridge: str, options: dict[str, Any], target: Path, content: str) -> None:
    bridges.by_name(bridge).translator.write(model(content), target, Report(), strict=False, **options)


def _read_values(target: Path) -> dict[str, Any] | None:
    """The variables that the format's own reader finds."""
    if not os.path.lexists(target) and not os.path.lexists(f"{target}.index"):
        return None
    found, _ = conversion.read(target if target.exists() else Path(f"{target}.index"))
    with found:
        assert found.weights is not None
        return {path: variable.tensor.numpy().tolist() for path, variable in found.weights.items()}


def _read_bytes(target: Path) -> dict[str, bytes] | None:
    """Every file: the same model gives the same bytes, so that those of a whole save are all that can be right."""
    if target.is_dir():
        return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    return {"": target.read_bytes()} if target.exists() else None


@contextmanager
def one_thread() -> Iterator[None]:
    """Let a save make its calls one after the other, so that their order is the same each time."""
    one = mock.patch.object(data_objects, "_workers", return_value=1)
    with one, mock.patch.object(local_objects, "_FLUSHES", 1):
        yield


def _write_step(target: Path, content: str) -> None:
    # The first of two tensors is the same in both.
    weights = etui.Weights()
    for name, value in (("a", 0), ("b", 1 + ("old", "new").index(content))):
        weights.add(name, etui.Tensor.of(np.full(70, value, np.float32)), role="kernel")
    step = 1 + ("old", "new").index(content)
    time = datetime(2026, 1, step, tzinfo=UTC)
    with one_thread():
        Series(target).save(etui.Model(weights=weights), step, metrics={"loss": 0.5}, replace=True, time=time)


def _read_step(target: Path) -> tuple[int, str] | None:
    if not (target / "series.json").exists():
        return None
    series = Series(target, create=False)
    found = [(step.number, verified.identity) for step, verified in zip(series, series.verify(), strict=True)]
    return found[-1] if found else None


PLAIN = [
    Save("packed", "m.etui", partial(_write_parts, "packed"), _read_parts),
    Save("directory", "m", partial(_write_parts, "directory"), _read_parts),
]
MODELS = [
    Save("packed model in shards", "m.etui", partial(_write_own, "packed"), _read_own),
    Save("model in shards", "m", partial(_write_own, "directory"), _read_own),
]
FOREIGN = [
    Save(name, target, partial(_write_foreign, bridge, options), read)
    for name, target, bridge, options, read in (
        ("keras", "m.keras", "keras", {}, _read_bytes),
        ("h5", "m.h5", "keras-h5", {}, _read_bytes),
        ("legacy weights", "m.h5", "keras-h5-weights", {}, _read_bytes),
        ("weights.h5", "m.weights.h5", "keras-weights", {}, _read_bytes),
        ("sharded weights", "m.weights.json", "keras-weights", {"shard_size": 16}, _read_values),
        ("checkpoint", "ckpt", "tf-checkpoint", {"shard_size": 16}, _read_values),
        ("SavedModel", "m", "tf-savedmodel", {}, _read_bytes),
        ("TF.js", "m", "tfjs-layers", {}, _read_bytes),
        ("safetensors", "m.safetensors", "safetensors", {}, _read_bytes),
    )
]
SERIES = [Save("series", "s", _write_step, _read_step)]
SAVES = {save.name: save for save in PLAIN + MODELS + FOREIGN + SERIES}
