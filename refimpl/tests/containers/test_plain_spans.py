"""Digests of many plain tensors checked by columns: the same answer as one tensor after the other gives."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import etui
from etui.containers.plain_spans import Run, Spans
from etui.errors import EtuiError
from etui.storage.safetensors import read_header
from etui.storage.sources import BytesSource
from etui.testing.hostile import put, tampered

DATA = "weights.safetensors"
COUNT = 800


def model(*extra: tuple[str, Any]) -> etui.Model:
    """Many small tensors of several widths, in an order that is not that of their names."""
    names = [f"block_{index}/kernel" for index in range(COUNT)]
    random.Random(1).shuffle(names)
    generator = np.random.default_rng(1)
    weights = etui.Weights()
    for index, name in enumerate(names):
        kind = ("float32", "float64", "int8", "float16")[index % 4]
        weights.add(name, etui.Tensor.of(generator.integers(0, 100, index % 7).astype(kind)), role="kernel")
    for name, values in extra:
        weights.add(name, etui.Tensor.of(values), role="kernel")
    return etui.Model(weights=weights)


def variables() -> dict[str, etui.Variable]:
    """Those of the model."""
    weights = model().weights
    assert weights is not None
    return weights.variables


def saved(*extra: tuple[str, Any], **options: Any) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    etui.save(model(*extra), parts, **options)
    return parts


def damaged(parts: dict[str, bytes], *names: str) -> dict[str, bytes]:
    """The parts with the first byte of some tensors changed."""
    data = bytearray(parts[DATA])
    header = read_header(BytesSource(parts[DATA]), DATA)
    for name in names:
        data[header.size + header.entries[name].begin] ^= 1
    return {**parts, DATA: bytes(data)}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """The number of tensors of each run that is checked by columns, and the answer."""
    seen: list[tuple[int, bool]] = []
    own = Spans.hold

    def hold(spans: Spans, run: Run) -> bool:
        answer = own(spans, run)
        seen.append((run.stop - run.start, answer))
        return answer

    monkeypatch.setattr(Spans, "hold", hold)
    return seen


@pytest.mark.clause("H-7@2b485b")
@pytest.mark.parametrize("job", [1, 300, 2**22])
def test_every_tensor_is_in_one_run(runs: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch, job: int) -> None:
    """A sound artifact is verified without a look at one variable, whatever the size of the runs, and counted."""
    monkeypatch.setattr("etui.verification.JOB_BYTES", job)
    calls: list[tuple[str, int, int]] = []
    parts = saved()
    found = etui.verify(parts, progress=lambda name, done, total: calls.append((name, done, total)))
    nbytes = sum(variable.tensor.nbytes for variable in variables().values())
    assert found.tensors == COUNT == sum(count for count, _ in runs)
    assert all(answer for _, answer in runs)
    assert (len(runs) > 1) == (job < 2**22)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert calls[-1][1:] == (nbytes, nbytes)


@pytest.mark.clause("H-7@2b485b")
def test_damage_is_that_of_the_first_damaged_tensor(runs: list[tuple[int, bool]]) -> None:
    """Of changed tensors, the first in the model's order is named, as where each is checked for itself."""
    parts = saved()
    order = [name for name, variable in variables().items() if variable.tensor.nbytes]
    assert sorted(order) != order
    for names in ([order[0]], [order[-1]], [order[200], order[7], order[90]]):
        with pytest.raises(etui.IntegrityError) as caught:
            etui.verify(damaged(parts, *names))
        assert caught.value.code == "digest-mismatch"
        assert repr(min(names, key=order.index)) in caught.value.where
    assert len(runs) >= 3
    assert not any(answer for _, answer in runs)


@pytest.mark.library
@pytest.mark.parametrize(
    ("extra", "options"),
    [
        ((("flags", np.array([True, False])),), {}),
        ((), {"shard_size": 2000}),
        ((("\U0001f600", np.zeros(2)),), {}),
        ((("words", np.array(["a", "b"])),), {}),
    ],
    ids=["bools", "shards", "beyond the BMP", "an encoding"],
)
def test_what_is_no_column_is_checked_one_by_one(
    runs: list[tuple[int, bool]], extra: tuple[tuple[str, Any], ...], options: dict[str, Any]
) -> None:
    """Where bytes have rules of their own, or lie in several parts, every tensor is checked for itself."""
    parts = saved(*extra, **options)
    assert etui.verify(parts).tensors >= COUNT + len(extra)
    assert runs == []
    part = min(name for name in parts if name.endswith(".safetensors"))
    with pytest.raises(EtuiError) as caught:
        etui.verify({**parts, part: parts[part][:-1] + bytes([parts[part][-1] ^ 1])})
    assert caught.value.code in {"digest-mismatch", "bool-value"}


@pytest.mark.clause("W-4@4bb116")
def test_a_header_that_says_something_else_is_no_column(runs: list[tuple[int, bool]]) -> None:
    """Where the document and the header of the data part differ in a dtype, the variable is named."""
    name = next(name for name, variable in variables().items() if variable.dtype == "float32")
    other = tampered(saved(), "weights.json", put("int32", "variables", name, "dtype"))
    with pytest.raises(EtuiError) as caught:
        etui.verify(other)
    assert caught.value.code == "chunk-mismatch"
    assert repr(name) in caught.value.where
    assert runs == []


@pytest.mark.library
def test_columns_are_gone_when_variables_were_made() -> None:
    """Spans are of what the document says: variables that the caller may have changed have none."""
    with etui.open(saved()) as opened:
        weights = opened.weights
        assert weights is not None
        spans = weights.spans()
        assert spans is not None
        assert spans.names == sorted(variables())
        assert len(list(weights.variables)) == COUNT
        assert weights.spans() is None
