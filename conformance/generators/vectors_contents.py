"""The contents that valid vectors are made of, in the terms of decoding: documents, and tensors of plain bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from vectors_parts import digest

from etui_conformance.oracle import writing

Content: TypeAlias = dict[str, Any]
Tensor: TypeAlias = dict[str, Any]
_ENCODINGS = {"complex64": "complex", "complex128": "complex", "int4": "packed4", "uint4": "packed4"} | dict.fromkeys(
    ("string", "bytes"), "string"
)
_FORMS = {
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
}


def tensor(dtype: str, shape: Sequence[int], data: bytes) -> Tensor:
    """A tensor of any fixed width."""
    return {"dtype": dtype, "shape": list(shape), "data": data}


def numbers(dtype: str, shape: Sequence[int], *values: float) -> Tensor:
    """A tensor of a dtype that `struct` knows."""
    form = _FORMS[dtype]
    items = values if form in "efd" else [int(value) for value in values]
    return tensor(dtype, shape, struct.pack(f"<{len(values)}{form}", *items))


def f32(shape: Sequence[int], *values: float) -> Tensor:
    """A tensor of float32."""
    return numbers("float32", shape, *values)


def texts(shape: Sequence[int], *items: str) -> Tensor:
    """A tensor of strings."""
    return {"dtype": "string", "shape": list(shape), "strings": [item.encode() for item in items]}


def blobs(shape: Sequence[int], *items: bytes) -> Tensor:
    """A tensor of byte strings."""
    return {"dtype": "bytes", "shape": list(shape), "strings": list(items)}


def quantized(dtype: str, shape: Sequence[int], data: bytes, **components: Tensor) -> Tensor:
    """A quantized tensor: what it is worth, and what it is stored as."""
    return tensor(dtype, shape, data) | {"components": components}


def indexed(found: Tensor, **fields: Any) -> dict[str, Any]:
    """The entry of a tensor in the index of its document, without chunks and components."""
    encoding = "quantized" if "components" in found else _ENCODINGS.get(found["dtype"])
    entry = {"dtype": found["dtype"], "shape": found["shape"]} | fields
    return entry if encoding is None else entry | {"encoding": encoding}


def weights(
    variables: Mapping[str, Tensor | tuple[Tensor, dict[str, Any]]],
    aliases: Mapping[str, str] | None = None,
    **fields: Any,
) -> Content:
    """Weights alone, in the order of the mapping.

    Args:
        variables: path -> tensor, or tensor and what its entry has in place of the role `kernel` and `trainable`.
        aliases: other path -> path.
        fields: of the document, further or in place of the usual.
    """
    index, data = {}, {}
    for order, (path, given) in enumerate(variables.items()):
        found, more = given if isinstance(given, tuple) else (given, {})
        index[path] = indexed(found, order=order, role="kernel", trainable=True) | more
        data[path] = found
    document = {"aliases": dict(aliases or {}), "format": "etui-weights", "variables": index, "version": "1.0"} | fields
    return complete({"weights": document, "tensors": {"weights": data}})


def config(model: Mapping[str, Any], **fields: Any) -> Content:
    """A config alone."""
    return complete(
        {"config": {"format": "etui-config", "model": dict(model), "version": "1.0"} | fields, "tensors": {}}
    )


def training(**fields: Any) -> Content:
    """Training alone, which makes up no profile."""
    return {"training": {"format": "etui-training", "version": "1.0"} | fields, "tensors": {}}


def optimizer(tensors: Mapping[str, Tensor], optimizers: Mapping[str, Any], **fields: Any) -> Content:
    """Optimizers alone, which make up no profile."""
    index = {name: indexed(found) for name, found in tensors.items()}
    document = {"format": "etui-optimizer", "optimizers": dict(optimizers), "tensors": index, "version": "1.0"} | fields
    return {"optimizer": document, "tensors": {"optimizer": dict(tensors)}}


def state(tensors: Mapping[str, Tensor] | None = None, **fields: Any) -> Content:
    """State alone, which makes up no profile."""
    found = dict(tensors or {})
    index = {name: indexed(each) for name, each in found.items()}
    document = {"format": "etui-state", "tensors": index, "version": "1.0"} | fields
    return {"state": document, "tensors": {"state": found}}


def joined(*contents: Content, **fields: Any) -> Content:
    """One artifact of several documents, with metadata and parts among the fields."""
    whole: Content = {}
    held: dict[str, Any] = {}
    for content in contents:
        whole |= content
        held |= content.get("tensors", {})
    return complete(whole | {"tensors": held} | fields)


def complete(content: Content) -> Content:
    """The content with the profile that its documents have (chapter 18.1)."""
    has = {name for name in ("config", "weights", "optimizer", "state") if name in content}
    if "config" not in has:
        profile = "checkpoint" if has & {"optimizer", "state"} else "weights"
    elif "weights" not in has:
        profile = "config"
    else:
        profile = "training" if "optimizer" in has else "model"
    found = content | {"profile": profile}
    return found if found.get("tensors") else {name: item for name, item in found.items() if name != "tensors"}


def layer(name: str, op: str = "example:Layer", **fields: Any) -> dict[str, Any]:
    """A module of the kind `layer`."""
    return {"kind": "layer", "name": name, "op": op} | fields


def shared(name: str, target: str) -> dict[str, Any]:
    """Another place of a module."""
    return {"kind": "shared", "name": name, "target": target}


def graph(
    name: str, modules: Iterable[Mapping[str, Any]], calls: Iterable[Mapping[str, Any]], **fields: Any
) -> dict[str, Any]:
    """A module of the kind `graph`; `inputs` and `outputs` are among the fields."""
    inputs, outputs = fields.pop("inputs"), fields.pop("outputs")
    body = {"calls": list(calls), "inputs": inputs, "outputs": outputs}
    found = {"graph": body, "kind": "graph", "name": name, "op": "example:Graph"} | fields
    return found | ({"modules": list(modules)} if modules else {})


def call(identity: str, module: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """A call of a graph."""
    return {"args": list(args), "id": identity, "kwargs": kwargs, "module": module}


def output(identity: str, index: int = 0) -> dict[str, Any]:
    """An output of a call."""
    return {"$output": [identity, index]}


def stored(name: str) -> dict[str, str]:
    """A reference to a tensor of the document."""
    return {"$stored": name}


def part(role: str, data: bytes, media_type: str = "application/octet-stream", **fields: Any) -> dict[str, Any]:
    """An asset, a program or a native document."""
    return {"role": role, "media_type": media_type, "data": data} | fields


def native(content: Content, data: bytes, *documents: str, framework: str = "example") -> dict[str, Any]:
    """A native document from which some documents of a content were translated."""
    parts = writing.write(content)
    bindings = {name: digest(parts[name]) for name in documents}
    return part("native", data, "application/json", framework=framework, framework_version="2.5", bindings=bindings)
