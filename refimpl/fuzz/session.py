"""One process that fuzzes one target: `python -m fuzz.session TARGET FOLDER [flags of libFuzzer] CORPUS…`.

It never ends by itself but through libFuzzer. Findings, and what became of the inputs, are files of the folder.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.kit import Finding, Tally, Target

TALLY, FINDINGS = "tally.json", "findings"
_MEMORY = 6 << 30
_PAUSE = 2.0
_OWN = 0.75


class Record:
    """The files of a session.

    Args:
        folder: for the findings, one file of each key with a description beside it, and the tally.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._findings = folder / FINDINGS
        self._findings.mkdir(parents=True, exist_ok=True)
        self._written = 0.0

    def keep(self, finding: Finding, data: bytes) -> None:
        """Write a finding down, unless there is a smaller input of the same key."""
        path = self._findings / hashlib.sha256(finding.key.encode()).hexdigest()[:12]
        if path.exists() and path.stat().st_size <= len(data):
            return
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(f"{finding.key}\n\n{finding.text}", encoding="utf-8", errors="replace")

    def count(self, tally: Tally) -> None:
        """Write the tally down, now and then."""
        if time.monotonic() - self._written > _PAUSE:
            self._written = time.monotonic()
            (self._folder / TALLY).write_text(json.dumps(tally.as_json()), encoding="utf-8")


def _target(name: str) -> Target:
    """A target; for one of our own formats the bridges stay out, for what is imported is instrumented slowly."""
    from fuzz import targets_own

    for target in targets_own.TARGETS:
        if target.name == name:
            return target
    from fuzz.targets import TARGETS

    return TARGETS[name]


def main(name: str, folder: Path, flags: list[str]) -> None:
    """Fuzz a target until libFuzzer ends the process."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with atheris.instrument_imports(include=["etui", "etui_conformance"]):
        from etui.storage.isolating import isolation
        from fuzz.kit import Tally, examine
        from fuzz.mutation import mutated

        target, tally, record = _target(name), Tally(), Record(folder)

        def one(data: bytes) -> None:
            finding = examine(target, data, tally)
            if finding is not None:
                record.keep(finding, data)
            record.count(tally)

        def mutate(data: bytes, largest: int, seed: int) -> bytes:
            rng = Random(seed)
            return mutated(
                data,
                target.shape,
                rng,
                largest=min(largest, target.largest),
                own=target.own,
                havoc=atheris.Mutate if rng.random() < _OWN else None,
            )

        with isolation(not target.native):
            atheris.Setup([sys.argv[0], *flags], one, custom_mutator=mutate)
            atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
