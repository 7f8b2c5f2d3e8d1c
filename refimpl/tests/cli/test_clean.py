"""The command `etui clean`."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import etui
from etui.checkpoints import Series
from etui.testing.samples import everything

CLEAN = "cli/clean"
RunJson = Callable[..., tuple[int, Any]]


def litter(folder: Path) -> None:
    """What killed saves leave, and what only looks like it."""
    folder.mkdir(exist_ok=True)
    etui.save(everything(), folder / ".last.etui-00000001.old", form="directory")
    (folder / ".model.etui.etui-00000002.tmp").write_bytes(b"half")
    (folder / ".other.etui-00000003.tmp").mkdir()
    (folder / ".other.etui-00000003.tmp" / "part").write_bytes(b"half")
    (folder / "model.etui.tmp").write_bytes(b"mine")


def fates(document: Any) -> dict[str, str]:
    return {Path(one["path"]).name: one["fate"] for one in document["leftovers"]}


@pytest.mark.library
def test_a_folder_is_cleaned(run_json: RunJson) -> None:
    """Leftovers of every target in a folder are removed, and an earlier artifact is put back; other files stay."""
    litter(Path("models"))
    expected = {
        ".last.etui-00000001.old": "restored",
        ".model.etui.etui-00000002.tmp": "removed",
        ".other.etui-00000003.tmp": "removed",
    }
    before = sorted(path.name for path in Path("models").iterdir())
    code, document = run_json(CLEAN, "clean", "models", "--dry-run")
    assert (code, document["dry_run"], fates(document)) == (0, True, expected)
    assert sorted(path.name for path in Path("models").iterdir()) == before
    code, document = run_json(CLEAN, "clean", "models")
    assert (code, document["dry_run"], fates(document)) == (0, False, expected)
    assert sorted(path.name for path in Path("models").iterdir()) == ["last", "model.etui.tmp"]
    assert etui.verify("models/last").tensors > 0
    assert run_json(CLEAN, "clean", "models")[1]["leftovers"] == []


@pytest.mark.library
def test_a_target_is_cleaned_alone(run_json: RunJson) -> None:
    """Of a target, which may be missing, only its own leftovers are removed."""
    litter(Path("models"))
    code, document = run_json(CLEAN, "clean", "models/model.etui")
    assert (code, fates(document)) == (0, {".model.etui.etui-00000002.tmp": "removed"})
    assert Path("models/.other.etui-00000003.tmp").is_dir()


@pytest.mark.library
@pytest.mark.parametrize(("here", "path"), [("models/last", "."), ("models/last/assets", ".."), ("models", "last/.")])
def test_a_folder_without_a_name_is_a_target_too(
    run_json: RunJson, monkeypatch: pytest.MonkeyPatch, here: str, path: str
) -> None:
    """The working folder, or the one above it, is cleaned beside and within, as under its name."""
    Path("models").mkdir()
    etui.save(everything(), "models/last", form="directory")
    Path("models/last/assets").mkdir(exist_ok=True)
    for left in (".last.etui-00000001.tmp", ".other.etui-00000002.tmp", "last/.part.etui-00000003.tmp"):
        Path("models", left).write_bytes(b"half")
    monkeypatch.chdir(here)
    code, document = run_json(CLEAN, "clean", path)
    assert (code, fates(document)) == (
        0,
        {".last.etui-00000001.tmp": "removed", ".part.etui-00000003.tmp": "removed"},
    )


@pytest.mark.library
def test_what_a_living_writer_holds_is_kept(run_json: RunJson) -> None:
    """A leftover that is locked is someone's work; the answer is good all the same."""
    litter(Path("models"))
    with Path("models/.model.etui.etui-00000002.tmp").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for more in ([], ["--dry-run"]):
            code, document = run_json(CLEAN, "clean", "models/model.etui", *more)
            assert (code, fates(document)) == (0, {".model.etui.etui-00000002.tmp": "held"})
    assert Path("models/.model.etui.etui-00000002.tmp").exists()


@pytest.mark.library
def test_the_youngest_of_two_earlier_artifacts_is_put_back(run_json: RunJson) -> None:
    """Of several earlier ones, that which readers have found is the one that takes its place again."""
    for number, content in enumerate((b"older", b"younger")):
        path = Path(f".m.etui-0000000{number}.old")
        path.mkdir()
        (path / "part").write_bytes(content)
    _, document = run_json(CLEAN, "clean", "m")
    assert sorted(fates(document).values()) == ["removed", "restored"]
    assert Path("m/part").read_bytes() == b"younger"


@pytest.mark.library
def test_people_are_told_in_words(run: Callable[..., Any]) -> None:
    """Without --json there is one line for each leftover and one for their number; a place that is none is an error."""
    litter(Path("models"))
    answer = run("clean", "models", "--dry-run")
    assert answer.code == 0
    assert answer.out.count("would be removed") == 2
    assert answer.out.count("would be put back in its place") == 1
    assert answer.out.endswith("3 leftovers found\n")
    assert run("clean", "nowhere/model.etui").code == 1


@pytest.mark.library
def test_a_series_is_cleaned(run_json: RunJson) -> None:
    """Leftovers in every folder of a series are removed; its steps, and what a living writer holds, stay."""
    series = Series("run")
    series.save(etui.Model(weights=etui.Weights(), metadata={"a": 1}), 1)
    shard = next(Path("run/objects/sha256").iterdir())
    left = [Path("run/.series.json.etui-00000001.tmp"), Path("run/steps/.7.json.etui-00000002.tmp")]
    left += [shard / f".{'0' * 62}.etui-00000003.tmp", shard / f".{'1' * 62}.etui-00000004.tmp"]
    for path in left:
        path.write_bytes(b"half")
    with left[-1].open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for option, gone in (["--dry-run"], False), ([], True):
            code, document = run_json(CLEAN, "clean", "run", *option)
            assert (code, fates(document)) == (
                0,
                {path.name: "held" if path is left[-1] else "removed" for path in left},
            )
            assert [path.exists() for path in left] == [not gone] * 3 + [True]
    assert len(series.verify()) == 1
