"""Checkpoints of Keras models whose config is known, without the frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.content import Content, Renamed, Stored
from etui.bridges.keras.model_read import read_model
from etui.bridges.tensorflow import checkpoint
from etui.bridges.tensorflow.object_graph import KEY, VALUE, Attribute, ObjectGraph, read_object_graph
from etui.bridges.tensorflow.objects_write import graph_tensor
from etui.canonical.values import ObjectValue
from etui.containers.state import State
from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.tf_bundle import open_bundle
from etui.storage.tf_bundle_writer import Outgoing, write_bundle

LEGACY = Path(__file__).parent / "files" / "legacy"


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """The node of a built-in layer."""
    config = {"name": name, "trainable": True, "dtype": "float32"} | config
    return {"module": "keras.layers", "class_name": kind, "config": config, "registered_name": None}


def sequential(*layers: dict[str, Any], optimizer: dict[str, Any] | None = None) -> dict[str, Any]:
    """The tree of a Sequential model."""
    tree: dict[str, Any] = {"module": "keras", "class_name": "Sequential", "registered_name": None}
    tree["config"] = {"name": "s", "layers": list(layers)}
    return tree | ({} if optimizer is None else {"compile_config": {"optimizer": optimizer, "loss": "mse"}})


def adam(module: str = "keras.optimizers", **config: Any) -> dict[str, Any]:
    """The node of an optimizer."""
    config = {"name": "adam", "learning_rate": 0.5} | config
    return {"module": module, "class_name": "Adam", "config": config, "registered_name": None}


DENSE = [layer("InputLayer", "input", batch_input_shape=[None, 2]), layer("Dense", "d", units=2)]


def content(dialect: str, arrays: dict[str, Any] | None = None, **options: Any) -> Content:
    """A model of one Dense layer in the layout, with arrays by their names there."""
    datasets: dict[str, Stored] = {}
    for name, values in (arrays or {}).items():
        array = np.asarray(values)
        datasets[name] = Renamed(name, array.dtype.name, array.shape, lambda array=array: array)  # type: ignore[misc]
    groups: dict[str, dict[str, str]] = {path: {} for name in datasets for path in ["", *_parents(name)]}
    return Content(sequential(*options.pop("layers", DENSE), **options), dialect, groups, datasets)


def _parents(name: str) -> list[str]:
    steps = name.split("/")[:-1]
    return ["/".join(steps[: at + 1]) for at in range(len(steps))]


def read(path: Path, config: Content) -> tuple[Model, Report]:
    """A checkpoint with a config, and the report."""
    report = Report()
    return checkpoint.read(path, report, limits=DEFAULT_LIMITS, config=replace(config, datasets={}, groups={})), report


def written(model: Model, prefix: Path) -> tuple[ObjectGraph, dict[str, Any], Report]:
    """The object graph and the arrays of a model's checkpoint, and the report."""
    report = Report()
    checkpoint.write(model, prefix, report, strict=False)
    with open_bundle(prefix) as bundle:
        graph = read_object_graph(bundle.tensors[KEY].read().item())
        return graph, {key: one.read() for key, one in bundle.tensors.items() if key != KEY}, report


@pytest.mark.clause("KT-40@050382", "KT-44@630d40")
def test_a_legacy_optimizer_has_the_slots_of_the_class_of_today() -> None:
    """References to slots m and v become momentum and velocity of the layer's variables; step and rate are read."""
    config = content("tf_keras", optimizer=adam("keras.optimizers.legacy", beta_1=0.9))
    model, report = read(LEGACY, config)
    with model:
        assert report.ok
        assert model.weights is not None
        assert model.optimizer is not None
        assert list(model.weights) == ["d/kernel", "d/bias"]
        optimizer = model.optimizer.optimizers["optimizer"]
        assert (optimizer.algorithm, optimizer.step) == ("keras:optimizers.legacy.Adam", 1)
        assert [sorted(slots) for slots in optimizer.slots.values()] == [["momentum", "velocity"]] * 2
        assert optimizer.slots["d/bias"]["momentum"].shape == (2,)


@pytest.mark.clause("KT-44@630d40", "KT-50@5363d7", "KT-51@3d9756")
def test_a_legacy_optimizer_is_written_as_it_was(tmp_path: Path) -> None:
    """The tensors are those of TensorFlow's file under its keys, and the root is the model."""
    model, _ = read(LEGACY, content("tf_keras", optimizer=adam("keras.optimizers.legacy", beta_1=0.9)))
    with model:
        graph, arrays, report = written(model, tmp_path / "c")
    assert report.ok
    with open_bundle(LEGACY / "ckpt") as bundle:
        expected = {key: one.read() for key, one in bundle.tensors.items() if key != KEY}
    assert arrays.keys() == expected.keys()
    assert all(arrays[key].tobytes() == expected[key].tobytes() for key in expected)
    assert graph.at(0, "layer-0") == graph.at(0, "layer_with_weights-0")
    assert graph.at(0, "root") == 0


@pytest.mark.clause("KT-41@262617")
def test_a_layer_that_the_checkpoint_lacks_is_missing_as_a_whole() -> None:
    """A config with one more layer, and one whose layer has another variable."""
    more = content("tf_keras", layers=[*DENSE, layer("Dense", "e", units=2)])
    model, report = read(LEGACY, more)
    model.close()
    assert [entry.subject for entry in report.lost] == ["layers/dense_1/vars/0", "layers/dense_1/vars/1"]
    other = content("tf_keras", layers=[DENSE[0], layer("BatchNormalization", "d")])
    assert checkpoint.read(LEGACY, Report(), limits=DEFAULT_LIMITS, config=other).config is None


@pytest.mark.clause("KT-49@430b82")
def test_a_config_of_another_model_is_no_silent_loss(tmp_path: Path) -> None:
    """Where no object is one of the config's, variables have their object paths, and the config counts as lost."""
    report = Report()
    config = content("keras", layers=[DENSE[0], layer("Dense", "d", units=2)])
    with checkpoint.read(LEGACY, report, limits=DEFAULT_LIMITS, config=config) as model:
        assert model.weights is not None
        assert "layer_with_weights-0/kernel" in model.weights
    assert [entry.subject for entry in report.entries if entry.status == "unexpected"] == ["config"]
    assert not report.ok


def keras_model(**options: Any) -> Model:
    """A neutral model of Keras 3 with an optimizer after two steps."""
    arrays = {
        "layers/dense/vars/0": np.arange(4, dtype="float32").reshape(2, 2),
        "layers/dense/vars/1": np.ones(2, "float32"),
        "optimizer/vars/0": np.array(2),
        "optimizer/vars/1": np.array(0.5, "float32"),
        **{f"optimizer/vars/{at}": np.full((2, 2) if at < 4 else 2, at, "float32") for at in range(2, 6)},
    }
    layers = [layer("InputLayer", "input", batch_shape=[None, 2]), layer("Dense", "d", units=2)]
    config = content("keras", arrays, optimizer=adam(), layers=[*layers, *options.get("more", [])])
    return read_model(config, Report(), "config")


@pytest.mark.clause("KT-50@5363d7", "KT-51@3d9756", "KT-52@03898e")
def test_a_model_of_keras_3_has_a_root_of_its_own(tmp_path: Path) -> None:
    """Model, optimizer and counter are children; trained variables are listed; every tensor is written once."""
    graph, arrays, report = written(keras_model(), tmp_path / "c")
    assert report.ok
    assert graph.at(0, "model", "optimizer") == graph.at(0, "optimizer")
    kernel = graph.at(0, "model", "_functional", "_operations", "1", "_kernel")
    assert kernel is not None
    assert graph.at(0, "optimizer", "_trainable_variables", "0") == kernel
    assert graph.at(0, "optimizer", "_variables", "0") == graph.at(0, "optimizer", "_iterations")
    assert graph.at(0, "save_counter") is not None
    assert len(arrays) == 2 + 6 + 1
    keys = [one.key for node in graph.nodes for one in node.attributes]
    assert sorted(keys) == sorted(arrays)


@pytest.mark.clause("KT-40@050382", "KT-43@06552b", "KT-46@09ab22", "KT-50@5363d7")
def test_a_written_model_of_keras_3_is_read_again(tmp_path: Path) -> None:
    """Weights, numbered variables of the optimizer and the counter come back, and a second writing is the same."""
    model = keras_model()
    model.state = State(counters={"save_counter": 9})
    written(model, tmp_path / "c")
    layers = [layer("InputLayer", "input", batch_shape=[None, 2]), layer("Dense", "d", units=2)]
    again, report = read(tmp_path / "c", content("keras", optimizer=adam(), layers=layers))
    with again:
        assert report.ok
        assert again.weights is not None
        assert again.optimizer is not None
        assert again.weights["d/kernel"].numpy().tolist() == [[0, 1], [2, 3]]
        slots = again.optimizer.optimizers["optimizer"].slots
        first = {path: {name: int(one.numpy().flat[0]) for name, one in held.items()} for path, held in slots.items()}
        assert first == {"d/kernel": {"momentum": 2, "velocity": 3}, "d/bias": {"momentum": 4, "velocity": 5}}
        assert again.state is None
        assert again.config is not None
        assert again.config.model.residue["tensorflow"] == {"root": "model", "save_counter": 9}
        written(again, tmp_path / "d")
    for end in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"c{end}").read_bytes() == (tmp_path / f"d{end}").read_bytes()


@pytest.mark.clause("KT-53@29aa7a")
def test_what_no_object_leads_to_is_named(tmp_path: Path) -> None:
    """The state of a seed generator is reset; a variable of a layer whose attributes are not known is lost."""
    model = keras_model()
    assert model.config is not None
    seeds = {
        "layers/dropout/seed_generator/vars/0": np.array([1, 2], "uint32"),
        "layers/own/vars/0": np.ones(2, "float32"),
    }
    own = {"module": "m", "class_name": "Own", "config": {"name": "own"}, "registered_name": "p>Own"}
    layers = [DENSE[0] | {}, layer("Dropout", "dropout", rate=0.5), own]
    found = read_model(content("keras", seeds, layers=layers), Report(), "config")
    _, arrays, report = written(found, tmp_path / "c")
    fates = {(entry.subject, entry.status) for entry in report.entries if entry.kind == "variable"}
    assert fates == {("dropout/seed_generator/0", "reset"), ("own/0", "not-transferable")}
    assert list(arrays) == ["save_counter/.ATTRIBUTES/VARIABLE_VALUE"]
    with pytest.raises(EtuiError) as caught:
        checkpoint.write(found, tmp_path / "d", Report(), strict=True)
    assert caught.value.code == "not-complete"
    assert not list(tmp_path.glob("d*"))


@pytest.mark.clause("KT-52@03898e")
def test_the_rate_of_tf_keras_has_an_attribute_of_its_own(tmp_path: Path) -> None:
    """A constant rate and that of a schedule have different names, and the rate in force is read back."""
    arrays = {"layers/dense/vars/0": np.ones((2, 2), "f4"), "layers/dense/vars/1": np.ones(2, "f4")}
    arrays |= {"optimizer/vars/0": np.array(2)}
    arrays |= {f"optimizer/vars/{at}": np.ones((2, 2) if at < 3 else 2, "f4") for at in range(1, 5)}
    for schedule, name in ((None, "_learning_rate"), (0.25, "_current_learning_rate")):
        model = read_model(content("tf_keras", arrays, optimizer=adam()), Report(), "config")
        assert model.optimizer is not None
        optimizer = model.optimizer.optimizers["optimizer"]
        optimizer.learning_rate = 0.125 if schedule is None else None
        if schedule is not None:
            config = {"initial_learning_rate": schedule, "decay_steps": 1, "decay_rate": 0.5}
            optimizer.schedule = ObjectValue("keras:optimizers.schedules.ExponentialDecay", config)
            optimizer.schedule_clock = "micro_step"
        graph, found, _ = written(model, tmp_path / name)
        assert graph.at(0, "optimizer", name) is not None
        assert float(found[f"optimizer/{name}/.ATTRIBUTES/VARIABLE_VALUE"]) == (schedule or 0.125)
        again, _ = read(tmp_path / name, content("tf_keras", optimizer=adam()))
        with again:
            assert again.optimizer is not None
            assert again.optimizer.optimizers["optimizer"].learning_rate == (schedule or 0.125)


@pytest.mark.library
def test_beside_a_table_of_words_layers_of_tf_keras_are_counted_all(tmp_path: Path) -> None:
    """Where tf_keras may count a vocabulary as a weight, only the number among all layers is written."""
    arrays = {"layers/dense/vars/0": np.ones((2, 2), "f4"), "layers/dense/vars/1": np.ones(2, "f4")}
    words = layer("StringLookup", "words", vocabulary=["a"])
    found = read_model(content("tf_keras", arrays, layers=[DENSE[0], words, DENSE[1]]), Report(), "config")
    graph, _, _ = written(found, tmp_path / "c")
    assert graph.at(0, "layer-1", "kernel") is not None
    assert graph.at(0, "layer_with_weights-0") is None


def tf_op(name: str) -> dict[str, Any]:
    """The node of a call of one of TensorFlow's functions, which tf_keras makes a layer without variables."""
    module = "tf_keras.src.layers.core.tf_op_layer"
    config = {"name": name, "trainable": True, "dtype": "float32", "function": "nn.relu"}
    return {"module": module, "class_name": "TFOpLambda", "config": config, "registered_name": "TFOpLambda"}


def of_objects(prefix: Path, *ways: tuple[str, ...], same: Mapping[Any, tuple[str, ...]] | None = None) -> Path:
    """A checkpoint whose variables are at the ends of these ways, each with its number as its elements.

    Args:
        prefix: where to write it.
        ways: the edges to each variable; a way that ends in an empty name leads to an object without variables.
        same: further way to an object -> the way that is there.
    """
    graph, tensors = ObjectGraph(), []
    for number, way in enumerate(ways):
        node = 0
        for name in way:
            node = graph.add(node, name) if name else node
        if way[-1]:
            shape = (2, 2) if "kernel" in way[-1] else (2,)
            array = np.full(shape, number, "float32")
            graph.nodes[node].attributes.append(Attribute(VALUE, "", "/".join(way)))
            tensors.append(Outgoing("/".join(way), "float32", shape, lambda array=array: array))  # type: ignore[misc]
    for further, first in (same or {}).items():
        parent, target = graph.at(0, *further[:-1]), graph.at(0, *first)
        assert parent is not None
        assert target is not None
        graph.nodes[parent].children[further[-1]] = target
    write_bundle(prefix, [*tensors, graph_tensor(graph.serialized())])
    return prefix


def dense_of(way: str) -> list[tuple[str, ...]]:
    """The ways to the variables of a Dense layer."""
    return [(way, "kernel"), (way, "bias")]


@pytest.mark.clause("KT-41@262617", "KT-47@d1deda")
def test_a_layer_never_gets_the_variables_of_the_next(tmp_path: Path) -> None:
    """A layer that is not built in and has no object is missing, and what follows has its own variables or none."""
    layers = [DENSE[0], DENSE[1], tf_op("op"), layer("Dense", "e", units=2)]
    counted = {("layer_with_weights-0",): ("layer-0",), ("layer_with_weights-1",): ("layer-2",)}
    whole = of_objects(tmp_path / "whole", *dense_of("layer-0"), ("layer-1", ""), *dense_of("layer-2"), same=counted)
    model, report = read(whole, content("tf_keras", layers=layers))
    with model:
        assert report.ok
        assert model.weights is not None
        assert {path: one.numpy().flat[0] for path, one in model.weights.variables.items()} == {
            "d/kernel": 0,
            "d/bias": 1,
            "e/kernel": 3,
            "e/bias": 4,
        }
    lacking = of_objects(tmp_path / "lacking", *dense_of("layer-0"), *dense_of("layer-2"), same=counted)
    model, report = read(lacking, content("tf_keras", layers=layers))
    with model:
        assert report.ok
        assert model.weights is not None
        assert [one.numpy().flat[0] for one in model.weights.variables.values()] == [0, 1, 2, 3]
    own = {"module": "m", "class_name": "Own", "config": {"name": "own"}, "registered_name": "p>Own"}
    model, report = read(lacking, content("tf_keras", layers=[*layers[:2], own, layers[3]]))
    with model:
        assert model.weights is not None
        assert list(model.weights) == ["d/kernel", "d/bias"]
        assert [(one.subject, one.status) for one in report.lost if one.kind == "module"] == [("own", "missing")]
        assert [one.subject for one in report.lost if one.kind == "variable"] == [
            "layers/dense_1/vars/0",
            "layers/dense_1/vars/1",
        ]


@pytest.mark.clause("KT-47@d1deda")
def test_numbers_that_disagree_are_not_followed(tmp_path: Path) -> None:
    """Where a layer's number among all and its number among those with variables lead apart, it is missing."""
    layers = [DENSE[0], layer("Dense", "a", units=2), layer("Dropout", "o", rate=0.5), layer("Dense", "e", units=2)]
    counted = {("layer_with_weights-0",): ("layer-0",), ("layer_with_weights-1",): ("layer-1",)}
    counted |= {("layer_with_weights-2",): ("layer-2",)}
    found = of_objects(tmp_path / "c", *(way for at in range(3) for way in dense_of(f"layer-{at}")), same=counted)
    model, report = read(found, content("tf_keras", layers=layers))
    with model:
        assert model.weights is not None
        assert list(model.weights) == ["a/kernel", "a/bias"]
    missing = [one.subject for one in report.lost if one.status == "missing"]
    assert missing == ["layers/dense_1/vars/0", "layers/dense_1/vars/1"]


@pytest.mark.clause("KT-47@d1deda")
def test_layers_of_keras_3_have_the_number_among_all(tmp_path: Path) -> None:
    """A layer without variables whose number leads to some is none of the checkpoint's, nor are those that follow."""
    layers = [layer("InputLayer", "input", batch_shape=[None, 2]), layer("Dense", "a", units=2)]
    layers += [layer("Dropout", "o", rate=0.5), layer("Dense", "e", units=2)]
    listed = ("_functional", "_operations")
    ways = [(*listed, "0", "")] + [(*listed, str(at), name) for at in range(1, 4) for name in ("_kernel", "bias")]
    model, report = read(of_objects(tmp_path / "c", *ways), content("keras", layers=layers))
    with model:
        assert model.weights is not None
        assert list(model.weights) == ["a/kernel", "a/bias"]
    missing = [one.subject for one in report.lost if one.status == "missing"]
    assert missing == ["layers/dense_1/vars/0", "layers/dense_1/vars/1"]


@pytest.mark.clause("KT-40@050382", "KT-47@d1deda")
def test_the_input_of_a_sequential_model_is_an_object(tmp_path: Path) -> None:
    """Input and layers without variables have their numbers in a Sequential model of Keras 3; all are found again."""
    layers = [
        layer("InputLayer", "input", batch_shape=[None, 2]),
        layer("Dropout", "drop"),
        layer("Dense", "d", units=2),
    ]
    arrays = {"layers/dense/vars/0": np.ones((2, 2), "float32"), "layers/dense/vars/1": np.ones(2, "float32")}
    config = content("keras", arrays, layers=layers)
    graph, _, _ = written(read_model(config, Report(), "config"), tmp_path / "x")
    operations = graph.at(0, "model", "_functional", "_operations")
    assert operations is not None
    assert set(graph.nodes[operations].children) == {"0", "1", "2"}
    model, report = read(tmp_path / "x", config)
    assert model.weights is not None
    assert list(model.weights) == ["d/kernel", "d/bias"]
    assert report.ok


def vocabulary_counts(prefix: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of the tensors that count words, by key."""
    with open_bundle(prefix) as bundle:
        return {key: (one.dtype, one.shape) for key, one in bundle.tensors.items() if "_counts" in key or "num_" in key}


@pytest.mark.clause("KT-48@a1278c", "KT-54@0f0fd1")
def test_counts_of_words_are_written_empty_and_are_no_state(tmp_path: Path) -> None:
    """A layer with a vocabulary of its own has none, others have them by kind, and reading leaves no state."""
    layers = [
        layer("InputLayer", "input", batch_shape=[None, 1], dtype="string"),
        layer("TextVectorization", "text", vocabulary=None, output_mode="tf_idf"),
        layer("StringLookup", "given", vocabulary=["a"]),
        layer("IntegerLookup", "numbers", vocabulary=None, vocabulary_dtype="int64"),
        layer("Dense", "d", units=2),
    ]
    arrays = {"layers/dense/vars/0": np.ones((2, 2), "f4"), "layers/dense/vars/1": np.ones(2, "f4")}
    checked = 0
    for dialect, before in (("keras", "model/_functional/_operations/"), ("tf_keras", "layer-")):
        model = read_model(content(dialect, arrays, layers=layers), Report(), "config")
        written(model, tmp_path / dialect)
        text, numbers = ("1", "3") if dialect == "keras" else ("0", "2")
        ends = [f"{name}/.ATTRIBUTES/table{end}" for name in ("token_counts", "token_document_counts") for end in ENDS]
        inner = f"{before}{text}/_lookup_layer/"
        expected: dict[str, tuple[str, tuple[int, ...]]]
        expected = {inner + end: ("bytes" if "keys" in end else "int64", (0,)) for end in ends}
        expected[f"{inner}num_documents/.ATTRIBUTES/VARIABLE_VALUE"] = ("int64", ())
        expected |= {f"{before}{numbers}/token_counts/.ATTRIBUTES/table{end}": ("int64", (0,)) for end in ENDS}
        assert vocabulary_counts(tmp_path / dialect) == expected
        config = replace(content(dialect, layers=layers), assets={"assets/text/vocabulary.txt": Blob.of(b"a")})
        again, report = read(tmp_path / dialect, config)
        with again:
            assert report.ok
            assert again.state is None
            assert again.assets["assets/text/vocabulary.txt"].read() == b"a"
        checked += 1
    assert checked == 2


ENDS = ("-keys", "-values")
