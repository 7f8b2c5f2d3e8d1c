"""References from a MessagePack document to its `tensors` index, in both directions (SPEC.md O-14, O-16, O-17).

In memory a value holds the `Tensor` itself; in the document a `StoredTensor` names it, and the name is the place of
the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from etui import paths
from etui.canonical import values
from etui.canonical.plain import plain_nodes
from etui.canonical.tagging import MSGPACK
from etui.canonical.tags import key_bytes
from etui.containers.data_parts import DataParts
from etui.containers.fields import Context, Json
from etui.containers.tensor_index import Placed, TensorDecoder, encode_entry
from etui.containers.tensors import Tensor
from etui.errors import error, shown


class StoredTensors:
    """The `tensors` of a document that is being decoded.

    Args:
        context: of the document.
        nodes: the field `tensors`.
        parts: the artifact's data parts.
    """

    def __init__(self, context: Context, nodes: Json, parts: DataParts) -> None:
        if not isinstance(nodes, dict):
            raise context.fail("tensors", "no map")
        if len(nodes) > context.limits.variables:
            raise error("limit-variables", where=context.document, found=f"{len(nodes)} tensors")
        decoder = TensorDecoder(context, parts)
        self._context = context
        self._tensors: dict[str, Tensor] = {}
        for name, node in nodes.items():
            paths.check_path(name, context.place("tensors"), context.limits)
            self._tensors[name] = decoder.decode(node, f"tensors/{name}")
        paths.check_no_collisions(list(nodes), context.document)
        self._referenced: set[str] = set()

    def tensor(self, node: Json, place: str) -> Tensor:
        """The tensor that a reference at `place` names."""
        if not isinstance(node, values.StoredTensor):
            raise self._context.fail(place, f"{shown(node)} in place of a stored tensor")
        where = self._context.place(place)
        if node.name not in self._tensors:
            raise error("reference-missing", where=where, found=f"no tensor {shown(node.name)}")
        if node.name != place:
            raise error("tensor-name", where=where, found=f"the name {shown(node.name)}")
        if node.name in self._referenced:
            raise error("tensor-unreferenced", where=where, found=f"a second reference to {shown(node.name)}")
        self._referenced.add(node.name)
        return self._tensors[node.name]

    def value(self, node: Json, place: str) -> Any:
        """A value whose references are replaced by the tensors themselves."""
        value = values.from_msgpack(node, self._context.place(place), self._context.limits)
        return _replaced(value, place, values.StoredTensor, self.tensor)

    def map(self, node: Json, name: str, place: str = "") -> dict[str, Any]:
        """The field `name`, a map of such values; empty if absent."""
        path = f"{place}/{name}" if place else name
        return self._context.mapping(self.value(self._context.filled(node, name, dict, place), path), path)

    def check_all_referenced(self) -> None:
        """Refuse tensors that nothing refers to."""
        lost = self._tensors.keys() - self._referenced
        if lost:
            where = self._context.place("tensors")
            raise error("tensor-unreferenced", where=where, found=f"nothing refers to {shown(min(lost))}")


class TensorNames:
    """The `tensors` of a document that is being encoded.

    Args:
        alone: whether the document itself is not wanted, so that content without a tensor is left out.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._alone = alone

    def add(self, tensor: Tensor, place: str) -> values.StoredTensor:
        """Name a tensor after the place of its reference.

        Raises:
            InvalidError: ``path-collision``, two places of one name.
        """
        if place in self._tensors:
            raise error("path-collision", where="tensors", found=f"two tensors at {shown(place)}")
        self._tensors[place] = tensor
        return values.StoredTensor(place)

    def value(self, value: Any, place: str) -> Json:
        """The MessagePack tree of a value that may hold tensors."""
        return values.to_msgpack(_replaced(value, place, Tensor, self.add, drop=self._alone))

    def ordered(self) -> Iterator[tuple[str, Tensor]]:
        """The tensors by name (W-24: order of names)."""
        yield from sorted(self._tensors.items(), key=lambda item: item[0].encode())

    def entries(self, placed: Placed) -> dict[str, Json]:
        """The tree of `tensors`."""
        return {name: encode_entry(tensor, name, placed) for name, tensor in self.ordered()}


_LEAVES = frozenset({str, bytes, int, float, bool, type(None)})
"""The types of values in which nothing is to be replaced; a list may have a million of them."""


def _replaced(value: Any, place: str, kind: type, replace: Callable[[Any, str], Any], *, drop: bool = False) -> Any:
    """A value in which `replace` gave what stands for each leaf of type `kind`, at its place.

    Lists and maps in which nothing can be replaced are not copied; with `drop`, `None` stands for each.
    """
    return _Replacing(value, place, kind, replace, drop).copy(value)


class _Replacing:
    """One walk through a value, whose places are only spelled out where something is replaced."""

    def __init__(self, value: Any, place: str, kind: type, replace: Callable[[Any, str], Any], drop: bool) -> None:
        self._plain = plain_nodes(value, MSGPACK)
        self._kind = kind
        self._replace = replace
        self._drop = drop
        self._steps: list[Callable[[], str]] = [lambda: place]

    def copy(self, value: Any) -> Any:
        """A copy of what is at the present place."""
        if id(value) in self._plain:
            return None if self._drop else value
        if isinstance(value, self._kind):
            return self._replace(value, "/".join(step() for step in self._steps))
        if isinstance(value, dict):
            name = _key if all(type(key) is str for key in value) else _odd_key
            return {key: self._item(name, key, inner) for key, inner in value.items()}
        if isinstance(value, values.MapValue):
            return values.MapValue(tuple((key, self._item(_odd_key, key, inner)) for key, inner in value.pairs))
        if isinstance(value, list | tuple):
            made = [self._item(str, index, inner) for index, inner in enumerate(value)]
            return tuple(made) if isinstance(value, tuple) else made
        if isinstance(value, values.ObjectValue):
            config, residue = self._item(str, "config", value.config), self._item(str, "residue", value.residue)
            return values.ObjectValue(value.class_name, config, value.shared, residue)
        return value

    def _item(self, name: Callable[[Any], str], key: Any, inner: Any) -> Any:
        if type(inner) in _LEAVES:
            return inner
        self._steps.append(lambda: name(key))
        found = self.copy(inner)
        self._steps.pop()
        return found


def _key(key: str) -> str:
    return paths.escape_segment(key)


def _odd_key(key: Any) -> str:
    """The segment for a key of a `$map`, whose keys are not all strings."""
    return paths.escape_segment(key_bytes(key).decode())
