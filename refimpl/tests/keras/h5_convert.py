"""Takes legacy HDF5 files through Etui in a process in which no framework can be imported.

    python h5_convert.py JOBS.json RESULT.json

JOBS.json is {name: {"whole": path.h5, "weights": path.h5, "folder": path, "dialect": NAME}}. For every name the
folder gets

    native, neutral   whole .h5 -> .etui -> .h5, with the file's own documents or without them
    archive           whole .h5 -> .etui -> .keras
    translated        whole .h5 -> .etui -> .h5 of the other dialect, what has no equal left out
    mapped            weights .h5 and the whole file's config -> .etui -> weights .h5
    plain             weights .h5 without a config -> .etui -> weights .h5

RESULT.json is {name: {way: {"path": ..., "etui": ..., "lost": [...], "error": ""}}}.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

reconvert: Any = import_module("reconvert")

WEIGHTS = "keras-h5-weights"
OTHER = {"keras": "tf_keras", "tf_keras": "keras"}
WAYS: dict[str, tuple[str, dict[str, Any], str, str | None]] = {
    "native": ("whole", {}, "h5", None),
    "neutral": ("whole", {"native": False}, "h5", None),
    "archive": ("whole", {"native": False}, "keras", None),
    "translated": ("whole", {"native": False}, "other.h5", None),
    "mapped": ("weights", {"config": "whole"}, "mapped.h5", WEIGHTS),
    "plain": ("weights", {}, "plain.h5", WEIGHTS),
}


def convert(name: str, folder: str, dialect: str, **sources: str) -> dict[str, dict[str, Any]]:
    """Take one model every way; a failure is recorded, not raised."""
    import etui

    results = {}
    for way, (source, given, suffix, to) in WAYS.items():
        options: dict[str, Any] = {key: sources[value] if key == "config" else value for key, value in given.items()}
        middle = Path(folder, f"{name}.{way}.etui")
        back = Path(folder, f"{name}.{way}.{suffix}")
        result: dict[str, Any] = {"path": str(back), "etui": str(middle), "error": "", "lost": []}
        try:
            there = etui.convert(sources[source], middle, **options)
            if way == "translated":
                more: dict[str, Any] = {"dialect": OTHER[dialect], "strict": False}
            else:
                more = {"dialect": dialect} if way == "archive" else {}
            again = etui.convert(middle, back, to=to, **more)
            result["lost"] = [f"{entry.kind} {entry.subject}" for entry in [*there.lost, *again.lost]]
            result["data-only"] = [
                entry.subject for entry in there.entries if entry.status == "data-only" and entry.kind != "code"
            ]
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {error}"
        results[way] = result
    return results


def main(jobs: str, answer: str) -> None:
    """Do every job, and make sure that no framework was there."""
    sys.meta_path.insert(0, reconvert.NoFrameworks())
    results = {name: convert(name, **job) for name, job in json.loads(Path(jobs).read_text()).items()}
    found = [name for name in reconvert.FRAMEWORKS if name in sys.modules]
    if found:
        raise SystemExit(f"these frameworks were imported: {found}")
    Path(answer).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
