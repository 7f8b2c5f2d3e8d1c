"""The optimizers of tf.keras before 2.11, `tf.keras.optimizers.legacy`, in a checkpoint (SPEC.md, annex F.4).

Their slots are references from the optimizer's object: variable, name of the slot, slot. The neutral model names slots
as the optimizers of today do, whose rules are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etui import dtypes
from etui.bridges.keras.variables import dataset_names
from etui.bridges.tensorflow.arrays import tensor_of
from etui.bridges.tensorflow.object_graph import Node, ObjectGraph
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.model import Model
from etui.report import Report
from etui.storage.tf_bundle import BundleTensor

LEGACY = "keras:optimizers.legacy."
_FRAMEWORK, _SETTINGS = "tensorflow", "settings"
_STEP, _RATE = "iter", "learning_rate"
# The product of the momenta of Nadam, which is of the optimizer as a whole.
_CACHE = "momentum_cache"
_OPTIMIZER = "optimizer"
_NAMES = {
    "Adadelta": {"accum_grad": "accumulated_grad", "accum_var": "accumulated_delta_var"},
    "Adam": {"m": "momentum", "v": "velocity", "vhat": "velocity_hat"},
    "Adamax": {"m": "momentum", "v": "norm"},
    "Nadam": {"m": "momentum", "v": "velocity"},
    "RMSprop": {"rms": "velocity", "mg": "average_gradient"},
}
# The variables of the optimizer itself, and the hyperparameter that each is made from.
_SETTINGS_OF = {
    "Adadelta": ("decay", "learning_rate", "rho"),
    "Adagrad": ("decay", "learning_rate"),
    "Adam": ("beta_1", "beta_2", "decay", "learning_rate"),
    "Adamax": ("beta_1", "beta_2", "decay", "learning_rate"),
    "Ftrl": (
        "beta",
        "decay",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "learning_rate",
        "learning_rate_power",
    ),
    "Nadam": ("beta_1", "beta_2", "decay", "learning_rate"),
    "RMSprop": ("decay", "learning_rate", "momentum", "rho"),
    "SGD": ("decay", "learning_rate", "momentum"),
}


def is_legacy(node: Node) -> bool:
    """Whether an optimizer's object is one of the older optimizers: it has no list of its variables."""
    return "_variables" not in node.children


def slot_names(algorithm: str) -> Mapping[str, str]:
    """TensorFlow's name of a slot -> the neutral one, where they differ."""
    return _NAMES.get(algorithm.removeprefix(LEGACY), {})


def layout_paths(model: Model) -> dict[str, str]:
    """Name in the layout of a `.keras` file -> path of the variable."""
    if model.config is None or model.weights is None:
        return {}
    weights = model.weights
    return {layout: weights.resolve(path) for _, path, layout in dataset_names(model.config, weights)}


def read_legacy(
    model: Model,
    graph: ObjectGraph,
    node: int,
    tensors: Mapping[str, BundleTensor],
    *,
    layout: Mapping[int, str],
    report: Report,
) -> set[str]:
    """Fill the optimizer that the config told of with what the checkpoint holds of it.

    Args:
        model: with the optimizer of the config.
        graph: the objects.
        node: of the optimizer.
        tensors: of the bundle.
        layout: node of a variable -> its name in the layout.
        report: gets an entry for each tensor.

    Returns:
        The keys of the tensors that it took.
    """
    if model.optimizer is None:
        return set()
    optimizer = model.optimizer.optimizers[_OPTIMIZER]
    paths, names = layout_paths(model), slot_names(optimizer.algorithm)
    used: set[str] = set()

    def taken(at: int) -> BundleTensor | None:
        value = graph.nodes[at].value
        stored = tensors.get(value.key) if value is not None else None
        if stored is not None:
            used.add(stored.name)
        return stored

    order: dict[str, None] = {}
    for slot in graph.nodes[node].slots:
        path = paths.get(layout.get(slot.variable, ""))
        stored = taken(slot.node) if path is not None else None
        if path is not None and stored is not None:
            name = names.get(slot.name, slot.name)
            optimizer.slots.setdefault(path, {})[name] = tensor_of(stored)
            order[path] = None
            report.add("slot", f"{_OPTIMIZER}/{path}/{name}", "restored")
    optimizer.groups = [Group(list(order))] if order else []
    settings: dict[str, Tensor] = {}
    for name, child in graph.nodes[node].children.items():
        stored = taken(child)
        if stored is not None and name == _CACHE:
            optimizer.shared_slots[name] = tensor_of(stored)
            report.add("slot", f"{_OPTIMIZER}/{name}", "restored")
        elif stored is not None:
            settings[name] = tensor_of(stored)
            report.add("slot", f"{_OPTIMIZER}/{name}", "restored")
    _settle(optimizer, settings)
    return used


def _settle(optimizer: Optimizer, settings: dict[str, Tensor]) -> None:
    """Step and rate; the other variables of the optimizer, which repeat its config, stay bit for bit beside it."""
    step, rate = settings.get(_STEP), settings.get(_RATE)
    if step is not None and not step.shape and "int" in step.dtype:
        optimizer.step = optimizer.micro_step = max(0, int(step.numpy()))
        # What a file without the optimizer's variables leaves behind.
        facts = optimizer.residue.get("keras", {})
        facts.pop("stored", None)
        if not facts:
            optimizer.residue.pop("keras", None)
    if rate is not None and not rate.shape and "float" in rate.dtype:
        optimizer.learning_rate = float(rate.numpy())
    if settings:
        optimizer.residue[_FRAMEWORK] = {_SETTINGS: settings}


def written_settings(optimizer: Optimizer) -> dict[str, Tensor]:
    """The variables of the optimizer itself by name: the step, and a float32 for each hyperparameter that is one."""
    facts = optimizer.residue.get(_FRAMEWORK, {})
    kept = facts.get(_SETTINGS, {}) if isinstance(facts, dict) else {}
    found: dict[str, Tensor] = {name: one for name, one in kept.items() if isinstance(one, Tensor)}
    values: dict[str, Any] = dict(optimizer.hyperparameters)
    for name in _SETTINGS_OF.get(optimizer.algorithm.removeprefix(LEGACY), ()):
        if name not in found and type(values.get(name)) in (int, float):
            found[name] = Tensor.of(np.float32(values[name]))
    if _CACHE in optimizer.shared_slots:
        found[_CACHE] = optimizer.shared_slots[_CACHE]
    found[_STEP] = _scalar(optimizer.micro_step, found.get(_STEP), "int64")
    if optimizer.schedule is not None:
        found.pop(_RATE, None)
    elif optimizer.learning_rate is not None:
        found[_RATE] = _scalar(optimizer.learning_rate, found.get(_RATE), "float32")
    return dict(sorted(found.items()))


def _scalar(value: float, like: Tensor | None, dtype: str) -> Tensor:
    kind = like.dtype if like is not None and not like.shape else dtype
    return Tensor.of(np.array(value, dtypes.by_name(kind, "").numpy))
