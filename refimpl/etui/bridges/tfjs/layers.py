"""Layers models of TensorFlow.js, both ways, without TensorFlow, Keras or JavaScript (SPEC.md, annex H)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etui.bridges.keras.account import Scope, account
from etui.bridges.keras.content import Content
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.model_write import Writing
from etui.bridges.tfjs.document import (
    FORMAT,
    FORMATS,
    FRAMEWORK,
    JSON,
    MANIFEST,
    MODEL,
    TOPOLOGY,
    is_kind,
    parse_document,
    place_of,
    read_document,
    write_document,
)
from etui.bridges.tfjs.files import Packed, as_stored, check_folder, manifest_of, packed, write_files
from etui.bridges.tfjs.layer_content import fill, matched, report_casts
from etui.bridges.tfjs.layers_write import Layers, layers_of, slots_of
from etui.bridges.tfjs.manifest import Group, StoredWeight, read_manifest, stored_weights
from etui.bridges.tfjs.slots import GROUP as SLOTS
from etui.bridges.tfjs.slots import own_class, read_slots
from etui.bridges.tfjs.topology_read import read_topology
from etui.bridges.tfjs.training import OWN
from etui.bridges.tfjs.vocabulary import faults
from etui.bridges.tfjs.weight import Weight
from etui.bridges.tfjs.weight_names import Matching
from etui.containers.data_writer import Progress
from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.sources import BytesSource

__all__ = ["read", "recognises", "write"]

Json = Any

NATIVE = f"native/{FRAMEWORK}/{MODEL}"
_USER = "userDefinedMetadata"
_TRANSLATED = ("config.json", "training.json", "optimizer.msgpack")
_TITLE = "a TensorFlow.js layers model"
_HOLDS = frozenset({"config", "weights", "training", "metadata"})


def recognises(path: Path) -> bool:
    """Whether a folder has a `model.json`, or a file is one, that holds a layers model."""
    return is_kind(path, "layers")


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Translate a layers model that the converter, or TensorFlow.js itself, wrote.

    Args:
        path: its folder, or its `model.json` under any name.
        report: gets an entry for each weight and for the topology; a quantized weight is ``cast``.
        limits: refuse what is beyond these.
        native: keep `model.json` verbatim.

    Returns:
        A model that reads tensors from the files when they are asked for.

    Raises:
        RejectError: a code of SPEC.md, annex H, or of annex B for the config.
        StorageError: a file cannot be read.
    """
    place, name = place_of(path)
    folder = ForeignFolder(place, limits, link="part-not-a-file")
    try:
        model = _read(folder, name, report, limits, native=native)
    except BaseException:
        folder.close()
        raise
    model.closing = folder.close
    return model


def _read(folder: ForeignFolder, name: str, report: Report, limits: Limits, *, native: bool) -> Model:
    where = f"{folder.location}/{name}"
    tree = read_document(folder, name, "layers", limits)
    groups = read_manifest(tree, where, limits)
    topology = read_topology(tree, where, _shapes(groups))
    stored = list(stored_weights(groups, folder, where))
    slots = [one for one in stored if one.weight.group == SLOTS]
    content = Content(topology.tree, topology.dialect, {}, {}, topology.metadata)
    matching = fill(content, [one for one in stored if one.weight.group != SLOTS], where)
    _add_slots(content, tree.get(OWN), slots, matching, report)
    model = read_model(content, report, "tfjs modelTopology")
    report_casts(model, matching, report)
    for path, reason in faults(topology.tree):
        report.add("module", path, "translated", f"is what Keras takes it for: {reason}")
    model.metadata = _metadata(tree)
    if native:
        blob = Blob(BytesSource(folder.read(name, 0, folder.size(name) or 0)), JSON)
        model.native[NATIVE] = model.bind(blob, FRAMEWORK, topology.version or None, *_TRANSLATED)
        report.add("document", NATIVE, "verbatim", "")
    return model


def _shapes(groups: Iterable[Group]) -> dict[str, tuple[int, ...]]:
    return {weight.name: weight.shape for group in groups for weight in group.weights}


def _add_slots(
    content: Content, training: Json, slots: list[StoredWeight], matching: Matching[StoredWeight], report: Report
) -> None:
    """Put the state of the optimizer where a `.keras` file has it, or say that it is left out."""
    optimizer = training.get("optimizer_config") if isinstance(training, dict) else None
    config = optimizer.get("config") if isinstance(optimizer, dict) else None
    fields = config if isinstance(config, dict) else {}
    found = read_slots(own_class(training), fields, slots, list(matching.trained)) if slots else None
    if found is None or "compile_config" not in content.tree:
        for slot in slots:
            report.add("slot", slot.weight.name, "left-out", "what TensorFlow.js keeps there, Keras does not")
        return
    content.groups = {**content.groups, SLOTS: {}, f"{SLOTS}/{VARS}": {}}
    content.datasets = {**content.datasets, **found}
    content.trained = {SLOTS: list(matching.trained.values())}
    used = {dataset.path for dataset in found.values()}
    for slot in slots[len(used) :]:
        report.add("slot", slot.weight.name, "left-out", "zeros, which Keras does not keep")


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write a model as a layers model that `tf.loadLayersModel` loads; the same model gives the same bytes.

    Args:
        model: what to write.
        target: path of the folder, which is replaced in one step.
        report: gets an entry for everything in the model, and for what TensorFlow.js does not have.
        strict: refuse to write if anything would be lost.
        progress: called while weights are written, as (file name, bytes done, bytes in all).
        limits: of the document.

    Raises:
        TransferError: a code that begins with ``keras-`` or ``tfjs-``; ``not-complete``.
        UsageError, StorageError: the target is no place for it, or cannot be written; what was there is as it was.
    """
    check_folder(target, limits)
    verbatim = _verbatim(model, limits, report)
    if verbatim is not None:
        document, groups = verbatim
    else:
        layers = layers_of(model, report)
        group = packed(layers.weights)
        groups = [group] if group.weights else []
        document = write_document(_document(layers, groups, model.metadata), limits)
        report.add("document", MODEL, "regenerated", "from the neutral documents")
    stored = any(weight.group == SLOTS for group in groups for weight, _ in group.weights)
    holds = _HOLDS | ({SLOTS} if stored else frozenset())
    if not stored and model.optimizer is not None:
        for place, optimizer in model.optimizer.walk():
            for path, slots in optimizer.slots.items():
                for slot in slots:
                    report.add("slot", f"{place}/{path}/{slot}", "left-out", "TensorFlow.js has no such state")
    account(model, report, Scope(_TITLE, holds, outside=frozenset({"optimizer"}), native=NATIVE))
    if strict:
        report.require_complete()
    write_files(target, {MODEL: document}, groups, progress)


def _verbatim(model: Model, limits: Limits, report: Report) -> tuple[bytes, list[Packed]] | None:
    """The source's own document and groups, where config and training are as they were and the weights fit."""
    data = model.native_document(NATIVE, report)
    if data is None:
        return None
    try:
        tree = parse_document(data, NATIVE, limits)
        groups = read_manifest(tree, NATIVE, limits)
        topology = read_topology(tree, NATIVE, _shapes(groups))
        training = tree.get(OWN)
        stored = [_Listed(weight) for group in groups for weight in group.weights if weight.group != SLOTS]
        matching = matched(topology.tree, topology.dialect, stored, NATIVE)
    except EtuiError:
        return None
    datasets = dict(Writing(model).datasets())
    if _metadata(tree) != model.metadata or not matching.found.keys() <= datasets.keys():
        return None
    tensors = {one.weight.name: datasets[layout] for layout, one in matching.found.items()}
    if any(weight.group == SLOTS for group in groups for weight in group.weights):
        tensors |= {weight.name: tensor for weight, tensor in slots_of(model, training, matching.trained, datasets)}
    kept = as_stored(groups, tensors)
    if kept is None:
        report.add("document", NATIVE, "left-out", "the weights no longer fit into its manifest")
    return None if kept is None else (data, kept)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A weight of a manifest whose bytes are not at hand."""

    weight: Weight


def _metadata(tree: Mapping[str, Json]) -> dict[str, Json]:
    user = tree.get(_USER)
    return dict(user) if isinstance(user, dict) else {}


def _document(layers: Layers, groups: list[Packed], metadata: Mapping[str, Json]) -> dict[str, Json]:
    tree: dict[str, Json] = {
        FORMAT: FORMATS["layers"],
        "generatedBy": f"keras v{layers.topology['keras_version']}",
        "convertedBy": "Etui",
        TOPOLOGY: layers.topology,
    }
    if layers.training is not None:
        tree[OWN] = layers.training
    if metadata:
        tree[_USER] = dict(metadata)
    return tree | {MANIFEST: manifest_of(groups)}
