"""Judge of programs of ONNX made of real Keras models: onnxruntime against the predictions of Keras.

    python judge_keras.py corpus RESULT.json [CASE...]     the corpus of the `.keras` tests
    python judge_keras.py classes RESULT.json [CASE...]    models that together hold every class that has a core op

RESULT.json is {case: {"code": of the refusal, or empty, "found": its words, "difference": the largest between
onnxruntime and Keras relative to the largest number, or null, "outputs": how many}}. Keras is that of KERAS_BACKEND.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
TESTS = HERE.parent


def main(side: str, target: str, *only: str) -> None:
    """Judge the cases, all or those named."""
    sys.path[:0] = [str(TESTS / "keras_core"), str(TESTS / "keras"), str(TESTS / "formats")]
    with tempfile.TemporaryDirectory() as folder:
        result = dict(_judged(side, Path(folder), only))
    Path(target).write_text(json.dumps(result, indent=1))


def _judged(side: str, folder: Path, only: tuple[str, ...]) -> Any:
    oracle = import_module("oracle")
    oracle._quiet()
    keras = import_module("keras")
    keras.Model.train_on_batch = lambda *_, **__: None
    for name, build in _cases(side, keras, oracle):
        if only and name not in only:
            continue
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(oracle.SEED)
        model, x = build()
        if model.built:  # one that was not has no variables yet
            model.save(folder / f"{name}.keras")
            yield name, verdict(keras, model, x, folder / f"{name}.keras")


def _cases(side: str, keras: Any, oracle: Any) -> Any:
    if side == "classes":
        every_class = import_module("every_class")
        for name in every_class.CASES:
            yield name, lambda name=name: every_class.build(name)
        return
    for name, case in oracle.corpus().CASES.items():
        if keras.backend.backend() in case.backends:

            def build(case: Any = case) -> Any:
                sample = case.build()
                return sample.model, sample.x

            yield name, build


def verdict(keras: Any, model: Any, x: Any, path: Path) -> dict[str, Any]:
    """What becomes of one model."""
    import etui

    found: dict[str, Any] = {"code": "", "found": "", "difference": None, "outputs": 0}
    artifact = path.with_suffix(".etui")
    try:
        etui.onnx.export(path, artifact)
    except etui.EtuiError as fault:
        return found | {"code": fault.code, "found": f"{fault.where}: {fault.found}"}
    session = etui.onnx.session(artifact)
    kinds: dict[str, Any] = {
        "tensor(string)": object,
        "tensor(bool)": "bool",
        "tensor(double)": "float64",
        "tensor(float16)": "float16",
    }
    given = {}
    for one, array in zip(session.get_inputs(), keras.tree.flatten(x), strict=True):
        dtype = kinds.get(one.type) or one.type.removeprefix("tensor(").removesuffix(")").replace("float", "float32")
        given[one.name] = np.asarray(array).astype(dtype)
    outputs = session.run(None, given)
    wanted = [np.asarray(one) for one in keras.tree.flatten(model.predict(x, verbose=0))]
    pairs = list(zip(outputs, wanted, strict=True))
    assert all(one.shape == two.shape for one, two in pairs)
    found["outputs"] = len(pairs)
    found["difference"] = max(_difference(one, np.asarray(two, "float64")) for one, two in pairs)
    return found


def _difference(one: Any, two: Any) -> float:
    """The largest difference relative to the largest number, or to 1."""
    return float(np.max(np.abs(one - two), initial=0.0)) / max(1.0, float(np.max(np.abs(two), initial=0.0)))


if __name__ == "__main__":
    main(*sys.argv[1:])
