"""How vectors of the core vocabulary are written: tensors and requests as the adapter protocol has them, as JSON.

A file is one JSON document with a case after the other. Which expected numbers a machine computes depends, in the last
bits, on the order in which its libraries add; all else is exact. So a file that is there already stays as it is where a
new one differs from it by no more than that, and the same machine writes the same bytes again.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from etui.artifact import save_model
from etui.containers.tensors import Tensor
from etui.model import Model
from etui.storage import create_artifact
from etui.storage.part_names import role_of

Array = np.ndarray[Any, Any]
Json = dict[str, Any]
FORMAT = {"format": "etui-semantics", "version": "1.0"}
TOLERANCE = {"rtol": 1e-9, "atol": 1e-12}
"""Of float64: orders of summation and libraries of functions differ by some 1e-15, which the steps of a chain and
cancellation may make a thousand times larger; a formula that differs, by a misplaced epsilon say, differs by more than
1e-6 here, because the cases have epsilons and numbers of ordinary size."""
_SAME = {"rtol": 1e-11, "atol": 1e-14}
_WIDTH = 120


def tensor(array: Any) -> Json:
    """A tensor of the protocol, its data within the message."""
    array = np.asarray(array)
    if array.dtype.kind in "OU":
        texts = [base64.b64encode(str(text).encode()).decode() for text in array.ravel().tolist()]
        return {"dtype": "string", "shape": list(array.shape), "strings": texts}
    made = Tensor.of(np.ascontiguousarray(array).reshape(array.shape))
    return {"dtype": made.dtype, "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def array_of(value: Mapping[str, Any]) -> Array:
    """The array of a tensor whose dtype NumPy has."""
    data = base64.b64decode(value["data"])
    return np.frombuffer(data, value["dtype"]).reshape(value["shape"])


def packed(model: Model | Mapping[str, bytes]) -> Json:
    """The packed artifact of a model, or of parts."""
    parts: dict[str, bytes] = {}
    if isinstance(model, Model):
        save_model(model, parts)
    else:
        parts = dict(model)
    return {"packed": {"data": base64.b64encode(_packed(parts)).decode()}}


def _packed(parts: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with create_artifact(buffer, "packed") as writer:
        for name, data in parts.items():
            writer.write(name, role_of(name) or "", len(data), [data])
        writer.commit()
    return buffer.getvalue()


def written(document: Any) -> str:
    """A document as text: what fits into a line, or is a tensor, is one line."""
    return "".join(_written(document, 0)) + "\n"


def _written(node: Any, depth: int) -> Iterator[str]:
    line = json.dumps(node, ensure_ascii=False)
    small = len(line) + depth <= _WIDTH or (isinstance(node, dict) and "dtype" in node and "shape" in node)
    if small or not isinstance(node, dict | list):
        yield line
        return
    pairs = (
        [(f"{json.dumps(key)}: ", item) for key, item in node.items()]
        if isinstance(node, dict)
        else [("", one) for one in node]
    )
    yield "{\n" if isinstance(node, dict) else "[\n"
    for index, (key, item) in enumerate(pairs):
        yield " " * (depth + 1) + key
        yield from _written(item, depth + 1)
        yield ",\n" if index + 1 < len(pairs) else "\n"
    yield " " * depth + ("}" if isinstance(node, dict) else "]")


def same(old: Any, new: Any, *, computed: bool = False) -> bool:
    """Whether two documents are equal; numbers that were computed may differ in their last bits."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.keys() != new.keys():
            return False
        if computed and old.get("dtype") == "float64" and "data" in old:
            return old["shape"] == new["shape"] and new["dtype"] == "float64" and _close(array_of(old), array_of(new))
        return all(
            same(old[key], new[key], computed=computed or key == "expected" or key.startswith("state/")) for key in old
        )
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(
            same(one, two, computed=computed) for one, two in zip(old, new, strict=True)
        )
    return type(old) is type(new) and bool(old == new)


def _close(one: Array, two: Array) -> bool:
    return bool(np.allclose(one, two, **_SAME, equal_nan=True))
