"""The golden vectors: artifacts and documents, valid ones and such with one fault, with what they mean.

    for vector in vectors.load():
        print(vector.id, vector.name, vector.codes or "valid")

They are files, so that an implementation can run them without this suite; `manifest.json` says what each of them is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from etui_conformance.protocol import wire
from etui_conformance.resources import vectors_directory

Kind: TypeAlias = Literal["packed", "directory", "document", "series"]
Step: TypeAlias = Mapping[str, str]

FOUND: Final = "found"
"""The folder of the vectors that were failures once, which no generator makes; they have a list of their own."""

SERIES: Final = "series"
"""The folder of the vectors of series of checkpoints, which have a list of their own."""

_MANIFEST: Final = "manifest.json"


class BrokenVectorsError(Exception):
    """The files of the vectors are not those that their manifest lists."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A file, a folder, or a document, and what a reader must make of it.

    Attributes:
        id: folder and number, for example `weights/0007`.
        name: what it shows, or the fault, in words.
        clauses: of SPEC.md, that it shows or breaks.
        kind: packed, directory, document, or series.
        needs: capabilities (see `Hello.capabilities`) without which it means nothing, besides the op.
        folder: of all vectors.
        files: name below the folder -> SHA-256.
        codes: of the refusal, any one of them; none for a valid vector.
        ops: the requests that must be refused: decode, validate.
        sibling: id of a valid vector that is one edit away.
        place: the part that was edited; in parentheses, what is no part.
        setup: steps that make the fault in a copy of the folder, where files alone cannot: move, link, folder, pipe.
        document: kind of the document, where it is one.
        expected: file of the content in the form of messages.
        holds: the areas that the artifact has, which whoever writes it anew must understand.
        encode: the artifact whose bytes the content, written, must give; `None` if it does not give all of them.
        transcode: the artifact whose bytes a rewrite must give; `None` if they are not settled.
        shard_size: what a writer is given for either.
        step: of a series, the one that is asked about.
        removes: files of the sibling that an invalid series does not have; the others that it has not of its own are
            those of the sibling.
    """

    id: str
    name: str
    clauses: tuple[str, ...]
    kind: Kind
    needs: frozenset[str]
    folder: Path
    files: Mapping[str, str]
    codes: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    sibling: str | None = None
    place: str | None = None
    setup: tuple[Step, ...] = ()
    document: str | None = None
    expected: str | None = None
    holds: frozenset[str] = frozenset()
    encode: str | None = None
    transcode: str | None = None
    shard_size: int | None = None
    step: int | None = None
    removes: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether a reader must accept it."""
        return not self.codes

    def content(self) -> dict[str, Any]:
        """What a valid artifact means, with bytes as `bytes`."""
        if self.expected is None:
            raise ValueError(f"{self.id} has no content")
        return wire.content_from_wire(json.loads(self._read(self.expected)))

    def data(self) -> bytes:
        """The bytes of a packed artifact or of a document."""
        return self._read(self._main())

    def parts(self, artifact: str | None = None) -> dict[str, bytes]:
        """The files of an artifact in directory form.

        Args:
            artifact: its folder below that of all vectors, by default this vector's own.
        """
        prefix = f"{artifact or self.id}/"
        return {name.removeprefix(prefix): self._read(name) for name in self.files if name.startswith(prefix)}

    def file(self, name: str) -> bytes:
        """The bytes of another of its files, such as `encode` names."""
        return self._read(name)

    def _main(self) -> str:
        return next(name for name in self.files if name.rpartition(".")[0] == self.id)

    def _read(self, name: str) -> bytes:
        data = (self.folder / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.files[name]:
            raise BrokenVectorsError(f"{name} is not the file that the manifest lists")
        return data


@cache
def load_series(folder: Path | None = None) -> tuple[Vector, ...]:
    """The vectors of series, as `load` gives the others.

    Raises:
        BrokenVectorsError: their list is none.
    """
    root = vectors_directory() if folder is None else folder
    return tuple(_vector(entry, root) for entry in _entries(root / SERIES / _MANIFEST))


def series_files(vector: Vector, sibling: Vector | None = None) -> dict[str, bytes]:
    """The files of a series by their names in it.

    Args:
        vector: the series.
        sibling: that of an invalid one.
    """
    files = {} if sibling is None else sibling.parts()
    for name in vector.removes:
        del files[name]
    return files | vector.parts()


@cache
def load(folder: Path | None = None) -> tuple[Vector, ...]:
    """Every vector, in canonical order; their files are read when they are asked for.

    Args:
        folder: by default, that of the installation.

    Raises:
        BrokenVectorsError: the manifest is not one.
    """
    root = vectors_directory() if folder is None else folder
    entries = _entries(root / _MANIFEST)
    if (root / FOUND / _MANIFEST).exists():
        entries += _entries(root / FOUND / _MANIFEST)
    return tuple(_vector(entry, root) for entry in entries)


def _entries(path: Path) -> list[Mapping[str, Any]]:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("format") != "etui-vectors":
        raise BrokenVectorsError(f"{path} does not list vectors")
    return list(manifest["vectors"])


def _vector(entry: Mapping[str, Any], folder: Path) -> Vector:
    return Vector(
        id=entry["id"],
        name=entry["name"],
        clauses=tuple(entry["clauses"]),
        kind=entry["kind"],
        needs=frozenset(entry["needs"]),
        folder=folder,
        files=entry["files"],
        codes=tuple(entry.get("codes", [entry["code"]] if "code" in entry else [])),
        ops=tuple(entry.get("ops", ())),
        sibling=entry.get("sibling"),
        place=entry.get("place"),
        setup=tuple(entry.get("setup", ())),
        document=entry.get("document"),
        expected=entry.get("expected"),
        holds=frozenset(entry.get("holds", ())),
        encode=entry.get("encode"),
        transcode=entry.get("transcode"),
        shard_size=entry.get("shard_size"),
        step=entry.get("step"),
        removes=tuple(entry.get("removes", ())),
    )
