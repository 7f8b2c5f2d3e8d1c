"""Files that are written for people: what is there is replaced only if it is of the same kind."""

from __future__ import annotations

import os
from pathlib import Path

from etui.errors import error
from etui.storage.failures import storage_errors
from etui.storage.transaction import replace_file

_HEAD_BYTES = 1024
_KINDS: dict[str, tuple[bytes, ...]] = {
    "HTML": (b"<!doctype html", b"<html"),
    "SVG": (b"<svg", b"<?xml", b"<!--"),
    "PNG": (b"\x89png\r\n\x1a\n",),
}


def write_file(path: Path, kind: str, content: bytes) -> None:
    """Write a file in one step: what is at the place stays until it is whole.

    Args:
        path: of the file.
        kind: ``HTML``, ``SVG`` or ``PNG``.
        content: its bytes.

    Raises:
        StorageError: ``target-other-format``, what is there is neither empty nor of that kind; ``storage-failed``.
    """
    with storage_errors(str(path)):
        if path.is_file():  # what is no file is refused below; of a pipe, reading would never end
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
            if head and not head.startswith(_KINDS[kind]):
                raise error("target-other-format", where=os.fspath(path), found=f"it is not {kind}")
    with replace_file(path) as file:
        file.write(content)
