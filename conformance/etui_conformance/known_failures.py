"""The failures that an implementer knows of: they do not fail a run, and must not pass unseen (SPEC.md CF-56)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path


class KnownFailuresError(Exception):
    """The list cannot be used; the message says why."""


def read_known_failures(path: Path, known_ids: Iterable[str]) -> Mapping[str, str]:
    """The reasons by the ids of checks.

    Args:
        path: a TOML file of lines ``"vector/weights/0007" = "int4 is not there yet"``.
        known_ids: of all checks that exist.

    Raises:
        KnownFailuresError: there is no such file, or it is not in this form, or it names a check that does not exist.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise KnownFailuresError(f"{path}: {fault.strerror or fault}") from fault
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise KnownFailuresError(f"{path} is no TOML: {fault}") from fault
    ids = set(known_ids)
    for check_id, reason in entries.items():
        if not isinstance(reason, str) or not reason.strip():
            raise KnownFailuresError(f"{path}: {check_id} needs a reason in words; write the id in quotes")
        if check_id not in ids:
            raise KnownFailuresError(f"{path}: there is no check {check_id}; `etui-conformance list` has them all")
    return entries
