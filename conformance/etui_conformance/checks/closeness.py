"""Tensors of replies held against expected ones, within the tolerance of a vector."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from etui_conformance.checks.base import Mismatch
from etui_conformance.oracle import floats
from etui_conformance.protocol.wire import tensor_from_wire

_INTEGERS = {
    f"{sign}int{bits}": code
    for sign, codes in (("", "bhiq"), ("u", "BHIQ"))
    for bits, code in zip((8, 16, 32, 64), codes, strict=True)
}
_FLOATS = ("float64", "float32", "float16", "bfloat16")
Elements = Sequence[float | int | bool | bytes]


def check_close(
    where: str, expected: Any, found: Any, tolerance: Mapping[str, float], *, exact_dtype: bool = True
) -> None:
    """Check a tensor of a reply.

    Integers may be of another width: a framework's own is as good as another (SPEC.md J.2).

    Args:
        where: its place in the reply, for messages.
        expected: of the vector.
        found: of the reply.
        tolerance: `rtol` and `atol`: how far a float may be from the expected one.
        exact_dtype: whether a float must be of the expected dtype, rather than of any float dtype.

    Raises:
        Mismatch: it is another tensor.
        AdapterFailure: it is none.
    """
    wanted, given = tensor_from_wire(expected, where), tensor_from_wire(found, where)
    kinds = _kind(wanted["dtype"]), _kind(given["dtype"])
    if kinds[0] != kinds[1] or (exact_dtype and kinds[0] == "float" and wanted["dtype"] != given["dtype"]):
        raise Mismatch(f"{where} has another dtype", expected=wanted["dtype"], found=given["dtype"])
    if wanted["shape"] != given["shape"]:
        raise Mismatch(f"{where} has another shape", expected=wanted["shape"], found=given["shape"])
    ours, theirs = elements(wanted), elements(given)
    if len(ours) != len(theirs):
        raise Mismatch(f"{where} has other bytes than its shape has", expected=len(ours), found=len(theirs))
    for place, (one, two) in enumerate(zip(ours, theirs, strict=True)):
        if not _close(one, two, tolerance):
            at, count = _index(place, wanted["shape"]), _differing(ours, theirs, tolerance)
            raise Mismatch(f"{where} differs at {at}, the first of {count} elements", expected=one, found=two)


def elements(tensor: Mapping[str, Any]) -> Elements:
    """The elements of a tensor in the suite's form, in row-major order.

    Raises:
        Mismatch: its bytes are no elements of its dtype.
    """
    dtype = tensor["dtype"]
    if "strings" in tensor:
        return list(tensor["strings"])
    data = tensor["data"]
    try:
        if dtype == "bool":
            return [bool(byte) for byte in data]
        if dtype in _INTEGERS:
            return [one for (one,) in struct.iter_unpack(f"<{_INTEGERS[dtype]}", data)]
        return floats.decode(dtype, data)
    except (struct.error, KeyError, ValueError) as fault:
        raise Mismatch(f"bytes that are no elements of {dtype}: {fault}") from fault


def _kind(dtype: str) -> str:
    return "integer" if dtype in _INTEGERS else "float" if dtype in _FLOATS else dtype


def _close(one: Any, two: Any, tolerance: Mapping[str, float]) -> bool:
    if not isinstance(one, float):
        return bool(one == two)
    if math.isnan(one) or math.isnan(two) or math.isinf(one) or math.isinf(two):
        return bool(one == two) or (math.isnan(one) and math.isnan(two))
    return bool(abs(one - two) <= tolerance["atol"] + tolerance["rtol"] * abs(one))


def _differing(ours: Elements, theirs: Elements, tolerance: Mapping[str, float]) -> int:
    return sum(not _close(one, two, tolerance) for one, two in zip(ours, theirs, strict=True))


def _index(place: int, shape: Sequence[int]) -> list[int]:
    found: list[int] = []
    for size in reversed(shape):
        found.insert(0, place % size)
        place //= size
    return found
