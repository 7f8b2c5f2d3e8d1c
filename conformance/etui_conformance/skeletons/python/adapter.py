"""An adapter of the Etui conformance suite, for a library in Python.

The suite starts this program once and asks it things: a JSON object a line on standard input, and for each an answer,
a JSON object a line, on standard output. Standard error is yours: what you print there is shown beside a failure.

    etui-conformance smoke --adapter "python adapter.py"
    etui-conformance run --profile weights-reader --adapter "python adapter.py"

The adapter claims nothing yet, and so answers every question but `hello`, `reset` and `bye` with `unsupported`.
It grows in this order, and each step turns checks from "not claimed" into "passed":

1. `decode`: call your library, answer with what it read, and claim it in `CLAIMED_OPS` and `hello`.
2. `validate`: call your library's full verification.
3. `encode` and `transcode`: call your library's writer.

SPEC.md, annex P, says what each request and each answer holds.
"""

from __future__ import annotations

import base64
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLAIMED_OPS: list[str] = []  # decode, validate, encode, transcode: what you have written below
INLINE_LIMIT = 1 << 20  # bytes; larger data goes by file


class Refusal(Exception):
    """Your library refuses the artifact, as SPEC.md chapter 20 says: raise this with its class and code."""

    def __init__(self, error_class: str, code: str, at: str) -> None:
        super().__init__(code)
        self.answer = {"result": "reject", "class": error_class, "code": code, "at": at}


class Unsupported(Exception):
    """Your library does not have what is asked for."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.answer = {"result": "unsupported", "what": what}


class Adapter:
    """What the suite asks: each method takes a request and gives the fields of the answer `ok`."""

    folder = Path()  # where files go between the suite and you; named by hello
    files = 0

    def hello(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say who you are, and claim what you can do; nobody asks for what you do not claim."""
        if request["protocol"].partition(".")[0] != "1":
            raise Unsupported(f"protocol:{request['protocol']}")
        self.folder = Path(request["folder"])
        return {
            "name": "my-etui",
            "version": "0.1",
            "language": "python",
            "ops": CLAIMED_OPS,
            "areas": [],  # weights, config, training, optimizer, state, parts
            "forms": [],  # packed, directory
            "features": [],  # chunks, encoding.complex, encoding.packed4, encoding.quantized, encoding.string, …
            "dtypes": [],  # float32, int8, …: those of SPEC.md chapter 2.1
            "formats": [],
        }

    def decode(self, request: dict[str, Any]) -> dict[str, Any]:
        """Open an artifact and answer with what it holds: identity, profile, content, read."""
        path = self.path_of(request["artifact"])
        # Call your library here, for example:
        #     model = my_etui.open(path)
        #     return {"identity": model.identity, "profile": model.profile, "content": {…}, "read": []}
        # and turn its exceptions into Refusal. A tensor is
        #     {"dtype": "float32", "shape": [2, 3], **self.data_of(array.tobytes())}
        raise Unsupported(f"op:decode of {path.name}")

    def validate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Verify every byte of an artifact, or check one document."""
        if "document" in request:
            data = self.bytes_of(request["data"])
            raise Unsupported(f"op:validate of a document of {len(data)} bytes")
        raise Unsupported("op:validate")

    def reset(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget everything: the next request must not find traces of those before."""
        return {}

    def bye(self, request: dict[str, Any]) -> dict[str, Any]:
        """The last request; the program ends behind it."""
        return {}

    def bytes_of(self, data: dict[str, str]) -> bytes:
        """Bytes that the suite sends: base64 or a file."""
        return Path(data["file"]).read_bytes() if "file" in data else base64.b64decode(data["data"])

    def data_of(self, data: bytes) -> dict[str, str]:
        """Bytes on their way to the suite."""
        if len(data) < INLINE_LIMIT:
            return {"data": base64.b64encode(data).decode()}
        return {"file": str(self._written(data))}

    def path_of(self, artifact: dict[str, Any]) -> Path:
        """Where an artifact is: its folder, or its packed file, which is written if it came inline."""
        if "directory" in artifact:
            return Path(artifact["directory"])
        packed = artifact["packed"]
        return Path(packed["file"]) if "file" in packed else self._written(self.bytes_of(packed))

    def _written(self, data: bytes) -> Path:
        self.files += 1
        path = self.folder / f"adapter-{self.files}.bin"
        path.write_bytes(data)
        return path


def answered(adapter: Adapter, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, whatever happens."""
    ops: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "hello": adapter.hello,
        "decode": adapter.decode,
        "validate": adapter.validate,
        "reset": adapter.reset,
        "bye": adapter.bye,
    }
    try:
        if request["op"] not in ("hello", "reset", "bye", *CLAIMED_OPS):
            raise Unsupported(f"op:{request['op']}")
        answer = {"result": "ok", **ops[request["op"]](request)}
    except (Refusal, Unsupported) as error:
        answer = error.answer
    except Exception as error:  # whatever it is, the run goes on
        traceback.print_exc()
        answer = {"result": "fault", "message": repr(error)}
    return {"id": request["id"], **answer}


def main() -> None:
    """Answer until the suite says bye, or is gone."""
    adapter = Adapter()
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        request = json.loads(line)
        sys.stdout.write(json.dumps(answered(adapter, request)) + "\n")
        sys.stdout.flush()
        if request["op"] == "bye":
            return


if __name__ == "__main__":
    main()
