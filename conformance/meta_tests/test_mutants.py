"""Mutants are made by edits that fit exactly, and live in the process that installed them alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from etui_conformance import mutants
from etui_conformance.mutants import Edit, MutantError

KIND = "etui.containers.fields"
OLD = 'kind = document.partition(".")[0]'


def write(folder: Path, text: str, name: str = "some.toml") -> Path:
    (folder / name).write_text(dedent(text), encoding="utf-8")
    return folder


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, which has imported nothing of the library."""
    command = [sys.executable, "-c", dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


GOOD = f"""
    ["X-1 another kind"]
    clauses = ["X-1", "X-2"]
    edits = [
        {{ module = "{KIND}", old = '{OLD}', new = 'kind = "other"' }},
        {{ module = "etui._version", old = 'SPEC_VERSION = "1.0"', new = 'SPEC_VERSION = "1.7"' }},
    ]
"""


@pytest.mark.library
def test_mutants_are_read_from_all_files(tmp_path: Path) -> None:
    """Each table of each file is a mutant with its clauses and edits."""
    write(tmp_path, GOOD)
    write(tmp_path, '["Y"]\nclauses = ["Y-1"]\nedits = [{module = "etui", old = "a", new = "b"}]', "other.toml")
    found = mutants.read_mutants(tmp_path)
    assert list(found) == ["Y", "X-1 another kind"]
    assert found["Y"] == mutants.Mutant("Y", "other.toml", ("Y-1",), (Edit("etui", "a", "b"),))
    assert found["X-1 another kind"].clauses == ("X-1", "X-2")


@pytest.mark.library
def test_this_checkout_has_mutants_that_can_all_be_made() -> None:
    """Every mutant of the repository names clauses, and each of its edits fits the source of today."""
    found = mutants.read_mutants()
    assert found
    for mutant in found.values():
        assert mutants.edited_sources(mutant.edits), mutant.name


@pytest.mark.library
def test_without_a_checkout_there_are_no_mutants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed package says that the mutants are in the repository."""
    monkeypatch.setattr(mutants, "__file__", str(tmp_path / "site-packages/etui_conformance/mutants.py"))
    with pytest.raises(MutantError, match="of the repository, and not in an installed package"):
        mutants.read_mutants()


WRONG = {
    "not TOML": ("[", "not TOML"),
    "no edits": ('["a"]\nclauses = ["X-1"]', "no table of clauses and edits"),
    "no clause": ('["a"]\nclauses = []\nedits = [{module = "etui", old = "a", new = "b"}]', "no table of clauses"),
    "no table": ("a = 1", "no table of clauses"),
    "another field": ('["a"]\nclauses = ["X-1"]\nedits = [{module = "etui", from = "a", new = "b"}]', "an edit that"),
    "no change": ('["a"]\nclauses = ["X-1"]\nedits = [{module = "etui", old = "a", new = "a"}]', "an edit that"),
}


@pytest.mark.library
@pytest.mark.parametrize("fault", WRONG)
def test_a_file_of_another_form_is_refused(tmp_path: Path, fault: str) -> None:
    """A file that does not say what a mutant is raises an error that names the file."""
    text, message = WRONG[fault]
    with pytest.raises(MutantError, match=rf"some\.toml.*{message}"):
        mutants.read_mutants(write(tmp_path, text))


@pytest.mark.library
def test_a_name_is_taken_once(tmp_path: Path) -> None:
    """Two mutants of one name in different files are refused."""
    write(write(tmp_path, GOOD), GOOD, "twice.toml")
    with pytest.raises(MutantError, match=r"twice\.toml: 'X-1 another kind' is in some\.toml too"):
        mutants.read_mutants(tmp_path)


MISFITS = {
    "not there": ([Edit(KIND, "no such text", "x")], "found 0 times, not once: 'no such text'"),
    "twice": ([Edit(KIND, "return", "x")], r"found \d+ times, not once: 'return'"),
    "no module": ([Edit("etui.no_such", "a", "b")], "no module etui.no_such"),
    "no package": ([Edit("no_such_package", "a", "b")], "no module no_such_package"),
    "no Python": ([Edit(KIND, OLD, "kind = (")], "the edits leave no Python"),
    "one place": ([Edit(KIND, OLD, "x = 1"), Edit(KIND, f"    {OLD}", "y = 2")], "two edits of one place"),
}


@pytest.mark.library
@pytest.mark.parametrize("fault", MISFITS)
def test_an_edit_that_does_not_fit_is_an_error(fault: str) -> None:
    """An edit whose text is not there exactly once, or that leaves no Python, makes no mutant."""
    edits, message = MISFITS[fault]
    with pytest.raises(MutantError, match=message):
        mutants.edited_sources(edits)


@pytest.mark.library
def test_edits_are_found_in_the_original(tmp_path: Path) -> None:
    """One edit does not see what another wrote, in whatever order they are."""
    edits = [Edit("etui._version", "SPEC_VERSION", "X"), Edit("etui._version", '"1.0"', '"SPEC_VERSION"')]
    for order in (edits, edits[::-1]):
        ((_, source),) = mutants.edited_sources(order).values()
        assert 'X = "SPEC_VERSION"' in source


@pytest.mark.library
def test_an_installed_mutant_is_what_the_process_imports(tmp_path: Path) -> None:
    """All edited modules run with their edits, and tracebacks name the real file; nothing is kept for later ones."""
    code = """
        import sys, json
        from pathlib import Path
        from etui_conformance.mutants import install
        install("X-1 another kind", Path(sys.argv[1]))
        import etui
        from etui.containers.fields import open_document
        context, _ = open_document({"format": "etui-other", "version": "1.5"}, "weights.json", None, ())
        print(json.dumps([context.code, context.newer, etui.SPEC_VERSION, open_document.__code__.co_filename]))
    """
    for _ in range(2):
        ran = run(code, str(write(tmp_path, GOOD)))
        code_of_form, newer, version, file = json.loads(ran.stdout)
        assert (code_of_form, newer, version) == ("other-form", False, "1.7")
        assert Path(file).is_file()
    plain = run("import etui; print(etui.SPEC_VERSION)")
    assert plain.stdout == "1.0\n"


@pytest.mark.library
def test_a_module_that_is_imported_already_cannot_be_edited(tmp_path: Path) -> None:
    """Installing a mutant after the library was imported is an error, not a mutant without effect."""
    code = """
        import sys
        from pathlib import Path
        import etui.containers.fields
        from etui_conformance.mutants import install
        install("X-1 another kind", Path(sys.argv[1]))
    """
    ran = run(code, str(write(tmp_path, GOOD)))
    assert "imported before the mutant was installed: etui._version, etui.containers.fields" in ran.stderr


@pytest.mark.library
def test_the_adapter_serves_a_mutant(tmp_path: Path) -> None:
    """`--mutant` makes the adapter the wrong implementation, and an unknown name ends it with 2."""
    write(
        tmp_path,
        """
        ["H-8 another hash"]
        clauses = ["H-8"]
        edits = [{ module = "etui.artifact", old = "return digest.of(data)", new = "return digest.of(data + b' ')" }]
        """,
    )
    content = {
        "config": {
            "format": "etui-config",
            "version": "1.0",
            "model": {"name": "m", "kind": "opaque", "op": "custom:p>M"},
        }
    }
    request = {"op": "encode", "id": 1, "content": content, "form": "packed", "path": str(tmp_path / "m.etui")}
    command = [sys.executable, "-m", "etui_conformance.adapters.reference"]
    found = []
    for more in ([], ["--mutants", str(tmp_path), "--mutant", "H-8 another hash"]):
        ran = subprocess.run(
            [*command, *more], input=json.dumps(request), capture_output=True, text=True, timeout=60, check=True
        )
        found.append(json.loads(ran.stdout))
    assert [reply["result"] for reply in found] == ["ok", "ok"], found
    assert found[0]["identity"] != found[1]["identity"]
    ran = subprocess.run([*command, "--mutant", "none"], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "no mutant 'none' among " in ran.stderr
