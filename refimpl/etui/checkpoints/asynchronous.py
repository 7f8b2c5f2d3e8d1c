"""Saving beside the training: a snapshot is taken, the training goes on, and a thread writes (SPEC.md, annex R.2).

    with AsyncSaver(Series("run/checkpoints")) as saver:
        for step in range(steps):
            train()
            if step % 100 == 0:
                saver.save(etui.torch.capture(module, optimizer), step, metrics={"loss": loss})

One save is written at a time, and whatever goes wrong with it is raised by the next call.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  see the end of the module
import os
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from traceback import clear_frames
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, SupportsIndex, TypeVar
from weakref import WeakSet

from etui.artifact import save_model
from etui.checkpoints.snapshot import Snapshots
from etui.containers.data_writer import Progress
from etui.errors import error
from etui.model import Model
from etui.moment import Moment
from etui.shortage import shortage
from etui.storage.objects import step_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etui.bridges.keras.live.moments import Moments

StrPath = str | os.PathLike[str]
Result = TypeVar("Result")


class Target(Protocol):
    """What takes steps: a `Series`, or what is like one."""

    def save(
        self,
        model: Any,
        step: int,
        *,
        metrics: Mapping[str, float] | None,
        replace: bool,
        shard_size: int | None,
        progress: Progress | None,
        time: datetime | None,
    ) -> Any:
        """Write a step."""


class AsyncSaver:
    """Saves models in the background, one at a time. A context manager, which waits for the last one when it is left.

    It copies what training changes before `save` returns, into memory that it keeps for the next save. An error of a
    write is raised by the next call of `save`, `wait` or `close`. If there is none before the object is dropped or
    Python ends, a warning says so, and the error is handed to `threading.excepthook`. Python waits for a write before
    it ends. A process that is forked takes over no write; its parent goes on with it.

    Args:
        target: a `Series`, or the path of an artifact, which each save replaces.
    """

    def __init__(self, target: Target | StrPath) -> None:
        self._target = target
        self._path = os.fspath(target) if isinstance(target, str | os.PathLike) else None
        self._snapshots = Snapshots()
        self._moments: Moments | None = None
        self._writing: _Writing[Any] | None = None
        self._last: Any = None
        self._closed = False
        self._forget()
        _SAVERS.add(self)

    def _forget(self) -> None:
        """Begin without a write, as after a fork: the thread and what it held are the parent's."""
        self._writing = None
        self._lock = threading.Lock()
        self._owner: int | None = None

    @property
    def busy(self) -> bool:
        """Whether a save is being written, so that the next one would wait."""
        return self._writing is not None and self._writing.is_alive()

    def save(
        self,
        model: Any,
        step: SupportsIndex | None = None,
        *,
        metrics: Mapping[str, float] | None = None,
        replace: bool = False,
        shard_size: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Take a snapshot of a model, and begin to write it; wait for an earlier save first.

        Args:
            model: an `etui.Model`, such as the `capture` functions give, or a live model of Keras, which is quicker to
                give than to capture. What becomes of it, of its variables and of its files after the call does not
                count.
            step: number of the step; without a meaning for the path of an artifact.
            metrics: of the step, as `Series.save` takes them; not for the path of an artifact.
            replace: whether a step of this number may be replaced; not for the path of an artifact.
            shard_size: bytes of data in one part at most.
            progress: called by the thread that writes, as (part name, bytes done, bytes in all).

        Raises:
            UsageError: ``save-async-closed``; ``save-async-target``; ``save-async-within``; ``live-model``;
                ``series-number``.
            TransferError: ``live-unbuilt``; ``live-config``; ``not-complete``.
            StorageError: ``out-of-memory``.
            Exception: what went wrong with the save before, which is told once; of this one, nothing was begun then.
        """
        with self._alone():
            if self._closed:
                raise error("save-async-closed", where=self._where(step))
            write = self._write(step, metrics=metrics, replace=replace, shard_size=shard_size, progress=progress)
            self._settle()
            writing = _Writing(self._snapshot(model, self._where(step)), write, self._where(step))
            self._writing = writing
            _PENDING.add(writing)
            try:
                with shortage():
                    writing.launch()
            except BaseException:
                if writing.cancel():  # else an interrupt came when the thread was at work already
                    self._done(writing)
                raise

    def wait(self) -> Any:
        """Wait until what was saved is written.

        Returns:
            What the last save gave: the `Step` of a series, or the identity of an artifact; `None` before the first.

        Raises:
            Exception: what went wrong with it.
        """
        with self._alone():
            self._settle()
            return self._last

    def close(self) -> None:
        """Wait for the last save, and give the memory back; later calls of `save` are refused.

        Raises:
            Exception: what went wrong with it. The object is closed all the same.
        """
        with self._alone():
            try:
                self._settle()
            finally:
                if self._writing is None:  # no interrupt came while it waited
                    self._closed = True
                    self._snapshots.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is None or isinstance(value, Exception):
            self.close()  # what it raises has `value` as its context
            return
        try:
            self.close()
        except Exception as fault:  # noqa: BLE001  an interrupt or an exit stays what it is, and tells both
            value.add_note(f"{self._where(None)}: the last save failed, too: {fault}")
            _tell(fault, None)

    def __del__(self) -> None:
        writing = getattr(self, "_writing", None)
        if writing is not None and not sys.is_finalizing():
            writing.drop()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One call at a time, of whatever thread; a signal handler may not call while another call is under way."""
        if self._owner == threading.get_ident():
            hint = "Let the signal handler set a flag, as `etui.checkpoints.Preemption` does."
            raise error("save-async-within", where=self._where(None), hint=hint)
        with self._lock:
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._owner = None

    def _settle(self) -> None:
        """Wait for the save that is under way, and raise what went wrong with it, once."""
        writing = self._writing
        if writing is None:
            return
        writing.end()
        fault = writing.fault
        if fault is None:
            self._last = writing.result
            self._done(writing)
            return
        try:
            raise fault  # noqa: TRY301  it came from another thread
        except BaseException as raised:
            # If it is another one, an interrupt, the fault waits for the next call.
            if raised is fault:
                self._done(writing)
            raise

    def _done(self, writing: _Writing[Any]) -> None:
        self._writing = None
        _PENDING.discard(writing)

    def _where(self, step: SupportsIndex | None) -> str:
        place = self._path or str(getattr(self._target, "location", type(self._target).__name__))
        return place if step is None else f"{place}, step {step}"

    @shortage()
    def _snapshot(self, model: Any, where: str) -> Callable[[], Model]:
        """What gives the model as it is now."""
        if not isinstance(model, Model | Moment):
            if self._moments is None:
                from etui.bridges.keras.live.moments import Moments

                self._moments = Moments("everything")
            model = self._moments.of(model, where, {}, {})
        if isinstance(model, Moment):
            return partial(model.model, self._snapshots.take(model.changing()))
        return partial(_same, self._snapshots.take(model))

    def _write(self, step: SupportsIndex | None, **options: Any) -> Callable[[Model], Any]:
        """What writes a snapshot; its time is that of the snapshot."""
        if self._path is None:
            if step is None:
                raise error("save-async-target", where=self._where(None), found="a save without the number of a step")
            target: Any = self._target
            return partial(_to_series, target, step_number(step), {**options, "time": datetime.now(UTC)})
        refused = [name for name in ("metrics", "replace") if options.pop(name)]
        if refused:
            raise error("save-async-target", where=self._path, found=f"{refused[0]} for an artifact of its own")
        return partial(_to_path, self._path, options)


def _to_series(target: Target, step: int, options: dict[str, Any], model: Model) -> Any:
    return target.save(model, step, **options)


def _to_path(path: str, options: dict[str, Any], model: Model) -> str:
    return save_model(model, path, **options)


def _same(model: Model) -> Model:
    return model


class _Writing(threading.Thread, Generic[Result]):
    """One save on its way.

    Attributes:
        result: what it gave.
        fault: what it raised.
    """

    def __init__(self, make: Callable[[], Model], write: Callable[[Model], Result], where: str) -> None:
        super().__init__(name=f"etui-save {where}", daemon=False)
        self.result: Result | None = None
        self.fault: BaseException | None = None
        self._make: Callable[[], Model] | None = make
        self._write = write
        self._where = where
        self._launched = self._dropped = False
        self._claim, self._telling = threading.Lock(), threading.Lock()

    def launch(self) -> None:
        """Start the thread."""
        self.start()
        self._launched = True

    def cancel(self) -> bool:
        """Have a thread that was not launched do nothing; false if it is at work already."""
        if not self._claim.acquire(blocking=False):
            return False
        self._make = None
        return True

    def run(self) -> None:
        """Write, and let go of the snapshot."""
        if not self._claim.acquire(blocking=False):
            return
        try:
            self.result = self._write(self._made())
        except BaseException as fault:  # noqa: BLE001  it is raised where the program can catch it
            fault.add_note(f"in the background save of {self._where}")
            _let_go(fault)
            self.fault = fault
        with self._telling:
            if self._dropped:
                self.tell()

    @shortage()
    def _made(self) -> Model:
        make, self._make = self._make, None
        assert make is not None  # noqa: S101  it was not canceled
        return make()

    def end(self) -> None:
        """Wait for the end."""
        if self._launched or not self.cancel():
            self.join()

    def drop(self) -> None:
        """Nobody will ask any more: a failure is told as soon as it is known."""
        state = "was under way" if self.is_alive() else "had failed"
        # Where this thread itself collects garbage while it tells, it is told when Python ends.
        if self._telling.acquire(blocking=False):
            try:
                self._dropped = True
                if self.fault is not None:
                    self.tell()
            finally:
                self._telling.release()
        if self.fault is not None or self.is_alive():
            text = f"an AsyncSaver was dropped without close() while the save of {self._where} {state}"
            warnings.warn(text, ResourceWarning, stacklevel=3)

    def tell(self) -> None:
        """Hand a failure that nobody asked for to the program's hook."""
        if self in _PENDING:
            _PENDING.discard(self)
            if self.fault is not None:
                _tell(self.fault, self)


def _let_go(fault: BaseException) -> None:
    """Let the frames of an error go of the snapshot, so that its memory is not kept until the error is raised."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [fault]
    while chain:
        one = chain.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            clear_frames(one.__traceback__)
            chain += [one.__cause__, one.__context__]


def _tell(fault: BaseException, thread: threading.Thread | None) -> None:
    """Hand an error that cannot be raised to the program's hook for such; by default it is printed."""
    if isinstance(fault, SystemExit):  # which the hook passes over
        fault = RuntimeError(f"the background save ended with {fault!r}")
    threading.excepthook(threading.ExceptHookArgs((type(fault), fault, fault.__traceback__, thread)))


_SAVERS: WeakSet[AsyncSaver] = WeakSet()
_PENDING: set[_Writing[Any]] = set()
"""Saves whose outcome nobody was told yet."""


def _finish() -> None:
    for writing in list(_PENDING):
        writing.end()
        writing.tell()


def _forked() -> None:
    _PENDING.clear()
    for saver in list(_SAVERS):
        saver._forget()  # noqa: SLF001  of this module


# When Python ends, pools of threads, which a write uses, take no more work before `atexit` is asked. Functions that are
# registered so run before that, the last registered first; that of the pools was registered when they were imported.
getattr(threading, "_register_atexit", atexit.register)(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
