"""Weights files: `.weights.h5`, and the index of several of them (SPEC.md, annex D)."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import etui
from etui import bridges, conversion
from etui.bridges.keras.weights import file as weights_file
from etui.limits import Limits
from etui.report import Report

ADAM_SLOTS: dict[str, Any] = {
    "optimizer/vars/0": np.int64(3),
    "optimizer/vars/1": np.float32(0.125),
}


def arrays_of(kit: Any) -> dict[str, Any]:
    """The variables of the kit's dense model, and an Adam that trained it."""
    found = dict(kit.dense_arrays())
    number = 2
    slots = dict(ADAM_SLOTS)
    for array in list(found.values()):
        for fill in (1.0, 2.0):
            slots[f"optimizer/vars/{number}"] = np.full(array.shape, fill, "float32")
            number += 1
    return found | slots


def write_h5(path: Path, arrays: dict[str, Any], names: dict[str, str] | None = None) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        for group, text in (names or {}).items():
            file.require_group(f"{group}/vars").attrs["name"] = text
    return path


def write_index(folder: Path, shards: dict[str, dict[str, Any]], name: str = "made.weights.json") -> Path:
    """Data files and the index that names them."""
    listed: dict[str, list[str]] = {}
    for shard, arrays in shards.items():
        write_h5(folder / shard, arrays)
        for path in arrays:
            files = listed.setdefault(f"/{path.rpartition('/')[0]}", [])
            if shard not in files:
                files.append(shard)
    index = folder / name
    index.write_text(json.dumps({"metadata": {"total_size": 0.0}, "weight_map": listed}))
    return index


def content(path: Path) -> dict[str, Any]:
    """Groups with attributes, and arrays with dtype, shape and bytes, over all files of a set."""
    names = [path]
    if path.suffix == ".json":
        listed = json.loads(path.read_text())["weight_map"]
        names = sorted({path.with_name(name) for files in listed.values() for name in files})
    found: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        attrs = dict(item.attrs)
        if isinstance(item, h5py.Dataset):
            assert name not in found
            found[name] = (attrs, str(item.dtype), item.shape, item[()].tobytes())
        else:
            found[name] = (found.get(name, ({},))[0] | attrs,)

    for name in names:
        with h5py.File(name) as file:
            file.visititems(take)
    return found


def read(path: Path, config: Path | None = None, report: Report | None = None) -> etui.Model:
    return conversion.read(path, config=config, report=report)[0]


def code_of(path: Path, **options: Any) -> str | None:
    """The code with which a file is refused."""
    try:
        read(path, **options).close()
    except etui.RejectError as refusal:
        return refusal.code
    return None


def values(model: etui.Model) -> dict[str, Any]:
    assert model.weights is not None
    return {path: variable.numpy().tobytes() for path, variable in model.weights.variables.items()}


@pytest.fixture
def compiled(kit: Any) -> Path:
    """A `.keras` file of the dense model, compiled with Adam, with all its state."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam")))
    path: Path = kit.write(tree, arrays_of(kit))
    return path


@pytest.fixture
def plain(kit: Any, tmp_path: Path) -> Path:
    """A `.weights.h5` file of the same."""
    names = {"layers/dense": "first", "layers/dense_1": "second", "optimizer": "adam", "": "model"}
    return write_h5(tmp_path / "plain.weights.h5", arrays_of(kit), names)


@pytest.fixture
def sharded(kit: Any, tmp_path: Path) -> Path:
    """An index of three files; two groups span files."""
    arrays = list(arrays_of(kit).items())
    folder = tmp_path / "sharded"
    folder.mkdir()
    parts = {f"made_{at:05}.weights.h5": dict(arrays[at * 5 : at * 5 + 5]) for at in range(3)}
    assert sum(map(len, parts.values())) == len(arrays)
    return write_index(folder, parts)


# Recognition


@pytest.mark.library
def test_files_are_known_by_their_content(plain: Path, sharded: Path, tmp_path: Path) -> None:
    """A weights file and an index of such are told by what is in them, under any name."""
    for path in (plain, sharded):
        other = path.rename(path.with_name("other"))
        found = bridges.recognise(other)
        assert found is not None
        assert found.name == "keras-weights"
    legacy = tmp_path / "legacy.h5"
    with h5py.File(legacy, "w") as file:
        file.attrs["layer_names"] = ["dense"]
        file.create_dataset("dense/dense/kernel:0", data=np.zeros(2))
    empty = tmp_path / "empty.h5"
    empty.write_bytes(b"")
    other = tmp_path / "other.json"
    other.write_text('{"weights": {}}')
    assert not any(map(weights_file.recognises, [legacy, empty, other, tmp_path, tmp_path / "absent"]))


# With a config


@pytest.mark.clause("KW-6@64a7e4")
@pytest.mark.parametrize("form", ["plain", "sharded"])
def test_a_config_makes_it_the_whole_model(
    request: pytest.FixtureRequest, form: str, compiled: Path, tmp_path: Path
) -> None:
    """Config, weights, training config and optimizer state are those of the `.keras` file of the same model."""
    source = request.getfixturevalue(form)
    report = etui.convert(source, tmp_path / "found.etui", config=compiled)
    assert report.ok
    etui.convert(compiled, tmp_path / "whole.etui", native=False)
    found = etui.diff(tmp_path / "whole.etui", tmp_path / "found.etui")
    assert found.tensors >= 10
    differing = {change.area for change in found.changes}
    # The file of the fixture names no groups.
    assert differing <= ({"config", "layout"} if form == "sharded" else {"layout", "config"})
    with etui.open(tmp_path / "found.etui") as model:
        assert model.optimizer is not None
        adam = model.optimizer.optimizers["optimizer"]
        assert adam.step == 3
        assert set(adam.slots) == {"first/kernel", "first/bias", "second/kernel", "second/bias"}
        assert all(set(slots) == {"momentum", "velocity"} for slots in adam.slots.values())
        assert (adam.slots["second/bias"]["velocity"].numpy() == 2).all()


@pytest.mark.clause("KW-6@64a7e4")
def test_the_optimizer_of_a_config_may_have_no_state(kit: Any, compiled: Path, tmp_path: Path) -> None:
    """A weights file without the optimizer gives the optimizer that the config has, and the report says so."""
    path = write_h5(tmp_path / "bare.weights.h5", kit.dense_arrays())
    report = Report()
    with read(path, compiled, report) as model:
        assert model.optimizer is not None
        assert model.optimizer.optimizers["optimizer"].slots == {}
    assert [entry.status for entry in report.entries if entry.kind == "optimizer"] == ["fresh"]


@pytest.mark.clause("KW-21@b27f44")
def test_weights_of_another_model_do_not_pass(kit: Any, tmp_path: Path) -> None:
    """Layers without variables are missing, variables without layers unexpected, and strict conversion is refused."""
    layers = [
        kit.input("start", 4, 2),
        kit.layer("LSTM", "lstm", units=2),
        kit.layer("Dense", "first", units=3),
        kit.layer("BatchNormalization", "norm", axis=-1, center=True, scale=True),
        kit.layer("Dropout", "drop", rate=0.5),
    ]
    config = tmp_path / "other.json"
    config.write_text(json.dumps(kit.sequential(layers)))
    path = write_h5(tmp_path / "x.weights.h5", kit.dense_arrays())
    report = Report()
    with pytest.raises(etui.TransferError) as caught:
        etui.convert(path, tmp_path / "whole.keras", config=config, report=report)
    assert caught.value.code == "not-complete"
    assert {entry.subject for entry in report.entries if entry.status == "missing"} == {"lstm", "norm"}
    assert {entry.subject for entry in report.entries if entry.status == "unexpected"} == {"dense_1/0", "dense_1/1"}
    assert not (tmp_path / "whole.keras").exists()


@pytest.mark.clause("KW-22@745ff4")
def test_the_assets_come_with_the_config(kit: Any, tmp_path: Path) -> None:
    """A vocabulary in the archive that the config is taken from is that of the model, and is written again."""
    tree = kit.dense_model()
    tree["config"]["layers"].insert(1, kit.layer("StringLookup", "words"))
    member = {"assets/layers/string_lookup/vocabulary.txt": b"a\nb"}
    config = kit.write(tree, kit.dense_arrays(), members=member)
    path = write_h5(tmp_path / "x.weights.h5", kit.dense_arrays())
    report = Report()
    with read(path, config, report) as model:
        assert {name: blob.read() for name, blob in model.assets.items()} == {"assets/words/vocabulary.txt": b"a\nb"}
    assert [entry.status for entry in report.entries if entry.kind == "asset"] == ["restored"]
    etui.convert(path, tmp_path / "whole.keras", config=config)
    with zipfile.ZipFile(tmp_path / "whole.keras") as archive:
        assert {name: archive.read(name) for name in member} == member


METRICS: list[tuple[Any, dict[str, tuple[int, ...]]]] = [
    (None, {}),
    (["accuracy"], {"mean_metric_wrapper": ()}),
    ([["mse"]], {"mean_metric_wrapper": ()}),
    ([{"module": "builtins", "class_name": "function", "config": "mine", "registered_name": "function"}],
     {"mean_metric_wrapper": ()}),
    ([{"module": "keras.metrics", "class_name": "AUC", "config": {"num_thresholds": 7}, "registered_name": None}],
     {"auc": (7,)}),
    ([{"module": "keras.metrics", "class_name": "Recall", "config": {"thresholds": [0.5, 1]}, "registered_name": None},
      "RootMeanSquaredError"], {"recall": (2,), "root_mean_squared_error": ()}),
]  # fmt: skip


@pytest.mark.clause("KW-23@6ac69f")
@pytest.mark.parametrize(("metrics", "groups"), METRICS)
def test_metrics_without_state_begin_anew(
    kit: Any, tmp_path: Path, metrics: Any, groups: dict[str, tuple[int, ...]]
) -> None:
    """A file for tf_keras has zeros for the loss and for each metric of the compiled model."""
    compiled = kit.compiled(kit.optimizer("Adam"), metrics=metrics)
    source = kit.write(kit.dense_model(compiled=compiled), kit.dense_arrays(), version="2.15.0")
    target = tmp_path / "out.weights.h5"
    report = etui.convert(source, target, dialect="tf_keras")
    assert report.ok
    expected = {"mean": ()} | groups
    with h5py.File(target) as file:
        assert set(file["metrics"]) == set(expected)
        for group, shape in expected.items():
            found = file[f"metrics/{group}/vars"]
            assert len(found) == (4 if group == "auc" else 2)
            assert all(one.shape == shape and one.dtype == "float32" and not np.any(one[()]) for one in found.values())


@pytest.mark.clause("KW-23@6ac69f")
@pytest.mark.parametrize(
    "metric",
    [
        {"module": "mine", "class_name": "Mine", "config": {}, "registered_name": "mine>Mine"},
        {"module": "keras.metrics", "class_name": "AUC", "config": {"num_thresholds": 10**12}, "registered_name": None},
        {"module": "keras.metrics", "class_name": "AUC", "config": {"num_thresholds": "7"}, "registered_name": None},
    ],
)
def test_metrics_of_unknown_state_are_told(kit: Any, tmp_path: Path, metric: Any) -> None:
    """Where the state of a metric does not follow from the config, the file has none, and the report says so."""
    compiled = kit.compiled(kit.optimizer("Adam"), metrics=[metric])
    source = kit.write(kit.dense_model(compiled=compiled), kit.dense_arrays(), version="2.15.0")
    target = tmp_path / "out.weights.h5"
    report = etui.convert(source, target, dialect="tf_keras")
    assert [entry.status for entry in report.entries if entry.subject == "metrics"] == ["reset"]
    with h5py.File(target) as file:
        assert "metrics" not in file


@pytest.mark.clause("KW-23@6ac69f")
def test_each_output_has_a_loss_of_its_own(kit: Any, tmp_path: Path) -> None:
    """With several outputs there is a mean for the loss of each that has one, and a metric for all is one of each."""
    layers = [
        kit.input("start", 4),
        kit.layer("Dense", "first", units=3) | {"inbound_nodes": [[["start", 0, 0, {}]]]},
        kit.layer("Dense", "second", units=2) | {"inbound_nodes": [[["first", 0, 0, {}]]]},
    ]
    layers = [{"name": one["config"]["name"], "inbound_nodes": []} | one for one in layers]
    tree = kit.functional(layers, [["start", 0, 0]], [["first", 0, 0], ["second", 0, 0]])
    tree["compile_config"] = kit.compiled(
        kit.optimizer("Adam"), loss={"second": "mse"}, metrics=["mae"], weighted_metrics={"first": ["mae", "mse"]}
    )
    source = kit.write(tree, kit.dense_arrays(), version="2.15.0")
    target = tmp_path / "out.weights.h5"
    assert etui.convert(source, target, dialect="tf_keras").ok
    with h5py.File(target) as file:
        wrappers = [f"mean_metric_wrapper{number}" for number in ("", "_1", "_2", "_3")]
        assert set(file["metrics"]) == {"mean", "mean_1", *wrappers}


@pytest.mark.clause("KW-7@f6a7ec")
def test_the_old_name_of_the_layers_is_known(kit: Any, compiled: Path, tmp_path: Path) -> None:
    """The group that Keras 2.12 wrote gives the same variables."""
    new = write_h5(tmp_path / "new.weights.h5", kit.dense_arrays())
    old = {name.replace("layers/", "_layer_checkpoint_dependencies/"): one for name, one in kit.dense_arrays().items()}
    with read(new, compiled) as one, read(write_h5(tmp_path / "old.weights.h5", old), compiled) as two:
        assert values(one) == values(two)
        assert len(values(one)) == 4


@pytest.mark.clause("KW-9@e76505")
def test_an_optimizer_that_the_config_lacks_is_kept_by_number(kit: Any, plain: Path, tmp_path: Path) -> None:
    """Its arrays are in the state and in the report, and are written back."""
    config = kit.write(kit.dense_model(), kit.dense_arrays())
    report = etui.convert(plain, tmp_path / "found.etui", config=config)
    kept = {entry.subject for entry in report.entries if entry.kind == "slot" and entry.status == "data-only"}
    assert kept == {name for name in arrays_of(kit) if name.startswith("optimizer/")}
    with etui.open(tmp_path / "found.etui") as model:
        assert model.optimizer is None
        assert model.state is not None
        assert set(model.state.residue["keras"]["weights_file"]["datasets"]) == kept
    etui.convert(tmp_path / "found.etui", tmp_path / "back.weights.h5")
    assert content(tmp_path / "back.weights.h5") == content(plain)
    with pytest.raises(etui.TransferError) as caught:
        etui.convert(tmp_path / "found.etui", tmp_path / "lost.keras")
    assert caught.value.code == "not-complete"


# Without a config


@pytest.mark.clause("KW-8@4c8a81", "KW-9@e76505")
def test_without_a_config_variables_are_named_after_their_groups(plain: Path) -> None:
    """Paths, roles and flags follow from the groups; the optimizer's arrays keep their numbers."""
    report = Report()
    with read(plain, report=report) as model:
        assert model.weights is not None
        assert list(model.weights) == ["layers/dense/0", "layers/dense/1", "layers/dense_1/0", "layers/dense_1/1"]
        assert [variable.role for variable in model.weights.variables.values()] == ["0", "1", "0", "1"]
        assert model.config is None
        assert model.optimizer is None
        assert model.state is not None
        kept = model.state.residue["keras"]["weights_file"]["datasets"]
        assert list(kept) == [f"optimizer/vars/{number}" for number in range(10)]
        assert int(kept["optimizer/vars/0"].numpy()) == 3
    assert sum(entry.kind == "slot" and entry.status == "data-only" for entry in report.entries) == 10


@pytest.mark.clause("KW-8@4c8a81")
def test_flags_without_a_config_are_guessed_by_the_group(tmp_path: Path) -> None:
    """What a built-in class of the group's name does not train, and whole numbers, are not trainable."""
    arrays = {f"layers/batch_normalization_2/vars/{number}": np.zeros(3, "float32") for number in range(4)}
    arrays |= {"layers/own/vars/0": np.zeros(2, "float32"), "layers/own/vars/1": np.zeros(2, "int32")}
    with read(write_h5(tmp_path / "flags.weights.h5", arrays)) as model:
        assert model.weights is not None
        flags = {path: variable.trainable for path, variable in model.weights.variables.items()}
    assert flags == {
        "layers/batch_normalization_2/0": True,
        "layers/batch_normalization_2/1": True,
        "layers/batch_normalization_2/2": False,
        "layers/batch_normalization_2/3": False,
        "layers/own/0": True,
        "layers/own/1": False,
    }


@pytest.mark.clause("KW-10@272de4")
def test_the_state_of_metrics_is_known_without_a_config(tmp_path: Path) -> None:
    """Arrays of tf_keras' metrics become the state of the metric of that name."""
    arrays = {"metrics/mean/vars/0": np.float32(6), "metrics/mean/vars/1": np.float32(2)}
    path = write_h5(tmp_path / "metrics.weights.h5", arrays | {"layers/dense/vars/0": np.zeros(2)})
    with read(path) as model:
        assert model.state is not None
        assert {key: float(one.numpy()) for key, one in model.state.metrics["mean"].items()} == {"0": 6, "1": 2}


ODD_NAMES = {
    "vars/0": np.zeros(2, "float32"),
    "vars/kernel": np.ones(2, "float32"),
    "layers/vars/vars/0": np.ones(3, "float32"),
    "layers/dense/vars/10": np.ones(1, "float32"),
    "layers/dense/vars/2": np.ones(2, "int8"),
    "layers/dense/0": np.ones(4, "float32"),
    "layers/a#b/vars/x%y": np.ones(5, "float16"),
    "elsewhere/deep/array": np.float64(1),
    "0": np.float32(3),
    "metrics/a#b/vars/0": np.float32(3),
    "layers/functional/optimizer/vars/0": np.int64(1),
}


@pytest.mark.clause("KW-11@fcc4b2")
@pytest.mark.parametrize("suffix", [".weights.h5", ".weights.json"])
def test_what_was_read_without_a_config_is_written_back(tmp_path: Path, suffix: str) -> None:
    """Groups, attributes, names, dtypes, shapes and bits are the same, by way of an artifact, whatever the names."""
    source = write_h5(tmp_path / "odd.weights.h5", ODD_NAMES, {"layers/empty": "empty", "layers/dense": "dense_7"})
    etui.convert(source, tmp_path / "odd.etui")
    etui.convert(tmp_path / "odd.etui", tmp_path / f"back{suffix}")
    assert content(tmp_path / f"back{suffix}") == content(source)
    with etui.open(tmp_path / "odd.etui") as model:
        assert model.weights is not None
        assert "layers/dense/10" in model.weights
        assert model.weights["layers%2Fdense%2F0"].role == "data"


@pytest.mark.library
def test_a_dialect_needs_a_config(plain: Path, tmp_path: Path) -> None:
    """Weights that no config explains are written as they are, and in no other terms."""
    with pytest.raises(etui.TransferError) as caught:
        etui.convert(plain, tmp_path / "new.weights.h5", dialect="tf_keras")
    assert caught.value.code == "weights-layout"
    assert not (tmp_path / "new.weights.h5").exists()


@pytest.mark.library
def test_two_variables_with_one_place_are_refused(plain: Path, tmp_path: Path) -> None:
    """An array that was added to what was read must not take the place of another."""
    with read(plain) as model:
        assert model.weights is not None
        model.weights.add("layers%2Fdense%2Fvars%2F0", etui.Tensor.of([1.0]), role="data")
        with pytest.raises(etui.TransferError) as caught:
            weights_file.write(model, tmp_path / "new.weights.h5", Report(), strict=True)
    assert caught.value.code == "keras-variables"


@pytest.mark.library
def test_names_of_another_format_have_no_place(tmp_path: Path) -> None:
    """Weights without a config, and not of a weights file, are refused with a hint at the option."""
    model = etui.Model(weights=etui.Weights())
    assert model.weights is not None
    model.weights.add("dense/kernel", etui.Tensor.of([1.0]), role="kernel")
    with pytest.raises(etui.TransferError, match="--config") as caught:
        weights_file.write(model, tmp_path / "new.weights.h5", Report(), strict=True)
    assert caught.value.code == "weights-layout"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.library
def test_a_config_without_weights_gives_no_weights_file(kit: Any, tmp_path: Path) -> None:
    """A model of which only the config is known is refused, and nothing is written."""
    with read(kit.write(kit.dense_model(), kit.dense_arrays())) as model:
        model.weights = None
        with pytest.raises(etui.TransferError) as caught:
            weights_file.write(model, tmp_path / "new.weights.h5", Report(), strict=True)
    assert caught.value.code == "keras-parts"
    assert not (tmp_path / "new.weights.h5").exists()


# Writing


@pytest.mark.clause("KW-12@100395", "K-62@1a29ed")
def test_the_same_model_gives_the_same_bytes(compiled: Path, tmp_path: Path) -> None:
    """Both forms, and a `.keras` file, are the same bytes at each writing, by whatever way the model came."""
    etui.convert(compiled, tmp_path / "whole.etui")
    folders = []
    for at, source in enumerate([compiled, tmp_path / "whole.etui", compiled]):
        folder = tmp_path / str(at)
        folder.mkdir()
        etui.convert(source, folder / "a.weights.h5")
        etui.convert(source, folder / "b.weights.json", shard_size=100)
        etui.convert(source, folder / "c.keras")
        folders.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert folders[0] == folders[1] == folders[2]
    assert len(folders[0]) > 5


@pytest.mark.clause("KW-12@100395")
@pytest.mark.parametrize(("shard_size", "files"), [(None, 1), (48, 6), (64, 5)])
def test_an_index_has_as_many_files_as_the_size_demands(
    compiled: Path, tmp_path: Path, shard_size: int | None, files: int
) -> None:
    """Arrays are cut among files of at most so many bytes, and together they are what one file holds."""
    etui.convert(compiled, tmp_path / "one.weights.h5")
    etui.convert(compiled, tmp_path / "many.weights.json", shard_size=shard_size)
    data = sorted(path.name for path in tmp_path.glob("many_*"))
    assert len(data) >= files + 1
    assert data[0] == "many_00000.weights.h5"
    assert content(tmp_path / "many.weights.json") == content(tmp_path / "one.weights.h5")
    for name in data:
        sizes = [len(found[3]) for found in content(tmp_path / name).values() if len(found) > 1]
        assert shard_size is None or sum(sizes) <= shard_size
        assert bool(sizes) == (name != data[0])


@pytest.mark.library
@pytest.mark.parametrize(
    ("name", "size"), [("a.weights.h5", 100), ("a.weights.json", 40), ("a.weights.json", 0)], ids=["one", "small", "0"]
)
def test_a_size_that_cannot_be_kept_is_refused(compiled: Path, tmp_path: Path, name: str, size: int) -> None:
    """A single file has no shards, and no array is cut."""
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(compiled, tmp_path / name, shard_size=size)
    assert caught.value.code == "writer-misuse"
    assert list(tmp_path.glob("a*")) == []


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("set")}


@pytest.fixture
def changed(kit: Any) -> Path:
    """The same model with other weights."""
    arrays = {name: array + np.asarray(1, array.dtype) for name, array in arrays_of(kit).items()}
    path: Path = kit.write(kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam"))), arrays)
    return path


@pytest.mark.clause("KW-13@8fe7f7")
@pytest.mark.parametrize("fails_at", range(1, 9))
def test_a_failure_leaves_the_earlier_set(
    compiled: Path, changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """Wherever a write fails before the index is in its place, the files are those of before."""
    target = tmp_path / "set.weights.json"
    etui.convert(compiled, target, shard_size=64)
    before = files_of(tmp_path)
    count = 0
    genuine = os.fsync

    def failing(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == fails_at:
            raise OSError(28, "No space left on device")
        genuine(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(etui.StorageError):
        etui.convert(changed, target, shard_size=64)
    monkeypatch.setattr(os, "fsync", genuine)
    assert files_of(tmp_path) == before
    assert content(target) != {}


@pytest.mark.clause("KW-13@8fe7f7")
def test_an_earlier_set_is_replaced_and_removed(compiled: Path, changed: Path, tmp_path: Path) -> None:
    """After a write there are the files of the new set alone, and files of other names stay."""
    target = tmp_path / "set.weights.json"
    (tmp_path / "settings.txt").write_text("mine")
    etui.convert(compiled, target, shard_size=64)
    etui.convert(changed, target)
    named = {name for files in json.loads(target.read_text())["weight_map"].values() for name in files}
    assert set(files_of(tmp_path)) == {"settings.txt", "set.weights.json", "set_00000.weights.h5", *named}
    with read(target, changed) as one, read(changed) as two:
        assert values(one) == values(two)


@pytest.mark.clause("KW-13@8fe7f7")
def test_a_file_that_keras_made_is_replaced_last(kit: Any, compiled: Path, tmp_path: Path) -> None:
    """A set with data in its file of the number 0 becomes one without, and files that it names elsewhere stay."""
    arrays = kit.dense_arrays()
    write_h5(tmp_path / "mine.weights.h5", {"layers/dense/vars/0": arrays["layers/dense/vars/0"]})
    target = write_index(tmp_path, {"set_00000.weights.h5": arrays}, "set.weights.json")
    listed = json.loads(target.read_text())
    listed["weight_map"]["/layers/dense_9/vars"] = "mine.weights.h5"
    target.write_text(json.dumps(listed))
    etui.convert(compiled, target)
    assert (tmp_path / "mine.weights.h5").exists()
    with h5py.File(tmp_path / "set_00000.weights.h5") as file:
        assert list(file) == []
    assert code_of(target) is None


@pytest.mark.library
def test_tf_keras_has_no_index(kit: Any, tmp_path: Path) -> None:
    """An index is one of Keras 3, whatever the model, and is refused for tf_keras."""
    source = kit.write(kit.dense_model(), kit.dense_arrays(), version="2.15.0")
    etui.convert(source, tmp_path / "many.weights.json")
    assert len(content(tmp_path / "many.weights.json")) > 4
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(source, tmp_path / "more.weights.json", dialect="tf_keras")
    assert caught.value.code == "writer-misuse"


@pytest.mark.library
def test_a_dialect_puts_the_optimizer_in_its_terms(kit: Any, compiled: Path, tmp_path: Path) -> None:
    """tf_keras stores no learning rate and names no groups; the rest is the same, and the way back gives it again."""
    etui.convert(compiled, tmp_path / "new.weights.h5")
    etui.convert(compiled, tmp_path / "old.weights.h5", dialect="tf_keras")
    new, old = content(tmp_path / "new.weights.h5"), content(tmp_path / "old.weights.h5")
    assert len([name for name in new if name.startswith("optimizer/vars/")]) == 10
    assert len([name for name in old if name.startswith("optimizer/vars/")]) == 9
    assert not any(found[0] for found in old.values())
    assert {name: found for name, found in new.items() if name.startswith("layers/") and len(found) > 1} == {
        name: found for name, found in old.items() if name.startswith("layers/") and len(found) > 1
    }


@pytest.mark.library
def test_kept_arrays_do_not_go_to_the_other_keras(kit: Any, plain: Path, tmp_path: Path) -> None:
    """Arrays of an unknown optimizer are places in one Keras' list: strict conversion to the other is refused."""
    config = kit.write(kit.dense_model(), kit.dense_arrays())
    etui.convert(plain, tmp_path / "found.etui", config=config)
    with pytest.raises(etui.TransferError) as caught:
        etui.convert(tmp_path / "found.etui", tmp_path / "old.weights.h5", dialect="tf_keras")
    assert caught.value.code == "not-complete"
    etui.convert(tmp_path / "found.etui", tmp_path / "old.weights.h5", dialect="tf_keras", strict=False)
    assert not any(name.startswith("optimizer") for name in content(tmp_path / "old.weights.h5"))


@pytest.mark.library
def test_what_a_weights_file_is_not_meant_to_hold_is_left_out(compiled: Path, tmp_path: Path) -> None:
    """Config and training config are left out, and said to be; variables and slots are restored."""
    report = etui.convert(compiled, tmp_path / "new.weights.h5")
    statuses = {(entry.kind, entry.subject): entry.status for entry in report.entries}
    assert statuses["document", "config.json"] == "left-out"
    assert statuses["document", "training.json"] == "left-out"
    assert sum(kind == "slot" and status == "restored" for (kind, _), status in statuses.items()) == 10
    assert sum(kind == "variable" and status == "restored" for (kind, _), status in statuses.items()) == 4


# Indexes that are refused


Change = Callable[[dict[str, Any], Path], None]


def renamed(name: Any) -> Change:
    """Another name for the first file."""

    def change(tree: dict[str, Any], _: Path) -> None:
        first = next(iter(tree["weight_map"]))
        tree["weight_map"][first] = name

    return change


def linked(tree: dict[str, Any], folder: Path) -> None:
    name = "made_00001.weights.h5"
    (folder / name).rename(folder / "elsewhere")
    (folder / name).symlink_to("elsewhere")


def twice(tree: dict[str, Any], folder: Path) -> None:
    (folder / "copy.h5").write_bytes((folder / "made_00000.weights.h5").read_bytes())
    for files in tree["weight_map"].values():
        if "made_00000.weights.h5" in files:
            files.append("copy.h5")


def unlisted(tree: dict[str, Any], folder: Path) -> None:
    with h5py.File(folder / "made_00000.weights.h5", "a") as file:
        file.create_dataset("layers/other/vars/0", data=np.zeros(2))


def elsewhere(tree: dict[str, Any], folder: Path) -> None:
    write_h5(folder / "third.h5", {"layers/third/vars/0": np.zeros(2), "layers/dense/vars/7": np.zeros(2)})
    tree["weight_map"]["/layers/third/vars"] = ["third.h5"]


def disagreeing(tree: dict[str, Any], folder: Path) -> None:
    for at in range(2):
        with h5py.File(folder / f"made_{at:05}.weights.h5", "a") as file:
            file.attrs["name"] = str(at)


def a_folder(tree: dict[str, Any], folder: Path) -> None:
    (folder / "made").mkdir()
    renamed("made")(tree, folder)


def a_pipe(tree: dict[str, Any], folder: Path) -> None:
    os.mkfifo(folder / "made")
    renamed("made")(tree, folder)


REFUSALS: dict[str, tuple[str, Change]] = {
    "no map": ("weight-map", lambda tree, _: tree.pop("weight_map")),
    "a list": ("weight-map", lambda tree, _: tree.update(weight_map=[])),
    "no files": ("weight-map", renamed([])),
    "a number": ("weight-map", renamed(7)),
    "a list of numbers": ("weight-map", renamed([7])),
    "a file twice": ("weight-map", renamed(["made_00000.weights.h5"] * 2)),
    "no path": ("weight-map", lambda tree, _: tree["weight_map"].update({"layers/x": "a"})),
    "metadata": ("weight-map", lambda tree, _: tree.update(metadata=[])),
    "other attributes": ("weight-map", disagreeing),
    "above": ("sibling-name", renamed("../made.h5")),
    "dots": ("sibling-name", renamed("..")),
    "dot": ("sibling-name", renamed(".")),
    "empty": ("sibling-name", renamed("")),
    "absolute": ("sibling-name", renamed("/etc/passwd")),
    "below": ("sibling-name", renamed("folder/made.h5")),
    "backslash": ("sibling-name", renamed("folder\\made.h5")),
    "drive": ("sibling-name", renamed("C:made.h5")),
    "address": ("sibling-name", renamed("https://host/made.h5")),
    "zero": ("sibling-name", renamed("made\0.h5")),
    "long": ("sibling-name", renamed("m" * 256)),
    "case": ("sibling-name", renamed(["made_00000.weights.h5", "MADE_00000.weights.h5"])),
    "link": ("sibling-name", linked),
    "folder": ("sibling-name", a_folder),
    "pipe": ("sibling-name", a_pipe),
    "missing": ("sibling-missing", renamed("made_99999.weights.h5")),
    "twice": ("weight-map-array", twice),
    "unlisted": ("weight-map-array", unlisted),
    "in another's file": ("weight-map-array", elsewhere),
    "empty group": (
        "weight-map-array",
        lambda tree, _: tree["weight_map"].update({"/x/vars": "made_00000.weights.h5"}),
    ),
}


@pytest.mark.clause("KW-1@ca06f5", "KW-2@acd35d", "KW-3@2ac52b", "KW-4@aedde1")
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_faulty_index_is_refused(sharded: Path, fault: str) -> None:
    """Each fault has its code, and the sound sibling of each is read."""
    assert code_of(sharded) is None
    code, change = REFUSALS[fault]
    tree = json.loads(sharded.read_text())
    change(tree, sharded.parent)
    sharded.write_text(json.dumps(tree))
    assert code_of(sharded) == code


@pytest.mark.clause("KW-5@d41b73")
def test_limits_are_for_all_files_together(sharded: Path) -> None:
    """Each file keeps a limit that all together exceed."""
    limits = Limits(foreign_objects=25)
    total = 0
    for path in sharded.parent.glob("*.h5"):
        with path.open("rb"):
            weights_file.read(path, Report(), limits=limits).close()
        total += 1
    assert total == 3
    with pytest.raises(etui.LimitError) as caught:
        weights_file.read(sharded, Report(), limits=limits)
    assert caught.value.code == "limit-foreign"


@pytest.mark.library
def test_a_refusal_closes_the_files(sharded: Path) -> None:
    """No descriptor stays open after a refusal or after the model is closed."""
    folder = Path("/proc/self/fd")
    code_of(sharded)
    before = len(list(folder.iterdir()))
    assert code_of(sharded) is None
    tree = json.loads(sharded.read_text())
    twice(tree, sharded.parent)
    sharded.write_text(json.dumps(tree))
    assert code_of(sharded) == "weight-map-array"
    assert len(list(folder.iterdir())) == before
