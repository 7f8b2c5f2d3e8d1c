"""Writing a model as a `.keras` file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etui.bridges.keras.archive import CONFIG, METADATA, NATIVE, WEIGHTS
from etui.bridges.keras.assets import written_assets
from etui.bridges.keras.config_write import ConfigWriter
from etui.bridges.keras.groups import expected_groups, written_groups
from etui.bridges.keras.json_text import write_json
from etui.bridges.keras.layout import VARS, Place, places
from etui.bridges.keras.modules import join, residue
from etui.bridges.keras.optimizer_write import OptimizerWriter, slotless_paths
from etui.bridges.keras.patches import Json
from etui.bridges.keras.roles import flags
from etui.bridges.keras.training_write import write_compile_config
from etui.bridges.keras.variables import written_datasets
from etui.containers.config import Config
from etui.containers.data_writer import Progress
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.hdf5_writer import Hdf5Writer, spool, spooled
from etui.storage.zip_foreign import Member, write_zip

_OPTIMIZER, _METRICS, _INNER = "optimizer", "metrics", "inner_optimizer"
_METADATA: dict[str, Json] = {"keras_version": "3.15.1", "date_saved": "1980-01-01@00:00:00"}


def write(
    model: Model,
    target: str | os.PathLike[str],
    report: Report,
    *,
    strict: bool,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write a model as a `.keras` file that Keras loads; the same model gives the same bytes.

    Args:
        model: what to write; its ops are Keras' or the author's own.
        target: path of the file, which is replaced in one step.
        report: gets an entry for everything in the model.
        strict: refuse to write if anything would be lost.
        progress: called while variables are written, as (member name, bytes done, bytes in all).
        limits: of the documents that are written.

    Raises:
        LimitError: ``limit-document``, a config that readers refuse.
        TransferError: a code that begins with ``keras-``, Keras has no form for the model; ``not-complete``.
        MissingExtraError: h5py is not installed.
        StorageError: the target cannot be written; what was there is as it was.
    """
    writing = Writing(model)
    config, metadata = writing.documents(report)
    if len(config) > limits.document_bytes:
        raise error("limit-document", where=CONFIG, found=f"{len(config)} bytes")
    datasets = dict(writing.datasets())
    groups = written_groups(
        writing.model_config, expected_groups(writing.model_config, writing.dialect, datasets, writing.other_groups())
    )
    assets = list(written_assets(writing.model_config, model.assets))
    writing.account(report)
    if strict:
        report.require_complete()
    path = Path(target)
    with spool(path) as file:
        _write_weights(file, groups, datasets, progress)
        size = file.seek(0, os.SEEK_END)
        members: list[Member] = [
            (METADATA, len(metadata), [metadata]),
            (CONFIG, len(config), [config]),
            (WEIGHTS, size, spooled(file)),
        ]
        members += [(name, blob.size, [blob.view()]) for name, blob in assets]
        known = {name for name, _, _ in members}
        members += [(name, blob.size, [blob.view()]) for name, blob in writing.handed_on() if name not in known]
        write_zip(path, members)


def _write_weights(
    file: Any, groups: dict[str, dict[str, str]], datasets: dict[str, Tensor], progress: Progress | None
) -> None:
    """The weights file: groups in sorted order, then one dataset after the other."""
    total = sum(tensor.nbytes for tensor in datasets.values())
    done = 0
    with Hdf5Writer(file) as weights:
        for path, attrs in sorted(groups.items()):
            weights.group(path, attrs)
        for path, tensor in datasets.items():
            weights.dataset(path, tensor.numpy())
            done += tensor.nbytes
            if progress is not None:
                progress(WEIGHTS, done, total)


@dataclass(slots=True, init=False)
class Writing:
    """What a model becomes in a `.keras` file."""

    model: Model
    model_config: Config
    weights: Weights
    dialect: str

    def __init__(self, model: Model) -> None:
        """Take a model.

        Raises:
            TransferError: ``keras-parts``, it has no config or no weights.
        """
        if model.config is None or (model.weights is None and any(m.params for _, m in model.config.walk())):
            missing = "config" if model.config is None else "weights"
            raise error("keras-parts", found=f"no {missing}")
        self.model = model
        self.model_config = model.config
        self.weights = Weights() if model.weights is None else model.weights
        self.dialect = residue(model.config.model).get("dialect", "keras")

    def config(self) -> dict[str, Json]:
        """The tree of `config.json`.

        Raises:
            LimitError: ``limit-document``, a config that readers refuse.
        TransferError: a code that begins with ``keras-``.
        """
        root = self.model_config.model
        writer = ConfigWriter(self.model_config.find, self.dialect)
        tree = writer.node(root, "")
        compiled = self._compile_config(writer)
        if compiled is not None:
            tree["compile_config"] = compiled
        else:
            usual = "empty" if self.dialect == "keras" else "absent"
            kind = residue(root).get("uncompiled", usual)
            if kind != "absent":
                tree["compile_config"] = {} if kind == "empty" else None
        return tree

    def _compile_config(self, writer: ConfigWriter) -> dict[str, Json] | None:
        training = self.model.training
        if training is None:
            return None
        optimizer = self._optimizers().get(_OPTIMIZER)
        node = None if optimizer is None else self._optimizer_writer(writer).node(optimizer, _OPTIMIZER)
        return write_compile_config(training, node, writer.values)

    def _optimizers(self) -> dict[str, Optimizer]:
        return {} if self.model.optimizer is None else self.model.optimizer.optimizers

    def _optimizer_writer(self, writer: ConfigWriter) -> OptimizerWriter:
        slotless = slotless_paths(places(self.model_config))
        return OptimizerWriter(self.weights, slotless, writer.values, self.dialect)

    def _optimizer_groups(self) -> dict[str, str]:
        """The group of each optimizer by its path."""
        groups = {join(place.path, _OPTIMIZER): join(place.group, _OPTIMIZER) for place in places(self.model_config)}
        for path in self._optimizers():
            if path not in groups:
                raise error("keras-slots", where=path, found="an optimizer of no model")
        return groups

    def datasets(self) -> Iterator[tuple[str, Tensor]]:
        """Every dataset of the weights file with its tensor.

        Raises:
            TransferError: ``keras-variables``, ``keras-slots``.
        """
        yield from written_datasets(self.model_config, self.weights)
        groups = self._optimizer_groups()
        writer = self._optimizer_writer(ConfigWriter(self.model_config.find, self.dialect))
        for path, optimizer in self._optimizers().items():
            yield from writer.datasets(optimizer, groups[path], path)
        if self.model.state is not None and self.dialect == "tf_keras":
            for name, stored in self.model.state.metrics.items():
                for key, tensor in stored.items():
                    yield f"{_METRICS}/{name}/{VARS}/{key}", tensor

    def other_groups(self) -> dict[str, dict[str, str]]:
        """The groups of optimizers with the attributes that Keras gives them."""
        found = {}
        groups = self._optimizer_groups()
        for path, optimizer in self._optimizers().items():
            group, one = groups[path], optimizer
            while True:
                name = one.residue.get("keras", {}).get("name")
                named = self.dialect == "keras" and isinstance(name, str)
                found[join(group, VARS)] = {"name": name} if named else {}
                if one.inner is None:
                    break
                group, one = join(group, _INNER), one.inner
        return found

    def documents(self, report: Report) -> tuple[bytes, bytes]:
        """The bytes of `config.json` and `metadata.json`: verbatim where they are still current."""
        tree = self.config()
        config = self.model.native_document(NATIVE + CONFIG, report)
        if config is None:
            config = write_json(tree)
            report.add("document", CONFIG, "regenerated", "from the neutral documents")
        metadata = self.model.native_document(NATIVE + METADATA, report)
        if metadata is None:
            metadata = write_json(residue(self.model_config.model).get("metadata", _METADATA))
            report.add("document", METADATA, "regenerated", "from the neutral documents")
        return config, metadata

    def handed_on(self) -> Iterator[tuple[str, Any]]:
        """Members of the source's archive that no rule knows."""
        for name, native in self.model.native.items():
            if name.startswith(NATIVE) and name not in (NATIVE + CONFIG, NATIVE + METADATA) and not native.bindings:
                yield name.removeprefix(NATIVE), native.blob

    def account(self, report: Report) -> None:
        """An entry for each item that the report does not know yet, and for all that Keras has no place for."""
        known = {(entry.kind, entry.subject) for entry in report.entries}
        for kind, subject, status, detail in self._items():
            if (kind, subject) not in known:
                report.add(kind, subject, status, detail)

    def _items(self) -> Iterator[tuple[str, str, str, str]]:
        for path in self.weights.variables:
            yield "variable", path, "restored", ""
        for path, target in self.weights.aliases.items():
            yield "variable", path, "aliased", f"is {target}"
        for place in places(self.model_config):
            yield from self._flags(place)
        for key, optimizer in () if self.model.optimizer is None else self.model.optimizer.walk():
            yield "optimizer", key, "restored", optimizer.algorithm
            yield from _slots(key, optimizer)
        for name in self.model.assets:
            yield "asset", name, "restored", ""
        lost = "a `.keras` file has no place for it"
        for name in self.model.programs:
            yield "program", name, "not-transferable", lost
        for name in self.model.metadata:
            yield "metadata", name, "not-transferable", lost
        for name in self.model.native:
            if not name.startswith(NATIVE):
                yield "document", name, "not-transferable", lost
        state = self.model.state
        for name in ("counters", "rng", "data", "user", "residue", "metrics") if state is not None else ():
            if getattr(state, name) and not (name == "metrics" and self.dialect == "tf_keras"):
                yield "state", name, "not-transferable", lost

    def _flags(self, place: Place) -> Iterator[tuple[str, str, str, str]]:
        """A flag that the layer's own config contradicts is lost: Keras has flags of layers, not of variables."""
        for role, trainable in flags(place.op, place.attrs, list(place.module.params)).items():
            path = self.weights.resolve(place.module.params[role])
            expected = trainable and place.trainable
            if path in self.weights.variables and self.weights.variables[path].trainable != expected:
                yield "flag", path, "not-transferable", f"Keras makes it {'' if expected else 'not '}trainable"


def _slots(place: str, optimizer: Optimizer) -> Iterator[tuple[str, str, str, str]]:
    for path, slots in optimizer.slots.items():
        for name in slots:
            yield "slot", f"{place}/{path}/{name}", "restored", ""
    for path in optimizer.fresh:
        yield "slot", f"{place}/{path}", "fresh", "the optimizer has made none yet"
    for name in optimizer.shared_slots:
        yield "slot", f"{place}/{name}", "restored", ""
