"""Checkpoints while a model trains, and going on from the last one, for Keras 3 and tf_keras (SPEC.md, annex I)."""

from __future__ import annotations

import glob
import os
import string
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etui.artifact import open_model
from etui.bridges.keras.account import CHECKPOINT, OWN
from etui.bridges.keras.live import load as live_load
from etui.bridges.keras.live import save as live_save
from etui.bridges.keras.live import weights as live_weights
from etui.bridges.keras.live.match import Matching
from etui.errors import EtuiError, error, shown
from etui.model import Model
from etui.report import Report
from etui.storage.failures import storage_errors
from etui.storage.transaction import make_folders
from etui.storage.urls import is_url, name_of

StrPath = str | os.PathLike[str]

EPOCH, BATCH = "epoch", "batch"
_BEST = "best"
_LARGER_IS_BETTER = ("acc", "auc", "precision", "recall", "fmeasure", "f1", "r2", "iou")


class FitCallback:
    """A callback of `fit` of Keras 3 and of tf_keras, without deriving from a class of either. Its hooks do nothing.

    Attributes:
        params: of the training loop.
        save_freq: ``"epoch"``, or a number of batches.
    """

    save_freq: str | int

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that trains; the JAX backend hands its state to the variables when it is asked to."""
        synchronize = getattr(self._model, "jax_state_sync", None)
        if callable(synchronize):
            synchronize()
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the parameters of the training loop."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model that is going to train."""
        self._model = model

    def _nothing(self, *_: Any, **__: Any) -> None:
        """A hook that does nothing."""

    on_batch_begin = on_batch_end = on_train_batch_begin = on_train_batch_end = on_epoch_begin = on_epoch_end = _nothing
    on_train_begin = on_train_end = on_test_begin = on_test_end = on_predict_begin = on_predict_end = _nothing
    on_test_batch_begin = on_test_batch_end = on_predict_batch_begin = on_predict_batch_end = _nothing

    def _implements_train_batch_hooks(self) -> bool:
        """What tf_keras asks."""
        return self.save_freq != EPOCH

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False


class ModelCheckpoint(FitCallback):
    """A callback that saves the model as an artifact, in one step each time, with Keras' own arguments.

    It works with `fit` of Keras 3 and of tf_keras. An artifact also holds how many epochs were completed, for `resume`,
    and the best value of the monitored quantity.

    Args:
        filepath: path of the file, with fields such as ``{epoch:04d}``, ``{batch}`` and the names of metrics.
        monitor: name of the quantity for `save_best_only`.
        verbose: 1 to say on standard output what is done.
        save_best_only: save only when the monitored quantity is better than ever.
        save_weights_only: leave out the config; weights, optimizer and state are saved (include ``"checkpoint"``).
        mode: ``"min"``, ``"max"``, or ``"auto"``: as the metric itself says, or its name.
        save_freq: ``"epoch"``, or the number of batches after which to save.
        initial_value_threshold: the value that the first one must be better than.

    Raises:
        UsageError: ``live-checkpoint``, a `save_freq` or a `mode` of another kind.
    """

    def __init__(  # noqa: PLR0917  Keras' own arguments
        self,
        filepath: StrPath,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = EPOCH,
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        check_frequency(save_freq)
        if mode not in ("auto", "min", "max"):
            raise error("live-checkpoint", found=f"mode={shown(mode)}")
        self.filepath = os.fspath(filepath)
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.mode = mode
        self.save_freq = save_freq
        self.best = initial_value_threshold
        # Keras may call hooks that do nothing from another thread.
        self.async_safe = save_freq == EPOCH
        self._epoch = 0
        self._since = 0
        self._last_batch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002  Keras' signature
        """Note the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save, if saving is by epochs."""
        if self.save_freq == EPOCH:
            self._save(epoch, None, logs or {})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save, if saving is by batches and it is time; batches may come several at a time."""
        if not isinstance(self.save_freq, int):
            return
        new = self._last_batch is None or batch <= self._last_batch
        self._since += batch + 1 if new else batch - (self._last_batch or 0)
        self._last_batch = batch
        if self._since >= self.save_freq:
            self._since = 0
            self._save(self._epoch, batch, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: Mapping[str, Any]) -> None:
        path = self.path_of(epoch, batch, logs)
        if not self._is_due(epoch, logs, path):
            return
        with storage_errors(path):
            if not is_url(path):
                make_folders(Path(path).parent)
        # An epoch that ended is complete; one in the middle of which a batch ended is not.
        counters = {EPOCH: epoch + 1, BATCH: 0} if batch is None else {EPOCH: epoch, BATCH: batch + 1}
        kept = {} if self.best is None else {"monitor": self.monitor, _BEST: float(self.best)}
        live_save.save(
            self.model,
            path,
            include="checkpoint" if self.save_weights_only else "everything",
            counters=counters,
            user={},
            checkpoint=kept,
            shard_size=None,
            strict=True,
            report=Report(),
        )
        self._say(f"epoch {epoch + 1}: saved {path}")

    def path_of(self, epoch: int, batch: int | None, logs: Mapping[str, Any]) -> str:
        """The path with its fields filled: epochs and batches count from 1.

        Raises:
            UsageError: ``live-checkpoint``, a field that there is no quantity for.
        """
        fields: dict[str, Any] = {**({} if batch is None else {BATCH: batch + 1}), **logs, EPOCH: epoch + 1}
        try:
            return self.filepath.format(**fields)
        except (KeyError, IndexError, ValueError) as fault:
            found = f"{shown(self.filepath)}: {type(fault).__name__}: {fault}; quantities: {', '.join(fields)}"
            raise error("live-checkpoint", found=found) from fault

    def _is_due(self, epoch: int, logs: Mapping[str, Any], path: str) -> bool:
        if not self.save_best_only:
            return True
        current = logs.get(self.monitor)
        if current is None or np.ndim(current) != 0:
            warnings.warn(f"there is no number {self.monitor}, so {path} is saved as it is", stacklevel=3)
            return True
        value = float(current)
        if self.best is not None and not (value > self.best if self._maximizes() else value < self.best):
            self._say(f"epoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}")
            return False
        self.best = value
        return True

    def _maximizes(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        listed = [part for metric in self._model.metrics for part in getattr(metric, "metrics", None) or [metric]]
        for metric in listed:
            direction = getattr(metric, "_direction", None)
            if metric.name == name and direction is not None:
                return bool(direction == "up")
        return any(word in name for word in _LARGER_IS_BETTER)

    def _say(self, text: str) -> None:
        if self.verbose:
            sys.stdout.write(f"\n{text}\n")


def check_frequency(save_freq: str | int) -> None:
    """Refuse what says no time to save at.

    Raises:
        UsageError: ``live-checkpoint``.
    """
    if save_freq != EPOCH and (type(save_freq) is not int or save_freq < 1):
        raise error("live-checkpoint", found=f"save_freq={shown(save_freq)}")


@dataclass(frozen=True, slots=True)
class Resumed:
    """A training run to go on with.

    Attributes:
        model: as the checkpoint has it, training state included.
        initial_epoch: how many epochs were completed: what `fit` takes under this name.
        batch: how many batches of the next epoch were, too.
        path: of the checkpoint.
        best: the best value of the monitored quantity, for `initial_value_threshold`.
        report: of the load.
    """

    model: Any
    initial_epoch: int
    batch: int
    path: str
    best: float | None
    report: Report


def latest_checkpoint(pattern: StrPath, report: Report | None = None) -> str | None:
    """See `etui.keras.latest_checkpoint`."""
    found = []
    for path in sorted(_files(os.fspath(pattern))):
        try:
            with open_model(path) as model:
                found.append((_progress(model), path))
        except EtuiError as fault:
            if report is not None:
                report.add("document", path, "left-out", f"not a whole artifact: {fault.code}")
    return max(found)[1] if found else None


def _files(pattern: str) -> Iterator[str]:
    if is_url(pattern):
        yield from _remote_files(pattern)
        return
    if Path(pattern).is_dir() and not Path(pattern, "manifest.json").exists():
        pattern = os.path.join(glob.escape(pattern), "*.etui")  # noqa: PTH118  a pattern, not a path
    else:
        parts = string.Formatter().parse(pattern)
        pattern = "".join(glob.escape(text) + ("*" if field is not None else "") for text, field, *_ in parts)
    yield from glob.glob(pattern)  # noqa: PTH207  fields may be in the folders, too


def _remote_files(pattern: str) -> Iterator[str]:
    from etui.storage.remote_store import matching

    texts = [(glob.escape(text), field is not None) for text, field, *_ in string.Formatter().parse(pattern)]
    whole = "".join(text + "*" * has_field for text, has_field in texts)
    yield from matching(whole if name_of(pattern).endswith(".etui") else f"{whole.rstrip('/')}/*.etui")


def _progress(model: Model) -> tuple[int, int, int]:
    counters = {} if model.state is None else model.state.counters
    steps = [one.micro_step for _, one in model.optimizer.walk()] if model.optimizer is not None else []
    return counters.get(EPOCH, 0), counters.get(BATCH, 0), max(steps, default=0)


def resume(
    pattern: StrPath,
    model: Any,
    custom_objects: Mapping[str, Any] | None,
    framework: str | None,
) -> Resumed | None:
    """See `etui.keras.resume`."""
    report = Report()
    path = latest_checkpoint(pattern, report)
    if path is None:
        return None
    with open_model(path) as stored:
        epoch, batch, _ = _progress(stored)
        kept = {} if stored.state is None else stored.state.residue.get(OWN, {}).get(CHECKPOINT, {})
        holds_optimizer = stored.optimizer is not None
    best = kept.get(_BEST) if isinstance(kept, dict) else None
    if model is None:
        model = live_load.load(path, custom_objects, compiled=True, framework=framework, strict=True, report=report)
    else:
        live_weights.load_weights(
            model, path, Matching(), optimizer=holds_optimizer, state=True, strict=True, report=report
        )
    return Resumed(model, epoch, batch, path, best if isinstance(best, float) else None, report)
