"""A step of a series that several processes write: each stores its objects, and one of them writes the record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from etui import artifact
from etui.checkpoints import layouts, records
from etui.checkpoints.data_objects import Known
from etui.checkpoints.known import known_of
from etui.checkpoints.places import FolderPlace, Place, Plans, Written, WrittenPart
from etui.checkpoints.records import Record
from etui.checkpoints.series import Series
from etui.checkpoints.step_writer import StepWriter
from etui.containers.data_writer import DataPlan, WrittenData
from etui.errors import RejectError, error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.storage.base import ArtifactWriter
from etui.storage.object_stores import open_store
from etui.storage.objects import ObjectStore, step_number


class SeriesPlace:
    """A step to be. The coordinator makes it with `begin`; the others open the series by what `to_json` says.

    From `begin` to the commit the coordinator holds the lock of a writer, so that no garbage is collected.
    """

    def __init__(self, store: ObjectStore, limits: Limits = DEFAULT_LIMITS) -> None:
        self._store = store
        self._limits = limits
        self._series: Series | None = None
        self._record: Record | None = None
        self._replace = False
        self._locks = ExitStack()

    @classmethod
    def begin(
        cls,
        series: Series | str | os.PathLike[str],
        step: int,
        *,
        metrics: Mapping[str, float] | None = None,
        replace: bool = False,
        time: datetime | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Self:
        """The coordinator's place; the arguments are those of `Series.save`.

        Raises:
            UsageError: ``series-number``, ``series-metric``, ``series-exists``.
            StorageError: ``series-busy``, ``storage-failed``.
        """
        step = step_number(step)
        found = series if isinstance(series, Series) else Series(series, limits=limits)
        moment = records.time_text(time or datetime.now(UTC))
        place = cls(found.store, limits)
        place._series, place._replace = found, replace
        place._record = Record(step, "", {}, records.check_metrics(metrics or {}), moment)
        place._locks.enter_context(found.store.writing())
        if step in found.store.steps() and not replace:
            place.abort()
            raise error("series-exists", where=found.location, found=f"step {step}")
        return place

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], limits: Limits = DEFAULT_LIMITS) -> Self:
        """The place of another process that this one writes into."""
        return cls(open_store(tree["series"], create=False), limits)

    def to_json(self) -> dict[str, Any]:
        """See `Place.to_json`."""
        # A path may have been given below a working folder that is another one by now, or for the others.
        return {"series": str(getattr(self._store, "root", self._store.location))}

    def parts_writer(self) -> RankWriter:
        """See `Place.parts_writer`."""
        return RankWriter(self._store, self._limits)

    def said(self, writer: ArtifactWriter) -> dict[str, str]:
        """See `Place.said`: the layouts of the data parts."""
        assert isinstance(writer, RankWriter)  # noqa: S101  it is what `parts_writer` gave
        return dict(writer.layouts)

    def commit(self, model: Model, plans: Plans, written: Written, limits: Limits = DEFAULT_LIMITS) -> str:
        """See `Place.commit`."""
        (record, self._record), series = (self._record, None), self._series
        if record is None or series is None:
            raise error(
                "distributed-misuse", where=self._store.location, found="a commit by another than the coordinator"
            )

        def publish(identity: str, layouts: dict[str, str]) -> None:
            self._store.put_record(
                record.step, records.encode(replace(record, identity=identity, layouts=layouts)), replace=self._replace
            )

        with self._locks, _Committing(self._store, Known(), publish, limits) as writer:
            writer.written = written
            identity = artifact.write(model, writer, plans=plans, limits=limits)
            writer.commit()
        series.retire(record.step)
        return identity

    def abort(self) -> None:
        """See `Place.abort`: what was stored is garbage, and no step knows of it."""
        self._locks.close()


class RankWriter(StepWriter):
    """Stores the data parts of one process; a later step of this process's part refers to what did not change."""

    def __init__(self, store: ObjectStore, limits: Limits) -> None:
        self._locks = ExitStack()
        self._locks.enter_context(store.writing())
        try:
            super().__init__(store, _latest(store, limits), _nothing, limits)
        except BaseException:
            self._locks.close()
            raise

    @property
    def layouts(self) -> Mapping[str, str]:
        """Data part -> digest of its layout."""
        return self._layouts

    def commit(self) -> None:
        """Make the objects durable."""
        self._state = "committing"
        self._publish()
        self._state = "committed"

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._locks:
            super().__exit__(kind, value, trace)


class _Committing(StepWriter):
    """Takes data parts that others have stored, and writes the rest."""

    written: Written | None = None

    def write_data(self, data: DataPlan, *_: object) -> WrittenData:
        """What the processes have written."""
        if self.written is None:
            raise error("distributed-misuse", where=self.location, found="documents before the data is known")
        laid: dict[str, str] = {}
        for said in self.written.extra.values():
            laid |= said or {}
        made_as = {name: planned for planned, name in self.written.names.items()}
        for name in sorted(data.shards):
            self._check(name, "data")
            self._written += 1
            self._layouts[name] = laid.get(made_as[name], "")
            self._look_at(made_as[name], self._layouts[name], self.written.parts[name])
        return self.written.of(data)

    def _look_at(self, part: str, layout: str, said: WrittenPart) -> None:
        """Refuse a data part that the process that said so did not store.

        Raises:
            IntegrityError: ``part-missing``, ``part-size``.
        """
        where = f"{self.location}, {part}"
        if not layout:
            raise error("part-missing", where=where, found="no layout")
        needed = {layout: 0, said.header_digest: said.header_size}
        if self._store.size_of(layout) is not None:
            source = self._store.source(layout)
            content = layouts.decode(source.read(0, source.size), part, self._limits)
            if content.size != said.size - said.header_size:
                found = f"{content.size} bytes in pieces, not {said.size - said.header_size}"
                raise error("part-size", where=where, found=found)
            needed |= dict(zip(content.objects, content.reach(), strict=True))
        for name, least in needed.items():
            size = self._store.size_of(name)
            if size is None:
                raise error("part-missing", where=where, found=f"no {name}")
            if size < least:
                raise error("part-size", where=where, found=f"{size} bytes, not {least}, in {name}")


def _latest(store: ObjectStore, limits: Limits) -> Known:
    """What the latest step holds."""
    steps = store.steps()
    if not steps:
        return Known()
    try:
        record = records.decode(store.record(steps[-1]), steps[-1], limits)
    except RejectError:
        return Known()
    return known_of(store, record, limits)


def _nothing(identity: str, layouts: dict[str, str]) -> None:
    """A process that is not the coordinator makes no record."""


def place_of(tree: Mapping[str, Any], limits: Limits = DEFAULT_LIMITS) -> Place:
    """The place that a coordinator's `to_json` describes."""
    if "folder" in tree:
        return FolderPlace.from_json(tree, limits)
    return SeriesPlace.from_json(tree, limits)
