"""Arrays over two processes: saved together, loaded under other meshes, and what becomes of a process that fails."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))
values: Any = import_module("distributed_values")

pytestmark = pytest.mark.frameworks
RANKS = (0, 1)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, run: Any) -> Any:
    """What two processes with two devices each saw, by scenario; and their folder."""
    folder = tmp_path_factory.mktemp("together")
    ended = run("saved,reads,series,refused", folder)
    logs = "\n".join((folder / f"log-{rank}").read_text()[-3000:] for rank in RANKS)
    assert ended == [0, 0], logs
    return folder


@pytest.fixture
def seen(together: Path, seen_by: Any) -> Any:
    """What each process saw in a scenario."""
    return lambda scenario: [seen_by(together, scenario, rank) for rank in RANKS]


@pytest.mark.clause("DW-5@5f92e6")
def test_all_get_the_identity_of_a_valid_artifact(seen: Any, together: Path) -> None:
    """Both processes get the identity of the one artifact, which verifies."""
    one, two = seen("saved")
    assert one["lost"] == two["lost"] == []
    with etui.open(together / "tree") as model:
        assert one["identity"] == two["identity"] == model.digest
    assert etui.verify(together / "tree").tensors


@pytest.mark.clause("DW-30@3ab3fd", "DW-4@8f57b8")
def test_each_box_is_stored_once_by_a_process_that_has_it(together: Path) -> None:
    """The chunks are the boxes of the shardings, none twice, and both processes wrote some."""
    with etui.open(together / "tree") as model:
        assert model.weights is not None
        found = {
            path.removeprefix("layers/"): [(piece.offset, piece.shape) for piece in plain.pieces]
            for path, variable in model.weights.variables.items()
            for _, plain in variable.tensor.physical(path)
        }
    assert found["kernel"] == [((0, 0), (4, 6)), ((0, 6), (4, 6)), ((4, 0), (4, 6)), ((4, 6), (4, 6))]
    assert found["half"] == [((0,), (4,)), ((4,), (4,)), ((8,), (4,)), ((12,), (4,))]
    assert found["waves"] == [((0, 0, 0), (2, 2, 2)), ((2, 0, 0), (2, 2, 2))]
    assert found["mask"] == [((0, 0), (4, 2)), ((0, 2), (4, 2))]
    assert found["on_second_half"] == [((0, 0), (2, 2)), ((2, 0), (2, 2))]
    whole = {"whole", "nibbles", "empty", "scalar", "on_host", "on_one_device"}
    assert {name: len(found[name]) for name in whole} == dict.fromkeys(whole, 1)
    parts = sorted(path.name for path in (together / "tree").glob("weights-*"))
    assert parts == ["weights-00001-of-00002.safetensors", "weights-00002-of-00002.safetensors"]


@pytest.mark.clause("DW-34@c47bc1")
@pytest.mark.parametrize("mesh", ["again", "mesh (1, 4)", "mesh (4, 1)"])
def test_every_mesh_gets_the_same_bits(seen: Any, mesh: str) -> None:
    """Each box on each device is bit for bit what was saved, under the mesh of the save and under others."""
    for process in seen("saved"):
        names = {*values.host_values(), "keys"} | ({"key"} if mesh == "again" else set())
        assert process[mesh] == dict.fromkeys(names, True)


@pytest.mark.library
def test_the_shardings_are_those_that_were_asked_for(seen: Any) -> None:
    """Arrays have the shardings of `like`, or those of the specs, of which the longest path counts."""
    for process in seen("saved"):
        assert process["shardings"] == dict.fromkeys({*values.SPECS, "keys"}, True)
        for mesh in ("(1, 4)", "(4, 1)"):
            assert process[f"spec {mesh}"] == ["P('rows', 'columns')", "P('rows',)", "P('columns',)", "P()"]


@pytest.mark.clause("DW-34@c47bc1", "JX-58@d674e3")
def test_the_state_of_the_optimizer_moves_to_another_mesh(seen: Any, together: Path) -> None:
    """Slots are spread as the parameters of the new mesh are, with the same bits and counters."""
    for process in seen("saved"):
        assert process["slots"] == {f"{slot} {name}": True for slot in ("mu", "nu") for name in ("kernel", "whole")}
        assert (process["moved"], process["steps"]) == ("P('rows',)", 1)
    with etui.open(together / "trained") as model:
        assert model.optimizer is not None
        adam = model.optimizer.optimizers["optimizer"]
        assert (adam.algorithm, adam.step) == ("core:adam", 1)
        assert len(adam.slots["params/kernel"]["momentum"].pieces) == 4


@pytest.mark.clause("DW-34@c47bc1", "W-13@322181")
def test_a_process_reads_the_chunks_that_it_needs(seen: Any) -> None:
    """Under rows, the first process touches the upper chunks alone, and the second the lower ones."""
    first, second = seen("reads")
    assert first["touched"] == ["layers/kernel@0,0", "layers/kernel@0,6", "layers/waves#parts@0,0,0"]
    assert second["touched"] == ["layers/kernel@4,0", "layers/kernel@4,6", "layers/waves#parts@2,0,0"]


@pytest.mark.library
def test_one_process_with_one_device_reads_all_of_it(together: Path) -> None:
    """This process loads what two saved, to the host and into a tree, bit for bit."""
    host = values.host_values()
    found, report = etui.jax.load_distributed(together / "tree")
    assert report.lost == []
    assert found["layers"].keys() == {*host, "keys", "key"}
    for name, array in host.items():
        assert found["layers"][name].tobytes() == array.tobytes()
        assert isinstance(found["layers"][name], np.ndarray)
    like = {"layers": dict(host)}
    tree, report = etui.jax.load_tree(together / "tree", like=like, strict=False)
    assert {entry.subject for entry in report.lost} == {"count", "rng/layers/key", "rng/layers/keys"}
    assert all(tree["layers"][name].tobytes() == array.tobytes() for name, array in host.items())
    with etui.open(together / "tree") as model:
        assert model.state is not None
        assert (model.state.counters, model.state.user) == ({"epoch": 2}, {"note": "x"})


@pytest.mark.clause("DW-34@c47bc1", "DW-9@754e6a", "CS-10@6be6e2")
def test_steps_of_a_series_are_saved_together(seen: Any, together: Path) -> None:
    """Each process stores its objects of a step, what did not change is stored once, and any mesh reads the latest."""
    one, two = seen("series")
    series = etui.checkpoints.Series(together / "series", create=False)
    assert [step.number for step in series.steps()] == [100, 200]
    for process in (one, two):
        assert process["same"] == [True, True]
        assert (process["100"], process["replaced"]) == (series[100].identity, series[200].identity)
        assert process["200"] == process["replaced"]
        assert process["metrics"] == {"loss": 0.01}
    assert (one["exists"][0], two["exists"][0]) == ("series-exists", "distributed-process")
    assert (one["nameless"][0], two["nameless"][0]) == ("jax-argument", "distributed-process")
    stored = sum(path.stat().st_size for path in (together / "series" / "objects").rglob("*") if path.is_file())
    assert 4 * 2**20 < stored < 4 * 2**20 + 64 * 1024
    series.verify()


REFUSED = {
    "number": ("distributed-differs", "distributed-process", "weights, count"),
    "array": ("distributed-differs", "distributed-process", "weights, own"),
    "user": ("distributed-process", "distributed-differs", "state.msgpack"),
    "leaf": ("distributed-process", "distributed-differs", "weights.json"),
    "bad": ("distributed-process", "jax-leaf", "bad"),
    "bad first": ("jax-leaf", "distributed-process", "bad"),
    "target": ("target-not-etui", "distributed-process", "other"),
    "url": ("distributed-misuse", "distributed-process", "memory://folder"),
}


@pytest.mark.clause("DW-31@723b9a", "DW-32@b6eddb", "DW-33@31291e")
@pytest.mark.parametrize("case", REFUSED)
def test_nobody_saves_what_one_refuses(seen: Any, case: str) -> None:
    """A difference between the processes, or a fault of one, is an error of both, which names it."""
    first, second, named = REFUSED[case]
    one, two = seen("refused")
    assert (one[case][0], two[case][0]) == (first, second)
    assert named in one[case][1]
    assert named in two[case][1]


@pytest.mark.clause("DW-32@b6eddb", "DW-33@31291e")
def test_an_exception_in_one_process_reaches_the_others(seen: Any) -> None:
    """What a process raises while it writes is its own error, and told to the coordinator."""
    one, two = seen("refused")
    assert one["broken"][0] == "distributed-process"
    assert "the disk of this process is gone" in one["broken"][1]
    assert two["broken"] == ["raised", "the disk of this process is gone"]


@pytest.mark.clause("DW-7@97de70", "DW-32@b6eddb")
def test_a_process_that_never_comes_is_not_awaited_for_ever(seen: Any, together: Path) -> None:
    """The coordinator gives up after the time-out, and what was at the target before is whole; nothing is left."""
    one, two = seen("refused")
    assert one["absent"][0] == "distributed-timeout"
    assert "process 1" in one["absent"][1]
    assert one["last"] == two["last"]
    with etui.open(together / "refused") as model:
        assert model.digest == one["last"]
    assert etui.verify(together / "refused").tensors
    assert [path.name for path in together.iterdir() if path.name.startswith(".")] == []


@pytest.mark.library
def test_a_tree_of_several_processes_is_none_of_one(seen: Any, together: Path) -> None:
    """`save_tree` refuses an array of which the process has a part, and names the function that saves it."""
    for rank, process in enumerate(seen("refused")):
        assert process["plain"][0] == "jax-leaf"
        assert "save_distributed" in process["plain"][1]
        assert not (together / f"plain-{rank}").exists()


@pytest.mark.clause("DW-7@97de70", "DW-32@b6eddb")
@pytest.mark.parametrize("case", ["1 planned earlier", "1 writing earlier", "1 told later", "0 writing earlier"])
def test_a_process_that_is_killed_leaves_a_whole_artifact(tmp_path: Path, run: Any, seen_by: Any, case: str) -> None:
    """Whoever is killed in a save over an earlier artifact: one of the two is there, and nobody hangs."""
    victim, moment, whole = case.split()
    ended = run("killed", tmp_path, VICTIM=victim, MOMENT=moment)
    assert ended[int(victim)] == -9
    target = tmp_path / f"killed-{moment}-{victim}"
    assert all((tmp_path / f"ready-{moment}-{victim}-{rank}").exists() for rank in RANKS)
    assert etui.verify(target).tensors
    kernel = np.tile(values.host_values()["kernel"], (64, 64))
    with etui.open(target) as model:
        assert model.weights is not None
        expected = kernel if whole == "earlier" else kernel + np.float32(1)
        assert model.weights["kernel"].numpy().tobytes() == expected.tobytes()
    if victim == "1":
        assert ended[0] == 0
        code = seen_by(tmp_path, "killed", 0)["after"][0]
        assert code == ("none" if whole == "later" else "distributed-timeout")
    else:
        assert ended[1] != 0  # JAX ends a process whose coordinator is gone


@pytest.mark.clause("DW-7@97de70", "DW-32@b6eddb", "CS-26@2f96b5")
def test_a_process_that_is_killed_leaves_the_steps_of_a_series(tmp_path: Path, run: Any, seen_by: Any) -> None:
    """The step before is whole, the one that was begun is none, and what was stored of it is collected."""
    ended = run("killed", tmp_path, VICTIM="1", MOMENT="series")
    assert ended == [0, -9]
    assert seen_by(tmp_path, "killed", 0)["after"][0] == "distributed-timeout"
    series = etui.checkpoints.Series(tmp_path / "killed-series-1", create=False)
    assert [step.number for step in series.steps()] == [1]
    kernel = np.tile(values.host_values()["kernel"], (64, 64))
    with series[1].open() as model:
        assert model.weights is not None
        assert model.weights["kernel"].numpy().tobytes() == kernel.tobytes()
    series.collect()
    series.verify()
