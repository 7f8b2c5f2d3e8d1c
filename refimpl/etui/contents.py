"""Every value that the documents of a model hold, with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etui.containers import config as config_container
from etui.containers import manifest as manifest_container
from etui.containers import optimizer as optimizer_container
from etui.containers import state as state_container
from etui.containers import training as training_container
from etui.model import Model


def contents(model: Model) -> Iterator[tuple[str, Any]]:
    """Every value of a model with its place; stored tensors that are in an index are no references any more."""
    yield f"{manifest_container.DOCUMENT} at metadata", model.metadata
    for path, module in model.config.walk() if model.config is not None else ():
        for name, value in module.contents():
            yield f"{config_container.DOCUMENT} at {path}/{name}", value
    for name in training_container.VALUE_FIELDS if model.training is not None else ():
        yield f"{training_container.DOCUMENT} at {name}", getattr(model.training, name)
    for place, one in model.optimizer.walk() if model.optimizer is not None else ():
        content = [one.hyperparameters, one.schedule, one.residue, [group.hyperparameters for group in one.groups]]
        yield f"{optimizer_container.DOCUMENT} at {place}", content
    if model.state is not None:
        state = model.state
        yield state_container.DOCUMENT, [state.metrics, state.data, state.user, state.residue]
