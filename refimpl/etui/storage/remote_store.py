"""A remote place through fsspec: ranges of its files, listings, and what is put there.

fsspec brings the transport, the credentials and the configuration of each store, and its retries. Here are those that
it lacks: every answer is measured against what was asked for, and asked again where it is not that.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from etui.errors import EtuiError, error, shown, without_secrets
from etui.storage.base import Buffer
from etui.storage.remote_entries import State, state_of
from etui.storage.remote_failures import ShortReadError, remote_errors, secrets_of, tried
from etui.storage.remote_http import WebFiles
from etui.storage.urls import Options, current_options, is_web, joined, protocol

# Ranges that are read at once; of a file system that is not made for it, one.
_THREADS = 8
_EXTRAS = {"http": "remote", "https": "remote", "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hub"}
# Stores in which a file is there as a whole or not at all; elsewhere it is written under another name first.
_ATOMIC = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "hf", "memory"}
# Those that can be asked not to replace a file, and those that take a large one in parts of a given size.
_CONDITIONAL = {"s3", "s3a", "gs", "gcs", "memory"}
_IN_PARTS = {"s3", "s3a", "gs", "gcs"}
# Most tensors are one request, and no answer is larger.
RANGE_BYTES = 64 * 1024 * 1024
# Several parts are sent at once, each out of memory.
PART_BYTES = 16 * 1024 * 1024

_Result = TypeVar("_Result")


class Store:
    """The place that a URL names, a file or a folder, and what is below it.

    Args:
        url: of the place.
        options: of the file system, as fsspec takes them, or of several by protocol; by default those of
            `etui.storage.urls.storage_options`, and else fsspec's own configuration.

    Attributes:
        url: of the place.
        where: the URL without credentials, for messages.
        path: of the place within the file system.
        read_only: whether nothing can be put there.

    Raises:
        UsageError: ``remote-url``.
        MissingExtraError: ``extra-remote``.
        StorageError: ``remote-failed``, the file system cannot be set up.
    """

    def __init__(self, url: str, options: Options | None = None) -> None:
        self.url = url
        self.where = without_secrets(url)
        self.read_only = is_web(url)
        chosen = _options_for(url, current_options() if options is None else options)
        self._secrets = tuple(secrets_of(chosen))
        self.fs, self.path = self._file_system(chosen)
        self._web = WebFiles(self.fs) if self.read_only else None
        kind = protocol(url)
        self._atomic, self._conditional, self._in_parts = kind in _ATOMIC, kind in _CONDITIONAL, kind in _IN_PARTS
        self.threads = _THREADS if getattr(self.fs, "async_impl", False) or kind == "memory" else 1

    def _file_system(self, options: Options) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs
        except ImportError as cause:
            raise error("extra-remote", where=self.where, found="fsspec") from cause
        with remote_errors(self.where, self._secrets):
            try:
                fs, path = url_to_fs(self.url, **options)
            except ImportError as cause:
                extra = _EXTRAS.get(protocol(self.url))
                hint = f'Run `pip install "etui[{extra}]"`.' if extra else "Install the package that fsspec names."
                raise error("extra-remote", where=self.where, found=str(cause), hint=hint) from cause
            except ValueError as cause:
                found = f"the protocol {shown(protocol(self.url))}"
                raise error("remote-url", where=self.where, found=found) from cause
        return fs, str(path)

    def key(self, name: str = "") -> str:
        """What the file system calls the place itself, or a file below it."""
        if not name:
            return self.path
        return joined(self.path, name) if self.read_only else f"{self.path.rstrip('/')}/{name}"

    def shown(self, key: str) -> str:
        """A key for messages."""
        return without_secrets(key) if self.read_only else f"{protocol(self.url)}://{key.lstrip('/')}"

    def _do(self, key: str, action: Callable[[], _Result], *, again: bool = False, writing: bool = False) -> _Result:
        with remote_errors(self.shown(key), self._secrets, writing=writing):
            return tried(action) if again else action()

    # Reading

    def tail(self, key: str, length: int) -> tuple[bytes, int | None]:
        """The last `length` bytes of a file, or all of it, and its size where that is known; one request."""

        def ask() -> tuple[bytes, int | None]:
            if self._web is not None:
                return self._web.tail(key, length)
            data = self.fs.cat_file(key, start=-length)
            if len(data) > length:
                raise ShortReadError(f"{len(data)} bytes for the last {length}")
            return data, len(data) if len(data) < length else None

        return self._do(key, ask, again=True)

    def range(self, key: str, start: int, length: int) -> bytes:
        """Exactly the bytes of a range, by one request."""
        if not length:
            return b""

        def ask() -> bytes:
            if self._web is not None:
                return self._web.range(key, start, length)
            data: bytes = self.fs.cat_file(key, start=start, end=start + length)
            if len(data) != length:
                raise ShortReadError(f"{len(data)} bytes for {length} from {start} on")
            return data

        return self._do(key, ask, again=True)

    def fetch(self, key: str, start: int, length: int) -> memoryview:
        """The same for any length: a very long range is read in pieces, several at once."""
        if length <= RANGE_BYTES or self.threads == 1:
            return memoryview(self.range(key, start, length))
        offsets = range(0, length, RANGE_BYTES)
        # Memory is taken only when the store has shown that the file reaches as far.
        last = self.range(key, start + offsets[-1], length - offsets[-1])
        data = bytearray(length)
        data[offsets[-1] :] = last

        def bring(at: int) -> None:
            data[at : at + RANGE_BYTES] = self.range(key, start + at, RANGE_BYTES)

        for _ in at_once(self.threads, bring, offsets[:-1]):
            pass
        return memoryview(data).toreadonly()

    def size(self, key: str) -> int:
        """The size of a file in bytes, by one request.

        Raises:
            StorageError: ``storage-failed``, it is not there.
        """
        return self.state(key).size

    def state(self, key: str) -> State:
        """The same with the store's mark of the content."""

        def ask() -> State:
            if self._web is not None:
                return State(self._web.size(key), "")
            self.fs.invalidate_cache(_folder_of(key))
            found = self.fs.info(key)
            if found["type"] != "file":
                raise FileNotFoundError(key)
            return state_of(found)

        return self._do(key, ask, again=True)

    def find_size(self, key: str) -> int | None:
        """The size of a file, or `None` if there is none."""
        try:
            return self.size(key)
        except OSError as cause:
            if is_missing(cause):
                return None
            raise

    def files(self, prefix: str = "", *, deep: bool = True) -> dict[str, Mapping[str, Any]]:
        """Every file below the place, or below a folder in it, by its name from the place on, as fsspec tells of it.

        Raises:
            StorageError: ``remote-listing``, the store cannot list.
        """
        if self.read_only:
            raise error("remote-listing", where=self.where)
        root = self.key(prefix).rstrip("/")
        base = self.path.rstrip("/") + "/"

        def ask() -> dict[str, Mapping[str, Any]]:
            self.fs.invalidate_cache(root)
            found = self.fs.find(root, maxdepth=None if deep else 1, detail=True)
            # Where the place itself is a file, it is not below it; some stores have an empty one for a folder.
            return {
                key.removeprefix(base): entry
                for key, entry in found.items()
                if key.startswith(base) and not key.endswith("/")
            }

        return self._do(root, ask, again=True)

    # Writing

    def put(self, key: str, data: Buffer, *, new: bool = False) -> None:
        """Put a file that is in memory.

        Args:
            key: of the file.
            data: its bytes.
            new: refuse to replace one, in one step where the store can.

        Raises:
            StorageError: ``remote-exists``, ``remote-readonly``, ``remote-failed``.
        """
        content = bytes(data)
        self._put(key, lambda at, how: self.fs.pipe_file(at, content, **how), new=new)

    def put_once(self, key: str, data: bytes) -> None:
        """Put a small file where none is.

        The store may have taken it although its answer was lost, so that the library's next try is refused. What is
        there then has these bytes.

        Raises:
            StorageError: ``remote-exists``, with other bytes.
        """
        try:
            self.put(key, data, new=True)
        except EtuiError as cause:
            if cause.code != "remote-exists" or self.tail(key, len(data) + 1)[0] != data:
                raise

    def upload(self, key: str, file: str | Path, *, new: bool = False) -> None:
        """Put a local file, and check that the store has all of it.

        Raises:
            StorageError: ``remote-exists``, ``remote-readonly``, ``remote-failed``, ``remote-write``.
        """
        self.put_file(key, file, new=new)
        self.check_kept(key, Path(file).stat().st_size)

    def put_file(self, key: str, file: str | Path, *, new: bool = False) -> None:
        """Put a local file: large ones in parts, several at once, as the file system does it."""
        parts: dict[str, Any] = {"chunksize": PART_BYTES} if self._in_parts else {}
        if protocol(self.url) == "memory":
            # Its files appear at once, and grow, unless they are put whole.
            self.put(key, Path(file).read_bytes(), new=new)
        else:
            self._put(key, lambda at, how: self.fs.put_file(str(file), at, **parts, **how), new=new)

    def check_kept(self, key: str, size: int) -> State:
        """Check that the store has all bytes of a file that was put there.

        Raises:
            StorageError: ``remote-write``.
        """
        found = self.state(key)
        if found.size != size:
            raise error("remote-write", where=self.shown(key), found=f"{found.size} bytes of {size}")
        return found

    def _put(self, key: str, put: Callable[[str, dict[str, str]], object], *, new: bool) -> None:
        self.require_writable()
        if new and not self._conditional:
            self._check_free(key)
        how = {"mode": "create"} if new and self._conditional else {}

        def act() -> None:
            if self._atomic:
                put(key, how)
                return
            self.fs.makedirs(_folder_of(key), exist_ok=True)
            beside = f"{key}.etui-{secrets.token_hex(4)}.tmp"
            try:
                put(beside, {})
                if new:
                    self._check_free(key)  # again: another's may have come meanwhile
                self.fs.mv(beside, key)
            except BaseException:
                with suppress(Exception):  # what went wrong first is told
                    self.fs.rm_file(beside)
                raise

        try:
            self._do(key, act, writing=True)
        except OSError as cause:
            if how and cause.errno == errno.EEXIST:
                raise error("remote-exists", where=self.shown(key)) from cause
            raise

    def _check_free(self, key: str) -> None:
        if self.find_size(key) is not None:
            raise error("remote-exists", where=self.shown(key))

    def remove(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""
        self.require_writable()

        def act() -> None:
            try:
                self.fs.rm_file(key)
            except FileNotFoundError:
                return
            finally:
                self.fs.invalidate_cache(_folder_of(key))

        self._do(key, act, again=True)

    def require_writable(self) -> None:
        """Refuse to write to a store that can only be read.

        Raises:
            StorageError: ``remote-readonly``.
        """
        if self.read_only:
            raise error("remote-readonly", where=self.where)

    def close(self) -> None:
        """Let go of what was kept in files."""
        if self._web is not None:
            self._web.close()

    def matches(self) -> list[str]:
        """The URLs of the files that the place names as a pattern of `glob`.

        Raises:
            StorageError: ``remote-listing``, ``remote-failed``.
        """
        if self.read_only:
            raise error("remote-listing", where=self.where)
        with remote_errors(self.where, self._secrets):
            self.fs.invalidate_cache()
            return [self.shown(str(key)) for key in self.fs.glob(self.path)]


def at_once(threads: int, act: Callable[[int], _Result], items: Iterable[int]) -> Iterator[_Result]:
    """What an action gives for each item, several at once; after a failure no further one is begun."""
    with ThreadPoolExecutor(threads, "etui-remote") as pool:
        jobs = [pool.submit(act, item) for item in items]
        try:
            for job in jobs:
                yield job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def matching(pattern: str) -> list[str]:
    """The URLs of the files that a pattern of `glob` names; none over HTTP, which cannot list.

    Raises:
        StorageError: ``remote-listing``, ``remote-failed``.
    """
    return Store(pattern).matches()


def is_missing(cause: BaseException) -> bool:
    """Whether an error says that a file is not there."""
    return isinstance(cause, OSError) and cause.errno == errno.ENOENT


def _folder_of(key: str) -> str:
    return key.rpartition("/")[0]


def _options_for(url: str, options: Options | None) -> Options:
    """The options of a URL's file system: given by protocol, or as they are."""
    if not options:
        return {}
    kind = protocol(url)
    if all(isinstance(value, Mapping) for value in options.values()) and all(map(_is_protocol, options)):
        found: Options = options.get(kind, {})
        return found
    return options


def _is_protocol(name: str) -> bool:
    try:
        from fsspec.registry import known_implementations, registry
    except ImportError:
        return False
    return name in known_implementations or name in registry
