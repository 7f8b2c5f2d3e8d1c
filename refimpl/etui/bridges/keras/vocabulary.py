"""Vocabularies of lookup layers as attributes, for formats that have no place for files (SPEC.md, annex B.7)."""

from __future__ import annotations

from dataclasses import replace

from etui.bridges.keras.modules import join
from etui.containers.config import Module
from etui.model import Blob, Model
from etui.report import Report
from etui.storage.part_names import escape

LOOKUPS = ("StringLookup", "IntegerLookup")
_HOLDERS = (*LOOKUPS, "TextVectorization")
# Below the layer itself, or the one that a TextVectorization holds.
_WAYS = ("vocabulary.txt", "lookup_layer/vocabulary.txt", "_lookup_layer/vocabulary.txt")


def with_vocabularies(model: Model, report: Report) -> Model:
    """A model whose lookup layers have their vocabularies as attributes, in place of the assets that hold them.

    A vocabulary stays an asset where its layer weighs terms by their frequency, and has no attribute for the weights.

    Args:
        model: stays as it is.
        report: gets an entry for each asset that was put into an attribute.
    """
    if model.config is None or not model.assets:
        return model
    assets = dict(model.assets)
    root = _filled(model.config.model, "", assets, report)
    return replace(model, config=replace(model.config, model=root), assets=assets)


def _filled(module: Module, path: str, assets: dict[str, Blob], report: Report) -> Module:
    parts = [name for name in (f"assets/{escape(join(path, way))}" for way in _WAYS) if name in assets]
    texts = {assets[name].read() for name in parts} if _takes(module) else set()
    terms = _terms(texts.pop(), module.op) if len(texts) == 1 else None
    if terms is None:
        below = [_filled(child, join(path, child.name), assets, report) for child in module.modules]
        return replace(module, modules=below)
    for name in parts:
        del assets[name]
        report.add("asset", name, "translated", "the layer's attribute `vocabulary`")
    given = {"has_input_vocabulary": True} if "has_input_vocabulary" in module.attrs else {}
    return replace(module, attrs={**module.attrs, "vocabulary": terms, **given})


def _takes(module: Module) -> bool:
    framework, _, kind = module.op.partition(":")
    if framework != "keras" or kind not in _HOLDERS or module.attrs.get("vocabulary") is not None:
        return False
    return module.attrs.get("output_mode") not in ("tf_idf", "tf-idf") or module.attrs.get("idf_weights") is not None


def _terms(data: bytes, op: str) -> list[str] | list[int] | None:
    """The terms of a file of lines; `None` for a file that holds none."""
    try:
        lines = data.decode().split("\n")
        return [int(line) for line in lines] if op == "keras:IntegerLookup" else lines
    except ValueError:
        return None
