"""Artifacts whose tensors are cut into chunks and spread over shards, as several writers leave them (W-5 to W-10)."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from math import prod
from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle import writing
from etui_conformance.strategies.artifacts import artifacts
from etui_conformance.strategies.drafts import TENSOR_DOCUMENTS, Draft, Parts, Physical, seal, take_apart
from etui_conformance.strategies.scope import EVERYTHING, Scope

_COIN = st.booleans()


@st.composite
def layouts(draw: st.DrawFn, scope: Scope = EVERYTHING, having: Collection[str] = ("weights",)) -> Parts:
    """The parts of a valid artifact, none of whose tensors need be in one piece.

    Args:
        draw: given by Hypothesis.
        scope: what the implementation claims.
        having: documents that must be there.
    """
    content = draw(artifacts(scope, having, min_variables=1))
    return seal(lay_out(draw, take_apart(writing.write(content)), scope))


def lay_out(draw: st.DrawFn, draft: Draft, scope: Scope = EVERYTHING, *, cut: bool | None = None) -> Draft:
    """Cut the tensors of a draft and deal the pieces out to shards.

    Args:
        draw: given by Hypothesis.
        draft: changed in place, and returned.
        scope: what the implementation claims; without the feature `chunks` nothing is cut.
        cut: whether every tensor that can be cut is; by default drawn for each.
    """
    may_cut = "chunks" in scope.features and cut is not False
    used = False
    for role in TENSOR_DOCUMENTS:
        pieces: list[tuple[dict[str, Any], Physical]] = []
        plain_names = draw(st.integers(0, 4)) < 4
        for name, entry in draft.leaves(role):
            found = draft.physical(entry["chunks"][0])
            boxes = cut_up(draw, found.shape, always=bool(cut)) if may_cut and (cut or draw(_COIN)) else []
            chunks = _chunks(name, found, boxes)
            entry["chunks"] = [chunk for chunk, _ in chunks]
            used = used or len(chunks) > 1
            pieces += chunks
        if not plain_names:
            for index, (chunk, _) in enumerate(pieces):
                chunk["tensor"] = f"t{index}"
        _deal(draw, draft, role, pieces)
    if used:
        draft.manifest["requires"] = sorted({*draft.manifest["requires"], "chunks"})
    return draft


Box = tuple[tuple[int, int], ...]


def cut_up(draw: st.DrawFn, shape: Sequence[int], *, always: bool = False) -> list[Box]:
    """Boxes that cover a tensor, not aligned with each other, sorted by offset; none where it stays in one piece."""
    boxes: list[Box] = [tuple((0, size) for size in shape)]
    if prod(shape) < 2:
        return []
    if shape[0] > 10 and draw(_COIN):
        # Offsets that sort otherwise as texts.
        ends = [0, 2, 10, shape[0]]
        rest = boxes[0][1:]
        return [((start, stop), *rest) for start, stop in itertools.pairwise(ends)]
    for _ in range(draw(st.integers(1 if always else 0, 4))):
        index = draw(st.integers(0, len(boxes) - 1))
        box = boxes[index]
        axes = [axis for axis, (start, stop) in enumerate(box) if stop - start > 1]
        if not axes:
            continue
        axis = draw(st.sampled_from(axes))
        start, stop = box[axis]
        middle = draw(st.integers(start + 1, stop - 1))
        boxes[index : index + 1] = [(*box[:axis], span, *box[axis + 1 :]) for span in ((start, middle), (middle, stop))]
    return sorted(boxes, key=lambda box: [start for start, _ in box]) if len(boxes) > 1 else []


def _chunks(name: str, found: Physical, boxes: list[Box]) -> list[tuple[dict[str, Any], Physical]]:
    """The chunks of a stored tensor, with the bytes of each; the part is not decided yet."""
    if not boxes:
        return [({"digest": "", "part": "", "tensor": name}, found)]
    made = []
    for box in boxes:
        offset, shape = [start for start, _ in box], [stop - start for start, stop in box]
        chunk = {
            "digest": "",
            "offset": offset,
            "part": "",
            "shape": shape,
            "tensor": f"{name}@{','.join(map(str, offset))}",
        }
        made.append((chunk, Physical(found.dtype, shape, _picked(found, box))))
    return made


def _picked(found: Physical, box: Box) -> bytes:
    """The bytes of a box of a stored tensor."""
    width = len(found.data) // prod(found.shape)
    runs = [0]
    for size, (start, stop) in zip(found.shape[:-1], box[:-1], strict=True):
        runs = [run * size + index for run in runs for index in range(start, stop)]
    size, (first, last) = found.shape[-1], box[-1]
    return b"".join(found.data[(run * size + first) * width : (run * size + last) * width] for run in runs)


def _deal(draw: st.DrawFn, draft: Draft, role: str, pieces: list[tuple[dict[str, Any], Physical]]) -> None:
    """Put pieces into one data part or into shards, each of which gets at least one."""
    for part in [part for part in draft.data if part.split("-")[0].split(".")[0] == role]:
        del draft.data[part]
    if not pieces:
        return
    count = min(draw(st.integers(1, 3)), len(pieces))
    numbered = count > 1 or draw(st.integers(0, 7)) == 7
    shards = [f"{role}-{number + 1:05}-of-{count:05}.safetensors" for number in range(count)]
    names = shards if numbered else [f"{role}.safetensors"]
    shift = draw(st.integers(0, count - 1))
    for index, (chunk, found) in enumerate(pieces):
        chunk["part"] = names[(index + shift) % count]
        draft.data.setdefault(chunk["part"], {})[chunk["tensor"]] = found
