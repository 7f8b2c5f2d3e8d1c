"""Adapters to begin with: a small complete program for each language, which claims nothing and answers everything."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The adapter to begin with in one language.

    Attributes:
        language: its name, which is that of its folder.
        adapter: the command that starts it, with `{folder}` for where it was written to.
        build: the command that has to come first, with `{folder}` too; empty if there is none.
    """

    language: str
    adapter: str
    build: str = ""

    def files(self) -> dict[str, bytes]:
        """Its files by their names below the folder, with `/` between segments."""
        root = _HERE / self.language
        paths = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}

    def adapter_command(self, folder: Path) -> str:
        """What starts the adapter that was written to a folder, as `--adapter` takes it."""
        return self.adapter.format(folder=shlex.quote(str(folder)))

    def build_command(self, folder: Path) -> str:
        """What a shell has to do before, or an empty text."""
        return self.build.format(folder=shlex.quote(str(folder)))


SKELETONS: Final[dict[str, Skeleton]] = {
    skeleton.language: skeleton
    for skeleton in (
        Skeleton("python", "python {folder}/adapter.py"),
        Skeleton("javascript", "node {folder}/adapter.mjs"),
        Skeleton(
            "rust", "{folder}/target/release/adapter", "cargo build --release --manifest-path {folder}/Cargo.toml"
        ),
        Skeleton("go", "{folder}/adapter", "(cd {folder} && go build -o adapter .)"),
        Skeleton(
            "cpp", "{folder}/build/adapter", "cmake -S {folder} -B {folder}/build && cmake --build {folder}/build"
        ),
        Skeleton("julia", "julia {folder}/adapter.jl"),
    )
}
