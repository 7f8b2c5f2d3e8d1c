"""Makes each kind of save and watches the process: what changes the file system, and how many bytes are written.

Run by test_seam.py in a process of its own, as an audit hook cannot be removed. Prints one line of JSON: for each save
the changes that went past the seam, the number of those that did not, the bytes through it, and what the kernel counts.

    python seam_driver.py FOLDER NAME …
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from fault_system import Watched, using
from saves import SAVES

_EVENTS = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.truncate",
    "os.utime",
    "os.setxattr",
    "fcntl.flock",
    "fcntl.fcntl",
}


class Seam(Watched):
    """Tells whether the process is in a call of the seam, and counts bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.written = 0

    def perform(self, name: str, call: Callable[..., Any], /, *arguments: Any) -> Any:
        self.inside = True
        try:
            result = call(*arguments)
        finally:
            self.inside = False
        if name == "write":
            self.written += result
        return result


def writing(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether an event changes a file system."""
    if event == "open":
        flags = arguments[2]
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))
    return event in _EVENTS or event.startswith(("shutil.", "tempfile.", "pathlib.Path.write"))


def counted() -> int:
    """What the kernel counts as written by this process, in bytes."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def main(folder: str, *names: str) -> None:
    seam = Seam()
    stray: list[str] = []
    through: list[str] = []
    watching = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and writing(event, arguments):
            (through if seam.inside else stray).append(f"{event} {arguments[:1]}")

    sys.addaudithook(hook)
    found: dict[str, dict[str, object]] = {}
    for name in names:
        save = SAVES[name]
        place = Path(folder, str(len(found)))
        place.mkdir()
        save.write(place / save.target, "old")  # imports what it needs
        stray.clear()
        through.clear()
        seam.written = 0
        with using(seam), mock.patch("os.fsync"):
            before = counted()
            watching = True
            save.write(place / save.target, "new")
            watching = False
            found[name] = {
                "stray": list(stray),
                "through": len(through),
                "written": seam.written,
                "counted": counted() - before,
            }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
