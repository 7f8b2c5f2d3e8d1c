"""Torch modules that users wrote, as core graphs (SPEC.md, annex M.2)."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.errors import EtuiError

torch = pytest.importorskip("torch")
nn = torch.nn
trace: Any = import_module("etui.bridges.torch.trace.walk")
evaluate: Any = import_module("etui.core.evaluate").evaluate
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
models: Any = import_module("torch_models")
sys.path.pop()

pytestmark = pytest.mark.frameworks


def leaves(value: Any) -> list[Any]:
    """The arrays of a nested result."""
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in leaves(one)]
    return [value.detach().numpy() if isinstance(value, torch.Tensor) else value]


def given(example: list[Any]) -> Any:
    """The example as the evaluator takes it."""
    arrays = [one.numpy() for one in example]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.clause("PT-34@0279dd")
@pytest.mark.parametrize("name", models.MODELS)
def test_a_traced_module_computes_what_the_module_computes(name: str) -> None:
    """The reference evaluator gives the outputs of the torch module for its core graph."""
    module, example = models.made(name)
    traced = trace.from_module(module, *example)
    wanted, found = leaves(module(*example)), leaves(evaluate(traced.model, given(example)))
    assert len(wanted) == len(found) >= 1
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=2e-6 * np.abs(one).max())


@pytest.mark.clause("PT-33@147cba")
def test_the_size_of_the_batch_stays_free() -> None:
    """A graph that was traced with two rows takes five; a module that moves elements between rows is refused."""
    module, example = models.made("vision transformer")
    traced = trace.from_module(module, *example)
    batch = torch.randn(5, *example[0].shape[1:])
    found = evaluate(traced.model, batch.numpy())
    np.testing.assert_allclose(found, module(batch).detach().numpy(), atol=1e-5)

    class Mixed(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return x.reshape(2, -1)

    with pytest.raises(EtuiError) as caught:
        trace.from_module(Mixed(), torch.zeros(4, 3))
    assert caught.value.code == "torch-trace"


@pytest.mark.clause("PT-32@c45c57")
def test_a_tied_parameter_is_one_variable() -> None:
    """A layer that is called twice is one module, and a parameter that two layers share is one variable."""

    class Tied(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 4, bias=False)
            self.two = nn.Linear(4, 4, bias=False)
            self.two.weight = self.one.weight

        def forward(self, x: Any) -> Any:
            return self.two(self.one(self.one(x)))

    module, x = Tied(), torch.randn(2, 4)
    traced = trace.from_module(module, x)
    assert list(traced.model.weights) == ["one/kernel"]
    calls = traced.model.config.model.graph.calls
    assert [call.module for call in calls if call.module != "x"] == ["one", "one", "two"]
    np.testing.assert_allclose(evaluate(traced.model, x.numpy()), module(x).detach().numpy(), rtol=1e-5)


@pytest.mark.clause("PT-31@ea6c62")
def test_modules_are_named_after_their_place() -> None:
    """Each layer has the name of its place in the torch module, and each function its own, in one flat graph."""
    module, example = models.made("ResNet")
    names = [one.name for one in trace.from_module(module, *example).model.config.model.modules]
    assert {"stem.0", "layers.0.conv1", "layers.1.down.1", "fc"} <= set(names)
    assert len(names) == len(set(names)) == 22


class _Branch(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


REFUSED = {
    "a layer": nn.Sequential(nn.Linear(4, 4), nn.Bilinear(4, 4, 2)),
    "a function": None,
    "an option": nn.AvgPool1d(2, ceil_mode=True),
    "control": _Branch(),
    "in place": None,
    "padding": nn.Conv1d(4, 2, 3, padding=1, padding_mode="circular"),
    "statistics": nn.BatchNorm1d(4, momentum=None),
}


class _InPlace(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        y = x * 2
        self.relu(y)
        return y


class _Function(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return torch.fft.rfft(x).real


@pytest.mark.clause("PT-30@2477e4")
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_vocabulary_does_not_have_is_refused(name: str) -> None:
    """A layer, a function, an option and a branch without an equal are refused, and the message names them."""
    module = REFUSED[name] or {"a function": _Function, "in place": _InPlace}[name]()
    with pytest.raises(EtuiError) as caught:
        trace.from_module(module, torch.randn(2, 4, 4))
    assert caught.value.code == "torch-trace"
    assert caught.value.found


@pytest.mark.library
def test_tracing_needs_an_example_and_leaves_the_module_as_it_was() -> None:
    """Without an example the call is refused; a module in training mode stays in it, with its statistics."""
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).train()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(EtuiError):
        trace.from_module(module)
    trace.from_module(module, torch.randn(4, 3))
    assert module.training
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in before.items())
    assert len(before) == 7
