"""Runs tasks in tf_keras or Keras 3: makes the models of this folder's tests, and loads what was converted.

python keras_models.py tf_keras < tasks.json > results.json

A task is {"do": ..., ...}; a result is {"value": ...} or {"error": "..."}.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

Json = Any
keras: Any = importlib.import_module(sys.argv[1])
layers = keras.layers
Made = tuple[Any, list[np.ndarray[Any, Any]]]


def numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """An input."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def dense() -> Made:
    """A chain of Dense layers with activations of several names."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, activation="relu", kernel_regularizer="l2"),
            layers.Dense(5, activation="silu", bias_constraint=keras.constraints.MaxNorm(2)),
            layers.Dense(4, activation="hard_sigmoid", kernel_initializer="lecun_normal"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax", use_bias=False),
        ]
    )
    return model, [numbers(2, 4)]


def trained() -> Made:
    """A compiled model."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.125), loss="mse", metrics=["mae"])
    return model, [numbers(2, 4)]


def resumed() -> Made:
    """A compiled model whose optimizer has a state."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.0625), loss="mse")
    return model, [numbers(2, 4)]


def image() -> Made:
    """Convolutions over images, all kinds of normalisation and pooling."""
    start = keras.Input((12, 12, 3))
    x = layers.Rescaling(0.5, offset=0.25)(start)
    x = layers.ZeroPadding2D(((1, 0), (0, 1)))(x)
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, padding="same")(x)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.SeparableConv2D(3, 3, padding="same")(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.Conv2DTranspose(2, 2, strides=2)(x)
    x = layers.Cropping2D(1)(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.LayerNormalization()(x)
    model = keras.Model(start, [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return model, [numbers(2, 12, 12, 3)]


def signal() -> Made:
    """Convolutions over sequences and volumes."""
    model = keras.Sequential(
        [
            keras.Input((8, 2)),
            layers.Conv1D(3, 2, padding="same", dilation_rate=2),
            layers.MaxPooling1D(2),
            layers.ReLU(max_value=0.5),
            layers.SpatialDropout1D(0.2),
            layers.Reshape((2, 2, 1, 3)),
            layers.Conv3D(2, 1, activation="softplus"),
            layers.AveragePooling3D((1, 2, 1)),
            layers.Permute((2, 1, 3, 4)),
            layers.Flatten(),
            layers.RepeatVector(2),
            layers.GlobalAveragePooling1D(),
            layers.ELU(),
            layers.ThresholdedReLU(0.1),
        ]
    )
    return model, [numbers(2, 8, 2)]


def recurrent() -> Made:
    """Every recurrent layer, a wrapped one among them."""
    start = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4)(start)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum")(x)
    gate = "hard_sigmoid" if keras.__name__ == "tf_keras" else "sigmoid"  # Keras 3 has another function of that name
    x = layers.GRU(3, return_sequences=True, reset_after=False, recurrent_activation=gate)(x)
    x = layers.TimeDistributed(layers.Dense(4, activation="gelu"))(x)
    x = layers.SimpleRNN(3, return_sequences=True, go_backwards=True)(x)
    x = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(3, reset_after=False)]))(x)
    return keras.Model(start, x), [np.arange(10, dtype="int32").reshape(2, 5) % 9]


def towers() -> Made:
    """Two inputs, a shared layer, merges and two outputs."""
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    shared = layers.Dense(3, activation="selu", name="shared_by_both")
    left, right = shared(one), shared(two)
    joined = layers.Concatenate()([left, right])
    product = layers.Multiply()([left, right])
    both = layers.Average()([product, layers.Maximum()([left, right]), layers.Minimum()([left, right])])
    cosine = layers.Dot(axes=1, normalize=True)([left, right])
    return keras.Model([one, two], [layers.Dense(2)(joined), both, cosine]), [numbers(2, 4), numbers(2, 4, seed=1)]


def nested() -> Made:
    """Models in a model, two of which have layers of one name, and one of which is called twice."""
    inner_start = keras.Input((4,))
    x = layers.Dense(4, activation="elu", name="work")(inner_start)
    inner = keras.Model(inner_start, layers.BatchNormalization(name="scale")(x), name="inner")
    chain = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="work")], name="chain")
    start = keras.Input((4,))
    twice = inner(inner(start))
    outputs = layers.Activation("tanh")(chain(layers.Add()([twice, start])))
    return keras.Model(start, outputs, name="outer"), [numbers(3, 4)]


def late() -> Made:
    """Chains that learned the shape of their input when they were called, one in another."""
    deep = keras.Sequential([layers.Dense(3, activation="relu"), layers.Dense(4)], name="deep")
    chain = keras.Sequential([deep, layers.Dense(2)], name="chain")
    start = keras.Input((4,))
    return keras.Model(start, layers.Add()([chain(start), layers.Dense(2)(start)])), [numbers(3, 4)]


def states() -> Made:
    """A decoder that starts from the states of an encoder."""
    start, other = keras.Input((5, 2)), keras.Input((3, 2))
    _, h, c = layers.LSTM(4, return_state=True)(start)
    decoded = layers.LSTM(4, return_sequences=True)(other, initial_state=[h, c])
    return keras.Model([start, other], decoded), [numbers(2, 5, 2), numbers(2, 3, 2, seed=1)]


def masked() -> Made:
    """Steps that are left out."""
    model = keras.Sequential([keras.Input((4, 2)), layers.Masking(0.0), layers.LSTM(3)])
    given = numbers(2, 4, 2)
    given[:, 2:] = 0
    return model, [given]


def frames() -> Made:
    """A model and a wrapped model inside of time steps, and a convolution with a state."""
    inner = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 2, name="deep"), layers.Flatten()], name="eye")
    start = keras.Input((3, 4, 4, 1))
    seen = layers.TimeDistributed(inner)(start)
    film = layers.Flatten()(layers.ConvLSTM2D(2, 2)(start))
    return keras.Model(start, [layers.GlobalMaxPooling1D()(seen), film]), [numbers(2, 3, 4, 4, 1)]


def double() -> Made:
    """Numbers of 64 bits."""
    keras.backend.set_floatx("float64")
    model = keras.Sequential([keras.Input((4,), dtype="float64"), layers.Dense(3, dtype="float64", activation="tanh")])
    keras.backend.set_floatx("float32")
    return model, [numbers(2, 4)]


def missing() -> Made:
    """Layers and settings that TensorFlow.js does not have."""
    start = keras.Input((6, 4))
    x = layers.GRU(3, return_sequences=True, name="reset")(start)
    x = layers.Subtract(name="minus")([x, layers.Conv1D(3, 1, name="point")(start)])
    x = layers.Dense(4, activation="exponential", name="power")(x)
    return keras.Model(start, layers.Conv1D(4, 2, groups=2, name="parts")(x)), [numbers(2, 6, 4)]


MODELS: dict[str, Callable[[], Made]] = {
    make.__name__: make
    for make in (
        dense, trained, resumed, image, signal, recurrent, towers, nested, late, states, masked, frames, double,
        missing,
    )
}  # fmt: skip


def outputs_of(model: Any, inputs: list[Any]) -> list[Json]:
    """What a model predicts, as JSON."""
    found = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    return [
        {"shape": list(np.shape(value)), "data": np.asarray(value, "float64").reshape(-1).tolist()}
        for value in (found if isinstance(found, list) else [found])
    ]


def arrays(given: list[Json]) -> list[Any]:
    """Inputs of JSON."""
    return [np.asarray(one["data"], one["dtype"]).reshape(one["shape"]) for one in given]


def make(task: dict[str, Json]) -> Json:
    """Make a model, give its weights values that tell them apart, save it, and say what it predicts."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    model, inputs = MODELS[task["name"]]()
    rng = np.random.default_rng(3)
    model.set_weights(
        [
            np.abs(rng.normal(size=value.shape)) + 0.5
            if "variance" in weight.name
            else value + rng.normal(size=value.shape) * 0.1
            for weight, value in zip(model.weights, model.get_weights(), strict=True)
        ]
    )
    made = {"inputs": described(inputs), "outputs": outputs_of(model, inputs)}
    if getattr(model, "loss", None):
        made["target"] = described([numbers(*made["outputs"][0]["shape"], seed=5)])
        if task["name"] == "resumed":
            steps(model, made["inputs"], made["target"], 2)
            made["outputs"] = outputs_of(model, inputs)
    model.save(task["path"])
    if "target" in made:
        made["losses"] = steps(model, made["inputs"], made["target"], 3)
    return made


def steps(model: Any, inputs: list[Json], targets: list[Json], count: int) -> list[float]:
    """The losses of steps of training."""
    x, y = arrays(inputs)[0], arrays(targets)[0]
    return [float(model.train_on_batch(x, y, return_dict=True)["loss"]) for _ in range(count)]


def train(task: dict[str, Json]) -> Json:
    """Load a model and say which losses its next steps have."""
    keras.backend.clear_session()
    model = keras.models.load_model(task["path"])
    return steps(model, task["inputs"], task["targets"], task["steps"])


def described(given: list[np.ndarray[Any, Any]]) -> list[Json]:
    """Inputs as JSON."""
    return [{"shape": list(v.shape), "dtype": str(v.dtype), "data": v.reshape(-1).tolist()} for v in given]


def predict(task: dict[str, Json]) -> Json:
    """Load a model and say what it predicts for given inputs."""
    keras.backend.clear_session()
    model = keras.models.load_model(task["path"])
    return outputs_of(model, arrays(task["inputs"]))


def main() -> None:
    """Run the tasks."""
    results = []
    for task in json.load(sys.stdin):
        try:
            results.append({"value": {"make": make, "predict": predict, "train": train}[task["do"]](task)})
        except Exception:
            results.append({"error": traceback.format_exc()[-2000:]})
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
