"""The reference steps of optimizers against Keras, tf_keras, torch and optax, on the same gradients in float64."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.optimizers import loss_scale_of, step

sys.path.insert(0, str(Path(__file__).parent))
cases: Any = import_module("rule_cases")  # tests are imported by path, so that a neighbour is found by name only
Answers = Mapping[str, Any]
Ask = Callable[[str], Answers]

BY_NAME = {f"{side}/{case.name}": (side, case) for side, all_of in cases.OPTIMIZERS.items() for case in all_of}
# What a comparison that catches a mistake must at least show.
CAUGHT = 1e-4


def of_case(case: Any) -> Optimizer:
    """The optimizer of a case, before its first step."""
    optimizer = Optimizer(f"core:{case.algorithm}", dict(case.h), learning_rate=case.rate)
    optimizer.groups, optimizer.fresh = [Group(list(case.paths))], list(case.paths)
    schedule = case.arguments.get("schedule")
    if schedule is not None:
        optimizer.schedule = ObjectValue(f"core:schedules.{schedule['class']}", schedule["config"])
        optimizer.schedule_clock, optimizer.learning_rate = "step", None
    if "decay" in case.arguments:
        config = {"initial_learning_rate": case.rate, "decay_steps": 1.0, "decay_rate": case.arguments["decay"]}
        optimizer.schedule = ObjectValue("core:schedules.inverse_time_decay", config)
        optimizer.schedule_clock = "micro_step"
    return optimizer


def run(
    optimizer: Optimizer, variables: Mapping[str, Any], gradients: list[dict[str, Any]], paths: tuple[str, ...]
) -> tuple[Optimizer, dict[str, Any]]:
    """Several steps."""
    values = {path: variables[path] for path in paths}
    for one in gradients:
        optimizer, values = step(optimizer, values, {path: one[path] for path in paths})
    return optimizer, values


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any], start: Mapping[str, Any]) -> float:
    """The largest difference, in parts of the way that the variables went."""
    motion = max(float(np.abs(wanted[path] - start[path]).max()) for path in wanted)
    return max(float(np.abs(found[path] - wanted[path]).max()) for path in wanted) / motion


def answered(answers: Answers, case: Any) -> dict[str, Any]:
    """The variables of a case after all steps."""
    return {path: answers[f"{case.name}/{path}"] for path in case.paths}


@pytest.mark.clause("CO-6@dfd104", "CO-2@6f7a43", "CO-5@d113b4")
@pytest.mark.frameworks
@pytest.mark.parametrize("name", BY_NAME)
def test_a_framework_takes_the_same_steps(answers: Ask, name: str) -> None:
    """Forty steps on the same gradients lead to the same variables, but for what the framework rounds."""
    side, case = BY_NAME[name]
    _, values = run(of_case(case), cases.VARIABLES, cases.GRADIENTS, case.paths)
    assert difference(values, answered(answers(side), case), cases.VARIABLES) <= case.bound


@pytest.mark.clause("CO-10@ec7de3")
@pytest.mark.frameworks
def test_a_scaler_of_the_loss_scales_and_skips_as_keras_does(answers: Ask) -> None:
    """The scale grows, falls where a gradient is not finite, and no such gradient makes a step."""
    found, path = answers("keras"), "dense/bias"
    optimizer = Optimizer("core:loss_scale", {"initial_scale": 16.0, "growth_steps": 3})
    optimizer.inner = Optimizer("core:adam", {}, learning_rate=0.01, groups=[Group([path])], fresh=[path])
    values, scales = {path: cases.VARIABLES[path]}, []
    for at, gradients in enumerate(cases.GRADIENTS[:12]):
        scales.append(loss_scale_of(optimizer))
        gradient = np.where(at in (4, 6), np.inf, gradients[path] * scales[-1])
        optimizer, values = step(optimizer, values, {path: gradient})
    assert scales == found["loss_scale/scales"].tolist()
    assert difference(values, {path: found["loss_scale/value"]}, cases.VARIABLES) <= 1e-12
    assert (optimizer.step, optimizer.inner.step if optimizer.inner else None) == (10, 10)


def _fresh(optimizer: Optimizer) -> Optimizer:
    return Optimizer(
        optimizer.algorithm,
        optimizer.hyperparameters,
        learning_rate=optimizer.learning_rate,
        step=optimizer.step,
        micro_step=optimizer.micro_step,
        groups=optimizer.groups,
        fresh=optimizer.variables(),
    )


def _off_by_one(optimizer: Optimizer) -> Optimizer:
    optimizer.step -= 1
    optimizer.micro_step -= 1
    return optimizer


def _unscaled(optimizer: Optimizer) -> Optimizer:
    """A torch buffer taken as the velocity that it is not."""
    optimizer.slots = {
        path: {name: Tensor.of(-tensor.numpy() / 0.01) for name, tensor in slots.items()}
        for path, slots in optimizer.slots.items()
    }
    return optimizer


def _stock_epsilon(optimizer: Optimizer) -> Optimizer:
    optimizer.hyperparameters = {"epsilon_mode": "corrected", **optimizer.hyperparameters}
    return optimizer


MISTAKES: dict[str, tuple[str, Callable[[Optimizer], Optimizer], float]] = {
    "fresh state": ("adam", _fresh, CAUGHT),
    "step off by one": ("adam", _off_by_one, CAUGHT),
    "unscaled velocity": ("sgd_momentum", _unscaled, CAUGHT),
    # Of a smaller effect, so that only float64 shows it.
    "stock epsilon": ("adam", _stock_epsilon, 1e-9),
}


@pytest.mark.library
@pytest.mark.frameworks
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_comparison_catches_mistakes(answers: Ask, mistake: str) -> None:
    """State that was carried over with a mistake leads elsewhere, by far more than the bound of the comparison."""
    name, spoil, least = MISTAKES[mistake]
    case = next(case for case in cases.KERAS if case.name == name)
    half, values = run(of_case(case), cases.VARIABLES, cases.GRADIENTS[: cases.HALF], case.paths)
    rest = cases.GRADIENTS[cases.HALF :]
    wanted = answered(answers("keras"), case)
    _, right = run(half, values, rest, case.paths)
    _, wrong = run(spoil(half), values, rest, case.paths)
    assert difference(right, wanted, values) <= 1e-12
    assert difference(wrong, wanted, values) >= least
