"""Removing what no step of a series refers to.

What is in use is marked from all records, before anything is removed; whatever cannot be read on the way stops the
work. Where files can be locked, no writer is at work meanwhile. Elsewhere the caller has to say so, and what is younger
than a time of grace stays all the same, for a writer of whom the caller did not know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from etui import digest
from etui.checkpoints import layouts, records
from etui.containers import manifest as manifest_container
from etui.containers.fields import is_newer
from etui.errors import RejectError, UsageError, error, without_secrets
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.objects import ObjectStore

__all__ = ["GRACE", "Collected", "Pruned", "collect", "marked", "prune", "referenced", "remove_step"]

GRACE = 86_400.0
"""Seconds that an object is left alone for where the caller's word stands in place of a lock (CS-31)."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, or would do.

    Attributes:
        objects: how many were removed.
        bytes: of them.
        kept: objects that a step refers to.
        young: objects that no step refers to, and that are too young to be removed.
        dry: whether nothing was changed.
    """

    objects: int
    bytes: int
    kept: int
    young: int
    dry: bool


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of the steps of a series.

    Attributes:
        kept, dropped: numbers of steps, in order.
        collected: what was removed with them.
        dry: whether nothing was changed.
    """

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    collected: Collected
    dry: bool


def collect(
    store: ObjectStore,
    *,
    dry: bool = False,
    exclusive: bool = False,
    grace: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Collected:
    """Remove the objects that no step refers to.

    Args:
        store: of the series.
        dry: only say what would be removed.
        exclusive: the caller's word that nobody writes meanwhile, for a store without locks.
        grace: seconds for which a new object is left alone; by default `GRACE` with `exclusive`, and else none.
        limits: refuse what is beyond these.

    Raises:
        StorageError: ``series-busy``, a writer is at work, or there are no locks and no word; ``storage-failed``.
        RejectError: a step cannot be read, so that what it refers to is not known; nothing was removed.
    """
    with store.cleaning(exclusive=exclusive):
        in_use = marked(store, store.steps(), limits)
        return _sweep(store, in_use, dry=dry, grace=_grace(grace, exclusive=exclusive))


def prune(
    store: ObjectStore,
    dropped: Collection[int],
    *,
    plan: Callable[[Collection[int]], Collection[int]] | None = None,
    dry: bool = False,
    exclusive: bool = False,
    grace: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Pruned:
    """Remove steps, and the objects that none of the others refers to.

    All that may be refused is known before the first step is removed, and no object is removed before the last step is:
    whenever the process ends, each step that is left has all its objects. What a dropped step refers to is not read, so
    that a step whose record is damaged can be dropped.

    Args:
        store: of the series.
        dropped: the numbers of the steps to remove.
        plan: gets the numbers of the others, while nobody saves or prunes, and gives those to remove as well.
        dry: as for `collect`, like the others.
        exclusive: the caller's word.
        grace: seconds.
        limits: refuse what is beyond these.

    Raises:
        UsageError: ``series-step``, one of them is not there.
        EtuiError: as of `collect`; nothing was removed.
    """
    with store.cleaning(exclusive=exclusive):
        there = store.steps()
        strange = sorted(set(dropped).difference(there))
        if strange:
            raise error("series-step", where=store.location, found=", ".join(map(str, strange[:8])))
        kept = [number for number in there if number not in dropped]
        if plan is not None:
            planned = set(plan(kept))
            kept = [number for number in kept if number not in planned]
        gone = sorted(set(there).difference(kept))
        in_use = marked(store, kept, limits)
        for number in () if dry else gone:
            remove_step(store, number)
        collected = _sweep(store, in_use, dry=dry, grace=_grace(grace, exclusive=exclusive))
        return Pruned(tuple(kept), tuple(gone), collected, dry)


def remove_step(store: ObjectStore, number: int) -> None:
    """Remove the record of a step that was listed, unless another process has done so meanwhile."""
    try:
        store.remove_record(number)
    except UsageError as cause:
        if cause.code != "series-step":
            raise


def marked(store: ObjectStore, steps: Iterable[int], limits: Limits = DEFAULT_LIMITS) -> set[str]:
    """The digests of all objects that steps refer to.

    Raises:
        RejectError: a step cannot be read; a note says which one.
        StorageError: ``storage-failed``.
    """
    found: set[str] = set()
    known: set[str] = set()
    for number in steps:
        try:
            for name in referenced(store, number, limits, known, exact=True):
                found.add(name)
        except RejectError as fault:
            fault.add_note(
                f"in {without_secrets(store.location)}, step {number}, without which nobody knows what is in use"
            )
            raise
        except UsageError as cause:
            # Another process may remove a step at any moment; then nothing is in use for it.
            if cause.code != "series-step" or number in store.steps():
                raise
    return found


def referenced(
    store: ObjectStore,
    step: int,
    limits: Limits = DEFAULT_LIMITS,
    known: set[str] | None = None,
    *,
    exact: bool = False,
) -> Iterator[str]:
    """The digests of the objects that a step refers to, some of them more than once.

    A manifest and a layout are held against their digests: one changed bit in them would let go of what is in use.

    Args:
        store: of the series.
        step: its number.
        limits: refuse what is beyond these.
        known: manifests and layouts that were read, and whose objects are not wanted again; new ones are added.
        exact: refuse a document of a newer minor version, which may refer to objects in fields that are not known here.

    Raises:
        UsageError: ``series-step``.
        RejectError: its record, its manifest or a layout cannot be read.
    """
    seen = set() if known is None else known
    record = records.decode(store.record(step), step, limits)
    _check_version(record.newer and exact, f"steps/{step}.json")
    for name in record.layouts.values():
        yield name
        if name not in seen:
            layout = layouts.decode(
                _document(store, name, layouts.MOST_BYTES, "limit-pieces"), f"layout {name}", limits
            )
            _check_version(layout.newer and exact, f"layout {name}")
            yield from layout.objects
            seen.add(name)
    yield record.identity
    if record.identity not in seen:
        content = _document(store, record.identity, limits.document_bytes, "limit-document")
        manifest = manifest_container.decode(content, limits)
        _check_version(exact and is_newer(manifest.version, record.identity), record.identity)
        if record.layouts.keys() != manifest.data_parts().keys():
            raise error("series-layout", where=f"steps/{step}.json", found=f"layouts of {sorted(record.layouts)[:8]}")
        for entry in manifest.parts.values():
            yield from (name for name in (entry.digest, entry.header_digest) if name is not None)
        seen.add(record.identity)


def _check_version(unknown: bool, where: str) -> None:
    if unknown:
        found = "a newer minor version, which may refer to objects in fields that are not known here"
        raise error("version-unsupported", where=where, found=found)


def _document(store: ObjectStore, name: str, most: int, code: str) -> bytes:
    """The bytes of an object that names others; more than `most` are refused with a code."""
    source = store.source(name)
    if source.size > most:
        raise error(code, where=name, found=f"{source.size} bytes")
    data = source.read(0, source.size)
    found = digest.of(data, name.partition(":")[0])
    if found != name:
        raise error("digest-mismatch", where=name, found=found)
    return data


def _grace(grace: float | None, *, exclusive: bool) -> float:
    if grace is not None:
        return grace
    return GRACE if exclusive else 0.0


def _sweep(store: ObjectStore, in_use: Collection[str], *, dry: bool, grace: float) -> Collected:
    """Remove what is not in use, and old enough."""
    latest = time.time() - grace
    removed = size = kept = young = 0
    for found in list(store.objects()):
        if found.digest in in_use:
            kept += 1
        elif grace > 0 and found.modified > latest:
            young += 1
        else:
            if not dry:
                store.remove(found.digest)
            removed += 1
            size += found.size
    return Collected(removed, size, kept, young, dry)
