"""Artifacts that one implementation writes, read by another: every producer with every consumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etui_conformance.checks.base import Mismatch
from etui_conformance.checks.exchange import about_packed, check_content
from etui_conformance.protocol import wire
from etui_conformance.protocol.session import AdapterFailure, Session
from etui_conformance.runner import Open, opened
from etui_conformance.vectors import Vector


@dataclass(slots=True)
class Cell:
    """What a consumer made of the artifacts of a producer.

    Attributes:
        producer, consumer: as the caller names them.
        read: ids of vectors whose content arrived bit for bit.
        lost: ids of vectors whose content did not, with the reason.
    """

    producer: str
    consumer: str
    read: list[str] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """In a word: how many of how many."""
        asked = len(self.read) + len(self.lost)
        return f"{len(self.read)} of {asked}" if asked else "–"


@dataclass(slots=True)
class Matrix:
    """What came of all producers and consumers.

    Attributes:
        names: of the implementations, as their hello says, by the caller's names.
        cells: of each pair.
        unwritten: by producer, the vectors that it could not write, with the reason.
        contents: number of contents that were tried.
    """

    names: dict[str, str] = field(default_factory=dict)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    unwritten: dict[str, dict[str, str]] = field(default_factory=dict)
    contents: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing was lost and nothing stayed unwritten, and something was tried."""
        return (
            not any(cell.lost for cell in self.cells.values())
            and not any(self.unwritten.values())
            and any(cell.read for cell in self.cells.values())
        )

    def as_json(self) -> dict[str, Any]:
        """The matrix as JSON."""
        return {
            "format": "etui-conformance-matrix",
            "version": "1.0",
            "implementations": dict(self.names),
            "contents": self.contents,
            "unwritten": {name: dict(reasons) for name, reasons in self.unwritten.items()},
            "cells": [
                {"producer": cell.producer, "consumer": cell.consumer, "read": cell.read, "lost": cell.lost}
                for cell in self.cells.values()
            ],
        }


def cross(adapters: Mapping[str, Open], vectors: Sequence[Vector]) -> Matrix:
    """Let every adapter write the content of every valid vector, and every adapter read what was written.

    Args:
        adapters: what starts each adapter, by a name for it.
        vectors: of the suite; those that are not valid or have no content are passed over.

    Raises:
        AdapterFailure: ``start``, one does not say hello.
    """
    found = Matrix()
    with ExitStack() as stack:
        sessions = {name: stack.enter_context(opened(start)) for name, start in adapters.items()}
        for name, session in sessions.items():
            found.names[name] = f"{session.hello.name} {session.hello.version} ({session.hello.language})"
            found.unwritten[name] = {}
        found.cells = {(one, other): Cell(one, other) for one in sessions for other in sessions}
        for vector in vectors:
            if vector.valid and vector.expected is not None and vector.kind == "packed":
                found.contents += 1
                _pass_on(vector, sessions, found)
    return found


def _pass_on(vector: Vector, sessions: Mapping[str, Session], found: Matrix) -> None:
    content = vector.content()
    for producer, session in sessions.items():
        if not _understands(session, vector) or not {"encode", "transcode"} & session.hello.ops:
            continue
        try:
            data = _written(session, vector, content)
        except (AdapterFailure, Mismatch) as trouble:
            found.unwritten[producer][vector.id] = str(trouble)
            continue
        for consumer, reader in sessions.items():
            if "decode" in reader.hello.ops and _understands(reader, vector):
                cell = found.cells[producer, consumer]
                try:
                    question = about_packed(reader, "decode", data, want="all")
                    check_content(question, question.accepted(), content, reader.hello.areas)
                except (AdapterFailure, Mismatch) as trouble:
                    cell.lost[vector.id] = str(trouble)
                else:
                    cell.read.append(vector.id)


def _understands(session: Session, vector: Vector) -> bool:
    return vector.needs | vector.holds <= session.hello.capabilities


def _written(session: Session, vector: Vector, content: dict[str, Any]) -> bytes:
    """The bytes of the artifact that a producer makes of a content, or of the vector's own artifact if it cannot."""
    path = wire.new_path(session.folder, ".etui")
    new = {"form": "packed", "path": str(path)}
    if "encode" in session.hello.ops:
        reply = session.ask("encode", content=wire.content_to_wire(content, session.folder), **new)
    else:
        reply = session.ask("transcode", artifact=wire.packed_artifact(vector.data(), session.folder), **new)
    if reply.result != "ok":
        raise Mismatch(f"{reply.result}: {reply.fields.get('what') or reply.code or reply.fields.get('message')}")
    try:
        return Path(path).read_bytes()
    except OSError as fault:
        raise Mismatch(f"nothing was written: {fault.strerror}") from fault
