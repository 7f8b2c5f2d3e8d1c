"""A stand-in for the Hub on this machine: as much of its HTTP interface as huggingface_hub uses, and faults at will."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_state import LARGE_BYTES, LARGE_SUFFIXES, File, RefusedError, Repo, State

TOKEN = "hf_secretSECRETsecretSECRETsecretSE"


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    Attributes:
        method, path: which requests; the path is a regular expression, found anywhere in it.
        times: how often, from now on.
        status, message, headers: the answer in place of the true one.
        cut: read or send so many bytes of the body, and close the connection.
        content: the body in place of the true one.
        before: called first.
    """

    method: str
    path: str
    times: int = 1
    status: int = 0
    message: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    content: bytes | None = None
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Request:
    """A request that was answered: how many bytes of bodies came and went."""

    method: str
    path: str
    status: int
    received: int
    sent: int
    range: str
    token: str


class HubServer(ThreadingHTTPServer):
    """The server; `state` is what it holds, `faults` what goes wrong, `requests` what was asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = State(tokens={TOKEN: "ada"})
        self.faults: list[Fault] = []
        self.answered = Condition()
        self.under_way = 0
        self.all_requests: list[Request] = []
        self.part_bytes: int | None = None
        self.lock = Lock()

    @property
    def requests(self) -> list[Request]:
        """What was asked, when all that was asked so far is noted: a client has an answer before its server is done."""
        with self.answered:
            assert self.answered.wait_for(lambda: not self.under_way, 120)
            return self.all_requests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def access(self) -> dict[str, Any]:
        """What `push` and `pull` take to reach this server as ada."""
        return {"endpoint": self.url, "token": TOKEN}

    def repo(self, name: str = "ada/model") -> Repo:
        return self.state.repos[name]

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests so far that match."""
        return [one for one in self.requests if one.method == method and re.search(path, one.path)]

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def running() -> Iterator[HubServer]:
    """A server in a thread of its own."""
    server = HubServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers requests; every public answer of the Hub is one method below."""

    server: HubServer
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self._status = self._sent = self._received = 0
        with self.server.answered:
            self.server.under_way += 1
        self._fault = self.server.take_fault(self.command, self.path)
        try:
            if self._fault:
                self._fault.before()
            body = self._body()
            if self._fault and self._fault.status:
                message = self._fault.message.replace("{authorization}", self.headers.get("authorization", ""))
                self._reply(self._fault.status, json.dumps({"error": message}).encode(), *self._fault.headers)
            else:
                self._route(body)
        except RefusedError as refusal:
            headers = [("X-Error-Message", refusal.message)]
            headers += [("X-Error-Code", refusal.code)] if refusal.code else []
            self._reply(refusal.status, json.dumps({"error": refusal.message}).encode(), *headers)
        except ConnectionError:
            self.close_connection = True
        finally:
            request = Request(
                self.command,
                self.path,
                self._status,
                self._received,
                self._sent,
                self.headers.get("range", ""),
                self.headers.get("authorization", "").removeprefix("Bearer "),
            )
            with self.server.answered:
                self.server.all_requests.append(request)
                self.server.under_way -= 1
                self.server.answered.notify_all()

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        size = int(self.headers.get("content-length") or 0)
        cut = self._fault.cut if self._fault and self.command in {"PUT", "POST"} else None
        data = self.rfile.read(size if cut is None else min(cut, size))
        self._received += len(data)
        if cut is not None or len(data) < size:
            self._drop()
        return data

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            data = self.rfile.read(size)
            self._received += len(data)
            self.rfile.readline()
            yield data
        self.rfile.readline()

    def _drop(self) -> None:
        """Close the connection in the middle."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError

    def _reply(self, status: int, data: bytes = b"", *headers: tuple[str, str]) -> None:
        self._status = status
        fault = self._fault
        if fault and fault.content is not None:
            data = fault.content
            headers = tuple(header for header in headers if header[0] != "Content-Length")
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = fault.cut if fault and self.command == "GET" else None
        self.wfile.write(data if cut is None else data[:cut])
        self._sent += len(data if cut is None else data[:cut])
        if cut is not None:
            self.wfile.flush()
            self._drop()

    def _json(self, tree: object, status: int = 200) -> None:
        self._reply(status, json.dumps(tree).encode(), ("Content-Type", "application/json"))

    # Who asks, and for which repository.

    def _user(self) -> str | None:
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self.server.state.tokens:
            raise RefusedError(401, "Invalid credentials in Authorization header")
        return self.server.state.tokens.get(token)

    def _repo(self, name: str, *, write: bool = False) -> Repo:
        user = self._user()
        repo = self.server.state.repos.get(name)
        if repo is None or (repo.private and user is None):
            if user is None:
                raise RefusedError(401, "Invalid username or password.")
            raise RefusedError(404, "Repository not found", "RepoNotFound")
        if write and user is None:
            raise RefusedError(401, "Invalid username or password.")
        if write and name.partition("/")[0] != user:
            raise RefusedError(403, "You don't have the rights to write to it")
        return repo

    def _route(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        for method, pattern, answer in ROUTES:
            match = re.fullmatch(pattern, parts.path)
            if method == self.command.replace("HEAD", "GET") and match:
                answer(self, body, *(unquote(group or "") for group in match.groups()))
                return
        raise RefusedError(404, f"no such address: {self.path}")

    # What the Hub answers.

    def create(self, body: bytes) -> None:
        wanted = json.loads(body)
        user = self._user()
        if user is None:
            raise RefusedError(401, "Invalid username or password.")
        owner = wanted.get("organization") or user
        if owner != user:
            raise RefusedError(403, f"You don't have the rights to create a model under the namespace {owner!r}")
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        repo = self.server.state.create(f"{owner}/{wanted['name']}", private=private)
        self._json({"url": f"{self.server.url}/{repo.name}", "name": repo.name, "id": repo.name})

    def info(self, _: bytes, name: str, revision: str) -> None:
        repo = self._repo(name)
        commit = repo.resolve(revision or "main")
        siblings = [{"rfilename": path} for path in repo.commits[commit]]
        found = {"_id": "0" * 24, "id": name, "modelId": name, "sha": commit, "private": repo.private, "gated": False}
        self._json({**found, "disabled": False, "downloads": 0, "likes": 0, "tags": [], "siblings": siblings})

    def refs(self, _: bytes, name: str) -> None:
        branches = self._repo(name).branches.items()
        found = [{"name": key, "ref": f"refs/heads/{key}", "targetCommit": value} for key, value in branches]
        self._json({"branches": found, "converts": [], "tags": []})

    def paths_info(self, body: bytes, name: str, revision: str) -> None:
        files = self._repo(name).files(revision)
        found: list[dict[str, object]] = []
        for path in parse_qs(body.decode())["paths"]:
            if path in files:
                found.append(files[path].as_json(path))
            elif any(other.startswith(f"{path}/") for other in files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        self._json(found)

    def tree(self, _: bytes, name: str, revision: str, folder: str) -> None:
        files = self._repo(name).files(revision)
        prefix = f"{folder}/" if folder else ""
        below = {path: file for path, file in files.items() if path.startswith(prefix)}
        if folder and not below:
            raise RefusedError(404, f"{folder} does not exist", "EntryNotFound")
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
        folders = {prefix + rest[: rest.index("/")] for path in below if "/" in (rest := path.removeprefix(prefix))}
        found: list[dict[str, object]] = [
            {"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)
        ]
        shown = below if recursive else {path: below[path] for path in below if "/" not in path.removeprefix(prefix)}
        self._json([*found, *(file.as_json(path) for path, file in sorted(shown.items()))])

    def branch(self, body: bytes, name: str, branch: str) -> None:
        repo = self._repo(name, write=True)
        if branch in repo.branches:
            raise RefusedError(409, "Reference already exists")
        repo.branches[branch] = repo.resolve(json.loads(body or b"{}").get("startingPoint") or "main")
        self._json({"success": True}, 201)

    def preupload(self, body: bytes, name: str, revision: str) -> None:
        repo = self._repo(name, write=True)
        files = repo.files(revision)
        wanted = json.loads(body)
        ignored = files[".gitignore"].data.decode() if ".gitignore" in files else ""
        patterns = [line for line in wanted.get("gitIgnore", ignored).splitlines() if line and line[0] != "#"]
        found = []
        for file in wanted["files"]:
            path = file["path"]
            large = path.endswith(LARGE_SUFFIXES) or file["size"] > LARGE_BYTES
            ignore = any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
            mode = "lfs" if large else "regular"
            oid = (files[path].sha256 if large else files[path].blob) if path in files else None
            found.append({"path": path, "uploadMode": mode, "shouldIgnore": ignore, **({"oid": oid} if oid else {})})
        self._json({"files": found})

    def batch(self, body: bytes, name: str) -> None:
        self._repo(name, write=True)
        found = []
        for wanted in json.loads(body)["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            answer: dict[str, Any] = {"oid": oid, "size": size}
            if oid not in self.server.state.store:
                url = f"{self.server.url}/store/{oid}"
                verify = {"href": f"{url}/verify"}
                step = self.server.part_bytes
                if step is not None and size > step:
                    count = -(-size // step)
                    header = {"chunk_size": str(step)} | {str(k): f"{url}?part={k}" for k in range(1, count + 1)}
                    answer["actions"] = {"upload": {"href": f"{url}/complete", "header": header}, "verify": verify}
                else:
                    answer["actions"] = {"upload": {"href": url}, "verify": verify}
            found.append(answer)
        self._json({"transfer": "basic", "objects": found})

    def put(self, body: bytes, oid: str) -> None:
        part = parse_qs(urlsplit(self.path).query).get("part")
        if part:
            self.server.state.pieces[oid, int(part[0])] = body
        else:
            self._keep(oid, body)
        self._reply(200, b"", ("ETag", f'"{hashlib.md5(body).hexdigest()}"'))

    def complete(self, body: bytes, oid: str) -> None:
        numbers = [part["partNumber"] for part in json.loads(body)["parts"]]
        self._keep(oid, b"".join(self.server.state.pieces[oid, number] for number in numbers))
        self._json({})

    def _keep(self, oid: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != oid:
            raise RefusedError(400, "the content does not have its hash")
        self.server.state.store[oid] = data

    def verify(self, body: bytes, oid: str) -> None:
        if len(self.server.state.store.get(oid, b"")) != json.loads(body)["size"]:
            raise RefusedError(404, "not uploaded")
        self._json({})

    def commit(self, body: bytes, name: str, revision: str) -> None:
        repo = self._repo(name, write=True)
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit", repo.resolve(revision)) != repo.resolve(revision):
            raise RefusedError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.files(revision))
        for line in lines[1:]:
            kind, value = line["key"], line["value"]
            if kind == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), False)
            elif kind == "lfsFile":
                if value["oid"] not in self.server.state.store:
                    raise RefusedError(
                        400, "Your push was rejected because an LFS pointer pointed to a file that does not exist"
                    )
                files[value["path"]] = File(self.server.state.store[value["oid"]], True)
            elif kind == "deletedFile":
                if files.pop(value["path"], None) is None:
                    raise RefusedError(404, "A file with this name doesn't exist", "EntryNotFound")
            else:
                raise RefusedError(400, f"an operation {kind!r}")
        made = repo.commit(revision, files, header["summary"])
        self._json(
            {
                "success": True,
                "commitOid": made,
                "commitUrl": f"{self.server.url}/{name}/commit/{made}",
                "hookOutput": "",
            }
        )

    def yaml(self, _: bytes) -> None:
        self._json({"errors": [], "warnings": []})

    def resolve(self, _: bytes, name: str, revision: str, path: str) -> None:
        repo = self._repo(name)
        commit = repo.resolve(revision)
        files = repo.commits[commit]
        if path not in files:
            raise RefusedError(404, "Entry not found", "EntryNotFound")
        file = files[path]
        headers = [("X-Repo-Commit", commit), ("Accept-Ranges", "bytes")]
        if file.large:
            headers += [("X-Linked-Etag", f'"{file.sha256}"'), ("X-Linked-Size", str(len(file.data)))]
            self.server.state.store[file.sha256] = file.data
            self._reply(
                302, b"", *headers, ("Location", f"http://localhost:{self.server.server_port}/cdn/{file.sha256}")
            )
            return
        self._ranged(file.data, [*headers, ("ETag", f'"{file.blob}"')])

    def cdn(self, _: bytes, oid: str) -> None:
        self._ranged(self.server.state.store[oid], [("ETag", f'"{oid}"'), ("Accept-Ranges", "bytes")])

    def _ranged(self, data: bytes, headers: list[tuple[str, str]]) -> None:
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", ""))
        if match is None or self.command == "HEAD":
            self._reply(200, data, *headers, ("Content-Length", str(len(data))))
            return
        start = int(match[1]) if match[1] else max(len(data) - int(match[2]), 0)
        stop = min(int(match[2]) + 1, len(data)) if match[1] and match[2] else len(data)
        if start >= len(data):
            raise RefusedError(416, "Requested range not satisfiable")
        self._reply(206, data[start:stop], *headers, ("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}"))


_NAME = "([^/]+/[^/]+)"
_API = f"/api/models/{_NAME}"
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.yaml),
    ("GET", f"{_API}/refs", Handler.refs),
    ("POST", f"{_API}/paths-info/([^/]+)", Handler.paths_info),
    ("GET", f"{_API}/tree/([^/]+)(?:/(.*))?", Handler.tree),
    ("POST", f"{_API}/branch/([^/]+)", Handler.branch),
    ("POST", f"{_API}/preupload/([^/]+)", Handler.preupload),
    ("POST", f"{_API}/commit/([^/]+)", Handler.commit),
    ("GET", f"{_API}(?:/revision/([^/]+))?", Handler.info),
    ("POST", rf"/{_NAME}\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", "/store/([0-9a-f]+)", Handler.put),
    ("POST", "/store/([0-9a-f]+)/complete", Handler.complete),
    ("POST", "/store/([0-9a-f]+)/verify", Handler.verify),
    ("GET", f"/{_NAME}/resolve/([^/]+)/(.+)", Handler.resolve),
    ("GET", "/cdn/([0-9a-f]+)", Handler.cdn),
]
