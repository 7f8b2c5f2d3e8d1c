"""Optimizers of the core vocabulary from states of optax (SPEC.md annex N.3).

A state has slots and counters, and hardly ever hyperparameters: these come from the caller, and are never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from etui.bridges.jax import optax_states
from etui.bridges.jax.optax_build import algorithm_of, hyperparameters_of
from etui.bridges.jax.optax_rules import RENAMED
from etui.bridges.jax.optax_states import COUNT, HYPERPARAMETER, MICRO_STEP, PENDING, RULES, SLOT, STEP, Place
from etui.bridges.jax.optax_write import placed
from etui.bridges.jax.placing import tensor_of
from etui.bridges.jax.schedules import rate_of
from etui.bridges.jax.trees import KeyPath, path_of
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core import vocabulary
from etui.errors import error
from etui.paths import escape_segment
from etui.report import Report
from etui.transfer import EXACT, REPARAMETRISED, Transfer

_OPTAX = "optax:"
_NAMES_OF_OPTAX = {"b1": "beta_1", "b2": "beta_2", "eps": "epsilon", "eps_root": "epsilon_root", "decay": "rho"}
_SHARED = frozenset({"u_product", "step_counter", "dynamic_scale"})


def described(
    algorithm: str, hyperparameters: Mapping[str, Any] | None = None, schedule: Any = None, clock: str = "step"
) -> Optimizer:
    """An optimizer of the core vocabulary by its name and hyperparameters, without a state.

    Args:
        algorithm: with or without its namespace: ``"adam"``, ``"core:adam"``.
        hyperparameters: those that differ from the vocabulary's defaults, in its names.
        schedule: of the rate, an `$object` of the class ``core:schedules.*``.
        clock: what the schedule counts.

    Raises:
        TransferError: ``jax-optimizer``, an unknown algorithm or hyperparameter.
    """
    name = algorithm if ":" in algorithm else f"{vocabulary.NAMESPACE}{algorithm}"
    made = Optimizer(name, dict(hyperparameters or {}), schedule=schedule)
    made.schedule_clock = None if schedule is None else clock
    hyperparameters_of(made)
    return made


def optimizer_of(
    state: Any,
    variables: Mapping[KeyPath, str],
    report: Report,
    *,
    description: Optimizer | None = None,
    order: Sequence[str] = (),
    step: int | None = None,
) -> Optimizer:
    """The optimizer with its slots and counters.

    Args:
        state: of an optax transformation.
        variables: key path of each parameter -> path of its variable.
        report: gets an entry for the optimizer, for each slot, and for what is not known.
        description: algorithm, hyperparameters, schedule, groups, wrapped optimizer; without it the optimizer has the
            namespace ``optax`` and only those hyperparameters that the state holds.
        order: the paths in the model's own order.
        step: completed updates, for a state that does not count them.

    Raises:
        TransferError: ``jax-optimizer``, the description is none of the vocabulary; ``jax-state``, counters of the
            state that disagree.
    """
    found = _Reading(list(optax_states.places(state, variables)))
    if description is None:
        made = _undescribed(state, found, report)
    else:
        algorithm_of(description)
        made = replace(description)
    place, bottom = list(placed(made))[-1]
    core = bottom.algorithm.startswith(vocabulary.NAMESPACE)
    h = hyperparameters_of(bottom) if core else {}
    done, seen = found.counters(int(h.get("accumulation_steps", 1)), step, report, strict=core)
    slots = _slots(found, place, bottom.algorithm if core else None, report)
    given = set(variables.values())
    groups = bottom.groups or [Group([path for path in order or variables.values() if path in given])]
    fresh = _fresh(bottom, core, groups, slots, done)
    rate = _rate(bottom, h, found, done) if core else found.rate()
    status = "translated" if core else "data-only"
    detail = (
        "" if core else f"{bottom.algorithm}: unknown hyperparameters, which a state does not tell; pass `optimizer`"
    )
    report.add("optimizer", place, status, detail or bottom.algorithm, Transfer(EXACT) if core else None)
    return _assembled(
        made, found, step=done, micro_step=seen, slots=slots, groups=groups, fresh=fresh, learning_rate=rate
    )


def _assembled(made: Optimizer, found: _Reading, **bottom: Any) -> Optimizer:
    """The optimizer and its wrappers with the new state; counters and rate are the same on each level."""
    shared = found.shared()
    clocks = {name: bottom[name] for name in ("step", "micro_step", "learning_rate")}
    if made.inner is None:
        core = made.algorithm.startswith(vocabulary.NAMESPACE)
        own = {name: tensor for name, tensor in shared.items() if name not in ("step_counter", "dynamic_scale")}
        own = own if core else {}
        residue = found.residue(everything=not core)
        return replace(
            made, **bottom, shared_slots=own, residue={**made.residue, **({"optax": residue} if residue else {})}
        )
    scaler = {name: tensor for name, tensor in shared.items() if name in ("step_counter", "dynamic_scale")}
    return replace(made, inner=_assembled(made.inner, found, **bottom), shared_slots=scaler, **clocks)


@dataclass(slots=True)
class _Reading:
    """The leaves of a state, by what they are."""

    places: list[Place]
    hyperparameters: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        found = {place.name: place.value for place in self.places if place.kind == HYPERPARAMETER}
        self.hyperparameters = {
            name: np.asarray(value)[()].item() for name, value in found.items() if np.ndim(value) == 0
        }

    def rate(self) -> float | None:
        rate = self.hyperparameters.get("learning_rate")
        return None if rate is None else float(rate)

    def counters(self, steps: int, given: int | None, report: Report, *, strict: bool) -> tuple[int, int]:
        """Completed updates, and gradients seen; strict refuses counts that contradict each other."""
        counts: dict[str, set[int]] = {}
        for place in self.places:
            if place.kind == COUNT:
                counts.setdefault(place.name, set()).add(int(np.asarray(place.value)))
        micro = counts.get(MICRO_STEP, set())
        done = set(micro) if steps == 1 else set()
        done = done.union(*(counts.get(name, ()) for name in (STEP, optax_states.CLOCK, optax_states.RATE_STEP)))
        if strict and (len(done) > 1 or len(micro) > 1):
            raise error("jax-state", found=f"counts of {sorted(done)} updates and {sorted(micro)} gradients")
        if not done and given is None:
            report.add("optimizer", "step", "reset", "the state does not count its updates; pass `step`")
        step = max(done) if done else given or 0
        return step, max(micro) if micro else step * steps + self.pending()

    def pending(self) -> int:
        """Gradients since the last update, where the state says it."""
        return next((int(np.asarray(place.value)) for place in self.places if place.name == PENDING), 0)

    def shared(self) -> dict[str, Tensor]:
        """What belongs to the optimizer as a whole, by the name in the vocabulary."""
        found = {}
        for place in self.places:
            name = _last(place)
            if place.kind == optax_states.SHARED and name in _SHARED:
                found[name] = tensor_of(place.value, name)
        return found

    def residue(self, *, everything: bool) -> dict[str, Any]:
        """Leaves that mean something to optax alone, by their path in the state; counters as well if that is all."""
        found = {}
        for place in self.places:
            alone = place.kind == optax_states.SHARED and _last(place) not in _SHARED
            if alone or (everything and place.kind in (optax_states.SHARED, COUNT)):
                path = path_of(place.keys)
                found[path] = tensor_of(place.value, path)
        return found


def _last(place: Place) -> str:
    key = place.keys[-1] if place.keys else ""
    return str(getattr(key, "name", getattr(key, "key", "")))


def _undescribed(state: Any, found: _Reading, report: Report) -> Optimizer:
    """An optimizer of which only the state is known; a rule is named where the classes of the state leave one."""
    classes = optax_states.classes(state)
    rules = {RULES[name] for name in classes if name in RULES}
    kinds = [name for name in classes if name not in ("EmptyState", "MaskedState", "MaskedNode", "PartitionState")]
    name = rules.pop() if len(rules) == 1 else escape_segment("+".join(dict.fromkeys(kinds)) or "state")
    for hyperparameter in found.hyperparameters:
        report.add("hyperparameter", _NAMES_OF_OPTAX.get(hyperparameter, hyperparameter), "translated")
    return Optimizer(_OPTAX + name, {_NAMES_OF_OPTAX.get(key, key): v for key, v in found.hyperparameters.items()})


def _slots(found: _Reading, where: str, algorithm: str | None, report: Report) -> dict[str, dict[str, Tensor]]:
    """The slots by variable and name, in the terms of a core algorithm, or else as they are."""
    names = RENAMED.get((algorithm or "").removeprefix(vocabulary.NAMESPACE), {})
    slots: dict[str, dict[str, Tensor]] = {}
    for place in found.places:
        if place.kind != SLOT or (algorithm is not None and optax_states.is_placeholder(place)):
            continue
        slot = names.get(place.name, place.name)
        own = slots.setdefault(place.variable, {})
        subject = f"{where}/{place.variable}/{slot}"
        if slot in own:
            raise error("jax-state", where=subject, found="two slots of one name")
        value, transfer = place.value, Transfer(EXACT)
        if place.owner == "MultiStepsState" and algorithm is not None:
            value = value * found.pending()
            transfer = Transfer(REPARAMETRISED, "gradient_accumulator = acc_grads · pending gradients")
        own[slot] = tensor_of(value, subject)
        report.add("slot", subject, "restored" if transfer.kind == EXACT else "translated", "", transfer)
    return slots


def _fresh(bottom: Optimizer, core: bool, groups: Sequence[Group], slots: Mapping[str, Any], done: int) -> list[str]:
    """Variables of the groups without slots, where the rule has some or nothing was updated yet."""
    own = [path for group in groups for path in group.variables]
    if core and slots:
        return [path for path in own if path not in slots]
    return [path for path in own if path in bottom.fresh] if done == 0 else []


def _rate(bottom: Optimizer, h: Mapping[str, Any], found: _Reading, done: int) -> float | None:
    """The rate of the last update."""
    injected = found.rate()
    if bottom.schedule is None:
        rate = h.get("learning_rate") if injected is None else injected
        return None if rate is None else float(rate)
    at = replace(bottom, step=done, micro_step=done * int(h["accumulation_steps"]))
    rule = rate_of(at, h)
    return float(np.asarray(rule(max(0, done - 1)))) if callable(rule) else float(rule)
