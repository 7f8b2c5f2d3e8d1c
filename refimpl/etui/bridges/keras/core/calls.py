"""The arguments of one call on both sides (SPEC.md, annex L.1 and L.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui.bridges.keras.core.rules import NotCoreError, Signature
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call
from etui.core.vocabulary import Op
from etui.errors import shown

_TENSOR = "keras:__tensor__"
_LITERAL = frozenset({"arithmetic", "merging", "shaping"})
_TRAINING = "training"
_FLAG = "boolean"


@dataclass(slots=True)
class Arguments:
    """The arguments of a call in the terms of the vocabulary.

    Attributes:
        args: the inputs.
        kwargs: the other arguments.
        taken: core attributes that Keras has as arguments of the call.
    """

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, Any] = field(default_factory=dict)


def lift_call(call: Call, signature: Signature, op: Op, *, modes: bool) -> Arguments:
    """A call of Keras.

    Args:
        call: in Keras' terms.
        signature: of the class.
        op: of the vocabulary.
        modes: whether an argument `training` has a meaning; Keras 3 puts the mode of the model in its place.

    Raises:
        NotCoreError: it has arguments that the op does not have.
    """
    given = _bound(call, signature)
    found = Arguments()
    for key, name in dict(one.split("=") for one in signature.taken).items():
        if key in given:
            found.taken[name] = given.pop(key)
    found.args = _inputs(call, given, signature, op)
    for key, value in given.items():
        if _is_nothing(value) or (key == _TRAINING and not modes):
            continue
        known = op.call.get(key)
        if known is None:
            raise NotCoreError(f"it is called with {key}")
        taken = _flag(key, value) if key == _TRAINING or known.type == _FLAG else _literal(value)
        if key == _TRAINING or known.required or taken is not known.default:
            found.kwargs[key] = taken
    return found


def _is_nothing(value: Any) -> bool:
    """Whether an argument says nothing: Keras gives a layer of several inputs a mask for each, all of them null."""
    return value is None or (isinstance(value, list | tuple) and bool(value) and all(map(_is_nothing, value)))


def _flag(key: str, value: Any) -> bool:
    """An argument that is true or false, for which Keras takes numbers, too."""
    if not isinstance(value, bool | int | float):
        raise NotCoreError(f"it is called with {key} = {shown(value)}")
    return bool(value)


def _bound(call: Call, signature: Signature) -> dict[str, Any]:
    """The arguments by the names of Keras' parameters."""
    args = list(call.args)
    if signature.spread:
        if not args or not isinstance(args[0], list | tuple):
            raise NotCoreError(f"it is called with {shown(args[:1])}")
        inputs, rest = list(args[0]), args[1:]
        if len(inputs) > signature.inputs:
            raise NotCoreError(f"it is called with {len(inputs)} inputs")
        found = dict(zip(signature.names, inputs, strict=False))
        found |= dict(zip(signature.names[signature.inputs :], rest, strict=False))
    elif signature.names[0] == "*":
        found = {"*": args}
    else:
        if len(args) > len(signature.names):
            if any(value is not None for value in args[len(signature.names) :]):
                raise NotCoreError(f"it is called with {len(args)} arguments")
            args = args[: len(signature.names)]
        found = dict(zip(signature.names, args, strict=False))
    doubled = found.keys() & call.kwargs.keys()
    if doubled:
        raise NotCoreError(f"it is called with {sorted(doubled)} twice")
    return found | dict(call.kwargs)


def _inputs(call: Call, given: dict[str, Any], signature: Signature, op: Op) -> list[Any]:
    names = signature.names[: signature.inputs]
    found = [given.pop(name, None) for name in names]
    while found and found[-1] is None:
        found.pop()
    needed = sum(not name.endswith(("?", "...")) for name in op.inputs)
    if len(found) < needed:
        raise NotCoreError(f"it is called with {shown(call.args)}")
    if signature.listed:
        if not isinstance(found[0], list | tuple):
            raise NotCoreError(f"it is called with {shown(found[0])}")
        found[0] = [_input(item, op) for item in found[0]]
        return found
    return [_input(item, op) for item in found]


def _input(value: Any, op: Op) -> Any:
    value = _literal(value)
    if isinstance(value, OutputRef):
        return value
    if op.family == "graph":
        return value
    number = type(value) in (bool, int, float) or isinstance(value, np.ndarray)
    if not number or op.family not in _LITERAL:
        raise NotCoreError(f"it is called with {shown(value)}")
    return value


def _literal(value: Any) -> Any:
    """A tensor that Keras tells apart from an array as the array."""
    told_apart = isinstance(value, ObjectValue) and value.class_name == _TENSOR
    return value.config if told_apart and isinstance(value.config, np.ndarray) else value


def lower_call(args: list[Any], kwargs: Mapping[str, Any], signature: Signature, attrs: Mapping[str, Any]) -> Arguments:
    """The arguments of a core call as Keras takes them.

    Args:
        args: the inputs.
        kwargs: the other arguments.
        signature: of the class.
        attrs: of the core module, defaults filled in.
    """
    found = Arguments(kwargs=dict(kwargs))
    if signature.spread:
        found.args = [list(args)]
    elif signature.names[0] == "*":
        found.args = list(args[0])
    else:
        found.args = list(args[: signature.positional])
        found.kwargs |= dict(zip(signature.names[signature.positional :], args[signature.positional :], strict=False))
        if "initial_state" in signature.names and len(args) > 1:
            found.kwargs = dict(kwargs) | {"initial_state": list(args[1:])}
    found.args += [None] * signature.blanks
    for one in signature.taken:
        key, name = one.split("=")
        if key == "key":
            found.args.append(attrs[name])
        elif attrs[name]:
            found.kwargs[key] = attrs[name]
    return found
