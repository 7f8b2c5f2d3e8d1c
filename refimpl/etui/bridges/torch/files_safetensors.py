"""Safetensors files as users have them: any order, any padding, with metadata (SPEC.md, annex M.5).

Reading needs no torch. A name such as ``a.b.weight`` is the path ``a/b/weight``. What is written is canonical, and has
the metadata that was read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from etui import dtypes
from etui.bridges.keras.account import Scope, account
from etui.bridges.torch.files_names import BUFFERS, name_of, path_of
from etui.containers.data_writer import Progress
from etui.containers.pieces import Array, raw_bytes
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage import safetensors
from etui.storage.base import ByteSource
from etui.storage.plain_header import Entry
from etui.storage.sources import open_file
from etui.storage.transaction import replace_file

_LENGTH_BYTES = 8
_ALIGNMENT = 8
_METADATA = "__metadata__"
_TITLE = "a safetensors file"
_SCOPE = Scope(_TITLE, frozenset({"weights", "metadata"}), frozenset({"config", "training", "native"}))


def recognises(path: Path) -> bool:
    """Whether a file begins with the length of a header of JSON that it has room for."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_LENGTH_BYTES + 2)
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    room = path.stat().st_size - _LENGTH_BYTES
    return len(head) == _LENGTH_BYTES + 2 and 2 <= length <= room and head[_LENGTH_BYTES:] in (b'{"', b"{ ", b"{}")


def read(
    path: Path,
    report: Report,
    *,
    limits: Limits = DEFAULT_LIMITS,
    native: bool = True,  # noqa: ARG001  it has none
) -> Model:
    """The tensors as variables; see `Translator.read`.

    Raises:
        MalformedError: ``foreign-safetensors``, the header does not describe the file.
        LimitError: ``limit-rank``, ``limit-tensor``.
    """
    source = open_file(path)
    entries, metadata, begin = read_header(source, str(path), limits)
    weights = Weights()
    for name, (dtype, shape, start, end) in entries.items():
        load = partial(_load, source, dtype, shape, begin + start, end - start)
        role = name.rpartition(".")[2]
        weights.add(
            path_of(name), Tensor.lazy(dtype, shape, load), role=role, trainable=_trains(dtype) and role not in BUFFERS
        )
        report.add("variable", path_of(name), "restored", "")
    return Model(weights=weights if entries else None, metadata=dict(metadata), closing=source.close)


def _trains(dtype: str) -> bool:
    return dtype.startswith(("bfloat", "float"))


def _load(source: ByteSource, dtype: str, shape: tuple[int, ...], start: int, size: int) -> Array:
    array = np.frombuffer(source.view(start, size), dtypes.by_name(dtype, "").numpy)
    return array.reshape(shape)


Span = tuple[str, tuple[int, ...], int, int]


def read_header(source: ByteSource, where: str, limits: Limits) -> tuple[dict[str, Span], dict[str, str], int]:
    """The header of a safetensors file of any writer.

    Returns:
        Name -> dtype, shape, begin and end within the data; the metadata; where the data begins.

    Raises:
        MalformedError: ``foreign-safetensors``.
        LimitError: ``limit-rank``, ``limit-tensor``.
    """
    length = int.from_bytes(source.read(0, min(_LENGTH_BYTES, source.size)), "little")
    if source.size < _LENGTH_BYTES or not 2 <= length <= min(
        source.size - _LENGTH_BYTES, limits.safetensors_header_bytes
    ):
        raise error("foreign-safetensors", where=where, found=f"a header of {length} bytes in {source.size}")
    header = source.read(_LENGTH_BYTES, length)
    if header[:1] != b"{":
        raise error("foreign-safetensors", where=where, found=f"a header that begins with {shown(header[:8])}")
    try:
        tree = json.loads(header.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as cause:  # UnicodeDecodeError and JSONDecodeError included
        raise error("foreign-safetensors", where=where, found=shown(str(cause))) from cause
    if not isinstance(tree, dict):
        raise error("foreign-safetensors", where=where, found="a header that is no object")
    metadata = tree.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise error("foreign-safetensors", where=where, found="metadata that are not strings")
    entries = {name: _span(name, node, where, limits) for name, node in tree.items()}
    begin = _LENGTH_BYTES + length
    at = 0
    for name, (_, _, start, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if start != at:
            found = f"{shown(name)} at {start}, where the tensors before it end at {at}"
            raise error("foreign-safetensors", where=where, found=found)
        at = end
    if at != source.size - begin:
        found = f"tensors of {at} bytes in {source.size - begin}"
        raise error("foreign-safetensors", where=where, found=found)
    return entries, metadata, begin


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that is there twice")
    return found


def _span(name: str, node: Any, where: str, limits: Limits) -> Span:
    place = f"{where}, {shown(name)}"
    if not isinstance(node, dict) or node.keys() != {"dtype", "shape", "data_offsets"}:
        raise error("foreign-safetensors", where=place, found=shown(node))
    dtype = dtypes.BY_SAFETENSORS.get(node["dtype"]) if isinstance(node["dtype"], str) else None
    if dtype is None:
        raise error("safetensors-dtype", where=place, found=shown(node["dtype"]))
    offsets, shape = node["data_offsets"], dtypes.check_shape(node["shape"], place, limits)
    whole = isinstance(offsets, list) and len(offsets) == 2 and all(type(one) is int and one >= 0 for one in offsets)
    if not whole or offsets[1] - offsets[0] != dtypes.check_size(dtype.name, shape, place, limits):
        raise error("foreign-safetensors", where=place, found=f"offsets {shown(offsets)} for {node['shape']}")
    return dtype.name, tuple(shape), offsets[0], offsets[1]


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write the variables; see `Translator.write`. Aliases are written as copies, for the format has none.

    Raises:
        TransferError: ``torch-nothing``, no variables; ``not-complete``.
    """
    weights = Weights() if model.weights is None else model.weights
    found: dict[str, Tensor] = {}
    for path in (*weights.variables, *weights.aliases):
        tensor = weights[path].tensor
        if tensor.encoding is not None:
            report.add("variable", path, "not-transferable", f"{_TITLE} has no tensors of {tensor.dtype}")
            continue
        if path in weights.aliases:
            report.add("variable", path, "translated", f"a copy of {weights.aliases[path]}")
        found[name_of(path)] = tensor
    for key, value in model.metadata.items():
        if not isinstance(value, str):
            report.add("metadata", key, "not-transferable", "metadata of safetensors are strings")
    account(model, report, _SCOPE)
    if strict:
        report.require_complete()
    if not found:
        raise error("torch-nothing", where=os.fspath(target), found="no variables")
    layout = safetensors.plan(
        (safetensors.TensorSpec(name, tensor.dtype, tensor.shape) for name, tensor in found.items()), limits
    )
    metadata = {key: value for key, value in model.metadata.items() if isinstance(value, str)}
    with replace_file(target) as file:
        file.write(_with_metadata(layout.header, metadata))
        done, total = 0, sum(tensor.nbytes for tensor in found.values())
        for name in _in_order(layout.entries):
            file.write(raw_bytes(np.ascontiguousarray(found[name].numpy())))
            done += found[name].nbytes
            if progress is not None:
                progress(name, done, total)


def _in_order(entries: Mapping[str, Entry]) -> Iterator[str]:
    """Names in the order of their bytes; the empty ones stand wherever they are."""
    yield from sorted(entries, key=lambda name: (entries[name].begin, entries[name].end))


def _with_metadata(header: bytes, metadata: Mapping[str, str]) -> bytes:
    """A canonical header, which the metadata go in front of if there are any."""
    if not metadata:
        return header
    rest = header[_LENGTH_BYTES:].decode().rstrip(" ")
    pairs = json.dumps(dict(sorted(metadata.items())), ensure_ascii=False, separators=(",", ":"))
    text = f'{{"{_METADATA}":{pairs},{rest[1:]}'.encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text
