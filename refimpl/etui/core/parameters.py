"""Parameters of objects and optimizers of the core vocabulary: checked, and with the defaults filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group, Optimizer
from etui.core.attribute_types import fits, object_code
from etui.core.vocabulary import NAMESPACE, Attr, Rule, filled, objects, optimizers
from etui.errors import error, shown

ACTIVATIONS = f"{NAMESPACE}activations."
# The types whose values are names; numbers are taken in any form that Python has of them.
_NAMED = ("dtype", "float_dtype", "number_dtype")


def parameters(value: ObjectValue, kind: str) -> tuple[str, dict[str, Any]]:
    """The name and all parameters of a `$object`, with the defaults of those that it leaves out.

    Args:
        value: of the class ``core:<kind>.<name>``.
        kind: ``"losses"``, ``"metrics"``, ``"schedules"``, ``"initializers"``, ``"regularizers"``, ``"constraints"``.

    Raises:
        InvalidError: another class, or parameters that the class does not have: ``core-object`` of losses, metrics and
            schedules, and ``core-attrs`` of the others (CV-30).
    """
    prefix = f"{NAMESPACE}{kind}."
    name = value.class_name.removeprefix(prefix)
    attrs = objects(kind).get(name)
    if not value.class_name.startswith(prefix) or attrs is None:
        raise error(object_code(kind), found=f"{shown(value.class_name)} among the {kind}")
    config = value.config
    fault = _fault(attrs, config) if isinstance(config, dict) else f"the config {shown(config)}"
    if fault:
        raise error(object_code(kind), where=value.class_name, found=fault)
    return name, filled(attrs, config)


def rule_of(optimizer: Optimizer) -> Rule:
    """The entry of an optimizer's algorithm in the vocabulary.

    Raises:
        InvalidError: ``core-optimizer``, it has none.
    """
    rule = optimizers().get(optimizer.algorithm.removeprefix(NAMESPACE))
    if rule is None or not optimizer.algorithm.startswith(NAMESPACE):
        raise error("core-optimizer", found=shown(optimizer.algorithm))
    return rule


def hyperparameters(optimizer: Optimizer, group: Group | None = None) -> dict[str, Any]:
    """All hyperparameters of an optimizer, with the defaults of those that it leaves out.

    Args:
        optimizer: with an algorithm of the vocabulary.
        group: one of its groups, whose own hyperparameters then come before the optimizer's.

    Raises:
        InvalidError: ``core-optimizer``, an algorithm or a hyperparameter that the vocabulary does not have.
    """
    rule = rule_of(optimizer)
    given = dict(optimizer.hyperparameters) | (dict(group.hyperparameters) if group is not None else {})
    fault = _fault(rule.hyperparameters, given)
    if fault:
        raise error("core-optimizer", where=optimizer.algorithm, found=fault)
    return filled(rule.hyperparameters, given)


def _fault(attrs: Mapping[str, Attr], given: Mapping[str, Any]) -> str:
    """What is wrong with given parameters, or an empty string."""
    for name, value in given.items():
        if name not in attrs:
            return f"the parameter {shown(name)}"
        if (attrs[name].choices or attrs[name].type in _NAMED) and not fits(attrs[name], value):
            return f"{name} = {shown(value)}, which is none of {', '.join(attrs[name].choices) or 'the dtypes for it'}"
    missing = [name for name, attr in attrs.items() if attr.required and name not in given]
    return f"no {missing[0]}" if missing else ""


def activation_in(
    functions: Mapping[str, Callable[..., Any]], value: Any, code: str, where: str = ""
) -> Callable[..., Any]:
    """The function that the value of an attribute of the type `activation` stands for.

    Args:
        functions: by name of the activation.
        value: the name, or a `$object` of a class ``core:activations.<name>``, whose parameters are bound.
        code: of the error if there is none.
        where: the place, for messages.

    Raises:
        EtuiError: of that code, the functions have no such activation.
    """
    name, parameters = value, dict[str, Any]()
    if isinstance(value, ObjectValue):
        name, parameters = value.class_name.removeprefix(ACTIVATIONS), dict(value.config or {})
    if not isinstance(name, str) or name not in functions:
        raise error(code, where=where, found=f"the activation {shown(value)}")
    return partial(functions[name], **parameters) if parameters else functions[name]
