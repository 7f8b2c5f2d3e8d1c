"""Values in both kinds of documents: round trips, and the one form of each."""

from __future__ import annotations

import builtins
import math
import sys
from collections import OrderedDict
from itertools import pairwise
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui import dtypes
from etui.canonical import json, key_order, msgpack, tags
from etui.canonical import values as v
from etui.errors import EtuiError, RejectError, UsageError
from etui.testing import values as strategies

NAN = math.nan


@pytest.mark.clause("V-1@a55e7e", "V-2@0ac5d0", "V-3@bc68be", "V-4@4cc66a", "D-5@94980c", "D-9@84c729")
@given(strategies.values())
def test_values_come_back_from_json(value: Any) -> None:
    """A value has one JSON form, which reads back as the same types and bits."""
    data = json.encode({"v": v.to_json(value)})
    back = v.from_json(json.decode(data, where="x")["v"], "x")
    assert v.equal(back, value)
    assert json.encode({"v": v.to_json(back)}) == data


@pytest.mark.clause("V-4@4cc66a", "E-2@310409")
def test_maps_in_the_keys_of_maps_are_read_and_written_to_any_depth() -> None:
    """Work that each level of keys did twice would not end; what is read is written as it was, in both kinds."""
    tree: Any = 1
    for number in range(40):
        tree = {"$map": [[number, "x"], [tree, "y"]]}
    value = v.from_json(tree, "x")
    assert type(value) is v.MapValue
    assert v.to_json(value) == tree
    assert v.from_msgpack(v.to_msgpack(value), "x") == value
    assert v.equal(value, v.from_json(tree, "x"))


@pytest.mark.clause("V-1@a55e7e", "V-2@0ac5d0", "V-3@bc68be", "V-4@4cc66a", "D-5@94980c", "D-9@84c729")
@given(strategies.values())
def test_values_come_back_from_messagepack(value: Any) -> None:
    """A value has one MessagePack form, which reads back as the same types and bits."""
    data = msgpack.encode({"v": v.to_msgpack(value)})
    back = v.from_msgpack(msgpack.decode(data, where="x")["v"], "x")
    assert v.equal(back, value)
    assert msgpack.encode({"v": v.to_msgpack(back)}) == data


@pytest.mark.clause("B-12@f5befb")
@given(strategies.values())
def test_the_json_view_of_messagepack_is_the_json_of_the_value(value: Any) -> None:
    """Both forms of a value lead to each other without the value itself."""
    tree, view = v.to_msgpack(value), v.to_json(value)
    assert json.encode({"v": v.json_view(tree)}) == json.encode({"v": view})
    assert msgpack.encode({"v": v.from_json_view(view, "x")}) == msgpack.encode({"v": tree})


@pytest.mark.clause("B-12@f5befb")
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


@pytest.mark.clause("V-1@a55e7e", "V-2@0ac5d0", "V-3@bc68be", "V-4@4cc66a", "V-7@1fd7aa")
@pytest.mark.parametrize(("value", "in_json", "in_msgpack"), FORMS, ids=lambda form: repr(form)[:40])
def test_each_value_has_the_form_of_the_table(value: Any, in_json: Any, in_msgpack: Any) -> None:
    """Each row of the table of values is written and read as it stands there, in both kinds of documents."""
    assert v.equal(v.to_json(value), in_json)
    assert v.equal(v.from_json(in_json, "x"), value)
    assert v.equal(v.to_msgpack(value), in_msgpack)
    assert v.equal(v.from_msgpack(in_msgpack, "x"), value)


@pytest.mark.clause("V-9@19ad5e", "X-1@06793e")
def test_objects_are_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of any class is read, looked at and written without an import or a look-up of the class."""
    tree = {"$object": {"class": "custom:os>system", "config": {"args": ["echo"], "module": "antigravity"}}}
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


@pytest.mark.clause("D-9@84c729", "V-7@1fd7aa")
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


@pytest.mark.clause("V-4@4cc66a")
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


@pytest.mark.clause("V-4@4cc66a", "E-2@310409")
@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_the_keys_of_a_map_are_not_written_out_on_each_level(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The work for keys that are maps of maps grows with their size and not with their depth times their size."""
    depth, leaves = 30, 500
    key: Any = [0.5] * leaves
    for number in range(depth):
        key = {"$map": [[number, 0], [key, 0]]}
    seen = 0
    leaf = key_order._leaf

    def counted(value: Any) -> bytes:
        nonlocal seen
        seen += 1
        return leaf(value)

    monkeypatch.setattr(key_order, "_leaf", counted)
    read, write = (v.from_json, v.to_json) if kind == "json" else (v.from_msgpack, v.to_msgpack)
    assert write(read(key, "x")) == key
    assert depth < seen < 40 * depth


@pytest.mark.clause("V-4@4cc66a")
@given(st.lists(strategies.values(), min_size=2, max_size=8), st.sampled_from(["json", "msgpack"]))
def test_keys_are_ordered_as_their_canonical_bytes_are(keys: list[Any], kind: str) -> None:
    """Comparing keys piece by piece, behind equal beginnings of any length too, is comparing their JSON bytes."""
    write, view = (v.to_json, tags._as_it_is) if kind == "json" else (v.to_msgpack, tags._node_view)
    for prefix in ([], ["x" * 100]):
        longer = [[*prefix, key] for key in keys]
        ordered = sorted(longer, key=lambda key: key_order.key_order(write(key), view))
        raws = [tags.key_bytes(key) for key in ordered]
        assert raws == sorted(map(tags.key_bytes, longer))
        same = [one == two for one, two in pairwise(raws)]
        orders = [key_order.key_order(write(key), view) for key in ordered]
        assert [one == two for one, two in pairwise(orders)] == same
