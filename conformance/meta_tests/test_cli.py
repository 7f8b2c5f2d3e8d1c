"""The command `etui-conformance`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from etui_conformance.checks import all_checks, protocol_samples
from etui_conformance.checks.base import Check, Settings
from etui_conformance.cli import COMMANDS, main, screen
from etui_conformance.oracle import packed, writing
from etui_conformance.promotion import PromotionError, promote
from etui_conformance.replay import Evidence, read_failure, write_failure
from etui_conformance.resources import clauses, mutants, repository, schemas_directory, untestable, vectors_directory
from etui_conformance.results import CheckResult, Finding
from etui_conformance.vectors import load

pytestmark = pytest.mark.library

Json = Any


def cli(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line."""
    code = main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# run, smoke, replay


def test_a_run_prints_its_seed_and_writes_its_reports(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The reference passes; seed, verdict and profiles are printed, and the reports are there."""
    report = tmp_path / "report"
    code, out, _ = cli(
        capsys, "run", "--adapter", "reference", "--select", "protocol/decode", "--seed", 7, "--report", report
    )
    assert code == 0
    assert "seed: 7" in out
    assert "1 passed" in out
    assert {"badge.svg", "junit.xml", "report.json"} <= {path.name for path in report.iterdir()}
    assert json.loads((report / "report.json").read_text(encoding="utf-8"))["run"]["seed"] == 7


def test_a_failed_run_says_what_failed_and_can_be_replayed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Clauses, both sides and the replay are printed; it fails with the wrong adapter and passes with a right one."""
    report = tmp_path / "report"
    select = ["--select", "protocol/reject-form", "--select", "protocol/decode"]
    code, out, _ = cli(capsys, "run", "--adapter", "null:wrong-code", *select, "--report", report, "--jobs", 1)
    assert code == 1
    for words in ("FAILED  protocol/reject-form  [CF-4, E-1]", "integrity digest-mismatch", "1 passed, 1 failed"):
        assert words in out
    failure = report / "failures" / "0001"
    assert f"  etui-conformance replay {failure} --adapter null:wrong-code\n" in out
    code, out, _ = cli(capsys, "replay", failure, "--adapter", "null:wrong-code")
    assert code == 1
    assert "the whole check: failed" in out
    assert "manifest-form" in out
    code, out, _ = cli(capsys, "replay", failure, "--adapter", "reference")
    assert code == 0
    assert "the whole check: passed" in out
    again, _, _ = cli(capsys, "run", "--adapter", "reference", *select, "--report", report)
    assert again == 0
    assert not failure.exists()


def test_a_run_that_fails_says_clause_by_clause_what_is_not_met(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where several checks fail, each clause that they cite stands with its words and how many of its checks failed."""
    select = ["--select", "protocol/reject-form", "--select", "protocol/validate*"]
    report = tmp_path / "report"
    code, out, _ = cli(capsys, "run", "--adapter", "null:wrong-code", *select, "--report", report, "--seed", "none")
    assert code == 1
    summary = out[out.index("clauses that are not met:") :]
    assert [line.split()[:5] for line in summary.splitlines() if line.startswith("  E-1")] == [
        ["E-1", "1", "of", "1", "check"]
    ]
    assert "CF-29" in summary
    assert "seed: none" in out


def test_a_leak_is_replayed_with_the_requests_before_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A failure that came from kept state does not show alone, and shows after the requests that led to it."""
    report = tmp_path / "report"
    select = ["--select", "protocol/reject-form", "--select", "protocol/unknown-fields"]
    code, out, _ = cli(capsys, "run", "--adapter", "null:cache-leak", *select, "--report", report, "--jobs", 1)
    assert code == 1
    assert "passes in a fresh process" in out
    leaks = [read_failure(folder) for folder in sorted((report / "failures").iterdir())]
    (leak, *_) = [each for each in leaks if each.leak]
    assert leak.earlier
    code, out, _ = cli(capsys, "replay", leak.folder, "--adapter", "null:cache-leak")
    assert code == 0
    alone, _, after = out.partition(f"after the {len(leak.earlier)} before it")
    assert "sha256:" in alone
    assert '"reject"' in after
    assert "The failure came from state of earlier requests" in out


def test_a_run_for_a_profile_takes_a_list_of_known_failures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A failure on the list is reported and fails no run, and the rest of the profile is asked."""
    known = tmp_path / "known.toml"
    known.write_text('"protocol/reject-form" = "codes are to come"\n', encoding="utf-8")
    arguments = ["run", "--adapter", "null:wrong-code", "--profile", "weights-reader", "--known-failures", known]
    code, out, _ = cli(capsys, *arguments, "--select", "protocol/re*", "--report", tmp_path / "report")
    assert code == 0
    assert "1 known-failure" in out


def test_smoke_tells_a_broken_suite_from_a_broken_adapter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good adapter passes, a bad one fails with 1, and a suite that finds nothing wrong ends with 2."""
    code, out, _ = cli(capsys, "smoke", "--adapter", "reference")
    assert code == 0
    assert "names all that is needed for: weights-reader, reader" in out
    code, out, _ = cli(capsys, "smoke", "--adapter", "null:garbage")
    assert code == 1
    assert "garbage: Expecting value" in out
    monkeypatch.setattr("etui_conformance.checks.protocol_requests._decode", lambda _: None)
    code, out, _ = cli(capsys, "smoke", "--adapter", "reference")
    assert code == 2
    assert "of the adapter crash it says passed, not crash" in out
    monkeypatch.undo()
    broken = replace(load()[0], files={"json/0001.etui": "0" * 64})
    monkeypatch.setattr("etui_conformance.vectors.load", lambda: (broken,))
    code, out, _ = cli(capsys, "smoke", "--adapter", "reference")
    assert code == 2
    assert "json/0001.etui is not the file" in out


# list, explain


@pytest.mark.parametrize("what", ["checks", "clauses", "profiles"])
def test_lists_are_for_people_and_for_programs(capsys: pytest.CaptureFixture[str], what: str) -> None:
    """Each list has as many entries as JSON as it says in words."""
    code, out, _ = cli(capsys, "list", what)
    assert code == 0
    code, text, _ = cli(capsys, "list", what, "--json")
    assert code == 0
    found = json.loads(text)
    assert out.rstrip().endswith(f"{len(found)} {what}")
    expected = {"checks": len(all_checks()), "clauses": len(clauses()), "profiles": 11}
    assert len(found) == expected[what]


def test_a_clause_is_explained_with_its_words_checks_and_mutants(capsys: pytest.CaptureFixture[str]) -> None:
    """The explanation of a clause holds the text of SPEC.md, the vectors, the checks and the mutants that cite it."""
    code, out, _ = cli(capsys, "explain", "w-7")
    assert code == 0
    assert clauses()["W-7"].text[:60] in " ".join(out.split())
    assert "vector/" in out
    assert "fault/W-7" in out
    assert any("W-7" in cited for cited in mutants().values()) == ("mutants of the reference: none" not in out)


def test_a_check_is_explained_and_a_wrong_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The explanation of a check holds its needs and its clauses; a name that is neither gets a near one."""
    code, out, _ = cli(capsys, "explain", "protocol/read")
    assert code == 0
    for words in ("Gives boxes of tensors", "dtype:float32", "weights-reader", "CF-25"):
        assert words in out
    code, _, err = cli(capsys, "explain", "protocol/raed")
    assert code == 2
    assert "did you mean protocol/read" in err


def test_reasons_of_clauses_that_no_machine_tests_are_read() -> None:
    """In a checkout the list of untestable clauses is read, and each of its entries is a clause."""
    assert repository() is not None
    assert set(untestable()) <= set(clauses())


# copy, matrix


def test_vectors_are_copied_with_their_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The copy holds every file that its list names, and a folder that is left out is not in the list either."""
    target = tmp_path / "vectors"
    code, out, _ = cli(capsys, "copy", target, "--without", "weights", "--without", "formats")
    assert code == 0
    assert "core/manifest.json" in out
    listed = load(target)
    assert len(listed) > 500
    assert not any(vector.id.startswith("weights/") for vector in listed)
    assert not (target / "formats").exists()
    assert [name for vector in listed for name in vector.files if not (target / name).is_file()] == []
    code, _, err = cli(capsys, "copy", target)
    assert code == 2
    assert "there already" in err
    code, _, err = cli(capsys, "copy", tmp_path / "other", "--without", "weight")
    assert code == 2
    assert "weights" in err


def test_the_matrix_crosses_producers_and_consumers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What the reference writes it reads; a producer that writes nothing is told, with exit code 1."""
    file = tmp_path / "matrix.json"
    code, out, _ = cli(capsys, "matrix", "reference", "--area", "weights", "--json", file)
    assert code == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    schema = schemas_directory() / "conformance" / "matrix.schema.json"
    common = schemas_directory() / "common.schema.json"
    resources = [Resource.from_contents(json.loads(each.read_text(encoding="utf-8"))) for each in (schema, common)]
    registry = Registry().with_resources((each.id() or "", each) for each in resources)
    Draft202012Validator(resources[0].contents, registry=registry).validate(found)
    (cell,) = found["cells"]
    assert cell["read"]
    assert cell["lost"] == {}
    assert f"{len(cell['read'])} of {len(cell['read'])}" in out
    code, out, _ = cli(capsys, "matrix", "reference", "null:always-accept", "--area", "weights")
    assert code == 1
    assert "A to B" in out
    assert "nothing was written" in out


# promote


def failure(folder: Path, data: bytes, expected: str | None, op: str = "decode", **files: bytes) -> Path:
    """The folder of a failure about an artifact."""
    check = Check("fault/W-7/gap", ("W-7",), frozenset(), "Refuses a gap.", lambda _: None)
    finding = Finding("mismatch", "decode did not refuse what is not valid", expected, "ok")
    source = folder.parent / "suite-1.etui"
    source.write_bytes(data)
    request = {"op": op, "artifact": {"packed": {"file": str(source)}}}
    named = {name.replace("_", "."): content for name, content in files.items()}
    write_failure(folder, check, finding, settings=Settings(), evidence=Evidence(request, named), command="x")
    return folder


def faulty() -> bytes:
    """An artifact whose order of variables has a gap."""
    parts = writing.write(protocol_samples.weights(77))
    old, new = b'"order":1', b'"order":8'
    changed = {**parts, "weights.json": parts["weights.json"].replace(old, new)}
    digests = {name: packed_digest(parts[name]) for name in ("weights.json",)}
    manifest = changed["manifest.json"].decode()
    manifest = manifest.replace(digests["weights.json"], packed_digest(changed["weights.json"]))
    return packed.pack({**changed, "manifest.json": manifest.encode()})


def packed_digest(data: bytes) -> str:
    """The digest of a part as the manifest has it."""
    from hashlib import sha256

    return f"sha256:{sha256(data).hexdigest()}"


def test_a_failure_becomes_a_vector_with_its_sibling(tmp_path: Path) -> None:
    """An invalid artifact and the valid one beside it are written and listed, and a second time they are known."""
    root = tmp_path / "vectors"
    root.mkdir()
    shutil.copyfile(vectors_directory() / "manifest.json", root / "manifest.json")
    before = len(load(root))
    valid = protocol_samples.archive(protocol_samples.weights(77))
    folder = failure(tmp_path / "0001", faulty(), "invalid weights-order", sibling_etui=valid)
    made = promote(read_failure(folder), root)
    assert [each.id for each in made] == ["found/0001", "found/0002"]
    sibling, fault = load(root)[before:]
    assert (sibling.valid, sibling.data(), sibling.encode) == (True, valid, "found/0001.etui")
    assert sibling.content()["tensors"] == protocol_samples.weights(77)["tensors"]
    assert (fault.codes, fault.sibling, fault.ops, fault.data()) == (
        ("weights-order",),
        "found/0001",
        ("decode",),
        faulty(),
    )
    assert fault.needs == {"packed", "weights", "dtype:float32"}
    with pytest.raises(PromotionError, match="vector already"):
        promote(read_failure(folder), root)


@pytest.mark.parametrize(
    ("expected", "op", "words"),
    [
        ("invalid chunk-cover", "decode", "the oracle says weights-order"),
        ("invalid weights-order", "decode", "--sibling"),
    ],
)
def test_what_the_oracle_does_not_confirm_is_not_promoted(expected: str, op: str, words: str, tmp_path: Path) -> None:
    """A failure whose code the oracle does not give, or whose valid sibling is not known, becomes no vector."""
    root = tmp_path / "vectors"
    root.mkdir()
    shutil.copyfile(vectors_directory() / "manifest.json", root / "manifest.json")
    folder = failure(tmp_path / "0001", faulty(), expected, op)
    with pytest.raises(PromotionError, match=words):
        promote(read_failure(folder), root)
    assert not (root / "found").exists()


def test_a_valid_artifact_is_not_promoted_as_an_invalid_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the check expected a refusal of what the oracle accepts, the command says that one of them is wrong."""
    folder = failure(tmp_path / "0001", protocol_samples.archive(protocol_samples.weights(78)), "invalid weights-order")
    code, _, err = cli(capsys, "promote", folder)
    assert code == 2
    assert "one of them is wrong" in err


# Wrong usage, help, the installed command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "--adapter"),
        (["run", "--adapter", "null:dance"], "no null adapter 'dance'"),
        (["run", "--adapter", "no-such-program-at-all"], "no program 'no-such-program-at-all'"),
        (["run", "--adapter", "python 'open"], "No closing quotation"),
        (["run", "--adapter", "reference", "--select", "nothing/*"], "no check matches nothing/*"),
        (["run", "--adapter", "reference", "--seed", "x"], "neither a number nor `none`"),
        (["run", "--adapter", "reference", "--jobs", "0"], "no number from 1 on"),
        (["run", "--adapter", "reference", "--deadline", "0"], "more than 0"),
        (["run", "--adapter", "reference", "--known-failures", "no-such-file"], "no-such-file"),
        (["replay", "no-such-folder", "--adapter", "reference"], "no-such-folder"),
        (["matrix", "reference", "reference"], "named twice"),
        (["matrix", "reference", "--area", "nothing"], "no vectors in 'nothing'"),
        (["dance"], "invalid choice"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong command line ends with 2 and one line that says what is wrong."""
    monkeypatch.chdir(tmp_path)
    code, _, err = cli(capsys, *arguments)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("etui-conformance: ")


def test_an_adapter_that_does_not_start_fails_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A program that is no adapter ends the run with 1 and says what it did."""
    command = f'{sys.executable} -c "print(1)"'
    code, _, err = cli(capsys, "run", "--adapter", command, "--report", tmp_path / "report")
    assert code == 1
    assert "the adapter cannot be asked: start: garbage" in err


def test_a_fault_of_the_suite_is_told_from_one_of_the_implementation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the suite ends with 2, with its traceback."""
    monkeypatch.setattr("etui_conformance.cli.list.all_checks", lambda: 1 / 0)
    code, _, err = cli(capsys, "list")
    assert code == 2
    assert "ZeroDivisionError" in err
    assert "the suite itself failed" in err


def test_a_missing_extra_is_told_with_the_command_that_brings_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Hypothesis the command says what to install, and a module of the suite that is lost is its own fault."""

    def lacks(name: str) -> Json:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("etui_conformance.cli.list.all_checks", lambda: lacks("hypothesis"))
    code, _, err = cli(capsys, "list")
    assert (code, err) == (2, 'etui-conformance: hypothesis is not installed: pip install "etui[conformance]"\n')
    monkeypatch.setattr("etui_conformance.cli.list.all_checks", lambda: lacks("etui_conformance.checks.lost"))
    code, _, err = cli(capsys, "list")
    assert code == 2
    assert "the suite itself failed" in err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command begins with its usage and says in a sentence what it does."""
    code, out, _ = cli(capsys, command, "--help")
    assert code == 0
    assert out.startswith(f"usage: etui-conformance {command}")
    assert "." in out.split("\n\n")[1]


def test_the_command_is_installed_and_prints_its_versions() -> None:
    """The module runs as a command of its own, without the library being imported for it."""
    program = "import sys; from etui_conformance.cli import main; main(['list']); print('etui' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "False")


# The screen


def test_tables_are_aligned_and_their_last_column_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns begin at the same place, and a long last cell goes on below itself."""
    monkeypatch.setenv("COLUMNS", "50")
    text = screen.table([["a", "bbb", "one two three four five six seven eight"], ["aaaa", "b", "x"]], "  ")
    lines = text.splitlines()
    assert lines[0].startswith("  a     bbb  one two")
    assert lines[1].startswith("             ")
    assert lines[-1] == "  aaaa  b    x"
    assert max(map(len, lines)) <= 50
    assert screen.table([]) == ""


def test_a_bar_shows_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar counts checks and failures; a file and a dumb terminal get nothing."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    check = Check("test/a", ("W-7",), frozenset(), "Does a.", lambda _: None)
    monkeypatch.setenv("TERM", "xterm")
    written = {}
    for name, stream, term in (
        ("bar", Terminal(), "xterm"),
        ("file", StringIO(), "xterm"),
        ("dumb", Terminal(), "dumb"),
    ):
        monkeypatch.setenv("TERM", term)
        monkeypatch.setattr("sys.stderr", stream)
        with screen.progress(2) as update:
            update(CheckResult(check, "passed"))
            update(CheckResult(check, "failed"))
        written[name] = stream.getvalue()
    assert "2/2" in written["bar"]
    assert "1 failed" in written["bar"]
    assert (written["file"], written["dumb"]) == ("", "")


def test_what_an_adapter_says_does_not_steer_the_terminal() -> None:
    """Control characters of texts that are not ours are escaped."""
    assert screen.printable("a\x1b[31mb\u202e\n") == "a\\x1b[31mb\\u202e\n"
    assert screen.counted(1, "check") == "1 check"
    assert screen.counted(0, "check") == "0 checks"
