"""The core vocabulary as data: `schemas/core/vocabulary.json`, read once (SPEC.md, annex J)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from etui.core_names import KINDS, NAMESPACE, defines, document, kinds

if TYPE_CHECKING:
    from etui.canonical.values import ObjectValue
    from etui.containers.config import Config, Module

__all__ = [
    "KINDS",
    "NAMESPACE",
    "Attr",
    "Op",
    "Param",
    "Rule",
    "Slot",
    "attrs_of",
    "defines",
    "document",
    "filled",
    "is_core",
    "is_core_config",
    "kinds",
    "object_attrs",
    "objects",
    "op_of",
    "ops",
    "optimizers",
    "sparse",
    "version",
]

_DEFS = "#/defs/"


@dataclass(frozen=True, slots=True)
class Attr:
    """An attribute of an op, an argument of its call, a hyperparameter, or a parameter of an object.

    Attributes:
        name: its key.
        type: name of a definition of the vocabulary (``"number"``, ``"sizes"``), or ``"boolean"``, ``"integer"``,
            ``"string"``; empty where `choices` lists the values.
        nullable: null is a value, too.
        minimum: of an integer, or `None`.
        choices: the values that there are besides null, or empty.
        required: there is no default.
        default: what an absent attribute means.
    """

    name: str
    type: str
    nullable: bool = False
    minimum: int | None = None
    choices: tuple[Any, ...] = ()
    required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Param:
    """A variable of an op.

    Attributes:
        role: its key in `params`.
        shape: an expression for each axis; ``*name`` stands for several, ``...`` for any.
        when: the condition under which the op has it; empty for always.
        trainable: whether training changes it by gradients.
    """

    role: str
    shape: tuple[str, ...]
    when: str = ""
    trainable: bool = True

    def present(self, attrs: Mapping[str, Any]) -> bool:
        """Whether an op with these attributes, defaults filled in, has the variable."""
        return all(_holds(term.strip(), attrs) for term in self.when.split("&")) if self.when else True


@dataclass(frozen=True, slots=True)
class Op:
    """An op.

    Attributes:
        name: without its namespace.
        family: the section of annex J.
        inputs: names, in order; ``xs*`` is one list, ``key?`` optional, ``initial_state...`` any number.
        mask: the rule for the mask of the output.
        attrs: its attributes, the common ones included.
        params: its variables by role.
        call: the arguments of a call besides the inputs.
        outputs: what it gives where that is not one tensor, or empty.
        modules: the names of its child modules.
        random: what it draws, or empty.
    """

    name: str
    family: str
    inputs: tuple[str, ...]
    mask: str
    attrs: Mapping[str, Attr]
    params: Mapping[str, Param]
    call: Mapping[str, Attr]
    outputs: str = ""
    modules: tuple[str, ...] = ()
    random: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor that an optimizer keeps for each variable.

    Attributes:
        name: its key in `slots`.
        shape: what its shape is, in words.
        when: the condition under which there is one, in words; empty for always.
    """

    name: str
    shape: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """An optimizer.

    Attributes:
        name: without its namespace.
        hyperparameters: its own and the common ones, which a wrapper lacks.
        slots: by name.
        shared_slots: names of the tensors that it keeps once.
        wraps: whether it wraps another optimizer.
    """

    name: str
    hyperparameters: Mapping[str, Attr]
    slots: Mapping[str, Slot]
    shared_slots: tuple[str, ...] = ()
    wraps: bool = False


def version() -> str:
    """The version of the vocabulary."""
    return str(document()["version"])


@cache
def ops() -> Mapping[str, Op]:
    """Every op, by the name without its namespace."""
    common = _attrs(document()["common_attrs"])
    return MappingProxyType({name: _op(name, entry, common) for name, entry in document()["ops"].items()})


@cache
def optimizers() -> Mapping[str, Rule]:
    """Every optimizer, by the name without its namespace."""
    common = _attrs(document()["common_hyperparameters"])
    return MappingProxyType({name: _rule(name, entry, common) for name, entry in document()["optimizers"].items()})


@cache
def objects(kind: str) -> Mapping[str, Mapping[str, Attr]]:
    """The parameters of each class of a kind (``"losses"``), by its name; empty for a kind that is not listed."""
    entries = document().get(kind, {})
    return MappingProxyType({name: _attrs(entry.get("attrs", {})) for name, entry in entries.items()})


def is_core(module: Module) -> bool:
    """Whether the op of a module is one of the vocabulary."""
    return defines(module.op, "op")


def is_core_config(config: Config) -> bool:
    """Whether the ops of all modules of a config are in the namespace of the vocabulary."""
    return all(module.kind == "shared" or module.op.startswith(NAMESPACE) for _, module in config.walk())


def op_of(module: Module) -> Op:
    """The entry of a core module's op.

    Raises:
        KeyError: it is not one of the vocabulary.
    """
    return ops()[module.op.removeprefix(NAMESPACE)]


def attrs_of(module: Module) -> dict[str, Any]:
    """All attributes of a core module, with the defaults of those that it leaves out.

    Raises:
        KeyError: its op is not one of the vocabulary.
    """
    return filled(op_of(module).attrs, module.attrs)


def object_attrs(value: ObjectValue) -> dict[str, Any]:
    """All parameters of a `$object` of the vocabulary, with the defaults of those that it leaves out.

    Raises:
        KeyError: its class is not one of the vocabulary.
    """
    kind, _, name = value.class_name.removeprefix(NAMESPACE).partition(".")
    return filled(objects(kind)[name], value.config or {})


def filled(attrs: Mapping[str, Attr], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values, and a default of its own for each that is absent; what is required and absent stays so."""
    defaults = {name: deepcopy(attr.default) for name, attr in attrs.items() if not attr.required}
    return {**defaults, **given}


def sparse(attrs: Mapping[str, Attr], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values that a document holds: those of required attributes, and those that differ from the default."""
    return {name: value for name, value in given.items() if attrs[name].required or value != attrs[name].default}


def _holds(term: str, attrs: Mapping[str, Any]) -> bool:
    """One term of a condition: ``name``, ``!name`` or ``name=value``."""
    name, equals, value = term.partition("=")
    if equals:
        return bool(attrs.get(name) == value)
    if term.startswith("!"):
        return not _given(attrs.get(term[1:]))
    return _given(attrs.get(term))


def _given(value: Any) -> bool:
    return value is not None and value is not False


def _op(name: str, entry: dict[str, Any], common: Mapping[str, Attr]) -> Op:
    return Op(
        name,
        entry["family"],
        tuple(entry["inputs"]),
        entry["mask"],
        MappingProxyType({**common, **_attrs(entry.get("attrs", {}))}),
        MappingProxyType({role: _param(role, param) for role, param in entry.get("params", {}).items()}),
        _attrs(entry.get("call", {})),
        entry.get("outputs", ""),
        tuple(entry.get("modules", ())),
        entry.get("random", ""),
    )


def _param(role: str, entry: dict[str, Any]) -> Param:
    return Param(role, tuple(entry["shape"]), entry.get("when") or "", entry.get("trainable", True))


def _rule(name: str, entry: dict[str, Any], common: Mapping[str, Attr]) -> Rule:
    wraps = entry.get("wraps", False)
    own = _attrs(entry.get("hyperparameters", {}))
    slots = {key: Slot(key, str(slot["shape"]), slot.get("when") or "") for key, slot in entry.get("slots", {}).items()}
    return Rule(
        name,
        own if wraps else MappingProxyType({**common, **own}),
        MappingProxyType(slots),
        tuple(entry.get("shared_slots", ())),
        wraps,
    )


def _attrs(entries: dict[str, Any]) -> Mapping[str, Attr]:
    return MappingProxyType({name: _attr(name, entry) for name, entry in entries.items()})


def _attr(name: str, entry: dict[str, Any]) -> Attr:
    kind, nullable = entry.get("type", ""), False
    if isinstance(kind, list):
        nullable = "null" in kind
        (kind,) = (one for one in kind if one != "null")
    if "$ref" in entry:
        kind = entry["$ref"].removeprefix(_DEFS)
    choices = entry.get("enum", ())
    return Attr(
        name,
        kind,
        nullable or None in choices,
        entry.get("minimum"),
        tuple(choice for choice in choices if choice is not None),
        "default" not in entry,
        entry.get("default"),
    )
