"""The viewer without a mouse and without sight: keys, focus, names and roles, contrast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etui.testing import npm

Page = Any
Until = Callable[[Page, str], None]
pytestmark = [pytest.mark.library, pytest.mark.browser]
PACKAGE = Path(__file__).parents[2] / "js"
TEMPLATE = Path(__file__).parents[2] / "etui" / "viewing" / "page.html"
FOCUS = "document.activeElement"


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe, which finds what a screen reader or weak eyes would miss."""
    return (npm.package(PACKAGE) / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds wrong: each rule with the elements that break it."""
    page.evaluate(axe)
    found = page.evaluate(
        """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
          .map((rule) => rule.id + ': ' + rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | '))"""
    )
    assert isinstance(found, list)
    return found


@pytest.mark.node
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_tab(
    new_page: Callable[..., Page], view: Callable[..., str], axe: str, scheme: str
) -> None:
    """Names, roles, order and contrast are right on every tab and in the details, in both colours."""
    page = new_page(color_scheme=scheme)
    page.goto(view("everything"))
    page.wait_for_selector(".node")
    found = {"graph": violations(page, axe)}
    page.click("[data-node='dense']")
    page.wait_for_selector(".details .card .spark")
    found["module"] = violations(page, axe)
    page.locator(".details .card").nth(1).click()
    page.wait_for_selector(".kernel canvas")
    found["tensor"] = violations(page, axe)
    for tab in ("tensors", "training", "provenance"):
        page.click(f"#tab-{tab}")
        page.wait_for_timeout(100)
        found[tab] = violations(page, axe)
    page.fill("[role=combobox]", "dense")
    page.wait_for_selector("#hits li")
    found["search"] = violations(page, axe)
    page.keyboard.press("Escape")
    page.locator("#tab-provenance").focus()
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    found["help"] = violations(page, axe)
    assert len(found) == 8
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.node
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_comparison(
    new_page: Callable[..., Page], view: Callable[..., str], axe: str, scheme: str
) -> None:
    """The three views of a comparison are as they should be."""
    page = new_page(color_scheme=scheme)
    page.goto(view("trained", "later"))
    page.wait_for_selector(".changes")
    found = {"Summary": violations(page, axe)}
    for name in ("Structure", "Numbers"):
        page.click(f".segmented button:text-is('{name}')")
        page.wait_for_timeout(100)
        found[name] = violations(page, axe)
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.node
def test_axe_finds_nothing_on_a_phone_and_without_a_model(
    new_page: Callable[..., Page], view: Callable[..., str], axe: str, tmp_path: Path
) -> None:
    """A small screen, the page without a model and that of a broken file are as they should be."""
    page = new_page(viewport={"width": 390, "height": 800}, has_touch=True)
    page.goto(view("trained"))
    page.locator(".node").nth(2).click()
    page.wait_for_selector(".details")
    found = {"phone": violations(page, axe)}
    page.goto(TEMPLATE.as_uri())
    page.wait_for_selector(".welcome")
    found["welcome"] = violations(page, axe)
    broken = tmp_path / "broken.etui"
    broken.write_bytes(b"nothing")
    page.locator("input[type=file]").first.set_input_files(str(broken))
    page.wait_for_selector(".problem")
    found["broken"] = violations(page, axe)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_a_phone_shows_the_graph_and_the_details_above_it(
    new_page: Callable[..., Page], view: Callable[..., str]
) -> None:
    """On a small screen nothing is wider than it, and the details come from below and can be closed."""
    page = new_page(viewport={"width": 390, "height": 800}, has_touch=True)
    page.goto(view("trained"))
    page.wait_for_selector(".node")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("[data-node='encoder']").tap()
    sheet = page.locator(".details").bounding_box()
    assert sheet["width"] == 390
    assert sheet["y"] > 250
    assert sheet["y"] + sheet["height"] == pytest.approx(800, abs=1)
    page.click("[aria-label='Close the details']")
    page.wait_for_selector(".details", state="detached")
    page.click("#tab-tensors")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_tab_key_goes_through_the_page_in_order(look: Callable[..., Page]) -> None:
    """Search, buttons, facts, tabs, outline, graph and its buttons follow each other, each with a mark of the focus."""
    page = look("trained")
    page.wait_for_selector(".node")
    order = []
    for _ in range(14):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                f"(() => {{ const e = {FOCUS}; return e.getAttribute('aria-label') || e.dataset.node || e.dataset.path"
                " || e.innerText.trim(); })()"
            )
        )
        style = page.evaluate(
            f"(() => {{ const s = getComputedStyle({FOCUS}); return [s.outlineStyle, s.outlineWidth]; }})()"
        )
        assert style[0] == "solid"
        assert float(style[1].removesuffix("px")) >= 2
    assert order[:7] == [
        "Search modules and tensors",
        "Verify",
        "Open another file",
        "Switch to dark colours",
        "Help",
        "Facts",
        "Architecture",
    ]
    assert order[7].startswith("pair")
    assert order[8].startswith("left")
    assert order[9:] == ["Smaller", order[10], "Larger", "Show all", "Unfold nested models"]


def test_arrow_keys_follow_the_connections(until: Until, look: Callable[..., Page]) -> None:
    """Down and up go along the edges, left and right among neighbours; Enter shows details, Space unfolds."""
    page = look("trained")
    page.locator("[data-node='left']").focus()
    steps = [("Right", "right"), ("Down", "encoder:1"), ("Down", "add"), ("Down", "head"), ("Up", "add")]
    for key, node in steps:
        page.keyboard.press(f"Arrow{key}")
        until(page, f"{FOCUS}.dataset.node === '{node}'")
    page.keyboard.press("ArrowUp")
    until(page, f"['encoder', 'encoder:1'].includes({FOCUS}.dataset.node)")
    page.keyboard.press("ArrowLeft")
    page.locator("[data-node='encoder']").focus()
    page.keyboard.press("Space")
    page.wait_for_selector("[data-node='encoder/expand']")
    page.keyboard.press("ArrowDown")
    until(page, f"{FOCUS}.dataset.node === 'encoder/features'")
    page.keyboard.press("ArrowDown")
    until(page, f"{FOCUS}.dataset.node === 'encoder/expand'")
    page.keyboard.press("Enter")
    page.wait_for_selector(".details h2:has-text('Dense')")
    page.keyboard.press("ArrowDown")
    until(page, f"{FOCUS}.dataset.node === 'add'")
    page.keyboard.press("Escape")
    page.wait_for_selector(".details", state="detached")


def test_arrow_keys_reach_the_end_of_a_long_model(until: Until, look: Callable[..., Page]) -> None:
    """The focused box is brought into sight, and End leads to the last one of five thousand."""
    page = look("chain")
    page.locator("[data-node='input']").focus()
    for number in range(12):
        page.keyboard.press("ArrowDown")
        until(page, f"{FOCUS}.dataset.node === 'dense_{number}'")
    assert page.evaluate(
        f"(() => {{ const r = {FOCUS}.getBoundingClientRect(); const g = document.querySelector('.graph')"
        ".getBoundingClientRect(); return r.top >= g.top && r.bottom <= g.bottom; })()"
    )
    page.keyboard.press("End")
    until(page, f"{FOCUS}.dataset.node === '/outputs/output'")


def test_arrow_keys_go_through_the_table(until: Until, look: Callable[..., Page]) -> None:
    """Arrows, Home and End move the focused row, which stays in the page; Enter shows the details."""
    page = look("chain", tab="tensors")
    page.locator(".grid .row").first.focus()
    page.keyboard.press("ArrowDown")
    until(page, f"{FOCUS}.getAttribute('aria-rowindex') === '3'")
    page.keyboard.press("End")
    until(page, f"{FOCUS}.getAttribute('aria-rowindex') === '10001'")
    page.keyboard.press("ArrowUp")
    until(page, f"{FOCUS}.getAttribute('aria-rowindex') === '10000'")
    page.keyboard.press("Enter")
    page.wait_for_selector(".details .path:has-text('dense_4999/kernel')")
    page.keyboard.press("Home")
    until(page, f"{FOCUS}.getAttribute('aria-rowindex') === '2'")


def test_arrow_keys_open_and_close_the_outline(until: Until, look: Callable[..., Page]) -> None:
    """The tree of modules is one stop of the tab key, and its arrows are those of every tree."""
    page = look("trained")
    page.locator(".outline [role=treeitem]").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    until(page, f"{FOCUS}.dataset.path === 'encoder'")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".outline [data-path='encoder'][aria-expanded=true]")
    page.keyboard.press("ArrowRight")
    until(page, f"{FOCUS}.dataset.path === 'encoder/features'")
    page.keyboard.press("ArrowLeft")
    until(page, f"{FOCUS}.dataset.path === 'encoder'")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(".outline [data-path='encoder'][aria-expanded=false]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".details h2:has-text('Functional')")


def test_tabs_are_changed_by_arrows(until: Until, look: Callable[..., Page]) -> None:
    """The tabs are one stop of the tab key; arrows change them, round and round."""
    page = look("trained")
    page.locator("#tab-graph").focus()
    page.keyboard.press("ArrowRight")
    until(page, f"{FOCUS}.id === 'tab-tensors' && {FOCUS}.getAttribute('aria-selected') === 'true'")
    page.keyboard.press("End")
    until(page, f"{FOCUS}.id === 'tab-provenance'")
    page.keyboard.press("ArrowRight")
    until(page, f"{FOCUS}.id === 'tab-graph'")


def test_keys_for_search_and_help(until: Until, look: Callable[..., Page]) -> None:
    """`/` leads to the search and `?` to the help, but not while something is typed; Escape leaves them."""
    page = look("trained")
    page.wait_for_selector(".node")
    page.keyboard.press("/")
    until(page, f"{FOCUS}.getAttribute('role') === 'combobox'")
    page.keyboard.type("a/?")
    assert page.input_value("[role=combobox]") == "a/?"
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    assert "Search modules and tensors" in page.inner_text("dialog")
    assert "dagre" in page.inner_text("dialog .licences")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog[open]", state="detached")


def test_a_screen_reader_hears_what_a_box_is(look: Callable[..., Page]) -> None:
    """The name of a box says op, settings, name, parameters, output and which call it is."""
    page = look("trained")
    page.wait_for_selector(".node")
    for name in (
        "Functional encoder 1/2 36 parameters , gives ?×4, call 1 of 2",
        "Dense 1 head 4 parameters , gives ?×1",
        "score , output of the model",
    ):
        assert page.get_by_role("button", name=name, exact=True).count() == 1
    assert page.get_by_role("button", name="Functional encoder 2/2").get_attribute("aria-expanded") == "false"
