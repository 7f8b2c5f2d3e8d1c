"""The scan of HDF5 files in a process of its own: damaged files make libhdf5 loop without end, or crash.

One worker serves all files of a process. It gets an open file and answers with JSON; while it works it sends a beat.
If it falls silent, ends, or answers what makes no sense, it is replaced, and the file is refused. What it may use is
bounded in `hdf5_serve`.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etui.error_codes import ERROR_CODES
from etui.errors import EtuiError, error
from etui.limits import Limits
from etui.storage.base import SLICE_BYTES, ByteSource
from etui.storage.failures import storage_errors
from etui.storage.hdf5_layout import DEFLATE, FLETCHER32, SHUFFLE, Chunk, Layout
from etui.storage.hdf5_scan import SMALL_BYTES, TEXT_BYTES, Found, Index, scan
from etui.storage.hdf5_serve import LENGTH, TRUST, answer_bytes, beats
from etui.storage.isolating import reading
from etui.storage.sources import FileSource, Window

SILENCE_SECONDS = 20.0
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from etui.storage.hdf5_serve import serve; serve()"
_TOO_LONG = {-getattr(signal, name) for name in ("SIGPROF", "SIGXCPU") if hasattr(signal, name)}
_PLAIN_KINDS = frozenset("biufcV")
_FILTERS = frozenset({DEFLATE, SHUFFLE, FLETCHER32})


def scan_apart(source: ByteSource, where: str, limits: Limits, *, lists: bool = False) -> Index:
    """`hdf5_scan.scan`, in the worker.

    In this process where the caller says so (`isolating`), and where the system cannot hand open files to another.

    Raises:
        MissingExtraError: h5py is not installed.
        RejectError: a code that begins with ``hdf5-``, or ``limit-foreign``; ``hdf5-syntax`` also where libhdf5
            crashes, falls silent, or takes too much time or memory.
        StorageError: ``storage-failed``, also where the worker does not start.
    """
    current = reading()
    if not (current.isolated and hasattr(socket, "send_fds") and sys.executable):
        return scan(source, where, limits, lists=lists)
    with _as_file(source) as (descriptor, start):
        identity = _identity(descriptor, start, source.size)
        known = current.found.get(identity)
        if isinstance(known, _Failure):
            raise known.error(where)
        if isinstance(known, _Known) and known.serves(limits, lists=lists):
            return known.index
        try:
            index = _ask(descriptor, _Request(start, source.size, where, limits, lists))
        except _Failure as failure:
            current.found[identity] = failure
            raise failure.error(where) from None
        current.found[identity] = _Known(limits, lists, index)
        return index


@dataclass(frozen=True, slots=True)
class _Request:
    """What the worker is asked: `size` bytes of the open file from `start` on; see `scan`."""

    start: int
    size: int
    where: str
    limits: Limits
    lists: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """The structure of a file, and what it was asked for with."""

    limits: Limits
    lists: bool
    index: Index

    def serves(self, limits: Limits, *, lists: bool) -> bool:
        """Whether the answer would be the same: of a file without lists and long texts it does not depend on them."""
        if limits != self.limits or (lists and not self.lists):
            return False
        texts = (text for attrs in self.index.groups.values() for text in attrs.values())
        return lists == self.lists or not (self.index.lists or any(len(text.encode()) > TEXT_BYTES for text in texts))


class _Failure(Exception):  # noqa: N818  (it is no error of the caller's, who gets `error`)
    """A file on which the worker failed."""

    def __init__(self, found: str, hint: str = "") -> None:
        super().__init__(found)
        self.found, self.hint = found, hint

    def error(self, where: str) -> EtuiError:
        """The refusal."""
        return error("hdf5-syntax", where=where, found=self.found, hint=self.hint)


def _ask(descriptor: int, request: _Request) -> Index:
    with _LOCK:
        worker = _WORKERS.current()
        try:
            answer = worker.ask(descriptor, asdict(request))
        except (OSError, EOFError, _AstrayError) as reason:
            found = f"a structure on which libhdf5 fails: {worker.ending(reason)}"
            hint = TRUST if isinstance(reason, TimeoutError) or worker.process.returncode in _TOO_LONG else ""
            _WORKERS.end()
            raise _Failure(found, hint) from None
    if "error" in answer:
        code, *rest = map(str, answer["error"])
        place, found, hint = [*rest, request.where, "", ""][:3]
        raise error(code if code in ERROR_CODES else "hdf5-syntax", where=place, found=found, hint=hint)
    return _decoded(answer, request)


class _AstrayError(Exception):
    """What no sound worker sends."""


class _Worker:
    """One process and the socket to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.socket, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(_START_SECONDS)
        path = json.dumps([str(Path(entry).resolve()) for entry in sys.path])
        try:
            with far:
                self.process = subprocess.Popen(  # noqa: S603  (this interpreter, and code of this package)
                    [sys.executable, "-c", _START, path, str(far.fileno())],
                    pass_fds=[far.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    # No thread pools, and no plugins of libhdf5.
                    env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"},
                )
        except BaseException:
            self.socket.close()
            raise
        try:
            self._receive(LENGTH)
        except (OSError, EOFError) as reason:
            ended = self.ending(reason)
            self.end()
            raise OSError(f"the process that reads HDF5 did not start: {ended}") from None
        self.socket.settimeout(SILENCE_SECONDS)

    def ask(self, descriptor: int, request: dict[str, Any]) -> dict[str, Any]:
        """The answer about an open file, which is untrusted but of a bounded size.

        Raises:
            OSError, EOFError: the worker ended or fell silent.
            _AstrayError: what it sent is no answer.
        """
        data = json.dumps(request).encode()
        socket.send_fds(self.socket, [len(data).to_bytes(LENGTH, "little")], [descriptor])
        self.socket.sendall(data)
        return self._answer(request["size"])

    def _answer(self, size: int) -> dict[str, Any]:
        room = beats(size)
        while not (length := int.from_bytes(self._receive(LENGTH), "little")):
            room -= 1
            if room < 0:
                raise _AstrayError("signs of life without end")
        if length > answer_bytes(size):
            raise _AstrayError(f"an answer of {length} bytes")
        try:
            answer = json.loads(self._receive(length))
        except (ValueError, RecursionError):
            raise _AstrayError("an answer that does not decode") from None
        if not isinstance(answer, dict):
            raise _AstrayError("an answer that is no map")
        return answer

    def _receive(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(min(count - len(data), SLICE_BYTES))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def ending(self, reason: Exception) -> str:
        """Why the process is given up, for people."""
        if isinstance(reason, TimeoutError | _AstrayError):
            return str(reason) if isinstance(reason, _AstrayError) else "silence"
        try:
            code = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "it no longer answers"
        if code in _TOO_LONG:
            return "it takes too much time"
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it ended with {code}"

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
            with storage_errors("HDF5"):
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
    with ExitStack() as stack:
        with storage_errors("a temporary file"):
            file = stack.enter_context(tempfile.TemporaryFile())
            for at in range(0, source.size, SLICE_BYTES):
                file.write(source.view(at, min(SLICE_BYTES, source.size - at)))
            file.flush()
        yield file.fileno(), 0


def _identity(descriptor: int, start: int, size: int) -> tuple[int, ...]:
    """What tells bytes of a file from any others; a file without a name is never met again, but its number may be."""
    found = os.fstat(descriptor)
    if not found.st_nlink:
        return (time.monotonic_ns(),)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, start, size


def _decoded(answer: dict[str, Any], request: _Request) -> Index:
    """The index of an answer, whose sender may have been led astray by the file: all that is used is checked."""
    size, where = request.size, request.where
    try:
        groups = {str(path): {str(k): str(v) for k, v in attrs.items()} for path, attrs in answer["groups"].items()}
        datasets = {str(path): _found(node, request.limits) for path, node in answer["datasets"].items()}
        lists = {
            str(path): {str(name): [str(text) for text in texts] for name, texts in attrs.items()}
            for path, attrs in answer["lists"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise error("hdf5-syntax", where=where, found="an answer of libhdf5 that makes no sense") from None
    for path, found in datasets.items():
        if any(start < 0 or length < 0 or start + length > size for start, length in found.layout.extents()):
            raise error("hdf5-unstored", where=f"{where} at /{path}", found=f"bytes outside of the file of {size}")
    return Index(groups, datasets, lists)


def _found(node: dict[str, Any], limits: Limits) -> Found:
    shape, stored, layout = tuple(map(int, node["shape"])), np.dtype(str(node["stored"])), _layout(node["layout"])
    most = max(SMALL_BYTES, limits.foreign_inflation * layout.stored_bytes)
    if stored.kind not in _PLAIN_KINDS or min(shape, default=0) < 0 or layout.inflated > most:
        raise ValueError
    _check_sizes(layout, shape, stored.itemsize)
    attrs = {str(key): str(text) for key, text in node["attrs"].items()}
    return Found(shape, stored.str, str(node["dtype"]), attrs, layout)


def _layout(node: dict[str, Any]) -> Layout:
    chunks = tuple(Chunk(tuple(map(int, first)), *map(int, rest)) for first, *rest in node["chunks"])
    compact = node["compact"]
    return Layout(
        int(node["stored_bytes"]),
        int(node["inflated"]),
        None if node["start"] is None else int(node["start"]),
        None if compact is None else base64.b64decode(compact),
        tuple(map(int, node["chunk_shape"])),
        chunks,
        tuple(map(int, node["filters"])),
    )


def _check_sizes(layout: Layout, shape: tuple[int, ...], width: int) -> None:
    """What is stored makes what is declared: the elements are allocated by their shape.

    Raises:
        ValueError: it does not.
    """
    nbytes = int(np.prod(shape, dtype=object)) * width
    if layout.chunk_shape:
        steps = layout.chunk_shape
        if len(steps) != len(shape) or min(steps) < 1 or not set(layout.filters) <= _FILTERS:
            raise ValueError
        if any(len(chunk.first) != len(shape) or min(chunk.first) < 0 for chunk in layout.chunks):
            raise ValueError
        counts = [-(-size // step) for size, step in zip(shape, steps, strict=True)]
        inflated = int(np.prod(counts, dtype=object)) * int(np.prod(steps, dtype=object)) * width
        stored = sum(chunk.size for chunk in layout.chunks)
        sound = layout.inflated == inflated and layout.stored_bytes == stored
        sound = sound and len(layout.chunks) == int(np.prod(counts, dtype=object))
        sound = sound and (bool(layout.filters) or stored == inflated)
    else:
        sound = nbytes == (len(layout.compact or b"") if layout.start is None else layout.stored_bytes)
    if not sound:
        raise ValueError
