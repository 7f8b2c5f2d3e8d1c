"""Faults of the manifest (chapter 10)."""

from __future__ import annotations

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.strategies.drafts import MANIFEST, Parts
from etui_conformance.strategies.faults.base import (
    OPTIMIZER,
    TRAINING,
    Host,
    in_manifest,
    in_parts,
)
from etui_conformance.strategies.faults.common import ANYTHING, WITH_PROGRAM, Tree, documents_of, pick


@in_manifest("M-1", "manifest-form", "field is lacking", ANYTHING)
def _lacks(draw: st.DrawFn, tree: Tree) -> None:
    del tree[pick(draw, "format", "parts", "requires", "profile")]


@in_manifest("M-1", "manifest-form", "field of another type", ANYTHING)
def _type(draw: st.DrawFn, tree: Tree) -> None:
    field, value = pick(
        draw,
        ("format", "etui2"),
        ("format", 1),
        ("parts", []),
        ("metadata", []),
        ("metadata", "a"),
        ("metadata", {"$tuple": [1]}),
    )
    tree[field] = value


@in_manifest("M-2 M-1", "manifest-form", "entry without a field", ANYTHING)
def _entry(draw: st.DrawFn, tree: Tree) -> None:
    entry = tree["parts"][draw(st.sampled_from(documents_of(tree)))]
    del entry[pick(draw, "media_type", "role", "size")]


@in_manifest("M-2 M-1", "manifest-form", "size that is no count", ANYTHING)
def _size(draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][draw(st.sampled_from(documents_of(tree)))]["size"] = pick(draw, -1, 0.5, "1", None, True)


@in_manifest("M-3", "manifest-form", "document without a digest", ANYTHING)
def _undigested(draw: st.DrawFn, tree: Tree) -> None:
    del tree["parts"][draw(st.sampled_from(documents_of(tree)))]["digest"]


@in_manifest("M-3", "manifest-form", "header of a document", ANYTHING)
def _document_header(draw: st.DrawFn, tree: Tree) -> None:
    entry = tree["parts"][draw(st.sampled_from(documents_of(tree)))]
    entry["header"] = {"digest": entry["digest"], "size": entry["size"]}


@in_manifest("M-3", "manifest-form", "data part without a header")
def _headless(draw: st.DrawFn, tree: Tree) -> None:
    entry = next(entry for entry in tree["parts"].values() if "header" in entry)
    header = entry.pop("header")
    if draw(st.booleans()):
        entry["digest"] = header["digest"]


@in_manifest("M-3", "manifest-form", "digest of a data part")
def _data_digest(_draw: st.DrawFn, tree: Tree) -> None:
    entry = next(entry for entry in tree["parts"].values() if "header" in entry)
    entry["digest"] = entry["header"]["digest"]


@in_manifest(
    "M-4",
    "requires-list",
    "list that is not sorted",
    Host(("weights",), {"host/c": {"dtype": "complex64", "shape": [1], "data": bytes(8)}}, cut=True),
)
def _unsorted(_draw: st.DrawFn, tree: Tree) -> None:
    tree["requires"].reverse()


@in_manifest("M-4", "requires-list", "feature that is lacking", Host(("weights",), cut=True))
def _lacking(_draw: st.DrawFn, tree: Tree) -> None:
    tree["requires"].remove("chunks")


@in_manifest("M-4", "requires-list", "program that is not required", WITH_PROGRAM)
def _program_lacking(_draw: st.DrawFn, tree: Tree) -> None:
    tree["requires"].remove("programs")


@in_manifest("M-4", "requires-list", "feature that is not used", Host(("config",), needs=frozenset({"feature:chunks"})))
def _surplus(_draw: st.DrawFn, tree: Tree) -> None:
    used = set(tree["requires"])
    unused = [one for one in ("chunks", "encoding.complex", "opaque", "programs", "encoding.string") if one not in used]
    tree["requires"] = sorted(used | set(unused[:1])) if unused else [*tree["requires"], tree["requires"][-1]]


@in_manifest("M-4", "requires-list manifest-form", "feature listed twice", Host(("weights",), cut=True))
def _twice(_draw: st.DrawFn, tree: Tree) -> None:
    tree["requires"] = sorted([*tree["requires"], "chunks"])


@in_manifest("M-5 Q-3", "feature-unknown", "unknown feature", ANYTHING)
def _feature(draw: st.DrawFn, tree: Tree) -> None:
    tree["requires"] = sorted([*tree["requires"], pick(draw, "compression", "encoding.zip", "Chunks", "x-mine")])


@in_manifest("M-6 Q-1", "profile-parts", "profile of other parts", ANYTHING)
def _profile(draw: st.DrawFn, tree: Tree) -> None:
    others = {"config", "weights", "model", "training", "checkpoint"} - {tree["profile"]}
    tree["profile"] = pick(draw, *sorted(others))


@in_parts("Q-1", "profile-parts", "parts of no profile", OPTIMIZER)
def _no_profile(_draw: st.DrawFn, parts: Parts) -> Parts:
    return _without(parts, "weights", "config")


@in_parts("Q-1", "profile-parts", "training and weights alone", Host(("training", "weights", "config")))
def _two(_draw: st.DrawFn, parts: Parts) -> Parts:
    return _without(parts, "config", "optimizer", "state")


@in_parts("Q-1", "profile-parts", "training alone", TRAINING)
def _training_alone(_draw: st.DrawFn, parts: Parts) -> Parts:
    tree = canonical.decode(parts[MANIFEST])
    tree["parts"] = {"training.json": tree["parts"]["training.json"]}
    tree |= {"profile": "config", "requires": []}
    tree.pop("metadata", None)
    return {"training.json": parts["training.json"], MANIFEST: canonical.encode(tree)}


def _without(parts: Parts, *roles: str) -> Parts:
    """The parts without some documents and the data that belongs to them."""
    tree = canonical.decode(parts[MANIFEST])
    gone = [name for name in tree["parts"] if name.partition(".")[0].partition("-")[0] in roles and "/" not in name]
    for name in gone:
        del tree["parts"][name]
    return {**{name: data for name, data in parts.items() if name not in gone}, MANIFEST: canonical.encode(tree)}
