"""What a user may do by mistake, and what happens to files then."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np

import etui

from .base import KERAS3, Refused, X, Y, compiled, dense_model, k, once, values


@once
def names_of_other_formats(place: Path) -> None:
    model = dense_model()
    for name in ("model.keras", "model.h5", "model.weights.H5"):
        with Refused("live-target"):
            etui.keras.save(model, place / name)
    assert not list(place.iterdir())


@once
def arguments_of_another_kind(place: Path) -> None:
    model = dense_model()
    numpys: Any = np.int64(3)
    etui.keras.save(model, place / "model.etui", counters={"epoch": numpys})
    before = (place / "model.etui").read_bytes()
    with etui.open(place / "model.etui") as stored:
        assert stored.state is not None
        assert stored.state.counters["epoch"] == 3
    wrong: Any
    for wrong in (-1, 1.5, True, "3", 2**64):
        with Refused("live-checkpoint"):
            etui.keras.save(model, place / "model.etui", counters={"epoch": wrong})
    layer: Any = k.layers.Dense(2)
    for call in (
        lambda: etui.keras.save(layer, place / "model.etui"),
        lambda: etui.keras.clone(layer),
        lambda: etui.keras.load_weights(layer, place / "model.etui"),
    ):
        with Refused("live-model"):
            call()
    with Refused("live-include") as refused:
        etui.keras.load(place / "model.etui", layer)
    assert "map" in refused.text
    assert (place / "model.etui").read_bytes() == before


@once
def a_full_disk_and_an_interrupt(place: Path) -> None:
    small, large = dense_model(), dense_model(units=30000)
    path = place / "model.etui"
    etui.keras.save(small, path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with Refused("storage-failed"):
            etui.keras.save(large, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [found.name for found in place.iterdir()] == ["model.etui"]
    with etui.open(path) as stored:
        assert stored.weights is not None
        read = stored.weights["head/kernel"].tensor

        def interrupted() -> Any:
            raise KeyboardInterrupt

        stored.weights["head/kernel"].tensor = etui.Tensor.lazy(read.dtype, read.shape, interrupted)
        try:
            etui.save(stored, place / "other.etui")
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError
    assert [found.name for found in place.iterdir()] == ["model.etui"]


@once
def a_file_that_forgot_its_optimizer(place: Path) -> None:
    model = compiled(dense_model())
    model.fit(X, Y, verbose=0)
    model.save(place / "model.h5")
    model.save(place / "model.keras")  # Keras 3 leaves the optimizer out of this one's config, not out of its weights
    again = compiled(dense_model())
    report = etui.keras.load_weights(again, place / "model.keras")
    assert report.ok
    assert values(again) == values(model)
    left = [entry for entry in report.entries if entry.kind == "stored variable" and entry.status == "left-out"]
    assert bool(left) is KERAS3


@once
def the_reason_of_the_framework_is_told(place: Path) -> None:
    class Scaling(k.layers.Layer):  # type: ignore[misc]
        def __init__(self, scale: float = 2.0, **options: Any) -> None:
            super().__init__(**options)
            self.scale = scale

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "scale": self.scale}

    class Other(k.layers.Layer):  # type: ignore[misc]
        pass

    etui.keras.save(k.Sequential([k.Input((4,)), Scaling(3.0, name="mine")]), place / "model.etui")
    with Refused("live-build") as refused:
        etui.keras.load(place / "model.etui", {"Scaling": Other})
    assert "scale" in refused.text
    assert len(refused.text) < 1500
