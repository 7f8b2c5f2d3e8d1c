"""Data, tensors and artifacts between the messages of the protocol and the objects of the reference library."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from etui import dtypes
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.storage import Location

Json = Any

_INLINE_BYTES = 1 << 20
_FOUR_BITS = {"int4": np.int8, "uint4": np.uint8}
_TEXTS = ("string", "bytes")


class MessageError(Exception):
    """A request that the protocol does not allow, so that there is nothing to judge."""


class Wire:
    """Takes data out of requests and puts it into replies; what is large goes by file.

    Attributes:
        folder: where files for the other side are made, or `None` before the adapter was told.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._made: list[Path] = []
        self._earlier: list[Path] = []

    def turn(self) -> None:
        """Delete the files of the reply before this one: they had to stay until this request, which may name them."""
        for path in self._earlier:
            path.unlink(missing_ok=True)
        self._earlier, self._made = self._made, []

    def take(self, node: Json) -> bytes:
        """The bytes of an object with `data` or `file`.

        Raises:
            MessageError: it has neither.
        """
        if not isinstance(node, dict) or ("data" in node) == ("file" in node):
            raise MessageError("data is an object with either 'data' or 'file'")
        if "file" in node:
            return Path(node["file"]).read_bytes()
        return base64.b64decode(node["data"], validate=True)

    def give(self, data: bytes) -> dict[str, Json]:
        """The member that carries some bytes: `data`, or `file` from 1 MiB on."""
        if len(data) < _INLINE_BYTES or self.folder is None:
            return {"data": base64.b64encode(data).decode("ascii")}
        descriptor, name = tempfile.mkstemp(".bin", "reference-", self.folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        self._made.append(Path(name))
        return {"file": name}

    def location(self, node: Json) -> Location:
        """Where an artifact is, as `etui.open` takes it.

        Raises:
            MessageError: the message does not say it.
        """
        match node:
            case {"directory": str(path)}:
                return path
            case {"packed": {"file": str(path)}}:
                return path
            case {"packed": dict(data)}:
                return self.take(data)
        raise MessageError("an artifact is an object with 'packed' or 'directory'")

    def array(self, node: Json) -> Array:
        """The logical elements of a tensor that is not quantized.

        Raises:
            MessageError: elements that are not those of its dtype and shape.
        """
        name, shape = _box(node)
        if name in _TEXTS:
            return _texts(name, shape, node)
        data = self.take(_carrier(node))
        dtype = dtypes.by_name(name, "a tensor of the message").numpy
        stored = np.dtype(_FOUR_BITS.get(name, dtype))
        if len(data) != stored.itemsize * int(np.prod(shape, dtype=object)):
            raise MessageError(f"{len(data)} bytes for {name}{list(shape)}")
        flat = np.frombuffer(data, stored) if data else np.empty(0, stored)
        return flat.reshape(shape).astype(dtype, copy=False)

    def tensor(self, node: Json) -> Tensor:
        """A tensor of a message as the library holds it; a quantized one from its components.

        Raises:
            MessageError: it is none.
            RejectError: components that do not go together.
        """
        name, shape = _box(node)
        components = node.get("components")
        if components is None:
            return Tensor.of(self.array(node), dtype=name)
        parts = {key: self.tensor(part) for key, part in components.items()}
        # Not `Tensor.quantized`, which derives the shape: what the caller says is judged with the document.
        return Tensor(name, shape, encoding="quantized", components=parts)

    def of_array(self, array: Array, dtype: str | None = None) -> dict[str, Json]:
        """An array as a tensor of a message.

        Args:
            array: the logical elements.
            dtype: their dtype where numpy has no name of its own for it: `string`, `bytes`.
        """
        name = dtype or dtypes.of_array(array).name
        node: dict[str, Json] = {"dtype": name, "shape": list(array.shape)}
        if name in _TEXTS:
            items = [item.encode() if isinstance(item, str) else bytes(item) for item in array.reshape(-1)]
            return node | {"strings": [base64.b64encode(item).decode("ascii") for item in items]}
        stored = array.astype(_FOUR_BITS[name]) if name in _FOUR_BITS else array
        if stored.dtype.byteorder == ">":
            stored = stored.astype(stored.dtype.newbyteorder("<"))
        return node | self.give(stored.tobytes())

    def of_tensor(self, tensor: Tensor) -> dict[str, Json]:
        """A tensor of a model as one of a message, its components included where it is quantized."""
        node = self.of_array(tensor.numpy(), tensor.dtype)
        if tensor.encoding == "quantized":
            node["components"] = {name: self.of_tensor(part) for name, part in tensor.components.items()}
        return node

    def of_box(self, tensor: Tensor, box: Json) -> dict[str, Json]:
        """The elements of a box of a tensor; of the whole one where the box is null."""
        slices = [slice(None)] * len(tensor.shape) if box is None else [slice(*bounds) for bounds in box]
        return self.of_array(tensor.read(slices), tensor.dtype)


def _box(node: Json) -> tuple[str, tuple[int, ...]]:
    if not isinstance(node, Mapping) or not isinstance(node.get("dtype"), str) or "shape" not in node:
        raise MessageError("a tensor is an object with dtype and shape")
    return node["dtype"], tuple(node["shape"])


def _carrier(node: Mapping[str, Json]) -> dict[str, Json]:
    return {name: node[name] for name in ("data", "file") if name in node}


def _texts(name: str, shape: tuple[int, ...], node: Mapping[str, Json]) -> Array:
    items: list[bytes | str] = [base64.b64decode(item, validate=True) for item in node["strings"]]
    if name == "string":
        # What is no UTF-8 stays in the text as lone surrogates, which the library then refuses itself.
        items = [item.decode("utf-8", "surrogateescape") for item in items if isinstance(item, bytes)]
    array = np.empty(len(items), object)
    array[:] = items
    try:
        return array.reshape(shape)
    except ValueError as fault:
        raise MessageError(f"{len(items)} strings for the shape {list(shape)}") from fault
