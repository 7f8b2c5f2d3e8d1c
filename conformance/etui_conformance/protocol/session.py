"""What the checks see of an implementation under test: questions and replies, wherever it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Result = Literal["ok", "reject", "unsupported", "fault"]
FailureKind = Literal["crash", "hang", "garbage", "wrong-id", "stderr-flood", "start"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of an adapter.

    Attributes:
        result: what became of the request.
        fields: every other member of the message, as decoded JSON.
    """

    result: Result
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        """The code of a refusal."""
        return self.fields.get("code")

    @property
    def refusal(self) -> tuple[str | None, str | None] | None:
        """Class and code of a refusal, or `None` if it is none."""
        return (self.fields.get("class"), self.fields.get("code")) if self.result == "reject" else None


@dataclass(frozen=True, slots=True)
class Hello:
    """What an adapter says of itself.

    Attributes:
        name, version, language: of the implementation.
        ops: the requests that it answers.
        areas: what of an artifact it understands: weights, config, training, optimizer, state, parts.
        forms: packed, directory, series.
        features: those of SPEC.md chapter 18.2.
        dtypes: those of SPEC.md chapter 2.1.
        formats: foreign formats that `convert` knows.
    """

    name: str
    version: str
    language: str
    ops: frozenset[str]
    areas: frozenset[str]
    forms: frozenset[str]
    features: frozenset[str]
    dtypes: frozenset[str]
    formats: frozenset[str] = frozenset()

    @property
    def artifact_forms(self) -> frozenset[str]:
        """The forms that hold one artifact by itself; a step of a series is asked about by checks of its own."""
        return self.forms - {"series"}

    @property
    def capabilities(self) -> frozenset[str]:
        """Everything that a check may need, as one set, such as `decode`, `weights`, `dtype:int4`, `format:keras`."""
        return (
            self.ops
            | self.areas
            | self.forms
            | {f"feature:{name}" for name in self.features}
            | {f"dtype:{name}" for name in self.dtypes}
            | {f"format:{name}" for name in self.formats}
        )


class AdapterFailure(Exception):  # noqa: N818 (what failed is the adapter, the run goes on)
    """The adapter did not answer as the protocol says.

    Attributes:
        kind: crash, hang, garbage, wrong-id, stderr-flood, or start (it never said hello).
        detail: what was seen: exit code, the first bytes of the output, the end of stderr.
    """

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class Session(ABC):
    """An adapter that said hello and answers requests.

    Attributes:
        hello: what it said.
        folder: where files go between the suite and the adapter.
    """

    hello: Hello
    folder: Path

    @abstractmethod
    def ask(self, op: str, /, **fields: Any) -> Reply:
        """Send a request and wait for its reply.

        Raises:
            AdapterFailure: there is no reply of the protocol; the next request meets a fresh process.
        """

    @abstractmethod
    def close(self) -> None:
        """Say bye and end the adapter."""
