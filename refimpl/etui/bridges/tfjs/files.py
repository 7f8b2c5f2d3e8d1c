"""The files of a TensorFlow.js model, written in one step: `model.json` and the groups in files of 4 MB."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etui.bridges.tfjs.document import MODEL, WEIGHTS, Kind, place_of, read_document, read_list
from etui.bridges.tfjs.manifest import SHARD_BYTES, Group, read_groups, read_manifest
from etui.bridges.tfjs.weight import Weight, encode
from etui.containers.data_writer import Progress
from etui.containers.tensors import Tensor
from etui.errors import EtuiError, error, shown
from etui.limits import Limits
from etui.storage.foreign_folder import ForeignFolder, replace_folder


@dataclass(frozen=True, slots=True)
class Packed:
    """A group ready to be written.

    Attributes:
        paths: its files.
        weights: its weights with their tensors, each of the weight's dtype.
    """

    paths: tuple[str, ...]
    weights: tuple[tuple[Weight, Tensor], ...]

    @property
    def size(self) -> int:
        """Number of bytes; strings are encoded for it."""
        return sum(weight.size if weight.dtype != "string" else len(_data(weight, t)) for weight, t in self.weights)


def packed(weights: Iterable[tuple[Weight, Tensor]], number: int = 1) -> Packed:
    """A group under the names that the converter gives: ``group1-shard1of2.bin``."""
    found = tuple(weights)
    size = Packed((), found).size
    count = -(-size // SHARD_BYTES)
    return Packed(tuple(f"group{number}-shard{at}of{count}.bin" for at in range(1, count + 1)), found)


def manifest_of(groups: Iterable[Packed]) -> list[dict[str, Any]]:
    """The weights manifest of groups."""
    return [{"paths": list(g.paths), "weights": [weight.entry() for weight, _ in g.weights]} for g in groups]


def check_folder(target: str | os.PathLike[str], limits: Limits, *documents: str) -> None:
    """Refuse a target that is no place for a folder, or a folder with files that are not of the model in it.

    Args:
        target: path of the folder.
        limits: of the document that is there.
        documents: the names of the files that a model of the format has beside its weights, the first of which lists
            these; by default `model.json`.

    Raises:
        UsageError: ``writer-misuse``.
        StorageError: ``target-other-format``.
    """
    path = Path(target)
    if path.is_file() or path.suffix == ".json":
        raise error("writer-misuse", where=str(path), found="a file's name", hint="Name the folder of the model.")
    if not path.is_dir() or not any(path.iterdir()):
        return
    names = documents or (MODEL,)
    folder, name = place_of(path, names[0])
    with ForeignFolder(folder, link="part-not-a-file") as files:
        own = {*names} | _listed(files, name, limits)
        other = next((found for found in files.entries() if found not in own), None)
    if other is not None:
        raise error("target-other-format", where=str(path), found=f"{shown(other)}, which is no file of the model")


def _listed(files: ForeignFolder, name: str, limits: Limits) -> set[str]:
    kinds: tuple[Kind | None, ...] = (None,) if name == WEIGHTS else ("layers", "graph")
    for kind in kinds:
        try:
            if kind is None:
                groups = read_groups(read_list(files, name, limits), name, limits)
            else:
                groups = read_manifest(read_document(files, name, kind, limits), name, limits)
        except EtuiError:
            continue
        return {path for group in groups for path in group.paths}
    return set()


def write_files(
    target: str | os.PathLike[str],
    documents: Mapping[str, bytes],
    groups: Iterable[Packed],
    progress: Progress | None,
) -> None:
    """Write a folder in place of what is there: the groups, then the documents by their names.

    Raises:
        StorageError: ``storage-failed``; what was at the place is as it was.
    """
    with replace_folder(target) as files:
        for group in groups:
            shards = _Shards(group, progress)
            for path, length in zip(group.paths, shards.lengths, strict=True):
                files.write(path, shards.take(length))
        for name, data in documents.items():
            files.write(name, [data])


class _Shards:
    """The bytes of a group, handed out file by file; one weight is in memory at a time."""

    def __init__(self, group: Packed, progress: Progress | None) -> None:
        self._total = group.size
        self._done = 0
        self._progress = progress
        self._pieces = (_data(weight, tensor) for weight, tensor in group.weights)
        self._rest = memoryview(b"")
        self._name = group.paths[0] if group.paths else ""
        self.lengths = _lengths(self._total, len(group.paths))

    def take(self, length: int) -> Iterator[memoryview]:
        """The next bytes."""
        while length:
            if not self._rest:
                self._rest = memoryview(next(self._pieces))
            part, self._rest = self._rest[:length], self._rest[length:]
            length -= len(part)
            self._done += len(part)
            yield part
            if self._progress is not None:
                self._progress(self._name, self._done, self._total)


def _lengths(total: int, files: int) -> list[int]:
    """The bytes of each file: 4 MB and the rest, or equal ones where a manifest lists another number of files."""
    if not files:
        return []
    step = SHARD_BYTES if files == -(-total // SHARD_BYTES) else -(-total // files)
    return [max(0, min(step, total - at * step)) for at in range(files)]


def _data(weight: Weight, tensor: Tensor) -> bytes:
    data = encode(weight, tensor.numpy())
    if data is None:
        raise error("tensor-promise", found=f"elements that {shown(weight.name)} cannot hold as it is stored")
    return data


def as_stored(groups: Iterable[Group], tensors: dict[str, Tensor]) -> list[Packed] | None:
    """The groups of a manifest filled with tensors; `None` if they do not fit, so that another manifest is needed.

    A weight fits if it is there, has the entry's shape and dtype, and is stored without a change of its elements.
    """
    found, left = [], set(tensors)
    for group in groups:
        pairs = []
        for weight in group.weights:
            tensor = tensors.get(weight.name)
            if tensor is None or not fits(weight, tensor):
                return None
            left.discard(weight.name)
            pairs.append((weight, tensor))
        found.append(Packed(group.paths, tuple(pairs)))
    # A group without files cannot take bytes.
    return None if left or any(not group.paths and group.size for group in found) else found


def fits(weight: Weight, tensor: Tensor) -> bool:
    """Whether a manifest's entry can hold a tensor exactly."""
    if (tensor.dtype, tensor.shape) != (weight.neutral, weight.shape):
        return False
    return weight.quantization is None or encode(weight, tensor.numpy()) is not None
