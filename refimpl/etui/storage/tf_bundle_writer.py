"""Writing a tensor bundle that TensorFlow reads; the same tensors give the same bytes (SPEC.md, annex F.2)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from etui import dtypes
from etui.errors import error, shown
from etui.storage.crc32c import crc32c, masked
from etui.storage.failures import storage_errors
from etui.storage.protobuf import Message, encode
from etui.storage.sstable import write_table
from etui.storage.tf_bundle import INDEX, shard_name
from etui.storage.tf_bundle_form import (
    DIM,
    ENTRY,
    HEADER,
    NUMBERS,
    SHAPE,
    VARIANT,
    VERSION,
    variants_crc,
    write_strings,
)
from etui.storage.transaction import (
    FileTransaction,
    FolderTransaction,
    create_file,
    duplicate,
    make_folders,
    recover_all,
    remove_file,
    resolved,
    sync_file,
    sync_folder,
)

Array = np.ndarray[Any, Any]
Progress = Callable[[str, int, int], None]
_ANY_SHARD = f".data-{'[0-9]' * 5}-of-{'[0-9]' * 5}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A tensor to write.

    Attributes:
        name: its key.
        dtype: by its name in SPEC.md chapter 2.1; ``variant`` for stored bytes that are written as they are.
        shape: its shape.
        load: gives the elements: objects for strings, uint8 for a variant. Called once, or twice for strings.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    load: Callable[[], Array] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in the shard."""
        kind = dtypes.DTYPES.get(self.dtype)
        if kind is not None and kind.bits:
            return math.prod(self.shape) * kind.numpy.itemsize
        return len(self.stored()[0])

    def stored(self) -> tuple[memoryview, int]:
        """Its bytes and their CRC-32C."""
        array = self.load()
        if self.dtype in ("bytes", "string"):
            items = array.reshape(-1).tolist()
            data, crc = write_strings([item.encode() if isinstance(item, str) else item for item in items])
            return memoryview(data), crc
        view = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data.toreadonly()
        return view, variants_crc(view, math.prod(self.shape), "<", self.name) if self.is_variant else crc32c(view)

    @property
    def is_variant(self) -> bool:
        """Whether it is kept as stored bytes."""
        return self.dtype == "variant"

    @property
    def number(self) -> int:
        """The number of its dtype.

        Raises:
            TransferError: ``bundle-target-dtype``.
        """
        number = VARIANT if self.is_variant else NUMBERS.get("bytes" if self.dtype == "string" else self.dtype)
        if number is None:
            raise error("bundle-target-dtype", where=self.name, found=self.dtype)
        return number


def write_bundle(
    prefix: str | os.PathLike[str],
    tensors: Sequence[Outgoing],
    *,
    shard_size: int | None = None,
    progress: Progress | None = None,
    beside: tuple[str, bytes] | None = None,
) -> None:
    """Write a bundle over what is at `prefix`; at every moment a reader finds the earlier one or the new one whole.

    TensorFlow's names of shards tell their number alone, so that those of two bundles may be the same. Then the new
    shards come first, under the names of shards of a greater number, with an index of that number, which takes the
    place of the earlier in one step; the same shards get their own names next, and an index of these replaces the
    other. Only a reader that keeps an index open in between can find a shard of another bundle than its index, and
    sees that checksums differ.

    Args:
        prefix: path of its files without `.index`.
        tensors: what to write, in any order.
        shard_size: bytes in one shard at most, but for a tensor that is larger; `None` for a single shard.
        progress: called while shards are written, as (file name, bytes done, bytes in all).
        beside: name and bytes of another small file of the folder, which comes last.

    Raises:
        TransferError: ``bundle-target-dtype``.
        StorageError: ``storage-failed``; what was there is as it was, unless the last renames failed.
    """
    parent, name = os.path.split(os.fspath(prefix))
    folder = resolved(parent or os.curdir)
    with storage_errors(str(folder)):
        make_folders(folder)
    shards = _shards(sorted(tensors, key=_key), shard_size)
    with storage_errors(str(folder)):
        recover_all(folder, lambda other: other == name + INDEX or other.startswith(f"{name}.data-"))
    taken = {path.name for path in folder.glob(_escaped(name) + _ANY_SHARD)}
    own = [shard_name(name, number, shards) for number in range(shards)]
    number = shards
    while taken and not taken.isdisjoint(shard_name(name, shard, number) for shard in range(number)):
        number += 1
    transactions: list[FileTransaction] = []
    earlier = folder / min(taken) if taken else None

    def make(path: Path) -> BinaryIO:
        # A shard under a fresh name holds what the earlier ones held: no more people may read it.
        transactions.append(FileTransaction(path, like=earlier if path.name.startswith(f"{name}.data-") else None))
        return transactions[-1].file

    try:
        indexes = _write(
            folder, name, tensors, shard_size=shard_size, progress=progress, make=make, number=number if taken else None
        )
        if beside is not None:
            make(folder / beside[0]).write(beside[1])
        last = transactions[-(indexes - 1 + (beside is not None)) :] if indexes > 1 or beside is not None else []
        for transaction in transactions[: len(transactions) - len(last)]:
            transaction.commit()
        if number != shards:
            _rename(folder, [(shard_name(name, shard, number), own[shard]) for shard in range(shards)])
        for transaction in last:
            transaction.commit()
    except BaseException:
        for transaction in transactions:
            transaction.abort()
        raise
    # Shards of a bundle that was there, and those of the greater number.
    for path in sorted(folder.glob(_escaped(name) + _ANY_SHARD)):
        if path.name not in own:
            # No index names them; those that cannot be removed are removed by the next writer.
            with suppress(OSError):
                remove_file(path)


def _rename(folder: Path, names: Sequence[tuple[str, str]]) -> None:
    """Give files further names, each in one step over what has it; a copy where a file cannot have two."""
    with storage_errors(str(folder)):
        for first, second in names:
            duplicate(folder / first, folder / second)
        sync_folder(folder)


def write_folder(
    folder: Path,
    name: str,
    tensors: Sequence[Outgoing],
    *,
    shard_size: int | None = None,
    progress: Progress | None = None,
    beside: tuple[str, bytes],
) -> None:
    """Write a folder that holds one bundle, and replace what is there in one step.

    Args:
        folder: its path.
        name: the last part of the bundle's prefix.
        tensors: what to write, in any order.
        shard_size: as for `write_bundle`.
        progress: as for `write_bundle`.
        beside: name and bytes of another small file of the folder.

    Raises:
        TransferError: ``bundle-target-dtype``.
        StorageError: ``storage-failed``; what was there is as it was.
    """
    transaction = FolderTransaction(resolved(folder))
    try:
        write_into(transaction.folder, name, tensors, shard_size=shard_size, progress=progress, beside=beside)
        transaction.commit()
    except BaseException:
        transaction.abort()
        raise


def write_into(
    folder: Path,
    name: str,
    tensors: Sequence[Outgoing],
    *,
    shard_size: int | None = None,
    progress: Progress | None = None,
    beside: tuple[str, bytes] | None = None,
) -> None:
    """Write a bundle into a folder that is not yet in its place, durably.

    Args:
        folder: of a `FolderTransaction`, or below it.
        name: the last part of the prefix.
        tensors: what to write, in any order.
        shard_size: as for `write_bundle`.
        progress: as for `write_bundle`.
        beside: name and bytes of another small file of the folder.

    Raises:
        TransferError: ``bundle-target-dtype``.
        StorageError: ``storage-failed``.
    """
    files: list[BinaryIO] = []

    def make(path: Path) -> BinaryIO:
        files.append(create_file(path))
        return files[-1]

    with storage_errors(str(folder)):
        try:
            _write(folder, name, tensors, shard_size=shard_size, progress=progress, make=make)
            if beside is not None:
                make(folder / beside[0]).write(beside[1])
            for file in files:
                sync_file(file)
        finally:
            for file in files:
                file.close()
        sync_folder(folder)


def _write(
    folder: Path,
    name: str,
    tensors: Sequence[Outgoing],
    *,
    shard_size: int | None,
    progress: Progress | None,
    make: Callable[[Path], BinaryIO],
    number: int | None = None,
) -> int:
    """Write shards and index into files that `make` opens; gives the number of indexes.

    Where `number` is not that of the shards, their names and a first index tell it, those beyond are empty, and the
    index of the true number comes second.
    """
    _check_names(tensors)
    ordered = sorted(tensors, key=_key)
    numbers = [tensor.number for tensor in ordered]
    plan = list(_plan(ordered, shard_size))
    shards = plan[-1] + 1 if plan else 1
    told = shards if number is None else number
    total, done = sum(tensor.nbytes for tensor in ordered), 0
    entries: list[tuple[bytes, bytes]] = []
    file, current, offset = None, -1, 0
    for tensor, kind, shard in zip(ordered, numbers, plan, strict=True):
        if file is None or shard != current:
            current, offset = shard, 0
            file = make(folder / shard_name(name, shard, told))
        data, crc = tensor.stored()
        file.write(data)
        entries.append((tensor.name.encode(), _entry(tensor, kind, (shard, offset, len(data)), masked(crc))))
        offset += len(data)
        done += len(data)
        if progress is not None:
            progress(name + INDEX, done, total)
    for shard in range(len(set(plan)), told):
        make(folder / shard_name(name, shard, told))
    indexes = (told, shards) if told != shards else (shards,)
    for count in indexes:
        header = Message(HEADER, {"num_shards": count, "version": Message(VERSION, {"producer": 1})})
        index = make(folder / (name + INDEX))
        for piece in write_table([(b"", encode(header)), *entries]):
            index.write(piece)
    return len(indexes)


def _key(tensor: Outgoing) -> bytes:
    return tensor.name.encode()


def _shards(tensors: Sequence[Outgoing], shard_size: int | None) -> int:
    plan = list(_plan(tensors, shard_size))
    return plan[-1] + 1 if plan else 1


def _plan(tensors: Sequence[Outgoing], shard_size: int | None) -> Iterator[int]:
    """The shard of each tensor."""
    shard, filled = 0, 0
    for tensor in tensors:
        size = tensor.nbytes
        if shard_size is not None and filled and filled + size > shard_size:
            shard, filled = shard + 1, 0
        filled += size
        yield shard


def _entry(tensor: Outgoing, number: int, place: tuple[int, int, int], crc: int) -> bytes:
    shape = Message(SHAPE, {"dim": [Message(DIM, {"size": size} if size else {}) for size in tensor.shape]})
    values = {"dtype": number, "shape": shape, "crc32c": crc}
    values |= {name: value for name, value in zip(("shard_id", "offset", "size"), place, strict=True) if value}
    return encode(Message(ENTRY, values))


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _check_names(tensors: Sequence[Outgoing]) -> None:
    """Refuse two tensors of one name, and a name that readers take for that of a slice or the header.

    Raises:
        UsageError: ``writer-misuse``.
    """
    met: set[str] = set()
    for tensor in tensors:
        if tensor.name in met or not tensor.name or tensor.name.startswith("\0"):
            raise error("writer-misuse", found=f"a tensor called {shown(tensor.name)}, again or not a name")
        met.add(tensor.name)
