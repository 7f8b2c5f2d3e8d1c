"""Checkpoints of objects and of names without TensorFlow: small files that TensorFlow wrote, and the way back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import bridges
from etui.bridges.tensorflow.object_graph import (
    KEY,
    VALUE,
    Attribute,
    Node,
    ObjectGraph,
    SlotReference,
    read_object_graph,
)
from etui.bridges.tensorflow.object_places import object_places, slot_name
from etui.conversion import read
from etui.errors import EtuiError
from etui.model import Model
from etui.report import Report
from etui.storage.protobuf import varint
from etui.storage.tf_bundle import open_bundle
from etui.storage.tf_bundle_writer import Outgoing, write_bundle

FILES = Path(__file__).parent / "files"
SAVED = ["legacy", "names", "objects"]


def loaded(path: Path) -> tuple[Model, Report]:
    """A checkpoint with its report."""
    report = Report()
    model, bridge = read(path, report=report)
    assert bridge.name == "tf-checkpoint"
    return model, report


def bundle_bytes(folder: Path) -> dict[str, tuple[str, tuple[int, ...], list[bytes]]]:
    """Every tensor of the only bundle of a folder: dtype, shape, and bytes or strings of each piece."""
    index = next(path for path in folder.iterdir() if path.name.endswith(".index"))
    found = {}
    with open_bundle(folder / index.name.removesuffix(".index")) as bundle:
        for name, tensor in bundle.tensors.items():
            arrays = [part.read() for _, part in tensor.slices] or [tensor.read()]
            # The bytes of an array of objects would be the addresses of its strings.
            data = [
                b"|".join(one.reshape(-1).tolist()) if one.dtype == object else one.tobytes()
                for one in map(np.asarray, arrays)
            ]
            found[name] = (tensor.dtype, tensor.shape, [b"".join(data)])
    return found


@pytest.mark.clause("KT-31@38cfca", "KT-32@180566")
def test_objects_become_variables_by_their_paths() -> None:
    """Edges make paths, escaped; a second edge to a node is an alias; values are those that TensorFlow stored."""
    model, report = loaded(FILES / "objects")
    with model:
        assert model.weights is not None
        values = {path: variable.numpy().tolist() for path, variable in model.weights.variables.items()}
        assert values == {
            "step": 3,
            "thing/w": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
            "thing/text": [b"x", b"yy", b"\0z\0"],
            "thing/half": [1.0, 2.0],
            "thing/listed/0": 7,
            "thing/listed/1": [True, False],
            "thing/mapped/a": [1.5, 2.0],
            "thing/mapped/b%2Fc": [1 + 2j],
        }
        assert model.weights["thing/mapped/a"].dtype == "bfloat16"
        assert model.weights["thing/mapped/b%2Fc"].role == "b/c"
        assert model.weights.aliases == {"thing/same": "thing/w"}
        assert not model.weights["step"].trainable
        assert report.ok


@pytest.mark.clause("KT-34@024fd7")
def test_what_is_no_variable_is_kept_as_data() -> None:
    """The position of an iterator is a variant that stays as bytes; the counter of saves is a counter."""
    model, report = loaded(FILES / "objects")
    with model:
        assert model.state is not None
        assert model.state.counters == {"save_counter": 1}
        kept = model.state.residue["tensorflow"]["tensors"]["it/.ATTRIBUTES/ITERATOR_STATE"]
        assert kept["shape"] == [3]
        assert b"tensorflow::Iterator" in kept["variant"].numpy().tobytes()
    assert [entry.subject for entry in report.entries if entry.status == "data-only"] == [
        "it/.ATTRIBUTES/ITERATOR_STATE"
    ]


@pytest.mark.clause("KT-33@7b3901")
def test_slot_references_become_slots_of_variables() -> None:
    """The slots of a legacy optimizer belong to the variables that it refers to; step and rate are read."""
    model, _ = loaded(FILES / "legacy")
    with model:
        assert model.optimizer is not None
        assert model.weights is not None
        optimizer = model.optimizer.optimizers["optimizer"]
        assert (optimizer.algorithm, optimizer.step, optimizer.learning_rate) == ("tensorflow:Optimizer", 1, 0.5)
        assert optimizer.variables() == ["layer_with_weights-0/kernel", "layer_with_weights-0/bias"]
        assert [sorted(optimizer.slots[path]) for path in optimizer.variables()] == [["m", "v"], ["m", "v"]]
        assert optimizer.slots["layer_with_weights-0/bias"]["m"].shape == (2,)
        assert sorted(optimizer.residue["tensorflow"]["settings"]) == [
            "beta_1",
            "beta_2",
            "decay",
            "iter",
            "learning_rate",
        ]
        assert all(variable.trainable for variable in model.weights.variables.values())


@pytest.mark.clause("KT-21@6f4dc9", "KT-36@b47f25")
def test_names_become_paths_and_slices_become_chunks(tmp_path: Path) -> None:
    """A partitioned variable in two shards is one tensor of three chunks; a graph of operations is left out by name."""
    folder = tmp_path / "names"
    shutil.copytree(FILES / "names", folder)
    (folder / "model-5.meta").write_bytes(b"\x0a")
    model, report = loaded(folder)
    with model:
        assert model.weights is not None
        assert list(model.weights) == ["part", "scope/w"]
        tensor = model.weights["part"].tensor
        assert [piece.offset for piece in tensor.pieces] == [(0, 0), (4, 0), (7, 0)]
        assert tensor.numpy().tolist() == np.arange(30.0).reshape(10, 3).tolist()
        assert tensor.read((slice(6, 8), slice(1, 2))).tolist() == [[19.0], [22.0]]
    left = [entry.subject for entry in report.entries if entry.status == "left-out"]
    assert left == ["model-5.meta"]


@pytest.mark.clause("KT-35@32f542", "KT-36@b47f25")
@pytest.mark.parametrize("name", SAVED)
def test_a_checkpoint_comes_back_through_an_etui(tmp_path: Path, name: str) -> None:
    """Each tensor has its key, dtype, shape and bytes again, the object graph too; a second writing is the same."""
    etui.convert(FILES / name, tmp_path / "m.etui")
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        report = etui.convert(tmp_path / "m.etui", tmp_path / place / "ckpt", to="tf-checkpoint")
        assert report.ok
    assert bundle_bytes(tmp_path / "a") == bundle_bytes(FILES / name)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / place).iterdir()} for place in ("a", "b"))
    assert first == second
    assert sorted(first) == ["checkpoint", "ckpt.data-00000-of-00001", "ckpt.index"]


@pytest.mark.clause("KT-35@32f542")
def test_a_changed_model_is_written_with_its_changes(tmp_path: Path) -> None:
    """The neutral documents are in force: weights, step and rate; what has no object is lost, and said so."""
    model, _ = loaded(FILES / "legacy")
    with model:
        assert model.weights is not None
        assert model.optimizer is not None
        model.weights.variables["layer_with_weights-0/bias"].tensor = etui.Tensor.of(np.array([8, 9], np.float32))
        optimizer = model.optimizer.optimizers["optimizer"]
        optimizer.step = optimizer.micro_step = 77
        optimizer.learning_rate = 0.125
        bridges.by_name("tf-checkpoint").translator.write(model, tmp_path / "c", Report(), strict=True)
        model.weights.add("other", etui.Tensor.of(np.float32(1)), role="other")
        del model.weights.variables["layer_with_weights-0/kernel"]
        lenient = Report()
        bridges.by_name("tf-checkpoint").translator.write(model, tmp_path / "d", lenient, strict=False)
    again, _ = loaded(tmp_path / "c.index")
    with again:
        assert again.weights is not None
        assert again.optimizer is not None
        assert again.weights["layer_with_weights-0/bias"].numpy().tolist() == [8, 9]
        assert again.optimizer.optimizers["optimizer"].step == 77
        assert again.optimizer.optimizers["optimizer"].learning_rate == 0.125
    assert {(entry.subject, entry.status) for entry in lenient.lost} >= {
        ("other", "not-transferable"), ("layer_with_weights-0/kernel", "missing")
    }  # fmt: skip
    less, _ = loaded(tmp_path / "d.index")
    with less:
        assert less.weights is not None
        assert list(less.weights) == ["layer_with_weights-0/bias"]


@pytest.mark.clause("KT-37@1cb0e5")
def test_a_model_of_paths_is_written_as_objects(tmp_path: Path) -> None:
    """Each segment of a path is an edge, an alias is a further edge, and there is a counter of saves."""
    weights = etui.Weights()
    weights.add("enc/a%2Fb", etui.Tensor.of(np.array([1, 2], np.float32)), role="a/b")
    weights.add("enc", etui.Tensor.of(np.int64(5)), role="enc", trainable=False)
    weights.aliases["dec/tied"] = "enc/a%2Fb"
    bridges.by_name("tf-checkpoint").translator.write(Model(weights=weights), tmp_path / "c", Report(), strict=True)
    with open_bundle(tmp_path / "c") as bundle:
        assert "enc/a.Sb/.ATTRIBUTES/VARIABLE_VALUE" in bundle.tensors
        graph = read_object_graph(bundle.tensors[KEY].read().item())
        assert graph.at(0, "dec", "tied") == graph.at(0, "enc", "a/b")
        assert bundle.tensors["save_counter/.ATTRIBUTES/VARIABLE_VALUE"].read().tolist() == 1
    again, _ = loaded(tmp_path / "c")
    with again:
        assert again.weights is not None
        assert list(again.weights) == ["enc", "enc/a%2Fb"]
        assert again.weights.aliases == {"dec/tied": "enc/a%2Fb"}


@pytest.mark.library
def test_a_checkpoint_is_known_by_prefix_index_and_folder(tmp_path: Path) -> None:
    """All name the same checkpoint; a folder without a state file must have one index; others are not known."""
    for name in ("ckpt-1", "ckpt-1.index", ""):
        found = bridges.recognise(FILES / "objects" / name)
        assert found is not None
        assert found.name == "tf-checkpoint"
    shutil.copytree(FILES / "objects", tmp_path / "x")
    (tmp_path / "x" / "checkpoint").unlink()
    loaded(tmp_path / "x")[0].close()
    (tmp_path / "x" / "ckpt-1.index").rename(tmp_path / "x" / ".index")
    (tmp_path / "x" / "ckpt-1.data-00000-of-00001").rename(tmp_path / "x" / ".data-00000-of-00001")
    (tmp_path / "x" / "checkpoint").write_text('model_checkpoint_path: "/home/author/run/"\n')
    loaded(tmp_path / "x")[0].close()
    shutil.copy(FILES / "objects" / "ckpt-1.index", tmp_path / "x")
    (tmp_path / "x" / "checkpoint").unlink()
    assert bridges.recognise(tmp_path / "x") is None
    (tmp_path / "x" / "checkpoint").write_text('model_checkpoint_path: "../y"\n')
    found = bridges.recognise(tmp_path / "x")
    assert found is not None, "whose state file is refused when it is read"
    assert found.name == "tf-checkpoint"


@pytest.mark.library
def test_a_folder_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A target that is a folder gets one checkpoint and its state file; a state file keeps what else is there."""
    for _ in range(2):
        etui.convert(FILES / "legacy", f"{tmp_path}/f/", to="tf-checkpoint")
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == [
        "checkpoint", "ckpt.data-00000-of-00001", "ckpt.index"
    ]  # fmt: skip
    etui.convert(FILES / "legacy", tmp_path / "f" / "next-2", to="tf-checkpoint")
    assert (tmp_path / "f" / "checkpoint").read_text() == (
        'model_checkpoint_path: "next-2"\nall_model_checkpoint_paths: "ckpt"\nall_model_checkpoint_paths: "next-2"\n'
    )


def optimizer_graph(full_names: list[str], slots: list[str]) -> ObjectGraph:
    """Variables a, b … and an optimizer of tf_keras with one list of slots, with these full names."""
    graph = ObjectGraph()
    for number, name in enumerate(full_names):
        node = graph.add(0, "abcdef"[number])
        graph.nodes[node].attributes.append(Attribute(VALUE, name, f"key {number}"))
    optimizer = graph.add(0, "optimizer")
    listed, moments = graph.add(optimizer, "_variables"), graph.add(optimizer, "_velocities")
    count = graph.add(listed, "0")
    graph.nodes[count].attributes.append(Attribute(VALUE, "iteration", "count"))
    graph.nodes[optimizer].children["_iterations"] = count
    for number, name in enumerate(slots):
        node = graph.add(listed, str(number + 1))
        graph.nodes[moments].children[str(number)] = node
        graph.nodes[node].attributes.append(Attribute(VALUE, name, f"slot {number}"))
    return graph


@pytest.mark.clause("KT-33@7b3901")
def test_slots_without_references_go_by_the_full_name_or_stay_data() -> None:
    """A list of slots is taken where each repeats the name of a variable of its own, and else is kept as data."""
    places = object_places(optimizer_graph(["x/k", "y/k"], ["Adam/v/y/k", "Adam/v/x/k"])).keys
    assert [places[f"slot {number}"].variable for number in (0, 1)] == ["b", "a"]
    assert {places[f"slot {number}"].name for number in (0, 1)} == {"velocity"}
    for names, slots in (
        (["k", "k"], ["Adam/v/k", "Adam/v/k"]),
        (["x", "y"], ["Adam/v/x", "Adam/v/x"]),
        (["x"], ["v/x"]),
    ):
        found = object_places(optimizer_graph(names, slots)).keys
        assert {found[f"slot {number}"].kind for number in range(len(slots))} == {"data"}
        assert found["count"].kind == "setting"
    assert [slot_name(name) for name in ("_momentums", "_velocities", "norm", "_loss")] == [
        "momentum",
        "velocity",
        "norm",
        "loss",
    ]


@pytest.mark.library
def test_paths_are_bounded_each_and_together() -> None:
    """A long chain, and a long way with many edges at its end, are refused before all their paths are made."""
    chain, fan = ObjectGraph(), ObjectGraph()
    node = 0
    for _ in range(3000):
        node = chain.add(node, "n")
    node = fan.add(0, "x" * 3000)
    leaf = fan.add(node, "leaf")
    fan.nodes[leaf].attributes.append(Attribute(VALUE, "", "leaf"))
    fan.nodes[node].children |= {str(number): leaf for number in range(30_000)}
    met = []
    for graph in (chain, fan):
        with pytest.raises(EtuiError) as caught:
            object_places(graph)
        met.append(caught.value.code)
    assert met == ["limit-path", "limit-foreign"]


@pytest.mark.clause("KT-32@180566")
def test_cycles_and_chains_are_walked_in_time() -> None:
    """Objects that refer to themselves and to each other have finite paths; a deep chain is no recursion."""
    graph = ObjectGraph()
    node = 0
    for _ in range(1500):
        node = graph.add(node, "n")
        graph.nodes[node].children["root"] = 0
    graph.nodes[node].attributes.append(Attribute(VALUE, "", "deep"))
    places = object_places(graph)
    assert places.keys["deep"].owner == "/".join(["n"] * 1500)
    graph.nodes[0].children["self"] = 0
    assert read_object_graph(graph.serialized()).nodes == graph.nodes


def message(*nodes: Node) -> bytes:
    """A serialized graph of these nodes."""
    return ObjectGraph(list(nodes)).serialized()


BAD_GRAPHS: dict[str, bytes] = {
    "no node": b"",
    "a child out of range": message(Node({"a": 5})),
    "a negative child": message(Node({"a": -1})),
    "a slot out of range": message(Node(slots=[SlotReference(0, "m", 9)])),
    "a slot of nothing": message(Node(slots=[SlotReference(7, "m", 0)])),
    "two children of one name": b"\x0a\x0a" + b"\x0a\x03\x12\x01a" * 2,
    "two attributes of one name": message(Node(attributes=[Attribute(VALUE, "", "a"), Attribute(VALUE, "", "b")])),
    "many attributes": message(Node(attributes=[Attribute(str(at), "", "a") for at in range(99)])),
}


@pytest.mark.clause("KT-30@e6c364")
@pytest.mark.parametrize("fault", BAD_GRAPHS)
def test_graphs_of_another_form_are_refused(tmp_path: Path, fault: str) -> None:
    """References and names are checked, in the graph alone and in a checkpoint."""
    array = np.empty((), object)
    array[()] = BAD_GRAPHS[fault]
    write_bundle(tmp_path / "x", [Outgoing(KEY, "bytes", (), lambda: array)])
    with pytest.raises(EtuiError) as caught:
        read(tmp_path / "x")
    assert caught.value.code == "object-graph-form"


@pytest.mark.clause("KT-30@e6c364")
@pytest.mark.parametrize(("dtype", "values"), [("int32", np.int32(1)), ("bytes", np.array([b"a"], object))])
def test_a_graph_that_is_no_string_is_refused(tmp_path: Path, dtype: str, values: Any) -> None:
    """The tensor of the graph is one string."""
    write_bundle(tmp_path / "x", [Outgoing(KEY, dtype, np.shape(values), lambda: np.asarray(values))])
    with pytest.raises(EtuiError) as caught:
        read(tmp_path / "x")
    assert caught.value.code == "object-graph-form"


@pytest.mark.clause("KT-1@e48126")
def test_a_graph_that_does_not_decode_is_refused(tmp_path: Path) -> None:
    """A message that is longer than its bytes."""
    array = np.empty((), object)
    array[()] = b"\x0a" + varint(2**40)
    write_bundle(tmp_path / "x", [Outgoing(KEY, "bytes", (), lambda: array)])
    with pytest.raises(EtuiError) as caught:
        read(tmp_path / "x")
    assert caught.value.code == "protobuf-syntax"


@pytest.mark.library
def test_a_missing_tensor_of_the_graph_is_missing(tmp_path: Path) -> None:
    """An object whose tensor the bundle lacks is named, and strict conversion refuses."""
    graph = ObjectGraph()
    graph.nodes[graph.add(0, "a")].attributes.append(Attribute(VALUE, "", "not there"))
    array = np.empty((), object)
    array[()] = graph.serialized()
    write_bundle(tmp_path / "x", [Outgoing(KEY, "bytes", (), lambda: array)])
    with pytest.raises(EtuiError) as caught:
        etui.convert(tmp_path / "x", tmp_path / "m.etui")
    assert caught.value.code == "not-complete"
