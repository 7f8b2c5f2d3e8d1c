"""Real models: programs of them give what Keras, PyTorch and the evaluator give, on weights that are stored once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import etui

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.frameworks

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
BOUND = 1e-5
NARROW = {
    "bfloat16_policy": 1e-2,
    "float16_policy": 1e-3,
    "mixed_bfloat16": 1e-2,
    "mixed_float16": 1e-3,
    "different_policy_in_each_layer": 1e-2,
}
"""Models that Keras computes in 16 bits, and programs in float32: how far Keras' rounding may be from these."""

AT_LEAST = {"corpus": 110, "classes": 8}
MINUTES = 20


def script(name: str, *arguments: object, backend: str) -> str:
    """What a script of this folder prints, run in a process of its own."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(LIBRARY),
        "PYTHONWARNINGS": "",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, str(HERE / name), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{name} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


@pytest.mark.clause("PG-7@12686c", "PG-8@7ed3d5")
@pytest.mark.parametrize("side", ["classes", pytest.param("corpus", marks=pytest.mark.real)])
def test_programs_of_keras_models_predict_as_keras(side: str, tmp_path: Path) -> None:
    """Programs predict as Keras for every model that the vocabulary says, and all others are refused by name."""
    script("judge_keras.py", side, tmp_path / "found.json", backend="jax")
    found = json.loads((tmp_path / "found.json").read_text())
    computed = {name: one["difference"] for name, one in found.items() if not one["code"]}
    assert {name: gap for name, gap in computed.items() if not gap <= NARROW.get(name, BOUND)} == {}
    assert len(computed) >= AT_LEAST[side]
    refused = {name: one for name, one in found.items() if one["code"]}
    assert Counter(one["code"] for one in refused.values()).keys() <= {"onnx-op"}
    assert all(" stays: " in one["found"] or "does not have" in one["found"] for one in refused.values())


@pytest.mark.clause("PG-2@c1cf5b", "PG-4@3a969c", "PG-7@12686c", "PG-10@e937f0")
def test_a_mobilenet(tmp_path: Path) -> None:
    """A MobileNet predicts alike in Keras, in the evaluator and in each of its programs, and has its weights once."""
    lines = script("judge_mobilenet.py", tmp_path, backend="tensorflow").splitlines()
    found = json.loads(lines[-1])
    assert set(found["difference"]) == {
        "evaluator",
        "packed",
        "directory",
        "etui.run",
        "onnxruntime alone",
        "exported by Keras",
    }
    assert {what: gap for what, gap in found["difference"].items() if not gap <= BOUND} == {}
    sizes = found["bytes"]
    assert sizes["weights"] > 9_000_000
    assert sizes["program"] < 150_000
    assert sizes["before"] < sizes["weights"] * 1.03


@pytest.mark.clause("PG-10@e937f0", "PG-9@5120bf")
@pytest.mark.parametrize("dynamo", [False, True])
def test_what_torch_exports_is_taken_in(tmp_path: Path, *, dynamo: bool) -> None:
    """Kernels that torch stores transposed, embeddings and biases are the artifact's own variables."""
    found = json.loads(script("judge_torch.py", tmp_path, int(dynamo), backend="torch").splitlines()[-1])
    assert set(found["variables"]) == {
        "conv/kernel",
        "conv/bias",
        "hidden/kernel",
        "hidden/bias",
        "words/embeddings",
        "last/kernel",
        "last/bias",
    }
    assert found["parts"] == ["programs/onnx/main.onnx", "programs/onnx/program.json"]
    assert found["difference"] <= BOUND


MEGABYTES = 96


@pytest.mark.library
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read as Linux has it")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_a_session_maps_the_weights(form: str, tmp_path: Path) -> None:
    """A large table is looked up where it lies in the file: the process takes no memory of its own for it."""
    rows = MEGABYTES * 2**20 // (64 * 4)
    weights = etui.Weights()
    weights.add("table/embeddings", etui.Tensor.of(np.ones((rows, 64), np.float32)), role="embeddings")
    modules = [
        etui.Module("i", op="core:input", attrs={"shape": [None, 2], "dtype": "int32"}),
        etui.Module(
            "table",
            op="core:embedding",
            attrs={"input_dim": rows, "output_dim": 64},
            params={"embeddings": "table/embeddings"},
        ),
    ]
    calls = [etui.Call("i", "i"), etui.Call("table", "table", [etui.OutputRef("i", 0)])]
    graph = etui.Graph([etui.OutputRef("i", 0)], etui.OutputRef("table", 0), calls)
    root = etui.Module("model", "graph", "core:graph", modules=modules, graph=graph)
    place = tmp_path / "model"
    etui.onnx.export(etui.Model(etui.Config(root), weights), place, form=form)  # type: ignore[arg-type]
    code = f"""
import numpy as np, etui, onnxruntime, etui.bridges.onnx.session
def own():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) // 1024
x = np.array([[0, {rows - 1}]], "int32")
before = own()
session = etui.onnx.session({str(place)!r})
found = session.run(None, {{"i": x}})[0]
print(float(found.sum()), own() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        check=True,
    )
    total, taken = done.stdout.split()
    assert float(total) == 128.0
    assert int(taken) < MEGABYTES // 3
