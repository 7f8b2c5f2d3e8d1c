"""What the commands for etuis alone have in common."""

from __future__ import annotations

from etui import bridges
from etui.errors import error
from etui.storage.urls import is_url, local


def require_own(location: str) -> None:
    """Refuse a file of another known format; what is of no known format is left to the reader, which says why.

    So is what lies behind a URL, which would have to be copied to be known.

    Raises:
        UsageError: ``format-unknown``.
        StorageError: nothing is there, or it cannot be read.
    """
    if is_url(location):
        return
    bridge = bridges.recognise(local(location))
    if bridge is not None and bridge.name != bridges.OWN:
        hint = "Make it an etui first with `etui convert`."
        raise error("format-unknown", where=location, found=f"{bridge.title} in place of an etui", hint=hint)
