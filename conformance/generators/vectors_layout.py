"""Layouts of data parts that no default writer makes: tensors cut into chunks, and data parts of any bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from vectors_parts import DATA, MANIFEST, WEIGHTS, Edit, Parts, digest, seal_chunks, seal_manifest

from etui_conformance.oracle import json, safetensors
from etui_conformance.oracle.dtypes import SAFETENSORS, width

_WIDTHS = {stored: width(dtype) for dtype, stored in SAFETENSORS.items()}


class Box(NamedTuple):
    """A chunk of a tensor: where it begins, its shape, and the data part that holds it."""

    offset: tuple[int, ...]
    shape: tuple[int, ...]
    part: str = DATA


def cut(boxes: Mapping[str, Sequence[Box]]) -> Callable[[Parts], Parts]:
    """The change of an artifact with the one data part `weights.safetensors` that stores tensors in chunks.

    Args:
        boxes: name of a tensor in the data part -> its chunks; the other tensors stay where they are.
    """

    def change(parts: Parts) -> Parts:
        entries = safetensors.read(parts[DATA])[1]
        stored = {name: (item.dtype, item.shape, parts[DATA][item.begin : item.end]) for name, item in entries.items()}
        held: dict[str, dict[str, Any]] = {DATA: {name: item for name, item in stored.items() if name not in boxes}}
        tree = json.decode(parts[WEIGHTS])
        for name, places in boxes.items():
            dtype, shape, data = stored[name]
            made = []
            for box in places:
                piece = sliced(data, shape, box.offset, box.shape)
                tensor = f"{name}@{','.join(map(str, box.offset))}"
                held.setdefault(box.part, {})[tensor] = (dtype, list(box.shape), piece)
                place = {"offset": list(box.offset), "shape": list(box.shape)}
                made.append({"digest": digest(piece), "part": box.part, "tensor": tensor} | place)
            _entry(tree, name)["chunks"] = made
        manifest = json.decode(parts.pop(MANIFEST))
        listed = manifest["parts"].pop(DATA)
        del parts[DATA]
        for part, tensors in held.items():
            if tensors:
                parts[part] = safetensors.write(tensors)
                manifest["parts"][part] = dict(listed)
        manifest["requires"] = sorted({*manifest["requires"], "chunks"})
        parts |= {WEIGHTS: json.encode(tree), MANIFEST: json.encode(manifest)}
        seal_manifest(parts)
        return parts

    return change


def matched(parts: Parts) -> None:
    """Make the tensors of data parts have the dtypes and shapes that an edited `weights.json` gives them.

    Their bytes are cut, or zeros follow them: so what the index says of itself is the only fault.
    """
    wanted = dict(_wanted(json.decode(parts[WEIGHTS])["variables"]))
    for part in [name for name in parts if name.endswith(".safetensors")]:
        held = {}
        for name, item in safetensors.read(parts[part])[1].items():
            dtype, shape = wanted.get((part, name), (item.dtype, item.shape))
            size = math.prod(shape) * _WIDTHS[dtype]
            held[name] = (dtype, shape, parts[part][item.begin : item.end][:size].ljust(size, b"\0"))
        parts[part] = safetensors.write(held)
    seal_chunks(parts)
    seal_manifest(parts)


def _wanted(entries: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], tuple[str, list[int]]]]:
    for entry in entries.values():
        for chunk in entry.get("chunks", ()):
            if entry["dtype"] in SAFETENSORS:
                yield (
                    (chunk["part"], chunk["tensor"]),
                    (SAFETENSORS[entry["dtype"]], chunk.get("shape", entry["shape"])),
                )
        yield from _wanted(entry.get("components", {}))


def _entry(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """The entry of a tensor of a data part in the index: a variable, or a component of one."""
    path, *components = name.split("#")
    entry: dict[str, Any] = tree["variables"][path]
    for component in components:
        entry = entry["components"][component]
    return entry


def sliced(data: bytes, shape: Sequence[int], offset: Sequence[int], size: Sequence[int]) -> bytes:
    """The bytes of a box of a tensor in row-major order."""
    width = len(data) // math.prod(shape)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    boxes = product(*(range(start, start + length) for start, length in zip(offset, size, strict=True)))
    places = (sum(index * stride for index, stride in zip(at, strides, strict=True)) for at in boxes)
    return b"".join(data[place * width : (place + 1) * width] for place in places)


def header(change: Callable[[dict[str, Any]], Any], *, section: Callable[[bytes], bytes] | None = None) -> Edit:
    """The edit of a data part's header, which is written again with its right padding.

    Args:
        change: of the header's tree, in place; bytes that it gives take the place of the whole header.
        section: change of the bytes after the header.
    """

    def edit(data: bytearray) -> bytes:
        size = 8 + int.from_bytes(data[:8], "little")
        tree = json.decode(bytes(data[8:size]).rstrip(b" "))
        changed = change(tree)
        text = changed if isinstance(changed, bytes) else json.encode(tree)
        rest = bytes(data[size:])
        return headed(text) + (rest if section is None else section(rest))

    return edit


def headed(text: bytes, *, more: int = 0) -> bytes:
    """A data part's header with its length and its padding, and so many spaces more."""
    padded = text + b" " * (-(8 + len(text)) % 64 + more)
    return len(padded).to_bytes(8, "little") + padded
