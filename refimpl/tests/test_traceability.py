"""The traceability check, on small made-up repositories and on this one."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from textwrap import dedent, indent

import pytest

from etui_conformance import suite_proofs, traceability
from etui_conformance import trace as tracing

pytestmark = pytest.mark.library

REPOSITORY = Path(__file__).parents[2]
W1 = "A reader MUST read."
W2 = "A writer SHOULD write."


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]


class Repository:
    """A made-up repository: a SPEC.md of two clauses and one test module that claims the first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spec(f"**[W-1]** {W1}\n\n**[W-2]** {W2}\n")
        self.module(f'@mark.clause("W-1@{digest(W1)}")\ndef test_reads(): ...\n')

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def spec(self, text: str) -> None:
        self.write("SPEC.md", text)

    def module(self, text: str, name: str = "refimpl/tests/test_it.py") -> Path:
        """Write a test module below two lines of imports; an empty test gets a docstring."""
        text = dedent(text).replace("): ...", "): 'Says.'")
        return self.write(name, "from pytest import mark\nimport pytest\n" + text)

    def problems(self) -> list[str]:
        return [str(problem) for problem in tracing.check(tracing.read_trace(self.root))]

    def run(self, *arguments: str) -> int:
        command, *options = arguments
        return traceability.main([command, "--root", str(self.root), *options])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def clauses(markdown: str) -> list[tuple[str, int, str]]:
    found, problems = tracing.read_clauses(markdown)
    assert problems == []
    return [(clause.id, clause.line, clause.text) for clause in found]


# Reading SPEC.md


def test_a_clause_ends_at_a_blank_line() -> None:
    """A clause is its whole paragraph with white space collapsed, and nothing after the blank line."""
    assert clauses("**[W-12]** A reader\n  MUST   read.\n\nProse.\n") == [("W-12", 1, W1)]


@pytest.mark.parametrize("follower", ["# Heading", "```json\nMUST\n```", "**[W-2]** A writer SHOULD write."])
def test_a_clause_ends_without_a_blank_line(follower: str) -> None:
    """A heading, a code block and the next clause end a clause even where no blank line does."""
    assert clauses(f"**[W-1]** {W1}\n{follower}\n")[0] == ("W-1", 1, W1)


@pytest.mark.parametrize("bullet", ["- ", "* ", "12. ", "  - "])
def test_a_list_item_is_a_clause(bullet: str) -> None:
    """A list item that begins with an id is a clause, and the list's mark is not part of its text."""
    assert clauses(f"{bullet}**[W-1]** {W1}\n") == [("W-1", 1, W1)]


def test_a_list_under_a_clause_belongs_to_it() -> None:
    """List items that follow a clause without a blank line are part of its text."""
    assert clauses("**[W-1]** A reader MUST read:\n- a\n- b\n") == [("W-1", 1, "A reader MUST read: - a - b")]


def test_code_blocks_hold_no_clauses() -> None:
    """What looks like a clause inside a code block is an example, whatever fences stand in it."""
    text = f"````\n```\n**[W-9]** MUST\n```json\n````\n**[W-1]** {W1}\n"
    assert clauses(text) == [("W-1", 6, W1)]


def test_key_words_in_inline_code_do_not_count() -> None:
    """A key word quoted as code requires nothing."""
    assert clauses("**[W-1]** A reader MUST refuse `MAY` and ``a`MAY``.\n")[0][0] == "W-1"


@pytest.mark.parametrize(
    "keyword",
    [
        *("MUST", "MUST NOT", "MUST\nNOT", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY"),
        *("REQUIRED", "RECOMMENDED", "NOT RECOMMENDED", "OPTIONAL"),
    ],
)
def test_every_key_word_counts_once(keyword: str) -> None:
    """Each key word of RFC 2119 is one key word, its negation included."""
    found, problems = tracing.read_clauses(f"**[W-1]** It {keyword} be so.\n")
    assert problems == []
    assert found[0].keywords == [" ".join(keyword.split())]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("**[W-1]** A reader reads.", "SPEC.md:1: W-1 has no key word of RFC 2119 and needs exactly one"),
        (
            "**[W-1]** It MUST read and MUST NOT write.",
            "SPEC.md:1: W-1 has 2 key words (MUST, MUST NOT) of RFC 2119 and needs exactly one",
        ),
        (
            "**[W-1]** It MAY.\n\n- **[W-1]** It MAY too.",
            "SPEC.md:3: W-1 is a duplicate; it stands in line 1 too",
        ),
        ("**[w1]** It MAY.", "SPEC.md:1: 'w1' is not a clause id such as W-12"),
        ("**[W-01]** It MAY.", "SPEC.md:1: 'W-01' is not a clause id such as W-12"),
        ("# A\n\nProse that SHOULD be a clause.", "SPEC.md:3: SHOULD stands outside of a clause"),
    ],
)
def test_faults_of_the_spec_are_found(repository: Repository, spec: str, problem: str) -> None:
    """A wrong number of key words, a second id, a malformed id and a key word in prose are problems."""
    repository.spec(spec)
    repository.module("")
    assert problem in repository.problems()


def test_the_paragraph_on_key_words_is_no_requirement() -> None:
    """The paragraph that introduces the key words by RFC 2119 may name them all."""
    assert clauses("The key words MUST and MAY are those of\nRFC 2119.\n") == []


# Ties that hold


def test_a_tied_repository_has_no_problems(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """The check of a repository without faults exits with 0 and prints one line of counts."""
    assert repository.run("check") == 0
    clauses = "2 clauses, 1 of them mandatory: 1 tested"
    assert capsys.readouterr().out == f"traceability: {clauses}; 1 tests with 1 claims; 0 problems\n"


CLAIM = f'mark.clause("W-1@{digest(W1)}")'
PLACES = {
    "decorator": f"@pytest.{CLAIM}\ndef test_it(): ...",
    "coroutine": f"@{CLAIM}\nasync def test_it(): ...",
    "several ids": f'@mark.clause("W-2@{digest(W2)}", "W-1@{digest(W1)}")\ndef test_it(): ...',
    "module": f"pytestmark = [{CLAIM}]\ndef test_it(): ...",
    "annotated module": f"pytestmark: list = [{CLAIM}]\ndef test_it(): ...",
    "class": f"@{CLAIM}\nclass TestIt:\n    def test_it(self): ...",
    "class's pytestmark": f"class TestIt:\n    pytestmark = {CLAIM}\n    def test_it(self): ...",
    "method": f"class TestIt:\n    @{CLAIM}\n    def test_it(self): ...",
    "parameter": f"@mark.parametrize('a', [pytest.param(1, marks={CLAIM})])\ndef test_it(a): ...",
    "table": f"CASES = [(1, {CLAIM})]\n@mark.parametrize('a', CASES)\ndef test_it(a): ...",
    "table and helper": f"CASES = [{CLAIM}]\ndef get(): return CASES\ndef test_it(a=get()): ...",
    "short name": f"clause = mark.clause\nCASES = {CLAIM[5:]}\ndef test_it(a=CASES): ...",
    "fixture": f"@pytest.fixture(params=[{CLAIM}])\ndef case(): ...\ndef test_it(case): ...",
    "condition": f"if True:\n    @{CLAIM}\n    def test_it(): ...",
    "state machine": f"class Machine: ...\nTestIt = {CLAIM}(Machine.TestCase)",
    "state machine's pytestmark": f"TestIt = Machine.TestCase\nTestIt.pytestmark = {CLAIM}",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_claim_counts_wherever_it_stands(repository: Repository, place: str) -> None:
    """Every place for a mark that pytest knows, and tables of cases, tie the clause to the test."""
    repository.module(PLACES[place])
    trace = tracing.read_trace(repository.root)
    assert tracing.check(trace) == []
    (test,) = trace.tests_by_clause()["W-1"]
    assert test.node.removeprefix("refimpl/tests/test_it.py::") in {"test_it", "TestIt::test_it", "TestIt"}


def test_conformance_tests_count(repository: Repository) -> None:
    """Tests under conformance/ prove clauses too."""
    (repository.root / "refimpl/tests/test_it.py").unlink()
    repository.module(f"@{CLAIM}\ndef test_it(): ...", "conformance/meta_tests/test_it.py")
    assert repository.problems() == []


def test_a_library_mark_needs_no_clause(repository: Repository) -> None:
    """A test of behaviour that no clause governs is complete with the mark `library`."""
    repository.module(f"@{CLAIM}\ndef test_it(): ...\n@mark.library\ndef test_other(): ...")
    assert repository.problems() == []


def test_tests_are_not_imported(repository: Repository) -> None:
    """Reading a test module runs nothing of it."""
    repository.module(f"raise SystemExit(3)\n@{CLAIM}\ndef test_it(): ...")
    assert repository.problems() == []


# Ties that are broken

STALE = ": read SPEC.md:1, mend the test, then run `make claims REVIEWED=W-1`"
FAULTS = {
    "a MUST without a test": (
        "@mark.library\ndef test_it(): ...",
        "SPEC.md:1: W-1 is a MUST without a test",
    ),
    "a test without a mark": (
        f"@{CLAIM}\ndef test_it(): ...\ndef test_other(): ...",
        "refimpl/tests/test_it.py:5: test_other has neither a clause nor a library mark",
    ),
    "a test without a sentence": (
        f"@{CLAIM}\ndef test_it(): pass",
        "refimpl/tests/test_it.py:4: test_it has no docstring that says the behaviour",
    ),
    "a method without a mark": (
        f"@{CLAIM}\ndef test_it(): ...\nclass TestA:\n    def test_b(self): ...",
        "refimpl/tests/test_it.py:6: TestA::test_b has neither a clause nor a library mark",
    ),
    "a state machine without a mark": (
        f"@{CLAIM}\ndef test_it(): ...\nTestA = Machine.TestCase",
        "refimpl/tests/test_it.py:5: TestA has neither a clause nor a library mark",
    ),
    "an unknown id": (
        f'@{CLAIM}\n@mark.clause("W-3@1a2b3c")\ndef test_it(): ...',
        "refimpl/tests/test_it.py:4: W-3 is not a clause of SPEC.md",
    ),
    "a claim without a stamp": (
        '@mark.clause("W-1")\ndef test_it(): ...',
        "refimpl/tests/test_it.py:3: W-1 has no stamp; run `make claims`",
    ),
    "a stale stamp": (
        '@mark.clause("W-1@1a2b3c")\ndef test_it(): ...',
        f"refimpl/tests/test_it.py:3: W-1@1a2b3c is stale{STALE}",
    ),
    "a malformed claim": (
        f'@{CLAIM}\n@mark.clause("W-1@XYZ")\ndef test_it(): ...',
        'refimpl/tests/test_it.py:4: \'W-1@XYZ\' is not a claim such as "W-12" or "W-12@1a2b3c"',
    ),
    "a computed id": (
        f"@{CLAIM}\n@mark.clause(NAME)\ndef test_it(): ...",
        "refimpl/tests/test_it.py:4: an id of a clause is written as a literal string",
    ),
    "an id in pieces": (
        f'@{CLAIM}\n@mark.clause("W-" "1")\ndef test_it(): ...',
        "refimpl/tests/test_it.py:4: W-1 is not written as one plain string",
    ),
    "a claim of nothing": (
        f"@{CLAIM}\n@mark.clause()\ndef test_it(): ...",
        "refimpl/tests/test_it.py:4: clause() takes ids of clauses and nothing else",
    ),
    "a table that no test uses": (
        f"@{CLAIM}\ndef test_it(): ...\nCASES = [{CLAIM}]",
        "refimpl/tests/test_it.py:5: W-1 is claimed here, but no test uses the claim",
    ),
    "a class that pytest does not collect": (
        f"@{CLAIM}\ndef test_it(): ...\nclass A:\n    @{CLAIM}\n    def test_a(self): ...",
        "refimpl/tests/test_it.py:6: W-1 is claimed here, but no test uses the claim",
    ),
    "a test that is skipped": (
        f"@mark.skip(reason='later')\n@{CLAIM}\ndef test_it(): ...",
        "SPEC.md:1: W-1 is a MUST without a test",
    ),
    "a test that may fail": (
        f"pytestmark = [mark.xfail, {CLAIM}]\ndef test_it(): ...",
        "SPEC.md:1: W-1 is a MUST without a test",
    ),
    "a module that is not Python": (
        "def test_it(:",
        "SPEC.md:1: W-1 is a MUST without a test\nrefimpl/tests/test_it.py:3: not Python: invalid syntax",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_tie_is_found(repository: Repository, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    """Each class of fault is reported in one line with its file and line, and makes the check exit with 1."""
    module, expected = FAULTS[fault]
    repository.module(module)
    assert repository.run("check") == 1
    *problems, summary = capsys.readouterr().out.splitlines()
    assert "\n".join(problems) == expected
    assert summary.endswith(f"{len(problems)} problems")


def test_a_reworded_clause_makes_its_claims_stale(repository: Repository) -> None:
    """One changed word of a clause invalidates the claim on it, and a new line break does not."""
    repository.spec(f"**[W-1]** {W1.replace(' MUST ', chr(10) + 'MUST ')}\n")
    assert repository.problems() == []
    repository.spec("**[W-1]** A reader MUST write.\n")
    assert ["is stale" in problem for problem in repository.problems()] == [True]


# The conformance suite

CHECKS = {"vector/weights/0001": ("W-1",), "property/decode": ("W-1", "W-2")}
MUTANT = '["W-1 reads nothing"]\nclauses = ["W-1"]\nedits = []\n'


class Suite(Repository):
    """The same repository with a conformance suite: two checks, and one mutant that breaks the first clause."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.checks: dict[str, tuple[str, ...]] = dict(CHECKS)
        self.mutants(MUTANT)

    def mutants(self, text: str) -> None:
        self.write("conformance/mutants/some.toml", text)

    def reasons(self, text: str) -> None:
        self.write("conformance/untestable.toml", text)

    def problems(self) -> list[str]:
        return [str(problem) for problem in tracing.check(tracing.read_trace(self.root, self.checks))]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def test_a_clause_with_test_check_and_mutant_is_proved(suite: Suite) -> None:
    """A MUST that a test claims, a check cites and a mutant breaks is complete; a SHOULD needs none of them."""
    assert suite.problems() == []


def test_checks_and_mutants_do_not_stand_in_for_tests(suite: Suite) -> None:
    """A MUST without a test of the library is a problem, whatever the suite has of it, and whatever the reasons."""
    suite.module("")
    assert suite.problems() == ["SPEC.md:1: W-1 is a MUST without a test"]


@pytest.mark.parametrize(
    ("checks", "mutants", "lacks"),
    [
        ({}, MUTANT, "no check"),
        ({"property/decode": ("W-2",)}, MUTANT, "no check"),
        (CHECKS, "", "no mutant"),
        ({}, "", "no check and no mutant"),
    ],
)
def test_a_clause_that_the_suite_does_not_prove_is_found(
    suite: Suite, checks: dict[str, tuple[str, ...]], mutants: str, lacks: str
) -> None:
    """A MUST that no check cites, or that no mutant breaks, is a problem unless a reason is given."""
    suite.checks = checks
    suite.mutants(mutants)
    problem = f"SPEC.md:1: {lacks} for W-1; write one, or say in conformance/untestable.toml why there is none"
    assert suite.problems() == [problem]
    suite.reasons('W-1 = "It is about what people read."\n')
    assert suite.problems() == []
    suite.reasons('W = "The whole annex is about what people read."\n')
    assert suite.problems() == []


def test_the_suite_cites_clauses_that_there_are(suite: Suite) -> None:
    """A check or a mutant that names no clause is a problem, with the place of the mutant."""
    suite.checks["property/encode"] = ("W-7",)
    suite.mutants(f'{MUTANT}\n["other"]\nclauses = ["W-8"]\n')
    assert suite.problems() == [
        "conformance/etui_conformance/checks:1: property/encode cites W-7, which is no clause",
        "conformance/mutants/some.toml:5: 'other' names W-8, which is no clause",
    ]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ('\nW-1 = "Why."', ":2: W-1 has a check and a mutant; remove the entry"),
        ('W = "Why."', ":1: W has a check and a mutant; remove the entry"),
        ('W-9 = "Why."', ":1: W-9 is no clause, nor the letters of one"),
        ('KX = "Why."', ":1: KX is no clause, nor the letters of one"),
        ('W-2 = "Why."', ":1: W-2 is no MUST and needs no entry"),
        ('"W-1" = " "', ":1: W-1 needs a reason in words"),
        ("[W-1]", ":1: W-1 needs a reason in words"),
    ],
)
def test_a_wrong_reason_is_found(suite: Suite, toml: str, problem: str) -> None:
    """An entry that is not needed, unknown, not mandatory or without a reason is a problem."""
    suite.reasons(toml)
    assert suite.problems() == [f"conformance/untestable.toml{problem}"]


@pytest.mark.parametrize("name", ["conformance/untestable.toml", "conformance/mutants/other.toml"])
def test_a_broken_list_is_found(suite: Suite, name: str) -> None:
    """A list of reasons or mutants that is not TOML is a problem, not a crash."""
    suite.write(name, "W-1")
    (problem,) = suite.problems()
    assert problem.startswith(f"{name}:1: not TOML: ")


def test_the_command_reads_the_suite_where_there_is_one(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` counts what the suite proves in its summary; `stamp` does not read the suite."""
    monkeypatch.setattr(suite_proofs, "read_checks", lambda: suite.checks)
    assert suite.run("check") == 0
    assert "suite: 1 checked by 2 checks, 1 broken by 1 mutants, 0 that no message shows" in capsys.readouterr().out
    monkeypatch.delattr(suite_proofs, "read_checks")
    assert suite.run("stamp") == 0


# Stamping


def test_stamp_writes_missing_stamps_alone(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Stamping completes claims without a stamp in place, and leaves the rest of the file alone."""
    text = """\
        # ünïcödé before and behind, "W-1" in a comment
        @mark.clause("W-1", 'W-2', "W-1@1a2b3c")
        def test_it(): return "é", "W-1"
        CASES = {"é": mark.clause("W-2"), "f": mark.clause('W-1')}
        @mark.parametrize("case", CASES)
        def test_cases(case): 'Says.'
    """
    path = repository.module(text)
    assert repository.run("stamp") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"W-1@{digest(W1)}: 2 claims stamped",
        f"W-2@{digest(W2)}: 2 claims stamped",
        "traceability: 4 claims stamped",
    ]
    stamped = path.read_text(encoding="utf-8")
    expected = f"""\
        # ünïcödé before and behind, "W-1" in a comment
        @mark.clause("W-1@{digest(W1)}", 'W-2@{digest(W2)}', "W-1@1a2b3c")
        def test_it(): return "é", "W-1"
        CASES = {{"é": mark.clause("W-2@{digest(W2)}"), "f": mark.clause('W-1@{digest(W1)}')}}
        @mark.parametrize("case", CASES)
        def test_cases(case): 'Says.'
    """
    assert stamped == "from pytest import mark\nimport pytest\n" + dedent(expected)


def test_stamp_renews_reviewed_claims_alone(repository: Repository) -> None:
    """A stale claim is stamped again only if its clause is named as reviewed."""
    stale = '@mark.clause("W-1@1a2b3c", "W-2@1a2b3c")\ndef test_it(): ...\n'
    path = repository.module(stale)
    assert repository.run("stamp") == 0
    assert '"W-1@1a2b3c", "W-2@1a2b3c"' in path.read_text(encoding="utf-8")
    assert repository.run("stamp", "--reviewed", "W-1") == 0
    assert f'"W-1@{digest(W1)}", "W-2@1a2b3c"' in path.read_text(encoding="utf-8")
    assert repository.run("stamp", "--reviewed", "W-1", "W-2") == 0
    assert repository.problems() == []


def test_stamp_refuses_an_unknown_id(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Reviewing a clause that does not exist is wrong usage and stamps nothing."""
    path = repository.module('@mark.clause("W-1")\ndef test_it(): ...\n')
    before = path.read_bytes()
    assert repository.run("stamp", "--reviewed", "W-7") == 2
    assert capsys.readouterr().err == "traceability: not a clause of SPEC.md: W-7\n"
    assert path.read_bytes() == before


def test_stamp_twice_changes_nothing(repository: Repository) -> None:
    """A second stamping leaves the files as they are."""
    path = repository.module('@mark.clause("W-1")\r\ndef test_it(): ...\r\n')
    repository.run("stamp")
    once = path.read_bytes()
    assert repository.run("stamp") == 0
    assert path.read_bytes() == once
    assert b"\r\n" in once


# The table


def table(suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    monkeypatch.setattr(suite_proofs, "read_checks", lambda: suite.checks)
    assert suite.run("table", *options) == 0
    return capsys.readouterr().out


def test_the_table_lists_clauses_and_tests(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a suite the Markdown table has the key word and the tests of each clause."""
    assert repository.run("table") == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| W-1 | MUST | `refimpl/tests/test_it.py::test_reads` | – | – | – |",
        "| W-2 | SHOULD | – | – | – | – |",
    ]


def test_the_table_lists_what_the_suite_proves(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a suite each row has checks, vectors and mutants, the first few by name; or a reason."""
    suite.checks |= {f"property/{number}": ("W-2",) for number in range(4)}
    suite.reasons('W-2 = "People read."\n')
    _, _, first, second = table(suite, monkeypatch, capsys).splitlines()
    assert first.endswith("| `property/decode` | `vector/weights/0001` | W-1 reads nothing |")
    shown = "`property/decode`<br>`property/0`<br>`property/1`<br>and 2 more"
    assert second == f"| W-2 | SHOULD | – | {shown} | – | untestable: People read. |"


def test_the_table_says_which_check_killed_which_mutant(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The killer of each mutant that was written down stands beside its name."""
    suite.write("conformance/mutants/killers.json", json.dumps({"W-1 reads nothing": "property/decode"}))
    _, _, first, _ = table(suite, monkeypatch, capsys).splitlines()
    assert first.endswith("| W-1 reads nothing, `property/decode` |")


def test_the_table_is_json_on_request(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON table holds everything that is known of each clause."""
    assert json.loads(table(suite, monkeypatch, capsys, "--json"))[0] == {
        "id": "W-1",
        "line": 1,
        "keywords": ["MUST"],
        "stamp": digest(W1),
        "text": W1,
        "tests": ["refimpl/tests/test_it.py::test_reads"],
        "checks": ["property/decode"],
        "vectors": ["vector/weights/0001"],
        "mutants": {"W-1 reads nothing": None},
        "untestable": None,
    }


# Wrong usage, and the real thing


def test_a_folder_without_a_spec_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without SPEC.md the command says how to name the repository and exits with 2."""
    assert traceability.main(["check", "--root", str(tmp_path)]) == 2
    assert "name the repository by --root" in capsys.readouterr().err


def test_this_repository_is_traceable() -> None:
    """Every requirement of SPEC.md is tied to tests, and to the checks and mutants of the suite or a reason."""
    trace = tracing.read_trace(REPOSITORY, suite_proofs.read_checks())
    assert trace.clauses
    assert trace.claims
    assert trace.suite is not None
    assert trace.suite.checks
    assert trace.suite.mutants
    problems = [str(problem) for problem in tracing.check(trace)]
    assert problems == [], "\n" + indent("\n".join(problems), "    ")
