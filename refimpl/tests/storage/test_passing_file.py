"""Files that are read once: mapped in windows, which go with the views of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from etui.errors import StorageError
from etui.storage import sources
from etui.storage.sources import PassingFile, open_file

WINDOW = 64 * 1024
DATA = os.urandom(5 * WINDOW + 1000)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PassingFile]:
    """A file of five windows and a rest, of which four may be mapped at once."""
    monkeypatch.setattr(sources, "_WINDOW_BYTES", WINDOW)
    monkeypatch.setattr(sources, "_MOST_WINDOWS", 4)
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with_views = open_file(path)
    yield with_views
    with_views.close()


def maps() -> int:
    """How many maps of this file's pages the process has."""
    return Path("/proc/self/maps").read_text().count("/data\n")


RANGES = [
    (0, 0),
    (0, 1),
    (0, WINDOW),
    (WINDOW - 1, 1),
    (WINDOW - 1, 2),
    (WINDOW + 5, 2 * WINDOW),
    (5 * WINDOW, 1000),
    (5 * WINDOW + 999, 1),
    (len(DATA), 0),
    (0, len(DATA)),
    (4097, len(DATA) - 4097),
]


@pytest.mark.library
def test_windows_give_the_bytes_of_any_range(file: PassingFile) -> None:
    """Ranges inside of a window, at its edges, over several and of nothing give the bytes, read-only."""
    for _ in range(2):
        for offset, length in RANGES:
            view = file.view(offset, length)
            assert view == DATA[offset : offset + length]
            assert view.readonly
            del view


@pytest.mark.library
def test_many_views_that_are_kept_share_a_map(file: PassingFile) -> None:
    """More views than there may be windows are given all the same, and stay valid when the file is closed."""
    views = [(at, file.view(at, 10)) for at in range(0, len(DATA) - 10, WINDOW // 2)]
    large = [(at, file.view(at, WINDOW)) for at in range(1, 4 * WINDOW, WINDOW)]
    file.close()
    assert len(views) > 8
    for at, view in [*views, *large]:
        assert view == DATA[at : at + len(view)]


@pytest.mark.library
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not tell what is mapped")
def test_a_window_is_let_go_with_its_last_view(file: PassingFile) -> None:
    """One small window at most stays mapped while a file is read from end to end, and none when it is closed."""
    found = []
    for at in range(0, 5 * WINDOW, 1000):
        view = file.view(at, 1000)
        found.append(maps())
        del view
    assert max(found) <= 3
    large = file.view(10, 3 * WINDOW)
    assert maps() == 1
    del large
    assert maps() == 0
    file.view(0, 10)
    assert maps() == 1
    file.close()
    assert maps() == 0


@pytest.mark.library
def test_a_file_that_was_closed_or_cut_gives_no_views(file: PassingFile, tmp_path: Path) -> None:
    """A closed file is refused, and so is one that became shorter before it was mapped."""
    os.truncate(tmp_path / "data", WINDOW)
    with pytest.raises(StorageError) as caught:
        file.view(3 * WINDOW, 10)
    assert "became shorter" in caught.value.found
    file.close()
    with pytest.raises(StorageError):
        file.view(0, 10)
    with pytest.raises(ValueError, match="of a source of"):
        file.view(0, len(DATA) + 1)
