"""A neutral model to a SavedModel folder (SPEC.md, annex G.5)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from etui.bridges.keras.account import EVERYTHING, Scope, account
from etui.bridges.keras.model_write import Writing
from etui.bridges.tensorflow.arrays import outgoing
from etui.bridges.tensorflow.saved_model import program as program_file
from etui.bridges.tensorflow.saved_model.minimal import Minimal
from etui.bridges.tensorflow.saved_model.program import Program, read_program
from etui.bridges.tensorflow.saved_model.read import ASSETS, MAIN, NATIVE, VARIABLES, compiled_digest
from etui.bridges.tensorflow.saved_model.training import with_training
from etui.bridges.tensorflow.saved_model.variables import kept_tensors
from etui.containers.data_writer import Progress
from etui.containers.tensors import Tensor
from etui.errors import TransferError, error
from etui.limits import Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.foreign_folder import replace_folder
from etui.storage.part_names import unescape
from etui.storage.tf_bundle_writer import Outgoing, write_into

_METADATA = "keras_metadata.pb"
_RATE = ("rate", "optimizer")
_OPTIMIZER, _SCALED = "optimizer/vars/", "optimizer/inner_optimizer/vars/"


@dataclass(slots=True)
class Folder:
    """What is to be written.

    Attributes:
        files: path below the folder with its bytes.
        tensors: of the variables' bundle.
    """

    files: dict[str, bytes | Blob]
    tensors: list[Outgoing]


def write_saved_model(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None,
    limits: Limits,
) -> None:
    """Write a SavedModel: over the model's own program where that is current, else one that tf_keras rebuilds.

    Raises:
        TransferError: ``savedmodel-target``, no form for the model; a code that begins with ``keras-``;
            ``bundle-target-dtype``; ``not-complete``.
        RejectError: ``savedmodel-program``, the model's program is not one.
        StorageError: the target cannot be written; what was there is as it was.
    """
    program = read_program(model, limits)
    reason = "no program" if program is None else stale(model, program)
    if program is not None and not reason:
        folder = _with_program(model, program, report, limits)
    else:
        if program is not None:
            report.add("program", program_file.MAIN, "stale", reason)
        folder = _rebuilt(model, report, reason)
    if strict:
        report.require_complete()
    _put(target, folder, progress)


def write_to_run(model: Model, program: Program, target: str | os.PathLike[str], limits: Limits) -> None:
    """Write the folder of a program for TensorFlow to run: its graphs over the model's variables, current or not.

    Raises:
        TransferError: ``program-stale``, a variable of the graphs is not there any more.
        StorageError: the target cannot be written.
    """
    try:
        folder = _with_program(model, program, Report(), limits)
    except KeyError as missing:
        raise error("program-stale", where=program_file.MAIN, found=f"no tensor {missing}") from missing
    _put(target, folder, None)


def _put(target: str | os.PathLike[str], folder: Folder, progress: Progress | None) -> None:
    with replace_folder(target) as files:
        files.write(MAIN, [_data(folder.files.pop(MAIN))])
        for name, content in folder.files.items():
            files.write(name, [_data(content)])
        files.folder(ASSETS.rstrip("/"))
        place, _, prefix = VARIABLES.rpartition("/")
        write_into(files.folder(place), prefix, folder.tensors, progress=progress)


def _data(content: bytes | Blob) -> bytes | memoryview:
    return content.view() if isinstance(content, Blob) else content


def stale(model: Model, program: Program) -> str:
    """Why the program no longer belongs to the model; empty where it does.

    The config must be the one that was translated, and every variable of the graphs be there with its dtype and shape;
    the values may have changed.
    """
    if model.fingerprint("config.json") != program.config:
        return "config.json changed since"
    try:
        tensors = _tensors(model)
    except TransferError as reason:
        return f"the variables changed since: {reason.code}, {reason.found}"
    for place in program.tensors.values():
        found = tensors.get((place["as"], place["name"]))
        if found is None:
            return f"{place['name']} is not there any more"
        dtype = "bytes" if found.dtype == "string" else found.dtype
        if (dtype, list(found.shape)) != (place["dtype"], place["shape"]):
            return f"{place['name']} is {dtype}{list(found.shape)} now, not {place['dtype']}{place['shape']}"
    used = {(place["as"], place["name"]) for place in program.tensors.values()}
    more = [name for kind, name in tensors if (kind, name) not in used and not _is_state(kind, name)]
    return f"{more[0]} was not there" if more else ""


def _is_state(kind: str, name: str) -> bool:
    return kind == "rate" or name.startswith(("optimizer/", "metrics/"))


def _tensors(model: Model) -> dict[tuple[str, str], Tensor]:
    """The tensors of a model as programs name them."""
    found: dict[tuple[str, str], Tensor] = {}
    if model.config is None:
        for path, variable in (model.weights or {}).items():
            found["path", path] = variable.tensor
        return found
    found = {("layout", name): tensor for name, tensor in Writing(model).datasets()}
    optimizer = None if model.optimizer is None else model.optimizer.optimizers.get("optimizer")
    if optimizer is not None and optimizer.learning_rate is not None:
        found[_RATE] = Tensor.of(np.float32(optimizer.learning_rate))
    return found


def _with_program(model: Model, program: Program, report: Report, limits: Limits) -> Folder:
    """The folder that was read, over the model's variables as they are now."""
    files: dict[str, bytes | Blob] = {MAIN: model.programs[program_file.MAIN]}
    metadata = model.programs.get(program_file.METADATA)
    if metadata is not None:
        files[_METADATA] = metadata
        if compiled_digest(model) != program.compiled:
            compiled = Writing(model).config().get("compile_config")
            files[_METADATA] = with_training(metadata.view(), compiled if isinstance(compiled, dict) else None, limits)
            report.add("document", _METADATA, "regenerated", "the training config, from the neutral documents")
    found = _tensors(model)
    tensors = list(_bundle(model, program, found, limits))
    files |= dict(_assets(model, program.assets, report))
    files |= dict(_handed_on(model, files))
    report.add("program", program_file.MAIN, "restored", "over the variables as they are now")
    for name in model.programs:
        if name.startswith(program_file.FOLDER) and name != program_file.MAIN:
            report.add("program", name, "restored")
    used = {place["name"] for place in program.tensors.values()}
    # A loss scaler has the variables of the optimizer in it once more.
    placed = {name.replace(_SCALED, _OPTIMIZER) for name in used}
    unplaced = [name for (kind, name) in found if kind == "layout" and name.replace(_SCALED, _OPTIMIZER) not in placed]
    for name in unplaced:
        report.add("slot", name, "not-transferable", "the graphs' objects have no place for it")
    holds = EVERYTHING | {"metrics"}
    account(model, report, Scope("a SavedModel", holds, native=NATIVE))
    return Folder(files, tensors)


def _bundle(
    model: Model, program: Program, found: Mapping[tuple[str, str], Tensor], limits: Limits
) -> Iterator[Outgoing]:
    """The tensors of the bundle: those of the model, and those that the program keeps."""
    kept = model.programs.get(program_file.KEPT)
    if kept is None:
        raise error("savedmodel-program", where=program_file.KEPT, found="no such part")
    for key, place in program.tensors.items():
        yield outgoing(key, found[place["as"], place["name"]])
    yield from kept_tensors(bytes(kept.view()), program_file.KEPT, limits)


def program_tensors(model: Model, limits: Limits) -> list[Outgoing]:
    """Every tensor of the bundle that a model's current program would be written with; none without such a program."""
    program = read_program(model, limits)
    if program is None or stale(model, program):
        return []
    return list(_bundle(model, program, _tensors(model), limits))


def _assets(model: Model, names: Mapping[str, str], report: Report) -> Iterator[tuple[str, Blob]]:
    """The assets under the names that the graphs know, others beside them."""
    known = {part: name for name, part in names.items()}
    lost = [part for part in known if part not in model.assets]
    for part in lost:
        report.add("asset", part, "missing", "the graphs read it")
    for part, blob in model.assets.items():
        yield known.get(part) or ASSETS + unescape(part.removeprefix(ASSETS)), blob


def _handed_on(model: Model, files: Iterable[str]) -> Iterator[tuple[str, Blob]]:
    """Files of the source's folder that no rule knows."""
    for name, native in model.native.items():
        if name.startswith(NATIVE) and not native.bindings:
            plain = unescape(name.removeprefix(NATIVE))
            if plain not in files and not plain.startswith("variables/"):
                yield plain, native.blob


def _rebuilt(model: Model, report: Report, reason: str) -> Folder:
    """A folder without graphs, from which tf_keras makes the model by its config."""
    minimal = Minimal(model, report, reason)
    files: dict[str, bytes | Blob] = {MAIN: minimal.graph(), _METADATA: minimal.metadata()}
    files |= dict(_handed_on(model, files))
    tensors = minimal.tensors()
    scope = Scope("a SavedModel without graphs", EVERYTHING - {"assets"}, frozenset({"programs"}), NATIVE)
    account(minimal.model, report, scope)
    return Folder(files, tensors)
