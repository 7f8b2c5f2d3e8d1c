"""Every file of the catalogue is refused, or read as data, in little time and memory, and leads nowhere."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from etui.error_codes import ERROR_CODES
from etui.testing.hostile import parts_of
from etui.testing.samples import everything
from etui.testing.storage import write

sys.path.insert(0, str(Path(__file__).parent))

from catalogue import LINES, MODULES, Case, cases
from limited import Verdict, opened

SECONDS, SPARE_BYTES = 2.0, 256 << 20
# Processor time grows on a machine that is busy with something else: the least of so many runs counts.
RUNS = 3

Job = dict[str, str | None]
clause = pytest.mark.clause
CLAIMS = {
    "hdf5": clause("K-30", "K-31", "K-32", "K-33", "K-34", "K-35", "K-36", "K-37", "K-38", "K-39", "KH-9", "X-2"),
    "keras_config": clause("K-10", "K-32", "K-39", "KH-8", "X-1", "X-2", "X-3"),
    "keras_legacy": clause("E-2", "K-31", "K-34", "K-38", "KH-8", "X-1", "X-2"),
    "keras_weights": clause("KW-2", "KW-3", "KW-15", "KW-16", "KW-20"),
    "zip": clause("D-6", "E-2", "K-20", "K-21", "K-39", "P-2", "X-2", "Z-3", "Z-10"),
    "safetensors": clause("E-2", "PT-70"),
    "json_msgpack": clause("B-1", "B-2", "B-7", "B-6", "B-9", "B-11", "E-2", "F-4", "J-1", "K-2", "X-1", "X-2"),
    "declared": clause("E-2", "L-2", "X-2"),
    "tensorflow": clause("KT-1", "KT-2", "KT-10", "KT-12", "KT-14", "KT-15", "KT-17", "KT-23", "KT-30", "KT-38"),
    "saved_model": clause("E-2", "X-2"),
    "tfjs": clause("KJ-1", "KJ-2", "KJ-3", "KJ-4", "KJ-5", "KJ-6", "KJ-8", "KJ-13"),
}
# What needs a package that may not be installed.
NEEDS = {"tensorflow": "google_crc32c", "saved_model": "google_crc32c", "keras_weights": "yaml"}


def faults(case: Case, verdict: Verdict) -> list[str]:
    """What is wrong with what became of a file."""
    code = verdict.codes.get(case.way, "")
    found = [f"{way}: {one}" for way, one in verdict.codes.items() if one is not None and one not in ERROR_CODES]
    if code not in (case.codes or {None}):
        found.append(f"{case.way}: {code}, not {sorted(case.codes) or 'read'}")
    if case.codes and verdict.seconds >= SECONDS:
        found.append(f"{verdict.seconds:.2f} s")
    if verdict.spare >= SPARE_BYTES:
        found.append(f"{verdict.spare >> 20} MiB")
    return [*found, *verdict.notes[:3]]


def verdicts(found: list[Case], folder: Path) -> list[Verdict]:
    """Make every file and open it, once more if it took long."""
    jobs = []
    for number, case in enumerate(found):
        place = folder / str(number)
        place.mkdir()
        job: Job = {"path": str(case.make(place)), "reader": case.reader}
        if case.config is not None:
            beside = folder / f"{number}-config"
            beside.mkdir()
            job["config"] = str(case.config(beside))
        jobs.append(job)
    write(folder / "sound.etui", parts_of(everything()))
    sound: list[Job] = [{"path": str(folder / "sound.etui")}]
    sound += [job for job, case in zip(jobs, found, strict=True) if not case.codes and case.name.startswith("good")]
    results = _opened(folder, "first", sound, jobs)
    for run in range(1, RUNS):
        slow = [at for at, one in enumerate(results) if found[at].codes and one.seconds >= SECONDS]
        if slow:
            again = _opened(folder, str(run), sound, [jobs[at] for at in slow])
            for at, one in zip(slow, again, strict=True):
                results[at] = min(results[at], one, key=lambda verdict: verdict.seconds)
    return results


def _opened(folder: Path, name: str, sound: list[Job], jobs: list[Job]) -> list[Verdict]:
    place = folder / f"work-{name}"
    place.mkdir()
    return opened(place, sound, jobs)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process takes is read from /proc")
@pytest.mark.parametrize("module", [pytest.param(name, marks=mark) for name, mark in CLAIMS.items()])
def test_hostile_files_are_refused_soon_in_little_memory_and_lead_nowhere(module: str, tmp_path: Path) -> None:
    """Opened, verified and converted, each has its code in 2 s and 256 MiB, and nothing but the file is opened."""
    if module in NEEDS:
        pytest.importorskip(NEEDS[module])
    found = cases(module)
    results = verdicts(found, tmp_path)
    assert len(results) == len(found) > 8
    wrong = {case.title: faults(case, one) for case, one in zip(found, results, strict=True)}
    assert {title: what for title, what in wrong.items() if what} == {}
    assert any(case.codes for case in found)
    assert any(None in one.codes.values() for one in results) or module == "declared"


@pytest.mark.library
def test_every_line_of_the_facts_has_a_case() -> None:
    """What a hostile file is known to do is in the catalogue, line by line, and no case is of a line that is none."""
    found = [case for module in MODULES for case in cases(module)]
    covered = {(case.chapter, case.line) for case in found if case.line}
    assert covered == {(chapter, line) for chapter, lines in LINES.items() for line in lines}
    assert [title for title, count in Counter(case.title for case in found).items() if count > 1] == []
    assert len(covered) > 100


@pytest.mark.library
def test_the_clauses_of_cases_are_claimed() -> None:
    """What the files of a module prove is what its test says that it proves."""
    assert list(MODULES) == list(CLAIMS)
    for module, mark in CLAIMS.items():
        claimed = {claim.partition("@")[0] for claim in mark.args}
        assert {one for case in cases(module) for one in case.clauses} == claimed
