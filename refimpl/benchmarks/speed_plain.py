"""The bytes alone, and the formats that need no framework, as candidates of the benchmark."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.numpy
from safetensors import safe_open
from speed_candidates import (
    COPIED,
    DIGEST,
    FILLED,
    MAPPED,
    ONE,
    OPEN,
    SAVE,
    SYNCED,
    THREADS,
    VERIFY,
    Candidate,
    Tasks,
    then_flushed,
)
from speed_cases import Array, Shape

_STEP = 4 * 1024 * 1024


class Limit(Candidate):
    """The physical limit: the same bytes by plain system calls, without names or shapes."""

    name = "the bytes alone"
    essential = True
    kinds = frozenset({"formats", "growth"})
    in_place = frozenset({(COPIED, FILLED)})

    def tasks(self) -> Tasks:
        """Write, read, map and hash."""
        return {
            (SYNCED, ""): then_flushed(self.save),
            (SAVE, ""): self.save,
            (COPIED, ""): self.load,
            (COPIED, FILLED): self.fill,
            (MAPPED, ""): self.map,
            (ONE, ""): self.load_one,
            (VERIFY, ""): lambda path: self.hash_file(path, THREADS),
            (VERIFY, "1 thread"): lambda path: self.hash_file(path, 1),
            (DIGEST, ""): lambda _: self.hash_arrays(THREADS),
            (DIGEST, "1 thread"): lambda _: self.hash_arrays(1),
        }

    def ready(self, axis: str) -> None:
        """Also the memory that a load may fill, each page of it touched."""
        super().ready(axis)
        if axis == COPIED and "buffers" not in self.payload.shared:
            self.payload.shared["buffers"] = [np.full(shape, 1, np.float32) for _, shape in self.case.specs()]

    def save(self, path: Path) -> None:
        """One write for each array."""
        with path.open("wb", buffering=0) as file:
            for array in self.payload.arrays.values():
                view = array.reshape(-1).view(np.uint8).data
                while view:
                    view = view[file.write(view) :]

    def _read(self, path: Path, arrays: Iterator[Array]) -> list[Array]:
        found = []
        with path.open("rb", buffering=0) as file:
            for array in arrays:
                view = array.reshape(-1).view(np.uint8).data
                while view:
                    view = view[cast(int, file.readinto(view)) :]
                found.append(array)
        return found

    def load(self, path: Path) -> list[Array]:
        """One read for each array, into new memory."""
        return self._read(path, (np.empty(shape, np.float32) for _, shape in self.case.specs()))

    def fill(self, path: Path) -> None:
        """One read for each array, into memory that was used before."""
        self._read(path, iter(self.payload.shared["buffers"]))

    def map(self, path: Path) -> list[Array]:
        """One map, and a view for each array; no page is touched."""
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        arrays, offset = [], 0
        for _, shape in self.case.specs():
            count = int(np.prod(shape))
            arrays.append(np.frombuffer(content, np.float32, count, offset).reshape(shape))
            offset += 4 * count
        return arrays

    @cached_property
    def _place(self) -> tuple[int, Shape]:
        """Where the array that is loaded alone begins, and its shape: the limit knows them beforehand."""
        offset = 0
        for name, shape in self.case.specs():
            if name == self.one:
                return offset, shape
            offset += 4 * int(np.prod(shape))
        raise KeyError(self.one)

    def load_one(self, path: Path) -> Array:
        """One read at the place of the array."""
        offset, shape = self._place
        array = np.empty(shape, np.float32)
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            file.readinto(array.reshape(-1).view(np.uint8).data)
        return array

    def hash_file(self, path: Path, threads: int) -> None:
        """SHA-256 of equal shares of the mapped file, one for each thread."""
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            share = -(-len(content) // threads)
            with ThreadPoolExecutor(threads) as pool, memoryview(content) as view:
                list(pool.map(_hash, [[view[start : start + share]] for start in range(0, len(view), share)]))

    def hash_arrays(self, threads: int) -> None:
        """SHA-256 of equal shares of the arrays, one for each thread."""
        views = [array.reshape(-1).view(np.uint8).data for array in self.payload.arrays.values()]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_hash, [views[index::threads] for index in range(threads)]))


def _hash(views: list[memoryview]) -> str:
    hasher = hashlib.sha256()
    for view in views:
        for start in range(0, len(view), _STEP):
            hasher.update(view[start : start + _STEP])
        view.release()
    return hasher.hexdigest()


class Safetensors(Candidate):
    """safetensors for numpy."""

    name = "safetensors (numpy)"
    essential = True
    kinds = frozenset({"formats", "growth"})

    def tasks(self) -> Tasks:
        """What the library offers; it checks nothing."""
        return {
            (SYNCED, ""): then_flushed(self.save),
            (SAVE, ""): self.save,
            (COPIED, ""): safetensors.numpy.load_file,
            (ONE, ""): self.load_one,
            (OPEN, ""): self.open,
        }

    def save(self, path: Path) -> None:
        """All arrays by name."""
        safetensors.numpy.save_file(self.payload.arrays, path)

    def load_one(self, path: Path) -> Array:
        """One array."""
        with safe_open(path, "np") as file:
            return cast(Array, file.get_tensor(self.one))

    def open(self, path: Path) -> list[str]:
        """The names."""
        with safe_open(path, "np") as file:
            return list(file.keys())


class Hdf5(Candidate):
    """h5py, each array a contiguous dataset."""

    name = "h5py"
    needs = ("h5py",)

    def tasks(self) -> Tasks:
        """Save, load and list."""
        return {
            (SAVE, ""): self.save,
            (COPIED, ""): self.load,
            (ONE, ""): self.load_one,
            (OPEN, ""): self.open,
        }

    def save(self, path: Path) -> None:
        """A dataset for each array."""
        import h5py

        with h5py.File(path, "w") as file:
            for name, array in self.payload.arrays.items():
                file.create_dataset(name, data=array)

    def load(self, path: Path) -> list[Array]:
        """Every dataset by its name."""
        import h5py

        with h5py.File(path, "r") as file:
            return [file[name][()] for name, _ in self.case.specs()]

    def load_one(self, path: Path) -> Array:
        """One dataset."""
        import h5py

        with h5py.File(path, "r") as file:
            return cast(Array, file[self.one][()])

    def open(self, path: Path) -> list[str]:
        """The names of all groups and datasets."""
        import h5py

        found: list[str] = []
        with h5py.File(path, "r") as file:
            file.visit(found.append)
        return found


class Npz(Candidate):
    """np.savez."""

    name = "np.savez"

    def tasks(self) -> Tasks:
        """Save, load and list."""
        return {
            (SAVE, ""): self.save,
            (COPIED, ""): self.load,
            (ONE, ""): self.load_one,
            (OPEN, ""): self.open,
        }

    def save(self, path: Path) -> None:
        """A member for each array."""
        with path.open("wb") as file:
            np.savez(file, **self.payload.arrays)  # type: ignore[arg-type]  # names of arrays, not its own options

    def load(self, path: Path) -> list[Array]:
        """Every array."""
        with np.load(path) as file:
            return [file[name] for name in file.files]

    def load_one(self, path: Path) -> Array:
        """One array."""
        with np.load(path) as file:
            return cast(Array, file[self.one])

    def open(self, path: Path) -> list[str]:
        """The names."""
        with np.load(path) as file:
            return list(file.files)


class Npy(Candidate):
    """One `.npy` file for each array, the simplest that can be."""

    name = "one .npy per tensor"
    most = 4_000
    why = "a file for each tensor"
    folder = True

    def tasks(self) -> Tasks:
        """Save and load."""
        return {(SAVE, ""): self.save, (COPIED, ""): self.load, (MAPPED, ""): lambda path: self.load(path, "r")}

    def save(self, path: Path) -> None:
        """A file for each array."""
        for index, array in enumerate(self.payload.arrays.values()):
            np.save(path / f"{index}.npy", array)

    def load(self, path: Path, mode: Any = None) -> list[Array]:
        """Every array, copied or mapped."""
        return [np.load(path / f"{index}.npy", mode) for index in range(self.case.stored)]


PLAIN: tuple[type[Candidate], ...] = (Limit, Safetensors, Hdf5, Npz, Npy)
