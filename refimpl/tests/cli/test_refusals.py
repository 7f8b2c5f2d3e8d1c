"""What a command refuses, and how it says so: one line and an exit code, or with --json an object."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.library

Run = Callable[..., Any]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["verify"],
        ["verify", "a", "b"],
        ["convert", "a.etui"],
        ["convert", "a.etui", "b.etui", "--shard-size", "many"],
        ["convert", "a.etui", "b.etui", "--form", "zip"],
        ["inspect", "a.etui", "--unknown"],
        ["inspect", "a.etui", "--js"],
    ],
)
def test_wrong_usage_is_one_line_and_2(run: Run, run_json: Run, arguments: list[str]) -> None:
    """A command line that makes no sense gives 2 and one line that says where help is; with --json an error object."""
    answer = run(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("etui: ")
    assert "--help" in answer.err
    assert answer.err.count("\n") == 1
    code, document = run_json("error", *arguments)
    assert (code, document["class"], document["code"]) == (2, "usage", "command-usage")


@pytest.mark.parametrize("target", ["target.unknown", "target.etui --to unknown", "target.keras --shard-size 5"])
def test_a_format_that_is_not_known_is_wrong_usage(run: Run, sample: str, target: str) -> None:
    """Formats and options that do not exist give 2, and nothing is written."""
    assert run("convert", sample, *target.split()).code == 2
    assert [path.name for path in Path().iterdir()] == ["sample.etui"]


@pytest.mark.parametrize("command", ["verify", "validate", "inspect", "diff", "convert"])
def test_a_file_that_is_not_there_fails(run: Run, run_json: Run, command: str) -> None:
    """Nothing to read gives 1 and the reason."""
    arguments = [command, "nothing.etui", *(["b.etui"] if command in ("diff", "convert") else [])]
    answer = run(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert "nothing.etui" in answer.err
    assert "No such file" in answer.err
    assert run_json("error", *arguments) == (1, json.loads(run(*arguments, "--json").out))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x00" * 100, b"PK\x05\x06" + bytes(18)])
@pytest.mark.parametrize("command", ["verify", "validate", "inspect", "diff", "convert"])
def test_bad_files_are_refused(run: Run, command: str, content: bytes) -> None:
    """A file that is empty, cut off or something else gives 1, and the target is not written."""
    Path("bad.etui").write_bytes(content)
    arguments = [command, "bad.etui", *(["b.etui"] if command in ("diff", "convert") else [])]
    answer = run(*arguments)
    assert answer.code == 1
    assert "bad.etui" in answer.out + answer.err
    assert not Path("b.etui").exists()


def test_formats_tells_a_missing_extra(run: Run, run_json: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without h5py the list of formats says that the extra is missing."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert 'pip install "etui[hdf5]" (not installed)' in run("formats", "keras").out
    formats = run_json("cli/formats", "formats")[1]["formats"]
    missing = [item["name"] for item in formats if not item["available"]]
    assert missing == ["keras", "keras-h5", "keras-h5-weights", "keras-weights"]
    assert f'{", ".join(missing)}: needs pip install "etui[hdf5]"' in run("formats").out.splitlines()


def test_help_and_version_are_good(run: Run) -> None:
    """--help and --version print and give 0."""
    for arguments, expected in (
        (["--help"], "convert"),
        (["diff", "--help"], "--json"),
        (["--version"], "SPEC.md 1.0"),
    ):
        answer = run(*arguments)
        assert (answer.code, answer.err) == (0, "")
        assert expected in answer.out


def test_an_error_object_of_every_class_fits_its_schema(run_json: Run, sample: str, unsafe: str) -> None:
    """The JSON of errors has one schema, whichever class they are of."""
    Path("bad.etui").write_bytes(b"PK")
    calls = {
        "usage": ["convert"],
        "storage": ["verify", "nothing"],
        "malformed": ["verify", "bad.etui"],
        "unsafe": ["verify", unsafe],
        "transfer": ["convert", sample, "target.keras"],
    }
    assert {name: run_json("error", *call)[1]["class"] for name, call in calls.items()} == {
        name: name for name in calls
    }
