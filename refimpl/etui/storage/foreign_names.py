"""Names of files that other software's documents give: data of a stranger, which may only mean files beside them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\?#\ud800-\udfff]")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:]")


# What file managers put beside the files of others (K-69).
_CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_CLUTTER_FOLDER, _CLUTTER_PREFIX = "__MACOSX", "._"


def is_clutter(name: str) -> bool:
    """Whether a relative name is that of a file which a file manager put there for itself."""
    *folders, file = name.split("/")
    return file in _CLUTTER or file.startswith(_CLUTTER_PREFIX) or _CLUTTER_FOLDER in folders


def leads_elsewhere(name: str) -> bool:
    """Whether a relative name with `/` between its steps may mean something that is not below its folder."""
    return "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/"))


def name_fault(name: object, limits: Limits = DEFAULT_LIMITS) -> str:
    """What is wrong with a relative file name that a document gives; empty if it can only mean a file below a folder.

    Drives, URLs, backslashes, control characters and what a URL parser would take as a query are refused.
    """
    if not isinstance(name, str) or not name:
        return "it is no text, or empty"
    if len(name) > limits.path_bytes or name.count("/") >= limits.depth:
        return "it is too long"
    if _FORBIDDEN.search(name) or _SCHEME.match(name):
        return "it is not a plain file name"
    return "it is absolute or leads elsewhere" if leads_elsewhere(name) else ""


def check_sibling_names(names: Iterable[object], where: str, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """Check that each name is that of one file in the same folder, on every system; return them.

    Raises:
        UnsafeError: ``sibling-name``: no text, a path, a device, a control character, or two names that a file system
            may take as one.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not _is_plain(name, limits):
            raise error("sibling-name", where=where, found=shown(name))
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if seen.setdefault(key, name) != name:
            raise error("sibling-name", where=where, found=f"{shown(name)} and {shown(seen[key])}")
    return list(seen.values())


def _is_plain(name: str, limits: Limits) -> bool:
    if not name or name[-1] in ". " or _UNSAFE.search(name):
        return False
    return len(name.encode("utf-8", "surrogatepass")) <= limits.segment_bytes
