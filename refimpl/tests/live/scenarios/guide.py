"""Every example of the Keras guide on saving and serialization, done with Etui."""

# mypy: disable-error-code="misc, untyped-decorator, union-attr, arg-type, index"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

import json
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
    counts,
    dense_model,
    everywhere,
    k,
    once,
    predict,
    step,
    values,
)

register = k.saving.register_keras_serializable


@register(package="MyLayers")
class CustomLayer(k.layers.Layer):
    """The guide's layer: a dense product with a factor."""

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], 2), initializer="ones", name="kernel")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        return (k.ops.matmul(x, self.kernel) if KERAS3 else x @ self.kernel) * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@register(package="my_package", name="custom_fn")
def custom_fn(x: Any) -> Any:
    """The guide's function."""
    return x**2


@everywhere
def whole_model(place: Path) -> None:
    model = compiled(dense_model(), metrics=["mae"], run_eagerly=False)
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    identity = etui.save(model, place / "model.etui")
    assert identity.startswith("sha256:")
    report = etui.Report()
    loaded = etui.keras.load(place / "model.etui", report=report)
    assert type(loaded) is type(model)
    assert report.ok
    assert counts(report) == {"restored": 4}
    assert_same_future(model, loaded)
    again = etui.keras.load(place / "model.etui")
    again.fit(X, Y, epochs=1, verbose=0)


@once
def config_only(place: Path) -> None:
    model = dense_model()
    etui.keras.save(model, place / "config.etui", include="config")
    with etui.open(place / "config.etui") as stored:
        assert stored.manifest.profile == "config"
    report = etui.Report()
    loaded = etui.keras.load(place / "config.etui", report=report)
    assert json.loads(loaded.to_json())["config"] == json.loads(model.to_json())["config"]
    assert [w.shape for w in loaded.weights] == [w.shape for w in model.weights]
    assert values(loaded) != values(model)
    assert counts(report) == {"fresh": 4}
    # The same with from_config and with JSON, whose models are saved and loaded as any other.
    for other in (type(model).from_config(model.get_config()), k.models.model_from_json(model.to_json())):
        etui.keras.save(other, place / "other.etui")
        assert values(etui.keras.load(place / "other.etui")) == values(other)


@everywhere
def custom_layer_and_function(place: Path) -> None:
    inputs = k.Input((4,))
    hidden = CustomLayer(0.2, name="custom")(inputs)
    model = compiled(k.Model(inputs, k.layers.Dense(2, activation=custom_fn)(hidden)))
    step(model)
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui")
    assert type(loaded.get_layer("custom")) is CustomLayer
    assert loaded.get_layer("custom").factor == 0.2
    assert_same_future(model, loaded)


@once
def custom_objects_given(place: Path) -> None:
    class Scale(k.layers.Layer):
        def __init__(self, by: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.by = by

        def call(self, x: Any) -> Any:
            return x * self.by

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "by": self.by}

    def shifted(x: Any) -> Any:
        return x + 1.0

    inputs = k.Input((4,))
    model = k.Model(inputs, k.layers.Dense(2, activation=shifted)(Scale(3.0, name="scale")(inputs)))
    etui.keras.save(model, place / "model.etui")
    loaded = etui.keras.load(place / "model.etui", custom_objects={"Scale": Scale, "shifted": shifted})
    assert np.asarray(predict(loaded)).tobytes() == np.asarray(predict(model)).tobytes()
    with Refused("live-custom-missing") as refused:
        etui.keras.load(place / "model.etui", custom_objects={"shifted": shifted})
    assert "Scale" in refused.text
    assert "scale" in refused.text
    assert "shifted" not in refused.text


@everywhere
def clone_in_memory(place: Path) -> None:
    model = compiled(dense_model(dropout=0.4 if KERAS3 else 0.0), metrics=["mae"])
    step(model, steps=3)
    copy = etui.keras.clone(model)
    assert copy is not model
    assert_same_future(model, copy)
    # They share nothing: what goes on in one is not seen in the other.
    before = values(copy)
    step(model)
    assert values(copy) == before != values(model)
    model.get_layer("hidden").trainable = False
    assert not etui.keras.clone(model).get_layer("hidden").trainable


@once
def weight_transfer_in_memory(place: Path) -> None:
    one, two = dense_model(), dense_model()
    etui.keras.save(one, place / "one.etui", include="weights")
    assert values(one) != values(two)
    etui.keras.load_weights(two, place / "one.etui")
    assert values(one) == values(two)


@once
def functional_to_subclassed(place: Path) -> None:
    class SubclassedModel(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = k.layers.Dense(3, activation="relu", name="hidden")
            self.head = k.layers.Dense(2, name="head")

        def call(self, x: Any) -> Any:
            return self.head(self.hidden(x))

    functional, subclassed = dense_model(), SubclassedModel()
    subclassed(X)
    etui.keras.save(functional, place / "functional.etui", include="weights")
    etui.keras.load_weights(subclassed, place / "functional.etui")
    assert np.asarray(predict(subclassed)).tobytes() == np.asarray(predict(functional)).tobytes()


@once
def stateless_layers(place: Path) -> None:
    inputs = k.Input((4,))
    hidden = k.layers.Dense(3, activation="relu", name="hidden")(inputs)
    plain = k.Model(inputs, k.layers.Dense(2, name="head")(hidden))
    inputs = k.Input((4,))
    hidden = k.layers.Dropout(0.5)(k.layers.Dense(3, activation="relu", name="hidden")(inputs))
    with_dropout = k.Model(inputs, k.layers.Dense(2, name="head")(k.layers.Activation("linear")(hidden)))
    etui.keras.save(plain, place / "plain.etui", include="weights")
    report = etui.keras.load_weights(with_dropout, place / "plain.etui")
    assert counts(report) == {"restored": 4}
    assert values(plain) == values(with_dropout)
    # And the other way: layers without variables do not matter on either side.
    etui.keras.save(with_dropout, place / "dropout.etui")
    fresh = dense_model()
    etui.keras.load_weights(fresh, place / "dropout.etui")
    assert values(fresh) == values(plain)


@once
def checkpoint_by_attribute_names(place: Path) -> None:
    class CustomDense(k.layers.Layer):
        """The guide's layer: its attributes name its variables' layers."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.first_dense = k.layers.Dense(3)
            self.second_dense = k.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.second_dense(self.first_dense(x))

    class Contrived(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.block = CustomDense()

        def call(self, x: Any) -> Any:
            return self.block(x)

    one, two = compiled(Contrived()), compiled(Contrived())
    step(one, steps=2)
    two(X)
    etui.keras.save(one, place / "ckpt.etui", include="checkpoint")
    with etui.open(place / "ckpt.etui") as stored:
        assert all(path.startswith("block/") for path in stored.weights)
        assert {path.split("/")[1] for path in stored.weights} == {"first_dense", "second_dense"}
        assert stored.manifest.profile == "checkpoint"
    step(two)
    etui.keras.load_weights(two, place / "ckpt.etui", optimizer=True)
    assert_same_future(one, two)


@everywhere
def transfer_learning_with_a_cut_head(place: Path) -> None:
    pretrained = dense_model()
    etui.keras.save(pretrained, place / "pretrained.etui", include="weights")
    inputs = k.Input((4,))
    hidden = k.layers.Dense(3, activation="relu", name="hidden")(inputs)
    model = k.Model(inputs, k.layers.Dense(5, name="new_head")(hidden))
    before = values(model)
    with Refused("not-complete"):
        etui.keras.load_weights(model, place / "pretrained.etui")
    assert values(model) == before
    report = etui.keras.load_weights(model, place / "pretrained.etui", layers=["hidden"])
    assert counts(report) == {"restored": 2, "left-out": 2}
    assert values(model)[:2] == values(pretrained)[:2]
    assert values(model)[2:] == before[2:]
    # A head of the same name and another shape is skipped where it is named.
    inputs = k.Input((4,))
    hidden = k.layers.Dense(3, activation="relu", name="hidden")(inputs)
    other = k.Model(inputs, k.layers.Dense(5, name="head")(hidden))
    before = values(other)
    with Refused("not-complete") as refused:
        etui.keras.load_weights(other, place / "pretrained.etui")
    assert "shape-mismatch" in refused.text
    assert values(other) == before
    etui.keras.load_weights(other, place / "pretrained.etui", skip_mismatch=["head"])
    assert values(other)[:2] == values(pretrained)[:2]
    assert values(other)[2:] == before[2:]


@everywhere
def nested_trainable_toggles(place: Path) -> None:
    def nested() -> Any:
        inputs = k.Input((4,))
        outputs = k.layers.Dense(3, name="inner_one")(inputs)
        outputs = k.layers.BatchNormalization(name="inner_norm")(outputs)
        inner = k.Model(inputs, k.layers.Dense(3, name="inner_two")(outputs), name="inner")
        inputs = k.Input((4,))
        return k.Model(inputs, k.layers.Dense(2, name="outer")(inner(inputs)), name="whole")

    one = compiled(nested())
    step(one, steps=2)
    etui.keras.save(one, place / "free.etui")
    one.get_layer("inner").trainable = False
    one.get_layer("inner").get_layer("inner_one").trainable = True
    etui.keras.save(one, place / "toggled.etui")
    with etui.open(place / "free.etui") as free, etui.open(place / "toggled.etui") as toggled:
        assert list(free.weights) == list(toggled.weights)
        flags = {path: variable.trainable for path, variable in toggled.weights.variables.items()}
        assert not flags["inner/inner_two/kernel"]
    loaded = etui.keras.load(place / "toggled.etui")
    assert [w.trainable for w in loaded.get_layer("inner").layers[1:]] == [
        w.trainable for w in one.get_layer("inner").layers[1:]
    ]
    assert len(loaded.trainable_weights) == len(one.trainable_weights)
    assert values(loaded) == values(one)
    # HDF5 lists trainable weights first, so a toggle changes its order; paths do not change.
    other = nested()
    other.get_layer("inner").trainable = False
    etui.keras.load_weights(other, place / "free.etui")
    assert {array(w).tobytes() for w in other.weights} == {array(w).tobytes() for w in one.weights}
    kernel = other.get_layer("inner").get_layer("inner_two").kernel
    assert array(kernel).tobytes() == array(one.get_layer("inner").get_layer("inner_two").kernel).tobytes()
