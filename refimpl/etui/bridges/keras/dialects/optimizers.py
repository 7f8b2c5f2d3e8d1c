"""Optimizers in the terms of the other Keras: hyperparameters, schedules, slots (SPEC.md, annex E)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from etui import dtypes
from etui.bridges.keras.dialects.loss_scale import SCALERS, translated_scaler
from etui.bridges.keras.dialects.ops import is_float
from etui.bridges.keras.dialects.same import as_float, is_among, is_set
from etui.bridges.keras.dialects.values import TITLES, Values
from etui.bridges.keras.optimizer_table import Target, plan
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights

_LEGACY = "keras:optimizers.legacy."
_MOVED = ("keras:optimizers.experimental.",)
# What only one side's config has, with the values that mean nothing.
_OLD: dict[str, tuple[Any, ...] | None] = {
    "jit_compile": None,
    "is_legacy_optimizer": None,
    "adaptive_epsilon": (False,),
}
_NEW: dict[str, tuple[Any, ...] | None] = {"loss_scale_factor": (None,), "gradient_accumulation_steps": (None, 1)}
SHARED = frozenset(
    {"Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "RMSprop", "SGD"}
)
ONLY_NEW: dict[str, str] = {
    "Lamb": "Keras 2 has no such optimizer",
    "MultiOptimizer": "Keras 2 has one optimizer for all variables",
    "Muon": "Keras 2 has no such optimizer",
    "ScheduleFreeAdamW": "Keras 2 has no such optimizer",
}
# Rates of a class that Keras 2 was given by its name alone.
_RATES = {"SGD": 0.01}
_RATE = 0.001
# Legacy optimizers whose rule no optimizer of Keras 3 has.
_OTHER_RULE = {
    "Adagrad": "it adds epsilon to the root, and Keras 3 to what is below it",
    "Nadam": "its momentum grows by another schedule than that of Keras 3",
}
_RMSPROP = "without momentum it adds epsilon to the root, and Keras 3 to what is below it"
_COUNTERS = ("int32", "int64")
# What a null stands for, Keras' own smallest number.
_EPSILON = 1e-7
# Slots of legacy optimizers by their names in the graph, where the neutral name is another.
_LEGACY_SLOTS = {
    "m": "momentum",
    "v": "velocity",
    "vhat": "velocity_hat",
    "rms": "velocity",
    "mg": "average_gradient",
    "accum_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var",
}
_ADAMAX_SLOTS = {"m": "momentum", "v": "norm", "velocity": "norm"}
# After so many steps 0.96 ** step is nothing beside 1, and each step multiplies by beta_1.
_STEADY = 1000


@dataclass(frozen=True, slots=True)
class Optimizers:
    """Translates the optimizers of one model.

    Attributes:
        values: translates values.
        weights: the model's variables.
        slotless: paths of the variables for which no optimizer keeps slots.
    """

    values: Values
    weights: Weights
    slotless: frozenset[str]

    def translate(self, found: Optimizer, place: str) -> Optimizer:
        """An optimizer in the target's terms.

        Args:
            found: the optimizer; it stays as it is.
            place: what the report calls it.
        """
        name = _class_name(found.algorithm)
        reason = ONLY_NEW.get(name or "")
        if found.algorithm in SCALERS:
            scaler = replace(found, hyperparameters=dict(found.hyperparameters), shared_slots=dict(found.shared_slots))
            scaler.inner = None if found.inner is None else self.translate(found.inner, f"{place}/inner")
            translated_scaler(scaler, self.values, place)
            return scaler
        if name is None or reason is not None:
            if reason is not None:
                self.values.lost("optimizer", place, f"{name} has no equal: {reason}")
            return found
        optimizer = replace(found, hyperparameters=dict(found.hyperparameters), residue=_facts(found))
        optimizer.slots = {path: dict(slots) for path, slots in found.slots.items()}
        optimizer.shared_slots = dict(found.shared_slots)
        if found.inner is not None:
            optimizer.inner = self.translate(found.inner, f"{place}/inner")
        if found.algorithm.startswith(_LEGACY):
            self._legacy(optimizer, name, place)
        optimizer.algorithm = f"keras:{name}"
        self._hyperparameters(optimizer, name, place)
        self._averages(optimizer, place)
        self._slots(optimizer, name, place)
        self._rest(found, place)
        return optimizer

    def _hyperparameters(self, optimizer: Optimizer, name: str, place: str) -> None:
        values, kept = self.values, {}
        only = _OLD if values.target == "keras" else _NEW
        for key, value in optimizer.hyperparameters.items():
            allowed = only.get(key, ())
            if key not in only:
                kept[key] = values.value(value, "optimizer", place)
            elif allowed is not None and not is_among(value, allowed):
                detail = f"{TITLES[values.target]} has no {key} for {name}, which is {value!r} here"
                values.lost("optimizer", place, detail)
        if optimizer.schedule is not None:
            optimizer.schedule = values.value(optimizer.schedule, "optimizer", place)
        else:
            rate = optimizer.learning_rate
            if rate is None:
                given = kept.get("learning_rate")
                rate = float(given) if isinstance(given, int | float) else float(np.float32(_RATES.get(name, _RATE)))
            optimizer.learning_rate = kept["learning_rate"] = rate
        if values.target == "tf_keras":
            kept |= {"jit_compile": False, "is_legacy_optimizer": False}
        optimizer.hyperparameters = kept

    def _averages(self, optimizer: Optimizer, place: str) -> None:
        if is_set(optimizer.hyperparameters.get("use_ema")) and not optimizer.micro_step:
            detail = "the averages of Keras 2 begin with the variables before the first step, those of Keras 3 after it"
            self.values.lost("optimizer", f"{place}/use_ema", detail)

    def _slots(self, optimizer: Optimizer, name: str, place: str) -> None:
        if self.values.target == "keras":
            self._to_keras(optimizer, name, place)
        else:
            self._to_tf_keras(optimizer, name, place)

    def _to_keras(self, optimizer: Optimizer, name: str, place: str) -> None:
        if name == "SGD" and not is_set(optimizer.hyperparameters.get("momentum")):
            for path, slots in optimizer.slots.items():
                if slots.pop("momentum", None) is not None:
                    self._entry(place, f"{path}/momentum", "left-out", "the momentum is 0, and nothing reads it")
        elif optimizer.slots:
            self._complete(optimizer, name, place)
        if name == "Nadam" and optimizer.slots:
            optimizer.shared_slots["u_product"] = self._u_product(optimizer)
            self._entry(place, "u_product", "translated", "made of the number of steps: Keras 2 does not store it")

    def _to_tf_keras(self, optimizer: Optimizer, name: str, place: str) -> None:
        for path, slots in optimizer.slots.items():
            if slots.pop("gradient_accumulator", None) is not None:
                self._entry(place, f"{path}/gradient_accumulator", "left-out", "Keras 2 does not accumulate gradients")
        if name == "Nadam" and optimizer.shared_slots.pop("u_product", None) is not None:
            detail = "Keras 2 does not store it and begins it anew, so that the next steps are other ones"
            self._entry(place, "u_product", "not-transferable", detail)
        if name == "SGD" and not optimizer.slots and optimizer.micro_step and not optimizer.fresh:
            if not optimizer.groups:
                return
            optimizer.slots = {path: {} for path in optimizer.variables() if path in self.weights}
        if optimizer.slots:
            self._complete(optimizer, name, place)

    def _complete(self, optimizer: Optimizer, name: str, place: str) -> None:
        """Make the slots that the target has as placeholders or as zeros, and leave out those that it has not."""
        targets = [self._target(path) for path in optimizer.variables() if path in self.weights]
        planned = plan(name, self.values.target, optimizer.hyperparameters, targets)
        expected = {(slot.path, slot.name) for slot in planned}
        for slot in planned:
            own = optimizer.slots.setdefault(slot.path, {})
            if slot.name not in own:
                own[slot.name] = Tensor.of(np.zeros(slot.shape, dtypes.by_name(slot.dtype, "").numpy))
                self._entry(place, f"{slot.path}/{slot.name}", "translated", "zeros, which nothing has changed yet")
        for path, slots in optimizer.slots.items():
            for key in [key for key in slots if (path, key) not in expected]:
                if slots[key].shape == () and not slots[key].numpy().any():
                    del slots[key]
                    self._entry(place, f"{path}/{key}", "left-out", "a placeholder")

    def _target(self, path: str) -> Target:
        variable = self.weights[path]
        return Target(path, variable.dtype, variable.shape, path in self.slotless)

    def _u_product(self, optimizer: Optimizer) -> Tensor:
        """The product over t of beta_1 (1 - 0.5 * 0.96^t), in the arithmetic and order of Keras 3."""
        first = next(iter(optimizer.variables()), None)
        dtype = self.weights[first].dtype if first is not None and first in self.weights else "float32"
        kind = dtypes.by_name(dtype if is_float(dtype) else "float32", "").numpy
        given = optimizer.hyperparameters.get("beta_1", 0.9)
        with np.errstate(all="ignore"):  # a file may say any factor and any number of steps
            beta = kind.type(as_float(given) if isinstance(given, int | float) else 0.9)
            product = kind.type(1)
            for step in range(1, min(optimizer.micro_step, _STEADY) + 1):
                decay = kind.type(np.power(kind.type(0.96), kind.type(step)))
                product = kind.type(kind.type(product * beta) * kind.type(kind.type(1) - kind.type(0.5) * decay))
            if optimizer.micro_step > _STEADY:
                product = kind.type(np.float64(product) * np.float64(beta) ** float(optimizer.micro_step - _STEADY))
        return Tensor.of(np.array(product, kind))

    def _legacy(self, optimizer: Optimizer, name: str, place: str) -> None:
        """An optimizer of TensorFlow 2.10 and before: the same rules under other names, but for a few."""
        values, own = self.values, optimizer.hyperparameters
        if "lr" in own:
            own["learning_rate"] = own.pop("lr")
        if own.get("epsilon", 0) is None:
            own["epsilon"] = _EPSILON
        reason = _OTHER_RULE.get(name)
        if name == "RMSprop" and not is_set(own.get("momentum")):
            reason = _RMSPROP
        if reason is not None:
            values.lost("optimizer", f"{place}/algorithm", f"{name} is the legacy one: {reason}")
        decay = own.pop("decay", 0.0) if name != "Nadam" else own.get("decay", 0.0)
        if name == "Nadam":
            own.pop("decay", None)
        elif isinstance(decay, int | float) and decay and optimizer.schedule is None:
            rate = own.pop("learning_rate", optimizer.learning_rate)
            config = {
                "initial_learning_rate": rate,
                "decay_steps": 1,
                "decay_rate": float(decay),
                "staircase": False,
                "name": "InverseTimeDecay",
            }
            optimizer.schedule = ObjectValue("keras:optimizers.schedules.InverseTimeDecay", config)
            optimizer.schedule_clock, optimizer.learning_rate = "micro_step", None
        elif is_set(decay):
            values.lost("optimizer", f"{place}/decay", "it decays a rate that a schedule gives, which Keras 3 does not")
        for key in list(optimizer.shared_slots):
            del optimizer.shared_slots[key]
            self._entry(place, key, "not-transferable", f"the newer {name} keeps no such number")
        names = _ADAMAX_SLOTS if name == "Adamax" else _LEGACY_SLOTS
        optimizer.slots = {
            path: {names.get(key, key): tensor for key, tensor in slots.items()}
            for path, slots in optimizer.slots.items()
        }

    def _rest(self, found: Optimizer, place: str) -> None:
        facts = found.residue.get("keras", {})
        for name in ("variables", "datasets"):
            for key in facts.get(name, ()):
                detail = "a variable that no rule explains has no place in the other Keras"
                self.values.lost("slot", f"{place}: {key}", detail)

    def _entry(self, place: str, name: str, status: str, detail: str) -> None:
        self.values.report.add("slot", f"{place}/{name}", status, detail)


def _class_name(algorithm: str) -> str | None:
    """The class of a built-in optimizer, or `None` of another."""
    name = algorithm
    for prefix in (_LEGACY, *_MOVED, "keras:"):
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            break
    else:
        return None
    return name if name in SHARED or name in ONLY_NEW else None


def _facts(found: Optimizer) -> dict[str, Any]:
    """What of Keras' own facts holds on both sides."""
    facts = found.residue.get("keras", {})
    kept = {key: facts[key] for key in ("name", "iteration_dtype", "stored") if key in facts}
    if kept.get("iteration_dtype") not in _COUNTERS:
        # Keras before 2.3 counts in floats, and neither dialect does.
        kept.pop("iteration_dtype", None)
    rest = {key: value for key, value in found.residue.items() if key != "keras"}
    return rest | ({"keras": kept} if kept else {})
