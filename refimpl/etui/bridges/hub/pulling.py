"""Fetching an artifact from the Hub: of one commit, verified before it takes its place (SPEC.md, annex S.2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etui import digest
from etui._version import SPEC_VERSION
from etui.bridges import is_folder
from etui.bridges.hub.repository import MAIN, RemoteFile, Repository, place_of
from etui.bridges.hub.threads import in_threads
from etui.containers import manifest as manifest_container
from etui.containers.data_writer import Progress
from etui.containers.manifest import Manifest
from etui.copying import copy_parts
from etui.errors import EtuiError, RejectError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.locating import naming
from etui.shortage import shortage
from etui.storage import create_artifact, open_artifact
from etui.storage.assembled import AssembledReader
from etui.storage.base import ArtifactReader, ByteSource, Form
from etui.storage.part_names import MANIFEST
from etui.storage.reading import missing
from etui.storage.sources import BytesSource, FileSource, mapped_file
from etui.storage.targets import check_target
from etui.storage.transaction import resolved
from etui.storage.urls import is_url
from etui.verification import Verification, verify_reader

_TOGETHER = 4  # downloads at a time


@dataclass(frozen=True, slots=True)
class Pulled:
    """What was fetched.

    Attributes:
        repo: ``user/name``.
        commit: the commit that it is of.
        path_in_repo: the folder; empty for the root.
        target: where it is now.
        form: ``"packed"`` or ``"directory"``.
        identity: digest of the manifest.
        parts: number of parts, the manifest included.
        bytes: size of all parts.
        fetched: names of the parts that came from the Hub, or from the cache of its library.
        kept: names of the parts that the earlier artifact at the target had.
    """

    repo: str
    commit: str
    path_in_repo: str
    target: str
    form: str
    identity: str
    parts: int
    bytes: int
    fetched: tuple[str, ...]
    kept: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The result as the schema `cli/pull.schema.json` describes it."""
        found = {**asdict(self), "fetched": list(self.fetched), "kept": list(self.kept)}
        return {"format": "etui-pull", "version": SPEC_VERSION, **found}


@shortage()
def pull(
    repo: str,
    target: str | os.PathLike[str],
    *,
    revision: str | None = None,
    path_in_repo: str = "",
    identity: str | None = None,
    form: str | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Pulled:
    """Fetch an artifact from the Hugging Face Hub; what is at the target stays until every byte is verified.

    Files come through the cache of huggingface_hub: what it has whole is not downloaded again, nor is what an earlier
    artifact at the target has, so that a pull that was stopped goes on where it was.

    Args:
        repo: ``user/name``, a repository of models.
        target: the file or folder to write or replace.
        revision: a branch, a tag, or the id of a commit, which pins it; by default the main branch.
        path_in_repo: the folder of the artifact; by default the root of the repository.
        identity: refuse an artifact whose manifest has another digest.
        form: ``"packed"`` or ``"directory"``; by default what the target's name says, as in `etui.convert`.
        token: by default the one that `hf auth login` has stored, or that the environment has; `False` for none.
        endpoint: address of the Hub; by default what huggingface_hub takes.
        cache: folder of downloads; by default what huggingface_hub takes.
        progress: called while bytes are verified and written, as (what, bytes done, bytes in all).
        limits: refuse what is beyond these.

    Returns:
        What was fetched.

    Raises:
        RejectError: ``manifest-missing``, there is no artifact; another code of SPEC.md, it breaks a clause, or bytes
            of it were changed.
        UsageError: ``hub-name``, ``writer-misuse``, ``digest-form``.
        StorageError: a ``hub-`` code; ``target-not-etui``, ``storage-failed``. The target is as it was.
        MissingExtraError: ``extra-hub``.
    """
    place = place_of(path_in_repo)
    hub = Repository(repo, token=token, endpoint=endpoint, cache=None if cache is None else Path(cache))
    text = os.fspath(target)
    kind = _form_of(text, form)
    if identity is not None:
        digest.parse(identity, "identity")
    if not is_url(text):
        check_target(resolved(text), kind, limits)  # also before the Hub is asked for anything
    commit, _ = hub.commit(MAIN if revision is None else revision)
    with naming(f"{repo}@{commit[:12]}"):
        data = _manifest(hub, place, commit, limits)
        if identity is not None and digest.of(data, identity.partition(":")[0]) != identity:
            raise error("digest-mismatch", where=MANIFEST, found=f"the identity {digest.of(data)}, not {identity}")
        manifest = manifest_container.decode(data, limits)
        wanted = _wanted(hub, place, manifest, commit)
        with ExitStack() as stack:
            earlier = stack.enter_context(_earlier(text, limits))
            kept = _kept(earlier, wanted)
            files = stack.enter_context(closing(_Downloads(hub, commit, progress)))
            files.fetch({name: file for name, file in wanted.items() if name not in kept})

            def assembled() -> AssembledReader:
                sources = {MANIFEST: BytesSource(data), **kept, **files.sources}
                return AssembledReader(sources, f"{repo}@{commit[:12]}", limits)

            found = _verified(assembled, files, progress, limits)
            if files.sources or not _is_whole(earlier, kind, data, manifest):
                with create_artifact(text, kind, limits) as writer:
                    copy_parts(assembled(), manifest, writer, progress)
                    writer.commit()
            return Pulled(
                repo=repo,
                commit=commit,
                path_in_repo=place.removesuffix("/"),
                target=text,
                form=kind,
                identity=found.identity,
                parts=found.parts,
                bytes=found.bytes,
                fetched=tuple(sorted(files.sources)),
                kept=tuple(sorted(kept)),
            )


def _form_of(target: str, form: str | None) -> Form:
    if form not in {None, "packed", "directory"}:
        hint = "Forms: packed, directory."
        raise error("writer-misuse", where=target, found=f"the form {shown(form)}", hint=hint)
    return "directory" if form == "directory" or (form is None and is_folder(target)) else "packed"


def _manifest(hub: Repository, place: str, commit: str, limits: Limits) -> bytes:
    """The manifest, as the commit has it."""
    path = place + MANIFEST
    file = hub.files([path], commit).get(path)
    if file is None:
        raise missing(MANIFEST, f"{hub.name}@{commit}")
    if file.size > limits.document_bytes:
        raise error("limit-document", where=MANIFEST, found=f"{file.size} bytes")
    return hub.read(file, commit)


def _wanted(hub: Repository, place: str, manifest: Manifest, commit: str) -> dict[str, RemoteFile]:
    """Every listed part as the commit has it, before one of them is fetched."""
    there = hub.files([place + name for name in manifest.parts], commit)
    found = {}
    for name, entry in manifest.parts.items():
        path = place + name
        if path not in there:
            raise missing(name, f"{hub.name}@{commit}")
        file = there[path]
        if file is None:
            raise error("part-not-a-file", where=name, found="a folder")
        if file.size != entry.size:
            raise error("part-size", where=name, found=f"{file.size} bytes, not {entry.size}")
        found[name] = file
    return found


@contextmanager
def _earlier(target: str, limits: Limits) -> Iterator[ArtifactReader | None]:
    """The artifact at the target, if there is one that can be opened; it is open during the block."""
    try:
        reader = None if is_url(target) else open_artifact(target, limits)
    except EtuiError:
        reader = None
    with nullcontext() if reader is None else reader:
        yield reader


def _kept(earlier: ArtifactReader | None, wanted: Mapping[str, RemoteFile]) -> dict[str, ByteSource]:
    """The parts that an earlier artifact has already, byte for byte."""
    if earlier is None:
        return {}
    return {name: source for name, file in wanted.items() if (source := _same(earlier, name, file)) is not None}


def _same(reader: ArtifactReader, name: str, file: RemoteFile) -> ByteSource | None:
    try:
        source = reader.source(name)
        return source if file.holds(source) else None
    except EtuiError:
        return None


def _is_whole(earlier: ArtifactReader | None, form: Form, data: bytes, manifest: Manifest) -> bool:
    """Whether what is at the target needs no change: its parts are known to be those that are wanted."""
    if earlier is None or earlier.form != form:
        return False
    try:
        source = earlier.source(MANIFEST)
        if source.size != len(data) or source.read(0, source.size) != data:
            return False
        earlier.verify_container(manifest.parts.keys())
    except EtuiError:
        return False
    return True


def _verified(
    assembled: Callable[[], AssembledReader], files: _Downloads, progress: Progress | None, limits: Limits
) -> Verification:
    """Check every byte; files of the cache that are not those of the commit are fetched again, once."""
    try:
        return verify_reader(assembled(), progress=progress, limits=limits)
    except RejectError:
        damaged = files.damaged()
        if not damaged:
            raise
    files.fetch(damaged, again=True)
    return verify_reader(assembled(), progress=progress, limits=limits)


class _Downloads:
    """The files of a commit that are here, open.

    Args:
        hub: where they come from.
        commit: the commit.
        progress: called as (what, bytes done, bytes in all), several times a second, also where nothing goes on.

    Attributes:
        sources: part -> bytes.
    """

    def __init__(self, hub: Repository, commit: str, progress: Progress | None) -> None:
        self.sources: dict[str, FileSource] = {}
        self._wanted: dict[str, RemoteFile] = {}
        self._hub = hub
        self._commit = commit
        self._progress = progress

    def fetch(self, wanted: Mapping[str, RemoteFile], *, again: bool = False) -> None:
        """Get the files of these parts, the largest first, a few at a time.

        Args:
            wanted: part -> file.
            again: whether those of the cache are damaged.
        """
        total = sum(file.size for file in wanted.values())
        done = [0]

        def get(name: str) -> None:
            file = wanted[name]
            source = mapped_file(self._hub.download(file.path, self._commit, again=again))
            earlier = self.sources.get(name)
            self.sources[name], self._wanted[name] = source, file
            if earlier is not None:
                earlier.close()
            done.append(file.size)

        def tick() -> None:
            if self._progress is not None:
                self._progress("downloads", sum(done), total)

        in_threads(get, sorted(wanted, key=lambda name: -wanted[name].size), _TOGETHER, tick)

    def damaged(self) -> dict[str, RemoteFile]:
        """The parts whose files are not those of the commit."""
        return {
            name: self._wanted[name] for name, source in self.sources.items() if not self._wanted[name].holds(source)
        }

    def close(self) -> None:
        """Close the files."""
        for source in self.sources.values():
            source.close()
