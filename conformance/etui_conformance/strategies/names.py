"""Names: paths of variables and modules, names of parts, ops and classes (SPEC.md chapters 2, 7 and 13.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import normalize

from hypothesis import strategies as st

PATH_BYTES = 4096
SEGMENT_BYTES = 255

# What sorts otherwise in UTF-16 than in UTF-8, what normalization changes, what looks like an escape, what file systems
# dislike.
_ODD_SEGMENTS = (
    "a b",
    "é",
    "Ω",
    "%",
    "%2F",
    "...",
    ".hidden",
    "con",
    "A",
    "$name",
    "~",
    "\u0080",
    "\u2028",
    "\ufb33",
    "\uffff",
    "\U0001f600",
    '"',
    ":1",
    "s" * SEGMENT_BYTES,
    "ß" * (SEGMENT_BYTES // 2),
)
_PLAIN_SEGMENTS = ("a", "b", "dense", "kernel", "bias", "dense_1", "encoder")
_ODD_PATHS = (
    "a/b/c/d/e/f/g/h",
    "/".join([*["p" * 255] * 15, "p" * 254, "p"]),
    "dense/kernel",
    "dense/bias",
    "embedding/embeddings",
)
_FORBIDDEN = frozenset(map(chr, range(0x20))) | frozenset("\x7f/\\#@")
_ESCAPED = re.compile(r"[\x00-\x1f\x7f/\\#@%]")

SEGMENT_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(sorted(_FORBIDDEN))),
    min_size=1,
    max_size=6,
).filter(lambda text: text not in (".", ".."))

_SEGMENTS = st.sampled_from(_PLAIN_SEGMENTS) | st.sampled_from(_ODD_SEGMENTS) | SEGMENT_TEXT
_PATHS = (
    st.sampled_from(_PLAIN_SEGMENTS)
    | st.sampled_from(_ODD_PATHS)
    | st.lists(_SEGMENTS, min_size=1, max_size=3).map("/".join)
)
_NAMESPACES = st.sampled_from(["keras", "torch", "custom", "tf_keras", "x1"])
_CLASS_NAMES = st.sampled_from(
    ["Dense", "nn.Linear", "ops.numpy.Add", "mine>Layer", "Schicht_ä", "a:b", "%20", "\U0001f600", "é/\\#@"]
)
_OPS = st.builds("{}:{}".format, _NAMESPACES, _CLASS_NAMES)

FRAMEWORKS = ("keras", "torch", "jax", "tf_keras")
ROLES = ("kernel", "bias", "gamma", "moving_mean", "embeddings", "Rolle %", "\U0001f600")

_PART_SEGMENTS = st.sampled_from(
    ["vocabulary.txt", "a%20b", "UPPER", "x+y=z", "-", "_", "1", "com10", "console", "%2E", "a..b", "n" * 60]
)


def segments() -> st.SearchStrategy[str]:
    """One segment of a path (D-2, D-3): plain ones, and all that a careless reader would change."""
    return _SEGMENTS


def paths() -> st.SearchStrategy[str]:
    """Paths of one to sixteen segments."""
    return _PATHS


def different_paths(min_size: int = 0, max_size: int = 5) -> st.SearchStrategy[list[str]]:
    """Paths of one index: different ones, also after normalization form C (D-4)."""
    return st.lists(_PATHS, min_size=min_size, max_size=max_size, unique_by=normal)


def siblings(min_size: int = 0, max_size: int = 3) -> st.SearchStrategy[list[str]]:
    """Names of modules that have one parent (C-2)."""
    return st.lists(_SEGMENTS, min_size=min_size, max_size=max_size, unique_by=normal)


def ops() -> st.SearchStrategy[str]:
    """Ops, classes and algorithms of frameworks and of authors (C-8), none of the core vocabulary."""
    return _OPS


def part_names(folder: str) -> st.SearchStrategy[str]:
    """Names of parts below `folder` (P-1, P-2).

    Args:
        folder: as it begins the name, with its `/`.
    """
    return st.lists(_PART_SEGMENTS, min_size=1, max_size=2).map(lambda found: folder + "/".join(found))


def without_collisions(names: Iterable[str]) -> list[str]:
    """Those of the names that may be parts together (P-3): of those that differ in case or continue each other one."""
    kept: list[str] = []
    for name in names:
        low = name.lower()
        others = [other.lower() for other in kept]
        if not any(low == one or low.startswith(f"{one}/") or one.startswith(f"{low}/") for one in others):
            kept.append(name)
    return kept


def normal(path: str) -> str:
    """What two paths of one index must not have in common (D-4)."""
    return normalize("NFC", path)


def is_path(text: str) -> bool:
    """Whether a text is a legal path within the limits (D-2, D-3, chapter 19)."""
    found = text.split("/")
    return (
        len(text.encode()) <= PATH_BYTES
        and all(found)
        and not any(one in (".", "..") or _FORBIDDEN.intersection(one) for one in found)
        and all(len(one.encode()) <= SEGMENT_BYTES for one in found)
    )


def escaped(key: str) -> str:
    """A key as one segment of a place (O-16): what a segment cannot hold, and `%`, as `%XX` per UTF-8 byte (D-3)."""
    if not key:
        return "%"
    if key in (".", ".."):
        return key.replace(".", "%2E")
    return _ESCAPED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), key)
