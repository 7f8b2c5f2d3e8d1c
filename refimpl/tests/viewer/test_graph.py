"""The graph of the viewer: what it draws, and how it moves, unfolds and selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Page = Any
pytestmark = [pytest.mark.library, pytest.mark.browser]


def texts(page: Page, selector: str) -> list[str]:
    """The texts of all elements as they are seen, without what is there for screen readers alone."""
    found = page.locator(selector).evaluate_all(
        """elements => elements.map((element) => {
          const hidden = [...element.querySelectorAll('.visually-hidden')];
          for (const part of hidden) part.hidden = true;
          const text = element.innerText;
          for (const part of hidden) part.hidden = false;
          return text;
        })"""
    )
    return [" ".join(text.split()) for text in found]


def zoom(page: Page) -> float:
    """How many pixels a unit of the drawing has."""
    return float(page.evaluate("new DOMMatrix(getComputedStyle(document.querySelector('.scene')).transform).a"))


def offset(page: Page) -> tuple[float, float]:
    """Where the drawing begins on the screen."""
    x, y = page.evaluate(
        "(() => { const m = new DOMMatrix(getComputedStyle(document.querySelector('.scene')).transform);"
        " return [m.e, m.f]; })()"
    )
    return float(x), float(y)


def test_the_boxes_of_a_model_and_the_shapes_between_them_are_drawn(look: Callable[..., Page]) -> None:
    """Each call is a box with its op, name, settings and size; a connection has the shape of what goes along it."""
    page = look("trained")
    assert texts(page, ".node") == [
        "left",
        "right",
        "Functional encoder 1/2 36",
        "Functional encoder 2/2 36",
        "Add add",
        "Dense 1 head 4",
        "score",
    ]
    assert texts(page, ".edge-label") == ["?×8", "?×8", "?×4", "?×4", "?×4", "?×1"]
    assert page.locator("path.edge").count() == 6


def test_a_nested_model_unfolds_where_it_stands(look: Callable[..., Page]) -> None:
    """The sign of a box shows what is inside, in the same place of the screen, and hides it again."""
    page = look("trained")
    folded = page.locator(".node").count()
    box = page.locator("[data-node='encoder']")
    before = box.bounding_box()
    box.locator("[data-twisty]").click()
    page.wait_for_selector("[data-node='encoder/expand']")
    after = box.bounding_box()
    assert before["y"] == pytest.approx(after["y"], abs=1)
    assert box.get_attribute("aria-expanded") == "true"
    inner = page.locator("[data-node='encoder/expand']").bounding_box()
    assert after["x"] < inner["x"]
    assert inner["x"] + inner["width"] < after["x"] + after["width"]
    assert after["y"] < inner["y"]
    assert inner["y"] + inner["height"] < after["y"] + after["height"]
    assert texts(page, "[data-node='encoder/expand']") == ["Dense 4 · relu expand 36"]
    box.locator("[data-twisty]").click()
    page.wait_for_selector("[data-node='encoder/expand']", state="detached")
    assert folded == page.locator(".node").count()


def test_a_module_that_is_called_twice_shows_both_calls(look: Callable[..., Page]) -> None:
    """Selecting one call marks the other, and the details tell both, with what they take and give."""
    page = look("trained")
    page.click("[data-node='encoder']")
    assert page.get_attribute("[data-node='encoder']", "aria-pressed") == "true"
    assert page.locator("[data-node='encoder:1'].sibling").count() == 1
    assert page.locator("path.edge.near").count() == 2
    details = page.locator(".details")
    assert "2 calls, one set of variables" in details.inner_text()
    assert [text for text in texts(page, ".details dl.pairs dd > div") if not text.startswith("? ×")] == [
        "left ? × 8",
        "add",
        "right ? × 8",
        "add",
    ]


def test_the_details_of_a_module_say_everything_of_it(look: Callable[..., Page]) -> None:
    """Attributes of every kind, what it was built with, and its variables are shown."""
    page = look("everything")
    page.click("[data-node='dense']")
    details = page.locator(".details")
    assert details.locator("h2").inner_text() == "Dense"
    found = details.inner_text()
    for text in ("units", "kernel_initializer", "Zeros", "Built with", "(null, 4)", "Kept for the framework"):
        assert text in found
    assert texts(page, ".details .card .name") == ["bias", "kernel NaN"]
    page.click("[data-node='own']")
    found = details.inner_text()
    for text in ("code not in the artifact", "NaN", str(2**70), "int16", "bytes 00 ff", "custom:tests>Own"):
        assert text in found


def test_the_graph_is_moved_and_enlarged(until: Callable[[Page, str], None], look: Callable[..., Page]) -> None:
    """The wheel moves it, with Ctrl it enlarges around the pointer; dragging moves; buttons enlarge and show all."""
    page = look("chain")
    page.wait_for_selector(".node")
    assert zoom(page) == 1
    x, y = offset(page)
    page.mouse.move(700, 500)
    page.mouse.wheel(0, 300)
    until(page, f"new DOMMatrix(getComputedStyle(document.querySelector('.scene')).transform).f < {y - 200}")
    assert (x, y - 300) == pytest.approx(offset(page))
    page.mouse.down()
    page.mouse.move(760, 460, steps=4)
    page.mouse.up()
    assert (x + 60, y - 340) == pytest.approx(offset(page), abs=1)
    assert page.locator(".details").count() == 0
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    until(page, "new DOMMatrix(getComputedStyle(document.querySelector('.scene')).transform).a > 1.5")
    page.click("[aria-label^='Actual size']")
    assert pytest.approx(1) == zoom(page)
    page.click("[aria-label='Larger']")
    assert zoom(page) > 1.2
    page.click("[aria-label='Show all']")
    assert zoom(page) < 0.1


def test_from_afar_the_graph_is_painted_and_still_answers(look: Callable[..., Page]) -> None:
    """Where text could not be read, boxes are painted in the colours of their kinds; a click finds the box below it."""
    page = look("chain")
    page.wait_for_selector(".node")
    page.click("[aria-label='Show all']")
    page.wait_for_selector("canvas.far:not([hidden])")
    assert page.locator(".node").count() <= 2
    colours = page.evaluate(
        """() => {
          const canvas = document.querySelector('canvas.far');
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          const found = new Set();
          for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) found.add(data.slice(i, i + 3).join());
          return found.size;
        }"""
    )
    assert colours > 1
    middle = page.evaluate(
        "(() => { const m = new DOMMatrix(getComputedStyle(document.querySelector('.scene')).transform);"
        " const r = document.querySelector('.graph').getBoundingClientRect();"
        " return [r.left + m.e + 113 * m.a, r.top + m.f + 23 * m.a + 2000 * m.a * 1]; })()"
    )
    page.mouse.click(*middle)
    page.wait_for_selector(".details")
    assert "dense_" in page.inner_text(".details .path")


def test_the_map_moves_the_graph(look: Callable[..., Page]) -> None:
    """A drawing that is larger than the screen has a map, whose lower end leads to the end of the model."""
    page = look("chain")
    page.wait_for_selector(".minimap")
    frame = page.locator(".minimap").bounding_box()
    page.mouse.click(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] - 5)
    page.wait_for_selector("[data-node='dense_4999']")


def test_the_outline_leads_to_a_module_inside_of_a_nested_model(look: Callable[..., Page]) -> None:
    """A module that is chosen in the outline is drawn, its model unfolded and brought into sight."""
    page = look("trained")
    page.click(".outline [data-path='encoder'] .twist")
    page.click(".outline [data-path='encoder/expand']")
    page.wait_for_selector("[data-node='encoder/expand'].selected")
    assert page.inner_text(".details .path") == "encoder/expand"
    assert page.locator("[data-node='encoder/expand']").is_visible()


def test_a_model_without_a_graph_shows_its_tree(look: Callable[..., Page]) -> None:
    """What a subclassed model holds is drawn without connections, and its details say that its code is not stored."""
    page = look("everything")
    page.click("[data-node='own'] [data-twisty]")
    page.wait_for_selector("[data-node='own/inner']")
    assert "shared" in page.get_attribute("[data-node='own/inner']", "class")


def test_weights_alone_are_shown_as_a_table(look: Callable[..., Page]) -> None:
    """An artifact without a config has no graph, and begins with its tensors."""
    page = look("weights")
    assert texts(page, "[role=tab]") == ["Tensors 3", "Provenance"]
    assert page.locator(".grid .row").count() == 3
