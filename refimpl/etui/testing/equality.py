"""Whether two models hold the same, to the bit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from etui.canonical import values
from etui.canonical.tags import key_bytes
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.fingerprints import Bindings
from etui.model import Blob, Model

_OF_THE_FILE = frozenset({"manifest", "digest", "form", "closing"})


def same(first: Any, second: Any) -> bool:
    """Whether two models, containers, tensors or values are the same to the type and the bit.

    Tensors are compared by dtype, shape, encoding, chunks and bytes, and variables also by their order. What belongs to
    the file that a model was read from does not count.
    """
    first, second = (dict(value) if isinstance(value, Bindings) else value for value in (first, second))
    if type(first) is not type(second):
        return False
    if isinstance(first, Tensor):
        return _same_tensor(first, second)
    if isinstance(first, Blob):
        return bool(first.media_type == second.media_type and first.read() == second.read())
    if isinstance(first, Weights) and list(first.variables) != list(second.variables):
        return False
    if isinstance(first, dict | values.MapValue):
        return _same_pairs(_pairs(first), _pairs(second))
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if is_dataclass(first):
        names = [part.name for part in fields(first) if not (isinstance(first, Model) and part.name in _OF_THE_FILE)]
        return all(same(getattr(first, name), getattr(second, name)) for name in names)
    return values.equal(first, second)


def _same_tensor(first: Tensor, second: Tensor) -> bool:
    if (first.dtype, first.shape, first.encoding) != (second.dtype, second.shape, second.encoding):
        return False
    pieces = [
        [(piece.offset, piece.shape, piece.source.array().tobytes()) for piece in tensor.pieces]
        for tensor in (first, second)
    ]
    return pieces[0] == pieces[1] and same(first.components, second.components) and same(first.extra, second.extra)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    return list(value.pairs if isinstance(value, values.MapValue) else value.items())


def _same_pairs(first: list[tuple[Any, Any]], second: list[tuple[Any, Any]]) -> bool:
    found = {key_bytes(key): item for key, item in second}
    if len(first) != len(second) or {key_bytes(key) for key, _ in first} != found.keys():
        return False
    return all(same(item, found[key_bytes(key)]) for key, item in first)
