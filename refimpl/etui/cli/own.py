"""What the commands for etuis alone have in common."""

from __future__ import annotations

from etui import bridges
from etui.errors import error


def require_own(location: str) -> None:
    """Refuse a file of another known format; what is of no known format is left to the reader, which says why.

    Raises:
        UsageError: ``format-unknown``.
        StorageError: nothing is there, or it cannot be read.
    """
    bridge = bridges.recognise(location)
    if bridge is not None and bridge.name != bridges.OWN:
        hint = "Make it an etui first with `etui convert`."
        raise error("format-unknown", where=location, found=f"{bridge.title} in place of an etui", hint=hint)
