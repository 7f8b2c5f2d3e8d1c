"""What notebooks show: small, whole HTML that runs and fetches nothing, whatever a file holds."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import etui
from etui import checkpoints
from etui.report import STATUSES
from etui.testing import artifacts
from etui.testing import tensors as tensor_strategies
from etui.testing.samples import everything
from etui.viewing import notebook
from etui.viewing.notebook import html_of

pytestmark = pytest.mark.library

ALLOWED = {
    *("b", "code", "details", "div", "rect", "span", "style", "summary", "svg", "table", "tbody", "td", "th", "thead"),
    "tr",
}
ATTRIBUTES = {"aria-label", "class", "height", "open", "role", "scope", "viewbox", "width", "x", "y"}
VOID = {"rect"}


class Checked(HTMLParser):
    """Reads HTML as a browser does, and fails where it is not whole or does what it should not."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.tags.append(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        assert {name for name, _ in attrs} <= ATTRIBUTES

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.texts.append(data)


def shown(thing: Any) -> str:
    """The texts of what a notebook shows, which is checked."""
    html = thing._repr_html_()
    assert len(html) < 60_000
    assert "url(" not in html
    assert "@import" not in html
    return " | ".join(Checked(html).texts)


def test_a_model_shows_what_is_in_it(tmp_path: Path) -> None:
    """Identity, profile, parameters, optimizer, modules and variables of a model stand in its HTML."""
    identity = etui.save(everything(), tmp_path / "model.etui")
    with etui.open(tmp_path / "model.etui") as model:
        found = shown(model)
    for text in (identity, "packed", "parameters", "13 variables", "dense/kernel", "float32", "4 × 4", "modules"):
        assert text in found
    assert "parameters" in shown(everything().weights)


def test_a_tensor_shows_its_numbers() -> None:
    """Shape, dtype, range, mean, counts and a histogram that says in words what it shows."""
    tensor = etui.Tensor.of(np.array([0.0, 1.0, np.nan, np.inf, 3.0], np.float32))
    found = shown(tensor)
    for text in ("float32 5", "5, 20 B", "0 to 3, mean 1.333 ± 1.247", "1 NaN, 1 infinite, 1 zero"):
        assert text in found
    assert 'aria-label="histogram from 0 to 3"' in tensor._repr_html_()
    weights = everything().weights
    assert weights is not None
    assert "role | kernel" in shown(weights["dense/kernel"])
    assert "trainable" in shown(weights["dense/kernel"])


def test_a_large_tensor_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor beyond the bound shows no statistics, and its elements are not asked for."""

    def load() -> np.ndarray[Any, Any]:
        raise AssertionError

    found = shown(etui.Tensor.lazy("float32", (5_000_000,), load))
    assert "statistics | not read: more than 16.8 MB" in found
    monkeypatch.setattr(notebook, "LOOKED_AT_BYTES", 3)
    assert "not read" in shown(etui.Tensor.of(np.zeros(1, np.float32)))


def test_a_damaged_tensor_says_so(tmp_path: Path) -> None:
    """A tensor that cannot be read shows why, in place of its numbers, and raises nothing."""
    etui.save(everything(), tmp_path / "model", form="directory")
    data = tmp_path / "model" / "weights.safetensors"
    content = data.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    data.write_bytes(content[:begin] + bytes(byte ^ 1 for byte in content[begin:]))
    with etui.open(tmp_path / "model") as model:
        assert model.weights is not None
        found = shown(model.weights["dense/kernel"])
    assert "digest-mismatch" in found
    assert "range" not in found


def test_a_report_shows_what_was_lost() -> None:
    """Counts, and each item that was lost, changed or left out, with the reason; what was lost is open."""
    report = etui.Report("https://user:secret@host/a.keras?key=1", "b.etui")
    for status in STATUSES:
        report.add("variable", f"v/{status}", status, "because")
    found = shown(report)
    for text in ("5 not carried over", "5 lost", "3 changed", "1 left out", "variable v/missing", "because"):
        assert text in found
    assert "secret" not in found
    assert "key=1" not in found
    assert report._repr_html_().count("<details open>") == 1
    whole = etui.Report("a", "b")
    whole.add("variable", "v", "restored")
    assert "nothing was lost" in shown(whole)


def test_a_step_shows_its_metrics(tmp_path: Path) -> None:
    """A step of a series has its number, identity, time and metrics."""
    step = checkpoints.Series(tmp_path / "run").save(everything(), 7, metrics={"loss": 0.25})
    found = shown(step)
    for text in ("7", step.identity, step.time, "loss | 0.25"):
        assert text in found


def test_long_lists_are_cut() -> None:
    """Of many variables the first are listed, and the others counted."""
    weights = etui.Weights()
    for number in range(1000):
        weights.add(f"w{number}", etui.Tensor.of(np.zeros(1)), role="kernel")
    found = shown(weights)
    assert "w29" in found
    assert "w30 " not in found
    assert "… and 970 more" in found


@given(artifacts.models())
@settings(max_examples=60, deadline=None)
def test_any_model_can_be_shown(model: etui.Model) -> None:
    """The HTML of any model, and of its weights and tensors, is whole and harmless."""
    shown(model)
    if model.weights is not None:
        shown(model.weights)


@given(tensor_strategies.tensors())
@settings(max_examples=100, deadline=None)
def test_any_tensor_can_be_shown(tensor: etui.Tensor) -> None:
    """The HTML of a tensor of any dtype, encoding and shape is whole."""
    assert tensor.dtype in shown(tensor)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "&lt;b&gt;", "a\u202eb\x1b[0m"]
)
def test_no_text_of_a_file_becomes_markup(text: str) -> None:
    """Names from a file stand as text, with the characters that cannot be seen as their codes."""
    report = etui.Report(text, text)
    report.add(text, text, "missing", text)
    model = etui.Model(
        config=etui.Config(etui.Module(text, op=f"custom:{text}", modules=[etui.Module(text, op="x:y")]))
    )
    for thing in (report, model):
        found = shown(thing)
        assert found.isprintable()
        assert text in found or "⟨U+202E⟩" in found


def test_other_things_are_not_shown() -> None:
    """Only what is Etui's has HTML of Etui's."""
    with pytest.raises(TypeError, match="int"):
        html_of(5)
