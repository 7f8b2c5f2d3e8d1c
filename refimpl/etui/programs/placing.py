"""Programs put into artifacts and taken out again; every other part stays as it is, byte for byte."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as changed
from typing import Any

from etui import artifact, bridges, digest
from etui.containers import manifest as manifest_container
from etui.containers.data_writer import Progress
from etui.containers.manifest import Manifest, PartEntry
from etui.errors import error, shown, without_secrets
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Blob, Model
from etui.programs import kinds
from etui.programs.listing import names_of, parts_of
from etui.report import Report
from etui.storage import create_artifact, open_artifact, urls
from etui.storage.base import SLICE_BYTES, ArtifactReader, ByteSource
from etui.storage.holding import held
from etui.storage.part_names import check_part_name, order_key
from etui.storage.transaction import resolved
from etui.storage.urls import Options, is_url, local

StrPath = str | os.PathLike[str]

_FEATURE = "programs"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def make(
    model: Model,
    kind: str,
    name: str | None = None,
    *,
    report: Report | None = None,
    limits: Limits = DEFAULT_LIMITS,
    **options: Any,
) -> dict[str, Blob]:
    """The parts of a program made of a model, for `Model.programs`.

    Args:
        model: with its config and weights.
        kind: ``"onnx"`` or ``"stablehlo"``.
        name: of the program; by default that of the kind.
        report: gets the account of every module.
        limits: refuse what is beyond these.
        options: of the kind.

    Raises:
        UsageError: ``program-kind``; ``program-name``; ``program-option``.
        TransferError: the model cannot be said so.
        MissingExtraError: what makes it is not installed.
    """
    found = kinds.by_name(kind)
    name = _checked_name(found.name if name is None else name, limits)
    return found.maker.make(model, name, options, Report() if report is None else report, limits)


def add(
    location: StrPath | Model,
    kind: str,
    name: str | None = None,
    *,
    source: StrPath | None = None,
    replace: bool = False,
    report: Report | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
    **options: Any,
) -> str | None:
    """Add a program to an artifact, in one step; all its other parts are as they were, byte for byte.

    Args:
        location: path or URL of the artifact; or a model in memory, which gets the parts.
        kind: ``"onnx"`` or ``"stablehlo"``.
        name: of the program; by default that of the kind.
        source: a file of other software that is the program, for a kind that takes such; by default the program is
            made of the model.
        replace: take the place of a program of that name.
        report: gets the account.
        progress: called while the artifact is written, as (part, bytes done, bytes in all).
        limits: refuse what is beyond these.
        storage_options: of the file system of a URL.
        options: of the kind.

    Returns:
        The new identity of the artifact; `None` for a model in memory.

    Raises:
        UsageError: ``program-exists``; ``program-artifact``, a file of another format; as `make` says.
        TransferError: the model cannot be said so.
        RejectError: the artifact, or the source, is refused.
        StorageError: ``program-changed``; the artifact cannot be written; it is as it was.
    """
    account = Report() if report is None else report
    found = kinds.by_name(kind)
    name = _checked_name(found.name if name is None else name, limits)

    def parts(model: Model) -> dict[str, Blob]:
        if not replace and name in names_of(model):
            raise error("program-exists", found=shown(name))
        if source is None:
            return found.maker.make(model, name, options, account, limits)
        if options:
            raise error("program-option", found=f"{shown(sorted(options))} for a program that is there")
        return found.taker.take(model, name, source, account, limits)

    if isinstance(location, Model):
        made = parts(location)
        for part in parts_of(location, name):
            del location.programs[part]
        location.programs |= made
        return None
    with urls.storage_options(storage_options), _opened(location, limits) as opened:
        model = opened[1]
        made = parts(model)
        return _rewrite(location, opened, made, parts_of(model, name), progress=progress, limits=limits)


def add_parts(
    location: StrPath,
    parts: Mapping[str, Blob],
    *,
    replace: bool = False,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> str:
    """Add the parts of programs to an artifact, as `add` does; with `replace`, a program of a name goes as a whole.

    Raises:
        UsageError: ``program-exists``; ``program-artifact``; ``program-name``, a part that is not of a program.
        RejectError: the artifact is refused.
        StorageError: ``program-changed``; the artifact cannot be written; it is as it was.
    """
    for part in parts:
        folder, _, rest = part.partition("/")
        if folder != "programs" or "/" not in rest:
            raise error("program-name", found=shown(part))
        check_part_name(part, limits)
    names = sorted({part.split("/")[1] for part in parts})
    with urls.storage_options(storage_options), _opened(location, limits) as opened:
        model = opened[1]
        there = sorted(set(names) & set(names_of(model)))
        if there and not replace:
            raise error("program-exists", found=shown(there))
        gone = [part for name in there for part in parts_of(model, name)]
        return _rewrite(location, opened, parts, gone, progress=progress, limits=limits)


def remove(
    location: StrPath | Model,
    name: str,
    *,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> str | None:
    """Take a program out of an artifact, in one step; all other parts are as they were, byte for byte.

    Returns:
        The new identity of the artifact; `None` for a model in memory.

    Raises:
        UsageError: ``program-missing``; ``program-artifact``.
        RejectError: the artifact is refused.
        StorageError: ``program-changed``; the artifact cannot be written; it is as it was.
    """
    if isinstance(location, Model):
        for part in _there(location, name):
            del location.programs[part]
        return None
    with urls.storage_options(storage_options), _opened(location, limits) as opened:
        return _rewrite(location, opened, {}, _there(opened[1], name), progress=progress, limits=limits)


def _there(model: Model, name: str) -> list[str]:
    if name not in names_of(model):  # also what is only a folder in one
        raise error("program-missing", found=f"{shown(name)}, of {shown(names_of(model), 200)}")
    return parts_of(model, name)


@contextmanager
def _opened(location: StrPath, limits: Limits) -> Iterator[tuple[ArtifactReader, Model]]:
    """An artifact's storage with the model in it, for the time of a block, in which no other one changes it so."""
    with _held(location), _own(location, limits) as reader:
        yield reader, artifact.load(reader, limits=limits)


@contextmanager
def _held(location: StrPath) -> Iterator[None]:
    """What is in a store cannot be held; there, only `_check_unchanged` keeps two writers apart."""
    if is_url(location):
        yield
        return
    with held(resolved(local(os.fspath(location)))) as alone:
        if not alone:
            raise error("program-changed", where=os.fspath(location), found="another writer is at it")
        yield


def _check_unchanged(location: StrPath, model: Model, limits: Limits) -> None:
    """What others, who hold nothing, put there meanwhile would be lost."""
    with _own(location, limits) as reader:
        data = reader.source(manifest_container.DOCUMENT)
        now = digest.of(data.view(0, data.size), (model.digest or "").partition(":")[0] or "sha256")
    if now != model.digest:
        raise error("program-changed", where=without_secrets(os.fspath(location)), found=f"its identity is {now} now")


def _own(location: StrPath, limits: Limits) -> ArtifactReader:
    if not is_url(location):
        place = local(os.fspath(location))
        known = bridges.recognise(place)
        if known is None or known.name != bridges.OWN:
            found = "no known format" if known is None else known.title
            raise error("program-artifact", where=os.fspath(location), found=found)
    return open_artifact(location, limits)


def _rewrite(
    location: StrPath,
    opened: tuple[ArtifactReader, Model],
    added: Mapping[str, Blob],
    gone: Collection[str],
    *,
    progress: Progress | None,
    limits: Limits,
) -> str:
    """The artifact written again, in its own form and place: its parts as they are, less some, with others."""
    reader, model = opened
    if model.manifest is None:
        raise error("program-artifact", where=os.fspath(location), found="no manifest")
    sources: dict[str, ByteSource] = {name: reader.source(name) for name in model.manifest.parts if name not in gone}
    entries = {name: model.manifest.parts[name] for name in sources}
    for name, blob in added.items():
        sources[name] = blob.source
        entries[name] = PartEntry("program", blob.media_type, blob.size, digest.of(blob.view()))
    data = manifest_container.encode(_manifest(model.manifest, entries))
    manifest_container.decode(data, limits)  # a writer never makes what a reader refuses
    total, done = sum(entry.size for entry in entries.values()), 0
    with create_artifact(location, reader.form, limits) as writer:
        for name in sorted(entries, key=order_key):
            writer.write(name, entries[name].role, entries[name].size, _pieces(sources[name]))
            done += entries[name].size
            if progress is not None:
                progress(name, done, total)
        writer.write(manifest_container.DOCUMENT, "manifest", len(data), [data])
        _check_unchanged(location, model, limits)
        writer.commit()
    return digest.of(data)


def _manifest(manifest: Manifest, entries: dict[str, PartEntry]) -> Manifest:
    uses = any(entry.role == "program" for entry in entries.values())
    requires = sorted({*manifest.requires, _FEATURE} if uses else set(manifest.requires) - {_FEATURE})
    return changed(manifest, parts=entries, requires=requires)


def _pieces(source: ByteSource) -> Iterator[memoryview]:
    for start in range(0, source.size, SLICE_BYTES):
        yield source.view(start, min(SLICE_BYTES, source.size - start))


def _checked_name(name: str, limits: Limits) -> str:
    if not _NAME.fullmatch(name):
        raise error("program-name", found=shown(name))
    try:
        check_part_name(f"programs/{name}/main", limits)
    except Exception as cause:
        raise error("program-name", found=shown(name)) from cause
    return name
