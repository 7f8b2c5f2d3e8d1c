"""Ranges of files over HTTP, through the session of fsspec's own file system: its options and headers hold here too.

What a server answers is checked against what was asked (RFC 9110, chapter 14): the range and the size that it states,
the number of bytes that come, and that all of them are of one version of the file. A server that knows no ranges sends
the whole file, which is then kept in a temporary one. What the caller gave for one host goes to no other one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from etui.errors import error, without_secrets
from etui.storage.remote_failures import ShortReadError
from etui.storage.remote_spool import filling, nameless, room, source_of
from etui.storage.sources import FileSource

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_NO_RANGE = re.compile(r"bytes \*/([0-9]{1,18})")
_CHUNK_BYTES = 1024 * 1024
_CONNECT_SECONDS, _SILENCE_SECONDS = 30, 60
_WHOLE, _PARTIAL, _MISSING, _CHANGED, _OUTSIDE = 200, 206, (404, 410), 412, 416
_MOVED = (301, 302, 303, 307, 308)
_MOST_MOVES = 10
# What is larger comes in ranges, or is downloaded by whoever wants it.
_MOST_WHOLE_BYTES = 64 * 1024**3
# What a caller gives for the host of a URL: in the options of a request, and in those of a session.
_FOR_HOST = {"headers", "auth", "cookies", "cookie_jar", "params", "base_url"}


@dataclass(slots=True)
class _Version:
    """What is known of a file from its first answer on.

    Attributes:
        size: in bytes.
        tag: its strong entity tag; empty if the server gives none.
        modified: when it was changed last, as the server says it.
        whole: all of its bytes, from a server that knows no ranges.
    """

    size: int
    tag: str
    modified: str
    whole: FileSource | None = None


class WebFiles:
    """Files of one file system of fsspec for HTTP.

    Args:
        fs: the file system.
    """

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self._versions: dict[str, _Version] = {}
        self._stranger: Any = None  # the session for other hosts, where the first one has secrets

    def tail(self, url: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes of a file, or all if it has fewer, and its size."""
        version = self._versions.get(url)
        if version is None or version.whole is None:
            data = self._get(url, f"bytes=-{length}", None, length)
            version = self._versions[url]
            if version.whole is None:
                return data, version.size
        length = min(length, version.size)
        return version.whole.read(version.size - length, length), version.size

    def range(self, url: str, start: int, length: int) -> bytes:
        """Exactly the bytes of a range."""
        version = self._versions.get(url)
        if version is not None and version.whole is not None:
            return _part(version.whole, start, length)
        data = self._get(url, f"bytes={start}-{start + length - 1}", start, length)
        whole = self._versions[url].whole
        return data if whole is None else _part(whole, start, length)

    def size(self, url: str) -> int:
        """The size of a file in bytes."""
        if url not in self._versions:
            self.tail(url, 1)
        return self._versions[url].size

    def close(self) -> None:
        """Let go of the files that were sent whole, and of connections."""
        for version in self._versions.values():
            if version.whole is not None:
                version.whole.close()
        if self._stranger is not None:
            self._fs.close_session(self._fs.loop, self._stranger)
            self._stranger = None

    def _get(self, url: str, wanted: str, start: int | None, length: int) -> bytes:
        from fsspec.asyn import sync

        return bytes(sync(self._fs.loop, self._answer, url, wanted, start, length))

    async def _answer(self, url: str, wanted: str, start: int | None, length: int) -> bytes:
        version = self._versions.get(url)
        headers = {"Range": wanted, "Accept-Encoding": "identity"}
        if version is not None and version.tag:
            headers["If-Match"] = version.tag
        async with self._asked(url, headers) as response:
            if response.status in _MISSING:
                raise FileNotFoundError(url)
            if response.status == _CHANGED:
                raise error("remote-changed", where=without_secrets(url), found="the server has another version")
            if response.status == _OUTSIDE:
                return self._outside(url, response, start)
            response.raise_for_status()
            if response.status == _WHOLE:
                await self._take_whole(url, response)
                return b""
            if response.status != _PARTIAL:
                raise ShortReadError(f"the status {response.status} for a range")
            expected = self._checked(url, response, start, length)
            return await _body(response, expected)

    @asynccontextmanager
    async def _asked(self, url: str, headers: dict[str, str]) -> AsyncIterator[Any]:
        """The answer to a request, after the redirections that come first.

        The library would take the caller's own headers along to another host.
        """
        import aiohttp
        from yarl import URL

        arguments = dict(self._fs.kwargs)
        follows = arguments.pop("allow_redirects", True)
        if "timeout" not in self._fs.client_kwargs:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
            arguments.setdefault("timeout", timeout)
        session, place = await self._fs.set_session(), self._fs.encode_url(url)
        for _ in range(_MOST_MOVES):
            every = {**arguments, "headers": {**arguments.get("headers", {}), **headers}, "allow_redirects": False}
            async with session.get(place, **every) as response:
                if not follows or response.status not in _MOVED or "Location" not in response.headers:
                    yield response
                    return
                to = place.join(URL(response.headers["Location"]))
            if to.scheme not in ("http", "https") or not to.host:
                raise error("remote-failed", where=without_secrets(url), found="a redirection to no web server")
            if to.origin() != place.origin():
                arguments = {name: value for name, value in arguments.items() if name not in _FOR_HOST}
                session = await self._strange_session()
            elif to.raw_user is None:
                to = to.with_user(place.user).with_password(place.password)
            place = to
        raise error("remote-failed", where=without_secrets(url), found=f"more than {_MOST_MOVES} redirections")

    async def _strange_session(self) -> Any:
        """A session that says nothing to a host which the caller gave for another one."""
        options = self._fs.client_kwargs
        if not _FOR_HOST & options.keys():
            return await self._fs.set_session()
        if self._stranger is None:
            kept = {name: value for name, value in options.items() if name not in _FOR_HOST}
            if "connector" in kept:
                kept["connector_owner"] = False
            self._stranger = await self._fs.get_client(loop=self._fs.loop, **kept)
        return self._stranger

    def _outside(self, url: str, response: Any, start: int | None) -> bytes:
        """An empty file has no last bytes; any other range that is refused is not there."""
        match = _NO_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if start is None and match is not None and int(match[1]) == 0:
            self._note(url, response, 0)
            return b""
        raise ShortReadError("no such range, as the server says")

    def _checked(self, url: str, response: Any, start: int | None, length: int) -> int:
        """How many bytes have to come, after the server's statement of what it sends was checked."""
        stated = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(stated)
        if match is None:
            raise ShortReadError(f"Content-Range {stated[:60]!r}")
        first, last, size = map(int, match.groups())
        begin = max(0, size - length) if start is None else start
        if (first, last) != (begin, (size if start is None else begin + length) - 1):
            raise ShortReadError(f"the bytes {first} to {last} of {size} for {length} from {begin} on")
        self._note(url, response, size)
        return last + 1 - first

    def _note(self, url: str, response: Any, size: int) -> None:
        """Remember a file's version at its first answer, and refuse another one later."""
        tag = response.headers.get("ETag", "")
        found = _Version(size, "" if tag.startswith("W/") else tag, response.headers.get("Last-Modified", ""))
        known = self._versions.setdefault(url, found)
        if (known.size, known.tag, known.modified) != (found.size, found.tag, found.modified):
            raise error(
                "remote-changed",
                where=without_secrets(url),
                found=f"a file of {found.size} bytes, and of {known.size} before",
            )

    async def _take_whole(self, url: str, response: Any) -> None:
        size = response.content_length
        if size is None or response.headers.get("Content-Encoding", "identity") != "identity":
            found = "a whole file of unknown size in place of a range"
            raise error("remote-ranges", where=without_secrets(url), found=found)
        most = min(_MOST_WHOLE_BYTES, room())
        if size > most:
            found = f"a whole file of {size} bytes in place of a range, and room for {most}"
            raise error("remote-ranges", where=without_secrets(url), found=found)
        self._note(url, response, size)
        file = nameless()
        with file:
            received = 0
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                received += len(chunk)
                if received > size:
                    break
                with filling():
                    file.write(chunk)
            if received != size:
                raise ShortReadError(f"{received} bytes of a file of {size}")
            if self._versions[url].whole is None:  # else it came twice at once
                with filling():
                    self._versions[url].whole = source_of(file, "a file that was sent whole")


def _part(whole: FileSource, start: int, length: int) -> bytes:
    if start + length > whole.size:
        raise ShortReadError(f"a file of {whole.size} bytes, and {length} from {start} on were asked for")
    return whole.read(start, length)


async def _body(response: Any, expected: int) -> bytes:
    """The bytes of a body, of which no more are taken than have to come."""
    chunks, received = [], 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        chunks.append(chunk)
        received += len(chunk)
        if received > expected:
            break
    if received != expected:
        raise ShortReadError(f"{received} bytes for {expected}")
    return b"".join(chunks)
