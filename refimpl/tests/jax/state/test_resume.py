"""Models with their training state in JAX and back: `etui.jax.load` and `etui.jax.save`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

pytestmark = pytest.mark.frameworks

X = np.random.default_rng(0).normal(size=(8, 4))
Y = np.random.default_rng(1).normal(size=(8, 3))


def steps(resumed: Any, number: int) -> tuple[Any, Any, Any, list[float]]:
    """Train some steps; parameters, state, state of the optimizer, and losses."""
    params, state, opt_state, losses = resumed.params, resumed.state, resumed.opt_state, []

    def step(params: Any, state: Any, opt_state: Any) -> tuple[Any, ...]:
        def loss_of(params: Any) -> tuple[Any, Any]:
            outputs, after = resumed.function.apply(params, X, state=state, training=True)
            loss = resumed.loss(outputs, Y)
            return loss * resumed.loss_scale(opt_state), (after, loss)

        (_, (state, loss)), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = resumed.tx.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), state, opt_state, loss

    compiled = jax.jit(step)
    for _ in range(number):
        params, state, opt_state, loss = compiled(params, state, opt_state)
        losses.append(float(loss))
    return params, state, opt_state, losses


@pytest.mark.clause("JX-59@04f31e", "JX-51@b3de29")
@pytest.mark.parametrize(
    "name", ["momentum", "adam-scheduled", "nadam", "accumulated", "loss-scaler", "muon", "average"]
)
def test_a_run_that_is_saved_and_loaded_is_not_interrupted(name: str, trained: Path, tmp_path: Path, x64: None) -> None:
    """Three steps, an artifact, and four steps give the same losses as seven, and the artifact is whole."""
    whole = steps(etui.jax.load(trained / f"{name}.etui"), 7)[3]
    first = etui.jax.load(trained / f"{name}.etui")
    params, state, opt_state, losses = steps(first, 3)
    report = etui.Report()
    etui.jax.save(first, params, state, opt_state, tmp_path / "x.etui", counters={"epoch": 2}, report=report)
    assert report.ok
    assert etui.validate(tmp_path / "x.etui").ok
    second = etui.jax.load(tmp_path / "x.etui")
    assert second.report.ok
    assert losses + steps(second, 4)[3] == pytest.approx(whole, rel=1e-13)
    model, source = held(tmp_path / "x.etui"), held(trained / f"{name}.etui")
    assert model.state.counters["epoch"] == 2
    assert list(model.weights) == list(source.weights)
    assert stored(model).variables() == stored(source).variables()


def held(path: Path) -> Any:
    return etui.open(path)


def stored(model: Any) -> Any:
    return model.optimizer.optimizers["optimizer"]


@pytest.mark.clause("JX-53@c31acf")
def test_strict_refuses_what_is_not_exact_unless_it_is_allowed(trained: Path, x64: None) -> None:
    """Stock Adamax is approximate and stock Ftrl is none: both are refused, and the first can be allowed."""
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.load(trained / "adamax.etui", stock=True)
    resumed = etui.jax.load(trained / "adamax.etui", stock=True, allow=("approximated",))
    [entry] = resumed.report.lost
    assert entry.transfer is not None
    assert (entry.status, entry.transfer.kind) == ("approximated", "approximate")
    assert entry.transfer.bound is not None
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.load(trained / "ftrl.etui", stock=True)
    assert etui.jax.load(trained / "ftrl.etui", stock=True, strict=False).tx is None


@pytest.mark.clause("JX-53@c31acf")
def test_a_stock_optimizer_is_saved_as_what_it_is(trained: Path, tmp_path: Path, x64: None) -> None:
    """The trace of optax.sgd is saved as a buffer, and goes on so in the exact rule."""
    stock = etui.jax.load(trained / "momentum.etui", stock=True)
    params, state, opt_state, _ = steps(stock, 3)
    etui.jax.save(stock, params, state, opt_state, tmp_path / "x.etui")
    resumed = etui.jax.load(tmp_path / "x.etui")
    assert resumed.optimizer is not None
    assert resumed.optimizer.hyperparameters["momentum_form"] == "buffer"
    whole = steps(etui.jax.load(trained / "momentum.etui"), 6)[3]
    assert steps(resumed, 3)[3] == pytest.approx(whole[3:], rel=1e-12)


@pytest.mark.clause("JX-59@04f31e")
def test_variables_that_are_not_the_models_are_refused(trained: Path, tmp_path: Path) -> None:
    """A missing, an unknown and a misshapen variable are refused before anything is written."""
    resumed = etui.jax.load(trained / "adam.etui")
    path = next(iter(resumed.params))
    for params in ({"elsewhere": jax.numpy.ones(2)}, {path: jax.numpy.ones(7)}):
        with pytest.raises(etui.TransferError, match="jax-variables"):
            etui.jax.save(resumed, params, None, None, tmp_path / "x.etui")
    with pytest.raises(etui.UsageError, match="jax-argument"):
        etui.jax.save({"a": 1}, None, None, None, tmp_path / "x.etui")
    assert not (tmp_path / "x.etui").exists()


@pytest.mark.clause("JX-55@9ae0ba")
def test_a_function_without_an_optimizer_of_its_own_takes_a_description(
    trained: Path, tmp_path: Path, x64: None
) -> None:
    """`to_function`, the caller's own optax.adam and its description become a core:adam with the model."""
    function = etui.jax.to_function(trained / "sgd.etui")
    tx = optax.adam(1e-2)
    gradients = jax.tree.map(jax.numpy.ones_like, function.params)
    updates, opt_state = tx.update(gradients, tx.init(function.params), function.params)
    params = optax.apply_updates(function.params, updates)
    adam = etui.jax.describe("adam", {"learning_rate": 1e-2, "epsilon": 1e-8, "epsilon_mode": "corrected"})
    etui.jax.save(function, params, None, opt_state, tmp_path / "x.etui", optimizer=adam, user={"run": 7})
    resumed = etui.jax.load(tmp_path / "x.etui")
    wanted = tx.update(gradients, opt_state, params)[0]
    found = resumed.tx.update(gradients, resumed.opt_state, resumed.params)[0]
    for path, update in wanted.items():
        np.testing.assert_allclose(found[path], update, rtol=1e-12)
    with held(tmp_path / "x.etui") as model:
        assert model.state.user["run"] == 7


@pytest.mark.clause("JX-60@95babe")
def test_slots_of_a_frozen_variable_are_kept(trained: Path, tmp_path: Path, x64: None) -> None:
    """A variable that does not train now keeps its slots from load to save, and takes no update."""
    with held(trained / "adam.etui") as model:
        model.weights["first/kernel"].trainable = False
        parts = ("config", "weights", "training", "optimizer", "state")
        etui.save(etui.Model(**{name: getattr(model, name) for name in parts}), tmp_path / "a.etui")
        wanted = stored(model).slots["first/kernel"]["velocity"].numpy()
    resumed = etui.jax.load(tmp_path / "a.etui")
    assert "first/kernel" in resumed.state
    params, state, opt_state, _ = steps(resumed, 2)
    etui.jax.save(resumed, params, state, opt_state, tmp_path / "b.etui")
    with held(tmp_path / "b.etui") as model:
        slots = stored(model).slots
        assert np.array_equal(slots["first/kernel"]["velocity"].numpy(), wanted)
        assert set(slots) == {"first/kernel", "first/bias", "second/kernel", "second/bias"}


@pytest.mark.library
def test_the_face_imports_no_framework() -> None:
    """`etui.jax` alone does not import JAX."""
    import subprocess
    import sys

    code = "import etui, sys; etui.jax.load; print([m for m in sys.modules if m.split('.')[0] in ('jax', 'optax')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
