"""Paths of variables and modules, and the escape of what a path cannot hold (SPEC.md chapter 2)."""

from __future__ import annotations

import re
from collections.abc import Collection
from unicodedata import normalize

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits

# Surrogates have no UTF-8; a string of a caller may hold them, that of a document cannot.
_FORBIDDEN = "\x00-\x1f\x7f/\\\\#@\ud800-\udfff"
_SEGMENT = rf"(?!\.\.?(?:/|\Z))[^{_FORBIDDEN}]+"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*+")
_ESCAPED = re.compile(rf"[%{_FORBIDDEN}]")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_UTF8_BYTES = 4  # at most, per character
_FORBIDDEN_IN_ASCII = bytes([*range(0x20), 0x7F, *b"\\#@"])


def check_path(path: object, where: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """Check the form of a path (D-2, D-3) and its limits; return it.

    Raises:
        InvalidError: ``path-form``.
        LimitError: ``limit-path``.
    """
    if not isinstance(path, str):
        raise error("path-form", where=where, found=shown(path))
    # No path so short can be beyond a limit: the usual case needs no look at its segments.
    short = len(path) * _UTF8_BYTES <= min(limits.path_bytes, limits.segment_bytes)
    if not short:
        _check_lengths(path, where, limits)
    if _PATH.fullmatch(path) is None:
        raise error("path-form", where=where, found=shown(path))
    return path


def all_sound(paths: Collection[str], limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether `check_path` accepts each of many paths, found out for all at once; `False` may also mean not sure."""
    try:
        joined = "/".join(["", *paths, ""]).encode()
    except UnicodeEncodeError:
        return False
    return (
        # Neither an empty segment nor a dot or two, and no forbidden character; DEL and those below are ASCII.
        b"//" not in joined
        and not (b"." in joined and (b"/./" in joined or b"/../" in joined))
        and len(joined.translate(None, _FORBIDDEN_IN_ASCII)) == len(joined)
        and _short(paths, joined, limits)
    )


def _short(paths: Collection[str], joined: bytes, limits: Limits) -> bool:
    longest = max(map(len, paths), default=0) * (1 if joined.isascii() else _UTF8_BYTES)
    if longest <= min(limits.path_bytes, limits.segment_bytes):
        return True
    return longest <= limits.path_bytes and max(map(len, joined.split(b"/"))) <= limits.segment_bytes


def _check_lengths(path: str, where: str, limits: Limits) -> None:
    raw = path.encode("utf-8", "surrogatepass")
    if len(raw) > limits.path_bytes:
        raise error("limit-path", where=where, found=f"the path {shown(path)} of {len(raw)} bytes")
    longest = max(raw.split(b"/"), key=len)
    if len(longest) > limits.segment_bytes:
        raise error("limit-path", where=where, found=f"a segment of {len(longest)} bytes in {shown(path)}")


def check_no_collisions(paths: Collection[str], where: str) -> None:
    """Check that no two paths are equal after Unicode normalization form C (D-4).

    Args:
        paths: of one index; each passed `check_path`, whose limits bound the work of normalizing.
        where: the place for messages.

    Raises:
        InvalidError: ``path-collision``.
    """
    normal = [path if path.isascii() else normalize("NFC", path) for path in paths]
    if len(set(normal)) == len(normal):
        return
    seen: dict[str, str] = {}
    for path, key in zip(paths, normal, strict=True):
        if key in seen:
            raise error("path-collision", where=where, found=f"{seen[key]!a} and {path!a}")
        seen[key] = path


def escape_segment(text: str) -> str:
    """Write as ``%XX`` what a segment cannot hold, and ``%`` itself; no text at all becomes a single ``%`` (D-3).

    Raises:
        InvalidError: ``path-form``, a lone surrogate, which has no UTF-8.
    """
    if not text:
        return "%"
    if text in (".", ".."):
        return text.replace(".", "%2E")
    try:
        return _ESCAPED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
    except UnicodeEncodeError as cause:
        raise error("path-form", found=ascii(text)) from cause


def unescape_segment(segment: str) -> str:
    """Undo `escape_segment`; a ``%`` that begins no escape of valid UTF-8 stays as it is."""
    return "" if segment == "%" else _ESCAPES.sub(_unescaped, segment)


def _unescaped(found: re.Match[str]) -> str:
    try:
        return bytes.fromhex(found[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return found[0]
