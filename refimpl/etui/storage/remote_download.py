"""Copies of remote files for readers of formats that need files, and files of such writers on their way to a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from etui.errors import error, shown
from etui.limits import Limits
from etui.storage.failures import storage_errors
from etui.storage.remote_spool import PIECE_BYTES
from etui.storage.remote_store import Store, at_once

Progress = Callable[[str, int, int], None]

_FOLDERS = {"", ".", ".."}
# Formats of which a file names others beside it, which begin as it does.
_WITH_OTHERS = (".weights.json", ".index")


def download(store: Store, folder: Path, name: str, limits: Limits, progress: Progress | None = None) -> Path:
    """Copy what a URL names into a folder: a file, one with those that belong to it, or a folder with all in it.

    Args:
        store: the place.
        folder: where to put it.
        name: what to call it there.
        limits: the limits in force, of the number of files.
        progress: called as (file, bytes done, bytes in all).

    Returns:
        The path of the copy.

    Raises:
        StorageError: ``storage-failed``, nothing is there, or there is no room; and what a store says.
        UnsafeError: ``foreign-folder-name``, a name that leads out of the folder.
    """
    size = None if store.url.endswith("/") else store.find_size(store.key())
    if size is not None:
        wanted = {name: (store.key(), size)}
        if name.endswith(_WITH_OTHERS) and not store.read_only:
            wanted |= _others(store, name)
        target = folder / name
    else:
        found = {} if store.read_only else store.files()
        wanted = {f"{name}/{below}": (store.key(below), int(entry["size"])) for below, entry in found.items()}
        target = folder / name
        if not wanted and not store.read_only:
            # What is no file may be what the names of a checkpoint's files begin with.
            wanted = _others(store, name)
        if not wanted:
            store.size(store.key())  # which says that nothing is there
    if len(wanted) > limits.parts:
        raise error("limit-foreign", where=store.where, found=f"{len(wanted)} files")
    _check_names(wanted, store.where)
    total, done = sum(size for _, size in wanted.values()), 0
    if total > limits.foreign_bytes:
        raise error("limit-foreign", where=store.where, found=f"{total} bytes")
    for each, (key, size) in wanted.items():
        _copy(store, key, folder / each, size, partial(_tell, progress, each, done, total))
        done += size
    return target


def _tell(progress: Progress | None, name: str, before: int, total: int, done: int) -> None:
    if progress is not None:
        progress(name, before + done, total)


def _others(store: Store, name: str) -> dict[str, tuple[str, int]]:
    """The files beside the place whose names begin as its name does, up to its suffix."""
    stem = next((name.removesuffix(suffix) for suffix in _WITH_OTHERS if name.endswith(suffix)), name)
    folder, _, _ = store.url.rpartition("/")
    around = Store(f"{folder}/")
    found = around.files(deep=False)
    return {
        other: (around.key(other), int(entry["size"]))
        for other, entry in found.items()
        if other.startswith(stem) and other[len(stem) :][:1] in {".", "_", "-"}
    }


def _check_names(names: Iterable[str], where: str) -> None:
    for name in names:
        if _FOLDERS.intersection(name.split("/")) or "\\" in name or "\0" in name:
            raise error("foreign-folder-name", where=where, found=shown(name))


def _copy(store: Store, key: str, path: Path, size: int, tell: Callable[[int], None]) -> None:
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:

            def bring(at: int) -> int:
                data = memoryview(store.range(key, at, min(PIECE_BYTES, size - at)))
                with storage_errors(str(path)):
                    written = 0
                    while written < data.nbytes:
                        written += os.pwrite(file.fileno(), data[written:], at + written)
                return data.nbytes

            done = 0
            for count in at_once(store.threads, bring, range(0, size, PIECE_BYTES)):
                done += count
                tell(done)


def upload_files(store: Store, folder: Path, name: str) -> None:
    """Put what a writer made into a store: the file or folder `name` in a folder, and what lies beside it.

    What bears the name comes last. Of several files none may be there, since they cannot be replaced in one step.

    Raises:
        StorageError: ``remote-exists``, and what a store says.
    """
    made = folder / name
    if made.is_dir():
        files = {path.relative_to(made).as_posix(): path for path in sorted(made.rglob("*")) if path.is_file()}
        for below, path in files.items():
            store.upload(store.key(below), path, new=True)
        return
    others = sorted(path for path in folder.iterdir() if path.is_file() and path != made)
    around = Store(f"{store.url.rpartition('/')[0]}/")
    for path in others:
        if around.find_size(around.key(path.name)) is not None:
            raise error("remote-exists", where=around.shown(around.key(path.name)))
    for path in others:
        around.upload(around.key(path.name), path, new=True)
    if made.exists():
        store.upload(store.key(), made)
