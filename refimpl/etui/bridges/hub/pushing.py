"""Publishing an artifact on the Hub: one commit, which holds what changed (SPEC.md, annex S.2)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from etui._version import SPEC_VERSION
from etui.bridges.hub.card import NAME as CARD
from etui.bridges.hub.card import card as card_of
from etui.bridges.hub.repository import MAIN, RemoteFile, Repository, is_commit, place_of, sha256_of
from etui.canonical import json
from etui.containers import manifest as manifest_container
from etui.containers.data_writer import Progress
from etui.errors import EtuiError, RejectError, error, shown
from etui.limits import DEFAULT_LIMITS, MIB, Limits
from etui.locating import naming
from etui.shortage import shortage
from etui.storage import Location, open_artifact
from etui.storage.assembled import as_file
from etui.storage.base import ArtifactReader, ByteSource
from etui.storage.part_names import MANIFEST, check_part_name, role_of
from etui.storage.sources import BytesSource
from etui.storage.urls import is_url
from etui.verification import verify_reader

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

_SMALL_BYTES = MIB
_SHORT = len("sha256:") + 16
_REFERENCES = "refs/"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of an artifact that was published.

    Attributes:
        repo: ``user/name``.
        revision: the branch.
        commit: the commit that has the artifact.
        path_in_repo: the folder; empty for the root.
        identity: digest of the manifest.
        parts: number of parts, the manifest included.
        bytes: size of all parts.
        changed: names of the parts that the commit adds or changes, as the manifest has them.
        removed: names of the parts of the earlier artifact that it removes.
        card: whether a model card was added.
    """

    repo: str
    revision: str
    commit: str
    path_in_repo: str
    identity: str
    parts: int
    bytes: int
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    card: bool

    def as_json(self) -> dict[str, Any]:
        """The result as the schema `cli/push.schema.json` describes it."""
        found = {**asdict(self), "changed": list(self.changed), "removed": list(self.removed)}
        return {"format": "etui-push", "version": SPEC_VERSION, **found}


@shortage()
def push(
    source: Location,
    repo: str,
    *,
    revision: str | None = None,
    private: bool | None = None,
    message: str | None = None,
    path_in_repo: str = "",
    card: bool = True,
    token: str | bool | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Pushed:
    """Publish an artifact on the Hugging Face Hub, in directory form and in one commit.

    Every byte is verified first. Only parts that the branch does not have as they are go up; parts of an earlier
    artifact at the place that this one does not have are removed. No other file is touched.

    Args:
        source: an artifact: a path of either form, the bytes of a packed one, or part name -> bytes.
        repo: ``user/name``; a repository of models, which is made if it is not there.
        revision: the branch, which is made if it is not there; by default the main one.
        private: whether the repository is to be private; by default as it is, or as a new one is.
        message: of the commit.
        path_in_repo: a folder in the repository; by default its root.
        card: add a model card if the repository has none.
        token: by default the one that `hf auth login` has stored, or that the environment has; `False` for none.
        endpoint: address of the Hub; by default what huggingface_hub takes.
        progress: called while bytes are verified, as (what, bytes done, bytes in all).
        limits: refuse what is beyond these.

    Returns:
        What was published.

    Raises:
        RejectError: the artifact breaks a clause of SPEC.md, or a byte of it was changed.
        UsageError: ``hub-name``.
        StorageError: it cannot be read; a ``hub-`` code. The branch is as it was, but for ``hub-incomplete``.
        MissingExtraError: ``extra-hub``.
    """
    place = place_of(path_in_repo)
    branch = MAIN if revision is None else revision
    hub = Repository(repo, token=token, endpoint=endpoint)
    if is_commit(branch):
        raise error("hub-revision", where=repo, found=f"the commit {branch}", hint="Name a branch.")
    where = os.fspath(source) if isinstance(source, str | os.PathLike) else "<memory>"
    with naming(where), open_artifact(source, limits) as reader:
        found = verify_reader(reader, progress=progress, limits=limits)
        parts = {name: reader.source(name) for name in [*_listed(reader, limits), MANIFEST]}
        head = _head(hub, branch, private)
        there = hub.files(_paths(place, parts), head)
        earlier = _earlier(hub, there.get(place + MANIFEST), head, limits)
        changed = {name: part for name, part in parts.items() if not _is_there(there, place + name, part)}
        _check_place(hub, place, changed, there, earlier)
        removed = _removable(hub, place, earlier - parts.keys(), head)
        new_card = card_of(repo, place, found) if card and CARD not in there else None
        commit = head
        if changed or removed or new_card:
            folder = None if is_url(where) or reader.form != "directory" else Path(where)
            uploads = [_Upload.of(name, place + name, part, folder) for name, part in changed.items()]
            if new_card:
                uploads.append(_Upload.of(CARD, CARD, BytesSource(new_card), None))
            hub.send([upload.addition for upload in uploads], branch)
            for upload in uploads:
                upload.check()
            operations = [*(upload.addition for upload in uploads), *_deletions(place, removed)]
            said = message or f"Upload an etui, {found.identity[:_SHORT]}"
            commit = hub.publish(operations, branch, head, said)
            _check_published(hub, commit, place, changed)
        return Pushed(
            repo=repo,
            revision=branch,
            commit=commit,
            path_in_repo=place.removesuffix("/"),
            identity=found.identity,
            parts=found.parts,
            bytes=found.bytes,
            changed=tuple(sorted(changed)),
            removed=tuple(removed),
            card=new_card is not None,
        )


def _listed(reader: ArtifactReader, limits: Limits) -> list[str]:
    source = reader.source(MANIFEST)
    return sorted(manifest_container.decode(source.read(0, source.size), limits).parts)


def _head(hub: Repository, branch: str, private: bool | None) -> str:
    """The commit to build upon; the repository and the branch are made if they are not there."""
    try:
        main, is_private = hub.commit(MAIN)
    except EtuiError as fault:
        if fault.code != "hub-missing":
            raise
        hub.create(private=private)
        main, is_private = hub.commit(MAIN)
    if private not in {None, is_private}:
        found = "it is there, and " + ("private" if is_private else "public")
        raise error("hub-visibility", where=hub.name, found=found)
    if branch == MAIN:
        return main
    try:
        return hub.commit(branch)[0]
    except EtuiError as fault:
        if fault.code != "hub-revision" or branch.startswith(_REFERENCES):
            raise
    hub.branch(branch)
    return hub.commit(branch)[0]


def _earlier(hub: Repository, file: RemoteFile | None, head: str, limits: Limits) -> set[str]:
    """The parts of the artifact that is at the place; nothing if what is there is none."""
    if file is None or file.size > limits.document_bytes:
        return set()
    try:
        tree = json.decode(hub.read(file, head), where=MANIFEST, limits=limits)
    except RejectError:
        return set()
    parts = tree.get("parts")
    if tree.get("format") != "etui" or not isinstance(parts, dict):
        return set()
    return {MANIFEST, *(name for name in parts if _is_part(name, limits))}


def _is_part(name: str, limits: Limits) -> bool:
    """Whether a name that an earlier manifest lists is one of a part: any other file is not its to remove."""
    try:
        check_part_name(name, limits)
    except RejectError:
        return False
    return role_of(name) is not None


def _is_there(there: Mapping[str, RemoteFile | None], path: str, part: ByteSource) -> bool:
    file = there.get(path)
    return file is not None and file.holds(part)


def _paths(place: str, names: Iterable[str]) -> list[str]:
    """What a push looks at: the parts, the folders that they need, and the card."""
    paths = {place + name for name in names}
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    return sorted({*paths, *folders, CARD} - {"."})


def _check_place(
    hub: Repository,
    place: str,
    changed: Mapping[str, ByteSource],
    there: Mapping[str, RemoteFile | None],
    earlier: set[str],
) -> None:
    """Refuse to replace what is no part of the artifact that is at the place, by a part or by a folder for one."""
    paths = {place + name: name in earlier for name in changed}
    for path in sorted(there.keys() & set(_paths(place, changed)) - {CARD}):
        is_folder = there[path] is None
        if not paths[path] or is_folder if path in paths else not is_folder:
            raise error("hub-target", where=f"{hub.name}/{path}", found="what no manifest of an etui there lists")


def _removable(hub: Repository, place: str, names: set[str], head: str) -> list[str]:
    paths = [place + name for name in sorted(names)]
    return [path.removeprefix(place) for path, file in hub.files(paths, head).items() if file is not None]


@dataclass(frozen=True, slots=True)
class _Upload:
    """A part on its way up.

    Attributes:
        name: of the part.
        part: its bytes, as they were verified.
        addition: of huggingface_hub.
    """

    name: str
    part: ByteSource
    addition: CommitOperationAdd

    @classmethod
    def of(cls, name: str, path: str, part: ByteSource, folder: Path | None) -> Self:
        """A small part goes as it was verified; a large file of a local folder by its path, which Xet asks for."""
        from huggingface_hub import CommitOperationAdd

        if part.size <= _SMALL_BYTES:
            return cls(name, part, CommitOperationAdd(path, part.read(0, part.size)))
        return cls(name, part, CommitOperationAdd(path, as_file(part) if folder is None else str(folder / name)))

    def check(self) -> None:
        """Make sure that what went up is what was verified: another writer may have replaced a folder meanwhile."""
        by_path = isinstance(self.addition.path_or_fileobj, str)
        if by_path and self.addition.upload_info.sha256.hex() != sha256_of(self.part):
            raise error("hub-source", where=self.name, found="other bytes than were verified")


def _deletions(place: str, names: list[str]) -> list[Any]:
    from huggingface_hub import CommitOperationDelete

    return [CommitOperationDelete(place + name, is_folder=False) for name in names]


def _check_published(hub: Repository, commit: str, place: str, changed: Mapping[str, ByteSource]) -> None:
    """Make sure that the commit has the parts, whatever rules the repository has."""
    there = hub.files([place + name for name in changed], commit)
    for name, part in changed.items():
        if not _is_there(there, place + name, part):
            raise error("hub-incomplete", where=f"{hub.name}@{commit}", found=shown(place + name))
