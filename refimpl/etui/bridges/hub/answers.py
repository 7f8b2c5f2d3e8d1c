"""What huggingface_hub raises, as errors of Etui with a code; no token and no signed address gets into a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from etui.errors import EtuiError, error, shown, without_secrets
from etui.storage.failures import storage_failure

_CODES = {
    401: "hub-access",
    403: "hub-access",
    404: "hub-missing",
    409: "hub-changed",
    412: "hub-changed",
    429: "hub-busy",
}
_TIMED_OUT = 408
_SERVER = 500
_LONGEST = 200


@contextmanager
def answers(where: str, token: str | bool | None) -> Iterator[None]:
    """Raise errors of Etui in place of those of huggingface_hub and of the HTTP library that it uses.

    Args:
        where: the repository, for messages.
        token: as the caller gave it; it is taken out of whatever the Hub says.

    Raises:
        StorageError: a ``hub-`` code, or ``storage-failed`` for the disk that the downloads are on.
        UsageError: ``hub-name``.
    """
    http_error = _http_error()
    try:
        yield
    except EtuiError:
        raise
    except (http_error, OSError, ValueError, RuntimeError, KeyError, TypeError) as cause:
        refusal = _refusal(where, _root(cause), token)
        if _says(cause, _secret(token)):
            raise refusal from None
        raise refusal from cause


def _http_error() -> type[BaseException]:
    """The base class of the HTTP library's errors, which is another one from version to version of huggingface_hub."""
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError.__bases__[0]


def _root(cause: BaseException) -> BaseException:
    """What the Hub or the network said first: threads, retries and look-ups of the cache wrap it."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wrappers = (RuntimeError, ValueError, LocalEntryNotFoundError)
    while isinstance(cause, wrappers) and not isinstance(cause, HfHubHTTPError) and cause.__cause__ is not None:
        cause = cause.__cause__
    return cause


def _refusal(where: str, cause: BaseException, token: str | bool | None) -> EtuiError:
    from huggingface_hub import errors

    if isinstance(cause, errors.HfHubHTTPError):
        status = cause.response.status_code
        code = _CODES.get(status, "hub-failed" if status >= _SERVER or status == _TIMED_OUT else "hub-refused")
        if isinstance(cause, errors.RevisionNotFoundError):
            code = "hub-revision"
        elif isinstance(cause, errors.GatedRepoError):
            code = "hub-access"
        elif isinstance(cause, errors.RepositoryNotFoundError):
            code = "hub-missing"
        said = _line(cause.server_message or "", token)
        return error(code, where=where, found=f"HTTP {status}" + (f", {shown(said, _LONGEST)}" if said else ""))
    if isinstance(cause, errors.HFValidationError):
        return error("hub-name", where=where, found=_line(str(cause), token))
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return error("hub-unreachable", where=where, found="HF_HUB_OFFLINE is set", hint="Unset HF_HUB_OFFLINE.")
    if isinstance(cause, errors.LocalTokenNotFoundError):
        return error("hub-access", where=where, found="no token is stored here")
    if isinstance(cause, OSError) and cause.errno:
        return storage_failure(where, cause)
    said = _line(str(cause), token)
    unreachable = isinstance(cause, errors.LocalEntryNotFoundError | _http_error())
    return error("hub-unreachable" if unreachable else "hub-failed", where=where, found=said or type(cause).__name__)


def _line(text: str, token: str | bool | None) -> str:
    """A text in one line, cut, without the token."""
    secret = _secret(token)
    for part in (secret, secret.strip()) if secret else ():
        text = text.replace(part, "…")
    line = " ".join(without_secrets(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _says(cause: BaseException | None, secret: str | None) -> bool:
    """Whether an error, or one that it comes from, has the token in its text."""
    seen: set[int] = set()
    while secret and cause is not None and id(cause) not in seen:
        if secret in str(cause):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def _secret(token: str | bool | None) -> str | None:
    from huggingface_hub import get_token

    if isinstance(token, str):
        return token or None
    return None if token is False else get_token()
