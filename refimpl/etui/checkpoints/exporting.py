"""A step as an artifact of its own: the same parts, so the same identity, with every byte checked on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from etui import artifact, digest
from etui.checkpoints.known import chunks_of
from etui.checkpoints.step_reader import StepReader
from etui.containers.data_parts import Chunk, DataParts
from etui.containers.data_writer import Progress
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ArtifactWriter, ByteSource
from etui.storage.digesting import Digesting
from etui.storage.part_names import MANIFEST, order_key
from etui.storage.writing import slices

_Chunks = dict[str, tuple[DataParts, Chunk]]


def export_parts(
    reader: StepReader, writer: ArtifactWriter, progress: Progress | None = None, limits: Limits = DEFAULT_LIMITS
) -> str:
    """Write every part of a step; the caller commits.

    Args:
        reader: of the step.
        writer: takes the parts.
        progress: called as (part, bytes done, bytes in all).
        limits: refuse what is beyond these.

    Returns:
        The identity.

    Raises:
        RejectError: the step is damaged.
        StorageError: it cannot be read, or the target not written.
    """
    manifest = reader.manifest
    chunks = chunks_of(artifact.load(reader, verify=False, limits=limits))
    total = sum(entry.size for entry in manifest.parts.values())
    done = 0

    def found(chunk: Chunk, value: str) -> None:
        if value != chunk.digest:
            where = f"{chunk.part}, tensor {shown(chunk.tensor)}"
            raise error("digest-mismatch", where=where, found=f"{value}, not {chunk.digest}")

    with Digesting(found) as digesting:
        for name in sorted(manifest.parts, key=order_key):
            entry = manifest.parts[name]
            source = reader.source(name)
            if entry.digest is None:
                buffers = _data(reader, source, chunks[name], digesting)
            else:
                buffers = slices([_checked(source, entry.digest, name)])
            if progress is not None:
                buffers = _counted(buffers, name, progress, done, total)
            writer.write(name, entry.role, entry.size, buffers)
            done += entry.size
        digesting.finish()
    document = reader.source(MANIFEST).view(0, reader.source(MANIFEST).size)
    writer.write(MANIFEST, "manifest", len(document), [document])
    return digest.of(document)


def _checked(source: ByteSource, value: str, name: str) -> memoryview:
    """The bytes of a part that is no data part."""
    view = source.view(0, source.size)
    found = digest.of(view, value.partition(":")[0])
    if found != value:
        raise error("digest-mismatch", where=name, found=f"{found}, not {value}")
    return view


def _counted(
    buffers: Iterable[memoryview], name: str, progress: Progress, done: int, total: int
) -> Iterator[memoryview]:
    for buffer in buffers:
        yield buffer
        done += len(buffer)
        del buffer  # see `slices`
        progress(name, done, total)


def _data(reader: StepReader, source: ByteSource, chunks: _Chunks, digesting: Digesting[Chunk]) -> Iterator[memoryview]:
    """The bytes of a data part; its header is checked by `DataParts.header`."""
    parts, chunk = next(iter(chunks.values()))
    header = parts.header(chunk.part)
    yield from slices([source.view(0, header.size)])
    for name, entry in sorted(header.entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        size = entry.end - entry.begin
        if reader.copies:
            digesting.make_room(size)
        view = source.view(header.size + entry.begin, size)
        digesting.add(chunks[name][1], view, copied=reader.copies)
        yield from slices([view])
        del view
