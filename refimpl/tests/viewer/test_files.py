"""Files, folders and addresses that are opened in the viewer, and those that are refused."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import etui
from etui.testing.servers import Web, web_server

Page = Any
pytestmark = [pytest.mark.library, pytest.mark.browser]
TEMPLATE = Path(__file__).parents[2] / "etui" / "viewing" / "page.html"
DROP = """([files, kind]) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
HEAD = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>notebook</title>'
NUMBERS = """() => [...document.querySelectorAll('.grid .row')]
  .map((row) => [...row.children].map((cell) => cell.innerText.replace(/\\s+/g, ' ').trim()).join('|')).sort()"""


@pytest.fixture
def empty(page: Page) -> Page:
    """The page without a model."""
    page.goto(TEMPLATE.as_uri())
    page.wait_for_selector(".welcome")
    return page


@pytest.fixture(scope="module")
def web(models: dict[str, Path]) -> Iterator[Web]:
    """A web server with the page and some models."""
    with web_server() as server:
        server.files["page.html"] = TEMPLATE.read_bytes()
        for name in ("trained", "later", "chain"):
            server.files[f"{name}.etui"] = models[name].read_bytes()
        yield server


def choose(page: Page, *paths: Path) -> None:
    """Choose files in the dialog."""
    page.locator("input[type=file]").first.set_input_files([str(path) for path in paths])


def drop(page: Page, *paths: Path) -> None:
    """Drop files on the page."""
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    page.evaluate(DROP, [files, "dragenter"])
    page.wait_for_selector(".drop-target")
    page.evaluate(DROP, [files, "drop"])


def test_a_file_is_opened_and_its_numbers_are_computed(
    until: Callable[[Page, str], None],
    empty: Page,
    models: dict[str, Path],
    new_page: Callable[..., Page],
    view: Callable[..., str],
) -> None:
    """The numbers that the page computes from a file are those that etui view puts into its pages."""
    choose(empty, models["everything"])
    found = []
    embedded = new_page()
    embedded.goto(view("everything"))
    for page in (empty, embedded):
        page.click("#tab-tensors")
        rows = []
        for kind in ("Variables", "Optimizer", "State"):
            page.click(f".segmented button:text-is('{kind}')")
            until(
                page,
                "[...document.querySelectorAll('.grid .row')].every((row) => row.lastChild.innerText.trim() !== '')",
            )
            rows += page.evaluate(NUMBERS)
        found.append(rows)
    assert len(found[0]) == 19
    assert found[0] == found[1]


def test_a_file_is_verified(empty: Page, models: dict[str, Path]) -> None:
    """Every byte of a file is checked, and the identity is marked as verified."""
    choose(empty, models["everything"])
    empty.click("header button:has-text('Verify')")
    empty.wait_for_selector(".facts .tag.good")
    assert "Every byte is as the manifest says" in empty.inner_text("[role=status] .notice")


def test_a_changed_byte_is_found(empty: Page, models: dict[str, Path], tmp_path: Path) -> None:
    """A file with one bit changed in its data opens, and is refused when it is verified and where it is read."""
    data = bytearray(models["trained"].read_bytes())
    at = data.index((1.0).hex().encode()) if (1.0).hex().encode() in data else _data_offset(bytes(data))
    data[at] ^= 1
    path = tmp_path / "changed.etui"
    path.write_bytes(data)
    choose(empty, path)
    empty.click("header button:has-text('Verify')")
    empty.wait_for_selector("#tab-provenance[aria-selected=true]")
    assert empty.inner_text(".panel [role=status] .tag") == "refused"
    assert "refused" in empty.inner_text(".facts")
    empty.click("#tab-tensors")
    empty.wait_for_selector(".grid .nan:has-text('broken')")


def _data_offset(data: bytes) -> int:
    """Where the first tensor of the weights begins: behind the header of their part."""
    start = data.index(b"weights.safetensors")
    start = data.index(b'{"', start)
    return start - 8 + 8 + int.from_bytes(data[start - 8 : start], "little")


def test_a_folder_is_opened(empty: Page, models: dict[str, Path], tmp_path: Path) -> None:
    """The files of a directory form are chosen as a folder."""
    folder = tmp_path / "model"
    with etui.open(models["trained"]) as model:
        etui.save(model, folder, form="directory")
    empty.locator("input[type=file]").nth(1).set_input_files(str(folder))
    empty.wait_for_selector("[data-node='encoder']")
    empty.click("#tab-provenance")
    assert "directory, a file for each part" in empty.inner_text(".page")
    empty.click(".panel button:has-text('Verify')")
    empty.wait_for_selector(".panel .tag.good:has-text('verified')")


def test_a_dropped_file_is_opened(empty: Page, models: dict[str, Path]) -> None:
    """A file that is dropped anywhere is opened, and so is one that is dropped on a model that is shown."""
    drop(empty, models["trained"])
    empty.wait_for_selector("h1:has-text('pair')")
    drop(empty, models["weights"])
    empty.wait_for_selector("h1:has-text('weights.etui')")


def test_two_files_are_compared(empty: Page, models: dict[str, Path]) -> None:
    """Of two files the first is the older, and the page begins with what changed."""
    choose(empty, models["trained"], models["later"])
    empty.wait_for_selector("#tab-diff[aria-selected=true]")
    assert "trained.etui → later.etui" in empty.inner_text("header")


def test_the_address_names_what_to_open(page: Page, web: Web) -> None:
    """`?url=` opens an artifact by ranges: the documents first, a tensor when it is looked at."""
    web.take()
    page.goto(f"{web.url}/page.html?url=chain.etui")
    page.wait_for_selector("h1:has-text('chain')")
    asked = [one for one in web.take() if one.path == "/chain.etui"]
    assert 1 <= len(asked) <= 2
    page.click("[data-node='dense_0']")
    page.wait_for_selector(".details .card .spark")
    assert all(one.range for one in asked)


def test_the_address_names_two_to_compare(page: Page, web: Web) -> None:
    """`?url=…&url=…` compares two artifacts."""
    page.goto(f"{web.url}/page.html?url=trained.etui&url={web.url}/later.etui")
    page.wait_for_selector("#tab-diff[aria-selected=true]")


def test_the_page_lives_in_a_notebook(page: Page, models: dict[str, Path], web: Web, tmp_path: Path) -> None:
    """In the frame of a notebook, which may store nothing and reach nothing, the page shows the model all the same."""
    shown = etui.view(models["trained"], html=tmp_path / "page.html", browser=False)
    web.files["notebook.html"] = (HEAD + shown._repr_html_()).encode()
    page.goto(f"{web.url}/notebook.html")
    frame = page.frame_locator("iframe")
    frame.locator("[data-node='encoder']").click()
    assert "2 calls" in frame.locator(".details").inner_text()
    frame.locator("[aria-label^='Switch to']").click()


def test_a_server_that_does_not_have_it_is_told(new_page: Callable[..., Page], web: Web, browser: Any) -> None:
    """What the server answers is told, and not taken for an artifact."""
    context = browser.new_context()
    page = context.new_page()  # the browser itself complains of the status on the console
    page.goto(f"{web.url}/page.html?url=missing.etui")
    page.wait_for_selector(".problem")
    assert "not-reached" in page.inner_text(".problem")
    context.close()


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda data: data[:-300], "zip-truncated"),
    "empty": (lambda _: b"", "zip"),
    "text": (lambda _: b"<script>alert(1)</script>" * 50, "zip"),
    "document": (lambda data: data.replace(b'"keras:Dense"', b'"keras:Densf"', 1), "digest-mismatch"),
    "tail": (lambda data: data + b"more", "zip"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_reason(
    empty: Page, models: dict[str, Path], tmp_path: Path, case: str
) -> None:
    """Code, clause, place, finding and advice are told, and the next file is opened as if nothing had been."""
    change, code = BROKEN[case]
    path = tmp_path / f"{case}.etui"
    path.write_bytes(change(models["trained"].read_bytes()))
    choose(empty, path)
    empty.wait_for_selector(".problem")
    terms = empty.locator(".problem dt").all_inner_texts()
    assert terms == ["Where", "Found", "Code", "Clause", "What to do"]
    values = dict(zip(terms, empty.locator(".problem dd").all_inner_texts(), strict=True))
    assert code in values["Code"]
    assert values["Clause"].startswith("SPEC.md ")
    assert all(values.values())
    choose(empty, models["trained"])
    empty.wait_for_selector("[data-node='encoder']")
