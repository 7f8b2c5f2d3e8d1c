"""The table of error codes against SPEC.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etui import errors
from etui.error_codes import ERROR_CODES, TABLES

SPEC = (Path(__file__).parents[2] / "SPEC.md").read_text(encoding="utf-8")
CLASSES = {"malformed", "invalid", "unsupported", "limit", "integrity", "unsafe"}
LIBRARY_CLASSES = {"transfer", "storage", "usage", "extra"}
CODE = re.compile(r"`([a-z][a-z0-9]*(?:-[a-z0-9]+)+)`")


def clauses() -> dict[str, str]:
    """The text of every clause by its id."""
    found = re.findall(r"^\*\*\[([A-Z]+-\d+)\]\*\* (.*?)(?=\n\n|\Z)", SPEC, re.MULTILINE | re.DOTALL)
    return dict(found)


def chapter(title: str) -> str:
    """The text of the chapter of that title."""
    start = SPEC.index(f". {title}\n")
    return SPEC[start : SPEC.index("\n## ", start)]


def spec_codes() -> dict[str, set[str]]:
    """Every code that a clause names, with the ids of these clauses; the table of limits belongs to L-2."""
    codes: dict[str, set[str]] = {}
    for clause, text in clauses().items():
        for code in CODE.findall(text):
            codes.setdefault(code, set()).add(clause)
    for code in CODE.findall(chapter("Limits")):
        codes.setdefault(code, set()).add("L-2")
    return codes


@pytest.mark.clause("E-1@c976f4")
def test_the_table_holds_exactly_the_codes_of_the_spec() -> None:
    """Each code that a clause names is in the table, and each clause of the table names its code."""
    spec = spec_codes()
    assert len(spec) > 80
    table = {code: entry.clause for code, entry in ERROR_CODES.items() if entry.clause is not None}
    assert set(table) == set(spec)
    wrong = {code: clause for code, clause in table.items() if clause not in spec[code]}
    assert wrong == {}


@pytest.mark.clause("E-1@c976f4")
def test_the_classes_are_those_of_the_spec() -> None:
    """A code is of the class in whose row SPEC.md names it, and `invalid` if no row does."""
    tables = chapter("Errors") + SPEC[SPEC.index("\n## Annex B") :]
    found = re.findall(r"^\| `([a-z]+)` \|[^|]*\| (.*) \|$", tables, re.MULTILINE)
    rows = [row for row in found if row[0] in CLASSES]
    expected = {code: name for name, codes in rows for code in CODE.findall(codes)}
    assert set(dict(rows)) == CLASSES
    assert len(expected) > 20
    for code, entry in ERROR_CODES.items():
        if entry.clause is not None:
            default = "limit" if code.startswith("limit-") else "invalid"
            assert (code, entry.error_class) == (code, expected.get(code, default))


@pytest.mark.library
def test_codes_without_a_clause_are_of_the_library() -> None:
    """A code has no clause exactly if its class is one of the library's own."""
    own = {code for code, entry in ERROR_CODES.items() if entry.clause is None}
    assert own
    assert own == {code for code, entry in ERROR_CODES.items() if entry.error_class in LIBRARY_CLASSES}


@pytest.mark.library
def test_a_code_stands_in_one_table() -> None:
    """No table says of a code of another one what else it means."""
    assert len(TABLES) > 1
    assert len(ERROR_CODES) == sum(len(table) for table in TABLES)


@pytest.mark.library
def test_rows_are_sorted_by_chapter() -> None:
    """The table lists the codes in the order in which SPEC.md has their clauses."""
    order = list(clauses())
    places = [order.index(entry.clause) for entry in ERROR_CODES.values() if entry.clause is not None]
    assert len(places) > 80
    assert places == sorted(places)


@pytest.mark.library
def test_every_code_makes_an_error_that_says_what_to_do() -> None:
    """Each code gives an error of its class whose message holds place, summary, finding, code and hint."""
    assert ERROR_CODES
    for code, entry in ERROR_CODES.items():
        failure = errors.error(code, where="weights.json", found="seven")
        assert (failure.error_class, failure.clause) == (entry.error_class, entry.clause)
        for part in ("weights.json", entry.summary, "seven", code, entry.hint, entry.clause or code):
            assert part in str(failure)
        assert entry.hint.endswith(".")
        assert not entry.summary.endswith(".")
