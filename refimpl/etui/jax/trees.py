"""Trees of parameters, and the state of their optimizers (SPEC.md N.2 and N.3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from etui.containers.optimizer import Optimizer
from etui.jax.bridge import Names, StrPath, bridge
from etui.model import Model
from etui.report import Report

if TYPE_CHECKING:
    from etui.checkpoints.step import Step


def save_tree(
    tree: Any,
    path: StrPath,
    *,
    opt_state: Any = None,
    optimizer: Optimizer | None = None,
    optimized: str = "",
    step: int | None = None,
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    trainable: Callable[[str, Any], bool] | None = None,
    shard_size: int | None = None,
    report: Report | None = None,
) -> str:
    """Save any pytree of arrays and numbers, with the state of its optimizer: without a config.

    The path of a variable is that of its leaf: keys of dicts, indices of sequences, names of attributes.

    Args:
        tree: the leaves; typed random keys become state.
        path: of a file or, without a suffix, of a folder.
        opt_state: of optax, for the parameters.
        optimizer: what the state is of, see `describe`; without it, the state is kept as data, and continued by
            `load_opt_state` alone.
        optimized: path of the part of the tree that the optimizer has, such as ``"params"``; by default all.
        step: completed updates, for a state that does not count them.
        counters: such as ``{"epoch": 3}``.
        user: values of the caller's own.
        trainable: of the path and the leaf; by default, whether it is of a floating or complex dtype.
        shard_size: bytes of data in one part at most.
        report: gets the account.

    Returns:
        The identity of the artifact.

    Raises:
        TransferError: ``jax-leaf``, a leaf that is no array; ``jax-state``; ``jax-optimizer``.
        InvalidError: ``path-collision``.
        UsageError: ``jax-argument``, nothing is at `optimized`.
        StorageError: the target cannot be written; what was there is as it was.
    """
    identity: str = bridge("state").save_tree(
        tree,
        path,
        opt_state=opt_state,
        optimizer=optimizer,
        optimized=optimized,
        step=step,
        counters=counters,
        user=user,
        trainable=trainable,
        shard_size=shard_size,
        report=Report() if report is None else report,
    )
    return identity


def capture_tree(
    tree: Any,
    *,
    opt_state: Any = None,
    optimizer: Optimizer | None = None,
    optimized: str = "",
    step: int | None = None,
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    trainable: Callable[[str, Any], bool] | None = None,
    report: Report | None = None,
) -> Model:
    """What `save_tree` would write of a pytree, for `etui.save`, a `Series` or an `AsyncSaver`.

    Its tensors fetch the arrays whenever they are asked for, so save it before an update is given their memory.

    Args:
        tree: as for `save_tree`.
        opt_state: as for `save_tree`.
        optimizer: as for `save_tree`.
        optimized: as for `save_tree`.
        step: as for `save_tree`.
        counters: as for `save_tree`.
        user: as for `save_tree`.
        trainable: as for `save_tree`.
        report: gets the account.

    Raises:
        TransferError: ``jax-leaf``; ``jax-state``; ``jax-optimizer``.
        InvalidError: ``path-collision``.
        UsageError: ``jax-argument``.
        MissingExtraError: ``extra-jax``.
    """
    found: Model = bridge("state").captured(
        tree,
        "an etui.Model",
        opt_state=opt_state,
        optimizer=optimizer,
        optimized=optimized,
        step=step,
        counters=counters,
        user=user,
        trainable=trainable,
        report=Report() if report is None else report,
    )
    return found


def load_tree(
    path: StrPath | Model | Step,
    like: Any = None,
    map: Names = None,  # noqa: A002  the name that the other bridges give it
    *,
    cast: bool = False,
    strict: bool = True,
    report: Report | None = None,
) -> tuple[Any, Report]:
    """Load variables into the structure of a tree, each to the leaf of its path.

    Args:
        path: of an artifact or of any format that is read, a model, or a step of a series.
        like: arrays or `jax.ShapeDtypeStruct`, for structure, shapes and dtypes; `None` for nested dicts.
        map: path of a leaf, or its beginning up to a ``/``, -> what is stored; or a function.
        cast: convert to the leaf's dtype.
        strict: refuse if a leaf or a stored variable has no counterpart of its shape and dtype.
        report: gets the account.

    Returns:
        The tree and the account of every leaf and every stored variable.

    Raises:
        TransferError: ``not-complete``; ``jax-leaf``.
        RejectError: the file is refused.
    """
    account = Report() if report is None else report
    return bridge("state").load_tree(path, like, map, cast=cast, strict=strict, report=account), account


def load_optimizer(
    path: StrPath | Model | Step,
    params: Any,
    map: Names = None,  # noqa: A002
    *,
    optimized: str = "",
    stock: bool = False,
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
) -> tuple[Any, Any]:
    """Load a stored optimizer for a tree of parameters.

    Args:
        path: of an artifact or of any format that is read, a model, or a step of a series.
        params: the parameters.
        map: path of a leaf, or its beginning up to a ``/``, -> what is stored; or a function.
        optimized: path of `params` in the tree that was saved.
        stock: as for `load`.
        strict: as for `load`.
        allow: as for `load`.
        report: gets the account.

    Returns:
        An `optax.GradientTransformation` that goes on where the stored optimizer stood, and its state.

    Raises:
        TransferError: ``jax-optimizer``, ``not-complete``.
        RejectError: the file is refused.
    """
    found: tuple[Any, Any] = bridge("state").load_optimizer(
        path,
        params,
        names=map,
        optimized=optimized,
        stock=stock,
        strict=strict,
        allow=allow,
        report=Report() if report is None else report,
    )
    return found


def load_opt_state(
    path: StrPath | Model | Step,
    params: Any,
    opt_state: Any,
    map: Names = None,  # noqa: A002
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    optimized: str = "",
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
) -> Any:
    """Load stored slots and counters into the state of the caller's own optax transformation.

    Args:
        path: of an artifact or of any format that is read, a model, or a step of a series.
        params: the parameters that the state is for.
        opt_state: of `tx.init(params)`.
        map: path of a leaf, or its beginning up to a ``/``, -> what is stored; or a function.
        hyperparameters: of the transformation, where they are others than the stored ones and slots depend on it:
            ``{"momentum_form": "buffer"}`` for `optax.sgd` after an SGD of Keras.
        optimized: path of `params` in the tree that was saved.
        strict: refuse if a slot on either side has no counterpart.
        allow: as for `load`.
        report: gets the account.

    Raises:
        TransferError: ``jax-optimizer``, ``not-complete``.
        RejectError: the file is refused.
    """
    return bridge("state").load_opt_state(
        path,
        params,
        opt_state,
        hyperparameters=hyperparameters,
        names=map,
        optimized=optimized,
        strict=strict,
        allow=allow,
        report=Report() if report is None else report,
    )
