"""Graphs with functions of TensorFlow in Keras 2, and with the operations of Keras 3 that mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from models import NEW, OLD, VECTOR, case, numbers, whole


def _tf() -> Any:
    import tensorflow as tf

    return tf


@case(VECTOR)
def arithmetic(k: Any) -> Any:
    la = k.layers
    i = k.Input((6,))
    a, b = la.Dense(4)(i), la.Dense(4, activation="softplus")(i)
    found = [a + b, a - 1.5, 2.0 - b, a * b, a / (b + 1.0), 1.0 / (b + 1.0), -a, b**2, a * 0.5]
    found += [abs(a), i[:, 1:5], i[:, -4:], i[:, ::2]]
    return k.Model(i, la.Dense(2)(la.Concatenate()(found)))


@case(VECTOR)
def indexing(k: Any) -> Any:
    la = k.layers
    i = k.Input((6,))
    h = la.Reshape((2, 3))(i)
    found = [h[:, 0], h[:, 1, :], h[:, :, 2], h[:, None, 0, :1][:, 0]]
    return k.Model(i, la.Concatenate()(found))


@case(VECTOR, sides=OLD, bound=1e-6, losses=1e-5)
def functions_of_one(k: Any) -> Any:
    tf, la = _tf(), k.layers
    i = k.Input((6,))
    h = la.Dense(3, activation="sigmoid")(i)
    nn = [tf.nn.relu(h), tf.nn.sigmoid(h), tf.nn.tanh(h), tf.nn.softmax(h), tf.nn.log_softmax(h), tf.nn.elu(h)]
    nn += [
        tf.nn.selu(h),
        tf.nn.softplus(h),
        tf.nn.softsign(h),
        tf.nn.leaky_relu(h - 0.5, alpha=0.1),
        tf.nn.relu6(h * 9.0),
    ]
    nn += [tf.nn.gelu(h), tf.nn.gelu(h, approximate=True), tf.nn.silu(h), tf.nn.softmax(h, axis=1)]
    m = [tf.abs(h), tf.square(h), tf.sqrt(h), tf.exp(h), tf.math.log(h), tf.math.log1p(h), tf.math.expm1(h)]
    m += [tf.sin(h), tf.cos(h), tf.tan(h), tf.asin(h), tf.acos(h), tf.atan(h), tf.sinh(h), tf.cosh(h), tf.tanh(h)]
    m += [tf.math.asinh(h), tf.math.atanh(h), tf.floor(h), tf.math.ceil(h), tf.sign(h), tf.math.reciprocal(h)]
    m += [tf.math.rsqrt(h), tf.math.erf(h), tf.round(h * 3.0), tf.negative(h), tf.clip_by_value(h, 0.3, 0.6)]
    m += [tf.stop_gradient(h), tf.zeros_like(h), tf.ones_like(h), tf.math.log_sigmoid(h), tf.math.softplus(h)]
    return k.Model(i, la.Dense(2)(tf.concat(nn + m, axis=-1)))


@case(VECTOR, sides=OLD, bound=1e-6, losses=1e-5)
def functions_of_two(k: Any) -> Any:
    tf, la = _tf(), k.layers
    i = k.Input((6,))
    a, b = la.Dense(3)(i), la.Dense(3, activation="sigmoid")(i)
    found = [tf.add(a, b), tf.subtract(a, b), tf.multiply(a, b), tf.divide(a, b), tf.maximum(a, b), tf.minimum(a, b)]
    found += [tf.pow(b, 1.5), tf.math.divide_no_nan(a, b), tf.math.floordiv(a, b), tf.math.floormod(a, b)]
    found += [tf.math.atan2(a, b), tf.where(a > b, a, b * 2.0), a * np.array([1.0, 2.0, 3.0], "float32")]
    found += [tf.cast(a > 0.0, "float32"), tf.cast(tf.logical_and(a >= b, b < 0.5), "float32"), a * [3.0, 2.0, 1.0]]
    found += [tf.cast(tf.not_equal(a, b), "float32"), tf.cast(tf.equal(a, a), "float32")]
    return k.Model(i, la.Dense(2)(la.Concatenate()(found)))


@case(lambda: numbers(4, 6), sides=OLD, bound=1e-6, losses=1e-5)
def reductions(k: Any) -> Any:
    tf, la = _tf(), k.layers
    i = k.Input((4, 6))
    ways = [tf.reduce_mean, tf.reduce_sum, tf.reduce_max, tf.reduce_min, tf.reduce_prod, tf.reduce_logsumexp]
    found = [way(i, axis=1) for way in ways] + [tf.math.reduce_std(i, axis=1), tf.math.reduce_variance(i, axis=-2)]
    found += [tf.squeeze(tf.reduce_mean(i, axis=1, keepdims=True), axis=1)]
    found += [tf.cast(tf.reduce_any(i > 1.0, axis=1), "float32"), tf.cast(tf.reduce_all(i > -1.0, axis=[1]), "float32")]
    return k.Model(i, la.Dense(2)(tf.stack(found, axis=1)))


@case(lambda: numbers(4, 6), sides=OLD, losses=1e-5)
def shapes(k: Any) -> Any:
    tf, la = _tf(), k.layers
    i = k.Input((4, 6))
    left, right = tf.split(i, 2, axis=-1)
    one, two = tf.split(i, [2, 4], axis=2)
    parts = tf.unstack(i, axis=1)
    found = [tf.reshape(i, (-1, 24)), tf.reshape(tf.transpose(i, perm=[0, 2, 1]), [-1, 24])]
    found += [la.Flatten()(left * right), la.Flatten()(tf.concat([one, two], 2)), parts[0] + parts[3]]
    found += [
        la.Flatten()(tf.tile(i, [1, 2, 1])),
        la.Flatten()(tf.repeat(i, 2, axis=1)),
        la.Flatten()(tf.roll(i, 1, axis=1)),
    ]
    found += [la.Flatten()(tf.pad(i, [[0, 0], [1, 1], [0, 2]])), la.Flatten()(tf.reverse(i, axis=[1]))]
    found += [
        la.Flatten()(tf.expand_dims(i, -1)),
        la.Flatten()(tf.gather(i, [0, 2], axis=1)),
        tf.cumsum(parts[1], axis=1),
    ]
    found += [la.Flatten()(tf.pad(i, [[0, 0], [1, 1], [0, 0]], constant_values=0.5)), tf.sort(parts[2], axis=-1)]
    return k.Model(i, la.Dense(2)(la.Concatenate()(found)))


@case(lambda: numbers(4, 6), lambda: numbers(6, 3, seed=3), sides=OLD, losses=1e-5)
def products(k: Any) -> Any:
    tf = _tf()
    a, b = k.Input((4, 6)), k.Input((6, 3))
    return k.Model([a, b], k.layers.Dense(2)(tf.matmul(a, b) + a @ b))


@case(lambda: whole(3), sides=OLD, loss=None)
def integers(k: Any) -> Any:
    tf = _tf()
    i = k.Input((3,), dtype="int32")
    return k.Model(i, [i + 1, i * 2, tf.reduce_sum(i, axis=1), tf.one_hot(i, 9), tf.cast(i, "float32") / 2.0])


@case(lambda: numbers(6, 6, 3), sides=OLD, loss=None, bound=1e-6)
def resized_by_function(k: Any) -> Any:
    tf = _tf()
    i = k.Input((6, 6, 3))
    return k.Model(i, [tf.image.resize(i, (4, 4)), tf.image.resize(i, [9, 7], method="nearest")])


@case(VECTOR, sides=OLD)
def function_in_a_nested_model(k: Any) -> Any:
    tf, la = _tf(), k.layers
    inner_in = k.Input((6,))
    inner = k.Model(inner_in, tf.nn.relu(la.Dense(4)(inner_in)) * 0.5)
    i = k.Input((6,))
    return k.Model(i, la.Dense(2)(tf.reduce_mean(tf.stack([inner(i), inner(-i)], axis=1), axis=1)))


@case(VECTOR, sides=NEW, bound=1e-6, losses=1e-5)
def operations_of_one(k: Any) -> Any:
    o, la = k.ops, k.layers
    i = k.Input((6,))
    h = la.Dense(3, activation="sigmoid")(i)
    found = [o.relu(h), o.sigmoid(h), o.tanh(h), o.softmax(h), o.log_softmax(h), o.elu(h), o.selu(h), o.softplus(h)]
    found += [o.softsign(h), o.leaky_relu(h - 0.5, 0.1), o.relu6(h * 9.0), o.gelu(h), o.gelu(h, approximate=False)]
    found += [
        o.silu(h),
        o.abs(h),
        o.square(h),
        o.sqrt(h),
        o.exp(h),
        o.log(h),
        o.sin(h),
        o.cos(h),
        o.floor(h),
        o.sign(h),
    ]
    found += [o.rsqrt(h), o.erf(h), o.clip(h, 0.3, 0.6), o.negative(h), o.stop_gradient(h), o.log_sigmoid(h)]
    return k.Model(i, la.Dense(2)(o.concatenate(found, axis=-1)))


@case(lambda: numbers(4, 6), sides=NEW, bound=1e-6, losses=1e-5)
def operations_on_shapes(k: Any) -> Any:
    o, la = k.ops, k.layers
    i = k.Input((4, 6))
    found = [o.mean(i, axis=1), o.sum(i, axis=1), o.max(i, axis=1), o.std(i, axis=1), o.logsumexp(i, axis=1)]
    found += [
        o.squeeze(o.expand_dims(i[:, 0], 1), axis=1),
        o.transpose(i, (0, 2, 1))[:, :, 0],
        o.roll(i, 1, axis=1)[:, 0],
    ]
    found += [o.reshape(i, (-1, 24))[:, :6], o.take(i, [0], axis=1)[:, 0], o.where(i > 0.0, i, 0.0)[:, 1]]
    left, right = o.split(i, 2, axis=1)
    found += [o.cast(i > 0.5, "float32")[:, 2], o.pad(i, ((0, 0), (1, 0), (0, 0)))[:, 1], left[:, 0] * right[:, 1]]
    found += [o.maximum(i[:, 0], i[:, 1]), o.flip(i, axis=1)[:, 0], o.tile(i, (1, 2, 1))[:, 5]]
    return k.Model(i, la.Dense(2)(o.stack(found, axis=1)))
