"""An adapter in a process of its own: started, asked, watched, and started anew when it fails."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any, Final, Literal

from etui_conformance.protocol.failures import Limits, Patience
from etui_conformance.protocol.messages import PROTOCOL, SPEC, excerpt, read_hello, read_reply, request_line
from etui_conformance.protocol.session import AdapterFailure, FailureKind, Hello, Reply, Session

_WINDOWS: Final = os.name == "nt"
_BLOCK: Final = 1 << 16
_KEPT_STDERR: Final = 1 << 14
_KEPT_REQUESTS: Final = 50
_SHOWN_STDERR: Final = 300
_WAITING_LINES: Final = 16
_AFTER_THE_END: Final = 2.0

_Event = tuple[Literal["line", "long", "end", "flood"], bytes]


def split_command(command: str) -> list[str]:
    """The words of a command line, without a shell, the program looked up on the path.

    Raises:
        ValueError: it is empty, or a quote is left open.
    """
    words = shlex.split(command, posix=not _WINDOWS)
    if _WINDOWS:  # there a backslash is no escape, so the quotes stay
        words = [word[1:-1] if len(word) > 1 and word[0] == word[-1] == '"' else word for word in words]
    if not words:
        raise ValueError("an empty command")
    return [shutil.which(words[0]) or words[0], *words[1:]]


class ProcessSession(Session):
    """A session with a process; a failure ends the process, and the next request meets a fresh one.

    Args:
        command: program and arguments, run without a shell.
        folder: where files go between suite and adapter; it exists.
        patience: of the run, shared by its sessions.

    Attributes:
        deadline: seconds for a reply, those of the limits until somebody sets others.
        last_request: op and fields, for the replay of a failure.
        earlier: the requests that this process got before the last one, as far as they are kept.

    Raises:
        AdapterFailure: ``start``, the adapter does not say hello.
    """

    def __init__(self, command: Sequence[str], folder: Path, patience: Patience | None = None) -> None:
        self.command = list(command)
        self.folder = folder
        self.patience = patience or Patience()
        self.deadline = self.patience.limits.deadline
        self.last_request: Mapping[str, Any] | None = None
        self.earlier: deque[Mapping[str, Any]] = deque(maxlen=_KEPT_REQUESTS)
        self._ids = count(1)
        self._process: _Process | None
        self._process, self.hello = self._start()

    def ask(self, op: str, /, **fields: Any) -> Reply:
        """Send a request and wait for its reply.

        Raises:
            AdapterFailure: there is no reply of the protocol; the next request meets a fresh process.
        """
        if (end := self.patience.end) is not None:
            raise AdapterFailure(*end)
        if self.last_request is not None and self._process is not None:
            self.earlier.append(self.last_request)
        self.last_request = {"op": op, **fields}
        if op == "bye":
            return self.farewell()[0]
        return self._exchange(self._running(), op, fields, self.patience.limits.allowed(fields, self.deadline))

    def close(self) -> None:
        """Say bye and end the adapter, by force if it stays."""
        if self._process is not None:
            with suppress(AdapterFailure):
                self.farewell()
            self._drop()

    def farewell(self) -> tuple[Reply, int | None]:
        """Say bye: the reply, and the exit code, `None` if the process did not end in time.

        Raises:
            AdapterFailure: as of `ask`.
        """
        process = self._running()
        reply = self._exchange(process, "bye", {}, self.patience.limits.farewell)
        return reply, self._ended(process)

    def end_of_input(self) -> int | None:
        """Close the adapter's standard input: the exit code, `None` if the process did not end in time."""
        return self._ended(self._running())

    def _ended(self, process: _Process) -> int | None:
        process.close_input()
        code = process.wait(self.patience.limits.farewell)
        self._drop()
        return code

    def _running(self) -> _Process:
        if self._process is None:
            self.earlier.clear()
            self._process, self.hello = self._start()
        return self._process

    def _start(self) -> tuple[_Process, Hello]:
        try:
            process = _Process(self.command, self.patience.limits)
        except OSError as fault:
            raise AdapterFailure("start", f"{self.command[0]}: {fault.strerror or fault}") from fault
        fields = {"protocol": PROTOCOL, "spec": SPEC, "folder": str(self.folder)}
        try:
            return process, read_hello(self._exchange(process, "hello", fields, self.patience.limits.start))
        except AdapterFailure as failure:
            process.kill()
            detail = failure.detail if failure.kind == "start" else str(failure)
            raise AdapterFailure("start", detail) from failure

    def _exchange(self, process: _Process, op: str, fields: Mapping[str, Any], seconds: float) -> Reply:
        number = next(self._ids)
        try:
            line = process.exchange(request_line(number, op, fields), seconds)
            return read_reply(line, number)
        except AdapterFailure as failure:
            stderr = "" if failure.kind == "stderr-flood" else process.stderr_end()
            process.kill()
            self._process = None
            self.patience.count(failure.kind)
            detail = f"{failure.detail}; standard error ends with: {stderr}" if stderr else failure.detail
            raise AdapterFailure(failure.kind, detail) from failure

    def _drop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None


class _Process:
    """One process, with a thread for each of its pipes, so that neither side can block the suite."""

    def __init__(self, command: Sequence[str], limits: Limits) -> None:
        self._limits = limits
        own_group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if _WINDOWS
            else {"start_new_session": True}
        )
        self._process = subprocess.Popen(  # noqa: S603 (the command is what the caller asked to run)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **own_group
        )
        self._events: Queue[_Event] = Queue(_WAITING_LINES)
        self._requests: Queue[bytes | None] = Queue()
        self._partial = 0
        self._stderr: deque[bytes] = deque()
        self._stderr_size = 0
        self._flood = self._flood_before = 0
        self._killed = False
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._threads = [
            Thread(target=target, args=(pipe,), daemon=True)
            for target, pipe in zip((self._write, self._read_stdout, self._read_stderr), pipes, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def exchange(self, request: bytes, seconds: float) -> bytes:
        """Send a line and wait for one.

        Raises:
            AdapterFailure: crash, hang, garbage, or stderr-flood.
        """
        with suppress(Empty):
            kind, data = self._events.get_nowait()
            if kind == "line":
                raise AdapterFailure("garbage", f"a line that nothing asked for: {excerpt(data)}")
            raise self._failure(kind, data)
        # What was written for the last request may be read only now.
        self._flood_before, self._flood = self._flood, 0
        self._requests.put(request)
        end = time.monotonic() + seconds
        try:
            kind, data = self._events.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            half = f", only {self._partial} bytes of a line without its end" if self._partial else ""
            raise AdapterFailure("hang", f"no reply within {seconds:g} s{half}") from None
        if kind == "line":
            return data
        raise self._failure(kind, data)

    def _failure(self, kind: str, data: bytes) -> AdapterFailure:
        found: FailureKind
        if kind == "long":
            found, detail = "garbage", f"a line of more than {self._limits.line} bytes: {excerpt(data)}"
        elif kind == "flood":
            found, detail = "stderr-flood", f"more than {self._limits.stderr} bytes on standard error for a request"
        else:
            code = self.wait(_AFTER_THE_END)
            how = "it closed its output and still runs" if code is None else f"it ended with {_exit_words(code)}"
            found, detail = "crash", how + (f", in the middle of a line: {excerpt(data)}" if data else "")
        return AdapterFailure(found, detail)

    def stderr_end(self) -> str:
        """What the process last wrote for people."""
        if self._process.poll() is not None:
            self._threads[2].join(0.2)
        text = b"".join(self._stderr).decode("utf-8", "backslashreplace").strip()
        return text[-_SHOWN_STDERR:]

    def close_input(self) -> None:
        self._requests.put(None)

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End the process and its children, whatever they do."""
        self._killed = True
        self._requests.put(None)
        if sys.platform == "win32":
            if self._process.poll() is None:
                tree = ["taskkill", "/T", "/F", "/PID", str(self._process.pid)]
                subprocess.run(tree, capture_output=True, check=False)  # noqa: S603 (a program of Windows)
        elif self._process.returncode is None:  # not waited for yet, so that the id is still that of its group
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _write(self, pipe: Any) -> None:
        with suppress(OSError, ValueError):
            while (request := self._requests.get()) is not None:
                view = memoryview(request)
                while view:  # an unbuffered pipe may take a part
                    view = view[pipe.write(view) :]
        with suppress(OSError):
            pipe.close()

    def _read_stdout(self, pipe: Any) -> None:
        buffer = bytearray()
        while block := _read(pipe):
            start = len(buffer)
            buffer += block
            while (at := buffer.find(b"\n", start)) >= 0:
                self._put("line", bytes(buffer[:at]))
                del buffer[: at + 1]
                start = 0
            self._partial = len(buffer)
            if len(buffer) > self._limits.line:
                self._put("long", bytes(buffer[:1000]))
                return
        self._put("end", bytes(buffer))

    def _read_stderr(self, pipe: Any) -> None:
        while block := _read(pipe):
            self._stderr.append(block)
            self._stderr_size += len(block)
            while self._stderr_size - len(self._stderr[0]) > _KEPT_STDERR:
                self._stderr_size -= len(self._stderr.popleft())
            before, self._flood = self._flood, self._flood + len(block)
            most = 2 * self._limits.stderr - min(self._flood_before, self._limits.stderr)
            if before <= most < self._flood:
                self._put("flood", b"")

    def _put(self, kind: Literal["line", "long", "end", "flood"], data: bytes) -> None:
        # An adapter that writes without being asked waits here, until it is killed.
        while not self._killed:
            with suppress(Full):
                self._events.put((kind, data), timeout=0.2)
                return


def _read(pipe: Any) -> bytes:
    try:
        return pipe.read(_BLOCK) or b""
    except (OSError, ValueError):  # closed under the thread, at the end
        return b""


def _exit_words(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
