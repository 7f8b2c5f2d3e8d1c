"""How what computes the ops is written down and found, by numpy (`core.ops`) and by the bridges to frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

Function = Callable[..., Any]
_Kind = ParamSpec("_Kind")
_Entry = TypeVar("_Entry")
_F = TypeVar("_F", bound=Function)


class Registry(Generic[_Kind, _Entry]):
    """Functions that the modules of a package write down under names.

    Args:
        package: the package.
        families: its modules that do so. They are imported when something is first looked up, as they import this
            registry themselves.
        entry: makes of a function, and of what is said of it besides its name, that which is found under the name.
    """

    def __init__(
        self, package: str, families: Sequence[str], entry: Callable[Concatenate[Function, _Kind], _Entry]
    ) -> None:
        self._modules = [f"{package}.{family}" for family in families]
        self._entry = entry
        self._written: dict[str, _Entry] = {}

    def write(self, name: str, *args: _Kind.args, **kind: _Kind.kwargs) -> Callable[[_F], _F]:
        """Write down the decorated function under the name; it stays as it is."""

        def keep(function: _F) -> _F:
            self._written[name] = self._entry(function, *args, **kind)
            return function

        return keep

    @cached_property
    def entries(self) -> Mapping[str, _Entry]:
        """All that is written down, by name."""
        for module in self._modules:
            import_module(module)
        return self._written


def function_itself(function: Function) -> Function:
    """The entry of a registry that knows no more of a function than its name."""
    return function
