"""Proves the power of the checks: each mutant must fail one that cites a clause which it breaks.

A mutant is run in a process of its own, with the checks that cite its clauses, until one of them fails. Such a failure
counts only if the library as it is passes the same check; a check that it does not pass proves nothing.

    python -m etui_conformance.power --mutants 'W-*' --json out/power.json
    python -m etui_conformance.power --remember

The check that killed a mutant when it was last remembered, in ``conformance/mutants/killers.json``, is asked first.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import multiprocessing
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from etui_conformance.checks.base import Check, Settings
from etui_conformance.mutants import Mutant, MutantError, read_killers, read_mutants, write_killers
from etui_conformance.probes import Probes, Verdict

# Families whose checks take milliseconds come first; others only meet what these let live.
_ORDER: Final = (
    *("protocol", "vector", "fault", "writing", "replacing", "rewriting", "natives", "semantics", "series"),
    *("property", "sequence"),
)


@dataclass(frozen=True, slots=True)
class Power:
    """A run over mutants.

    Attributes:
        verdicts: one of each mutant, in the order of their names.
        unproved: checks that the library as it is fails, with what they said: they count for nothing.
        errors: checks that broke of themselves with some mutant, which is a fault of the suite: (check, mutant, error).
        seconds: of the whole run.
    """

    verdicts: tuple[Verdict, ...]
    unproved: Mapping[str, str]
    errors: tuple[tuple[str, str, str], ...]
    seconds: float

    @property
    def alive(self) -> list[Verdict]:
        """The mutants that nothing killed."""
        return [verdict for verdict in self.verdicts if verdict.result != "killed"]

    def as_json(self) -> dict[str, Any]:
        """The table as JSON."""
        return {
            "format": "etui-power",
            "version": "1.0",
            "mutants": {one.mutant: {k: v for k, v in asdict(one).items() if k != "mutant"} for one in self.verdicts},
            "unproved": dict(self.unproved),
            "errors": [{"check": check, "mutant": mutant, "error": text} for check, mutant, text in self.errors],
            "seconds": round(self.seconds, 1),
        }


def measure(
    mutants: Iterable[Mutant],
    checks: Sequence[Check],
    *,
    settings: Settings | None = None,
    jobs: int = 2,
    patience: float = 30.0,
    killers: Mapping[str, str] | None = None,
    said: Callable[[Verdict], None] = lambda _: None,
) -> Power:
    """Run the checks against mutants of the reference library.

    The library must not have been imported by this process, which is forked for each mutant.

    Args:
        mutants: which.
        checks: of the suite.
        settings: of the checks.
        jobs: mutants at a time.
        patience: seconds for one check; a mutant that takes longer hangs, and that kills it.
        killers: name of a mutant -> the check that is asked first.
        said: called with each verdict as it is found; a later one of the same mutant is in force.
    """
    begin = time.monotonic()
    probes = Probes(settings or Settings(examples=30), jobs, patience)
    verdicts: dict[str, Verdict] = {}
    unproved: dict[str, str] = {}
    left = list(mutants)
    while left:
        sane = [check for check in checks if check.id not in unproved]
        for verdict in probes.run(left, lambda one: citing(sane, one, killers or {})):  # noqa: B023  run at once
            verdicts[verdict.mutant] = verdict
            said(verdict)
        named = {verdict.check for verdict in verdicts.values()}
        failed = _failed(probes, [check for check in sane if check.id in named])
        unproved |= failed
        left = [mutant for mutant in left if verdicts[mutant.name].check in failed]
    found = tuple(verdicts[name] for name in sorted(verdicts))
    return Power(found, unproved, tuple(probes.errors), time.monotonic() - begin)


def citing(checks: Iterable[Check], mutant: Mutant, killers: Mapping[str, str]) -> list[Check]:
    """The checks that cite a clause of a mutant: its killer, then those that are quick and cite the fewest clauses."""
    clauses, killer = set(mutant.clauses), killers.get(mutant.name)
    found = [check for check in checks if clauses & set(check.clauses)]
    return sorted(found, key=lambda check: (check.id != killer, check.slow, _rank(check), len(check.clauses), check.id))


def _failed(probes: Probes, checks: Sequence[Check]) -> dict[str, str]:
    """Those of the checks that the library as it is does not pass, with what they say."""
    failed: dict[str, str] = {}
    library = Mutant("the library as it is", "", tuple({clause for check in checks for clause in check.clauses}), ())
    while True:
        left = [check for check in checks if check.id not in failed]
        (verdict,) = probes.run([library], lambda _: left)  # noqa: B023  run within this round
        if verdict.check is None:
            return failed
        failed[verdict.check] = f"{verdict.how}: {verdict.detail}"


def _rank(check: Check) -> int:
    family = check.id.partition("/")[0]
    return _ORDER.index(family) if family in _ORDER else len(_ORDER)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if every mutant was killed, 1 if one was not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m etui_conformance.power",
        description="Runs the checks against wrong implementations, each of which must fail one that cites its clause.",
    )
    parser.add_argument("--mutants", default="*", metavar="GLOB", help="names of mutants or of their files")
    parser.add_argument("--share", type=int, default=1, metavar="N", help="only one in N, always the same ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the table is written")
    parser.add_argument("--remember", action="store_true", help="write down which check killed which mutant")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="mutants at a time (default: 2)")
    parser.add_argument("--patience", type=float, default=30.0, metavar="S", help="seconds that one check may take")
    parser.add_argument("--examples", type=int, default=30, metavar="N", help="of each property (default: 30)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="of the mutants, if not that of this checkout")
    options = parser.parse_args(arguments)
    if "fork" not in multiprocessing.get_all_start_methods():
        parser.error("this system does not fork processes, without which a run would take hours")
    try:
        known, killers = read_mutants(options.folder), read_killers(options.folder)
        mutants = [
            mutant
            for mutant in known.values()
            if any(fnmatch.fnmatchcase(text, options.mutants) for text in (mutant.name, mutant.file))
            and zlib.crc32(mutant.name.encode()) % options.share == 0
        ]
    except MutantError as trouble:
        parser.error(str(trouble))
    if not mutants:
        parser.error(f"no mutant is named {options.mutants!r}")
    warm_up()
    from etui_conformance.checks import all_checks

    power = measure(
        mutants,
        all_checks(),
        settings=Settings(examples=options.examples),
        jobs=options.jobs,
        patience=options.patience,
        killers=killers,
        said=lambda verdict: print(verdict, flush=True),
    )
    _tell(power)
    if options.remember:
        found = {verdict.mutant: verdict.check for verdict in power.verdicts if verdict.check is not None}
        write_killers({name: check for name, check in {**killers, **found}.items() if name in known}, options.folder)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(power.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if power.alive else 0


def warm_up() -> None:
    """Import what the library needs and no mutant changes, so that the processes share it."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads do not outlive a fork
    import jsonschema
    import ml_dtypes
    import msgpack
    import numpy as np

    with suppress(ImportError):
        import h5py

        del h5py
    del jsonschema, ml_dtypes, msgpack, np


def _tell(power: Power) -> None:
    for check, said in power.unproved.items():
        print(f"unproved {check}, which the library as it is fails: {said}")
    for check, mutant, text in power.errors:
        print(f"error in {check} with {mutant}: {text}")
    for verdict in power.alive:
        print(f"alive: {verdict} [{', '.join(verdict.clauses)}], {verdict.asked} checks asked ({verdict.file})")
    print(
        f"power: {len(power.verdicts) - len(power.alive)} of {len(power.verdicts)} mutants killed in "
        f"{power.seconds:.0f} s, {len(power.unproved)} checks unproved, {len(power.errors)} errors of checks"
    )


if __name__ == "__main__":
    sys.exit(main())
