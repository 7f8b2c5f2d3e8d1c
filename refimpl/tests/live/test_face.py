"""The public face of live models, without a framework."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import etui
from etui.error_codes import ERROR_CODES

FRAMEWORKS = ("keras", "tf_keras", "tensorflow", "jax", "torch", "h5py")


@pytest.mark.library
def test_the_face_imports_no_framework() -> None:
    """Importing `etui` imports no module of live models, and `etui.keras` no framework."""
    script = (
        "import sys, etui\n"
        "assert 'etui.keras' not in sys.modules\n"
        "assert etui.keras.load and etui.keras.ModelCheckpoint('x-{epoch}.etui')\n"
        f"found = sorted(set(sys.modules) & set({FRAMEWORKS!r}))\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.library
def test_save_takes_neutral_models_and_refuses_others(tmp_path: Path) -> None:
    """`etui.save` writes an `etui.Model` as before, and names what is no model."""
    weights = etui.Weights()
    weights.add("a", etui.Tensor.of(np.zeros(2, np.float32)), role="a")
    identity = etui.save(etui.Model(weights=weights), tmp_path / "a.etui")
    with etui.open(tmp_path / "a.etui") as stored:
        assert stored.digest == identity
    with pytest.raises(etui.UsageError) as refused:
        etui.save({"a": 1}, tmp_path / "b.etui")
    assert refused.value.code == "live-model"
    assert "dict" in str(refused.value)


@pytest.mark.library
def test_an_absent_framework_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load without the framework says which one is missing."""
    from etui.bridges.keras.live import framework as live_framework

    monkeypatch.setattr(live_framework, "find_spec", lambda _: None)
    with pytest.raises(etui.MissingExtraError) as refused:
        live_framework.framework_named(None)
    assert refused.value.code == "live-framework"
    assert "keras or tf_keras" in str(refused.value)
    with pytest.raises(etui.UsageError):
        live_framework.framework_named("kerosene")


@pytest.mark.clause("KL-24@34ebf1")
def test_the_latest_checkpoint_needs_no_framework(tmp_path: Path) -> None:
    """Checkpoints are compared by counters, then by batches, then by the optimizer's steps."""
    for name, counters in (("b", {"epoch": 2, "batch": 0}), ("a", {"epoch": 2, "batch": 5}), ("c", {"epoch": 1})):
        weights = etui.Weights()
        weights.add("w", etui.Tensor.of(np.zeros(1, np.float32)), role="w")
        etui.save(etui.Model(weights=weights, state=etui.State(counters=counters)), tmp_path / f"ck-{name}.etui")
    assert etui.keras.latest_checkpoint(tmp_path / "ck-{epoch}.etui") == str(tmp_path / "ck-a.etui")
    assert etui.keras.latest_checkpoint(tmp_path / "other-{epoch}.etui") is None


@pytest.mark.library
def test_every_code_of_live_models_says_what_to_do() -> None:
    """Each code of live models has a summary and a hint."""
    codes = {code: entry for code, entry in ERROR_CODES.items() if code.startswith("live-")}
    assert len(codes) > 10
    assert all(entry.hint.endswith(".") and entry.summary for entry in codes.values())
