"""Orbax checkpoints of one tree, both ways: leaves are variables under their paths (SPEC.md annex N.4).

Orbax itself reads the arrays, without a target; its file of the tree's keys is read here first, and what it names is
checked. Importing this module imports neither JAX nor Orbax: it is asked for every folder whose format is sought.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from etui.bridges.jax.orbax_tree import METADATA, Leaf, leaves_of, parse, rebuilt
from etui.bridges.keras.account import Scope, account
from etui.containers.data_writer import Progress
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, MIB, Limits
from etui.model import Blob, Model
from etui.paths import check_no_collisions, check_path
from etui.report import Report
from etui.storage.foreign_folder import ForeignFolder, replace_folder

__all__ = ["read", "recognises", "write"]

CHECKPOINT = "_CHECKPOINT_METADATA"
NATIVE = "native/orbax/metadata.json"
FRAMEWORK = "orbax"
_MARKS = ("manifest.ocdbt", CHECKPOINT, "_sharding", "array_metadatas")
_SCOPE = Scope("an Orbax checkpoint", frozenset({"weights"}), native="native/orbax/")
_SMALL, _INFLATION = 64 * MIB, 100_000


def recognises(path: Path) -> bool:
    """Whether a folder is a checkpoint of one tree, or a step with its items."""
    if not path.is_dir():
        return False
    if (path / METADATA).is_file():
        return any((path / name).exists() for name in _MARKS) or any(path.glob("*/.zarray"))
    return (path / CHECKPOINT).is_file()


def _item(path: Path) -> Path:
    """The folder of the tree: the given one, or the one item of a step."""
    if (path / METADATA).is_file():
        return path
    items = sorted(entry for entry in path.iterdir() if not entry.is_symlink() and (entry / METADATA).is_file())
    if len(items) != 1:
        names = ", ".join(entry.name for entry in items)
        raise error(
            "orbax-form", where=str(path), found=f"{len(items)} items ({names})", hint="Name the folder of one."
        )
    return items[0]


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Translate a checkpoint.

    Args:
        path: the folder of a tree, or of a step with one item.
        report: gets an entry for each leaf.
        limits: refuse what is beyond these.
        native: keep the file of the tree's keys, with which a checkpoint of the same structure is written again.

    Returns:
        A model without config whose arrays are in memory.

    Raises:
        RejectError: a code of SPEC.md, annex N.4.
        MissingExtraError: ``extra-orbax``.
        StorageError: a file cannot be read.
    """
    root = _item(path)
    with ForeignFolder(root, limits) as folder:
        stored = sum(folder.names().values())
        size = folder.size(METADATA) or 0
        if size > limits.document_bytes:
            raise error("limit-document", where=f"{folder.location}/{METADATA}", found=f"{size} bytes")
        text = folder.read(METADATA, 0, size)
    leaves = leaves_of(parse(text, str(root)), str(root))
    weights = Weights()
    for leaf, array in _arrays(root, leaves, stored, limits):
        check_path(leaf.path, str(root), limits)
        flag = _trainable(leaf, leaves) and _inexact(array)
        weights.add(leaf.path, _tensor(array, leaf), role=leaf.path.rsplit("/", 1)[-1], trainable=flag)
        report.add("variable", leaf.path, "restored")
    check_no_collisions(list(weights.variables), str(root))
    model = Model(weights=weights)
    if native:
        model.native[NATIVE] = model.bind(Blob.of(text, "application/json"), FRAMEWORK, None, "weights.json")
    return model


def read_folder(path: str | os.PathLike[str], report: Report, limits: Limits) -> Model:
    """Read a checkpoint that the caller named; see `etui.jax.from_orbax`."""
    place = Path(path)
    report.source = report.source or os.fspath(path)
    if not recognises(place):
        raise error("orbax-form", where=os.fspath(path), found="a folder without the files of a checkpoint")
    return read(place, report, limits=limits)


def _trainable(leaf: Leaf, leaves: list[Leaf]) -> bool:
    """Of a tree with `params` at its top what is below that, of others everything."""
    return leaf.keys[0] == "params" or not any(other.keys[0] == "params" for other in leaves)


def _inexact(array: Any) -> bool:
    return not isinstance(array, str) and ("float" in str(array.dtype) or "complex" in str(array.dtype))


def _tensor(array: Any, leaf: Leaf) -> Tensor:
    if isinstance(array, str):
        return Tensor.of(np.array(array, dtype=object), dtype="string")
    try:
        return Tensor.of(array)
    except EtuiError as cause:
        raise error("orbax-leaf", where=leaf.path, found=f"an array of {array.dtype}") from cause


def _arrays(root: Path, leaves: list[Leaf], stored: int, limits: Limits) -> list[tuple[Leaf, Any]]:
    """Each leaf with its array, in the order of the checkpoint."""
    if not leaves:
        return []
    ocp = _orbax()
    epath = import_module("etils.epath")

    handler, folder = ocp.PyTreeCheckpointHandler(), epath.Path(root.absolute())
    declared = 0
    with _orbax_errors(root):
        sizes = _flat(handler.metadata(folder).tree)
        for leaf in leaves:
            found = sizes.get(leaf.keys)
            if leaf.is_text or found is None or getattr(found, "shape", None) is None:
                continue
            number = _bytes_of(found)
            declared += number
            if len(found.shape) > limits.rank or number > limits.tensor_bytes:
                raise error("limit-tensor", where=leaf.path, found=f"{shown(found.shape)} of {found.dtype}")
    if declared > limits.foreign_bytes or declared > max(_SMALL, _INFLATION * stored):
        raise error("limit-foreign", where=str(root), found=f"{declared} bytes declared, {stored} stored")
    with _orbax_errors(root):
        wanted = _restore_args(ocp, handler.metadata(folder).tree)
        tree = handler.restore(folder, args=ocp.args.PyTreeRestore(restore_args=wanted))
    arrays = _flat(tree)
    missing = [leaf.path for leaf in leaves if leaf.keys not in arrays]
    if missing:
        raise error("orbax-data", where=str(root), found=f"no data of {shown(missing[0])}")
    return [(leaf, arrays[leaf.keys] if leaf.is_text else np.asarray(arrays[leaf.keys])) for leaf in leaves]


def _bytes_of(found: Any) -> int:
    number = int(np.dtype(found.dtype).itemsize)
    for size in found.shape:
        number *= int(size)
    return number


def _restore_args(ocp: Any, tree: Any) -> Any:
    """Arrays of NumPy for every leaf, in the structure of the metadata."""
    if isinstance(tree, Mapping):
        return {key: _restore_args(ocp, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_restore_args(ocp, value) for value in tree]
    if tree is None:
        return None
    return ocp.RestoreArgs(restore_type=str if "String" in type(tree).__name__ else np.ndarray)


def _flat(tree: Any, keys: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Leaves by their keys, which are strings for sequences as well; maps and lists without entries have none."""
    if isinstance(tree, Mapping):
        items = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple):
        items = [(str(index), value) for index, value in enumerate(tree)]
    else:
        return {} if tree is None else {keys: tree}
    found: dict[tuple[str, ...], Any] = {}
    for key, value in items:
        found |= _flat(value, (*keys, key))
    return found


def _orbax() -> Any:
    """Orbax, imported when it is first used.

    Raises:
        MissingExtraError: ``extra-orbax``.
    """
    try:
        import orbax.checkpoint as ocp
    except ImportError as cause:
        raise error("extra-orbax", found="orbax-checkpoint") from cause
    return ocp


class _orbax_errors:  # noqa: N801  used like a function
    """Whatever Orbax and TensorStore raise about a folder's content is one coded error."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: object) -> None:
        if isinstance(value, Exception) and not isinstance(value, EtuiError):
            found = " ".join(str(value).split())
            raise error("orbax-data", where=str(self.root), found=shown(found, 200)) from value


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,  # noqa: ARG001  Orbax does not say how far it is
    limits: Limits = DEFAULT_LIMITS,  # noqa: ARG001  the model has passed them
) -> None:
    """Write a model's variables as a checkpoint of one tree, in one step.

    Keys of dicts are the segments of paths; of a checkpoint that was read, and whose variables are the same, the
    sequences and empty nodes come back, too. A variable with aliases is written at each of its paths.

    Args:
        model: what to write.
        target: path of the folder.
        report: gets an entry for everything in the model.
        strict: refuse before the target is touched if anything would be lost.
        progress: is not called.
        limits: are not needed.

    Raises:
        TransferError: ``jax-parts``, a model without weights; ``jax-leaf``, paths that are no tree; ``not-complete``.
        MissingExtraError: ``extra-orbax``.
        StorageError: the target cannot be written.
    """
    if model.weights is None or not model.weights.variables:
        raise error("jax-parts", where=os.fspath(target), found="a model without variables")
    ocp = _orbax()
    leaves = _leaves(model, report)
    account(model, report, _SCOPE)
    if strict:
        report.require_complete()
    text = model.native_document(NATIVE)
    tree = rebuilt(leaves, None if text is None else parse(text, NATIVE))
    with replace_folder(target) as files:
        staging = files.folder("staging").absolute()
        ocp.PyTreeCheckpointer().save(staging / "tree", tree)
        files.raise_up("staging/tree")


def _leaves(model: Model, report: Report) -> dict[str, Any]:
    """Path -> array or text, of variables and aliases."""
    found: dict[str, Any] = {}
    assert model.weights is not None  # noqa: S101  checked by `write`
    for path, variable in model.weights.variables.items():
        array = variable.numpy()
        if variable.dtype != "string":
            found[path] = np.array(array)
        elif array.shape == ():
            found[path] = str(array[()])
        else:
            report.add("variable", path, "not-transferable", "an array of strings")
            continue
        report.add("variable", path, "restored")
    for alias, path in model.weights.aliases.items():
        if path in found:
            found[alias] = found[path]
            report.add("variable", alias, "translated", f"a copy of {path}")
    return found
