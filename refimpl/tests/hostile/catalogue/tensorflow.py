"""Hostile checkpoints of TensorFlow: tensor bundles and object graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from catalogue.case import Case, Make, case
from etui.bridges.tensorflow.object_graph import KEY, VALUE, Attribute, Node, ObjectGraph, SlotReference
from etui.storage.ordered_code import slice_key
from etui.storage.protobuf import varint
from etui.storage.tf_bundle_writer import Outgoing, write_bundle
from etui.testing import bundles

CHAPTER = "TensorFlow"
_CLAUSES = ("KT-1", "KT-2", "KT-10", "KT-12", "KT-14", "KT-15", "KT-17", "KT-23", "KT-30", "KT-38")
RESTARTS = b"\xff" * 4_000_000 + (1_000_000).to_bytes(4, "little")
COPIES = b"\xfe\x01\x00" * 2_000_000
FEW = np.arange(4, dtype="<f4").tobytes()


def of_graph(prefix: Path, data: bytes) -> None:
    """A checkpoint with this object graph."""
    array = np.empty((), object)
    array[()] = data
    write_bundle(prefix, [Outgoing(KEY, "bytes", (), lambda: array)])


def of_entry(shape: tuple[int, ...], data: bytes = FEW, **values: Any) -> Callable[[Path], None]:
    """A bundle of one tensor whose entry says this."""

    def make(prefix: Path) -> None:
        entries = [(b"", bundles.header()), (b"a", bundles.entry(data, shape, **values))]
        bundles.write(prefix, bundles.simple(entries), data)

    return make


def of_block(data: bytes, kind: int = 0) -> Callable[[Path], None]:
    """A bundle whose only block has these bytes."""

    def make(prefix: Path) -> None:
        bundles.write(prefix, bundles.table([(b"a", bundles.sealed(data, kind))]), FEW)

    return make


def graph(prefix: Path, change: Callable[[ObjectGraph], None]) -> None:
    """A checkpoint of an object graph with one variable and a change."""
    objects = ObjectGraph()
    objects.nodes[objects.add(0, "v")].attributes.append(Attribute(VALUE, "", "v"))
    change(objects)
    of_graph(prefix, objects.serialized())


def chain(objects: ObjectGraph) -> None:
    """Objects one below the other."""
    node = 0
    for _ in range(50_000):
        objects.nodes.append(Node())
        objects.nodes[node].children["n"] = len(objects.nodes) - 1
        node = len(objects.nodes) - 1


def fan(objects: ObjectGraph) -> None:
    """Very many ways to one variable at the end of a long way."""
    node = objects.add(0, "x" * 4000)
    objects.nodes[node].children |= {str(number): 1 for number in range(100_000)}


def wide(objects: ObjectGraph) -> None:
    """Very many children of one object, which are one variable."""
    objects.nodes[0].children |= {f"{number}{'x' * 200}": 1 for number in range(160_000)}


def slots(objects: ObjectGraph) -> None:
    """Very many slots of one variable, and one that is not there."""
    objects.nodes[0].slots += [SlotReference(1, str(number), 1) for number in range(50_000)]
    objects.nodes[0].slots.append(SlotReference(2**31 - 1, "m", 1))


def cycle(objects: ObjectGraph) -> None:
    """The root is its own child."""
    objects.nodes[0].children.update(a=0, b=0)


def stray(objects: ObjectGraph) -> None:
    """A child far out of range."""
    objects.nodes[0].children["a"] = 2**31 - 1


def many_shards(prefix: Path) -> None:
    """A number of shards beyond all bounds."""
    bundles.write(prefix, bundles.simple([(b"", bundles.header(2**31 - 1)), (b"a", bundles.entry(FEW, (4,)))]), FEW)


def slices_over_slices(prefix: Path) -> None:
    """Slices that overlap, each with bytes of its own, so that together they are more than the tensor."""
    boxes = [[(0, 3)], [(1, 3)]]
    entries = [(b"", bundles.header())]
    entries += [(slice_key("a", box), bundles.entry(FEW[:12], (3,), 12 * number)) for number, box in enumerate(boxes)]
    entries.append((b"a", bundles.entry(b"", (4,), size=0, slices=bundles.slices(*boxes))))
    bundles.write(prefix, bundles.simple(entries), FEW[:12] * 2)


def endless_block(prefix: Path) -> None:
    """A block that is said to be longer than any file."""
    block = bundles.block([(b"", bundles.header())])
    bundles.write(prefix, bundles.table([(b"a", block)], places={0: (0, 2**63)}), FEW)


def one_block_often(prefix: Path) -> None:
    """An index that names one block very often."""
    block = bundles.block([(b"", bundles.header())])
    listed = [(b"%07d" % number, varint(0) + varint(len(block) - 5)) for number in range(100_000)]
    data = block + bundles.tail(len(block), bundles.block([]), bundles.block(listed))
    bundles.write(prefix, data, FEW)


def many_keys(prefix: Path) -> None:
    """More keys than a bundle may have, in one compact block."""
    entry = bundles.entry(b"", (0,), crc32c=0)
    head = b"\0\x04" + varint(len(entry))
    data = b"".join(head + b"%04x" % number + entry for number in range(65_536))
    data += b"".join(head[:1] + b"\x06" + head[2:] + b"z%05x" % number + entry for number in range(200_000))
    content = b"\0\0" + varint(len(bundles.header())) + bundles.header() + data
    sealed = bundles.sealed(content + b"\0\0\0\0\1\0\0\0")
    bundles.write(prefix, bundles.table([(b"\xff" * 5, sealed)]), FEW)


def nested(prefix: Path) -> None:
    """Messages in messages."""
    data = b""
    for _ in range(5000):
        data = b"\x0a" + varint(len(data)) + data
    of_graph(prefix, data)


# The line, what is in the file, how it is made, and the codes of its refusal; none if it is read.
_ROWS: list[tuple[str, str, Callable[[Path], Any], str]] = [
    ("shape bombs", "a shape bomb of floats", of_entry((2**31, 2**31)), "bundle-entry"),
    ("shape bombs", "a shape bomb of strings", of_entry((2**62,), dtype=7), "bundle-entry"),
    ("shape bombs", "a size bomb", of_entry((2**40,), size=2**42), "bundle-entry"),
    ("shape bombs", "a rank bomb", of_entry((1,) * 100_000), "limit-rank"),
    ("shape bombs", "empty dimensions", of_entry((0, 2**62, 2**62)), "bundle-entry"),
    ("", "a string of 2^60 bytes", of_entry((1,), varint(2**60) + FEW, dtype=7), "bundle-crc bundle-string"),
    ("varints without end", "a varint without end", of_entry((1,), b"\xff" * 20, dtype=7), "protobuf-syntax"),
    ("crc mismatch", "a wrong checksum", of_entry((4,), crc32c=1), "bundle-crc"),
    ("shard numbers beyond the count", "a shard beyond the number", of_entry((4,), shard_id=2**30), "bundle-shard"),
    ("shard numbers beyond the count", "very many shards", many_shards, "bundle-shard"),
    ("", "slices that overlap", slices_over_slices, "chunk-cover"),
    ("block offsets beyond the file", "a block without end", endless_block, "bundle-index"),
    ("", "one block very often", one_block_often, "bundle-index"),
    ("", "too many keys", many_keys, "limit-foreign"),
    ("restart arrays out of range", "restarts out of range", of_block(b"\xff" * 40 + b"\0\0\0\x40"), "bundle-index"),
    ("restart arrays out of range", "very many restarts", of_block(RESTARTS), "bundle-index"),
    ("", "a snappy bomb", of_block(b"\xff\xff\xff\xff\x0f" + COPIES, 1), "limit-foreign"),
    ("", "a snappy bomb as it promises", of_block(varint(128_000_001) + b"\0a" + COPIES, 1), "limit-foreign"),
    ("", "a snappy bomb that fits", of_block(varint(16_000_001) + b"\0a" + COPIES[:750_000], 1), "bundle-index"),
    ("recursive messages", "messages in messages", nested, "object-graph-form protobuf-syntax"),
    ("", "very many empty nodes", lambda prefix: of_graph(prefix, b"\x0a\x00" * 1_100_000), "limit-foreign"),
    ("", "more nodes than may be", lambda prefix: of_graph(prefix, b"\x0a\x00" * 990_000), "limit-foreign"),
    ("", "as many nodes as may be", lambda prefix: of_graph(prefix, b"\x0a\x00" * 200_000), ""),
    ("", "as many children as may be", lambda prefix: graph(prefix, wide), ""),
    ("children out of range", "a child out of range", lambda prefix: graph(prefix, stray), "object-graph-form"),
    ("object-graph cycles", "a cycle", lambda prefix: graph(prefix, cycle), ""),
    ("", "a deep chain", lambda prefix: graph(prefix, chain), "limit-path"),
    ("", "a wide fan", lambda prefix: graph(prefix, fan), "limit-foreign"),
    ("children out of range", "very many slots", lambda prefix: graph(prefix, slots), "object-graph-form"),
]  # fmt: skip


def checkpoint(fill: Callable[[Path], Any]) -> Make:
    """A checkpoint, which is opened by what the names of its files begin with."""

    def make(folder: Path) -> Path:
        fill(folder / "m")
        return folder / "m"

    return make


def good(prefix: Path) -> None:
    """A checkpoint without a fault."""
    write_bundle(prefix, [Outgoing("a", "float32", (4,), lambda: np.arange(4, dtype="<f4"))])


CASES: list[Case] = [
    *(case(CHAPTER, line, checkpoint(fill), codes, *_CLAUSES, name=name) for line, name, fill, codes in _ROWS),
    case(CHAPTER, "", checkpoint(good), "", *_CLAUSES, name="good: a checkpoint"),
]
