"""A model held against the core vocabulary (SPEC.md J.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etui.canonical.value_types import inner_values
from etui.canonical.values import ObjectValue
from etui.containers import config as config_container
from etui.containers import optimizer as optimizer_container
from etui.containers.config import Config, Graph, Module
from etui.containers.optimizer import Optimizer
from etui.containers.weights import Weights
from etui.contents import contents
from etui.core import vocabulary
from etui.core.attribute_types import fault, fits, object_code, object_fault
from etui.core.vocabulary import NAMESPACE, Op, Param
from etui.errors import error, shown
from etui.model import Model

_GRAPH = "core:graph"
_SEQUENTIAL = "core:sequential"
_NULL = type(None)
_FACTORS = re.compile(r"[*/]")


def check(model: Model) -> None:
    """Check all that a model has of the core vocabulary; what is of another namespace is not looked at.

    Raises:
        UnsupportedError: ``op-unknown``, a name that the vocabulary does not define.
        InvalidError: ``core-attrs``, ``core-modules``, ``core-params`` or ``core-shape`` of a module, ``core-call`` of
            one of its calls, ``core-object`` or ``core-attrs`` of an object, ``core-optimizer`` of an optimizer.
    """
    for path, module in model.config.walk() if model.config is not None else ():
        where = f"{config_container.DOCUMENT} at {path or 'the model'}"
        if module.op.startswith(NAMESPACE):
            check_module(module, where, model.weights)
        if model.config is not None and module.graph is not None:
            _check_calls(module, module.graph, model.config, where)
    for path, optimizer in model.optimizer.walk() if model.optimizer is not None else ():
        if optimizer.algorithm.startswith(NAMESPACE):
            _check_optimizer(optimizer, f"{optimizer_container.DOCUMENT} at {path}")
    for place, value in _objects(model):
        _check_object(value, place)


def check_module(module: Module, where: str, weights: Weights | None = None) -> None:
    """Check one core module, its children not included; raises as `check` does.

    Args:
        module: of an op in the namespace core.
        where: its place, for messages.
        weights: the model's, if the shapes are to be checked.
    """
    if not vocabulary.is_core(module):
        raise error("op-unknown", where=where, found=shown(module.op))
    entry = vocabulary.op_of(module)
    found = fault(entry.attrs, module.attrs)
    if found:
        raise error("core-attrs", where=where, found=f"{module.op} with {found}")
    children = [child.name for child in module.modules]
    if (module.op == _GRAPH) != (module.graph is not None) and module.op != _SEQUENTIAL:
        raise error("core-modules", where=where, found=f"a {module.op} of the kind {module.kind}")
    if entry.modules and sorted(children) != sorted(entry.modules):
        raise error("core-modules", where=where, found=f"the modules {children}, not {list(entry.modules)}")
    if children and not entry.modules and module.op not in {_GRAPH, _SEQUENTIAL}:
        raise error("core-modules", where=where, found=f"the modules {children} of {module.op}, which has none")
    attrs = vocabulary.attrs_of(module)
    needed = {role for role, param in entry.params.items() if param.present(attrs)}
    if set(module.params) != needed:
        raise error("core-params", where=where, found=f"{sorted(module.params)}, and {module.op} has {sorted(needed)}")
    if weights is not None:
        shapes = {role: weights[path].shape for role, path in module.params.items()}
        found = shape_fault(entry, attrs, shapes)
        if found:
            raise error("core-shape", where=where, found=found)


def call_fault(op: Op, kwargs: Mapping[str, Any]) -> str:
    """What is wrong with the names of a call's arguments, and with its flags (CV-31); empty if nothing is."""
    for name, value in kwargs.items():
        attr = op.call.get(name)
        if attr is None and name not in ("training", "mask"):
            return f"the argument {shown(name)}, which core:{op.name} does not have"
        if (name == "training" or (attr is not None and attr.type == "boolean")) and type(value) not in (bool, _NULL):
            return f"{name} = {shown(value)}, which is neither true nor false"
    return ""


def _check_calls(module: Module, graph: Graph, config: Config, where: str) -> None:
    """Refuse arguments that the ops of called modules do not have; those of another namespace are not looked at."""
    children = {child.name: child for child in module.modules}
    for call in graph.calls:
        called = children[call.module]
        if called.target is not None:
            called = config.find(called.target)
        if vocabulary.is_core(called):
            found = call_fault(vocabulary.op_of(called), call.kwargs)
            if found:
                raise error("core-call", where=f"{where}/graph/calls/{call.id}", found=found)


def shape_fault(entry: Op, attrs: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> str:
    """What contradicts the layouts of an op's variables; empty if nothing does.

    A size that is no attribute, such as the number of inputs, is free, but the same in all variables of the module.

    Args:
        entry: the op.
        attrs: its attributes, defaults filled in.
        shapes: of its variables, by role.
    """
    known = {name: value for name, value in attrs.items() if type(value) is int}
    if attrs.get("value_dim", 0) is None:
        known["value_dim"] = known["key_dim"]
    for role, shape in shapes.items():
        axes = _axes(entry.params[role], attrs, len(shape))
        if axes is None:
            continue
        if len(axes) != len(shape) or not all(map(_matches, axes, shape, [known] * len(shape))):
            return f"{role} of the shape {list(shape)}, not [{', '.join(axes)}]{_where(axes, known)}"
    return ""


def _axes(param: Param, attrs: Mapping[str, Any], rank: int) -> list[str] | None:
    """The expressions of a variable's axes, written out; `None` where nothing is said of them."""
    found: list[str] = []
    for expression in param.shape:
        name = expression.removeprefix("*")
        if expression == "...":
            return None
        if "?" in expression:
            size, _, condition = expression.partition("?")
            found += [size] if attrs.get(condition) else []
        elif expression == "*1":
            found += ["1"] * len(attrs["kernel_size"])
        elif expression == "*out":
            free = [f"out_{axis}" for axis in range(rank - len(param.shape) + 1)]
            found += free if attrs.get("output_dim") is None else [str(size) for size in attrs["output_dim"]]
        elif expression == "*axes":
            if attrs["axes"] is None:
                return None
            found += [f"axis_{axis}" for axis in sorted(attrs["axes"])]
        elif expression.startswith("*"):
            found += [str(size) for size in attrs[name]]
        else:
            found.append(expression)
    return found


def _matches(expression: str, size: int, known: dict[str, int]) -> bool:
    """Whether a size is what an expression says; a name in it that is not known yet gets the value that fits."""
    first, *others = _FACTORS.split(expression)
    if not others:
        return known.setdefault(first, size) == size if not first.isdigit() else int(first) == size
    (second,) = others
    if "/" in expression:
        return known.setdefault(first, size * known[second]) == size * known[second]
    one = int(first) if first.isdigit() else known.get(first)
    two = known[second]
    if one is None:
        if two == 0 or size % two:
            return False
        one = known.setdefault(first, size // two)
    return one * two == size


def _where(axes: Sequence[str], known: Mapping[str, int]) -> str:
    names = sorted({name for axis in axes for name in _FACTORS.split(axis) if not name.isdigit()} & known.keys())
    return f" with {', '.join(f'{name} = {known[name]}' for name in names)}" if names else ""


def _check_optimizer(optimizer: Optimizer, where: str) -> None:
    if not vocabulary.defines(optimizer.algorithm, "algorithm"):
        raise error("op-unknown", where=where, found=shown(optimizer.algorithm))
    rule = vocabulary.optimizers()[optimizer.algorithm.removeprefix(NAMESPACE)]
    found = fault(rule.hyperparameters, optimizer.hyperparameters)
    if found:
        raise error("core-optimizer", where=where, found=f"{optimizer.algorithm} with {found}")
    for group in optimizer.groups:
        for name, value in group.hyperparameters.items():
            if name not in rule.hyperparameters or not fits(rule.hyperparameters[name], value):
                raise error("core-optimizer", where=where, found=f"a group with {name} = {shown(value)}")


def _check_object(value: ObjectValue, where: str) -> None:
    if not vocabulary.defines(value.class_name, "class"):
        raise error("op-unknown", where=where, found=shown(value.class_name))
    kind = value.class_name.removeprefix(NAMESPACE).partition(".")[0]
    found = object_fault(value, kind)
    if found:
        raise error(object_code(kind), where=where, found=f"{value.class_name} with {found}")


def _objects(model: Model) -> Iterator[tuple[str, ObjectValue]]:
    """The objects of the vocabulary wherever values are, but for attributes of core modules, with their places."""
    modules = model.config.walk() if model.config is not None else ()
    checked = {f"{config_container.DOCUMENT} at {path}/attrs" for path, one in modules if one.op.startswith(NAMESPACE)}
    for place, content in contents(model):
        stack = [] if place in checked else [content]
        while stack:
            value = stack.pop()
            if isinstance(value, ObjectValue) and value.class_name.startswith(NAMESPACE):
                yield place, value
            stack.extend(inner_values(value))
