"""Optimizers of the core vocabulary in optax: against Keras itself, and against the rules' definitions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import Group, Model, ObjectValue, Optimizer, OptimizerState, Tensor, Weights
from etui.core.optimizers import step as defined_step

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

sys.path.insert(0, str(Path(__file__).parent))

cases: Any = import_module("optimizer_cases")
CASES = cases.CASES

from etui.bridges.jax import optax_build, optax_read, optax_write, trees

pytestmark = pytest.mark.frameworks

EXACT = 1e-12
# Keras on JAX computes means, cosines and roots of integers in float32, also in float64.
KERAS_FLOAT32 = 1e-6
IN_FLOAT32 = ("adam-scheduled", "adafactor", "adafactor-scheduled", "muon")
CONSTRAINTS = {
    "first/kernel": ObjectValue("core:constraints.max_norm", {"max_value": 0.7}),
    "first/bias": ObjectValue("core:constraints.non_neg", {}),
}


def in_core(optimizer: Optimizer, case: Any, paths: list[str]) -> Optimizer:
    """What Keras stored, in the words of the vocabulary."""
    made = replace(
        optimizer,
        algorithm=f"core:{case.algorithm}",
        hyperparameters=dict(case.hyperparameters),
        schedule=case.schedule,
        inner=None if case.inner is None or optimizer.inner is None else in_core(optimizer.inner, case.inner, paths),
    )
    if case.algorithm == "adafactor":
        made.slots = {
            path: {name: tensor for name, tensor in slots.items() if name == "v" or tensor.shape}
            for path, slots in made.slots.items()
        }
    return made


def project(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keras' MaxNorm and NonNeg."""
    kernel, bias = values["first/kernel"], values["first/bias"]
    norms = jax.numpy.sqrt(jax.numpy.sum(kernel**2, axis=0, keepdims=True))
    clipped = kernel * jax.numpy.clip(norms, 0, 0.7) / (1e-7 + norms)
    return {**values, "first/kernel": clipped, "first/bias": bias * (bias >= 0)}


def opened(folder: Path, name: str) -> tuple[Optimizer, dict[str, Any]]:
    model = etui.open(folder / f"{name}.etui")
    assert model.weights is not None
    assert model.optimizer is not None
    params = {path: jax.numpy.asarray(variable.numpy()) for path, variable in model.weights.variables.items()}
    return in_core(model.optimizer.optimizers["optimizer"], CASES[name], list(params)), params


def trained_on(tx: Any, state: Any, params: Any, name: str) -> tuple[Any, Any]:
    """Parameters and state after the further steps."""
    update = jax.jit(tx.update)
    shapes = {path: value.shape for path, value in params.items()}
    steps = 0
    for index, gradients in enumerate(cases.gradients(shapes, CASES[name])):
        if index >= cases.BEFORE:
            updates, state = update({path: jax.numpy.asarray(g) for path, g in gradients.items()}, state, params)
            params = optax.apply_updates(params, updates)
            steps += 1
    assert steps == cases.AFTER
    return params, state


def motion(found: Mapping[str, Any], wanted: Mapping[str, Any], start: Mapping[str, Any]) -> float:
    """The largest difference, relative to how far the variables went."""
    moved = max(float(np.abs(wanted[path] - start[path]).max()) for path in start)
    return max(float(np.abs(np.asarray(found[path]) - wanted[path]).max()) for path in start) / moved


@pytest.mark.clause("JX-50@6b8caf", "JX-51@b3de29")
@pytest.mark.parametrize("name", CASES)
def test_an_optimizer_of_keras_goes_on_as_if_it_had_stayed(name: str, trained: Path, x64: None) -> None:
    """Twenty steps behind the transfer, the variables are those of Keras, on identical gradients in float64."""
    resumed = etui.jax.load(trained / f"{name}.etui")
    assert resumed.report.ok
    assert {entry.transfer.kind for entry in resumed.report.entries if entry.transfer is not None} == {"exact"}
    found, _ = trained_on(resumed.tx, resumed.opt_state, resumed.params, name)
    start = {path: np.asarray(value) for path, value in resumed.params.items()}
    limit = KERAS_FLOAT32 if name in IN_FLOAT32 else EXACT
    assert motion(found, np.load(trained / f"{name}.npz"), start) <= limit


@pytest.mark.clause("JX-50@6b8caf", "JX-52@a7236a")
@pytest.mark.parametrize("name", CASES)
def test_a_state_of_optax_is_read_back_as_the_definitions_leave_it(name: str, trained: Path, x64: None) -> None:
    """Counters, slots and shared slots behind twenty steps are those of the reference step."""
    stored, params = opened(trained, name)
    names = trees.paths_of(params, flat=True)
    built = optax_build.build(stored, names, project=project if name == "constrained" else None)
    state = optax_write.state_of(built, stored, params, names, etui.Report())
    _, state = trained_on(built.transformation, state, params, name)
    back = optax_read.optimizer_of(state, names, etui.Report(), description=built.description, order=list(params))

    wanted, values = stored, {path: np.asarray(value) for path, value in params.items()}
    constraints = CONSTRAINTS if name == "constrained" else None
    shapes = {path: value.shape for path, value in values.items()}
    for gradients in list(cases.gradients(shapes, CASES[name]))[cases.BEFORE :]:
        wanted, values = defined_step(wanted, values, gradients, constraints=constraints)
    pairs = zip(optax_write.levels(back), optax_write.levels(wanted), strict=True)
    for found, expected in pairs:
        assert (found.step, found.micro_step) == (expected.step, expected.micro_step)
        assert found.variables() == expected.variables()
        for path, slots in expected.slots.items():
            for slot, tensor in slots.items():
                np.testing.assert_allclose(found.slots[path][slot].numpy(), tensor.numpy(), rtol=1e-9, atol=1e-14)
        assert {path: set(slots) for path, slots in found.slots.items()} == {
            path: set(slots) for path, slots in expected.slots.items()
        }
        for slot, tensor in expected.shared_slots.items():
            np.testing.assert_allclose(found.shared_slots[slot].numpy(), tensor.numpy(), rtol=1e-12)


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dampening": ("sgd", {"momentum": 0.9, "momentum_form": "buffer", "dampening": 0.3, "nesterov": True}),
    "buffer": ("sgd", {"momentum": 0.9, "momentum_form": "buffer", "maximize": True}),
    "coupled": ("adam", {"weight_decay": 0.1, "decay_mode": "coupled", "epsilon_mode": "corrected"}),
    "excluded": ("adam", {"weight_decay": 0.1, "decay_excluded": ["b"], "epsilon_mode": "corrected", "epsilon": 1e-3}),
    "root": ("adam", {"epsilon_mode": "corrected", "epsilon_root": 1e-3}),
    "amsgrad-corrected": ("adam", {"amsgrad": True, "amsgrad_max_of": "corrected", "epsilon_mode": "corrected"}),
    "amsgrad-torch": ("adam", {"amsgrad": True, "amsgrad_max_of": "raw", "epsilon_mode": "corrected", "epsilon": 1e-3}),
    "amsgrad-odd": ("adam", {"amsgrad": True, "amsgrad_max_of": "corrected", "epsilon": 1e-3}),
    "rmsprop-outside": ("rmsprop", {"epsilon_mode": "outside", "momentum": 0.5, "momentum_form": "buffer"}),
    "rmsprop-centered-outside": ("rmsprop", {"epsilon_mode": "outside", "centered": True, "epsilon": 1e-3}),
    "adagrad-outside": ("adagrad", {"epsilon_mode": "outside", "rate_decay": 0.1, "epsilon": 1e-3}),
    "adamax-in-max": ("adamax", {"epsilon_mode": "in_max", "epsilon": 1e-3}),
    "nadam-uncorrected": ("nadam", {"epsilon_mode": "uncorrected", "schedule_decay": 0.004, "epsilon": 1e-3}),
    "muon-plain": ("muon", {"nesterov": False, "rms_rate": None, "ns_steps": 3}),
    "clip-epsilon": ("sgd", {"clip_norm": 0.5, "clip_value": 0.4, "clip_epsilon": 1e-2}),
    "average-initial": ("sgd", {"ema_momentum": 0.9, "ema_start": "initial"}),
    "adafactor-fixed": ("adafactor", {"relative_step": False}),
}


def fresh(algorithm: str, hyperparameters: dict[str, Any], groups: list[Group] | None = None) -> Optimizer:
    return Optimizer(
        f"core:{algorithm}", {"learning_rate": 0.05, **hyperparameters}, groups=groups or [Group(["b", "k"])]
    )


def some(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {"b": generator.normal(size=3), "k": generator.normal(size=(4, 3))}


def both(optimizer: Optimizer, steps: int = 6, stock: bool = False) -> tuple[Any, Any, Any, Any]:
    """Variables and optimizers after some steps from nothing: of optax, and of the definitions."""
    values = some(0)
    params = {path: jax.numpy.asarray(value) for path, value in values.items()}
    names = trees.paths_of(params, flat=True)
    built = optax_build.build(optimizer, names, stock=stock)
    state = built.transformation.init(params)
    wanted = optimizer
    for number in range(1, steps + 1):
        gradients = some(number)
        updates, state = built.transformation.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        wanted, values = defined_step(wanted, values, gradients)
    back = optax_read.optimizer_of(state, names, etui.Report(), description=built.description, order=["b", "k"])
    return params, back, values, wanted


@pytest.mark.clause("JX-50@6b8caf")
@pytest.mark.parametrize("name", OTHERS)
def test_every_form_of_a_rule_is_that_of_its_definition(name: str, x64: None) -> None:
    """Forms that Keras does not have, such as torch's, agree with the reference step from the first step on."""
    params, back, values, wanted = both(fresh(*OTHERS[name]))
    for path, value in values.items():
        np.testing.assert_allclose(np.asarray(params[path]), value, rtol=1e-11, atol=1e-14)
    for path, slots in wanted.slots.items():
        for slot, tensor in slots.items():
            np.testing.assert_allclose(back.slots[path][slot].numpy(), tensor.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.clause("JX-54@7075de")
def test_groups_have_their_own_hyperparameters(x64: None) -> None:
    """A rate and a decay of one group count for its variables alone, and a variable of no group stays as it is."""
    groups = [Group(["b"], {"learning_rate": 0.3, "weight_decay": 0.2}), Group(["k"])]
    params, back, values, _ = both(fresh("adam", {}, groups))
    for path, value in values.items():
        np.testing.assert_allclose(np.asarray(params[path]), value, rtol=1e-12)
    assert [group.hyperparameters for group in back.groups] == [group.hyperparameters for group in groups]
    params, back, _, _ = both(fresh("adam", {"clip_global_norm": 0.5, "ema_momentum": 0.9}, [Group(["k"])]))
    assert np.array_equal(np.asarray(params["b"]), some(0)["b"])
    assert set(back.slots) == {"k"}


@pytest.mark.clause("JX-54@7075de")
def test_what_concerns_all_variables_cannot_be_that_of_a_group() -> None:
    """Clipping over all variables in a group's own hyperparameters is refused, and so is an unknown rule."""
    names = trees.paths_of(some(0), flat=True)
    with pytest.raises(etui.TransferError, match="jax-optimizer"):
        optax_build.build(fresh("adam", {}, [Group(["b"], {"clip_global_norm": 1.0})]), names)
    with pytest.raises(etui.TransferError, match="jax-optimizer"):
        optax_build.build(Optimizer("keras:Adam", {"learning_rate": 0.1}), names)
    with pytest.raises(etui.TransferError, match="jax-optimizer"):
        optax_build.build(Optimizer("core:adam", {}), names)


STOCK: dict[str, tuple[str, dict[str, Any], str]] = {
    "momentum": ("sgd", {"momentum": 0.9}, "reparametrised"),
    "adam": ("adam", {"epsilon": 1e-3}, "reparametrised"),
    "amsgrad": ("adam", {"amsgrad": True, "epsilon": 1e-3}, "reparametrised"),
    "rmsprop": ("rmsprop", {}, "exact"),
    "adamax": ("adamax", {}, "approximate"),
    "lion": ("lion", {}, "exact"),
}


@pytest.mark.clause("JX-53@c31acf")
@pytest.mark.parametrize("name", STOCK)
def test_stock_transformations_are_of_the_class_that_is_said(name: str, x64: None) -> None:
    """Optax's own rules agree with the definition where they are exact or reparametrised, and else within the bound."""
    algorithm, hyperparameters, kind = STOCK[name]
    optimizer = fresh(algorithm, hyperparameters)
    names = trees.paths_of(some(0), flat=True)
    transfer = optax_build.build(optimizer, names, stock=True).transfer
    assert transfer.kind == kind
    assert (transfer.bound is not None) == (kind == "approximate")
    params, back, values, wanted = both(optimizer, stock=True)
    worst = max(float(np.abs(np.asarray(params[path]) - value).max()) for path, value in values.items())
    assert worst <= (1e-12 if transfer.bound is None else transfer.bound)
    if name == "momentum":
        assert back.hyperparameters["momentum_form"] == "buffer"
        rate = optimizer.hyperparameters["learning_rate"]
        np.testing.assert_allclose(back.slots["k"]["momentum"].numpy() * -rate, wanted.slots["k"]["momentum"].numpy())


@pytest.mark.clause("JX-53@c31acf")
@pytest.mark.parametrize("algorithm", ["nadam", "ftrl", "adafactor", "muon", "schedule_free_adamw"])
def test_stock_optax_is_refused_where_it_has_no_such_rule(algorithm: str) -> None:
    """A rule that optax does not have is not put in place of another."""
    with pytest.raises(etui.TransferError, match="jax-optimizer"):
        optax_build.build(fresh(algorithm, {}), trees.paths_of(some(0), flat=True), stock=True)


def saved(tmp_path: Path, params: Any, tx: Any, steps: int = 3, **options: Any) -> Any:
    """A tree and the state of an optimizer after some steps, saved."""
    state = tx.init(params)
    for number in range(1, steps + 1):
        gradients = jax.tree.map(lambda p, n=number: jax.numpy.cos(p * n), params)
        updates, state = tx.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    etui.jax.save_tree(params, tmp_path / "x.etui", opt_state=state, **options)
    return params, state


USERS: dict[str, Any] = {
    "adam": lambda: optax.adam(1e-2),
    "adamw-schedule": lambda: optax.adamw(optax.linear_schedule(1e-2, 1e-3, 10)),
    "sgd": lambda: optax.sgd(0.1, momentum=0.9),
    "rmsprop": lambda: optax.rmsprop(1e-2, centered=True, momentum=0.5),
    "adabelief": lambda: optax.adabelief(1e-2),
    "novograd": lambda: optax.novograd(1e-2),
    "adafactor": lambda: optax.adafactor(1e-2, min_dim_size_to_factor=2),
    "clipped": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2)),
    "injected": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=1e-2),
    "accumulated": lambda: optax.MultiSteps(optax.adam(1e-2), 2),
    "labels": lambda: optax.partition(
        {"a": optax.adam(1e-2), "b": optax.sgd(0.1, momentum=0.9)},
        {"dense": {"kernel": "a", "bias": "b"}, "scale": "a"},
    ),
    "masked": lambda: optax.masked(optax.adam(1e-2), {"dense": {"kernel": True, "bias": False}, "scale": True}),
    "finite": lambda: optax.apply_if_finite(optax.adam(1e-2), 3),
    "lion": lambda: optax.lion(1e-3),
    "muon": lambda: optax.contrib.muon(1e-2),
    "schedule-free": lambda: optax.contrib.schedule_free_adamw(1e-2),
}


def tree() -> dict[str, Any]:
    return {
        "dense": {"kernel": jax.numpy.arange(12.0).reshape(4, 3), "bias": jax.numpy.ones(3)},
        "scale": jax.numpy.ones(2),
    }


def equal(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    same = [
        np.array_equal(np.asarray(a), np.asarray(b)) and np.asarray(a).dtype == np.asarray(b).dtype for a, b in pairs
    ]
    return all(same) and bool(same)


@pytest.mark.clause("JX-55@9ae0ba", "JX-58@d674e3")
@pytest.mark.parametrize("name", USERS)
def test_any_state_of_optax_comes_back_into_the_same_transformation(name: str, tmp_path: Path) -> None:
    """Without a description the state is data, under the paths of its parameters, and every leaf comes back."""
    tx = USERS[name]()
    params, state = saved(tmp_path, tree(), tx)
    stored = etui.open(tmp_path / "x.etui").optimizer
    assert stored is not None
    optimizer = stored.optimizers["optimizer"]
    assert optimizer.algorithm.startswith("optax:")
    assert set(optimizer.slots) <= {"dense/bias", "dense/kernel", "scale"}
    report = etui.Report()
    back = etui.jax.load_opt_state(tmp_path / "x.etui", params, tx.init(tree()), report=report)
    assert report.ok
    assert equal(back, state)


@pytest.mark.clause("JX-55@9ae0ba")
def test_hyperparameters_are_never_guessed(tmp_path: Path) -> None:
    """A state without a description is data-only in the report; what a state does tell is kept."""
    report = etui.Report()
    saved(tmp_path, tree(), optax.adagrad(1e-2), report=report)
    [entry] = [entry for entry in report.entries if entry.kind == "optimizer" and entry.subject == "optimizer"]
    assert entry.status == "data-only"
    assert entry.detail.startswith("optax:adagrad")
    assert "unknown hyperparameters" in entry.detail
    with pytest.raises(etui.TransferError, match="jax-optimizer"):
        etui.jax.load_optimizer(tmp_path / "x.etui", tree())
    saved(tmp_path, tree(), optax.inject_hyperparams(optax.adam)(learning_rate=0.25, b1=0.8))
    stored = etui.open(tmp_path / "x.etui").optimizer
    assert stored is not None
    known = stored.optimizers["optimizer"].hyperparameters
    assert known["learning_rate"] == 0.25
    assert known["beta_1"] == pytest.approx(0.8)


@pytest.mark.clause("JX-56@39c999")
def test_a_described_state_is_one_of_the_core_vocabulary(tmp_path: Path, x64: None) -> None:
    """Stock Adam with its hyperparameters is saved as core:adam, and goes on from there."""
    adam = etui.jax.describe("adam", {"learning_rate": 1e-2, "epsilon": 1e-8, "epsilon_mode": "corrected"})
    tx = optax.adam(1e-2)
    params, state = saved(tmp_path, tree(), tx, optimizer=adam)
    resumed, own = etui.jax.load_optimizer(tmp_path / "x.etui", params)
    for _ in range(3):
        gradients = jax.tree.map(jax.numpy.sin, params)
        wanted, state = tx.update(gradients, state, params)
        updates, own = resumed.update(gradients, own, params)
        assert equal(updates, wanted)
        params = optax.apply_updates(params, updates)
    with pytest.raises(etui.InvalidError, match="core-optimizer"):
        etui.jax.describe("adam", {"b1": 0.9})


@pytest.mark.clause("JX-57@2a8fab")
def test_counters_that_disagree_are_refused(tmp_path: Path) -> None:
    """A state whose counts of updates differ has no one step."""
    tx = optax.adam(optax.constant_schedule(0.1))
    state = tx.init(tree())
    state = (state[0]._replace(count=jax.numpy.asarray(2)), state[1])
    with pytest.raises(etui.TransferError, match="jax-state"):
        etui.jax.save_tree(tree(), tmp_path / "x.etui", opt_state=state, optimizer=etui.jax.describe("adam"))


@pytest.mark.clause("JX-57@2a8fab")
def test_every_count_is_set(trained: Path, x64: None) -> None:
    """A schedule adds a second count: that of the state of the caller's own transformation is set like the first."""
    stored, params = opened(trained, "adam")
    tx = optax.adam(optax.constant_schedule(1e-2))
    state = etui.jax.load_opt_state(_model(stored), params, tx.init(params), map=unescaped)
    assert [int(leaf) for leaf in jax.tree.leaves(state) if leaf.ndim == 0] == [cases.BEFORE, cases.BEFORE]


def unescaped(path: str) -> str:
    """The keys of a function's parameters are paths already."""
    return path.replace("%2F", "/")


def _model(optimizer: Optimizer, params: Mapping[str, Any] | None = None) -> Model:
    weights = Weights()
    for path, value in (params or {}).items():
        weights.add(path, Tensor.of(np.asarray(value)), role=path)
    return Model(weights=weights, optimizer=OptimizerState({"optimizer": optimizer}))


@pytest.mark.clause("JX-53@c31acf", "JX-58@d674e3")
def test_the_form_of_a_momentum_is_converted_for_the_callers_own_transformation(trained: Path, x64: None) -> None:
    """Keras' velocity becomes the trace of optax.sgd where the caller says so: trace = -velocity / rate."""
    stored, params = opened(trained, "momentum")
    tx = optax.sgd(0.05, momentum=0.9)
    state = etui.jax.load_opt_state(
        _model(stored), params, tx.init(params), map=unescaped, hyperparameters={"momentum_form": "buffer"}
    )
    found, _ = trained_on(tx, state, params, "momentum")
    start = {path: np.asarray(value) for path, value in params.items()}
    assert motion(found, np.load(trained / "momentum.npz"), start) <= EXACT


@pytest.mark.clause("JX-58@d674e3")
def test_a_slot_without_a_counterpart_is_refused(trained: Path, x64: None) -> None:
    """The state of another rule does not take what it has no place for, and says what it misses."""
    stored, params = opened(trained, "adam")
    tx = optax.rmsprop(0.01, momentum=0.9)
    report = etui.Report()
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.load_opt_state(_model(stored), params, optax.lion(0.1).init(params), map=unescaped, report=report)
    assert {entry.status for entry in report.lost} == {"unexpected"}
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.load_opt_state(_model(stored), params, tx.init(params), map=lambda _: "elsewhere")


@pytest.mark.library
def test_an_update_without_parameters_is_refused() -> None:
    """A rule that needs the parameters says so."""
    params = jax.tree.map(jax.numpy.asarray, some(0))
    built = optax_build.build(fresh("nadam", {}), trees.paths_of(params, flat=True))
    with pytest.raises(etui.UsageError, match="jax-params"):
        built.transformation.update(params, built.transformation.init(params))
