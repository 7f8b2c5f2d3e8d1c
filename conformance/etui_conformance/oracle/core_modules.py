"""Modules of the core vocabulary: attributes, children, variables and their shapes (CV-1 to CV-7, C-9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etui_conformance.oracle import core_types
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.forms import Form
from etui_conformance.oracle.schema_files import vocabulary

Shape = Sequence[int]


def check(form: Form, module: Mapping[str, Any], at: str) -> None:
    """Refuse a module with an op `core:…` that is not as the vocabulary says, its shapes aside.

    Raises:
        Refusal: `op-unknown`, `core-attrs`, `core-modules`, `core-params`.
    """
    op = _op(module, at)
    core_types.check(
        module.get("attrs", {}), vocabulary()["common_attrs"] | op.get("attrs", {}), pointer(at, "attrs"), "core-attrs"
    )
    _check_children(module, op, at)
    expected, given = set(_params(module, op)), set(module.get("params", {}))
    if expected != given:
        form.refuse(pointer(at, "params"), f"{sorted(given)}, not {sorted(expected)}", "core-params")


def check_call(form: Form, op: str, kwargs: Mapping[str, Any], at: str) -> None:
    """Refuse arguments that the op of a call does not have, and flags that are none (CV-31).

    Raises:
        Refusal: `core-call`.
    """
    known = {"mask": {}, "training": {"type": "boolean"}} | vocabulary()["ops"][op.removeprefix("core:")].get(
        "call", {}
    )
    for name, value in kwargs.items():
        if name not in known:
            form.refuse(pointer(at, name), f"not among {sorted(known)}", "core-call")
        if known[name].get("type") == "boolean" and not (value is None or isinstance(value, bool)):
            form.refuse(pointer(at, name), "no flag", "core-call")


def _op(module: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    name = module["op"].removeprefix("core:")
    if name not in vocabulary()["ops"]:
        raise Refusal("op-unknown", pointer(at, "op"), f"the vocabulary has no {name!r}")
    found: Mapping[str, Any] = vocabulary()["ops"][name]
    return found


def _check_children(module: Mapping[str, Any], op: Mapping[str, Any], at: str) -> None:
    """Refuse a graph, or children, where the op has none, or other ones (CV-5)."""
    name = module["op"].removeprefix("core:")
    if (module["kind"] == "graph") != (name == "graph") and name != "sequential":
        raise Refusal("core-modules", pointer(at, "kind"), f"{name} has {'a' if name == 'graph' else 'no'} graph")
    if name in ("graph", "sequential"):
        return
    children = [child["name"] for child in module.get("modules", ())]
    if sorted(children) != sorted(op.get("modules", ())):
        raise Refusal("core-modules", pointer(at, "modules"), f"{children}, not {list(op.get('modules', ()))}")


def _params(module: Mapping[str, Any], op: Mapping[str, Any]) -> dict[str, list[str]]:
    """The roles of the variables that a module has, with what the vocabulary says of their shapes (CV-6)."""
    return {
        role: spec["shape"]
        for role, spec in op.get("params", {}).items()
        if all(_meets(module, op, condition) for condition in (spec.get("when") or "").split(" & ") if condition)
    }


def _meets(module: Mapping[str, Any], op: Mapping[str, Any], condition: str) -> bool:
    if condition.startswith("!"):
        return not _meets(module, op, condition[1:])
    name, equals, wanted = condition.partition("=")
    value = _attr(module, op, name)
    return value == wanted if equals else value is not None and value is not False


def _attr(module: Mapping[str, Any], op: Mapping[str, Any], name: str) -> Any:
    """The value of an attribute, or its default; `None` if the op has no such attribute."""
    if name in module.get("attrs", {}):
        return module["attrs"][name]
    spec = op.get("attrs", {}).get(name, {})
    return core_types.default(spec) if "default" in spec else None


def check_shapes(module: Mapping[str, Any], at: str, shapes: Mapping[str, Shape]) -> None:
    """Refuse variables of other shapes than the vocabulary gives to their roles (CV-7).

    Args:
        module: that passed `check`.
        at: its place.
        shapes: of the variables, by path.

    Raises:
        Refusal: `core-shape`.
    """
    op = _op(module, at)
    sizes: dict[str, Any] = {}
    for role, expected in _params(module, op).items():
        shape = list(shapes[module["params"][role]])
        if not _Matcher(module, op, sizes).matches(expected, shape):
            raise Refusal("core-shape", pointer(at, "params", role), f"{shape}, not {expected} with {sizes}")


class _Matcher:
    """Holds shapes against patterns, with the sizes that are the same in all variables of a module."""

    def __init__(self, module: Mapping[str, Any], op: Mapping[str, Any], sizes: dict[str, Any]) -> None:
        self.module = module
        self.op = op
        self.sizes = sizes

    def matches(self, pattern: Sequence[str], shape: list[int]) -> bool:
        """Whether the axes of a shape are those of a pattern, one after the other."""
        left = list(shape)
        for place, item in enumerate(pattern):
            if item == "...":
                return True
            count = self._axes(item, len(left) - (len(pattern) - place - 1))
            if count is None or count > len(left) or not self._take(item, left[:count]):
                return False
            del left[:count]
        return not left

    def _axes(self, item: str, free: int) -> int | None:
        """How many axes an item stands for; those that nothing else takes where it does not say."""
        if "?" in item:
            return int(self._value(item.partition("?")[2]) is True)
        if item == "*1":
            return len(self._value("kernel_size"))
        if not item.startswith("*"):
            return 1
        value = self._value(item[1:])
        return len(value) if isinstance(value, list) else free if free >= 0 else None

    def _take(self, item: str, axes: list[int]) -> bool:
        """Whether axes have the sizes of an item."""
        if "?" in item:
            return axes == [int(item.partition("?")[0])] * len(axes)
        if item == "*1":
            return axes == [1] * len(axes)
        if not item.startswith("*"):
            return self._size(item, axes[0])
        value = self._value(item[1:])
        if isinstance(value, list) and item != "*axes":
            return axes == value
        return bool(self.sizes.setdefault(item, axes) == axes)

    def _size(self, item: str, size: int) -> bool:
        """Whether a size is that of a name, a product of names and numbers, or a quotient."""
        name, divided, divisor = item.partition("/")
        if divided:
            return self._size(name, size * self._value(divisor))
        known, unknown = 1, ""
        for factor in name.split("*"):
            value = int(factor) if factor.isdigit() else self._value(factor)
            value = self.sizes.get(factor) if value is None else value
            if value is None:
                unknown = factor
            else:
                known *= value
        if not unknown:
            return size == known
        if known == 0 or size % known:
            return False
        self.sizes[unknown] = size // known
        return True

    def _value(self, name: str) -> Any:
        """The value of an attribute; a `value_dim` that is null is the `key_dim`."""
        value = _attr(self.module, self.op, name)
        if value is None and name == "value_dim":
            return _attr(self.module, self.op, "key_dim")
        return (
            _attr(self.module, self.op, "output_dim") if name == "out" and "output_dim" in self.op["attrs"] else value
        )
