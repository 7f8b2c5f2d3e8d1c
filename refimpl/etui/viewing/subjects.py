"""What can be looked at: a model in memory, a live one of Keras, a step of a series, a file of any known format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from etui import artifact, bridges, digest
from etui.bridges.located import Located, locate
from etui.bridges.own import account
from etui.checkpoints.step import Step
from etui.containers import manifest as manifest_container
from etui.containers.data_parts import Chunk
from etui.containers.data_writer import Progress
from etui.containers.documents import DOCUMENTS, Document
from etui.containers.pieces import Stored
from etui.conversion import merged
from etui.errors import error, shown, without_secrets
from etui.limits import DEFAULT_LIMITS, Limits
from etui.locating import naming
from etui.model import Model
from etui.report import Report
from etui.storage import open_artifact, urls
from etui.storage.base import Form, read_on
from etui.storage.documents_only import DocumentsOnly
from etui.storage.isolating import isolation
from etui.storage.urls import Options, name_of

UNNAMED = "model"
TARGET = "a page"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that is looked at, open as long as the block lasts that it came from.

    Attributes:
        name: of its file or folder, for people.
        model: its containers.
        source_format: name of the format that it was read from; `None` for an etui and for a model in memory.
        report: of that reading.
        limits: the limits in force.
        stored: the manifest and the documents of an artifact, as they are stored.
    """

    name: str
    model: Model
    source_format: str | None = None
    report: Report | None = None
    limits: Limits = DEFAULT_LIMITS
    stored: Mapping[str, bytes] | None = None

    @property
    def form(self) -> Form | None:
        """How an artifact is stored."""
        return self.model.form if self.stored is not None else None  # type: ignore[return-value]  # a model has a text

    def parts(self, progress: Progress | None = None) -> Mapping[str, bytes]:
        """The manifest and the documents: those that are stored, or those that saving would write.

        For the latter the data is read, because documents have its digests; none of it is kept.
        """
        if self.stored is not None:
            return self.stored
        with DocumentsOnly(self.limits) as writer:
            artifact.write(self.model, writer, progress=progress, limits=self.limits)
            writer.commit()
        return writer.parts


@contextmanager
def subject(
    source: Any,
    *,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
    whole: bool = True,
    isolate: bool = True,
    storage_options: Options | None = None,
) -> Iterator[Subject]:
    """Open what is to be looked at.

    Args:
        source: an `etui.Model`, a live model of Keras, a `Step`, or the path or URL of a file or folder of any format.
        limits: refuse what is beyond these.
        progress: called while a file of another format than Etui's is copied from a URL.
        whole: whether its tensors will be read, so that what is remote comes in large ranges.
        isolate: let libhdf5 read the structure of HDF5 in a process of its own.
        storage_options: of the file system of a URL, as fsspec takes them.

    Raises:
        UsageError: ``view-subject``, it is none of these; ``format-unknown``.
        RejectError: the content is refused.
        MissingExtraError: the format needs an optional dependency that is not installed.
        StorageError: it cannot be read.
    """
    if isinstance(source, Model):
        yield Subject(_root_name(source), source, limits=limits, stored=as_opened(source))
    elif isinstance(source, Step):
        with source.open() as model:
            yield Subject(f"step {source.number}", model, limits=limits, stored=as_opened(model))
    elif isinstance(source, str | os.PathLike):
        with urls.storage_options(storage_options), naming(os.fspath(source)), isolation(isolate):
            found = locate(source, limits=limits, progress=progress)
            if found.bridge.name == bridges.OWN:
                yield from _of_artifact(found, _name(source), limits, whole=whole)
            else:
                yield from _of_foreign(found, _name(source), Report(without_secrets(os.fspath(source)), TARGET), limits)
    else:
        yield _live(source, limits)


def _root_name(model: Model) -> str:
    return (model.config and model.config.model.name) or UNNAMED


def _live(source: Any, limits: Limits) -> Subject:
    from etui.bridges.keras.live.framework import framework_of

    if framework_of(source) is None:
        raise error("view-subject", found=shown(type(source).__qualname__))
    from etui import keras

    report = Report("a live model", TARGET)
    model = keras.capture(source, strict=False, report=report)
    return Subject(_root_name(model), model, None, _whole(model, report), limits)


def _name(source: str | os.PathLike[str]) -> str:
    text = os.fspath(source)
    if urls.is_url(text):
        return name_of(text.rstrip("/")) or UNNAMED
    return PurePath(os.path.realpath(urls.local(text))).name or UNNAMED


def _of_artifact(found: Located, name: str, limits: Limits, *, whole: bool) -> Iterator[Subject]:
    with open_artifact(found.url if found.place is None else found.place, limits) as reader:
        model = artifact.load(reader, limits=limits)
        if whole:
            read_on(reader)
        stored = {}
        for part in [*(document.name for document, _ in model.documents()), manifest_container.DOCUMENT]:
            content = reader.source(part)
            stored[part] = content.read(0, content.size)
        yield Subject(name, model, limits=limits, stored=stored)


def _of_foreign(found: Located, name: str, report: Report, limits: Limits) -> Iterator[Subject]:
    with found.read(report, native=True) as model:
        yield Subject(name, model, found.bridge.name, _whole(model, report), limits)


def _whole(model: Model, report: Report) -> Report:
    """The account of a conversion into an etui: what the reader said, and an entry for everything that is there."""
    writing = Report()
    account(model, writing)
    report.entries = merged(report, writing)
    return report


def as_opened(model: Model) -> dict[str, bytes] | None:
    """The manifest and the documents of a model that `etui.open` gave, if nothing in it was changed since."""
    if model.manifest is None:
        return None
    data = manifest_container.encode(model.manifest)
    if digest.of(data, (model.digest or "").partition(":")[0] or "sha256") != model.digest:
        return None
    found = {manifest_container.DOCUMENT: data}
    for document, container in model.documents():
        content = _encoded(document, container, model.version)
        entry = model.manifest.parts.get(document.name)
        if content is None or entry is None or entry.digest is None:
            return None
        if digest.of(content, entry.digest.partition(":")[0]) != entry.digest:
            return None
        found[document.name] = content
    listed = {name for name in model.manifest.parts if name in DOCUMENTS}
    return found if listed == found.keys() - {manifest_container.DOCUMENT} else None


def _encoded(document: Document, container: Any, version: str) -> bytes | None:
    """A document's bytes with its tensors where they lie; `None` if one of them lies in no artifact."""
    placed: dict[str, tuple[Chunk, ...]] = {}
    for name, tensor in document.tensors(container):
        for physical, plain in tensor.physical(name):
            sources = [piece.source for piece in plain.pieces]
            if not all(isinstance(source, Stored) for source in sources):
                return None
            placed[physical] = tuple(source.chunk for source in sources if isinstance(source, Stored))
    return document.encode(container, placed, version)
