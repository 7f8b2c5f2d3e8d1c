"""Snapshots of what PyTorch and JAX train, taken while they go on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.checkpoints import AsyncSaver, Series
from etui.checkpoints.snapshot import Snapshots

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

sys.path.insert(0, str(Path(__file__).parents[1] / "torch"))
kit: Any = import_module("state_kit")  # tests are imported by path, so that a neighbour is found by name only

pytestmark = pytest.mark.frameworks


class Mine(torch.nn.Module):  # type: ignore[name-defined, misc]  # torch is seen as Any
    """A module with batch statistics, a tied weight, and a weight that numpy has no dtype for."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4, bias=False)
        self.norm = torch.nn.BatchNorm1d(4)
        self.second = torch.nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.narrow = torch.nn.Parameter(torch.ones(3, 4, dtype=torch.bfloat16))
        self.frozen = torch.nn.Parameter(torch.arange(5.0), requires_grad=False)

    def forward(self, x: Any) -> Any:
        """The class scores."""
        return self.second(self.norm(self.first(x))) @ self.narrow.float().T


def trained(module: Any, optimizer: Any, steps: int, seed: int = 1) -> None:
    """Some steps on data of the seed."""
    torch.manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        module(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "adam": lambda parameters: torch.optim.Adam(parameters, amsgrad=True),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, centered=True, momentum=0.9),
    "nadam": torch.optim.NAdam,
    "adafactor": torch.optim.Adafactor,
}


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_torch_module_trains_on_while_it_is_saved(name: str, tmp_path: Path) -> None:
    """Weights, statistics and slots in the file are those of the moment, though torch changes them in place."""
    torch.manual_seed(0)
    module = Mine()
    optimizer = OPTIMIZERS[name](module.parameters())
    trained(module, optimizer, 2)
    options: dict[str, Any] = {"step": 2, "user": {"seed": 1}, "strict": False}
    expected = etui.torch.save(module, optimizer, tmp_path / "foreground.etui", **options)
    with AsyncSaver(tmp_path / "background.etui") as saver:
        saver.save(etui.torch.capture(module, optimizer, **options))
        trained(module, optimizer, 2)
        assert saver.wait() == expected
    assert etui.torch.save(module, optimizer, tmp_path / "later.etui", **options) != expected
    with etui.open(tmp_path / "background.etui") as stored:
        assert stored.optimizer is not None
        slots = stored.optimizer.optimizers["optimizer"].slots
        assert {"first/weight", "narrow"} <= set(slots)


@pytest.mark.clause("AS-1@b18083")
def test_a_torch_run_resumes_from_a_step_bit_for_bit(tmp_path: Path) -> None:
    """A run that goes on from a step of the series ends with the very weights of the one that was never stopped."""

    def fresh() -> tuple[Any, Any]:
        torch.manual_seed(3)
        made = Mine()
        return made, torch.optim.AdamW(made.parameters(), lr=0.01)

    module, optimizer = fresh()
    with AsyncSaver(Series(tmp_path / "series")) as saver:
        for step in range(4):
            trained(module, optimizer, 1, seed=step)
            saver.save(etui.torch.capture(module, optimizer), step)
    again, its_optimizer = fresh()
    with Series(tmp_path / "series")[1].open() as stored:
        etui.torch.load_into(again, its_optimizer, stored)
        assert stored.weights is not None
        assert stored.weights["first/weight"].numpy().any()  # the caller's model stays open
    for step in (2, 3):
        trained(again, its_optimizer, 1, seed=step)
    expected, found = module.state_dict(), again.state_dict()
    assert len(expected) == len(found) > 5
    assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.library
def test_a_snapshot_of_torch_copies_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is copied before the snapshot looks at the tensors, whose memory has room for each of them once."""
    module = Mine()
    optimizer = torch.optim.Adam(module.parameters())
    trained(module, optimizer, 1)

    def refused(tensor: Any) -> Any:
        raise AssertionError(f"a copy of {tuple(tensor.shape)}")

    for name in ("arrays", "binding", "state_places", "optimizers_read"):
        monkeypatch.setattr(f"etui.bridges.torch.{name}.array_of", refused)
    model = etui.torch.capture(module, optimizer)
    snapshots = Snapshots()
    snapshots.take(model)
    sizes = [tensor.nbytes for _, _, tensor in model.stored_tensors()]
    assert 0 < sum(sizes) <= snapshots.nbytes <= sum(sizes) + 64 * len(sizes)


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_a_module_made_of_an_artifact_is_saved_in_its_own_layout(tmp_path: Path) -> None:
    """Kernels that torch has transposed are copied as they lie, and saved as the model has them."""
    module = etui.torch.to_module(kit.small_model())
    optimizer = torch.optim.Adam(module.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        module(torch.ones(2, 4)).square().mean().backward()
        optimizer.step()
    expected = etui.torch.save(module, optimizer, tmp_path / "foreground.etui")
    with AsyncSaver(tmp_path / "background.etui") as saver:
        saver.save(etui.torch.capture(module, optimizer))
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        assert saver.wait() == expected


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_an_update_that_is_given_the_arrays_of_jax_does_not_change_the_saved_ones(tmp_path: Path) -> None:
    """Arrays of JAX are not copied, and an update to which they are donated leaves the saved bytes as they were."""
    tx = optax.adam(0.1)
    params = {"a": jax.numpy.arange(300_000.0), "b": jax.numpy.ones((3, 4), jax.numpy.bfloat16)}
    state = tx.init(params)
    tree = {"params": params, "key": jax.random.key(1), "number": 3}

    def update(params: Any, state: Any) -> Any:
        updates, state = tx.update(params, state, params)
        return optax.apply_updates(params, updates), state

    step = jax.jit(update, donate_argnums=(0, 1))
    options: dict[str, Any] = {"opt_state": state, "optimized": "params", "optimizer": etui.jax.describe("adam")}
    expected = etui.jax.save_tree(tree, tmp_path / "foreground.etui", **options)
    with AsyncSaver(tmp_path / "background.etui") as saver:
        saver.save(etui.jax.capture_tree(tree, **options))
        assert saver._snapshots.nbytes < 1000  # of numbers, and not of arrays
        for _ in range(3):
            params, state = step(params, state)
        jax.block_until_ready(params)
        assert saver.wait() == expected
    later = {"params": params, "key": jax.random.key(1), "number": 3}
    options["opt_state"] = state
    assert etui.jax.save_tree(later, tmp_path / "later.etui", **options) != expected


@pytest.mark.clause("AS-1@b18083")
def test_arrays_of_numpy_in_a_tree_are_copied(tmp_path: Path) -> None:
    """A leaf that is no array of JAX may be changed after the call."""
    leaf = np.ones(1000)
    with AsyncSaver(tmp_path / "tree.etui") as saver:
        saver.save(etui.jax.capture_tree({"leaf": leaf}))
        leaf[:] = 2
    with etui.open(tmp_path / "tree.etui") as stored:
        assert stored.weights is not None
        assert (stored.weights["leaf"].numpy() == 1).all()


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_a_function_of_jax_is_captured_as_it_is_saved(tmp_path: Path) -> None:
    """`capture` gives the model that `save` writes."""
    source = Path(__file__).parents[2] / "examples" / "models"
    path = min(source.glob("*.keras"))
    resumed = etui.jax.load(path, strict=False)
    arguments = (resumed, resumed.params, resumed.state, resumed.opt_state)
    expected = etui.jax.save(*arguments, tmp_path / "foreground.etui", counters={"epoch": 2})
    with AsyncSaver(tmp_path / "background.etui") as saver:
        saver.save(etui.jax.capture(*arguments, counters={"epoch": 2}))
        assert saver.wait() == expected
