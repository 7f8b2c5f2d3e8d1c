"""Models in the terms of the core vocabulary, and back in those of Keras (SPEC.md, annex L)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from etui.bridges.keras.content import Dialect
from etui.bridges.keras.core.lift import Facts, lift_config
from etui.bridges.keras.core.lower import lower_config
from etui.bridges.keras.core.patch import difference, module_of, patched, tree_of
from etui.bridges.keras.core.prepare import lost_slots, prepare
from etui.bridges.keras.dialects.normalize import dialect_of, to_dialect
from etui.bridges.keras.modules import residue
from etui.canonical.value_types import inner_values
from etui.canonical.values import ObjectValue
from etui.containers.config import Config
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.training import VALUE_FIELDS
from etui.containers.weights import Weights
from etui.core import vocabulary
from etui.model import Model
from etui.report import Report
from etui.transfer import NOT_TRANSFERABLE, Transfer

_CORE = vocabulary.NAMESPACE
_WHOLE, _DIALECT, _OLD = "whole", "dialect", "tf_keras"
_BATCH_NORMS = ("keras:BatchNormalization", "keras:SyncBatchNormalization")


def is_core(model: Model) -> bool:
    """Whether anything of a model is in the terms of the core vocabulary: a module, an optimizer, a loss or metric."""
    if model.config is not None and any(vocabulary.is_core(module) for _, module in model.config.walk()):
        return True
    if model.optimizer is not None and any(one.algorithm.startswith(_CORE) for _, one in model.optimizer.walk()):
        return True
    training = model.training
    return training is not None and _holds_core([getattr(training, name) for name in VALUE_FIELDS])


def _holds_core(value: Any) -> bool:
    if isinstance(value, ObjectValue) and value.class_name.startswith(_CORE):
        return True
    return any(map(_holds_core, inner_values(value)))


def to_core(model: Model, report: Report | None = None) -> Model:
    """A model in the terms of the core vocabulary, as far as it has them.

    Variables stay as they are. What the vocabulary cannot say stays in the terms of Keras, and the report says why.

    Args:
        model: in the terms of Keras 3 or tf_keras, or of the vocabulary already; it stays as it is.
        report: gets an entry for each module, loss, metric, optimizer and slot.

    Returns:
        A new model that shares the weights, the state and all other parts. Native documents are kept, and are current
        again once the model is back in the terms that they were translated to.

    Raises:
        InvalidError: ``keras-config``, a config that Keras does not write.
    """
    from etui.bridges.keras.core.optimizer import lift_optimizer
    from etui.bridges.keras.core.training import lift_training

    account = Report() if report is None else report
    found = replace(model)
    if model.config is not None:
        found.config = _lifted(model, model.config, account)
    if model.training is not None:
        found.training = lift_training(model.training, account)
    if model.optimizer is not None:
        lifted = {key: lift_optimizer(one, account, key) for key, one in model.optimizer.optimizers.items()}
        found.optimizer = OptimizerState(lifted, dict(model.optimizer.extra))
    return found


def _lifted(model: Model, config: Config, report: Report) -> Config:
    if dialect_of(model) != _OLD or _WHOLE in residue(config.model):
        return lift_config(config, report, Facts(model.weights is not None))
    modern, lost = _in_dialect(model, config, "keras")
    kept = {entry.subject: entry.detail for entry in lost.lost if entry.kind == "module"}
    fused = {
        path: module.build.get("input_shape") if isinstance(module.build, dict) else None
        for path, module in config.walk()
        if module.op in _BATCH_NORMS and module.attrs.get("fused") is not False
    }
    found = lift_config(modern, report, Facts(model.weights is not None, kept, fused, modes=True))
    if not any(vocabulary.is_core(module) for _, module in found.walk()):
        return config
    lowered, _ = lower_config(found, Report(), unbiased=True)
    derived, _ = _in_dialect(model, lowered, _OLD)
    facts: dict[str, Any] = {_DIALECT: _OLD}
    whole = difference(tree_of(derived.model), tree_of(config.model))
    if whole:
        facts[_WHOLE] = whole
    found.model.residue["keras"] = found.model.residue.get("keras", {}) | facts
    return found


def _in_dialect(model: Model, config: Config, dialect: Any) -> tuple[Config, Report]:
    """A config in the terms of one Keras, and the report of the translation."""
    report = Report()
    found = to_dialect(replace(model, config=config, native={}), dialect, report, holds=frozenset())
    return found.config or config, report


def to_keras(model: Model, report: Report | None = None) -> Model:
    """A model in the terms of Keras: of the dialect that it came from, or of Keras 3.

    Args:
        model: with anything of the core vocabulary; it stays as it is.
        report: gets an entry for all that Keras cannot say, or not exactly.

    Returns:
        A model that shares the weights, but for variables that Keras keeps otherwise, and all other parts; the same
        object if nothing of it is of the vocabulary.

    Raises:
        InvalidError: ``core-optimizer``.
    """
    from etui.bridges.keras.core.optimizer import lower_optimizer
    from etui.bridges.keras.core.training import lower_training

    if not is_core(model):
        return model
    account = Report() if report is None else report
    found = replace(model)
    old = model.config is not None and residue(model.config.model).get(_DIALECT) == _OLD
    if model.training is not None:
        found.training = lower_training(model.training, account)
    if model.optimizer is not None:
        dialect: Dialect | None = "tf_keras" if old else None
        parts = {
            key: lower_optimizer(_summed(model, one, account, key), account, key, dialect)
            for key, one in model.optimizer.optimizers.items()
        }
        found.optimizer = OptimizerState(parts, dict(model.optimizer.extra))
    if model.config is not None:
        found.config, found.weights = _lowered(model, model.config, account, old=old)
    return found


def _lowered(model: Model, config: Config, report: Report, *, old: bool) -> tuple[Config, Weights | None]:
    plain, weights = prepare(config, model.weights, report)
    lowered, _ = lower_config(plain, report, unbiased=old)
    if not old:
        return lowered, weights
    derived, lost = _in_dialect(model, lowered, _OLD)
    tree, passed = patched(tree_of(derived.model), residue(config.model).get(_WHOLE, []))
    if passed:
        report.entries += lost.lost
    return Config(module_of(tree, derived.model.name, {}), derived.extra), weights


def _summed(model: Model, optimizer: Optimizer, report: Report, place: str) -> Optimizer:
    """An optimizer without the slots of biases of which Keras keeps the sum alone: it makes them anew."""
    lost = dict(lost_slots(model.config, optimizer.slots)) if model.config is not None else {}
    if not lost:
        return optimizer
    for path in lost:
        detail = "the moments of two biases are not those of their sum"
        report.add("slot", f"{place}/{path}", "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
    gone = {path for path, role in lost.items() if role == "recurrent_bias"}
    groups = [
        replace(group, variables=[path for path in group.variables if path not in gone]) for group in optimizer.groups
    ]
    slots = {path: found for path, found in optimizer.slots.items() if path not in lost}
    fresh = [*(path for path in optimizer.fresh if path not in gone), *(path for path in lost if path not in gone)]
    return replace(optimizer, groups=groups, slots=slots, fresh=sorted(set(fresh)))
