"""Faults in checkpoints of TensorFlow, in SavedModels, and in artifacts that are to become some (annexes F, G).

An index is written anew with checksums that are right, so that the fault is the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from formats_fault import Edit, Fault, Files, artifact

import etui
from etui.bridges.tensorflow.object_graph import GRAPH, KEY, NODE
from etui.bridges.tensorflow.saved_model.schema import KERAS_METADATA, SAVED_MODEL
from etui.storage.crc32c import masked
from etui.storage.ordered_code import slice_key
from etui.storage.protobuf import Message, Schema, decode, encode, varint
from etui.storage.sources import BytesSource
from etui.storage.sstable import read_table, write_table
from etui.storage.tf_bundle_form import DIM, ENTRY, SHAPE, read_strings, strings_crc, write_strings
from etui.testing import bundles

_OBJECTS = "tensorflow/routes/ckpt-1"
_NAMES = "tensorflow/names/model-5"
_VARIANTS = "tensorflow/objects/ckpt-1"
_MOVED = "tensorflow/odd_names"
_KERAS, _MODULE = "handmade/adam", "handmade/two_graphs"
_ARTIFACT = "etui/adam-other_values.etui"

_MATRIX = b"net/deep/params/a.Sb/.ATTRIBUTES/VARIABLE_VALUE"
_TEXT = b"other/.ATTRIBUTES/VARIABLE_VALUE"
_ITERATOR = b"it/.ATTRIBUTES/ITERATOR_STATE"
_UNKNOWN = 15

Entries = list[tuple[bytes, bytes]]


def _name(files: Files, ending: str) -> str:
    (found,) = (name for name in files if name.endswith(ending))
    return found


def _entries(files: Files) -> Entries:
    return list(read_table(BytesSource(files[_name(files, ".index")]), "index"))


def _index(make: Callable[[Entries], bytes]) -> Edit:
    """The edit of a bundle that makes its index anew of the entries that it has."""
    return lambda files: files | {_name(files, ".index"): make(_entries(files))}


def _table(change: Callable[[Entries], Entries]) -> Edit:
    """The edit of a bundle that changes the entries of its index."""
    return _index(lambda entries: b"".join(write_table(sorted(change(entries)))))


def _value(key: bytes, change: Callable[[bytes], bytes]) -> Edit:
    """The edit of the bytes of one entry."""

    def edit(entries: Entries) -> Entries:
        if key not in dict(entries):
            raise KeyError(key)
        return [(name, change(value) if name == key else value) for name, value in entries]

    return _table(edit)


def _entry(key: bytes, change: Callable[[Message], object]) -> Edit:
    """The edit of one entry as a message."""

    def anew(value: bytes) -> bytes:
        message = decode(ENTRY, value)
        change(message)
        return encode(message)

    return _value(key, anew)


def _set(**fields: Any) -> Callable[[Message], object]:
    return lambda message: message.values.update(fields)


def _stored(key: bytes, change: Callable[[bytes], tuple[bytes, int | None]]) -> Edit:
    """The edit of a tensor's bytes, which get a place behind all others, and their checksum if one is given."""

    def edit(files: Files) -> Files:
        shard = _name(files, ".data-00000-of-00001")
        entry = decode(ENTRY, dict(_entries(files))[key])
        before = files[shard][entry["offset"] : entry["offset"] + entry["size"]]
        data, checksum = change(before)
        fields = {"offset": len(files[shard]), "size": len(data)}
        fields |= {} if checksum is None else {"crc32c": masked(checksum)}
        return _entry(key, _set(**fields))(files | {shard: files[shard] + data})

    return edit


def _strings(change: Callable[[bytes], bytes]) -> Edit:
    """The edit of the bytes of a tensor of one string."""

    def anew(before: bytes) -> tuple[bytes, int]:
        data = change(before)
        return data, strings_crc(memoryview(data), 1, "<", "")

    return _stored(_TEXT, anew)


def _graph(change: Callable[[Message], object]) -> Edit:
    """The edit of the object graph."""

    def anew(before: bytes) -> tuple[bytes, int]:
        message = decode(GRAPH, read_strings(memoryview(before), 1, "<", "").item())
        change(message)
        return write_strings([encode(message)])

    return _stored(KEY.encode(), anew)


def _field(wire: int, content: bytes) -> bytes:
    """A field that no table names."""
    return varint(_UNKNOWN << 3 | wire) + content


def _beyond(value: bytes) -> bytes:
    """An entry whose shape has a field that ends behind the shape, though not behind the entry."""
    message = decode(ENTRY, value)
    shape = encode(message.values.pop("shape")) + _field(2, b"\x02a")
    return b"\x12" + varint(len(shape)) + shape + encode(message)


def _name_of_size(value: bytes) -> bytes:
    """An entry whose shape has a size with a name that is not UTF-8."""
    message = decode(ENTRY, value)
    shape = b"\x12\x05\x08\x04\x12\x01\xff"
    if encode(message.values.pop("shape")) != encode(Message(SHAPE, {"dim": [Message(DIM, {"size": 4})]})):
        raise ValueError("another shape than [4]")
    return b"\x12" + varint(len(shape)) + shape + encode(message)


def _snappy(data: bytes, period: int) -> bytes:
    """Raw snappy of bytes that mostly repeat after `period` bytes."""
    out, at, literal = bytearray(varint(len(data))), 0, 0

    def flush(end: int) -> None:
        for start in range(literal, end, 60):
            piece = data[start : min(end, start + 60)]
            out.extend(bytes([len(piece) - 1 << 2]) + piece)

    while at < len(data):
        size = min(64, len(data) - at)
        if at >= period and data[at : at + size] == data[at - period : at - period + size]:
            flush(at)
            out.extend(bytes([size - 1 << 2 | 2]) + period.to_bytes(2, "little"))
            at += size
            literal = at
        else:
            at += 1
    flush(at)
    return bytes(out)


def _packed(entries: Sequence[tuple[bytes, bytes]], tail: bytes, last: bytes, period: int) -> bytes:
    """An index of one block in snappy, with stored entries behind the others."""
    data = bundles.block(entries)[:-13] + tail + b"\0\0\0\0\1\0\0\0"
    return bundles.table([(last, bundles.sealed(_snappy(data, period), 1))])


def _many_fields(entries: Entries) -> bytes:
    tail = _field(0, b"\0") * 1_000_000
    *before, (key, value) = entries
    return _packed([*before, (key, value + tail)], b"", key, 2)


def _many_keys(entries: Entries) -> bytes:
    """Further keys, each of an empty tensor, which share what they can with the key before."""
    empty = encode(Message(ENTRY, {"dtype": 1, "shape": Message(SHAPE, {"dim": [Message(DIM, {})]})}))
    size = varint(len(empty))
    tail = bytearray()
    for number in range(250_000):
        high, middle, low = number >> 14, number >> 7 & 127, number & 127
        if not number:
            tail += b"\0\4" + size + b"~\0\0\0" + empty
        elif low:
            tail += b"\3\1" + size + bytes([low]) + empty
        elif middle:
            tail += b"\2\2" + size + bytes([middle, 0]) + empty
        else:
            tail += b"\1\3" + size + bytes([high, 0, 0]) + empty
    return _packed(entries, bytes(tail), b"~\x7f\x7f\x7f", 127 * (4 + len(empty)) + 5 + len(empty))


def _plain(entries: Entries, **options: Any) -> bytes:
    """An index of one block."""
    return bundles.table([(entries[-1][0], bundles.block(entries, **options))])


def _other_order(entries: Entries) -> bytes:
    return bundles.table([(entries[-1][0], bundles.block([entries[0], entries[2], entries[1], *entries[3:]]))])


def _inside(entries: Entries) -> bytes:
    """Two blocks, the second of which is in a field of the first."""
    first, second = entries[:3], bundles.block(entries[3:])
    first[2] = (first[2][0], first[2][1] + _field(2, varint(len(second)) + second))
    outer = bundles.block(first)
    places = {1: (outer.index(second), len(second) - 5)}
    return bundles.table([(first[2][0], outer), (entries[-1][0], b"")], places=places)


def _metaindex(entries: Entries) -> bytes:
    data = bundles.block(entries)
    listed = bundles.block([(entries[-1][0], varint(0) + varint(len(data) - 5))])
    return data + bundles.tail(len(data), bundles.block([(b"filter", b"")]), listed)


def _kind(entries: Entries, kind: int) -> bytes:
    return bundles.table([(entries[-1][0], bundles.sealed(bundles.block(entries)[:-5], kind))])


def _flipped(ending: str, at: int) -> Edit:
    """The edit of one byte of a file."""

    def edit(files: Files) -> Files:
        name = _name(files, ending)
        data = bytearray(files[name])
        data[at] ^= 1
        return files | {name: bytes(data)}

    return edit


def _header(change: Callable[[bytes], bytes]) -> Edit:
    return _value(b"", change)


def _next_shard(files: Files) -> Files:
    """A tensor in the second shard of one, which is there."""
    shard = _name(files, ".data-00000-of-00001")
    second = shard.replace("-00000-", "-00001-")
    return _entry(_MATRIX, _set(shard_id=1))(files | {second: files[shard]})


def _cut_short(files: Files) -> Files:
    """A tensor at the end of a shard that lacks its last byte."""
    moved = _stored(_MATRIX, lambda data: (data, None))(files)
    shard = _name(moved, ".data-00000-of-00001")
    return moved | {shard: moved[shard][:-1]}


def _same_bytes(entries: Entries) -> Entries:
    return [*entries, (b"zz", dict(entries)[_MATRIX])]


def _without(*keys: bytes) -> Edit:
    """The edit that takes entries out of an index."""

    def edit(entries: Entries) -> Entries:
        found = [(key, value) for key, value in entries if key not in keys]
        if len(found) != len(entries) - len(keys):
            raise KeyError(keys)
        return found

    return _table(edit)


def _other_file(name: str, data: bytes) -> Edit:
    return lambda files: files | {name: data}


def _message(name: str, schema: Schema, change: Callable[[Message], object]) -> Edit:
    """The edit of a file that is one message."""

    def edit(files: Files) -> Files:
        message = decode(schema, files[name])
        change(message)
        return files | {name: encode(message)}

    return edit


def _saved(change: Callable[[Message], object], graph: int = 0) -> Edit:
    """The edit of one graph of a SavedModel."""
    return _message("saved_model.pb", SAVED_MODEL, lambda message: change(message["meta_graphs"][graph]))


def _saved_object(at: int, change: Callable[[Message], object]) -> Edit:
    return _saved(lambda graph: change(graph["object_graph_def"]["nodes"][at]))


def _told(change: Callable[[list[Message]], object]) -> Edit:
    """The edit of the metadata of Keras."""
    return _message("keras_metadata.pb", KERAS_METADATA, lambda message: change(message["nodes"]))


def _again(items: list[Message]) -> None:
    items.append(items[0])


def _of_another_size(node: Message) -> None:
    node["variable"]["shape"]["dim"][0]["size"] += 1


def _other_key(graph: Message) -> None:
    node = next(node for node in graph["nodes"] if node["attributes"])
    node["attributes"][0]["checkpoint_key"] += "/other"


def _other_version(model: etui.Model) -> None:
    name = "programs/saved_model/program.json"
    data = bytes(model.programs[name].view())
    model.programs[name] = etui.Blob.of(data.replace(b'"version":"1.0"', b'"version":"2.0"'))


def _slice(start: int, length: int) -> bytes:
    return slice_key("part", [(start, length), (0, 3)])


_CLASSES = {
    "KT-1": "malformed",
    "KT-2": "limit",
    "KT-10": "malformed",
    "KT-11": "unsupported",
    "KT-12": "integrity",
    "KT-13": "unsupported",
    "KT-18": "unsupported",
    "KT-19": "malformed",
    "KT-20": "unsafe",
    "KT-23": "limit",
    "KT-38": "limit",
    "KS-5": "unsafe",
    "KS-32": "limit",
}


def _bundle(name: str, sibling: str, edit: Edit, code: str, clause: str) -> Fault:
    error_class = _CLASSES.get(clause, "invalid")
    return Fault(f"{name}: a checkpoint", "tf-checkpoint", sibling, edit, code, error_class, (clause,))


def _folder(name: str, sibling: str, edit: Edit, code: str, clause: str) -> Fault:
    error_class = _CLASSES.get(clause, "invalid")
    return Fault(f"{name}: a SavedModel", "tf-savedmodel", sibling, edit, code, error_class, (clause,))


def _target(name: str, sibling: str, edit: Edit, code: str, clause: str) -> Fault:
    error_class = _CLASSES.get(clause, "invalid")
    return Fault(f"{name}: an artifact", "etui", sibling, edit, code, error_class, (clause,), to="tf-savedmodel")


_MESSAGES = [
    _bundle(name, _OBJECTS, edit, "protobuf-syntax", "KT-1")
    for name, edit in (
        ("a second value of a field", _value(_MATRIX, lambda value: value + b"\x08\x01")),
        ("a varint of 70 bits", _value(_MATRIX, lambda value: value + _field(0, b"\xff" * 9 + b"\x7f"))),
        ("a field that ends behind its message", _value(_MATRIX, _beyond)),
        ("a group", _value(_MATRIX, lambda value: value + _field(3, b"") + _field(4, b""))),
        ("a text that is not UTF-8", _value(_MATRIX, _name_of_size)),
    )
]
_TABLES = [
    _bundle(name, _OBJECTS, _index(make), "bundle-index", "KT-10")
    for name, make in (
        ("keys in another order", _other_order),
        ("a key behind the last one of its block", lambda found: bundles.table([(found[1][0], bundles.block(found))])),
        ("a block in a block", _inside),
        ("a restart within a key", lambda found: _plain(found, restarts=(0, 3))),
        ("a metaindex with a key", _metaindex),
    )
]
_BUNDLES = [
    _bundle("an entry of more than 1,000,000 fields", _OBJECTS, _index(_many_fields), "limit-foreign", "KT-2"),
    _bundle(
        "a block of another compression",
        _OBJECTS,
        _index(lambda found: _kind(found, 2)),
        "bundle-compression",
        "KT-11",
    ),
    _bundle("a byte of a block that is another", _OBJECTS, _flipped(".index", 40), "bundle-crc", "KT-12"),
    _bundle(
        "a byte of a tensor that is another",
        _NAMES,
        _flipped(".data-00000-of-00002", 0),
        "bundle-crc",
        "KT-12",
    ),
    _bundle(
        "a bundle for readers of version 2",
        _OBJECTS,
        _header(lambda _: bundles.header(min_consumer=2)),
        "bundle-version",
        "KT-13",
    ),
    _bundle(
        "a third byte order",
        _OBJECTS,
        _header(lambda _: bundles.header(endianness=2)),
        "bundle-version",
        "KT-13",
    ),
    _bundle("a tensor in the second shard of one", _OBJECTS, _next_shard, "bundle-shard", "KT-14"),
    _bundle(
        "a shard without a file",
        _NAMES,
        lambda files: {name: data for name, data in files.items() if "data-00001" not in name},
        "bundle-shard",
        "KT-14",
    ),
    _bundle(
        "a tensor that ends behind its shard",
        _OBJECTS,
        _cut_short,
        "bundle-entry",
        "KT-15",
    ),
    _bundle(
        "a tensor of fewer elements than its bytes",
        _OBJECTS,
        _entry(_MATRIX, _set(shape=Message(SHAPE, {"dim": [Message(DIM, {"size": 3})]}))),
        "bundle-entry",
        "KT-15",
    ),
    _bundle("two tensors of the same bytes", _OBJECTS, _table(_same_bytes), "bundle-overlap", "KT-16"),
    _bundle("slices of no tensor", _NAMES, _without(b"part"), "bundle-slice", "KT-17"),
    _bundle("a slice that is not there", _NAMES, _without(_slice(7, 3)), "bundle-slice", "KT-17"),
    _bundle("a slice of another dtype", _NAMES, _entry(_slice(7, 3), _set(dtype=3)), "bundle-slice", "KT-17"),
    _bundle(
        "a tensor of quantized integers",
        _OBJECTS,
        _entry(_MATRIX, _set(dtype=13)),
        "bundle-dtype",
        "KT-18",
    ),
    _bundle("a byte behind the strings", _OBJECTS, _strings(lambda data: data + b"y"), "bundle-string", "KT-19"),
    _bundle(
        "a checksum of lengths that is another",
        _OBJECTS,
        _strings(lambda data: data[:1] + bytes([data[1] ^ 1]) + data[2:]),
        "bundle-string",
        "KT-19",
    ),
    _bundle(
        "a byte behind the variants",
        _VARIANTS,
        _stored(_ITERATOR, lambda data: (data + b"\0", None)),
        "bundle-string",
        "KT-19",
    ),
    _bundle(
        "a path with ..",
        _MOVED,
        _other_file("checkpoint", b'model_checkpoint_path: "../odd_names/model-7"\n'),
        "bundle-state",
        "KT-20",
    ),
    _bundle(
        "a state file with a line of another form",
        _MOVED,
        _other_file("checkpoint", b'model_checkpoint_path: "model-7"\nlatest\n'),
        "bundle-state",
        "KT-20",
    ),
    _bundle("an index of more than 250,000 keys", _OBJECTS, _index(_many_keys), "limit-foreign", "KT-23"),
]
_GRAPHS = [
    _bundle(name, _OBJECTS, _graph(change), "object-graph-form", "KT-30")
    for name, change in (
        ("an object graph without a node", lambda graph: graph.values.clear()),
        (
            "an edge to no node",
            lambda graph: graph["nodes"][0]["children"][0].values.update(node_id=1_000),
        ),
        (
            "two children of one name",
            lambda graph: _again(graph["nodes"][0]["children"]),
        ),
        (
            "an attribute twice",
            lambda graph: _again(next(node["attributes"] for node in graph["nodes"] if node["attributes"])),
        ),
    )
]
_GRAPHS.append(
    _bundle(
        "an object graph of more than 200,000 nodes",
        _OBJECTS,
        _graph(lambda graph: graph["nodes"].extend(Message(NODE, {}) for _ in range(200_000))),
        "limit-foreign",
        "KT-38",
    )
)
_SAVED = [
    _folder(
        "no graph to serve",
        _MODULE,
        _saved(lambda graph: graph["meta_info_def"].values.update(tags=["eval"]), 1),
        "savedmodel-graph",
        "KS-2",
    ),
    _folder(
        "an object graph without a node",
        _KERAS,
        _saved(lambda graph: graph["object_graph_def"].values.clear()),
        "savedmodel-graph",
        "KS-2",
    ),
    _folder(
        "an edge to no node",
        _KERAS,
        _saved_object(0, lambda node: node["children"][0].values.update(node_id=99)),
        "savedmodel-graph",
        "KS-2",
    ),
    _folder(
        "two children of one name",
        _KERAS,
        _saved_object(0, lambda node: _again(node["children"])),
        "savedmodel-graph",
        "KS-2",
    ),
    _folder(
        "a variable of another shape than its tensor",
        _KERAS,
        _saved_object(2, _of_another_size),
        "savedmodel-variables",
        "KS-4",
    ),
    _folder("an object with a key that is not there", _KERAS, _graph(_other_key), "savedmodel-variables", "KS-4"),
    _folder(
        "an asset that is not there",
        _MODULE,
        lambda files: {name: data for name, data in files.items() if not name.startswith("assets/")},
        "savedmodel-asset",
        "KS-5",
    ),
    _folder(
        "metadata of one object twice",
        _KERAS,
        _told(_again),
        "savedmodel-metadata",
        "KS-7",
    ),
    _folder(
        "metadata of no object",
        _KERAS,
        _told(lambda nodes: nodes[-1].values.update(node_id=99)),
        "savedmodel-metadata",
        "KS-7",
    ),
    _folder(
        "a control character in a name", _MODULE, _other_file("notes\x7f.txt", b""), "foreign-folder-name", "KS-31"
    ),
    _folder("a file below 17 folders", _MODULE, _other_file("a/" * 17 + "b", b""), "limit-foreign", "KS-32"),
]
_TARGETS = [
    _target(
        "a program that lacks a part",
        _ARTIFACT,
        artifact(lambda model: model.programs.pop("programs/saved_model/program.json")),
        "savedmodel-program",
        "KS-20",
    ),
    _target("a program of another version", _ARTIFACT, artifact(_other_version), "savedmodel-program", "KS-20"),
]

FAULTS: list[Fault] = [*_MESSAGES, *_TABLES, *_BUNDLES, *_GRAPHS, *_SAVED, *_TARGETS]
