"""Deflated members of foreign ZIP archives, inflated piece by piece in memory and into a file."""

from __future__ import annotations

import random
import tempfile
import zlib
from pathlib import Path

import pytest

from etui.errors import EtuiError, StorageError
from etui.storage import zip_foreign
from etui.storage.sources import FileSource
from etui.storage.zip_foreign import open_zip
from etui.testing.storage import ZipMember, zip_bytes

PIECE = 256 * 1024
NOISE = random.Random(0).randbytes(3 * PIECE)


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Where members are inflated."""
    monkeypatch.setattr(zip_foreign, "_IN_MEMORY_BYTES", 2**40 if request.param == "memory" else -1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return str(request.param)


def deflated(data: bytes, *, size: int | None = None, stored: bytes | None = None) -> bytes:
    """An archive of one deflated member, which may lie about its size, or store other bytes."""
    if stored is None:
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        stored = deflater.compress(data) + deflater.flush()
    fields = {"method": 8, "crc": zlib.crc32(data), "size": len(data) if size is None else size}
    return zip_bytes([ZipMember(b"a", stored, local=fields, central=fields)])


@pytest.mark.clause("K-20@7b4c3b")
@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
@pytest.mark.parametrize("kind", ["noise", "zeros"])
def test_a_deflated_member_of_any_size_is_inflated_whole(size: int, kind: str, place: str) -> None:
    """Members that grow, shrink, or end at the edge of a piece come out as they were."""
    data = NOISE[:size] if kind == "noise" else bytes(size)
    with open_zip(deflated(data)) as archive:
        source = archive.source("a")
        assert source.read(0, source.size) == data
        assert isinstance(source, FileSource) == (place == "file")


@pytest.mark.clause("K-24@c6a211")
@pytest.mark.parametrize("data", [NOISE, bytes(3 * PIECE), NOISE[:100]])
def test_a_deflated_member_of_another_size_is_refused(data: bytes, place: str) -> None:
    """A member that holds a byte more or less than its headers say is refused, and so is one that is cut or goes on."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    stored = deflater.compress(data) + deflater.flush()
    faults = [
        deflated(data, size=len(data) - 1),
        deflated(data, size=len(data) + 1),
        deflated(data, stored=stored[:-1]),
        deflated(data, stored=stored + b"\0"),
        deflated(data, stored=stored + NOISE),
    ]
    for fault in faults:
        with open_zip(fault) as archive, pytest.raises(EtuiError) as caught:
            archive.source("a")
        assert caught.value.code == "foreign-zip-crc"
    assert place in ("memory", "file")


@pytest.mark.library
def test_a_member_in_a_file_leaves_nothing_behind(place: str, tmp_path: Path) -> None:
    """The file has no name, is made once, and goes when the archive is closed; what was handed out stays."""
    archive = open_zip(deflated(NOISE))
    source = archive.source("a")
    view = source.view(5, 10)
    assert list(tmp_path.iterdir()) == []
    assert (archive.source("a") is source) == (place == "file")
    archive.close()
    assert view == NOISE[5:15]
    if place == "file":
        with pytest.raises(StorageError):
            source.read(5, 10)
