"""A save that is killed at any of its system calls: what is there then, and what the next save makes of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fault_system import FULL, NEITHER, NO_EXCHANGE, Abilities
from saves import FOREIGN, MODELS, NOTHING, PLAIN

import etui

DRIVER = Path(__file__).parent / "harness" / "kill_driver.py"
RECOGNISABLE = re.compile(r"\..+\.etui-[0-9a-f]{8}\.(tmp|old)")
Run = tuple[str, str, Abilities]
# Without `exchange`, folders are moved twice; without `link`, a file has no second name in that case.
OWN: list[Run] = [
    (save.name, before, able) for save in PLAIN for before in ("over", "new") for able in (FULL, NO_EXCHANGE, NEITHER)
] + [(save.name, "over", FULL) for save in MODELS]
OTHERS: list[Run] = [(save.name, "over", FULL) for save in FOREIGN] + [("checkpoint", "over", NEITHER)]
# These leave files that no index names: they have the names of their content, or of a shard.
SETS = {"sharded weights", "checkpoint"}


@cache
def results(group: str) -> list[tuple[Run, list[dict[str, Any]]]]:
    """Of each run, one result for each call at which the save was ended, and one for a save that was not."""
    runs = {"own": OWN, "others": OTHERS}[group]
    environment = os.environ | {"PYTHONPATH": str(Path(etui.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, str(DRIVER), json.dumps(runs)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = list(zip(runs, json.loads(done.stdout), strict=True))
    for run, (*killed, ended) in found:
        assert len(killed) > 8, run
        assert (ended["code"], ended["state"], ended["beside"]) == (0, "new", []), run
        assert {result["code"] for result in killed} == {-signal.SIGKILL}, run
    return [(run, killed) for run, (*killed, _) in found]


@pytest.mark.clause("F-6@674ad5", "F-7@291ba2", "F-8@a401d8")
def test_a_killed_save_leaves_the_old_artifact_or_the_new_one() -> None:
    """Killed at any call, a save leaves one whole artifact at the place, never a part or a mixture of two."""
    count = 0
    for run, killed in results("own"):
        earlier = "old" if run[1] == "over" else NOTHING
        states = [result["state"] for result in killed]
        # There is one moment at which the new artifact appears, and it does not disappear again.
        assert states[0] == earlier, run
        assert set(states) <= {earlier, "new"}, run
        assert states == sorted(states, key=[earlier, "new"].index), run
        count += len(states)
    assert count > 300


@pytest.mark.library
def test_the_next_save_removes_what_a_killed_one_left() -> None:
    """What a killed save leaves has a recognisable name, does not disturb the next save, and is gone after it."""
    left = saved = 0
    for run, killed in results("own"):
        for result in killed:
            assert all(RECOGNISABLE.fullmatch(name) for name in result["beside"]), (run, result)
            if "next" in result:
                assert (result["after"], result["next"]) == ([], "new"), (run, result)
                saved += 1
            left += len(result["beside"])
    assert left > 200
    assert saved > 50


@pytest.mark.clause("KT-24@4cf6bd", "KW-13@8fe7f7")
def test_a_killed_save_of_another_format_leaves_the_old_file_or_the_new_one() -> None:
    """Killed at any call, a writer of another format leaves what its reader takes for the old content or the new."""
    count = 0
    for run, killed in results("others"):
        states = [result["state"] for result in killed]
        assert states[0] == "old", run
        assert set(states) <= {"old", "new"}, (run, states)
        assert states == sorted(states, key=["old", "new"].index), (run, states)
        count += len(states)
    assert count > 300


@pytest.mark.library
def test_the_next_save_of_another_format_removes_what_a_killed_one_left() -> None:
    """So it is with files of other formats; only a set of several may leave whole ones, which no index names."""
    left = saved = 0
    for run, killed in results("others"):
        for result in killed:
            if run[0] not in SETS:
                assert all(RECOGNISABLE.fullmatch(name) for name in result["beside"]), (run, result)
            if "next" in result:
                assert (result["after"], result["next"]) == ([], "new"), (run, result)
                saved += 1
            left += len(result["beside"])
    assert left > 100
    assert saved > 20
