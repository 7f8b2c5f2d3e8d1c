"""URLs of remote places: what is one, how it is shown, and how names are joined to it.

Nothing is imported for it: every entry point asks here before it knows whether a place is remote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

Options = Mapping[str, Any]
"""Options of a file system, as fsspec takes them, or of several by protocol: ``{"s3": {…}, "https": {…}}``."""

_OPTIONS: ContextVar[Options | None] = ContextVar("etui_storage_options", default=None)
# A scheme, or several as fsspec chains them: `simplecache::s3://bucket/model.etui`.
_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*(?:://[^:]*)?::)*([A-Za-z][A-Za-z0-9+.\-]*)://", re.DOTALL)
_LOCAL = ("file", "local")
_WEB = ("http", "https")


@contextmanager
def storage_options(options: Options | None) -> Iterator[None]:
    """Let every URL of the block be opened with these options; `None` changes nothing."""
    if options is None:
        yield
        return
    token = _OPTIONS.set(options)
    try:
        yield
    finally:
        _OPTIONS.reset(token)


def current_options() -> Options | None:
    """The options of the block."""
    return _OPTIONS.get()


def is_url(location: object) -> bool:
    """Whether a location is the URL of a place that is not a path of this machine."""
    return isinstance(location, str) and bool(_URL.match(location)) and protocol(location) not in _LOCAL


def local(location: str) -> str:
    """The path that a ``file://`` URL is; every other text as it is."""
    match = _URL.match(location)
    if match is None or match[0].lower() not in {f"{scheme}://" for scheme in _LOCAL}:
        return location
    path = location[match.end() :]
    return unquote(path) if match[1].lower() == "file" else path


def protocol(url: str) -> str:
    """The scheme of the outermost file system of a URL, in lower case."""
    match = _URL.match(url)
    return url[: match.end()].partition("::")[0].removesuffix("://").lower() if match else ""


def is_web(url: str) -> bool:
    """Whether a URL is one of plain HTTP, whose files can only be read."""
    return protocol(url) in _WEB


def name_of(url: str) -> str:
    """The last name of a URL's path, without what follows `?`; empty for a folder's."""
    path = urlsplit(url).path if is_web(url) else url
    return path.rpartition("/")[2]


def suffix_of(url: str) -> str:
    """The suffix of the last name of a URL, with its dot; empty where there is none."""
    return PurePosixPath(name_of(url)).suffix


def lengthened(url: str, suffix: str) -> str:
    """The URL of the file beside what a URL names that has its name and a suffix; a query stays behind."""
    if not is_web(url):
        return url.rstrip("/") + suffix
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + suffix, parts.query, ""))


def joined(url: str, name: str) -> str:
    """The URL of a file in the folder that a URL is; a query stays behind."""
    if not is_web(url):
        return f"{url.rstrip('/')}/{name}"
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{quote(name, safe='/')}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
