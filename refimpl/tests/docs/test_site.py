"""The documentation's site: built strictly, with an address for each clause, no link to nowhere, nothing from afar."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import etui
from docs_site import clauses, outside, reference_pages, schema_pages
from etui import schemas
from etui.error_codes import ERROR_CODES

pytestmark = pytest.mark.library

ROOT = Path(__file__).parents[3]
SPECIFICATION = (ROOT / "SPEC.md").read_text(encoding="utf-8")
CLAUSES = re.findall(r"^\*\*\[([A-Z]+-\d+)\]\*\* ", SPECIFICATION, re.MULTILINE)
# Elements whose address the browser fetches with the page; a link is followed by the reader alone.
FETCHED = {"audio": "src", "embed": "src", "iframe": "src", "img": "src", "input": "src", "link": "href"} | {
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}


@dataclass
class Content:
    """What a page holds.

    Attributes:
        ids: of its elements, in order.
        links: where its links lead.
        fetched: what the browser asks for with it.
        text: of its body, without scripts.
        linked: the texts of links, by where they lead.
    """

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    linked: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.content = Content()
        self._silent = 0
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._silent += tag in {"script", "style"}
        if found := values.get("id"):
            self.content.ids.append(found)
        if tag == "a" and (to := values.get("href")) is not None:
            self.content.links.append(to)
            self._link = to
        if tag in FETCHED and (source := values.get(FETCHED[tag])):
            self.content.fetched.append(source)

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style"}
        if tag == "a":
            self._link = ""

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.content.text.append(data)
        if self._link:
            self.content.linked[self._link] = self.content.linked.get(self._link, "") + data


def read(path: Path) -> Content:
    """The content of a page."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return reader.content


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Content]:
    """The content of every page, without the viewer, which is a program of its own."""
    found = {path: read(path) for path in sorted(site.rglob("*.html")) if path.parent.name != "viewer"}
    assert len(found) > 80
    return found


def test_every_clause_has_its_address(site: Path) -> None:
    """Each id of SPEC.md is an anchor of the page of the same name, once, and so is its row in the table of proofs."""
    assert len(CLAUSES) > 800
    ids = Counter(read(site / "spec.html").ids)
    assert {clause: ids[clause] for clause in CLAUSES if ids[clause] != 1} == {}
    assert all(f"chapter-{number}" in ids for number in range(1, 23))
    assert all(f"annex-{letter}" in ids for letter in "ABCDEFGHIJKLMNOPQRS")


def test_the_page_has_every_word_of_the_specification(site: Path) -> None:
    """No word of SPEC.md is lost on the way to its page."""

    def words(text: str) -> Counter[str]:
        return Counter(re.findall(r"[A-Za-z0-9]+", text))

    # Not shown: comments, places of links, and what stands behind back-ticks, a language and marks.
    prose = re.sub(r"^```[^\n]*$|\]\([^)]*\)|<!--.*?-->", "", SPECIFICATION, flags=re.MULTILINE)
    assert sum(words(prose).values()) > 30_000
    assert words(prose) - words(" ".join(read(site / "spec.html").text)) == Counter()


def test_no_link_leads_nowhere(site: Path, pages: dict[Path, Content]) -> None:
    """Each link within the site leads to a file, and where it names an anchor, to one that is there."""
    ids = {path: set(content.ids) for path, content in pages.items()}
    wrong, followed = set(), 0
    for path, content in pages.items():
        if path.name == "404.html":  # shown below any address, so that its links begin at the root
            continue
        for link in content.links:
            address = urlsplit(link)
            if address.scheme:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(address.fragment)
            followed += 1
            if not target.is_file() or (anchor and target in ids and anchor not in ids[target]):
                wrong.add(f"{path.relative_to(site)}: {link}")
    assert followed > 10_000
    assert sorted(wrong) == []


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Content]) -> None:
    """No page has the browser ask another host: no font, no script, no picture; nor does a style."""
    fetched = {link for content in pages.values() for link in content.fetched}
    assert len(fetched) > 5
    assert {link for link in fetched if urlsplit(link).netloc} == set()
    styles = list(site.rglob("*.css"))
    assert len(styles) >= 2
    urls = {
        url
        for path in styles
        for url in re.findall(r"url\(\s*[\"']?([a-z]+:[^)\"']*)", path.read_text(encoding="utf-8"))
    }
    assert {url for url in urls if not url.startswith("data:")} == set()


def test_ids_are_unique(site: Path, pages: dict[Path, Content]) -> None:
    """No page has an id twice, so that each anchor names one place."""
    assert {
        str(path.relative_to(site)): twice
        for path, content in pages.items()
        if (twice := [name for name, count in Counter(content.ids).items() if count > 1])
    } == {}


def test_a_clause_that_is_named_is_a_link(site: Path) -> None:
    """Where a page names a clause, a chapter or an annex, a reader gets there: in prose, output and docstrings."""
    security = read(site / "security.html").linked
    assert security["spec.html#X-1"] == "X-1"
    assert security["spec.html#chapter-19"].startswith("chapter 19")
    assert read(site / "hub.html").linked["spec.html#HB-12"] == "HB-12"
    assert read(site / "signing.html").linked["spec.html#H-11"].startswith("H-11")  # in the output of a command
    assert read(site / "schemas/weights.html").linked["../spec.html#W-2"].startswith("W-2")
    assert read(site / "spec.html").linked["#B-11"].endswith("B-11")


def test_every_schema_is_there_as_a_page_and_as_a_file(site: Path) -> None:
    """Each schema has a page, and its text lies where its id says."""
    names = schemas.names()
    assert len(names) > 25
    listed = read(site / "schemas.html").links
    for name in names:
        assert (site / "schemas" / f"{name}.html").is_file()
        assert f"schemas/{name}.html" in listed
        copied = json.loads((site / "schemas" / "1.0" / f"{name}.schema.json").read_text(encoding="utf-8"))
        assert copied["$id"].endswith(f"/schemas/1.0/{name}.schema.json")


def test_every_public_name_is_described(site: Path) -> None:
    """Each public name of the library has its place in the reference, with the words of its docstring."""
    described = {name: path for path in sorted((site / "api").glob("*.html")) for name in read(path).ids}
    names = reference_pages.public_names()
    assert len(names) >= 40
    assert [name for name in names if name not in described] == []
    for module in ("checkpoints", "jax", "keras", "onnx", "programs", "signing", "torch"):
        public = getattr(etui, module).__all__
        assert [name for name in public if f"etui.{module}.{name}" not in described] == []
    words = " ".join("".join(read(described["etui.open"]).text).split())
    assert "read and check its documents, and no tensor" in words


def test_every_command_and_every_code_is_described(site: Path) -> None:
    """The page of the commands has each of them, and the page of the codes every code of the library."""
    from etui.cli import COMMANDS

    commands, errors = read(site / "commands.html"), "".join(read(site / "errors.html").text)
    assert [name for name in COMMANDS if f"etui-{name}" not in commands.ids] == []
    assert "etui-checkpoints-prune" in commands.ids
    assert "etui-conformance-run" in commands.ids
    assert [code for code in ERROR_CODES if not re.search(rf"(?<![\w-]){code}(?![\w-])", errors)] == []


def test_the_viewer_is_a_page_of_the_site(site: Path) -> None:
    """The viewer's page is copied as it is, where the library has it, and the navigation leads to it."""
    page = ROOT / "refimpl" / "etui" / "viewing" / "page.html"
    copied = site / "viewer" / "index.html"
    assert copied.exists() == page.exists()
    if page.exists():
        assert copied.read_bytes() == page.read_bytes()
    assert ("viewer/index.html" in read(site / "index.html").links) == page.exists()


def test_the_pages_of_the_repository_are_all_in_the_navigation(site: Path, pages: dict[Path, Content]) -> None:
    """From the first page a reader gets to every other one by links alone."""
    seen, todo = set(), [site / "index.html"]
    while todo:
        path = todo.pop()
        if path in seen or path not in pages:
            continue
        seen.add(path)
        for link in pages[path].links:
            address = urlsplit(link)
            if not address.scheme and address.path:
                todo.append((path.parent / unquote(address.path)).resolve())
    assert sorted(str(path.relative_to(site)) for path in set(pages) - seen if path.name != "404.html") == []


def _link(anchor: str, text: str) -> str:
    return f'<a class="clause-link" href="s.html#{anchor}">{text}</a>'


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>W-1, X-9 and UTF-8</p>", '<p><a class="clause-link" href="s.html#W-1">W-1</a>, X-9 and UTF-8</p>'),
        ("<h2>W-1</h2><a href='x'>W-1</a>", "<h2>W-1</h2><a href='x'>W-1</a>"),
        ("<code>W-1</code>", "<code>W-1</code>"),
        (
            "<pre>[a, SPEC.md W-1]</pre>",
            '<pre>[a, SPEC.md <a class="clause-link" href="s.html#W-1">W-1</a>]</pre>',
        ),
        (
            "annexes J and K; see J.4.",
            f"{_link('annex-J', 'annexes J')} and {_link('annex-K', 'K')}; see {_link('annex-J.4', 'J.4')}.",
        ),
        (
            "Chapter 6, 19 and 20.",
            f"{_link('chapter-6', 'Chapter 6')}, {_link('chapter-19', '19')} and {_link('chapter-20', '20')}.",
        ),
        ("<!-- W-1 -->&amp;&#39;<br/><SCRIPT>W-1</SCRIPT>", "<!-- W-1 -->&amp;&#39;<br/><SCRIPT>W-1</script>"),
    ],
)
def test_what_becomes_a_link(html: str, expected: str) -> None:
    """Names of clauses that exist become links, in code behind the name of SPEC.md alone; nothing else changes."""
    assert clauses.linked(html, "s.html", clauses.anchors(SPECIFICATION)) == expected


def test_links_out_of_the_pages() -> None:
    """A link to a page leads there; one to another file becomes its name or leads to its place; others fail."""
    pages = {"refimpl/docs/a.md": "a.md", "SPEC.md": "spec.md", "refimpl/docs/api/b.md": "api/b.md"}

    def rewritten(text: str, source: str = "refimpl/docs/a.md", url: str = "") -> str:
        return outside.rewritten(text, source, pages, ROOT, url)

    assert rewritten("[law](../../SPEC.md#x), [b](api/b.md), [c](#here), [d](https://e.org)") == (
        "[law](spec.md#x), [b](api/b.md), [c](#here), [d](https://e.org)"
    )
    assert rewritten("[law](../../../SPEC.md)", "refimpl/docs/api/b.md") == "[law](../spec.md)"
    assert rewritten("[the list](../../pyproject.toml)") == "the list (`pyproject.toml`)"
    assert rewritten("[`pyproject.toml`](../../pyproject.toml)") == "`pyproject.toml`"
    assert (
        rewritten("[the list](../../pyproject.toml)", url="https://h.org/etui")
        == "[the list](https://h.org/etui/pyproject.toml)"
    )
    assert rewritten("```\n[x](nowhere.md)\n```\n") == "```\n[x](nowhere.md)\n```\n"
    with pytest.raises(FileNotFoundError, match=r"a\.md: the link to nowhere\.md leads nowhere"):
        rewritten("[x](nowhere.md)")


def test_a_schema_without_a_group_is_refused(tmp_path: Path) -> None:
    """A folder of schemas that the list has no heading for fails the build."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "x.schema.json").write_text('{"$id": "x", "title": "Etui: x"}', encoding="utf-8")
    with pytest.raises(ValueError, match="without a heading"):
        schema_pages.pages(tmp_path)
