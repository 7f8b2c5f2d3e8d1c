"""The state of an optimizer, which TensorFlow.js stores as weights of the group `optimizer` (SPEC.md, annex H.3).

The first is the number of updates, ``iter``; then follows one pass over the trained variables for each slot:
``dense/kernel/m``, ``dense/bias/m``, ``dense/kernel/v``, … Sources: `getWeights` and `applyGradients` of the optimizers
of tfjs-core 4.22, whose updates are those of tf_keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from etui.bridges.keras.content import Renamed, Stored
from etui.bridges.tfjs.manifest import StoredWeight
from etui.bridges.tfjs.weight import Weight
from etui.containers.optimizer import Optimizer
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor

Json = Any

GROUP = "optimizer"
COUNTER = "iter"
_VARS = "optimizer/vars"
# Suffix in TensorFlow.js and slot in the artifact, in the order of the passes. What Momentum keeps is another quantity
# than Keras' momentum, which holds the rate too; Adamax of TensorFlow.js cannot store its state.
_SLOTS: dict[str, tuple[tuple[str, str], ...]] = {
    "SGD": (),
    "Adam": (("m", "momentum"), ("v", "velocity")),
    "Adagrad": (("accumulator", "accumulator"),),
    "Adadelta": (("accum_grad", "accumulated_grad"), ("accum_var", "accumulated_delta_var")),
    "RMSProp": (("rms", "velocity"), ("momentum", "momentum"), ("mg", "average_gradient")),
}
# Keras stores all slots of a variable side by side, but for these, which make a pass for each.
_PASSES = frozenset({"RMSProp"})
_INT32_MAX = 2**31 - 1


def own_class(training: Json) -> str:
    """The class of the optimizer in a `trainingConfig`, or an empty text."""
    optimizer = training.get("optimizer_config") if isinstance(training, dict) else None
    found = optimizer.get("class_name") if isinstance(optimizer, dict) else None
    return found if isinstance(found, str) else ""


def _passes(kind: str, config: Json) -> list[tuple[str, str]] | None:
    """The slots that an optimizer of these settings has in both; `None` where the two are not the same."""
    if not isinstance(config, dict) or kind not in _SLOTS:
        return None
    absent = {"momentum" if not config.get("momentum") else "", "mg" if not config.get("centered") else ""}
    return [pair for pair in _SLOTS[kind] if kind != "RMSProp" or pair[0] not in absent]


def read_slots(
    kind: str, config: Mapping[str, Json], slots: Sequence[StoredWeight], trained: Sequence[str]
) -> dict[str, Stored] | None:
    """The arrays of an optimizer by their names in the layout; `None` where they do not fit the variables.

    Args:
        kind: its class in TensorFlow.js.
        config: its settings in TensorFlow.js.
        slots: the weights of the group, in the file's order.
        trained: names of the variables' weights, in the order of the layers.
    """
    by_name = {slot.weight.name: slot for slot in slots}
    counter = by_name.get(COUNTER)
    passes = _passes(kind, config)
    if counter is None or counter.weight.shape != () or counter.weight.neutral != "int32" or passes is None:
        return None
    names = [[f"{name}/{suffix}" for suffix, _ in passes] for name in trained]
    if kind in _PASSES:
        names = [list(column) for column in zip(*names, strict=True)]
    listed = [by_name.get(name) for row in names for name in row]
    count = counter.read
    found: dict[str, Stored] = {f"{_VARS}/0": Renamed(f"{_VARS}/0", "int64", (), lambda: count().astype(np.int64))}
    for at, slot in enumerate(listed, 1):
        if slot is None:
            return None
        found[f"{_VARS}/{at}"] = Renamed(f"{_VARS}/{at}", slot.weight.neutral, slot.weight.shape, slot.read)
    return found


def written_slots(
    training: Mapping[str, Json], optimizer: Optimizer, names: Mapping[str, str]
) -> list[tuple[Weight, Tensor]]:
    """The weights of the group; none where TensorFlow.js has no such state, or not all of it is there.

    Args:
        training: the `trainingConfig` of the same document.
        optimizer: the neutral state.
        names: path of a variable -> name of its weight, of the trained ones in the order of the layers.
    """
    config = training["optimizer_config"].get("config")
    passes = _passes(own_class(training), config)
    state = optimizer.slots
    count = optimizer.micro_step
    if passes is None or optimizer.inner or not 0 <= (count or 0) <= _INT32_MAX:
        return []
    there = all(slot in state.get(path, {}) for path in names for _, slot in passes)
    if not there or (set(state) != set(names) if passes else any(state.values())):
        return []
    found = [(Weight(COUNTER, (), "int32", group=GROUP), Tensor.of(np.int32(count or 0)))]
    for suffix, slot in passes:
        for path, name in names.items():
            tensor = _single(state[path][slot])
            found.append((Weight(f"{name}/{suffix}", tensor.shape, "float32", group=GROUP), tensor))
    return found


def _single(tensor: Tensor) -> Tensor:
    """The tensor in float32."""
    if tensor.dtype == "float32":
        return tensor

    def load() -> Array:
        return tensor.numpy().astype(np.float32)

    return Tensor.lazy("float32", tensor.shape, load)
