"""Reading a `.keras` file into a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etui.bridges.keras import archive as keras_archive
from etui.bridges.keras.archive import ASSETS, CONFIG, METADATA, NATIVE, WEIGHTS
from etui.bridges.keras.assets import read_assets
from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.groups import expected_groups, odd_groups
from etui.bridges.keras.json_text import read_json
from etui.bridges.keras.layout import adopt_groups, places
from etui.bridges.keras.modules import join, keep, residue
from etui.bridges.keras.optimizer_read import Source, keep_rest, read_optimizer
from etui.bridges.keras.optimizer_table import class_named
from etui.bridges.keras.patches import Json, same
from etui.bridges.keras.slot_match import Block, blocks
from etui.bridges.keras.training_read import read_training
from etui.bridges.keras.values import has_code, is_object
from etui.bridges.keras.variables import datasets_by_group, read_weights, tensor_of
from etui.bridges.keras.write import Writing
from etui.containers.config import Config
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.training import VALUE_FIELDS
from etui.containers.weights import Weights
from etui.limits import Limits
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.base import ByteSource
from etui.storage.hdf5 import Dataset, Hdf5File, open_hdf5
from etui.storage.zip_foreign import ForeignZip, open_zip

_OPTIMIZER, _METRICS = "optimizer", "metrics"
_JSON = "application/json"


def read(path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
    """Translate a `.keras` file.

    Args:
        path: the file.
        report: gets an entry for each stored dataset, document and asset.
        limits: refuse what is beyond these.
        native: keep `config.json` and `metadata.json` verbatim.

    Returns:
        A model that reads tensors from the file when they are asked for; closing it closes the file.

    Raises:
        RejectError: a code of SPEC.md, annex B.
        MissingExtraError: h5py is not installed.
        StorageError: the file cannot be read.
    """
    archive = open_zip(path, limits)
    try:
        model = _Reading(archive, report, limits).model(native=native)
    except BaseException:
        archive.close()
        raise
    model.closing = archive.close
    return model


@dataclass(slots=True)
class _Reading:
    archive: ForeignZip
    report: Report
    limits: Limits
    config: Config = field(init=False)
    file: Hdf5File = field(init=False)
    reader: ConfigReader = field(init=False)

    def model(self, *, native: bool) -> Model:
        keras_archive.check_members(self.archive)
        names = self.archive.names()
        config_source = self.archive.source(CONFIG)
        tree = read_json(config_source, self._where(CONFIG), self.limits)
        metadata = {}
        if METADATA in names:
            metadata = read_json(self.archive.source(METADATA), self._where(METADATA), self.limits)
        dialect = keras_archive.dialect_of(tree, metadata)
        self.file = open_hdf5(self.archive.source(WEIGHTS), self._where(WEIGHTS), self.limits)
        self.reader = ConfigReader(tree, dialect, self.file.groups.__contains__)
        self.config = self.reader.read()
        self._root_facts(tree, metadata, dialect)
        model = self._translate(tree, dialect)
        blobs = {name: Blob(self.archive.source(name)) for name in names if name.startswith(ASSETS)}
        model.assets = read_assets(self.config, blobs, self.report)
        self._check(model, tree, dialect)
        self._natives(model, metadata, config_source, native=native)
        return model

    def _where(self, member: str) -> str:
        return f"{self.archive.location}, {member}"

    def _root_facts(self, tree: Mapping[str, Json], metadata: Mapping[str, Json], dialect: str) -> None:
        root = self.config.model
        if dialect != "keras":
            keep(root, "dialect", dialect)
        if metadata:
            keep(root, "metadata", dict(metadata))
        # A model that was not compiled has an empty compile config in Keras 3, and none in tf_keras.
        compiled = tree.get("compile_config", "absent")
        if not compiled and compiled != {}:
            keep(root, "uncompiled", "null")
        elif (compiled == "absent") == (dialect == "keras") and not (isinstance(compiled, dict) and compiled):
            keep(root, "uncompiled", "absent" if compiled == "absent" else "empty")

    def _translate(self, tree: Mapping[str, Json], dialect: str) -> Model:
        compiled = self._compiled(tree, dialect)
        foreign = {join(group, _OPTIMIZER) for group, _, _ in compiled.values()}
        if dialect == "tf_keras" and _METRICS in self.file.groups:
            foreign.add(_METRICS)
        adopt_groups(self.config, self.file, foreign)
        weights = read_weights(self.config, self.file, foreign, self.report)
        model = Model(self.config, weights)
        datasets = datasets_by_group(self.file)
        state = OptimizerState()
        for path, (group, node, block_path) in compiled.items():
            root = blocks(self.config, weights).at(block_path)
            source = Source(root, datasets, self.reader.values, dialect, self.report)
            optimizer = read_optimizer(source, node, join(group, _OPTIMIZER), path)
            keep_rest(source, optimizer, join(group, _OPTIMIZER), self.file.datasets)
            _settle(root, weights, optimizer, self.report)
            state.optimizers[path] = optimizer
        if state.optimizers:
            model.optimizer = state
        config = tree.get("compile_config")
        if isinstance(config, dict) and config:
            model.training = read_training(config, self.config, self.reader.values)
        if _METRICS in foreign:
            model.state = self._metrics(datasets)
        self._code(model)
        return model

    def _compiled(self, tree: Mapping[str, Json], dialect: str) -> dict[str, tuple[str, Json, str]]:
        """Each optimizer by its path: the group of its model, its config node, and the path of its model."""
        found = {}
        for place in places(self.config):
            config = tree.get("compile_config") if not place.path else None
            if place.path:
                config = next(iter(residue(place.module).get("compile_config", ())), None)
            node = config.get("optimizer") if isinstance(config, dict) else None
            named = class_named(node, dialect)
            if named is not None:
                # tf_keras writes the string that it was given; the defaults that it stands for are not in the file.
                node = {"module": "keras.optimizers", "class_name": named, "config": {}, "registered_name": None}
            if is_object(node) and (not place.path or join(place.group, _OPTIMIZER) in self.file.groups):
                found[join(place.path, _OPTIMIZER)] = (place.group, node, place.path)
        return found

    def _metrics(self, datasets: Mapping[str, Mapping[str, Dataset]]) -> State:
        """The state of metrics, which tf_keras stores and Keras 3 does not."""
        state = State()
        for group, stored in datasets.items():
            if group.startswith(f"{_METRICS}/"):
                name = group.removeprefix(f"{_METRICS}/")
                state.metrics[name] = {key: tensor_of(found) for key, found in stored.items()}
                for key in stored:
                    self.report.add("state", f"metrics/{name}/{key}", "restored")
        return state

    def _code(self, model: Model) -> None:
        """Name every place that holds code."""
        places: dict[str, Any] = {path: module.attrs for path, module in self.config.walk()}
        if model.training is not None:
            places["training.json"] = [getattr(model.training, name) for name in VALUE_FIELDS]
        for path, value in places.items():
            if has_code(value):
                self.report.add("code", path, "data-only", "the code of a lambda is kept as data and never run")

    def _check(self, model: Model, tree: Json, dialect: str) -> None:
        """Account for every fact: what is written back must be what was read."""
        writing = Writing(model)
        datasets = dict(writing.datasets())
        expected = expected_groups(self.config, dialect, datasets, writing.other_groups())
        odd = odd_groups(expected, self.file.groups)
        if odd:
            keep(self.config.model, "groups", odd)
        for path in sorted(self.file.datasets.keys() ^ datasets.keys()):
            self.report.add("variable", path, "not-transferable", "the neutral model does not give it back")
        written = same(writing.config(), self.reader.values.raw(tree))
        status, detail = ("translated", "") if written else ("not-transferable", "not all of it can be written back")
        self.report.add("document", f"keras {CONFIG}", status, detail)

    def _natives(self, model: Model, metadata: Mapping[str, Json], config: ByteSource, *, native: bool) -> None:
        """Keep the own documents, bound to what was made of them; other members are handed on."""
        version = metadata.get("keras_version")
        version = version if isinstance(version, str) else None
        kept = {CONFIG: ("config.json", "training.json", "optimizer.msgpack"), METADATA: ("config.json",)}
        for name in self.archive.names():
            if name == WEIGHTS or name.startswith(ASSETS) or (name in kept and not native):
                continue
            blob = Blob(config if name == CONFIG else self.archive.source(name), _JSON if name in kept else _OTHER)
            framework = keras_archive.FRAMEWORK
            model.native[NATIVE + name] = model.bind(blob, framework, version, *kept.get(name, ()))
            self.report.add("document", NATIVE + name, "verbatim", "" if name in kept else "handed on")


_OTHER = "application/octet-stream"


def _settle(root: Block, weights: Weights, optimizer: Optimizer, report: Report) -> None:
    """An optimizer that has slots tells which variables of unknown layers were trained."""
    inner = optimizer
    while inner.inner is not None:
        inner = inner.inner
    if not inner.slots:
        return
    trained = set(inner.variables())
    for candidate in root.unknown():
        variable = weights.variables[candidate.target.path]
        if variable.trainable and candidate.target.path not in trained:
            variable.trainable = False
            report.add("flag", candidate.target.path, "translated", "not trainable: the optimizer has no slots for it")
