"""Collecting garbage and pruning, in a folder and where there are no locks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import digest
from etui.canonical import json
from etui.checkpoints import Retention, Series, Step, garbage
from etui.checkpoints.usage import usage
from etui.errors import IntegrityError, RejectError, StorageError, UsageError, error
from etui.storage.objects import object_names
from etui.testing.memory_objects import Disk, MemoryObjects


def model(value: float) -> etui.Model:
    """A model of two tensors, one of them always the same."""
    weights = etui.Weights()
    weights.add("frozen/kernel", etui.Tensor.of(np.arange(300_000, dtype=np.float32)), role="kernel")
    weights.add("head/kernel", etui.Tensor.of(np.full(300_000, value, np.float32)), role="kernel")
    return etui.Model(weights=weights)


@pytest.fixture
def series(tmp_path: Path) -> Series:
    """Four steps in a folder."""
    made = Series(tmp_path / "run")
    for step in range(1, 5):
        made.save(model(step), step, metrics={"loss": abs(step - 2.0)})
    return made


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder but its lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


@pytest.mark.clause("CS-27@4f25f3", "CS-28@17325b")
def test_pruning_removes_what_no_other_step_needs(series: Series, tmp_path: Path) -> None:
    """Dropped steps and their own objects go; what the others share with them stays, and they verify."""
    tried = series.prune(Retention(last=1, best=("loss", "min", 1)), dry=True)
    assert (tried.dry, tried.kept, tried.dropped) == (True, (2, 4), (1, 3))
    assert [step.number for step in series.steps()] == [1, 2, 3, 4]
    done = series.prune(Retention(last=1, best=("loss", "min", 1)))
    assert (done.kept, done.dropped) == (tried.kept, tried.dropped)
    assert (done.collected.objects, done.collected.bytes) == (tried.collected.objects, tried.collected.bytes)
    assert done.collected.bytes > 2 * 1_200_000
    assert done.collected.kept == len(list((tmp_path / "run/objects").rglob("*/*/*")))
    assert [found.identity for found in series.verify()] == [series[2].identity, series[4].identity]
    assert series.collect().objects == 0


@pytest.mark.library
def test_pruning_without_a_rule_drops_no_step(series: Series) -> None:
    """Without rules only garbage goes, and a step that is named goes whatever the rules say."""
    assert series.prune().dropped == ()
    assert series.prune(Retention(last=9), drop=[4, 2]).dropped == (2, 4)
    assert [step.number for step in series.steps()] == [1, 3]
    with pytest.raises(UsageError) as caught:
        series.prune(drop=[4, 1])
    assert caught.value.code == "series-step"
    assert [step.number for step in series.steps()] == [1, 3]


@pytest.mark.library
def test_a_series_with_rules_keeps_them_after_each_save(tmp_path: Path) -> None:
    """Steps beyond the rules are removed after a save, with what only they needed."""
    made = Series(tmp_path / "run", keep=Retention(last=2, best=("loss", "min")))
    for step in range(6):
        made.save(model(step), step, metrics={"loss": abs(step - 1.0)})
    assert [step.number for step in made.steps()] == [1, 4, 5]
    assert made.collect(dry=True).objects == 0


def damage(path: Path) -> None:
    """Turn over the last bit of a file."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.clause("CS-29@4361c6")
@pytest.mark.parametrize("what", ["record", "manifest", "layout", "seal", "no manifest", "no layout", "layouts"])
def test_nothing_is_removed_while_a_step_cannot_be_read(series: Series, tmp_path: Path, what: str) -> None:
    """A damaged record, manifest or layout of any step stops the work before anything is removed."""
    step = series[3]
    (layout,) = step.layouts.values()
    root = tmp_path / "run"
    record = root / "steps/3.json"
    names = {"manifest": step.identity, "layout": layout}
    if what == "record":
        record.write_bytes(record.read_bytes()[:-1])
    elif what == "seal":
        record.write_bytes(record.read_bytes().replace(b'"loss":', b'"less":'))
    elif what == "layouts":
        other = Series(tmp_path / "other")
        other.save(etui.Model(config=etui.Config(etui.Module("m", op="core:relu"))), 3)
        data = (tmp_path / "other/steps/3.json").read_bytes()
        record.write_bytes(data)
    elif what.startswith("no "):
        root.joinpath(*object_names(names[what.removeprefix("no ")])).unlink()
    else:
        damage(root.joinpath(*object_names(names[what])))
    series.remove(1)
    before = files(root)
    for act in (series.collect, lambda: series.prune(drop=[2]), lambda: garbage.prune(series.store, [2])):
        with pytest.raises(RejectError):
            act()
        assert files(root) == before
    series.prune(drop=[3])
    assert [found.identity for found in series.verify()] == [series[2].identity, series[4].identity]


@pytest.mark.clause("CS-29@4361c6")
@pytest.mark.parametrize("what", ["record", "layout", "manifest"])
def test_nothing_is_removed_beside_a_document_of_a_newer_version(series: Series, what: str) -> None:
    """What may refer to objects in fields that are not known here is not guessed at; other steps are read as ever."""
    store = series.store
    extra = digest.of(b"delta")
    store.put(extra, 5, [b"delta"])

    def renewed(name: str) -> str:
        source = store.source(name)
        tree = json.decode(source.read(0, source.size), where=name)
        data = json.encode({**tree, "version": "1.1", "delta": extra})
        store.put(digest.of(data), len(data), [data])
        return digest.of(data)

    tree = json.decode(store.record(3), where="record")
    del tree["seal"]
    if what == "record":
        tree |= {"version": "1.1", "delta": extra}
    elif what == "layout":
        tree["layouts"] = {part: renewed(name) for part, name in tree["layouts"].items()}
    else:
        tree["identity"] = renewed(tree["identity"])
    store.put_record(3, json.encode(tree | {"seal": digest.of(json.encode(tree))}), replace=True)
    if what != "manifest":  # whose documents are of its version
        assert series.verify(3).tensors == 2
        assert usage(series, series.steps())[3].bytes > 2_000_000
    before = sorted(found.digest for found in store.objects())
    for act in (series.collect, lambda: series.prune(drop=[2])):
        with pytest.raises(RejectError) as caught:
            act()
        assert caught.value.code == "version-unsupported"
    assert sorted(found.digest for found in store.objects()) == before
    assert series.prune(drop=[3]).dropped == (3,)
    assert store.size_of(extra) is None


class Meanwhile:
    """Another process, which acts once, when the steps of a series have just been listed."""

    def __init__(self, series: Series, monkeypatch: pytest.MonkeyPatch, act: Callable[[Series], object]) -> None:
        self.acted = False
        steps = series.store.steps

        def listed() -> list[int]:
            found = steps()
            if not self.acted:
                self.acted = True
                act(Series(series.location, create=False))
            return found

        monkeypatch.setattr(series.store, "steps", listed)


@pytest.mark.clause("CS-26@2f96b5", "CS-28@17325b")
def test_steps_that_others_remove_meanwhile_are_missed_by_nobody(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save, a collection, a pruning by rules, a listing and a verification go on beside a process that removes."""

    def beside(act: Callable[[Series], object], number: int) -> Any:
        with monkeypatch.context() as patch:
            found = Series(series.location)
            other = Meanwhile(found, patch, lambda one: one.remove(number))
            result = act(found)
        assert other.acted
        assert number not in series
        return result

    saved = beside(lambda one: one.save(model(5), 5), 4)
    assert series.verify(5).identity == saved.identity
    assert beside(lambda one: one.collect(), 1).objects > 0
    assert [step.number for step in beside(lambda one: one.steps(), 2)] == [3, 5]
    series.save(model(6), 6)
    assert {5, 6} <= set(beside(lambda one: one.prune(Retention(last=2)), 3).kept)
    series.save(model(7), 7)
    assert len(beside(lambda one: one.verify(), 5)) == 2
    assert [step.number for step in series] == [6, 7]
    assert len(series.verify()) == 2


@pytest.mark.clause("CS-28@17325b", "CS-32@aa1d41")
def test_a_step_that_is_pruned_while_all_are_verified_is_no_damage(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects that went with their step are not told as missing, and those of a step that is there are."""
    steps = series.steps

    def listed() -> list[Step]:
        found = steps()
        Series(series.location).prune(drop=[1])
        return found

    monkeypatch.setattr(series, "steps", listed)
    assert [step.number for step, _ in series.verified()] == [2, 3, 4]
    monkeypatch.undo()
    Path(series.location).joinpath(*object_names(series[3].identity)).unlink()
    with pytest.raises(IntegrityError):
        series.verify()


@pytest.mark.library
def test_rules_see_the_steps_that_are_there_when_nobody_else_prunes(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process removed the latest step meanwhile: the latest of the others stays in its place."""
    cleaning = series.store.cleaning

    def late(**named: Any) -> Any:
        Series(series.location).remove(4)
        return cleaning(**named)

    monkeypatch.setattr(series.store, "cleaning", late)
    assert series.prune(Retention(last=1)).kept == (3,)
    assert [step.number for step in series] == [3]


@pytest.mark.library
@pytest.mark.parametrize("busy", [False, True])
def test_two_runs_may_keep_rules_in_one_series(series: Series, monkeypatch: pytest.MonkeyPatch, busy: bool) -> None:
    """A step that the rules drop, and that another process has dropped already, fails no save."""
    made = Series(series.location, keep=Retention(last=1))
    cleaning = made.store.cleaning

    def late(**named: Any) -> Any:
        for number in (1, 2):
            Series(series.location).remove(number)
        if busy:
            raise error("series-busy", where=made.location)
        return cleaning(**named)

    monkeypatch.setattr(made.store, "cleaning", late)
    saved = made.save(model(5), 5)
    assert [step.number for step in series] == [5]
    assert series.verify(5).identity == saved.identity


@pytest.mark.library
def test_a_save_never_drops_its_own_step(series: Series) -> None:
    """A run that goes on from an earlier step keeps what it saves, though later steps are there."""
    made = Series(series.location, keep=Retention(last=2))
    saved = made.save(model(9), 0)
    assert [step.number for step in made] == [0, 3, 4]
    assert made.verify(0).identity == saved.identity
    made.save(model(9), 5)
    assert [step.number for step in made] == [4, 5]


@pytest.mark.library
def test_steps_that_cannot_be_removed_do_not_undo_the_save(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is warned, and has the step."""

    def refuse(number: int) -> None:
        raise error("storage-failed", where=series.location, found=f"no right to remove {number}")

    made = Series(series.location, keep=Retention(last=1))
    monkeypatch.setattr(made.store, "remove_record", refuse)
    with pytest.warns(UserWarning, match="step 5 was saved.*no right to remove 1"):
        saved = made.save(model(5), 5)
    assert made.verify(5).identity == saved.identity
    assert len(made.verify()) == 5


@pytest.mark.library
@pytest.mark.parametrize("rules", [3, "loss", {"last": 1}])
def test_other_rules_are_refused_before_anything_is_done(series: Series, rules: Any) -> None:
    """What is no `Retention` is no rule of a series or of a pruning."""
    for act in (lambda: Series(series.location, keep=rules), lambda: series.prune(rules)):
        with pytest.raises(UsageError) as caught:
            act()
        assert caught.value.code == "series-retention"
    assert len(series) == 4


@pytest.mark.library
def test_a_metric_that_no_step_has_is_no_rule_to_prune_by(series: Series) -> None:
    """A misspelt metric removes nothing, and the error tells those that there are; after a save no rule is refused."""
    with pytest.raises(UsageError) as caught:
        series.prune(Retention(last=1, best=["loss", "val_los:max"]))
    assert caught.value.code == "series-retention"
    assert "val_los" in str(caught.value)
    assert "loss." in caught.value.hint
    assert len(series) == 4
    made = Series(series.location, keep=Retention(last=1, best=[("loss", "min"), ("accuracy", "max")]))
    made.save(model(5), 5)
    assert [step.number for step in made] == [2, 5]
    assert made.prune().dropped == ()


@pytest.mark.library
def test_what_steps_take_is_told_while_others_prune(series: Series) -> None:
    """A step that is gone is left out, and one that is damaged is not."""
    steps = series.steps()
    series.prune(drop=[2])
    taken = usage(series, steps)
    assert sorted(taken) == [1, 3, 4]
    assert taken[3].new > 1_200_000
    Path(series.location).joinpath(*object_names(series[3].identity)).unlink()
    with pytest.raises(IntegrityError):
        usage(series, steps)


@pytest.mark.library
def test_the_refusal_says_which_step_it_was(series: Series, tmp_path: Path) -> None:
    """The error of a collection that stops has a note with the series and the step."""
    damage(tmp_path / "run/steps/3.json")
    with pytest.raises(RejectError) as caught:
        series.collect()
    assert [note for note in caught.value.__notes__ if "step 3" in note and "run" in note] != []


@pytest.mark.clause("CS-28@17325b", "CS-29@4361c6")
def test_an_object_of_tensors_that_is_missing_stops_nothing(series: Series, tmp_path: Path) -> None:
    """What a step lacks already is no reason to keep rubbish; the other steps stay whole."""
    taken = garbage.marked(series.store, [3]) - garbage.marked(series.store, [1, 2, 4])
    large = next(name for name in taken if (series.store.size_of(name) or 0) > 1_000_000)
    (tmp_path / "run").joinpath(*object_names(large)).unlink()
    series.remove(1)
    assert series.collect().objects > 0
    assert series.verify(2).identity == series[2].identity
    with pytest.raises(IntegrityError):
        series.verify(3)


@pytest.mark.clause("CS-30@dd7207")
def test_nothing_is_removed_while_a_writer_is_at_work(series: Series, tmp_path: Path) -> None:
    """A collection and a pruning refuse at once, with nothing removed, while someone saves."""
    series.remove(1)
    before = files(tmp_path / "run")
    with series.store.writing():
        for act in (Series(tmp_path / "run").collect, lambda: Series(tmp_path / "run").prune(Retention(last=1))):
            with pytest.raises(StorageError) as caught:
                act()
            assert caught.value.code == "series-busy"
    assert files(tmp_path / "run") == before
    assert series.collect().objects > 0


class Unlocked(MemoryObjects):
    """A store that has no locks."""

    def cleaning(self, *, exclusive: bool = False):  # type: ignore[no-untyped-def]
        """Take the caller's word."""
        if not exclusive:
            raise error("series-busy", where="<memory>")
        return super().cleaning(exclusive=exclusive)


@pytest.mark.clause("CS-31@4d46f6")
def test_without_locks_young_objects_stay() -> None:
    """Where the caller's word stands for a lock, what is younger than a day, or than the grace, stays."""
    disk = Disk({}, {})
    now = time.time()
    series = Series(Unlocked(disk, ticks=iter(range(int(now) - 3 * 86_400, 2**40, 43_200))))
    for step in range(3):
        series.save(model(step), step)
    series.remove(0)
    series.remove(1)
    with pytest.raises(StorageError):
        series.collect()
    in_use = garbage.marked(series.store, [2])
    rubbish = {name: modified for name, (_, modified) in disk.objects.items() if name not in in_use}
    young = {name for name, modified in rubbish.items() if modified > now - garbage.GRACE}
    assert young
    assert young != rubbish.keys()
    found = series.collect(exclusive=True)
    assert (found.objects, found.young) == (len(rubbish) - len(young), len(young))
    assert disk.objects.keys() == in_use | young
    assert series.collect(exclusive=True, grace=0).objects == len(young)
    assert disk.objects.keys() == in_use
