"""Series of checkpoints: steps that share what did not change, each an artifact of its own (SPEC.md annex Q).

series = etui.checkpoints.Series("run/checkpoints")
series.save(model, step=1000, metrics={"val_loss": 0.25})
with series.latest().open() as model: …
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex, overload

from etui import artifact
from etui.checkpoints import garbage, records
from etui.checkpoints.data_objects import Known
from etui.checkpoints.known import known_of
from etui.checkpoints.records import Record
from etui.checkpoints.retention import Mode, Retention, ranked
from etui.checkpoints.step import Step
from etui.checkpoints.step_writer import StepWriter
from etui.checkpoints.verifying import verify_step
from etui.errors import RejectError, StorageError, UsageError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.locating import naming
from etui.model import Model
from etui.report import Report
from etui.shortage import shortage
from etui.storage.object_stores import open_store
from etui.storage.objects import ObjectStore, step_number

if TYPE_CHECKING:
    from etui.checkpoints.garbage import Collected, Pruned
    from etui.containers.data_writer import Progress
    from etui.verification import Verification

__all__ = ["Series", "Step"]


class Series:
    """The checkpoints of a training run, in a folder or below a URL. One object may be used by several threads.

    Args:
        location: the folder, the URL, or an object store.
        keep: which steps stay after each save; by default all.
        create: make a series in a folder that is empty or missing; without it, such a folder is refused.
        limits: refuse what is beyond these.

    Attributes:
        location: the place, for messages.
        store: the objects and records.
        keep, limits: as given.

    Raises:
        InvalidError: ``series-form``, it is no series.
        StorageError: ``target-not-etui``, something else is there; ``storage-failed``.
        UsageError: ``series-retention``, `keep` is no `Retention`.
    """

    def __init__(
        self,
        location: str | os.PathLike[str] | ObjectStore,
        *,
        keep: Retention | None = None,
        create: bool = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        _check_rules(keep)
        self.store = open_store(location, create=create)
        self.location = self.store.location
        self.keep = keep
        self.limits = limits
        self._saving = Lock()
        self._known: tuple[int, bytes, Known] | None = None

    @shortage()
    def save(
        self,
        model: Model | Any,
        step: SupportsIndex,
        *,
        metrics: Mapping[str, SupportsFloat] | None = None,
        replace: bool = False,
        shard_size: int | None = None,
        progress: Progress | None = None,
        time: datetime | None = None,
    ) -> Step:
        """Save a model as a step. It is there as a whole when this returns, or not at all.

        Only what no earlier step holds is written. Where the series keeps some steps only, the others are removed then,
        but never the one that was just saved; where they cannot be removed, a warning says why.

        Args:
            model: an `etui.Model`, or a live model of Keras; its arrays must not change before this returns.
            step: its number, from 0 to 2^53 - 1.
            metrics: name -> number, for `best` and for people.
            replace: replace a step of that number, in place of refusing it.
            shard_size: bytes of data in one data part at most, as `etui.save` takes it.
            progress: called as (part, bytes done, bytes in all).
            time: the moment that the record names, in local time if it has no time zone; by default now.

        Raises:
            UsageError: ``series-number``, ``series-metric``, ``series-exists``, ``live-model``.
            RejectError: the model breaks a clause of SPEC.md; nothing was changed.
            StorageError: the series cannot be written; every step is as it was.
        """
        number = step_number(step)
        numbers = records.check_metrics(metrics or {})
        moment = records.time_text(time or datetime.now(UTC))
        neutral = _neutral(model)
        record = Record(number, "", {}, numbers, moment)
        try:
            with self._saving:
                saved = self._save(neutral, record, replace=replace, shard_size=shard_size, progress=progress)
                self.retire(number)
        finally:
            if neutral is not model:
                neutral.close()
        return saved

    def steps(self) -> list[Step]:
        """All steps, by number.

        Raises:
            RejectError: a record is damaged.
            StorageError: the series cannot be read.
        """
        found = (self._find(number) for number in self.store.steps())
        return [step for step in found if step is not None]

    def latest(self) -> Step | None:
        """The step with the highest number; `None` if there is none."""
        found = (self._find(number) for number in reversed(self.store.steps()))
        return next((step for step in found if step is not None), None)

    def best(self, metric: str, mode: Mode = "min") -> Step | None:
        """The step whose metric is best; of equal ones the earliest; `None` if no step has it.

        Args:
            metric: its name; a step without it takes no part, nor does one whose value is NaN.
            mode: whether ``"min"`` or ``"max"`` is best.

        Raises:
            UsageError: ``series-retention``, there is no such mode.
            RejectError: a record is damaged.
        """
        return next(iter(ranked(self.steps(), metric, mode)), None)

    def prune(
        self,
        keep: Retention | None = None,
        *,
        drop: Collection[SupportsIndex] = (),
        dry: bool = False,
        exclusive: bool = False,
    ) -> Pruned:
        """Remove the steps that no rule keeps, and the objects that no other step refers to.

        Args:
            keep: the rules; by default those of the series, and all steps if it has none. A metric that no step has is
                refused here, so that a slip of the pen removes nothing.
            drop: numbers of steps to remove whatever the rules say.
            dry: change nothing, and say what would be removed.
            exclusive: your word that nobody writes meanwhile, for a place without locks.

        Raises:
            UsageError: ``series-step``, one of `drop` is not there; ``series-number``, ``series-retention``.
            StorageError: ``series-busy``, somebody writes; ``storage-failed``.
            RejectError: a step that stays cannot be read; nothing was removed.
        """
        _check_rules(keep)
        rules = keep or self.keep
        plan = None if rules is None else partial(self._superfluous, rules, strict=keep is not None)
        dropped = set(map(step_number, drop))
        return garbage.prune(self.store, dropped, plan=plan, dry=dry, exclusive=exclusive, limits=self.limits)

    def collect(self, *, dry: bool = False, exclusive: bool = False, grace: float | None = None) -> Collected:
        """Remove the objects that no step refers to.

        Args:
            dry: change nothing, and say what would be removed.
            exclusive: your word that nobody writes meanwhile, for a place without locks.
            grace: seconds for which a new object is left alone there; by default a day.

        Raises:
            StorageError: ``series-busy``, somebody writes; ``storage-failed``.
            RejectError: a step cannot be read, so that what it needs is not known; nothing was removed.
        """
        return garbage.collect(self.store, dry=dry, exclusive=exclusive, grace=grace, limits=self.limits)

    def retire(self, saved: int) -> None:
        """Keep the rules of the series, if it has any, after a save: what `save` does at its end.

        The step that was just saved is there whatever becomes of the others, and whatever the rules say of it. Where
        others are at work, the records go, and the objects are left to a later collection.

        Args:
            saved: number of that step.
        """
        if self.keep is None:
            return
        plan = partial(self._superfluous, self.keep, saved=saved)
        try:
            dropped = plan(self.store.steps())
            if not dropped:
                return
            try:
                garbage.prune(self.store, (), plan=plan, limits=self.limits)
            except StorageError as cause:
                if cause.code != "series-busy":
                    raise
                for number in dropped:
                    garbage.remove_step(self.store, number)
        except (RejectError, StorageError) as cause:
            text = f"step {saved} was saved, and others that the rules drop were not removed: {cause}"
            warnings.warn(text, stacklevel=4)

    def remove(self, step: SupportsIndex) -> None:
        """Remove a step; `collect` or `prune` removes the objects that nothing refers to then.

        Raises:
            UsageError: ``series-step``, it is not there.
            StorageError: ``storage-failed``.
        """
        self.store.remove_record(step_number(step))

    @overload
    def verify(self, step: SupportsIndex, *, progress: Progress | None = None) -> Verification: ...

    @overload
    def verify(self, step: None = None, *, progress: Progress | None = None) -> list[Verification]: ...

    def verify(
        self, step: SupportsIndex | None = None, *, progress: Progress | None = None
    ) -> Verification | list[Verification]:
        """Check every byte of a step, or of all: records, documents, tensors, and the objects that they lie in.

        Args:
            step: its number; by default all steps.
            progress: called as (what is checked, bytes done, bytes in all), for each step.

        Returns:
            What was found good of the step, or of each.

        Raises:
            UsageError: ``series-step``, it is not there.
            RejectError: a byte was changed, or a clause of SPEC.md is broken.
            StorageError: the series cannot be read.
        """
        if step is not None:
            return verify_step(self[step], progress)
        return [found for _, found in self.verified(progress)]

    def verified(self, progress: Progress | None = None) -> Iterator[tuple[Step, Verification]]:
        """Verify all steps one by one, as `verify` does; those that others remove or replace meanwhile are left out."""
        checked: set[str] = set()
        for step in self.steps():
            try:
                yield step, verify_step(step, progress, checked)
            except RejectError:
                if self._find(step.number) == step:
                    raise

    def __len__(self) -> int:
        return len(self.store.steps())

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps())

    def __contains__(self, step: object) -> bool:
        return step in self.store.steps()

    def __getitem__(self, step: SupportsIndex) -> Step:
        """The step of a number.

        Raises:
            UsageError: ``series-step``, it is not there.
            RejectError: its record is damaged.
        """
        number = step_number(step)
        with naming(f"{self.location}/steps/{number}.json"):
            record = records.decode(self.store.record(number), number, self.limits)
        return Step(record.step, record.identity, record.time, record.metrics, record.layouts, self)

    def __repr__(self) -> str:
        return f"Series({self.location!r})"

    def _find(self, step: int) -> Step | None:
        """A step that was listed; `None` if it was removed meanwhile."""
        try:
            return self[step]
        except UsageError as cause:
            if cause.code != "series-step":
                raise
            return None

    def _save(
        self, model: Model, record: Record, *, replace: bool, shard_size: int | None, progress: Progress | None
    ) -> Step:
        """Write the objects and then the record, while nobody collects garbage."""
        data = b""

        def publish(identity: str, layouts: dict[str, str]) -> None:
            nonlocal record, data
            record = dataclasses.replace(record, identity=identity, layouts=layouts)
            data = records.encode(record)
            self.store.put_record(record.step, data, replace=replace)

        with self.store.writing():
            there = self.store.steps()
            if record.step in there and not replace:
                raise error("series-exists", where=self.location, found=f"step {record.step}")
            with StepWriter(self.store, self._current(there), publish, self.limits) as writer:
                artifact.write(model, writer, shard_size=shard_size, progress=progress, limits=self.limits)
                writer.commit()
            self._known = (record.step, data, writer.known())
        return Step(record.step, record.identity, record.time, record.metrics, record.layouts, self, writer.new_bytes)

    def _current(self, there: list[int]) -> Known:
        """What a new step may refer to: the last one saved here, if it is still there, and else the latest."""
        if self._known is not None:
            number, data, known = self._known
            if number in there and self._record(number) == data:
                return known
        found = self._record(there[-1]) if there else None
        if found is None:
            return Known()
        try:
            record = records.decode(found, there[-1], self.limits)
        except RejectError:
            return Known()
        return known_of(self.store, record, self.limits)

    def _record(self, step: int) -> bytes | None:
        """The record of a step that was listed; `None` if it cannot be had, as when it was removed meanwhile."""
        try:
            return self.store.record(step)
        except (RejectError, UsageError):
            return None

    def _superfluous(
        self, keep: Retention, numbers: Collection[int], *, saved: int | None = None, strict: bool = False
    ) -> list[int]:
        """Those of some steps that no rule keeps, but for one that was just saved; `strict`, each rule has to apply."""
        found = [step for step in map(self._find, numbers) if step is not None]
        measured = {name for step in found for name in step.metrics}
        for rule in keep.rules if strict and found else ():
            if rule.metric not in measured:
                hint = f"The steps have {', '.join(sorted(measured)[:8]) or 'no metrics'}."
                raise error("series-retention", where=rule.metric, found="a metric that no step has", hint=hint)
        return [step.number for step in keep.plan(found).dropped if step.number != saved]


def _check_rules(keep: object) -> None:
    """Refuse other rules before anything is done for them."""
    if keep is not None and not isinstance(keep, Retention):
        raise error("series-retention", found=shown(keep), hint="Pass a Retention, such as Retention(last=3).")


def _neutral(model: Any) -> Model:
    """The model itself, or what a live one of Keras is.

    Raises:
        UsageError: ``live-model``, it is neither.
    """
    if isinstance(model, Model):
        return model
    from etui.bridges.keras.live.framework import framework_of
    from etui.bridges.keras.live.save import captured

    if framework_of(model) is None:
        raise error("live-model", found=shown(type(model).__qualname__), hint="Pass an etui.Model or a Keras model.")
    return captured(model, "an etui.Model", include="everything", counters={}, user={}, strict=True, report=Report())
