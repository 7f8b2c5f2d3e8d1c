"""Small TensorFlow.js models made by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etui import bridges
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report

Json = Any


class Kit:
    """Makes and reads models of TensorFlow.js in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    @staticmethod
    def weight(name: str, array: Any, **fields: Json) -> tuple[dict[str, Json], bytes]:
        """An entry of a manifest, and the bytes of its weight."""
        found = np.asarray(array)
        return {"name": name, "shape": list(found.shape), "dtype": found.dtype.name, **fields}, found.tobytes()

    @staticmethod
    def dense_topology() -> dict[str, Json]:
        """A Dense layer `first` of 4 to 3 and a Dense layer `second` of 3 to 2, as Keras 2.3 wrote them."""
        first = {"name": "first", "trainable": True, "batch_input_shape": [None, 4], "dtype": "float32", "units": 3}
        second = {"name": "second", "trainable": True, "dtype": "float32", "units": 2}
        return {
            "keras_version": "2.3.1",
            "backend": "tensorflow",
            "model_config": {
                "class_name": "Sequential",
                "config": {
                    "name": "chain",
                    "layers": [
                        {"class_name": "Dense", "config": first | {"activation": "relu", "use_bias": True}},
                        {"class_name": "Dense", "config": second | {"activation": "linear", "use_bias": True}},
                    ],
                },
            },
        }

    def dense_weights(self) -> list[tuple[dict[str, Json], bytes]]:
        """The weights of `dense_topology`."""
        rng = np.random.default_rng(0)
        shapes = {"first/kernel": (4, 3), "first/bias": (3,), "second/kernel": (3, 2), "second/bias": (2,)}
        return [self.weight(name, rng.normal(size=shape).astype("float32")) for name, shape in shapes.items()]

    def write(
        self,
        topology: Json,
        weights: Sequence[tuple[dict[str, Json], bytes]] = (),
        *,
        paths: Sequence[str] = ("group1-shard1of1.bin",),
        kind: str | None = "layers-model",
        files: Mapping[str, bytes] | None = None,
        **fields: Json,
    ) -> Path:
        """A folder with a `model.json` and one group, which is cut evenly over its paths.

        `files` are written besides; `fields` go over those of the document, and `None` removes one.
        """
        self.count += 1
        folder = self.folder / f"made{self.count}"
        folder.mkdir()
        data = b"".join(raw for _, raw in weights)
        step = -(-len(data) // max(1, len(paths)))
        for at, path in enumerate(paths):
            if ".." not in path and "://" not in path and not path.startswith("/") and "\\" not in path:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data[at * step : (at + 1) * step])
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        tree: dict[str, Json] = {
            "format": kind,
            "generatedBy": "keras v2.3.1",
            "convertedBy": "TensorFlow.js Converter v4.22.0",
            "modelTopology": topology,
            "weightsManifest": [{"paths": list(paths), "weights": [entry for entry, _ in weights]}],
        }
        tree = {key: value for key, value in (tree | fields).items() if value is not None}
        (folder / "model.json").write_text(json.dumps(tree))
        return folder

    def dense(self, **options: Any) -> Path:
        """The sound model of this kit."""
        return self.write(self.dense_topology(), self.dense_weights(), **options)

    def alone(
        self,
        weights: Sequence[tuple[dict[str, Json], bytes]] | None = None,
        *,
        paths: Sequence[str] = ("./shard1", "shard2"),
        name: str = "weights_manifest.json",
        files: Mapping[str, bytes] | None = None,
    ) -> Path:
        """The path of a manifest without a model, with its group in files beside it, and further `files`."""
        weights = self.dense_weights() if weights is None else weights
        self.count += 1
        folder = self.folder / f"alone{self.count}"
        folder.mkdir()
        data = b"".join(raw for _, raw in weights)
        half = -(-len(data) // 2)
        for path, content in {"shard1": data[:half], "shard2": data[half:], **(files or {})}.items():
            (folder / path).write_bytes(content)
        manifest = [{"weights": [entry for entry, _ in weights], "paths": list(paths)}]
        (folder / name).write_text(json.dumps(manifest, indent=2))
        return folder / name

    @staticmethod
    def read(
        path: Path,
        *,
        kind: str = "layers",
        native: bool = True,
        report: Report | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Model:
        """The model of a folder."""
        bridge = bridges.by_name(f"tfjs-{kind}").translator
        return bridge.read(path, Report() if report is None else report, limits=limits, native=native)

    def back(self, model: Model, *, kind: str = "layers", strict: bool = True, report: Report | None = None) -> Path:
        """Write a model into a new folder."""
        self.count += 1
        path = self.folder / f"back{self.count}"
        bridges.by_name(f"tfjs-{kind}").translator.write(model, path, report or Report(), strict=strict)
        return path

    def damaged(self, folder: Path, *, seed: int, step: int, flips: int) -> Iterator[str]:
        """Damage a model's files one at a time: cut at every `step`-th byte, and with one bit turned at random places.

        Args:
            folder: of the model; each file is whole again when the next is damaged.
            seed: of the random places.
            step: bytes between two cuts.
            flips: how many bits.

        Yields:
            The name of the damaged file.
        """
        sound = self.files(folder)
        draw = random.Random(seed)  # noqa: S311  only places to damage
        cases = [(name, data[:length]) for name, data in sound.items() for length in range(0, len(data), step)]
        for _ in range(flips):
            name = draw.choice(sorted(sound))
            data = bytearray(sound[name])
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            cases.append((name, bytes(data)))
        for name, damaged in cases:
            (folder / name).write_bytes(damaged)
            yield name
            (folder / name).write_bytes(sound[name])

    @staticmethod
    def files(folder: Path) -> dict[str, bytes]:
        """Every file of a folder with its bytes."""
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    @staticmethod
    def document(folder: Path) -> dict[str, Json]:
        """The tree of a folder's `model.json`."""
        found: dict[str, Json] = json.loads((folder / "model.json").read_text())
        return found
