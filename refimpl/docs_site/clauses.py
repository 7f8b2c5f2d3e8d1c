"""The clauses of SPEC.md as the site shows them: an anchor for each, and a link wherever one is named.

The anchor of a clause is its id, `spec.html#W-12`; a chapter or section has one of its own: `chapter-6.1`, `annex-J.4`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser

_CLAUSE = re.compile(r"^\*\*\[([A-Z]+-[1-9][0-9]*)\]\*\* ", re.MULTILINE)
_HEADING = re.compile(
    r"^(?P<level>#{2,3}) (?P<text>(?:Annex (?P<annex>[A-Z])\.|(?P<section>[A-Z]?[0-9]*(?:\.[0-9]+)?)\.?) .*)$",
    re.MULTILINE,
)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(`[^`]*`|\]\([^)]*\)|<!--.*?-->)|[^`\]<]+", re.DOTALL)  # of code, a place, a comment, or of text
_EXAMPLE = re.compile(r"^```json example=(?P<kind>\w+)(?: reject=(?P<code>[\w-]+))?$", re.MULTILINE)

_ID = r"[A-Z]{1,3}-[1-9][0-9]*"
_ROW = re.compile(rf"^\| ({_ID}) \|", re.MULTILINE)
_NAMED = re.compile(
    rf"(?<![\w/.#-])(?:(?P<clause>{_ID})"
    r"|(?P<chapter>[Cc]hapters? )(?P<chapter_number>[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<annex>[Aa]nnex(?:es)? )?(?P<annex_letter>(?(annex)[A-Z](?:\.[0-9]+)?|[A-Z]\.[0-9]+)))(?![\w-])"
)
_LAW = re.compile(rf"(?P<law>SPEC\.md )(?P<clause>{_ID})(?![\w-])")
_MORE = re.compile(
    r"(?P<between>, (?:and )?| and | to )(?P<number>[A-Z](?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)(?![\w-]|\.[0-9])"
)

# No link within a link, a heading, or what is no text; within code, only where SPEC.md is named.
_NONE = frozenset({"a", "button", "h1", "h2", "h3", "h4", "h5", "h6", "script", "style", "title"})
_CODE = frozenset({"code", "pre", "kbd", "samp"})


def clause_ids(specification: str) -> list[str]:
    """The ids of all clauses, in the order of the text."""
    return _CLAUSE.findall(_FENCE.sub("", specification))


def anchors(specification: str) -> dict[str, str]:
    """What a text may name, and the anchor of it: clauses, chapters and sections, by the name that the text uses."""
    names = {clause: clause for clause in clause_ids(specification)}
    for heading in _HEADING.finditer(_FENCE.sub("", specification)):
        name = _heading_name(heading)
        names[name] = name
    return names


def page(specification: str, proof: str, table: str) -> str:
    """SPEC.md as a page of the site.

    Args:
        specification: the text of SPEC.md.
        proof: the page that says for each clause, at an anchor of the same name, what proves it.
        table: the text of that page, which lacks clauses that are newer.
    """
    proofs = {clause: f"{proof}#{clause}" for clause in _ROW.findall(table)}
    pieces, end = [], 0
    for fence in _FENCE.finditer(specification):
        pieces += [_prose(specification[end : fence.start()], proofs), _EXAMPLE.sub(_example, fence[0])]
        end = fence.end()
    return "".join([*pieces, _prose(specification[end:], proofs)])


def _prose(text: str, proofs: Mapping[str, str]) -> str:
    # Emphasis is written with asterisks; an underscore is one, as in P_{i+1}, which is no emphasis on GitHub either.
    text = _SPAN.sub(lambda found: found[1] or found[0].replace("_", "\\_"), text)
    text = _HEADING.sub(lambda heading: f"{heading[0]} {{ #{_heading_name(heading)} }}", text)
    paragraphs = text.split("\n\n")
    for index, paragraph in enumerate(paragraphs):
        if clause := _CLAUSE.match(paragraph.lstrip("\n")):
            name = clause[1]
            words = _CLAUSE.sub("", paragraph.lstrip("\n"), count=1).rstrip("\n")
            link = f'[{name}](#{name} "The link to this clause"){{ .clause-id }}'
            proved = f' [proof]({proofs[name]} "What proves {name}"){{ .clause-proof }}' if name in proofs else ""
            paragraphs[index] = f"{link} {words}{proved}\n{{: #{name} .clause }}"
    return "\n\n".join(paragraphs)


def _heading_name(heading: re.Match[str]) -> str:
    if heading["annex"]:
        return f"annex-{heading['annex']}"
    section = heading["section"]
    return f"annex-{section}" if section[0].isalpha() else f"chapter-{section}"


def _example(block: re.Match[str]) -> str:
    refused = f", refused with {block['code']}" if block["code"] else ""
    return f'```json title="Example: {block["kind"]}{refused}"'


def proof_rows(table: str) -> str:
    """The table of what proves each clause, with an anchor in each row and the clause's own as its link."""
    return _ROW.sub(r'| <span id="\1"></span>[\1](spec.md#\1) |', table)


class _Linker(HTMLParser):
    """Copies HTML as it is, except that text which names a clause becomes a link to it."""

    def __init__(self, place: str, known: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=False)
        self.place, self.known = place, known
        self.pieces: list[str] = []
        self.none = self.code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  as they are
        self.none += tag in _NONE
        self.code += tag in _CODE
        self.pieces.append(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  as it is
        self.pieces.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self.none -= tag in _NONE
        self.code -= tag in _CODE
        self.pieces.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.none:
            data = _LAW.sub(self._linked, data) if self.code else self._prose(data)
        self.pieces.append(data)

    def handle_entityref(self, name: str) -> None:
        self.pieces.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.pieces.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.pieces.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.pieces.append(f"<!{decl}>")

    def _linked(self, found: re.Match[str]) -> str:
        name = found["clause"]
        return f"{found['law']}{self._link(name, name)}"

    def _link(self, name: str, text: str) -> str:
        anchor = self.known.get(name)
        return f'<a class="clause-link" href="{self.place}#{anchor}">{text}</a>' if anchor else text

    def _prose(self, data: str) -> str:
        pieces, end = [], 0
        while found := _NAMED.search(data, end):
            pieces.append(data[end : found.start()])
            end = found.end()
            if found["clause"]:
                pieces.append(self._link(found["clause"], found[0]))
                continue
            kind, number = (
                ("chapter", found["chapter_number"]) if found["chapter"] else ("annex", found["annex_letter"])
            )
            pieces.append(self._link(f"{kind}-{number}", found[0]))
            # "annexes J and K", "chapters 6, 19 and 20": the others have the same kind.
            while more := _MORE.match(data, end):
                if number.partition(".")[0].isdigit() != more["number"].partition(".")[0].isdigit():
                    break
                pieces += [more["between"], self._link(f"{kind}-{more['number']}", more["number"])]
                end = more.end()
        return "".join([*pieces, data[end:]])


def linked(html: str, place: str, known: Mapping[str, str]) -> str:
    """HTML in which each clause, chapter and annex that its text names is a link.

    Args:
        html: of the content of a page.
        place: the page of SPEC.md, as the page refers to it; empty for that page itself.
        known: the anchors by their names.
    """
    linker = _Linker(place, known)
    linker.feed(html)
    linker.close()
    return "".join(linker.pieces)
