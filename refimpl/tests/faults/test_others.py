"""What others do while a save runs, and what a save must leave alone: their files, their modes, their locks."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_system import using

import etui
from etui.containers.tensors import Tensor
from etui.errors import StorageError
from etui.storage import foreign_folder, leftovers, transaction
from etui.storage.base import Form
from etui.storage.file_set import FileSet
from etui.storage.system import System
from etui.storage.tf_bundle_writer import Outgoing, write_bundle

FORMS = pytest.mark.parametrize("form", ["packed", "directory"])


def model() -> etui.Model:
    """Two tensors, large enough for progress to be told."""
    weights = etui.Weights()
    for name in "ab":
        weights.add(name, Tensor.of(np.ones(300_000, np.float32)), role="kernel")
    return etui.Model(weights=weights)


@pytest.mark.clause("F-8@a401d8")
@FORMS
def test_a_folder_that_came_meanwhile_is_left_alone(form: Form, tmp_path: Path) -> None:
    """A folder of someone else's that takes the target's place while a save runs stays, and the save is refused."""
    target = tmp_path / "out"
    seen = []

    def progress(*_: Any) -> None:
        if not target.exists():
            (target / "thesis").mkdir(parents=True)
            (target / "thesis/only.txt").write_text("years of work")
            seen.append(True)

    with pytest.raises(StorageError):
        etui.save(model(), target, form=form, progress=progress)
    assert seen == [True]
    assert (target / "thesis/only.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.clause("H-6@36ca0e")
@FORMS
def test_a_loader_may_use_its_memory_again(form: Form, tmp_path: Path) -> None:
    """Tensors whose callables fill one buffer again and again are saved with the digests of what was written."""
    buffer = np.empty(600_000, np.float32)

    def loader(value: int) -> Any:
        def load() -> Any:
            buffer[:] = value
            return buffer

        return load

    weights = etui.Weights()
    for index in range(6):
        weights.add(f"v{index}", Tensor.lazy("float32", buffer.shape, loader(index)), role="kernel")
    etui.save(etui.Model(weights=weights), tmp_path / "m", form=form)
    with etui.open(tmp_path / "m") as found:
        assert found.weights is not None
        assert [float(variable.numpy()[-1]) for variable in found.weights.values()] == [0, 1, 2, 3, 4, 5]


def modes(folder: Path) -> set[int]:
    """The permissions of all files of a folder."""
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.library
def test_shards_of_a_private_checkpoint_stay_private(tmp_path: Path) -> None:
    """A TensorFlow checkpoint that only its owner may read is replaced by one that only its owner may read."""

    def save() -> None:
        outgoing = Outgoing("a", "float32", (10,), lambda: np.arange(10, dtype=np.float32))
        write_bundle(tmp_path / "ckpt", [outgoing], beside=("checkpoint", b"x"))

    save()
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    save()
    assert modes(tmp_path) == {0o600}


@pytest.mark.library
def test_files_of_a_private_set_stay_private(tmp_path: Path) -> None:
    """The files that a private index names are private too, also where they are new."""

    def save(content: bytes, earlier: list[str]) -> str:
        with FileSet(tmp_path / "index.json") as files:
            name = files.add(io.BytesIO(content), lambda digest: f"data-{digest}.bin")
            files.commit(name.encode(), earlier)
        return name

    first = save(b"one", [])
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    save(b"two", [first])
    assert modes(tmp_path) == {0o600}


@pytest.mark.library
def test_what_only_looks_like_a_shard_stays(tmp_path: Path) -> None:
    """A file whose name has letters where shards have numbers is no shard of the checkpoint."""
    (tmp_path / "ckpt.data-notes-of-today").write_text("mine")
    outgoing = Outgoing("a", "float32", (10,), lambda: np.arange(10, dtype=np.float32))
    write_bundle(tmp_path / "ckpt", [outgoing])
    assert (tmp_path / "ckpt.data-notes-of-today").read_text() == "mine"


@pytest.mark.library
def test_a_writer_never_works_unlocked(tmp_path: Path) -> None:
    """Where a cleaner holds the lock of a file that was just made, the writer makes another that it can lock."""
    target = tmp_path / "m.etui"
    target.write_bytes(b"old")
    held: list[Any] = []

    class Looking(System):
        def flock(self, descriptor: int, shared: bool = False) -> None:
            if not held:
                made = next(path for path in tmp_path.iterdir() if path.name.endswith(".tmp"))
                held.append(leftovers.locked(made))
                assert held[0].__enter__()
            super().flock(descriptor, shared)

    with using(Looking()):
        writing = transaction.FileTransaction(target)
    held[0].__exit__(None, None, None)
    assert [cleared.fate for cleared in transaction.clean(target)] == ["held"]
    writing.file.write(b"new")
    writing.commit()
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["m.etui"]


@pytest.mark.clause("F-8@a401d8")
def test_an_interrupt_while_names_are_flushed_changes_nothing(tmp_path: Path) -> None:
    """An interrupt in the last flush of a save leaves the earlier file."""
    target = tmp_path / "m.etui"
    target.write_bytes(b"old")

    class Interrupted(System):
        count = 0

        def fsync(self, descriptor: int) -> None:
            self.count += 1
            super().fsync(descriptor)
            if self.count == 2:
                raise KeyboardInterrupt

    with using(Interrupted()), pytest.raises(KeyboardInterrupt), transaction.replace_file(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["m.etui"]


class Sparing(io.BytesIO):
    """Takes seven bytes at once, and after a while nothing."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: Any) -> int:
        taken = super().write(memoryview(data)[: min(7, self.room)])
        self.room -= taken
        return taken


@pytest.mark.clause("F-6@674ad5")
def test_a_file_object_that_takes_less_gets_the_rest(tmp_path: Path) -> None:
    """A target that takes a few bytes at a time gets all of them, and one that takes no more is an error."""
    whole = io.BytesIO()
    etui.save(model(), whole)
    size = len(whole.getvalue())
    slow = Sparing(2 * size)  # a header is written twice
    etui.save(model(), slow)
    assert slow.getvalue() == whole.getvalue()
    with pytest.raises(StorageError):
        etui.save(model(), Sparing(size - 1))


@pytest.mark.library
def test_a_folder_that_cannot_be_flushed_is_not_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a folder below cannot be listed, its files are not durable, so that nothing takes the target's place."""
    real = os.scandir

    def scandir(path: Any = ".") -> Any:
        if str(path).endswith("variables"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path)

    def write() -> None:
        with foreign_folder.replace_folder(tmp_path / "sm") as files, monkeypatch.context() as patch:
            files.write("variables/variables.data", [b"y"])
            patch.setattr(os, "scandir", scandir)
            files.sync()

    with pytest.raises(StorageError):
        write()
    assert not (tmp_path / "sm").exists()
