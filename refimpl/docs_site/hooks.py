"""The hooks of `mkdocs.yml`: they add the pages that are made from the repository, and lead every link to its place.

Nothing is fetched, and nothing outside of the repository is read.
"""

from __future__ import annotations

import logging
import posixpath
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from docs_site import clauses, outside, reference_pages, schema_pages

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
SPECIFICATION = "spec.md"
PROOF = "conformance-table.md"
VIEWER = "viewer/index.html"
# Files of the repository that are pages of the site.
ROOT_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
MADE = {"commands.md": reference_pages.commands, "errors.md": reference_pages.errors}
UNSEARCHED = frozenset({PROOF})  # every search would find it
WIDE = frozenset({PROOF, "benchmarks.md", "crossing.md", "errors.md", "formats-matrix.md", "transfer.md"})
_SCRIPT = re.compile(r'^(```python title=")[a-z]+/', re.MULTILINE)  # shown by its name, under which it is to be saved

log = logging.getLogger("mkdocs.hooks.etui")


@cache
def specification() -> str:
    """The text of SPEC.md."""
    return _read("SPEC.md")


def _read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


@cache
def anchors() -> dict[str, str]:
    """The anchors of SPEC.md."""
    return clauses.anchors(specification())


def places() -> dict[str, str]:
    """Of each file of the repository that is on the site, its place there."""
    docs = REPOSITORY / outside.DOCS
    found = {path.relative_to(REPOSITORY).as_posix(): path.relative_to(docs).as_posix() for path in _files(docs)}
    found |= ROOT_PAGES | {f"{outside.DOCS}/{name}": name for name in MADE}
    found |= {
        "SPEC.md": SPECIFICATION,
        "README.md": "index.md",
        outside.DOCS: "index.md",
        "schemas": schema_pages.INDEX,
    }
    for path in _files(REPOSITORY / "schemas"):
        name = path.relative_to(REPOSITORY).as_posix()
        if (place := schema_pages.place(name)) and "examples" not in path.parts:
            found[name] = place
    return found


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take pages out of the navigation that this checkout does not have."""
    available = {*places().values(), *MADE, *([VIEWER] if _viewer().exists() else [])}
    config.nav = _existing(config.nav, available)
    return config


def _existing(entry: Any, available: set[str]) -> Any:
    if isinstance(entry, list):
        return [kept for member in entry if (kept := _existing(member, available))]
    if isinstance(entry, dict):
        return {name: kept for name, member in entry.items() if (kept := _existing(member, available))}
    if entry in available:
        return entry
    log.info("not in this checkout, and left out of the navigation: %s", entry)
    return None


def _viewer() -> Path:
    return REPOSITORY / "refimpl" / "etui" / "viewing" / "page.html"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made: SPEC.md, the schemas, reference, pages of the root, the viewer, the style."""
    texts = {SPECIFICATION: clauses.page(specification(), PROOF, _read(f"{outside.DOCS}/{PROOF}"))}
    texts |= {place: _read(name) for name, place in ROOT_PAGES.items()}
    texts |= {place: make() for place, make in MADE.items()}
    texts |= schema_pages.pages(REPOSITORY / "schemas")
    copies = schema_pages.raw(REPOSITORY / "schemas")
    copies |= {f"assets/{path.name}": path for path in _files(HERE / "assets")}
    if _viewer().exists():
        copies[VIEWER] = _viewer()
    for place, text in texts.items():
        # The list of schemas leads to each; together they would fill the navigation.
        level = InclusionLevel.NOT_IN_NAV if place.startswith("schemas/") else InclusionLevel.UNDEFINED
        files.append(File.generated(config, place, content=text, inclusion=level))
    for place, path in copies.items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Lead the links of a page to their places, and add what belongs to it."""
    place = page.file.src_uri
    if place in UNSEARCHED:
        page.meta.setdefault("search", {"exclude": True})
    if place in WIDE:
        page.meta.setdefault("hide", ["toc"])
    if place == "index.md":
        page.meta.setdefault("hide", ["navigation"])  # the tabs are above it
    markdown = _SCRIPT.sub(r"\1", markdown)
    if place == "api/index.md":
        markdown += reference_pages.rest(REPOSITORY / outside.DOCS / "api")
    if place in {SPECIFICATION, schema_pages.INDEX, *MADE} or place.startswith("schemas/"):
        return markdown  # made for the site
    found = places()
    source = next(name for name, other in found.items() if other == place and name.endswith(".md"))
    text = outside.rewritten(markdown, source, found, REPOSITORY, config.extra["repository_files"])
    return clauses.proof_rows(text) if place == PROOF else text


def on_page_content(html: str, *, page: Page, files: Files, **_: object) -> str:
    """Make a link of each clause, chapter and annex that the text names."""
    target = files.get_file_from_path(SPECIFICATION)
    if target is None:
        raise FileNotFoundError(SPECIFICATION)
    here = page.file.src_uri == SPECIFICATION
    place = "" if here else posixpath.relpath(target.url, posixpath.dirname(page.file.url) or ".")
    html = clauses.linked(html, place, anchors())
    wide = page.file.src_uri in WIDE
    return f'<div class="wide {PurePosixPath(page.file.src_uri).stem}">{html}</div>' if wide else html
