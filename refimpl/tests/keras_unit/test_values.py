"""Keras' encodings of values and objects, in both directions."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.bridges.keras.json_text import read_json, write_json
from etui.bridges.keras.names import class_of, full, identity_of, numbered, short, snake_case
from etui.bridges.keras.patches import difference, key_orders, patched, reordered, same
from etui.bridges.keras.values import ValueReader, ValueWriter, has_code, shared_numbers
from etui.canonical import values
from etui.canonical.values import ModuleRef, ObjectValue, OutputRef
from etui.errors import EtuiError, MalformedError, TransferError
from etui.limits import Limits
from etui.storage.sources import BytesSource


def special(name: str, config: Any) -> dict[str, Any]:
    """Keras' form of a value that JSON lacks."""
    return {"class_name": name, "config": config}


def node(module: str | None, name: str, config: Any, registered: str | None = None, **more: Any) -> dict[str, Any]:
    """Keras' form of an object."""
    return {"module": module, "class_name": name, "config": config, "registered_name": registered} | more


def read(tree: Any) -> Any:
    """The value of a JSON tree."""
    return ValueReader(shared_numbers(tree)).value(tree)


def written(value: Any) -> Any:
    """The JSON tree of a value, which went through a document on the way."""
    again = values.from_json(json.loads(json.dumps(values.to_json(value))), "value")
    return ValueWriter(lambda found: ["output", found.call], lambda found: ["module", found.path]).json(again, "value")


ZEROS = node("keras.initializers", "Zeros", {})


@pytest.mark.clause("K-11@58d76f")
@pytest.mark.parametrize(
    ("tree", "value"),
    [
        (special("__slice__", {"start": None, "stop": 4, "step": -1}), slice(None, 4, -1)),
        (special("__ellipsis__", {}), Ellipsis),
        (special("__bytes__", {"value": "aß"}), "aß".encode()),
        ({"class_name": "__tuple__", "items": [1, [2.0, {"class_name": "__tuple__", "items": []}]]}, (1, [2.0, ()])),
        ([special("__ellipsis__", {}), {"a": special("__ellipsis__", {})}], [Ellipsis, {"a": Ellipsis}]),
    ],
)
def test_tagged_values_go_there_and_back(tree: Any, value: Any) -> None:
    """Slices, the ellipsis, bytes and tuples become values of their kind, and Keras' form again."""
    assert read(tree) == value
    assert type(read(tree)) is type(value)
    assert same(written(read(tree)), tree)


@pytest.mark.clause("K-11@58d76f")
@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [([1.0, 2.5], "float32"), ([[1, 2], [3, 4]], "int64"), ([True, False], "bool"), ([0.1], "float64")],
)
def test_small_arrays_become_arrays(numbers: Any, dtype: str) -> None:
    """A `__numpy__` is an array of its dtype, and a `__tensor__` an object that holds one."""
    array = read(special("__numpy__", {"value": numbers, "dtype": dtype}))
    assert isinstance(array, np.ndarray)
    assert (array.dtype.name, array.tolist()) == (dtype, numbers)
    tensor = read(special("__tensor__", {"value": numbers, "dtype": dtype}))
    assert tensor.class_name == "keras:__tensor__"
    assert tensor.config.tolist() == numbers
    for name in ("__numpy__", "__tensor__"):
        tree = special(name, {"value": numbers, "dtype": dtype})
        assert same(written(read(tree)), tree)


@pytest.mark.clause("K-11@58d76f")
@pytest.mark.parametrize(
    "tree",
    [
        special("__slice__", {"start": 1, "stop": 2}),
        special("__slice__", {"start": 1, "stop": 2, "step": 3}) | {"extra": 1},
        special("__ellipsis__", {"a": 1}),
        special("__bytes__", {"value": 7}),
        special("__numpy__", {"value": [0.1], "dtype": "float32"}),
        special("__numpy__", {"value": [1], "dtype": "float32"}),
        special("__numpy__", {"value": [[1.0], [1.0, 2.0]], "dtype": "float32"}),
        special("__numpy__", {"value": [1.0], "dtype": "nothing"}),
        special("__tensor__", {"value": ["a"], "dtype": "string"}),
        {"class_name": "__tuple__", "items": [], "more": 1},
    ],
)
def test_encodings_that_would_lose_something_stay_maps(tree: Any) -> None:
    """What a tagged value could not give back exactly is kept as the map that it is."""
    assert isinstance(read(tree), dict)
    assert same(written(read(tree)), tree)


@pytest.mark.clause("K-6@160278", "K-7@32e2b5", "K-8@be77d8")
@pytest.mark.parametrize(
    ("module", "name", "registered", "text"),
    [
        ("keras.initializers", "Zeros", None, "keras:initializers.Zeros"),
        ("keras.layers", "Dense", None, "keras:layers.Dense"),
        ("keras.optimizers.schedules", "CosineDecay", None, "keras:optimizers.schedules.CosineDecay"),
        ("keras", "DTypePolicy", None, "keras:DTypePolicy"),
        ("keras", "Sequential", None, "keras:Sequential"),
        ("keras.src.models.functional", "Functional", "Functional", "keras:Functional"),
        ("keras.src.ops.numpy", "GetItem", "GetItem", "keras:ops.numpy.GetItem"),
        ("keras.src.layers.secret", "Hidden", "Hidden", "keras:src.layers.secret.Hidden"),
        (
            "tf_keras.src.layers.core.tf_op_layer",
            "TFOpLambda",
            "TFOpLambda",
            "tf_keras:src.layers.core.tf_op_layer.TFOpLambda",
        ),
        (None, "Block", "mine>Block", "custom:mine>Block"),
        ("package.module", "Block", "Block", "custom:Block"),
        (None, "B", "my pack%age>B", "custom:my%20pack%25age>B"),
    ],
)
def test_classes_have_one_name(module: str | None, name: str, registered: str | None, text: str) -> None:
    """Keras' three fields make one class string, from which they follow again up to a module of the author's own."""
    assert class_of(module, name, registered) == text
    expected = {"module": module, "class_name": name, "registered_name": registered}
    found = identity_of(text)
    assert found == (expected if module != "package.module" else expected | {"module": None})
    tree = node(module, name, {"a": 1}, registered)
    assert read(tree).class_name == text
    assert same(written(read(tree)), tree)


@pytest.mark.clause("K-6@160278")
def test_positions_leave_out_their_package() -> None:
    """An op leaves out `layers` and an algorithm `optimizers`, where what is left is not ambiguous."""
    assert short("keras:layers.Dense", "layers") == "keras:Dense"
    assert full("keras:Dense", "layers") == "keras:layers.Dense"
    assert short("keras:optimizers.legacy.Adam", "optimizers") == "keras:optimizers.legacy.Adam"
    for text in ("keras:Sequential", "keras:Functional", "keras:ops.numpy.Add", "custom:mine>Dense"):
        assert full(short(text, "layers"), "layers") == text


@pytest.mark.clause("K-9@ec76dc")
@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (node("builtins", "function", "mine>half", "function"), "custom:mine>half"),
        (node("builtins", "function", "half", "function"), "custom:half"),
        (node("keras.activations", "function", "relu", "relu"), "keras:activations.relu"),
        (node("my.module", "function", "half", "half"), "custom:half"),
    ],
)
def test_functions_are_objects_without_config(tree: Any, text: str) -> None:
    """A function that is given by its name is an object of that name whose config is null."""
    value = read(tree)
    assert (value.class_name, value.config) == (text, None)
    assert same(written(value), tree)


@pytest.mark.clause("K-10@f1eef3", "X-1@06793e")
def test_the_code_of_a_lambda_is_data() -> None:
    """A lambda's marshalled code is kept as it is, and found wherever it is."""
    config = {"code": "4wEAAAAA", "defaults": None, "closure": None}
    value = read(special("__lambda__", config))
    assert value == ObjectValue("keras:__lambda__", config)
    assert has_code([{"a": (value,)}])
    assert not has_code([{"a": ("__lambda__",)}])
    assert same(written(value), special("__lambda__", config))


@pytest.mark.clause("K-12@83e131")
def test_shared_objects_are_numbered_in_order() -> None:
    """Memory addresses become 1, 2, … in the order of the document, everywhere in it."""
    big, small = 139_782_503_690_128, 7
    tree = {
        "z": ZEROS | {"shared_object_id": big},
        "a": [ZEROS | {"shared_object_id": small}, ZEROS | {"shared_object_id": big}],
        "raw": node("m", "C", {}, "C", build_config={"x": ZEROS | {"shared_object_id": small}}),
    }
    value = read(tree)
    assert [value["z"].shared, *(item.shared for item in value["a"])] == [1, 2, 1]
    back = written(value)
    assert back["z"]["shared_object_id"] == 1
    assert back["raw"]["build_config"]["x"]["shared_object_id"] == 2


@pytest.mark.clause("K-58@3c09cf", "K-59@cab9b0")
@pytest.mark.parametrize(
    "tree",
    [
        node("keras.initializers", "Zeros", {"a": 1.0, "b": 1, "c": True, "d": None, "e": [1.5, "x"]}),
        node("keras.initializers", "Zeros", None),
        node("keras.initializers", "Zeros", {}, "Zeros"),
        node(None, "Block", {"inner": ZEROS}, "mine>Other"),
        node("keras.layers", "Dense", {"name": "d"}, build_config={"input_shape": [None, 4]}, compile_config={}),
        {"class_name": "Zeros", "config": {}},
        {"class_name": "GlorotUniform", "config": {"seed": None}, "shared_object_id": 1},
        special("__typespec__", [[None, 3], "float32", None])
        | {"spec_name": "TensorSpec", "module": "tensorflow.python.framework", "registered_name": None},
        special("__keras_tensor__", {"shape": [None], "dtype": "float32", "keras_history": None}),
        {"class_name": "no object"},
        {"class_name": 5, "config": {}},
        node("keras.losses", "Huber", {"$escaped": {"$a": 1}, "": 2}),
        float("inf"),
        [float("nan"), -0.0, 2**70, -1],
    ],
)
def test_every_object_comes_back_as_it_was(tree: Any) -> None:
    """Whatever fields Keras or another version left out, added or filled otherwise is kept."""
    assert same(written(read(tree)), tree)


@pytest.mark.clause("K-59@cab9b0")
def test_the_order_of_keys_is_kept() -> None:
    """The keys of maps that are arguments keep their order, which a canonical document forgets."""
    tree = node("keras.losses", "L", {"table": {"zeta": 1, "alpha": {"b": 1, "a": 2}}, "list": [{"y": 1, "x": 2}]})
    back = written(read(tree))
    assert list(back["config"]["table"]) == ["zeta", "alpha"]
    assert list(back["config"]["table"]["alpha"]) == ["b", "a"]
    assert list(back["config"]["list"][0]) == ["y", "x"]


@pytest.mark.library
def test_orders_that_do_not_fit_are_passed_over() -> None:
    """An order for a map that is no longer there changes nothing, and new keys come last."""
    orders = key_orders({"a": {"z": 1, "b": 2}, "c": [{"y": 1, "x": 2}]})
    assert orders == [[["a"], ["z", "b"]], [["c", 0], ["y", "x"]]]
    assert reordered({"a": 1, "c": []}, orders) == {"a": 1, "c": []}
    assert list(reordered({"a": {"b": 1, "new": 2, "z": 3}}, orders)["a"]) == ["z", "b", "new"]


@pytest.mark.clause("K-60@e528a0")
@pytest.mark.parametrize("value", [1j, {1: 2}, b"\xff", values.DtypeName("int8"), values.AssetRef("assets/a")])
def test_values_without_a_form_in_keras_are_refused(value: Any) -> None:
    """A complex number, a map with other keys, bytes that are no text, a dtype and an asset have no form in Keras."""
    with pytest.raises(TransferError) as caught:
        written([value])
    assert caught.value.code == "keras-value"


@pytest.mark.library
def test_references_are_asked_for() -> None:
    """Outputs and modules are written by who knows them."""
    assert written([OutputRef("a", 1), ModuleRef("b/c")]) == [["output", "a"], ["module", "b/c"]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["class_name", "config", "a", "$b", "module", "items"]), inner, max_size=4)
        | st.builds(special, st.sampled_from(["__slice__", "__numpy__", "__tuple__", "__x__", "C"]), inner)
        | st.builds(node, st.sampled_from([None, "keras", "keras.layers", "my.mod"]), st.just("C"), inner)
    ),
    max_leaves=12,
)


@pytest.mark.clause("K-58@3c09cf")
@given(JSON)
def test_any_json_goes_there_and_back(tree: Any) -> None:
    """Any tree, however close to one of Keras' forms, comes back with the same types and values."""
    assert same(written(read(tree)), tree)


@pytest.mark.library
@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_a_difference_is_what_turns_one_map_into_another(one: dict[str, Any], two: dict[str, Any]) -> None:
    """`patched` undoes `difference`, and equal maps differ in nothing."""
    assert same(patched(one, difference(one, two)), two)
    assert difference(two, two) == {}


@pytest.mark.library
@pytest.mark.parametrize(
    ("one", "two"), [(1, 1.0), (1, True), ([1], [1, 1]), ({"a": 1}, {"b": 1}), ("1", 1), (0.0, 1.0)]
)
def test_trees_of_other_types_are_not_the_same(one: Any, two: Any) -> None:
    """1, 1.0 and true are three values, and NaN is itself."""
    assert not same(one, two)
    assert same(math.nan, math.nan)


@pytest.mark.library
def test_group_names_are_those_of_keras() -> None:
    """Class names become snake case as Keras makes it, numbered within a list."""
    names = ["Conv2DTranspose", "PReLU", "LSTMCell", "GRU", "MultiHeadAttention", "RMSprop", "GlobalAveragePooling1D"]
    expected = ["conv2d_transpose", "p_re_lu", "lstm_cell", "gru", "multi_head_attention", "rm_sprop"]
    assert [snake_case(name) for name in names] == [*expected, "global_average_pooling1d"]
    used: dict[str, int] = {}
    assert [numbered("dense", used) for _ in range(3)] == ["dense", "dense_1", "dense_2"]


def parsed(data: bytes, limits: Limits | None = None) -> Any:
    """The document of these bytes."""
    return read_json(BytesSource(data), "config.json", limits or Limits())


@pytest.mark.clause("K-2@1b562f")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff{}",
        b"\xef\xbb\xbf{}",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' + b"9" * 2000 + b"}",
        b"{'a':1}",
    ],
)
def test_hostile_documents_are_refused(data: bytes) -> None:
    """No JSON object, a key twice, lone surrogates, deep nesting and endless numbers are refused."""
    with pytest.raises(MalformedError) as caught:
        parsed(data)
    assert caught.value.code == "keras-json"
    assert str(caught.value).count("config.json") == 1, "the message is within another one"


@pytest.mark.clause("K-2@1b562f", "L-3@a15eb3")
def test_documents_beyond_the_limit_are_not_read() -> None:
    """A document that is larger than the limit is refused before it is read."""
    with pytest.raises(EtuiError) as caught:
        parsed(b'{"a":"%s"}' % (b"x" * 99), Limits(document_bytes=100))
    assert caught.value.code == "limit-document"


@pytest.mark.clause("K-2@1b562f")
def test_the_bare_words_of_python_are_floats() -> None:
    """NaN and the infinities are read, and written as Keras writes them."""
    tree = parsed(b'{"a": NaN, "b": -Infinity, "c": 1e400, "d": 1.0}')
    assert math.isnan(tree["a"])
    assert (tree["b"], tree["c"], type(tree["d"])) == (-math.inf, math.inf, float)
    assert write_json(tree) == b'{"a": NaN, "b": -Infinity, "c": Infinity, "d": 1.0}'
