"""The optimizer of a `.keras` file: its config and its numbered variables to neutral state (SPEC.md, annex B.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.content import Stored
from etui.bridges.keras.names import class_of, identity_of, short
from etui.bridges.keras.optimizer_table import (
    TF_SCALER,
    WRAPPERS,
    Target,
    algorithm_of,
    own_slots,
    plan,
    table_name,
)
from etui.bridges.keras.patches import Json, difference, key_orders
from etui.bridges.keras.slot_match import Block, current, match
from etui.bridges.keras.values import ValueReader, frame_of, is_object
from etui.bridges.keras.variables import tensor_of
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group, Optimizer
from etui.containers.pieces import raw_bytes
from etui.report import Report

_INNER = "inner_optimizer"
_INTEGERS = ("int32", "int64")


@dataclass(frozen=True, slots=True)
class Source:
    """What the reader of one file's optimizers works on.

    Attributes:
        root: the model's variables.
        datasets: of each group of the weights file, by their keys.
        values: the reader of values.
        dialect: ``keras`` or ``tf_keras``.
        report: gets an entry for each stored tensor.
        trained: group of an optimizer -> its variables in its own order, where the source says which they are.
        done: paths of the datasets that were accounted for.
    """

    root: Block
    datasets: Mapping[str, Mapping[str, Stored]]
    values: ValueReader
    dialect: str
    report: Report
    trained: Mapping[str, list[Target]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)


def read_optimizer(source: Source, node: Json, group: str, place: str) -> Optimizer:
    """The optimizer of a config node.

    Args:
        source: the file.
        node: the optimizer's node in `compile_config`.
        group: its group in the weights file.
        place: what messages call it.
    """
    facts: dict[str, Any] = {}
    implied = node["class_name"] not in WRAPPERS and f"{group}/{_INNER}" in source.datasets
    if implied:
        # A policy of float16 makes Keras wrap the optimizer, and its config tells only of the wrapped one.
        facts["implied"] = True
        kind = "keras:optimizers.LossScaleOptimizer" if source.dialect == "keras" else TF_SCALER
        node = identity_of(kind) | {"config": {_INNER: node}}
    config = dict(node["config"]) if isinstance(node["config"], dict) else {}
    text = class_of(node.get("module"), node["class_name"], node.get("registered_name"))
    optimizer = Optimizer(short(text, "optimizers"))
    facts |= difference(
        frame_of(ObjectValue(text, {})), source.values.raw({k: v for k, v in node.items() if k != "config"})
    )
    orders = key_orders(config)
    if orders:
        facts["order"] = orders
    own = _Reader(source, optimizer, facts, table_name(text), text, config, group, place)
    own.configure()
    own.variables()
    if facts:
        optimizer.residue["keras"] = facts
    return optimizer


@dataclass(slots=True)
class _Reader:
    source: Source
    optimizer: Optimizer
    facts: dict[str, Any]
    name: str
    text: str
    config: dict[str, Json]
    group: str
    place: str

    def configure(self) -> None:
        """Hyperparameters, schedule, and the optimizer that this one wraps."""
        for key, node in self.config.items():
            if key == "name":
                self.facts["name"] = node
            elif key == _INNER and is_object(node) and self.name in WRAPPERS:
                place = f"{self.place}/inner"
                self.optimizer.inner = read_optimizer(self.source, node, f"{self.group}/{_INNER}", place)
            elif key == "learning_rate" and is_object(node):
                self.optimizer.schedule = self.source.values.value(node)
                # Keras asks the schedule for the rate at the count of gradients, accumulated or not.
                self.optimizer.schedule_clock = "micro_step"
            else:
                self.optimizer.hyperparameters[key] = self.source.values.value(node)

    def variables(self) -> None:
        """Counters, learning rate, slots."""
        stored = dict(self.source.datasets.get(self.group, {}))
        if not stored and self.name in WRAPPERS and self.source.dialect != "keras":
            # Some formats of tf_keras store once what the wrapper shows as its own.
            stored = dict(self._inner())
        numbers = sorted((key for key in stored if key.isdecimal()), key=int)
        listed = [stored[key] for key in numbers]
        if len(listed) != len(stored) or numbers != [str(at) for at in range(len(listed))]:
            listed = []
        used = self._head(listed)
        if not used:
            self.facts["stored"] = False
            self._keep_raw(stored)
            return
        used = self._wrapped(listed, used) if self.name in WRAPPERS else self._slots(listed, used)
        self._keep_raw({str(at): found for at, found in enumerate(listed) if at >= used})

    def _head(self, listed: list[Stored]) -> int:
        """The iteration and the learning rate; how many variables they are."""
        rate = self.config.get("learning_rate")
        self.optimizer.learning_rate = float(rate) if isinstance(rate, float) else None
        integer = bool(listed) and listed[0].shape == () and listed[0].dtype in _INTEGERS
        count = int(listed[0].read()) if integer else -1
        if count < 0:
            return 0
        steps = self.config.get("gradient_accumulation_steps")
        self.optimizer.micro_step = count
        self.optimizer.step = count // steps if type(steps) is int and steps > 1 else count
        if listed[0].dtype != "int64":
            self.facts["iteration_dtype"] = listed[0].dtype
        self._restored(listed[0], "iteration")
        if self.optimizer.schedule is not None or self.source.dialect != "keras":
            return 1
        if len(listed) < 2 or listed[1].shape != () or "float" not in listed[1].dtype:
            self.facts["no_rate"] = True
            return 1
        self.optimizer.learning_rate = float(listed[1].read())
        if listed[1].dtype != "float32":
            self.facts["learning_rate_dtype"] = listed[1].dtype
        self._restored(listed[1], "learning_rate")
        return 2

    def _inner(self) -> Mapping[str, Stored]:
        return self.source.datasets.get(f"{self.group}/{_INNER}", {})

    def _wrapped(self, listed: list[Stored], used: int) -> int:
        """A wrapper's own tensors, and its second copy of what the wrapped optimizer stores."""
        inner = {key: found for key, found in self._inner().items() if key.isdecimal()}
        if self.optimizer.inner is not None:
            self.facts["own"] = [self.optimizer.micro_step, self.optimizer.learning_rate]
            self.optimizer.step, self.optimizer.micro_step = self.optimizer.inner.step, self.optimizer.inner.micro_step
            self.optimizer.learning_rate = self.optimizer.inner.learning_rate
            self.optimizer.groups = [Group(list(group.variables)) for group in self.optimizer.inner.groups]
        if self.source.dialect != "keras":
            # A wrapper of tf_keras has the wrapped optimizer's tensors as its own, the iteration as well.
            inner = {str(int(key) - used): found for key, found in inner.items() if int(key) >= used}
        names = own_slots(self.name, self.source.dialect) or ()
        # A wrapper that was not built yet has none of its own tensors.
        names = names if len(listed) == used + len(names) + len(inner) else ()
        for name, dataset in zip(names, listed[used:], strict=False):
            self.optimizer.shared_slots[name] = tensor_of(dataset)
            self._restored(dataset, name)
        used += len(names)
        tail = listed[used:]
        copies = [inner.get(str(at)) for at in range(len(inner))]
        if len(tail) != len(copies) or not all(map(_equal, tail, copies)):
            self.facts["copies"] = False
            return used
        for dataset in tail:
            self.source.done.add(dataset.path)
            self.source.report.add("slot", dataset.path, "aliased", "the wrapped optimizer's own tensor again")
        return len(listed)

    def _slots(self, listed: list[Stored], used: int) -> int:
        """Slots by variable and name; how many variables are accounted for."""
        algorithm = algorithm_of(self.name, self.source.dialect) if self.text.startswith("keras:") else None
        if algorithm is None:
            if len(listed) > used:
                self.source.report.add("optimizer", self.place, "data-only", f"{self.text} is not built in")
            return used
        start, used = used, min(used + len(algorithm.head), len(listed))
        end = len(listed) - len(algorithm.tail)
        known = self.source.trained.get(self.group)
        now = current(self.source.root) if known is None else known
        kinds = [_kind(found) for found in listed[used:end]]
        if not plan(self.name, self.source.dialect, self.config, now):
            self._group(now)
            return start
        if end <= used:
            self._group(now)
            self.optimizer.fresh = self.optimizer.variables()
            if now:
                self.source.report.add("optimizer", self.place, "fresh", "has no slots yet")
            return start
        found = match(self.source.root, self.name, self.source.dialect, self.config, kinds, known=known)
        if found is None:
            detail = "its slots fit the variables in no way, or in several"
            self.source.report.add("optimizer", self.place, "data-only", detail)
            return start
        self._group(found.targets)
        for slot, dataset in zip(found.slots, listed[used:end], strict=True):
            self.optimizer.slots.setdefault(slot.path, {})[slot.name] = tensor_of(dataset)
            self._restored(dataset, f"{slot.path}/{slot.name}")
        whole = [*zip(algorithm.head, listed[start:used], strict=True), *zip(algorithm.tail, listed[end:], strict=True)]
        for name, dataset in whole:
            self.optimizer.shared_slots[name] = tensor_of(dataset)
            self._restored(dataset, name)
        return len(listed)

    def _group(self, targets: list[Target]) -> None:
        if targets:
            self.optimizer.groups = [Group([target.path for target in targets])]

    def _keep_raw(self, stored: Mapping[str, Stored]) -> None:
        """Variables that no rule explains stay as they are, by their number."""
        if stored:
            self.facts["variables"] = {key: tensor_of(found) for key, found in stored.items()}
            for found in stored.values():
                self.source.done.add(found.path)
                self.source.report.add("slot", f"{self.place}: {found.path}", "data-only", "kept by its number")

    def _restored(self, dataset: Stored, name: str) -> None:
        self.source.done.add(dataset.path)
        self.source.report.add("slot", f"{self.place}/{name}", "restored")


def keep_rest(source: Source, optimizer: Optimizer, group: str, datasets: Mapping[str, Stored]) -> None:
    """Keep every dataset below an optimizer's group that nothing accounts for, as it is."""
    rest = {path: found for path, found in datasets.items() if path.startswith(f"{group}/") and path not in source.done}
    if rest:
        facts = optimizer.residue.setdefault("keras", {})
        facts["datasets"] = {path[len(group) + 1 :]: tensor_of(found) for path, found in rest.items()}
        for path in rest:
            source.report.add("slot", path, "data-only", "kept as it is")


def _kind(found: Stored) -> tuple[str, tuple[int, ...]]:
    """Dtype and shape; the integers of Adafactor's placeholders are as wide as the backend was set up for."""
    return ("int32" if found.dtype in _INTEGERS and found.shape == () else found.dtype), found.shape


def _equal(one: Stored, two: Stored | None) -> bool:
    if two is None or (one.dtype, one.shape) != (two.dtype, two.shape):
        return False
    return raw_bytes(one.read()) == raw_bytes(two.read())
