"""The page and the command: one file, opened or not, that no text of a model breaks out of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import etui
from etui import schemas
from etui.cli import main
from etui.viewing import page as pages
from etui.viewing.page import page_of

pytestmark = pytest.mark.library

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and no browser."""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line."""
    return lambda *arguments: (main([*map(str, arguments)]), *capsys.readouterr())


class Payload(HTMLParser):
    """Finds the payload of a page, as a browser does."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and dict(attrs).get("id") == "etui-payload"
        if self._inside:
            assert dict(attrs)["type"] == "application/json"

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  each element but the payload ends it
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)


def payload_in(page: str) -> Any:
    (text,) = Payload(page).found
    return json.loads(text)


def test_the_page_holds_its_payload(sample: Path) -> None:
    """The file is the viewer with one element more, in which the payload stands."""
    page = etui.view(sample, html="out.html", browser=False)
    text = Path("out.html").read_text(encoding="utf-8")
    assert payload_in(text) == page.payload
    template = pages._TEMPLATE.read_text(encoding="utf-8")
    assert len(text) > len(template)
    before, _, after = template.partition("<!--etui-payload-->")
    assert text.startswith(before)
    assert text.endswith(after)
    assert (str(page), os.fspath(page), page.opened) == ("out.html", "out.html", False)


HOSTILE = ["</script><script>alert(1)</script>", "<!--", "<!--<script>", "]]>", "\u2028", "'\"&lt;", "</SCRIPT "]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_model_leaves_the_payload(text: str) -> None:
    """Whatever a model's names hold, a browser finds one payload that says the same, and no other element."""
    payload = etui.view(etui.Model(config=etui.Config(etui.Module("m", op="x:y"))), html="out.html").payload
    payload["artifacts"][0]["name"] = text
    page = page_of(payload)
    plain = Path("out.html").read_text(encoding="utf-8")
    assert payload_in(page) == payload
    for mark in ("<script", "</script", "<!--", "<"):
        assert page.lower().count(mark) == plain.lower().count(mark)


def test_the_page_goes_into_the_folder_for_caches(sample: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name the page has one of its own for each model, in the user's folder for caches."""
    first, again = etui.view(sample), etui.view(sample)
    assert first.path == again.path
    assert first.path.parent == home / ".cache" / "etui" / "pages"
    assert first.path.name.startswith("sample.etui-")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "elsewhere"))
    assert etui.view(sample).path.parent == home / "elsewhere" / "etui" / "pages"
    odd = etui.Model(config=etui.Config(etui.Module("a b'*ä" * 20, op="x:y")))
    assert len(etui.view(odd).path.name) < 120


@pytest.mark.parametrize("code", [0, 1])
def test_the_browser_is_asked(sample: Path, tmp_path: Path, code: int) -> None:
    """The browser that the system names gets the page's address; one that fails is no error, and the path is told."""
    asked = tmp_path / "asked"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {asked}\nexit {code}\n')
    browser.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "etui", "view", str(sample), "--json"],
        env={**os.environ, "BROWSER": f"{browser} %s"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert asked.read_text() == Path(found["page"]).as_uri()
    assert found["opened"] is (code == 0)


def test_a_browser_that_cannot_be_had_is_no_error(sample: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Where no browser can be opened, the command prints the path and exits with 0."""
    code, out, err = run("view", sample)
    assert (code, err) == (0, "")
    assert "no browser was found" in out
    assert Path(out.partition("page: ")[2].splitlines()[0]).is_file()
    monkeypatch.setenv("DISPLAY", ":0")

    def fail(address: str) -> bool:
        raise webbrowser.Error(address)

    monkeypatch.setattr(webbrowser, "open", fail)
    assert etui.view(sample).opened is False


def test_a_named_page_opens_no_browser(sample: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """A page that was asked for by name is only written; in Python it is opened if that is asked for."""
    asked: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")

    def ask(address: str) -> bool:
        asked.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", ask)
    assert run("view", sample, "--html", "out.html")[0] == 0
    assert etui.view(sample, html="out.html").opened is False
    assert asked == []
    assert etui.view(sample, html="out.html", browser=True).opened is True
    assert etui.view(sample).opened is True
    assert etui.view(sample, browser=False).opened is False
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert etui.view(sample).opened is False
    assert len(asked) == 2


def test_the_command_tells_what_it_read(run: Run, demo: Callable[[str], Path]) -> None:
    """The report of a conversion, the identity, the tensors and the path stand in the output."""
    code, out, err = run("view", demo("words.keras"), "--html", "out.html")
    assert (code, err) == (0, "")
    assert "words.keras: sha256:" in out
    assert "  variable: 9 restored" in out
    assert "  every element of 27 tensors was looked at" in out
    assert out.endswith("page: out.html\n")


def test_the_command_prints_json(run: Run, demo: Callable[[str], Path], sample: Path) -> None:
    """The JSON of the command is as its schema says, for one model and for two, with data and without."""
    one = json.loads(run("view", sample, "--html", "o.html", "--json")[1])
    two = json.loads(run("view", demo("words.keras"), sample, "--html", "o.html", "--json")[1])
    bare = json.loads(run("view", sample, sample, "--no-data", "--html", "o.html", "--json")[1])
    for found in (one, two, bare):
        assert schemas.validate("cli/view", found, "view") == []
        assert (found["page"], found["opened"]) == ("o.html", False)
    assert [one["different"], two["different"], bare["different"]] == [None, 0, None]
    assert [artifact["source_format"] for artifact in two["artifacts"]] == ["keras", None]
    assert [artifact["tensors"] for artifact in bare["artifacts"]] == [None, None]
    assert one["artifacts"][0]["tensors"] > 10


def test_what_is_no_page_is_not_replaced(run: Run, sample: Path) -> None:
    """A page never takes the place of another kind of file, such as the model; of a page or an empty file it does."""
    before = sample.read_bytes()
    code, _, err = run("view", sample, "--html", sample)
    assert (code, sample.read_bytes() == before) == (1, True)
    assert "[target-other-format]" in err
    Path("out.html").touch()
    assert run("view", sample, "--html", "out.html")[0] == 0
    assert run("view", sample, "--html", "out.html")[0] == 0


def test_a_damaged_model_leaves_an_earlier_page(run: Run, tmp_path: Path, sample: Path) -> None:
    """A model that is refused is told in one line, and the page that was there stays."""
    assert run("view", sample, "--html", "out.html")[0] == 0
    before = Path("out.html").read_bytes()
    data = sample.read_bytes()
    (tmp_path / "broken.etui").write_bytes(data[:-30])
    code, out, err = run("view", "broken.etui", "--html", "out.html")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "broken.etui" in err
    assert Path("out.html").read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(run: Run, sample: Path) -> None:
    """A folder that is missing is an error with a code."""
    code, _, err = run("view", sample, "--html", "missing/out.html")
    assert code == 1
    assert "[storage-failed]" in err


def test_a_page_shows_itself_in_a_notebook(sample: Path) -> None:
    """A page is its own HTML, in a frame that can run scripts and nothing else of the notebook's."""
    page = etui.view(sample, html="out.html")

    class Frame(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            frames.append((tag, dict(attrs)))

    frames: list[tuple[str, dict[str, str | None]]] = []
    Frame().feed(page._repr_html_())
    ((tag, attributes),) = frames
    assert tag == "iframe"
    assert attributes["srcdoc"] == Path("out.html").read_text(encoding="utf-8")
    assert attributes["sandbox"] == "allow-scripts allow-downloads"
    assert attributes["title"] == "sample.etui"


@pytest.mark.parametrize("content", [None, "", "<html></html>", "<!--etui-payload--><!--etui-payload-->"])
def test_an_installation_without_the_viewer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """A viewer that is missing or damaged is reported as such, and nothing is written."""
    template = tmp_path / "page.html"
    if content is not None:
        template.write_text(content)
    monkeypatch.setattr(pages, "_TEMPLATE", template)
    with pytest.raises(FileNotFoundError, match=r"page\.html"):
        etui.view(etui.Model(config=etui.Config(etui.Module("m", op="x:y"))), html="out.html")
    assert not Path("out.html").exists()
