"""HDF5 is read in a process of its own, which may do little: whatever becomes of it, the caller gets a coded error."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import etui
from etui import conversion
from etui.cli import main
from etui.errors import EtuiError
from etui.storage import hdf5_serve, hdf5_worker
from etui.storage.hdf5 import open_hdf5
from etui.storage.isolating import isolation
from etui.storage.sources import BytesSource

sys.path.insert(0, str(Path(__file__).parent))

from catalogue.hdf5 import looping

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and signals are those of Linux")
clause = pytest.mark.clause

START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import ctypes, os, signal, socket, struct, subprocess, time
from etui.storage import hdf5_serve
sound = hdf5_serve.scan
c_open, c_raise, hostname = ctypes.CDLL(None).open, getattr(ctypes.CDLL(None), "raise"), b"/etc/hostname"
def scan(source, where, limits, beat=lambda: None, *, lists=False):
    if not where:
        return sound(source, where, limits, beat, lists=lists)
    near = beat.__closure__ and next(cell.cell_contents for cell in beat.__closure__)
    {fault}
    return sound(source, where, limits, beat, lists=lists)
hdf5_serve.scan = scan
hdf5_serve.serve()
"""


def made(fill: Callable[[Any], object] = lambda file: file.create_dataset("x", data=np.arange(4.0))) -> bytes:
    """The bytes of a small HDF5 file."""
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        fill(content)
    return file.getvalue()


FORKED = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
from etui.storage import hdf5_worker
from etui.storage.hdf5 import open_hdf5
from etui.storage.sources import BytesSource
def opened():
    with open(sys.argv[2], "rb") as file:
        return list(open_hdf5(BytesSource(file.read()), "f.h5").datasets)
assert opened() == ["x"]
worker = hdf5_worker._WORKERS.current()
child = os.fork()
if not child:
    os._exit(0 if opened() == ["x"] and hdf5_worker._WORKERS.current().process.pid != worker.process.pid else 1)
assert os.waitpid(child, 0)[1] == 0
assert opened() == ["x"]
assert hdf5_worker._WORKERS.current() is worker
"""

SOUND = made()


def opened(data: bytes = SOUND) -> list[str]:
    """The datasets of a file."""
    return list(open_hdf5(BytesSource(data), "f.h5").datasets)


def refusal(data: bytes = SOUND) -> EtuiError:
    """The error that a file is refused with."""
    with pytest.raises(EtuiError) as caught:
        opened(data)
    return caught.value


@pytest.fixture
def worker_that(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has the worker run a statement in the middle of its work; afterwards a sound worker comes in its place."""

    def inject(fault: str) -> None:
        hdf5_worker._WORKERS.end()
        monkeypatch.setattr(hdf5_worker, "_START", START.format(fault=fault))

    yield inject
    hdf5_worker._WORKERS.end()


FAULTS: dict[str, tuple[str, str]] = {
    "crashes": ("c_raise(signal.SIGSEGV)", "SIGSEGV"),
    "aborts": ("os.abort()", "SIGABRT"),
    "is killed": ("signal.raise_signal(signal.SIGKILL)", "SIGKILL"),
    "ends": ("os._exit(3)", "ended with 3"),
    "loops": ("while True: pass", "too much time"),
    "loops and says that it goes on": ("while True: beat()", "without end"),
    "takes too much memory": ("hold = [bytearray(1 << 20) for _ in range(1 << 14)]", "too much memory"),
    "answers what does not decode": ("near.sendall(struct.pack('<Q', 4) + b'{{{{')", "does not decode"),
    "answers a number": ("near.sendall(struct.pack('<Q', 1) + b'7')", "no map"),
    "answers a deep list": ("near.sendall(struct.pack('<Q', 200000) + b'[' * 200000)", "does not decode"),
    "answers without end": ("near.sendall(struct.pack('<Q', 1 << 40))", "an answer of"),
    "answers no text": ("near.sendall(struct.pack('<Q', 2) + bytes([255, 255]))", "does not decode"),
    "opens another file": ("open('/etc/hostname')", "in the process that reads HDF5"),
    "opens another file in C": ("raise OSError(f'descriptor {c_open(hostname, 0)}')", "descriptor -1"),
    "starts another program": ("subprocess.run(['true'])", "in the process that reads HDF5"),
    "connects": ("socket.create_connection(('127.0.0.1', 9))", ""),
}


@clause("K-30@4bc2df", "E-2@310409", "X-1@06793e")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_that_goes_astray_costs_one_file(fault: str, worker_that: Callable[[str], None]) -> None:
    """Whatever the process that reads does, the file is refused with a code."""
    statement, found = FAULTS[fault]
    worker_that(statement)
    failure = refusal()
    assert failure.code == "hdf5-syntax"
    # On a machine that is busy with something else, silence may come before the end of the processor time.
    assert found in failure.found or (fault == "loops" and "silence" in failure.found)


@clause("K-30@4bc2df", "E-2@310409")
def test_a_worker_that_sleeps_is_given_up(worker_that: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does nothing and says nothing is waited for no longer than it may be silent."""
    monkeypatch.setattr(hdf5_worker, "SILENCE_SECONDS", 0.5)
    worker_that("time.sleep(600)")
    failure = refusal()
    assert (failure.code, "silence" in failure.found) == ("hdf5-syntax", True)
    assert "isolate=False" in failure.hint


@pytest.mark.library
def test_a_worker_that_does_not_start_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process cannot be started, the error is one of the system."""
    hdf5_worker._WORKERS.end()
    for start in ("raise SystemExit(4)", "import os; os.abort()"):
        monkeypatch.setattr(hdf5_worker, "_START", start)
        assert refusal().code == "storage-failed"
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert refusal().code == "storage-failed"


ANSWERS: list[Any] = [
    {},
    {"groups": {}, "datasets": {"x": {}}},
    {"groups": [], "datasets": {}},
    {"error": ["no-such-code"]},
    {"groups": {}, "lists": {}, "datasets": {"x": {"shape": [1e999], "stored": "<f4", "layout": {}}}},
]


def dataset(shape: list[int], stored: str = "<f4", **layout: Any) -> dict[str, Any]:
    """An answer of one dataset."""
    plain: dict[str, Any] = {"stored_bytes": 0, "inflated": 0, "start": None, "compact": None}
    plain |= {"chunk_shape": [], "chunks": [], "filters": []}
    node = {"shape": shape, "stored": stored, "dtype": "float32", "attrs": {}, "layout": plain | layout}
    return {"groups": {"": {}}, "lists": {}, "datasets": {"x": node}}


LIES: list[Any] = [
    dataset([1 << 40]),
    dataset([1 << 40], start=0, stored_bytes=4),
    dataset([-1], start=0, stored_bytes=4),
    dataset([1 << 30], chunk_shape=[1 << 30], chunks=[[[0], 0, 9, 0]], filters=[1], stored_bytes=9, inflated=1 << 32),
    dataset([1 << 30], chunk_shape=[1 << 30], chunks=[[[0], 0, 9, 0]], filters=[1], stored_bytes=9, inflated=9),
    dataset([8], chunk_shape=[4], chunks=[[[0], 0, 16, 0]], stored_bytes=16, inflated=32),
    dataset([8], chunk_shape=[0], chunks=[], stored_bytes=0, inflated=0),
    dataset([4], chunk_shape=[4], chunks=[[[0], 0, 16, 0]], filters=[32015], stored_bytes=16, inflated=16),
    dataset([2], stored="O", start=0, stored_bytes=16),
]


@clause("K-30@4bc2df", "X-2@ca2f55")
@pytest.mark.parametrize("answer", [*ANSWERS, *LIES])
def test_an_answer_that_makes_no_sense_is_refused(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that a file led astray cannot lead astray who asked it, nor have memory taken for what is not there."""
    monkeypatch.setattr(hdf5_worker._Worker, "_answer", lambda *_: answer)
    assert refusal().code == "hdf5-syntax"
    hdf5_worker._WORKERS.end()


@clause("K-30@4bc2df")
def test_an_answer_of_other_bytes_than_the_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements are taken from inside of the file."""
    answer = dataset([4], start=1 << 20, stored_bytes=16)
    monkeypatch.setattr(hdf5_worker._Worker, "_answer", lambda *_: answer)
    assert refusal().code == "hdf5-unstored"
    hdf5_worker._WORKERS.end()


@clause("K-30@4bc2df", "E-2@310409")
def test_a_worker_that_ends_between_two_files_costs_one_of_them() -> None:
    """Where the process with libhdf5 ends, the file is refused, and the next file is read by another process."""
    opened()
    worker = hdf5_worker._WORKERS.current()
    worker.process.kill()
    worker.process.wait()
    assert refusal().code == "hdf5-syntax"
    assert opened() == ["x"]
    assert hdf5_worker._WORKERS.current().process.pid != worker.process.pid


@clause("K-30@4bc2df", "E-2@310409")
def test_a_file_on_which_libhdf5_loops_is_refused() -> None:
    """The kernel ends the process whose processor time goes by without progress, and the next file is read."""
    opened()
    worker = hdf5_worker._WORKERS.current()
    assert refusal(looping()).code == "hdf5-syntax"
    assert worker.process.returncode in {-signal.SIGPROF, -signal.SIGKILL}
    assert opened() == ["x"]


@pytest.mark.library
def test_a_file_is_looked_at_no_more_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Telling a format and reading it share what was found, also that libhdf5 failed."""
    asked: list[int] = []
    ask = hdf5_worker._Worker.ask

    def counted(worker: hdf5_worker._Worker, descriptor: int, request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request["size"])
        return ask(worker, descriptor, request)

    monkeypatch.setattr(hdf5_worker._Worker, "ask", counted)
    (tmp_path / "m.weights.h5").write_bytes(looping())
    with pytest.raises(EtuiError) as caught:
        conversion.read(tmp_path / "m.weights.h5")
    assert caught.value.code == "hdf5-syntax"
    assert len(asked) == 1
    (tmp_path / "n.weights.h5").write_bytes(made(lambda file: file.create_dataset("a/vars/0", data=np.arange(4.0))))
    conversion.read(tmp_path / "n.weights.h5")[0].close()
    assert len(asked) == 2


@pytest.mark.library
def test_isolation_is_an_option(tmp_path: Path) -> None:
    """Without isolation no process is started; with it, which is the default, one is; the result is the same."""
    path = tmp_path / "m.weights.h5"
    path.write_bytes(made(lambda file: file.create_dataset("a/vars/0", data=np.arange(4.0))))
    hdf5_worker._WORKERS.end()
    digests = []
    calls: list[tuple[Callable[[], object], bool]] = [
        (lambda: etui.convert(path, tmp_path / "m.etui", isolate=False), False),
        (lambda: etui.convert(path, tmp_path / "m.etui"), True),
        (lambda: etui.convert(path, tmp_path / "m.etui", isolate=True), True),
    ]
    for convert, started in calls:
        convert()
        assert (hdf5_worker._WORKERS.worker is not None) == started
        digests.append((tmp_path / "m.etui").read_bytes())
    assert len(set(digests)) == 1
    for command in (["convert", str(path), str(tmp_path / "n.etui")], ["inspect", str(path)]):
        hdf5_worker._WORKERS.end()
        assert main([*command, "--no-isolate"]) == 0
        assert hdf5_worker._WORKERS.worker is None
        assert main(command) == 0
        assert hdf5_worker._WORKERS.worker is not None
    with isolation(False):
        hdf5_worker._WORKERS.end()
        assert opened() == ["x"]
        assert hdf5_worker._WORKERS.worker is None


@pytest.mark.library
def test_a_worker_belongs_to_the_process_that_started_it(tmp_path: Path) -> None:
    """After a fork each process has a worker of its own, and neither ends that of the other."""
    (tmp_path / "f.h5").write_bytes(SOUND)
    # In a fresh process: this one may have threads that do not bear a fork.
    arguments = [sys.executable, "-c", FORKED, json.dumps(sys.path), str(tmp_path / "f.h5")]
    assert subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=120).stderr == ""


@pytest.mark.library
def test_what_an_answer_may_be_grows_with_the_file() -> None:
    """An answer and the signs of life before it are bounded by the size of the file."""
    assert hdf5_serve.answer_bytes(1000) < hdf5_serve.answer_bytes(10**9) < 10**11
    assert hdf5_serve.beats(1000) < hdf5_serve.beats(10**9) < 10**8
