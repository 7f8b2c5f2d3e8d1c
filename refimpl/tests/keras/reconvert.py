"""Converts `.keras` files to Etui and back in a process in which no framework can be imported.

    python reconvert.py JOBS.json RESULT.json

JOBS.json is {name: {"original": path.keras, "folder": path, "dialect": of the file}}.
For every name the folder gets one file per way:

    packed      .keras -> packed .etui -> .keras
    directory   .keras -> etui in directory form -> .keras
    neutral     the same with the native documents removed, so that Keras' config is written from the neutral graph

RESULT.json is {name: {way: {"path": ..., "sha256": ..., "etui": ..., "lost": [...], "error": ""}}}.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

FRAMEWORKS = ("flax", "jax", "jaxlib", "keras", "tensorflow", "tf_keras", "torch")
WAYS: dict[str, dict[str, Any]] = {
    "packed": {"form": "packed"},
    "directory": {"form": "directory"},
    "neutral": {"form": "packed", "native": False},
}


class NoFrameworks(MetaPathFinder):
    """Refuses every import of a framework, as on a machine that has none."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        if fullname.partition(".")[0] in FRAMEWORKS:
            raise ImportError(f"{fullname} is not to be imported here")


def reconvert(name: str, original: str, folder: str, dialect: str = "keras") -> dict[str, dict[str, Any]]:
    """Take one file every way there and back; a failure is recorded, not raised."""
    import etui

    results = {}
    for way, options in WAYS.items():
        middle = Path(folder, f"{name}.{way}.etui")
        back = Path(folder, f"{name}.{way}.keras")
        result: dict[str, Any] = {"path": str(back), "etui": str(middle), "error": "", "lost": []}
        try:
            there = etui.convert(original, middle, **options)
            again = etui.convert(middle, back, dialect=dialect)
            result["lost"] = [f"{entry.kind} {entry.subject}" for entry in [*there.lost, *again.lost]]
            result["sha256"] = hashlib.sha256(back.read_bytes()).hexdigest()
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {error}"
        results[way] = result
    return results


def main(jobs: str, answer: str) -> None:
    """Do every job, and make sure that no framework was there."""
    sys.meta_path.insert(0, NoFrameworks())
    results = {name: reconvert(name, **job) for name, job in json.loads(Path(jobs).read_text()).items()}
    found = [name for name in FRAMEWORKS if name in sys.modules]
    if found:
        raise SystemExit(f"these frameworks were imported: {found}")
    Path(answer).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
