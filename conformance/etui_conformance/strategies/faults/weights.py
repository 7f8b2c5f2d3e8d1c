"""Faults of chapter 12, and of paths, dtypes and shapes (chapter 2), in the index of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies.drafts import Draft, Physical
from etui_conformance.strategies.faults.base import CHUNKED, Host, in_draft
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.faults.hosts import BIAS, KERNEL, STEPS, TIED

Entry = dict[str, Any]


def _variables(draft: Draft) -> dict[str, Entry]:
    return draft.entries("weights")


def _aliases(draft: Draft) -> dict[str, str]:
    found: dict[str, str] = draft.documents["weights.json"]["aliases"]
    return found


def _rename(draft: Draft, path: str) -> None:
    """Give a variable that nothing refers to another path."""
    variables = _variables(draft)
    variables[path] = variables.pop(STEPS)


def _remove(draft: Draft, path: str) -> Entry:
    """Take a variable away with its data, and return its entry; `order` stays without gaps, as it is the last."""
    entry = _variables(draft).pop(path)
    for chunk in entry["chunks"]:
        del draft.data[chunk["part"]][chunk["tensor"]]
    return entry


# Chapter 2


@in_draft("D-2", "path-form", "empty segment")
def _empty_segment(draw: st.DrawFn, draft: Draft) -> None:
    _rename(draft, pick(draw, "", "/a", "a/", "host//steps", "/"))


@in_draft("D-3", "path-form", "segment of dots")
def _dots(draw: st.DrawFn, draft: Draft) -> None:
    _rename(draft, pick(draw, ".", "..", "host/../steps", "./host", "host/."))


@in_draft("D-3", "path-form", "forbidden character")
def _character(draw: st.DrawFn, draft: Draft) -> None:
    _rename(draft, f"host/a{pick(draw, chr(0), chr(9), chr(0x1F), chr(0x7F), chr(92), '#', '@')}b")


@in_draft("D-3", "path-form", "forbidden character in an alias")
def _alias_character(draw: st.DrawFn, draft: Draft) -> None:
    _aliases(draft)[pick(draw, "host/a#b", "a@0", "..", "a//b")] = KERNEL


@in_draft("D-4", "path-collision", "two paths of one normal form")
def _collision(draw: st.DrawFn, draft: Draft) -> None:
    one, other = pick(
        draw, ("host/\u00e9", "host/e\u0301"), ("host/\u212b", "host/\u00c5"), ("\u1e69", "s\u0323\u0307")
    )
    _rename(draft, one)
    variables = _variables(draft)
    variables[other] = variables.pop(BIAS)
    for path, target in list(_aliases(draft).items()):
        if target == BIAS:
            del _aliases(draft)[path]


@in_draft("D-4", "path-collision", "alias and variable of one normal form")
def _alias_collision(_draw: st.DrawFn, draft: Draft) -> None:
    _rename(draft, "host/e\u0301")
    _aliases(draft)["host/\u00e9"] = KERNEL


@in_draft("D-7", "dtype-unknown", "unknown dtype")
def _dtype(draw: st.DrawFn, draft: Draft) -> None:
    _variables(draft)[STEPS]["dtype"] = pick(draw, "int31", "INT32", "float8", "", "i4", "float128")


@in_draft("D-10", "shape-form", "shape of other things than sizes")
def _shape(draw: st.DrawFn, draft: Draft) -> None:
    _variables(draft)[STEPS]["shape"] = pick(draw, [2, -3], [2, 1.5], ["2", 3], [True, 6], [None], [[2], 3])


@in_draft(
    "D-8",
    "bool-value",
    "bool that is neither 0 nor 1",
    Host(("weights",), {"host/flags": {"dtype": "bool", "shape": [3], "data": b"\0\1\1"}}),
)
def _bool(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _variables(draft)["host/flags"]["chunks"][0]
    draft.replace(chunk, pick(draw, b"\0\1\2", b"\xff\0\0", b"\1\x80\1"))


# The index


@in_draft("W-1", "weights-form", "document without a field")
def _lacks(draw: st.DrawFn, draft: Draft) -> None:
    del draft.documents["weights.json"][pick(draw, "format", "aliases")]


@in_draft("W-1", "weights-form", "field of another type")
def _type(draw: st.DrawFn, draft: Draft) -> None:
    field, value = pick(draw, ("format", "etui-weight"), ("format", "etui-config"), ("aliases", []), ("aliases", None))
    draft.documents["weights.json"][field] = value


for _field in ("dtype", "shape", "order", "role", "trainable"):

    def _drop(field: str) -> Callable[[st.DrawFn, Draft], None]:
        def change(_draw: st.DrawFn, draft: Draft) -> None:
            del _variables(draft)[STEPS][field]

        return change

    in_draft("W-2", "weights-form", f"variable without {_field}")(_drop(_field))


@in_draft("W-2 W-1", "weights-form", "field of a variable of another type")
def _variable_type(draw: st.DrawFn, draft: Draft) -> None:
    choices = [("role", ""), ("role", 1), ("role", None), ("trainable", 1), ("trainable", "true"), ("trainable", None)]
    field, value = pick(draw, *choices)
    _variables(draft)[STEPS][field] = value


@in_draft("W-3", "weights-order", "order that is not a count")
def _order(draw: st.DrawFn, draft: Draft) -> None:
    entry = _variables(draft)[STEPS]
    entry["order"] = pick(draw, entry["order"] + 1, 0, entry["order"] - 1, 2**40)


@in_draft("W-4", "chunk-mismatch", "tensor of another dtype")
def _chunk_dtype(draw: st.DrawFn, draft: Draft) -> None:
    _variables(draft)[STEPS]["dtype"] = pick(draw, "uint32", "float32")


@in_draft("W-5", "chunk-form", "box of a whole tensor")
def _whole(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _variables(draft)[STEPS]["chunks"][0]
    chunk |= pick(draw, {"offset": [0, 0], "shape": [2, 3]}, {"offset": [0, 0]}, {"shape": [2, 3]})


def _second(draft: Draft) -> Entry:
    chunk: Entry = _variables(draft)[KERNEL]["chunks"][1]
    return chunk


@in_draft("W-6", "chunk-form", "chunk without a box", CHUNKED)
def _no_box(draw: st.DrawFn, draft: Draft) -> None:
    del _second(draft)[pick(draw, "offset", "shape")]


@in_draft("W-6", "chunk-form", "box of another rank", CHUNKED)
def _rank(draw: st.DrawFn, draft: Draft) -> None:
    _second(draft).update(pick(draw, {"offset": [1]}, {"shape": [1, 3, 1]}, {"offset": [1, 0, 0]}, {"shape": []}))


@in_draft("W-6", "chunk-form", "box outside of the tensor", CHUNKED)
def _outside(draw: st.DrawFn, draft: Draft) -> None:
    _second(draft).update(offset=pick(draw, [2, 0], [1, 1], [2**52, 0]))


@in_draft("W-6", "chunk-form", "empty box", CHUNKED)
def _empty_box(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _second(draft)
    chunk["shape"] = pick(draw, [0, 3], [1, 0])
    draft.data[chunk["part"]][chunk["tensor"]] = Physical("F32", chunk["shape"], b"")


def _resize(draft: Draft, chunk: Entry, offset: list[int], shape: list[int]) -> None:
    """Give a chunk another box, and data of its size."""
    chunk |= {"offset": offset, "shape": shape}
    draft.data[chunk["part"]][chunk["tensor"]] = Physical("F32", shape, bytes(shape[0] * shape[1] * 4))


@in_draft("W-7", "chunk-cover", "gap", CHUNKED)
def _gap(draw: st.DrawFn, draft: Draft) -> None:
    offset, shape = pick(draw, ([1, 0], [1, 2]), ([1, 1], [1, 2]), ([1, 1], [1, 1]))
    _resize(draft, _second(draft), offset, shape)


@in_draft("W-7", "chunk-cover", "overlap", CHUNKED)
def _overlap(draw: st.DrawFn, draft: Draft) -> None:
    if draw(st.booleans()):
        _resize(draft, _second(draft), [0, 0], [2, 3])
    else:
        _resize(draft, _variables(draft)[KERNEL]["chunks"][0], [0, 0], [2, 1])


@in_draft("W-7", "chunk-cover", "gap and overlap of one size", CHUNKED)
def _shifted(_draw: st.DrawFn, draft: Draft) -> None:
    entry = _variables(draft)[KERNEL]
    first, second = entry["chunks"]
    # Two of six elements twice, two not at all: a reader that adds up sizes sees nothing.
    _resize(draft, first, [0, 0], [2, 2])
    _resize(draft, second, [1, 1], [1, 2])


@in_draft("W-8", "chunk-form", "chunks out of order", CHUNKED)
def _unsorted(_draw: st.DrawFn, draft: Draft) -> None:
    _variables(draft)[KERNEL]["chunks"].reverse()


@in_draft("W-9", "chunk-mismatch", "tensor of another shape")
def _chunk_shape(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _variables(draft)[STEPS]["chunks"][0]
    found = draft.physical(chunk)
    shape = pick(draw, [3, 2], [6], [2, 3, 1], [1, 6])
    draft.data[chunk["part"]][chunk["tensor"]] = Physical(found.dtype, shape, found.data)


@in_draft("W-9", "chunk-mismatch", "tensor of another shape than its chunk", CHUNKED)
def _box_shape(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _second(draft)
    found = draft.physical(chunk)
    draft.data[chunk["part"]][chunk["tensor"]] = Physical(found.dtype, pick(draw, [3], [3, 1], [1, 1, 3]), found.data)


@in_draft("W-10", "reference-missing", "chunk of no tensor")
def _no_tensor(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _variables(draft)[STEPS]["chunks"][0]
    del draft.data[chunk["part"]][chunk["tensor"]]
    chunk |= {"tensor": pick(draw, "host/step", "", "HOST/STEPS"), "digest": f"sha256:{'0' * 64}"}


@in_draft("W-10", "reference-missing", "chunk of no part")
def _no_part(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _variables(draft)[STEPS]["chunks"][0]
    del draft.data[chunk["part"]][chunk["tensor"]]
    part = pick(draw, "weights-00007-of-00009.safetensors", "state-00001-of-00002.safetensors")
    chunk |= {"part": part, "digest": f"sha256:{'0' * 64}"}


@in_draft("W-15", "alias-target", "alias of nothing")
def _alias_nothing(draw: st.DrawFn, draft: Draft) -> None:
    _aliases(draft)["host/other"] = pick(draw, "host/nothing", "host", "host/other")


@in_draft("W-15", "alias-target", "alias of an alias")
def _alias_alias(_draw: st.DrawFn, draft: Draft) -> None:
    _aliases(draft)["host/other"] = TIED


@in_draft("W-15", "alias-target", "alias that is a variable")
def _alias_variable(draw: st.DrawFn, draft: Draft) -> None:
    _aliases(draft)[STEPS] = pick(draw, KERNEL, STEPS)
