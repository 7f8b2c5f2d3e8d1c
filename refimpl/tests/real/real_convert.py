"""Converts one published model to Etui and from there to other formats, where no framework can be imported.

    python real_convert.py JOBS.json RESULT.json

JOBS.json is {name: [original, etui, options of the reading, {target: options}]}; RESULT.json is {name: {target: "" or
why there is none}}.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "formats"))

corpus = import_module("convert_corpus")


def convert(original: str, middle: str, options: dict[str, Any], targets: dict[str, Any]) -> dict[str, str]:
    """Convert one model; whatever is refused or lost is told."""
    import etui

    answers = {}
    try:
        etui.convert(original, middle, **options)
    except Exception as error:
        return dict.fromkeys(targets, f"to etui: {error!r}")
    for target, chosen in targets.items():
        try:
            etui.convert(middle, target, **chosen)
            answers[target] = ""
        except Exception as error:
            answers[target] = repr(error)
    return answers


def main(jobs: str, answer: str) -> None:
    """Do the jobs, and make sure that no framework was there."""
    sys.meta_path.insert(0, corpus.NoFrameworks())
    answers = {name: convert(*job) for name, job in json.loads(Path(jobs).read_text()).items()}
    if found := [name for name in corpus.FRAMEWORKS if name in sys.modules]:
        raise SystemExit(f"these frameworks were imported: {found}")
    Path(answer).write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
