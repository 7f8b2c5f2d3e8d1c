"""The topology of a `model.json` to the config tree of a `.keras` file (SPEC.md, annex H.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.content import Dialect
from etui.bridges.keras.lift import dialect_of, lift
from etui.bridges.tfjs.document import TOPOLOGY
from etui.bridges.tfjs.training import read_compile_config
from etui.bridges.tfjs.vocabulary import SAME_INITIALIZER
from etui.errors import error, shown

Json = Any

# What TensorFlow.js says of itself, and the version whose form its configs have.
_JAVASCRIPT, _AS_KERAS = "tfjs", "2.4.0"
# Booleans that JavaScript leaves undefined: it takes them as false, and Keras would take its own default.
_FALSE = frozenset({"mask_zero", "unit_forget_bias", "reset_after"})
# Settings of the way in which a layer computes, which JavaScript leaves undefined too.
_UNDEFINED = frozenset({"implementation"})
# Settings of an RNN; JavaScript writes those of its cell beside them.
_RNN = frozenset(
    (
        *("name", "trainable", "dtype", "batch_input_shape", "cell", "num_constants", "return_sequences"),
        *("return_state", "go_backwards", "stateful", "unroll"),
    )
)
_DEPTH, _DEPTHWISE = "depth_multiplier", "depthwise_kernel"
_KERAS_NAME = {own: keras for keras, own in SAME_INITIALIZER.items()}
# Settings that hold a layer; Keras before 2.4 and TensorFlow.js leave out the dtype by which it is known for one.
_HELD = frozenset({"layer", "backward_layer", "cell", "cells"})


@dataclass(slots=True)
class Topology:
    """What a topology says.

    Attributes:
        tree: the model's node in the form of a `.keras` file, with `compile_config` if it was compiled.
        dialect: of the tree.
        version: of Keras, or of TensorFlow.js, which wrote it.
        metadata: versions, as a `.keras` file holds them.
    """

    tree: dict[str, Json]
    dialect: Dialect
    version: str
    metadata: dict[str, Json] = field(default_factory=dict)


Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of weights by their names."""


def read_topology(document: Mapping[str, Json], where: str, shapes: Shapes) -> Topology:
    """Bring a topology to the form of a `.keras` file.

    Args:
        document: the tree of `model.json`.
        where: it, for messages.
        shapes: of the weights, which tell what JavaScript leaves out of a config.

    Raises:
        InvalidError: ``tfjs-form``, ``keras-config``.
        UnsupportedError: ``keras-legacy``.
    """
    topology = document[TOPOLOGY]
    config = topology.get("model_config", topology)
    if not isinstance(config, dict):
        raise error("tfjs-form", where=where, found=f"the model_config {shown(config)}")
    version = next((v for v in (topology.get("keras_version"), config.get("keras_version")) if isinstance(v, str)), "")
    javascript = version.startswith(_JAVASCRIPT) or not version
    era = _AS_KERAS if javascript else version
    config = _spelled(_defined(config, shapes) if javascript else config)
    dialect: Dialect = "keras" if dialect_of(era) == "keras" else "tf_keras"
    tree = lift(_typed(config) if dialect == "tf_keras" else config, era, where=f"{where}, {TOPOLOGY}")
    compiled = read_compile_config(document, era, where)
    if compiled is not None:
        tree["compile_config"] = compiled
    return Topology(tree, dialect, version, {"keras_version": era})


def _defined(tree: Json, shapes: Shapes) -> Json:
    """A config in which what JavaScript left undefined has the value that it takes it for."""
    if isinstance(tree, list):
        return [_defined(item, shapes) for item in tree]
    if not isinstance(tree, dict):
        return tree
    found = {}
    for key, value in tree.items():
        if value is None and key in _UNDEFINED:
            continue
        found[key] = False if value is None and key in _FALSE else _defined(value, shapes)
    kind, config = found.get("class_name"), found.get("config")
    return found | {"config": _of_layer(kind, config, shapes)} if isinstance(config, dict) else found


def _of_layer(kind: Json, config: dict[str, Json], shapes: Shapes) -> dict[str, Json]:
    """The config of a layer as it would be had JavaScript written all of it, and nothing twice."""
    if kind == "RNN":
        return {key: value for key, value in config.items() if key in _RNN}
    if kind == "Reshape" and isinstance(config.get("target_shape"), list):
        return config | {"target_shape": [-1 if size is None else size for size in config["target_shape"]]}
    if kind == "SeparableConv2D" and config.get(_DEPTH) is None:
        kernel = shapes.get(f"{config.get('name')}/{_DEPTHWISE}")
        return config | ({_DEPTH: kernel[-1]} if kernel else {})
    return config


def _spelled(tree: Json) -> Json:
    """A config in which classes have the names that Keras gives them."""
    if isinstance(tree, list):
        return [_spelled(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    found = {key: _spelled(value) for key, value in tree.items()}
    kind = found.get("class_name")
    return found | ({"class_name": _KERAS_NAME[kind]} if isinstance(kind, str) and kind in _KERAS_NAME else {})


def _typed(tree: Json, *, held: bool = False) -> Json:
    """A config in which layers that another layer holds have a dtype: the one of all layers where none is said."""
    if isinstance(tree, list):
        return [_typed(item, held=held) for item in tree]
    if not isinstance(tree, dict):
        return tree
    found = {key: _typed(value, held=key in _HELD) for key, value in tree.items()}
    config = found.get("config")
    if held and isinstance(config, dict) and "class_name" in found and "layers" not in config:
        found["config"] = {"dtype": "float32"} | config
    return found
