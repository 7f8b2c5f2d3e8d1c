"""Names: paths of variables and modules (D-2 to D-4), names of parts (chapter 7), and ops (C-8)."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable

from etui_conformance.oracle import limits
from etui_conformance.oracle.errors import Refusal

MANIFEST = "manifest.json"

DOCUMENTS = {
    "config.json": "config",
    "weights.json": "weights",
    "training.json": "training",
    "optimizer.msgpack": "optimizer",
    "state.msgpack": "state",
}
"""Name of a document -> its role; the manifest has none."""

DATA_MEDIA_TYPE = "application/vnd.safetensors"

_FOLDERS = {"assets": "asset", "programs": "program", "native": "native"}
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\#@]")
_ESCAPED = re.compile(r"[\x00-\x1f\x7f/\\#@%]")
_PART_SEGMENT = re.compile(r"[A-Za-z0-9_\-.+%=]+")
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?", re.IGNORECASE)
_DATA = re.compile(r"(weights|optimizer|state)(?:-([0-9]+)-of-([0-9]+))?\.safetensors")
NAMESPACE = re.compile(r"[a-z][a-z0-9_]*")
"""The name of a framework; that it begins with a letter is said by the schemas that C-1 names."""

_OP = re.compile(NAMESPACE.pattern + r":[^\x00-\x20\x7f]+")


def check_path(path: str, at: str = "") -> None:
    """Refuse a text that is no path (D-2, D-3, L-2).

    Raises:
        Refusal: ``path-form``, ``limit-path``.
    """
    if len(path.encode(errors="surrogatepass")) > limits.PATH_BYTES:
        raise Refusal("limit-path", at, f"a path of more than {limits.PATH_BYTES} bytes")
    for segment in path.split("/"):
        check_segment(segment, at)


def check_segment(segment: str, at: str = "") -> None:
    """Refuse a text that is no segment of a path (D-2, D-3, L-2).

    Raises:
        Refusal: ``path-form``, ``limit-path``.
    """
    if segment in ("", ".", "..") or _FORBIDDEN.search(segment):
        raise Refusal("path-form", at, f"the segment {segment!r}")
    if len(segment.encode(errors="surrogatepass")) > limits.SEGMENT_BYTES:
        raise Refusal("limit-path", at, f"a segment of more than {limits.SEGMENT_BYTES} bytes")


def is_path(text: str) -> bool:
    """Whether a text is a path."""
    try:
        check_path(text)
    except Refusal:
        return False
    return True


def check_collisions(paths: Iterable[str], at: str = "") -> None:
    """Refuse paths of one index that are equal after normalization form C (D-4).

    Raises:
        Refusal: ``path-collision``.
    """
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(unicodedata.normalize("NFC", path), path)
        if other != path:
            raise Refusal("path-collision", at, f"{path!r} and {other!r}")


def escape_segment(text: str) -> str:
    """The segment that a bridge writes for a framework's name (D-3)."""
    if text in ("", ".", ".."):
        return "".join(map(_percent, text)) or "%"
    return _ESCAPED.sub(lambda found: _percent(found[0]), text)


def check_op(text: object, at: str = "") -> None:
    """Refuse an op, class or algorithm that is not ``namespace:name`` (C-8).

    Raises:
        Refusal: ``op-form``.
    """
    if not isinstance(text, str) or _OP.fullmatch(text) is None:
        raise Refusal("op-form", at, f"the name {text!r}")


def role_of(name: str) -> str | None:
    """The role that a part has by its name (P-4), `manifest` for the root, or `None` where no part has such a name."""
    if name in DOCUMENTS or name == MANIFEST:
        return DOCUMENTS.get(name, "manifest")
    if _DATA.fullmatch(name):
        return "data"
    folder, *rest = name.split("/")
    below = 1 if folder == "assets" else 2
    return _FOLDERS.get(folder) if len(rest) >= below else None


def media_type_of(name: str) -> str | None:
    """The media type that a part must have by its name (P-4), or `None` where it is the caller's."""
    if name in DOCUMENTS:
        return f"application/vnd.etui.{DOCUMENTS[name]}+{name.partition('.')[2]}"
    return DATA_MEDIA_TYPE if _DATA.fullmatch(name) else None


def check_part_name(name: str, at: str = "") -> None:
    """Refuse a name that no part may have (P-1, P-2, L-2).

    Raises:
        Refusal: ``part-name``, ``limit-path``.
    """
    for segment in name.split("/"):
        if _PART_SEGMENT.fullmatch(segment) is None:
            raise Refusal("part-name", at, f"the segment {segment[:80]!r}")
        if segment[0] == "." or segment[-1] == "." or _DEVICE.fullmatch(segment):
            raise Refusal("part-name", at, f"the segment {segment[:80]!r}")
    if len(name) > limits.PART_NAME_BYTES:
        raise Refusal("limit-path", at, f"a part's name of {len(name)} bytes")


def check_part_collisions(names: Iterable[str], at: str = "") -> None:
    """Refuse names that a file system may not keep apart (P-3).

    Raises:
        Refusal: ``part-collision``.
    """
    lowered: dict[str, str] = {}
    for name in names:
        other = lowered.setdefault(name.lower(), name)
        if other is not name:
            raise Refusal("part-collision", at, f"{name!r} and {other!r}")
    for low, name in lowered.items():
        slash = low.find("/")
        while slash >= 0:
            if low[:slash] in lowered:
                raise Refusal("part-collision", at, f"{name!r} below {lowered[low[:slash]]!r}")
            slash = low.find("/", slash + 1)


def check_shards(names: Collection[str], at: str = "") -> None:
    """Refuse data parts of a document that are not one file, or the shards 1 to n of n (P-5).

    Raises:
        Refusal: ``part-role``.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        if match := _DATA.fullmatch(name):
            found[match[1]].add(name)
    for base, given in found.items():
        total = f"{len(given):05d}"
        shards = {f"{base}-{number:05d}-of-{total}.safetensors" for number in range(1, len(given) + 1)}
        if given not in ({f"{base}.safetensors"}, shards):
            raise Refusal("part-role", at, f"the data parts {sorted(given)[:4]}")


def check_part_names(names: Collection[str], at: str = f"{MANIFEST} /parts") -> None:
    """Refuse names of listed parts that are wrong alone or together (P-1, P-2, P-3, P-5, L-2).

    Raises:
        Refusal: ``part-name``, ``part-collision``, ``part-role``, ``limit-path``, ``limit-parts``.
    """
    if len(names) > limits.PARTS:
        raise Refusal("limit-parts", at, f"{len(names)} parts")
    for name in names:
        check_part_name(name, at)
    check_part_collisions([MANIFEST, *names], at)
    check_shards(names, at)


def escape_part_name(name: str) -> str:
    """The name of a part for any relative path of a file (P-6)."""
    return "/".join(map(_escape_part_segment, name.split("/")))


def _escape_part_segment(segment: str) -> str:
    text = "".join(char if char != "%" and _PART_SEGMENT.fullmatch(char) else _percent(char) for char in segment)
    if text[:1] == "." or _DEVICE.fullmatch(text):
        text = _percent(text[0]) + text[1:]
    return text[:-1] + _percent(".") if text[-1:] == "." else text


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())
