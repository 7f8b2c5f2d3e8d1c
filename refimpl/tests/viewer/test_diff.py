"""Two models in the viewer: what changed in structure, attributes, training and numbers, and by how much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

Page = Any
pytestmark = [pytest.mark.library, pytest.mark.browser]


@pytest.fixture
def both(look: Callable[..., Page]) -> Page:
    """The page that compares two epochs of a model."""
    return look("trained", "later")


def rows(page: Page) -> dict[str, list[str]]:
    """The table of changed tensors: path -> its other columns."""
    found = page.locator(".grid .row").evaluate_all(
        "rows => rows.map(r => [...r.children].map(c => c.innerText.replace(/\\s+/g, '').trim()))"
    )
    return {row[0]: row[1:] for row in found}


def test_the_summary_tells_every_change(both: Page) -> None:
    """Added and changed modules, and each place of training, optimizer and state that differs, with both sides."""
    changes = [" ".join(text.split()) for text in both.locator(".changes li").all_inner_texts()]
    assert changes == [
        "the model Functional changed",
        "encoder/ expand Dense changed",
        "drop Dropout added",
    ]
    found = both.inner_text(".page")
    for text in ("Training", "Optimizer", "State", "mae", "mse", "optimizers/optimizer/step"):
        assert text in found
    sides = both.locator(".field:has-text('optimizers/optimizer/step') .side").all_inner_texts()
    assert [side.split()[-1] for side in sides] == ["10", "11"]


def test_the_window_itself_does_not_scroll(look: Callable[..., Page]) -> None:
    """A long list of changes scrolls below the head of the page, whatever is for screen readers alone."""
    page = look("trained", "everything")
    page.set_viewport_size({"width": 900, "height": 400})
    assert page.evaluate("document.querySelector('.page').scrollHeight > innerHeight")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_the_size_of_each_change_is_told(both: Page, models: dict[str, Path]) -> None:
    """Elements, largest, mean and relative difference and cosine of a tensor are those that numpy gives."""
    both.click(".segmented button:text-is('Numbers')")
    with etui.open(models["trained"]) as a, etui.open(models["later"]) as b:
        before, after = (model.weights["head/kernel"].numpy().astype(float) for model in (a, b))  # type: ignore[index]
    distance = after - before
    relative = np.linalg.norm(distance) / np.linalg.norm(before)
    cosine = float((before * after).sum() / np.linalg.norm(before) / np.linalg.norm(after))
    found = rows(both)["head/kernel"]
    assert found[:5] == ["values", "4×1", "25%", "1", "0.25"]
    assert float(found[5]) == pytest.approx(float(relative), rel=1e-3)
    assert float(found[6]) == pytest.approx(cosine, rel=1e-3)
    assert rows(both)["encoder/expand/bias"][0] == "changed"


def test_a_page_computes_the_same_as_etui_view(
    until: Callable[[Page, str], None], both: Page, new_page: Callable[..., Page], models: dict[str, Path]
) -> None:
    """Two files that are opened in the page have the same differences as in a page that etui view made."""
    other = new_page()
    other.goto((Path(__file__).parents[2] / "etui" / "viewing" / "page.html").as_uri())
    other.locator("input[type=file]").first.set_input_files([str(models["trained"]), str(models["later"])])
    tables = []
    for page in (both, other):
        page.click(".segmented button:text-is('Numbers')")
        until(
            page,
            "[...document.querySelectorAll('.grid .row')].filter((r) => r.children[6].innerText.trim()).length >= 2",
        )
        tables.append(rows(page))
    assert tables[0] == tables[1]
    assert len(tables[0]) >= 4


def test_both_structures_stand_side_by_side(until: Callable[[Page, str], None], both: Page) -> None:
    """Changed, added and removed modules are marked in two graphs that move together, with the size of the change."""
    both.click(".segmented button:text-is('Structure')")
    both.wait_for_selector(".beside figure:nth-child(2) .node")
    before, after = (both.locator(f".beside figure:nth-child({number})") for number in (1, 2))
    assert before.locator("[data-node='drop']").count() == 0
    assert "added" in after.locator("[data-node='drop']").get_attribute("class")
    for side in (before, after):  # what changed is inside of it
        assert "changed" in side.locator("[data-node='encoder']").get_attribute("class")
    assert after.locator("[data-node='head'] .delta").inner_text() == "Δ 0.183"
    before.locator("[aria-label='Larger']").click()
    scale = "new DOMMatrix(getComputedStyle(scene).transform).a"
    until(both, f"[...document.querySelectorAll('.scene')].every((scene) => Math.abs({scale} - 1.3) < 0.01)")


def test_the_change_of_a_module_is_in_its_details(both: Page) -> None:
    """What was and what is stand beside each other."""
    both.click(".changes .link:has-text('encoder')")
    field = both.locator(".details .field:has-text('attrs/units') .side")
    assert [text.split()[-1] for text in field.all_inner_texts()] == ["4", "5"]


def test_what_only_the_older_model_has_is_shown(look: Callable[..., Page]) -> None:
    """The other way round the layer was removed, and its details are those of the older model."""
    page = look("later", "trained")
    page.click(".changes li:has-text('removed') .link")
    assert page.inner_text(".details h2") == "Dropout"
    assert "Only in the older model" in page.inner_text(".details")


def test_equal_models_are_called_the_same(page: Page, models: dict[str, Path], tmp_path: Path) -> None:
    """Of two models that are the same nothing is listed."""
    target = tmp_path / "same.html"
    etui.view(models["trained"], models["trained"], html=target, browser=False)
    page.goto(target.as_uri())
    assert page.inner_text(".page h2") == "The same model"
