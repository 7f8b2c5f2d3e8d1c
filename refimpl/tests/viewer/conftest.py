"""A browser, pages in it that must not complain, and models to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import etui
from etui.containers.config import Config, Module
from etui.model import Model
from etui.testing import view_models
from etui.testing.samples import everything

Page = Any
REPOSITORY = Path(__file__).parents[3]
TEMPLATE = REPOSITORY / "refimpl" / "etui" / "viewing" / "page.html"


GROWING = Module("m", op="core:pad", attrs={"padding": [[0, 1], [0, 1]]})
"""A layer that gives another shape at each call."""


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Page]]:
    """Opens pages, with options of a context; a test fails by what a page complains of or asks of elsewhere."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def opened(**options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: _check_message(message, complaints))
        page.on("pageerror", lambda fault: complaints.append(str(fault)))
        page.on("request", lambda request: _check_address(request.url, complaints))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _check_message(message: Any, complaints: list[str]) -> None:
    # The advice is about the tests, which look at canvases pixel by pixel.
    if message.type in {"error", "warning"} and "willReadFrequently" not in message.text:
        complaints.append(message.text)


def _check_address(url: str, complaints: list[str]) -> None:
    if not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")):
        complaints.append(f"a request to {url}")


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page of a laptop's size."""
    return new_page()


@pytest.fixture(scope="session")
def until() -> Callable[[Page, str], None]:
    """Waits until an expression holds in a page; the page's policy forbids what playwright has for that."""

    def waited(page: Page, expression: str) -> None:
        for _ in range(1200):
            if page.evaluate(expression):
                return
            page.wait_for_timeout(50)
        pytest.fail(f"never true: {expression}")

    return waited


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models and pages of the session are."""
    return tmp_path_factory.mktemp("viewer")


@pytest.fixture(scope="session")
def models(folder: Path) -> dict[str, Path]:
    """Packed artifacts by name."""
    made: dict[str, Callable[[], etui.Model]] = {
        "chain": lambda: view_models.chain(5000),
        "doubled": lambda: Model(config=Config(view_models.doubled(40))),
        "everything": everything,
        "grown": lambda: Model(config=Config(view_models.doubled(40, GROWING, (4, 4)))),
        "hostile": view_models.hostile,
        "pictures": view_models.pictures,
        "trained": lambda: view_models.trained(0),
        "later": lambda: view_models.trained(1),
        "weights": view_models.weights_only,
    }
    paths = {name: folder / f"{name}.etui" for name in made}
    for name, path in paths.items():
        etui.save(made[name](), path)
    return paths


@pytest.fixture(scope="session")
def view(folder: Path, models: dict[str, Path]) -> Callable[..., str]:
    """Gives the address of a page that `etui view` made of one model or of two."""
    made: dict[tuple[str, ...], str] = {}

    def address(*names: str) -> str:
        if names not in made:
            target = folder / f"{'-'.join(names)}.html"
            etui.view(*(models[name] for name in names), html=target, browser=False)
            made[names] = target.as_uri()
        return made[names]

    return address


@pytest.fixture
def look(page: Page, view: Callable[..., str]) -> Callable[..., Page]:
    """Opens the page of a model, and waits until it is shown."""

    def opened(*names: str, tab: str | None = None) -> Page:
        page.goto(view(*names))
        page.wait_for_selector("[role=tab]")
        if tab:
            page.click(f"#tab-{tab}")
        return page

    return opened
