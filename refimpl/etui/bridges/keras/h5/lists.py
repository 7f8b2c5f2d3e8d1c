"""The lists of names in a legacy HDF5 file: of layers, and of each layer's arrays (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from etui.bridges.keras.content import Stored
from etui.bridges.keras.modules import join
from etui.errors import error, shown
from etui.storage.hdf5 import Hdf5File

LAYER_NAMES, WEIGHT_NAMES = "layer_names", "weight_names"
TOP_LEVEL = "top_level_model_weights"
MODEL_WEIGHTS, OPTIMIZER_WEIGHTS = "model_weights", "optimizer_weights"
# Keras 3 does not restore an optimizer from `optimizer_weights`: it builds it for no variables, and refuses to train.
PASSED_OVER = "etui_optimizer_weights"
# Bytes of one attribute at most: what HDF5 can put into the header of a group.
HEADER_BYTES = 64512


@dataclass(frozen=True, slots=True)
class Section:
    """The layers of a file with their arrays.

    Attributes:
        layers: name -> the layer's arrays by their names in the file, in stored order.
        top: the arrays of the model itself.
        version, backend: as the file says, or `None`.
    """

    layers: Mapping[str, Mapping[str, Stored]]
    top: Mapping[str, Stored]
    version: str | None
    backend: str | None

    def arrays(self) -> Iterator[tuple[str, str, Stored]]:
        """Every array with the name of its layer and its own, the model's own last, under the empty name."""
        for layer, arrays in (*self.layers.items(), ("", self.top)):
            for name, array in arrays.items():
                yield layer, name, array


def has_layers(file: Hdf5File, group: str) -> bool:
    """Whether a group lists layers."""
    found = file.lists.get(group, {})
    return LAYER_NAMES in found or f"{LAYER_NAMES}0" in found


def read_list(file: Hdf5File, group: str, name: str, where: str) -> list[str]:
    """A list of names, which Keras cuts into `name0`, `name1`, … where one attribute cannot hold it.

    Raises:
        InvalidError: ``keras-h5``, there is no such list.
    """
    found = file.lists.get(group, {})
    if name in found:
        return found[name]
    if f"{name}0" not in found:
        raise error("keras-h5", where=f"{where} at /{group}", found=f"no attribute {name}")
    listed: list[str] = []
    number = 0
    while f"{name}{number}" in found:
        listed += found[f"{name}{number}"]
        number += 1
    return listed


def written_list(name: str, texts: list[str]) -> dict[str, str | list[str]]:
    """The attributes for a list of names: one, or as many of nearly equal length as are needed.

    Raises:
        TransferError: ``keras-h5-name``, a name that no attribute can hold.
    """
    widest = max((len(text.encode()) for text in texts), default=0)
    if widest > HEADER_BYTES:
        raise error("keras-h5-name", found=f"a name of {widest} bytes")
    count = 1
    while True:
        size, more = divmod(len(texts), count)
        cuts = [0]
        for at in range(count):
            cuts.append(cuts[-1] + size + (at < more))
        parts = [texts[start:end] for start, end in pairwise(cuts)]
        if all(max((len(text.encode()) for text in part), default=0) * len(part) <= HEADER_BYTES for part in parts):
            break
        count += 1
    return {name: list(texts)} if count == 1 else {f"{name}{at}": part for at, part in enumerate(parts)}


def read_arrays(file: Hdf5File, group: str, where: str) -> dict[str, Stored]:
    """The arrays that a group lists, in stored order.

    Raises:
        InvalidError: ``keras-h5``, a name without an array, or twice.
    """
    found: dict[str, Stored] = {}
    for name in read_list(file, group, WEIGHT_NAMES, where):
        path = "/".join(step for step in join(group, name).split("/") if step)
        if path not in file.datasets or name in found:
            fault = "twice" if name in found else "no array"
            raise error("keras-h5", where=f"{where} at /{group}", found=f"{shown(name)}, {fault}")
        found[name] = file.datasets[path]
    return found


def read_section(file: Hdf5File, group: str, where: str) -> Section:
    """The layers that a group lists.

    Args:
        file: the checked file.
        group: `model_weights`, or the root of a file of weights alone.
        where: the file's name, for messages.

    Raises:
        InvalidError: ``keras-h5``, a layer without a group, or twice, or one of the faults of its arrays.
    """
    layers: dict[str, Mapping[str, Stored]] = {}
    for name in read_list(file, group, LAYER_NAMES, where):
        path = join(group, name)
        if path not in file.groups or name in layers:
            fault = "twice" if name in layers else "no group"
            raise error("keras-h5", where=f"{where} at /{group}", found=f"the layer {shown(name)}, {fault}")
        layers[name] = read_arrays(file, path, where)
    top = join(group, TOP_LEVEL)
    own = read_arrays(file, top, where) if top in file.groups and TOP_LEVEL not in layers else {}
    attrs = file.groups.get(group, {})
    root = file.groups.get("", {})
    version = attrs.get("keras_version", root.get("keras_version"))
    return Section(layers, own, version, attrs.get("backend", root.get("backend")))


def unlisted(file: Hdf5File, section: Section, optimizer: Mapping[str, Stored]) -> list[str]:
    """The arrays of the file that no list names."""
    listed = {id(array) for _, _, array in section.arrays()} | {id(array) for array in optimizer.values()}
    return [path for path, array in file.datasets.items() if id(array) not in listed]
