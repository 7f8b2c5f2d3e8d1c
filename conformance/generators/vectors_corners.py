"""Vectors of chapters 2 to 9 that wrong implementations asked for: what is legal though odd, faults that hide well."""

from __future__ import annotations

import struct
from typing import Any

from vectors_contents import config, f32, joined, layer, part, state, stored, texts, weights
from vectors_kit import FULL, Area, Entry
from vectors_parts import CONFIG, DATA, MANIFEST, Parts, added, byte, put, renamed
from vectors_zip import Archive

PLACE = ("model", "attrs", "v")
ASSET = "assets/a/words.txt"


def area() -> Area:
    """The vectors."""
    found = Area("corners", "config")
    _odd(found)
    _values(found)
    _digests(found)
    _parts(found)
    _folders(found)
    _archives(found)
    return found


def _odd(found: Area) -> None:
    odd = {"\ufb01": f32([1], 1), "fi": f32([1], 2), "\u00b2": f32([1], 3), "2": f32([1], 4), "\u2126": f32([1], 5)}
    found.valid("paths that only the compatibility form makes equal", "D-4", weights(odd), subject=["weights"])
    brackets = {"open": "[{" * 100, "close": "}]" * 100, "quoted": '"[' * 100, "escaped": '\\"[\\' * 50}
    found.valid("brackets in texts, more than levels are allowed", "J-8", config(layer("m", attrs=brackets)))
    loose = {"v": [{"$variable": "no/where"}, {"$tuple": [{"$variable": "a"}]}]}
    found.valid("variables named where there are no weights", "V-10", config(layer("m", attrs=loose)))
    swapped: dict[str, Any] = {"b": (f32([2], 1, 2), {}), "a": (f32([2], 3, 4), {}), "c": (f32([2], 5, 6), {})}
    found.valid(
        "variables of one shape in an order that is not that of names", "D-1", weights(swapped), subject=["weights"]
    )


def _values(found: Area) -> None:
    base = found.valid("a value", "V-1", config(layer("m", attrs={"v": 1})))

    def tensor(dtype: str, shape: list[Any], data: str) -> dict[str, Any]:
        return {"$tensor": {"data": data, "dtype": dtype, "shape": shape}}

    rows: list[tuple[str, str, str, Any]] = [
        ("a small tensor with a bool that is a two", "D-8", "bool-value", tensor("bool", [3], "AAEC")),
        ("a small tensor of texts, without one", "V-7", "value-tag", tensor("string", [0], "")),
        ("a small tensor of 4 bits, without an element", "V-7", "value-tag", tensor("int4", [0], "")),
        ("a small tensor with a negative dimension", "D-10", "shape-form", tensor("float32", [-1], "AACAPw==")),
        ("a small tensor with a dimension that is true", "D-10", "shape-form", tensor("float32", [True], "AACAPw==")),
        ("a small tensor of an unknown dtype", "D-7", "dtype-unknown", tensor("float", [1], "AACAPw==")),
        ("an asset outside of assets", "V-1 V-10", "value-tag|reference-missing", {"$asset": "words.txt"}),
        ("an asset above the artifact", "V-1 V-10 A-2", "value-tag|reference-missing", {"$asset": "../words.txt"}),
    ]
    found.faults(base, CONFIG, [(name, clauses, code, put(value, *PLACE)) for name, clauses, code, value in rows])


def _digests(found: Area) -> None:
    content = joined(
        weights({"k": f32([2], 1, -0.0), "t": texts([2], "one", "\u00e9")}),
        state({"user/s": f32([1], 3)}, user={"s": stored("user/s")}),
    )
    base = found.valid("tensors that a full verification reads", "H-7", content, subject=["weights", "state"])
    flips = {"k": (-1, 0x81), "t#data": (0, 0x4F), "t#offsets": (8, 4)}
    for tensor, (at, value) in flips.items():
        edit = byte(tensor, at, value)
        found.fault(
            base, DATA, (f"a changed byte of {tensor}", "H-7 H-6", "digest-mismatch", edit), reseal=False, ops=FULL
        )
    contents = {"t#data": (-1, 0xFF), "t#offsets": (0, 1)}
    for tensor, (at, value) in contents.items():
        edit = byte(tensor, at, value)
        row = (f"{tensor} that no string has, with the right digest", "H-7 W-19", "encoding-content", edit)
        found.fault(base, DATA, row, ops=FULL)
    stale = byte("user/s", 0, 1)
    row = ("a changed byte of a tensor of the state", "H-7 H-6", "digest-mismatch", stale)
    found.fault(base, "state.safetensors", row, reseal=False, ops=FULL)


def _parts(found: Area) -> None:
    content = joined(weights({"a": f32([2], 1, 2), "b": f32([2], 3, 4)}), parts={ASSET: part("asset", b"a\n")})
    base = found.valid("shards and an asset", "P-1 P-5", content, shard_size=8, subject=["weights", "parts"])
    for name in ("assets/\u00ea", "assets/\u0430", "assets/\uff41", "assets/a\u0661"):
        found.change(base, f"a part with the letter U+{ord(max(name)):04X}", "P-1", "part-name", added(name, b""))
    shards = [f"weights-0000{number}-of-00002.safetensors" for number in (1, 2)]
    names = {shards[0]: "weights.safetensors", shards[1]: "weights-00001-of-00001.safetensors"}
    found.change(base, "all shards beside a part of all", "P-5", "part-role", renamed(names))
    names = {shard: shard.replace("-of-00002", "-of-00009") for shard in shards}
    found.change(base, "shards of more than there are", "P-5", "part-role", renamed(names))
    for size, name in ((1, "a byte less"), (3, "a byte more")):
        edit = put(size, "parts", ASSET, "size")
        row = (f"a packed asset that has {name} in the manifest", "F-4", "part-size", edit)
        found.fault(base, MANIFEST, row, reseal=False)


def _folders(found: Area) -> None:
    content = joined(weights({"k": f32([1], 1)}), parts={ASSET: part("asset", b"a\n"), "assets/b": part("asset", b"b")})
    base = found.valid("a folder with a folder", "F-1", content, form="directory", subject=["weights", "parts"])

    def nothing(parts: Parts) -> None:
        """The files are those of the valid artifact."""

    outside = [
        {"do": "move", "at": "assets/a", "to": "../../outside"},
        {"do": "link", "at": "assets/a", "to": "../../outside"},
    ]
    inside = [{"do": "move", "at": "assets/a", "to": "other"}, {"do": "link", "at": "assets/a", "to": "../other"}]
    rows = [
        ("a link in the place of a folder of parts", "F-1 X-1", "part-not-a-file", nothing, outside),
        ("a link to a folder of the same artifact", "F-1", "part-not-a-file", nothing, inside),
    ]
    found.folder_faults(base, rows)
    hidden = [
        (f"a file that is not listed, {where}", "F-5 H-7", "part-unlisted", _more(name))
        for where, name in (
            ("hidden", ".notes"),
            ("hidden in a folder", "assets/a/.words.txt.swp"),
            ("deep", "a/b/c/d"),
        )
    ]
    found.folder_faults(base, [(*row, []) for row in hidden], ops=FULL)


def _more(name: str) -> Any:
    return lambda parts: parts.update({name: b"more"})


def _archives(found: Area) -> None:
    base = found.valid("an archive", "Z-1", weights({"k": f32([2], 1, 2)}), subject=["weights"])
    found.archive_faults(
        base,
        [
            ("bytes after the last central header", "Z-8", "zip-layout", _after_directory(base)),
            ("a zip64 field of sizes that are there too", "Z-5", "zip-zip64", _needless(base)),
        ],
    )


def _after_directory(base: Entry) -> bytes:
    data = Archive.of(base.parts).written()
    size = int.from_bytes(data[-10:-6], "little")
    return data[:-22] + bytes(4) + data[-22:-10] + (size + 4).to_bytes(4, "little") + data[-6:]


def _needless(base: Entry) -> bytes:
    archive = Archive.of(base.parts)
    size = len(archive[DATA].data)
    archive[DATA].central = {"version": 45, "made_by": 45}
    archive[DATA].central_extra = struct.pack("<HHQQ", 1, 16, size, size)
    return archive.written()
