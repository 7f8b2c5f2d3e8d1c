"""The directory form: a folder with a file for each part (SPEC.md, chapter 8)."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etui_conformance.oracle import json, names
from etui_conformance.oracle.errors import Refusal


def read(path: str | os.PathLike[str], *, full: bool = False) -> dict[str, bytes]:
    """The parts in a folder: `manifest.json` and what it lists (F-1 to F-5).

    What the manifest says beyond names and sizes is for the reader of the parts to check.

    Args:
        path: the folder.
        full: whether to refuse a file that is not listed.

    Raises:
        Refusal: ``manifest-missing``, ``part-missing``, ``part-not-a-file``, ``part-size``, ``part-unlisted``, the
            codes of names, and those of the manifest's own JSON.
    """
    folder = Path(path)
    if not os.path.lexists(folder / names.MANIFEST):
        raise Refusal("manifest-missing", "", f"no {names.MANIFEST}")
    parts = {names.MANIFEST: _content(folder, names.MANIFEST, None)}
    listed = json.decode(parts[names.MANIFEST], names.MANIFEST).get("parts")
    if not isinstance(listed, dict):
        return parts  # which the reader of the manifest refuses
    names.check_part_names(listed)
    for name, entry in listed.items():
        parts[name] = _content(folder, name, entry.get("size") if isinstance(entry, dict) else None)
    if full:
        for found in _files(folder):
            if found not in parts:
                raise Refusal("part-unlisted", found, "a file that the manifest does not list")
    return parts


def write(parts: Mapping[str, bytes], path: str | os.PathLike[str]) -> None:
    """Write the parts into a folder of their own, which takes the place of what is at the path (F-6 to F-8).

    Everything is flushed before the folder is renamed to its place, the manifest last.
    """
    target = Path(path)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    for name in sorted(parts, key=lambda name: name == names.MANIFEST):
        file = fresh / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(parts[name])
            stream.flush()
            os.fsync(stream.fileno())
    fresh.chmod(0o755)
    old = None
    if os.path.lexists(target):
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        target.rename(old / target.name)
    fresh.rename(target)
    if old is not None:
        shutil.rmtree(old)


def _content(folder: Path, name: str, size: Any) -> bytes:
    """The bytes of a part, which must be a regular file below folders that are folders (F-1)."""
    place = folder
    steps = name.split("/")
    for index, step in enumerate(steps):
        place /= step
        try:
            mode = place.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise Refusal("part-missing", name, "no such file") from None
        if not (stat.S_ISREG(mode) if index == len(steps) - 1 else stat.S_ISDIR(mode)):
            raise Refusal("part-not-a-file", name, f"{step} is not a regular file, or is a link")
    if type(size) is int and place.stat().st_size != size:
        raise Refusal("part-size", name, f"{place.stat().st_size} bytes in place of {size}")
    return place.read_bytes()


def _files(folder: Path) -> list[str]:
    """The names of everything below a folder that is not itself a folder."""
    return sorted(
        (Path(root) / name).relative_to(folder).as_posix()
        for root, folders, files in os.walk(folder)
        for name in [*files, *(each for each in folders if (Path(root) / each).is_symlink())]
    )
