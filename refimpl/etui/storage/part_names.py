"""Names of parts: what is legal, what collides, which role and place a name has (SPEC.md, chapter Parts)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits

MANIFEST = "manifest.json"

_SEGMENT = re.compile(r"[A-Za-z0-9_\-.+%=]+")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_DATA = re.compile(r"(weights|optimizer|state)(?:-([0-9]{5,})-of-([0-9]{5,}))?\.safetensors")
_DOCUMENT_ROLES = {
    MANIFEST: "manifest",
    "config.json": "config",
    "weights.json": "weights",
    "training.json": "training",
    "optimizer.msgpack": "optimizer",
    "state.msgpack": "state",
}
_FOLDER_ROLES = {"assets": "asset", "programs": "program", "native": "native"}
_RANKS = {"data": 0, "program": 1, "native": 1, "asset": 1, "manifest": 3}
_DOCUMENT_RANK = 2


def check_part_name(name: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a name that is not portable or could leave the artifact's folder (P-1, P-2).

    Raises:
        UnsafeError: ``part-name``.
        LimitError: ``limit-path``.
    """
    if len(name) > limits.part_name_bytes:
        raise error("limit-path", where=shown(name), found=f"a part's name of {len(name)} bytes")
    for segment in name.split("/"):
        if _SEGMENT.fullmatch(segment) is None:
            fault = "has other characters than a part's name may have, or none"
        elif segment[0] == "." or segment[-1] == ".":
            fault = "begins or ends with '.'"
        elif _DEVICE.fullmatch(segment):
            fault = "is a device's name"
        else:
            continue
        raise error("part-name", where=shown(name), found=f"the segment {shown(segment)}, which {fault}")


def check_part_names(names: Collection[str], limits: Limits = DEFAULT_LIMITS) -> None:
    """Check the names of all listed parts, alone and against each other (P-1, P-2, P-3, P-5).

    Args:
        names: the parts that the manifest lists, each once; `manifest.json` is not among them.
        limits: the limits in force.

    Raises:
        UnsafeError: ``part-name``, ``part-collision``.
        InvalidError: ``part-role``.
        LimitError: ``limit-parts``, ``limit-path``.
    """
    if len(names) > limits.parts:
        raise error("limit-parts", where=MANIFEST, found=f"{len(names)} parts")
    collisions = Collisions()
    collisions.add(MANIFEST)
    for name in names:
        check_part_name(name, limits)
        collisions.add(name)
    _check_shards(names)


class Collisions:
    """The names seen so far, lower-cased, and the folders that they need (P-3)."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Add a name.

        Raises:
            UnsafeError: ``part-collision``.
        """
        lowered = name.lower()
        other = self._names.get(lowered) or self._folders.get(lowered)
        slash = lowered.find("/")
        while slash >= 0 and other is None:
            folder = lowered[:slash]
            other = self._names.get(folder)
            self._folders[folder] = name
            slash = lowered.find("/", slash + 1)
        if other is not None:
            raise error("part-collision", where=shown(name), found=shown(other))
        self._names[lowered] = name


def _check_shards(names: Collection[str]) -> None:
    shards: defaultdict[str, set[tuple[str, str] | None]] = defaultdict(set)
    for name in names:
        match = _DATA.fullmatch(name)
        if match:
            shards[match[1]].add((match[2], match[3]) if match[2] else None)
    for base, found in shards.items():
        total = len(found)
        expected = {(f"{number:05d}", f"{total:05d}") for number in range(1, total + 1)}
        if found not in ({None}, expected):
            raise error("part-role", where=f"{base}.safetensors", found="shards that are not 1 to n of n, each once")


def role_of(name: str) -> str | None:
    """The role that chapter Parts gives to a name, or `None` where no part has such a name (P-4)."""
    if name in _DOCUMENT_ROLES:
        return _DOCUMENT_ROLES[name]
    if _DATA.fullmatch(name):
        return "data"
    folder, slash, rest = name.partition("/")
    if not (slash and rest) or (folder in ("native", "programs") and "/" not in rest):
        return None
    return _FOLDER_ROLES.get(folder)


def order_key(name: str) -> tuple[int, str]:
    """Sorts names into the order of members (Z-2). Part names are ASCII, so text order is byte order."""
    return (_RANKS.get(role_of(name) or "data", _DOCUMENT_RANK), name)


def escape(name: str) -> str:
    """A part name for any file name or relative path: ``%XX`` per UTF-8 byte where the name needs it (P-6).

    `%` itself is escaped, a `.` at either end of a segment, and the first letter of a device's name, so that
    different names stay different.

    Raises:
        UnsafeError: ``part-name``, a segment is empty, ``.`` or ``..``.
    """
    segments = name.split("/")
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise error("part-name", where=shown(name), found=f"the segment {shown(segment)}")
    return "/".join(_escape_segment(segment) for segment in segments)


def _escape_segment(segment: str) -> str:
    text = "".join(char if char != "%" and _SEGMENT.fullmatch(char) else _percent(char) for char in segment)
    if text[0] == "." or _DEVICE.fullmatch(text):
        text = _percent(text[0]) + text[1:]
    return text[:-1] + _percent(".") if text[-1] == "." else text


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


def unescape(name: str) -> str:
    """The inverse of `escape`; a ``%`` that no two hex digits follow stays as it is."""
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), name.encode())
    return raw.decode("utf-8", "surrogateescape")
