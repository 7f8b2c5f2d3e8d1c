"""Runs in a process of its own: Keras' optimizers on JAX in float64, saved after some steps and taken further.

    python keras_side.py FOLDER

writes `<case>.etui` after the first steps, and `<case>.npz` with the variables after all of them.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax

jax.config.update("jax_enable_x64", True)
import keras
import numpy as np

import etui

cases: Any = import_module("optimizer_cases")

keras.config.set_floatx("float64")


def model_of(name: str) -> keras.Model:
    """Two layers, with constraints where the case asks for them."""
    constraint = keras.constraints.MaxNorm(0.7) if name == "constrained" else None
    bias = keras.constraints.NonNeg() if name == "constrained" else None
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((4,), name="x"),
            keras.layers.Dense(5, "tanh", name="first", kernel_constraint=constraint, bias_constraint=bias),
            keras.layers.Dense(3, name="second"),
        ],
        name="mlp",
    )


def apply(optimizer: keras.Optimizer, gradients: list[Any], variables: list[Any]) -> None:
    """One step; Keras' loss scaler works on JAX in its stateless form alone."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return
    own = [variable.value for variable in optimizer.variables]
    found = optimizer.stateless_apply(own, gradients, [variable.value for variable in variables])
    for variable, value in zip([*variables, *optimizer.variables], [*found[0], *found[1]], strict=True):
        variable.assign(value)


def main(folder: Path) -> None:
    for name, case in cases.CASES.items():
        model = model_of(name)
        variables = model.trainable_variables
        optimizer = eval(case.keras, {"keras": keras, "schedules": keras.optimizers.schedules})
        model.compile(optimizer=optimizer, loss="mse")
        optimizer.build(variables)
        shapes = {v.path.removeprefix("mlp/"): v.shape for v in variables}
        for index, gradients in enumerate(cases.gradients(shapes, case)):
            if index == cases.BEFORE:
                etui.keras.save(model, folder / f"{name}.etui")
            values = [keras.ops.convert_to_tensor(gradients[path]) for path in shapes]
            apply(optimizer, values, variables)
        np.savez(folder / f"{name}.npz", **dict(zip(shapes, [np.asarray(v.value) for v in variables], strict=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
