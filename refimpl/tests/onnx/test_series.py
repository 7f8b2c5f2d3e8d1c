"""Steps of a series with a program of ONNX: it runs on the weights of its step, and its bytes are stored once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.checkpoints import Series
from etui.errors import EtuiError

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.frameworks

MAIN = "programs/onnx/main.onnx"
Close = Callable[..., None]
Run = Callable[..., dict[str, np.ndarray]]


def trained(model: etui.Model, factor: float) -> etui.Model:
    """The model as a training leaves it: other numbers, the same layout."""
    assert model.weights is not None
    variables = {
        path: replace(model.weights[path], tensor=etui.Tensor.of(model.weights[path].numpy() * np.float32(factor)))
        for path in model.weights
    }
    return replace(model, weights=etui.Weights(variables))


def outputs_of(session: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a session by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.fixture
def series(tmp_path: Path) -> Series:
    """An empty series."""
    return Series(tmp_path / "run")


@pytest.mark.clause("PG-4@3a969c", "PG-3@4af563")
def test_each_step_runs_on_its_own_weights(
    model: etui.Model, inputs: dict[str, np.ndarray], series: Series, close: Close
) -> None:
    """A program that was made once is saved with each step, and computes with the weights of it; its bytes are one."""
    etui.onnx.export(model)
    steps = {number: trained(model, 1 / number) for number in (1, 2, 3)}
    for number, one in steps.items():
        series.save(one, number)
    mains = set()
    for number, one in steps.items():
        with series[number].open() as opened:
            close(outputs_of(etui.onnx.session(opened), inputs), one, inputs)
            mains.add(opened.programs[MAIN].read())
    assert len(mains) == 1
    assert len(series.verify()) == 3


@pytest.mark.clause("PG-3@4af563")
@pytest.mark.parametrize("form", ["packed", "directory"])
@pytest.mark.parametrize("shard_size", [None, 200])
def test_a_step_that_is_exported_runs_without_the_series(
    model: etui.Model,
    inputs: dict[str, np.ndarray],
    series: Series,
    tmp_path: Path,
    *,
    plain: Run,
    close: Close,
    form: Any,
    shard_size: int | None,
) -> None:
    """An artifact that is made of a step has a program that points into its own parts."""
    etui.onnx.export(model)
    series.save(trained(model, 0.5), 7)
    place = tmp_path / "model"
    series[7].export(place, form, shard_size)
    series.remove(7)
    close(outputs_of(etui.onnx.session(place), inputs), trained(model, 0.5), inputs)
    if form == "directory":
        close(plain(place, "onnx", inputs), trained(model, 0.5), inputs)


@pytest.mark.clause("PG-11@3e1564", "PG-31@e84294")
def test_a_program_with_numbers_of_a_step_is_stale_in_the_next(
    model: etui.Model, inputs: dict[str, np.ndarray], series: Series, tmp_path: Path
) -> None:
    """What was taken in with numbers of its own runs in the step that it belongs to, and is told as stale in others."""
    etui.onnx.export(model, tmp_path / "folder", form="directory")
    proto = onnx.load(tmp_path / "folder" / MAIN, load_external_data=False)
    onnx.external_data_helper.load_external_data_for_model(proto, str(tmp_path / "folder"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.arange(2000, dtype=np.float32), "folded"))
    onnx.save(proto, tmp_path / "other.onnx")
    etui.onnx.add(model, tmp_path / "other.onnx")
    series.save(model, 1)
    series.save(trained(model, 2.0), 2)
    with series[1].open() as opened:
        assert outputs_of(etui.onnx.session(opened), inputs).keys() == {"score", "features"}
    with series[2].open() as opened, pytest.raises(EtuiError) as caught:
        etui.onnx.session(opened)
    assert caught.value.code == "program-stale"


@pytest.mark.clause("PG-4@3a969c")
def test_a_damaged_object_is_found_before_it_is_used(model: etui.Model, series: Series) -> None:
    """A bit that flipped in the objects of a series is told when a session is made."""
    etui.onnx.export(model)
    series.save(model, 1)
    assert model.weights is not None
    raw = model.weights["last/kernel"].numpy().tobytes()
    changed = 0
    for file in sorted(Path(series.location).rglob("*")):
        if file.is_file() and raw in (data := file.read_bytes()):
            file.chmod(0o600)
            file.write_bytes(data.replace(raw, bytes([raw[0] ^ 1]) + raw[1:]))
            changed += 1
    assert changed == 1
    with series[1].open() as opened, pytest.raises(EtuiError) as caught:
        etui.onnx.session(opened)
    assert caught.value.code == "digest-mismatch"
