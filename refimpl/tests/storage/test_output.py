"""The file that every writer gets: which system calls its writes become, and that it is a file like any other."""

from __future__ import annotations

import errno
import io
import os
import random
from pathlib import Path

import pytest

from etui.storage.output import create_file
from etui.storage.system import System, calls
from etui.storage.writeback import begin_writeback

MIB = 1 << 20


class Counting(System):
    """Notes the sizes of writes; takes no more than `most` bytes at once."""

    def __init__(self, most: int | None = None) -> None:
        self.sizes: list[int] = []
        self._most = most

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        count = super().write(descriptor, data if self._most is None else data[: self._most], offset)
        self.sizes.append(count)
        return count


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    system = Counting()
    monkeypatch.setattr(calls, "system", system)
    return system


@pytest.mark.library
def test_small_writes_are_gathered(counting: Counting, tmp_path: Path) -> None:
    """A hundred thousand small writes are a few system calls of a mebibyte."""
    with create_file(tmp_path / "file") as file:
        for number in range(100_000):
            file.write(number.to_bytes(40, "little"))
    assert sum(counting.sizes) == 4_000_000 == (tmp_path / "file").stat().st_size
    assert len(counting.sizes) < 6


@pytest.mark.library
def test_a_large_view_is_one_call_and_is_not_copied(counting: Counting, tmp_path: Path) -> None:
    """What is larger than the buffer goes to the system as it is, after what was gathered before it."""
    data = random.Random(1).randbytes(8 * MIB)
    with create_file(tmp_path / "file") as file:
        file.write(b"head")
        file.write(memoryview(data))
        file.write(b"tail")
    assert counting.sizes == [4, 8 * MIB, 4]
    assert (tmp_path / "file").read_bytes() == b"head" + data + b"tail"


@pytest.mark.library
@pytest.mark.parametrize("most", [1, 7, 4096])
def test_short_writes_go_on(most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes a few bytes at a time gets all of them, in order."""
    system = Counting(most)
    monkeypatch.setattr(calls, "system", system)
    data = random.Random(2).randbytes(most * 200)
    with create_file(tmp_path / "file") as file:
        for start in range(0, len(data), 11):
            file.write(data[start : start + 11])
    assert (tmp_path / "file").read_bytes() == data
    assert len(system.sizes) == 200


@pytest.mark.library
def test_a_write_that_takes_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that says that it wrote nothing, without an error, is not asked for ever."""
    monkeypatch.setattr(calls, "system", Counting(0))
    file = create_file(tmp_path / "file")
    file.write(b"x")
    with pytest.raises(OSError, match="nothing was written") as caught:
        file.flush()
    assert caught.value.errno == errno.EIO
    monkeypatch.undo()
    with pytest.raises(OSError, match="nothing was written"):
        file.close()
    assert file.closed


@pytest.mark.library
def test_it_behaves_as_a_file_of_python(tmp_path: Path) -> None:
    """Any sequence of writes, reads, seeks and truncations gives what a file of Python gives."""
    for seed in range(30):
        generator = random.Random(seed)
        ours: io.BufferedRandom = create_file(tmp_path / f"ours-{seed}")  # type: ignore[assignment]
        with ours, (tmp_path / f"theirs-{seed}").open("x+b") as theirs:
            for _ in range(60):
                amount, place = generator.randrange(5000), generator.randrange(20000)
                action = generator.choice(["write", "read", "seek", "end", "back", "truncate", "flush"])
                data = generator.randbytes(amount)
                results = []
                for file in (ours, theirs):
                    if action == "write":
                        results.append(file.write(data))
                    elif action == "read":
                        results.append(file.read(amount))  # type: ignore[arg-type]
                    elif action == "seek":
                        results.append(file.seek(place))
                    elif action == "end":
                        results.append(file.seek(0, os.SEEK_END))
                    elif action == "back":
                        results.append(file.seek(-min(amount, file.tell()), os.SEEK_CUR))
                    elif action == "truncate":
                        results.append(file.truncate(place))
                    else:
                        file.flush()
                    results.append(file.tell())
                half = len(results) // 2
                assert results[:half] == results[half:], (seed, action)
        assert (tmp_path / f"ours-{seed}").read_bytes() == (tmp_path / f"theirs-{seed}").read_bytes()


@pytest.mark.library
def test_a_place_before_the_beginning_is_refused(tmp_path: Path) -> None:
    """A seek to a negative place is the error that every file gives."""
    with create_file(tmp_path / "file") as file:
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            file.seek(-1)
        assert file.tell() == 0
        assert Path(file.name) == tmp_path / "file"


@pytest.mark.library
def test_what_is_there_is_not_opened(tmp_path: Path) -> None:
    """A file, or a link to one that is not there, is never written through."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            create_file(tmp_path / name)
    assert not (tmp_path / "target").exists()


@pytest.mark.library
def test_the_device_is_given_work_while_more_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each time 32 MiB are there, the system is told to begin with what it was not told of before."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("etui.storage.output.begin_writeback", lambda _, offset, size: told.append((offset, size)))
    with create_file(tmp_path / "file") as file:
        for _ in range(9):
            file.write(bytes(8 * MIB))
        file.seek(0)
        file.write(b"head")
    assert told == [(0, 32 * MIB), (32 * MIB, 32 * MIB)]


@pytest.mark.library
def test_a_file_that_cannot_be_begun_with_is_written_all_the_same(tmp_path: Path) -> None:
    """The hint changes nothing, and what the system says of a pipe, which has no ranges, is no error."""
    with create_file(tmp_path / "file") as file:
        file.write(b"some")
        file.flush()
        begin_writeback(file.fileno(), 0, 4)
    assert (tmp_path / "file").read_bytes() == b"some"
    reading, writing = os.pipe()
    try:
        begin_writeback(writing, 0, 4)
    finally:
        os.close(reading)
        os.close(writing)
