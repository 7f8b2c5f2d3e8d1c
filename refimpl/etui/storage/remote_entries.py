"""What a store says of a file, as the file systems of fsspec list it: each names and writes it in its own way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

# What fsspec's file systems call the time of a file, and what changes with its content.
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
_TAGS = ("ETag", "etag", "generation")


class State(NamedTuple):
    """What a store says of a file: its size in bytes, and a text that another content changes; empty if it has none."""

    size: int
    tag: str


def state_of(entry: Mapping[str, Any]) -> State:
    """What a listing says of a file; some stores put quotation marks around a tag here and not there."""
    tag = next((str(entry[name]) for name in _TAGS if entry.get(name)), "")
    return State(int(entry["size"]), tag.strip('"'))


def time_of(entry: Mapping[str, Any]) -> float:
    """When a file came, in seconds since the epoch; now, where the store does not say."""
    found = next((entry[name] for name in _TIMES if entry.get(name) is not None), None)
    if isinstance(found, str):
        with suppress(ValueError):
            found = datetime.fromisoformat(found)
    if isinstance(found, datetime):
        # Without a time zone it may be of either; the later one makes no file older than it is.
        return found.timestamp() if found.tzinfo else max(found.timestamp(), found.replace(tzinfo=UTC).timestamp())
    return float(found) if isinstance(found, int | float) else time.time()
