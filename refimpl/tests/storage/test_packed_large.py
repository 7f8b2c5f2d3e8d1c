"""The packed form beyond 4 GiB and 65,534 members, without so large a file."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from etui.errors import RejectError
from etui.storage import create_artifact, open_artifact
from etui.storage import zip_records as z
from etui.storage.base import SLICE_BYTES, ByteSource
from etui.storage.packed import PackedReader, PackedWriter
from etui.storage.part_names import MANIFEST
from etui.testing.storage import sizes, with_manifest, write

ZEROS = memoryview(bytes(SLICE_BYTES))


class SparseFile(io.RawIOBase):
    """A file and byte source that keeps only what is not a slice of `ZEROS`."""

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self.at = 0
        self.size = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def write(self, data: Any) -> int:
        view = memoryview(data)
        if view.obj is not ZEROS.obj:
            self.pieces[self.at] = bytes(view)
        self.at += view.nbytes
        self.size = max(self.size, self.at)
        return view.nbytes

    def range(self, offset: int, length: int) -> bytes:
        data = bytearray(length)
        for start, piece in self.pieces.items():
            low, high = max(start, offset), min(start + len(piece), offset + length)
            if low < high:
                data[low - offset : high - offset] = piece[low - start : high - start]
        return bytes(data)

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self.size - self.at)
        buffer[:length] = self.range(self.at, length)
        self.at += length
        return length


class SparseSource:
    """The byte source of a `SparseFile`."""

    def __init__(self, file: SparseFile) -> None:
        self.file = file
        self.size = file.size

    def read(self, offset: int, length: int) -> bytes:
        return self.file.range(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(self.read(offset, length))


def large(size: int) -> SparseFile:
    """An artifact whose first part has `size` zeros."""
    file = SparseFile()
    target: Any = file
    with PackedWriter(target, "sparse") as writer:
        whole, rest = divmod(size, SLICE_BYTES)
        writer.write("weights.safetensors", "data", size, [*[ZEROS] * whole, ZEROS[:rest]])
        writer.write("assets/after.txt", "asset", 5, [b"after"])
        writer.write(MANIFEST, "manifest", 2, [b"{}"])
        writer.commit()
    return file


@pytest.mark.clause("Z-5@76772f", "Z-6@e313d7", "Z-9@d0d3a0", "D-6@2ef66e")
@pytest.mark.parametrize("size", [0xFFFFFFFE, 0xFFFFFFFF, 0x1_0000_0001])
def test_zip64_fields_are_there_exactly_from_their_limit_on(size: int) -> None:
    """At the last size without zip64, and from the first one with it, Python and we read the same members."""
    file = large(size)
    source: ByteSource = SparseSource(file)
    with PackedReader(source, "sparse") as reader:
        assert reader.names() == {"weights.safetensors": size, "assets/after.txt": 5, MANIFEST: 2}
        assert reader.source("assets/after.txt").read(0, 5) == b"after"
        assert reader.source("weights.safetensors").read(size - 3, 3) == bytes(3)
    stream: Any = file
    with zipfile.ZipFile(stream) as archive:
        assert {info.filename: info.file_size for info in archive.infolist()} == dict(reader.names())
        assert archive.read("assets/after.txt") == b"after"
        first, second, _ = archive.infolist()
        assert first.header_offset == 0
        assert second.header_offset >= z.ONES32
    local = z.LocalHeader(*z.LOCAL.unpack(file.range(0, z.LOCAL.size)))
    wide = size >= z.ONES32
    assert (local.size, local.needed) == ((z.ONES32, 45) if wide else (size, 20))
    # In the central directory the first member needs its sizes, the second only its offset.
    assert [len(info.extra) for info in (first, second)] == [20 if wide else 0, 12]
    assert [info.extract_version for info in (first, second)] == [45 if wide else 20, 45]
    local = z.LocalHeader(*z.LOCAL.unpack(file.range(second.header_offset, z.LOCAL.size)))
    assert local.needed == 20


@pytest.mark.clause("Z-5@76772f", "Z-9@d0d3a0", "E-2@310409")
def test_every_flipped_bit_of_zip64_headers_is_refused() -> None:
    """In the headers and end records of an archive beyond 4 GiB, a flip of any bit is refused."""
    file = large(0xFFFFFFFF)
    source: ByteSource = SparseSource(file)
    small = {start: piece for start, piece in file.pieces.items() if piece not in (b"after", b"{}")}
    flips = 0
    for start, piece in small.items():
        for position in range(len(piece)):
            for bit in range(8):
                changed = bytearray(piece)
                changed[position] ^= 1 << bit
                file.pieces[start] = bytes(changed)
                with pytest.raises(RejectError):
                    open_every_header(source)
                flips += 1
        file.pieces[start] = piece
    open_every_header(source)
    assert flips > 8 * 500


@pytest.mark.clause("Z-10@05422f")
@pytest.mark.parametrize("place", [4, 16])
def test_a_second_disk_in_the_zip64_locator_is_refused(place: int) -> None:
    """A locator whose record is on another disk, or that counts another number of disks than one, is refused."""
    file = large(0xFFFFFFFF)
    start, piece = next((start, piece) for start, piece in file.pieces.items() if z.LOCATOR64_SIGNATURE in piece)
    changed = bytearray(piece)
    changed[piece.index(z.LOCATOR64_SIGNATURE) + place] += 1
    file.pieces[start] = bytes(changed)
    with pytest.raises(RejectError) as refused:
        open_every_header(SparseSource(file))
    assert refused.value.code == "zip-field"


def open_every_header(source: ByteSource) -> None:
    """Read the directory and all local headers."""
    reader = PackedReader(source, "sparse")
    reader.check_members({"weights.safetensors": 0xFFFFFFFF, "assets/after.txt": 5})
    for name in reader.names():
        reader.source(name)


@pytest.mark.clause("Z-9@d0d3a0", "Z-1@88c419")
@pytest.mark.parametrize("count", [0xFFFE, 0xFFFF, 0x10000])
def test_many_members_have_a_zip64_end_record(count: int) -> None:
    """From 65,535 members on there is a zip64 end record, and Python and we find all of them."""
    content = with_manifest({f"assets/{number}": b"" for number in range(count - 1)})
    file = io.BytesIO()
    write(file, content)
    data = file.getvalue()
    with open_artifact(data) as reader:
        reader.check_members(sizes(content))
        assert list(reader.names()) == list(content)
    assert (data[-42:-38] == z.LOCATOR64_SIGNATURE) == (count >= 0xFFFF)
    with zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == count


@pytest.mark.clause("Z-9@d0d3a0", "E-2@310409")
def test_a_zip64_end_record_that_is_not_needed_is_refused() -> None:
    """Zip64 end records in a small archive, however consistent, are refused."""
    file = io.BytesIO()
    with create_artifact(file) as writer:
        writer.write(MANIFEST, "manifest", 2, [b"{}"])
        writer.commit()
    data = file.getvalue()
    end = z.EndRecord(*z.END.unpack(data[-z.END.size :]))
    values = (1, 1, end.directory_size, end.directory_offset)
    end64 = z.END64.pack(z.END64_SIGNATURE, 44, 45, 45, 0, 0, *values)
    locator = z.LOCATOR64.pack(z.LOCATOR64_SIGNATURE, 0, len(data) - z.END.size, 1)
    ones = end._replace(entries=z.ONES16, disk_entries=z.ONES16, directory_size=z.ONES32, directory_offset=z.ONES32)
    codes = []
    for last in (end, ones):
        with pytest.raises(RejectError) as caught:
            open_artifact(data[: -z.END.size] + end64 + locator + z.END.pack(*last))
        codes.append(caught.value.code)
    assert codes == ["zip-zip64", "zip-zip64"]
