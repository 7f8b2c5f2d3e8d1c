"""Lines and the messages in them: requests out, replies in, and what is wrong with a line that is no reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from etui_conformance.oracle import manifest
from etui_conformance.oracle.dtypes import ENCODINGS, SAFETENSORS
from etui_conformance.protocol.session import AdapterFailure, Hello, Reply

PROTOCOL: Final = "1.0"
SPEC: Final = "1.0"
OPS: Final = ("decode", "encode", "transcode", "validate", "convert", "evaluate", "step", "compute")
AREAS: Final = ("config", "weights", "training", "optimizer", "state", "parts")
FORMS: Final = ("packed", "directory", "series")
FEATURES: Final = manifest.FEATURES
PLAIN_DTYPES: Final = tuple(SAFETENSORS)
DTYPES: Final = (*SAFETENSORS, *ENCODINGS)

# Of each result, the members that must be there, all of them texts (SPEC.md CF-3).
_RESULTS: Final = {
    "ok": (),
    "reject": ("class", "code", "at"),
    "unsupported": ("what",),
    "fault": ("message",),
}
_LISTS: Final = {"ops": OPS, "areas": AREAS, "forms": FORMS, "features": FEATURES, "dtypes": DTYPES, "formats": None}
_ALWAYS: Final = frozenset({"hello", "reset", "bye"})
_SHOWN = 200


def request_line(number: int, op: str, fields: Mapping[str, Any]) -> bytes:
    """A request as the line that an adapter reads."""
    message = {"id": number, "op": op, **fields}
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # a name with a lone surrogate, which only an escape can carry
        text = json.dumps(message, allow_nan=False).encode()
    return text + b"\n"


def read_reply(line: bytes, number: int) -> Reply:
    """The reply in a line.

    Raises:
        AdapterFailure: ``garbage``, the line is no reply; ``wrong-id``, it is one to another request.
    """
    try:
        message = json.loads(line.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as fault:
        raise AdapterFailure("garbage", f"{fault}: {excerpt(line)}") from fault
    return reply_of(message, number)


def reply_of(message: Any, number: int) -> Reply:
    """The reply that a decoded message is; errors as in `read_reply`."""
    if not isinstance(message, dict):
        raise AdapterFailure("garbage", f"a reply that is no object: {str(message)[:_SHOWN]}")
    found = message.get("id")
    if isinstance(found, bool) or found != number:
        raise AdapterFailure("wrong-id", f"{found!r} in place of {number}")
    result = message.get("result")
    if result not in _RESULTS:
        raise AdapterFailure("garbage", f"a reply with the result {result!r}")
    for name in _RESULTS[result]:
        if not isinstance(message.get(name), str):
            raise AdapterFailure("garbage", f"a {result} without a text in {name!r}: {str(message)[:_SHOWN]}")
    return Reply(result, {key: item for key, item in message.items() if key not in ("id", "result")})


def read_hello(reply: Reply) -> Hello:
    """What an adapter says of itself.

    Raises:
        AdapterFailure: ``start``, the reply is not that to a `hello` (SPEC.md CF-21).
    """
    if reply.result != "ok":
        raise AdapterFailure("start", f"hello was answered with {reply.result}: {str(dict(reply.fields))[:_SHOWN]}")
    for name in ("name", "version", "language"):
        if not isinstance(reply.fields.get(name), str):
            raise AdapterFailure("start", f"a hello without a text in {name!r}")
    sets = {}
    for name, known in _LISTS.items():
        listed = reply.fields.get(name, [] if name == "formats" else None)
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise AdapterFailure("start", f"a hello whose {name!r} is no list of names")
        sets[name] = frozenset(listed) - _ALWAYS if name == "ops" else frozenset(listed)
        if known is not None and (strange := sorted(sets[name] - set(known))):
            raise AdapterFailure("start", f"a hello with {name} that do not exist: {', '.join(strange)}")
    return Hello(reply.fields["name"], reply.fields["version"], reply.fields["language"], **sets)


def excerpt(data: bytes) -> str:
    """The beginning of bytes that were to be a line, for a person."""
    text = data[:_SHOWN].decode("utf-8", "backslashreplace")
    return f"{text!r}{' …' if len(data) > _SHOWN else ''}"


def _no_number(token: str) -> NoReturn:
    raise ValueError(f"{token} is no JSON")
