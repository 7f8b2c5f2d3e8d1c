"""What the documents share in their checks: fields and types, each refused with the code that a clause names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from etui_conformance.oracle import core_training, names, values
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.numbers import SAFE

MAX_COUNT = 2**64 - 1
NAMESPACE = re.compile(r"[a-z][a-z0-9_]*")


Reference = tuple[str, str, Any]
"""The place, the tag and the content of a tagged value."""

References = list[Reference]


@dataclass(slots=True)
class Form:
    """The checks of one document, by its own form code.

    Attributes:
        part: the name of the document.
        code: of what has not the document's form.
        later: whether the document is of a higher minor version, whose unknown fields are passed over (Q-6).
        references: the tagged values of all values that were checked.
    """

    part: str
    code: str
    later: bool = False
    references: list[Reference] = field(default_factory=list)

    def refuse(self, at: str, message: str, code: str | None = None) -> NoReturn:
        """Refuse the document for what is at a place of it."""
        raise Refusal(code or self.code, at, message)

    def map(self, value: Any, at: str, *, filled: bool = False, code: str | None = None) -> dict[str, Any]:
        """The value, which must be a map, and not an empty one if `filled`."""
        if not isinstance(value, dict) or (filled and not value):
            self.refuse(at, "not a map" if not isinstance(value, dict) else "an empty map is left out", code)
        return value

    def list(self, value: Any, at: str, *, filled: bool = False, code: str | None = None) -> list[Any]:
        """The value, which must be a list, and not an empty one if `filled`."""
        if not isinstance(value, list) or (filled and not value):
            self.refuse(at, "not a list" if not isinstance(value, list) else "an empty list is left out", code)
        return value

    def text(self, value: Any, at: str, *, filled: bool = False, code: str | None = None) -> str:
        """The value, which must be a string, and not an empty one if `filled`."""
        if not isinstance(value, str) or (filled and not value):
            self.refuse(at, "not a text", code)
        return value

    def flag(self, value: Any, at: str) -> bool:
        """The value, which must be a boolean."""
        if not isinstance(value, bool):
            self.refuse(at, "neither true nor false")
        return value

    def natural(self, value: Any, at: str, *, code: str | None = None) -> int:
        """The value, which must be an integer from 0 that a JSON number holds."""
        if type(value) is not int or not 0 <= value <= SAFE:
            self.refuse(at, "not a non-negative integer", code)
        return value

    def count(self, value: Any, at: str) -> int:
        """The value, which must be an integer from 0 to 2^64 - 1 in its JSON view."""
        if isinstance(value, dict) and value.keys() == {"$int"}:
            self.value(value, at)
            value = int(value["$int"])
        if type(value) is not int or not 0 <= value <= MAX_COUNT:
            self.refuse(at, "not a count")
        return value

    def fields(
        self,
        value: Any,
        at: str,
        *,
        required: Collection[str] = (),
        optional: Collection[str] = (),
        code: str | None = None,
    ) -> dict[str, Any]:
        """The value, which must be a map of the required fields, perhaps optional ones, and none that is unknown (Q-7).

        Args:
            value: what should be the map.
            at: its place.
            required: the names of fields that must be there.
            optional: those of fields that may be.
            code: of what is no map or lacks a field; an unknown field always has the document's form code.
        """
        found = self.map(value, at, code=code)
        for name in required:
            if name not in found:
                self.refuse(at, f"lacks {name!r}", code)
        for name in found:
            if name not in required and name not in optional and not (name.startswith("x-") or self.later):
                self.refuse(pointer(at, name), "an unknown field")
        return found

    def entries(self, value: Any, at: str, *, filled: bool = False) -> Iterator[tuple[str, Any, str]]:
        """The entries of a map whose keys are paths of one index (D-2 to D-4): key, value and place of each."""
        found = self.map(value, at, filled=filled)
        for path in found:
            self.path(path, at)
        names.check_collisions(found, at)
        for path, entry in found.items():
            yield path, entry, pointer(at, path)

    def path(self, value: Any, at: str, *, code: str | None = None) -> str:
        """The value, which must be a path (D-2, D-3)."""
        path = self.text(value, at, code=code)
        names.check_path(path, at)
        return path

    def op(self, value: Any, at: str) -> str:
        """The value, which must be a name with a namespace (C-8)."""
        text = self.text(value, at, code="op-form")
        names.check_op(text, at)
        return text

    def value(self, value: Any, at: str) -> References:
        """Check that something is a value of chapter 5 in its one form, and give its tagged values."""
        values.check(value, at)
        found = list(values.references(value, at))
        for place, tag, content in found:
            if tag == "$object":
                core_training.check_object(content, pointer(place, tag))
        self.references += found
        return found

    def value_map(self, value: Any, at: str, *, filled: bool = False, code: str | None = None) -> dict[str, Any]:
        """The value, which must be a map of values and no tagged value."""
        found = self.map(value, at, filled=filled, code=code)
        self.value(found, at)
        if any(is_tag(key) for key in found):
            self.refuse(at, "a tagged value where a map belongs", code)
        return found

    def residue(self, value: Any, at: str) -> None:
        """Check a map from a framework's namespace to a map of values, not empty (C-16)."""
        for framework, facts in self.map(value, at, filled=True).items():
            if NAMESPACE.fullmatch(framework) is None:
                self.refuse(pointer(at, framework), "not the name of a framework")
            self.value_map(facts, pointer(at, framework))


def is_tag(key: str) -> bool:
    """Whether a key begins with exactly one `$`."""
    return key.startswith("$") and not key.startswith("$$")
