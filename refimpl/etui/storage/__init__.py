"""The layer that touches files: artifacts in directory form, in packed form, and in memory.

`open_artifact` recognises the form by content (clause I-1); `create_artifact` writes beside the target and replaces it
in one step (clauses F-6 to F-8).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import BinaryIO

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ArtifactReader, ArtifactWriter, Form
from etui.storage.directory import DirectoryReader, DirectoryWriter
from etui.storage.failures import storage_errors
from etui.storage.memory import MemoryReader, MemoryWriter
from etui.storage.packed import PackedReader, PackedWriter
from etui.storage.sources import BytesSource, mapped_file
from etui.storage.targets import check_target
from etui.storage.transaction import FileTransaction, resolved, standing
from etui.storage.urls import is_url, local

__all__ = ["create_artifact", "open_artifact"]

Location = str | os.PathLike[str] | bytes | Mapping[str, bytes]
Target = str | os.PathLike[str] | BinaryIO | MutableMapping[str, bytes]


def open_artifact(location: Location, limits: Limits = DEFAULT_LIMITS) -> ArtifactReader:
    """Open an artifact; of the data parts, nothing is read.

    Args:
        location: a path to a file or a folder, the URL of one, the bytes of a packed artifact, or a mapping from part
            name to bytes.
        limits: the limits in force.

    Raises:
        RejectError: a ``zip-`` code, ``part-name``, ``manifest-missing``, ``part-not-a-file``, ``limit-parts``.
        StorageError: ``storage-failed``, for example because nothing is there.
    """
    if isinstance(location, Mapping):
        return MemoryReader(location, limits)
    if isinstance(location, bytes):
        return PackedReader(BytesSource(location), "<bytes>", limits=limits)
    if isinstance(location, str):
        if is_url(location):
            from etui.storage.remote import open_remote

            return open_remote(location, limits)
        location = local(location)
    with storage_errors(os.fspath(location)):
        path = standing(Path(location))
        if path.is_dir():
            return DirectoryReader(path, limits)
        source = mapped_file(path)
        try:
            return PackedReader(source, str(path), limits=limits, close=source.close)
        except BaseException:
            source.close()
            raise


def create_artifact(target: Target, form: Form | None = None, limits: Limits = DEFAULT_LIMITS) -> ArtifactWriter:
    """Begin to write an artifact in place of what is at `target`.

    Without a `form`, a mapping takes the parts in memory and a file object the packed form; a path takes the directory
    form if it ends with a separator or is an existing folder, and the packed form otherwise. A symbolic link stands for
    what it points to.

    Args:
        target: a path, a URL, a file open for writing (binary, seekable, empty), or a mapping to fill.
        form: ``"directory"`` or ``"packed"`` for a path or a URL.
        limits: the limits in force.

    Raises:
        StorageError: ``target-not-etui``, something else is there that would be lost; ``storage-failed``; for a URL,
            what `etui.storage.remote_writing.create_remote` says.
        UsageError: ``writer-misuse``, the form does not suit the target.
    """
    if isinstance(target, MutableMapping):
        _check_form(form, "memory")
        return MemoryWriter(target, limits)
    if not isinstance(target, str | os.PathLike):
        _check_form(form, "packed")
        return PackedWriter(target, "<file>", limits=limits)
    text = local(os.fspath(target))
    if is_url(text):
        from etui.storage.remote_writing import create_remote

        return create_remote(text, form, limits)
    path = resolved(text)
    if form is None:
        form = "directory" if text.endswith(os.sep) or path.is_dir() else "packed"
    if form in {"memory", "series"} or not text:
        raise error("writer-misuse", where=text, found=f"an empty path, or a path for the form {shown(form)}")
    check_target(path, form, limits)
    if form == "directory":
        return DirectoryWriter(path, limits, check=lambda: check_target(path, form, limits))
    transaction = FileTransaction(path, check=lambda: check_target(path, form, limits))
    return PackedWriter(transaction.file, str(path), publish=transaction.commit, abort=transaction.abort, limits=limits)


def _check_form(form: Form | None, needed: Form) -> None:
    if form not in {None, needed}:
        raise error("writer-misuse", found=f"the form {shown(form)} for a target of the form {shown(needed)}")
