"""The SavedModel format, both ways: folders of tf.keras, tf_keras, Keras 3 and TensorFlow (SPEC.md, annex G)."""

from __future__ import annotations

import os
from pathlib import Path

from etui.bridges.tensorflow.saved_model.read import MAIN, read_saved_model
from etui.bridges.tensorflow.saved_model.write import write_saved_model
from etui.containers.data_writer import Progress
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report

__all__ = ["read", "recognises", "write"]


def recognises(path: Path) -> bool:
    """Whether a folder has the graph file of a SavedModel."""
    return path.is_dir() and (path / MAIN).is_file()


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Translate a SavedModel.

    Args:
        path: the folder.
        report: gets an entry for each variable, slot, asset, program and file.
        limits: refuse what is beyond these.
        native: keep files that are no part of the format.

    Raises:
        RejectError: a code of SPEC.md, annex F or G.
        MissingExtraError: ``extra-tensorflow``.
        StorageError: the folder cannot be read.
    """
    return read_saved_model(path, report, limits, native=native)


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write a SavedModel; the same model gives the same bytes.

    Args:
        model: one with the program of a SavedModel, or a Functional or Sequential model of Keras.
        target: the folder, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while variables are written, as (file name, bytes done, bytes in all).
        limits: of the documents that are read from the program.

    Raises:
        TransferError: ``savedmodel-target``; a code that begins with ``keras-``; ``bundle-target-dtype``;
            ``not-complete``.
        RejectError: ``savedmodel-program``.
        MissingExtraError: ``extra-tensorflow``.
        StorageError: the target cannot be written; what was there is as it was.
    """
    write_saved_model(model, target, report, strict=strict, progress=progress, limits=limits)
