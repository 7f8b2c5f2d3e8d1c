"""A mutant is killed by a failing check that cites its clause, and by nothing else; none of ours is left alive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from etui_conformance.checks import all_checks
from etui_conformance.mutants import read_killers, read_mutants

READS = "data = _read_document(reader.source(manifest_container.DOCUMENT), manifest_container.DOCUMENT, limits)"
NOTHING = ("Opening and saving", "Opening, saving")
MUTANTS = {  # name -> clauses, and the text that takes the place of another in etui.artifact
    "X-1 no decoding": (["X-1", "X-9"], READS, "data = 1 / 0"),
    "X-2 the process ends": (["X-2"], READS, "import os; os._exit(3)"),
    "X-3 no end": (["X-3"], READS, "while True: pass"),
    "X-4 nothing that a check sees": (["X-4"], *NOTHING),
    "X-5 judged by no check": (["X-5"], *NOTHING),
    "X-6 does not start": (["X-6"], "from __future__ import annotations", "raise ImportError('broken')"),
    "X-7 does not fit": (["X-7"], "no such text", "other text"),
    "X-8 only a check fails that the library fails too": (["X-8"], *NOTHING),
}
SCRIPT = """
    import json, sys
    from pathlib import Path
    from etui_conformance.checks.base import Check, Mismatch
    from etui_conformance.mutants import read_mutants
    from etui_conformance.power import measure

    def decodes(context):
        reply = context.session.ask("decode", artifact={"packed": {"data": ""}}, want="all")
        if reply.code != "zip-truncated" and reply.result != "fault":
            raise Mismatch("neither refused nor faulty")
        if reply.result == "fault":
            raise Mismatch("a fault")

    def opens(context):
        model = {"name": "m", "kind": "opaque", "op": "custom:p>M"}
        content = {"config": {"format": "etui-config", "version": "1.0", "model": model}}
        path = str(context.folder / "m.etui")
        assert context.session.ask("encode", content=content, form="packed", path=path).result == "ok"
        reply = context.session.ask("decode", artifact={"packed": {"file": path}}, want="all")
        if reply.result != "ok":
            raise Mismatch(f"not opened: {reply.fields}")

    def fails(context):
        raise Mismatch("always")

    def breaks(context):
        raise KeyError("of the suite")

    def check(id, run, *clauses, needs=()):
        return Check(id, clauses, frozenset(needs), "Says.", run)

    checks = [
        check("vector/passes", lambda context: None, "X-1", "X-2", "X-3", "X-4", "X-6", "X-7"),
        check("property/opens", opens, "X-1", "X-2", "X-3"),
        check("vector/others", opens, "Y-1"),
        check("vector/unproved", fails, "X-8", "X-1"),
        check("vector/broken", breaks, "X-4"),
        check("vector/needs", fails, "X-5", needs=["telepathy"]),
    ]
    found = measure(read_mutants(Path(sys.argv[1])).values(), checks, patience=3)
    assert "etui" not in sys.modules
    print(json.dumps(found.as_json()))
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The result of a run over small mutants, in a process that has not imported the library."""
    folder = tmp_path_factory.mktemp("mutants")
    tables = [
        f"[{json.dumps(name)}]\nclauses = {clauses}\n[[{json.dumps(name)}.edits]]\nmodule = 'etui.artifact'\n"
        f"old = {json.dumps(old)}\nnew = {json.dumps(new)}\n"
        for name, (clauses, old, new) in MUTANTS.items()
    ]
    (folder / "some.toml").write_text("".join(tables), encoding="utf-8")
    command = [sys.executable, "-c", dedent(SCRIPT), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def verdict(table: Any, number: int) -> Any:
    (found,) = (one for name, one in table["mutants"].items() if name.startswith(f"X-{number} "))
    return found


@pytest.mark.library
def test_a_check_that_cites_the_clause_kills(table: Any) -> None:
    """The first failing check that cites a clause of the mutant kills it, and which clauses it proves is noted."""
    killed = verdict(table, 1)
    assert (killed["result"], killed["check"], killed["how"]) == ("killed", "property/opens", "mismatch")
    assert killed["clauses"] == ["X-1", "X-9"]
    assert killed["proved"] == ["X-1"]
    assert killed["detail"].startswith("not opened")


@pytest.mark.library
def test_crashes_and_hangs_kill(table: Any) -> None:
    """A mutant whose process ends, or that does not answer in time, is killed by the check that it was at."""
    for number, how in ((2, "crash"), (3, "hang")):
        killed = verdict(table, number)
        assert (killed["result"], killed["check"], killed["how"]) == ("killed", "property/opens", how)


@pytest.mark.library
def test_other_failures_do_not_count(table: Any) -> None:
    """Checks that cite other clauses, that the library itself fails, or that break of themselves, kill nothing."""
    assert verdict(table, 4)["result"] == "survived"
    assert verdict(table, 8)["result"] == "unasked"
    assert table["unproved"] == {"vector/unproved": "mismatch: always"}
    assert {(error["check"], error["mutant"][:3]) for error in table["errors"]} == {("vector/broken", "X-4")}


@pytest.mark.library
def test_mutants_that_say_nothing_are_told_apart(table: Any) -> None:
    """A mutant without a check that applies is unasked, and one that cannot be made or does not start is broken."""
    assert verdict(table, 5)["result"] == "unasked"
    assert verdict(table, 5)["asked"] == 0
    assert (verdict(table, 6)["result"], verdict(table, 7)["result"]) == ("broken", "broken")
    assert "broken" in verdict(table, 6)["detail"]
    assert "found 0 times" in verdict(table, 7)["detail"]


@pytest.mark.library
def test_every_mutant_of_ours_was_killed() -> None:
    """`make power` wrote down a killer of each mutant, a check that there is and that cites a clause of the mutant."""
    mutants, killers = read_mutants(), read_killers()
    checks = {check.id: set(check.clauses) for check in all_checks()}
    assert len(mutants) > 1000
    assert sorted(killers) == sorted(mutants)
    assert {name: killer for name, killer in killers.items() if killer not in checks} == {}
    assert [name for name, killer in killers.items() if not checks[killer] & set(mutants[name].clauses)] == []


@pytest.mark.library
def test_mutants_of_ours_are_killed_again(tmp_path: Path) -> None:
    """A share of the mutants, always the same, is killed once more, and no check that kills is unsound."""
    command = [sys.executable, "-m", "etui_conformance.power", "--share", "24", "--json", str(tmp_path / "power.json")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    found = json.loads((tmp_path / "power.json").read_text(encoding="utf-8"))
    assert len(found["mutants"]) > len(read_mutants()) // 48
    alive = {name: one["result"] for name, one in found["mutants"].items() if one["result"] != "killed"}
    assert (alive, found["unproved"], found["errors"]) == ({}, {}, [])
