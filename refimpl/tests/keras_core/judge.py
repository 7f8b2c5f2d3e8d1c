"""Judge of translations to the core vocabulary and back: real Keras says whether the core attributes carry the meaning.

    python judge.py keras RESULT.json [CASE...]       the corpus of the `.keras` tests, on the backend of KERAS_BACKEND
    python judge.py classes RESULT.json [CASE...]     models that together hold every class that has a core op
    python judge.py tf_keras RESULT.json [CASE...]    the models of tf_keras of the tests of formats, in two formats

RESULT.json is {case: {"documents": [those that differ after there and back], "kept": [why a module stays], "check":
what annex J says against the core model, "difference": between the predictions of the model and of one rebuilt from the
core model without residue, or null where none was made}}. Models are not trained: a compiled step costs more than all
else, and changes no config.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main(side: str, target: str, *only: str) -> None:
    """Judge the cases, all or those named."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "keras"), str(HERE.parent / "formats")]
    with tempfile.TemporaryDirectory() as folder:
        result = dict(SIDES[side](Path(folder), only))
    Path(target).write_text(json.dumps(result, indent=1))


def _keras(folder: Path, only: tuple[str, ...]) -> Any:
    oracle = import_module("oracle")
    oracle._quiet()
    keras = import_module("keras")
    keras.Model.train_on_batch = lambda *_, **__: None
    for name, case in oracle.corpus().CASES.items():
        if (only and name not in only) or keras.backend.backend() not in case.backends:
            continue
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(oracle.SEED)
        sample = case.build()
        path = folder / f"{name}.keras"
        sample.model.save(path)
        yield name, judged(path, lambda rebuilt, s=sample: _difference(keras, s.model, s.x, rebuilt))


def _classes(folder: Path, only: tuple[str, ...]) -> Any:
    """The models that hold every class; the result tells which classes they held."""
    from etui.conversion import read

    oracle = import_module("oracle")
    oracle._quiet()
    keras, every_class = import_module("keras"), import_module("every_class")
    for name in every_class.CASES:
        if only and name not in only:
            continue
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(oracle.SEED)
        model, x = every_class.build(name)
        path = folder / f"{name}.keras"
        model.save(path)
        found = judged(path, lambda rebuilt, m=model, x=x: _difference(keras, m, x, rebuilt))
        with read(path)[0] as again:
            walk = again.config.walk() if again.config is not None else ()
            found["classes"] = sorted({module.op for _, module in walk if module.op})
        yield name, found


def _tf_keras(folder: Path, only: tuple[str, ...]) -> Any:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    keras = import_module("tf_keras")
    keras.utils.disable_interactive_logging()
    keras.Model.train_on_batch = lambda *_, **__: None
    for name, make in import_module("cases_tf_keras").CASES.items():
        if only and name not in only:
            continue
        keras.backend.clear_session()
        model = make().model
        for suffix in ("keras", "h5"):
            path = folder / f"{name}.{suffix}"
            try:
                model.save(path)
            except (NotImplementedError, ValueError, TypeError):
                continue  # a model that this format cannot hold
            yield f"{name}.{suffix}", judged(path, None)


def judged(path: Path, compare: Any) -> dict[str, Any]:
    """What becomes of a file's model in the core vocabulary and back."""
    from etui.bridges.keras import v3
    from etui.containers.config import Config
    from etui.conversion import read
    from etui.core.check import check
    from etui.report import Report
    from etui.translation import to_core, to_keras

    report = Report()
    model, _ = read(path)
    with model:
        core = to_core(model, report)
        found: dict[str, Any] = {"kept": [], "documents": [], "check": "", "difference": None}
        found["kept"] = [
            entry.detail for entry in report.entries if entry.kind == "module" and entry.status == "data-only"
        ]
        try:
            check(core)
        except ValueError as wrong:
            found["check"] = str(wrong)
        back = to_keras(core)
        prints = {name: (model.fingerprint(name), back.fingerprint(name)) for name in DOCUMENTS}
        found["documents"] = [name for name, (one, two) in prints.items() if one != two]
        if compare is not None and not found["kept"] and core.config is not None:
            bare = replace(core, config=Config(_stripped(core.config.model)), training=None, optimizer=None, native={})
            rebuilt = path.with_name(f"{path.stem}-rebuilt.keras")
            v3.write(to_keras(bare), rebuilt, Report(), strict=False)
            found["difference"] = compare(rebuilt)
    return found


DOCUMENTS = ("config.json", "training.json", "optimizer.msgpack", "weights.json", "state.msgpack")


def _stripped(module: Any) -> Any:
    return replace(module, residue={}, modules=[_stripped(child) for child in module.modules])


def _difference(keras: Any, model: Any, x: Any, rebuilt: Path) -> float | None:
    """The largest difference between predictions; none for a model that was never built, whose variables differ."""
    import numpy as np

    if not model.built:
        return None
    again = keras.models.load_model(rebuilt, compile=False)
    sides = [keras.tree.flatten(one.predict(x, verbose=0)) for one in (model, again)]
    pairs = [[np.asarray(array, "float64") for array in pair] for pair in zip(*sides, strict=True)]
    return max(float(np.max(np.abs(one - two), initial=0.0)) for one, two in pairs)


SIDES = {"keras": _keras, "classes": _classes, "tf_keras": _tf_keras}

if __name__ == "__main__":
    main(*sys.argv[1:])
