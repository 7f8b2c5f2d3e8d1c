"""The YAML of a Keras 2 model, by a safe loader: plain values alone, and no node that stands for much more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from etui.bridges.keras.json_text import read_json
from etui.bridges.keras.patches import Json
from etui.errors import EtuiError, error, shown
from etui.limits import MIB, Limits
from etui.storage.base import ByteSource
from etui.storage.sources import BytesSource

# What Keras writes of a model is far smaller; parsing takes a second for each megabyte or two.
_DOCUMENT_BYTES = 4 * MIB
_NODES = 200_000
_DEPTH = 100
_PLAIN = "tag:yaml.org,2002:"
_SCALARS = frozenset(f"{_PLAIN}{name}" for name in ("null", "bool", "int", "float", "str"))
_MAP, _STR = f"{_PLAIN}map", f"{_PLAIN}str"
# PyYAML writes the tuples in a config so; it is a list to Keras' own loader of JSON.
_LISTS = frozenset({f"{_PLAIN}seq", f"{_PLAIN}python/tuple"})


def read_yaml(source: ByteSource, where: str, limits: Limits) -> dict[str, Json]:
    """Decode one document, which must be a map.

    Raises:
        MissingExtraError: PyYAML is not installed.
        MalformedError: ``keras-yaml``, no YAML, or more than one document; ``keras-json``, a value that no JSON has.
        UnsafeError: ``keras-yaml-tag``, a tag that asks for an object.
        LimitError: ``limit-document``, too long, too deep, or too large once its aliases stand for themselves.
    """
    if source.size > min(_DOCUMENT_BYTES, limits.document_bytes):
        raise error("limit-document", where=where, found=f"{source.size} bytes of YAML")
    tree = _Loading(where).tree(source.read(0, source.size))
    if not isinstance(tree, dict):
        raise error("keras-yaml", where=where, found=f"{shown(tree)} in place of a map")
    return read_json(BytesSource(json.dumps(tree).encode()), where, limits)


class _Loading:
    """One document."""

    def __init__(self, where: str) -> None:
        try:
            import yaml
        except ImportError:
            raise error("extra-yaml") from None
        self.yaml: Any = yaml
        self.where = where
        self.left = _NODES

    def tree(self, data: bytes) -> Json:
        """The plain values of the document."""
        loader = getattr(self.yaml, "CSafeLoader", self.yaml.SafeLoader)
        try:
            text = data.decode("utf-8")
            self._check_events(self.yaml.parse(text, Loader=loader))
            node = self.yaml.compose(text, Loader=loader)
            self.scalars = self.yaml.SafeLoader("")
            return self._value(node)
        except EtuiError:
            raise
        except UnicodeDecodeError as reason:
            self._fail(str(reason))
        except (self.yaml.YAMLError, ValueError, RecursionError, OverflowError) as reason:
            self._fail(shown(str(reason), 200))

    def _check_events(self, events: Iterator[Any]) -> None:
        """Depth and number, before anything is built: the composer recurs."""
        depth = 0
        for count, event in enumerate(events):
            if count > 2 * _NODES:
                raise error("limit-document", where=self.where, found=f"more than {_NODES} values")
            if isinstance(event, self.yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, self.yaml.CollectionEndEvent):
                depth -= 1
            if depth > _DEPTH:
                raise error("limit-document", where=self.where, found=f"more than {_DEPTH} levels of YAML")

    def _value(self, node: Any, depth: int = 0) -> Json:
        self.left -= 1
        if self.left < 0 or depth > _DEPTH:
            found = f"more than {_NODES} values" if self.left < 0 else "an alias of what it is in"
            raise error("limit-document", where=self.where, found=found)
        if isinstance(node, self.yaml.ScalarNode) and node.tag in _SCALARS:
            return self.scalars.construct_object(node)
        if isinstance(node, self.yaml.SequenceNode) and node.tag in _LISTS:
            return [self._value(item, depth + 1) for item in node.value]
        if isinstance(node, self.yaml.MappingNode) and node.tag == _MAP:
            return self._map(node, depth)
        if node is None:
            self._fail("nothing")
        raise error("keras-yaml-tag", where=self.where, found=shown(node.tag))

    def _map(self, node: Any, depth: int) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for key, value in node.value:
            if key.tag != _STR or not isinstance(key, self.yaml.ScalarNode) or key.value in found:
                self._fail(f"the key {shown(key.value)}")
            found[key.value] = self._value(value, depth + 1)
        return found

    def _fail(self, found: str) -> NoReturn:
        raise error("keras-yaml", where=self.where, found=found)
