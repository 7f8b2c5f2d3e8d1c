"""Damage of every kind is found: flipped bits, lost ends, exchanged and missing parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etui
from etui.containers.config import Config, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import RejectError
from etui.model import Blob, Model
from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Parts, parts_of, refusal, refused_with
from etui.testing.storage import write


def small() -> Parts:
    """A small artifact with parts of most kinds."""
    weights = Weights()
    weights.add("k", Tensor.of(np.array([1.5, -0.0], np.float32)), role="kernel")
    weights.add("s", Tensor.of(["ä"]), role="table")
    one = Optimizer("a:SGD", {"r": 0.5}, 0.25, 1, 1, groups=[Group(["k"])], slots={"k": {"m": Tensor.of([True])}})
    config = Config(Module("m", op="a:M", params={"k": "k"}))
    return parts_of(
        Model(config, weights, optimizer=OptimizerState({"optimizer": one}), assets={"assets/a": Blob.of(b"asset")})
    )


BASE = small()
IDENTITY = etui.verify(BASE).identity


def packed(folder: Path) -> bytes:
    """The packed form of the small artifact."""
    write(folder / "a.etui", BASE)
    return (folder / "a.etui").read_bytes()


def examine(location: bytes | Parts | Path) -> RejectError:
    """The error of a full verification; it is one of a reader's refusals."""
    failure = refusal(lambda: etui.verify(location))
    assert isinstance(failure, RejectError), failure
    return failure


def flips(data: bytes) -> Iterator[bytes]:
    """The bytes with each single bit of them changed."""
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            yield bytes(changed)


@pytest.mark.clause("H-7@2b485b", "E-2@310409", "E-4@f8514f")
def test_every_flipped_bit_of_a_packed_artifact_is_found(tmp_path: Path) -> None:
    """Full verification refuses the packed form with any single bit of it changed."""
    data = packed(tmp_path)
    codes: Counter[str] = Counter()
    for changed in flips(data):
        codes[examine(changed).code] += 1
    assert codes.total() == 8 * len(data) > 20_000
    assert codes["digest-mismatch"] > 1000


@pytest.mark.clause("H-7@2b485b", "E-2@310409")
def test_every_flipped_bit_of_a_part_is_found() -> None:
    """Full verification refuses any single changed bit of any part but the manifest, as not of its digest."""
    count = 0
    for name, data in BASE.items():
        for changed in flips(data) if name != MANIFEST else ():
            assert examine(BASE | {name: changed}).code == "digest-mismatch"
            count += 1
    assert count > 10_000


@pytest.mark.clause("H-8@5fca10", "E-2@310409")
def test_every_flipped_bit_of_the_manifest_is_refused_or_gives_another_identity() -> None:
    """A changed manifest is refused, or it is that of another artifact: the identity differs."""
    refused, other = 0, 0
    for changed in flips(BASE[MANIFEST]):
        parts = BASE | {MANIFEST: changed}
        if refused_with(lambda parts=parts: etui.verify(parts)) is None:  # type: ignore[misc]
            assert etui.verify(parts).identity != IDENTITY
            other += 1
        else:
            refused += 1
    # Only the media type of the asset is free text.
    assert other < 8 * len("application/octet-stream") < refused


@pytest.mark.clause("Z-11@9cbdd6", "E-2@310409")
def test_every_truncation_of_a_packed_artifact_is_refused(tmp_path: Path) -> None:
    """The packed form without its last bytes, however many, is refused when it is opened, as truncated."""
    data = packed(tmp_path)
    codes = {refused_with(lambda length=length: etui.open(data[:length])) for length in range(len(data))}  # type: ignore[misc]
    assert codes == {"zip-truncated"}


@pytest.mark.clause("F-4@8c1cdb", "E-2@310409")
def test_every_truncation_of_a_part_is_refused() -> None:
    """A file without its last bytes is refused when the artifact is opened."""
    count = 0
    for name, data in BASE.items():
        for length in range(len(data)):
            code = refused_with(lambda n=name, k=length: etui.open(BASE | {n: BASE[n][:k]}))  # type: ignore[misc]
            assert code == "part-size" if name != MANIFEST else code is not None
            count += 1
    assert count > 2_500


@pytest.mark.clause("F-2@9d4da6", "F-3@bbe75c", "P-2@0bdadc")
def test_every_missing_part_is_missed() -> None:
    """Without any one of its parts an artifact is refused when it is opened."""
    for name in BASE:
        parts = {other: data for other, data in BASE.items() if other != name}
        assert refused_with(lambda parts=parts: etui.open(parts)) == (  # type: ignore[misc]
            "manifest-missing" if name == MANIFEST else "part-missing"
        )


@pytest.mark.clause("F-5@162e12")
def test_an_unlisted_part_is_found_by_full_verification_alone() -> None:
    """A part that the manifest does not list does not hinder opening, and is refused by a full verification."""
    parts = BASE | {"assets/b": b"more"}
    with etui.open(parts) as opened:
        assert "assets/b" not in opened.assets
    assert examine(parts).code == "part-unlisted"


@pytest.mark.clause("H-7@2b485b")
def test_parts_of_another_artifact_are_found() -> None:
    """A data part of the same size with other numbers, moved in from another artifact, is found."""
    weights = Weights()
    weights.add("k", Tensor.of(np.array([2.5, 0.0], np.float32)), role="kernel")
    weights.add("s", Tensor.of(["ä"]), role="table")
    other = parts_of(Model(weights=weights))
    assert len(other["weights.safetensors"]) == len(BASE["weights.safetensors"])
    assert examine(BASE | {"weights.safetensors": other["weights.safetensors"]}).code == "digest-mismatch"


@pytest.mark.clause("E-2@310409", "X-1@06793e")
@settings(max_examples=300)
@given(st.data())
def test_any_bytes_are_refused_and_never_crash(data: st.DataObject) -> None:
    """Artifacts with several random changes in any part are refused with a code, or have another identity."""
    parts = dict(BASE)
    for name in data.draw(st.lists(st.sampled_from(sorted(BASE)), min_size=1, max_size=3)):
        content = bytearray(parts[name])
        begin = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(begin, min(begin + 8, len(content))))
        content[begin:end] = data.draw(st.binary(max_size=8))
        parts[name] = bytes(content)
    failure = refusal(lambda: etui.verify(parts))
    if failure is None:
        assert (etui.verify(parts).identity == IDENTITY) == (parts == BASE)
    assert failure is None or isinstance(failure, RejectError)


@pytest.mark.clause("E-2@310409")
@given(st.binary(max_size=300))
def test_any_file_is_refused_and_never_crashes(data: bytes) -> None:
    """Any short file is refused as no artifact."""
    assert examine(data).code in {"zip-truncated", "zip-layout"}
