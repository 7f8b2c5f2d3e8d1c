"""The clauses of SPEC.md, the tests that prove them, and what breaks the tie between the two.

A clause is a paragraph or list item of SPEC.md that begins with its id, ``**[W-12]** A reader MUST …``. It
ends at the next blank line, clause, heading or code block, and holds exactly one key word of RFC 2119. A test
claims clauses by the mark ``@pytest.mark.clause("W-12@1a2b3c")``. The stamp behind the ``@`` is the digest of
the clause's words as the test's author read them: reword the clause, and every claim on it is stale until
somebody has looked at the test again.

Where the repository has a conformance suite, each clause that is mandatory must be cited by a check and broken by a
mutant of the library as well, or have a reason why no message can show it (`etui_conformance.suite_proofs`).

Tests are read, never imported.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from etui_conformance import suite_proofs
from etui_conformance.claims import Claim, Problem, Test, read_test_module
from etui_conformance.suite_proofs import SuiteProofs

SPEC = "SPEC.md"
TEST_ROOTS = ("refimpl/tests", "conformance")

# What must be there is proved by a test; advice and permissions may be.
MANDATORY = frozenset({"MUST", "MUST NOT", "SHALL", "SHALL NOT", "REQUIRED"})

_KEYWORD = re.compile(r"\b(?:(?:MUST|SHALL|SHOULD)(?: NOT)?|(?:NOT )?RECOMMENDED|REQUIRED|MAY|OPTIONAL)\b")
_MARKER = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+)?\*\*\[(?P<id>[^\]]*)\]\*\*\s*(?P<text>.*)")
_HEADING = re.compile(r"(#{2,3}) (.+)")
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
    """Everything that the check reads: the clauses, the tests, and the suite if there is one."""

    clauses: dict[str, Clause] = field(default_factory=dict)
    tests: list[Test] = field(default_factory=list)
    suite: SuiteProofs | None = None
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


@dataclass(frozen=True)
class Place:
    """A heading of SPEC.md: its line, and the chapter and the section that begin there; the latter may be empty."""

    line: int
    chapter: str
    section: str


def read_places(markdown: str) -> list[Place]:
    """The headings of chapters and sections, in their order."""
    found = [Place(0, "", "")]
    for number, line in enumerate(markdown.splitlines(), start=1):
        if heading := _HEADING.fullmatch(line):
            chapter, section = (heading[2], "") if heading[1] == "##" else (found[-1].chapter, heading[2])
            found.append(Place(number, chapter, section))
    return found


def place_of(line: int, places: Sequence[Place]) -> Place:
    """The last heading above a line."""
    return max((place for place in places if place.line < line), key=lambda place: place.line)


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


def read_trace(root: Path, checks: Mapping[str, tuple[str, ...]] | None = None) -> Trace:
    """Read SPEC.md, the test modules, the mutants and the list of untestable clauses under a repository's root.

    Args:
        root: of the repository.
        checks: the clauses of each check of its suite by id; `None` leaves the suite out.

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
    if checks is not None:
        trace.suite = suite_proofs.read_proofs(root, checks)
    return trace


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
        if clause.mandatory and clause.id not in proofs:
            trouble = f"{clause.id} is a {clause.keywords[0]} without a test"
            problems.append(Problem(SPEC, clause.line, trouble))
    if trace.suite is not None:
        mandatory = {clause.id: (SPEC, clause.line) for clause in trace.clauses.values() if clause.mandatory}
        problems += suite_proofs.check(trace.suite, trace.clauses, mandatory)
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
