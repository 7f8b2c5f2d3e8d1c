"""Rules that tie several documents of one artifact together (SPEC.md V-10, C-6, O-11, M-4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from etui.canonical import values
from etui.containers import config as config_container
from etui.containers import optimizer as optimizer_container
from etui.containers import state as state_container
from etui.containers import weights as weights_container
from etui.containers.config import Config
from etui.containers.optimizer import OptimizerState
from etui.containers.state import State
from etui.containers.tensor_index import features
from etui.containers.training import VALUE_FIELDS, Training
from etui.containers.weights import Weights
from etui.errors import error, shown


def check(
    config: Config | None,
    weights: Weights | None,
    training: Training | None,
    optimizer: OptimizerState | None,
    state: State | None,
    assets: Collection[str],
) -> None:
    """Check that what the documents name exists in the artifact.

    Raises:
        InvalidError: ``reference-missing``.
    """
    modules = {path for path, _ in config.walk()} if config is not None else None
    for where, reference in _references(config, training, optimizer, state):
        if isinstance(reference, values.VariableRef) and weights is not None and reference.path not in weights:
            raise error("reference-missing", where=where, found=f"variable {shown(reference.path)}")
        if isinstance(reference, values.ModuleRef) and modules is not None and reference.path not in modules:
            raise error("reference-missing", where=where, found=f"module {shown(reference.path)}")
        if isinstance(reference, values.AssetRef) and reference.part not in assets:
            raise error("reference-missing", where=where, found=f"asset {shown(reference.part)}")
    if weights is None:
        return
    if config is not None:
        for path, module in config.walk():
            for role, target in module.params.items():
                if target not in weights:
                    where = f"{config_container.DOCUMENT} at {path}/params/{role}"
                    raise error("reference-missing", where=where, found=f"variable {shown(target)}")
    for place, one in optimizer.walk() if optimizer is not None else ():
        for path in one.variables():
            if path not in weights.variables:
                where = f"{optimizer_container.DOCUMENT} at {place}/groups"
                raise error("reference-missing", where=where, found=f"variable {shown(path)}")


def _references(
    config: Config | None, training: Training | None, optimizer: OptimizerState | None, state: State | None
) -> Iterator[tuple[str, Any]]:
    for place, value in _contents(config, training, optimizer, state):
        for reference in values.references(value):
            yield place, reference


def _contents(
    config: Config | None, training: Training | None, optimizer: OptimizerState | None, state: State | None
) -> Iterator[tuple[str, Any]]:
    for path, module in config.walk() if config is not None else ():
        for name, value in module.contents():
            yield f"{config_container.DOCUMENT} at {path}/{name}", value
    for name in VALUE_FIELDS if training is not None else ():
        yield f"training.json at {name}", getattr(training, name)
    for place, one in optimizer.walk() if optimizer is not None else ():
        content = [one.hyperparameters, one.schedule, one.residue, [group.hyperparameters for group in one.groups]]
        yield f"{optimizer_container.DOCUMENT} at {place}", content
    if state is not None:
        yield state_container.DOCUMENT, [state.metrics, state.data, state.user, state.residue]


def required_features(
    config: Config | None,
    weights: Weights | None,
    optimizer: OptimizerState | None,
    state: State | None,
    programs: Iterable[str],
) -> list[str]:
    """The features of SPEC.md chapter 18.2 that an artifact uses, sorted (M-4)."""
    found: set[str] = set()
    if weights is not None:
        found.update(*(features(tensor) for _, tensor in weights_container.tensors(weights)))
    if optimizer is not None:
        found.update(*(features(tensor) for _, tensor in optimizer_container.tensors(optimizer)))
    if state is not None:
        found.update(*(features(tensor) for _, tensor in state_container.tensors(state)))
    if config is not None and any(module.kind == "opaque" for _, module in config.walk()):
        found.add("opaque")
    if any(True for _ in programs):
        found.add("programs")
    return sorted(found)
