"""What the tests of ONNX share: models, programs, and onnxruntime told of an artifact's folder and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.core.evaluate import evaluate
from etui.testing.runnable import core_model

Run = Callable[..., dict[str, np.ndarray]]


@pytest.fixture
def model() -> etui.Model:
    """A model of the core vocabulary with two inputs and two outputs."""
    return core_model()


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    """What the model takes: three examples."""
    rng = np.random.default_rng(5)
    return {
        "words": rng.integers(0, 10, (3, 4)).astype(np.int32),
        "vector": rng.normal(size=(3, 5)).astype(np.float32),
    }


@pytest.fixture
def plain() -> Run:
    """Runs the program of a folder by onnxruntime as its own manual says, without Etui."""
    onnxruntime: Any = pytest.importorskip("onnxruntime")

    def run(folder: Path, name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        graph = (folder / "programs" / name / "main.onnx").read_bytes()
        session = onnxruntime.InferenceSession(graph, options)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


@pytest.fixture
def close() -> Callable[..., None]:
    """Asserts that outputs are those of the reference evaluator."""

    def check(found: Mapping[str, np.ndarray], model: etui.Model, inputs: Any, *, bound: float = 1e-5) -> None:
        outputs = evaluate(model, inputs)
        wanted = outputs if isinstance(outputs, dict) else dict(zip(found, _listed(outputs), strict=True))
        assert found
        assert set(found) == set(wanted)
        for name, array in found.items():
            scale = max(1.0, float(np.abs(wanted[name]).max()))
            assert array.shape == wanted[name].shape
            assert float(np.abs(array - wanted[name]).max()) <= bound * scale

    return check


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
