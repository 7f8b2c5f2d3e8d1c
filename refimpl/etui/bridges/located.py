"""Models of any format where they lie: a path, or a URL.

An etui behind a URL is read where it is. What another format's reader needs is a file or a folder, so that is copied
into the folder for temporary files first, and what its writer makes is sent when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etui import bridges
from etui.bridges.formats import Bridge
from etui.containers.data_writer import Progress
from etui.errors import EtuiError, RejectError, error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.base import read_on
from etui.storage.urls import is_url, local, name_of

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Located:
    """A model that was found.

    Attributes:
        bridge: of its format.
        place: the file or folder; `None` for an etui behind a URL.
        url: of the latter.
        limits: refuse what is beyond these.
        clean: removes a copy that was made.
    """

    bridge: Bridge
    place: Path | None
    url: str
    limits: Limits
    clean: Callable[[], None] | None = None

    def read(self, report: Report, *, native: bool, **options: Any) -> Model:
        """The model, as `Translator.read` gives it."""
        if self.place is None:
            return self._read_remote(report, native=native)
        try:
            model = self.bridge.translator.read(self.place, report, limits=self.limits, native=native, **options)
        except BaseException:
            if self.clean is not None:
                self.clean()
            raise
        if self.clean is not None:
            model.closing = _both(model.closing, self.clean)
        return model

    def _read_remote(self, report: Report, *, native: bool) -> Model:
        from etui import artifact
        from etui.bridges.own import leave_out_native
        from etui.storage import open_artifact

        reader = open_artifact(self.url, self.limits)
        try:
            model = artifact.load(reader, limits=self.limits)
            read_on(reader)
        except BaseException:
            reader.close()
            raise
        if not native:
            leave_out_native(model, report)
        return model


def _both(first: Callable[[], None] | None, second: Callable[[], None]) -> Callable[[], None]:
    def close() -> None:
        try:
            if first is not None:
                first()
        finally:
            second()

    return close


def locate(source: StrPath, *, limits: Limits = DEFAULT_LIMITS, progress: Progress | None = None) -> Located:
    """Find out what a model is, by its content; a file of another format behind a URL is copied for that.

    Args:
        source: the file or folder, or its URL.
        limits: refuse what is beyond these.
        progress: called while a copy is made, as (file, bytes done, bytes in all).

    Raises:
        UsageError: ``format-unknown``.
        RejectError: an etui behind a URL is refused.
        StorageError: it cannot be read.
    """
    if not is_url(source):
        source = local(source) if isinstance(source, str) else source
        return Located(bridges.of_source(source), Path(source), "", limits)
    url = os.fspath(source)
    suggested = bridges.by_suffix(name_of(url))
    fault: EtuiError | None = None
    if suggested is None or suggested.name == bridges.OWN:
        fault = _refusal(url, limits)
        if fault is None:
            return Located(bridges.by_name(bridges.OWN), None, url, limits)
    return _copied(url, limits, progress, fault)


def _refusal(url: str, limits: Limits) -> EtuiError | None:
    """Why what a URL names is no etui; `None` if it is one.

    Raises:
        EtuiError: it is a damaged etui, or cannot be read.
    """
    from etui.storage import open_artifact
    from etui.storage.remote import begins_as_packed, is_absent

    try:
        open_artifact(url, limits).close()
    except RejectError as fault:
        if fault.code == "manifest-missing" or (fault.code.startswith("zip-") and not begins_as_packed(url)):
            return fault
        raise
    except EtuiError as fault:
        if is_absent(fault):
            return fault
        raise
    return None


def _copied(url: str, limits: Limits, progress: Progress | None, fault: EtuiError | None) -> Located:
    from etui.storage.remote_download import download
    from etui.storage.remote_spool import held_folder
    from etui.storage.remote_store import Store

    folder = held_folder()
    try:
        name = name_of(url.rstrip("/")) or "model"
        try:
            with closing(Store(url)) as store:
                place = download(store, Path(folder.name), name, limits, progress)
        except OSError as missing:
            raise fault or missing from None
        return Located(bridges.of_source(place), place, url, limits, folder.cleanup)
    except BaseException:
        folder.cleanup()
        raise


@contextmanager
def target_of(target: StrPath, writer: Bridge, limits: Limits = DEFAULT_LIMITS) -> Iterator[StrPath]:
    """Where a bridge writes: the path itself, an etui's URL, or a temporary place from which it is sent to a URL.

    Raises:
        StorageError: ``remote-readonly``; ``remote-exists``, ``target-other-format``, what is there is not replaced.
    """
    if not is_url(target) or writer.name == bridges.OWN:
        yield local(target) if isinstance(target, str) else target
        return
    from etui.storage.remote_download import download, upload_files
    from etui.storage.remote_spool import scratch_folder
    from etui.storage.remote_store import Store

    url = os.fspath(target)
    store = Store(url)
    store.require_writable()
    name = name_of(url.rstrip("/"))
    if store.files():
        raise error("remote-exists", where=store.where, found="a folder with files in it")
    if store.find_size(store.key()):
        with scratch_folder() as scratch:
            if not writer.translator.recognises(download(store, scratch, name, limits)):
                raise error("target-other-format", where=store.where, found=f"it is not {writer.title!r}")
    with scratch_folder() as scratch:
        yield str(scratch / name)
        upload_files(store, scratch, name)
