"""Hostile weights files, indexes, and model configs of Keras: refused with a code, in little time and memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import etui
from etui import conversion

SPARE_BYTES = 256 * 2**20
SECONDS = 2.0
FLIPS = 150
SHARD = "x_00000.weights.h5"


def put(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def shard(folder: Path, name: str = SHARD) -> Path:
    """A small weights file."""
    with h5py.File(folder / name, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.arange(6, dtype="float32").reshape(2, 3))
        file.create_dataset("optimizer/vars/0", data=np.int64(1))
        file["layers/dense/vars"].attrs["name"] = "dense"
    return folder / name


def index(folder: Path, weight_map: Any = None) -> Path:
    """An index of it, or of what is given."""
    listed = {"/layers/dense/vars": SHARD, "/optimizer/vars": SHARD} if weight_map is None else weight_map
    return put(folder / "x.weights.json", json.dumps({"metadata": {"total_size": 32.0}, "weight_map": listed}))


def model_json(config: str = "{}") -> str:
    return '{"class_name": "A", "module": "keras", "config": ' + config + "}"


def unstored(folder: Path) -> Path:
    with h5py.File(folder / SHARD, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(2**20, 2**20), dtype="float32", chunks=(1024, 1024))
    return index(folder, {"/layers/dense/vars": SHARD})


def linked_out(folder: Path) -> Path:
    shard(folder, "other.h5")
    with h5py.File(folder / SHARD, "w") as file:
        file.create_group("layers/dense/vars")["0"] = h5py.ExternalLink("other.h5", "/layers/dense/vars/0")
    return index(folder, {"/layers/dense/vars": SHARD})


def bomb(levels: int = 30, width: int = 10) -> str:
    lines = ["class_name: A", "config:", "  a0: &a0 [1]"]
    lines += [f"  a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * width)}]" for at in range(1, levels)]
    return "\n".join(lines)


def yaml_list(size: int) -> str:
    return "class_name: A\nconfig:\n  a: [" + "1," * size + "1]\n"


Make = Callable[[Path], Path]
HOSTILE: dict[str, tuple[str, Make]] = {
    "a shard with nothing stored": ("limit-foreign", unstored),
    "a shard that links out": ("hdf5-link", linked_out),
    "an index of itself": ("hdf5-syntax", lambda to: index(to, {"/a/vars": "x.weights.json"})),
    "many groups": ("limit-document", lambda to: index(to, {f"/g{at}/vars": SHARD for at in range(600_000)})),
    "many files": ("limit-document", lambda to: index(to, {"/a/vars": [f"{at}" for at in range(600_000)]})),
    "many files that are not there": (
        "sibling-missing",
        lambda to: index(to, {"/a/vars": [f"{at}.h5" for at in range(200_000)]}),
    ),
    "a long name": ("sibling-name", lambda to: index(to, {"/a/vars": "a" * 10_000_000})),
    "a deep index": ("keras-json", lambda to: put(to / "x.weights.json", '{"weight_map": ' + '{"a":' * 200_000)),
    "a long number in an index": (
        "keras-json",
        lambda to: put(
            to / "x.weights.json", '{"metadata": {"total_size": ' + "9" * 5_000_000 + '}, "weight_map": {}}'
        ),
    ),
    "many values": ("limit-document", lambda to: put(to / "m.json", model_json("[" + "[]," * 5_000_000 + "[]]"))),
    "a deep config": ("keras-json", lambda to: put(to / "m.json", model_json("[" * 100_000 + "]" * 100_000))),
    "a long number": ("keras-json", lambda to: put(to / "m.json", model_json("9" * 5_000_000))),
    "a key twice": ("keras-json", lambda to: put(to / "m.json", model_json('{"a": 1, "a": 2}'))),
}


HOSTILE_YAML: dict[str, tuple[str, Make]] = {
    "an object in YAML": (
        "keras-yaml-tag",
        lambda to: put(to / "m.yaml", "class_name: A\nconfig: !!python/name:os.x ''"),
    ),
    "aliases of aliases": ("limit-document", lambda to: put(to / "m.yaml", bomb())),
    "many values of YAML": ("limit-document", lambda to: put(to / "m.yaml", yaml_list(900_000))),
    "long YAML": ("limit-document", lambda to: put(to / "m.yaml", yaml_list(2_200_000))),
}


def refused_in_bounds(cases: dict[str, tuple[str, Make]], folder: Path, sound: list[Path]) -> None:
    """Read the sound files and then the hostile ones in a process of little memory."""
    paths = []
    for at, (_, make) in enumerate(cases.values()):
        place = folder / str(at)
        place.mkdir()
        shard(place)
        paths.append(str(make(place)))
    script = Path(__file__).with_name("bounded_bridge.py")
    done = subprocess.run(
        [sys.executable, str(script), str(SPARE_BYTES), *map(str, sound), *paths],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    begin = len(sound) - 1
    assert [code for code, _ in results[:begin]] == [None] * begin
    codes = dict(zip(cases, [code for code, _ in results[begin:]], strict=True))
    assert codes == {name: code for name, (code, _) in cases.items()}
    assert len(cases) >= 4
    assert max(seconds for _, seconds in results) < SECONDS


@pytest.fixture
def sound(tmp_path: Path) -> list[Path]:
    """A sound index and a sound model JSON."""
    folder = tmp_path / "sound"
    folder.mkdir()
    shard(folder)
    tree = {"class_name": "Sequential", "config": {"name": "a", "layers": []}, "keras_version": "2.2.4"}
    return [index(folder), put(folder / "m.json", json.dumps(tree))]


@pytest.mark.clause("KW-2@acd35d", "KW-3@2ac52b", "KW-20@bdc7cd")
def test_hostile_files_are_refused_in_bounds(tmp_path: Path, sound: list[Path]) -> None:
    """Each weights file, index and config is refused with its code within 2 seconds and 256 MiB."""
    refused_in_bounds(HOSTILE, tmp_path, sound)


@pytest.mark.clause("KW-15@c76256", "KW-16@e6c8c3")
def test_hostile_yaml_is_refused_in_bounds(tmp_path: Path, sound: list[Path]) -> None:
    """Each YAML document is refused with its code within 2 seconds and 256 MiB."""
    pytest.importorskip("yaml")
    text = "class_name: Sequential\nconfig: {name: a, layers: []}\nkeras_version: 2.2.4\n"
    refused_in_bounds(HOSTILE_YAML, tmp_path, [*sound, put(tmp_path / "sound.yaml", text)])


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
