"""Tensors in the viewer: the table, the numbers, the pictures, slots beside their variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Page = Any
Until = Callable[[Page, str], None]
pytestmark = [pytest.mark.library, pytest.mark.browser]

ROWS_IN_SIGHT = """() => {
  const grid = document.querySelector('.grid').getBoundingClientRect();
  const inside = ({ top, bottom }) => top >= grid.top + 30 && bottom <= grid.bottom + 1;
  const text = (row) => row.firstChild.innerText.replace(/\\s/g, '');
  return [...document.querySelectorAll('.grid .row')]
    .filter((row) => inside(row.getBoundingClientRect()))
    .map((row) => [Number(row.getAttribute('aria-rowindex')) - 2, text(row)]);
}"""
"""The index and the path of each row that is wholly in sight."""


def column(page: Page, number: int) -> list[str]:
    """The texts of a column of the table, in the order of the rows on the screen."""
    cells = page.locator(f".grid .row > :nth-child({number})").evaluate_all(
        "cells => cells.map(c => [c.closest('.row').getBoundingClientRect().top, c.innerText.trim()])"
    )
    return [" ".join(text.split()) for _, text in sorted(cells)]


def select(page: Page, path: str) -> None:
    """Choose a tensor of the table."""
    page.fill("[aria-label='Filter tensors']", path)
    page.click(f".grid .row:has-text('{path.rpartition('/')[2]}')")
    page.wait_for_selector(".details")


def figures(page: Page) -> dict[str, str]:
    """The numbers that the details tell of a tensor."""
    page.wait_for_selector(".details dl.stats")
    rows = page.locator(".details section:has(h3:text-is('Values')) dl.stats > div").all_inner_texts()
    return dict(row.split("\n", 1) for row in rows)


def test_every_tensor_has_a_row_with_its_numbers(look: Callable[..., Page]) -> None:
    """The table has path, shape, dtype, size, and the least, mean and greatest value of each variable."""
    page = look("everything", tab="tensors")
    assert page.inner_text(".table-bar .result") == "13 tensors, 310 B"
    rows = dict(zip(column(page, 1), zip(*(column(page, number) for number in (2, 3, 4, 5)), strict=True), strict=True))
    assert len(rows) == 13
    assert rows["dense/ kernel"] == ("4×4", "float32", "64 B", "yes")
    assert rows["own/ nibbles"] == ("3", "int4", "3 B", "no")
    assert rows["own/ count"] == ("scalar", "uint64", "8 B", "no")
    least = dict(zip(column(page, 1), column(page, 7), strict=True))
    assert (least["own/ nibbles"], least["own/ words"], least["own/ complex"]) == ("−8", "–", "2.24")
    nan = dict(zip(column(page, 1), column(page, 10), strict=True))
    assert (nan["dense/ kernel"], nan["dense/ bias"], nan["own/ complex"]) == ("1", "0", "1")


def test_the_table_is_sorted_and_filtered(look: Callable[..., Page]) -> None:
    """A column's head sorts by it, the other way round, and not; a filter keeps what has every word."""
    page = look("everything", tab="tensors")
    original = column(page, 1)
    page.click("button:text-is('Size')")
    assert column(page, 1)[1] == "dense/ kernel"
    assert column(page, 1)[0] == "own/ chunked"
    page.click("button:has-text('Size')")
    assert column(page, 1)[0] == "own/ nothing"
    page.click("button:has-text('Size')")
    assert original == column(page, 1)
    page.fill("[aria-label='Filter tensors']", "own float8")
    assert column(page, 1) == ["own/ eighth"]
    page.fill("[aria-label='Filter tensors']", "no such name")
    assert "No tensor has that path, dtype or shape." in page.inner_text(".grid")


def test_all_is_told_of_a_tensor(until: Callable[[Page, str], None], look: Callable[..., Page]) -> None:
    """Shape, dtype, elements, size, digest, statistics, histogram and module of a variable are in its details."""
    page = look("everything", tab="tensors")
    select(page, "dense/kernel")
    found = page.inner_text(".details")
    for text in ("4 × 4", "float32", "16", "64 B", "weights.safetensors", "sha256:"):
        assert text in found
    assert {"NaN": "1 (6.25 %)", "Infinite": "0", "Zero": "1 (6.25 %)"}.items() <= figures(page).items()
    label = page.get_attribute(".histogram", "aria-label")
    assert label.startswith("Histogram of 15 finite elements from −0.9")
    page.hover(".histogram", position={"x": 150, "y": 60})
    until(page, "document.querySelector('.histogram-note').innerText.includes('element')")
    page.click(".details .pairs .link:has-text('dense')")
    page.wait_for_selector("[data-node='dense'].selected")


def test_a_histogram_is_drawn(look: Callable[..., Page]) -> None:
    """The bars are painted, in the theme's colour."""
    page = look("trained", tab="tensors")
    select(page, "encoder/expand/kernel")
    page.wait_for_selector(".histogram canvas")
    painted = page.evaluate(
        """() => {
          const canvas = document.querySelector('.histogram canvas');
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          let count = 0;
          for (let i = 3; i < data.length; i += 4) if (data[i] > 200) count += 1;
          return count / (data.length / 4);
        }"""
    )
    assert 0.2 < painted < 0.9


@pytest.mark.parametrize(
    ("path", "caption", "size"),
    [
        ("colours/kernel", "8 filters of 3 × 3; colours are the three input channels", [15, 7]),
        ("windows/kernel", "20 windows of 3 × 3: 5 filters × 4 channels", [27, 11]),
        ("steps/kernel", "7 filters of length 5 over 6 channels", [23, 13]),
        ("matrix/kernel", "6 rows × 9 columns", [9, 6]),
        ("vector/bias", "16 elements", [16, 1]),
    ],
)
def test_small_tensors_have_pictures(look: Callable[..., Page], path: str, caption: str, size: list[int]) -> None:
    """Kernels are shown as windows, matrices and vectors as they are, with what the picture shows in words."""
    page = look("pictures", tab="tensors")
    select(page, path)
    picture = page.locator(".kernel canvas[role=img]")
    assert f"Picture of the values: {caption}" == picture.get_attribute("aria-label")
    assert size == picture.evaluate("canvas => [canvas.width, canvas.height]")


def test_a_picture_has_the_numbers_as_colours(look: Callable[..., Page]) -> None:
    """Negative and positive elements differ in hue, zero is neutral, and what is not finite has a colour of its own."""
    page = look("pictures", tab="tensors")
    select(page, "vector/bias")
    pixel = "(canvas, x) => Array.from(canvas.getContext('2d').getImageData(x, 0, 1, 1).data)"
    picture = page.locator(".kernel canvas[role=img]")
    lowest, zero, highest = (picture.evaluate(pixel, x) for x in (0, 8, 15))
    assert lowest[2] > lowest[0] + 80
    assert highest[0] > highest[2] + 80
    assert max(zero[:3]) - min(zero[:3]) < 6
    select(page, "matrix/kernel")
    for x in range(3):
        assert picture.evaluate(pixel, x) == [235, 0, 215, 255]


def test_channels_are_shown_as_colours_or_apart(look: Callable[..., Page]) -> None:
    """A kernel with three inputs is one picture in colour for each filter, or one for each channel."""
    page = look("pictures", tab="tensors")
    select(page, "colours/kernel")
    page.click("text=Show channels apart")
    label = page.get_attribute(".kernel canvas[role=img]", "aria-label")
    assert label == "Picture of the values: 24 windows of 3 × 3: 8 filters × 3 channels"


def test_slots_stand_beside_their_variable(look: Callable[..., Page]) -> None:
    """A variable's details lead to the slots of the optimizer for it, and theirs back to it."""
    page = look("trained", tab="tensors")
    select(page, "head/kernel")
    cards = page.locator(".details section:has(h3:text-is('Optimizer slots')) .card .name")
    assert cards.all_inner_texts() == ["momentum", "velocity"]
    cards.first.click()
    assert {"Min": "0.5", "Max": "0.5"}.items() <= figures(page).items()
    assert page.inner_text(".segmented [aria-pressed=true]") == "Optimizer"
    page.click(".details .pairs .link:has-text('head/kernel')")
    assert {"Min": "1", "Max": "4"}.items() <= figures(page).items()


def test_a_page_without_data_says_so(page: Page, models: dict[str, Path], tmp_path: Path) -> None:
    """Where the page was made without data there are no numbers, and the details say how to see them."""
    import etui

    target = tmp_path / "bare.html"
    etui.view(models["trained"], html=target, data=False, browser=False)
    page.goto(target.as_uri())
    page.click("#tab-tensors")
    assert page.locator("[role=columnheader]").all_inner_texts() == ["Variable", "Shape", "Dtype", "Size", "Trained"]
    select(page, "head/kernel")
    assert "made without the data" in page.inner_text(".details")


def test_ten_thousand_tensors_are_scrolled_with_few_elements(until: Until, look: Callable[..., Page]) -> None:
    """Only the rows in sight are in the page, wherever the table is scrolled to, and each of them is the right one."""
    page = look("chain", tab="tensors")
    page.wait_for_selector(".grid .row")
    assert page.get_attribute(".grid", "aria-rowcount") == "10001"
    height = page.evaluate("document.querySelector('.grid').scrollHeight")
    for share in (0.0, 0.123, 0.5, 0.77, 1.0):
        page.evaluate(
            "([share, height]) => { document.querySelector('.grid').scrollTop = share * height; }", [share, height]
        )
        until(page, f"({ROWS_IN_SIGHT})().length > 10")
        assert page.locator(".grid .row").count() < 60
        assert page.evaluate("document.querySelectorAll('*').length") < 1500
        seen = page.evaluate(ROWS_IN_SIGHT)
        assert len(seen) > 10
        for index, path in seen:
            assert f"dense_{index // 2}/{'bias' if index % 2 else 'kernel'}" == path
    assert max(index for index, _ in seen) == 9999
