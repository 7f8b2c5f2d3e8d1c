"""Variables as initializers: pointed at the bytes of the weights part, never copied (SPEC.md, annex T).

An initializer has the type and shape of the stored tensor; what differs, such as another width or a quantized encoding,
is computed by nodes behind it. Each says in its `metadata_props` which stored tensor it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from onnx import TensorProto

from etui.bridges.onnx.builder import Builder
from etui.bridges.onnx.tools import reshape
from etui.bridges.onnx.types import PACKED, STORED
from etui.bridges.onnx.value import BOOL, DOUBLE, FLOAT, INT64, Value
from etui.containers.pieces import Piece
from etui.containers.tensors import Tensor
from etui.errors import error
from etui.model import Model
from etui.onnx_pointers import TENSOR
from etui.programs.binding import Bound
from etui.report import Report

__all__ = ["Initializers"]

_INTEGERS = frozenset({3, 5, 6, 2, 4, 12, 13})


class Initializers:
    """The variables of a model that a graph uses.

    Attributes:
        bound: the variables used so far, by path.
    """

    def __init__(self, model: Model, graph: Builder, report: Report) -> None:
        self.model = model
        self.graph = graph
        self.report = report
        self.bound: dict[str, Bound] = {}
        self._values: dict[str, Value] = {}

    def variable(self, path: str) -> Value:
        """The tensor of a variable or alias, as the graph goes on with it.

        Raises:
            TransferError: ``onnx-tensor``.
        """
        weights = self.model.weights
        if weights is None or path not in weights:
            raise error("onnx-tensor", where=path, found="no such variable", hint="Give the model its weights.")
        own = weights.resolve(path)
        if own not in self._values:
            tensor = weights[own].tensor
            with self.graph.outermost():
                self._values[own] = self._logical(own, tensor)
            self.bound[own] = Bound(own, tensor.dtype, tuple(tensor.shape))
            cast = tensor.dtype == "float64"
            self.report.add("variable", own, "cast" if cast else "restored", "read as float32" if cast else "")
        return self._values[own]

    def _logical(self, name: str, tensor: Tensor) -> Value:
        if tensor.encoding == "quantized":
            return self._quantized(name, tensor)
        if tensor.encoding is not None:
            raise error("onnx-tensor", where=name, found=f"a variable of the encoding {tensor.encoding}")
        return self._inner(self._plain(name, tensor))

    def _inner(self, value: Value) -> Value:
        """A stored tensor as one of the kinds of the graph."""
        if value.kind in _INTEGERS:
            return self.graph.cast(value, INT64)
        return value if value.kind in {BOOL, INT64} else self.graph.cast(value, FLOAT)

    # --- stored tensors -----------------------------------------------------------------------------------------------

    def _plain(self, name: str, tensor: Tensor) -> Value:
        """A plain tensor: one initializer, or one for each chunk."""
        if tensor.dtype not in STORED:
            raise error("onnx-tensor", where=name, found=f"a variable of {tensor.dtype}")
        kind = STORED[tensor.dtype]
        if len(tensor.pieces) == 1:
            return self._stored(name, kind, tensor.shape, tensor.shape)
        return self._joined(name, kind, list(tensor.pieces), len(tensor.shape))

    def _joined(self, name: str, kind: int, pieces: Sequence[Piece], rank: int) -> Value:
        """Chunks put together along one axis after the other; they lie in a grid."""
        for axis in range(rank):
            starts = sorted({(piece.offset or ())[axis] for piece in pieces})
            if len(starts) == 1:
                continue
            rows = [[piece for piece in pieces if (piece.offset or ())[axis] == start] for start in starts]
            if any(
                len({piece.shape[axis] for piece in row}) > 1 or len(row) * len(rows) != len(pieces) for row in rows
            ):
                raise error("onnx-tensor", where=name, found="chunks that do not lie in a grid")
            joined: Value = self.graph.add("Concat", *(self._joined(name, kind, row, rank) for row in rows), axis=axis)
            return joined
        (piece,) = pieces
        place = ",".join(map(str, piece.offset or ()))
        return self._stored(f"{name}@{place}", kind, piece.shape, piece.shape)

    def _stored(self, name: str, kind: int, shape: Sequence[int], stored: Sequence[int]) -> Value:
        """An initializer of a stored tensor, which gets its place when the artifact is written."""
        proto = TensorProto()
        proto.name = self.graph.reserve(name)
        proto.data_type = kind
        proto.dims.extend(shape)
        if math.prod(stored):
            proto.data_location = TensorProto.EXTERNAL
            entry = proto.metadata_props.add()
            entry.key, entry.value = TENSOR, name
        else:
            proto.raw_data = b""
        return self.graph.stored(proto)

    # --- quantized ----------------------------------------------------------------------------------------------------

    def _quantized(self, name: str, tensor: Tensor) -> Value:
        """(values - zero_point) x scale in float64, rounded once to the logical dtype (W-21)."""
        if tensor.dtype not in {"float16", "bfloat16", "float32", "float64"}:
            raise error("onnx-tensor", where=name, found=f"a quantized variable of {tensor.dtype}")
        parts = tensor.components
        values, scale = self._component(name, "values", parts), self._component(name, "scale", parts)
        blocks = [
            (size, extent // size if size else 1)
            for size, extent in zip(parts["scale"].shape, tensor.shape, strict=True)
        ]
        values = reshape(values, [one for block in blocks for one in block])
        spread = [one for size, _ in blocks for one in (size, 1)]
        scale = reshape(scale, spread)
        if "zero_point" in parts:
            values = values - reshape(self._component(name, "zero_point", parts), spread)
        found = reshape(values * scale, list(tensor.shape))
        return self.graph.cast(self.graph.cast(found, STORED[tensor.dtype]), FLOAT)

    def _component(self, name: str, key: str, parts: Mapping[str, Tensor]) -> Value:
        tensor = parts[key]
        if tensor.encoding is None:
            return self.graph.cast(self._plain(f"{name}#{key}", tensor), DOUBLE)
        nibbles = tensor.components["nibbles"]
        if len(nibbles.pieces) != 1 or tensor.dtype not in PACKED:
            raise error("onnx-tensor", where=name, found=f"{key} of {tensor.dtype} in several chunks")
        stored = f"{name}#{key}#nibbles"
        return self.graph.cast(self._stored(stored, PACKED[tensor.dtype], tensor.shape, nibbles.shape), DOUBLE)
