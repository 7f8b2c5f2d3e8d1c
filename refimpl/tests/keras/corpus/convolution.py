"""Convolutions, pooling, padding, cropping, up-sampling and resizing."""

from __future__ import annotations

import keras
from keras import layers

from .registry import Sample, case, classes, fit, numbers, one_hot


@case()
def cnn_with_batch_norm() -> Sample:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(max_value=6.0),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3, strides=2, padding="same", groups=2, activation="relu"),
            layers.BatchNormalization(scale=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    return fit(model, numbers(8, 8, 8, 3), one_hot(3, 8))


@case()
def residual_network() -> Sample:
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same")(layers.ZeroPadding2D(1)(inputs))
    for stride in (1, 2):
        short = layers.Conv2D(4, 1, strides=stride)(x) if stride > 1 else x
        y = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(4, 3, stride, padding="same")(x)))
        x = layers.Activation("relu")(layers.Add()([short, layers.BatchNormalization()(y)]))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.AveragePooling2D(2)(x))))
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return fit(model, numbers(8, 8, 8, 2), classes(3, 8))


@case()
def convolutions_in_one_dimension() -> Sample:
    inputs = keras.Input((12, 3))
    x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="tanh")(inputs)
    x = layers.SeparableConv1D(6, 3, depth_multiplier=2, padding="same")(x)
    x = layers.DepthwiseConv1D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = layers.Conv1DTranspose(4, 3, strides=2, padding="same")(x)
    x = layers.MaxPooling1D(2)(layers.Cropping1D(1)(layers.ZeroPadding1D((1, 2))(x)))
    x = layers.AveragePooling1D(2, padding="same")(layers.UpSampling1D(2)(x))
    x = layers.Concatenate()([layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)])
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 12, 3), numbers(8, 2, seed=3))


@case()
def convolutions_in_two_dimensions() -> Sample:
    inputs = keras.Input((8, 8, 3))
    x = layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=2, use_bias=False)(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu")(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1)(x)
    x = layers.Cropping2D(((1, 2), (2, 1)))(x)
    x = layers.Conv2D(3, (2, 3), dilation_rate=(2, 1))(layers.UpSampling2D((2, 1), interpolation="nearest")(x))
    x = layers.MaxPooling2D((2, 3), padding="same")(x)
    x = layers.Resizing(4, 4, interpolation="bilinear")(layers.CenterCrop(6, 3)(x))
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D(keepdims=False)(x)])
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 8, 8, 3), numbers(8, 2, seed=3))


@case()
def convolutions_in_three_dimensions() -> Sample:
    inputs = keras.Input((5, 6, 6, 2))
    x = layers.Conv3D(3, 3, padding="same", activation="elu")(inputs)
    x = layers.MaxPooling3D((1, 2, 2))(layers.ZeroPadding3D((1, 0, 0))(x))
    x = layers.Conv3DTranspose(2, 2, strides=2)(x)
    x = layers.AveragePooling3D(2)(layers.Cropping3D(1)(layers.UpSampling3D((1, 2, 1))(x)))
    x = layers.Concatenate()([layers.GlobalMaxPooling3D()(x), layers.GlobalAveragePooling3D()(x)])
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("adam", "mse")
    return fit(model, numbers(4, 5, 6, 6, 2), numbers(4, 2, seed=3))


@case()
def adaptive_pooling() -> Sample:
    inputs = keras.Input((8, 8, 3))
    x = layers.Concatenate()([layers.AdaptiveAveragePooling2D(2)(inputs), layers.AdaptiveMaxPooling2D((2, 2))(inputs)])
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    model.compile("sgd", "mse")
    return fit(model, numbers(8, 8, 8, 3), numbers(8, 2, seed=3))


@case(("jax", "torch"), "TensorFlow has no convolution in channels_first order on a CPU")
def channels_first() -> Sample:
    order = "channels_first"
    model = keras.Sequential(
        [
            keras.Input((3, 8, 8)),
            layers.Conv2D(4, 3, data_format=order),
            layers.BatchNormalization(axis=1),
            layers.MaxPooling2D(data_format=order),
            layers.GlobalAveragePooling2D(data_format=order),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "mse")
    return fit(model, numbers(8, 3, 8, 8), numbers(8, 2, seed=3))
