"""Running a model's programs in a process of their own.

The parsers and compilers of programs are large, and not made for the files of strangers: what ends their process, or
takes it for ever, is then no more than an error here. Nor do their frameworks come into this process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from etui.artifact import save_model
from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Model
from etui.programs.facts import Spec
from etui.programs.inputs import Given
from etui.programs.running import Result, Wanted, prepared, run_model
from etui.programs.transport import receive, send
from etui.storage.failures import storage_errors
from etui.storage.remote_spool import scratch_folder

Location = tuple[str, dict[str, Any]]
_REQUEST, _RESULT = "request", "result"
_MOST_TOLD = 300


def run_isolated(
    model: Model, location: Location | None, given: Given, wanted: Wanted, *, timeout: float | None, limits: Limits
) -> Result:
    """Run a model as `running.run_model` does, each program that is tried in a new process.

    Args:
        model: to run.
        location: from where the other process can open it, with the options of its store; `None` for a model that is
            nowhere else, of which it gets a copy.
        given: the inputs.
        wanted: what the caller asks for.
        timeout: seconds for one program.
        limits: of this process; the other one has those of SPEC.md.

    Raises:
        EtuiError: as `etui.run` says; ``program-failed``, the process came to no result.
    """

    def runner(name: str) -> Result:
        prepared(model, name, given, wanted, limits)  # what can be refused here needs no process
        return _run(model, location, given, replace(wanted, program=name), timeout)

    return run_model(model, given, wanted, limits, runner)


def _run(model: Model, location: Location | None, given: Given, wanted: Wanted, timeout: float | None) -> Result:
    with scratch_folder() as scratch:
        identity = model.digest
        if location is None:
            identity = save_model(model, scratch / "model.etui", form="packed")
            location = (str(scratch / "model.etui"), {})
        names = sorted(given) if isinstance(given, Mapping) else None
        values = list(given) if names is None or not isinstance(given, Mapping) else [given[name] for name in names]
        document = {
            "location": location[0],
            "options": location[1],
            "identity": identity,
            "wanted": asdict(wanted),
            "names": names,
        }
        try:
            send(scratch, _REQUEST, document, values)
        except TypeError as cause:
            found = "options of a store that another process cannot have"
            raise error("program-option", found=found, hint="Run it with `isolate=False`.") from cause
        _wait(scratch, timeout)
        result = _result(*receive(scratch, _RESULT))
    result.identity = model.digest
    return result


def _wait(scratch: Path, timeout: float | None) -> None:
    """Start the process and wait for its end.

    Raises:
        StorageError: ``program-failed``, it wrote no result.
    """
    # Without -P a file in the folder of the caller could take the place of a framework.
    command = [sys.executable, "-P", "-m", "etui.programs.worker", str(scratch)]
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    told = b""
    try:
        with storage_errors(sys.executable):
            done = subprocess.run(  # noqa: S603  (this interpreter, and code of this package)
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=timeout,
                check=False,
            )
        told = done.stderr
    except subprocess.TimeoutExpired as cause:
        raise error("program-failed", found=f"it did not end within {timeout} seconds") from cause
    if done.returncode or not (scratch / f"{_RESULT}.json").exists():
        how = f"ended by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
        lines = [line.strip() for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
        last = f": {shown(lines[-1], _MOST_TOLD)}" if lines else ""
        raise error("program-failed", found=f"the process that ran it {how}{last}")


def _result(document: dict[str, Any], arrays: list[Any]) -> Result:
    if "error" in document:
        raise error(**document["error"])
    outputs = dict(zip(document["names"], arrays, strict=True))
    inputs = [Spec(one["name"], one["dtype"], tuple(one["shape"])) for one in document["inputs"]]
    facts = {name: document[name] for name in ("kind", "program", "signature", "reason", "casts")}
    return Result(outputs, inputs=inputs, **facts)
