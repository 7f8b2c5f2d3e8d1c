"""What a page holds: documents byte for byte, statistics of every tensor, and differences."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import etui
from etui import checkpoints, digest, schemas
from etui.storage import open_artifact
from etui.testing import artifacts
from etui.testing.samples import everything
from etui.viewing import payload as payloads
from etui.viewing.payload import named_tensors, payload
from etui.viewing.subjects import as_opened, subject

pytestmark = pytest.mark.library


def shown(*sources: Any, data: bool = True) -> dict[str, Any]:
    """The payload of models, which its schema accepts."""
    if len(sources) == 1:
        with subject(sources[0]) as one:
            found: dict[str, Any] = payload([one], data=data)
    else:
        with subject(sources[0]) as one, subject(sources[1]) as two:
            found = payload([one, two], data=data)
    text = json.dumps(found, allow_nan=False)
    assert schemas.validate("view", json.loads(text), "payload") == []
    return found


def parts(artifact: dict[str, Any]) -> dict[str, bytes]:
    return {name: base64.b64decode(content) for name, content in artifact["parts"].items()}


@pytest.mark.parametrize("form", ["packed", "directory"])
def test_the_documents_are_those_that_are_stored(tmp_path: Path, form: Any) -> None:
    """A page holds the manifest and each document of an artifact byte for byte, and no other part."""
    place = tmp_path / "model.etui"
    identity = etui.save(everything(), place, form=form, shard_size=100)
    (artifact,) = shown(place)["artifacts"]
    with open_artifact(place) as reader:
        stored = {name: reader.source(name).read(0, size) for name, size in reader.names().items()}
    documents = {name for name in stored if "/" not in name and not name.endswith(".safetensors")}
    assert len(documents) == 6
    assert parts(artifact) == {name: stored[name] for name in documents}
    assert (artifact["identity"], artifact["form"], artifact["name"]) == (identity, form, "model.etui")
    assert (artifact["source_format"], artifact["report"]) == (None, None)


def test_a_model_in_memory_is_shown_as_it_would_be_saved(tmp_path: Path) -> None:
    """The documents of a model that no file holds are those that saving it writes."""
    identity = etui.save(everything(), tmp_path / "model.etui")
    (artifact,) = shown(everything())["artifacts"]
    assert (artifact["identity"], artifact["form"]) == (identity, None)
    assert digest.of(parts(artifact)["manifest.json"]) == identity


@given(artifacts.models())
@settings(max_examples=20, deadline=None)
def test_any_model_can_be_shown(model: etui.Model) -> None:
    """The page of any model has its documents, and statistics under one name for each tensor."""
    stored: dict[str, bytes] = {}
    identity = etui.save(model, stored)
    (artifact,) = shown(model)["artifacts"]
    assert artifact["identity"] == identity
    assert parts(artifact) == {name: stored[name] for name in parts(artifact)}
    names = [(one.table, one.name) for one in named_tensors(model)]
    tables = artifact["statistics"]
    assert sorted(names) == sorted((table, name) for table in tables for name in tables[table])
    assert len(names) == sum(1 for _ in model.stored_tensors())


def test_an_opened_model_keeps_its_identity_until_it_is_changed(sample: Path) -> None:
    """A model from `etui.open` is shown as it is stored; one that was changed since, as it would be saved."""
    with etui.open(sample) as model:
        assert as_opened(model) is not None
        assert shown(model)["artifacts"][0]["identity"] == model.digest
        model.weights.add("new/bias", etui.Tensor.of(np.zeros(2)), role="bias")  # type: ignore[union-attr]
        assert as_opened(model) is None
        changed = shown(model)["artifacts"][0]
        assert changed["identity"] != model.digest
        assert b"new/bias" in parts(changed)["weights.json"]


@pytest.mark.parametrize("change", ["manifest", "document", "added"])
def test_every_change_of_an_opened_model_is_seen(sample: Path, change: str) -> None:
    """Metadata, a document, or one more document: none is taken for what is stored."""
    with etui.open(sample) as model:
        assert model.manifest is not None
        if change == "manifest":
            model.manifest.metadata["new"] = 1
        elif change == "document":
            model.training = None
        else:
            assert model.config is not None
            model.config.model.attrs["new"] = 1
        assert as_opened(model) is None


def test_other_formats_are_converted_on_the_way(demo: Callable[[str], Path], tmp_path: Path) -> None:
    """A `.keras` file is shown as the etui that a conversion makes of it, with the same report but for the target."""
    report = etui.convert(demo("words.keras"), tmp_path / "words.etui")
    (artifact,) = shown(demo("words.keras"))["artifacts"]
    with etui.open(tmp_path / "words.etui") as model:
        assert artifact["identity"] == model.digest
    assert (artifact["source_format"], artifact["form"]) == ("keras", None)
    assert artifact["report"]["counts"] == report.counts()
    assert artifact["report"]["target"] == "a page"


def test_a_step_of_a_series_is_shown(tmp_path: Path) -> None:
    """A checkpoint of a series is an artifact like others."""
    series = checkpoints.Series(tmp_path / "run")
    step = series.save(everything(), 3)
    (artifact,) = shown(step)["artifacts"]
    assert (artifact["identity"], artifact["name"], artifact["form"]) == (step.identity, "step 3", "series")


def test_slots_have_the_names_of_their_variables() -> None:
    """Statistics of slots are found by optimizer, variable and slot, others by their own name."""
    model = everything()
    tables = shown(model)["artifacts"][0]["statistics"]
    assert model.optimizer is not None
    expected = {
        f"{place}/{path}/{slot}"
        for place, optimizer in model.optimizer.walk()
        for path, slots in optimizer.slots.items()
        for slot in slots
    }
    assert expected
    assert expected <= tables["optimizer"].keys()
    assert tables["state"]


def test_without_data_no_tensor_is_read(tmp_path: Path) -> None:
    """A page without data has no statistics and no differences, and a damaged tensor does not matter to it."""
    etui.save(everything(), tmp_path / "model", form="directory")
    data = tmp_path / "model" / "weights.safetensors"
    content = data.read_bytes()
    data.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = shown(tmp_path / "model", tmp_path / "model", data=False)
    assert [artifact["statistics"] for artifact in found["artifacts"]] == [None, None]
    assert "differences" not in found
    with pytest.raises(etui.IntegrityError, match="digest-mismatch"):
        shown(tmp_path / "model")


def test_elements_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors bring their elements until a page has as many bytes as it may."""
    monkeypatch.setattr(payloads, "ALL_VALUES_BYTES", 20)
    model = etui.Model(weights=etui.Weights())
    for number in range(4):
        model.weights.add(f"w{number}", etui.Tensor.of(np.zeros(2)), role="kernel")  # type: ignore[union-attr]
    table = shown(model)["artifacts"][0]["statistics"]["weights"]
    assert [entry["values"] is not None for entry in table.values()] == [True, False, False, False]


def test_differences_are_of_what_both_have() -> None:
    """Tensors of both models that differ are measured; equal ones, others, and those of other shapes are left out."""
    one, two = everything(), everything()
    for model in (one, two):
        assert model.weights is not None
        model.weights.add("both/other", etui.Tensor.of(np.zeros(2 if model is one else 3)), role="bias")
    assert two.weights is not None
    assert two.optimizer is not None
    kernel = np.array(two.weights["dense/bias"].numpy())
    kernel[1] += 0.5
    two.weights.variables["dense/bias"].tensor = etui.Tensor.of(kernel)
    place, optimizer = next((place, found) for place, found in two.optimizer.walk() if found.slots)
    path, slots = next(iter(optimizer.slots.items()))
    name, slot = next(iter(slots.items()))
    slots[name] = etui.Tensor.of(slot.numpy() + np.float32(1))
    found = shown(one, two)["differences"]
    assert {path: entry["changed"] for path, entry in found["weights"].items()} == {"dense/bias": 1}
    assert found["weights"]["dense/bias"]["max_abs"] == 0.5
    assert list(found["optimizer"]) == [f"{place}/{path}/{name}"]


def test_progress_goes_on_within_a_tensor(tmp_path: Path) -> None:
    """The callback is called for each tensor, and often within a large one; it never goes back, and ends at the end."""
    for name, value in (("one", 0.0), ("two", 1.0)):
        model = etui.Model(weights=etui.Weights())
        model.weights.add("large", etui.Tensor.of(np.full(1_000_000, value)), role="kernel")  # type: ignore[union-attr]
        model.weights.add("small", etui.Tensor.of(["a"]), role="bias")  # type: ignore[union-attr]
        etui.save(model, tmp_path / f"{name}.etui")
    seen: list[tuple[str, int, int]] = []
    with subject(tmp_path / "one.etui") as one, subject(tmp_path / "two.etui") as two:
        payload([one, two], progress=lambda *call: seen.append(call))
    # Three rounds: the statistics of each, and what differs.
    rounds: list[list[tuple[str, int, int]]] = [[]]
    for call in seen:
        if rounds[-1] and call[1] < rounds[-1][-1][1]:
            rounds.append([])
        rounds[-1].append(call)
    assert [calls[-1][0] for calls in rounds] == ["small", "small", "large"]
    for calls in rounds:
        assert calls[-1][1] == calls[-1][2] > 8_000_000 - 1
        assert sum(name == "large" for name, _, _ in calls) > 5


@pytest.mark.parametrize("thing", [None, 5, object(), [1]])
def test_what_is_no_model_is_told(thing: Any) -> None:
    """Something that cannot be looked at is refused with what can."""
    with pytest.raises(etui.UsageError, match="view-subject"), subject(thing):
        pass
    with pytest.raises(etui.UsageError, match="view-subject"):
        etui.view(thing, browser=False)


@pytest.mark.frameworks
def test_a_live_keras_model_is_shown(tmp_path: Path) -> None:
    """A model of Keras in memory is shown as it would be saved, with the account of the capture."""
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="head")], name="live")
    identity = etui.keras.save(model, tmp_path / "live.etui")
    (artifact,) = shown(model)["artifacts"]
    assert (artifact["identity"], artifact["name"]) == (identity, "live")
    assert artifact["report"]["ok"]
