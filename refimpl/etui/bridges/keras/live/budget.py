"""How much memory a config may have a framework allocate for variables while a model is built (SPEC.md, annex I).

A config of some bytes can ask for variables of any size. What a file stores it may ask for; what it does not store is
limited. Frameworks allocate in a layer's `add_weight`, so this looks at each shape before they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import Any

from etui.bridges.keras.live.framework import Framework
from etui.errors import error, shown
from etui.limits import GIB

# What a config alone may ask for, and what a file with weights may ask for beyond them.
UNSTORED_BYTES = 4 * GIB
_ITEM = 4  # bytes of an element; a policy may say otherwise, by a factor of two


@dataclass(slots=True)
class _Budget:
    limit: int
    left: int

    def take(self, layer: Any, shape: Any) -> None:
        """Count a variable that a layer is about to make.

        Raises:
            LimitError: ``limit-unstored``.
        """
        size = _ITEM
        for extent in (shape,) if isinstance(shape, int) else shape or ():
            size *= extent if isinstance(extent, int) else 1
        if size > self.left:
            found = f"a variable of shape {shown(str(tuple(shape)))} in {shown(str(layer.name))}"
            raise error("limit-unstored", found=f"{found}; {self.limit} bytes may be asked for")
        self.left -= size


_BUDGET: ContextVar[_Budget | None] = ContextVar("_BUDGET", default=None)
_LOCK = Lock()
_USERS: dict[Any, int] = {}


@contextmanager
def budget(framework: Framework, stored: int) -> Iterator[None]:
    """A block in which layers of this thread may not make more variables than this.

    Args:
        framework: whose layers they are.
        stored: bytes of the variables that the file stores.

    Raises:
        LimitError: ``limit-unstored``.
    """
    limit = stored + UNSTORED_BYTES
    token = _BUDGET.set(_Budget(limit, limit))
    try:
        with _watched(framework.api.layers.Layer):
            yield
    finally:
        _BUDGET.reset(token)


@contextmanager
def _watched(layer: Any) -> Iterator[None]:
    """The class whose layers ask before they make a variable, as long as any thread is in such a block."""
    with _LOCK:
        _USERS[layer] = _USERS.get(layer, 0) + 1
        if _USERS[layer] == 1:
            layer.add_weight = _asking(layer.add_weight)
    try:
        yield
    finally:
        with _LOCK:
            _USERS[layer] -= 1
            if not _USERS[layer]:
                layer.add_weight = layer.add_weight.__wrapped__


def _asking(add_weight: Any) -> Any:
    @wraps(add_weight)
    def add(self: Any, *args: Any, **options: Any) -> Any:
        found = _BUDGET.get()
        if found is not None:
            # Keras 3 takes the shape first, tf_keras after the name.
            shapes = [options.get("shape"), *(one for one in args if isinstance(one, tuple | list | int))]
            found.take(self, next((one for one in shapes if one is not None), ()))
        return add_weight(self, *args, **options)

    return add
