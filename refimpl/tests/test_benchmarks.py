"""The benchmark of speed: it runs, leaves nothing behind, and its page shows what its record has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "refimpl" / "benchmarks"
sys.path.append(str(BENCHMARKS))

import speed_page
import speed_plots
from speed_candidates import COPIED, DIGEST, MAPPED, OPEN, SAVE
from speed_cases import FULL, QUICK, Payload
from speed_etui import Packed, etui_model, without_digests
from speed_figures import DIRECTORY, LIMIT, PACKED, SAFETENSORS, Figures, Spread, Task, number
from speed_measure import Row, Run, Worker
from speed_plain import Npz
from speed_targets import CASES, all_targets, verdicts
from speed_worker import Question

import etui

pytestmark = pytest.mark.library
BIG = next(case for case in QUICK if case.name == "big")


@dataclass(frozen=True, slots=True)
class Measured:
    """A quick run: its record and its page."""

    record: dict[str, Any]
    page: Path
    folder: Path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A run of small sizes by the program itself, without frameworks."""
    folder = tmp_path_factory.mktemp("work")
    out = tmp_path_factory.mktemp("out")
    done = program(
        *("--quick", "--without-frameworks", "--case=big", "--case=tensors"),
        *(f"--folder={folder}", f"--json={out / 'a.json'}", f"--write={out / 'a.md'}"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "to the plain write" in done.stdout
    return Measured(json.loads((out / "a.json").read_text()), out / "a.md", folder)


def program(*options: str) -> subprocess.CompletedProcess[str]:
    """A run of the program."""
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "speed.py"), *options],
        env=os.environ | {"PYTHONPATH": str(ROOT / "refimpl")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_quick_run_measures_what_is_there(measured: Measured) -> None:
    """Every task of every candidate has its rounds, memory is measured, and nothing is left in the folder."""
    cases = {case["name"]: case for case in measured.record["cases"]}
    assert list(cases) == ["big", "tensors/10", "tensors/100", "tensors/1000"]
    rows = [row for case in cases.values() for row in case["rows"]]
    assert [row["error"] for row in rows] == [""] * len(rows)
    assert {len(row["wall"]) - row["warm"] for row in rows} == {3}
    assert {len(row["cpu"]) - len(row["wall"]) for row in rows} == {0}
    assert {LIMIT, PACKED, DIRECTORY, SAFETENSORS, "np.savez"} <= {row["candidate"] for row in cases["big"]["rows"]}
    peaks = [row["peak"] for row in cases["big"]["rows"] if row["candidate"] == PACKED and row["axis"] == SAVE]
    assert len(peaks) == 2
    assert all(isinstance(peak, int) for peak in peaks)
    assert "torch.save" in cases["big"]["left_out"]
    assert list(measured.folder.iterdir()) == []


def test_the_page_shows_the_record(measured: Measured) -> None:
    """The page is what the record gives: each target with its figure and verdict, and what was left out."""
    pictures = [
        (f"a/{path.name}", ET.parse(path).getroot()[0].text or "")
        for path in sorted(measured.page.with_suffix("").glob("*.svg"))
    ]
    page = measured.page.read_text()
    assert page == speed_page.text(measured.record, pictures)
    found = verdicts(Figures(measured.record))
    measured_cases = {"big", "tensors"}
    assert len(found) == len(list(all_targets()))
    for one in found:
        figure = "–" if one.measured is None else number(one.measured, one.target.unit)
        row = f"| {one.target.text} | {one.target.case} | {number(one.target.limit, one.target.unit)} | {figure} |"
        assert row in page
    # A quick run looks at the memory of the packed form alone.
    without = [one.target.text for one in found if one.target.case in measured_cases and one.verdict == "not measured"]
    assert without == ["extra memory of a save, Etui, directory"]
    assert all(f"({one.target.case}): {one.reason}." in page for one in found if one.verdict == "missed")
    assert "torch.save" in page
    assert "frameworks were not asked for" in page


def test_a_case_is_measured_anew_into_a_record(measured: Measured, tmp_path: Path) -> None:
    """One more sitting replaces the cases that it measures, with their own date, and leaves the others as they are."""
    old = json.loads(json.dumps(measured.record))
    for case in old["cases"]:
        case["date"] = "2020-02-02 02:02"
    path = tmp_path / "a.json"
    path.write_text(json.dumps(old))
    options = ["--quick", "--without-frameworks", "--case=tensors", f"--folder={tmp_path}"]
    done = program(*options, f"--into={path}", f"--write={tmp_path / 'a.md'}")
    assert done.returncode == 0, done.stderr[-3000:]
    new = json.loads(path.read_text())
    dates = {case["name"]: case["date"] for case in new["cases"]}
    assert list(dates) == ["big", "tensors/10", "tensors/100", "tensors/1000"]
    assert [name for name, date in dates.items() if date == "2020-02-02 02:02"] == ["big"]
    assert new["cases"][0] == old["cases"][0]
    assert all(new["cases"][index]["rows"] != old["cases"][index]["rows"] for index in (1, 2, 3))
    assert f"between 2020-02-02 02:02 and {max(dates.values())} (UTC)" in (tmp_path / "a.md").read_text()


@pytest.mark.parametrize(("change", "found"), [({"cpu": "abacus"}, "cpu was abacus"), ({}, "small sizes")])
def test_figures_of_two_machines_are_not_mixed(
    measured: Measured, tmp_path: Path, change: dict[str, str], found: str
) -> None:
    """A record of another machine, or of other sizes, is refused before anything is measured, and stays as it is."""
    path = tmp_path / "a.json"
    other = {**measured.record, "machine": {**measured.record["machine"], **change}}
    path.write_text(json.dumps(other))
    sizes = ["--quick"] if change else []
    done = program(*sizes, "--without-frameworks", "--case=big", f"--folder={measured.folder}", f"--into={path}")
    assert done.returncode == 1
    assert found in done.stderr
    assert json.loads(path.read_text()) == other
    assert list(measured.folder.iterdir()) == []


def test_a_page_is_made_without_measuring(measured: Measured, tmp_path: Path) -> None:
    """The page of a record is the page that its run wrote."""
    path = tmp_path / "b.json"
    path.write_text(json.dumps(measured.record))
    done = program(f"--page-only={path}", f"--write={tmp_path / 'a.md'}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "to the plain write" in done.stdout
    assert (tmp_path / "a.md").read_text() == measured.page.read_text()


@pytest.mark.frameworks
def test_the_pictures_are_of_either_ground(measured: Measured, tmp_path: Path) -> None:
    """Each picture is XML with a title, and takes its ink from the page that it is on, light or dark."""
    drawn = speed_plots.draw(Figures(measured.record), tmp_path)
    assert [name for name, _ in drawn] == ["big.svg", "tensors.svg"]
    for name, text in drawn:
        content = (tmp_path / name).read_text()
        root = ET.fromstring(content)
        assert (root.tag, root[0].text) == ("{http://www.w3.org/2000/svg}svg", text)
        assert "prefers-color-scheme: dark" in content
        assert "var(--ink)" in content
        assert "#000000" not in content
        assert "#010203" not in content


def row(candidate: str, axis: str, wall: list[float], variant: str = "", **more: Any) -> dict[str, Any]:
    """A row of a record."""
    empty = {"cpu": wall, "warm": 0, "peak": None, "own": None, "error": ""}
    return {"candidate": candidate, "axis": axis, "variant": variant, "wall": wall, **empty, **more}


def record(rows: list[dict[str, Any]], case: str = "big") -> dict[str, Any]:
    """A record of one case."""
    about = {"name": case, "title": case, "kind": "formats", "tensors": 10, "bytes": 1000, "largest": 100}
    return {"cases": [{**about, "skipped": "", "left_out": {}, "rows": rows}]}


def test_verdicts_go_by_the_ratio_in_each_round() -> None:
    """A machine that becomes slower between two rounds changes no ratio; without figures there is no verdict."""
    rows = [
        row(LIMIT, SAVE, [1.0, 10.0, 1.0]),
        row(LIMIT, DIGEST, [2.0, 20.0, 2.0]),
        row(PACKED, SAVE, [2.5, 20.0, 2.2]),
        row(PACKED, SAVE, [1.1, 10.0, 1.2], "digests off"),
        row(PACKED, OPEN, [0.004, 0.004, 0.004]),
        row(PACKED, MAPPED, [1.0], "unchecked", peak=9_000_000, own=1_000_000),
    ]
    found = {one.target.text: one for one in verdicts(Figures(record(rows))) if one.target.case == "big"}
    undigested = found["save with digests off, to the plain write"]
    assert (undigested.verdict, undigested.measured) == ("met", 1.1)
    digested = next(one for text, one in found.items() if text.startswith("save, to the slower"))
    assert (digested.verdict, digested.measured) == ("missed", 1.1)
    assert digested.reason.startswith("2.5 s; the write alone takes 1 s, SHA-256 alone 2 s")
    assert (found["open"].verdict, found["open"].measured) == ("missed", 4.0)
    assert (found["extra memory of a mapped load"].verdict) == "missed"
    assert found["extra memory of a mapped load"].reason.startswith("1 MB of it are no file's")
    assert found["copied load, to the plain read"].verdict == "not measured"


def test_what_failed_is_no_figure() -> None:
    """A task with an error has no seconds, and the page says what was wrong."""
    rows = [row(LIMIT, COPIED, [1.0]), row("h5py", COPIED, [1.0], error="OSError: no")]
    figures = Figures(record(rows))
    assert figures.seconds("big", Task("h5py", COPIED)) is None
    assert figures.against("big", Task("h5py", COPIED), [Task(LIMIT, COPIED)]) is None
    assert figures.median("big", Task(LIMIT, COPIED)) == 1.0


def test_a_candidate_that_cannot_is_an_entry(tmp_path: Path) -> None:
    """A task that raises gives its error, and its process goes on answering."""
    worker = Worker(tmp_path / "log")
    try:
        case = replace(BIG, tensors=2)
        load = Question("time", case, "Safetensors", tmp_path / "a", tmp_path / "shared", (COPIED, ""))
        assert worker.ask(load)["error"].startswith("FileNotFoundError")
        assert worker.ask(replace(load, key=(SAVE, "")))["wall"] > 0
        assert worker.ask(load)["wall"] > 0
    finally:
        worker.stop()
    assert not worker.alive


def test_what_is_too_large_is_skipped(tmp_path: Path) -> None:
    """A case beyond the machine's memory is not begun, and says how much it needs."""
    case = replace(BIG, tensors=10**9)
    run = Run(case, tmp_path / "none", repeats=1, budget=1, frameworks=False, say=lambda _: None)
    found = run.measure()
    assert "GiB of memory" in found["skipped"]
    assert found["rows"] == []
    assert not (tmp_path / "none").exists()


def test_digests_off_are_off(tmp_path: Path) -> None:
    """The hasher that costs nothing is in the place of SHA-256 for a save alone: the artifact cannot be verified."""
    payload = Payload(BIG)
    with without_digests():
        etui.save(etui_model(payload), tmp_path / "off", form="directory")
    assert f"sha256:{'0' * 64}" in (tmp_path / "off" / "manifest.json").read_text()
    assert f"sha256:{'0' * 64}" in (tmp_path / "off" / "weights.json").read_text()
    with pytest.raises(etui.IntegrityError):
        etui.verify(tmp_path / "off")
    etui.save(etui_model(payload), tmp_path / "on", form="directory")
    assert etui.verify(tmp_path / "on").tensors == BIG.tensors


def test_an_optimizer_is_stored_with_its_slots(tmp_path: Path) -> None:
    """The case with slots stores three tensors for each weight, which a load gives back."""
    case = next(case for case in QUICK if case.name == "optimizer")
    candidate = Packed(Payload(case), tmp_path)
    candidate.ready(SAVE)
    candidate.save(tmp_path / "a.etui")
    loaded = candidate.load(tmp_path / "a.etui", verify=True, copy=True)
    assert len(loaded.arrays) == case.stored == 3 * case.tensors
    assert sum(array.nbytes for array in loaded.arrays) == case.nbytes
    loaded.close()


def test_the_cases_are_those_that_were_asked_for() -> None:
    """The full sizes are 1 GiB in 40, 256 MiB in 4,000, 100,000 tensors, and state of twice the weights."""
    full = {case.name: case for case in FULL}
    assert (full["big"].stored, round(full["big"].nbytes / 2**30, 2)) == (40, 1.0)
    assert (full["many"].stored, round(full["many"].nbytes / 2**20)) == (4000, 256)
    assert full["small"].stored == 100_000
    assert full["optimizer"].stored == 3 * full["optimizer"].tensors
    assert set(CASES) <= full.keys()
    sizes = {
        curve: [int(name.partition("/")[2]) for name in full if name.startswith(curve)]
        for curve in ("tensors/", "bytes/")
    }
    assert (sizes["tensors/"][0], sizes["tensors/"][-1]) == (1000, 1_000_000)
    assert (sizes["bytes/"][0], sizes["bytes/"][-1]) == (1, 8192)


def test_rounds_that_warm_up_do_not_count() -> None:
    """They are in no median; a ratio of a candidate whose first round counts is to the others' first round."""
    rows = [row(LIMIT, SAVE, [9.0, 1.0, 2.0], warm=1), row("h5py", SAVE, [18.0, 4.0])]
    figures = Figures(record(rows))
    assert figures.rounds("big", Task(LIMIT, SAVE)) == 2
    assert figures.median("big", Task(LIMIT, SAVE)) == 1.5
    assert figures.against("big", Task("h5py", SAVE), [Task(LIMIT, SAVE)]) == Spread(3.0, 2.0, 4.0)


@pytest.mark.parametrize(("warm", "last"), [(1, 3), (0, 2)])
def test_a_slow_candidate_leaves_after_three_rounds(tmp_path: Path, warm: int, last: int) -> None:
    """What has used its seconds has three rounds that count, and then no more; Etui has all rounds."""
    run = Run(BIG, tmp_path, repeats=7, budget=40, frameworks=False, say=lambda _: None)
    for one in (Npz, Packed):
        run.rows[one.name, (SAVE, "")] = Row(one.name, SAVE, "", warm=warm)
        run._spent[one.name] = 41
    assert [turn for turn in range(8) if run._takes_part(Npz, turn)] == list(range(last + 1))
    assert all(run._takes_part(Packed, turn) for turn in range(8))
