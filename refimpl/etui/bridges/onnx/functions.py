"""The functions that an ONNX model defines: which one a node calls, and what they become once they are put in place.

Runtimes replace each call by the nodes of its function, and look for an operator of their own by its name first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from etui.errors import error, shown

__all__ = ["MOST_NODES", "called_by", "check_functions", "name_of", "rename_functions"]

Name = tuple[str, str, str]
Nodes = Callable[[Iterable[Any]], Iterator[Any]]

_NESTED = 64
MOST_NODES = 2**20
"""Nodes that a model has at most, once its functions are put in place of their calls."""
_BYTES = 2**31 - 1
_DOMAIN = "etui.function"


class _Size(NamedTuple):
    """What a function is once the functions that it calls are put in place.

    Attributes:
        nodes, attributes: their number.
        bytes: at most.
        nested: how many calls lie within each other.
    """

    nodes: int = 0
    attributes: int = 0
    bytes: int = 0
    nested: int = 0


def name_of(function: Any) -> Name:
    """What calls a function: its domain, name and overload."""
    return (_domain(function), function.name, function.overload)


def called_by(node: Any) -> Name:
    """The function that a node calls, if there is one of that domain, name and overload."""
    return (_domain(node), node.op_type, node.overload)


def _domain(owner: Any) -> str:
    return "" if owner.domain == "ai.onnx" else str(owner.domain)


def check_functions(model: Any, nodes_within: Nodes, where: str) -> None:
    """Refuse functions that have no end, or would take more memory than a model has (PG-12).

    Args:
        model: a `ModelProto`.
        nodes_within: gives nodes with those of the graphs in their attributes.
        where: for errors.

    Raises:
        InvalidError: ``onnx-form``.
    """
    functions = {name_of(function): function for function in model.functions}
    if len(functions) != len(model.functions):
        raise error("onnx-form", where=where, found="two functions of one domain, name and overload")
    for function in model.functions:
        if any(_has_graph(attribute) for attribute in function.attribute_proto):
            raise error("onnx-form", where=where, found=f"a graph that the function {shown(function.name)} takes")
    _Sizes(functions, nodes_within, where).check(model.graph.node)


class _Sizes:
    """Sizes of functions, each found once."""

    def __init__(self, functions: dict[Name, Any], nodes_within: Nodes, where: str) -> None:
        self._functions = functions
        self._nodes_within = nodes_within
        self._where = where
        self._found: dict[Name, _Size] = {}
        self._open: list[Name] = []

    def check(self, nodes: Iterable[Any]) -> None:
        """Find the size of the functions, and of these nodes."""
        for name in self._functions:
            self._of_function(name)
        self._of_nodes(nodes)

    def _of_function(self, name: Name) -> _Size:
        if name in self._found:
            return self._found[name]
        if name in self._open:
            raise self._bad(f"the function {shown(name[1])} calls itself")
        if len(self._open) >= _NESTED:
            raise self._bad(f"calls of functions nested more than {_NESTED} deep")
        self._open.append(name)
        function = self._functions[name]
        size = self._of_nodes(function.node)
        given = sum(attribute.ByteSize() for attribute in function.attribute_proto)
        size = size._replace(bytes=size.bytes + given * size.attributes)
        self._open.pop()
        self._found[name] = size
        return size

    def _of_nodes(self, nodes: Iterable[Any]) -> _Size:
        count = attributes = total = nested = 0
        for node in nodes:
            total += node.ByteSize()
            for inner in self._nodes_within([node]):
                count += 1
                attributes += len(inner.attribute)
                called = called_by(inner)
                if called not in self._functions:
                    continue
                if any(_has_graph(attribute) for attribute in inner.attribute):
                    raise self._bad(f"a graph that the function {shown(inner.op_type)} takes")
                size = self._of_function(called)
                count, attributes = count + size.nodes, attributes + size.attributes
                # Each attribute of the function may be one that the call gives.
                given = sum(attribute.ByteSize() for attribute in inner.attribute)
                total += size.bytes + given * size.attributes
                nested = max(nested, size.nested + 1)
            if count > MOST_NODES:
                raise self._bad(f"more than {MOST_NODES} nodes, once functions are put in place of their calls")
            if total > _BYTES:
                raise self._bad(f"more than {_BYTES} bytes, once functions are put in place of their calls")
        if nested > _NESTED:
            raise self._bad(f"calls of functions nested more than {_NESTED} deep")
        return _Size(count, attributes, total, nested)

    def _bad(self, found: str) -> Exception:
        return error("onnx-form", where=self._where, found=found)


def _has_graph(attribute: Any) -> bool:
    return attribute.HasField("g") or bool(attribute.graphs)


def rename_functions(model: Any, nodes: Iterable[Any]) -> None:
    """Give functions a domain that no runtime has operators in, so that what is called is what was checked.

    Args:
        model: a `ModelProto`, which is changed.
        nodes: all of its nodes.
    """
    if not model.functions:
        return
    names = {name_of(function): f"function_{index}" for index, function in enumerate(model.functions)}
    for node in nodes:
        name = names.get(called_by(node))
        if name is not None:
            node.domain, node.op_type, node.overload = _DOMAIN, name, ""
    for function in model.functions:
        function.name, function.domain, function.overload = names[name_of(function)], _DOMAIN, ""
    for owner in (model, *model.functions):
        owner.opset_import.add(domain=_DOMAIN, version=1)
