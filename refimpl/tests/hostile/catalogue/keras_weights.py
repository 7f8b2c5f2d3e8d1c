"""Hostile weights files, indexes of them, and configs of Keras in JSON and YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from catalogue.case import Case, Make, case

CHAPTER = "Keras weights"
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


def beside_a_shard(make: Make) -> Make:
    """A file with a small weights file beside it."""

    def made(folder: Path) -> Path:
        shard(folder)
        return make(folder)

    return made


_SOUND = {"class_name": "Sequential", "config": {"name": "a", "layers": []}, "keras_version": "2.2.4"}
_YAML = "class_name: Sequential\nconfig: {name: a, layers: []}\nkeras_version: 2.2.4\n"
GOOD: dict[str, Make] = {
    "good: an index": index,
    "good: a config": lambda to: put(to / "m.json", json.dumps(_SOUND)),
    "good: a config in YAML": lambda to: put(to / "m.yaml", _YAML),
}

CASES: list[Case] = [
    *(
        case(CHAPTER, "", beside_a_shard(make), code, "KW-2", "KW-3", "KW-20", name=name)
        for name, (code, make) in HOSTILE.items()
    ),
    *(case(CHAPTER, "", make, code, "KW-15", "KW-16", name=name) for name, (code, make) in HOSTILE_YAML.items()),
    *(case(CHAPTER, "", beside_a_shard(make), "", name=name) for name, make in GOOD.items()),
]
