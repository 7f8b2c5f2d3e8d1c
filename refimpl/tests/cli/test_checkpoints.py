"""The command `etui checkpoints`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.checkpoints import Series
from etui.cli import checkpoints
from etui.storage.objects import object_names

pytestmark = pytest.mark.library

SCHEMA = "cli/checkpoints"
Run = Callable[..., Any]
RunJson = Callable[..., tuple[int, Any]]


def model(value: float) -> etui.Model:
    """A model of which one tensor is always the same."""
    weights = etui.Weights()
    weights.add("frozen/kernel", etui.Tensor.of(np.arange(300_000, dtype=np.float32)), role="kernel")
    weights.add("head/kernel", etui.Tensor.of(np.full(1000, value, np.float32)), role="kernel")
    return etui.Model(weights=weights)


@pytest.fixture
def series(tmp_path: Path) -> Series:
    """Four steps in the folder `run`, the third of which has no metric."""
    made = Series(tmp_path / "run")
    for step, loss in ((100, 0.5), (200, 0.125), (300, None), (400, float("nan"))):
        metrics = {} if loss is None else {"loss": loss}
        made.save(model(step), step, metrics=metrics, time=datetime(2026, 1, 31, 12, step // 100, tzinfo=UTC))
    return made


def test_steps_are_listed(run: Run, series: Series) -> None:
    """A line a step says when it was saved, what was measured, and the beginning of its identity."""
    answer = run("checkpoints", "list", "run")
    identities = [step.identity[:19] for step in series.steps()]
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "run: 4 steps",
        "  step  time                       loss  identity",
        f"   100  2026-01-31T12:01:00.000Z    0.5  {identities[0]}…",
        f"   200  2026-01-31T12:02:00.000Z  0.125  {identities[1]}…",
        f"   300  2026-01-31T12:03:00.000Z         {identities[2]}…",
        f"   400  2026-01-31T12:04:00.000Z    nan  {identities[3]}…",
    ]
    sized = run("checkpoints", "list", "run", "--sizes").out.splitlines()
    assert sized[1].split() == ["step", "time", "loss", "size", "new", "identity"]
    assert [line.split()[-5:-1] for line in sized[2:4]] == [["1.21", "MB", "1.21", "MB"], ["1.21", "MB", "5.25", "kB"]]


def test_steps_are_listed_as_json(run_json: RunJson, series: Series) -> None:
    """The JSON of a list has every step with its metrics, tagged where JSON has no number; sizes where asked for."""
    code, document = run_json(SCHEMA, "checkpoints", "list", "run")
    assert (code, document["action"], document["series"]) == (0, "list", "run")
    assert [step["step"] for step in document["steps"]] == [100, 200, 300, 400]
    metrics = [step["metrics"] for step in document["steps"]]
    assert metrics == [{"loss": 0.5}, {"loss": 0.125}, {}, {"loss": {"$float": "nan"}}]
    assert {step["taken"] for step in document["steps"]} == {None}
    _, document = run_json(SCHEMA, "checkpoints", "list", "run", "--sizes")
    taken = [step["taken"] for step in document["steps"]]
    assert [one["bytes"] for one in taken] == [step.size for step in series.steps()]
    assert sum(one["new"] for one in taken) == sum(found.size for found in series.store.objects())


def test_json_may_be_asked_for_before_the_action(run: Run, series: Series) -> None:
    """The option stands before or behind the action."""
    assert series.latest() is not None
    before = run("checkpoints", "--json", "list", "run")
    behind = run("checkpoints", "list", "run", "--json")
    assert before.out == behind.out
    assert json.loads(before.out)["format"] == "etui-checkpoints"


def test_an_empty_series_is_listed(run: Run, run_json: RunJson) -> None:
    """A series without steps is one, and has no table."""
    Series("run")
    assert run("checkpoints", "list", "run").out == "run: 0 steps\n"
    assert run_json(SCHEMA, "checkpoints", "list", "run")[1]["steps"] == []
    assert run("checkpoints", "verify", "run").out == "run: every byte of 0 steps is as it was written\n"
    assert run("checkpoints", "show", "run", "latest").code == 2


@pytest.mark.parametrize(
    ("name", "number"),
    [("100", 100), ("latest", 400), ("best:loss", 200), ("best:loss:max", 100), ("best:loss:min", 200)],
)
def test_a_step_has_several_names(run_json: RunJson, series: Series, name: str, number: int) -> None:
    """A step is named by its number, as the latest, or as the best by a metric, of which NaN is never one."""
    code, document = run_json(SCHEMA, "checkpoints", "show", "run", name)
    assert (code, document["step"]["step"]) == (0, number)
    assert document["step"]["identity"] == series[number].identity
    assert [part["name"] for part in document["parts"]] == ["weights.json", "weights.safetensors"]
    assert sum(part["size"] for part in document["parts"]) < document["step"]["taken"]["bytes"]


def test_a_step_is_shown(run: Run, series: Series) -> None:
    """The text for people has the identity in full, the metrics, what is new, and the parts."""
    answer = run("checkpoints", "show", "run", "200")
    lines = answer.out.splitlines()
    assert lines[0] == "run: step 200"
    assert f"  identity  {series[200].identity}" in lines
    assert "  loss      0.125" in lines
    assert "  size      1.21 MB, 5.25 kB of it in no earlier step" in lines
    assert [line.split()[0] for line in lines[-2:]] == ["weights.json", "weights.safetensors"]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("7", "series-step"),
        ("best:accuracy", "series-step"),
        ("best:loss:max:2", "series-retention"),
        ("last", "series-step"),
    ],
)
def test_a_step_that_is_not_there_is_told(run: Run, series: Series, step: str, code: str) -> None:
    """A number without a step, a metric that no step has, and what names no step end with 2."""
    assert series.latest() is not None
    answer = run("checkpoints", "show", "run", step)
    assert (answer.code, answer.out) == (2, "")
    assert f"[{code}]" in answer.err


def test_a_step_is_exported(run: Run, run_json: RunJson, series: Series) -> None:
    """An exported step is the artifact that its model is, in either form and in shards."""
    etui.save(model(200), "expected.etui")
    answer = run("checkpoints", "export", "run", "best:loss", "best.etui")
    assert (answer.code, answer.out.splitlines()) == (
        0,
        ["run, step 200 -> best.etui", f"identity: {series[200].identity}"],
    )
    assert Path("best.etui").read_bytes() == Path("expected.etui").read_bytes()
    code, document = run_json(SCHEMA, "checkpoints", "export", "run", "latest", "folder", "--form", "directory")
    assert (code, document["step"], document["target"]) == (0, 400, "folder")
    assert etui.verify("folder").identity == document["identity"] == series[400].identity
    _, document = run_json(SCHEMA, "checkpoints", "export", "run", "100", "shards", "--shard-size", "1MB")
    assert document["identity"] == etui.verify("shards").identity != series[100].identity


def test_steps_are_compared(run: Run, run_json: RunJson, series: Series) -> None:
    """Equal content is the answer 0, and another the answer 1 with what changed."""
    series.save(model(400), 500)
    assert (
        run("checkpoints", "diff", "run", "400", "latest").out.splitlines()[0]
        == "step 400 and step 500: the same content"
    )
    code, document = run_json(SCHEMA, "checkpoints", "diff", "run", "100", "200")
    assert (code, document["steps"], document["difference"]["same"]) == (1, [100, 200], False)
    assert [(change["area"], change["subject"]) for change in document["difference"]["changes"]] == [
        ("weights", "head/kernel")
    ]


def test_steps_are_verified(run: Run, run_json: RunJson, series: Series, tmp_path: Path) -> None:
    """Every byte of one step or of all is checked; a changed one is an error with the answer 1."""
    code, document = run_json(SCHEMA, "checkpoints", "verify", "run")
    assert (code, [one["step"] for one in document["steps"]]) == (0, [100, 200, 300, 400])
    assert [one["identity"] for one in document["steps"]] == [step.identity for step in series.steps()]
    assert len(run_json(SCHEMA, "checkpoints", "verify", "run", "latest")[1]["steps"]) == 1
    path = (tmp_path / "run").joinpath(*object_names(series[300].identity))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"etui", b"itue"))
    assert run("checkpoints", "verify", "run", "100").code == 0
    answer = run("checkpoints", "verify", "run")
    assert (answer.code, answer.out) == (1, "")
    assert "[digest-mismatch" in answer.err


def test_steps_are_pruned_by_rules(run: Run, run_json: RunJson, series: Series) -> None:
    """A dry run says what the real run then does: what no rule keeps goes, with what only it needed."""
    rules = ["--keep-last", "1", "--keep-every", "300", "--keep-best", "loss"]
    code, dry = run_json(SCHEMA, "checkpoints", "prune", "run", *rules, "--dry-run")
    assert (code, dry["dry_run"], dry["kept"], dry["dropped"]) == (0, True, [200, 300, 400], [100])
    assert len(series) == 4
    answer = run("checkpoints", "prune", "run", *rules)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[:2] == ["run: 1 step removed, 3 kept", "  removed: step 100"]
    assert answer.out.splitlines()[2].startswith(f"  removed: {dry['objects']} objects that no step refers to, ")
    assert [step.number for step in series.steps()] == [200, 300, 400]
    _, again = run_json(SCHEMA, "checkpoints", "prune", "run", *rules)
    assert (again["dropped"], again["objects"], again["bytes"]) == ([], 0, 0)


def test_several_metrics_may_keep_steps(run_json: RunJson, series: Series) -> None:
    """The option for metrics may be repeated, and the latest step stays without being asked for."""
    series.save(model(5), 500, metrics={"accuracy": 0.5})
    options = ["--keep-best", "loss:max:1", "--keep-best", "accuracy:max:3"]
    _, document = run_json(SCHEMA, "checkpoints", "prune", "run", *options)
    assert document["kept"] == [100, 500]


def test_without_rules_only_garbage_goes(run: Run, run_json: RunJson, series: Series) -> None:
    """Without a rule no step is dropped but those that are named, and what a removed step left is removed."""
    series.remove(200)
    _, document = run_json(SCHEMA, "checkpoints", "prune", "run")
    assert (document["kept"], document["dropped"]) == ([100, 300, 400], [])
    assert document["objects"] > 0
    answer = run("checkpoints", "prune", "run", "--drop", "100", "--drop", "400")
    assert answer.out.splitlines()[0] == "run: 2 steps removed, 1 step kept".replace("1 step kept", "1 kept")
    assert [step.number for step in series.steps()] == [300]
    assert run("checkpoints", "prune", "run", "--drop", "7").code == 2


def test_a_damaged_step_is_dropped_by_its_number(run: Run, series: Series, tmp_path: Path) -> None:
    """A record that cannot be read stops every pruning but that which names it."""
    (tmp_path / "run/steps/300.json").write_bytes(b"{}")
    answer = run("checkpoints", "prune", "run", "--keep-last", "1")
    assert (answer.code, answer.out) == (1, "")
    assert len(series) == 4
    assert run("checkpoints", "prune", "run", "--drop", "300").code == 0
    assert [step.number for step in series.steps()] == [100, 200, 400]


def test_a_series_in_use_is_not_pruned(run: Run, series: Series) -> None:
    """While a writer is at work, pruning ends with 1 and removes nothing."""
    with series.store.writing():
        answer = run("checkpoints", "prune", "run", "--keep-last", "1")
    assert (answer.code, answer.out) == (1, "")
    assert "[series-busy]" in answer.err
    assert len(series) == 4


def test_the_callers_word_leaves_young_objects(run: Run, run_json: RunJson, series: Series) -> None:
    """With --exclusive, what is younger than a day stays, and the answer says how much that is."""
    series.remove(100)
    _, document = run_json(SCHEMA, "checkpoints", "prune", "run", "--exclusive")
    assert (document["objects"], document["young"] > 0) == (0, True)
    assert (
        f"  kept: {document['young']} objects that no step refers to yet"
        in run("checkpoints", "prune", "run", "--exclusive").out
    )


def test_many_steps_are_not_all_named(run: Run) -> None:
    """Of many removed steps the first are named, and JSON has all."""
    made = Series("run")
    for step in range(60):
        made.save(etui.Model(config=etui.Config(etui.Module("m", op="core:relu"))), step)
    lines = run("checkpoints", "prune", "run", "--keep-last", "2").out.splitlines()
    assert lines[0] == "run: 58 steps removed, 2 kept"
    assert lines[-2] == "  … and 8 more; --json has all"


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "run", "extra"],
        ["show", "run"],
        ["prune", "run", "--keep-last", "0"],
        ["prune", "run", "--keep-every", "x"],
        ["prune", "run", "--keep-best", ":max"],
        ["prune", "run", "--drop", "-1"],
        ["export", "run", "latest"],
        ["burn", "run"],
        [],
    ],
)
def test_wrong_usage_ends_with_2(run: Run, series: Series, arguments: list[str]) -> None:
    """What is missing or cannot be meant is told in a line, and nothing is changed."""
    answer = run("checkpoints", *arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert len(series) == 4


@pytest.mark.parametrize(("place", "code"), [("nothing", 1), ("folder", 1), ("sample.etui", 1)])
def test_what_is_no_series_is_refused(run: Run, sample: str, place: str, code: int) -> None:
    """A missing place, a folder of something else and a file are no series, and stay as they are."""
    assert Path(sample).is_file()
    Path("folder").mkdir()
    for action in (["list", place], ["prune", place, "--keep-last", "1"], ["verify", place]):
        answer = run("checkpoints", *action)
        assert (answer.code, answer.out) == (code, "")
    assert not Path("nothing").exists()
    assert list(Path("folder").iterdir()) == []


@pytest.mark.parametrize(
    "action", [["export", "run", "100", "x.etui"], ["diff", "run", "100", "200"], ["verify", "run"]]
)
def test_work_on_data_has_a_bar(run: Run, series: Series, monkeypatch: pytest.MonkeyPatch, action: list[str]) -> None:
    """Exporting, comparing and verifying tell a terminal's bar how far they are, and print nothing elsewhere."""
    assert series.latest() is not None
    assert run("checkpoints", *action).err == ""
    told: list[tuple[int, int]] = []

    @contextmanager
    def bar(_: str) -> Iterator[Callable[[str, int, int], None]]:
        yield lambda _, done, total: told.append((done, total))

    monkeypatch.setattr(checkpoints, "progress_bar", bar)
    run("checkpoints", *action)
    assert told
    assert told[-1][0] == told[-1][1] > 1_200_000
