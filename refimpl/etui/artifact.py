"""Opening and saving an artifact: the glue between the in-memory model, the containers and the storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etui import consistency, digest
from etui.containers import manifest as manifest_container
from etui.containers.data_parts import DataParts
from etui.containers.data_writer import DataPlan, Progress, complete, plan_data, rehearse, write_data
from etui.containers.documents import DOCUMENTS
from etui.containers.manifest import Manifest, PartEntry
from etui.described import Described
from etui.document_digests import DocumentDigests
from etui.errors import error
from etui.garbage import no_garbage
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model, Native
from etui.onnx_pointers import with_pointers
from etui.shortage import shortage
from etui.storage import Location, Target, create_artifact, open_artifact, urls
from etui.storage.base import ArtifactReader, ArtifactWriter, ByteSource, Form, is_remote
from etui.storage.urls import Options

__all__ = ["Location", "load", "open_model", "save_model", "write"]


@shortage()
def open_model(
    location: Location,
    *,
    verify: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> Model:
    """Open an artifact: read and check its documents, and no tensor.

    Args:
        location: a path of either form, a URL, the bytes of a packed artifact, or part name -> bytes.
        verify: check each tensor's digest when it is first read.
        limits: refuse what is beyond these.
        storage_options: of the file system of a URL, as fsspec takes them; by default its own configuration.

    Raises:
        RejectError: the artifact breaks a clause of SPEC.md.
        StorageError: it cannot be read; ``out-of-memory``.
    """
    with urls.storage_options(storage_options):
        reader = open_artifact(location, limits)
    try:
        return load(reader, verify=verify, limits=limits)
    except BaseException:
        reader.close()
        raise


@no_garbage()
def load(reader: ArtifactReader, *, verify: bool = True, limits: Limits = DEFAULT_LIMITS) -> Model:
    """The model of an artifact whose storage is open; it closes the storage when it is closed."""
    data = _read_document(reader.source(manifest_container.DOCUMENT), manifest_container.DOCUMENT, limits)
    manifest = manifest_container.decode(data, limits)
    reader.check_members({name: entry.size for name, entry in manifest.parts.items()})
    documents = {}
    parts = DataParts(reader, manifest.data_parts(), verify=verify, limits=limits)
    with DocumentDigests() as digests:
        for name, entry in manifest.parts.items():
            if name in DOCUMENTS:
                documents[name] = _read_document(reader.source(name), name, limits)
                digests.add(name, documents[name], entry.digest or "")
        model = _decode(documents, manifest, parts, limits)
    if is_remote(reader):
        parts.describe = Described(model)
    parts.check_claimed()
    model.manifest, model.digest, model.closing = manifest, digest.of(data), reader.close
    model.form = reader.form
    _attach_blobs(model, manifest, reader)
    consistency.check(model)
    needed = consistency.required_features(model)
    if manifest.requires != needed:
        found = f"{manifest.requires}, and the artifact uses {needed}"
        raise error("requires-list", where=manifest_container.DOCUMENT, found=found)
    return model


def _read_document(source: ByteSource, name: str, limits: Limits) -> bytes:
    if source.size > limits.document_bytes:
        raise error("limit-document", where=name, found=f"{source.size} bytes")
    return source.read(0, source.size)


def _decode(documents: Mapping[str, bytes], manifest: Manifest, parts: DataParts, limits: Limits) -> Model:
    model = Model(version=manifest.version, metadata=manifest.metadata, extra=manifest.extra)
    for name, document in DOCUMENTS.items():
        if name not in documents:
            continue
        container, version = document.decode(documents[name], parts, limits)
        if version != manifest.version:
            found = f"{version}, and {manifest.version} in the manifest"
            raise error("version-form", where=name, found=found)
        setattr(model, document.role, container)
    return model


def _attach_blobs(model: Model, manifest: Manifest, reader: ArtifactReader) -> None:
    for name, entry in manifest.parts.items():
        if entry.role not in {"asset", "program", "native"}:
            continue
        blob = Blob(reader.source(name), entry.media_type, entry.digest, name)
        if entry.role == "asset":
            model.assets[name] = blob
        elif entry.role == "program":
            model.programs[name] = blob
        else:
            bindings = _bindings(model, manifest, entry)
            model.native[name] = Native(blob, entry.framework or "", entry.framework_version, bindings)


def _bindings(model: Model, manifest: Manifest, entry: PartEntry) -> dict[str, str]:
    """Stored digests become fingerprints where they hold; others stay, so that the document is stale (N-3)."""
    parts = manifest.parts
    holds = all(name in parts and parts[name].digest == text for name, text in entry.bindings.items())
    return {name: (holds and model.fingerprint(name)) or text for name, text in entry.bindings.items()}


def save_model(
    model: Model,
    target: Target,
    *,
    form: Form | None = None,
    shard_size: int | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> str:
    """Write a model as an artifact, in one transaction: an earlier one at the place stays until the new one is whole.

    Args:
        model: what to write; it may have been opened from the same place.
        target: path or URL of the file or folder, or a file object or mapping; see `storage.create_artifact`.
        form: ``"packed"`` or ``"directory"``; by default what the target's name says.
        shard_size: bytes of data in one data part at most; `None` for a single part.
        progress: called while data is written.
        limits: refuse to write what is beyond these.
        storage_options: of the file system of a URL, as fsspec takes them; by default its own configuration.

    Returns:
        The identity: the digest of the manifest.

    Raises:
        RejectError: the model breaks a clause of SPEC.md; nothing was changed.
        StorageError: the target cannot be written; an earlier artifact is as it was.
    """
    with urls.storage_options(storage_options):
        made = create_artifact(target, form, limits=limits)
    with made as writer:
        identity = write(model, writer, shard_size=shard_size, progress=progress, limits=limits)
        writer.commit()
    return identity


def write(
    model: Model,
    writer: ArtifactWriter,
    *,
    shard_size: int | None = None,
    plans: Mapping[str, DataPlan] | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Write all parts of a model to a storage writer, the manifest last; the caller commits.

    A writer that has a method `write_data` is asked for the data; it takes and gives what `data_writer.write_data`
    does. `plans` lays the data of each document out where the caller knows better than `shard_size` does.
    """
    if shard_size is not None and shard_size < 1:
        raise error("writer-misuse", found=f"shards of {shard_size} bytes")
    consistency.check(model)
    plans = plans or {
        document.name: plan_data(document.role, document.tensors(container), shard_size, limits)
        for document, container in model.documents()
    }
    model = with_pointers(model, plans)
    fresh = {name for name, native in model.native.items() if model.is_fresh(native)}
    documents = _rehearse(model, plans, fresh, limits)

    total = sum(plan.nbytes for plan in plans.values())
    parts: dict[str, PartEntry] = {}
    done = 0
    for name, plan in sorted(plans.items()):
        own = getattr(writer, "write_data", None)
        written = write_data(plan, writer, progress, done, total) if own is None else own(plan, progress, done, total)
        documents[name] = complete(documents[name], plan, written)
        parts |= written.entries
        done += plan.nbytes
    for name, role, blob in _blobs(model):
        view = blob.view()
        parts[name] = PartEntry(role, blob.media_type, blob.size, digest.of(view))
        writer.write(name, role, blob.size, [view])
    parts |= _entries(documents)
    for name, content in sorted(documents.items()):
        writer.write(name, parts[name].role, len(content), [content])
    _describe_natives(model, fresh, parts)
    data = manifest_container.encode(_manifest(model, parts))
    writer.write(manifest_container.DOCUMENT, "manifest", len(data), [data])
    return digest.of(data)


@no_garbage()
def _rehearse(model: Model, plans: Mapping[str, DataPlan], fresh: set[str], limits: Limits) -> dict[str, bytes]:
    """The documents as they will be but for the digests of tensors, for which marks stand.

    They are read as a reader will, before any data is written: a writer never makes what a reader refuses.
    """
    rehearsed = {name: rehearse(plan) for name, plan in plans.items()}
    documents = {
        document.name: document.encode(container, rehearsed[document.name].placed, model.version)
        for document, container in model.documents()
    }
    for name, content in documents.items():
        if len(content) > limits.document_bytes:
            raise error("limit-document", where=name, found=f"{len(content)} bytes")
    parts = {name: entry for data in rehearsed.values() for name, entry in data.entries.items()}
    for name, role, blob in _blobs(model):
        parts[name] = PartEntry(role, blob.media_type, blob.size, digest.of(b""))
    parts |= _entries(documents)
    _describe_natives(model, fresh, parts)
    manifest = manifest_container.decode(manifest_container.encode(_manifest(model, parts)), limits)
    # Data is not reached while documents are decoded, so the storage below the data parts is an empty one.
    with open_artifact({manifest_container.DOCUMENT: b""}, limits) as nothing:
        _decode(documents, manifest, DataParts(nothing, manifest.data_parts(), verify=False, limits=limits), limits)
    return documents


def _blobs(model: Model) -> Iterator[tuple[str, str, Blob]]:
    found = [(name, "asset", blob) for name, blob in model.assets.items()]
    found += [(name, "program", blob) for name, blob in model.programs.items()]
    found += [(name, "native", native.blob) for name, native in model.native.items()]
    yield from sorted(found, key=lambda item: item[0])


def _entries(documents: Mapping[str, bytes]) -> dict[str, PartEntry]:
    return {
        name: PartEntry(
            DOCUMENTS[name].role,
            manifest_container.MEDIA_TYPES[DOCUMENTS[name].role],
            len(content),
            digest.of(content),
        )
        for name, content in documents.items()
    }


def _describe_natives(model: Model, fresh: set[str], parts: Mapping[str, PartEntry]) -> None:
    """Complete the entries of native documents: a fresh one is bound to the documents as they are written (N-2)."""
    for name, native in model.native.items():
        entry = parts[name]
        entry.framework, entry.framework_version = native.framework, native.framework_version
        current = parts if name in fresh else {}
        entry.bindings = {
            document: (document in current and current[document].digest) or native.bindings[document]
            for document in native.bindings
        }


def _manifest(model: Model, parts: dict[str, PartEntry]) -> Manifest:
    """The manifest of the parts; unknown fields of a part that was there before are kept (Q-6, Q-8)."""
    before = model.manifest.parts if model.manifest is not None else {}
    for name in parts.keys() & before.keys():
        parts[name].extra = before[name].extra
    profile = manifest_container.profile_of({entry.role for entry in parts.values()})
    features = consistency.required_features(model)
    return Manifest(parts, profile, features, model.version, model.metadata, model.extra)
