"""Checkpoints while a model trains, and going on from them."""

# mypy: disable-error-code="misc, union-attr, arg-type, index"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

import etui
from etui.checkpoints import AsyncSaver, Retention, Series

from .base import (
    KERAS3,
    Refused,
    X,
    Y,
    assert_same_future,
    compiled,
    dense_model,
    everywhere,
    iterations,
    k,
    once,
    optimizer_values,
    step,
    values,
)


def fit(model: Any, callbacks: Any = (), **options: Any) -> Any:
    """Train in batches of 4, in order: two steps an epoch."""
    given = {"epochs": 1, "batch_size": 4, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, callbacks=list(callbacks), **given)


def names(place: Path) -> list[str]:
    """What is in a folder."""
    return sorted(item.name for item in place.iterdir())


@once
def every_five_epochs(place: Path) -> None:
    model = compiled(dense_model())
    # The guide's way: two batches an epoch, so ten batches are five epochs.
    checkpoint = etui.keras.ModelCheckpoint(str(place / "cp-{epoch:04d}.etui"), save_freq=5 * 2, verbose=0)
    fit(model, [checkpoint], epochs=15)
    assert names(place) == ["cp-0005.etui", "cp-0010.etui", "cp-0015.etui"]
    loaded = etui.keras.load(place / "cp-0015.etui")
    assert values(loaded) == values(model)
    assert iterations(loaded) == iterations(model) == 30
    assert iterations(etui.keras.load(place / "cp-0005.etui")) == 10


@once
def every_epoch_and_names(place: Path) -> None:
    model = compiled(dense_model(), metrics=["mae"])
    checkpoint = etui.keras.ModelCheckpoint(place / "sub" / "m-{epoch:02d}-{loss:.3f}.etui")
    history = fit(model, [checkpoint], epochs=3)
    expected = [f"m-{epoch + 1:02d}-{loss:.3f}.etui" for epoch, loss in enumerate(history.history["loss"])]
    assert names(place / "sub") == sorted(expected)
    with etui.open(place / "sub" / expected[-1]) as stored:
        assert stored.state.counters == {"epoch": 3, "batch": 0}
    with Refused("live-checkpoint"):
        etui.keras.ModelCheckpoint(place / "{nothing}.etui").path_of(0, None, {"loss": 1.0})
    for options in ({"save_freq": "hour"}, {"save_freq": 0}, {"mode": "middle"}):
        with Refused("live-checkpoint"):
            etui.keras.ModelCheckpoint(place / "m.etui", **options)


@once
def the_best_only(place: Path) -> None:
    model = compiled(dense_model())
    checkpoint = etui.keras.ModelCheckpoint(place / "best.etui", monitor="loss", save_best_only=True)
    checkpoint.set_model(model)
    model(X)
    for epoch, loss in enumerate((3.0, 2.0, 4.0, 1.0)):
        before = (place / "best.etui").stat().st_mtime_ns if epoch else 0
        checkpoint.on_epoch_end(epoch, {"loss": loss})
        with etui.open(place / "best.etui") as stored:
            assert stored.state.counters["epoch"] == (1, 2, 2, 4)[epoch]
        assert ((place / "best.etui").stat().st_mtime_ns == before) == (epoch == 2)
    assert checkpoint.best == 1.0
    # A threshold, a quantity of which more is better, and one that the metric itself says of.
    last = etui.keras.ModelCheckpoint(
        place / "none.etui", monitor="loss", save_best_only=True, initial_value_threshold=0.5
    )
    last.set_model(model)
    last.on_epoch_end(0, {"loss": 0.7})
    assert not (place / "none.etui").exists()
    for monitor, mode in (("val_accuracy", "auto"), ("score", "max")):
        path = place / f"{monitor}.etui"
        more = etui.keras.ModelCheckpoint(path, monitor=monitor, mode=mode, save_best_only=True)
        more.set_model(model)
        for epoch, value in enumerate((0.5, 0.4, 0.9)):
            more.on_epoch_end(epoch, {monitor: value})
        assert more.best == 0.9
        with etui.open(path) as stored:
            assert stored.state.counters["epoch"] == 3
            assert stored.state.residue["etui"]["checkpoint"] == {"monitor": monitor, "best": 0.9}


@everywhere
def resume_with_the_same_first_loss(place: Path) -> None:
    pattern = place / "ckpt-{epoch}.etui"
    straight = compiled(dense_model(dropout=0.3 if KERAS3 else 0.0), run_eagerly=False)
    fit(straight, [etui.keras.ModelCheckpoint(pattern)], epochs=3)
    resumed = etui.keras.resume(pattern)
    assert resumed is not None
    assert resumed.initial_epoch == 3
    assert resumed.path == str(place / "ckpt-3.etui")
    assert optimizer_values(resumed.model) == optimizer_values(straight)
    one = fit(straight, epochs=5, initial_epoch=3).history["loss"]
    two = fit(resumed.model, epochs=5, initial_epoch=resumed.initial_epoch).history["loss"]
    assert np.asarray(one).tobytes() == np.asarray(two).tobytes()
    assert len(one) == 2
    assert values(straight) == values(resumed.model)


@once
def resume_into_a_live_model(place: Path) -> None:
    pattern = place / "ckpt-{epoch}.etui"
    straight = compiled(dense_model())
    fit(straight, [etui.keras.ModelCheckpoint(pattern, save_weights_only=True)], epochs=2)
    with etui.open(place / "ckpt-2.etui") as stored:
        assert stored.manifest.profile == "checkpoint"
    model = compiled(dense_model())
    resumed = etui.keras.resume(pattern, model)
    assert resumed.model is model
    assert resumed.initial_epoch == 2
    assert_same_future(straight, model)
    assert etui.keras.resume(place / "nothing-{epoch}.etui") is None


@once
def the_latest_is_found_by_its_content(place: Path) -> None:
    model = dense_model()
    for name, epoch in (("z", 1), ("a", 12), ("m", 3)):
        etui.keras.save(model, place / f"ck-{name}.etui", counters={"epoch": epoch})
    os.utime(place / "ck-z.etui", (4e9, 4e9))
    (place / "ck-half.etui").write_bytes((place / "ck-a.etui").read_bytes()[:-200])
    report = etui.Report()
    assert etui.keras.latest_checkpoint(place / "ck-{epoch}.etui", report) == str(place / "ck-a.etui")
    assert [entry.subject for entry in report.entries] == [str(place / "ck-half.etui")]
    assert etui.keras.latest_checkpoint(place) == str(place / "ck-a.etui")
    (place / "empty").mkdir()
    assert etui.keras.latest_checkpoint(place / "empty") is None


@everywhere
def within_an_epoch(place: Path) -> None:
    model = compiled(dense_model(), k.optimizers.SGD(0.1), run_eagerly=False)
    seen = []

    class Watch(etui.keras.ModelCheckpoint):
        def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
            super()._save(epoch, batch, logs)
            seen.append((epoch, batch, iterations(self.model)))

    fit(model, [Watch(place / "b-{epoch}-{batch}.etui", save_freq=1)], epochs=2)
    assert names(place) == ["b-1-1.etui", "b-1-2.etui", "b-2-1.etui", "b-2-2.etui"]
    assert seen == [(0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4)]
    # What is saved within an epoch is the state at that batch, on every backend.
    assert [iterations(etui.keras.load(place / name)) for name in names(place)] == [1, 2, 3, 4]
    with etui.open(place / "b-2-1.etui") as stored:
        assert stored.state.counters == {"epoch": 1, "batch": 1}
    assert etui.keras.latest_checkpoint(place / "b-{epoch}-{batch}.etui") == str(place / "b-2-2.etui")


class Stop:
    """Asks for the end at a step, as a signal would."""

    def __init__(self, checkpoint: Any, at: int) -> None:
        self.checkpoint, self.at = checkpoint, at

    @property
    def requested(self) -> bool:
        """Whether the step is there."""
        return bool(self.checkpoint() >= self.at)


def trained(model: Any) -> list[bytes]:
    """The bits of all that training changes."""
    return values(model) + optimizer_values(model)


class Notes(dict[str, str]):
    """Gives values of the caller's, and is empty itself."""

    def __call__(self) -> dict[str, str]:
        return {"note": "mine"}


@everywhere
def a_series_beside_the_training(place: Path) -> None:
    model = compiled(dense_model(dropout=0.3 if KERAS3 else 0.0), run_eagerly=False)
    before = etui.keras.ModelCheckpoint(place / "b-{epoch}-{batch}.etui", save_freq=1)
    checkpoint = etui.keras.SeriesCheckpoint(place / "series", save_freq=1, user=Notes())
    history = fit(model, [before, checkpoint], epochs=3)
    series = checkpoint.series
    # Saved behind its back, each step is what was saved while the training waited.
    assert [one.number for one in series] == [1, 2, 3, 4, 5, 6]
    for number, name in enumerate(sorted(item for item in names(place) if item.endswith(".etui")), 1):
        assert trained(etui.keras.load(series[number].open())) == trained(etui.keras.load(place / name))
        with series[number].open() as stored:
            done = {"epoch": number // 2, "batch": number % 2, "step": number}
            assert stored.state.counters == done
            assert stored.state.user == {"note": "mine"}
    assert trained(etui.keras.load(series[6].open())) == trained(model)
    assert np.allclose([series[number].metrics["loss"] for number in (2, 4, 6)], history.history["loss"])
    series.verify()


@everywhere
def a_series_resumes_within_an_epoch(place: Path) -> None:
    def fresh() -> Any:
        k.utils.set_random_seed(5)
        return compiled(dense_model(dropout=0.3 if KERAS3 else 0.0), run_eagerly=False)

    straight = fresh()
    fit(straight, epochs=4)
    stopped = fresh()
    first: Any = etui.keras.SeriesCheckpoint(
        place / "series", preemption=Stop(lambda: first.step, 5), keep=Retention(last=2)
    )
    assert first.resume() is None
    fit(stopped, [first], epochs=4)
    # By epochs, and at the batch after which it was asked to stop; the epoch that was left is not complete.
    assert [one.number for one in first.series] == [4, 5]
    assert first.step == 5
    for own in (None, fresh()):
        checkpoint = etui.keras.SeriesCheckpoint(place / "series")
        resumed = checkpoint.resume(own)
        assert (resumed.initial_epoch, resumed.batch, resumed.best) == (2, 1, None)
        assert resumed.path == f"{place / 'series'}, step 5"
        assert (resumed.model is own) == (own is not None)
        assert trained(resumed.model) == trained(stopped)
    model = resumed.model
    rest = {"epochs": 3, "initial_epoch": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
    model.fit(X[4:], Y[4:], callbacks=[checkpoint], **rest)
    fit(model, [checkpoint], epochs=4, initial_epoch=3)
    assert trained(model) == trained(straight)
    assert [one.number for one in checkpoint.series] == [4, 5, 6, 8]
    with checkpoint.series[6].open() as stored:
        assert stored.state.counters == {"epoch": 3, "batch": 0, "step": 6}


@once
def a_request_that_comes_while_a_batch_ends(place: Path) -> None:
    class Late:
        """Asks to stop from its n-th answer on."""

        def __init__(self, last: int) -> None:
            self.left = last

        @property
        def requested(self) -> bool:
            """Whether that was reached."""
            self.left -= 1
            return self.left <= 0

    for last in (3, 4):
        model = compiled(dense_model())
        checkpoint: Any = etui.keras.SeriesCheckpoint(place / str(last), preemption=Late(last))
        fit(model, [checkpoint], epochs=9)
        assert checkpoint.step < 9
        assert [one.number for one in checkpoint.series][-1] == checkpoint.step


@once
def a_series_of_another_run_and_odd_arguments(place: Path) -> None:
    model = compiled(dense_model())
    series = Series(place / "series")
    fit(model, [etui.keras.SeriesCheckpoint(series)], epochs=2)
    assert [one.number for one in series] == [2, 4]
    with Refused("live-checkpoint"):
        fit(model, [etui.keras.SeriesCheckpoint(series)], epochs=2)
    assert [one.number for one in series] == [2, 4]
    # The same callback goes on counting.
    checkpoint = etui.keras.SeriesCheckpoint(series, save_freq=3, asynchronous=False, include="checkpoint", verbose=1)
    resumed = checkpoint.resume(model)
    assert resumed.initial_epoch == 2
    fit(model, [checkpoint], epochs=4, initial_epoch=2)
    fit(model, [checkpoint], epochs=6, initial_epoch=4)
    assert [one.number for one in series] == [2, 4, 7, 10]
    with series[10].open() as stored:
        assert stored.manifest.profile == "checkpoint"
    for options in ({"save_freq": 0}, {"keep": Retention(last=1)}):
        with Refused("live-checkpoint"):
            etui.keras.SeriesCheckpoint(series, **options)
    with Refused("live-include"):
        etui.keras.SeriesCheckpoint(series, include="nothing")


@once
def an_error_of_a_series_reaches_fit(place: Path) -> None:
    model = compiled(dense_model())

    class Unasked(etui.keras.SeriesCheckpoint):
        def on_train_begin(self, logs: Any = None) -> None:
            """Do not refuse to train beside the step of another run."""

    checkpoint = Unasked(place / "series", save_freq=1)
    checkpoint.series.save(etui.keras.capture(model, include="weights"), 2)
    with Refused("series-exists"):
        fit(model, [checkpoint], epochs=3)
    # It was raised by the save after it, of which nothing was begun.
    assert [one.number for one in checkpoint.series] == [1, 2]


@everywhere
def captured_as_it_is_saved(place: Path) -> None:
    model = compiled(dense_model(dropout=0.3), metrics=["mae"])
    step(model)
    for include in ("everything", "model", "config", "weights", "checkpoint"):
        options = {"include": include, "counters": {"epoch": 1}, "user": {"a": 1.5}}
        expected = etui.keras.save(model, place / "foreground.etui", **options)
        with AsyncSaver(place / "background.etui") as saver:
            saver.save(etui.keras.capture(model, **options))
            step(model)
            assert saver.wait() == expected
    with AsyncSaver(place / "live.etui") as saver:
        saver.save(model)
        before = trained(model)
        step(model)
    assert trained(etui.keras.load(place / "live.etui")) == before
    assert trained(model) != before
    with Refused("live-include"):
        etui.keras.capture(model, include="nothing")
    with Refused("live-model"):
        etui.keras.capture(object())
