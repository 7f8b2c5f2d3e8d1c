"""A Chromium without a window, for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowserError(Exception):
    """There is no browser, or no playwright to drive it; the message says what to install."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright, for the block: that of `ETUI_CHROMIUM`, or a Chromium or Chrome of this machine.

    Raises:
        NoBrowserError: there is none.
    """
    try:
        playwright: Any = import_module("playwright.sync_api")
    except ImportError:
        raise NoBrowserError("playwright is not installed: pip install playwright") from None
    path = os.environ.get("ETUI_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise NoBrowserError(f"install chromium, or name one in ETUI_CHROMIUM (looked for {', '.join(NAMES)})")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield found
        finally:
            found.close()
