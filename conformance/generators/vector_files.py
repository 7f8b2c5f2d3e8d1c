"""What generators of vectors share: the files of a vector, the list of vectors, and writing or checking a folder."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from etui_conformance.protocol import wire


class Entry(Protocol):
    """What the entries of the generators have in common."""

    @property
    def id(self) -> str:
        """The name below the folder of vectors, without what tells the files of one vector apart."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def clauses(self) -> tuple[str, ...]:
        """The clauses that it proves."""

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that it needs."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """What else the list says of it."""

    @property
    def content(self) -> dict[str, Any] | None:
        """Of a valid one, as decoding gives it."""


def files_of(entry: Entry, stored: Mapping[str, bytes], folder: Path) -> dict[str, bytes]:
    """Every file of a vector: those that it has, and its content."""
    if entry.content is None:
        return dict(stored)
    tree = wire.content_to_wire(entry.content, folder)
    text = json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True)
    return {**stored, f"{entry.id}.content.json": f"{text}\n".encode()}


def listed(entry: Entry, kind: str, own: Mapping[str, bytes]) -> dict[str, Any]:
    """An entry of the list of vectors."""
    content = {"expected": f"{entry.id}.content.json"} if entry.content is not None else {}
    return {
        "id": entry.id,
        "name": entry.name,
        "clauses": list(entry.clauses),
        "kind": kind,
        "needs": sorted(entry.needs),
        "since": "1.0",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(own.items())},
        **entry.fields,
        **content,
    }


def manifest(entries: Iterable[dict[str, Any]], generator: str) -> bytes:
    """The list of vectors, one a line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in entries)
    head = f'"format":"etui-vectors","generator":"conformance/generators/{generator}","spec":"1.0"'
    return f'{{{head},"vectors":[\n{lines}\n]}}\n'.encode()


def write_or_check(description: str, wanted: Mapping[str, bytes], folder: Path, own: Iterable[str]) -> int:
    """Write the files, or compare them with those in the folder, as the command line says; the exit code.

    Args:
        description: of the program.
        wanted: name below the folder -> bytes.
        folder: of all vectors.
        own: files and folders in it that are the generator's.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a file would change")
    check = parser.parse_args().check
    there = _there(folder, own)
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    for name in () if check else stale:
        path = folder / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[name])
        else:
            path.unlink()
    sys.stdout.write(f"{len(wanted)} files; {'stale' if check else 'written'}: {', '.join(stale) or 'none'}\n")
    return 1 if check and stale else 0


def _there(folder: Path, own: Iterable[str]) -> dict[str, bytes]:
    """The files of the folder that are the generator's."""
    roots = [folder / name for name in sorted(own)]
    paths = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}
