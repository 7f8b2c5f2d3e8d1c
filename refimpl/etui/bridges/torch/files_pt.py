"""`.pt` files: `state_dict`s and checkpoints of trainings, read without running anything (SPEC.md, annex M.5)."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etui.bridges.torch.files_names import BUFFERS, MODELS, OPTIMIZERS, path_of
from etui.bridges.torch.files_storages import check_storages
from etui.containers.data_writer import Progress
from etui.containers.optimizer import OptimizerState
from etui.containers.state import State
from etui.containers.weights import Weights
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.zip_foreign import open_zip

_PICKLE = re.compile(r"[^/]+/data\.pkl")
_SAID = re.compile(r"(?:Unsupported|Trying to|Can only|Only|GLOBAL) [^.]*[.\w]*")
# From this version on, `weights_only` keeps a hostile pickle from running code.
_SAFE = (2, 6)
COUNTERS = ("epoch", "epochs", "step", "global_step", "iteration", "batch")
_MOST_ITEMS = 100_000


def recognises(path: Path) -> bool:
    """Whether a file is an archive that torch has saved."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return False
    try:
        with open_zip(path) as archive:
            return any(_PICKLE.fullmatch(name) for name in archive.names())
    except EtuiError:
        return False


def read(
    path: Path,
    report: Report,
    *,
    limits: Limits = DEFAULT_LIMITS,
    native: bool = True,  # noqa: ARG001  it has none
) -> Model:
    """The variables, the optimizer and the counters; see `Translator.read`.

    Raises:
        UnsafeError: ``torch-pickle``, the file asks for more than tensors and plain values.
        MalformedError: ``torch-file``.
        UnsupportedError: ``torch-content``, no `state_dict` is in it.
        MissingExtraError: ``extra-torch``.
    """
    content = _content(path, limits)
    if not isinstance(content, Mapping):
        raise error("torch-content", where=str(path), found=shown(type(content).__name__))
    if _is_state_dict(content):
        return Model(weights=_weights(content, str(path), report, limits))
    key = next((name for name in MODELS if _is_state_dict(content.get(name))), None)
    if key is None:
        raise error("torch-content", where=str(path), found=f"a map of {shown(sorted(map(str, content))[:8])}")
    held = content[key]
    model = Model(weights=_weights(held, str(path), report, limits))
    found = next((name for name in OPTIMIZERS if isinstance(content.get(name), Mapping)), None)
    if found is not None:
        from etui.bridges.torch.files_optimizer import read_state

        optimizer = read_state(content[found], held, report)
        model.optimizer = None if optimizer is None else OptimizerState({"optimizer": optimizer})
    model.state = _state({name: value for name, value in content.items() if name not in {key, found}}, report)
    return model


def _content(path: Path, limits: Limits) -> Any:
    """What the file holds: tensors, mapped, and plain values."""
    where = str(path)
    with open_zip(path, limits) as archive:
        names = archive.names()
        sizes = {name: size for name, size in names.items() if _PICKLE.fullmatch(name)}
        if len(sizes) != 1:
            raise error("torch-file", where=where, found=f"{len(sizes)} pickles")
        ((member, size),) = sizes.items()
        if size > limits.document_bytes:
            raise error("limit-document", where=where, found=f"{member} of {size} bytes")
        folder = member.partition("/")[0]
        if f"{folder}/constants.pkl" in names:
            raise error("torch-content", where=where, found="a TorchScript program")
        check_storages(archive.source(member).read(0, size), folder, names, where)
    torch = _torch()
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as cause:
        raise error("torch-pickle", where=where, found=_reason(cause)) from cause
    except Exception as cause:  # torch raises whatever its reader meets in a broken file
        raise error("torch-file", where=where, found=_reason(cause)) from cause


def _reason(cause: Exception) -> str:
    """What torch says of a file, without its advice to trust it."""
    text = " ".join(str(cause).split())
    found = _SAID.search(text)
    return shown(found[0] if found else text.partition(". ")[0], 160)


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as cause:
        raise error("extra-torch") from cause
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < _SAFE:
        raise error("extra-torch", found=f"version {torch.__version__}, which does not read such files safely")
    return torch


def _is_state_dict(thing: Any) -> bool:
    """Whether a thing maps names to tensors."""
    if not isinstance(thing, Mapping) or not thing:
        return False
    return all(isinstance(name, str) and type(value).__module__.startswith("torch") for name, value in thing.items())


def _weights(held: Mapping[str, Any], where: str, report: Report, limits: Limits) -> Weights:
    """The tensors of a `state_dict` as variables; those that share memory, in the same shape, are aliases."""
    from etui.bridges.torch.state_places import dtype_name, lazy

    weights = Weights()
    owners: dict[Any, str] = {}
    for name, tensor in held.items():
        path = path_of(name)
        _check_tensor(tensor, f"{where}, {shown(name)}", limits)
        memory = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride())
        if tensor.numel() and memory in owners:
            weights.aliases[path] = owners[memory]
            report.add("variable", path, "aliased", f"shares the memory of {owners[memory]}")
            continue
        owners[memory] = path
        role = name.rpartition(".")[2]
        trains = dtype_name(tensor).startswith(("bfloat", "float")) and role not in BUFFERS
        weights.add(path, lazy(tensor), role=role, trainable=trains)
        report.add("variable", path, "restored", "")
    return weights


def _check_tensor(tensor: Any, where: str, limits: Limits) -> None:
    """Refuse what is no plain tensor in memory, and what would grow when it is copied."""
    from etui import dtypes
    from etui.bridges.torch.state_places import dtype_name

    torch = _torch()
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise error("torch-content", where=where, found="a tensor that is sparse, or has no elements in the file")
    if len(tensor.shape) > limits.rank:
        raise error("limit-rank", where=where, found=f"{len(tensor.shape)} dimensions")
    name = dtype_name(tensor)
    if name not in dtypes.DTYPES:
        raise error("torch-content", where=where, found=f"a tensor of {name}")
    dtypes.check_size(name, tuple(tensor.shape), where, limits)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise error("torch-file", where=where, found=f"a tensor of {list(tensor.shape)} in fewer elements")


def _state(rest: Mapping[Any, Any], report: Report) -> State | None:
    """Counters, and what else a checkpoint holds as plain values, which is kept."""
    state = State()
    kept: dict[str, Any] = {}
    left = [_MOST_ITEMS]
    for name, value in rest.items():
        if name in COUNTERS and type(value) is int and value >= 0:
            state.counters[name] = value
            report.add("state", f"counters/{name}", "restored", "")
        elif isinstance(name, str) and _is_plain(value, left):
            kept[name] = _plain(value)
            report.add("state", name, "data-only", "kept, and written to files of torch again")
        else:
            report.add("state", shown(name), "not-transferable", f"{type(value).__name__}, which is no plain value")
    if kept:
        state.residue["torch"] = kept
    return state if state.counters or kept else None


def _is_plain(value: Any, left: list[int], depth: int = 0) -> bool:
    """Whether a value is made of numbers, texts, lists and maps; shared parts count each time they are met."""
    left[0] -= 1
    if left[0] < 0 or depth > 16:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(one, left, depth + 1) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(one, left, depth + 1) for one in value)
    return value is None or type(value) in {bool, int, float, str}


def _plain(value: Any) -> Any:
    """A plain value of Python's own types."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(one) for one in value)
    return value


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,  # noqa: ARG001  torch writes the file in one go
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001  a file of torch has no documents
) -> None:
    """Write a `state_dict`, or a checkpoint with one; see `Translator.write`.

    Raises:
        TransferError: ``torch-nothing``, no variables; ``not-complete``.
        MissingExtraError: ``extra-torch``.
    """
    _torch()
    from etui.bridges.torch.files import write_model

    write_model(model, target, report, strict=strict)
