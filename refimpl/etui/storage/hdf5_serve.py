"""The process in which libhdf5 reads the structure of untrusted files: what it may use, and its main loop.

It can open no file but the one it was handed, in Python or in C, and write none. Each file may cost it memory and
processor time in proportion to the file's size, and only so much time without progress; the kernel ends it otherwise.
"""

from __future__ import annotations

import base64
import codecs
import io
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from etui.errors import EtuiError, MissingExtraError
from etui.limits import MIB, Limits
from etui.storage.hdf5_scan import Index, scan
from etui.storage.hdf5_types import load_h5py
from etui.storage.sources import BytesSource, FileSource, Window

LENGTH = 8
TRUST = "If the file is trusted, read it with isolate=False, or with --no-isolate."
# Processor time between two beats: no call of libhdf5 takes so long on a sound file.
PROGRESS_SECONDS = 1.0
_SECONDS, _SECONDS_PER_MIB = 10, 1
_MEMORY_BYTES, _MEMORY_PER_BYTE = 128 * MIB, 16
_MOST_MEMORY_BYTES = 4 << 30
_FORBIDDEN = ("open", "os.", "subprocess.", "socket.connect", "socket.bind", "ctypes.", "marshal.", "pickle.")


def answer_bytes(size: int) -> int:
    """The longest answer about a file of `size` bytes: what it says of an object is little more than the object."""
    return MIB + 8 * size


def beats(size: int) -> int:
    """The most signs of life while a file of `size` bytes is read."""
    return 10_000 + size // 64


def serve() -> None:
    """One file after the other, until the socket closes."""
    with socket.socket(fileno=int(sys.argv[2])) as near:
        # Who started this process may have them ignored or blocked.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF, signal.SIGXCPU])
        budget = _Budget()
        _confine()
        near.sendall(bytes(LENGTH))
        while True:
            head, descriptors, _, _ = socket.recv_fds(near, LENGTH, 1)
            if not head or not descriptors:
                return
            request = json.loads(_receive(near, int.from_bytes(head, "little")))
            size = int(request["size"])
            file = FileSource(descriptors[0], request["where"])
            budget.begin(size)
            answer = _answer(near, file, request)
            budget.end()
            near.sendall(len(answer).to_bytes(LENGTH, "little") + answer)
            file.close()


class _Budget:
    """What one file may cost. Without `resource`, which POSIX systems have, nothing is bounded."""

    def __init__(self) -> None:
        self.status = -1
        with suppress(OSError):
            self.status = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def begin(self, size: int) -> None:
        """Bound memory and processor time for a file of `size` bytes."""
        if self.status >= 0:
            import resource

            used = int(os.pread(self.status, 64, 0).split()[0]) * resource.getpagesize()
            _bound("AS", min(used + _MEMORY_BYTES + _MEMORY_PER_BYTE * size, _MOST_MEMORY_BYTES))
        _bound("CPU", int(time.process_time()) + _SECONDS + _SECONDS_PER_MIB * (size // MIB))
        progress()

    def end(self) -> None:
        """The file is read."""
        progress(0.0)


def progress(seconds: float = PROGRESS_SECONDS) -> None:
    """The kernel ends this process after so much processor time from now; 0 for never."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _bound(name: str, value: int) -> None:
    """Lower a limit of this process, which its own upper one may forbid to raise again."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _confine() -> None:
    """From here on nothing is opened but what is handed over, nothing is written, and nothing is started."""
    try:
        _rehearse()
    except MissingExtraError:
        sys.modules["h5py"] = None  # type: ignore[assignment]  # the next import fails like this one, and opens nothing
    spare = os.dup(0)
    os.close(spare)
    # Descriptors are given out from the lowest free one: that of the file is the last.
    _bound("NOFILE", spare + 1)
    _bound("FSIZE", 0)
    _bound("CORE", 0)
    sys.addaudithook(_refuse)


def _rehearse() -> None:
    """Scan a file with something of each kind, so that nothing is left to be imported later."""
    h5py = load_h5py()
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        content.create_dataset("a/b", data=[1.0], chunks=(1,), compression="gzip")
        for value in ("text", b"text", ["text"], [b"text"]):
            content["a"].attrs[f"{type(value).__name__}{len(content['a'].attrs)}"] = value
    for name in ("ascii", "latin-1", "utf-8"):
        codecs.lookup(name)
    scan(BytesSource(file.getvalue()), "", Limits(), lists=True)


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"{event} in the process that reads HDF5")


def _receive(near: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += near.recv(count - len(data))
    return data


def _answer(near: socket.socket, file: FileSource, request: dict[str, Any]) -> bytes:
    source = Window(file, request["start"], request["size"])
    where = request["where"]

    def beat() -> None:
        progress()
        near.sendall(bytes(LENGTH))

    fault: list[str]
    try:
        index = scan(source, where, Limits(**request["limits"]), beat, lists=request["lists"])
        answer = json.dumps(_encoded(index)).encode()
        if len(answer) <= answer_bytes(source.size):
            return answer
        fault = ["limit-foreign", where, f"a structure of {len(answer)} bytes in a file of {source.size}", ""]
    except EtuiError as refusal:
        fault = [refusal.code, refusal.where, refusal.found, refusal.hint]
    except OSError as reason:
        fault = ["hdf5-syntax", where, str(reason), ""]
    except MemoryError:
        fault = ["hdf5-syntax", where, "a structure that takes too much memory", TRUST]
    return json.dumps({"error": fault}).encode()


def _encoded(index: Index) -> dict[str, Any]:
    datasets = {}
    for path, found in index.datasets.items():
        layout = found.layout
        compact = None if layout.compact is None else base64.b64encode(layout.compact).decode()
        chunks = [[chunk.first, chunk.start, chunk.size, chunk.skipped] for chunk in layout.chunks]
        fields: dict[str, Any] = {
            "stored_bytes": layout.stored_bytes,
            "inflated": layout.inflated,
            "start": layout.start,
        }
        fields |= {"compact": compact, "chunk_shape": layout.chunk_shape, "chunks": chunks, "filters": layout.filters}
        node = {"shape": found.shape, "stored": found.stored, "dtype": found.dtype, "attrs": found.attrs}
        datasets[path] = node | {"layout": fields}
    return {"groups": index.groups, "datasets": datasets, "lists": index.lists}
