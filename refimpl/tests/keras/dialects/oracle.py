"""Builds the models with one Keras, or judges the files that were made of them for the other.

python oracle.py SIDE build FOLDER [NAME ...]
    SIDE is keras or tf_keras; without names all models of the side.
    Writes NAME.keras, NAME.npz (inputs, targets, predictions, losses) and built.json.
python oracle.py SIDE judge JOBS.json RESULT.json
    JOBS.json is {name: [path of the file, path of the .npz]}.
    RESULT.json is {name: {"predictions": largest difference, "losses": largest difference} or {"error": text}}.
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

import dense  # noqa: F401
import numpy as np
import operations  # noqa: F401
import optimizers  # noqa: F401
import sequences  # noqa: F401
import spatial  # noqa: F401
from models import CASES, Case

MORE = 3


def keras_of(side: str) -> Any:
    """The module of one Keras."""
    if side == "keras":
        import keras
    else:
        import tf_keras as keras
    return keras


def fed(arrays: list[np.ndarray]) -> Any:
    """Inputs as a model takes them; TensorFlow makes tensors of text."""
    import tensorflow as tf

    found = [tf.constant(one) if one.dtype.kind == "U" else one for one in arrays]
    return found[0] if len(found) == 1 else found


def flat(found: Any) -> list[np.ndarray]:
    """Predictions in one order, whatever holds them."""
    if isinstance(found, dict):
        return [one for key in sorted(found) for one in flat(found[key])]
    if isinstance(found, list | tuple):
        return [one for item in found for one in flat(item)]
    return [np.asarray(found, dtype="float64" if np.asarray(found).dtype == "float64" else "float32")]


def predict(model: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """What the model says of its inputs."""
    return flat(model(fed(arrays), training=False))


def loss_of(found: Any) -> float:
    """The loss that a step gives, without the metrics behind it."""
    return float(found[0] if isinstance(found, list | tuple) else found)


def train(model: Any, arrays: list[np.ndarray], targets: Any, steps: int) -> list[float]:
    """The losses of so many steps."""
    return [loss_of(model.train_on_batch(fed(arrays), targets)) for _ in range(steps)]


def targets_of(case: Case, predictions: Any) -> Any:
    """Targets of the shapes of the predictions, between 0 and 1."""
    random = np.random.default_rng(7)
    if isinstance(predictions, dict):
        return {key: targets_of(case, item) for key, item in predictions.items()}
    if isinstance(predictions, list | tuple):
        return [targets_of(case, item) for item in predictions]
    shape = predictions.shape if case.targets is None else (predictions.shape[0], *case.targets)
    return random.integers(0, case.labels, shape) if case.labels else random.random(shape).astype("float32")


def build(side: str, folder: Path, names: list[str]) -> None:
    """Write the models of one side."""
    keras = keras_of(side)
    built = []
    for name, case in CASES.items():
        if side in case.sides and (not names or name in names):
            keras.backend.clear_session()
            keras.utils.set_random_seed(11)
            try:
                build_one(keras, name, case, folder)
            except Exception as error:
                raise RuntimeError(name) from error
            built.append(name)
    files = {name: f"{name}{CASES[name].suffix}" for name in built}
    (folder / "built.json").write_text(json.dumps(files))


def build_one(keras: Any, name: str, case: Case, folder: Path) -> None:
    """Write one model, and what it predicts and how it goes on."""
    arrays = case.inputs()
    model = case.make(keras)
    targets = targets_of(case, model(fed(arrays)))
    if case.loss is not None:
        loss = case.loss(keras) if callable(case.loss) else case.loss
        optimizer = case.optimizer if not callable(case.optimizer) else case.optimizer(keras)
        model.compile(optimizer or keras.optimizers.SGD(0.05), loss, run_eagerly=True, **case.options)
        train(model, arrays, targets, case.steps)
    model.save(folder / f"{name}{case.suffix}")
    seen = {f"p{at}": one for at, one in enumerate(predict(model, arrays))}
    losses = train(model, arrays, targets, MORE) if case.loss is not None else []
    plain = {f"x{at}": one for at, one in enumerate(arrays)} | {f"y{at}": one for at, one in enumerate(flat(targets))}
    np.savez(folder / f"{name}.npz", allow_pickle=False, losses=losses, **plain, **seen)


def judge(side: str, jobs: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Load every file and compare it with what its maker saw."""
    keras = keras_of(side)
    verdicts: dict[str, dict[str, Any]] = {}
    for name, (path, data) in jobs.items():
        keras.backend.clear_session()
        try:
            verdicts[name] = compare(keras, CASES[name], path, data)
        except Exception as error:
            verdicts[name] = {"error": f"{type(error).__name__}: {error}"[:1500]}
    return verdicts


def compare(keras: Any, case: Case, path: str, data: str) -> dict[str, float]:
    """The largest relative differences of one model's predictions and losses."""
    with np.load(data) as stored:
        found = {key: stored[key] for key in stored.files}
    arrays = [found[f"x{at}"] for at in range(sum(key[0] == "x" for key in found))]
    model = keras.models.load_model(path)
    model.run_eagerly = True
    raw = model(fed(arrays), training=False)
    predictions = flat(raw)
    expected = [found[f"p{at}"] for at in range(sum(key[0] == "p" for key in found))]
    if [one.shape for one in predictions] != [one.shape for one in expected]:
        raise ValueError(f"shapes {[one.shape for one in predictions]}")
    verdict = {"predictions": max(map(distance, predictions, expected))}
    if len(found["losses"]):
        targets = targets_of(case, raw)
        verdict["losses"] = distance(np.array(train(model, arrays, targets, MORE)), found["losses"])
    return verdict


def distance(one: np.ndarray, two: np.ndarray) -> float:
    """The largest difference, relative to the largest number."""
    if one.tobytes() == two.tobytes():
        return 0.0
    scale = float(np.max(np.abs(two))) or 1.0
    return float(np.max(np.abs(one.astype("float64") - two.astype("float64")))) / scale


def main(side: str, verb: str, *paths: str) -> None:
    """Do what the command line says."""
    if verb == "build":
        build(side, Path(paths[0]), list(paths[1:]))
    else:
        jobs = json.loads(Path(paths[0]).read_text())
        Path(paths[1]).write_text(json.dumps(judge(side, jobs), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
