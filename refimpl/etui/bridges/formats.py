"""The formats: what each is called, where its code is, and what each direction carries."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from etui.containers.data_writer import Progress
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report

PARTS = {
    "config": "the architecture",
    "weights": "the variables",
    "training": "losses, metrics, the optimizer and other arguments of compile",
    "slots": "what the optimizer keeps for each variable, and its counters",
    "metrics": "the state of metrics",
    "state": "generators of random numbers, counters of a run, the caller's own values",
    "assets": "vocabularies and other files",
    "graphs": "programs that run without the framework's classes, with their signatures",
}
"""What a format may carry, and what that is."""

_OF_KERAS = ("etui.bridges.keras.", "etui.bridges.tensorflow.", "etui.bridges.tfjs.layers", "etui.bridges.tfjs.graph")


class Translator(Protocol):
    """What the module of a bridge offers."""

    def recognises(self, path: Path) -> bool:
        """Whether the content of a file or folder is of the format; cheap, and never an error of the content."""

    def read(self, path: Path, report: Report, *, limits: Limits, native: bool = True, **options: Any) -> Model:
        """Translate into a model.

        Args:
            path: the file or folder.
            report: gets an entry for everything that the model does not hold as the source had it.
            limits: refuse what is beyond these.
            native: keep the source's own documents.
            options: `config`, an `etui.bridges.keras.content.Content` without arrays or `None`, for a bridge with
                `Bridge.takes_config`; nothing for others.

        Raises:
            RejectError: the content is refused.
            MissingExtraError: an optional dependency is not installed.
            StorageError: it cannot be read.
        """

    def write(
        self,
        model: Model,
        target: str | os.PathLike[str],
        report: Report,
        *,
        strict: bool,
        progress: Progress | None = None,
        limits: Limits = DEFAULT_LIMITS,
        **options: Any,
    ) -> None:
        """Translate from a model, in one step: what is at the target stays until the new file is whole.

        Args:
            model: what to write.
            target: path of the file or folder.
            report: gets an entry for everything in the model.
            strict: call `Report.require_complete` before the target is touched.
            progress: called while data is written.
            limits: refuse to write what is beyond these.
            options: those that the bridge names in `Bridge.options`.

        Raises:
            TransferError: the format cannot hold the model.
            MissingExtraError: an optional dependency is not installed.
            StorageError: the target cannot be written.
        """


@dataclass(frozen=True, slots=True)
class Bridge:
    """A format and where its code is.

    Attributes:
        name: what ``--to`` takes.
        title: for people.
        module: the full name of the module, a `Translator`.
        suffixes: of file names, with the dot, for choosing the format of a target.
        reads, writes: what each direction carries.
        extra: the extra of the package that it needs, or `None`.
        requires: the top-level modules that the extra brings.
        options: the options that `write` takes beside those of every bridge.
        folder: whether the format is a folder of files.
        takes_config: whether the format may lack the config of its model, so that `read` takes one.
        read_parts, write_parts: which of `PARTS` each direction carries; `None` where only `reads` and `writes` tell.
    """

    name: str
    title: str
    module: str
    suffixes: tuple[str, ...]
    reads: str
    writes: str
    extra: str | None = None
    requires: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()
    folder: bool = False
    takes_config: bool = False
    read_parts: frozenset[str] | None = None
    write_parts: frozenset[str] | None = None

    @property
    def holds_keras(self) -> bool:
        """Whether the format has models in the terms of Keras alone."""
        return self.module.startswith(_OF_KERAS)

    @property
    def translator(self) -> Translator:
        """The bridge's module, imported at the first use."""
        return cast(Translator, import_module(self.module))

    @property
    def available(self) -> bool:
        """Whether its optional dependencies are installed; they are not imported."""
        return all(find_spec(name) is not None for name in self.requires)


_TRAINED = frozenset({"config", "weights", "training", "slots"})
FORMATS = (
    Bridge(
        "etui",
        "Etui, packed or directory form",
        "etui.bridges.own",
        (".etui",),
        "everything",
        "everything; the packed form, or a folder",
        options=frozenset({"form", "shard_size", "vocabulary"}),
        read_parts=frozenset(PARTS),
        write_parts=frozenset(PARTS),
    ),
    Bridge(
        "keras",
        "Keras 3 and tf_keras model file",
        "etui.bridges.keras.v3",
        (".keras",),
        "config, weights by path, compile arguments, optimizer state by variable and slot, assets, own documents",
        "the same; documents that are still current verbatim; metric state for tf_keras",
        extra="hdf5",
        requires=("h5py",),
        options=frozenset({"dialect"}),
        read_parts=_TRAINED | {"metrics", "assets"},
        write_parts=_TRAINED | {"metrics", "assets"},
    ),
    Bridge(
        "keras-h5",
        "Keras model in HDF5, Keras 1 to 3",
        "etui.bridges.keras.h5.model",
        (".h5", ".hdf5"),
        "config, weights by layer and order, compile arguments, optimizer state by variable and slot, own documents",
        "the same; documents that are still current verbatim; Keras 3 does not restore optimizers from it",
        extra="hdf5",
        requires=("h5py",),
        options=frozenset({"dialect"}),
        read_parts=_TRAINED,
        write_parts=_TRAINED,
    ),
    Bridge(
        "keras-h5-weights",
        "Keras weights in legacy HDF5",
        "etui.bridges.keras.h5.weights",
        (),
        "weights by layer and order with a config, else by layer and name",
        "weights",
        extra="hdf5",
        requires=("h5py",),
        options=frozenset({"dialect"}),
        takes_config=True,
        read_parts=frozenset({"weights"}),
        write_parts=frozenset({"weights"}),
    ),
    Bridge(
        "keras-weights",
        "Keras 3 and tf_keras weights file, or an index of several",
        "etui.bridges.keras.weights.file",
        (".weights.h5", ".weights.json"),
        "weights and optimizer state by variable and slot with a config, else by group and number",
        "weights, optimizer state, metric state for tf_keras; an index of files for Keras 3 alone",
        extra="hdf5",
        requires=("h5py",),
        options=frozenset({"dialect", "shard_size"}),
        takes_config=True,
        read_parts=frozenset({"weights", "slots", "metrics"}),
        write_parts=frozenset({"weights", "slots", "metrics"}),
    ),
    Bridge(
        "keras-json",
        "JSON of a Keras model's config",
        "etui.bridges.keras.model_json",
        (".json", ".yaml", ".yml"),
        "config and compile arguments of Keras 1, 2, 3 and tf_keras; Keras 2 YAML with the extra yaml",
        "JSON: config, for Keras 3 with the compile arguments",
        options=frozenset({"dialect"}),
        read_parts=frozenset({"config", "training"}),
        write_parts=frozenset({"config", "training"}),
    ),
    Bridge(
        "tf-savedmodel",
        "TensorFlow SavedModel folder",
        "etui.bridges.tensorflow.saved_model.bridge",
        (),
        "config and compile arguments of tf_keras, weights, optimizer state, signatures, assets, graphs as a program",
        "with its program the same graphs over the current weights; else a model that tf_keras loads",
        extra="tensorflow",
        requires=("google_crc32c",),
        folder=True,
        read_parts=_TRAINED | {"metrics", "assets", "graphs"},
        write_parts=_TRAINED | {"metrics", "assets", "graphs"},
    ),
    Bridge(
        "tf-checkpoint",
        "TensorFlow checkpoint",
        "etui.bridges.tensorflow.checkpoint",
        (".index",),
        "weights by object path or name, slots by variable, counters; a Keras model where its config is given",
        "the same objects again; those of a Keras model; a state file",
        extra="tensorflow",
        requires=("google_crc32c",),
        options=frozenset({"shard_size", "dialect"}),
        folder=True,
        takes_config=True,
        read_parts=frozenset({"weights", "slots", "state"}),
        write_parts=frozenset({"weights", "slots", "state"}),
    ),
    Bridge(
        "tfjs-layers",
        "TensorFlow.js layers model",
        "etui.bridges.tfjs.layers",
        (),
        "config, weights by layer, compile arguments, optimizer state by variable and slot, own document",
        "the same where TensorFlow.js has words for it; the own document verbatim while it is current",
        folder=True,
        read_parts=_TRAINED,
        write_parts=_TRAINED,
    ),
    Bridge(
        "tfjs-graph",
        "TensorFlow.js graph model",
        "etui.bridges.tfjs.graph",
        (),
        "weights by name, the graph as a program, signature and metadata",
        "the same: the graph with the model's weights, quantized where they are as they were",
        folder=True,
        read_parts=frozenset({"weights", "graphs"}),
        write_parts=frozenset({"weights", "graphs"}),
    ),
    Bridge(
        "tfjs-weights",
        "TensorFlow.js weights manifest",
        "etui.bridges.tfjs.weights",
        (),
        "weights by layer with a config, else by name, widened where quantized; a graph beside them as a program",
        "weights by name; as they were, and quantized where they were, while the manifest is current",
        folder=True,
        takes_config=True,
        read_parts=frozenset({"weights", "graphs"}),
        write_parts=frozenset({"weights", "graphs"}),
    ),
    Bridge(
        "torch",
        "PyTorch state_dict or checkpoint",
        "etui.bridges.torch.files_pt",
        (".pt", ".pth"),
        "weights by name, optimizer state by variable and slot, counters; nothing that runs",
        "the same; of a model with a config, the state of the torch module that it is",
        extra="torch",
        requires=("torch",),
        read_parts=frozenset({"weights", "slots", "state"}),
        write_parts=frozenset({"weights", "slots", "state"}),
    ),
    Bridge(
        "safetensors",
        "safetensors file",
        "etui.bridges.torch.files_safetensors",
        (".safetensors",),
        "weights by name, metadata",
        "the same, with a canonical header",
        read_parts=frozenset({"weights"}),
        write_parts=frozenset({"weights"}),
    ),
    Bridge(
        "orbax",
        "Orbax checkpoint of one tree",
        "etui.bridges.jax.orbax",
        (),
        "variables by the path of their leaf, texts, the tree's keys as own document",
        "variables as a tree; its sequences again where it was read from such a checkpoint",
        extra="orbax",
        requires=("orbax",),
        folder=True,
        read_parts=frozenset({"weights"}),
        write_parts=frozenset({"weights"}),
    ),
)
"""Every known format, Etui's own first."""
