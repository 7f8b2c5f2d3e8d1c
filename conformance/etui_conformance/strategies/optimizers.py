"""`optimizer.msgpack`, as its JSON view: groups, slots, schedules, wrapped optimizers (SPEC.md chapter 15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies import names
from etui_conformance.strategies.extensions import VERSION, further_fields
from etui_conformance.strategies.places import has_room, name_tensors
from etui_conformance.strategies.scope import EVERYTHING, Scope
from etui_conformance.strategies.tensors import tensors
from etui_conformance.strategies.values import KEYS, NOTHING, REALS, STORED, Names, integer, maps, objects, residues
from etui_conformance.strategies.weights import Stored, entry_of

_STEPS = (st.sampled_from([0, 1, 120, 2**32, 2**53 - 1, 2**53, 2**64 - 1]) | st.integers(0, 10**6)).map(integer)
_COIN = st.booleans()
_SELDOM = st.integers(0, 3).map(lambda number: number == 3)
_SHARED_NAMES = st.lists(KEYS.filter(lambda name: name[:1] not in ("", "$")), min_size=1, max_size=2, unique=True)


@st.composite
def optimizer_documents(
    draw: st.DrawFn,
    variables: Sequence[str] = ("dense/kernel", "dense/bias"),
    refer_to: Names = NOTHING,
    scope: Scope = EVERYTHING,
    version: str = VERSION,
) -> Stored:
    """Documents with one or two optimizers.

    Args:
        draw: given by Hypothesis.
        variables: what is optimized; no aliases.
        refer_to: what the values may name.
        scope: what the implementation claims.
        version: of the document.
    """
    known = replace(refer_to, stored=True)
    paths = draw(st.just(["optimizer"]) | names.different_paths(1, 2))
    usable = [path for path in variables if has_room(path)]
    optimizers = {path: _optimizer(draw, usable, known, version, 2) for path in paths if has_room(path)}
    if not optimizers:
        optimizers = {"optimizer": _optimizer(draw, usable, known, version, 1)}
    document = {"format": "etui-optimizer", "optimizers": optimizers, "version": version}
    return indexed(draw, {**document, **further_fields(draw, version)}, scope, version)


def indexed(draw: st.DrawFn, document: dict[str, Any], scope: Scope, version: str) -> Stored:
    """Draw the tensors that a document refers to, and put them into its index."""
    found = {name: draw(tensors(scope)) for name in name_tensors(document)}
    document["tensors"] = {name: {**entry_of(one), **further_fields(draw, version)} for name, one in found.items()}
    return Stored(document, found)


def _optimizer(draw: st.DrawFn, variables: Sequence[str], known: Names, version: str, levels: int) -> dict[str, Any]:
    """One optimizer; its optional fields are left out where they are empty."""
    found: dict[str, Any] = {
        "algorithm": draw(names.ops()),
        "learning_rate": draw(st.none() | REALS),
        "micro_step": draw(_STEPS),
        "step": draw(_STEPS),
        **further_fields(draw, version),
    }
    if draw(_COIN):
        found |= _with_groups(draw, variables, known, version)
    optional: dict[str, Any] = {
        "hyperparameters": draw(maps(known)),
        "shared_slots": dict.fromkeys(draw(_SHARED_NAMES), STORED) if draw(_SELDOM) else {},
        "residue": draw(residues(known)) if draw(_SELDOM) else {},
    }
    if draw(_SELDOM):
        optional |= {"schedule": draw(objects(known)), "schedule_clock": draw(st.sampled_from(["step", "micro_step"]))}
    if levels > 1 and draw(_SELDOM):
        optional["inner"] = _optimizer(draw, variables, known, version, levels - 1)
    return found | {name: value for name, value in optional.items() if value}


def _with_groups(draw: st.DrawFn, variables: Sequence[str], known: Names, version: str) -> dict[str, Any]:
    """Groups that list each variable once, with what became of each: slots, none as yet, or none at all."""
    listed = draw(st.permutations(variables)) if variables else []
    cut = draw(st.integers(0, len(listed)))
    groups = []
    for part in [listed] if draw(_COIN) else [listed[:cut], listed[cut:]]:
        group: dict[str, Any] = {"variables": part, **further_fields(draw, version)}
        further = draw(maps(known)) if draw(_SELDOM) else {}
        groups.append(group | ({"hyperparameters": further} if further else {}))
    fates = {path: draw(st.sampled_from(["slots", "fresh", "none"])) for path in listed}
    slots = {path: dict.fromkeys(draw(names.siblings(1, 2)), STORED) for path, fate in fates.items() if fate == "slots"}
    fresh = [path for path, fate in fates.items() if fate == "fresh"]
    return {"groups": groups} | ({"slots": slots} if slots else {}) | ({"fresh": fresh} if fresh else {})
