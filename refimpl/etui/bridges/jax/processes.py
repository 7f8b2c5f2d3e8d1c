"""The processes of one program on several hosts: what one tells another, with an end to waiting (SPEC.md, annex R).

`jax.distributed.initialize` starts a service that keeps keys with values for all processes. JAX has no public name for
its client, and no other way to wait for a process that may be gone: its collectives have no time-out.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import jax

from etui.errors import error, shown

_NUMBERS = itertools.count()
_LONGEST_WAIT = 5.0  # seconds between two looks at whether the other is alive
_OVER = "DEADLINE_EXCEEDED"


class Processes:
    """All processes of the program, as one of them sees them during one call that all of them make.

    Attributes:
        rank: of this one; that of 0 coordinates.
        size: how many there are.
    """

    def __init__(self, timeout: float) -> None:
        """Begin a call; its number tells apart what is said in it.

        Args:
            timeout: seconds after which a process that gives no sign of life counts as gone.

        Raises:
            UsageError: ``distributed-processes``.
        """
        self.rank, self.size = int(jax.process_index()), int(jax.process_count())
        # Before anything can fail here and not elsewhere, or the processes would no longer count alike.
        self._number = next(_NUMBERS) if self.size > 1 else 0
        if not timeout > 0:
            raise error("jax-argument", found=f"timeout={shown(timeout)}")
        self._timeout = timeout
        self._beat = min(_LONGEST_WAIT, timeout / 4)
        self._client = _client() if self.size > 1 else None

    def tell(self, name: str, tree: Any) -> None:
        """Say something to whoever hears it.

        Args:
            name: under which it is heard, once in a call.
            tree: of JSON.

        Raises:
            StorageError: ``distributed-process``, the service cannot be reached.
        """
        if self._client is not None:
            with _service():
                self._client.key_value_set_bytes(self._key(name), json.dumps(tree).encode())

    def hear(self, name: str, rank: int) -> Any:
        """What another process tells under a name; waits for it as long as that process is alive.

        Args:
            name: of what is told.
            rank: who tells it.

        Returns:
            A tree of JSON.

        Raises:
            StorageError: ``distributed-timeout``, no sign of life; ``distributed-process``, the service is gone.
        """
        seen, since = self._sign(rank), monotonic()
        while True:
            found = self._get(name, self._beat)
            if found is not None:
                return json.loads(found)
            sign = self._sign(rank)
            if sign != seen:
                seen, since = sign, monotonic()
            elif monotonic() - since >= self._timeout:
                what = f"no sign of life for {self._timeout:g} seconds, while `{name}` was awaited"
                raise error("distributed-timeout", where=f"process {rank}", found=what)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """A block during which this process gives signs of life, however long a write in it takes."""
        if self._client is None:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(target=self._give_signs, args=(over,), name="etui-alive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def forget(self) -> None:
        """Remove what was said in the call before this one, after everyone has begun this one."""
        if self._client is not None and self._number:
            with _service():
                self._client.key_value_delete(f"etui/{self._number - 1}")

    def _key(self, name: str) -> str:
        return f"etui/{self._number}/{name}"

    def _get(self, name: str, seconds: float) -> bytes | None:
        assert self._client is not None  # noqa: S101  a process alone hears nobody
        with _service():
            try:
                return bytes(self._client.blocking_key_value_get_bytes(self._key(name), max(1, int(seconds * 1000))))
            except RuntimeError as cause:
                if _OVER not in str(cause):
                    raise
                return None

    def _sign(self, rank: int) -> bytes:
        """The latest sign of life of a process; empty before the first."""
        assert self._client is not None  # noqa: S101
        try:
            return bytes(self._client.key_value_try_get_bytes(self._key(f"alive/{rank}")))
        except RuntimeError:  # none yet; if the service is gone, the next call says so
            return b""

    def _give_signs(self, over: threading.Event) -> None:
        assert self._client is not None  # noqa: S101
        key = self._key(f"alive/{self.rank}")
        for number in itertools.count():
            try:
                self._client.key_value_set_bytes(key, str(number).encode(), allow_overwrite=True)
            except RuntimeError:  # the service is gone, which what is told next finds out
                return
            if over.wait(self._beat):
                return


@contextmanager
def _service() -> Iterator[None]:
    """What the service's client raises, with a code."""
    try:
        yield
    except RuntimeError as cause:  # of which JAX's own errors are
        found = " ".join(str(cause).split())
        raise error("distributed-process", where="JAX's coordination service", found=shown(found, 200)) from cause


def _client() -> Any:
    """The client of the service.

    Raises:
        UsageError: ``distributed-processes``, several processes without it, or a JAX that has it elsewhere.
    """
    try:
        from jax._src.distributed import global_state

        client = global_state.client
    except (ImportError, AttributeError) as cause:
        raise error(
            "distributed-processes", found=f"JAX {jax.__version__}, which keeps its client elsewhere"
        ) from cause
    if client is None:
        raise error("distributed-processes", found=f"{jax.process_count()} processes and no service")
    return client
