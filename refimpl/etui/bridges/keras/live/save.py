"""A live model into an artifact (SPEC.md, annex I)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import index
from typing import Any

from etui.artifact import save_model
from etui.bridges.keras.account import CHECKPOINT, OWN
from etui.bridges.keras.live import load as live_load
from etui.bridges.keras.live.capture import Captured, capture
from etui.bridges.keras.live.framework import Framework, require_framework
from etui.bridges.own import account, in_vocabulary
from etui.containers.state import State
from etui.errors import error, shown
from etui.model import Model
from etui.report import Report

StrPath = str | os.PathLike[str]

# What each choice keeps of a model.
INCLUDES: dict[str, frozenset[str]] = {
    "everything": frozenset({"config", "weights", "training", "optimizer", "state", "assets"}),
    "model": frozenset({"config", "weights", "assets"}),
    "config": frozenset({"config"}),
    "weights": frozenset({"weights", "assets"}),
    "checkpoint": frozenset({"weights", "optimizer", "state", "assets"}),
}
# Suffixes by which Keras knows its own files.
_FOREIGN = frozenset({".keras", ".h5", ".hdf5"})
_EMPTY: dict[str, Any] = {"assets": {}}


def save(
    model: Any,
    path: StrPath,
    *,
    include: str,
    counters: Mapping[str, int],
    user: Mapping[str, Any],
    shard_size: int | None,
    strict: bool,
    report: Report,
    vocabulary: str | None = None,
    checkpoint: Mapping[str, Any] | None = None,
) -> str:
    """See `etui.keras.save`; `checkpoint` is what a callback keeps for itself."""
    _required(model, include, os.fspath(path))
    if os.path.splitext(path)[1].lower() in _FOREIGN:  # noqa: PTH122  a path as the caller gave it
        raise error("live-target", where=os.fspath(path), found="the name of a file of Keras")
    neutral = captured(
        model,
        os.fspath(path),
        include=include,
        counters=counters,
        user=user,
        strict=strict,
        report=report,
        vocabulary=vocabulary,
        checkpoint=checkpoint,
    )
    return save_model(neutral, path, shard_size=shard_size)


def captured(
    model: Any,
    target: str,
    *,
    include: str,
    counters: Mapping[str, int],
    user: Mapping[str, Any],
    strict: bool,
    report: Report,
    vocabulary: str | None = None,
    checkpoint: Mapping[str, Any] | None = None,
) -> Model:
    """The neutral model that a save writes, see `etui.keras.capture`; `target` is where it goes, for messages."""
    framework, kept = required(model, include, target, report)
    found = capture(framework, model, need_config="config" in kept)
    options = Options(kept, counted(counters), user, vocabulary, checkpoint or {}, strict)
    return finished(found, options, report)


@dataclass(frozen=True, slots=True)
class Options:
    """What is saved of a captured model, and how.

    Attributes:
        kept: its parts.
        counters: of its training.
        user: the caller's own values.
        vocabulary: as for `etui.keras.save`.
        checkpoint: what a callback keeps for itself.
        strict: whether a save that loses anything is refused.
    """

    kept: frozenset[str]
    counters: Mapping[str, int]
    user: Mapping[str, Any]
    vocabulary: str | None = None
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = True


def required(model: Any, include: str, target: str, report: Report) -> tuple[Framework, frozenset[str]]:
    """The framework of a model and the parts of a choice, if it is such a model and it has these parts.

    Args:
        model: the live model.
        include: the choice.
        target: where it goes, for messages.
        report: gets the names of the source and the target.

    Raises:
        UsageError: ``live-model``; ``live-include``.
        TransferError: ``live-unbuilt``.
    """
    framework = _required(model, include, target)
    report.source, report.target = f"a live model of {framework.name} {framework.version}", target
    kept = INCLUDES[include]
    if "weights" in kept and not model.built:
        raise error("live-unbuilt", where=report.source, found=f"the model {model.name}")
    return framework, kept


def _required(model: Any, include: str, where: str) -> Framework:
    """The framework of a model, if it is one and the choice is known."""
    framework = require_framework(model)
    if include not in INCLUDES:
        hint = f"Choices: {', '.join(INCLUDES)}."
        raise error("live-include", where=where, found=shown(include), hint=hint)
    return framework


def finished(found: Captured, options: Options, report: Report) -> Model:
    """The chosen parts of a captured model, with what is saved beside it.

    Raises:
        TransferError: ``not-complete``.
    """
    neutral = _selected(found.model, options)
    report.entries += [entry for entry in found.report.entries if entry.status not in ("restored", "translated")]
    neutral = in_vocabulary(neutral, options.vocabulary, report, report.target)
    own = Report()
    account(neutral, own)
    live_load.add_entries(report, own.entries)
    if options.strict:
        report.require_complete()
    return neutral


def _selected(model: Model, options: Options) -> Model:
    """The chosen parts, with the counters of the training and values of the caller's and of a callback's own."""
    for part in INCLUDES["everything"] - options.kept:
        setattr(model, part, _EMPTY.get(part))
    if (options.counters or options.user or options.checkpoint) and "state" in options.kept:
        model.state = model.state or State()
        model.state.counters |= options.counters
        model.state.user |= options.user
        if options.checkpoint:
            model.state.residue[OWN] = {CHECKPOINT: dict(options.checkpoint)}
    return model


def counted(counters: Mapping[str, Any]) -> dict[str, int]:
    """Counters as integers; those of NumPy are some, too.

    Raises:
        UsageError: ``live-checkpoint``, one that is none.
    """
    for name, value in counters.items():
        if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= index(value) < 2**64:
            raise error("live-checkpoint", found=f"the counter {shown(name)} of {shown(value)}")
    return {name: index(value) for name, value in counters.items()}


def clone(model: Any) -> Any:
    """See `etui.keras.clone`."""
    framework = require_framework(model)
    captured = capture(framework, model)
    classes: dict[str, Any] = {}
    for held in captured.tree.held:
        kind = type(held.thing)
        if not kind.__module__.startswith(f"{framework.name}."):
            classes[framework.api.saving.get_registered_name(kind)] = kind
    report = Report("a live model")
    return live_load.build(
        captured.model, classes, compiled=True, framework=framework.name, strict=True, report=report, trusted=True
    )
