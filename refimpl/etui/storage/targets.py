"""What a save may replace: an etui of the same form, or nothing that would be lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from etui.canonical import json
from etui.errors import EtuiError, RejectError, error, shown
from etui.limits import Limits
from etui.storage.base import Form
from etui.storage.directory import DirectoryReader
from etui.storage.failures import storage_errors
from etui.storage.packed_layout import is_first_header
from etui.storage.part_names import MANIFEST

_HEAD_BYTES = 1024
_TRIES = 100


def check_target(path: Path, form: Form, limits: Limits) -> None:
    """Refuse to replace what is not an artifact of that form.

    A file may be replaced if it is empty or begins as a packed artifact does; it may be damaged after that. A folder
    may be replaced if it is empty, or has a manifest of an etui that lists every file in it.

    Args:
        path: the target, resolved.
        form: ``"packed"`` or ``"directory"``.
        limits: for reading the manifest.

    Raises:
        StorageError: ``target-not-etui``, ``storage-failed``.
    """
    with storage_errors(str(path)):
        for tries_left in reversed(range(_TRIES)):
            try:
                status = path.stat()
            except FileNotFoundError:
                return
            try:
                if form == "packed":
                    _check_file(path, status.st_mode)
                else:
                    _check_folder(path, status.st_mode, limits)
            except OSError:
                # Another writer may have replaced it, and removed what was being looked at.
                if tries_left and _identity(path) != (status.st_dev, status.st_ino):
                    continue
                raise
            return


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _check_file(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise _refusal(path, "a folder or a device where a file is to be written")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head and not is_first_header(head):
        raise _refusal(path, f"a file that begins with {shown(head[:16])}")


def _check_folder(path: Path, mode: int, limits: Limits) -> None:
    if not stat.S_ISDIR(mode):
        raise _refusal(path, "a file where a folder is to be written")
    with os.scandir(path) as entries:
        if next(entries, None) is None:
            return
    try:
        with DirectoryReader(path, limits) as reader:
            source = reader.source(MANIFEST)
            if source.size > limits.document_bytes:
                raise _refusal(path, f"a {MANIFEST} of {source.size} bytes")
            manifest = json.decode(source.read(0, source.size), where=MANIFEST, limits=limits)
            parts = manifest.get("parts")
            if manifest.get("format") != "etui" or not isinstance(parts, dict):
                raise _refusal(path, f"a {MANIFEST} that is not of an etui")
            reader.verify_container(parts)
    except RejectError as cause:
        raise _refusal(path, str(cause)) from cause


def _refusal(path: Path, found: str) -> EtuiError:
    return error("target-not-etui", where=str(path), found=found)
