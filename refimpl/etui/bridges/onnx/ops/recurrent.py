"""Ops that go through the steps of a sequence (SPEC.md J.5).

A sequence is [batch, time, …]; a state is [batch, units]. All recurrent ops share one loop, a `Scan` along the time,
and hold the states where the mask is false; what one step does is the op's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etui.bridges.onnx.ops.random import refuse_drawing
from etui.bridges.onnx.ops.registry import Activation, Child, Mask, op
from etui.bridges.onnx.tools import dimension, expand, flipped, floating, sliced, squeeze, truth, unsqueeze, where
from etui.bridges.onnx.value import Value

Step = Callable[[Value, list[Value]], list[Value]]
"""From the input of a step and the states to the new states, whose first is the output of the step, too."""

LIMITS = (
    "a call in training with dropout draws numbers; a stateful one begins each run with the states that it is given, "
    "or with zeros"
)


def run(
    step: Step, count: int, x: Value, *, initial: tuple[Any, ...], mask: Mask, options: Mapping[str, Any]
) -> tuple[Any, Mask]:
    """Add a recurrent op: its first states, the loop, and what the attributes ask for.

    Args:
        step: adds the nodes of one step.
        count: number of states.
        x: the sequence.
        initial: the inputs after the sequence.
        mask: of the sequence, or the list of the masks of all inputs.
        options: the op's keywords.
    """
    for name in ("dropout", "recurrent_dropout"):
        refuse_drawing(options["training"], options[name])
    x, mask = floating(x), _of_sequence(mask)
    states = [floating(state) for state in initial_states(initial, options.get("initial_state"))]
    if not states:
        zeros = expand(x.graph.constant(0.0), [dimension(x, 0), options["units"]])
        states = [zeros] * count

    def body(olds: list[Value], items: list[Value]) -> tuple[list[Value], list[Value]]:
        new = step(items[0], olds)
        output = new[0]
        if mask is not None:
            kept = unsqueeze(truth(items[1]), [1])
            new = [where(kept, after, before) for after, before in zip(new, olds, strict=True)]
            output = where(kept, output, 0.0) if options["zero_output_for_mask"] else new[0]
        return new, [output]

    sequences = [x] if mask is None else [x, mask]
    last, (outputs,) = x.graph.loop(body, states, sequences, backwards=options["go_backwards"])
    output, output_mask = (outputs, mask) if options["return_sequences"] else (_last(outputs), None)
    if options["return_state"]:
        return [output, *last], [output_mask] + [None] * count
    return output, output_mask


def _last(outputs: Value) -> Value:
    return squeeze(sliced(outputs, 1, -1), [1])


def initial_states(inputs: Sequence[Any], argument: Any) -> list[Any]:
    """The first states, which a call gives as further inputs or as the argument `initial_state`; empty for zeros."""
    found = inputs or argument or []
    found = [found] if isinstance(found, Value) else found
    if len(found) == 1 and isinstance(found[0], list | tuple):
        found = found[0]
    return [state for state in found if state is not None]


def _of_sequence(mask: Mask) -> Value | None:
    if isinstance(mask, list | tuple):
        mask = mask[0] if mask else None
    return None if mask is None else truth(mask)


def split(value: Value, count: int) -> list[Value]:
    """The parts of the gates, which lie side by side along the last axis."""
    found: list[Value] = value.graph.add("Split", value, axis=value.rank - 1, num_outputs=count, outputs=count)
    return found


@op("simple_rnn", masked=True, limits=LIMITS)
def simple_rnn(
    x: Value,
    *initial: Any,
    kernel: Value,
    recurrent_kernel: Value,
    bias: Value | None = None,
    activation: Activation,
    mask: Mask = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """h′ = activation(x @ kernel + h @ recurrent_kernel + bias); the state is h."""

    def step(x: Value, states: list[Value]) -> list[Value]:
        z = x @ kernel + states[0] @ recurrent_kernel
        return [activation(z if bias is None else z + bias)]

    return run(step, 1, x, initial=initial, mask=mask, options=options)


@op("lstm", masked=True, limits=LIMITS)
def lstm(
    x: Value,
    *initial: Any,
    kernel: Value,
    recurrent_kernel: Value,
    bias: Value | None = None,
    recurrent_bias: Value | None = None,
    activation: Activation,
    recurrent_activation: Activation,
    mask: Mask = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """The states are h and c; the gates i, f, c, o lie side by side in that order."""

    def step(x: Value, states: list[Value]) -> list[Value]:
        h, c = states
        z = x @ kernel + h @ recurrent_kernel
        for one in (bias, recurrent_bias):
            z = z if one is None else z + one
        z_i, z_f, z_c, z_o = split(z, 4)
        c = recurrent_activation(z_f) * c + recurrent_activation(z_i) * activation(z_c)
        return [recurrent_activation(z_o) * activation(c), c]

    return run(step, 2, x, initial=initial, mask=mask, options=options)


@op("gru", masked=True, limits=LIMITS)
def gru(
    x: Value,
    *initial: Any,
    kernel: Value,
    recurrent_kernel: Value,
    bias: Value | None = None,
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
    mask: Mask = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """The state is h; the gates z, r, h lie side by side in that order (CV-100)."""
    units = options["units"]
    own, recurrent = bias, None
    if bias is not None and reset_after:
        own, recurrent = (squeeze(sliced(bias, 0, row, row + 1), [0]) for row in (0, 1))
    gates = sliced(recurrent_kernel, 1, 0, 2 * units)
    candidate = sliced(recurrent_kernel, 1, 2 * units)

    def step(x: Value, states: list[Value]) -> list[Value]:
        (h,) = states
        a = x @ kernel if own is None else x @ kernel + own
        a_z, a_r, a_h = split(a, 3)
        if reset_after:
            u = h @ recurrent_kernel if recurrent is None else h @ recurrent_kernel + recurrent
            u_z, u_r, u_h = split(u, 3)
            r = recurrent_activation(a_r + u_r)
            n = activation(a_h + r * u_h)
        else:
            u_z, u_r = split(h @ gates, 2)
            r = recurrent_activation(a_r + u_r)
            n = activation(a_h + (r * h) @ candidate)
        z = recurrent_activation(a_z + u_z)
        return [z * h + (1.0 - z) * n]

    return run(step, 1, x, initial=initial, mask=mask, options=options)


@op("bidirectional", masked=True, wraps=True)
def bidirectional(
    x: Value,
    *initial: Any,
    modules: Mapping[str, Child],
    merge: str,
    mask: Mask = None,
    training: bool = False,
    initial_state: Any = None,
    **_: Any,
) -> tuple[Any, Mask]:
    """The ops `forward` and `backward` over the same sequence, their outputs merged (CV-108)."""
    mask = _of_sequence(mask)
    states = initial_states(initial, initial_state)
    half = len(states) // 2
    results = []
    for name, own in (("forward", states[:half]), ("backward", states[half:])):
        output, output_mask = modules[name](x, *own, mask=mask, training=training)
        several = isinstance(output, list)
        output_mask = output_mask[0] if isinstance(output_mask, list) else output_mask
        results.append((output[0] if several else output, list(output[1:]) if several else [], output_mask))
    (forward, forward_states, output_mask), (backward, backward_states, _mask) = results
    if forward.rank == x.rank:
        backward = flipped(backward, 1)
    merged = _merge(forward, backward, merge)
    last = forward_states + backward_states
    outputs = [*merged, *last]
    if len(outputs) == 1:
        return outputs[0], output_mask
    return outputs, [output_mask] * len(merged) + [None] * len(last)


def _merge(forward: Value, backward: Value, merge: str) -> list[Value]:
    if merge == "concat":
        return [forward.graph.add("Concat", forward, backward, axis=forward.rank - 1)]
    if merge == "sum":
        return [forward + backward]
    if merge == "mul":
        return [forward * backward]
    if merge == "mean":
        return [(forward + backward) / 2.0]
    return [forward, backward]


@op("time_distributed", masked=True, wraps=True)
def time_distributed(
    x: Value, *, modules: Mapping[str, Child], mask: Mask = None, training: bool = False, **_: Any
) -> tuple[Value, Mask]:
    """The op `layer` on each step [batch, …] of the sequence by itself, with the mask of that step if it uses masks."""

    def body(_states: list[Value], items: list[Value]) -> tuple[list[Value], list[Value]]:
        output, _own = modules["layer"](items[0], mask=None if mask is None else items[1], training=training)
        return [], [output]

    _last_states, (outputs,) = x.graph.loop(body, [], [x] if mask is None else [x, mask])
    return outputs, mask
