"""Arrays that several processes have, saved and loaded together (SPEC.md R.4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from etui.containers.optimizer import Optimizer
from etui.errors import error
from etui.jax.bridge import Names, StrPath, bridge
from etui.jax.trees import capture_tree
from etui.model import Model
from etui.report import Report

if TYPE_CHECKING:
    from etui.checkpoints.places import Place
    from etui.checkpoints.series import Series
    from etui.checkpoints.step import Step
    from etui.containers.data_writer import Progress


def save_distributed(
    tree: Any,
    target: StrPath | Series,
    *,
    number: int | None = None,
    metrics: Mapping[str, float] | None = None,
    replace: bool = False,
    opt_state: Any = None,
    optimizer: Optimizer | None = None,
    optimized: str = "",
    step: int | None = None,
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    trainable: Callable[[str, Any], bool] | None = None,
    shard_size: int | None = None,
    timeout: float = 300.0,
    progress: Progress | None = None,
    report: Report | None = None,
) -> str:
    """Save what several processes have on their devices as one artifact; each of them calls this with its own view.

    Each box of an array is written once, by a process that has it, and no array is put together anywhere. What a
    process has for itself alone, such as a number, must be the same for all of them. One process, with one device or
    several, is as good.

    What was at the target stays until every process has written and process 0 has committed. If a process fails, all
    get an error; if one dies, the others get theirs after `timeout`. JAX itself ends a program some time after one of
    its processes died (`heartbeat_timeout_seconds` of `jax.distributed.initialize`, 100 by default), and at once if
    that is process 0: what was at the target stays then, too.

    Args:
        tree: as for `save_tree`; or a model, such as `capture` gives, or a live model of Keras on JAX.
        target: path of a folder that all processes reach, for the directory form; or a series of checkpoints that they
            reach, each by an object of its own.
        number: of the step in the series.
        metrics: of the step in the series.
        replace: whether a step of that number in the series is replaced.
        opt_state: as for `save_tree`.
        optimizer: as for `save_tree`.
        optimized: as for `save_tree`.
        step: as for `save_tree`.
        counters: as for `save_tree`.
        user: as for `save_tree`.
        trainable: as for `save_tree`.
        shard_size: bytes of data in one part at most.
        timeout: seconds after which a process that gives no sign of life counts as gone.
        progress: called as (part name, bytes done, bytes in all) of this process.
        report: gets the account of all variables, whoever writes them.

    Returns:
        The identity of the artifact, the same on each process.

    Raises:
        TransferError: ``distributed-differs``, processes that do not save the same; as `save_tree`.
        StorageError: ``distributed-timeout``, a process that is gone; ``distributed-process``, one that failed;
            the target cannot be written. What was there is as it was.
        UsageError: ``distributed-processes``, JAX runs without `jax.distributed`; ``jax-argument``; of a series,
            ``series-exists`` and what `Series.save` says.
    """
    from etui.bridges.keras.live.framework import framework_of

    account = Report() if report is None else report
    made_by = bridge("distributed")
    options: dict[str, Any] = {"opt_state": opt_state, "optimizer": optimizer, "optimized": optimized, "step": step}
    options |= {"counters": counters, "user": user, "trainable": trainable}

    def make() -> Model:
        whole = isinstance(tree, Model)
        if not whole and framework_of(tree) is None:
            options["opt_state"] = made_by.gathered(opt_state)
            return capture_tree(made_by.gathered(tree), **options, report=account)
        kept = () if whole else ("counters", "user")
        for name, value in options.items():
            if name not in kept and value not in (None, ""):
                raise error("jax-argument", found=f"a model and {name}", hint="Pass a tree, or leave it out.")
        if isinstance(tree, Model):
            return tree
        from etui import keras

        return keras.capture(tree, counters=counters, user=user, report=account)

    def begin() -> Place:
        if isinstance(target, str | os.PathLike):
            if number is not None or metrics or replace:
                raise error("jax-argument", found="`number`, `metrics` or `replace` without a series")
            place: Place = made_by.folder(target)
            return place
        from etui.checkpoints.series_place import SeriesPlace

        if number is None:
            raise error("jax-argument", found="a series without `number`")
        return SeriesPlace.begin(target, number, metrics=metrics, replace=replace)

    identity: str = made_by.save(make, begin, shard_size=shard_size, timeout=timeout, progress=progress)
    return identity


def load_distributed(
    source: StrPath | Model | Step,
    like: Any = None,
    map: Names = None,  # noqa: A002  the name that the other bridges give it
    *,
    mesh: Any = None,
    specs: Any = None,
    cast: bool = False,
    strict: bool = True,
    report: Report | None = None,
) -> tuple[Any, Report]:
    """Load variables onto devices of one or more processes; each reads what its own devices are to have.

    How the stored arrays were spread makes no difference: any box is put together of the chunks that meet it.

    Args:
        source: of an artifact or of any format that is read, a model, or a step of a series.
        like: arrays or `jax.ShapeDtypeStruct`, for structure, shapes, dtypes and shardings; `None` for nested dicts.
        map: path of a leaf, or its beginning up to a ``/``, -> what is stored; or a function.
        mesh: of devices, to spread the variables over; it goes before the shardings of `like`.
        specs: how: a `PartitionSpec` for all, a tree of them of the structure of the variables or of its upper part, or
            a function of path and shape. What it says nothing of, each device has.
        cast: convert to the leaf's dtype.
        strict: refuse if a leaf or a stored variable has no counterpart of its shape and dtype.
        report: gets the account.

    Returns:
        The tree and the account of every leaf and every stored variable. Without `like` and `mesh`, the leaves are
        arrays of NumPy on the host. `load_opt_state` and `load_optimizer` load the state of the optimizer, spread as
        that of ``tx.init(params)`` is.

    Raises:
        TransferError: ``not-complete``; ``jax-leaf``; ``jax-sharding``, a sharding that an array cannot have.
        UsageError: ``jax-argument``, `specs` without `mesh`, or for no variable.
        RejectError: the file is refused.
    """
    account = Report() if report is None else report
    load = bridge("distributed_load").load
    return load(source, like, map, mesh=mesh, specs=specs, cast=cast, strict=strict, report=account), account
