"""Variables of Flax: linen collections and NNX modules, by path, with random streams and optimizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

jax = pytest.importorskip("jax")
nnx: Any = pytest.importorskip("flax.nnx")
nn: Any = pytest.importorskip("flax.linen")
optax = pytest.importorskip("optax")

pytestmark = pytest.mark.frameworks


class Recurrent(nn.Module):  # type: ignore[misc]  # mypy sees flax as Any
    """An LSTM, a normalization and a dense layer whose kernel has names of axes."""

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> Any:
        y = nn.RNN(nn.LSTMCell(3))(x)
        y = nn.BatchNorm(use_running_average=True)(y)
        return nn.Dense(2, kernel_init=nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model")))(y)


def variables(seed: int) -> Any:
    return Recurrent().init(jax.random.key(seed), jax.numpy.ones((2, 5, 4)))


@pytest.mark.clause("JX-44@da4c95")
def test_linen_variables_keep_collections_and_gates(tmp_path: Path) -> None:
    """Parameters train and statistics do not; each gate of an LSTM is a variable of its own."""
    report = etui.Report()
    model = etui.jax.from_linen(variables(0), report)
    assert model.weights is not None
    gates = [path for path in model.weights if path.startswith("params/LSTMCell_0/")]
    assert len(gates) == 12
    assert "params/LSTMCell_0/hf/kernel" in gates
    flags = {path: variable.trainable for path, variable in model.weights.variables.items()}
    assert {path for path, flag in flags.items() if not flag} == {
        "batch_stats/BatchNorm_0/mean",
        "batch_stats/BatchNorm_0/var",
    }
    assert {entry.subject for entry in report.entries if entry.status == "restored"} == set(flags)
    assert [entry.subject for entry in report.entries if entry.status == "left-out"] == [
        "params/Dense_0/kernel/names",
    ]


@pytest.mark.clause("JX-44@da4c95", "JX-42@89532f")
def test_linen_variables_come_back(tmp_path: Path) -> None:
    """A frozen tree of variables is restored into one of another seed, and predicts the same."""
    from flax.core import freeze, meta

    source = freeze(meta.unbox(variables(0)))
    etui.save(etui.jax.from_linen(source), tmp_path / "x.etui")
    target = freeze(meta.unbox(variables(1)))
    found, report = etui.jax.load_tree(tmp_path / "x.etui", like=target)
    assert type(found) is type(target)
    assert report.ok
    x = jax.numpy.ones((2, 5, 4))
    assert np.array_equal(Recurrent().apply(found, x), Recurrent().apply(source, x))


class Net(nnx.Module):  # type: ignore[misc]
    """Layers in a list, one of them at two places, with dropout."""

    def __init__(self, seed: int) -> None:
        rngs = nnx.Rngs(seed, dropout=seed + 1)
        self.layers = nnx.List([nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 4, rngs=rngs)])
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.again = self.layers[1]

    def __call__(self, x: Any) -> Any:
        return self.again(self.drop(self.norm(self.layers[1](self.layers[0](x)))))


def trained(seed: int, steps: int) -> tuple[Any, Any]:
    model = Net(seed)
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    train(model, optimizer, steps)
    return model, optimizer


def train(model: Any, optimizer: Any, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        loss, gradients = nnx.value_and_grad(
            lambda m: (m(jax.numpy.ones((8, 3)) * 0.1) ** 2).mean() + m.norm.bias.sum()
        )(model)
        optimizer.update(model, gradients)
        losses.append(float(loss))
    return losses


@pytest.mark.clause("JX-45@00efb3", "JX-42@89532f")
def test_an_nnx_module_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """Variables, statistics, random streams and the optimizer's state: the next losses are the same ones."""
    model, optimizer = trained(0, 3)
    adam = etui.jax.describe("adam", {"learning_rate": 1e-2, "epsilon": 1e-8, "epsilon_mode": "corrected"})
    saved = etui.jax.from_nnx(model, optimizer=optimizer, description=adam)
    etui.save(saved, tmp_path / "x.etui")
    assert saved.weights is not None
    assert saved.state is not None
    assert [path for path in saved.weights if not saved.weights[path].trainable] == ["norm/mean", "norm/var"]
    assert "layers/1/kernel" not in saved.weights or "again/kernel" not in saved.weights
    assert {path: rng.algorithm for path, rng in saved.state.rng.items()} == {
        "drop/rngs/count": "flax:RngCount",
        "drop/rngs/key": "jax:threefry2x32",
    }
    other, its = trained(5, 1)
    report = etui.jax.load_into_nnx(other, tmp_path / "x.etui", optimizer=its)
    assert report.ok
    assert int(its.step.get_value()) == 3
    assert train(other, its, 4) == train(model, optimizer, 4)
    assert other.again is other.layers[1]


@pytest.mark.clause("JX-45@00efb3")
def test_a_strict_load_into_nnx_changes_nothing_if_something_is_missing(tmp_path: Path) -> None:
    """A variable without a counterpart refuses the load, and the module is as it was."""
    model = etui.jax.from_nnx(Net(0))
    assert model.weights is not None
    del model.weights.variables["norm/mean"]
    other = Net(1)
    before = jax.tree.leaves(nnx.to_pure_dict(nnx.state(other, nnx.Param)))
    report = etui.Report()
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.load_into_nnx(other, model, report=report)
    assert [(entry.subject, entry.status) for entry in report.lost] == [("norm/mean", "missing")]
    after = jax.tree.leaves(nnx.to_pure_dict(nnx.state(other, nnx.Param)))
    assert len(before) > 0
    assert all(np.array_equal(one, two) for one, two in zip(before, after, strict=True))
    etui.jax.load_into_nnx(other, model, strict=False)
    stored = model.weights["norm/scale"].numpy()
    assert np.array_equal(other.norm.scale.get_value(), stored)


@pytest.mark.clause("JX-43@a87d91")
def test_a_map_renames_paths_of_the_module(tmp_path: Path) -> None:
    """The module's path, or its beginning, is looked up under another stored path."""
    model = etui.jax.from_nnx(Net(0))
    assert model.weights is not None
    first = next(path for path in model.weights if path.endswith("kernel"))
    stored = {path.replace("norm/", "bn/"): variable for path, variable in model.weights.variables.items()}
    model.weights.variables = stored
    other = Net(1)
    report = etui.jax.load_into_nnx(other, model, map={"norm/": "bn/"})
    assert report.ok
    assert first
    assert np.array_equal(other.norm.scale.get_value(), model.weights["bn/scale"].numpy())


@pytest.mark.library
def test_what_is_no_nnx_module_is_refused() -> None:
    """A plain object has no variables of NNX."""
    with pytest.raises(etui.UsageError, match="jax-argument"):
        etui.jax.from_nnx({"a": 1})
