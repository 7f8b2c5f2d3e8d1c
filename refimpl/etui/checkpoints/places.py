"""Where several processes write one artifact: a folder that all of them reach, or a step of a series."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from etui import artifact
from etui.containers.data_writer import DataPlan, WrittenData
from etui.containers.manifest import SAFETENSORS, PartEntry
from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.storage.base import ArtifactWriter
from etui.storage.shared_folder import FolderParts, SharedFolder

Plans = Mapping[str, DataPlan]


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A data part that a process wrote.

    Attributes:
        size, header_size: in bytes, of all and in front of the data section.
        header_digest: of the latter.
        digests: tensor in the part -> digest of its bytes.
    """

    size: int
    header_size: int
    header_digest: str
    digests: Mapping[str, str]

    @classmethod
    def of(cls, entry: PartEntry, digests: Mapping[str, str]) -> WrittenPart:
        """What the manifest's entry of the part says."""
        return cls(entry.size, entry.header_size or 0, entry.header_digest or "", digests)

    def entry(self) -> PartEntry:
        """The entry of the manifest."""
        sizes = {"header_size": self.header_size, "header_digest": self.header_digest}
        return PartEntry("data", SAFETENSORS, self.size, **sizes)  # type: ignore[arg-type]  # each of its own type

    def to_json(self) -> list[Any]:
        """The same as a JSON tree."""
        return [self.size, self.header_size, self.header_digest, dict(self.digests)]

    @classmethod
    def from_json(cls, tree: Sequence[Any]) -> WrittenPart:
        """The part of such a tree."""
        return cls(*tree)


@dataclass(frozen=True, slots=True)
class Written:
    """What all processes wrote.

    Attributes:
        parts: name of a data part in the artifact -> what became of it.
        names: planned name of a data part -> its name in the artifact.
        extra: rank -> what its place wanted the coordinator to know.
    """

    parts: Mapping[str, WrittenPart]
    names: Mapping[str, str]
    extra: Mapping[int, Any]

    def of(self, plan: DataPlan) -> WrittenData:
        """What `data_writer.write_data` would have given for the data parts of one document."""
        found = WrittenData()
        for name in plan.shards:
            found.digests |= self.parts[name].digests
            found.entries[name] = self.parts[name].entry()
        return found


class Place(Protocol):
    """Where the processes write. All have an equal one, which the coordinator's `to_json` describes."""

    def to_json(self) -> dict[str, Any]:
        """What another process needs to write at this place, a JSON tree."""

    def parts_writer(self) -> AbstractContextManager[ArtifactWriter]:
        """What takes the data parts of one process; they are durable after its `commit`."""

    def said(self, writer: ArtifactWriter) -> Any:
        """What the coordinator is to know of a `parts_writer` that was committed, a JSON tree."""

    def commit(self, model: Model, plans: Plans, written: Written, limits: Limits = DEFAULT_LIMITS) -> str:
        """Write documents and manifest and put the artifact in its place; the coordinator's, once. Gives the identity.

        Args:
            model: without the elements of its tensors.
            plans: document -> how its data is laid out, as it was written.
            written: the digests and sizes of what was.
            limits: the limits in force.

        Raises:
            EtuiError: what was at the place is as it was.
        """

    def abort(self) -> None:
        """Remove what was written, unless it was committed; again is no error."""


class _Folder(SharedFolder):
    """The coordinator's folder, to which the data that was written is told before the documents are."""

    written: Written | None = None

    def write_data(self, plan: DataPlan, *_: object) -> WrittenData:
        """What `data_writer.write_data` gives, of the data that is there."""
        if self.written is None:
            raise error("distributed-misuse", where=self.location, found="documents before the data is known")
        made_as = {name: planned for planned, name in self.written.names.items()}
        for name in sorted(plan.shards):
            self.adopt(name, made_as[name], self.written.parts[name].size)
        return self.written.of(plan)


class FolderPlace:
    """A folder that all processes reach, which becomes an artifact in directory form.

    The coordinator makes it with `begin`, beside the target, and the others open it by what `to_json` says. What is at
    the target stays until the commit.
    """

    def __init__(self, folder: Path, writer: _Folder | None, limits: Limits = DEFAULT_LIMITS) -> None:
        self._folder = folder
        self._writer = writer
        self._limits = limits

    @classmethod
    def begin(cls, target: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Self:
        """The coordinator's place.

        Args:
            target: the folder to replace or make.
            limits: the limits in force.

        Raises:
            StorageError: ``target-not-etui``, ``storage-failed``.
        """
        writer = _Folder(Path(target), limits)
        return cls(writer.folder, writer, limits)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], limits: Limits = DEFAULT_LIMITS) -> Self:
        """The place of another process that this one writes into."""
        return cls(Path(tree["folder"]), None, limits)

    def to_json(self) -> dict[str, Any]:
        """See `Place.to_json`."""
        return {"folder": str(self._folder)}

    def parts_writer(self) -> FolderParts:
        """See `Place.parts_writer`."""
        return FolderParts(self._folder, self._limits)

    def said(self, writer: ArtifactWriter) -> None:
        """See `Place.said`."""

    def commit(self, model: Model, plans: Plans, written: Written, limits: Limits = DEFAULT_LIMITS) -> str:
        """See `Place.commit`."""
        if self._writer is None:
            raise error("distributed-misuse", where=str(self._folder), found="a commit by another than the coordinator")
        writer, self._writer = self._writer, None
        with writer:
            writer.written = written
            identity = artifact.write(model, writer, plans=plans, limits=limits)
            writer.commit()
        return identity

    def abort(self) -> None:
        """See `Place.abort`."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(None, None, None)
