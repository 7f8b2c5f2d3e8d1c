"""Checkpoints while a model trains, and going on from them."""

# mypy: disable-error-code="misc, union-attr, arg-type, index"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

import etui

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
