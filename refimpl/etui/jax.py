"""JAX: functions from core models, optimizers of optax that go on, trees of parameters (SPEC.md, annex N).

    import etui

    resumed = etui.jax.load("model.etui")                     # a pure function, its parameters, an optimizer of optax
    updates, opt_state = resumed.tx.update(gradients, resumed.opt_state, params)
    params = optax.apply_updates(params, updates)
    etui.jax.save(resumed, params, state, opt_state, "model.etui")

    etui.jax.save_tree(params, "params.etui")                 # any pytree, of Flax or of nothing
    params, report = etui.jax.load_tree("params.etui", like=params)

Importing this module imports no framework.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from etui.containers.optimizer import Optimizer
from etui.errors import error
from etui.model import Model
from etui.report import Report

if TYPE_CHECKING:
    from etui.bridges.jax.functions import Function
    from etui.bridges.jax.resume import Resumed
    from etui.checkpoints.places import Place
    from etui.checkpoints.series import Series
    from etui.checkpoints.step import Step
    from etui.containers.data_writer import Progress

__all__ = [
    "capture",
    "capture_tree",
    "describe",
    "from_linen",
    "from_nnx",
    "from_orbax",
    "load",
    "load_distributed",
    "load_into_nnx",
    "load_opt_state",
    "load_optimizer",
    "load_tree",
    "loss_scale",
    "save",
    "save_distributed",
    "save_tree",
    "to_function",
    "to_orbax",
]

StrPath = str | os.PathLike[str]
Names = Mapping[str, str] | Callable[[str], str | None] | None


def to_function(
    source: StrPath | Model, *, dtype: str | None = None, strict: bool = True, report: Report | None = None
) -> Function:
    """Make a pure function of a model in any known format, with its variables as JAX arrays.

    Args:
        source: a file or folder of a known format, or a model; a model stays open, and its variables are copied.
        dtype: cast all real variables and compute everything in it; by default what the file and its modules say.
        strict: refuse what was lost on the way.
        report: gets the account of every variable and of the modules.

    Raises:
        TransferError: ``jax-op``, the model has an op that JAX cannot run or that is not core; ``jax-parts``, it has no
            config or no weights; ``jax-variables``, a variable that JAX has no dtype for; ``not-complete``.
        RejectError: the file is refused.
        UsageError: ``format-unknown``.
        MissingExtraError: ``extra-jax``.
    """
    account = Report() if report is None else report
    made: Function = _bridge("resume").function_of(source, dtype=dtype, strict=strict, report=account)
    return made


def load(
    path: StrPath | Model,
    *,
    dtype: str | None = None,
    stock: bool = False,
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
) -> Resumed:
    """Load a model so that it goes on training where the stored one stood.

    `tx` continues the stored optimizer inside of `jax.jit`, with its schedule, clipping, decay, accumulation, averages
    and constraints; `optax.apply_updates(params, updates)` gives the next parameters.

    Args:
        path: of an artifact or of any format that is read, or a model.
        dtype: cast all real variables and compute everything in it.
        stock: use optax's own update rules, with the classes of transfer that the report names.
        strict: refuse what was lost, and what is not exact.
        allow: statuses that strict lets pass, such as ``approximated``.
        report: gets the account; the result has it, too.

    Raises:
        TransferError: ``jax-optimizer``, an optimizer that cannot be expressed; ``not-complete``; as `to_function`.
        RejectError: the file is refused.
        UsageError: ``format-unknown``.
        MissingExtraError: ``extra-jax``.
    """
    resume = _bridge("resume")
    account = Report() if report is None else report
    found: Resumed = resume.load(path, dtype=dtype, stock=stock, strict=strict, allow=allow, report=account)
    return found


def save(
    function: Any,
    params: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None,
    opt_state: Any,
    path: StrPath,
    *,
    optimizer: Optimizer | None = None,
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    shard_size: int | None = None,
    report: Report | None = None,
) -> str:
    """Save a function, or what `load` gave, with its variables and the state of its optimizer, in one step.

    The config, the losses and the roles are those of the model that the function was made of.

    Args:
        function: of `to_function`, or the result of `load`.
        params: trainable variables by path; `None` for those that the function was made with.
        state: other variables by path.
        opt_state: of optax, or `None`.
        path: of a file or, without a suffix, of a folder.
        optimizer: algorithm, hyperparameters and schedule in the words of the core vocabulary, see `describe`; by
            default those that `load` gave. A state of optax alone does not tell them.
        counters: such as ``{"epoch": 3}``, kept with the state.
        user: values of the caller's own, kept with the state.
        shard_size: bytes of data in one part at most.
        report: gets the account.

    Returns:
        The identity of the artifact.

    Raises:
        UsageError: ``jax-argument``, no function.
        TransferError: ``jax-variables``, not the variables of the model; ``jax-state``, a state that contradicts
            itself; ``jax-leaf``.
        StorageError: the target cannot be written; what was there is as it was.
    """
    resume = _bridge("resume")
    identity: str = resume.save(
        function,
        params,
        state,
        opt_state,
        path,
        optimizer=optimizer,
        counters=counters,
        user=user,
        shard_size=shard_size,
        report=Report() if report is None else report,
    )
    return identity


def capture(
    function: Any,
    params: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None = None,
    opt_state: Any = None,
    *,
    optimizer: Optimizer | None = None,
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> Model:
    """What `save` would write of a function, for `etui.save`, a `Series` or an `AsyncSaver`.

    Its tensors fetch the arrays whenever they are asked for, so save it before an update is given their memory.

    Args:
        function: as for `save`.
        params: as for `save`.
        state: as for `save`.
        opt_state: as for `save`.
        optimizer: as for `save`.
        counters: as for `save`.
        user: as for `save`.
        report: gets the account.

    Raises:
        UsageError: ``jax-argument``.
        TransferError: ``jax-variables``; ``jax-state``; ``jax-leaf``.
        MissingExtraError: ``extra-jax``.
    """
    found: Model = _bridge("resume").captured(
        function,
        params,
        state,
        opt_state,
        "an etui.Model",
        optimizer=optimizer,
        counters=counters,
        user=user,
        report=Report() if report is None else report,
    )
    return found


def describe(
    algorithm: str, hyperparameters: Mapping[str, Any] | None = None, *, schedule: Any = None, clock: str = "step"
) -> Optimizer:
    """An optimizer of the core vocabulary by its name and hyperparameters, for `save` and `save_tree`.

    Args:
        algorithm: ``"adam"`` or ``"core:adam"``.
        hyperparameters: those that differ from the vocabulary's defaults, which are Keras'. For `optax.adam(1e-3)`:
            ``{"learning_rate": 1e-3, "epsilon": 1e-8, "epsilon_mode": "corrected"}``.
        schedule: of the rate, an `etui.canonical.values.ObjectValue` of a class ``core:schedules.*``.
        clock: what the schedule counts: ``"step"`` or ``"micro_step"``.

    Raises:
        TransferError: ``jax-optimizer``, an unknown algorithm or hyperparameter.
        MissingExtraError: ``extra-jax``.
    """
    made: Optimizer = _bridge("optax_read").described(algorithm, hyperparameters, schedule, clock)
    return made


def loss_scale(opt_state: Any) -> Any:
    """By what the loss is multiplied before its gradients are taken, for a state with dynamic loss scaling; else 1."""
    return _bridge("wrappers").loss_scale(opt_state)


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
    identity: str = _bridge("state").save_tree(
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
    found: Model = _bridge("state").captured(
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
    return _bridge("state").load_tree(path, like, map, cast=cast, strict=strict, report=account), account


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
    bridge = _bridge("distributed")
    options: dict[str, Any] = {"opt_state": opt_state, "optimizer": optimizer, "optimized": optimized, "step": step}
    options |= {"counters": counters, "user": user, "trainable": trainable}

    def make() -> Model:
        whole = isinstance(tree, Model)
        if not whole and framework_of(tree) is None:
            options["opt_state"] = bridge.gathered(opt_state)
            return capture_tree(bridge.gathered(tree), **options, report=account)
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
            place: Place = bridge.folder(target)
            return place
        from etui.checkpoints.series_place import SeriesPlace

        if number is None:
            raise error("jax-argument", found="a series without `number`")
        return SeriesPlace.begin(target, number, metrics=metrics, replace=replace)

    identity: str = bridge.save(make, begin, shard_size=shard_size, timeout=timeout, progress=progress)
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
    load = _bridge("distributed_load").load
    return load(source, like, map, mesh=mesh, specs=specs, cast=cast, strict=strict, report=account), account


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
    found: tuple[Any, Any] = _bridge("state").load_optimizer(
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
    return _bridge("state").load_opt_state(
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


def from_linen(variables: Any, report: Report | None = None) -> Model:
    """The variables of a linen module as a model without a config; ``params`` are trainable, other collections are not.

    `load_tree(path, like=variables)` is the way back.

    Raises:
        TransferError: ``jax-leaf``.
    """
    model: Model = _bridge("flax").from_linen(variables, Report() if report is None else report)
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
    model: Model = _bridge("flax").from_nnx(module, account, optimizer=optimizer, description=description)
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
    _bridge("flax").load_into_nnx(
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
    model: Model = _bridge("orbax").read_folder(path, account, DEFAULT_LIMITS)
    return model


def to_orbax(model: Model, path: StrPath, *, strict: bool = True, report: Report | None = None) -> Report:
    """Write a model's variables, and the state of its optimizer, as an Orbax checkpoint of one tree.

    Raises:
        TransferError: ``not-complete``.
        StorageError: the target cannot be written.
        MissingExtraError: ``extra-orbax``.
    """
    account = Report() if report is None else report
    _bridge("orbax").write(model, path, account, strict=strict)
    return account


def _bridge(name: str) -> Any:
    """A module of the bridge.

    Raises:
        MissingExtraError: ``extra-jax``, ``extra-flax`` or ``extra-orbax``, what it needs is not installed.
    """
    from importlib import import_module
    from importlib.util import find_spec

    needs = {"flax": ("jax", "flax"), "orbax": ("orbax",), "distributed": ("jax",), "distributed_load": ("jax",)}.get(
        name, ("jax", "optax")
    )
    for package in needs:
        if find_spec(package) is None:
            raise error(f"extra-{package}" if package in ("flax", "orbax") else "extra-jax", found=package)
    return import_module(f"etui.bridges.jax.{name}")


def __getattr__(name: str) -> Any:
    if name == "Resumed":
        return _bridge("resume").Resumed
    if name == "Function":
        return _bridge("functions").Function
    raise AttributeError(f"module 'etui.jax' has no attribute {name!r}")
