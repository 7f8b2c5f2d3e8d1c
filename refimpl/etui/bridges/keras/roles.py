"""The names of a layer's variables: from the layer table where it fits, else from the file (SPEC.md, annex B.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from etui.bridges.keras.layer_table import LAYERS, Var
from etui.bridges.keras.modules import row
from etui.bridges.keras.names import snake_case
from etui.canonical.values import ObjectValue
from etui.errors import error

Shape = tuple[int, ...]

_FLOATS = ("bfloat16", "float", "complex")


@dataclass(frozen=True, slots=True)
class Role:
    """One variable of a layer.

    Attributes:
        key: its name in the layer's group of the weights file.
        name: its name in the neutral model, not escaped.
        trainable: whether training changes it, as far as its layer says.
        listed: whether its layer lists it among its trainable variables, where it stays when an adapter freezes it.
        known: whether the table says so, and not a guess from the dtype.
    """

    key: str
    name: str
    trainable: bool
    listed: bool
    known: bool


def read_roles(op: str, attrs: Mapping[str, Any], stored: Mapping[str, str], group: str = "") -> list[Role]:
    """The variables of a layer in stored order.

    Args:
        op: of the layer.
        attrs: its attributes.
        stored: the dtype of each dataset in its group, by its name there.
        group: of the layer; the group of a list's member is named after the member's class.
    """
    numbers = [str(index) for index in range(len(stored))]
    if set(numbers) != set(stored) or row(op).keyed:
        return [_keyed(op, key, dtype) for key, dtype in sorted(stored.items())]
    for found in candidates(op, attrs):
        if len(found) == len(numbers):
            return [
                Role(key, var.name, var.trainable and not _is_adapted(op, attrs, var), var.trainable, known=True)
                for key, var in zip(numbers, found, strict=True)
            ]
    # Keras stores trainable variables first, and no integer is trainable. A built-in class of the member's name and
    # with as many variables is the better guess.
    likely = next((plan for plan in candidates(_member_op(group), {}) if len(plan) == len(numbers)), None)
    roles, trainable = [], True
    for at, key in enumerate(numbers):
        trainable = trainable and stored[key].startswith(_FLOATS)
        guess = trainable and (likely is None or likely[at].trainable)
        roles.append(Role(key, key, guess, guess, known=False))
    return roles


def write_keys(op: str, attrs: Mapping[str, Any], names: Sequence[str], where: str) -> dict[str, str]:
    """The key of each variable in the layer's group, by the variable's name.

    Raises:
        TransferError: ``keras-variables``, a built-in layer has no such set of variables.
    """
    numbers = {str(index) for index in range(len(names))}
    if not names or set(names) == numbers or row(op).keyed:
        return {name: name for name in names}
    for found in candidates(op, attrs):
        if {var.name for var in found} == set(names):
            return {var.name: str(index) for index, var in enumerate(found)}
    if row(op).variables:
        raise error("keras-variables", where=where, found=f"{op} with {sorted(names)}")
    return {name: name for name in names}


def candidates(op: str, attrs: Mapping[str, Any], *, others: bool = True) -> Iterator[list[Var]]:
    """The lists of variables that a layer may have, the likeliest first.

    Args:
        op: of the layer.
        attrs: its attributes.
        others: take quantization modes too that its policy does not name.
    """
    found = row(op)
    modes = found.modes or {}
    likely = [mode for mode in _modes(attrs.get("dtype")) if mode in modes]
    rest = [plan for mode, plan in modes.items() if mode not in likely] if others else []
    plans = [*(modes[mode] for mode in likely), found.variables, *rest]
    for plan in plans:
        present = [var for var in plan if var.when(attrs)]
        if present:
            yield present
            if any(var.optional for var in present):
                yield [var for var in present if not var.optional]


@cache
def _member_ops() -> dict[str, str]:
    """Built-in layers by the name that Keras makes of their class for members of a list."""
    return {snake_case(name): f"keras:{name}" for name, found in LAYERS.items() if found.variables}


def _member_op(group: str) -> str:
    name = group.rpartition("/")[2]
    base, _, number = name.rpartition("_")
    return _member_ops().get(base if number.isdecimal() else name, "")


def _modes(policy: Any) -> Iterator[str]:
    """Every quantization mode that a dtype policy names: ``int8`` of ``int8_from_float32`` or ``int4/128``."""
    if isinstance(policy, ObjectValue):
        yield from _modes(policy.config)
    elif isinstance(policy, dict):
        for value in policy.values():
            yield from _modes(value)
    elif isinstance(policy, str):
        yield policy.partition("_from_")[0].partition("/")[0]


def _is_adapted(op: str, attrs: Mapping[str, Any], var: Var) -> bool:
    """Whether a low-rank adapter froze the variable."""
    return bool(attrs.get("lora_rank")) and var.name == row(op).adapted


def _keyed(op: str, key: str, dtype: str) -> Role:
    """The role of a variable that the file names."""
    for var in row(op).variables:
        if var.name == key:
            return Role(key, key, var.trainable, var.trainable, known=True)
    trainable = dtype.startswith(_FLOATS)
    return Role(key, key, trainable, trainable, known=False)


def flags(op: str, attrs: Mapping[str, Any], names: Sequence[str]) -> dict[str, bool]:
    """Whether the layer makes each of its variables trainable, for the variables that the table knows."""
    for found in candidates(op, attrs):
        if {var.name for var in found} == {name for name in names if not name.startswith("lora_")}:
            return {var.name: var.trainable and not _is_adapted(op, attrs, var) for var in found}
    return {}


def is_slotless(op: str, name: str) -> bool:
    """Whether the gradient of a variable takes its place, so that optimizers keep nothing for it."""
    return any(var.slotless and var.name == name for plan in (row(op).modes or {}).values() for var in plan)


def adapter_shapes(op: str, attrs: Mapping[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The variables of a low-rank adapter, which Keras merges into the adapted variable W and so does not store.

    Args:
        op: of the layer.
        attrs: its attributes.
        shapes: the shapes of its stored variables by name.

    Returns:
        Shapes by name, of A and B in W + alpha / rank * A B: the leading dimensions of W and the rank, the rank and
        the last dimension of W. Empty for a packed W, whose shape does not tell them.
    """
    rank, name = attrs.get("lora_rank"), row(op).adapted
    shape = shapes.get(name or "", ())
    if type(rank) is not int or len(shape) < 2 or not 0 < rank <= max(shape):
        return {}
    if any(mode in ("int4", "gptq", "awq") for mode in _modes(attrs.get("dtype"))):
        return {}
    return {f"lora_{name}_a": (*shape[:-1], rank), f"lora_{name}_b": (rank, shape[-1])}
