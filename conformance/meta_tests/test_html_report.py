"""The page of a report: whole, self-contained, and true to the JSON that it is made of."""

from __future__ import annotations

import copy
from html.parser import HTMLParser
from typing import Any

import pytest

from etui_conformance.reports.html import html_report

VOID = {"meta", "input", "link", "br"}


def report() -> dict[str, Any]:
    """A small report with a clause of each verdict and a check of each status."""
    finding = {
        "kind": "mismatch",
        "detail": "decode did not refuse <it>",
        "expected": "invalid chunk-cover",
        "found": "ok",
        "leak": True,
        "replay": "failures/0001",
    }
    checks = [
        check("vector/weights/0001/decode", ["W-7"], "passed"),
        check("fault/W-7/gap", ["W-7", "X-1"], "failed", finding),
        check("property/decode/weights", ["D-1"], "passed"),
        check("vector/optimizer/0001/decode", ["O-1"], "not-applicable", lacking=["optimizer"]),
    ]
    return {
        "suite": {"version": "1", "spec": "1.0", "protocol": "1.0", "python": "3.11", "platform": "here"},
        "implementation": {
            "name": "own & only",
            "version": "2",
            "language": "C",
            **{kind: [kind] for kind in ("ops", "areas", "forms", "features", "dtypes", "formats")},
        },
        "run": {
            "command": "./own --fast",
            "profile": None,
            "quick": True,
            "seed": 7,
            "examples": 10,
            "started": "2026-01-01T00:00:00+00:00",
            "seconds": 1.5,
            "complete": False,
            "exit_code": 1,
        },
        "counts": {"passed": 2, "failed": 1, "error": 0, "not-applicable": 1},
        "profiles": [{"name": "reader", "status": "lacking", "lacking": ["optimizer"], "passed": 2, "failed": 1}],
        "clauses": [
            row("D-1", "2. Terms", "passed", ["property/decode/weights"]),
            row("W-7", "12. Weights", "failed", ["vector/weights/0001/decode", "fault/W-7/gap"]),
            row("O-1", "15. Optimizer", "not-applicable", ["vector/optimizer/0001/decode"]),
            row("F-6", "8. Directory", "untested", [], "it is a matter of <durability>"),
        ],
        "checks": checks,
    }


def check(name: str, clauses: list[str], status: str, finding: Any = None, lacking: Any = ()) -> dict[str, Any]:
    """A check as a report has it."""
    return {
        "id": name,
        "title": f"does {name}",
        "clauses": clauses,
        "needs": [],
        "status": status,
        "seconds": 0.1,
        "lacking": list(lacking),
        "reason": None,
        "finding": finding,
    }


def row(name: str, chapter: str, status: str, checks: list[str], reason: str | None = None) -> dict[str, Any]:
    """A clause as a report has it."""
    return {
        "id": name,
        "keyword": "MUST",
        "text": f"{name} MUST `hold`.",
        "line": 1,
        "chapter": chapter,
        "section": "",
        "status": status,
        "checks": checks,
        "untestable": reason,
    }


class Page(HTMLParser):
    """What a page has: its tags in pairs, its ids, its links, its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        if name := found.get("id"):
            self.ids.append(name)
        if link := found.get("href"):
            self.links.append(link)
        self.outside += [value for key in ("src", "action", "srcset") if (value := found.get(key))]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words += data


@pytest.mark.library
def test_the_page_is_whole_and_needs_nothing_from_outside() -> None:
    """Every tag is closed, every id is there once, and every link leads to a place on the page itself."""
    page = Page(html_report(report()))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    assert all(link.startswith("#") for link in page.links)
    assert {link.removeprefix("#") for link in page.links} - {"X-1"} <= set(page.ids)
    assert page.outside == []
    assert "@import" not in html_report(report())
    assert "url(" not in html_report(report())


@pytest.mark.library
def test_the_page_says_what_the_report_says() -> None:
    """Each clause has its row, each failure its finding and replay, and what no message can show its reason."""
    made = report()
    page = Page(html_report(made))
    assert {clause["id"] for clause in made["clauses"]} <= set(page.ids)
    for word in (
        "own & only 2 (C)",
        "Not conformant",
        "decode did not refuse <it>",
        "invalid chunk-cover",
        "etui-conformance replay failures/0001",
        "state was kept from earlier requests",
        "it is a matter of <durability>",
        "lacks optimizer",
        "0/1",
    ):
        assert word in page.words or word in page.words.replace("\n", " "), word


@pytest.mark.library
def test_a_run_without_failures_has_no_list_of_them() -> None:
    """A page whose checks all passed says conformant, and has no heading for failures."""
    good = copy.deepcopy(report())
    good["run"] |= {"exit_code": 0, "complete": True}
    good["checks"][1] |= {"status": "passed", "finding": None}
    good["clauses"][1]["status"] = "passed"
    text = html_report(good)
    assert "Conformant in everything that was asked" in text
    assert "Failures" not in text
    assert text.count(">1/1<") == 3
