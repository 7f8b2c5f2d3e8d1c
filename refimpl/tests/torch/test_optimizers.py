"""Optimizers of torch that go on where a stored one stopped, and their state as the vocabulary has it."""

from __future__ import annotations

import copy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.bridges.torch.binding import Binding, Layout
from etui.containers.optimizer import Group, Optimizer
from etui.core.optimizers import step
from etui.errors import EtuiError, TransferError, UsageError
from etui.report import Report

torch = pytest.importorskip("torch")

from etui.bridges.torch.adapters import CoreOptimizer
from etui.bridges.torch.optimizers import Target, make_optimizer
from etui.bridges.torch.optimizers_read import read_optimizer

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("state_kit")  # tests are imported by path, so that a neighbour is found by name only
run_of = kit.run_of

pytestmark = pytest.mark.frameworks

# A matrix and a convolution that lie otherwise in torch, and a bias.
LAYOUTS = {
    "k": ((4, 3), Layout(axes=(1, 0))),
    "b": ((3,), Layout()),
    "c": ((2, 2, 3, 4), Layout(axes=(3, 2, 0, 1))),
}
SHAPES = {path: shape for path, (shape, _) in LAYOUTS.items()}
BINDINGS = {
    path: Binding(path, path, layout, shape, tuple(shape[axis] for axis in layout.axes) if layout.axes else shape)
    for path, (shape, layout) in LAYOUTS.items()
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("sgd", {"momentum": 0.9, "momentum_form": "buffer", "dampening": 0.1}),
    ("sgd", {"momentum": 0.9, "momentum_form": "buffer", "weight_decay": 0.01, "decay_mode": "coupled"}),
    ("adam", {}),
    ("adam", {"amsgrad": True}),
    ("adam", {"epsilon_mode": "corrected"}),
    ("adam", {"epsilon_mode": "corrected", "amsgrad": True, "amsgrad_max_of": "corrected", "epsilon_root": 1e-5}),
    ("adam", {"weight_decay": 0.01, "decay_excluded": ["b"]}),
    ("adam", {"clip_norm": 0.5, "clip_value": 0.2}),
    ("adam", {"clip_global_norm": 0.3, "clip_epsilon": 1e-6}),
    ("adam", {"accumulation_steps": 3}),
    ("adam", {"ema_momentum": 0.9, "ema_overwrite_frequency": 4}),
    ("adam", {"ema_momentum": 0.9, "ema_start": "initial", "accumulation_steps": 2}),
    ("adam", {"loss_scale": 8.0, "maximize": True}),
    ("rmsprop", {}),
    ("rmsprop", {"centered": True, "momentum": 0.5}),
    ("rmsprop", {"epsilon_mode": "outside", "momentum": 0.5, "momentum_form": "buffer"}),
    ("adagrad", {}),
    ("adagrad", {"epsilon_mode": "outside", "rate_decay": 0.1}),
    ("adadelta", {}),
    ("adamax", {}),
    ("adamax", {"epsilon_mode": "in_max"}),
    ("nadam", {}),
    ("nadam", {"epsilon_mode": "uncorrected"}),
    ("ftrl", {}),
    ("ftrl", {"l1": 0.01, "l2": 0.02, "l2_shrinkage": 0.01, "beta": 0.1}),
    ("lion", {}),
    ("lamb", {}),
    ("adafactor", {}),
    ("adafactor", {"relative_step": False}),
    ("muon", {}),
    ("muon", {"adam_variables": ["k"], "adam_weight_decay": 0.01, "weight_decay": 0.02, "rms_rate": None}),
    ("schedule_free_adamw", {"warmup_steps": 3}),
]
NAMES = [f"{rule}-{'-'.join(values) or 'plain'}" for rule, values in CASES]
# What torch's own classes do not do, or not with this accuracy.
BEYOND_STOCK = {"clip_norm", "clip_global_norm", "accumulation_steps", "ema_momentum", "loss_scale", "epsilon_root"}
WITHOUT_STOCK = {"ftrl", "lion", "lamb", "muon", "schedule_free_adamw"}


def _targets(run: Any) -> list[Target]:
    found = []
    for path, binding in BINDINGS.items():
        array = np.ascontiguousarray(binding.to_torch(run.variables[path]))
        found.append(Target(path, torch.nn.Parameter(torch.from_numpy(array)), binding))
    return found


def _train(optimizer: Any, targets: list[Target], gradients: list[dict[str, Any]]) -> None:
    for grads in gradients:
        for one in targets:
            one.param.grad = torch.from_numpy(np.ascontiguousarray(one.binding.to_torch(grads[one.path])))
        optimizer.step()


def _distance(run: Any, targets: list[Target], optimizer: Any) -> tuple[float, float]:
    """The largest differences of variables and of slots from the reference, after the same gradients."""
    reference, variables = run.optimizer, run.variables
    for grads in run.gradients:
        reference, variables = step(reference, variables, grads)
    _train(optimizer, targets, run.gradients)
    moved = max(
        float(np.abs(one.binding.to_core(one.param.detach().numpy()) - variables[one.path]).max()) for one in targets
    )
    found = read_optimizer(optimizer, targets)
    assert found is not None
    assert (found.step, found.micro_step) == (reference.step, reference.micro_step)
    slots = 0.0
    for path, own in reference.slots.items():
        assert own.keys() == found.slots.get(path, {}).keys()
        for name, tensor in own.items():
            slots = max(slots, float(np.abs(tensor.numpy() - found.slots[path][name].numpy()).max()))
    return moved, slots


@pytest.mark.clause("PT-50@16de3a", "PT-51@c65c90")
@pytest.mark.parametrize(("rule", "values"), CASES, ids=NAMES)
def test_every_rule_goes_on_exactly(rule: str, values: dict[str, Any]) -> None:
    """Fifteen steps after ten of the reference agree with it to the last bits, and so do the slots read back."""
    run = run_of(rule, values, SHAPES)
    targets, report = _targets(run), Report()
    optimizer = make_optimizer(run.optimizer, targets, report=report)
    assert report.ok
    assert {one.transfer.kind for one in report.entries if one.transfer is not None} == {"exact"}
    moved, slots = _distance(run, targets, optimizer)
    assert moved < 1e-13
    assert slots < 1e-12


@pytest.mark.clause("PT-52@03c628")
@pytest.mark.parametrize(("rule", "values"), CASES, ids=NAMES)
def test_state_passes_through_a_state_dict(rule: str, values: dict[str, Any]) -> None:
    """Saved as a `state_dict` and loaded into a new optimizer, the state goes on as before."""
    run = run_of(rule, values, SHAPES)
    targets = _targets(run)
    held = copy.deepcopy(make_optimizer(run.optimizer, targets).state_dict())
    new = Optimizer(run.optimizer.algorithm, dict(run.optimizer.hyperparameters), 0.01)
    new.groups, new.fresh = [Group(list(SHAPES))], list(SHAPES)
    optimizer = make_optimizer(new, targets)
    optimizer.load_state_dict(held)
    moved, _ = _distance(run, targets, optimizer)
    assert moved < 1e-13


@pytest.mark.clause("PT-53@8d7efc", "PT-54@03064d")
@pytest.mark.parametrize(("rule", "values"), CASES, ids=NAMES)
def test_stock_optimizers_say_how_faithful_they_are(rule: str, values: dict[str, Any]) -> None:
    """With `stock`, an exact or reparametrised rule is kept by torch's own class; what is not, the report says."""
    run = run_of(rule, values, SHAPES)
    targets, report = _targets(run), Report()
    optimizer = make_optimizer(run.optimizer, targets, stock=True, report=report)
    kinds = {one.transfer.kind for one in report.entries if one.transfer is not None}
    if rule in WITHOUT_STOCK:
        assert optimizer is None
        assert kinds == {"not-transferable"}
        return
    assert type(optimizer).__module__.startswith("torch.optim")
    if BEYOND_STOCK & values.keys() or rule == "adafactor":
        assert not report.ok
        return
    assert kinds <= {"exact", "reparametrised"}
    assert all(one.transfer.formula for one in report.entries if one.transfer and one.transfer.kind != "exact")
    moved, slots = _distance(run, targets, optimizer)
    assert moved < 1e-13
    assert slots < 1e-12


@pytest.mark.clause("PT-53@8d7efc")
def test_a_stock_buffer_follows_the_rate() -> None:
    """A velocity that torch's SGD holds as a buffer stays the same velocity when the rate changes."""
    run = run_of("sgd", {"momentum": 0.9}, SHAPES)
    targets = _targets(run)
    optimizer = make_optimizer(run.optimizer, targets, stock=True)
    reference, variables = run.optimizer, run.variables
    for number, grads in enumerate(run.gradients):
        rate = 0.01 * 0.8**number
        for group in optimizer.param_groups:
            group["lr"] = rate
        reference.learning_rate = rate
        reference, variables = step(reference, variables, grads)
        _train(optimizer, targets, [grads])
    for one in targets:
        assert np.allclose(one.binding.to_core(one.param.detach().numpy()), variables[one.path], rtol=0, atol=1e-13)


@pytest.mark.clause("PT-54@03064d")
def test_adafactor_of_torch_is_near_for_matrices_alone() -> None:
    """The approximate transfer keeps within its bound for a matrix; a convolution's factors are not transferable."""
    shapes = {"k": SHAPES["k"], "b": SHAPES["b"]}
    run = run_of("adafactor", {}, shapes)
    targets = [one for one in _targets(run_of("adafactor", {}, SHAPES)) if one.path in shapes]
    for one in targets:
        one.param.data.copy_(torch.from_numpy(np.ascontiguousarray(one.binding.to_torch(run.variables[one.path]))))
    report = Report()
    optimizer = make_optimizer(run.optimizer, targets, stock=True, report=report)
    bounds = {one.transfer.bound for one in report.entries if one.transfer and one.transfer.kind == "approximate"}
    (bound,) = bounds
    assert bound is not None
    moved, _ = _distance(run, targets, optimizer)
    assert moved < bound
    convolution = Report()
    run = run_of("adafactor", {}, SHAPES)
    make_optimizer(run.optimizer, _targets(run), stock=True, report=convolution)
    lost = {one.subject for one in convolution.entries if one.status == "not-transferable"}
    assert lost == {f"optimizer/c/{name}" for name in "rcv"}


@pytest.mark.clause("PT-54@03064d", "PT-55@e9a50f")
def test_adafactor_of_torch_is_stored_as_near_as_it_is() -> None:
    """Its state for matrices and vectors is within the bound; that of a convolution is not transferable."""
    run = run_of("sgd", {}, SHAPES, before=0)
    targets = _targets(run)
    optimizer = torch.optim.Adafactor([one.param for one in targets])
    _train(optimizer, targets, run.gradients[:5])
    report = Report()
    found = read_optimizer(optimizer, targets, report=report)
    assert found is not None
    assert {one.subject for one in report.lost if one.status == "not-transferable"} == {"optimizer/c"}
    assert {name: one.shape for name, one in found.slots["k"].items()} == {"r": (4,), "c": (3,), "v": (4, 3)}
    near = [one for one in targets if one.path != "c"]
    variables = {one.path: one.binding.to_core(one.param.detach().numpy()).copy() for one in near}
    found.groups, found.fresh = [Group(["k", "b"])], []
    _train(optimizer, targets, run.gradients[5:])
    for grads in run.gradients[5:]:
        found, variables = step(found, variables, {path: grads[path] for path in variables})
    for one in near:
        assert np.allclose(one.binding.to_core(one.param.detach().numpy()), variables[one.path], rtol=0, atol=1e-7)


TORCH: list[tuple[str, dict[str, Any], str]] = [
    ("SGD", {"lr": 0.01}, "core:sgd"),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}, "core:sgd"),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "maximize": True}, "core:sgd"),
    ("Adam", {"lr": 0.01, "weight_decay": 0.01}, "core:adam"),
    ("Adam", {"lr": 0.01, "amsgrad": True}, "core:adam"),
    ("AdamW", {"lr": 0.01}, "core:adam"),
    ("NAdam", {"lr": 0.01}, "core:nadam"),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.01, "decoupled_weight_decay": True}, "core:nadam"),
    ("RMSprop", {"lr": 0.01}, "core:rmsprop"),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.01}, "core:rmsprop"),
    ("Adagrad", {"lr": 0.01, "lr_decay": 0.1, "initial_accumulator_value": 0.2}, "core:adagrad"),
    ("Adadelta", {"lr": 1.0}, "core:adadelta"),
    ("Adamax", {"lr": 0.01}, "core:adamax"),
]


@pytest.mark.clause("PT-55@e9a50f")
@pytest.mark.parametrize(("kind", "options", "rule"), TORCH, ids=[f"{kind}-{len(one)}" for kind, one, _ in TORCH])
def test_states_of_torch_are_states_of_the_vocabulary(kind: str, options: dict[str, Any], rule: str) -> None:
    """The reference goes on from what torch did as torch does, and a new torch optimizer does so bit for bit."""
    run = run_of("sgd", {}, SHAPES, before=0)
    targets = _targets(run)
    optimizer = getattr(torch.optim, kind)([one.param for one in targets], **options)
    _train(optimizer, targets, run.gradients[:7])
    report = Report()
    found = read_optimizer(optimizer, targets, step=7, report=report)
    assert found is not None
    assert report.ok
    assert (found.algorithm, found.step) == (rule, 7)
    variables = {one.path: one.binding.to_core(one.param.detach().numpy()).copy() for one in targets}
    copies = [Target(one.path, torch.nn.Parameter(one.param.detach().clone()), one.binding) for one in targets]
    again = make_optimizer(found, copies)
    assert type(again) is type(optimizer)
    _train(optimizer, targets, run.gradients[7:])
    _train(again, copies, run.gradients[7:])
    for grads in run.gradients[7:]:
        found, variables = step(found, variables, grads)
    for one, other in zip(targets, copies, strict=True):
        assert torch.equal(one.param, other.param)
        assert np.allclose(one.binding.to_core(one.param.detach().numpy()), variables[one.path], rtol=0, atol=1e-13)


@pytest.mark.clause("PT-55@e9a50f")
def test_groups_keep_their_own_hyperparameters() -> None:
    """A second group's rate and decay are overrides, in the vocabulary and in torch again."""
    run = run_of("sgd", {}, SHAPES, before=0)
    targets = _targets(run)
    groups = [{"params": [targets[0].param]}, {"params": [targets[2].param], "lr": 0.5, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1)
    found = read_optimizer(optimizer, targets)
    assert found is not None
    assert [group.variables for group in found.groups] == [["k"], ["c"]]
    assert found.groups[1].hyperparameters == {"learning_rate": 0.5, "weight_decay": 0.0}
    assert found.fresh == ["k", "c"]
    again = make_optimizer(found, targets)
    assert [(group["lr"], group["weight_decay"]) for group in again.param_groups] == [(0.01, 0.1), (0.5, 0.0)]


@pytest.mark.clause("PT-56@40c1da")
def test_parameters_that_differ_in_steps_are_refused() -> None:
    """One step for all is what the vocabulary has: an optimizer whose parameters were updated unequally is not it."""
    run = run_of("sgd", {}, SHAPES, before=0)
    targets = _targets(run)
    optimizer = torch.optim.Adam([one.param for one in targets])
    _train(optimizer, targets, run.gradients[:2])
    targets[0].param.grad = None
    optimizer.step()
    report = Report()
    read_optimizer(optimizer, targets, report=report)
    (entry,) = report.lost
    assert entry.subject == "optimizer/step"
    assert "2 times and 3 times" in entry.detail


@pytest.mark.clause("PT-57@edb9bf")
@pytest.mark.parametrize("kind", ["RAdam", "ASGD", "Rprop"])
def test_rules_that_the_vocabulary_lacks_are_named(kind: str) -> None:
    """An optimizer of another rule gives no state, and an entry with its class."""
    parameter = torch.nn.Parameter(torch.ones(2))
    binding = Binding("w", "w", Layout(), (2,), (2,))
    report = Report()
    optimizer = getattr(torch.optim, kind)([parameter])
    assert read_optimizer(optimizer, [Target("w", parameter, binding)], report=report) is None
    assert [entry.status for entry in report.entries] == ["not-transferable"]
    assert kind in report.entries[0].detail


@pytest.mark.clause("PT-55@e9a50f")
def test_sgd_without_a_count_says_so() -> None:
    """SGD does not count: its step is the caller's to give, and an optimizer of this library counts for it."""
    run = run_of("sgd", {"momentum": 0.9}, SHAPES)
    targets = _targets(run)
    optimizer = torch.optim.SGD([one.param for one in targets], momentum=0.9)
    _train(optimizer, targets, run.gradients[:1])
    report = Report()
    read_optimizer(optimizer, targets, report=report)
    assert report.counts()["state"] == {"reset": 1}
    counted = make_optimizer(run.optimizer, targets, stock=True)
    _train(counted, targets, run.gradients[:3])
    found = read_optimizer(counted, targets)
    assert found is not None
    assert found.step == 13


@pytest.mark.clause("PT-51@c65c90")
def test_a_loss_scale_grows_and_shrinks() -> None:
    """The dynamic scale follows the reference through good gradients and one that overflows, and is saved."""
    inner = Optimizer("core:adam", {"learning_rate": 0.01}, 0.01)
    inner.groups, inner.fresh = [Group(list(SHAPES))], list(SHAPES)
    wrapper = Optimizer("core:loss_scale", {"initial_scale": 16.0, "growth_steps": 2}, 0.01, inner=inner)
    run = run_of("sgd", {}, SHAPES, before=0)
    targets, variables = _targets(run), run.variables
    optimizer = make_optimizer(wrapper, targets)
    reference = wrapper
    for number, grads in enumerate(run.gradients[:6]):
        scaled = {path: grad * (np.inf if number == 3 else 16.0) for path, grad in grads.items()}
        reference, variables = step(reference, variables, scaled)
        _train(optimizer, targets, [scaled])
    for one in targets:
        assert np.allclose(one.binding.to_core(one.param.detach().numpy()), variables[one.path], rtol=0, atol=1e-13)
    found = read_optimizer(optimizer, targets)
    assert found is not None
    assert found.algorithm == "core:loss_scale"
    for name, tensor in reference.shared_slots.items():
        assert tensor.numpy() == found.shared_slots[name].numpy()
    assert float(optimizer.scale_loss(torch.tensor(1.0))) == float(reference.shared_slots["dynamic_scale"].numpy())


@pytest.mark.library
def test_the_adapter_stands_by_itself() -> None:
    """Made by hand, a `CoreOptimizer` trains with torch's closures and schedulers, and can take its averages over."""
    parameter = torch.nn.Parameter(torch.ones(2))
    calls: list[int] = []
    optimizer = CoreOptimizer([parameter], "lion", lr=0.1, ema_momentum=0.5, after=lambda: calls.append(1))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    for _ in range(2):
        assert optimizer.step(closure) > 0
        scheduler.step()
    assert calls == [1, 1]
    assert torch.allclose(parameter, torch.full((2,), 0.85))
    optimizer.overwrite_with_averages()
    assert torch.allclose(parameter, torch.full((2,), 0.875))


@pytest.mark.library
def test_what_cannot_be_made_is_refused() -> None:
    """A rule or a hyperparameter that there is none, and an optimizer that is not of the vocabulary."""
    parameter = torch.nn.Parameter(torch.ones(2))
    refused: list[type[EtuiError]] = []
    faults: list[tuple[str, dict[str, Any]]] = [("adam", {"beta": 1.0}), ("Adam", {}), ("adam", {"learning_rate": 1.0})]
    for rule, options in faults:
        with pytest.raises(UsageError, match="torch-optimizer") as caught:
            CoreOptimizer([parameter], rule, **options)
        refused.append(caught.type)
    assert len(refused) == 3
    with pytest.raises(TransferError, match="torch-optimizer-rule"):
        make_optimizer(Optimizer("keras:Adam", {}, 0.1), [])
