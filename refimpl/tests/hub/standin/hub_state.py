"""What the stand-in for the Hub holds: repositories of commits, and the large files that they point to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n*.msgpack filter=lfs diff=lfs merge=lfs -text\n"
LARGE_SUFFIXES = (".safetensors", ".msgpack")
LARGE_BYTES = 10_000_000


class RefusedError(Exception):
    """An answer that is no success: a status, the Hub's code for it, and what it says."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class File:
    """A file of a commit; of a large one, `data` is what the store has."""

    data: bytes
    large: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def blob(self) -> str:
        content = self.pointer if self.large else self.data
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def as_json(self, path: str) -> dict[str, object]:
        found: dict[str, object] = {"type": "file", "path": path, "oid": self.blob, "size": len(self.data)}
        if self.large:
            found["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return found


@dataclass
class Repo:
    """A repository: its commits by id, its branches, and whether it is private."""

    name: str
    private: bool
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, File], message: str) -> str:
        """A new head of a branch; the same content again is another commit."""
        seed = f"{len(self.commits)} {message} {sorted((path, file.blob) for path, file in files.items())}"
        made = hashlib.sha1(seed.encode()).hexdigest()
        self.commits[made], self.branches[branch] = files, made
        self.messages.append(message)
        return made

    def resolve(self, revision: str) -> str:
        found = self.branches.get(revision, revision)
        if found not in self.commits:
            raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    def files(self, revision: str = "main") -> dict[str, File]:
        return self.commits[self.resolve(revision)]

    def paths(self, revision: str = "main") -> dict[str, bytes]:
        """What a test compares: path -> bytes."""
        return {path: file.data for path, file in self.files(revision).items()}

    def change(self, files: dict[str, bytes | None], branch: str = "main") -> str:
        """Commit behind the client's back: path -> bytes, or `None` to remove it."""
        found = dict(self.files(branch))
        for path, data in files.items():
            if data is None:
                del found[path]
            else:
                found[path] = File(data, path.endswith(LARGE_SUFFIXES))
        return self.commit(branch, found, "by someone else")


@dataclass
class State:
    """Everything: repositories, the store of large files, and tokens with the users that they are of."""

    repos: dict[str, Repo] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)
    pieces: dict[tuple[str, int], bytes] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def create(self, name: str, *, private: bool = False) -> Repo:
        if name in self.repos:
            raise RefusedError(409, "You already created this model repo")
        repo = self.repos[name] = Repo(name, private)
        repo.commit("main", {".gitattributes": File(ATTRIBUTES, False)}, "initial commit")
        return repo
