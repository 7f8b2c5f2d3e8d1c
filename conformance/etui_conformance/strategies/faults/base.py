"""What a named fault is, and how one is declared: a function that changes a valid artifact in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from inspect import Signature
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.strategies.drafts import MANIFEST, Draft, Parts, seal
from etui_conformance.strategies.faults.hosts import hosted
from etui_conformance.strategies.scope import Scope

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, slots=True)
class Given:
    """An artifact to ask about.

    Attributes:
        parts: name -> bytes, in any form; empty where there is another field.
        packed: the bytes of a packed artifact, which need not be one.
        spoil: what is done to the folder of the parts after it was written.
        form: the only form in which it makes sense; by default any.
    """

    parts: Parts = field(default_factory=dict)
    packed: bytes | None = None
    spoil: Callable[[Path], None] | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A valid artifact, and the same with the fault, made in one way or in several."""

    valid: Given
    faulty: tuple[Given, ...]


class Turn:
    """Draws as Hypothesis does, but chooses among the ways of making a fault by turns.

    Args:
        draw: given by Hypothesis.
        number: of the turn.
    """

    __signature__ = Signature()  # what `DrawFn` has of a function

    def __init__(self, draw: st.DrawFn, number: int) -> None:
        self._draw = draw
        self._number = number
        self.ways = 1

    def __call__(self, strategy: st.SearchStrategy[Drawn], label: object = None) -> Drawn:
        """Draw from a strategy."""
        return self._draw(strategy, label)

    def choose(self, choices: Sequence[Any]) -> Any:
        """The choice whose turn it is; `ways` remembers how many there are."""
        self.ways = max(self.ways, len(choices))
        return choices[self._number % len(choices)]


@dataclass(frozen=True, slots=True)
class Ways:
    """In how many ways a fault is made of one valid artifact.

    Attributes:
        first: the turn to begin with.
        most: the most turns; there are no more than choices.
    """

    first: int = 0
    most: int = 16

    def made(self, draw: st.DrawFn, make: Callable[[st.DrawFn], Given]) -> tuple[Given, ...]:
        """What `make` gives in each of the turns."""
        found: list[Given] = []
        ways = 1
        while len(found) < min(ways, self.most):
            turn = Turn(draw, self.first + len(found))
            found.append(make(turn))
            ways = max(ways, turn.ways)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Fault:
    """One named fault.

    Attributes:
        clauses: those that it breaks, the one that it is named after first.
        codes: what a reader may refuse it with; almost always one.
        name: unique among those of the clause.
        needs: capabilities without which there is no artifact to make it in.
        draw: draws a case.
        full: whether a reader need not see it but in a full verification (H-7).
    """

    clauses: tuple[str, ...]
    codes: tuple[str, ...]
    name: str
    needs: frozenset[str]
    draw: Callable[[st.DrawFn, Scope, Ways], Case]
    full: bool = False

    @property
    def id(self) -> str:
        """The name of its check."""
        return f"fault/{self.clauses[0]}/{self.name.replace(' ', '-')}"

    def cases(self, scope: Scope, ways: Ways | None = None) -> st.SearchStrategy[Case]:
        """A strategy of cases within a scope; each makes the fault in every way, unless `ways` bounds them."""
        return st.composite(lambda draw: self.draw(draw, scope, ways or Ways()))()


@dataclass(frozen=True, slots=True)
class Host:
    """What the artifact must have, in which a fault is made.

    Attributes:
        having: documents.
        tensors: further variables, TENSORs by path.
        cut: whether the variable `host/kernel` lies in several chunks.
        parts: further parts, as CONTENT has them.
        needs: capabilities beyond the documents and the dtypes and encodings of the tensors.
    """

    having: tuple[str, ...] = ()
    tensors: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    cut: bool = False
    parts: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()

    def capabilities(self) -> frozenset[str]:
        """What an implementation must claim for such an artifact to be drawn."""
        found = {*self.having, *self.needs, "dtype:float32", "dtype:int32"}
        for tensor in self.tensors.values():
            found |= _needed(tensor)
        if self.cut:
            found.add("feature:chunks")
        if self.parts:
            found |= {"parts"} | {"feature:programs" for part in self.parts.values() if part["role"] == "program"}
        return frozenset(found)

    def draw(self, draw: st.DrawFn, scope: Scope) -> Draft:
        """A valid artifact with all of it."""
        return hosted(draw, scope, self.having, tensors=self.tensors, cut=self.cut, parts=self.parts)


_ENCODINGS = {"complex64": "complex", "int4": "packed4", "uint4": "packed4", "string": "string", "bytes": "string"}


def _needed(tensor: Mapping[str, Any]) -> set[str]:
    found = {f"dtype:{tensor['dtype']}"}
    if "components" in tensor:
        found.add("feature:encoding.quantized")
        for component in tensor["components"].values():
            found |= _needed(component)
    elif tensor["dtype"] in _ENCODINGS:
        found.add(f"feature:encoding.{_ENCODINGS[tensor['dtype']]}")
    return found


WEIGHTS = Host(("weights",))
CONFIG = Host(("config",))
TRAINING = Host(("training",))
OPTIMIZER = Host(("optimizer",))
STATE = Host(("state",))
CHUNKED = Host(("weights",), cut=True)

_REGISTRY: list[Fault] = []


def register(fault: Fault) -> None:
    """Add a fault to those that exist.

    Raises:
        ValueError: there is one of the same id.
    """
    if any(fault.id == other.id for other in _REGISTRY):
        raise ValueError(f"two faults have the id {fault.id}")
    _REGISTRY.append(fault)


def registered() -> Sequence[Fault]:
    """Every fault that was declared, in the order of the declarations."""
    return tuple(_REGISTRY)


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def in_draft(
    clauses: str, codes: str, name: str, host: Host = WEIGHTS, *, full: bool = False
) -> Callable[[Callable[[st.DrawFn, Draft], None]], Callable[[st.DrawFn, Draft], None]]:
    """Declare a fault that changes a draft, which is sealed again: every digest is right.

    Args:
        clauses: ids, separated by spaces.
        codes: the same.
        name: of the fault.
        host: what the artifact must have.
        full: whether it shows in a full verification alone.
    """

    def declare(change: Callable[[st.DrawFn, Draft], None]) -> Callable[[st.DrawFn, Draft], None]:
        def case(draw: st.DrawFn, scope: Scope, ways: Ways) -> Case:
            draft = host.draw(draw, scope)

            def make(turn: st.DrawFn) -> Given:
                faulty = deepcopy(draft)
                change(turn, faulty)
                return Given(seal(faulty))

            return Case(Given(seal(draft)), ways.made(draw, make))

        register(Fault(_split(clauses), _split(codes), name, host.capabilities(), case, full))
        return change

    return declare


def in_parts(
    clauses: str, codes: str, name: str, host: Host = WEIGHTS, *, full: bool = False, form: str | None = None
) -> Callable[[Callable[[st.DrawFn, Parts], Parts]], Callable[[st.DrawFn, Parts], Parts]]:
    """Declare a fault that changes the sealed parts; arguments as of `in_draft`.

    Args:
        clauses: ids, separated by spaces.
        codes: the same.
        name: of the fault.
        host: what the artifact must have.
        full: whether it shows in a full verification alone.
        form: the only form that such parts may have.
    """

    def declare(change: Callable[[st.DrawFn, Parts], Parts]) -> Callable[[st.DrawFn, Parts], Parts]:
        def case(draw: st.DrawFn, scope: Scope, ways: Ways) -> Case:
            valid = seal(host.draw(draw, scope))
            return Case(Given(valid), ways.made(draw, lambda turn: Given(change(turn, dict(valid)), form=form)))

        needs = host.capabilities() | ({form} if form else set())
        register(Fault(_split(clauses), _split(codes), name, needs, case, full))
        return change

    return declare


def in_manifest(
    clauses: str, codes: str, name: str, host: Host = WEIGHTS, *, full: bool = False
) -> Callable[[Callable[[st.DrawFn, dict[str, Any]], None]], Callable[[st.DrawFn, dict[str, Any]], None]]:
    """Declare a fault that changes the tree of the manifest; arguments as of `in_draft`."""

    def declare(change: Callable[[st.DrawFn, dict[str, Any]], None]) -> Callable[[st.DrawFn, dict[str, Any]], None]:
        def change_parts(draw: st.DrawFn, parts: Parts) -> Parts:
            tree = canonical.decode(parts[MANIFEST])
            change(draw, tree)
            return {**parts, MANIFEST: canonical.encode(tree)}

        in_parts(clauses, codes, name, host, full=full)(change_parts)
        return change

    return declare
