"""Recurrent layers: stacked, bidirectional, cells, returned states, masks, time-distributed and convolutional."""

from __future__ import annotations

import keras
from keras import layers, ops

from .registry import Sample, case, classes, fit, numbers, register, tokens


def _stacked(kind: type[layers.Layer], **options: object) -> Sample:
    model = keras.Sequential(
        [keras.Input((5, 3)), kind(4, return_sequences=True, **options), kind(3, **options), layers.Dense(2)]
    )
    model.compile("adam", "mse")
    return fit(model, numbers(8, 5, 3), numbers(8, 2, seed=3))


register("simple_rnn_stacked", lambda: _stacked(layers.SimpleRNN, activation="relu"))
register("lstm_stacked", lambda: _stacked(layers.LSTM, unit_forget_bias=False, go_backwards=True))
register("gru_stacked", lambda: _stacked(layers.GRU))
register("gru_reset_before_without_bias", lambda: _stacked(layers.GRU, reset_after=False, use_bias=False))


@case()
def bidirectional() -> Sample:
    inputs = keras.Input((5, 3))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="concat")(inputs)
    backward = layers.SimpleRNN(4, go_backwards=True, name="own_backward")
    x = layers.Bidirectional(layers.GRU(4), backward_layer=backward, merge_mode="sum")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 5, 3), numbers(8, 2, seed=3))


@case()
def encoder_state_into_decoder() -> Sample:
    source, target = keras.Input((6,), dtype="int32", name="source"), keras.Input((5,), dtype="int32", name="target")
    embed = layers.Embedding(11, 4, mask_zero=True, name="words")
    _, h, c = layers.LSTM(6, return_state=True, name="encoder")(embed(source))
    sequence, *_ = layers.LSTM(6, return_sequences=True, return_state=True, name="decoder")(
        embed(target), initial_state=[h, c]
    )
    model = keras.Model([source, target], layers.TimeDistributed(layers.Dense(11), name="words_out")(sequence))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("rmsprop", loss, weighted_metrics=["accuracy"])
    return fit(model, [tokens(11, 8, 6), tokens(11, 8, 5, seed=5)], classes(11, 8, 5))


@case()
def rnn_of_cells() -> Sample:
    stack = layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(3), layers.SimpleRNNCell(5)], name="stack")
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.RNN(stack, return_sequences=True),
            layers.RNN([layers.GRUCell(4), layers.GRUCell(2)], return_sequences=True),
            layers.RNN(layers.LSTMCell(3, recurrent_activation="hard_sigmoid")),
        ]
    )
    model.compile("adam", "mse")
    return fit(model, numbers(8, 5, 3), numbers(8, 3, seed=3))


@case()
def rnn_dropout_and_states() -> Sample:
    inputs = keras.Input((5, 3))
    x, state = layers.GRU(4, return_sequences=True, return_state=True, dropout=0.2, recurrent_dropout=0.1, seed=4)(
        inputs
    )
    x = layers.LSTM(4, dropout=0.3, seed=9)(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([x, state])))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 5, 3), numbers(8, 2, seed=3))


@case(("tensorflow", "jax"), "torch cannot differentiate through a state that was changed in place")
def stateful_rnn() -> Sample:
    inputs = keras.Input(batch_shape=(4, 5, 3))
    model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(4, stateful=True)(inputs)))
    model.compile("sgd", "mse")
    return fit(model, numbers(4, 5, 3), numbers(4, 1, seed=3))


@case()
def embedding_mask_through_layers() -> Sample:
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(13, 4, mask_zero=True, embeddings_regularizer="l2")(inputs)
    x = layers.Dropout(0.25, seed=3)(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True, zero_output_for_mask=True))(x)
    x = layers.TimeDistributed(layers.Dense(5, activation="relu"))(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    model.compile("adam", "mse")
    return fit(model, tokens(13, 8, 6), numbers(8, 2, seed=3))


@case()
def masking_and_explicit_mask() -> Sample:
    inputs, keep = keras.Input((6, 3)), keras.Input((6,), dtype="bool", name="keep")
    x = layers.Masking(mask_value=-1.0)(inputs)
    x = layers.GRU(4, return_sequences=True)(x)
    x = layers.LSTM(3)(x, mask=keep)
    model = keras.Model([inputs, keep], layers.Dense(1)(x))
    model.compile("adam", "mse")
    x_in = numbers(8, 6, 3)
    x_in[::2, 4:] = -1.0
    return fit(model, [x_in, numbers(8, 6, seed=5) > -1.5], numbers(8, 1, seed=3))


@case()
def conv_lstm() -> Sample:
    model = keras.Sequential(
        [
            keras.Input((3, 5, 5, 2)),
            layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, recurrent_activation="hard_sigmoid"),
            layers.TimeDistributed(layers.BatchNormalization()),
            layers.ConvLSTM2D(2, (2, 3), dilation_rate=1),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return fit(model, numbers(4, 3, 5, 5, 2), numbers(4, 1, seed=3))


@case()
def conv_lstm_one_and_three() -> Sample:
    line, block = keras.Input((3, 6, 2), name="line"), keras.Input((2, 3, 3, 3, 1), name="block")
    parts = [layers.ConvLSTM1D(2, 3)(line), layers.ConvLSTM3D(2, 2)(block)]
    model = keras.Model([line, block], layers.Dense(1)(layers.Concatenate()([layers.Flatten()(p) for p in parts])))
    model.compile("sgd", "mse")
    return fit(model, [numbers(4, 3, 6, 2), numbers(4, 2, 3, 3, 3, 1, seed=5)], numbers(4, 1, seed=3))


@case()
def time_distributed_model() -> Sample:
    frame = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten()], name="frame")
    inputs = keras.Input((3, 4, 4, 1))
    x = layers.TimeDistributed(frame)(inputs)
    model = keras.Model(inputs, layers.Dense(1)(ops.mean(x, axis=1)))
    model.compile("adam", "mse")
    return fit(model, numbers(4, 3, 4, 4, 1), numbers(4, 1, seed=3))
