"""Ops that go through the steps of a sequence (SPEC.md J.5).

A sequence is [batch, time, …]; a state is [batch, units]. All recurrent ops share `scan`, which walks the steps and
holds the states where the mask is false; what one step does is the op's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.ops.random import Rng, dropped
from etui.core.ops.registry import Activation, Array, Child, Mask, op

Step = Callable[[Array, list[Array]], list[Array]]
"""From the input of a step and the states to the new states, whose first is the output of the step, too."""


def scan(
    step: Step, x: Array, states: list[Array], mask: Array | None, *, go_backwards: bool, zero_output_for_mask: bool
) -> tuple[Array, list[Array]]:
    """Walk the steps of a sequence, from the last to the first if `go_backwards`.

    Args:
        step: computes one step.
        x: the sequence.
        states: the first states.
        mask: [batch, time], or `None`. Where it is false, each state stays as it is, and the output is the state that
            stays, or 0 if `zero_output_for_mask`.
        go_backwards: the mask of a step stays with its input.
        zero_output_for_mask: see `mask`.

    Returns:
        The outputs [batch, time, units] in the order in which they were computed, and the last states.
    """
    times = range(x.shape[1])
    outputs = []
    for time in reversed(times) if go_backwards else times:
        new = step(x[:, time], states)
        output = new[0]
        if mask is not None:
            kept = (mask[:, time] != 0)[:, np.newaxis]
            new = [np.where(kept, after, before) for after, before in zip(new, states, strict=True)]
            output = np.where(kept, output, 0) if zero_output_for_mask else new[0]
        outputs.append(output)
        states = new
    return np.stack(outputs, axis=1), states


def run(
    step: Step, count: int, x: Array, *, initial: tuple[Any, ...], mask: Array | None, options: Mapping[str, Any]
) -> tuple[Any, Mask]:
    """Run a recurrent op: find its first states, walk the sequence, and give what the attributes ask for.

    Args:
        step: computes one step.
        count: number of states.
        x: the sequence.
        initial: the inputs after the sequence.
        mask: of the sequence.
        options: the op's keywords.

    Returns:
        The output or the list of output and states, and the mask of the output or the list of masks. The output is
        the whole sequence if `return_sequences`, and then has the mask of the input, in the order of the input.
    """
    given = initial_states(initial, options.get("initial_state"))
    zeros = np.zeros((x.shape[0], options["units"]), x.dtype)
    states = [np.asarray(state, x.dtype) for state in given] or [zeros] * count
    names = ("go_backwards", "zero_output_for_mask")
    outputs, states = scan(step, x, states, mask, **{name: options[name] for name in names})
    whole = options["return_sequences"]
    output, output_mask = (outputs, mask) if whole else (outputs[:, -1], None)
    if options["return_state"]:
        return [output, *states], [output_mask] + [None] * count
    return output, output_mask


def initial_states(inputs: Sequence[Any], argument: Any) -> list[Any]:
    """The first states, which a call gives as further inputs or as the argument `initial_state`; empty for zeros."""
    found = inputs or argument or []
    if len(found) == 1 and isinstance(found[0], (list, tuple)):
        found = found[0]
    return [state for state in found if state is not None]


class Drops:
    """What dropout makes of the input and the state of each gate: the same elements are dropped in all steps.

    One draw serves the inputs of all gates, unless there is `recurrent_dropout`; then each gate has its own of both.
    """

    def __init__(
        self, gates: int, x: Array, units: int, *, dropout: float, recurrent_dropout: float, training: bool, rng: Rng
    ) -> None:
        def draw(rate: float, width: int, own: bool) -> list[Array]:
            ones = np.ones((x.shape[0], width), x.dtype)
            if not training or rate <= 0:
                return [ones] * gates
            if own:
                return [dropped(ones, rng, rate, ones.shape) for _ in range(gates)]
            return [dropped(ones, rng, rate, ones.shape)] * gates

        own = recurrent_dropout > 0
        self.inputs = draw(dropout, x.shape[-1], own)
        self.states = draw(recurrent_dropout, units, own)


def gate_inputs(x: Array, factors: list[Array], kernel: Array) -> list[Array]:
    """(x · factor) @ W for each gate, whose W lie side by side in the kernel."""
    return [(x * factor) @ part for factor, part in zip(factors, np.split(kernel, len(factors), axis=-1), strict=True)]


def gates_of(bias: Array | None, count: int) -> list[Any]:
    """The biases of the gates, which lie one after the other; zeros where there is none."""
    return [0.0] * count if bias is None else list(np.split(bias, count, axis=-1))


@op("simple_rnn", masked=True)
def simple_rnn(
    x: Array,
    *initial: Any,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    activation: Activation,
    mask: Mask = None,
    rng: Rng = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """h′ = activation(x @ kernel + h @ recurrent_kernel + bias); the state is h."""
    x = floating(x, kernel)
    drops = _drops(1, x, options, rng)

    def step(x: Array, states: list[Array]) -> list[Array]:
        (h,) = states
        (inner,) = gate_inputs(x, drops.inputs, kernel)
        (recurrent,) = gate_inputs(h, drops.states, recurrent_kernel)
        return [activation(inner + recurrent + (0.0 if bias is None else bias))]

    return run(step, 1, x, initial=initial, mask=_of_sequence(mask), options=options)


@op("lstm", masked=True)
def lstm(
    x: Array,
    *initial: Any,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    recurrent_bias: Array | None = None,
    activation: Activation,
    recurrent_activation: Activation,
    mask: Mask = None,
    rng: Rng = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """The states are h and c; the gates i, f, c, o lie side by side in that order.

    z_g = x @ kernel_g + bias_g + h @ recurrent_kernel_g (+ recurrent_bias_g), with σ the recurrent activation:
    c′ = σ(z_f) · c + σ(z_i) · activation(z_c) and h′ = σ(z_o) · activation(c′).
    """
    x = floating(x, kernel)
    drops = _drops(4, x, options, rng)
    biases, recurrent_biases = gates_of(bias, 4), gates_of(recurrent_bias, 4)

    def step(x: Array, states: list[Array]) -> list[Array]:
        h, c = states
        parts = gate_inputs(x, drops.inputs, kernel), gate_inputs(h, drops.states, recurrent_kernel)
        z_i, z_f, z_c, z_o = (a + u + b + d for a, u, b, d in zip(*parts, biases, recurrent_biases, strict=True))
        c = recurrent_activation(z_f) * c + recurrent_activation(z_i) * activation(z_c)
        return [recurrent_activation(z_o) * activation(c), c]

    return run(step, 2, x, initial=initial, mask=_of_sequence(mask), options=options)


@op("gru", masked=True)
def gru(
    x: Array,
    *initial: Any,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
    mask: Mask = None,
    rng: Rng = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """The state is h; the gates z, r, h lie side by side in that order.

    With U the parts of the recurrent kernel, σ the recurrent activation, and a_g = x @ kernel_g + bias_g:

        reset after:  z = σ(a_z + h @ U_z + d_z),  r = σ(a_r + h @ U_r + d_r),
                      n = activation(a_h + r · (h @ U_h + d_h)), with (bias, d) the rows of the variable `bias`
        else:         z = σ(a_z + h @ U_z),  r = σ(a_r + h @ U_r),  n = activation(a_h + (r · h) @ U_h)
        h′ = z · h + (1 − z) · n
    """
    x = floating(x, kernel)
    drops = _drops(3, x, options, rng)
    double = bias is not None and reset_after
    biases = gates_of(bias[0] if bias is not None and double else bias, 3)
    d_z, d_r, d_h = gates_of(bias[1] if bias is not None and double else None, 3)
    u_z, u_r, u_h = np.split(recurrent_kernel, 3, axis=-1)

    def step(x: Array, states: list[Array]) -> list[Array]:
        (h,) = states
        parts = gate_inputs(x, drops.inputs, kernel)
        a_z, a_r, a_h = (part + bias for part, bias in zip(parts, biases, strict=True))
        h_z, h_r, h_h = (h * factor for factor in drops.states)
        z = recurrent_activation(a_z + h_z @ u_z + d_z)
        r = recurrent_activation(a_r + h_r @ u_r + d_r)
        n = activation(a_h + (r * (h_h @ u_h + d_h) if reset_after else (r * h_h) @ u_h))
        return [z * h + (1 - z) * n]

    return run(step, 1, x, initial=initial, mask=_of_sequence(mask), options=options)


@op("bidirectional", masked=True, wraps=True)
def bidirectional(
    x: Array,
    *initial: Any,
    modules: Mapping[str, Child],
    merge: str,
    mask: Mask = None,
    training: bool = False,
    initial_state: Any = None,
    **_: Any,
) -> tuple[Any, Mask]:
    """The ops `forward` and `backward` over the same sequence, their outputs merged.

    One of the two goes backwards. The outputs of `backward` are turned around if they are a sequence, so that they meet
    those of `forward` at the same step. The first half of the first states is for `forward`, the other for `backward`,
    and so the last states are given, after the outputs. `merge` none gives both outputs.
    """
    mask = _of_sequence(mask)
    states = initial_states(initial, initial_state)
    half = len(states) // 2
    results = []
    for name, own in (("forward", states[:half]), ("backward", states[half:])):
        output, output_mask = modules[name](x, *own, mask=mask, training=training)
        several = isinstance(output, (list, tuple))
        output_mask = output_mask[0] if isinstance(output_mask, (list, tuple)) else output_mask
        results.append((output[0] if several else output, list(output[1:]) if several else [], output_mask))
    (forward, forward_states, output_mask), (backward, backward_states, _mask) = results
    if forward.ndim == x.ndim:
        backward = np.flip(backward, axis=1)
    merged = merge_outputs(forward, backward, merge)
    last = forward_states + backward_states
    outputs = [*(merged if merge == "none" else [merged]), *last]
    if len(outputs) == 1:
        return outputs[0], output_mask
    return outputs, [output_mask] * (len(outputs) - len(last)) + [None] * len(last)


def merge_outputs(forward: Array, backward: Array, merge: str) -> Any:
    """Both outputs side by side, their sum, product or mean, or the list of both for `none`."""
    if merge == "concat":
        return np.concatenate([forward, backward], axis=-1)
    if merge == "sum":
        return forward + backward
    if merge == "mul":
        return forward * backward
    if merge == "mean":
        return (forward + backward) / 2
    return [forward, backward]


@op("time_distributed", masked=True, wraps=True)
def time_distributed(
    x: Array, *, modules: Mapping[str, Child], mask: Mask = None, training: bool = False, **_: Any
) -> tuple[Any, Mask]:
    """The op `layer` on each step [batch, …] of the sequence by itself, with the mask of that step if it uses masks."""
    steps = []
    for time in range(x.shape[1]):
        output, _own = modules["layer"](x[:, time], mask=None if mask is None else mask[:, time], training=training)
        steps.append(output)
    return np.stack(steps, axis=1), mask


def _drops(gates: int, x: Array, options: Mapping[str, Any], rng: Rng) -> Drops:
    names = ("dropout", "recurrent_dropout", "training")
    return Drops(gates, x, options["units"], rng=rng, **{name: options[name] for name in names})


def _of_sequence(mask: Mask) -> Array | None:
    """The mask of the sequence, where the masks of all inputs are given."""
    if isinstance(mask, (list, tuple)):
        mask = mask[0] if mask else None
    return None if mask is None else np.asarray(mask)
