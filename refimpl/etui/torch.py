"""PyTorch: modules from core graphs, and training state in and out (SPEC.md, annex M).

    import etui

    resumed = etui.torch.load("model.etui")              # module, optimizer, scheduler and loss go on from the file
    etui.torch.save(resumed.module, resumed.optimizer, "next.etui")
    etui.torch.load_into(mine, my_optimizer, "model.etui", map={"fc.weight": ("head/kernel", "transpose")})

Importing this module does not import torch; its functions do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from etui.errors import error
from etui.model import Model
from etui.report import Report

if TYPE_CHECKING:
    from etui.bridges.torch.adapters import CoreOptimizer
    from etui.bridges.torch.binding import bindings
    from etui.bridges.torch.distributed import DistributedWriter
    from etui.bridges.torch.distributed_read import DistributedReader
    from etui.bridges.torch.losses import CoreLoss, CoreLosses
    from etui.bridges.torch.schedules import CoreSchedule
    from etui.bridges.torch.state import Resumed

__all__ = [
    "CoreLoss",
    "CoreLosses",
    "CoreOptimizer",
    "CoreSchedule",
    "DistributedReader",
    "DistributedWriter",
    "Resumed",
    "bindings",
    "capture",
    "from_file",
    "load",
    "load_into",
    "save",
    "to_file",
    "to_module",
]

StrPath = str | os.PathLike[str]
Choice = str | tuple[str, Any] | None
_HOMES = {
    "CoreLoss": "losses",
    "CoreLosses": "losses",
    "CoreOptimizer": "adapters",
    "CoreSchedule": "schedules",
    "DistributedReader": "distributed_read",
    "DistributedWriter": "distributed",
    "Resumed": "state",
    "bindings": "binding",
}


def to_module(path: Any, **options: Any) -> Any:
    """A readable `nn.Module` of a model whose ops are of the core vocabulary, or are translated to it.

    Args:
        path: of a file of any format that is read, or an `etui.Model`.
        options: as `etui.bridges.torch.build.to_module` takes them.

    Raises:
        EtuiError: as that function says.
        MissingExtraError: ``extra-torch``.
    """
    return _bridge("build").to_module(path, **options)


def load(
    path: StrPath | Model,
    *,
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
    device: Any = None,
    stock: bool = False,
) -> Resumed:
    """Load a model that goes on training in torch as it would have where it was saved.

    Args:
        path: of a file of any format that is read, or an `etui.Model`, such as the one of a step of a series.
        strict: refuse where anything would be lost.
        allow: statuses that are not refused all the same, such as ``"approximated"``.
        report: gets the account.
        device: for module and optimizer.
        stock: an optimizer of `torch.optim` wherever there is one, with hooks; see M.4.

    Returns:
        The module, and optimizer, scheduler and loss where the file has them. The loss is called with the prediction
        first, as torch calls losses.

    Raises:
        RejectError: the file is refused.
        TransferError: ``not-complete``; a code that begins with ``torch-``.
        MissingExtraError: ``extra-torch``.
        StorageError: it cannot be read.
    """
    account = Report() if report is None else report
    found: Resumed = _bridge("state").load(path, strict=strict, allow=allow, report=account, device=device, stock=stock)
    return found


def save(
    module: Any,
    optimizer: Any,
    path: StrPath,
    *,
    example: tuple[Any, ...] | None = None,
    loss: Any = None,
    scheduler: Any = None,
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    step: int | None = None,
    shard_size: int | None = None,
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
) -> str:
    """Save a module and its optimizer as an artifact, in one step.

    A module of `to_module` or `load` is saved as the model that it came from, with its current weights. Of another
    one the weights are saved, each under the path that its name is (``a.b.weight`` as ``a/b/weight``), tied ones as
    aliases; with the optimizer this is a checkpoint. With an example, such a module is traced, and saved as a model of
    the core vocabulary, which Keras and JAX can run and train.

    Args:
        module: of torch.
        optimizer: over its parameters, or `None`.
        path: of a file or, without a suffix, of a folder.
        example: inputs of a module that its user wrote, one for each argument of `forward`; the size of their first
            axis, the batch, stays free.
        loss: of `load`, or one of `torch.nn`, for the training document.
        scheduler: of the optimizer's rate.
        counters: such as ``{"epoch": 3}``, kept with the state.
        user: values of the caller's own, kept with the state.
        step: updates that were made, for `torch.optim.SGD`, which does not count them.
        shard_size: bytes of data in one part at most.
        strict: refuse to save if anything would be lost.
        allow: statuses that are not refused all the same.
        report: gets the account.

    Returns:
        The identity of the artifact.

    Raises:
        UsageError: ``torch-module-type``.
        TransferError: ``not-complete``; ``torch-trace``, a module that has no core graph.
        RejectError: the model breaks a clause of SPEC.md.
        MissingExtraError: ``extra-torch``.
        StorageError: the target cannot be written; what was there is as it was.
    """
    identity: str = _bridge("state").save(
        module,
        optimizer,
        path,
        example=example,
        loss=loss,
        scheduler=scheduler,
        counters=counters or {},
        user=user or {},
        step=step,
        shard_size=shard_size,
        strict=strict,
        allow=allow,
        report=Report() if report is None else report,
    )
    return identity


def capture(
    module: Any,
    optimizer: Any = None,
    *,
    example: tuple[Any, ...] | None = None,
    loss: Any = None,
    scheduler: Any = None,
    counters: Mapping[str, int] | None = None,
    user: Mapping[str, Any] | None = None,
    step: int | None = None,
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
) -> Model:
    """What `save` would write of a module and its optimizer, for `etui.save`, a `Series` or an `AsyncSaver`.

    Its tensors read those of torch whenever they are asked for, so save it before training goes on.

    Args:
        module: as for `save`.
        optimizer: as for `save`.
        example: as for `save`.
        loss: as for `save`.
        scheduler: as for `save`.
        counters: as for `save`.
        user: as for `save`.
        step: as for `save`.
        strict: refuse if anything would be lost.
        allow: statuses that are not refused all the same.
        report: gets the account.

    Raises:
        UsageError: ``torch-module-type``.
        TransferError: ``not-complete``; ``torch-trace``.
        MissingExtraError: ``extra-torch``.
    """
    found: Model = _bridge("state").captured(
        module,
        optimizer,
        "an etui.Model",
        example=example,
        loss=loss,
        scheduler=scheduler,
        counters=counters or {},
        user=user or {},
        step=step,
        strict=strict,
        allow=allow,
        report=Report() if report is None else report,
    )
    return found


def load_into(
    module: Any,
    optimizer: Any,
    path: StrPath | Model,
    map: Mapping[str, Choice] | Callable[[str], Choice] | None = None,  # noqa: A002  what it is
    *,
    example: tuple[Any, ...] | None = None,
    strict: bool = True,
    allow: Collection[str] = (),
    report: Report | None = None,
) -> Report:
    """Load stored variables, and the state of an optimizer, into objects that the caller made; all of them, or none.

    A tensor of the module gets the variable whose path is its name, or the one that `map` names. Layouts are never
    guessed: where they differ, the map says the transform.

    Args:
        module: of torch.
        optimizer: of the stored rule, over the module's parameters, or `None`.
        path: of a file of any format that is read, or an `etui.Model`, such as the one of a step of a series.
        map: name of a tensor -> path of a variable, or a pair of the path and a transform: ``"transpose"``,
            ``"convolution"`` (``[*spatial, in, out]`` as ``[out, in, *spatial]``), or the axes of the variable in the
            order that torch has them; `None` leaves the tensor as it is. With an example: path of a variable of the
            module's core graph -> path in the file, and no transforms, for the graph knows the layouts; where it names
            none, it is the same path, or the variable of the same role in the file's module of the same path.
        example: inputs of the module, by which it is traced: its variables are those of its core graph.
        strict: refuse before anything is changed if something is missing, unexpected, or of another shape.
        allow: statuses that are not refused all the same.
        report: is filled instead of a new one.

    Returns:
        The account: every variable and slot of the file, every tensor of the module, and what became of it.

    Raises:
        UsageError: ``torch-module-type``, ``torch-map``.
        TransferError: ``not-complete``; ``torch-nothing``; the module is as it was.
        RejectError: the file is refused; the module is as it was.
        MissingExtraError: ``extra-torch``.
        StorageError: it cannot be read.
    """
    account = Report() if report is None else report
    _bridge("state_into").load_into(
        module, optimizer, path, map, example=example, strict=strict, allow=allow, report=account
    )
    return account


def from_file(path: StrPath, *, report: Report | None = None) -> Any:
    """The neutral model of a `.pt` or safetensors file, open; no code of it is run.

    Args:
        path: of the file.
        report: gets the account.

    Raises:
        UsageError: ``format-unknown``.
        RejectError: the file is refused.
        MissingExtraError: ``extra-torch``, for a `.pt` file.
        StorageError: it cannot be read.
    """
    from etui.conversion import read

    return read(path, report=report)[0]


def to_file(
    model: Any, path: StrPath, *, optimizer: Any = None, strict: bool = True, report: Report | None = None
) -> Report:
    """Write a `.pt` or safetensors file, as the suffix says.

    Args:
        model: a module of torch, whose `state_dict` is written, or an `etui.Model`.
        path: of the file, which is replaced in one step.
        optimizer: of a module, for a `.pt` file.
        strict: refuse to write if anything would be lost.
        report: is filled instead of a new one.

    Returns:
        The account.

    Raises:
        UsageError: ``format-unknown``.
        TransferError: ``not-complete``.
        MissingExtraError: ``extra-torch``.
        StorageError: the target cannot be written; what was there is as it was.
    """
    account = Report() if report is None else report
    _bridge("files").to_file(model, path, optimizer=optimizer, strict=strict, report=account)
    return account


def _bridge(name: str) -> Any:
    """A module of the bridge.

    Raises:
        MissingExtraError: ``extra-torch``.
    """
    try:
        return import_module(f"etui.bridges.torch.{name}")
    except ModuleNotFoundError as cause:
        if cause.name != "torch":
            raise
        raise error("extra-torch") from cause


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'etui.torch' has no attribute {name!r}")
    value = getattr(_bridge(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
