"""Models of one layer or a few, made and asked by Keras 3 or tf_keras for the tests of TensorFlow.js.

python keras_zoo.py keras|tf_keras folder

Writes `<name>.keras` into the folder for each model, and on the output a JSON map from the name to the inputs and what
the framework predicts for them.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Json = Any
keras: Any = importlib.import_module(sys.argv[1])
KERAS_3 = sys.argv[1] == "keras"
layers = keras.layers
Array = np.ndarray[Any, Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    """Numbers of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def steps() -> Array:
    """Two sequences of indices, the second of which is padded with zeros."""
    return np.array([[3, 1, 4, 1, 5, 2], [2, 6, 5, 0, 0, 0]], "int32")


def one(layer: Any, *inputs: Array) -> tuple[Any, list[Array]]:
    """A model of one layer, called on one input or on a list of them."""
    starts = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    return keras.Model(starts, layer(starts if len(starts) > 1 else starts[0])), list(inputs)


def chain(*steps: Any, given: Array) -> tuple[Any, list[Array]]:
    """A chain of layers."""
    x = start = keras.Input(given.shape[1:], dtype=str(given.dtype))
    for step in steps:
        x = step(x)
    return keras.Model(start, x), [given]


def graph(build: Callable[..., Any], *inputs: Array) -> tuple[Any, list[Array]]:
    """A model whose graph a function makes of symbolic inputs."""
    starts = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    return keras.Model(starts, build(*starts)), list(inputs)


def embedded(build: Callable[[Any], Any]) -> tuple[Any, list[Array]]:
    """A model that begins with an embedding of steps, some of which are padding."""
    return graph(lambda x: build(layers.Embedding(8, 4, mask_zero=True)(x)), steps())


def thrice(layer: Any) -> Callable[[Any, Any], list[Any]]:
    """A layer that is called on two inputs, and on what it gave."""
    return lambda x, y: [layer(x), layer(y), layer(layer(x))]


def image(channels: int = 4) -> Array:
    """Two images of 7 by 8 pixels."""
    return numbers(2, 7, 8, channels)


def signal(channels: int = 4) -> Array:
    """Two sequences of 9 steps."""
    return numbers(2, 9, channels)


def volume() -> Array:
    """Two volumes."""
    return numbers(2, 5, 4, 6, 2)


Models = dict[str, Callable[[], tuple[Any, list[Array]]]]

ACTIVATIONS = [
    "elu",
    "selu",
    "relu",
    "relu6",
    "linear",
    "sigmoid",
    "hard_sigmoid",
    "softplus",
    "softsign",
    "tanh",
    "softmax",
]
ACTIVATIONS += ["gelu", "mish", "swish", "exponential"]
ACTIVATIONS_3 = [
    "celu",
    "glu",
    "hard_shrink",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "soft_shrink",
]
ACTIVATIONS_3 += ["sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink"]

BOTH: Models = {
    "activations": lambda: graph(lambda x: [layers.Activation(name)(x) for name in ACTIVATIONS], numbers(3, 6)),
    "dense_activations": lambda: graph(
        lambda x: [layers.Dense(4, activation=name)(x) for name in ACTIVATIONS], numbers(3, 6)
    ),
    "dense_of_volumes": lambda: one(layers.Dense(3, use_bias=False), volume()),
    "conv1d_causal": lambda: one(layers.Conv1D(3, 3, padding="causal", dilation_rate=2), signal()),
    "conv1d_groups": lambda: one(layers.Conv1D(6, 3, groups=2, strides=2, padding="same"), signal()),
    "conv2d_dilated": lambda: one(layers.Conv2D(3, (3, 2), dilation_rate=(1, 2), padding="same"), image()),
    "conv2d_groups": lambda: one(layers.Conv2D(4, 3, groups=4, activation="softmax"), image()),
    "conv2d_strided": lambda: one(
        layers.Conv2D(3, 4, strides=(2, 3), padding="same", activation="exponential"), image()
    ),
    "conv3d": lambda: one(layers.Conv3D(3, 2, strides=2, padding="same"), volume()),
    "conv1d_transpose": lambda: one(layers.Conv1DTranspose(3, 4, strides=2, padding="same"), signal()),
    "conv1d_transpose_valid": lambda: one(layers.Conv1DTranspose(3, 2, strides=3), signal()),
    "conv2d_transpose_extra": lambda: one(
        layers.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=(1, 0)), image()
    ),
    "conv2d_transpose": lambda: one(layers.Conv2DTranspose(3, 3, strides=2, activation="tanh"), image()),
    "conv3d_transpose": lambda: one(layers.Conv3DTranspose(2, 2, strides=2, padding="same"), volume()),
    "depthwise1d": lambda: one(layers.DepthwiseConv1D(3, strides=2, depth_multiplier=2, padding="same"), signal()),
    "depthwise2d_dilated": lambda: one(layers.DepthwiseConv2D(2, dilation_rate=2, padding="same"), image()),
    "depthwise2d": lambda: one(layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, activation="relu6"), image()),
    "separable1d": lambda: one(layers.SeparableConv1D(5, 3, depth_multiplier=2, padding="same"), signal()),
    "separable2d_dilated": lambda: one(layers.SeparableConv2D(5, 2, dilation_rate=2), image()),
    "separable2d": lambda: one(layers.SeparableConv2D(5, 3, strides=2, padding="same", activation="swish"), image()),
    "batch_normalization": lambda: one(layers.BatchNormalization(scale=False), image()),
    "batch_normalization_of_channels": lambda: one(layers.BatchNormalization(axis=1), signal()),
    "layer_normalization": lambda: one(layers.LayerNormalization(axis=[1, 2]), image()),
    "layer_normalization_of_volumes": lambda: one(layers.LayerNormalization(center=False), volume()),
    "group_normalization": lambda: one(layers.GroupNormalization(groups=2), image()),
    "unit_normalization": lambda: one(layers.UnitNormalization(), image()),
    "relu_with_a_slope": lambda: one(layers.ReLU(max_value=0.8, negative_slope=0.1, threshold=0.2), numbers(3, 6)),
    "relu_cut": lambda: one(layers.ReLU(max_value=0.5), numbers(3, 6)),
    "leaky": lambda: one(layers.LeakyReLU(0.15), numbers(3, 6)),
    "elu_alpha": lambda: one(layers.ELU(0.5), numbers(3, 6)),
    "prelu": lambda: one(layers.PReLU(shared_axes=[1]), signal()),
    "softmax_of_steps": lambda: one(layers.Softmax(axis=1), signal()),
    "softmax_of_two_axes": lambda: one(layers.Softmax(axis=[1, 2]), signal()),
    "max_pooling1d": lambda: one(layers.MaxPooling1D(3, strides=2, padding="same"), signal()),
    "max_pooling2d": lambda: one(layers.MaxPooling2D((2, 3), strides=1, padding="same"), image()),
    "max_pooling3d": lambda: one(layers.MaxPooling3D(2), volume()),
    "average_pooling1d": lambda: one(layers.AveragePooling1D(2), signal()),
    "average_pooling2d": lambda: one(layers.AveragePooling2D(3, strides=2, padding="same"), image()),
    "average_pooling3d": lambda: one(layers.AveragePooling3D(2, padding="same"), volume()),
    "global_average1d": lambda: one(layers.GlobalAveragePooling1D(), signal()),
    "global_average2d_kept": lambda: one(layers.GlobalAveragePooling2D(keepdims=True), image()),
    "global_average3d": lambda: one(layers.GlobalAveragePooling3D(), volume()),
    "global_max2d": lambda: one(layers.GlobalMaxPooling2D(), image()),
    "global_max3d": lambda: one(layers.GlobalMaxPooling3D(), volume()),
    "up_sampling1d": lambda: one(layers.UpSampling1D(3), signal()),
    "up_sampling2d": lambda: one(layers.UpSampling2D((2, 3)), image()),
    "up_sampling2d_bilinear": lambda: one(layers.UpSampling2D(2, interpolation="bilinear"), image()),
    "up_sampling3d": lambda: one(layers.UpSampling3D(2), volume()),
    "resizing": lambda: one(layers.Resizing(5, 11), image()),
    "padding1d": lambda: one(layers.ZeroPadding1D((1, 2)), signal()),
    "padding2d": lambda: one(layers.ZeroPadding2D(((1, 0), (2, 1))), image()),
    "padding3d": lambda: one(layers.ZeroPadding3D(1), volume()),
    "cropping1d": lambda: one(layers.Cropping1D((1, 2)), signal()),
    "cropping2d": lambda: one(layers.Cropping2D(((1, 0), (2, 1))), image()),
    "cropping3d": lambda: one(layers.Cropping3D(1), volume()),
    "reshape": lambda: one(layers.Reshape((-1, 2)), signal()),
    "permute": lambda: one(layers.Permute((2, 3, 1)), image()),
    "repeat": lambda: one(layers.RepeatVector(3), numbers(2, 5)),
    "flatten": lambda: one(layers.Flatten(), image()),
    "add": lambda: one(layers.Add(), signal(), numbers(2, 9, 1, seed=2)),
    "subtract": lambda: one(layers.Subtract(), signal(), numbers(2, 9, 4, seed=2)),
    "multiply": lambda: one(layers.Multiply(), signal(), numbers(2, 9, 4, seed=2), numbers(2, 9, 4, seed=3)),
    "average": lambda: one(layers.Average(), signal(), numbers(2, 9, 4, seed=2), numbers(2, 9, 4, seed=3)),
    "maximum": lambda: one(layers.Maximum(), signal(), numbers(2, 9, 4, seed=2)),
    "minimum": lambda: one(layers.Minimum(), signal(), numbers(2, 9, 4, seed=2)),
    "concatenate": lambda: one(layers.Concatenate(axis=1), signal(), numbers(2, 3, 4, seed=2)),
    "dot": lambda: one(layers.Dot(axes=(2, 1), normalize=True), signal(), numbers(2, 4, 5, seed=2)),
    "dot_of_vectors": lambda: one(layers.Dot(axes=1), numbers(2, 5), numbers(2, 5, seed=1)),
    "noise": lambda: chain(
        layers.Dropout(0.5), layers.SpatialDropout1D(0.5), layers.GaussianNoise(1.0), layers.GaussianDropout(0.5),
        layers.AlphaDropout(0.5), layers.ActivityRegularization(0.1), given=signal(),
    ),
    "spatial_dropout": lambda: one(layers.SpatialDropout2D(0.5), image()),
    "rescaling": lambda: one(layers.Rescaling(0.5, offset=[0.1, 0.2, 0.3, 0.4]), image()),
    "category": lambda: one(layers.CategoryEncoding(8, output_mode="multi_hot"), steps()),
    "category_count": lambda: one(layers.CategoryEncoding(8, output_mode="count"), steps()),
    "discretization": lambda: one(layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.7]), numbers(2, 5)),
    "normalization": lambda: one(
        layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0]), signal()
    ),
    "flip_of_images": lambda: one(layers.RandomFlip(), image()),
    "simple_rnn": lambda: one(layers.SimpleRNN(3, go_backwards=True, return_sequences=True), signal()),
    "lstm_state": lambda: one(layers.LSTM(3, return_sequences=True, return_state=True), signal()),
    "lstm_activations": lambda: one(
        layers.LSTM(3, activation="softsign", recurrent_activation="hard_sigmoid", use_bias=False), signal()
    ),
    "gru": lambda: one(layers.GRU(3, return_sequences=True), signal()),
    "gru_state": lambda: one(layers.GRU(3, return_state=True, use_bias=False), signal()),
    "gru_before": lambda: one(layers.GRU(3, reset_after=False), signal()),
    "bidirectional_gru": lambda: one(
        layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="mul"), signal()
    ),
    "bidirectional_lists": lambda: one(layers.Bidirectional(layers.LSTM(3), merge_mode=None), signal()),
    "bidirectional_states": lambda: one(
        layers.Bidirectional(layers.LSTM(3, return_state=True), merge_mode="ave"), signal()
    ),
    "gru_from_a_state": lambda: graph(
        lambda x, h: layers.GRU(3, return_sequences=True)(x, initial_state=h), signal(), numbers(2, 3, seed=2)
    ),
    "time_distributed_conv": lambda: one(layers.TimeDistributed(layers.Conv2D(2, 2, groups=2)), numbers(2, 3, 5, 5, 4)),
    "masked_lstm": lambda: chain(layers.Embedding(8, 4, mask_zero=True), layers.LSTM(3), given=steps()),
    "masked_gru": lambda: chain(
        layers.Embedding(8, 4, mask_zero=True), layers.GRU(3, return_sequences=True), layers.SimpleRNN(2), given=steps()
    ),
    "masked_backwards": lambda: chain(
        layers.Embedding(8, 4, mask_zero=True), layers.LSTM(3, go_backwards=True), layers.Dense(2), given=steps()
    ),
    "masked_average": lambda: chain(
        layers.Embedding(8, 4, mask_zero=True), layers.Dense(3), layers.GlobalAveragePooling1D(), given=steps()
    ),
    "masked_convolution": lambda: chain(
        layers.Embedding(8, 4, mask_zero=True), layers.Conv1D(3, 2), layers.LSTM(3), given=steps()
    ),
    "masked_softmax": lambda: chain(
        layers.Embedding(8, 4, mask_zero=True), layers.LSTM(3), layers.Dense(4), layers.Softmax(), given=steps()
    ),
    "attention": lambda: one(
        layers.Attention(use_scale=True), signal(), numbers(2, 5, 4, seed=1), numbers(2, 5, 4, seed=2)
    ),
    "additive_attention": lambda: one(layers.AdditiveAttention(), signal(), numbers(2, 5, 4, seed=1)),
    "heads": lambda: graph(layers.MultiHeadAttention(2, 3), signal(), numbers(2, 5, 6, seed=1)),
    "self_attention": lambda: graph(
        lambda x: layers.MultiHeadAttention(2, 3, value_dim=5, output_shape=7, use_bias=False)(
            x, x, use_causal_mask=True
        ),
        signal(),
    ),
    "attention_of_images": lambda: graph(
        lambda x: layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(x, x), image()
    ),
    "scores": lambda: graph(
        lambda x: layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True), signal()
    ),
    "einsum_dense": lambda: one(
        layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de", activation="relu"), signal()
    ),
    "shared": lambda: graph(thrice(layers.Dense(4)), numbers(2, 4), numbers(2, 4, seed=1)),
}  # fmt: skip


def fitted(model: Any, inputs: list[Array]) -> tuple[Any, list[Array]]:
    """A model after some steps of training."""
    many = len(model.outputs) > 1
    model.compile("adam", loss=["mse", "mse"] if many else "mse", run_eagerly=True)
    given = inputs if len(inputs) > 1 else inputs[0]
    targets = [numbers(*output["shape"], seed=5) for output in predicted(model, inputs)]
    for _ in range(3):
        model.train_on_batch(given, targets if many else targets[0])
    return model, inputs


def pictures() -> tuple[Any, list[Array]]:
    """Convolutions of every kind, normalization, pooling, a dense head."""
    given = numbers(2, 12, 12, 3)
    x = start = keras.Input((12, 12, 3), name="pixels")
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.SeparableConv2D(6, 3, padding="same")(layers.ZeroPadding2D(1)(x))
    x = layers.Add()([x, layers.Cropping2D(1)(y)])
    x = layers.Dropout(0.25)(layers.DepthwiseConv2D(3, padding="same", activation="swish")(x))
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(x))
    return fitted(
        keras.Model(start, layers.Dense(5, activation="softmax", name="classes")(x), name="pictures"), [given]
    )


def sentences() -> tuple[Any, list[Array]]:
    """An embedding and recurrent layers, forwards and backwards."""
    given = steps()
    x = start = keras.Input((6,), dtype="int32", name="words")
    x = layers.Embedding(8, 4)(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.GRU(4, return_sequences=True)(x)
    x = layers.LayerNormalization()(layers.TimeDistributed(layers.Dense(3, activation="tanh"))(x))
    return fitted(keras.Model(start, layers.LSTM(2)(x), name="sentences"), [given])


def towers() -> tuple[Any, list[Array]]:
    """Two inputs and outputs, a layer and a model that both towers share, models in models."""
    inside = keras.Input((4,), name="inside")
    deep = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, activation="elu", name="same"), layers.Dense(4)], name="deep"
    )
    tower = keras.Model(inside, layers.Add()([deep(inside), layers.Dense(4, name="same")(inside)]), name="tower")
    left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    shared = layers.Dense(4, activation="relu", name="shared")
    one, two = tower(shared(left)), tower(tower(shared(right)))
    both = layers.Concatenate(name="both")([one, two, layers.Multiply()([one, two])])
    outputs = [layers.Dense(2, name="first")(both), layers.Average(name="second")([one, two])]
    return fitted(keras.Model([left, right], outputs, name="towers"), [numbers(3, 5), numbers(3, 5, seed=1)])


TRAINED: Models = {"pictures": pictures, "sentences": sentences, "towers": towers}

ONLY_3: Models = {
    "activations_3": lambda: graph(lambda x: [layers.Activation(name)(x) for name in ACTIVATIONS_3], numbers(3, 6)),
    "rms_normalization": lambda: one(layers.RMSNormalization(), signal()),
    "grouped_queries": lambda: graph(
        layers.GroupQueryAttention(3, 4, 2), signal(), numbers(2, 5, 4, seed=1)
    ),
    "masked_bidirectional": lambda: chain(
        layers.Embedding(8, 4, mask_zero=True), layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.Dense(2), given=steps(),
    ),
    "masked_attention": lambda: embedded(
        lambda x: layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3)(x, x))
    ),
    "masked_sum": lambda: embedded(lambda x: layers.LSTM(3)(layers.Add()([x, layers.Dense(4)(x)]))),
    "masked_product": lambda: embedded(lambda x: layers.LSTM(3)(layers.Multiply()([x, layers.Dense(4)(x)]))),
    "masked_concatenate": lambda: embedded(lambda x: layers.LSTM(3)(layers.Concatenate()([x, layers.Dense(2)(x)]))),
    "masking": lambda: chain(
        layers.Masking(0.0), layers.LSTM(3), given=np.concatenate([signal(), np.zeros((2, 2, 4), "float32")], axis=1)
    ),
    "arithmetic": lambda: graph(
        lambda x, y: [x + 2.0, 3 - x, x * y, x / (y * y + 1.0), x**2, -x, keras.ops.maximum(x, y), keras.ops.abs(x)],
        signal(), numbers(2, 9, 4, seed=1),
    ),
    "functions": lambda: graph(
        lambda x: [keras.ops.relu(x), keras.ops.gelu(x), keras.ops.silu(x), keras.ops.leaky_relu(x, 0.1),
                   keras.ops.elu(x, 0.5),
                   keras.ops.softmax(x, axis=1), keras.ops.log_softmax(x, axis=-1), keras.ops.sqrt(keras.ops.abs(x)),
                   keras.ops.exp(x), keras.ops.clip(x, -0.5, 0.5), keras.ops.normalize(x)], signal(),
    ),
    "reductions": lambda: graph(
        lambda x: [keras.ops.sum(x, axis=1), keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=1),
                   keras.ops.var(x, axis=2), keras.ops.std(x, axis=1), keras.ops.logsumexp(x, axis=1),
                   keras.ops.prod(x, axis=2), keras.ops.cast(keras.ops.argmax(x, axis=-1), "float32")], signal(),
    ),
    "shapes": lambda: graph(
        lambda x, y: [x[:, 1:3], x[:, -1], x[:, ::2, 0], x[:, None, ..., 1], x[:, ::-1],
                      keras.ops.reshape(x, (-1, 36)),
                      keras.ops.transpose(x, (0, 2, 1)), keras.ops.swapaxes(x, 1, 2), keras.ops.moveaxis(x, 1, 2),
                      keras.ops.concatenate([x, y], axis=1), keras.ops.stack([x, y], axis=1),
                      keras.ops.split(x, 2, axis=2)[1],
                      keras.ops.squeeze(keras.ops.expand_dims(x, 1), 1), keras.ops.pad(x, [[0, 0], [1, 2], [0, 0]]),
                      keras.ops.take(x, [0, 2], axis=1), keras.ops.where(x > 0, x, y)],
        signal(), numbers(2, 9, 4, seed=1),
    ),
    "products": lambda: graph(
        lambda x, y: [keras.ops.matmul(x, keras.ops.transpose(y, (0, 2, 1))), keras.ops.einsum("abc,adc->abd", x, y)],
        signal(), numbers(2, 5, 4, seed=1),
    ),
}  # fmt: skip


def only_2() -> Models:
    """What only Keras 2 makes: functions of TensorFlow in a graph."""
    tf: Any = importlib.import_module("tensorflow")
    return {
        "tensor_arithmetic": lambda: graph(
            lambda x, y: [x + 2.0, 3 - x, x * y, x / (y * y + 1.0), x**2, -x, tf.maximum(x, y), tf.abs(x), tf.exp(x),
                          tf.clip_by_value(x, -0.5, 0.5), tf.where(x > 0, x, y), tf.matmul(x, y, transpose_b=True)],
            signal(), numbers(2, 9, 4, seed=1),
        ),
        "tensor_functions": lambda: graph(
            lambda x: [tf.nn.relu(x), tf.nn.gelu(x), tf.nn.softmax(x, axis=1), tf.nn.leaky_relu(x, 0.1), tf.nn.silu(x),
                       tf.reduce_sum(x, axis=1), tf.reduce_mean(x, axis=-1, keepdims=True)], signal(),
        ),
        "tensor_shapes": lambda: graph(
            lambda x, y: [x[:, 1:3], x[:, -1], x[:, ::2, 0], tf.reshape(x, (-1, 36)), tf.transpose(x, (0, 2, 1)),
                          tf.concat([x, y], axis=1), tf.stack([x, y], axis=1), tf.split(x, 2, axis=2)[1],
                          tf.squeeze(tf.expand_dims(x, 1), [1])],
            signal(), numbers(2, 9, 4, seed=1),
        ),
    }  # fmt: skip


# Keras 3 traces each layer for long: of what both have, it makes what it writes otherwise, or computes by other code.
AGAIN = (
    "activations", "dense_activations", "conv1d_groups", "conv2d_transpose_extra", "depthwise2d", "separable2d",
    "noise",
    "batch_normalization_of_channels", "layer_normalization", "leaky", "relu_with_a_slope", "softmax_of_two_axes",
    "average_pooling2d", "up_sampling2d_bilinear", "padding2d", "cropping1d", "dot", "category", "normalization", "gru",
    "gru_from_a_state", "bidirectional_gru", "bidirectional_lists", "masked_gru", "masked_average", "attention",
    "self_attention", "scores", "einsum_dense", "shared",
)  # fmt: skip


def chosen() -> Models:
    """The models that this Keras makes."""
    if not KERAS_3:
        return {**TRAINED, **BOTH, **only_2()}
    return {**TRAINED, **{name: BOTH[name] for name in AGAIN}, **ONLY_3}


def filled(model: Any) -> None:
    """Give each variable values of its own, so that a confusion shows."""
    rng = np.random.default_rng(3)
    values = []
    for weight, value in zip(model.weights, model.get_weights(), strict=True):
        near = value + rng.normal(size=value.shape) * 0.1 if np.issubdtype(value.dtype, np.floating) else value
        values.append(np.abs(near) + 0.5 if "variance" in weight.name else near)
    model.set_weights(values)


def predicted(model: Any, inputs: list[Array]) -> list[Json]:
    """What a model predicts, as JSON."""
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = found if isinstance(found, list | tuple) else [found]
    return [{"shape": list(np.shape(y)), "data": np.asarray(y, "float64").reshape(-1).tolist()} for y in outputs]


def main() -> None:
    """Make all models."""
    folder = Path(sys.argv[2])
    wanted = sys.argv[3:]
    found = {}
    for name, make in chosen().items():
        if wanted and name not in wanted:
            continue
        keras.backend.clear_session()
        keras.utils.set_random_seed(7)
        model, inputs = make()
        if name not in TRAINED:
            filled(model)
        model.save(folder / f"{name}.keras")
        given = [{"shape": list(x.shape), "dtype": str(x.dtype), "data": x.reshape(-1).tolist()} for x in inputs]
        found[name] = {"inputs": given, "outputs": predicted(model, inputs)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
