"""The oracle against the reference library: the same content, the same bytes, the same refusals."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import etui
from etui.containers.tensors import Tensor
from etui.testing.artifacts import models
from etui.testing.hostile import Parts, edited, parts_of, put, tampered
from etui.testing.samples import everything
from etui_conformance.oracle import reading
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.manifest import digest
from etui_conformance.oracle.rewriting import rewrite
from etui_conformance.oracle.writing import write

HOSTILE = Path(__file__).parents[2] / "refimpl/tests/hostile"
TABLES = ("canonical", "config", "limit", "manifest", "state", "weights")
DOCUMENTS = {
    "manifest": "manifest.json",
    "config": "config.json",
    "weights": "weights.json",
    "training": "training.json",
    "optimizer": "optimizer.msgpack",
    "state": "state.msgpack",
}
SLOW = settings(
    derandomize=True,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def base() -> Parts:
    """The parts of an artifact that holds everything that an artifact can hold."""
    return parts_of(everything())


def without_chunks() -> etui.Model:
    """The model of everything, with each tensor in one piece."""
    model = everything()
    found = model.weights
    assert found is not None
    found.variables["own/chunked"].tensor = Tensor.of(found.variables["own/chunked"].tensor.numpy())
    return model


def is_cut(parts: Parts) -> bool:
    """Whether a tensor has several chunks, which a rewrite of the reference library keeps."""
    return "chunks" in json.loads(parts["manifest.json"])["requires"]


def fault_tables() -> Iterator[Any]:
    """The faults that the reference library is tested with: code, part and edit of each."""
    for table in TABLES:
        spec = importlib.util.spec_from_file_location(f"faults_of_{table}", HOSTILE / f"test_{table}_faults.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, (_, *row) in module.FAULTS.items():
            yield pytest.param(*row, id=f"{table}: {name}")


@pytest.mark.library
@SLOW
@given(models())
def test_what_the_reference_writes_is_read_and_written_again(model: etui.Model) -> None:
    """The oracle reads every artifact of the reference library and writes the same bytes for its content."""
    parts = parts_of(model)
    content = reading.read(parts, full=True)
    written = write(content)
    if is_cut(parts):
        assert reading.read(written, full=True) == content
    else:
        assert written == parts


@pytest.mark.library
@pytest.mark.parametrize("shard_size", [None, 1, 8, 16, 40, 64, 100, 1000])
def test_shards_are_filled_as_the_reference_fills_them(shard_size: int | None) -> None:
    """With each size of shards, the oracle makes the data parts that the reference library makes."""
    parts = parts_of(without_chunks(), shard_size)
    assert not is_cut(parts)
    assert write(reading.read(parts, full=True), shard_size) == parts


@pytest.mark.library
@pytest.mark.parametrize(("code", "part", "edit"), list(fault_tables()))
def test_each_fault_of_the_reference_is_refused_alike(base: Parts, code: str, part: str, edit: Any) -> None:
    """The oracle refuses each fault that the reference library is tested with, with the same code."""
    parts = tampered(base, part, edit)
    with pytest.raises(Refusal) as caught:
        reading.read(parts, full=True)
    assert caught.value.code == code


@pytest.mark.library
def test_fields_that_no_reader_knows_are_kept_in_a_rewrite() -> None:
    """A rewrite keeps the fields of the manifest and of its entries that begin with x-."""
    parts = parts_of(without_chunks())
    edit = put({"a": [1]}, "x-note")
    marked = edited(edited(parts, "manifest.json", edit), "manifest.json", put(1, "parts", "config.json", "x-part"))
    assert marked != parts
    assert rewrite(marked) == marked


@pytest.mark.library
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_alone_passes_and_is_refused_for_its_own_faults(base: Parts, kind: str) -> None:
    """A document that passes in an artifact passes alone, and one with another format does not."""
    name = DOCUMENTS[kind]
    reading.check_document(kind, base[name])
    wrong = edited(base, name, put("other", "format"))[name]
    with pytest.raises(Refusal) as caught:
        reading.check_document(kind, wrong)
    assert caught.value.code == f"{kind}-form"


@pytest.mark.library
@SLOW
@given(st.data())
def test_each_byte_is_seen_by_full_verification(base: Parts, data: st.DataObject) -> None:
    """Full verification refuses an artifact in which any one byte was changed."""
    name = data.draw(st.sampled_from(sorted(base)))
    place = data.draw(st.integers(0, len(base[name]) - 1))
    changed = bytearray(base[name])
    changed[place] ^= data.draw(st.integers(1, 255))
    if name == "manifest.json":
        # What the manifest's own bytes say is what names the artifact.
        assert digest(bytes(changed)) != reading.identity(base)
        return
    with pytest.raises(Refusal):
        reading.read({**base, name: bytes(changed)}, full=True)


@pytest.mark.library
def test_a_box_holds_the_elements_of_the_tensor_in_it(base: Parts) -> None:
    """A box of a tensor, plain or chunked or of strings, has the elements that lie in it."""
    artifact = reading.Artifact(base)
    model = everything()
    assert model.weights is not None
    for name, box in {
        "own/chunked": [[0, 2], [1, 3]],
        "dense/kernel": [[1, 1], [0, 4]],
        "own/half": [[1, 2], [0, 2]],
    }.items():
        array = model.weights.variables[name].tensor.numpy()[tuple(slice(*ends) for ends in box)]
        assert artifact.tensor("weights", name, box)["data"] == array.tobytes()
    assert artifact.tensor("weights", "own/words", [[1, 3]])["strings"] == [b"Ebene", "ä".encode()]
    assert artifact.tensor("weights", "tied/kernel") == artifact.tensor("weights", "dense/kernel")
