"""Update rules of the core vocabulary that optax's own transformations do not express, as optax transformations.

Each rule takes gradients and gives the final updates, the rate included: `optax.apply_updates(params, updates)` is the
next state of the parameters. The state of each is a named tuple of a count of updates and of one tree, shaped as the
parameters, for each slot, under the slot's name in the core vocabulary (SPEC.md annex K.5, whose formulas these are).

Every rule computes in the dtype of the variable, also the powers of its decay rates, as Keras does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from etui.errors import error

Tree = Any
Rate = float | Callable[[Any], Any]
"""A constant rate, or a function from the count of completed updates to the rate of the next."""


def rate_at(rate: Rate, count: Any, dtype: Any) -> Any:
    """The rate of the update after `count` others, in a variable's dtype."""
    value = rate(count) if callable(rate) else rate
    return jnp.asarray(value, dtype)


class AdamState(NamedTuple):
    """Adam with another epsilon than optax has."""

    count: Any
    momentum: Tree
    velocity: Tree


class AmsgradState(NamedTuple):
    """AMSGrad."""

    count: Any
    momentum: Tree
    velocity: Tree
    velocity_hat: Tree


class SgdState(NamedTuple):
    """Momentum with dampening."""

    count: Any
    momentum: Tree


class AdagradState(NamedTuple):
    """Adagrad with epsilon outside of the root, or a rate that falls."""

    count: Any
    accumulator: Tree


class AdamaxState(NamedTuple):
    """Adamax whose epsilon is added after the maximum."""

    count: Any
    momentum: Tree
    norm: Tree


class NadamState(NamedTuple):
    """NAdam with a schedule of momentum; `u_product` is of the optimizer as a whole."""

    count: Any
    u_product: Any
    momentum: Tree
    velocity: Tree


class FtrlState(NamedTuple):
    """Follow the regularized leader."""

    count: Any
    accumulator: Tree
    linear: Tree


class AdafactorState(NamedTuple):
    """Adafactor; `r` and `c` are scalars for variables of less than two axes."""

    count: Any
    r: Tree
    c: Tree
    v: Tree


class ScheduleFreeAdamState(NamedTuple):
    """Schedule-free AdamW: `momentum` is the sequence that the gradients move, the variables lie on the way to it."""

    count: Any
    momentum: Tree
    velocity: Tree


class MatrixState(NamedTuple):
    """Muon's part for matrices."""

    count: Any
    momentum: Tree


def per_variable(
    state: Callable[..., Any],
    fresh: Sequence[Callable[[Any], Any]],
    step: Callable[..., tuple[Any, ...]],
) -> optax.GradientTransformation:
    """A transformation that treats each variable alone.

    Args:
        state: class of the state: a count, then one tree for each slot.
        fresh: for each slot, what makes it for a variable.
        step: from gradient, variable, count of completed updates and slots to the update and the new slots.
    """

    def init(params: Tree) -> Any:
        return state(jnp.zeros((), jnp.int32), *(jax.tree.map(make, params) for make in fresh))

    def update(updates: Tree, old: Any, params: Tree = None) -> tuple[Tree, Any]:
        shape, columns = _columns(updates, params, old[1:])
        rows = [step(jnp.asarray(g, p.dtype), p, old.count, *slots) for g, p, *slots in zip(*columns, strict=True)]
        trees = [shape.unflatten([row[index] for row in rows]) for index in range(len(fresh) + 1)]
        return trees[0], state(optax.safe_increment(old.count), *trees[1:])

    return optax.GradientTransformation(init, update)


def _columns(updates: Tree, params: Tree, slots: Sequence[Tree]) -> tuple[Any, list[list[Any]]]:
    """The structure of the gradients; gradients, variables and slots as lists of one length."""
    if params is None:
        raise error("jax-params", found="`update` without `params`")
    leaves, shape = jax.tree.flatten(updates)
    return shape, [leaves, *(shape.flatten_up_to(tree) for tree in (params, *slots))]


def adam(
    learning_rate: Rate,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    epsilon_mode: str = "uncorrected",
    epsilon_root: float = 0.0,
    amsgrad: bool = False,
    amsgrad_max_of: str = "raw",
) -> optax.GradientTransformation:
    """Adam and AMSGrad with each place that epsilon and the maximum may have."""

    def step(g: Any, p: Any, count: Any, m: Any, v: Any, *hat: Any) -> tuple[Any, ...]:
        rate, t = rate_at(learning_rate, count, p.dtype), (count + 1).astype(p.dtype)
        left_1, left_2 = 1 - _power(beta_1, t), 1 - _power(beta_2, t)
        m = m + (g - m) * (1 - beta_1)
        v = v + (g * g - v) * (1 - beta_2)
        largest = v
        if hat:
            corrected = amsgrad_max_of == "corrected"
            largest = jnp.maximum(hat[0], v / left_2 if corrected else v)
            hat = (largest,)
            largest = largest * left_2 if corrected else largest
        if epsilon_mode == "corrected":
            update = (m / left_1) / (jnp.sqrt(largest / left_2 + epsilon_root) + epsilon)
        else:
            update = m * jnp.sqrt(left_2) / left_1 / (jnp.sqrt(largest) + epsilon)
        return -rate * update, m, v, *hat

    slots = [jnp.zeros_like] * (3 if amsgrad else 2)
    return per_variable(AmsgradState if amsgrad else AdamState, slots, step)


def _power(base: float, exponent: Any) -> Any:
    """A power in the dtype of the exponent."""
    return jnp.power(jnp.asarray(base, exponent.dtype), exponent)


def sgd(
    learning_rate: Rate, *, momentum: float, nesterov: bool = False, dampening: float = 0.0
) -> optax.GradientTransformation:
    """Momentum as a buffer: b = μb + (1 − dampening)g, which the first gradient fills as it is."""

    def step(g: Any, p: Any, count: Any, b: Any) -> tuple[Any, ...]:
        rate = rate_at(learning_rate, count, p.dtype)
        b = jnp.where(count == 0, g, momentum * b + (1 - dampening) * g)
        return -rate * (g + momentum * b if nesterov else b), b

    return per_variable(SgdState, [jnp.zeros_like], step)


def adagrad(
    learning_rate: Rate,
    *,
    initial_accumulator: float = 0.1,
    epsilon: float = 1e-7,
    epsilon_mode: str = "inside",
    rate_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Adagrad whose epsilon may be outside of the root, and whose rate may fall as η / (1 + (t − 1)·rate_decay)."""

    def step(g: Any, p: Any, count: Any, total: Any) -> tuple[Any, ...]:
        rate = rate_at(learning_rate, count, p.dtype) / (1 + count.astype(p.dtype) * rate_decay)
        total = total + g * g
        inside = epsilon_mode == "inside"
        root = jnp.sqrt(total + epsilon) if inside else jnp.sqrt(total) + epsilon
        return -rate * g / root, total

    return per_variable(AdagradState, [lambda p: jnp.full_like(p, initial_accumulator)], step)


def adamax(
    learning_rate: Rate, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7
) -> optax.GradientTransformation:
    """Adamax whose epsilon is added to the maximum."""

    def step(g: Any, p: Any, count: Any, m: Any, u: Any) -> tuple[Any, ...]:
        rate, t = rate_at(learning_rate, count, p.dtype), (count + 1).astype(p.dtype)
        m = m + (g - m) * (1 - beta_1)
        u = jnp.maximum(beta_2 * u, jnp.abs(g))
        return -rate * m / ((1 - _power(beta_1, t)) * (u + epsilon)), m, u

    return per_variable(AdamaxState, [jnp.zeros_like, jnp.zeros_like], step)


def nadam(
    learning_rate: Rate,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    epsilon_mode: str = "corrected",
    schedule_decay: float = 1.0,
    schedule_base: float = 0.96,
) -> optax.GradientTransformation:
    """NAdam: u_t = β1·(1 − ½·base^(t·decay)), and the product of all u_t so far corrects the momentum."""

    def beta_at(t: Any) -> Any:
        return beta_1 * (1 - 0.5 * _power(schedule_base, t * schedule_decay))

    def init(params: Tree) -> NadamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return NadamState(jnp.zeros((), jnp.int32), jnp.ones((), _float_dtype(params)), zeros, zeros)

    def update(updates: Tree, old: NadamState, params: Tree = None) -> tuple[Tree, NadamState]:
        shape, columns = _columns(updates, params, (old.momentum, old.velocity))
        product = old.u_product * beta_at((old.count + 1).astype(old.u_product.dtype))
        rows = []
        for gradient, p, m, v in zip(*columns, strict=True):
            g, t, so_far = jnp.asarray(gradient, p.dtype), (old.count + 1).astype(p.dtype), product.astype(p.dtype)
            rate, now, after = rate_at(learning_rate, old.count, p.dtype), beta_at(t), beta_at(t + 1)
            m_new = m + (g - m) * (1 - beta_1)
            v_new = v + (g * g - v) * (1 - beta_2)
            ahead = after * m_new / (1 - so_far * after) + (1 - now) * g / (1 - so_far)
            left_2 = 1 - _power(beta_2, t)
            if epsilon_mode == "corrected":
                change = ahead / (jnp.sqrt(v_new / left_2) + epsilon)
            else:
                change = ahead * jnp.sqrt(left_2) / (jnp.sqrt(v_new) + epsilon)
            rows.append((-rate * change, m_new, v_new))
        trees = [shape.unflatten([row[index] for row in rows]) for index in range(3)]
        return trees[0], NadamState(optax.safe_increment(old.count), product, *trees[1:])

    return optax.GradientTransformation(init, update)


def _float_dtype(params: Tree) -> Any:
    """The widest dtype of the variables, at least float32."""
    return jnp.result_type(jnp.float32, *(leaf.dtype for leaf in jax.tree.leaves(params)))


def ftrl(
    learning_rate: Rate,
    *,
    learning_rate_power: float = -0.5,
    initial_accumulator: float = 0.1,
    l1: float = 0.0,
    l2: float = 0.0,
    l2_shrinkage: float = 0.0,
    beta: float = 0.0,
) -> optax.GradientTransformation:
    """Follow the regularized leader, as Keras has it."""

    def step(g: Any, p: Any, count: Any, total: Any, linear: Any) -> tuple[Any, ...]:
        rate = rate_at(learning_rate, count, p.dtype)
        grown = total + g * g
        power, before = jnp.power(grown, -learning_rate_power), jnp.power(total, -learning_rate_power)
        linear = linear + g + 2 * l2_shrinkage * p - (power - before) / rate * p
        quadratic = power / rate + 2 * (l2 + beta / (2 * rate))
        return (jnp.clip(linear, -l1, l1) - linear) / quadratic - p, grown, linear

    return per_variable(FtrlState, [lambda p: jnp.full_like(p, initial_accumulator), jnp.zeros_like], step)


def adafactor(
    learning_rate: Rate,
    *,
    beta_2_decay: float = -0.8,
    epsilon_1: float = 1e-30,
    epsilon_2: float = 1e-3,
    clip_threshold: float = 1.0,
    relative_step: bool = True,
) -> optax.GradientTransformation:
    """Adafactor over the last two axes. With a schedule the rate is not bounded by 1/√t before its own bound is."""

    def step(g: Any, p: Any, count: Any, *slots: Any) -> tuple[Any, ...]:
        r, c, v = slots
        rate, t = rate_at(learning_rate, count, p.dtype), (count + 1).astype(p.dtype)
        if relative_step and not callable(learning_rate):
            rate = jnp.minimum(rate, 1 / jnp.sqrt(t))
        scale = jnp.maximum(epsilon_2, _rms(p)) * jnp.minimum(rate, 1 / jnp.sqrt(t))
        keep = 1 - jnp.power(t, jnp.asarray(beta_2_decay, p.dtype))
        square = g * g + epsilon_1
        if p.ndim < 2:
            v = keep * v + (1 - keep) * square
        else:
            r = keep * r + (1 - keep) * jnp.mean(square, axis=-1)
            c = keep * c + (1 - keep) * jnp.mean(square, axis=-2)
            v = (r / jnp.mean(r, axis=-1, keepdims=True))[..., None] * c[..., None, :]
        change = g / jnp.sqrt(v)
        return -scale * change / jnp.maximum(1, _rms(change) / clip_threshold), r, c, v

    def rows(p: Any) -> Any:
        return jnp.zeros(p.shape[:-1] if p.ndim > 1 else (), p.dtype)

    def columns(p: Any) -> Any:
        return jnp.zeros(p.shape[:-2] + p.shape[-1:] if p.ndim > 1 else (), p.dtype)

    return per_variable(AdafactorState, [rows, columns, jnp.zeros_like], step)


def _rms(x: Any) -> Any:
    return jnp.sqrt(jnp.mean(x * x))


def muon(
    learning_rate: Rate,
    *,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_steps: int = 5,
    ns_coefficients: Sequence[float] = (3.4445, -4.775, 2.0315),
    rms_rate: float | None = 0.2,
) -> optax.GradientTransformation:
    """Muon for matrices: the momentum, a sum of raw gradients, made nearly orthogonal by Newton–Schulz steps."""
    a, b, c = ns_coefficients

    def step(g: Any, p: Any, count: Any, m: Any) -> tuple[Any, ...]:
        m = momentum * m + g
        x = g + momentum * m if nesterov else m
        tall = x.shape[-2] > x.shape[-1]
        x = jnp.swapaxes(x, -1, -2) if tall else x
        x = x / (jnp.sqrt(jnp.sum(x * x, axis=(-2, -1), keepdims=True)) + 1e-7)
        for _ in range(ns_steps):
            gram = x @ jnp.swapaxes(x, -1, -2)
            x = a * x + (b * gram + c * gram @ gram) @ x
        x = jnp.swapaxes(x, -1, -2) if tall else x
        size = 1.0 if rms_rate is None else rms_rate * max(p.shape[0], p.shape[1]) ** 0.5
        return -rate_at(learning_rate, count, p.dtype) * size * x, m

    return per_variable(MatrixState, [jnp.zeros_like], step)


def schedule_free_adamw(
    learning_rate: Rate, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, warmup_steps: int = 0
) -> optax.GradientTransformation:
    """Schedule-free AdamW: z moves by gradients, x is the mean of all z, and p = (1 − β1)z + β1·x is trained."""

    def step(g: Any, p: Any, count: Any, z: Any, v: Any) -> tuple[Any, ...]:
        rate, t = rate_at(learning_rate, count, p.dtype), (count + 1).astype(p.dtype)
        if warmup_steps:
            rate = rate * jnp.minimum(t / warmup_steps, 1)
        v = v + (g * g - v) * (1 - beta_2)
        moved = z - rate * g / (jnp.sqrt(v / (1 - _power(beta_2, t))) + epsilon)
        mean = (p - (1 - beta_1) * z) / beta_1
        mean = (1 - 1 / t) * mean + moved / t
        return (1 - beta_1) * moved + beta_1 * mean - p, moved, v

    return per_variable(ScheduleFreeAdamState, [jnp.array, jnp.zeros_like], step)
