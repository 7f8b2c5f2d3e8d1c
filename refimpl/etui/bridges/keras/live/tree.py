"""A live model as the layout of a `.keras` file: which object is at which group, and which variable at which name.

The walk is that of the framework's own saver, so that a file of the framework and a live model agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from etui.bridges.keras.content import Renamed, Stored
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.live.framework import Elements, Framework
from etui.bridges.keras.modules import join
from etui.bridges.keras.names import numbered, snake_case

_CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Held:
    """An object that the framework saves.

    Attributes:
        group: its group in the layout.
        thing: it.
        variables: what it saves itself, by its keys: live variables, or arrays and tensors that it computes.
    """

    group: str
    thing: Any
    variables: Mapping[str, Any]


@dataclass(slots=True)
class LiveTree:
    """The objects of a live model that the framework saves, in its order.

    Attributes:
        framework: of the model.
        model: it.
        held: each object once.
    """

    framework: Framework
    model: Any
    held: list[Held] = field(default_factory=list)

    @classmethod
    def of(cls, framework: Framework, model: Any) -> LiveTree:
        """Walk a model."""
        tree = cls(framework, model)
        tree.held.extend(_Walk(framework).object(model, ""))
        return tree

    def by_group(self) -> dict[str, Held]:
        """Each object by its group."""
        return {one.group: one for one in self.held}

    def entries(self) -> dict[str, Any]:
        """Each variable, or computed array, by its name in the layout."""
        return {
            f"{join(one.group, VARS)}/{key}": variable for one in self.held for key, variable in one.variables.items()
        }

    def groups(self) -> dict[str, dict[str, str]]:
        """The groups with their attributes, as the framework writes them."""
        found: dict[str, dict[str, str]] = {"": {}}
        for one in self.held:
            name = getattr(one.thing, "name", None)
            named = name if self.framework.dialect == "keras" and isinstance(name, str) else ""
            found[join(one.group, VARS)] = {"name": named} if named else {}
        for path in list(found):
            parent = path
            while parent:
                parent = parent.rpartition("/")[0]
                found.setdefault(parent, {})
        return found

    def datasets(self) -> dict[str, Stored]:
        """Every variable as an array that is read when it is asked for."""
        return {name: self._dataset(name, variable) for name, variable in self.entries().items()}

    def _dataset(self, name: str, variable: Any) -> Renamed:
        framework = self.framework
        if framework.is_variable(variable):
            shape = tuple(int(size) for size in variable.shape)
            return Renamed(
                name,
                framework.dtype(variable),
                shape,
                Elements(framework, variable),
                live=True,
                view=partial(framework.view, variable),
                constant=framework.constant,
            )
        array = framework.numpy(variable)
        return Renamed(name, framework.dtype(variable), array.shape, lambda: array)


@dataclass(slots=True)
class _Walk:
    framework: Framework
    seen: set[int] = field(default_factory=set)
    known: dict[Any, list[str]] = field(default_factory=dict)

    def object(self, thing: Any, group: str) -> Iterator[Held]:
        if id(thing) in self.seen:
            return
        variables = self.framework.own_variables(thing)
        if variables is not None:
            yield Held(group, thing, variables)
        self.seen.add(id(thing))
        for name, child in self.framework.children(thing, self.known):
            if self.framework.is_saveable(child):
                yield from self.object(child, join(group, name))
            elif isinstance(child, list | dict | tuple | set):
                yield from self.container(child, join(group, name), set())

    def container(self, items: Any, group: str, around: set[int]) -> Iterator[Held]:
        if id(items) in around:
            return
        around.add(id(items))
        used: dict[str, int] = {}
        for item in list(items.values()) if isinstance(items, dict) else items:
            if self.framework.is_saveable(item):
                # Keras 3 counts an item that it met before, tf_keras passes it over.
                if self.framework.nests or id(item) not in self.seen:
                    name = numbered(snake_case(type(item).__name__), used)
                    yield from self.object(item, join(group, name))
            elif self.framework.nests and isinstance(item, list | dict | tuple):
                yield from self.container(item, join(group, numbered(_CONTAINER, used)), around)
