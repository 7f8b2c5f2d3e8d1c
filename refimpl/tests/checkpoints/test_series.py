"""Series of checkpoints: each step is the artifact that a save alone would give, and shares what did not change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import digest
from etui.checkpoints import Retention, Series, data_objects, layouts
from etui.checkpoints.step_reader import StepReader
from etui.containers.tensors import Tensor
from etui.errors import EtuiError, IntegrityError, InvalidError, UsageError
from etui.testing import samples
from etui.testing.equality import same

MIB = 1024 * 1024


def random(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def model(seed: int, *, small: int = 20, frozen: int = 3) -> etui.Model:
    """A model of which `frozen` kernels of 1.5 MB and most of many small tensors are the same for each seed."""
    weights = etui.Weights()
    for number in range(frozen):
        weights.add(f"frozen{number}/kernel", Tensor.of(random(number, 600, 650)), role="kernel")
    weights.add("head/kernel", Tensor.of(random(1000 + seed, 300, 1000)), role="kernel")
    for number in range(small):
        changes = number % 10 == 0
        weights.add(f"norm{number}/gamma", Tensor.of(random(100 + number + 7919 * seed * changes, 256)), role="gamma")
    weights.add("empty", Tensor.of(np.zeros((0, 3), np.float32)), role="kernel")
    weights.add("mask", Tensor.of(np.arange(9) % 2 == 0), role="mask")
    return etui.Model(weights=weights)


@pytest.fixture
def series(tmp_path: Path) -> Series:
    return Series(tmp_path / "run")


def stored(series: Series) -> dict[str, int]:
    """The objects that are there, with their sizes."""
    return {found.digest: found.size for found in series.store.objects()}


def code_of(action: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(EtuiError) as caught:
        action(*arguments, **named)
    return caught.value.code


@pytest.mark.library
def test_a_series_that_is_opened_as_an_artifact_is_told_apart(tmp_path: Path) -> None:
    """Where an artifact is expected and a series is, the error says so and names what opens its steps."""
    Series(tmp_path / "run")
    with pytest.raises(InvalidError, match="a series of checkpoints") as caught:
        etui.open(tmp_path / "run")
    assert caught.value.code == "manifest-missing"
    assert "etui checkpoints export" in str(caught.value)


@pytest.mark.clause("CS-23@713056", "CS-7@7e7865")
@pytest.mark.parametrize("shard_size", [None, 2_000_000, 100_000])
def test_a_step_is_the_artifact_that_a_save_alone_gives(series: Series, shard_size: int | None, tmp_path: Path) -> None:
    """The identity is that of `etui.save`, every part is the same, and so is the file that an export writes."""
    for seed in (1, 2):
        step = series.save(model(seed), seed, shard_size=shard_size)
        alone, packed = tmp_path / f"{seed}.etui", tmp_path / f"exported{seed}.etui"
        assert step.identity == etui.save(model(seed), alone, shard_size=shard_size)
        assert step.export(packed) == step.identity
        assert packed.read_bytes() == alone.read_bytes()
        assert step.export(tmp_path / f"folder{seed}", "directory") == step.identity
        assert etui.verify(tmp_path / f"folder{seed}").identity == step.identity
        parts: dict[str, bytes] = {}
        etui.save(model(seed), parts, shard_size=shard_size)
        with step.reader() as reader:
            assert reader.names() == {name: len(data) for name, data in parts.items()}
            for name, data in parts.items():
                source = reader.source(name)
                assert source.read(0, source.size) == data
                assert bytes(source.view(5, source.size // 2)) == data[5 : 5 + source.size // 2]
        assert step.size == sum(map(len, parts.values()))


@pytest.mark.clause("CS-23@713056", "CS-7@7e7865")
def test_a_step_holds_whatever_an_artifact_holds(series: Series) -> None:
    """Optimizer, state, assets, programs, native documents, encodings and chunks come back as they were."""
    whole = samples.everything()
    step = series.save(whole, 3, metrics={"loss": 0.5})
    assert step.identity == etui.save(whole, {})
    with step.open() as found:
        assert found.digest == step.identity
        with etui.open(_packed(whole)) as alone:
            for name in ("config", "weights", "training", "optimizer", "state", "metadata"):
                assert same(getattr(found, name), getattr(alone, name)), name
        assert {name: blob.read() for name, blob in found.assets.items()} == {
            name: blob.read() for name, blob in whole.assets.items()
        }
    assert series.verify(3).identity == step.identity


def _packed(whole: etui.Model) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    etui.save(whole, parts)
    return parts


@pytest.mark.clause("CS-7@7e7865", "CS-23@713056")
def test_a_step_without_tensors_and_with_an_empty_asset_is_a_step(series: Series, tmp_path: Path) -> None:
    """An artifact without a data part has no layouts, and an object may be empty."""
    bare = etui.Model(weights=etui.Weights(), metadata={"note": "ä"}, assets={"assets/empty.txt": etui.Blob.of(b"")})
    step = series.save(bare, 0, metrics={"Verlust ä": float("inf")})
    assert (step.layouts, series[0].metrics) == ({}, {"Verlust ä": float("inf")})
    assert step.identity == etui.save(bare, tmp_path / "m.etui") == step.export(tmp_path / "n.etui")
    with series[0].open() as found:
        assert found.assets["assets/empty.txt"].read() == b""
    assert series.verify(0).tensors == 0
    zeros = etui.Weights()
    zeros.add("a", Tensor.of(np.zeros((0, 3), np.float32)), role="kernel")
    assert series.save(etui.Model(weights=zeros), 1).identity == etui.save(etui.Model(weights=zeros), {})
    assert len(series.verify()) == 2


@pytest.mark.clause("CS-23@713056")
def test_an_export_may_be_cut_anew(series: Series, tmp_path: Path) -> None:
    """With a size of shards, an export is what a save with that size gives."""
    step = series.save(model(1), 1)
    assert step.export(tmp_path / "m", shard_size=2_000_000) == etui.save(model(1), {}, shard_size=2_000_000)


@pytest.mark.clause("CS-5@c13f5c", "CS-9@ddd8ce")
def test_objects_have_their_digest_as_name_and_sizes_that_suit(series: Series) -> None:
    """Large tensors are objects of their own, small ones lie together in objects of 16 MiB at most."""
    series.save(model(1, small=6000), 1)
    found = stored(series)
    for name in found:
        source = series.store.source(name)
        assert digest.of(source.read(0, source.size)) == name
    for number in range(3):
        assert found[digest.of(random(number, 600, 650).tobytes())] == 600 * 650 * 4
    with series[1].reader() as reader:
        layout = reader.layout("weights.safetensors")
    shared = {
        name for name in layout.objects if name not in {digest.of(random(n, 600, 650).tobytes()) for n in range(3)}
    }
    assert 1 < len(shared) < 6
    assert max(found[name] for name in shared) <= 16 * MIB
    # New small tensors of a part that follow each other are one piece.
    assert len(layout.pieces) < 12


@pytest.mark.clause("CS-10@6be6e2")
def test_only_what_changed_is_written(series: Series) -> None:
    """Frozen tensors, large and small, cost nothing twice, whether the series object is the same or a new one."""
    series.save(model(0, small=400), 0)
    whole = sum(stored(series).values())
    changed = 300 * 1000 * 4 + 40 * 256 * 4
    for seed in range(1, 6):
        before = sum(stored(series).values())
        again = series if seed % 2 else Series(series.location, create=False)
        step = again.save(model(seed, small=400), seed, shard_size=3_000_000 if seed == 4 else None)
        written = sum(stored(series).values()) - before
        assert step.new_bytes == written
        # The documents of a step are written whole.
        assert changed <= written < changed + 150_000
    same_again = series.save(model(5, small=400), 6)
    assert same_again.new_bytes == 0
    assert same_again.identity == series[5].identity
    assert sum(stored(series).values()) < 1.2 * whole + 5 * changed


@pytest.mark.clause("CS-10@6be6e2", "CS-17@13a765")
def test_equal_tensors_of_one_step_are_stored_once(series: Series) -> None:
    """Copies, such as averages of weights that have not moved yet, and slots of zeros, refer to one range."""
    weights = etui.Weights()
    for name in "abcd":
        weights.add(f"{name}/large", Tensor.of(random(1, 600, 500)), role="kernel")
        weights.add(f"{name}/small", Tensor.of(np.zeros(1000, np.float32)), role="bias")
    series.save(etui.Model(weights=weights), 1)
    sizes = sorted(stored(series).values())
    assert sizes[-2:] == [4000, 1_200_000]
    with series[1].reader() as reader:
        layout = reader.layout("weights.safetensors")
        assert len(layout.objects) == 2
        assert layout.size == 4 * 1_204_000
    assert series.verify(1).tensors == 8


@pytest.mark.clause("CS-10@6be6e2")
def test_a_tensor_of_another_artifact_is_not_read_if_it_is_there(series: Series, tmp_path: Path) -> None:
    """A model that was opened elsewhere shares by the digests of its documents, and damage there is not taken."""
    etui.save(model(1), tmp_path / "m", form="directory")
    series.save(model(1), 1)
    with etui.open(tmp_path / "m") as opened:
        assert series.save(opened, 2).new_bytes == 0
    data = bytearray((tmp_path / "m" / "weights.safetensors").read_bytes())
    data[-3] ^= 1
    (tmp_path / "m" / "weights.safetensors").write_bytes(data)
    fresh = Series(tmp_path / "fresh")
    for verify in (True, False):
        with etui.open(tmp_path / "m", verify=verify) as opened:
            assert code_of(fresh.save, opened, 1) == "digest-mismatch"
    assert len(fresh) == 0


@pytest.mark.library
def test_the_face_of_a_series(series: Series) -> None:
    """Steps are found by number, listed in order, and told by their metrics."""
    assert (list(series), len(series), series.latest(), series.best("loss")) == ([], 0, None, None)
    moment = datetime(2026, 11, 27, 20, 14, 24, 125_000, tzinfo=UTC)
    losses = {5: 0.5, 100: 0.25, 20: float("nan"), 30: 0.25}
    for number, loss in losses.items():
        saved = series.save(model(0, frozen=0), number, metrics={"loss": loss}, time=moment)
        assert saved == series[number]
    series.save(model(0, frozen=0), 7)
    assert [step.number for step in series] == [5, 7, 20, 30, 100]
    assert [step.number for step in series.steps()] == [5, 7, 20, 30, 100]
    assert (len(series), 20 in series, 21 in series, "20" in series) == (5, True, False, False)
    assert (series[5].time, series[5].metrics) == ("2026-11-27T20:14:24.125Z", {"loss": 0.5})
    assert [
        step.number if step else None for step in (series.latest(), series.best("loss"), series.best("loss", "max"))
    ] == [
        100,
        30,
        5,
    ]
    assert series.best("accuracy") is None
    assert code_of(series.__getitem__, 6) == "series-step"
    assert code_of(series.remove, 6) == "series-step"
    series.remove(5)
    assert 5 not in series
    assert "run" in repr(series)
    assert "identity" in repr(series[7])


@pytest.mark.clause("CS-25@75c682")
def test_a_step_is_replaced_only_if_that_is_asked_for(series: Series) -> None:
    """A second save of a number is refused before anything is written, and with `replace` the new one is there."""
    first = series.save(model(1), 1)
    before = stored(series)
    with pytest.raises(UsageError) as caught:
        series.save(model(2), 1)
    assert caught.value.code == "series-exists"
    assert stored(series) == before
    second = series.save(model(2), 1, replace=True)
    assert first.identity != second.identity == series[1].identity
    assert series.verify(1).identity == second.identity


@pytest.mark.library
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"step": -1}, "series-number"),
        ({"step": True}, "series-number"),
        ({"step": 1.0}, "series-number"),
        ({"step": np.float64(1)}, "series-number"),
        ({"step": np.array([1, 2])}, "series-number"),
        ({"step": "1"}, "series-number"),
        ({"step": 2**53}, "series-number"),
        ({"step": 1, "metrics": {"loss": "low"}}, "series-metric"),
        ({"step": 1, "metrics": {"loss": None}}, "series-metric"),
        ({"step": 1, "metrics": {"\ud800": 1.0}}, "series-metric"),
        ({"step": 1, "shard_size": 0}, "writer-misuse"),
        ({"step": 1, "model": object()}, "live-model"),
    ],
)
def test_what_cannot_be_saved_changes_nothing(series: Series, arguments: dict[str, Any], code: str) -> None:
    """A wrong call is refused before anything is written."""
    named = {"model": model(1), **arguments}
    assert code_of(series.save, named.pop("model"), **named) == code
    assert (list(series), stored(series)) == ([], {})


@pytest.mark.library
def test_numbers_of_numpy_are_steps_and_metrics(series: Series) -> None:
    """A step and metrics may be what NumPy counts and measures; they come back as numbers of Python."""
    measured: dict[str, Any] = {"a": np.float32(0.5), "b": np.array(3), "c": True, "d": np.int64(-2)}
    saved = series.save(model(1, frozen=0), np.int64(7), metrics=measured)
    assert (type(saved.number), saved, series[np.int32(7)]) == (int, series[7], saved)
    assert series[7].metrics == {"a": 0.5, "b": 3.0, "c": 1.0, "d": -2.0}
    assert {type(value) for value in saved.metrics.values()} == {float}
    assert np.int64(7) in series
    assert series.prune(drop=[np.int64(7)]).dropped == (7,)


@pytest.mark.clause("CS-26@2f96b5")
def test_a_save_that_fails_leaves_the_earlier_steps(series: Series) -> None:
    """A tensor that cannot be had ends the save; the step before it is whole, and the next save goes through."""
    series.save(model(1), 1)

    def fail() -> Any:
        raise RuntimeError("lost the device")

    broken = model(2)
    assert broken.weights is not None
    broken.weights.add("late", Tensor.lazy("float32", (600, 600), fail), role="kernel")
    with pytest.raises(RuntimeError, match="lost the device"):
        series.save(broken, 2)
    assert [step.number for step in series] == [1]
    assert series.verify(1).identity == series[1].identity
    series.save(model(2), 2)
    assert len(series.verify()) == 2


@pytest.mark.clause("H-6@36ca0e")
def test_a_loader_may_use_its_memory_again(series: Series) -> None:
    """Tensors whose callables fill one buffer again and again are stored with the bytes that they had."""
    large, small = np.empty(600_000, np.float32), np.empty(70_000, np.float32)

    def loader(buffer: Any, value: int) -> Any:
        def load() -> Any:
            buffer[:] = value
            return buffer

        return load

    weights = etui.Weights()
    for index in range(6):
        weights.add(f"l{index}", Tensor.lazy("float32", large.shape, loader(large, index)), role="kernel")
        weights.add(f"s{index}", Tensor.lazy("float32", small.shape, loader(small, index)), role="kernel")
    series.save(etui.Model(weights=weights), 1)
    with series[1].open() as found:
        assert found.weights is not None
        assert [float(found.weights[f"{kind}{index}"].numpy()[-1]) for kind in "ls" for index in range(6)] == [
            *range(6),
            *range(6),
        ]
    series.verify(1)


@pytest.mark.library
def test_made_tensors_wait_for_memory(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tensors that are made for the save, no more are alive at once than the bound allows."""
    monkeypatch.setattr(data_objects, "_MADE_BYTES", 4 * MIB)
    shape = (512, 512)
    weights = etui.Weights()
    for seed in range(24):
        load = partial(np.full, shape, seed, np.float32)
        weights.add(f"w{seed}", Tensor.lazy("float32", shape, load, fixed=True), role="kernel")
    held: list[int] = []
    real = data_objects.DataObjects._add_large

    def add(self: Any, place: Any) -> None:
        real(self, place)
        held.append(self._made)

    monkeypatch.setattr(data_objects.DataObjects, "_add_large", add)
    series.save(etui.Model(weights=weights), 1)
    assert len(held) == 24
    assert max(held) <= 4 * MIB


@pytest.mark.library
def test_large_assets_do_not_wait_in_memory_together(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large part that is no data is taken when those before it are stored."""
    waiting: list[int] = []
    real = data_objects.DataObjects.keep

    def keep(self: Any, value: str, size: int, buffers: Any) -> None:
        real(self, value, size, buffers)
        if size >= MIB:
            waiting.append(len(self._groups))

    monkeypatch.setattr(data_objects.DataObjects, "keep", keep)
    assets = {f"assets/{number}.bin": etui.Blob.of(bytes([number]) * MIB) for number in range(6)}
    whole = etui.Model(weights=etui.Weights(), assets=assets)
    assert series.save(whole, 1).identity == etui.save(whole, {})
    assert waiting == [1] * 6


@pytest.mark.library
@pytest.mark.parametrize("mapped", [False, True])
def test_tensors_of_a_store_that_maps_nothing_wait_for_memory(
    series: Series, monkeypatch: pytest.MonkeyPatch, mapped: bool, tmp_path: Path
) -> None:
    """Tensors that take memory when they are read are not all read at once; those of a mapped file need not wait."""
    monkeypatch.setattr(data_objects, "_MADE_BYTES", 4 * MIB)
    weights = etui.Weights()
    for seed in range(12):
        weights.add(f"w{seed}", Tensor.of(np.full((512, 512), seed, np.float32)), role="kernel")
    place: Any = tmp_path / "m" if mapped else "memory://waiting.etui"
    etui.save(etui.Model(weights=weights), place)
    held: list[int] = []
    real = data_objects.DataObjects._add_large

    def add(self: Any, place: Any) -> None:
        real(self, place)
        held.append(self._made)

    monkeypatch.setattr(data_objects.DataObjects, "_add_large", add)
    with etui.open(place, verify=False) as opened:
        series.save(opened, 1)
    assert len(held) == 12
    assert max(held) == 0 if mapped else 0 < max(held) <= 4 * MIB


@pytest.mark.library
def test_progress_reaches_the_end(series: Series) -> None:
    """Progress tells bytes that grow to those of all tensors, also where nothing has to be written."""
    for step in (1, 2):
        told: list[tuple[str, int, int]] = []
        series.save(model(1), step, progress=lambda *told_: told.append(told_))  # noqa: B023
        dones = [done for _, done, _ in told]
        assert dones == sorted(dones)
        assert dones[-1] == told[-1][2] > 5_000_000
        assert {part for part, _, _ in told} == {"weights.safetensors"}


@pytest.mark.clause("CS-10@6be6e2")
def test_what_keeps_much_garbage_alive_is_written_anew(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors that are few in an object of which the rest is no longer used move into a new one, once."""
    monkeypatch.setattr(data_objects, "_WASTE_BYTES", 10_000)

    def saved(step: int) -> list[str]:
        weights = etui.Weights()
        for number in range(40):
            changes = number % 4 != 0
            weights.add(f"v{number}", Tensor.of(random(number + 1000 * step * changes, 1000)), role="gamma")
        series.save(etui.Model(weights=weights), step)
        with series[step].reader() as reader:
            return list(reader.layout("weights.safetensors").objects)

    first, second, third = (saved(step) for step in range(3))
    assert len(first) == 1
    assert first[0] not in second
    assert len(second) == 2
    # What has moved stays where it is.
    assert len(set(third) & set(second)) == 1
    series.remove(0)
    assert series.collect().bytes > 160_000
    assert len(series.verify()) == 2


@pytest.mark.clause("CS-18@80b127")
def test_a_layout_of_very_many_pieces_is_put_together(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every second tensor changes, a layout beyond the limit of pieces becomes one of few."""

    def saved(step: int) -> int:
        weights = etui.Weights()
        for number in range(60):
            weights.add(f"v{number:02}", Tensor.of(random(number + 1000 * step * (number % 2), 10)), role="gamma")
        series.save(etui.Model(weights=weights), step)
        with series[step].reader() as reader:
            return len(reader.layout("weights.safetensors").pieces)

    assert saved(0) == 1
    assert saved(1) == 60
    monkeypatch.setattr(data_objects, "MOST_PIECES", 50)
    monkeypatch.setattr(layouts, "MOST_PIECES", 50)
    assert code_of(series.verify, 1) == "limit-pieces"
    # Nor can the next step refer to what cannot be read.
    assert saved(2) == 1
    assert saved(3) == 1
    assert series.verify(3).tensors == 60


@pytest.mark.clause("CS-26@2f96b5")
def test_a_damaged_step_does_not_stop_the_next_one(series: Series) -> None:
    """After a latest step whose record or documents are damaged, a save goes through and is whole."""
    for number in (1, 2):
        series.save(model(number), number)
    Path(series.location, "steps", "2.json").write_bytes(b"{}")
    again = Series(series.location)
    again.save(model(3), 3)
    assert again.verify(3).identity == again[3].identity
    manifest = digest_path(again, again[3].identity)
    manifest.write_bytes(manifest.read_bytes()[:-1] + b" ")
    again = Series(series.location)
    again.save(model(4), 4)
    assert again.verify(4).identity == again[4].identity


def digest_path(series: Series, name: str) -> Path:
    return Path(series.location, "objects", "sha256", name[7:9], name[9:])


@pytest.mark.clause("CS-26@2f96b5")
def test_an_object_of_the_wrong_size_is_put_in_order(series: Series) -> None:
    """An object that was cut short is not referred to, but written again."""
    series.save(model(1), 1)
    large = digest.of(random(0, 600, 650).tobytes())
    path = digest_path(series, large)
    path.write_bytes(path.read_bytes()[:-4])
    assert code_of(series.verify) == "series-layout"
    Series(series.location).save(model(2), 2)
    assert len(series.verify()) == 2


@pytest.mark.library
def test_a_damaged_object_that_is_removed_is_written_again(series: Series) -> None:
    """Once the file that an error names is gone, a save of what it held makes every step whole that refers to it."""
    series.save(model(1), 1)
    large = digest.of(random(0, 600, 650).tobytes())
    with series[1].reader() as reader:
        small = next(name for name in reader.layout("weights.safetensors").objects if stored(series)[name] < MIB)
    for number, name in enumerate((large, small), 2):
        path = digest_path(series, name)
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(data)
        with pytest.raises(IntegrityError) as caught:
            series.verify()
        assert caught.value.code == "digest-mismatch"
        path.unlink()
        Series(series.location).save(model(1), number)
        assert len(series.verify()) == number


@pytest.mark.clause("CS-28@17325b")
def test_the_last_step_is_referred_to_only_while_it_is_there(series: Series) -> None:
    """What another process removed and collected meanwhile is written again."""
    first = series.save(model(1), 1)
    other = Series(series.location)
    other.remove(1)
    count = len(stored(series))
    assert other.collect().objects == count > 5
    assert stored(series) == {}
    second = series.save(model(1), 2)
    assert second.identity == first.identity
    assert series.verify(2).identity == first.identity


@pytest.mark.clause("CS-32@aa1d41")
def test_every_changed_byte_of_a_series_is_found(tmp_path: Path) -> None:
    """One other bit in any byte of any file of a series is found by the verification of all steps."""
    series = Series(tmp_path / "run")
    weights = etui.Weights()
    weights.add("a", Tensor.of(np.arange(3, dtype=np.float32)), role="kernel")
    weights.add("b", Tensor.of(np.array([False, True])), role="mask")
    series.save(etui.Model(weights=weights), 1, metrics={"loss": 0.5}, time=datetime(2026, 1, 1, tzinfo=UTC))
    files = [path for path in sorted((tmp_path / "run").rglob("*")) if path.is_file() and path.name != "lock"]
    assert len(files) == 7
    count = 0
    for path in files:
        data = path.read_bytes()
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 1 << (at % 8)
            path.write_bytes(changed)
            with pytest.raises(etui.RejectError):
                Series(tmp_path / "run", create=False).verify()
            count += 1
        path.write_bytes(data)
    assert count > 1500
    assert len(Series(tmp_path / "run").verify()) == 1


@pytest.mark.clause("CS-32@aa1d41")
def test_bytes_of_an_object_that_no_tensor_of_the_step_has_are_checked(series: Series) -> None:
    """Where a step refers to a part of an object, the rest of it is checked, too."""
    for step, count in ((1, 8), (2, 7)):
        weights = etui.Weights()
        for number in range(count):
            weights.add(f"v{number}", Tensor.of(random(number, 100)), role="gamma")
        series.save(etui.Model(weights=weights), step)
    series.remove(1)
    with series[2].reader() as reader:
        (name,) = reader.layout("weights.safetensors").objects
    assert stored(series)[name] == 8 * 400
    data = bytearray(digest_path(series, name).read_bytes())
    data[-1] ^= 1
    digest_path(series, name).write_bytes(data)
    with series[2].open() as found:
        assert found.weights is not None
        assert [variable.tensor.numpy(verify=True).size for variable in found.weights.values()] == [100] * 7
    assert code_of(series.verify, 2) == "digest-mismatch"


@pytest.mark.clause("CS-8@042de9", "H-6@36ca0e")
def test_damaged_and_missing_objects_are_told(series: Series, tmp_path: Path) -> None:
    """A step that lacks an object, or has another byte in it, is refused where it is read, exported and verified."""
    step = series.save(model(1), 1)
    large = digest_path(series, digest.of(random(0, 600, 650).tobytes()))
    data = bytearray(large.read_bytes())
    data[7] ^= 1
    large.write_bytes(data)
    with step.open() as found:
        assert found.weights is not None
        kernel = found.weights["frozen0/kernel"]
        with pytest.raises(IntegrityError):
            kernel.numpy()
    (tmp_path / "m.etui").write_bytes(b"")
    for action in (lambda: step.export(tmp_path / "m.etui"), lambda: series.verify(1)):
        assert code_of(action) == "digest-mismatch"
    large.unlink()
    for action in (lambda: step.export(tmp_path / "m.etui"), lambda: series.verify(1)):
        assert code_of(action) == "series-object"
    assert (tmp_path / "m.etui").read_bytes() == b""
    digest_path(series, step.identity).unlink()
    assert code_of(step.open) == "series-object"


@pytest.mark.library
def test_a_reader_goes_on_while_others_save(series: Series) -> None:
    """A model that is open reads its own bytes whatever is saved meanwhile."""
    series.save(model(1), 1)
    with series[1].open() as found:
        series.save(model(2), 2)
        assert found.weights is not None
        np.testing.assert_array_equal(found.weights["head/kernel"].numpy(), random(1001, 300, 1000))


@pytest.mark.clause("CS-30@dd7207")
def test_several_writers_and_collectors_work_at_once(tmp_path: Path) -> None:
    """Threads that save, remove and collect with series objects of their own leave whole steps alone."""
    location = tmp_path / "run"
    Series(location)
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            series = Series(location, create=False)
            for turn in range(5):
                step = 10 * turn + number
                series.save(model(step % 3, frozen=1), step)
                if turn > 1:
                    series.remove(step - 10)
                try:
                    series.collect()
                except etui.StorageError as cause:
                    assert cause.code == "series-busy"  # noqa: PT017
        except BaseException as cause:
            faults.append(cause)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    series = Series(location)
    assert [step.number for step in series] == [0, 1, 2, 3, 40, 41, 42, 43]
    assert len(series.verify()) == 8
    series.collect()
    assert len(series.verify()) == 8


@pytest.mark.library
def test_retention_is_kept_after_each_save(tmp_path: Path) -> None:
    """Steps beyond the rules are gone after a save, with what only they needed; where others work, it is left."""
    series = Series(tmp_path / "run", keep=Retention(last=2, best=("loss", "min", 1)))
    for step in range(6):
        series.save(model(step, frozen=1), step, metrics={"loss": abs(step - 2) + 0.5})
    assert [step.number for step in series] == [2, 4, 5]
    assert series.collect(dry=True).objects == 0
    other = Series(tmp_path / "run")
    with other.store.writing():
        series.save(model(6, frozen=1), 6, metrics={"loss": 9.5})
    assert [step.number for step in series] == [2, 5, 6]
    assert series.collect(dry=True).objects > 0
    series.save(model(7, frozen=1), 7)
    assert series.collect(dry=True).objects == 0
    assert len(series.verify()) == 3


@pytest.mark.clause("CS-29@4361c6")
def test_a_step_that_cannot_be_read_stops_retention_but_not_the_save(tmp_path: Path) -> None:
    """The step is saved, the caller is warned, and nothing is removed."""
    series = Series(tmp_path / "run", keep=Retention(last=1))
    series.save(model(1, frozen=0), 1)
    Path(series.location, "steps", "1.json").write_bytes(b"{}")
    before = stored(series)
    with pytest.warns(UserWarning, match="rules drop were not removed"):
        step = series.save(model(2, frozen=0), 2)
    assert series.verify(2).identity == step.identity
    assert before.keys() <= stored(series).keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert series.prune(Retention(last=1), drop=[1]).dropped == (1,)


@pytest.mark.library
def test_pruning_takes_rules_and_numbers(series: Series) -> None:
    """What no rule keeps and what is named goes; a dry run changes nothing."""
    for step in range(5):
        series.save(model(step, frozen=0), step)
    dry = series.prune(Retention(last=3), drop=[4], dry=True)
    assert (dry.kept, dry.dropped, len(series)) == ((1, 2, 3), (0, 4), 5)
    assert series.prune(drop=[0]).dropped == (0,)
    assert series.prune(Retention(last=1), drop=[4]).kept == (3,)
    assert len(series.verify()) == 1


@pytest.mark.library
def test_a_form_series_cannot_be_asked_of_a_save(tmp_path: Path) -> None:
    """A step is saved by its series; a file or folder has the other forms."""
    assert code_of(etui.save, model(1), tmp_path / "m", form="series") == "writer-misuse"


@pytest.mark.library
def test_a_series_is_no_artifact_and_is_not_replaced_by_one(series: Series) -> None:
    """Opening the folder of a series says that it has no manifest, and a save leaves it alone."""
    series.save(model(1, frozen=0), 1)
    assert code_of(etui.open, series.location) == "manifest-missing"
    assert code_of(etui.save, model(1), series.location) == "target-not-etui"
    assert len(series.verify()) == 1


@pytest.mark.library
def test_readers_refuse_unknown_parts(series: Series) -> None:
    """A step has the parts of its manifest, and no others."""
    series.save(model(1, frozen=0), 1)
    with series[1].reader() as reader:
        assert isinstance(reader, StepReader)
        assert code_of(reader.source, "config.json") == "part-missing"
        assert (reader.form, reader.location) == ("series", f"{series.location}, step 1")


@pytest.mark.library
def test_a_model_of_a_step_can_be_saved_into_its_own_series(series: Series) -> None:
    """What was opened from a step is saved as the next one without a byte of data."""
    series.save(model(1), 1)
    with series[1].open() as found:
        assert series.save(found, 2).new_bytes == 0
        assert found.weights is not None
        found.weights.add("more", Tensor.of(random(5, 10)), role="bias")
        assert 0 < (series.save(found, 3).new_bytes or 0) < 20_000
    assert len(series.verify()) == 3


def keras_model() -> Any:
    import keras

    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])


@pytest.mark.library
@pytest.mark.frameworks
def test_a_live_model_of_keras_is_captured(series: Series, tmp_path: Path) -> None:
    """A live model is saved as `etui.save` saves it, and only what its training changed is written again."""
    live = keras_model()
    live.layers[0].trainable = False
    live.compile("adam", "mse")
    step = series.save(live, 1)
    assert step.identity == etui.save(live, tmp_path / "m.etui")
    live.fit(random(1, 8, 3), random(2, 8, 1), verbose=0)
    series.save(live, 2)
    with series[2].open() as found:
        assert found.optimizer is not None
    assert len(series.verify()) == 2


@pytest.mark.clause("CS-10@6be6e2")
def test_twenty_checkpoints_of_a_frozen_model_take_little_more_than_one(tmp_path: Path) -> None:
    """Of a model of which nine tenths never change, 20 steps take 1.2 x one and 20 x the changed bytes at most."""
    program = Path(__file__).parents[2] / "benchmarks" / "series_cost.py"
    command = [sys.executable, str(program), "--mib=24", "--steps=20", "--json", f"--folder={tmp_path}"]
    environment = os.environ | {"PYTHONPATH": str(Path(etui.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    sizes = found["bytes"]
    assert found["ok"] is True
    assert sizes["one"] > 20 * MIB
    assert 19 * sizes["changed"] < sizes["series"] <= 1.2 * sizes["one"] + 20 * sizes["changed"]
    assert sizes["series"] < 0.25 * sizes["whole"]
