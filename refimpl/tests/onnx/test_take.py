"""ONNX models of other software taken in: initializers become the artifact's weights where the bytes are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.errors import EtuiError
from etui.report import Report

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(11)
KERNEL = RNG.normal(size=(5, 7)).astype(np.float32)
FILTERS = RNG.normal(size=(3, 2, 4, 6)).astype(np.float32)
BIAS = RNG.normal(size=7).astype(np.float32)
TABLE = RNG.normal(size=(300, 5)).astype(np.float32)
X = RNG.normal(size=(2, 5)).astype(np.float32)
Run = Callable[..., dict[str, np.ndarray]]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An artifact of weights alone."""
    weights = etui.Weights()
    for path, array in {
        "dense/kernel": KERNEL,
        "dense/bias": BIAS,
        "conv/kernel": FILTERS,
        "table": TABLE,
        "half": KERNEL.astype(np.float16),
        "zeros/a": np.zeros(4, np.float32),
        "zeros/b": np.zeros(4, np.float32),
        "square": np.eye(3, dtype=np.float32),
    }.items():
        weights.add(path, etui.Tensor.of(array), role=path.rpartition("/")[2])
    place = tmp_path / "model.etui"
    etui.save(etui.Model(weights=weights), place)
    return place


def only(artifact: Path, *paths: str) -> Path:
    """The artifact with these variables alone."""
    model = etui.open(artifact)
    assert model.weights is not None
    variables = {path: model.weights[path] for path in paths}
    etui.save(etui.Model(weights=etui.Weights(variables)), artifact.with_name("few.etui"))
    return artifact.with_name("few.etui")


def file_of(
    tmp_path: Path,
    arrays: dict[str, Any],
    nodes: list[Any],
    *,
    x: tuple[Any, ...] = ("n", 5),
    y: tuple[Any, ...] = ("n", 7),
) -> Path:
    """An ONNX file with these initializers and nodes, from `x` to `y`."""
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, list(x))],
        [helper.make_tensor_value_info("y", 1, list(y))],
        [
            array if isinstance(array, onnx.TensorProto) else onnx.numpy_helper.from_array(array, name)
            for name, array in arrays.items()
        ],
    )
    place = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), place)
    return place


def node(op: str, *names: str, **attrs: Any) -> Any:
    """A node; the last name is that of its output."""
    return onnx.helper.make_node(op, list(names[:-1]), [names[-1]], **attrs)


def main_of(model: etui.Model) -> Any:
    """The graph of the program."""
    return onnx.ModelProto.FromString(model.programs["programs/onnx/main.onnx"].read())


def tensors_of(model: etui.Model) -> dict[str, str]:
    """Initializer -> the tensor of the weights that it is."""
    return {
        tensor.name: entry.value
        for tensor in main_of(model).graph.initializer
        for entry in tensor.metadata_props
        if entry.key == "etui.tensor"
    }


def index_of(model: etui.Model) -> dict[str, Any]:
    """What `program.json` says."""
    found: dict[str, Any] = json.loads(model.programs["programs/onnx/program.json"].read())
    return found


def run(model: Any, x: np.ndarray) -> np.ndarray:
    """The output `y`."""
    found: np.ndarray = etui.onnx.session(model).run(["y"], {"x": x})[0]
    return found


@pytest.mark.clause("PG-10@e937f0", "PG-2@c1cf5b", "PG-3@4af563")
def test_equal_bytes_are_the_variable(artifact: Path, tmp_path: Path, plain: Run) -> None:
    """An initializer with the bytes of a variable points at them, and onnxruntime finds them in the folder."""
    nodes = [node("MatMul", "x", "w", "h"), node("Add", "h", "b", "y")]
    report = Report()
    etui.onnx.add(artifact, file_of(tmp_path, {"w": KERNEL, "b": BIAS}, nodes), report=report)
    model = etui.open(artifact)
    assert tensors_of(model) == {"w": "dense/kernel", "b": "dense/bias"}
    assert list(model.programs) == ["programs/onnx/main.onnx", "programs/onnx/program.json"]
    assert report.counts() == {"variable": {"restored": 2}}
    np.testing.assert_allclose(run(model, X), X @ KERNEL + BIAS, rtol=1e-5, atol=1e-5)
    etui.save(model, tmp_path / "folder", form="directory")
    np.testing.assert_allclose(
        plain(tmp_path / "folder", "onnx", {"x": X})["y"], X @ KERNEL + BIAS, rtol=1e-5, atol=1e-5
    )


@pytest.mark.clause("PG-10@e937f0", "PG-9@5120bf")
def test_axes_in_another_order_are_a_node(artifact: Path, tmp_path: Path) -> None:
    """A transposed kernel is the stored one behind a Transpose, and no second copy."""
    nodes = [node("Gemm", "x", "w", "b", "y", transB=1)]
    etui.onnx.add(artifact, file_of(tmp_path, {"w": np.ascontiguousarray(KERNEL.T), "b": BIAS}, nodes))
    model = etui.open(artifact)
    assert tensors_of(model) == {"dense/kernel": "dense/kernel", "b": "dense/bias"}
    first = main_of(model).graph.node[0]
    assert (first.op_type, list(first.output), list(first.attribute[0].ints)) == ("Transpose", ["w"], [1, 0])
    assert "programs/onnx/data.bin" not in model.programs
    np.testing.assert_allclose(run(model, X), X @ KERNEL + BIAS, rtol=1e-5, atol=1e-5)


@pytest.mark.clause("PG-10@e937f0", "PG-9@5120bf")
def test_filters_of_a_convolution_are_transposed(artifact: Path, tmp_path: Path) -> None:
    """The filters of ONNX, [out, in, height, width], are those of the vocabulary, [height, width, in, out]."""
    filters = np.ascontiguousarray(FILTERS.transpose(3, 2, 0, 1))
    place = file_of(tmp_path, {"f": filters}, [node("Conv", "x", "f", "y")], x=("n", 4, 5, 5), y=("n", 6, 3, 4))
    x = RNG.normal(size=(1, 4, 5, 5)).astype(np.float32)
    etui.onnx.add(artifact, place)
    model = etui.open(artifact)
    assert tensors_of(model) == {"conv/kernel": "conv/kernel"}
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(2, 3))
    wanted = np.einsum("bcijhw,fchw->bfij", windows, filters)
    np.testing.assert_allclose(run(model, x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.clause("PG-10@e937f0")
def test_axes_of_size_1_lie_where_they_will(artifact: Path, tmp_path: Path) -> None:
    """A matrix that is also the filter of one place is the same variable, with the shape that the graph asks for."""
    filters = np.ascontiguousarray(KERNEL.T)[:, :, np.newaxis]
    place = file_of(tmp_path, {"f": filters}, [node("Conv", "x", "f", "y")], x=("n", 5, 3), y=("n", 7, 3))
    x = RNG.normal(size=(1, 5, 3)).astype(np.float32)
    etui.onnx.add(artifact, place)
    assert tensors_of(etui.open(artifact)) == {"dense/kernel": "dense/kernel"}
    np.testing.assert_allclose(run(artifact, x), np.einsum("bcn,cf->bfn", x, KERNEL), rtol=1e-5, atol=1e-5)


@pytest.mark.clause("PG-10@e937f0")
@pytest.mark.parametrize("field", ["raw_data", "float_data", "int32_data", "external_data"])
def test_numbers_are_found_in_every_field_of_the_message(artifact: Path, tmp_path: Path, field: str) -> None:
    """Bytes, lists of floats, halves as integers, and external data beside the file are read alike."""
    tensor = onnx.TensorProto()
    tensor.name, tensor.data_type = "w", onnx.TensorProto.FLOAT
    tensor.dims.extend(KERNEL.shape)
    nodes = [node("MatMul", "x", "w", "y")]
    if field == "raw_data":
        tensor.raw_data = KERNEL.tobytes()
    elif field == "float_data":
        tensor.float_data.extend(KERNEL.ravel().tolist())
    elif field == "int32_data":
        tensor.data_type = onnx.TensorProto.FLOAT16
        tensor.int32_data.extend(KERNEL.astype(np.float16).view(np.uint16).ravel().tolist())
        nodes = [node("Cast", "w", "wide", to=1), node("MatMul", "x", "wide", "y")]
    else:
        (tmp_path / "below").mkdir()
        (tmp_path / "below" / "data").write_bytes(b"12345678" + KERNEL.tobytes())
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", "below/data"), ("offset", "8"), ("length", str(KERNEL.nbytes))):
            tensor.external_data.add(key=key, value=value)
    etui.onnx.add(artifact, file_of(tmp_path, {"w": tensor}, nodes))
    assert tensors_of(etui.open(artifact)) == {"w": "half" if field == "int32_data" else "dense/kernel"}
    np.testing.assert_allclose(run(artifact, X), X @ KERNEL, rtol=1e-2, atol=1e-2)


@pytest.mark.clause("PG-11@3e1564", "PG-1@f62171")
def test_other_numbers_are_kept_and_bind_the_program(artifact: Path, tmp_path: Path, plain: Run) -> None:
    """What no variable has is the program's own data, and the program is stale once the weights change."""
    folded = RNG.normal(size=(7, 100)).astype(np.float32)
    nodes = [node("MatMul", "x", "w", "h"), node("MatMul", "h", "f", "y")]
    report = Report()
    place = file_of(tmp_path, {"w": KERNEL, "f": folded, "g": folded}, nodes, y=("n", 100))
    etui.onnx.add(artifact, place, report=report)
    model = etui.open(artifact)
    assert tensors_of(model) == {"w": "dense/kernel"}
    assert model.programs["programs/onnx/data.bin"].read() == folded.tobytes()  # once, though two have it
    assert model.programs["programs/onnx/data.bin"].media_type == "application/octet-stream"
    assert report.counts() == {"variable": {"restored": 1}, "program": {"data-only": 2}}
    np.testing.assert_allclose(run(model, X), X @ KERNEL @ folded, rtol=1e-4, atol=1e-4)
    etui.save(model, tmp_path / "folder", form="directory")
    found = plain(tmp_path / "folder", "onnx", {"x": X})["y"]
    np.testing.assert_allclose(found, X @ KERNEL @ folded, rtol=1e-4, atol=1e-4)
    assert model.weights is not None
    other = {path: replace(model.weights[path]) for path in model.weights}
    other["table"] = replace(other["table"], tensor=etui.Tensor.of(TABLE + 1))
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(replace(model, weights=etui.Weights(other)))
    assert caught.value.code == "program-stale"


@pytest.mark.clause("PG-11@3e1564")
def test_a_program_of_variables_alone_follows_the_weights(artifact: Path, tmp_path: Path) -> None:
    """A program that has every variable, and single numbers of its own at most, computes with weights trained on."""
    nodes = [node("MatMul", "x", "w", "h"), node("Mul", "h", "two", "y")]
    few = only(artifact, "dense/kernel")
    etui.onnx.add(few, file_of(tmp_path, {"w": KERNEL, "two": np.float32(2)}, nodes))
    model = etui.open(few)
    assert index_of(model)["weights"] is None
    assert index_of(model)["variables"] == [{"dtype": "float32", "path": "dense/kernel", "shape": [5, 7]}]
    other = {"dense/kernel": etui.Variable(etui.Tensor.of(KERNEL * 3), "kernel")}
    found = run(replace(model, weights=etui.Weights(other)), X)
    np.testing.assert_allclose(found, X @ KERNEL * 6, rtol=1e-5, atol=1e-5)


@pytest.mark.clause("PG-11@3e1564")
@pytest.mark.parametrize(
    ("name", "array", "path"),
    [
        # another name than the variable's, but bytes that nothing else has
        ("fold_1", BIAS, "dense/bias"),
        # zeros that the name tells apart
        ("model/zeros/b/ReadVariableOp", np.zeros(4, np.float32), "zeros/b"),
        ("zeros.a", np.zeros(4, np.float32), "zeros/a"),
    ],
)
def test_a_certain_variable_does_not_bind(
    artifact: Path, tmp_path: Path, name: str, array: np.ndarray, path: str
) -> None:
    """What bytes or names tell for certain is a variable that may change."""
    few, size = only(artifact, path), array.shape[0]
    etui.onnx.add(few, file_of(tmp_path, {name: array}, [node("Add", "x", name, "y")], x=("n", size), y=("n", size)))
    model = etui.open(few)
    assert tensors_of(model) == {name: path}
    assert index_of(model)["weights"] is None


@pytest.mark.clause("PG-11@3e1564")
@pytest.mark.parametrize(
    ("array", "paths"),
    [
        (np.zeros(4, np.float32), ["zeros/a", "zeros/b"]),  # either
        (np.zeros(4, np.float32), ["zeros/a"]),  # or a constant
        (np.eye(3, dtype=np.float32), ["square"]),  # as it lies, or transposed
        (KERNEL, ["dense/kernel", "dense/bias"]),  # a variable that may be folded somewhere
    ],
)
def test_what_is_not_certain_binds(artifact: Path, tmp_path: Path, array: np.ndarray, paths: list[str]) -> None:
    """A variable that is only perhaps that initializer, or that is none, binds the program to the weights."""
    few, size = only(artifact, *paths), array.shape[-1]
    op, x = ("Add", size) if array.ndim == 1 else ("MatMul", array.shape[0])
    etui.onnx.add(few, file_of(tmp_path, {"c": array}, [node(op, "x", "c", "y")], x=("n", x), y=("n", size)))
    model = etui.open(few)
    assert tensors_of(model) == {"c": paths[0]}
    assert index_of(model)["weights"] is not None


@pytest.mark.clause("PG-10@e937f0")
def test_shapes_and_axes_are_no_variables(artifact: Path, tmp_path: Path) -> None:
    """Integers that a variable has by chance, such as a count of 0, stay the program's own."""
    weights = etui.Weights()
    weights.add("norm/count", etui.Tensor.of(np.array([1, 7], np.int64)), role="count")
    weights.add("w", etui.Tensor.of(KERNEL), role="kernel")
    etui.save(etui.Model(weights=weights), artifact)
    nodes = [node("MatMul", "x", "w", "h"), node("Reshape", "h", "sizes", "y")]
    place = file_of(tmp_path, {"w": KERNEL, "sizes": np.array([1, 7], np.int64)}, nodes, x=(1, 5), y=(1, 7))
    etui.onnx.add(artifact, place)
    model = etui.open(artifact)
    assert tensors_of(model) == {"w": "w"}
    assert index_of(model)["weights"] is None


@pytest.mark.clause("PG-33@451e2b")
def test_where_a_program_was_made_is_forgotten(artifact: Path, tmp_path: Path) -> None:
    """Names of files and lines of code that an exporter notes do not come into the artifact."""
    place = file_of(tmp_path, {"w": KERNEL}, [node("MatMul", "x", "w", "y")])
    proto = onnx.load(place)
    inner = onnx.helper.make_node("Neg", ["a"], ["b"], doc_string="SECRET 1")
    body = onnx.helper.make_graph([inner], "body", [], [], doc_string="SECRET 2")
    proto.graph.node.append(onnx.helper.make_node("If", ["k"], ["l"], then_branch=body, else_branch=body))
    proto.functions.append(
        onnx.helper.make_function("own", "f", ["a"], ["b"], [inner], [onnx.helper.make_opsetid("", 20)])
    )
    marked = [
        proto,
        proto.graph,
        proto.graph.node[0],
        proto.graph.initializer[0],
        proto.graph.input[0],
        proto.functions[0],
    ]
    for number, owner in enumerate(marked, start=3):
        owner.doc_string = f"SECRET {number}"
        if owner is not proto:  # what a user says of the model stays
            owner.metadata_props.add(key="stack_trace", value="SECRET trace")
    proto.metadata_props.add(key="labels", value="cat, dog")
    onnx.save(proto, place)
    assert place.read_bytes().count(b"SECRET") >= 15
    etui.onnx.add(artifact, place)
    main = etui.open(artifact).programs["programs/onnx/main.onnx"].read()
    assert b"SECRET" not in main
    assert b"cat, dog" in main


@pytest.mark.library
def test_initializers_that_are_inputs_are_inputs_no_more(artifact: Path, tmp_path: Path) -> None:
    """Initializers that are listed as inputs, as before version 4 of the format, are none of the program."""
    place = file_of(tmp_path, {"w": KERNEL}, [node("MatMul", "x", "w", "y")])
    proto = onnx.load(place)
    proto.ir_version = 3
    proto.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, list(KERNEL.shape)))
    onnx.save(proto, place)
    etui.onnx.add(artifact, place)
    assert [one.name for one in etui.onnx.session(artifact).get_inputs()] == ["x"]
    assert index_of(etui.open(artifact))["inputs"] == [{"dtype": "float32", "name": "x", "shape": [None, 5]}]


# --- files of strangers -----------------------------------------------------------------------------------------------


def elsewhere(location: str, **texts: str) -> Any:
    """An initializer whose bytes a file has."""
    tensor = onnx.TensorProto()
    tensor.name, tensor.data_type, tensor.data_location = "w", onnx.TensorProto.FLOAT, onnx.TensorProto.EXTERNAL
    tensor.dims.extend(KERNEL.shape)
    for key, value in {"location": location, **texts}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


REFUSED: dict[str, tuple[Any, str]] = {
    "an absolute path": (elsewhere("/etc/passwd"), "onnx-data"),
    "the folder above": (elsewhere("../data"), "onnx-data"),
    "the folder above, further on": (elsewhere("below/../../data"), "onnx-data"),
    "with backslashes": (elsewhere("..\\data"), "onnx-data"),
    "a drive": (elsewhere("C:data"), "onnx-data"),
    "no location": (elsewhere(""), "onnx-data"),
    "a file that is not there": (elsewhere("none"), "storage-failed"),
    "bytes beyond the end": (elsewhere("short", offset="8"), "onnx-file"),
    "fewer bytes": (elsewhere("short", length="4"), "onnx-file"),
    "an offset that is no number": (elsewhere("short", offset="-1"), "onnx-file"),
    "a link": (elsewhere("link"), "foreign-folder-link"),
    "a folder": (elsewhere("folder"), "foreign-folder-link"),
}


@pytest.mark.clause("PG-5@e95b4f")
@pytest.mark.parametrize("fault", REFUSED)
def test_a_file_that_points_elsewhere_is_not_taken(artifact: Path, tmp_path: Path, fault: str) -> None:
    """External data lies beside the file or below, in a file of its own; the artifact stays as it was."""
    (tmp_path / "short").write_bytes(bytes(16))
    (tmp_path.parent / "data").write_bytes(KERNEL.tobytes())
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    before = artifact.read_bytes()
    tensor, code = REFUSED[fault]
    with pytest.raises(EtuiError) as caught:
        etui.onnx.add(artifact, file_of(tmp_path, {"w": tensor}, [node("MatMul", "x", "w", "y")]))
    assert caught.value.code == code
    assert artifact.read_bytes() == before


def short() -> Any:
    """An initializer with fewer numbers than its shape has."""
    tensor = onnx.TensorProto()
    tensor.name, tensor.data_type = "w", onnx.TensorProto.FLOAT
    tensor.dims.extend([2**40, 2**40])
    tensor.float_data.extend([1.0, 2.0])
    return tensor


def raw(sizes: tuple[int, ...], data: bytes, kind: int = 1) -> Any:
    """An initializer of bytes."""
    tensor = onnx.TensorProto()
    tensor.name, tensor.data_type, tensor.raw_data = "w", kind, data
    tensor.dims.extend(sizes)
    return tensor


@pytest.mark.clause("PG-1@f62171")
@pytest.mark.parametrize(
    ("tensor", "codes"),
    [
        (short(), {"onnx-form", "limit-tensor"}),
        (raw((4,), bytes(12)), {"onnx-form"}),
        (raw((-4,), bytes(16)), {"onnx-form"}),
        (raw((2**31, 2**31, 2**31), bytes(16)), {"limit-tensor"}),
        (raw((1,) * 40, bytes(4)), {"onnx-form"}),
    ],
)
def test_initializers_that_are_not_what_they_say_are_refused(
    artifact: Path, tmp_path: Path, tensor: Any, codes: set[str]
) -> None:
    """Shapes and bytes that do not fit are refused before memory is taken for them."""
    with pytest.raises(EtuiError) as caught:
        etui.onnx.add(artifact, file_of(tmp_path, {"w": tensor}, [node("MatMul", "x", "w", "y")]))
    assert caught.value.code in codes


@pytest.mark.clause("PG-1@f62171", "PG-6@1d100e")
@pytest.mark.parametrize("fault", ["garbage", "domain"])
def test_no_model_and_operators_of_others_are_not_taken(artifact: Path, tmp_path: Path, fault: str) -> None:
    """Bytes that are no model, and operators that are not of ONNX, are refused when a file is taken in."""
    place = file_of(tmp_path, {"w": KERNEL}, [node("Own", "x", "w", "y", domain="com.example")])
    if fault == "garbage":
        place.write_bytes(b"\x00garbage")
    with pytest.raises(EtuiError) as caught:
        etui.onnx.add(artifact, place)
    assert caught.value.code == ("onnx-form" if fault == "garbage" else "onnx-domain")


@pytest.mark.clause("PG-1@f62171", "E-2@310409")
def test_damaged_files_are_refused_or_taken(artifact: Path, tmp_path: Path) -> None:
    """Whatever is done to the bytes of an ONNX file, it is taken in or refused with a code."""
    half = onnx.helper.make_tensor("h", onnx.TensorProto.FLOAT16, [2, 2], [1.0, 2.0, 3.0, 4.0])
    place = file_of(
        tmp_path,
        {"w": np.ascontiguousarray(KERNEL.T), "b": BIAS, "h": half, "f": RNG.normal(size=300).astype(np.float32)},
        [node("Gemm", "x", "w", "b", "y", transB=1)],
    )
    whole, rng = place.read_bytes(), np.random.default_rng(2)
    outcomes: dict[str, int] = {}
    for _ in range(400):
        data = bytearray(whole)
        # The head and the tail have the structure; between them are numbers.
        for at in rng.integers(0, 400, rng.integers(1, 4)):
            data[at if rng.random() < 0.5 else len(data) - 1 - at] = rng.integers(0, 256)
        place.write_bytes(bytes(data))
        model = etui.open(artifact)
        try:
            etui.onnx.add(model, place)
            outcome = "taken"
            etui.save(model, {})
        except EtuiError as fault:
            outcome = fault.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes.keys() >= {"taken", "onnx-form"}
    assert sum(outcomes.values()) == 400
