"""The training config in the metadata of a SavedModel, for a compile config (SPEC.md, annex G.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.h5.training import written_training
from etui.bridges.keras.json_text import read_json
from etui.bridges.keras.optimizer_table import WRAPPERS
from etui.bridges.keras.patches import Json
from etui.bridges.tensorflow.saved_model.metadata import FILE
from etui.bridges.tensorflow.saved_model.schema import KERAS_METADATA
from etui.limits import Limits
from etui.storage.protobuf import decode, encode
from etui.storage.sources import BytesSource


def training_config(compiled: Mapping[str, Json]) -> dict[str, Json] | None:
    """The training config of a model of tf_keras in the form of the metadata; `None` where there is no optimizer."""
    training = written_training(compiled, "tf_keras")
    optimizer = None if training is None else training["optimizer_config"]
    inner = optimizer["config"].get("inner_optimizer") if isinstance(optimizer, dict) else None
    if training is None or not isinstance(optimizer, dict) or not isinstance(inner, dict):
        return None if training is None else marked(training)
    if optimizer["class_name"] in WRAPPERS and inner["config"].get("is_legacy_optimizer") is False:
        # tf_keras has two classes of that name: the one for its newer optimizers is registered as the third version.
        name = inner["class_name"] if inner["class_name"].startswith("Custom>") else f"Custom>{inner['class_name']}"
        plain = {"class_name": name, "config": inner["config"]}
        config = dict(optimizer["config"], inner_optimizer=plain)
        training = training | {"optimizer_config": {"class_name": "LossScaleOptimizerV3", "config": config}}
    found: dict[str, Json] = marked(training)
    return found


def marked(value: Json) -> Any:
    """A value in the form of the metadata: a `__tuple__` of a `.keras` file holds its items in another field."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__" and isinstance(value.get("config"), dict):
            return {"class_name": "__tuple__", "items": [marked(item) for item in value["config"].get("value", [])]}
        return {key: marked(item) for key, item in value.items()}
    return [marked(item) for item in value] if isinstance(value, list) else value


def with_training(metadata: memoryview, compiled: Mapping[str, Json] | None, limits: Limits) -> bytes:
    """The metadata with another training config of the model; without one for a model that is not compiled.

    Raises:
        MalformedError: ``protobuf-syntax``, ``keras-json``.
    """
    message = decode(KERAS_METADATA, metadata, where=FILE, limits=limits)
    for node in message["nodes"]:
        if node["node_id"] == 0:
            document = read_json(BytesSource(node["metadata"].encode()), FILE, limits)
            document.pop("training_config", None)
            training = training_config(compiled) if compiled else None
            if training is not None:
                document["training_config"] = training
            node["metadata"] = json.dumps(document, sort_keys=True)
    return encode(message)
