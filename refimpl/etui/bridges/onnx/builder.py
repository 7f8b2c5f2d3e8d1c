"""Building an ONNX graph node by node: types and shapes are inferred by the `onnx` package as nodes are added."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, defs, helper, numpy_helper
from onnx.shape_inference import infer_node_outputs

from etui.bridges.onnx.value import BOOL, DOUBLE, FLOAT, INT64, STRING, Size, Value
from etui.errors import error

OPSET, IR_VERSION, ML_OPSET = 21, 10, 3
"""The versions of the default operators, of the format and of `ai.onnx.ml` that a program of ours asks for."""

ML = "ai.onnx.ml"
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
"""Ends of a slice that has none."""

_NUMPY = {FLOAT: np.float32, INT64: np.int64, BOOL: np.bool_, DOUBLE: np.float64}
# Functions of other operators, for which not every version of onnx infers anything.
_LIKE = {"GreaterOrEqual": "Greater", "LessOrEqual": "Less"}
# What nodes give for these inputs is known while the graph is built; the rest is not worth keeping.
_LARGEST_CONSTANT = 64


@dataclass(slots=True)
class Scope:
    """The nodes of one graph: of the program, or of the body of a loop."""

    nodes: list[NodeProto] = field(default_factory=list)


class Builder:
    """An ONNX graph in the making."""

    def __init__(self) -> None:
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.domains: set[str] = set()
        self._scopes = [Scope()]
        self._names: set[str] = set()
        self._numbers = count()
        self._constants: dict[tuple[int, tuple[int, ...], bytes], Value] = {}
        self._known: dict[str, TensorProto] = {}
        self._opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]

    # --- names and ends -----------------------------------------------------------------------------------------------

    def reserve(self, name: str) -> str:
        """A name that no other tensor of the graph has: this one, or one that begins with it."""
        found, numbers = name, count(1)
        while found in self._names or not found:
            found = f"{name}:{next(numbers)}"
        self._names.add(found)
        return found

    def fresh(self, hint: str) -> str:
        """A new name for what a node gives."""
        return self.reserve(f"_{hint}_{next(self._numbers)}")

    def input(self, name: str, kind: int, shape: Sequence[Size]) -> Value:
        """An input of the program."""
        self.inputs.append(helper.make_tensor_value_info(self.reserve(name), kind, list(shape)))
        return Value(self, self.inputs[-1].name, kind, tuple(shape))

    def output(self, value: Value, name: str) -> None:
        """Make a tensor an output of the program, under a name of its own."""
        name = self.reserve(name)
        self._scopes[-1].nodes.append(helper.make_node("Identity", [value.name], [name], name=f"output/{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, value.kind, list(value.shape)))

    def stored(self, proto: TensorProto) -> Value:
        """An initializer; its name is reserved already."""
        self.initializers[proto.name] = proto
        return Value(self, proto.name, proto.data_type, tuple(proto.dims))

    def graph(self, name: str) -> GraphProto:
        """The finished graph."""
        used = {one for node in self._scopes[0].nodes for one in _read(node)}
        tensors = [proto for key, proto in self.initializers.items() if key in used]
        return helper.make_graph(self._scopes[0].nodes, name, self.inputs, self.outputs, tensors)

    # --- nodes --------------------------------------------------------------------------------------------------------

    def add(self, op: str, *inputs: Value | None, outputs: int = 1, domain: str = "", **attrs: Any) -> Any:
        """Add a node; gives its output, or the list of them.

        Args:
            op: the operator.
            inputs: `None` for one that is left out.
            outputs: how many outputs it has.
            domain: of the operator.
            attrs: those that are `None` are left out.
        """
        given = [value for value in inputs if value is not None]
        node = helper.make_node(
            op,
            ["" if value is None else value.name for value in inputs],
            [self.fresh(op) for _ in range(outputs)],
            domain=domain,
            **{key: value for key, value in attrs.items() if value is not None},
        )
        self.domains.add(domain)
        found = self._inferred(node, given)
        self._scopes[-1].nodes.append(node)
        return found[0] if outputs == 1 else found

    def one(self, op: str, *inputs: Value | None, **attrs: Any) -> Value:
        """Add a node with one output."""
        found: Value = self.add(op, *inputs, **attrs)
        return found

    def _inferred(self, node: NodeProto, given: Sequence[Value]) -> list[Value]:
        schema = defs.get_schema(_LIKE.get(node.op_type, node.op_type), ML_OPSET if node.domain else OPSET, node.domain)
        types = {value.name: helper.make_tensor_type_proto(value.kind, list(value.shape)) for value in given}
        data = {value.name: self._known[value.name] for value in given if value.name in self._known}
        try:
            types = infer_node_outputs(schema, node, types, data, opset_imports=self._opsets, ir_version=IR_VERSION)
        except Exception as fault:  # what onnx raises has no narrower class
            shapes = [list(value.shape) for value in given]
            raise error("onnx-build", found=f"{node.op_type} of {shapes}: {fault}") from fault
        return [self._value(name, types[name]) for name in node.output]

    def _value(self, name: str, found: TypeProto) -> Value:
        tensor = found.tensor_type
        if not tensor.HasField("shape"):
            raise error("onnx-shape", found="a tensor whose number of axes is not known")
        return Value(self, name, tensor.elem_type, tuple(map(_size, tensor.shape.dim)))

    @contextmanager
    def outermost(self) -> Iterator[None]:
        """Within it, nodes are added outside of all loops, where they are computed once."""
        scopes, self._scopes = self._scopes, self._scopes[:1]
        try:
            yield
        finally:
            self._scopes = scopes

    def loop(
        self,
        body: Callable[[list[Value], list[Value]], tuple[list[Value], list[Value]]],
        states: Sequence[Value],
        sequences: Sequence[Value],
        *,
        backwards: bool = False,
    ) -> tuple[list[Value], list[Value]]:
        """Go through the steps of sequences along their axis 1.

        Args:
            body: from the states and the elements of a step to the new states and what the step gives.
            states: the first states.
            sequences: [batch, time, …] each.
            backwards: from the last step to the first.

        Returns:
            The last states, and what the steps gave, along axis 1 in the order of the steps.
        """
        olds = [Value(self, self.fresh("state"), one.kind, one.shape) for one in states]
        items = [Value(self, self.fresh("item"), one.kind, one.shape[:1] + one.shape[2:]) for one in sequences]
        self._scopes.append(Scope())
        news, gives = body(olds, items)
        ends = [self.add("Identity", one) for one in [*news, *gives]]
        scope = self._scopes.pop()
        inner = helper.make_graph(
            scope.nodes,
            self.fresh("body"),
            [helper.make_tensor_value_info(one.name, one.kind, list(one.shape)) for one in [*olds, *items]],
            [helper.make_tensor_value_info(one.name, one.kind, list(one.shape)) for one in ends],
        )
        length = sequences[0].shape[1]
        found = [Value(self, self.fresh("last"), one.kind, one.shape) for one in states]
        found += [
            Value(self, self.fresh("steps"), one.kind, (*one.shape[:1], length, *one.shape[1:]))
            for one in ends[len(news) :]
        ]
        node = helper.make_node(
            "Scan",
            [one.name for one in [*states, *sequences]],
            [one.name for one in found],
            body=inner,
            num_scan_inputs=len(sequences),
            scan_input_axes=[1] * len(sequences),
            scan_input_directions=[int(backwards)] * len(sequences),
            scan_output_axes=[1] * len(gives),
        )
        self._scopes[-1].nodes.append(node)
        return found[: len(states)], found[len(states) :]

    # --- constants ----------------------------------------------------------------------------------------------------

    def constant(self, value: Any, kind: int | None = None) -> Value:
        """A small tensor that is part of the program; equal ones are one."""
        array = np.asarray(value)
        if kind == STRING or array.dtype.kind in "OSU":
            texts: Any = [_text(one) for one in array.ravel()]
            proto = helper.make_tensor(self.fresh("text"), STRING, array.shape, texts)
            return self.stored(proto)
        kind = _kind_of(array) if kind is None else kind
        array = np.ascontiguousarray(array, _NUMPY[kind]).reshape(array.shape)
        key = (kind, array.shape, array.tobytes())
        if key not in self._constants:
            proto = numpy_helper.from_array(array, self.fresh("constant"))
            self._constants[key] = self.stored(proto)
            if array.size <= _LARGEST_CONSTANT:
                self._known[proto.name] = proto
        return self._constants[key]

    def like(self, value: Any, other: Value) -> Value:
        """A number as a constant of the kind of a tensor; a tensor stays."""
        if isinstance(value, Value):
            return value
        whole = other.kind in {INT64, BOOL} and np.asarray(value).dtype.kind in "biu"
        return self.constant(value, INT64 if whole else FLOAT)

    # --- kinds --------------------------------------------------------------------------------------------------------

    def cast(self, value: Value, kind: int) -> Value:
        """A tensor as one of another kind; as it is where it is of that."""
        if value.kind == kind:
            return value
        return self.one("Cast", value, to=kind)

    def common(self, *values: Value) -> list[Value]:
        """Tensors of numbers as one kind: floats if one has them, else integers, else booleans."""
        kinds = {value.kind for value in values}
        if len(kinds) == 1:
            return list(values)
        kind = next((one for one in (DOUBLE, FLOAT, INT64) if one in kinds), BOOL)
        return [self.cast(value, kind) for value in values]

    def arithmetic(self, op: str, first: Any, second: Any) -> Value:
        """A node of two numbers or tensors, as tensors of one kind; booleans count as integers."""
        example = first if isinstance(first, Value) else second
        pair = self.common(self.like(first, example), self.like(second, example))
        if pair[0].kind == BOOL:
            pair = [self.cast(one, INT64) for one in pair]
        return self.one(op, *pair)


def _size(dimension: Any) -> Size:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return str(dimension.dim_param) or None


def _kind_of(array: Any) -> int:
    return {"f": FLOAT, "i": INT64, "u": INT64, "b": BOOL}[array.dtype.kind]


def _text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _read(node: NodeProto) -> set[str]:
    """The names that a node reads, those of its subgraphs included."""
    found = set(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found |= {name for inner in attribute.g.node for name in _read(inner)}
    return found
