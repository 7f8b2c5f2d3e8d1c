"""The adapters to begin with: each builds with the tools of its language, and speaks the protocol."""

from __future__ import annotations

import argparse
import base64
import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etui_conformance.cli import init, smoke
from etui_conformance.cli.errors import CommandError
from etui_conformance.protocol.process import ProcessSession, split_command
from etui_conformance.skeletons import SKELETONS

pytestmark = pytest.mark.library

TOOLS = {  # programs without which a skeleton cannot be tried; the others are always there
    "python": (),
    "javascript": (),
    "rust": ("cargo",),
    "go": ("go",),
    "cpp": ("cmake", "c++"),
    "julia": ("julia",),
}


CLAIMS = {  # where a skeleton claims its ops: the file, the line as it is, and the line with two ops
    "python": ("adapter.py", "CLAIMED_OPS: list[str] = []", 'CLAIMED_OPS: list[str] = ["decode", "validate"]'),
    "javascript": ("adapter.mjs", "CLAIMED_OPS = []", 'CLAIMED_OPS = ["decode", "validate"]'),
    "rust": ("src/main.rs", "CLAIMED_OPS: &[&str] = &[]", 'CLAIMED_OPS: &[&str] = &["decode", "validate"]'),
    "go": ("main.go", "claimedOps = []string{}", 'claimedOps = []string{"decode", "validate"}'),
    "cpp": ("main.cpp", "claimed_ops = {}", 'claimed_ops = {"decode", "validate"}'),
    "julia": ("adapter.jl", "CLAIMED_OPS = String[]", 'CLAIMED_OPS = ["decode", "validate"]'),
}


@pytest.fixture(autouse=True)
def own_python_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command `python` is the interpreter of the tests."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


@pytest.fixture(scope="module", params=sorted(SKELETONS))
def language(request: pytest.FixtureRequest) -> str:
    """A language whose tools are there."""
    name: str = request.param
    if missing := [tool for tool in TOOLS[name] if shutil.which(tool) is None]:
        pytest.skip(f"{name}: {' and '.join(missing)} not found")
    return name


@pytest.fixture(scope="module")
def folder(language: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `init` wrote a skeleton: a folder whose name needs quotes."""
    folder = tmp_path_factory.mktemp("skeletons") / f"my {language}"
    assert init.run(argparse.Namespace(lang=language, folder=folder)) == 0
    return folder


@pytest.fixture(scope="module")
def command(language: str, folder: Path) -> str:
    """The command of a skeleton as it is."""
    return built(language, folder)


@pytest.fixture
def session(command: str, tmp_path: Path) -> Iterator[ProcessSession]:
    session = ProcessSession(split_command(command), tmp_path)
    yield session
    session.close()


def built(language: str, folder: Path) -> str:
    if build := SKELETONS[language].build_command(folder):
        done = subprocess.run(["bash", "-c", build], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    return SKELETONS[language].adapter_command(folder)


def test_the_smoke_test_passes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A skeleton greets, answers what it does not know with `unsupported`, and ends when told to."""
    assert smoke.run(argparse.Namespace(adapter=command, deadline=30.0)) == 0
    printed = capsys.readouterr().out
    for name in ("hello", "unknown-op", "bye"):
        assert f"passed  protocol/{name}" in printed
    assert "failed" not in printed
    assert "no profile yet" in printed


def test_it_claims_nothing(session: ProcessSession) -> None:
    """A skeleton says who it is, and that it can do nothing."""
    assert session.hello.name == "my-etui"
    assert session.hello.capabilities == frozenset()
    assert session.ask("decode", artifact={"packed": {"data": ""}}, want="all").fields["what"] == "op:decode"


def test_another_major_version_is_unsupported(session: ProcessSession, tmp_path: Path) -> None:
    """A skeleton does not pretend to speak a protocol of the future."""
    assert session.ask("hello", protocol="2.0", spec="1.0", folder=str(tmp_path)).result == "unsupported"


def test_what_is_claimed_is_asked(language: str, folder: Path, tmp_path: Path) -> None:
    """Claimed ops get their bytes inline, by file and by folder, and what goes wrong in them ends nothing."""
    name, line, claiming = CLAIMS[language]
    shutil.copytree(folder, tmp_path / "claiming", ignore=shutil.ignore_patterns("target", "build"))
    source = tmp_path / "claiming" / name
    text = source.read_text(encoding="utf-8")
    assert text.count(line) == 1
    source.write_text(text.replace(line, claiming), encoding="utf-8")
    files = tmp_path / "files"
    files.mkdir()
    session = ProcessSession(split_command(built(language, tmp_path / "claiming")), files)
    try:
        assert session.hello.ops == {"decode", "validate"}
        ask_both(session, tmp_path)
        assert [path.read_bytes() for path in files.glob("*.bin")] == [bytes(range(256))]
    finally:
        session.close()


def ask_both(session: ProcessSession, folder: Path) -> None:
    artifact = folder / "ä b.etui"
    artifact.write_bytes(b"PK")
    inline = base64.b64encode(bytes(range(256))).decode()
    surplus = {"extra": [1.5, -2e-7, None, True, {"a": 'line\n\u2028\u0007 "quoted" \\ 😀'}]}
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("decode", {"artifact": {"packed": {"file": str(artifact)}}, "want": "all"}, "ä b.etui"),
        ("decode", {"artifact": {"packed": {"data": inline}}, "want": "documents", "read": []}, ".bin"),
        ("decode", {"artifact": {"directory": str(folder)}, "want": "all", **surplus}, folder.name),
        ("validate", {"artifact": {"packed": {"data": ""}}}, "validate"),
        ("validate", {"document": "manifest", "data": {"data": inline}}, "256 bytes"),
        ("encode", {"content": {}, "form": "packed", "path": str(folder / "new")}, "encode"),
    ]
    for op, fields, shown in asked:
        reply = session.ask(op, **fields)
        assert reply.result == "unsupported"
        assert shown in reply.fields["what"]
    fault = session.ask("validate", document="weights", data={"file": str(folder / "missing")})
    assert fault.result == "fault"
    assert fault.fields["message"]
    assert session.ask("reset").result == "ok"


@pytest.mark.parametrize("language", sorted(SKELETONS))
def test_init_writes_all_or_nothing(language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`init` writes every file and names the next commands; where one of the files is there already, it writes none."""
    files = SKELETONS[language].files()
    assert files
    options = argparse.Namespace(lang=language, folder=tmp_path / "new")
    assert init.run(options) == 0
    printed = capsys.readouterr().out
    assert {name: (tmp_path / "new" / name).read_bytes() for name in files} == files
    assert all(f"wrote {tmp_path / 'new' / name}" in printed for name in files)
    assert "etui-conformance smoke --adapter" in printed
    assert "etui-conformance run --profile weights-reader --adapter" in printed

    last = max(files)
    other = tmp_path / "other"
    (other / last).parent.mkdir(parents=True)
    (other / last).write_text("mine")
    with pytest.raises(CommandError, match="is there already"):
        init.run(argparse.Namespace(lang=language, folder=other))
    assert [path for path in other.rglob("*") if path.is_file()] == [other / last]
    assert (other / last).read_text() == "mine"


def test_julia_is_parsed() -> None:
    """The skeleton in Julia is Julia to another parser, also where there is no Julia to run it."""
    tree_sitter = importlib.import_module("tree_sitter")
    grammar = importlib.import_module("tree_sitter_julia")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    files = SKELETONS["julia"].files()
    assert sorted(files) == ["adapter.jl", "messages.jl"]
    for name, data in files.items():
        assert not parser.parse(data).root_node.has_error, name
    assert parser.parse(b"function f(\nend").root_node.has_error
