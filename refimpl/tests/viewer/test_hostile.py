"""Names and values of a stranger's file that are made to harm who shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etui.testing import view_models

Page = Any
Until = Callable[[Page, str], None]
pytestmark = [pytest.mark.library, pytest.mark.browser]


@pytest.fixture
def hostile(look: Callable[..., Page]) -> Page:
    """The page of a model whose texts are markup, marks of direction, and very long."""
    return look("hostile")


def unharmed(page: Page) -> bool:
    """Whether no text became an element or was run."""
    return bool(
        page.evaluate("!document.body.dataset.pwned && !document.querySelector('#app img, #app script, #app b')")
    )


def test_text_of_a_file_stays_text(until: Until, hostile: Page) -> None:
    """Names, attributes, metadata and roles with markup are shown letter by letter, on every tab."""
    page = hostile
    shown = page.inner_text("h1")
    assert shown.startswith("<script>document.body.dataset.pwned")
    for tab in ("tensors", "provenance", "graph"):
        page.click(f"#tab-{tab}")
        until(page, "document.querySelector('#pane').innerText.includes('<script>')")
        assert unharmed(page)
    page.locator(".node").nth(1).click()
    assert "<img src=x" in page.inner_text(".details")
    assert unharmed(page)
    page.fill("[role=combobox]", "script")
    page.wait_for_selector("#hits li")
    assert unharmed(page)


def test_marks_of_direction_are_shown(hostile: Page) -> None:
    """A character that would turn what follows is shown as its code, and right-to-left names turn nothing else."""
    assert "⟨U+202E⟩" in hostile.inner_text(".outline")
    assert "\u202e" not in hostile.evaluate("document.body.innerText")
    hostile.click("#tab-tensors")
    row = hostile.locator(f".grid .row:has-text('{view_models.ARABIC}') .path-text")
    name, role = (row.locator(f".{part}").bounding_box() for part in ("folder", "leaf"))
    assert name["x"] < role["x"]


def test_long_texts_and_lists_come_piece_by_piece(hostile: Page) -> None:
    """Ten thousand characters and twenty thousand numbers are shortened, and more comes when it is asked for."""
    page = hostile
    page.locator(".node").nth(1).click()
    details = page.locator(".details")
    assert len(details.inner_text()) < 4000
    details.locator("text=all 10,000 characters").click()
    assert "l" * 10_000 in details.inner_text()
    before = page.evaluate("document.querySelectorAll('*').length")
    details.locator("summary:has-text('20,000 items')").click()
    page.wait_for_selector("text=19,940 more")
    assert page.evaluate("document.querySelectorAll('*').length") - before < 400


def test_nothing_reaches_beyond_its_place(hostile: Page) -> None:
    """However long a name is, the page does not get wider than the screen."""
    page = hostile
    for tab in ("graph", "tensors", "provenance"):
        page.click(f"#tab-{tab}")
        page.wait_for_timeout(50)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#tab-graph")
    page.locator(".node").nth(1).click()
    page.wait_for_selector(".details")
    assert page.evaluate(
        "(() => { const d = document.querySelector('.details'); return d.scrollWidth <= d.clientWidth; })()"
    )


def test_keys_that_objects_have_are_only_names(hostile: Page) -> None:
    """A variable called __proto__ has its row and its numbers, and such attributes are shown as they are."""
    page = hostile
    page.click("#tab-tensors")
    assert page.locator(".grid .row:has-text('__proto__')").count() == 1
    page.click("#tab-graph")
    page.locator(".node").nth(1).click()
    page.locator(".details summary:has-text('3 entries')").click()
    page.wait_for_selector(".details .nested .key")
    assert page.locator(".details .nested .key").all_inner_texts() == ["__proto__", "constructor", "toString"]


@pytest.mark.parametrize("name", ["doubled", "grown"])
def test_a_model_of_few_modules_and_very_many_calls_is_drawn(look: Callable[..., Page], name: str) -> None:
    """A model that calls a model twice, forty times over, is drawn and unfolded at once, whatever the shapes in it."""
    page = look(name)
    page.wait_for_selector("[data-node='b']")
    page.locator("[data-node='a']").focus()
    page.keyboard.press("Space")
    page.wait_for_selector("[data-node='a/b']")
