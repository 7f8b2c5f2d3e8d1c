"""A SavedModel without graphs: config and variables, from which tf_keras makes the model again (SPEC.md, annex G.5).

tf_keras rebuilds a model from its config alone where the metadata calls it a `Model`, and then gives each object the
variable of the same name. So the folder names one object, and its bundle all of them.
"""

from __future__ import annotations

import json
from dataclasses import replace

from etui.bridges.keras.dialects.normalize import to_dialect
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import is_sequential, keep, residue
from etui.bridges.keras.patches import Json
from etui.bridges.keras.vocabulary import with_vocabularies
from etui.bridges.tensorflow.keras_write import ROOT, written_keras
from etui.bridges.tensorflow.layer_order import layer_order, reordered
from etui.bridges.tensorflow.objects_read import FRAMEWORK
from etui.bridges.tensorflow.saved_model.schema import (
    KERAS_METADATA,
    KERAS_OBJECT,
    META_GRAPH,
    META_INFO,
    OBJECT,
    OBJECT_GRAPH,
    SAVED_MODEL,
    USER_OBJECT,
    VERSION,
)
from etui.bridges.tensorflow.saved_model.statistics import with_given_statistics
from etui.bridges.tensorflow.saved_model.training import marked, training_config
from etui.containers.config import Config, Module
from etui.errors import error
from etui.model import Model
from etui.report import LOST, Report
from etui.storage.protobuf import Message, encode
from etui.storage.tf_bundle_writer import Outgoing

_IDENTIFIER = "_tf_keras_network"
_KERAS_VERSION = "2.21.0"
_STATE = ("optimizer/", "metrics/")


class Minimal:
    """The parts of a SavedModel without graphs.

    Args:
        model: the model.
        report: gets entries for what the folder holds in another form.
        reason: why the model's own graphs cannot be used.

    Attributes:
        model: in the dialect of tf_keras.

    Raises:
        TransferError: ``savedmodel-target``, tf_keras cannot make the model from a config; a code that begins with
            ``keras-``.
    """

    def __init__(self, model: Model, report: Report, reason: str) -> None:
        config = model.config
        if config is None:
            found = f"a model without a config, and {reason}"
            raise error(
                "savedmodel-target", found=found, hint="Write the graphs of the SavedModel that it was read from."
            )
        root = config.model
        if root.graph is None:
            raise error("savedmodel-target", found=f"{root.op}, whose calls no config tells, and {reason}")
        self.report = report
        translated = with_vocabularies(to_dialect(model, "tf_keras", report), report)
        self.model = with_given_statistics(translated, report)
        self.tree = Writing(self.model).config()
        self.rebuilt = self.model
        if self.model.config is not None:
            self.rebuilt = reordered(replace(self.model, config=functional(self.model.config)))

    def graph(self) -> bytes:
        """`saved_model.pb`: a graph to serve without operations, and one object."""
        version = Message(VERSION, {"producer": 1, "min_consumer": 1})
        root = Message(USER_OBJECT, {"identifier": _IDENTIFIER, "version": version})
        objects = Message(OBJECT_GRAPH, {"nodes": [Message(OBJECT, {"user_object": root})]})
        info = Message(META_INFO, {"tags": ["serve"]})
        graph = Message(META_GRAPH, {"meta_info_def": info, "graph_def": b"", "object_graph_def": objects})
        return encode(Message(SAVED_MODEL, {"saved_model_schema_version": 1, "meta_graphs": [graph]}))

    def metadata(self) -> bytes:
        """`keras_metadata.pb`: the model's config twice, as tf_keras rebuilds it and as it is."""
        tree = {key: value for key, value in self.tree.items() if key != "compile_config"}
        config = Writing(replace(self.rebuilt, training=None)).config()["config"]
        document: dict[str, Json] = {
            "name": config["name"],
            "class_name": "Model",
            "config": marked(config),
            "is_graph_network": False,
            "must_restore_from_config": True,
            "keras_version": self._version(),
            "backend": "tensorflow",
            "model_config": marked(tree),
        }
        if tree["class_name"] not in ("Functional", "Model"):
            detail = f"tf_keras makes a Functional model of the same layers, not a {tree['class_name']}"
            self.report.add("document", "config.json", "translated", detail)
        compiled = self.tree.get("compile_config")
        training = training_config(compiled) if isinstance(compiled, dict) else None
        if training is not None:
            document["training_config"] = training
        version = Message(VERSION, {"producer": 2, "min_consumer": 1})
        values = {
            "node_path": "root",
            "identifier": _IDENTIFIER,
            "metadata": json.dumps(document, sort_keys=True),
            "version": version,
        }
        return encode(Message(KERAS_METADATA, {"nodes": [Message(KERAS_OBJECT, values)]}))

    def _version(self) -> str:
        """The version of Keras 2 that the model is of; one of Keras 3 has no such config."""
        facts = {} if self.model.config is None else residue(self.model.config.model)
        told = facts.get("metadata", {})
        version = told.get("keras_version") if isinstance(told, dict) else None
        return version if isinstance(version, str) and version.startswith("2.") else _KERAS_VERSION

    def tensors(self) -> list[Outgoing]:
        """The bundle's tensors, their object graph included.

        Raises:
            TransferError: ``savedmodel-target``, variables of a layer whose names only its code tells.
        """
        report = Report()
        tensors = written_keras(self.rebuilt, report)
        lost = [entry.subject for entry in report.lost if entry.kind == "variable"]
        lost = [name for name in lost if not name.startswith(_STATE)]
        if lost:
            hint = "Convert to a `.keras` file, which needs the layer's code but not the names in it."
            found = f"{lost[0]}, a variable of a layer whose code alone names it"
            raise error("savedmodel-target", found=found, hint=hint)
        optimizers = {} if self.model.optimizer is None else self.model.optimizer.optimizers
        if any(optimizer.algorithm == "keras:Nadam" for optimizer in optimizers.values()):
            detail = "a product of momenta that tf_keras does not count among the optimizer's variables"
            self.report.add("slot", "optimizer/u_product", "reset", detail)
        for entry in report.entries:
            if entry.kind in ("slot", "optimizer") and entry.status in (*LOST, "reset"):
                self.report.add(entry.kind, entry.subject, entry.status, entry.detail)
        return tensors


def functional(config: Config) -> Config:
    """The config of the Functional model that tf_keras makes: its layers are in tf_keras' order."""

    def ordered(module: Module) -> Module:
        modules = [ordered(child) for child in module.modules]
        if module.graph is not None and not is_sequential(module):
            order = {name: at for at, name in enumerate(layer_order(module.graph, [child.name for child in modules]))}
            modules.sort(key=lambda child: order[child.name])
        return replace(module, modules=modules)

    root = config.model
    if is_sequential(root):
        root = replace(root, op="keras:Functional", residue={})
        if "dialect" in residue(config.model):
            keep(root, "dialect", residue(config.model)["dialect"])
    elif FRAMEWORK in root.residue:
        # The edge to the model in a checkpoint that was read; here the model is the root itself.
        facts = {name: fact for name, fact in root.residue[FRAMEWORK].items() if name != ROOT}
        root = replace(root, residue=root.residue | {FRAMEWORK: facts})
    return replace(config, model=ordered(root))
