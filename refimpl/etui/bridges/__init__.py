"""The registry of formats: Etui's own and those that bridges read and write.

A bridge is imported when it is first used. Formats are told apart by content: each bridge looks at a file's first or
last bytes, at the directory of an archive, or at the names in a folder.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from etui.bridges.formats import FORMATS, PARTS, Bridge, Translator
from etui.bridges.strangers import Stranger, stranger
from etui.errors import error, shown, without_secrets
from etui.storage.failures import storage_errors
from etui.storage.transaction import standing
from etui.storage.urls import is_url, local, name_of, suffix_of

__all__ = [
    "OWN",
    "PARTS",
    "Bridge",
    "Translator",
    "bridges",
    "by_name",
    "by_suffix",
    "is_folder",
    "of_source",
    "of_target",
    "recognise",
]

_HEAD_BYTES = 16
_BRIDGES = FORMATS
OWN = _BRIDGES[0].name


def bridges() -> tuple[Bridge, ...]:
    """Every known format, Etui's own first."""
    return _BRIDGES


def by_name(name: str) -> Bridge:
    """The bridge of that name.

    Raises:
        UsageError: ``format-unknown``.
    """
    for bridge in _BRIDGES:
        if bridge.name == name:
            return bridge
    raise error("format-unknown", found=shown(name), hint=f"Known formats: {_known()}.")


def recognise(path: str | os.PathLike[str]) -> Bridge | None:
    """The format of a file or folder by its content; `None` if no bridge knows it.

    A path at which nothing is may be what the names of a model's files begin with: bridges that know such say so.

    Raises:
        StorageError: ``storage-failed``, for example because nothing is there.
    """
    place = standing(Path(path))
    with storage_errors(str(path)):
        try:
            mode = place.stat().st_mode
        except FileNotFoundError:
            found = next((bridge for bridge in _BRIDGES if _begins(bridge, place)), None)
            if found is None:
                raise
            return found
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return None
        return next((bridge for bridge in _BRIDGES if bridge.translator.recognises(place)), None)


def _begins(bridge: Bridge, path: Path) -> bool:
    """Whether a bridge recognises files whose names begin with a path at which nothing is."""
    try:
        return bridge.translator.recognises(path)
    except OSError:
        return False


def of_source(path: str | os.PathLike[str]) -> Bridge:
    """The format of a source, by content.

    Where the content tells nothing, the reader that the name suggests is the one that can say what is wrong with it.

    Raises:
        UsageError: ``format-unknown``.
        StorageError: ``storage-failed``.
    """
    bridge = recognise(path)
    if bridge is None:
        place = Path(path)
        known = _stranger(place)
        if known is not None:
            raise error("format-unknown", where=str(path), found=known.kind, hint=known.hint)
        bridge = by_name(OWN) if place.is_dir() else by_suffix(place.name)
    if bridge is None:
        raise error("format-unknown", where=str(path), found=_beginning(place), hint=f"Known formats: {_known()}.")
    return bridge


def of_target(path: str | os.PathLike[str], name: str | None = None) -> Bridge:
    """The format of a target: the named one, else by the suffix; no suffix, or a final separator, means a folder.

    Raises:
        UsageError: ``format-unknown``.
    """
    if name is not None:
        return by_name(name)
    text = os.fspath(path)
    remote = is_url(text)
    place = Path(name_of(text) if remote else text)
    if is_folder(text):
        return by_name(OWN)
    bridge = by_suffix(place.name)
    if bridge is None:
        found = f"the suffix {shown(place.suffix)}"
        where = without_secrets(text) if remote else text
        raise error("format-unknown", where=where, found=found, hint=f"Name a format; known are {_known()}.")
    return bridge


def is_folder(target: str) -> bool:
    """Whether a target means the directory form: a final separator, no suffix, or for a path an existing folder."""
    if is_url(target):
        return target.endswith("/") or not suffix_of(target)
    target = local(target)
    place = Path(target)
    return target.endswith(os.sep) or place.is_dir() or (not place.suffix and not place.is_file())


def by_suffix(name: str) -> Bridge | None:
    """The bridge with the longest suffix that the name ends with: `.weights.h5` goes before `.h5`."""
    found = {suffix: bridge for bridge in _BRIDGES for suffix in bridge.suffixes if name.lower().endswith(suffix)}
    return found[max(found, key=len)] if found else None


def _known() -> str:
    return ", ".join(f"{bridge.name} ({bridge.title})" for bridge in _BRIDGES)


def _stranger(path: Path) -> Stranger | None:
    with storage_errors(str(path)):
        return stranger(path) if path.is_file() else None


def _beginning(path: Path) -> str:
    if not path.is_file():
        return "neither a file nor a folder"
    with path.open("rb") as file:
        return f"a file that begins with {shown(file.read(_HEAD_BYTES))}"
