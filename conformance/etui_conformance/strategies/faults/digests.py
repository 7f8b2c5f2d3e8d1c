"""Faults of digests (chapter 6)."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.strategies.drafts import Parts, digest, reseal
from etui_conformance.strategies.faults.base import (
    TRAINING,
    in_manifest,
    in_parts,
)
from etui_conformance.strategies.faults.common import (
    ANYTHING,
    ASSET,
    WITH_ASSET,
    Tree,
    documents_of,
    pick,
    wrong_digest,
)
from etui_conformance.strategies.faults.hosts import STEPS


@in_manifest("H-1", "digest-form", "digest of a document of another form", ANYTHING)
def _digest_form(draw: st.DrawFn, tree: Tree) -> None:
    entry = tree["parts"][draw(st.sampled_from(documents_of(tree)))]
    entry["digest"] = wrong_digest(draw, entry["digest"])


@in_manifest("H-1", "digest-form", "digest of a header of another form")
def _header_digest_form(draw: st.DrawFn, tree: Tree) -> None:
    header = next(entry["header"] for entry in tree["parts"].values() if "header" in entry)
    header["digest"] = wrong_digest(draw, header["digest"])


def _document_fault(change: Callable[[st.DrawFn, Tree], None]) -> Callable[[st.DrawFn, Parts], Parts]:
    """A change of the tree of `weights.json`, whose own digests are made anew and those of its chunks not."""

    def in_document(draw: st.DrawFn, parts: Parts) -> Parts:
        tree = canonical.decode(parts["weights.json"])
        change(draw, tree)
        return reseal({**parts, "weights.json": canonical.encode(tree)})

    return in_document


@in_parts("H-1", "digest-form", "digest of a chunk of another form")
@_document_fault
def _chunk_digest_form(draw: st.DrawFn, tree: Tree) -> None:
    chunk = tree["variables"][STEPS]["chunks"][0]
    chunk["digest"] = wrong_digest(draw, chunk["digest"])


@in_manifest("H-3", "digest-algorithm", "unknown algorithm", ANYTHING)
def _algorithm(draw: st.DrawFn, tree: Tree) -> None:
    entry = tree["parts"][draw(st.sampled_from(documents_of(tree)))]
    entry["digest"] = pick(draw, "crc9:00ff", f"sha257:{'0' * 64}", "nothing:00", f"sha:{'a' * 40}")


@in_parts("H-3", "digest-algorithm", "unknown algorithm of a chunk")
@_document_fault
def _chunk_algorithm(draw: st.DrawFn, tree: Tree) -> None:
    tree["variables"][STEPS]["chunks"][0]["digest"] = pick(draw, "crc9:00ff", f"sha257:{'0' * 64}")


@in_manifest("H-5", "digest-mismatch", "document of another digest", ANYTHING)
def _mismatch(draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][draw(st.sampled_from(documents_of(tree)))]["digest"] = digest(b"another")


@in_parts("H-5", "digest-mismatch", "valid document in the place of another", TRAINING)
def _other_document(_draw: st.DrawFn, parts: Parts) -> Parts:
    tree = canonical.decode(parts["training.json"])
    tree["added_losses"][-1] = "hosu"
    return {**parts, "training.json": canonical.encode(tree)}


@in_parts("H-6", "digest-mismatch", "tensor of another digest")
def _tensor(draw: st.DrawFn, parts: Parts) -> Parts:
    chunk = canonical.decode(parts["weights.json"])["variables"][STEPS]["chunks"][0]
    data = parts[chunk["part"]]
    at = data.find(b"".join(number.to_bytes(4, "little") for number in range(21, 27))) + draw(st.integers(0, 23))
    return {**parts, chunk["part"]: data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]}


@in_parts("W-12 H-6", "digest-mismatch", "digest of another tensor")
@_document_fault
def _chunk_digest(draw: st.DrawFn, tree: Tree) -> None:
    tree["variables"][STEPS]["chunks"][0]["digest"] = digest(pick(draw, b"", b"another"))


@in_parts("W-12 W-1", "weights-form", "chunk without a digest")
@_document_fault
def _no_digest(_draw: st.DrawFn, tree: Tree) -> None:
    del tree["variables"][STEPS]["chunks"][0]["digest"]


@in_manifest("H-5", "digest-mismatch", "header of another digest")
def _header(_draw: st.DrawFn, tree: Tree) -> None:
    next(entry["header"] for entry in tree["parts"].values() if "header" in entry)["digest"] = digest(b"another")


@in_manifest("H-7", "digest-mismatch", "asset of another digest", WITH_ASSET, full=True)
def _asset(_draw: st.DrawFn, tree: Tree) -> None:
    tree["parts"][ASSET]["digest"] = digest(b"another")
