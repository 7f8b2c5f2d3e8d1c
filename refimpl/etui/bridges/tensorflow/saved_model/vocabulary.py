"""The vocabularies of lookup layers in a SavedModel, which the metadata leaves out (SPEC.md, annex G.2).

tf_keras keeps them in the graph: a function initializes the layer's table from two constants, or from a file of lines
among the assets. Nothing is run for it: the constants are read, and the file is one that the folder has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui.bridges.keras.patches import Json
from etui.bridges.keras.vocabulary import LOOKUPS
from etui.bridges.tensorflow.saved_model.graph import Node, shape_of
from etui.bridges.tensorflow.saved_model.keras import LayerFacts
from etui.bridges.tensorflow.saved_model.schema import GRAPH
from etui.limits import Limits
from etui.storage.protobuf import Message, decode

_LISTED = re.compile(r"layer-\d+")
_STRING, _INT64 = 7, 9


@dataclass(slots=True)
class Vocabularies:
    """Finds the vocabularies of a model.

    Args:
        nodes: the objects.
        graph: the MetaGraph.
        facts: of each Keras object by its node.
        asset: gives the bytes of a file below the assets by the name that the graph has for it, or `None`.
        where: the file, for messages.
        limits: of messages.
    """

    nodes: list[Node]
    graph: Message
    facts: Mapping[int, LayerFacts]
    asset: Callable[[str], bytes | None]
    where: str
    limits: Limits
    _constants: dict[str, Message] | None = field(default=None, init=False)

    def fill(self, tree: dict[str, Json]) -> Iterator[str]:
        """Put each vocabulary into its layer's config; gives the names of the layers.

        Args:
            tree: the model's node, which is changed.
        """
        stack: list[tuple[dict[str, Any], int]] = [(tree, 0)]
        while stack:
            node, at = stack.pop()
            found = self._of_layer(at)
            config = node["config"]
            if found is not None and config.get("vocabulary") is None:
                config["vocabulary"] = found
                if "has_input_vocabulary" in config:
                    # It is given now, as to a layer that never learned one.
                    config["has_input_vocabulary"] = True
                yield self.facts[at].name
            layers = config.get("layers") if isinstance(config, dict) else None
            objects = {self.facts[child].name: child for child in self._listed(at) if child in self.facts}
            for layer in layers if isinstance(layers, list) else ():
                inner = layer.get("config") if isinstance(layer, dict) else None
                if isinstance(inner, dict) and inner.get("name") in objects:
                    stack.append((layer, objects[inner["name"]]))

    def _listed(self, at: int) -> Iterator[int]:
        return (child for name, child in self.nodes[at].children.items() if _LISTED.fullmatch(name))

    def _of_layer(self, at: int) -> list[Any] | None:
        """The vocabulary of a lookup layer, or of the one that a TextVectorization holds."""
        lookup = self.nodes[at].children.get("_lookup_layer", at)
        if lookup not in self.facts or self.facts[lookup].class_name not in LOOKUPS:
            return None
        table = self.nodes[lookup].children.get("lookup_table")
        first = None if table is None else self.nodes[table].children.get("_initialize")
        if first is None:
            return None
        bound = [number for number in self._bound(self.nodes[first].functions) if number != table]
        if not all(0 <= number < len(self.nodes) for number in bound):
            return None
        kinds = [self.nodes[number].kind for number in bound]
        if kinds == ["asset"]:
            return self._lines(self.nodes[bound[0]].asset, self.facts[lookup].class_name)
        if kinds == ["constant", "constant"]:
            return self._pairs(*(self.nodes[number].operation for number in bound))
        return None

    def _bound(self, functions: tuple[str, ...]) -> list[int]:
        for entry in self.graph["object_graph_def"]["concrete_functions"]:
            if entry["key"] in functions and entry["value"] is not None:
                return list(entry["value"]["bound_inputs"])
        return []

    def _lines(self, index: int, class_name: str) -> list[Any] | None:
        definitions = self.graph["asset_file_def"]
        data = self.asset(definitions[index]["filename"]) if 0 <= index < len(definitions) else None
        if data is None:
            return None
        try:
            lines = data.decode().splitlines()
            return lines if class_name == "StringLookup" else [int(line) for line in lines]
        except ValueError:
            return None

    def _pairs(self, keys: str, values: str) -> list[Any] | None:
        """The terms in the order of their numbers: keys by values, or in an inverted table values by keys."""
        one, two = self._constant(keys), self._constant(values)
        if one is None or two is None or len(one) != len(two):
            return None
        terms, numbers = (two, one) if two and isinstance(two[0], str) else (one, two)
        if not all(isinstance(number, int) for number in numbers):
            return None
        return [term for _, term in sorted(zip(numbers, terms, strict=True), key=lambda pair: pair[0])]

    def _constant(self, name: str) -> list[Any] | None:
        """The elements of a constant of strings or integers; `None` for another."""
        if self._constants is None:
            nodes = decode(GRAPH, self.graph["graph_def"], where=self.where, limits=self.limits)["node"]
            self._constants = {node["name"]: node for node in nodes if node["op"] == "Const"}
        node = self._constants.get(name)
        attributes = {} if node is None else {entry["key"]: entry["value"] for entry in node["attr"]}
        value = attributes.get("value")
        tensor = None if value is None else value["tensor"]
        shape = () if tensor is None else shape_of(tensor["tensor_shape"])
        if tensor is None or shape is None or len(shape) != 1:
            return None
        if tensor["dtype"] == _STRING:
            try:
                items: list[Any] = [item.decode() for item in tensor["string_val"]]
            except UnicodeDecodeError:
                return None
        elif tensor["dtype"] == _INT64:
            content = tensor["tensor_content"]
            items = np.frombuffer(content, "<i8").tolist() if len(content) == 8 * shape[0] else []
            items = items or list(tensor["int64_val"])
        else:
            return None
        return items if len(items) == shape[0] else None
