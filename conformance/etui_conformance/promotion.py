"""A failure that a run found becomes a vector of the repository, so that it is asked of everybody from then on.

Promoted vectors are in `conformance/vectors/found`, with a list of their own beside them in the form of the list of all
others; no generator makes them, for they are what nobody had thought of.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from etui_conformance.oracle import directory, packed, reading, writing
from etui_conformance.oracle.errors import Refusal, class_of
from etui_conformance.protocol import wire
from etui_conformance.protocol.messages import AREAS
from etui_conformance.replay import Failure
from etui_conformance.vectors import FOUND, Vector, load

SIBLING: Final = "files/sibling.etui"
_MANIFEST: Final = "manifest.json"
_CODES: Final = re.compile(r"(?:malformed|invalid|unsupported|limit|integrity|unsafe) ([a-z0-9-]+)")


class PromotionError(Exception):
    """A failure of which no vector can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """A vector that was written.

    Attributes:
        id: of it.
        files: that it consists of.
    """

    id: str
    files: tuple[Path, ...]


def promote(failure: Failure, root: Path, *, name: str | None = None, sibling: str | None = None) -> list[Promoted]:
    """Write the vector of a failure, and its valid sibling where that is none yet.

    Args:
        failure: that was written out; its request names an artifact, a document or a content.
        root: the folder of all vectors.
        name: what the vector shows, in words; by default the title of the check.
        sibling: id of a valid vector one edit away from an invalid artifact; by default, that which the check used.

    Raises:
        PromotionError: there is nothing to make a vector of, or the oracle says otherwise than the check did.
    """
    shelf = _Shelf(root)
    request = dict(failure.request or {})
    title = name or failure.title
    if "content" in request:
        content = wire.content_from_wire(_absolute(request["content"], failure.folder))
        data = packed.pack(writing.write(content))
        return [shelf.add_valid(data, title, failure.clauses)]
    if "document" in request:
        raise PromotionError("a document alone is found by its kind: add it to the generator of vectors")
    if "artifact" not in request:
        raise PromotionError(f"the request {request.get('op')!r} has no artifact and no content")
    data = _packed(request["artifact"], failure.folder)
    try:
        reading.read(packed.unpack(data), full=True)
    except Refusal as refusal:
        return shelf.add_invalid(data, title, failure, refusal, sibling)
    if _codes(failure):
        raise PromotionError("the oracle accepts what the check took for invalid: one of them is wrong")
    return [shelf.add_valid(data, title, failure.clauses)]


class _Shelf:
    """The folder of promoted vectors and its list."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / FOUND / _MANIFEST
        self._listed: list[dict[str, Any]] = []
        if self._path.exists():
            self._listed = json.loads(self._path.read_text(encoding="utf-8"))["vectors"]

    def add_valid(self, data: bytes, name: str, clauses: tuple[str, ...]) -> Promoted:
        """Write a valid artifact with its content; what is a vector already is not written again."""
        if (same := self._known(data)) is not None:
            return Promoted(same.id, ())
        parts = packed.unpack(data)
        content = reading.read(parts, full=True)
        number = self._next()
        expected = f"{number}.content.json"
        text = json.dumps(wire.content_to_wire(content, self._root), ensure_ascii=False, indent=1, sort_keys=True)
        entry: dict[str, Any] = {"expected": expected, "holds": sorted(area for area in AREAS if area in content)}
        if writing.write(content) == parts:
            entry |= {"encode": f"{number}.etui", "transcode": f"{number}.etui"}
        needs = sorted({"packed", *entry["holds"], *_dtypes(content), *_features(parts)})
        files = {f"{number}.etui": data, expected: (text + "\n").encode()}
        return self._write(number, files, name=name, clauses=list(clauses), needs=needs, result="ok", **entry)

    def add_invalid(
        self, data: bytes, name: str, failure: Failure, refusal: Refusal, sibling: str | None
    ) -> list[Promoted]:
        """Write an artifact with a fault, and the valid one beside it."""
        codes = _codes(failure)
        if codes and refusal.code not in codes:
            raise PromotionError(f"the check expected {' or '.join(codes)}, and the oracle says {refusal.code}")
        if self._known(data) is not None:
            raise PromotionError("that artifact is a vector already")
        made: list[Promoted] = []
        beside = failure.folder / SIBLING
        if sibling is None and beside.is_file():
            made.append(self.add_valid(beside.read_bytes(), f"the valid sibling of: {name}", failure.clauses))
            sibling = made[0].id
        if sibling is None:
            raise PromotionError("name a valid vector that is one edit away by --sibling")
        near = next((vector for vector in load(self._root) if vector.id == sibling and vector.valid), None)
        if near is None:
            raise PromotionError(f"{sibling} is no valid vector")
        number = self._next()
        op = str((failure.request or {}).get("op"))
        entry = {
            "name": name,
            "clauses": list(failure.clauses),
            "needs": sorted(near.needs),
            "result": "reject",
            "class": class_of(refusal.code),
            "code": refusal.code,
            "codes": list(codes or (refusal.code,)),
            "ops": [op] if op in ("decode", "validate") else ["decode", "validate"],
            "place": refusal.at.partition(" ")[0] or "(archive)",
            "sibling": sibling,
        }
        made.append(self._write(number, {f"{number}.etui": data}, **entry))
        return made

    def _known(self, data: bytes) -> Vector | None:
        digest = hashlib.sha256(data).hexdigest()
        return next((vector for vector in load(self._root) if digest in vector.files.values()), None)

    def _next(self) -> str:
        return f"{FOUND}/{len(self._listed) + 1:04}"

    def _write(self, number: str, files: Mapping[str, bytes], /, **fields: Any) -> Promoted:
        (self._root / FOUND).mkdir(exist_ok=True)
        for file, data in files.items():
            (self._root / file).write_bytes(data)
        entry = {
            "id": number,
            "kind": "packed",
            "since": "1.0",
            "files": {file: hashlib.sha256(data).hexdigest() for file, data in sorted(files.items())},
            **fields,
        }
        self._listed.append(entry)
        lines = ",\n".join(json.dumps(each, ensure_ascii=False, sort_keys=True) for each in self._listed)
        text = f'{{"format":"etui-vectors","spec":"1.0","vectors":[\n{lines}\n]}}\n'
        self._path.write_text(text, encoding="utf-8")
        load.cache_clear()
        return Promoted(number, tuple(self._root / file for file in files))


def _packed(artifact: Mapping[str, Any], folder: Path) -> bytes:
    """The bytes of the artifact of a failure in packed form, whichever form it was in."""
    try:
        if "directory" in artifact:
            return packed.pack(directory.read(folder / artifact["directory"]))
        inner = artifact["packed"]
        return (folder / inner["file"]).read_bytes() if "file" in inner else base64.b64decode(inner["data"])
    except Refusal as refusal:
        raise PromotionError(f"the fault is one of the folder and not of parts: {refusal}") from refusal
    except (OSError, KeyError, TypeError, ValueError) as fault:
        raise PromotionError(f"the artifact of the failure is not there: {fault}") from fault


def _absolute(node: Any, folder: Path) -> Any:
    """A content whose files are named by absolute paths."""
    if isinstance(node, dict):
        return {
            key: str(folder / item) if key == "file" and isinstance(item, str) else _absolute(item, folder)
            for key, item in node.items()
        }
    return [_absolute(item, folder) for item in node] if isinstance(node, list) else node


def _codes(failure: Failure) -> list[str]:
    """The codes with which the check expected a refusal; none if it expected something else."""
    return _CODES.findall(failure.expected or "")


def _dtypes(content: Mapping[str, Any]) -> Iterator[str]:
    waiting = [tensor for tensors in content.get("tensors", {}).values() for tensor in tensors.values()]
    while waiting:
        tensor = waiting.pop()
        yield f"dtype:{tensor['dtype']}"
        waiting += tensor.get("components", {}).values()


def _features(parts: Mapping[str, bytes]) -> Iterator[str]:
    return (f"feature:{name}" for name in json.loads(parts[_MANIFEST]).get("requires", ()))
