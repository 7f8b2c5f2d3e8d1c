"""What two implementations are asked about: golden vectors, and what mutations make of them.

A mutation of a document would be hidden behind the digests of the manifest. Most of the time these are therefore made
right afterwards, for an artifact by `targets_own.sealed`, for a step of a series by its chain of names.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from etui.canonical import json as own_json
from etui.canonical import msgpack as own_msgpack
from etui.canonical.value_types import StoredTensor
from etui.errors import EtuiError
from etui_conformance import vectors
from etui_conformance.checks import semantics
from etui_conformance.oracle import packed, safetensors, series
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.manifest import digest
from etui_conformance.vectors import Vector
from fuzz.kit import is_harmless, joined, lenient_json, parted
from fuzz.mutation import mutated
from fuzz.targets_own import sealed

Kind = Literal["packed", "directory", "document", "series", "object"]
Files = dict[str, bytes]
Tree = Any

FAMILIES: Final = ("packed", "parts", "document", "series", "core")
"""What cases are made of: artifacts as one file, as parts, documents alone, series, what annexes J and K compute."""
LARGEST: Final = 65_536
"""Bytes of a seed, and of what a mutation makes of one file."""
_MOST_FILES: Final = 60
_MANIFEST: Final = "manifest.json"
# Names that are something else to a language: members of every object, numbers, what sorts otherwise in UTF-16.
_WORDS: Final = (
    *("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "length", "size", "then"),
    *("get", "set", "has", "keys", "__class__", "__init__", "None", "null", "undefined", "NaN", "true", "0", "10", "9"),
    *("01", "-1", "-0", "1e3", "4294967295", "4294967296", "9007199254740993", "\ufb33", "\uffff", "\U0001f600"),
    *("\u2028", "é", "e\u0301", "K", "\u212a", "ſ", "ß", "İ", "a b", ".hidden", "con", "A", "a", "$int", "%41", "\x7f"),
)
_DEEP: Final = 40
# Fields of documents, which are rarely worth another name.
_FIXED: Final = frozenset(
    {
        *("format", "version", "model", "kind", "name", "op", "attrs", "params", "modules", "graph", "inputs"),
        *("outputs", "calls", "id", "module", "args", "kwargs", "variables", "aliases", "chunks", "digest", "part"),
        *("tensor", "dtype", "order", "role", "shape", "trainable", "tensors", "optimizers", "algorithm", "step"),
        *("learning_rate", "micro_step", "slots", "groups", "layer", "float32", "1.0"),
        *("weights.safetensors", "optimizer.safetensors", "state.safetensors"),
    }
)


@dataclass(frozen=True, slots=True)
class Case:
    """An artifact, a document, or a step of a series.

    Attributes:
        kind: which of them.
        files: by name; the only one of a packed artifact, a document or an object is named by the empty text.
        document: the kind of a document.
        step: that of a series.
        request: what else is asked about it: an op of annexes J and K, and its fields but the artifact and the object.
    """

    kind: Kind
    files: Mapping[str, bytes]
    document: str | None = None
    step: int | None = None
    request: Mapping[str, Any] | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))

    def as_json(self) -> dict[str, Any]:
        """A finding's file."""
        files = {name: base64.b64encode(data).decode() for name, data in self.files.items()}
        return {
            "kind": self.kind,
            "document": self.document,
            "step": self.step,
            "request": self.request,
            "files": files,
        }

    @classmethod
    def of_json(cls, tree: Mapping[str, Any]) -> Case:
        """The case in a finding's file."""
        files = {name: base64.b64decode(text) for name, text in tree["files"].items()}
        return cls(tree["kind"], files, tree["document"], tree["step"], tree["request"])


def seeds(*, valid: bool) -> dict[str, list[Case]]:
    """The cases of each family: artifacts as one file, as parts, documents alone, series, what is computed with.

    Args:
        valid: those that are valid, or the others.
    """
    found: dict[str, list[Case]] = {"packed": [], "parts": [], "document": [], "series": [], "core": _core(valid=valid)}
    for vector in vectors.load():
        if vector.setup or vector.valid != valid:
            continue
        if vector.kind == "document":
            found["document"].append(Case("document", {"": vector.data()}, vector.document))
        elif vector.kind == "directory":
            found["parts"].append(Case("directory", vector.parts()))
        else:
            found["packed"].append(Case("packed", {"": vector.data()}))
            try:
                parts = packed.unpack(vector.data())
            except Refusal:
                continue
            found["parts"].append(Case("directory", parts))
            found["document"] += [
                Case("document", {"": data}, name.partition(".")[0])
                for name, data in parts.items()
                if name.partition(".")[0] in _DOCUMENTS and "/" not in name and not name.endswith(".safetensors")
            ]
    found["series"] += _series(valid=valid)
    return {
        family: [case for case in cases if case.size <= LARGEST and len(case.files) <= _MOST_FILES]
        for family, cases in found.items()
    }


_DOCUMENTS: Final = ("config", "manifest", "optimizer", "state", "training", "weights")


def _series(*, valid: bool) -> list[Case]:
    listed = {vector.id: vector for vector in vectors.load_series()}
    found = [_one_of_series(each, listed) for each in listed.values() if not each.setup and each.valid == valid]
    return [case for case in found if case.step is None or series.record_name(case.step) in case.files]


def _one_of_series(vector: Vector, listed: Mapping[str, Vector]) -> Case:
    if vector.kind == "document":
        return Case("document", {"": vector.data()}, vector.document)
    sibling = listed[vector.sibling] if vector.sibling is not None else None
    return Case("series", vectors.series_files(vector, sibling), step=vector.step)


def _core(*, valid: bool) -> list[Case]:
    """What the vectors of annexes J and K ask."""
    found = []
    for listed in semantics.manifest()["files"]:
        for case in semantics.vectors(listed["file"])["cases"]:
            if valid == ("sibling" not in case):
                found.append(_one_of_core(case["op"], dict(case["request"])))
    return found


def _one_of_core(op: str, request: dict[str, Any]) -> Case:
    if op == "compute":
        return Case("object", {"": own_json.encode(request.pop("object"))}, request={"op": op, **request})
    parts = packed.unpack(base64.b64decode(request.pop("artifact")["packed"]["data"]))
    if isinstance(request.get("gradients"), list):  # of a chain of steps the first
        request["gradients"] = request["gradients"][0]
    return Case("directory", parts, request={"op": op, **request} if op in {"step", "evaluate"} else None)


def mutation(case: Case, rng: Random) -> Case:
    """Another case, near to one; the same state of `rng` gives the same."""
    files = dict(case.files)
    match case.kind:
        case "packed":
            files[""] = mutated(files[""], "zip", rng, largest=LARGEST)
        case "document":
            files[""] = mutated(files[""], _shape(files[""]), rng, largest=LARGEST, own=rng.random() < 0.9)
        case "object":
            files[""] = _other_config(files[""], rng)
        case "directory":
            files = _mutated_parts(files, rng)
            if rng.random() < 0.5 and _MANIFEST in files and all(name.isascii() for name in files):
                return Case("packed", {"": packed.pack(files)}, request=case.request)
        case "series":
            files = _mutated_series(files, case.step or 0, rng)
    single = case.kind in {"packed", "document", "object"}
    harmless = {name: data for name, data in files.items() if single or is_harmless(name)}
    return Case(case.kind, _without_clashes(harmless), case.document, case.step, case.request)


def _shape(data: bytes) -> Literal["json", "msgpack"]:
    return "json" if data[:1] in {b"{", b"["} else "msgpack"


def _other_config(data: bytes, rng: Random) -> bytes:
    """An object with another config; a request with anything else in its place is none (CF-33)."""
    tree = own_json.decode(data, where="object")
    before = own_json.encode_tree(tree["$object"]["config"])
    config = lenient_json(mutated(before, "json", rng, largest=LARGEST, own=True))
    if not isinstance(config, dict):
        return data
    tree["$object"]["config"] = config
    try:
        return own_json.encode(tree)
    except (EtuiError, RecursionError):
        return data


def _without_clashes(files: Files) -> Files:
    """The files without those below a name that is a file itself."""
    return {
        name: data
        for name, data in files.items()
        if not any(name[:at] in files for at, char in enumerate(name) if char == "/")
    }


def _mutated_parts(files: Files, rng: Random) -> Files:
    fate = rng.random()
    if fate < 0.3:
        files = _renamed(files, rng)
    elif fate < 0.4:
        files = _deepened(files, rng)
    elif fate < 0.5:
        files = _other_elements(files, rng)
    if fate > 0.5 or rng.random() < 0.3:
        files = parted(mutated(joined(files), "files", rng, largest=LARGEST, own=True))
    if rng.random() < 0.9:
        with suppress(EtuiError):  # a manifest past making right is a case as well
            files = sealed(files)
    return files


def _renamed(files: Files, rng: Random) -> Files:
    """One word in the place of another, wherever that is a key, a text, or a step of a path, in every document."""
    trees = {name: tree for name, data in files.items() if (tree := _tree(name, data)) is not None}
    words = sorted({word for name, tree in trees.items() if name != _MANIFEST for word in _words(tree)})
    if not words:
        return files
    old, new = rng.choice(words), rng.choice(_WORDS)

    def change(text: str) -> str:
        return "/".join(new if step == old else step for step in text.split("/"))

    changed = dict(files)
    for name, tree in trees.items():
        if name != _MANIFEST:
            changed[name] = _bytes(name, _walked(tree, change), files[name])
    for name in files:
        if name.endswith(".safetensors"):
            changed[name] = _renamed_tensors(files[name], change)
    return changed


def _renamed_tensors(data: bytes, change: Callable[[str], str]) -> bytes:
    """A data part whose tensors have other names, in the order of these."""
    try:
        _, entries = safetensors.read(data)
    except Refusal:
        return data
    tensors = {}
    for name, entry in entries.items():
        tensors[change(name)] = (entry.dtype, entry.shape, data[entry.begin : entry.end])
    return safetensors.write(tensors)


def _deepened(files: Files, rng: Random) -> Files:
    """A value of a document within many levels."""
    name = rng.choice(sorted(files))
    tree = _tree(name, files[name])
    if not isinstance(tree, dict) or not tree:
        return files
    key = rng.choice(sorted(tree))
    value = tree[key]
    for _ in range(rng.randrange(1, _DEEP)):
        value = rng.choice(([value], {"a": value}, {rng.choice(_WORDS): value}, {"$tuple": [value]}))
    return files | {name: _bytes(name, tree | {key: value}, files[name])}


def _other_elements(files: Files, rng: Random) -> Files:
    """Other bytes of tensors, with the digests of their chunks made right where that is all that stands for them."""
    found = [name for name in files if name.endswith(".safetensors") and len(files[name]) > 8]
    if not found:
        return files
    name = rng.choice(found)
    data = bytearray(files[name])
    begin = 8 + int.from_bytes(data[:8], "little")
    if not 8 < begin < len(data):
        return files
    before = bytes(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(begin, len(data))
        piece = rng.choice((b"\0", b"\1", b"\xff", b"\x7f\xc0", b"\x80\x7f", b"\xff\xff\xff\x7f", b"\0" * 8))
        data[at : at + len(piece)] = piece[: len(data) - at]
    return _redigested(files | {name: bytes(data)}, before, bytes(data))


def _redigested(files: Files, before: bytes, after: bytes) -> Files:
    """Digests of tensors of a data part, wherever a document has them, as those of its changed bytes."""
    try:
        _, entries = safetensors.read(before)
    except Refusal:
        return files
    spans = [(entry.begin, entry.end) for entry in entries.values()]
    digests = {digest(before[begin:end]): digest(after[begin:end]) for begin, end in spans}
    changed = dict(files)
    for name, data in files.items():
        for old, new in digests.items():
            changed[name] = changed[name].replace(old.encode(), new.encode()) if b"sha256:" in data else changed[name]
    return changed


def _mutated_series(files: Files, step: int, rng: Random) -> Files:
    """A series with a mutated file, whose new name mostly stands in the place of its old one, up to the record."""
    name = rng.choice(sorted(files))
    fate = rng.random()
    if fate < 0.06 and name != series.record_name(step):  # a step that is not there is a question without sense
        return {other: data for other, data in files.items() if other != name}
    if fate < 0.12:
        return files | {name: files[rng.choice(sorted(files))]}
    changed = dict(files)
    changed[name] = mutated(files[name], _shape(files[name]), rng, largest=LARGEST, own=True)
    if rng.random() < 0.85:
        changed = _chained(changed, name, files[name])
        changed = _sealed_record(changed, step)
    return changed


def _chained(files: Files, name: str, before: bytes) -> Files:
    """The object under its new name, which whatever named it names instead, and so on upwards."""
    waiting = [(name, before)]
    changed = dict(files)
    while waiting:
        place, old = waiting.pop()
        if not place.startswith("objects/") or place not in changed:
            continue
        data = changed.pop(place)
        changed[series.object_name(digest(data))] = data
        for other in sorted(changed):
            content = changed[other]
            if digest(old).encode() in content:
                changed[other] = content.replace(digest(old).encode(), digest(data).encode())
                waiting.append((other, content))
    return changed


def _sealed_record(files: Files, step: int) -> Files:
    name = series.record_name(step)
    tree = lenient_json(files.get(name, b""))
    if not isinstance(tree, dict):
        return files
    try:
        return files | {name: own_json.encode(tree | {"seal": series.seal(tree)})}
    except (EtuiError, Refusal, TypeError, ValueError):
        return files


def _tree(name: str, data: bytes) -> Tree | None:
    try:
        if name.endswith(".json"):
            return own_json.decode(data, where=name)
        if name.endswith(".msgpack"):
            return own_msgpack.decode(data, where=name)
    except EtuiError:
        pass
    return None


def _bytes(name: str, tree: Tree, otherwise: bytes) -> bytes:
    try:
        return own_msgpack.encode(tree) if name.endswith(".msgpack") else own_json.encode(tree)
    except (EtuiError, RecursionError):
        return otherwise


def _words(tree: Tree) -> set[str]:
    found: set[str] = set()

    def note(text: str) -> str:
        found.update(text.split("/"))
        return text

    _walked(tree, note)
    return {word for word in found - _FIXED if word and not word.startswith(("sha256:", "etui-"))}


def _walked(tree: Tree, change: Callable[[str], str]) -> Tree:
    if isinstance(tree, dict):
        return {change(key) if isinstance(key, str) else key: _walked(item, change) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_walked(item, change) for item in tree]
    if isinstance(tree, StoredTensor):
        return StoredTensor(change(tree.name))
    return change(tree) if isinstance(tree, str) else tree


def load(path: Path) -> Case:
    """The case in a finding's file."""
    return Case.of_json(json.loads(path.read_text(encoding="utf-8")))
