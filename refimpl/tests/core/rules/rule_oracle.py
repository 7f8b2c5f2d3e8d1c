"""What the frameworks make of the cases: run in a process of its own, as a backend is chosen once.

python rule_oracle.py keras|torch|optax|objects FILE.npz
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any

import numpy as np

cases: Any = import_module("rule_cases")  # beside this script
Array = Any


def keras_optimizers() -> dict[str, Array]:
    """Variables after half and all of the steps and the state between, from Keras on JAX in float64."""
    keras, jax = _keras("jax"), import_module("jax")
    found: dict[str, Array] = {}
    for case in cases.KERAS:
        optimizer = getattr(keras.optimizers, case.make)(learning_rate=case.rate, **case.arguments)
        variables = [keras.Variable(cases.VARIABLES[path], dtype="float64", name="v") for path in case.paths]
        optimizer.build(variables)
        values, state = [one.value for one in variables], [one.value for one in optimizer.variables]
        apply = jax.jit(optimizer.stateless_apply)
        found[f"{case.name}/config"] = np.asarray(json.dumps(optimizer.get_config()))
        for at, gradients in enumerate(cases.GRADIENTS):
            if at == cases.HALF:
                found |= _state(case, values, state)
            values, state = apply(state, [jax.numpy.asarray(gradients[path]) for path in case.paths], values)
        found |= {f"{case.name}/{path}": np.asarray(v) for path, v in zip(case.paths, values, strict=True)}
    return found | _scaled(keras, jax.numpy)


def _state(case: Any, values: list[Any], state: list[Any]) -> dict[str, Array]:
    half = {f"{case.name}/half/{path}": np.asarray(v) for path, v in zip(case.paths, values, strict=True)}
    return half | {f"{case.name}/state/{at}": np.asarray(one) for at, one in enumerate(state)}


def tf_optimizers() -> dict[str, Array]:
    """The same from tf_keras, whose optimizers round their decays to float32."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    tf, keras = import_module("tensorflow"), import_module("tf_keras")
    found: dict[str, Array] = {}
    for case in cases.TF_KERAS:
        package = keras.optimizers.legacy if case.name.startswith("legacy") else keras.optimizers
        optimizer = getattr(package, case.make)(learning_rate=case.rate, **case.arguments)
        variables = [tf.Variable(cases.VARIABLES[path], dtype="float64", name=path) for path in case.paths]
        for at, gradients in enumerate(cases.GRADIENTS):
            if at == cases.HALF:
                state = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
                found |= _state(case, variables, list(state))
                found[f"{case.name}/config"] = np.asarray(json.dumps(optimizer.get_config(), default=float))
            own = [tf.constant(gradients[path]) for path in case.paths]
            optimizer.apply_gradients(zip(own, variables, strict=True))
        found |= {f"{case.name}/{path}": np.asarray(v) for path, v in zip(case.paths, variables, strict=True)}
    return found


def keras_nodes() -> dict[str, Array]:
    """How Keras serializes its losses, metrics and schedules."""
    keras = _keras("jax")
    keras.config.set_floatx("float32")
    nodes: list[Any] = []
    for case in [*cases.LOSSES, *cases.METRICS, *cases.SCHEDULES]:
        package = keras.optimizers.schedules if case.kind == "schedules" else getattr(keras, case.kind)
        named = {"name": "mine"} if len(nodes) % 3 == 0 else {}
        made = getattr(package, case.keras)(**case.arguments, **named)
        nodes.append([case.kind, keras.saving.serialize_keras_object(made)])
    for kind, made in [
        ("losses", keras.losses.mean_squared_error),
        ("metrics", keras.losses.huber),
        ("metrics", keras.metrics.binary_accuracy),
        ("metrics", keras.metrics.MeanMetricWrapper(keras.losses.huber, name="h", delta=0.3)),
    ]:
        nodes.append([kind, keras.saving.serialize_keras_object(made)])
    return {"nodes": np.asarray(json.dumps(nodes))}


def _scaled(keras: Any, numpy: Any) -> dict[str, Array]:
    """A scaler of the loss that meets gradients which are not finite."""
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), 16.0, dynamic_growth_steps=3)
    variable = keras.Variable(cases.VARIABLES["dense/bias"], dtype="float64", name="v")
    optimizer.build([variable])
    names = [one.name for one in optimizer.variables]
    values, state = [variable.value], [one.value for one in optimizer.variables]
    scales = []
    for at, gradients in enumerate(cases.GRADIENTS[:12]):
        scale = float(state[names.index("dynamic_scale")])
        gradient = np.where(at in (4, 6), np.inf, gradients["dense/bias"] * scale)
        values, state = optimizer.stateless_apply(state, [numpy.asarray(gradient)], values)
        scales.append(scale)
    return {"loss_scale/value": np.asarray(values[0]), "loss_scale/scales": np.asarray(scales)}


def torch_optimizers() -> dict[str, Array]:
    """Variables after all steps, by case and path, from torch in float64."""
    torch = import_module("torch")
    found: dict[str, Array] = {}
    for case in cases.TORCH:
        variables = [torch.nn.Parameter(torch.tensor(cases.VARIABLES[path])) for path in case.paths]
        optimizer = getattr(torch.optim, case.make)(variables, lr=case.rate, **case.arguments)
        for gradients in cases.GRADIENTS:
            for path, variable in zip(case.paths, variables, strict=True):
                variable.grad = torch.tensor(gradients[path])
            optimizer.step()
        found |= {f"{case.name}/{path}": v.detach().numpy() for path, v in zip(case.paths, variables, strict=True)}
    return found


def optax_optimizers() -> dict[str, Array]:
    """Variables after all steps, by case and path, from optax in float64."""
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    optax = import_module("optax")
    names = {"optax": optax, "cosine": optax.cosine_decay_schedule(0.05, 100)}
    found: dict[str, Array] = {}
    for case in cases.OPTAX:
        transformation = eval(case.make, names)
        variables = {path: jax.numpy.asarray(cases.VARIABLES[path]) for path in case.paths}
        state, update = transformation.init(variables), jax.jit(transformation.update)
        for gradients in cases.GRADIENTS:
            own = {path: jax.numpy.asarray(gradients[path]) for path in case.paths}
            changes, state = update(own, state, variables)
            variables = optax.apply_updates(variables, changes)
        found |= {f"{case.name}/{path}": np.asarray(value) for path, value in variables.items()}
    return found


def keras_objects() -> dict[str, Array]:
    """What losses, metrics, schedules, regularizers and constraints give, from Keras on TensorFlow in float64."""
    keras = _keras("tensorflow")
    found: dict[str, Array] = {}
    for case in cases.LOSSES:
        data = [cases.DATA[name] for name in case.data]
        for reduction, name in cases.REDUCTIONS.items():
            loss = getattr(keras.losses, case.keras)(reduction=name, dtype="float64", **case.arguments)
            found[f"{case.name}/{reduction}"] = np.asarray(loss(*data))
            if case.weighted:
                weights = cases.weights_for(case)
                found[f"{case.name}/{reduction}/weighted"] = np.asarray(loss(*data, sample_weight=weights))
    for case in cases.METRICS:
        for weights in (None, cases.WEIGHTS):
            told = {} if "IoU" in case.keras else {"dtype": "float64"}
            metric = getattr(keras.metrics, case.keras)(**case.arguments, **told)
            weight = weights if weights is None or told else np.round(weights * 3).astype(int)
            # TensorFlow finds the top k of float32 alone.
            dtype = "float32" if "TopK" in case.keras else None
            data = [np.asarray(cases.DATA[name], dtype) for name in case.data]
            metric.update_state(*data, sample_weight=weight)
            metric.update_state(*[item[::-1].copy() for item in data])
            kind = "plain" if weights is None else "weighted"
            found[f"{case.name}/{kind}"] = np.asarray(metric.result())
            for variable in metric.variables:
                found[f"{case.name}/{kind}/{variable.name}"] = np.asarray(variable)
    for case in cases.SCHEDULES:
        schedule = getattr(keras.optimizers.schedules, case.keras)(**case.arguments)
        found[case.name] = np.asarray([float(schedule(int(clock))) for clock in cases.DATA["clocks"]])
    for case in cases.PARTS:
        made = getattr(getattr(keras, case.kind), case.keras)(**case.arguments)
        # The factor of this one is a float32, which TensorFlow does not multiply with a float64.
        dtype = "float32" if case.keras == "OrthogonalRegularizer" else "float64"
        found[case.name] = np.asarray(made(keras.ops.convert_to_tensor(cases.DATA[case.data[0]], dtype)))
    return found


def _keras(backend: str) -> Any:
    os.environ["KERAS_BACKEND"] = backend
    if backend == "jax":
        import_module("jax").config.update("jax_enable_x64", True)
    keras = import_module("keras")
    keras.config.set_floatx("float64")
    return keras


SIDES = {
    "keras": keras_optimizers,
    "tf_keras": tf_optimizers,
    "nodes": keras_nodes,
    "torch": torch_optimizers,
    "optax": optax_optimizers,
    "objects": keras_objects,
}

if __name__ == "__main__":
    answers: dict[str, Any] = SIDES[sys.argv[1]]()
    np.savez(sys.argv[2], **answers)
