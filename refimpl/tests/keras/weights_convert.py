"""Converts weights files and JSON to Etui and back in a process in which no framework can be imported.

    python weights_convert.py keras|tf_keras FOLDER

FOLDER is what `weights_oracle.py build` left. Leaves `jobs.json` for `weights_oracle.py judge`, and `results.json`: a
map of model -> {"error", "lost", "same": {way: whether the artifact is that of the `.keras` file}, "values"}.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

reconvert: Any = import_module("reconvert")
SHARD_BYTES = 400
SOURCES = {"keras": (".weights.h5", ".weights.json"), "tf_keras": (".weights.h5",)}


def jobs_of(name: str, folder: Path, library: str) -> dict[str, dict[str, str]]:
    """Convert the files of one model every way; gives what the judge is to look at."""
    import etui

    base = folder / name
    config = Path(f"{base}.keras")
    jobs = {"original": {"kind": "weights", "path": f"{base}.weights.h5"}}
    for suffix in SOURCES[library]:
        source, way = Path(f"{base}{suffix}"), suffix.removeprefix(".weights.")
        middle, plain = folder / f"{name}.from_{way}.etui", folder / f"{name}.{way}.plain.etui"
        etui.convert(source, middle, config=config)
        etui.convert(source, plain)
        # What was one file becomes several, and the other way round.
        other = ".weights.h5" if way == "json" or library == "tf_keras" else ".weights.json"
        size = SHARD_BYTES if other.endswith("json") else None
        for begin, kind in ((middle, "back"), (plain, "plain")):
            back = folder / f"{name}.{way}.{kind}{other}"
            etui.convert(begin, back, shard_size=size)
            jobs[f"{way} {kind}"] = {"kind": "weights", "path": str(back)}
    whole = folder / f"{name}.from_weights.keras"
    etui.convert(f"{base}.weights.h5", whole, config=config, dialect=library)
    jobs["weights to .keras"] = {"kind": "model", "path": str(whole)}
    etui.convert(f"{base}.json", folder / f"{name}.json.etui")
    etui.convert(folder / f"{name}.json.etui", folder / f"{name}.verbatim.json")
    etui.convert(f"{base}.json", folder / f"{name}.neutral.etui", native=False)
    etui.convert(folder / f"{name}.neutral.etui", folder / f"{name}.neutral.json")
    etui.convert(config, folder / f"{name}.whole.json")
    for way in ("neutral", "whole"):
        jobs[f"json, {way}"] = {"kind": "config", "path": str(folder / f"{name}.{way}.json")}
    if library == "keras":
        target = folder / f"{name}.from_json.keras"
        etui.convert(f"{base}.weights.h5", target, config=f"{base}.json")
        jobs["weights and json to .keras"] = {"kind": "model", "path": str(target)}
    return jobs


def compared(name: str, folder: Path, library: str) -> dict[str, Any]:
    """Whether what was read from each file is what the `.keras` file holds, and whether the values are Keras' own."""
    import etui

    whole = folder / f"{name}.whole.etui"
    etui.convert(folder / f"{name}.keras", whole, native=False)
    same = {}
    for suffix in SOURCES[library]:
        way = suffix.removeprefix(".weights.")
        found = etui.diff(whole, folder / f"{name}.from_{way}.etui")
        same[way] = [f"{change.area} {change.subject} {change.field}" for change in found.changes if counts(change)]
    stored = np.load(folder / f"{name}.npz")
    theirs = sorted(_bits(stored[key]) for key in stored if key.startswith("variable"))
    values = {}
    for way in ("from_h5", "h5.plain"):
        with etui.open(folder / f"{name}.{way}.etui") as model:
            assert model.weights is not None
            mine = sorted(_bits(variable.numpy()) for variable in model.weights.variables.values())
        values[way] = mine == theirs
    texts = [(folder / f"{name}{suffix}").read_text() for suffix in (".json", ".neutral.json")]
    original, neutral = (json.loads(text, object_hook=_without_ids) for text in texts)
    equal = library != "keras" or original == neutral
    return {"same": same, "values": values, "count": len(theirs), "json": equal}


def _without_ids(node: dict[str, Any]) -> dict[str, Any]:
    """A node without the number that Keras gives an object, which is an address in memory."""
    return {key: value for key, value in node.items() if key != "shared_object_id"}


def counts(change: Any) -> bool:
    """Whether a difference is one of the model: where data lies and what a `.keras` file says of itself are not."""
    return change.area not in ("layout", "native")


def _bits(array: Any) -> tuple[Any, ...]:
    return array.shape, array.tobytes()


def main(library: str, place: str) -> None:
    """Do every model, and make sure that no framework was there."""
    sys.meta_path.insert(0, reconvert.NoFrameworks())
    folder = Path(place)
    jobs: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for path in sorted(folder.glob("*.npz")):
        name = path.stem
        try:
            jobs[name] = jobs_of(name, folder, library)
            results[name] = {"error": ""} | compared(name, folder, library)
        except Exception as error:
            results[name] = {"error": f"{type(error).__name__}: {error}"}
    found = [name for name in reconvert.FRAMEWORKS if name in sys.modules]
    if found:
        raise SystemExit(f"these frameworks were imported: {found}")
    (folder / "jobs.json").write_text(json.dumps(jobs, indent=1))
    (folder / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
