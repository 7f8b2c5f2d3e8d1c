"""The library's own codes of JAX, PyTorch and the evaluation of core graphs."""

from __future__ import annotations

from etui.error_codes.entry import CALLER, Rows

ROWS: Rows = {
    # Annex N, JAX
    "jax-params": (
        "usage",
        None,
        "an optimizer that needs the parameters",
        "Call `tx.update(gradients, state, params)`.",
    ),
    "jax-argument": ("usage", None, "an argument that makes no sense here", CALLER),
    "jax-leaf": ("transfer", None, "a leaf that no variable can hold", "Leave it out of the tree."),
    "jax-optimizer": ("transfer", None, "an optimizer that optax cannot continue", "See the report."),
    "jax-state": ("transfer", None, "a state of optax that contradicts itself", "Save the optimizers one by one."),
    "extra-jax": ("extra", None, "JAX or optax is not installed", 'Run `pip install "etui[jax]"`.'),
    "extra-flax": ("extra", None, "Flax is not installed", "Run `pip install flax`."),
    "extra-orbax": ("extra", None, "orbax-checkpoint is not installed", 'Run `pip install "etui[orbax]"`.'),
    # Annex N.1, functions of JAX
    "jax-op": ("transfer", None, "what JAX cannot run", "Remove it from the model, or run it before the function."),
    "jax-parts": ("transfer", None, "a model that is no function", "Give a model with its config and weights."),
    "jax-variables": ("transfer", None, "variables that do not fit the function", "Pass its `params` and `state`."),
    "jax-inputs": ("usage", None, "other inputs than the model takes", CALLER),
    "jax-rng": ("usage", None, "a random op that trains without a key", "Pass `rng=jax.random.key(…)`."),
    # Annex M.1, PyTorch: modules from core graphs
    "torch-op": (
        "transfer",
        None,
        "an op that no torch module stands for",
        "Replace the layer by ones of the core vocabulary, or keep the model in its own framework.",
    ),
    "torch-value": ("transfer", None, "an attribute that torch cannot honour", "Change the attribute."),
    "torch-variable": ("transfer", None, "variables that the module cannot have", "Change the weights."),
    "torch-dtype": ("transfer", None, "a dtype that the other side does not have", "Convert the weights."),
    "torch-optimizer": ("usage", None, "an optimizer that cannot be made so", CALLER),
    "torch-optimizer-rule": (
        "transfer",
        None,
        "an optimizer that is none of the core vocabulary",
        "Load the module alone, or make an optimizer of torch.",
    ),
    "torch-module-type": ("usage", None, "not a module of torch", CALLER),
    "torch-map": ("usage", None, "a map of names that cannot be meant", CALLER),
    "torch-nothing": ("transfer", None, "not one variable for the other side", "Name the variables with `map`."),
    "extra-torch": ("extra", None, "PyTorch is not installed", 'Run `pip install "etui[torch]"`.'),
    "torch-loss": ("transfer", None, "a loss that is none of the core vocabulary", "Take a loss of torch."),
    "torch-module": ("usage", None, "not a module that `etui.torch.to_module` made", "Build it with `to_module`."),
    "torch-shape": ("transfer", None, "an array of another shape than its variable", "Change the array."),
    "torch-trace": (
        "transfer",
        None,
        "a torch module that has no core graph",
        "Save its weights alone, or write that part of it with layers and functions that are known.",
    ),
    "torch-call": (
        "usage",
        None,
        "inputs that the module does not take",
        "Pass them as the model's inputs are nested.",
    ),
    "core-op": (
        "transfer",
        None,
        "an op that the core vocabulary does not define",
        "Translate the model with `etui.to_core`; its report lists what has no core equal.",
    ),
    "core-input": ("usage", None, "other inputs than the model takes", CALLER),
    "core-evaluate": ("usage", None, "tensors or arguments that the op cannot take", CALLER),
    "box-form": ("usage", None, "a box that is not one slice of step 1 per dimension", CALLER),
}
