"""Several processes write one artifact: the plan, what each writes, and the one commit (SPEC.md annex R.1)."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

import etui
from etui.checkpoints import data_objects
from etui.checkpoints.distributed import (
    Box,
    FolderPlace,
    GlobalPlan,
    Place,
    RankResult,
    absent,
    commit,
    place_of,
    write_rank,
)
from etui.checkpoints.retention import Retention
from etui.checkpoints.series import Series
from etui.checkpoints.series_place import SeriesPlace
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.error_codes import ERROR_CODES
from etui.errors import error
from etui.limits import DEFAULT_LIMITS
from etui.storage.local_objects import LocalObjects
from etui.storage.transaction import clean

RNG = np.random.default_rng(20267)
KERNEL = RNG.normal(size=(6, 4)).astype(np.float32)
PHASE = (RNG.normal(size=5) + 1j * RNG.normal(size=5)).astype(np.complex64)
CONTENT: dict[tuple[str, str], Any] = {
    ("weights", "dense/kernel"): KERNEL,
    ("weights", "dense/phase#parts"): PHASE.view(np.float32).reshape(5, 2),
    ("weights", "empty"): np.zeros((0, 3), np.bool_),
    ("weights", "scale"): np.asarray(2.5),
    ("optimizer", "optimizer/slots/dense/kernel/momentum"): KERNEL * 2,
    ("state", "user/seen"): np.arange(7),
}


def model(tensor: Callable[[str, Any], Tensor], *, learning_rate: float = 0.1) -> etui.Model:
    """A model of every kind of tensor, whose tensors `tensor` makes of a role and an array."""
    weights = Weights()
    weights.add("dense/kernel", tensor("dense/kernel", KERNEL), role="kernel")
    weights.add("dense/phase", tensor("dense/phase", PHASE), role="phase")
    weights.add("empty", tensor("empty", CONTENT["weights", "empty"]), role="mask", trainable=False)
    weights.add("scale", tensor("scale", CONTENT["weights", "scale"]), role="scale")
    weights.aliases["tied/kernel"] = "dense/kernel"
    optimizer = Optimizer("core:sgd", {"learning_rate": 0.1, "momentum": 0.9}, learning_rate, 3, 3)
    optimizer.groups = [Group(["dense/kernel"])]
    optimizer.slots = {"dense/kernel": {"momentum": tensor("momentum", KERNEL * 2)}}
    user = {"seen": tensor("seen", CONTENT["state", "user/seen"]), "epoch": 3}
    return etui.Model(weights=weights, optimizer=OptimizerState({"optimizer": optimizer}), state=State(user=user))


def skeleton() -> etui.Model:
    """The model without elements."""
    return model(lambda _, array: absent(array.dtype.name, array.shape))


def whole() -> etui.Model:
    """The model as one process has it."""
    return model(lambda _, array: Tensor.of(array))


def rows(role: str, name: str, ranks: Iterable[int]) -> list[Box]:
    """A tensor cut along its first axis, one piece for each rank in turn."""
    array, found, at = CONTENT[role, name], [], 0
    pieces = list(ranks)
    for number, rank in enumerate(pieces):
        count = (len(array) - at) // (len(pieces) - number)
        found.append(Box(role, name, (at, *(0,) * (array.ndim - 1)), (count, *array.shape[1:]), rank))
        at += count
    return found


def whole_box(role: str, name: str, rank: int) -> Box:
    """A tensor that one rank has."""
    return Box(role, name, None, CONTENT[role, name].shape, rank)


SLOT = "optimizer/slots/dense/kernel/momentum"


def boxes() -> list[Box]:
    """Who has what of the model: rank 2 nothing of the optimizer, rank 3 nothing at all."""
    return [
        *rows("weights", "dense/kernel", (1, 0, 2)),
        *rows("weights", "dense/phase#parts", (2, 1)),
        Box("weights", "empty", (0, 0), (0, 3), 2),
        Box("weights", "empty", (0, 0), (0, 3), 1),
        Box("weights", "dense/kernel", (6, 0), (0, 4), 3),
        whole_box("weights", "scale", 0),
        *rows("optimizer", SLOT, (0, 1)),
        whole_box("state", "user/seen", 1),
    ]


def fetch(box: Box) -> Any:
    """The elements of a box."""
    array = CONTENT[box.role, box.name]
    at = box.offset or (0,) * array.ndim
    return array[tuple(slice(begin, begin + size) for begin, size in zip(at, box.shape, strict=True))]


def through_json(value: Any) -> Any:
    """What a process gets that is told a value as JSON."""
    return json.loads(json.dumps(value.to_json()))


def write_all(plan: GlobalPlan, place: Place, ranks: Iterable[int] = range(4), **options: Any) -> list[RankResult]:
    """What each rank says, told as JSON, after it has written."""
    said = []
    for rank in ranks:
        own = GlobalPlan.from_json(through_json(plan.for_rank(rank)))
        result = write_rank(own, rank, fetch, place_of(through_json(place)), **options)
        said.append(RankResult.from_json(through_json(result)))
    return said


def save(target: Path) -> str:
    """Save the model as four processes."""
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(target)
    return commit(plan, skeleton(), write_all(plan, place), place)


def documents(found: etui.Model) -> dict[str, Any]:
    """What a model says, with the elements of its tensors."""
    tensors = {(role, name): tensor.numpy() for role, name, tensor in found.stored_tensors()}
    assert found.weights is not None
    assert found.optimizer is not None
    assert found.state is not None
    one = found.optimizer.optimizers["optimizer"]
    variables = {path: (held.role, held.trainable) for path, held in found.weights.variables.items()}
    return {
        "tensors": {key: (array.dtype.name, array.shape, array.tobytes()) for key, array in tensors.items()},
        "weights": (list(found.weights), found.weights.aliases, variables),
        "optimizer": (one.algorithm, one.hyperparameters, one.step, one.groups, one.learning_rate),
        "state": {key: value for key, value in found.state.user.items() if not isinstance(value, Tensor)},
    }


@pytest.mark.clause("DW-8@981345")
def test_what_four_processes_write_is_what_one_would(tmp_path: Path) -> None:
    """Every document and every element is that of a save by one process, and the artifact passes full verification."""
    identity = save(tmp_path / "many")
    etui.save(whole(), tmp_path / "one.etui")
    with etui.open(tmp_path / "many") as many, etui.open(tmp_path / "one.etui") as one:
        assert documents(many) == documents(one)
    assert etui.verify(tmp_path / "many").identity == identity


@pytest.mark.clause("DW-1@b6c333", "DW-4@8f57b8")
def test_parts_are_numbered_by_rank(tmp_path: Path) -> None:
    """The data parts of a document are numbered by rank without a gap, and hold only what their rank has."""
    plan = GlobalPlan.of(skeleton(), boxes())
    assert {name: [box.rank for box in part.boxes] for name, part in plan.by_name.items()} == {
        "optimizer-00001-of-00002.safetensors": [0],
        "optimizer-00002-of-00002.safetensors": [1],
        "state.safetensors": [1],
        "weights-00001-of-00003.safetensors": [0, 0],
        "weights-00002-of-00003.safetensors": [1, 1, 1],
        "weights-00003-of-00003.safetensors": [2, 2],
    }
    assert [box.stored for box in plan.boxes(1)] == [
        f"{SLOT}@3,0",
        "user/seen",
        "dense/kernel@0,0",
        "dense/phase#parts@2,0",
        "empty",
    ]
    save(tmp_path / "many")
    assert {path.name for path in (tmp_path / "many").glob("*.safetensors")} == set(plan.by_name)


@pytest.mark.clause("DW-1@b6c333")
def test_a_process_fills_shards_as_one_that_is_alone(tmp_path: Path) -> None:
    """Asked for shards, a process starts a new part where the next tensor does not fit."""
    plan = GlobalPlan.of(skeleton(), boxes(), shard_size=36)
    assert {name: [box.stored for box in boxes] for name, boxes in plan.parts(0).items()} == {
        "optimizer-00001-of-00002.safetensors": [f"{SLOT}@0,0"],
        "weights-00001-of-00006.safetensors": ["dense/kernel@2,0"],
        "weights-00002-of-00006.safetensors": ["scale"],
    }
    place = FolderPlace.begin(tmp_path / "many")
    commit(plan, skeleton(), write_all(plan, place), place)
    etui.verify(tmp_path / "many")


@pytest.mark.clause("DW-3@fcf9c0")
def test_boxes_without_elements() -> None:
    """Empty boxes are left out, and of a tensor without elements the lowest rank that has one writes the whole."""
    plan = GlobalPlan.of(skeleton(), boxes())
    assert plan.ranks == [0, 1, 2]
    assert [box for box in plan.boxes(1) if box.name == "empty"] == [Box("weights", "empty", None, (0, 3), 1)]
    assert not [box for rank in (0, 2) for box in plan.boxes(rank) if box.name == "empty"]


WRONG: dict[str, tuple[list[Box], str]] = {
    "a gap": (rows("weights", "dense/kernel", (1, 0))[:1], "chunk-cover"),
    "nobody has it": ([], "chunk-cover"),
    "an overlap": (
        [*rows("weights", "dense/kernel", (0, 1)), Box("weights", "dense/kernel", (2, 0), (2, 4), 2)],
        "chunk-cover",
    ),
    "two have the whole": ([whole_box("weights", "dense/kernel", rank) for rank in (0, 1)], "chunk-cover"),
    "beyond the tensor": ([Box("weights", "dense/kernel", (0, 0), (7, 4), 0)], "chunk-form"),
    "another rank of the tensor": ([Box("weights", "dense/kernel", (0,), (6,), 0)], "chunk-form"),
    "before the tensor": ([Box("weights", "dense/kernel", (-1, 0), (7, 4), 0)], "chunk-form"),
    "no such tensor": ([Box("weights", "dense/bias", None, (4,), 0)], "distributed-misuse"),
    "no such process": ([whole_box("weights", "dense/kernel", -1)], "distributed-misuse"),
}


@pytest.mark.clause("DW-2@3597b1")
@pytest.mark.parametrize("case", WRONG)
def test_boxes_that_do_not_cover(case: str) -> None:
    """Boxes that leave a gap, overlap, or are of no tensor are refused by the plan, when nothing is written."""
    wrong, code = WRONG[case]
    others = [box for box in boxes() if box.name != "dense/kernel"]
    with pytest.raises(etui.EtuiError) as caught:
        GlobalPlan.of(skeleton(), [*others, *wrong])
    assert caught.value.code == code


def before(folder: Path) -> str:
    """Save an earlier artifact, and give its identity."""
    return etui.save(model(lambda _, array: Tensor.of(array), learning_rate=0.5), folder / "target", form="directory")


@pytest.mark.clause("DW-5@5f92e6", "DW-7@97de70")
def test_nothing_is_there_before_the_commit(tmp_path: Path) -> None:
    """Until the coordinator commits, the earlier artifact is as it was, and what was written is removed with it."""
    earlier = before(tmp_path)
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(tmp_path / "target")
    write_all(plan, place)
    assert etui.verify(tmp_path / "target").identity == earlier
    assert len(list(tmp_path.iterdir())) == 2
    place.abort()
    place.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert etui.verify(tmp_path / "target").identity == earlier


@pytest.mark.clause("DW-7@97de70")
def test_a_leftover_of_a_coordinator_that_died(tmp_path: Path) -> None:
    """What is left of a save whose coordinator is gone, cleaning removes; a rank that comes late finds no folder."""
    earlier = before(tmp_path)
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(tmp_path / "target")
    write_all(plan, place, [0, 1])
    told = through_json(place)
    # As the system does it at a process's end.
    assert place._writer is not None
    place._writer._transaction._held.close()
    assert [(one.kind, one.fate) for one in clean(tmp_path / "target")] == [("tmp", "removed")]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    with pytest.raises(etui.StorageError):
        write_rank(plan, 2, fetch, place_of(told))
    assert etui.verify(tmp_path / "target").identity == earlier


def _without(results: list[RankResult], rank: int) -> list[RankResult]:
    return [one for one in results if one.rank != rank]


def _dropped(results: list[RankResult]) -> list[RankResult]:
    """As if rank 1 had not written one of its tensors."""
    tree = through_json(results[1])
    tree["parts"]["weights-00002-of-00003.safetensors"][3].pop("empty")
    return [results[0], RankResult.from_json(tree), *results[2:]]


def _more(results: list[RankResult]) -> list[RankResult]:
    """As if rank 1 had written a tensor that nobody asked for."""
    tree = through_json(results[1])
    digests = tree["parts"]["weights-00002-of-00003.safetensors"][3]
    return (
        [results[0], RankResult.from_json(tree), *results[2:]] if digests.update(more=digests["empty"]) is None else []
    )


def _swapped(results: list[RankResult]) -> list[RankResult]:
    """As if rank 2 had written the parts of rank 1."""
    first, second = through_json(results[1]), through_json(results[2])
    first["parts"], second["parts"] = second["parts"], first["parts"]
    return [results[0], *map(RankResult.from_json, (first, second)), results[3]]


INCOMPLETE: dict[str, Callable[[list[RankResult]], list[RankResult]]] = {
    "a rank that said nothing": lambda results: _without(results, 2),
    "a rank that said it twice": lambda results: [*results, results[1]],
    "a tensor that was not written": _dropped,
    "a tensor that nobody planned": _more,
    "parts of another rank": _swapped,
}


@pytest.mark.clause("DW-6@a7c07d")
@pytest.mark.parametrize("case", INCOMPLETE)
def test_no_commit_without_everything(case: str, tmp_path: Path) -> None:
    """Where a process or a tensor is not there, the coordinator refuses, and the earlier artifact stays."""
    earlier = before(tmp_path)
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(tmp_path / "target")
    results = INCOMPLETE[case](write_all(plan, place))
    with pytest.raises(etui.UsageError) as caught:
        commit(plan, skeleton(), results, place)
    assert caught.value.code == "distributed-incomplete"
    place.abort()
    assert etui.verify(tmp_path / "target").identity == earlier
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.clause("DW-6@a7c07d")
@pytest.mark.parametrize("fault", ["part-missing", "part-size"])
def test_a_part_that_is_not_as_it_was_said(fault: str, tmp_path: Path) -> None:
    """A part that is gone or cut short before the commit is found by it, and the earlier artifact stays."""
    earlier = before(tmp_path)
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(tmp_path / "target")
    results = write_all(plan, place)
    part = Path(place.to_json()["folder"], "weights-00003-of-00003.safetensors")
    if fault == "part-missing":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(etui.IntegrityError) as caught:
        commit(plan, skeleton(), results, place)
    assert caught.value.code == fault
    assert etui.verify(tmp_path / "target").identity == earlier
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.library
def test_boxes_that_are_skipped(tmp_path: Path) -> None:
    """What ranks skip since it proves to be another tensor leaves no gap in the numbers of the parts."""
    tied = skeleton()
    assert tied.weights is not None
    extra = [Box("weights", "again", None, (6, 4), 3)]
    tied.weights.add("again", absent("float32", (6, 4)), role="kernel")
    plan = GlobalPlan.of(tied, [*boxes(), *extra])
    assert len(plan.parts(3)) == 1
    place = FolderPlace.begin(tmp_path / "many")
    results = write_all(plan, place, skip=[Box("weights", "again", None, (6, 4), 3)])
    commit(plan, skeleton(), results, place)
    etui.verify(tmp_path / "many")
    names = sorted(path.name for path in (tmp_path / "many").glob("weights-*"))
    assert names == [f"weights-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


@pytest.mark.library
def test_a_skipped_box_of_a_tensor_that_is_wanted(tmp_path: Path) -> None:
    """A tensor that ranks skipped, and the coordinator wants all the same, is one that was not written."""
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(tmp_path / "many")
    results = write_all(plan, place, skip=[whole_box("weights", "scale", 0)])
    with pytest.raises(etui.UsageError, match="scale"):
        commit(plan, skeleton(), results, place)
    place.abort()


@pytest.mark.library
@pytest.mark.parametrize("array", [KERNEL.astype(np.float64), KERNEL.T.copy()], ids=["dtype", "shape"])
def test_elements_that_are_not_as_planned(array: Any, tmp_path: Path) -> None:
    """A process whose elements have another dtype or shape than planned is refused before the commit."""
    plan = GlobalPlan.of(skeleton(), [*rows("weights", "dense/kernel", (0,)), *boxes()[3:]])
    place = FolderPlace.begin(tmp_path / "many")
    with pytest.raises(etui.UsageError) as caught:
        write_rank(plan, 0, lambda box: array if box.name == "dense/kernel" else fetch(box), place)
    assert caught.value.code == "tensor-promise"
    place.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.library
def test_elements_are_not_looked_at_elsewhere(tmp_path: Path) -> None:
    """The skeleton's tensors have no elements, and only the coordinator can commit."""
    with pytest.raises(etui.UsageError) as caught:
        absent("float32", (2,)).numpy()
    assert caught.value.code == "distributed-misuse"
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(tmp_path / "many")
    results = write_all(plan, place)
    with pytest.raises(etui.UsageError) as caught:
        commit(plan, skeleton(), results, place_of(through_json(place)))
    assert caught.value.code == "distributed-misuse"
    commit(plan, skeleton(), results, place)


@pytest.mark.library
def test_progress(tmp_path: Path) -> None:
    """Each process tells how much of its own bytes it has written."""
    plan, place = GlobalPlan.of(skeleton(), boxes()), FolderPlace.begin(tmp_path / "many")
    seen: list[tuple[str, int, int]] = []
    write_rank(plan, 1, fetch, place, lambda *now: seen.append(now))
    total = sum(fetch(box).nbytes for box in plan.boxes(1))
    assert seen[-1] == ("weights-00002-of-00003.safetensors", total, total)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    place.abort()


@pytest.mark.library
def test_a_plan_has_its_limits() -> None:
    """More chunks or parts than an artifact may have are refused by the plan."""
    for limit in ("chunk_corners", "parts"):
        with pytest.raises(etui.LimitError):
            GlobalPlan.of(skeleton(), boxes(), limits=replace(DEFAULT_LIMITS, **{limit: 2}))


@pytest.mark.library
def test_what_is_no_artifact_is_not_replaced(tmp_path: Path) -> None:
    """A target that is something else is refused before any process writes."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(etui.StorageError) as caught:
            FolderPlace.begin(tmp_path / name)
        assert caught.value.code == "target-not-etui"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def save_step(series: Series, number: int, **options: Any) -> str:
    """Save the model as a step, as four processes."""
    plan, place = GlobalPlan.of(skeleton(), boxes()), SeriesPlace.begin(series, number, **options)
    return commit(plan, skeleton(), write_all(plan, place), place)


@pytest.mark.clause("DW-8@981345")
def test_a_step_of_a_series(tmp_path: Path) -> None:
    """A step that four processes wrote is the artifact that they make in a folder, and shares what did not change."""
    series = Series(tmp_path / "series")
    identity = save_step(series, 3, metrics={"loss": 0.5})
    assert identity == save(tmp_path / "many")
    assert (series[3].identity, series[3].metrics) == (identity, {"loss": 0.5})
    with series[3].open() as step, etui.open(tmp_path / "many") as folder:
        assert documents(step) == documents(folder)
    objects = {one.digest for one in series.store.objects()}
    save_step(series, 4)
    assert {one.digest for one in series.store.objects()} == objects
    assert len(series.verify()) == 2
    assert series.collect().objects == 0


@pytest.mark.clause("DW-7@97de70", "DW-9@754e6a")
def test_a_step_that_is_not_committed(tmp_path: Path) -> None:
    """Until its record is there a step is none, no garbage is collected meanwhile, and afterwards all of it is."""
    series = Series(tmp_path / "series")
    identity = save_step(series, 3)
    kept = {one.digest for one in series.store.objects()}
    plan, place = GlobalPlan.of(skeleton(), boxes()), SeriesPlace.begin(series, 4)
    with pytest.raises(etui.StorageError) as caught:
        series.collect()
    assert caught.value.code == "series-busy"
    changed = place_of(through_json(place))
    write_rank(plan, 0, lambda box: fetch(box) + 1, changed)
    assert {one.digest for one in series.store.objects()} > kept
    place.abort()
    assert [step.identity for step in series.steps()] == [identity]
    assert series.collect().objects > 0
    assert {one.digest for one in series.store.objects()} == kept
    series.verify()


@pytest.mark.clause("DW-6@a7c07d")
@pytest.mark.parametrize("fault", ["part-missing", "part-size", "no layout", "another layout"])
def test_an_object_that_is_not_as_it_was_said(fault: str, tmp_path: Path) -> None:
    """A layout or an object that is gone, cut short or another one is found by the commit, and no step is made."""
    series = Series(tmp_path / "series")
    identity = save_step(series, 3)
    plan, place = GlobalPlan.of(skeleton(), boxes()), SeriesPlace.begin(series, 4)
    results = write_all(plan, place)
    part = "weights-00003-of-00003.safetensors"
    tree = through_json(next(one for one in results if part in one.parts))
    layout = tree["extra"][part]
    store = series.store
    content = json.loads(bytes(store.source(layout).view(0, store.source(layout).size)))
    (name,) = content["objects"]
    if fault == "part-missing":
        store.remove(name)
    elif fault == "part-size":
        path = tmp_path / "series" / "objects" / "sha256" / name[7:9] / name[9:]
        path.write_bytes(path.read_bytes()[:-1])
    elif fault == "no layout":
        store.remove(layout)
    else:
        first = next(one for one in results if one.rank == 0)
        tree["extra"][part] = first.extra["weights-00001-of-00003.safetensors"]
        results = [*_without(results, tree["rank"]), RankResult.from_json(tree)]
    with pytest.raises(etui.IntegrityError) as caught:
        commit(plan, skeleton(), results, place)
    assert caught.value.code == {"no layout": "part-missing", "another layout": "part-size"}.get(fault, fault)
    assert [(step.number, step.identity) for step in series.steps()] == [(3, identity)]
    with pytest.raises(etui.UsageError) as again:  # the lock is gone, too
        commit(plan, skeleton(), results, place)
    assert again.value.code == "distributed-misuse"


@pytest.mark.library
def test_a_series_stays_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others are told of a series by a relative path is its place, wherever the coordinator works by then."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    series = Series("series")
    monkeypatch.chdir(tmp_path / "elsewhere")
    identity = save_step(series, 1)
    assert Series(tmp_path / "series", create=False)[1].identity == identity
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.library
@pytest.mark.parametrize("resident", [True, False])
def test_large_tensors_of_a_step_wait_for_none_that_lie_in_memory(
    resident: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tensors that lie in memory are handed over before the first is stored; of those that are made, few are."""
    monkeypatch.setattr(data_objects, "_MADE_BYTES", 1)
    names = [f"w{number}" for number in range(6)]
    shape = (data_objects.OBJECT_BYTES // 4,)
    large = etui.Model(weights=Weights())
    assert large.weights is not None
    for name in names:
        large.weights.add(name, absent("float32", shape), role="kernel")
    plan = GlobalPlan.of(large, [Box("weights", name, None, shape, 0) for name in names])
    arrays = {name: np.full(shape, number, np.float32) for number, name in enumerate(names)}
    asked: list[str] = []
    most: list[int] = []
    stored: list[int] = []
    done: list[str] = []
    opened = Event()
    put = LocalObjects.put

    def waiting(self: LocalObjects, name: str, size: int, buffers: Any) -> None:
        if size >= data_objects.OBJECT_BYTES:
            most.append(len(asked))
            opened.wait(10 if resident else 0)
        put(self, name, size, buffers)
        done.append(name)

    def fetched(box: Box) -> Any:
        asked.append(box.name)
        if len(set(asked)) == len(names):
            stored.append(len(done))
            opened.set()
        return arrays[box.name]

    monkeypatch.setattr(LocalObjects, "put", waiting)
    place = SeriesPlace.begin(tmp_path / "series", 1)
    result = write_rank(plan, 0, fetched, place, resident=lambda _: resident)
    assert len(most) == len(names)
    if resident:
        assert stored[0] == 0  # when the last one was asked for
    else:
        assert most == sorted(most)
        assert most[0] <= 2
    commit(plan, large, [result], place)
    with Series(tmp_path / "series")[1].open() as step:
        assert step.weights is not None
        for name, array in arrays.items():
            assert step.weights[name].numpy().tobytes() == array.tobytes()


@pytest.mark.library
def test_a_step_that_is_there_already(tmp_path: Path) -> None:
    """A step is replaced only where the caller says so, and rules of retention hold after a distributed save too."""
    series = Series(tmp_path / "series", keep=Retention(last=2))
    save_step(series, 1)
    with pytest.raises(etui.UsageError) as caught:
        SeriesPlace.begin(series, 1)
    assert caught.value.code == "series-exists"
    save_step(series, 1, replace=True)
    save_step(series, 2)
    save_step(series, 3)
    assert [step.number for step in series.steps()] == [2, 3]


@pytest.mark.library
@pytest.mark.parametrize("code", ERROR_CODES)
def test_an_error_is_told_to_other_processes(code: str) -> None:
    """Every error is the same one after pickle: processes send what they raise to those that wait for them."""
    fault = error(code, where="there", found="that", hint="Do so.")
    fault.add_note("and this")
    if isinstance(fault, OSError):
        fault.errno = 28
    again = pickle.loads(pickle.dumps(fault))
    assert type(again) is type(fault)
    assert (again.as_json(), again.__notes__) == (fault.as_json(), fault.__notes__)
    assert getattr(again, "errno", None) == getattr(fault, "errno", None)
