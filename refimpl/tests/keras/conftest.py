"""The journey of the corpus: real Keras writes it, Etui takes it there and back without Keras, real Keras judges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
MINUTES = 30


@dataclass(frozen=True)
class Journey:
    """What one backend made of the corpus.

    Attributes:
        built: `build.json` of the oracle: the cases that were saved, left out with a reason, or failed.
        converted: the answer of `reconvert.py`, by case and way.
        verdicts: the answer of `oracle.py judge`, by case and way: check -> what differs, or nothing.
        folder: where the files are.
    """

    built: dict[str, Any]
    converted: dict[str, dict[str, dict[str, Any]]]
    verdicts: dict[str, dict[str, dict[str, str]]]
    folder: Path

    @property
    def cases(self) -> list[str]:
        """The names of the models that this backend saved."""
        return list(self.built["cases"])


def run_script(script: str, *arguments: object, **environment: str) -> None:
    """Run a script of this folder in a process of its own, and fail the test with its words if it fails."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(LIBRARY), "PYTHONWARNINGS": "", **environment},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{script} {arguments[0]} ended with {done.returncode}:\n{done.stderr[-4000:]}")


def do_once(folder: Path, work: Callable[[Path], None]) -> Path:
    """Do the work in the folder, or wait for the test process that is doing it already."""
    finished = folder / "finished"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        for _ in range(60 * MINUTES):
            if finished.exists():
                break
            time.sleep(1)
    else:
        try:
            work(folder)
        finally:
            finished.touch()
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def run() -> Callable[..., None]:
    """Runs a script of this folder in a process of its own."""
    return run_script


@pytest.fixture(scope="session")
def once() -> Callable[[Path, Callable[[Path], None]], Path]:
    """Does work in a folder that the processes of one test run share, once."""
    return do_once


@pytest.fixture(scope="session")
def journey(shared: Path) -> Callable[[str], Journey]:
    """The journey of a backend. All are made when the first is asked for, two at a time: the longest goes first."""

    def travel_all(folder: Path) -> None:
        with ThreadPoolExecutor(max_workers=2) as two:
            list(two.map(lambda backend: travel(backend, folder / backend), ("jax", "tensorflow", "torch")))

    def of(backend: str) -> Journey:
        folder = do_once(shared / "keras", travel_all) / backend
        built, converted, verdicts = (
            json.loads((folder / f"{name}.json").read_text()) for name in ("build", "converted", "verdicts")
        )
        return Journey(built, converted, verdicts, folder)

    return of


def travel(backend: str, folder: Path) -> None:
    """Build the corpus, convert it every way, and have the results judged."""
    keras = {"KERAS_BACKEND": backend, "ETUI_JAX_CACHE": str(folder / "jax-cache")}
    run_script("oracle.py", "build", folder, **keras)
    names = list(json.loads((folder / "build.json").read_text())["cases"])
    originals = {name: folder / f"{name}.keras" for name in names}
    jobs = {name: {"original": str(path), "folder": str(folder)} for name, path in originals.items()}
    (folder / "jobs.json").write_text(json.dumps(jobs))
    run_script("reconvert.py", folder / "jobs.json", folder / "converted.json")
    converted = json.loads((folder / "converted.json").read_text())
    judged = {
        name: {
            "original": str(path),
            "data": str(folder / f"{name}.npz"),
            # The directory form is not judged again: a test demands that it gives the same file as the packed form.
            "converted": {way: result["path"] for way, result in converted[name].items() if way != "directory"},
        }
        for name, path in originals.items()
    }
    (folder / "judged.json").write_text(json.dumps(judged))
    run_script("oracle.py", "judge", folder / "judged.json", folder / "verdicts.json", **keras)
