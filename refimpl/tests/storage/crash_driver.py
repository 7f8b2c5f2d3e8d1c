"""Saves over an artifact and dies, or gets an error, at the n-th step; for every n until the save ends.

A step is a system call that changes or flushes something, or opens it. Run by test_crashes.py in a process of its own,
since it forks and its audit hook cannot be removed. Prints one line of JSON.

    python crash_driver.py kill|error packed|directory exchange|rename new|over FOLDER
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from etui.errors import StorageError
from etui.storage import open_artifact, transaction
from etui.testing.storage import sizes, with_manifest, write

OLD = with_manifest({"weights.safetensors": b"old" * 700, "assets/a/b.txt": b"old", "weights.json": b"{}"})
NEW = with_manifest({"weights.safetensors": b"new" * 900, "assets/c.txt": b"new", "weights.json": b"{1}"})
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "fcntl.flock")


class Steps:
    """Counts steps and ends the save at the chosen one."""

    def __init__(self) -> None:
        self.count = 0
        self.last = -1
        self.end: Callable[[], object] = lambda: None

    def step(self) -> None:
        if self.last < 0:
            return
        self.count += 1
        if self.count == self.last:
            self.end()

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.step()
            return function(*arguments)

        return wrapped


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> NoReturn:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def state_of(target: Path) -> str:
    """Which content a reader finds and verifies at the target."""
    if not os.path.lexists(transaction.standing(target)):
        return "nothing"
    with open_artifact(target) as reader:
        found = {name: reader.source(name).read(0, size) for name, size in reader.names().items()}
        if found not in (OLD, NEW):
            return "mixed"
        reader.check_members(sizes(found))
        reader.verify_container(sizes(found))
    return "old" if found == OLD else "new"


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def in_child(work: Callable[[], bool]) -> int:
    """Run in a child: 0 if the step was not reached, 6 if the save survived it, 7 if not, or minus the signal."""
    child = os.fork()
    if not child:
        try:
            reached = work()
        except StorageError:
            os._exit(7)
        except BaseException as cause:
            sys.stderr.write(repr(cause))
            os._exit(8)
        os._exit(6 if reached else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def save(steps: Steps, last: int, mode: str, target: Path) -> bool:
    """Save the new content, ending at step `last`; whether the step was reached."""
    steps.count, steps.last, steps.end = 0, last, die if mode == "kill" else fail
    try:
        write(target, NEW, "directory" if target.suffix == ".d" else "packed")
    finally:
        steps.last = -1
    return steps.count >= last


def main(mode: str, form: Any, swap: str, before: str, folder: str) -> None:
    steps = Steps()
    replaceable: Any = transaction
    sys.addaudithook(lambda event, _: steps.step() if event in EVENTS else None)
    # The kernel outlives the process, so nothing needs to reach the device; that a flush was asked for is a step.
    os.fsync = steps.wrap(lambda _: None)
    if swap == "rename":
        replaceable.exchange = lambda *_: False
    else:
        replaceable.exchange = steps.wrap(replaceable.exchange)
    target = Path(folder) / ("m.d" if form == "directory" else "m.etui")
    results = []
    for last in range(1, 1000):
        for leftover in Path(folder).iterdir():
            remove(leftover)
        if before == "over":
            write(target, OLD, form)
        code = in_child(partial(save, steps, last, mode, target))
        state = state_of(target)
        beside = sorted(path.name for path in Path(folder).iterdir() if path != target)
        # The next save finishes whatever the dead one left, and leaves nothing.
        write(target, NEW, form)
        after = sorted(path.name for path in Path(folder).iterdir() if path != target)
        results.append({"code": code, "state": state, "beside": beside, "after": after, "next": state_of(target)})
        if code == 0:
            break
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
