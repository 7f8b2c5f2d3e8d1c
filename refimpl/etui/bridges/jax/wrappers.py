"""What surrounds an update rule: unscaling, clipping, decay, accumulation, averages, constraints, loss scaling.

The order within a step is that of SPEC.md annex K.4: unscale, accumulate, clip, decay, update, average, constrain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from etui.bridges.jax.transforms import Rate, Tree, rate_at
from etui.errors import error


class DecayState(NamedTuple):
    """Decoupled decay before an inner rule."""

    count: Any
    inner: Any


class AccumulationState(NamedTuple):
    """The sum of the gradients since the last update."""

    micro_step: Any
    gradient_accumulator: Tree
    inner: Any


class AverageState(NamedTuple):
    """The moving average of the variables."""

    micro_step: Any
    average: Tree


class ClockState(NamedTuple):
    """Completed updates, and gradients seen."""

    step: Any
    micro_step: Any


class LossScaleState(NamedTuple):
    """A scale of the loss that grows until a gradient is not finite."""

    step_counter: Any
    dynamic_scale: Any
    inner: Any


def unscale(factor: float) -> optax.GradientTransformation:
    """Divide the gradients by the factor with which the loss was multiplied."""
    return optax.stateless(lambda updates, _: jax.tree.map(lambda g: g / factor, updates))


def clip(
    *,
    value: float | None = None,
    norm: float | None = None,
    global_norm: float | None = None,
    epsilon: float = 0.0,
) -> optax.GradientTransformation:
    """Clip gradients: g·min(1, c/(‖g‖ + ε)), per variable or over all; by value, each element."""

    def scale(limit: float, squares: Any) -> Any:
        length = jnp.sqrt(squares) + epsilon
        return limit / jnp.maximum(length, limit)

    def clipped(updates: Tree, _: Tree) -> Tree:
        if value is not None:
            updates = jax.tree.map(lambda g: jnp.clip(g, -value, value), updates)
        if norm is not None:
            updates = jax.tree.map(lambda g: g * scale(norm, jnp.sum(g * g)), updates)
        if global_norm is not None:
            total = sum(jnp.sum(g * g) for g in jax.tree.leaves(updates))
            updates = jax.tree.map(lambda g: g * scale(global_norm, total).astype(g.dtype), updates)
        return updates

    return optax.stateless(clipped)


def decayed(
    inner: optax.GradientTransformation, learning_rate: Rate, weight_decay: float, kept: Tree
) -> optax.GradientTransformation:
    """Decoupled decay: p −= ηλp first; the inner rule then sees the smaller variables.

    Args:
        inner: gives the final updates.
        learning_rate: as for the inner rule.
        weight_decay: λ.
        kept: function from the variables to a tree of flags: which of them decay.
    """

    def init(params: Tree) -> DecayState:
        return DecayState(jnp.zeros((), jnp.int32), inner.init(params))

    def update(updates: Tree, old: DecayState, params: Tree = None) -> tuple[Tree, DecayState]:
        params = _given(params)

        def smaller(p: Any, chosen: bool) -> Any:
            return p - p * weight_decay * rate_at(learning_rate, old.count, p.dtype) if chosen else p

        before = jax.tree.map(smaller, params, kept(params))
        changes, state = inner.update(updates, old.inner, before)
        total = jax.tree.map(lambda change, p, q: change + (q - p), changes, params, before)
        return total, DecayState(optax.safe_increment(old.count), state)

    return optax.GradientTransformation(init, update)


def _given(params: Tree) -> Tree:
    if params is None:
        raise error("jax-params", found="`update` without `params`")
    return params


def _as(tree: Tree, like: Tree) -> Tree:
    """A tree in the dtypes of another: with 64-bit types enabled, some rules of optax widen what they are given."""
    return jax.tree.map(lambda leaf, other: jnp.asarray(leaf, other.dtype), tree, like)


def accumulated(inner: optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """Update with the mean of `steps` gradients, and not at all in between."""

    def init(params: Tree) -> AccumulationState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AccumulationState(jnp.zeros((), jnp.int32), zeros, inner.init(params))

    def update(updates: Tree, old: AccumulationState, params: Tree = None) -> tuple[Tree, AccumulationState]:
        total = jax.tree.map(lambda g, so_far: so_far + g.astype(so_far.dtype), updates, old.gradient_accumulator)

        def apply(_: None) -> tuple[Tree, Tree, Any]:
            changes, state = inner.update(jax.tree.map(lambda g: g / steps, total), old.inner, params)
            return _as(changes, params), jax.tree.map(jnp.zeros_like, total), _as(state, old.inner)

        def wait(_: None) -> tuple[Tree, Tree, Any]:
            return jax.tree.map(jnp.zeros_like, _given(params)), total, old.inner

        last = (old.micro_step + 1) % steps == 0
        changes, total, state = jax.lax.cond(last, apply, wait, None)
        return changes, AccumulationState(optax.safe_increment(old.micro_step), total, state)

    return optax.GradientTransformation(init, update)


def averaged(
    momentum: float, *, overwrite_every: int | None = None, start: str = "first_step", accumulation_steps: int = 1
) -> optax.GradientTransformation:
    """Keep the moving average of the variables, at each gradient, and now and then put it in their place.

    Args:
        momentum: weight of the average so far.
        overwrite_every: after this many updates, the average takes the place of the variables.
        start: ``"first_step"``, the average is a copy of the variables until the first update is complete;
            ``"initial"``, it starts from the initial variables.
        accumulation_steps: gradients in an update.
    """

    def init(params: Tree) -> AverageState:
        make = jnp.array if start == "initial" else jnp.zeros_like
        return AverageState(jnp.zeros((), jnp.int32), jax.tree.map(make, params))

    def update(updates: Tree, old: AverageState, params: Tree = None) -> tuple[Tree, AverageState]:
        step = old.micro_step // accumulation_steps
        after = optax.apply_updates(_given(params), updates)

        def mean(p: Any, average: Any) -> Any:
            weight = momentum * jnp.asarray(True if start == "initial" else step != 0, p.dtype)
            return weight * average + (1 - weight) * p

        average = jax.tree.map(mean, after, old.average)
        if overwrite_every is not None:
            due = (step + 1) % overwrite_every == 0
            updates = jax.tree.map(lambda u, p, new: jnp.where(due, new - p, u), updates, params, average)
        return updates, AverageState(optax.safe_increment(old.micro_step), average)

    return optax.GradientTransformation(init, update)


def constrained(
    project: Callable[[Mapping[str, Any]], Mapping[str, Any]], names: Mapping[Any, str]
) -> optax.GradientTransformation:
    """Change the updates so that the next variables are what their constraints make of them.

    Args:
        project: from variables by path to what the constraints make of these.
        names: key path of each variable -> its path.
    """

    def update(updates: Tree, params: Tree) -> Tree:
        leaves, shape = jax.tree_util.tree_flatten_with_path(optax.apply_updates(_given(params), updates))
        after = project({names[keys]: leaf for keys, leaf in leaves})
        return jax.tree.map(lambda new, p: new - p, shape.unflatten([after[names[keys]] for keys, _ in leaves]), params)

    return optax.stateless(update)


def clock(accumulation_steps: int = 1) -> optax.GradientTransformation:
    """Count updates and gradients, which many rules do not; the updates pass as they are."""

    def init(_: Tree) -> ClockState:
        return ClockState(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))

    def update(updates: Tree, old: ClockState, params: Tree = None) -> tuple[Tree, ClockState]:
        del params
        seen = optax.safe_increment(old.micro_step)
        return updates, ClockState(old.step + (seen % accumulation_steps == 0), seen)

    return optax.GradientTransformation(init, update)


def loss_scaled(
    inner: optax.GradientTransformation,
    *,
    initial_scale: float = 32768.0,
    growth_steps: int = 2000,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
    minimum_scale: float = 0.0,
) -> optax.GradientTransformation:
    """Divide the gradients by a scale; where one is not finite, skip the step and lower the scale.

    After `growth_steps` steps without a skip the scale grows. The loss must have been multiplied by the scale of the
    state before the step: `loss_scale` gives it.
    """

    def init(params: Tree) -> LossScaleState:
        scale = jnp.asarray(initial_scale, jnp.float32)
        return LossScaleState(jnp.zeros((), jnp.int32), scale, inner.init(params))

    def update(updates: Tree, old: LossScaleState, params: Tree = None) -> tuple[Tree, LossScaleState]:
        leaves = jax.tree.leaves(updates)
        finite = jnp.all(jnp.asarray([jnp.all(jnp.isfinite(g)) for g in leaves]))

        def apply(_: None) -> tuple[Tree, Any, Any, Any]:
            raw = jax.tree.map(lambda g: g / old.dynamic_scale.astype(g.dtype), updates)
            changes, state = inner.update(raw, old.inner, params)
            grow = old.step_counter == growth_steps - 1
            counter = jnp.where(grow, 0, old.step_counter + 1)
            scale = jnp.where(grow, old.dynamic_scale * growth_factor, old.dynamic_scale)
            return _as(changes, params), counter, scale, _as(state, old.inner)

        def skip(_: None) -> tuple[Tree, Any, Any, Any]:
            nothing = jax.tree.map(jnp.zeros_like, _given(params))
            lower = jnp.maximum(old.dynamic_scale * backoff_factor, minimum_scale)
            return nothing, jnp.zeros_like(old.step_counter), lower, old.inner

        changes, counter, scale, state = jax.lax.cond(finite, apply, skip, None)
        return changes, LossScaleState(counter, scale, state)

    return optax.GradientTransformation(init, update)


def loss_scale(state: Any) -> Any:
    """The scale by which the loss is multiplied before its gradients are taken; 1 where a state has none."""
    if isinstance(state, LossScaleState):
        return state.dynamic_scale
    children = state.values() if isinstance(state, dict) else state if isinstance(state, (tuple, list)) else ()
    for child in children:
        found = loss_scale(child)
        if found is not None and not isinstance(found, float):
            return found
    return 1.0
