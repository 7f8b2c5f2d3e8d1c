"""Small legacy HDF5 files, made by hand as each era of Keras made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Json = Any
Arrays = Mapping[str, Any]


def _fixed(texts: list[str]) -> Any:
    return np.array([text.encode() for text in texts])


# How an era writes texts: as bytes or str, of fixed or varying length.
TEXTS: dict[str, tuple[Any, Any]] = {
    "bytes of varying length": (lambda text: text.encode(), lambda texts: [text.encode() for text in texts]),
    "bytes of fixed length": (lambda text: np.bytes_(text.encode()), _fixed),
    "str": (str, lambda texts: np.array(texts, dtype=object)),
}


def node(kind: str, name: str, **config: Json) -> dict[str, Json]:
    """A layer's node as legacy files write it."""
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32"} | config}


def sequential(*layers: Json, name: str = "model") -> dict[str, Json]:
    """A Sequential model of layers."""
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def source(name: str = "i", *shape: int) -> dict[str, Json]:
    """An input layer of Keras 2."""
    config = {"batch_input_shape": [None, *(shape or (3,))], "dtype": "float32", "sparse": False, "name": name}
    return {"class_name": "InputLayer", "config": config}


def ramp(*shape: int, start: float = 0.0) -> np.ndarray[Any, Any]:
    """Numbers that are all different."""
    count = int(np.prod(shape))
    return (np.arange(count, dtype="float32") + np.float32(start)).reshape(shape)


def write_list(group: Any, name: str, texts: list[str], form: Any = TEXTS["bytes of fixed length"]) -> None:
    """A list of names; an empty one is what h5py makes of an empty list."""
    group.attrs[name] = form[1](texts) if texts else []


def write_layers(group: Any, layers: Mapping[str, Arrays], form: Any, version: str | None, backend: str | None) -> None:
    """The layers with their arrays."""
    write_list(group, "layer_names", list(layers), form)
    for name, text in (("keras_version", version), ("backend", backend)):
        if text is not None:
            group.attrs[name] = form[0](text)
    for name, arrays in layers.items():
        layer = group.require_group(name)
        write_list(layer, "weight_names", list(arrays), form)
        for key, array in arrays.items():
            layer.create_dataset(key, data=array)


def whole(
    path: Path,
    config: Json,
    layers: Mapping[str, Arrays],
    *,
    training: Json = None,
    optimizer: Arrays | None = None,
    version: str | None = "2.21.0",
    backend: str | None = "tensorflow",
    form: str = "bytes of varying length",
) -> Path:
    """A whole-model file."""
    texts = TEXTS[form]
    with h5py.File(path, "w") as file:
        for name, text in (("keras_version", version), ("backend", backend)):
            if text is not None:
                file.attrs[name] = texts[0](text)
        for name, tree in (("model_config", config), ("training_config", training)):
            if tree is not None:
                # A text of more bytes than a header holds has to be of varying length.
                text = json.dumps(tree)
                file.attrs[name] = text.encode() if len(text) > 60000 else texts[0](text)
        write_layers(file.create_group("model_weights"), layers, texts, version, backend)
        if version is not None and version[0] != "1":
            write_list(file.create_group("model_weights/top_level_model_weights"), "weight_names", [])
        if optimizer is not None:
            group = file.create_group("optimizer_weights")
            write_list(group, "weight_names", list(optimizer), texts)
            for key, array in optimizer.items():
                group.create_dataset(key, data=array)
    return path


def weights_only(path: Path, layers: Mapping[str, Arrays], *, version: str | None = "2.21.0") -> Path:
    """A file of weights alone."""
    with h5py.File(path, "w") as file:
        write_layers(file, layers, TEXTS["bytes of varying length"], version, "tensorflow")
    return path


def seen(path: Path) -> dict[str, Any]:
    """Everything in a file: arrays by their bytes, attributes as texts and lists of texts, documents parsed."""
    found: dict[str, Any] = {}

    def attribute(name: str, value: Any) -> Any:
        if isinstance(value, str | bytes):
            text = value.decode() if isinstance(value, bytes) else value
            return json.loads(text) if name.endswith("_config") else text
        return [one.decode() if isinstance(one, bytes) else str(one) for one in value]

    def visit(name: str, item: Any) -> None:
        data = (item[()].tobytes(), item.shape, item.dtype.str) if isinstance(item, h5py.Dataset) else None
        found[name] = data, {key: attribute(key, value) for key, value in item.attrs.items()}

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return found
