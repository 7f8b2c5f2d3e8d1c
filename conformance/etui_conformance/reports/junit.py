"""The report of a run in the XML of JUnit, which services of continuous integration show."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

_BAD = {"failed": "failure", "unexpected-pass": "failure", "error": "error"}


def junit(report: dict[str, Any]) -> bytes:
    """A JUnit document of a JSON report: a suite for each family of checks, a case for each check."""
    root = ET.Element("testsuites", name=f"Etui conformance of {report['implementation']['name']}")
    families: dict[str, list[dict[str, Any]]] = {}
    for check in report["checks"]:
        families.setdefault(check["id"].partition("/")[0], []).append(check)
    for element, checks in [(root, report["checks"]), *_suites(root, families, report["run"]["started"])]:
        for attribute, statuses in (
            ("tests", None),
            ("failures", {"failed", "unexpected-pass"}),
            ("errors", {"error"}),
            ("skipped", {"not-applicable", "known-failure"}),
        ):
            count = sum(statuses is None or check["status"] in statuses for check in checks)
            if element is not root or attribute != "skipped":
                element.set(attribute, str(count))
        element.set("time", f"{sum(check['seconds'] for check in checks):.3f}")
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suites(
    root: ET.Element, families: dict[str, list[dict[str, Any]]], started: str
) -> Iterator[tuple[ET.Element, list[dict[str, Any]]]]:
    for family, checks in families.items():
        suite = ET.SubElement(root, "testsuite", name=family, timestamp=started)
        for check in checks:
            _add_case(suite, family, check)
        yield suite, checks


def _add_case(suite: ET.Element, family: str, check: dict[str, Any]) -> None:
    name = f"{check['id'].partition('/')[2] or check['id']} ({', '.join(check['clauses'])})"
    case = ET.SubElement(suite, "testcase", classname=family, name=name, time=f"{check['seconds']:.3f}")
    finding = check["finding"] or {}
    if kind := _BAD.get(check["status"]):
        message = finding.get("detail") or f"a known failure passes: {check['reason']}"
        element = ET.SubElement(case, kind, message=_clean(message), type=finding.get("kind") or check["status"])
        sides = [f"{side}: {finding[side]}" for side in ("expected", "found", "replay") if finding.get(side)]
        element.text = _clean("\n".join([check["title"], *sides]))
    elif check["status"] == "not-applicable":
        ET.SubElement(case, "skipped", message=f"hello does not name {', '.join(check['lacking'])}")
    elif check["status"] == "known-failure":
        ET.SubElement(case, "skipped", message=_clean(f"known failure: {check['reason']}"))


def _clean(text: str) -> str:
    """A text without the characters that XML 1.0 cannot hold, not even escaped."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
