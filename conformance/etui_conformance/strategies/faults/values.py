"""Faults of values (chapter 5), in any document that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle import msgpack
from etui_conformance.strategies.drafts import Draft
from etui_conformance.strategies.faults.base import CONFIG, Host, in_draft
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.faults.hosts import KERNEL

_ANY = Host()
_PACKED = Host(("state",))
_WITH_WEIGHTS = Host(("config", "weights"))
_LONG = "1" + "0" * 1024
_TENSOR = {"data": "AACAPw==", "dtype": "float32", "shape": [1]}
_OBJECT = {"class": "keras:Zeros", "config": {}}

Put = Callable[[st.DrawFn, Draft], None]


def put(draw: st.DrawFn, draft: Draft, value: Any) -> None:
    """Put a value, in its JSON form, into one of the documents in JSON or into the manifest."""
    places = [name for name in ("config.json", "training.json") if name in draft.documents]
    place = draw(st.sampled_from([*places, "manifest.json"]))
    if place == "config.json":
        draft.documents[place]["model"]["modules"][-1]["attrs"]["value"] = value
    elif place == "training.json":
        draft.documents[place]["options"]["host"] = {"value": value}
    else:
        draft.manifest.setdefault("metadata", {})["host"] = value


def put_packed(draw: st.DrawFn, draft: Draft, value: Any) -> None:
    """Put a value, in its MessagePack form, into one of the documents in MessagePack."""
    places = [name for name in ("state.msgpack", "optimizer.msgpack") if name in draft.documents]
    if draw(st.sampled_from(places)) == "state.msgpack":
        draft.documents["state.msgpack"]["user"]["host"] = {"value": value}
    else:
        draft.documents["optimizer.msgpack"]["optimizers"]["host"]["hyperparameters"]["value"] = value


def _table(clauses: str, codes: str, name: str, *values: Any, host: Host = _ANY) -> None:
    """Declare a fault that puts one of some values where a value belongs, bare or within another."""

    def change(draw: st.DrawFn, draft: Draft) -> None:
        value = pick(draw, *values)
        put(draw, draft, draw(st.sampled_from([value, [value], {"$tuple": [1, value]}, {"a": value}])))

    in_draft(clauses, codes, name, host)(change)


def _packed_table(clauses: str, codes: str, name: str, *values: Any) -> None:
    """The same in MessagePack."""

    def change(draw: st.DrawFn, draft: Draft) -> None:
        value = pick(draw, *values)
        put_packed(draw, draft, draw(st.sampled_from([value, [value], {"a": value}])))

    in_draft(clauses, codes, name, _PACKED)(change)


_table("V-1", "value-tag", "unknown tag", {"$float32": "1"}, {"$": 1}, {"$ref": "#"}, {"$set": []}, {"$Tuple": []})
_table(
    "V-1", "value-tag", "integer that is no text of digits", {"$int": 5}, {"$int": ""}, {"$int": "1e20"}, {"$int": None}
)
_table(
    "V-1",
    "value-tag",
    "float that is no text of one",
    {"$float": 1},
    {"$float": ""},
    {"$float": "one"},
    {"$float": None},
)
_table("V-1", "value-tag", "bytes that are no text", {"$bytes": [0]}, {"$bytes": 0}, {"$bytes": None})
_table("V-1", "value-tag", "tuple that is no list", {"$tuple": {}}, {"$tuple": 1}, {"$tuple": "ab"})
_table("V-1", "value-tag", "complex without two texts", {"$complex": ["1"]}, {"$complex": [1, 2]}, {"$complex": "1"})
_table("V-1", "value-tag", "slice without three values", {"$slice": [0, 1]}, {"$slice": {}}, {"$slice": [1, 2, 3, 4]})
_table("V-1", "value-tag", "ellipsis that is not true", {"$ellipsis": False}, {"$ellipsis": 1}, {"$ellipsis": None})
_table(
    "V-1",
    "value-tag",
    "map that is no list of pairs",
    {"$map": [[1]]},
    {"$map": {}},
    {"$map": [1]},
    {"$map": [[1, 2, 3]]},
)
_table(
    "V-1",
    "value-tag",
    "object of another form",
    {"$object": {"class": "keras:Zeros"}},
    {"$object": {"config": {}}},
    {"$object": []},
    {"$object": {**_OBJECT, "more": 1}},
    {"$object": {**_OBJECT, "shared": "1"}},
)
_table(
    "V-1",
    "value-tag",
    "tensor of another form",
    {"$tensor": {"data": "", "dtype": "float32"}},
    {"$tensor": []},
    {"$tensor": {**_TENSOR, "more": 1}},
    {"$tensor": {**_TENSOR, "data": 1}},
)
_table(
    "V-1 V-10",
    "value-tag",
    "asset that is another part",
    {"$asset": "config.json"},
    {"$asset": "weights.json"},
    {"$asset": "programs/host/main"},
    {"$asset": "vocabulary.txt"},
)
_table("V-1", "value-tag", "reference that is no text", {"$module": 1}, {"$asset": None}, {"$variable": ["a"]})
_table(
    "V-2",
    "value-tag",
    "key that lacks its second sign",
    {"$a": 1, "b": 2},
    {"$float": "1", "$int": "2"},
    {"b": 0, "$": 1},
)
_table("D-7", "dtype-unknown", "dtype value that is none", {"$dtype": "float33"}, {"$dtype": ""}, {"$dtype": "F32"})
_table("D-7", "dtype-unknown", "small tensor of no dtype", {"$tensor": {**_TENSOR, "dtype": "float"}})
_table(
    "D-10",
    "shape-form",
    "small tensor of no shape",
    {"$tensor": {**_TENSOR, "shape": [-1]}},
    {"$tensor": {**_TENSOR, "shape": 1}},
)
_table(
    "V-3",
    "value-not-canonical",
    "integer that a number holds",
    {"$int": "5"},
    {"$int": "-0"},
    {"$int": "9007199254740991"},
    {"$int": "-9007199254740991"},
)
_table(
    "V-3",
    "value-not-canonical",
    "integer with zeros in front",
    {"$int": "09007199254740992"},
    {"$int": "-009007199254740992"},
)
_table(
    "V-3", "value-not-canonical", "float that a number holds", {"$float": "0.5"}, {"$float": "1e-7"}, {"$float": "-2.5"}
)
_table(
    "V-3",
    "value-not-canonical",
    "float in another form than the shortest",
    {"$float": "1.0"},
    {"$float": "1e3"},
    {"$float": "1E+21"},
    {"$float": "100e+19"},
    {"$float": "1000000000000000000000"},
    {"$float": "-0.0"},
)
_table(
    "V-3",
    "value-not-canonical",
    "complex in another form than the shortest",
    {"$complex": ["1.0", "0"]},
    {"$complex": ["0.50", "1"]},
)
_table(
    "V-4",
    "value-not-canonical",
    "map whose keys are all strings",
    {"$map": [["a", 1]]},
    {"$map": []},
    {"$map": [["a", 1], ["b", 2]]},
)
_table(
    "V-4",
    "value-not-canonical",
    "map whose keys are not sorted",
    {"$map": [[2, "b"], [1, "a"]]},
    {"$map": [[1, 0], ["a", 0]]},
    {"$map": [[9, 0], [10, 0]]},
    {"$map": [[None, 0], [False, 0]]},
)
_table(
    "V-4",
    "value-not-canonical",
    "map with a key twice",
    {"$map": [[1, "a"], [1, "b"]]},
    {"$map": [[None, 0], [None, 0]]},
)
_table(
    "V-5",
    "value-tag",
    "base64 without padding",
    {"$bytes": "AAE"},
    {"$bytes": "AA="},
    {"$bytes": "AA"},
    {"$bytes": "AAEC="},
)
_table(
    "V-5",
    "value-tag",
    "base64 of another alphabet",
    {"$bytes": "_-8="},
    {"$bytes": "AA\n=="},
    {"$bytes": "A A="},
    {"$bytes": "é==="},
)
_table("V-5", "value-tag", "base64 with spare bits", {"$bytes": "AB=="}, {"$bytes": "AAF="}, {"$bytes": "//=="})
_table("V-5", "value-tag", "base64 of a tensor with spare bits", {"$tensor": {**_TENSOR, "data": "AACAPx=="}})
_table(
    "V-6",
    "value-tag",
    "data of another length than the tensor",
    {"$tensor": {**_TENSOR, "shape": [2]}},
    {"$tensor": {**_TENSOR, "shape": []} | {"data": ""}},
    {"$tensor": {**_TENSOR, "dtype": "float64"}},
    {"$tensor": {**_TENSOR, "shape": [0]}},
)
_table(
    "V-7 V-1",
    "value-tag",
    "tensor without a fixed width",
    {"$tensor": {"data": "AA==", "dtype": "int4", "shape": [2]}},
    {"$tensor": {"data": "AA==", "dtype": "string", "shape": [1]}},
    {"$tensor": {"data": "AA==", "dtype": "bytes", "shape": [1]}},
    {"$tensor": {"data": "AA==", "dtype": "uint4", "shape": [1]}},
)
_table("V-8 L-2", "value-limit", "integer of too many digits", {"$int": _LONG}, {"$int": f"-{_LONG}"})
_table(
    "V-10",
    "reference-missing",
    "module that is not there",
    {"$module": "host/nothing"},
    {"$module": "nothing"},
    host=CONFIG,
)
_table("V-10", "reference-missing", "asset that is not there", {"$asset": "assets/host/nothing.txt"})
_table("V-10", "reference-missing", "variable that is not there", {"$variable": "host/nothing"}, host=_WITH_WEIGHTS)
_table("V-10", "reference-missing", "stored tensor outside of MessagePack", {"$stored": "host"}, host=_WITH_WEIGHTS)
_table(
    "D-3",
    "path-form",
    "reference that is no path",
    {"$variable": "a//b"},
    {"$module": ".."},
    {"$variable": f"{KERNEL}#a"},
)

_table(
    "C-13 V-10",
    "reference-missing",
    "output outside of every graph",
    {"$output": ["in", 0]},
    {"$output": ["nothing", 1]},
)
_table(
    "V-1", "value-tag", "output of another form", {"$output": ["in", -1]}, {"$output": ["in"]}, {"$output": [0, "in"]}
)

_packed_table("V-1", "value-tag", "unknown tag in MessagePack", {"$float32": 1.0}, {"$": 1}, {"$set": []})
_packed_table(
    "V-2", "value-tag", "key that lacks its second sign in MessagePack", {"$a": 1, "b": 2}, {"$a": 1, "$b": 2}
)
_packed_table("V-3", "value-not-canonical", "float as a map", {"$float": "1"}, {"$float": "nan"}, {"$float": "-0"})
_packed_table("V-3", "value-not-canonical", "bytes as a map", {"$bytes": "AAEC"}, {"$bytes": ""})
_packed_table("V-3", "value-not-canonical", "stored tensor as a map", {"$stored": "host"})
_packed_table(
    "V-3",
    "value-not-canonical",
    "integer of 64 bits as a map",
    {"$int": "9007199254740992"},
    {"$int": "18446744073709551615"},
    {"$int": "-9223372036854775808"},
)
_packed_table("V-8 L-2", "value-limit", "integer of too many digits in MessagePack", {"$int": _LONG})
_packed_table(
    "V-10 O-14",
    "reference-missing",
    "stored tensor that is not there",
    msgpack.Stored("user/host/nothing"),
    msgpack.Stored("a"),
)
_packed_table(
    "V-6",
    "value-tag",
    "data of another length in MessagePack",
    {"$tensor": {"data": b"\0" * 3, "dtype": "float32", "shape": [1]}},
)
_packed_table(
    "V-4",
    "value-not-canonical",
    "map that is not sorted in MessagePack",
    {"$map": [[2, 0], [1, 0]]},
    {"$map": [["a", 1]]},
)
