"""The report of a conversion: what it counts, shows, and refuses."""

from __future__ import annotations

import pytest

from etui.errors import TransferError
from etui.report import CHANGED, KEPT, LOST, STATUSES, Report
from etui.testing.hostile import refused_with


@pytest.mark.library
def test_every_status_keeps_changes_or_loses_an_item() -> None:
    """The three groups of statuses do not overlap, and a report is complete unless an item was lost."""
    assert len(STATUSES) == len(KEPT) + len(CHANGED) + len(LOST)
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
