"""The core vocabulary: ops, optimizers and objects that mean the same in every framework (SPEC.md, annexes J and K).

    from etui.core import vocabulary
    from etui.core.check import check
    from etui.core.evaluate import evaluate

    vocabulary.ops()["dense"].attrs["use_bias"].default   # the vocabulary as data
    check(model)                                          # a model held against it
    evaluate(model, {"input": x})                         # its outputs by the definitions, in NumPy

Importing this package imports nothing but itself: each name is resolved when it is first used. A function that has the
name of a module or of a folder here (`check`, `evaluate`, `ops`, `optimizers`) is imported from its module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etui.core import check, evaluate, vocabulary
    from etui.core.vocabulary import Attr, Op, Param, Rule, Slot, attrs_of, is_core, kinds, object_attrs, objects

__all__ = [
    "Attr",
    "Op",
    "Param",
    "Rule",
    "Slot",
    "attrs_of",
    "check",
    "evaluate",
    "is_core",
    "kinds",
    "object_attrs",
    "objects",
    "vocabulary",
]

_MODULES = frozenset({"check", "evaluate", "vocabulary"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"etui.core.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'etui.core' has no attribute {name!r}")
    value = getattr(import_module("etui.core.vocabulary"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
