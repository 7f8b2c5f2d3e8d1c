"""Whole CONTENT of every profile (SPEC.md chapter 18.1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies.configs import configs, walk
from etui_conformance.strategies.extensions import versions
from etui_conformance.strategies.optimizers import optimizer_documents
from etui_conformance.strategies.parts import parts
from etui_conformance.strategies.scope import EVERYTHING, Scope
from etui_conformance.strategies.states import state_documents
from etui_conformance.strategies.training import training_documents
from etui_conformance.strategies.values import Names, maps
from etui_conformance.strategies.weights import Stored, weights_documents

Content = dict[str, Any]

_ROWS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "weights": (("weights",), ()),
    "config": (("config",), ("training",)),
    "model": (("config", "weights"), ("training", "state")),
    "training": (("config", "weights", "optimizer"), ("training", "state")),
    "checkpoint": (("weights", "optimizer"), ("training", "state")),
    "checkpoint of state": (("weights", "state"), ("training", "optimizer")),
}
DOCUMENTS = ("weights", "config", "training", "optimizer", "state")
TENSOR_DOCUMENTS = ("weights", "optimizer", "state")


def profile_of(documents: Collection[str]) -> str:
    """The profile that an artifact with these documents has (Q-1)."""
    if "weights" not in documents:
        return "config"
    if "config" in documents:
        return "training" if "optimizer" in documents else "model"
    return "checkpoint" if {"optimizer", "state"} & set(documents) else "weights"


@st.composite
def artifacts(
    draw: st.DrawFn,
    scope: Scope = EVERYTHING,
    having: Collection[str] = (),
    min_variables: int = 0,
    *,
    small: bool = False,
) -> Content:
    """Content of every profile that a scope has the areas of.

    Args:
        draw: given by Hypothesis.
        scope: what the implementation claims.
        having: documents that must be there.
        min_variables: fewest variables, where there are weights.
        small: whether little of it is enough, as for surroundings of something else.
    """
    chosen = draw(st.sampled_from(_profiles(scope, having)))
    needed, allowed = _ROWS[chosen]
    further = [area for area in allowed if area in scope.areas]
    optional = draw(st.lists(st.sampled_from(further), unique=True)) if further else []
    return compose(draw, {*needed, *optional, *having}, scope, min_variables, small=small)


def _profiles(scope: Scope, having: Collection[str]) -> list[str]:
    """The rows of the table of profiles that may have the documents, all of them claimed."""
    found = [
        name
        for name, (needed, allowed) in _ROWS.items()
        if scope.areas.issuperset(needed) and set(having) <= {*needed, *allowed}
    ]
    if not found:
        raise ValueError(f"no profile has {sorted(having)} within {sorted(scope.areas)}")
    return found


def compose(
    draw: st.DrawFn,
    documents: Collection[str],
    scope: Scope = EVERYTHING,
    min_variables: int = 0,
    *,
    small: bool = False,
) -> Content:
    """Content with exactly these documents, whose references lead somewhere; arguments as of `artifacts`."""
    version = draw(versions())
    content: Content = {"profile": profile_of(documents)}
    tensors: dict[str, dict[str, Any]] = {}
    variables = ["dense/kernel", "dense/bias"]
    with_parts = "parts" in scope.areas and not (small and draw(st.booleans()))
    further = draw(parts(tuple(documents), scope)) if with_parts else {}
    assets = [name for name, part in further.items() if part["role"] == "asset"]
    # Without weights a reference to a variable leads out of the artifact, and is legal (V-10).
    known = Names(assets=assets, variables=[] if "weights" in documents else variables)

    def add(area: str, drawn: Stored) -> None:
        content[area] = drawn.document
        tensors[area] = drawn.tensors

    if "weights" in documents:
        drawn = draw(weights_documents(scope, min_variables, max(2 if small else 5, min_variables), version))
        add("weights", drawn)
        variables = list(drawn.document["variables"])
        known = replace(known, variables=[*variables, *drawn.document["aliases"]])
    if "config" in documents:
        content["config"] = draw(configs(known, scope, version, levels=1 if small else 2))
        known = replace(known, modules=[path for path, _ in walk(content["config"]["model"]) if path])
    if "training" in documents:
        content["training"] = draw(training_documents(known, version))
    if "optimizer" in documents:
        add("optimizer", draw(optimizer_documents(variables, known, scope, version)))
    if "state" in documents:
        add("state", draw(state_documents(known, scope, version)))
    metadata = draw(maps(known)) if draw(st.integers(0, 3)) == 3 else {}
    if metadata:
        content["metadata"] = metadata
    content["tensors"] = tensors
    if further:
        content["parts"] = further
    return content
