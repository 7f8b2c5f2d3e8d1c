"""Damaged weights files, indexes, and model configs of Keras: refused with a code, or read."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import etui
from etui import conversion

sys.path.insert(0, str(Path(__file__).parent))

from catalogue.keras_weights import index, put, shard

FLIPS = 150


def outcome(path: Path, config: Path | None) -> str:
    """The code of a refusal, or nothing for a sound read; any other exception is the test's failure."""
    try:
        with conversion.read(path, config=config)[0] as model:
            for variable in model.weights.variables.values() if model.weights is not None else ():
                variable.numpy()
    except etui.EtuiError as refusal:
        return refusal.code
    return ""


def damaged(data: bytes, seed: int, step: int) -> Iterator[bytes]:
    """Truncations, and random flips of bits and bytes."""
    yield from (data[:length] for length in range(0, len(data), step))
    chance = random.Random(seed)
    for _ in range(FLIPS):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield bytes(changed)


@pytest.mark.library
@pytest.mark.parametrize("with_config", [False, True])
def test_a_damaged_weights_file_is_refused_or_sound(tmp_path: Path, with_config: bool) -> None:
    """Truncations and flipped bits give an error with a code or a model, and nothing else."""
    layers = [{"class_name": "Dense", "config": {"name": "dense", "units": 3, "batch_input_shape": [None, 2]}}]
    tree = {"class_name": "Sequential", "config": {"name": "a", "layers": layers}, "keras_version": "2.2.4"}
    config = put(tmp_path / "config.json", json.dumps(tree)) if with_config else None
    path = shard(tmp_path)
    data = path.read_bytes()
    assert outcome(path, config) == ""
    found = Counter(outcome(put(path, changed), config) for changed in damaged(data, 1, len(data) // 60))
    assert found.total() >= FLIPS + 60
    assert found["hdf5-syntax"] > 20


@pytest.mark.library
def test_a_damaged_index_is_refused_or_sound(tmp_path: Path) -> None:
    """Every truncation of an index is refused; flipped bits give an error with a code or a model."""
    shard(tmp_path)
    path = index(tmp_path)
    data = path.read_bytes()
    assert outcome(path, None) == ""
    cut = [outcome(put(path, data[:length]), None) for length in range(1, len(data))]
    assert "" not in cut
    assert len(cut) > 100
    found = Counter(outcome(put(path, changed), None) for changed in damaged(data, 2, len(data)))
    assert {"keras-json", "sibling-missing", "weight-map-array"} <= set(found)


@pytest.mark.library
def test_a_damaged_config_is_refused_or_sound(tmp_path: Path) -> None:
    """Every truncation of a model's JSON is refused; flipped bits give an error with a code or a model."""
    layers = [
        {"class_name": "LSTM", "config": {"name": "lstm", "units": 3, "batch_input_shape": [None, 2, 4]}},
        {"class_name": "Dense", "config": {"name": "dense", "units": 3, "kernel_initializer": {"class_name": "Zeros"}}},
    ]
    tree = {"class_name": "Sequential", "config": {"name": "a", "layers": layers}, "keras_version": "2.2.4"}
    path = put(tmp_path / "m.json", json.dumps(tree))
    data = path.read_bytes()
    assert outcome(path, None) == ""
    assert "" not in [outcome(put(path, data[:length]), None) for length in range(1, len(data))]
    found = Counter(outcome(put(path, changed), None) for changed in damaged(data, 3, len(data)))
    assert found["keras-json"] > 10
