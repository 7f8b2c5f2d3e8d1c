"""Models of sequences and text: recurrent layers, masks, attention, lookups."""

from __future__ import annotations

from typing import Any

import numpy as np
from models import ADAM, DISTINCT, NEW, OLD, SEQUENCE, case, chain, numbers


@case(SEQUENCE)
def lstm(k: Any) -> Any:
    return chain(k, (5, 3), k.layers.LSTM(4), k.layers.Dense(2))


@case(SEQUENCE, sides=OLD, bound=1e-6)
def lstm_of_keras_2(k: Any) -> Any:
    la = k.layers
    first = la.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True, implementation=1)
    return chain(k, (5, 3), first, la.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False), la.Dense(2))


@case(SEQUENCE, losses=1e-5)
def gru_and_simple(k: Any) -> Any:
    la = k.layers
    layers = [la.GRU(4, return_sequences=True, reset_after=False), la.GRU(4, return_sequences=True, go_backwards=True)]
    return chain(k, (5, 3), *layers, la.SimpleRNN(3, use_bias=False), la.Dense(2))


@case(DISTINCT, losses=1e-5, optimizer=ADAM)
def masked(k: Any) -> Any:
    la = k.layers
    layers = [la.Embedding(20, 4, mask_zero=True), la.LSTM(3, return_sequences=True), la.TimeDistributed(la.Dense(3))]
    return chain(k, (5,), *layers, la.GRU(3), la.Dense(2), dtype="int32")


@case(SEQUENCE)
def masking(k: Any) -> Any:
    la = k.layers
    return chain(
        k, (5, 3), la.Masking(0.0), la.SimpleRNN(4, return_sequences=True), la.GlobalAveragePooling1D(), la.Dense(2)
    )


@case(SEQUENCE, losses=1e-5, optimizer=ADAM)
def bidirectional(k: Any) -> Any:
    la = k.layers
    layers = [la.Bidirectional(la.LSTM(3, return_sequences=True)), la.Bidirectional(la.GRU(2), merge_mode="sum")]
    return chain(k, (5, 3), *layers, la.Dense(2))


@case(SEQUENCE, optimizer=ADAM)
def two_directions(k: Any) -> Any:
    la = k.layers
    both = la.Bidirectional(la.LSTM(3), backward_layer=la.GRU(3, go_backwards=True), merge_mode="concat")
    return chain(k, (5, 3), both, la.Dense(2))


@case(SEQUENCE, optimizer=ADAM)
def stacked_cells(k: Any) -> Any:
    la = k.layers
    return chain(k, (5, 3), la.RNN([la.LSTMCell(3), la.GRUCell(2)]), la.Dense(2))


@case(SEQUENCE)
def one_cell(k: Any) -> Any:
    la = k.layers
    return chain(k, (5, 3), la.RNN(la.SimpleRNNCell(3), return_sequences=True, unroll=True), la.Flatten(), la.Dense(2))


@case(SEQUENCE, lambda: numbers(4, 3, seed=3), losses=1e-5, optimizer=ADAM)
def encoder_decoder(k: Any) -> Any:
    la = k.layers
    a, b = k.Input((5, 3)), k.Input((4, 3))
    _, h, c = la.LSTM(4, return_state=True)(a)
    return k.Model([a, b], la.Dense(2)(la.LSTM(4, return_sequences=True)(b, initial_state=[h, c])))


@case(SEQUENCE, lambda: numbers(4, seed=4))
def given_state(k: Any) -> Any:
    la = k.layers
    a, b = k.Input((5, 3)), k.Input((4,))
    return k.Model([a, b], la.Dense(2)(la.GRU(4)(a, initial_state=b)))


@case(lambda: numbers(5, 6), bound=1e-6, losses=1e-5, optimizer=ADAM)
def self_attention(k: Any) -> Any:
    la = k.layers
    i = k.Input((5, 6))
    a = la.MultiHeadAttention(2, 3, value_dim=4)(i, i, use_causal_mask=True)
    h = la.LayerNormalization()(la.Add()([i, a]))
    return k.Model(i, la.Dense(2)(la.GlobalAveragePooling1D()(h)))


@case(lambda: numbers(5, 6), lambda: numbers(4, 6, seed=5), bound=1e-6, losses=1e-5, optimizer=ADAM)
def cross_attention(k: Any) -> Any:
    la = k.layers
    a, b = k.Input((5, 6)), k.Input((4, 6))
    found, scores = la.MultiHeadAttention(2, 3, output_shape=5)(a, b, key=b, return_attention_scores=True)
    return k.Model([a, b], [found, scores])


@case(lambda: numbers(5, 6), lambda: numbers(4, 6, seed=5), bound=1e-6, losses=1e-5, optimizer=ADAM)
def other_attention(k: Any) -> Any:
    la = k.layers
    a, b = k.Input((5, 6)), k.Input((4, 6))
    found = [
        la.Attention(use_scale=True)([a, b]),
        la.AdditiveAttention()([a, b]),
        la.Attention(score_mode="concat")([a, b]),
    ]
    return k.Model([a, b], la.Dense(2)(la.Concatenate()(found)))


@case(DISTINCT, bound=1e-6, losses=1e-5, optimizer=ADAM)
def transformer(k: Any) -> Any:
    la = k.layers
    i = k.Input((5,), dtype="int32")
    h = la.Embedding(20, 6, mask_zero=True)(i)
    h = la.Add()([h, la.MultiHeadAttention(2, 3, dropout=0.0)(h, h)])
    h = la.LayerNormalization(epsilon=1e-6)(h)
    h = la.Add()([h, la.Dense(6)(la.Dense(8, activation="gelu")(h))])
    return k.Model(i, la.Dense(2)(la.GlobalAveragePooling1D()(h)))


@case(lambda: np.array([["a"], ["b"], ["z"], ["c"]]), loss=None)
def text_lookup(k: Any) -> Any:
    la = k.layers
    i = k.Input((1,), dtype="string")
    return k.Model(i, la.Dense(2)(la.Flatten()(la.Embedding(6, 3)(la.StringLookup(vocabulary=["a", "b", "c"])(i)))))


@case(lambda: np.array([["the cat"], ["a dog sat"], ["cat cat"], [""]]), loss=None)
def text(k: Any) -> Any:
    la = k.layers
    i = k.Input((1,), dtype="string")
    h = la.TextVectorization(vocabulary=["the", "cat", "dog"], output_sequence_length=4)(i)
    return k.Model(i, la.Dense(2)(la.Flatten()(la.Embedding(6, 3)(h))))


@case(lambda: np.array([["a"], ["b"], ["z"], ["c"]]), loss=None)
def hashed_text(k: Any) -> Any:
    la = k.layers
    i = k.Input((1,), dtype="string")
    first = la.StringLookup(vocabulary=["a", "b"], num_oov_indices=2, output_mode="multi_hot")(i)
    return k.Model(i, [la.Hashing(num_bins=7)(i), first])


@case(lambda: np.array([[1], [5], [12], [3]]), loss=None)
def whole_numbers(k: Any) -> Any:
    la = k.layers
    i = k.Input((1,), dtype="int64")
    found = [la.IntegerLookup(vocabulary=[1, 3, 5])(i), la.CategoryEncoding(num_tokens=13, output_mode="one_hot")(i)]
    return k.Model(i, [*found, la.Hashing(num_bins=5)(i)])


@case(lambda: numbers(3), loss=None, bound=1e-6)
def buckets(k: Any) -> Any:
    la = k.layers
    i = k.Input((3,))
    scaled = la.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5])
    return k.Model(i, [la.Discretization(bin_boundaries=[-0.5, 0.0, 0.5])(i), scaled(i)])


@case(lambda: numbers(3), loss=None, bound=1e-6)
def adapted(k: Any) -> Any:
    found = k.layers.Normalization()
    found.adapt(numbers(3, seed=8) * 2 + 1)
    return chain(k, (3,), found, k.layers.Dense(2))


@case(SEQUENCE, sides=NEW, loss=None)
def positional_state(k: Any) -> Any:
    la = k.layers
    i = k.Input((5, 3))
    state = la.Dense(4)(la.GlobalAveragePooling1D()(i))
    return k.Model(i, la.GRU(4)(i, state))


@case(SEQUENCE, sides=OLD, losses=1e-5, optimizer=ADAM)
def both_backwards(k: Any) -> Any:
    la = k.layers
    first = la.Bidirectional(la.LSTM(3, go_backwards=True, return_sequences=True), merge_mode="sum")
    return chain(k, (5, 3), first, la.Bidirectional(la.GRU(2, go_backwards=True)), la.Dense(2))


@case(DISTINCT, sides=OLD, bound=1e-6, losses=1e-5, optimizer=lambda k: k.optimizers.AdamW(0.01, weight_decay=0.02))
def attending_tokens(k: Any) -> Any:
    la = k.layers
    i = k.Input((5,), dtype="int32")
    h = la.Embedding(20, 6)(i)
    h = la.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d")(la.MultiHeadAttention(2, 3)(h, h))
    return k.Model(i, la.Dense(2)(la.GlobalAveragePooling1D()(h)))
