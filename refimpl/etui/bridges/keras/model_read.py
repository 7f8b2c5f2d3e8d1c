"""What a format of Keras holds to a neutral model (SPEC.md, annex B)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.content import Content, Stored
from etui.bridges.keras.groups import expected_groups, odd_groups
from etui.bridges.keras.layout import adopt_groups, places
from etui.bridges.keras.lift import lift_within
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import join, keep, residue
from etui.bridges.keras.optimizer_read import Source, keep_rest, read_optimizer
from etui.bridges.keras.optimizer_table import Target, class_named
from etui.bridges.keras.patches import Json, same
from etui.bridges.keras.slot_match import Block, blocks
from etui.bridges.keras.training_read import read_training
from etui.bridges.keras.values import LAMBDA, has_code, is_object
from etui.bridges.keras.variables import dataset_names, datasets_by_group, read_weights, tensor_of
from etui.canonical.values import ObjectValue
from etui.containers.config import Config, Module
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.training import VALUE_FIELDS
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report

_OPTIMIZER, _METRICS = "optimizer", "metrics"


def read_model(content: Content, report: Report, document: str) -> Model:
    """Translate what a format of Keras holds into a neutral model.

    Args:
        content: config, arrays and groups, in the layout of a `.keras` file.
        report: gets an entry for each stored array, each place that holds code, and the config.
        document: what the report calls the config.

    Returns:
        A model whose tensors read the content's arrays when they are asked for.

    Raises:
        RejectError: a code of SPEC.md, annex B.
    """
    return _Reading(content, report, document).model()


@dataclass(slots=True)
class _Reading:
    content: Content
    report: Report
    document: str
    reader: ConfigReader = field(init=False)
    config: Config = field(init=False)

    def model(self) -> Model:
        if self.content.dialect == "tf_keras":
            self.content = replace(self.content, tree=lift_within(self.content.tree, where=self.document))
        content = self.content
        self.reader = ConfigReader(content.tree, content.dialect, content.groups.__contains__)
        self.config = self.reader.read()
        self._root_facts()
        model = self._translate()
        self._code(model)
        self._check(model)
        return model

    def _root_facts(self) -> None:
        root, dialect = self.config.model, self.content.dialect
        if dialect != "keras":
            keep(root, "dialect", dialect)
        if self.content.metadata:
            keep(root, "metadata", dict(self.content.metadata))
        # A model that was not compiled has an empty compile config in Keras 3, and none in tf_keras.
        compiled = self.content.tree.get("compile_config", "absent")
        if not compiled and compiled != {}:
            keep(root, "uncompiled", "null")
        elif (compiled == "absent") == (dialect == "keras") and not (isinstance(compiled, dict) and compiled):
            keep(root, "uncompiled", "absent" if compiled == "absent" else "empty")

    def _translate(self) -> Model:
        content, dialect = self.content, self.content.dialect
        compiled = self._compiled()
        foreign = {join(group, _OPTIMIZER) for group, _, _ in compiled.values()}
        if dialect == "tf_keras" and _METRICS in content.groups:
            foreign.add(_METRICS)
        adopt_groups(self.config, content.groups, foreign, self._implied)
        weights = read_weights(self.config, content.datasets, foreign, self.report)
        model = Model(self.config, weights)
        datasets = datasets_by_group(content.datasets)
        state = OptimizerState()
        for path, (group, node, block_path) in compiled.items():
            root = blocks(self.config, weights).at(block_path)
            trained = _trained(content, self.config, weights, root)
            source = Source(root, datasets, self.reader.values, dialect, self.report, trained)
            optimizer = read_optimizer(source, node, join(group, _OPTIMIZER), path)
            keep_rest(source, optimizer, join(group, _OPTIMIZER), content.datasets)
            _settle(root, weights, optimizer, self.report)
            state.optimizers[path] = optimizer
        if state.optimizers:
            model.optimizer = state
        config = content.tree.get("compile_config")
        if isinstance(config, dict) and config:
            model.training = read_training(config, self.config, self.reader.values)
        if _METRICS in foreign:
            model.state = self._metrics(datasets)
        return model

    def _implied(self, group: str) -> tuple[str, Callable[[str, str], Module]] | None:
        """The name and the maker of a layer that the config does not mention, if the source knows it."""
        found = self.content.implied(group)
        if found is None:
            return None
        name, node = found
        return name, lambda segment, path: self.reader.module(node, segment, path, group)

    def _compiled(self) -> dict[str, tuple[str, Json, str]]:
        """Each optimizer by its path: the group of its model, its config node, and the path of its model."""
        content, found = self.content, {}
        for place in places(self.config):
            config = content.tree.get("compile_config") if not place.path else None
            if place.path:
                config = next(iter(residue(place.module).get("compile_config", ())), None)
            node = config.get("optimizer") if isinstance(config, dict) else None
            named = class_named(node, content.dialect)
            if named is not None:
                # tf_keras writes the string that it was given; the defaults that it stands for are not in the file.
                node = {"module": "keras.optimizers", "class_name": named, "config": {}, "registered_name": None}
            if is_object(node) and (not place.path or join(place.group, _OPTIMIZER) in content.groups):
                found[join(place.path, _OPTIMIZER)] = (place.group, node, place.path)
        return found

    def _metrics(self, datasets: Mapping[str, Mapping[str, Stored]]) -> State:
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
        for path in code_places(model):
            self.report.add("code", path, "data-only", "the code of a lambda is kept as data and never run")

    def _check(self, model: Model) -> None:
        """Account for every fact: what is written back must be what was read."""
        content = self.content
        writing = Writing(model)
        datasets = dict(writing.datasets())
        expected = expected_groups(self.config, content.dialect, datasets, writing.other_groups())
        odd = odd_groups(expected, content.groups)
        if odd:
            keep(self.config.model, "groups", odd)
        for path in sorted(content.datasets.keys() ^ datasets.keys()):
            self.report.add("variable", path, "not-transferable", "the neutral model does not give it back")
        written = same(writing.config(), self.reader.values.raw(content.tree))
        status, detail = ("translated", "") if written else ("not-transferable", "not all of it can be written back")
        self.report.add("document", self.document, status, detail)


def _trained(content: Content, config: Config, weights: Weights, root: Block) -> dict[str, list[Target]]:
    """The variables of each optimizer where the source says which they are and the model has all of them."""
    if not content.trained:
        return {}
    paths = {dataset: weights.resolve(path) for _, path, dataset in dataset_names(config, weights)}
    targets = root.targets()
    found = {group: [targets.get(paths.get(name, "")) for name in names] for group, names in content.trained.items()}
    return {group: [one for one in listed if one] for group, listed in found.items() if all(listed)}


def code_places(model: Model) -> Iterator[str]:
    """The path of every module, and the name of the document, that holds the code of a lambda."""
    places: dict[str, Any] = {}
    if model.config is not None:
        places |= {path: _marked(module) for path, module in model.config.walk()}
    if model.training is not None:
        places["training.json"] = [getattr(model.training, name) for name in VALUE_FIELDS]
    return (path for path, value in places.items() if has_code(value))


def _marked(module: Module) -> Any:
    """The attributes of a module; Keras 2 writes the code of a Lambda as a list, and not as a `__lambda__`."""
    code = module.op == "keras:Lambda" and isinstance(module.attrs.get("function"), list | tuple)
    return ObjectValue(LAMBDA, None) if code else module.attrs


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
