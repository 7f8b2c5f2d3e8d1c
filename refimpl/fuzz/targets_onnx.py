"""Targets for programs of ONNX: what an artifact holds, and what is taken in; none of it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from etui.errors import EtuiError, UsageError, error
from etui.limits import DEFAULT_LIMITS
from etui.model import Blob, Model
from etui.onnx_pointers import MEDIA_TYPE, TENSOR, Place, pointed
from etui.report import Report
from etui.testing.runnable import core_model
from fuzz.kit import Target, require

_NAME, _DATA = "onnx", 128
_PLACES = {"last/kernel": Place("weights.safetensors", 8, 60), "joined/bias": Place("weights.safetensors", 80, 20)}


@cache
def _model() -> Model:
    return core_model()


def _checked(model: Model) -> None:
    """What a session does before it reads a byte of the program's tensors."""
    from etui.bridges.onnx.external import check_stored, data_name, pointers_of, stored_tensors
    from etui.bridges.onnx.session import load_main

    own, stored = model.programs.get(data_name(_NAME)), stored_tensors(model)
    size = 0 if own is None else own.size
    for pointer in pointers_of(load_main(model, _NAME).graph, _NAME, size, DEFAULT_LIMITS):
        check_stored(pointer, _NAME, stored)
        inside = bool(pointer.tensor) or 0 <= pointer.offset <= pointer.offset + pointer.length <= size
        require(inside, "bytes outside of the program's data")


def program(data: bytes) -> None:
    """A `main.onnx`: what is pointed anew is so for good, and stays what can be run."""
    from etui.bridges.onnx.external import data_name, main_name

    def holding(main: bytes) -> Model:
        parts = {main_name(_NAME): Blob.of(main, MEDIA_TYPE), data_name(_NAME): Blob.of(bytes(_DATA))}
        return replace(_model(), programs=parts)

    with suppress(EtuiError):  # a save leaves such a program as it is
        moved = pointed(data, _PLACES)
        require(pointed(moved, _PLACES) == moved, "what was pointed anew is pointed anew again")
    _checked(holding(data))


def file(data: bytes) -> None:
    """An ONNX file that is taken in: what comes of it is a program that can be run."""
    from etui.bridges.onnx.take import taken

    with TemporaryDirectory(prefix="etui-fuzz-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(data)
        (Path(folder) / "data").write_bytes(bytes(_DATA))
        try:
            parts = taken(_model(), _NAME, str(path), Report(), DEFAULT_LIMITS)
        except UsageError as fault:
            if fault.code != "onnx-file":
                raise
            raise error("onnx-form", where=fault.where, found=fault.found) from fault
    try:
        _checked(replace(_model(), programs=parts))
    except EtuiError as fault:
        require(False, "what was taken in is refused", str(fault))


def _external(location: str, **texts: str) -> Callable[[Any], None]:
    def change(proto: Any) -> None:
        tensor = proto.graph.initializer.add()
        tensor.name, tensor.data_type, tensor.data_location = "own", 1, tensor.EXTERNAL
        tensor.dims.extend([4])
        for key, value in {"location": location, "offset": "16", "length": "16", **texts}.items():
            tensor.external_data.add(key=key, value=value)

    return change


def _variable(path: str, *dims: int) -> Callable[[Any], None]:
    def change(proto: Any) -> None:
        _external("weights.safetensors", length=str(4 * int(np.prod(dims))))(proto)
        tensor = proto.graph.initializer[-1]
        tensor.name = path
        del tensor.dims[:]
        tensor.dims.extend(dims)
        tensor.metadata_props.add(key=TENSOR, value=path)

    return change


def _function(proto: Any) -> None:
    from onnx import helper

    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    for name, op, domain in (("f", "g", "own"), ("g", "Neg", "")):
        node = helper.make_node(op, ["x"], ["y"], domain=domain)
        proto.functions.append(helper.make_function("own", name, ["x"], ["y"], [node], opsets, overload="a"))
        node.overload = "a" if domain else ""
        proto.functions[-1].node[0].CopyFrom(node)
    proto.graph.node.append(helper.make_node("f", ["x"], ["z"], domain="own", overload="a"))


def _body(proto: Any) -> None:
    from onnx import helper

    body = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "body", [], [])
    proto.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=body, else_branch=body))


def _numbers(array: Any) -> Callable[[Any], None]:
    def change(proto: Any) -> None:
        from onnx import numpy_helper

        proto.graph.initializer.append(numpy_helper.from_array(array, "numbers"))

    return change


def _fields(proto: Any) -> None:
    tensor = proto.graph.initializer.add()
    tensor.name, tensor.data_type = "fields", 1
    tensor.dims.extend([3])
    tensor.float_data.extend([1.0, 2.0, 3.0])


def _sparse(proto: Any) -> None:
    one = proto.graph.sparse_initializer.add()
    one.values.name, one.values.data_type = "sparse", 1
    one.dims.extend([8])


def _seeds(location: str) -> Iterator[bytes]:
    from onnx import TensorProto, helper

    weights = _model().weights
    last = np.zeros(1, np.float32) if weights is None else weights["last/kernel"].numpy()
    changes: list[Callable[[Any], None]] = [
        lambda _: None,
        _external(location),
        _external("../data"),
        _external(location, offset="9223372036854775807"),
        _external(location, checksum="0"),
        _variable("last/kernel", 5, 3),
        _variable("joined/bias", 5),
        _variable("no/such", 5),
        _function,
        _body,
        _fields,
        _sparse,
        _numbers(last),
        _numbers(np.ascontiguousarray(last.T)),
        _numbers(np.arange(400, dtype=np.float32)),
        _numbers(np.array(["a", "b"], dtype=object)),
        _numbers(np.zeros((0, 3), np.int8)),
        lambda proto: proto.graph.node.append(helper.make_node("EPContext", ["x"], ["z"], domain="com.microsoft")),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 5]) for name in ("x", "y")]
    for change in changes:
        graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", values[:1], values[1:])
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        change(proto)
        yield proto.SerializeToString()


TARGETS = (
    (
        Target("onnx", program, lambda: _seeds(f"programs/{_NAME}/data.bin")),
        Target("onnx-file", file, lambda: _seeds("data")),
    )
    if find_spec("onnx")
    else ()
)
"""None where the package `onnx` is not installed."""
