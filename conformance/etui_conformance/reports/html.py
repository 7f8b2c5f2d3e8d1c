"""The report of a run as one page: a matrix of clauses and families of checks, which needs nothing from outside.

The page is whole without JavaScript; a script of a few lines only filters the rows. Its look is in `page.css`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

Json = Mapping[str, Any]

_HERE: Final = Path(__file__).parent
_BAD: Final = ("failed", "error", "known-failure", "unexpected-pass")
_SHOWN_CHECKS: Final = 40
"""So many checks of a clause are listed that passed; the rest is counted. What failed is listed whole."""

_OPEN_FAILURES: Final = 3

_FAMILIES: Final = {
    "vector": "golden vectors",
    "generated": "the same where a file would be large",
    "edges": "next to the limits",
    "fault": "drawn artifacts with one fault",
    "property": "drawn artifacts",
    "sequence": "sequences of requests",
    "writing": "writers",
    "rewriting": "rewriting",
    "replacing": "replacing an artifact",
    "refusing": "what a writer must refuse",
    "natives": "native documents",
    "strangers": "fields and ops that nobody knows",
    "assets": "names of assets",
    "semantics": "ops, losses, steps",
    "conversion": "foreign formats, written twice",
    "weights-files": "weights files in several pieces",
    "protocol": "the protocol",
}
"""The first segment of a check's id, which is a column of the matrix."""

_VERDICTS: Final = {
    0: ("good", "conformant in everything that was asked"),
    1: ("bad", "not conformant"),
    2: ("bad", "the suite could not do its work"),
}


def html_report(report: Json) -> str:
    """The page of a report.

    Args:
        report: of the form of `conformance/report.schema.json`.
    """
    name = _titled(report)
    body = [
        f"<header><h1>{name}</h1>{_verdict(report)}</header>",
        _facts(report),
        _profiles(report["profiles"]),
        _failures(report["checks"]),
        _matrix(report),
    ]
    return page(f"Conformance of {name}", body)


def page(title: str, body: Iterable[str]) -> str:
    """A page with the style and the script inside of it; the title is HTML already."""
    style, script = ((_HERE / file).read_text(encoding="utf-8") for file in ("page.css", "page.js"))
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>\n{style}</style></head><body><main>"
    )
    return "\n".join([head, *body, f"</main><script>\n{script}</script></body></html>\n"])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    inside = f"<thead><tr>{cells}</tr></thead><tbody>\n{lines}\n</tbody>"
    return f'<div class="wide"><table>{inside}</table></div>'


def mark(status: str, text: str = "") -> str:
    """A status as a word with its colour, which is never the only sign of it."""
    return f'<span class="mark {escape(status)}">{escape(text or status.replace("-", " "))}</span>'


def _titled(report: Json) -> str:
    own = report["implementation"]
    return escape(f"{own['name']} {own['version']} ({own['language']})")


def _verdict(report: Json) -> str:
    kind, words = _VERDICTS[report["run"]["exit_code"]]
    if kind == "good" and not report["run"]["complete"]:
        words += ", which was not everything"
    counts = ", ".join(f"{count} {escape(status)}" for status, count in report["counts"].items() if count)
    return f'<p class="verdict {kind}"><strong>{words[0].upper()}{words[1:]}</strong><span>{counts}</span></p>'


def _facts(report: Json) -> str:
    run, suite, own = report["run"], report["suite"], report["implementation"]
    seed = "none: the examples are always the same" if run["seed"] is None else run["seed"]
    pace = f"{'quick, ' if run['quick'] else ''}{run['examples']} examples, seed {seed}"
    where = f"Python {suite['python']} on {suite['platform']}"
    facts = {
        "Adapter": f"<code>{escape(run['command'])}</code>",
        "Run": escape(f"{run['started']}, {run['seconds']:.1f} s, {pace}"),
        "Suite": escape(f"{suite['version']}, for version {suite['spec']} of the format; {where}"),
        "It claims": "; ".join(
            f"{kind} <code>{escape(' '.join(own[kind]) or '–')}</code>"
            for kind in ("ops", "areas", "forms", "features", "dtypes", "formats")
        ),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return f"<dl>{rows}</dl>"


def _profiles(profiles: Sequence[Json]) -> str:
    rows = [
        (
            f"<code>{escape(one['name'])}</code>",
            mark(one["status"]),
            str(one["passed"]),
            str(one["failed"]),
            f"<code>{escape(' '.join(one['lacking']))}</code>" if one["lacking"] else "",
        )
        for one in profiles
    ]
    return "<h2>Profiles</h2>" + table(("profile", "verdict", "passed", "failed", "what it lacks"), rows)


def _failures(checks: Sequence[Json]) -> str:
    bad = [check for check in checks if check["status"] in _BAD]
    if not bad:
        return ""
    shown = "".join(_failure(check, shown=number < _OPEN_FAILURES) for number, check in enumerate(bad))
    return f"<h2>Failures</h2>{shown}"


def _failure(check: Json, *, shown: bool) -> str:
    finding = check["finding"] or {}
    words = {
        "what": finding.get("detail"),
        "expected": finding.get("expected"),
        "found": finding.get("found"),
        "listed as known, because": check["reason"],
        "repeat it": f"etui-conformance replay {finding['replay']} --adapter …" if finding.get("replay") else None,
        "state": "it passes in a fresh process: state was kept from earlier requests" if finding.get("leak") else None,
    }
    rows = "".join(f"<dt>{name}</dt><dd><pre>{escape(str(text))}</pre></dd>" for name, text in words.items() if text)
    clauses = " ".join(f'<a href="#{escape(one)}">{escape(one)}</a>' for one in check["clauses"])
    head = f"{mark(check['status'])} <code>{escape(check['id'])}</code> {escape(check['title'])}"
    return (
        f'<details class="failure" id="{escape(check["id"])}"{" open" * shown}><summary>{head}</summary>'
        f"<p>{clauses}</p><dl>{rows}</dl></details>"
    )


def _matrix(report: Json) -> str:
    checks = {check["id"]: check for check in report["checks"]}
    chapters: defaultdict[str, list[Json]] = defaultdict(list)
    for clause in report["clauses"]:
        chapters[clause["chapter"]].append(clause)
    parts = ["<h2>Clauses</h2>", _filters()]
    for chapter, clauses in chapters.items():
        families = _families(clauses)
        rows = "\n".join(_row(clause, checks, families) for clause in clauses)
        heads = "".join(
            f'<th scope="col" title="{escape(_FAMILIES.get(one, one))}">{escape(one)}</th>' for one in families
        )
        parts.append(
            f'<details class="chapter" open><summary>{escape(chapter)} {_tally(clauses)}</summary>'
            '<div class="wide"><table class="matrix"><thead><tr><th scope="col">clause</th><th scope="col">verdict</th>'
            f'{heads}<th scope="col">what it asks</th></tr></thead><tbody>\n{rows}\n</tbody></table></div></details>'
        )
    return "\n".join(parts)


def _families(clauses: Sequence[Json]) -> list[str]:
    """The families that have a check of one of the clauses, in the order of the columns."""
    found = {_family(check) for clause in clauses for check in clause["checks"]}
    return [name for name in _FAMILIES if name in found] + sorted(found - set(_FAMILIES))


def _filters() -> str:
    choices = {
        "all": "all",
        "bad": "failed",
        "passed": "passed",
        "not-applicable": "not applicable",
        "untested": "not asked",
    }
    buttons = "".join(
        f'<button type="button" data-show="{key}" aria-pressed="{"true" if key == "all" else "false"}">{words}</button>'
        for key, words in choices.items()
    )
    return (
        f'<div class="filters" role="group" aria-label="Which clauses are shown">{buttons}'
        '<label>find <input type="search" id="find" placeholder="W-7 or a word"></label></div>'
    )


def _tally(clauses: Sequence[Json]) -> str:
    found: defaultdict[str, int] = defaultdict(int)
    for clause in clauses:
        found[clause["status"]] += 1
    order = ("failed", "passed", "not-applicable", "untested")
    return " ".join(mark(status, f"{found[status]} {_said(status)}") for status in order if found[status])


def _said(status: str) -> str:
    return {"untested": "not asked"}.get(status, status.replace("-", " "))


def _row(clause: Json, checks: Mapping[str, Json], families: Sequence[str]) -> str:
    its = [checks[name] for name in clause["checks"]]
    cells = "".join(
        f"<td>{_cell([check for check in its if _family(check['id']) == family])}</td>" for family in families
    )
    reason = f"<p>No message can show it: {escape(clause['untestable'])}</p>" if clause.get("untestable") else ""
    listed = "".join(_listed(its))
    detail = f"<details><summary>{len(its)} checks</summary><ul>{listed}</ul></details>" if its else ""
    kind = "bad" if clause["status"] == "failed" else clause["status"]
    return (
        f'<tr id="{clause["id"]}" data-status="{kind}"><th scope="row">{clause["id"]}</th>'
        f"<td>{mark(clause['status'], _said(clause['status']))}</td>{cells}"
        f"<td>{_text(clause['text'])}{reason}{detail}</td></tr>"
    )


def _cell(checks: Sequence[Json]) -> str:
    """How many checks of a family passed, and how many of those that were asked there are."""
    asked = [check for check in checks if check["status"] != "not-applicable"]
    if not asked:
        return '<span class="none" title="does not apply">○</span>' if checks else ""
    bad = sum(check["status"] in _BAD for check in asked)
    return mark("failed" if bad else "passed", f"{len(asked) - bad}/{len(asked)}")


def _listed(checks: Sequence[Json]) -> Iterator[str]:
    bad = [check for check in checks if check["status"] in _BAD]
    good = [check for check in checks if check["status"] not in _BAD]
    for check in bad:
        name = escape(check["id"])
        yield f'<li>{mark(check["status"])} <a href="#{name}"><code>{name}</code></a></li>'
    for check in good[:_SHOWN_CHECKS]:
        lacking = f" (lacks {escape(' '.join(check['lacking']))})" if check["lacking"] else ""
        yield f"<li>{mark(check['status'])} <code>{escape(check['id'])}</code> {escape(check['title'])}{lacking}</li>"
    if len(good) > _SHOWN_CHECKS:
        yield f"<li>and {len(good) - _SHOWN_CHECKS} more</li>"


def _family(check_id: str) -> str:
    return check_id.partition("/")[0]


def _text(markdown: str) -> str:
    """The words of a clause; what stands between backquotes is code."""
    pieces = escape(markdown).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))
