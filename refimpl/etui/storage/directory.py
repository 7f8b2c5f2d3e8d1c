"""The directory form: one file per part below one folder (SPEC.md, chapter Directory form)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from etui.errors import InvalidError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource, Form
from etui.storage.closing import Closing
from etui.storage.failures import storage_errors, storage_failure
from etui.storage.objects import MARK
from etui.storage.open_files import OpenFiles, most_open
from etui.storage.part_names import MANIFEST, check_part_name, check_part_names
from etui.storage.reading import missing
from etui.storage.sources import FileSource
from etui.storage.transaction import FolderTransaction, create_file, make_folder, sync_file, sync_folder
from etui.storage.writing import CheckedWriter, Content

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Where a series of checkpoints is in the place of an artifact.
_FOUND = "a series of checkpoints"
_HINT = "Open one of its steps, by etui.checkpoints.Series, or export it, by `etui checkpoints export`."
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class DirectoryReader(Closing):
    """Reads parts from below a folder.

    The folder is held open: if a writer replaces the artifact meanwhile, this reader never mixes the two; it goes on
    with what it opened, and the parts that it did not open are missing.

    Raises:
        InvalidError: ``manifest-missing``.
        StorageError: ``storage-failed``.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        self.form: Form = "directory"
        self.location = str(path)
        self._limits = limits
        self._files: OpenFiles | None = None  # of an artifact of many parts, which are not all open at once
        with storage_errors(self.location):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._status(MANIFEST)
        except InvalidError as cause:
            series = os.access(MARK, os.F_OK, dir_fd=self._descriptor)
            self.close()
            if not series:
                raise
            raise error("manifest-missing", where=self.location, found=_FOUND, hint=_HINT) from cause
        except BaseException:
            self.close()
            raise

    def names(self) -> Mapping[str, int]:
        """Every regular file below the folder with its size; links and devices are not among them."""
        return {name: status.st_size for name, status in self._walk() if stat.S_ISREG(status.st_mode)}

    def source(self, name: str) -> ByteSource:
        """The bytes of a part, which is a regular file that no symbolic link leads to (F-1)."""
        self._status(name)
        return self._opened(name) if self._files is None else self._files.add(name)

    def _opened(self, name: str) -> FileSource:
        with self._folder_of(name) as (folder, base), storage_errors(f"{self.location}/{name}"):
            descriptor = os.open(base, _FILE_FLAGS, dir_fd=folder)
            return FileSource(descriptor, f"{self.location}/{name}")

    def check_members(self, listed: Mapping[str, int]) -> None:
        """Every listed part is a regular file of the listed size (F-1, F-3, F-4)."""
        check_part_names(listed, self._limits)
        for name, size in listed.items():
            found = self._status(name).st_size
            if found != size:
                raise error("part-size", where=name, found=f"{found} bytes, not {size}")
        most = most_open()
        if len(listed) > most:
            self._files = OpenFiles(self._opened, most)

    def verify_container(self, listed: Collection[str]) -> None:
        """Nothing lies below the folder that is not listed (F-5)."""
        for name, _ in self._walk():
            if name not in listed and name != MANIFEST:
                raise error("part-unlisted", where=self.location, found=shown(name))

    def close(self) -> None:
        """Let go of the folder."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        files, self._files = self._files, None
        if files is not None:
            files.close()

    def __del__(self) -> None:
        self.close()

    def _status(self, name: str) -> os.stat_result:
        check_part_name(name, self._limits)
        with self._folder_of(name) as (folder, base):
            try:
                status = os.stat(base, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError as cause:
                raise missing(name, self.location) from cause
            except OSError as cause:
                raise storage_failure(f"{self.location}/{name}", cause) from cause
        if not stat.S_ISREG(status.st_mode):
            raise error("part-not-a-file", where=f"{self.location}/{name}", found=stat.filemode(status.st_mode))
        return status

    @contextmanager
    def _folder_of(self, name: str) -> Iterator[tuple[int, str]]:
        """The folder that holds a part, reached without following a link, and the part's name in it."""
        if self._descriptor < 0:
            raise error("storage-failed", where=self.location, found="an artifact that was closed")
        *folders, base = name.split("/")
        with ExitStack() as stack:
            descriptor = self._descriptor
            for folder in folders:
                try:
                    descriptor = os.open(folder, _FOLDER_FLAGS, dir_fd=descriptor)
                except FileNotFoundError as cause:
                    raise missing(name, self.location) from cause
                except OSError as cause:
                    if cause.errno in {errno.ENOTDIR, errno.ELOOP}:
                        found = f"{shown(folder)}, which is not a folder"
                        raise error("part-not-a-file", where=f"{self.location}/{name}", found=found) from cause
                    raise storage_failure(f"{self.location}/{name}", cause) from cause
                stack.callback(os.close, descriptor)
            yield descriptor, base

    def _walk(self, folder: int = -1, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Everything below the folder that is not a folder; no link is followed."""
        with storage_errors(self.location), os.scandir(self._descriptor if folder < 0 else folder) as entries:
            names = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        for base, status in names:
            name = prefix + base
            # A folder below which no part can be counts as a file, which also bounds the depth.
            if not stat.S_ISDIR(status.st_mode) or len(name) >= self._limits.part_name_bytes:
                yield name, status
                continue
            with storage_errors(self.location):
                descriptor = os.open(base, _FOLDER_FLAGS, dir_fd=self._descriptor if folder < 0 else folder)
            try:
                yield from self._walk(descriptor, f"{name}/")
            finally:
                os.close(descriptor)


class DirectoryWriter(CheckedWriter):
    """Writes parts into a folder beside the target and swaps the two at the end.

    Args:
        path: the folder to replace or make, resolved.
        limits: the limits in force.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS, check: Callable[[], None] | None = None) -> None:
        super().__init__("directory", str(path), limits)
        self._transaction = FolderTransaction(path, check=check)
        self._folders = {self._transaction.folder}

    def _put(self, part: Content) -> None:
        if part.name == MANIFEST:
            # The manifest is the commit: it must not become durable before the entries of the parts (F-6).
            self._sync_folders()
        path = self._transaction.folder / part.name
        with storage_errors(self.location):
            for folder in reversed(path.relative_to(self._transaction.folder).parents):
                if (self._transaction.folder / folder) not in self._folders:
                    make_folder(self._transaction.folder / folder)
                    self._folders.add(self._transaction.folder / folder)
            with create_file(path) as file:
                for view in part.data:
                    file.write(view)
                    del view  # see `slices`
                sync_file(file)

    def _sync_folders(self) -> None:
        with storage_errors(self.location):
            for folder in self._folders:
                sync_folder(folder)

    def _publish(self) -> None:
        self._sync_folders()
        self._transaction.commit()

    def _abort(self) -> None:
        self._transaction.abort()
