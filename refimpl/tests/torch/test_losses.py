"""Losses and schedules in torch, against their definitions."""

from __future__ import annotations

import math
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group, Optimizer
from etui.containers.training import Training
from etui.core import losses as definitions
from etui.core.schedules import rate
from etui.core.vocabulary import objects
from etui.errors import TransferError

torch = pytest.importorskip("torch")

from etui.bridges.torch.binding import Binding, Layout
from etui.bridges.torch.losses import CoreLoss, CoreLosses, make_loss, read_loss
from etui.bridges.torch.optimizers import Target, make_optimizer
from etui.bridges.torch.schedules import CoreSchedule, make_schedule, read_schedule

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("state_kit")  # tests are imported by path, so that a neighbour is found by name only

pytestmark = pytest.mark.frameworks
# Parameters other than the defaults, to be tried beside them.
OTHERS: dict[str, list[dict[str, Any]]] = {
    "binary_crossentropy": [{"from_logits": True, "label_smoothing": 0.1}],
    "binary_focal_crossentropy": [{"apply_class_balancing": True, "from_logits": True}],
    "categorical_crossentropy": [{"from_logits": True, "label_smoothing": 0.1}],
    "categorical_focal_crossentropy": [{"from_logits": True}],
    "sparse_categorical_crossentropy": [{"from_logits": True}, {"ignore_class": 1}],
    "huber": [{"delta": 0.3}],
    "dice": [{"axis": [0]}],
    "tversky": [{"alpha": 0.3, "axis": [1]}],
    "cosine_similarity": [{"axis": 0}],
    "circle": [{"remove_diagonal": False, "gamma": 8.0}],
}
SPARSE = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy", "circle")


def _sample(name: str) -> tuple[Any, Any]:
    """Targets and predictions that a loss is for."""
    rng = np.random.default_rng(2)
    output = rng.uniform(0.05, 0.95, size=(6, 4))
    output /= output.sum(-1, keepdims=True)
    if name == "ctc":
        return np.array([[1, 2, 0], [3, 3, 1]]), rng.normal(size=(2, 7, 4))
    if name in SPARSE:
        return rng.integers(0, 4, 6), output
    if "hinge" in name or "binary" in name or name in {"dice", "tversky", "auto_crossentropy"}:
        return np.eye(4)[rng.integers(0, 4, 6)], output
    target = rng.uniform(0.0, 1.0, size=(6, 4))
    return target / target.sum(-1, keepdims=True), output


CASES = [(name, config) for name in objects("losses") for config in ({}, *OTHERS.get(name, ()))]


@pytest.mark.clause("PT-80@49ba05")
@pytest.mark.parametrize(("name", "config"), CASES, ids=[f"{name}-{len(config)}" for name, config in CASES])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "mean_with_sample_weight"])
def test_every_loss_has_the_numbers_of_its_definition(name: str, config: dict[str, Any], reduction: str) -> None:
    """With and without weights of samples and masks, values agree with the definition, and gradients are finite."""
    target, output = _sample(name)
    value = ObjectValue(f"core:losses.{name}", {**config, "reduction": reduction})
    shape = definitions.values(value, target, output)[0].shape
    rng = np.random.default_rng(3)
    weights = [None, *([rng.uniform(0, 1, shape)] if shape else [])]
    masks = [None, *([rng.uniform(0, 1, shape) > 0.4] if shape else [])]
    tried = 0
    for weight in weights:
        for mask in masks:
            expected = definitions.loss(value, target, output, weight, mask)
            prediction = torch.from_numpy(output.copy()).requires_grad_()
            extra = [None if one is None else torch.from_numpy(one) for one in (weight, mask)]
            found = CoreLoss(value)(prediction, torch.from_numpy(np.asarray(target)), *extra)
            assert np.allclose(found.detach().numpy(), expected, rtol=1e-12, atol=1e-14)
            found.sum().backward()
            assert bool(torch.isfinite(prediction.grad).all())
            tried += 1
    assert tried == len(weights) * len(masks)


SPREAD: list[tuple[str, dict[str, Any], Any, Any, Any, Any]] = [
    ("huber", {}, np.zeros((3, 2, 4)), np.ones((3, 2, 4)) * 0.3, np.array([1.0, 2.0, 4.0]), None),
    ("huber", {}, np.zeros((3, 3, 4)), np.arange(36.0).reshape(3, 3, 4) / 9, np.array([1.0, 2.0, 4.0]), None),
    ("huber", {}, np.zeros((3, 4)), np.arange(12.0).reshape(3, 4) / 9, np.array([[1.0], [2.0], [4.0]]), None),
    ("huber", {}, np.zeros((3, 3, 4)), np.ones((3, 3, 4)) * 0.3, np.ones((3, 3)), np.array([True, False, True])),
    ("huber", {}, np.zeros((3, 3, 4)), np.ones((3, 3, 4)), np.array([1.0, 2.0, 4.0]), np.eye(3) > 0),
    (
        "sparse_categorical_crossentropy",
        {"ignore_class": 1},
        np.array([[0, 1], [1, 0], [2, 2]]),
        np.full((3, 2, 3), 1 / 3) + np.arange(18.0).reshape(3, 2, 3) / 36,
        None,
        np.array([True, True, False]),
    ),
    ("auto_crossentropy", {}, np.eye(3), np.arange(9.0).reshape(3, 3, 1) / 10 + 0.05, None, None),
    ("ctc", {}, np.array([[1, 0, 2], [0, 3, 1]]), np.sin(np.arange(48.0)).reshape(2, 6, 4), None, None),
]
"""Weights and masks of fewer axes than the values, steps with an axis of size 1, and zeros among labels."""


@pytest.mark.clause("PT-80@49ba05")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "mean_with_sample_weight"])
@pytest.mark.parametrize("index", range(len(SPREAD)))
def test_weights_of_samples_are_those_of_their_steps(index: int, reduction: str) -> None:
    """Also where there are as many steps as samples, and beside masks; numbers and shapes are the definition's."""
    name, config, y, p, weight, mask = SPREAD[index]
    value = ObjectValue(f"core:losses.{name}", {**config, **({} if reduction == "mean" else {"reduction": reduction})})
    given = [None if one is None else torch.from_numpy(one) for one in (p, y, weight, mask)]
    found, wanted = CoreLoss(value)(*given), definitions.loss(value, y, p, weight, mask)
    assert tuple(found.shape) == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9)


@pytest.mark.clause("PT-80@49ba05")
def test_targets_may_lack_an_axis_and_predictions_may_be_half() -> None:
    """A vector of targets stands for a column, and the loss of half-precision predictions is in float32."""
    loss = CoreLoss(ObjectValue("core:losses.mean_squared_error", {}))
    prediction = torch.tensor([[1.0], [2.0]], dtype=torch.float16)
    found = loss(prediction, torch.tensor([0.0, 4.0]))
    assert found.dtype == torch.float32
    assert float(found) == 2.5


@pytest.mark.clause("PT-81@b8a053")
def test_losses_of_several_outputs_are_weighted_and_added() -> None:
    """The nesting of the outputs is that of the losses: by name, or by position."""
    mse, mae = (ObjectValue(f"core:losses.mean_{kind}_error", {}) for kind in ("squared", "absolute"))
    report = etui.Report()
    ones, twos = torch.ones(2, 3), torch.full((2, 3), 2.0)
    by_name = make_loss(Training(loss={"a": mse, "b": mae}, loss_weights={"b": 0.5}), report)
    assert isinstance(by_name, CoreLosses)
    assert float(by_name({"a": ones, "b": ones}, {"a": 3 * ones, "b": twos})) == 4.5
    listed = make_loss(Training(loss=[mse, None, mae], loss_weights=[2.0, None, 1.0]), report)
    assert isinstance(listed, CoreLosses)
    assert float(listed([ones, ones, ones], [3 * ones, ones, twos])) == 9.0
    assert read_loss(by_name, report) == ({"a": mse, "b": mae}, {"a": 1.0, "b": 0.5})
    assert read_loss(listed, report) == ([mse, None, mae], [2.0, 1.0, 1.0])
    assert report.ok


@pytest.mark.clause("PT-81@b8a053")
def test_losses_of_torch_have_equals() -> None:
    """The losses of torch that the vocabulary has give the same numbers; others are not transferable."""
    torch.manual_seed(0)
    scores, classes = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 2, 1, 1, 0])
    binary = torch.randint(0, 2, (5, 3)).to(torch.float64)
    pairs = [
        (torch.nn.CrossEntropyLoss(), classes),
        (torch.nn.CrossEntropyLoss(ignore_index=1), classes),
        (torch.nn.BCEWithLogitsLoss(), binary),
        (torch.nn.MSELoss(), binary),
        (torch.nn.L1Loss(), binary),
        (torch.nn.HuberLoss(delta=0.4), binary),
    ]
    for loss, target in pairs:
        value, _ = read_loss(loss, etui.Report())
        assert np.isclose(float(CoreLoss(value)(scores, target)), float(loss(scores, target)), rtol=1e-13)
    others = (torch.nn.CrossEntropyLoss(weight=torch.ones(3)), torch.nn.NLLLoss(), torch.nn.MSELoss(reduction="sum"))
    report = etui.Report()
    assert [read_loss(loss, report)[0] for loss in others] == [None, None, None]
    assert len(report.lost) == 3
    with pytest.raises(TransferError, match="torch-loss"):
        CoreLoss(ObjectValue("keras:losses.Mine", {}))
    assert make_loss(Training(loss="mine"), report) is None


def _optimizer(schedule: ObjectValue, clock: str = "step", **values: Any) -> tuple[Any, Any, Any]:
    parameter = torch.nn.Parameter(torch.ones(2))
    stored = Optimizer("core:adam", dict(values), 0.1, 7, 7 * values.get("accumulation_steps", 1), schedule, clock)
    stored.groups, stored.fresh = [Group(["w"])], ["w"]
    made = make_optimizer(stored, [Target("w", parameter, Binding("w", "w", Layout(), (2,), (2,)))])
    return made, make_schedule(made, stored, etui.Report()), parameter


@pytest.mark.clause("PT-58@c0441b")
def test_a_schedule_goes_on_from_its_clock() -> None:
    """The rate of each step is the definition's, counted in updates or gradients, through a `state_dict`, too."""
    schedule = ObjectValue(
        "core:schedules.exponential_decay",
        {"initial_learning_rate": 0.1, "decay_steps": 3.0, "decay_rate": 0.5, "staircase": True},
    )
    for clock, steps, expected in (("step", 1, 1), ("step", 2, 2), ("micro_step", 2, 1)):
        options = {"accumulation_steps": steps} if steps > 1 else {}
        optimizer, scheduler, parameter = _optimizer(schedule, clock, **options)
        start = 7 * steps if clock == "micro_step" else 7
        for number in range(8):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(float(rate(schedule, start + number // expected)))
            parameter.grad = torch.ones(2)
            optimizer.step()
            scheduler.step()
        held = scheduler.state_dict()
        _, again, _ = _optimizer(schedule, clock, **options)
        again.load_state_dict(held)
        assert again.clock == scheduler.clock
        assert again.get_lr() == scheduler.get_lr()


@pytest.mark.clause("PT-59@b08c24")
@pytest.mark.parametrize(
    ("kind", "options", "steps"),
    [
        ("StepLR", {"step_size": 3, "gamma": 0.5}, 20),
        ("ExponentialLR", {"gamma": 0.9}, 20),
        ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.5}, 20),
        ("PolynomialLR", {"total_iters": 10, "power": 2.0}, 20),
        ("CosineAnnealingLR", {"T_max": 12, "eta_min": 0.01}, 12),
    ],
)
def test_schedulers_of_torch_have_equals(kind: str, options: dict[str, Any], steps: int) -> None:
    """A scheduler of torch and the schedule that it is stored as give the same rates, from any step on."""
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scheduler = getattr(torch.optim.lr_scheduler, kind)(optimizer, **options)
    stored = Optimizer("core:sgd", {"learning_rate": 0.1}, 0.1, groups=[Group(["w"])])
    report = etui.Report()
    read_schedule(scheduler, stored, report)
    assert report.ok
    assert "learning_rate" not in stored.hyperparameters
    for number in range(steps):
        assert math.isclose(optimizer.param_groups[0]["lr"], float(rate(stored.schedule, number)), rel_tol=1e-12)
        optimizer.step()
        scheduler.step()


@pytest.mark.clause("PT-59@b08c24")
def test_schedulers_without_an_equal_are_named() -> None:
    """A scheduler that the vocabulary lacks, or that counted otherwise than the optimizer, is not transferable."""
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    cyclic = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.2)
    steady = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    stored = Optimizer("core:sgd", {"learning_rate": 0.1}, 0.1, 5, 5, groups=[Group(["w"])])
    report = etui.Report()
    for scheduler in (cyclic, steady):
        read_schedule(scheduler, stored, report)
    assert [entry.subject for entry in report.lost] == ["CyclicLR", "StepLR"]
    assert stored.schedule is None


@pytest.mark.clause("PT-58@c0441b")
def test_a_schedule_is_saved_as_it_was(tmp_path: Path) -> None:
    """Loaded and saved again with its scheduler, a model keeps schedule, clock and step."""
    model, _ = kit.trained_model("adam")
    stored = model.optimizer.optimizers["optimizer"]
    stored.schedule = ObjectValue(
        "core:schedules.polynomial_decay", {"initial_learning_rate": 0.1, "decay_steps": 100.0, "power": 2.0}
    )
    stored.schedule_clock = "micro_step"
    del stored.hyperparameters["learning_rate"]
    etui.save(model, tmp_path / "a.etui")
    resumed = etui.torch.load(tmp_path / "a.etui")
    assert isinstance(resumed.scheduler, CoreSchedule)
    etui.torch.save(resumed.module, resumed.optimizer, tmp_path / "b.etui", scheduler=resumed.scheduler)
    with etui.open(tmp_path / "b.etui") as back:
        assert back.optimizer is not None
        found = back.optimizer.optimizers["optimizer"]
        assert (found.schedule, found.schedule_clock, found.step) == (stored.schedule, "micro_step", 10)
        assert found.hyperparameters == stored.hyperparameters


@pytest.mark.clause("O-5@06fdad", "PT-58@c0441b")
@pytest.mark.parametrize(("clock", "wanted"), [("step", 0.5), ("micro_step", 0.125)])
def test_the_rate_that_is_saved_is_that_of_the_last_update(clock: str, wanted: float) -> None:
    """A scheduler's groups hold the rate of the next update; none was in force before the first."""
    value = ObjectValue(
        "core:schedules.exponential_decay", {"initial_learning_rate": 1.0, "decay_steps": 1.0, "decay_rate": 0.5}
    )
    stored = Optimizer("core:sgd", {"accumulation_steps": 2}, step=2, micro_step=4, groups=[Group(["w"])])
    stored.schedule, stored.schedule_clock = value, clock
    parameter = torch.nn.Parameter(torch.zeros(2))
    target = Target("w", parameter, Binding("w", "w", Layout(), (2,), (2,)))
    optimizer = make_optimizer(stored, [target])
    schedule = make_schedule(optimizer, stored)
    stored.learning_rate = 7.0
    read_schedule(schedule, stored, etui.Report())
    assert stored.learning_rate == wanted
    fresh = Optimizer("core:sgd", {"accumulation_steps": 2}, 7.0, groups=[Group(["w"])])
    read_schedule(schedule, fresh, etui.Report())
    assert fresh.learning_rate is None
