"""Faults beyond the limits of chapter 19."""

from __future__ import annotations

from hypothesis import strategies as st

from etui_conformance.strategies.drafts import Draft, Physical
from etui_conformance.strategies.faults.base import CONFIG, in_draft
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.faults.hosts import STEPS


def _rename(draft: Draft, path: str) -> None:
    variables = draft.entries("weights")
    variables[path] = variables.pop(STEPS)


@in_draft("L-2", "limit-path", "long segment")
def _segment(draw: st.DrawFn, draft: Draft) -> None:
    _rename(draft, pick(draw, "s" * 256, "host/" + "ß" * 128, "host/" + "\U0001f600" * 64 + "/a"))


@in_draft("L-2", "limit-path", "long path")
def _path(draw: st.DrawFn, draft: Draft) -> None:
    long = "/".join(["p" * 255] * 16)
    _rename(draft, pick(draw, f"{long}/a", "/".join(["ab"] * 1400), "ß/" * 1400 + "a"))


@in_draft("L-2", "limit-path", "long name of a module", CONFIG)
def _module(draw: st.DrawFn, draft: Draft) -> None:
    host = draft.documents["config.json"]["model"]["modules"][-1]
    host["modules"][2]["name"] = pick(draw, "s" * 256, "ß" * 128)


@in_draft("L-2", "limit-rank", "rank beyond the limit")
def _rank(draw: st.DrawFn, draft: Draft) -> None:
    entry = draft.entries("weights")[STEPS]
    chunk = entry["chunks"][0]
    found = draft.physical(chunk)
    shape = [1] * pick(draw, 31, 62, 998) + [2, 3]
    entry["shape"] = shape
    draft.data[chunk["part"]][chunk["tensor"]] = Physical(found.dtype, shape, found.data)


@in_draft("L-2", "limit-tensor", "tensor beyond the limit")
def _size(draw: st.DrawFn, draft: Draft) -> None:
    shape = pick(draw, [2**46 + 1, 0], [2**52, 0], [0, 2**30, 2**30], [2**24, 0, 2**24])
    entry = draft.entries("weights")[STEPS]
    chunk = entry["chunks"][0]
    entry["shape"] = shape
    draft.data[chunk["part"]][chunk["tensor"]] = Physical("I32", shape, b"")
