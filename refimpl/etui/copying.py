"""Copying an artifact part by part, as it is: the same bytes in another place or form, so the same identity."""

from __future__ import annotations

from collections.abc import Iterator

from etui.containers.data_writer import Progress
from etui.containers.manifest import DOCUMENT, Manifest
from etui.storage.base import SLICE_BYTES, ArtifactReader, ArtifactWriter, ByteSource
from etui.storage.part_names import order_key


def copy_parts(
    reader: ArtifactReader, manifest: Manifest, writer: ArtifactWriter, progress: Progress | None = None
) -> None:
    """Write every part that a manifest lists, and the manifest; nothing is checked, and the caller commits.

    Args:
        reader: has the parts.
        manifest: what `reader` has as its manifest, decoded.
        writer: takes them, in the order of Z-2.
        progress: called as (part, bytes done, bytes in all).
    """
    total = sum(entry.size for entry in manifest.parts.values())
    done = 0
    for name in sorted(manifest.parts, key=order_key):
        entry = manifest.parts[name]
        writer.write(name, entry.role, entry.size, _pieces(reader.source(name)))
        done += entry.size
        if progress is not None:
            progress(name, done, total)
    source = reader.source(DOCUMENT)
    writer.write(DOCUMENT, "manifest", source.size, _pieces(source))


def _pieces(source: ByteSource) -> Iterator[memoryview]:
    for start in range(0, source.size, SLICE_BYTES):
        yield source.view(start, min(SLICE_BYTES, source.size - start))
