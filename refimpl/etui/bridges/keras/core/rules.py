"""How the tables of this package are written: one rule for each class of Keras (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.canonical.values import ObjectValue
from etui.errors import shown

Attrs = dict[str, Any]
Shape = tuple[int | None, ...]


class NotCoreError(Exception):
    """A module of Keras that the core vocabulary cannot say; the text is the reason."""


class NotKerasError(Exception):
    """A core module that a rule cannot say in Keras' terms; the text is the reason."""


REQUIRED = object()
ANY = object()


@dataclass(frozen=True, slots=True)
class Attr:
    """One attribute on both sides.

    Attributes:
        key: in Keras' config.
        name: in the core module.
        default: what Keras takes where its config does not tell; `REQUIRED` if there is none.
        lift: Keras' value and all of Keras' attributes -> the core value.
        lower: the core value and all core attributes (defaults filled in) -> Keras' value.
    """

    key: str
    name: str
    default: Any
    lift: Callable[[Any, Mapping[str, Any]], Any]
    lower: Callable[[Any, Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Idle:
    """An attribute of Keras that the core vocabulary does not have.

    Attributes:
        emit: its value in what is lowered; `ANY` leaves it out.
        allowed: the values that mean nothing, or `ANY` where none ever does.
    """

    emit: Any = ANY
    allowed: Any = ANY


@dataclass(frozen=True, slots=True)
class Signature:
    """How a class is called.

    Attributes:
        names: Keras' parameters in their order: the inputs of the core op first, then arguments of the same name.
        inputs: how many of them are inputs.
        positional: how many of these Keras is given by position; the rest by name.
        spread: Keras takes the inputs as one list, and the core op one after the other.
        listed: the one input is a list of tensors.
        taken: parameters of the call that are attributes of the core op.
        blanks: arguments behind the inputs that Keras wants to be given and that are null.
    """

    names: tuple[str, ...] = ("x",)
    inputs: int = 1
    positional: int = 1
    spread: bool = False
    listed: bool = False
    taken: tuple[str, ...] = ()
    blanks: int = 0


ONE = Signature(("x", "training", "mask"))


@dataclass(frozen=True, slots=True)
class Rule:
    """What one class of Keras is in the core vocabulary.

    Attributes:
        keras: the class, as an op without its namespace: ``Dense``, ``ops.numpy.Add``.
        op: the core op without its namespace.
        attrs: those that both have.
        idle: those that only Keras has.
        roles: for each variable, the beginning of Keras' keys of its initializer, regularizer and constraint.
        lacks: kinds of these keys that a role has not, such as ``("gamma_initializer",)``.
        homes: role -> child module of Keras, empty for the layer itself, and the variable's role there, for variables
            that have another place or role than in the op.
        children: child modules that Keras makes by itself and that have variables: name -> class.
        signature: how it is called.
        fixed: core attributes that the class implies, such as the function of an arithmetic op.
        ranks: the numbers of axes of the input that the class is made for; empty for any.
        fits: whether the class can say these core attributes (defaults filled in).
        more: changes core attributes after the table: of (core, keras attributes, shape of the input or `None`).
        back: changes Keras' attributes after the table: of (keras attributes, core attributes, rank or `None`).
        activity: whether Keras' config has an activity regularizer even where there is none.
        plain: it has neither policy nor trainable flag, being an operation or an input.
        typed: its result is of integers or strings whatever its policy says.
        flagged: Keras' class takes a trainable flag.
    """

    keras: str
    op: str
    attrs: tuple[Attr, ...] = ()
    idle: Mapping[str, Idle] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    homes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    children: Mapping[str, str] = field(default_factory=dict)
    signature: Signature = ONE
    fixed: Mapping[str, Any] = field(default_factory=dict)
    ranks: tuple[int, ...] = ()
    fits: Callable[[Mapping[str, Any]], bool] = lambda _: True
    more: Callable[[Attrs, Mapping[str, Any], Shape | None], None] | None = None
    back: Callable[[Attrs, Mapping[str, Any], int | None], None] | None = None
    activity: bool = False
    plain: bool = False
    typed: bool = False
    flagged: bool = True


# --- kinds of attributes ----------------------------------------------------------------------------------------------


def as_it_is(value: Any, _: Mapping[str, Any]) -> Any:
    """The same value on both sides."""
    return value


def flag(key: str, default: Any = False, name: str | None = None) -> Attr:
    """A truth value."""
    return Attr(key, name or key, default, _flag, as_it_is)


def _flag(value: Any, _: Mapping[str, Any]) -> bool:
    if value not in (True, False, None):
        raise NotCoreError(f"a flag that is {shown(value)}")
    return bool(value)


def number(key: str, default: Any = REQUIRED, name: str | None = None, *, null: Any = ANY) -> Attr:
    """A float; `null` is what null stands for, if it stands for something."""

    def lift(value: Any, _: Mapping[str, Any]) -> float | None:
        found = null if value is None and null is not ANY else value
        if found is None and null is None:
            return None
        if type(found) not in (int, float):
            raise NotCoreError(f"{key} is {shown(value)}")
        return float(found)

    return Attr(key, name or key, default, lift, as_it_is)


def integer(key: str, default: Any = REQUIRED, name: str | None = None, *, null: bool = False) -> Attr:
    """An integer, or null where that is allowed."""

    def lift(value: Any, _: Mapping[str, Any]) -> int | None:
        if value is None and null:
            return None
        if type(value) is not int:
            raise NotCoreError(f"{key} is {shown(value)}")
        return value

    return Attr(key, name or key, default, lift, as_it_is)


def text(key: str, default: Any = REQUIRED, name: str | None = None, *, choices: tuple[str, ...] = ()) -> Attr:
    """A word, if `choices` are given one of these."""

    def lift(value: Any, _: Mapping[str, Any]) -> str:
        if not isinstance(value, str) or (choices and value not in choices):
            raise NotCoreError(f"{key} is {shown(value)}")
        return value

    return Attr(key, name or key, default, lift, as_it_is)


def sizes(key: str, rank: int, default: Any = REQUIRED, name: str | None = None) -> Attr:
    """One size for each of `rank` axes; where it has a default, sizes of 1 are null."""

    def lift(value: Any, _: Mapping[str, Any]) -> list[int] | None:
        found = per_axis(value, rank, key)
        return None if default is not REQUIRED and set(found) <= {1} else found

    def lower(value: Any, _: Mapping[str, Any]) -> list[int]:
        return [1] * rank if value is None else list(value)

    return Attr(key, name or key, default, lift, lower)


def per_axis(value: Any, rank: int, key: str) -> list[int]:
    """An integer, or one for each axis, as a list.

    Raises:
        NotCoreError: it is neither.
    """
    found = [value] * rank if type(value) is int else list(value) if isinstance(value, list | tuple) else []
    if len(found) != rank or not all(type(item) is int for item in found):
        raise NotCoreError(f"{key} is {shown(value)}")
    return found


def axes(key: str, default: Any = -1, name: str = "axes") -> Attr:
    """One axis, or several, as a list; one alone is written by itself."""

    def lift(value: Any, _: Mapping[str, Any]) -> list[int]:
        found = [value] if type(value) is int else list(value) if isinstance(value, list | tuple) else []
        if not found or not all(type(item) is int for item in found):
            raise NotCoreError(f"{key} is {shown(value)}")
        return found

    def lower(value: Any, _: Mapping[str, Any]) -> Any:
        if value is None:
            raise NotKerasError(f"{key} is every axis")
        return value[0] if len(value) == 1 else list(value)

    return Attr(key, name, default, lift, lower)


def all_axes(key: str) -> Attr:
    """Axes that reduce: one, several, or all, which is null."""

    def lift(value: Any, _: Mapping[str, Any]) -> list[int] | None:
        found = [value] if type(value) is int else value
        if found is not None and not (isinstance(found, list | tuple) and all(type(item) is int for item in found)):
            raise NotCoreError(f"{key} is {shown(value)}")
        return None if found is None else list(found)

    def lower(value: Any, _: Mapping[str, Any]) -> Any:
        return value[0] if value is not None and len(value) == 1 else value

    return Attr(key, "axes", None, lift, lower)


def data_format(default: Any = "channels_last") -> Attr:
    """Where the channels are; null is Keras' own setting, which is the last axis unless the user changed it."""

    def lift(value: Any, _: Mapping[str, Any]) -> str:
        found = "channels_last" if value is None else value
        if found not in ("channels_last", "channels_first"):
            raise NotCoreError(f"data_format is {shown(value)}")
        return str(found)

    return Attr("data_format", "data_format", default, lift, as_it_is)


def seed() -> Attr:
    """The seed of a layer's random numbers; a generator that is an object has none to say."""

    def lift(value: Any, _: Mapping[str, Any]) -> int | None:
        if isinstance(value, ObjectValue) and isinstance(value.config, dict):
            value = value.config.get("seed")
        return value if type(value) is int else None

    return Attr("seed", "seed", None, lift, _plain_seed)


def _plain_seed(value: Any, _: Mapping[str, Any]) -> Any:
    return value if type(value) is int else None


IDLE: Mapping[str, Idle] = {
    "autocast": Idle(ANY, (True,)),
    "lora_rank": Idle(ANY, (None,)),
    "lora_alpha": Idle(ANY, (None,)),
    "gptq_unpacked_column_size": Idle(),
    "quantization_config": Idle(ANY, (None,)),
    "activity_regularizer": Idle(),
}
"""Attributes that any layer may have; the activity regularizer is one of both sides, which the tables need not name."""


def operation(name: str, op: str, *attrs: Attr, **more: Any) -> Rule:
    """The rule of an operation of Keras, which is no layer."""
    more.setdefault("signature", Signature(("x",)))
    return Rule(f"ops.{name}", op, attrs, plain=True, **more)
