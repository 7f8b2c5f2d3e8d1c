"""Values in both kinds of documents: round trips, the one form of each, and hostile content."""

from __future__ import annotations

import builtins
import math
import struct
import sys
from collections import OrderedDict
from dataclasses import replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui import dtypes
from etui.canonical import json, msgpack
from etui.canonical import values as v
from etui.errors import EtuiError, RejectError, UsageError
from etui.limits import DEFAULT_LIMITS
from etui.testing import values as strategies

NAN = math.nan


@pytest.mark.clause("V-1", "V-2", "V-3", "V-4", "D-5", "D-9")
@given(strategies.values())
def test_values_come_back_from_json(value: Any) -> None:
    """A value has one JSON form, which reads back as the same types and bits."""
    data = json.encode({"v": v.to_json(value)})
    back = v.from_json(json.decode(data, where="x")["v"], "x")
    assert v.equal(back, value)
    assert json.encode({"v": v.to_json(back)}) == data


@pytest.mark.clause("V-1", "V-2", "V-3", "V-4", "D-5", "D-9")
@given(strategies.values())
def test_values_come_back_from_messagepack(value: Any) -> None:
    """A value has one MessagePack form, which reads back as the same types and bits."""
    data = msgpack.encode({"v": v.to_msgpack(value)})
    back = v.from_msgpack(msgpack.decode(data, where="x")["v"], "x")
    assert v.equal(back, value)
    assert msgpack.encode({"v": v.to_msgpack(back)}) == data


@pytest.mark.clause("B-12")
@given(strategies.values())
def test_the_json_view_of_messagepack_is_the_json_of_the_value(value: Any) -> None:
    """Both forms of a value lead to each other without the value itself."""
    tree, view = v.to_msgpack(value), v.to_json(value)
    assert json.encode({"v": v.json_view(tree)}) == json.encode({"v": view})
    assert msgpack.encode({"v": v.from_json_view(view, "x")}) == msgpack.encode({"v": tree})


@pytest.mark.clause("B-12")
def test_the_json_view_covers_whole_documents() -> None:
    """Fields outside of values are seen as their numbers, and names that look like tags stay names."""
    tree = {"step": 2**60, "rate": 1.0, "slots": {"$stored": {"m": v.StoredTensor("a/m")}, "$tensor": {"data": 0.5}}}
    view = {
        "step": {"$int": str(2**60)},
        "rate": {"$float": "1"},
        "slots": {"$stored": {"m": {"$stored": "a/m"}}, "$tensor": {"data": 0.5}},
    }
    assert v.json_view(tree) == view
    assert v.from_json_view(view, "x") == tree
    for fault in ({"a": 1.0}, [2**53], {"$int": "5"}, {"$bytes": "="}):
        with pytest.raises(RejectError, match="value-"):
            v.from_json_view(fault, "x")


# Value, JSON form, MessagePack form; `None` in place of the last where it is the JSON form.
FORMS: list[tuple[Any, Any, Any]] = [
    (None, None, None),
    (True, True, True),
    (1, 1, 1),
    (2**53 - 1, 2**53 - 1, 2**53 - 1),
    (1 - 2**53, 1 - 2**53, 1 - 2**53),
    (2**53, {"$int": "9007199254740992"}, 2**53),
    (-(2**63), {"$int": "-9223372036854775808"}, -(2**63)),
    (2**64 - 1, {"$int": "18446744073709551615"}, 2**64 - 1),
    (2**64, {"$int": "18446744073709551616"}, {"$int": "18446744073709551616"}),
    (-(2**63) - 1, {"$int": "-9223372036854775809"}, {"$int": "-9223372036854775809"}),
    (0.5, 0.5, 0.5),
    (1.0, {"$float": "1"}, 1.0),
    (0.0, {"$float": "0"}, 0.0),
    (-0.0, {"$float": "-0"}, -0.0),
    (1e21, {"$float": "1e+21"}, 1e21),
    (1e20, {"$float": "100000000000000000000"}, 1e20),
    (NAN, {"$float": "nan"}, NAN),
    (math.inf, {"$float": "inf"}, math.inf),
    (-math.inf, {"$float": "-inf"}, -math.inf),
    (b"\x00\x01\x02", {"$bytes": "AAEC"}, b"\x00\x01\x02"),
    ((1, 2), {"$tuple": [1, 2]}, {"$tuple": [1, 2]}),
    ((1.0,), {"$tuple": [{"$float": "1"}]}, {"$tuple": [1.0]}),
    (1 + 0.5j, {"$complex": ["1", "0.5"]}, {"$complex": ["1", "0.5"]}),
    (complex(-0.0, NAN), {"$complex": ["-0", "nan"]}, {"$complex": ["-0", "nan"]}),
    (slice(0, None, 2), {"$slice": [0, None, 2]}, {"$slice": [0, None, 2]}),
    (..., {"$ellipsis": True}, {"$ellipsis": True}),
    (v.DtypeName("float32"), {"$dtype": "float32"}, {"$dtype": "float32"}),
    (
        np.array([1], np.float32),
        {"$tensor": {"data": "AACAPw==", "dtype": "float32", "shape": [1]}},
        {"$tensor": {"data": b"\x00\x00\x80\x3f", "dtype": "float32", "shape": [1]}},
    ),
    ({1: "a", 2: "b"}, {"$map": [[1, "a"], [2, "b"]]}, {"$map": [[1, "a"], [2, "b"]]}),
    ({"b": 1, 10: 2, 9: 3}, {"$map": [["b", 1], [10, 2], [9, 3]]}, {"$map": [["b", 1], [10, 2], [9, 3]]}),
    ({1.0: 2.0}, {"$map": [[{"$float": "1"}, {"$float": "2"}]]}, {"$map": [[1.0, 2.0]]}),
    ({"$a": 1, "$$b": 2, "c$": 3}, {"$$a": 1, "$$$b": 2, "c$": 3}, {"$$a": 1, "$$$b": 2, "c$": 3}),
    ({"$int": "5"}, {"$$int": "5"}, {"$$int": "5"}),
    (
        v.ObjectValue("keras:Zeros", {}, 3, {"keras": {"module": "keras"}}),
        {"$object": {"class": "keras:Zeros", "config": {}, "residue": {"keras": {"module": "keras"}}, "shared": 3}},
        {"$object": {"class": "keras:Zeros", "config": {}, "residue": {"keras": {"module": "keras"}}, "shared": 3}},
    ),
    (v.VariableRef("dense/kernel"), {"$variable": "dense/kernel"}, {"$variable": "dense/kernel"}),
    (v.ModuleRef("encoder/dense"), {"$module": "encoder/dense"}, {"$module": "encoder/dense"}),
    (v.OutputRef("dense", 0), {"$output": ["dense", 0]}, {"$output": ["dense", 0]}),
    (v.AssetRef("assets/a.txt"), {"$asset": "assets/a.txt"}, {"$asset": "assets/a.txt"}),
    (v.StoredTensor("dense/kernel/m"), {"$stored": "dense/kernel/m"}, v.StoredTensor("dense/kernel/m")),
]


@pytest.mark.clause("V-1", "V-2", "V-3", "V-4", "V-7")
@pytest.mark.parametrize(("value", "in_json", "in_msgpack"), FORMS, ids=lambda form: repr(form)[:40])
def test_each_value_has_the_form_of_the_table(value: Any, in_json: Any, in_msgpack: Any) -> None:
    """Each row of the table of values is written and read as it stands there, in both kinds of documents."""
    assert v.equal(v.to_json(value), in_json)
    assert v.equal(v.from_json(in_json, "x"), value)
    assert v.equal(v.to_msgpack(value), in_msgpack)
    assert v.equal(v.from_msgpack(in_msgpack, "x"), value)


def cases(mark: pytest.MarkDecorator, code: str, *trees: Any) -> list[Any]:
    """Parameters of one clause: trees that its code refuses."""
    return [pytest.param(tree, code, marks=mark, id=f"{code}-{str(tree)[:32]}") for tree in trees]


def tensor(**changes: Any) -> dict[str, Any]:
    """A small tensor in JSON with some fields changed; `None` leaves one out."""
    fields = {"data": "AACAPw==", "dtype": "float32", "shape": [1], **changes}
    return {"$tensor": {name: item for name, item in fields.items() if item is not None}}


def obj(**changes: Any) -> dict[str, Any]:
    """An object with some fields changed."""
    return {"$object": {"class": "keras:Zeros", "config": {}, **changes}}


CASES = [
    *cases(
        pytest.mark.clause("V-1"),
        "value-tag",
        *({"$": 1}, {"$unknown": 1}, {"$Int": "9007199254740992"}, {"$int ": "1"}, {"$set": []}, [{"$list": []}]),
        *(
            {"$int": 5},
            {"$int": ""},
            {"$int": "1.5"},
            {"$int": "1e5"},
            {"$int": "0x1"},
            {"$int": " 1"},
            {"$int": "1_0"},
        ),
        *({"$int": "+9007199254740992"}, {"$int": "9007199254740992\n"}, {"$int": "٩007199254740992"}, {"$int": None}),
        *({"$float": 1}, {"$float": "NaN"}, {"$float": "Infinity"}, {"$float": "+1"}, {"$float": "1."}, {"$float": ""}),
        *({"$float": "infinity"}, {"$float": "1\n"}, {"$float": "-nan"}, {"$float": "٣"}, {"$float": "0x1p3"}),
        *({"$bytes": 1}, {"$bytes": ["AA=="]}, {"$tuple": {}}, {"$tuple": 1}, {"$tuple": "ab"}, {"$complex": ["1"]}),
        *({"$complex": [1, 2]}, {"$complex": ["1", "2", "3"]}, {"$complex": "1+2j"}, {"$complex": ["1", "i"]}),
        *({"$slice": [0, 1]}, {"$slice": [0, 1, 2, 3]}, {"$slice": {}}, {"$ellipsis": False}, {"$ellipsis": 1}),
        *({"$ellipsis": None}, {"$dtype": 1}, {"$dtype": None}, {"$tensor": []}, tensor(data=None), tensor(shape=None)),
        *(
            tensor(dtype=None),
            tensor(more=1),
            tensor(data=1),
            tensor(dtype=1),
            {"$map": {}},
            {"$map": 1},
            {"$map": [1]},
        ),
        *({"$map": [[1]]}, {"$map": [[1, 2, 3]]}, {"$map": [{"1": 2}]}, {"$object": []}, {"$object": {"class": "a:b"}}),
        *(
            {"$object": {"config": {}}},
            obj(more=1),
            obj(shared=-1),
            obj(shared=True),
            obj(shared="1"),
            obj(shared=None),
        ),
        *(obj(residue={}), obj(residue=[]), obj(residue={"Keras": {}}), obj(residue={"keras": 1}), obj(residue=None)),
        *({"$variable": 1}, {"$variable": None}, {"$module": ["a"]}, {"$output": "a"}, {"$output": ["a"]}),
        *({"$output": ["a", -1]}, {"$output": ["a", True]}, {"$output": [0, 0]}, {"$output": ["a", 0, 0]}),
        *({"$asset": 1}, {"$asset": "vocabulary.txt"}, {"$asset": "/assets/a"}, {"$stored": 1}, {"$stored": None}),
        *([{"a": [{"$tuple": [{"$x": 1}]}]}], obj(config={"a": {"$x": 1}})),
    ),
    *cases(
        pytest.mark.clause("V-2"),
        "value-tag",
        *({"$a": 1, "b": 2}, {"$int": "9007199254740992", "a": 1}, {"$": 1, "$$": 2}, {"$tuple": [], "$slice": []}),
    ),
    *cases(
        pytest.mark.clause("V-3"),
        "value-not-canonical",
        *({"$int": "5"}, {"$int": "0"}, {"$int": "-0"}, {"$int": "9007199254740991"}, {"$int": "09007199254740992"}),
        *({"$int": "-9007199254740991"}, {"$int": "000"}, {"$float": "0.5"}, {"$float": "1e-7"}, {"$float": "1.0"}),
        *({"$float": "1e2"}, {"$float": "1E+21"}, {"$float": "1e21"}, {"$float": "-0.0"}, {"$float": "1e400"}),
        *({"$float": "1000000000000000000000"}, {"$float": "123456789012345678901234567890"}, {"$float": "0.1e1"}),
        *(
            {"$float": "9007199254740993"},
            {"$complex": ["1.0", "0"]},
            {"$complex": ["0", "0.50"]},
            {"$map": [["a", 1]]},
        ),
        *({"$float": "1" * 10**6}, {"$complex": ["0", "1e-7" + "0" * 10**6]}),
    ),
    *cases(
        pytest.mark.clause("V-4"),
        "value-not-canonical",
        *({"$map": []}, {"$map": [["a", 1], ["b", 2]]}, {"$map": [[2, 1], [1, 1]]}, {"$map": [[1, 1], [1, 2]]}),
        *({"$map": [[9, 1], [10, 1]]}, {"$map": [[1, 1], ["a", 1]]}, {"$map": [[None, 1], [1, 1]]}),
        *({"$map": [[[1], 1], [[1], 1]]}, {"$map": [[{"$float": "nan"}, 1], [{"$float": "nan"}, 2]]}),
        {"$map": [["\ufb33", 1], ["\U0001f600", 1], [{"$tuple": []}, 1], [0, 1]]},
    ),
    *cases(
        pytest.mark.clause("V-5"),
        "value-tag",
        *({"$bytes": text} for text in ["A", "AA", "AA=", "AAA", "AA===", "AB==", "AAB=", "A=A=", "=", "====", "A A="]),
        *(
            {"$bytes": text}
            for text in ["AA==\n", "-_8=", "AA==AA==", "é===", " AAEC", "AAEC ", "AA\nEC", "AAECA", "\0"]
        ),
        *(tensor(data="AACAPw"), tensor(data="AACAP/==")),
    ),
    *cases(
        pytest.mark.clause("V-6"),
        "value-tag",
        *(tensor(data=""), tensor(data="AACA"), tensor(data="AACAPwA="), tensor(shape=[2]), tensor(shape=[0])),
        *(tensor(dtype="complex64"), tensor(dtype="int8"), tensor(shape=[2**18])),
    ),
    *cases(
        pytest.mark.clause("V-7"),
        "value-tag",
        *(tensor(dtype=dtype) for dtype in ["int4", "uint4", "string", "bytes"]),
    ),
    *cases(
        pytest.mark.clause("V-8"),
        "value-limit",
        *({"$int": "1" * 1025}, {"$int": "-" + "1" * 1025}, {"$int": "0" * 1025}, {"$int": "9" * 10**7}),
    ),
    *cases(pytest.mark.clause("D-7"), "dtype-unknown", {"$dtype": "float"}, tensor(dtype="object"), {"$dtype": ""}),
    *cases(
        pytest.mark.clause("D-8"),
        "bool-value",
        *(tensor(dtype="bool", data="Ag=="), tensor(dtype="bool", data="AAEC", shape=[3])),
    ),
    *cases(
        pytest.mark.clause("D-10"),
        "shape-form",
        *(tensor(shape=1), tensor(shape=[-1]), tensor(shape=[True]), tensor(shape={}), tensor(shape="1")),
    ),
    *cases(
        pytest.mark.clause("D-2", "D-3"),
        "path-form",
        *({name: path} for name in ["$variable", "$module", "$stored"] for path in ["", "a//b", "/a", "..", "a#b"]),
    ),
    *cases(
        pytest.mark.clause("C-8"),
        "op-form",
        obj(**{"class": "Zeros"}),
        obj(**{"class": 1}),
        obj(**{"class": "os.system"}),
    ),
    *cases(pytest.mark.clause("C-9"), "op-unknown", obj(**{"class": "core:zeros"})),
    *cases(
        pytest.mark.clause("L-2"),
        "value-limit",
        *(tensor(shape=[2**18 + 1]), tensor(dtype="uint8", shape=[2**20 + 1], data="A" * 2**22)),
    ),
    *cases(pytest.mark.clause("L-2"), "limit-rank", tensor(shape=[1] * 33)),
    *cases(pytest.mark.clause("L-2"), "limit-tensor", tensor(shape=[2**53 - 1] * 3), tensor(data="", shape=[0, 2**47])),
    *cases(pytest.mark.clause("L-2"), "limit-path", {"$variable": "a" * 256}),
]


@pytest.mark.parametrize(("tree", "code"), CASES)
def test_other_json_trees_are_refused(tree: Any, code: str) -> None:
    """A tree that breaks one clause is refused with that clause's code, also deep inside of others."""
    for holder in (tree, [1, {"a": tree}], {"$tuple": [tree]}, {"$map": [[tree, 1]]}):
        with pytest.raises(RejectError) as refusal:
            v.from_json(holder, "config.json at model/attrs")
        assert refusal.value.code == code
        assert refusal.value.where.startswith("config.json at model/attrs")
        assert len(str(refusal.value)) < 600


MSGPACK_CASES = [
    *cases(
        pytest.mark.clause("V-3"),
        "value-not-canonical",
        *({"$int": "9007199254740992"}, {"$int": "18446744073709551615"}, {"$float": "1"}, {"$float": "nan"}),
        *({"$bytes": "AAEC"}, {"$stored": "a"}, {"$tuple": [{"$float": "0"}]}, {"$complex": ["1.0", "0"]}),
    ),
    *cases(
        pytest.mark.clause("V-1"),
        "value-tag",
        *({"$unknown": 1}, tensor(), {"$complex": [1.0, 2.0]}, {"$tuple": b""}, tensor(data=v.StoredTensor("a"))),
    ),
    *cases(pytest.mark.clause("V-2"), "value-tag", {"$a": 1, "b": 1}),
    *cases(pytest.mark.clause("V-4"), "value-not-canonical", {"$map": [[2.0, 1], [1.0, 1]]}, {"$map": [["a", 1]]}),
    *cases(pytest.mark.clause("V-6"), "value-tag", tensor(data=b"\x00" * 3), tensor(data=b"\x00" * 5)),
    *cases(pytest.mark.clause("V-7"), "value-tag", tensor(data=b"\x00", dtype="int4")),
    *cases(pytest.mark.clause("V-8"), "value-limit", {"$int": "1" * 1025}),
    *cases(pytest.mark.clause("D-8"), "bool-value", tensor(data=b"\xff", dtype="bool")),
]


@pytest.mark.parametrize(("tree", "code"), MSGPACK_CASES)
def test_other_messagepack_trees_are_refused(tree: Any, code: str) -> None:
    """What MessagePack holds without a tag is refused in one, and faults of tags as in JSON."""
    with pytest.raises(RejectError) as refusal:
        v.from_msgpack(tree, "x")
    assert refusal.value.code == code


@pytest.mark.clause("V-3")
@pytest.mark.parametrize("tree", [1.0, NAN, 2**53, -(2**53), b"a", v.StoredTensor("a")])
def test_json_trees_hold_no_bare_values_that_need_a_tag(tree: Any) -> None:
    """A number or byte string that JSON holds in a tag alone is refused without one."""
    with pytest.raises(RejectError, match="value-not-canonical"):
        v.from_json([tree], "x")


@pytest.mark.clause("E-1")
def test_the_place_of_a_fault_is_reported() -> None:
    """A refusal names the path from the value's own place to the fault."""
    with pytest.raises(RejectError) as refusal:
        v.from_json({"a": [0, {"$tuple": [{"$int": "5"}]}]}, "config.json at model/attrs")
    assert refusal.value.where == "config.json at model/attrs/a/1/$tuple/0"


@pytest.mark.clause("V-8")
def test_integers_have_up_to_1024_digits() -> None:
    """Integers of as many digits as the limit are read and written, and longer ones refused before conversion."""
    largest = 10**1024 - 1
    for value in (largest, -largest):
        assert v.from_json(v.to_json(value), "x") == value
        assert v.from_msgpack(v.to_msgpack(value), "x") == value
    for value in (largest + 1, -largest - 1, 1 << 10**7):
        with pytest.raises(EtuiError, match="value-limit"):
            v.to_json(value)
    with pytest.raises(EtuiError, match="value-limit"):
        v.from_json({"$int": "12345678901234567"}, "x", replace(DEFAULT_LIMITS, integer_digits=16))


@pytest.mark.clause("L-1", "L-2", "L-3")
def test_small_tensors_have_up_to_a_mebibyte() -> None:
    """A tensor of 2^20 bytes is a value, and a larger one is refused when writing and when reading."""
    value = np.zeros(2**20, np.uint8)
    assert v.equal(v.from_json(v.to_json(value), "x"), value)
    with pytest.raises(EtuiError, match="value-limit"):
        v.to_msgpack(np.zeros(2**20 + 1, np.uint8))
    with pytest.raises(EtuiError, match="value-limit"):
        v.from_json(tensor(), "x", replace(DEFAULT_LIMITS, inline_tensor_bytes=3))


@pytest.mark.clause("J-8", "B-11", "E-2")
def test_values_beyond_the_depth_of_documents_are_refused() -> None:
    """Neither deep nor cyclic values and trees exhaust the stack."""
    deep: Any = 0
    for _ in range(10**4):
        deep = [deep]
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for value in (deep, cyclic, {"a": (deep,)}):
        with pytest.raises(EtuiError, match="json-depth"):
            v.to_json(value)
        with pytest.raises(EtuiError, match="msgpack-depth"):
            v.to_msgpack(value)
        with pytest.raises(EtuiError, match="json-depth"):
            list(v.references(value))
    for tree in (deep, cyclic):
        with pytest.raises(EtuiError, match="json-depth"):
            v.from_json(tree, "x")
        with pytest.raises(EtuiError, match="msgpack-depth"):
            v.from_msgpack(tree, "x")


@pytest.mark.clause("V-9", "X-1")
def test_objects_are_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of any class is read, looked at and written without an import or a look-up of the class."""
    tree = obj(**{"class": "custom:os>system", "config": {"args": ["echo"], "module": "antigravity"}})
    v.from_json(tree, "x")  # whatever the library itself imports late is now there

    def refuse(name: str, *_: Any, **__: Any) -> None:
        raise AssertionError(f"import of {name}")

    before = set(sys.modules)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", refuse)
        value = v.from_json(tree, "x")
        written = v.to_json(value)
        found = list(v.references(value))
    assert value == v.ObjectValue("custom:os>system", {"args": ["echo"], "module": "antigravity"})
    assert (written, found) == (tree, [])
    assert set(sys.modules) == before


@pytest.mark.clause("D-9", "V-7")
@pytest.mark.parametrize(
    "array",
    [
        np.array([0x7F800001, 0xFFC00001, 0x80000000, 1], "<u4").view("<f4"),
        np.array([[1, 2, 3], [4, 5, 6]], ">i2").T,
        np.arange(24).reshape(2, 3, 4)[:, ::2, ::-1],
        np.array([complex(-0.0, NAN)], ">c8"),
        np.array([0x7F81, 0x8000, 1], "<u2").view(ml_dtypes.bfloat16),
        np.array([], bool).reshape(3, 0),
        np.array(7, ">u8"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_any_layout_keep_their_elements(array: np.ndarray[Any, Any]) -> None:
    """A strided, transposed or big-endian array is stored in row-major little-endian order with every bit."""
    back = v.from_json(v.to_json(array), "x")
    little = array.astype(dtypes.of_array(array).numpy)
    assert (back.dtype, back.shape, back.tobytes()) == (little.dtype, little.shape, little.tobytes())
    assert not back.flags.writeable


class Text(str):
    """A string of a class of its own."""

    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.library
@pytest.mark.parametrize(
    "value",
    [
        *(np.float64(0.5), np.float32(1), np.int64(1), np.bool_(True), np.str_("a"), Text("a"), Point(1, 2), {1}),
        *(
            bytearray(b"a"),
            OrderedDict(a=1),
            range(3),
            object(),
            int,
            np.array([1, 2], ml_dtypes.int4),
            memoryview(b"a"),
        ),
        *(v.MapValue((("a", 1),)), v.MapValue(((1, 1), (1, 2))), v.MapValue(())),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_no_values(value: Any) -> None:
    """What would come back as another type is refused when writing, with the place and the type."""
    for write in (v.to_json, v.to_msgpack):
        with pytest.raises(UsageError, match="value-type") as refusal:
            write({"a": [value]})
        assert refusal.value.where.startswith("a/0")


@pytest.mark.library
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (np.array(["a"]), "dtype-unknown"),
        (np.array([None]), "dtype-unknown"),
        (np.array([2], np.uint8).view(bool), "bool-value"),
        (v.DtypeName("float"), "dtype-unknown"),
        (v.VariableRef("a//b"), "path-form"),
        (v.ModuleRef(""), "path-form"),
        (v.ObjectValue("Zeros", {}), "op-form"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_faulty_names_and_arrays_are_not_written(value: Any, code: str) -> None:
    """What a reader would refuse is refused when writing."""
    with pytest.raises(EtuiError) as refusal:
        v.to_json(value)
    assert refusal.value.code == code


@pytest.mark.clause("V-4")
def test_maps_that_no_dict_can_hold_come_back() -> None:
    """Keys that Python takes as equal, or cannot hash, stay apart."""
    trees: list[dict[str, list[Any]]] = [
        {"$map": [[1, "int"], [True, "bool"], [{"$float": "1"}, "float"]]},
        {"$map": [[[1, 2], "list"], [{"a": 1}, "dict"]]},
        {"$map": [[{"$float": "-0"}, 1], [{"$float": "0"}, 2]]},
    ]
    for tree in trees:
        tree["$map"].sort(key=lambda pair: json.encode_tree(pair[0]))
        value = v.from_json(tree, "x")
        assert type(value) is v.MapValue
        assert v.to_json(value) == tree
        assert v.equal(v.MapValue(value.pairs[::-1]), value)


# Looking at values

DIFFERENT: list[Any] = [
    *(None, False, True, 0, 1, 0.0, -0.0, 1.0, NAN, math.inf, "", "1", b"", b"1", [], (), {}, [1], (1,), [1.0], [True]),
    *(
        {"a": 1},
        {"a": 1.0},
        {"a": True},
        {"b": 1},
        {"a": 1, "b": 2},
        {1: 1},
        {1.0: 1},
        {True: 1},
        {(1,): 1},
        {(True,): 1},
    ),
    *(0j, complex(0.0, -0.0), complex(NAN, 0), slice(1), slice(1.0), slice(None), ..., v.DtypeName("int8")),
    *(np.zeros(1), np.zeros((1, 1)), np.zeros(0), -np.zeros(1), np.zeros(1, np.float32), np.zeros(1, np.int64)),
    *(v.VariableRef("a"), v.ModuleRef("a"), v.StoredTensor("a"), v.OutputRef("a", 0), v.OutputRef("a", 1)),
    *(
        v.ObjectValue("a:b", 1),
        v.ObjectValue("a:b", 1.0),
        v.ObjectValue("a:b", 1, 0),
        v.ObjectValue("a:b", 1, 0, {"k": {}}),
    ),
    *(v.MapValue(((1, 1), (True, 1))), v.MapValue(((1, 1), (1.0, 1))), v.MapValue((([1], 1),))),
]


@pytest.mark.library
def test_values_are_equal_to_the_type_and_the_bit() -> None:
    """No two of many similar values are equal, and each is equal to itself."""
    assert len(DIFFERENT) > 50
    for row, first in enumerate(DIFFERENT):
        for column, second in enumerate(DIFFERENT):
            assert v.equal(first, second) == (row == column), (first, second)


@pytest.mark.library
@given(st.integers(1, 2**52 - 1))
def test_nan_is_equal_to_nan(payload: int) -> None:
    """Floats that are NaN are one value, and arrays with other NaN bits are not."""
    (other,) = struct.unpack("<d", (payload | 0x7FF << 52).to_bytes(8, "little"))
    assert v.equal([other], [NAN])
    assert v.equal(np.array([NAN]), np.array([other])) == (struct.pack("<d", other) == struct.pack("<d", NAN))


@pytest.mark.library
@given(strategies.values())
def test_a_value_equals_its_copy(value: Any) -> None:
    """Equality does not hang on identity or on the order of the entries of a map."""
    copy = v.from_msgpack(v.to_msgpack(value), "x")
    assert v.equal(copy, value)
    assert v.equal(value, copy)
    assert not v.equal([value], [value, value])


@pytest.mark.library
def test_references_are_found_wherever_they_stand() -> None:
    """References in keys and items of maps, tuples, slices, objects and residues are found, in order."""
    expected: list[v.Reference] = [
        *(v.VariableRef("a"), v.ModuleRef("b"), v.OutputRef("c", 0), v.AssetRef("assets/d"), v.StoredTensor("e")),
        *(v.VariableRef("f"), v.VariableRef("g"), v.VariableRef("h"), v.VariableRef("i"), v.VariableRef("j")),
    ]
    a, b, c, d, e, f, g, h, i, j = expected
    residue = {"keras": {"x": j}}
    value = [
        a,
        (b,),
        {c: d},
        {"k": [e]},
        slice(None, f),
        v.MapValue(((g, 1), ([h], 2))),
        v.ObjectValue("a:b", i, None, residue),
    ]
    assert list(v.references(value)) == expected
    assert list(v.references(["$variable", {"$variable": "a"}, np.zeros(2), 1.0])) == []


@pytest.mark.clause("E-2")
@given(strategies.json_documents(), strategies.values())
def test_any_tree_is_refused_or_the_form_of_a_value(tree: dict[str, Any], value: Any) -> None:
    """A tree of any content under any tag is refused with a code, or is the one form of a value."""
    names = [
        "$int",
        "$float",
        "$bytes",
        "$tuple",
        "$complex",
        "$slice",
        "$dtype",
        "$tensor",
        "$map",
        "$object",
        "$output",
    ]
    contents = [tree, list(tree.values()), v.to_json(value), *tree.values()]
    checked = 0
    for name in names:
        for content in contents:
            candidate = {name: content}
            try:
                back = v.from_json(candidate, "x")
            except RejectError:
                checked += 1
                continue
            assert json.encode_tree(v.to_json(back)) == json.encode_tree(candidate)
            checked += 1
    assert checked == len(names) * len(contents)
