"""Ties the clauses of SPEC.md to the tests that prove them.

A clause is a paragraph or list item of SPEC.md that begins with its id, ``**[W-12]** A reader MUST …``. It
ends at the next blank line, clause, heading or code block, and holds exactly one key word of RFC 2119. A test
claims clauses by the mark ``@pytest.mark.clause("W-12@1a2b3c")``. The stamp behind the ``@`` is the digest of
the clause's words as the test's author read them: reword the clause, and every claim on it is stale until
somebody has looked at the test again.

    python -m etui_conformance.traceability check   says what is wrong; exit code 1 if anything is
    python -m etui_conformance.traceability stamp   stamps new claims; changed ones too with --reviewed W-12 …
    python -m etui_conformance.traceability table   prints clauses and tests as Markdown; as JSON with --json

Only the standard library is used, and tests are read, never imported.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from etui_conformance.claims import Claim, Problem, Test, read_test_module

SPEC = "SPEC.md"
TEST_ROOTS = ("refimpl/tests", "conformance")
UNTESTABLE = "conformance/untestable.toml"

# What must be there is proved by a test; advice and permissions may be.
MANDATORY = frozenset({"MUST", "MUST NOT", "SHALL", "SHALL NOT", "REQUIRED"})

_KEYWORD = re.compile(r"\b(?:(?:MUST|SHALL|SHOULD)(?: NOT)?|(?:NOT )?RECOMMENDED|REQUIRED|MAY|OPTIONAL)\b")
_MARKER = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+)?\*\*\[(?P<id>[^\]]*)\]\*\*\s*(?P<text>.*)")
_ID = re.compile(r"[A-Z]+-[1-9][0-9]*")
_FENCE = re.compile(r"\s*(?P<fence>```+|~~~+)")
_INLINE_CODE = re.compile(r"(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)")


@dataclass(frozen=True)
class Clause:
    """One requirement of SPEC.md."""

    id: str
    line: int
    text: str

    @property
    def keywords(self) -> list[str]:
        """The RFC 2119 key words of the text, those in inline code left out."""
        return _keywords(self.text)

    @property
    def mandatory(self) -> bool:
        """Whether the clause must have a test."""
        return any(keyword in MANDATORY for keyword in self.keywords)

    @property
    def stamp(self) -> str:
        """The first six hexadecimal digits of the SHA-256 of the text."""
        return sha256(self.text.encode()).hexdigest()[:6]


@dataclass
class Trace:
    """Everything that the check reads: the clauses, the tests, and the reasons for having no test."""

    clauses: dict[str, Clause] = field(default_factory=dict)
    tests: list[Test] = field(default_factory=list)
    untestable: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def claims(self) -> list[Claim]:
        """Every claim once, even where several tests share it."""
        return list(dict.fromkeys(claim for test in self.tests for claim in test.claims))

    def tests_by_clause(self) -> dict[str, list[Test]]:
        """The tests that prove each clause; a test that is skipped or expected to fail proves nothing."""
        proofs: defaultdict[str, list[Test]] = defaultdict(list)
        for test in self.tests:
            if test.runs:
                for clause_id in dict.fromkeys(claim.clause_id for claim in test.claims):
                    proofs[clause_id].append(test)
        return dict(proofs)


def read_clauses(markdown: str, file: str = SPEC) -> tuple[list[Clause], list[Problem]]:
    """The clauses of a Markdown text in their order, and what is wrong with the text's requirements."""
    clauses: list[Clause] = []
    problems: list[Problem] = []
    for start, lines in _paragraphs(markdown):
        marker = _MARKER.fullmatch(lines[0])
        if marker is None:
            text = _collapse(lines)
            # The paragraph that introduces the key words is the one place where they require nothing.
            if (found := _keywords(text)) and "RFC 2119" not in text:
                problems.append(Problem(file, start, f"{found[0]} stands outside of a clause"))
        elif not _ID.fullmatch(marker["id"]):
            problems.append(Problem(file, start, f"{marker['id']!r} is not a clause id such as W-12"))
        else:
            clauses.append(Clause(marker["id"], start, _collapse([marker["text"], *lines[1:]])))
    first: dict[str, int] = {}
    for clause in clauses:
        if first.setdefault(clause.id, clause.line) != clause.line:
            trouble = f"{clause.id} is a duplicate; it stands in line {first[clause.id]} too"
            problems.append(Problem(file, clause.line, trouble))
        if len(found := clause.keywords) != 1:
            count = f"{len(found)} key words ({', '.join(found)})" if found else "no key word"
            trouble = f"{clause.id} has {count} of RFC 2119 and needs exactly one"
            problems.append(Problem(file, clause.line, trouble))
    return clauses, problems


def _paragraphs(markdown: str) -> list[tuple[int, list[str]]]:
    """Runs of lines with the first one's number; a blank line, heading, code block or clause ends a run."""
    paragraphs: list[tuple[int, list[str]]] = []
    fence = ""
    open_paragraph = False
    for number, line in enumerate(markdown.splitlines(), start=1):
        opening = _FENCE.match(line)
        if fence:
            # A closing fence is at least as long as the opening one and has nothing behind it.
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif opening:
            fence = opening["fence"]
            open_paragraph = False
        elif not line.strip() or line.startswith("#"):
            open_paragraph = False
        elif open_paragraph and not _MARKER.fullmatch(line):
            paragraphs[-1][1].append(line)
        else:
            paragraphs.append((number, [line]))
            open_paragraph = True
    return paragraphs


def _collapse(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())


def _keywords(text: str) -> list[str]:
    return _KEYWORD.findall(_INLINE_CODE.sub("``", text))


def read_trace(root: Path) -> Trace:
    """Read SPEC.md, the test modules and the list of untestable clauses under a repository's root.

    Raises:
        FileNotFoundError: the root holds no SPEC.md.
    """
    clauses, problems = read_clauses((root / SPEC).read_text(encoding="utf-8"))
    trace = Trace(problems=problems)
    for clause in clauses:
        trace.clauses.setdefault(clause.id, clause)
    for folder in TEST_ROOTS:
        for path in sorted((root / folder).rglob("test_*.py")):
            tests, problems = read_test_module(path, path.relative_to(root).as_posix())
            trace.tests += tests
            trace.problems += problems
    _read_untestable(root / UNTESTABLE, trace)
    return trace


def _read_untestable(path: Path, trace: Trace) -> None:
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        trace.problems.append(Problem(UNTESTABLE, 1, f"not TOML: {error}"))
        return
    proofs = trace.tests_by_clause()
    for clause_id, reason in entries.items():
        key = re.search(rf'^\s*"?{re.escape(clause_id)}"?\s*=', text, re.MULTILINE)
        line = text.count("\n", 0, key.end()) + 1 if key else 1
        if not isinstance(reason, str) or not reason.strip():
            trouble = f"{clause_id} needs a reason in words"
        elif clause_id not in trace.clauses:
            trouble = f"{clause_id} is not a clause of {SPEC}"
        elif clause_id in proofs:
            trouble = f"{clause_id} has a test, {proofs[clause_id][0].name}; remove the entry"
        elif not trace.clauses[clause_id].mandatory:
            trouble = f"{clause_id} is no MUST and needs no entry"
        else:
            trace.untestable[clause_id] = reason
            continue
        trace.problems.append(Problem(UNTESTABLE, line, trouble))


def check(trace: Trace) -> list[Problem]:
    """Everything that breaks the tie between clauses and tests, by file and line."""
    problems = list(trace.problems)
    for claim in trace.claims:
        clause = trace.clauses.get(claim.clause_id)
        if clause is None:
            trouble = f"{claim.clause_id} is not a clause of {SPEC}"
        elif claim.stamp is None:
            trouble = f"{claim.clause_id} has no stamp; run `make claims`"
        elif claim.stamp != clause.stamp:
            trouble = (
                f"{claim.clause_id}@{claim.stamp} is stale: read {SPEC}:{clause.line}, mend the test, "
                f"then run `make claims REVIEWED={claim.clause_id}`"
            )
        else:
            continue
        problems.append(Problem(claim.file, claim.line, trouble))
    for test in trace.tests:
        if not test.claims and not test.library:
            trouble = f"{test.name} has neither a clause nor a library mark"
            problems.append(Problem(test.file, test.line, trouble))
        if not test.described:
            trouble = f"{test.name} has no docstring that says the behaviour"
            problems.append(Problem(test.file, test.line, trouble))
    proofs = trace.tests_by_clause()
    for clause in trace.clauses.values():
        if clause.mandatory and clause.id not in proofs and clause.id not in trace.untestable:
            trouble = f"{clause.id} is a {clause.keywords[0]} without a test"
            problems.append(Problem(SPEC, clause.line, trouble))
    return sorted(problems)


def stamp(root: Path, trace: Trace, reviewed: frozenset[str] = frozenset()) -> Counter[str]:
    """Write stamps into the test files: to claims without one, and to stale claims on the reviewed clauses.

    Returns:
        How many claims of each clause were stamped.
    """
    stamped: Counter[str] = Counter()
    by_file: defaultdict[str, list[tuple[Claim, str]]] = defaultdict(list)
    for claim in trace.claims:
        clause = trace.clauses.get(claim.clause_id)
        due = claim.stamp is None or claim.clause_id in reviewed
        if clause is not None and due and claim.stamp != clause.stamp:
            by_file[claim.file].append((claim, clause.stamp))
            stamped[claim.clause_id] += 1
    for file, changes in by_file.items():
        path = root / file
        lines = path.read_bytes().splitlines(keepends=True)
        # From the end of the file to its beginning, so that earlier columns stay right.
        changes.sort(key=lambda change: (change[0].line, change[0].column), reverse=True)
        for claim, digest in changes:
            line = lines[claim.line - 1]
            begin = claim.column + 1  # behind the quote
            end = begin + len(claim.written)
            stamped_id = f"{claim.clause_id}@{digest}".encode()
            lines[claim.line - 1] = line[:begin] + stamped_id + line[end:]
        path.write_bytes(b"".join(lines))
    return stamped


def table_json(trace: Trace) -> list[dict[str, object]]:
    """An object per clause: id, line, keywords, stamp, text, tests, and the reason if it is untestable."""
    proofs = trace.tests_by_clause()
    return [
        {
            "id": clause.id,
            "line": clause.line,
            "keywords": clause.keywords,
            "stamp": clause.stamp,
            "text": clause.text,
            "tests": [test.node for test in proofs.get(clause.id, [])],
            "untestable": trace.untestable.get(clause.id),
        }
        for clause in trace.clauses.values()
    ]


def table_markdown(trace: Trace) -> str:
    """The same as a Markdown table with one row for each clause."""
    proofs = trace.tests_by_clause()
    rows = ["| clause | key word | tests |", "|---|---|---|"]
    for clause in trace.clauses.values():
        tests = "<br>".join(f"`{test.node}`" for test in proofs.get(clause.id, []))
        if clause.id in trace.untestable:
            tests = f"untestable: {trace.untestable[clause.id]}"
        rows.append(f"| {clause.id} | {', '.join(clause.keywords)} | {tests or '–'} |")
    return "\n".join(rows)


def _summary(trace: Trace) -> str:
    mandatory = [clause for clause in trace.clauses.values() if clause.mandatory]
    proofs = trace.tests_by_clause()
    tested = sum(clause.id in proofs for clause in mandatory)
    return (
        f"{len(trace.clauses)} clauses, {len(mandatory)} of them mandatory: {tested} tested, "
        f"{len(trace.untestable)} untestable; {len(trace.tests)} tests with {len(trace.claims)} claims"
    )


def _run_check(trace: Trace) -> int:
    problems = check(trace)
    for problem in problems:
        print(problem)
    print(f"traceability: {_summary(trace)}; {len(problems)} problems")
    return 1 if problems else 0


def _run_stamp(root: Path, trace: Trace, reviewed: frozenset[str]) -> int:
    if unknown := sorted(reviewed - trace.clauses.keys()):
        print(f"traceability: not a clause of {SPEC}: {', '.join(unknown)}", file=sys.stderr)
        return 2
    stamped = stamp(root, trace, reviewed)
    for clause_id, count in sorted(stamped.items()):
        print(f"{clause_id}@{trace.clauses[clause_id].stamp}: {count} claims stamped")
    print(f"traceability: {stamped.total()} claims stamped")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 good, 1 the check failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m etui_conformance.traceability",
        description="Ties the clauses of SPEC.md to the tests that prove them.",
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--root", type=Path, default=Path(), help="the repository (default: this folder)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", parents=[shared], help="say what is wrong; exit code 1 if anything is")
    stamping = commands.add_parser("stamp", parents=[shared], help="write the stamps of claims into the tests")
    stamping.add_argument(
        "--reviewed",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="clauses that changed and whose tests were read again: stamp their stale claims too",
    )
    tabling = commands.add_parser("table", parents=[shared], help="print the clauses and their tests")
    tabling.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args(arguments)
    try:
        trace = read_trace(options.root)
    except FileNotFoundError:
        where = options.root.resolve()
        print(f"traceability: no {SPEC} in {where}; name the repository by --root", file=sys.stderr)
        return 2
    if options.command == "check":
        return _run_check(trace)
    if options.command == "stamp":
        return _run_stamp(options.root, trace, frozenset(options.reviewed))
    as_json = json.dumps(table_json(trace), indent=2, ensure_ascii=False)
    print(as_json if options.json else table_markdown(trace))
    return 0


if __name__ == "__main__":
    sys.exit(main())
