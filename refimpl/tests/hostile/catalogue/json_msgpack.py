"""Hostile documents: JSON and MessagePack of artifacts, JSON of Keras, and programs that name files elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from catalogue.case import Case, Make, case
from etui.canonical import json, msgpack
from etui.model import Blob
from etui.testing.hostile import Edit, parts_of, replace_bytes, tampered
from etui.testing.samples import everything
from etui.testing.storage import write

CONFIG, TRAINING, STATE, WEIGHTS = "config.json", "training.json", "state.msgpack", "weights.json"


def artifact(part: str, edit: Edit) -> Make:
    """An artifact with an edited document, and sizes and digests that are right."""

    def make(folder: Path) -> Path:
        path = folder / "m.etui"
        write(path, tampered(parts_of(everything()), part, edit))
        return path

    return make


def keras_json(text: bytes) -> Make:
    """The config of a Keras model, with a value."""

    def make(folder: Path) -> Path:
        path = folder / "m.json"
        path.write_bytes(b'{"class_name": "Sequential", "module": "keras", "config": ' + text + b"}")
        return path

    return make


def with_program(change: Callable[[Path], object], location: str) -> Make:
    """An artifact in directory form with a program that says its data is in another file."""

    def make(folder: Path) -> Path:
        model = everything()
        # The fields of `TensorProto.external_data` as they are in the file: keys and values.
        text = location.replace("ELSEWHERE", str(_elsewhere(folder))).encode()
        entry = b"\x0a\x08location\x12" + bytes([len(text) % 128]) + text
        model.programs = {"programs/p/main.onnx": Blob.of(b"\x6a" + bytes([len(entry) % 128]) + entry)}
        model.programs["programs/p/data.bin"] = Blob.of(b"numbers")
        path = folder / "m"
        write(path, parts_of(model), "directory")
        change(path)
        return path

    return make


def _elsewhere(folder: Path) -> Path:
    path = folder.with_name(f"{folder.name}-elsewhere") / "secret.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"classified")
    return path


def linked(link: Callable[[Path, Path], object]) -> Callable[[Path], None]:
    """The data of the program is a link to a file of a stranger."""

    def change(path: Path) -> None:
        data = path / "programs" / "p" / "data.bin"
        data.unlink()
        link(path.parent.with_name(f"{path.parent.name}-elsewhere") / "secret.bin", data)

    return change


def state(old: bytes, new: bytes) -> Make:
    """An artifact whose state has other bytes at one place."""
    return artifact(STATE, replace_bytes(STATE, old, new))


def behind_state(data: bytes) -> Make:
    """An artifact whose state goes on after its end."""
    return artifact(STATE, lambda tree: msgpack.encode(tree) + data)


def in_place(data: bytes) -> Make:
    """An artifact whose state is these bytes."""
    return artifact(STATE, lambda _: data)


_DEPTH = b"[" * 100_000 + b"]" * 100_000
_DIGITS = b"9" * 1_000_000
_UNITS = b'"units":4'
# The line, the bytes in place of a layer's units, the code of an artifact, and the same in a config of Keras.
_JSON: list[tuple[str, bytes, str, bytes]] = [
    ("duplicate keys", b'"units":4,"units":4', "json-duplicate-key", b'{"a": 1, "a": 2}'),
    ("NaN", b'"units":NaN', "json-syntax", b""),
    ("Infinity", b'"units":-Infinity', "json-syntax", b""),
    ("lone surrogates", b'"units":"\\ud800"', "json-surrogate", b'{"a": "\\ud800"}'),
    ("depth 100,000", b'"units":' + _DEPTH, "json-depth", _DEPTH),
    ("10^6-digit integers", b'"units":' + _DIGITS, "json-number json-syntax json-not-canonical", _DIGITS),
]
CASES: list[Case] = [
    *(
        case("JSON", line, artifact(CONFIG, replace_bytes(CONFIG, _UNITS, new)), code, "E-2", etui=True)
        for line, new, code, _ in _JSON
    ),
    *(
        case("JSON", line, keras_json(text), "keras-json", "K-2", name=f"{line}, config of Keras")
        for line, _, _, text in _JSON
        if text
    ),
    case(
        "JSON",
        "BOM",
        artifact(CONFIG, lambda tree: b"\xef\xbb\xbf" + json.encode(tree)),
        "json-encoding",
        "J-1",
        etui=True,
    ),
    case(
        "MessagePack",
        "ext types not listed",
        state(b"\x01rng/dropout/seed/state", b"\x02rng/dropout/seed/state"),
        "msgpack-extension",
        "B-9",
        etui=True,
    ),
    case("MessagePack", "duplicate keys", state(b"\xa5epoch", b"\xa5batch"), "msgpack-duplicate-key", "B-7", etui=True),
    case("MessagePack", "non-string keys", state(b"\xa5epoch", b"\x07"), "msgpack-key", "B-6", etui=True),
    case(
        "MessagePack", "depth", in_place(b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0"), "msgpack-depth", "B-11", etui=True
    ),
    *(
        case(
            "MessagePack",
            "declared lengths beyond the input",
            make,
            "msgpack-syntax",
            "B-1",
            "X-2",
            name=f"declared lengths beyond the input, {name}",
            etui=True,
        )
        for name, make in {
            "a list behind the end": behind_state(b"\xdd\xff\xff\xff\xff"),
            "a map": in_place(b"\xdf\xff\xff\xff\xff"),
            "a text": in_place(b"\x81\xdb\xff\xff\xff\xff"),
            "bytes": in_place(b"\x81\xa1a\xc6\xff\xff\xff\xff"),
            "an ext": in_place(b"\x81\xa1a\xc9\xff\xff\xff\xff\x01"),
        }.items()
    ),
    case(
        "MessagePack",
        "non-canonical integers",
        state(b"epoch\x03", b"epoch\xcc\x03"),
        "msgpack-not-canonical",
        "B-2",
        etui=True,
    ),
    case(
        "MessagePack",
        "timestamp ext",
        state(b"epoch\x03", b"epoch\xd6\xff\x00\x00\x00\x01"),
        "msgpack-extension",
        "B-9",
        etui=True,
    ),
    *(
        case("ONNX", line, with_program(lambda _: None, location), "", "X-1", etui=True)
        for line, location in (
            ("external data with `..`", "../../../secret.bin"),
            ("external data with an absolute path", "ELSEWHERE"),
        )
    ),
    case(
        "ONNX",
        "external data by a symlink",
        with_program(linked(os.symlink), "data.bin"),
        "part-not-a-file",
        "X-1",
        etui=True,
    ),
    case(
        "ONNX",
        "external data by a hard link",
        with_program(linked(os.link), "data.bin"),
        "part-size digest-mismatch",
        "F-4",
        etui=True,
    ),
]
