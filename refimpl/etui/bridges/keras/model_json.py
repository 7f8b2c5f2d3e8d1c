"""The JSON of a model's config, both ways, and the YAML of Keras 2, which is read only (SPEC.md, annexes B and D).

It holds what `config.json` of a `.keras` file holds; that of Keras 1 and Keras 2 is lifted to the form of tf_keras.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from etui.bridges.keras.account import Scope, account
from etui.bridges.keras.archive import FRAMEWORK, NATIVE
from etui.bridges.keras.content import Content, Dialect
from etui.bridges.keras.dialects.normalize import to_dialect
from etui.bridges.keras.json_text import check_values, read_json, write_json
from etui.bridges.keras.lift import lift
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import residue
from etui.bridges.keras.patches import Json, same
from etui.bridges.keras.vocabulary import with_vocabularies
from etui.bridges.keras.yaml_text import read_yaml
from etui.containers.data_writer import Progress
from etui.containers.weights import Weights
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.sources import BytesSource, open_file
from etui.storage.transaction import replace_file

_RECOGNISED_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 4096
# A model of a thousand layers has some 50,000; a value takes up to twenty times the memory of its text.
_VALUES = 1_000_000
_YAML_FIELDS = (re.compile(rb"^class_name:", re.MULTILINE), re.compile(rb"^config:", re.MULTILINE))
_ABOUT = ("keras_version", "backend")
_TF_KERAS_ABOUT: dict[str, Json] = {"keras_version": "2.21.0", "backend": "tensorflow"}
# The document as it was read: one in the form that is written, and one in an older form.
_CURRENT, _OLDER = f"{NATIVE}model.json", f"{NATIVE}older_model"
_OUTSIDE = frozenset({"weights", "optimizer", "assets", "native", "programs", "metadata", "state"})
_DOCUMENTS = ("config.json", "training.json")


def recognises(path: Path) -> bool:
    """Whether a file is a JSON object with a class and its config, or begins as the YAML of a model does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.lstrip().startswith(b"{"):
        return _is_yaml(head)
    if path.stat().st_size > _RECOGNISED_BYTES:
        return False
    try:
        return _is_node(_json_of(path, DEFAULT_LIMITS))
    except EtuiError:
        return False


def _is_yaml(head: bytes) -> bool:
    return all(field.search(head) for field in _YAML_FIELDS)


def _is_node(tree: Json) -> bool:
    return (
        isinstance(tree, dict)
        and isinstance(tree.get("class_name"), str)
        and isinstance(tree.get("config"), dict | list)
    )


def _json_of(path: Path, limits: Limits) -> dict[str, Json]:
    source = open_file(path)
    try:
        check_values(source, _VALUES, str(path))
        return read_json(source, str(path), limits)
    finally:
        source.close()


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Translate the JSON or YAML of a model's config.

    Args:
        path: the file.
        report: gets an entry for the config, and for each place that holds code.
        limits: refuse what is beyond these.
        native: keep the document verbatim.

    Returns:
        A model with a config, and with a training config where the model was compiled.

    Raises:
        RejectError: a code of SPEC.md, annexes B and D.
        MissingExtraError: the document is YAML, and PyYAML is not installed.
        StorageError: the file cannot be read.
    """
    source = open_file(path)
    try:
        if source.size > limits.document_bytes:
            raise error("limit-document", where=str(path), found=f"{source.size} bytes")
        data = source.read(0, source.size)
        is_json = not _is_yaml(data[:_HEAD_BYTES])
        check_values(source, _VALUES, str(path))
        tree = read_json(source, str(path), limits) if is_json else read_yaml(source, str(path), limits)
    finally:
        source.close()
    if not _is_node(tree):
        raise error("keras-config", where=str(path), found=f"the fields {shown(sorted(tree))}")
    version = tree.get("keras_version")
    node = {key: value for key, value in tree.items() if key not in _ABOUT}
    dialect = dialect_of(tree)
    lifted = (
        lift(node, version if isinstance(version, str) else None, where=str(path)) if dialect == "tf_keras" else node
    )
    metadata = {"keras_version": version} if isinstance(version, str) else {}
    model = read_model(Content(lifted, dialect, metadata=metadata), report, "model config")
    _without_arrays(model)
    if native:
        name = _CURRENT if is_json and same(lifted, node) else _OLDER
        blob = Blob.of(data, "application/json" if is_json else "application/yaml")
        model.native[name] = model.bind(blob, FRAMEWORK, version if isinstance(version, str) else None, *_DOCUMENTS)
        report.add("document", name, "verbatim")
    return model


def _without_arrays(model: Model) -> None:
    """Keep the optimizer's config, of which there is no state, as Keras wrote it."""
    if model.optimizer is not None and model.training is not None:
        node = Writing(model).config()["compile_config"]["optimizer"]
        facts: dict[str, Any] = model.training.residue.setdefault("keras", {})
        facts.setdefault("fields", {})["optimizer"] = node
    model.optimizer = model.weights = None


def dialect_of(tree: dict[str, Json]) -> str:
    """``keras`` for the JSON of Keras 3, ``tf_keras`` for that of Keras 1, Keras 2 and tf_keras.

    Those name their version; Keras 3 does not, and names the module of every class.
    """
    version = tree.get("keras_version")
    if isinstance(version, str):
        return "keras" if version.startswith("3.") else "tf_keras"
    module = tree.get("module")
    old = not isinstance(module, str) or module.startswith(("tf_keras", "keras.src.engine", "keras.engine"))
    return "tf_keras" if old else "keras"


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,  # noqa: ARG001  (a config is written at once)
    limits: Limits = DEFAULT_LIMITS,
    dialect: Dialect | None = None,
) -> None:
    """Write the config of a model as the JSON that `model_from_json` of Keras 3 or tf_keras takes.

    Args:
        model: one of Keras' ops.
        target: path of the file, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: has no effect.
        limits: of the document.
        dialect: ``keras`` for JSON that Keras 3 loads, ``tf_keras`` for JSON that tf_keras loads; `None` for that of
            the model.

    Raises:
        LimitError: ``limit-document``, a config that readers refuse.
        TransferError: a code that begins with ``keras-``; ``not-complete``.
        StorageError: the target cannot be written; what was there is as it was.
    """
    if dialect is not None:
        trained = frozenset({"training", "optimizer"}) if dialect == "keras" else frozenset()
        model = to_dialect(model, dialect, report, holds=trained)
    model = with_vocabularies(model, report)
    writing = Writing(replace(model, weights=Weights() if model.weights is None else model.weights))
    data = model.native_document(_CURRENT, report)
    if data is None:
        data = write_json(_written(writing))
        report.add("document", "model config", "regenerated", "from the neutral documents")
    if len(data) > limits.document_bytes:
        raise error("limit-document", where=os.fspath(target), found=f"{len(data)} bytes")
    check_values(BytesSource(data), _VALUES, os.fspath(target))
    holds = {"config"} | ({"training"} if writing.dialect == "keras" else set())
    outside = _OUTSIDE if writing.dialect == "keras" else _OUTSIDE | {"training"}
    account(model, report, Scope("a model's JSON", frozenset(holds), outside=outside, native=NATIVE))
    if strict:
        report.require_complete()
    with replace_file(target) as file:
        file.write(data)


def _written(writing: Writing) -> dict[str, Json]:
    tree = writing.config()
    version = residue(writing.model_config.model).get("metadata", {}).get("keras_version")
    if writing.dialect == "keras":
        # Where no module says that it is of Keras 3, its version does.
        newer = isinstance(version, str) and version.startswith("3.")
        return tree | {"keras_version": version} if newer and dialect_of(tree) != "keras" else tree
    # tf_keras writes how a model was compiled to whole models alone.
    tree = {key: value for key, value in tree.items() if key != "compile_config"}
    known = isinstance(version, str) and version.startswith("2.")
    return tree | (_TF_KERAS_ABOUT | {"keras_version": version} if known else _TF_KERAS_ABOUT)
