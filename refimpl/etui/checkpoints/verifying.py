"""Verifying steps of a series: the artifact with every byte, and the objects that its bytes lie in (SPEC.md CS-32)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from etui import artifact, digest
from etui.checkpoints.known import chunks_of
from etui.errors import error
from etui.shortage import shortage
from etui.storage.base import ByteSource
from etui.storage.digesting import digest_threads
from etui.verification import Verification, verify_reader

if TYPE_CHECKING:
    from etui.checkpoints.step import Step
    from etui.checkpoints.step_reader import StepReader
    from etui.containers.data_writer import Progress
    from etui.storage.objects import ObjectStore

_SLICE_BYTES = 4 * 1024 * 1024


@shortage()
def verify_step(step: Step, progress: Progress | None = None, checked: set[str] | None = None) -> Verification:
    """Check every byte of a step; see `Series.verify`.

    Args:
        step: whose record was read, and so is sealed.
        progress: called as (what is checked, bytes done, bytes in all).
        checked: objects that were found good before; those of this step are added.
    """
    good = set() if checked is None else checked
    limits = step.series.limits
    with step.reader() as reader:
        found = verify_reader(reader, progress=progress, limits=limits)
        whole = set(_whole_tensors(reader, step))
        names = {name for part in step.layouts for name in reader.layout(part).objects}
        _check_objects(step.series.store, sorted(names - whole - good))
        good |= names
    return found


def _whole_tensors(reader: StepReader, step: Step) -> Iterator[str]:
    """The objects that are one tensor, whose digest is their name; they were hashed with the artifact."""
    model = artifact.load(reader, verify=False, limits=step.series.limits)
    for part, chunks in chunks_of(model).items():
        layout, sizes = reader.layout(part), reader.object_sizes(part)
        for name, (parts, chunk) in chunks.items():
            entry = parts.header(part).entries[name]
            for number, offset, size in layout.find(entry.begin, entry.end - entry.begin):
                if layout.objects[number] == chunk.digest and (offset, size) == (0, sizes[number]):
                    yield chunk.digest


def _check_objects(store: ObjectStore, names: list[str]) -> None:
    with digest_threads() as threads:
        for name, found in zip(names, threads.map(_digest, map(store.source, names), names), strict=True):
            if found != name:
                raise error("digest-mismatch", where=f"{store.location}, object {name}", found=found)


def _digest(source: ByteSource, name: str) -> str:
    hasher = digest.new(name.partition(":")[0])
    for start in range(0, source.size, _SLICE_BYTES):
        hasher.update(source.read(start, min(_SLICE_BYTES, source.size - start)))
    return f"{name.partition(':')[0]}:{hasher.hexdigest()}"
