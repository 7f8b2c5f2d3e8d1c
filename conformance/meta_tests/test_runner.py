"""The runner: what becomes of checks that pass, fail, break or do not apply, and what is written of it."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import hypothesis
import jsonschema
import pytest
import referencing
from hypothesis import strategies as st

from etui_conformance.adapters import reference
from etui_conformance.checks import all_checks
from etui_conformance.checks.base import Check, Context, Mismatch, Settings
from etui_conformance.known_failures import KnownFailuresError, read_known_failures
from etui_conformance.profiles import PROFILES
from etui_conformance.protocol import messages
from etui_conformance.protocol.failures import Limits, Patience
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.protocol.process import ProcessSession
from etui_conformance.protocol.session import AdapterFailure, Session
from etui_conformance.replay import ReplayError, read_failure, requests_of
from etui_conformance.reports.badge import badge, verdict
from etui_conformance.reports.json_report import json_report
from etui_conformance.reports.junit import junit
from etui_conformance.resources import clauses, schemas_directory, specification_path
from etui_conformance.results import RunResult, clause_status
from etui_conformance.runner import Plan, run

Json = Any
SVG = "{http://www.w3.org/2000/svg}"
ALL = frozenset().union(*(profile.capabilities for profile in PROFILES.values()))


def start(capabilities: Mapping[str, list[str]] | None = None) -> Callable[[Path], Session]:
    """Opens adapters that count their requests, and answer each with the count."""
    hello = {
        "name": "counter",
        "version": "1",
        "language": "Python",
        "ops": list(messages.OPS),
        "areas": list(messages.AREAS),
        "forms": list(messages.FORMS),
        "features": list(messages.FEATURES),
        "dtypes": list(messages.DTYPES),
        **(capabilities or {}),
    }

    def handle() -> Callable[[Mapping[str, Json]], Mapping[str, Json]]:
        asked = 0

        def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
            nonlocal asked
            if request["op"] == "hello":
                return {"id": request["id"], "result": "ok", **hello}
            if request["op"] == "fall":
                raise RuntimeError("fell")
            asked += 1
            return {"id": request["id"], "result": "ok", "asked": asked}

        return answer

    return lambda folder: InProcess(handle, folder)


def check(name: str, act: Callable[[Context], None], *needs: str, slow: bool = False, clause: str = "W-7") -> Check:
    """A check that does something."""
    return Check(f"test/{name}", (clause,), frozenset(needs), f"Does {name}.", act, slow)


def passes(context: Context) -> None:
    context.session.ask("decode", number=1)


def fails(context: Context) -> None:
    reply = context.session.ask("decode", number=2)
    raise Mismatch("another answer", expected="2", found=reply.fields["asked"], request={"op": "decode", "number": 2})


def falls(context: Context) -> None:
    context.session.ask("fall")


def breaks(_: Context) -> None:
    raise KeyError("a fault of the suite")


def leaks(context: Context) -> None:
    if context.session.ask("decode").fields["asked"] > 1:
        raise Mismatch("it was asked before")


def once(*checks: Check, **fields: Json) -> RunResult:
    """A run of some checks with the counter."""
    return run(Plan(checks, **fields), start())


def statuses(result: RunResult) -> dict[str, str]:
    """The status of each check by the end of its id."""
    return {each.check.id.partition("/")[2]: each.status for each in result.checks}


# Verdicts


@pytest.mark.clause("CF-50@810bd8", "CF-57@243f8c")
def test_each_fate_of_a_check_has_its_status_and_the_run_goes_on() -> None:
    """Checks that pass, fail, fall with the adapter, or are broken themselves are told apart; none ends the run."""
    result = once(check("a", passes), check("b", fails), check("c", falls), check("d", breaks), check("e", passes))
    assert statuses(result) == {"a": "passed", "b": "failed", "c": "failed", "d": "error", "e": "passed"}
    found = {each.check.id: each.finding for each in result.checks}
    assert found["test/b"] is not None
    assert (found["test/b"].kind, found["test/b"].expected, found["test/b"].found) == ("mismatch", "2", "2")
    assert found["test/c"] is not None
    assert (found["test/c"].kind, "fell" in found["test/c"].detail) == ("crash", True)
    assert found["test/d"] is not None
    assert "a fault of the suite" in found["test/d"].detail


@pytest.mark.clause("CF-57@243f8c")
def test_exit_codes_tell_conformance_failures_and_a_broken_suite_apart() -> None:
    """The exit code is 0 if all pass, 1 if a check fails, and 2 if the suite is broken or nothing was asked."""
    assert once(check("a", passes)).exit_code == 0
    assert once(check("a", passes), check("b", fails)).exit_code == 1
    assert once(check("a", fails), check("b", breaks)).exit_code == 2
    assert once(check("a", passes, "nothing that exists")).exit_code == 2


@pytest.mark.clause("CF-41@77ab4a")
def test_a_check_that_needs_more_than_hello_names_does_not_apply() -> None:
    """Such a check is not run, and its result says what is lacking."""
    result = run(
        Plan([check("a", fails, "decode", "dtype:int4", "feature:chunks"), check("b", passes, "decode")]),
        start({"features": [], "dtypes": ["float32"]}),
    )
    assert statuses(result) == {"a": "not-applicable", "b": "passed"}
    assert result.checks[0].lacking == ("dtype:int4", "feature:chunks")
    assert result.exit_code == 0


@pytest.mark.clause("CF-53@2c5123", "CF-10@be6d28")
def test_a_failure_that_a_fresh_process_does_not_show_is_called_a_leak() -> None:
    """A check that fails after another and passes alone is reported as state that was kept, against CF-10."""
    result = once(check("a", passes), check("b", leaks), check("c", fails))
    found = [each.finding.leak if each.finding else None for each in result.checks]
    assert found == [None, True, False]
    assert [each.check.id for each in result.by_clause()["CF-10"]] == ["test/b"]
    assert once(check("b", leaks)).exit_code == 0
    hurried = once(check("a", passes), check("b", leaks), repeating=0.0)
    assert hurried.checks[1].finding is not None
    assert hurried.checks[1].finding.leak is False


@pytest.mark.library
def test_findings_are_taken_out_of_what_hypothesis_makes_of_them() -> None:
    """A mismatch that Hypothesis raises anew, alone or as flaky, is a failure and no error of the suite."""
    calls = 0

    def flaky(context: Context) -> None:
        @hypothesis.settings(database=None, deadline=None, max_examples=5)
        @hypothesis.seed(1)
        @hypothesis.given(st.integers())
        def draw(number: int) -> None:
            nonlocal calls
            calls += 1
            if calls % 2:
                raise Mismatch("not always the same")

        draw()

    def plain(context: Context) -> None:
        @hypothesis.settings(database=None, deadline=None, max_examples=20)
        @hypothesis.seed(1)
        @hypothesis.given(st.integers())
        def draw(number: int) -> None:
            if number > 10:
                raise Mismatch(f"found {number}")

        draw()

    result = once(check("flaky", flaky), check("plain", plain))
    assert statuses(result) == {"flaky": "failed", "plain": "failed"}
    details = [each.finding.detail if each.finding else "" for each in result.checks]
    assert details == ["not always the same", "found 11"]


@pytest.mark.library
def test_quick_runs_leave_out_slow_checks() -> None:
    """A quick run has no slow check, and says that it is not complete."""
    both = [check("a", passes), check("b", passes, slow=True)]
    quick = once(*both, settings=Settings(quick=True))
    assert statuses(quick) == {"a": "passed"}
    assert not quick.complete
    assert once(*both).complete
    assert not once(*both, selected=True).complete


@pytest.mark.library
def test_jobs_work_at_once_and_results_keep_the_order() -> None:
    """Several jobs run checks at the same time, each with an adapter of its own."""
    meeting = threading.Barrier(3, timeout=10)
    names: list[str] = []

    def meets(context: Context) -> None:
        meeting.wait()
        names.append(str(context.folder))
        context.session.ask("decode")

    checks = [check(str(number), meets) for number in range(3)]
    seen: list[str] = []
    result = run(Plan(checks, jobs=3), start(), lambda each: seen.append(each.check.id))
    assert list(statuses(result)) == ["0", "1", "2"]
    assert result.exit_code == 0
    assert len(set(names)) == 3
    assert sorted(seen) == [each.id for each in checks]


@pytest.mark.library
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_ends_with_what_is_under_way(jobs: int) -> None:
    """What interrupts a run comes out of it at once, and the checks that wait are not run."""
    ran: list[str] = []

    def works(context: Context) -> None:
        ran.append(str(context.folder))
        time.sleep(0.05)

    def interrupts(_: Json) -> None:
        raise KeyboardInterrupt

    checks = [check(str(number), works) for number in range(100)]
    with pytest.raises(KeyboardInterrupt):
        run(Plan(checks, jobs=jobs), start(), interrupts)
    assert 1 <= len(ran) < 20


@pytest.mark.library
def test_folders_are_emptied_between_checks_and_gone_after_the_run(tmp_path: Path) -> None:
    """What a check writes for the adapter is deleted after it, and nothing is left after the run."""
    folders: list[Path] = []

    def writes(context: Context) -> None:
        folders.append(context.folder)
        assert not list(context.folder.glob("suite-*"))
        (context.folder / "suite-1.bin").write_bytes(b"x")
        (context.folder / "suite-2").mkdir()
        fresh = context.fresh()
        folders.append(fresh.folder)
        assert fresh.ask("decode").fields["asked"] == 1

    result = once(check("a", writes), check("b", writes))
    assert result.exit_code == 0
    assert len(folders) == 4
    assert not any(folder.exists() for folder in folders)


@pytest.mark.library
def test_an_adapter_that_does_not_start_again_fails_the_checks_and_not_the_run() -> None:
    """Where a second job cannot open the adapter, its checks fail with what was seen."""
    opened = []
    ready = threading.Event()

    def open_session(folder: Path) -> Session:
        opened.append(folder)
        if len(opened) > 1:
            ready.set()
            raise AdapterFailure("start", "no more licences")
        return start()(folder)

    def waits(context: Context) -> None:
        ready.wait(10)

    result = run(Plan([check("a", waits), check("b", waits)], jobs=2), open_session)
    assert sorted(statuses(result).values()) == ["failed", "passed"]
    assert [each.finding.detail for each in result.checks if each.finding] == ["no more licences"]


# Profiles


@pytest.mark.clause("CF-40@9481f6")
def test_a_profile_needs_every_capability_and_every_check() -> None:
    """An implementation is conformant to a profile if it names all of it and none of its checks fails."""
    weights = check("weights", passes, "decode", "weights", "packed", "dtype:float32")
    chunks = check("chunks", fails, "decode", "weights", "feature:chunks")
    judged = {profile.name: profile for profile in run(Plan([weights, chunks]), start()).profiles()}
    assert (judged["weights-reader"].status, judged["weights-reader"].passed) == ("conformant", 1)
    assert (judged["reader"].status, judged["reader"].failed) == ("failed", 1)
    lacking = {each.name: each for each in run(Plan([weights]), start({"dtypes": ["float32"]})).profiles()}
    assert lacking["weights-reader"].status == "lacking"
    assert "dtype:int64" in lacking["weights-reader"].lacking
    quick = run(Plan([weights], Settings(quick=True)), start())
    assert {each.status for each in quick.profiles()} <= {"incomplete", "lacking"}


@pytest.mark.clause("CF-40@9481f6")
def test_a_run_for_a_profile_has_its_checks_and_asks_for_its_capabilities() -> None:
    """Limited to a profile, a run leaves out other checks, and fails if hello lacks something of the profile."""
    checks = [check("a", passes, "decode", "weights"), check("b", fails, "encode")]
    assert statuses(run(Plan(checks, profile="weights-reader"), start())) == {"a": "passed"}
    assert run(Plan(checks, profile="weights-reader"), start()).exit_code == 0
    assert run(Plan(checks, profile="weights-reader"), start({"dtypes": []})).exit_code == 1


@pytest.mark.clause("CF-40@9481f6")
def test_the_profiles_are_those_of_the_specification() -> None:
    """The table of annex P and the suite give each profile the same capabilities."""
    text = specification_path().read_text(encoding="utf-8")
    part = text[text.index("\n### P.4 ") : text.index("\n### P.5 ")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| `")]
    every = {"ops": messages.OPS, "areas": messages.AREAS, "forms": ["packed", "directory"]}
    every["features"] = messages.FEATURES
    found = {}
    for name, ops, areas, forms, features, dtypes in rows:
        cells = {"ops": ops, "areas": areas, "forms": forms, "features": features}
        listed: dict[str, list[str]] = {}
        for key, cell in cells.items():
            names = [each.strip().strip("`") for each in cell.split(",") if each.strip()]
            without = [each for each in every[key] if each != "convert"]
            listed[key] = {"all": list(every[key]), "all but `convert": without}.get(", ".join(names), names)
        marked = [f"feature:{each}" for each in listed.pop("features")]
        marked += [f"dtype:{each}" for each in (messages.DTYPES if dtypes == "all" else messages.PLAIN_DTYPES)]
        found[name.strip("`")] = frozenset([*marked, *(each for names in listed.values() for each in names)])
    assert found == {name: profile.capabilities for name, profile in PROFILES.items()}


@pytest.mark.library
def test_every_check_of_the_suite_can_be_needed_by_somebody() -> None:
    """The checks cite clauses of SPEC.md, need capabilities that exist, and nearly all belong to a profile."""
    checks = all_checks()
    assert len(checks) > 1000
    known = clauses()
    for each in checks:
        assert set(each.clauses) <= set(known), each.id
        strange = {need for need in each.needs if need not in ALL | {"convert"} and not need.startswith("format:")}
        assert not strange, each.id
        assert each.title, each.id


@pytest.mark.library
def test_every_family_of_checks_is_there() -> None:
    """The list of all checks has those of each family, so that a module that is lost is noticed."""
    families = Counter(each.id.partition("/")[0] for each in all_checks())
    expected = {"protocol", "vector", "fault", "property", "sequence", "semantics", "series", "writing"}
    assert expected <= set(families)
    assert min(families[name] for name in ("vector", "fault", "semantics")) > 100


# Known failures


@pytest.mark.clause("CF-56@7b620a")
def test_known_failures_fail_no_run_and_a_surprise_does() -> None:
    """A known failure is reported with its reason; once the check passes, the run fails until it is off the list."""
    known = {"test/a": "issue 12"}
    expected = once(check("a", fails), check("b", passes), known=known)
    assert statuses(expected) == {"a": "known-failure", "b": "passed"}
    assert (expected.checks[0].reason, expected.exit_code) == ("issue 12", 0)
    surprise = once(check("a", passes), check("b", passes), known=known)
    assert (statuses(surprise)["a"], surprise.exit_code) == ("unexpected-pass", 1)
    assert {profile.status for profile in expected.profiles()} == {"failed"}


@pytest.mark.clause("CF-56@7b620a")
def test_a_list_of_known_failures_is_read_and_checked(tmp_path: Path) -> None:
    """The list is TOML of reasons; one without a reason or for a check that does not exist cannot be used."""
    path = tmp_path / "known.toml"
    path.write_text('"test/a" = "issue 12"\n', encoding="utf-8")
    assert read_known_failures(path, ["test/a", "test/b"]) == {"test/a": "issue 12"}
    for text, word in (
        ('"test/a" = ""', "reason"),
        ("[test]\na = 1", "reason"),
        ('"test/c" = "x"', "no check"),
        ("= 1", "TOML"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(KnownFailuresError, match=word):
            read_known_failures(path, ["test/a"])
    with pytest.raises(KnownFailuresError, match="nothing"):
        read_known_failures(tmp_path / "nothing", [])


# Failures written out


@pytest.mark.clause("CF-55@83a7ec")
def test_a_failure_is_written_out_with_its_bytes_and_can_be_asked_again(tmp_path: Path) -> None:
    """The folder of a failure has the request with its files, and asking it again sends the same bytes."""
    sent: list[bytes] = []

    def fails_with_files(context: Context) -> None:
        file = context.folder / "suite-7.etui"
        file.write_bytes(b"PK packed")
        folder = context.folder / "suite-8"
        (folder / "assets").mkdir(parents=True)
        (folder / "assets" / "a.txt").write_bytes(b"in a folder")
        new = str(context.folder / "suite-9")
        reply = context.session.ask(
            "transcode", artifact={"packed": {"file": str(file)}}, other={"directory": str(folder)}, path=new
        )
        raise Mismatch("wrong", expected="this", found=reply.fields, files={"../artifact/x y.etui": b"evidence"})

    failures = tmp_path / "failures"
    plan = Plan([check("a", fails_with_files)], Settings(seed=5), failures=failures, command="python adapter.py")
    (result,) = run(plan, start()).checks
    assert result.finding is not None
    assert result.finding.replay == "failures/0001"
    folder = failures / "0001"
    document = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
    validate("failure", document)
    assert document["request"]["path"] == "new"
    assert 'replay 0001 --adapter "python adapter.py"' in document["replay"]
    assert sorted(path.name for path in (folder / "files").rglob("*.etui")) == ["request-1.etui", "x_y.etui"]
    failure = read_failure(folder)
    assert (failure.check, failure.settings.seed, failure.expected) == ("test/a", 5, "this")
    session = start()(tmp_path / "session")
    session.folder.mkdir()
    ((op, fields),) = requests_of(failure, session.folder)
    assert op == "transcode"
    sent += [Path(fields["artifact"]["packed"]["file"]).read_bytes()]
    sent += [(Path(fields["other"]["directory"]) / "assets" / "a.txt").read_bytes()]
    assert sent == [b"PK packed", b"in a folder"]
    assert Path(fields["path"]).parent == session.folder
    assert not Path(fields["path"]).exists()


@pytest.mark.clause("CF-55@83a7ec")
def test_what_is_inline_in_a_request_is_in_a_file_too(tmp_path: Path) -> None:
    """The bytes of an artifact are in a file of the failure, and the request stays as it was sent."""
    artifact = {"packed": {"data": "QUJD" * 500}}

    def inline(context: Context) -> None:
        context.session.ask("decode", artifact=artifact)
        raise Mismatch("wrong")

    run(Plan([check("a", inline)], failures=tmp_path / "failures"), start())
    failure = read_failure(tmp_path / "failures" / "0001")
    assert failure.request == {"op": "decode", "artifact": artifact}
    assert (failure.folder / "files" / "request-1.etui").read_bytes() == b"ABC" * 500


@pytest.mark.library
def test_a_folder_without_a_failure_is_told(tmp_path: Path) -> None:
    """A folder that is none, and a file of another form, are told with their path."""
    with pytest.raises(ReplayError, match=r"failure\.json"):
        read_failure(tmp_path)
    for text in ("{}", "[]", "no JSON", '{"format": "other"}'):
        (tmp_path / "failure.json").write_text(text, encoding="utf-8")
        with pytest.raises(ReplayError, match="no failure of this suite"):
            read_failure(tmp_path)


# Seeds


@pytest.mark.clause("CF-54@9fc521")
def test_the_same_seed_asks_the_same_questions() -> None:
    """Two runs with one seed draw the same examples in the same order, and one with another seed draws others."""
    properties = [each for each in all_checks() if each.id == "property/decode/weights"]
    assert properties

    def questions(seed: int | None) -> list[Json]:
        asked: list[Json] = []

        def listening() -> Callable[[Mapping[str, Json]], Mapping[str, Json]]:
            answer = reference.start()

            def heard(request: Mapping[str, Json]) -> Mapping[str, Json]:
                asked.append(request.get("artifact"))
                return answer(request)

            return heard

        settings = Settings(quick=True, seed=seed, examples=10)
        result = run(Plan(properties, settings), lambda folder: InProcess(listening, folder))
        assert result.exit_code == 0
        return [node for node in asked if node and "packed" in node]

    first = questions(1)
    assert first
    random.seed(99)
    assert questions(1) == first
    assert questions(None) == questions(None)
    assert questions(2) != first


# Reports


def validate(name: str, document: Json) -> None:
    """Check a document against a schema of the suite."""
    folder = schemas_directory()
    files = [path for path in folder.rglob("*.schema.json") if path.parent.name in ("conformance", "schemas")]
    resources = [referencing.Resource.from_contents(json.loads(path.read_text(encoding="utf-8"))) for path in files]
    registry = referencing.Registry().with_resources((each.id() or "", each) for each in resources)
    reference = {"$ref": f"https://etui.dev/schemas/1.0/conformance/{name}.schema.json"}
    jsonschema.Draft202012Validator(reference, registry=registry).validate(document)


@pytest.fixture
def mixed() -> RunResult:
    """A run with a check of every status."""
    return once(
        check("a", passes),
        check("b", fails),
        check("c", breaks, clause="W-8"),
        check("d", passes, "nothing", clause="W-9"),
        check("e", fails, clause="D-1"),
        check("f", passes, clause="D-2"),
        known={"test/e": "issue 5", "test/f": "issue 6"},
        command="python adapter.py",
    )


@pytest.mark.clause("CF-41@77ab4a", "CF-53@2c5123", "CF-54@9fc521", "CF-57@243f8c")
def test_the_json_report_has_everything_and_passes_its_schema(mixed: RunResult) -> None:
    """The report lists every clause of SPEC.md, every check and profile, and follows its schema."""
    report = json_report(mixed, "1.2.3")
    validate("report", json.loads(json.dumps(report)))
    assert [each["id"] for each in report["clauses"]] == list(clauses())
    verdicts = {each["id"]: each["status"] for each in report["clauses"]}
    assert [verdicts[name] for name in ("W-7", "W-8", "W-9", "D-1", "D-2", "D-3")] == [
        "failed",
        "failed",
        "not-applicable",
        "failed",
        "passed",
        "untested",
    ]
    places = {each["id"]: (each["chapter"], each["section"]) for each in report["clauses"]}
    assert places["W-7"] == ("12. Weights", "12.1 The index")
    assert places["J-1"] == ("3. Canonical JSON", "")
    assert report["counts"] == {
        "passed": 1,
        "failed": 1,
        "error": 1,
        "not-applicable": 1,
        "known-failure": 1,
        "unexpected-pass": 1,
    }
    assert report["run"]["exit_code"] == 2


@pytest.mark.library
def test_the_junit_report_counts_as_the_json_report_does(mixed: RunResult) -> None:
    """Failures, errors and skipped checks are in the XML as services read it, whatever an adapter's words hold."""
    report = json_report(mixed, "1.2.3")
    report["checks"][1]["finding"]["detail"] = "a \x00 and \x1b[31m <tag>"
    root = ET.fromstring(junit(report))
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["6", "2", "1"]
    (suite,) = root.findall("testsuite")
    assert (suite.get("name"), suite.get("skipped")) == ("test", "2")
    kinds = [[child.tag for child in case] for case in suite.findall("testcase")]
    assert kinds == [[], ["failure"], ["error"], ["skipped"], ["skipped"], ["failure"]]
    assert "<tag>" in (suite.findall("testcase")[1][0].get("message") or "")


@pytest.mark.library
def test_the_badge_says_the_best_that_is_true(mixed: RunResult) -> None:
    """A failure shows on the badge, else the profiles that stand for the others, and the SVG is well formed."""
    report = json_report(mixed, "1.2.3")
    assert verdict(report)[0] == "3 of 5 checks failed"
    good = once(check("a", passes, "decode", "weights"))
    named = json_report(good, "1.2.3")
    assert verdict(named)[0] == "full"
    for each in named["profiles"]:
        each["status"] = "conformant" if each["name"] in ("weights-reader", "reader") else "lacking"
    assert verdict(named)[0] == "reader"
    for each in named["profiles"]:
        each["status"] = "lacking"
    assert verdict(named)[0] == "no profile yet"
    assert ET.fromstring(badge(report)).tag == f"{SVG}svg"


@pytest.mark.library
def test_the_verdict_of_a_clause_follows_from_its_checks(mixed: RunResult) -> None:
    """One failure disproves a clause, one check that passes and none that fails proves it."""
    results = {each.check.id: each for each in mixed.checks}
    assert clause_status([results["test/a"], results["test/b"]]) == "failed"
    assert clause_status([results["test/a"], results["test/d"]]) == "passed"
    assert clause_status([results["test/d"]]) == "not-applicable"
    assert clause_status([]) == "untested"


@pytest.mark.library
def test_seconds_are_those_of_the_check() -> None:
    """A check that takes a while has taken that long in the result."""
    (result,) = once(check("a", lambda _: time.sleep(0.2))).checks
    assert 0.2 <= result.seconds < 5


@pytest.mark.library
def test_slow_checks_may_take_longer(tmp_path: Path) -> None:
    """A session waits several times as long for the replies of a slow check, and not for those of the others."""
    seen: dict[str, float] = {}

    def looks(name: str) -> Callable[[Context], None]:
        def look(context: Context) -> None:
            assert isinstance(context.session, ProcessSession)
            seen[name] = context.session.deadline

        return look

    command = [sys.executable, "-m", "etui_conformance.adapters.null", "always-ok"]
    patience = Patience(Limits(deadline=5.0, slow=4.0))
    checks = [check("a", looks("a")), check("b", looks("b"), slow=True), check("c", looks("c"))]
    assert run(Plan(checks), lambda folder: ProcessSession(command, folder, patience)).exit_code == 0
    assert seen == {"a": 5.0, "b": 20.0, "c": 5.0}


@pytest.mark.library
def test_a_session_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    """The deadline of a session, and not that of the limits, decides when a reply is too late."""
    command = [sys.executable, "-m", "etui_conformance.adapters.null", "hang"]
    session = ProcessSession(command, tmp_path, Patience(Limits(deadline=0.2, farewell=0.2)))
    session.deadline = 1.0
    begun = time.monotonic()
    with pytest.raises(AdapterFailure, match="no reply within 1 s"):
        session.ask("decode")
    assert time.monotonic() - begun >= 1
    session.close()
