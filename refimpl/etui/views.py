"""Views of a model that verification and comparison share: its documents as JSON, and all its tensors."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from etui.canonical import values
from etui.canonical.values import StoredTensor
from etui.containers import optimizer, state, weights
from etui.containers.tensors import Tensor
from etui.model import Model

Json = Any

_LEAVES = (float, int, bytes, StoredTensor)


def json_view(tree: Json) -> Json:
    """The JSON view (SPEC.md B-12) of a tree as `etui.canonical.msgpack.decode` gives it or a container encodes it.

    Only leaves have another form in JSON; the tree of a JSON document is its own view. Keys stay as they are, because a
    path may begin with `$`.
    """
    if isinstance(tree, dict):
        tensor = tree.get("$tensor")
        if len(tree) == 1 and isinstance(tensor, dict) and isinstance(tensor.get("data"), bytes):
            return {"$tensor": {**tensor, "data": b64encode(tensor["data"]).decode()}}
        return {key: json_view(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [json_view(item) for item in tree]
    if isinstance(tree, _LEAVES) and not isinstance(tree, bool):
        return values.to_json(tree)
    return tree


def stored_tensors(model: Model) -> Iterator[tuple[str, str, Tensor]]:
    """Every tensor that a model's documents refer to: role of the document, name in it, tensor."""
    if model.weights is not None:
        for name, tensor in weights.tensors(model.weights):
            yield "weights", name, tensor
    if model.optimizer is not None:
        for name, tensor in optimizer.tensors(model.optimizer):
            yield "optimizer", name, tensor
    if model.state is not None:
        for name, tensor in state.tensors(model.state):
            yield "state", name, tensor
