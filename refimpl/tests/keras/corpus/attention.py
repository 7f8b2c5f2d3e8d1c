"""Attention layers and small transformers."""

from __future__ import annotations

import keras
from keras import layers, ops

from .registry import Sample, case, classes, fit, numbers, tokens


@case()
def attention_kinds() -> Sample:
    query, value = keras.Input((4, 6), name="query"), keras.Input((5, 6), name="value")
    parts = [
        layers.Attention(use_scale=True, score_mode="concat", seed=1)([query, value]),
        layers.Attention(score_mode="dot", dropout=0.2, seed=2)([query, value, value]),
        layers.AdditiveAttention(dropout=0.1, seed=3)([query, value]),
        layers.MultiHeadAttention(2, 3, output_shape=6, use_bias=False)(query, value),
        layers.GroupQueryAttention(3, 4, 2)(query, value),
    ]
    model = keras.Model([query, value], layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Concatenate()(parts))))
    model.compile("adam", "mse")
    return fit(model, [numbers(8, 4, 6), numbers(8, 5, 6, seed=5)], numbers(8, 1, seed=3))


@case(("tensorflow", "torch"), "Keras on JAX fails when values and keys differ in depth")
def attention_with_other_value_depth() -> Sample:
    query, value = keras.Input((4, 6)), keras.Input((5, 3))
    attended = layers.MultiHeadAttention(2, 3, value_dim=4, output_shape=2)(query, value)
    model = keras.Model([query, value], attended)
    model.compile("adam", "mse")
    return fit(model, [numbers(8, 4, 6), numbers(8, 5, 3, seed=5)], numbers(8, 4, 2, seed=3))


@case()
def attention_scores_returned() -> Sample:
    query, value = keras.Input((4, 6)), keras.Input((5, 6))
    attended, scores = layers.MultiHeadAttention(2, 3, dropout=0.1, seed=4)(
        query, value, key=layers.Dense(6)(value), return_attention_scores=True
    )
    model = keras.Model([query, value], [attended, scores])
    model.compile("adam", ["mse", None])
    return fit(model, [numbers(8, 4, 6), numbers(8, 5, 6, seed=5)], [numbers(8, 4, 6, seed=3), None])


@case()
def transformer_encoder() -> Sample:
    inputs = keras.Input((7,), dtype="int32")
    positions = ops.cumsum(ops.ones_like(inputs), axis=1) - 1
    x = layers.Embedding(17, 8, mask_zero=True)(inputs) + layers.Embedding(7, 8, name="positions")(positions)
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 4, dropout=0.1, seed=5)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, attended]))
        wide = layers.Dense(16, activation=keras.activations.gelu)(x)
        x = layers.LayerNormalization()(x + layers.Dropout(0.1, seed=6)(layers.Dense(8)(wide)))
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(x)))
    model.compile("adamw", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return fit(model, tokens(17, 8, 7), classes(4, 8))


@case()
def transformer_decoder_tied_embedding() -> Sample:
    inputs = keras.Input((6,), dtype="int32")
    table = layers.ReversibleEmbedding(17, 8, tie_weights=True, name="table")
    x = layers.RMSNormalization()(table(inputs))
    x = x + layers.GroupQueryAttention(4, 4, 2)(x, x, use_causal_mask=True)
    x = x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
    model = keras.Model(inputs, table(layers.LayerNormalization(rms_scaling=False)(x), reverse=True))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, tokens(17, 8, 6), classes(17, 8, 6))


@case()
def reversible_embedding_untied() -> Sample:
    inputs = keras.Input((6,), dtype="int32")
    table = layers.ReversibleEmbedding(11, 8, tie_weights=False, reverse_dtype="float32", name="table")
    model = keras.Model(inputs, table(layers.Dense(8, activation="silu")(table(inputs)), reverse=True))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, tokens(11, 8, 6), classes(11, 8, 6))


@case()
def einsum_dense() -> Sample:
    inputs = keras.Input((5, 4))
    x = layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de", activation="relu")(inputs)
    x = layers.EinsumDense("abde,def->abf", output_shape=(None, 6))(x)
    x = layers.EinsumDense("...x,xy->...y", output_shape=2, bias_axes="y")(x)
    model = keras.Model(inputs, x)
    model.compile("adam", "mse")
    return fit(model, numbers(8, 5, 4), numbers(8, 5, 2, seed=3))
