"""Running whatever is a model: `etui.run`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from etui.checkpoints.step import Step
from etui.conversion import read
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.programs.inputs import read_inputs
from etui.programs.isolated import run_isolated
from etui.programs.running import Result, Wanted, run_model, sequence
from etui.report import Report
from etui.shortage import shortage
from etui.storage.urls import Options

StrPath = str | os.PathLike[str]


@shortage()
def run(
    model: StrPath | Model | Step,
    inputs: Any,
    *,
    program: str | None = None,
    evaluator: bool = False,
    signature: str | None = None,
    stale: bool = False,
    effects: bool = False,
    isolate: bool = True,
    timeout: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> Result:
    """Run a model once: by one of its programs, or else by the reference evaluator. No code of its author is needed.

    Without a choice of the caller, the programs are tried in the order ONNX, StableHLO, SavedModel: the first that is
    current, whose runtime is installed, and that takes the inputs. The evaluator runs every model whose ops the core
    vocabulary defines, with NumPy alone, slowly. The result says what ran, and why nothing before it did.

    Args:
        model: a file, folder or URL of any known format; a model; or a step of a series.
        inputs: a map from the names of the inputs to arrays; a list of arrays in their order, or one array; or the path
            of a file, or paths, as `etui.programs.read_inputs` takes them.
        program: the name of the program to run.
        evaluator: run the reference evaluator.
        signature: of a program that has several, such as that of a SavedModel; by default ``serving_default``.
        stale: run a program though it is one of another config or other weights (G-3).
        effects: run a program that could run other code, or reach files, as its kind can tell.
        isolate: run programs in a process of their own, so that one that ends its process does not end this one. A
            model in memory is written to a temporary file for that.
        timeout: seconds after which that process is ended.
        limits: refuse what is beyond these.
        storage_options: of the file system of a URL, as fsspec takes them; by default its own configuration.

    Returns:
        The outputs by name, and what ran.

    Raises:
        UsageError: ``run-input``, ``run-input-shape``, ``run-input-dtype``, the inputs are not those of the model;
            ``run-input-file``; ``run-model``, it is no model; ``program-missing``; ``program-kind``; ``core-evaluate``.
        TransferError: ``run-none``, nothing here can run it; ``program-stale``; ``core-op``.
        RejectError: ``program-form``; ``program-effects``; the file is refused.
        MissingExtraError: what runs the program is not installed.
        StorageError: ``program-failed``; it cannot be read.
    """
    given = _given(inputs, limits)
    wanted = Wanted(program, evaluator, signature, stale, effects)
    if isinstance(model, Model):
        return _run(model, None, given, wanted, isolate=isolate, timeout=timeout, limits=limits)
    if isinstance(model, Step):
        with model.open() as opened:
            return _run(opened, None, given, wanted, isolate=isolate, timeout=timeout, limits=limits)
    if not isinstance(model, str | os.PathLike):
        raise error("run-model", found=shown(type(model).__qualname__))
    opened, _ = read(
        model, report=Report(), native=False, limits=limits, isolate=isolate, storage_options=storage_options
    )
    with opened:
        text = os.fspath(model)
        # What is in the memory of this process, no other one can open.
        location = None if text.startswith("memory:") else (text, dict(storage_options or {}))
        return _run(opened, location, given, wanted, isolate=isolate, timeout=timeout, limits=limits)


def _run(
    model: Model,
    location: tuple[str, dict[str, Any]] | None,
    given: Any,
    wanted: Wanted,
    *,
    isolate: bool,
    timeout: float | None,
    limits: Limits,
) -> Result:
    alone = wanted.evaluator or (wanted.program is None and not model.programs)
    if timeout is not None and (alone or not isolate):
        raise error("program-option", found="a timeout for what runs in this process")
    if alone or not isolate:
        return run_model(model, given, wanted, limits)
    return run_isolated(model, location, given, wanted, timeout=timeout, limits=limits)


def _given(inputs: Any, limits: Limits) -> Any:
    if isinstance(inputs, Mapping):
        return inputs
    if isinstance(inputs, str | os.PathLike):
        return read_inputs([os.fspath(inputs)], limits)
    if isinstance(inputs, Sequence) and inputs and all(isinstance(one, str | os.PathLike) for one in inputs):
        return read_inputs([os.fspath(one) for one in inputs], limits)
    return sequence(inputs)
