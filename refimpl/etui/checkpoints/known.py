"""What a step that is in the series holds, read from the series itself: so a later step can refer to it."""

from __future__ import annotations

from etui import artifact
from etui.checkpoints.data_objects import OBJECT_BYTES, Known
from etui.checkpoints.records import Record
from etui.checkpoints.step_reader import StepReader
from etui.containers.data_parts import Chunk, DataParts
from etui.containers.pieces import Stored
from etui.errors import RejectError
from etui.garbage import no_garbage
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.storage.objects import ObjectStore


@no_garbage()
def known_of(store: ObjectStore, record: Record, limits: Limits = DEFAULT_LIMITS) -> Known:
    """The objects of a step that are there, and its small tensors; nothing of a step that cannot be read."""
    found = Known()
    try:
        with StepReader(store, record, limits) as reader:
            model = artifact.load(reader, verify=False, limits=limits)
            for part, chunks in chunks_of(model).items():
                _add(found, store, reader, part, chunks)
    except RejectError:
        # A damaged step is no reason to lose the next one, which is then written whole.
        return Known()
    return found


def _add(
    found: Known, store: ObjectStore, reader: StepReader, part: str, chunks: dict[str, tuple[DataParts, Chunk]]
) -> None:
    layout = reader.layout(part)
    sizes = [store.size_of(name) for name in layout.objects]
    for (name, size), reach in zip(zip(layout.objects, sizes, strict=True), layout.reach(), strict=True):
        if size is not None and size >= reach:
            found.objects[name] = size
    for tensor, (parts, chunk) in chunks.items():
        entry = parts.header(part).entries[tensor]
        size = entry.end - entry.begin
        if not 0 < size < OBJECT_BYTES:
            continue
        pieces = list(layout.find(entry.begin, size))
        if len(pieces) == 1 and layout.objects[pieces[0][0]] in found.objects:
            found.small[chunk.digest] = (layout.objects[pieces[0][0]], pieces[0][1])


def chunks_of(model: Model) -> dict[str, dict[str, tuple[DataParts, Chunk]]]:
    """The chunks of a model that was opened: data part -> tensor in it -> the data parts, and the chunk."""
    found: dict[str, dict[str, tuple[DataParts, Chunk]]] = {}
    for _, name, tensor in model.stored_tensors():
        for _, plain in tensor.physical(name):
            for piece in plain.pieces:
                source = piece.source
                if isinstance(source, Stored):
                    found.setdefault(source.chunk.part, {})[source.chunk.tensor] = (source.parts, source.chunk)
    return found
