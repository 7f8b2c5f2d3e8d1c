"""Vectors of the packed form (SPEC.md chapter 9)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from vectors_contents import (
    Content,
    call,
    config,
    f32,
    graph,
    joined,
    layer,
    optimizer,
    output,
    part,
    stored,
    training,
    weights,
)
from vectors_kit import FULL, Area, Entry
from vectors_parts import DATA, WEIGHTS
from vectors_zip import Archive, Member, aligning

Rows: TypeAlias = list[tuple[str, str, str, Callable[[Archive], None]]]
ASSET = "assets/a.bin"
_TIMES = struct.pack("<HHBI", 0x5455, 5, 1, 0)


def area() -> Area:
    """The vectors."""
    found = Area("packed")
    content = weights({"k": f32([2], 1, -0.0)})
    base = found.valid("three members", "Z-1 Z-2 Z-3 Z-4 Z-6 Z-7 Z-8 Z-10 I-1 D-5", content, subject=["weights"])
    parts = {
        ASSET: part("asset", b"asset"),
        "assets/B.bin": part("asset", b""),
        "native/example/a.json": part(
            "native", b"{}", "application/json", framework="example", framework_version=None, bindings={}
        ),
        "programs/run/main.bin": part("program", bytes(range(70))),
    }
    many = found.valid(
        "members of every group, one of them empty",
        "Z-2 Z-4",
        joined(content, parts=parts),
        subject=["weights", "parts"],
    )
    _refuse(found, base, _member_faults())
    _refuse(found, base, _field_faults())
    _refuse(found, base, _layout_faults())
    _refuse(found, many, _order_faults())
    _refuse(found, base, _checksum_faults(), ops=FULL)
    found.archive_faults(base, _truncations(base))
    every = ["config", "weights", "training", "optimizer"]
    found.valid("the worked example of annex A", "Z-1 Z-2 Z-4 H-8 D-5 W-23", _example(), subject=every)
    return found


def _example() -> Content:
    """The dense layer of annex A after its one step."""
    dense = layer("dense", "keras:Dense", attrs={"units": 1}, params={"bias": "dense/bias", "kernel": "dense/kernel"})
    shape = {"batch_shape": {"$tuple": [None, 2]}}
    calls = [call("input", "input"), call("dense", "dense", output("input"))]
    modules = [layer("input", "keras:InputLayer", attrs=shape), dense]
    ends = {"inputs": output("input"), "outputs": output("dense")}
    momenta = {"dense/kernel": f32([2, 1], -0.25, -0.5), "dense/bias": f32([1], -0.25)}
    names = {path: f"optimizer/slots/{path}/momentum" for path in momenta}
    sgd = {
        "algorithm": "keras:SGD",
        "groups": [{"variables": list(momenta)}],
        "hyperparameters": {"learning_rate": 0.125, "momentum": 0.5},
        "learning_rate": 0.125,
        "micro_step": 1,
        "slots": {path: {"momentum": stored(name)} for path, name in names.items()},
        "step": 1,
    }
    variables: dict[str, Any] = {
        "dense/kernel": f32([2, 1], 0.75, -0.5),
        "dense/bias": (f32([1], -0.25), {"role": "bias"}),
    }
    return joined(
        config(graph("tiny", modules, calls, op="keras:Functional", **ends)),
        weights(variables),
        training(loss="mean_squared_error"),
        optimizer({names[path]: held for path, held in momenta.items()}, {"optimizer": sgd}),
    )


def _refuse(found: Area, sibling: Entry, rows: Rows, ops: tuple[str, ...] = ("decode", "validate")) -> None:
    made = []
    for name, clauses, code, change in rows:
        archive = Archive.of(sibling.parts)
        change(archive)
        made.append((name, clauses, code, archive.written()))
    found.archive_faults(sibling, made, ops=ops)


def _member(index: int, **fields: object) -> Callable[[Archive], None]:
    """Sets attributes of a member: 0 is the data part, 1 the index, 2 the manifest."""

    def change(archive: Archive) -> None:
        for name, value in fields.items():
            setattr(archive.members[index], name, value)

    return change


def _both(index: int, **fields: int) -> Callable[[Archive], None]:
    """Sets fields of both headers of a member."""
    return _member(index, local=fields, central=fields)


def _whole(**fields: object) -> Callable[[Archive], None]:
    """Sets attributes of the archive."""

    def change(archive: Archive) -> None:
        for name, value in fields.items():
            setattr(archive, name, value)

    return change


def _insert(index: int, name: bytes, data: bytes) -> Callable[[Archive], None]:
    return lambda archive: archive.members.insert(index, Member(name, data))


def _exchange(first: int, second: int) -> Callable[[Archive], None]:
    def change(archive: Archive) -> None:
        members = archive.members
        members[first], members[second] = members[second], members[first]

    return change


def _member_faults() -> Rows:
    code = "zip-members"
    listed_twice = lambda archive: archive.members.insert(1, archive.members[0])  # noqa: E731 (a row of a table)
    return [
        ("a member that is not listed", "Z-1", code, _insert(1, b"assets/x.txt", b"x")),
        ("a member that is listed, twice", "Z-1", code, listed_twice),
        ("no member for a listed part", "Z-1 F-3", f"{code}|part-missing", lambda archive: archive.members.pop(0)),
        ("no manifest", "Z-1 F-2", f"{code}|manifest-missing", lambda archive: archive.members.pop()),
        ("an entry for a folder", "Z-1", f"{code}|part-name", _insert(1, b"assets/", b"")),
        ("the manifest in front", "Z-2", "zip-order", _exchange(0, 2)),
        ("the index before its data", "Z-2", "zip-order", _exchange(0, 1)),
        ("a document after the manifest", "Z-2", "zip-order", _exchange(1, 2)),
    ]


def _order_faults() -> Rows:
    return [
        ("parts of a group in another order", "Z-2", "zip-order", _exchange(2, 3)),
        ("capitals after small letters", "Z-2", "zip-order", _exchange(1, 2)),
        ("an asset before the data", "Z-2", "zip-order", _exchange(0, 1)),
        ("a program after the index", "Z-2", "zip-order", _exchange(4, 5)),
    ]


def _field_faults() -> Rows:
    code = "zip-field"
    rows: Rows = [
        ("a compressed member", "Z-3", code, _both(0, method=8)),
        ("a flag for a name in UTF-8", "Z-3", code, _both(0, flags=0x800)),
        ("an encrypted member", "Z-3 Z-10", code, _both(0, flags=1)),
        ("the flag of a data descriptor", "Z-3 Z-10", code, _both(0, flags=8)),
        ("a time", "Z-3", code, _both(0, time=1)),
        ("another date", "Z-3", code, _both(0, date=0x22)),
        ("a date of zero", "Z-3", code, _both(1, date=0)),
        ("the version 10", "Z-6", code, _member(0, local={"version": 10}, central={"version": 10, "made_by": 20})),
        ("the version 45 without zip64", "Z-6", code, _both(1, version=45)),
        ("made by another system", "Z-6", code, _member(0, central={"made_by": 0x0314})),
        ("a disk number", "Z-6 Z-10", code, _member(0, central={"disk": 1})),
        ("internal attributes", "Z-6", code, _member(0, central={"internal": 1})),
        ("the permissions of a file", "Z-6", code, _member(0, central={"external": 0o100644 << 16})),
        ("a time in the local header alone", "Z-3 Z-7", code, _member(0, local={"time": 1})),
        ("a flag in the central header alone", "Z-3 Z-7", code, _member(0, central={"flags": 2})),
        ("a method in the local header alone", "Z-3 Z-7", code, _member(1, local={"method": 8})),
        ("a checksum in the local header alone", "Z-7", code, _member(0, local={"crc": 0})),
        (
            "another name in the local header",
            "Z-7",
            code,
            _member(0, central_name=b"weights.safetensors", name=b"weightz.safetensors"),
        ),
        ("a comment of a member", "Z-10", code, _member(0, comment=b"c")),
        ("a time stamp in the local header", "Z-10", f"{code}|zip-alignment", _member(0, local_extra=_TIMES)),
        ("a time stamp in the central header", "Z-10", code, _member(0, central_extra=_TIMES)),
        (
            "the extra field of alignment in the central header",
            "Z-4 Z-10",
            f"{code}|zip-alignment",
            _member(0, central_extra=aligning(0)),
        ),
        ("another disk in the end record", "Z-10", code, _whole(end={"disk": 1})),
        ("a central directory on another disk", "Z-10", code, _whole(end={"directory_disk": 1})),
    ]
    comment = (
        "a comment of the archive",
        "Z-10",
        f"{code}|zip-truncated|zip-layout",
        _whole(end={"comment_length": 1}, suffix=b"c"),
    )
    return [*rows, comment]


def _layout_faults() -> Rows:
    alignment, layout, zip64 = "zip-alignment", "zip-layout", "zip-zip64"
    start = 30 + len(DATA)
    right = aligning(start)

    def zip64_member(archive: Archive) -> None:
        member = archive[DATA]
        sizes = struct.pack("<HHQQ", 1, 16, len(member.data), len(member.data))
        large = {"size": 0xFFFFFFFF, "size_again": 0xFFFFFFFF, "version": 45}
        member.local, member.central = dict(large), large | {"made_by": 45}
        member.local_extra = member.central_extra = sizes

    def zip64_offset(archive: Archive) -> None:
        archive[WEIGHTS].central = {"offset": 0xFFFFFFFF, "version": 45, "made_by": 45}
        archive[WEIGHTS].central_extra = struct.pack(
            "<HHQ", 1, 8, len(archive.members[0].local_record(0)) + len(archive.members[0].data)
        )

    return [
        ("no extra field", "Z-4", alignment, _member(0, padding=b"")),
        ("an alignment of 32", "Z-4", alignment, _member(0, padding=right[:4] + b"\x20\0" + right[6:])),
        ("an extra field of another id", "Z-4 Z-10", f"{alignment}|zip-field", _member(0, padding=b"\x36" + right[1:])),
        ("padding that is not zero", "Z-4", alignment, _member(0, padding=right[:-1] + b"\1")),
        ("more padding than is needed", "Z-4", alignment, _member(0, padding=aligning(start, more=64))),
        ("data that begins a byte late", "Z-4", alignment, _member(0, padding=aligning(start, more=1))),
        ("the index at an odd place", "Z-4", alignment, _member(1, padding=aligning(start, more=3))),
        (
            "an extra field that is longer than it is",
            "Z-4 Z-10",
            f"{alignment}|zip-field|{layout}",
            _member(0, padding=right[:2] + b"\xff\0" + right[4:]),
        ),
        ("a zip64 field of a small member", "Z-5", zip64, zip64_member),
        ("a zip64 field of a small offset", "Z-5", zip64, zip64_offset),
        ("a zip64 end record that is not needed", "Z-9", zip64, _whole(end64={}, locator={})),
        ("a zip64 end record without its locator", "Z-9 Z-8", f"{zip64}|{layout}", _whole(end64={})),
        ("a locator without a zip64 end record", "Z-9 Z-8", f"{zip64}|{layout}", _whole(locator={})),
        ("bytes before the first member", "Z-8", layout, _whole(prefix=bytes(64))),
        ("bytes between two members", "Z-8", layout, _member(0, trailer=b"\0")),
        ("a data descriptor", "Z-8 Z-10", f"{layout}|zip-field", _member(0, trailer=b"PK\x07\x08" + bytes(12))),
        ("bytes before the central directory", "Z-8", layout, _whole(gap=b"\0\0\0\0")),
        ("bytes after the end record", "Z-8 Z-11", f"{layout}|zip-truncated", _whole(suffix=b"\0")),
        (
            "a member fewer in the end record",
            "Z-8",
            f"{layout}|zip-members|zip-field",
            _whole(end={"members": 2, "members_here": 2}),
        ),
        (
            "a member more in the end record",
            "Z-8 Z-11",
            f"{layout}|zip-members|zip-field|zip-truncated",
            _whole(end={"members": 4, "members_here": 4}),
        ),
        (
            "a size of the central directory that is too small",
            "Z-8",
            f"{layout}|zip-truncated|zip-field",
            _whole(end={"size": 10}),
        ),
        (
            "an offset of the central directory that is too large",
            "Z-8 Z-11",
            f"{layout}|zip-truncated|zip-field",
            _whole(end={"offset": 2**31}),
        ),
        ("a member's offset into another's data", "Z-8", f"{layout}|zip-field", _member(1, central={"offset": 64})),
        ("two members at one place", "Z-8", f"{layout}|zip-field", _member(1, central={"offset": 0})),
    ]


def _checksum_faults() -> Rows:
    code = "zip-crc"
    return [
        ("a wrong checksum of the data", "E-4 H-7", code, _both(0, crc=0)),
        ("a wrong checksum of the index", "E-4 H-7", code, _both(1, crc=1)),
        ("a wrong checksum of the manifest", "E-4 H-7", code, _both(2, crc=2)),
    ]


def _truncations(base: Entry) -> list[tuple[str, str, str, bytes]]:
    data = base.files[f"{base.id}.etui"]
    code = "zip-truncated"
    return [
        ("a file without its last byte", "Z-11", code, data[:-1]),
        ("a file without its end record", "Z-11", code, data[:-22]),
        ("a file that ends in a member", "Z-11", code, data[:100]),
        ("the first four bytes alone", "Z-11 I-1", code, data[:4]),
    ]
