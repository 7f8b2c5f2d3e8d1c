"""Weights alone in legacy HDF5, with and without a config, made by hand (annex C)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import etui
from etui import bridges, conversion
from etui.bridges.keras.h5 import weights as h5_weights
from etui.errors import EtuiError
from etui.report import Report
from etui.testing.h5_files import node, ramp, seen, sequential, source, weights_only, whole, write_list
from etui.testing.parts import present

Json = Any

DENSE = {"dense/kernel:0": ramp(3, 2), "dense/bias:0": ramp(2, start=50)}
NORM = {f"n/{name}:0": ramp(2, start=at) for at, name in enumerate(("gamma", "beta", "moving_mean", "moving_variance"))}
LAYERS: dict[str, Any] = {"i": {}, "dense": DENSE, "block/n": NORM}
TO = "keras-h5-weights"


def with_top(path: Path, arrays: dict[str, Any]) -> Path:
    """The same file with variables of the model itself."""
    with h5py.File(path, "r+") as file:
        group = file.create_group("top_level_model_weights")
        write_list(group, "weight_names", list(arrays))
        for name, array in arrays.items():
            group[name] = array
    return path


@pytest.mark.clause("KH-21@a42c78")
def test_without_a_config_arrays_are_named_by_layer_and_name(tmp_path: Path) -> None:
    """The layer's name is not said twice, the order stays, and only state of known names counts as not trained."""
    path = with_top(weights_only(tmp_path / "a.h5", LAYERS), {"model/own:0": ramp(4)})
    model, bridge = conversion.read(path)
    with model:
        assert bridge.name == TO
        assert model.config is None
        expected = ["dense/kernel", "dense/bias", *(f"block/n/n/{name}" for name in
                    ("gamma", "beta", "moving_mean", "moving_variance")), "model/own"]  # fmt: skip
        assert list(present(model.weights).variables) == expected
        assert [path for path in expected if not present(model.weights)[path].trainable] == expected[4:6]
        assert present(model.weights)["dense/bias"].numpy().tolist() == [50, 51]


@pytest.mark.clause("KH-21@a42c78")
@pytest.mark.parametrize("version", ["2.21.0", None])
def test_without_a_config_the_same_file_comes_back(tmp_path: Path, version: str | None) -> None:
    """Lists, names, attributes and arrays are those of the source, by way of an artifact."""
    path = with_top(weights_only(tmp_path / "a.h5", LAYERS, version=version), {"model/own:0": ramp(4)})
    there = etui.convert(path, tmp_path / "a.etui")
    back = etui.convert(tmp_path / "a.etui", tmp_path / "b.h5", to=TO)
    assert (there.ok, back.ok) == (True, True)
    assert seen(tmp_path / "b.h5") == seen(path)


@pytest.mark.clause("KH-21@a42c78")
def test_names_that_would_meet_are_kept_apart(tmp_path: Path) -> None:
    """Two arrays whose paths would be one get the escaped name of the second, and come back under their names."""
    layers = {"a": {"a/x:0": ramp(2), "x": ramp(2, start=9)}, "b c%": {"%1": ramp(1)}}
    path = with_top(weights_only(tmp_path / "a.h5", layers), {})
    etui.convert(path, tmp_path / "a.etui")
    etui.convert(tmp_path / "a.etui", tmp_path / "b.h5", to=TO)
    assert seen(tmp_path / "b.h5") == seen(path)


def config_file(path: Path, **dense: Json) -> Path:
    """A whole model whose layers are those of `LAYERS`, with other values."""
    zeros = {name: {key: array * 0 for key, array in arrays.items()} for name, arrays in LAYERS.items()}
    config = sequential(source(), node("Dense", "dense", units=2, **dense), node("BatchNormalization", "block/n"))
    return whole(path, config, zeros)


@pytest.mark.clause("KH-22@0c6453")
def test_with_a_config_arrays_are_those_of_its_layers(tmp_path: Path) -> None:
    """Paths, roles and flags are those of the model, and the weights are written back as they were."""
    path = with_top(weights_only(tmp_path / "a.h5", LAYERS), {})
    report = etui.convert(path, tmp_path / "a.etui", config=config_file(tmp_path / "c.h5"))
    assert report.ok
    with etui.open(tmp_path / "a.etui") as model:
        assert present(model.weights)["dense/kernel"].numpy().tolist() == ramp(3, 2).tolist()
        assert present(model.weights)["block~1n/moving_mean" if "block~1n/moving_mean" in present(model.weights)
                             else list(present(model.weights))[4]].numpy().tolist() == [2, 3]  # fmt: skip
        assert present(model.config).find("dense").params == {"kernel": "dense/kernel", "bias": "dense/bias"}
    back = etui.convert(tmp_path / "a.etui", tmp_path / "b.h5", to=TO)
    assert back.ok
    mine = seen(tmp_path / "b.h5")
    theirs = seen(path)
    assert {name: item for name, item in mine.items() if item[0]}.keys() >= {"dense/dense/kernel:0"}
    assert [item[0] for name, item in sorted(mine.items()) if item[0] and "dense" in name] == [
        item[0] for name, item in sorted(theirs.items()) if item[0] and "dense" in name
    ]


@pytest.mark.clause("KH-22@0c6453")
@pytest.mark.parametrize("dense", [{"use_bias": False}, {"name": "other"}], ids=["fewer arrays", "another name"])
def test_a_config_of_another_model_is_refused(tmp_path: Path, dense: Json) -> None:
    """A count that differs, and a name that some layers have and this one has not, are refused, and not guessed at."""
    path = weights_only(tmp_path / "a.h5", LAYERS)
    config = sequential(
        source(), {"class_name": "Dense", "config": {"name": "dense", "trainable": True, "dtype": "float32"} | dense}
    )
    layers = {"other" if "name" in dense else "dense": {} if "name" in dense else {"dense/kernel:0": ramp(3, 2)}}
    with pytest.raises(EtuiError) as caught:
        etui.convert(path, tmp_path / "a.etui", config=whole(tmp_path / "c.h5", config, layers | {}))
    assert caught.value.code == "keras-h5-layers"
    assert not (tmp_path / "a.etui").exists()


@pytest.mark.clause("KH-22@0c6453")
def test_the_state_of_the_optimizer_is_new(tmp_path: Path) -> None:
    """The weights file has nothing of the optimizer that the config names, and the report says so."""
    training = {"optimizer_config": {"class_name": "Custom>Adam", "config": {"name": "Adam", "learning_rate": 0.5}},
                "loss": "mse", "metrics": None, "loss_weights": None}  # fmt: skip
    config = whole(tmp_path / "c.h5", sequential(source(), node("Dense", "dense", units=2)), {"dense": DENSE},
                   training=training)  # fmt: skip
    report = etui.convert(weights_only(tmp_path / "a.h5", {"dense": DENSE}), tmp_path / "a.etui", config=config)
    assert ("optimizer", "fresh") in [(entry.kind, entry.status) for entry in report.entries]
    assert report.ok


@pytest.mark.library
def test_what_a_weights_file_is_not_meant_to_hold_is_left_out(tmp_path: Path) -> None:
    """Config, training and optimizer are left out, which a strict conversion accepts."""
    report = etui.convert(config_file(tmp_path / "c.h5"), tmp_path / "b.h5", to=TO)
    assert report.ok
    assert "left-out" in report.counts()["document"]
    assert bridges.of_source(tmp_path / "b.h5").name == TO


@pytest.mark.library
def test_weights_of_another_format_have_no_layers(tmp_path: Path) -> None:
    """Weights without a config whose lists no file told, or whose lists are damaged, cannot be written."""
    path = weights_only(tmp_path / "a.h5", {"dense": DENSE})
    model, _ = conversion.read(path)
    with model:
        for facts in (None, {}, {"layers": [["dense", [["kernel", "gone"]]]], "top": []}, {"layers": 3, "top": []}):
            present(model.state).residue = {} if facts is None else {"keras": {"h5_weights": facts}}
            with pytest.raises(EtuiError) as caught:
                h5_weights.write(model, tmp_path / "b.h5", Report(), strict=True)
            assert caught.value.code == "weights-layout"
    assert not (tmp_path / "b.h5").exists()


@pytest.mark.clause("KH-11@d589ab")
def test_variables_beside_the_lists_are_lost(tmp_path: Path) -> None:
    """A variable that was added to weights without a config has no layer, and a stray array no list."""
    path = weights_only(tmp_path / "a.h5", {"dense": DENSE})
    model, _ = conversion.read(path)
    with model:
        present(model.weights).add("more", present(model.weights)["dense/bias"].tensor, role="more", trainable=True)
        report = Report()
        h5_weights.write(model, tmp_path / "b.h5", report, strict=False)
        assert [entry.subject for entry in report.lost] == ["more"]
    with h5py.File(path, "r+") as file:
        file["dense/stray"] = np.zeros(2)
    with pytest.raises(EtuiError) as caught:
        etui.convert(path, tmp_path / "a.etui")
    assert caught.value.code == "not-complete"
