"""The packed form: what is written, and that nothing else is read."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.errors import EtuiError, RejectError
from etui.limits import Limits
from etui.storage import create_artifact, open_artifact
from etui.storage import zip_records as z
from etui.storage.base import ArtifactReader
from etui.storage.packed import PackedReader
from etui.storage.packed_layout import end_records
from etui.storage.part_names import MANIFEST
from etui.storage.sources import BytesSource
from etui.testing.storage import ZipMember, contents, sizes, with_manifest, write, zip_bytes, zip_members

CONTENT = with_manifest(
    {
        "weights.safetensors": b"w" * 100,
        "native/keras/config.json": b"{}",
        "assets/vocabulary.txt": b"one\ntwo\n",
        "config.json": b'{"a":1}',
        "weights.json": b"",
    }
)
NAMES = list(CONTENT)


def packed(content: dict[str, bytes] = CONTENT) -> bytes:
    """The packed form as our writer makes it."""
    file = io.BytesIO()
    write(file, content)
    return file.getvalue()


def read_fully(data: bytes, content: dict[str, bytes] = CONTENT) -> None:
    """All checks of the container that a full verification makes."""
    with open_artifact(data) as reader:
        reader.check_members(sizes(content))
        reader.verify_container(sizes(content))


def hostile(change: Callable[[list[ZipMember]], Any], **archive: Any) -> bytes:
    """A canonical archive but for the change."""
    members = zip_members(CONTENT)
    result = change(members)
    return zip_bytes(result if isinstance(result, list) else members, **archive)


def field(header: str, index: int = 1, **fields: Any) -> Callable[[list[ZipMember]], None]:
    """Set fields in the ``local`` or ``central`` header of a member, or of ``both``."""

    def change(members: list[ZipMember]) -> None:
        for name in ("local", "central") if header == "both" else (header,):
            getattr(members[index], name).update(fields)

    return change


def attribute(index: int = 1, **attributes: Any) -> Callable[[list[ZipMember]], None]:
    """Set attributes of a `ZipMember`."""

    def change(members: list[ZipMember]) -> None:
        for name, value in attributes.items():
            setattr(members[index], name, value)

    return change


def reordered(*order: int) -> Callable[[list[ZipMember]], list[ZipMember]]:
    """Members in another order, or without some."""
    return lambda members: [members[index] for index in order]


def renamed(name: bytes) -> Callable[[list[ZipMember]], None]:
    """Another name for the asset, in both headers."""
    return attribute(1, name=name)


def same(members: list[ZipMember]) -> None:
    """No change."""


def far_directory(offset: int) -> bytes:
    """A canonical archive, but for zip64 records that say where the central directory is."""
    data = packed()
    start = len(data) - z.END.size
    end = z.EndRecord(*z.END.unpack(data[start:]))
    counts = (end.entries, end.entries, end.directory_size)
    far = z.END64.pack(z.END64_SIGNATURE, z.END64.size - 12, 45, 45, 0, 0, *counts, offset)
    locator = z.LOCATOR64.pack(z.LOCATOR64_SIGNATURE, 0, start, 1)
    return data[:start] + far + locator + z.END.pack(*end._replace(directory_offset=z.ONES32))


def zip64_sizes(size: int) -> bytes:
    """A zip64 field with both sizes."""
    return b"\x01\x00\x10\x00" + size.to_bytes(8, "little") * 2


ASSET = CONTENT[NAMES[1]]
ALIGNED = zip_members(CONTENT)[1].local_header(128)[30 + len(NAMES[1]) :]

HOSTILE = [
    # Z-1: the members
    pytest.param(
        hostile(reordered(0, 1, 2, 3, 4)), "zip-members", id="no manifest", marks=pytest.mark.clause("Z-1@88c419")
    ),
    pytest.param(hostile(reordered(1, 2, 3, 4, 5)), "zip-members", id="a listed part missing"),
    pytest.param(hostile(reordered(0, 1, 1, 2, 3, 4, 5)), "zip-members", id="a member twice"),
    pytest.param(hostile(renamed(b"assets/other.txt")), "zip-members", id="not listed"),
    # Z-2: their order
    pytest.param(
        hostile(reordered(1, 0, 2, 3, 4, 5)), "zip-order", id="asset first", marks=pytest.mark.clause("Z-2@a6382e")
    ),
    pytest.param(hostile(reordered(0, 2, 1, 3, 4, 5)), "zip-order", id="names not sorted"),
    pytest.param(hostile(reordered(5, 0, 1, 2, 3, 4)), "zip-order", id="manifest first"),
    # Z-3, Z-6, Z-10: header fields
    pytest.param(hostile(field("both", method=8)), "zip-field", id="deflated", marks=pytest.mark.clause("Z-3@58225a")),
    pytest.param(hostile(field("both", time=1)), "zip-field", id="time"),
    pytest.param(hostile(field("both", date=0x22)), "zip-field", id="date"),
    pytest.param(hostile(field("both", flags=0x800)), "zip-field", id="UTF-8 flag"),
    pytest.param(hostile(field("both", stored_size=5)), "zip-field", id="sizes differ"),
    pytest.param(
        hostile(field("both", needed=10)), "zip-field", id="version needed", marks=pytest.mark.clause("Z-6@e313d7")
    ),
    pytest.param(hostile(field("central", made_by=0x314)), "zip-field", id="version made by"),
    pytest.param(hostile(field("central", disk=1)), "zip-field", id="disk of a member"),
    pytest.param(hostile(field("central", internal_attributes=1)), "zip-field", id="internal attributes"),
    pytest.param(hostile(field("central", external_attributes=0o120777 << 16)), "zip-field", id="symlink attribute"),
    pytest.param(
        hostile(attribute(comment=b"hi")), "zip-field", id="member comment", marks=pytest.mark.clause("Z-10@05422f")
    ),
    pytest.param(hostile(field("both", flags=1)), "zip-field", id="encrypted"),
    pytest.param(hostile(field("both", flags=8)), "zip-field", id="data descriptor"),
    pytest.param(hostile(same, end={"disk": 1}), "zip-field", id="second disk"),
    pytest.param(hostile(same, end={"directory_disk": 1}), "zip-field", id="directory on a second disk"),
    pytest.param(hostile(same, end={"disk_entries": 2}), "zip-field", id="entries on a second disk"),
    pytest.param(hostile(same, end={"comment_length": 3}, tail=b"hey"), "zip-field", id="comment"),
    pytest.param(hostile(attribute(central_extra=b"\xff\xff\x00\x00")), "zip-field", id="a central extra field"),
    # Z-4: alignment
    pytest.param(
        hostile(attribute(local_extra=b"")), "zip-alignment", id="no alignment", marks=pytest.mark.clause("Z-4@cd707e")
    ),
    pytest.param(hostile(attribute(local_extra=ALIGNED[:4] + b"\x20" + ALIGNED[5:])), "zip-alignment", id="of 32"),
    pytest.param(hostile(attribute(local_extra=ALIGNED[:-1] + b"\x01")), "zip-alignment", id="padding not zero"),
    pytest.param(hostile(attribute(local_extra=b"\x36" + ALIGNED[1:])), "zip-alignment", id="another id"),
    # Z-5, Z-9: zip64
    pytest.param(
        hostile(attribute(central_extra=zip64_sizes(len(ASSET)))),
        "zip-zip64",
        id="needless central zip64",
        marks=pytest.mark.clause("Z-5@76772f"),
    ),
    pytest.param(
        hostile(attribute(local_extra=zip64_sizes(len(ASSET)) + b"\x35\xd9\x02\x00\x40\x00")),
        "zip-zip64",
        id="needless local zip64",
    ),
    pytest.param(
        hostile(field("central", size=z.ONES32, stored_size=z.ONES32)), "zip-zip64", id="missing central zip64"
    ),
    pytest.param(
        hostile(
            lambda members: [
                *members[:1],
                ZipMember(
                    members[1].name,
                    ASSET,
                    central={"size": z.ONES32, "stored_size": z.ONES32},
                    central_extra=zip64_sizes(len(ASSET)),
                ),
                *members[2:],
            ]
        ),
        "zip-zip64",
        id="sizes in zip64 that need none",
    ),
    pytest.param(
        hostile(same, end={"entries": z.ONES16, "disk_entries": z.ONES16}),
        "zip-zip64",
        id="missing zip64 end record",
        marks=pytest.mark.clause("Z-9@d0d3a0"),
    ),
    pytest.param(hostile(same, end={"directory_size": z.ONES32}), "zip-zip64", id="directory size without zip64"),
    # Z-7: local and central agree
    pytest.param(
        hostile(field("local", crc=1)), "zip-field", id="local CRC differs", marks=pytest.mark.clause("Z-7@30d764")
    ),
    pytest.param(hostile(field("local", size=1)), "zip-field", id="local size differs"),
    pytest.param(hostile(field("local", stored_size=1)), "zip-field", id="local stored size differs"),
    pytest.param(hostile(field("local", method=8)), "zip-field", id="local method differs"),
    pytest.param(hostile(field("local", flags=1)), "zip-field", id="local flags differ"),
    pytest.param(hostile(field("local", time=9)), "zip-field", id="local time differs"),
    pytest.param(hostile(field("local", needed=45)), "zip-field", id="local version differs"),
    pytest.param(hostile(attribute(local_name=b"assets/vocabulary.tx_")), "zip-field", id="local name differs"),
    pytest.param(hostile(attribute(local_name=b"assets/evil.txt")), "zip-field", id="local name shorter"),
    # Z-8: layout
    pytest.param(b"#!/bin/sh\n" + packed(), "zip-layout", id="prepended bytes", marks=pytest.mark.clause("Z-8@87aef7")),
    pytest.param(hostile(attribute(0, before=bytes(64))), "zip-layout", id="a gap in front"),
    pytest.param(hostile(attribute(1, before=bytes(64))), "zip-layout", id="a gap between members"),
    pytest.param(hostile(same, after_members=bytes(64)), "zip-layout", id="a gap before the directory"),
    pytest.param(hostile(same, after_directory=bytes(64)), "zip-layout", id="bytes after the last entry"),
    pytest.param(hostile(same, records=bytes(64)), "zip-layout", id="bytes before the end record"),
    pytest.param(hostile(same, tail=b"\0"), "zip-layout", id="trailing bytes"),
    pytest.param(hostile(field("central", offset=0)), "zip-layout", id="overlapping members"),
    pytest.param(hostile(field("both", size=9999, stored_size=9999)), "zip-layout", id="beyond the directory"),
    pytest.param(hostile(field("central", signature=b"PK\x01\x03")), "zip-layout", id="entry signature"),
    pytest.param(hostile(field("local", signature=b"PK\x03\x05")), "zip-layout", id="local signature"),
    pytest.param(hostile(same, end={"entries": 5, "disk_entries": 5}), "zip-layout", id="fewer entries than there are"),
    pytest.param(hostile(same, end={"entries": 7, "disk_entries": 7}), "zip-layout", id="more entries than there are"),
    pytest.param(hostile(same, end={"directory_offset": 64}), "zip-layout", id="directory elsewhere"),
    pytest.param(hostile(same, end={"directory_size": 2**31}), "zip-layout", id="directory larger than the file"),
    pytest.param(far_directory(2**64 - 1), "zip-layout", id="directory that ends beyond 64 bits"),
    # Z-11: a file that ends early
    pytest.param(b"", "zip-truncated", id="empty file", marks=pytest.mark.clause("Z-11@9cbdd6")),
    pytest.param(b"PK\x03\x04", "zip-truncated", id="nothing but the first signature"),
    pytest.param(hostile(same, end={"comment_length": 3}), "zip-truncated", id="comment cut off"),
    # E-4: the data
    pytest.param(hostile(field("both", crc=1)), "zip-crc", id="wrong CRC", marks=pytest.mark.clause("E-4@f8514f")),
    # P-1 to P-3, L-2: names
    pytest.param(hostile(renamed(b"../evil.txt")), "part-name", id="parent", marks=pytest.mark.clause("P-1@71c231")),
    pytest.param(hostile(renamed(b"/etc/passwd")), "part-name", id="absolute"),
    pytest.param(hostile(renamed(b"assets\\evil.txt")), "part-name", id="backslash"),
    pytest.param(hostile(renamed(b"C:evil.txt")), "part-name", id="drive"),
    pytest.param(hostile(renamed(b"assets/a\0b")), "part-name", id="NUL"),
    pytest.param(hostile(renamed("assets/ü".encode())), "part-name", id="not ASCII"),
    pytest.param(hostile(renamed(b"")), "part-name", id="empty"),
    pytest.param(hostile(renamed(b"assets/")), "part-name", id="a folder's entry"),
    pytest.param(hostile(renamed(b"assets/con.txt")), "part-name", id="device", marks=pytest.mark.clause("P-2@0bdadc")),
    pytest.param(hostile(renamed(b"assets/evil.")), "part-name", id="trailing dot"),
    pytest.param(hostile(renamed(b"a" * 256)), "limit-path", id="long", marks=pytest.mark.clause("L-2@76176e")),
]


@pytest.mark.clause("D-6@2ef66e", "E-1@c976f4")
@pytest.mark.parametrize(("data", "code"), HOSTILE)
def test_hostile_archives_are_refused_with_their_codes(data: bytes, code: str) -> None:
    """Each archive that differs from a canonical one in one way is refused with the code of that way."""
    with pytest.raises(RejectError) as caught:
        read_fully(data)
    assert caught.value.code == code
    assert caught.value.where


@pytest.mark.clause("D-6@2ef66e")
def test_the_builder_of_hostile_archives_makes_the_canonical_one_without_a_fault() -> None:
    """A second implementation of the layout, which the hostile archives come from, gives the writer's bytes."""
    assert hostile(same) == packed()
    read_fully(hostile(same))


@pytest.mark.clause("D-5@94980c", "Z-1@88c419", "Z-2@a6382e", "H-8@5fca10")
@given(contents())
def test_a_packed_artifact_is_written_again_as_it_was(content: dict[str, bytes]) -> None:
    """Write, read and write again give the same bytes and the same parts."""
    data = packed(content)
    with open_artifact(data) as reader:
        again = {name: reader.source(name).read(0, size) for name, size in reader.names().items()}
    assert again == content
    assert packed(again) == data
    read_fully(data, content)


@pytest.mark.clause("Z-3@58225a", "Z-4@cd707e", "Z-6@e313d7")
def test_python_lists_and_extracts_a_packed_artifact() -> None:
    """Python's zipfile finds the same members with the fixed fields, and each one's data at a multiple of 64."""
    data = packed()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == CONTENT
        assert archive.namelist() == NAMES
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert (info.compress_type, info.flag_bits, info.extract_version) == (0, 0, 20)
            start = data.index(CONTENT[info.filename], info.header_offset + 30 + len(info.filename) + 6)
            assert not CONTENT[info.filename] or start % 64 == 0


@pytest.mark.library
@pytest.mark.skipif(shutil.which("unzip") is None, reason="there is no unzip")
def test_unzip_lists_and_tests_a_packed_artifact(tmp_path: Path) -> None:
    """Info-ZIP lists every part and finds no fault."""
    path = tmp_path / "m.etui"
    write(path, CONTENT)
    listing = subprocess.run(["unzip", "-l", path], capture_output=True, text=True, check=True).stdout
    assert all(name in listing for name in NAMES)
    subprocess.run(["unzip", "-tq", path], check=True, capture_output=True)


@pytest.mark.clause("Z-11@9cbdd6", "E-2@310409")
def test_every_truncation_is_refused() -> None:
    """A packed artifact cut at any length is refused when it is opened."""
    data = packed()
    codes = set()
    for length in range(len(data)):
        with pytest.raises(RejectError) as caught:
            open_artifact(data[:length])
        codes.add(caught.value.code)
    assert codes == {"zip-truncated"}


@pytest.mark.clause("H-7@2b485b", "E-2@310409", "E-4@f8514f")
def test_every_flipped_bit_is_found() -> None:
    """Verification of the container alone finds a flip of any bit: headers, padding, data and records."""
    data = packed()
    flips = 0
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises(RejectError):
                read_fully(bytes(changed))
            flips += 1
    assert flips == 8 * len(data)


@pytest.mark.clause("E-2@310409", "X-2@ca2f55")
@given(st.data())
def test_mutated_archives_are_read_or_refused(data: st.DataObject) -> None:
    """Bytes changed, removed, inserted or doubled never end in anything but a refusal or the same parts."""
    changed = bytearray(packed())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(changed)))
        stop = data.draw(st.integers(start, min(len(changed), start + 64)))
        changed[start:stop] = data.draw(st.binary(max_size=64))
    try:
        read_fully(bytes(changed))
    except RejectError:
        return
    assert changed == packed()


class CountingSource:
    """A byte source that notes which bytes are asked for."""

    def __init__(self, data: bytes) -> None:
        self._source = BytesSource(data)
        self.size = self._source.size
        self.read_bytes: set[int] = set()

    def read(self, offset: int, length: int) -> bytes:
        self.read_bytes.update(range(offset, offset + length))
        return self._source.read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))


@pytest.mark.clause("Z-12@b531e7")
def test_opening_reads_no_data_part() -> None:
    """Opening reads the first signature and the tail; reading a document adds its own header and bytes."""
    content = with_manifest({"weights.safetensors": b"w" * 10_000, "weights.json": b"{}"})
    data = packed(content)
    source = CountingSource(data)
    reader = PackedReader(source, "counted")
    reader.check_members(sizes(content))
    assert reader.source(MANIFEST).read(0, len(content[MANIFEST])) == content[MANIFEST]
    first = data.index(b"w" * 10_000)
    assert source.read_bytes.isdisjoint(range(4, first + 10_000))
    assert len(source.read_bytes) < 1000


@pytest.mark.clause("H-6@36ca0e", "X-2@ca2f55")
def test_data_is_handed_out_without_a_copy() -> None:
    """A view of a part shares the memory of the bytes that were opened, and is read-only."""
    data = packed()
    with open_artifact(data) as reader:
        view = reader.source("weights.safetensors").view(10, 20)
    assert view.obj is data
    assert view.readonly
    assert bytes(view) == CONTENT["weights.safetensors"][10:30]


@pytest.mark.clause("F-4@8c1cdb")
def test_a_size_other_than_the_listed_one_is_refused() -> None:
    """A member that is not as long as the manifest says is refused when the members are checked."""
    with open_artifact(packed()) as reader, pytest.raises(EtuiError) as caught:
        reader.check_members(sizes(CONTENT) | {"config.json": 8})
    assert caught.value.code == "part-size"


@pytest.mark.clause("L-2@76176e", "L-3@a15eb3", "X-2@ca2f55")
def test_more_parts_than_the_limit_are_refused_before_the_directory_is_read() -> None:
    """The end record's count is held against the limit first, whatever lies in front of it."""
    directory = bytes(5000)
    data = b"PK\x03\x04" + bytes(60) + directory
    data += end_records(60_000, len(directory), 64)
    with pytest.raises(EtuiError) as caught:
        open_artifact(data, Limits(parts=59_998))
    assert caught.value.code == "limit-parts"


@pytest.mark.clause("X-2@ca2f55")
def test_a_long_directory_is_not_read_to_its_end() -> None:
    """Of a directory with an entry that is longer than any canonical one, no more is read than canonical ones take."""
    member = ZipMember(MANIFEST.encode(), b"{}", comment=b"c" * 65_000)
    data = zip_bytes([member])
    source = CountingSource(data)
    with pytest.raises(EtuiError) as caught:
        PackedReader(source, "counted")
    assert caught.value.code == "zip-field"
    assert len(source.read_bytes) < 1000


def reader_of(data: bytes) -> ArtifactReader:
    """Opened from bytes."""
    return open_artifact(data)


@pytest.mark.library
def test_a_reader_goes_on_with_the_bytes_it_was_given() -> None:
    """The location of an artifact from bytes says so, its form is packed, and closing it does no harm to views."""
    reader = reader_of(packed())
    assert (reader.form, reader.location) == ("packed", "<bytes>")
    view = reader.source("config.json").view(0, 7)
    reader.close()
    assert bytes(view) == b'{"a":1}'


@pytest.mark.library
def test_a_packed_artifact_goes_into_an_open_file() -> None:
    """A writer for a file object leaves the file open, and the archive in it."""
    file = io.BytesIO()
    with create_artifact(file) as writer:
        writer.write(MANIFEST, "manifest", 2, [b"{}"])
        writer.commit()
    assert zipfile.ZipFile(file).read(MANIFEST) == b"{}"
