"""Fields whose names begin with `x-`, and the unknown fields of a later minor version (SPEC.md Q-6, Q-8)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

VERSION = "1.0"
LATER_VERSIONS = ("1.1", "1.12")

# Free JSON: nothing in it is a value of chapter 5. MessagePack is looked at through its JSON view, so no tags here.
_CONTENTS = st.sampled_from([None, True, 0, -7, 0.5, "kept", [], {}, [1, [None, {"a": "b"}]], {"b": [], "a": 1e-7}])
_EXTENSIONS = st.dictionaries(st.sampled_from(["x-", "x-note", "x-é", "x-$"]), _CONTENTS, min_size=1, max_size=2)
_UNKNOWN = st.dictionaries(st.sampled_from(["future", "zz", "A"]), _CONTENTS, min_size=1, max_size=2)
_OFTEN = st.integers(0, 9)


def further_fields(draw: st.DrawFn, version: str = VERSION) -> dict[str, Any]:
    """Fields that a reader of version 1.0 keeps without knowing them; most often none.

    Args:
        draw: given by Hypothesis.
        version: of the document; unknown fields without `x-` are legal in a later one alone.
    """
    kind = draw(_OFTEN)
    found: dict[str, Any] = {}
    if kind == 9:
        found.update(draw(_EXTENSIONS))
    if version != VERSION and kind >= 7:
        found.update(draw(_UNKNOWN))
    return found


def versions() -> st.SearchStrategy[str]:
    """Versions of an artifact that a reader of 1.0 accepts."""
    return st.sampled_from((VERSION,) * 9 + LATER_VERSIONS)
