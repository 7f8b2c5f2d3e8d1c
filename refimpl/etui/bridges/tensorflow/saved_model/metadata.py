"""What Keras wrote about its objects in a SavedModel: classes, configs, and how the model was compiled (annex G.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.h5.training import read_compiled
from etui.bridges.keras.json_text import read_json
from etui.bridges.keras.lift import lift, lift_object
from etui.bridges.keras.patches import Json
from etui.bridges.tensorflow.saved_model.graph import KERAS, Node
from etui.bridges.tensorflow.saved_model.keras import LayerFacts
from etui.bridges.tensorflow.saved_model.schema import KERAS_METADATA
from etui.errors import error
from etui.limits import Limits
from etui.storage.protobuf import decode
from etui.storage.sources import BytesSource

FILE = "keras_metadata.pb"
_ENCODED = {"__tuple__": "items", "TensorShape": "items"}


@dataclass(slots=True)
class KerasFacts:
    """What the metadata tells of a model.

    Attributes:
        tree: the model's node in the form of a `.keras` file, with `compile_config`.
        version: of Keras, if it is told.
        layers: the name and class of each Keras object, by its node.
        rebuilt: the Functional model that tf_keras makes of a model whose objects are in the bundle alone.
    """

    tree: dict[str, Json]
    version: str | None
    layers: dict[int, LayerFacts] = field(default_factory=dict)
    rebuilt: dict[str, Json] | None = None


def read_facts(nodes: list[Node], data: bytes | None, where: str, limits: Limits) -> KerasFacts | None:
    """The facts of a model of Keras; `None` where the root is none, or nothing is told about it.

    Args:
        nodes: the objects.
        data: of `keras_metadata.pb`; `None` where there is none, and the objects have the metadata themselves, as
            TensorFlow wrote them up to version 2.4.
        where: the folder, for messages.
        limits: of documents.

    Raises:
        MalformedError: ``protobuf-syntax``, ``keras-json``.
        InvalidError: ``savedmodel-metadata``; a code of annex C.
    """
    found = dict(_documents(nodes, data, where, limits))
    root = found.get(0)
    if root is None or not isinstance(root.get("class_name"), str):
        return None
    layers = {number: _facts(document) for number, document in found.items()}
    version = root.get("keras_version")
    version = version if isinstance(version, str) else "2.0.0"
    # The model's own config is written twice; the first has the numbers of shared objects.
    node = root.get("model_config")
    if not isinstance(node, dict) or not isinstance(node.get("config"), dict):
        config = root.get("config")
        node = {"class_name": root["class_name"], "config": config if isinstance(config, dict) else {}}
    node = plain(node)
    if root["class_name"].rpartition(">")[2] == node.get("class_name"):
        # The first does not name the package of an author's class.
        node["class_name"] = root["class_name"]
    if not node["config"]:
        # A class without `get_config` has its name in the metadata alone.
        node["config"] = {"name": root["name"]} if isinstance(root.get("name"), str) else {}
    tree = lift(node, version, where=f"{where}, {FILE}")
    built = root.get("build_input_shape")
    if built is not None and not root.get("is_graph_network") and "layers" not in tree["config"]:
        # What a `.keras` file says of it, by which a model of an author's class is built before it is given variables.
        tree["build_config"] = {"input_shape": plain(built)}
    training = root.get("training_config")
    if isinstance(training, dict):
        tree["compile_config"] = read_compiled(plain(training), version, f"{where}, {FILE}")
        _lift_inner(tree["compile_config"].get("optimizer"), version, f"{where}, {FILE}")
    told = root.get("keras_version")
    facts = KerasFacts(tree, told if isinstance(told, str) else None, layers)
    if root["class_name"] == "Model" and not nodes[0].children and isinstance(root.get("config"), dict):
        node = {"class_name": "Functional", "config": plain(root["config"])}
        facts.rebuilt = lift(node, version, where=f"{where}, {FILE}")
        if "compile_config" in tree:
            facts.rebuilt["compile_config"] = tree["compile_config"]
    return facts


def _lift_inner(optimizer: Json, version: str, where: str) -> None:
    """Name the class of an optimizer in a loss scaler as that of one by itself."""
    config = optimizer.get("config") if isinstance(optimizer, dict) else None
    inner = config.get("inner_optimizer") if isinstance(config, dict) else None
    if isinstance(config, dict) and isinstance(inner, dict) and inner.get("module") is None:
        name = inner.get("registered_name") or inner.get("class_name")
        plain_inner = {"class_name": name, "config": inner.get("config")}
        config["inner_optimizer"] = lift_object(plain_inner, "optimizers", version, where=where)


def _documents(nodes: list[Node], data: bytes | None, where: str, limits: Limits) -> list[tuple[int, dict[str, Any]]]:
    if data is None:
        texts = [(at, node.metadata) for at, node in enumerate(nodes) if node.identifier.startswith(KERAS)]
        place = f"{where}, saved_model.pb"
    else:
        place = f"{where}, {FILE}"
        message = decode(KERAS_METADATA, data, where=place, limits=limits)
        texts = [(node["node_id"], node["metadata"].encode()) for node in message["nodes"]]
    found: dict[int, dict[str, Any]] = {}
    for number, text in texts:
        if not text:
            continue
        if not 0 <= number < len(nodes) or number in found:
            raise error("savedmodel-metadata", where=place, found=f"node {number} of {len(nodes)}, or again")
        found[number] = read_json(BytesSource(text), f"{place}, node {number}", limits)
    return list(found.items())


def _facts(document: Mapping[str, Any]) -> LayerFacts:
    name, class_name = document.get("name"), document.get("class_name")
    return LayerFacts(name if isinstance(name, str) else "", class_name if isinstance(class_name, str) else "Layer")


def plain(value: Json) -> Any:
    """A value without the marks that Keras sets around tuples and shapes: each becomes a list, as in its JSON."""
    if isinstance(value, dict):
        kind = value.get("class_name")
        items = value.get(_ENCODED[kind]) if isinstance(kind, str) and kind in _ENCODED else None
        if isinstance(items, list):
            return [plain(item) for item in items]
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
