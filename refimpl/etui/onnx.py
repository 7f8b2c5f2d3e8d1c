"""ONNX: runnable programs beside the weights that they run on (SPEC.md, chapter 17.2 and annex T).

    import etui

    etui.onnx.export("model.etui")                       # adds programs/onnx; its weights are those of the artifact
    etui.onnx.add("model.etui", "exported.onnx")         # takes in what Keras or PyTorch exported
    session = etui.onnx.session("model.etui")            # an onnxruntime.InferenceSession over the mapped file
    session.run(None, {"input": x})

Importing this module imports neither onnx nor onnxruntime; its functions do.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report

__all__ = ["add", "export", "session", "supported"]

StrPath = str | os.PathLike[str]
_KIND = "onnx"


def export(
    source: StrPath | Model,
    target: StrPath | None = None,
    *,
    name: str = _KIND,
    replace: bool = False,
    form: Literal["packed", "directory"] | None = None,
    shard_size: int | None = None,
    report: Report | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str | None:
    """Make a program of ONNX that computes what a model does, on the weights of the artifact: they are stored once.

    The program computes floats in float32, and takes sizes that the model leaves open as they come.

    Args:
        source: an artifact, to which the program is added in one step; with `target`, a file of any format that is
            read; or a model in memory.
        target: where to write the artifact with the program; the source stays as it is. By default, it is added there.
        name: of the program.
        replace: take the place of a program of that name.
        form: of the target; by default what its name says.
        shard_size: of the target: bytes of data in one data part at most.
        report: gets an entry for each module and variable.
        limits: refuse what is beyond these.

    Returns:
        The identity of the artifact; `None` for a model in memory without a target, which gets the program.

    Raises:
        TransferError: ``onnx-op``, ``onnx-shape``, ``onnx-tensor``, ``onnx-build``, what a program cannot say.
        UsageError: ``program-exists``; ``program-name``; ``program-artifact``, a source that is no artifact.
        MissingExtraError: ``extra-onnx``.
        RejectError: the source is refused.
        StorageError: it cannot be read or written; what was there is as it was.
    """
    from etui import programs

    account = _account(report, source, name)
    if target is None:
        return programs.add(source, _KIND, name, replace=replace, report=account, limits=limits)
    from etui.conversion import read
    from etui.saving import save

    opened = source if isinstance(source, Model) else read(source, limits=limits)[0]
    # The caller's model stays as it is.
    model = dataclasses.replace(opened, programs=dict(opened.programs))
    try:
        programs.add(model, _KIND, name, replace=replace, report=account, limits=limits)
        return save(model, target, form=form, shard_size=shard_size, limits=limits)
    finally:
        if opened is not source:
            opened.close()


def add(
    artifact: StrPath | Model,
    file: StrPath,
    *,
    name: str = _KIND,
    replace: bool = False,
    report: Report | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str | None:
    """Take in an ONNX file that other software made, such as `model.export(…, format="onnx")` or `torch.onnx.export`.

    An initializer whose bytes are those of a variable, as they are or with its axes in another order, is pointed at the
    artifact's weights; all others are kept in the program. Nothing of the file is run.

    Args:
        artifact: to which the program is added in one step; or a model in memory, which gets it.
        file: the ONNX file; its external data lies beside it or below.
        name: of the program.
        replace: take the place of a program of that name.
        report: gets an entry for each initializer of some size.
        limits: refuse what is beyond these.

    Returns:
        The identity of the artifact; `None` for a model in memory.

    Raises:
        RejectError: ``onnx-form``; ``onnx-data``, external data elsewhere; ``onnx-domain``, operators that are not of
            ONNX; the artifact is refused.
        UsageError: ``onnx-file``; ``program-exists``; ``program-name``; ``program-artifact``.
        MissingExtraError: ``extra-onnx``.
        StorageError: one cannot be read or written; the artifact is as it was.
    """
    from etui import programs

    account = _account(report, file, name)
    return programs.add(artifact, _KIND, name, source=file, replace=replace, report=account, limits=limits)


def session(
    artifact: StrPath | Model,
    name: str | None = None,
    *,
    providers: Sequence[Any] | None = None,
    options: Any = None,
    stale: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """An `onnxruntime.InferenceSession` of a program, over the bytes of the artifact as they lie in its file or folder.

    Each tensor is checked against its digest, and then mapped by onnxruntime from the artifact's own file, packed or
    not; what is in memory or behind a URL is copied. The session stays valid when the artifact is closed.

    Args:
        artifact: a path or URL, or a model.
        name: of the program; by default the only one of this kind.
        providers: as onnxruntime takes them; by default the processor alone.
        options: an `onnxruntime.SessionOptions`.
        stale: take a program that was made of another config or other weights, too (G-3).
        limits: refuse what is beyond these.

    Raises:
        UsageError: ``program-missing``, no such program, or several.
        TransferError: ``program-stale``.
        RejectError: ``onnx-form``, ``onnx-data``, ``onnx-domain``; the artifact is refused.
        IntegrityError: ``digest-mismatch``.
        StorageError: it cannot be read; ``program-failed``, onnxruntime does not take the program.
        MissingExtraError: ``extra-onnx``.
    """
    from etui.artifact import open_model

    opened = artifact if isinstance(artifact, Model) else open_model(os.fspath(artifact), limits=limits)
    try:
        found = _current(opened, name, limits, stale=stale)
        made: Any = import_module("etui.bridges.onnx.session")
        return made.new_session(opened, found, providers=providers, options=options, limits=limits)
    finally:
        if opened is not artifact:
            opened.close()


def _account(report: Report | None, source: StrPath | Model, name: str) -> Report:
    """The report, with what it is about, unless that is said already."""
    account = Report() if report is None else report
    account.source = account.source or ("a model" if isinstance(source, Model) else os.fspath(source))
    account.target = account.target or f"programs/{name}"
    return account


def _current(model: Model, name: str | None, limits: Limits, *, stale: bool) -> str:
    """The name of the program to take, which is one of ONNX and belongs to the model."""
    from etui.programs.listing import facts_of, kind_of, names_of

    if name is None:
        kinds = {one: kind_of(model, one)[0] for one in names_of(model)}
        found = [one for one, kind in kinds.items() if kind is not None and kind.name == _KIND]
        if len(found) != 1:
            raise error("program-missing", found=f"no one program of ONNX: {shown(found)}", hint="Name it.")
        (name,) = found
    kind, facts = facts_of(model, name, limits)
    if kind.name != _KIND:
        raise error("program-missing", where=f"programs/{name}", found=f"a program of the kind {kind.name}")
    if facts.stale and not stale:
        raise error("program-stale", where=f"programs/{name}", found=facts.stale)
    kind.translator.check_installed()
    return name


def supported() -> Mapping[str, str]:
    """Every op of the core vocabulary: what of it a program of ONNX cannot say, in words, or an empty text.

    Raises:
        MissingExtraError: ``extra-onnx``.
    """
    from etui.bridges.onnx.require import onnx_package

    onnx_package()
    table: Any = import_module("etui.bridges.onnx.support")
    found: Mapping[str, str] = table.limits_of_ops()
    return found
