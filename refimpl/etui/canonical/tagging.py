"""Writing and reading the tagged form of values, in either kind of document (SPEC.md chapter 5).

What a single tag means is in `etui.canonical.tags`, which registers each tag here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from etui.canonical.numbers import MAX_INTEGER, is_json_float
from etui.canonical.value_types import StoredTensor, Value
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits

Tree = Any
"""A value in its tagged form: a tree of JSON, or of MessagePack with bytes and `StoredTensor`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document, by what it holds without a tag.

    Attributes:
        lowest, highest: the integers that it holds as they are.
        binary: whether it holds every float, byte strings and stored tensors as they are.
        depth_code: the error code for deep nesting.
    """

    lowest: int
    highest: int
    binary: bool
    depth_code: str

    def holds(self, value: Value) -> bool:
        """Whether a value other than a list or map is written as it is."""
        kind = type(value)
        if kind is int:
            return bool(self.lowest <= value <= self.highest)
        if kind is float:
            return self.binary or is_json_float(value)
        if kind is bytes or kind is StoredTensor:
            return self.binary
        return value is None or kind is str or kind is bool


JSON = Kind(-MAX_INTEGER, MAX_INTEGER, binary=False, depth_code="json-depth")
MSGPACK = Kind(-(2**63), 2**64 - 1, binary=True, depth_code="msgpack-depth")


_AS_IT_IS = frozenset({str, bool, type(None)})
"""The types whose values every kind of document holds; a list may have a million of them."""


class Walk:
    """The place in a value while it is written or read."""

    def __init__(self, kind: Kind, where: str, limits: Limits) -> None:
        self.kind = kind
        self.limits = limits
        self._where = where
        self._path: list[object] = []

    @property
    def place(self) -> str:
        """The present place, for messages."""
        return "/".join(str(step)[:40] for step in (self._where, *self._path) if step != "")

    def fail(self, code: str, found: str) -> EtuiError:
        """The error of `code` at the present place; the caller raises it."""
        return error(code, where=self.place, found=found)

    def enter(self, step: object) -> None:
        """Go to the item `step`; refuse nesting that no document can have."""
        if len(self._path) == self.limits.depth:
            self._path = self._path[:8]
            raise self.fail(self.kind.depth_code, f"more than {self.limits.depth} levels")
        self._path.append(step)

    def leave(self) -> None:
        """Go back."""
        self._path.pop()


class Writer(Walk):
    """Gives the trees of values; the functions of the tags call it for what they hold."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind, "", DEFAULT_LIMITS)

    def write(self, value: Value) -> Tree:
        """The tree of a value."""
        if self.kind.holds(value):
            return value
        if type(value) is list:
            return self.items(value)
        if type(value) is dict and all(type(key) is str for key in value):
            return {f"${key}" if key.startswith("$") else key: self.item(key, item) for key, item in value.items()}
        tag = _BY_TYPE.get(type(value))
        if tag is None:
            raise self.fail("value-type", f"{shown(value)} of type {type(value).__name__}")
        return {tag.name: tag.write(value, self)}

    def item(self, step: object, value: Value) -> Tree:
        """The tree of a value one level below the present place."""
        self.enter(step)
        tree = self.write(value)
        self.leave()
        return tree

    def items(self, values: Iterable[Value]) -> list[Tree]:
        """The trees of several values."""
        return [value if type(value) in _AS_IT_IS else self.item(index, value) for index, value in enumerate(values)]


class Reader(Walk):
    """Gives the values of trees; the functions of the tags call it for what they hold."""

    def read(self, tree: Tree) -> Value:
        """The value of a tree."""
        if self.kind.holds(tree):
            return tree
        if type(tree) is list:
            return self.items(tree)
        if type(tree) is not dict:
            # A number or byte string that this kind of document holds in a tag; anything else is no tree at all.
            code = "value-not-canonical" if type(tree) in _BY_TYPE else "value-type"
            raise self.fail(code, f"{shown(tree)} of type {type(tree).__name__}")
        if len(tree) == 1:
            ((name, content),) = tree.items()
            if is_tag(name):
                return self._tagged(name, content)
        return {self._key(key): self.item(key, item) for key, item in tree.items()}

    def item(self, step: object, tree: Tree) -> Value:
        """The value of a tree one level below the present place."""
        self.enter(step)
        value = self.read(tree)
        self.leave()
        return value

    def items(self, trees: list[Tree]) -> list[Value]:
        """The values of several trees."""
        return [tree if type(tree) in _AS_IT_IS else self.item(index, tree) for index, tree in enumerate(trees)]

    def typed(self, content: Tree, kind: type) -> Any:
        """The content of a tag, which must be of a JSON type exactly."""
        if type(content) is not kind:
            raise self.fail("value-tag", f"the content {shown(content)}")
        return content

    def list_of(self, content: Tree, length: int) -> list[Tree]:
        """The content of a tag, which must be a list of that length."""
        items: list[Tree] = self.typed(content, list)
        if len(items) != length:
            raise self.fail("value-tag", f"{len(items)} items in place of {length}")
        return items

    def fields(self, content: Tree, required: set[str], optional: set[str]) -> dict[str, Tree]:
        """The content of a tag, which must be a map of those fields."""
        tree: dict[str, Tree] = self.typed(content, dict)
        if not required <= tree.keys() <= required | optional:
            raise self.fail("value-tag", f"the fields {shown(sorted(tree))}")
        return tree

    def natural(self, content: Tree) -> int:
        """The content of a tag, which must be an integer from 0 to 2^53 - 1."""
        value: int = self.typed(content, int)
        if not 0 <= value <= MAX_INTEGER:
            raise self.fail("value-tag", f"the number {value}")
        return value

    def _tagged(self, name: str, content: Tree) -> Value:
        tag = _BY_NAME.get(name)
        if tag is None:
            raise self.fail("value-tag", f"the tag {shown(name)}")
        self.enter(name)
        value = tag.read(content, self)
        self.leave()
        if self.kind.holds(value):
            raise self.fail("value-not-canonical", f"the tag {name} where none is needed")
        return value

    def _key(self, key: str) -> str:
        if is_tag(key):
            raise self.fail("value-tag", f"the key {shown(key)} of a map, which lacks one more $")
        return key.removeprefix("$")


def is_tag(key: str) -> bool:
    """Whether a key makes an object that has no other a tagged value."""
    return key.startswith("$") and not key.startswith("$$")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged form.

    Attributes:
        name: the key, for example ``$tuple``.
        types: the exact Python types of the values.
        write: value -> content of the tag.
        read: content of the tag -> value; refuses content of another form.
    """

    name: str
    types: tuple[type, ...]
    write: Callable[[Value, Writer], Tree]
    read: Callable[[Tree, Reader], Value]


_BY_NAME: dict[str, Tag] = {}
_BY_TYPE: dict[type, Tag] = {}


def register(*tags: Tag) -> None:
    """Make tags known to `Writer` and `Reader`."""
    for tag in tags:
        _BY_NAME[tag.name] = tag
        _BY_TYPE.update(dict.fromkeys(tag.types, tag))
