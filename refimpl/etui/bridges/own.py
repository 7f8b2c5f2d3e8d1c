"""Etui's own two forms, as one format among the others. Both keep everything that a model holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from etui.artifact import open_model, save_model
from etui.bridges import is_folder
from etui.containers.data_writer import Progress
from etui.containers.optimizer import OptimizerState
from etui.containers.state import State
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.base import Form
from etui.storage.packed_layout import is_first_header
from etui.storage.part_names import MANIFEST

_HEAD_BYTES = 1024
VOCABULARIES = ("core", "keras")


def recognises(path: Path) -> bool:
    """Whether a folder has a manifest, or a file begins as only the packed form does (I-1)."""
    if path.is_dir():
        return os.path.lexists(path / MANIFEST)
    with path.open("rb") as file:
        return is_first_header(file.read(_HEAD_BYTES))


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Open an artifact; see `etui.open`. The report gets entries for native documents that are left out."""
    model = open_model(path, limits=limits)
    if not native:
        leave_out_native(model, report)
    return model


def leave_out_native(model: Model, report: Report) -> None:
    """Take the native documents away, because the caller asked for it."""
    for name in model.native:
        report.add("document", name, "left-out", "on request; the neutral documents hold what it says")
    model.native = {}


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    form: str | None = None,
    shard_size: int | None = None,
    vocabulary: str | None = None,
) -> None:
    """Write an artifact; see `etui.save`. The form is the named one, else what the target's name says."""
    text = os.fspath(target)
    model = in_vocabulary(model, vocabulary, report, text)
    if form not in (None, "packed", "directory"):
        raise error("writer-misuse", where=text, found=f"the form {shown(form)}", hint="Forms: packed, directory.")
    if shard_size is not None and shard_size < 1:
        raise error("writer-misuse", where=text, found=f"a shard size of {shard_size} bytes")
    account(model, report)
    if strict:
        report.require_complete()
    kind: Form = "directory" if form == "directory" or (form is None and is_folder(text)) else "packed"
    save_model(model, target, form=kind, shard_size=shard_size, progress=progress, limits=limits)


def in_vocabulary(model: Model, vocabulary: str | None, report: Report, where: str = "") -> Model:
    """A model in the terms of a vocabulary: ``core`` or ``keras``; `None` leaves it as it is.

    Raises:
        UsageError: ``writer-misuse``, the vocabulary is neither.
    """
    if vocabulary is None:
        return model
    if vocabulary not in VOCABULARIES:
        hint = f"Vocabularies: {', '.join(VOCABULARIES)}."
        raise error("writer-misuse", where=where, found=f"the vocabulary {shown(vocabulary)}", hint=hint)
    from etui.translation import to_core, to_keras

    return to_core(model, report) if vocabulary == "core" else to_keras(model, report)


def account(model: Model, report: Report) -> None:
    """Add an entry for each item of a model: an artifact keeps them all."""
    for kind, subject, status, detail in _items(model):
        report.add(kind, subject, status, detail)


def _items(model: Model) -> Iterator[tuple[str, str, str, str]]:
    """Kind, subject, status and detail of everything that a model holds."""
    documents = {
        "config.json": model.config,
        "weights.json": model.weights,
        "training.json": model.training,
        "optimizer.msgpack": model.optimizer,
        "state.msgpack": model.state,
    }
    status = "translated" if model.manifest is None else "restored"
    for name, container in documents.items():
        if container is not None:
            yield "document", name, status, ""
    if model.weights is not None:
        for path in model.weights.variables:
            yield "variable", path, "restored", ""
        for path, target in model.weights.aliases.items():
            yield "variable", path, "aliased", f"shares {target}"
    if model.optimizer is not None:
        yield from _optimizer_items(model.optimizer)
    if model.state is not None:
        yield from _state_items(model.state)
    for kind, names in (("asset", model.assets), ("program", model.programs), ("metadata", model.metadata)):
        for name in names:
            yield kind, name, "restored", ""
    for name, native in model.native.items():
        current = model.is_fresh(native) or not native.bindings
        detail = "" if current else f"changed since: {', '.join(sorted(native.bindings))}"
        yield "document", name, "verbatim" if current else "stale", detail


def _optimizer_items(state: OptimizerState) -> Iterator[tuple[str, str, str, str]]:
    for place, optimizer in state.walk():
        yield "optimizer", place, "restored", optimizer.algorithm
        for path, slots in optimizer.slots.items():
            for slot in slots:
                yield "slot", f"{place}/{path}/{slot}", "restored", ""
        for path in optimizer.fresh:
            yield "slot", f"{place}/{path}", "fresh", "the optimizer has made none yet"
        for name in optimizer.shared_slots:
            yield "slot", f"{place}/{name}", "restored", ""


def _state_items(state: State) -> Iterator[tuple[str, str, str, str]]:
    for name in state.counters:
        yield "state", f"counters/{name}", "restored", ""
    for path, rng in state.rng.items():
        yield "state", f"rng/{path}", "restored", rng.algorithm
    for path, metric in state.metrics.items():
        for name in metric:
            yield "state", f"metrics/{path}/{name}", "restored", ""
    for name in ("data", "user", "residue"):
        for key in getattr(state, name):
            yield "state", f"{name}/{key}", "restored", ""
