"""Statistics that a Normalization layer learned, as its attributes (SPEC.md, annex G.5).

tf_keras computes with constants that it makes of the layer's variables when it builds the layer, and again after it
loads any other of its formats; after a SavedModel without graphs it does not, so that such a layer would compute with
the values of one that learned nothing.
"""

from __future__ import annotations

from dataclasses import replace

from etui.containers.config import Module
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report

_LEARNED = ("mean", "variance")


def with_given_statistics(model: Model, report: Report) -> Model:
    """A model whose Normalization layers have mean and variance as attributes, in place of the variables.

    Args:
        model: of the dialect of tf_keras; it stays as it is.
        report: gets an entry for each variable that was put into an attribute, and for the count of samples, which
            nothing but further learning reads.
    """
    if model.config is None or model.weights is None:
        return model
    taken: set[str] = set()
    root = _given(model.config.model, model.weights, taken, report)
    if not taken:
        return model
    weights = replace(
        model.weights,
        variables={path: found for path, found in model.weights.variables.items() if path not in taken},
    )
    return replace(model, config=replace(model.config, model=root), weights=weights)


def _given(module: Module, weights: Weights, taken: set[str], report: Report) -> Module:
    modules = [_given(child, weights, taken, report) for child in module.modules]
    learned = {role: weights.resolve(module.params[role]) for role in _LEARNED if role in module.params}
    if module.op != "keras:Normalization" or len(learned) != len(_LEARNED):
        return replace(module, modules=modules)
    attrs = dict(module.attrs)
    for role, path in learned.items():
        attrs[role] = weights[path].numpy().tolist()
        report.add("variable", path, "translated", f"the layer's attribute `{role}`")
        taken.add(path)
    for role in module.params.keys() - set(_LEARNED):
        path = weights.resolve(module.params[role])
        report.add("variable", path, "left-out", "a count of samples, which only further learning reads")
        taken.add(path)
    return replace(module, modules=modules, attrs=attrs, params={})
