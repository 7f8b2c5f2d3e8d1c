"""Inbound nodes as Keras 2 and tf_keras write them: `[[layer, node, tensor, kwargs], ...]` (SPEC.md, annex B.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etui.bridges.keras.modules import is_input, is_sequential, residue
from etui.bridges.keras.patches import Json
from etui.bridges.keras.values import ValueReader
from etui.canonical.values import OutputRef
from etui.containers.config import Call, Module

_ENTRY = 4
_CONSTANT = "_CONSTANT_VALUE"
_SLICE = ("start", "stop", "step")
# Layers that tf_keras makes of TensorFlow functions: their inputs are not wrapped into a list.
_UNWRAPPED = "tf_keras:src.layers.core.tf_op_layer."


def first_node(child: Module, dialect: str, *, end: bool) -> int:
    """The node index of a layer's first call in its model, which is 1 where a nested model's own making is node 0.

    tf_keras counts so everywhere; Keras 3 counts so for Functional models in `input_layers` and `output_layers` alone.

    Args:
        child: the called module.
        dialect: ``keras`` or ``tf_keras``.
        end: whether the index is in `input_layers` or `output_layers`.
    """
    if child.graph is None:
        return int(end and "made_by_call" in residue(child))
    if dialect == "keras":
        return int(end and not is_sequential(child))
    return int(not is_sequential(child) or is_input(child.modules[0].op))


def read_legacy_node(
    node: list[Json], reference: Callable[[Json], OutputRef | None], reader: ValueReader
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call: all inputs are the first positional one, in a list where there are several."""
    kwargs: dict[str, Any] = {}

    def value(tree: Json) -> Any:
        found = reference(tree)
        if found is not None:
            return found
        if isinstance(tree, list):
            return [value(item) for item in tree]
        if isinstance(tree, dict) and tuple(tree) == _SLICE:
            return slice(*(value(item) for item in tree.values()))
        if isinstance(tree, dict) and "class_name" not in tree:
            return {key: value(item) for key, item in tree.items()}
        return reader.value(tree)

    def inputs(tree: Json) -> Any:
        if isinstance(tree, list) and len(tree) == _ENTRY and isinstance(tree[0], str) and isinstance(tree[3], dict):
            for key, item in tree[3].items():
                kwargs.setdefault(key, value(item))
            found = reference(tree[:3])
            return tree[2] if found is None and tree[0] == _CONSTANT else found
        if isinstance(tree, list):
            return [inputs(item) for item in tree]
        if isinstance(tree, dict):
            return {key: inputs(item) for key, item in tree.items()}
        return value(tree)

    found = inputs(node)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return [found], kwargs


def write_legacy_node(
    call: Call, op: str, reference: Callable[[OutputRef], Json], value: Callable[[Any], Json]
) -> Json:
    """The inbound node of a call."""

    def plain(item: Any) -> Json:
        if isinstance(item, OutputRef):
            return reference(item)
        if isinstance(item, list):
            return [plain(entry) for entry in item]
        if isinstance(item, slice):
            return dict(zip(_SLICE, (plain(end) for end in (item.start, item.stop, item.step)), strict=True))
        if isinstance(item, dict):
            return {key: plain(entry) for key, entry in item.items()}
        return value(item)

    def inputs(item: Any) -> Json:
        if isinstance(item, OutputRef):
            return [*reference(item), kwargs]
        if isinstance(item, list):
            return [inputs(entry) for entry in item]
        if isinstance(item, dict):
            return {key: inputs(entry) for key, entry in item.items()}
        return [_CONSTANT, -1, value(item), kwargs]

    kwargs = plain(call.kwargs)
    found = inputs(call.args[0]) if call.args else []
    single = bool(call.args) and not isinstance(call.args[0], list | dict)
    return [found] if single and not op.startswith(_UNWRAPPED) else found
