"""What only long archives and damaged boxes show: records of zip64, checksums of long members, digests of tensors."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import about_packed, about_parts, ask_for, check_written, to_encode
from etui_conformance.oracle import packed, safetensors, writing
from etui_conformance.protocol.wire import new_path

_READS = frozenset({"decode", "weights", "packed"})
_LONG = 3 * 1024 * 1024 + 1
_MEMBERS = 0xFFFF
_END, _LOCATOR, _END_64 = 22, 20, 56


def checks() -> list[Check]:
    """Cheap to call: everything is made when a check runs."""
    long = "Writes the checksum of a member that no buffer holds."
    ends = "Refuses end records of zip64 with a field that is not as it must be."
    return [
        *_boxes(),
        Check("edges/long-member", ("Z-3", "E-4"), _READS | {"encode", "dtype:uint8"}, long, _long_member),
        Check("edges/zip64-ends", ("Z-9",), _READS | {"parts"}, ends, _ends, slow=True),
    ]


def _boxes() -> Iterator[Check]:
    title = "Refuses a box of a tensor whose bytes were changed, in or outside of the box."
    for form in ("packed", "directory"):
        needs = frozenset({"decode", "weights", "dtype:uint8", form})
        yield Check(f"edges/box/{form}", ("H-6",), needs, title, lambda context, form=form: _box(form, context))  # type: ignore[misc]


def _box(form: str, context: Context) -> None:
    """The documents alone are given, and so is a box of another tensor; one of the changed tensor is refused."""
    tensors = {"a": samples.tensor("uint8", [4, 2], bytes(range(8))), "b": samples.tensor("uint8", [2], b"\1\2")}
    parts = writing.write(samples.weights(tensors))
    data = bytearray(parts["weights.safetensors"])
    data[safetensors.read(bytes(data))[1]["a"].end - 1] ^= 1
    parts["weights.safetensors"] = bytes(data)
    about_parts(context.session, "decode", parts, form, want="documents").accepted()
    for name, box in (("b", [[0, 1]]), ("a", [[0, 1], [0, 2]]), ("a", [[3, 4], [1, 2]]), ("a", None)):
        asked = ask_for([("weights", name, box)])
        question = about_parts(context.session, "decode", parts, form, want="documents", read=asked)
        if name == "b":
            question.accepted()
        else:
            question.refused(["digest-mismatch"])


def _long_member(context: Context) -> None:
    content = samples.weights({"a": samples.tensor("uint8", [_LONG], bytes(range(256)) * (_LONG // 256) + b"\1")})
    path = new_path(context.folder, ".etui")
    question = to_encode(context.session, content, "packed", path)
    question.accepted()
    check_written(question, "packed", path, writing.write(content))


def _ends(context: Context) -> None:
    """The archive is taken as it is, and refused with each of the fields set otherwise."""
    held = {f"assets/{at:05}": samples.part("asset", b"") for at in range(_MEMBERS - 3)}
    data = packed.pack(writing.write(samples.weights({"a": samples.FLAG}) | {"parts": held}))
    about_packed(context.session, "decode", data, want="documents").accepted()
    first = len(data) - _END - _LOCATOR - _END_64
    size, offset = struct.unpack_from("<QQ", data, first + 40)
    faults = {
        (4, "<Q"): 45,  # the size of the record, which leaves room for extensible data
        (12, "<H"): 20,  # versions
        (14, "<H"): 46,
        (_END_64 + _LOCATOR + 8, "<HH"): (_MEMBERS - 1, _MEMBERS - 1),  # of the end record: members, size and offset
        (_END_64 + _LOCATOR + 12, "<I"): 0xFFFFFFFF,
        (_END_64 + _LOCATOR + 16, "<I"): 0xFFFFFFFF,
        (_END_64 + 8, "<Q"): offset + size - 1,  # the place of the record in its locator
    }
    for (at, form), value in faults.items():
        changed = bytearray(data)
        struct.pack_into(form, changed, first + at, *(value if isinstance(value, tuple) else (value,)))
        question = about_packed(context.session, "decode", bytes(changed), want="documents")
        question.refused(["zip-zip64", "zip-layout", "zip-field"])
