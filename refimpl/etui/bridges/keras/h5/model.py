"""The legacy HDF5 format of whole models, both ways: Keras 1 to 3, without any of them (SPEC.md, annex C)."""

from __future__ import annotations

import json
import os
from pathlib import Path

from etui.bridges.keras.account import Scope, account
from etui.bridges.keras.content import Dialect
from etui.bridges.keras.dialects.normalize import to_dialect
from etui.bridges.keras.h5.read import FACTS, MODEL_CONFIG, TRAINING_CONFIG, kind_of, read_documents, read_whole
from etui.bridges.keras.h5.training import spelled_out, written_training
from etui.bridges.keras.h5.write import Facts, Layers, write_file, written_layers, written_optimizer
from etui.bridges.keras.json_text import write_json
from etui.bridges.keras.lift import dialect_of, lower
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import residue
from etui.bridges.keras.optimizer_table import TF_SCALER
from etui.bridges.keras.vocabulary import with_vocabularies
from etui.containers.data_writer import Progress
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.hdf5 import Hdf5File, open_hdf5
from etui.storage.sources import BytesSource, open_file

FRAMEWORK = "keras-h5"
NATIVE = f"native/{FRAMEWORK}/"
_JSON = "application/json"
_HOLDS = frozenset({"config", "weights", "training", "optimizer"})
_TRANSLATED = {MODEL_CONFIG: ("config.json",), TRAINING_CONFIG: ("training.json", "optimizer.msgpack")}
_VERSIONS = {"keras": "3.15.1", "tf_keras": "2.21.0"}


def recognises(path: Path) -> bool:
    """Whether a file is HDF5 whose root has the config of a model."""
    return kind_of(path) == "model"


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Translate a whole-model file.

    Args:
        path: the file.
        report: gets an entry for each stored array and document.
        limits: refuse what is beyond these.
        native: keep the texts of the config and of the training config.

    Returns:
        A model that reads tensors from the file when they are asked for; closing it closes the file.

    Raises:
        RejectError: a code of SPEC.md, annexes B and C.
        MissingExtraError: h5py is not installed.
        StorageError: the file cannot be read.
    """
    source = open_file(path)
    try:
        file = open_hdf5(source, str(path), limits, lists=True)
        model = read_whole(file, report, str(path), limits)
        if native:
            _keep_natives(model, file, report, read_documents(file, str(path), limits).version)
    except BaseException:
        source.close()
        raise
    model.closing = source.close
    return model


def _keep_natives(model: Model, file: Hdf5File, report: Report, version: str | None) -> None:
    """Keep the own documents, bound to what was made of them."""
    for name, documents in _TRANSLATED.items():
        text = file.groups[""].get(name)
        if text is not None:
            part = f"{NATIVE}{name}.json"
            model.native[part] = model.bind(Blob(BytesSource(text.encode()), _JSON), FRAMEWORK, version, *documents)
            report.add("document", part, "verbatim")


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    dialect: Dialect | None = None,
) -> None:
    """Write a model as a legacy HDF5 file that Keras loads; the same model gives the same bytes.

    Args:
        model: what to write; its ops are Keras' or the author's own.
        target: path of the file, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while arrays are written, as (file name, bytes done, bytes in all).
        limits: of the documents that are written.
        dialect: ``keras`` for a file that Keras 3 loads, ``tf_keras`` for one that tf_keras loads, and without a
            training config Keras 3 as well; by default the model's own. A model of the other is translated (annex E).

    Raises:
        LimitError: ``limit-document``, a config that readers refuse.
        TransferError: a code that begins with ``keras-``, Keras has no form for the model; ``not-complete``.
        MissingExtraError: h5py is not installed.
        StorageError: the target cannot be written; what was there is as it was.
    """
    model = with_vocabularies(in_dialect(model, dialect, target, report), report)
    written = Writing(model).written()
    layers = written_layers(model, written)
    optimizer = written_optimizer(model, written, layers)
    texts = _documents(model, written.tree, written.dialect, report)
    for name, text in texts.items():
        if len(text) > limits.document_bytes:
            raise error("limit-document", where=name, found=f"{len(text)} bytes")
    restores = written.dialect == "tf_keras"
    _account(model, layers, report, detail=_passes_over(model, written.dialect) if optimizer else "")
    if strict:
        report.require_complete()
    write_file(Path(target), Facts(file_attrs(model, written.dialect), texts, restores), layers, optimizer, progress)


def in_dialect(
    model: Model, dialect: Dialect | None, target: str | os.PathLike[str], report: Report, *, trained: bool = True
) -> Model:
    """The model in the terms of a dialect; in its own if there is none.

    Args:
        model: any model.
        dialect: the dialect, or `None`.
        target: the file, for messages.
        report: gets what has no equal.
        trained: whether the target holds what the model is trained with.

    Raises:
        UsageError: ``writer-misuse``, a dialect that does not exist.
    """
    if dialect is None:
        return model
    if dialect not in _VERSIONS:
        raise error("writer-misuse", where=os.fspath(target), found=f"the dialect {shown(dialect)}")
    return to_dialect(model, dialect, report) if trained else to_dialect(model, dialect, report, holds=frozenset())


def file_attrs(model: Model, dialect: str) -> dict[str, str]:
    """The version and backend that a file names: those of the model's source, or the last ones of the dialect."""
    facts = {} if model.config is None else residue(model.config.model)
    version = facts.get("metadata", {}).get("keras_version")
    if not isinstance(version, str) or dialect_of(version) != dialect:
        version = _VERSIONS[dialect]
    return {"backend": str(facts.get(FACTS, {}).get("backend", "tensorflow")), "keras_version": version}


def _documents(model: Model, tree: dict[str, object], dialect: str, report: Report) -> dict[str, str]:
    """The texts of the two documents: verbatim where they are still current and of a form that later readers take."""
    found = {}
    for name in _TRANSLATED:
        native = model.native.get(f"{NATIVE}{name}.json")
        old = native is not None and (native.framework_version or "1").partition(".")[0] in ("0", "1")
        data = None if old else model.native_document(f"{NATIVE}{name}.json", report)
        if data is not None and name == TRAINING_CONFIG and dialect == "keras":
            loss = json.loads(data).get("loss")
            data = data if spelled_out(loss) == loss else None
        if data is None:
            node = _tree(name, tree, dialect)
            if node is None:
                if name == TRAINING_CONFIG and model.training is not None:
                    detail = "a legacy file has no place for a training config without an optimizer"
                    report.add("document", "training.json", "not-transferable", detail)
                continue
            data = write_json(node)
            report.add("document", name, "regenerated", "from the neutral documents")
        found[name] = data.decode()
    return found


def _tree(name: str, tree: dict[str, object], dialect: str) -> dict[str, object] | None:
    if name == MODEL_CONFIG:
        return lower(tree)
    compiled = tree.get("compile_config")
    return written_training(compiled, dialect) if isinstance(compiled, dict) and compiled else None


def _passes_over(model: Model, dialect: str) -> str:
    """Why the framework does not restore the optimizer from the file, or nothing if it does."""
    if dialect == "keras":
        return "kept where Keras 3 passes over it: it restores no optimizer from this format"
    optimizers = {} if model.optimizer is None else model.optimizer.optimizers
    scalers = [one for one in optimizers.values() if one.algorithm == TF_SCALER]
    if not all(one.residue.get("keras", {}).get("implied") for one in scalers):
        return "tf_keras restores no newer optimizer with a loss scaler from this format"
    return ""


def _account(model: Model, layers: Layers, report: Report, *, detail: str) -> None:
    known = set() if model.weights is None else set(model.weights.variables)
    for path in layers.lost:
        kind = "variable" if path in known else "slot"
        report.add(kind, path, "not-transferable", "a legacy file has no place for it")
    if detail:
        report.add("optimizer", "optimizer", "data-only", detail)
    account(model, report, Scope("a legacy HDF5 file", _HOLDS, native=NATIVE))
