"""What no program of ONNX says is refused by name, and the documentation has the table that the code gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.canonical.values import ObjectValue, OutputRef
from etui.core.vocabulary import ops
from etui.errors import EtuiError
from etui.testing.runnable import core_model

pytest.importorskip("onnx")
pytestmark = pytest.mark.frameworks

LIBRARY = Path(__file__).parents[2]
PAGE = LIBRARY / "docs" / "programs.md"


def one_op(
    op: str, attrs: dict[str, Any], shape: list[int | None] | None, dtype: str = "float32", **kwargs: Any
) -> Any:
    """A model of an op that takes one tensor."""
    modules = [
        etui.Module("x", op="core:input", attrs={"shape": shape, "dtype": dtype}),
        etui.Module("inner", op=op, attrs=attrs),
    ]
    calls = [etui.Call("x", "x"), etui.Call("inner", "inner", [OutputRef("x", 0)], kwargs)]
    graph = etui.Graph([OutputRef("x", 0)], OutputRef("inner", 0), calls)
    root = etui.Module("model", "graph", "core:graph", modules=modules, graph=graph)
    return etui.Model(etui.Config(root), etui.Weights())


def optional() -> etui.Model:
    """A model whose input may be absent."""
    model = one_op("core:identity", {}, [None, 3])
    model.config.model.modules[0].attrs["optional"] = True
    found: etui.Model = model
    return found


PLACE = "inner (core:{})".format
REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "an op of a framework": (
        lambda: one_op("keras:Hashing", {"num_bins": 3}, [None, 2]),
        "onnx-op",
        "inner (keras:Hashing)",
    ),
    "an op of the author": (lambda: one_op("custom:mine>Own", {}, [None, 2]), "onnx-op", "inner (custom:mine>Own)"),
    "dropout in training": (
        lambda: one_op("core:dropout", {"rate": 0.5}, [None, 2], training=True),
        "onnx-op",
        PLACE("dropout"),
    ),
    "noise in training": (
        lambda: one_op("core:gaussian_noise", {"stddev": 0.5}, [None, 2], training=True),
        "onnx-op",
        PLACE("gaussian_noise"),
    ),
    "a squeeze of free axes": (lambda: one_op("core:squeeze", {}, [None, 1]), "onnx-shape", PLACE("squeeze")),
    "adaptive pooling of free axes": (
        lambda: one_op("core:adaptive_avg_pool", {"output_size": [2]}, [None, None, 3]),
        "onnx-shape",
        PLACE("adaptive_avg_pool"),
    ),
    "a cast to text": (lambda: one_op("core:cast", {"dtype": "string"}, [None, 2]), "onnx-op", PLACE("cast")),
    "a cast to complex numbers": (
        lambda: one_op("core:cast", {"dtype": "complex64"}, [None, 2]),
        "onnx-op",
        PLACE("cast"),
    ),
    "parts that are not equal": (
        lambda: one_op("core:split", {"sections": 2, "axis": 1}, [None, 3]),
        "onnx-op",
        PLACE("split"),
    ),
    "an activation of others": (
        lambda: one_op("core:activation", {"function": ObjectValue("custom:mine>f", {})}, [None, 2]),
        "onnx-op",
        PLACE("activation"),
    ),
    "a missing attribute": (lambda: one_op("core:repeat", {}, [None, 2]), "onnx-op", PLACE("repeat")),
    "axes that there are not": (
        lambda: one_op("core:permute", {"axes": [0, 5, 1]}, [None, 2]),
        "onnx-build",
        PLACE("permute"),
    ),
    "an absent input": (optional, "onnx-op", "the input 'x'"),
    "an input of complex numbers": (
        lambda: one_op("core:identity", {}, [None, 2], "complex64"),
        "onnx-op",
        "the input 'x'",
    ),
    "an input of unknown rank": (lambda: one_op("core:identity", {}, None), "onnx-shape", "the input 'x'"),
}


@pytest.mark.clause("PG-8@7ed3d5")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_said_is_refused_by_name(case: str) -> None:
    """The error names the module and what it is, and the model gets no program."""
    make, code, where = REFUSED[case]
    model = make()
    with pytest.raises(EtuiError) as caught:
        etui.onnx.export(model)
    assert (caught.value.code, caught.value.where) == (code, where)
    assert model.programs == {}


@pytest.mark.clause("PG-8@7ed3d5")
def test_what_stays_because_of_the_model_around_it_says_so() -> None:
    """The error of a module in a model that stays as a whole has the reason of that, and not that its op is unknown."""
    inner = etui.Module("it", op="keras:ReLU", attrs={"dtype": "float32"})
    modules = [
        etui.Module("x", op="keras:InputLayer", attrs={"batch_shape": [None, 4], "dtype": "float32"}),
        inner,
    ]
    calls = [etui.Call("x", "x"), etui.Call("it", "it", [OutputRef("x", 0)])]
    graph = etui.Graph([OutputRef("x", 0)], OutputRef("it", 0), calls)
    root = etui.Module("whole", "graph", "keras:Functional", modules=modules, graph=graph)
    root.residue["keras"] = {"tensors": {"x": [[]]}}
    with pytest.raises(EtuiError) as caught:
        etui.onnx.export(etui.Model(etui.Config(root), etui.Weights()))
    assert caught.value.code == "onnx-op"
    assert "'whole', keras:Functional stays: " in str(caught.value.found)


@pytest.mark.clause("PG-8@7ed3d5")
def test_a_model_without_config_or_weights_is_refused() -> None:
    """Weights alone are no graph, and a graph without its weights has no numbers."""
    whole = core_model()
    with pytest.raises(EtuiError) as caught:
        etui.onnx.export(etui.Model(weights=whole.weights))
    assert caught.value.code == "onnx-op"
    with pytest.raises(EtuiError) as caught:
        etui.onnx.export(etui.Model(whole.config))
    assert (caught.value.code, caught.value.where) == ("onnx-tensor", "embedding/embeddings")


@pytest.mark.clause("PG-8@7ed3d5")
def test_a_failed_export_leaves_the_artifact_as_it_was(tmp_path: Path) -> None:
    """An artifact to which no program can be added keeps its bytes."""
    place = tmp_path / "model.etui"
    etui.save(REFUSED["a cast to text"][0](), place)
    before = place.read_bytes()
    with pytest.raises(EtuiError):
        etui.onnx.export(place)
    assert place.read_bytes() == before


@pytest.mark.library
def test_every_op_is_in_the_table() -> None:
    """`etui.onnx.supported` has each op of the vocabulary, and none that cannot be said at all."""
    limits = etui.onnx.supported()
    assert set(limits) == set(ops())
    assert "not at all" not in limits.values()


@pytest.mark.library
def test_the_page_has_the_table_of_the_code() -> None:
    """The documentation says of every op what the code says."""
    from etui.bridges.onnx.support import table

    assert table() in PAGE.read_text(encoding="utf-8")


@pytest.mark.library
@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_package_is_told(missing: str, tmp_path: Path) -> None:
    """Without onnx or onnxruntime, the error says what to install."""
    place = tmp_path / "model.etui"
    etui.onnx.export(core_model(), place)
    script = f"""
import sys
sys.modules[{missing!r}] = None
import etui
try:
    etui.onnx.session({str(place)!r})
except etui.MissingExtraError as fault:
    print(fault.code, "etui[onnx]" in str(fault))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(LIBRARY)}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("extra-onnx True\n", "")


@pytest.mark.library
def test_a_program_of_that_name_is_replaced_only_on_request(tmp_path: Path) -> None:
    """A second program of a name is refused, and takes the place of the first if the caller says so."""
    place = tmp_path / "model.etui"
    etui.onnx.export(core_model(), place)
    with pytest.raises(EtuiError) as caught:
        etui.onnx.export(place)
    assert caught.value.code == "program-exists"
    etui.onnx.export(place, replace=True)
    etui.onnx.export(place, name="second")
    with pytest.raises(EtuiError) as caught:
        etui.onnx.session(place)
    assert (caught.value.code, "second" in str(caught.value.found)) == ("program-missing", True)
    words, vector = np.zeros((1, 2), np.int32), np.zeros((1, 5), np.float32)
    assert len(etui.onnx.session(place, "second").run(None, {"words": words, "vector": vector})) == 2
