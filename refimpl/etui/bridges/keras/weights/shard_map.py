"""The index of sharded weights: which group of the layout is in which files (SPEC.md, annex D)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from etui.bridges.keras.json_text import check_values, read_json
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.patches import Json
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.foreign_names import check_sibling_names
from etui.storage.hdf5 import Dataset, Hdf5File, open_hdf5
from etui.storage.sources import open_file

MAP = "weight_map"
# Commas and brackets of an index: there is a group for each layer.
_VALUES = 500_000


@dataclass(slots=True)
class Shards:
    """What all files of a sharded set hold together.

    Attributes:
        groups: each group with its attributes.
        datasets: each array by its name in the layout.
        folder: of the open files.
    """

    folder: ForeignFolder
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)

    def close(self) -> None:
        """Close the files."""
        self.folder.close()


def read_map(path: Path, limits: Limits = DEFAULT_LIMITS) -> dict[str, list[str]]:
    """The files of each group that holds arrays, by the group's path in the layout.

    Raises:
        MalformedError: ``keras-json``.
        InvalidError: ``weight-map``, not of the form that Keras writes.
        LimitError: ``limit-document``.
    """
    where = str(path)
    source = open_file(path)
    try:
        check_values(source, _VALUES, where)
        tree = read_json(source, where, limits)
    finally:
        source.close()
    listed = tree.get(MAP)
    if not isinstance(listed, dict) or not isinstance(tree.get("metadata", {}), dict):
        raise error("weight-map", where=where, found=f"the fields {shown(sorted(tree))}")
    return {_group(key, where): _files(files, key, where) for key, files in listed.items()}


def _group(key: str, where: str) -> str:
    if not key.startswith("/"):
        raise error("weight-map", where=where, found=f"the group {shown(key)}")
    return key[1:]


def _files(files: Json, key: str, where: str) -> list[str]:
    names = files if isinstance(files, list) else [files]
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise error("weight-map", where=where, found=f"the files {shown(files)} of {shown(key)}")
    return names


def is_map(path: Path, limits: Limits) -> bool:
    """Whether a file is an index of sharded weights."""
    try:
        read_map(path, limits)
    except EtuiError:
        return False
    return True


def read_shards(path: Path, limits: Limits) -> Shards:
    """Open every file that an index names.

    Raises:
        UnsafeError: ``sibling-name``, a name that may lead elsewhere, or at which there is no regular file.
        IntegrityError: ``sibling-missing``.
        RejectError: another code of SPEC.md, annex D, or one of HDF5 files.
        StorageError: ``storage-failed``.
    """
    where = str(path)
    listed = read_map(path, limits)
    order = dict.fromkeys(name for names in listed.values() for name in names)
    names = check_sibling_names(order, where, limits)
    shards = Shards(ForeignFolder(path.parent, limits, link="sibling-name"))
    with ExitStack() as stack:
        stack.callback(shards.close)
        space = limits
        for name in names:
            if shards.folder.size(name) is None:
                raise error("sibling-missing", where=where, found=shown(name))
            file = open_hdf5(shards.folder.source(name), str(path.parent / name), space)
            _add(shards, file, name, listed, where)
            space = _less(space, file, where)
        _check_listed(shards, listed, where)
        stack.pop_all()
    return shards


def _less(limits: Limits, file: Hdf5File, where: str) -> Limits:
    """The limits for the files after this one: they are for all files together."""
    objects = limits.foreign_objects - len(file.groups) - len(file.datasets)
    declared = limits.foreign_bytes - sum(found.layout.stored_bytes for found in file.datasets.values())
    if objects < 0 or declared < 0:
        raise error("limit-foreign", where=where, found="what all files hold together")
    return replace(limits, foreign_objects=objects, foreign_bytes=declared)


def _add(shards: Shards, file: Hdf5File, name: str, listed: Mapping[str, list[str]], where: str) -> None:
    for group, attrs in file.groups.items():
        known = shards.groups.setdefault(group, {})
        for key, text in attrs.items():
            if known.setdefault(key, text) != text:
                found = f"the attribute {shown(key)} of /{group}, which is {shown(text)} and {shown(known[key])}"
                raise error("weight-map", where=where, found=found)
    for path, dataset in file.datasets.items():
        owner = _owner(path)
        if path in shards.datasets or name not in listed.get(owner, ()):
            there = "in two files" if path in shards.datasets else f"in {shown(name)}, which the map does not name"
            raise error("weight-map-array", where=where, found=f"/{path} {there}")
        shards.datasets[path] = dataset


def _owner(path: str) -> str:
    """The group that the map lists an array under; names of variables may hold a separator."""
    head, marked, _ = f"/{path}".rpartition(f"/{VARS}/")
    return f"{head}/{VARS}"[1:] if marked else path.rpartition("/")[0]


def _check_listed(shards: Shards, listed: Mapping[str, list[str]], where: str) -> None:
    held = {_owner(path) for path in shards.datasets}
    for group in listed:
        if group not in held:
            raise error("weight-map-array", where=where, found=f"no array of /{group}")


def shard_name(base: str, number: int, mark: str = "") -> str:
    """The name of a data file of a set."""
    return f"{base}_{number:05}{mark and '-' + mark}.weights.h5"


def base_of(path: Path) -> str:
    """What the names of a set's data files begin with."""
    return path.name.removesuffix(".json").removesuffix(".weights")


def own_names(path: Path) -> list[str]:
    """The data files of the set at a path whose names are such as a writer of that set gives."""
    try:
        listed = read_map(path)
    except (EtuiError, OSError):
        return []
    pattern = re.compile(rf"{re.escape(base_of(path))}_[0-9]{{5}}(-[0-9a-f]{{16}})?\.weights\.h5")
    return sorted({name for names in listed.values() for name in names if pattern.fullmatch(name)})


def cut(sizes: Mapping[str, int], shard_size: int | None, where: str) -> Iterator[list[str]]:
    """The arrays of each data file, in the order of the layout.

    Raises:
        UsageError: ``writer-misuse``, an array is larger than a file may be.
    """
    bunch: list[str] = []
    filled = 0
    for path, size in sizes.items():
        if shard_size is not None and size > shard_size:
            found = f"a shard size of {shard_size} bytes for /{path} of {size} bytes"
            raise error("writer-misuse", where=where, found=found)
        if bunch and shard_size is not None and filled + size > shard_size:
            yield bunch
            bunch, filled = [], 0
        bunch.append(path)
        filled += size
    yield bunch


def written_map(files: Iterable[tuple[str, list[str]]], total: int) -> dict[str, Json]:
    """The index of data files, each with its arrays."""
    listed: dict[str, list[str]] = {}
    for name, paths in files:
        for path in paths:
            names = listed.setdefault(f"/{_owner(path)}", [])
            if name not in names:
                names.append(name)
    return {"metadata": {"total_size": total}, MAP: listed}
