"""ZIP archives of other software: which are read, which are refused, and what is written."""

from __future__ import annotations

import io
import stat
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.errors import EtuiError, MalformedError, StorageError, UsageError
from etui.limits import Limits
from etui.storage import zip_records as z
from etui.storage.zip_foreign import open_zip, write_zip
from etui.testing.storage import ZipMember, zip_bytes

CONTENT = {"metadata.json": b"{}", "config.json": b'{"a":1}' * 90, "assets/Wörter.txt": b"eins\nzwei\n", "empty": b""}


def read_all(data: bytes | Path, limits: Limits | None = None) -> dict[str, bytes]:
    """Every member of an archive."""
    with open_zip(data, limits or Limits()) as archive:
        return {name: archive.source(name).read(0, size) for name, size in archive.names().items()}


class Pipe(io.RawIOBase):
    """A file that cannot seek, so that writers use data descriptors."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def by_python(*, method: int = zipfile.ZIP_STORED, piped: bool = False, zip64: bool = False) -> bytes:
    """An archive as Python's zipfile writes it."""
    pipe, file = Pipe(), io.BytesIO()
    with zipfile.ZipFile(pipe if piped else file, "w", method) as archive:
        archive.mkdir("assets")
        for name, data in CONTENT.items():
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(data)
    return pipe.data if piped else file.getvalue()


@pytest.mark.clause("K-20@7b4c3b")
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize("zip64", [False, True])
def test_archives_of_python_are_read(method: int, piped: bool, zip64: bool, tmp_path: Path) -> None:
    """Stored and deflated members, data descriptors, zip64 fields and entries of folders are taken."""
    data = by_python(method=method, piped=piped, zip64=zip64)
    assert read_all(data) == CONTENT
    (tmp_path / "m.keras").write_bytes(data)
    assert read_all(tmp_path / "m.keras") == CONTENT


@pytest.mark.clause("K-20@7b4c3b")
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,4}(/[A-Z]{1,3}x){0,2}", fullmatch=True), st.binary(max_size=300), max_size=6
    )
)
def test_what_is_written_is_read_by_python_and_by_us(content: dict[str, bytes]) -> None:
    """Members go out and come back, and the same members make the same bytes."""
    names = {name.lower() for name in content}
    if len(names) < len(content) or any(one.startswith(f"{other}/") for one in names for other in names):
        return
    file, again = io.BytesIO(), io.BytesIO()
    for target in (file, again):
        write_zip(target, [(name, len(data), [data]) for name, data in content.items()])
    assert file.getvalue() == again.getvalue()
    assert read_all(file.getvalue()) == content
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == content
        assert {info.date_time for info in archive.infolist()} <= {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} <= {zipfile.ZIP_STORED}


def change(**parts: Any) -> bytes:
    """An archive of two members, the second with these attributes of `ZipMember`."""
    return zip_bytes([ZipMember(b"first", b"1"), ZipMember(**{"name": b"second", "data": b"22", **parts})])


def named(*names: bytes, flags: int = 0) -> bytes:
    """An archive of empty members of these names."""
    fields = {"flags": flags}
    return zip_bytes([ZipMember(name, b"", local=fields, central=fields) for name in names])


def both(**fields: Any) -> bytes:
    """An archive whose second member has these fields in both headers."""
    return change(local=fields, central=fields)


def deflated(data: bytes, size: int | None = None, crc: int | None = None) -> bytes:
    """An archive of one deflated member that says it has this size and CRC-32."""
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    stored = raw.compress(data) + raw.flush()
    return deflated_raw(stored, len(data) if size is None else size, zlib.crc32(data) if crc is None else crc)


def deflated_raw(stored: bytes, size: int, crc: int = 0) -> bytes:
    """An archive of one member of deflated bytes."""
    fields = {"method": 8, "size": size, "crc": crc}
    return zip_bytes([ZipMember(b"a", stored, local=fields, central=fields)])


PLAIN = change()
SYMLINK = (stat.S_IFLNK | 0o777) << 16
END64 = z.END64.pack(z.END64_SIGNATURE, 44, 45, 45, 0, 0, 2, 2, 99, 140)

HOSTILE = [
    # K-20: not one whole archive
    pytest.param(b"", "foreign-zip", id="empty", marks=pytest.mark.clause("K-20@7b4c3b")),
    pytest.param(b"not a zip at all, but long enough", "foreign-zip", id="text"),
    pytest.param(b"\x89HDF\r\n\x1a\n" + PLAIN, "foreign-zip", id="prepended"),
    pytest.param(PLAIN + b"x", "foreign-zip", id="trailing"),
    pytest.param(zip_bytes([ZipMember(b"a", b"")], end={"comment_length": 2}, tail=b"hi"), "foreign-zip", id="comment"),
    pytest.param(zip_bytes([ZipMember(b"a", b"")], end={"disk": 1}), "foreign-zip", id="disks"),
    pytest.param(zip_bytes([ZipMember(b"a", b"")], end={"disk_entries": 0}), "foreign-zip", id="entries elsewhere"),
    pytest.param(zip_bytes([ZipMember(b"a", b"")], end={"entries": 2, "disk_entries": 2}), "foreign-zip", id="too few"),
    pytest.param(
        zip_bytes([ZipMember(b"a", b"")], end={"entries": 0, "disk_entries": 0}), "foreign-zip", id="too many"
    ),
    pytest.param(
        zip_bytes([ZipMember(b"a", b"")], end={"directory_offset": 1}), "foreign-zip", id="directory elsewhere"
    ),
    pytest.param(
        zip_bytes([ZipMember(b"a", b"")], end={"directory_size": z.ONES32}), "foreign-zip", id="zip64 missing"
    ),
    pytest.param(zip_bytes([ZipMember(b"a", b"")], records=END64 + bytes(20)), "foreign-zip", id="zip64 elsewhere"),
    pytest.param(
        zip_bytes(
            [ZipMember(b"a", b"")],
            records=END64 + z.LOCATOR64.pack(z.LOCATOR64_SIGNATURE, 0, 7, 1),
        ),
        "foreign-zip",
        id="end records disagree",
    ),
    pytest.param(zip_bytes([ZipMember(b"a", b"")], after_members=b"hidden"), "foreign-zip", id="bytes after members"),
    pytest.param(change(before=b"hidden"), "foreign-zip", id="bytes between members"),
    pytest.param(change(central={"signature": b"PK\x01\x00"}), "foreign-zip", id="entry signature"),
    pytest.param(change(local={"signature": b"PK\x03\x00"}), "foreign-zip", id="local signature"),
    pytest.param(change(central={"offset": 10_000}), "foreign-zip", id="member behind the directory"),
    pytest.param(change(central={"disk": 3}), "foreign-zip", id="member on another disk"),
    pytest.param(change(central={"name_length": 60_000}), "foreign-zip", id="name beyond the directory"),
    pytest.param(both(size=z.ONES32, stored_size=z.ONES32), "foreign-zip", id="sizes without zip64"),
    pytest.param(
        change(central={"size": z.ONES32, "stored_size": z.ONES32}, central_extra=b"\x01\x00\x08\x00" + bytes(8)),
        "foreign-zip",
        id="zip64 too short",
    ),
    pytest.param(both(size=9999, stored_size=9999), "foreign-zip", id="member beyond the directory"),
    pytest.param(deflated_raw(b"\xff\xff\xff", 10), "foreign-zip", id="not deflated"),
    # K-21: names
    pytest.param(named(b"../a"), "foreign-zip-name", id="parent", marks=pytest.mark.clause("K-21@ccf0d9")),
    pytest.param(named(b"a/../b"), "foreign-zip-name", id="parent inside"),
    pytest.param(named(b"./a"), "foreign-zip-name", id="dot"),
    pytest.param(named(b"/a"), "foreign-zip-name", id="absolute"),
    pytest.param(named(b"a//b"), "foreign-zip-name", id="empty segment"),
    pytest.param(named(b""), "foreign-zip-name", id="no name"),
    pytest.param(named(b"/"), "foreign-zip-name", id="root"),
    pytest.param(named(b"a\\b"), "foreign-zip-name", id="backslash"),
    pytest.param(named(b"C:a"), "foreign-zip-name", id="drive"),
    pytest.param(named(b"a\0.json"), "foreign-zip-name", id="NUL"),
    pytest.param(named(b"a\nb"), "foreign-zip-name", id="control character"),
    pytest.param(named("ü".encode()), "foreign-zip-name", id="no encoding given"),
    pytest.param(named(b"\xff", flags=0x800), "foreign-zip-name", id="not UTF-8"),
    pytest.param(named(b"a/B", b"A/b"), "foreign-zip-name", id="equal but for case"),
    pytest.param(named("é".encode(), "e\u0301".encode(), flags=0x800), "foreign-zip-name", id="equal after NFC"),
    pytest.param(named("straße".encode(), b"STRASSE", flags=0x800), "foreign-zip-name", id="equal after folding"),
    pytest.param(named(b"a", b"A/b"), "foreign-zip-name", id="a file as a folder"),
    # K-22 to K-27
    pytest.param(named(b"a", b"a"), "foreign-zip-duplicate", id="twice", marks=pytest.mark.clause("K-22@1f9b03")),
    pytest.param(named(b"a", b"a/"), "foreign-zip-duplicate", id="file and folder"),
    pytest.param(
        zip_bytes([ZipMember(b"a", PLAIN, central={"offset": 0}), ZipMember(b"b", b"", central={"offset": 0})]),
        "foreign-zip-headers",
        id="one local header for two",
        marks=pytest.mark.clause("K-24@c6a211"),
    ),
    pytest.param(change(local={"crc": 1}), "foreign-zip-headers", id="CRC differs"),
    pytest.param(change(local={"method": 8}), "foreign-zip-headers", id="method differs"),
    pytest.param(change(local={"flags": 8}), "foreign-zip-headers", id="flags differ"),
    pytest.param(change(local={"size": 1}), "foreign-zip-headers", id="size differs"),
    pytest.param(change(local={"stored_size": 1}), "foreign-zip-headers", id="stored size differs"),
    pytest.param(change(local_name=b"evil.x"), "foreign-zip-headers", id="name differs"),
    pytest.param(both(size=1), "foreign-zip-headers", id="stored in another size"),
    pytest.param(both(flags=1), "foreign-zip-method", id="encrypted", marks=pytest.mark.clause("K-25@75bb09")),
    pytest.param(both(flags=0x40), "foreign-zip-method", id="strongly encrypted"),
    pytest.param(both(flags=0x20), "foreign-zip-method", id="patched"),
    pytest.param(both(method=12), "foreign-zip-method", id="bzip2"),
    pytest.param(both(method=99), "foreign-zip-method", id="AES"),
    pytest.param(both(needed=64), "foreign-zip-method", id="of a ZIP that is yet to be"),
    pytest.param(change(central={"needed": 254}), "foreign-zip-method", id="of one that zipfile refuses"),
    pytest.param(
        change(central={"external_attributes": SYMLINK}),
        "foreign-zip-link",
        id="symlink",
        marks=pytest.mark.clause("K-26@e7be1c"),
    ),
    pytest.param(change(central={"external_attributes": stat.S_IFIFO << 16}), "foreign-zip-link", id="pipe"),
    pytest.param(
        change(central={"external_attributes": stat.S_IFDIR << 16}), "foreign-zip-link", id="a folder without slash"
    ),
    pytest.param(both(crc=1), "foreign-zip-crc", id="CRC of stored", marks=pytest.mark.clause("K-27@8db561")),
    pytest.param(deflated(b"abc" * 99, crc=1), "foreign-zip-crc", id="CRC of deflated"),
    pytest.param(deflated(b"abc" * 99, size=296), "foreign-zip-crc", id="longer than it says"),
    pytest.param(deflated(b"abc" * 99, size=298), "foreign-zip-crc", id="shorter than it says"),
    pytest.param(deflated_raw(b"\x03\x00junk", 0), "foreign-zip-crc", id="junk after the stream"),
    pytest.param(deflated_raw(b"\x4b", 1, zlib.crc32(b"a")), "foreign-zip-crc", id="stream without end"),
    # limits
    pytest.param(deflated(bytes(2_000_000)), "limit-foreign", id="bomb", marks=pytest.mark.clause("L-3@a15eb3")),
    pytest.param(deflated_raw(b"\x03\x00", 2**31), "limit-foreign", id="declared bomb"),
    pytest.param(named(b"a" * 5000), "limit-foreign", id="long name"),
    pytest.param(named(b"a/" * 200 + b"a"), "limit-foreign", id="deep name"),
]


@pytest.mark.clause("E-1@c976f4", "E-2@310409")
@pytest.mark.parametrize(("data", "code"), HOSTILE)
def test_hostile_archives_are_refused_with_their_codes(data: bytes, code: str) -> None:
    """Each archive is refused with the code of its fault, before anything is handed out of the member."""
    with pytest.raises(EtuiError) as caught:
        read_all(data)
    assert caught.value.code == code
    assert caught.value.where.startswith("<bytes>")


@pytest.mark.clause("K-20@7b4c3b")
def test_the_builder_of_hostile_archives_makes_good_ones_too() -> None:
    """Without a fault the same archives are read, so that each fault above is the only one."""
    assert read_all(PLAIN) == {"first": b"1", "second": b"22"}
    assert read_all(deflated(b"abc" * 99)) == {"a": b"abc" * 99}
    assert read_all(named(b"a/", b"a/b", b"c")) == {"a/b": b"", "c": b""}
    assert read_all(named("ü".encode(), flags=0x800)) == {"ü": b""}
    assert read_all(zip_bytes([])) == {}


@pytest.mark.clause("K-23@5992d8")
def test_members_that_share_bytes_are_refused() -> None:
    """A member inside of another one's data, with headers of its own, is refused."""
    inner = ZipMember(b"b", b"payload").local_header(0) + b"payload"
    outer = ZipMember(b"a", inner + b"rest")
    offset = len(outer.local_header(0))
    entry = ZipMember(b"b", b"payload").central_header(offset)
    body = outer.local_header(0) + outer.data
    directory = outer.central_header(0) + entry
    end = z.END.pack(z.END_SIGNATURE, 0, 0, 2, 2, len(directory), len(body), 0)
    with pytest.raises(EtuiError) as caught:
        read_all(body + directory + end)
    assert caught.value.code == "foreign-zip-overlap"


@pytest.mark.clause("K-20@7b4c3b", "E-2@310409")
@pytest.mark.parametrize("data", [by_python(), by_python(method=zipfile.ZIP_DEFLATED, piped=True, zip64=True)])
def test_every_truncation_is_refused(data: bytes) -> None:
    """An archive cut at any length is refused."""
    for length in range(len(data)):
        with pytest.raises(MalformedError) as caught:
            read_all(data[:length])
        assert caught.value.code == "foreign-zip"
    assert len(data) > 600


@pytest.mark.clause("E-2@310409", "K-27@8db561")
@given(st.data())
def test_mutated_archives_are_read_as_python_reads_them_or_refused(data: st.DataObject) -> None:
    """What a changed archive still gives is what Python's reader gives for it."""
    original = by_python(method=data.draw(st.sampled_from([0, 8])), piped=data.draw(st.booleans()))
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(changed)))
        stop = data.draw(st.integers(start, min(len(changed), start + 8)))
        changed[start:stop] = data.draw(st.binary(max_size=8))
    try:
        found = read_all(bytes(changed))
    except EtuiError:
        return
    with zipfile.ZipFile(io.BytesIO(changed)) as archive:
        assert {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")} == found


@pytest.mark.clause("L-3@a15eb3", "X-2@ca2f55")
def test_limits_of_the_caller_hold() -> None:
    """Fewer members, fewer bytes and a lower ratio than the archive has are refused."""
    deflated_two_mib = deflated(b"0123456789abcdef" * 131_072)
    cases: list[tuple[bytes, Limits]] = [
        (PLAIN, Limits(foreign_objects=1)),
        (PLAIN, Limits(foreign_bytes=2)),
        (PLAIN, Limits(document_bytes=50)),
        (PLAIN, Limits(path_bytes=5)),
        (deflated_two_mib, Limits(foreign_inflation=100)),
    ]
    for data, limits in cases:
        with pytest.raises(EtuiError) as caught:
            read_all(data, limits)
        assert caught.value.code == "limit-foreign"
    assert read_all(deflated_two_mib, Limits(foreign_inflation=600))["a"][:4] == b"0123"
    assert len(cases) == 5


@pytest.mark.clause("X-2@ca2f55")
@pytest.mark.parametrize("size", [100, 2**31, 2**62])
def test_a_bomb_is_refused_before_it_is_inflated(size: int) -> None:
    """100 MB that are packed into 100 kB cost no memory, whatever size they are declared to have."""
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    stored = raw.compress(bytes(100_000_000)) + raw.flush()
    extra = b"\x01\x00\x08\x00" + size.to_bytes(8, "little") if size >= z.ONES32 else b""
    fields = {"method": 8, "size": min(size, z.ONES32)}
    member = ZipMember(b"a", stored, fields, fields, local_extra=extra, central_extra=extra)
    data = zip_bytes([member])
    tracemalloc.start()
    try:
        with pytest.raises(EtuiError) as caught:
            read_all(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == ("foreign-zip-crc" if size == 100 else "limit-foreign")
    assert peak < 1_000_000


@pytest.mark.library
def test_stored_members_are_handed_out_without_a_copy() -> None:
    """A view of a stored member shares the memory of the archive, and outlives it."""
    data = by_python()
    with open_zip(data) as archive:
        view = archive.source("config.json").view(0, 7)
        assert archive.source("config.json").size == len(CONTENT["config.json"])
        with pytest.raises(KeyError):
            archive.source("assets/")
    assert view.obj is data
    assert bytes(view) == b'{"a":1}'


@pytest.mark.library
def test_writing_needs_the_promised_sizes_and_keeps_the_earlier_file(tmp_path: Path) -> None:
    """A member that is longer or shorter than announced fails the write, and the earlier file is as it was."""
    target = tmp_path / "m.keras"
    write_zip(target, [("a", 2, [b"o", b"k"])])
    before = target.read_bytes()
    for size in (1, 3):
        with pytest.raises(UsageError):
            write_zip(target, [("a", size, [b"o", b"k"])])
    with pytest.raises(StorageError):
        write_zip(tmp_path / "missing" / "m.keras", [])
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.library
def test_a_missing_file_and_a_folder_are_coded_errors(tmp_path: Path) -> None:
    """Opening what is no file says so with a code."""
    found = []
    for place in (tmp_path / "missing", tmp_path):
        with pytest.raises(EtuiError) as caught:
            open_zip(place)
        found.append(caught.value.code)
    assert found == ["storage-failed", "part-not-a-file"]


@pytest.mark.library
def test_python_packs_large_members_as_zip64_only_when_needed() -> None:
    """A member whose announced size is small has no zip64 field: the archive is as other tools write it."""
    file = io.BytesIO()
    write_zip(file, [("a", 3, [b"abc"])])
    local = z.LocalHeader(*z.LOCAL.unpack_from(file.getvalue()))
    assert (local.needed, local.extra_length, local.size) == (20, 0, 3)
