"""How an artifact of very many tensors and shards behaves behind a URL: documents, directory, opening, requests.

python refimpl/benchmarks/scale.py [--tensors 1000000] [--shards 10000] [--kib 4096] [--json FILE]

The artifact has all the documents of a real one, byte for byte as a save would write them, and no data: each data part
is a hole, so that what is measured is what grows with the number of tensors and shards. The reader gets the file from
memory through the code that reads from stores, and every range is noted.

Measured: sizes of the documents and of the central directory, requests and bytes and CPU time to open, and to be able
to read the first tensor. Computed, and marked so: how long that would take over a network of a given round trip and
rate, and what other ways of reading would ask for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from etui import artifact, digest
from etui.containers import manifest as manifest_container
from etui.containers.data_parts import Chunk
from etui.containers.data_writer import plan_data
from etui.containers.manifest import SAFETENSORS, PartEntry
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.limits import Limits
from etui.model import Model
from etui.storage.packed_layout import Member, end_records
from etui.storage.part_names import order_key
from etui.storage.remote import RemotePacked
from etui.storage.remote_spool import PIECE_BYTES
from etui.storage.remote_store import Store
from etui.storage.safetensors import TensorSpec, plan

_ROUND_TRIP_SECONDS, _BYTES_PER_SECOND = 0.05, 100e6
_DIMENSION = 1024


class Holes:
    """A file most of which is not there: some runs of bytes, and zeros between them."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, bytes]] = []
        self.size = 0

    def put(self, offset: int, data: bytes) -> None:
        """Have these bytes at an offset behind the last ones."""
        self.runs.append((offset, data))
        self.size = offset + len(data)

    def read(self, offset: int, length: int) -> bytes:
        """A range."""
        found = bytearray(length)
        for start, data in self.runs:
            first, last = max(start, offset), min(start + len(data), offset + length)
            if first < last:
                found[first - offset : last - offset] = data[first - start : last - start]
        return bytes(found)


class Counted(Store):
    """A store of one such file, which notes what it is asked for."""

    def __init__(self, file: Holes) -> None:
        super().__init__("memory://simulated/model.etui")
        self.file = file
        self.asked: list[int] = []

    def tail(self, key: str, length: int) -> tuple[bytes, int | None]:  # noqa: ARG002  there is one file
        """The last bytes; the size is not told, as S3 does not tell it to fsspec."""
        self.asked.append(length)
        return self.file.read(self.file.size - length, length), None

    def range(self, key: str, start: int, length: int) -> bytes:  # noqa: ARG002  as above
        """A range."""
        self.asked.append(length)
        return self.file.read(start, length)

    def fetch(self, key: str, start: int, length: int) -> memoryview:
        """A range of any length, as one request: what a store is asked for at once is not the point here."""
        return memoryview(self.range(key, start, length))


def documents_of(tensors: int, shards: int, kib: int) -> tuple[dict[str, bytes], dict[str, int]]:
    """The documents of a model of so many tensors in so many shards, and the sizes of its data parts.

    Returns:
        `weights.json` and `manifest.json`, and name of a data part -> bytes.
    """
    rows = max(1, kib * 1024 // 4 // _DIMENSION)
    weights = Weights()
    for number in range(tensors):
        layer, part = divmod(number, 10)
        tensor = Tensor.lazy("float32", (rows, _DIMENSION), lambda: np.zeros((rows, _DIMENSION), np.float32))
        weights.add(f"model/layers/{layer}/block_{part}/kernel", tensor, role="kernel")
    model = Model(weights=weights)
    each = -(-tensors // shards)
    ((document, container),) = model.documents()
    layout = plan_data("weights", document.tensors(container), each * rows * _DIMENSION * 4)
    stand_ins = (digest.of(number.to_bytes(8, "big")) for number in range(tensors))
    placed: dict[str, Any] = {}
    parts: dict[str, PartEntry] = {}
    for name, items in layout.shards.items():
        header = plan(TensorSpec(item.stored, item.dtype, item.piece.shape) for item in items)
        parts[name] = PartEntry(
            "data", SAFETENSORS, header.size, header_size=len(header.header), header_digest=digest.of(header.header)
        )
        for item in items:
            placed[item.tensor] = (Chunk(name, item.stored, next(stand_ins)),)
    content = document.encode(container, placed, model.version)
    parts[document.name] = PartEntry(
        "weights", manifest_container.MEDIA_TYPES["weights"], len(content), digest.of(content)
    )
    sizes = {name: entry.size for name, entry in parts.items() if entry.role == "data"}
    manifest = manifest_container.Manifest(parts, "weights", [], model.version, {}, {})
    return {document.name: content, manifest_container.DOCUMENT: manifest_container.encode(manifest)}, sizes


def packed(documents: Mapping[str, bytes], data: Mapping[str, int]) -> tuple[Holes, int]:
    """A packed artifact with holes for its data, and the size of its central directory."""
    file, directory, offset = Holes(), bytearray(), 0
    contents = [*sorted(data, key=order_key), *sorted(documents, key=order_key)]
    for name in contents:
        held = documents.get(name)
        member = Member(name, data[name] if held is None else len(held), 0, offset)
        if held is not None:
            file.put(member.data_offset, held)
        directory += member.central_header()
        offset = member.end
    file.put(offset, bytes(directory) + end_records(len(contents), len(directory), offset))
    return file, len(directory)


@contextmanager
def clock() -> Iterator[list[float]]:
    """Seconds of wall and of processor that the block took."""
    found: list[float] = []
    wall, processor = time.perf_counter(), time.process_time()
    yield found
    found += [time.perf_counter() - wall, time.process_time() - processor]


def measure(tensors: int, shards: int, kib: int) -> dict[str, Any]:
    """Make it, open it, and find a tensor in it."""
    limits = Limits()
    documents, sizes = documents_of(tensors, shards, kib)
    file, directory = packed(documents, sizes)
    store = Counted(file)
    with clock() as opening:
        model = artifact.load(RemotePacked(store, limits), verify=False, limits=limits)
    opened = list(store.asked)
    store.asked.clear()
    assert model.weights is not None
    path = f"model/layers/{tensors // 20}/block_5/kernel"
    with clock() as first:
        array = model.weights[path].numpy()
    assert array.nbytes == sum(store.asked)
    headers = sum(entry.header_size or 0 for entry in model.manifest.parts.values()) if model.manifest else 0
    return {
        "tensors": tensors,
        "shards": len(sizes),
        "data_bytes": sum(sizes.values()),
        "weights_json": len(documents["weights.json"]),
        "manifest_json": len(documents["manifest.json"]),
        "central_directory": directory,
        "headers": headers,
        "open": {"requests": len(opened), "bytes": sum(opened), "wall": opening[0], "cpu": opening[1]},
        "first_tensor": {"requests": len(store.asked), "bytes": array.nbytes, "wall": first[0], "cpu": first[1]},
    }


def on_paper(found: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from the figures by arithmetic."""

    def seconds(requests: int, count: int) -> float:
        return requests * _ROUND_TRIP_SECONDS + count / _BYTES_PER_SECOND

    shards, tensors = found["shards"], found["tensors"]
    return {
        "open over the network": seconds(found["open"]["requests"], found["open"]["bytes"]),
        "one tensor over the network": seconds(1, found["first_tensor"]["bytes"]),
        "requests of a directory form to open": 2,
        "requests to read every header, as other readers do": shards,
        "seconds of these, one after the other": seconds(shards, found["headers"]),
        "requests to read all, a tensor each": tensors,
        "requests to read all, neighbours joined": -(-found["data_bytes"] // PIECE_BYTES),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensors", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--kib", type=int, default=4096, help="size of each tensor")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    # A reader compares the CRC-32 of holes with nothing, as it opens.
    with mock.patch.object(Store, "size", lambda store, _: store.file.size):
        found = measure(options.tensors, options.shards, options.kib)
    found["on_paper"] = on_paper(found)
    print(f"{found['tensors']:,} tensors in {found['shards']:,} shards, {found['data_bytes'] / 2**40:.2f} TiB of data")
    print("measured")
    for name in ("weights_json", "manifest_json", "central_directory", "headers"):
        each = found[name] / (found["shards"] if name in {"manifest_json", "central_directory"} else found["tensors"])
        print(f"  {name:<20}{found[name]:>15,} bytes   {each:8.1f} each")
    for name in ("open", "first_tensor"):
        row = found[name]
        print(
            f"  {name:<20}{row['requests']:>3} requests {row['bytes']:>15,} bytes   {row['wall']:.2f} s wall, "
            f"{row['cpu']:.2f} s processor"
        )
    print(f"on paper, {_ROUND_TRIP_SECONDS * 1000:.0f} ms a round trip and {_BYTES_PER_SECOND / 1e6:.0f} MB/s")
    for name, value in found["on_paper"].items():
        print(f"  {name:<52}{f'{value:,.1f} s' if isinstance(value, float) else f'{value:,}':>15}")
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
