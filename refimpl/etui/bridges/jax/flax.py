"""Variables of Flax: collections of linen modules, and NNX modules with their random streams (SPEC.md annex N.2).

The leaves have the paths of the tree, as Flax names them: the four gates of a linen LSTM stay four kernels.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import jax
import numpy as np

from etui.bridges.jax import optax_read, optax_states, optax_write, placing, trees
from etui.bridges.jax.optax_write import MAIN
from etui.bridges.jax.resume import StrPath
from etui.bridges.jax.state import opened, stored_optimizer
from etui.bridges.jax.trees import KeyPath, Names
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.state import Rng, State
from etui.containers.weights import Weights
from etui.errors import error
from etui.model import Model
from etui.paths import escape_segment
from etui.report import Report
from etui.transfer import EXACT, Transfer

PARAMS = "params"
COUNTER = "flax:RngCount"


def from_linen(variables: Any, report: Report) -> Model:
    """The variables of a linen module; see `etui.jax.from_linen`."""
    from flax.core import meta

    plain = meta.unbox(variables)
    boxed = jax.tree_util.tree_leaves_with_path(variables, is_leaf=lambda node: isinstance(node, meta.AxisMetadata))
    for keys, leaf in boxed:
        if isinstance(leaf, meta.AxisMetadata):
            report.add(
                "variable", f"{trees.path_of(keys)}/names", "left-out", "names of axes are no part of a variable"
            )
    return trees.to_model(plain, report, trainable=lambda path, _: path.split("/", 1)[0] == PARAMS)


def _flat(module: Any) -> list[tuple[str, Any]]:
    """The variables of an NNX module by path, each once."""
    from flax import nnx

    if not isinstance(module, nnx.Module):
        raise error("jax-argument", found=f"a {type(module).__name__} for an NNX module")
    state = nnx.state(module)
    return [("/".join(escape_segment(str(key)) for key in keys), leaf) for keys, leaf in nnx.to_flat_state(state)]


def _value(variable: Any) -> Any:
    return variable.get_value() if hasattr(variable, "get_value") else variable.value


def from_nnx(module: Any, report: Report, *, optimizer: Any = None, description: Optimizer | None = None) -> Model:
    """The variables of an NNX module; see `etui.jax.from_nnx`."""
    from flax import nnx

    weights, state = Weights(), State()
    for path, variable in _flat(module):
        value = _value(variable)
        if isinstance(variable, nnx.RngKey) and placing.is_key(value):
            state.rng[path] = trees.key_state(value, path)
        elif isinstance(variable, nnx.RngState):
            state.rng[path] = Rng(COUNTER, placing.tensor_of(value, path))
        else:
            role = path.rsplit("/", 1)[-1]
            weights.add(path, placing.tensor_of(value, path), role=role, trainable=isinstance(variable, nnx.Param))
            report.add("variable", path, "restored")
            continue
        report.add("state", f"rng/{path}", "restored", state.rng[path].algorithm)
    model = Model(weights=weights, state=state if state.rng else None)
    if optimizer is not None:
        names = optimized(module, optimizer)
        made = optax_read.optimizer_of(optimizer.opt_state, names, report, description=description)
        model.optimizer = OptimizerState({MAIN: made})
        model.state = state
    return model


def optimized(module: Any, optimizer: Any) -> dict[KeyPath, str]:
    """The paths of the variables that an `nnx.Optimizer` has, by their key paths in its state."""
    from flax import nnx

    found = {}
    for keys, _ in jax.tree_util.tree_flatten_with_path(nnx.state(module, optimizer.wrt))[0]:
        inner = keys[:-1] if getattr(keys[-1], "name", None) == "value" else keys
        found[keys] = trees.path_of(inner)
    return found


def load_into_nnx(
    module: Any,
    path: StrPath | Model,
    names: Names,
    *,
    optimizer: Any,
    cast: bool,
    strict: bool,
    allow: Collection[str],
    report: Report,
) -> None:
    """Load into an NNX module; see `etui.jax.load_into_nnx`."""
    found = _flat(module)

    def of(model: Model) -> tuple[dict[str, Any], Any]:
        values = _values(model, found, names, report, cast=cast)
        if optimizer is None:
            if model.optimizer is not None:
                report.add("optimizer", MAIN, "left-out", "not asked for")
            return values, None
        variables = {keys: trees.renamed(p, names) for keys, p in optimized(module, optimizer).items()}
        source = stored_optimizer(model, report)
        report.add("optimizer", MAIN, "translated", "the rule is that of the module's own", Transfer(EXACT))
        return values, optax_write.filled(source, optimizer.opt_state, variables, report, {})

    values, opt_state = opened(path, of, report)
    if strict:
        report.require_complete(allow)
    own = own_variables(module)
    for place, value in values.items():
        own[place].set_value(value)
    if optimizer is not None:
        optimizer.opt_state = opt_state
        steps = [place.value for place in optax_states.places(opt_state, {}) if place.name == optax_states.STEP]
        if steps:
            step = optimizer.step
            step.set_value(jax.numpy.asarray(steps[0], _value(step).dtype))


def own_variables(module: Any) -> dict[str, Any]:
    """The module's own variables by path, of which a state holds copies."""
    from flax import nnx

    return {
        "/".join(escape_segment(str(key)) for key in keys): node
        for keys, node in nnx.iter_graph(module)
        if isinstance(node, nnx.Variable)
    }


def _values(model: Model, found: list[tuple[str, Any]], names: Names, report: Report, *, cast: bool) -> dict[str, Any]:
    """The new value of each variable that has one."""
    arrays = {path: _value(variable) for path, variable in found}
    counters = {path for path, variable in found if _is_counter(variable)}
    plain = {path: value for path, value in arrays.items() if path not in counters}
    taken: set[str] = set()
    values: dict[str, Any] = {}
    for path, leaf in plain.items():
        values[path] = trees.restored_leaf(model, trees.renamed(path, names), leaf, report, taken, cast=cast)
    for path in counters:
        values[path] = _counter(model, trees.renamed(path, names), arrays[path], report, taken)
    trees.account_unused(model, report, taken)
    return values


def _is_counter(variable: Any) -> bool:
    from flax import nnx

    return isinstance(variable, nnx.RngState) and not placing.is_key(_value(variable))


def _counter(model: Model, path: str, leaf: Any, report: Report, taken: set[str]) -> Any:
    rng: Rng | None = None if model.state is None else model.state.rng.get(path)
    if rng is None or rng.algorithm != COUNTER or rng.state.shape != np.shape(leaf):
        report.add("state", f"rng/{path}", "missing")
        return leaf
    taken.add(path)
    report.add("state", f"rng/{path}", "restored", rng.algorithm)
    return placing.like_leaf(rng.state.numpy().astype(leaf.dtype), leaf)
