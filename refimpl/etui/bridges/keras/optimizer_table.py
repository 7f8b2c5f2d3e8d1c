"""The optimizers of Keras 3.15 and tf_keras: their slots, in the order in which they are stored (SPEC.md, annex B.6).

A file holds the variables of an optimizer as a numbered list: the iteration, the learning rate (Keras 3, unless it is
a schedule), then passes over the model's variables. Each pass writes its slots of one variable side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etui.bridges.keras.names import identity_of

Config = Mapping[str, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A variable of the model as an optimizer sees it.

    Attributes:
        path: of the variable.
        dtype, shape: its own.
        slotless: whether its gradient takes its place, so that it has no slots (scales of float8 layers).
    """

    path: str
    dtype: str
    shape: Shape
    slotless: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """One stored tensor: whose it is, its name, and the dtype and shape that it must have."""

    path: str
    name: str
    dtype: str
    shape: Shape


_PLAIN = re.compile(r"[\w/]+")

Pass = Callable[[Config, Target], list[Slot]]


def _number(value: object) -> float:
    """A number of a config, or 0 for what is none."""
    return value if isinstance(value, int | float) else 0


def _always(_: Config) -> bool:
    return True


def _like(*names: str, when: Callable[[Config], bool] = _always) -> Pass:
    """A pass of slots that are like their variable."""

    def slots(config: Config, target: Target) -> list[Slot]:
        there = when(config) and not target.slotless
        return [Slot(target.path, name, target.dtype, target.shape) for name in names if there]

    return slots


def _accumulator(config: Config, target: Target) -> list[Slot]:
    """Gradients are accumulated for every variable, slotless ones included."""
    steps = _number(config.get("gradient_accumulation_steps"))
    return [Slot(target.path, "gradient_accumulator", target.dtype, target.shape)] if steps else []


def _factored(_: Config, target: Target) -> list[Slot]:
    """Adafactor: row and column averages, which are scalar placeholders of int32 below two dimensions."""
    if target.slotless:
        return []
    kinds: dict[str, tuple[str, Shape]] = {"r": ("int32", ()), "c": ("int32", ()), "v": (target.dtype, target.shape)}
    if len(target.shape) > 1:
        kinds["r"] = (target.dtype, target.shape[:-1])
        kinds["c"] = (target.dtype, (*target.shape[:-2], target.shape[-1]))
    return [Slot(target.path, name, dtype, shape) for name, (dtype, shape) in kinds.items()]


def _factored_tf(config: Config, target: Target) -> list[Slot]:
    """Adafactor of tf_keras, whose placeholders are not stored."""
    return [slot for slot in _factored(config, target) if slot.name == "v" or len(target.shape) > 1]


def _flag(name: str) -> Callable[[Config], bool]:
    return lambda config: bool(_number(config.get(name)))


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Stored order of one optimizer: passes over the variables, and tensors of the optimizer as a whole around them."""

    passes: tuple[Pass, ...]
    tail: tuple[str, ...] = ()
    head: tuple[str, ...] = ()


_AVERAGE = _like("average", when=_flag("use_ema"))
_MOMENTUM, _ADAM = _like("momentum"), _like("momentum", "velocity")
_AMSGRAD = _like("velocity_hat", when=_flag("amsgrad"))
_ACCUMULATOR = _like("accumulator")
_RMSPROP = (
    _like("velocity"),
    _like("momentum", when=lambda config: _number(config.get("momentum")) > 0),
    _like("average_gradient", when=_flag("centered")),
)
_VELOCITY = _like("velocity")
# The optimizers of tf.keras before TensorFlow 2.11: a pass for each slot.
_LEGACY = {
    "Adadelta": Algorithm((_like("accumulated_grad"), _like("accumulated_delta_var"))),
    "Adagrad": Algorithm((_ACCUMULATOR,)),
    "Adam": Algorithm((_MOMENTUM, _VELOCITY, _AMSGRAD)),
    "Adamax": Algorithm((_MOMENTUM, _like("norm"))),
    "Ftrl": Algorithm((_like("accumulator", "linear"),)),
    "Nadam": Algorithm((_MOMENTUM, _VELOCITY), head=("momentum_cache",)),
    "RMSprop": Algorithm(_RMSPROP),
    "SGD": Algorithm((_like("momentum", when=_flag("momentum")),)),
}
_LEGACY_CLASS = "keras:optimizers.legacy."
_COMMON = {
    "Adadelta": Algorithm((_like("accumulated_grad", "accumulated_delta_var"),)),
    "Adagrad": Algorithm((_ACCUMULATOR,)),
    "Adam": Algorithm((_ADAM, _AMSGRAD)),
    "AdamW": Algorithm((_ADAM, _AMSGRAD)),
    "Adamax": Algorithm((_like("momentum", "norm"),)),
    "Ftrl": Algorithm((_like("accumulator", "linear"),)),
    "Lion": Algorithm((_MOMENTUM,)),
    "RMSprop": Algorithm(_RMSPROP),
}
_TABLES: dict[str, dict[str, Algorithm]] = {
    "keras": _COMMON
    | {
        "Adafactor": Algorithm((_factored,)),
        "Lamb": Algorithm((_ADAM,)),
        "Nadam": Algorithm((_ADAM,), tail=("u_product",)),
        "SGD": Algorithm((_like("momentum", when=_flag("momentum")),)),
        "ScheduleFreeAdamW": Algorithm((_ADAM,)),
    },
    "tf_keras": _COMMON
    | {
        "Adafactor": Algorithm((_factored_tf,)),
        "Nadam": Algorithm((_ADAM,)),
        "SGD": Algorithm((_MOMENTUM,)),
    }
    | {f"legacy.{name}": algorithm for name, algorithm in _LEGACY.items()},
}
# Muon updates matrices by momentum alone, and all else as AdamW does; `plan` takes the matrices left to AdamW.
_MUON = "Muon"
WRAPPERS = {"LossScaleOptimizer": ("step_counter", "dynamic_scale"), "LossScaleOptimizerV3": ()}
# The wrappers of tf_keras: for its newer optimizers, and for its older ones.
_TF_SCALE = "tf_keras:src.mixed_precision.loss_scale_optimizer."
TF_SCALER, TF_OLD_SCALER = f"{_TF_SCALE}LossScaleOptimizerV3", f"{_TF_SCALE}LossScaleOptimizer"


def own_slots(name: str, dialect: str) -> tuple[str, ...] | None:
    """The tensors that a wrapper stores beside those of the wrapped optimizer, or `None` of a class that is none.

    Args:
        name: the class.
        dialect: ``keras``, or ``tf_keras``, whose files have no place for the scale and its counter.
    """
    found = WRAPPERS.get(name)
    return found if found is None or dialect == "keras" else ()


def table_name(text: str) -> str:
    """The name of a class in this table: `Adam`, and `legacy.Adam` for the class that it was before TensorFlow 2.11.

    Args:
        text: the class, in the form of B.1.
    """
    name = str(identity_of(text)["class_name"])
    return f"legacy.{name}" if text.startswith(_LEGACY_CLASS) else name


def is_older(algorithm: str) -> bool:
    """Whether an optimizer is one of tf.keras before TensorFlow 2.11, or a scaler of such a one."""
    return algorithm.startswith(_LEGACY_CLASS) or algorithm == TF_OLD_SCALER


def class_named(text: object, dialect: str) -> str | None:
    """The optimizer class that a string such as ``adam`` stands for."""
    names = {name.lower(): name for name in (*_TABLES[dialect], _MUON) if "." not in name}
    return names.get(text.lower()) if isinstance(text, str) else None


def algorithm_of(name: str, dialect: str) -> Algorithm | None:
    """The stored order of an optimizer class, or `None` if it is not built in."""
    if name == _MUON and dialect == "keras":
        return Algorithm(())
    return _TABLES[dialect].get(name)


def plan(
    name: str, dialect: str, config: Config, targets: Sequence[Target], *, adam: frozenset[str] = frozenset()
) -> list[Slot]:
    """The slots of a built optimizer in stored order; none of a class that is not built in.

    Args:
        name: the class.
        dialect: ``keras`` or ``tf_keras``.
        config: of the optimizer.
        targets: its variables, in its own order.
        adam: paths of the matrices that Muon leaves to AdamW.
    """
    found = algorithm_of(name, dialect)
    if found is None:
        return []
    own = (_muon(adam),) if name == _MUON else found.passes
    common = (_AVERAGE, _accumulator) if dialect == "keras" else (_AVERAGE,)
    return [slot for run in (*common, *own) for target in targets for slot in run(config, target)]


def _muon(adam: frozenset[str]) -> Pass:
    def slots(_: Config, target: Target) -> list[Slot]:
        names = ["momentum"] + ["velocity"] * (not is_matrix(target) or target.path in adam)
        return [Slot(target.path, name, target.dtype, target.shape) for name in names if not target.slotless]

    return slots


def is_matrix(target: Target) -> bool:
    """Whether Muon may update a variable by momentum alone."""
    return len(target.shape) == 2


def adam_choices(
    name: str, config: Config, targets: Sequence[Target], kinds: Sequence[tuple[str, Shape]]
) -> list[frozenset[str]]:
    """The sets of matrices that Muon may leave to AdamW so that its slots have `kinds`; at most two, others have one.

    Which matrices they are depends on regular expressions over Keras' names. Expressions from a file are not run:
    plain words are looked for, and where this does not explain the slots, the slots themselves decide.
    """
    if name != _MUON:
        return [frozenset()]
    words = [word for word in config.get("exclude_layers") or () if isinstance(word, str) and _PLAIN.fullmatch(word)]
    words += ["embedding"] if config.get("exclude_embeddings") else []
    likely = frozenset(one.path for one in targets if is_matrix(one) and any(word in one.path for word in words))
    if [(slot.dtype, slot.shape) for slot in plan(name, "keras", config, targets, adam=likely)] == list(kinds):
        return [likely]
    start = len(plan(name, "keras", config, targets)) - sum(len(_muon(frozenset())(config, one)) for one in targets)
    ways: dict[int, list[frozenset[str]]] = {start: [frozenset()]}
    for one in targets:
        step: dict[int, list[frozenset[str]]] = {}
        for at, found in ways.items():
            for adam in (frozenset(), frozenset({one.path})) if is_matrix(one) else (frozenset(),):
                end = at + len(_muon(adam)(config, one))
                if all(kind == (one.dtype, one.shape) for kind in kinds[at:end]) and end <= len(kinds):
                    step[end] = [*step.get(end, ()), *(known | adam for known in found)][:2]
        ways = step
    return ways.get(len(kinds), [])
