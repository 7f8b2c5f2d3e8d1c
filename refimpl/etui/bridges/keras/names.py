"""How Keras names classes and groups, and what these names are in Etui (SPEC.md, annex B.1).

Keras writes a class as three fields: the module that exports it, the class name, and a registered name. Etui writes one
string, `namespace:name`. `class_of` and `identity_of` are inverse to each other up to a patch that the caller keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

FUNCTIONAL = {"keras": "keras.src.models.functional", "tf_keras": "tf_keras.src.engine.functional"}
# Classes that `keras` exports at its top; every other op without a dot is a class of `keras.layers`.
_TOP = frozenset({"Functional", "Model", "Sequential"})
# Classes that Keras exports under another name than their own, which names their group.
_OWN_NAMES = {"keras:GroupQueryAttention": "GroupedQueryAttention"}
# The torch backend makes optimizers of classes of its own, each a subclass of the exported one of its name.
TORCH_OPTIMIZERS = "keras.src.backend.torch.optimizers."
_UNSAFE = re.compile(r"[\x00-\x20\x7f%]")
_NOT_WORD = re.compile(r"\W+")
_HUMP = re.compile(r"(.)([A-Z][a-z]+)")
_EDGE = re.compile(r"([a-z])([A-Z])")
# Classes of which a model has many objects, whose names are asked for again and again; files bring others, without end.
_NAMES = 1024


@lru_cache(_NAMES)
def snake_case(name: str) -> str:
    """The group name of a class: ``MultiHeadAttention`` gives ``multi_head_attention``, ``Conv2D`` gives ``conv2d``."""
    return _EDGE.sub(r"\1_\2", _HUMP.sub(r"\1_\2", _NOT_WORD.sub("", name))).lower()


def numbered(name: str, used: dict[str, int]) -> str:
    """`name` at its first use, then ``name_1``, ``name_2``, …; `used` counts."""
    count = used.get(name, 0)
    used[name] = count + 1
    return f"{name}_{count}" if count else name


class FreeNames:
    """Gives names that no earlier call gave: the wanted one, or with the next free number behind it."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """`name`, or ``name_1``, ``name_2``, … if it is taken."""
        free = name
        while free in self._taken:
            number = self._next.get(name, 0) + 1
            self._next[name] = number
            free = f"{name}_{number}"
        self._taken.add(free)
        return free


def class_of(module: object, name: str, registered: object) -> str:
    """The class string of Keras' three fields: ``keras:initializers.Zeros``, ``custom:package>Name``."""
    if name.startswith("__"):
        return f"keras:{_escape(name)}"
    if name == "Functional" and module in FUNCTIONAL.values():
        return "keras:Functional"
    for framework in ("keras", "tf_keras"):
        if module == framework:
            return f"{framework}:{_escape(name)}"
        if isinstance(module, str) and module.startswith(f"{framework}."):
            inner = module[len(framework) + 1 :]
            inner = inner.removeprefix("src.") if inner.startswith("src.ops.") else inner
            inner = "optimizers" if module.startswith(TORCH_OPTIMIZERS) else inner
            return f"{framework}:{_escape(f'{inner}.{name}')}"
    return f"custom:{_escape(registered if isinstance(registered, str) and registered else name)}"


def identity_of(text: str, dialect: str = "keras") -> dict[str, Any]:
    """The fields `module`, `class_name` and `registered_name` that a class string stands for."""
    return dict(_identity_of(text, dialect))


@lru_cache(_NAMES)
def _identity_of(text: str, dialect: str) -> dict[str, Any]:
    framework, _, path = text.partition(":")
    path = _unescape(path)
    if path.startswith("__"):
        return {"class_name": path}
    if framework == "custom":
        return {"module": None, "class_name": path.rpartition(">")[2], "registered_name": path}
    if text == "keras:Functional":
        return {"module": FUNCTIONAL[dialect], "class_name": path, "registered_name": path}
    inner, _, name = path.rpartition(".")
    if inner.startswith("ops."):
        return {"module": f"{framework}.src.{inner}", "class_name": name, "registered_name": name}
    module = f"{framework}.{inner}" if inner else framework
    return {"module": module, "class_name": name, "registered_name": name if inner.startswith("src.") else None}


def short(text: str, package: str) -> str:
    """Leave out the package that a position implies: ``keras:layers.Dense`` of a module is ``keras:Dense``."""
    prefix = f"keras:{package}."
    inner = text.removeprefix(prefix)
    return f"keras:{inner}" if text.startswith(prefix) and "." not in inner and inner not in _TOP else text


def full(text: str, package: str) -> str:
    """Undo `short`."""
    framework, _, path = text.partition(":")
    plain = framework == "keras" and "." not in path and path not in _TOP and not path.startswith("__")
    return f"keras:{package}.{path}" if plain else text


def python_name(op: str, exported: str) -> str:
    """The name of the class itself, from which Keras makes group names."""
    return _OWN_NAMES.get(op, exported)


def is_operation(op: str) -> bool:
    """Whether a module is a Keras operation, which is a node of a graph but no layer and has no group."""
    return op.startswith("keras:ops.")


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _unescape(text: str) -> str:
    return re.sub(r"%([0-7][0-9A-F])", lambda found: chr(int(found[1], 16)), text)
