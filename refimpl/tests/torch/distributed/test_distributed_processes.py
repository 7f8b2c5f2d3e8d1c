"""Processes of torch save and load together: FSDP2, tensor parallelism, odd layouts, failures and kills (annex R)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import etui
from etui.checkpoints import Series
from etui.containers.tensors import Tensor

pytestmark = pytest.mark.frameworks

torch: Any = pytest.importorskip("torch")
HERE = Path(__file__).parent
TRAININGS = ("fsdp", "tensor_parallel", "both")
WORLD = 4


def run(folder: Path, *scenarios: str) -> dict[str, Any]:
    """Run scenarios in a process of its own, which forks worlds of processes; gives what each told."""
    program = [sys.executable, str(HERE / "processes.py"), str(folder / "result.json"), str(folder), *scenarios]
    done = subprocess.run(program, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    assert list(found) == list(scenarios)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scenarios put their artifacts."""
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    """What became of all scenarios but the kills."""
    return run(folder, *TRAININGS, "odd", "failures")


@pytest.mark.clause("DW-10@07ccba", "DW-13@931bda", "DW-16@d82f39")
@pytest.mark.parametrize("size", [4, 2, 1])
@pytest.mark.parametrize("kind", TRAININGS)
def test_a_training_goes_on(kind: str, size: int, told: dict[str, Any]) -> None:
    """Saved by four processes, resumed by four, two and one: the losses are to the bit those after DCP's own files."""
    found = told[kind]
    sources = ["etui", "series"] if size == 2 else ["etui"]
    own = found[f"own as {size}"]
    assert len(own) == size
    assert len(own[0]["losses"]) == 3
    for source in sources:
        assert found[f"{source} as {size}"] == own
    # Where DCP's own files give the numbers of the training that was not interrupted, so do these.
    uninterrupted = [one["losses"] for one in found["saved"]]
    if size == WORLD:
        assert [one["losses"] for one in own] == uninterrupted


@pytest.mark.clause("DW-8@981345", "DW-12@cf1fcb")
@pytest.mark.parametrize("kind", TRAININGS)
def test_it_is_an_ordinary_artifact(kind: str, told: dict[str, Any], folder: Path) -> None:
    """What four processes wrote opens by path with weights and slots, and passes full verification; so does a step."""
    identity, step = told[kind]["saved"][0]["identities"]
    assert etui.verify(folder / kind / "etui").identity == identity == step
    assert etui.verify(folder / kind / "later").identity != ""
    series = Series(folder / kind / "series")
    assert [(one.number, one.identity, one.metrics) for one in series.steps()] == [(3, identity, {"loss": 1.5})]
    series.verify()
    with etui.open(folder / kind / "etui") as found:
        assert found.weights is not None
        assert found.optimizer is not None
        assert found.weights.aliases == {"head/weight": "embed/weight"}
        optimizer = found.optimizer.optimizers["optimizer"]
        assert (optimizer.algorithm, optimizer.step) == ("core:adam", 3)
        slots = optimizer.slots["blocks/0/up/weight"]
        assert {name: tensor.shape for name, tensor in slots.items()} == {"momentum": (8, 6), "velocity": (8, 6)}
        assert found.weights["blocks/0/up/weight"].tensor.shape == (8, 6)
        assert len(found.weights["blocks/0/up/weight"].tensor.pieces) == WORLD
        assert "temper" not in optimizer.variables()
        assert not found.weights["temper"].trainable
        assert found.state is not None
        assert found.state.user["run"] == {"best": float("inf"), "epoch": 3, "names": ["a", ("b", None)]}
        assert isinstance(found.state.user["rng"], Tensor)


@pytest.mark.clause("DW-8@981345")
@pytest.mark.parametrize("kind", TRAININGS)
def test_one_process_goes_on_without_dcp(kind: str, told: dict[str, Any]) -> None:
    """`load_into` restores module and optimizer, and the losses are those of a resume as one process by DCP's files."""
    assert told[kind]["alone"] == [{"losses": told[kind]["own as 1"][0]["losses"]}]


@pytest.mark.clause("DW-3@fcf9c0", "DW-4@8f57b8", "DW-16@d82f39")
@pytest.mark.parametrize("size", [2, 1])
def test_odd_layouts(size: int, told: dict[str, Any]) -> None:
    """Uneven and empty shards, copies, grids, stages, odd strides and dtypes come back bit for bit in other layouts."""
    assert told["odd"]["saved"] == list(range(WORLD))
    found = told["odd"][f"as {size}"]
    expected = {"wrong": [], "seen": 185, "values": "[1, (2.0, 'drei'), {1, 2}]", "scalar": 2.5}
    assert found == [expected] * size


@pytest.mark.clause("DW-3@fcf9c0", "DW-4@8f57b8")
@pytest.mark.usefixtures("told")
def test_processes_that_have_nothing(folder: Path) -> None:
    """Where three of four processes have no element, there is one data part, without a number."""
    names = {path.name for path in (folder / "odd" / "alone").iterdir()}
    assert names == {"manifest.json", "weights.json", "weights.safetensors", "state.msgpack"}
    etui.verify(folder / "odd" / "alone")
    etui.verify(folder / "odd" / "etui")


@pytest.mark.clause("DW-6@a7c07d", "DW-7@97de70")
def test_a_process_that_fails(told: dict[str, Any], folder: Path) -> None:
    """All processes are told what one of them met, nothing is left behind, and the next save works."""
    for rank, one in enumerate(told["failures"]):
        full, names, value, more, unsendable, most = one["said"]
        assert "storage-failed" in full
        assert "No space left on device" in full
        assert "distributed-value" in value
        assert "odd" in value
        assert "distributed-process" in unsendable
        assert "_UnsendableError: out of order" in unsendable
        if rank == 0:
            assert (names, more, most) == ("2 names before", "2 names before", "2 names before")
    first, last = told["failures"][0]["identities"]
    assert first == last == etui.verify(folder / "failures" / "etui").identity
    assert [path.name for path in (folder / "failures").glob("*etui*")] == ["etui"]


@pytest.mark.clause("DW-5@5f92e6", "DW-7@97de70", "DW-9@754e6a")
def test_a_process_that_is_killed(tmp_path: Path) -> None:
    """At 30 moments one of four processes is killed: the earlier artifact or the new one stands; no step is lost."""
    found = run(tmp_path, "kills")["kills"]
    killed = [one for one in found if "end" not in one]
    assert len(killed) == 30
    for one in killed:
        assert one["died"] == [one["rank"]]
        if one["into"] == "series":
            assert one["standing"][:1] == one["earlier"]
            assert len(one["standing"]) <= 2
        else:
            assert len(one["standing"]) == 1
        committed = one["standing"] != one["earlier"]
        # After the commit only the coordinator makes a call that writes; by the clock, below 1, any may die then.
        assert not committed or one["rank"] == 0 or one["moment"] < 1
    by_rank = [sum(one["rank"] == rank for one in killed) for rank in range(WORLD)]
    assert min(by_rank) >= 3
    assert sum(one["standing"] == one["earlier"] for one in killed) >= 20
    ends = {one["into"]: one for one in found if "end" in one}
    for into, one in ends.items():
        assert one["standing"][-1] == one["end"]["last"]
        assert one["end"]["names"] == [into]
    assert ends["series"]["standing"][0] == ends["series"]["end"]["first"]
    assert ends["series"]["end"]["collected"] > 0
