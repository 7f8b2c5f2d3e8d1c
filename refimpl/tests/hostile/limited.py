"""Runs `opening.py` over files; a file that ends its process is known, and the others go on in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("opening.py")
MINUTES = 5


@dataclass(frozen=True)
class Verdict:
    """What became of a file.

    Attributes:
        codes: way of opening -> the code of the refusal, `None`, or a text with ``!`` for any other exception.
        seconds: the longest way, in seconds of the processor.
        spare: bytes of memory beside what was used before.
        notes: what was done beside opening the file.
    """

    codes: dict[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0
    spare: int = 0
    notes: tuple[str, ...] = ()


def opened(folder: Path, sound: list[dict[str, Any]], files: list[dict[str, Any]]) -> list[Verdict]:
    """What becomes of each file, within the limits of `opening.py`.

    Args:
        folder: an empty one to work in.
        sound: good files of the same formats.
        files: each with its `path`, and the file of its `config` if it has one.
    """
    found: list[Verdict] = []
    out = folder / "out"
    out.mkdir()
    while len(found) < len(files):
        jobs = folder / "jobs.json"
        jobs.write_text(json.dumps({"out": str(out), "sound": sound, "files": files[len(found) :]}))
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(jobs)],
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
            check=False,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(out), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        lines = done.stdout.splitlines()
        found += [_verdict(json.loads(line)) for line in lines]
        if done.returncode:
            if not lines and not found:
                raise RuntimeError(done.stderr[-2000:])
            found.append(Verdict({"end": f"!the process ended with {done.returncode}: {done.stderr[-300:]}"}))
    return found


def _verdict(line: dict[str, Any]) -> Verdict:
    results = line["results"]
    codes = {way: code for way, (code, _) in results.items()}
    return Verdict(codes, max(seconds for _, seconds in results.values()), line["spare"], tuple(line["notes"]))
