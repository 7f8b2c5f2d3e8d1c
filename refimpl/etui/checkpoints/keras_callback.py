"""Series of checkpoints while a model of Keras trains, and going on from the last one (SPEC.md, annexes I and R.2)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from etui.bridges.keras.live import load as live_load
from etui.bridges.keras.live import save as live_save
from etui.bridges.keras.live import weights as live_weights
from etui.bridges.keras.live.checkpoint import BATCH, EPOCH, FitCallback, Resumed, check_frequency
from etui.bridges.keras.live.match import Matching
from etui.bridges.keras.live.moments import Moments
from etui.checkpoints.asynchronous import AsyncSaver
from etui.checkpoints.preemption import Preemption
from etui.checkpoints.retention import Retention
from etui.checkpoints.series import Series
from etui.errors import error
from etui.report import Report

STEP = "step"


class SeriesCheckpoint(FitCallback):
    """A callback of `fit` that saves steps of a series behind the training's back. For Keras 3 and tf_keras.

    A step's number is how many batches were trained on, all epochs together. Its metrics are the numbers in the logs.
    Its state has the counters ``epoch`` and ``batch``, how many epochs and then batches are complete, and ``step``.

        checkpoint = etui.keras.SeriesCheckpoint("run/checkpoints", save_freq=100)
        resumed = checkpoint.resume()
        model = resumed.model if resumed else make_model()
        model.fit(data, epochs=10, initial_epoch=resumed.initial_epoch if resumed else 0, callbacks=[checkpoint])

    An error of a write is raised from the next hook that saves, or at the end of `fit` at the latest.

    Args:
        series: a `Series`, or the place of one, which is made if it is not there.
        save_freq: ``"epoch"``, or the number of batches after which to save.
        keep: which steps stay, for the place of a series; a `Series` has its own rules.
        include: as for `etui.keras.save`.
        user: gives values of the caller's own at each save, such as the position in the data.
        asynchronous: whether the write happens in the background.
        preemption: if it is requested, the model is saved after the batch, and the training stops. Keras validates
            the model once more before it does.
        verbose: 1 to say on standard output what is done.

    Raises:
        UsageError: ``live-checkpoint``, an argument of another kind.
        RejectError, StorageError: as `Series` says.
    """

    def __init__(
        self,
        series: Series | str | os.PathLike[str],
        save_freq: str | int = EPOCH,
        *,
        keep: Retention | None = None,
        include: str = "everything",
        user: Callable[[], Mapping[str, Any]] | None = None,
        asynchronous: bool = True,
        preemption: Preemption | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__()
        check_frequency(save_freq)
        if isinstance(series, Series) and keep is not None:
            raise error("live-checkpoint", found="keep= beside a Series, which has rules of its own")
        if include not in live_save.INCLUDES:
            hint = f"Choices: {', '.join(live_save.INCLUDES)}."
            raise error("live-include", found=repr(include), hint=hint)
        self.series = series if isinstance(series, Series) else Series(series, keep=keep)
        self.save_freq = save_freq
        self.include = include
        self.verbose = verbose
        # Keras may call hooks that only count from other threads.
        self.async_safe = save_freq == EPOCH and preemption is None
        self._user = user
        self._saver = AsyncSaver(self.series) if asynchronous else None
        self._moments = Moments(include)
        self._preemption = preemption
        self._epoch = self._before = self._batches = self._since = 0
        # Of the epoch in whose middle the run was resumed: its number, and the batches that were trained on then.
        self._begun = (0, 0)
        self._stopped = False
        self._last: int | None = None

    @property
    def step(self) -> int:
        """How many batches were trained on."""
        return self._before + self._batches

    def resume(
        self, model: Any = None, *, custom_objects: Mapping[str, Any] | None = None, framework: str | None = None
    ) -> Resumed | None:
        """Go on from the latest step; `None` if there is none.

        Where that was saved in the middle of an epoch, `batch` of the result says after how many batches: leave them
        out of the data of the first epoch. Keras clears metrics when it begins one, so that those of this epoch are
        of its rest.

        Args:
            model: a live model to load into; without it, the model is made of the step's config.
            custom_objects: as for `etui.keras.load`.
            framework: as for `etui.keras.load`.

        Raises:
            EtuiError: as `etui.keras.load` and `etui.keras.load_weights`.
        """
        if self._saver is not None:
            self._saver.wait()
        latest = self.series.latest()
        if latest is None:
            return None
        report = Report()
        with latest.open() as stored:
            counters = {} if stored.state is None else stored.state.counters
            if model is None:
                model = live_load.load(
                    stored, custom_objects, compiled=True, framework=framework, strict=True, report=report
                )
            else:
                optimizer = stored.optimizer is not None
                live_weights.load_weights(
                    model, stored, Matching(), optimizer=optimizer, state=True, strict=True, report=report
                )
        epoch, batch = counters.get(EPOCH, 0), counters.get(BATCH, 0)
        self._before, self._batches, self._since = latest.number, 0, 0
        self._begun, self._last = (epoch, batch), latest.number
        report.source = f"{self.series.location}, step {latest.number}"
        return Resumed(model, epoch, batch, report.source, None, report)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002  Keras' signature
        """Refuse to train beside the steps of another run."""
        self._stopped = False
        if self._saver is not None:
            self._saver.wait()
        latest = self.series.latest()
        if latest is not None and latest.number > self.step:
            found = f"{self.series.location} with a step {latest.number}, at the beginning of step {self.step + 1}"
            raise error("live-checkpoint", found=found, hint="Call `resume` before `fit`, or take another folder.")

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Note the epoch."""
        self._before, self._batches, self._epoch = self.step, 0, epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count, and save if it is time; batches may come several at a time, and late if nothing is saved here."""
        new = max(0, batch + 1 - self._batches)
        self._batches += new
        self._since += new
        asked = self._requested()  # once: a signal that comes later than this is for the next batch
        if asked or (self.save_freq != EPOCH and self._since >= int(self.save_freq)):
            self._since = 0
            done = self._batches + (self._begun[1] if self._begun[0] == self._epoch else 0)
            steps = self.params.get("steps")
            whole = steps is not None and self._batches >= steps
            self._save({EPOCH: self._epoch + 1, BATCH: 0} if whole else {EPOCH: self._epoch, BATCH: done}, logs or {})
        if asked:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save, if saving is by epochs, unless the epoch was left in its middle."""
        if self.save_freq == EPOCH and not self._stopped:
            self._save({EPOCH: epoch + 1, BATCH: 0}, logs or {})

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Wait for the last step."""
        if self._saver is not None:
            self._saver.wait()

    def _implements_train_batch_hooks(self) -> bool:
        """What tf_keras asks; they count."""
        return True

    def _requested(self) -> bool:
        return self._preemption is not None and self._preemption.requested

    def _stop(self) -> None:
        self._stopped = True
        self._model.stop_training = True
        if self._saver is not None:
            self._saver.wait()

    def _save(self, counters: dict[str, int], logs: Mapping[str, Any]) -> None:
        if self._last == self.step:
            return  # a request came after a save at the same step
        where = f"{self.series.location}, step {self.step}"
        user = {} if self._user is None else self._user()
        told: dict[str, Any] = {"counters": {**counters, STEP: self.step}, "user": user}
        if self._saver is None:
            model = live_save.captured(self.model, where, include=self.include, strict=True, report=Report(), **told)
            self.series.save(model, self.step, metrics=_metrics(logs))
        else:
            moment = self._moments.of(self.model, where, **told)
            self._saver.save(moment, self.step, metrics=_metrics(logs))
        self._last = self.step
        if self.verbose:
            sys.stdout.write(f"\nepoch {self._epoch + 1}: step {self.step} of {self.series.location}\n")


def _metrics(logs: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in the logs; what is none, such as a matrix, is no metric of a step."""
    found = {}
    for name, value in logs.items():
        array = np.asarray(value)
        if array.ndim == 0 and array.dtype.kind in "fiuV":  # the last of them for bfloat16
            found[name] = float(array)
    return found
