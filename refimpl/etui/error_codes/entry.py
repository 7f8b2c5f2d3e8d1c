"""What a row of the tables of error codes holds, and the hints that several tables have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """What is fixed about a code.

    Attributes:
        error_class: a class of SPEC.md chapter 20, or transfer, storage, usage or extra.
        clause: id of the first clause of SPEC.md that names the code; `None` for the library's own codes.
        summary: what is wrong, as a noun phrase.
        hint: what to do next.
    """

    error_class: str
    clause: str | None
    summary: str
    hint: str


Rows = dict[str, tuple[str, str | None, str, str]]
"""Code -> the fields of `ErrorCode`, in their order."""

COPY = "Get the artifact again: this copy is damaged or incomplete."
REPORT = "Report it to the author of the software that wrote the artifact."
LIMIT = "If the file is trusted, raise the limit; a limit of SPEC.md itself cannot be raised."
NEWER = "Use a newer reader."
RENAME = "Rename one of the two."
CALLER = "Change the call."
