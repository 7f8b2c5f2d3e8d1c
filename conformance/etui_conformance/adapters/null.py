"""Adapters that are wrong on purpose, each in one way: the suite must fail every one of them.

    python -m etui_conformance.adapters.null always-reject

Most implement nothing. Some are a real implementation with one fault between it and the suite: these show that a
check sees the fault and not only that nothing is there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from etui_conformance.protocol import messages

Message = Mapping[str, Any]
Answer = Callable[[Message], Message]

_FLOOD: Final = 10 << 20
_NO_IDENTITY: Final = "sha256:" + "0" * 64


def greeting(request: Message) -> dict[str, Any]:
    """A hello that claims all there is."""
    return {
        "id": request["id"],
        "result": "ok",
        "name": "null",
        "version": "0",
        "language": "none",
        "ops": [op for op in messages.OPS if op != "convert"],
        "areas": list(messages.AREAS),
        "forms": list(messages.FORMS),
        "features": list(messages.FEATURES),
        "dtypes": list(messages.DTYPES),
        "formats": [],
    }


def echo(request: Message) -> Message:
    """Gives the request back."""
    return {**request, "result": "ok"}


def always_ok(request: Message) -> Message:
    """Says that all is well, and nothing else."""
    return {"id": request["id"], "result": "ok"}


def always_accept(request: Message) -> Message:
    """Takes every artifact, and finds it empty."""
    found = {"identity": _NO_IDENTITY, "profile": "weights", "content": {}, "read": [], "outputs": [], "variables": {}}
    return {"id": request["id"], "result": "ok", **found}


def always_reject(request: Message) -> Message:
    """Refuses everything, as `exit 1` does."""
    refusal = {"class": "malformed", "code": "json-syntax", "at": "everywhere"}
    return {"id": request["id"], "result": "reject", **refusal}


def always_unsupported(request: Message) -> Message:
    """Claims all there is and does none of it."""
    return {"id": request["id"], "result": "unsupported", "what": str(request["op"])}


def wrong_id(request: Message) -> Message:
    """Answers the request before."""
    return {"id": request["id"] - 1, "result": "ok"}


def crash(_: Message) -> Message:
    """Ends without a word."""
    raise SystemExit(3)


def hang(_: Message) -> Message:
    """Never answers."""
    while True:
        time.sleep(60)


def garbage(_: Message) -> Message:
    """Prints what is meant for people."""
    _write("Loading the model ...\n")
    return {}


def half_line(request: Message) -> Message:
    """Ends in the middle of its reply."""
    _write(json.dumps(always_accept(request))[:20])
    raise SystemExit(0)


def stderr_flood(request: Message) -> Message:
    """Logs without end."""
    for _ in range(_FLOOD // 1024):
        sys.stderr.write("x" * 1023 + "\n")
    sys.stderr.flush()
    return always_accept(request)


def cache_leak(real: Answer) -> Answer:
    """Keeps what it answered to an artifact of the same size, and answers it again."""
    kept: dict[tuple[str, str], Message] = {}

    def answer(request: Message) -> Message:
        data = request.get("artifact", {}).get("packed", {}).get("data")
        if data is None or request["op"] not in ("decode", "validate"):
            return real(request)
        key = (request["op"], str(len(data)))
        if key not in kept:
            kept[key] = real(request)
        return {**kept[key], "id": request["id"]}

    return answer


def overclaiming(real: Answer) -> Answer:
    """Claims all there is, and opens artifacts; everything else it does not do."""

    def answer(request: Message) -> Message:
        if request["op"] in ("hello", "decode", "reset", "bye"):
            return real(request)
        return always_unsupported(request)

    return answer


def wrong_code(real: Answer) -> Answer:
    """Refuses what is to be refused, always for the same reason."""

    def answer(request: Message) -> Message:
        reply = real(request)
        return {**reply, "class": "invalid", "code": "manifest-form"} if reply["result"] == "reject" else reply

    return answer


def byte_copier(real: Answer) -> Answer:
    """Writes anew by copying what it was given: a round trip shows nothing of it."""

    def answer(request: Message) -> Message:
        if request["op"] != "transcode" or request["form"] != "packed" or "packed" not in request["artifact"]:
            return real(request)
        from pathlib import Path

        from etui_conformance.protocol.wire import bytes_from_wire

        reply = real({**request, "op": "decode", "want": "documents"})
        Path(request["path"]).write_bytes(bytes_from_wire(request["artifact"]["packed"]))
        return {"id": request["id"], "result": "ok", "identity": reply.get("identity", _NO_IDENTITY)}

    return answer


ALONE: Final[Mapping[str, Answer]] = {
    "echo": echo,
    "always-ok": always_ok,
    "always-accept": always_accept,
    "always-reject": always_reject,
    "always-unsupported": always_unsupported,
    "crash": crash,
    "hang": hang,
    "garbage": garbage,
    "wrong-id": wrong_id,
    "half-line": half_line,
    "stderr-flood": stderr_flood,
}
"""Those that say hello and then do only the one thing."""

AROUND: Final[Mapping[str, Callable[[Answer], Answer]]] = {
    "cache-leak": cache_leak,
    "overclaiming": overclaiming,
    "wrong-code": wrong_code,
    "byte-copier": byte_copier,
}
"""Those that are the reference with a fault around it."""

NAMES: Final = (*ALONE, *AROUND)


def answer_of(name: str) -> Answer:
    """What the null adapter of a name answers; the reference is imported only for those that need it.

    Raises:
        KeyError: there is none of that name.
    """
    if name in AROUND:
        from etui_conformance.adapters.reference import start

        return AROUND[name](start())
    alone = ALONE[name]
    return lambda request: greeting(request) if request["op"] == "hello" else alone(request)


def serve(answer: Answer, lines: Iterator[bytes]) -> None:
    """Answer requests, a line each, until `bye` or the end of the input."""
    for line in lines:
        request = json.loads(line)
        reply = answer(request)
        if reply:
            _write(json.dumps(reply) + "\n")
        if request["op"] == "bye":
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Be the null adapter whose name is the one argument."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1 or given[0] not in NAMES:
        sys.stderr.write(f"usage: python -m etui_conformance.adapters.null {'|'.join(NAMES)}\n")
        return 2
    serve(answer_of(given[0]), iter(sys.stdin.buffer))
    return 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
