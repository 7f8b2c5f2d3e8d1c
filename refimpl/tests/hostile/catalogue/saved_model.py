"""Hostile SavedModels of TensorFlow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from catalogue.case import Case, Make, case
from etui.storage.protobuf import varint
from etui.testing.saved_models import Maker, Node, keras_model, module, user

CHAPTER = "TensorFlow"


def nested(tag: bytes, levels: int) -> bytes:
    """A message in a message, so many levels deep."""
    data = b""
    for _ in range(levels):
        data = tag + varint(len(data)) + data
    return data


def _keras(metadata: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = metadata.encode()
        node = b"\x2a" + varint(len(text)) + text
        (folder / "keras_metadata.pb").write_bytes(b"\x0a" + varint(len(node)) + node)

    return change


def _main(data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "saved_model.pb").write_bytes(data)

    return change


def _graph(data: bytes) -> bytes:
    """`saved_model.pb` whose object graph has these bytes."""
    graph = b"\x3a" + varint(len(data)) + data
    return b"\x12" + varint(len(graph)) + graph


def _chain(folder: Path) -> None:
    """A variable behind 50,000 objects in a row."""
    maker = module()
    behind = len(maker.nodes)
    maker.nodes[0].children = {"next": behind}
    maker.nodes += [Node({}, {"next": behind + at + 1}) for at in range(50_000)]
    maker.nodes.append(user(w=2))
    shutil.rmtree(folder)
    maker.write(folder)


def _ring(folder: Path) -> None:
    """Objects that all lead to each other."""
    many = 300
    nodes = [Node({}, {str(other): other for other in range(many)}) for _ in range(many)]
    (folder / "saved_model.pb").write_bytes(Maker(nodes).main())


def _loop_of_layers(folder: Path) -> None:
    """Layers that hold each other."""
    maker = keras_model()
    assert maker.metadata is not None
    maker.nodes[1].children |= {"held": 0, "again": 1, "list": 5}
    maker.nodes[5].children |= {"x": 5, "y": 0}
    (folder / "saved_model.pb").write_bytes(maker.main())


def _many_vocabularies(folder: Path) -> None:
    """A constant of a vocabulary that declares more terms than it has."""
    maker = keras_model()
    maker.graph = nested(b"\x0a", 90)
    (folder / "saved_model.pb").write_bytes(maker.main())


def _no_index(folder: Path) -> None:
    (folder / "variables" / "variables.index").write_bytes(b"")


DEEP = json.dumps({"class_name": "Sequential", "config": {}})[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}"
HOSTILE: dict[str, Callable[[Path], None]] = {
    "recursive graphs": _main(nested(b"\x12", 20_000)),
    "recursive shapes": _main(_graph(nested(b"\x0a", 5_000))),
    "varint without end": _main(b"\x12" + b"\xff" * 10_000),
    "varint without end, unknown field": _main(b"\xf8\x01" + b"\x80" * 10_000 + b"\x01"),
    "length beyond the file": _main(b"\x12\xff\xff\xff\xff\x7f"),
    "group": _main(b"\x13" * 1_000),
    "many empty graphs": _main(b"\x12\x00" * 3_000_000),
    "many empty objects": _main(_graph(b"\x0a\x00" * 3_000_000)),
    "a packed list of millions": _main(_graph(b"\x12\x08\x12\x06" + b"\x12\x04\x00\x00\x00\x00")),
    "objects in a row": _chain,
    "objects in a ring": _ring,
    "layers in a loop": _loop_of_layers,
    "a deep graph": _many_vocabularies,
    "metadata of depth 100,000": _keras(DEEP),
    "metadata with a huge number": _keras('{"class_name": "Sequential", "x": ' + "9" * 1_000_000 + "}"),
    "metadata with a key twice": _keras('{"class_name": "a", "class_name": "b"}'),
    "metadata with a lone surrogate": _keras('{"class_name": "\\ud800"}'),
    "metadata of another form": _keras('{"class_name": "Sequential", "config": {"layers": 3}, "keras_version": "2"}'),
    "a config that is a list": _keras('{"class_name": "Model", "config": [], "model_config": []}'),
    "an optimizer that is a text": _keras(
        '{"class_name": "M", "config": {}, "training_config": {"optimizer_config": 1}}'
    ),
    "no index": _no_index,
    "no shard": lambda folder: (folder / "variables" / "variables.data-00000-of-00001").unlink(),
}


def saved(change: Callable[[Path], object]) -> Make:
    """The folder of a Keras model, with a change."""

    def make(folder: Path) -> Path:
        path = keras_model().write(folder / "m")
        change(path)
        return path

    return make


# The codes; none where what is odd is sound.
_CODES: dict[str, str] = {
    "recursive graphs": "",
    "recursive shapes": "protobuf-syntax",
    "varint without end": "protobuf-syntax",
    "varint without end, unknown field": "protobuf-syntax",
    "length beyond the file": "protobuf-syntax",
    "group": "protobuf-syntax",
    "many empty graphs": "limit-foreign",
    "many empty objects": "limit-foreign",
    "a packed list of millions": "savedmodel-graph",
    "objects in a row": "limit-path",
    "objects in a ring": "",
    "layers in a loop": "",
    "a deep graph": "",
    "metadata of depth 100,000": "keras-json",
    "metadata with a huge number": "keras-json",
    "metadata with a key twice": "keras-json",
    "metadata with a lone surrogate": "keras-json",
    "metadata of another form": "keras-config",
    "a config that is a list": "",
    "an optimizer that is a text": "keras-config",
    "no index": "bundle-index",
    "no shard": "bundle-shard",
}
_LINES: dict[str, str] = {
    "recursive graphs": "recursive messages",
    "recursive shapes": "recursive messages",
    "varint without end": "varints without end",
    "varint without end, unknown field": "varints without end",
    "objects in a ring": "object-graph cycles",
    "layers in a loop": "object-graph cycles",
}

CASES: list[Case] = [
    *(
        case(CHAPTER, _LINES.get(name, ""), saved(change), _CODES[name], "X-2", "E-2", name=f"SavedModel with {name}")
        for name, change in HOSTILE.items()
    ),
    case(CHAPTER, "", saved(lambda _: None), "", "E-2", name="good: a SavedModel"),
]
