"""The weights files of Keras 3 and tf_keras, both ways: `.weights.h5`, and `.weights.json` with its data files.

They hold what `model.weights.h5` of a `.keras` file holds (SPEC.md, annexes B and D). The config is that of another
file; without one, arrays are named by their groups.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from etui.bridges.keras.account import Scope, account
from etui.bridges.keras.content import Content, Dialect, Renamed, Stored, Written
from etui.bridges.keras.dialects.normalize import to_dialect
from etui.bridges.keras.json_text import write_json
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.optimizer_table import class_named
from etui.bridges.keras.values import is_object
from etui.bridges.keras.weights.fit import account_for_fit
from etui.bridges.keras.weights.layout_file import Counter, part_of, write_layout
from etui.bridges.keras.weights.metric_state import unused_metrics
from etui.bridges.keras.weights.plain import (
    is_only_kept,
    is_plain,
    keep_arrays,
    kept_arrays,
    kept_groups,
    read_plain,
    written_plain,
)
from etui.bridges.keras.weights.shard_map import base_of, cut, is_map, own_names, read_shards, shard_name, written_map
from etui.containers.data_writer import Progress
from etui.errors import EtuiError, error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.file_set import FileSet
from etui.storage.hdf5 import is_hdf5, open_hdf5
from etui.storage.hdf5_writer import spool
from etui.storage.sources import open_file
from etui.storage.transaction import replace_file

_INDEX_SUFFIX = ".json"
_OPTIMIZER = "optimizer"
# What Keras 2.12 and early tf_keras call the group of a model's layers.
_OLD_LAYERS = "_layer_checkpoint_dependencies"
_OUTSIDE = frozenset({"config", "training", "assets", "native", "programs", "metadata", "state"})
_HEAD_BYTES = 64
_RECOGNISED_BYTES = 64 * 1024 * 1024


def recognises(path: Path) -> bool:
    """Whether a file is HDF5 in the layout of a `.keras` file's weights, or the index of several such."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.lstrip()[:1] == b"{":
        return path.stat().st_size <= _RECOGNISED_BYTES and is_map(path, DEFAULT_LIMITS)
    if not is_hdf5(head):
        return False
    try:
        source = open_file(path)
    except EtuiError:
        return False
    try:
        found = open_hdf5(source, str(path))
    except EtuiError:
        return False
    finally:
        source.close()
    return VARS in found.groups or any(f"/{VARS}/" in name for name in found.datasets)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is in the files of one model.

    Attributes:
        groups: each group with its attributes.
        datasets: each array by its name in the layout.
        close: closes the files.
    """

    groups: Mapping[str, Mapping[str, str]]
    datasets: Mapping[str, Stored]
    close: Callable[[], None]


def read(
    path: Path,
    report: Report,
    *,
    limits: Limits,
    native: bool = True,  # noqa: ARG001  (there are no own documents to keep)
    config: Content | None = None,
) -> Model:
    """Translate a weights file.

    Args:
        path: the `.weights.h5` file, or the `.weights.json` index, whose data files are beside it.
        report: gets an entry for each array.
        limits: refuse what is beyond these; for an index, what all its files hold together.
        native: has no effect.
        config: the config of the model.

    Returns:
        A model that reads tensors from the files when they are asked for; closing it closes the files. Without a
        config it has weights named after their groups, and state that holds the arrays of an optimizer by number.

    Raises:
        RejectError: a code of SPEC.md, annexes B and D.
        MissingExtraError: h5py is not installed.
        StorageError: a file cannot be read.
    """
    found = _open(path, limits)
    try:
        if config is None:
            model = read_plain(found.groups, found.datasets, report)
        else:
            model = _read_with(config, found, report)
    except BaseException:
        found.close()
        raise
    model.closing = found.close
    return model


def _open(path: Path, limits: Limits) -> _Found:
    source = open_file(path)
    try:
        if source.read(0, min(source.size, _HEAD_BYTES)).lstrip()[:1] != b"{":
            content = open_hdf5(source, str(path), limits)
            return _Found(content.groups, content.datasets, source.close)
    except BaseException:
        source.close()
        raise
    source.close()
    shards = read_shards(path, limits)
    return _Found(shards.groups, shards.datasets, shards.close)


def _read_with(config: Content, found: _Found, report: Report) -> Model:
    found = _with_new_names(found)
    compiled = config.tree.get("compile_config")
    node = compiled.get("optimizer") if isinstance(compiled, dict) else None
    has_optimizer = is_object(node) or class_named(node, config.dialect) is not None
    kept = {} if has_optimizer else {path: one for path, one in found.datasets.items() if _is_optimizer(path)}
    groups = found.groups if has_optimizer else {p: a for p, a in found.groups.items() if not _is_optimizer(p)}
    datasets = {path: one for path, one in found.datasets.items() if path not in kept}
    content = replace(config, groups=groups, datasets=datasets)
    model = read_model(content, report, "config of the weights file")
    if model.config is not None:
        account_for_fit(model.config, report)
    keep_arrays(model, {p: a for p, a in found.groups.items() if p not in groups}, kept, report)
    if has_optimizer and not any(map(_is_optimizer, found.datasets)):
        report.add("optimizer", _OPTIMIZER, "fresh", "the weights file holds nothing of it")
    return model


def _is_optimizer(path: str) -> bool:
    return path == _OPTIMIZER or path.startswith(f"{_OPTIMIZER}/")


def _with_new_names(found: _Found) -> _Found:
    """The same with the name that the group of a model's layers has had since Keras 2.13."""
    if not any(group == _OLD_LAYERS or f"/{_OLD_LAYERS}" in group for group in found.groups):
        return found

    def renamed(path: str) -> str:
        return "/".join("layers" if step == _OLD_LAYERS else step for step in path.split("/"))

    groups = {renamed(path): attrs for path, attrs in found.groups.items()}
    datasets: dict[str, Stored] = {}
    for path, one in found.datasets.items():
        datasets[renamed(path)] = Renamed(renamed(path), one.dtype, one.shape, one.read)
    return replace(found, groups=groups, datasets=datasets)


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001  (no document is written that has one)
    shard_size: int | None = None,
    dialect: Dialect | None = None,
) -> None:
    """Write the weights and the optimizer's state of a model; the same model gives the same bytes.

    Args:
        model: one of Keras' ops, or one that `read` read without a config.
        target: path of the `.weights.h5` file or of the `.weights.json` index, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while arrays are written, as (file name, bytes done, bytes in all).
        limits: have no effect.
        shard_size: bytes of arrays in one data file of an index at most; `None` for a single one.
        dialect: ``keras`` for a file that Keras 3 loads, ``tf_keras`` for one that tf_keras loads; `None` for that of
            the model, and for an index, which tf_keras does not have, Keras 3.

    Raises:
        TransferError: ``weights-layout``, the model has neither a config nor names of Keras' layout; a code that
            begins with ``keras-``; ``not-complete``.
        UsageError: ``writer-misuse``, a shard size for a single file, or one that an array exceeds.
        MissingExtraError: h5py is not installed.
        StorageError: the target cannot be written; what was there is as it was.
    """
    path = Path(target)
    sharded = path.name.lower().endswith(_INDEX_SUFFIX)
    if shard_size is not None and (shard_size < 1 or not sharded):
        found = f"a shard size of {shard_size} bytes" if sharded else f"a shard size for {path.name}"
        raise error("writer-misuse", where=str(path), found=found, hint="Shards have an index: name it *.weights.json.")
    if sharded and dialect == "tf_keras":
        found = "an index of files, which tf_keras does not have"
        raise error("writer-misuse", where=str(path), found=found, hint="Name the target *.weights.h5.")
    if dialect is not None and is_plain(model):
        raise error(
            "weights-layout", where=str(path), found="weights without a config, of which no other Keras' follow"
        )
    model = _in_dialect(model, "keras" if sharded else dialect, report)
    written = _written(model)
    _give_metrics(model, written, report)
    account(model, report, Scope("a weights file", _held(model, written), outside=_OUTSIDE))
    for name in kept_arrays(model):
        report.add("slot", name, "restored", "by its number")
    if strict:
        report.require_complete()
    counter = Counter(written.datasets, path.name, progress)
    if sharded:
        _write_shards(path, written, shard_size, counter)
    else:
        with replace_file(path) as file:
            write_layout(file, written.groups, written.datasets, counter)


def _in_dialect(model: Model, dialect: Dialect | None, report: Report) -> Model:
    """The model in the terms of one Keras; arrays that were kept by their number have no place in another."""
    if dialect is None or is_plain(model):
        return model
    translated = to_dialect(model, dialect, report)
    if translated is model or not kept_arrays(model) or model.state is None:
        return translated
    for name in kept_arrays(model):
        report.add("slot", name, "not-transferable", "its number is that of an optimizer of the other Keras")
    translated.state = replace(model.state, residue={})
    return translated


def _written(model: Model) -> Written:
    if is_plain(model):
        groups, datasets = written_plain(model)
        return Written({}, "keras", groups, datasets)
    if model.config is None:
        raise error("weights-layout", found="no config, and weights of another format's names")
    written = Writing(model).written()
    written.groups = kept_groups(model) | written.groups
    written.datasets = written.datasets | kept_arrays(model)
    return written


def _give_metrics(model: Model, written: Written, report: Report) -> None:
    """Add the state that metrics begin with, if the source has none: tf_keras demands some of a compiled model."""
    if is_plain(model) or written.dialect != "tf_keras" or (model.state is not None and model.state.metrics):
        return
    found = unused_metrics(written.tree)
    if found is None:
        detail = "their state is unknown: tf_keras loads the file into a model before its first batch, and not after"
        report.add("state", "metrics", "reset", detail)
        return
    written.datasets = written.datasets | found
    for name in found:
        written.groups.setdefault(name.rpartition("/")[0], {})


def _held(model: Model, written: Written) -> frozenset[str]:
    """What the file carries of a model."""
    state = set()
    if is_plain(model) or written.dialect == "tf_keras":
        state.add("metrics")
    if is_only_kept(model):
        state.add("residue")
    return frozenset({"weights", "optimizer"} | state)


def _write_shards(path: Path, written: Written, shard_size: int | None, counter: Counter) -> None:
    """The data files, which are named after their content, then the index.

    Keras opens the file of the number 0 before it looks into the index; it holds nothing, so that it may stay while
    the set around it changes.
    """
    base, earlier = base_of(path), own_names(path)
    sizes = {name: tensor.nbytes for name, tensor in written.datasets.items()}
    bunches = list(cut(sizes, shard_size, str(path)))
    files = []
    with FileSet(path) as made:
        with spool(path) as file:
            write_layout(file, {}, {}, counter)
            file.seek(0)
            made.add_fixed(shard_name(base, 0), file.read())
        for number, bunch in enumerate(bunches, 1):
            groups, datasets = part_of(written, bunch, first=number == 1)
            with spool(path) as file:
                write_layout(file, groups, datasets, counter)
                files.append((made.add(file, partial(shard_name, base, number)), bunch))
        made.commit(write_json(written_map(files, sum(sizes.values()))), earlier)
