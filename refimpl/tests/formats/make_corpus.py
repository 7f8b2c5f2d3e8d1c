"""Builds the models of one framework, in every format that it writes, with what is to be seen of them.

    python make_corpus.py keras|tf_keras FOLDER [CASE...]

The folder gets the files, for each case CASE.npz with the batch and what the framework sees after it has loaded its own
file again (weights, optimizer, predictions, the next 3 losses; the optimizer also as it was), and index.json:

    {case: {"files": {label: {"path": ..., "training": "all" or "none"}}, "unsaved": {label: why}, "original": path,
            "data": path.npz, "weights": [[layers, trained], ...]}}
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

arrays, sides = (import_module(name) for name in ("arrays", "sides"))  # beside this script

HEAVY = 4  # every fourth model is also written in the formats that cost seconds


def main(framework: str, target: str, *only: str) -> None:
    """Build the cases, all or those named."""
    here, folder = sides.side(framework), Path(target).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    index, failed = {}, {}
    for number, (name, make) in enumerate(here.cases().items()):
        if only and name not in only:
            continue
        try:
            index[name] = build(here, make, folder / name, heavy=number % HEAVY == 0)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    (folder / "index.json").write_text(json.dumps(index, indent=1))
    (folder / "failed.json").write_text(json.dumps(failed, indent=1))


def build(here: Any, make: Any, base: Path, *, heavy: bool) -> dict[str, Any]:
    """Make one model, save it in each format, and load it again as the framework does."""
    here.fresh()
    sample = make()
    model = sample.model
    files, unsaved = {}, {}
    for kind in here.formats(model, base, heavy):
        kind.path.parent.mkdir(exist_ok=True)
        try:
            kind.save(kind.path)
            files[kind.label] = {"path": str(kind.path), "training": kind.training}
        except Exception as error:
            unsaved[kind.label] = f"{type(error).__name__}: {error}"
    rows = here.weights(model)
    optimizer = [here.value(variable) for variable in here.optimizer(model)]
    whole = sorted(("keras", "keras-h5"), key=lambda label: files.get(label, {}).get("training") != "all")
    original = files[whole[0]]["path"]
    data = {"x": sample.x, "y": sample.y, "w": getattr(sample, "sample_weight", None)}
    here.fresh()
    seen = here.observe(here.load(original), data, train=True)
    if wrong := arrays.difference([value for _, _, value in rows], seen["weights"]):
        raise AssertionError(f"the framework does not load what it saved: {wrong}")
    arrays.save(base.with_suffix(".npz"), {**data, **seen, "in memory": optimizer})
    return {
        "files": files,
        "unsaved": unsaved,
        "original": original,
        "data": str(base.with_suffix(".npz")),
        "weights": [[layers, trained] for layers, trained, _ in rows],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
