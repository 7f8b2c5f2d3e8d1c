"""What the vectors of series are written with: valid series, faults one edit away, and documents alone.

    base = family.valid("a step", "CS-1 CS-19", content, files, 100)
    family.fault(base, "a step without its seal", "CS-21", "step-form", record(100, drop("seal"), sealed=False))

Ids follow the order of the calls: once a version of the suite is out, a new vector comes after the old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from vectors_kit import BOTH, FULL, needed
from vectors_zip import pack

from etui_conformance.oracle import json, series
from etui_conformance.oracle.errors import class_of
from etui_conformance.oracle.manifest import digest

Content: TypeAlias = dict[str, Any]
Files: TypeAlias = dict[str, bytes]
Tree: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Files], object]
Edit: TypeAlias = Callable[[Tree], object]

DATA = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Entry:
    """A vector.

    Attributes:
        id, name, clauses, kind, needs: as in the list of the vectors.
        files: of the series, by their names in it; empty for a document.
        stored: every file that the vector has, by its name below the folder of all vectors.
        fields: what else the list says of it.
        content: of a valid step, as decoding gives it.
    """

    id: str
    name: str
    clauses: tuple[str, ...]
    kind: str
    needs: frozenset[str]
    files: Mapping[str, bytes]
    stored: Mapping[str, bytes]
    fields: Mapping[str, Any] = field(default_factory=dict)
    content: Content | None = None


class Family:
    """The vectors of one folder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: list[Entry] = []

    def valid(self, name: str, clauses: str, content: Content, files: Files, step: int, *, keeps: bool = True) -> Entry:
        """A series, and what one of its steps means.

        Args:
            name: what it shows.
            clauses: that say so, with spaces between.
            content: of the step, as decoding gives it.
            files: of the series.
            step: its number.
            keeps: whether the artifact of the step is a canonical one, which a rewrite must give.
        """
        parts = series.parts(files, step, full=True)
        areas = {one for one in ("config", "optimizer", "parts", "state", "training", "weights") if one in content}
        fields: Tree = {"result": "ok", "step": step, "holds": sorted(areas)}
        stored = self._placed(files)
        if keeps:
            fields["transcode"] = f"{self._next()}.etui"
            stored[fields["transcode"]] = pack(parts)
        needs = {"series", *(areas - {"parts"}), *needed(parts)}
        return self._add(name, clauses, "series", needs, files, stored, fields, content)

    def fault(
        self,
        sibling: Entry,
        name: str,
        clauses: str,
        code: str,
        change: Change | None = None,
        *,
        ops: Sequence[str] = BOTH,
        setup: Iterable[Mapping[str, str]] = (),
        place: str = "(series)",
    ) -> Entry:
        """A series that is one edit away from a valid one.

        Args:
            sibling: the valid one.
            name: of the fault, a noun phrase.
            clauses: that it breaks.
            code: of the refusal, or several with `|` between.
            change: of the files.
            ops: the requests that must be refused.
            setup: steps of a runner that make the fault, where files alone cannot.
            place: what was edited.
        """
        files = dict(sibling.files)
        if change is not None:
            change(files)
            if files == sibling.files:
                raise ValueError(f"{name}: the edit changes nothing")
        fields = _refusal(sibling, code, place, ops) | {"step": sibling.fields["step"]}
        gone = sorted(sibling.files.keys() - files.keys())
        steps = [dict(step) for step in setup]
        fields |= ({"removes": gone} if gone else {}) | ({"setup": steps} if steps else {})
        new = {each: data for each, data in files.items() if sibling.files.get(each) != data}
        return self._add(name, clauses, "series", {"series", *sibling.needs}, files, self._placed(new), fields)

    def document(
        self, name: str, clauses: str, kind: str, data: bytes, refusal: tuple[Entry, str] | None = None
    ) -> Entry:
        """A document alone: `series`, `step` or `layout`; the valid sibling and the code, for an invalid one."""
        fields: Tree = {"result": "ok"} if refusal is None else _refusal(refusal[0], refusal[1], kind, FULL)
        stored = {f"{self._next()}.json": data}
        return self._add(name, clauses, "document", {"series"}, {}, stored, fields | {"document": kind})

    def _add(  # noqa: PLR0917 (the fields of an entry, in their order)
        self,
        name: str,
        clauses: str,
        kind: str,
        needs: Iterable[str],
        files: Files,
        stored: Files,
        fields: Tree,
        content: Content | None = None,
    ) -> Entry:
        entry = Entry(
            self._next(), name, tuple(clauses.split()), kind, frozenset(needs), dict(files), stored, fields, content
        )
        self.entries.append(entry)
        return entry

    def _placed(self, files: Files) -> Files:
        return {f"{self._next()}/{name}": data for name, data in files.items()}

    def _next(self) -> str:
        return f"{self.name}/{len(self.entries) + 1:04}"


def _refusal(sibling: Entry, code: str, place: str, ops: Sequence[str]) -> Tree:
    found: Tree = {"result": "reject", "sibling": sibling.id, "place": place, "ops": list(ops)}
    codes = code.split("|")
    return found | ({"code": code, "class": class_of(code)} if len(codes) == 1 else {"codes": codes})


# Edits


def record(step: int, edit: Edit, *, sealed: bool = True) -> Change:
    """An edit of the record of a step, whose seal is made right unless that is the fault."""

    def change(files: Files) -> None:
        name = series.record_name(step)
        tree = json.decode(files[name])
        edit(tree)
        files[name] = json.encode(tree | {"seal": series.seal(tree)} if sealed else tree)

    return change


def laid(step: int, edit: Edit, part: str = DATA) -> Change:
    """An edit of the layout of a data part, which the record then names."""

    def change(files: Files) -> None:
        old = json.decode(files[series.record_name(step)])["layouts"][part]
        tree = json.decode(files.pop(series.object_name(old)))
        edit(tree)
        put_layout(files, step, json.encode(tree), part)

    return change


def put_layout(files: Files, step: int, data: bytes, part: str = DATA) -> None:
    """Another layout of a data part, which the record names."""
    files |= series.objects_of(data)
    record(step, lambda tree: tree["layouts"].update({part: digest(data)}))(files)


def without(name: str) -> Change:
    """A file less."""
    return lambda files: files.pop(name)


def changed(name: str, edit: Callable[[bytes], bytes]) -> Change:
    """Other bytes of a file."""
    return lambda files: files.update({name: edit(files[name])})


def flipped(data: bytes) -> bytes:
    """The bytes with the last bit turned over."""
    return data[:-1] + bytes([data[-1] ^ 1])
