"""Converting a model from one format to another, with an account of everything in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from etui import bridges
from etui.bridges import Bridge
from etui.bridges.located import locate, target_of
from etui.bridges.own import in_vocabulary
from etui.containers.data_writer import Progress
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.locating import naming
from etui.model import Blob, Model
from etui.report import CHANGED, LOST, OUTSIDE, Entry, Report
from etui.shortage import shortage
from etui.storage import urls
from etui.storage.isolating import isolation
from etui.storage.urls import Options, is_url

StrPath = str | os.PathLike[str]


_DIALECTS = ("keras", "tf_keras")


@shortage()
def read(
    source: StrPath,
    *,
    report: Report | None = None,
    native: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    config: StrPath | None = None,
    isolate: bool = True,
    progress: Progress | None = None,
    storage_options: Options | None = None,
) -> tuple[Model, Bridge]:
    """Read a model, which the caller closes, from a file or folder of any known format, told by its content.

    Args:
        source: the file or folder, or its URL.
        report: gets the reader's account.
        native: keep the source framework's own documents.
        limits: refuse what is beyond these.
        config: a file of any known format whose config is that of the model, for a source that has none of its own.
        isolate: let libhdf5 read the structure of HDF5 in a process of its own, in which it can open no other file, and
            whose memory and time are bounded; without it, a damaged file can end or stop this process. Where the
            system cannot hand open files to another process, this has no effect.
        progress: called while a file of another format than Etui's is copied from a URL, as (file, bytes done, bytes in
            all).
        storage_options: of the file system of a URL, as fsspec takes them; by default its own configuration.

    Returns:
        The model and the bridge of its format.

    Raises:
        UsageError: ``format-unknown``; ``reader-misuse`` for a config that the source's format does not take;
            ``config-source``, the file for it has none.
        RejectError: the content is refused.
        MissingExtraError: the format needs an optional dependency that is not installed.
        StorageError: it cannot be read; ``out-of-memory``.
    """
    account = Report() if report is None else report
    with isolation(isolate), urls.storage_options(storage_options):
        return _read(source, account, native=native, limits=limits, config=config, progress=progress)


def _read(
    source: StrPath,
    account: Report,
    *,
    native: bool,
    limits: Limits,
    config: StrPath | None,
    progress: Progress | None = None,
) -> tuple[Model, Bridge]:
    located = locate(source, limits=limits, progress=progress)
    bridge = located.bridge
    options: dict[str, Any] = {}
    assets: dict[str, Blob] = {}
    if config is not None:
        if not bridge.takes_config:
            found = f"a config, which {bridge.name} does not take"
            raise error("reader-misuse", where=os.fspath(source), found=found)
        options["config"], assets = _config_of(config, account, limits)
    with naming(os.fspath(source)):
        model = located.read(account, native=native, **options)
    if not model.assets:
        model.assets = assets
        for part in assets:
            account.add("asset", part, "restored", "from the file of the config")
    return model, bridge


def _config_of(path: StrPath, report: Report, limits: Limits) -> tuple[Any, dict[str, Blob]]:
    """The config that a file holds, as a bridge takes it, with the files of its layers.

    A part of it that the file's reader lost is lost here too.
    """
    from etui.bridges.keras.config_source import config_of

    account = Report()
    model, _ = _read(path, account, native=False, limits=limits, config=None)
    with model, naming(os.fspath(path)):
        found = config_of(in_vocabulary(model, "keras", account))
        assets = {part: Blob.of(blob.read(), blob.media_type) for part, blob in model.assets.items()}
    report.entries += [entry for entry in account.lost if entry.kind == "document"]
    return found, assets


@shortage()
def convert(
    source: StrPath,
    target: StrPath,
    *,
    to: str | None = None,
    strict: bool = True,
    native: bool = True,
    shard_size: int | None = None,
    form: str | None = None,
    config: StrPath | None = None,
    dialect: str | None = None,
    vocabulary: str | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    report: Report | None = None,
    isolate: bool = True,
    storage_options: Options | None = None,
) -> Report:
    """Convert a model; what is at the target stays until the new file is whole.

    Args:
        source: a file or folder of a known format, told by its content, or its URL.
        target: the file or folder to write or replace, or its URL; it may be the source.
        to: name of the target's format; by default what its suffix says, and a folder is an etui in directory form.
        strict: refuse to write if anything would be lost.
        native: keep the source framework's own documents, and use those that are still current.
        shard_size: bytes of data in one data part of an etui at most; `None` for a single part.
        form: ``"packed"`` or ``"directory"`` for an etui; by default what the target's name says.
        config: a file of any known format whose config is that of the model, for a source that has none of its own.
        dialect: ``"keras"`` or ``"tf_keras"``, for a target that exists in both; each format has its
            own default, which for a `.keras` file is ``"keras"``.
        vocabulary: ``"core"`` or ``"keras"``, the terms of an etui; by default those of the source.
        progress: called while data is written, as (part name, bytes done, bytes in all).
        limits: refuse what is beyond these.
        report: is filled instead of a new one, so that the account is at hand even if the conversion is refused.
        isolate: as `read` takes it.
        storage_options: of the file systems of URLs, as fsspec takes them, or by protocol where there are two.

    Returns:
        The account of every item in the source and of what became of it.

    Raises:
        UsageError: ``format-unknown``, ``config-source``; ``reader-misuse`` or ``writer-misuse`` for an option that
            the source's or the target's format does not have; ``remote-url``.
        TransferError: ``not-complete``; the target is as it was.
        RejectError: the source is refused, or the model breaks a clause of SPEC.md.
        MissingExtraError: a format needs an optional dependency that is not installed.
        StorageError: ``target-not-etui``, ``target-other-format``, ``storage-failed``, ``out-of-memory``, and of a
            store a code that begins with ``remote-``; the target is as it was.
    """
    account = Report() if report is None else report
    account.source, account.target = os.fspath(source), os.fspath(target)
    writer = bridges.of_target(target, to)
    options = _options(
        writer, target, {"shard_size": shard_size, "form": form, "dialect": dialect, "vocabulary": vocabulary}
    )
    if dialect not in (None, *_DIALECTS):
        found = f"the dialect {shown(dialect)}"
        raise error("writer-misuse", where=os.fspath(target), found=found, hint=f"Dialects: {', '.join(_DIALECTS)}.")
    reading, writing = Report(account.source), Report(account.source)
    reader: dict[str, Any] = {
        "native": native,
        "limits": limits,
        "config": config,
        "isolate": isolate,
        "progress": progress,
    }
    try:
        with urls.storage_options(storage_options), target_of(target, writer, limits) as place:
            _check_target(writer, place)
            model, _ = read(source, report=reading, **reader)
            with model, naming(account.source):
                if strict:
                    reading.require_complete()
                if writer.holds_keras:
                    model = in_vocabulary(model, "keras", writing)
                    if strict:
                        writing.require_complete()
                writer.translator.write(
                    model, place, writing, strict=strict, progress=progress, limits=limits, **options
                )
    finally:
        account.entries += merged(reading, writing)
    return account


def merged(reading: Report, writing: Report) -> list[Entry]:
    """One entry for each item: of the two directions, that which says the worse, or else the more, of it."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in [*reading.entries, *writing.entries]:
        key = (entry.kind, entry.subject)
        if key not in found or _gravity(entry) > _gravity(found[key]):
            found[key] = entry
    return list(found.values())


def _gravity(entry: Entry) -> tuple[int, bool]:
    ranks = [entry.status != "restored", entry.status in CHANGED, entry.status in OUTSIDE, entry.status in LOST]
    return max(rank * bool(is_so) for rank, is_so in enumerate(ranks, 1)), bool(entry.detail)


def _options(writer: Bridge, target: StrPath, options: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in writer.options:
            raise error("writer-misuse", where=os.fspath(target), found=f"{name}, which {writer.name} does not have")
    return given


def _check_target(writer: Bridge, target: StrPath) -> None:
    """Refuse to replace a file of another format; of Etui's own forms, the storage takes care itself."""
    path = Path(target)
    if writer.name == bridges.OWN or is_url(target) or not os.path.lexists(path):
        return
    if (path.is_file() and not path.stat().st_size) or (writer.folder and path.is_dir() and not any(path.iterdir())):
        return
    if not writer.translator.recognises(path):
        raise error("target-other-format", where=os.fspath(target), found=f"it is not {writer.title!r}")
