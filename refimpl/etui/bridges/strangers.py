"""Files that people take for models, and kinds of models that no bridge reads: what they are, and what to do with them.

A download that went wrong and a model of another tool have the same names as the files that Etui reads. Only the first
bytes are looked at; nothing of these formats is parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_HEAD = 256
_POINTER = b"version https://git-lfs.github.com/"
_PAGES = (b"<!doctype html", b"<html")
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf")
# The number with which a file of PyTorch begins as a pickle.
_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_ZIP, _ZIP_NAME = b"PK\x03\x04", 30
# Protobuf's keys of the first fields: a varint that is field 1, and texts or messages that are fields 1, 2, 7.
_NUMBER, _FIRST, _SECOND, _SEVENTH = 0x08, 0x0A, 0x12, 0x3A
# ONNX's versions of its representation in files of today; a SavedModel's version is 1.
_ONNX = range(3, 32)
_SAVED_MODEL = 1
_PICKLES = range(2, 6)
_LONG = 0x80


@dataclass(frozen=True, slots=True)
class Stranger:
    """What a file is that no bridge reads.

    Attributes:
        kind: what it is.
        hint: what to do.
    """

    kind: str
    hint: str


def stranger(path: Path) -> Stranger | None:
    """What a file is, by its first bytes; `None` for one that is not known here.

    Args:
        path: a file that no bridge recognises.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return next((found for is_one, found in _KINDS if is_one(head)), None)


def _is_onnx(head: bytes) -> bool:
    return head[0] == _NUMBER and head[1] in _ONNX and head[2] in (_SECOND, _SEVENTH)


def _is_saved_model(head: bytes) -> bool:
    return head[0] == _NUMBER and head[1] == _SAVED_MODEL and head[2] == _SECOND


def _is_graph(head: bytes) -> bool:
    """Whether the first field is a node that has a name and the name of an operation."""
    if head[0] != _FIRST:
        return False
    at = 1 + _width(head, 1)
    if head[at] != _FIRST or head[at + 1] >= _LONG:
        return False
    at += 2 + head[at + 1]
    operation = head[at + 2 : at + 2 + head[at + 1]]
    return head[at] == _SECOND and operation[:1].isupper() and operation.isalnum()


def _width(head: bytes, at: int) -> int:
    """How many bytes a varint has."""
    end = at
    while head[end] >= _LONG:
        end += 1
    return end - at + 1


def _is_pickle(head: bytes) -> bool:
    # An operation follows the version; the length of a safetensors header, which may begin alike, has a zero there.
    return head[0] == _LONG and head[1] in _PICKLES and head[2] != 0


def _is_arrays(head: bytes) -> bool:
    is_zip = head.startswith(_ZIP) and b".npy" in head[_ZIP_NAME:]
    return is_zip or head.startswith(b"\x93NUMPY")


def _sure(is_one: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """A head that ends too early is none."""

    def look(head: bytes) -> bool:
        try:
            return is_one(head)
        except IndexError:
            return False

    return look


_KINDS: tuple[tuple[Callable[[bytes], bool], Stranger], ...] = (
    (
        lambda head: head.startswith(_POINTER),
        Stranger("a pointer of Git LFS, which stands for the file itself", "Run `git lfs pull` where it is from."),
    ),
    (
        lambda head: head.lstrip().lower().startswith(_PAGES),
        Stranger("a web page", "Download the file again: the server sent a page in its place."),
    ),
    (lambda head: head.startswith(_PACKED), Stranger("a compressed file", "Unpack it first.")),
    (
        lambda head: head[4:8] == b"TFL3",
        Stranger("a model of TensorFlow Lite", "It is made for devices: convert the model that it was made of."),
    ),
    (_sure(_is_arrays), Stranger("arrays of NumPy", "Write them with safetensors, which Etui reads.")),
    (
        lambda head: head.startswith(_TORCH),
        Stranger(
            "a file of PyTorch before 1.6",
            "Load it with `torch.load(..., weights_only=True)`, and save it again with `torch.save`.",
        ),
    ),
    (
        _sure(_is_pickle),
        Stranger(
            "a pickle of Python",
            "It runs code when it is read, so load it in a program that you trust, and `etui.save` what it holds.",
        ),
    ),
    (
        _sure(_is_onnx),
        Stranger("an ONNX model", "Etui writes ONNX and keeps it as a program, and reads no model of it."),
    ),
    (_sure(_is_saved_model), Stranger("the graph of a SavedModel", "Name the folder that it is in.")),
    (
        _sure(_is_graph),
        Stranger(
            "a frozen graph of TensorFlow",
            "It holds values among its operations: convert the SavedModel or the checkpoint that it was made of.",
        ),
    ),
)
