"""An artifact read and written anew, with the fields that no reader knows (SPEC.md: Q-6, Q-8, CF-27)."""

from __future__ import annotations

from collections.abc import Mapping

from etui_conformance.oracle.manifest import FIELDS, Manifest
from etui_conformance.oracle.reading import Artifact
from etui_conformance.oracle.writing import Kept, write

ENTRY_FIELDS = frozenset(
    {"bindings", "digest", "framework", "framework_version", "header", "media_type", "role", "size"}
)


def rewrite(parts: Mapping[str, bytes], shard_size: int | None = None) -> dict[str, bytes]:
    """The parts of the canonical artifact of the content of another one.

    Args:
        parts: of the other one, `manifest.json` among them.
        shard_size: the bytes of data that a shard holds at most; one data part a document for `None`.

    Raises:
        Refusal: the artifact breaks a clause.
    """
    artifact = Artifact(parts)
    return write(artifact.content(), shard_size, kept(artifact.manifest))


def kept(manifest: Manifest) -> Kept:
    """The fields of a manifest and of its entries that version 1.0 does not have."""
    known = {*FIELDS, "metadata"}
    entries = {
        name: {key: value for key, value in entry.items() if key not in ENTRY_FIELDS}
        for name, entry in manifest.parts.items()
    }
    return Kept({key: value for key, value in manifest.tree.items() if key not in known}, entries)
