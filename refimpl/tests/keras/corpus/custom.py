"""Models with registered classes and functions of a user: layers, models, losses, metrics, optimizers, tied weights."""

from __future__ import annotations

import keras
from keras import layers

from .custom_objects import (
    Autoencoder,
    Blocks,
    Cubic,
    Dense,
    Keeper,
    Largest,
    OptionalSum,
    Scale,
    SignMomentum,
    SlowDecay,
    Sub,
    TiedPair,
    TiedHead,
    bent,
    gap,
    stretched,
)
from .registry import Sample, case, classes, fit, numbers, tokens


@case()
def functional_optional_input() -> Sample:
    inputs, extra = keras.Input((4,), name="given"), keras.Input((4,), name="extra", optional=True)
    model = keras.Model([inputs, extra], layers.Dense(2)(OptionalSum()(inputs, extra)))
    model.compile("adam", "mse")
    return fit(model, [numbers(8, 4), numbers(8, 4, seed=5)], numbers(8, 2, seed=3))


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
def function_in_a_lambda_layer() -> Sample:
    inputs = keras.Input((6,))
    bend = layers.Lambda(stretched, output_shape=(6,), arguments={"factor": 1.5}, name="bend")
    repeated = layers.RepeatVector(3)(bend(layers.Lambda(bent)(inputs)))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(repeated)))
    model.compile("adam", "mse")
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
    model = keras.Model(inputs, TiedHead(table)(layers.Dense(4)(table(inputs))))
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
