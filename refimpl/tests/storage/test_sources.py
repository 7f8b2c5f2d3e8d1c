"""Byte sources."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from etui.errors import StorageError
from etui.storage.base import ByteSource
from etui.storage.sources import BytesSource, FileSource, Window

DATA = bytes(range(256)) * 20


def opened(path: Path) -> FileSource:
    """A source of a file."""
    return FileSource(os.open(path, os.O_RDONLY), str(path))


@pytest.fixture(params=["bytes", "file", "window"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> ByteSource:
    """Each kind of source, with the same bytes."""
    if request.param == "bytes":
        return BytesSource(DATA)
    path = tmp_path / "data"
    path.write_bytes(DATA if request.param == "file" else b"before" + DATA + b"after")
    file = opened(path)
    return file if request.param == "file" else Window(file, 6, len(DATA))


@pytest.mark.library
def test_sources_give_ranges_as_copies_and_as_views(source: ByteSource) -> None:
    """Every source gives the same bytes for a range, read-only, to its last byte and of length zero."""
    assert source.size == len(DATA)
    for offset, length in ((0, len(DATA)), (0, 0), (len(DATA), 0), (100, 1000), (len(DATA) - 1, 1)):
        view = source.view(offset, length)
        assert bytes(view) == source.read(offset, length) == DATA[offset : offset + length]
        assert view.readonly


@pytest.mark.library
@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (0, len(DATA) + 1), (len(DATA), 1), (2**70, 1)])
def test_sources_refuse_ranges_outside(offset: int, length: int, source: ByteSource) -> None:
    """A range that is not inside is an error of the caller, even where bytes follow."""
    for give in (source.read, source.view):
        with pytest.raises(ValueError, match="of a source of"):
            give(offset, length)


@pytest.mark.library
def test_an_empty_file_is_a_source(tmp_path: Path) -> None:
    """A file of no bytes cannot be mapped, and still gives its no bytes."""
    (tmp_path / "empty").touch()
    file = opened(tmp_path / "empty")
    assert (file.size, file.read(0, 0), bytes(file.view(0, 0))) == (0, b"", b"")


@pytest.mark.library
def test_views_of_a_file_outlive_it(tmp_path: Path) -> None:
    """A view stays valid when its source is closed and the file is gone; a closed source gives no more."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    file = opened(path)
    view = file.view(10, 20)
    file.close()
    path.unlink()
    assert bytes(view) == DATA[10:30]
    for give in (file.read, file.view):
        with pytest.raises(StorageError):
            give(0, 1)
    file.close()


@pytest.mark.library
def test_a_file_that_is_cut_while_it_is_open_is_an_error_and_no_crash(tmp_path: Path) -> None:
    """Reading behind the new end of a file is refused with a code, by copies and by the first view."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    file = opened(path)
    os.truncate(path, 100)
    assert file.read(0, 100) == DATA[:100]
    for give in (file.read, file.view):
        with pytest.raises(StorageError) as caught:
            give(50, 100)
        assert caught.value.code == "storage-failed"


@pytest.mark.library
def test_a_source_that_is_dropped_closes_its_file(tmp_path: Path) -> None:
    """Descriptors do not pile up when sources are not closed."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    gc.collect()  # of other tests
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        opened(path).view(0, 1)
    gc.collect()
    assert len(list(Path("/dev/fd").iterdir())) == before
