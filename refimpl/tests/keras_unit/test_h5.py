"""Whole models in legacy HDF5, made by hand as every era of Keras made them (annex C)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import etui
from etui import bridges, conversion
from etui.bridges.keras.h5 import model as h5_model
from etui.bridges.keras.h5 import weights as h5_weights
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.errors import EtuiError
from etui.limits import Limits
from etui.model import Model
from etui.report import Report
from etui.testing.h5_files import TEXTS, node, ramp, seen, sequential, source, whole, write_list
from etui.testing.parts import present

Json = Any

DENSE = {"dense/kernel:0": ramp(3, 2), "dense/bias:0": ramp(2, start=50)}
MODEL = sequential(source(), node("Dense", "dense", units=2, use_bias=True))
ADAM: dict[str, Json] = {
    "optimizer_config": {"class_name": "Custom>Adam", "config": {"name": "Adam", "learning_rate": 0.5}},
    "loss": "mse",
    "metrics": None,
    "weighted_metrics": None,
    "loss_weights": None,
}


def read(path: Path, report: Report | None = None) -> Model:
    """The model in a file, told by content."""
    model, bridge = conversion.read(path, report=report)
    assert bridge.name == "keras-h5"
    return model


def refusal(path: Path) -> str:
    """The code with which a file is refused."""
    with pytest.raises(EtuiError) as caught:
        read(path).close()
    return caught.value.code


def values(model: Model) -> dict[str, list[float]]:
    """The variables by their paths."""
    return {path: variable.numpy().tolist() for path, variable in present(model.weights).variables.items()}


@pytest.mark.clause("KH-8@75d1a0", "KH-9@e367e6")
@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("version", ["2.0.8", "2.2.4-tf", "2.21.0"])
def test_texts_of_every_era_are_read(tmp_path: Path, form: str, version: str) -> None:
    """Bytes or text, of fixed or varying length: the same model."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, version=version, form=form)
    report = Report()
    with read(path, report) as model:
        assert values(model) == {"dense/kernel": ramp(3, 2).tolist(), "dense/bias": ramp(2, start=50).tolist()}
        assert all(variable.trainable for variable in present(model.weights).variables.values())
        assert model.training is None
    assert report.ok


@pytest.mark.clause("KH-9@e367e6")
def test_layers_of_other_names_are_taken_one_after_the_other(tmp_path: Path) -> None:
    """Where no name of the file is one of the config, the layers with arrays are taken in their order."""
    config = sequential(
        source(), node("Dense", "a", units=2), node("Dropout", "x", rate=0.5), node("Dense", "b", units=2)
    )
    layers = {"p": DENSE, "q": {}, "r": {"r/kernel:0": ramp(2, 2), "r/bias:0": ramp(2)}}
    with read(whole(tmp_path / "a.h5", config, layers)) as model:
        assert values(model)["a/kernel"] == ramp(3, 2).tolist()
        assert values(model)["b/kernel"] == ramp(2, 2).tolist()


def dense_layers(*names: str) -> Json:
    """Layers of the same shape with arrays that tell them apart."""
    return {
        name: {f"{name}/kernel:0": ramp(2, 2, start=at), f"{name}/bias:0": ramp(2)} for at, name in enumerate(names)
    }


@pytest.mark.clause("KH-9@e367e6")
def test_a_count_of_another_process_is_no_other_name(tmp_path: Path) -> None:
    """Keras numbers its layers from one model to the next: their places tell them, and the report says so."""
    config = sequential(source("i", 2), *(node("Dense", name, units=2) for name in ("dense", "dense_1", "dense_2")))
    report = Report()
    with read(whole(tmp_path / "a.h5", config, dense_layers("dense_1", "dense_2", "dense_3")), report) as model:
        weights = present(model.weights)
        assert [weights[f"{name}/kernel"].numpy().min() for name in ("dense", "dense_1", "dense_2")] == [0, 1, 2]
    told = {entry.subject: entry.detail for entry in report.entries if entry.kind == "layer"}
    assert told == {
        "dense": "by its place, as the layer 'dense_1' of the file",
        "dense_1": "by its place, as the layer 'dense_2' of the file",
        "dense_2": "by its place, as the layer 'dense_3' of the file",
    }
    assert report.ok


@pytest.mark.clause("KH-9@e367e6")
@pytest.mark.parametrize(
    "names",
    [("dense_2", "dense_1", "dense_3"), ("a", "dense_1", "x"), ("dense", "b", "x"), ("dense_1", "dense_2")],
    ids=["another order", "at another place", "a name of one's own", "fewer"],
)
def test_names_that_contradict_the_places_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Where some names are those of the config at other places, no order is a guess that is made."""
    config = sequential(source("i", 2), *(node("Dense", name, units=2) for name in ("dense_1", "dense_2", "b")))
    assert refusal(whole(tmp_path / "a.h5", config, dense_layers(*names))) == "keras-h5-layers"


@pytest.mark.clause("KH-9@e367e6")
@pytest.mark.parametrize(
    "layers",
    [
        {"dense": {"dense/kernel:0": ramp(3, 2)}},
        {"dense": DENSE | {"dense/extra:0": ramp(2)}},
        {"dense": DENSE, "other": {"other/kernel:0": ramp(2, 2)}},
        {"one": DENSE, "two": DENSE},
        {"dense": DENSE | {"dense/bias:0": ramp(3)}},
        {"dense": DENSE | {"dense/kernel:0": ramp(2, 3, 2)}},
    ],
    ids=["too few", "too many", "a layer more", "two for one", "a longer bias", "another rank"],
)
def test_arrays_that_do_not_fit_the_layers_are_refused(tmp_path: Path, layers: Json) -> None:
    """A layer with another number of arrays than its class has, and layers that the config does not have."""
    assert refusal(whole(tmp_path / "a.h5", MODEL, layers)) == "keras-h5-layers"


def without_lists(file: Any) -> None:
    del file["model_weights"].attrs["layer_names"]


def without_names(file: Any) -> None:
    del file["model_weights/dense"].attrs["weight_names"]


def layer_twice(file: Any) -> None:
    write_list(file["model_weights"], "layer_names", ["dense", "dense"])


def array_twice(file: Any) -> None:
    write_list(file["model_weights/dense"], "weight_names", ["dense/kernel:0"] * 2)


def no_array(file: Any) -> None:
    write_list(file["model_weights/dense"], "weight_names", ["dense/kernel:0", "dense/gone:0"])


def no_group(file: Any) -> None:
    write_list(file["model_weights"], "layer_names", ["dense", "gone"])


@pytest.mark.clause("KH-8@75d1a0")
@pytest.mark.parametrize("damage", [without_lists, without_names, layer_twice, array_twice, no_array, no_group])
def test_lists_that_do_not_name_each_array_once_are_refused(tmp_path: Path, damage: Any) -> None:
    """A missing list, a name without a group or array, and a name that occurs twice."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE})
    with h5py.File(path, "r+") as file:
        damage(file)
    assert refusal(path) == "keras-h5"


@pytest.mark.clause("KH-8@75d1a0")
def test_a_file_without_a_config_is_no_whole_model(tmp_path: Path) -> None:
    """Without `model_config` the content tells nothing, and the reader that the name suggests says what is missing."""
    path = whole(tmp_path / "a.h5", None, {"dense": DENSE})
    assert bridges.recognise(path) is None
    assert refusal(path) == "keras-h5"


@pytest.mark.clause("KH-11@d589ab")
def test_an_array_that_no_list_names_is_reported(tmp_path: Path) -> None:
    """It is neither read nor forgotten: a strict conversion is refused, and names it."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE})
    with h5py.File(path, "r+") as file:
        file["model_weights/dense/stray"] = ramp(2)
    with pytest.raises(EtuiError) as caught:
        etui.convert(path, tmp_path / "a.etui")
    assert caught.value.code == "not-complete"
    assert "model_weights/dense/stray" in str(caught.value)
    report = etui.convert(path, tmp_path / "a.etui", strict=False)
    assert [entry.subject for entry in report.lost] == ["model_weights/dense/stray"]


@pytest.mark.clause("KH-10@86b3a7")
def test_lists_that_were_cut_are_read_as_one_and_cut_again(tmp_path: Path) -> None:
    """`layer_names0`, `layer_names1`, … are one list; a list of more than 64,512 bytes is written in such pieces."""
    names = [f"{number:03d}" + "n" * 200 for number in range(400)]
    config = sequential(source(), *(node("Dense", name, units=2, use_bias=False) for name in names))
    path = whole(tmp_path / "a.h5", config, {name: {f"{name}/kernel:0": ramp(2, 2)} for name in names[:3]})
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        del group.attrs["layer_names"]
        for name in names[3:]:
            layer = group.create_group(name)
            write_list(layer, "weight_names", [f"{name}/kernel:0"])
            layer[f"{name}/kernel:0"] = ramp(2, 2)
        write_list(group, "layer_names0", names[:250])
        write_list(group, "layer_names1", names[250:])
    etui.convert(path, tmp_path / "a.etui", native=False)
    etui.convert(tmp_path / "a.etui", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        attrs = file["model_weights"].attrs
        assert sorted(key for key in attrs if key.startswith("layer_names")) == ["layer_names0", "layer_names1"]
        assert [one.decode() for key in ("layer_names0", "layer_names1") for one in attrs[key]] == names
        assert all(attrs[key].nbytes <= 64512 for key in ("layer_names0", "layer_names1"))


@pytest.mark.clause("KH-7@62e0d0")
def test_a_frozen_layer_moves_its_arrays_behind_and_they_come_back(tmp_path: Path) -> None:
    """The order of a nested model's arrays follows the flags of its layers, in both directions."""
    inner = [
        node("Dense", "a", units=2, use_bias=False, trainable=False),
        node("BatchNormalization", "n"),
        node("Dense", "b", units=2, use_bias=False),
    ]
    config = sequential(source(), sequential(*inner, name="in"))
    arrays = {"n/gamma:0": ramp(2), "n/beta:0": ramp(2, start=3), "b/kernel:0": ramp(2, 2), "a/kernel:0": ramp(3, 2)}
    arrays |= {"n/moving_mean:0": ramp(2, start=7), "n/moving_variance:0": ramp(2, start=9)}
    path = whole(tmp_path / "a.h5", config, {"in": arrays})
    with read(path) as model:
        assert values(model)["in/a/kernel"] == ramp(3, 2).tolist()
        assert values(model)["in/n/moving_variance"] == [9, 10]
        assert not present(model.weights)["in/a/kernel"].trainable
    etui.convert(path, tmp_path / "b.etui", native=False)
    etui.convert(tmp_path / "b.etui", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert [name.decode() for name in file["model_weights/in"].attrs["weight_names"]] == list(arrays)


@pytest.mark.clause("KH-12@8a704b")
def test_layers_of_an_author_keep_their_arrays_in_order(tmp_path: Path) -> None:
    """Alone, a custom layer has all arrays of its group; in a nested model, those that have its name."""
    own = {f"mine/{name}:0": ramp(2, start=at) for at, name in enumerate(("one", "two"))}
    inner = sequential(node("Dense", "a", units=2), node("pack>Mine", "m"), node("Dense", "b", units=2), name="in")
    arrays = {"a/kernel:0": ramp(3, 2), "a/bias:0": ramp(2), "in/m/x:0": ramp(5), "b/kernel:0": ramp(2, 2)}
    arrays |= {"b/bias:0": ramp(2), "in/m/y:0": ramp(6)}
    config = sequential(source(), inner, node("pack>Mine", "mine"))
    report = Report()
    with read(whole(tmp_path / "a.h5", config, {"in": arrays, "mine": own}), report) as model:
        found = values(model)
        assert found["mine/0"] == [0, 1]
        assert found["mine/1"] == [1, 2]
        assert found["in/m/0"] == list(range(5))
        assert found["in/m/1"] == list(range(6))
        assert found["in/b/kernel"] == ramp(2, 2).tolist()
        assert not present(model.weights)["in/m/1"].trainable
    assert report.ok


def undated(kind: str, name: str, **config: Json) -> dict[str, Json]:
    """A layer's node of Keras before 2.3, where only a first layer says its dtype."""
    return {"class_name": kind, "config": {"name": name, "trainable": True} | config}


GATES = {"kernel": (2, 6), "recurrent_kernel": (2, 6), "bias": (6,)}
WRAPPED = {
    "2.2.2": (undated("Dense", "d", units=2), undated("GRU", "gru", units=2, reset_after=False)),
    "1.2.2": (undated("Dense", "d", output_dim=2), undated("GRU", "gru", output_dim=2)),
}


@pytest.mark.clause("K-14@54e278")
@pytest.mark.parametrize("version", WRAPPED)
def test_a_layer_that_tells_no_dtype_is_still_held(tmp_path: Path, version: str) -> None:
    """What a wrapper of an older Keras holds, whose config has no dtype, is a layer with its variables."""
    dense, gru = WRAPPED[version]
    both = {f"both/{way}_gru/{role}:0": ramp(*shape, start=at)
            for at, way in enumerate(("forward", "backward")) for role, shape in GATES.items()}  # fmt: skip
    if version == "1.2.2":
        both = {f"{way}_gru_{part}_{gate}": both[f"both/{way}_gru/{role}:0"][..., at : at + 2]
                for way in ("forward", "backward") for gate, at in (("z", 0), ("r", 2), ("h", 4))
                for part, role in (("W", "kernel"), ("U", "recurrent_kernel"), ("b", "bias"))}  # fmt: skip
    config = sequential(
        source("i", 4, 3), undated("TimeDistributed", "each", layer=dense), undated("Bidirectional", "both", layer=gru)
    )
    arrays = {"each": {"each/kernel:0": ramp(3, 2), "each/bias:0": ramp(2)}, "both": both}
    with read(whole(tmp_path / "a.h5", config, arrays, version=version)) as model:
        found = values(model)
        assert found["each/layer/kernel"] == ramp(3, 2).tolist()
        for at, way in enumerate(("forward", "backward")):
            assert found[f"both/{way}_layer/cell/kernel"] == ramp(2, 6, start=at).tolist()
        assert len(found) == 8
        assert present(model.config).find("each/layer").attrs["units"] == 2


SHAPES: list[tuple[dict[str, Json], dict[str, tuple[int, ...]], str, tuple[int, ...]]] = [
    (node("Embedding", "x", input_dim=5, output_dim=2), {"embeddings": (5, 2)}, "embeddings", (6, 2)),
    (
        node("Conv2D", "x", filters=4, kernel_size=[2, 3]),
        {"kernel": (2, 3, 3, 4), "bias": (4,)},
        "kernel",
        (3, 2, 3, 4),
    ),
    (node("Conv1DTranspose", "x", filters=4, kernel_size=2), {"kernel": (2, 4, 3), "bias": (4,)}, "kernel", (2, 3, 4)),
    (node("GRU", "x", units=2, reset_after=True), {"k": (3, 6), "r": (2, 6), "b": (2, 6)}, "b", (6,)),
    (node("LSTM", "x", units=2), {"k": (3, 8), "r": (2, 8), "b": (8,)}, "r", (2, 6)),
    (node("BatchNormalization", "x", axis=[1]), {"g": (3,), "b": (3,), "m": (3,), "v": (3,)}, "v", (3, 1)),
]


@pytest.mark.clause("KH-9@e367e6")
@pytest.mark.parametrize(("layer", "shapes", "name", "wrong"), SHAPES, ids=[row[0]["class_name"] for row in SHAPES])
def test_a_shape_that_the_attributes_contradict_is_refused(
    tmp_path: Path, layer: Json, shapes: dict[str, tuple[int, ...]], name: str, wrong: tuple[int, ...]
) -> None:
    """The right shapes are read, and one wrong one is refused before an element is read."""
    arrays = {key: ramp(*shape) for key, shape in shapes.items()}
    with read(whole(tmp_path / "a.h5", sequential(source(), layer), {"x": arrays})) as model:
        assert len(present(model.weights).variables) == len(shapes)
    arrays[name] = ramp(*wrong)
    assert refusal(whole(tmp_path / "b.h5", sequential(source(), layer), {"x": arrays})) == "keras-h5-layers"


@pytest.mark.clause("KH-13@74f7f4")
def test_gates_of_keras_1_become_one_array(tmp_path: Path) -> None:
    """The twelve arrays of an LSTM, in the order i, c, f, o, become three in the order i, f, c, o."""
    gates = {f"{part}_{gate}": ramp(*shape, start=10 * at) for at, gate in enumerate("icfo")
             for part, shape in (("W", (3, 2)), ("U", (2, 2)), ("b", (2,)))}  # fmt: skip
    config = {"class_name": "Sequential", "config": [node("LSTM", "l", output_dim=2, batch_input_shape=[None, 4, 3])]}
    report = Report()
    path = whole(tmp_path / "a.h5", config, {"l": {f"l_{key}": array for key, array in gates.items()}}, version="1.2.2")
    with read(path, report) as model:
        for role, part in (("kernel", "W"), ("recurrent_kernel", "U"), ("bias", "b")):
            expected = np.concatenate([gates[f"{part}_{gate}"] for gate in "ifco"], -1)
            assert present(model.weights)[f"l/cell/{role}"].numpy().tobytes() == expected.tobytes()
        assert present(model.config).find("l").attrs["units"] == 2
    assert [entry.subject for entry in report.entries if entry.kind == "layer"] == ["l"]


@pytest.mark.clause("KH-13@74f7f4")
def test_gru_of_keras_1_has_nine_arrays(tmp_path: Path) -> None:
    """The gates z, r, h of a GRU keep their order."""
    arrays = {f"{part}{gate}": ramp(*shape, start=10 * gate) for gate in range(3)
              for part, shape in (("W", (3, 2)), ("U", (2, 2)), ("b", (2,)))}  # fmt: skip
    config = {"class_name": "Sequential", "config": [node("GRU", "g", output_dim=2, batch_input_shape=[None, 4, 3])]}
    with read(whole(tmp_path / "a.h5", config, {"g": arrays}, version=None)) as model:
        expected = np.concatenate([arrays[f"W{gate}"] for gate in range(3)], -1)
        assert present(model.weights)["g/cell/kernel"].numpy().tobytes() == expected.tobytes()


KERNELS: list[tuple[str, dict[str, Json], np.ndarray, str, Any]] = [
    ("Convolution2D", {"dim_ordering": "th"}, ramp(4, 3, 2, 5), "tensorflow", lambda k: k.transpose(2, 3, 1, 0)),
    ("Convolution2D", {"dim_ordering": "tf"}, ramp(2, 5, 3, 4), "tensorflow", lambda k: k),
    ("Convolution2D", {"dim_ordering": "tf"}, ramp(2, 5, 3, 4), "theano", lambda k: k[::-1, ::-1]),
    ("Convolution2D", {"dim_ordering": "th"}, ramp(4, 3, 2, 5), "theano",
     lambda k: k.transpose(2, 3, 1, 0)[::-1, ::-1]),
    ("Convolution1D", {"filter_length": 2}, ramp(2, 1, 3, 4), "tensorflow", lambda k: k[:, 0]),
    ("Convolution1D", {"filter_length": 2}, ramp(4, 3, 2, 1), "tensorflow", lambda k: k.transpose(2, 3, 1, 0)[:, 0]),
    ("Convolution3D", {"dim_ordering": "th"}, ramp(4, 3, 2, 5, 1), "tensorflow", lambda k: k.transpose(2, 3, 4, 1, 0)),
    ("Deconvolution2D", {"dim_ordering": "th"}, ramp(4, 3, 2, 5), "tensorflow", lambda k: k.transpose(2, 3, 0, 1)),
    ("Deconvolution2D", {"dim_ordering": "tf"}, ramp(2, 5, 3, 4), "tensorflow", lambda k: k.transpose(0, 1, 3, 2)),
]  # fmt: skip


@pytest.mark.clause("KH-13@74f7f4")
@pytest.mark.parametrize(("kind", "given", "kernel", "backend", "expected"), KERNELS)
def test_kernels_of_keras_1_get_the_axes_of_keras_2(
    tmp_path: Path,
    *,
    kind: str,
    given: dict[str, Json],
    kernel: np.ndarray,
    backend: str,
    expected: Any,
) -> None:
    """Kernels are space, inputs, outputs, and those that Theano convolved are turned around in space."""
    sizes = {"nb_row": 2, "nb_col": 5} if "2D" in kind else {}
    layer = node(kind, "c", nb_filter=4, bias=False, batch_input_shape=[None, 8, 8, 3], **sizes, **given)
    path = whole(tmp_path / "a.h5", {"class_name": "Sequential", "config": [layer]}, {"c": {"c_W": kernel}},
                 version="1.2.2", backend=backend)  # fmt: skip
    with read(path) as model:
        found = present(model.weights)["c/kernel"].numpy()
        assert found.shape == expected(kernel).shape
        assert found.tobytes() == np.ascontiguousarray(expected(kernel)).tobytes()


@pytest.mark.clause("KH-13@74f7f4", "KH-17@927eb2")
def test_a_file_of_keras_1_is_written_as_one_of_keras_2(tmp_path: Path) -> None:
    """Its own config goes with arrays that no longer are in the file, and is not used again."""
    layer = node("Convolution1D", "c", nb_filter=4, filter_length=2, bias=False, batch_input_shape=[None, 8, 3])
    path = whole(tmp_path / "a.h5", {"class_name": "Sequential", "config": [layer]}, {"c": {"c_W": ramp(2, 1, 3, 4)}},
                 version="1.1.0", backend="tensorflow")  # fmt: skip
    etui.convert(path, tmp_path / "a.etui")
    etui.convert(tmp_path / "a.etui", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert file.attrs["keras_version"].startswith("2.")
        assert json.loads(file.attrs["model_config"])["config"]["layers"][-1]["class_name"] == "Conv1D"
        assert file["model_weights/c/c/kernel:0"].shape == (2, 3, 4)


PAIR = {"kernel": ramp(3, 2), "bias": ramp(2)}
LEGACY: list[tuple[str, dict[str, Json], list[str], list[str]]] = [
    ("Adam", {"amsgrad": False}, [], ["momentum", "velocity"]),
    ("Adam", {"amsgrad": True}, [], ["momentum", "velocity", "velocity_hat"]),
    ("Adamax", {}, [], ["momentum", "norm"]),
    ("Nadam", {}, ["momentum_cache"], ["momentum", "velocity"]),
    ("Adadelta", {}, [], ["accumulated_grad", "accumulated_delta_var"]),
    ("Adagrad", {}, [], ["accumulator"]),
    ("RMSprop", {"momentum": 0.5, "centered": True}, [], ["velocity", "momentum", "average_gradient"]),
    ("RMSprop", {"momentum": 0.0}, [], ["velocity"]),
    ("SGD", {"momentum": 0.9}, [], ["momentum"]),
    ("SGD", {"momentum": 0.0}, [], []),
]


def trained(kind: str, **config: Json) -> dict[str, Json]:
    """A training config of an older optimizer."""
    node_ = {"class_name": kind, "config": {"name": kind, "learning_rate": 0.5} | config}
    return {"optimizer_config": node_, "loss": "mse", "metrics": ["mae"], "loss_weights": None}


@pytest.mark.clause("KH-5@85f4f3", "KH-14@9bff3b", "KH-15@c022ca")
@pytest.mark.parametrize(("kind", "config", "shared", "names"), LEGACY)
def test_older_optimizers_have_a_pass_for_each_slot(
    tmp_path: Path, kind: str, config: dict[str, Json], shared: list[str], names: list[str]
) -> None:
    """The iteration, then the slots of one kind for all variables, then those of the next; and the way back."""
    arrays: dict[str, Any] = {f"{kind}/iter:0": np.int64(7)}
    arrays |= {f"{kind}/{name}:0": np.float32(0.25) for name in shared}
    for at, name in enumerate(names):
        arrays |= {f"{kind}/dense/{key}/{name}:0": array + 100 * (at + 1) for key, array in PAIR.items()}
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, training=trained(kind, **config), optimizer=arrays)
    report = Report()
    with read(path, report) as model:
        optimizer = present(model.optimizer).optimizers["optimizer"]
        assert optimizer.algorithm == f"keras:optimizers.legacy.{kind}"
        assert (optimizer.step, optimizer.learning_rate) == (7, 0.5)
        found = {
            (var, slot): tensor.numpy().tolist()
            for var, slots in optimizer.slots.items()
            for slot, tensor in slots.items()
        }
        expected = {(f"dense/{key}", name): (array + 100 * (at + 1)).tolist()
                    for at, name in enumerate(names) for key, array in PAIR.items()}  # fmt: skip
        assert found == expected
        assert list(optimizer.shared_slots) == shared
    assert report.ok
    assert [entry for entry in report.entries if entry.status == "data-only"] == []
    etui.convert(path, tmp_path / "a.etui", native=False)
    etui.convert(tmp_path / "a.etui", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        group = file["optimizer_weights"]
        listed = [name.decode() for name in group.attrs["weight_names"]]
        assert [np.asarray(group[name]).tobytes() for name in listed] == [
            np.asarray(a).tobytes() for a in arrays.values()
        ]
        assert (
            json.loads(file.attrs["training_config"])["optimizer_config"] == trained(kind, **config)["optimizer_config"]
        )


@pytest.mark.clause("KH-16@ff9619")
def test_optimizers_of_keras_2_are_read_as_those_of_tensorflow(tmp_path: Path) -> None:
    """Adam's placeholders go, RMSprop gets an iteration, a floating-point iteration is an integer, `lr` is renamed."""
    slots = {f"m{at}": array for at, array in enumerate([*PAIR.values()] * 2)}
    adam = {"it": np.int64(3)} | slots | {"h0": np.zeros(1, "float32"), "h1": np.zeros(1, "float32")}
    old: dict[str, Json] = {
        "optimizer_config": {"class_name": "Adam", "config": {"lr": 0.5, "decay": 0.0}},
        "loss": "mse",
        "metrics": [],
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    with read(
        whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, training=old, optimizer=adam, version="2.1.6")
    ) as model:
        optimizer = present(model.optimizer).optimizers["optimizer"]
        assert (optimizer.step, optimizer.hyperparameters["learning_rate"]) == (3, 0.5)
        assert set(optimizer.slots["dense/bias"]) == {"momentum", "velocity"}
        assert "keras" not in optimizer.residue or "variables" not in optimizer.residue["keras"]
    plain = {"a0": PAIR["kernel"], "a1": PAIR["bias"]}
    path = whole(
        tmp_path / "b.h5", MODEL, {"dense": DENSE}, training=trained("RMSprop"), optimizer=plain, version="2.0.8"
    )
    with read(path) as model:
        optimizer = present(model.optimizer).optimizers["optimizer"]
        assert optimizer.step == 0
        assert optimizer.slots["dense/kernel"]["velocity"].numpy().tolist() == ramp(3, 2).tolist()
    floating = {"it": np.float32(5)} | plain
    path = whole(tmp_path / "c.h5", MODEL, {"dense": DENSE}, training=trained("SGD", momentum=0.5), optimizer=floating,
                 version="1.2.2")  # fmt: skip
    with read(path) as model:
        optimizer = present(model.optimizer).optimizers["optimizer"]
        assert optimizer.step == 5
        assert optimizer.slots["dense/bias"]["momentum"].numpy().tolist() == [0, 1]


@pytest.mark.clause("KH-27@122950")
@pytest.mark.parametrize(("version", "ordered"), [("1.1.2", True), ("2.0.5", True), ("2.0.6", False), ("1.1.1", False)])
def test_slots_of_versions_that_sorted_are_those_of_sorted_names(tmp_path: Path, version: str, ordered: bool) -> None:
    """In those versions slots follow the names of the arrays, 10 before 1_1, bias before kernel; else the layers."""
    config = sequential(source("i", 2), *(node("Dense", name, units=2) for name in ("d_1", "d_10")))
    arrays = {name: {f"{name}_1/kernel:0": ramp(2, 2), f"{name}_1/bias:0": ramp(2)} for name in ("d_1", "d_10")}
    shapes = [(2,), (2, 2), (2,), (2, 2)] if ordered else [(2, 2), (2,), (2, 2), (2,)]
    slots = {f"Variable_{at}:0": ramp(*shape, start=10 * at) for at, shape in enumerate(shapes * 2)}
    path = whole(tmp_path / "a.h5", config, arrays, training=trained("Adam", lr=0.5, decay=0.0),
                 optimizer={"iterations_1:0": np.float32(7)} | slots, version=version)  # fmt: skip
    with read(path) as model:
        found = present(model.optimizer).optimizers["optimizer"].slots
        starts = {path: int(slots["momentum"].numpy().min()) // 10 for path, slots in found.items()}
        assert {int(slots["velocity"].numpy().min()) // 10 - starts[path] for path, slots in found.items()} == {4}
        names = ["d_10/bias", "d_10/kernel", "d_1/bias", "d_1/kernel"]
        names = names if ordered else ["d_1/kernel", "d_1/bias", "d_10/kernel", "d_10/bias"]
        assert starts == {name: at for at, name in enumerate(names)}


@pytest.mark.clause("KH-27@122950")
def test_slots_of_other_shapes_than_the_sorted_ones_follow_the_layers(tmp_path: Path) -> None:
    """A model that such a version took over from an earlier one may have its slots in the order of the layers."""
    slots = {f"m{at}": array for at, array in enumerate([*PAIR.values()] * 2)}
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, training=trained("Adam", lr=0.5),
                 optimizer={"it": np.float32(7)} | slots, version="2.0.5")  # fmt: skip
    with read(path) as model:
        assert set(present(model.optimizer).optimizers["optimizer"].slots["dense/kernel"]) == {"momentum", "velocity"}


@pytest.mark.clause("KH-15@c022ca")
def test_names_of_slots_tell_which_variable_is_whose(tmp_path: Path) -> None:
    """Two layers of one shape, the first trained alone and frozen since, keep apart what is the first's."""
    first = node("Dense", "a", units=3, use_bias=False, trainable=False)
    config = sequential(source(), first, node("Dense", "b", units=3, use_bias=False))
    layers = {name: {f"{name}/kernel:0": ramp(3, 3)} for name in "ab"}
    arrays = {"iteration:0": np.int64(1), "Adam/m/a/kernel:0": ramp(3, 3), "Adam/v/a/kernel:0": ramp(3, 3, start=9)}
    with read(whole(tmp_path / "a.h5", config, layers, training=ADAM, optimizer=arrays)) as model:
        assert list(present(model.optimizer).optimizers["optimizer"].slots) == ["a/kernel"]


@pytest.mark.clause("KH-14@9bff3b")
def test_a_training_config_is_read_and_written(tmp_path: Path) -> None:
    """Losses and metrics are objects of their packages, functions stay names, and the same text comes back."""
    training = ADAM | {
        "loss": {"a": {"class_name": "Huber", "config": {"delta": 2.0}}, "b": "mse"},
        "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"name": "mae", "fn": "mean_absolute_error"}}]],
        "loss_weights": {"a": 1.0, "b": 0.5},
    }
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, training=training, optimizer={"iteration:0": np.int64(0)})
    with read(path) as model:
        assert present(model.training).loss["a"].class_name == "keras:losses.Huber"
        assert present(model.training).metrics[0][0].class_name == "keras:metrics.MeanMetricWrapper"
        assert present(model.training).loss_weights == {"a": 1.0, "b": 0.5}
    etui.convert(path, tmp_path / "a.etui", native=False)
    etui.convert(tmp_path / "a.etui", tmp_path / "b.h5")
    assert seen(tmp_path / "b.h5") == seen(path)


@pytest.mark.clause("K-3@83a649")
@pytest.mark.parametrize("training", [{}, {"optimizer_config": 3}, {"optimizer_config": None, "loss": "mse"}])
def test_a_training_config_without_an_optimizer_is_refused(tmp_path: Path, training: Json) -> None:
    """Keras never writes it so."""
    assert refusal(whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, training=training)) == "keras-config"


@pytest.mark.clause("KH-17@927eb2")
def test_own_documents_are_kept_and_used_while_they_are_current(tmp_path: Path) -> None:
    """The text of the config comes back byte for byte, spaces included; once the model changes it is written anew."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE})
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = text = json.dumps(MODEL, indent=2)
    etui.convert(path, tmp_path / "a.etui")
    etui.convert(tmp_path / "a.etui", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert file.attrs["model_config"] == text
    with etui.open(tmp_path / "a.etui") as model:
        present(model.config).find("dense").attrs["activation"] = "relu"
        report = Report()
        h5_model.write(model, tmp_path / "c.h5", report, strict=True)
    with h5py.File(tmp_path / "c.h5") as file:
        assert json.loads(file.attrs["model_config"])["config"]["layers"][1]["config"]["activation"] == "relu"
    assert {entry.status for entry in report.entries if entry.kind == "document"} >= {"stale", "regenerated"}


KERAS_3 = {
    "optimizer_config": {"class_name": "Adam", "config": {"name": "adam", "learning_rate": 0.5}},
    "loss": {"class_name": "MeanSquaredError", "config": {"name": "mse", "reduction": "sum"}},
    "metrics": None,
    "weighted_metrics": None,
    "loss_weights": None,
    "run_eagerly": False,
    "steps_per_execution": 1,
    "jit_compile": True,
}


def keras_3(path: Path) -> Path:
    """A whole model of Keras 3."""
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "i"}},
        node("Dense", "dense", units=2),
    ]
    arrays: dict[str, Any] = {"adam/iteration": np.int64(4), "adam/learning_rate": np.float32(0.25)}
    arrays |= {f"adam/dense_{key}_{slot}": array for key, array in PAIR.items() for slot in ("momentum", "velocity")}
    dense = {name.removesuffix(":0"): array for name, array in DENSE.items()}
    return whole(path, sequential(*layers), {"dense": dense}, training=KERAS_3, optimizer=arrays, version="3.15.1")


@pytest.mark.clause("KH-15@c022ca", "KH-18@4d6d06", "KH-23@4fba72")
def test_files_of_keras_3_are_read_and_written(tmp_path: Path) -> None:
    """The stored rate counts, and the optimizer's arrays are written where Keras 3, which would fail, passes over."""
    path = keras_3(tmp_path / "a.h5")
    with read(path) as model:
        optimizer = present(model.optimizer).optimizers["optimizer"]
        assert (optimizer.algorithm, optimizer.step, optimizer.learning_rate) == ("keras:Adam", 4, 0.25)
        assert present(model.training).loss.class_name == "keras:losses.MeanSquaredError"
    etui.convert(path, tmp_path / "a.etui", native=False)
    report = etui.convert(tmp_path / "a.etui", tmp_path / "b.h5")
    assert ("optimizer", "data-only") in [(entry.kind, entry.status) for entry in report.entries]
    mine, theirs = seen(tmp_path / "b.h5"), seen(path)
    moved = {name.replace("etui_optimizer_weights", "optimizer_weights"): item for name, item in mine.items()}
    assert "optimizer_weights" not in mine
    assert moved == theirs
    etui.convert(tmp_path / "b.h5", tmp_path / "c.etui", native=False)
    assert (tmp_path / "c.etui").read_bytes() == (tmp_path / "a.etui").read_bytes()


@pytest.mark.clause("KH-25@3dd729")
@pytest.mark.parametrize("native", [True, False])
def test_losses_of_keras_3_are_spelled_out(tmp_path: Path, native: bool) -> None:
    """Keras 3 finds `mean_squared_error` where it does not find `mse`; an author's own name stays."""
    path = keras_3(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["training_config"] = json.dumps(KERAS_3 | {"loss": {"a": "mse", "b": ["BCE", "mine", "Mse"]}})
    etui.convert(path, tmp_path / "a.etui", native=native)
    etui.convert(tmp_path / "a.etui", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        loss = json.loads(file.attrs["training_config"])["loss"]
    assert loss == {"a": "mean_squared_error", "b": ["binary_crossentropy", "mine", "Mse"]}


@pytest.mark.clause("KH-24@087f56")
@pytest.mark.parametrize("to", ["keras-h5", "keras-h5-weights"])
def test_a_file_is_written_for_either_framework(tmp_path: Path, to: str) -> None:
    """Names, version and config are those of the dialect that was asked for; another dialect is refused."""
    etui.convert(keras_3(tmp_path / "a.h5"), tmp_path / "b.h5", to=to, dialect="tf_keras")
    with h5py.File(tmp_path / "b.h5") as file:
        root = file["model_weights"] if to == "keras-h5" else file
        assert root.attrs["keras_version"].startswith("2.")
        assert [name.decode() for name in root["dense"].attrs["weight_names"]] == ["dense/kernel:0", "dense/bias:0"]
        if to == "keras-h5":
            training = json.loads(file.attrs["training_config"])
            assert training["optimizer_config"]["class_name"] == "Custom>Adam"
            assert "batch_input_shape" in json.loads(file.attrs["model_config"])["config"]["layers"][0]["config"]
            assert "optimizer_weights" in file
    with pytest.raises(EtuiError) as caught:
        etui.convert(tmp_path / "a.h5", tmp_path / "c.h5", to=to, dialect="other")
    assert caught.value.code == "writer-misuse"


@pytest.mark.clause("KH-18@4d6d06")
def test_a_file_and_an_archive_of_one_model_become_the_same(tmp_path: Path) -> None:
    """A `.keras` file that is written from a legacy file reads as the same weights, calls and slots."""
    etui.convert(keras_3(tmp_path / "a.h5"), tmp_path / "a.keras")
    etui.convert(tmp_path / "a.keras", tmp_path / "b.h5")
    etui.convert(tmp_path / "a.h5", tmp_path / "a.etui", native=False)
    etui.convert(tmp_path / "b.h5", tmp_path / "b.etui", native=False)
    with etui.open(tmp_path / "a.etui") as one, etui.open(tmp_path / "b.etui") as two:
        assert values(one) == values(two)
        first, second = (present(model.optimizer).optimizers["optimizer"] for model in (one, two))
        assert first.slots.keys() == second.slots.keys()


@pytest.mark.clause("KH-19@1a29ed")
def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two files of one model do not differ in a byte, and progress is told to the end."""
    told: list[tuple[str, int, int]] = []
    for name in "bc":
        etui.convert(keras_3(tmp_path / "a.h5"), tmp_path / f"{name}.h5", progress=lambda *step: told.append(step))
    assert (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()
    assert told[-1] == ("c.h5", told[-1][2], told[-1][2])


@pytest.mark.clause("KH-18@4d6d06")
def test_names_that_hdf5_cannot_hold_are_refused(tmp_path: Path) -> None:
    """A layer called like a way upwards, or like the group of the model's own variables, gives an error."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE})
    for name in ("..", "a//b", "top_level_model_weights"):
        with read(path) as model:
            present(model.config).find("dense").attrs["name"] = name
            with pytest.raises(EtuiError) as caught:
                h5_model.write(model, tmp_path / "b.h5", Report(), strict=True)
            assert caught.value.code == "keras-h5-name"
    assert not (tmp_path / "b.h5").exists()


@pytest.mark.clause("KH-20@37a7db")
def test_a_training_config_without_an_optimizer_has_no_place(tmp_path: Path) -> None:
    """Readers of the format ask for the optimizer, so that the loss alone is reported as lost."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, training=ADAM)
    with read(path) as model:
        model.optimizer = None
        report = Report()
        h5_model.write(model, tmp_path / "b.h5", report, strict=False)
    assert [(entry.kind, entry.subject) for entry in report.lost] == [("document", "training.json")]


@pytest.mark.clause("KH-29@dd2fa7", "K-66@0f7701")
def test_state_that_tf_keras_does_not_restore_is_kept_as_data(tmp_path: Path) -> None:
    """A newer optimizer in a scaler in legacy HDF5, an older one in a `.keras` file: written, reported, read again."""
    slots = {f"{slot}{name}": array for name, array in PAIR.items() for slot in "mv"}
    inner = {"class_name": "Custom>Adam", "config": ADAM["optimizer_config"]["config"]}
    scaler = {"class_name": "LossScaleOptimizerV3", "config": {"inner_optimizer": inner, "dynamic": True,
              "initial_scale": 8.0, "dynamic_growth_steps": 3}}  # fmt: skip
    older = {f"{slot}{name}": array for slot in "mv" for name, array in PAIR.items()}
    cases = (
        (ADAM | {"optimizer_config": scaler}, slots, "b.h5", "no newer optimizer with a loss scaler"),
        (trained("Adam", learning_rate=0.5), older, "b.keras", "no older optimizer"),
    )
    for number, (training, arrays, target, reason) in enumerate(cases):
        path = whole(tmp_path / f"{number}.h5", MODEL, {"dense": DENSE}, training=training,
                     optimizer={"iteration:0": np.int64(3)} | arrays)  # fmt: skip
        etui.convert(path, tmp_path / f"{number}.etui", native=False)
        options: Json = {"dialect": "tf_keras"}
        report = etui.convert(tmp_path / f"{number}.etui", tmp_path / target, **options)
        told = [entry for entry in report.entries if entry.kind == "optimizer" and entry.status == "data-only"]
        assert [entry.subject for entry in told] == ["optimizer"]
        assert reason in told[0].detail
        model, _ = conversion.read(tmp_path / target)
        with model:
            found = present(model.optimizer).optimizers["optimizer"]
            found = found if found.inner is None else found.inner
            assert set(found.slots["dense/kernel"]) == {"momentum", "velocity"}


@pytest.mark.clause("KH-28@9b91d6")
@pytest.mark.parametrize(("bridge", "fate"), [(h5_model, "reset"), (h5_weights, "left-out")], ids=["model", "weights"])
def test_what_metrics_counted_begins_anew(tmp_path: Path, bridge: Any, fate: str) -> None:
    """The state of metrics of tf_keras, for which the format has no place, is reset, and nothing counts as lost."""
    with read(whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, training=ADAM)) as model:
        model.state = State(metrics={"mean": {"0": Tensor.of(ramp(1)), "1": Tensor.of(ramp(1))}})
        report = Report()
        bridge.write(model, tmp_path / "b.h5", report, strict=True)
    assert {entry.status for entry in report.entries if entry.subject.startswith("metrics")} == {fate}
    with h5py.File(tmp_path / "b.h5") as file:
        assert "metrics" not in [*file, *file.get("model_weights", ())]


@pytest.mark.library
def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    """What cannot be written does not touch the target, and an existing file of the format is replaced in one step."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE})
    before = path.read_bytes()
    with read(path) as model:
        present(model.config).find("dense").op = "core:dense"
        with pytest.raises(EtuiError):
            h5_model.write(model, path, Report(), strict=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.library
def test_limits_bound_the_documents(tmp_path: Path) -> None:
    """A config beyond the caller's limit is refused."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE})
    with pytest.raises(EtuiError) as caught:
        h5_model.read(path, Report(), limits=Limits(document_bytes=100))
    assert caught.value.code in ("limit-document", "hdf5-syntax")


@pytest.mark.clause("K-10@f1eef3")
def test_the_code_of_a_lambda_of_keras_2_is_named(tmp_path: Path) -> None:
    """The list that holds marshalled code is kept as data, and the report says where."""
    layer = node("Lambda", "code", function=["4wEA", None, None], function_type="lambda")
    report = Report()
    with read(whole(tmp_path / "a.h5", sequential(source(), layer), {"code": {}}), report) as model:
        assert present(model.config).find("code").attrs["function"] == ["4wEA", None, None]
    assert [entry.subject for entry in report.entries if entry.kind == "code"] == ["code"]


@pytest.mark.library
def test_a_large_config_is_read(tmp_path: Path) -> None:
    """A config of several megabytes, in one attribute of varying length, is read whole."""
    words = [f"word{number}" for number in range(400_000)]
    config = sequential(source(), node("Dense", "dense", units=2, note=words))
    path = whole(tmp_path / "a.h5", config, {"dense": DENSE})
    assert path.stat().st_size > 5 << 20
    with read(path) as model:
        assert len(present(model.config).find("dense").attrs["note"]) == 400_000
