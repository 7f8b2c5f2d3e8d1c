"""An adapter of a reader and writer that trusts: zipfile, `json.loads` and the official safetensors library, no checks.

    etui-conformance run --profile weights-reader --adapter "python -m etui_conformance.adapters.safetensors_json"

This is what one writes in an afternoon, and it reads every artifact of plain tensors that a good writer made. What it
lacks is what the suite tells clause by clause: it takes keys that are there twice, digests that do not match, archives
that hide something, and it gives away what a stranger changed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save

Json = dict[str, Any]

_DTYPES: Final = {  # name in safetensors -> ours
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}
_INLINE: Final = 1 << 20

# What Python's libraries say of a broken file, and the nearest code.
_REFUSALS: Final[dict[type[Exception], tuple[str, str]]] = {
    json.JSONDecodeError: ("malformed", "json-syntax"),
    UnicodeDecodeError: ("malformed", "json-encoding"),
    zipfile.BadZipFile: ("malformed", "zip-truncated"),
    safetensors.SafetensorError: ("malformed", "safetensors-header"),
    FileNotFoundError: ("integrity", "part-missing"),
}


class Unsupported(Exception):  # noqa: N818 (an answer, not an error)
    """Something that safetensors and JSON do not have."""


class Adapter:
    """The ops: each takes a request and gives the fields of its reply."""

    def __init__(self) -> None:
        self._folder = Path()
        self._files = 0

    def hello(self, request: Json) -> Json:
        """Claim what a few lines seem to do."""
        if not request["protocol"].startswith("1."):
            raise Unsupported(f"protocol:{request['protocol']}")
        self._folder = Path(request["folder"])
        return {
            "name": "safetensors-json",
            "version": "1.0",
            "language": "python",
            "ops": ["decode", "validate", "encode"],
            "areas": ["weights"],
            "forms": ["packed", "directory"],
            "features": ["opaque", "programs"],  # of parts that it does not look at
            "dtypes": list(_DTYPES.values()),
        }

    def decode(self, request: Json) -> Json:
        """Read the documents with `json.loads`, and the tensors with safetensors."""
        parts = _parts(request["artifact"])
        manifest = json.loads(parts["manifest.json"])
        content = {"profile": manifest["profile"]}
        if "metadata" in manifest:
            content["metadata"] = manifest["metadata"]
        index = json.loads(parts["weights.json"]) if "weights.json" in parts else {"aliases": {}, "variables": {}}
        tensors = _Tensors(parts, index)
        if "weights.json" in parts:
            kept = {path: _without(each, "chunks", "components") for path, each in index["variables"].items()}
            content["weights"] = {**index, "variables": kept}
            if request["want"] == "all":
                named = {path: self._sent(*tensors.read(path)) for path in index["variables"]}
                content["tensors"] = {"weights": named}
        read = [self._sent(*tensors.read(each["name"], each["box"])) for each in request.get("read", [])]
        return {
            "identity": _digest(parts["manifest.json"]),
            "profile": manifest["profile"],
            "content": content,
            "read": read,
        }

    def validate(self, request: Json) -> Json:
        """Take for valid what can be read."""
        if "document" in request:
            if request["document"] in ("optimizer", "state"):
                raise Unsupported("MessagePack")
            json.loads(_received(request["data"]))
            return {}
        return {"identity": self.decode({**request, "want": "all"})["identity"]}

    def encode(self, request: Json) -> Json:
        """Write the tensors with safetensors, the documents with `json.dumps`, and an archive with zipfile."""
        content = request["content"]
        tensors = {path: _array(each) for path, each in content.get("tensors", {}).get("weights", {}).items()}
        index = {**content["weights"], "variables": {}}
        for path, variable in content["weights"]["variables"].items():
            chunk = {"digest": _digest(tensors[path].tobytes()), "part": "weights.safetensors", "tensor": path}
            index["variables"][path] = {**variable, "chunks": [chunk]}
        parts = {"weights.json": _encoded(index)}
        if tensors:
            parts["weights.safetensors"] = save(tensors)
        manifest = _manifest(parts, content.get("metadata"))
        parts["manifest.json"] = _encoded(manifest)
        if request["form"] == "directory":
            for name, data in parts.items():
                Path(request["path"]).mkdir(exist_ok=True)
                Path(request["path"], name).write_bytes(data)
        else:
            with zipfile.ZipFile(request["path"], "w") as archive:
                for name, data in parts.items():
                    archive.writestr(name, data)
        return {"identity": _digest(parts["manifest.json"])}

    def reset(self, request: Json) -> Json:  # noqa: ARG002 (all ops have one form)
        """Nothing is kept."""
        return {}

    bye = reset

    def _sent(self, dtype: str, shape: list[int], data: bytes) -> Json:
        tensor: Json = {"dtype": dtype, "shape": shape}
        if len(data) < _INLINE:
            return {**tensor, "data": base64.b64encode(data).decode()}
        self._files += 1
        path = self._folder / f"safetensors-json-{self._files}.bin"
        path.write_bytes(data)
        return {**tensor, "file": str(path)}


class _Tensors:
    """The tensors of an artifact, by path or alias."""

    def __init__(self, parts: Mapping[str, bytes], index: Json) -> None:
        self._parts = parts
        self._index = index
        self._read: dict[str, Json] = {}

    def read(self, name: str, box: list[list[int]] | None = None) -> tuple[str, list[int], bytes]:
        variable = self._index["variables"][self._index["aliases"].get(name, name)]
        if "encoding" in variable or len(variable["chunks"]) > 1:
            raise Unsupported("a tensor that is not one tensor of safetensors")
        chunk = variable["chunks"][0]
        if chunk["part"] not in self._read:
            self._read[chunk["part"]] = _deserialized(self._parts[chunk["part"]])
        found = self._read[chunk["part"]][chunk["tensor"]]
        dtype, shape, data = _DTYPES[found["dtype"]], list(found["shape"]), bytes(found["data"])
        if box is None:
            return dtype, shape, data
        width = len(data) // max(1, int(np.prod(shape)))
        elements = np.frombuffer(data, f"V{max(1, width)}").reshape(shape)
        return dtype, [stop - start for start, stop in box], elements[tuple(slice(*each) for each in box)].tobytes()


def _deserialized(part: bytes) -> dict[str, Json]:
    return dict(safetensors.deserialize(part))  # type: ignore[no-untyped-call]


def _parts(artifact: Json) -> dict[str, bytes]:
    if "directory" in artifact:
        root = Path(artifact["directory"])
        names = [path for path in root.rglob("*") if path.is_file()]
        found = {path.relative_to(root).as_posix(): path.read_bytes() for path in names}
        if "manifest.json" not in found:
            raise FileNotFoundError("manifest.json")
        return found
    with zipfile.ZipFile(io.BytesIO(_received(artifact["packed"]))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _manifest(parts: Mapping[str, bytes], metadata: Json | None) -> Json:
    weights = parts["weights.json"]
    entries: Json = {
        "weights.json": {
            "digest": _digest(weights),
            "media_type": "application/vnd.etui.weights+json",
            "role": "weights",
            "size": len(weights),
        }
    }
    if (data := parts.get("weights.safetensors")) is not None:
        size = 8 + int.from_bytes(data[:8], "little")
        entries["weights.safetensors"] = {
            "header": {"digest": _digest(data[:size]), "size": size},
            "media_type": "application/vnd.safetensors",
            "role": "data",
            "size": len(data),
        }
    manifest: Json = {"format": "etui", "parts": entries, "profile": "weights", "requires": [], "version": "1.0"}
    return manifest if metadata is None else {**manifest, "metadata": metadata}


def _array(tensor: Json) -> np.ndarray[Any, Any]:
    dtype = getattr(ml_dtypes, tensor["dtype"], tensor["dtype"])
    return np.frombuffer(_received(tensor), dtype).reshape(tensor["shape"])


def _received(data: Json) -> bytes:
    return Path(data["file"]).read_bytes() if "file" in data else base64.b64decode(data["data"])


def _encoded(document: Json) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _without(document: Json, *fields: str) -> Json:
    return {field: each for field, each in document.items() if field not in fields}


def answer(adapter: Adapter, request: Json) -> Json:
    """The reply to a request."""
    ops: dict[str, Callable[[Json], Json]] = {
        name: getattr(adapter, name) for name in ("hello", "decode", "validate", "encode", "reset", "bye")
    }
    try:
        if request["op"] not in ops:
            raise Unsupported(f"op:{request['op']}")  # noqa: TRY301 (the reply is made below)
        reply = {"result": "ok", **ops[request["op"]](request)}
    except Unsupported as lack:
        reply = {"result": "unsupported", "what": str(lack)}
    except tuple(_REFUSALS) as fault:
        error_class, code = next(refusal for kind, refusal in _REFUSALS.items() if isinstance(fault, kind))
        reply = {"result": "reject", "class": error_class, "code": code, "at": str(fault)}
    except Exception as fault:  # noqa: BLE001 (whatever it is, the run goes on)
        reply = {"result": "fault", "message": repr(fault)}
    return {"id": request["id"], **reply}


def main() -> None:
    """Answer requests until `bye`."""
    adapter = Adapter()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        sys.stdout.write(json.dumps(answer(adapter, request)) + "\n")
        sys.stdout.flush()
        if request["op"] == "bye":
            return


if __name__ == "__main__":
    main()
