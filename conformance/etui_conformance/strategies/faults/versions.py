"""Faults of versions and of fields (chapter 18)."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from etui_conformance.strategies.drafts import Draft
from etui_conformance.strategies.faults.base import (
    CONFIG,
    OPTIMIZER,
    STATE,
    TRAINING,
    WEIGHTS,
    in_draft,
    in_manifest,
)
from etui_conformance.strategies.faults.common import ANYTHING, FORMS, Tree, documents_of, pick
from etui_conformance.strategies.faults.hosts import STEPS


@in_draft("Q-4", "version-form", "version of another form", ANYTHING)
def _version(draw: st.DrawFn, draft: Draft) -> None:
    version = pick(draw, "1", "1.0.0", "v1.0", "01.0", "1.", "1.00", "", 1, None, 1.5)
    draft.manifest["version"] = version
    for tree in draft.documents.values():
        tree["version"] = version


@in_draft("Q-4", "version-form manifest-form config-form weights-form", "document without a version", ANYTHING)
def _no_version(draw: st.DrawFn, draft: Draft) -> None:
    trees = [
        draft.manifest,
        *(tree for name, tree in draft.documents.items() if name in ("config.json", "weights.json")),
    ]
    del pick(draw, *trees)["version"]


@in_draft("Q-4", "version-form", "documents of two versions", ANYTHING)
def _versions(draw: st.DrawFn, draft: Draft) -> None:
    trees = [draft.manifest, *draft.documents.values()]
    pick(draw, *trees)["version"] = "1.1"


@in_draft("Q-5", "version-unsupported", "major version of the future", ANYTHING)
def _major(draw: st.DrawFn, draft: Draft) -> None:
    version = pick(draw, "2.0", "10.0", "0.9", "99.1")
    for tree in (draft.manifest, *draft.documents.values()):
        tree["version"] = version


@in_manifest("Q-7", "manifest-form", "unknown field of the manifest", ANYTHING)
def _unknown(draw: st.DrawFn, tree: Tree) -> None:
    place = tree if draw(st.booleans()) else tree["parts"][draw(st.sampled_from(documents_of(tree)))]
    place[pick(draw, "comment", "X-note", "y-note", "signature")] = 1


def _fields(area: str, name: str, places: Callable[[Tree], list[Tree]]) -> None:
    """Declare the fault of an unknown field in one of some places of a document."""
    host = {"config": CONFIG, "weights": WEIGHTS, "training": TRAINING, "optimizer": OPTIMIZER, "state": STATE}[area]

    @in_draft("Q-7", FORMS[name], f"unknown field of {area}", host)
    def change(draw: st.DrawFn, draft: Draft) -> None:
        pick(draw, *places(draft.documents[name]))[pick(draw, "comment", "X-note", "zz")] = 1


def _config_places(tree: Tree) -> list[Tree]:
    host = tree["model"]["modules"][-1]
    return [tree, host, host["modules"][1], host["graph"], host["graph"]["calls"][0]]


_fields("config", "config.json", _config_places)
_fields("weights", "weights.json", lambda tree: [tree, tree["variables"][STEPS]])
_fields("training", "training.json", lambda tree: [tree])
_fields(
    "optimizer",
    "optimizer.msgpack",
    lambda tree: [
        tree,
        tree["optimizers"]["host"],
        tree["optimizers"]["host"]["groups"][0],
        next(iter(tree["tensors"].values())),
    ],
)
_fields("state", "state.msgpack", lambda tree: [tree, tree["rng"]["host"], next(iter(tree["tensors"].values()))])


@in_draft("Q-9", "weights-form", "further field of a chunk")
def _chunk_field(draw: st.DrawFn, draft: Draft) -> None:
    draft.entries("weights")[STEPS]["chunks"][0][pick(draw, "x-note", "comment", "size")] = 1


@in_draft("Q-9 Q-6", "weights-form", "further field of a chunk of a later version")
def _later_chunk_field(draw: st.DrawFn, draft: Draft) -> None:
    for tree in (draft.manifest, *draft.documents.values()):
        tree["version"] = "1.1"
    draft.entries("weights")[STEPS]["chunks"][0][pick(draw, "future", "x-note")] = 1


@in_manifest("Q-9", "manifest-form", "further field of a header")
def _header_field(draw: st.DrawFn, tree: Tree) -> None:
    header = next(entry["header"] for entry in tree["parts"].values() if "header" in entry)
    header[pick(draw, "x-note", "comment")] = 1


@in_manifest("Q-10 M-1", "manifest-form", "empty metadata", ANYTHING)
def _metadata(_draw: st.DrawFn, tree: Tree) -> None:
    tree["metadata"] = {}
