"""Reading an artifact: lazily, and never what does not have its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import digest
from etui.canonical import json
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model
from etui.storage import packed
from etui.storage.part_names import MANIFEST
from etui.storage.sources import FileSource
from etui.testing.hostile import edited, parts_of, put, refusal, refused_with
from etui.testing.samples import CURRENT, PROGRAM, VOCABULARY, everything

BASE = parts_of(everything())


def weights_of(**arrays: Any) -> Weights:
    """Variables by their paths."""
    weights = Weights()
    for path, array in arrays.items():
        weights.add(path, Tensor.of(array), role="kernel")
    return weights


@pytest.mark.clause("H-1@34f64c", "H-2@32a072", "H-4@95fcbc")
def test_every_digest_is_sha256_of_what_it_names() -> None:
    """The digests that the manifest gives of documents, other parts and headers are those of hashlib's SHA-256."""
    entries = json.decode(BASE[MANIFEST], where=MANIFEST)["parts"]
    assert entries.keys() == BASE.keys() - {MANIFEST}
    for name, entry in entries.items():
        covered = BASE[name] if entry["role"] != "data" else BASE[name][: entry["header"]["size"]]
        expected = "sha256:" + hashlib.sha256(covered).hexdigest()
        assert (entry["header"] if entry["role"] == "data" else entry)["digest"] == expected
        assert entry["size"] == len(BASE[name])


@pytest.mark.clause("H-5@fc43fc")
@pytest.mark.parametrize("name", ["config.json", "weights.json", "training.json", "optimizer.msgpack", "state.msgpack"])
def test_a_changed_document_is_refused_before_it_is_used(name: str) -> None:
    """A document whose digest does not fit is refused when the artifact is opened, before it is decoded."""
    parts = BASE | {name: b"\xff" * len(BASE[name])}
    assert refused_with(lambda: etui.open(parts)) == "digest-mismatch"


@pytest.mark.clause("H-6@36ca0e", "S-10@51591c")
def test_a_changed_tensor_is_refused_when_it_is_first_read() -> None:
    """A changed tensor is refused when it is read, unless checks are turned off, and again where they are asked for."""
    data = bytearray(BASE["weights.safetensors"])
    data[-1] ^= 1
    parts = BASE | {"weights.safetensors": bytes(data)}
    with etui.open(parts) as opened:
        assert opened.weights is not None
        faults = [refusal(variable.numpy) for variable in opened.weights.variables.values()]
        assert [fault.code for fault in faults if fault is not None] == ["digest-mismatch"]
        assert "weights.safetensors" in next(fault.where for fault in faults if fault is not None)
    with etui.open(parts, verify=False) as opened:
        assert opened.weights is not None
        assert [refused_with(variable.numpy) for variable in opened.weights.variables.values()].count(None) >= 13
        faults = [refusal(lambda v=v: v.tensor.numpy(verify=True)) for v in opened.weights.variables.values()]  # type: ignore[misc]
        assert [fault.code for fault in faults if fault is not None] == ["digest-mismatch"]


@pytest.mark.clause("H-6@36ca0e", "F-8@a401d8")
def test_damage_is_not_written_again(tmp_path: Path) -> None:
    """An artifact with a changed tensor is not saved under a new digest, even when it was opened without checks."""
    data = bytearray(BASE["weights.safetensors"])
    data[-1] ^= 1
    etui.save(everything(), tmp_path / "a.etui")
    before = (tmp_path / "a.etui").read_bytes()
    with etui.open(BASE | {"weights.safetensors": bytes(data)}, verify=False) as opened:
        assert refused_with(lambda: etui.save(opened, tmp_path / "a.etui")) == "digest-mismatch"
    assert (tmp_path / "a.etui").read_bytes() == before


@pytest.mark.clause("H-6@36ca0e")
def test_a_changed_header_is_refused_before_it_is_decoded() -> None:
    """A header that does not have its digest is refused as such, whatever stands in it."""
    for change in (b"\xff" * 8 + BASE["weights.safetensors"][8:], b"{" * len(BASE["weights.safetensors"])):
        with etui.open(BASE | {"weights.safetensors": change}) as opened:
            assert opened.weights is not None
            assert refused_with(opened.weights["dense/kernel"].numpy) == "digest-mismatch"


@pytest.mark.clause("H-6@36ca0e", "A-1@163cb5", "G-1@b814a3", "N-1@bcd909")
@pytest.mark.parametrize("name", [VOCABULARY, PROGRAM, CURRENT])
def test_a_changed_part_of_another_role_is_refused_when_it_is_read(name: str) -> None:
    """Assets, programs and native documents are checked when they are read, and come back as they were."""
    with etui.open(BASE) as opened:
        blob = {**opened.assets, **opened.programs, **{key: native.blob for key, native in opened.native.items()}}[name]
        assert blob.read() == BASE[name]
    changed = bytes([BASE[name][0] ^ 1]) + BASE[name][1:]
    with etui.open(BASE | {name: changed}) as opened:
        blob = {**opened.assets, **opened.programs, **{key: native.blob for key, native in opened.native.items()}}[name]
        fault = refusal(blob.read)
        assert fault is not None
        assert (fault.code, fault.where) == ("digest-mismatch", name)


@pytest.mark.clause("S-9@aace1b", "S-8@822e27")
def test_a_data_part_that_nothing_names_is_refused_at_once() -> None:
    """A data part whose tensors no document names is refused when the artifact is opened."""
    parts = parts_of(Model(weights=weights_of(kernel=np.zeros(3))))
    other = parts_of(Model(weights=Weights()))
    entry = json.decode(parts[MANIFEST], where=MANIFEST)["parts"]["weights.safetensors"]
    listed = edited(other, MANIFEST, put(entry, "parts", "weights.safetensors"))
    mixed = listed | {"weights.safetensors": parts["weights.safetensors"]}
    assert refused_with(lambda: etui.open(mixed)) == "tensor-unreferenced"


@pytest.mark.clause("S-8@822e27")
def test_a_data_part_without_tensors_is_refused_at_once() -> None:
    """A data part that holds no tensor is refused when the artifact is opened, though nothing can name one in it."""
    empty = (56).to_bytes(8, "little") + b"{}".ljust(56)
    header = {"digest": digest.of(empty), "size": 64}
    entry = {"header": header, "media_type": "application/vnd.safetensors", "role": "data", "size": 64}
    parts = edited(parts_of(Model(weights=Weights())), MANIFEST, put(entry, "parts", "weights.safetensors"))
    assert refused_with(lambda: etui.open(parts | {"weights.safetensors": empty})) == "safetensors-header"


class Watched:
    """A byte source that notes what is asked of it."""

    def __init__(self, source: FileSource, seen: list[tuple[int, int]]) -> None:
        self._source, self._seen = source, seen
        self.size = source.size

    def read(self, offset: int, length: int) -> bytes:
        self._seen.append((offset, length))
        return self._source.read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        self._seen.append((offset, length))
        return self._source.view(offset, length)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges that are read of a packed artifact, while the test runs."""
    seen: list[tuple[int, int]] = []
    plain = packed.PackedReader

    def watched(source: FileSource, *args: Any, **options: Any) -> packed.PackedReader:
        return plain(Watched(source, seen), *args, **options)

    monkeypatch.setattr("etui.storage.PackedReader", watched)
    return seen


@pytest.mark.clause("S-10@51591c", "Z-12@b531e7")
def test_opening_reads_no_data_and_a_tensor_only_its_own(reads: list[tuple[int, int]], tmp_path: Path) -> None:
    """Opening a large artifact reads its documents; one tensor, the header and its own bytes; a box, its chunks."""
    weights = weights_of(a=np.zeros(10**6, np.uint8), b=np.ones(10**6, np.uint8))
    halves = [((0,), np.zeros(5 * 10**5, np.uint8)), ((5 * 10**5,), np.ones(5 * 10**5, np.uint8))]
    weights.add("c", Tensor.chunked("uint8", (10**6,), halves), role="kernel")
    etui.save(Model(weights=weights), tmp_path / "a.etui")
    with etui.open(tmp_path / "a.etui") as opened:
        assert opened.weights is not None
        assert sum(length for _, length in reads) < 20_000
        reads.clear()
        assert opened.weights["b"].numpy().all()
        assert sum(length for _, length in reads) < 10**6 + 10_000
        reads.clear()
        assert opened.weights["c"].tensor.read([slice(0, 10)]).tolist() == [0] * 10
        assert sum(length for _, length in reads) < 5 * 10**5 + 10_000
        assert any(length == 5 * 10**5 for _, length in reads)


@pytest.mark.library
def test_arrays_are_mapped_read_only_and_outlive_the_artifact(tmp_path: Path) -> None:
    """A plain tensor is handed out without a copy, cannot be written to, and stays valid after `close`."""
    etui.save(Model(weights=weights_of(a=np.arange(8.0), b=np.arange(4.0))), f"{tmp_path}/folder/")
    with etui.open(tmp_path / "folder") as opened:
        assert opened.weights is not None
        first, second = opened.weights["a"].numpy(), opened.weights["a"].numpy()
        assert np.shares_memory(first, second)
        assert first.ctypes.data % first.itemsize == 0
        assert not first.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 1
        other = opened.weights["b"]
    assert first.tolist() == list(range(8))
    fault = refusal(other.numpy)
    assert fault is None or fault.code == "storage-failed"


@pytest.mark.clause("F-8@a401d8")
def test_an_artifact_is_saved_over_itself(tmp_path: Path) -> None:
    """A model that was opened lazily can be changed and saved at the place that it is read from, in either form."""
    for target in (tmp_path / "a.etui", tmp_path / "b"):
        etui.save(
            Model(weights=weights_of(a=np.arange(4.0), b=np.ones(2))),
            target,
            form=None if target.suffix else "directory",
        )
        with etui.open(target) as opened:
            assert opened.weights is not None
            opened.weights.variables["b"].tensor = Tensor.of(np.zeros(2))
            etui.save(opened, target)
        with etui.open(target) as again:
            assert again.weights is not None
            assert again.weights["a"].numpy().tolist() == [0, 1, 2, 3]
            assert again.weights["b"].numpy().tolist() == [0, 0]
