"""A kit for modules of Keras and of the vocabulary, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report
from etui.translation import to_core, to_keras

POLICY = ObjectValue("keras:DTypePolicy", {"name": "float32"})


class Kit:
    """Makes models of one graph, and translates them."""

    @staticmethod
    def layer(kind: str, name: str = "it", params: tuple[str, ...] = (), **attrs: Any) -> Module:
        """A layer of Keras with its own variables."""
        common = {"trainable": True, "dtype": POLICY}
        return Module(name, "layer", f"keras:{kind}", common | attrs, {role: f"{name}/{role}" for role in params})

    @staticmethod
    def operation(kind: str, name: str = "it", **attrs: Any) -> Module:
        """An operation of Keras."""
        return Module(name, "layer", f"keras:ops.{kind}", attrs)

    @staticmethod
    def core(op: str, name: str = "it", params: tuple[str, ...] = (), **attrs: Any) -> Module:
        """A core module with its variables."""
        return Module(name, "layer", f"core:{op}", attrs, {role: f"{name}/{role}" for role in params})

    @classmethod
    def model(
        cls,
        *modules: Module,
        shape: tuple[int | None, ...] = (None, 4),
        calls: list[Call] | None = None,
        core: bool = False,
    ) -> Model:
        """A Functional model, or a core graph, that calls modules one after the other, or as `calls` say."""
        start = (
            Module("x", "layer", "core:input", {"shape": list(shape), "dtype": "float32"})
            if core
            else Module(
                "x", "layer", "keras:InputLayer", {"batch_shape": list(shape), "dtype": "float32", "sparse": False}
            )
        )
        found, last = [Call("x", "x")], "x"
        for module in modules if calls is None else ():
            found.append(Call(module.name, module.name, [OutputRef(last, 0)]))
            last = module.name
        found += calls or []
        graph = Graph([OutputRef("x", 0)], OutputRef(found[-1].id, 0), found)
        attrs = {} if core else {"trainable": True}
        root = Module("model", "graph", "core:graph" if core else "keras:Functional", attrs, graph=graph)
        root.modules = [start, *modules]
        return Model(Config(root), cls.weights(root))

    @staticmethod
    def weights(root: Module) -> Weights:
        """Small tensors for all variables; their shapes are not those of the layers."""
        found = Weights()
        for _, module in root.walk():
            for role, path in module.params.items():
                found.add(path, Tensor.of(np.arange(len(found) + 1, dtype="float32")), role=role)
        return found

    @staticmethod
    def lifted(model: Model) -> tuple[Module, dict[str, str]]:
        """The module `it` in the vocabulary, and the details of what stayed, by subject."""
        report = Report()
        found = to_core(model, report)
        assert found.config is not None
        kept = {entry.subject: entry.detail for entry in report.entries if entry.status == "data-only"}
        return found.config.find("it"), kept

    @staticmethod
    def returned(model: Model) -> bool:
        """Whether the documents are the same there and back."""
        back = to_keras(to_core(model))
        names = ("config.json", "weights.json")
        return [model.fingerprint(name) for name in names] == [back.fingerprint(name) for name in names]

    @classmethod
    def bare(cls, module: Module) -> Module:
        """A module without residue, nor that of the modules in it."""
        return replace(module, residue={}, modules=[cls.bare(child) for child in module.modules])

    @classmethod
    def stripped(cls, model: Model) -> Model:
        """A model without residue."""
        assert model.config is not None
        return replace(model, config=Config(cls.bare(model.config.model)))


@pytest.fixture(scope="session")
def kit() -> Kit:
    """A kit."""
    return Kit()
