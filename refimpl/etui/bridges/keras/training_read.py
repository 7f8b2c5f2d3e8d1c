"""`compile_config` of a `.keras` file to the neutral training document (SPEC.md, annex B.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etui.bridges.keras.modules import is_input
from etui.bridges.keras.patches import Json, difference, key_orders
from etui.bridges.keras.values import ValueReader, is_object
from etui.canonical.values import ObjectValue
from etui.containers.config import Config
from etui.containers.training import Training

FIELDS = ("loss", "loss_weights", "metrics", "weighted_metrics")
OPTIONS = ("run_eagerly", "steps_per_execution", "jit_compile")
# Variable and compute dtype of the policies that Keras makes by name.
_MIXED = {"mixed_bfloat16": ("float32", "bfloat16"), "mixed_float16": ("float32", "float16")}
_PLAIN = ("float64", "float32", "float16", "bfloat16")


def read_training(compiled: Mapping[str, Json], config: Config, values: ValueReader) -> Training:
    """The training document of a compiled model.

    Args:
        compiled: `compile_config`; its optimizer is read elsewhere.
        config: the neutral config.
        values: the reader of values.
    """
    training = Training()
    for name in FIELDS:
        setattr(training, name, values.value(compiled.get(name)))
    training.options = {name: compiled[name] for name in OPTIONS if compiled.get(name) is not None}
    training.added_losses = list(_added_losses(config))
    training.precision = _precision(config)
    facts: dict[str, Any] = difference(frame_of_training(training), _rest(compiled, values))
    orders = key_orders({name: compiled.get(name) for name in FIELDS})
    if orders:
        facts["order"] = orders
    if facts:
        training.residue["keras"] = facts
    return training


def frame_of_training(training: Training) -> dict[str, Json]:
    """What follows from the neutral document: which fields are there, as null where they have no value."""
    present = {name: None for name in FIELDS if _is_empty(getattr(training, name))}
    return present | {name: training.options.get(name) for name in OPTIONS}


def _rest(compiled: Mapping[str, Json], values: ValueReader) -> dict[str, Json]:
    """The compile config without what the neutral fields hold."""

    def is_held(name: str, value: Json) -> bool:
        return is_object(value) if name == "optimizer" else name in FIELDS and not _is_empty(value)

    return {name: values.raw(value) for name, value in compiled.items() if not is_held(name, value)}


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | str) and not value)


def _added_losses(config: Config) -> Iterator[str]:
    """Regularizers and the activity-regularization layer add to the loss by themselves."""
    for path, module in config.walk():
        if module.op == "keras:ActivityRegularization":
            yield path
        for key, value in sorted(module.attrs.items()):
            if key.endswith("_regularizer") and value is not None:
                yield f"{path}/{key}" if path else key


def _precision(config: Config) -> dict[str, str]:
    """The policy that all layers have, if it is one of the named ones."""
    names = set()
    for _, module in config.walk():
        policy = module.attrs.get("dtype")
        if isinstance(policy, ObjectValue):
            policy = policy.config.get("name", "") if isinstance(policy.config, dict) else ""
        if isinstance(policy, str) and not is_input(module.op):
            names.add(policy)
    if len(names) != 1:
        return {}
    name = names.pop()
    variable, compute = _MIXED.get(name, (name, name))
    known = name in _MIXED or name in _PLAIN
    return {"name": name, "variable_dtype": variable, "compute_dtype": compute} if known else {}
