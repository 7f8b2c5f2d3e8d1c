"""Etui: a framework-agnostic serialization format for neural-network models and training state.

    import etui

    model = etui.open("model.etui")             # reads the documents, no tensor
    model.weights["dense/kernel"].numpy()       # mapped, verified at the first read
    etui.save(model, "copy.etui")               # atomic; returns the identity digest
    etui.convert("model.keras", "model.etui")   # returns the report of what became of every item

Importing this package imports nothing but itself: each name is resolved when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from etui._version import SPEC_VERSION, __version__

if TYPE_CHECKING:
    from etui import checkpoints, jax, keras, onnx, programs, signing, torch
    from etui.artifact import open_model as open  # noqa: A004 (etui.open is the name of the public function)
    from etui.bridges.hub import pull, push
    from etui.canonical.values import (
        AssetRef,
        DtypeName,
        ModuleRef,
        ObjectValue,
        OutputRef,
        VariableRef,
    )
    from etui.containers.config import Call, Config, Graph, Module
    from etui.containers.optimizer import Group, Optimizer, OptimizerState
    from etui.containers.state import Rng, State
    from etui.containers.tensors import Tensor
    from etui.containers.training import Training
    from etui.containers.weights import Variable, Weights
    from etui.conversion import convert
    from etui.differences import diff
    from etui.errors import (
        EtuiError,
        IntegrityError,
        InvalidError,
        LimitError,
        MalformedError,
        MissingExtraError,
        RejectError,
        StorageError,
        TransferError,
        UnsafeError,
        UnsupportedError,
        UsageError,
    )
    from etui.limits import Limits
    from etui.model import Blob, Model, Native
    from etui.report import Report
    from etui.running import run
    from etui.saving import save
    from etui.translation import to_core, to_keras
    from etui.validation import validate
    from etui.verification import verify
    from etui.viewing.page import view
    from etui.viewing.plot import plot

__all__ = [
    "SPEC_VERSION",
    "AssetRef",
    "Blob",
    "Call",
    "Config",
    "DtypeName",
    "EtuiError",
    "Graph",
    "Group",
    "IntegrityError",
    "InvalidError",
    "LimitError",
    "Limits",
    "MalformedError",
    "MissingExtraError",
    "Model",
    "Module",
    "ModuleRef",
    "Native",
    "ObjectValue",
    "Optimizer",
    "OptimizerState",
    "OutputRef",
    "RejectError",
    "Report",
    "Rng",
    "State",
    "StorageError",
    "Tensor",
    "Training",
    "TransferError",
    "UnsafeError",
    "UnsupportedError",
    "UsageError",
    "Variable",
    "VariableRef",
    "Weights",
    "__version__",
    "checkpoints",
    "convert",
    "diff",
    "jax",
    "keras",
    "onnx",
    "open",
    "plot",
    "programs",
    "pull",
    "push",
    "run",
    "save",
    "signing",
    "to_core",
    "to_keras",
    "torch",
    "validate",
    "verify",
    "view",
]

_HOMES = {
    "artifact": {"open": "open_model"},
    "bridges.hub": ["pull", "push"],
    "canonical.values": ["AssetRef", "DtypeName", "ModuleRef", "ObjectValue", "OutputRef", "VariableRef"],
    "containers.config": ["Call", "Config", "Graph", "Module"],
    "containers.optimizer": ["Group", "Optimizer", "OptimizerState"],
    "containers.state": ["Rng", "State"],
    "containers.tensors": ["Tensor"],
    "containers.training": ["Training"],
    "containers.weights": ["Variable", "Weights"],
    "conversion": ["convert"],
    "differences": ["diff"],
    "errors": [
        "EtuiError",
        "IntegrityError",
        "InvalidError",
        "LimitError",
        "MalformedError",
        "MissingExtraError",
        "RejectError",
        "StorageError",
        "TransferError",
        "UnsafeError",
        "UnsupportedError",
        "UsageError",
    ],
    "limits": ["Limits"],
    "model": ["Blob", "Model", "Native"],
    "report": ["Report"],
    "running": ["run"],
    "saving": ["save"],
    "translation": ["to_core", "to_keras"],
    "validation": ["validate"],
    "verification": ["verify"],
    "viewing.page": ["view"],
    "viewing.plot": ["plot"],
}
_PLACES = {
    name: (f"etui.{module}", names[name] if isinstance(names, dict) else name)
    for module, names in _HOMES.items()
    for name in names
}


# Modules that are part of the face, imported when they are first used.
_MODULES = frozenset({"checkpoints", "jax", "keras", "onnx", "programs", "signing", "torch"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"etui.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'etui' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
