"""Artifacts that are made when they are asked about: too large for a file among the vectors, or made of one of them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from etui_conformance import vectors
from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import (
    Parts,
    Question,
    about_document,
    about_packed,
    about_parts,
    check_content,
    check_written,
    same_tensor,
    to_encode,
    told,
)
from etui_conformance.oracle import content, json, limits, packed, reading, safetensors, writing
from etui_conformance.protocol.messages import FEATURES
from etui_conformance.protocol.wire import new_path, tensor_from_wire
from etui_conformance.vectors import Vector

_READS = frozenset({"decode", "weights", "packed"})
_STATE = _READS | {"state"}
_ALL = {"want": "all"}
_DATA = "weights.safetensors"
_EDGE = 0xFFFF
_LARGE = 0xFFFFFFFF
_BLOCK = bytes(1 << 24)


def checks() -> list[Check]:
    """Cheap to call: everything is made when a check runs."""
    return [*_readers(), *_depths(), *_lengths(), *_large_documents(), *_large_archives()]


def _check(
    name: str, clauses: str, needs: Iterable[str], title: str, run: Callable[[Context], None], **more: bool
) -> Check:
    return Check(f"generated/{name}", tuple(clauses.split()), frozenset(needs), title, run, **more)


def _readers() -> Iterator[Check]:
    title = "Give a box out of a tensor whose other chunks are not as they were."
    for vector in vectors.load():
        if vector.valid and vector.id.startswith("chunks/") and "feature:chunks" in vector.needs:
            number = vector.id.removeprefix("chunks/")
            yield _check(f"boxes/{number}", "W-13 H-6 Z-12", vector.needs | {"decode"}, title, partial(_boxes, vector))
    unlisted = "Open a folder that has a file besides the parts."
    yield _check("unlisted", "F-5", {"decode", "weights", "directory"}, unlisted, _unlisted)
    yield _check("names/packed", "I-1", _READS, "Open a packed artifact whatever its file is called.", _named_files)
    title = "Open a folder whose name is that of a packed artifact."
    yield _check("names/directory", "I-1", {"decode", "weights", "directory"}, title, _named_folder)
    for feature in FEATURES:
        title = f"Refuse an artifact that requires {feature}, if that is not implemented."
        yield _check(f"features/{feature}", "M-5 Q-3", {"decode", "packed"}, title, partial(_lacking, feature))


def _boxes(vector: Vector, context: Context) -> None:
    """Each chunk of each plain tensor is read while all others are damaged."""
    parts, whole = packed.unpack(vector.data()), reading.read(packed.unpack(vector.data()))
    for name, entry in json.decode(parts["weights.json"])["variables"].items():
        for chunk in entry.get("chunks", []) if len(entry.get("chunks", [])) > 1 else []:
            box = [[start, start + size] for start, size in zip(chunk["offset"], chunk["shape"], strict=True)]
            damaged = packed.pack(_damaged(parts, chunk["part"], chunk["tensor"]))
            wanted = {"part": "weights", "name": name, "box": box}
            question = about_packed(context.session, "decode", damaged, want="documents", read=[wanted])
            found = question.accepted().get("read", [{}])[0]
            expected = content.box_of(whole["tensors"]["weights"][name], box)
            if not same_tensor(tensor_from_wire(found), expected):
                raise question.mismatch(f"decode gave another box of {name!r}", expected, found)


def _damaged(parts: Parts, part: str, tensor: str) -> dict[str, bytes]:
    """The parts, with every tensor but one damaged in every byte."""
    made = dict(parts)
    for name in parts:
        if name.endswith(".safetensors"):
            data = bytearray(parts[name])
            for kept, entry in safetensors.read(parts[name])[1].items():
                if (name, kept) != (part, tensor):
                    data[entry.begin : entry.end] = bytes(byte ^ 0xFF for byte in data[entry.begin : entry.end])
            made[name] = bytes(data)
    return made


def _small() -> dict[str, Any]:
    return reading.read(writing.write(samples.weights({"a": samples.FLAG})))


def _unlisted(context: Context) -> None:
    parts = writing.write(_small())
    question = about_parts(
        context.session, "decode", parts | {"notes.txt": b"more", "assets/b": b""}, "directory", **_ALL
    )
    check_content(question, question.accepted(), _small(), context.session.hello.areas)


def _named_files(context: Context) -> None:
    for suffix in ("", ".bin", ".zip", ".keras", ".json", ".ETUI"):
        path = new_path(context.folder, suffix)
        path.write_bytes(packed.pack(writing.write(_small())))
        fields = {"artifact": {"packed": {"file": str(path)}}, **_ALL}
        question = Question(context.session, "decode", fields, {path.name: path.read_bytes()})
        check_content(question, question.accepted(), _small(), context.session.hello.areas)


def _named_folder(context: Context) -> None:
    question = about_parts(context.session, "decode", writing.write(_small()), "directory", **_ALL)
    folder = Path(question.fields["artifact"]["directory"])
    renamed = folder.rename(new_path(context.folder, ".etui"))
    again = Question(context.session, "decode", {"artifact": {"directory": str(renamed)}, **_ALL}, question.files)
    check_content(again, again.accepted(), _small(), context.session.hello.areas)


def _lacking(feature: str, context: Context) -> None:
    """An implementation that has the feature is not asked."""
    if feature in context.session.hello.features:
        return
    found = (each for each in vectors.load() if each.valid and each.kind == "packed")
    only = f"feature:{feature}"
    vector = next(each for each in found if {need for need in each.needs if need.startswith("feature:")} == {only})
    question = about_packed(context.session, "decode", vector.data(), **_ALL)
    reply = question.ask()
    if reply.result != "unsupported" and reply.refusal != ("unsupported", "feature-unknown"):
        message = f"decode took an artifact that requires {feature}"
        raise question.mismatch(message, "unsupported feature-unknown", told(reply))


def _depths() -> Iterator[Check]:
    title = "Refuse a million lists in one another, on whatever stack."
    yield _check("depth/json", "J-8 L-2 E-2", _READS, title, _deep_json)
    yield _check("depth/msgpack", "B-11 L-2 E-2", _STATE, title, _deep_msgpack)


def _deep_json(context: Context) -> None:
    parts = writing.write(_small())
    _about(context, parts).accepted()
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * 1_000_000 + b"1" + closing * 1_000_000
        data = parts["weights.json"][:-1] + b',"x-deep":' + deep + b"}"
        _about(context, parts | {"weights.json": data}).refused(["json-depth"])


def _deep_msgpack(context: Context) -> None:
    parts = writing.write(samples.state(user={"a": 1}))
    _about(context, parts).accepted()
    for opening in (b"\x91", b"\x81\xa1a"):
        data = parts["state.msgpack"].replace(b"\xa1a\x01", b"\xa1a" + opening * 1_000_000 + b"\x01")
        _about(context, parts | {"state.msgpack": data}).refused(["msgpack-depth"])


def _about(context: Context, parts: dict[str, bytes], op: str = "decode") -> Question:
    """The question about an artifact whose manifest is made to fit its parts."""
    sealed = parts | {"manifest.json": _sealed(parts)}
    return about_packed(context.session, op, packed.pack(sealed), **(_ALL if op == "decode" else {}))


def _sealed(parts: Parts, *kept: str) -> bytes:
    """The manifest with the sizes and digests of its parts as they are, but for those of some."""
    manifest = json.decode(parts["manifest.json"])
    for name, entry in manifest["parts"].items():
        if name in kept:
            continue
        entry["size"] = len(parts[name])
        if "digest" in entry:
            entry["digest"] = f"sha256:{hashlib.sha256(parts[name]).hexdigest()}"
    return json.encode(manifest)


def _lengths() -> Iterator[Check]:
    for size in (_EDGE, _EDGE + 1):
        title = f"Read and write MessagePack of {size:,} bytes, elements and entries."
        run = partial(_long, size)
        yield _check(f"lengths/{size}/decode", "B-4 B-8", _STATE, title, run, slow=True)
        yield _check(
            f"lengths/{size}/encode", "B-4 B-8 D-5", {"encode", *_STATE}, title, partial(_long_written, size), slow=True
        )


def _long_state(size: int) -> dict[str, Any]:
    data = "AAAA" * (size // 3) + ("", "AA==", "AAA=")[size % 3]
    keys = {f"{at:05}": 0 for at in range(size)}
    return samples.state(user={"array": [0] * size, "bytes": {"$bytes": data}, "map": keys, "text": "e" * size})


def _long(size: int, context: Context) -> None:
    parts = writing.write(_long_state(size))
    question = about_packed(context.session, "decode", packed.pack(parts), **_ALL)
    check_content(question, question.accepted(), reading.read(parts), context.session.hello.areas)


def _long_written(size: int, context: Context) -> None:
    path = new_path(context.folder, ".etui")
    question = to_encode(context.session, _long_state(size), "packed", path)
    question.accepted()
    check_written(question, "packed", path, writing.write(_long_state(size)))


def _large_documents() -> Iterator[Check]:
    values = "Take a small tensor of 1 MiB, and refuse one of a byte more."
    yield _check("limits/tensor-value", "V-8 L-2", {"decode", "config", "packed"}, values, _tensor_value)
    text = "Refuse a string of more than 64 MiB."
    yield _check("limits/text/json", "L-2", _READS, text, _long_json, slow=True)
    yield _check("limits/text/msgpack", "L-2", _STATE, text, _long_msgpack, slow=True)
    parts = "Take a manifest of 100,000 parts, and refuse one of a part more."
    yield _check("limits/parts", "L-2", {"validate"}, parts, _many_parts, slow=True)
    modules = "Refuse a config of more than 1,000,000 modules."
    yield _check("limits/modules", "L-2", {"validate", "config"}, modules, _many_modules, slow=True)
    document = "Refuse a document of more than 512 MiB without reading it into memory."
    yield _check("limits/document", "L-2 X-2", {"decode", "weights", "directory"}, document, _huge_document, slow=True)


def _tensor_value(context: Context) -> None:
    for size in (1 << 20, (1 << 20) + 1):
        text = "AAAA" * (size // 3) + ("", "AA==", "AAA=")[size % 3]
        held = samples.config(attrs={"a": {"$tensor": {"data": text, "dtype": "uint8", "shape": [size]}}})
        parts = writing.write(samples.config(attrs={"a": 1}))
        question = _about(context, parts | {"config.json": json.encode(held["config"])})
        if size == 1 << 20:
            question.accepted()
        else:
            question.refused(["value-limit"])


def _long_json(context: Context) -> None:
    parts = writing.write(_small())
    _about(context, parts).accepted()
    text = b'"' + b"e" * (limits.STRING_BYTES + 1) + b'"'
    data = parts["weights.json"][:-1] + b',"x-text":' + text + b"}"
    _about(context, parts | {"weights.json": data}).refused(["value-limit"])


def _long_msgpack(context: Context) -> None:
    parts = writing.write(samples.state(user={"a": 1}))
    _about(context, parts).accepted()
    size = limits.STRING_BYTES + 1
    for head in (b"\xdb", b"\xc6"):
        long = b"\xa1a" + head + size.to_bytes(4, "big") + b"e" * size
        data = parts["state.msgpack"].replace(b"\xa1a\x01", long)
        _about(context, parts | {"state.msgpack": data}).refused(["value-limit"])


def _many_parts(context: Context) -> None:
    parts = writing.write(_small() | {"parts": {"assets/a": samples.part("asset", b"")}})
    manifest = json.decode(parts["manifest.json"])
    entry = manifest["parts"].pop("assets/a")
    for count in (limits.PARTS, limits.PARTS + 1):
        more = {f"assets/{at:06}": entry for at in range(count - len(manifest["parts"]))}
        data = json.encode(manifest | {"parts": manifest["parts"] | more})
        question = about_document(context.session, "manifest", data)
        if count == limits.PARTS:
            question.accepted()
        else:
            question.refused(["limit-parts"])


def _many_modules(context: Context) -> None:
    about_document(context.session, "config", _config_of(10)).accepted()
    about_document(context.session, "config", _config_of(limits.MODULES + 1)).refused(["limit-modules"])


def _config_of(count: int) -> bytes:
    """A config with so many modules, the model among them."""
    modules = b",".join(b'{"kind":"layer","name":"%d","op":"a:b"}' % at for at in range(count - 1))
    model = b'{"kind":"layer","modules":[' + modules + b'],"name":"m","op":"a:b"}'
    return b'{"format":"etui-config","model":' + model + b',"version":"1.0"}'


def _huge_document(context: Context) -> None:
    """The file has no content but zeros, which take no place on the storage device."""
    size = limits.DOCUMENT_BYTES + 1
    parts = writing.write(_small())
    about_parts(context.session, "decode", parts, "directory", **_ALL).accepted()
    manifest = json.decode(parts["manifest.json"])
    manifest["parts"]["weights.json"] |= {"digest": _digest_of_zeros(size), "size": size}
    question = about_parts(
        context.session, "decode", parts | {"manifest.json": json.encode(manifest)}, "directory", **_ALL
    )
    with (Path(question.fields["artifact"]["directory"]) / "weights.json").open("wb") as file:
        file.truncate(size)
    question.refused(["limit-document"])


def _large_archives() -> Iterator[Check]:
    title = "Read and rewrite an archive of 65,535 members, which needs a zip64 end record."
    needs = _READS | {"parts"}
    yield _check("zip64/members", "Z-9 Z-2", needs, title, _many_members, slow=True)
    yield _check("zip64/members/transcode", "Z-9 Z-2", needs | {"transcode"}, title, _many_rewritten, slow=True)
    title = "Open an archive with a member of 4 GiB, and documents beyond it, without reading it."
    yield _check("zip64/sizes", "Z-5 Z-9 Z-12", _READS, title, _huge_member, slow=True)


def _members() -> dict[str, bytes]:
    held = {f"assets/{at:05}": samples.part("asset", b"") for at in range(_EDGE - 3)}
    return writing.write(samples.weights({"a": samples.FLAG}) | {"parts": held})


def _many_members(context: Context) -> None:
    """With 65,535 members there are zip64 records; without them the archive is refused."""
    data = packed.pack(_members())
    about_packed(context.session, "decode", data, want="documents").accepted()
    plain = data[: -22 - 20 - 56] + data[-22:]
    about_packed(context.session, "decode", plain, want="documents").refused(["zip-zip64", "zip-layout"])


def _many_rewritten(context: Context) -> None:
    parts, path = _members(), new_path(context.folder, ".etui")
    question = about_packed(context.session, "transcode", packed.pack(parts), form="packed", path=str(path))
    question.accepted()
    check_written(question, "packed", path, parts)


def _huge_member(context: Context) -> None:
    """The data part is as long as needs zip64 fields, and what follows lies beyond 4 GiB; its elements are a hole."""
    parts = writing.write(samples.weights({"a": samples.FLAG}))
    size = safetensors.read(parts[_DATA])[0]
    count = _LARGE - size
    fields = {"data_offsets": [0, count], "dtype": "U8", "shape": [count]}
    text = json.encode({"a": fields})
    head = (size - 8).to_bytes(8, "little") + text.ljust(size - 8)
    digest, checksum = _sums_of_zeros(count, zlib.crc32(head))
    tree, manifest = json.decode(parts["weights.json"]), json.decode(parts["manifest.json"])
    tree["variables"]["a"]["chunks"][0]["digest"], tree["variables"]["a"]["shape"] = digest, [count]
    parts["weights.json"] = json.encode(tree)
    header = {"digest": f"sha256:{hashlib.sha256(head).hexdigest()}", "size": size}
    manifest["parts"][_DATA] |= {"header": header, "size": _LARGE}
    parts |= {_DATA: head, "manifest.json": json.encode(manifest)}
    parts["manifest.json"] = _sealed(parts, _DATA)
    order = [_DATA, "weights.json", "manifest.json"]
    sums = {_DATA: (_LARGE, checksum)} | {name: (len(parts[name]), zlib.crc32(parts[name])) for name in order[1:]}
    *heads, tail = packed.frames([(name, *sums[name]) for name in order])
    path = new_path(context.folder, ".etui")
    with path.open("wb") as file:
        for local, name in zip(heads, order, strict=True):
            file.write(local + parts[name])
            file.seek(sums[name][0] - len(parts[name]), 1)
        file.write(tail)
    question = Question(
        context.session, "decode", {"artifact": {"packed": {"file": str(path)}}, "want": "documents"}, {}
    )
    try:
        question.accepted()
    finally:
        path.unlink()


def _digest_of_zeros(size: int) -> str:
    return _sums_of_zeros(size, 0)[0]


def _sums_of_zeros(size: int, checksum: int) -> tuple[str, int]:
    """The digest of so many zeros, and the CRC-32 that goes on from an earlier one over them."""
    found = hashlib.sha256()
    for at in range(0, size, len(_BLOCK)):
        block = _BLOCK[: min(len(_BLOCK), size - at)]
        found.update(block)
        checksum = zlib.crc32(block, checksum)
    return f"sha256:{found.hexdigest()}", checksum
