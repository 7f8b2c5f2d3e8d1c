"""A folder in the making that several processes write data parts into, and one of them puts in its place.

The coordinator holds the transaction; the others know the folder's path and write complete, durable files below it. If
one of them dies, the coordinator gives up and the folder is a leftover: what was at the target is as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.directory import DirectoryWriter
from etui.storage.failures import storage_errors
from etui.storage.targets import check_target
from etui.storage.transaction import create_file, make_folders, rename, resolved, sync_file, sync_folder
from etui.storage.writing import CheckedWriter, Content


class SharedFolder(DirectoryWriter):
    """The coordinator's side: an artifact in directory form whose data parts others write.

    Args:
        target: the folder to replace or make, and those that lead to it.
        limits: the limits in force.

    Raises:
        StorageError: ``target-not-etui``, ``storage-failed``.
    """

    def __init__(self, target: str | Path, limits: Limits = DEFAULT_LIMITS) -> None:
        path = resolved(target)
        check: Callable[[], None] = lambda: check_target(path, "directory", limits)  # noqa: E731
        check()
        with storage_errors(str(path)):
            make_folders(path.parent)
        super().__init__(path, limits, check)

    @property
    def folder(self) -> Path:
        """The folder to write into, beside the target."""
        return self._transaction.folder

    def adopt(self, name: str, made_as: str, size: int) -> None:
        """Take a data part that another process wrote, in the order of `write`.

        Args:
            name: the part's name.
            made_as: the name that it was written under.
            size: its bytes.

        Raises:
            IntegrityError: ``part-missing``, ``part-size``: the process that said so did not write it.
        """
        self._check(name, "data")
        place = self.folder / made_as
        with storage_errors(self.location):
            try:
                found = place.lstat().st_size
            except FileNotFoundError as cause:
                raise error("part-missing", where=self.location, found=shown(made_as)) from cause
            if found != size:
                raise error("part-size", where=f"{self.location}, {made_as}", found=f"{found} bytes, not {size}")
            if name != made_as:
                rename(place, self.folder / name)
        self._written += 1


class FolderParts(CheckedWriter):
    """The side of each process: data parts, complete and durable after `commit`.

    Args:
        folder: that of the coordinator's `SharedFolder`.
        limits: the limits in force.
    """

    def __init__(self, folder: str | Path, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__("directory", str(folder), limits)
        self._folder = Path(folder)

    def commit(self) -> None:
        """Flush the names of the parts to the device, as their bytes are already."""
        self._state = "committing"
        self._publish()
        self._state = "committed"

    def _put(self, part: Content) -> None:
        with storage_errors(self.location), create_file(self._folder / part.name) as file:
            for view in part.data:
                file.write(view)
                del view  # see `slices`
            sync_file(file)

    def _publish(self) -> None:
        if self._written:
            with storage_errors(self.location):
                sync_folder(self._folder)

    def _abort(self) -> None:
        """Nothing: the coordinator removes the folder, and a file of a part that failed is in no manifest."""
