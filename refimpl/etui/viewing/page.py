"""A model on a page that needs nothing else: `etui.view`."""

from __future__ import annotations

import json
import os
import re
import sys
import webbrowser
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from etui.containers.data_writer import Progress
from etui.limits import DEFAULT_LIMITS, Limits
from etui.report import Report
from etui.shortage import shortage
from etui.storage.failures import storage_errors
from etui.storage.transaction import make_folders
from etui.storage.urls import Options
from etui.viewing.payload import payload
from etui.viewing.subjects import subject
from etui.viewing.targets import write_file

_TEMPLATE = Path(__file__).with_name("page.html")
_PLACE = "<!--etui-payload-->"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH = 80
_FRAME = (
    '<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" title="{title}" '
    'style="width:100%;height:640px;border:1px solid #8886;border-radius:8px"></iframe>'
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was written; in a notebook it shows itself.

    Attributes:
        path: of the file.
        opened: whether a browser was asked to show it.
        payload: what it shows, as the schema `view.schema.json` describes it.
        reports: of each model that was read from another format, else `None`.
    """

    path: Path
    opened: bool
    payload: dict[str, Any]
    reports: tuple[Report | None, ...]

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Page({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """For notebooks: the page itself, in a frame that cannot reach the notebook."""
        title = " and ".join(artifact["name"] for artifact in self.payload["artifacts"])
        return _FRAME.format(page=escape(page_of(self.payload)), title=escape(title))


@shortage()
def view(
    model: Any,
    other: Any = None,
    *,
    html: str | os.PathLike[str] | None = None,
    data: bool = True,
    browser: bool | None = None,
    isolate: bool = True,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> Page:
    """Write a page that shows a model, or what differs between two, and open it in the browser.

    The page needs no network and no other file: it may be sent, kept, and opened anywhere.

    Args:
        model: an `etui.Model`, a live model of Keras, a step of a series, or the path or URL of a file or folder of any
            known format.
        other: another one, which the page compares with the first.
        html: where to write the page; by default into the user's folder for caches.
        data: read every tensor, for its statistics; without it, the page shows no numbers.
        browser: open the page; by default if `html` is not given, and not in a notebook, which shows it itself.
        isolate: as `etui.convert` takes it.
        progress: called while tensors are read, as (tensor, bytes done, bytes in all).
        limits: refuse what is beyond these.
        storage_options: of the file systems of URLs, as fsspec takes them, or by protocol where there are two.

    Returns:
        The page. Where no browser can be opened, that is no error: its `path` is what to open.

    Raises:
        UsageError: ``view-subject``, ``format-unknown``.
        RejectError: a file's content is refused, that of a tensor included if `data` is asked for.
        MissingExtraError: a format needs an optional dependency that is not installed.
        StorageError: a file cannot be read, or the page not be written; ``target-other-format``, there is a file at
            its place that is no page; ``out-of-memory``.
    """
    with ExitStack() as stack:
        subjects = [
            stack.enter_context(
                subject(
                    source,
                    limits=limits,
                    progress=progress,
                    whole=data,
                    isolate=isolate,
                    storage_options=storage_options,
                )
            )
            for source in ([model] if other is None else [model, other])
        ]
        found = payload(subjects, data=data, progress=progress)
        reports = tuple(one.report for one in subjects)
    page = page_of(found).encode()
    path = _place(found) if html is None else Path(html)
    write_file(path, "HTML", page)
    wanted = browser if browser is not None else html is None and "ipykernel" not in sys.modules
    return Page(path, wanted and _open(path), found, reports)


def page_of(found: dict[str, Any]) -> str:
    """The page that shows a payload, as text.

    Raises:
        FileNotFoundError: the installation lacks the viewer.
    """
    if not _TEMPLATE.is_file():
        raise FileNotFoundError(f"{_TEMPLATE.name} is not in {_TEMPLATE.parent}: the installation is not complete")
    # No text of a file can end the element, or be taken for another one.
    text = json.dumps(found, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    before, place, after = _TEMPLATE.read_text(encoding="utf-8").partition(_PLACE)
    if not place or _PLACE in after:
        raise FileNotFoundError(f"{_TEMPLATE} does not have one place for what it is to show: it is damaged")
    return f'{before}<script type="application/json" id="etui-payload">{text}</script>{after}'


def _place(found: dict[str, Any]) -> Path:
    """A path in the user's folder for caches, the same for the same models."""
    artifacts = found["artifacts"]
    names = "-".join(artifact["name"] for artifact in artifacts)
    digests = "-".join(artifact["identity"].partition(":")[2][:12] for artifact in artifacts)
    folder = _caches() / "etui" / "pages"
    with storage_errors(str(folder)):
        make_folders(folder, flush=False)
    return folder / f"{_UNSAFE.sub('_', names)[:_NAME_LENGTH]}-{digests}.html"


def _caches() -> Path:
    if sys.platform == "win32":
        given, standard = os.environ.get("LOCALAPPDATA"), "AppData/Local"
    elif sys.platform == "darwin":
        given, standard = None, "Library/Caches"
    else:
        given, standard = os.environ.get("XDG_CACHE_HOME"), ".cache"
    return Path(given) if given and Path(given).is_absolute() else Path.home() / standard


def _open(path: Path) -> bool:
    """Ask a browser with windows to show a file; whether one was found."""
    screens = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")
    if sys.platform not in {"win32", "darwin"} and not any(os.environ.get(name) for name in screens):
        return False  # what is found there are browsers for terminals, which would take this one
    try:
        return webbrowser.open(path.absolute().as_uri())
    except (webbrowser.Error, OSError):
        return False
