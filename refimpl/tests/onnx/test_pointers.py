"""Initializers are the artifact's own weights: where they point, and what a session makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import etui
from etui.canonical.values import OutputRef
from etui.errors import EtuiError
from etui.report import Report
from etui.testing.runnable import core_model

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.frameworks

MAIN = "programs/onnx/main.onnx"
Close = Callable[..., None]
Run = Callable[..., dict[str, np.ndarray]]


def main_of(model: etui.Model, name: str = "onnx") -> Any:
    """The graph of a program, as the package `onnx` reads it."""
    return onnx.ModelProto.FromString(model.programs[f"programs/{name}/main.onnx"].read())


def pointers(model: etui.Model) -> dict[str, dict[str, str]]:
    """The external data of each initializer that has such, by the tensor of the weights that it says it is."""
    found = {}
    for tensor in main_of(model).graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            (name,) = [entry.value for entry in tensor.metadata_props if entry.key == "etui.tensor"]
            found[name] = {entry.key: entry.value for entry in tensor.external_data}
    return found


def bytes_at(folder: Path, pointer: dict[str, str]) -> bytes:
    """The bytes at which an initializer points, read from the file."""
    begin, length = int(pointer["offset"]), int(pointer["length"])
    return (folder / pointer["location"]).read_bytes()[begin : begin + length]


def outputs_of(session: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a session by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def dense_model(kernel: etui.Tensor, bias: etui.Tensor | None = None) -> etui.Model:
    """A model of one dense layer."""
    weights = etui.Weights()
    weights.add("dense/kernel", kernel, role="kernel")
    params = {"kernel": "dense/kernel"}
    if bias is not None:
        weights.add("dense/bias", bias, role="bias")
        params["bias"] = "dense/bias"
    attrs = {"units": kernel.shape[1]} | ({} if bias is not None else {"use_bias": False})
    modules = [
        etui.Module("x", op="core:input", attrs={"shape": [None, kernel.shape[0]], "dtype": "float32"}),
        etui.Module("dense", op="core:dense", attrs=attrs, params=params),
    ]
    calls = [etui.Call("x", "x"), etui.Call("dense", "dense", [OutputRef("x", 0)])]
    graph = etui.Graph([OutputRef("x", 0)], OutputRef("dense", 0), calls)
    return etui.Model(etui.Config(etui.Module("model", "graph", "core:graph", modules=modules, graph=graph)), weights)


@pytest.mark.clause("PG-2@c1cf5b", "PG-3@4af563")
@pytest.mark.parametrize("shard_size", [None, 200])
def test_initializers_point_at_the_bytes_of_the_weights(
    model: etui.Model, tmp_path: Path, shard_size: int | None
) -> None:
    """Each variable is external data with its part, first byte and length; the program has no copy of it."""
    folder = tmp_path / "folder"
    etui.onnx.export(model, folder, form="directory", shard_size=shard_size)
    saved = etui.open(folder)
    found = pointers(saved)
    assert saved.weights is not None
    assert set(found) == set(saved.weights)
    assert len({pointer["location"] for pointer in found.values()}) == (1 if shard_size is None else 3)
    for path, pointer in found.items():
        raw = saved.weights[path].numpy().tobytes()
        assert bytes_at(folder, pointer) == raw
        assert raw not in saved.programs[MAIN].read()


@pytest.mark.clause("PG-3@4af563")
def test_onnxruntime_alone_runs_the_folder(
    model: etui.Model, inputs: dict[str, np.ndarray], tmp_path: Path, plain: Run, close: Close
) -> None:
    """Told that external data lies in the artifact's folder, onnxruntime gives the evaluator's outputs without Etui."""
    for shard_size in (None, 200):
        etui.onnx.export(model, tmp_path / "folder", replace=True, form="directory", shard_size=shard_size)
        close(plain(tmp_path / "folder", "onnx", inputs), model, inputs)


@pytest.mark.clause("PG-4@3a969c", "PG-7@12686c")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_a_session_runs_either_form(
    model: etui.Model, inputs: dict[str, np.ndarray], tmp_path: Path, close: Close, form: Any
) -> None:
    """A session over the bytes of an artifact gives the evaluator's outputs, also once the artifact is closed."""
    place = tmp_path / "model.etui"
    etui.save(model, place, form=form)
    etui.onnx.export(place)
    etui.verify(place)
    close(outputs_of(etui.onnx.session(place), inputs), model, inputs)


@pytest.mark.clause("PG-4@3a969c")
@pytest.mark.parametrize("place", ["bytes", "a link", "a name with spaces", "many shards"])
def test_a_session_runs_wherever_the_artifact_is(
    model: etui.Model, inputs: dict[str, np.ndarray], tmp_path: Path, close: Close, place: str
) -> None:
    """An artifact in memory, behind a link, with an odd name, or of many data parts runs like any other."""
    path = tmp_path / ("a name, ünd möre.etui" if place == "a name with spaces" else "model.etui")
    etui.onnx.export(model, path, shard_size=20 if place == "many shards" else None)
    opened: Any = path
    if place == "bytes":
        opened = etui.open(path.read_bytes())
    elif place == "a link":
        (tmp_path / "elsewhere").mkdir()
        opened = tmp_path / "elsewhere" / "link.etui"
        opened.symlink_to(path)
    close(outputs_of(etui.onnx.session(opened), inputs), model, inputs)


@pytest.mark.clause("PG-4@3a969c")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_an_artifact_that_was_replaced_meanwhile_runs_as_it_was(
    model: etui.Model, inputs: dict[str, np.ndarray], tmp_path: Path, close: Close, form: Any
) -> None:
    """A model that is open keeps its own weights, whatever another save puts at the place of its file."""
    path = tmp_path / "model.etui"
    etui.onnx.export(model, path, form=form)
    opened = etui.open(path)
    etui.onnx.session(opened)  # its parts are open now
    etui.onnx.export(core_model(seed=9), path, form=form)
    close(outputs_of(etui.onnx.session(opened), inputs), model, inputs)
    close(outputs_of(etui.onnx.session(path), inputs), core_model(seed=9), inputs)


@pytest.mark.clause("PG-3@4af563")
def test_a_save_points_the_program_anew(
    model: etui.Model, inputs: dict[str, np.ndarray], tmp_path: Path, plain: Run, close: Close
) -> None:
    """A program that is saved with its weights in other shards, or with more weights, points at where they are now."""
    etui.onnx.export(model, tmp_path / "one.etui")
    opened = etui.open(tmp_path / "one.etui")
    before = pointers(opened)
    assert opened.weights is not None
    opened.weights.add("another", etui.Tensor.of(np.zeros(1000)), role="other")
    etui.save(opened, tmp_path / "two", form="directory", shard_size=100)
    after = pointers(etui.open(tmp_path / "two"))
    assert after.keys() == before.keys()
    assert after != before
    close(plain(tmp_path / "two", "onnx", inputs), model, inputs)


@pytest.mark.library
def test_an_export_to_a_target_leaves_the_model_as_it_was(model: etui.Model, tmp_path: Path) -> None:
    """A model in memory of which an artifact with a program is written gets no program itself."""
    for name in ("one.etui", "two.etui"):
        etui.onnx.export(model, tmp_path / name)
        assert MAIN in etui.open(tmp_path / name).programs
    assert model.programs == {}


@pytest.mark.library
def test_a_save_in_the_same_layout_keeps_the_program(model: etui.Model, tmp_path: Path) -> None:
    """Bytes of a program that points at the right places already are not changed, and the identity neither."""
    identity = etui.onnx.export(model, tmp_path / "one.etui")
    assert etui.save(etui.open(tmp_path / "one.etui"), tmp_path / "two.etui") == identity


@pytest.mark.library
def test_a_program_of_others_keeps_its_bytes(model: etui.Model, tmp_path: Path) -> None:
    """An ONNX model that points at nothing of the artifact is saved as it is, whatever the order of its fields."""
    graph = onnx.helper.make_graph([], "g", [], []).SerializeToString()
    odd = b"\x3a" + bytes([len(graph)]) + graph + b"\x08\x0a"  # the version behind the graph
    assert onnx.ModelProto.FromString(odd).SerializeToString() != odd
    model.programs["programs/other/main.onnx"] = etui.Blob.of(odd, "application/onnx")
    etui.save(model, tmp_path / "model.etui")
    assert etui.open(tmp_path / "model.etui").programs["programs/other/main.onnx"].read() == odd


@pytest.mark.clause("D-5@94980c")
def test_the_same_model_gives_the_same_program(model: etui.Model) -> None:
    """Two programs made of one model are equal, byte for byte."""
    programs = []
    for _ in range(2):
        model.programs = {}
        etui.onnx.export(model)
        programs.append({name: blob.read() for name, blob in model.programs.items()})
    assert len(programs[0]) == 2
    assert programs[0] == programs[1]


@pytest.mark.clause("G-3@503a93", "PG-4@3a969c")
def test_a_program_runs_on_the_weights_as_they_are_now(
    model: etui.Model, inputs: dict[str, np.ndarray], tmp_path: Path, close: Close
) -> None:
    """Where the weights were trained on, the program computes with the new ones, wherever its pointers point."""
    etui.onnx.export(model, tmp_path / "one.etui")
    opened = etui.open(tmp_path / "one.etui")
    assert opened.weights is not None
    variables = {
        path: replace(opened.weights[path], tensor=etui.Tensor.of(opened.weights[path].numpy() * np.float32(0.5)))
        for path in opened.weights
    }
    changed = replace(opened, weights=etui.Weights(variables))
    session = etui.onnx.session(changed)
    close(outputs_of(session, inputs), changed, inputs)
    # Software that knows nothing of ONNX keeps the bytes of the program while it lays the weights out anew.
    moved = main_of(opened)
    for tensor in moved.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "7" if entry.key == "offset" else entry.value
    stale_pointers = replace(
        opened, programs=opened.programs | {MAIN: etui.Blob.of(moved.SerializeToString(), "application/onnx")}
    )
    close(outputs_of(etui.onnx.session(stale_pointers), inputs), model, inputs)


@pytest.mark.clause("G-3@503a93")
def test_a_program_of_another_config_is_stale(model: etui.Model) -> None:
    """Once the config is another, a session is refused, unless the caller takes a stale program."""
    etui.onnx.export(model)
    assert model.config is not None
    root = model.config.model
    renamed = replace(model, config=etui.Config(replace(root, attrs={"trainable": False})))
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(renamed)
    assert caught.value.code == "program-stale"
    assert etui.onnx.session(renamed, stale=True).get_outputs()


@pytest.mark.clause("PG-4@3a969c")
def test_damaged_weights_are_found_before_they_are_used(model: etui.Model, tmp_path: Path) -> None:
    """A flipped bit of a variable is told by its digest when a session is made."""
    folder = tmp_path / "folder"
    etui.onnx.export(model, folder, form="directory")
    pointer = pointers(etui.open(folder))["last/kernel"]
    part = folder / pointer["location"]
    data = bytearray(part.read_bytes())
    data[int(pointer["offset"])] ^= 1
    part.write_bytes(bytes(data))
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(folder)
    assert caught.value.code == "digest-mismatch"


# --- what is stored in other ways -------------------------------------------------------------------------------------

KERNEL = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)
X = np.linspace(-2, 2, 18, dtype=np.float32).reshape(3, 6)


def quantized(dtype: str, *, zero_point: bool, blocks: tuple[int, int]) -> etui.Tensor:
    """A kernel of small integers with a scale for each block."""
    rng = np.random.default_rng(3)
    low, high = (0, 16) if dtype == "uint4" else (-8, 8)
    numbers = rng.integers(low, high, (6, 4)).astype(getattr(ml_dtypes, dtype) if "int4" in dtype else dtype)
    scale = etui.Tensor.of(rng.uniform(0.01, 0.2, blocks).astype(np.float32))
    points = rng.integers(max(low, 0), 4, blocks).astype(numbers.dtype)
    return etui.Tensor.quantized(
        etui.Tensor.of(numbers), scale, etui.Tensor.of(points) if zero_point else None, dtype="float32"
    )


STORED: dict[str, Callable[[], etui.Tensor]] = {
    "float64": lambda: etui.Tensor.of(KERNEL.astype(np.float64)),
    "float16": lambda: etui.Tensor.of(KERNEL.astype(np.float16)),
    "bfloat16": lambda: etui.Tensor.of(KERNEL.astype(ml_dtypes.bfloat16)),
    "float8_e4m3fn": lambda: etui.Tensor.of(KERNEL.astype(ml_dtypes.float8_e4m3fn)),
    "float8_e5m2": lambda: etui.Tensor.of(KERNEL.astype(ml_dtypes.float8_e5m2)),
    "chunks": lambda: etui.Tensor.chunked("float32", (6, 4), [((0, 0), KERNEL[:2]), ((2, 0), KERNEL[2:])]),
    "chunks in a grid": lambda: etui.Tensor.chunked(
        "float32",
        (6, 4),
        [((a, b), np.ascontiguousarray(KERNEL[a : a + 3, b : b + 2])) for a in (0, 3) for b in (0, 2)],
    ),
    "int8 with one scale": lambda: quantized("int8", zero_point=False, blocks=(1, 1)),
    "uint8 with scales and zero points of columns": lambda: quantized("uint8", zero_point=True, blocks=(1, 4)),
    "int8 in blocks": lambda: quantized("int8", zero_point=True, blocks=(3, 2)),
    "int4 in blocks": lambda: quantized("int4", zero_point=True, blocks=(3, 1)),
    "uint4": lambda: quantized("uint4", zero_point=False, blocks=(6, 4)),
}


@pytest.mark.clause("PG-2@c1cf5b", "PG-7@12686c")
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_a_variable_is_used_as_it_is_stored(stored: str, form: Any, tmp_path: Path, plain: Run, close: Close) -> None:
    """Other widths, chunks and quantized encodings are read where they lie; what they mean is computed by the graph."""
    model = dense_model(STORED[stored](), etui.Tensor.of(np.ones(4, np.float32)))
    place = tmp_path / "model.etui"
    etui.onnx.export(model, place, form=form)
    opened = etui.open(place)
    assert len(pointers(opened)) >= 2
    close(outputs_of(etui.onnx.session(opened), {"x": X}), model, X)
    if form == "directory":
        close(plain(place, "onnx", {"x": X}), model, X)


@pytest.mark.clause("PG-8@7ed3d5")
@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        (
            etui.Tensor.chunked(
                "float32",
                (6, 4),
                [
                    ((0, 0), KERNEL[:2]),
                    ((2, 0), np.ascontiguousarray(KERNEL[2:, :1])),
                    ((2, 1), np.ascontiguousarray(KERNEL[2:, 1:])),
                ],
            ),
            "chunks that do not lie in a grid",
        ),
        (etui.Tensor.of(KERNEL.astype(np.complex64)), "a variable of the encoding complex"),
        (etui.Tensor.of(np.ones((6, 4), ml_dtypes.float8_e8m0fnu)), "a variable of float8_e8m0fnu"),
    ],
)
def test_what_no_initializer_can_be_is_refused(kernel: etui.Tensor, found: str) -> None:
    """A variable that ONNX has no form for is refused by its name."""
    with pytest.raises(EtuiError) as caught:
        etui.onnx.export(dense_model(kernel))
    assert (caught.value.code, caught.value.where, caught.value.found) == ("onnx-tensor", "dense/kernel", found)


@pytest.mark.clause("PG-2@c1cf5b")
def test_an_alias_is_the_same_initializer(tmp_path: Path, close: Close) -> None:
    """Two layers that share a variable read one initializer."""
    model = dense_model(etui.Tensor.of(KERNEL[:4].copy()))
    assert model.config is not None
    assert model.weights is not None
    assert model.config.model.graph is not None
    second = etui.Module(
        "second", op="core:dense", attrs={"units": 4, "use_bias": False}, params={"kernel": "second/kernel"}
    )
    model.weights.aliases["second/kernel"] = "dense/kernel"
    model.config.model.modules.append(second)
    model.config.model.graph.calls.append(etui.Call("second", "second", [OutputRef("dense", 0)]))
    model.config.model.graph.outputs = OutputRef("second", 0)
    etui.onnx.export(model, tmp_path / "model.etui")
    opened = etui.open(tmp_path / "model.etui")
    assert list(pointers(opened)) == ["dense/kernel"]
    x = X[:, :4].copy()
    close(outputs_of(etui.onnx.session(opened), {"x": x}), model, x)


@pytest.mark.library
def test_the_report_has_every_module_and_variable(model: etui.Model) -> None:
    """Each module is translated, each variable restored, and what is computed in another width than it says is told."""
    report = Report()
    etui.onnx.export(model, report=report)
    assert report.counts() == {"module": {"translated": 5}, "variable": {"restored": 4}}
    wide = dense_model(etui.Tensor.of(KERNEL.astype(np.float64)))
    assert wide.config is not None
    wide.config.model.modules[1].attrs["precision"] = {"compute_dtype": "float64", "variable_dtype": "float64"}
    report = Report()
    etui.onnx.export(wide, report=report)
    assert report.counts() == {"module": {"cast": 1}, "variable": {"cast": 1}}


@pytest.mark.library
def test_names_that_inputs_and_variables_share_stay_apart(close: Close) -> None:
    """An input with the name of a variable keeps it, and the initializer gets another."""
    model = dense_model(etui.Tensor.of(KERNEL))
    assert model.weights is not None
    assert model.config is not None
    model.weights.add("x", etui.Tensor.of(np.ones(4, np.float32)), role="bias")
    module = model.config.model.modules[1]
    module.attrs.pop("use_bias")
    module.params["bias"] = "x"
    etui.onnx.export(model)
    assert sorted(json.loads(model.programs["programs/onnx/program.json"].read())) == [
        "config",
        "format",
        "inputs",
        "outputs",
        "variables",
        "version",
        "weights",
    ]
    close(outputs_of(etui.onnx.session(model), {"x": X}), model, X)
