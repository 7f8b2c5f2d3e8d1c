"""Judge of the `.keras` files that tf_keras 2 writes.

python tf_keras_oracle.py build DIR
    writes NAME.keras, NAME.npz with the batch and the values in memory, and build.json with the names of both
python tf_keras_oracle.py judge JOBS.json RESULT.json
    JOBS.json is {name: {"original": path, "data": path.npz, "converted": {label: path}}}
    RESULT.json is {name: {label: {check: "" or what differs}}}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tf_keras as keras
from tf_keras import layers
from tf_keras.optimizers import schedules

SEED = 20260
Batch = dict[str, np.ndarray]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mlp() -> Any:
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(2)])


def late() -> Any:
    return keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dropout(0.2, seed=4), layers.Dense(2)])


def two_branches() -> Any:
    inputs = keras.Input((6,), name="values")
    shared = layers.Dense(4, name="shared")
    one, two = shared(inputs[:, 1:]), shared(inputs[:, :5] * 2.0)
    joined = layers.Concatenate()([layers.Add()([one, two]), layers.LeakyReLU(0.2)(one)])
    return keras.Model(inputs, layers.Dense(2)(joined))


def nested() -> Any:
    block = keras.Sequential([layers.Dense(5), layers.BatchNormalization(), layers.ReLU()], name="block")
    side_in = keras.Input((5,))
    side = keras.Model(side_in, layers.Dense(3)(side_in), name="side")
    inputs = keras.Input((6,))
    hidden = block(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Add()([side(hidden), side(layers.Dense(5)(hidden))])))


def partly_frozen() -> Any:
    model = nested()
    model.get_layer("block").layers[0].trainable = False
    model.get_layer("side").trainable = False
    return model


def convolutional() -> Any:
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Reshape((6, 1, 1)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(3, 2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.PReLU(shared_axes=[1, 2]),
            layers.SeparableConv2D(4, 2),
            layers.DepthwiseConv2D(2, padding="same"),
            layers.Conv2DTranspose(2, 2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


def recurrent() -> Any:
    inputs = keras.Input((6,))
    x = layers.Masking()(layers.Reshape((3, 2))(inputs))
    x = layers.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid")(x)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x = layers.RNN([layers.SimpleRNNCell(4), layers.LSTMCell(2)], return_sequences=True)(x)
    return keras.Model(inputs, layers.TimeDistributed(layers.Dense(2))(x)[:, 0])


def attending() -> Any:
    inputs = keras.Input((6,))
    ids = layers.Discretization([-1.0, 0.0, 1.0])(inputs)
    x = layers.Embedding(4, 8)(ids)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalMaxPooling1D()(x)))


def mixed() -> Any:
    inputs = keras.Input((6,))
    x = layers.Dense(5, dtype="mixed_bfloat16")(inputs)
    return keras.Model(inputs, layers.Dense(2, dtype="float32")(x))


CASES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "sequential_adam": (mlp, lambda: keras.optimizers.Adam(0.01)),
    "sequential_late_sgd": (late, lambda: keras.optimizers.SGD(0.1)),
    "sequential_sgd_momentum": (mlp, lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)),
    "sequential_rmsprop": (mlp, lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True)),
    "sequential_amsgrad_ema": (mlp, lambda: keras.optimizers.AdamW(0.01, amsgrad=True, use_ema=True)),
    "sequential_adadelta": (mlp, lambda: keras.optimizers.Adadelta(1.0)),
    "sequential_adagrad": (mlp, lambda: keras.optimizers.Adagrad(0.1)),
    "sequential_adamax": (mlp, lambda: keras.optimizers.Adamax(0.01)),
    "sequential_nadam": (mlp, lambda: keras.optimizers.Nadam(0.01)),
    "sequential_ftrl": (mlp, lambda: keras.optimizers.Ftrl(0.1)),
    "sequential_lion": (mlp, lambda: keras.optimizers.Lion(0.001)),
    "sequential_adafactor": (mlp, lambda: keras.optimizers.Adafactor(0.01)),
    "shared_schedule": (two_branches, lambda: keras.optimizers.Adam(schedules.ExponentialDecay(0.01, 2, 0.9))),
    "nested_adam": (nested, lambda: keras.optimizers.Adam(0.01, clipnorm=0.5)),
    "partly_frozen_adam": (partly_frozen, lambda: keras.optimizers.Adam(0.01)),
    "convolutional_adam": (convolutional, lambda: keras.optimizers.Adam(0.01)),
    "recurrent_rmsprop": (recurrent, lambda: keras.optimizers.RMSprop(0.01)),
    "attending_adamw": (attending, lambda: keras.optimizers.AdamW(0.01)),
    "mixed_bfloat16_sgd": (mixed, lambda: keras.optimizers.SGD(0.01, momentum=0.9)),
}


def build(target: Path) -> None:
    """Write every case with its batch, and with the values of its variables as they are in memory."""
    target.mkdir(parents=True, exist_ok=True)
    index = {}
    for name, (make, optimizer) in CASES.items():
        keras.backend.clear_session()
        keras.utils.set_random_seed(SEED)
        model = make()
        model.compile(optimizer(), "mse", metrics=["mae"], run_eagerly=True)
        batch = {"x": numbers(8, 6), "y": numbers(8, 2, seed=3)}
        for _ in range(3):
            model.train_on_batch(batch["x"], batch["y"])
        model.save(target / f"{name}.keras")
        held = list(weights_by_layer(model))
        values = {f"w{i}": value.numpy() for i, (_, value) in enumerate(held)}
        values |= {f"o{i}": value.numpy() for i, value in enumerate(model.optimizer.variables)}
        np.savez(target / f"{name}.npz", allow_pickle=False, **batch, **values)
        trained = {variable.ref() for variable in model.trainable_weights}
        index[name] = {
            "weights": [[layer, variable.name, variable.ref() in trained] for layer, variable in held],
            "optimizer": [variable.name for variable in model.optimizer.variables],
        }
    (target / "build.json").write_text(json.dumps(index, indent=1))


def weights_by_layer(model: Any, outer: str = "") -> Any:
    """Each variable once, with the names of the layers that lead to it."""
    seen = set()
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from weights_by_layer(layer, f"{outer}{layer.name}/")
            continue
        for variable in layer.weights:
            if variable.ref() not in seen:
                seen.add(variable.ref())
                yield f"{outer}{layer.name}/", variable


def judge(original: str, data: str, converted: dict[str, str]) -> dict[str, dict[str, str]]:
    """Compare what tf_keras makes of each conversion with what it makes of the original, bit for bit."""
    with np.load(data) as stored:
        batch = {"x": stored["x"], "y": stored["y"]}
    expected = observe(original, batch)
    verdicts: dict[str, dict[str, str]] = {}
    for label, path in converted.items():
        try:
            found = observe(path, batch)
        except Exception as error:
            verdicts[label] = {"loads": f"{type(error).__name__}: {error}"}
            continue
        verdicts[label] = {check: "" if found[check] == expected[check] else "differs" for check in expected}
    return verdicts


def observe(path: str, batch: Batch) -> dict[str, Any]:
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    model = keras.models.load_model(path)
    model.run_eagerly = True
    seen: dict[str, Any] = {
        "weights": [(v.name, v.numpy().tobytes()) for v in model.weights],
        "optimizer": [(v.name, v.numpy().tobytes()) for v in model.optimizer.variables],
        "hyperparameters": model.optimizer.get_config(),
        "predictions": model.predict_on_batch(batch["x"]).tobytes(),
    }
    seen["losses"] = [model.train_on_batch(batch["x"], batch["y"]) for _ in range(3)]
    seen["variables after"] = [v.numpy().tobytes() for v in [*model.weights, *model.optimizer.variables]]
    return seen


def main(verb: str, *paths: str) -> None:
    """Do what the command line says."""
    if verb == "build":
        build(Path(paths[0]))
    else:
        jobs = json.loads(Path(paths[0]).read_text())
        Path(paths[1]).write_text(json.dumps({name: judge(**job) for name, job in jobs.items()}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
