"""Files of which only some are open at once."""

from __future__ import annotations

import gc
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import etui
from etui.errors import StorageError
from etui.storage.open_files import OpenFiles
from etui.storage.sources import open_file
from etui.storage.tf_bundle import open_bundle
from etui.storage.tf_bundle_writer import Outgoing, write_bundle

pytestmark = pytest.mark.library

MANY = 200


def descriptors() -> int:
    """How many descriptors this process has, those aside that earlier tests have left to the collector."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    """The process may have only so many descriptors more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def numbered(folder: Path, count: int) -> list[Path]:
    """Files of 8 bytes, each with its number."""
    paths = [folder / f"{number:03}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(number.to_bytes(8, "little"))
    return paths


def test_many_files_need_few_descriptors(tmp_path: Path) -> None:
    """Each of many files is read when it is asked for; what was handed out stays, and nothing is open at the end."""
    paths = numbered(tmp_path, MANY)
    before = descriptors()
    with few_descriptors(40):
        files = OpenFiles(open_file)
        sources = [files.add(str(path)) for path in paths]
        assert [source.size for source in sources] == [8] * MANY
        views = [source.view(0, 8) for source in [*sources, *sources[::-1]]]
        assert [int.from_bytes(view, "little") for view in views] == [*range(MANY), *reversed(range(MANY))]
        assert [source.read(0, 1)[0] for source in sources] == list(range(MANY))
        assert descriptors() <= before + 20
    files.close()
    assert descriptors() == before
    assert int.from_bytes(views[7], "little") == 7
    with pytest.raises(StorageError, match="closed"):
        sources[0].read(0, 1)


def test_few_files_are_mapped(tmp_path: Path) -> None:
    """A view of one of few files is no copy: it shows what is written into the file afterwards."""
    (path,) = numbered(tmp_path, 1)
    files = OpenFiles(open_file)
    source = files.add(str(path))
    view = source.view(0, 8)
    with path.open("r+b") as file:
        file.write(b"\xff")
    assert view[0] == 0xFF
    with pytest.raises(ValueError, match="bytes 4 to 9"):
        source.view(4, 5)
    view.release()
    files.close()


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    """A file that is opened again has to be the one that was there, and one that is gone is an error."""
    paths = numbered(tmp_path, 40)
    files = OpenFiles(open_file)
    sources = [files.add(str(path)) for path in paths]
    paths[0].unlink()
    paths[0].write_bytes(bytes(8))
    with pytest.raises(StorageError, match="changed"):
        sources[0].read(0, 8)
    paths[1].unlink()
    with pytest.raises(StorageError, match="No such file"):
        sources[1].view(0, 8)
    assert sources[2].read(0, 8)[0] == 2
    files.close()


def test_threads_read_what_others_push_out(tmp_path: Path) -> None:
    """A file that is closed to make room is not closed under a thread that reads it."""
    paths = numbered(tmp_path, 64)
    files = OpenFiles(open_file)
    sources = [files.add(str(path)) for path in paths]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: sources[number % 64].read(0, 8)[0], range(6400)))
    assert found == [number % 64 for number in range(6400)]
    files.close()


def test_a_bundle_of_many_shards_is_read_with_few_descriptors(tmp_path: Path) -> None:
    """A tensor bundle of more shards than the process may have files is read whole, its arrays kept."""
    arrays = [np.full(10, number, "i4") for number in range(MANY)]
    tensors = [
        Outgoing(f"t{number:03}", "int32", (10,), lambda array=array: array)  # type: ignore[misc]  # bound now
        for number, array in enumerate(arrays)
    ]
    write_bundle(tmp_path / "x", tensors, shard_size=40)
    assert len(list(tmp_path.glob(f"x.data-*-of-{MANY:05}"))) == MANY
    before = descriptors()
    with few_descriptors(40), open_bundle(tmp_path / "x") as bundle:
        found = [tensor.read() for tensor in bundle.tensors.values()]
    assert descriptors() == before
    assert [array.tolist() for array in found] == [array.tolist() for array in arrays]


def test_an_artifact_of_many_shards_is_read_with_few_descriptors(tmp_path: Path) -> None:
    """A folder of more data parts than the process may have files is verified, read with its arrays kept, and saved."""
    weights = etui.Weights()
    for number in range(MANY):
        weights.add(f"v{number:03}", etui.Tensor.of(np.full(16, number, "f4")), role="kernel")
    identity = etui.save(etui.Model(weights=weights), tmp_path / "a", form="directory", shard_size=64)
    assert len(list((tmp_path / "a").glob(f"weights-*-of-{MANY:05}.safetensors"))) == MANY
    before = descriptors()
    with few_descriptors(100):
        assert etui.verify(tmp_path / "a").tensors == MANY
        with etui.open(tmp_path / "a") as opened:
            assert opened.weights is not None
            found = [variable.numpy() for variable in opened.weights.values()]
            assert etui.save(opened, tmp_path / "b", form="directory", shard_size=64) == identity
    gc.collect()
    assert [int(array[0]) for array in found] == list(range(MANY))
    found.clear()
    gc.collect()
    assert descriptors() == before


def test_a_folder_of_few_parts_is_mapped(tmp_path: Path) -> None:
    """Where descriptors are no question, arrays are views of the files, which outlive the artifact that was open."""
    weights = etui.Weights()
    weights.add("v", etui.Tensor.of(np.zeros(4, "f4")), role="kernel")
    etui.save(etui.Model(weights=weights), tmp_path / "a", form="directory")
    with etui.open(tmp_path / "a", verify=False) as opened:
        assert opened.weights is not None
        array = opened.weights["v"].numpy()
    with (tmp_path / "a" / "weights.safetensors").open("r+b") as file:
        file.seek(-16, 2)
        file.write(np.float32(7).tobytes())
    assert array[0] == 7
