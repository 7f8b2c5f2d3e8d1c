"""The JSON Schemas of the documents, and documents checked against them.

The schemas describe version 1.0 of the JSON documents and of the JSON view of the MessagePack documents (SPEC.md B-12).
What a schema cannot say is checked by the decoders in `etui.containers`, which need no schema.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from etui._version import SPEC_VERSION
from etui.canonical.plain import plain_nodes
from etui.canonical.tagging import JSON
from etui.errors import shown
from etui.limits import DEFAULT_LIMITS

_SUFFIX = ".schema.json"
_CLAUSE = re.compile(r"[A-Z]+-[1-9][0-9]*")
_MINOR = re.compile(rf"{SPEC_VERSION.partition('.')[0]}\.(0|[1-9][0-9]*)")
_LONGEST_MESSAGE = 200

# The JSON view of a document adds a level at most, for a tag. jsonschema needs up to 10 frames per level, and Python's
# own limit is no way to find out: a RecursionError inside of the library that holds its tables aborts with a panic.
_DEEPEST = DEFAULT_LIMITS.depth + 1
_FRAMES = 10_000
_deep = threading.Lock()

# What refers to the schema of any value; no other schema refers to itself as a whole.
_VALUE, _VALUE_ITSELF, _VALUE_MAP = "value.schema.json", "#", "value.schema.json#/$defs/map"
_plain: set[int] = set()
"""The lists and maps without a tag, by `id`, of the document that is being checked: `_deep` guards it."""


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """One place in a document that its schema does not accept.

    Attributes:
        where: what the document is, as the caller named it.
        path: the place in the document, a JSON pointer (RFC 6901).
        message: what is wrong there.
        clause: id of the SPEC.md clause that the schema cites nearest to the place, or `None`.
    """

    where: str
    path: str
    message: str
    clause: str | None

    def __str__(self) -> str:
        law = f" [SPEC.md {self.clause}]" if self.clause else ""
        return f"{self.where} at {self.path or 'the root'}: {self.message}{law}"


def schema_directory() -> Path:
    """The folder of the schemas: beside this module in a wheel, the repository's in a checkout.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    return _shipped("schemas")


def specification_path() -> Path:
    """The file SPEC.md, which this library implements.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    return _shipped("SPEC.md")


def names() -> list[str]:
    """The names of all schemas, for example ``"manifest"`` or ``"cli/inspect"``."""
    folder = schema_directory()
    found = (path.relative_to(folder).as_posix() for path in folder.rglob(f"*{_SUFFIX}"))
    return sorted(name.removesuffix(_SUFFIX) for name in found)


@cache
def load(name: str) -> dict[str, Any]:
    """The schema of a name, decoded; shared, so not to be changed.

    Raises:
        KeyError: there is no schema of that name.
    """
    if name not in names():
        raise KeyError(f"no schema {name!r}; there are {', '.join(names())}")
    path = schema_directory() / f"{name}{_SUFFIX}"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def version_note(document: object) -> str:
    """Why the schemas say nothing of a document: it is of a higher minor version (Q-6). Otherwise empty."""
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, str):
        return ""
    match = _MINOR.fullmatch(version)
    ours = SPEC_VERSION.partition(".")[2]
    if match is None or (len(match[1]), match[1]) <= (len(ours), ours):
        return ""
    return f"version {version[:40]} is newer than {SPEC_VERSION}, which the schemas describe: not checked against them"


def validate(name: str, document: object, where: str) -> list[SchemaFault]:
    """Check a document against the schema of a name.

    A document of a higher minor version passes unseen, because the schemas describe version 1.0 alone; `version_note`
    tells such a document.

    Args:
        name: for example ``"weights"``; a fragment names a part of a schema: ``"value#/$defs/map"``.
        document: the decoded JSON, or the JSON view of a decoded MessagePack document.
        where: what the document is, for messages.

    Returns:
        The faults in the order of their places; empty if the schema accepts the document.

    Raises:
        KeyError: there is no schema of that name.
    """
    if version_note(document):
        return []
    validator = _validator(name)
    if _deeper_than(_DEEPEST, document):
        return [SchemaFault(where, "", f"nested deeper than {DEFAULT_LIMITS.depth} levels", "J-8")]
    # The recursion limit belongs to the whole interpreter: two threads must not restore it crosswise.
    with _deep:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, _FRAMES))
        try:
            _plain.update(plain_nodes(document, JSON))
            errors = list(validator.iter_errors(document))
        finally:
            _plain.clear()
            sys.setrecursionlimit(limit)
    faults = (SchemaFault(where, _pointer(error.absolute_path), _message(error), _clause(error)) for error in errors)
    return sorted(dict.fromkeys(faults), key=lambda fault: (fault.path, fault.message))


def _shipped(name: str) -> Path:
    package = Path(__file__).parent
    for folder in (package, package.parents[1]):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} is neither in {package} nor in a checkout: the installation is not complete")


@cache
def _validator(name: str) -> Any:
    base, fragment, pointer = name.partition("#")
    schema = load(base)
    return _validator_class()({"$ref": f"{schema['$id']}{fragment}{pointer}"}, registry=_registry())


@cache
def _registry() -> Any:
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    # jsonschema leaves a validator of our own class for the standard's where a schema names its dialect.
    schemas = [{key: value for key, value in load(name).items() if key != "$schema"} for name in names()]
    return Registry().with_resources([(schema["$id"], DRAFT202012.create_resource(schema)) for schema in schemas])


@cache
def _validator_class() -> Any:
    """Draft 2020-12, whose errors know the schema nearest to the fault that cites a clause."""
    from jsonschema import Draft202012Validator, validators

    standard = Draft202012Validator.VALIDATORS
    keywords = {**standard, "propertyNames": _property_names, "$ref": _value_reference(standard["$ref"])}
    return validators.extend(Draft202012Validator, {name: _citing(keyword) for name, keyword in keywords.items()})


def _citing(keyword: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """The keyword, which also notes the first clause of its schema's comment on errors that have none yet.

    An error passes the keywords from the innermost schema to the outermost: the first comment is the nearest.
    """

    def cite(validator: Any, value: Any, instance: Any, schema: dict[str, Any]) -> Iterator[Any]:
        for error in keyword(validator, value, instance, schema) or ():
            if _clause(error) is None:
                match = _CLAUSE.match(schema.get("$comment", ""))
                error.clause = match[0] if match else None
            yield error

    return cite


def _value_reference(keyword: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """The keyword ``$ref``, but that values without a tag, of which a file may hold a million, are taken unseen."""

    def refer(validator: Any, target: str, instance: Any, schema: dict[str, Any]) -> Iterator[Any]:
        if id(instance) in _plain:
            if target == _VALUE_ITSELF or target.endswith(_VALUE):
                return
            if target.endswith(_VALUE_MAP) and type(instance) is dict:
                return
        yield from keyword(validator, target, instance, schema) or ()

    return refer


def _property_names(validator: Any, schema_of_names: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    """As the standard's, but an error points at the member whose name is wrong."""
    if validator.is_type(instance, "object"):
        for name in instance:
            yield from validator.descend(name, schema_of_names, path=name)


def _deeper_than(levels: int, document: object) -> bool:
    nodes = [document]
    for _ in range(levels):
        nodes = [
            child
            for node in nodes
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not nodes:
            return False
    return True


def _clause(error: Any) -> str | None:
    clause: str | None = getattr(error, "clause", None)
    return clause


def _pointer(path: Iterator[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _message(error: Any) -> str:
    """What is wrong, in the words of the schema's description where a pattern would say nothing to a reader."""
    description = error.schema.get("description") if isinstance(error.schema, dict) else None
    if description and error.validator == "not":
        return f"{shown(error.instance)} is {description}"
    if description and error.validator in {"pattern", "anyOf", "const"}:
        return f"{shown(error.instance)} is not {description}"
    message: str = error.message
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
