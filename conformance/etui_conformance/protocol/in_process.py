"""An implementation in this very process: a function from request to reply, without pipes and without isolation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from etui_conformance.protocol.messages import PROTOCOL, SPEC, read_hello, read_reply, request_line
from etui_conformance.protocol.session import AdapterFailure, Hello, Reply, Session

Handle = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes a request as decoded JSON and gives the reply."""


class InProcess(Session):
    """A session with a handle; messages pass through JSON, so that both sides see what a pipe would carry.

    Args:
        start: makes the handle; called again after a failure.
        folder: where files go between the suite and the implementation.

    Raises:
        AdapterFailure: ``start``, it does not say hello.
    """

    def __init__(self, start: Callable[[], Handle], folder: Path) -> None:
        self.folder = folder
        self.last_request: Mapping[str, Any] | None = None
        self._start = start
        self._ids = count(1)
        self.hello = self._greeted()

    def ask(self, op: str, /, **fields: Any) -> Reply:
        """Send a request and take its reply.

        Raises:
            AdapterFailure: ``crash``, the handle raised; ``garbage`` or ``wrong-id``, its reply is none.
        """
        self.last_request = {"op": op, **fields}
        try:
            return self._send(op, fields)
        except AdapterFailure:
            self._greeted()
            raise

    def close(self) -> None:
        """Say bye."""
        self._send("bye", {})

    def _greeted(self) -> Hello:
        self._handle = self._start()
        return read_hello(self._send("hello", {"protocol": PROTOCOL, "spec": SPEC, "folder": str(self.folder)}))

    def _send(self, op: str, fields: Mapping[str, Any]) -> Reply:
        number = next(self._ids)
        request = json.loads(request_line(number, op, fields))
        try:
            answer = self._handle(request)
        except Exception as fault:
            raise AdapterFailure("crash", f"{type(fault).__name__}: {fault}") from fault
        try:
            line = json.dumps(answer, allow_nan=False).encode()
        except (TypeError, ValueError) as fault:
            raise AdapterFailure("garbage", f"a reply that is no JSON: {fault}") from fault
        return read_reply(line, number)
