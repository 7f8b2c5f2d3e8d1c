"""Hostile safetensors: data parts of artifacts, and files of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from catalogue.case import Case, Make, case
from etui.testing.hostile import parts_of, tampered
from etui.testing.samples import everything
from etui.testing.storage import write

CHAPTER = "safetensors"
PART = "weights.safetensors"


def entry(begin: int = 0, end: int = 4, dtype: str = "F32", shape: Any = (1,)) -> dict[str, Any]:
    """An entry of a header, with its keys in canonical order."""
    return {"data_offsets": [begin, end], "dtype": dtype, "shape": list(shape)}


def text_of(**entries: Any) -> bytes:
    """The compact JSON of a header."""
    return json.dumps(entries, separators=(",", ":")).encode()


def file_of(header: bytes, data: int = 4, length: int | None = None) -> bytes:
    """A file of a header, padded as it must be, and of zeros."""
    header += b" " * (-(8 + len(header)) % 64)
    return (len(header) if length is None else length).to_bytes(8, "little") + header + bytes(data)


def long() -> bytes:
    """A file whose header is longer than the limit, and there."""
    return file_of(b"{" + b" " * 100_000_100)


def part(content: bytes) -> Make:
    """An artifact whose weights are these bytes, as its manifest says."""

    def make(folder: Path) -> Path:
        path = folder / "m.etui"
        write(path, tampered(parts_of(everything()), PART, lambda _: content or long()))
        return path

    return make


def foreign(content: bytes) -> Make:
    """A file of its own."""

    def make(folder: Path) -> Path:
        path = folder / "m.safetensors"
        path.write_bytes(content or long())
        return path

    return make


ONE = text_of(a=entry())
# Stands for a file that is made when it is needed.
LONG = b""
TWICE = b'{"a":' + text_of(x=entry())[5:-1] + b',"a":' + text_of(x=entry(4, 8))[5:-1] + b"}"
_HEADER, _LAYOUT = "safetensors-header", "safetensors-layout"
# The line, the file, the code of an artifact, and that of a file of its own.
_ROWS: list[tuple[str, bytes, str, str]] = [
    ("header length beyond the file", file_of(ONE, length=2**63), _HEADER, "foreign-safetensors"),
    ("header length beyond the limit", LONG, _HEADER, "foreign-safetensors"),
    ("duplicate keys", file_of(TWICE, 8), _HEADER, "foreign-safetensors"),
    ("overlap", file_of(text_of(a=entry(0, 4), b=entry(0, 4))), _LAYOUT, "foreign-safetensors"),
    ("gap", file_of(text_of(a=entry(0, 4), b=entry(8, 12)), 12), _LAYOUT, "foreign-safetensors"),
    ("out of range", file_of(ONE, 3), _LAYOUT, "foreign-safetensors"),
    ("out of range", file_of(text_of(a=entry(4, 0))), _LAYOUT, "foreign-safetensors"),
    (
        "shape product overflow",
        file_of(text_of(a=entry(0, 0, shape=(2**32, 2**32))), 0),
        "limit-tensor",
        "limit-tensor",
    ),
    (
        "shape product overflow",
        file_of(text_of(a=entry(0, 0, shape=(2**50, 2**50, 0))), 0),
        "limit-tensor",
        "limit-tensor",
    ),
    ("unknown dtype", file_of(text_of(a=entry(dtype="F128"))), "safetensors-dtype", "safetensors-dtype"),
    ("`data_offsets` not matching shape", file_of(text_of(a=entry(0, 8)), 8), _LAYOUT, "foreign-safetensors"),
    ("not UTF-8", file_of(b'{"\xff' + ONE[2:]), _HEADER, "foreign-safetensors"),
    ("deep nesting", file_of(b'{"a":' + b"[" * 100_000, 0), _HEADER, "foreign-safetensors"),
    ("header that does not start with `{`", file_of(b"[]", 0), _HEADER, "foreign-safetensors"),
    ("header that does not start with `{`", file_of(b" " + ONE), _HEADER, "foreign-safetensors"),
]

CASES: list[Case] = [
    *(
        case(CHAPTER, line, part(content), own, "E-2", name=f"{line} {number}, data part", etui=True)
        for number, (line, content, own, _) in enumerate(_ROWS)
    ),
    *(
        case(CHAPTER, line, foreign(content), code, "PT-70", name=f"{line} {number}, file of its own")
        for number, (line, content, _, code) in enumerate(_ROWS)
    ),
    case(CHAPTER, "", foreign(file_of(ONE)), "", "PT-70", name="good: a file of its own"),
]
