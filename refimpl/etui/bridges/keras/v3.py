"""The `.keras` format, both ways: archives of Keras 3 and of tf_keras, without either of them (SPEC.md, annex B)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from etui.bridges.keras import archive as keras_archive
from etui.bridges.keras.account import EVERYTHING, Scope, account
from etui.bridges.keras.archive import ASSETS, CONFIG, FRAMEWORK, METADATA, NATIVE, WEIGHTS, recognises
from etui.bridges.keras.assets import read_assets, written_assets
from etui.bridges.keras.content import Content, Dialect, Written
from etui.bridges.keras.dialects.normalize import to_dialect
from etui.bridges.keras.json_text import read_json, write_json
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import residue
from etui.bridges.keras.optimizer_table import is_older
from etui.bridges.keras.patches import Json
from etui.bridges.keras.weights.layout_file import Counter, write_layout
from etui.containers.data_writer import Progress
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.foreign_names import is_clutter
from etui.storage.hdf5 import open_hdf5
from etui.storage.hdf5_writer import spool, spooled
from etui.storage.part_names import escape, unescape
from etui.storage.zip_foreign import ForeignZip, Member, open_zip, write_zip
from etui.storage.zip_names import check_names

__all__ = ["read", "recognises", "write"]

_JSON, _OTHER = "application/json", "application/octet-stream"
_METADATA: dict[str, dict[str, Json]] = {
    dialect: {"keras_version": version, "date_saved": "1980-01-01@00:00:00"}
    for dialect, version in (("keras", "3.15.1"), ("tf_keras", "2.21.0"))
}
# Documents that were translated, and the neutral ones that they became.
_TRANSLATED = {CONFIG: ("config.json", "training.json", "optimizer.msgpack"), METADATA: ("config.json",)}
_OWN = frozenset(NATIVE + name for name in _TRANSLATED)


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Translate a `.keras` file.

    Args:
        path: the file.
        report: gets an entry for each stored dataset, document and asset.
        limits: refuse what is beyond these.
        native: keep `config.json` and `metadata.json` verbatim.

    Returns:
        A model that reads tensors from the file when they are asked for; closing it closes the file.

    Raises:
        RejectError: a code of SPEC.md, annex B.
        MissingExtraError: h5py is not installed.
        StorageError: the file cannot be read.
    """
    archive = open_zip(path, limits)
    try:
        model = _read(archive, report, limits, native=native)
    except BaseException:
        archive.close()
        raise
    model.closing = archive.close
    return model


def _read(archive: ForeignZip, report: Report, limits: Limits, *, native: bool) -> Model:
    keras_archive.check_members(archive)
    names = archive.names()
    where = f"{archive.location}, "
    tree = read_json(archive.source(CONFIG), where + CONFIG, limits)
    metadata = read_json(archive.source(METADATA), where + METADATA, limits) if METADATA in names else {}
    file = open_hdf5(archive.source(WEIGHTS), where + WEIGHTS, limits)
    dialect = keras_archive.dialect_of(tree, metadata)
    model = read_model(Content(tree, dialect, file.groups, file.datasets, metadata), report, f"keras {CONFIG}")
    if model.config is not None:
        assets = (name for name in names if name.startswith(ASSETS) and not is_clutter(name))
        blobs = {name: Blob(archive.source(name)) for name in assets}
        model.assets = read_assets(model.config, blobs, report)
    _keep_natives(model, archive, metadata, report, native=native)
    return model


def _keep_natives(
    model: Model, archive: ForeignZip, metadata: Mapping[str, Json], report: Report, *, native: bool
) -> None:
    """Keep the own documents, bound to what was made of them; other members are handed on."""
    version = metadata.get("keras_version")
    version = version if isinstance(version, str) else None
    for name in archive.names():
        if is_clutter(name):
            report.add("document", name, "left-out", "what a file manager put there for itself")
            continue
        if name == WEIGHTS or name.startswith(ASSETS) or (name in _TRANSLATED and not native):
            continue
        blob = Blob(archive.source(name), _JSON if name in _TRANSLATED else _OTHER)
        part = NATIVE + escape(name)
        model.native[part] = model.bind(blob, FRAMEWORK, version, *_TRANSLATED.get(name, ()))
        report.add("document", part, "verbatim", "" if name in _TRANSLATED else "handed on")


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    dialect: Dialect = "keras",
) -> None:
    """Write a model as a `.keras` file that Keras loads; the same model gives the same bytes.

    Args:
        model: what to write; its ops are Keras' or the author's own.
        target: path of the file, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while variables are written, as (member name, bytes done, bytes in all).
        limits: of the documents that are written.
        dialect: ``keras`` for a file that Keras 3 loads, ``tf_keras`` for one that tf_keras loads; a model of the other
            is translated (annex E).

    Raises:
        LimitError: ``limit-document``, a config that readers refuse.
        UnsafeError: ``foreign-zip-name``, an asset or a native document whose name leads out of the archive.
        TransferError: a code that begins with ``keras-``, Keras has no form for the model; ``not-complete``.
        MissingExtraError: h5py is not installed.
        StorageError: the target cannot be written; what was there is as it was.
    """
    if dialect not in _METADATA:
        raise error("writer-misuse", where=os.fspath(target), found=f"the dialect {shown(dialect)}")
    model = to_dialect(model, dialect, report)
    writing = Writing(model)
    written = writing.written()
    config, metadata = _documents(model, written, residue(writing.model_config.model), report)
    if len(config) > limits.document_bytes:
        raise error("limit-document", where=CONFIG, found=f"{len(config)} bytes")
    assets = list(written_assets(writing.model_config, model.assets))
    holds = EVERYTHING | {"metrics"} if written.dialect == "tf_keras" else EVERYTHING
    for key, optimizer in () if model.optimizer is None else model.optimizer.optimizers.items():
        if written.dialect == "tf_keras" and is_older(optimizer.algorithm) and optimizer.micro_step:
            detail = "kept where tf_keras passes over it: it restores no older optimizer from this format"
            report.add("optimizer", key, "data-only", detail)
    account(model, report, Scope("a `.keras` file", holds, native=NATIVE))
    if strict:
        report.require_complete()
    path = Path(target)
    with spool(path) as file:
        write_layout(file, written.groups, written.datasets, Counter(written.datasets, WEIGHTS, progress))
        size = file.seek(0, os.SEEK_END)
        members: list[Member] = [
            (METADATA, len(metadata), [metadata]),
            (CONFIG, len(config), [config]),
            (WEIGHTS, size, spooled(file)),
        ]
        members += [(name, blob.size, [blob.view()]) for name, blob in assets]
        known = {name for name, _, _ in members}
        members += [(name, blob.size, [blob.view()]) for name, blob in _handed_on(model) if name not in known]
        check_names([name for name, _, _ in members], os.fspath(target), limits)
        write_zip(path, members)


def _documents(model: Model, written: Written, facts: Mapping[str, Any], report: Report) -> tuple[bytes, bytes]:
    """The bytes of `config.json` and `metadata.json`: verbatim where they are still current."""
    documents = []
    for name, tree in ((CONFIG, written.tree), (METADATA, facts.get("metadata", _METADATA[written.dialect]))):
        data = model.native_document(NATIVE + name, report)
        if data is None:
            data = write_json(tree)
            report.add("document", name, "regenerated", "from the neutral documents")
        documents.append(data)
    config, metadata = documents
    return config, metadata


def _handed_on(model: Model) -> Iterator[tuple[str, Blob]]:
    """Members of the source's archive that no rule knows."""
    for name, native in model.native.items():
        if name.startswith(NATIVE) and name not in _OWN and not native.bindings:
            yield unescape(name.removeprefix(NATIVE)), native.blob
