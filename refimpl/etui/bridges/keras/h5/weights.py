"""The legacy HDF5 format of weights alone, both ways, with and without a config (SPEC.md, annex C)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from etui import paths
from etui.bridges.keras.account import Scope, account
from etui.bridges.keras.content import Content, Dialect
from etui.bridges.keras.h5.lists import read_section, unlisted
from etui.bridges.keras.h5.match import plain_name
from etui.bridges.keras.h5.model import file_attrs, in_dialect
from etui.bridges.keras.h5.read import Arrays, kind_of, read_parts
from etui.bridges.keras.h5.write import Facts, Layers, write_weights, written_layers
from etui.bridges.keras.layer_table import UNTRAINED
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.variables import tensor_of
from etui.containers.data_writer import Progress
from etui.containers.state import State
from etui.containers.weights import Weights
from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.hdf5 import open_hdf5
from etui.storage.sources import open_file

_FACTS = "h5_weights"
_OPTIMIZER = "optimizer"
_OUTSIDE = frozenset({"config", "training", "optimizer", "assets", "native", "programs", "metadata", "state"})
_FLOATS = ("bfloat16", "float", "complex")


def recognises(path: Path) -> bool:
    """Whether a file is HDF5 whose root lists layers, and has no config of a model."""
    return kind_of(path) == "weights"


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
        path: the file.
        report: gets an entry for each array.
        limits: refuse what is beyond these.
        native: has no effect.
        config: the config of the model.

    Returns:
        A model that reads tensors from the file when they are asked for; closing it closes the file. Without a config
        it has weights named after layers and arrays, and state that holds the lists of the file.

    Raises:
        RejectError: a code of SPEC.md, annexes B and C.
        MissingExtraError: h5py is not installed.
        StorageError: the file cannot be read.
    """
    source = open_file(path)
    try:
        file = open_hdf5(source, str(path), limits, lists=True)
        section = read_section(file, "", str(path))
        arrays = Arrays(section, {}, section.version)
        model = _plain(arrays, report) if config is None else _with(config, arrays, report, str(path))
        for name in unlisted(file, section, {}):
            report.add("variable", name, "unexpected", "no list of the file names it")
    except BaseException:
        source.close()
        raise
    model.closing = source.close
    return model


def _with(config: Content, arrays: Arrays, report: Report, where: str) -> Model:
    model = read_parts(replace(config, tree=dict(config.tree)), arrays, report, where)
    if model.optimizer is not None:
        report.add("optimizer", _OPTIMIZER, "fresh", "the weights file holds nothing of it")
    return model


def _plain(arrays: Arrays, report: Report) -> Model:
    """The weights of a file without its model's config."""
    weights = Weights()
    listed: dict[str, list[list[str]]] = {}
    section = arrays.section
    for layer in section.layers:
        listed[layer] = []
    top: list[list[str]] = []
    for layer, name, array in section.arrays():
        path = _path(layer, name, weights)
        role = paths.unescape_segment(path.rpartition("/")[2])
        trainable = array.dtype.startswith(_FLOATS) and role not in UNTRAINED
        weights.add(path, tensor_of(array), role=role, trainable=trainable)
        (listed[layer] if layer else top).append([name, path])
        report.add("variable", path, "restored", "named by the file, and its flag is a guess")
    facts: dict[str, Any] = {"layers": [[layer, found] for layer, found in listed.items()], "top": top}
    known = {"backend": section.backend, "keras_version": section.version}
    facts["attrs"] = {key: text for key, text in known.items() if text is not None}
    return Model(weights=weights, state=State(residue={"keras": {_FACTS: facts}}))


def _path(layer: str, name: str, weights: Weights) -> str:
    """The path of a variable: the layer, then the array's name without the layer's in front."""
    inner = plain_name(name)
    inner = inner.removeprefix(f"{layer}/") or inner
    steps = [step for step in f"{layer}/{inner}".split("/") if step]
    path = "/".join(map(paths.escape_segment, steps))
    return path if path not in weights else paths.escape_segment(f"{layer}/{name}")


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001  (no document is written that has one)
    dialect: Dialect | None = None,
) -> None:
    """Write the weights of a model so that `load_weights` takes them, by order and by name; repeatable bytes.

    Args:
        model: one of Keras' ops, or one that `read` read without a config.
        target: path of the file, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while arrays are written, as (file name, bytes done, bytes in all).
        limits: have no effect.
        dialect: ``keras`` or ``tf_keras``, whose names and forms the arrays get; by default the model's own.

    Raises:
        TransferError: ``weights-layout``, the model has neither a config nor names of this format; a code that begins
            with ``keras-``; ``not-complete``.
        MissingExtraError: h5py is not installed.
        StorageError: the target cannot be written; what was there is as it was.
    """
    known = _facts(model)
    if known is not None and model.config is None and model.weights is not None:
        layers, facts = (
            _listed(model.weights, known),
            Facts({str(key): str(text) for key, text in dict(known.get("attrs", {})).items()}),
        )
        scope = Scope("a weights file", frozenset({"weights", "residue"}), outside=_OUTSIDE)
    else:
        model = in_dialect(model, dialect, target, report, trained=False)
        layers, facts = _layers(model)
        scope = Scope("a weights file", frozenset({"weights"}), outside=_OUTSIDE)
    account(model, report, scope)
    for path in layers.lost:
        report.add("variable", path, "not-transferable", "a legacy file has no place for it")
    if strict:
        report.require_complete()
    write_weights(Path(target), facts, layers, progress)


def _layers(model: Model) -> tuple[Layers, Facts]:
    if model.config is None:
        raise error("weights-layout", found="no config, and weights of another format's names")
    written = Writing(replace(model, optimizer=None)).written()
    return written_layers(model, written), Facts(file_attrs(model, written.dialect))


def _facts(model: Model) -> dict[str, Any] | None:
    residue = model.state.residue.get("keras", {}) if model.state is not None else {}
    found = residue.get(_FACTS) if isinstance(residue, dict) else None
    return found if isinstance(found, dict) else None


def _listed(weights: Weights, facts: dict[str, Any]) -> Layers:
    """The lists of the file that the weights were read from."""
    layers = Layers()
    used: set[str] = set()
    try:
        for layer, found in facts["layers"]:
            layers.arrays[str(layer)] = {str(name): weights[path].tensor for name, path in found}
            used.update(path for _, path in found)
        layers.top = {str(name): weights[path].tensor for name, path in facts["top"]}
        used.update(path for _, path in facts["top"])
    except (KeyError, TypeError, ValueError):
        raise error("weights-layout", found="lists of layers that are not those of the weights") from None
    layers.lost = [path for path in weights.variables if path not in used]
    return layers
