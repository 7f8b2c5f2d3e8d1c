"""The state file of a folder of checkpoints, `checkpoint`, which says which of them is the latest (SPEC.md, annex F.2).

It is a CheckpointState of TensorFlow's `training/checkpoint_state.proto` as text. Paths in it are taken as names in
the same folder: what else they say held on the machine that wrote them.
"""

from __future__ import annotations

import re
from pathlib import Path

from etui.errors import error, shown
from etui.storage.failures import storage_errors

NAME = "checkpoint"
_MOST_BYTES = 16 * 1024 * 1024
_LINE = re.compile(rb'\s*(model_checkpoint_path|all_model_checkpoint_paths)\s*:\s*"((?:[^"\\\n]|\\.)*)"\s*')
_OTHER = re.compile(rb"\s*(?:(?:all_model_checkpoint_timestamps|last_preserved_timestamp)\s*:\s*[0-9.eE+-]+\s*|#.*)?")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


def read_state(folder: Path) -> tuple[str, list[str]]:
    """The name of the latest checkpoint of a folder, which may be empty, and those of all that its state file lists.

    Raises:
        UnsafeError: ``bundle-state``, it does not decode or names no file of the folder.
        StorageError: it cannot be read.
    """
    path = folder / NAME
    with storage_errors(str(path)), path.open("rb") as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise error("limit-foreign", where=NAME, found="a state file of more than 16 MiB")
    latest: str | None = None
    names = []
    for line in text.split(b"\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            if not _OTHER.fullmatch(line):
                raise error("bundle-state", where=NAME, found=f"the line {shown(line)}")
            continue
        name = _name(found[2])
        if found[1] == b"model_checkpoint_path":
            latest = name
        else:
            names.append(name)
    if latest is None:
        raise error("bundle-state", where=NAME, found="no latest checkpoint")
    return latest, names


def state_text(latest: str, names: list[str]) -> bytes:
    """The bytes of a state file.

    Args:
        latest: name of the latest checkpoint in the folder of the file.
        names: of all, the latest last.
    """
    lines = [b'model_checkpoint_path: "%s"\n' % _escaped(latest)]
    lines += [b'all_model_checkpoint_paths: "%s"\n' % _escaped(name) for name in names]
    return b"".join(lines)


def _name(escaped: bytes) -> str:
    raw = _ESCAPE.sub(lambda found: _unescaped(found[1]), escaped)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise error("bundle-state", where=NAME, found=f"the path {shown(raw)}") from None
    *folders, name = text.replace("\\", "/").split("/")
    if name in (".", "..") or "\0" in name or ".." in folders:
        raise error("bundle-state", where=NAME, found=f"the path {shown(text)}")
    return name


def _unescaped(code: bytes) -> bytes:
    if code[:1] in b"01234567":
        return bytes([int(code, 8) & 0xFF])
    if code[:1] == b"x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _LETTERS.get(code, code)


def _escaped(name: str) -> bytes:
    return b"".join(
        bytes([byte]) if 0x20 <= byte < 0x7F and byte not in b'"\\' else b"\\%03o" % byte for byte in name.encode()
    )
