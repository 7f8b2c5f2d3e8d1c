"""Defects of Keras 3.15.1 and tf_keras 2.21 that users of Etui do not meet."""

# mypy: disable-error-code="misc, union-attr, arg-type, index"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import etui

from .base import (
    KERAS3,
    Refused,
    X,
    Y,
    array,
    assert_same_future,
    compiled,
    dense_model,
    everywhere,
    iterations,
    k,
    once,
    optimizer_values,
    predict,
    step,
    values,
)


@everywhere
def losses_keep_their_arguments(place: Path) -> None:
    made = [k.losses.Huber(delta=0.05), k.losses.CosineSimilarity(axis=0), k.losses.Huber(delta=1.0)]
    for at, loss in enumerate(made):
        model = compiled(dense_model(), loss=loss, metrics=[k.metrics.CosineSimilarity(axis=0, name="cosine")])
        step(model)
        etui.keras.save(model, place / f"{at}.etui")
        assert_same_future(model, etui.keras.load(place / f"{at}.etui"))
    model = compiled(dense_model(), loss={"head": k.losses.Huber(delta=0.05)} if KERAS3 else [made[0]])
    step(model)
    etui.keras.save(model, place / "nested.etui")
    assert_same_future(model, etui.keras.load(place / "nested.etui"))


@once
def the_optimizer_survives_an_h5(place: Path) -> None:
    model = compiled(dense_model(), k.optimizers.SGD(0.1, momentum=0.9))
    step(model, steps=2)
    model.save(place / "legacy.h5")
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert type(loaded.optimizer).__name__ == "SGD"
    assert iterations(loaded) == 2
    assert_same_future(model, loaded)


@everywhere
def metrics_go_on(place: Path) -> None:
    model = compiled(dense_model(), metrics=["mae", "accuracy"], run_eagerly=False)
    step(model, steps=3)
    etui.keras.save(model, place / "model.etui")
    with etui.open(place / "model.etui") as stored:
        assert stored.state.metrics
    report = etui.Report()
    loaded = etui.keras.load(place / "model.etui", report=report)
    assert [entry for entry in report.entries if entry.status == "reset"] == []
    before = {metric.name: array(metric.variables[0]) for metric in loaded.metrics if len(metric.variables)}
    assert before
    assert any(value.any() for value in before.values())
    # Keras' train_on_batch starts its metrics anew where it is told to; here they go on from the stored state.
    one, two = (
        ([float(value) for value in m.get_metrics_result().values()] for m in (model, loaded))
        if KERAS3
        else ([float(metric.result()) for metric in m.metrics] for m in (model, loaded))
    )
    assert one == two
    assert_same_future(model, loaded)


@once
def metrics_of_several_outputs(place: Path) -> None:
    def made() -> Any:
        inputs = k.Input((4,))
        hidden = k.layers.Dense(3, name="hidden")(inputs)
        first = k.layers.Dense(2, name="first")(hidden)
        second = k.layers.Dense(3, activation="softmax", name="second")(hidden)
        model = k.Model(inputs, [first, second])
        losses = ["mse", "sparse_categorical_crossentropy"]
        return compiled(model, loss=losses, metrics=[["mae"], ["accuracy"]])

    model = made()
    y = [Y, np.arange(8).reshape(8, 1) % 3]
    step(model, y=y, steps=2)
    etui.keras.save(model, place / "model.etui")
    report = etui.Report()
    loaded = etui.keras.load(place / "model.etui", report=report)
    assert [entry for entry in report.entries if entry.status == "reset"] == []
    assert values(model) == values(loaded)
    assert step(model, y=y, steps=3) == step(loaded, y=y, steps=3)


@everywhere
def flags_of_single_variables(place: Path) -> None:
    if not KERAS3:
        return
    model = dense_model()
    model.get_layer("hidden").bias.trainable = False
    compiled(model)
    step(model, steps=2)
    etui.keras.save(model, place / "model.etui")
    with etui.open(place / "model.etui") as stored:
        assert not stored.weights["hidden/bias"].trainable
        assert stored.weights["hidden/kernel"].trainable
    loaded = etui.keras.load(place / "model.etui")
    assert not loaded.get_layer("hidden").bias.trainable
    assert [v.path for v in loaded.trainable_variables] == [v.path for v in model.trainable_variables]
    assert_same_future(model, loaded)


@once
def names_that_keras_counts(place: Path) -> None:
    def auto() -> Any:
        inputs = k.Input((4,))
        return k.Model(inputs, k.layers.Dense(4)(k.layers.Dense(4)(inputs)))

    one, two = auto(), auto()
    assert one.layers[1].name != two.layers[1].name
    etui.keras.save(one, place / "a.etui", include="weights")
    before = values(two)
    with Refused("live-nothing"):
        etui.keras.load_weights(two, place / "a.etui")
    assert values(two) == before
    etui.keras.load_weights(two, place / "a.etui", match="order")
    assert values(one) == values(two)


@once
def swapped_layers(place: Path) -> None:
    def made(first: str, second: str) -> Any:
        inputs = k.Input((4,))
        return k.Model(inputs, k.layers.Dense(4, name=second)(k.layers.Dense(4, name=first)(inputs)))

    one, two = made("left", "right"), made("right", "left")
    etui.keras.save(one, place / "a.etui", include="weights")
    etui.keras.load_weights(two, place / "a.etui")
    for name in ("left", "right"):
        assert array(one.get_layer(name).kernel).tobytes() == array(two.get_layer(name).kernel).tobytes()


@everywhere
def unfrozen_after_compile(place: Path) -> None:
    model = dense_model()
    model.get_layer("hidden").trainable = False
    compiled(model)
    step(model, steps=3)
    state = optimizer_values(model)
    model.get_layer("hidden").trainable = True
    etui.keras.save(model, place / "model.etui")
    report = etui.Report()
    loaded = etui.keras.load(place / "model.etui", report=report)
    assert optimizer_values(loaded) == state
    assert iterations(loaded) == 3
    assert "built anew" in " ".join(entry.detail for entry in report.entries)
    assert len(loaded.trainable_variables) == 4
    # Frozen again, both go on alike.
    for one in (model, loaded):
        one.get_layer("hidden").trainable = False
    assert_same_future(model, loaded)


@once
def frozen_after_training(place: Path) -> None:
    model = compiled(dense_model())
    step(model, steps=3)
    state = optimizer_values(model)
    model.get_layer("hidden").trainable = False
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert optimizer_values(loaded) == state
    assert len(loaded.trainable_variables) == 2
    for one in (model, loaded):
        one.get_layer("hidden").trainable = True
    assert_same_future(model, loaded)


@once
def a_failed_save_changes_nothing(place: Path) -> None:
    class Broken(k.layers.Layer):
        """A layer whose state cannot be had."""

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(4,), initializer="ones", name="kernel")
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return x * self.kernel

        def save_own_variables(self, store: Any) -> None:  # noqa: ARG002  the framework's signature
            raise RuntimeError("no")

    good = dense_model()
    etui.keras.save(good, place / "model.etui")
    before = (place / "model.etui").read_bytes()
    inputs = k.Input((4,))
    try:
        etui.keras.save(k.Model(inputs, Broken()(inputs)), place / "model.etui")
    except RuntimeError:
        pass
    else:
        raise AssertionError("the layer must not be saved")
    assert (place / "model.etui").read_bytes() == before
    assert [item.name for item in place.iterdir()] == ["model.etui"]


@everywhere
def numbers_that_a_layer_saves_itself(place: Path) -> None:
    class Counting(k.layers.Layer):
        """A layer that saves numbers of Python beside its variable."""

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(4,), initializer="ones", name="kernel")
            self.count, self.bounds = 0, [0.0, 0.0]
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return x * self.kernel

        def save_own_variables(self, store: Any) -> None:
            store["0"] = array(self.kernel)
            store["count"], store["bounds"], store["half"] = self.count, self.bounds, 0.5

        def load_own_variables(self, store: Any) -> None:
            self.kernel.assign(np.asarray(store["0"]))
            self.count = int(np.asarray(store["count"]))
            self.bounds = [float(one) for one in np.asarray(store["bounds"])]

    inputs = k.Input((4,))
    model = k.Model(inputs, Counting(name="counting")(inputs))
    counting = model.get_layer("counting")
    counting.count, counting.bounds = 7, [1.0, 2.5]
    etui.keras.save(model, place / "model.etui")
    model.save(place / "model.keras")
    etui.convert(place / "model.keras", place / "converted.etui")
    stored = []
    for name in ("model.etui", "converted.etui"):
        with etui.open(place / name) as opened:
            variables = opened.weights.variables.items()
            stored.append({path: (one.tensor.dtype, one.tensor.numpy().tobytes()) for path, one in variables})
    assert stored[0] == stored[1]
    assert {dtype for dtype, _ in stored[0].values()} == {"float32", "int64", "float64"}
    loaded = etui.keras.load(place / "model.etui", {"Counting": Counting}).get_layer("counting")
    assert (loaded.count, list(loaded.bounds)) == (7, [1.0, 2.5])


@once
def functions_of_the_framework(place: Path) -> None:
    model = compiled(dense_model(), loss=k.losses.mean_squared_error, metrics=[k.metrics.mean_absolute_error])
    step(model)
    etui.keras.save(model, place / "model.etui")
    assert_same_future(model, etui.keras.load(place / "model.etui"))
    model.save(place / "model.h5" if not KERAS3 else place / "model.keras")
    found = etui.keras.load(place / "model.h5" if not KERAS3 else place / "model.keras")
    etui.keras.save(found, place / "again.etui")
    assert_same_future(found, etui.keras.load(place / "again.etui"))


@once
def a_save_to_hdf5_comes_first(place: Path) -> None:
    inputs = k.Input((4,))
    net = k.Sequential([k.layers.Dense(3, name="x"), k.layers.Dense(2, name="y")], name="net")
    model = compiled(k.Model(inputs, net(inputs)))
    step(model)
    model.save(place / "model.h5")
    etui.keras.save(model, place / "model.etui")
    assert_same_future(model, etui.keras.load(place / "model.etui"))


@everywhere
def files_of_tf_keras_in_keras(place: Path) -> None:
    if not KERAS3 or k.backend.backend() != "tensorflow":
        return  # both frameworks are in one process here
    old: Any = import_module("tf_keras")
    inputs = old.Input((4,))
    hidden = old.layers.Dense(3, activation="relu", name="hidden")(inputs)
    hidden = old.layers.BatchNormalization(name="norm")(hidden)
    source = old.Model(inputs, old.layers.Dense(2, name="head")(hidden))
    source.compile(old.optimizers.Adam(0.01), "mse", run_eagerly=True)
    for _ in range(3):
        source.train_on_batch(X, Y)
    source.save(place / "model.keras")
    source.save(place / "model.h5")
    etui.keras.save(source, place / "model.etui")
    expected = source.predict_on_batch(X)
    for name in ("model.keras", "model.h5", "model.etui"):
        loaded = etui.keras.load(place / name, framework="keras")
        assert type(loaded).__module__.startswith("keras."), name
        assert np.abs(np.asarray(predict(loaded)) - expected).max() < 1e-6, name
        assert iterations(loaded) == 3, name
        slots = [array(one).tobytes() for one in loaded.optimizer.variables[2:]]
        assert slots == [one.numpy().tobytes() for one in source.optimizer.variables[1:]], name
        # Weights alone go from one framework to the other by path, without a config in between.
        other = k.models.clone_model(loaded)
        etui.keras.load_weights(other, place / name)
        assert values(other) == values(loaded), name


@once
def weights_files_of_the_framework(place: Path) -> None:
    model = compiled(dense_model())
    step(model, steps=2)
    model.save_weights(place / "model.weights.h5")
    other = dense_model()
    report = etui.keras.load_weights(other, place / "model.weights.h5")
    assert values(other) == values(model)
    assert {entry.status for entry in report.entries if entry.kind == "variable"} == {"restored"}


@once
def exact_learning_rate(place: Path) -> None:
    rate = float(np.float32(0.1) * np.float32(1 / 3))
    model = compiled(dense_model(), k.optimizers.Adam(0.5))
    step(model)
    if KERAS3:
        model.optimizer.learning_rate = rate
    else:
        model.optimizer.learning_rate.assign(rate)
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert array(loaded.optimizer.learning_rate).tobytes() == np.float32(rate).tobytes()
    assert_same_future(model, loaded)
