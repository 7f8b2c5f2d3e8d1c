"""Takes SavedModels to Etui and on, in a process in which no framework can be imported.

    python saved_model_reconvert.py FOLDER

Reads FOLDER/build.json and FOLDER/made, writes FOLDER/converted.json: {case: {way: {"path", "checks", "lost", "error",
...}}}, and FOLDER/read.json: {case: {key of the bundle: [dtype, sha256]}}, what Etui holds for each tensor.

    back        SavedModel -> packed .etui -> SavedModel
    halved      the same, with one kernel halved in between
    keras       SavedModel -> `.keras`
    rebuilt     SavedModel without its graphs, or a `.keras` file -> SavedModel, from the config alone
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np

FRAMEWORKS = ("flax", "jax", "jaxlib", "keras", "tensorflow", "tf_keras", "torch")
HALVED = {"mlp": "one/kernel", "keras_3_export": "mlp/one/kernel", "module": "w"}
# A subclassed model has no config of calls, and only the code of an author's layer names its variables.
NOT_REBUILT = ("subclassed", "authored")
NOT_COMPILED = ("text", "adapted")


class NoFrameworks(MetaPathFinder):
    """Refuses every import of a framework, as on a machine that has none."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        if fullname.partition(".")[0] in FRAMEWORKS:
            raise ImportError(f"{fullname} is not to be imported here")


def digest(array: Any) -> str:
    items = array.reshape(-1).tolist() if array.dtype == object else None
    if items is None:
        return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return hashlib.sha256(b"\0".join(one.encode() if isinstance(one, str) else one for one in items)).hexdigest()


def values(path: Path) -> dict[str, list[str]]:
    """What the neutral model, or its program, holds for each tensor of a bundle."""
    from etui.bridges.tensorflow.saved_model import bridge as saved_model
    from etui.bridges.tensorflow.saved_model.write import program_tensors
    from etui.limits import DEFAULT_LIMITS
    from etui.report import Report

    with saved_model.read(path, Report(), limits=DEFAULT_LIMITS) as model:
        found = program_tensors(model, DEFAULT_LIMITS)
        return {tensor.name: [tensor.dtype, digest(tensor.load())] for tensor in found}


def ways_of(name: str, kind: str) -> dict[str, list[str]]:
    """The ways of a case, each with the checks of the judge."""
    if kind == "archive":
        return {"rebuilt": ["predict", "resume"]}
    served = [] if name == "calls_python" else ["serve"]
    ways = {"back": [*served, "tensors", *(["predict"] if kind == "keras" else [])]}
    if name == "subclassed":
        # tf_keras itself takes no other name of the argument than the one it was saved with.
        ways["back"].remove("predict")
    if name in HALVED:
        ways["halved"] = ["halved"]
    if kind == "keras":
        ways["keras"] = ["predict"]
        if name not in NOT_REBUILT:
            ways["rebuilt"] = ["predict"] if name in NOT_COMPILED else ["predict", "resume"]
    return ways


def convert(name: str, way: str, made: Path, folder: Path) -> dict[str, Any]:
    """One way; a failure is recorded, not raised."""
    import etui
    from etui.bridges.tensorflow.saved_model import bridge as saved_model
    from etui.limits import DEFAULT_LIMITS
    from etui.report import Report

    target = folder / f"{name}.keras" if way == "keras" else folder / f"{name}.{way}"
    middle = folder / f"{name}.{way}.etui"
    result: dict[str, Any] = {"path": str(target), "error": "", "lost": []}
    try:
        if made.is_file():
            lost = etui.convert(made, target, to="tf-savedmodel").lost
        elif way == "rebuilt":
            report = Report()
            with saved_model.read(made, report, limits=DEFAULT_LIMITS) as model:
                model.programs = {}
                saved_model.write(model, target, report, strict=True)
            lost = report.lost
        else:
            lost = etui.convert(made, middle).lost
            if way == "halved":
                with etui.open(middle) as model:
                    assert model.weights is not None
                    variable = model.weights.variables[HALVED[name]]
                    variable.tensor = etui.Tensor.of(variable.numpy() / 2)
                    etui.save(model, folder / f"{name}.halved.2.etui")
                middle = folder / f"{name}.halved.2.etui"
            to = "keras" if way == "keras" else "tf-savedmodel"
            # What a subclassed model computes is in its graphs alone, so a `.keras` file does not hold all of it.
            strict = (name, way) != ("subclassed", "keras")
            dialect = "tf_keras" if way == "keras" else None
            report = etui.convert(middle, target, to=to, strict=strict, dialect=dialect)
            lost = lost + [one for one in report.lost if strict]
        result["lost"] = [f"{entry.kind} {entry.subject} {entry.status} {entry.detail}" for entry in lost]
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {error}"
    return result


def main(folder: Path) -> None:
    """Do every case, and make sure that no framework was there."""
    sys.meta_path.insert(0, NoFrameworks())
    facts = json.loads((folder / "build.json").read_text())
    out = folder / "out"
    out.mkdir(exist_ok=True)
    read, converted = {}, {}
    for name, fact in facts.items():
        made = folder / "made" / name
        try:
            read[name] = values(made) if made.is_dir() else {}
        except Exception as error:
            read[name] = {"error": [type(error).__name__, str(error)]}
        ways = ways_of(name, fact["kind"])
        converted[name] = {way: convert(name, way, made, out) | {"checks": checks} for way, checks in ways.items()}
        for way in converted[name].values():
            if way["error"]:
                way["checks"] = []
    found = [name for name in FRAMEWORKS if name in sys.modules]
    if found:
        raise SystemExit(f"these frameworks were imported: {found}")
    (folder / "read.json").write_text(json.dumps(read))
    (folder / "converted.json").write_text(json.dumps(converted, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
