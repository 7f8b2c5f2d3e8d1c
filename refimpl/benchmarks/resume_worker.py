"""A process that trains on in one Keras: questions come as lines of JSON, and so do the answers.

python refimpl/benchmarks/resume_worker.py keras      Keras 3 on the backend of KERAS_BACKEND
python refimpl/benchmarks/resume_worker.py tf_keras
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from typing import Any

import numpy as np
import resume_case

import etui


def _data(question: dict[str, str]) -> tuple[list[Any], dict[str, Any]]:
    """The batches, and the state by name."""
    with np.load(question["arrays"]) as found:
        arrays = dict(found)
    return list(zip(arrays.pop("x"), arrays.pop("y"), strict=True)), arrays


def by_hand(framework: Any, question: dict[str, str]) -> dict[str, Any]:
    """The further steps with a model that is made here and the source's arrays, without an etui."""
    batches, state = _data(question)
    net = resume_case.MODELS[question["model"]][0](framework)
    for layer in net.layers:
        layer.set_weights([state[f"weights/{layer.name}/{i}"] for i in range(len(layer.get_weights()))])
    net.compile(resume_case.OPTIMIZERS[question["optimizer"]](framework), resume_case.LOSS)
    net.optimizer.build(net.trainable_variables)
    old = framework.__name__ == "tf_keras"
    # Both keep them in the same order; tf_keras does not count the rate among them.
    arrays = [
        array
        for name, array in sorted(state.items())
        if name.startswith("optimizer/") and not (old and name.endswith("/learning_rate"))
    ]
    variables = _variables(net.optimizer)
    if old:
        variables = [variable for variable in variables if "learning_rate" not in variable.name]
    if [tuple(variable.shape) for variable in variables] != [array.shape for array in arrays]:
        return {"losses": []}
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return {"losses": resume_case.keras_losses(net, batches)}


def _variables(optimizer: Any) -> list[Any]:
    found = optimizer.variables
    return list(found() if callable(found) else found)


def resumed(framework: Any, question: dict[str, str]) -> dict[str, Any]:
    """The further steps with the model of the etui."""
    report = etui.Report()
    try:
        net = etui.keras.load(question["path"], framework=framework.__name__, strict=False, report=report)
    except etui.EtuiError as cause:
        return {"losses": [], "transfer": "not-transferable", "reason": _worst(report)[1] or cause.code}
    transfer, reason = _worst(report)
    if getattr(net, "optimizer", None) is None:
        return {"losses": [], "transfer": transfer, "reason": reason}
    if framework.backend.backend() == "torch":
        # What was compiled on JAX stays so, and torch would take a minute to do the same.
        net.jit_compile = False
    _fault(net.optimizer, question["variant"])
    batches, _ = _data(question)
    return {
        "losses": resume_case.keras_losses(net, batches),
        "transfer": transfer,
        "reason": reason,
    }


def _worst(report: etui.Report) -> tuple[str, str]:
    """The transfer class, and why it is no better: what Keras' dialects keep, they keep exactly."""
    for one in report.lost:
        return "approximate" if one.status == "approximated" else "not-transferable", one.detail
    return "exact", ""


def _fault(optimizer: Any, variant: str) -> None:
    """Make the fault of a control."""
    if variant == "step-off-by-one":
        optimizer.iterations.assign(optimizer.iterations - 1)
    if variant == "fresh-state":
        for variable in _variables(optimizer):
            if "learning_rate" not in variable.name:
                variable.assign(
                    np.zeros(variable.shape, str(np.dtype(getattr(variable.dtype, "name", variable.dtype))))
                )


def main() -> None:
    """Answer until there are no more questions."""
    # What frameworks print is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    framework = importlib.import_module(sys.argv[1])
    if framework.__name__ == "keras" and framework.backend.backend() == "torch":
        # oneDNN's backward convolutions crash on some processors.
        importlib.import_module("torch").backends.mkldnn.enabled = False
    for line in sys.stdin:
        question = json.loads(line)
        framework.backend.clear_session()
        framework.backend.set_floatx(question["dtype"])
        policies = framework.mixed_precision
        policies.set_global_policy(question["dtype"])
        answer = (by_hand if question["variant"] == "by-hand" else resumed)(framework, question)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
