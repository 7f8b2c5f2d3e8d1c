"""Tensors of an ONNX graph in the making, with the operators of Python.

Every tensor of a graph is of one of four kinds: `FLOAT` (float32), `INT64`, `BOOL` and `STRING`. Narrower and wider
floats and integers become these where they enter the graph, since runtimes have kernels for these everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etui.bridges.onnx.builder import Builder

FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, BFLOAT16 = 1, 2, 3, 6, 7, 8, 9, 10, 11, 16
"""Numbers of `TensorProto.DataType`."""

Size = int | str | None
"""A dimension: known, known by a name, or unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor.

    Attributes:
        graph: the builder that it belongs to.
        name: in the graph.
        kind: number of its element type.
        shape: its dimensions.
    """

    graph: Builder = field(repr=False)
    name: str
    kind: int
    shape: tuple[Size, ...]

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether the elements are floats."""
        return self.kind in {FLOAT, DOUBLE}

    def __add__(self, other: Any) -> Value:
        return self.graph.arithmetic("Add", self, other)

    def __radd__(self, other: Any) -> Value:
        return self.graph.arithmetic("Add", other, self)

    def __sub__(self, other: Any) -> Value:
        return self.graph.arithmetic("Sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.graph.arithmetic("Sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return self.graph.arithmetic("Mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.graph.arithmetic("Mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return self.graph.arithmetic("Div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.graph.arithmetic("Div", other, self)

    def __neg__(self) -> Value:
        return self.graph.one("Neg", self)

    def __matmul__(self, other: Value) -> Value:
        return self.graph.arithmetic("MatMul", self, other)

    def __and__(self, other: Value) -> Value:
        return self.graph.one("And", self, other)

    def __or__(self, other: Value) -> Value:
        return self.graph.one("Or", self, other)

    def __invert__(self) -> Value:
        return self.graph.one("Not", self)

    def __gt__(self, other: Any) -> Value:
        return self.graph.arithmetic("Greater", self, other)

    def __ge__(self, other: Any) -> Value:
        return self.graph.arithmetic("GreaterOrEqual", self, other)

    def __lt__(self, other: Any) -> Value:
        return self.graph.arithmetic("Less", self, other)

    def __le__(self, other: Any) -> Value:
        return self.graph.arithmetic("LessOrEqual", self, other)
