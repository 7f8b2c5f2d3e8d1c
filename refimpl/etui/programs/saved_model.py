"""The programs of SavedModels, which TensorFlow runs over the variables of the artifact (SPEC.md, annexes G and T)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.bridges.tensorflow.saved_model.effects import effects_when_run
from etui.bridges.tensorflow.saved_model.program import FOLDER, MAIN, Program, read_program
from etui.bridges.tensorflow.saved_model.write import stale
from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Model
from etui.programs.facts import Facts, Signature, Spec


def facts(model: Model, name: str, limits: Limits) -> Facts:
    """What the program says of itself; see `etui.programs.kinds.Translator`.

    The operations with effects are looked up in the graphs, whatever the program says of them.
    """
    program = _program(model, name, limits)
    signatures = {key: _signature(key, value) for key, value in program.signatures.items()}
    return Facts(
        signatures, stale(in_keras(model), program), effects_when_run(model.programs[MAIN].read(), limits, MAIN)
    )


def check_installed() -> None:
    """Make sure that TensorFlow is installed.

    Raises:
        MissingExtraError: ``extra-run-tensorflow``.
    """
    if find_spec("tensorflow") is None:
        raise error("extra-run-tensorflow", found="tensorflow")


def run(
    model: Model, name: str, signature: str, inputs: Mapping[str, npt.NDArray[Any]], limits: Limits
) -> dict[str, np.ndarray]:
    """Run a signature once, over the variables that the model has now.

    Raises:
        RejectError: ``program-form``.
        TransferError: ``program-stale``, the variables do not fit the graphs any more.
        StorageError: ``program-failed``.
        MissingExtraError: ``extra-run-tensorflow``; ``extra-tensorflow``.
    """
    check_installed()
    program = _program(model, name, limits)
    running = import_module("etui.bridges.tensorflow.saved_model.running")
    found: dict[str, np.ndarray] = running.run(in_keras(model), program, signature, inputs, limits)
    return found


def in_keras(model: Model) -> Model:
    """The model in the terms in which the program was read: it may have been put into those of the core vocabulary."""
    from etui.translation import is_core, to_keras

    return to_keras(model) if is_core(model) else model


def _program(model: Model, name: str, limits: Limits) -> Program:
    program = read_program(model, limits) if f"programs/{name}/" == FOLDER else None
    if program is None:
        raise error("program-form", where=f"programs/{name}", found=f"a SavedModel that is not {FOLDER.rstrip('/')}")
    return program


def _signature(key: str, value: Any) -> Signature:
    if not isinstance(value, dict):
        raise error("program-form", where=MAIN, found=f"the signature {shown(key)}")
    return Signature(
        *([_spec(key, name, one) for name, one in _tensors(key, value, kind)] for kind in ("inputs", "outputs"))
    )


def _tensors(key: str, value: dict[str, Any], kind: str) -> list[tuple[str, Any]]:
    tensors = value.get(kind)
    if not isinstance(tensors, dict):
        raise error("program-form", where=MAIN, found=f"the signature {shown(key)} without its {kind}")
    return sorted(tensors.items())


def _spec(key: str, name: str, tensor: Any) -> Spec:
    from etui import dtypes

    if isinstance(tensor, dict) and tensor.keys() == {"dtype", "shape"}:
        dtype, shape = tensor["dtype"], tensor["shape"]
        sound = shape is None or (isinstance(shape, list) and all(size is None or type(size) is int for size in shape))
        if sound and isinstance(dtype, str):
            return Spec(name, dtype if dtype in dtypes.DTYPES else None, None if shape is None else tuple(shape))
    raise error("program-form", where=MAIN, found=f"{shown(name)} of the signature {shown(key)}")
