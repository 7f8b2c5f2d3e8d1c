"""Rules that tie several documents of one artifact together (SPEC.md V-10, C-6, O-11, M-4)."""

from __future__ import annotations

from etui.canonical import values
from etui.containers import config as config_container
from etui.containers import optimizer as optimizer_container
from etui.containers.tensor_index import features
from etui.containers.weights import Weights
from etui.contents import contents
from etui.core.check import check as check_core
from etui.errors import error, shown
from etui.model import Model


def check(model: Model) -> None:
    """Check that what the documents name exists in the artifact.

    Raises:
        InvalidError: ``reference-missing``, or what is wrong with the core vocabulary's modules (`etui.core.check`).
        UnsupportedError: ``op-unknown``.
    """
    _check_references(model)
    check_core(model)


def _check_references(model: Model) -> None:
    modules = {path for path, _ in model.config.walk()} if model.config is not None else set()
    for place, value in contents(model):
        for reference in values.references(value):
            missing = _missing(reference, model, modules)
            if isinstance(reference, values.OutputRef) and not place.startswith(config_container.DOCUMENT):
                missing = f"output of a call {shown(reference.call)} outside of a graph"
            if missing:
                raise error("reference-missing", where=place, found=missing)
    if model.weights is None:
        return
    for path, module in model.config.walk() if model.config is not None else ():
        for role, target in module.params.items():
            if target not in model.weights:
                where = f"{config_container.DOCUMENT} at {path}/params/{role}"
                raise error("reference-missing", where=where, found=f"variable {shown(target)}")
    for place, one in model.optimizer.walk() if model.optimizer is not None else ():
        for path in one.variables():
            if not model.weights.has_variable(path):
                where = f"{optimizer_container.DOCUMENT} at {place}/groups"
                raise error("reference-missing", where=where, found=f"variable {shown(path)}")


def _missing(reference: values.Reference, model: Model, modules: set[str]) -> str:
    """What a reference names, if it is not in the artifact."""
    if isinstance(reference, values.VariableRef) and model.weights is not None and reference.path not in model.weights:
        return f"variable {shown(reference.path)}"
    if isinstance(reference, values.ModuleRef) and reference.path not in modules:
        return f"module {shown(reference.path)}"
    if isinstance(reference, values.AssetRef) and reference.part not in model.assets:
        return f"asset {shown(reference.part)}"
    if isinstance(reference, values.StoredTensor):
        return f"stored tensor {shown(reference.name)}"
    return ""


def required_features(model: Model) -> list[str]:
    """The features of SPEC.md chapter 18.2 that a model uses, sorted (M-4)."""
    found: set[str] = set()
    for document, container in model.documents():
        if isinstance(container, Weights) and container.all_plain:
            continue
        for _, tensor in document.tensors(container):
            # Most tensors are plain and in one piece, and use none.
            if tensor.encoding is not None or len(tensor.pieces) > 1:
                found |= features(tensor)
    if model.config is not None and any(module.kind == "opaque" for _, module in model.config.walk()):
        found.add("opaque")
    if model.programs:
        found.add("programs")
    return sorted(found)
