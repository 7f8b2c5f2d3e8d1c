"""Opens, reads, verifies and rewrites artifacts while it notes what Python does; prints the notes as JSON.

python watched_reader.py harmless.etui hostile.etui

Everything is done once with the harmless artifact, so that what the library itself imports and opens has happened
before anything is noted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import etui

ALARMING = (
    "code.__new__",
    "compile",
    "ctypes.dlopen",
    "exec",
    "ftplib.",
    "function.__new__",
    "http.",
    "import",
    "marshal.",
    "open",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pickle.",
    "socket.",
    "subprocess.",
    "urllib.",
)


def everything(path: str, target: str) -> None:
    """What a reader can be asked to do with an artifact."""
    etui.verify(path)
    with etui.open(path) as model:
        for variable in model.weights.variables.values() if model.weights is not None else ():
            variable.numpy()
        for blob in [*model.assets.values(), *model.programs.values()]:
            blob.read()
        for name in model.native:
            model.native_document(name)
        assert str(model.config)
        etui.save(model, target)
    etui.validate(path)


def main() -> None:
    """Note every event of the second run that is not about the artifact's own files."""
    harmless, hostile = sys.argv[1:]
    everything(harmless, f"{harmless}.copy")
    notes: list[str] = []
    armed = True
    folder = str(Path(hostile).parent)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        own = event == "open" and str(arguments[0]).startswith(folder)
        if armed and event.startswith(ALARMING) and not own:
            notes.append(f"{event} {arguments[0]!r:.200}")

    sys.addaudithook(note)
    everything(hostile, f"{hostile}.copy")
    compile("1", "the end", "eval")  # so that the last note says that the watch was awake
    armed = False
    sys.stdout.write(json.dumps(notes))


main()
