"""Turns what remote file systems raise into errors with a code, and says what is worth another try.

No message of them is passed on as it is: it may hold a URL with a password, or a header with a key.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from etui.errors import EtuiError, error, without_secrets
from etui.storage.failures import storage_failure

# The first try and those after it; the pauses between them, in seconds.
PAUSES = (0.5, 1.0, 2.0)

_Result = TypeVar("_Result")
_SECRET = re.compile(r"secret|token|pass|key|auth|cred|cookie|sas|sig|header", re.IGNORECASE)
_LEAST_SECRET = 4
_MOST_TEXT = 300
_NUMBERS = (
    (FileNotFoundError, errno.ENOENT),
    (PermissionError, errno.EACCES),
    (IsADirectoryError, errno.EISDIR),
    (NotADirectoryError, errno.ENOTDIR),
    (FileExistsError, errno.EEXIST),
)
# What a second try does not mend.
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
_FINAL_NUMBERS = {errno.ENOSPC, errno.EFBIG, errno.EINVAL, errno.ENAMETOOLONG, errno.EROFS, errno.EDQUOT}
_DENIED = (401, 403)
_STATUS_TIMEOUT, _STATUS_MANY, _STATUS_SERVER = 408, 429, 500


class ShortReadError(Exception):
    """A store gave other bytes than those that were asked for."""


def secrets_of(options: Any, *, secret: bool = False) -> Iterator[str]:
    """The texts among the options of a file system that must not be shown."""
    if isinstance(options, Mapping):
        for name, value in options.items():
            yield from secrets_of(value, secret=secret or bool(_SECRET.search(str(name))))
    elif isinstance(options, list | tuple):
        for value in options:
            yield from secrets_of(value, secret=secret)
    elif secret and isinstance(options, str) and len(options) >= _LEAST_SECRET:
        yield options


def scrubbed(text: str, secrets: tuple[str, ...] = ()) -> str:
    """A message without credentials, on one line, and no longer than a message should be."""
    for secret in secrets:
        text = text.replace(secret, "…")
    text = " ".join(without_secrets(text).split())
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"


@contextmanager
def remote_errors(where: str, secrets: tuple[str, ...] = (), *, writing: bool = False) -> Iterator[None]:
    """Raise an error of Etui in place of what a remote file system raises in the block.

    Args:
        where: the place, as it may be shown.
        secrets: texts that no message may hold.
        writing: what is missing then is not the file, so that the store's own words tell more.
    """
    try:
        yield
    except EtuiError:
        raise
    except Exception as cause:  # noqa: BLE001  each file system has errors of its own
        failure = _failure(where, cause, secrets, writing=writing)
        # A cause is shown with the error, and with what caused it; one that tells a secret is left out.
        raise failure from (None if _tells(cause, secrets) else cause)


def _tells(cause: BaseException, secrets: tuple[str, ...]) -> bool:
    """Whether a secret is in the text of an error, or of one that is shown with it."""
    seen: list[BaseException] = []
    shown: BaseException | None = cause
    while shown is not None and shown not in seen:
        seen.append(shown)
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return any(scrubbed(str(one), secrets) != " ".join(str(one).split()) for one in seen)


def _failure(where: str, cause: Exception, secrets: tuple[str, ...], *, writing: bool) -> EtuiError:
    if isinstance(cause, ShortReadError):
        return error("remote-read", where=where, found=scrubbed(str(cause), secrets))
    if isinstance(cause, ImportError):
        return error("extra-remote", where=where, found=scrubbed(str(cause), secrets))
    number = next((number for kind, number in _NUMBERS if isinstance(cause, kind)), None)
    if isinstance(cause, OSError) and cause.errno in _FINAL_NUMBERS and cause.errno != errno.EINVAL:
        number = cause.errno
    if getattr(cause, "status", None) in _DENIED:
        number = errno.EACCES
    if number is not None and not (writing and number == errno.ENOENT):
        return storage_failure(where, OSError(number, os.strerror(number)))
    found = scrubbed(f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__, secrets)
    return error("remote-failed", where=where, found=found)


def tried(action: Callable[[], _Result]) -> _Result:
    """What an action that changes nothing gives; tried again where the server may do better the next time."""
    for pause in PAUSES:
        try:
            return action()
        except Exception as cause:
            if not is_passing(cause):
                raise
        time.sleep(pause)
    return action()


def is_passing(cause: Exception) -> bool:
    """Whether a second try may succeed."""
    if isinstance(cause, ShortReadError | TimeoutError):
        return True
    if isinstance(cause, (EtuiError, *_FINAL)):
        return False
    status = getattr(cause, "status", None)
    if isinstance(status, int) and status:
        return status >= _STATUS_SERVER or status in {_STATUS_TIMEOUT, _STATUS_MANY}
    if isinstance(cause, OSError):
        return cause.errno not in _FINAL_NUMBERS
    # Broken connections of the library that fsspec speaks HTTP with, which it need not have loaded.
    return not isinstance(cause, ValueError) and any(
        kind.__module__.startswith("aiohttp") and kind.__name__ == "ClientError" for kind in type(cause).__mro__
    )
