"""One step of an optimizer, by the definitions of SPEC.md (annex K.4 to K.6), in NumPy.

This is the oracle of the tests and not made for speed. A step never changes what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.constraints import project
from etui.core.parameters import hyperparameters, rule_of
from etui.core.rules import RULES, Array, Update
from etui.core.rules.adaptive import momentum_weight
from etui.core.rules.slots import fresh_slot, slot_shapes
from etui.core.rules.update import norm
from etui.core.schedules import rate as scheduled
from etui.core.vocabulary import NAMESPACE
from etui.errors import error

Arrays = Mapping[str, Array]


def step(
    optimizer: Optimizer,
    variables: Arrays,
    gradients: Arrays,
    *,
    constraints: Mapping[str, ObjectValue] | None = None,
) -> tuple[Optimizer, dict[str, Array]]:
    """What an optimizer makes of one set of gradients.

    Args:
        optimizer: with an algorithm of the core vocabulary.
        variables: path -> value, all of the optimizer's; its own order counts where it has groups.
        gradients: path -> gradient of that shape; a variable without one stays as it is. For `loss_scale` they are
            those of the scaled loss.
        constraints: path -> projection that follows the update.

    Returns:
        The optimizer after the step, and all variables; everything is computed in the dtype of each variable.

    Raises:
        InvalidError: ``core-optimizer``, an algorithm or a hyperparameter that the vocabulary does not have, or no
            rate; ``core-slots``, a slot is missing or has another shape.
    """
    if rule_of(optimizer).wraps:
        return _scaled_step(optimizer, variables, gradients, constraints or {})
    return _Step(optimizer, variables).take(gradients, constraints or {})


def rate_of(optimizer: Optimizer) -> float:
    """The learning rate of the next update: the schedule's, or else the one in force, or else the configured one.

    Raises:
        InvalidError: ``core-optimizer``, there is none.
    """
    if optimizer.schedule is not None:
        clock = optimizer.micro_step if optimizer.schedule_clock == "micro_step" else optimizer.step
        return float(scheduled(optimizer.schedule, clock))
    found = optimizer.learning_rate
    found = hyperparameters(optimizer)["learning_rate"] if found is None else found
    if found is None:
        raise error("core-optimizer", where=optimizer.algorithm, found="no learning rate")
    return float(found)


def loss_scale_of(optimizer: Optimizer) -> float:
    """What the loss is multiplied by before its gradients are taken."""
    h = hyperparameters(optimizer)
    if not rule_of(optimizer).wraps:
        return 1.0 if h["loss_scale"] is None else float(h["loss_scale"])
    found = optimizer.shared_slots.get("dynamic_scale")
    return float(h["initial_scale"] if found is None or not h["dynamic"] else found.numpy())


class _Step:
    """One step of an optimizer that wraps no other."""

    def __init__(self, optimizer: Optimizer, variables: Arrays) -> None:
        self.optimizer = optimizer
        self.name = optimizer.algorithm.removeprefix(NAMESPACE)
        self.variables = {path: np.asarray(value) for path, value in variables.items()}
        groups = optimizer.groups or [Group(list(variables))]
        self.h = hyperparameters(optimizer)
        self.h_of = {path: hyperparameters(optimizer, group) for group in groups for path in group.variables}
        self.rate = rate_of(optimizer)
        self.rate_of = {
            path: self.rate if own is None else float(own)
            for group, own in ((group, group.hyperparameters.get("learning_rate")) for group in groups)
            for path in group.variables
        }
        self.slots = {path: self._slots_of(path) for path in self.h_of}

    def _slots_of(self, path: str) -> dict[str, Array]:
        """The slots of a variable, made where they are new; slots that the rule does not know stay as they are."""
        optimizer = self.optimizer
        if path not in self.variables:
            raise error("core-slots", where=path, found="no value of the variable")
        variable, h = self.variables[path], self.h_of[path]
        slots = {name: tensor.numpy() for name, tensor in optimizer.slots.get(path, {}).items()}
        new = path in optimizer.fresh or not optimizer.micro_step
        for name, shape in slot_shapes(self.name, h, path, variable.shape).items():
            if name not in slots and new:
                slots[name] = fresh_slot(self.name, name, h, shape, variable)
            if name not in slots or slots[name].shape != shape:
                found = "missing" if name not in slots else f"of shape {list(slots[name].shape)}, not {list(shape)}"
                raise error("core-slots", where=path, found=f"the slot {name} is {found}")
        return slots

    def take(self, gradients: Arrays, constraints: Mapping[str, ObjectValue]) -> tuple[Optimizer, dict[str, Array]]:
        """The step, in the order of K.4."""
        optimizer, k = self.optimizer, self.h["accumulation_steps"]
        found = {path: self._unscaled(path, gradients[path]) for path in self.h_of if path in gradients}
        updates = (optimizer.micro_step + 1) % k == 0
        found = self._accumulated(found, k, updates=updates)
        shared = dict(optimizer.shared_slots)
        if updates:
            shared = self._update(self._clipped(found))
        self._average()
        for path in found:
            if path in constraints:
                self.variables[path] = project(constraints[path], self.variables[path])
        stepped = replace(
            optimizer,
            step=optimizer.step + updates,
            micro_step=optimizer.micro_step + 1,
            slots={path: {n: Tensor.of(a) for n, a in slots.items()} for path, slots in self.slots.items() if slots},
            fresh=[],
            shared_slots=shared,
            learning_rate=self.rate if updates and optimizer.schedule is not None else optimizer.learning_rate,
        )
        return stepped, self.variables

    def _unscaled(self, path: str, gradient: Array) -> Array:
        h, dtype = self.h_of[path], self.variables[path].dtype
        gradient = np.asarray(gradient).astype(dtype)
        if h["loss_scale"] is not None:
            gradient = gradient / h["loss_scale"]
        return -gradient if h["maximize"] else gradient

    def _accumulated(self, gradients: dict[str, Array], k: int, *, updates: bool) -> dict[str, Array]:
        """The sum of the gradients since the last update goes into a slot; at an update it becomes their mean."""
        if k == 1:
            return gradients
        sums = {path: self.slots[path]["gradient_accumulator"] + gradient for path, gradient in gradients.items()}
        for path, total in sums.items():
            self.slots[path]["gradient_accumulator"] = np.zeros_like(total) if updates else total
        return {path: total / k for path, total in sums.items()}

    def _clipped(self, gradients: dict[str, Array]) -> dict[str, Array]:
        clipped = {}
        for path, gradient in gradients.items():
            h, g = self.h_of[path], gradient
            if h["clip_value"] is not None:
                g = np.clip(g, -h["clip_value"], h["clip_value"])
            if h["clip_norm"] is not None:
                g = g * _shrinking(h["clip_norm"], norm(g), h["clip_epsilon"])
            clipped[path] = g
        whole = float(np.sqrt(sum(norm(gradient) ** 2 for gradient in clipped.values())))
        for path, g in clipped.items():
            limit, epsilon = self.h_of[path]["clip_global_norm"], self.h_of[path]["clip_epsilon"]
            clipped[path] = g if limit is None else g * _shrinking(limit, whole, epsilon)
        return clipped

    def _update(self, gradients: dict[str, Array]) -> dict[str, Tensor]:
        """Weight decay and the rule, for each variable that has a gradient; gives the new shared slots."""
        number = self.optimizer.step + 1
        shared = self._shared(number)
        for path, gradient in gradients.items():
            h, rate, p, g = self.h_of[path], self.rate_of[path], self.variables[path], gradient
            decay = self._decay(path, h)
            if decay and h["decay_mode"] == "decoupled":
                p = p - rate * decay * p
            elif decay:
                g = g + decay * p
            numbers = {name: float(array) for name, array in shared.items()}
            update = Update(path, p, g, rate, number, h, self.slots[path], numbers)
            self.variables[path] = np.asarray(RULES[self.name](update)).astype(p.dtype)
            self.slots[path] = {name: np.asarray(array).astype(p.dtype) for name, array in update.slots.items()}
        return dict(self.optimizer.shared_slots) | {name: Tensor.of(array) for name, array in shared.items()}

    def _decay(self, path: str, h: Mapping[str, Any]) -> float:
        if path in h["decay_excluded"]:
            return 0.0
        left = self.name == "muon" and "velocity" in self.slots[path]
        return float(h["adam_weight_decay"] if left else h["weight_decay"])

    def _shared(self, number: int) -> dict[str, Array]:
        """The numbers that the optimizer keeps once, advanced to this update."""
        if self.name != "nadam":
            return {}
        found = self.optimizer.shared_slots.get("u_product")
        if found is None and self.optimizer.step and self.optimizer.slots:
            raise error("core-slots", found="the shared slot u_product is missing")
        first = next(iter(self.variables.values()))
        before = np.ones((), first.dtype) if found is None else found.numpy()
        update = Update("", first, first, 0.0, number, self.h, {}, {})
        return {"u_product": np.asarray(before * momentum_weight(update, number)).astype(before.dtype)}

    def _average(self) -> None:
        """The moving averages of all variables, which then may take the place of the variables."""
        count = self.optimizer.step
        for path, h in self.h_of.items():
            decay = h["ema_momentum"]
            if decay is None:
                continue
            decay = 0.0 if h["ema_start"] == "first_step" and count == 0 else decay
            average = np.asarray(decay * self.slots[path]["average"] + (1 - decay) * self.variables[path])
            average = average.astype(self.variables[path].dtype)
            self.slots[path]["average"] = average
            frequency = h["ema_overwrite_frequency"]
            if frequency is not None and (count + 1) % frequency == 0:
                self.variables[path] = average


def _shrinking(limit: float, size: float, epsilon: float) -> float:
    """What a gradient of the norm `size` is multiplied by."""
    return 1.0 if size + epsilon == 0 else float(np.minimum(1.0, limit / (size + epsilon)))


def _scaled_step(
    optimizer: Optimizer, variables: Arrays, gradients: Arrays, constraints: Mapping[str, ObjectValue]
) -> tuple[Optimizer, dict[str, Array]]:
    """A step of `loss_scale`: of the wrapped optimizer, or of none where a gradient is not finite."""
    h, inner, scale = hyperparameters(optimizer), optimizer.inner, loss_scale_of(optimizer)
    if inner is None:
        raise error("core-optimizer", where=optimizer.algorithm, found="no wrapped optimizer")
    finite = all(bool(np.isfinite(gradient).all()) for gradient in gradients.values())
    if finite or not h["dynamic"]:
        unscaled = {path: np.asarray(gradient / scale) for path, gradient in gradients.items()}
        inner, changed = step(inner, variables, unscaled, constraints=constraints)
    else:
        skipped = int(h["count_skipped"])
        inner = replace(inner, step=inner.step + skipped, micro_step=inner.micro_step + skipped)
        changed = {path: np.asarray(value) for path, value in variables.items()}
    shared = dict(optimizer.shared_slots)
    if h["dynamic"]:
        count = int(shared["step_counter"].numpy()) + 1 if "step_counter" in shared else 1
        if not finite:
            count, scale = 0, max(scale * h["backoff_factor"], h["minimum_scale"])
        elif count >= h["growth_steps"]:
            count, scale = 0, scale * h["growth_factor"]
        for name, value, dtype in (("step_counter", count, "int32"), ("dynamic_scale", scale, "float32")):
            kept = shared[name].dtype if name in shared else dtype
            shared[name] = Tensor.of(np.asarray(value, kept))
    stepped = replace(
        optimizer,
        inner=inner,
        shared_slots=shared,
        step=inner.step,
        micro_step=inner.micro_step,
        learning_rate=optimizer.learning_rate if inner.learning_rate is None else inner.learning_rate,
    )
    return stepped, changed
