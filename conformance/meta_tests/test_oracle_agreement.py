"""The oracle and the reference library, written apart, accept and refuse the same artifacts, and round floats alike."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import etui
from etui.testing.hostile import Parts, edited, parts_of, refusal, tampered
from etui.testing.samples import everything
from etui_conformance.oracle import core_types, floats, json, msgpack, reading, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.schema_files import vocabulary

DOCUMENTS = ("manifest.json", "config.json", "weights.json", "training.json", "optimizer.msgpack", "state.msgpack")
KEYS = ("more", "x-more", "$more", "$$more", "", "attrs", "modules", "build", "encoding", "chunks", "inner", "fresh")
NAMES = ("more", "", "a/b", "a//b", "#", "\u212b", ".", "con", "\x00", "x-a")
ODD: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2**53 - 1, 0.5, "", "a", "a//b", "#", "1.1", "float32", "int4", "layer", "core:dense"),
    *([], {}, [1], {"a": 1}, ["a", "a"], [0, 0], [4, 4], {"$tuple": []}, {"$more": 1}, {"$$more": 1}, {"x-a": 1}),
    *({"$map": [[1, 2]]}, {"$variable": "dense/kernel"}, {"$module": "own"}, {"$output": ["dense", 0]}),
    *(
        {"$dtype": "float32"},
        {"$object": {"class": "keras:A", "config": {}}},
        {"$object": {"class": "core:losses.huber"}},
    ),
)
FLOATS = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e8m0fnu": ml_dtypes.float8_e8m0fnu,
}
SAMPLES: dict[str, Any] = {
    "integer": 2,
    "string": "ab,bc->ac",
    "number": 0.5,
    "numbers": 0.5,
    "sizes": [2, 2],
    "shape": [None, 3],
    "dtype": "float32",
    "activation": "relu",
    "integers": [1, 2],
    "axis": 1,
    "pairs": [[1, 1], [1, 1]],
    "padding": "same",
    "index": [0],
    "sections": 2,
    "pair": 1,
    "terms": ["a", "b"],
    "number_list": [0.5, 1.5],
}
ATTRS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        2,
        -1,
        0.5,
        {"$float": "1"},
        {"$float": "0"},
        "",
        "relu",
        "softmax",
        "threshold",
        "same",
    ),
    *("float32", "string", [], [0], [1], [2, 2], [[0, 0]], [0.5], ["a", "b"], ["a", "a"], {}, {"$tuple": [1]}),
    *({"$int": "9007199254740993"}, [None, 3], {"compute_dtype": "bfloat16", "variable_dtype": "float32"}, "double"),
    *(
        {"compute_dtype": "int8", "variable_dtype": "float32"},
        {"kernel": {"$object": {"class": "core:initializers.zeros"}}},
    ),
    *({"$object": {"class": f"core:{name}", "config": {}}} for name in ("activations.relu", "regularizers.l2")),
    {"$object": {"class": "core:activations.relu", "config": {"negative_slope": 0.5}}},
    {"kernel": {"$object": {"class": "core:regularizers.l2", "config": {"l2": 0.02}}}},
)
SETTINGS = settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def base() -> Parts:
    """The parts of an artifact that holds everything that an artifact can hold."""
    return parts_of(everything())


def verdicts(parts: Parts) -> tuple[str, str]:
    """What the library and the oracle say of an artifact: `ok` or a code each."""
    fault = refusal(lambda: etui.verify(parts))
    try:
        reading.read(parts, full=True)
    except Refusal as refused:
        return fault.code if fault else "ok", refused.code
    return fault.code if fault else "ok", "ok"


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every node below the root."""
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from places(inner, (*path, step))


@st.composite
def edits(draw: st.DrawFn, tree: Any) -> Any:
    """A change of one place of a tree: something taken away, put there, added, renamed, or copied from elsewhere."""
    known = list(places(tree))
    path = draw(st.sampled_from(known))
    how = draw(st.sampled_from(["drop", "put", "add", "rename", "copy"]))
    value, other = draw(st.sampled_from(ODD)), draw(st.sampled_from(known))
    key, name = draw(st.sampled_from(KEYS)), draw(st.sampled_from(NAMES))

    def edit(found: Any) -> None:
        copied: Any = found
        for step in other:
            copied = copied[step]
        parent = found
        for step in path[:-1]:
            parent = parent[step]
        node = parent[path[-1]]
        if how == "drop":
            del parent[path[-1]]
        elif how == "copy":
            parent[path[-1]] = copy.deepcopy(copied)
        elif how == "rename" and isinstance(parent, dict):
            parent[name] = parent.pop(path[-1])
        elif how == "add" and isinstance(node, dict):
            node[key] = copy.deepcopy(value)
        elif how == "add" and isinstance(node, list):
            node.append(copy.deepcopy(value))
        else:
            parent[path[-1]] = copy.deepcopy(value)

    return edit


@pytest.mark.library
@SETTINGS
@given(st.data())
def test_what_one_refuses_the_other_does(base: Parts, data: st.DataObject) -> None:
    """After any change of one place of a document, the oracle and the library both accept or both refuse."""
    document = data.draw(st.sampled_from(DOCUMENTS))
    decode = msgpack.decode if document.endswith(".msgpack") else json.decode
    edit = data.draw(edits(decode(base[document])))
    try:
        parts = tampered(base, document, edit)
    except (KeyError, TypeError, ValueError, etui.EtuiError):
        return  # a change that leaves nothing to be made right
    library, oracle = verdicts(parts)
    assert (library == "ok") == (oracle == "ok"), f"the library says {library}, the oracle {oracle}"


def module(op: str) -> dict[str, Any]:
    """The smallest module of an op of the vocabulary."""
    entry = vocabulary()["ops"][op]
    attrs = {name: sample(spec) for name, spec in entry.get("attrs", {}).items() if "default" not in spec}
    found: dict[str, Any] = {"kind": "graph" if op == "graph" else "layer", "name": "m", "op": f"core:{op}"}
    if attrs:
        found["attrs"] = attrs
    if op == "graph":
        found["graph"] = {"calls": [], "inputs": [], "outputs": []}
    if "modules" in entry:
        found["modules"] = [{"kind": "layer", "name": name, "op": "core:identity"} for name in entry["modules"]]
    return found


def sample(spec: dict[str, Any]) -> Any:
    """A value of the type of an attribute."""
    if "enum" in spec:
        return spec["enum"][0]
    kind = spec["$ref"].rpartition("/")[2] if "$ref" in spec else spec["type"]
    return copy.deepcopy(SAMPLES[kind])


def config_of(found: dict[str, Any]) -> dict[str, Any]:
    """The content of a config with one module below the root."""
    model = {"kind": "layer", "modules": [found], "name": "root", "op": "keras:Root"}
    return {"config": {"format": "etui-config", "model": model, "version": "1.0"}}


@pytest.mark.library
@SETTINGS
@given(st.data())
def test_core_modules_are_held_against_one_vocabulary(data: st.DataObject) -> None:
    """Of core modules with drawn attributes, variables and children, both accept the same and give the same code."""
    op = data.draw(st.sampled_from(sorted(vocabulary()["ops"])))
    found = module(op)
    specs = [*vocabulary()["ops"][op].get("attrs", {}), *vocabulary()["common_attrs"], "other"]
    drawn = data.draw(st.dictionaries(st.sampled_from(specs), st.sampled_from(ATTRS), max_size=2))
    if drawn:
        found["attrs"] = copy.deepcopy(found.get("attrs", {}) | drawn)
    params = data.draw(st.sets(st.sampled_from([*vocabulary()["ops"][op].get("params", {}), "other"]), max_size=6))
    if params:
        found["params"] = {role: f"m/{role}" for role in params}
    if data.draw(st.integers(0, 9)) == 0:
        found.setdefault("modules", []).append({"kind": "layer", "name": "child", "op": "core:identity"})
    library, oracle = verdicts(writing.write(config_of(found)))
    assert library == oracle


@pytest.mark.library
@pytest.mark.parametrize("section", ["activations", "initializers", "regularizers", "constraints", "losses", "metrics"])
def test_core_objects_are_held_against_one_vocabulary(section: str) -> None:
    """Objects with all that has no default are accepted; with a default, or with a name too many, they are refused."""
    found = vocabulary()[section]
    assert found
    for name, entry in found.items():
        specs = entry.get("attrs", {})
        config = {key: sample(spec) for key, spec in specs.items() if "default" not in spec}
        defaults = {key: core_types.default(spec) for key, spec in specs.items() if "default" in spec}
        assert verdicts(training_of(section, name, config)) == ("ok", "ok")
        wrong = [config | {key: value} for key, value in defaults.items()] + [config | {"other": 1}]
        for each in wrong:
            library, oracle = verdicts(training_of(section, name, each))
            assert library == oracle == ("core-object" if section in ("losses", "metrics") else "core-attrs")


def training_of(section: str, name: str, config: dict[str, Any]) -> Parts:
    """The artifact of a loss that is an object of a section of the vocabulary."""
    loss = {"$object": {"class": f"core:{section}.{name}", "config": config}}
    training = {"format": "etui-training", "loss": loss, "version": "1.0"}
    return writing.write(config_of({"kind": "layer", "name": "m", "op": "keras:A"}) | {"training": training})


@pytest.mark.library
@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_are_read_as_numpy_reads_them(dtype: str) -> None:
    """The bits of each float dtype have the value that numpy and ml_dtypes give them."""
    kind = np.dtype(FLOATS[dtype])
    raw = bytes(range(256)) if kind.itemsize == 1 else np.random.default_rng(1).bytes(kind.itemsize * 2000)
    with np.errstate(invalid="ignore"):
        expected = np.frombuffer(raw, kind).astype(np.float64).tolist()
    found = floats.decode(dtype, raw)
    assert len(found) == len(expected)
    assert all(map(same, found, expected))


@pytest.mark.library
@SETTINGS
@given(st.data())
def test_floats_are_rounded_as_numpy_rounds_them(data: st.DataObject) -> None:
    """A number that the dtypes between can hold becomes the float that numpy and ml_dtypes make of it."""
    dtype = data.draw(st.sampled_from(sorted(FLOATS.keys() - {"float8_e8m0fnu"})))
    value = data.draw(st.floats(width=16 if dtype == "float8_e5m2" else 32))
    with np.errstate(all="ignore"):
        expected = np.float32(value).astype(FLOATS[dtype]).astype(np.float64).item()
    (found,) = floats.decode(dtype, floats.encode(dtype, [value]))
    assert same(found, expected)


def same(one: float, other: float) -> bool:
    """Whether two floats are equal, signs of zeros included, or both no numbers."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other and math.copysign(1, one) == math.copysign(1, other)


@pytest.mark.library
def test_a_number_is_rounded_once() -> None:
    """What lies just above the middle of two numbers goes up, though a dtype between would put it on the middle."""
    just_above = 1 + 2.0**-8 + 2.0**-40
    assert floats.decode("bfloat16", floats.encode("bfloat16", [just_above])) == [1 + 2.0**-7]
    assert floats.decode("float8_e8m0fnu", floats.encode("float8_e8m0fnu", [1.5, 1.4, 3.0])) == [2.0, 1.0, 2.0]
    assert floats.encode("float8_e8m0fnu", [0.0, -1.0, math.inf, math.nan]) == b"\xff" * 4


@pytest.mark.library
def test_a_change_that_is_none_is_accepted(base: Parts) -> None:
    """The artifact that the changes are made in is accepted by both."""
    assert verdicts(edited(base, "config.json", lambda _: None)) == ("ok", "ok")
