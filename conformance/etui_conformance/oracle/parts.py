"""The kinds of documents, and the data parts that hold their tensors (SPEC.md chapter 7)."""

from __future__ import annotations

from dataclasses import dataclass

from etui_conformance.oracle.errors import pointer
from etui_conformance.oracle.names import DOCUMENTS, MANIFEST, media_type_of

PARTS = pointer(MANIFEST, "parts")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document.

    Attributes:
        role: in the manifest; also the name of the document in CONTENT.
        part: the only name of such a document.
        index: the field that holds its index of tensors, if it has one.
    """

    role: str
    part: str
    index: str | None = None

    @property
    def format(self) -> str:
        """The value of the document's field `format`."""
        return f"etui-{self.role}"

    @property
    def form(self) -> str:
        """The code of a document that has not this form."""
        return f"{self.role}-form"


_INDICES = {"weights": "variables", "optimizer": "tensors", "state": "tensors"}
KINDS = {role: Kind(role, part, _INDICES.get(role)) for part, role in DOCUMENTS.items()}


def media_type(name: str, given: str | None = None) -> str:
    """The media type of a part in the manifest: that of its kind, or the one that the caller gives."""
    return media_type_of(name) or given or "application/octet-stream"


def shard_name(base: str, index: int, count: int) -> str:
    """The name of data part `index`, from 1, of `count` of a document (P-5)."""
    return f"{base}.safetensors" if count == 1 else f"{base}-{index:05d}-of-{count:05d}.safetensors"
