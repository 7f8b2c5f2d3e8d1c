"""The oracle's codecs of documents and values against SPEC.md and against those of the reference library."""

from __future__ import annotations

import json as standard
import math
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etui.canonical import json as reference_json
from etui.canonical import msgpack as reference_msgpack
from etui.canonical import values as reference_values
from etui.errors import EtuiError
from etui.testing import hostile
from etui.testing import values as strategies
from etui_conformance.oracle import errors, json, msgpack, numbers, values
from etui_conformance.oracle.msgpack import Stored

# The machine that runs the tests may be slow; what is drawn is the same each time.
STEADY = settings(derandomize=True, deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def refused(call: Callable[[], object]) -> tuple[str, str] | None:
    """Class and code with which the oracle refuses, if it does."""
    return told(errors.refusal(call))


def refused_by_reference(call: Callable[[], object]) -> tuple[str, str] | None:
    """Class and code with which the reference library refuses, if it does."""
    return told(hostile.refusal(call))


def told(found: errors.Refusal | EtuiError | None) -> tuple[str, str] | None:
    return None if found is None else (found.error_class, found.code)


def tree_of(tree: Any) -> Any:
    """A tree of the oracle's MessagePack as one of the reference library's."""
    if isinstance(tree, Stored):
        return reference_values.StoredTensor(tree.name)
    if isinstance(tree, list):
        return [tree_of(item) for item in tree]
    return {key: tree_of(item) for key, item in tree.items()} if isinstance(tree, dict) else tree


def same(first: Any, second: Any) -> bool:
    """Whether two trees are equal and of the same types, and their floats bit for bit, but for the bits of NaN."""
    if type(first) is not type(second):
        return False
    if isinstance(first, float):
        return struct.pack("<d", first) == struct.pack("<d", second) or (math.isnan(first) and math.isnan(second))
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(item, second[key]) for key, item in first.items())
    return bool(first == second)


@pytest.mark.clause("J-6@c73cf7", "J-7@920d0a")
@STEADY
@given(strategies.json_documents())
def test_json_is_that_of_the_reference(document: dict[str, Any]) -> None:
    """Both write the same bytes, and the oracle reads them as the document."""
    data = json.encode(document)
    assert data == reference_json.encode(document)
    assert same(json.decode(data), reference_json.decode(data, where=""))
    assert same(json.decode(data), document)


@pytest.mark.clause("J-1@e6c684", "J-2@ab8b71", "J-3@4f25bc", "J-4@3d514b", "J-5@7844b3", "J-6@c73cf7", "J-7@920d0a")
@STEADY
@given(st.text('{}[]":,\\01.5eE+-abnul \u00e9\ud800\U0001f600\x1f', max_size=24))
def test_json_is_refused_where_the_reference_refuses(text: str) -> None:
    """Any text that looks like JSON is read by both alike, or refused by both."""
    for data in (text.encode(errors="surrogatepass"), b'{"a":' + text.encode(errors="surrogatepass") + b"}"):
        ours = refused(lambda data=data: json.decode(data))  # type: ignore[misc]
        theirs = refused_by_reference(lambda data=data: reference_json.decode(data, where=""))  # type: ignore[misc]
        assert (ours is None) == (theirs is None)


@pytest.mark.clause("J-6@c73cf7")
@STEADY
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_from_their_text(number: float) -> None:
    """The text of a float is read as the same float, is no longer than Python's, and is the reference's."""
    text = numbers.shortest(number)
    assert float(text) == number
    assert len(text) <= max(len(repr(number)), 22)
    tagged = reference_values.to_json(number)
    assert text == (tagged["$float"] if isinstance(tagged, dict) else reference_json.encode_tree(tagged).decode()) or (
        number == 0 and tagged == {"$float": "-0"}
    )


@pytest.mark.clause("J-6@c73cf7")
def test_numbers_are_written_as_rfc_8785_shows() -> None:
    """The samples of appendix B of RFC 8785 have the texts that it gives."""
    samples = {
        0x0000000000000001: "5e-324",
        0x8000000000000001: "-5e-324",
        0x7FEFFFFFFFFFFFFF: "1.7976931348623157e+308",
        0x4340000000000000: "9007199254740992",
        0x4430000000000000: "295147905179352830000",
        0x44B52D02C7E14AF5: "9.999999999999997e+22",
        0x44B52D02C7E14AF6: "1e+23",
        0x44B52D02C7E14AF7: "1.0000000000000001e+23",
        0x444B1AE4D6E2EF4E: "999999999999999700000",
        0x444B1AE4D6E2EF4F: "999999999999999900000",
        0x444B1AE4D6E2EF50: "1e+21",
        0x3EB0C6F7A0B5ED8C: "9.999999999999997e-7",
        0x3EB0C6F7A0B5ED8D: "0.000001",
        0x41B3DE4355555553: "333333333.3333332",
        0x41B3DE4355555557: "333333333.33333343",
        0xBECBF647612F3696: "-0.0000033333333333333333",
        0x43143FF3C1CB0959: "1424953923781206.2",
    }
    for bits, text in samples.items():
        assert numbers.shortest(struct.unpack("<d", bits.to_bytes(8, "little"))[0]) == text


@pytest.mark.clause("B-2@61a878", "B-3@64d9bb", "B-4@1dffb2", "B-8@b1194e")
@STEADY
@given(strategies.msgpack_documents())
def test_msgpack_is_that_of_the_reference(document: dict[str, Any]) -> None:
    """Both write the same bytes, and read them as the same tree."""
    data = reference_msgpack.encode(document)
    tree = msgpack.decode(data)
    assert same(tree_of(tree), reference_msgpack.decode(data, where=""))
    assert msgpack.encode(tree) == data


@pytest.mark.clause(
    "B-1@ddbf33",
    "B-2@61a878",
    "B-3@64d9bb",
    "B-4@1dffb2",
    "B-5@d7165c",
    "B-6@08d283",
    "B-7@b2e0ed",
    "B-8@b1194e",
    "B-9@8eafc1",
    "B-10@2807e6",
)
@STEADY
@given(st.data())
def test_msgpack_is_refused_where_the_reference_refuses(data: st.DataObject) -> None:
    """Documents with a few bytes changed are read by both alike, or refused by both."""
    found = bytearray(reference_msgpack.encode(data.draw(strategies.msgpack_documents())))
    for _ in range(data.draw(st.integers(1, 3))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    ours = refused(lambda: msgpack.decode(bytes(found)))
    theirs = refused_by_reference(lambda: reference_msgpack.decode(bytes(found), where=""))
    assert (ours is None) == (theirs is None)


@pytest.mark.clause("B-12@f5befb", "V-2@0ac5d0", "V-3@bc68be", "V-4@4cc66a", "V-6@f1ccc9", "V-7@1fd7aa")
@STEADY
@given(strategies.values())
def test_values_are_those_of_the_reference(value: Any) -> None:
    """What the reference writes for a value, in either kind of document, the oracle takes, and gives the same view."""
    document = {"value": reference_values.to_json(value)}
    read = json.decode(reference_json.encode(document))
    values.check(read)
    assert same(read, document)
    packed = {"value": reference_values.to_msgpack(value)}
    tree = msgpack.decode(reference_msgpack.encode(packed))
    view = values.view(tree)
    values.check(view)
    assert same(view, reference_values.json_view(packed))
    assert msgpack.encode(values.from_view(view)) == reference_msgpack.encode(packed)


DEEP = b'{"a":' + b"[" * 127 + b"]" * 127 + b"}"

FAULTY_JSON = [
    ("json-encoding", b"\xef\xbb\xbf{}"),
    ("json-encoding", b'{"a":"\xff"}'),
    ("json-encoding", b'{"a":"\xc0\x80"}'),
    ("json-syntax", b""),
    ("json-syntax", b"[]"),
    ("json-syntax", b"null"),
    ("json-syntax", b'{"a":1'),
    ("json-syntax", b'{"a":1,}'),
    ("json-syntax", b'{"a":01}'),
    ("json-syntax", b'{"a":"\n"}'),
    ("json-syntax", b'{"a":"\\x"}'),
    ("json-syntax", b"{}{}"),
    ("json-duplicate-key", b'{"a":1,"a":1}'),
    ("json-duplicate-key", b'{"a":{"b":1,"b":2}}'),
    ("json-syntax", b'{"a":NaN}'),
    ("json-syntax", b'{"a":Infinity}'),
    ("json-syntax", b'{"a":-Infinity}'),
    ("json-surrogate", b'{"a":"\\ud800"}'),
    ("json-surrogate", b'{"a":"\\ude00\\ud83d"}'),
    ("json-surrogate", b'{"\\udfff":1}'),
    ("json-surrogate", b'{"a":"\xed\xa0\x80"}'),
    ("json-number", b'{"a":1.0}'),
    ("json-number", b'{"a":1e5}'),
    ("json-number", b'{"a":-0}'),
    ("json-number", b'{"a":0.10}'),
    ("json-number", b'{"a":1E-7}'),
    ("json-number", b'{"a":0.0000001}'),
    ("json-number", b'{"a":9007199254740992}'),
    ("json-number", b'{"a":-9007199254740992}'),
    ("json-number", b'{"a":' + b"9" * 5000 + b"}"),
    ("json-number", b'{"a":1e400}'),
    ("json-number", b'{"a":0.1000000000000000055}'),
    ("json-not-canonical", b'{"a": 1}'),
    ("json-not-canonical", b'{"a":1}\n'),
    ("json-not-canonical", b'{"b":1,"a":2}'),
    ("json-not-canonical", '{"\ufb33":1,"\U0001f600":2}'.encode()),
    ("json-not-canonical", b'{"a":"\\/"}'),
    ("json-not-canonical", b'{"a":"\\u0041"}'),
    ("json-not-canonical", b'{"a":"\\u001F"}'),
    ("json-not-canonical", b'{"a":"\\u000a"}'),
    ("json-not-canonical", b'{"a":"\\ud83d\\ude00"}'),
    ("json-depth", DEEP.replace(b"[]", b"[[]]")),
    ("json-depth", b'{"a":' * 100_000),
]


@pytest.mark.clause(
    "J-1@e6c684",
    "J-2@ab8b71",
    "J-3@4f25bc",
    "J-4@3d514b",
    "J-5@7844b3",
    "J-6@c73cf7",
    "J-7@920d0a",
    "J-8@055c86",
    "E-1@c976f4",
)
@pytest.mark.parametrize(("code", "data"), FAULTY_JSON, ids=range(len(FAULTY_JSON)))
def test_faulty_json_is_refused(code: str, data: bytes) -> None:
    """A document with one fault is refused with the code of its clause, by the oracle as by the reference."""
    found = refused(lambda: json.decode(data))
    assert found is not None
    assert found[1] == code
    assert found == refused_by_reference(lambda: reference_json.decode(data, where="x"))


@pytest.mark.clause("J-8@055c86")
def test_json_may_be_nested_up_to_the_limit() -> None:
    """A document of 128 levels is read, and brackets in strings do not count."""
    assert json.decode(DEEP) == standard.loads(DEEP)
    assert json.decode(b'{"a":"' + b"[" * 200 + b'"}') == {"a": "[" * 200}


@pytest.mark.clause("J-5@7844b3", "J-6@c73cf7", "J-8@055c86")
@pytest.mark.parametrize(
    ("code", "value"),
    [("json-number", 2**53), ("json-number", 1.0), ("json-number", math.nan), ("json-surrogate", "\ud800")],
)
def test_what_json_cannot_hold_is_not_written(code: str, value: Any) -> None:
    """The oracle refuses to write what it would refuse to read."""
    assert (refused(lambda: json.encode({"a": [value]})) or ("", ""))[1] == code


def nested(levels: int) -> bytes:
    """A MessagePack document of so many levels."""
    return b"\x81\xa1a" + b"\x91" * (levels - 2) + b"\x90"


def entry(value: str) -> bytes:
    """A document with one entry, whose value is given in hexadecimal digits."""
    return b"\x81\xa1a" + bytes.fromhex(value)


FAULTY_MSGPACK = [
    *[("msgpack-syntax", data) for data in (b"", b"\x90", b"\x80\x80", b"\x81\xa1a", entry("c1"), entry("a261"))],
    *[("msgpack-syntax", entry(head)) for head in ("dd0fffffff01", "df0fffffffa16101", "dbffffffff61", "c6ffffffff")],
    *[("msgpack-syntax", data) for data in (entry("c9ffffffff01"), b"\xdf\xff\xff\xff\xff", entry("cb00"))],
    *[("msgpack-not-canonical", entry(value)) for value in ("cc01", "cd00ff", "ce0000ffff", "cf00000000ffffffff")],
    *[
        ("msgpack-not-canonical", entry(value))
        for value in ("d001", "d0ff", "d1ff80", "d2ffff8000", "d3ffffffff80000000")
    ],
    *[("msgpack-not-canonical", entry(value)) for value in ("ca3fc00000", "cbfff8000000000000", "cb7ff0000000000001")],
    *[("msgpack-not-canonical", entry(value)) for value in ("d90161", "da000161", "db0000000161", "c5000161")],
    *[("msgpack-not-canonical", entry(value)) for value in ("c60000000161", "dc0001c0", "dd00000001c0", "de0000")],
    *[("msgpack-not-canonical", entry(value)) for value in ("df00000000", "c7010161", "c8000301616263")],
    ("msgpack-not-canonical", bytes.fromhex("82a16201a16102")),
    ("msgpack-not-canonical", bytes.fromhex("82a4f09f988001a3efacb302")),
    ("msgpack-encoding", entry("a1ff")),
    ("msgpack-encoding", entry("a3eda080")),
    *[("msgpack-key", bytes.fromhex(text)) for text in ("810101", "81c4016101", "81c001", "81d4016101", "819001")],
    ("msgpack-duplicate-key", bytes.fromhex("82a16101a16101")),
    *[("msgpack-extension", entry(value)) for value in ("d40261", "d6ff00000000", "d40161".replace("61", "ff"))],
    ("msgpack-depth", nested(129)),
    ("msgpack-depth", b"\x81\xa1a" + b"\x91" * 100_000),
]


@pytest.mark.clause(
    "B-1@ddbf33",
    "B-2@61a878",
    "B-3@64d9bb",
    "B-4@1dffb2",
    "B-5@d7165c",
    "B-6@08d283",
    "B-7@b2e0ed",
    "B-8@b1194e",
    "B-9@8eafc1",
    "B-10@2807e6",
    "B-11@bf4fe0",
    "E-1@c976f4",
)
@pytest.mark.parametrize(("code", "data"), FAULTY_MSGPACK, ids=range(len(FAULTY_MSGPACK)))
def test_faulty_msgpack_is_refused(code: str, data: bytes) -> None:
    """A document with one fault is refused with the code of its clause, by the oracle as by the reference."""
    found = refused(lambda: msgpack.decode(data))
    assert found is not None
    assert found[1] == code
    assert found == refused_by_reference(lambda: reference_msgpack.decode(data, where="x"))


@pytest.mark.clause("B-11@bf4fe0")
def test_msgpack_may_be_nested_up_to_the_limit() -> None:
    """A document of 128 levels is read."""
    assert msgpack.encode(msgpack.decode(nested(128))) == nested(128)


def tensor(dtype: str, shape: Any, data: str) -> dict[str, Any]:
    """A small tensor."""
    return {"$tensor": {"data": data, "dtype": dtype, "shape": shape}}


def instance(**fields: Any) -> dict[str, Any]:
    """An object of a class, with fields in place of its usual ones."""
    return {"$object": {"class": "keras:X", "config": {}, **fields}}


FAULTY_VALUES: dict[str, list[Any]] = {
    "value-tag": [
        *[
            {"$nope": 1},
            {"$": 1},
            {"$a": 1, "b": 2},
            {"a": {"$b": 1, "$c": 2}},
            {"$int": 5},
            {"$int": "x"},
            {"$int": ""},
        ],
        *[{"$float": text} for text in ("", "NaN", "+inf", "1.", " 1", "0x10", "01")],
        *[{"$bytes": text} for text in ("AAE", "AB==", "AA-_", "A\nA==", "AA==AA==", "\u00e9", 5)],
        *[{"$tuple": {}}, {"$complex": ["1"]}, {"$complex": [1, 2]}, {"$complex": ["x", "1"]}, {"$slice": [0, None]}],
        *[{"$ellipsis": False}, {"$ellipsis": 1}, {"$dtype": 5}, {"$map": {}}, {"$map": [[1]]}, {"$map": [1]}],
        *[tensor("float32", [1], "AAAA"), tensor("int4", [2], "AA=="), tensor("string", [1], "AA==")],
        *[tensor("uint8", [1], "AB=="), {"$tensor": {"data": "", "dtype": "uint8"}}, {"$tensor": 5}],
        *[instance(shared=True), instance(shared=-1), instance(residue={}), instance(more=1)],
        instance(residue={"keras": {"$tuple": []}}),
        *[{"$object": {"class": "keras:X"}}, {"$object": {"config": {}}}, {"$variable": 5}],
        *[
            {"$output": ["a"]},
            {"$output": [1, 0]},
            {"$output": ["a", -1]},
            {"$output": ["a", True]},
            {"$asset": "v.txt"},
        ],
    ],
    "value-not-canonical": [
        *[{"$int": text} for text in ("5", "-9007199254740991", "09007199254740992", "-0")],
        *[{"$float": text} for text in ("1.0", "0.5", "1e21", "1000000000000000000000", "1E+21", "-0.0", "1e400")],
        *[{"$complex": ["1.0", "0.5"]}, {"$tuple": [{"$int": "5"}]}, {"a": [{"$float": "0.5"}]}],
        *[{"$map": pairs} for pairs in ([], [["a", 1]], [[2, 1], [1, 1]], [[1, 1], [1, 2]], [[9, 1], [10, 1]])],
    ],
    "value-limit": [
        {"$int": "9" * 1025},
        {"$int": "-" + "9" * 1025},
        tensor("uint8", [(1 << 20) + 1], "A" * 1_398_104),
    ],
    "dtype-unknown": [{"$dtype": "float33"}, tensor("F32", [1], "AAAAAA==")],
    "shape-form": [tensor("float32", shape, "AAAAAA==") for shape in ([-1], [1.5], [True], None, "1")],
    "limit-rank": [tensor("uint8", [1] * 33, "AA==")],
    "limit-tensor": [tensor("uint8", [1 << 49, 0], "")],
    "bool-value": [tensor("bool", [1], "Ag==")],
    "path-form": [{"$variable": ""}, {"$variable": "a//b"}, {"$variable": "a#b"}, {"$module": "../a"}],
    "limit-path": [{"$variable": "a" * 256}, {"$variable": "/".join(["a" * 200] * 21)}],
    "op-form": [instance(**{"class": name}) for name in ("X", "K:X", "k:", ":X", "k:a b")],
}
FAULTY_VALUE_CASES = [(code, value) for code, found in FAULTY_VALUES.items() for value in found]


@pytest.mark.clause(
    "V-1@a55e7e",
    "V-2@0ac5d0",
    "V-3@bc68be",
    "V-4@4cc66a",
    "V-5@f884e0",
    "V-6@f1ccc9",
    "V-7@1fd7aa",
    "V-8@07939e",
    "D-7@2d9350",
    "D-8@918f53",
    "D-10@5e1f73",
    "L-2@76176e",
)
@pytest.mark.parametrize(("code", "value"), FAULTY_VALUE_CASES, ids=range(len(FAULTY_VALUE_CASES)))
def test_faulty_values_are_refused(code: str, value: Any) -> None:
    """A value with one fault is refused with the code of its clause, by the oracle as by the reference."""
    found = refused(lambda: values.check(value))
    assert found is not None
    assert found[1] == code
    assert found == refused_by_reference(lambda: reference_values.from_json(value, "x"))


NATIVE = [5, 1 << 53, -(1 << 63), (1 << 64) - 1, 0.5, 1.0, math.inf, b"", b"\0\1", Stored("a/b")]


@pytest.mark.clause("V-3@bc68be")
def test_msgpack_does_not_spell_out_what_it_has_a_format_for() -> None:
    """In MessagePack, the map of a tag in place of a native value is refused; beyond 64 bits there is none."""
    spelled = [{"$int": "9007199254740992"}, {"$float": "1"}, {"$bytes": "AA=="}, {"$stored": "a/b"}, {"$float": "nan"}]
    for tree in [*spelled, *[[value] for value in spelled]]:
        assert refused(lambda tree=tree: values.view(tree)) == ("invalid", "value-not-canonical")  # type: ignore[misc]
        assert refused_by_reference(
            lambda tree=tree: reference_values.from_msgpack(tree, "x")  # type: ignore[misc]
        ) == ("invalid", "value-not-canonical")
    large = {"$int": "18446744073709551616"}
    assert values.view(large) == values.from_view(large) == large
    for value in NATIVE:
        assert same(values.from_view(values.view(value)), value)


@pytest.mark.clause("V-10@c191c2", "C-13@fc15f0")
def test_references_are_found_at_any_depth() -> None:
    """The tagged values within a value are given with their places, those in keys of maps included."""
    value = {"a": [{"$map": [[{"$variable": "v"}, {"$tuple": [{"$stored": "s"}]}]]}], "$$b": {"$module": "m"}}
    found = list(values.references(value, "x.json"))
    assert [tag for _, tag, _ in found] == ["$map", "$variable", "$tuple", "$stored", "$module"]
    assert found[1] == ("x.json /a/0/$map/0/0", "$variable", "v")
    assert found[4] == ("x.json /$$b", "$module", "m")
