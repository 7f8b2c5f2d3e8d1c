"""Writing files of torch: `.pt` and safetensors (SPEC.md, annex M.5)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from etui import bridges
from etui.bridges.keras.account import Scope, account
from etui.bridges.torch.arrays import tensor_of
from etui.bridges.torch.binding import Binding, Layout
from etui.bridges.torch.files_names import MODELS, OPTIMIZERS, name_of
from etui.bridges.torch.optimizers import Target, make_optimizer
from etui.bridges.torch.state import OPTIMIZER, as_core, capture
from etui.bridges.torch.state_places import places, require_module, weights_of
from etui.containers.optimizer import Optimizer
from etui.errors import error
from etui.model import Model
from etui.report import Report
from etui.storage.transaction import replace_file

_TITLE = "a file of torch"
_SCOPE = Scope(
    _TITLE,
    frozenset({"weights", "optimizer", "counters", "residue"}),
    frozenset({"config", "training", "native"}),
)


def to_file(model: Any, path: str | os.PathLike[str], *, optimizer: Any, strict: bool, report: Report) -> None:
    """See `etui.torch.to_file`."""
    bridge = bridges.of_target(path)
    if bridge.name not in {"torch", "safetensors"}:
        raise error(
            "format-unknown", where=os.fspath(path), found=bridge.name, hint="Suffixes: .pt, .pth, .safetensors."
        )
    if isinstance(model, Model):
        bridge.translator.write(model, path, report, strict=strict)
        return
    module = require_module(model)
    held = places(module)
    if bridge.name == "safetensors":
        if optimizer is not None:
            report.add("optimizer", OPTIMIZER, "not-transferable", "a safetensors file holds weights alone")
        bridge.translator.write(Model(weights=_by_names(module)), path, report, strict=strict)
        return
    capture(module, held, report)
    if strict:
        report.require_complete()
    content: Any = module.state_dict()
    if optimizer is not None:
        content = {MODELS[0]: content, OPTIMIZERS[0]: _named(optimizer, module)}
    put(content, path)


def _by_names(module: Any) -> Any:
    """The weights of a module under the names of its `state_dict`, in torch's own layouts."""
    from etui.bridges.torch.state_places import plain_places

    return weights_of(plain_places(module.state_dict(keep_vars=True)))


def _named(optimizer: Any, module: Any) -> dict[str, Any]:
    """An optimizer's `state_dict` with the names of its parameters, as torch itself notes them where it knows them."""
    names = {id(param): name for name, param in module.named_parameters()}
    content: dict[str, Any] = optimizer.state_dict()
    for group, own in zip(content["param_groups"], optimizer.param_groups, strict=True):
        found = [names.get(id(param), "") for param in own["params"]]
        if all(found):
            group["param_names"] = found
    return content


def put(content: Any, path: str | os.PathLike[str]) -> None:
    """Write a file of torch in one step: what is at the place stays until the new file is whole."""
    with replace_file(Path(path)) as file:
        torch.save(content, file)


def write_model(model: Model, target: str | os.PathLike[str], report: Report, *, strict: bool) -> None:
    """Write a neutral model: of one with a config, what its torch module holds; else its variables by name."""
    if model.weights is None:
        raise error("torch-nothing", where=os.fspath(target), found="no variables")
    account(model, report, _SCOPE)
    if model.config is not None:
        from etui.bridges.torch.build import to_module

        core = as_core(model, report)
        module = to_module(core, report=report, strict=False)
        held, found = module.state_dict(), [place.target for place in places(module) if place.is_parameter]
    else:
        core = model if model.optimizer is None else as_core(model, report)
        held, found = _plain(model, report)
    optimizer = _state_of(core, found, report)
    if strict:
        report.require_complete()
    state = model.state
    extra: dict[str, Any] = {} if state is None else {**state.counters, **state.residue.get("torch", {})}
    if optimizer is None and not extra:
        put(held, target)
        return
    content = {MODELS[0]: held}
    if optimizer is not None:
        content[OPTIMIZERS[0]] = optimizer
    put(content | extra, target)


def _plain(model: Model, report: Report) -> tuple[dict[str, Any], list[Target]]:
    """The variables of a model without a config as a `state_dict`, and those that an optimizer may train."""
    weights = model.weights
    assert weights is not None  # noqa: S101  write_model has looked
    held: dict[str, Any] = {}
    found = []
    for path, variable in weights.variables.items():
        if variable.dtype in {"string", "bytes"} or getattr(torch, variable.dtype, None) is None:
            report.add("variable", path, "not-transferable", f"{_TITLE} has no tensors of {variable.dtype}")
            continue
        tensor = tensor_of(np.asarray(variable.numpy()))
        held[name_of(path)] = tensor
        if tensor.is_floating_point():
            binding = Binding(path, name_of(path), Layout(), variable.shape, variable.shape)
            found.append(Target(path, nn.Parameter(tensor), binding))
    for path, owner in weights.aliases.items():
        if name_of(owner) in held:
            held[name_of(path)] = held[name_of(owner)]
    return held, found


def _state_of(model: Model, found: list[Target], report: Report) -> dict[str, Any] | None:
    """The `state_dict` of the model's optimizer, with the names of its parameters."""
    stored: Optimizer | None = None
    if model.optimizer is not None:
        stored = next(iter(model.optimizer.optimizers.values()), None)
    if stored is None:
        return None
    made = make_optimizer(stored, found, report=report)
    names = {id(one.param): one.binding.name for one in found}
    content: dict[str, Any] = made.state_dict()
    for group, own in zip(content["param_groups"], made.param_groups, strict=True):
        group["param_names"] = [names[id(param)] for param in own["params"]]
    return content
