"""Files that no bridge reads, and that people take for models: each is told for what it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
from pathlib import Path

import numpy as np
import pytest

import etui
from etui import conversion

pytestmark = pytest.mark.library


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, kernel=np.zeros((2, 2), np.float32))
    return file.getvalue()


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(2, np.float32))
    return file.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
# A node with a name of more than 127 bytes has a length of two bytes.
_LONG = b"\x0a" + bytes([64]) + b"n" * 64 + b"\x12\x0bPlaceholder" + b"\x1a\x40" + b"i" * 64
FILES = {
    "model.h5": (POINTER, "a pointer of Git LFS", "git lfs pull"),
    "model.keras": (b"\n<!DOCTYPE html><title>404</title>", "a web page", "again"),
    "model.safetensors": (b"<html><body>", "a web page", "again"),
    "model.h5.gz": (gzip.compress(b"a"), "a compressed file", "Unpack"),
    "model.h5.bz2": (bz2.compress(b"a"), "a compressed file", "Unpack"),
    "model.h5.xz": (lzma.compress(b"a"), "a compressed file", "Unpack"),
    "model.tflite": (b"\x1c\0\0\0TFL3\x14\0", "TensorFlow Lite", "made of"),
    "weights.npz": (_npz(), "arrays of NumPy", "safetensors"),
    "weights.npy": (_npy(), "arrays of NumPy", "safetensors"),
    "model.pt": (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2), "PyTorch before 1.6", "torch.save"),
    "model.pkl": (pickle.dumps({"a": 1}), "a pickle of Python", "runs code"),
    "model.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x01a", "an ONNX model", "program"),
    "unnamed.onnx": (b"\x08\x0a\x3a\x05abcde", "an ONNX model", "program"),
    "saved_model.pb": (b"\x08\x01\x12\xee\xb5\x93", "the graph of a SavedModel", "folder"),
    "frozen.pb": (b"\x0a\x13\x0a\x05sizes\x12\x05Const\x2a\x01a", "a frozen graph", "checkpoint"),
    "large.pb": (b"\x0a\x91\x01" + _LONG, "a frozen graph", "checkpoint"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_told_for_what_it_is(tmp_path: Path, name: str) -> None:
    """The error says what the file is and what to do with it, whatever its name."""
    data, kind, hint = FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(etui.UsageError, match=kind) as caught:
        conversion.read(tmp_path / name)
    assert caught.value.code == "format-unknown"
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        b"\x08\x08",
        b"\x0a\xff\xff",
        b"\x0a\x03\x0a\x01a",
        b"\x80\x01",
        b"\x80\x02\0\0",
        b"PK\x03\x04",
        b"words",
    ],
)
def test_other_beginnings_are_shown_as_they_are(tmp_path: Path, data: bytes) -> None:
    """A head that ends too early or is of nothing known is shown by its bytes."""
    (tmp_path / "a.unknown").write_bytes(data)
    with pytest.raises(etui.UsageError, match="begins with") as caught:
        conversion.read(tmp_path / "a.unknown")
    assert caught.value.code == "format-unknown"
