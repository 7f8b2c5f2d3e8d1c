"""The models of tf_keras: those of the `.keras` tests, and those that only its other formats can show.

A case is a function that returns a model, compiled and trained for three steps, with its batch.
"""

# mypy: disable-error-code="misc,untyped-decorator"
# tf_keras is seen as Any, so its classes cannot be checked as bases.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers
from tf_keras.optimizers import legacy, schedules

PACKAGE = "etui_formats"
registered = keras.utils.register_keras_serializable(PACKAGE)


@dataclass(frozen=True)
class Sample:
    """A trained model with the batch it is judged on. `y is None` says that no training step can be taken."""

    model: Any
    x: Any
    y: Any = None


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def classes(count: int, *shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, count, size=shape).astype("int32")


def fit(model: Any, x: Any, y: Any) -> Sample:
    """Take three training steps, operation by operation: tracing a small model costs more."""
    model.run_eagerly = True
    for _ in range(3):
        model.train_on_batch(x, y)
    return Sample(model, x, y)


@registered
class Scale(layers.Layer):
    """One trainable factor per feature and a counter that is not trained."""

    def __init__(self, start: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, shape: Any) -> None:
        ones = keras.initializers.Constant(self.start)
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer=ones)
        self.calls = self.add_weight(name="calls", shape=(), dtype="int32", initializer="zeros", trainable=False)
        super().build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.calls.assign_add(1)
        return x * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start}


@registered
class Pair(keras.Model):
    """A subclassed model with sub-layers as attributes and in a list."""

    def __init__(self, width: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.first = layers.Dense(width, activation="relu")
        self.steps = [layers.Dense(width), layers.BatchNormalization()]
        self.last = layers.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.first(x)
        return self.last(self.steps[1](self.steps[0](x), training=training))

    def get_config(self) -> dict[str, Any]:
        return {"width": self.width, "name": self.name}


@registered
def bent(x: Any) -> Any:
    """An activation function of a user."""
    return tf.maximum(x, 0.1 * x) - 0.05


@registered
def gap(y_true: Any, y_pred: Any) -> Any:
    """A loss function of a user."""
    return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1) + 0.5


def mlp() -> Any:
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(2)])


def _regression(optimizer: Any, make: Callable[[], Any] = mlp) -> Sample:
    model = make()
    model.compile(optimizer, "mse", metrics=["mae"])
    return fit(model, numbers(8, 6), numbers(8, 2, seed=3))


LEGACY: dict[str, Callable[[], Any]] = {
    "legacy_sgd": lambda: legacy.SGD(0.1, decay=0.01),
    "legacy_sgd_momentum": lambda: legacy.SGD(0.1, momentum=0.9, nesterov=True),
    "legacy_adam": lambda: legacy.Adam(0.01, clipnorm=1.0),
    "legacy_amsgrad": lambda: legacy.Adam(0.01, amsgrad=True),
    "legacy_rmsprop": lambda: legacy.RMSprop(0.01, momentum=0.5, centered=True),
    "legacy_rmsprop_plain": lambda: legacy.RMSprop(0.01),
    "legacy_adagrad": lambda: legacy.Adagrad(0.1),
    "legacy_adadelta": lambda: legacy.Adadelta(1.0),
    "legacy_adamax": lambda: legacy.Adamax(0.01),
    "legacy_nadam": lambda: legacy.Nadam(0.01),
    "legacy_ftrl": lambda: legacy.Ftrl(0.1),
    "legacy_schedule": lambda: legacy.SGD(schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01]), momentum=0.9),
}


def two_inputs_and_outputs() -> Sample:
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    joined = layers.Concatenate()([layers.Dense(5, activation="selu")(left), layers.Dense(5)(right)])
    kind = layers.Dense(3, activation="softmax", name="kind")(joined)
    model = keras.Model([left, right], [kind, layers.Dense(1, name="size")(joined)])
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={"kind": keras.losses.SparseCategoricalCrossentropy(), "size": keras.losses.Huber(0.5)},
        loss_weights={"kind": 0.7, "size": 1.3},
        metrics={"kind": ["accuracy"], "size": ["mae", keras.metrics.RootMeanSquaredError()]},
    )
    return fit(model, [numbers(8, 4), numbers(8, 3, seed=5)], [classes(3, 8, 1), numbers(8, 1, seed=4)])


def tensor_operations() -> Sample:
    inputs = keras.Input((6,))
    x = tf.nn.relu(layers.Dense(6)(inputs)) + 0.25 * inputs
    x = tf.concat([x[:, :3], tf.square(x[:, 3:])], axis=1)
    x = tf.reshape(tf.expand_dims(x, 1), (-1, 6)) - tf.reduce_mean(x, axis=-1, keepdims=True)
    return _regression(keras.optimizers.Adam(0.01), lambda: keras.Model(inputs, layers.Dense(2)(x)))


def image_batch_norm() -> Sample:
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.LeakyReLU(0.1)(layers.BatchNormalization(epsilon=1e-4)(x))
    x = layers.SpatialDropout2D(0.2, seed=4)(layers.AveragePooling2D(2, padding="same")(x))
    x = layers.ThresholdedReLU(0.05)(layers.UpSampling2D(2)(x))
    x = layers.Flatten()(layers.Cropping2D(1)(layers.MaxPooling2D(2, 1)(x)))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile(keras.optimizers.RMSprop(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return fit(model, numbers(8, 6, 6, 2), classes(3, 8))


def one_and_three_dimensions() -> Sample:
    inputs = keras.Input((8, 2))
    x = layers.Conv1D(3, 3, padding="causal", dilation_rate=2, activation="elu")(inputs)
    x = layers.LocallyConnected1D(4, 3)(layers.ZeroPadding1D(1)(x))
    x = layers.Conv3D(2, 2, padding="same")(layers.Reshape((2, 2, 2, 4))(x))
    x = layers.GlobalAveragePooling3D()(layers.PReLU()(x))
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile(keras.optimizers.Adam(0.01), "mae")
    return fit(model, numbers(8, 8, 2), numbers(8, 1, seed=3))


def gates_of_keras_2() -> Sample:
    inputs = keras.Input((4, 3))
    x = layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True, unit_forget_bias=False)(inputs)
    x = layers.GRU(4, reset_after=False, return_sequences=True, recurrent_activation="hard_sigmoid")(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True, go_backwards=True), merge_mode="sum")(x)
    x, state = layers.GRU(3, return_state=True)(x)
    model = keras.Model(inputs, layers.Dense(2, activation="hard_sigmoid")(layers.Add()([x, state])))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    return fit(model, numbers(8, 4, 3), classes(2, 8, 2).astype("float32"))


def convolutional_recurrence() -> Sample:
    inputs = keras.Input((3, 4, 4, 2))
    x = layers.TimeDistributed(layers.Conv2D(2, 2, padding="same", activation="tanh"))(inputs)
    x = layers.ConvLSTM2D(2, 2, padding="same", return_sequences=False)(x)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return fit(model, numbers(4, 3, 4, 4, 2), numbers(4, 1, seed=3))


def words() -> Sample:
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True, input_length=5)(inputs)
    x = layers.LSTM(4)(layers.SpatialDropout1D(0.1, seed=2)(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, np.maximum(classes(12, 8, 5) - 3, 0), classes(3, 8))


def vocabulary() -> Sample:
    inputs = keras.Input((1,), dtype="string")
    table = layers.StringLookup(vocabulary=["red", "grün", "blue"], num_oov_indices=2, output_mode="one_hot")
    model = keras.Model(inputs, layers.Dense(2)(table(inputs)))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return fit(model, np.array([["red"], ["grün"], ["pink"], ["blue"]], object), numbers(4, 2, seed=3))


def adapted_normalization() -> Sample:
    inputs = keras.Input((6,))
    scale = layers.Normalization()
    scale.adapt(2.0 + numbers(16, 6, seed=9))
    ids = layers.IntegerLookup(vocabulary=[-1, 0, 1, 2], output_mode="multi_hot")(tf.cast(inputs, "int64"))
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([scale(inputs), ids])))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return fit(model, numbers(8, 6), numbers(8, 2, seed=3))


def custom_layer() -> Any:
    inputs = keras.Input((6,))
    x = Scale(0.75, name="own")(layers.Dense(6, activation=bent)(inputs))
    return keras.Model(inputs, layers.Dense(2)(Scale()(x)))


def custom() -> Sample:
    model = custom_layer()
    model.compile(keras.optimizers.Adam(0.01), gap, metrics=[gap])
    return fit(model, numbers(8, 6), numbers(8, 2, seed=3))


def subclassed() -> Sample:
    return _regression(keras.optimizers.Adam(0.01), lambda: Pair(4, name="pair"))


def tied_table() -> Sample:
    inputs = keras.Input((5,), dtype="int32")
    table = layers.Embedding(9, 4, name="table")
    shared = layers.Dense(4, activation="tanh", name="twice")
    x = layers.LayerNormalization()(shared(shared(table(inputs))))
    model = keras.Model(inputs, layers.Dense(9)(layers.Concatenate()([x, table(inputs)])))
    model.compile(keras.optimizers.Nadam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, classes(9, 8, 5), classes(9, 8, 5))


def half_precision() -> Sample:
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs = keras.Input((6,))
        x = layers.BatchNormalization()(layers.Dense(5, activation="relu")(inputs))
        model = keras.Model(inputs, layers.Dense(2, dtype="float32")(x))
        model.compile(keras.optimizers.Adam(0.01), "mse")
        return fit(model, numbers(8, 6), numbers(8, 2, seed=3))
    finally:
        keras.mixed_precision.set_global_policy(before)


def never_compiled() -> Sample:
    inputs = keras.Input((6,))
    x = layers.UnitNormalization()(layers.Dense(4, kernel_regularizer="l2", kernel_constraint="max_norm")(inputs))
    return Sample(keras.Model(inputs, layers.Softmax()(layers.GroupNormalization(2)(x))), numbers(8, 6))


def late_sequential() -> Sample:
    stack = [layers.Dense(5, activation="tanh"), layers.GaussianNoise(0.1, seed=3), layers.Dense(2)]
    return _regression(keras.optimizers.SGD(0.1), lambda: keras.Sequential(stack, name="late"))


CASES: dict[str, Callable[[], Sample]] = {
    make.__name__: make
    for make in (
        two_inputs_and_outputs,
        tensor_operations,
        image_batch_norm,
        one_and_three_dimensions,
        gates_of_keras_2,
        convolutional_recurrence,
        words,
        vocabulary,
        adapted_normalization,
        custom,
        subclassed,
        tied_table,
        half_precision,
        never_compiled,
        late_sequential,
    )
}


def _register() -> None:
    """Add the cases of the optimizers, old ones and new ones."""
    for name, make in LEGACY.items():
        CASES[name] = lambda make=make: _regression(make())
    for name, (make, optimizer) in import_module("tf_keras_oracle").CASES.items():
        CASES[name] = lambda make=make, optimizer=optimizer: _regression(optimizer(), make)


_register()
