"""The programs of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.programs import kinds
from etui.programs.facts import Facts, Signature
from etui.programs.kinds import KINDS, Kind

_FOLDER = "programs/"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of an artifact.

    Attributes:
        name: of its folder below ``programs/``.
        kind: name of its kind; `None` for one that this version does not know.
        media_type: of its part ``main``; `None` where it has none.
        parts: name -> size in bytes.
        signatures: how it can be called.
        stale: why it is not one of the present config and weights; empty where it is.
        effects: what in it could run other code, or reach files.
        fault: why it is refused; empty where it is not.
    """

    name: str
    kind: str | None
    media_type: str | None
    parts: Mapping[str, int]
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    stale: str = ""
    effects: tuple[str, ...] = ()
    fault: str = ""

    @property
    def nbytes(self) -> int:
        """The bytes of its parts."""
        return sum(self.parts.values())

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object, as ``schemas/cli/programs.schema.json`` has it."""
        signatures = [
            {
                "name": name,
                "inputs": [spec.as_json() for spec in one.inputs],
                "outputs": [spec.as_json() for spec in one.outputs],
            }
            for name, one in self.signatures.items()
        ]
        return {
            "name": self.name,
            "kind": self.kind,
            "media_type": self.media_type,
            "parts": [{"name": name, "size": size} for name, size in sorted(self.parts.items())],
            "bytes": self.nbytes,
            "signatures": signatures,
            "stale": self.stale or None,
            "effects": list(self.effects),
            "fault": self.fault or None,
        }


def programs_of(model: Model, limits: Limits = DEFAULT_LIMITS) -> list[Program]:
    """The programs of a model, by name; nothing is run, and one that is refused says why."""
    return [_program(model, name, limits) for name in names_of(model)]


def names_of(model: Model) -> list[str]:
    """The names of a model's programs, sorted."""
    return sorted({part.split("/")[1] for part in model.programs})


def parts_of(model: Model, name: str) -> list[str]:
    """The parts of a program; none where there is no such program."""
    return sorted(part for part in model.programs if part.startswith(f"{_FOLDER}{name}/"))


def kind_of(model: Model, name: str) -> tuple[Kind | None, str | None]:
    """The kind of a program, and the media type of its part ``main``; the kind is `None` where it is not known.

    Raises:
        UsageError: ``program-missing``.
    """
    if name not in names_of(model):
        found = f"{shown(name)}, of {shown(names_of(model), 200)}"
        raise error("program-missing", found=found)
    media_types = [model.programs[part].media_type for part in parts_of(model, name) if _is_main(part, name)]
    if len(media_types) != 1:
        return None, None
    return kinds.by_media_type(media_types[0]), media_types[0]


def facts_of(model: Model, name: str, limits: Limits) -> tuple[Kind, Facts]:
    """The kind of a program and what it says of itself.

    Raises:
        UsageError: ``program-missing``; ``program-kind``, this version does not know its kind.
        RejectError: it is not in the form of its kind.
        MissingExtraError: looking at it needs what is not installed.
    """
    kind, media_type = kind_of(model, name)
    if kind is None:
        found = "no part main, or two" if media_type is None else f"the media type {shown(media_type)}"
        hint = f"Kinds: {', '.join(KINDS)}."
        raise error("program-kind", where=f"{_FOLDER}{name}", found=found, hint=hint)
    return kind, kind.translator.facts(model, name, limits)


def _program(model: Model, name: str, limits: Limits) -> Program:
    kind, media_type = kind_of(model, name)
    known = None if kind is None else kind.name
    parts = {part: model.programs[part].size for part in parts_of(model, name)}
    try:
        _, facts = facts_of(model, name, limits)
    except EtuiError as fault:
        return Program(name, known, media_type, parts, fault=str(fault))
    return Program(name, known, media_type, parts, facts.signatures, facts.stale, tuple(facts.effects))


def _is_main(part: str, name: str) -> bool:
    rest = part.removeprefix(f"{_FOLDER}{name}/")
    return rest == "main" or (rest.startswith("main.") and "/" not in rest)


def in_order(model: Model) -> Iterator[str]:
    """The names of a model's programs in the order in which they are tried: by kind, then by name."""
    ranks = {name: rank for rank, name in enumerate(KINDS)}

    def rank(name: str) -> tuple[int, str]:
        kind, _ = kind_of(model, name)
        return (len(ranks) if kind is None else ranks[kind.name], name)

    yield from sorted(names_of(model), key=rank)
