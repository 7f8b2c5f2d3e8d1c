"""Graph models of TensorFlow.js, both ways: the graph is a program, its weights are variables (SPEC.md, annex H.5)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etui import paths
from etui.bridges.keras.account import Scope, account
from etui.bridges.tfjs.document import (
    MANIFEST,
    MODEL,
    is_kind,
    kind_of,
    parse_document,
    place_of,
    read_document,
    write_document,
)
from etui.bridges.tfjs.files import Packed, as_stored, check_folder, fits, manifest_of, packed, write_files
from etui.bridges.tfjs.manifest import Group, read_manifest, stored_weights
from etui.bridges.tfjs.variables import path_of, tensors_of
from etui.bridges.tfjs.weight import DTYPES, LOADED, Weight
from etui.containers.data_writer import Progress
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.sources import BytesSource

__all__ = ["read", "recognises", "write"]

Json = Any

PROGRAM = "programs/tfjs/main.json"
MEDIA_TYPE = "application/vnd.tensorflowjs.graph-model+json"
_TITLE = "a TensorFlow.js graph model"
_USER, _SIGNATURE = "userDefinedMetadata", "signature"
_SCOPE = Scope(_TITLE, frozenset({"weights", "metadata"}))


def recognises(path: Path) -> bool:
    """Whether a folder has a `model.json`, or a file is one, that holds a graph model."""
    return is_kind(path, "graph")


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:  # noqa: ARG001  no documents
    """Translate a graph model.

    Args:
        path: its folder, or its `model.json` under any name.
        report: gets an entry for each weight and for the graph.
        limits: refuse what is beyond these.
        native: without effect: the graph is the model, and not another form of it.

    Returns:
        A model without config that reads tensors from the files when they are asked for.

    Raises:
        RejectError: a code of SPEC.md, annex H.
        StorageError: a file cannot be read.
    """
    place, name = place_of(path)
    folder = ForeignFolder(place, limits, link="part-not-a-file")
    try:
        tree = read_document(folder, name, "graph", limits)
        where = f"{folder.location}/{name}"
        weights = Weights()
        for stored in stored_weights(read_manifest(tree, where, limits), folder, where):
            variable = path_of(stored.weight.name)
            paths.check_path(variable, where, limits)
            weights.add(variable, stored.tensor(), role="data", trainable=False)
            report.add("variable", variable, *stored.becomes())
        paths.check_no_collisions(list(weights.variables), where)
        source = BytesSource(folder.read(name, 0, folder.size(name) or 0))
    except BaseException:
        folder.close()
        raise
    report.add("program", PROGRAM, "restored", "")
    model = Model(weights=weights, programs={PROGRAM: Blob(source, MEDIA_TYPE)}, metadata=_metadata(tree))
    model.closing = folder.close
    return model


def _metadata(tree: Mapping[str, Json]) -> dict[str, Json]:
    """What the document says of the model beside its graph: the author's own map, and the signature."""
    user = tree.get(_USER)
    found = dict(user) if isinstance(user, dict) else {}
    return found | ({_SIGNATURE: tree[_SIGNATURE]} if isinstance(tree.get(_SIGNATURE), dict) else {})


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write the graph that a model holds as a program, with the model's variables as its weights.

    Args:
        model: with the program of a graph model.
        target: path of the folder, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while weights are written, as (file name, bytes done, bytes in all).
        limits: of the document.

    Raises:
        TransferError: ``tfjs-graph``; ``not-complete``.
        UsageError, StorageError: the target is no place for it, or cannot be written; what was there is as it was.
    """
    check_folder(target, limits)
    data, tree = _program(model, limits)
    tensors = tensors_of(model.weights or Weights())
    groups = read_manifest(tree, PROGRAM, limits)
    kept = as_stored(groups, tensors)
    fields = _with_metadata(tree, model.metadata)
    if kept is None:
        kept = _restored(groups, tensors, report)
        fields[MANIFEST] = manifest_of(kept)
    report.add("program", PROGRAM, "restored" if fields == tree else "translated", "")
    for name in model.programs.keys() - {PROGRAM}:
        report.add("program", name, "not-transferable", f"{_TITLE} has no place for it")
    account(model, report, _SCOPE)
    if strict:
        report.require_complete()
    document = data if fields == tree else write_document(fields, limits)
    write_files(target, {MODEL: document}, kept, progress)


def _program(model: Model, limits: Limits) -> tuple[bytes, dict[str, Json]]:
    blob = model.programs.get(PROGRAM)
    if blob is None:
        raise error("tfjs-graph", found=f"no program {PROGRAM}")
    data = blob.read()
    tree = parse_document(data, PROGRAM, limits)
    if kind_of(tree) != "graph":
        raise error("tfjs-graph", where=PROGRAM, found="a document that holds no graph model")
    return data, tree


def _with_metadata(tree: dict[str, Json], metadata: Mapping[str, Json]) -> dict[str, Json]:
    """The document with the model's metadata, the same object's content where nothing changed."""
    if metadata == _metadata(tree):
        return dict(tree)
    user = {key: value for key, value in metadata.items() if key != _SIGNATURE or not isinstance(value, dict)}
    fields = {key: value for key, value in tree.items() if key not in (_USER, _SIGNATURE)}
    fields |= {_SIGNATURE: metadata[_SIGNATURE]} if isinstance(metadata.get(_SIGNATURE), dict) else {}
    return fields | ({_USER: user} if user else {})


def _restored(groups: tuple[Group, ...], tensors: dict[str, Tensor], report: Report) -> list[Packed]:
    """The groups for weights that the manifest cannot hold as it is: those that changed are no longer quantized."""
    entries = {weight.name: weight for group in groups for weight in group.weights}
    odd = sorted(entries.keys() ^ tensors.keys())
    if odd:
        raise error("tfjs-graph", found=f"{len(odd)} weights that the model or the graph lacks, as {shown(odd[0])}")
    found = []
    for number, group in enumerate(groups, 1):
        pairs = [(_entry(weight, tensors[weight.name], report), tensors[weight.name]) for weight in group.weights]
        found.append(packed(pairs, number))
    return found


def _entry(weight: Weight, tensor: Tensor, report: Report) -> Weight:
    """The entry that holds a tensor in place of `weight`."""
    if tensor.shape != weight.shape:
        found = f"{weight.name} of the shape {list(tensor.shape)} in place of {list(weight.shape)}"
        raise error("tfjs-graph", found=found)
    if fits(weight, tensor):
        return weight
    dtype = next((name for name in LOADED if DTYPES[name] == tensor.dtype), None)
    if dtype != weight.dtype:
        raise error("tfjs-graph", found=f"{weight.name} of {tensor.dtype} in place of {weight.dtype}")
    report.add("variable", path_of(weight.name), "translated", "its elements changed, so it is no longer quantized")
    return Weight(weight.name, weight.shape, weight.dtype, group=weight.group)
