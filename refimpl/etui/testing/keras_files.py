"""Small `.keras` files made without Keras: nodes of layers, archives, and the way through the bridge."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from etui.bridges.keras import v3
from etui.bridges.keras.dialects.normalize import dialect_of
from etui.limits import Limits
from etui.model import Model
from etui.report import Report

Json = Any


class Kit:
    """Makes and reads `.keras` files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    @staticmethod
    def layer(
        kind: str, name: str, build: Json = None, module: str = "keras.layers", **config: Json
    ) -> dict[str, Json]:
        """The node of a layer outside of a graph."""
        node = {
            "module": module,
            "class_name": kind,
            "config": {"name": name, "trainable": True, "dtype": "float32"} | config,
            "registered_name": None,
        }
        return node if build is None else node | {"build_config": build}

    @staticmethod
    def input(name: str, *shape: int | None) -> dict[str, Json]:
        """The node of an input layer outside of a graph."""
        config = {"batch_shape": [None, *shape], "dtype": "float32", "name": name, "sparse": False}
        return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}

    @staticmethod
    def tensor(layer: str, node: int = 0, index: int = 0, shape: Json = (None, 4)) -> dict[str, Json]:
        """A symbolic tensor of a graph."""
        config = {"shape": list(shape), "dtype": "float32", "keras_history": [layer, node, index]}
        return {"class_name": "__keras_tensor__", "config": config}

    @staticmethod
    def called(node: dict[str, Json], *calls: Json) -> dict[str, Json]:
        """A node with its place in a graph; each call is a list of arguments, or a whole inbound node."""
        nodes = [call if isinstance(call, dict) else {"args": call, "kwargs": {}} for call in calls]
        return node | {"name": node["config"]["name"], "inbound_nodes": nodes}

    @staticmethod
    def functional(layers: list[Json], inputs: Json, outputs: Json, name: str = "model") -> dict[str, Json]:
        """The node of a Functional model."""
        config = {"name": name, "trainable": True, "layers": layers}
        config |= {"input_layers": inputs, "output_layers": outputs}
        return {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": config,
            "registered_name": "Functional",
            "build_config": {"input_shape": None},
            "compile_config": {},
        }

    @staticmethod
    def sequential(layers: list[Json], name: str = "model", **config: Json) -> dict[str, Json]:
        """The node of a Sequential model."""
        return {
            "module": "keras",
            "class_name": "Sequential",
            "config": {"name": name, "trainable": True, "dtype": "float32", "layers": layers} | config,
            "registered_name": None,
            "compile_config": {},
        }

    def dense_model(self, *, compiled: Json = None) -> dict[str, Json]:
        """An input of 4, a Dense layer `first` of 3 and a Dense layer `second` of 2."""
        tree = self.sequential(
            [self.input("start", 4), self.layer("Dense", "first", units=3), self.layer("Dense", "second", units=2)]
        )
        return tree | ({} if compiled is None else {"compile_config": compiled})

    @staticmethod
    def dense_arrays() -> dict[str, Any]:
        """The variables of `dense_model` in the weights file."""
        rng = np.random.default_rng(0)
        shapes = {"dense/vars/0": (4, 3), "dense/vars/1": (3,), "dense_1/vars/0": (3, 2), "dense_1/vars/1": (2,)}
        return {f"layers/{path}": rng.normal(size=shape).astype("float32") for path, shape in shapes.items()}

    @staticmethod
    def optimizer(kind: str, name: str = "adam", **config: Json) -> dict[str, Json]:
        """The node of an optimizer."""
        config = {"name": name, "learning_rate": 0.125} | config
        return {"module": "keras.optimizers", "class_name": kind, "config": config, "registered_name": None}

    @staticmethod
    def compiled(optimizer: Json, **fields: Json) -> dict[str, Json]:
        """A compile config."""
        rest = {"loss": "mse", "loss_weights": None, "metrics": None, "weighted_metrics": None}
        loop = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}
        return {"optimizer": optimizer} | rest | loop | fields

    def write(
        self,
        tree: Json,
        arrays: dict[str, Any] | None = None,
        *,
        names: dict[str, str] | None = None,
        members: dict[str, bytes] | None = None,
        version: str | None = "3.15.1",
    ) -> Path:
        """An archive of a config, datasets by path, names of groups by path, and further members."""
        self.count += 1
        path = self.folder / f"made{self.count}.keras"
        file = io.BytesIO()
        with h5py.File(file, "w") as weights:
            for place, array in (arrays or {}).items():
                short = np.asarray(array).dtype == ml_dtypes.bfloat16
                dataset = weights.create_dataset(place, data=np.asarray(array).view("V2") if short else array)
                if short:
                    dataset.attrs["dtype"] = "bfloat16"
            for group, name in (names or {}).items():
                weights.require_group(f"{group}/vars").attrs["name"] = name
        with zipfile.ZipFile(path, "w") as archive:
            if version is not None:
                archive.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2026"}))
            archive.writestr("config.json", tree if isinstance(tree, bytes) else json.dumps(tree))
            archive.writestr("model.weights.h5", file.getvalue())
            for name, data in (members or {}).items():
                archive.writestr(name, data)
        return path

    @staticmethod
    def read(path: Path, *, native: bool = True, report: Report | None = None) -> Model:
        """The model of a file."""
        return v3.read(path, report or Report(), limits=Limits(), native=native)

    def model(self, tree: Json, arrays: dict[str, Any] | None = None, **options: Any) -> Model:
        """The model of an archive that is made on the way."""
        return self.read(self.write(tree, arrays, **options))

    def back(self, model: Model, *, strict: bool = True, report: Report | None = None) -> Path:
        """Write a model as a `.keras` file of its own dialect."""
        self.count += 1
        path = self.folder / f"back{self.count}.keras"
        v3.write(model, path, report or Report(), strict=strict, dialect=dialect_of(model))
        return path

    @staticmethod
    def content(path: Path) -> dict[str, Json]:
        """What an archive holds: config, members, and of each group and dataset attributes, dtype, shape and bytes."""
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        weights: dict[str, Any] = {}

        def take(name: str, item: Any) -> None:
            kind, value = "group", None
            if isinstance(item, h5py.Dataset):
                kind, value = f"{item.dtype}{list(item.shape)}", item[()].tobytes()
            weights[name] = (kind, value, {key: str(text) for key, text in item.attrs.items()})

        with h5py.File(io.BytesIO(members.pop("model.weights.h5"))) as file:
            file.visititems(take)
        return {"config": json.loads(members["config.json"]), "members": members, "weights": weights}
