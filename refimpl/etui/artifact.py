"""Opening and saving an artifact: the glue between the in-memory model, the containers and the storage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from etui import digest
from etui.canonical import json, msgpack
from etui.containers import config as config_container
from etui.containers import consistency
from etui.containers import manifest as manifest_container
from etui.containers import optimizer as optimizer_container
from etui.containers import state as state_container
from etui.containers import training as training_container
from etui.containers import weights as weights_container
from etui.containers.data_parts import DataParts
from etui.containers.data_writer import Progress, WrittenData, plan_data, rehearse, write_data
from etui.containers.manifest import Manifest, PartEntry
from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model, Native
from etui.storage import create_artifact, open_artifact
from etui.storage.base import ArtifactReader, ArtifactWriter, ByteSource

Location = str | os.PathLike[str] | bytes | Mapping[str, bytes]


def open_model(location: Location, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> Model:
    """Open an artifact: read and check its documents, and no tensor.

    Args:
        location: a path of either form, the bytes of a packed artifact, or part name -> bytes.
        verify: check each tensor's digest when it is first read.
        limits: refuse what is beyond these.

    Raises:
        RejectError: the artifact breaks a clause of SPEC.md.
        StorageError: it cannot be read.
    """
    reader = open_artifact(location, limits)
    try:
        return load(reader, verify=verify, limits=limits)
    except BaseException:
        reader.close()
        raise


def load(reader: ArtifactReader, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> Model:
    """The model of an artifact whose storage is open; it closes the storage when it is closed."""
    source = reader.source(manifest_container.DOCUMENT)
    data = _read_document(source, manifest_container.DOCUMENT, limits)
    manifest = manifest_container.decode(data, limits)
    reader.check_members({name: entry.size for name, entry in manifest.parts.items()})
    parts = DataParts(reader, manifest.data_parts(), verify=verify, limits=limits)
    documents = {}
    for name, entry in manifest.parts.items():
        if entry.role in manifest_container.DOCUMENTS:
            content = _read_document(reader.source(name), name, limits)
            _check_digest(content, entry, name)
            documents[name] = content
    model = _decode(documents, manifest, parts, limits)
    model.manifest, model.digest, model.closing = manifest, digest.of(data), reader.close
    _attach_blobs(model, manifest, reader)
    consistency.check(model.config, model.weights, model.training, model.optimizer, model.state, model.assets)
    needed = _features(model)
    if manifest.requires != needed:
        found = f"{manifest.requires}, and the artifact uses {needed}"
        raise error("requires-list", where=manifest_container.DOCUMENT, found=found)
    return model


def _read_document(source: ByteSource, name: str, limits: Limits) -> bytes:
    if source.size > limits.document_bytes:
        raise error("limit-document", where=name, found=f"{source.size} bytes")
    return source.read(0, source.size)


def _check_digest(content: bytes, entry: PartEntry, name: str) -> None:
    expected = entry.digest or ""
    found = digest.of(content, expected.partition(":")[0])
    if found != expected:
        raise error("digest-mismatch", where=name, found=f"{found}, not {expected}")


def _decode(documents: Mapping[str, bytes], manifest: Manifest, parts: DataParts, limits: Limits) -> Model:
    """Decode the documents, in a fixed order so that one fault always gives one code."""
    model = Model(version=manifest.version, metadata=manifest.metadata, extra=manifest.extra)
    decoders: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
        config_container.DOCUMENT: ("config", lambda tree: config_container.decode(tree, limits)),
        training_container.DOCUMENT: ("training", lambda tree: training_container.decode(tree, limits)),
        weights_container.DOCUMENT: ("weights", lambda tree: weights_container.decode(tree, parts, limits)),
        optimizer_container.DOCUMENT: ("optimizer", lambda tree: optimizer_container.decode(tree, parts, limits)),
        state_container.DOCUMENT: ("state", lambda tree: state_container.decode(tree, parts, limits)),
    }
    for name, (attribute, decode) in decoders.items():
        if name not in documents:
            continue
        codec = msgpack if name.endswith(".msgpack") else json
        tree = codec.decode(documents[name], where=name, limits=limits)
        setattr(model, attribute, decode(tree))
        if tree["version"] != manifest.version:
            found = f"{tree['version']}, and {manifest.version} in the manifest"
            raise error("version-form", where=name, found=found)
    return model


def _attach_blobs(model: Model, manifest: Manifest, reader: ArtifactReader) -> None:
    for name, entry in manifest.parts.items():
        if entry.role not in ("asset", "program", "native"):
            continue
        blob = Blob(reader.source(name), entry.media_type, entry.digest)
        if entry.role == "asset":
            model.assets[name] = blob
        elif entry.role == "program":
            model.programs[name] = blob
        else:
            model.native[name] = Native(blob, entry.framework or "", entry.framework_version, _bindings(model, entry))


def _bindings(model: Model, entry: PartEntry) -> dict[str, str]:
    """Stored digests become fingerprints where they hold; others stay, so that the document is stale (N-3)."""
    parts = model.manifest.parts if model.manifest is not None else {}
    holds = all(name in parts and parts[name].digest == text for name, text in entry.bindings.items())
    if not holds:
        return entry.bindings
    return {name: model.fingerprint(name) or text for name, text in entry.bindings.items()}


def save_model(
    model: Model,
    target: str | os.PathLike[str],
    *,
    form: str | None = None,
    shard_size: int | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Write a model as an artifact, in one transaction: an earlier artifact at the place stays until the new one is whole.

    Args:
        model: what to write; it may have been opened from the same place.
        target: path of the file or folder.
        form: ``"packed"`` or ``"directory"``; by default what the target's name says, see `storage.create_artifact`.
        shard_size: bytes of data in one data part at most; `None` for a single part.
        progress: called while data is written.
        limits: refuse to write what is beyond these.

    Returns:
        The identity: the digest of the manifest.

    Raises:
        RejectError: the model breaks a clause of SPEC.md; nothing was changed.
        StorageError: the target cannot be written; an earlier artifact is as it was.
    """
    with create_artifact(target, form, limits=limits) as writer:
        identity = write(model, writer, shard_size=shard_size, progress=progress, limits=limits)
        writer.commit()
    return identity


def write(
    model: Model,
    writer: ArtifactWriter,
    *,
    shard_size: int | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Write all parts of a model to a storage writer, the manifest last; the caller commits."""
    consistency.check(model.config, model.weights, model.training, model.optimizer, model.state, model.assets)
    plans = {name: plan_data(name, tensors, shard_size, limits) for name, tensors in _tensors(model)}
    _rehearse(model, {name: rehearse(plan) for name, plan in plans.items()}, limits)

    total = sum(plan.nbytes for plan in plans.values())
    written: dict[str, WrittenData] = {}
    done = 0
    for name, plan in sorted(plans.items()):
        written[name] = write_data(plan, writer, progress, done, total)
        done += plan.nbytes
    parts = {part: entry for data in written.values() for part, entry in data.entries.items()}
    documents = _encode(model, written)
    for name, role, blob in _blobs(model):
        view = blob.view()
        parts[name] = PartEntry(role, blob.media_type, blob.size, digest.of(view))
        writer.write(name, role, blob.size, [view])
    for name, content in sorted(documents.items()):
        role = name.partition(".")[0]
        if len(content) > limits.document_bytes:
            raise error("limit-document", where=name, found=f"{len(content)} bytes")
        parts[name] = PartEntry(role, manifest_container.MEDIA_TYPES[role], len(content), digest.of(content))
        writer.write(name, role, len(content), [content])
    for name, native in model.native.items():
        entry = parts[name]
        entry.framework, entry.framework_version = native.framework, native.framework_version
        fresh = model.is_fresh(native)
        entry.bindings = {
            document: (parts[document].digest or text) if fresh else text for document, text in native.bindings.items()
        }
    manifest = _manifest(model, parts)
    data = manifest_container.encode(manifest)
    manifest_container.decode(data, limits)
    writer.write(manifest_container.DOCUMENT, "manifest", len(data), [data])
    return digest.of(data)


def _manifest(model: Model, parts: dict[str, PartEntry]) -> Manifest:
    profile = manifest_container.profile_of({entry.role for entry in parts.values()})
    return Manifest(parts, profile, _features(model), model.version, model.metadata, model.extra)


def _features(model: Model) -> list[str]:
    return consistency.required_features(model.config, model.weights, model.optimizer, model.state, model.programs)


def _tensors(model: Model) -> Iterator[tuple[str, Any]]:
    if model.weights is not None:
        yield "weights", weights_container.tensors(model.weights)
    if model.optimizer is not None:
        yield "optimizer", optimizer_container.tensors(model.optimizer)
    if model.state is not None:
        yield "state", state_container.tensors(model.state)


def _blobs(model: Model) -> Iterator[tuple[str, str, Blob]]:
    found = [(name, "asset", blob) for name, blob in model.assets.items()]
    found += [(name, "program", blob) for name, blob in model.programs.items()]
    found += [(name, "native", native.blob) for name, native in model.native.items()]
    yield from sorted(found, key=lambda item: item[0])


def _encode(model: Model, written: Mapping[str, WrittenData]) -> dict[str, bytes]:
    documents = {}
    if model.config is not None:
        documents[config_container.DOCUMENT] = json.encode(config_container.encode(model.config, model.version))
    if model.training is not None:
        documents[training_container.DOCUMENT] = json.encode(training_container.encode(model.training, model.version))
    if model.weights is not None:
        tree = weights_container.encode(model.weights, written["weights"].placed, model.version)
        documents[weights_container.DOCUMENT] = json.encode(tree)
    if model.optimizer is not None:
        tree = optimizer_container.encode(model.optimizer, written["optimizer"].placed, model.version)
        documents[optimizer_container.DOCUMENT] = msgpack.encode(tree)
    if model.state is not None:
        tree = state_container.encode(model.state, written["state"].placed, model.version)
        documents[state_container.DOCUMENT] = msgpack.encode(tree)
    return documents


def _rehearse(model: Model, written: Mapping[str, WrittenData], limits: Limits) -> None:
    """Read the documents as a reader will, before any data is written: a writer never makes what a reader refuses."""
    documents = _encode(model, written)
    parts = {part: entry for data in written.values() for part, entry in data.entries.items()}
    manifest = Manifest(parts, "", version=model.version)
    # Data is not reached while documents are decoded, so the storage below the data parts is an empty one.
    with open_artifact({manifest_container.DOCUMENT: b""}, limits) as nothing:
        _decode(documents, manifest, DataParts(nothing, manifest.data_parts(), verify=False, limits=limits), limits)
