"""Programs of strangers: what they point at is checked before any of it is read, and nothing runs by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS
from etui.testing.runnable import core_model

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.frameworks

MAIN, DATA = "programs/onnx/main.onnx", "programs/onnx/data.bin"
MEDIA_TYPE = "application/onnx"
LIBRARY = Path(__file__).parents[2]
Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def good() -> etui.Model:
    """A model with a program that has data of its own, too."""
    model = core_model()
    etui.onnx.export(model)
    proto = onnx.ModelProto.FromString(model.programs[MAIN].read())
    own = proto.graph.initializer.add()
    own.name, own.data_type, own.data_location = "own", onnx.TensorProto.FLOAT, onnx.TensorProto.EXTERNAL
    own.dims.extend([4])
    for key, value in (("location", DATA), ("offset", "16"), ("length", "16")):
        own.external_data.add(key=key, value=value)
    programs = {MAIN: etui.Blob.of(proto.SerializeToString(), MEDIA_TYPE), DATA: etui.Blob.of(bytes(32))}
    return replace(model, programs=model.programs | programs)


def changed(model: etui.Model, change: Change) -> etui.Model:
    """The model with another graph."""
    proto = onnx.ModelProto.FromString(model.programs[MAIN].read())
    change(proto)
    return replace(model, programs=model.programs | {MAIN: etui.Blob.of(proto.SerializeToString(), MEDIA_TYPE)})


def initializer(proto: Any, name: str) -> Any:
    """An initializer of a graph."""
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def points(name: str, **fields: str | None) -> Change:
    """Other external data of an initializer; `None` takes a key away."""

    def change(proto: Any) -> None:
        tensor = initializer(proto, name)
        texts = {entry.key: entry.value for entry in tensor.external_data} | fields
        del tensor.external_data[:]
        for key, value in texts.items():
            if value is not None:
                tensor.external_data.add(key=key, value=value)

    return change


def dims(name: str, *sizes: int) -> Change:
    """Another shape of an initializer."""

    def change(proto: Any) -> None:
        tensor = initializer(proto, name)
        del tensor.dims[:]
        tensor.dims.extend(sizes)

    return change


def says(name: str, *tensors: str) -> Change:
    """Other tensors of the weights that an initializer says it is."""

    def change(proto: Any) -> None:
        tensor = initializer(proto, name)
        del tensor.metadata_props[:]
        for one in tensors:
            tensor.metadata_props.add(key="etui.tensor", value=one)

    return change


def twice(proto: Any) -> None:
    """A key of external data that comes twice."""
    initializer(proto, "own").external_data.add(key="offset", value="0")


def typed(kind: int) -> Change:
    """Another type of an initializer."""

    def change(proto: Any) -> None:
        initializer(proto, "last/kernel").data_type = kind

    return change


def external(tensor: Any) -> Any:
    """A tensor that wants bytes of a file."""
    tensor.name, tensor.data_type, tensor.data_location = "elsewhere", 1, onnx.TensorProto.EXTERNAL
    tensor.dims.extend([4])
    for key, value in (("location", DATA), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def in_attribute(proto: Any) -> None:
    """External data of a constant."""
    proto.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=external(onnx.TensorProto())))


def in_list(proto: Any) -> None:
    """External data in a list of tensors."""
    node = onnx.helper.make_node("Constant", [], ["c"])
    node.attribute.append(onnx.helper.make_attribute("values", [external(onnx.TensorProto())]))
    proto.graph.node.append(node)


def in_body(proto: Any) -> None:
    """External data of a graph within the graph."""
    body = onnx.helper.make_graph([], "body", [], [], [external(onnx.TensorProto())])
    proto.graph.node.append(onnx.helper.make_node("If", ["k"], ["c"], then_branch=body, else_branch=body))


def in_body_of_body(proto: Any) -> None:
    """External data two graphs down."""
    inner = onnx.helper.make_graph([], "inner", [], [], [external(onnx.TensorProto())])
    node = onnx.helper.make_node("Loop", ["k"], ["c"], body=inner)
    body = onnx.helper.make_graph([node], "body", [], [])
    proto.graph.node.append(onnx.helper.make_node("Loop", ["k"], ["c"], body=body))


def in_function(proto: Any) -> None:
    """External data in a function."""
    node = onnx.helper.make_node("Constant", [], ["c"], value=external(onnx.TensorProto()))
    proto.functions.append(onnx.helper.make_function("own", "f", [], ["c"], [node], [onnx.helper.make_opsetid("", 21)]))


def sparse(proto: Any) -> None:
    """External data of a sparse initializer."""
    one = proto.graph.sparse_initializer.add()
    external(one.values)
    one.dims.extend([8])


def in_training(proto: Any) -> None:
    """External data in what a training would do."""
    external(proto.training_info.add().algorithm.initializer.add())


def in_default(proto: Any) -> None:
    """External data of a graph that a function takes where a call gives none."""
    body = onnx.helper.make_graph([], "body", [], [], [external(onnx.TensorProto())])
    function = onnx.helper.make_function("own", "f", [], ["c"], [], [onnx.helper.make_opsetid("", 21)])
    function.attribute_proto.append(onnx.helper.make_attribute("body", body))
    proto.functions.append(function)


def same_name(proto: Any) -> None:
    """A second initializer of a name, with other bytes."""
    one = external(proto.graph.initializer.add())
    one.name = "own"


def same_sparse_name(proto: Any) -> None:
    """A sparse initializer of the name of another."""
    one = proto.graph.sparse_initializer.add()
    one.values.name, one.values.data_type = "own", 1


def unused(change: Change) -> Change:
    """A change of an initializer that nothing reads."""

    def both(proto: Any) -> None:
        one = proto.graph.initializer.add()
        one.CopyFrom(initializer(proto, "last/kernel"))
        one.name = "unused"
        change(proto)

    return both


BAD_DATA: dict[str, Change] = {
    "an absolute path": points("own", location="/etc/passwd"),
    "a drive": points("own", location="C:\\data.bin"),
    "the folder above": points("own", location="../data.bin"),
    "folders above a folder": points("own", location="programs/onnx/../../../data.bin"),
    "a path with backslashes": points("own", location="programs\\onnx\\data.bin"),
    "a null": points("own", location="programs/onnx/data.bin\0"),
    "the manifest": points("own", location="manifest.json"),
    "an asset": points("own", location="assets/data.bin"),
    "a document": points("last/kernel", location="weights.json"),
    "another program's data": points("own", location="programs/other/data.bin"),
    "the optimizer's data": points("last/kernel", location="optimizer.safetensors"),
    "the weights without a name in them": says("last/kernel"),
    "its own data with a name in the weights": says("own", "last/kernel"),
    "no location": points("own", location=None),
    "no offset": points("own", offset=None),
    "a checksum": points("own", checksum="da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    "a key twice": twice,
    "a negative offset": points("own", offset="-16"),
    "an offset of more than 64 bits": points("own", offset="9" * 30),
    "an offset that is no number": points("own", offset="0x10"),
    "an offset of other digits": points("own", offset="\u0661\u0666"),
    "bytes beyond the end": points("own", offset="17"),
    "bytes far beyond the end": points("own", offset="9223372036854775807"),
    "fewer bytes than the shape": points("own", length="12"),
    "a shape of more elements": dims("own", 8),
    "a huge shape": dims("own", 2**62, 4),
    "a shape whose product overflows": dims("own", 2**32, 2**32, 2**32),
    "a negative size": dims("own", -4),
    "too many axes": dims("own", *[1] * 40, 4),
    "two names in the weights": says("last/kernel", "last/kernel", "joined/bias"),
    "a name that is not in the weights": says("last/kernel", "no/such"),
    "a variable of another size": says("last/kernel", "joined/kernel"),
    "a type of another width": typed(onnx.TensorProto.DOUBLE),
    "another type of the same width": typed(onnx.TensorProto.INT32),
    "a type without a width": typed(onnx.TensorProto.STRING),
    "an unknown type": typed(999),
    "a constant": in_attribute,
    "a list of tensors": in_list,
    "a graph within": in_body,
    "a graph within a graph within": in_body_of_body,
    "a function": in_function,
    "a sparse initializer": sparse,
    "a training": in_training,
    "a graph that a function takes": in_default,
    "a second initializer of that name": same_name,
    "a sparse initializer of that name": same_sparse_name,
    "a name that is not in the weights, of what nothing reads": unused(says("unused", "no/such")),
    "a part elsewhere, of what nothing reads": unused(points("unused", location="../weights.safetensors")),
    "the tag of onnxruntime for its own memory": points("own", location="*/_ORT_MEM_ADDR_/*"),
}


@pytest.mark.library
def test_the_program_that_is_changed_is_good(good: etui.Model) -> None:
    """Without a change, the program of these tests can be run."""
    assert etui.onnx.session(changed(good, lambda _proto: None)).get_outputs()


@pytest.mark.clause("PG-5@e95b4f")
@pytest.mark.parametrize("fault", BAD_DATA)
def test_external_data_elsewhere_is_refused(good: etui.Model, fault: str) -> None:
    """What reaches outside of the artifact's own data, or is not what it says, is refused before it is read."""
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, BAD_DATA[fault]))
    assert caught.value.code == "onnx-data"


@pytest.mark.clause("PG-5@e95b4f")
def test_all_external_data_is_looked_at_before_any_is_read(good: etui.Model, tmp_path: Path) -> None:
    """Of a program with one bad initializer no bytes are read, not even those of damaged weights before it."""
    folder = tmp_path / "folder"
    etui.save(changed(good, says("own", "no/such")), folder, form="directory")
    etui.save(changed(good, lambda _proto: None), tmp_path / "sound", form="directory")
    for place, code in ((folder, "onnx-data"), (tmp_path / "sound", "digest-mismatch")):
        part = place / "weights.safetensors"
        part.write_bytes(part.read_bytes()[:-200] + bytes(200))
        with pytest.raises(EtuiError) as caught:
            etui.onnx.session(place)
        assert caught.value.code == code


@pytest.mark.clause("PG-4@3a969c")
def test_numbers_that_no_runtime_takes_do_not_matter_where_the_weights_say_the_place(good: etui.Model) -> None:
    """An offset that is far outside of the part is no harm for a tensor of the weights: its bytes are its own."""
    wanted = outputs(good)
    assert np.array_equal(outputs(changed(good, points("last/kernel", offset="9999999999999999999"))), wanted)


def outputs(model: etui.Model) -> Any:
    """What the program computes."""
    vector, words = np.ones((2, 5), np.float32), np.ones((2, 3), np.int32)
    return etui.onnx.session(model).run(None, {"vector": vector, "words": words})[0]


@pytest.mark.clause("PG-4@3a969c")
def test_initializers_that_are_inputs_too_can_be_run(good: etui.Model) -> None:
    """As in old versions of ONNX, an initializer may be an input with a default; it is checked like any other."""

    def change(proto: Any) -> None:
        tensor = initializer(proto, "last/kernel")
        proto.graph.input.append(onnx.helper.make_tensor_value_info("last/kernel", 1, list(tensor.dims)))

    def bad(proto: Any) -> None:
        change(proto)
        says("last/kernel", "no/such")(proto)

    assert np.array_equal(outputs(changed(good, change)), outputs(good))
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, bad))
    assert caught.value.code == "onnx-data"


def node(op: str, domain: str) -> Change:
    """A node of another domain."""
    return lambda proto: proto.graph.node.append(onnx.helper.make_node(op, ["vector"], ["other"], domain=domain))


def foreign_in_function(proto: Any) -> None:
    """A function that calls what is not of ONNX."""
    inner = onnx.helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    proto.functions.append(
        onnx.helper.make_function("own", "f", ["x"], ["y"], [inner], [onnx.helper.make_opsetid("com.microsoft", 1)])
    )
    proto.graph.node.append(onnx.helper.make_node("f", ["vector"], ["other"], domain="own"))


def overloaded(proto: Any) -> None:
    """An operator of a runtime, and a function that is another overload of it."""
    inner = onnx.helper.make_node("Neg", ["x"], ["y"])
    opsets = [onnx.helper.make_opsetid("", 21)]
    proto.functions.append(
        onnx.helper.make_function("com.microsoft", "EPContext", ["x"], ["y"], [inner], opsets, overload="other")
    )
    node("EPContext", "com.microsoft")(proto)


@pytest.mark.clause("PG-6@1d100e")
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (node("EPContext", "com.microsoft"), "com.microsoft.EPContext"),
        (node("PyOp", "ai.onnx.contrib"), "ai.onnx.contrib.PyOp"),
        (node("SGD", "ai.onnx.preview.training"), "ai.onnx.preview.training.SGD"),
        (node("f", "own"), "own.f"),
        (foreign_in_function, "com.microsoft.EPContext"),
        (overloaded, "com.microsoft.EPContext"),
    ],
)
def test_operators_of_others_are_refused(good: etui.Model, change: Change, found: str) -> None:
    """Operators that are neither of ONNX nor functions of the model are refused by their names."""
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, change))
    assert caught.value.code == "onnx-domain"
    assert found in str(caught.value.found)


@pytest.mark.clause("PG-6@1d100e")
@pytest.mark.parametrize(
    ("domain", "op", "overload"),
    [
        ("own", "f", ""),
        ("own", "f", "second"),
        ("com.microsoft", "Gelu", ""),
        ("", "Relu", ""),
        ("ai.onnx", "Relu", ""),
    ],
)
def test_a_function_of_the_model_itself_is_run(good: etui.Model, domain: str, op: str, overload: str) -> None:
    """A function that the model defines is run as it is defined, though the runtime has an operator of that name."""

    def change(proto: Any) -> None:
        inner = onnx.helper.make_node("Neg", ["x"], ["y"])
        opset = onnx.helper.make_opsetid("", 21)
        proto.functions.append(onnx.helper.make_function(domain, op, ["x"], ["y"], [inner], [opset], overload=overload))
        if domain not in {"", "ai.onnx"}:
            proto.opset_import.append(onnx.helper.make_opsetid(domain, 1))
        proto.graph.node.append(onnx.helper.make_node(op, ["vector"], ["negative"], domain=domain, overload=overload))
        proto.graph.output.append(onnx.helper.make_tensor_value_info("negative", 1, [None, 5]))

    x = np.ones((1, 5), np.float32)
    session = etui.onnx.session(changed(good, change))
    (found,) = session.run(["negative"], {"vector": x, "words": np.zeros((1, 2), np.int32)})
    assert np.array_equal(found, -x)


OPSETS = [("", 21), ("own", 1)]


def defines(*functions: tuple[str, list[Any]]) -> Change:
    """Functions, the first of which is called."""

    def change(proto: Any) -> None:
        opsets = [onnx.helper.make_opsetid(*one) for one in OPSETS]
        for name, nodes in functions:
            proto.functions.append(onnx.helper.make_function("own", name, ["x"], ["y"], nodes, opsets))
        proto.opset_import.append(opsets[1])
        proto.graph.node.append(onnx.helper.make_node(functions[0][0], ["vector"], ["other"], domain="own"))

    return change


def call(name: str, x: str = "x", y: str = "y", **attrs: Any) -> Any:
    """A call of a function."""
    return onnx.helper.make_node(name, [x], [y], domain="own", **attrs)


def chain(length: int) -> list[tuple[str, list[Any]]]:
    """Functions each of which calls the next."""
    last = (f"f{length}", [onnx.helper.make_node("Neg", ["x"], ["y"])])
    return [*((f"f{index}", [call(f"f{index + 1}")]) for index in range(length)), last]


def takes_a_graph(proto: Any) -> None:
    """A function that is called with a graph."""
    defines(("f", [onnx.helper.make_node("Neg", ["x"], ["y"])]))(proto)
    body = onnx.helper.make_graph([], "body", [], [])
    proto.graph.node[-1].attribute.append(onnx.helper.make_attribute("body", body))


def doubled(last: Any) -> Change:
    """Functions each of which calls the next twice."""
    links = [(f"f{index}", [call(f"f{index + 1}", "x", "a"), call(f"f{index + 1}", "a")]) for index in range(30)]
    return defines(*links, ("f30", [last]))


def constant_of(megabytes: int) -> Any:
    """A node with a large tensor in it."""
    value = onnx.helper.make_tensor("t", 1, [megabytes * 2**18], bytes(megabytes * 2**20), raw=True)
    return onnx.helper.make_node("Constant", [], ["y"], value=value)


def given_to_many(proto: Any) -> None:
    """A large attribute of a call that many nodes of the function take."""
    inner = onnx.helper.make_node("Constant", [], ["y"])
    inner.attribute.add(name="value", ref_attr_name="value", type=onnx.AttributeProto.TENSOR)
    defines(("f", [inner] * 3000))(proto)
    proto.graph.node[-1].attribute.extend(constant_of(1).attribute)


UNENDING: dict[str, tuple[Change, str]] = {
    "one that calls itself": (defines(("f", [call("f")])), "calls itself"),
    "two that call each other": (defines(("f", [call("g")]), ("g", [call("f")])), "calls itself"),
    "a long chain": (defines(*chain(200)), "64 deep"),
    "a long chain, the last of which comes first": (defines(*reversed(chain(200))), "64 deep"),
    "doubling": (doubled(onnx.helper.make_node("Neg", ["x"], ["y"])), "nodes"),
    "a large tensor many times": (defines(("f", [call("g")] * 3000), ("g", [constant_of(1)])), "bytes"),
    "a large tensor given to many": (given_to_many, "bytes"),
    "two of one name": (defines(*chain(1), *chain(1)), "two functions"),
    "one that takes a graph": (takes_a_graph, "a graph that the function"),
}


@pytest.mark.clause("PG-12@2f472e")
@pytest.mark.parametrize("case", UNENDING)
def test_functions_without_end_are_refused(good: etui.Model, case: str) -> None:
    """Functions that never end, or fill the memory once they are put in place of their calls, are refused at once."""
    change, found = UNENDING[case]
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, change))
    assert (caught.value.code, found in str(caught.value.found)) == ("onnx-form", True)


@pytest.mark.clause("PG-12@2f472e")
def test_more_nodes_than_any_model_has_are_refused(good: etui.Model) -> None:
    """A graph of too many nodes is refused before a runtime sees it."""
    nothing = onnx.NodeProto()
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, lambda proto: proto.graph.node.extend([nothing] * (2**20 + 1))))
    assert caught.value.code == "onnx-form"


@pytest.mark.clause("PG-12@2f472e")
def test_functions_as_deep_as_is_allowed_are_run(good: etui.Model) -> None:
    """A chain of calls that ends is run."""

    def change(proto: Any) -> None:
        defines(*chain(60))(proto)
        proto.graph.output.append(onnx.helper.make_tensor_value_info("other", 1, [None, 5]))

    x = np.ones((1, 5), np.float32)
    session = etui.onnx.session(changed(good, change))
    assert np.array_equal(session.run(["other"], {"vector": x, "words": np.zeros((1, 2), np.int32)})[0], -x)


@pytest.mark.clause("PG-1@f62171")
@pytest.mark.parametrize("within", ["the model", "a node", "an initializer"])
def test_fields_that_are_not_known_are_refused(good: etui.Model, within: str) -> None:
    """A field that a runtime may know, and the check does not, is refused: the check would not be of what is run."""

    def change(proto: Any) -> None:
        owner = {"the model": proto, "a node": proto.graph.node[0], "an initializer": proto.graph.initializer[0]}[
            within
        ]
        owner.MergeFromString(b"\xfa\x7f\x03abc")  # the field 2047

    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, change))
    assert (caught.value.code, "does not know" in str(caught.value.found)) == ("onnx-form", True)


BROKEN = {
    "no ONNX model": b"\x00\x01\x02garbage",
    "nothing": b"",
    "no graph": b"\x08\x0a",
    "a graph that ends early": b"\x3a\xff\xff\xff\xff\x0f\x01",
    "another file": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.clause("PG-1@f62171")
@pytest.mark.parametrize("data", BROKEN.values(), ids=list(BROKEN))
def test_what_does_not_decode_is_refused(good: etui.Model, data: bytes) -> None:
    """Bytes that are no ONNX model are refused."""
    broken = replace(good, programs=good.programs | {MAIN: etui.Blob.of(data, MEDIA_TYPE)})
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(broken)
    assert caught.value.code == "onnx-form"


@pytest.mark.clause("PG-12@2f472e")
def test_graphs_nested_without_end_are_refused(good: etui.Model) -> None:
    """Graphs within graphs, more than any model needs, are refused without exhausting the stack."""

    def change(proto: Any) -> None:
        inner = onnx.helper.make_graph([], "g", [], [])
        for _ in range(20):
            inner = onnx.helper.make_graph([onnx.helper.make_node("Loop", ["k"], ["c"], body=inner)], "g", [], [])
        proto.graph.node.append(onnx.helper.make_node("Loop", ["k"], ["c"], body=inner))

    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, change))
    assert caught.value.code == "onnx-form"


@pytest.mark.library
def test_what_onnxruntime_does_not_take_is_told(good: etui.Model) -> None:
    """A graph that onnxruntime refuses is an error with its reason."""
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(changed(good, node("NoSuchOperator", "")))
    assert caught.value.code == "program-failed"
    assert "NoSuchOperator" in str(caught.value.found)


@pytest.mark.clause("G-2@5a38ed")
@pytest.mark.parametrize("fault", [None, "an absolute path", "a graph within"])
def test_nothing_of_a_program_is_run_or_loaded_by_itself(good: etui.Model, tmp_path: Path, fault: str | None) -> None:
    """Opening, verifying, comparing, converting and saving import no runtime, and keep a hostile program as it is."""
    model = good if fault is None else changed(good, BAD_DATA[fault])
    place = tmp_path / "model.etui"
    etui.save(model, place)
    script = f"""
import sys, etui
model = etui.open({str(place)!r})
etui.verify({str(place)!r}); etui.validate({str(place)!r})
assert etui.diff({str(place)!r}, {str(place)!r}) is not None
etui.convert({str(place)!r}, {str(tmp_path / "folder")!r})
etui.save(model, {str(tmp_path / "again.etui")!r})
assert etui.open({str(tmp_path / "again.etui")!r}).digest == model.digest
print(sorted(name for name in sys.modules if name.split(".")[0] in ("onnx", "onnxruntime")))
"""
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.clause("E-2@310409", "PG-1@f62171", "PG-5@e95b4f")
def test_damaged_graphs_are_refused_or_read(good: etui.Model) -> None:
    """Whatever is done to the bytes of a graph, it is read or refused with a code, and is saved with the model."""
    from etui.bridges.onnx.external import pointers_of
    from etui.bridges.onnx.session import load_main

    rng = np.random.default_rng(1)
    main = good.programs[MAIN].read()
    outcomes: dict[str, int] = {}
    for _ in range(400):
        data = bytearray(main)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        if rng.random() < 0.3:
            del data[rng.integers(0, len(data)) :]
        model = replace(good, programs=good.programs | {MAIN: etui.Blob.of(bytes(data), MEDIA_TYPE)})
        try:
            proto = load_main(model, "onnx")
            list(pointers_of(proto.graph, "onnx", 32, DEFAULT_LIMITS))
            outcome = "read"
        except EtuiError as fault:
            outcome = fault.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        parts: dict[str, Any] = {}
        etui.save(model, parts)
        assert MAIN in etui.open(parts).programs
    assert outcomes.keys() >= {"read", "onnx-form", "onnx-data"}
    assert sum(outcomes.values()) == 400
