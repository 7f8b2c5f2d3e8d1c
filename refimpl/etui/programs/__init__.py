"""Programs: runnable forms of a model, kept beside its config and weights (SPEC.md, chapter 17.2 and annex T).

    import etui

    etui.programs.add("model.etui", "stablehlo")     # made of the core graph; the weights stay where they are
    etui.programs.list("model.etui")                 # name, kind, inputs and outputs, and whether it is current
    result = etui.run("model.etui", "in.npz")        # runs one of them, or the reference evaluator

Importing this package imports no framework. Bridges build on its modules `facts`, `naming` and `binding`, which know
none; `kinds` leads to the bridges, each imported when one of its programs is met.
"""

from __future__ import annotations

import builtins
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etui.limits import Limits
    from etui.model import Model
    from etui.programs.inputs import read_inputs
    from etui.programs.listing import Program
    from etui.programs.placing import add, add_parts, make, remove
    from etui.programs.running import Passed, Result
    from etui.storage.urls import Options

__all__ = ["Passed", "Program", "Result", "add", "add_parts", "list", "make", "read_inputs", "remove"]

_HOMES = {
    "Passed": "running",
    "Program": "listing",
    "Result": "running",
    "add": "placing",
    "add_parts": "placing",
    "make": "placing",
    "read_inputs": "inputs",
    "remove": "placing",
}


def list(  # noqa: A001  (etui.programs.list is the name of the public function)
    location: str | os.PathLike[str] | Model,
    *,
    limits: Limits | None = None,
    storage_options: Options | None = None,
) -> builtins.list[Program]:
    """The programs of a model, by name; nothing is run, and one that is refused says why.

    Args:
        location: a file, folder or URL of any known format, or a model.
        limits: refuse what is beyond these.
        storage_options: of the file system of a URL.

    Raises:
        RejectError: the file is refused.
        StorageError: it cannot be read.
    """
    from etui.conversion import read
    from etui.limits import DEFAULT_LIMITS
    from etui.model import Model
    from etui.programs.listing import programs_of

    bounds = DEFAULT_LIMITS if limits is None else limits
    if isinstance(location, Model):
        return programs_of(location, bounds)
    model, _ = read(location, native=False, limits=bounds, storage_options=storage_options)
    with model:
        return programs_of(model, bounds)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'etui.programs' has no attribute {name!r}")
    value = getattr(import_module(f"etui.programs.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
