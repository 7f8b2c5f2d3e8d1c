"""An index and the data files that it names, replaced in one step: the index is the commit.

Data files get names that no other content has, so that those of the earlier set stay as they are until the new index
is in its place. Afterwards the earlier ones are removed; a crash before that leaves files that no index names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from etui.storage.base import SLICE_BYTES
from etui.storage.failures import storage_errors
from etui.storage.transaction import remove_file, replace_file, resolved, sync_folder

_DIGITS = 16


class FileSet:
    """A set of files in the making. A context manager that removes what it made unless `commit` was called.

    Args:
        index: path of the index, which may be there. Where it is a symbolic link, the data files are beside the link.
    """

    def __init__(self, index: str | os.PathLike[str]) -> None:
        self.index = Path(index)
        self._made: list[Path] = []
        self._names: set[str] = set()
        self._late: list[tuple[str, bytes]] = []
        self._data: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            if self._made and not self._is_committed():
                # A failed commit may have put the index in its place and taken it back, not durably.
                sync_folder(self.index.parent)
                for path in self._made:
                    remove_file(path)

    def _is_committed(self) -> bool:
        """Whether the index is in its place, which not every system lets a commit undo that failed at its last step."""
        return self._data is not None and self.index.is_file() and self.index.read_bytes() == self._data

    def add(self, file: IO[bytes], name: Callable[[str], str]) -> str:
        """Put a data file beside the index.

        Args:
            file: its content, from its beginning.
            name: gives its name for the first digits of its SHA-256.

        Returns:
            The name.

        Raises:
            StorageError: ``storage-failed``.
        """
        file.seek(0)
        hasher = hashlib.sha256()
        while data := file.read(SLICE_BYTES):
            hasher.update(data)
        found = name(hasher.hexdigest()[:_DIGITS])
        file.seek(0)
        path = self.index.with_name(found)
        fresh = not os.path.lexists(path)
        with replace_file(path, like=resolved(self.index)) as target:
            while data := file.read(SLICE_BYTES):
                target.write(data)
        if fresh:
            self._made.append(path)
        self._names.add(found)
        return found

    def add_fixed(self, name: str, data: bytes) -> None:
        """Put a file under a name that any content may have: now if nothing has the name, else after the commit.

        Raises:
            StorageError: ``storage-failed``.
        """
        path = self.index.with_name(name)
        if os.path.lexists(path):
            self._late.append((name, data))
        else:
            with replace_file(path) as file:
                file.write(data)
            self._made.append(path)
        self._names.add(name)

    def commit(self, data: bytes, earlier: Iterable[str]) -> None:
        """Put the index in its place, and remove the data files of the earlier set.

        Args:
            data: the index.
            earlier: names of data files of the earlier set, which the caller knows to be of this set's making or kind.

        Raises:
            StorageError: ``storage-failed``; the earlier set is as it was.
        """
        self._data = data
        with replace_file(self.index) as file:
            file.write(data)
        self._made.clear()
        for name, content in self._late:
            with replace_file(self.index.with_name(name)) as file:
                file.write(content)
        for name in sorted(set(earlier) - self._names):
            path = self.index.with_name(name)
            with suppress(OSError):
                if path.is_file() and not path.is_symlink():
                    remove_file(path)
        with storage_errors(str(self.index)):
            sync_folder(self.index.parent)
