"""The JavaScript package: its own tests, and series of checkpoints that both libraries read and write."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.checkpoints import Series
from etui.testing import npm

pytestmark = pytest.mark.node

HERE = Path(__file__).parent
MINUTES = 5
NOON = dt.datetime(2026, 1, 31, 12, 0, 0, 125_000, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def package() -> Path:
    """The folder of the package, compiled."""
    return npm.built(HERE.parents[1] / "js")


def node(package: Path, script: str, *arguments: str | Path) -> Any:
    """What a script of this folder prints, as JSON."""
    command = ["node", str(HERE / script), str(package / "dist" / "src" / "node.js"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def model(step: int) -> etui.Model:
    """A large tensor that stays, a small one that stays, and one that does not."""
    weights = etui.Weights()
    weights.add("backbone/kernel", etui.Tensor.of(np.full((600, 500), 0.5, "float32")), role="kernel")
    weights.add("backbone/bias", etui.Tensor.of(np.full(500, 0.25, "float32")), role="bias")
    weights.add("head/kernel", etui.Tensor.of(np.full((10, 10), step, "float32")), role="kernel")
    return etui.Model(weights=weights)


@pytest.mark.library
def test_the_tests_of_the_package_pass(package: Path) -> None:
    """`npm test` runs the tests that the package has of itself, and none fails."""
    done = subprocess.run(
        ["npm", "test", "--silent"], cwd=package, capture_output=True, text=True, timeout=60 * MINUTES, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    # Node.js before 23 marks the lines of its summary otherwise.
    counts = dict(re.findall(r"^\S (pass|fail) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) > 40
    assert counts["fail"] == "0"


@pytest.mark.clause("CS-10@6be6e2", "CS-12@95544e", "CS-23@713056")
def test_a_series_of_python_is_read_and_saved_anew_in_javascript(package: Path, tmp_path: Path) -> None:
    """Steps have the same identities, numbers, metrics and times there, and what did not change is stored once."""
    series = Series(tmp_path / "run")
    identities = {
        str(step): series.save(model(step), step, metrics={"loss": 1 / step, "steps": float(step)}, time=NOON).identity
        for step in (1, 2, 3)
    }
    found = node(package, "series_read.mjs", tmp_path / "run", tmp_path / "again")
    assert {step: each["identity"] for step, each in found.items()} == identities
    for step, each in found.items():
        assert each["metrics"] == {"loss": 1 / int(step), "steps": float(step)}
        assert each["time"] == "2026-01-31T12:00:00.125Z"
        assert each["first"] == {"backbone/kernel": 0.5, "backbone/bias": 0.25, "head/kernel": float(step)}
    again = Series(tmp_path / "again")
    assert len(again.verify()) == len(again) == 3
    for step in again:
        with step.open() as opened:
            assert opened.weights is not None
            assert step.identity == identities[str(step.number)]
            assert opened.weights["head/kernel"].numpy()[0, 0] == step.number
    large = [path for path in (tmp_path / "again" / "objects").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size >= 2**20 for path in large) == 1
    # The small tensor that stays is in the object of the first step alone.
    stays = np.full(500, 0.25, "float32").tobytes()
    assert sum(stays in path.read_bytes() for path in large) == 1


@pytest.mark.clause("CS-30@dd7207")
def test_no_collection_of_garbage_begins_while_javascript_saves(package: Path, tmp_path: Path) -> None:
    """A save holds a shared lock of the file `lock` until its record is there, and lets go of it then."""
    path = tmp_path / "run"
    command = ["node", str(HERE / "series_save.mjs"), str(package / "dist" / "src" / "node.js"), str(path), "7"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as saving:
        assert saving.stdin is not None
        assert saving.stdout is not None
        try:
            assert saving.stdout.readline() == "saving\n"
            assert not (path / "steps" / "7.json").exists()
            with (path / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                fcntl.flock(lock, fcntl.LOCK_UN)
                with pytest.raises(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            saving.stdin.write("go on\n")
            saving.stdin.flush()
            identity = saving.stdout.readline().strip()
            assert saving.wait(60) == 0
        finally:
            saving.kill()
    with (path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (step,) = Series(path)
    assert (step.number, step.identity) == (7, identity)
    assert step.metrics == {"loss": 0.5, "$odd": 1.0}


@pytest.mark.clause("CS-27@4f25f3", "CS-28@17325b")
def test_javascript_removes_what_python_would_remove(package: Path, tmp_path: Path) -> None:
    """Both libraries agree about what no step needs, and the steps that are left are whole."""
    series = Series(tmp_path / "run")
    for step in (1, 2, 3, 4):
        series.save(model(step), step, time=NOON)
    wanted = series.prune(drop=[1, 3], dry=True)
    for options in ({"dry": True}, {}):
        found = node(package, "series_clean.mjs", tmp_path / "run", "[3, 1]", json.dumps(options))
        assert found["steps"] == list(wanted.dropped) == [1, 3]
        removed = wanted.collected
        assert (found["objects"], found["bytes"], found["kept"]) == (removed.objects, removed.bytes, removed.kept)
        assert len(series) == (4 if options else 2)
    assert removed.objects > 4
    assert series.collect(dry=True).objects == 0
    assert len(series.verify()) == 2


@pytest.mark.clause("CS-29@4361c6")
def test_javascript_collects_nothing_beside_a_step_that_it_cannot_read(package: Path, tmp_path: Path) -> None:
    """A layout of one bit changed stops it, and every file stays as it was."""
    series = Series(tmp_path / "run")
    for step in (1, 2):
        series.save(model(step), step, time=NOON)
    series.remove(1)
    record = json.loads((tmp_path / "run" / "steps" / "2.json").read_text())
    (digest,) = record["layouts"].values()
    layout = tmp_path / "run" / "objects" / "sha256" / digest[7:9] / digest[9:]
    data = bytearray(layout.read_bytes())
    data[-4] ^= 1
    layout.write_bytes(data)
    before = sorted(path for path in (tmp_path / "run").rglob("*") if path.is_file())
    with pytest.raises(AssertionError, match="digest-mismatch"):
        node(package, "series_clean.mjs", tmp_path / "run", "[]", "{}")
    assert sorted(path for path in (tmp_path / "run").rglob("*") if path.is_file()) == before
