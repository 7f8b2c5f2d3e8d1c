"""Servers on this machine for tests of remote storage: an S3 and a web server, which note what they are asked.

Both can be told to misbehave: an S3 request can be refused, and a file of the web server can be answered by a function.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


@dataclass(slots=True)
class Asked:
    """A request and its answer.

    Attributes:
        method, path, query: of the request.
        range: its header, or an empty text.
        headers: all of them, by their names in lower case.
        status: of the answer.
        sent: bytes of the answer's body.
    """

    method: str
    path: str
    query: str = ""
    range: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    sent: int = 0


class Log:
    """What a server was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._lock = Lock()

    def note(self, asked: Asked) -> None:
        """Add a request."""
        with self._lock:
            self.asked.append(asked)

    def take(self) -> list[Asked]:
        """What was asked since the last call."""
        with self._lock:
            found, self.asked = self.asked, []
        return found


class S3(Log):
    """An S3 of moto's, in this process.

    Attributes:
        url: where it answers.
        refuse: is asked for each request; a status that it gives is the answer.
    """

    def __init__(self, app: Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]) -> None:
        super().__init__()
        self.url = ""
        self.refuse: Callable[[Asked], int | None] = lambda _: None
        self._app = app

    @property
    def options(self) -> dict[str, Any]:
        """The options with which s3fs finds it."""
        return {
            "key": "a-test-key",
            "secret": "a-test-secret",
            "client_kwargs": {"endpoint_url": self.url, "region_name": "us-east-1"},
        }

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        """Answer as a WSGI application."""
        headers = {
            name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name[:5] == "HTTP_"
        }
        headers["content-length"] = environ.get("CONTENT_LENGTH") or "0"
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        asked = Asked(environ["REQUEST_METHOD"], path, query, headers.get("range", ""), headers)
        self.note(asked)
        refused = self.refuse(asked)
        if refused is not None:
            asked.status = refused
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(f"{refused} Refused", [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return

        def begin(status: str, fields: Any, *rest: Any) -> Any:
            asked.status = int(status.partition(" ")[0])
            return start(status, fields, *rest)

        for block in self._app(environ, begin):
            asked.sent += len(block) if asked.method != "HEAD" else 0
            yield block


@contextmanager
def s3_server(bucket: str = "bucket") -> Iterator[S3]:
    """An empty S3 with one bucket, for the block; needs moto's server and s3fs."""
    import s3fs  # type: ignore[import-untyped]  # it publishes no types
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: Any) -> None:
            """Say nothing."""

    app = S3(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    app.url = f"http://127.0.0.1:{server.server_port}"
    with _running(server):
        fs = s3fs.S3FileSystem(**app.options, skip_instance_cache=True)
        # Its state is one for the process.
        for name in fs.ls(""):
            fs.rm(name, recursive=True)
        if not fs.exists(bucket):
            fs.call_s3("create_bucket", Bucket=bucket)
        app.take()
        yield app


Behaviour = Callable[["WebHandler", bytes], None]


class Web(Log):
    """A web server for files in memory, which gives ranges.

    Attributes:
        url: of its root, without a final slash.
        files: path below the root -> bytes.
        behaviours: path below the root -> what answers for it in place of `WebHandler.send_range`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.behaviours: dict[str, Behaviour] = {}


class WebHandler(BaseHTTPRequestHandler):
    """Answers for `Web`."""

    protocol_version = "HTTP/1.1"
    web: Web
    asked: Asked

    def do_GET(self) -> None:
        """Send a file or a range of it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, _, query = self.path.partition("?")
        self.asked = Asked("GET", path, query, headers.get("range", ""), headers)
        self.web.note(self.asked)
        name = unquote(path).lstrip("/")
        behaviour = self.web.behaviours.get(name)
        if name not in self.web.files and behaviour is None:
            self.send(404, b"")
        elif behaviour is not None:
            behaviour(self, self.web.files.get(name, b""))
        else:
            self.send_range(self.web.files[name])

    def span(self, data: bytes) -> tuple[int, int] | None:
        """First and last byte of the range that is asked for, within the data; `None` if there is none."""
        match = _RANGE.fullmatch(self.asked.range)
        if match is None:
            return None
        first, last = match.groups()
        if not first:
            return max(0, len(data) - int(last)), len(data) - 1
        return int(first), min(int(last or len(data)), len(data) - 1)

    def send_range(self, data: bytes, **fields: str) -> None:
        """Answer as a server does that knows ranges."""
        span = self.span(data)
        if span is None:
            self.send(200, data, **fields)
        elif span[0] > span[1]:
            self.send(416, b"", Content_Range=f"bytes */{len(data)}", **fields)
        else:
            fields.setdefault("Content_Range", f"bytes {span[0]}-{span[1]}/{len(data)}")
            self.send(206, data[span[0] : span[1] + 1], **fields)

    def send(self, status: int, body: bytes, **fields: str) -> None:
        """Send an answer; `_` in the name of a field is `-`."""
        self.asked.status = status
        self.send_response(status)
        fields.setdefault("Content_Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.asked.sent += len(body)
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Quiet(ThreadingHTTPServer):
    """A client that has heard enough is no error."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of other errors."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def web_server() -> Iterator[Web]:
    """A web server without files, for the block."""
    web = Web()
    server = _Quiet(("127.0.0.1", 0), type("Handler", (WebHandler,), {"web": web}))
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_port}"
    with _running(server):
        yield web


@contextmanager
def _running(server: Any) -> Iterator[None]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
