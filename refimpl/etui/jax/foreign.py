"""Flax and Orbax (SPEC.md N.2 and N.4)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from etui.containers.optimizer import Optimizer
from etui.jax.bridge import Names, StrPath, bridge
from etui.model import Model
from etui.report import Report


def from_linen(variables: Any, report: Report | None = None) -> Model:
    """The variables of a linen module as a model without a config; ``params`` are trainable, other collections are not.

    `load_tree(path, like=variables)` is the way back.

    Raises:
        TransferError: ``jax-leaf``.
    """
    model: Model = bridge("flax").from_linen(variables, Report() if report is None else report)
    return model


def from_nnx(
    module: Any, *, optimizer: Any = None, description: Optimizer | None = None, report: Report | None = None
) -> Model:
    """The variables of an NNX module as a model without a config; its random streams are state.

    Args:
        module: of NNX; a variable at several places counts once, at the first.
        optimizer: an `nnx.Optimizer` of the module, or `None`.
        description: what that is, see `describe`.
        report: gets the account.

    Raises:
        TransferError: ``jax-leaf``.
        UsageError: ``jax-argument``, no NNX module.
        MissingExtraError: ``extra-flax``.
    """
    account = Report() if report is None else report
    model: Model = bridge("flax").from_nnx(module, account, optimizer=optimizer, description=description)
    return model


def load_into_nnx(
    module: Any,
    path: StrPath | Model,
    map: Names = None,  # noqa: A002
    *,
    optimizer: Any = None,
    cast: bool = False,
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
) -> Report:
    """Load stored variables and random streams into an NNX module; all of them, or none.

    Args:
        module: of NNX.
        path: of an artifact or of any format that is read, or a model.
        map: path in the module, or its beginning up to a ``/``, -> what is stored; or a function.
        optimizer: an `nnx.Optimizer` of the module, whose state is loaded, too.
        cast: convert to the variable's dtype.
        strict: refuse before anything is changed if something has no counterpart.
        allow: as for `load`.
        report: is filled instead of a new one.

    Raises:
        TransferError: ``not-complete``; the module is as it was.
        UsageError: ``jax-argument``, no NNX module.
    """
    account = Report() if report is None else report
    bridge("flax").load_into_nnx(
        module, path, map, optimizer=optimizer, cast=cast, strict=strict, allow=allow, report=account
    )
    return account


def from_orbax(path: StrPath, report: Report | None = None) -> Model:
    """Read an Orbax checkpoint of one tree, without its program; the variables have the paths of its leaves.

    Raises:
        RejectError: the folder is refused.
        MissingExtraError: ``extra-orbax``.
    """
    from etui.limits import DEFAULT_LIMITS

    account = Report() if report is None else report
    model: Model = bridge("orbax").read_folder(path, account, DEFAULT_LIMITS)
    return model


def to_orbax(model: Model, path: StrPath, *, strict: bool = True, report: Report | None = None) -> Report:
    """Write a model's variables, and the state of its optimizer, as an Orbax checkpoint of one tree.

    Raises:
        TransferError: ``not-complete``.
        StorageError: the target cannot be written.
        MissingExtraError: ``extra-orbax``.
    """
    account = Report() if report is None else report
    bridge("orbax").write(model, path, account, strict=strict)
    return account
