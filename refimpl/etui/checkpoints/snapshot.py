"""Snapshots: what a model holds now, kept apart from what training changes next (SPEC.md, annex R.2).

A snapshot is an ordinary `Model`. What may change is copied, in one pass and once, into memory that later snapshots
use again: fresh memory costs more than the copy, because the system has to provide each page of it. What cannot change
is not copied: arrays of frameworks that never write to an array, and the bytes of open artifacts.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np

from etui import dtypes
from etui.containers.pieces import Array, Held, Lazy, Piece, Pinned, Stored
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.garbage import no_garbage
from etui.model import Blob, Model, Native
from etui.shortage import shortage
from etui.storage.digesting import thread_count
from etui.storage.sources import BytesSource

# Fits every dtype, and the lines of a processor's cache.
_ALIGNMENT = 64
# What a thread copies at a time, so that handing it over costs little; and what is copied without.
_JOB_BYTES = 8 * 1024 * 1024
_LEAST_BYTES = 256 * 1024
Value = TypeVar("Value")
_Copy = tuple[Array, Array]  # target and source
_CONTAINERS = ("config", "weights", "training", "optimizer", "state", "metadata", "extra")


class Snapshots:
    """Takes snapshots into memory of its own: each ends the life of the one before.

    It is for one thread at a time.
    """

    def __init__(self) -> None:
        self._memory: Array | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that are kept for the next snapshot; the system provides those that were used."""
        return 0 if self._memory is None else self._memory.nbytes

    @shortage()
    @no_garbage()
    def take(self, value: Value) -> Value:
        """What stays as a model is now, whatever becomes of it, of its variables and of its files.

        Args:
            value: the model, or what of one may change: tensors and values in maps and lists. Tensors are read now, in
                this thread, but for those that cannot change.

        Raises:
            StorageError: ``out-of-memory``; a file that the model was opened from cannot be read.
            InvalidError, UsageError: a tensor is not what was promised of it.
        """
        apart = _Apart()
        made: Any = apart.model(value) if isinstance(value, Model) else apart.value(value)
        self._provide(sum(_room(piece) for tensor, _ in apart.tensors for piece in tensor.pieces))
        with _Copying(self._memory) as copying:
            for tensor, own in apart.tensors:
                sources = [copying.source(tensor.dtype, piece) for piece in tensor.pieces]
                own.pieces = tuple(map(_moved, tensor.pieces, sources))
        found: Value = made
        return found

    def release(self) -> None:
        """Give the memory back; the last snapshot keeps what it uses of it."""
        self._memory = None

    def _provide(self, size: int) -> None:
        if size > self.nbytes:
            self._memory = None  # before the new memory is taken
            self._memory = np.empty(size, np.uint8)


class _Apart:
    """Copies what holds tensors and values together: containers, maps and lists.

    Attributes:
        tensors: each plain tensor of the model once, with the one that takes its place and has no pieces yet.
    """

    def __init__(self) -> None:
        self.tensors: list[tuple[Tensor, Tensor]] = []
        self._made: dict[int, Tensor] = {}

    def model(self, model: Model) -> Model:
        made = replace(model, closing=None, **{name: self.value(getattr(model, name)) for name in _CONTAINERS})
        made.assets = {name: _pinned(blob) for name, blob in model.assets.items()}
        made.programs = {name: _pinned(blob) for name, blob in model.programs.items()}
        made.native = {name: _native(native) for name, native in model.native.items()}
        return made

    def value(self, value: Any) -> Any:
        kind = type(value)
        if kind in _LEAVES:
            return value
        if kind is Tensor:
            return self._tensor(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return kind([self.value(item) for item in value])
        if kind is Weights and value.all_plain:
            return self._opened(value)
        if is_dataclass(value):
            return self._dataclass(value)
        return np.array(value) if isinstance(value, np.ndarray) else value

    def _dataclass(self, value: Any) -> Any:
        made = object.__new__(type(value))
        for name in _fields(type(value)):
            object.__setattr__(made, name, self.value(getattr(value, name)))
        return made

    def _opened(self, weights: Weights) -> Weights:
        """Weights of an open artifact, whose variables were not made yet."""
        variables = {path: self.value(variable) for path, variable in weights.variables.items()}
        return Weights(variables, dict(weights.aliases), self.value(weights.extra))

    def _tensor(self, tensor: Tensor) -> Tensor:
        found = self._made.get(id(tensor))
        if found is None:
            components = {name: self._tensor(part) for name, part in tensor.components.items()}
            extra = self.value(dict(tensor.extra)) if tensor.extra else None
            found = Tensor(tensor.dtype, tensor.shape, encoding=tensor.encoding, components=components, extra=extra)
            self._made[id(tensor)] = found
            if tensor.pieces:
                self.tensors.append((tensor, found))
        return found


_LEAVES = frozenset({str, int, float, bool, bytes, complex, type(None), type(Ellipsis), slice})


_FIELDS: dict[type, tuple[str, ...]] = {}


def _fields(kind: type[Any]) -> tuple[str, ...]:
    """The names of a dataclass's fields, which take longer to find than to copy."""
    found = _FIELDS.get(kind)
    if found is None:
        found = _FIELDS[kind] = tuple(one.name for one in fields(kind))
    return found


def _pinned(blob: Blob) -> Blob:
    """A blob whose bytes stay when its file is closed; its digest is checked when they are read."""
    return replace(blob, source=BytesSource(blob.source.view(0, blob.source.size)))


def _native(native: Native) -> Native:
    bindings = dict(native.bindings) if type(native.bindings) is dict else native.bindings
    return replace(native, blob=_pinned(native.blob), bindings=bindings)


def _moved(piece: Piece, source: Held | Lazy | Pinned) -> Piece:
    return piece._replace(source=source)


def _room(piece: Piece) -> int:
    """Bytes of memory that the copy of a piece takes."""
    source = piece.source
    if isinstance(source, Stored) or (isinstance(source, Lazy) and source.constant):
        return 0
    if isinstance(source, Held):
        size = 0 if _is_constant(source.values) else source.values.nbytes
    else:
        size = dtypes.byte_size(source.dtype, piece.shape) if isinstance(source, Lazy) else 0
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _is_constant(array: Array) -> bool:
    """Whether an array's elements are of bytes that Python never changes."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    while isinstance(base, memoryview):
        base = base.obj
    return isinstance(base, bytes)


class _Copying:
    """Copies pieces into memory, large ones by several threads, which are done when the block is left."""

    def __init__(self, memory: Array | None) -> None:
        self._memory = np.empty(0, np.uint8) if memory is None else memory
        self._used = 0
        self._seen: dict[tuple[Any, ...], tuple[Array, Array]] = {}
        self._large: list[_Copy] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._large:
            jobs = list(_jobs(self._large))
            with ThreadPoolExecutor(min(thread_count(), len(jobs)), "etui-snapshot") as threads:
                for _done in threads.map(_copy, jobs):
                    pass

    def source(self, dtype: str, piece: Piece) -> Held | Lazy | Pinned:
        """What holds a piece's elements from now on."""
        source = piece.source
        if isinstance(source, Stored):
            return source.pinned()
        if isinstance(source, Held):
            return source if _is_constant(source.values) else Held(self._copied(source.values))
        assert isinstance(source, Lazy)  # noqa: S101  there is no other source
        array = source.look()
        kept = array if source.constant else self._copied(array, shared=source.view is not None)
        return Held(kept) if kept.flags.c_contiguous else _in_order(dtype, kept)

    def _copied(self, array: Array, *, shared: bool = True) -> Array:
        """A copy in which the elements are as they lie in memory.

        Args:
            array: is copied at once, or with the others by threads.
            shared: whether its memory is there anyway, and perhaps that of several tensors, which is copied once.
        """
        key = (array.ctypes.data, array.shape, array.strides, array.dtype)
        if shared and key in self._seen:
            return self._seen[key][0]
        plain = array.flags.c_contiguous
        order = range(array.ndim) if plain else sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
        lying = array if plain else array.transpose(order)
        begin, end = self._used, self._used + array.nbytes
        self._used = -(-end // _ALIGNMENT) * _ALIGNMENT
        target = self._memory[begin:end].view(array.dtype.newbyteorder("<")).reshape(lying.shape)
        if shared and array.nbytes >= _LEAST_BYTES:
            self._large.append((target, lying))
        else:
            _copy([(target, lying)])
        made = target.view() if plain else target.transpose(np.argsort(order))
        made.flags.writeable = False
        if shared:
            # With the array itself, so that its place is not given to another one.
            self._seen[key] = (made, array)
        return made


def _in_order(dtype: str, array: Array) -> Lazy:
    """An array that is put into C order when it is written: that takes much longer than to copy it as it is."""
    return Lazy(dtype, array.shape, partial(np.ascontiguousarray, array), fixed=True)


def _jobs(copies: list[_Copy]) -> Iterator[list[_Copy]]:
    """Work for one thread at a time: large arrays in pieces, small ones together."""
    job: list[_Copy] = []
    size = 0
    for target, source in copies:
        for part in _parts(target, source):
            job.append(part)
            size += part[1].nbytes
            if size >= _JOB_BYTES:
                yield job
                job, size = [], 0
    if job:
        yield job


def _parts(target: Array, source: Array) -> Iterator[_Copy]:
    if source.nbytes <= _JOB_BYTES or not source.flags.c_contiguous:
        yield target, source
        return
    flat, elements = target.reshape(-1), source.reshape(-1)
    step = _JOB_BYTES // source.itemsize
    yield from ((flat[at : at + step], elements[at : at + step]) for at in range(0, source.size, step))


def _copy(job: list[_Copy]) -> None:
    for target, source in job:
        if target.dtype == source.dtype:
            # As integers: numpy copies the elements of other packages' dtypes one by one.
            bits = f"u{target.itemsize}"
            np.copyto(target.view(bits), source.view(bits))
        else:
            np.copyto(target, source)
