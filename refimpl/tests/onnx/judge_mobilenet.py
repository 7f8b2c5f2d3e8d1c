"""Judge of a MobileNet: Keras, the reference evaluator, and onnxruntime on every kind of program of it.

    python judge_mobilenet.py FOLDER

Prints JSON: {"difference": {what: the largest difference from Keras}, "bytes": {what: number of bytes}}.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

SIZE, CLASSES = 64, 20


def main(folder: str) -> None:
    """Judge the model; files are written below the folder."""
    import etui
    from etui.core.evaluate import evaluate

    keras, onnxruntime = import_module("keras"), import_module("onnxruntime")
    keras.utils.set_random_seed(4)
    place = Path(folder)
    model = keras.applications.MobileNetV2(weights=None, input_shape=(SIZE, SIZE, 3), classes=CLASSES)
    _shake(model)
    x = np.random.default_rng(5).normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    wanted = np.asarray(model(x, training=False))

    etui.save(model, place / "model.etui")
    before = (place / "model.etui").stat().st_size
    etui.onnx.export(place / "model.etui")
    saved = etui.open(place / "model.etui")
    etui.save(saved, place / "folder", form="directory")
    outputs = {
        "evaluator": evaluate(etui.to_core(saved), [x[:1]]),
        "packed": _run(etui.onnx.session(place / "model.etui"), x),
        "directory": _run(etui.onnx.session(place / "folder"), x),
        "etui.run": etui.run(place / "model.etui", x, program="onnx").value,
    }
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(place / "folder"))
    alone = onnxruntime.InferenceSession((place / "folder" / "programs" / "onnx" / "main.onnx").read_bytes(), options)
    outputs["onnxruntime alone"] = _run(alone, x)

    model.export(str(place / "keras.onnx"), format="onnx", verbose=False)
    etui.onnx.add(place / "model.etui", place / "keras.onnx", name="exported")
    outputs["exported by Keras"] = _run(etui.onnx.session(place / "model.etui", "exported"), x)
    etui.verify(place / "model.etui")
    differences = {what: float(np.abs(one - wanted[: len(one)]).max()) for what, one in outputs.items()}
    sizes = {
        "weights": sum(array.nbytes for array in model.get_weights()),
        "before": before,
        "program": sum(blob.size for blob in saved.programs.values()),
    }
    json.dump({"difference": differences, "bytes": sizes}, sys.stdout)


def _shake(model: Any) -> None:
    """Weights of no special value: a fresh model has many zeros and ones, and predictions that are all alike."""
    rng = np.random.default_rng(3)
    model.set_weights(
        [
            rng.normal(0, 0.3 / max(1, array[..., 0].size) ** 0.5, array.shape).astype(array.dtype)
            if array.ndim > 1
            else rng.uniform(0.5, 1.5, array.shape).astype(array.dtype)
            for array in model.get_weights()
        ]
    )


def _run(session: Any, x: Any) -> Any:
    return session.run(None, {session.get_inputs()[0].name: x})[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
