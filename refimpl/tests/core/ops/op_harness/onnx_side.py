"""What onnxruntime makes of a case: the program of its model, run on its inputs."""

# mypy: disable-error-code="misc"
# (onnxruntime is seen as Any.)

from __future__ import annotations

from typing import Any

import numpy as np

import etui

from .case import OP, Case


def compute(case: Case) -> list[Any]:
    """The outputs of the case, flattened."""
    model = case.model()
    assert model.config is not None
    root = model.config.model
    assert root.graph is not None
    if case.training:  # a program does not train, but a call of it may
        for call in root.graph.calls:
            if call.id == OP:
                call.kwargs["training"] = True
    if case.op == "squeeze":  # of all axes of size 1: these have to be known
        for module in root.modules:
            if module.op == "core:input":
                module.attrs["shape"] = list(case.inputs[module.name].shape)
    etui.onnx.export(model)
    session = etui.onnx.session(model)
    return [np.asarray(output) for output in session.run(None, case.arrays())]
