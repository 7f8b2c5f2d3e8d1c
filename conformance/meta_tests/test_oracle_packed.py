"""The oracle's packed form against SPEC.md, the reference library and other tools."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from etui.storage import open_artifact
from etui.testing import storage as building
from etui.testing.hostile import refused_with as refused_by_reference
from etui_conformance.oracle import names, packed
from etui_conformance.oracle.errors import refused_with as refused

# The machine that runs the tests may be slow; what is drawn is the same each time.
STEADY = settings(derandomize=True, deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.clause("Z-1@88c419", "Z-2@a6382e", "Z-3@58225a", "Z-4@cd707e", "Z-6@e313d7", "Z-8@87aef7", "D-5@94980c")
def test_the_packed_form_is_that_of_the_reference(archive: bytes) -> None:
    """The oracle reads what the reference packs, and packs the parts into the same bytes."""
    parts = packed.unpack(archive)
    assert {names.role_of(name) for name in parts} > {"data", "asset", "program", "native", "manifest", "weights"}
    assert packed.pack(dict(reversed(parts.items()))) == archive
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == parts


@STEADY
@given(building.contents())
@pytest.mark.clause("Z-1@88c419", "Z-2@a6382e", "Z-4@cd707e", "Z-8@87aef7")
def test_any_parts_are_packed_as_the_reference_packs_them(content: dict[str, bytes]) -> None:
    """Parts of any names and sizes have the same bytes by both, and come back."""
    target = io.BytesIO()
    building.write(target, content)
    assert packed.pack(content) == target.getvalue()


@pytest.mark.clause("Z-5@76772f", "Z-6@e313d7", "Z-9@d0d3a0")
def test_large_members_and_far_ones_have_zip64_fields() -> None:
    """The headers of members beyond 4 GiB say what Python's zipfile reads as their sizes and places."""
    large = [("assets/a", 1 << 32, 5), ("assets/b", 7, 6), ("config.json", 0xFFFFFFFF, 7), ("manifest.json", 3, 8)]
    *heads, tail = packed.frames(large)
    assert [len(head) for head in heads] == [len(head) for head in packed.frames(large)][:-1]
    sparse = _Sparse(
        [piece for head, (_, size, _) in zip(heads, large, strict=True) for piece in (head, size)] + [tail]
    )
    with zipfile.ZipFile(sparse) as file:
        found = [(info.filename, info.file_size, info.CRC) for info in file.infolist()]
        assert found == large
        assert file.infolist()[1].header_offset == len(heads[0]) + (1 << 32)
    assert heads[0][4:6] == b"\x2d\0"
    assert heads[1][4:6] == b"\x14\0"


class _Sparse(io.RawIOBase):
    """A file of pieces of bytes, and of zeros where only a number stands."""

    def __init__(self, pieces: list[bytes | int]) -> None:
        self._pieces = pieces
        self._size = sum(piece if isinstance(piece, int) else len(piece) for piece in pieces)
        self._at = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._size, self._at + size)
        found = bytearray()
        position = 0
        for piece in self._pieces:
            length = piece if isinstance(piece, int) else len(piece)
            begin, end = max(self._at, position) - position, min(stop, position + length) - position
            if begin < end:
                found += bytes(end - begin) if isinstance(piece, int) else piece[begin:end]
            position += length
        self._at = stop
        return bytes(found)


@pytest.mark.clause("Z-9@d0d3a0")
def test_many_members_have_zip64_end_records() -> None:
    """From 0xFFFF members on there are the end records of zip64, which both read; below there are none."""
    names = [(f"assets/{number:05}", 0, 0) for number in range(0xFFFE)]
    assert b"PK\6\7" not in list(packed.frames(names))[-1][-64:]
    data = packed.pack(building.with_manifest({name: b"" for name, _, _ in names}))
    assert b"PK\6\7" in data[-64:]
    assert len(packed.unpack(data)) == len(open_artifact(data).names()) == 0xFFFF
    for wrong in (data[:-98] + data[-22:], with_zip64(packed.pack(PARTS))):
        assert refused(lambda wrong=wrong: packed.unpack(wrong)) == "zip-zip64"  # type: ignore[misc]
        assert refused_by_reference(lambda wrong=wrong: open_artifact(wrong)) == "zip-zip64"  # type: ignore[misc]


def with_zip64(data: bytes) -> bytes:
    """An archive with end records of zip64 that it does not need."""
    _, _, _, _, count, size, offset, _ = struct.unpack("<4sHHHHIIH", data[-22:])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    return data[:-22] + record + struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1) + data[-22:]


PARTS = building.with_manifest({"assets/a": b"abc", "config.json": b"{}"})


def archive_of(change: dict[str, Any] | None = None, **choices: Any) -> bytes:
    """The packed form of two parts and their manifest, with changes to the first member or to the whole."""
    members = building.zip_members(PARTS)
    for name, value in (change or {}).items():
        setattr(members[0], name, value)
    return building.zip_bytes(members, **choices)


def aligning(zeros: int, alignment: int = 64, after: bytes = b"") -> bytes:
    """The extra field that aligns."""
    return struct.pack("<HHH", 0xD935, 2 + zeros, alignment) + bytes(zeros) + after


_ZEROS = -(30 + len("assets/a") + 6) % 64
_MEMBERS = building.zip_members(PARTS)
_NEEDLESS = struct.pack("<HHQQ", 1, 16, 3, 3)

FAULTY_ARCHIVES: list[tuple[str, bytes]] = [
    *[("zip-field", archive_of({"local": {f: 1}, "central": {f: 1}})) for f in ("flags", "method", "time", "date")],
    *[("zip-field", archive_of({"local": {f: 1}})) for f in ("flags", "method", "time", "date", "crc", "size")],
    *[("zip-field", archive_of({"central": {f: 1}})) for f in ("flags", "method", "time", "date", "crc", "size")],
    *[("zip-field", archive_of({"central": {f: 1}})) for f in ("disk", "internal_attributes", "external_attributes")],
    *[("zip-field", archive_of({kind: {"needed": 45}})) for kind in ("local", "central")],
    ("zip-field", archive_of({"central": {"made_by": 0x0314}})),
    ("zip-field", archive_of({"local_name": b"assets/b"})),
    ("zip-field", archive_of({"comment": b"x"})),
    ("zip-field", archive_of({"central_extra": struct.pack("<HH", 0x5455, 0)})),
    ("zip-field", archive_of(end={"comment_length": 1}, tail=b"x")),
    *[("zip-field", archive_of(end={field: 1})) for field in ("disk", "directory_disk", "disk_entries")],
    ("zip-alignment", archive_of({"local_extra": b""})),
    ("zip-alignment", archive_of({"local_extra": aligning(_ZEROS, 32)})),
    ("zip-alignment", archive_of({"local_extra": aligning(_ZEROS + 64)})),
    ("zip-alignment", archive_of({"local_extra": aligning(_ZEROS - 1)})),
    ("zip-alignment", archive_of({"local_extra": aligning(_ZEROS)[:-1] + b"\1"})),
    ("zip-zip64", archive_of({"local_extra": _NEEDLESS + aligning((_ZEROS - 20) % 64)})),
    ("zip-zip64", archive_of({"central_extra": _NEEDLESS})),
    ("zip-zip64", archive_of(end={"entries": 0xFFFF, "disk_entries": 0xFFFF})),
    ("zip-zip64", archive_of(end={"directory_size": 0xFFFFFFFF})),
    ("zip-layout", archive_of({"before": bytes(64)})),
    ("zip-layout", archive_of({"local": {"signature": b"PK\3\5"}})),
    ("zip-layout", archive_of({"central": {"signature": b"PK\1\3"}})),
    ("zip-layout", archive_of({"central": {"offset": 1}})),
    ("zip-layout", archive_of(after_members=b"x")),
    ("zip-layout", archive_of(after_directory=b"x")),
    ("zip-layout", archive_of(tail=b"x")),
    ("zip-layout", archive_of(end={"directory_offset": 1})),
    ("zip-layout", b"x" + archive_of()),
    ("zip-truncated", b""),
    *[("zip-truncated", archive_of()[:-count]) for count in (1, 22, 100)],
    ("zip-truncated", archive_of(end={"signature": b"PK\5\7"})),
    ("zip-members", building.zip_bytes(_MEMBERS[:-1])),
    ("zip-members", building.zip_bytes(_MEMBERS[1:])),
    ("zip-members", building.zip_bytes([_MEMBERS[0], _MEMBERS[0], *_MEMBERS[1:]])),
    ("zip-members", building.zip_bytes([building.ZipMember(b"assets/0", b""), *_MEMBERS])),
    ("zip-order", building.zip_bytes([_MEMBERS[1], _MEMBERS[0], *_MEMBERS[2:]])),
    ("zip-order", building.zip_bytes([_MEMBERS[-1], *_MEMBERS[:-1]])),
    ("zip-crc", archive_of({"local": {"crc": zlib.crc32(b"")}, "central": {"crc": zlib.crc32(b"")}})),
]


@pytest.mark.clause(
    "Z-1@88c419",
    "Z-2@a6382e",
    "Z-3@58225a",
    "Z-4@cd707e",
    "Z-5@76772f",
    "Z-6@e313d7",
    "Z-7@30d764",
    "Z-8@87aef7",
    "Z-9@d0d3a0",
    "Z-10@05422f",
    "Z-11@9cbdd6",
    "E-4@f8514f",
)
@pytest.mark.parametrize(("code", "data"), FAULTY_ARCHIVES, ids=range(len(FAULTY_ARCHIVES)))
def test_faulty_archives_are_refused(code: str, data: bytes) -> None:
    """An archive with one fault is refused with the code of its clause."""
    assert refused(lambda: packed.unpack(archive_of())) is None
    assert refused(lambda: packed.unpack(data)) == code
