"""Verifying every byte of an artifact (SPEC.md H-7)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple, cast

from etui import artifact
from etui._version import SPEC_VERSION
from etui.artifact import Location
from etui.containers import manifest as manifest_container
from etui.containers.data_parts import DataParts
from etui.containers.data_writer import Progress
from etui.containers.manifest import Manifest
from etui.containers.pieces import Stored
from etui.containers.plain_spans import Run, Spans
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import RejectError, error, without_secrets
from etui.garbage import no_garbage
from etui.limits import DEFAULT_LIMITS, Limits
from etui.locating import naming
from etui.model import Blob, Model
from etui.shortage import shortage
from etui.storage import open_artifact, urls
from etui.storage.base import ArtifactReader, read_on
from etui.storage.digesting import INLINE_BYTES, JOB_BYTES, digest_threads
from etui.storage.urls import Options

# Encodings whose content has rules of its own (W-18, W-19); the others are right if their components are.
_WITH_CONTENT_RULES = frozenset({"packed4", "string"})


@dataclass(frozen=True, slots=True)
class Verification:
    """What a full verification found good.

    Attributes:
        location: what was verified, for people.
        identity: digest of the manifest.
        form: how the parts are stored.
        profile, artifact_version: as the manifest has them.
        parts: number of parts, the manifest included.
        tensors: number of stored tensors whose digest was checked.
        bytes: size of all parts, the manifest included.
    """

    location: str
    identity: str
    form: str
    profile: str
    artifact_version: str
    parts: int
    tensors: int
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """The result as the schema `cli/verify.schema.json` describes it."""
        return {"format": "etui-verification", "version": SPEC_VERSION, "ok": True, **asdict(self)}


@shortage()
def verify(
    location: Location,
    *,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> Verification:
    """Check every byte of an artifact: container, documents, headers, each tensor's digest and content, other parts.

    Plain tensors are hashed where they are mapped, without a copy, by several threads.

    Args:
        location: a path of either form, a URL, the bytes of a packed artifact, or part name -> bytes.
        progress: called as (what is checked, bytes done, bytes in all) for the data.
        limits: refuse what is beyond these.
        storage_options: of the file system of a URL, as fsspec takes them; by default its own configuration.

    Raises:
        RejectError: the artifact breaks a clause of SPEC.md, or a byte was changed.
        StorageError: it cannot be read; ``out-of-memory``.
    """
    with naming(text_of(location)), opened(location, limits, storage_options) as reader:
        return verify_reader(reader, progress=progress, limits=limits)


@shortage()
def verify_reader(
    reader: ArtifactReader, *, progress: Progress | None = None, limits: Limits = DEFAULT_LIMITS
) -> Verification:
    """Check every byte of an artifact whose storage is open, and stays open; see `verify`."""
    model, manifest = load_whole(reader, limits)
    read_on(reader)
    container = partial(reader.verify_container, manifest.parts.keys())
    try:
        claimed_parts(model, manifest, reader, limits).check_all()
    except RejectError:
        container()  # its fault comes first, if it has one
        raise
    tensors = _verify_data(model, container, progress)
    sizes = reader.names()
    return Verification(
        reader.location,
        model.digest or "",
        reader.form,
        manifest.profile,
        manifest.version,
        len(manifest.parts) + 1,
        tensors,
        sum(sizes[name] for name in [*manifest.parts, manifest_container.DOCUMENT]),
    )


class _Plain(NamedTuple):
    """Some of the variables of weights that are all plain."""

    weights: Weights
    spans: Spans
    run: Run


class _Check(NamedTuple):
    """Something to be checked: what it is called, its bytes, those of the largest tensor in it, and where they are."""

    name: str
    size: int
    largest: int
    content: Tensor | Blob | _Plain


# The many small views that are made meanwhile are in no cycle.
@no_garbage()
def _verify_data(model: Model, container: Callable[[], None], progress: Progress | None) -> int:
    """Check each tensor and each part that is no document, and the container meanwhile.

    The fault that is reported is the first in order: the container's, then that of the first tensor or part.

    Returns:
        The number of stored tensors.
    """
    checks = _checks(model)
    total = sum(check.size for check in checks)
    done = count = 0
    with digest_threads() as threads:
        started = []
        batches = list(_batches(checks))
        for batch in batches:
            large = len(batches) > 1 and max(check.largest for check in batch) > INLINE_BYTES
            started.append((batch, threads.submit(_verify_digests, batch) if large else None))
        container()
        for batch, job in started:
            try:
                count += job.result() if job else _verify_digests(batch)
            except RejectError:
                for check in batch:  # a fault of content may be before it
                    _verify_digests([check])
                    _verify_content(check.content)
                raise
            for check in batch:
                _verify_content(check.content)
                done += check.size
                if progress is not None:
                    progress(check.name, done, total)
    return count


def _checks(model: Model) -> list[_Check]:
    checks = []
    for document, container in model.documents():
        spans = container.spans() if isinstance(container, Weights) else None
        if spans is not None:
            runs = spans.runs(JOB_BYTES)
            checks += [
                _Check(spans.names[run.stop - 1], run.size, run.largest, _Plain(container, spans, run)) for run in runs
            ]
        else:
            tensors = document.tensors(container)
            checks += [_Check(name, size := tensor.nbytes, size, tensor) for name, tensor in tensors]
    blobs = [*model.assets.items(), *model.programs.items()]
    blobs += [(name, native.blob) for name, native in model.native.items()]
    return checks + [_Check(name, blob.size, blob.size, blob) for name, blob in blobs]


def _batches(checks: Iterable[_Check]) -> Iterator[list[_Check]]:
    """The checks in groups that are worth a thread's while."""
    batch: list[_Check] = []
    size = 0
    for check in checks:
        batch.append(check)
        size += check.size
        if size >= JOB_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _verify_digests(batch: Iterable[_Check]) -> int:
    """Check the stored bytes, in any thread; the number of stored tensors among them."""
    count = 0
    for check in batch:
        content = check.content
        if isinstance(content, Blob):
            _verify_blob(check.name, content)
        elif isinstance(content, Tensor):
            count += _verify_tensor(content)
        else:
            if not content.spans.hold(content.run):
                for variable in content.weights.variables.values():
                    _verify_tensor(variable.tensor)
            count += content.run.stop - content.run.start
    return count


def _verify_tensor(tensor: Tensor) -> int:
    count = 0
    for plain in [tensor] if tensor.encoding is None else [part for _, part in tensor.physical("")]:
        for piece in plain.pieces:
            source = cast(Stored, piece.source)  # of an open artifact, nothing is elsewhere
            source.parts.fetch(source.chunk, source.dtype, source.shape, verify=True)
            count += 1
    return count


def _verify_content(content: Tensor | Blob | _Plain) -> None:
    """Check what the bytes mean, after those."""
    if not isinstance(content, Tensor) or content.encoding is None:
        return
    if content.encoding in _WITH_CONTENT_RULES:
        content.numpy()
    else:
        for part in content.components.values():
            _verify_content(part)


def _verify_blob(name: str, blob: Blob) -> None:
    try:
        blob.view()
    except RejectError as fault:
        raise error(fault.code, where=name, found=fault.found) from fault


def load_whole(reader: ArtifactReader, limits: Limits) -> tuple[Model, Manifest]:
    """The model, and its manifest."""
    model = artifact.load(reader, limits=limits)
    return model, cast(Manifest, model.manifest)  # what was loaded has one


@no_garbage()
def claimed_parts(model: Model, manifest: Manifest, reader: ArtifactReader, limits: Limits) -> DataParts:
    """The data parts as the documents claim them; all of them unclaimed if no document has a tensor."""
    if model.weights is not None and model.weights.parts is not None:
        return model.weights.parts
    for _, _, tensor in model.stored_tensors():
        for _, plain in tensor.physical(""):
            for piece in plain.pieces:
                if isinstance(piece.source, Stored):
                    return piece.source.parts
    return DataParts(reader, manifest.data_parts(), verify=True, limits=limits)


def opened(location: Location, limits: Limits, options: Options | None) -> ArtifactReader:
    """The storage of what `verify` takes."""
    with urls.storage_options(options):
        return open_artifact(location, limits)


def text_of(location: Location) -> str:
    """A location, for people."""
    return (
        without_secrets(os.fspath(location))
        if isinstance(location, str | os.PathLike)
        else f"<{type(location).__name__}>"
    )
