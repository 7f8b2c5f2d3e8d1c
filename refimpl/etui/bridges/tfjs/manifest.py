"""The weights manifest: groups of files whose bytes, end to end, are the weights one after the other (annex H.2)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from etui.bridges.tfjs.weight import LOADED, Array, Weight, decode, read_weight, string_end
from etui.containers.tensors import Tensor
from etui.errors import error, shown
from etui.limits import Limits
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.foreign_names import name_fault

Json = Any

SHARD_BYTES = 4 * 1024 * 1024
"""Where the bytes of a group are cut into files: what every browser caches."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group of a manifest.

    Attributes:
        paths: its files, relative to the folder of `model.json`.
        weights: its weights, in the order of their bytes.
    """

    paths: tuple[str, ...]
    weights: tuple[Weight, ...]


def read_manifest(tree: dict[str, Json], where: str, limits: Limits) -> tuple[Group, ...]:
    """The groups of a `model.json`; none if it has no manifest.

    Raises:
        InvalidError: ``tfjs-form``, ``tfjs-quantization``, ``shape-form``.
        UnsupportedError: ``tfjs-dtype``.
        UnsafeError: ``tfjs-path``.
        LimitError: ``limit-foreign``, ``limit-rank``, ``limit-tensor``.
    """
    nodes = tree.get("weightsManifest")
    return () if nodes is None else read_groups(nodes, f"{where}, weightsManifest", limits)


def read_groups(nodes: Json, where: str, limits: Limits) -> tuple[Group, ...]:
    """The groups of a manifest; see `read_manifest`."""
    if not isinstance(nodes, list):
        raise error("tfjs-form", where=where, found=shown(nodes))
    groups = tuple(_read_group(node, f"{where}[{at}]", limits) for at, node in enumerate(nodes))
    _check_unique([path for group in groups for path in group.paths], "file", where)
    _check_unique([weight.name for group in groups for weight in group.weights], "weight", where)
    if sum(len(group.weights) + len(group.paths) for group in groups) > limits.foreign_objects:
        raise error("limit-foreign", where=where, found="too many weights and files")
    return groups


def _read_group(node: Json, where: str, limits: Limits) -> Group:
    paths, weights = (node.get("paths"), node.get("weights")) if isinstance(node, dict) else (None, None)
    if not isinstance(paths, list) or not isinstance(weights, list):
        raise error("tfjs-form", where=where, found=shown(node))
    names = []
    for path in paths:
        # What JavaScript saves over HTTP names its file so.
        name = path.removeprefix("./") if isinstance(path, str) else path
        fault = name_fault(name, limits)
        if fault:
            raise error("tfjs-path", where=where, found=f"{shown(path)}: {fault}")
        names.append(name)
    return Group(tuple(names), tuple(read_weight(weight, where, limits) for weight in weights))


def _check_unique(names: list[str], kind: str, where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise error("tfjs-form", where=where, found=f"the {kind} {shown(name)} twice")
        seen.add(name)


@dataclass(slots=True)
class GroupBytes:
    """The bytes of a group, end to end over its files.

    Attributes:
        folder: where the files are.
        paths: their names.
        starts: where each file begins, and the end.
    """

    folder: ForeignFolder
    paths: tuple[str, ...]
    starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Ask for the size of each file.

        Raises:
            IntegrityError: ``tfjs-data``, a file that is not there.
            UnsafeError: ``part-not-a-file``.
        """
        sizes = []
        for path in self.paths:
            size = self.folder.size(path)
            if size is None:
                raise error("tfjs-data", where=self.folder.location, found=f"no file {shown(path)}")
            sizes.append(size)
        self.starts = list(accumulate(sizes, initial=0))

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.starts[-1]

    def read(self, offset: int, length: int) -> bytes:
        """A range of bytes, which the caller knows to be there."""
        pieces = []
        at = bisect_right(self.starts, offset) - 1
        while length:
            begin = offset - self.starts[at]
            part = min(length, self.starts[at + 1] - offset)
            if part:
                pieces.append(self.folder.read(self.paths[at], begin, part))
            offset, length, at = offset + part, length - part, at + 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """A weight in the files of its group.

    Attributes:
        weight: its entry.
        data: the bytes of its group.
        offset, size: where its own are.
        where: for messages.
    """

    weight: Weight
    data: GroupBytes
    offset: int
    size: int
    where: str

    def read(self) -> Array:
        """The elements."""
        return decode(self.weight, self.data.read(self.offset, self.size), self.where)

    def tensor(self) -> Tensor:
        """The elements as a tensor that reads them when they are needed; strings and complex numbers are read now."""
        if self.weight.dtype in ("string", "complex64"):
            return Tensor.of(self.read(), dtype=self.weight.neutral)
        return Tensor.lazy(self.weight.neutral, self.weight.shape, self.read)

    def becomes(self) -> tuple[str, str]:
        """Status and detail of the weight for a report."""
        how = self.weight.quantization
        if how is not None:
            sum_of = "" if how.dtype == "float16" else ", as scale x stored + min"
            return "cast", f"stored as {how.dtype}, and widened to {self.weight.dtype}{sum_of}"
        loaded = self.weight.dtype in LOADED
        return "restored", "" if loaded else f"of {self.weight.dtype}, which TensorFlow.js itself does not load"


def stored_weights(groups: tuple[Group, ...], folder: ForeignFolder, where: str) -> Iterator[StoredWeight]:
    """Every weight with its place, in order.

    Raises:
        IntegrityError: ``tfjs-data``, a group whose files are not of the bytes that its weights need.
        UnsafeError: ``part-not-a-file``.
    """
    for number, group in enumerate(groups, 1):
        place = f"{where}, group {number}"
        data = GroupBytes(folder, group.paths)
        least = sum(weight.size for weight in group.weights)
        exact = all(weight.dtype != "string" for weight in group.weights)
        if data.size < least or (exact and data.size > least):
            found = f"{data.size} bytes for weights of {'' if exact else 'at least '}{least}"
            raise error("tfjs-data", where=place, found=found)
        yield from _placed(group, data, place)


def _placed(group: Group, data: GroupBytes, place: str) -> Iterator[StoredWeight]:
    at = 0
    for weight in group.weights:
        where = f"{place}, weight {shown(weight.name)}"
        size = weight.size if weight.dtype != "string" else _string_bytes(weight, data, at, where)
        if at + size > data.size:
            raise error("tfjs-data", where=where, found="a weight that ends beyond its group")
        yield StoredWeight(weight, data, at, size, where)
        at += size
    if at != data.size:
        raise error("tfjs-data", where=place, found=f"{data.size - at} bytes that belong to no weight")


def _string_bytes(weight: Weight, data: GroupBytes, begin: int, where: str) -> int:
    """The bytes of a weight of strings, which only the lengths in them tell."""
    raw = data.read(begin, data.size - begin)
    at: int | None = 0
    for _ in range(weight.count):
        at = None if at is None else string_end(raw, at)
        if at is None:
            raise error("tfjs-data", where=where, found="a string that ends beyond its group")
    return at or 0
