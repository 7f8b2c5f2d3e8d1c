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
    "hdf5": clause(
        "K-30@4bc2df",
        "K-31@5a5c0f",
        "K-32@de8943",
        "K-33@99c375",
        "K-34@9c114a",
        "K-35@56ae7b",
        "K-36@0e94ab",
        "K-37@e9d713",
        "K-38@e94201",
        "K-39@de352d",
        "KH-9@e367e6",
        "X-2@ca2f55",
    ),
    "keras_config": clause(
        "K-10@f1eef3", "K-32@de8943", "K-39@de352d", "KH-8@75d1a0", "X-1@06793e", "X-2@ca2f55", "X-3@44d7b3"
    ),
    "keras_legacy": clause(
        "E-2@310409", "K-31@5a5c0f", "K-34@9c114a", "K-38@e94201", "KH-8@75d1a0", "X-1@06793e", "X-2@ca2f55"
    ),
    "keras_weights": clause("KW-2@acd35d", "KW-3@2ac52b", "KW-15@c76256", "KW-16@e6c8c3", "KW-20@bdc7cd"),
    "zip": clause(
        "D-6@2ef66e",
        "E-2@310409",
        "K-20@7b4c3b",
        "K-21@ccf0d9",
        "K-39@de352d",
        "P-2@0bdadc",
        "X-2@ca2f55",
        "Z-3@58225a",
        "Z-10@05422f",
    ),
    "safetensors": clause("E-2@310409", "PT-70@2e264b"),
    "json_msgpack": clause(
        "B-1@ddbf33",
        "B-2@61a878",
        "B-7@b2e0ed",
        "B-6@08d283",
        "B-9@8eafc1",
        "B-11@bf4fe0",
        "E-2@310409",
        "F-4@8c1cdb",
        "J-1@e6c684",
        "K-2@1b562f",
        "X-1@06793e",
        "X-2@ca2f55",
    ),
    "declared": clause("E-2@310409", "L-2@76176e", "X-2@ca2f55"),
    "tensorflow": clause(
        "KT-1@e48126",
        "KT-2@51f82e",
        "KT-10@9bbba8",
        "KT-12@c2a365",
        "KT-14@b73446",
        "KT-15@f06a1a",
        "KT-17@c8a829",
        "KT-23@21cd1b",
        "KT-30@e6c364",
        "KT-38@586882",
    ),
    "saved_model": clause("E-2@310409", "X-2@ca2f55"),
    "tfjs": clause(
        "KJ-1@209919",
        "KJ-2@315c41",
        "KJ-3@1a00de",
        "KJ-4@ba210b",
        "KJ-5@e4b6ef",
        "KJ-6@069b68",
        "KJ-8@cf2434",
        "KJ-13@c5d974",
    ),
    "series": clause(
        "CS-1@705691",
        "CS-4@f540ee",
        "CS-8@042de9",
        "CS-11@312403",
        "CS-12@95544e",
        "CS-13@f0e199",
        "CS-14@9e066d",
        "CS-15@c51426",
        "CS-16@978674",
        "CS-18@80b127",
        "CS-19@460598",
        "CS-20@f58817",
        "CS-21@298b0d",
        "CS-22@165bec",
        "CS-29@4361c6",
        "CS-32@aa1d41",
        "CS-33@32fdff",
        "CS-34@edead9",
    ),
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
        job: Job = {"path": str(case.make(place)), "reader": case.reader, "series": "yes" if case.series else None}
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
