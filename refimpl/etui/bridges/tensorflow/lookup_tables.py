"""The tables in which lookup layers count words while they adapt (SPEC.md, annex F.4).

A layer that was not given its vocabulary has, beside the table of words, which no checkpoint holds, one or two tables
of counts and a number of documents. They are empty but while `adapt` runs, and TensorFlow wants them in a checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from etui.bridges.keras.modules import is_model, resolved, row
from etui.bridges.tensorflow.keras_names import LOOKUP_LAYER, ObjectNames, listed
from etui.bridges.tensorflow.object_graph import VALUE, Attribute, Node, ObjectGraph
from etui.containers.config import Config, Module
from etui.containers.tensors import Tensor

TABLE, KEYS, VALUES = "table", "-keys", "-values"
_COUNTS, _DOCUMENT_COUNTS, _DOCUMENTS = "token_counts", "token_document_counts", "num_documents"
_WEIGHTED = ("tf_idf", "tf-idf")


@dataclass(frozen=True, slots=True)
class EmptyTable:
    """Tensors of an object that a lookup layer has.

    Attributes:
        way: the edges from the model to the object.
        attribute: of the object: ``table``, or ``VARIABLE_VALUE`` for the number of documents.
        tensors: what follows the object's key in that of a tensor -> the tensor.
    """

    way: tuple[str, ...]
    attribute: str
    tensors: dict[str, Tensor]


def empty_tables(config: Config, names: ObjectNames) -> Iterator[EmptyTable]:
    """The tables of every lookup layer of a model, and of the models in it, that was not given its vocabulary."""
    stack: list[tuple[Module, tuple[str, ...]]] = [(config.model, ())]
    while stack:
        model, before = stack.pop()
        for index, child in enumerate(listed(model) if is_model(model) else ()):
            module = resolved(config, child)
            way = (*before, *names.number_steps(model, index))
            if is_model(module):
                stack.append((module, way))
            elif row(module.op).keyed and _is_adapted(module):
                yield from _of_layer(module, (*way, LOOKUP_LAYER) if module.op == "keras:TextVectorization" else way)


def _is_adapted(module: Module) -> bool:
    return module.attrs.get("vocabulary") is None and not module.attrs.get("has_input_vocabulary")


def _of_layer(module: Module, way: tuple[str, ...]) -> Iterator[EmptyTable]:
    keys = "int64" if module.op == "keras:IntegerLookup" else "bytes"
    if module.attrs.get("vocabulary_dtype") == "int32":
        keys = "int32"
    words = Tensor.of(np.empty(0, object), dtype=keys) if keys == "bytes" else Tensor.of(np.empty(0, keys))
    tensors = {KEYS: words, VALUES: Tensor.of(np.empty(0, np.int64))}
    yield EmptyTable((*way, _COUNTS), TABLE, tensors)
    if module.attrs.get("output_mode") in _WEIGHTED:
        yield EmptyTable((*way, _DOCUMENT_COUNTS), TABLE, tensors)
        yield EmptyTable((*way, _DOCUMENTS), VALUE, {"": Tensor.of(np.int64(0))})


def counting(graph: ObjectGraph) -> Iterator[tuple[Attribute, tuple[str, ...]]]:
    """The attributes of a checkpoint's objects that count words, each with what follows its key in those of tensors."""
    for node in graph.nodes:
        if _COUNTS in node.children:
            for name in (_COUNTS, _DOCUMENT_COUNTS, _DOCUMENTS):
                at = node.children.get(name)
                yield from () if at is None else _attributes(graph.nodes[at])


def _attributes(node: Node) -> Iterator[tuple[Attribute, tuple[str, ...]]]:
    for attribute in node.attributes:
        if attribute.name == TABLE:
            yield attribute, (KEYS, VALUES)
        elif attribute.name == VALUE:
            yield attribute, ("",)
