"""ONNX as a kind of program: what `etui.programs.kinds` asks of one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.bridges.onnx.external import main_name
from etui.bridges.onnx.require import onnx_package, runtime_package
from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Blob, Model
from etui.onnx_pointers import MEDIA_TYPE
from etui.programs.binding import read_binding
from etui.programs.facts import Facts
from etui.report import Report

__all__ = ["check_installed", "facts", "make", "run", "take"]


def facts(model: Model, name: str, limits: Limits) -> Facts:
    """What the program says of itself; see `etui.programs.kinds.Translator`."""
    main = model.programs.get(main_name(name))
    if main is None or main.media_type != MEDIA_TYPE:
        raise error("program-form", where=main_name(name), found="no such part of the kind")
    binding = read_binding(model, name, limits)
    return Facts({"": binding.signature}, binding.stale(model))


def check_installed() -> None:
    """Make sure that onnx and onnxruntime are installed.

    Raises:
        MissingExtraError: ``extra-onnx``.
    """
    onnx_package()
    runtime_package()


def run(
    model: Model, name: str, signature: str, inputs: Mapping[str, npt.NDArray[Any]], limits: Limits
) -> dict[str, np.ndarray]:
    """Run the program once over the variables that the model has now.

    Raises:
        RejectError: ``onnx-form``; ``onnx-data``, ``onnx-domain``, it would reach outside of the artifact.
        StorageError: ``program-failed``.
        MissingExtraError: ``extra-onnx``.
    """
    if signature:
        raise error("program-missing", where=f"programs/{name}", found=f"the signature {shown(signature)}")
    check_installed()
    from etui.bridges.onnx.session import run_onnx

    return run_onnx(model, name, inputs, limits)


def make(model: Model, name: str, options: Mapping[str, Any], report: Report, limits: Limits) -> dict[str, Blob]:  # noqa: ARG001  kinds have one face
    """A program that computes what the model does; its initializers are the artifact's own weights.

    Raises:
        TransferError: ``onnx-op``, ``onnx-shape``, ``onnx-tensor``, ``onnx-build``.
        UsageError: ``program-option``, there are none.
        MissingExtraError: ``extra-onnx``.
    """
    if options:
        raise error("program-option", found=f"the options {shown(sorted(options))}", hint="ONNX has none.")
    onnx_package()
    from etui.bridges.onnx.make import program_of

    return program_of(model, name, report)


def take(model: Model, name: str, source: str | os.PathLike[str], report: Report, limits: Limits) -> dict[str, Blob]:
    """A program that an ONNX file holds; its initializers that are variables are pointed at the artifact's weights.

    Raises:
        UsageError: ``onnx-file``.
        RejectError: ``onnx-form``, ``onnx-data``, ``onnx-domain``.
        StorageError: it cannot be read.
        MissingExtraError: ``extra-onnx``.
    """
    onnx_package()
    from etui.bridges.onnx.take import taken

    return taken(model, name, os.fspath(source), report, limits)
