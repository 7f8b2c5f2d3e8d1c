"""Whether the chunks of a tensor cover each of its elements exactly once (SPEC.md W-6, W-7)."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from math import prod

from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits

Shape = tuple[int, ...]

_PRIME = 2**127 - 1


def check_cover(
    shape: Shape, boxes: Sequence[tuple[Shape, Shape]], where: str, limits: Limits = DEFAULT_LIMITS
) -> None:
    """Check that boxes (offset, shape) cover each element of a tensor exactly once (W-6, W-7).

    Give each edge of each dimension a variable, and each box the product over the dimensions of (variable of its
    begin - variable of its end). The sum over the boxes equals the product of the whole tensor, as a polynomial,
    exactly if the boxes cover each element once: its terms are the corners of the boxes with alternating signs. The
    polynomials are compared at a random point modulo a prime: of degree at most 32, unequal ones agree there with a
    probability below 2^-121 (lemma of Schwartz and Zippel). The time grows with the number of boxes alone.

    Args:
        shape: of the tensor.
        boxes: offset and shape of each.
        where: the place for messages.
        limits: the limits in force.

    Raises:
        InvalidError: ``chunk-form`` or ``chunk-cover``.
        LimitError: ``limit-chunks``.
    """
    for offset, size in boxes:
        if len(offset) != len(shape) or len(size) != len(shape):
            raise error("chunk-form", where=where, found=f"offset {list(offset)} and shape {list(size)}")
        if any(o < 0 or n < 0 or o + n > d for o, n, d in zip(offset, size, shape, strict=True)):
            raise error("chunk-form", where=where, found=f"{list(size)} at {list(offset)} is outside of {list(shape)}")
        if 0 in size:
            raise error("chunk-form", where=where, found=f"an empty chunk at {list(offset)}")
    cut = [axis for axis, full in enumerate(shape) if any(size[axis] != full for _, size in boxes)]
    if len(boxes) << len(cut) > limits.chunk_corners:
        raise error("limit-chunks", where=where, found=f"{len(boxes)} chunks that cut {len(cut)} dimensions")
    values: defaultdict[tuple[int, int], int] = defaultdict(lambda: secrets.randbelow(_PRIME))

    def term(offset: Shape, size: Shape) -> int:
        product = 1
        for axis in cut:
            begin = offset[axis]
            product = product * (values[axis, begin] - values[axis, begin + size[axis]]) % _PRIME
        return product

    if (sum(term(*box) for box in boxes) - term((0,) * len(shape), shape)) % _PRIME:
        found = f"chunks of {sum(prod(size) for _, size in boxes)} elements, and the tensor has {prod(shape)}"
        raise error("chunk-cover", where=where, found=found)
