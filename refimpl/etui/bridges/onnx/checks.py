"""Looking at an ONNX model before anything is done with it: a program is data from a stranger (SPEC.md, annex T)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from etui.bridges.onnx.external import is_external
from etui.bridges.onnx.functions import MOST_NODES, called_by, check_functions, name_of
from etui.bridges.onnx.require import onnx_package
from etui.errors import error, shown

__all__ = ["DOMAINS", "check_domains", "decode_model", "graphs_of", "nodes_of", "tensors_within"]

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""The domains of operators that every runtime of ONNX has, and that compute and do nothing else."""

# What protocol buffers can be.
_MOST_BYTES = 2**31 - 1
_DEPTH = 16


def decode_model(data: bytes | memoryview, where: str, *, hint: str = "") -> Any:
    """A `ModelProto`.

    Args:
        data: its bytes.
        where: for errors.
        hint: what to do about bytes that are none, if it is not what the code says.

    Raises:
        InvalidError: ``onnx-form``, the bytes are none, or hold names that are no text.
        MissingExtraError: ``extra-onnx``.
    """
    onnx = onnx_package()
    if len(data) > _MOST_BYTES:
        raise error("onnx-form", where=where, found=f"{len(data)} bytes")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(bytes(data))
    except Exception as fault:  # what protobuf raises depends on its implementation
        raise error("onnx-form", where=where, found=f"bytes that are no ONNX model: {fault}", hint=hint) from fault
    size = model.ByteSize()
    model.DiscardUnknownFields()
    if model.ByteSize() != size:
        # A runtime that knows them would go by what was not checked.
        found = f"{size - model.ByteSize()} bytes of fields that the package onnx does not know"
        raise error(
            "onnx-form", where=where, found=found, hint="Update onnx, if the program is one of a newer version."
        )
    if not model.HasField("graph"):
        raise error("onnx-form", where=where, found="a model without a graph")
    if not all(isinstance(text, str) for text in _texts(model, where)):
        raise error("onnx-form", where=where, found="a name that is not UTF-8")
    return model


def _texts(model: Any, where: str) -> Iterator[Any]:
    """The names in a model; protobuf gives what is not UTF-8 as bytes."""
    for value in (*model.graph.input, *model.graph.output):
        yield value.name
    for function in model.functions:
        yield from (function.domain, function.name, function.overload)
    for node in nodes_of(model, where):
        yield from (node.domain, node.op_type, node.overload, *node.input, *node.output)
    for tensor in tensors_within(model, where, outer=True):
        yield tensor.name
        for entry in (*tensor.external_data, *tensor.metadata_props):
            yield from (entry.key, entry.value)


def check_domains(model: Any, where: str) -> None:
    """Refuse operators that are neither of ONNX nor functions that the model holds itself, and functions without end.

    Raises:
        UnsafeError: ``onnx-domain``.
        InvalidError: ``onnx-form``.
    """
    own = {name_of(function) for function in model.functions}
    foreign = sorted(
        {
            f"{node.domain}.{node.op_type}"
            for node in nodes_of(model, where)
            if node.domain not in DOMAINS and called_by(node) not in own
        }
    )
    if foreign:
        raise error("onnx-domain", where=where, found=shown(foreign, 200))
    check_functions(model, partial(nodes_within, where=where), where)


def check_tensors(model: Any, where: str) -> None:
    """Refuse external data elsewhere than in the initializers of the graph itself.

    Raises:
        UnsafeError: ``onnx-data``.
    """
    for tensor in tensors_within(model, where, outer=False):
        if is_external(tensor):
            raise error("onnx-data", where=where, found=f"external data of {shown(tensor.name)}, not an initializer")


def nodes_of(model: Any, where: str) -> Iterator[Any]:
    """Every node of a model: of its graph, the graphs within it, its functions, and what they have by default.

    Raises:
        InvalidError: ``onnx-form``, graphs are nested too deep.
    """
    trained = [part for info in model.training_info for part in (info.initialization, info.algorithm)]
    owners = [model.graph, *trained, *model.functions, *_graphs_of_defaults(model)]
    return nodes_within([node for owner in owners for node in owner.node], where)


def nodes_within(nodes: Iterable[Any], where: str) -> Iterator[Any]:
    """Nodes, and those of the graphs in their attributes.

    Raises:
        InvalidError: ``onnx-form``, graphs are nested too deep, or there are more nodes than any model has.
    """
    count, stack = 0, [iter(nodes)]
    while stack:
        for node in stack[-1]:
            count += 1
            if count > MOST_NODES:
                raise error("onnx-form", where=where, found=f"more than {MOST_NODES} nodes")
            yield node
            inner = [one for graph in _graphs_in(node.attribute) for one in graph.node]
            if inner:
                if len(stack) > _DEPTH:
                    raise error("onnx-form", where=where, found=f"graphs nested more than {_DEPTH} deep")
                stack.append(iter(inner))
                break
        else:
            stack.pop()


def _graphs_in(attributes: Iterable[Any]) -> Iterator[Any]:
    for attribute in attributes:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _graphs_of_defaults(model: Any) -> Iterator[Any]:
    """The graphs that functions take where a call gives none."""
    for function in model.functions:
        yield from _graphs_in(function.attribute_proto)


def _inner_graphs(model: Any, where: str) -> Iterator[Any]:
    for info in model.training_info:
        yield info.initialization
        yield info.algorithm
    yield from _graphs_of_defaults(model)
    for node in nodes_of(model, where):
        yield from _graphs_in(node.attribute)


def graphs_of(model: Any, where: str) -> Iterator[Any]:
    """Every graph of a model: its own, those within it, and those of a training."""
    yield model.graph
    yield from _inner_graphs(model, where)


def tensors_within(model: Any, where: str, *, outer: bool) -> Iterator[Any]:
    """Every `TensorProto` of a model: initializers, sparse ones, and those in attributes.

    Args:
        model: a `ModelProto`.
        where: for errors.
        outer: whether the initializers of the graph itself are among them.
    """
    if outer:
        yield from model.graph.initializer
    for graph in _inner_graphs(model, where):
        yield from graph.initializer
    for graph in graphs_of(model, where):
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    owners = [node.attribute for node in nodes_of(model, where)]
    owners += [function.attribute_proto for function in model.functions]
    for attributes in owners:
        for attribute in attributes:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            sparse_ones = [*attribute.sparse_tensors]
            sparse_ones += [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in sparse_ones:
                yield from (sparse.values, sparse.indices)
