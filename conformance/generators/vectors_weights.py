"""Vectors of weights: the index, paths and aliases, and chunks (SPEC.md chapters 2, 12.1, 12.2 and 12.4)."""

from __future__ import annotations

from typing import Any

import vectors_encodings
from vectors_contents import config, f32, joined, layer, numbers, tensor, weights
from vectors_kit import Area
from vectors_layout import Box, cut
from vectors_parts import CONFIG, WEIGHTS, Edit, both, drop, put, rename, swap

_KERNEL = ("variables", "k")
_CHUNK = (*_KERNEL, "chunks", 0)
_SHARDS = tuple(f"weights-0000{number}-of-00003.safetensors" for number in (1, 2, 3))


def areas() -> list[Area]:
    """The vectors of variables, of dtypes and encodings, and of chunks."""
    return [variables(), vectors_encodings.area(), chunks()]


def variables() -> Area:
    """The index, its paths and its aliases."""
    found = Area("weights", "weights")
    three: dict[str, Any] = {
        "k": f32([2, 2], 1, -0.0, 2, 3),
        "b": (f32([2], 5, 6), {"role": "bias", "trainable": False}),
        "a/deep/path": (numbers("int64", [], -(2**63)), {"role": "counter", "trainable": False}),
    }
    base = found.valid(
        "three variables and an alias",
        "W-1 W-2 W-3 W-4 W-5 W-9 W-10 W-11 W-12 W-14 W-23 D-1",
        weights(three, {"tied": "k"}),
    )
    found.valid(
        "several aliases of one variable", "W-14", weights({"k": f32([1], 1)}, {"b/k": "k", "a/k": "k", "é": "k"})
    )
    found.valid(
        "an order that is not that of the names",
        "W-3 D-5",
        weights({"z": f32([1], 1), "m": f32([1], 2), "a": f32([1], 3)}),
    )
    roles = {
        f"v{at}": (f32([1], at), {"role": role}) for at, role in enumerate(["kernel", "moving_mean", "Ä role", "x-y z"])
    }
    found.valid("roles of any text", "W-2", weights(roles))
    _paths(found)
    plain = found.valid("three variables", "W-1 W-2 W-3", weights(three))
    found.faults(plain, WEIGHTS, _index_faults())
    found.faults(plain, WEIGHTS, _path_faults())
    found.faults(base, WEIGHTS, _alias_faults())
    named = joined(config(layer("model", modules=[layer("a"), layer("b")])), weights({}))
    modules = found.valid("modules and paths", "D-2 D-3", named, subject=["config", "weights"])
    for title, clauses, name in (
        ("a hash in a module's name", "D-3", "a#b"),
        ("a point as a module's name", "D-3", "."),
    ):
        edit = put(name, "model", "modules", 0, "name")
        found.fault(modules, CONFIG, (title, clauses, "path-form|module-name", edit), needs=["weights"])
    same = both(put("\u212b", "model", "modules", 0, "name"), put("\u00c5", "model", "modules", 1, "name"))
    found.fault(modules, CONFIG, ("modules whose names are equal after normalization", "D-4", "path-collision", same))
    return found


def _paths(found: Area) -> None:
    """Paths of every kind, up to the limits."""
    names = [
        "a b",
        "con",
        "...",
        "..a",
        "a.",
        "~",
        "%41",
        "%",
        "$int",
        "$$",
        '"',
        "Ä",
        "\U0001f600",
        "\u00e9",
        "e",
        "é/ü",
        "A",
        "0",
    ]
    held = {name: f32([], at) for at, name in enumerate(names)}
    found.valid("paths of every kind", "D-2 D-3", weights(held))
    nearly = {
        "\u00c5": f32([], 1),
        "A": f32([], 2),
        "\u00e5": f32([], 3),
        "a\u0308": f32([], 4),
        "a/\u00c5": f32([], 5),
    }
    found.valid("paths that normalization does not make equal", "D-4", weights(nearly))
    segment, long = "s" * 255, "/".join(["p" * 255] * 15 + ["q" * 100, "r" * 155])
    found.valid(
        "paths at the limits", "D-2 L-1 L-2", weights({segment: f32([], 1), "ä" * 127: f32([], 2), long: f32([], 3)})
    )


def _index_faults() -> list[tuple[str, str, str, Edit]]:
    form, order = "weights-form", "weights-order"
    return [
        ("another format", "W-1", form, put("etui", "format")),
        ("no format", "W-1", form, drop("format")),
        ("no aliases", "W-1", form, drop("aliases")),
        ("no variables", "W-1", form, drop("variables")),
        ("variables in a list", "W-1", form, put([], "variables")),
        ("aliases in a list", "W-1", form, put([], "aliases")),
        ("an unknown field", "W-1 Q-7", form, put(1, "comment")),
        ("an unknown field of a variable", "W-1 Q-7", form, put(1, *_KERNEL, "comment")),
        ("a variable that is a list", "W-1 W-2", form, put([], *_KERNEL)),
        ("no chunks", "W-1", form, put([], *_KERNEL, "chunks")),
        ("a variable without chunks", "W-1 W-2", form, drop(*_KERNEL, "chunks")),
        ("a chunk that is a text", "W-1", form, put("k", *_CHUNK)),
        ("a variable without a dtype", "W-2", form, drop(*_KERNEL, "dtype")),
        ("a variable without a shape", "W-2", form, drop(*_KERNEL, "shape")),
        ("a variable without an order", "W-2", form, drop(*_KERNEL, "order")),
        ("a variable without a role", "W-2", form, drop(*_KERNEL, "role")),
        ("a variable without a flag", "W-2", form, drop(*_KERNEL, "trainable")),
        ("a flag that is a number", "W-1", form, put(1, *_KERNEL, "trainable")),
        ("a role that is null", "W-1", form, put(None, *_KERNEL, "role")),
        ("a role without letters", "W-1", form, put("", *_KERNEL, "role")),
        ("an order twice", "W-3", order, put(1, *_KERNEL, "order")),
        ("an order too high", "W-3", order, put(3, *_KERNEL, "order")),
        ("an order below zero", "W-3 W-1", f"{order}|{form}", put(-1, *_KERNEL, "order")),
        ("an order that is a text", "W-3 W-1", f"{order}|{form}", put("0", *_KERNEL, "order")),
        ("an unknown dtype", "D-7", "dtype-unknown", put("float24", *_KERNEL, "dtype")),
        ("a dtype of safetensors", "D-7", "dtype-unknown", put("F32", *_KERNEL, "dtype")),
        ("a dtype in capitals", "D-7", "dtype-unknown", put("Float32", *_KERNEL, "dtype")),
        ("a dtype that is a list", "D-7", "dtype-unknown", put(["float32"], *_KERNEL, "dtype")),
        ("a negative dimension", "D-10", "shape-form", put([2, -2], *_KERNEL, "shape")),
        ("a dimension that is null", "D-10", "shape-form", put([2, None], *_KERNEL, "shape")),
        ("a dimension that is true", "D-10", "shape-form", put([2, True], *_KERNEL, "shape")),
        ("a dimension that is a text", "D-10", "shape-form", put(["2", 2], *_KERNEL, "shape")),
        ("a dimension that is no integer", "D-10", "shape-form", put([2, 2.5], *_KERNEL, "shape")),
        ("a shape that is a number", "D-10", "shape-form", put(4, *_KERNEL, "shape")),
        ("a shape that is null", "D-10", "shape-form", put(None, *_KERNEL, "shape")),
        ("chunks of another dtype", "W-4", "chunk-mismatch", put("int32", *_KERNEL, "dtype")),
        ("chunks of a dtype of another width", "W-4", "chunk-mismatch", put("float64", *_KERNEL, "dtype")),
        ("a chunk of another shape", "W-9", "chunk-mismatch", put([4], *_KERNEL, "shape")),
        ("a chunk with fewer elements", "W-9", "chunk-mismatch", put([2, 3], *_KERNEL, "shape")),
        ("a chunk with an offset", "W-5", "chunk-form", put([0, 0], *_CHUNK, "offset")),
        ("a chunk with a shape", "W-5", "chunk-form", put([2, 2], *_CHUNK, "shape")),
        ("a chunk of no part", "W-10", "reference-missing", _more(part="weights-00001-of-00001.safetensors")),
        ("a chunk of a document", "W-10", "reference-missing", _more(part=WEIGHTS)),
        ("a chunk of no tensor", "W-10 S-9", "reference-missing|tensor-unreferenced", put("q", *_CHUNK, "tensor")),
        ("a chunk without a part", "W-10 W-1", form, drop(*_CHUNK, "part")),
        ("a chunk without a tensor", "W-10 W-1", form, drop(*_CHUNK, "tensor")),
        ("a chunk without a digest", "W-12 W-1", form, drop(*_CHUNK, "digest")),
        ("a chunk with another field", "Q-9", form, put(1, *_CHUNK, "x-note")),
        ("a variable of a tensor that is not there", "W-10", "reference-missing", _more(tensor="q")),
    ]


def _more(**place: str) -> Edit:
    """One more variable, whose chunk is at a place of its own."""

    def edit(tree: dict[str, Any]) -> None:
        chunk = tree["variables"]["b"]["chunks"][0] | place
        tree["variables"]["more"] = tree["variables"]["b"] | {"chunks": [chunk], "order": 3}

    return edit


def _path_faults() -> list[tuple[str, str, str, Edit]]:
    rows = [
        ("an empty path", "D-2", ""),
        ("a path with a slash in front", "D-2", "/k"),
        ("a path with a slash at its end", "D-2", "k/"),
        ("a path with an empty segment", "D-2", "a//k"),
        ("a segment of a point", "D-3", "a/./k"),
        ("a segment of two points", "D-3", "../k"),
        ("a path with a backslash", "D-3", "a\\k"),
        ("a path with a hash", "D-3", "k#scale"),
        ("a path with an at sign", "D-3", "k@0"),
        ("a path with a zero byte", "D-3", "k\0"),
        ("a path with a newline", "D-3", "k\n"),
        ("a path with a deletion", "D-3", "k\x7f"),
        ("a path with the last control character", "D-3", "\x1fk"),
    ]
    collision = "path-collision"
    return [
        *((title, clauses, "path-form", rename(path, *_KERNEL)) for title, clauses, path in rows),
        ("an alias with a backslash", "D-3", "path-form", put({"a\\b": "k"}, "aliases")),
        (
            "aliases that are equal after normalization",
            "D-4",
            collision,
            put({"\u212b": "k", "\u00c5": "k"}, "aliases"),
        ),
        (
            "an alias that normalization makes a variable's path",
            "D-4",
            collision,
            both(rename("\u00e9", *_KERNEL), put({"e\u0301": "\u00e9"}, "aliases")),
        ),
        (
            "aliases that are equal after normalization in a segment",
            "D-4",
            collision,
            put({"a/e\u0301/b": "k", "a/\u00e9/b": "k"}, "aliases"),
        ),
        ("a segment of 256 bytes", "L-2", "limit-path", rename("s" * 256, *_KERNEL)),
        ("a segment of 128 letters in 256 bytes", "L-2", "limit-path", rename("ä" * 128, *_KERNEL)),
        (
            "a path of 4,097 bytes",
            "L-2",
            "limit-path",
            rename("/".join(["p" * 255] * 15 + ["q" * 100, "r" * 156]), *_KERNEL),
        ),
    ]


def _alias_faults() -> list[tuple[str, str, str, Edit]]:
    code = "alias-target"
    return [
        ("an alias that is a variable", "W-15", code, put("b", "aliases", "k")),
        ("an alias of an alias", "W-15", code, put("tied", "aliases", "again")),
        ("an alias of nothing", "W-15", code, put("q", "aliases", "tied")),
        ("an alias of itself", "W-15", code, put("tied", "aliases", "tied")),
        ("an alias of a module", "W-15", code, put("a", "aliases", "tied")),
    ]


def chunks() -> Area:
    """Tensors in several chunks, and in several data parts."""
    found = Area("chunks", "weights")
    nine = numbers("float32", [3, 3], *range(9))
    rows = [Box((0, 0), (1, 3)), Box((1, 0), (2, 3))]
    base = found.valid(
        "two chunks", "W-6 W-7 W-8 W-9 W-13 M-4", weights({"k": nine}), layout=cut({"k": rows}), keeps=False
    )
    tiles = [Box((0, 0), (2, 1)), Box((0, 1), (1, 2)), Box((1, 1), (1, 2)), Box((2, 0), (1, 3))]
    found.valid(
        "tiles that are no grid", "W-6 W-7 W-8 W-13", weights({"k": nine}), layout=cut({"k": tiles}), keeps=False
    )
    single = [Box((at // 3, at % 3), (1, 1)) for at in range(9)]
    found.valid("a chunk for each element", "W-6 W-7 W-8", weights({"k": nine}), layout=cut({"k": single}), keeps=False)
    spread = {"k": [Box((0, 0), (3, 1), _SHARDS[0]), Box((0, 1), (3, 1), _SHARDS[1]), Box((0, 2), (3, 1), _SHARDS[2])]}
    found.valid("columns in three shards", "W-6 W-7 W-13 P-5", weights({"k": nine}), layout=cut(spread), keeps=False)
    cube = numbers("int8", [2, 3, 4], *range(24))
    corners = [Box((z, y, 0), (1, 1 + (y == 1), 4)) for z in (0, 1) for y in (0, 1)]
    found.valid(
        "chunks of three dimensions", "W-6 W-7 W-13", weights({"k": cube}), layout=cut({"k": corners}), keeps=False
    )
    twelve = numbers("int16", [12], *range(12))
    ten = [Box((at,), (1,)) for at in range(12)]
    late = found.valid(
        "chunks sorted by their numbers, not their text",
        "W-8",
        weights({"k": twelve}),
        layout=cut({"k": ten}),
        keeps=False,
    )
    mask = tensor("bool", [4], b"\1\0\0\1")
    found.valid(
        "chunks of bool",
        "W-6 D-8",
        weights({"k": mask}),
        layout=cut({"k": [Box((0,), (3,)), Box((3,), (1,))]}),
        keeps=False,
    )
    vectors_encodings.cut_components(found)
    _shards(found)
    found.faults(base, WEIGHTS, _chunk_faults())
    found.faults(base, WEIGHTS, _cover_faults(), match=True)
    by_text = lambda tree: tree["variables"]["k"]["chunks"].sort(key=lambda chunk: str(chunk["offset"]))  # noqa: E731
    found.fault(late, WEIGHTS, ("chunks sorted by their text", "W-8", "chunk-form", by_text))
    return found


def _shards(found: Area) -> None:
    content = weights(
        {"b": f32([2], 1, 2), "a": f32([1], 3), "c": f32([5], 4, 5, 6, 7, 8), "d": f32([1], 9), "e": f32([], 1)}
    )
    for size in (4, 8, 12, 20, 24, 40):
        found.valid(f"shards of {size} bytes of data", "W-24 P-5", content, shard_size=size)
    found.valid("shards that hold everything", "W-24", content, shard_size=1000)


def _cover_faults() -> list[tuple[str, str, str, Edit]]:
    form, cover = "chunk-form", "chunk-cover"
    first, second = (*_KERNEL, "chunks", 0), (*_KERNEL, "chunks", 1)
    return [
        ("a shape of another rank", "W-6", form, put([1, 3, 1], *first, "shape")),
        ("an empty chunk", "W-6", form, put([0, 3], *first, "shape")),
        ("a gap between chunks", "W-7", cover, put([1, 3], *second, "shape")),
        ("an overlap of chunks", "W-7", cover, put([2, 3], *first, "shape")),
        ("a hole in the midst", "W-7", cover, put([1, 2], *first, "shape")),
    ]


def _chunk_faults() -> list[tuple[str, str, str, Edit]]:
    form, cover = "chunk-form", "chunk-cover"
    first, second = (*_KERNEL, "chunks", 0), (*_KERNEL, "chunks", 1)
    return [
        ("several chunks without an offset", "W-6", form, drop(*first, "offset")),
        ("several chunks without a shape", "W-6", form, drop(*second, "shape")),
        ("an offset of another rank", "W-6", form, put([0], *first, "offset")),
        ("a chunk outside of the tensor", "W-6", form, put([2, 0], *second, "offset")),
        ("an offset below zero", "W-6", f"{form}|shape-form", put([-1, 0], *first, "offset")),
        ("an offset that is a text", "W-6", f"{form}|shape-form", put(["0", 0], *first, "offset")),
        ("a chunk that overflows", "W-6 X-2", form, put([2**53 - 1, 3], *second, "shape")),
        ("chunks in another order", "W-8", form, swap(*_KERNEL, "chunks")),
        ("chunks of another shape in the data part", "W-9", "chunk-mismatch", _reshaped),
        (
            "a chunk of a part that is not there",
            "W-10 S-9",
            "reference-missing|tensor-unreferenced",
            put("optimizer.safetensors", *second, "part"),
        ),
        ("a chunk twice", "W-7 S-9 W-8", f"{cover}|{form}|tensor-unreferenced", _doubled),
        ("chunks that cut a dimension too often", "L-2", "limit-chunks", _cut_everywhere),
        ("a chunk with another field, among several", "Q-9", "weights-form", put(1, *first, "comment")),
    ]


def _reshaped(tree: dict[str, Any]) -> None:
    """The same cover by other boxes: what is stored has not their shapes."""
    first, second = tree["variables"]["k"]["chunks"]
    first["shape"], second["offset"], second["shape"] = [2, 3], [2, 0], [1, 3]


def _doubled(tree: dict[str, Any]) -> None:
    chunks_ = tree["variables"]["k"]["chunks"]
    chunks_.insert(1, dict(chunks_[0]))


def _cut_everywhere(tree: dict[str, Any]) -> None:
    """Two chunks that cut 22 dimensions, so that they count 2^23."""
    entry = tree["variables"]["k"]
    entry["shape"] = [2] * 22
    for at, chunk in enumerate(entry["chunks"]):
        chunk |= {"offset": [at] * 22, "shape": [1] * 22}
