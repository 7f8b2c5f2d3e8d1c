"""The site as a browser shows it: as wide as a phone and as a screen, light and dark, with no word from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytestmark = [pytest.mark.library, pytest.mark.browser]

Page = Any
PHONE, SCREEN = (390, 844), (1400, 900)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the built site is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Opens a page of the site; what its console or the network says against it fails the test."""
    faults: list[str] = []
    contexts = []

    def opened(path: str, size: tuple[int, int], scheme: str) -> Page:
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda failure: faults.append(str(failure)))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith((address, "data:", "blob:")) else faults.append(asked.url),
        )
        page.goto(f"{address}/{path}", wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), (PHONE, "light"), (SCREEN, "light")])
def test_the_address_of_a_clause_shows_it(visit: Any, size: tuple[int, int], scheme: str) -> None:
    """The address of a clause leads to its words, which are marked, and not below the header."""
    page = visit("spec.html#W-12", size, scheme)
    clause = page.locator("#W-12")
    page.wait_for_function("document.querySelector('#W-12').getBoundingClientRect().top < innerHeight")
    box, header = clause.bounding_box(), page.locator("header.md-header").bounding_box()
    assert box["y"] >= header["y"] + header["height"]
    assert "MUST" in clause.inner_text()
    assert clause.evaluate("element => getComputedStyle(element).boxShadow") != "none"
    colours = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
    assert all(colour < 80 for colour in colours) == (scheme == "dark")


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "tutorial.html",
        "formats-matrix.html",
        "conformance-table.html",
        "api/files.html",
        "schemas/weights.html",
        "benchmarks.html",
        "commands.html",
    ],
)
def test_no_page_is_wider_than_a_phone(visit: Any, path: str) -> None:
    """Wide tables and long lines are moved inside of the page, and the page itself is not."""
    page = visit(path, PHONE, "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert page.locator("h1").first.is_visible()


def test_search_finds_a_clause(visit: Any) -> None:
    """The search, which runs in the browser, finds a word of the specification and leads to its page."""
    page = visit("index.html", SCREEN, "light")
    # Key by key: the page asks at each key that is let go, and does not see a value that is set.
    page.locator("[data-md-component=search-query]").press_sequentially("ScheduleFreeAdamW")
    result = page.locator(".md-search-result__link").first
    result.wait_for(timeout=60_000)
    assert "html" in (result.get_attribute("href") or "")
