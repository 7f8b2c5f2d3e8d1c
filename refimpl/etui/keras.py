"""Live Keras models: saving and loading with an account of everything (SPEC.md, annex I).

    import etui

    etui.keras.save(model, "model.etui")             # Keras 3 on any backend, or tf_keras
    model = etui.keras.load("model.etui")            # goes on training as if it had never stopped
    etui.keras.load_weights(other, "model.etui", layers=["backbone"])

Importing this module imports no framework: the framework is that of the model, or that of the file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from etui.bridges.keras.live import checkpoint as live_checkpoint
from etui.bridges.keras.live import load as live_load
from etui.bridges.keras.live import save as live_save
from etui.bridges.keras.live import weights as live_weights
from etui.bridges.keras.live.checkpoint import ModelCheckpoint, Resumed
from etui.bridges.keras.live.match import Matching
from etui.errors import error, shown
from etui.model import Model
from etui.report import Report

if TYPE_CHECKING:
    from etui.checkpoints.keras_callback import SeriesCheckpoint

__all__ = [
    "ModelCheckpoint",
    "Resumed",
    "SeriesCheckpoint",
    "capture",
    "clone",
    "latest_checkpoint",
    "load",
    "load_weights",
    "resume",
    "save",
]

StrPath = str | os.PathLike[str]
Include = Literal["everything", "model", "config", "weights", "checkpoint"]


def save(
    model: Any,
    path: StrPath,
    *,
    include: Include = "everything",
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    shard_size: int | None = None,
    vocabulary: str | None = None,
    strict: bool = True,
    report: Report | None = None,
) -> str:
    """Save a live model as an artifact, in one step: what is at the path stays until the new artifact is whole.

    Beside what Keras' own formats hold, it keeps the state of metrics and random generators, the flag of each
    variable, low-rank adapters apart from what they adapt, and arguments of losses that Keras forgets. Variables are
    read one after the other.

    Args:
        model: of Keras 3 or of tf_keras.
        path: of a file or, without a suffix, of a folder.
        include: ``"everything"``; ``"model"``, config and weights; ``"config"``; ``"weights"``; ``"checkpoint"``, all
            that training changes: weights, optimizer and state, without the config.
        counters: such as ``{"epoch": 3}``, kept with the state.
        user: values of the caller's own, kept with the state.
        shard_size: bytes of data in one part at most.
        vocabulary: ``"core"`` writes the model in the terms of the core vocabulary, which other frameworks read.
        strict: refuse to save if anything would be lost.
        report: gets the account.

    Returns:
        The identity of the artifact.

    Raises:
        UsageError: ``live-model``; ``live-include``; ``live-target``, the path ends in `.keras` or `.h5`;
            ``live-checkpoint``, a counter that is none.
        TransferError: ``live-unbuilt``, a model without variables yet; ``live-config``, one without a config, whose
            weights can be saved alone; ``not-complete``.
        RejectError: the model breaks a clause of SPEC.md.
        StorageError: the target cannot be written; what was there is as it was.
    """
    return live_save.save(
        model,
        path,
        include=include,
        counters=counters or {},
        user=user or {},
        shard_size=shard_size,
        vocabulary=vocabulary,
        strict=strict,
        report=Report() if report is None else report,
    )


def capture(
    model: Any,
    *,
    include: Include = "everything",
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    vocabulary: str | None = None,
    strict: bool = True,
    report: Report | None = None,
) -> Model:
    """What `save` would write of a live model, for `etui.save`, a `Series` or an `AsyncSaver`.

    Its tensors read the live variables whenever they are asked for, so save it before training goes on.

    Args:
        model: of Keras 3 or of tf_keras.
        include: as for `save`.
        counters: as for `save`.
        user: as for `save`.
        vocabulary: as for `save`.
        strict: refuse if anything would be lost.
        report: gets the account.

    Raises:
        UsageError: ``live-model``; ``live-include``; ``live-checkpoint``, a counter that is none.
        TransferError: ``live-unbuilt``; ``live-config``; ``not-complete``.
    """
    return live_save.captured(
        model,
        "an etui.Model",
        include=include,
        counters=counters or {},
        user=user or {},
        vocabulary=vocabulary,
        strict=strict,
        report=Report() if report is None else report,
    )


def load(
    path: StrPath | Model,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002  the name that Keras gives it
    *,
    framework: str | None = None,
    strict: bool = True,
    report: Report | None = None,
) -> Any:
    """Load a model that goes on training as the saved one would have, from an artifact or any format that is read.

    No code of the file is run, and nothing that it names is imported or opened.

    Args:
        path: of the file or folder, or an `etui.Model`, such as the one of a step of a series.
        custom_objects: classes and functions by name, beside those that are registered with the framework.
        compile: compile the model, and restore optimizer and metrics.
        framework: ``"keras"`` or ``"tf_keras"``; by default the one that the file's config is written for.
        strict: refuse to give a model to which something of the file is lost.
        report: gets the account of every variable on both sides.

    Raises:
        UsageError: ``live-model``, an unknown framework; ``live-include``, `custom_objects` is no map;
            ``format-unknown``.
        UnsafeError: ``live-code``, the config has code, or names a file to open.
        UnsupportedError: ``live-custom-missing``, with the names of the classes and the modules that use them.
        LimitError: ``limit-unstored``, the config asks for large variables that the file does not store.
        TransferError: ``live-config``, the file has none; ``live-build``, the framework cannot build it;
            ``live-optimizer``; ``not-complete``; a code that begins with ``keras-``.
        MissingExtraError: ``live-framework``, the framework is not installed.
        RejectError: the file is refused.
        StorageError: it cannot be read.
    """
    account = Report() if report is None else report
    return live_load.load(path, custom_objects, compiled=compile, framework=framework, strict=strict, report=account)


def load_weights(
    model: Any,
    path: StrPath | Model,
    *,
    rename: Mapping[str, str] | None = None,
    layers: Collection[str] | None = None,
    skip_mismatch: Collection[str] = (),
    match: Literal["path", "order"] = "path",
    optimizer: bool = False,
    state: bool = False,
    strict: bool = True,
    report: Report | None = None,
) -> Report:
    """Load stored variables into a live model, each to the variable of its path; all of them, or none.

    Args:
        model: a built model of Keras 3 or of tf_keras.
        path: of an artifact or of any format that is read, or an `etui.Model`.
        rename: beginning of a stored path -> what stands there in the model: ``{"old/": "new/"}``; an empty one adds or
            takes away a level.
        layers: paths of modules of the model, or names of layers, to which the load is confined.
        skip_mismatch: paths or names of layers or variables that need not match; they stay as they are.
        match: ``"order"`` gives the variables to the layers in their order, if the layers are the same in order.
        optimizer: restore the optimizer of the compiled model, too: counters, learning rate, and slots by variable.
        state: restore random generators and metrics, too.
        strict: refuse before anything is changed if a variable is missing, unexpected, or of another shape.
        report: is filled instead of a new one.

    Returns:
        The account: every variable of the file and of the model, and what became of it.

    Raises:
        UsageError: ``live-model``, ``live-layers``, ``live-rename``, ``live-include``.
        TransferError: ``live-nothing``, not one variable fits, ``live-order``, ``live-optimizer``, ``live-unbuilt``,
            ``not-complete``; the model is as it was.
        RejectError: the file is refused; the model is as it was.
        StorageError: it cannot be read.
    """
    if match not in ("path", "order"):
        raise error("live-include", found=f"match={shown(match)}", hint='Choices: "path", "order".')
    account = Report() if report is None else report
    matching = Matching(dict(rename or {}), _listed(layers), _listed(skip_mismatch) or (), match == "order")
    live_weights.load_weights(model, path, matching, optimizer=optimizer, state=state, strict=strict, report=account)
    return account


def _listed(names: Collection[str] | None) -> Collection[str] | None:
    """A single name is not a list of letters."""
    return [names] if isinstance(names, str) else names


def clone(model: Any) -> Any:
    """A copy in memory: config, weights, optimizer, random generators, metrics and flags.

    Raises:
        UsageError: ``live-model``.
        TransferError: ``live-config``, ``live-build``, ``not-complete``.
    """
    return live_save.clone(model)


def latest_checkpoint(pattern: StrPath, report: Report | None = None) -> str | None:
    """The path of the artifact that is furthest in training, by the epochs and batches in it, or `None`.

    Args:
        pattern: a folder, or a path with fields as `ModelCheckpoint` takes it.
        report: gets an entry for each file that is not a whole artifact, which is passed over.
    """
    return live_checkpoint.latest_checkpoint(pattern, report)


def resume(
    pattern: StrPath,
    model: Any = None,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    framework: str | None = None,
) -> Resumed | None:
    """Go on from the latest checkpoint: `fit(..., initial_epoch=resumed.initial_epoch)`; `None` if there is none.

    Args:
        pattern: a folder, or a path with fields as `ModelCheckpoint` takes it.
        model: a live model to load into; without it, the model is made of the checkpoint's config.
        custom_objects: as for `load`.
        framework: as for `load`.

    Raises:
        EtuiError: as `load` and `load_weights`.
    """
    return live_checkpoint.resume(pattern, model, custom_objects, framework)


def __getattr__(name: str) -> Any:
    if name != "SeriesCheckpoint":
        raise AttributeError(f"module 'etui.keras' has no attribute {name!r}")
    from etui.checkpoints.keras_callback import SeriesCheckpoint

    globals()[name] = SeriesCheckpoint
    return SeriesCheckpoint


def __dir__() -> list[str]:
    return sorted(__all__)
