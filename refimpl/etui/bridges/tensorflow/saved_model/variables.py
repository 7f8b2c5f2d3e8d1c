"""Which tensor of the variables' bundle each object of a SavedModel has (SPEC.md, annex G.1).

A checkpoint has an object graph of its own. Both graphs are walked by the names that the objects give each other, as
TensorFlow does when it restores; the keys of the bundle are never taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from etui import dtypes
from etui.bridges.tensorflow.arrays import tensor_of
from etui.bridges.tensorflow.object_graph import KEY, ObjectGraph, read_object_graph
from etui.bridges.tensorflow.saved_model.graph import Node
from etui.bridges.tensorflow.saved_model.schema import KEPT_TENSOR, KEPT_TENSORS
from etui.containers.pieces import Array
from etui.errors import error, shown
from etui.limits import Limits
from etui.storage.protobuf import Message, decode, encode
from etui.storage.tf_bundle import Bundle, BundleTensor
from etui.storage.tf_bundle_form import read_strings, write_strings
from etui.storage.tf_bundle_writer import Outgoing


def stored_variables(nodes: list[Node], bundle: Bundle, where: str, limits: Limits) -> dict[int, BundleTensor]:
    """The tensor of each variable that the bundle holds, by the number of its node.

    Raises:
        MalformedError: ``protobuf-syntax``.
        InvalidError: ``object-graph-form``; ``savedmodel-variables``, a key that is not there, or a tensor of another
            shape.
    """
    entry = bundle.tensors.get(KEY)
    if entry is None or not nodes:
        return {}
    if entry.dtype != "bytes" or entry.shape != ():
        raise error("savedmodel-variables", where=where, found=f"an object graph of {entry.dtype}{list(entry.shape)}")
    place = f"{where}, {KEY}"
    found: dict[int, BundleTensor] = {}
    for number, key in _keys(nodes, read_object_graph(entry.read().item(), place, limits)):
        tensor = bundle.tensors.get(key)
        if tensor is None:
            raise error("savedmodel-variables", where=place, found=f"the key {shown(key)}, which is not there")
        _check_shape(nodes[number], tensor, place)
        found[number] = tensor
    return found


def _keys(nodes: list[Node], graph: ObjectGraph) -> Iterator[tuple[int, str]]:
    """Pairs of a variable's node and its key."""
    objects = graph.nodes
    pairs, stack, optimizers = {0: 0}, [0], []
    while stack:
        at = stack.pop()
        node = nodes[pairs[at]]
        for name, child in objects[at].children.items():
            same = node.children.get(name)
            if same is not None and child not in pairs:
                pairs[child] = same
                stack.append(child)
        if objects[at].slots:
            optimizers.append(at)
    for at in optimizers:
        named = {(owner, name): number for owner, name, number in nodes[pairs[at]].slots}
        for slot in objects[at].slots:
            owner = pairs.get(slot.variable)
            same = None if owner is None else named.get((owner, slot.name))
            if same is not None:
                pairs.setdefault(slot.node, same)
    for at, same in pairs.items():
        value = objects[at].value
        if nodes[same].kind == "variable" and value is not None:
            yield same, value.key


def _check_shape(node: Node, tensor: BundleTensor, where: str) -> None:
    """The size of a dimension that is not fixed is -1."""
    shape = node.shape
    fits = shape is None or (
        len(shape) == len(tensor.shape)
        and all(size in (-1, actual) for size, actual in zip(shape, tensor.shape, strict=True))
    )
    if not fits:
        found = f"{shown(tensor.name)} of the shape {list(tensor.shape)}, not {list(shape or ())}"
        raise error("savedmodel-variables", where=where, found=found)


def whole(tensor: BundleTensor) -> Array:
    """The elements of a tensor of a bundle, those of a partitioned one put together."""
    if not tensor.slices:
        return tensor.read()
    return tensor_of(tensor).numpy()


def keep_tensors(tensors: list[BundleTensor]) -> bytes:
    """The tensors that are no variables of the model, in one message of Etui's own."""
    kept = []
    for tensor in tensors:
        array = whole(tensor)
        if tensor.dtype == "bytes":
            data, _ = write_strings(array.reshape(-1).tolist())
        else:
            data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).tobytes()
        values = {"key": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape), "data": data}
        kept.append(Message(KEPT_TENSOR, values))
    return encode(Message(KEPT_TENSORS, {"tensors": kept}))


def kept_tensors(data: bytes, where: str, limits: Limits) -> Iterator[Outgoing]:
    """The tensors that `keep_tensors` kept.

    Raises:
        MalformedError: ``protobuf-syntax``, ``bundle-string``.
        InvalidError: ``savedmodel-program``, one that is not what it says.
    """
    for message in decode(KEPT_TENSORS, data, where=where, limits=limits)["tensors"]:
        name, dtype, shape, content = message["key"], message["dtype"], tuple(message["shape"]), message["data"]
        array = _array(dtype, shape, content, f"{where}, {shown(name)}")
        yield Outgoing(name, dtype, shape, lambda array=array: array)  # type: ignore[misc]


def _array(dtype: str, shape: tuple[int, ...], data: bytes, where: str) -> Array:
    count = 0 if 0 in shape else 1
    for size in shape:
        if size < 0 or (count := count * size) > len(data):
            raise error("savedmodel-program", where=where, found=f"the shape {list(shape)} of {len(data)} bytes")
    if dtype == "variant":
        return np.frombuffer(data, np.uint8)
    if dtype == "bytes":
        return read_strings(memoryview(data), count, "<", where).reshape(shape)
    kind = dtypes.by_name(dtype, where).numpy
    if count * kind.itemsize != len(data):
        raise error("savedmodel-program", where=where, found=f"{dtype}{list(shape)} of {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape)
