"""What a state of torch holds beside tensors, as values of an artifact and back; nothing is pickled (SPEC.md, annex R).

What SPEC.md chapter 5 has no value for is a `$object` of one of the classes below. Other objects are refused: keeping
them would take code from the file.
"""

from __future__ import annotations

import io
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.distributed.tensor import DTensor

from etui.bridges.torch.arrays import array_of, tensor_of
from etui.canonical.tags import key_bytes
from etui.canonical.value_types import MapValue, ObjectValue, Value
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis), np.ndarray})
_DEEPEST = 100
TENSOR = "torch:Tensor"


def encode(item: Any, where: str) -> Value:
    """The value of an object in a state.

    Args:
        item: None, numbers, texts, bytes, lists, tuples, maps, sets, arrays of numpy and scalars of it, tensors; a
            dtype, a device or a size of torch; `OrderedDict`, `Counter` and `io.BytesIO`.
        where: its key, for messages.

    Raises:
        UsageError: ``distributed-value``, another object.
    """
    return _encode(item, where, _DEEPEST)


def _encode(item: Any, where: str, levels: int) -> Value:
    kind = type(item)
    _check_array(item, where)
    if kind in _PLAIN:
        return item
    if not levels:
        raise error("distributed-value", where=where, found="a value nested deeper than a document may be")

    def inner(part: Any) -> Value:
        return _encode(part, where, levels - 1)

    if kind is list or kind is tuple:
        return kind(inner(part) for part in item)
    if kind is dict:
        return _map([(inner(key), inner(part)) for key, part in item.items()])
    if kind is slice:
        return slice(inner(item.start), inner(item.stop), inner(item.step))
    for name, (known, take, _) in _CLASSES.items():
        if kind is known or (known in _BASES and isinstance(item, known)):
            try:
                return ObjectValue(name, inner(take(item)))
            except EtuiError as cause:
                if cause.code != "torch-dtype":
                    raise
                raise _refusal(item, where) from cause
    raise _refusal(item, where)


def _check_array(item: Any, where: str) -> None:
    """Refuse arrays that a document does not hold."""
    if not isinstance(item, np.ndarray | torch.Tensor):
        return
    if item.nbytes > DEFAULT_LIMITS.inline_tensor_bytes:
        found = f"{item.nbytes} bytes of elements inside of a value"
        raise error("distributed-value", where=where, found=found, hint="Give the tensor a key of its own in a map.")
    if isinstance(item, np.ndarray) and item.dtype.kind in "OMm":
        raise _refusal(item, where)


def _refusal(item: Any, where: str) -> EtuiError:
    return error("distributed-value", where=where, found=f"{type(item).__qualname__} {shown(item)}")


def _map(pairs: list[tuple[Value, Value]]) -> Value:
    try:
        found = dict(pairs)
    except TypeError:  # a key that is a list, as of a size
        return MapValue(tuple(pairs))
    return found if len(found) == len(pairs) else MapValue(tuple(pairs))


def decode(value: Value) -> Any:
    """The object that a value stands for; an object of a class that is not known stays a value."""
    if isinstance(value, list | tuple):
        return type(value)(decode(part) for part in value)
    if isinstance(value, dict):
        return {key if type(key) is str else decode(key): decode(part) for key, part in value.items()}
    if isinstance(value, MapValue):
        return {decode(key): decode(part) for key, part in value.pairs}
    if isinstance(value, slice):
        return slice(decode(value.start), decode(value.stop), decode(value.step))
    if isinstance(value, ObjectValue) and value.class_name in _CLASSES:
        try:
            return _CLASSES[value.class_name][2](decode(value.config))
        except (TypeError, ValueError, RuntimeError, AttributeError) as cause:
            found = f"a {value.class_name} of {shown(value.config)}"
            raise error("distributed-value", found=found) from cause
    return value


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=lambda one: key_bytes(encode(one, "a set")))


def _dtype(name: Any) -> torch.dtype:
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise TypeError(name)
    return found


def _local(tensor: torch.Tensor) -> Any:
    if isinstance(tensor, DTensor):
        raise error("torch-dtype", found="a tensor of which other processes have parts")
    return array_of(tensor)


_CLASSES: Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    TENSOR: (torch.Tensor, _local, tensor_of),
    "torch:Size": (torch.Size, list, torch.Size),
    "torch:dtype": (torch.dtype, lambda dtype: str(dtype).removeprefix("torch."), _dtype),
    "torch:device": (torch.device, str, torch.device),
    "numpy:scalar": (np.generic, np.asarray, lambda array: array[()]),
    "python:Counter": (
        Counter,
        lambda found: [list(pair) for pair in found.items()],
        lambda pairs: Counter(dict(pairs)),
    ),
    "python:OrderedDict": (OrderedDict, lambda found: [list(pair) for pair in found.items()], OrderedDict),
    "python:set": (set, _sorted, set),
    "python:frozenset": (frozenset, _sorted, frozenset),
    "python:bytearray": (bytearray, bytes, bytearray),
    "python:BytesIO": (io.BytesIO, io.BytesIO.getvalue, io.BytesIO),
}
"""Name of a class -> the class, what its object is made of, and the object of that."""
_BASES = frozenset({torch.Tensor, np.generic})
