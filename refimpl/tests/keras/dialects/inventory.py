"""Lists what one Keras exports, with the attributes of each class: what its config has and what its constructor takes.

python inventory.py SIDE RESULT.json
    SIDE is keras or tf_keras.
    RESULT.json is {package: {class: {"own": class name, "config": [...] or null, "takes": [...]}}}.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}

from oracle import keras_of

PACKAGES = (
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "optimizers.schedules",
    "initializers",
    "regularizers",
    "constraints",
    "activations",
)
BASE = ["name", "trainable", "dtype", "autocast", "activity_regularizer", "dynamic"]


def arguments(keras: Any, side: str, package: str, name: str) -> dict[str, Any]:
    """What a class needs in order to be made."""
    la = keras.layers
    if package == "optimizers.schedules":
        rate = {"initial_learning_rate": 0.1}
        schedules: dict[str, dict[str, Any]] = {
            "CosineDecayRestarts": {**rate, "first_decay_steps": 5},
            "PiecewiseConstantDecay": {"boundaries": [3], "values": [0.1, 0.2]},
            "CosineDecay": {**rate, "decay_steps": 5},
            "PolynomialDecay": {**rate, "decay_steps": 5},
        }
        return schedules.get(name, {**rate, "decay_steps": 5, "decay_rate": 0.9})
    if package == "metrics":
        return _METRICS.get(name, {"fn": keras.losses.mean_squared_error} if name == "MeanMetricWrapper" else {})
    if package == "optimizers" and name == "LossScaleOptimizer":
        return {"inner_optimizer": keras.optimizers.SGD()}
    if package != "layers":
        return {}
    wraps: dict[str, dict[str, Any]] = {
        "Bidirectional": {"layer": la.LSTM(2)},
        "RNN": {"cell": la.LSTMCell(2)},
        "SpectralNormalization": {"layer": la.Dense(2)},
        "StackedRNNCells": {"cells": [la.LSTMCell(2)]},
        "TimeDistributed": {"layer": la.Dense(2)},
        "Wrapper": {"layer": la.Dense(2)},
        "InputLayer": {"input_shape" if side == "tf_keras" else "shape": (3,)},
    }
    if name in wraps:
        return wraps[name]
    for start, options in _BEGINNINGS.items():
        if name.startswith(start):
            return options
    return _LAYERS.get(name, {})


_METRICS: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
_UNITS, _FACTOR, _SIZE = {"units": 2}, {"factor": 0.1}, {"height": 2, "width": 2}
_BEGINNINGS: dict[str, dict[str, Any]] = {
    "Conv": {"filters": 2, "kernel_size": 2},
    "Depthwise": {"kernel_size": 2},
    "Locally": {"filters": 2, "kernel_size": 2},
    "Separable": {"filters": 2, "kernel_size": 2},
    "Adaptive": {"output_size": 2},
    "Average": {},
    "SpatialDropout": {"rate": 0.1},
    "GRU": _UNITS,
    "LSTM": _UNITS,
    "SimpleRNN": _UNITS,
}
_LAYERS: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "relu"},
    "AlphaDropout": {"rate": 0.1},
    "CategoryEncoding": {"num_tokens": 3},
    "CenterCrop": _SIZE,
    "Dense": _UNITS,
    "Discretization": {"bin_boundaries": [0.0]},
    "Dot": {"axes": 1},
    "Dropout": {"rate": 0.1},
    "EinsumDense": {"equation": "ab,bc->ac", "output_shape": 3},
    "Embedding": {"input_dim": 3, "output_dim": 2},
    "GaussianDropout": {"rate": 0.1},
    "GaussianNoise": {"stddev": 0.1},
    "HashedCrossing": {"num_bins": 3},
    "Hashing": {"num_bins": 3},
    "IntegerLookup": {"vocabulary": [1]},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 2},
    "Permute": {"dims": (2, 1)},
    "RandomBrightness": _FACTOR,
    "RandomContrast": _FACTOR,
    "RandomCrop": _SIZE,
    "RandomRotation": _FACTOR,
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomZoom": {"height_factor": 0.1},
    "RepeatVector": {"n": 2},
    "Rescaling": {"scale": 2.0},
    "Reshape": {"target_shape": (2, 1)},
    "Resizing": _SIZE,
    "StringLookup": {"vocabulary": ["a"]},
    "TextVectorization": {"vocabulary": ["a"]},
}


def pooling(name: str) -> dict[str, Any]:
    """Pooling layers have a size that Keras 3 asks for."""
    return {"pool_size": 2} if name.endswith(("Pooling1D", "Pooling2D", "Pooling3D")) and "Global" not in name else {}


def facts(keras: Any, side: str, package: str, name: str, found: Any) -> dict[str, Any]:
    """What is to know of one class."""
    parameters = inspect.signature(found.__init__).parameters
    takes = [key for key, one in parameters.items() if key != "self" and one.kind not in (2, 4)]
    if any(one.kind == inspect.Parameter.VAR_KEYWORD for one in parameters.values()) and package == "layers":
        takes += BASE
    options = arguments(keras, side, package, name) | (pooling(name) if "Adaptive" not in name else {})
    try:
        config = sorted(found(**options).get_config())
    except Exception:
        config = None
    return {"own": found.__name__, "config": config, "takes": sorted(set(takes))}


def main(side: str, answer: str) -> None:
    """List every package."""
    keras = keras_of(side)
    listed: dict[str, dict[str, Any]] = {}
    for package in PACKAGES:
        module = keras
        for part in package.split("."):
            module = getattr(module, part)
        found = {name: getattr(module, name) for name in dir(module) if name[0] != "_"}
        listed[package] = {
            name: facts(keras, side, package, name, one) if inspect.isclass(one) else {}
            for name, one in found.items()
            if inspect.isclass(one) or (inspect.isfunction(one) and name not in ("get", "serialize", "deserialize"))
        }
    Path(answer).write_text(json.dumps(listed, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
