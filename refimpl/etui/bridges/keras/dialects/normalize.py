"""A model of Keras 2 as one of Keras 3 and the other way round, with the same meaning (SPEC.md, annex E).

Keras 2 here is the dialect ``tf_keras``: what tf_keras writes, and what older files are lifted to. What has an exact
equal is translated; what has none stays as it is and is reported as not transferable. Variables are not touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from etui.bridges.keras.assets import moved_assets
from etui.bridges.keras.content import Dialect
from etui.bridges.keras.dialects.graph import GraphTranslation
from etui.bridges.keras.dialects.layer_names import rename_for_keras_3
from etui.bridges.keras.dialects.modules import Modules
from etui.bridges.keras.dialects.ops import is_function
from etui.bridges.keras.dialects.optimizers import Optimizers
from etui.bridges.keras.dialects.outputs import by_output, outputs_of
from etui.bridges.keras.dialects.same import is_among
from etui.bridges.keras.dialects.values import TITLES, Values
from etui.bridges.keras.layout import places
from etui.bridges.keras.modules import join, keep, residue
from etui.bridges.keras.names import is_operation
from etui.bridges.keras.optimizer_write import slotless_paths
from etui.containers.config import Config, Module
from etui.containers.optimizer import OptimizerState
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report

# What Keras 2 leaves open where nobody said otherwise, and Keras 3 does not read as null.
_OPTIONS = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}
_TRAINED = frozenset({"training", "optimizer"})
_NAMED = {"loss": "losses", "metrics": "metrics", "weighted_metrics": "metrics"}


def dialect_of(model: Model) -> Dialect:
    """The dialect of a model's config; ``keras`` for one that no Keras wrote."""
    found = None if model.config is None else residue(model.config.model).get("dialect")
    return "tf_keras" if found == "tf_keras" else "keras"


def to_dialect(model: Model, dialect: Dialect, report: Report, *, holds: frozenset[str] = _TRAINED) -> Model:
    """Translate a model to the terms of one Keras.

    Args:
        model: a model whose config is of the namespace `keras`; it stays as it is.
        dialect: ``keras`` for Keras 3, ``tf_keras`` for Keras 2.
        report: gets an entry for each module that was put in other terms, and for everything that has no equal.
        holds: of ``training`` and ``optimizer``, what the target holds; the rest stays as it is, without an entry.

    Returns:
        The same object if there is nothing to do, else a model that shares its tensors, assets and program parts.
    """
    if model.config is None or dialect_of(model) == dialect:
        return model
    values = Values(dialect, report)
    weights = Weights() if model.weights is None else model.weights
    config = Config(_Tree(Modules(values, weights)).module(model.config.model, "")[0], dict(model.config.extra))
    assets = moved_assets(model.config, config, model.assets) if model.assets else {}
    if dialect == "tf_keras":
        keep(config.model, "dialect", dialect)
    else:
        rename_for_keras_3(config, report)
    translated = replace(model, config=config, assets=assets, native=dict(model.native))
    if model.training is not None and "training" in holds:
        compiled = by_output(model.training, outputs_of(model.config), outputs_of(config), dialect)
        translated.training = _training(model.training, compiled, values)
    if model.optimizer is not None and "optimizer" in holds:
        optimizers = Optimizers(values, weights, slotless_paths(places(model.config)))
        found = {key: optimizers.translate(item, key) for key, item in model.optimizer.optimizers.items()}
        translated.optimizer = OptimizerState(found, dict(model.optimizer.extra))
    for name, native in model.native.items():
        if native.bindings:
            del translated.native[name]
            report.add("document", name, "left-out", f"it is not in the terms of {TITLES[dialect]}")
    return translated


class _Tree:
    """Translates the tree of modules, children before the calls of their parent."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules

    def module(self, found: Module, path: str) -> tuple[Module, str | None]:
        """A module in the target's terms, and the dtype of its first output if it is a graph."""
        if found.target is not None:
            return replace(found), None
        specs = _specs(found)
        children, outputs = [], {}
        for child in found.modules:
            if self.modules.is_left_out(found, child):
                continue
            if is_operation(child.op) or is_function(child.op):
                children.append(replace(child, attrs=dict(child.attrs), residue={}, build=None))
                continue
            made, dtype = self.module(child, join(path, child.name))
            children.append(made)
            if child.graph is not None:
                outputs[child.name] = dtype
        made = self.modules.translate(found, path, children)
        if made.graph is None:
            return made, None
        if made.op == "keras:Sequential":
            # Its calls are a chain in both dialects; what they give is of interest to the graph around it.
            copied = replace(made, modules=list(made.modules), graph=replace(made.graph))
            return made, GraphTranslation(copied, self.modules.values, path, specs, outputs).run()
        return made, GraphTranslation(made, self.modules.values, path, specs, outputs).run()


def _specs(module: Module) -> dict[str, str | None]:
    """The dtype of each call's first result, as far as Keras 3 wrote it down."""
    found: dict[str, str | None] = {}
    for call, specs in residue(module).get("tensors", {}).items():
        first = next((spec for spec in specs if spec is not None), None)
        found[call] = first[1] if first is not None and isinstance(first[1], str) else None
    return found


def _training(training: Training, compiled: dict[str, Any], values: Values) -> Training:
    """What the model was compiled with, of which the fields by output are in the target's form."""
    found = replace(
        training, options=_OPTIONS | training.options if values.target == "keras" else dict(training.options)
    )
    for name, package in _NAMED.items():
        setattr(found, name, values.named(compiled[name], package, "training", name))
    found.loss_weights = compiled["loss_weights"]
    rest = {key: value for key, value in training.residue.items() if key != "keras"}
    kept: dict[str, Any] = {}
    facts = training.residue.get("keras", {})
    own = {key: value for key, value in facts.get("fields", {}).items() if key not in _WRITTEN}
    only = _ONLY[values.target]
    for key in [key for key in own if key in only]:
        if not is_among(own.pop(key), only[key]):
            values.lost("training", key, f"{TITLES[values.target]} compiles without it")
    if own:
        kept["fields"] = own
    found.residue = rest | ({"keras": kept} if kept else {})
    return found


# Fields of a compile config that both sides write by themselves.
_WRITTEN = frozenset(
    {"optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution"}
    | {"jit_compile"}
)
# Fields that the target does not take, with the values that mean nothing.
_ONLY: dict[str, dict[str, tuple[Any, ...]]] = {
    "keras": {"sample_weight_mode": (None,), "pss_evaluation_shards": (None, 0), "target_tensors": (None,)},
    "tf_keras": {"auto_scale_loss": (None, True)},
}
