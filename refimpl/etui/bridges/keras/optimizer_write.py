"""Neutral optimizer state to Keras' config and numbered variables (SPEC.md, annex B.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from etui import dtypes
from etui.bridges.keras.names import full
from etui.bridges.keras.optimizer_table import Target, algorithm_of, is_matrix, own_slots, plan, table_name
from etui.bridges.keras.patches import Json, patched, reordered, with_config
from etui.bridges.keras.roles import is_slotless
from etui.bridges.keras.values import ValueWriter, frame_of
from etui.bridges.keras.variables import by_number
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error

_INNER = "inner_optimizer"


@dataclass(frozen=True, slots=True)
class OptimizerWriter:
    """Writes the optimizers of one model.

    Attributes:
        weights: the model's variables.
        slotless: paths of the variables for which no optimizer keeps slots.
        values: the writer of values.
        dialect: ``keras`` or ``tf_keras``.
    """

    weights: Weights
    slotless: frozenset[str]
    values: ValueWriter
    dialect: str

    def node(self, optimizer: Optimizer, where: str) -> dict[str, Json]:
        """The optimizer's node in `compile_config`.

        Raises:
            TransferError: ``keras-op``, an algorithm that Keras does not have; ``keras-value``.
        """
        if not optimizer.algorithm.startswith(("keras:", "tf_keras:", "custom:")):
            raise error("keras-op", where=where, found=optimizer.algorithm)
        facts: dict[str, Any] = optimizer.residue.get("keras", {})
        if facts.get("implied") and optimizer.inner is not None:
            return self.node(optimizer.inner, where)
        text = full(optimizer.algorithm, "optimizers")
        node = patched(frame_of(ObjectValue(text, {})), facts)
        config = {"name": facts["name"]} if "name" in facts else {}
        if optimizer.inner is not None:
            config[_INNER] = self.node(optimizer.inner, f"{where}/inner")
        if optimizer.schedule is not None:
            config["learning_rate"] = self.values.json(optimizer.schedule, where)
        config |= {key: self.values.json(value, where) for key, value in optimizer.hyperparameters.items()}
        return with_config(node, reordered(config, facts.get("order", [])))

    def datasets(self, optimizer: Optimizer, group: str, where: str) -> Iterator[tuple[str, Tensor]]:
        """Each dataset of the optimizer's groups with its tensor.

        Raises:
            TransferError: ``keras-slots``, slots that the algorithm does not have in Keras, or that are missing.
        """
        facts: dict[str, Any] = optimizer.residue.get("keras", {})
        for key, tensor in self._listed(optimizer, where).items():
            yield f"{group}/vars/{key}", tensor
        if optimizer.inner is not None:
            yield from self.datasets(optimizer.inner, f"{group}/{_INNER}", f"{where}/inner")
        for path, tensor in sorted(facts.get("datasets", {}).items()):
            yield f"{group}/{path}", tensor

    def _listed(self, optimizer: Optimizer, where: str) -> dict[str, Tensor]:
        """The variables of the optimizer's own group by their number: those of the neutral state, then others."""
        facts: dict[str, Any] = optimizer.residue.get("keras", {})
        known = () if facts.get("stored") is False else self._known(optimizer, where)
        return {str(at): tensor for at, tensor in enumerate(known)} | dict(
            sorted(facts.get("variables", {}).items(), key=by_number)
        )

    def _known(self, optimizer: Optimizer, where: str) -> Iterator[Tensor]:
        facts: dict[str, Any] = optimizer.residue.get("keras", {})
        name = table_name(full(optimizer.algorithm, "optimizers"))
        count, rate = facts.get("own", [optimizer.micro_step, optimizer.learning_rate])
        yield _scalar(count, facts.get("iteration_dtype", "int64"))
        if optimizer.schedule is None and self.dialect == "keras" and rate is not None and not facts.get("no_rate"):
            yield _scalar(rate, facts.get("learning_rate_dtype", "float32"))
        names = own_slots(name, self.dialect)
        if names is not None:
            yield from (optimizer.shared_slots[key] for key in names if key in optimizer.shared_slots)
            if optimizer.inner is not None and facts.get("copies", True):
                copies = list(self._listed(optimizer.inner, f"{where}/inner").values())
                yield from copies if self.dialect == "keras" else copies[1:]
        else:
            yield from self._slots(optimizer, name, where)

    def _slots(self, optimizer: Optimizer, name: str, where: str) -> Iterator[Tensor]:
        if not (optimizer.slots or optimizer.shared_slots):
            return
        algorithm = algorithm_of(name, self.dialect) if optimizer.algorithm.startswith("keras:") else None
        if algorithm is None:
            raise error("keras-slots", where=where, found=f"slots of {optimizer.algorithm}")
        targets = [self._target(path) for path in optimizer.variables()]
        adam = frozenset(
            one.path for one in targets if is_matrix(one) and "velocity" in optimizer.slots.get(one.path, {})
        )
        config = optimizer.hyperparameters
        planned = plan(name, self.dialect, config, targets, adam=adam)
        expected = {(slot.path, slot.name) for slot in planned} | {
            ("", key) for key in (*algorithm.head, *algorithm.tail)
        }
        actual = {(path, key) for path, slots in optimizer.slots.items() for key in slots}
        actual |= {("", key) for key in optimizer.shared_slots}
        for path, key in sorted(expected ^ actual):
            fault = "missing" if (path, key) in expected else "unexpected"
            raise error("keras-slots", where=where, found=f"the slot {key} of {path or 'all'} is {fault}")
        yield from (optimizer.shared_slots[key] for key in algorithm.head)
        yield from (optimizer.slots[slot.path][slot.name] for slot in planned)
        yield from (optimizer.shared_slots[key] for key in algorithm.tail)

    def _target(self, path: str) -> Target:
        variable = self.weights[path]
        return Target(path, variable.dtype, variable.shape, path in self.slotless)


def _scalar(value: float, dtype: str) -> Tensor:
    return Tensor.of(np.array(value, dtypes.by_name(dtype, "").numpy))


def slotless_paths(places: Any) -> frozenset[str]:
    """Paths of the variables whose gradient takes their place."""
    return frozenset(
        path for place in places for role, path in place.module.params.items() if is_slotless(place.op, role)
    )
