"""Saves in a child process that is killed at its n-th call; for every n until a save ends.

Run by test_kills.py in a process of its own, since it forks. Prints one line of JSON: for each run its result.

    python kill_driver.py '[["packed", "over", [true, true]], …]'
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from fault_system import Abilities, Killing, using
from saves import SAVES, Save, expected, remove

_ENDED, _BROKEN = 0, 8
_ABOVE = 1000
_RANDOM = re.compile(r"etui-[0-9a-f]{8}")


def in_child(save: Save, target: Path, last: int, abilities: Abilities) -> int:
    """Save the new content in a child that dies at call `last`: its exit code, or minus the signal that it died of."""
    child = os.fork()
    if not child:
        try:
            with using(Killing(last, abilities)):
                save.write(target, "new")
        except BaseException as cause:
            sys.stderr.write(repr(cause))
            os._exit(_BROKEN)
        os._exit(_ENDED)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(name: str, before: str, abilities: Abilities, folder: Path) -> list[dict[str, object]]:
    """One result for each call at which the save was ended, and one for a save that was not."""
    save = SAVES[name]
    expected(save)
    results: list[dict[str, object]] = []
    seen: set[tuple[str, ...]] = set()
    for last in range(1, _ABOVE):
        for leftover in folder.iterdir():
            remove(leftover)
        if before == "over":
            save.write(folder / save.target, "old")
        code = in_child(save, folder / save.target, last, abilities)
        state, beside = save.state(folder), save.others(folder)
        result: dict[str, object] = {"code": code, "state": state, "beside": beside}
        # The next save finishes whatever the dead one left; once for all deaths that leave the same names.
        left = (state, *(_RANDOM.sub("", name) for name in beside))
        if left not in seen:
            seen.add(left)
            with using(Killing(0, abilities)):
                save.write(folder / save.target, "new")
            result |= {"after": save.others(folder), "next": save.state(folder)}
        results.append(result)
        if code == _ENDED:
            break
    return results


def main(runs: str) -> None:
    # The kernel outlives the process, so nothing needs to reach the device.
    with mock.patch("os.fsync"), TemporaryDirectory() as folder:
        found = [run(name, before, Abilities(*able), Path(folder)) for name, before, able in json.loads(runs)]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
