"""What a check is, and what it has to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etui_conformance.protocol.session import Session


class Mismatch(Exception):  # noqa: N818 (a finding about the implementation, not an error of the suite)
    """An implementation answered otherwise than SPEC.md says.

    Attributes:
        expected, found: both sides in words, short.
        request: the message that shows it, for the replay.
        files: name -> bytes of the artifacts of the request, so that the failure can be replayed and promoted.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: object = None,
        found: object = None,
        request: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found
        self.request = request
        self.files = dict(files or {})


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run goes.

    Attributes:
        quick: fewer Hypothesis examples, and no check marked slow.
        seed: of Hypothesis; `None` derandomizes.
        examples: of each property.
    """

    quick: bool = False
    seed: int | None = None
    examples: int = 50


@dataclass(frozen=True, slots=True)
class Context:
    """What a check is given.

    Attributes:
        session: the implementation.
        settings: of the run.
        fresh: starts the same implementation anew, to tell a leak of state from a fault.
    """

    session: Session
    settings: Settings
    fresh: Callable[[], Session]

    @property
    def folder(self) -> Path:
        """Where files go between the suite and the adapter."""
        return self.session.folder


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an implementation is asked.

    Attributes:
        id: unique and stable: `vector/weights/0007`, `property/decode/weights`, `fault/W-7/gap`.
        clauses: ids of SPEC.md that a failure disproves.
        needs: capabilities (see `Hello.capabilities`) without which the check does not apply.
        title: what the implementation must do, one sentence.
        run: asks; raises `Mismatch`, or lets `AdapterFailure` through.
        slow: left out of quick runs.
    """

    id: str
    clauses: tuple[str, ...]
    needs: frozenset[str]
    title: str
    run: Callable[[Context], None] = field(compare=False)
    slow: bool = False
