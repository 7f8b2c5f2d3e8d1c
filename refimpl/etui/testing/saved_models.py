"""Small SavedModels made by hand, without a framework: as TensorFlow writes them, and as it never would."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from etui.bridges.tensorflow.arrays import outgoing
from etui.bridges.tensorflow.object_graph import VALUE, Attribute, ObjectGraph, SlotReference
from etui.bridges.tensorflow.objects_write import graph_tensor
from etui.bridges.tensorflow.saved_model.schema import KERAS_METADATA, SAVED_MODEL
from etui.containers.tensors import Tensor
from etui.storage.protobuf import Message, Schema, encode
from etui.storage.tf_bundle_writer import write_into

FLOAT, INT64, STRING = 1, 9, 7
LAYER = {
    "trainable": True,
    "dtype": "float32",
    "must_restore_from_config": False,
}


def message(schema: Schema, tree: dict[str, Any]) -> Message:
    """A message of plain maps, lists and values."""
    values = {}
    fields = {field.name: field for field in schema.fields.values()}
    for name, value in tree.items():
        inner = fields[name].message
        if inner is None:
            values[name] = value
        elif fields[name].repeated:
            values[name] = [message(inner, item) for item in value]
        else:
            values[name] = message(inner, value)
    return Message(schema, values)


@dataclass
class Node:
    """One object of a SavedModel."""

    content: dict[str, Any]
    children: dict[str, int] = field(default_factory=dict)
    value: Any = None
    slots: list[tuple[int, str, int]] = field(default_factory=list)


def user(identifier: str = "_generic_user_object", **children: int) -> Node:
    """A user object; `__` in the name of a child stands for a hyphen."""
    return Node(
        {"user_object": {"identifier": identifier}}, {key.replace("__", "-"): at for key, at in children.items()}
    )


def variable(value: Any, name: str = "v", *, trainable: bool = True) -> Node:
    """A variable with its value."""
    array = np.asarray(value)
    dtype = {"float32": FLOAT, "int64": INT64}.get(array.dtype.name, FLOAT)
    shape = {"dim": [{"size": size} for size in array.shape]}
    content = {"dtype": dtype, "shape": shape, "trainable": trainable, "name": name}
    return Node({"variable": content}, value=array)


@dataclass
class Maker:
    """What a SavedModel is made of; any of it may be changed before `write`."""

    nodes: list[Node]
    metadata: dict[int, dict[str, Any]] | None = None
    signatures: list[dict[str, Any]] = field(default_factory=list)
    assets: dict[str, bytes] = field(default_factory=dict)
    asset_names: list[str] | None = None
    tags: list[list[str]] = field(default_factory=lambda: [["serve"]])
    graph: bytes = b""
    keys: dict[int, str] = field(default_factory=dict)
    functions: list[dict[str, Any]] = field(default_factory=list)

    def objects(self) -> dict[str, Any]:
        """The object graph."""
        nodes = []
        for node in self.nodes:
            tree = dict(node.content)
            tree["children"] = [{"node_id": at, "local_name": name} for name, at in node.children.items()]
            tree["slot_variables"] = [
                {"original_variable_node_id": owner, "slot_name": name, "slot_variable_node_id": at}
                for owner, name, at in node.slots
            ]
            nodes.append(tree)
        return {"nodes": nodes, "concrete_functions": self.functions}

    def main(self) -> bytes:
        """The bytes of `saved_model.pb`."""
        names = [name.removeprefix("assets/") for name in self.assets] if self.asset_names is None else self.asset_names
        graphs = [
            {
                "meta_info_def": {"tags": tags},
                "graph_def": self.graph,
                "signature_def": self.signatures,
                "asset_file_def": [{"filename": name} for name in names],
                "object_graph_def": self.objects(),
            }
            for tags in self.tags
        ]
        return encode(message(SAVED_MODEL, {"saved_model_schema_version": 1, "meta_graphs": graphs}))

    def keras(self) -> bytes:
        """The bytes of `keras_metadata.pb`."""
        listed = [{"node_id": at, "metadata": json.dumps(tree)} for at, tree in (self.metadata or {}).items()]
        return encode(message(KERAS_METADATA, {"nodes": listed}))

    def write(self, folder: Path) -> Path:
        """Write the folder, which is not there yet."""
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(self.main())
        if self.metadata is not None:
            (folder / "keras_metadata.pb").write_bytes(self.keras())
        for name, data in self.assets.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        (folder / "variables").mkdir()
        graph = ObjectGraph([])
        tensors = []
        for at, node in enumerate(self.nodes):
            made = type(ObjectGraph().nodes[0])()
            made.children = dict(node.children)
            made.slots = [SlotReference(owner, name, slot) for owner, name, slot in node.slots]
            if node.value is not None:
                key = self.keys.get(at, f"node/{at}/.ATTRIBUTES/VARIABLE_VALUE")
                made.attributes = [Attribute(VALUE, "", key)]
                tensors.append(outgoing(key, Tensor.of(node.value)))
            graph.nodes.append(made)
        write_into(folder / "variables", "variables", [*tensors, graph_tensor(graph.serialized())])
        return folder


def dense(name: str, units: int, **config: Any) -> dict[str, Any]:
    """The config of a Dense layer as tf_keras writes it."""
    return {
        "class_name": "Dense",
        "config": {"name": name, "trainable": True, "dtype": "float32", "units": units, "use_bias": True, **config},
    }


def optimizer_config(name: str = "Custom>Adam", **config: Any) -> dict[str, Any]:
    """The config of an optimizer as tf_keras writes it: the older ones have no package."""
    base = {"name": "Adam", "is_legacy_optimizer": False, "learning_rate": 0.5, "beta_1": 0.9, "beta_2": 0.99}
    if not name.startswith("Custom>"):
        base = {"name": name, "learning_rate": 0.5, "decay": 0.0, "beta_1": 0.9, "beta_2": 0.99}
    return {"class_name": name, "config": base | config}


def keras_model(*, legacy: bool = False) -> Maker:
    """A Sequential model of one Dense layer that was trained a step by Adam."""
    layers = [
        {
            "class_name": "InputLayer",
            "config": {
                "batch_input_shape": {"class_name": "__tuple__", "items": [None, 3]},
                "dtype": "float32",
                "sparse": False,
                "ragged": False,
                "name": "input",
            },
        },
        dense("d", 2),
    ]
    root = {
        "name": "m",
        "class_name": "Sequential",
        "config": {"name": "m", "layers": layers},
        "keras_version": "2.15.0",
        "model_config": {"class_name": "Sequential", "config": {"name": "m", "layers": layers}},
        "training_config": {
            "loss": "mse",
            "metrics": None,
            "weighted_metrics": None,
            "loss_weights": None,
            "optimizer_config": optimizer_config("Adam" if legacy else "Custom>Adam"),
        },
        **LAYER,
    }
    kernel, bias = np.arange(6, dtype="float32").reshape(3, 2), np.array([7.0, 8.0], "float32")
    nodes = [
        user("_tf_keras_sequential", layer__0=1, optimizer=4),
        user("_tf_keras_layer", bias=3, kernel=2),
        variable(kernel, "d/kernel"),
        variable(bias, "d/bias"),
    ]
    # The order of an object's children is that in which it got them.
    nodes[1].children = {"kernel": 2, "bias": 3}
    if legacy:
        nodes.append(user("optimizer", iter=5, learning_rate=6))
        nodes += [variable(np.int64(1), "iter"), variable(np.float32(0.25), "rate")]
        for owner, name in ((2, "m"), (3, "m"), (2, "v"), (3, "v")):
            nodes[4].slots.append((owner, name, len(nodes)))
            nodes.append(variable(nodes[owner].value + len(nodes), name, trainable=False))
    else:
        nodes.append(user("experimentalOptimizer", _variables=5, _iterations=6, _learning_rate=7))
        nodes.append(
            Node({"user_object": {"identifier": "trackable_list_wrapper"}}, {"0": 6, "1": 8, "2": 9, "3": 10, "4": 11})
        )
        nodes += [variable(np.int64(1), "iteration"), variable(np.float32(0.25), "rate")]
        nodes += [variable(one + 1, "slot", trainable=False) for one in (kernel, kernel * 2, bias, bias * 2)]
    signature = {
        "key": "serving_default",
        "value": {
            "inputs": [{"key": "x", "value": {"dtype": FLOAT, "tensor_shape": {"dim": [{"size": -1}, {"size": 3}]}}}],
            "outputs": [{"key": "y", "value": {"dtype": FLOAT, "tensor_shape": {"unknown_rank": True}}}],
            "method_name": "tensorflow/serving/predict",
        },
    }
    metadata = {0: root, 1: {"name": "d", "class_name": "Dense", "config": layers[1]["config"], **LAYER}}
    return Maker(nodes, metadata, [signature, {"key": "__saved_model_init_op", "value": {}}])


def module() -> Maker:
    """Variables in a map, one of them by two ways, and an asset."""
    nodes = [
        user(parts=1, w=2, table=4),
        Node({"user_object": {"identifier": "trackable_dict_wrapper"}}, {"w again": 2, "b": 3}),
        variable(np.ones((2, 2), "float32"), "w"),
        variable(np.zeros(2, "float32"), "b", trainable=False),
        user(file=5),
        Node({"asset": {"asset_file_def_index": 0}}),
    ]
    return Maker(nodes, assets={"assets/words.txt": b"a\nb\n"}, graph=b"\n\x0e\n\x01f\x12\x08ReadFile")
