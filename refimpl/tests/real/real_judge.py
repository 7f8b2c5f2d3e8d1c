"""What a framework makes of a published model and of its conversions, on one random batch.

    python real_judge.py keras|tf_keras|tensorflow JOBS.json RESULT.json
    python real_judge.py deepcut CONFIG.json

JOBS.json is {name: {"original": path, "converted": {label: path}, ...}}; RESULT.json is {name: {label: "" or
what differs}}. A whole model is loaded and predicts; a SavedModel serves its signature; a checkpoint is read by name;
a file of weights fills the model of the config in "config". The last form writes the config of deepcut's network.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}
sys.path.insert(0, str(Path(__file__).parent.parent / "formats"))

from importlib import import_module

import numpy as np

arrays = import_module("arrays")

ROWS = 2


def batch(inputs: Any) -> list[Any]:
    """Random numbers, or random small integers where an embedding reads them."""
    rng = np.random.default_rng(3)
    return [
        rng.integers(0, 12, (ROWS, *shape[1:])).astype("float32") if whole else _numbers(rng, shape)
        for shape, whole in inputs
    ]


def _numbers(rng: np.random.Generator, shape: Any) -> Any:
    return rng.normal(size=[ROWS if size is None or index == 0 else size for index, size in enumerate(shape)]).astype(
        "float32"
    )


def predicted(keras: Any, path: str, config: str) -> dict[str, Any]:
    """The predictions of a whole model, or of the model of a config with a file of weights, and its weights."""
    if config:
        model = keras.models.model_from_json(Path(config).read_text())
        model.load_weights(path)
    else:
        model = keras.models.load_model(path, compile=False, custom_objects={"SqueezeLayer": squeeze_layer(keras)})
    integers = any(type(layer).__name__ == "Embedding" for layer in model.layers)
    x = batch([(tuple(tensor.shape), integers) for tensor in model.inputs])
    found = model(x if len(x) > 1 else x[0], training=False)
    values = [np.asarray(value) for value in model.get_weights()]
    outputs = found if isinstance(found, list | tuple) else [found]
    predictions = {f"predictions {at}": np.asarray(one) for at, one in enumerate(outputs)}
    return {**predictions, "weights": sorted(values, key=lambda v: (v.shape, v.tobytes()))}


def squeeze_layer(keras: Any) -> Any:
    """The class of its author's that crema's network has: it drops an axis of size 1."""

    class SqueezeLayer(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, axis: int = -1, **given: Any) -> None:
            super().__init__(**given)
            self.axis = axis

        def call(self, inputs: Any) -> Any:
            return import_module("tensorflow").squeeze(inputs, self.axis)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return tuple(size for at, size in enumerate(input_shape) if at != self.axis)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "axis": self.axis}

    return SqueezeLayer


def served(path: str) -> dict[str, Any]:
    """What the signature of a SavedModel answers."""
    tf = import_module("tensorflow")
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    values = batch([(tuple(spec.shape.as_list()), False) for spec in specs.values()])
    found = signature(**{name: tf.constant(value) for name, value in zip(specs, values, strict=True)})
    return {name: np.asarray(value) for name, value in sorted(found.items())}


def stored(path: str) -> dict[str, Any]:
    """Every variable of a checkpoint by its name."""
    reader = import_module("tensorflow.python.training.py_checkpoint_reader").NewCheckpointReader(path)
    return {name: np.asarray(reader.get_tensor(name)) for name in sorted(reader.get_variable_to_shape_map())}


def seen(framework: str, path: str, config: str) -> dict[str, Any]:
    """What there is to see of one file."""
    if framework == "tensorflow":
        return served(path) if Path(path, "saved_model.pb").exists() else stored(path)
    return predicted(import_module(framework), path, config)


def judge(
    framework: str, *, original: str, converted: dict[str, str], bound: float, config: str, expected: str
) -> dict[str, str]:
    """Compare each conversion with the original; what the original gives is kept for another process."""
    kept = Path(expected)
    if kept.exists():
        first = arrays.load(kept)
    else:
        first = seen(framework, original, config)
        arrays.save(kept, first)
    verdicts = {}
    for label, path in converted.items():
        try:
            verdicts[label] = arrays.difference(
                first, seen(framework, path, config if path.endswith(".weights.h5") else ""), bound
            )
        except Exception as error:
            verdicts[label] = f"{type(error).__name__}: {str(error)[:500]}"
    return verdicts


def deepcut() -> Any:
    """The network of deepcut's weights, which come without a config: characters and their types, in windows of 21."""
    keras = import_module("tf_keras")
    layers = keras.layers
    characters, kinds = keras.Input((21,)), keras.Input((21,))
    a = layers.BatchNormalization()(layers.SpatialDropout1D(0.15)(layers.Embedding(178, 32)(characters)))
    windows = []
    for width in range(1, 13):
        filters = 200 if width < 9 else 150 if width < 12 else 100
        x = layers.TimeDistributed(layers.Dense(5))(layers.Conv1D(filters, width, activation="relu")(a))
        windows.append(layers.ZeroPadding1D((0, width - 1))(x))
    b = layers.SpatialDropout1D(0.15)(layers.Embedding(12, 12)(kinds))
    x = layers.BatchNormalization()(layers.Concatenate()([a, layers.Maximum()(windows), b]))
    x = layers.Dense(1, activation="sigmoid")(layers.Dense(100, activation="relu")(layers.Flatten()(x)))
    return keras.Model([characters, kinds], x)


def main(framework: str, *paths: str) -> None:
    """Do what the command line says."""
    if framework == "deepcut":
        Path(paths[0]).write_text(deepcut().to_json())
        return
    answers = {}
    for name, job in json.loads(Path(paths[0]).read_text()).items():
        try:
            answers[name] = judge(framework, **job)
        except Exception as error:
            answers[name] = {"original": f"{type(error).__name__}: {str(error)[:500]}"}
    Path(paths[1]).write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
