"""Vectors of values (SPEC.md chapter 5): every tag in either kind of document, and what is no value."""

from __future__ import annotations

import base64
from typing import Any

from vectors_contents import config, f32, joined, layer, part, shared, state, stored, weights
from vectors_kit import Area
from vectors_parts import CONFIG, MANIFEST, STATE, TRAINING, Edit, put

ASSET = "assets/words.txt"
PLACE = ("model", "attrs", "v")
USER = ("user", "v")


def area() -> Area:
    """The vectors."""
    found = Area("values", "config")
    _valid(found)
    base = found.valid("a plain value", "V-1 V-3", config(layer("model", attrs={"v": 1})))
    found.faults(base, CONFIG, [(*row, put(value, *PLACE)) for *row, value in _value_faults()])  # type: ignore[misc]
    found.faults(base, CONFIG, _reference_faults())
    small = found.valid(
        "a plain value in MessagePack",
        "V-1 V-3",
        joined(weights({}), state(user={"v": 1})),
        subject=["weights", "state"],
    )
    found.faults(small, STATE, _packed_faults())
    noted = found.valid("a plain value in metadata", "V-1", weights({}) | {"metadata": {"v": 1}}, subject=[])
    found.faults(noted, MANIFEST, _metadata_faults())
    _artifact_references(found)
    _deep_keys(found)
    return found


def _valid(found: Area) -> None:
    for name, clauses, value in _kinds():
        found.valid(name, clauses, config(layer("model", attrs={"v": value})))
        packed = joined(weights({}), state(user={"v": value}))
        found.valid(f"{name}, in MessagePack", f"{clauses} B-12", packed, subject=["weights", "state"])


def _deep_keys(found: Area) -> None:
    """Maps in the keys of maps: a reader that looks twice at each key would look 2^41 times at the innermost."""
    value: Any = 1
    for number in range(41):
        value = {"$map": [[number, "a"], [value, "b"]]}
    name = "maps in the keys of maps, as deep as they go"
    found.valid(name, "V-4 E-2", config(layer("model", attrs={"v": value})))
    packed = joined(weights({}), state(user={"v": value}))
    found.valid(f"{name}, in MessagePack", "V-4 B-12 E-2", packed, subject=["weights", "state"])


def _bits(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _kinds() -> list[tuple[str, str, Any]]:
    integers = [
        "9007199254740992",
        "-9007199254740992",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
    ]
    integers += ["18446744073709551616", "-9223372036854775809", "9" * 1024, "-" + "9" * 1024]
    floats = [
        "0",
        "-0",
        "1",
        "-1",
        "9007199254740992",
        "295147905179352830000",
        "999999999999999900000",
        "1e+21",
        "1e+23",
    ]
    floats += ["9.999999999999997e+22", "1.7976931348623157e+308", "-1.7976931348623157e+308", "nan", "inf", "-inf"]
    pairs = [["1", "0.5"], ["-0", "nan"], ["inf", "-inf"], ["5e-324", "1e+21"], ["0.000001", "1e-7"]]
    tensors = {
        "float32": ([2, 1], "0000c07f01000080"),
        "bool": ([3], "000100"),
        "complex64": ([], "0000803f000000bf"),
        "complex128": ([1], "000000000000f03f0000000000000080"),
        "bfloat16": ([2], "c07f0080"),
        "float8_e4m3fn": ([3], "7fff01"),
        "float8_e5m2": ([2], "7cfd"),
        "float8_e8m0fnu": ([1], "ff"),
        "int64": ([0, 2], ""),
        "uint8": ([1] * 32, "07"),
    }
    small = [
        {"$tensor": {"data": _bits(data), "dtype": dtype, "shape": shape}} for dtype, (shape, data) in tensors.items()
    ]
    maps = [
        [[1, "a"], [2, "b"]],
        [["1", "text"], [1, "number"]],
        [[-1, 0], [0.5, 1], [None, 2], [True, 3], [{"$float": "1"}, 4], [{"$tuple": [1, 2]}, 5]],
        [[10, "ten"], [9, "nine"]],
    ]
    made = {"class": "example:kinds.Zeros", "config": {}}
    full = {
        "class": "custom:mine>Grüße",
        "config": {"$tuple": [1, {"a": [None]}]},
        "residue": {"example": {"module": "mine"}},
        "shared": 3,
    }
    return [
        ("integers beyond 2^53 - 1", "V-3 V-8", [{"$int": text} for text in integers]),
        ("floats that JSON lacks, or takes for integers", "V-3", [{"$float": text} for text in floats]),
        ("byte strings", "V-5", [{"$bytes": _bits(data)} for data in ("", "00", "0001", "000102", "fbffbf")]),
        ("tuples", "V-1", [{"$tuple": []}, {"$tuple": [1, {"$tuple": [None, [{"$tuple": [{}]}]]}]}]),
        ("complex numbers", "V-3", [{"$complex": pair} for pair in pairs]),
        (
            "slices",
            "V-1",
            [{"$slice": [0, None, 2]}, {"$slice": [None, None, None]}, {"$slice": [{"$float": "1"}, -1, "a"]}],
        ),
        ("an ellipsis", "V-1", {"$ellipsis": True}),
        (
            "dtypes",
            "V-1 D-7",
            [{"$dtype": name} for name in ("float32", "bfloat16", "int4", "string", "float8_e8m0fnu")],
        ),
        ("small tensors", "V-6 V-7", small),
        ("maps with other keys than strings", "V-4", [{"$map": pairs} for pairs in maps]),
        ("keys that begin with $", "V-2", {"$$": 1, "$$int": "5", "$$$bytes": [], "a$": {"$$float": "1", "$$b": 2}}),
        ("a map with one key that begins with two $", "V-2", {"$$int": "5"}),
        ("text that looks like a tag or a number", "V-1", ["$int", "nan", "1", "\u0000", "e\u0301", "\u00e9"]),
        ("objects", "V-1 V-9 C-8", [{"$object": made}, {"$object": full}, {"$object": {**made, "shared": 0}}]),
    ]


def _value_faults() -> list[tuple[str, str, str, Any]]:
    tag, other, limit = "value-tag", "value-not-canonical", "value-limit"
    tensor = {"data": "AACAPw==", "dtype": "float32", "shape": [1]}
    made = {"class": "example:kinds.Zeros", "config": {}}
    return [
        ("an unknown tag", "V-1", tag, {"$set": []}),
        ("a tag beside another key", "V-1 V-2", tag, {"$int": "9007199254740992", "a": 1}),
        ("two tags", "V-1", tag, {"$float": "1", "$int": "9007199254740992"}),
        ("a key with one $ among others", "V-2", tag, {"$a": 1, "b": 2}),
        ("a lone $", "V-1", tag, {"$": 1}),
        ("a tag in capitals", "V-1", tag, {"$INT": "9007199254740992"}),
        ("an integer's tag with a number", "V-1", tag, {"$int": 5}),
        ("an integer's tag with letters", "V-1", tag, {"$int": "ten"}),
        ("an integer's tag with nothing", "V-1", tag, {"$int": ""}),
        ("an integer's tag with a space", "V-1", tag, {"$int": " 9007199254740992"}),
        ("an integer's tag with digits beyond ASCII", "V-1", tag, {"$int": "٩٠٠٧١٩٩٢٥٤٧٤٠٩٩٢"}),
        ("an integer in a tag that needs none", "V-3", other, {"$int": "5"}),
        ("the greatest plain integer in a tag", "V-3", other, {"$int": "9007199254740991"}),
        ("the least plain integer in a tag", "V-3", other, {"$int": "-9007199254740991"}),
        ("an integer with a zero in front", "V-1 V-3", f"{other}|{tag}", {"$int": "09007199254740992"}),
        ("an integer with a plus", "V-1 V-3", f"{other}|{tag}", {"$int": "+9007199254740992"}),
        ("an integer of 1,025 digits", "V-8 L-2", limit, {"$int": "9" * 1025}),
        ("a negative integer of 1,025 digits", "V-8 L-2", limit, {"$int": "-" + "9" * 1025}),
        ("a float's tag with a number", "V-1", tag, {"$float": 0.5}),
        ("a float's tag with letters", "V-1", tag, {"$float": "one"}),
        ("a float that JSON has in a tag", "V-3", other, {"$float": "0.5"}),
        ("an integral float with a point", "V-3", f"{other}|{tag}", {"$float": "1.0"}),
        ("a float with digits too many", "V-3", other, {"$float": "9007199254740993"}),
        ("a large float without an exponent", "V-3", other, {"$float": "1" + "0" * 21}),
        ("a small exponent", "V-3", other, {"$float": "1e+20"}),
        ("an infinity's long name", "V-1", tag, {"$float": "Infinity"}),
        ("a NaN in capitals", "V-1", tag, {"$float": "NaN"}),
        ("base64 without its padding", "V-5", tag, {"$bytes": "AA"}),
        ("base64 of the alphabet for addresses", "V-5", tag, {"$bytes": "-_8="}),
        ("base64 with spare bits", "V-5", tag, {"$bytes": "AB=="}),
        ("base64 with a newline", "V-5", tag, {"$bytes": "AAEC\n"}),
        ("base64 with padding in its midst", "V-5", tag, {"$bytes": "AA==AAEC"}),
        ("bytes as a list", "V-1", tag, {"$bytes": [0, 1]}),
        ("a tuple that is a map", "V-1", tag, {"$tuple": {}}),
        ("a complex number of one part", "V-1", tag, {"$complex": ["1"]}),
        ("a complex number of numbers", "V-1", tag, {"$complex": [0.5, 0.5]}),
        ("a complex number with a zero too many", "V-3", other, {"$complex": ["1", "0.50"]}),
        ("a slice of two", "V-1", tag, {"$slice": [0, 1]}),
        ("a slice that is a text", "V-1", tag, {"$slice": "0:1"}),
        ("an ellipsis that is false", "V-1", tag, {"$ellipsis": False}),
        ("an ellipsis that is a one", "V-1", tag, {"$ellipsis": 1}),
        ("a dtype that there is not", "V-1 D-7", f"{tag}|dtype-unknown", {"$dtype": "float24"}),
        ("a dtype that is no text", "V-1 D-7", f"{tag}|dtype-unknown", {"$dtype": 32}),
        ("a small tensor with too few bytes", "V-6", tag, {"$tensor": tensor | {"shape": [2]}}),
        ("a small tensor with too many bytes", "V-6", tag, {"$tensor": tensor | {"shape": []} | {"data": "AACAPwA="}}),
        ("a small tensor of 4 bits", "V-7", tag, {"$tensor": tensor | {"dtype": "int4", "data": "AA=="}}),
        ("a small tensor of strings", "V-7", tag, {"$tensor": tensor | {"dtype": "string", "data": "AA=="}}),
        ("a small tensor without a shape", "V-1", tag, {"$tensor": {"data": "AACAPw==", "dtype": "float32"}}),
        ("a small tensor with another field", "V-1", tag, {"$tensor": tensor | {"name": "a"}}),
        ("a small tensor with spare bits", "V-5", tag, {"$tensor": tensor | {"data": "AACAPx=="}}),
        ("a map whose keys are not sorted", "V-4", other, {"$map": [[2, "b"], [1, "a"]]}),
        ("a map sorted by its numbers, not their text", "V-4", other, {"$map": [[9, "a"], [10, "b"]]}),
        ("a tagged map of strings alone", "V-4", other, {"$map": [["a", 1], ["b", 2]]}),
        ("a tagged map without keys", "V-4", other, {"$map": []}),
        ("a tagged map with a key twice", "V-4", other, {"$map": [[1, "a"], [1, "b"]]}),
        ("a tagged map that is a map", "V-1", tag, {"$map": {"a": 1}}),
        ("an entry of three in a tagged map", "V-1", tag, {"$map": [[1, "a", 2]]}),
        ("an object without a config", "V-1", tag, {"$object": {"class": "example:A"}}),
        ("an object without a class", "V-1", tag, {"$object": {"config": {}}}),
        ("an object that is a text", "V-1", tag, {"$object": "example:A"}),
        ("an object with another field", "V-1", tag, {"$object": made | {"args": []}}),
        ("an object shared by a text", "V-1", tag, {"$object": made | {"shared": "a"}}),
        ("an object with a class of another form", "V-1 C-8", "op-form", {"$object": made | {"class": "Zeros"}}),
        ("an unknown tag deep inside", "V-1", tag, {"a": [{"$tuple": [{"b": {"$set": []}}]}]}),
    ]


def _reference_faults() -> list[tuple[str, str, str, Edit]]:
    missing = "reference-missing"
    return [
        ("a module that is not there", "V-10", missing, put({"$module": "nowhere"}, *PLACE)),
        ("an asset that is not there", "V-10", missing, put({"$asset": ASSET}, *PLACE)),
        ("a stored tensor in a config", "V-10", missing, put({"$stored": "a"}, *PLACE)),
        ("a module that is a number", "V-1", "value-tag|path-form", put({"$module": 0}, *PLACE)),
        ("a variable with an empty segment", "V-1 D-2", "value-tag|path-form", put({"$variable": "a//b"}, *PLACE)),
    ]


def _packed_faults() -> list[tuple[str, str, str, Edit]]:
    other, tag = "value-not-canonical", "value-tag"
    tensor = {"data": b"\x00", "dtype": "uint8", "shape": [1]}
    return [
        ("an integer in a tag, in MessagePack", "V-3", other, put({"$int": "9007199254740992"}, *USER)),
        ("a float in a tag, in MessagePack", "V-3", other, put({"$float": "1"}, *USER)),
        ("bytes in a tag, in MessagePack", "V-3", other, put({"$bytes": "AAEC"}, *USER)),
        (
            "a small tensor's bytes as text, in MessagePack",
            "V-3 V-1",
            f"{other}|{tag}",
            put({"$tensor": tensor | {"data": "AA=="}}, *USER),
        ),
        ("an unknown tag, in MessagePack", "V-1", tag, put({"$set": []}, *USER)),
        (
            "a small tensor with too few bytes, in MessagePack",
            "V-6",
            tag,
            put({"$tensor": tensor | {"shape": [2]}}, *USER),
        ),
        ("a tagged map that is not sorted, in MessagePack", "V-4", other, put({"$map": [[2, 0], [1, 0]]}, *USER)),
        ("an integer within 64 bits in digits, in MessagePack", "V-3", other, put({"$int": str(2**64 - 1)}, *USER)),
        ("an integer of 1,025 digits, in MessagePack", "V-8 L-2", "value-limit", put({"$int": "9" * 1025}, *USER)),
        ("a variable that is not there, in MessagePack", "V-10", "reference-missing", put({"$variable": "x"}, *USER)),
    ]


def _metadata_faults() -> list[tuple[str, str, str, Edit]]:
    return [
        ("an unknown tag in metadata", "V-1", "value-tag", put({"$set": []}, "metadata", "v")),
        ("a tag that is not needed in metadata", "V-3", "value-not-canonical", put({"$int": "5"}, "metadata", "v")),
        (
            "a variable that is not there in metadata",
            "V-10",
            "reference-missing",
            put({"$variable": "x"}, "metadata", "v"),
        ),
        (
            "an asset that is not there in metadata",
            "V-10",
            "reference-missing",
            put({"$asset": ASSET}, "metadata", "v"),
        ),
    ]


def _artifact_references(found: Area) -> None:
    """References from everywhere to everything, and what happens when their targets are others."""
    names = [{"$variable": "k"}, {"$variable": "tied"}, {"$module": "a"}, {"$module": "b/again"}, {"$asset": ASSET}]
    model = layer("model", attrs={"v": names}, modules=[layer("a"), layer("b", modules=[shared("again", "a")])])
    whole = joined(
        config(model),
        weights({"k": f32([1], 1)}, {"tied": "k"}),
        {"training": {"format": "etui-training", "options": {"v": names}, "version": "1.0"}, "tensors": {}},
        state({"user/s": f32([], 2)}, user={"v": names, "s": stored("user/s")}),
        metadata={"v": names},
        parts={ASSET: part("asset", b"a\nb\n", "text/plain")},
    )
    everything = ["config", "weights", "training", "state", "parts"]
    base = found.valid("references to variables, aliases, modules and assets", "V-10", whole, subject=everything)
    places = {CONFIG: PLACE, TRAINING: ("options", "v"), STATE: USER, MANIFEST: ("metadata", "v")}
    for document, place in places.items():
        rows: list[tuple[str, str, str, Edit]] = [
            (
                f"a variable that is not there, in {document}",
                "V-10",
                "reference-missing",
                put({"$variable": "x"}, *place, 0),
            ),
            (
                f"a module that is not there, in {document}",
                "V-10",
                "reference-missing",
                put({"$module": "a/b"}, *place, 0),
            ),
            (
                f"an asset that is not there, in {document}",
                "V-10",
                "reference-missing",
                put({"$asset": "assets/x"}, *place, 0),
            ),
        ]
        found.faults(base, document, rows, needs=everything)
    root = put({"$module": "model"}, *PLACE, 0)
    found.fault(base, CONFIG, ("the root as a module", "V-10", "reference-missing", root), needs=everything)
