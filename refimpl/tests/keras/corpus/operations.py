"""Keras operations as nodes of a functional graph: operators, indexing, arguments of every type."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from .registry import Sample, case, fit, numbers


@case()
def operators() -> Sample:
    one, two = keras.Input((4,)), keras.Input((4,))
    x = layers.Dense(4)(one)
    y = (x + 1.0) * 2 - two / 3.0
    y = y + (1.0 - x) ** 2 - (-x) + abs(two) + 2.0 / (ops.exp(x) + 1)
    y = ops.where(x > two, y, x % 2.0) + ops.cast((x <= 0.5) & (two != 0.0), "float32")
    y = y @ ops.reshape(ops.arange(8, dtype="float32"), (4, 2)) + ops.cast(one // 0.5, "float32")[:, :2]
    model = keras.Model([one, two], layers.Dense(1)(ops.concatenate([y, x, two], axis=-1)))
    model.compile("adam", "mse")
    return fit(model, [numbers(8, 4), numbers(8, 4, seed=5)], numbers(8, 1, seed=3))


@case()
def indexing() -> Sample:
    inputs = keras.Input((6, 5, 4))
    x = layers.Dense(4)(inputs)
    parts = [
        x[:, 0],
        x[:, -1],
        x[:, 1:4, 2],
        x[:, ::2, ..., :4][:, 0],
        x[..., None][:, 2, 3:, :, 0],
    ]
    flat = [layers.Flatten()(part) for part in parts] + [x[:, 1, 1, 1:2]]
    model = keras.Model(inputs, layers.Dense(1)(ops.concatenate(flat, axis=1)))
    model.compile("adam", "mse")
    return fit(model, numbers(4, 6, 5, 4), numbers(4, 1, seed=3))


@case(("tensorflow", "jax"), "torch has no negative steps")
def indexing_backwards() -> Sample:
    inputs = keras.Input((6, 4))
    x = layers.Dense(4)(inputs)[:, 4:0:-2, ::-1]
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    model.compile("sgd", "mse")
    return fit(model, numbers(4, 6, 4), numbers(4, 1, seed=3))


@case()
def reductions_and_shapes() -> Sample:
    inputs = keras.Input((6, 4))
    x = layers.Dense(4)(inputs)
    parts = [
        ops.mean(x, axis=1),
        ops.sum(x, axis=(1,), keepdims=False),
        ops.max(x, axis=-2),
        ops.min(x, axis=1, keepdims=True)[:, 0],
        ops.std(x, axis=1),
        ops.logsumexp(x, axis=1),
        ops.squeeze(ops.expand_dims(ops.prod(x, axis=1), axis=(1, 2)), axis=(1, 2)),
        ops.reshape(ops.transpose(x, (0, 2, 1)), (-1, 24)),
        ops.reshape(ops.moveaxis(ops.stack([x, x * 2.0], axis=1), 1, -1), (-1, 48)),
        ops.reshape(ops.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=0.5), (-1, 45)),
        ops.reshape(ops.tile(x, (1, 1, 2)), (-1, 48)),
        ops.reshape(ops.repeat(x, 2, axis=1), (-1, 48)),
        ops.reshape(ops.roll(ops.flip(x, axis=1), 2, axis=1), (-1, 24)),
        ops.take(x, np.array([0, 2]), axis=1)[:, 1],
        ops.cast(ops.argmax(x, axis=1), "float32"),
    ]
    model = keras.Model(inputs, layers.Dense(1)(ops.concatenate(parts, axis=-1)))
    model.compile("sgd", "mse")
    return fit(model, numbers(4, 6, 4), numbers(4, 1, seed=3))


@case()
def several_outputs_and_products() -> Sample:
    inputs = keras.Input((4, 6))
    left, middle, right = ops.split(layers.Dense(6)(inputs), 3, axis=-1)
    best, where = ops.top_k(left + right, k=2)
    mean, variance = ops.moments(middle, axes=[1], keepdims=True)
    scores = ops.softmax(ops.matmul(left, ops.transpose(right, [0, 2, 1])) / 2.0, axis=-1)
    mixed = ops.einsum("bij,bjk->bik", scores, middle)
    normal = (middle - mean) / ops.sqrt(variance + 1e-3)
    total = ops.concatenate(
        [best, ops.cast(where, "float32"), mixed, normal, *ops.unstack(ops.stack([left, right]))], axis=-1
    )
    total = ops.relu6(ops.clip(total, -2.0, 2.5)) + ops.leaky_relu(total, negative_slope=0.3)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(total)))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 4, 6), numbers(8, 1, seed=3))


@case()
def neural_network_operations() -> Sample:
    inputs = keras.Input((8, 8, 3))
    kernel = numbers(3, 3, 3, 4, seed=9)
    x = ops.conv(inputs, kernel, strides=(1, 2), padding="same", dilation_rate=1)
    x = ops.average_pool(ops.max_pool(x, 2, strides=1, padding="valid"), 2, strides=2)
    x = ops.image.resize(x, (5, 5), interpolation="bilinear")
    x = layers.Dense(4)(ops.layer_normalization(x, axis=-1, epsilon=1e-4))
    classes = ops.one_hot(ops.argmax(x, axis=-1), 4, dtype="float32")
    x = ops.sum(x * classes, axis=[1, 2])
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile("adam", "mse")
    return fit(model, numbers(4, 8, 8, 3), numbers(4, 1, seed=3))
