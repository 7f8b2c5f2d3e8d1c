"""The recipes of the documentation, run as the scripts that they are."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

import etui
from etui.checkpoints import Series

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "refimpl" / "examples" / "recipes"
PAGE = ROOT / "refimpl" / "docs" / "recipes.md"
MINUTES = 5

pytestmark = [pytest.mark.library, pytest.mark.frameworks]


# Runs a script once for each list of arguments: to import a framework takes longer than to train.
RUNNER = """
import json, runpy, sys
for arguments in json.loads(sys.argv[1]):
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name="__main__")
"""


def process(*arguments: str, out: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[str]:
    """Python on its way."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    environment |= {"PYTHONPATH": str(Path(etui.__file__).parents[1]), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=out, stderr=subprocess.STDOUT, text=True
    )


def started(name: str, folder: Path, *arguments: str, out: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[str]:
    """A recipe on its way."""
    return process(str(RECIPES / name), str(folder), *arguments, out=out)


def run(name: str, folders: list[Path], *arguments: str) -> list[str]:
    """What a recipe prints, of its own, when it runs with one folder after the other."""
    lists = [[str(RECIPES / name), str(folder), *arguments] for folder in folders]
    with process("-c", RUNNER, json.dumps(lists)) as running:
        printed, _ = running.communicate(timeout=60 * MINUTES)
    assert running.returncode == 0, printed
    return [line for line in printed.splitlines() if re.match(r"begins|goes on|done|ends", line)]


def last(folder: Path) -> tuple[int, str]:
    """The number and the identity of the latest step, of which every byte was checked."""
    series = Series(folder, create=False)
    step = series.latest()
    assert step is not None
    series.verify(step.number)
    return step.number, step.identity


def killed(name: str, folder: Path, *arguments: str, after: int) -> None:
    """Run a recipe until its series has a step of that number or a later one, and kill it without a warning."""
    with started(name, folder, *arguments, out=subprocess.DEVNULL) as running:
        limit = time.monotonic() + 60 * MINUTES
        while running.poll() is None and time.monotonic() < limit:
            if any(int(item.stem) >= after for item in (folder / "steps").glob("*.json")):
                break
            time.sleep(0.001)
        running.send_signal(signal.SIGKILL)
        running.wait(60)


@pytest.mark.parametrize(
    ("name", "option", "each", "more"),
    # Of Keras one more epoch than the one that was begun: metrics are of what `fit` saw of an epoch.
    [
        ("keras_fit_resume.py", "--epochs", 20, 2),
        ("torch_loop.py", "--steps", 1, 20),
        ("jax_loop.py", "--steps", 1, 20),
    ],
)
def test_a_run_that_was_killed_goes_on_bit_for_bit(
    name: str, option: str, each: int, more: int, tmp_path: Path
) -> None:
    """A run that goes on after it was killed ends with the very step of a run that was never stopped."""
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    killed(name, parts, option, "1000000", after=10)
    reached = last(parts)[0]
    assert reached >= 10
    count = reached // each + more
    steps = count * each
    assert run(name, [parts, straight], option, str(count)) == [
        f"goes on from step {reached}",
        f"done at step {steps}",
        "begins",
        f"done at step {steps}",
    ]
    assert last(parts) == last(straight)
    assert last(parts)[0] == steps


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_run_that_was_asked_to_end_saves_where_it_is(tmp_path: Path) -> None:
    """A real SIGTERM in the middle of a step, and a real Ctrl-C in a later run, and the last run has equal bits."""
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    before = 0
    for number in (signal.SIGTERM, signal.SIGINT):
        with started("preemption.py", parts, "--steps", "300", "--pause", "0.05") as running:
            assert running.stdout is not None
            assert running.stdout.readline() == (f"goes on from step {before}\n" if before else "begins\n")
            time.sleep(0.3)
            running.send_signal(number)
            printed, _ = running.communicate(timeout=60 * MINUTES)
        reached = last(parts)[0]
        assert (running.returncode, printed) == (128 + number, f"ends at step {reached}, as it was asked to\n")
        assert before < reached < 300
        before = reached
    assert run("preemption.py", [parts, straight], "--steps", "300") == [
        f"goes on from step {before}",
        "done at step 300",
        "begins",
        "done at step 300",
    ]
    assert last(parts) == last(straight)


def test_the_page_shows_the_recipes() -> None:
    """Each script stands in the page as it is, and none is left out."""
    shown = re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert {name for name, _ in shown} == {f"recipes/{path.name}" for path in RECIPES.glob("*.py")}
    for name, code in shown:
        assert code == (RECIPES.parent / name).read_text(encoding="utf-8")
