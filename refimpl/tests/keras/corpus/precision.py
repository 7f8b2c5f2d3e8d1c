"""Dtype policies, quantized models and low-rank adapters."""

from __future__ import annotations

import keras
from keras import layers

from .registry import Sample, case, classes, fit, floatx, numbers, policy, register, tokens


def _classifier() -> keras.Model:
    inputs = keras.Input((6, 6, 2))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(inputs))
    x = layers.Dense(8, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(x))


def _under(name: str) -> Sample:
    with policy(name):
        model = _classifier()
    model.compile("adam", "sparse_categorical_crossentropy")
    return fit(model, numbers(8, 6, 6, 2), classes(3, 8))


register("bfloat16_policy", lambda: _under("bfloat16"))
register("float16_policy", lambda: _under("float16"))
register("mixed_bfloat16", lambda: _under("mixed_bfloat16"))
register("mixed_float16", lambda: _under("mixed_float16"))


@case(("tensorflow", "torch"), "JAX computes in 32 bits unless it is started otherwise")
def float64_policy() -> Sample:
    with floatx("float64"):
        model = _classifier()
        model.compile("adam", "sparse_categorical_crossentropy")
        return fit(model, numbers(8, 6, 6, 2, dtype="float64"), classes(3, 8))


@case()
def different_policy_in_each_layer() -> Sample:
    inputs = keras.Input((6,))
    x = layers.Dense(5, dtype="mixed_bfloat16", name="mixed")(inputs)
    x = layers.Dense(5, dtype=keras.DTypePolicy("bfloat16"), name="half")(x)
    x = layers.LSTM(4, dtype="mixed_bfloat16")(layers.Reshape((5, 1))(x))
    model = keras.Model(inputs, layers.Dense(2, dtype="float32")(x))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return fit(model, numbers(8, 6), numbers(8, 2, seed=3))


def _transformer() -> Sample:
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(16, 8)(inputs)
    x = layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 8), bias_axes="de")(x)
    x = layers.Dense(8, activation="relu")(layers.Reshape((6, 16))(x))
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, tokens(16, 8, 6), classes(4, 8))


def _quantized(mode: str, trainable: bool = False) -> Sample:
    sample = _transformer()
    sample.model.quantize(mode)
    if not trainable:
        return Sample(sample.model, sample.x)
    sample.model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(sample.model, sample.x, sample.y)


register("quantized_int8", lambda: _quantized("int8"))
register("quantized_int4", lambda: _quantized("int4"))
register("quantized_float8", lambda: _quantized("float8", trainable=True))


@case()
def quantized_int8_mixed_bfloat16() -> Sample:
    with policy("mixed_bfloat16"):
        sample = _transformer()
    sample.model.quantize("int8")
    return Sample(sample.model, sample.x)


@case()
def quantized_int4_in_groups() -> Sample:
    sample = _transformer()
    sample.model.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=4))
    return Sample(sample.model, sample.x)


@case()
def quantized_reversible_embedding() -> Sample:
    inputs = keras.Input((6,), dtype="int32")
    table = layers.ReversibleEmbedding(16, 8, tie_weights=False)
    model = keras.Model(inputs, table(layers.Dense(8)(table(inputs)), reverse=True))
    model.quantize("int8")
    return Sample(model, tokens(16, 8, 6))


def _adapters() -> Sample:
    sample = _transformer()
    for layer in sample.model.layers:
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(2)
    sample.model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(sample.model, sample.x, sample.y)


register("low_rank_adapters", _adapters)


@case()
def low_rank_adapter_on_int8() -> Sample:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, lora_rank=2), layers.Dense(3)])
    model.quantize("int8")
    model.compile("adam", "mse")
    return Sample(model, numbers(8, 6))


@case()
def low_rank_convolution() -> Sample:
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(4, 3, lora_rank=2), layers.Flatten(), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6, 6, 2), numbers(8, 1, seed=3))
