"""Where bytes lie in the file system, for software that maps files itself."""

from __future__ import annotations

import os
from pathlib import Path

from etui.storage.base import ByteSource
from etui.storage.sources import FileSource, Window

__all__ = ["file_place"]


def file_place(source: ByteSource) -> tuple[str, int] | None:
    """The absolute path, without links, of the file that has the bytes of a source, and the first of them in it.

    `None` for bytes that are in memory or behind a URL, and where another file has the path by now: the one that is
    open may have no name any more.
    """
    start = 0
    while isinstance(source, Window):
        start += source.start
        source = source.source
    if not isinstance(source, FileSource):
        return None
    try:
        path = Path(source.where).resolve()
        now, own = path.stat(), os.fstat(source.fileno())
    except OSError:
        return None
    return (str(path), start) if (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino) else None
