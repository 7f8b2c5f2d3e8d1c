"""Models of Keras in the viewer: a MobileNet, one of nested and shared models, a recurrent one, one without a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

Page = Any
Until = Callable[[Page, str], None]
pytestmark = [pytest.mark.library, pytest.mark.browser, pytest.mark.frameworks]


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras 3."""
    return pytest.importorskip("keras")


def shown(page: Page, model: Any, folder: Path) -> Page:
    """The page of a live model, waited for."""
    target = folder / "page.html"
    etui.view(model, html=target, browser=False)
    page.goto(target.as_uri())
    page.wait_for_selector(".node")
    return page


def test_a_mobilenet_is_drawn(until: Until, keras: Any, page: Page, tmp_path: Path) -> None:
    """Every layer is in the graph with the shape that Keras gives for its output, and a kernel has its picture."""
    model = keras.applications.MobileNet(weights=None)
    model.compile("adam", "categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    shown(page, model, tmp_path)
    assert page.inner_text("h1") == "mobilenet_1.00_224"
    page.locator("[data-node='input_layer'], .node").first.focus()
    seen: dict[str, str] = {}
    for _ in range(len(model.layers) + 3):
        node, text = page.evaluate(
            "(({ dataset, innerText }) => [dataset.node, innerText.replace(/\\s+/g, ' ')])(document.activeElement)"
        )
        seen[node] = text
        if node == "/outputs/output":
            break
        page.keyboard.press("ArrowDown")
        until(page, f"document.activeElement.dataset.node !== {node!r}")
    for layer in model.layers:
        shape = "×".join("?" if size is None else str(size) for size in layer.output.shape)
        assert f"gives {shape}" in seen[layer.name], layer.name
    page.click(".outline [data-path='conv1']")
    page.click(".details .card")
    page.wait_for_selector(".kernel canvas")
    label = page.get_attribute(".kernel canvas[role=img]", "aria-label")
    assert label == "Picture of the values: 32 filters of 3 × 3; colours are the three input channels"
    assert "momentum" in page.inner_text(".details")


def test_nested_and_shared_models_are_drawn(keras: Any, page: Page, tmp_path: Path) -> None:
    """Models in models unfold level by level, and a shared one is the same at each of its calls."""
    layers = keras.layers
    start = keras.Input((6,), name="start")
    core = keras.Sequential([layers.Dense(5, name="a"), layers.Dense(4, name="b")], name="core")
    middle = keras.Model(start, core(start), name="middle")
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    outer = keras.Model([left, right], layers.Add(name="sum")([middle(left), middle(right)]), name="outer")
    shown(page, outer, tmp_path)
    assert page.locator(".node.shared").count() == 2
    while page.locator("[aria-label='Unfold nested models']").count():
        page.click("[aria-label='Unfold nested models']")
    page.click("[aria-label='Show all']")
    page.wait_for_selector("[data-node$='core/b']")
    assert page.locator("[data-node$='core/a']").count() == 2
    page.locator("[data-node$='core/b']").first.click()
    page.wait_for_selector(".details .card")
    assert page.locator(".node.sibling").count() == 1


def test_a_recurrent_model_is_drawn(keras: Any, page: Page, tmp_path: Path) -> None:
    """Cells are inside of their layers, a mask is a connection, and the optimizer's slots are told."""
    layers = keras.layers
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(30, 8, mask_zero=True, name="embed")(tokens)
    x = layers.Bidirectional(layers.LSTM(6, return_sequences=True), name="both")(x)
    model = keras.Model(tokens, layers.GRU(5, name="last")(x), name="tagger")
    model.compile("rmsprop", "mse")
    model.fit(np.ones((4, 3), np.int32), np.zeros((4, 5)), verbose=0)
    shown(page, model, tmp_path)
    assert "?×?×12" in page.locator(".edge-label").all_inner_texts()
    page.locator("[data-node='both'] [data-twisty]").click()
    page.wait_for_selector("[data-node='both/backward_layer']")
    page.click("#tab-training")
    found = page.inner_text(".page")
    for text in ("RMSprop", "Completed steps\n1", "velocity", "mse"):
        assert text in found


def test_a_subclassed_model_is_drawn(keras: Any, page: Page, tmp_path: Path) -> None:
    """A model whose code is not stored shows its parts, their variables and numbers."""

    class Own(keras.Model):  # type: ignore[misc]
        """A model of two layers."""

        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(3)
            self.second = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            """One layer after the other."""
            return self.second(self.first(x))

    model = Own()
    model(np.zeros((1, 4), np.float32))
    shown(page, model, tmp_path)
    assert page.locator("[data-node='first'], [data-node='second']").count() == 2
    assert page.locator("path.edge").count() == 0
    page.click(".outline [role=treeitem] >> nth=0")
    assert "which is not stored" in page.inner_text(".details")


def test_a_converted_file_has_its_report(keras: Any, page: Page, tmp_path: Path) -> None:
    """A .keras file is converted on the way, and the page tells what became of each item, and what it came from."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="small")
    path = tmp_path / "small.keras"
    model.save(path)
    target = tmp_path / "page.html"
    etui.view(path, html=target, browser=False)
    page.goto(target.as_uri())
    page.click("#tab-report")
    assert "Everything was carried over" in page.inner_text(".table-bar")
    assert page.locator(".grid .row").count() >= 4
    page.click("#tab-provenance")
    assert "keras 3" in page.inner_text(".page")
    assert "in force" in page.inner_text(".page")
