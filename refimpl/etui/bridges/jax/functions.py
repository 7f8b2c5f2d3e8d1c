"""Pure JAX functions from core models: `etui.jax.to_function` (SPEC.md, annex N.1).

function = etui.jax.to_function("model.etui")
predictions = jax.jit(function.apply)(function.params, x)
outputs, state = function.apply(params, x, state=state, training=True, rng=key)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from etui import dtypes
from etui.bridges.jax.graph import Run, carry
from etui.bridges.jax.nodes import Node, compiled
from etui.containers.weights import Variable, Weights
from etui.core.vocabulary import is_core_config
from etui.errors import error, shown
from etui.model import Model
from etui.report import Report
from etui.transfer import EXACT, Transfer

Arrays = dict[str, jax.Array]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one pass gives.

    Attributes:
        outputs: in the nesting of the model.
        masks: of the outputs, in the order of the flattened outputs; `None` where there is none.
        state: the new state; the given one with what the pass changed.
        penalty: the sum of the penalties of the activity regularizers, each for one sample.
    """

    outputs: Any
    masks: list[Any]
    state: Arrays
    penalty: jax.Array


@dataclass(frozen=True, slots=True)
class Function:
    """A model as a pure function.

    Attributes:
        params: the trainable variables by path, a pytree.
        state: the other variables by path: moving statistics, frozen variables.
        model: the core model from which it was built.
        dtype: in which everything is computed; `None` for what the modules say.
        root: the model, ready to be called.
    """

    params: Arrays
    state: Arrays
    model: Model = field(repr=False)
    dtype: str | None = None
    root: Node = field(repr=False, kw_only=True)

    def apply(
        self,
        params: Mapping[str, jax.Array],
        *inputs: Any,
        state: Mapping[str, jax.Array] | None = None,
        training: bool = False,
        rng: jax.Array | None = None,
    ) -> Any:
        """Call the model; pure, so that `jax.jit`, `jax.grad` and `jax.vmap` take it (`training` is static).

        Args:
            params: the trainable variables by path.
            inputs: the model's inputs in their order, or one nesting of them as the model takes it.
            state: the other variables; by default those of the file.
            training: whether to train: batch statistics, dropout.
            rng: key of `jax.random` for dropout and noise.

        Returns:
            The outputs in the model's nesting; in training the pair of outputs and new state.

        Raises:
            UsageError: ``jax-inputs``, other inputs than the model takes; ``jax-rng``, a random op without `rng`.
            TransferError: ``jax-variables``, a variable is missing from `params` and `state`.
        """
        outcome = self._pass(params, inputs, state, training, rng, collects=False)
        return (outcome.outputs, outcome.state) if training else outcome.outputs

    def trace(
        self,
        params: Mapping[str, jax.Array],
        *inputs: Any,
        state: Mapping[str, jax.Array] | None = None,
        training: bool = False,
        rng: jax.Array | None = None,
    ) -> Outcome:
        """Call the model as `apply` does, and give all of the pass: also masks and penalties."""
        return self._pass(params, inputs, state, training, rng, collects=True)

    def _pass(
        self,
        params: Mapping[str, jax.Array],
        inputs: tuple[Any, ...],
        state: Mapping[str, jax.Array] | None,
        training: bool,
        rng: jax.Array | None,
        *,
        collects: bool,
    ) -> Outcome:
        known = dict(self.state if state is None else state)
        run = Run({**known, **params}, self.dtype, rng, collects=collects)
        outputs, masks = run.call(self.root, "", self._arguments(inputs), {}, training=training)
        known.update((path, value) for path, value in run.updates.items() if path not in params)
        return Outcome(outputs, [carried.mask for carried in carry(outputs, masks)], known, _total(run.penalties))

    def regularization(
        self,
        params: Mapping[str, jax.Array],
        *inputs: Any,
        state: Mapping[str, jax.Array] | None = None,
        training: bool = False,
        rng: jax.Array | None = None,
    ) -> jax.Array:
        """The sum of what the regularizers of `params` add to the loss, and with inputs those of outputs as well.

        Each variable counts once; an output's regularizer is divided by the size of the batch, once for each call.
        """
        found: dict[str, jax.Array] = {}
        for node in self.root.walk():
            for path, function in node.regularizers.items():
                if path in params and path not in found:
                    found[path] = function(params[path])
        total = _total(list(found.values()))
        if inputs:
            total = total + self.trace(params, *inputs, state=state, training=training, rng=rng).penalty
        return total

    def constrain(self, params: Mapping[str, jax.Array]) -> Arrays:
        """The parameters after their constraints, as an optimizer applies them behind an update."""
        functions = {path: function for node in self.root.walk() for path, function in node.constraints.items()}
        return {path: functions[path](value) if path in functions else value for path, value in params.items()}

    def _arguments(self, inputs: tuple[Any, ...]) -> list[Any]:
        """The inputs as one nesting; a map by the names of the input modules is taken, too."""
        graph = self.root.graph
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        if isinstance(given, Mapping) and graph is not None and not isinstance(graph.inputs, dict):
            from etui.canonical.values import references

            names = [getattr(reference, "call", "") for reference in references(graph.inputs)]
            if any(name not in given for name in names):
                raise error("jax-inputs", found=f"{shown(sorted(given))} for {shown(names)}")
            given = [given[name] for name in names]
        return [given]


def function_of(model: Model, *, dtype: str | None, strict: bool, report: Report) -> Function:
    """The pure function of a model, with its variables as JAX arrays; see `etui.jax.to_function`."""
    if model.config is None or model.weights is None:
        missing = "config" if model.config is None else "weights"
        raise error("jax-parts", found=f"a model without {missing}")
    if not is_core_config(model.config):
        from etui.translation import to_core

        model = to_core(model, report)
    config, weights = model.config, model.weights
    if config is None or weights is None:
        raise error("jax-parts", found="a translation without config or weights")
    root = compiled(config, weights)
    for node in root.walk():
        report.add("module", node.path or config.model.name, "translated", f"core:{node.op}", Transfer(EXACT))
    params, state = _arrays(weights, dtype, report)
    if strict:
        report.require_complete()
    return Function(params, state, model, dtype, root=root)


def _arrays(weights: Weights, dtype: str | None, report: Report) -> tuple[Arrays, Arrays]:
    """The variables as arrays of JAX, those that train and the others; the report says which were cast."""
    params: Arrays = {}
    state: Arrays = {}
    for path, variable in weights.variables.items():
        array = _array(path, variable, dtype)
        (params if variable.trainable else state)[path] = array
        if array.dtype.name == variable.dtype:
            report.add("variable", path, "restored")
        else:
            why = "" if dtype == array.dtype.name else ": jax_enable_x64 is off"
            report.add("variable", path, "cast", f"{variable.dtype} to {array.dtype.name}{why}")
    for alias in weights.aliases:
        report.add("variable", alias, "aliased", weights.resolve(alias))
    return params, state


def _array(path: str, variable: Variable, dtype: str | None) -> jax.Array:
    known = dtypes.by_name(variable.dtype, path).numpy
    if known.hasobject:
        raise error("jax-variables", where=path, found=f"a variable of the dtype {variable.dtype}")
    if dtype is not None and jnp.issubdtype(known, jnp.floating):
        known = jnp.dtype(dtype)
    return jnp.array(variable.numpy(), dtype=jax.dtypes.canonicalize_dtype(known))


def _total(values: list[jax.Array]) -> jax.Array:
    total = jnp.zeros((), jnp.float32)
    for value in values:
        total = total + value
    return total
