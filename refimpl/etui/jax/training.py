"""Models in JAX: functions of core models, and training that goes on (SPEC.md, annex N)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from etui.containers.optimizer import Optimizer
from etui.jax.bridge import StrPath, bridge
from etui.model import Model
from etui.report import Report

if TYPE_CHECKING:
    from etui.bridges.jax.functions import Function
    from etui.bridges.jax.resume import Resumed


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
    made: Function = bridge("resume").function_of(source, dtype=dtype, strict=strict, report=account)
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
    resume = bridge("resume")
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
    resume = bridge("resume")
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
    found: Model = bridge("resume").captured(
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
    made: Optimizer = bridge("optax_read").described(algorithm, hyperparameters, schedule, clock)
    return made


def loss_scale(opt_state: Any) -> Any:
    """By what the loss is multiplied before its gradients are taken, for a state with dynamic loss scaling; else 1."""
    return bridge("wrappers").loss_scale(opt_state)
