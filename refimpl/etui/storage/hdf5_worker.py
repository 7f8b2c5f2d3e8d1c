"""The scan of HDF5 files in a process of its own: damaged files make libhdf5 loop without end, or crash.

One worker serves all files of a process. It gets an open file and answers with JSON; while it works it sends a beat.
If it falls silent or ends, it is replaced, and the file is refused.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from etui.error_codes import ERROR_CODES
from etui.errors import EtuiError, error
from etui.limits import Limits
from etui.storage.base import SLICE_BYTES, ByteSource
from etui.storage.hdf5_layout import Chunk, Layout
from etui.storage.hdf5_scan import Found, Index, scan
from etui.storage.sources import FileSource, Window

SILENCE_SECONDS = 20.0
_MEMORY_BYTES = 4 << 30
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from etui.storage.hdf5_worker import serve; serve()"
_LENGTH = 8


def scan_apart(source: ByteSource, where: str, limits: Limits, *, lists: bool = False) -> Index:
    """`hdf5_scan.scan`, in the worker; in this process where the system cannot hand open files to another.

    Raises:
        MissingExtraError: h5py is not installed.
        RejectError: a code that begins with ``hdf5-``, or ``limit-foreign``; ``hdf5-syntax`` also where libhdf5
            crashes or falls silent.
    """
    if not hasattr(socket, "send_fds") or not sys.executable:
        return scan(source, where, limits, lists=lists)
    with _LOCK:
        try:
            return _WORKERS.current().ask(source, where, limits, lists=lists)
        except (OSError, EOFError) as reason:
            found = "silence" if isinstance(reason, TimeoutError) else _WORKERS.current().ending()
            _WORKERS.end()
            raise error("hdf5-syntax", where=where, found=f"a structure on which libhdf5 fails: {found}") from None


class _Worker:
    """One process and the socket to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.socket, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(SILENCE_SECONDS)
        path = json.dumps([str(Path(entry).resolve()) for entry in sys.path])
        with far:
            self.process = subprocess.Popen(  # noqa: S603  (this interpreter, and code of this file)
                [sys.executable, "-c", _START, path, str(far.fileno())],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )

    def ask(self, source: ByteSource, where: str, limits: Limits, *, lists: bool) -> Index:
        with _as_file(source) as (descriptor, start):
            request = {"start": start, "size": source.size, "where": where, "limits": asdict(limits), "lists": lists}
            data = json.dumps(request).encode()
            socket.send_fds(self.socket, [len(data).to_bytes(_LENGTH, "little")], [descriptor])
            self.socket.sendall(data)
            answer = self._answer(limits)
        if "error" in answer:
            code, *rest = map(str, answer["error"])
            place, found, hint = [*rest, where, "", ""][:3]
            raise error(code if code in ERROR_CODES else "hdf5-syntax", where=place, found=found, hint=hint)
        return _decoded(answer, source.size, where)

    def _answer(self, limits: Limits) -> dict[str, Any]:
        while not (length := int.from_bytes(self._receive(_LENGTH), "little")):
            pass  # a beat
        if length > limits.document_bytes:
            raise EOFError
        answer: dict[str, Any] = json.loads(self._receive(length))
        return answer

    def _receive(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(min(count - len(data), SLICE_BYTES))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def ending(self) -> str:
        """How the process ended."""
        try:
            return f"it ended with {self.process.wait(1)}"
        except subprocess.TimeoutExpired:
            return "it no longer answers"

    def end(self) -> None:
        """End the process, unless it belongs to the process that this one was forked from."""
        self.socket.close()
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


class _Workers:
    """The worker of this process."""

    def __init__(self) -> None:
        self.worker: _Worker | None = None

    def current(self) -> _Worker:
        if self.worker is not None and self.worker.owner != os.getpid():
            self.end()
        if self.worker is None:
            self.worker = _Worker()
        return self.worker

    def end(self) -> None:
        if self.worker is not None:
            self.worker.end()
            self.worker = None


_LOCK = threading.Lock()
_WORKERS = _Workers()
atexit.register(_WORKERS.end)


@contextmanager
def _as_file(source: ByteSource) -> Iterator[tuple[int, int]]:
    """The open file that a source lies in, and where it begins there; bytes in memory are copied to a nameless file."""
    start, base = 0, source
    while isinstance(base, Window):
        start, base = start + base.start, base.source
    if isinstance(base, FileSource):
        yield base.fileno(), start
        return
    with tempfile.TemporaryFile() as file:
        for at in range(0, source.size, SLICE_BYTES):
            file.write(source.view(at, min(SLICE_BYTES, source.size - at)))
        file.flush()
        yield file.fileno(), 0


def _decoded(answer: dict[str, Any], size: int, where: str) -> Index:
    """The index of an answer, whose sender may have been led astray by the file: all that is used is checked."""
    try:
        groups = {str(path): {str(k): str(v) for k, v in attrs.items()} for path, attrs in answer["groups"].items()}
        datasets = {str(path): _found(node) for path, node in answer["datasets"].items()}
        lists = {
            str(path): {str(name): [str(text) for text in texts] for name, texts in attrs.items()}
            for path, attrs in answer["lists"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise error("hdf5-syntax", where=where, found="an answer of libhdf5 that makes no sense") from None
    for path, found in datasets.items():
        if any(start < 0 or length < 0 or start + length > size for start, length in found.layout.extents()):
            raise error("hdf5-unstored", where=f"{where} at /{path}", found=f"bytes outside of the file of {size}")
    return Index(groups, datasets, lists)


def _found(node: dict[str, Any]) -> Found:
    layout = node["layout"]
    chunks = tuple(Chunk(tuple(map(int, first)), *map(int, rest)) for first, *rest in layout["chunks"])
    compact = layout["compact"]
    return Found(
        tuple(map(int, node["shape"])),
        str(node["stored"]),
        str(node["dtype"]),
        {str(key): str(text) for key, text in node["attrs"].items()},
        Layout(
            int(layout["stored_bytes"]),
            int(layout["inflated"]),
            None if layout["start"] is None else int(layout["start"]),
            None if compact is None else base64.b64decode(compact),
            tuple(map(int, layout["chunk_shape"])),
            chunks,
            tuple(map(int, layout["filters"])),
        ),
    )


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


def serve() -> None:
    """The worker's main loop: one file after the other, until the socket closes."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=int(sys.argv[2])) as near:
        while True:
            head, descriptors, _, _ = socket.recv_fds(near, _LENGTH, 1)
            if not head or not descriptors:
                return
            request = json.loads(_receive(near, int.from_bytes(head, "little")))
            file = FileSource(descriptors[0], request["where"])
            answer = json.dumps(_scanned(near, file, request)).encode()
            near.sendall(len(answer).to_bytes(_LENGTH, "little") + answer)
            file.close()


def _receive(near: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += near.recv(count - len(data))
    return data


def _scanned(near: socket.socket, file: FileSource, request: dict[str, Any]) -> dict[str, Any]:
    source = Window(file, request["start"], request["size"])
    beat = bytes(_LENGTH)
    limits = Limits(**request["limits"])
    try:
        index = scan(source, request["where"], limits, lambda: near.sendall(beat), lists=request["lists"])
        return _encoded(index)
    except EtuiError as fault:
        return {"error": [fault.code, fault.where, fault.found, fault.hint]}
    except MemoryError:
        return {"error": ["hdf5-syntax", request["where"], "a structure that takes too much memory", ""]}
