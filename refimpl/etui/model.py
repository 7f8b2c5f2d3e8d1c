"""The in-memory model that all bridges speak: the containers of one artifact, and its other parts.

A `Model` from `etui.open` reads tensors when they are asked for; one that a bridge or a caller builds holds arrays or
callables. Both are written by `etui.save`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from etui import digest
from etui._version import SPEC_VERSION
from etui.containers.config import Config
from etui.containers.documents import DOCUMENTS, Document
from etui.containers.manifest import Manifest
from etui.containers.optimizer import OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.errors import error
from etui.fingerprints import Bindings, Fingerprint
from etui.notebooks import InNotebooks
from etui.report import Report
from etui.storage.base import ByteSource
from etui.storage.closing import Closing
from etui.storage.sources import BytesSource


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of an asset, a program or a native document.

    Attributes:
        source: where they are.
        media_type: what they are.
        digest: checked whenever they are read, if known.
        where: the part, for messages.
    """

    source: ByteSource
    media_type: str = "application/octet-stream"
    digest: str | None = None
    where: str = ""

    @classmethod
    def of(cls, data: bytes, media_type: str = "application/octet-stream") -> Blob:
        """A blob of bytes in memory."""
        return cls(BytesSource(data), media_type)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.source.size

    def view(self) -> memoryview:
        """The bytes, read-only, without a copy where the storage can.

        Raises:
            IntegrityError: ``digest-mismatch``.
        """
        view = self.source.view(0, self.source.size)
        if self.digest is not None:
            found = digest.of(view, self.digest.partition(":")[0])
            if found != self.digest:
                raise error("digest-mismatch", where=self.where, found=f"{found}, not {self.digest}")
        return view

    def read(self) -> bytes:
        """A copy of the bytes."""
        return bytes(self.view())


@dataclass(frozen=True, slots=True)
class Native:
    """One of the source framework's own documents, kept verbatim.

    Attributes:
        blob: its bytes.
        framework, framework_version: who wrote it.
        bindings: document name -> fingerprint of the neutral document that was translated from it, then.
    """

    blob: Blob
    framework: str
    framework_version: str | None = None
    bindings: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Model(Closing, InNotebooks):
    """Everything that an artifact holds; what is `None` or empty is not there.

    Attributes:
        config, weights, training, optimizer, state: the containers.
        assets, programs: part name -> blob.
        native: part name -> native document.
        metadata: the caller's own map of values.
        version: of the specification, as read or as it will be written.
        manifest: of an artifact that was opened, else `None`.
        digest: the identity of an artifact that was opened, else `None`.
        form: how the parts of an artifact that was opened are stored, else `None`.
        extra: unknown fields of the manifest, kept for rewriting.
        closing: lets go of the files of an artifact that was opened.
    """

    config: Config | None = None
    weights: Weights | None = None
    training: Training | None = None
    optimizer: OptimizerState | None = None
    state: State | None = None
    assets: dict[str, Blob] = field(default_factory=dict)
    programs: dict[str, Blob] = field(default_factory=dict)
    native: dict[str, Native] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    version: str = SPEC_VERSION
    manifest: Manifest | None = None
    digest: str | None = None
    form: str | None = field(default=None, compare=False)
    extra: dict[str, Any] = field(default_factory=dict)
    closing: Callable[[], None] | None = None

    def close(self) -> None:
        """Let go of files; arrays that were handed out stay valid."""
        if self.closing is not None:
            self.closing()
            self.closing = None

    def documents(self) -> Iterator[tuple[Document, Any]]:
        """The documents that the model has, with their containers."""
        for document in DOCUMENTS.values():
            container = getattr(self, document.role)
            if container is not None:
                yield document, container

    def stored_tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """Every tensor that the documents refer to: role of the document, name in it, tensor."""
        for document, container in self.documents():
            for name, tensor in document.tensors(container):
                yield document.role, name, tensor

    def fingerprint(self, document: str) -> str | None:
        """The digest of a document's content, wherever its data is stored; `None` where there is no such document.

        Data in memory is hashed for it, and data that is made on demand is made.
        """
        found = self._fingerprint(document)
        return None if found is None else found.text

    def _fingerprint(self, document: str) -> Fingerprint | None:
        for kind, container in self.documents():
            if kind.name == document:
                encode = partial(kind.encode, container, version=self.version)
                return Fingerprint(encode, kind.tensors(container))
        return None

    def bind(self, blob: Blob, framework: str, framework_version: str | None, *documents: str) -> Native:
        """A native document from which the named neutral documents, as they are now, were translated.

        Data that lies in another format's file is not read for it.
        """
        prints = {name: self._fingerprint(name) for name in documents}
        return Native(blob, framework, framework_version, Bindings({name: one for name, one in prints.items() if one}))

    def is_fresh(self, native: Native) -> bool:
        """Whether the neutral documents are still those that the native one was translated to (N-3, N-5)."""
        return bool(native.bindings) and all(self._holds(native.bindings, name) for name in native.bindings)

    def _holds(self, bindings: Mapping[str, str], name: str) -> bool:
        now = self._fingerprint(name)
        if now is None:
            return False
        return bindings.holds(name, now) if isinstance(bindings, Bindings) else bindings[name] == now.text

    def native_document(self, name: str, report: Report | None = None) -> bytes | None:
        """The bytes of a native document that may be used, or `None` if it is absent or stale.

        Args:
            name: the part's name.
            report: gets an entry, ``verbatim`` or ``stale``.
        """
        native = self.native.get(name)
        if native is None:
            return None
        fresh = self.is_fresh(native)
        if report is not None:
            detail = "" if fresh else f"changed since: {', '.join(sorted(native.bindings)) or 'not bound'}"
            report.add("document", name, "verbatim" if fresh else "stale", detail)
        return native.blob.read() if fresh else None
