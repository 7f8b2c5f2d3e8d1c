"""Modules that users wrote, with their optimizers, through an etui of their core graph (SPEC.md, annexes M.2 and O)."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.containers.tensors import Tensor
from etui.report import Report
from etui.testing.hostile import refused_with

torch = pytest.importorskip("torch")
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
models: Any = import_module("torch_models")
sys.path.pop()

pytestmark = pytest.mark.frameworks
STEPS = 3


def train(module: Any, optimizer: Any, example: list[Any], steps: int = STEPS) -> list[float]:
    """Losses of some steps towards zero, without dropout."""
    losses = []
    module.eval()
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = module(*example)
        loss = (outputs[0] if isinstance(outputs, tuple) else outputs).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def _leaves(value: Any) -> list[Any]:
    return [leaf for one in value for leaf in _leaves(one)] if isinstance(value, tuple) else [value]


def adam(module: Any) -> Any:
    """An optimizer of torch."""
    return torch.optim.Adam(module.parameters(), 1e-2)


@pytest.mark.clause("PT-35@ef5f65")
@pytest.mark.parametrize("name", ["transformer encoder", "GRU, bidirectional, time first", "ResNet", "U-Net"])
def test_a_training_goes_on_in_a_new_module(name: str, tmp_path: Path) -> None:
    """Packed and joined parameters get their moments back: the next losses are those of the uninterrupted training."""
    module, example = models.made(name)
    optimizer = adam(module)
    train(module, optimizer, example)
    etui.torch.save(module, optimizer, tmp_path / "m.etui", example=tuple(example))
    expected = train(module, optimizer, example)
    other, _ = models.made(name)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    fresh = adam(other)
    report = etui.torch.load_into(other, fresh, tmp_path / "m.etui", example=tuple(example))
    assert report.ok
    assert train(other, fresh, example) == expected
    packed = [entry for entry in report.entries if entry.detail == "rows of a packed parameter"]
    assert bool(packed) == (name == "transformer encoder")


@pytest.mark.clause("PT-35@ef5f65", "TC-3@672713")
def test_a_sum_of_biases_is_lost_to_the_optimizer_alone(tmp_path: Path) -> None:
    """The slots of a bias that is a sum are refused unless asked for; the module computes the same after."""
    module, example = models.made("RNN")
    optimizer = adam(module)
    train(module, optimizer, example)
    target = tmp_path / "m.etui"
    assert refused_with(lambda: etui.torch.save(module, optimizer, target, example=tuple(example))) == "not-complete"
    report = Report()
    etui.torch.save(module, optimizer, target, example=tuple(example), allow=("not-transferable",), report=report)
    assert [entry.subject for entry in report.lost] == ["rnn/bias/momentum", "rnn/bias/velocity"]
    other, _ = models.made("RNN")
    etui.torch.load_into(other, None, target, example=tuple(example))
    for one, two in zip(module(*example), other(*example), strict=True):
        np.testing.assert_allclose(two.detach(), one.detach(), rtol=1e-6, atol=1e-6)
    assert not other.rnn.bias_hh_l0.any()


@pytest.mark.clause("TC-1@968ab7", "TC-4@0619b8")
def test_a_layout_counts_as_exact(tmp_path: Path) -> None:
    """Every variable and slot has its class in the report, and kernels that are transposed are exact."""
    module, example = models.made("ResNet")
    optimizer = adam(module)
    train(module, optimizer, example)
    report = Report()
    etui.torch.save(module, optimizer, tmp_path / "m.etui", example=tuple(example), report=report)
    classes = {entry.subject: entry.transfer.kind for entry in report.entries if entry.transfer is not None}
    stored: Any
    with etui.open(tmp_path / "m.etui") as stored:
        assert stored.weights is not None
        assert classes.keys() >= set(stored.weights)
        kernel = stored.weights["fc/kernel"].numpy()
    np.testing.assert_array_equal(kernel, module.fc.weight.detach().numpy().T)
    assert classes["fc/kernel"] == "exact"
    slots = {kind for subject, kind in classes.items() if subject.startswith("optimizer/")}
    assert slots == {"exact"}


@pytest.mark.clause("TC-5@61c77b")
def test_an_adapter_is_used_and_named_unless_the_target_has_the_rule(tmp_path: Path) -> None:
    """Keras' Adam goes on by the adapter, which the report names; with `stock` by torch's own rule and a formula."""
    module, example = torch.nn.Sequential(torch.nn.Linear(4, 2)), [torch.randn(3, 4)]
    optimizer = adam(module)
    train(module, optimizer, example)
    path = tmp_path / "m.etui"
    etui.torch.save(module, optimizer, path, example=tuple(example))
    stored: Any
    with etui.open(path) as stored:
        state = stored.optimizer
        assert state is not None
        hyperparameters = {"learning_rate": 1e-2, "epsilon": 1e-8}
        state.optimizers["optimizer"].hyperparameters = hyperparameters  # as Keras has it: epsilon is not corrected
        etui.save(stored, tmp_path / "k.etui")
    exact = etui.torch.load(tmp_path / "k.etui")
    assert type(exact.optimizer).__name__ == "CoreOptimizer"
    assert any("CoreOptimizer" in entry.detail for entry in exact.report.entries if entry.kind == "optimizer")
    stock = etui.torch.load(tmp_path / "k.etui", stock=True)
    assert type(stock.optimizer) is torch.optim.Adam
    formulas = {entry.transfer.formula for entry in stock.report.entries if entry.transfer and entry.transfer.formula}
    assert formulas


@pytest.mark.clause("PT-32@c45c57")
def test_a_file_with_other_names_is_loaded_by_a_map(tmp_path: Path) -> None:
    """A map from the variables of the module's graph to those of the file loads a model that was built elsewhere."""
    source, example = (
        torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)),
        torch.randn(2, 4),
    )
    etui.torch.save(source, None, tmp_path / "m.etui", example=(example,))

    class Named(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(4, 3)
            self.second = torch.nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.second(self.first(x).relu())

    module = Named()
    assert refused_with(lambda: etui.torch.load_into(module, None, tmp_path / "m.etui", example=(example,)))
    names = {"first": "0", "second": "2"}
    report = etui.torch.load_into(
        module,
        None,
        tmp_path / "m.etui",
        lambda path: f"{names[path.partition('/')[0]]}/{path.partition('/')[2]}",
        example=(example,),
    )
    assert report.counts() == {"variable": {"restored": 4}}
    assert torch.equal(module(example), source(example))


@pytest.mark.clause("PT-49@bb9318")
def test_variables_are_found_by_their_roles(tmp_path: Path) -> None:
    """A file with other paths loads by the modules and roles of its config, and a bias that is a sum gives both."""
    module, example = models.made("LSTM, 2 layers, bidirectional")
    path = tmp_path / "m.etui"
    etui.torch.save(module, None, path, example=tuple(example))
    with etui.open(path) as stored:
        weights, config = stored.weights, stored.config
        assert weights is not None
        assert config is not None
        for _, part in config.walk():
            second = part.params.pop("recurrent_bias", None)
            if second is not None:
                first = weights[part.params["bias"]]
                total = first.tensor.numpy() + weights[second].tensor.numpy()
                weights.variables[part.params["bias"]] = replace(first, tensor=Tensor.of(total))
                del weights.variables[second]
                part.attrs.pop("bias_form")
            for role, own in list(part.params.items()):
                part.params[role] = f"{own.rpartition('/')[0]}/cell/{role}"
                weights.variables[part.params[role]] = weights.variables.pop(own)
        etui.save(stored, tmp_path / "renamed.etui")
    other, _ = models.made("LSTM, 2 layers, bidirectional")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(1)
    report = etui.torch.load_into(other, None, tmp_path / "renamed.etui", example=tuple(example))
    assert report.ok
    kinds = [entry.transfer.kind for entry in report.entries if entry.status == "translated" and entry.transfer]
    assert kinds == ["reparametrised"] * 4
    assert not other.rnn.bias_hh_l1.any()
    assert torch.equal(other.rnn.weight_ih_l0, module.rnn.weight_ih_l0)
    for one, two in zip(_leaves(module(*example)), _leaves(other(*example)), strict=True):
        np.testing.assert_allclose(two.detach(), one.detach(), rtol=1e-5, atol=1e-6)
