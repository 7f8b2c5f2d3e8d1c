"""Checks of a document's fields that every container makes in the same way (SPEC.md chapter 18.3)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from etui._version import SPEC_VERSION
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits

Json = Any
"""A tree as `etui.canonical` decodes it: dict, list, str, int, float, bool, None; in MessagePack also bytes and
`StoredTensor`."""

_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_FRAMEWORK = re.compile(r"[a-z][a-z0-9_]*")


def is_newer(text: Json, where: str) -> bool:
    """Whether a version `major.minor` is a higher minor version than ours; its numbers may have any length.

    Raises:
        InvalidError: ``version-form``.
        UnsupportedError: ``version-unsupported``, another major version.
    """
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise error("version-form", where=where, found=shown(text))
    major, minor = SPEC_VERSION.split(".")
    if match[1] != major:
        raise error("version-unsupported", where=where, found=shown(text))
    # Without zeros in front, a longer number is a larger one; `int` refuses very long ones.
    return (len(match[2]), match[2]) > (len(minor), minor)


@dataclass(frozen=True, slots=True)
class Context:
    """What a container's decoder needs to know about the document that it decodes.

    Attributes:
        document: the part's name, for messages.
        code: the document's form code, for example ``"config-form"``.
        newer: the document is of a higher minor version, so that unknown fields are kept and not refused (Q-6).
        limits: the reader's limits.
    """

    document: str
    code: str
    newer: bool = False
    limits: Limits = DEFAULT_LIMITS

    def place(self, path: str) -> str:
        """The place in the document as messages show it."""
        return f"{self.document} at {path}" if path else self.document

    def fail(self, path: str, found: str) -> Exception:
        """The document's form error; the caller raises it."""
        return error(self.code, where=self.place(path), found=found)

    def fields(
        self, node: Json, path: str, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, Json]:
        """Check that `node` is a map with the given fields; return the fields that are to be kept without meaning."""
        if not isinstance(node, dict):
            raise self.fail(path, f"{shown(node)} in place of a map")
        for name in required:
            if name not in node:
                raise self.fail(path, f"no field {name!r}")
        extra = {}
        for name, value in node.items():
            if name in required or name in optional:
                continue
            if not (self.newer or name.startswith("x-")):
                raise self.fail(path, f"unknown field {shown(name)}")
            extra[name] = value
        return extra

    def typed(self, node: Mapping[str, Json], name: str, kind: type | tuple[type, ...], path: str) -> Any:
        """The field `name`, checked to be exactly of the JSON type `kind` (a bool is no integer)."""
        value = node[name]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:
            raise self.fail(f"{path}/{name}" if path else name, f"{shown(value)} has the wrong type")
        return value

    def filled(self, node: Mapping[str, Json], name: str, kind: type, path: str) -> Any:
        """An optional list or map: empty if absent, refused if present and empty (one form for one content)."""
        if name not in node:
            return kind()
        value = self.typed(node, name, kind, path)
        if not value:
            raise self.fail(f"{path}/{name}" if path else name, "an empty field that must be left out")
        return value

    def natural(self, node: Mapping[str, Json], name: str, path: str) -> int:
        """The field `name`, checked to be an integer from 0 to 2^64 - 1, the largest of a MessagePack document."""
        value: int = self.typed(node, name, int, path)
        if not 0 <= value < 2**64:
            raise self.fail(f"{path}/{name}" if path else name, f"{shown(value)} is negative or too large")
        return value

    def mapping(self, value: Any, path: str) -> dict[str, Any]:
        """A value, checked to be a map with string keys, which is the only one that is written without a tag."""
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise self.fail(path, f"{shown(value)} in place of a map")
        return value

    def residue(self, value: Any, path: str) -> dict[str, Any]:
        """A value, checked to be a map from the names of frameworks to maps (C-16)."""
        residue = self.mapping(value, path)
        for framework, facts in residue.items():
            if not _FRAMEWORK.fullmatch(framework):
                raise self.fail(path, f"{shown(framework)} in place of a framework's name")
            self.mapping(facts, f"{path}/{framework}")
        return residue

    def strings(self, value: Json, path: str) -> list[str]:
        """`value`, checked to be a list of strings."""
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(path, f"{shown(value)} in place of a list of strings")
        return value


def open_document(
    tree: dict[str, Json], document: str, limits: Limits, required: Collection[str], optional: Collection[str] = ()
) -> tuple[Context, dict[str, Json]]:
    """Check `format`, `version` and the top-level fields; return the context and the unknown fields to keep."""
    kind = document.partition(".")[0]
    code = f"{kind}-form"
    context = Context(document, code, limits=limits)
    if "version" not in tree:
        raise error("version-form", where=document, found="no field 'version'")
    context = Context(document, code, is_newer(tree["version"], document), limits)
    extra = context.fields(tree, "", {"format", "version", *required}, optional)
    expected = "etui" if kind == "manifest" else f"etui-{kind}"
    if tree["format"] != expected:
        raise context.fail("format", f"{shown(tree['format'])} in place of {expected!r}")
    return context, extra
