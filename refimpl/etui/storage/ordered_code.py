"""The keys of slices in a tensor bundle: TensorFlow's OrderedCode, whose bytes sort as the values do.

Slices are looked up by the key that their entry's tensor and box make, so only encoding is needed. The form is that of
TensorFlow's `lib/strings/ordered_code.h` and `util/saved_tensor_slice_util.cc`.
"""

from __future__ import annotations

from collections.abc import Sequence


def slice_key(name: str, box: Sequence[tuple[int, int]]) -> bytes:
    """The key of a slice.

    Args:
        name: of the tensor.
        box: start and length of each dimension; (0, -1) is a whole dimension.
    """
    key = _natural(0) + _text(name.encode()) + _natural(len(box))
    return key + b"".join(_signed(start) + _signed(length) for start, length in box)


def _natural(number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    return bytes([size]) + number.to_bytes(size, "big")


def _text(text: bytes) -> bytes:
    escaped = bytearray()
    for byte in text:
        escaped.append(byte)
        if byte in (0x00, 0xFF):
            escaped.append(byte ^ 0xFF)
    return bytes(escaped) + b"\x00\x01"


def _signed(number: int) -> bytes:
    bits = (~number if number < 0 else number).bit_length()
    size = bits // 7 + 1
    header = ((1 << size) - 1) << (8 * size - size)
    return (header ^ (number & (1 << 8 * size) - 1)).to_bytes(size, "big")
