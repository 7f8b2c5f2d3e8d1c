"""What a page shows: the documents of one or two models, byte for byte, and what their elements are like."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from etui import digest
from etui._version import SPEC_VERSION, __version__
from etui.containers import manifest as manifest_container
from etui.containers import optimizer as optimizer_container
from etui.containers.data_writer import Progress
from etui.containers.optimizer import OptimizerState
from etui.containers.tensors import Tensor
from etui.model import Model
from etui.paths import escape_segment
from etui.viewing.comparison import comparable, distance
from etui.viewing.statistics import LOOKS, VALUES_BYTES, statistics
from etui.viewing.subjects import Subject

ALL_VALUES_BYTES = 8 * 1024 * 1024
"""Bytes of elements that a page holds at most: beyond it small tensors have their statistics alone."""

Json = Any


class Named(NamedTuple):
    """A tensor of a model: the table of statistics that it belongs to, its name there, and itself."""

    table: str
    name: str
    tensor: Tensor


def payload(subjects: list[Subject], *, data: bool = True, progress: Progress | None = None) -> Json:
    """The JSON of a page, as the schema `view.schema.json` describes it.

    Args:
        subjects: one model, or two that are compared.
        data: read the tensors, for their statistics and for what differs.
        progress: called as (tensor, bytes done, bytes in all).

    Raises:
        RejectError: a tensor is refused, ``digest-mismatch`` included.
        StorageError: a tensor cannot be read.
    """
    found: Json = {
        "format": "etui-view",
        "version": SPEC_VERSION,
        "created_by": f"etui {__version__}",
        "artifacts": [_artifact(subject, data, progress) for subject in subjects],
    }
    if len(subjects) > 1 and data:
        found["differences"] = _differences(subjects[0].model, subjects[1].model, progress)
    return found


def _artifact(subject: Subject, data: bool, progress: Progress | None) -> Json:
    parts = subject.parts(progress)
    return {
        "name": subject.name,
        "source_format": subject.source_format,
        "report": None if subject.report is None else subject.report.as_json(),
        "identity": digest.of(parts[manifest_container.DOCUMENT]),
        "form": subject.form,
        "parts": {name: base64.b64encode(content).decode() for name, content in sorted(parts.items())},
        "statistics": _statistics(subject.model, progress) if data else None,
    }


def _statistics(model: Model, progress: Progress | None) -> Json:
    tables: dict[str, dict[str, Json]] = {"weights": {}, "optimizer": {}, "state": {}}
    tensors = list(named_tensors(model))
    bar = _Bar(progress, sum(one.tensor.nbytes for one in tensors))
    room = ALL_VALUES_BYTES
    for table, name, tensor in tensors:
        with bar.tensor(name, tensor, LOOKS) as seen:
            found = statistics(tensor, values_bytes=min(VALUES_BYTES, room), seen=seen)
        room -= len(found.values or b"")
        tables[table][name] = found.as_json()
    return tables


def _differences(first: Model, second: Model, progress: Progress | None) -> Json:
    tables: dict[str, dict[str, Json]] = {"weights": {}, "optimizer": {}}
    others = {(one.table, one.name): one.tensor for one in named_tensors(second) if one.table in tables}
    pairs = [
        (one, others[one.table, one.name])
        for one in named_tensors(first)
        if (one.table, one.name) in others and comparable(one.tensor, others[one.table, one.name])
    ]
    bar = _Bar(progress, sum(one.tensor.nbytes for one, _ in pairs))
    for (table, name, tensor), other in pairs:
        with bar.tensor(name, tensor) as seen:
            found = distance(tensor, other, seen=seen)
        if found is not None:
            tables[table][name] = found.as_json()
    return tables


class _Bar:
    """Tells how many bytes of tensors have been looked at, within large tensors too."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    @contextmanager
    def tensor(self, name: str, tensor: Tensor, looks: int = 1) -> Iterator[Callable[[int], None]]:
        """The block looks at each element of a tensor so many times, and calls what it is given for each piece."""
        whole, looked = max(1, looks * math.prod(tensor.shape)), 0

        def seen(elements: int) -> None:
            nonlocal looked
            looked = min(whole, looked + elements)
            self._tell(name, self._done + tensor.nbytes * looked // whole)

        yield seen
        self._done += tensor.nbytes
        self._tell(name, self._done)

    def _tell(self, name: str, done: int) -> None:
        if self._progress is not None:
            self._progress(name, done, self._total)


def named_tensors(model: Model) -> Iterator[Named]:
    """Every tensor of a model's documents, under the name that it has on a page."""
    if model.weights is not None:
        for path, variable in model.weights.variables.items():
            yield Named("weights", path, variable.tensor)
    if model.optimizer is not None:
        yield from _of_optimizers(model.optimizer)
    for role, name, tensor in model.stored_tensors():
        if role == "state":
            yield Named("state", name, tensor)


def _of_optimizers(state: OptimizerState) -> Iterator[Named]:
    """The slots by optimizer, variable and slot, and what else the document holds by its name there."""
    names: dict[str, str] = {}
    for place, optimizer in state.walk():
        for path, slots in optimizer.slots.items():
            for slot in slots:
                names[f"{place}/slots/{path}/{escape_segment(slot)}"] = f"{place}/{path}/{slot}"
        for slot in optimizer.shared_slots:
            names[f"{place}/shared_slots/{escape_segment(slot)}"] = f"{place}/shared_slots/{slot}"
    for name, tensor in optimizer_container.tensors(state):
        yield Named("optimizer", names.get(name, name), tensor)
