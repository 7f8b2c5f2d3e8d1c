"""The process that runs programs: `python -m etui.programs.worker FOLDER`; see `etui.programs.isolated`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from etui.conversion import read
from etui.errors import EtuiError, error
from etui.programs.running import Result, Wanted, run_program
from etui.programs.transport import receive, send


def main(folder: Path) -> None:
    """Do what the request in the folder says, and write the result there."""
    request, values = receive(folder, "request")
    try:
        result = _run(request, values)
    except EtuiError as fault:
        told = {"code": fault.code, "where": fault.where, "found": fault.found, "hint": fault.hint}
        send(folder, "result", {"error": told}, [])
        return
    document = {
        "names": list(result.outputs),
        "kind": result.kind,
        "program": result.program,
        "signature": result.signature,
        "reason": result.reason,
        "inputs": [spec.as_json() for spec in result.inputs],
        "casts": result.casts,
    }
    send(folder, "result", document, list(result.outputs.values()))


def _run(request: dict[str, Any], values: list[Any]) -> Result:
    names = request["names"]
    given = values if names is None else dict(zip(names, values, strict=True))
    model, _ = read(request["location"], native=False, storage_options=request["options"])
    with model:
        if request["identity"] is not None and model.digest != request["identity"]:
            raise error("program-failed", where=request["location"], found="the artifact changed meanwhile")
        wanted = Wanted(**request["wanted"])
        return run_program(model, wanted.program or "", given, wanted)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
