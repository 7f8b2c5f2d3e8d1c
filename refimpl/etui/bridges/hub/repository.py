"""One repository of models on the Hub: its commits, what files they have, and the files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etui._version import __version__
from etui.bridges.hub.answers import answers
from etui.errors import error, shown
from etui.storage.base import SLICE_BYTES, ByteSource
from etui.storage.part_names import check_part_name
from etui.storage.sources import mapped_file

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"
_BATCH = 500  # paths in one request, of which the Hub takes 1,000
_PATIENCE = 30  # seconds for an answer that is no file
_REPO = re.compile(r"[^/\s]+/[^/\s]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a commit.

    Attributes:
        path: from the root of the repository.
        size: in bytes.
        blob: its id in git; of a large file, which git does not hold, that of the pointer to it.
        sha256: of a large file, in lowercase hex.
    """

    path: str
    size: int
    blob: str
    sha256: str | None = None

    def holds(self, source: ByteSource) -> bool:
        """Whether these are the bytes of the file."""
        if source.size != self.size:
            return False
        if self.sha256 is not None:
            return sha256_of(source) == self.sha256
        # Git names what it holds so; this is no protection, which the digests of the manifest are.
        hasher = hashlib.sha1(b"blob %d\0" % source.size, usedforsecurity=False)
        for view in _slices(source):
            hasher.update(view)
        return hasher.hexdigest() == self.blob


def sha256_of(source: ByteSource) -> str:
    """The SHA-256 of all bytes of a source, in lowercase hex."""
    hasher = hashlib.sha256()
    for view in _slices(source):
        hasher.update(view)
    return hasher.hexdigest()


def _slices(source: ByteSource) -> Iterable[memoryview]:
    for start in range(0, source.size, SLICE_BYTES):
        yield source.view(start, min(SLICE_BYTES, source.size - start))


class Repository:
    """A repository as huggingface_hub reaches it.

    Args:
        name: ``user/name``.
        token: what to show to the Hub; `None` for the one that is stored or in the environment, `False` for none.
        endpoint: address of the Hub; by default what huggingface_hub takes.
        cache: folder of downloads; by default what huggingface_hub takes.

    Raises:
        UsageError: ``hub-name``.
        MissingExtraError: ``extra-hub``.
    """

    def __init__(
        self, name: str, *, token: str | bool | None = None, endpoint: str | None = None, cache: Path | None = None
    ) -> None:
        try:
            from huggingface_hub import HfApi
        except ImportError as cause:
            raise error("extra-hub") from cause
        if not _REPO.fullmatch(name):
            raise error("hub-name", found=shown(name), hint="A repository is named user/name.")
        self.name = name
        self.answers = partial(answers, name, token)
        self._api: HfApi = HfApi(endpoint=endpoint, token=token, library_name="etui", library_version=__version__)
        self._cache = cache

    def commit(self, revision: str) -> tuple[str, bool]:
        """The commit that a branch, a tag or a commit's own id stands for, and whether the repository is private.

        Raises:
            StorageError: ``hub-missing``, ``hub-revision`` and other ``hub-`` codes.
        """
        with self.answers():
            info = self._api.repo_info(self.name, revision=revision, timeout=_PATIENCE)
        found = str(info.sha)
        if not is_commit(found) or (is_commit(revision) and found != revision):
            raise error("hub-failed", where=self.name, found=f"the commit {shown(found)} for {shown(revision)}")
        return found, bool(info.private)

    def create(self, *, private: bool | None) -> None:
        """Make the repository, which is not there."""
        with self.answers():
            self._api.create_repo(self.name, private=private, exist_ok=True)

    def branch(self, name: str) -> None:
        """Make a branch that begins at the head of the main one."""
        with self.answers():
            self._api.create_branch(self.name, branch=name, exist_ok=True)

    def files(self, paths: Sequence[str], commit: str) -> dict[str, RemoteFile | None]:
        """Which of these paths a commit has: path -> file, or `None` for a folder."""
        found: dict[str, RemoteFile | None] = {}
        for start in range(0, len(paths), _BATCH):
            with self.answers():
                infos = self._api.get_paths_info(self.name, list(paths[start : start + _BATCH]), revision=commit)
                found |= {info.path: _file(info) for info in infos}
        return {path: found[path] for path in paths if path in found}

    def download(self, path: str, commit: str, *, again: bool = False) -> Path:
        """A file of a commit, in the cache of the Hub's own library.

        Args:
            path: from the root of the repository; the caller made sure that it is one of a part.
            commit: the commit's id.
            again: whether it is there already, and damaged.
        """
        cache = self._cache
        with self.answers():
            return Path(
                self._api.hf_hub_download(self.name, path, revision=commit, cache_dir=cache, force_download=again)
            )

    def read(self, file: RemoteFile, commit: str) -> bytes:
        """The bytes of a small file, as the commit has them.

        Raises:
            IntegrityError: ``digest-mismatch``, the Hub gives others.
        """
        for again in (False, True):  # what is in the cache may be damaged
            with closing(mapped_file(self.download(file.path, commit, again=again))) as source:
                if file.holds(source):
                    return source.read(0, source.size)
        raise error("digest-mismatch", where=file.path, found="bytes that are not those of the commit")

    def send(self, additions: Sequence[Any], branch: str) -> None:
        """Upload what is large, which no commit shows yet.

        Args:
            additions: of huggingface_hub.
            branch: the branch to be committed to.
        """
        with self.answers():
            # A pattern of the repository's own .gitignore would leave parts out without a word.
            nothing = "# every part belongs to the model\n"
            self._api.preupload_lfs_files(
                self.name, additions, revision=branch, gitignore_content=nothing, free_memory=False
            )

    def publish(self, operations: Sequence[Any], branch: str, parent: str, message: str) -> str:
        """Commit, if the branch is still at `parent`; gives the new commit."""
        with self.answers():
            made = self._api.create_commit(
                self.name, operations, commit_message=message, revision=branch, parent_commit=parent
            )
        return str(made.oid)


def _file(info: Any) -> RemoteFile | None:
    if not hasattr(info, "blob_id"):
        return None
    large = info.lfs
    size = large.size if large else info.size
    return RemoteFile(info.path, size, info.blob_id, large.sha256 if large else None)


def place_of(folder: str) -> str:
    """What the paths of an artifact in a folder of a repository begin with.

    Args:
        folder: its path from the root of the repository; empty for the root itself.

    Raises:
        UnsafeError: ``part-name``.
        LimitError: ``limit-path``.
    """
    text = folder.removesuffix("/")
    if not text:
        return ""
    check_part_name(text)
    return f"{text}/"


def is_commit(revision: str) -> bool:
    """Whether a revision is the id of a commit."""
    return _COMMIT.fullmatch(revision) is not None
