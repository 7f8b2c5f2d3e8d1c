"""Trees that are no value's form: each is refused with the code of the clause that it breaks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from etui.canonical import json
from etui.canonical import values as v
from etui.errors import EtuiError, RejectError
from etui.limits import DEFAULT_LIMITS
from etui.testing import values as strategies

NAN = math.nan


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
        pytest.mark.clause("V-1@a55e7e"),
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
        pytest.mark.clause("V-2@0ac5d0"),
        "value-tag",
        *({"$a": 1, "b": 2}, {"$int": "9007199254740992", "a": 1}, {"$": 1, "$$": 2}, {"$tuple": [], "$slice": []}),
    ),
    *cases(
        pytest.mark.clause("V-3@bc68be"),
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
        pytest.mark.clause("V-4@4cc66a"),
        "value-not-canonical",
        *({"$map": []}, {"$map": [["a", 1], ["b", 2]]}, {"$map": [[2, 1], [1, 1]]}, {"$map": [[1, 1], [1, 2]]}),
        *({"$map": [[9, 1], [10, 1]]}, {"$map": [[1, 1], ["a", 1]]}, {"$map": [[None, 1], [1, 1]]}),
        *({"$map": [[[1], 1], [[1], 1]]}, {"$map": [[{"$float": "nan"}, 1], [{"$float": "nan"}, 2]]}),
        {"$map": [["\ufb33", 1], ["\U0001f600", 1], [{"$tuple": []}, 1], [0, 1]]},
    ),
    *cases(
        pytest.mark.clause("V-5@f884e0"),
        "value-tag",
        *({"$bytes": text} for text in ["A", "AA", "AA=", "AAA", "AA===", "AB==", "AAB=", "A=A=", "=", "====", "A A="]),
        *(
            {"$bytes": text}
            for text in ["AA==\n", "-_8=", "AA==AA==", "é===", " AAEC", "AAEC ", "AA\nEC", "AAECA", "\0"]
        ),
        *(tensor(data="AACAPw"), tensor(data="AACAP/==")),
    ),
    *cases(
        pytest.mark.clause("V-6@f1ccc9"),
        "value-tag",
        *(tensor(data=""), tensor(data="AACA"), tensor(data="AACAPwA="), tensor(shape=[2]), tensor(shape=[0])),
        *(tensor(dtype="complex64"), tensor(dtype="int8"), tensor(shape=[2**18])),
    ),
    *cases(
        pytest.mark.clause("V-7@1fd7aa"),
        "value-tag",
        *(tensor(dtype=dtype) for dtype in ["int4", "uint4", "string", "bytes"]),
    ),
    *cases(
        pytest.mark.clause("V-8@07939e"),
        "value-limit",
        *({"$int": "1" * 1025}, {"$int": "-" + "1" * 1025}, {"$int": "0" * 1025}, {"$int": "9" * 10**7}),
    ),
    *cases(
        pytest.mark.clause("D-7@2d9350"), "dtype-unknown", {"$dtype": "float"}, tensor(dtype="object"), {"$dtype": ""}
    ),
    *cases(
        pytest.mark.clause("D-8@918f53"),
        "bool-value",
        *(tensor(dtype="bool", data="Ag=="), tensor(dtype="bool", data="AAEC", shape=[3])),
    ),
    *cases(
        pytest.mark.clause("D-10@5e1f73"),
        "shape-form",
        *(tensor(shape=1), tensor(shape=[-1]), tensor(shape=[True]), tensor(shape={}), tensor(shape="1")),
    ),
    *cases(
        pytest.mark.clause("D-2@f37157", "D-3@4c720b"),
        "path-form",
        *({name: path} for name in ["$variable", "$module", "$stored"] for path in ["", "a//b", "/a", "..", "a#b"]),
    ),
    *cases(
        pytest.mark.clause("C-8@c54784"),
        "op-form",
        obj(**{"class": "Zeros"}),
        obj(**{"class": 1}),
        obj(**{"class": "os.system"}),
    ),
    *cases(pytest.mark.clause("C-9@2bc586"), "op-unknown", obj(**{"class": "core:zeros"})),
    *cases(
        pytest.mark.clause("L-2@76176e"),
        "value-limit",
        *(tensor(shape=[2**18 + 1]), tensor(dtype="uint8", shape=[2**20 + 1], data="A" * 2**22)),
    ),
    *cases(pytest.mark.clause("L-2@76176e"), "limit-rank", tensor(shape=[1] * 33)),
    *cases(
        pytest.mark.clause("L-2@76176e"),
        "limit-tensor",
        tensor(shape=[2**53 - 1] * 3),
        tensor(data="", shape=[0, 2**47]),
    ),
    *cases(pytest.mark.clause("L-2@76176e"), "limit-path", {"$variable": "a" * 256}),
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
        pytest.mark.clause("V-3@bc68be"),
        "value-not-canonical",
        *({"$int": "9007199254740992"}, {"$int": "18446744073709551615"}, {"$float": "1"}, {"$float": "nan"}),
        *({"$bytes": "AAEC"}, {"$stored": "a"}, {"$tuple": [{"$float": "0"}]}, {"$complex": ["1.0", "0"]}),
    ),
    *cases(
        pytest.mark.clause("V-1@a55e7e"),
        "value-tag",
        *({"$unknown": 1}, tensor(), {"$complex": [1.0, 2.0]}, {"$tuple": b""}, tensor(data=v.StoredTensor("a"))),
    ),
    *cases(pytest.mark.clause("V-2@0ac5d0"), "value-tag", {"$a": 1, "b": 1}),
    *cases(
        pytest.mark.clause("V-4@4cc66a"), "value-not-canonical", {"$map": [[2.0, 1], [1.0, 1]]}, {"$map": [["a", 1]]}
    ),
    *cases(pytest.mark.clause("V-6@f1ccc9"), "value-tag", tensor(data=b"\x00" * 3), tensor(data=b"\x00" * 5)),
    *cases(pytest.mark.clause("V-7@1fd7aa"), "value-tag", tensor(data=b"\x00", dtype="int4")),
    *cases(pytest.mark.clause("V-8@07939e"), "value-limit", {"$int": "1" * 1025}),
    *cases(pytest.mark.clause("D-8@918f53"), "bool-value", tensor(data=b"\xff", dtype="bool")),
]


@pytest.mark.parametrize(("tree", "code"), MSGPACK_CASES)
def test_other_messagepack_trees_are_refused(tree: Any, code: str) -> None:
    """What MessagePack holds without a tag is refused in one, and faults of tags as in JSON."""
    with pytest.raises(RejectError) as refusal:
        v.from_msgpack(tree, "x")
    assert refusal.value.code == code


@pytest.mark.clause("V-3@bc68be")
@pytest.mark.parametrize("tree", [1.0, NAN, 2**53, -(2**53), b"a", v.StoredTensor("a")])
def test_json_trees_hold_no_bare_values_that_need_a_tag(tree: Any) -> None:
    """A number or byte string that JSON holds in a tag alone is refused without one."""
    with pytest.raises(RejectError, match="value-not-canonical"):
        v.from_json([tree], "x")


@pytest.mark.clause("E-1@c976f4")
def test_the_place_of_a_fault_is_reported() -> None:
    """A refusal names the path from the value's own place to the fault."""
    with pytest.raises(RejectError) as refusal:
        v.from_json({"a": [0, {"$tuple": [{"$int": "5"}]}]}, "config.json at model/attrs")
    assert refusal.value.where == "config.json at model/attrs/a/1/$tuple/0"


@pytest.mark.clause("V-8@07939e")
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


@pytest.mark.clause("L-1@edac1f", "L-2@76176e", "L-3@a15eb3")
def test_small_tensors_have_up_to_a_mebibyte() -> None:
    """A tensor of 2^20 bytes is a value, and a larger one is refused when writing and when reading."""
    value = np.zeros(2**20, np.uint8)
    assert v.equal(v.from_json(v.to_json(value), "x"), value)
    with pytest.raises(EtuiError, match="value-limit"):
        v.to_msgpack(np.zeros(2**20 + 1, np.uint8))
    with pytest.raises(EtuiError, match="value-limit"):
        v.from_json(tensor(), "x", replace(DEFAULT_LIMITS, inline_tensor_bytes=3))


@pytest.mark.clause("J-8@055c86", "B-11@bf4fe0", "E-2@310409")
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


@pytest.mark.clause("E-2@310409")
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
