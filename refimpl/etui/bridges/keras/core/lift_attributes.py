"""The attributes of one layer of Keras in the terms of the vocabulary (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.core.objects import default_initializer, lift_object, lift_policy
from etui.bridges.keras.core.rules import ANY, IDLE, REQUIRED, NotCoreError, Rule, Shape
from etui.bridges.keras.dialects.same import is_among
from etui.canonical.values import equal
from etui.containers.config import Module
from etui.core import vocabulary
from etui.core.attribute_types import fault
from etui.errors import shown

_KINDS = ("initializer", "regularizer", "constraint")
_COMMON = frozenset({"name", "trainable", "dtype", "activity_regularizer"})


def lift_attributes(rule: Rule, module: Module, taken: Mapping[str, Any], shape: Shape | None) -> dict[str, Any]:
    """The attributes that differ from their defaults.

    Args:
        rule: of the class.
        module: of Keras.
        taken: core attributes that Keras has as arguments of the call.
        shape: of the input, if it is known.

    Raises:
        NotCoreError: the vocabulary cannot say one of them.
    """
    given = module.attrs
    found: dict[str, Any] = {**rule.fixed, **taken}
    for attr in rule.attrs:
        value = given.get(attr.key, attr.default)
        if value is REQUIRED:
            raise NotCoreError(f"its config does not tell {attr.key}")
        found[attr.name] = attr.lift(value, given)
    if rule.more is not None:
        rule.more(found, given, shape)
    known = {attr.key for attr in rule.attrs} | _COMMON
    if not rule.plain:
        found |= _common(given, rule)
        known |= _by_role(rule, given, found)
    _check_rest(rule, given, known)
    return prune(rule.op, found)


def prune(op: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that differ from the defaults of an op, in the vocabulary's order.

    Raises:
        NotCoreError: one is not of its type.
    """
    entries = vocabulary.ops()[op].attrs
    found = {
        name: attrs[name]
        for name, entry in entries.items()
        if name in attrs and (entry.required or not equal(attrs[name], entry.default))
    }
    wrong = fault(entries, found)
    if wrong:
        raise NotCoreError(f"the op would have {wrong}")
    return found


def _common(given: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    activity = lift_object("regularizers", given.get("activity_regularizer"))
    return {
        "trainable": given.get("trainable") is not False,
        "precision": None if rule.typed else lift_policy(given.get("dtype")),
        "activity_regularizer": activity,
    }


def _by_role(rule: Rule, given: Mapping[str, Any], found: dict[str, Any]) -> set[str]:
    """Initializers, regularizers and constraints by the role of the variable; gives Keras' keys of them.

    An initializer of which the vocabulary has no equal has done its work, and stays in the residue alone. What equals
    the default of the role is left out.
    """
    keys = set()
    for kind in _KINDS:
        objects = {}
        for role, prefix in rule.roles.items():
            key = f"{prefix}_{kind}"
            keys.add(key)
            if key not in given or key in rule.lacks or f"{role}_{kind}" in rule.lacks:
                continue
            try:
                value = lift_object(f"{kind}s", given[key])
            except NotCoreError:
                if kind != "initializer":
                    raise
                continue
            usual = default_initializer(role) if kind == "initializer" else None
            if value is not None and not (usual is not None and equal(value, usual)):
                objects[role] = value
        if objects:
            found[f"{kind}s"] = objects
    return keys


def _check_rest(rule: Rule, given: Mapping[str, Any], known: set[str]) -> None:
    for key, value in given.items():
        if key in known:
            continue
        idle = rule.idle.get(key) or IDLE.get(key)
        if idle is None:
            raise NotCoreError(f"it has the attribute {key}")
        if idle.allowed is not ANY and not is_among(value, idle.allowed):
            raise NotCoreError(f"{key} is {shown(value)}")
