"""The in-memory model that all bridges speak: the containers of one artifact, and its other parts.

A `Model` from `etui.open` reads tensors when they are asked for; one that a bridge or a caller builds holds arrays or
callables. Both are written by `etui.save`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from etui import digest
from etui._version import SPEC_VERSION
from etui.canonical import json, msgpack
from etui.containers import config as config_container
from etui.containers import optimizer as optimizer_container
from etui.containers import state as state_container
from etui.containers import training as training_container
from etui.containers import weights as weights_container
from etui.containers.config import Config
from etui.containers.data_parts import Chunk
from etui.containers.manifest import Manifest
from etui.containers.optimizer import OptimizerState
from etui.containers.state import State
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.errors import error
from etui.report import Report
from etui.storage.base import ByteSource
from etui.storage.sources import BytesSource


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of an asset, a program or a native document.

    Attributes:
        source: where they are.
        media_type: what they are.
        digest: checked whenever they are read, if known.
    """

    source: ByteSource
    media_type: str = "application/octet-stream"
    digest: str | None = None

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
                raise error("digest-mismatch", found=f"{found}, not {self.digest}")
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


class _Nowhere(Mapping[str, tuple[Chunk, ...]]):
    """Places no tensor anywhere: an encoding for it shows a document's content without its data."""

    def __getitem__(self, name: str) -> tuple[Chunk, ...]:
        return ()

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(slots=True)
class Model:
    """Everything that an artifact holds; what is `None` or empty is not there.

    Attributes:
        config, weights, training, optimizer, state: the containers.
        assets, programs: part name -> blob.
        native: part name -> native document.
        metadata: the caller's own map of values.
        version: of the specification, as read or as it will be written.
        manifest: of an artifact that was opened, else `None`.
        digest: the identity of an artifact that was opened or saved, else `None`.
        extra: unknown fields of the manifest, kept for rewriting.
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
    extra: dict[str, Any] = field(default_factory=dict)
    closing: Callable[[], None] | None = None

    def close(self) -> None:
        """Let go of files; arrays that were handed out stay valid."""
        if self.closing is not None:
            self.closing()
            self.closing = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fingerprint(self, document: str) -> str | None:
        """The digest of a document's content without the place of its data; `None` where there is no such document."""
        trees = {
            config_container.DOCUMENT: lambda: self.config and config_container.encode(self.config, self.version),
            training_container.DOCUMENT: lambda: (
                self.training and training_container.encode(self.training, self.version)
            ),
            weights_container.DOCUMENT: lambda: (
                None if self.weights is None else weights_container.encode(self.weights, _Nowhere(), self.version)
            ),
            optimizer_container.DOCUMENT: lambda: (
                self.optimizer and optimizer_container.encode(self.optimizer, _Nowhere(), self.version)
            ),
            state_container.DOCUMENT: lambda: (
                self.state and state_container.encode(self.state, _Nowhere(), self.version)
            ),
        }
        tree = trees[document]() if document in trees else None
        if tree is None:
            return None
        return digest.of(msgpack.encode(tree) if document.endswith(".msgpack") else json.encode(tree))

    def bind(self, blob: Blob, framework: str, framework_version: str | None, *documents: str) -> Native:
        """A native document from which the named neutral documents, as they are now, were translated."""
        prints = {name: self.fingerprint(name) for name in documents}
        return Native(blob, framework, framework_version, {name: text for name, text in prints.items() if text})

    def is_fresh(self, native: Native) -> bool:
        """Whether the neutral documents are still those that the native one was translated to (N-3, N-5)."""
        return bool(native.bindings) and all(
            self.fingerprint(name) == text for name, text in native.bindings.items()
        )

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
