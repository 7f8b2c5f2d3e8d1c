"""The config tree of tf_keras to the topology that TensorFlow.js reads (SPEC.md, annex H.4).

TensorFlow.js knows Keras' older form: a class by one word, plain lists, numbers and strings. What it would ignore or
refuse is named in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.values import is_object
from etui.bridges.tfjs import vocabulary
from etui.report import Report

Json = Any

_HELD = ("layer", "cell")
_ENTRY, _TRIPLE = 4, 3
_BUILTIN_MODULES = ("keras", "tf_keras")
_REGULARIZER_ZERO = {"l1": 0.0, "l2": 0.0}
_DEFAULT_PENALTY = 0.01  # of a regularizer that is named by a word
_STATES = "initial_state"
_RECURRENT = frozenset({"Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN"})
_MASKED = frozenset({"GlobalAveragePooling1D"})
# It tells what a step gives that is left out, so it means nothing where none is.
_OF_MASKS = "zero_output_for_mask"
_REMOVED = frozenset({"build_input_shape", "optional"})
# TensorFlow.js refuses these on a layer that has two kernels, and Keras passes over them.
_UNUSED = {"SeparableConv2D": frozenset({"kernel_initializer", "kernel_regularizer", "kernel_constraint"})}


@dataclass(slots=True)
class TopologyWriter:
    """Writes one model.

    Attributes:
        report: gets an entry for what TensorFlow.js does not have.
        names: layer path -> the name that the layer gets, where its own is taken or not legal.
        shapes: layer path -> the shape of its input, where the source knows it.
        masked: whether some layer leaves steps out.
    """

    report: Report
    names: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, Json] = field(default_factory=dict)
    masked: bool = False

    def model(self, tree: Mapping[str, Json]) -> dict[str, Json]:
        """The node of the whole model: `class_name` and `config`."""
        self.masked = _makes_masks(tree)
        return self._layer(tree, "")

    def _lost(self, path: str, detail: str) -> None:
        self.report.add("module", path, "not-transferable", detail)

    def _layer(self, node: Mapping[str, Json], path: str) -> dict[str, Json]:
        kind, config = node["class_name"], node["config"]
        builtin = str(node.get("module")).partition(".")[0] in _BUILTIN_MODULES
        if not builtin or not isinstance(config, dict):
            registered = node.get("registered_name") or kind
            self._lost(path, f"TensorFlow.js has no class {registered}")
            return {"class_name": registered, "config": self._plain(config, path)}
        if kind in ("Functional", "Sequential", "Model") and isinstance(config.get("layers"), list):
            return {"class_name": kind, "config": self._model_config(kind, config, node, path)}
        removed = _REMOVED | _UNUSED.get(kind, frozenset()) | (frozenset() if self.masked else {_OF_MASKS})
        written = {key: self._value(key, value, path) for key, value in config.items() if key not in removed}
        if kind == "Bidirectional" and "backward_layer" in written:
            self._backward(written, path)
        if kind == "BatchNormalization" and isinstance(written.get("axis"), list) and len(written["axis"]) == 1:
            written["axis"] = written["axis"][0]
        fault = vocabulary.fault(kind, written, self.shapes.get(path))
        if fault:
            self._lost(path, fault)
        if kind in _MASKED and self.masked:
            self._lost(path, f"{kind} of TensorFlow.js does not heed which steps are left out")
        if kind == "RNN" and isinstance(written.get("cell"), list):
            self._lost(path, "RNN over a list of cells")
        return {"class_name": kind, "config": self._named(written, path)}

    def _named(self, config: dict[str, Json], path: str) -> dict[str, Json]:
        return config | {"name": self.names[path]} if path in self.names and "name" in config else config

    def _backward(self, config: dict[str, Json], path: str) -> None:
        """TensorFlow.js makes the backward layer from the forward one; another one is lost."""
        forward, backward = config["layer"], config.pop("backward_layer")
        expected = forward["config"] | {"go_backwards": not forward["config"].get("go_backwards")}
        same = {key: value for key, value in expected.items() if key != "name"}
        found = {key: value for key, value in backward["config"].items() if key != "name"}
        if backward["class_name"] != forward["class_name"] or found != same:
            self._lost(path, "a backward layer that is not the forward one turned round")

    # Models

    def _model_config(
        self, kind: str, config: Mapping[str, Json], node: Mapping[str, Json], path: str
    ) -> dict[str, Json]:
        layers = [item for item in config["layers"] if is_object(item)]
        if kind == "Sequential":
            layers = self._with_input(config, node, layers, path)
        renamed = {_name(item): self.names.get(_join(path, _name(item)), _name(item)) for item in layers}
        shifted = {_name(item) for item in layers if _lacks_input(item)}
        calls = _Calls(renamed, shifted, lambda detail: self._lost(path, detail), self._plain)
        written = []
        for item in layers:
            name = _name(item)
            entry: dict[str, Json] = {} if kind == "Sequential" else {"name": renamed[name]}
            entry |= self._layer(item, _join(path, name))
            if "inbound_nodes" in item:
                entry["inbound_nodes"] = calls.nodes(item["inbound_nodes"], item["class_name"])
            written.append(entry)
        found = {key: value for key, value in config.items() if key in ("name", "trainable")}
        found["layers"] = written
        for key in ("input_layers", "output_layers"):
            if key in config:
                found[key] = calls.ends(config[key])
        return self._named(found, path)

    def _with_input(
        self, config: Mapping[str, Json], node: Mapping[str, Json], layers: list[Json], path: str
    ) -> list[Json]:
        """A Sequential model begins with its input: TensorFlow.js does not wait for the first call."""
        if not layers or layers[0]["class_name"] == "InputLayer" or "batch_input_shape" in layers[0]["config"]:
            return layers
        if not _lacks_input({"class_name": "Sequential", "config": {"layers": layers}}):
            return layers
        build = node.get("build_config")
        shape = config.get("build_input_shape") or (build.get("input_shape") if isinstance(build, dict) else None)
        shape = self._plain(shape, path)
        if not isinstance(shape, list) or not all(isinstance(size, int | None) for size in shape):
            self._lost(path, "a Sequential model that does not know its input's shape")
            return layers
        name = f"{_name(layers[0])}_input"
        start = {"batch_input_shape": [None, *shape[1:]], "dtype": "float32", "sparse": False, "name": name}
        self.report.add("module", path, "translated", "an input layer was put in front")
        return [{"module": "keras.layers", "class_name": "InputLayer", "config": start}, *layers]

    # Values

    def _value(self, key: str, value: Json, path: str) -> Json:
        if key in _HELD or key == "backward_layer":
            return self._layer(value, _join(path, key)) if is_object(value) else self._plain(value, path)
        if key == "cells" and isinstance(value, list):
            return [self._layer(cell, f"{path}/{at}") for at, cell in enumerate(value) if is_object(cell)]
        if key == "dtype":
            return self._dtype(value, path)
        if key.endswith("activation"):
            return self._activation(value, path)
        if key.endswith("_initializer"):
            return self._initializer(value, path)
        if key.endswith("_regularizer"):
            return self._regularizer(value, path)
        if key.endswith("_constraint"):
            return self._constraint(value, path)
        return self._plain(value, path)

    def _plain(self, value: Json, path: str) -> Json:
        """Numbers, strings, lists and maps; a tuple is a list."""
        if is_object(value):
            if value["class_name"] == "__tuple__" and isinstance(value.get("items"), list):
                return [self._plain(item, path) for item in value["items"]]
            self._lost(path, f"a value of the class {value['class_name']}")
            return None
        if isinstance(value, dict):
            if value.get("class_name") == "__tuple__" and isinstance(value.get("items"), list):
                return [self._plain(item, path) for item in value["items"]]
            return {key: self._plain(item, path) for key, item in value.items() if key != "shared_object_id"}
        return [self._plain(item, path) for item in value] if isinstance(value, list) else value

    def _dtype(self, value: Json, path: str) -> Json:
        """The dtype that a layer computes in; a policy of two dtypes is the one of the variables."""
        name = value["config"].get("name") if is_object(value) and isinstance(value["config"], dict) else value
        if name is None:
            return "float32"
        text = str(name)
        found = "float32" if text.startswith("mixed_") else vocabulary.DTYPES.get(text, text)
        if text in ("uint8", "int8", "int16", "uint16"):
            found = "int32"
        if found != text:
            self.report.add("precision", path, "cast", f"{text} becomes {found}")
        if found not in vocabulary.WEIGHT_DTYPES:
            self._lost(path, f"the dtype {text}")
        return found

    def _activation(self, value: Json, path: str) -> Json:
        name = value
        if is_object(value):
            plain = value["class_name"] == "function"
            name = value["config"] if plain else value["class_name"]
        if name is None:
            return "linear"
        found = vocabulary.SAME_ACTIVATION.get(str(name), str(name))
        if found not in vocabulary.ACTIVATIONS:
            self._lost(path, f"TensorFlow.js has no activation {name}")
        return found

    def _initializer(self, value: Json, path: str) -> Json:
        """An initializer; the weights are there, so that one which is not may be left out."""
        if not is_object(value):
            return self._plain(value, path)
        kind = vocabulary.SAME_INITIALIZER.get(value["class_name"], value["class_name"])
        config = value["config"] if isinstance(value["config"], dict) else {}
        known = kind in vocabulary.INITIALIZERS or kind in vocabulary.SAME_INITIALIZER.values()
        if not known or config.get("distribution") == "untruncated_normal":
            self.report.add("initializer", path, "left-out", f"TensorFlow.js has no {value['class_name']} like it")
            return {"class_name": "Zeros", "config": {}}
        return {"class_name": kind, "config": self._plain(config, path)}

    def _regularizer(self, value: Json, path: str) -> Json:
        if value is None:
            return None
        if isinstance(value, str):
            words = {"l1": ("l1",), "l2": ("l2",), "l1_l2": ("l1", "l2"), "l1l2": ("l1", "l2")}
            if value in words:
                return {
                    "class_name": "L1L2",
                    "config": _REGULARIZER_ZERO | dict.fromkeys(words[value], _DEFAULT_PENALTY),
                }
        elif is_object(value) and value["class_name"] in vocabulary.REGULARIZERS and isinstance(value["config"], dict):
            penalties = {key: value["config"].get(key, 0.0) for key in _REGULARIZER_ZERO}
            return {"class_name": vocabulary.REGULARIZERS[value["class_name"]], "config": self._plain(penalties, path)}
        self._lost(path, f"TensorFlow.js has no regularizer {_shown(value)}")
        return None

    def _constraint(self, value: Json, path: str) -> Json:
        if value is None:
            return None
        if is_object(value) and value["class_name"] in vocabulary.CONSTRAINTS:
            return {"class_name": value["class_name"], "config": self._plain(value["config"], path)}
        self._lost(path, f"TensorFlow.js has no constraint {_shown(value)}")
        return None


@dataclass(slots=True)
class _Calls:
    """References from a model's calls to its layers.

    Attributes:
        renamed: old name -> new name.
        shifted: layers that get an input layer, and with it a first node of their own.
        lost: takes what cannot be written.
        plain: writes a value.
    """

    renamed: Mapping[str, str]
    shifted: set[str]
    lost: Callable[[str], None]
    plain: Callable[[Json, str], Json]

    def nodes(self, nodes: Json, kind: str) -> list[Json]:
        """Inbound nodes, each the list of a call's inputs."""
        return [self._node(node, kind) for node in nodes]

    def _node(self, node: Json, kind: str) -> list[Json]:
        entries = [node] if _is_entry(node) else node
        if isinstance(entries, dict):
            entries = [entries[key] for key in sorted(entries)]
        if not isinstance(entries, list) or not all(map(_is_entry, entries)):
            self.lost(f"a call of {kind} with other arguments than tensors")
            return []
        found = []
        for name, index, tensor, kwargs in _with_states(entries, kind):
            if name not in self.renamed:
                self.lost(f"a call of {kind} with a constant")
                return []
            if _has_reference(kwargs, set(self.renamed)):
                self.lost(f"a call of {kind} with tensors in named arguments")
                return []
            found.append([*self._reference(name, index, tensor), self.plain(kwargs, name)])
        return found

    def ends(self, ends: Json) -> list[Json]:
        """Inputs or outputs, a list of references."""
        if isinstance(ends, list) and len(ends) == _TRIPLE and isinstance(ends[0], str):
            ends = [ends]
        if isinstance(ends, dict):
            ends = [ends[key] for key in sorted(ends)]
        if not isinstance(ends, list) or not all(map(_is_reference, ends)):
            self.lost("inputs or outputs within inputs or outputs")
            return []
        return [self._reference(*end) for end in ends]

    def _reference(self, name: str, index: int, tensor: int) -> list[Json]:
        return [self.renamed.get(name, name), index + (name in self.shifted), tensor]


def _is_entry(item: Json) -> bool:
    return isinstance(item, list) and len(item) == _ENTRY and _is_reference(item[:3]) and isinstance(item[3], dict)


def _is_reference(item: Json) -> bool:
    named = isinstance(item, list) and len(item) == _TRIPLE and isinstance(item[0], str)
    return named and type(item[1]) is int and type(item[2]) is int


def _with_states(entries: list[Json], kind: str) -> list[Json]:
    """The inputs of a call; initial states are further inputs, which is how Keras 2 writes them down."""
    name, index, tensor, kwargs = entries[0] if entries else ("", 0, 0, {})
    states = kwargs.get(_STATES)
    if kind not in _RECURRENT or len(entries) != 1 or not isinstance(states, list):
        return entries
    states = [states] if len(states) == _TRIPLE and isinstance(states[0], str) else states
    if not all(map(_is_reference, states)):
        return entries
    rest = {key: value for key, value in kwargs.items() if key != _STATES}
    return [[name, index, tensor, rest], *([*one, rest] for one in states)]


def _has_reference(value: Json, names: set[str]) -> bool:
    if isinstance(value, list) and len(value) == _TRIPLE and isinstance(value[0], str) and value[0] in names:
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_reference(item, names) for item in items)


def _name(node: Mapping[str, Json]) -> str:
    config = node["config"]
    return str(node.get("name") or (config.get("name") if isinstance(config, dict) else ""))


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _makes_masks(tree: Json) -> bool:
    """Whether a layer of a model leaves steps out, or a call says which."""
    if isinstance(tree, list):
        return any(map(_makes_masks, tree))
    if not isinstance(tree, dict):
        return False
    if tree.get("class_name") == "Masking" or tree.get("mask_zero") or tree.get("mask") is not None:
        return True
    return any(map(_makes_masks, tree.values()))


def _lacks_input(node: Mapping[str, Json]) -> bool:
    """Whether a model is one that waits for its first call, as do those that begin with such a one."""
    if node["class_name"] != "Sequential" or not isinstance(node["config"], dict):
        return False
    layers = node["config"].get("layers")
    if not isinstance(layers, list) or not layers or not is_object(layers[0]):
        return False
    first = layers[0]
    if first["class_name"] == "Sequential":
        return _lacks_input(first)
    config = first["config"]
    known = isinstance(config, dict) and ("batch_input_shape" in config or isinstance(config.get("layers"), list))
    return first["class_name"] != "InputLayer" and not known


def _shown(value: Json) -> str:
    return str(value["class_name"]) if is_object(value) else str(value)
