"""ONNX models of other software, such as Keras and PyTorch export them, as programs of an artifact."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

from etui.bridges.onnx.checks import (
    check_domains,
    check_tensors,
    decode_model,
    graphs_of,
    nodes_of,
    tensors_within,
)
from etui.bridges.onnx.external import data_name, is_external, main_name
from etui.bridges.onnx.matching import Match, Variables
from etui.bridges.onnx.types import FLOATS, NAMES, STORED, stored_bytes
from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Blob, Model
from etui.onnx_pointers import MEDIA_TYPE, TENSOR, pointed, present_places
from etui.programs.binding import Binding, Bound, index_name
from etui.programs.facts import Signature, Spec
from etui.report import Report
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.foreign_names import name_fault
from etui.storage.sources import FileSource, mapped_file

__all__ = ["taken"]

_ALIGNMENT = 64
# Smaller tensors stay in the graph, where runtimes look for shapes and axes.
_LEAST_EXTERNAL = 1024
_FLOATS = frozenset({1, 10, 11, 16, 17, 18, 19, 20})
_STRINGS = 8


def taken(model: Model, name: str, path: str, report: Report, limits: Limits) -> dict[str, Blob]:
    """The parts of a program that an ONNX file holds.

    Args:
        model: the artifact, with weights.
        name: of the program.
        path: of the file; its external data lies beside it or below.
        report: gets an entry for each initializer.
        limits: of a tensor.

    Raises:
        UsageError: ```onnx-file``, external data that is not there, or not as the file says.
        RejectError: ``onnx-form``, ``onnx-data``, ``onnx-domain``.
        StorageError: it cannot be read.
    """
    with _Files(path) as files:
        return _Taking(model, name, files, report, limits).parts()


class _Files:
    """An ONNX file and those beside it or below that hold its external data; no link is followed there."""

    def __init__(self, path: str) -> None:
        self.where = path
        self.main = mapped_file(path)
        self._folder: ForeignFolder | None = None
        self._open: dict[str, FileSource] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for source in (self.main, *self._open.values()):
            source.close()
        if self._folder is not None:
            self._folder.close()

    def data(self, tensor: TensorProto, length: int) -> memoryview:
        """The bytes of an initializer that are in another file.

        Raises:
            UnsafeError: ``onnx-data``, the file would be elsewhere; ``foreign-folder-link``.
            UsageError: ``onnx-file``, the bytes are not there.
        """
        texts = {entry.key: entry.value for entry in tensor.external_data}
        location = texts.get("location", "")
        name = location.removeprefix("./")
        fault = name_fault(name)
        if fault:
            raise error("onnx-data", where=shown(tensor.name), found=f"the location {shown(location)}: {fault}")
        offset = _number(texts.get("offset", "0"), tensor)
        if _number(texts.get("length", str(length)), tensor) != length:
            raise error("onnx-file", where=shown(tensor.name), found=f"{texts['length']} bytes, not {length}")
        if self._folder is None:
            self._folder = ForeignFolder(Path(self.where).parent)
        if name not in self._open:
            self._open[name] = self._folder.source(name)
        source = self._open[name]
        if offset + length > source.size:
            raise error("onnx-file", where=shown(tensor.name), found=f"bytes beyond the end of {shown(location)}")
        return source.view(offset, length)


def _number(text: str, tensor: TensorProto) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise error("onnx-file", where=shown(tensor.name), found=f"the number {shown(text)}")
    return int(text)


class _Taking:
    """One model on its way into an artifact."""

    def __init__(self, model: Model, name: str, files: _Files, report: Report, limits: Limits) -> None:
        proto = decode_model(files.main.view(0, files.main.size), files.where, hint="Name an ONNX file.")
        check_tensors(proto, files.where)
        check_domains(proto, files.where)
        self.model = model
        self.name = name
        self.proto = proto
        self.files = files
        self.report = report
        self.limits = limits
        self.variables = Variables(model)
        self.bound: dict[str, Bound] = {}
        self.own = bytearray()
        self._places: dict[bytes, tuple[int, int]] = {}
        self._initializers: dict[str, TensorProto] = {}
        self._before: list[NodeProto] = []
        self._sources: dict[str, str] = {}
        self._uncertain = False
        self._names = {one.name for one in (*proto.graph.initializer, *proto.graph.input, *proto.graph.output)}
        self._names |= {one for node in nodes_of(proto, files.where) for one in (*node.input, *node.output)}

    def parts(self) -> dict[str, Blob]:
        """The parts of the program."""
        graph = self.proto.graph
        _forget_origin(self.proto, self.files.where)
        named = {tensor.name for tensor in graph.initializer}
        for tensor in list(graph.initializer):
            self._take(tensor)
        kept = list(graph.node)
        del graph.initializer[:]
        graph.initializer.extend(self._initializers[name] for name in sorted(self._initializers))
        del graph.node[:]
        graph.node.extend([*self._before, *kept])
        inputs = [value for value in graph.input if value.name not in named]  # before version 4, these were inputs, too
        del graph.input[:]
        graph.input.extend(inputs)
        signature = Signature([*map(self._spec, graph.input)], [*map(self._spec, graph.output)])
        variables = [self.bound[path] for path in sorted(self.bound)]
        weights = self.model.fingerprint("weights.json") if self._has_numbers() else None
        binding = Binding(self.model.fingerprint("config.json"), weights, variables, signature)
        main = pointed(self.proto.SerializeToString(deterministic=True), present_places(self.model))
        found = {main_name(self.name): Blob.of(main, MEDIA_TYPE), index_name(self.name): binding.blob()}
        if self.own:
            found[data_name(self.name)] = Blob.of(bytes(self.own))
        return dict(sorted(found.items()))

    def _spec(self, value: Any) -> Spec:
        """An input or output as a caller sees it."""
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type"):
            raise error("onnx-file", where=shown(value.name), found="an input or output that is no tensor")
        dtype = "string" if tensor.elem_type == _STRINGS else NAMES.get(tensor.elem_type)
        if not tensor.HasField("shape"):
            return Spec(value.name, dtype, None)
        sizes = [one.dim_value if one.HasField("dim_value") else None for one in tensor.shape.dim]
        return Spec(value.name, dtype, tuple(None if size is None or size < 0 else size for size in sizes))

    # --- initializers -------------------------------------------------------------------------------------------------

    def _take(self, tensor: TensorProto) -> None:
        """One initializer: a variable of the artifact, or a tensor that the program keeps."""
        raw = self._raw(tensor)
        match = None if raw is None else self.variables.find(tensor.name, raw, tensor.data_type, tuple(tensor.dims))
        if raw is None:
            self._initializers[tensor.name] = tensor
        elif match is not None:
            self._point(tensor, match)
        else:
            self._keep(tensor, raw)

    def _raw(self, tensor: TensorProto) -> npt.NDArray[np.uint8] | None:
        """The bytes of an initializer as a data part has them; `None` for what stays in the graph."""
        dims = tuple(tensor.dims)
        if tensor.data_type not in NAMES:
            if is_external(tensor):
                raise error(
                    "onnx-file", where=shown(tensor.name), found=f"external data of the type {tensor.data_type}"
                )
            return None
        if len(dims) > self.limits.rank or any(size < 0 for size in dims):
            raise error("onnx-form", where=shown(tensor.name), found=f"the shape {shown(list(dims))}")
        length = stored_bytes(tensor.data_type, dims)
        if length > self.limits.tensor_bytes:
            raise error("limit-tensor", where=shown(tensor.name), found=f"{length} bytes")
        if is_external(tensor):
            return np.frombuffer(self.files.data(tensor, length), np.uint8)
        if tensor.HasField("raw_data"):
            raw = np.frombuffer(tensor.raw_data, np.uint8)
        elif tensor.data_type in STORED.values():
            raw = self._typed(tensor)
        else:
            return None
        if raw.nbytes != length:
            raise error(
                "onnx-form", where=shown(tensor.name), found=f"{raw.nbytes} bytes for the shape {shown(list(dims))}"
            )
        return raw

    def _typed(self, tensor: TensorProto) -> npt.NDArray[np.uint8]:
        """The bytes of an initializer whose numbers are fields of the message."""
        counts = (len(tensor.float_data), len(tensor.int32_data), len(tensor.int64_data))
        most = max(*counts, len(tensor.double_data), len(tensor.uint64_data))
        if most < np.prod(tensor.dims, dtype=object):
            raise error("onnx-form", where=shown(tensor.name), found=f"{most} numbers for {shown(list(tensor.dims))}")
        try:
            array = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as fault:
            raise error("onnx-form", where=shown(tensor.name), found=str(fault)) from fault
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def _point(self, tensor: TensorProto, match: Match) -> None:
        """Make an initializer a variable; where the layout differs, a node computes it."""
        dims = tuple(tensor.dims)
        plain = match.order == tuple(range(len(match.shape)))
        if plain:
            self._initializers[tensor.name] = _pointer(tensor.name, tensor.data_type, dims, match.path)
        else:
            if match.path not in self._sources:
                name = self._sources[match.path] = self._fresh(match.path)
                self._initializers[name] = _pointer(name, tensor.data_type, match.shape, match.path)
            self._compute(tensor.name, self._sources[match.path], match, dims)
        self.bound[match.path] = Bound(match.path, match.dtype, match.shape)
        self._uncertain = self._uncertain or not match.certain
        detail = f"the initializer {shown(tensor.name)}" + ("" if plain else f", with the axes {list(match.order)}")
        detail += "" if match.certain else "; others have the same values"
        self.report.add("variable", match.path, "restored", detail)

    def _compute(self, target: str, source: str, match: Match, dims: tuple[int, ...]) -> None:
        """The nodes from a stored tensor to an initializer with its axes in another order."""
        shape = tuple(match.shape[axis] for axis in match.order)
        between = target if shape == dims else self._fresh(f"{source}/transposed")
        self._before.append(helper.make_node("Transpose", [source], [between], perm=list(match.order)))
        if shape != dims:
            sizes = numpy_helper.from_array(np.array(dims, np.int64), self._fresh(f"{source}/shape"))
            self._initializers[sizes.name] = sizes
            self._before.append(helper.make_node("Reshape", [between, sizes.name], [target]))

    def _fresh(self, name: str) -> str:
        """A name that nothing in the model has: this one, or one that begins with it."""
        found, number = name, 0
        while found in self._names:
            number += 1
            found = f"{name}:{number}"
        self._names.add(found)
        return found

    def _keep(self, tensor: TensorProto, raw: npt.NDArray[np.uint8]) -> None:
        """Keep an initializer in the program: in its own data, or in the graph where it is small."""
        if raw.nbytes < _LEAST_EXTERNAL:
            if is_external(tensor):
                proto = TensorProto()
                proto.name, proto.data_type, proto.raw_data = tensor.name, tensor.data_type, raw.tobytes()
                proto.dims.extend(tensor.dims)
                tensor = proto
            self._initializers[tensor.name] = tensor
            return
        key = hashlib.sha256(raw.data).digest()
        if key not in self._places:
            self.own.extend(bytes(-len(self.own) % _ALIGNMENT))
            self._places[key] = (len(self.own), raw.nbytes)
            self.own.extend(raw.data)
        proto = TensorProto()
        proto.name, proto.data_type = tensor.name, tensor.data_type
        proto.dims.extend(tensor.dims)
        proto.data_location = TensorProto.EXTERNAL
        for text, value in zip(
            ("location", "offset", "length"), (data_name(self.name), *self._places[key]), strict=True
        ):
            entry = proto.external_data.add()
            entry.key, entry.value = text, str(value)
        self._initializers[tensor.name] = proto
        self.report.add("program", tensor.name, "data-only", f"{raw.nbytes} bytes of the program's own")

    def _has_numbers(self) -> bool:
        """Whether numbers of the program may be computed of the weights as they are now (PG-11)."""
        weights = self.model.weights
        floats = set() if weights is None else {path for path in weights if weights[path].dtype in FLOATS}
        return (
            self._uncertain
            or not floats <= self.bound.keys()
            or any(
                tensor.data_type in _FLOATS
                and any(size != 1 for size in tensor.dims)
                and not any(entry.key == TENSOR for entry in tensor.metadata_props)
                for tensor in tensors_within(self.proto, self.name, outer=True)
            )
        )


def _forget_origin(proto: Any, where: str) -> None:
    """Take away what exporters say of the program's source: names of files, lines of code, traces of calls (PG-33)."""
    values = [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]
    tensors = list(tensors_within(proto, where, outer=True))
    owners = [*nodes_of(proto, where), *graphs_of(proto, where), *proto.functions, *values, *tensors]
    for owner in owners:
        owner.doc_string = ""
        del owner.metadata_props[:]
    proto.doc_string = ""


def _pointer(name: str, kind: int, dims: tuple[int, ...], stored: str) -> TensorProto:
    """An initializer that is a stored tensor."""
    proto = TensorProto()
    proto.name, proto.data_type = name, kind
    proto.dims.extend(dims)
    proto.data_location = TensorProto.EXTERNAL
    entry = proto.metadata_props.add()
    entry.key, entry.value = TENSOR, stored
    return proto
