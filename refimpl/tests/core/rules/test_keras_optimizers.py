"""Optimizers of Keras in the terms of the vocabulary and back, with state that Keras itself made."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.core.optimizer import lift_optimizer, lower_optimizer
from etui.bridges.keras.optimizer_table import Target, algorithm_of, plan
from etui.canonical.values import ObjectValue, equal
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.optimizers import step
from etui.core.parameters import hyperparameters
from etui.report import Report

sys.path.insert(0, str(Path(__file__).parent))
cases: Any = import_module("rule_cases")  # tests are imported by path, so that a neighbour is found by name only
Ask = Callable[[str], Mapping[str, Any]]

BY_NAME = {f"{side}/{case.name}": (side, case) for side in ("keras", "tf_keras") for case in cases.OPTIMIZERS[side]}
W, B = "dense/kernel", "dense/bias"


def from_state(side: str, case: Any, answers: Mapping[str, Any]) -> Optimizer:
    """The optimizer that Etui's bridges read from what Keras stores half of the way."""
    config = json.loads(str(answers[f"{case.name}/config"]))
    name, legacy = config.pop("name"), case.name.startswith("legacy")
    count = sum(key.startswith(f"{case.name}/state/") for key in answers)
    stored = [answers[f"{case.name}/state/{at}"] for at in range(count)]
    rate = config.get("learning_rate")
    steps = config.get("gradient_accumulation_steps") or 1
    text = f"keras:optimizers.legacy.{case.make}" if legacy else f"keras:{case.make}"
    optimizer = Optimizer(text, config, learning_rate=rate, groups=[Group(list(case.paths))])
    optimizer.micro_step, optimizer.residue = int(stored[0]), {"keras": {"name": name}}
    optimizer.step = optimizer.micro_step // steps
    used = 1 + (not legacy and (side == "keras" or stored[1].shape == ()))
    if used == 2:
        optimizer.learning_rate = float(stored[1])
    targets = [Target(path, "float64", cases.VARIABLES[path].shape) for path in case.paths]
    table = f"legacy.{case.make}" if legacy else case.make
    algorithm = algorithm_of(table, side)
    assert algorithm is not None
    heads = {key: Tensor.of(array) for key, array in zip(algorithm.head, stored[used:], strict=False)}
    used += len(heads)
    planned = plan(table, side, config, targets)
    for slot, array in zip(planned, stored[used:], strict=False):
        assert slot.shape == array.shape
        optimizer.slots.setdefault(slot.path, {})[slot.name] = Tensor.of(array.astype(slot.dtype))
    tails = dict(zip(algorithm.tail, map(Tensor.of, stored[used + len(planned) :]), strict=False))
    optimizer.shared_slots = heads | tails
    return optimizer


def same(one: Optimizer, two: Optimizer) -> None:
    """Equal in all that a document holds; tensors by their elements."""
    assert one.algorithm == two.algorithm
    for name in ("hyperparameters", "schedule", "learning_rate", "step", "micro_step", "schedule_clock", "fresh"):
        assert equal(getattr(one, name), getattr(two, name)), name
    assert one.variables() == two.variables()
    assert {path: sorted(slots) for path, slots in one.slots.items()} == {p: sorted(s) for p, s in two.slots.items()}
    for path, slots in one.slots.items():
        for key, tensor in slots.items():
            assert tensor.dtype == two.slots[path][key].dtype
            np.testing.assert_array_equal(tensor.numpy(), two.slots[path][key].numpy())
    assert one.shared_slots.keys() == two.shared_slots.keys()
    for key, tensor in one.shared_slots.items():
        np.testing.assert_array_equal(tensor.numpy(), two.shared_slots[key].numpy())
    assert {key: item for key, item in one.residue.items() if key != "tensorflow"} == {
        key: item for key, item in two.residue.items() if key != "tensorflow"
    }


@pytest.mark.clause("KC-53@615cf8", "KC-54@b32ec8", "KC-55@4f08b8")
@pytest.mark.frameworks
@pytest.mark.parametrize("name", BY_NAME)
def test_an_optimizer_of_keras_goes_on_by_the_rule_and_comes_back(answers: Ask, name: str) -> None:
    """From Keras' state in the middle, the rule's steps lead where Keras' lead, and lowering gives Keras' own again."""
    side, case = BY_NAME[name]
    found = answers(side)
    original = from_state(side, case, found)
    kept, report = deepcopy(original), Report()
    lifted = lift_optimizer(original, report, "optimizer")
    assert lifted.algorithm == f"core:{case.algorithm}"
    assert report.ok
    for key, item in hyperparameters(lifted).items():
        wanted = case.h.get(key, item)
        assert item == (pytest.approx(wanted, rel=1e-6) if isinstance(wanted, float) else wanted)
    back = Report()
    same(lower_optimizer(lifted, back), original)
    same(original, kept)
    assert {entry.status for entry in back.entries} <= {"translated", "restored"}
    values = {path: found[f"{case.name}/half/{path}"] for path in case.paths}
    start = dict(values)
    for gradients in cases.GRADIENTS[cases.HALF :]:
        lifted, values = step(lifted, values, {path: gradients[path] for path in case.paths})
    motion = max(np.abs(found[f"{case.name}/{path}"] - start[path]).max() for path in case.paths)
    worst = max(np.abs(found[f"{case.name}/{path}"] - values[path]).max() for path in case.paths)
    assert worst <= case.bound * motion
    later = lower_optimizer(lifted, Report())
    assert (later.algorithm, later.micro_step) == (original.algorithm, cases.STEPS)


def keras_3(name: str, core: str, **h: Any) -> tuple[Optimizer, Report]:
    """An optimizer that never saw Keras, and what becomes of it in Keras 3."""
    optimizer = made(core, **h)
    report = Report()
    lowered = lower_optimizer(optimizer, report)
    assert lowered.algorithm == f"keras:{name}"
    return lowered, report


def made(core: str, rate: float | None = 0.01, steps: int = 10, **h: Any) -> Optimizer:
    """An optimizer of the vocabulary after some steps."""
    optimizer = Optimizer(f"core:{core}", h, learning_rate=rate, groups=[Group([W, B])], fresh=[W, B])
    values = {path: cases.VARIABLES[path] for path in (W, B)}
    for gradients in cases.GRADIENTS[:steps]:
        optimizer, values = step(optimizer, values, {path: gradients[path] for path in (W, B)})
    return optimizer


# name, class of Keras, mode -> class of the transfer
MODES: list[tuple[str, str, dict[str, Any], str]] = [
    ("sgd", "SGD", {"momentum": 0.9, "momentum_form": "buffer", "nesterov": True}, "reparametrised"),
    ("sgd", "SGD", {"weight_decay": 0.1, "decay_mode": "coupled"}, "reparametrised"),
    ("rmsprop", "RMSprop", {"momentum": 0.9, "momentum_form": "buffer"}, "reparametrised"),
    ("adagrad", "Adagrad", {"rate_decay": 0.1}, "reparametrised"),
    ("adafactor", "Adafactor", {"relative_step": False}, "reparametrised"),
    ("adam", "Adam", {"epsilon_mode": "corrected", "epsilon": 1e-8}, "approximate"),
    ("nadam", "Nadam", {"epsilon_mode": "uncorrected", "epsilon": 1e-8}, "approximate"),
    ("rmsprop", "RMSprop", {"epsilon_mode": "outside", "epsilon": 1e-8}, "approximate"),
    ("adagrad", "Adagrad", {"epsilon_mode": "outside", "epsilon": 1e-10}, "approximate"),
    ("adamax", "Adamax", {"epsilon_mode": "in_max", "epsilon": 1e-8}, "approximate"),
    ("sgd", "SGD", {"clip_norm": 0.5, "clip_epsilon": 1e-6}, "approximate"),
    ("adam", "Adam", {"epsilon_mode": "corrected", "epsilon": 0.0}, "exact"),
    ("adam", "AdamW", {"weight_decay": 0.1}, "exact"),
    ("sgd", "SGD", {"dampening": 0.5, "momentum_form": "buffer", "decay_mode": "coupled"}, "exact"),
    ("muon", "Muon", {"adam_variables": [W]}, "exact"),
    ("sgd", "SGD", {"momentum": 0.9, "momentum_form": "buffer", "dampening": 0.5}, "not-transferable"),
    ("sgd", "SGD", {"momentum": 0.9, "weight_decay": 0.1, "decay_mode": "coupled"}, "not-transferable"),
    ("adam", "AdamW", {"weight_decay": 0.1, "decay_mode": "coupled"}, "not-transferable"),
    ("adam", "Adam", {"amsgrad": True, "amsgrad_max_of": "corrected"}, "not-transferable"),
    ("adam", "Adam", {"epsilon_mode": "corrected", "epsilon": 0.0, "epsilon_root": 1e-8}, "not-transferable"),
    ("nadam", "Nadam", {"schedule_decay": 0.004}, "not-transferable"),
    ("sgd", "SGD", {"maximize": True}, "not-transferable"),
    ("sgd", "SGD", {"weight_decay": 0.1, "decay_excluded": [B]}, "not-transferable"),
    ("sgd", "SGD", {"clip_norm": 0.5, "clip_value": 0.1}, "not-transferable"),
]
STATUS = {"approximate": "approximated", "not-transferable": "not-transferable"}


@pytest.mark.clause("KC-56@d9ddeb")
@pytest.mark.parametrize(("core", "name", "h", "kind"), MODES)
def test_modes_that_keras_does_not_have(core: str, name: str, h: dict[str, Any], kind: str) -> None:
    """Each is transferred in its class; twenty more steps stay within the bound that the report states."""
    lowered, report = keras_3(name, core, **h)
    entry = next(entry for entry in report.entries if entry.subject == "optimizer")
    assert entry.transfer is not None
    assert (entry.transfer.kind, entry.status) == (kind, STATUS.get(kind, "translated"))
    assert report.ok == (kind in ("exact", "reparametrised"))
    if kind == "not-transferable":
        return
    bounds = [one.transfer.bound or 0.0 for one in report.entries if one.transfer and one.kind == "optimizer"]
    one, two = made(core, **h), lift_optimizer(lowered, Report(), "optimizer")
    start = {path: cases.VARIABLES[path] for path in (W, B)}
    left, right = dict(start), dict(start)
    for gradients in cases.GRADIENTS[20:40]:
        own = {path: gradients[path] for path in (W, B)}
        one, left = step(one, left, own)
        two, right = step(two, right, own)
    motion = max(np.abs(left[path] - start[path]).max() for path in start)
    assert max(np.abs(left[path] - right[path]).max() for path in start) <= max(sum(bounds), 1e-12) * motion


@pytest.mark.clause("KC-56@d9ddeb")
def test_a_buffer_under_a_schedule_is_not_transferable() -> None:
    """Its velocity would keep the rates of the past; a schedule that counts updates needs one gradient for each."""
    schedule = ObjectValue(
        "core:schedules.exponential_decay", {"initial_learning_rate": 0.1, "decay_steps": 5.0, "decay_rate": 0.5}
    )
    optimizer = replace(made("sgd", momentum=0.9, momentum_form="buffer"), schedule=schedule, schedule_clock="step")
    report = Report()
    assert lower_optimizer(optimizer, report).schedule.class_name == "keras:optimizers.schedules.ExponentialDecay"
    assert {entry.subject for entry in report.lost} == {"optimizer/momentum_form", "optimizer"}
    optimizer = replace(made("sgd", accumulation_steps=2), schedule=schedule, schedule_clock="step")
    report = Report()
    lower_optimizer(optimizer, report)
    assert "optimizer/schedule_clock" in {entry.subject for entry in report.lost}


@pytest.mark.clause("KC-56@d9ddeb")
def test_counters_become_one() -> None:
    """Keras counts gradients alone; a group's own hyperparameters have no place there."""
    optimizer = replace(made("adam"), micro_step=37)
    report = Report()
    assert lower_optimizer(optimizer, report).micro_step == 10
    assert report.ok
    optimizer.groups = [Group([W]), Group([B], {"weight_decay": 0.1})]
    report = Report()
    lowered = lower_optimizer(optimizer, report)
    assert {entry.subject for entry in report.lost} == {"optimizer/groups/weight_decay", "optimizer"}
    assert all(not group.hyperparameters for group in lowered.groups)


@pytest.mark.clause("KC-55@4f08b8")
def test_a_constant_schedule_is_a_rate() -> None:
    """Keras has no class for it."""
    optimizer = replace(made("sgd"), schedule=ObjectValue("core:schedules.constant", {"value": 0.5}))
    optimizer.schedule_clock = "step"
    lowered = lower_optimizer(optimizer, Report())
    assert (lowered.schedule, lowered.learning_rate, lowered.hyperparameters["learning_rate"]) == (None, 0.5, 0.5)


def keras_adam(**config: Any) -> Optimizer:
    """An Adam as Keras writes it, whose rate is that of a float32."""
    optimizer = made("adam")
    given = {"learning_rate": 0.0010000000474974513, "weight_decay": None, "beta_1": 0.9, "beta_2": 0.999} | config
    return replace(optimizer, algorithm="keras:Adam", hyperparameters=given, residue={"keras": {"name": "adam"}})


@pytest.mark.clause("KC-55@4f08b8")
def test_edited_hyperparameters_win_and_the_others_stay() -> None:
    """What was written comes back beside what was changed."""
    written = keras_adam(amsgrad=False, clipnorm=0.0, use_ema=False, ema_momentum=0.5)
    lifted = lift_optimizer(written, Report(), "optimizer")
    assert lifted.hyperparameters == {"learning_rate": 0.0010000000474974513}
    edited = replace(lifted, hyperparameters=lifted.hyperparameters | {"beta_1": 0.8, "weight_decay": 0.1})
    lowered = lower_optimizer(edited, Report())
    assert lowered.algorithm == "keras:Adam"
    assert lowered.hyperparameters == written.hyperparameters | {"beta_1": 0.8, "weight_decay": 0.1}
    averaged = replace(lifted, hyperparameters=lifted.hyperparameters | {"ema_momentum": 0.9})
    assert lower_optimizer(averaged, Report()).hyperparameters["use_ema"] is True


@pytest.mark.clause("KC-55@4f08b8")
@pytest.mark.parametrize("dialect", [None, "keras", "tf_keras"])
def test_the_dialect_decides_which_class_is_written(dialect: Any) -> None:
    """A legacy optimizer is written as such unless the file is for Keras 3, or it now has what no legacy one has."""
    written = keras_adam(decay=0.0)
    written.algorithm = "keras:optimizers.legacy.Adam"
    del written.hyperparameters["weight_decay"]
    lifted = lift_optimizer(written, Report(), "optimizer")
    lowered = lower_optimizer(lifted, Report(), dialect=dialect)
    assert lowered.algorithm == ("keras:Adam" if dialect == "keras" else "keras:optimizers.legacy.Adam")
    decayed = replace(lifted, hyperparameters=lifted.hyperparameters | {"weight_decay": 0.1})
    assert lower_optimizer(decayed, Report(), dialect=dialect).algorithm == "keras:AdamW"


@pytest.mark.clause("KC-55@4f08b8")
def test_another_schedule_is_written_and_none_gives_back_the_rate() -> None:
    """Whether or not Keras wrote a schedule."""
    lifted = lift_optimizer(keras_adam(), Report(), "optimizer")
    schedule = ObjectValue(
        "core:schedules.exponential_decay", {"initial_learning_rate": 0.1, "decay_steps": 5.0, "decay_rate": 0.5}
    )
    lowered = lower_optimizer(replace(lifted, schedule=schedule, schedule_clock="micro_step"), Report())
    assert lowered.schedule.config["decay_steps"] == 5
    assert "learning_rate" not in lowered.hyperparameters
    again = lift_optimizer(lowered, Report(), "optimizer")
    assert equal(again.schedule.config, schedule.config)
    plain = lower_optimizer(replace(again, schedule=None, schedule_clock=None, learning_rate=0.25), Report())
    assert plain.hyperparameters["learning_rate"] == 0.25


@pytest.mark.clause("KC-51@4bfa93")
def test_a_schedule_of_the_author_stays_and_is_reported() -> None:
    """The rule is that of the vocabulary, and the schedule data."""
    own = ObjectValue("custom:package>Warmup", {"steps": 5})
    written = replace(keras_adam(), schedule=own, schedule_clock="micro_step")
    del written.hyperparameters["learning_rate"]
    report = Report()
    lifted = lift_optimizer(written, report, "optimizer")
    assert (lifted.algorithm, lifted.schedule) == ("core:adam", own)
    assert [entry.subject for entry in report.entries if entry.status == "data-only"] == ["optimizer/schedule"]
    same(lower_optimizer(lifted, Report()), written)


@pytest.mark.clause("KC-53@615cf8")
@pytest.mark.parametrize(
    "optimizer",
    [
        Optimizer("custom:package>Mine", {"speed": 1.0}),
        Optimizer("keras:MultiOptimizer"),
        keras_adam(speed=1.0),
        keras_adam(beta_1="much"),
        keras_adam(amsgrad="maybe"),
        keras_adam(gradient_accumulation_steps=2.5),
        replace(keras_adam(), residue={"keras": {"variables": {"2": Tensor.of(np.zeros(2))}}}),
        Optimizer("keras:Muon", {"exclude_layers": ["head.*"]}),
        Optimizer("keras:optimizers.legacy.SGD", {"decay": 0.1}),
        Optimizer(
            "keras:optimizers.legacy.SGD",
            {"decay": 0.1},
            schedule=ObjectValue("keras:optimizers.schedules.CosineDecay", {}),
        ),
        Optimizer("keras:LossScaleOptimizer"),
        Optimizer("keras:LossScaleOptimizer", inner=Optimizer("custom:package>Mine")),
    ],
)
def test_other_optimizers_stay_as_they_are(optimizer: Optimizer) -> None:
    """Classes, hyperparameters and state that the vocabulary has no words for; the report says why."""
    report = Report()
    assert lift_optimizer(optimizer, report, "optimizer") is optimizer
    assert [(entry.subject, entry.status) for entry in report.entries if not entry.subject.count("/")] == [
        ("optimizer", "data-only")
    ]
    assert lower_optimizer(optimizer, Report()) is optimizer


@pytest.mark.clause("KC-53@615cf8")
def test_muon_leaves_embeddings_to_adamw_before_there_are_slots() -> None:
    """By the paths of its variables."""
    optimizer = Optimizer("keras:Muon", {"exclude_embeddings": True, "muon_a": 1.0, "muon_b": 2, "muon_c": 3.0})
    optimizer.groups, optimizer.fresh = [Group(["embedding/embeddings", W])], ["embedding/embeddings", W]
    lifted = lift_optimizer(optimizer, Report(), "optimizer")
    assert lifted.hyperparameters["adam_variables"] == ["embedding/embeddings"]
    assert lifted.hyperparameters["ns_coefficients"] == [1.0, 2.0, 3.0]
    same(lower_optimizer(lifted, Report()), optimizer)
    optimizer.hyperparameters["exclude_embeddings"] = False
    assert "adam_variables" not in lift_optimizer(optimizer, Report(), "optimizer").hyperparameters
    lowered, _ = keras_3("Muon", "muon", adam_variables=["a.b/kernel"])
    assert lowered.hyperparameters["exclude_layers"] == ["a\\.b/kernel"]
    assert lowered.hyperparameters["exclude_embeddings"] is False


@pytest.mark.clause("KC-54@b32ec8")
def test_slots_by_their_names_in_a_graph_get_those_of_the_vocabulary() -> None:
    """TensorFlow's checkpoints of legacy optimizers name them otherwise."""
    for name, graph, own in [
        ("Adam", ["m", "v"], ["momentum", "velocity"]),
        ("Adamax", ["m", "v"], ["momentum", "norm"]),
    ]:
        tensors = {key: Tensor.of(np.full(3, at, np.float32)) for at, key in enumerate(graph)}
        optimizer = Optimizer(
            f"keras:optimizers.legacy.{name}", {"learning_rate": 0.1, "epsilon": None}, learning_rate=0.1
        )
        optimizer.groups, optimizer.slots, optimizer.step, optimizer.micro_step = [Group([B])], {B: tensors}, 3, 3
        lifted = lift_optimizer(optimizer, Report(), "optimizer")
        assert list(lifted.slots[B]) == own
        same(lower_optimizer(lifted, Report()), optimizer)


def scaler(text: str, **config: Any) -> Optimizer:
    """A scaler around an Adam."""
    inner = keras_adam()
    outer = Optimizer(text, {"initial_scale": 1024.0, "dynamic_growth_steps": 10} | config, inner=inner)
    outer.groups, outer.step, outer.micro_step = [Group([W, B])], inner.step, inner.micro_step
    outer.learning_rate = inner.learning_rate
    return outer


TF_SCALER = "tf_keras:src.mixed_precision.loss_scale_optimizer.LossScaleOptimizerV3"


@pytest.mark.clause("KC-53@615cf8", "KC-55@4f08b8")
def test_scalers_of_the_loss() -> None:
    """Of both Keras, with the scale and its count; what only the old one does is not in Keras 3."""
    new = scaler("keras:LossScaleOptimizer")
    new.residue = {"keras": {"own": [0, 0.0]}}
    new.shared_slots = {"step_counter": Tensor.of(np.int32(4)), "dynamic_scale": Tensor.of(np.float32(512))}
    lifted = lift_optimizer(new, Report(), "optimizer")
    assert (lifted.algorithm, lifted.hyperparameters) == (
        "core:loss_scale",
        {"initial_scale": 1024.0, "growth_steps": 10},
    )
    report = Report()
    same(lower_optimizer(lifted, report), new)
    assert report.ok
    old = scaler(TF_SCALER, dynamic=True)
    settings = {"current_loss_scale": Tensor.of(np.float32(512)), "good_steps": Tensor.of(np.int64(4))}
    old.residue = {"keras": {"own": [10, None]}, "tensorflow": {"settings": settings}}
    lifted = lift_optimizer(old, Report(), "optimizer")
    assert lifted.hyperparameters["minimum_scale"] == 1.0
    assert float(lifted.shared_slots["dynamic_scale"].numpy()) == 512
    back = lower_optimizer(lifted, Report())
    same(back, old)
    assert back.residue["tensorflow"]["settings"].keys() == settings.keys()
    report = Report()
    assert lower_optimizer(lifted, report, dialect="keras").algorithm == "keras:LossScaleOptimizer"
    assert {entry.subject for entry in report.lost} == {"optimizer/minimum_scale", "optimizer/count_skipped"}


@pytest.mark.clause("KC-53@615cf8", "KC-55@4f08b8")
def test_a_fixed_scale_of_the_loss() -> None:
    """tf_keras has one, and Keras 3 does not."""
    old = scaler(TF_SCALER, dynamic=False, dynamic_growth_steps=None)
    lifted = lift_optimizer(old, Report(), "optimizer")
    assert lifted.hyperparameters["dynamic"] is False
    same(lower_optimizer(lifted, Report()), old)
    plain = Optimizer("core:loss_scale", {"initial_scale": 8.0}, inner=made("sgd"))
    lowered = lower_optimizer(plain, Report())
    assert lowered.hyperparameters == {"initial_scale": 8.0, "dynamic_growth_steps": 2000}
    assert lowered.residue["keras"] == {"own": [0, 0.0]}
