"""The report of a conversion: what it counts, shows, and refuses."""

from __future__ import annotations

import pytest

from etui.errors import TransferError
from etui.report import CHANGED, KEPT, LOST, OUTSIDE, STATUSES, Report
from etui.testing.hostile import refused_with
from etui.transfer import APPROXIMATE, EXACT, KINDS, REPARAMETRISED, Transfer


@pytest.mark.library
def test_every_status_keeps_changes_or_loses_an_item() -> None:
    """The four groups of statuses do not overlap, and a report is complete unless an item was lost."""
    assert len(STATUSES) == len(KEPT) + len(CHANGED) + len(OUTSIDE) + len(LOST)
    for status in STATUSES:
        report = Report("a", "b")
        report.add("variable", "kernel", status)
        assert report.ok == (status not in LOST)
        assert report.counts() == {"variable": {status: 1}}
        assert refused_with(report.require_complete) == ("not-complete" if status in LOST else None)


@pytest.mark.library
def test_an_unknown_status_is_an_error_of_the_caller() -> None:
    """A report takes no status that it could not explain."""
    with pytest.raises(KeyError):
        Report().add("variable", "kernel", "gone")


@pytest.mark.library
def test_an_incomplete_report_names_the_first_lost_items() -> None:
    """The error names five lost items and counts the others; the text for people has a line for each."""
    report = Report("model.h5", "model.etui")
    for index in range(7):
        report.add("slot", f"v{index}/m", "not-transferable", "no such slot")
    report.add("variable", "v0", "cast", "float64 to float32")
    report.add("variable", "v1", "restored")
    with pytest.raises(TransferError) as caught:
        report.require_complete()
    assert caught.value.where == "model.h5"
    assert [f"v{index}/m" in caught.value.found for index in range(7)] == [True] * 5 + [False] * 2
    assert caught.value.found.endswith("and 2 more")
    text = str(report)
    assert text.startswith("model.h5 -> model.etui\n")
    assert "slot: 7 not-transferable" in text
    assert "variable: 1 cast, 1 restored" in text
    assert "v0: carried over in another dtype (float64 to float32)" in text
    assert "v1" not in text.replace("v1/m", "")
    assert text.endswith("7 items were not carried over")


@pytest.mark.library
def test_a_report_as_json_has_every_entry() -> None:
    """The JSON form gives every entry in order, with counts and the verdict."""
    report = Report("a", "b")
    report.add("asset", "assets/x", "verbatim")
    found = report.as_json()
    assert found["ok"] is True
    assert found["counts"] == {"asset": {"verbatim": 1}}
    assert found["entries"] == [{"kind": "asset", "subject": "assets/x", "status": "verbatim", "detail": ""}]
    assert str(report).endswith("nothing was lost")


@pytest.mark.library
def test_many_items_that_fared_alike_have_one_line() -> None:
    """Of more than five items that were changed in one way the text names the first; of those left out, the number."""
    report = Report("a", "b")
    for index in range(9):
        report.add("slot", f"v{index}", "data-only", "by number")
        report.add("document", f"d{index}", "left-out", "not meant for it")
    text = str(report)
    assert "! slot v0 and 8 more: kept as data that the target does not interpret (by number)" in text
    assert "- document: 9 left out (not meant for it)" in text
    assert len(text.splitlines()) == 6


@pytest.mark.clause("TC-2@a370c3")
def test_a_report_shows_class_formula_and_bound_of_each_transfer() -> None:
    """Reparametrised and approximate items state their formula and bound, as text and as JSON; exact ones need none."""
    report = Report("a", "b")
    formula = Transfer(REPARAMETRISED, "b = -v / rate")
    for name in ("kernel", "bias"):
        report.add("slot", f"{name}/momentum", "translated", "", formula)
    report.add("slot", "kernel/velocity", "approximated", "", Transfer(APPROXIMATE, "eps = eps / sqrt(bc2)", 6.5e-6))
    report.add("slot", "bias/velocity", "restored", "", Transfer(EXACT))
    lines = str(report).splitlines()
    assert "  ~ slot kernel/momentum and 1 more: reparametrised (b = -v / rate)" in lines
    assert "  ~ slot kernel/velocity: approximate (eps = eps / sqrt(bc2); within 6.5e-06)" in lines
    assert not [line for line in lines if line.startswith("  ~ slot bias/velocity")]
    stated = [entry["transfer"] for entry in report.as_json()["entries"]]
    assert {one["class"] for one in stated} < set(KINDS)
    assert stated[2] == {"class": "approximate", "formula": "eps = eps / sqrt(bc2)", "bound": 6.5e-6}


@pytest.mark.clause("TC-3@672713")
def test_an_approximate_item_is_refused_unless_the_caller_asked_for_it() -> None:
    """A strict caller gets an approximate item by asking for just that; what is not transferable is refused still."""
    report = Report("a", "b")
    report.add("slot", "kernel/velocity", "approximated", "", Transfer(APPROXIMATE, bound=1e-6))
    assert refused_with(report.require_complete) == "not-complete"
    report.require_complete(allow=("approximated",))
    report.add("slot", "bias/velocity", "not-transferable")
    assert refused_with(lambda: report.require_complete(allow=("approximated",))) == "not-complete"
    report.require_complete(allow=("approximated", "not-transferable"))
