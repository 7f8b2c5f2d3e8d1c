"""Modules and their training state into artifacts and out of them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.core.optimizers import step
from etui.errors import TransferError, UsageError

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("state_kit")  # tests are imported by path, so that a neighbour is found by name only

pytestmark = pytest.mark.frameworks
F64 = torch.float64


class Mine(torch.nn.Module):  # type: ignore[name-defined, misc]  # torch is seen as Any
    """A module as a user writes it: a convolution, batch statistics, and a weight that is tied."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, 3)
        self.norm = torch.nn.BatchNorm2d(3)
        self.inner = torch.nn.Linear(3, 3, bias=False)
        self.outer = torch.nn.Linear(3, 3)
        self.outer.weight = self.inner.weight

    def forward(self, x: Any) -> Any:
        """The class scores."""
        return self.outer(self.inner(self.norm(self.conv(x)).amax((2, 3))))


def _train(module: Any, optimizer: Any, steps: int) -> list[float]:
    torch.manual_seed(5)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = module(torch.randn(4, 2, 6, 6)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.clause("PT-40@dfaf0c", "PT-41@6cf247", "PT-42@ae1e2b")
def test_a_module_of_the_user_is_saved_as_a_checkpoint(tmp_path: Path) -> None:
    """Weights go by the parameters' names, tied ones as aliases, buffers untrained; the optimizer beside them."""
    module = Mine()
    optimizer = torch.optim.Adam(module.parameters())
    _train(module, optimizer, 3)
    report = etui.Report()
    etui.torch.save(module, optimizer, tmp_path / "c.etui", counters={"epoch": 2}, user={"seed": 5}, report=report)
    with etui.open(tmp_path / "c.etui") as model:
        assert model.manifest is not None
        assert model.manifest.profile == "checkpoint"
        assert model.weights is not None
        assert model.weights.aliases == {"outer/weight": "inner/weight"}
        flags = {path: one.trainable for path, one in model.weights.variables.items()}
        assert flags["conv/weight"]
        assert not flags["norm/running_mean"]
        assert model.weights["norm/num_batches_tracked"].dtype == "int64"
        assert np.array_equal(model.weights["conv/weight"].numpy(), module.conv.weight.detach().numpy())
        assert model.optimizer is not None
        found = model.optimizer.optimizers["optimizer"]
        assert (found.algorithm, found.step) == ("core:adam", 3)
        assert set(found.slots) == {path for path, trains in flags.items() if trains}
        assert model.state is not None
        assert (model.state.counters, model.state.user) == ({"epoch": 2}, {"seed": 5})
    assert report.counts()["variable"] == {"restored": 9, "aliased": 1}


@pytest.mark.clause("PT-43@716212", "PT-44@f0181b")
def test_the_module_and_its_optimizer_go_on(tmp_path: Path) -> None:
    """Loaded into new objects by name, training goes on bit for bit; the report has every item of both sides."""
    module = Mine()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.02)
    _train(module, optimizer, 3)
    etui.torch.save(module, optimizer, tmp_path / "c.etui")
    torch.manual_seed(99)
    other = Mine()
    again = torch.optim.AdamW(other.parameters())
    report = etui.torch.load_into(other, again, tmp_path / "c.etui")
    assert report.counts()["variable"] == {"restored": 9, "aliased": 1}
    assert report.counts()["slot"] == {"restored": 12}
    assert again.param_groups[0]["lr"] == 0.02
    assert _train(other, again, 4) == _train(module, optimizer, 4)


@pytest.mark.clause("PT-45@9d4406")
def test_a_map_names_variables_and_layouts(tmp_path: Path) -> None:
    """With a map, variables of another naming and layout are loaded; shapes alone never choose a transform."""
    rng = np.random.default_rng(0)
    arrays = {
        "c/kernel": rng.normal(size=(3, 3, 2, 3)),
        "c/bias": rng.normal(size=3),
        "d/kernel": rng.normal(size=(3, 3)),
        "d/bias": rng.normal(size=3),
    }
    weights = Weights()
    for path, array in arrays.items():
        weights.add(path, Tensor.of(array.astype("float32")), role=path.partition("/")[2])
    etui.save(etui.Model(weights=weights), tmp_path / "w.etui")
    module = Mine()
    names = {
        "conv.weight": ("c/kernel", "convolution"),
        "conv.bias": "c/bias",
        "inner.weight": ("d/kernel", (1, 0)),
        "outer.bias": "d/bias",
        **{f"norm.{name}": None for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")},
    }
    report = etui.torch.load_into(module, None, tmp_path / "w.etui", names)
    assert report.counts()["variable"] == {"translated": 2, "restored": 2, "left-out": 5, "aliased": 1}
    assert np.allclose(module.conv.weight.detach().numpy(), arrays["c/kernel"].transpose(3, 2, 0, 1))
    assert np.allclose(module.outer.weight.detach().numpy(), arrays["d/kernel"].T)
    etui.torch.load_into(module, None, tmp_path / "w.etui", lambda name: names.get(name, "d/bias"))
    square = {**names, "inner.weight": "d/kernel"}
    etui.torch.load_into(module, None, tmp_path / "w.etui", square)
    assert np.allclose(module.outer.weight.detach().numpy(), arrays["d/kernel"])


@pytest.mark.clause("PT-44@f0181b")
def test_nothing_changes_where_something_does_not_fit(tmp_path: Path) -> None:
    """A strict load that would lose anything leaves module and optimizer as they were."""
    module = Mine()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    _train(module, optimizer, 2)
    etui.torch.save(module, optimizer, tmp_path / "c.etui", step=2)
    other = torch.nn.Sequential()
    other.add_module("conv", torch.nn.Conv2d(2, 4, 3))
    other.add_module("head", torch.nn.Linear(4, 2))
    before = {name: one.clone() for name, one in other.state_dict().items()}
    refused = 0
    for trainer in (None, torch.optim.SGD(other.parameters(), momentum=0.9), torch.optim.Adam(other.parameters())):
        with pytest.raises(TransferError, match="not-complete"):
            etui.torch.load_into(other, trainer, tmp_path / "c.etui")
        refused += 1
        assert all(torch.equal(one, before[name]) for name, one in other.state_dict().items())
        assert trainer is None or not trainer.state
    assert refused == 3
    report = etui.Report()
    with pytest.raises(TransferError):
        etui.torch.load_into(other, None, tmp_path / "c.etui", report=report)
    assert report.counts()["variable"] == {"shape-mismatch": 2, "missing": 2}
    assert report.counts()["stored variable"] == {"unexpected": 7}


@pytest.mark.clause("PT-46@a647ee")
def test_an_optimizer_of_another_rule_takes_no_state(tmp_path: Path) -> None:
    """The state of Adam does not go into an RMSprop, and one of other parameters is named."""
    module = Mine()
    optimizer = torch.optim.Adam(module.parameters())
    _train(module, optimizer, 2)
    etui.torch.save(module, optimizer, tmp_path / "c.etui")
    report = etui.torch.load_into(Mine(), torch.optim.RMSprop(Mine().parameters()), tmp_path / "c.etui", strict=False)
    assert [one.detail for one in report.lost] == ["the stored one is a Adam in torch, and RMSprop was given"]
    other = Mine()
    part = torch.optim.Adam(other.conv.parameters())
    etui.torch.load_into(other, part, tmp_path / "c.etui")
    assert set(map(id, part.state)) == set(map(id, other.conv.parameters()))


@pytest.mark.clause("PT-47@1f5231")
@pytest.mark.parametrize("stock", [False, True])
def test_a_model_goes_on_in_torch_and_back(tmp_path: Path, stock: bool) -> None:
    """A core model with its optimizer trains on in torch as the reference does, and is the same model when saved."""
    model, run = kit.trained_model("adam", weight_decay=0.01)
    etui.save(model, tmp_path / "a.etui")
    resumed = etui.torch.load(tmp_path / "a.etui", stock=stock)
    assert resumed.module.training
    names = {one.path: one for one in etui.torch.bindings(resumed.module)}
    parameters = dict(resumed.module.named_parameters())
    reference, variables = run.optimizer, run.variables
    for grads in run.gradients:
        for path, grad in grads.items():
            one = names[path]
            parameters[one.name].grad = torch.from_numpy(np.ascontiguousarray(one.to_torch(grad)))
        resumed.optimizer.step()
        reference, variables = step(reference, variables, grads)
    etui.torch.save(resumed.module, resumed.optimizer, tmp_path / "b.etui", loss=resumed.loss)
    with etui.open(tmp_path / "b.etui") as back:
        assert back.config is not None
        assert model.config is not None
        assert back.config.model == model.config.model
        assert back.training is not None
        assert back.training.loss == kit.LOSS
        assert back.weights is not None
        assert list(back.weights.variables) == list(variables)
        for path, array in variables.items():
            assert np.allclose(back.weights[path].numpy(), array, rtol=0, atol=1e-13)
        assert back.optimizer is not None
        found = back.optimizer.optimizers["optimizer"]
        assert found.hyperparameters == reference.hyperparameters
        for path, slots in reference.slots.items():
            for name, tensor in slots.items():
                assert np.allclose(found.slots[path][name].numpy(), tensor.numpy(), rtol=0, atol=1e-14)


@pytest.mark.clause("PT-47@1f5231")
def test_only_what_changed_changes(tmp_path: Path) -> None:
    """A model that is loaded and saved without a step in between has the same identity."""
    model, _ = kit.trained_model("rmsprop", centered=True)
    first = etui.save(model, tmp_path / "a.etui")
    resumed = etui.torch.load(tmp_path / "a.etui")
    assert etui.torch.save(resumed.module, resumed.optimizer, tmp_path / "b.etui") == first


@pytest.mark.clause("PT-48@63d4e6")
def test_strict_refuses_what_is_not_faithful(tmp_path: Path) -> None:
    """A transfer that is approximate or not possible is refused, unless it is asked for."""
    model, _ = kit.trained_model("adam", clip_norm=1.0)
    etui.save(model, tmp_path / "a.etui")
    with pytest.raises(TransferError, match="clip_norm"):
        etui.torch.load(tmp_path / "a.etui", stock=True)
    resumed = etui.torch.load(tmp_path / "a.etui", stock=True, allow=("not-transferable",))
    assert isinstance(resumed.optimizer, torch.optim.Adam)
    assert isinstance(etui.torch.load(tmp_path / "a.etui").optimizer, etui.torch.CoreOptimizer)


@pytest.mark.clause("PT-48@63d4e6")
def test_an_optimizer_that_is_not_of_the_vocabulary(tmp_path: Path) -> None:
    """Its state is not transferable: strict refuses, and else the module comes without an optimizer."""
    model, _ = kit.trained_model("adam")
    model.optimizer.optimizers["optimizer"].algorithm = "custom:mine>Newton"
    etui.save(model, tmp_path / "a.etui")
    with pytest.raises(TransferError, match="Newton"):
        etui.torch.load(tmp_path / "a.etui")
    assert etui.torch.load(tmp_path / "a.etui", strict=False).optimizer is None


@pytest.mark.library
def test_what_is_no_module_or_no_map_is_refused(tmp_path: Path) -> None:
    """Wrong arguments are refused with a reason."""
    module = Mine()
    etui.torch.save(module, None, tmp_path / "w.etui")
    with pytest.raises(UsageError, match="torch-module-type"):
        etui.torch.save("module", None, tmp_path / "x.etui")
    with pytest.raises(UsageError, match="torch-map"):
        etui.torch.load_into(module, None, tmp_path / "w.etui", {"conv.weight": ("conv/weight", "rotate")})
    with pytest.raises(UsageError, match="torch-map"):
        etui.torch.load_into(module, None, tmp_path / "w.etui", {"conv.weight": 3})  # type: ignore[dict-item]  # the fault
    empty = torch.nn.Sequential()
    with pytest.raises(TransferError, match="torch-nothing"):
        etui.torch.load_into(empty, None, tmp_path / "w.etui", strict=False)


@pytest.mark.library
def test_constraints_follow_each_step(tmp_path: Path) -> None:
    """The adapter applies the constraints of the module's variables after its update."""
    model, _ = kit.trained_model("adam")
    value = etui.ObjectValue("core:constraints.non_neg", {})
    model.config.model.find("head").attrs["constraints"] = {"kernel": value}
    etui.save(model, tmp_path / "a.etui")
    resumed = etui.torch.load(tmp_path / "a.etui")
    for parameter in resumed.module.parameters():
        parameter.grad = torch.ones_like(parameter)
    resumed.optimizer.step()
    held = resumed.module.state_dict()
    (name,) = (one.name for one in etui.torch.bindings(resumed.module) if one.path == "head/kernel")
    assert bool((held[name] >= 0).all())
