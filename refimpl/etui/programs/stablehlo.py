"""Programs of StableHLO as `jax.export` writes them, which take the variables as arguments (SPEC.md, annex T)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Blob, Model
from etui.programs.binding import index_name, read_binding
from etui.programs.facts import Facts
from etui.report import Report

MEDIA_TYPE = "application/vnd.jax.export"
_OPTIONS = frozenset({"shapes", "platforms"})
# A graph without its weights is small; what jax.export is given is copied several times.
_MOST_BYTES = 2**30


def main_name(name: str) -> str:
    """The part with the exported function."""
    return f"programs/{name}/main.jax_export"


def facts(model: Model, name: str, limits: Limits) -> Facts:
    """What the program says of itself; see `etui.programs.kinds.Translator`."""
    _main(model, name)
    binding = read_binding(model, name, limits)
    return Facts({"": binding.signature}, binding.stale(model))


def check_installed() -> None:
    """Make sure that JAX is installed.

    Raises:
        MissingExtraError: ``extra-jax``.
    """
    _jax()


def run(
    model: Model, name: str, signature: str, inputs: Mapping[str, npt.NDArray[Any]], limits: Limits
) -> dict[str, np.ndarray]:
    """Run the program once over the variables that the model has now.

    Raises:
        RejectError: ``program-form``; ``program-effects``, it would run code outside of itself.
        StorageError: ``program-failed``.
        MissingExtraError: ``extra-jax``.
    """
    if signature:
        raise error("program-missing", where=f"programs/{name}", found=f"the signature {shown(signature)}")
    main, where = _main(model, name), main_name(name)
    found: dict[str, np.ndarray] = _jax().run(model, main, read_binding(model, name, limits), inputs, where)
    return found


def make(
    model: Model,
    name: str,
    options: Mapping[str, Any],
    report: Report,
    limits: Limits,  # noqa: ARG001  (as `kinds.Maker` has it)
) -> dict[str, Blob]:
    """Export a model; the variables stay arguments, so that they are stored once.

    Args:
        model: whose ops are all of the core vocabulary, or can be said in it.
        name: of the program.
        options: `shapes`, input name -> sizes, of which a text is a size that is free, and the same text the same
            size; by default sizes that the config leaves open are free, and the first axis is the batch. `platforms`,
            such as ``["cpu", "cuda"]``; by default all that JAX knows: cpu, cuda, rocm and tpu.
        report: gets an entry for each module.
        limits: not used.

    Raises:
        TransferError: ``jax-op``; ``jax-parts``; ``stablehlo-export``, JAX cannot export it so.
        UsageError: ``program-option``.
        MissingExtraError: ``extra-jax``.
    """
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise error("program-option", found=f"the options {shown(unknown)}", hint=f"Options: {sorted(_OPTIONS)}.")
    data, binding = _jax().exported(model, options.get("shapes") or {}, options.get("platforms"), report)
    return {main_name(name): Blob.of(data, MEDIA_TYPE), index_name(name): binding.blob()}


def _main(model: Model, name: str) -> Blob:
    main = model.programs.get(main_name(name))
    if main is None or main.media_type != MEDIA_TYPE:
        raise error("program-form", where=main_name(name), found="no such part of the kind")
    if main.size > _MOST_BYTES:
        raise error("program-form", where=main_name(name), found=f"{main.size} bytes, of at most {_MOST_BYTES}")
    return main


def _jax() -> Any:
    for package in ("jax", "flatbuffers"):  # the latter is what `jax.export` writes with
        if find_spec(package) is None:
            raise error("extra-jax", found=package)
    return import_module("etui.bridges.jax.exporting")
