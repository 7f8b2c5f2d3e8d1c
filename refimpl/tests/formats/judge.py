"""What a framework sees of the files that Etui wrote for it, against what the corpus says that there is to see.

    python judge.py keras|tf_keras JOBS.json RESULT.jsonl

JOBS.json is a list of jobs, and RESULT.jsonl has a line with the answer to each: {check: "" or what differs}.

    {"bridge", "path"        the file,
     "native"                whether the model was built in this framework,
     "data"                  the batch, and what is to be seen,
     "base"                  a file of the same model, for formats that hold only a part of it; or the graphs served,
     "serves"                whether the graphs of a SavedModel are to be run, and no model is to be made of it,
     "weights", "training"   whether the file is meant to hold them,
     "bound"                 0, or by how much of the largest number predictions and losses may differ}
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

arrays, sides = (import_module(name) for name in ("arrays", "sides"))  # beside this script

WHOLE = ("keras", "keras-h5", "tf-savedmodel")
CONFIG_ONLY = ("keras-json",)
AFTER_STEPS = 20  # Adam makes steps of one size out of gradients that are nothing but rounding


def main(framework: str, jobs: str, answer: str) -> None:
    """Do every job; a file that the framework does not load is an answer."""
    here = sides.side(framework)
    here.cases()  # registers the classes and functions of the models
    with Path(answer).open("w") as answers:
        for job in json.loads(Path(jobs).read_text()):
            try:
                verdict = judge(here, **job)
            except Exception as error:
                verdict = {"loads": f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"}
            answers.write(json.dumps(verdict) + "\n")
            answers.flush()


def judge(
    here: Any,
    *,
    bridge: str,
    path: str,
    native: bool,
    data: str,
    base: str,
    serves: bool,
    weights: bool,
    training: bool,
    bound: float,
) -> dict[str, str]:
    """Load one file, and compare what is to be seen of it."""
    expected = arrays.load(data)
    here.fresh()
    if serves:
        return {"serves": arrays.difference(here.serve(base, expected), here.serve(path, expected))}
    if bridge == "tf-checkpoint" and not base:
        return {"weights": missing(expected["weights"], here.read(path))}
    if bridge in WHOLE:
        model = here.load(path)
    elif bridge in CONFIG_ONLY:
        model = here.from_json(Path(path).read_text(), here.load(base))
    else:
        model = here.load(base)
        here.scramble(model)
        here.load_weights(model, bridge, path, training=training)
    if not weights:
        return {"loads": ""}
    found = here.observe(model, expected, train=training)
    verdict = {"predictions": arrays.difference(expected["predictions"], found["predictions"], bound)}
    if native:
        verdict["weights"] = arrays.difference(expected["weights"], found["weights"])
    else:
        verdict["weights"] = unordered(expected["weights"], found["weights"])
    if training:
        verdict |= compare_training(expected, found, bound, exact=native and bridge != "tf-savedmodel")
    return verdict


def compare_training(expected: Any, found: Any, bound: float, *, exact: bool) -> dict[str, str]:
    """Compare the next three losses, and the variables of the optimizer.

    Names of metrics are not compared: tf_keras puts the name of the output before them again whenever it saves. A
    SavedModel gives its variables to the optimizer of tf_keras only when the first step asks for them.
    """
    one, two = ([losses(logs) for logs in seen["losses"]] for seen in (expected, found))
    verdict = {"losses": arrays.difference(one, two, bound * AFTER_STEPS)}
    if exact:
        verdict["optimizer"] = arrays.difference(expected["optimizer"], found["optimizer"])
    return verdict


def losses(logs: dict[str, Any]) -> dict[str, Any]:
    """The loss, and the losses of the outputs where there are any."""
    return {name: value for name, value in logs.items() if name.endswith("loss")}


def missing(wanted: list[Any], found: list[Any]) -> str:
    """Which arrays are nowhere among those found."""
    held = {(value.dtype.name, value.shape, value.tobytes()) for value in found if not value.dtype.hasobject}
    lacking = [list(v.shape) for v in wanted if (v.dtype.name, v.shape, v.tobytes()) not in held]
    return f"no arrays with the values of {lacking}" if lacking else ""


def unordered(one: list[Any], two: list[Any]) -> str:
    """Where two frameworks differ in the values they hold, in whatever order."""
    first, second = (Counter((v.dtype.name, v.shape, v.tobytes()) for v in values) for values in (one, two))
    return "" if first == second else f"{(first - second).total()} are missing, {(second - first).total()} are new"


if __name__ == "__main__":
    main(*sys.argv[1:])
