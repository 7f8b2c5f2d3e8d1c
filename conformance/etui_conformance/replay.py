"""Failures written out so that each can be repeated alone (SPEC.md CF-55): one folder a failure.

failures/0001/failure.json     what was asked, expected and found, and the command that repeats it
failures/0001/files/…          the bytes that the request names, which it names there by relative paths
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from etui_conformance.checks.base import Check, Settings
from etui_conformance.protocol.wire import new_path
from etui_conformance.results import Finding

FORMAT: Final = "etui-conformance-failure"
NAME: Final = "failure.json"
_FILES: Final = "files"
_NEW: Final = "new"
_LARGEST: Final = 1 << 26


class ReplayError(Exception):
    """A folder that holds no failure; the message says why."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows a failure.

    Attributes:
        request: the message that was answered wrongly.
        files: further bytes by name, such as those of the artifact.
        earlier: the requests that the process got before.
    """

    request: Mapping[str, Any] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    earlier: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that was written out.

    Attributes:
        folder: that it is in.
        check, title: of the check.
        clauses: that it disproves.
        settings: of the run.
        request: that shows it, its files named by paths relative to the folder, or `None`.
        expected, found: as text.
        detail: in one sentence.
        leak: whether it came from state that was kept.
        earlier: of a leak, the requests that the process got before it, in the form of `request`.
    """

    folder: Path
    check: str
    title: str
    clauses: tuple[str, ...]
    settings: Settings
    request: Mapping[str, Any] | None
    expected: str | None
    found: str | None
    detail: str
    leak: bool
    earlier: tuple[Mapping[str, Any], ...] = ()


def write_failure(
    folder: Path,
    check: Check,
    finding: Finding,
    *,
    settings: Settings,
    evidence: Evidence,
    command: str,
) -> None:
    """Write a failure into a new folder.

    Args:
        folder: to make.
        check: that failed.
        finding: what was wrong.
        settings: of the run.
        evidence: what shows it; the files and folders that requests name are copied.
        command: that starts the adapter.
    """
    (folder / _FILES).mkdir(parents=True)
    for name, data in evidence.files.items():
        path = folder / _FILES / _harmless(name)
        with suppress(OSError):  # two hostile names may become one
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    copies = _Copies(folder)
    kept = None if evidence.request is None else copies.relative(evidence.request)
    if evidence.request is not None:
        copies.write_inline(evidence.request)
    earlier = [copies.relative(request) for request in evidence.earlier if finding.leak and _is_whole(request)]
    document = {
        "format": FORMAT,
        "version": "1.0",
        "check": check.id,
        "title": check.title,
        "clauses": list(check.clauses),
        "kind": finding.kind,
        "detail": finding.detail,
        "expected": finding.expected,
        "found": finding.found,
        "leak": finding.leak,
        "settings": {"quick": settings.quick, "seed": settings.seed, "examples": settings.examples},
        "adapter": command,
        "request": kept,
        "earlier": earlier,
        "replay": f"etui-conformance replay {folder.name} --adapter {json.dumps(command)}",
    }
    text = json.dumps(document, indent=2, ensure_ascii=True)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def read_failure(folder: Path) -> Failure:
    """A failure out of its folder.

    Raises:
        ReplayError: there is none.
    """
    path = folder / NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ReplayError(f"{path} is no failure of this suite")
        return Failure(
            folder=folder,
            check=document["check"],
            title=document["title"],
            clauses=tuple(document["clauses"]),
            settings=Settings(**document["settings"]),
            request=document["request"],
            expected=document["expected"],
            found=document["found"],
            detail=document["detail"],
            leak=document["leak"],
            earlier=tuple(document["earlier"]),
        )
    except OSError as fault:
        raise ReplayError(f"{path}: {fault.strerror or fault}") from fault
    except (ValueError, KeyError, TypeError) as fault:
        raise ReplayError(f"{path} is no failure of this suite: {fault!r}") from fault


def requests_of(failure: Failure, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """The op and the fields of a failure's requests, those before it first; their files are copied.

    Args:
        failure: that was written out.
        folder: of the session that is to be asked.
    """
    files = new_path(folder)
    if (failure.folder / _FILES).is_dir():
        shutil.copytree(failure.folder / _FILES, files, symlinks=True)

    def place(name: str) -> str:
        return str(files / Path(name).relative_to(_FILES)) if name.startswith(f"{_FILES}/") else str(new_path(folder))

    requests = [*failure.earlier, *([] if failure.request is None else [failure.request])]
    found = [_with_paths(dict(request), place) for request in requests]
    return [(fields.pop("op"), fields) for fields in found]


class _Copies:
    """Copies what a request names into the folder of a failure, and names it there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def relative(self, request: Mapping[str, Any]) -> Any:
        return _with_paths(dict(request), self._kept)

    def write_inline(self, request: Mapping[str, Any]) -> None:
        """Write the bytes that a request has inline as a file too, for people and their tools."""
        for node, key in ((request.get("artifact"), "packed"), (request, "data")):
            inner = node.get(key) if isinstance(node, Mapping) else None
            if isinstance(inner, Mapping) and isinstance(inner.get("data"), str):
                with suppress(ValueError):
                    data = base64.b64decode(inner["data"], validate=True)
                    self._next(".etui" if key == "packed" else ".bin").write_bytes(data)

    def _next(self, suffix: str) -> Path:
        self._count += 1
        return self._folder / _FILES / f"request-{self._count}{suffix}"

    def _kept(self, name: str) -> str:
        if name == _NEW:
            return name
        source = Path(name)
        if source.is_relative_to(self._folder):
            return source.relative_to(self._folder).as_posix()
        target = self._next(source.suffix)
        # What is not a plain file, as some checks put into folders, need not be copied.
        with suppress(OSError, shutil.Error):
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            elif source.is_file() and source.stat().st_size <= _LARGEST:
                shutil.copyfile(source, target)
        return target.relative_to(self._folder).as_posix() if target.exists() else _NEW


def _is_whole(request: Mapping[str, Any]) -> bool:
    """Whether the files of an earlier request are still there; the suite deletes those of a check after it."""
    there = True

    def look(name: str) -> str:
        nonlocal there
        there = there and (name == _NEW or Path(name).exists())
        return name

    _with_paths(dict(request), look)
    return there


def _harmless(name: str) -> str:
    """A relative path out of a name that may be that of a hostile part."""
    steps = [re.sub(r"[^A-Za-z0-9_.+%=-]", "_", step)[:100] for step in name.split("/")]
    return "/".join("_" if step.strip(".") == "" else step for step in steps)


def _with_paths(node: Any, change: Callable[[str], str], key: str = "") -> Any:
    """A copy of a request with every path changed: of files, of folders, of a source, and where to write."""
    if isinstance(node, dict):
        return {name: _with_paths(item, change, name) for name, item in node.items()}
    if isinstance(node, list):
        return [_with_paths(item, change) for item in node]
    if isinstance(node, str) and key in ("file", "directory", "series", "source"):
        return change(node)
    if isinstance(node, str) and key == "path":  # where to write
        return change(_NEW)
    return node
