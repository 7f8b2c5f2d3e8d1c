"""What the modules of vectors are written with: valid artifacts, and faults in them that are one edit of a part away.

    area = Area("weights", subject={"weights"})
    base = area.valid("one variable", "W-1 W-2", content)
    area.faults(base, WEIGHTS, [("a variable without a role", "W-2", "weights-form", drop("variables", "k", "role"))])

Ids follow the order of the calls: once a version of the suite is out, a new vector comes after the old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vectors_layout import matched
from vectors_parts import DOCUMENTS, MANIFEST, Edit, Parts, edited
from vectors_zip import pack

from etui_conformance.oracle import json, msgpack, values, writing
from etui_conformance.oracle.errors import class_of

Content: TypeAlias = dict[str, Any]
Form: TypeAlias = Literal["packed", "directory", "document"]
Row: TypeAlias = tuple[str, str, str, Edit]
ARCHIVE = "(archive)"
PARTS = "(parts)"
FOLDER = "(folder)"
BOTH = ("decode", "validate")
FULL = ("validate",)


@dataclass(frozen=True, slots=True)
class Entry:
    """A vector.

    Attributes:
        id, name, clauses, form, needs: as in the manifest of the vectors.
        files: name below the vectors' folder -> bytes.
        parts: of the artifact, of which faults are made; empty for a document.
        fields: what else the manifest of the vectors says of it.
        content: of a valid one, as decoding gives it.
    """

    id: str
    name: str
    clauses: tuple[str, ...]
    form: Form
    needs: frozenset[str]
    files: Mapping[str, bytes]
    parts: Parts
    fields: Mapping[str, Any] = field(default_factory=dict)
    content: Content | None = None


class Area:
    """A folder of vectors.

    Args:
        name: of the folder.
        subject: what of an artifact a reader must understand for the valid vectors to mean anything to it: weights,
            config, training, optimizer, state, parts.
    """

    def __init__(self, name: str, *subject: str) -> None:
        self.name = name
        self.subject = subject
        self.entries: list[Entry] = []

    def valid(
        self,
        name: str,
        clauses: str,
        content: Content,
        *,
        form: Literal["packed", "directory"] = "packed",
        shard_size: int | None = None,
        layout: Callable[[Parts], Parts] | None = None,
        subject: Sequence[str] | None = None,
        keeps: bool = True,
        encodes: bool = True,
    ) -> Entry:
        """A valid artifact.

        Args:
            name: what it shows.
            clauses: that say so, with spaces between.
            content: as decoding gives it.
            form: of the artifact.
            shard_size: as a writer takes it.
            layout: makes another artifact of the same content out of the canonical parts.
            subject: in place of the area's.
            keeps: whether a rewrite must give these very bytes; chunks may be merged.
            encodes: whether the content alone, written, gives the canonical parts: what it does not show is lost.
        """
        canonical = writing.write(content, shard_size)
        parts = canonical if layout is None else layout(dict(canonical))
        fields: dict[str, Any] = {"result": "ok", "holds": sorted(_held(content))}
        files = {}
        if keeps:
            fields["transcode"] = self._file(form)
        if encodes:
            fields["encode"] = self._file(form) if layout is None else f"{self._next()}.canonical.etui"
            if layout is not None:
                files[fields["encode"]] = pack(canonical)
        if shard_size is not None:
            fields["shard_size"] = shard_size
        needs = {form, *(self.subject if subject is None else subject), *needed(parts)}
        return self._add(name, clauses, form, needs, files=files, parts=parts, fields=fields, content=content)

    def fault(
        self,
        sibling: Entry,
        place: str,
        row: Row,
        *,
        needs: Iterable[str] = (),
        ops: Sequence[str] = BOTH,
        reseal: bool = True,
        match: bool = False,
    ) -> Entry:
        """An artifact that is one edit of one part away from a valid one.

        Args:
            sibling: the valid one.
            place: the part.
            row: name of the fault, a noun phrase; the clauses that it breaks; the code of the refusal, or several
                with `|` between where more than one clause forbids the same bytes; the edit.
            needs: what a reader must have beyond understanding the part, and what the sibling needs in any case.
            ops: the requests that must be refused.
            reseal: whether sizes and digests that other parts give of this one are made right.
            match: whether the data parts of an edited `weights.json` are made to have its dtypes and shapes.
        """
        name, clauses, code, edit = row
        parts = edited(sibling.parts, place, edit, reseal=reseal)
        if match:
            matched(parts)
        if parts == sibling.parts:
            raise ValueError(f"{name}: the edit changes nothing")
        more = {sibling.form, *_area_of(place), *needs, *needed(sibling.parts)}
        fields = self._refusal(sibling, PARTS if match else place, code, ops)
        return self._add(name, clauses, sibling.form, more, parts=parts, fields=fields)

    def faults(self, sibling: Entry, place: str, rows: Iterable[Row], **options: Any) -> None:
        """A table of faults of one part: name, clauses, code and edit of each."""
        for row in rows:
            self.fault(sibling, place, row, **options)

    def archive_faults(
        self, sibling: Entry, rows: Iterable[tuple[str, str, str, bytes]], *, ops: Sequence[str] = BOTH
    ) -> None:
        """A table of faults of the packed form's own bytes: name, clauses, code and the file of each."""
        for name, clauses, code, data in rows:
            if data == sibling.files[f"{sibling.id}.etui"]:
                raise ValueError(f"{name}: nothing is changed")
            files = {f"{self._next()}.etui": data}
            needs = {"packed", *needed(sibling.parts)}
            fields = self._refusal(sibling, ARCHIVE, code, ops)
            self._add(name, clauses, "packed", needs, files=files, fields=fields)

    def change(
        self,
        sibling: Entry,
        name: str,
        clauses: str,
        code: str,
        edit: Callable[[Parts], None],
        *,
        needs: Iterable[str] = (),
        ops: Sequence[str] = BOTH,
    ) -> Entry:
        """A fault that is in no part alone: which parts there are, and how they are named; `edit` changes the parts."""
        parts = dict(sibling.parts)
        edit(parts)
        more = {sibling.form, *needs, *needed(sibling.parts)}
        return self._add(
            name, clauses, sibling.form, more, parts=parts, fields=self._refusal(sibling, PARTS, code, ops)
        )

    def folder_faults(
        self,
        sibling: Entry,
        rows: Iterable[tuple[str, str, str, Callable[[Parts], object], list[dict[str, str]]]],
        *,
        ops: Sequence[str] = BOTH,
    ) -> None:
        """A table of faults of the directory form: name, clauses, code, change of the files, steps of a runner."""
        for name, clauses, code, change, steps in rows:
            parts = dict(sibling.parts)
            change(parts)
            fields = self._refusal(sibling, FOLDER, code, ops) | ({"setup": steps} if steps else {})
            needs = {"directory", *needed(sibling.parts)}
            self._add(name, clauses, "directory", needs, parts=parts, fields=fields)

    def document(
        self, name: str, clauses: str, kind: str, data: bytes, refusal: tuple[Entry, str] | None = None
    ) -> Entry:
        """A document alone.

        Args:
            name: what it shows, or the fault.
            clauses: with spaces between.
            kind: manifest, config, weights, training, optimizer or state.
            data: its bytes.
            refusal: the valid sibling and the code, for an invalid one.
        """
        suffix = "msgpack" if kind in {"optimizer", "state"} else "json"
        files = {f"{self._next()}.{suffix}": data}
        fields: dict[str, Any] = {"result": "ok"}
        if refusal is not None:
            fields = self._refusal(refusal[0], f"{kind}.{suffix}", refusal[1], FULL)
        needs = {kind} - {"manifest"}
        return self._add(name, clauses, "document", needs, files=files, fields=fields | {"document": kind})

    def _refusal(self, sibling: Entry, place: str, code: str, ops: Sequence[str]) -> dict[str, Any]:
        codes = code.split("|")
        found: dict[str, Any] = {"result": "reject", "sibling": sibling.id, "place": place, "ops": list(ops)}
        if len(codes) == 1:
            return found | {"code": code, "class": class_of(code)}
        return found | {"codes": codes}

    def _add(
        self,
        name: str,
        clauses: str,
        form: Form,
        needs: Iterable[str],
        *,
        fields: Mapping[str, Any],
        files: Mapping[str, bytes] | None = None,
        parts: Parts | None = None,
        content: Content | None = None,
    ) -> Entry:
        place = self._next()
        made = dict(files or {})
        if form == "directory":
            made |= {f"{place}/{part}": data for part, data in (parts or {}).items()}
        elif form == "packed" and parts:
            made[f"{place}.etui"] = pack(parts)
        entry = Entry(place, name, tuple(clauses.split()), form, frozenset(needs), made, parts or {}, fields, content)
        self.entries.append(entry)
        return entry

    def _file(self, form: Form) -> str:
        return self._next() + (".etui" if form == "packed" else "")

    def _next(self) -> str:
        return f"{self.name}/{len(self.entries) + 1:04}"


def needed(parts: Parts) -> set[str]:
    """The features and dtypes that a reader of an artifact needs."""
    manifest = json.decode(parts[MANIFEST])
    found = {f"feature:{name}" for name in manifest["requires"]}
    for name in DOCUMENTS:
        if name in parts:
            data = parts[name]
            tree = json.decode(data) if name.endswith(".json") else values.view(msgpack.decode(data))
            index = tree.get("variables" if name == "weights.json" else "tensors", {})
            found |= {f"dtype:{dtype}" for entry in index.values() for dtype in _dtypes(entry)}
    return found


def _held(content: Content) -> Iterator[str]:
    yield from (name for name in ("config", "optimizer", "parts", "state", "training", "weights") if name in content)


def _dtypes(entry: Mapping[str, Any]) -> Iterator[str]:
    yield entry["dtype"]
    if entry.get("encoding") == "quantized":
        for component in entry["components"].values():
            yield component["dtype"]


def _area_of(place: str) -> set[str]:
    base = place.partition("-0")[0].partition(".")[0]
    if place == MANIFEST:
        return set()
    return {base} if "/" not in place else {"parts"}
