"""The errors that Etui raises.

    EtuiError                     every error below; carries code, clause, location
    ├── RejectError   (ValueError)        the file's content is refused
    │   ├── MalformedError                the bytes do not decode
    │   ├── InvalidError                  the bytes decode, but break a clause of SPEC.md
    │   ├── UnsupportedError              valid, but needs a feature that this reader lacks
    │   ├── LimitError                    beyond a limit of SPEC.md or of the caller
    │   ├── IntegrityError                a digest, a size or a checksum does not match
    │   └── UnsafeError                   would read, write or run something outside of the file
    ├── TransferError (ValueError)        a load or conversion cannot keep what it was asked to keep
    ├── StorageError  (OSError)           the file system or the network said no
    ├── UsageError    (ValueError)        the caller's arguments make no sense together
    └── MissingExtraError (ImportError)   an optional dependency is not installed

The first six are the error classes of SPEC.md (clause E-1). Each code belongs to one class and to one clause, as
`etui.error_codes` lists them.
"""

from __future__ import annotations

import re
from typing import Any

from etui.error_codes import ERROR_CODES

_USER = re.compile(r"(://)[^/\s'\"@]*@")
_QUERY = re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]*")


class EtuiError(Exception):
    """Base of every error of Etui.

    Attributes:
        code: stable identifier in kebab-case, for example ``"json-duplicate-key"``.
        clause: id of the SPEC.md clause that the code speaks for, or ``None`` for errors of the library alone.
        where: the place: part name, path in the document, byte offset.
        found: what was found there.
        hint: what to do next.
    """

    error_class = "error"

    def __init__(self, code: str, *, where: str = "", found: str = "", hint: str = "") -> None:
        entry = ERROR_CODES[code]
        if "://" in where + found:
            where, found = without_secrets(where), without_secrets(found)
        self.code = code
        self.clause = entry.clause
        self.where = where
        self.found = found
        self.hint = hint or entry.hint
        place = f"{where}: " if where else ""
        what = f"{entry.summary}: {found}" if found else entry.summary
        law = f"{code}, SPEC.md {entry.clause}" if entry.clause else code
        next_step = f" {self.hint}" if self.hint else ""
        super().__init__(f"{place}{what} [{law}].{next_step}")

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: frameworks send what a process raises to the others, who wait for it."""
        number = self.errno if isinstance(self, OSError) else None
        return _again, (type(self), (self.code, self.where, self.found, self.hint), number), self.__dict__

    def as_json(self) -> dict[str, str | None]:
        """The error as a JSON object with the keys class, code, clause, where, found, hint and message."""
        return {
            "class": self.error_class,
            "code": self.code,
            "clause": self.clause,
            "where": self.where,
            "found": self.found,
            "hint": self.hint,
            "message": str(self),
        }


def _again(kind: type[EtuiError], content: tuple[str, str, str, str], number: int | None) -> EtuiError:
    code, where, found, hint = content
    made = kind(code, where=where, found=found, hint=hint)
    if isinstance(made, OSError):
        made.errno = number
    return made


class RejectError(EtuiError, ValueError):
    """The content of a file is refused."""


class MalformedError(RejectError):
    """The bytes do not decode."""

    error_class = "malformed"


class InvalidError(RejectError):
    """The bytes decode, but break a clause of SPEC.md."""

    error_class = "invalid"


class UnsupportedError(RejectError):
    """Valid, but needs a feature that this reader lacks."""

    error_class = "unsupported"


class LimitError(RejectError):
    """Beyond a limit of SPEC.md or of the caller."""

    error_class = "limit"


class IntegrityError(RejectError):
    """A digest, a size or a checksum does not match the bytes."""

    error_class = "integrity"


class UnsafeError(RejectError):
    """The file would have the reader touch or run something outside of the file."""

    error_class = "unsafe"


class TransferError(EtuiError, ValueError):
    """A load or a conversion cannot keep what it was asked to keep."""

    error_class = "transfer"


class StorageError(EtuiError, OSError):
    """The file system or the network said no."""

    error_class = "storage"


class UsageError(EtuiError, ValueError):
    """The caller's arguments make no sense together."""

    error_class = "usage"


class MissingExtraError(EtuiError, ImportError):
    """An optional dependency is not installed; the message is the exact command that installs it."""

    error_class = "extra"


_CLASSES: dict[str, type[EtuiError]] = {
    kind.error_class: kind
    for kind in (
        MalformedError,
        InvalidError,
        UnsupportedError,
        LimitError,
        IntegrityError,
        UnsafeError,
        TransferError,
        StorageError,
        UsageError,
        MissingExtraError,
    )
}


def error(code: str, *, where: str = "", found: str = "", hint: str = "") -> EtuiError:
    """Build the error of `code`, of the class that the code belongs to; the caller raises it."""
    return _CLASSES[ERROR_CODES[code].error_class](code, where=where, found=found, hint=hint)


def without_secrets(text: str) -> str:
    """A text without the users, passwords and queries of the URLs in it: the query of a signed URL is a key."""
    return _QUERY.sub(r"\1?…", _USER.sub(r"\1", text)) if "://" in text else text


def shown(value: object, length: int = 80) -> str:
    """`repr` of a value from a file, cut to `length` characters so that a hostile value cannot flood a message."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"
