"""TensorFlow's checkpoints, both ways: of objects and of names, without TensorFlow (SPEC.md, annex F)."""

from __future__ import annotations

import os
from pathlib import Path

from etui.bridges.keras.content import Content, Dialect
from etui.bridges.keras.h5.model import in_dialect
from etui.bridges.tensorflow.keras_read import read_keras
from etui.bridges.tensorflow.keras_write import written_keras
from etui.bridges.tensorflow.object_graph import KEY, read_object_graph
from etui.bridges.tensorflow.objects_read import FRAMEWORK, read_names, read_objects
from etui.bridges.tensorflow.objects_write import written_objects
from etui.containers.data_writer import Progress
from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage import tf_state
from etui.storage.tf_bundle import INDEX, Bundle, is_index, open_bundle
from etui.storage.tf_bundle_writer import write_bundle, write_folder

__all__ = ["read", "recognises", "write"]

_NAME = "ckpt"


def recognises(path: Path) -> bool:
    """Whether a path is the index of a bundle, a prefix with one, or a folder that has one and says which it is."""
    if path.is_dir():
        try:
            return is_index(_in_folder(path))
        except OSError:
            return False
        except ValueError:
            # A state file that is refused says so when it is read, and not that the folder is none of checkpoints.
            return (path / tf_state.NAME).is_file() and any(map(is_index, path.glob(f"*{INDEX}")))
    return is_index(path) or (not path.exists() and is_index(Path(f"{path}{INDEX}")))


def _in_folder(folder: Path) -> Path:
    """The index of the latest checkpoint of a folder, or of the only one where no state file names it."""
    if (folder / tf_state.NAME).is_file():
        latest, _ = tf_state.read_state(folder)
        return folder / (latest + INDEX)
    found = [entry for entry in folder.iterdir() if entry.name.endswith(INDEX)]
    if len(found) != 1:
        raise error("bundle-index", where=str(folder), found=f"{len(found)} indexes and no state file")
    return found[0]


def _split(path: Path) -> tuple[Path, str]:
    """The folder of a checkpoint and the last part of its prefix, which may be empty."""
    index = _in_folder(path) if path.is_dir() else path
    return index.parent, index.name.removesuffix(INDEX)


def read(
    path: Path,
    report: Report,
    *,
    limits: Limits,
    native: bool = True,  # noqa: ARG001  the object graph is needed to write a checkpoint again
    config: Content | None = None,
) -> Model:
    """Translate a checkpoint.

    Args:
        path: its prefix, its index, or a folder whose state file says which is the latest.
        report: gets an entry for each tensor.
        limits: refuse what is beyond these.
        native: a checkpoint has no documents of its own that could be left out.
        config: of the Keras model whose objects the checkpoint holds; without it variables have their object paths.

    Returns:
        A model that reads tensors from the shards when they are asked for; closing it closes them.

    Raises:
        RejectError: a code of SPEC.md, annex F.
        MissingExtraError: google-crc32c is not installed.
        StorageError: a file cannot be read.
    """
    folder, name = _split(path)
    bundle = open_bundle(os.path.join(folder, name), limits)  # noqa: PTH118  a path object has no empty last part
    try:
        model = _read(bundle, report, limits, config)
    except BaseException:
        bundle.close()
        raise
    meta = folder / f"{name}.meta"
    if meta.is_file():
        report.add("document", meta.name, "left-out", "a graph of operations, which is no part of the weights")
    model.closing = bundle.close
    return model


def _read(bundle: Bundle, report: Report, limits: Limits, config: Content | None) -> Model:
    stored = bundle.tensors.get(KEY)
    if stored is None:
        if config is not None:
            report.add("document", "config", "unexpected", "a checkpoint of names does not say which layer has them")
        return read_names(bundle.tensors, report)
    if stored.dtype != "bytes" or stored.shape:
        raise error("object-graph-form", where=bundle.name, found=f"{stored.dtype}{list(stored.shape)}")
    data: bytes = stored.read().item()
    graph = read_object_graph(data, KEY, limits)
    if config is not None:
        found = read_keras(config, graph, bundle.tensors, report)
        if found is not None:
            return found
        report.add("document", "config", "unexpected", "the checkpoint's objects are those of no model like it")
    return read_objects(graph, bundle.tensors, data, report, limits)


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001  those of the bundle are the writer's own
    shard_size: int | None = None,
    dialect: Dialect | None = None,
) -> None:
    """Write a checkpoint; the same model gives the same bytes.

    Args:
        model: what to write.
        target: a prefix; or a folder, which gets the checkpoint `ckpt` and is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while shards are written.
        limits: of what other formats read.
        shard_size: bytes in one shard at most, but for a tensor that is larger.
        dialect: ``keras`` or ``tf_keras``, for a Keras model that the other of the two is to restore.

    Raises:
        TransferError: ``not-complete``, ``bundle-target-dtype``, ``checkpoint-objects``; a code that begins with
            ``keras-``, Keras has no form for the model.
        MissingExtraError: google-crc32c is not installed.
        UsageError: ``writer-misuse``, a dialect that does not exist.
        StorageError: the target cannot be written; what was there is as it was.
    """
    if model.config is None:
        tensors = written_objects(model, report)
    else:
        translated = in_dialect(model, dialect, target, report)
        if translated is not model and translated.config is not None:
            # Facts of the objects of the other Keras.
            root = translated.config.model
            root.residue = {framework: facts for framework, facts in root.residue.items() if framework != FRAMEWORK}
        tensors = written_keras(translated, report)
    if strict:
        report.require_complete()
    text = os.fspath(target)
    path = Path(text)
    if text.endswith(os.sep) or path.is_dir():
        state = (tf_state.NAME, tf_state.state_text(_NAME, [_NAME]))
        write_folder(path, _NAME, tensors, shard_size=shard_size, progress=progress, beside=state)
        return
    prefix = path.with_name(path.name.removesuffix(INDEX))
    state = (tf_state.NAME, tf_state.state_text(prefix.name, [*_others(prefix), prefix.name]))
    write_bundle(prefix, tensors, shard_size=shard_size, progress=progress, beside=state)


def _others(prefix: Path) -> list[str]:
    """The checkpoints that the folder's state file lists and that are there still."""
    if not (prefix.parent / tf_state.NAME).is_file():
        return []
    _, names = tf_state.read_state(prefix.parent)
    return [name for name in names if name != prefix.name and (prefix.parent / (name + INDEX)).is_file()]
