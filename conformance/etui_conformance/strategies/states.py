"""`state.msgpack`, as its JSON view: counters, generators, metrics, positions, and more (SPEC.md chapter 16)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies import names
from etui_conformance.strategies.extensions import VERSION, further_fields
from etui_conformance.strategies.optimizers import indexed
from etui_conformance.strategies.places import has_room
from etui_conformance.strategies.scope import EVERYTHING, Scope
from etui_conformance.strategies.values import KEYS_WRITTEN, NOTHING, STORED, Names, integer, maps, residues
from etui_conformance.strategies.weights import Stored

_COUNTS = (st.sampled_from([0, 3, 2**32, 2**53, 2**64 - 1]) | st.integers(0, 10**6)).map(integer)
_FIELDS = st.lists(
    st.sampled_from(["counters", "rng", "metrics", "data", "user", "residue"]), min_size=0, max_size=4, unique=True
)
_COUNTERS = st.dictionaries(st.sampled_from(["epoch", "batch"]) | KEYS_WRITTEN, _COUNTS, min_size=1, max_size=3)
_PATHS = names.different_paths(1, 2)


@st.composite
def state_documents(
    draw: st.DrawFn, refer_to: Names = NOTHING, scope: Scope = EVERYTHING, version: str = VERSION
) -> Stored:
    """Documents with any choice of the optional fields.

    Args:
        draw: given by Hypothesis.
        refer_to: what the values may name.
        scope: what the implementation claims.
        version: of the document.
    """
    known = replace(refer_to, stored=True)
    document: dict[str, Any] = {"format": "etui-state", "version": version, **further_fields(draw, version)}
    for name in draw(_FIELDS):
        document[name] = _field(draw, name, known, version)
    kept = {name: value for name, value in document.items() if not (name in _OPTIONAL and value == {})}
    return indexed(draw, kept, scope, version)


_OPTIONAL = ("rng", "metrics", "data", "user")


def _field(draw: st.DrawFn, name: str, known: Names, version: str) -> Any:
    if name == "counters":
        return draw(_COUNTERS)
    if name == "residue":
        return draw(residues(known))
    if name == "metrics":
        return {path: draw(maps(known)) for path in draw(_PATHS) if has_room(path)}
    if name == "rng":
        return {
            path: {"algorithm": draw(names.ops()), "state": STORED, **further_fields(draw, version)}
            for path in draw(_PATHS)
            if has_room(path)
        }
    return draw(maps(known, min_size=1))
