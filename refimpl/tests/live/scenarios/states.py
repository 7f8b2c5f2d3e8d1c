"""What goes with a model beside its weights: random streams, adapters, policies, files, optimizers of every kind."""

# mypy: disable-error-code="misc, union-attr, arg-type, index"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import etui

from .base import (
    FRAMEWORK,
    KERAS3,
    Refused,
    X,
    Y,
    array,
    assert_same_future,
    compiled,
    counts,
    dense_model,
    everywhere,
    k,
    once,
    optimizer_values,
    predict,
    step,
    values,
)

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda: k.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "plain_sgd": lambda: k.optimizers.SGD(0.05),
    "amsgrad": lambda: k.optimizers.Adam(0.01, amsgrad=True),
    "ema": lambda: k.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9),
    "rmsprop": lambda: k.optimizers.RMSprop(0.01, centered=True, momentum=0.5),
    "nadam": lambda: k.optimizers.Nadam(0.01),
    "adafactor": lambda: k.optimizers.Adafactor(0.01),
    "ftrl": lambda: k.optimizers.Ftrl(0.01),
    "schedule": lambda: k.optimizers.Adam(k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
}


@once
def optimizers_of_every_kind(place: Path) -> None:
    made = dict(OPTIMIZERS)
    if KERAS3:
        made["accumulating"] = lambda: k.optimizers.Adam(0.01, gradient_accumulation_steps=2)
        made["muon"] = lambda: k.optimizers.Muon(0.01)
    else:
        del made["nadam"]  # it goes on as its functions were traced, which no file can know; the report says so
    for name, make in made.items():
        model = compiled(dense_model(), make())
        step(model, steps=3)
        etui.keras.save(model, place / f"{name}.etui")
        with etui.open(place / f"{name}.etui") as stored:
            assert "variables" not in stored.optimizer.optimizers["optimizer"].residue.get("keras", {}), name
        try:
            assert_same_future(model, etui.keras.load(place / f"{name}.etui"), steps=2)
        except AssertionError as fault:
            raise AssertionError(name) from fault
    assert len(made) >= 8


@everywhere
def dropout_goes_on(place: Path) -> None:
    if not KERAS3:
        k.backend.experimental.enable_tf_random_generator()
    try:
        inputs = k.Input((4,))
        hidden = k.layers.Dropout(0.4, seed=5)(k.layers.Dense(6)(inputs))
        hidden = k.layers.GaussianNoise(0.3, seed=3)(hidden)
        model = compiled(k.Model(inputs, k.layers.Dense(2)(hidden)))
        step(model, steps=3)
        etui.keras.save(model, place / "model.etui")
        with etui.open(place / "model.etui") as stored:
            assert len(stored.state.rng) == 2
        report = etui.Report()
        loaded = etui.keras.load(place / "model.etui", report=report)
        assert counts(report, "state")["restored"] >= 2
        assert "reset" not in counts(report, "state")
        assert_same_future(model, loaded)
    finally:
        if not KERAS3:
            k.backend.experimental.disable_tf_random_generator()


@everywhere
def streams_out_of_reach_are_reported(place: Path) -> None:
    if KERAS3 and k.backend.backend() != "torch":
        return
    inputs = k.Input((4,))
    model = k.Model(inputs, k.layers.Dropout(0.5, name="drop")(k.layers.Dense(3)(inputs)))
    subject = "rng/drop/seed_generator" if KERAS3 else "rng/drop/_random_generator"
    report = etui.Report()
    etui.keras.save(model, place / "model.etui", report=report)
    resets = [entry for entry in report.entries if entry.status == "reset"]
    assert [entry.subject for entry in resets] == [subject]
    report = etui.Report()
    etui.keras.load(place / "model.etui", report=report)
    assert subject in {entry.subject for entry in report.entries if entry.status == "reset"}


@everywhere
def adapters_stay_apart(place: Path) -> None:
    if not KERAS3:
        return
    model = dense_model(units=6)
    model.get_layer("hidden").enable_lora(2)
    compiled(model)
    step(model, steps=3)
    assert array(model.get_layer("hidden").lora_kernel_b).any()
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    for name in ("lora_kernel_a", "lora_kernel_b", "_kernel"):
        one, two = (array(getattr(m.get_layer("hidden"), name)).tobytes() for m in (model, loaded))
        assert one == two
    assert_same_future(model, loaded)


@everywhere
def quantized_layers(place: Path) -> None:
    if not KERAS3:
        return
    inputs = k.Input((4,))
    model = k.Model(inputs, k.layers.Dense(2, name="head")(k.layers.Dense(8, name="hidden")(inputs)))
    model.quantize("int8")
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert values(loaded) == values(model)
    assert array(loaded.get_layer("hidden")._kernel).dtype == np.int8
    assert np.asarray(predict(loaded)).tobytes() == np.asarray(predict(model)).tobytes()


@everywhere
def policies(place: Path) -> None:
    for policy in ("mixed_bfloat16", "bfloat16", "float64") if KERAS3 else ("mixed_bfloat16", "float64"):
        inputs = k.Input((4,))
        hidden = k.layers.Dense(3, dtype=policy)(inputs)
        model = compiled(k.Model(inputs, k.layers.Dense(2, dtype=policy)(hidden)), k.optimizers.SGD(0.1, momentum=0.5))
        step(model, steps=2)
        etui.keras.save(model, place / f"{policy}.etui")
        loaded = etui.keras.load(place / f"{policy}.etui")
        assert [array(w).dtype for w in loaded.weights] == [array(w).dtype for w in model.weights]
        assert_same_future(model, loaded, steps=2)


@everywhere
def loss_scaling(place: Path) -> None:
    inputs = k.Input((4,))
    model = k.Model(inputs, k.layers.Dense(2, dtype="mixed_float16")(inputs))
    kind = k.optimizers.LossScaleOptimizer if KERAS3 else k.mixed_precision.LossScaleOptimizer
    compiled(model, kind(k.optimizers.Adam(0.01), initial_scale=64.0))
    step(model, steps=2)
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert type(loaded.optimizer) is type(model.optimizer)
    assert_same_future(model, loaded)


@once
def layers_of_many_kinds(place: Path) -> None:
    inputs = k.Input((6, 4))
    x = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True), name="both")(inputs)
    x = k.layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = k.layers.LayerNormalization()(x)
    x = k.layers.TimeDistributed(k.layers.Dense(5), name="each")(x)
    x = k.layers.Conv1D(4, 3, name="conv")(x)
    x = k.layers.BatchNormalization()(x)
    x = k.layers.GRU(3)(x)
    model = compiled(k.Model(inputs, k.layers.Dense(2)(x)))
    data = np.random.default_rng(5).normal(size=(4, 6, 4)).astype("float32")
    y = Y[:4]
    step(model, data, y, steps=2)
    etui.keras.save(model, place / "model.etui")
    report = etui.Report()
    loaded = etui.keras.load(place / "model.etui", report=report)
    assert counts(report) == {"restored": len(model.weights)}
    assert_same_future(model, loaded, data, y, steps=2)


@everywhere
def lookups_and_their_files(place: Path) -> None:
    if KERAS3 and k.backend.backend() != "tensorflow":
        return  # only TensorFlow has strings
    layer = k.layers.TextVectorization(output_mode="tf_idf", name="text")
    layer.adapt(["one two", "two three", "three three four"])
    model = k.Sequential([layer])
    words = np.array([["one three"], ["two"]], dtype=object)
    if KERAS3:
        model.build((None, 1))
    expected = np.asarray(model(words) if KERAS3 else model(words.astype(str)))
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert np.asarray(loaded(words) if KERAS3 else loaded(words.astype(str))).tobytes() == expected.tobytes()
    assert loaded.get_layer("text").get_vocabulary() == layer.get_vocabulary()


@everywhere
def normalization_is_ready(place: Path) -> None:
    layer = k.layers.Normalization(name="norm")
    layer.adapt(X)
    inputs = k.Input((4,))
    model = k.Model(inputs, k.layers.Dense(2, name="head")(layer(inputs)))
    etui.keras.save(model, place / "model.etui")
    expected = np.asarray(predict(model)).tobytes()
    assert np.asarray(predict(etui.keras.load(place / "model.etui"))).tobytes() == expected
    inputs = k.Input((4,))
    other = k.Model(inputs, k.layers.Dense(2, name="head")(k.layers.Normalization(name="norm")(inputs)))
    etui.keras.load_weights(other, place / "model.etui")
    assert np.asarray(predict(other)).tobytes() == expected


@k.saving.register_keras_serializable(package="scenarios")
class Block(k.Model):
    """A subclassed model with a config, a list of layers and a nested model."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.stem = k.Sequential([k.Input((4,)), k.layers.Dense(units, name="in"), k.layers.ReLU()], name="stem_model")
        self.blocks = [k.layers.Dense(units, name=f"block{at}") for at in range(2)]
        self.zz_out = k.layers.Dense(2)

    def call(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.zz_out(x)

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}

    def build(self, input_shape: Any) -> None:  # noqa: ARG002  the framework's signature
        for block in self.blocks:
            block.build((None, self.units))
        self.zz_out.build((None, self.units))
        self.built = True

    def get_build_config(self) -> dict[str, Any]:
        return {"input_shape": [None, 4]}


@everywhere
def subclassed_whole(place: Path) -> None:
    model = compiled(Block(3))
    step(model, steps=2)
    etui.keras.save(model, place / "model.etui")
    with etui.open(place / "model.etui") as stored:
        paths = list(stored.weights)
        assert {"stem/in/kernel", "zz_out/kernel"} <= set(paths), paths
        assert not any("dense_" in path for path in paths if path.startswith("zz_out"))
        assert list(stored.optimizer.optimizers["optimizer"].slots)
    loaded = etui.keras.load(place / "model.etui")
    if not KERAS3:
        loaded(X)
    assert type(loaded) is Block
    assert sorted(values(model)) == sorted(values(loaded))
    assert sorted(optimizer_values(model)) == sorted(optimizer_values(loaded))
    assert step(model, steps=2) == step(loaded, steps=2)


@once
def subclassed_from_a_file_of_the_framework(place: Path) -> None:
    one, two = Block(3), Block(3)
    one(X), two(X)
    one.save(place / "model.keras")
    assert sorted(values(one)) != sorted(values(two))
    report = etui.keras.load_weights(two, place / "model.keras")
    assert counts(report) == {"restored": len(one.weights)}
    assert np.asarray(predict(two)).tobytes() == np.asarray(predict(one)).tobytes()


@once
def every_format_of_the_framework(place: Path) -> None:
    model = compiled(dense_model())
    step(model, steps=2)
    weights, whole = ["model.h5", "w.weights.h5"], ["model.h5"]
    model.save(place / "model.h5")
    model.save_weights(place / "w.weights.h5")
    (place / "model.json").write_text(model.to_json())
    if not KERAS3:
        model.save_weights(place / "ckpt")
        model.save_weights(place / "old.h5")
        model.save(place / "saved_model")
        weights += ["ckpt", "old.h5", "saved_model"]
        whole.append("saved_model")
    for name in weights:
        other = dense_model()
        report = etui.keras.load_weights(other, place / name)
        assert counts(report) == {"restored": 4}, name
        assert values(other) == values(model), name
    for name in whole:
        loaded = etui.keras.load(place / name, framework=FRAMEWORK)
        assert optimizer_values(loaded) == optimizer_values(model), name
        assert step(loaded) == step(etui.keras.clone(model)), name
    assert [w.shape for w in etui.keras.load(place / "model.json").weights] == [w.shape for w in model.weights]


@once
def subclassed_without_config(place: Path) -> None:
    class Plain(k.Model):
        def __init__(self, layers: Any) -> None:
            super().__init__()
            self.parts = layers

        def call(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return x

        def get_config(self) -> dict[str, Any]:
            raise NotImplementedError

    def made() -> Any:
        model = compiled(Plain([k.layers.Dense(3), k.layers.Dense(2)]))
        model(X)
        return model

    one, two = made(), made()
    step(one, steps=2)
    with Refused("live-config"):
        etui.keras.save(one, place / "whole.etui")
    etui.keras.save(one, place / "a.etui", include="checkpoint")
    etui.keras.load_weights(two, place / "a.etui", optimizer=True)
    assert_same_future(one, two)


@once
def chosen_parts(place: Path) -> None:
    model = compiled(dense_model(dropout=0.5 if KERAS3 else 0.0))
    step(model)
    profiles = {"everything": "training", "model": "model", "config": "config", "weights": "weights"}
    profiles["checkpoint"] = "checkpoint"
    for include, profile in profiles.items():
        etui.keras.save(model, place / f"{include}.etui", include=include, counters={"epoch": 3})
        with etui.open(place / f"{include}.etui") as stored:
            assert stored.manifest.profile == profile
            kept = include in ("everything", "checkpoint")
            assert (stored.state is not None) == kept
            assert not kept or stored.state.counters == {"epoch": 3}
    loaded = etui.keras.load(place / "model.etui")
    assert values(loaded) == values(model)
    assert getattr(loaded, "optimizer", None) is None
    report = etui.Report()
    loaded = etui.keras.load(place / "everything.etui", compile=False, report=report)
    assert getattr(loaded, "optimizer", None) is None
    assert "left-out" in {entry.status for entry in report.entries}
    assert values(loaded) == values(model)


@once
def keras_files_as_well(place: Path) -> None:
    model = compiled(dense_model(), metrics=["mae"])
    step(model, steps=2)
    model.save(place / "model.keras")
    loaded = etui.keras.load(place / "model.keras")
    assert values(loaded) == values(model)
    assert optimizer_values(loaded) == optimizer_values(model)
    other = dense_model()
    etui.keras.load_weights(other, place / "model.keras")
    assert values(other) == values(model)
    # And what Etui saved from a live model becomes a file that the framework loads by itself.
    etui.keras.save(model, place / "model.etui")
    etui.convert(place / "model.etui", place / "back.keras", dialect=FRAMEWORK)
    back = k.models.load_model(place / "back.keras")
    assert values(back) == values(model)
    assert optimizer_values(back) == optimizer_values(model)
    assert np.asarray(predict(back)).tobytes() == np.asarray(predict(model)).tobytes()
