"""`weights.json`: variables of every kind in any order, and their aliases (SPEC.md chapter 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies import names
from etui_conformance.strategies.extensions import VERSION, further_fields
from etui_conformance.strategies.scope import EVERYTHING, Scope
from etui_conformance.strategies.tensors import encoding_of, tensors

_ROLES = st.sampled_from(names.ROLES)


@dataclass(frozen=True, slots=True)
class Stored:
    """A document that has tensors.

    Attributes:
        document: as CONTENT has it: no chunks, no components.
        tensors: name -> TENSOR.
    """

    document: dict[str, Any]
    tensors: dict[str, dict[str, Any]]


@st.composite
def weights_documents(
    draw: st.DrawFn, scope: Scope = EVERYTHING, min_size: int = 0, max_size: int = 5, version: str = VERSION
) -> Stored:
    """Variables and aliases.

    Args:
        draw: given by Hypothesis.
        scope: what the implementation claims.
        min_size: fewest variables.
        max_size: most of them.
        version: of the document.
    """
    paths = draw(names.different_paths(min_size, max_size + 2))
    count = draw(st.integers(min_size, min(len(paths), max_size)))
    listed = paths[:count]
    order = draw(st.permutations(range(count)))
    found = {path: draw(tensors(scope)) for path in listed}
    variables = {
        path: {
            **entry_of(found[path]),
            "order": place,
            "role": draw(_ROLES),
            "trainable": draw(st.booleans()),
            **further_fields(draw, version),
        }
        for path, place in zip(listed, order, strict=True)
    }
    aliases = {path: draw(st.sampled_from(listed)) for path in paths[count:]} if listed else {}
    document = {"aliases": aliases, "format": "etui-weights", "variables": variables, "version": version}
    return Stored({**document, **further_fields(draw, version)}, found)


def entry_of(tensor: dict[str, Any]) -> dict[str, Any]:
    """What an index says of a tensor, without where it is."""
    encoding = encoding_of(tensor)
    entry: dict[str, Any] = {"dtype": tensor["dtype"], "shape": tensor["shape"]}
    return entry if encoding is None else {**entry, "encoding": encoding}
