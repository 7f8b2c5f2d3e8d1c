"""Assets, programs and native documents (SPEC.md chapter 17)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies import names
from etui_conformance.strategies.scope import EVERYTHING, Scope

DOCUMENTS = {
    "config": "config.json",
    "weights": "weights.json",
    "training": "training.json",
    "optimizer": "optimizer.msgpack",
    "state": "state.msgpack",
}

_DATA = st.sampled_from(
    [b"", b"\0", b"a\r\nb\n", b"\xef\xbb\xbf", b"PK\x05\x06" + bytes(18), bytes(range(256)) * 3]
) | (st.binary(max_size=20))
_MEDIA_TYPES = st.sampled_from(["application/octet-stream", "text/plain; charset=utf-8", "x", "é/\U0001f600"])
_PROGRAMS = st.sampled_from(["programs/forward/main.onnx", "programs/forward/weights.bin", "programs/b/main"])
_VERSIONS = st.sampled_from([None, "3.15.1", ""])
_DIGEST = st.sampled_from(["sha256:" + "0" * 64, "sha256:" + "9f" * 32])


@st.composite
def parts(draw: st.DrawFn, documents: Sequence[str] = (), scope: Scope = EVERYTHING) -> dict[str, dict[str, Any]]:
    """The parts of CONTENT besides documents and data: name -> role, media type, data, and what native ones have more.

    Args:
        draw: given by Hypothesis.
        documents: the areas that the artifact has, for bindings.
        scope: what the implementation claims.
    """
    found: dict[str, dict[str, Any]] = {
        name: {"role": "asset"} for name in draw(st.lists(names.part_names("assets/"), max_size=2))
    }
    if "programs" in scope.features and draw(st.integers(0, 2)) == 2:
        found |= {name: {"role": "program"} for name in draw(st.lists(_PROGRAMS, min_size=1, max_size=2))}
    if draw(st.integers(0, 2)) == 2:
        framework = draw(st.sampled_from(names.FRAMEWORKS))
        bound = draw(st.lists(st.sampled_from(sorted(documents)), unique=True)) if documents else []
        native = {
            "role": "native",
            "framework": framework,
            "framework_version": draw(_VERSIONS),
            "bindings": {DOCUMENTS[area]: draw(_DIGEST) for area in bound},
        }
        found[draw(names.part_names(f"native/{framework}/"))] = native
    kept = names.without_collisions(found)
    return {name: {**found[name], "media_type": draw(_MEDIA_TYPES), "data": draw(_DATA)} for name in kept}
