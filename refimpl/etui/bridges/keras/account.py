"""The account of a model that is written to a format of Keras: what it carries, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from etui.bridges.keras.layout import Place, places
from etui.bridges.keras.roles import flags
from etui.bridges.keras.variables import merged_adapters
from etui.containers.optimizer import Optimizer
from etui.containers.state import State
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report

EVERYTHING = frozenset({"config", "weights", "training", "optimizer", "assets"})
_DOCUMENTS = {"config": "config.json", "training": "training.json", "optimizer": "optimizer.msgpack"}
# What training makes anew by itself: metrics at each epoch, random streams from their seeds, its own counts of epochs.
_TRANSIENT = ("rng", "metrics", "counters")
# What callbacks of Etui keep for themselves in the residue of the state.
OWN, CHECKPOINT = "etui", "checkpoint"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a format carries.

    Attributes:
        title: of the format, for sentences such as "a `.keras` file has no place for it".
        holds: of ``config``, ``weights``, ``training``, ``optimizer``, ``assets``, ``metrics``, ``programs``.
        outside: what the format is not meant to carry, so that who asks for the format does not ask for it.
        native: beginning of the names of the native documents that the format takes up.
    """

    title: str
    holds: frozenset[str] = EVERYTHING
    outside: frozenset[str] = frozenset()
    native: str = ""

    def fate(self, part: str) -> tuple[str, str]:
        """Status and detail of a part that the format does not hold."""
        if part in self.outside:
            return "left-out", f"{self.title} is not meant to hold it"
        if part in _TRANSIENT:
            return "reset", f"{self.title} has no place for it"
        return "not-transferable", f"{self.title} has no place for it"


def account(model: Model, report: Report, scope: Scope) -> None:
    """Add an entry for each item that the report does not know yet, and for all that the format has no place for."""
    known = {(entry.kind, entry.subject) for entry in report.entries}
    for kind, subject, status, detail in _items(model, scope):
        if (kind, subject) not in known:
            report.add(kind, subject, status, detail)


def _items(model: Model, scope: Scope) -> Iterator[tuple[str, str, str, str]]:
    for part, document in _DOCUMENTS.items():
        if getattr(model, part) is not None and part not in scope.holds:
            yield "document", document, *scope.fate(part)
    if model.weights is not None:
        yield from _variables(model, model.weights, scope)
    for key, optimizer in () if model.optimizer is None else model.optimizer.walk():
        if "optimizer" in scope.holds:
            yield "optimizer", key, "restored", optimizer.algorithm
            yield from _slots(key, optimizer)
        else:
            status, detail = scope.fate("optimizer")
            yield "optimizer", key, status, detail
            yield from ((kind, subject, status, detail) for kind, subject, _, _ in _slots(key, optimizer))
    for part, items in (("assets", model.assets), ("programs", model.programs), ("metadata", model.metadata)):
        for name in items:
            fate = ("restored", "") if part in scope.holds else _unheld(model, part, scope)
            yield part.removesuffix("s"), name, *fate
    for name in model.native:
        if not scope.native or not name.startswith(scope.native):
            yield "document", name, *_foreign(model, name, scope)
    if model.state is not None:
        yield from _state(model.state, scope)


def _unheld(model: Model, part: str, scope: Scope) -> tuple[str, str]:
    """A program is a runnable form of the model, so nothing is lost with it where the config says what it computes."""
    if part == "programs" and model.config is not None and model.config.model.graph is not None:
        return "left-out", "a runnable form of the model, which its config describes"
    return scope.fate(part)


def _foreign(model: Model, name: str, scope: Scope) -> tuple[str, str]:
    """A native document says again what the neutral ones hold, if it was translated to them."""
    if model.native[name].bindings:
        return "left-out", "the neutral documents hold what it says"
    return scope.fate("native")


def _variables(model: Model, weights: Weights, scope: Scope) -> Iterator[tuple[str, str, str, str]]:
    if "weights" not in scope.holds:
        yield "document", "weights.json", *scope.fate("weights")
        yield from (("variable", path, *scope.fate("weights")) for path in (*weights.variables, *weights.aliases))
        return
    merged = merged_adapters(model.config, weights) if model.config is not None else {}
    for path in weights.variables:
        yield "variable", path, *(("translated", merged[path]) if path in merged else ("restored", ""))
    for path, target in weights.aliases.items():
        yield "variable", path, "aliased", f"is {target}"
    if model.config is not None and "config" in scope.holds:
        for place in places(model.config):
            yield from _flags(place, weights)


def _flags(place: Place, weights: Weights) -> Iterator[tuple[str, str, str, str]]:
    """A flag that the layer's own config contradicts is lost: Keras has flags of layers, not of variables."""
    for role, trainable in flags(place.op, place.attrs, list(place.module.params)).items():
        path = weights.resolve(place.module.params[role])
        expected = trainable and place.trainable
        if path in weights.variables and weights.variables[path].trainable != expected:
            yield "flag", path, "not-transferable", f"Keras makes it {'' if expected else 'not '}trainable"


def _slots(place: str, optimizer: Optimizer) -> Iterator[tuple[str, str, str, str]]:
    for path, slots in optimizer.slots.items():
        for name in slots:
            yield "slot", f"{place}/{path}/{name}", "restored", ""
    for path in optimizer.fresh:
        yield "slot", f"{place}/{path}", "fresh", "the optimizer has made none yet"
    for name in optimizer.shared_slots:
        yield "slot", f"{place}/{name}", "restored", ""


def _state(state: State, scope: Scope) -> Iterator[tuple[str, str, str, str]]:
    if OWN in state.residue and "residue" not in scope.holds:
        yield "state", f"residue/{OWN}", "reset", "what a checkpoint callback keeps for the runs that it resumes"
    foreign = any(name != OWN for name in state.residue)
    for name in ("counters", "rng", "data", "user", "residue", "metrics"):
        if name == "residue" and not foreign:
            continue
        if getattr(state, name) and name not in scope.holds:
            yield "state", name, *scope.fate("state" if "state" in scope.outside else name)
