"""Puts files of one Keras in the terms of the other, in a process in which no framework can be imported.

python convert.py JOBS.json RESULT.json
    JOBS.json is {name: [path of the file, path to write, dialect]}.
    RESULT.json is {name: {"lost": [[kind, subject, detail], ...], "error": "", "same": whether a second time
    gives the same bytes}}.
"""

from __future__ import annotations

import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

FRAMEWORKS = ("flax", "jax", "jaxlib", "keras", "tensorflow", "tf_keras", "torch")


class NoFrameworks(MetaPathFinder):
    """Refuses every import of a framework, as on a machine that has none."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        if fullname.partition(".")[0] in FRAMEWORKS:
            raise ImportError(f"{fullname} is not to be imported here")


def convert(source: str, target: str, dialect: str) -> dict[str, Any]:
    """Convert one file, leniently, so that the account is whole; a failure is recorded, not raised."""
    import etui

    result: dict[str, Any] = {"lost": [], "error": "", "same": False}
    try:
        report = etui.convert(source, target, dialect=dialect, strict=False)
        result["lost"] = [[entry.kind, entry.subject, entry.detail] for entry in report.lost]
        again = f"{target}.again.keras"
        etui.convert(source, again, dialect=dialect, strict=False)
        result["same"] = Path(target).read_bytes() == Path(again).read_bytes()
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {error}"
    return result


def main(jobs: str, answer: str) -> None:
    """Do every job, and make sure that no framework was there."""
    sys.meta_path.insert(0, NoFrameworks())
    results = {name: convert(*job) for name, job in json.loads(Path(jobs).read_text()).items()}
    found = [name for name in FRAMEWORKS if name in sys.modules]
    if found:
        raise SystemExit(f"these frameworks were imported: {found}")
    Path(answer).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
