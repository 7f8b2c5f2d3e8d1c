"""The documents of an artifact, one row each: how a container becomes bytes and comes back (SPEC.md chapter 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from etui._version import SPEC_VERSION
from etui.canonical import json, msgpack
from etui.containers import config, optimizer, state, training, weights
from etui.containers.data_parts import DataParts
from etui.containers.fields import Json
from etui.containers.tensor_index import Placed
from etui.containers.tensors import Tensor
from etui.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Document:
    """A kind of document.

    Attributes:
        name: of its part.
        role: in the manifest, and the attribute of `etui.model.Model` that holds its container.
        to_tree: container, places of its tensors, version -> tree.
        from_tree: tree, data parts, limits -> container.
        tensors: the tensors that a container refers to, by name, in writing order.
        to_bytes: container, places of its tensors, version -> canonical bytes, or `None` where `to_tree` has to do it.
        from_bytes: bytes, data parts, limits -> container, or `None` where only `from_tree` can tell; a document that
            it takes has the version of this library.
    """

    name: str
    role: str
    to_tree: Callable[[Any, Placed, str], dict[str, Json]]
    from_tree: Callable[[dict[str, Json], DataParts, Limits], Any]
    tensors: Callable[[Any], Iterator[tuple[str, Tensor]]]
    to_bytes: Callable[[Any, Placed, str], bytes | None] | None = None
    from_bytes: Callable[[bytes, DataParts, Limits], Any] | None = None

    def encode(self, container: Any, placed: Placed, version: str) -> bytes:
        """The canonical bytes of the document."""
        quickly = self.to_bytes(container, placed, version) if self.to_bytes is not None else None
        if quickly is not None:
            return quickly
        tree = self.to_tree(container, placed, version)
        return msgpack.encode(tree) if self.name.endswith(".msgpack") else json.encode(tree)

    def decode(self, data: bytes, parts: DataParts, limits: Limits = DEFAULT_LIMITS) -> tuple[Any, str]:
        """The container and the version of a document's bytes.

        Raises:
            RejectError: with the code of the clause that the document breaks.
        """
        quickly = self.from_bytes(data, parts, limits) if self.from_bytes is not None else None
        if quickly is not None:
            return quickly, SPEC_VERSION
        codec = msgpack if self.name.endswith(".msgpack") else json
        tree = codec.decode(data, where=self.name, limits=limits)
        return self.from_tree(tree, parts, limits), tree["version"]


def _no_tensors(_: Any) -> Iterator[tuple[str, Tensor]]:
    return iter(())


DOCUMENTS: dict[str, Document] = {
    document.name: document
    for document in (
        Document(
            config.DOCUMENT,
            "config",
            lambda container, _, version: config.encode(container, version),
            lambda tree, _, limits: config.decode(tree, limits),
            _no_tensors,
        ),
        Document(
            training.DOCUMENT,
            "training",
            lambda container, _, version: training.encode(container, version),
            lambda tree, _, limits: training.decode(tree, limits),
            _no_tensors,
        ),
        Document(
            weights.DOCUMENT,
            "weights",
            weights.encode,
            weights.decode,
            weights.tensors,
            weights.encode_bytes,
            weights.decode_bytes,
        ),
        Document(optimizer.DOCUMENT, "optimizer", optimizer.encode, optimizer.decode, optimizer.tensors),
        Document(state.DOCUMENT, "state", state.encode, state.decode, state.tensors),
    )
}
"""Every document by its name, in the order in which a reader decodes them: one fault always gives one code."""
