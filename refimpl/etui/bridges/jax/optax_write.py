"""States of optax from the slots and counters of an optimizer of the core vocabulary (SPEC.md annex N.3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui.bridges.jax import optax_states
from etui.bridges.jax.optax_build import Built, algorithm_of, hyperparameters_of
from etui.bridges.jax.optax_rules import RENAMED
from etui.bridges.jax.optax_states import CLOCK, COUNT, MICRO_STEP, PENDING, SHARED, SLOT, Place
from etui.bridges.jax.placing import dtype_of, like_leaf, placed_like, stored_dtype
from etui.bridges.jax.trees import KeyPath, Tree, path_of
from etui.containers.optimizer import Optimizer
from etui.containers.pieces import Array
from etui.report import Report
from etui.transfer import APPROXIMATE, EXACT, NOT_TRANSFERABLE, REPARAMETRISED, Transfer

MAIN = "optimizer"
Convert = Callable[[Array], Array]


def levels(optimizer: Optimizer) -> Iterator[Optimizer]:
    """An optimizer and those that it wraps, outer ones first."""
    found: Optimizer | None = optimizer
    while found is not None:
        yield found
        found = found.inner


def state_of(
    built: Built,
    source: Optimizer,
    params: Tree,
    names: Mapping[KeyPath, str],
    report: Report,
    *,
    elsewhere: Collection[str] = (),
) -> Any:
    """The state of a transformation that goes on where the source stands.

    Args:
        built: the transformation.
        source: the optimizer that it was built from, with slots.
        params: the parameters.
        names: key path of each parameter -> path of its variable.
        report: gets an entry for the optimizer and for each slot.
        elsewhere: variables that are no parameters now, whose slots the caller keeps.
    """
    _account_optimizer(built, source, report)
    state = built.transformation.init(params)
    return filled(source, state, names, report, built.stock, elsewhere=elsewhere, unused="left-out")


def filled(
    source: Optimizer,
    state: Any,
    names: Mapping[KeyPath, str],
    report: Report,
    target: Mapping[str, Any],
    *,
    elsewhere: Collection[str] = (),
    unused: str = "unexpected",
) -> Any:
    """A state with the slots and counters of a source in the places of its own.

    Args:
        source: the optimizer with its slots.
        state: of any optax transformation.
        names: key path of each parameter -> path of its variable.
        report: gets an entry for each slot on both sides.
        target: hyperparameters of the transformation that are others than the source's.
        elsewhere: variables that are no parameters now, whose slots the caller keeps.
        unused: the status of a stored slot of a parameter for which the state has no place.
    """
    place, bottom = list(placed(source))[-1]
    conversions = converted(bottom, target) if _is_core(bottom) else {}
    filling = _Filling(source, bottom, place, names, report, conversions)
    made = filling.fill(state)
    filling.account_unused(elsewhere, unused)
    return made


def _account_optimizer(built: Built, source: Optimizer, report: Report) -> None:
    status = {NOT_TRANSFERABLE: "not-transferable", APPROXIMATE: "approximated"}.get(built.transfer.kind, "translated")
    for place, level in placed(source):
        if level.inner is None:
            report.add("optimizer", place, status, level.algorithm, built.transfer)
        else:
            report.add("optimizer", place, "translated", level.algorithm, Transfer(EXACT))


def placed(optimizer: Optimizer) -> Iterator[tuple[str, Optimizer]]:
    """Each level of an optimizer with its place, as reports name it."""
    for depth, level in enumerate(levels(optimizer)):
        yield "/".join([MAIN, *["inner"] * depth]), level


def converted(source: Optimizer, target: Mapping[str, Any]) -> dict[str, tuple[Convert, Transfer]]:
    """What is done to the slots of a source for a rule with some other hyperparameters.

    Returns:
        Slot -> function and class of its transfer, for the slots that change.
    """
    h = hyperparameters_of(source)
    algorithm, form = algorithm_of(source), target.get("momentum_form")
    if algorithm == "sgd" and form is not None and form != h["momentum_form"] and source.schedule is None:
        rate = h["learning_rate"]
        if form == "buffer":
            return {"momentum": (lambda v: -v / rate, Transfer(REPARAMETRISED, "trace = -momentum / learning_rate"))}
        return {"momentum": (lambda b: -b * rate, Transfer(REPARAMETRISED, "trace = -momentum * learning_rate"))}
    return {}


@dataclass(slots=True)
class _Filling:
    source: Optimizer
    bottom: Optimizer
    place: str
    names: Mapping[KeyPath, str]
    report: Report
    conversions: Mapping[str, tuple[Convert, Transfer]]
    taken: set[tuple[str, str]] = field(default_factory=set)

    def fill(self, state: Any) -> Any:
        """The state with every leaf that the source knows."""
        values = {place.keys: self.value(place) for place in optax_states.places(state, self.names)}
        return optax_states.replaced(state, values.get)

    def account_unused(self, elsewhere: Collection[str], unused: str) -> None:
        """An entry for each stored slot that went nowhere."""
        given = set(self.names.values())
        for path, slots in self.bottom.slots.items():
            for slot in slots:
                if path in elsewhere:
                    self.report.add("slot", f"{self.place}/{path}/{slot}", "data-only", "the variable is frozen")
                elif path not in given:
                    self.report.add(
                        "slot", f"{self.place}/{path}/{slot}", "unexpected", "its variable is not among the parameters"
                    )
                elif (path, slot) not in self.taken:
                    self.report.add("slot", f"{self.place}/{path}/{slot}", unused, "the rule does not use it")

    def value(self, place: Place) -> Any:
        if place.kind == COUNT:
            return self.count(place)
        if place.kind == SLOT:
            return self.slot(place)
        return self.shared(place) if place.kind == SHARED else place.value

    def count(self, place: Place) -> Any:
        if not _is_core(self.bottom):
            return self.kept(place)
        steps = int(hyperparameters_of(self.bottom)["accumulation_steps"])
        number = {MICRO_STEP: self.bottom.micro_step, PENDING: self.bottom.micro_step % steps}
        # A schedule of optax counts updates: where gradients are accumulated, the rate is a function of these.
        value = self.bottom.step if place.name == CLOCK else number.get(place.name, self.bottom.step)
        return like_leaf(np.asarray(value, dtype_of(place.value)), place.value)

    def slot(self, place: Place) -> Any:
        path = place.variable
        names = RENAMED.get(self.bottom.algorithm.removeprefix("core:"), {})
        slot = names.get(place.name, place.name)
        subject = f"{self.place}/{path}/{slot}"
        if path in self.bottom.fresh:
            self.report.add("slot", subject, "fresh")
            return place.value
        tensor = self.bottom.slots.get(path, {}).get(slot)
        if optax_states.is_placeholder(place):
            self.taken.add((path, slot))
            return place.value
        if tensor is None:
            new = not self.bottom.micro_step
            self.report.add("slot", subject, "fresh" if new else "missing")
            return place.value
        self.taken.add((path, slot))
        if tensor.shape != np.shape(place.value):
            self.report.add(
                "slot", subject, "shape-mismatch", f"{list(tensor.shape)}, not {list(np.shape(place.value))}"
            )
            return place.value
        convert, transfer = self.conversions.get(slot, (None, Transfer(EXACT)))
        if place.owner == "MultiStepsState" and _is_core(self.bottom):
            pending = max(1, self.count_pending())
            convert = _divided(pending)
            transfer = Transfer(REPARAMETRISED, "acc_grads = gradient_accumulator / pending gradients")
        dtype, stored = place.value.dtype, stored_dtype(tensor)
        if stored != str(dtype):
            self.report.add("slot", subject, "cast", f"{stored} to {dtype}", transfer)
        else:
            self.report.add("slot", subject, "restored" if transfer.kind == EXACT else "translated", "", transfer)
        return placed_like(tensor, place.value, dtype, convert)

    def count_pending(self) -> int:
        """Gradients since the last update."""
        steps = int(hyperparameters_of(self.bottom)["accumulation_steps"])
        return self.bottom.micro_step % steps

    def shared(self, place: Place) -> Any:
        if not _is_core(self.bottom):
            return self.kept(place)
        last = place.keys[-1]
        name = str(getattr(last, "name", getattr(last, "key", "")))
        for where, level in placed(self.source):
            if name in level.shared_slots:
                self.report.add("slot", f"{where}/{name}", "restored", "", Transfer(EXACT))
                return placed_like(level.shared_slots[name], place.value, dtype_of(place.value))
        if name in ("u_product", "step_counter", "dynamic_scale"):
            self.report.add("slot", f"{self.place}/{name}", "fresh" if not self.bottom.micro_step else "missing")
            return place.value
        return self.kept(place)

    def kept(self, place: Place) -> Any:
        """A leaf that means something to optax alone, by its path in the state."""
        name = path_of(place.keys)
        tensor = self.bottom.residue.get("optax", {}).get(name)
        if tensor is None or tensor.shape != np.shape(place.value):
            self.report.add("slot", f"{self.place}/{name}", "missing")
            return place.value
        self.report.add("slot", f"{self.place}/{name}", "restored", "", Transfer(EXACT))
        return placed_like(tensor, place.value, dtype_of(place.value))


def _divided(number: int) -> Convert:
    return lambda array: array / number


def _is_core(optimizer: Optimizer) -> bool:
    return optimizer.algorithm.startswith("core:")
