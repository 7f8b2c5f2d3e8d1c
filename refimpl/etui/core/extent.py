"""How much a core model computes: its calls, those within a module counted each time that it is called.

A model that calls a model twice, which calls another twice, and so on, is a file of some kilobytes and 2^n calls.
"""

from __future__ import annotations

from etui.containers.config import Config, Module
from etui.errors import error

MOST_CALLS = 100_000
"""Calls of one model that the evaluator makes, and that a program is written out of."""


def check_calls(config: Config, code: str) -> None:
    """Refuse a model of more calls than `MOST_CALLS`, before the first is made.

    Args:
        config: of the model.
        code: of the error.
    """
    count = _Calls(config).of(config.model)
    if count > MOST_CALLS:
        hint = "Call the modules within it one by one."
        raise error(code, found=f"a model of more than {MOST_CALLS:,} calls, counted on all levels", hint=hint)


class _Calls:
    """Counts the calls within modules, of each module once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known: dict[int, int] = {}

    def of(self, module: Module) -> int:
        """The calls within a module, up to one more than `MOST_CALLS`."""
        if module.target is not None:
            module = self._config.find(module.target)
        if id(module) not in self._known:
            self._known[id(module)] = MOST_CALLS + 1  # what holds itself has no end
            self._known[id(module)] = min(self._count(module), MOST_CALLS + 1)
        return self._known[id(module)]

    def _count(self, module: Module) -> int:
        children = {child.name: child for child in module.modules}
        called = module.modules if module.graph is None else [children[call.module] for call in module.graph.calls]
        return sum(1 + self.of(child) for child in called)
