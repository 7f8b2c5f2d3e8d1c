"""Etui as a candidate of the benchmark, in both of its forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, cast
from unittest import mock

from speed_candidates import COPIED, MAPPED, ONE, OPEN, SAVE, SYNCED, VERIFY, WRITING, Candidate, Loaded, Tasks
from speed_cases import SLOTS, Payload

import etui
from etui.storage.base import Form


class NullHasher:
    """A hasher that hashes nothing; made as hashlib's are."""

    def __init__(self, data: bytes | memoryview = b"", /) -> None:
        """Take first bytes, and do nothing with them."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take bytes, and do nothing with them."""

    def hexdigest(self) -> str:
        """The same for all bytes."""
        return "0" * 64


@contextmanager
def without_digests() -> Iterator[None]:
    """Artifacts that are written here have a digest that costs nothing, so that it cannot be verified."""
    with mock.patch.dict("etui.digest._ALGORITHMS", {"sha256": (NullHasher, 64)}):
        yield


@contextmanager
def without_flush() -> Iterator[None]:
    """Nothing waits for the device, as with the other candidates."""
    # With a function of our own: to make a mock takes longer than a small save.
    with mock.patch("os.fsync", _nothing), mock.patch("os.fdatasync", _nothing):
        yield


def _nothing(_: object) -> None:
    """In place of a flush."""


def etui_model(payload: Payload) -> etui.Model:
    """A model that holds the arrays without copying them, its slots in an optimizer."""
    weights = etui.Weights()
    for path, array in payload.weights().items():
        weights.add(path, etui.Tensor.of(array), role="kernel")
    if not payload.case.slots:
        return etui.Model(weights=weights)
    optimizer = etui.Optimizer("keras:Adam", learning_rate=0.001, groups=[etui.Group(payload.case.paths())])
    slots = {slot: payload.slot(slot) for slot in SLOTS}
    for path in payload.case.paths():
        optimizer.slots[path] = {slot: etui.Tensor.of(slots[slot][path]) for slot in SLOTS}
    return etui.Model(weights=weights, optimizer=etui.OptimizerState({"optimizer": optimizer}))


class Packed(Candidate):
    """Etui, one file."""

    name = "Etui, packed"
    essential = True
    kinds = frozenset({"formats", "growth"})
    form: ClassVar[Form] = "packed"

    def ready(self, axis: str) -> None:
        """Also the model around the arrays."""
        super().ready(axis)
        if axis in WRITING and "etui" not in self.payload.shared:
            self.payload.shared["etui"] = etui_model(self.payload)

    def tasks(self) -> Tasks:
        """Saves with and without digests and flushes, loads with and without checks."""
        return {
            # First, as with the others: the first save after another candidate pays for memory that the system takes
            # back.
            (SYNCED, ""): self.save_synced,
            (SAVE, "digests off"): self.save_undigested,
            (SAVE, ""): self.save,
            (COPIED, ""): lambda path: self.load(path, verify=True, copy=True),
            (COPIED, "unchecked"): lambda path: self.load(path, verify=False, copy=True),
            (MAPPED, "unchecked"): lambda path: self.load(path, verify=False, copy=False),
            (ONE, ""): lambda path: self.load_one(path, verify=True),
            (ONE, "unchecked"): lambda path: self.load_one(path, verify=False),
            (OPEN, ""): self.open,
            (VERIFY, ""): etui.verify,
        }

    def save_synced(self, path: Path) -> None:
        """As a user saves."""
        etui.save(self.payload.shared["etui"], path, form=self.form)

    def save(self, path: Path) -> None:
        """The same without waiting for the device."""
        with without_flush():
            self.save_synced(path)

    def save_undigested(self, path: Path) -> None:
        """The same without digests."""
        with without_digests():
            self.save(path)

    def load(self, path: Path, *, verify: bool, copy: bool) -> Loaded:
        """Every tensor, slots included, as a view of the file or copied into memory."""
        model = etui.open(path, verify=verify)
        tensors = (tensor for _, _, tensor in model.stored_tensors())
        return Loaded(model, [tensor.numpy().copy() if copy else tensor.numpy() for tensor in tensors])

    def load_one(self, path: Path, *, verify: bool) -> Loaded:
        """Open, and copy one tensor into memory."""
        model = etui.open(path, verify=verify)
        return Loaded(model, [cast(etui.Weights, model.weights)[self.one].numpy().copy()])

    def open(self, path: Path) -> Loaded:
        """Open, and list the names."""
        model = etui.open(path)
        return Loaded(model, list(cast(etui.Weights, model.weights)))


class Directory(Packed):
    """Etui, a folder."""

    name = "Etui, directory"
    kinds = frozenset({"formats"})
    form: ClassVar[Form] = "directory"


OWN: tuple[type[Candidate], ...] = (Packed, Directory)
