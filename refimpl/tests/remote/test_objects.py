"""Series of checkpoints below a URL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import etui
from etui import digest
from etui.checkpoints import Series
from etui.checkpoints.retention import Retention
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import EtuiError
from etui.model import Model
from etui.storage.objects import MARK, ObjectStore
from etui.storage.remote_objects import RemoteObjects
from etui.testing.equality import same
from etui.testing.samples import everything
from etui.testing.servers import S3, Asked, Web

Build = Callable[..., Model]
BASES = ["memory://run/series", "s3://bucket/series"]
pytestmark = [pytest.mark.usefixtures("memory", "s3")]


def objects(store: ObjectStore) -> set[str]:
    return {one.digest for one in store.objects()}


def with_head(frozen: Model, step: int) -> Model:
    """The model with another last layer at each step."""
    assert frozen.weights is not None
    weights = Weights()
    for path, variable in frozen.weights.items():
        weights.add(path, variable.tensor, role=variable.role)
    weights.add("head/kernel", Tensor.of(np.full(400_000, step, np.float32)), role="kernel")
    return Model(weights=weights)


@pytest.mark.clause("CS-1@705691", "CS-5@c13f5c", "CS-23@713056", "CS-24@8eec86")
@pytest.mark.parametrize("base", BASES)
def test_steps_are_saved_read_and_exported(base: str, tmp_path: Path) -> None:
    """A series below a URL gives its steps back, with the identity of a local save, and exports them."""
    identity = etui.save(everything(), tmp_path / "model.etui")
    series = Series(base)
    assert series.save(everything(), 7, metrics={"loss": 0.5}).identity == identity
    found = Series(base, create=False)
    assert [step.number for step in found.steps()] == [7]
    step = found.latest()
    assert step is not None
    with step.open() as opened:
        assert same(opened, everything())
    assert step.export(tmp_path / "export.etui") == identity
    assert etui.verify(tmp_path / "export.etui").identity == identity
    assert step.export(f"{base}-export.etui") == identity
    assert found.verify(7).identity == identity


@pytest.mark.clause("CS-10@6be6e2", "CS-24@8eec86")
def test_what_is_there_is_not_sent_again_and_the_record_is_last(s3: S3, build: Build) -> None:
    """Of a model of which one layer changes, that layer is sent, and the step's record after everything else."""
    frozen = build(4, 400_000)
    series = Series("s3://bucket/series")
    series.save(with_head(frozen, 1), 1)
    for series_again in (series, Series("s3://bucket/series")):
        step = series_again.steps()[-1].number + 1
        s3.take()
        series_again.save(with_head(frozen, step), step)
        asked = s3.take()
        put = [one.path for one in asked if one.method == "PUT"]
        # The layer, a layout that names it, two documents; the headers are the same.
        assert len(put) == 5
        assert put[-1] == f"/bucket/series/steps/{step}.json"
        assert sum(int(one.headers.get("content-length", 0)) for one in asked) < 2_000_000
    assert len(Series("s3://bucket/series").verify()) == 3


@pytest.mark.clause("CS-8@042de9")
@pytest.mark.parametrize("base", BASES)
def test_an_object_that_is_missing_is_a_fault_of_the_series(base: str, build: Build) -> None:
    """Without one of its objects a step does not verify, and the others do."""
    series = Series(base)
    first, second = build(1, 400_000), build(1, 400_000, seed=1)
    series.save(first, 1)
    before = objects(series.store)
    series.save(second, 2)
    assert second.weights is not None
    gone = digest.of(second.weights["layer_0/kernel"].numpy().tobytes())
    assert gone not in before
    series.store.remove(gone)
    series.store.remove(gone)  # it is no error that it is not there
    with pytest.raises(EtuiError) as refusal:
        series.verify(2)
    assert refusal.value.code == "series-object"
    assert series.verify(1).tensors == 1


@pytest.mark.clause("CS-31@4d46f6")
@pytest.mark.parametrize("base", BASES)
def test_garbage_is_collected_on_the_callers_word_after_a_time_of_grace(base: str, build: Build) -> None:
    """There are no locks, so that the caller has to say that nobody writes; what is young stays all the same."""
    series = Series(base)
    for step in (1, 2):
        series.save(build(1, 400_000, seed=step), step)
    series.remove(1)
    with pytest.raises(EtuiError) as refusal:
        series.collect()
    assert refusal.value.code == "series-busy"
    assert series.collect(exclusive=True).objects == 0
    collected = series.collect(exclusive=True, grace=0)
    assert collected.objects > 0
    assert [step.number for step in series.steps()] == [2]
    assert series.verify(2).tensors == 1
    assert series.collect(exclusive=True, grace=0).objects == 0


@pytest.mark.library
@pytest.mark.parametrize("base", BASES)
def test_retention_removes_records_and_leaves_objects_to_the_collection(base: str, build: Build) -> None:
    """A series that keeps two steps has two records after each save."""
    series = Series(base, keep=Retention(last=2))
    for step in range(4):
        series.save(build(1, 10, seed=step), step)
    assert series.store.steps() == [2, 3]
    assert len(series.verify()) == 2


@pytest.mark.clause("CS-34@edead9")
@pytest.mark.parametrize("base", BASES)
def test_a_record_that_is_too_long_is_refused_and_not_cut(
    base: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record beyond the limit is called so, and no more of it is read than shows that."""
    store = RemoteObjects(base, create=True)
    Series(store).save(build(1, 4), 1)
    size = len(store.record(1))
    monkeypatch.setattr("etui.storage.remote_objects.MOST_RECORD_BYTES", size)
    assert len(store.record(1)) == size
    monkeypatch.setattr("etui.storage.remote_objects.MOST_RECORD_BYTES", size - 1)
    with pytest.raises(EtuiError, match="limit-document") as refused:
        store.record(1)
    assert "steps/1.json" in (refused.value.where or "")


@pytest.mark.clause("CS-25@75c682")
@pytest.mark.parametrize("base", BASES)
def test_a_step_is_replaced_only_on_request(base: str, build: Build) -> None:
    """Of two writers of one step, the store lets the first have it."""
    store = RemoteObjects(base, create=True)
    store.put_record(1, b"first")
    with pytest.raises(EtuiError) as refusal:
        store.put_record(1, b"second")
    assert refusal.value.code == "series-exists"
    assert store.record(1) == b"first"
    store.put_record(1, b"second", replace=True)
    assert store.record(1) == b"second"
    store.remove_record(1)
    for act in (store.record, store.remove_record):
        with pytest.raises(EtuiError) as refusal:
            act(1)
        assert refusal.value.code == "series-step"


@pytest.mark.clause("CS-24@8eec86", "CS-26@2f96b5")
def test_a_save_of_which_an_object_is_refused_leaves_no_step(s3: S3, build: Build) -> None:
    """Whichever request fails, the step is not there, the earlier one is whole, and the save can be repeated."""
    series = Series("s3://bucket/series")
    series.save(build(1, 400_000), 1)
    count = [0]

    def refuse_from(at: int) -> Callable[[Asked], int | None]:
        def refuse(asked: Asked) -> int | None:
            if asked.method != "PUT":
                return None
            count[0] += 1
            return 400 if count[0] == at else None

        return refuse

    for at in range(1, 6):
        count[0] = 0
        s3.refuse = refuse_from(at)
        with pytest.raises(EtuiError) as refusal:
            series.save(build(1, 400_000, seed=at), 2)
        assert refusal.value.code == "remote-failed"
        s3.refuse = lambda _: None
        assert series.store.steps() == [1]
        assert series.verify(1).tensors == 1
    series.save(build(1, 400_000, seed=1), 2)
    assert len(series.verify()) == 2


@pytest.mark.library
@pytest.mark.parametrize("base", BASES)
def test_objects_are_put_by_many_threads(base: str) -> None:
    """Several threads may put objects, the same one included; all are there after the flush."""
    store = RemoteObjects(base, create=True)
    contents = [bytes([number]) * (10_000_000 if number == 3 else 1000) for number in range(8)]
    with store.writing():
        threads = [
            threading.Thread(target=store.put, args=(digest.of(data), len(data), [data])) for data in contents * 2
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(store.size_of(digest.of(data)) == len(data) for data in contents)
        store.flush()
    assert objects(store) == {digest.of(data) for data in contents}
    for data in contents:
        source = store.source(digest.of(data))
        assert source.size == store.size_of(digest.of(data)) == len(data)
        assert source.read(0, source.size) == data
        assert bytes(source.view(10, 20)) == data[10:30]


@pytest.mark.library
def test_a_listing_is_asked_for_once_a_save(s3: S3, build: Build) -> None:
    """A save asks what is there once, not once for each tensor; a step is read in a few requests for each tensor."""
    series = Series("s3://bucket/series")
    series.save(build(30, 300_000), 1)
    s3.take()
    series.save(build(30, 300_000), 2)
    asked = s3.take()
    assert len([one for one in asked if one.method == "HEAD"]) <= 3
    assert len([one for one in asked if one.method == "GET"]) <= 12


@pytest.mark.clause("CS-1@705691")
@pytest.mark.parametrize("base", BASES)
def test_a_place_that_is_no_series_is_refused(base: str) -> None:
    """Nothing, something else, and a damaged mark."""
    with pytest.raises(EtuiError) as refusal:
        Series(base, create=False)
    assert refusal.value.code == "series-form"
    fs, path = fsspec.core.url_to_fs(base)
    fs.pipe_file(f"{path}/other.txt", b"x")
    fs.invalidate_cache()
    with pytest.raises(EtuiError) as refusal:
        Series(base)
    assert refusal.value.code == "target-not-etui"
    fs.pipe_file(f"{path}/{MARK}", b"{}")
    with pytest.raises(EtuiError):
        Series(base)


@pytest.mark.library
def test_a_step_is_read_over_http(web: Web, build: Build) -> None:
    """A web server cannot list the steps, and gives one that is asked for by its number."""
    series = Series("memory://run/series")
    model = build(3, 400_000)
    identity = series.save(model, 5).identity
    fs = fsspec.filesystem("memory")
    for name in fs.find("/run/series"):
        web.files[name.removeprefix("/run/")] = fs.cat_file(name)
    served = Series(f"{web.url}/series", create=False)
    with served[5].open() as opened:
        assert opened.digest == identity
        assert same(opened, model)
    for act in (served.steps, lambda: served.save(model, 6)):
        with pytest.raises(EtuiError) as refusal:
            act()
        assert refusal.value.code in {"remote-listing", "remote-readonly"}


@pytest.mark.library
def test_times_of_objects_are_seconds_since_the_epoch() -> None:
    """However a file system says when a file came."""
    from datetime import UTC, datetime

    from etui.storage.remote_entries import time_of

    moment = datetime(2026, 11, 27, tzinfo=UTC)
    entries: list[dict[str, Any]] = [
        {"LastModified": moment},
        {"mtime": moment.timestamp()},
        {"updated": "2026-11-27T00:00:00Z"},
        {"created": int(moment.timestamp())},
    ]
    assert {time_of(entry) for entry in entries} == {moment.timestamp()}
    assert time_of({}) > moment.timestamp() - 86_400 * 365 * 20
