"""Normalization, activation, dropout and noise layers, initializers, regularizers and constraints."""

from __future__ import annotations

import keras
from keras import constraints, initializers, layers, regularizers

from .registry import Sample, case, fit, numbers


@case()
def normalizations() -> Sample:
    inputs = keras.Input((4, 6))
    parts = [
        layers.BatchNormalization(axis=1, center=False)(inputs),
        layers.BatchNormalization(center=False, scale=False)(inputs),
        layers.LayerNormalization(axis=[1, 2])(inputs),
        layers.LayerNormalization(center=False, epsilon=1e-5)(inputs),
        layers.GroupNormalization(groups=3)(inputs),
        layers.GroupNormalization(groups=-1, scale=False)(inputs),
        layers.RMSNormalization(epsilon=1e-5)(inputs),
        layers.UnitNormalization(axis=-1)(inputs),
    ]
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Concatenate()(parts))))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 4, 6), numbers(8, 1, seed=3))


@case()
def spectral_normalization() -> Sample:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.SpectralNormalization(layers.Conv2D(3, 3), power_iterations=2),
            layers.Flatten(),
            layers.SpectralNormalization(layers.Dense(4)),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6, 6, 2), numbers(8, 1, seed=3))


@case()
def activation_layers() -> Sample:
    inputs = keras.Input((4, 6))
    parts = [
        layers.PReLU()(inputs),
        layers.PReLU(shared_axes=[1], alpha_initializer=initializers.Constant(0.2))(inputs),
        layers.LeakyReLU(negative_slope=0.2)(inputs),
        layers.ELU(alpha=0.5)(inputs),
        layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.25)(inputs),
        layers.Softmax(axis=[1, 2])(inputs),
        layers.Softmax()(inputs),
        layers.Activation(keras.activations.mish)(inputs),
        layers.Identity()(inputs),
        layers.ActivityRegularization(l1=0.01, l2=0.02)(inputs),
    ]
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Concatenate()(parts))))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 4, 6), numbers(8, 1, seed=3))


@case()
def activation_functions() -> Sample:
    names = [
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "log_softmax",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softmax",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "squareplus",
        "swish",
        "tanh",
        "tanh_shrink",
    ]
    inputs = keras.Input((6,))
    parts = [layers.Dense(4, activation=name)(inputs) for name in names]
    model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(parts)))
    model.compile("sgd", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def dropout_and_noise() -> Sample:
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.GaussianNoise(0.1, seed=1),
            layers.SpatialDropout2D(0.2, seed=2),
            layers.Dropout(0.2, noise_shape=(None, 1, 4, 3), seed=3),
            layers.Reshape((16, 3)),
            layers.SpatialDropout1D(0.1, seed=4),
            layers.GaussianDropout(0.2, seed=5),
            layers.AlphaDropout(0.2, seed=6),
            layers.Reshape((2, 2, 4, 3)),
            layers.SpatialDropout3D(0.2, seed=7),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "mse")
    return fit(model, numbers(8, 4, 4, 3), numbers(8, 2, seed=3))


@case()
def initializers_of_every_kind() -> Sample:
    kinds = [
        initializers.Constant(0.25),
        initializers.GlorotNormal(seed=1),
        initializers.GlorotUniform(seed=2),
        initializers.HeNormal(seed=3),
        initializers.HeUniform(seed=4),
        initializers.LecunNormal(seed=5),
        initializers.LecunUniform(seed=6),
        initializers.Ones(),
        initializers.Orthogonal(gain=0.5, seed=7),
        initializers.RandomNormal(mean=0.1, stddev=0.2, seed=8),
        initializers.RandomUniform(-0.3, 0.3, seed=9),
        initializers.TruncatedNormal(stddev=0.1, seed=10),
        initializers.VarianceScaling(2.0, "fan_avg", "uniform", seed=11),
        initializers.IdentityInitializer(gain=0.5),
        initializers.Zeros(),
        keras.initializers.get("he_normal"),
    ]
    inputs = keras.Input((4,))
    parts = [
        layers.Dense(4, kernel_initializer=kind, bias_initializer=initializers.Constant(0.1))(inputs) for kind in kinds
    ]
    model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(parts)))
    model.compile("sgd", "mse")
    return fit(model, numbers(8, 4), numbers(8, 1, seed=3))


@case()
def regularizers_and_constraints() -> Sample:
    inputs = keras.Input((6,))
    pairs = [
        (regularizers.L1(0.01), constraints.MaxNorm(2.0)),
        (regularizers.L2(0.02), constraints.NonNeg()),
        (regularizers.L1L2(0.01, 0.02), constraints.UnitNorm(axis=0)),
        (regularizers.OrthogonalRegularizer(0.01, mode="columns"), constraints.MinMaxNorm(0.1, 0.9, rate=0.5)),
    ]
    parts = [
        layers.Dense(4, kernel_regularizer=r, kernel_constraint=c, bias_regularizer="l2", activity_regularizer="l1")(
            inputs
        )
        for r, c in pairs
    ]
    model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(parts)))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))
