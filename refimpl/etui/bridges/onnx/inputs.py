"""The inputs of a program: as a caller gives them, and as the graph goes on with them."""

from __future__ import annotations

from etui.bridges.onnx.builder import Builder
from etui.bridges.onnx.value import BOOL, DOUBLE, FLOAT, FLOAT16, INT64, STRING, Value
from etui.containers.config import Module
from etui.errors import error, shown
from etui.programs.facts import Spec

__all__ = ["KINDS", "model_input"]

# What `TensorProto.DataType` calls the dtypes that a caller gives, and the kind that the graph goes on with.
KINDS = {
    "bool": (BOOL, BOOL),
    "int8": (3, INT64),
    "int16": (5, INT64),
    "int32": (6, INT64),
    "int64": (INT64, INT64),
    "uint8": (2, INT64),
    "uint16": (4, INT64),
    "uint32": (12, INT64),
    "uint64": (13, INT64),
    "float16": (FLOAT16, FLOAT),
    "float32": (FLOAT, FLOAT),
    "float64": (DOUBLE, FLOAT),
    "string": (STRING, STRING),
}
# NumPy, and so most callers, has no such numbers: they are given as float32, which holds each of them.
_AS_FLOAT32 = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"})


def model_input(graph: Builder, spec: Spec, module: Module | None, *, alone: bool) -> tuple[Value, Spec]:
    """Add an input to the graph.

    Args:
        graph: to which it is added.
        spec: its name, dtype and shape; a size that is not fixed gets a name.
        module: that stands for it in the graph of the model, if there is one.
        alone: whether it is the only input. Free sizes of several have names of their own, for runtimes take sizes of
            one name as equal, and a model may broadcast them.

    Returns:
        The tensor with which the graph goes on, and the input as a caller sees it.

    Raises:
        TransferError: ``onnx-op``, ``onnx-shape``.
    """
    where = f"the input {shown(spec.name)}"
    if module is not None and module.attrs.get("optional"):
        raise error("onnx-op", where=where, found="an input that may be absent")
    if spec.shape is None:
        raise error("onnx-shape", where=where, found="an input whose number of axes is not known")
    dtype = "float32" if spec.dtype is None or spec.dtype in _AS_FLOAT32 else spec.dtype
    if dtype not in KINDS:
        raise error("onnx-op", where=where, found=f"an input of the dtype {spec.dtype}")
    given, inner = KINDS[dtype]
    sizes = [
        ("batch" if alone and axis == 0 else f"{spec.name}_{axis}") if size is None else size
        for axis, size in enumerate(spec.shape)
    ]
    value = graph.input(spec.name, given, sizes)
    return graph.cast(value, inner), Spec(spec.name, dtype, spec.shape)
