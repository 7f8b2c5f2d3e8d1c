"""Weights of TensorFlow.js alone, both ways: a manifest in a file of its own (SPEC.md, annex H.6)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from etui import paths
from etui.bridges.keras.account import Scope, account
from etui.bridges.keras.content import Content
from etui.bridges.keras.layer_table import UNTRAINED
from etui.bridges.keras.model_read import read_model
from etui.bridges.tfjs.document import (
    FRAMEWORK,
    JSON,
    WEIGHTS,
    is_list,
    parse_list,
    place_of,
    read_list,
    write_document,
)
from etui.bridges.tfjs.files import Packed, as_stored, check_folder, manifest_of, packed, write_files
from etui.bridges.tfjs.layer_content import fill, report_casts
from etui.bridges.tfjs.manifest import StoredWeight, read_groups, stored_weights
from etui.bridges.tfjs.narrowing import Narrowing
from etui.bridges.tfjs.variables import name_of, path_of, tensors_of
from etui.containers.data_writer import Progress
from etui.containers.weights import Weights
from etui.errors import EtuiError, error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.sources import BytesSource

__all__ = ["read", "recognises", "write"]

Json = Any

NATIVE = f"native/{FRAMEWORK}/{WEIGHTS}"
PROGRAM = f"programs/{FRAMEWORK}/main.pb"
GRAPH = "tensorflowjs_model.pb"
"""The graph that the first converters wrote beside the weights."""
MEDIA_TYPE = "application/vnd.tensorflow.graph-def"
_TITLE = "a weights manifest of TensorFlow.js"
_GUESS = "named by the file, and its flag is a guess"
_OUTSIDE = frozenset({"config", "training", "optimizer", "assets", "native", "programs", "metadata", "state"})
_SCOPE = Scope(_TITLE, frozenset({"weights"}), _OUTSIDE, native=NATIVE)


def recognises(path: Path) -> bool:
    """Whether a file, or `weights_manifest.json` in a folder, lists groups of weights."""
    return is_list(path)


def read(path: Path, report: Report, *, limits: Limits, native: bool = True, config: Content | None = None) -> Model:
    """Translate weights that no model describes, or those of a model whose config is elsewhere.

    Args:
        path: their manifest under any name, or the folder of a `weights_manifest.json`.
        report: gets an entry for each weight; a quantized weight is ``cast``.
        limits: refuse what is beyond these.
        native: keep the manifest verbatim; not that of a model with a config.
        config: the config of the model.

    Returns:
        A model, without config unless one is given, that reads tensors from the files when they are asked for.

    Raises:
        RejectError: a code of SPEC.md, annex H.
        StorageError: a file cannot be read.
    """
    place, name = place_of(path, WEIGHTS)
    folder = ForeignFolder(place, limits, link="part-not-a-file")
    try:
        where = f"{folder.location}/{name}"
        groups = read_groups(read_list(folder, name, limits), where, limits)
        stored = list(stored_weights(groups, folder, where))
        model = _alone(stored, report, limits, where) if config is None else _with(config, stored, report, where)
        _add_graph(model, folder, report, limits)
        if native and config is None:
            blob = Blob(BytesSource(folder.read(name, 0, folder.size(name) or 0)), JSON)
            model.native[NATIVE] = model.bind(blob, FRAMEWORK, None, "weights.json")
            report.add("document", NATIVE, "verbatim", "")
    except BaseException:
        folder.close()
        raise
    model.closing = folder.close
    return model


def _alone(stored: list[StoredWeight], report: Report, limits: Limits, where: str) -> Model:
    weights = Weights()
    for one in stored:
        path = path_of(one.weight.name)
        paths.check_path(path, where, limits)
        role = one.weight.name.rpartition("/")[2] or "data"
        weights.add(path, one.tensor(), role=role, trainable=_trains(one, role))
        status, detail = one.becomes()
        report.add("variable", path, status, f"{detail}; {_GUESS}" if detail else _GUESS)
    paths.check_no_collisions(list(weights.variables), where)
    return Model(weights=weights)


def _trains(stored: StoredWeight, role: str) -> bool:
    """What is known of a flag that no manifest tells."""
    numbers = stored.weight.neutral in ("float32", "float16")
    return numbers and stored.weight.group is None and role not in UNTRAINED


def _with(config: Content, stored: list[StoredWeight], report: Report, where: str) -> Model:
    content = replace(config, tree=dict(config.tree))
    matching = fill(content, [one for one in stored if one.weight.group is None], where)
    model = read_model(content, report, "tfjs weightsManifest")
    report_casts(model, matching, report)
    for one in stored:
        if one.weight.group is not None:
            report.add("slot", one.weight.name, "left-out", "no manifest tells what its optimizer is")
    if model.optimizer is not None:
        report.add("optimizer", "optimizer", "fresh", "the manifest holds nothing of it")
    return model


def _add_graph(model: Model, folder: ForeignFolder, report: Report, limits: Limits) -> None:
    """Take up the graph beside the weights, whose constants they are, if there is one."""
    size = folder.size(GRAPH)
    if size is None:
        return
    if size > limits.document_bytes:
        raise error("limit-document", where=f"{folder.location}/{GRAPH}", found=f"{size} bytes")
    model.programs[PROGRAM] = Blob(BytesSource(folder.read(GRAPH, 0, size)), MEDIA_TYPE)
    report.add("program", PROGRAM, "restored", f"from {GRAPH}")
    if model.config is None and model.weights is not None:
        for variable in model.weights.variables.values():
            variable.trainable = False


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write the variables as weights that `tf.loadWeights` loads; the same model gives the same bytes.

    Args:
        model: what to write.
        target: path of the folder, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while weights are written, as (file name, bytes done, bytes in all).
        limits: of the manifest.

    Raises:
        TransferError: ``tfjs-nothing``, no variables; ``not-complete``.
        UsageError, StorageError: the target is no place for it, or cannot be written; what was there is as it was.
    """
    check_folder(target, limits, WEIGHTS, GRAPH)
    if model.weights is None or not model.weights.variables:
        raise error("tfjs-nothing", where=os.fspath(target), found="no variables")
    kept = _verbatim(model, model.weights, limits, report)
    if kept is None:
        group = packed(_narrowed(model.weights, report))
        kept = write_document(manifest_of([group]), limits, WEIGHTS), [group]
        report.add("document", WEIGHTS, "regenerated", "from the neutral documents")
    document, groups = kept
    documents = {WEIGHTS: document}
    if PROGRAM in model.programs:
        documents[GRAPH] = model.programs[PROGRAM].read()
        report.add("program", PROGRAM, "restored", f"as {GRAPH}")
    account(model, report, _SCOPE)
    if strict:
        report.require_complete()
    write_files(target, documents, groups, progress)


def _verbatim(model: Model, weights: Weights, limits: Limits, report: Report) -> tuple[bytes, list[Packed]] | None:
    """The source's own manifest and its groups, where the weights are those that it lists."""
    data = model.native_document(NATIVE, report)
    if data is None:
        return None
    try:
        groups = read_groups(parse_list(data, NATIVE, limits), NATIVE, limits)
    except EtuiError:
        return None
    kept = as_stored(groups, tensors_of(weights))
    if kept is None:
        report.add("document", NATIVE, "left-out", "the weights do not fit into it")
    return None if kept is None else (data, kept)


def _narrowed(weights: Weights, report: Report) -> list[Any]:
    """Each variable and each alias with its entry, in order, in a dtype that TensorFlow.js loads."""
    for path, target in weights.aliases.items():
        report.add("variable", path, "translated", f"a copy of {target}")
    narrowing = Narrowing({id(variable.tensor): path for path, variable in weights.variables.items()}, report)
    return [narrowing.weight(name_of(path), weights[path].tensor) for path in [*weights.variables, *weights.aliases]]
