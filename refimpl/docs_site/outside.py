"""Links from one page to another, and out of the pages into the repository.

The pages are written so that their links work in the repository. On the site some files of the repository are pages
under another name, and most are not there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

DOCS = "refimpl/docs"

_FENCE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:`[^`\n]*`|[^\[\]])*)\]\((?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")


def rewritten(text: str, source: str, pages: dict[str, str], repository: Path, source_url: str) -> str:
    """The text of a page with links as the site has them.

    Args:
        text: Markdown.
        source: the file of the page in the repository, such as ``refimpl/docs/jax.md``.
        pages: of each file of the repository that is on the site, its place there, as a source of the site.
        repository: its folder, in which every link must lead to something.
        source_url: where files of the repository are shown; empty if nowhere, and such a link is only named.

    Raises:
        FileNotFoundError: a link leads nowhere.
    """
    here = pages[source]

    def link(found: re.Match[str]) -> str:
        target, anchor = found["target"], found["anchor"] or ""
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in pages:
            place = posixpath.relpath(pages[path], posixpath.dirname(here) or ".")
            return f"{found['image']}[{found['text']}]({place}{anchor})"
        if not (repository / path).exists():
            raise FileNotFoundError(f"{source}: the link to {target} leads nowhere")
        if source_url:
            return f"[{found['text']}]({source_url}/{path}{anchor})"
        name = found["text"].strip("`")
        return f"`{path}`" if path.endswith(name) else f"{found['text']} (`{path}`)"

    # GitHub reads Markdown within an element; here the element has to say so.
    text = re.sub(r"^<details>", '<details markdown="1">', text, flags=re.MULTILINE)
    return outside_of_fences(text, lambda prose: _LINK.sub(link, prose))


def outside_of_fences(text: str, change: Callable[[str], str]) -> str:
    """The text with its prose changed, and its blocks of code as they are."""
    pieces, end = [], 0
    for fence in _FENCE.finditer(text):
        pieces += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, change(text[end:])])
