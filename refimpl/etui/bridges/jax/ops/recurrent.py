"""Recurrent ops by `lax.scan`, and the wrappers of time (SPEC.md, annex J.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from etui.bridges.jax.ops.randomness import dropped, needed
from etui.bridges.jax.ops.registry import Activation, Array, Mask, op

States = tuple[Array, ...]
Step = Callable[[States, Array], States]
"""The new states, the output first, of the states and what a time step brings."""
Drops: TypeAlias = Array | None
"""Factors [gates or 1, batch, size] that drop parts of a tensor, for each gate or for all of them."""
Result = tuple[tuple[Any, Mask], dict[str, Array]]


def _scan(step: Step, states: States, x: Array, mask: Mask, *, backwards: bool, zeroes: bool) -> tuple[Array, States]:
    """Outputs [batch, time, units] in the order of the steps, and the last states.

    A masked step leaves the states as they are; its output is the state before it, or zero.
    """

    def advance(before: States, brought: Any) -> tuple[States, Array]:
        now, kept = brought
        after = step(before, now)
        if kept is None:
            return after, after[0]
        after = tuple(jnp.where(kept, new, old) for new, old in zip(after, before, strict=True))
        return after, jnp.where(kept, after[0], 0) if zeroes else after[0]

    kept = None if mask is None else jnp.swapaxes(mask.astype(bool), 0, 1)[..., None]
    last, outputs = lax.scan(advance, states, (jnp.swapaxes(x, 0, 1), kept), reverse=backwards)
    outputs = jnp.flip(outputs, axis=0) if backwards else outputs
    return jnp.swapaxes(outputs, 0, 1), last


def _recurrent(
    x: Array,
    initial: tuple[Any, ...],
    keywords: Mapping[str, Any],
    step_of: Callable[[Array, Drops, Drops], tuple[Step, Array]],
    *,
    roles: Sequence[str],
    gates: int,
) -> Result:
    """What the recurrent ops share: initial states, dropout, masks, and which outputs are given.

    Args:
        x: [batch, time, in].
        initial: states given as inputs.
        keywords: attributes and arguments of the call.
        step_of: makes the step, and what each time brings, of x and the factors that drop parts of x and of h.
        roles: names of the states.
        gates: their number.
    """
    units, training = keywords["units"], keywords["training"]
    mask = keywords["mask"]
    mask = mask[0] if isinstance(mask, list | tuple) else mask
    given = list(initial) or keywords.get("initial_state")
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    if given is None:
        zeros = jnp.zeros((x.shape[0], units), x.dtype)
        given = [zeros if keywords.get(role) is None else keywords[role] for role in roles]
    states = tuple(jnp.asarray(state).astype(x.dtype) for state in (given if isinstance(given, list) else [given]))
    drops: list[Drops] = [None, None]
    if training and (keywords["dropout"] or keywords["recurrent_dropout"]):
        each = gates if keywords["recurrent_dropout"] else 1
        keys = jax.random.split(needed(keywords["rng"], keywords["where"]))
        for place, (name, like) in enumerate((("dropout", x[:, 0]), ("recurrent_dropout", states[0]))):
            if keywords[name]:
                drops[place] = dropped(jnp.ones((each, *like.shape), x.dtype), keywords[name], None, keys[place])
    step, brought = step_of(x, *drops)
    outputs, last = _scan(
        step, states, brought, mask, backwards=keywords["go_backwards"], zeroes=keywords["zero_output_for_mask"]
    )
    sequences = keywords["return_sequences"]
    output = outputs if sequences else outputs[:, -1]
    output_mask = mask if sequences else None
    updates = dict(zip(roles, last, strict=True)) if keywords["stateful"] else {}
    if keywords["return_state"]:
        return ([output, *last], [output_mask, *[None] * len(last)]), updates
    return (output, output_mask), updates


def _projected(x: Array, kernel: Array, bias: Array | None, drops: Drops = None) -> Array:
    """`x` [batch, …, in] times a kernel, plus bias; each of the factors of x goes with its part of the kernel."""
    if drops is None:
        y = jnp.matmul(x, kernel)
    else:
        factors = drops if x.ndim == drops.ndim - 1 else drops[:, :, None, :]
        parts = jnp.split(kernel, len(drops), axis=-1)
        y = jnp.concatenate(
            [jnp.matmul(x * factor, part) for factor, part in zip(factors, parts, strict=True)], axis=-1
        )
    return y if bias is None else y + bias


@op("simple_rnn", masked=True, updates=True)
def simple_rnn(
    x: Array,
    *initial: Any,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    activation: Activation,
    **keywords: Any,
) -> Result:
    """`h` = activation(x kernel + bias + h recurrent_kernel)."""

    def step_of(x: Array, x_drops: Drops, h_drops: Drops) -> tuple[Step, Array]:
        def step(states: States, now: Array) -> States:
            return (activation(now + _projected(states[0], recurrent_kernel, None, h_drops)),)

        return step, _projected(x, kernel, bias, x_drops)

    return _recurrent(x, initial, keywords, step_of, roles=("state_h",), gates=1)


@op("lstm", masked=True, updates=True)
def lstm(
    x: Array,
    *initial: Any,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    recurrent_bias: Array | None = None,
    activation: Activation,
    recurrent_activation: Activation,
    **keywords: Any,
) -> Result:
    """`c` = f c + i activation(g); h = o activation(c); the gates i, f, g, o lie side by side in the kernels."""

    def step_of(x: Array, x_drops: Drops, h_drops: Drops) -> tuple[Step, Array]:
        def step(states: States, now: Array) -> States:
            h, c = states
            z = now + _projected(h, recurrent_kernel, recurrent_bias, h_drops)
            i, f, g, o = jnp.split(z, 4, axis=-1)
            c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
            return recurrent_activation(o) * activation(c), c

        return step, _projected(x, kernel, bias, x_drops)

    return _recurrent(x, initial, keywords, step_of, roles=("state_h", "state_c"), gates=4)


@op("gru", masked=True, updates=True)
def gru(
    x: Array,
    *initial: Any,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
    **keywords: Any,
) -> Result:
    """`h` = z h + (1 - z) activation(candidate); the gates z, r, candidate lie side by side in the kernels.

    The reset gate r multiplies the state before its product with the kernel, or behind it with `reset_after`, where the
    second row of the bias belongs to that product.
    """
    first, second = bias, None
    if bias is not None and reset_after:
        first, second = bias[0], bias[1]

    def step_of(x: Array, x_drops: Drops, h_drops: Drops) -> tuple[Step, Array]:
        def step(states: States, now: Array) -> States:
            h = states[0]
            x_z, x_r, x_h = jnp.split(now, 3, axis=-1)
            if reset_after:
                h_z, h_r, h_h = jnp.split(_projected(h, recurrent_kernel, second, h_drops), 3, axis=-1)
                z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
                candidate = x_h + r * h_h
            else:
                fed = [h] * 3 if h_drops is None else [h * factor for factor in h_drops]
                k_z, k_r, k_h = jnp.split(recurrent_kernel, 3, axis=-1)
                z = recurrent_activation(x_z + jnp.matmul(fed[0], k_z))
                r = recurrent_activation(x_r + jnp.matmul(fed[1], k_r))
                candidate = x_h + jnp.matmul(r * fed[2], k_h)
            return (z * h + (1 - z) * activation(candidate),)

        return step, _projected(x, kernel, first, x_drops)

    return _recurrent(x, initial, keywords, step_of, roles=("state_h",), gates=3)


@op("bidirectional", masked=True, wraps=True)
def bidirectional(
    x: Array,
    *initial: Any,
    merge: str,
    modules: Mapping[str, Any],
    mask: Mask,
    initial_state: Any = None,
    **_: Any,
) -> tuple[Any, Mask]:
    """Two recurrent modules, the second of which runs backwards and whose sequence is turned round again."""
    mask = mask[0] if isinstance(mask, list | tuple) else mask
    given = list(initial) or initial_state
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    half = len(given) // 2 if given else 0
    results = []
    for name, states in (("forward", given and given[:half]), ("backward", given and given[half:])):
        outputs, _mask = modules[name](x, mask=mask, **({"initial_state": states} if states else {}))
        results.append(outputs if isinstance(outputs, list) else [outputs])
    attrs = modules["forward"].node.attrs
    y, back = results[0][0], results[1][0]
    if attrs["return_sequences"]:
        back = jnp.flip(back, axis=1)
    merged: list[Any] = {
        "concat": lambda: [jnp.concatenate([y, back], axis=-1)],
        "sum": lambda: [y + back],
        "mul": lambda: [y * back],
        "mean": lambda: [(y + back) / 2],
        "none": lambda: [y, back],
    }[merge]()
    kept = mask if attrs["return_sequences"] else None
    masks = [kept] * len(merged)
    states_out = [*results[0][1:], *results[1][1:]]
    if len(merged) == 1 and not states_out:
        return merged[0], kept
    return [*merged, *states_out], [*masks, *[None] * len(states_out)]


@op("time_distributed", masked=True, wraps=True)
def time_distributed(x: Array, *, modules: Mapping[str, Any], mask: Mask, loops: bool, **_: Any) -> tuple[Any, Mask]:
    """A module applied to each time step by itself; in training one step after the other."""
    child = modules["layer"]
    if not loops:
        timed = None if mask is None else 1

        def one(now: Array, kept: Mask) -> Any:
            return child(now, mask=kept, step=0)[0]

        return jax.vmap(one, in_axes=(1, timed), out_axes=1)(x, mask), mask
    outputs = [
        child(x[:, time], mask=None if mask is None else mask[:, time], step=time)[0] for time in range(x.shape[1])
    ]
    return jax.tree.map(lambda *steps: jnp.stack(steps, axis=1), *outputs), mask
