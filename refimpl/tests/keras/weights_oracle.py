"""Small models of Keras 3 or tf_keras: saves them as weights files and JSON, and judges those that Etui wrote.

    python weights_oracle.py build keras|tf_keras FOLDER
    python weights_oracle.py judge keras|tf_keras FOLDER

`build` leaves for each model NAME.keras, NAME.weights.h5, NAME.json, for Keras 3 NAME.weights.json with its data files,
and NAME.npz with the values of the variables, predictions and the next 3 losses. `judge` reads `jobs.json`, a map of
model -> {way: {"kind": "weights" | "model" | "config", "path": ...}}, and leaves `verdicts.json`, a map of
model -> {way: what differs, or nothing}.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

# Predictions are compared bit for bit: one thread, and TensorFlow's own kernels.
for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}

import numpy as np

K: Any = import_module(sys.argv[2])
L: Any = K.layers
NEW = K.__name__ == "keras"
STEPS = 3
SHARD_BYTES = 400


def image(seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(4, 6, 6, 2)).astype("float32")


def rows(seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(4, 5)).astype("float32")


def series(seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(4, 3, 5)).astype("float32")


def tokens(_seed: int = 0) -> Any:
    return np.arange(12).reshape(4, 3).astype("int32") % 7


def functional() -> Any:
    one, two = L.Input((5,), name="one"), L.Input((5,), name="two")
    shared = L.Dense(4, activation="tanh")
    merged = L.Concatenate()([shared(one), shared(two)])
    return K.Model([one, two], [L.Dense(2, name="left")(merged), L.Dense(2, name="right")(merged)])


def nested() -> Any:
    inner = K.Sequential([L.Input((4,)), L.Dense(4), L.BatchNormalization()])
    start = L.Input((5,))
    return K.Model(start, L.Dense(2)(inner(inner(L.Dense(4)(start)))))


def recurrent() -> Any:
    return K.Sequential([L.Input((3, 5)), L.LSTM(4, return_sequences=True), L.GRU(3), L.Dense(2)])


def bidirectional() -> Any:
    return K.Sequential(
        [L.Input((3, 5)), L.Bidirectional(L.LSTM(3, return_sequences=True)), L.SimpleRNN(3), L.Dense(2)]
    )


def attention() -> Any:
    start = L.Input((3, 5))
    seen = L.LayerNormalization()(L.MultiHeadAttention(2, 3)(start, start))
    return K.Model(start, L.Dense(2)(L.GlobalAveragePooling1D()(seen)))


def convolution() -> Any:
    return K.Sequential(
        [L.Input((6, 6, 2)), L.Conv2D(3, 3), L.BatchNormalization(), L.SeparableConv2D(4, 2), L.Flatten(), L.Dense(2)]
    )


def frozen() -> Any:
    model = K.Sequential([L.Input((5,)), L.Dense(4), L.BatchNormalization(), L.Dense(3), L.Dense(2)])
    model.layers[0].trainable = False
    model.layers[1].trainable = False
    return model


@K.saving.register_keras_serializable("weights_oracle")
class Gated(L.Layer):  # type: ignore[misc]
    """A layer with a variable of its own and a layer that it holds."""

    def __init__(self, units: int, **others: Any) -> None:
        super().__init__(**others)
        self.units = units
        self.inner = L.Dense(units)

    def build(self, shape: Any) -> None:
        self.gate = self.add_weight(name="gate", shape=(self.units,), initializer="ones")
        self.inner.build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        return self.gate * self.inner(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def custom() -> Any:
    return K.Sequential([L.Input((5,)), Gated(4), L.Dense(2)])


def short_floats() -> Any:
    return K.Sequential([L.Input((5,)), L.Dense(4, dtype="bfloat16"), L.Dense(2, dtype="float32")])


def mixed() -> Any:
    return K.Sequential([L.Input((5,)), L.Dense(4, dtype="mixed_bfloat16"), L.Dense(2, dtype="float32")])


def embedding() -> Any:
    return K.Sequential([L.Input((3,), dtype="int32"), L.Embedding(7, 4), L.Flatten(), L.Dense(2)])


def normalized() -> Any:
    return K.Sequential([L.Input((5,)), L.Dense(4), L.PReLU(), L.GroupNormalization(2), L.Dense(4), L.Dense(2)])


def schedule() -> Any:
    return K.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)


# tf_keras saves bfloat16 so that neither it nor any other reader can tell what the bytes are; its Nadam keeps a product
# that it does not save.
Maker = Callable[[], Any]
MODELS: dict[str, tuple[Maker, Maker, Maker]] = {
    "functional": (functional, lambda: K.optimizers.Adam(0.01), rows),
    "nested": (nested, lambda: K.optimizers.SGD(0.01, momentum=0.9), rows),
    "recurrent": (recurrent, lambda: K.optimizers.RMSprop(0.01), series),
    "bidirectional": (bidirectional, lambda: K.optimizers.Adam(0.01, amsgrad=True), series),
    "attention": (attention, lambda: K.optimizers.AdamW(0.01), series),
    "convolution": (convolution, lambda: (K.optimizers.Nadam if NEW else K.optimizers.Adam)(0.01), image),
    "frozen": (frozen, lambda: K.optimizers.Adam(0.01), rows),
    "custom": (custom, lambda: K.optimizers.Adamax(0.01), rows),
    "short_floats": (short_floats, lambda: K.optimizers.SGD(0.01), rows),
    "mixed": (mixed, lambda: K.optimizers.Adam(0.01), rows),
    "embedding": (embedding, lambda: K.optimizers.Adagrad(0.01), tokens),
    "normalized": (normalized, lambda: K.optimizers.Adam(schedule()), rows),
    "follow_the_leader": (normalized, lambda: K.optimizers.Ftrl(0.01), rows),
}


def made(name: str) -> Any:
    """A compiled model with an optimizer that is built."""
    K.backend.clear_session()
    K.utils.set_random_seed(len(name))
    model, optimizer = MODELS[name][0](), MODELS[name][1]()
    # So small a model is sooner run than compiled.
    model.compile(optimizer, loss=["mse"] * len(model.outputs), run_eagerly=True)
    optimizer.build(model.trainable_variables)
    return model


def data(name: str) -> tuple[Any, Any]:
    batch, target = MODELS[name][2](), np.ones((4, 2), "float32")
    return ([batch, batch], [target, target]) if name == "functional" else (batch, target)


def losses(model: Any, name: str) -> Any:
    x, y = data(name)
    return np.array([np.ravel(model.train_on_batch(x, y))[0] for _ in range(STEPS)])


def outcome(model: Any, name: str) -> dict[str, Any]:
    """Predictions, then the next losses."""
    predictions = model.predict(data(name)[0], verbose=0)
    found = predictions if isinstance(predictions, list) else [predictions]
    return {f"prediction{at}": np.asarray(one, "float32") for at, one in enumerate(found)} | {
        "losses": losses(model, name)
    }


def build(folder: Path) -> None:
    for name in MODELS if NEW else MODELS.keys() - {"short_floats"}:
        model = made(name)
        for _ in range(2):
            model.train_on_batch(*data(name))
        if not NEW:
            model.optimizer.learning_rate  # noqa: B018  (made when it is first asked for)
        base = str(folder / name)
        model.save(f"{base}.keras")
        model.save_weights(f"{base}.weights.h5")
        Path(f"{base}.json").write_text(model.to_json())
        if NEW:
            model.save_weights(f"{base}.weights.json", max_shard_size=SHARD_BYTES / 1024**3)
        values = {f"variable{at}": np.asarray(one.numpy()) for at, one in enumerate(model.weights)}
        raw = {
            key: value.view("uint16") if value.dtype.kind == "V" or "bfloat" in str(value.dtype) else value
            for key, value in values.items()
        }
        np.savez(f"{base}.npz", allow_pickle=False, **raw, **outcome(model, name))


def judged(name: str, kind: str, path: str, expected: Any) -> str:
    """What is not as it was."""
    if kind == "model":
        model = K.models.load_model(path)
    elif kind == "config":
        model = K.models.model_from_json(Path(path).read_text())
        model.load_weights(path.rpartition("/")[0] + f"/{name}.weights.h5")
        expected = {key: value for key, value in expected.items() if key.startswith("prediction")}
    else:
        model = made(name)
        for variable in model.weights:
            variable.assign(np.zeros(variable.shape, "float32"))
        model.load_weights(path)
    found = outcome(model, name) if kind != "config" else predicted(model, name)
    wrong = [
        key for key in expected if key.startswith(("prediction", "losses")) and not equal(found[key], expected[key])
    ]
    return ", ".join(f"{key}: {found[key].ravel()[:3]} for {expected[key].ravel()[:3]}" for key in wrong)


def predicted(model: Any, name: str) -> dict[str, Any]:
    found = model.predict(data(name)[0], verbose=0)
    return {
        f"prediction{at}": np.asarray(one, "float32")
        for at, one in enumerate(found if isinstance(found, list) else [found])
    }


def equal(one: Any, two: Any) -> bool:
    return bool(one.shape == two.shape and one.tobytes() == two.astype(one.dtype).tobytes())


def judge(folder: Path) -> None:
    verdicts: dict[str, dict[str, str]] = {}
    for name, ways in json.loads((folder / "jobs.json").read_text()).items():
        expected = dict(np.load(folder / f"{name}.npz"))
        for way, job in ways.items():
            try:
                found = judged(name, job["kind"], job["path"], expected)
            except Exception:
                found = traceback.format_exc()[-1500:]
            verdicts.setdefault(name, {})[way] = found
    (folder / "verdicts.json").write_text(json.dumps(verdicts, indent=1))


if __name__ == "__main__":
    {"build": build, "judge": judge}[sys.argv[1]](Path(sys.argv[3]))
