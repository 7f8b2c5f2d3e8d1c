"""Keras models spread over devices by its distribution API: saved box by box, loaded under other layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import etui

pytestmark = pytest.mark.frameworks
SLOTS = [f"{at} adam/{name}" for at, name in ((11, "first_kernel_momentum"), (12, "first_kernel_velocity"))]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory, run: Any, seen_by: Any) -> dict[str, Any]:
    """What one process with four devices saw."""
    folder = tmp_path_factory.mktemp("layouts")
    ended = run("layouts", folder, processes=1, devices=4, program="keras_program.py")
    assert ended == [0], (folder / "log-0").read_text()[-3000:]
    found: dict[str, Any] = seen_by(folder, "layouts", 0)
    return found


@pytest.mark.clause("DW-35@079d5b", "DW-30@3ab3fd")
def test_a_spread_model_is_saved_box_by_box(layouts: dict[str, Any]) -> None:
    """Variables and slots that four devices share are four chunks, and no larger array is ever put together."""
    assert layouts["lost"] == []
    spread = {name: cut for name, cut in layouts["spread"].items() if "first_kernel" in name or "first/" in name}
    assert {spec for name, spec in spread.items() if "kernel" in name} == {"P(None, 'model')"}
    assert len(spread) == 4  # the kernel, its two slots, and the bias
    assert [layouts["chunks"][name] for name in ("first/kernel", "first/bias", "second/kernel", "norm/gamma")] == [
        4,
        4,
        4,
        1,
    ]
    assert layouts["largest"] == 8 * 12 // 4


@pytest.mark.clause("DW-35@079d5b", "DW-34@c47bc1")
@pytest.mark.parametrize("layout", ["rows", "replicated", "none"])
def test_it_goes_on_under_another_layout(layouts: dict[str, Any], layout: str) -> None:
    """Every variable, slot, random stream and metric is the same under another layout, and the next loss follows."""
    for way in (layout, f"weights {layout}"):
        assert len(layouts[way]) == 28
        assert [name for name, same in layouts[way].items() if not same] == []
    assert layouts[f"loss {layout}"] == pytest.approx(layouts["loss"], rel=1e-6)


@pytest.mark.clause("DW-34@c47bc1")
def test_under_a_layout_no_variable_is_read_as_a_whole(layouts: dict[str, Any]) -> None:
    """A variable on several devices is read by its boxes, its slots too; one on a single device as a whole."""
    assert [layouts[f"whole {name}"] for name in ("rows", "replicated", "none")] == [0, 0, 3]
    assert layouts["spread none"] == layouts["spread replicated"] == {}
    cut = layouts["spread rows"]
    assert {cut[name] for name in cut if "first" in name} == {"P('model', None)"}
    assert {cut[name] for name in cut if "second" in name} == {"P('batch', 'model')"}
    assert set(SLOTS) <= cut.keys()


@pytest.mark.clause("DW-35@079d5b")
def test_two_processes_share_a_model(tmp_path: Path, run: Any, seen_by: Any) -> None:
    """Two processes train one model, save it together, and load it under another layout with the same bits."""
    ended = run("processes", tmp_path, program="keras_program.py")
    assert ended == [0, 0], (tmp_path / "log-0").read_text()[-3000:]
    one, two = (seen_by(tmp_path, "processes", rank) for rank in (0, 1))
    with etui.open(tmp_path / "processes") as model:
        assert one["identity"] == two["identity"] == model.digest
        assert model.weights is not None
        assert len(model.weights["first/kernel"].tensor.pieces) == 4
    for process in (one, two):
        assert process["alone"][0] == "jax-leaf"
        assert "etui.jax.save_distributed" in process["alone"][1]
        assert len(process["equal"]) == 28
        assert [name for name, same in process["equal"].items() if not same] == []
        assert {process["spread"][name] for name in SLOTS} == {"P('model', None)"}
