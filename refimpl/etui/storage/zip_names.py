"""Names and kinds of members of a foreign ZIP archive: which of them are safe and mean one file only."""

from __future__ import annotations

import re
import stat
import unicodedata
from collections.abc import Collection

from etui.errors import EtuiError, error, shown
from etui.limits import Limits

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")


def decoded_name(raw: bytes, *, utf8: bool, where: str) -> str:
    """A member's name as text; without the UTF-8 flag only ASCII means the same to every reader.

    Raises:
        UnsafeError: ``foreign-zip-name``.
    """
    try:
        return raw.decode("utf-8" if utf8 else "ascii")
    except UnicodeDecodeError as cause:
        raise _unsafe(where, f"{shown(raw)}, whose encoding is not known") from cause


def check_kind(external_attributes: int, name: str, where: str) -> None:
    """Refuse symbolic links, devices and pipes: members are plain files, and folders if their names end with ``/``.

    Raises:
        UnsafeError: ``foreign-zip-link``.
    """
    kind = stat.S_IFMT(external_attributes >> 16)
    expected = stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
    if kind not in {0, expected}:
        found = f"{shown(name)} of the mode {stat.filemode(external_attributes >> 16)}"
        raise error("foreign-zip-link", where=where, found=found)


def check_names(names: Collection[str], where: str, limits: Limits) -> None:
    """Refuse names that reach outside of a folder, or of which two may mean one file.

    Raises:
        UnsafeError: ``foreign-zip-name``.
        InvalidError: ``foreign-zip-duplicate``.
        LimitError: ``limit-foreign``, a name is too long or has too many segments.
    """
    seen: dict[str, str] = {}
    for name in names:
        path = name.removesuffix("/")
        segments = path.split("/")
        if len(name) > limits.path_bytes or len(segments) > limits.depth:
            found = f"a name of {len(name)} characters in {len(segments)} segments"
            raise error("limit-foreign", where=where, found=found)
        if _CONTROL.search(name) or "\\" in name or _DRIVE.match(name) or not {"", ".", ".."}.isdisjoint(segments):
            raise _unsafe(where, shown(name))
        key = _folded(path)
        if key in seen:
            if seen[key] == path:
                raise error("foreign-zip-duplicate", where=where, found=shown(name))
            raise _unsafe(where, f"{shown(name)} and {shown(seen[key])}")
        seen[key] = path
    files = {_folded(name) for name in names if not name.endswith("/")}
    for name in names:
        folded = _folded(name)
        slash = folded.find("/")
        while slash >= 0:
            if folded[:slash] in files:
                raise _unsafe(where, f"{shown(name)}, a part of whose path is a file")
            slash = folded.find("/", slash + 1)


def _folded(name: str) -> str:
    """Names that some file system takes for the same have the same folded form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _unsafe(where: str, found: str) -> EtuiError:
    return error("foreign-zip-name", where=where, found=found)
