"""Registered classes and functions of a user: layers, models, losses, metrics, optimizers, tied weights."""

# mypy: disable-error-code="misc,untyped-decorator"
# Keras is seen as Any, so its classes cannot be checked as bases.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from .registry import Sample, case, classes, fit, numbers, tokens

PACKAGE = "etui_corpus"
registered = keras.saving.register_keras_serializable(PACKAGE)


@registered
class Scale(layers.Layer):
    """One trainable factor per feature, and a counter and a boolean that are not trained."""

    def __init__(self, start: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, shape: Any) -> None:
        self.calls = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="calls")
        ones = keras.initializers.Constant(self.start)
        self.factor = self.add_weight(shape=(shape[-1],), initializer=ones, name="factor")
        self.flag = self.add_weight(shape=(2,), dtype="bool", initializer="zeros", trainable=False, name="flag")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.calls.assign(self.calls + 1)
        return x * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start}


@registered
class Dense(layers.Layer):
    """A class with the name of a Keras class, so that the two share one numbering in the weights file."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape: Any) -> None:
        self.matrix = self.add_weight(shape=(shape[-1], self.units), name="matrix")

    def call(self, x: Any) -> Any:
        return ops.matmul(x, self.matrix)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@registered
class Blocks(layers.Layer):
    """Sub-layers as attributes, in a list, in a dict, in a nested list, and under a private name."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.zeta = layers.Dense(units)
        self.alpha = Scale()
        self.steps = [layers.Dense(units, activation="relu"), Scale(0.5), layers.Dense(units)]
        self.by_name = {"late": layers.Dense(units), "early": Scale(2.0)}
        self.nested = [[layers.Dense(units)], [layers.Dense(units), layers.LayerNormalization()]]
        self._hidden = layers.Dense(units)

    def build(self, shape: Any) -> None:
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        inner = (*shape[:-1], self.units)
        for layer in [self.zeta, self.steps[0]]:
            layer.build(shape)
        for layer in [
            self.alpha,
            *self.steps[1:],
            *self.by_name.values(),
            *self.nested[0],
            *self.nested[1],
            self._hidden,
        ]:
            layer.build(inner)

    def call(self, x: Any) -> Any:
        total = self.alpha(self.zeta(x)) + self.bias
        for step in self.steps:
            x = step(x)
        for layer in [*self.by_name.values(), *self.nested[0], *self.nested[1], self._hidden]:
            x = layer(x)
        return total + x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@registered
class Keeper(layers.Layer):
    """Writes its variables under its own names and keeps a file among the assets."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.notes: dict[str, Any] = {}

    def build(self, shape: Any) -> None:
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x: Any) -> Any:
        return x * self.gain * self.notes.get("factor", 1.0)

    def save_own_variables(self, store: Any) -> None:
        store["gain values"] = self.gain.numpy()
        store["seen"] = self.seen.numpy()

    def load_own_variables(self, store: Any) -> None:
        self.gain.assign(store["gain values"])
        self.seen.assign(store["seen"])

    def save_assets(self, path: str) -> None:
        Path(path, "notes.json").write_text(json.dumps(self.notes))
        Path(path, "bytes.bin").write_bytes(bytes(range(256)))

    def load_assets(self, path: str) -> None:
        self.notes = json.loads(Path(path, "notes.json").read_text())


@registered
class Untied(layers.Layer):
    """Projects back with the transposed table of an embedding that another layer owns."""

    def __init__(self, table: layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table

    def build(self, shape: Any) -> None:  # noqa: ARG002
        self.offset = self.add_weight(shape=(self.table.input_dim,), initializer="zeros", name="offset")

    def call(self, x: Any) -> Any:
        return ops.matmul(x, ops.transpose(self.table.embeddings)) + self.offset

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "table": keras.saving.serialize_keras_object(self.table)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Untied:
        config["table"] = keras.saving.deserialize_keras_object(config["table"])
        return cls(**config)


@registered
class TiedPair(keras.Model):
    """A subclassed language model whose output uses the embedding table; it stores that table once."""

    def __init__(self, words: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words, self.width = words, width
        self.table = layers.Embedding(words, width)
        self.body = [layers.Dense(width, activation="tanh") for _ in range(2)]
        self.norm = layers.LayerNormalization()

    def build(self, shape: Any) -> None:
        self.table.build(shape)
        for layer in [*self.body, self.norm]:
            layer.build((*shape, self.width))
        self.built = True

    def call(self, tokens: Any) -> Any:
        x = self.table(tokens)
        for layer in self.body:
            x = layer(x)
        return ops.matmul(self.norm(x), ops.transpose(self.table.embeddings))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "words": self.words, "width": self.width}


@registered
class Autoencoder(keras.Model):
    """A subclassed model with its own training step, an added loss, nested models and its own tracked metric."""

    def __init__(self, width: int = 3, rates: tuple[float, ...] = (0.1, 0.2), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.rates = width, tuple(rates)
        self.encoder = keras.Sequential([layers.Dense(width, activation="relu"), layers.BatchNormalization()])
        self.decoder = keras.Sequential([layers.Dropout(rates[0], seed=3), layers.Dense(6)])
        self.watch = keras.metrics.Mean(name="watch")

    def build(self, shape: Any) -> None:
        self.encoder.build(shape)
        self.decoder.build((None, self.width))
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        code = self.encoder(x, training=training)
        self.add_loss(self.rates[1] * ops.mean(ops.square(code)))
        return self.decoder(code, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "rates": self.rates}


@registered
class Sub(keras.Sequential):
    """A Sequential with a layer of its own beside the stack."""


@registered
class SignMomentum(keras.optimizers.Optimizer):
    """An optimizer of a user: the sign of a running sum of gradients, with one count per variable."""

    def __init__(self, learning_rate: float = 0.01, decay: float = 0.9, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.remember = decay

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self.sums = self.add_optimizer_variables(variables, "running_sum")
        self.counts = [self.add_variable(shape=(), dtype="float32", name="count") for _ in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        self.assign(self.sums[index], self.sums[index] * self.remember + gradient)
        self.assign_add(self.counts[index], ops.ones(()))
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * ops.sign(self.sums[index]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.remember}


@registered
class SlowDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of a user."""

    def __init__(self, start: float) -> None:
        self.start = start

    def __call__(self, step: Any) -> Any:
        return self.start / (1.0 + ops.cast(step, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {"start": self.start}


@registered
class Cubic(keras.losses.Loss):
    """A loss class of a user."""

    def __init__(self, power: float = 3.0, name: str = "cubic", reduction: str = "sum_over_batch_size") -> None:
        super().__init__(name=name, reduction=reduction)
        self.power = power

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.abs(ops.subtract(y_true, y_pred)) ** self.power, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power": self.power}


@registered
class Largest(keras.metrics.Metric):
    """A metric class of a user."""

    def __init__(self, name: str = "largest", floor: float = 0.0, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.floor = floor
        self.peak = self.add_weight(shape=(), initializer="zeros", name="peak")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # noqa: ARG002
        self.peak.assign(ops.maximum(self.peak.value, ops.max(ops.abs(ops.subtract(y_true, y_pred))) + self.floor))

    def result(self) -> Any:
        return self.peak.value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "floor": self.floor}


@registered
def bent(x: Any) -> Any:
    """An activation function of a user."""
    return ops.maximum(x, 0.1 * x) - 0.05


@registered
def gap(y_true: Any, y_pred: Any) -> Any:
    """A loss function of a user, also used as a metric."""
    return ops.mean(ops.square(ops.subtract(y_true, y_pred)), axis=-1) + 0.5


@case()
def custom_layers() -> Sample:
    inputs = keras.Input((6,))
    x = Scale(0.75, name="scale")(layers.Dense(6, name="keras_dense")(inputs))
    x = layers.Dense(5, name="keras_dense_again")(Dense(4, name="own_dense")(x))
    model = keras.Model(inputs, Dense(1)(Scale(name="again")(x)))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def custom_layer_with_containers() -> Sample:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(1)(Blocks(4)(Blocks(5, name="first")(inputs))))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def custom_layer_frozen_inside() -> Sample:
    inputs = keras.Input((6,))
    blocks = Blocks(4)
    blocks.steps[0].trainable = False
    blocks.by_name["early"].trainable = False
    model = keras.Model(inputs, layers.Dense(1)(blocks(inputs)))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def custom_saving_and_assets() -> Sample:
    keeper = Keeper(name="keeper")
    keeper.notes = {"factor": 1.25, "ünï": ["code", None]}
    inner = keras.Sequential([keras.Input((4,)), Keeper(), layers.Dense(3)], name="inner")
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4), keeper, inner])
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 3, seed=3))


@case()
def custom_functions() -> Sample:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, activation=bent), layers.Activation(bent), layers.Dense(1)]
    )
    model.compile("adam", gap, metrics=[gap, Largest(floor=0.25), keras.metrics.MeanMetricWrapper(gap, name="wrapped")])
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def custom_loss_optimizer_and_schedule() -> Sample:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(1)])
    model.compile(SignMomentum(SlowDecay(0.05), use_ema=True), Cubic(2.5, reduction="sum"))
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def custom_optimizer_inside_loss_scale() -> Sample:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(SignMomentum(0.02), initial_scale=16.0), "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def custom_layer_that_shares_a_table() -> Sample:
    inputs = keras.Input((5,), dtype="int32")
    table = layers.Embedding(9, 4, name="table")
    model = keras.Model(inputs, Untied(table)(layers.Dense(4)(table(inputs))))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, tokens(9, 8, 5), classes(9, 8, 5))


@case()
def subclassed_with_tied_table() -> Sample:
    model = TiedPair(9, 4)
    model.compile("adamw", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, tokens(9, 8, 5), classes(9, 8, 5))


@case()
def subclassed_autoencoder() -> Sample:
    model = Autoencoder(4, name="squeeze")
    model.compile(keras.optimizers.RMSprop(0.01, centered=True), "mse", metrics=["mae"])
    return fit(model, numbers(8, 6), numbers(8, 6))


@case()
def subclassed_inside_functional() -> Sample:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(1)(Autoencoder(3)(layers.Dense(6)(inputs))))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def subclassed_sequential() -> Sample:
    model = Sub([keras.Input((6,)), layers.Dense(4), Sub([layers.Dense(3)]), layers.Dense(1)])
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))
