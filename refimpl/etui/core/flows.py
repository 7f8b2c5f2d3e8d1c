"""Tensors on their way through a graph, for whoever walks one: the evaluator, and bridges that emit its calls.

What a tensor is, an array or a value of a graph that is being made, is the walker's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from etui.canonical.values import MapValue, OutputRef
from etui.errors import error


@dataclass(frozen=True, slots=True)
class Flow:
    """A tensor, with the mask that it carries; `None` for an input that is not given."""

    value: Any
    mask: Any = None


def counted(inputs: Sequence[str], args: list[Any], code: str) -> list[Any]:
    """The inputs of a call, which are its positional arguments (CV-9).

    Args:
        inputs: of the op, as the vocabulary names them.
        args: of the call.
        code: of the error where they are too few or too many.
    """
    required = sum(not one.endswith(("?", "...")) for one in inputs)
    most = len(inputs) if not any(one.endswith("...") for one in inputs) else len(args)
    if not required <= len(args) <= most:
        raise error(code, found=f"{len(args)} inputs, not {', '.join(inputs)}")
    return args


def remasked(flows: list[Flow], mask: Any) -> list[Flow]:
    """The inputs of a module of modules, with the masks that its call gives in the place of theirs (CV-13).

    Args:
        flows: the inputs.
        mask: the argument: tensors as `Flow`, in any structure with one leaf for each input; or `None`.
    """
    if mask is None:
        return flows
    masks = [leaf.value if isinstance(leaf, Flow) else leaf for leaf in leaves(mask)]
    if len(masks) != len(flows):
        raise ValueError(f"{len(masks)} masks of {len(flows)} inputs")
    return [flow if own is None else Flow(flow.value, own) for flow, own in zip(flows, masks, strict=True)]


def carried(inputs: Sequence[str], positional: list[Any]) -> Any:
    """The mask of the input; the list of them where the op has several inputs, or a list as one."""
    plain = [name for name in inputs if not name.endswith("...")]
    several = len(plain) > 1 or plain[0].endswith("*")
    masks = [flow.mask if isinstance(flow, Flow) else None for flow in _arguments(positional[: len(plain)])]
    return masks if several else masks[0]


def _arguments(positional: list[Any]) -> Iterator[Any]:
    for value in positional:
        yield from value if isinstance(value, list | tuple) else [value]


def marked(result: Any, rule: str, mask: Any, carried: Any, *, masked: bool) -> list[Flow]:
    """The outputs of an op with their masks: the op's own, or those that the rule of the vocabulary gives.

    Args:
        result: of the op: an output or a list of them, with `masked` in a pair with the mask or the masks.
        rule: of the op.
        mask: that the call names, or `None`.
        carried: what `carried` gave.
        masked: whether the op gives masks of its own.
    """
    if masked:
        result, masks = result
    else:
        first = carried[0] if isinstance(carried, list) else carried
        masks = (first if mask is None else mask) if rule == "keep" else None
    if not isinstance(result, list | tuple):
        return [Flow(result, masks)]
    spread = masks if isinstance(masks, list) else [masks] + [None] * (len(result) - 1)
    return [Flow(one, own) for one, own in zip(result, spread, strict=True)]


def nested(value: Any, leaf: Any) -> Any:
    """A value with every reference or flow in it replaced by what `leaf` makes of it."""
    if isinstance(value, OutputRef | Flow):
        return leaf(value)
    if isinstance(value, dict):
        return {key: nested(item, leaf) for key, item in value.items()}
    if isinstance(value, MapValue):
        return MapValue(tuple((key, nested(item, leaf)) for key, item in value.pairs))
    if isinstance(value, list | tuple):
        return type(value)(nested(item, leaf) for item in value)
    return value


def leaves(value: Any) -> Iterator[Any]:
    """What a structure holds that is no list or map, in the order of its content; maps in the order of their keys."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from leaves(value[key])
    elif isinstance(value, MapValue):
        for _, item in value.pairs:
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value
