"""What is known of live models alone, on its way into files of the framework and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import etui
from etui.testing import h5_files
from etui.testing.h5_files import node, ramp, sequential, whole

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
    k,
    once,
    step,
    values,
)


@everywhere
def adapters_are_merged(place: Path) -> None:
    if not KERAS3:
        return
    inputs = k.Input((5,), dtype="int32")
    x = k.layers.Embedding(7, 4, name="words")(inputs)
    x = k.layers.Conv1D(6, 2, name="conv")(x)
    x = k.layers.EinsumDense("abc,cd->abd", (None, 8), name="einsum")(x)
    model = k.Model(inputs, k.layers.Dense(3, name="dense")(x))
    generator = np.random.default_rng(0)
    adapted = ("words", "conv", "einsum", "dense")
    for name in adapted:
        layer = model.get_layer(name)
        layer.enable_lora(2, lora_alpha=3)
        for variable in layer.trainable_variables:
            variable.assign(generator.normal(size=variable.shape).astype("float32"))
    ids = generator.integers(0, 7, (2, 5)).astype("int32")
    etui.keras.save(model, place / "model.etui")
    for name in ("model.keras", "model.weights.h5"):
        theirs, ours = place / f"theirs.{name}", place / name
        model.save(theirs) if name.endswith(".keras") else model.save_weights(theirs)
        to = "keras" if name.endswith(".keras") else "keras-weights"
        report = etui.convert(place / "model.etui", ours, to=to)
        assert report.ok
        told = [entry for entry in report.entries if entry.kind == "variable" and entry.status == "translated"]
        assert len(told) == 3 * len(adapted), name
        one, two = (_loaded(model, path) for path in (theirs, ours))
        compared = 0
        for first, second in zip(one.weights, two.weights, strict=True):
            if "lora" in first.name:
                continue  # Keras makes A anew, and B of zeros
            # The product is that of another library: the last bit may differ.
            np.testing.assert_allclose(array(first), array(second), rtol=3e-7, atol=3e-7)
            compared += 1
        assert compared == 6
        np.testing.assert_allclose(
            np.asarray(two.predict_on_batch(ids)), np.asarray(model.predict_on_batch(ids)), rtol=1e-4, atol=1e-5
        )


def _loaded(model: Any, path: Path) -> Any:
    if path.suffix == ".keras":
        return k.models.load_model(path)
    fresh = k.Model.from_config(model.get_config())
    fresh.load_weights(path)
    return fresh


@once
def an_adapter_of_a_quantized_kernel_is_refused(place: Path) -> None:
    if not KERAS3:
        return
    inputs = k.Input((4,))
    model = k.Model(inputs, k.layers.Dense(8, name="hidden")(inputs))
    model.quantize("int8")
    model.get_layer("hidden").enable_lora(2)
    model.get_layer("hidden").lora_kernel_b.assign(np.ones((2, 8), "float32"))
    etui.keras.save(model, place / "model.etui")
    with Refused("keras-variables") as refused:
        etui.convert(place / "model.etui", place / "model.keras", to="keras")
    assert "hidden" in refused.text
    assert not (place / "model.keras").exists()


@once
def the_best_value_stays_out_of_files_of_the_framework(place: Path) -> None:
    model = compiled(dense_model())
    callback = etui.keras.ModelCheckpoint(place / "best.etui", monitor="loss", save_best_only=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    report = etui.convert(place / "best.etui", place / "best.keras", to="keras", dialect=k.__name__)
    told = {entry.subject: entry.status for entry in report.entries if entry.kind == "state"}
    assert told["residue/etui"] == "reset"
    assert values(k.models.load_model(place / "best.keras")) == values(model)
    resumed = etui.keras.resume(place / "best.etui")
    assert resumed is not None
    assert resumed.best == callback.best


@once
def arguments_that_layers_forget(place: Path) -> None:
    if KERAS3:
        boxes = k.layers.MaxNumBoundingBoxes(3, fill_value=-7)
        etui.keras.save(k.Sequential([k.Input((4, 4, 3)), boxes]), place / "boxes.etui")
        assert etui.keras.load(place / "boxes.etui").layers[-1].fill_value == -7
        return
    inputs = k.Input((4, 4, 4, 1))
    x = k.layers.Conv3DTranspose(2, 2, dilation_rate=1, name="conv")(inputs)
    inner_input = k.Input(x.shape[1:])
    inner = k.Model(inner_input, k.layers.AlphaDropout(0.5, noise_shape=[1, 5, 5, 5, 2], name="drop")(inner_input))
    x = k.layers.TimeDistributed(k.layers.Softmax(robust_masking=True), name="each")(inner(x))
    model = k.Model(inputs, x)
    compiled(model, k.optimizers.Adam(0.01, adaptive_epsilon=True))
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert loaded.get_layer("each").layer.robust_masking is True
    assert list(loaded.layers[2].get_layer("drop").noise_shape) == [1, 5, 5, 5, 2]
    assert loaded.optimizer.adaptive_epsilon is True
    # The framework takes no other value than that of the default yet.
    assert tuple(loaded.get_layer("conv").dilation_rate) == (1, 1, 1)


@once
def optimizers_of_before(place: Path) -> None:
    if KERAS3:
        return
    old = k.optimizers.legacy
    made: dict[str, Callable[[], Any]] = {
        "adadelta": lambda: old.Adadelta(0.5),
        "adagrad": lambda: old.Adagrad(0.1),
        "adam": lambda: old.Adam(0.01, amsgrad=True),
        "adamax": lambda: old.Adamax(0.01),
        "ftrl": lambda: old.Ftrl(0.1),
        "nadam": lambda: old.Nadam(0.01),
        "rmsprop": lambda: old.RMSprop(0.01, momentum=0.5, centered=True),
        "sgd": lambda: old.SGD(0.1, momentum=0.9),
        "plain": lambda: old.SGD(0.1),
        "decaying": lambda: old.Adam(k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
        "scaled": lambda: k.mixed_precision.LossScaleOptimizer(old.Adam(0.01), initial_scale=64.0),
    }
    for name, make in made.items():
        model = compiled(dense_model(), make())
        step(model, steps=3)
        etui.keras.save(model, place / f"{name}.etui")
        loaded = etui.keras.load(place / f"{name}.etui")
        assert type(loaded.optimizer) is type(model.optimizer)
        again = compiled(dense_model(), make())
        etui.keras.load_weights(again, place / f"{name}.etui", optimizer=True)
        for one in (loaded, again):
            assert len(one.optimizer.variables()) == len(model.optimizer.variables()), name
            assert [array(v).tobytes() for v in one.optimizer.variables()] == [
                array(v).tobytes() for v in model.optimizer.variables()
            ], name
        expected = step(model, steps=3)
        assert step(loaded, steps=3) == expected, name
        assert step(again, steps=3) == expected, name
    assert len(made) > 10


@once
def an_optimizer_of_before_and_frozen_layers(place: Path) -> None:
    if KERAS3:
        return
    model = compiled(dense_model(), k.optimizers.legacy.Adam(0.01))
    step(model, steps=2)
    model.get_layer("hidden").trainable = False
    compiled(model, model.optimizer)
    step(model)
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert step(loaded, steps=2) == step(model, steps=2)


@everywhere
def configs_that_ask_for_memory(place: Path) -> None:
    small = dense_model(units=3)
    etui.keras.save(small, place / "small.etui")
    etui.keras.save(small, place / "config.etui", include="config")
    before = k.layers.Layer.add_weight
    for source in ("small", "config"):
        with etui.open(place / f"{source}.etui") as stored:
            assert stored.config is not None
            stored.config.find("hidden").attrs["units"] = 2**33
            etui.save(stored, place / f"{source}-large.etui")
        with Refused("limit-unstored") as refused:
            etui.keras.load(place / f"{source}-large.etui")
        assert "hidden" in refused.text
    assert k.layers.Layer.add_weight is before
    assert_same_future(
        compiled(etui.keras.load(place / "small.etui")), compiled(etui.keras.load(place / "small.etui")), steps=2
    )


@once
def names_that_keras_3_refuses(place: Path) -> None:
    names = ("a/b", "a_b")
    layers = [node("Dense", name, units=2, use_bias=True, trainable=True) for name in names]
    arrays = {
        name: {f"{name}/kernel:0": ramp(4 - 2 * at, 2, start=at), f"{name}/bias:0": ramp(2, start=9 + at)}
        for at, name in enumerate(names)
    }
    slots = {
        f"SGD/{key}/momentum:0": array + np.float32(100) for held in arrays.values() for key, array in held.items()
    }
    training: dict[str, Any] = {"loss": "mse", "metrics": None, "loss_weights": None}
    training["optimizer_config"] = {"class_name": "SGD", "config": {"learning_rate": 0.5, "momentum": 0.9}}
    path = whole(
        place / "model.h5",
        sequential(h5_files.source("i/n", 4), *layers),
        arrays,
        training=training,
        optimizer={"SGD/iter:0": np.int64(3), **slots},
    )
    etui.convert(path, place / "model.etui")
    frozen = "a%2Fb/bias"
    if KERAS3:
        with etui.open(place / "model.etui") as stored:
            assert stored.weights is not None
            stored.weights.variables[frozen].trainable = False
            etui.save(stored, place / "model.etui")
    model = etui.keras.load(place / "model.etui", framework="keras" if KERAS3 else "tf_keras")
    assert [layer.name for layer in model.layers] == (["a_b_1", "a_b"] if KERAS3 else list(names))
    expected = [array.tobytes() for held in arrays.values() for array in held.values()]
    assert values(model) == expected
    listed = model.optimizer.variables if KERAS3 else model.optimizer.variables()
    found = [array(variable).tobytes() for variable in listed if variable.shape]
    assert found[-len(slots) :] == [slot.tobytes() for slot in slots.values()]
    flags = [variable.trainable for variable in model.weights]
    assert flags == ([True, False, True, True] if KERAS3 else [True] * 4)
