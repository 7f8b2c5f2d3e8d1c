"""The adapter of the reference library: `python -m etui_conformance.adapters.reference` (SPEC.md, annex P).

    handle = start()                                                       # the same without a process of its own
    handle({"id": 1, "op": "hello", "protocol": "1.0", "folder": "/tmp"})  # the reply, as decoded JSON

The library is imported when the adapter starts, not with this module, so that a mutant can be installed before.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from etui_conformance.mutants import MutantError, install

Json = Any


def start() -> Callable[[Mapping[str, Json]], dict[str, Json]]:
    """A fresh adapter, as a function from request to reply; it never raises."""
    return Adapter().handle


class Adapter:
    """Answers requests, one at a time."""

    def __init__(self) -> None:
        from etui_conformance.adapters.reference_ops import Ops

        self._ops = Ops()

    def handle(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """The reply to a request."""
        reply = {"id": request.get("id"), **self._answer(request)}
        self._ops.turn()
        return reply

    def _answer(self, request: Mapping[str, Json]) -> dict[str, Json]:
        from etui.errors import EtuiError, RejectError
        from etui_conformance.adapters.reference_ops import NotSupported

        name = request.get("op")
        op = self._ops.named(name) if isinstance(name, str) else None
        if op is None:
            return {"result": "unsupported", "what": f"op:{name}"}
        try:
            return {"result": "ok", **op(request)}
        except RejectError as refusal:
            return {"result": "reject", "class": refusal.error_class, "code": refusal.code, "at": refusal.where}
        except NotSupported as lack:
            return {"result": "unsupported", "what": str(lack)}
        except EtuiError as trouble:
            # No refusal of content: something that is not there, or that makes no sense together.
            if trouble.error_class == "extra" or trouble.code == "core-op":
                return {"result": "unsupported", "what": str(trouble)}
            return {"result": "fault", "message": str(trouble)}
        except Exception as trouble:  # noqa: BLE001  every error of the library is an answer (CF-9)
            return {"result": "fault", "message": "".join(traceback.format_exception(trouble, limit=-4))}


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests, a line each, until `bye` or the end of the input."""
    handle = start()
    for line in requests:
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            request, reply = {}, {"id": None, "result": "fault", "message": "a request that is no JSON object"}
        else:
            reply = handle(request)
        replies.write(json.dumps(reply, allow_nan=False).encode() + b"\n")
        replies.flush()
        if request.get("op") == "bye":
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve standard input and output; exit code 2 for a mutant that cannot be made."""
    parser = argparse.ArgumentParser(
        prog="python -m etui_conformance.adapters.reference", description="Adapter of etui."
    )
    parser.add_argument("--mutant", metavar="NAME", help="serve a wrong implementation out of conformance/mutants")
    parser.add_argument("--mutants", type=Path, metavar="DIR", help="where its files are, if not in this checkout")
    options = parser.parse_args(arguments)
    if options.mutant is not None:
        try:
            install(options.mutant, options.mutants)
        except MutantError as trouble:
            parser.error(str(trouble))
    replies = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints must not come among the replies
    serve(sys.stdin.buffer, replies)
    return 0


if __name__ == "__main__":
    sys.exit(main())
